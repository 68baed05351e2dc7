/*
 * Private to the room `model`: what the kinds' files share — macros for tables, the named formats, the
 * functions that word errors and advice.
 */
#ifndef BGPPEERD_SERVICE_MODEL_TABLES_H
#define BGPPEERD_SERVICE_MODEL_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/causes.h"
#include "model/field.h"
#include "model/object.h"
#include "model/resources.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* One line of a table: FIELD(struct, member, "jsonName", TYPE, .format = …, .description = …). */
#define FIELD(owner, member, json, field_type, ...)                                                          \
    { .name = (json), .type = (field_type), .offset = offsetof(struct owner, member), __VA_ARGS__ }
/* The rest of a schema's initializer: its struct and its table. */
#define SCHEMA_OF(owner, table)                                                                              \
    .size = sizeof(struct owner), .fields = (table), .field_count = COUNT_OF(table)
/* One printer column; .priority = 1 for -o wide only. */
#define COLUMN(title, column_type, json_path, text, ...)                                                     \
    { .name = (title), .type = (column_type), .path = (json_path), .description = (text), __VA_ARGS__ }

/* Limits that several tables share; Calico's CRDs have the same. */
#define NAME_LENGTH_MAX     253
#define SELECTOR_LENGTH_MAX 1024
#define ADDRESS_LENGTH_MAX  64
#define PRIORITY_MAX        2147483646

#define ADVERTISEMENTS_MAX         500  /* prefixAdvertisements of a BGPConfiguration or Node */
#define ADVERTISED_COMMUNITIES_MAX 50   /* communities of one of them */
#define NAMES_MAX                  256  /* lists of names without a limit of Calico's */
#define TEXT_LENGTH_MAX            1024 /* texts that nothing here reads */

/* Named text formats (format.c). */
extern const struct format format_name;              /* a resource's name */
extern const struct format format_portable_name;     /* lower-case RFC 1123 subdomain */
extern const struct format format_ip;                /* address of either family */
extern const struct format format_ipv4;              /* IPv4 address */
extern const struct format format_ipv6;              /* IPv6 address */
extern const struct format format_ip_endpoint;       /* IP, IPv4:port, [IPv6]:port */
extern const struct format format_network;           /* CIDR without host bits */
extern const struct format format_network_v4;        /* the same, IPv4 only */
extern const struct format format_network_v6;        /* the same, IPv6 only */
extern const struct format format_host_cidr_v4;      /* IPv4 address, or address/prefix with host bits */
extern const struct format format_host_cidr_v6;      /* the same of IPv6 */
extern const struct format format_router_id;         /* BGP identifier */
extern const struct format format_selector;          /* selector expression */
extern const struct format format_community;         /* community of a BGPFilter: no leading zeros */
extern const struct format format_config_community;  /* community of a BGPConfiguration */
extern const struct format format_community_ref;     /* the same, or the name of a defined one */
extern const struct format format_filter_interface;  /* interface name with * */
extern const struct format format_ignored_interface; /* the same, but not a lone * */
extern const struct format format_log_level;         /* Trace … Fatal, any case */
extern const struct format format_mac;               /* EUI-48, EUI-64 or 20 octets */
extern const struct format format_wireguard_key;     /* base64 of 32 bytes */
extern const struct format format_duration;          /* Go duration */
extern const struct format format_secret_key;        /* key of a Secret's data */

/* Why `text` is no address, of a field that may take a port or a prefix length as well; `why` stays as it is
 * when there is nothing to say. Always false, as the result of a format's check. (address_fault.c) */
#define ADDRESS_PORT   1u
#define ADDRESS_PREFIX 2u
bool address_explain(const char *text, unsigned takes, char *why, size_t why_len);
/* An IPv6 address whose last group looks like a port that lacks its brackets: fd00::1:179. */
bool address_hides_port(const char *text);

/* Has `text` the form of a community ("n:n" or "n:n:n"), whatever its numbers? */
bool community_has_form(const char *text);

/* In a kind: those of Calico are of this group and version. */
#define CALICO_V3 .group = "projectcalico.org", .version = "v3", .api_version = "projectcalico.org/v3"

/* Schemas that more than one kind uses (common.c). */
extern const struct schema bgp_password_schema;

/* The kinds (one file each), and what each has to say about one object. */
extern const struct kind_info bgp_peer_kind;
extern const struct kind_info node_kind;
extern const struct kind_info bgp_configuration_kind;
extern const struct kind_info bgp_filter_kind;
extern const struct kind_info secret_kind;
void bgp_peer_advise(const struct object *object, struct advice *advice);
void node_advise(const struct object *object, struct advice *advice);
void bgp_configuration_advise(const struct object *object, struct advice *advice);
void bgp_filter_advise(const struct object *object, struct advice *advice);
void secret_advise(const struct object *object, struct advice *advice);

/* Metadata (meta.c). */
void meta_validate(const struct object *object, struct causes *causes);
void meta_advise(const struct meta *meta, struct advice *advice);
/* RFC 1123 subdomain: dot-separated lower-case labels, at most 253 bytes. */
bool is_subdomain(const char *text, size_t len);
/* A key of labels or annotations, [prefix/]name; `fold_case`: the prefix may have upper case. */
bool is_qualified_name(const char *key, size_t len, bool fold_case);

/* The walk by tables (validate.c): every field of `object`, then its schema's rule, recursively. */
void schema_validate(const struct schema *schema, const void *object, const char *path,
                     struct causes *causes);

/* "" counts as absent, like everywhere in Calico's API. */
static inline bool is_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

/* causes_add for the field `path`.`member`; `member` may have an index ("a[3].b"). */
void cause_at(struct causes *causes, const char *reason, const char *path, const char *member,
              const char *fmt, ...) PRINTF_LIKE(5, 6);

/* `text` for a message: cut to a readable length, control characters escaped. Returns `out`. */
#define SHOWN_MAX 128
const char *shown(const char *text, char out[SHOWN_MAX]);

/* Shared advice (advise.c). `field` is the path to name. */
void advise_asn(struct advice *advice, const char *field, uint32_t asn);
void advise_name(struct advice *advice, const char *field, const char *name);
/* What a daemon makes of a graceful-restart time. Absent: nothing. */
void advise_restart_time(struct advice *advice, const char *field, const struct duration *duration);
void advise_whole_seconds(struct advice *advice, const char *field, const struct duration *duration);
/* A password that holds no reference. */
void advise_password(struct advice *advice, const char *field, const struct bgp_password *password);
/* An address that cannot be a BGP speaker's (see ip_no_host), or only on one link, or that is reserved. */
struct ip_addr;
void advise_speaker_address(struct advice *advice, const char *field, const struct ip_addr *addr);
/* The same of a Node's "address/prefix"; also one that is its network's own or its broadcast address, or
 * whose network is no link's. */
void advise_host_cidr(struct advice *advice, const char *field, const char *text);
/* A network that is announced: the whole Internet, or one that no router forwards to. False: nothing to say.
 */
bool advise_announced_network(struct advice *advice, const char *field, const char *text);
/* The second of two networks that are the same; NULL: each is there once. `cidr_at` is the offset of the text
 * in an item of `size` bytes. Sorts a copy in the advice's arena. */
const char *network_repeated(const struct list *networks, size_t size, size_t cidr_at, struct arena *arena);

#endif
