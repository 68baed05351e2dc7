/*
 * See session_cells.h. What a row says comes from the status alone, so that it costs the same whether its
 * node has one session or thousands.
 */
#include "fleet/session_cells.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/session_rows.h"
#include "objects/own_table.h"
#include "request/media.h"
#include "request/params.h"
#include "request/serving.h"

/* ---- what is asked for ---- */

static int verdict_param(const struct request *request, struct session_query *query, struct err *err) {
    const char *text = param_text(request, QUERY_VERDICT);
    if (text == NULL) {
        return 0;
    }
    if (!verdict_by_name(text, &query->verdict)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "verdict=%.50s is not one of Up, HalfUp, Down, Converging, Withheld, Incompatible, "
                       "Unexpected, Missing, Unknown",
                       text);
    }
    query->has_verdict = true;
    return 0;
}

static int state_param(const struct request *request, struct session_query *query, struct err *err) {
    const char *text = param_text(request, QUERY_STATE);
    if (text == NULL) {
        return 0;
    }
    query->state = session_state_by_name(text);
    query->has_state = true;
    if (query->state == SESSION_ABSENT) {
        return err_set(err, ERR_BAD_REQUEST,
                       "state=%.50s is not one of Idle, Connect, Active, OpenSent, OpenConfirm, Established",
                       text);
    }
    return 0;
}

static int node_param(const struct request *request, struct session_query *query, struct err *err) {
    query->node = param_text(request, QUERY_NODE);
    if (query->node == NULL) {
        return 0;
    }
    struct picture *picture = state_picture(request->serving->state);
    bool there_is = snapshot_get(picture->snapshot, KIND_NODE, query->node) != NULL;
    picture_unref(picture);
    return there_is
               ? 0
               : err_set(err, ERR_NOT_FOUND, "nodes.projectcalico.org \"%.253s\" not found", query->node);
}

int session_query_read(struct request *request, struct session_query *ret, struct err *err) {
    enum media_answer answer;
    *ret = (struct session_query){.bgp_peer = param_text(request, QUERY_BGP_PEER)};
    if (media_accept(request_header(request, HEADER_ACCEPT), &answer, err) != 0 ||
        verdict_param(request, ret, err) != 0 || state_param(request, ret, err) != 0 ||
        table_object_param(request, &ret->object, err) != 0) {
        return -1;
    }
    ret->table = answer == MEDIA_TABLE;
    const char *labels = param_text(request, QUERY_LABELS);
    return labels != NULL && labelselector_parse(labels, &request->arena, &ret->labels, err) != 0
               ? -1
               : node_param(request, ret, err);
}

bool session_query_takes_node(const struct session_query *query, const struct record *node) {
    return (query->node == NULL || strcmp(query->node, node->key) == 0) &&
           labelselector_matches(&query->labels, &node->object->meta.labels);
}

bool session_query_takes_sight(const struct session_query *query, const struct status_sight *sight) {
    return (!query->has_verdict || (uint8_t)query->verdict == sight->verdict) &&
           (!query->has_state || (uint8_t)query->state == sight->here);
}

static const char *bgp_peer_of(const struct status_row *row) {
    return row->want == NULL ? NULL : row->want->bgp_peer != NULL ? row->want->bgp_peer : "mesh";
}

bool session_query_takes_peer(const struct session_query *query, const struct status_row *row) {
    const char *peer = bgp_peer_of(row);
    return query->bgp_peer == NULL || (peer != NULL && strcmp(query->bgp_peer, peer) == 0);
}

/* ---- one session ---- */

static const struct table_column COLUMNS[] = {
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

void session_table_begin(uint64_t revision, const char *token, bool columns, struct buf *out) {
    own_table_begin(columns ? COLUMNS : NULL, sizeof(COLUMNS) / sizeof(COLUMNS[0]), revision, token, out);
}

/* Names of a session, in one place for objects and Tables. */
struct cells {
    char name[STATUS_NAME_MAX + IP_TEXT_MAX + 8];
    char peer[IP_TEXT_MAX + 8];
    char uptime[TABLE_AGE_MAX];
};

static struct cells cells_of(const char *node, const struct status_row *row) {
    struct cells cells = {.uptime = "-"};
    char address[IP_TEXT_MAX];
    ip_format(&row->address, address);
    if (row->port == PEERING_BGP_PORT) {
        snprintf(cells.peer, sizeof(cells.peer), "%s", address);
    } else if (row->address.family == IP_V6) {
        snprintf(cells.peer, sizeof(cells.peer), "[%s]:%u", address, row->port);
    } else {
        snprintf(cells.peer, sizeof(cells.peer), "%s:%u", address, row->port);
    }
    snprintf(cells.name, sizeof(cells.name), "%s/%s", node, cells.peer);
    if (row->here != NULL && row->here->state == SESSION_ESTABLISHED && row->here->since_ms > 0) {
        table_age(row->here->since_ms, clock_realtime_ms(), cells.uptime);
    }
    return cells;
}

static const char *state_of(const struct status_session *session) {
    return session == NULL ? NULL : session_state_name((enum session_state)session->state);
}

static const char *other_end_of(const struct status_row *row) {
    bool external = row->want != NULL && row->want->remote_slot == STATUS_NO_SLOT;
    return external ? "external" : state_of(row->there);
}

static void add_object(const struct cells *cells, const char *node, const struct status_row *row,
                       uint64_t revision, struct buf *out) {
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Session\",\"metadata\":{");
    buf_json_member_str(out, "name", cells->name);
    buf_json_key(out, "resourceVersion");
    buf_printf(out, "\"%" PRIu64 "\"}", revision);
    buf_json_member_str(out, "node", node);
    session_add_key(out, row);
    buf_json_member_str(out, "remoteNode", row->remote);
    if (row->want != NULL) {
        buf_json_member_u64(out, "asNumber", row->want->as_number);
        buf_json_member_str(out, "type", row->want->external ? "external" : "internal");
        buf_json_member_str(out, "bgpPeer", bgp_peer_of(row));
    }
    session_add_end(out, "here", row->here);
    session_add_end(out, "there", row->there);
    session_add_judgement(out, row);
    buf_add_char(out, '}');
}

static void add_cells(const struct cells *cells, const char *node, const struct status_row *row,
                      struct buf *out) {
    own_table_text(out, node);
    own_table_text(out, cells->peer);
    own_table_text(out, row->remote);
    own_table_number(out, row->want != NULL, row->want != NULL ? row->want->as_number : 0);
    own_table_text(out, state_of(row->here));
    own_table_text(out, other_end_of(row));
    own_table_text(out, verdict_name(row->judgement.verdict));
    own_table_text(out, cells->uptime);
    own_table_number(out, row->here != NULL, row->here != NULL ? row->here->received : 0);
    own_table_number(out, row->here != NULL, row->here != NULL ? row->here->sent : 0);
    own_table_text(out, row->want != NULL ? bgp_peer_of(row) : "");
    own_table_text(out, row->judgement.message);
}

void session_add(const struct session_query *query, const char *node, const struct status_row *row,
                 uint64_t revision, struct buf *out) {
    struct cells cells = cells_of(node, row);
    if (!query->table) {
        add_object(&cells, node, row, revision, out);
        return;
    }
    own_table_row(out);
    add_cells(&cells, node, row, out);
    if (query->object == TABLE_METADATA) {
        own_table_row_end(out, cells.name);
        return;
    }
    buf_add_char(out, ']');
    if (query->object == TABLE_WHOLE) {
        buf_json_key(out, "object");
        add_object(&cells, node, row, revision, out);
    }
    buf_add_char(out, '}');
}

static uint8_t sight_of(const struct status_session *session) {
    return session == NULL ? SESSION_ABSENT : session->state;
}

struct status_sight session_sight(const struct status_row *row) {
    return (struct status_sight){.verdict = (uint8_t)row->judgement.verdict,
                                 .here = sight_of(row->here),
                                 .there = sight_of(row->there)};
}
