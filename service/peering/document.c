/*
 * The parts of documents: entries by a table of their members, origins, suppressed entries, problems.
 *
 * The table says once in which order members are written, when they are absent and whether their change
 * disrupts a session. Nothing here writes a password in clear.
 */
#include "document.h"

#include "model/resources.h"

#define ENTRY(name, kind, disruptive, field)                                                                 \
    { (name), (kind), (disruptive), offsetof(struct peering_entry, field) }

const struct member entry_members[] = {
    ENTRY("family", MEMBER_FAMILY, true, address),
    ENTRY("peerIP", MEMBER_CHARS, true, address_text),
    ENTRY("port", MEMBER_U16, true, port),
    ENTRY("asNumber", MEMBER_AS, true, as_number),
    ENTRY("localASNumber", MEMBER_AS, true, local_as_number),
    ENTRY("type", MEMBER_TYPE, true, external),
    ENTRY("sourceAddress", MEMBER_TEXT, true, source_address),
    ENTRY("passwordFingerprint", MEMBER_PASSWORD, true, secret),
    ENTRY("ttlSecurity", MEMBER_U8, true, ttl_security),
    ENTRY("maxRestartTimeSeconds", MEMBER_SECONDS, false, max_restart_time_s),
    ENTRY("keepaliveTimeSeconds", MEMBER_SECONDS, false, keepalive_time_s),
    ENTRY("nextHop", MEMBER_TEXT, false, next_hop),
    ENTRY("routeReflectorClusterID", MEMBER_TEXT, true, route_reflector_cluster_id),
    ENTRY("numAllowedLocalASNumbers", MEMBER_U32, false, num_allowed_local_as_numbers),
    ENTRY("passive", MEMBER_FLAG, false, passive),
    ENTRY("filters", MEMBER_FILTERS, false, filters),
    ENTRY("reachableBy", MEMBER_TEXT, false, reachable_by),
    ENTRY("withheld", MEMBER_WITHHELD, true, password),
};
const size_t entry_member_count = sizeof(entry_members) / sizeof(entry_members[0]);

static const void *field_of(const struct member *member, const struct peering_entry *entry) {
    return (const char *)entry + member->offset;
}

/* Numbers of every width, 0 = absent. */
static uint64_t number_of(const struct member *member, const struct peering_entry *entry) {
    const void *field = field_of(member, entry);
    switch (member->kind) {
    case MEMBER_U8:
        return *(const uint8_t *)field;
    case MEMBER_U16:
        return *(const uint16_t *)field;
    default:
        return *(const uint32_t *)field;
    }
}

bool member_is_present(const struct member *member, const struct peering_entry *entry) {
    const void *field = field_of(member, entry);
    switch (member->kind) {
    case MEMBER_FAMILY:
    case MEMBER_CHARS:
    case MEMBER_AS:
    case MEMBER_TYPE:
        return true;
    case MEMBER_TEXT:
        return *(const char *const *)field != NULL;
    case MEMBER_U8:
    case MEMBER_U16:
    case MEMBER_U32:
        return number_of(member, entry) != 0;
    case MEMBER_SECONDS:
        return *(const int64_t *)field >= 0;
    case MEMBER_FLAG:
        return *(const bool *)field;
    case MEMBER_FILTERS:
        return entry->filter_count > 0;
    case MEMBER_PASSWORD:
        return entry->password == PASSWORD_VALUE && entry->secret->fingerprint != NULL;
    case MEMBER_WITHHELD:
        break;
    }
    return entry->password == PASSWORD_WITHHELD;
}

static void add_filters(struct buf *out, const struct peering_entry *entry) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < entry->filter_count; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, entry->filters[i]);
    }
    buf_add_char(out, ']');
}

void document_add_value(struct buf *out, const struct member *member, const struct peering_entry *entry) {
    const void *field = field_of(member, entry);
    switch (member->kind) {
    case MEMBER_FAMILY:
        buf_add_json_str(out, entry->address.family == IP_V4 ? "IPv4" : "IPv6");
        break;
    case MEMBER_CHARS:
        buf_add_json_str(out, field);
        break;
    case MEMBER_TEXT:
        buf_add_json_str(out, *(const char *const *)field);
        break;
    case MEMBER_U8:
    case MEMBER_U16:
    case MEMBER_U32:
    case MEMBER_AS:
        buf_add_u64(out, number_of(member, entry));
        break;
    case MEMBER_TYPE:
        buf_add_json_str(out, entry->external ? "external" : "internal");
        break;
    case MEMBER_SECONDS:
        buf_add_i64(out, *(const int64_t *)field);
        break;
    case MEMBER_FILTERS:
        add_filters(out, entry);
        break;
    case MEMBER_PASSWORD:
        buf_add_json_str(out, entry->secret->fingerprint);
        break;
    case MEMBER_FLAG:
    case MEMBER_WITHHELD:
        buf_add_str(out, "true");
        break;
    }
}

const char *document_scope_name(enum peering_scope scope) {
    static const char *const names[] = {
        [SCOPE_GLOBAL] = "Global",
        [SCOPE_NODE] = "Node",
        [SCOPE_NODE_SELECTOR] = "NodeSelector",
        [SCOPE_MESH] = "Mesh",
    };
    return names[scope];
}

void document_add_origin(struct buf *out, const char *key, const struct peering_origin *origin) {
    buf_json_key(out, key);
    buf_add_char(out, '{');
    buf_json_member_str(out, "bgpPeer", origin->bgp_peer);
    buf_json_member_str(out, "scope", document_scope_name(origin->scope));
    buf_json_member_true(out, "reverse", origin->reverse);
    buf_json_member_str(out, "remoteNode", origin->remote_node);
    buf_add_char(out, '}');
}

void document_add_entry_members(struct buf *out, const struct peering_entry *entry) {
    for (size_t i = 0; i < entry_member_count; i++) {
        if (member_is_present(&entry_members[i], entry)) {
            buf_json_key(out, entry_members[i].name);
            document_add_value(out, &entry_members[i], entry);
        }
    }
    document_add_origin(out, "origin", &entry->origin);
}

void document_add_suppressed_members(struct buf *out, const struct peering_suppressed *suppressed) {
    buf_json_member_str(out, "peerIP", suppressed->address_text);
    if (suppressed->port != 0) {
        buf_json_member_u64(out, "port", suppressed->port);
    }
    document_add_origin(out, "origin", &suppressed->origin);
    document_add_origin(out, "by", &suppressed->by);
    buf_json_member_str(out, "reason", suppressed->reason);
}

void document_add_problem(struct buf *out, const struct peering_problem *problem) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "reason", problem->reason);
    buf_json_member_str(out, "bgpPeer", problem->bgp_peer);
    buf_json_member_str(out, "peerIP", problem->peer_ip);
    buf_json_member_str(out, "message", problem->message);
    buf_add_char(out, '}');
}
