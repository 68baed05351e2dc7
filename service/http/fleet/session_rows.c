/*
 * Rows about sessions. A row is joined from three sources: the list's entry, this end's report, the other
 * end's report. What is not known is null or absent, never made up.
 */
#include "fleet/session_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Have a list computed and told to the status, when nobody has asked for it since the start. A node that is
 * gone meanwhile is none of this row's business. */
static void know_list(struct state *state, const char *node) {
    struct node_list *list = NULL;
    struct err ignored = ERR_INIT;
    if (state_node_list(state, node, &list, &ignored) == 0) {
        node_list_unref(list);
    }
}

int session_rows_open(struct state *state, const char *node, struct buf *out, struct session_rows *ret,
                      struct err *err) {
    know_list(state, node);
    *ret = (struct session_rows){.state = state, .picture = state_picture(state), .out = out};
    arena_init(&ret->arena, 8192);
    if (state_status_key(ret->picture, node, &ret->key, err) != 0 ||
        peering_compute(ret->picture->index, node, &ret->arena, &ret->list, err) != 0) {
        session_rows_close(ret);
        return -1;
    }
    for (size_t i = 0; i < ret->list.entry_count; i++) {
        if (ret->list.entries[i].origin.remote_node != NULL) {
            know_list(state, ret->list.entries[i].origin.remote_node);
        }
    }
    return 0;
}

int session_rows_visit(struct session_rows *rows,
                       void (*view)(void *arg, const struct status_node_view *view),
                       bool (*row)(void *arg, const struct status_row *row), void *arg, struct err *err) {
    return status_visit_node(state_status(rows->state), rows->key.slot, clock_monotonic_ms(), view, row, arg,
                             err);
}

void session_rows_close(struct session_rows *rows) {
    arena_done(&rows->arena);
    picture_unref(rows->picture);
    rows->picture = NULL;
}

/* The list's entry of a row; NULL: it has none. The list is in the rows' order, but may be a newer one. */
static const struct peering_entry *entry_of(const struct session_rows *rows, const struct status_row *row) {
    const struct peering_list *list = &rows->list;
    size_t low = 0;
    size_t high = list->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct peering_entry *entry = &list->entries[middle];
        uint16_t port = entry->port != 0 ? entry->port : PEERING_BGP_PORT;
        int order = ip_compare(&entry->address, &row->address);
        order = order != 0 ? order : (port > row->port) - (port < row->port);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- parts ---- */

static void add_time(struct buf *out, const char *key, int64_t realtime_ms) {
    if (realtime_ms > 0) {
        char text[CLOCK_TEXT_MAX];
        clock_format_seconds(realtime_ms, text);
        buf_json_member_str(out, key, text);
    }
}

static void add_session(struct buf *out, const struct status_session *session) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "state", session_state_name((enum session_state)session->state));
    add_time(out, "since", session->since_ms);
    buf_json_member_true(out, "adminDown", session->shut_down);
    buf_json_member_u64(out, "transitions", session->transitions);
    buf_json_member_u64(out, "received", session->received);
    buf_json_member_u64(out, "sent", session->sent);
    if (session->hold_time_s >= 0) {
        buf_json_member_u64(out, "holdTimeSeconds", (uint64_t)session->hold_time_s);
    }
    buf_add_char(out, '}');
}

void session_add_end(struct buf *out, const char *key, const struct status_session *session) {
    buf_json_key(out, key);
    if (session == NULL) {
        buf_add_str(out, "null");
    } else {
        add_session(out, session);
    }
}

void session_add_key(struct buf *out, const struct status_row *row) {
    char address[IP_TEXT_MAX];
    ip_format(&row->address, address);
    buf_json_member_str(out, "peerIP", address);
    if (row->port != PEERING_BGP_PORT) {
        buf_json_member_u64(out, "port", row->port);
    }
}

void session_add_judgement(struct buf *out, const struct status_row *row) {
    buf_json_member_str(out, "verdict", verdict_name(row->judgement.verdict));
    buf_json_member_str(out, "message", row->judgement.message[0] != '\0' ? row->judgement.message : NULL);
}

static const char *text_or_null(const char *text) {
    return text[0] != '\0' ? text : NULL;
}

static void add_two_agents(const struct status_node_view *view, struct buf *out) {
    char message[STATUS_MESSAGE_MAX + STATUS_NAME_MAX];
    snprintf(
        message, sizeof(message),
        "two agents report for node \"%s\" in turns, so that what is shown may be of either; stop one of "
        "them, or give its host a Node and a token of its own",
        view->name);
    buf_json_key(out, "problems");
    buf_add_str(out, "[{");
    buf_json_member_str(out, "reason", "TwoAgents");
    buf_json_member_str(out, "message", message);
    buf_add_str(out, "}]");
}

void session_add_node(const struct status_node_view *view, struct buf *out) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "list", status_list_state_name(view->list));
    buf_json_member_str(out, "current", text_or_null(view->current));
    buf_json_member_str(out, "fetched", text_or_null(view->fetched));
    buf_json_member_str(out, "applied", text_or_null(view->applied));
    buf_json_member_str(out, "applyError", text_or_null(view->apply_error));
    buf_json_member_str(out, "agentVersion", text_or_null(view->agent_version));
    buf_json_member_str(out, "daemon", text_or_null(view->daemon));
    if (view->heard_age_ms >= 0) {
        buf_json_member_u64(out, "heardSecondsAgo", (uint64_t)view->heard_age_ms / 1000);
    }
    buf_json_member_true(out, "reports", view->reports);
    if (view->two_agents) {
        add_two_agents(view, out);
    }
    buf_add_char(out, '}');
}

/* ---- one node's rows ---- */

bool session_add_row(void *arg, const struct status_row *row) {
    struct session_rows *rows = arg;
    struct buf *out = rows->out;
    const struct peering_entry *entry = entry_of(rows, row);
    buf_json_comma(out);
    buf_add_char(out, '{');
    session_add_key(out, row);
    buf_json_key(out, "desired");
    if (entry == NULL) {
        buf_add_str(out, "null");
    } else {
        peering_encode_entry(entry, out);
    }
    session_add_end(out, "here", row->here);
    session_add_end(out, "there", row->there);
    session_add_judgement(out, row);
    buf_add_char(out, '}');
    return !buf_failed(out);
}
