/*
 * Watches of sessions: what `kubectl get sessions -w` shows.
 *
 * The status numbers what happens to sessions; that number is the resourceVersion. An event shows its session
 * as it is when the event is written. Whether it came into what is asked for, or left it, is decided by what
 * it was before and after that news, so that the last event of a session always tells the truth.
 *
 * What there is at the beginning is written node by node, as the connection takes it.
 */
#include "fleet/session_watch.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "fleet/session_rows.h"
#include "objects/watch_stream.h"
#include "request/serving.h"

#define WATCH_NEWS     8    /* read at a time */
#define WATCH_NEWS_MAX 4096 /* looked at for one write, however few of them are wanted */

struct session_watch {
    struct watch_source source;
    struct status_watcher watcher;
    struct state *state;
    struct session_query query; /* its texts are in the request's arena */
    bool columns_sent;
    char after[SNAPSHOT_NAME_MAX]; /* the last node of the beginning that was told */
};

/* ---- writing events ---- */

static void add_event(struct session_watch *watch, const char *type, const char *node,
                      const struct status_row *row, uint64_t revision, struct buf *out) {
    buf_add_str(out, "{\"type\":\"");
    buf_add_str(out, type);
    buf_add_str(out, "\",\"object\":");
    if (watch->query.table) {
        session_table_begin(revision, NULL, !watch->columns_sent, out);
        watch->columns_sent = true;
    }
    session_add(&watch->query, node, row, revision, out);
    buf_add_str(out, watch->query.table ? "]}}\n" : "}\n");
}

/* ---- the beginning ---- */

struct beginning {
    struct session_watch *watch;
    const char *node;
    struct buf *out;
};

static bool add_present(void *arg, const struct status_row *row) {
    struct beginning *beginning = arg;
    struct session_watch *watch = beginning->watch;
    struct status_sight sight = session_sight(row);
    if (session_query_takes_sight(&watch->query, &sight) && session_query_takes_peer(&watch->query, row)) {
        add_event(watch, "ADDED", beginning->node, row, watch->source.reported, beginning->out);
    }
    return !buf_failed(beginning->out);
}

/* The sessions of one more node. */
static bool sessions_initial(struct watch_source *source, struct buf *out) {
    struct session_watch *watch = (struct session_watch *)source;
    struct picture *picture = state_picture(watch->state);
    struct snapshot_cursor cursor;
    const struct record *record =
        snapshot_seek(&cursor, picture->snapshot, KIND_NODE, watch->after[0] != '\0' ? watch->after : NULL);
    while (record != NULL && !session_query_takes_node(&watch->query, record)) {
        record = snapshot_step(&cursor);
    }
    if (record != NULL) {
        struct beginning beginning = {.watch = watch, .node = record->key, .out = out};
        struct session_rows rows;
        struct err err = ERR_INIT;
        snprintf(watch->after, sizeof(watch->after), "%s", record->key);
        int result = session_rows_open(watch->state, record->key, out, &rows, &err);
        if (result == 0) {
            result = session_rows_visit(&rows, NULL, add_present, &beginning, &err);
            session_rows_close(&rows);
        }
        /* A node that was deleted meanwhile is left out; without memory the stream breaks. */
        out->failed = out->failed || (result != 0 && err.code != ERR_NOT_FOUND);
    }
    picture_unref(picture);
    return record != NULL;
}

/* ---- news ---- */

struct telling {
    struct session_watch *watch;
    const struct status_news *news;
    struct buf *out;
};

static const char *event_type(const struct session_watch *watch, const struct status_news *news) {
    bool before = news->type != STATUS_ADDED && session_query_takes_sight(&watch->query, &news->before);
    bool after = news->type != STATUS_DELETED && session_query_takes_sight(&watch->query, &news->after);
    return after ? before ? "MODIFIED" : "ADDED" : before ? "DELETED" : NULL;
}

static bool tell_row(void *arg, const struct status_row *row) {
    struct telling *telling = arg;
    const char *type = event_type(telling->watch, telling->news);
    if (type != NULL && session_query_takes_peer(&telling->watch->query, row)) {
        add_event(telling->watch, type, telling->news->node, row, telling->news->sequence, telling->out);
    }
    return true;
}

/* Is the session of a node that is asked for? Of one that is gone nobody knows the labels any more: who does
 * not have a session ignores that it is deleted. */
static bool node_is_wanted(const struct session_watch *watch, const struct picture *picture,
                           const struct status_news *news) {
    const struct record *record = snapshot_get(picture->snapshot, KIND_NODE, news->node);
    if (record == NULL) {
        return watch->query.node == NULL || strcmp(watch->query.node, news->node) == 0;
    }
    return session_query_takes_node(&watch->query, record);
}

static void tell(struct session_watch *watch, const struct picture *picture, const struct status_news *news,
                 struct buf *out) {
    struct telling telling = {.watch = watch, .news = news, .out = out};
    const char *type = event_type(watch, news);
    if (type == NULL || !node_is_wanted(watch, picture, news)) {
        return;
    }
    if (news->type == STATUS_DELETED) {
        struct status_row row = {.address = news->address,
                                 .port = news->port,
                                 .judgement.verdict = (enum status_verdict)news->after.verdict};
        add_event(watch, type, news->node, &row, news->sequence, out);
        return;
    }
    /* When there is none any more, its end is among the news to come. */
    (void)status_visit_session(state_status(watch->state), news->slot, news->life, &news->address, news->port,
                               clock_monotonic_ms(), tell_row, &telling);
}

static int sessions_changes(struct watch_source *source, uint64_t *reported, struct buf *out,
                            struct err *err) {
    struct session_watch *watch = (struct session_watch *)source;
    struct status_news news[WATCH_NEWS];
    size_t count = WATCH_NEWS;
    int result = 0;
    struct picture *picture = state_picture(watch->state);
    for (size_t looked = 0; count == WATCH_NEWS && looked < WATCH_NEWS_MAX && out->len < WATCH_FILL;
         looked += count) {
        result = status_read_news(state_status(watch->state), *reported, news, WATCH_NEWS, &count, err);
        if (result != 0) {
            break;
        }
        for (size_t i = 0; i < count; i++) {
            tell(watch, picture, &news[i], out);
            *reported = news[i].sequence;
        }
    }
    picture_unref(picture);
    return result;
}

/* ---- waiting ---- */

static void sessions_arm(struct watch_source *source, uint64_t reported, void (*wake)(void *arg), void *arg,
                         bool *ret_ready) {
    struct session_watch *watch = (struct session_watch *)source;
    watch->watcher = (struct status_watcher){.wake = wake, .arg = arg};
    status_watch_arm(state_status(watch->state), &watch->watcher, reported, ret_ready);
}

static bool sessions_disarm(struct watch_source *source) {
    struct session_watch *watch = (struct session_watch *)source;
    return status_watch_disarm(state_status(watch->state), &watch->watcher);
}

static void sessions_forget(struct watch_source *source) {
    (void)source; /* the beginning is read from the newest picture each time */
}

static void sessions_free(struct watch_source *source) {
    free(source);
}

static const struct watch_operations SESSIONS = {.initial = sessions_initial,
                                                 .changes = sessions_changes,
                                                 .arm = sessions_arm,
                                                 .disarm = sessions_disarm,
                                                 .forget = sessions_forget,
                                                 .free = sessions_free};

/* ---- starting ---- */

int session_watch(struct request *request, const struct session_query *query, struct err *err) {
    struct serving *serving = request->serving;
    uint64_t asked = 0;
    if (watch_take_place(serving, err) != 0) {
        return -1;
    }
    struct session_watch *watch = base_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        watch_leave_place(serving);
        return err_no_memory(err);
    }
    watch->source =
        (struct watch_source){.operations = &SESSIONS, .kind = "Session", .api_version = "bgppeerd.io/v1"};
    watch->state = serving->state;
    watch->query = *query;
    /* A number that is yet to come is one of another process: watch_start says that it is too old. */
    if (watch_read_start(request, status_newest(state_status(watch->state)), &watch->source, &asked, err) !=
        0) {
        watch_leave_place(serving);
        free(watch);
        return -1;
    }
    return watch_start(request, &watch->source, err);
}
