/*
 * FRR, the complete frr.conf: frr-reload deletes what is not in it.
 *
 * FRR goes on without a line that it does not take, and then runs a session without its password, its filter
 * or its TTL rule. So nothing is written that it could refuse: what it cannot take disables the session
 * before.
 *
 * Traps that this file keeps clear of, all found with FRR 8.4:
 *   - Words end at a blank, so that a password must not have one.
 *   - `port 179`, `hostname` and a restart time of 120 are added again by every reload.
 *   - `ttl-security` and `ebgp-multihop` exclude each other; internal sessions have no `ebgp-multihop`.
 *   - `local-as` is refused when it is the router's AS or the peer's, and for internal sessions.
 *   - Graceful restart, cluster ID and listening port belong to the router, not to a session.
 *   - `network` announces a prefix without a route in the kernel; a blackhole there would drop own traffic.
 *   - External sessions pass nothing without both route-maps: every session gets both.
 */
#include "frr.h"

#include <string.h>
#include <strings.h>

#include "text.h"

#define FRR_TTL_MAX         254
#define FRR_ALLOWED_AS_MAX  10
#define FRR_RESTART_DEFAULT 120

/* ---- what FRR can express ---- */

static bool frr_takes_password(const char *password, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)password[i];
        if (c <= ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool frr_has_own_as(const struct plan *plan, const struct plan_session *session) {
    return session->entry->local_as_number != plan->list->local.as_number;
}

static void frr_check_filters(struct plan *plan, struct plan_session *session) {
    for (enum direction direction = DIRECTION_IMPORT; direction <= DIRECTION_EXPORT; direction++) {
        if (frr_rule_count(session, direction) > FRR_RULES_MAX) {
            plan_cannot(plan, session, FIELD_FILTERS);
        }
        for (size_t i = 0; i < session->filter_count; i++) {
            const struct plan_rules *rules = &session->filters[i]->rules[plan_family(session)][direction];
            for (size_t k = 0; k < rules->count; k++) {
                if (rules->items[k].interface != NULL && plan_rule_applies(&rules->items[k], session)) {
                    plan_cannot(plan, session, FIELD_RULE_INTERFACE);
                }
            }
        }
    }
}

static void frr_check_session(struct plan *plan, struct plan_session *session) {
    const struct peering_entry *entry = session->entry;
    if (entry->ttl_security > FRR_TTL_MAX) {
        plan_cannot(plan, session, FIELD_TTL_SECURITY);
    }
    if (frr_has_own_as(plan, session) &&
        (!entry->external || entry->as_number == plan->list->local.as_number)) {
        plan_cannot(plan, session, FIELD_LOCAL_AS_NUMBER);
    }
    if (session->allowed_as > FRR_ALLOWED_AS_MAX) {
        session->allowed_as = FRR_ALLOWED_AS_MAX;
        plan_cannot(plan, session, FIELD_ALLOWED_AS);
    }
    frr_check_filters(plan, session);
}

/* The one restart time of the router; -1: no session says one. */
static int64_t frr_restart_time(const struct plan *plan) {
    int64_t longest = -1;
    for (size_t i = 0; i < plan->session_count; i++) {
        if (plan->sessions[i].restart_s > longest && plan->sessions[i].state == SESSION_ON) {
            longest = plan->sessions[i].restart_s;
        }
    }
    return longest;
}

static void frr_check_node(struct plan *plan) {
    uint16_t port = plan->list->local.listen_port;
    int64_t restart_s = frr_restart_time(plan);
    for (size_t i = 0; i < plan->session_count; i++) {
        struct plan_session *session = &plan->sessions[i];
        if (session->restart_s >= 0 && session->restart_s != restart_s) {
            plan_cannot(plan, session, FIELD_RESTART_TIME);
        }
    }
    if (port != 0 && port != PEERING_BGP_PORT) {
        plan_cannot(plan, NULL, FIELD_LISTEN_PORT);
    }
    if (plan->list->local.bind_mode != NULL) {
        plan_cannot(plan, NULL, FIELD_BIND_MODE);
    }
}

/* ---- the node ---- */

/* Levels of syslog by BGPConfiguration's logSeverityScreen; the first is the default. */
static const struct {
    const char *level, *word;
} LOG_LEVELS[] = {
    {"info", "informational"}, {"trace", "debugging"}, {"debug", "debugging"},
    {"warning", "warnings"},   {"error", "errors"},    {"fatal", "critical"},
};

static const char *frr_log_level(const char *level) {
    for (size_t i = 0; level != NULL && i < sizeof(LOG_LEVELS) / sizeof(LOG_LEVELS[0]); i++) {
        if (strcasecmp(level, LOG_LEVELS[i].level) == 0) {
            return LOG_LEVELS[i].word;
        }
    }
    return LOG_LEVELS[0].word;
}

static void frr_write_reachable(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        if (session->gateway == NULL || session->state != SESSION_ON) {
            continue;
        }
        bool six = plan_family(session) == 1;
        PUT(out, six ? "ipv6 route " : "ip route ", session->entry->address_text, six ? "/128 " : "/32 ",
            session->gateway, "\n");
    }
}

static void frr_write_router(const struct plan *plan, struct buf *out) {
    const struct peering_list *list = plan->list;
    int64_t restart_s = frr_restart_time(plan);
    text_number(out, "router bgp ", list->local.as_number, "\n");
    PUT(out, " bgp router-id ", list->local.router_id, "\n bgp log-neighbor-changes\n");
    if (plan->reflects) {
        PUT(out, " bgp cluster-id ", list->local.route_reflector_cluster_id, "\n");
    }
    buf_add_str(out, " bgp graceful-restart\n");
    if (restart_s >= 0 && restart_s != FRR_RESTART_DEFAULT) {
        text_number(out, " bgp graceful-restart restart-time ", (uint64_t)restart_s, "\n");
    }
    buf_add_str(out, " no bgp default ipv4-unicast\n no bgp network import-check\n");
}

/* ---- sessions ---- */

static void frr_begin(struct buf *out, const struct plan_session *session, const char *rest) {
    PUT(out, " neighbor ", session->entry->address_text, rest);
}

static void frr_write_ends(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    frr_begin(out, session, " remote-as ");
    text_number(out, "", entry->as_number, "\n");
    if (session->state == SESSION_DISABLED) {
        frr_begin(out, session, " shutdown\n");
    } else if (frr_has_own_as(plan, session)) {
        frr_begin(out, session, " local-as ");
        text_number(out, "", entry->local_as_number, " no-prepend replace-as\n");
    }
    frr_begin(out, session, " description ");
    comment_origin(session, out);
    buf_add_char(out, '\n');
    if (session->port != 0) {
        frr_begin(out, session, " port ");
        text_number(out, "", session->port, "\n");
    }
    if (session->source != NULL) {
        frr_begin(out, session, " update-source ");
        PUT(out, session->source, "\n");
    }
}

static void frr_write_session(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    comment_session(plan, session, out);
    if (session->state == SESSION_LEFT_OUT) {
        return;
    }
    frr_write_ends(plan, session, out);
    if (entry->passive) {
        frr_begin(out, session, " passive\n");
    }
    if (entry->ttl_security > 0 && entry->ttl_security <= FRR_TTL_MAX) {
        frr_begin(out, session, " ttl-security hops ");
        text_number(out, "", entry->ttl_security, "\n");
    } else if (entry->as_number != plan->list->local.as_number) {
        frr_begin(out, session, " ebgp-multihop 255\n");
    }
    if (session->password_len > 0) {
        frr_begin(out, session, " password ");
        buf_add(out, plan_password(plan, session), session->password_len);
        buf_add_char(out, '\n');
    }
    if (session->has_timers) {
        frr_begin(out, session, " timers ");
        text_number(out, "", session->keepalive_s, " ");
        text_number(out, "", session->keepalive_s * UINT64_C(3), "\n");
    }
    frr_begin(out, session, " timers connect 5\n");
}

/* ---- address families ---- */

static void frr_begin_in_family(struct buf *out, const struct plan_session *session, const char *rest) {
    buf_add_char(out, ' ');
    frr_begin(out, session, rest);
}

static void frr_write_activation(const struct plan *plan, const struct plan_session *session,
                                 struct buf *out) {
    const char *next_hop = session->entry->next_hop;
    bool on = session->state == SESSION_ON;
    frr_begin_in_family(out, session, " activate\n");
    if (on && session->client) {
        frr_begin_in_family(out, session, " route-reflector-client\n");
    }
    if (on && next_hop != NULL && strcmp(next_hop, "Self") == 0) {
        /* Without `force`, what a reflector passes on would keep its next hop. */
        frr_begin_in_family(out, session,
                            plan_reflects_to(plan, session) ? " next-hop-self force\n" : " next-hop-self\n");
    } else if (on && next_hop != NULL) {
        frr_begin_in_family(out, session, " attribute-unchanged next-hop\n");
    }
    if (on && session->allowed_as > 0) {
        frr_begin_in_family(out, session, " allowas-in ");
        text_number(out, "", session->allowed_as, "\n");
    }
    frr_begin_in_family(out, session, " route-map ");
    frr_add_map(plan, session, DIRECTION_IMPORT, out);
    buf_add_str(out, " in\n");
    frr_begin_in_family(out, session, " route-map ");
    frr_add_map(plan, session, DIRECTION_EXPORT, out);
    buf_add_str(out, " out\n");
}

static void frr_write_family(const struct plan *plan, size_t family, struct buf *out) {
    PUT(out, " address-family ", family == 0 ? "ipv4" : "ipv6", " unicast\n");
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        if ((advertisement->prefix.addr.family == IP_V6) == (family == 1)) {
            PUT(out, "  network ", advertisement->cidr);
            if (advertisement->community_count > 0) {
                PUT(out, " route-map tag.", advertisement->cidr);
            }
            buf_add_char(out, '\n');
        }
    }
    for (size_t i = 0; i < plan->session_count; i++) {
        if (plan->sessions[i].state != SESSION_LEFT_OUT && plan_family(&plan->sessions[i]) == family) {
            frr_write_activation(plan, &plan->sessions[i], out);
        }
    }
    buf_add_str(out, " exit-address-family\n");
}

static void frr_write(const struct plan *plan, struct buf *out) {
    comment_head(plan, out);
    PUT(out,
        "! FRR includes no files. What the host adds is put behind this text; the prefixes of its "
        "prefix-lists\n"
        "! local4 and local6 are announced.\n",
        "frr defaults traditional\nlog syslog ", frr_log_level(plan->list->local.log_severity), "\n!\n");
    frr_write_reachable(plan, out);
    frr_write_policies(plan, out);
    buf_add_str(out, "!\n");
    frr_write_router(plan, out);
    for (size_t i = 0; i < plan->session_count; i++) {
        frr_write_session(plan, &plan->sessions[i], out);
    }
    frr_write_family(plan, 0, out);
    frr_write_family(plan, 1, out);
    buf_add_str(out, "exit\n!\n");
}

const struct render_writer FRR_WRITER = {
    .daemon = RENDER_FRR,
    .comment = "! ",
    .by_address = true,
    .takes_password = frr_takes_password,
    .check_session = frr_check_session,
    .check_node = frr_check_node,
    .write = frr_write,
};
