/*
 * What sessions did: their changes of verdict, the newest first, in pages that go on below a sequence number.
 *
 * They are in the store, and the worker reads them. One page looks at a bounded number of rows, so that it
 * may be short, or empty, and go on nevertheless.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "fleet/handlers.h"
#include "machine/worker.h"
#include "objects/own_table.h"
#include "objects/table.h"
#include "request/media.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define TRANSITIONS_PAGE     100
#define TRANSITIONS_PAGE_MAX 1000
#define TRANSITIONS_LOOKED   20000 /* rows, for one page */
#define TRANSITIONS_READ     500   /* at a time */

struct transition_page {
    const char *node, *peer;
    int64_t since_ms, until_ms; /* 0: none */
    uint64_t limit;
    bool table;
    /* What has come of it: */
    uint64_t last; /* sequence of the last row that was looked at; 0: none yet */
    size_t count;
    size_t looked;
    bool more;
    struct buf rows;
    struct err err;
};

static bool transition_is_wanted(const struct transition_page *page, const struct store_transition *row) {
    return (page->node == NULL || strcmp(page->node, row->node) == 0 ||
            strcmp(page->node, row->remote) == 0) &&
           (page->peer == NULL || strcmp(page->peer, row->peer) == 0) &&
           (page->since_ms == 0 || row->time_ms >= page->since_ms) &&
           (page->until_ms == 0 || row->time_ms < page->until_ms);
}

/* ---- one row ---- */

static const char *text_or_null(const char *text) {
    return text[0] != '\0' ? text : NULL;
}

static void add_object(struct buf *out, const struct store_transition *row) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(row->time_ms, time);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_u64(out, "sequence", row->sequence);
    buf_json_member_str(out, "time", time);
    buf_json_member_str(out, "node", row->node);
    buf_json_member_str(out, "peerIP", row->peer);
    if (row->port != PEERING_BGP_PORT) {
        buf_json_member_u64(out, "port", row->port);
    }
    buf_json_member_str(out, "remoteNode", text_or_null(row->remote));
    buf_json_member_str(out, "from", row->was);
    buf_json_member_str(out, "to", row->became);
    buf_json_member_str(out, "message", text_or_null(row->message));
    if (row->folded > 0) {
        buf_json_member_u64(out, "folded", row->folded);
    }
    buf_add_char(out, '}');
}

static const struct table_column COLUMNS[] = {
    {"Time", "string", "When it was seen.", 0},
    {"Node", "string", "The node whose end of the session this is.", 0},
    {"Peer", "string", "Address of the far end.", 0},
    {"Remote node", "string", "The far end's node, when it is one of ours.", 0},
    {"From", "string", "Verdict before.", 0},
    {"To", "string", "Verdict afterwards.", 0},
    {"Age", "string", "How long ago that was.", 0},
    {"Folded", "integer", "Changes before it that have no row, because the session flapped.", 1},
    {"Message", "string", "The likely cause.", 1},
};

static void add_row(struct buf *out, const struct store_transition *row) {
    char time[CLOCK_TEXT_MAX];
    char age[TABLE_AGE_MAX];
    char name[24];
    clock_format_seconds(row->time_ms, time);
    table_age(row->time_ms, clock_realtime_ms(), age);
    snprintf(name, sizeof(name), "%" PRIu64, row->sequence);
    own_table_row(out);
    own_table_text(out, time);
    own_table_text(out, row->node);
    own_table_text(out, row->peer);
    own_table_text(out, text_or_null(row->remote));
    own_table_text(out, row->was);
    own_table_text(out, row->became);
    own_table_text(out, age);
    own_table_number(out, true, row->folded);
    own_table_text(out, row->message);
    own_table_row_end(out, name);
}

/* ---- the page ---- */

static int look_at(void *arg, const struct store_transition *row, struct err *err) {
    struct transition_page *page = arg;
    (void)err;
    page->more = page->more || page->count == page->limit || page->looked == TRANSITIONS_LOOKED;
    if (page->more) {
        return 0;
    }
    page->looked++;
    page->last = row->sequence;
    if (transition_is_wanted(page, row)) {
        (page->table ? add_row : add_object)(&page->rows, row);
        page->count++;
    }
    return 0;
}

static void page_job(struct request *request) {
    struct transition_page *page = request->work;
    int result = 0;
    for (size_t before = page->looked; result == 0 && !page->more; before = page->looked) {
        result = state_read_transitions(request->serving->state, page->last, TRANSITIONS_READ, look_at, page,
                                        &page->err);
        if (page->looked - before < TRANSITIONS_READ) {
            break; /* the end, or a full page */
        }
    }
}

static int page_reply(struct request *request, struct transition_page *page, struct err *err) {
    char token[24];
    struct buf body = BUF_INIT;
    snprintf(token, sizeof(token), "%" PRIu64, page->last);
    const char *next = page->more ? token : NULL;
    if (page->table) {
        own_table_begin(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]), 0, next, &body);
    } else {
        buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"TransitionList\",\"metadata\":{");
        buf_json_member_str(&body, "continue", next);
        buf_add_str(&body, "},\"items\":[");
    }
    buf_add(&body, page->rows.data, page->rows.len);
    buf_add_str(&body, "]}");
    body.failed = body.failed || buf_failed(&page->rows);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

static int page_answer(struct request *request, struct err *err) {
    struct transition_page *page = request->work;
    int result = -1;
    if (page->err.code != ERR_NONE) {
        *err = page->err;
    } else {
        result = page_reply(request, page, err);
    }
    buf_done(&page->rows);
    return result;
}

/* ---- the question ---- */

static int read_question(struct request *request, struct transition_page *page, struct err *err) {
    enum media_answer answer;
    if (media_accept(request_header(request, HEADER_ACCEPT), &answer, err) != 0 ||
        param_time(request, QUERY_SINCE, &page->since_ms, err) != 0 ||
        param_time(request, QUERY_UNTIL, &page->until_ms, err) != 0 ||
        param_number(request, QUERY_LIMIT, TRANSITIONS_PAGE_MAX, &page->limit, err) != 0) {
        return -1;
    }
    page->table = answer == MEDIA_TABLE;
    page->node = param_text(request, QUERY_NODE);
    page->peer = param_text(request, QUERY_PEER);
    const char *below = param_text(request, QUERY_CONTINUE);
    if (below != NULL && (!u64_parse(below, strlen(below), INT64_MAX, &page->last) || page->last == 0)) {
        return err_set(err, ERR_BAD_REQUEST, "continue=%.50s is not from an earlier answer", below);
    }
    return 0;
}

int handle_transitions(struct request *request, struct err *err) {
    struct transition_page *page = arena_alloc(&request->arena, sizeof(*page));
    if (page == NULL) {
        return err_no_memory(err);
    }
    *page = (struct transition_page){.limit = TRANSITIONS_PAGE, .err = ERR_INIT};
    buf_init(&page->rows);
    if (read_question(request, page, err) != 0) {
        return -1;
    }
    request->work = page;
    return worker_run(request->serving->worker, request, page_job, page_answer, err);
}
