/*
 * The whole fleet's sessions, who has the newest lists, and what changed: three questions to the status.
 *
 * Sessions come in pages of whole nodes, in the order of the nodes' names: each node's list is computed when
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

#define SESSIONS_PAGE        500
#define SESSIONS_PAGE_MAX    5000
#define SESSIONS_NODES_MAX   2000 /* nodes looked at for one page, however few of their sessions are wanted */
#define TRANSITIONS_PAGE     100
#define TRANSITIONS_PAGE_MAX 1000
#define BEHIND_SHOWN_MAX     100

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

/* ---- convergence ---- */

struct convergence {
    uint64_t nodes, fetched, applied, behind, silent;
    bool has_current; /* of the node at hand */
    bool has_applied;
    bool is_silent;
};

static void count_view(void *arg, const struct status_node_view *view) {
    struct convergence *sums = arg;
    bool known = view->current[0] != '\0';
    sums->has_current = known && strcmp(view->fetched, view->current) == 0;
    sums->has_applied = known && strcmp(view->applied, view->current) == 0;
    sums->is_silent = view->silent;
}

static void count_node(struct state *state, const struct picture *picture, const char *node,
                       struct convergence *sums, struct buf *behind) {
    struct status_node_key key;
    struct err ignored = ERR_INIT;
    sums->has_current = sums->has_applied = false;
    sums->is_silent = true;
    if (state_status_key(picture, node, &key, &ignored) == 0) {
        /* A node of which nothing is known was not heard of: silent. */
        (void)!status_visit_node(state_status(state), key.slot, clock_monotonic_ms(), count_view, NULL, sums,
                                 &ignored);
    }
    sums->nodes++;
    sums->fetched += sums->has_current || sums->has_applied;
    sums->applied += sums->has_applied;
    if (sums->is_silent) {
        sums->silent++;
    } else if (!sums->has_current && !sums->has_applied) {
        if (sums->behind++ < BEHIND_SHOWN_MAX) {
            buf_json_comma(behind);
            buf_add_json_str(behind, node);
        }
    }
}

static int revision_param(const struct request *request, uint64_t newest, struct err *err) {
    const char *text = param_text(request, QUERY_VERSION);
    uint64_t wanted = 0;
    if (text != NULL && !u64_parse(text, strlen(text), UINT64_MAX, &wanted)) {
        return err_set(err, ERR_BAD_REQUEST, "resourceVersion=%.50s is not a number", text);
    }
    if (wanted > newest) {
        return err_set(err, ERR_BAD_REQUEST,
                       "resourceVersion=%" PRIu64 " is newer than the newest one, %" PRIu64
                       "; take it from the answer "
                       "to a write",
                       wanted, newest);
    }
    return 0;
}

int handle_convergence(struct request *request, struct err *err) {
    struct picture *picture = state_picture(request->serving->state);
    struct convergence sums = {.nodes = 0};
    struct buf behind = BUF_INIT;
    struct buf body = BUF_INIT;
    int result = revision_param(request, snapshot_revision(picture->snapshot), err);
    if (result == 0) {
        struct snapshot_cursor cursor;
        const struct record *record = snapshot_seek(&cursor, picture->snapshot, KIND_NODE, NULL);
        buf_add_char(&behind, '[');
        for (; record != NULL; record = snapshot_step(&cursor)) {
            count_node(request->serving->state, picture, record->key, &sums, &behind);
        }
        buf_printf(
            &body,
            "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Convergence\",\"metadata\":{\"resourceVersion\":"
            "\"%" PRIu64 "\"},\"nodes\":%" PRIu64 ",\"fetched\":%" PRIu64 ",\"applied\":%" PRIu64
            ",\"silent\":%" PRIu64 ",\"behindCount\":%" PRIu64 ",\"behind\":",
            snapshot_revision(picture->snapshot), sums.nodes, sums.fetched, sums.applied, sums.silent,
            sums.behind);
        buf_add(&body, behind.data, behind.len);
        buf_add_str(&body, "]}");
        body.failed = body.failed || buf_failed(&behind);
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    }
    buf_done(&behind);
    buf_done(&body);
    picture_unref(picture);
    return result;
}

/* ---- transitions ---- */

struct transition_query {
    const char *node, *peer;
    int64_t since_ms, until_ms; /* 0: none */
    uint64_t below;
    uint64_t limit;
};

static bool transition_is_wanted(void *arg, const struct transition *t) {
    const struct transition_query *query = arg;
    return (query->node == NULL || strcmp(query->node, t->node) == 0 ||
            strcmp(query->node, t->remote) == 0) &&
           (query->peer == NULL || strcmp(query->peer, t->peer) == 0) &&
           (query->since_ms == 0 || t->time_ms >= query->since_ms) &&
           (query->until_ms == 0 || t->time_ms < query->until_ms);
}

static void add_transition(struct buf *out, const struct transition *t) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(t->time_ms, time);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_u64(out, "sequence", t->sequence);
    buf_json_member_str(out, "time", time);
    buf_json_member_str(out, "node", t->node);
    buf_json_member_str(out, "peerIP", t->peer);
    if (t->port != PEERING_BGP_PORT) {
        buf_json_member_u64(out, "port", t->port);
    }
    buf_json_member_str(out, "remoteNode", t->remote[0] != '\0' ? t->remote : NULL);
    buf_json_member_str(out, "from", verdict_name(t->from));
    buf_json_member_str(out, "to", verdict_name(t->to));
    buf_json_member_str(out, "message", t->message[0] != '\0' ? t->message : NULL);
    if (t->folded > 0) {
        buf_json_member_u64(out, "folded", t->folded);
    }
    buf_add_char(out, '}');
}

static int read_transition_query(struct request *request, struct transition_query *query, struct err *err) {
    *query = (struct transition_query){.limit = TRANSITIONS_PAGE};
    if (param_time(request, QUERY_SINCE, &query->since_ms, err) != 0 ||
        param_time(request, QUERY_UNTIL, &query->until_ms, err) != 0 ||
        param_number(request, QUERY_LIMIT, TRANSITIONS_PAGE_MAX, &query->limit, err) != 0) {
        return -1;
    }
    query->node = param_text(request, QUERY_NODE);
    query->peer = param_text(request, QUERY_PEER);
    const char *below = param_text(request, QUERY_CONTINUE);
    if (below != NULL && !u64_parse(below, strlen(below), UINT64_MAX, &query->below)) {
        return err_set(err, ERR_BAD_REQUEST, "continue=%.50s is not from an earlier answer", below);
    }
    return 0;
}

int handle_transitions(struct request *request, struct err *err) {
    struct transition_query query;
    bool more = false;
    if (read_transition_query(request, &query, err) != 0) {
        return -1;
    }
    struct transition *items = arena_array(&request->arena, query.limit, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    size_t count = state_transitions(request->serving->state, query.below, transition_is_wanted, &query,
                                     items, query.limit, &more);
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"TransitionList\",\"metadata\":{");
    if (more) {
        buf_printf(&body, "\"continue\":\"%" PRIu64 "\"", items[count - 1].sequence);
    }
    buf_add_str(&body, "},\"items\":[");
    for (size_t i = 0; i < count; i++) {
        add_transition(&body, &items[i]);
    }
    buf_add_str(&body, "]}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}
