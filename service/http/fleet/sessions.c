/*
 * The whole fleet's sessions.
 *
 * They come in pages of whole nodes, in the order of the nodes' names: each node's list is computed when
 * its rows are written, so a page costs what it shows, whatever the size of the fleet. Where one page may
 * mean much work, because nodes have many sessions or few of them are wanted, the worker makes it.
 *
 * The resourceVersion of the first page is that of all: what happens while they are read is told again to who
 * watches from there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "fleet/handlers.h"
#include "fleet/session_cells.h"
#include "fleet/session_rows.h"
#include "fleet/session_watch.h"
#include "machine/worker.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define SESSIONS_PAGE       500
#define SESSIONS_PAGE_MAX   5000
#define SESSIONS_NODES_MAX  2000 /* nodes looked at for one page, however few of their sessions are wanted */
#define SESSIONS_LOOKED_MAX 100000 /* … and sessions */
#define SESSIONS_AT_ONCE    4000   /* what a connection's thread may look at itself */

struct session_page {
    struct session_query query;
    uint64_t limit;
    uint64_t revision;
    const char *after; /* NULL: from the beginning */
    /* What has come of it: */
    struct buf body;
    struct err err;
    size_t count;
    size_t looked;
};

/* A token is the first page's resourceVersion and the last node shown. */
static int continue_param(const struct request *request, struct session_page *page, struct err *err) {
    const char *token = param_text(request, QUERY_CONTINUE);
    if (token == NULL) {
        return 0;
    }
    const char *colon = strchr(token, ':');
    if (colon == NULL || colon[1] == '\0' ||
        !u64_parse(token, (size_t)(colon - token), UINT64_MAX, &page->revision)) {
        return err_set(err, ERR_BAD_REQUEST, "continue=%.50s is not from an earlier answer", token);
    }
    page->after = colon + 1;
    return 0;
}

struct node_rows {
    struct session_page *page;
    const char *node;
    struct buf *items;
};

static bool add_row(void *arg, const struct status_row *row) {
    struct node_rows *rows = arg;
    struct session_page *page = rows->page;
    struct status_sight sight = session_sight(row);
    page->looked++;
    if (session_query_takes_sight(&page->query, &sight) && session_query_takes_peer(&page->query, row)) {
        if (!page->query.table) {
            buf_json_comma(rows->items);
        }
        session_add(&page->query, rows->node, row, page->revision, rows->items);
        page->count++;
    }
    return !buf_failed(rows->items);
}

static int add_node_sessions(struct state *state, struct session_page *page, const char *node,
                             struct buf *items, struct err *err) {
    struct node_rows shown = {.page = page, .node = node, .items = items};
    struct session_rows rows;
    if (session_rows_open(state, node, items, &rows, err) != 0) {
        return -1;
    }
    int result = session_rows_visit(&rows, NULL, add_row, &shown, err);
    session_rows_close(&rows);
    return result;
}

static bool page_is_full(const struct session_page *page, size_t nodes) {
    return page->count >= page->limit || nodes == SESSIONS_NODES_MAX || page->looked >= SESSIONS_LOOKED_MAX;
}

/* The page's rows into `items`. *ret_next: the last node of it, when there are more behind; else NULL. */
static int add_sessions(struct state *state, struct session_page *page, const struct snapshot *snapshot,
                        struct buf *items, const char **ret_next, struct err *err) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, snapshot, KIND_NODE, page->after);
    const char *last = NULL;
    size_t nodes = 0;
    *ret_next = NULL;
    for (; record != NULL; record = snapshot_step(&cursor)) {
        if (page_is_full(page, nodes)) {
            *ret_next = last;
            return 0;
        }
        last = record->key;
        if (!session_query_takes_node(&page->query, record)) {
            continue;
        }
        nodes++;
        if (add_node_sessions(state, page, record->key, items, err) != 0) {
            if (err->code != ERR_NOT_FOUND) {
                return -1;
            }
            err_clear(err); /* deleted meanwhile */
        }
    }
    return 0;
}

static void write_page(struct session_page *page, const char *next, const struct buf *items) {
    char token[SNAPSHOT_NAME_MAX + 24];
    struct buf *out = &page->body;
    if (next != NULL) {
        snprintf(token, sizeof(token), "%" PRIu64 ":%s", page->revision, next);
        next = token;
    }
    if (page->query.table) {
        session_table_begin(page->revision, next, true, out);
    } else {
        buf_add_str(out, "{\"kind\":\"SessionList\",\"apiVersion\":\"bgppeerd.io/v1\",\"metadata\":{");
        buf_json_key(out, "resourceVersion");
        buf_printf(out, "\"%" PRIu64 "\"", page->revision);
        buf_json_member_str(out, "continue", next);
        buf_add_str(out, "},\"items\":[");
    }
    buf_add(out, items->data, items->len);
    buf_add_str(out, "]}");
    out->failed = out->failed || buf_failed(items);
}

static void page_job(struct request *request) {
    struct session_page *page = request->work;
    struct state *state = request->serving->state;
    struct picture *picture = state_picture(state);
    struct buf items = BUF_INIT;
    const char *next;
    if (add_sessions(state, page, picture->snapshot, &items, &next, &page->err) == 0) {
        write_page(page, next, &items);
    }
    buf_done(&items);
    picture_unref(picture);
}

static int page_answer(struct request *request, struct err *err) {
    struct session_page *page = request->work;
    int result = -1;
    if (page->err.code != ERR_NONE) {
        *err = page->err;
    } else {
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &page->body, err);
    }
    buf_done(&page->body);
    return result;
}

/* Could a page mean looking at that many sessions that others on this thread must not wait for it? A node has
 * at most one with every other node in each family, and one for every BGPPeer. */
static bool is_much(struct state *state, const struct session_query *query) {
    struct picture *picture = state_picture(state);
    size_t nodes = snapshot_count(picture->snapshot, KIND_NODE);
    size_t sessions = 2 * nodes + snapshot_count(picture->snapshot, KIND_BGPPEER);
    picture_unref(picture);
    return (query->node != NULL ? 1 : nodes) * sessions > SESSIONS_AT_ONCE;
}

static int list_sessions(struct request *request, const struct session_query *query, struct err *err) {
    struct session_page *page = arena_alloc(&request->arena, sizeof(*page));
    if (page == NULL) {
        return err_no_memory(err);
    }
    *page = (struct session_page){.query = *query,
                                  .limit = SESSIONS_PAGE,
                                  .revision = status_newest(state_status(request->serving->state)),
                                  .err = ERR_INIT};
    buf_init(&page->body);
    if (param_number(request, QUERY_LIMIT, SESSIONS_PAGE_MAX, &page->limit, err) != 0 ||
        continue_param(request, page, err) != 0) {
        return -1;
    }
    request->work = page;
    if (is_much(request->serving->state, query)) {
        return worker_run(request->serving->worker, request, page_job, page_answer, err);
    }
    page_job(request);
    return page_answer(request, err);
}

int handle_sessions(struct request *request, struct err *err) {
    struct session_query query;
    if (session_query_read(request, &query, err) != 0) {
        return -1;
    }
    return request_query_flag(request, QUERY_WATCH) ? session_watch(request, &query, err)
                                                    : list_sessions(request, &query, err);
}
