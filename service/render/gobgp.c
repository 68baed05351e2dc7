/*
 * GoBGP, the complete TOML file: a reload removes sessions that are not in it.
 *
 * Prefixes cannot be written into the file. Lines of comment `# announce CIDR` name them, for the agent,
 * which tells them to the running daemon. Nothing in a session's table changes with the list but what the
 * session consists of: GoBGP restarts a session for another description, too, so that there is none.
 *
 * Traps that this file keeps clear of, all found with GoBGP 3.10:
 *   - A password of more than 80 bytes is left away, with a warning: such a session is disabled.
 *   - A zero is the default: a keepalive time of 0 cannot be written.
 *   - `remote-port = 179` restarts sessions that had none.
 *   - Without a router ID the file is good and the daemon fails.
 */
#include "gobgp.h"

#include "base/text.h"
#include "text.h"

#define GOBGP_TTL_MAX 255

/* Printable UTF-8 as it is, control characters escaped. */
static bool gobgp_takes_password(const char *password, size_t len) {
    const unsigned char *at = (const unsigned char *)password;
    while (len > 0) {
        size_t taken = *at != 0 && *at < 0x80 ? 1 : text_visible(at, len);
        if (taken == 0) {
            return false;
        }
        at += taken;
        len -= taken;
    }
    return true;
}

static void gobgp_add_string(struct buf *out, const char *text, size_t len) {
    static const char HEX[] = "0123456789abcdef";
    buf_add_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f) {
            buf_add_str(out, "\\u00");
            buf_add_char(out, HEX[c >> 4]);
            buf_add_char(out, HEX[c & 15]);
        } else {
            if (c == '"' || c == '\\') {
                buf_add_char(out, '\\');
            }
            buf_add_char(out, text[i]);
        }
    }
    buf_add_char(out, '"');
}

/* ---- what GoBGP can express ---- */

static void gobgp_check_filters(struct plan *plan, struct plan_session *session) {
    for (enum direction direction = DIRECTION_IMPORT; direction <= DIRECTION_EXPORT; direction++) {
        for (size_t i = 0; i < session->filter_count; i++) {
            const struct plan_rules *rules = &session->filters[i]->rules[plan_family(session)][direction];
            for (size_t k = 0; k < rules->count; k++) {
                enum list_field field;
                if (plan_rule_applies(&rules->items[k], session) &&
                    !gobgp_takes_rule(&rules->items[k], session, direction, &field)) {
                    plan_cannot(plan, session, field);
                }
            }
        }
    }
}

static void gobgp_check_session(struct plan *plan, struct plan_session *session) {
    if (session->has_timers && session->keepalive_s == 0) {
        session->has_timers = false;
        plan_cannot(plan, session, FIELD_KEEPALIVE);
    }
    if (session->restart_s == 0) {
        session->restart_s = -1;
        plan_cannot(plan, session, FIELD_RESTART_TIME);
    }
    if (session->gateway != NULL) {
        plan_cannot(plan, session, FIELD_REACHABLE_BY);
    }
    gobgp_check_filters(plan, session);
}

static void gobgp_check_node(struct plan *plan) {
    if (plan->list->local.log_severity != NULL) {
        plan_cannot(plan, NULL, FIELD_LOG_SEVERITY);
    }
}

/* ---- the node ---- */

static void gobgp_write_global(const struct plan *plan, struct buf *out) {
    const struct peering_list *list = plan->list;
    uint16_t port = list->local.listen_port;
    text_number(out, "[global.config]\nas = ", list->local.as_number, "\n");
    PUT(out, "router-id = \"", list->local.router_id, "\"\n");
    if (port != 0 && port != PEERING_BGP_PORT) {
        text_number(out, "port = ", port, "\n");
    }
    if (list->local.bind_mode != NULL) {
        const char *four = list->local.ipv4_address, *six = list->local.ipv6_address;
        PUT(out, "local-address-list = [", four != NULL ? "\"" : "", four != NULL ? four : "",
            four != NULL ? "\"" : "", four != NULL && six != NULL ? ", " : "", six != NULL ? "\"" : "",
            six != NULL ? six : "", six != NULL ? "\"" : "", "]\n");
    }
}

/* For programs: what the daemon must be told at run time. The policy adds the communities. */
static void gobgp_write_announced(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        PUT(out, "# announce ", plan->list->advertisements[i].cidr, "\n");
    }
}

/* ---- sessions ---- */

static void gobgp_write_config(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    PUT(out, "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"", entry->address_text, "\"\n");
    text_number(out, "peer-as = ", entry->as_number, "\n");
    if (entry->local_as_number != plan->list->local.as_number) {
        text_number(out, "local-as = ", entry->local_as_number, "\n");
    }
    if (session->state == SESSION_DISABLED) {
        buf_add_str(out, "admin-down = true\n");
    }
    if (session->password_len > 0) {
        buf_add_str(out, "auth-password = ");
        gobgp_add_string(out, plan_password(plan, session), session->password_len);
        buf_add_char(out, '\n');
    }
}

static void gobgp_write_transport(const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    if (session->source != NULL || session->port != 0 || entry->passive) {
        buf_add_str(out, "[neighbors.transport.config]\n");
    }
    if (session->source != NULL) {
        PUT(out, "local-address = \"", session->source, "\"\n");
    }
    if (session->port != 0) {
        text_number(out, "remote-port = ", session->port, "\n");
    }
    if (entry->passive) {
        buf_add_str(out, "passive-mode = true\n");
    }
    if (entry->ttl_security > 0) {
        text_number(out, "[neighbors.ttl-security.config]\nenabled = true\nttl-min = ",
                    GOBGP_TTL_MAX + 1u - entry->ttl_security, "\n");
    } else if (entry->external) {
        text_number(out, "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = ", GOBGP_TTL_MAX,
                    "\n");
    }
}

static void gobgp_write_session(const struct plan *plan, const struct plan_session *session,
                                struct buf *out) {
    comment_session(plan, session, out);
    if (session->state == SESSION_LEFT_OUT) {
        return;
    }
    gobgp_write_config(plan, session, out);
    gobgp_write_transport(session, out);
    buf_add_str(out, "[neighbors.timers.config]\nconnect-retry = 5\nidle-hold-time-after-reset = 5\n");
    if (session->has_timers) {
        text_number(out, "keepalive-interval = ", session->keepalive_s, "\n");
        text_number(out, "hold-time = ", session->keepalive_s * UINT64_C(3), "\n");
    }
    if (session->restart_s > 0) {
        text_number(out, "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = ",
                    (uint64_t)session->restart_s, "\n");
    }
    if (session->allowed_as > 0) {
        text_number(out, "[neighbors.as-path-options.config]\nallow-own-as = ", session->allowed_as, "\n");
    }
    if (session->client) {
        PUT(out, "[neighbors.route-reflector.config]\nroute-reflector-client = true\n",
            "route-reflector-cluster-id = \"", session->entry->route_reflector_cluster_id, "\"\n");
    }
    PUT(out, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"",
        plan_family(session) == 0 ? "ipv4" : "ipv6", "-unicast\"\n");
    if (session->restart_s > 0) {
        buf_add_str(out, "[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n");
    }
}

static void gobgp_write(const struct plan *plan, struct buf *out) {
    comment_head(plan, out);
    buf_add_str(out,
                "# GoBGP includes no files and takes no prefixes from this one. It must be told those below "
                "at run time;\n# what the host tells it besides is announced as well.\n");
    gobgp_write_announced(plan, out);
    gobgp_write_global(plan, out);
    gobgp_write_policies(plan, out);
    for (size_t i = 0; i < plan->session_count; i++) {
        gobgp_write_session(plan, &plan->sessions[i], out);
    }
}

const struct render_writer GOBGP_WRITER = {
    .daemon = RENDER_GOBGP,
    .comment = "# ",
    .by_address = true,
    .takes_password = gobgp_takes_password,
    .check_session = gobgp_check_session,
    .check_node = gobgp_check_node,
    .write = gobgp_write,
};
