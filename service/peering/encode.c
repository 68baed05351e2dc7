/*
 * The PeeringList document. An absent member means "off" or "default"; booleans appear only when true;
 * items, suppressed and problems are always there, so that clients need not ask.
 *
 * A password that cannot be revealed withholds its session. The caller's buffer wipes itself; nothing here
 * keeps a copy of a password.
 */
#include "model/resources.h"
#include "peering.h"

static const char *scope_name(enum peering_scope scope) {
    static const char *const names[] = {
        [SCOPE_GLOBAL] = "Global",
        [SCOPE_NODE] = "Node",
        [SCOPE_NODE_SELECTOR] = "NodeSelector",
        [SCOPE_MESH] = "Mesh",
    };
    return names[scope];
}

static void add_origin(struct buf *out, const char *key, const struct peering_origin *origin) {
    buf_json_key(out, key);
    buf_add_char(out, '{');
    buf_json_member_str(out, "bgpPeer", origin->bgp_peer);
    buf_json_member_str(out, "scope", scope_name(origin->scope));
    buf_json_member_true(out, "reverse", origin->reverse);
    buf_json_member_str(out, "remoteNode", origin->remote_node);
    buf_add_char(out, '}');
}

/* Members where 0 means absent. */
static void add_number(struct buf *out, const char *key, uint64_t value) {
    if (value != 0) {
        buf_json_member_u64(out, key, value);
    }
}

/* Members where a negative value means absent. */
static void add_seconds(struct buf *out, const char *key, int64_t value) {
    if (value >= 0) {
        buf_json_member_u64(out, key, (uint64_t)value);
    }
}

static void add_problem(struct buf *out, const struct peering_problem *problem) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "reason", problem->reason);
    buf_json_member_str(out, "bgpPeer", problem->bgp_peer);
    buf_json_member_str(out, "peerIP", problem->peer_ip);
    buf_json_member_str(out, "message", problem->message);
    buf_add_char(out, '}');
}

/*
 * The password's members. Returns whether the session is withheld; a password that cannot be had now adds a
 * problem to `problems`.
 */
static bool add_password(struct buf *out, const struct peering_entry *entry,
                         const struct peering_reveal *reveal, struct buf *problems) {
    if (entry->password != PASSWORD_VALUE) {
        return entry->password == PASSWORD_WITHHELD;
    }
    if (reveal != NULL) {
        struct buf password = BUF_INIT;
        struct err err = ERR_INIT;
        password.wipe = true;
        bool revealed = reveal->password(reveal->arg, entry, &password, &err) == 0 && !buf_failed(&password);
        if (revealed) {
            buf_json_key(out, "password");
            buf_add_json(out, password.data != NULL ? password.data : "", password.len);
        }
        buf_done(&password);
        if (!revealed) {
            struct peering_problem problem = {
                .reason = "VaultError",
                .bgp_peer = entry->origin.bgp_peer,
                .peer_ip = entry->address_text,
                .message = "the vault cannot give out the password of this session now, so the session is "
                           "withheld; see the service's log and `bgppeerd vault status`.",
            };
            add_problem(problems, &problem);
            return true;
        }
    }
    buf_json_member_str(out, "passwordFingerprint", entry->secret->fingerprint);
    return false;
}

static void add_entry(struct buf *out, const struct peering_entry *entry, const struct peering_reveal *reveal,
                      struct buf *problems) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "family", entry->address.family == IP_V4 ? "IPv4" : "IPv6");
    buf_json_member_str(out, "peerIP", entry->address_text);
    add_number(out, "port", entry->port);
    buf_json_member_u64(out, "asNumber", entry->as_number);
    buf_json_member_u64(out, "localASNumber", entry->local_as_number);
    buf_json_member_str(out, "type", entry->external ? "external" : "internal");
    buf_json_member_str(out, "sourceAddress", entry->source_address);
    bool withheld = add_password(out, entry, reveal, problems);
    add_number(out, "ttlSecurity", entry->ttl_security);
    add_seconds(out, "maxRestartTimeSeconds", entry->max_restart_time_s);
    add_seconds(out, "keepaliveTimeSeconds", entry->keepalive_time_s);
    buf_json_member_str(out, "nextHop", entry->next_hop);
    buf_json_member_str(out, "routeReflectorClusterID", entry->route_reflector_cluster_id);
    add_number(out, "numAllowedLocalASNumbers", entry->num_allowed_local_as_numbers);
    buf_json_member_true(out, "passive", entry->passive);
    if (entry->filter_count > 0) {
        buf_json_key(out, "filters");
        buf_add_char(out, '[');
        for (size_t i = 0; i < entry->filter_count; i++) {
            buf_json_comma(out);
            buf_add_json_str(out, entry->filters[i]);
        }
        buf_add_char(out, ']');
    }
    buf_json_member_str(out, "reachableBy", entry->reachable_by);
    buf_json_member_true(out, "withheld", withheld);
    add_origin(out, "origin", &entry->origin);
    buf_add_char(out, '}');
}

static void add_local(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "local");
    buf_add_char(out, '{');
    buf_json_member_u64(out, "asNumber", list->local.as_number);
    buf_json_member_str(out, "ipv4Address", list->local.ipv4_address);
    buf_json_member_str(out, "ipv6Address", list->local.ipv6_address);
    add_number(out, "listenPort", list->local.listen_port);
    buf_json_member_str(out, "routeReflectorClusterID", list->local.route_reflector_cluster_id);
    buf_add_char(out, '}');
}

static void add_suppressed(struct buf *out, const struct peering_list *list) {
    buf_json_key(out, "suppressed");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &list->suppressed[i];
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "peerIP", suppressed->address_text);
        add_number(out, "port", suppressed->port);
        add_origin(out, "origin", &suppressed->origin);
        add_origin(out, "by", &suppressed->by);
        buf_json_member_str(out, "reason", suppressed->reason);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

/* `resource_version` NULL: leave it out. */
static void add_document(struct buf *out, const struct peering_list *list, const uint64_t *resource_version,
                         const struct peering_reveal *reveal) {
    struct buf problems = BUF_INIT; /* those that appear while writing */
    buf_add_char(&problems, '[');
    for (size_t i = 0; i < list->problem_count; i++) {
        add_problem(&problems, &list->problems[i]);
    }
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringList\",\"metadata\":{");
    buf_json_member_str(out, "node", list->node);
    if (resource_version != NULL) {
        buf_json_key(out, "resourceVersion");
        buf_printf(out, "\"%llu\"", (unsigned long long)*resource_version);
    }
    buf_add_char(out, '}');
    add_local(out, list);
    buf_json_key(out, "items");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->entry_count; i++) {
        add_entry(out, &list->entries[i], reveal, &problems);
    }
    buf_add_char(out, ']');
    add_suppressed(out, list);
    buf_json_key(out, "problems");
    buf_add(out, problems.data, problems.len);
    buf_add_str(out, "]}");
    out->failed = out->failed || buf_failed(&problems);
    buf_done(&problems);
}

void peering_encode(const struct peering_list *list, uint64_t resource_version,
                    const struct peering_reveal *reveal, struct buf *out) {
    add_document(out, list, &resource_version, reveal);
}

void peering_encode_content(const struct peering_list *list, struct buf *out) {
    add_document(out, list, NULL, NULL);
}
