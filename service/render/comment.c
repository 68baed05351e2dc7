/*
 * The comments of a file: what it is, where its sessions come from, and what the daemon cannot express of
 * them.
 *
 * The first line and the line before each session are words of key=value, which programs may read. The keys
 * do not change within a renderer version.
 */
#include "model/resources.h"
#include "plan.h"
#include "text.h"

static void comment_problems(const struct plan *plan, const struct plan_problems *problems, struct buf *out) {
    for (const struct plan_problem *p = problems->first; p != NULL; p = p->next) {
        PUT(out, plan->format->writer->comment, p->problem.reason, " ", p->problem.field, ": ");
        text_plain(out, p->problem.message);
        buf_add_char(out, '\n');
    }
}

void comment_head(const struct plan *plan, struct buf *out) {
    const char *comment = plan->format->writer->comment;
    PUT(out, comment, "bgppeerd node=");
    text_word(out, plan->list->node);
    text_number(out, " resourceVersion=", plan->options->revision, " etag=");
    text_word(out, plan->options->etag);
    PUT(out, " format=", plan->format->name);
    text_number(out, " renderer=", RENDER_VERSION, "\n");
    PUT(out, comment, "This file is written by bgppeerd; what is changed here by hand gets lost.\n");
    comment_problems(plan, &plan->problems, out);
}

static const char *comment_scope(enum peering_scope scope) {
    static const char *const NAMES[] = {
        [SCOPE_GLOBAL] = "Global",
        [SCOPE_NODE] = "Node",
        [SCOPE_NODE_SELECTOR] = "NodeSelector",
        [SCOPE_MESH] = "Mesh",
    };
    return NAMES[scope];
}

/* What an agent must see at the running daemon is here: state=on, password=yes, ttlSecurity=1. */
void comment_session(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    static const char *const STATES[] = {
        [SESSION_ON] = "on", [SESSION_DISABLED] = "disabled", [SESSION_LEFT_OUT] = "left-out"};
    const struct peering_entry *entry = session->entry;
    PUT(out, plan->format->writer->comment, "session peerIP=", entry->address_text);
    text_number(out, " port=", session->port != 0 ? session->port : PEERING_BGP_PORT, "");
    PUT(out, " state=", STATES[session->state]);
    if (session->reason != NULL) {
        PUT(out, " reason=", session->reason);
    }
    PUT(out, " type=", entry->external ? "external" : "internal",
        session->password_len > 0 ? " password=yes" : " password=no");
    text_number(out, " ttlSecurity=", entry->ttl_security, " bgpPeer=");
    text_word(out, entry->origin.bgp_peer);
    PUT(out, " scope=", comment_scope(entry->origin.scope), entry->origin.reverse ? " reverse=yes" : "",
        " remoteNode=");
    text_word(out, entry->origin.remote_node);
    if (entry->password == PASSWORD_VALUE && entry->secret != NULL && entry->secret->fingerprint != NULL) {
        buf_add_str(out, " passwordFingerprint=");
        text_word(out, entry->secret->fingerprint);
    }
    buf_add_char(out, '\n');
    comment_problems(plan, &session->problems, out);
}

void comment_origin(const struct plan_session *session, struct buf *out) {
    const struct peering_origin *origin = &session->entry->origin;
    text_plain(out, origin->bgp_peer != NULL ? origin->bgp_peer : "mesh");
    if (origin->remote_node != NULL) {
        buf_add_str(out, ", ");
        text_plain(out, origin->remote_node);
    }
}
