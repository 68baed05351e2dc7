/*
 * OpenBGPD, the complete bgpd.conf.
 *
 * Traps that this file keeps clear of, all found with OpenBGPD 7.7 on Linux:
 *   - `local-address` beside a password lets unsigned connections in: it is left out then.
 *   - A password goes in as a key in hexadecimal, in quotes: a string changes some bytes, and digits without
 *     quotes are a number.
 *   - `descr` takes the address's place in what bgpctl shows: there is none.
 *   - A backslash at the end of a line goes on with the next one, in comments too: none is ever written.
 *   - A reload never touches a running session: the agent must clear those that changed.
 *   - AS 23456 is refused, with the whole file.
 *   - `ttl-security` of an internal session is taken, and nothing is checked: such a session is disabled.
 */
#include "openbgpd.h"

#include <string.h>

#include "text.h"

#define LOCAL_FILE "/etc/bgpd.local.conf"
#define AS_TRANS   23456 /* RFC 6793: stands for numbers that an old speaker cannot hold */

static bool openbgpd_takes_password(const char *password, size_t len) {
    (void)password;
    return len <= PLAN_PASSWORD_MAX;
}

/* ---- what OpenBGPD can express ---- */

static void openbgpd_check_filters(struct plan *plan, struct plan_session *session) {
    for (enum direction direction = DIRECTION_IMPORT; direction <= DIRECTION_EXPORT; direction++) {
        for (size_t i = 0; i < session->filter_count; i++) {
            const struct plan_rules *rules = &session->filters[i]->rules[plan_family(session)][direction];
            for (size_t k = 0; k < rules->count; k++) {
                enum list_field field;
                if (plan_rule_applies(&rules->items[k], session) &&
                    !openbgpd_takes_rule(&rules->items[k], direction, &field)) {
                    plan_cannot(plan, session, field);
                }
            }
        }
    }
}

static void openbgpd_check_session(struct plan *plan, struct plan_session *session) {
    const struct peering_entry *entry = session->entry;
    if (entry->as_number == AS_TRANS || entry->local_as_number == AS_TRANS) {
        plan_leave_out(plan, session, FIELD_AS_NUMBER);
    }
    if (session->source != NULL && session->password_len > 0) {
        session->source = NULL;
        plan_cannot(plan, session, FIELD_SOURCE_ADDRESS);
    }
    if (entry->ttl_security > 0 && !entry->external) {
        plan_cannot(plan, session, FIELD_TTL_SECURITY);
    }
    if (session->has_timers && session->keepalive_s == 0) {
        session->has_timers = false;
        plan_cannot(plan, session, FIELD_KEEPALIVE);
    }
    if (session->restart_s >= 0) {
        plan_cannot(plan, session, FIELD_RESTART_TIME);
    }
    if (session->allowed_as > 0) {
        plan_cannot(plan, session, FIELD_ALLOWED_AS);
    }
    if (session->gateway != NULL) {
        plan_cannot(plan, session, FIELD_REACHABLE_BY);
    }
    openbgpd_check_filters(plan, session);
}

static void openbgpd_check_node(struct plan *plan) {
    if (plan->list->local.log_severity != NULL) {
        plan_cannot(plan, NULL, FIELD_LOG_SEVERITY);
    }
}

/* ---- the node ---- */

static void openbgpd_listen(struct buf *out, const char *address, uint16_t port) {
    if (address == NULL) {
        return;
    }
    PUT(out, "listen on ", address);
    if (port != 0 && port != PEERING_BGP_PORT) {
        text_number(out, " port ", port, "");
    }
    buf_add_char(out, '\n');
}

static void openbgpd_write_global(const struct plan *plan, struct buf *out) {
    const struct peering_list *list = plan->list;
    uint16_t port = list->local.listen_port;
    text_number(out, "AS ", list->local.as_number, "\n");
    PUT(out, "router-id ", list->local.router_id, "\n");
    if (list->local.bind_mode != NULL) {
        openbgpd_listen(out, list->local.ipv4_address, port);
        openbgpd_listen(out, list->local.ipv6_address, port);
    } else if (port != 0 && port != PEERING_BGP_PORT) {
        openbgpd_listen(out, "0.0.0.0", port);
        openbgpd_listen(out, "::", port);
    }
    for (size_t i = 0; i < list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &list->advertisements[i];
        PUT(out, "network ", advertisement->cidr);
        bool some = false;
        for (size_t c = 0; c < advertisement->community_count; c++) {
            struct plan_community community;
            if (plan_parse_community(advertisement->communities[c], &community)) {
                PUT(out, some ? "" : " set {", community.parts == 2 ? " community " : " large-community ");
                plan_add_community(out, &community, ":");
                some = true;
            }
        }
        buf_add_str(out, some ? " }\n" : "\n");
    }
}

/* ---- sessions ---- */

static void openbgpd_write_key(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    static const char HEX[] = "0123456789abcdef";
    const char *password = plan_password(plan, session);
    buf_add_str(out, "  tcp md5sig key \"");
    for (size_t i = 0; i < session->password_len; i++) {
        unsigned char c = (unsigned char)password[i];
        buf_add_char(out, HEX[c >> 4]);
        buf_add_char(out, HEX[c & 15]);
    }
    buf_add_str(out, "\"\n");
}

static void openbgpd_write_ttl(const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    if (entry->ttl_security > 0) {
        buf_add_str(out, "  ttl-security yes\n");
    }
    if (entry->ttl_security > 1) {
        text_number(out, "  multihop ", entry->ttl_security, "\n");
    } else if (entry->ttl_security == 0 && entry->external) {
        buf_add_str(out, "  multihop 255\n");
    }
}

static void openbgpd_write_options(const struct plan *plan, const struct plan_session *session,
                                   struct buf *out) {
    const struct peering_entry *entry = session->entry;
    if (entry->local_as_number != plan->list->local.as_number) {
        text_number(out, "  local-as ", entry->local_as_number, "\n");
    }
    if (session->port != 0) {
        text_number(out, "  port ", session->port, "\n");
    }
    if (session->source != NULL) {
        PUT(out, "  local-address ", session->source, "\n");
    }
    openbgpd_write_ttl(session, out);
    if (session->password_len > 0) {
        openbgpd_write_key(plan, session, out);
    }
    if (session->has_timers) {
        text_number(out, "  holdtime ", session->keepalive_s * UINT64_C(3), "\n");
    }
    if (entry->passive) {
        buf_add_str(out, "  passive\n");
    }
    if (session->client) {
        PUT(out, "  route-reflector ", entry->route_reflector_cluster_id, "\n");
    }
}

static void openbgpd_write_session(const struct plan *plan, const struct plan_session *session,
                                   struct buf *out) {
    comment_session(plan, session, out);
    if (session->state == SESSION_LEFT_OUT) {
        return;
    }
    PUT(out, "neighbor ", session->entry->address_text, " {\n");
    text_number(out, "  remote-as ", session->entry->as_number, "\n");
    if (session->state == SESSION_DISABLED) {
        PUT(out, "  down \"", session->reason, "\"\n");
    }
    openbgpd_write_options(plan, session, out);
    if (plan_family(session) == 1) {
        buf_add_str(out, "  announce IPv6 unicast\n  announce IPv4 none\n");
    }
    if (session->entry->next_hop != NULL) {
        bool self = strcmp(session->entry->next_hop, "Self") == 0;
        PUT(out, "  set nexthop ", self ? "self\n" : "no-modify\n");
    }
    buf_add_str(out, "}\n");
}

static void openbgpd_write(const struct plan *plan, struct buf *out) {
    comment_head(plan, out);
    PUT(out, "# What the host adds comes from " LOCAL_FILE " (the file must exist). To announce a prefix,\n"
             "# it has `network PREFIX` and `allow quick to any prefix PREFIX`.\n");
    openbgpd_write_global(plan, out);
    for (size_t i = 0; i < plan->session_count; i++) {
        openbgpd_write_session(plan, &plan->sessions[i], out);
    }
    openbgpd_write_policies(plan, LOCAL_FILE, out);
}

const struct render_writer OPENBGPD_WRITER = {
    .daemon = RENDER_OPENBGPD,
    .comment = "# ",
    .by_address = true,
    .takes_password = openbgpd_takes_password,
    .check_session = openbgpd_check_session,
    .check_node = openbgpd_check_node,
    .write = openbgpd_write,
};
