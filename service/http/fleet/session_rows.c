/*
 * Rows about sessions. A row is joined from three sources: the list's entry, this end's report, the other
 * end's report. What is not known is null or absent, never made up.
 */
#include "fleet/session_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "objects/table.h"
#include "request/serving.h"

/* Have a list computed and told to the status, when nobody has asked for it since the start. A node that is
 * gone meanwhile is none of this row's business. */
static void know_list(struct state *state, const char *node) {
    struct node_list *list = NULL;
    struct err ignored = ERR_INIT;
    if (state_node_list(state, node, &list, &ignored) == 0) {
        node_list_unref(list);
    }
}

int session_rows_open(struct request *request, const char *node, struct buf *out, struct session_rows *ret,
                      struct err *err) {
    struct state *state = request->serving->state;
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
                       bool (*row)(void *arg, const struct status_row *row), struct err *err) {
    return status_visit_node(state_status(rows->state), rows->key.slot, clock_monotonic_ms(), view, row, rows,
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

static void add_session_or_null(struct buf *out, const char *key, const struct status_session *session) {
    buf_json_key(out, key);
    if (session == NULL) {
        buf_add_str(out, "null");
    } else {
        add_session(out, session);
    }
}

static void add_key(struct buf *out, const struct status_row *row) {
    char address[IP_TEXT_MAX];
    ip_format(&row->address, address);
    buf_json_member_str(out, "peerIP", address);
    if (row->port != PEERING_BGP_PORT) {
        buf_json_member_u64(out, "port", row->port);
    }
}

static void add_judgement(struct buf *out, const struct status_row *row) {
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
    add_key(out, row);
    buf_json_key(out, "desired");
    if (entry == NULL) {
        buf_add_str(out, "null");
    } else {
        peering_encode_entry(entry, out);
    }
    add_session_or_null(out, "here", row->here);
    add_session_or_null(out, "there", row->there);
    add_judgement(out, row);
    buf_add_char(out, '}');
    rows->count++;
    return !buf_failed(out);
}

/* ---- the fleet's rows ---- */

/* What a row of the fleet says, in one place for objects and Tables. */
struct fleet_cells {
    char name[SNAPSHOT_NAME_MAX + IP_TEXT_MAX + 8];
    char peer[IP_TEXT_MAX + 8];
    const char *here;
    const char *there;
    const char *bgp_peer;
    const char *remote; /* NULL: not one of our nodes */
    char uptime[TABLE_AGE_MAX];
};

static const char *state_or(const struct status_session *session, const char *otherwise) {
    return session == NULL ? otherwise : session_state_name((enum session_state)session->state);
}

static struct fleet_cells cells_of(const struct session_rows *rows, const struct status_row *row,
                                   const struct peering_entry *entry) {
    struct fleet_cells cells = {
        .here = state_or(row->here, "-"),
        .there = row->want == NULL || row->want->remote_slot == STATUS_NO_SLOT ? "external"
                                                                               : state_or(row->there, "-"),
        .bgp_peer = entry == NULL                    ? ""
                    : entry->origin.bgp_peer == NULL ? "mesh"
                                                     : entry->origin.bgp_peer,
        .remote =
            entry != NULL && entry->origin.remote_node != NULL ? entry->origin.remote_node : row->remote,
        .uptime = "-",
    };
    char address[IP_TEXT_MAX];
    ip_format(&row->address, address);
    if (row->port == PEERING_BGP_PORT) {
        snprintf(cells.peer, sizeof(cells.peer), "%s", address);
    } else {
        const char *form = row->address.family == IP_V6 ? "[%s]:%u" : "%s:%u";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(cells.peer, sizeof(cells.peer), form, address, row->port);
#pragma GCC diagnostic pop
    }
    snprintf(cells.name, sizeof(cells.name), "%s/%s", rows->key.name, cells.peer);
    if (row->here != NULL && row->here->state == SESSION_ESTABLISHED && row->here->since_ms > 0) {
        table_age(row->here->since_ms, clock_realtime_ms(), cells.uptime);
    }
    return cells;
}

static bool filter_takes(const struct session_filter *filter, const struct status_row *row,
                         const struct fleet_cells *cells) {
    return filter == NULL || ((!filter->has_verdict || filter->verdict == row->judgement.verdict) &&
                              (filter->state == NULL || strcmp(filter->state, cells->here) == 0) &&
                              (filter->bgp_peer == NULL || strcmp(filter->bgp_peer, cells->bgp_peer) == 0));
}

static void add_object(const struct session_rows *rows, const struct status_row *row,
                       const struct peering_entry *entry, const struct fleet_cells *cells) {
    struct buf *out = rows->out;
    buf_add_str(out, "{\"metadata\":{");
    buf_json_member_str(out, "name", cells->name);
    buf_add_char(out, '}');
    buf_json_member_str(out, "node", rows->key.name);
    add_key(out, row);
    buf_json_member_str(out, "remoteNode", cells->remote);
    if (entry != NULL) {
        buf_json_member_u64(out, "asNumber", entry->as_number);
        buf_json_member_str(out, "type", entry->external ? "external" : "internal");
        buf_json_member_str(out, "bgpPeer", cells->bgp_peer);
    }
    add_session_or_null(out, "here", row->here);
    add_session_or_null(out, "there", row->there);
    add_judgement(out, row);
    buf_add_char(out, '}');
}

static void add_number_cell(struct buf *out, bool known, uint64_t number) {
    buf_json_comma(out);
    if (known) {
        buf_add_u64(out, number);
    } else {
        buf_add_str(out, "null");
    }
}

static void add_text_cell(struct buf *out, const char *text) {
    buf_json_comma(out);
    buf_add_json_str(out, text);
}

static void add_table_row(const struct session_rows *rows, const struct status_row *row,
                          const struct peering_entry *entry, const struct fleet_cells *cells) {
    struct buf *out = rows->out;
    buf_add_str(out, "{\"cells\":[");
    add_text_cell(out, rows->key.name);
    add_text_cell(out, cells->peer);
    add_text_cell(out, cells->remote != NULL ? cells->remote : "-");
    add_number_cell(out, entry != NULL, entry != NULL ? entry->as_number : 0);
    add_text_cell(out, cells->here);
    add_text_cell(out, cells->there);
    add_text_cell(out, verdict_name(row->judgement.verdict));
    add_text_cell(out, cells->uptime);
    add_number_cell(out, row->here != NULL, row->here != NULL ? row->here->received : 0);
    add_number_cell(out, row->here != NULL, row->here != NULL ? row->here->sent : 0);
    add_text_cell(out, cells->bgp_peer);
    add_text_cell(out, row->judgement.message);
    buf_add_str(
        out,
        "],\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{");
    buf_json_member_str(out, "name", cells->name);
    buf_add_str(out, "}}}");
}

bool session_add_fleet_row(void *arg, const struct status_row *row) {
    struct session_rows *rows = arg;
    const struct peering_entry *entry = entry_of(rows, row);
    struct fleet_cells cells = cells_of(rows, row, entry);
    if (!filter_takes(rows->filter, row, &cells)) {
        return true;
    }
    buf_json_comma(rows->out);
    if (rows->table) {
        add_table_row(rows, row, entry, &cells);
    } else {
        add_object(rows, row, entry, &cells);
    }
    rows->count++;
    return !buf_failed(rows->out);
}

void session_add_columns(struct buf *out) {
    static const struct {
        const char *name, *type, *description;
        unsigned priority;
    } COLUMNS[] = {
        {"Node", "string", "The node whose end of the session this is.", 0},
        {"Peer", "string", "Address, and port when it is not 179, of the far end.", 0},
        {"Remote node", "string", "The far end's node, when it is one of ours.", 0},
        {"AS", "integer", "AS number of the far end.", 0},
        {"State", "string", "State of the session (RFC 4271, 8.2.2) as this node's agent reports it.", 0},
        {"Other end", "string", "The same as the far end's agent reports it.", 0},
        {"Verdict", "string", "What both lists and both reports together say.", 0},
        {"Uptime", "string", "How long it has been Established.", 0},
        {"In", "integer", "Prefixes received.", 0},
        {"Out", "integer", "Prefixes sent.", 0},
        {"BGPPeer", "string", "The BGPPeer that it comes from, or mesh.", 1},
        {"Message", "string", "The likely cause when it is not Up.", 1},
    };
    buf_add_char(out, '[');
    for (size_t i = 0; i < sizeof(COLUMNS) / sizeof(COLUMNS[0]); i++) {
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "name", COLUMNS[i].name);
        buf_json_member_str(out, "type", COLUMNS[i].type);
        buf_json_member_str(out, "format", "");
        buf_json_member_str(out, "description", COLUMNS[i].description);
        buf_json_member_u64(out, "priority", COLUMNS[i].priority);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}
