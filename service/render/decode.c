/*
 * A PeeringList document read back, so that a list can be rendered where there is no service.
 *
 * What the service wrote is trusted to be complete, and checked where a wrong value could break out of its
 * place or make two sessions one: addresses, numbers, words. Unknown members are ignored: a newer service may
 * say more. All texts live in the caller's arena, which is made a wiping one, because passwords may be among
 * them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "codec.h"
#include "model/resources.h"
#include "render.h"

#define LIST_ITEMS_MAX 100000 /* of each array */

/* A document being read. Once something is wrong, nothing more is read. */
struct reading {
    struct arena *arena;
    struct err *err;
    bool failed;
    bool has_passwords;
};

/* ---- values ---- */

static void reading_fail(struct reading *reading, const char *path, const char *wanted) {
    if (!reading->failed) {
        (void)err_set_field(reading->err, ERR_BAD_REQUEST, path, "%s must be %s; is this a PeeringList?",
                            path, wanted);
        reading->failed = true;
    }
}

static void *reading_memory(struct reading *reading, void *memory) {
    if (memory == NULL && !reading->failed) {
        (void)err_no_memory(reading->err);
        reading->failed = true;
    }
    return memory;
}

/* NULL: it is not there. */
static const char *read_text(struct reading *reading, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return NULL;
    }
    if (!json_is_string(value)) {
        reading_fail(reading, key, "a text");
        return NULL;
    }
    return reading_memory(reading,
                          arena_strndup(reading->arena, json_string_value(value), json_string_length(value)));
}

static const char *read_needed_text(struct reading *reading, const json_t *object, const char *key) {
    const char *text = read_text(reading, object, key);
    if (text == NULL || text[0] == '\0') {
        reading_fail(reading, key, "there");
        return "";
    }
    return text;
}

/* `absent`: what stands for a member that is not there. */
static int64_t read_number(struct reading *reading, const json_t *object, const char *key, int64_t max,
                           int64_t absent) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return absent;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max) {
        reading_fail(reading, key, "a number in its range");
        return absent;
    }
    return json_integer_value(value);
}

static bool read_flag(const json_t *object, const char *key) {
    return json_is_true(json_object_get(object, key));
}

/* An address in canonical form, or NULL: it is not there. `family` IP_NONE: of any. */
static const char *read_address(struct reading *reading, const json_t *object, const char *key,
                                uint8_t family) {
    const char *text = read_text(reading, object, key);
    struct ip_addr address;
    if (text == NULL) {
        return NULL;
    }
    if (!ip_parse(text, strlen(text), &address) || (family != IP_NONE && address.family != family)) {
        reading_fail(reading, key, "an IP address");
        return NULL;
    }
    char canonical[IP_TEXT_MAX];
    (void)ip_format(&address, canonical);
    return reading_memory(reading, arena_strdup(reading->arena, canonical));
}

/* NULL: it is not there, or is none. */
static const json_t *read_array(struct reading *reading, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (value != NULL && (!json_is_array(value) || json_array_size(value) > LIST_ITEMS_MAX)) {
        reading_fail(reading, key, "a list");
        return NULL;
    }
    return value;
}

static const char *const *read_texts(struct reading *reading, const json_t *object, const char *key,
                                     size_t *ret_count) {
    const json_t *array = read_array(reading, object, key);
    size_t count = json_array_size(array);
    const char **texts = reading_memory(reading, arena_array(reading->arena, count, sizeof(*texts)));
    for (size_t i = 0; i < count && texts != NULL; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value)) {
            reading_fail(reading, key, "a list of texts");
            return NULL;
        }
        texts[i] = reading_memory(
            reading, arena_strndup(reading->arena, json_string_value(value), json_string_length(value)));
    }
    *ret_count = texts != NULL ? count : 0;
    return texts;
}

/* ---- sessions ---- */

static enum peering_scope read_scope(struct reading *reading, const json_t *origin) {
    static const char *const NAMES[] = {
        [SCOPE_GLOBAL] = "Global",
        [SCOPE_NODE] = "Node",
        [SCOPE_NODE_SELECTOR] = "NodeSelector",
        [SCOPE_MESH] = "Mesh",
    };
    const char *name = read_needed_text(reading, origin, "scope");
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcmp(NAMES[i], name) == 0) {
            return (enum peering_scope)i;
        }
    }
    reading_fail(reading, "scope", "Global, Node, NodeSelector or Mesh");
    return SCOPE_MESH;
}

/* The password's bytes are in the place of its sealed form; NULL: it is not shown. */
static void read_password(struct reading *reading, const json_t *item, struct peering_entry *entry) {
    const json_t *password = json_object_get(item, "password");
    const char *fingerprint = read_text(reading, item, "passwordFingerprint");
    if (read_flag(item, "withheld")) {
        entry->password = PASSWORD_WITHHELD;
        return;
    }
    if (password == NULL && fingerprint == NULL) {
        return;
    }
    struct secret_value *secret = reading_memory(reading, arena_alloc(reading->arena, sizeof(*secret)));
    if (secret == NULL) {
        return;
    }
    secret->fingerprint = fingerprint;
    if (json_is_string(password)) {
        secret->ciphertext_len = json_string_length(password);
        secret->ciphertext = reading_memory(
            reading, arena_strndup(reading->arena, json_string_value(password), secret->ciphertext_len));
        reading->has_passwords = true;
    } else if (password != NULL) {
        reading_fail(reading, "password", "a text");
    }
    entry->password = PASSWORD_VALUE;
    entry->secret = secret;
}

static void read_entry(struct reading *reading, const json_t *item, struct peering_entry *entry) {
    const json_t *origin = json_object_get(item, "origin");
    const char *address = read_needed_text(reading, item, "peerIP");
    if (!ip_parse(address, strlen(address), &entry->address)) {
        reading_fail(reading, "peerIP", "an IP address");
        return;
    }
    (void)ip_format(&entry->address, entry->address_text);
    entry->port = (uint16_t)read_number(reading, item, "port", UINT16_MAX, 0);
    entry->as_number = (uint32_t)read_number(reading, item, "asNumber", UINT32_MAX, 0);
    entry->local_as_number = (uint32_t)read_number(reading, item, "localASNumber", UINT32_MAX, 0);
    if (entry->as_number == 0 || entry->local_as_number == 0) {
        reading_fail(reading, "asNumber and localASNumber", "there, and not 0");
    }
    entry->external = entry->as_number != entry->local_as_number;
    entry->source_address = read_address(reading, item, "sourceAddress", entry->address.family);
    entry->ttl_security = (uint8_t)read_number(reading, item, "ttlSecurity", UINT8_MAX, 0);
    entry->max_restart_time_s = read_number(reading, item, "maxRestartTimeSeconds", INT64_MAX, -1);
    entry->keepalive_time_s = read_number(reading, item, "keepaliveTimeSeconds", INT64_MAX, -1);
    entry->next_hop = read_text(reading, item, "nextHop");
    if (entry->next_hop != NULL && strcmp(entry->next_hop, "Self") != 0 &&
        strcmp(entry->next_hop, "Keep") != 0) {
        reading_fail(reading, "nextHop", "Self or Keep");
    }
    entry->route_reflector_cluster_id = read_address(reading, item, "routeReflectorClusterID", IP_V4);
    entry->num_allowed_local_as_numbers =
        (uint32_t)read_number(reading, item, "numAllowedLocalASNumbers", UINT32_MAX, 0);
    entry->passive = read_flag(item, "passive");
    entry->filters = read_texts(reading, item, "filters", &entry->filter_count);
    entry->reachable_by = read_address(reading, item, "reachableBy", entry->address.family);
    read_password(reading, item, entry);
    entry->origin = (struct peering_origin){.bgp_peer = read_text(reading, origin, "bgpPeer"),
                                            .scope = read_scope(reading, origin),
                                            .reverse = read_flag(origin, "reverse"),
                                            .remote_node = read_text(reading, origin, "remoteNode")};
}

static int compare_entries(const void *a, const void *b) {
    const struct peering_entry *x = a, *y = b;
    int order = ip_compare(&x->address, &y->address);
    return order != 0 ? order : (x->port > y->port) - (x->port < y->port);
}

static void read_entries(struct reading *reading, const json_t *document, struct peering_list *list) {
    const json_t *items = read_array(reading, document, "items");
    size_t count = json_array_size(items);
    list->entries = reading_memory(reading, arena_array(reading->arena, count, sizeof(*list->entries)));
    for (; list->entry_count < count && !reading->failed; list->entry_count++) {
        read_entry(reading, json_array_get(items, list->entry_count), &list->entries[list->entry_count]);
    }
    if (!reading->failed && count > 0) {
        qsort(list->entries, count, sizeof(*list->entries), compare_entries);
    }
}

/* ---- filters ---- */

static int add_dumped(const char *text, size_t len, void *out) {
    buf_add(out, text, len);
    return 0;
}

/* By the table of the kind, as the stored BGPFilter that it would be. */
static void read_filter(struct reading *reading, const char *name, const json_t *spec,
                        struct peering_filter *ret) {
    struct buf text = BUF_INIT;
    struct object *object = NULL;
    buf_add_str(&text, "{\"metadata\":{\"name\":\"filter\"},\"spec\":");
    if (json_dump_callback(spec, add_dumped, &text, JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
        text.failed = true;
    }
    buf_add_char(&text, '}');
    ret->name = reading_memory(reading, arena_strdup(reading->arena, name));
    if (buf_failed(&text)) {
        (void)reading_memory(reading, NULL);
    } else if (codec_decode_stored(KIND_BGPFILTER, text.data, text.len, reading->arena, &object,
                                   reading->err) != 0) {
        reading->err->code = reading->err->code == ERR_CORRUPT ? ERR_BAD_REQUEST : reading->err->code;
        reading->failed = true;
    } else {
        ret->spec = ((const struct bgp_filter *)object->body)->spec;
    }
    buf_done(&text);
}

static int compare_filters(const void *a, const void *b) {
    return strcmp(((const struct peering_filter *)a)->name, ((const struct peering_filter *)b)->name);
}

static void read_filters(struct reading *reading, const json_t *document, struct peering_list *list) {
    json_t *specs = json_object_get(document, "filters");
    size_t count = json_object_size(specs);
    struct peering_filter *filters =
        reading_memory(reading, arena_array(reading->arena, count, sizeof(*filters)));
    const char *name;
    json_t *spec;
    if (reading->failed) {
        return;
    }
    json_object_foreach(specs, name, spec) {
        if (!reading->failed) {
            read_filter(reading, name, spec, &filters[list->filter_count++]);
        }
    }
    if (!reading->failed && count > 0) {
        qsort(filters, count, sizeof(*filters), compare_filters);
    }
    list->filters = filters;
}

/* ---- the rest ---- */

static void read_advertisements(struct reading *reading, const json_t *document, struct peering_list *list) {
    const json_t *items = read_array(reading, document, "advertise");
    size_t count = json_array_size(items);
    struct peering_advertisement *all =
        reading_memory(reading, arena_array(reading->arena, count, sizeof(*all)));
    for (size_t i = 0; i < count && !reading->failed; i++) {
        const json_t *item = json_array_get(items, i);
        const char *cidr = read_needed_text(reading, item, "cidr");
        if (strlen(cidr) >= sizeof(all[i].cidr) || !ip_parse_cidr(cidr, strlen(cidr), &all[i].prefix)) {
            reading_fail(reading, "cidr", "a network");
            break;
        }
        memcpy(all[i].cidr, cidr, strlen(cidr) + 1);
        all[i].communities = read_texts(reading, item, "communities", &all[i].community_count);
        all[i].source = read_text(reading, item, "source");
    }
    list->advertisements = all;
    list->advertisement_count = reading->failed ? 0 : count;
}

static void read_local(struct reading *reading, const json_t *document, struct peering_list *list) {
    const json_t *local = json_object_get(document, "local");
    list->local.as_number = (uint32_t)read_number(reading, local, "asNumber", UINT32_MAX, 0);
    list->local.ipv4_address = read_address(reading, local, "ipv4Address", IP_V4);
    list->local.ipv6_address = read_address(reading, local, "ipv6Address", IP_V6);
    list->local.listen_port = (uint16_t)read_number(reading, local, "listenPort", UINT16_MAX, 0);
    list->local.route_reflector_cluster_id = read_address(reading, local, "routeReflectorClusterID", IP_V4);
    list->local.router_id = read_address(reading, local, "routerID", IP_V4);
    list->local.log_severity = read_text(reading, local, "logSeverity");
    list->local.bind_mode = read_text(reading, local, "bindMode");
    list->local.ignored_interfaces =
        read_texts(reading, local, "ignoredInterfaces", &list->local.ignored_interface_count);
    if (list->local.as_number == 0 || list->local.router_id == NULL) {
        reading_fail(reading, "local.asNumber and local.routerID", "there");
    }
}

static void read_document(struct reading *reading, const json_t *document, struct peering_list *list,
                          uint64_t *ret_revision) {
    const json_t *metadata = json_object_get(document, "metadata");
    const char *kind = read_needed_text(reading, document, "kind");
    if (strcmp(kind, "PeeringList") != 0) {
        reading_fail(reading, "kind", "PeeringList");
        return;
    }
    list->node = read_needed_text(reading, metadata, "node");
    const char *revision = read_text(reading, metadata, "resourceVersion");
    *ret_revision = 0;
    if (revision != NULL && !u64_parse(revision, strlen(revision), UINT64_MAX, ret_revision)) {
        reading_fail(reading, "resourceVersion", "a number");
    }
    read_local(reading, document, list);
    read_entries(reading, document, list);
    read_filters(reading, document, list);
    read_advertisements(reading, document, list);
}

static int shown_password(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err) {
    (void)arg;
    if (entry->secret->ciphertext == NULL) {
        return err_set(err, ERR_FORBIDDEN, "the list does not show this session's password");
    }
    buf_add(out, entry->secret->ciphertext, entry->secret->ciphertext_len);
    return 0;
}

int render_read_list(const char *json, size_t len, struct arena *arena, struct peering_list *ret,
                     uint64_t *ret_revision, struct peering_reveal *ret_reveal, struct err *err) {
    struct reading reading = {.arena = arena, .err = err};
    struct peering_list list = {.node = NULL};
    uint64_t revision;
    json_error_t error;
    arena->wipe = true;
    (void)codec_out_of_memory();
    json_t *document = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (codec_out_of_memory()) {
        json_decref(document);
        return err_no_memory(err);
    }
    if (document == NULL) {
        /* jansson's own words end in a piece of the text, which may be a password. */
        return err_set_offset(err, ERR_BAD_REQUEST, error.position > 0 ? (size_t)error.position : 0,
                              "this is no JSON: see line %d, column %d", error.line, error.column);
    }
    read_document(&reading, document, &list, &revision);
    json_decref(document);
    if (reading.failed) {
        return -1;
    }
    *ret = list;
    *ret_revision = revision;
    *ret_reveal = (struct peering_reveal){.password = reading.has_passwords ? shown_password : NULL};
    return 0;
}
