/*
 * The whole fleet's sessions.
 *
 * They come in pages of whole nodes, in the order of the nodes' names: each node's list is computed when
 * its rows are written, so a page costs what it shows, whatever the size of the fleet.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "fleet/handlers.h"
#include "fleet/session_rows.h"
#include "objects/labelselector.h"
#include "request/media.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define SESSIONS_PAGE      500
#define SESSIONS_PAGE_MAX  5000
#define SESSIONS_NODES_MAX 2000 /* nodes looked at for one page, however few of their sessions are wanted */

/* ---- parameters ---- */

static int verdict_param(const struct request *request, struct session_filter *filter, struct err *err) {
    const char *text = param_text(request, QUERY_VERDICT);
    if (text == NULL) {
        return 0;
    }
    if (!verdict_by_name(text, &filter->verdict)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "verdict=%.50s is not one of Up, HalfUp, Down, Converging, Withheld, Incompatible, "
                       "Unexpected, Missing, Unknown",
                       text);
    }
    filter->has_verdict = true;
    return 0;
}

static int state_param(const struct request *request, struct session_filter *filter, struct err *err) {
    filter->state = param_text(request, QUERY_STATE);
    if (filter->state != NULL && session_state_by_name(filter->state) == SESSION_ABSENT) {
        return err_set(err, ERR_BAD_REQUEST,
                       "state=%.50s is not one of Idle, Connect, Active, OpenSent, OpenConfirm, Established",
                       filter->state);
    }
    return 0;
}

/* ---- sessions ---- */

struct session_query {
    struct session_filter filter;
    struct labelselector labels;
    const char *node; /* NULL: all */
    const char *after;
    uint64_t limit;
    bool table;
};

static int read_query(struct request *request, struct session_query *query, struct err *err) {
    enum media_answer answer;
    *query = (struct session_query){.limit = SESSIONS_PAGE};
    if (media_accept(request_header(request, HEADER_ACCEPT), &answer, err) != 0 ||
        verdict_param(request, &query->filter, err) != 0 || state_param(request, &query->filter, err) != 0 ||
        param_number(request, QUERY_LIMIT, SESSIONS_PAGE_MAX, &query->limit, err) != 0) {
        return -1;
    }
    query->filter.bgp_peer = param_text(request, QUERY_BGP_PEER);
    query->node = param_text(request, QUERY_NODE);
    query->after = param_text(request, QUERY_CONTINUE);
    query->table = answer == MEDIA_TABLE;
    const char *labels = param_text(request, QUERY_LABELS);
    return labels == NULL ? 0 : labelselector_parse(labels, &request->arena, &query->labels, err);
}

static int add_node_sessions(struct request *request, const struct session_query *query, const char *node,
                             struct buf *items, size_t *count, struct err *err) {
    struct session_rows rows;
    if (session_rows_open(request, node, items, &rows, err) != 0) {
        return -1;
    }
    rows.filter = &query->filter;
    rows.table = query->table;
    rows.count = *count;
    int result = session_rows_visit(&rows, NULL, session_add_fleet_row, err);
    *count = rows.count;
    session_rows_close(&rows);
    return result;
}

static bool node_is_wanted(const struct session_query *query, const struct record *record) {
    return (query->node == NULL || strcmp(query->node, record->key) == 0) &&
           labelselector_matches(&query->labels, &record->object->meta.labels);
}

/* The page's rows into `items`. *ret_next: the last node of it, when there are more behind; else NULL. */
static int add_sessions(struct request *request, const struct session_query *query,
                        const struct snapshot *snapshot, struct buf *items, const char **ret_next,
                        struct err *err) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, snapshot, KIND_NODE, query->after);
    const char *last = NULL;
    size_t count = 0;
    size_t looked = 0;
    *ret_next = NULL;
    for (; record != NULL; record = snapshot_step(&cursor)) {
        if (count >= query->limit || looked == SESSIONS_NODES_MAX) {
            *ret_next = last;
            return 0;
        }
        last = record->key;
        if (!node_is_wanted(query, record)) {
            continue;
        }
        looked++;
        if (add_node_sessions(request, query, record->key, items, &count, err) != 0) {
            if (err->code != ERR_NOT_FOUND) {
                return -1;
            }
            err_clear(err); /* deleted meanwhile */
        }
    }
    return 0;
}

static void write_sessions(const struct session_query *query, uint64_t revision, const char *next,
                           const struct buf *items, struct buf *out) {
    buf_add_str(out, query->table
                         ? "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
                         : "{\"kind\":\"SessionList\",\"apiVersion\":\"bgppeerd.io/v1\",\"metadata\":{");
    buf_json_key(out, "resourceVersion");
    buf_printf(out, "\"%" PRIu64 "\"", revision);
    buf_json_member_str(out, "continue", next);
    buf_add_char(out, '}');
    if (query->table) {
        buf_json_key(out, "columnDefinitions");
        session_add_columns(out);
    }
    buf_json_key(out, query->table ? "rows" : "items");
    buf_add_char(out, '[');
    buf_add(out, items->data, items->len);
    buf_add_str(out, "]}");
    out->failed = out->failed || buf_failed(items);
}

int handle_sessions(struct request *request, struct err *err) {
    struct session_query query;
    if (read_query(request, &query, err) != 0) {
        return -1;
    }
    struct picture *picture = state_picture(request->serving->state);
    struct buf items = BUF_INIT;
    struct buf body = BUF_INIT;
    const char *next;
    int result = 0;
    if (query.node != NULL && snapshot_get(picture->snapshot, KIND_NODE, query.node) == NULL) {
        result = err_set(err, ERR_NOT_FOUND, "nodes.projectcalico.org \"%.253s\" not found", query.node);
    }
    if (result == 0) {
        result = add_sessions(request, &query, picture->snapshot, &items, &next, err);
    }
    if (result == 0) {
        write_sessions(&query, snapshot_revision(picture->snapshot), next, &items, &body);
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    }
    buf_done(&items);
    buf_done(&body);
    picture_unref(picture);
    return result;
}
