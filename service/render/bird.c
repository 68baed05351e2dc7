/*
 * BIRD 2, and 3 with the same text: nothing is known in it that BIRD 3 reads differently.
 *
 * Traps that this file keeps clear of, all found with BIRD 2.0.12:
 *   - Names are quoted and have a dot, because keywords stay keywords in quotes.
 *   - A string has no escapes: it ends at the next quotation mark, whatever is before it.
 *   - `multihop` without a number sends a TTL of 64, which a peer's GTSM drops.
 *   - `metric 0` in the kernel protocol lets krt_metric reach the kernel.
 *   - Without `direct` and `learn`, next hops of multihop sessions are unreachable.
 *   - Own prefixes are blackholes in BIRD's table only: in the kernel's they would drop the node's own
 * traffic.
 *   - `log stderr` is lost once the daemon has left its terminal.
 */
#include <string.h>
#include <strings.h>

#include "bird.h"
#include "text.h"

#define LOCAL_DIRECTORY "/etc/bird/local.d"

/* ---- the node ---- */

/* Classes of messages by BGPConfiguration's logSeverityScreen; the first is the default. */
static const struct {
    const char *level, *classes;
} LOG_CLASSES[] = {
    {"info", "{ info, remote, warning, error, auth, fatal, bug }"},
    {"trace", "all"},
    {"debug", "all"},
    {"warning", "{ remote, warning, error, auth, fatal, bug }"},
    {"error", "{ error, auth, fatal, bug }"},
    {"fatal", "{ fatal, bug }"},
};

static const char *bird_log_classes(const char *level) {
    for (size_t i = 0; level != NULL && i < sizeof(LOG_CLASSES) / sizeof(LOG_CLASSES[0]); i++) {
        if (strcasecmp(level, LOG_CLASSES[i].level) == 0) {
            return LOG_CLASSES[i].classes;
        }
    }
    return LOG_CLASSES[0].classes;
}

static void bird_write_direct(const struct plan *plan, size_t family, struct buf *out) {
    PUT(out, "protocol direct 'direct", BIRD_FAMILY[family], "' { ipv", BIRD_FAMILY[family], "; interface ");
    for (size_t i = 0; i < plan->list->local.ignored_interface_count; i++) {
        const char *name = plan->list->local.ignored_interfaces[i];
        if (plan_is_interface(name)) {
            PUT(out, "-\"", name, "\", ");
        }
    }
    buf_add_str(out, "\"*\"; }\n");
}

static void bird_write_kernel(size_t family, struct buf *out) {
    const char *f = BIRD_FAMILY[family];
    PUT(out, "protocol kernel 'kernel", f, "' {\n",
        "  learn; persist; metric 0; scan time 10; merge paths on; graceful restart;\n  ipv", f,
        " { import all; export where (source = RTS_BGP) || (proto = \"reach", f, "\"); };\n}\n");
}

static void bird_write_announced(const struct plan *plan, size_t family, struct buf *out) {
    const struct peering_list *list = plan->list;
    PUT(out, "protocol static 'announce", BIRD_FAMILY[family], "' {\n  ipv", BIRD_FAMILY[family], ";\n");
    for (size_t i = 0; i < list->advertisement_count; i++) {
        if ((list->advertisements[i].prefix.addr.family == IP_V6) == (family == 1)) {
            PUT(out, "  route ", list->advertisements[i].cidr, " blackhole;\n");
        }
    }
    buf_add_str(out, "}\n");
}

static void bird_write_reachable(const struct plan *plan, size_t family, struct buf *out) {
    PUT(out, "protocol static 'reach", BIRD_FAMILY[family], "' {\n  ipv", BIRD_FAMILY[family], ";\n");
    const char *before = "";
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        const char *address = session->entry->address_text;
        if (session->gateway == NULL || session->state != SESSION_ON || plan_family(session) != family ||
            strcmp(address, before) == 0) {
            continue;
        }
        PUT(out, "  route ", address, family == 0 ? "/32 via " : "/128 via ", session->gateway, ";\n");
        before = address;
    }
    buf_add_str(out, "}\n");
}

static void bird_write_node(const struct plan *plan, struct buf *out) {
    comment_head(plan, out);
    PUT(out, "# What the host adds comes from files ", LOCAL_DIRECTORY,
        "/*.conf (the directory must exist). Routes of\n"
        "# protocols there whose names begin with \"local.\" are announced.\n",
        "log syslog ", bird_log_classes(plan->list->local.log_severity), ";\n", "router id ",
        plan->list->local.router_id, ";\ntimeformat protocol iso long;\n",
        "graceful restart wait 60;\n\nprotocol device 'device1' { scan time 10; }\n");
    for (size_t family = 0; family < 2; family++) {
        bird_write_direct(plan, family, out);
        bird_write_kernel(family, out);
        bird_write_announced(plan, family, out);
        bird_write_reachable(plan, family, out);
    }
    buf_add_char(out, '\n');
}

/* ---- sessions ---- */

static bool bird_takes_password(const char *password, size_t len) {
    return memchr(password, '"', len) == NULL && memchr(password, '\n', len) == NULL &&
           memchr(password, '\r', len) == NULL && memchr(password, '\0', len) == NULL;
}

static void bird_check_session(struct plan *plan, struct plan_session *session) {
    if (plan->list->local.bind_mode != NULL && session->source == NULL) {
        plan_cannot(plan, session, FIELD_BIND_MODE);
    }
}

static void bird_write_ends(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    const struct peering_entry *entry = session->entry;
    uint16_t listen_port = plan->list->local.listen_port;
    buf_add_str(out, "  local");
    if (session->source != NULL) {
        PUT(out, " ", session->source);
    }
    if (listen_port != 0 && listen_port != PEERING_BGP_PORT) {
        text_number(out, " port ", listen_port, "");
    }
    text_number(out, " as ", entry->local_as_number, ";\n");
    PUT(out, "  neighbor ", entry->address_text);
    if (session->port != 0) {
        text_number(out, " port ", session->port, "");
    }
    text_number(out, " as ", entry->as_number, ";\n");
    /* Besides a socket for all addresses BIRD opens none for one address; its sessions would stay down. */
    if (plan->list->local.bind_mode != NULL && !plan->sourceless[plan_family(session)]) {
        buf_add_str(out, "  strict bind yes;\n");
    }
}

static void bird_write_ttl(const struct plan_session *session, struct buf *out) {
    uint8_t hops = session->entry->ttl_security;
    if (hops == 0) {
        buf_add_str(out, "  multihop 255;\n");
    } else if (hops == 1) {
        buf_add_str(out, "  direct;\n  ttl security on;\n");
    } else {
        text_number(out, "  multihop ", hops, ";\n  ttl security on;\n");
    }
}

static void bird_write_timers(const struct plan_session *session, struct buf *out) {
    if (session->has_timers) {
        text_number(out, "  hold time ", session->keepalive_s * UINT64_C(3), ";\n");
        if (session->keepalive_s > 0) {
            text_number(out, "  keepalive time ", session->keepalive_s, ";\n");
        }
    }
    if (session->restart_s >= 0) {
        text_number(out, "  graceful restart time ", (uint64_t)session->restart_s, ";\n");
    }
}

static void bird_write_options(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    if (session->password_len > 0) {
        buf_add_str(out, "  password \"");
        buf_add(out, plan_password(plan, session), session->password_len);
        buf_add_str(out, "\";\n");
    }
    bird_write_timers(session, out);
    if (session->allowed_as > 0) {
        text_number(out, "  allow local as ", session->allowed_as, ";\n");
    }
    if (session->entry->passive) {
        buf_add_str(out, "  passive on;\n");
    }
    if (session->client) {
        PUT(out, "  rr client;\n  rr cluster id ", session->entry->route_reflector_cluster_id, ";\n");
    }
}

static void bird_write_session(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    comment_session(plan, session, out);
    if (session->state == SESSION_LEFT_OUT) {
        return;
    }
    PUT(out, "protocol bgp 'n.", session->name, "' from 'tpl.peer' {\n");
    if (session->state == SESSION_DISABLED) {
        buf_add_str(out, "  disabled yes;\n");
    }
    buf_add_str(out, "  description \"");
    comment_origin(session, out);
    buf_add_str(out, "\";\n");
    bird_write_ends(plan, session, out);
    bird_write_ttl(session, out);
    bird_write_options(plan, session, out);
    PUT(out, "  ipv", BIRD_FAMILY[plan_family(session)], " {\n");
    if (session->entry->next_hop != NULL) {
        bool self = strcmp(session->entry->next_hop, "Self") == 0;
        buf_add_str(out, self ? "    next hop self;\n" : "    next hop keep;\n");
    }
    bird_write_policy(plan, session, out);
    buf_add_str(out, "  };\n}\n");
}

static void bird_write(const struct plan *plan, struct buf *out) {
    bird_write_node(plan, out);
    bird_write_functions(plan, out);
    buf_add_str(out, "\ntemplate bgp 'tpl.peer' {\n"
                     "  connect delay time 1; connect retry time 5; error wait time 1, 5;\n"
                     "  graceful restart on;\n}\n");
    for (size_t i = 0; i < plan->session_count; i++) {
        bird_write_session(plan, &plan->sessions[i], out);
    }
    PUT(out, "\ninclude \"", LOCAL_DIRECTORY, "/*.conf\";\n");
}

const struct render_writer BIRD_WRITER = {
    .daemon = RENDER_BIRD,
    .comment = "# ",
    .by_address = false,
    .takes_password = bird_takes_password,
    .check_session = bird_check_session,
    .write = bird_write,
};
