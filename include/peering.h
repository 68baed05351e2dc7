/*
 * Peering: which BGP sessions a node has, with which settings, and why (design: peerings). A pure
 * function of a snapshot: no I/O, no locks, no clock. Equal state gives byte-equal answers.
 *
 * The index is derived from a snapshot, immutable, reference counted and persistent like it: selectors
 * are interned and their matching nodes kept as sets, addresses map to their owners, so one change
 * costs what it affects.
 */
#ifndef BGPPEERD_PEERING_H
#define BGPPEERD_PEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "snapshot.h"

struct bgp_filter_spec;
struct node;

#define PEERING_DEFAULT_AS 64512u
#define PEERING_BGP_PORT   179

enum peering_scope { SCOPE_GLOBAL, SCOPE_NODE, SCOPE_NODE_SELECTOR, SCOPE_MESH };

struct peering_origin {
    const char *bgp_peer; /* NULL for mesh */
    enum peering_scope scope;
    bool reverse;
    const char *remote_node; /* NULL: not one of ours */
};

/* How the session's password stands. */
enum peering_password {
    PASSWORD_NONE,     /* none wanted, or optional and missing */
    PASSWORD_VALUE,    /* `secret` is the value to unseal */
    PASSWORD_WITHHELD, /* wanted, but not to be had: agents must not open the session */
};

struct peering_entry {
    struct ip_addr address;
    char address_text[IP_TEXT_MAX]; /* canonical */
    uint16_t port;                  /* 0 = absent (the daemon's 179) */
    uint32_t as_number;
    uint32_t local_as_number;
    bool external;
    const char *source_address;             /* NULL: none configured */
    uint8_t ttl_security;                   /* hops, 0 = off */
    int64_t max_restart_time_s;             /* -1 = absent */
    int64_t keepalive_time_s;               /* -1 = absent */
    const char *next_hop;                   /* "Self", "Keep" or NULL */
    const char *route_reflector_cluster_id; /* NULL = absent */
    uint32_t num_allowed_local_as_numbers;  /* 0 = absent */
    bool passive;
    size_t filter_count;
    const char *const *filters;
    const char *reachable_by; /* canonical, NULL = absent */
    enum peering_password password;
    const char *secret_key;            /* "namespace/name" of the Secret when PASSWORD_VALUE */
    const struct secret_value *secret; /* borrowed from the snapshot when PASSWORD_VALUE */
    struct peering_origin origin;
};

struct peering_suppressed {
    struct ip_addr address;
    char address_text[IP_TEXT_MAX];
    uint16_t port;
    struct peering_origin origin;
    struct peering_origin by;
    const char *reason; /* GlobalPeeringExists, NodePeeringExists, ReversePeeringExists … */
};

struct peering_problem {
    const char *reason;   /* SecretNotFound, NoLocalAddress, FilterNotFound, … */
    const char *bgp_peer; /* NULL: none (mesh, node) */
    const char *peer_ip;  /* NULL: none */
    const char *message;
};

/* A BGPFilter that an entry names, with all its rules. */
struct peering_filter {
    const char *name;
    const struct bgp_filter_spec *spec; /* borrowed from the snapshot; NULL: it has no rules */
};

/* A prefix that the node announces. */
struct peering_advertisement {
    struct ip_cidr prefix;       /* host bits are zero */
    char cidr[IP_CIDR_TEXT_MAX]; /* canonical */
    size_t community_count;
    const char *const *communities; /* resolved: "65000:100", "65000:1:2"; sorted as text, without doubles */
    const char *source; /* which field says so: "BGPConfiguration.serviceClusterIPs", "Node" … */
};

/* A node's list. Lives in the caller's arena; borrows from the snapshot, which must outlive it. */
struct peering_list {
    const char *node;
    struct {
        uint32_t as_number;
        const char *ipv4_address; /* canonical, without prefix; NULL = none */
        const char *ipv6_address;
        uint16_t listen_port; /* 0 = absent */
        const char *route_reflector_cluster_id;
        const char *router_id;    /* BGP identifier (RFC 4271) as a dotted quad; always there */
        const char *log_severity; /* BGPConfiguration logSeverityScreen; NULL = absent */
        const char *bind_mode;    /* BGPConfiguration bindMode, "NodeIP"; NULL = the daemon's default */
        size_t ignored_interface_count;
        const char *const
            *ignored_interfaces; /* BGPConfiguration ignoredInterfaces: names, `*` at either end */
    } local;
    size_t entry_count;
    struct peering_entry *entries; /* by family, address, port */
    size_t filter_count;
    const struct peering_filter *filters; /* those that entries name, in byte order of their names */
    size_t advertisement_count;
    const struct peering_advertisement *advertisements; /* IPv4 first, then by address, then by length */
    size_t suppressed_count;
    struct peering_suppressed *suppressed;
    size_t problem_count;
    struct peering_problem *problems;
    uint64_t newest_revision; /* the newest revision among the objects the list was made from */
};

/* ---- index ---- */

struct peering_index;

/* From scratch. `secret_namespace`: where secretKeyRef resolves (kept by the index, copied). */
int peering_index_new(const struct snapshot *snapshot, const char *secret_namespace,
                      struct peering_index **ret, struct err *err) MUST_CHECK;
/*
 * The index of `next`, which is `prev`'s snapshot with `changes` applied. `ret_affected` (a new set,
 * the caller's) receives every node whose list may differ: never too few, seldom too many.
 */
struct node_set;
int peering_index_next(const struct peering_index *prev, const struct snapshot *next,
                       const struct snapshot_change *changes, size_t count, struct peering_index **ret,
                       struct node_set **ret_affected, struct err *err) MUST_CHECK;
struct peering_index *peering_index_ref(const struct peering_index *index);
void peering_index_unref(const struct peering_index *index);                      /* accepts NULL */
const struct snapshot *peering_index_snapshot(const struct peering_index *index); /* borrowed */

/* Every node has a slot, a small number that stays its own as long as the node exists and may be
 * used again after its deletion. -1: no such node. */
int64_t peering_index_slot(const struct peering_index *index, const char *node);
/* Upper bound (exclusive) of all slots in use. */
uint32_t peering_index_slots(const struct peering_index *index);
/* The node of a slot; NULL: none. Borrowed from the index. */
const char *peering_index_node_name(const struct peering_index *index, uint32_t slot);

/*
 * Whose address is it? For whoever must not let a node take what is another's: the name of the first Node, in
 * byte order, besides `except` (NULL: none) that has the address in spec.bgp; NULL: nobody. Borrowed from the
 * index.
 */
const char *peering_index_address_owner(const struct peering_index *index, const struct ip_addr *address,
                                        const char *except);
/* Does the peerIP of any BGPPeer, on whatever port, name the address? */
bool peering_index_address_is_peer(const struct peering_index *index, const struct ip_addr *address);

/* Nodes that the BGPPeer applies to, `max` at most: of `node` that one, else any of them. How many; 0: none,
 * or there is no such BGPPeer. Borrowed from the index. */
size_t peering_index_peer_nodes(const struct peering_index *index, const char *bgp_peer, const char **ret,
                                size_t max);
/* Another node with an address and the same router ID as `node`; NULL: none. Borrowed from the index. */
const char *peering_index_router_id_sharer(const struct peering_index *index, const char *node);

/* Does any node match the selector? Looked up where a BGPPeer has the same one, else every node is asked. */
struct selector;
bool peering_index_any_match(const struct peering_index *index, const struct selector *selector);

/*
 * Who uses an address, in any of its forms: every Node that has it as its own, and every BGPPeer whose peerIP
 * it is. `visit` is called for each, in no order, until it returns false; the names are borrowed from the
 * index.
 */
void peering_index_address_users(const struct peering_index *index, const struct ip_addr *addr,
                                 bool (*visit)(void *arg, enum kind kind, const char *name), void *arg);
/* The same question about one object, which may be newer than any index. */
bool peering_uses_address(const struct object *object, const struct ip_addr *addr);
/* A Node's own address of a family, as peerings are computed from it; of family IP_NONE when it has none. */
struct ip_addr peering_own_address(const struct node *node, enum ip_family family);

/* Set of slots. */
void node_set_free(struct node_set *set); /* accepts NULL */
bool node_set_has(const struct node_set *set, uint32_t slot);
size_t node_set_count(const struct node_set *set);
/* All of `other` into *set; NULL is the empty one. */
int node_set_add_all(struct node_set **set, const struct node_set *other, struct err *err) MUST_CHECK;
/* Calls visit for each slot, ascending. */
void node_set_each(const struct node_set *set, void (*visit)(void *arg, uint32_t slot), void *arg);

/* ---- the list ---- */

/* ERR_NOT_FOUND when there is no such node. */
int peering_compute(const struct peering_index *index, const char *node, struct arena *arena,
                    struct peering_list *ret, struct err *err) MUST_CHECK;

/* Reads a password in clear; called only for entries with PASSWORD_VALUE. Appends to `out` (which
 * wipes). -1: it cannot be had now; the entry is then written as withheld, with problem VaultError. */
struct peering_reveal {
    int (*password)(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err);
    void *arg;
};

/*
 * The PeeringList document (design: api, "The peering list"). `reveal` NULL: passwordFingerprint only.
 * `resource_version` is what metadata.resourceVersion shows.
 */
void peering_encode(const struct peering_list *list, uint64_t resource_version,
                    const struct peering_reveal *reveal, struct buf *out);
/*
 * What the ETag is a digest of: the document without metadata.resourceVersion. Appends to `out`, and returns
 * where in it that member is missing: peering_complete_content puts it there, so that the document of
 * peering_encode (without `reveal`) need not be written a second time.
 */
size_t peering_encode_content(const struct peering_list *list, struct buf *out);
void peering_complete_content(const struct buf *content, size_t place, uint64_t resource_version,
                              struct buf *out);

/* One entry of the list's `items`, as a JSON object; without its password. */
void peering_encode_entry(const struct peering_entry *entry, struct buf *out);

/* ---- for previews, questions and overviews ---- */

/* Totals of one node's differences. */
struct peering_diff {
    size_t before; /* sessions */
    size_t after;
    size_t added;
    size_t removed;
    size_t changed;    /* in a member of their own, or disrupted by one of `local` or by a filter's rules */
    size_t disruptive; /* removed, or changed so that the daemon must restart the session */
    size_t others;     /* members of `local`, filters and advertised prefixes that differ */
};
static inline bool peering_diff_is_empty(const struct peering_diff *diff) {
    return diff->added + diff->removed + diff->changed + diff->others == 0;
}

/* What the node of a comparison runs, for what a change costs there. */
struct peering_daemons {
    unsigned which; /* bits 1 << enum member_daemon (peering/members.h): the one, or all that it may be */
    /* Which of these keep the session shut because they cannot express its filters. NULL: none does. */
    unsigned (*refuse)(void *arg, const struct peering_list *list, const struct peering_entry *entry,
                       unsigned which);
    void *arg;
};

/* A session of one list or of both. `before` NULL: it comes; `after` NULL: it goes. */
typedef void peering_on_difference(void *arg, const struct peering_entry *before,
                                   const struct peering_entry *after, bool disruptive);
/*
 * Compares two lists of one node (NULL: there is no such node). Calls `visit` (NULL: nobody) for each session
 * that differs, those that go first, in the lists' order. Sessions are paired by address and port; what is
 * left over at one address on both sides is one session that changed its port. Allocates nothing. `daemons`
 * NULL: not known, and every filter can be expressed.
 */
void peering_compare(const struct peering_list *before, const struct peering_list *after,
                     const struct peering_daemons *daemons, peering_on_difference *visit, void *arg,
                     struct peering_diff *ret);
/*
 * peering_compare, which also adds everything that differs to a digest: equal digests say that two changes do
 * the same to the node. Costs no text, so that it can be asked of a fleet.
 */
struct digest;
void peering_digest(const struct peering_list *before, const struct peering_list *after,
                    const struct peering_daemons *daemons, struct digest *digest, struct peering_diff *ret);
/*
 * What differs, as one JSON object: {node, local: [field…], added: [entry…], removed: [entry…], changed:
 * [{peerIP, port, disruptive, fields: [field…]}], filters: [{name, change}], advertise: [{cidr, change}]},
 * where field is {field, old, new, disruptive}; entries as in the list, with `disruptive` added. A value that
 * is absent is null. `local`, `filters` and `advertise` are there when something in them differs.
 */
void peering_encode_diff(const struct peering_list *before, const struct peering_list *after,
                         const struct peering_daemons *daemons, struct buf *out, struct peering_diff *ret);

/*
 * Of one change, which leads from one index to the other and may alter the lists of `affected` nodes: what it
 * disrupts at most, told by the indexes alone. *ret_most: the sessions at the ends of other nodes than
 * *ret_own, all of whose sessions may be disrupted (NULL: there is no such node). false: that is not known
 * without computing lists. Costs a few look-ups.
 */
bool peering_disrupts_at_most(const struct peering_index *before, const struct peering_index *after,
                              const struct snapshot_change *change, size_t affected, size_t *ret_most,
                              const char **ret_own);

/*
 * The sessions that one BGPPeer creates on all nodes, in the order of their names: appends to `items`
 * objects {node, …entry} and to `suppressed` objects {node, …suppressed}, with commas between them but
 * without the arrays' brackets. Begins behind node `after` (NULL: the first) and ends with the node that
 * brings both together to `limit` or more; *ret_next is then that node's name, to go on from (borrowed
 * from the index), and NULL when nothing is left. ERR_NOT_FOUND: there is no such BGPPeer.
 */
int peering_encode_sessions(const struct peering_index *index, const char *bgp_peer, const char *after,
                            size_t limit, struct buf *items, struct buf *suppressed, const char **ret_next,
                            struct err *err) MUST_CHECK;

/*
 * Why `node` does, or does not, peer with `remote` (an address in any form, or a node's name): a
 * PeeringExplanation document. ERR_NOT_FOUND: there is no such node, or `remote` is neither an address nor
 * a node.
 */
int peering_explain(const struct peering_index *index, const char *node, const char *remote, struct buf *out,
                    struct err *err) MUST_CHECK;

#endif
