/*
 * The parts of documents: entries by the table of their members, origins, suppressed entries, problems.
 * Nothing here writes a password in clear.
 */
#include "document.h"

#include "model/resources.h"

static void add_texts(struct buf *out, const struct peering_member *member, const void *base) {
    const char *const *texts = *(const char *const *const *)peering_member_at(member, base);
    size_t count = *(const size_t *)(const void *)((const char *)base + member->count_offset);
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, texts[i]);
    }
    buf_add_char(out, ']');
}

static void add_origin_value(struct buf *out, const struct peering_origin *origin) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "bgpPeer", origin->bgp_peer);
    buf_json_member_str(out, "scope", document_scope_name(origin->scope));
    buf_json_member_true(out, "reverse", origin->reverse);
    buf_json_member_str(out, "remoteNode", origin->remote_node);
    buf_add_char(out, '}');
}

void document_add_value(struct buf *out, const struct peering_member *member, const void *base) {
    const void *at = peering_member_at(member, base);
    switch (member->kind) {
    case MEMBER_FAMILY:
        buf_add_json_str(out, ((const struct ip_addr *)at)->family == IP_V4 ? "IPv4" : "IPv6");
        break;
    case MEMBER_CHARS:
        buf_add_json_str(out, at);
        break;
    case MEMBER_TEXT:
        buf_add_json_str(out, *(const char *const *)at);
        break;
    case MEMBER_U8:
    case MEMBER_U32:
    case MEMBER_PORT:
    case MEMBER_AS:
        buf_add_u64(out, peering_member_number(member, base));
        break;
    case MEMBER_TYPE:
        buf_add_json_str(out, *(const bool *)at ? "external" : "internal");
        break;
    case MEMBER_SECONDS:
        buf_add_i64(out, *(const int64_t *)at);
        break;
    case MEMBER_TEXTS:
        add_texts(out, member, base);
        break;
    case MEMBER_PASSWORD:
        buf_add_json_str(out, ((const struct peering_entry *)base)->secret->fingerprint);
        break;
    case MEMBER_ORIGIN:
        add_origin_value(out, at);
        break;
    case MEMBER_FLAG:
    case MEMBER_WITHHELD:
        buf_add_str(out, "true");
        break;
    }
}

void document_add_members(struct buf *out, const struct peering_member *members, size_t count,
                          const void *base) {
    for (size_t i = 0; i < count; i++) {
        if (peering_member_is_present(&members[i], base)) {
            buf_json_key(out, members[i].name);
            document_add_value(out, &members[i], base);
        }
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
    add_origin_value(out, origin);
}

void document_add_entry_members(struct buf *out, const struct peering_entry *entry) {
    document_add_members(out, peering_entry_members, peering_entry_member_count, entry);
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
