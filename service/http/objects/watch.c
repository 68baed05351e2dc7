/*
 * Watches: changes of a list as a stream of JSON lines.
 *
 * Nothing is queued for a watcher: each keeps the revision it has reported and reads on from state's
 * history when its connection can take more. A reader too slow for the history, or that takes nothing for a
 * while, is cut off with a 410 (see connection.h), and its memory never grows. An idle watch is a suspended
 * connection and one entry in the park; it is looked at when there is a change of its kind, at its deadline,
 * and now and then to notice a client that has gone.
 *
 * The watch belongs to its connection's thread, except while it is parked.
 */
#include "objects/watch.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "base/random.h"
#include "machine/connection.h"
#include "machine/park.h"
#include "objects/resource.h"
#include "objects/table.h"
#include "request/reply.h"
#include "request/serving.h"

/* Small, because a thousand watches have each touched this much of their connections' memory. */
#define WATCH_BLOCK   2048  /* bytes sent at a time */
#define WATCH_FILL    2048  /* stop collecting events for one write beyond this */
#define WATCH_EVENTS  8     /* read from the history at a time */
#define WATCH_LOOK_MS 30000 /* how often an idle client is looked at */
/* Clients take a watch that says nothing for 30 s for dead. */
#define WATCH_BOOKMARK_MS 25000
#define WATCH_SECONDS_MAX 86400

struct watch {
    struct park_entry entry;
    struct watcher watcher;
    struct serving *serving;
    struct request *request; /* gone before the watch is: not for free_watch */
    enum kind kind;
    struct selection selection;
    enum media_answer answer;
    enum table_object object;
    bool columns_sent;
    bool bookmarks;
    bool initial_events;             /* sendInitialEvents: mark their end */
    const struct snapshot *snapshot; /* initial events are still to come from here; NULL = done */
    struct snapshot_cursor cursor;
    const struct record *record; /* at the cursor */
    uint64_t reported;           /* every change up to this revision has been */
    int64_t deadline_ms;         /* monotonic; INT64_MAX = none */
    int64_t initial_by_ms;       /* monotonic; the snapshot is not held longer for a slow reader */
    int64_t next_bookmark_ms;
    bool ended; /* what is in `out` is the last */
    struct buf out;
    size_t sent; /* of `out` */
};

/* ---- writing events ---- */

static void add_object(struct watch *watch, const struct record *record) {
    struct buf *out = &watch->out;
    if (watch->answer != MEDIA_TABLE) {
        buf_add(out, record->json, record->json_len);
        return;
    }
    struct err err = ERR_INIT;
    table_begin(watch->kind, record->revision, NULL, -1, !watch->columns_sent, out);
    if (table_row(record, watch->object, clock_realtime_ms(), out, &err) != 0) {
        log_event(LOG_ERROR, "watch", LOG_STR("id", watch->request->id), LOG_STR("error", err.text));
    }
    table_end(out);
    watch->columns_sent = true;
}

static void add_event(struct watch *watch, const char *type, const struct record *record) {
    buf_add_str(&watch->out, "{\"type\":\"");
    buf_add_str(&watch->out, type);
    buf_add_str(&watch->out, "\",\"object\":");
    add_object(watch, record);
    buf_add_str(&watch->out, "}\n");
}

static void add_bookmark(struct watch *watch, bool initial_end) {
    const struct kind_info *kind = kind_info(watch->kind);
    struct buf *out = &watch->out;
    buf_add_str(out, "{\"type\":\"BOOKMARK\",\"object\":{");
    buf_json_member_str(out, "kind", kind->name);
    buf_json_member_str(out, "apiVersion", kind->api_version);
    buf_printf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\",\"creationTimestamp\":null%s}}}\n",
               watch->reported,
               initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

/* The stream's last word; the client lists anew. */
static void add_failure(struct watch *watch, const struct err *failure) {
    struct buf *out = &watch->out;
    buf_add_str(out,
                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                "\"status\":\"Failure\"");
    buf_json_member_str(out, "message", failure->text);
    buf_json_member_str(out, "reason", err_reason(failure->code));
    buf_json_member_u64(out, "code", err_http_status(failure->code));
    buf_add_str(out, "}}\n");
    watch->ended = true;
}

/* ---- collecting events ---- */

static void add_initial(struct watch *watch) {
    while (watch->record != NULL && watch->out.len < WATCH_FILL) {
        if (selection_matches(&watch->selection, watch->record->object)) {
            add_event(watch, "ADDED", watch->record);
        }
        watch->record = snapshot_step(&watch->cursor);
    }
    if (watch->record == NULL) {
        if (watch->initial_events) {
            add_bookmark(watch, true);
        }
        snapshot_unref(watch->snapshot);
        watch->snapshot = NULL;
    }
}

/* What a change is to this watcher, whose selection an object may enter and leave. */
static const char *event_type(const struct watch *watch, const struct state_event *event) {
    bool after = selection_matches(&watch->selection, event->after->object);
    if (event->op == STORE_CREATE) {
        return after ? "ADDED" : NULL;
    }
    if (event->op == STORE_DELETE) {
        bool before =
            event->before != NULL ? selection_matches(&watch->selection, event->before->object) : after;
        return before ? "DELETED" : NULL;
    }
    if (event->before == NULL) {
        /* Its former labels are not known any more. Clients take a MODIFIED of what they do not have as
         * new, and ignore a DELETED of it. */
        return after ? "MODIFIED" : selection_is_by_label(&watch->selection) ? "DELETED" : NULL;
    }
    bool before = selection_matches(&watch->selection, event->before->object);
    if (after) {
        return before ? "MODIFIED" : "ADDED";
    }
    return before ? "DELETED" : NULL;
}

static int add_changes(struct watch *watch, struct err *err) {
    struct state_event events[WATCH_EVENTS];
    size_t count = WATCH_EVENTS;
    while (count == WATCH_EVENTS && watch->out.len < WATCH_FILL) {
        uint64_t upto = watch->reported;
        if (state_events(watch->serving->state, watch->kind, watch->reported, events, WATCH_EVENTS, &count,
                         &upto, err) != 0) {
            return -1;
        }
        for (size_t i = 0; i < count; i++) {
            const char *type = event_type(watch, &events[i]);
            if (type != NULL) {
                add_event(watch, type, events[i].after);
            }
            record_unref(events[i].before);
            record_unref(events[i].after);
        }
        watch->reported = upto;
    }
    return 0;
}

/* The end has come in good order: a bookmark says from where a watch can go on that had nothing to report for
 * long, before the changes since its last event are forgotten. */
static void add_farewell(struct watch *watch) {
    struct err err = ERR_INIT;
    if (watch->bookmarks && watch->snapshot == NULL && add_changes(watch, &err) == 0) {
        add_bookmark(watch, false);
    }
    watch->ended = true;
}

/* Fill the empty buffer with what there is now. */
static void fill(struct watch *watch) {
    struct err err = ERR_INIT;
    int64_t now = clock_monotonic_ms();
    buf_clear(&watch->out);
    watch->sent = 0;
    /* Also when its credential has ended meanwhile: whoever begins anew is then told so. */
    watch->ended = access_recheck(watch->request, &err) != 0;
    if (watch->ended) {
        return;
    }
    if (atomic_load(&watch->serving->stopping) || now >= watch->deadline_ms) {
        add_farewell(watch);
        return;
    }
    if (watch->snapshot != NULL && now >= watch->initial_by_ms) {
        err_set(&err, ERR_EXPIRED,
                "what there was at the beginning has not been read within %lld s; list again, in pages, and "
                "watch from the list's resourceVersion",
                (long long)(connections_answer_ms(watch->serving->connections) / 1000));
        add_failure(watch, &err);
    } else if (watch->snapshot != NULL) {
        add_initial(watch);
    } else if (add_changes(watch, &err) != 0) {
        add_failure(watch, &err);
    } else if (watch->out.len == 0 && watch->bookmarks && now >= watch->next_bookmark_ms) {
        add_bookmark(watch, false);
    }
    if (watch->out.len > 0) {
        watch->next_bookmark_ms = now + WATCH_BOOKMARK_MS;
    }
}

/* Its reader has stalled. What can still be told it is the rest of the event it is in the middle of, and why
 * it is the last. */
static void end_stalled(struct watch *watch) {
    struct buf *out = &watch->out;
    struct err err = ERR_INIT;
    if (watch->ended) {
        return;
    }
    if (watch->sent > 0 && watch->sent < out->len && out->data[watch->sent - 1] != '\n') {
        const char *end = memchr(out->data + watch->sent, '\n', out->len - watch->sent);
        buf_truncate(out, (size_t)(end - out->data) + 1);
    } else {
        buf_truncate(out, watch->sent);
    }
    err_set(&err, ERR_EXPIRED,
            "the reader of this watch has taken nothing for %lld s; list again and watch from the list's "
            "resourceVersion",
            (long long)(connections_stall_ms(watch->serving->connections) / 1000));
    add_failure(watch, &err);
}

/* ---- waiting ---- */

static void on_news(struct watcher *watcher) {
    park_wake(watcher->arg);
}

static bool withdraw(struct park_entry *entry) {
    struct watch *watch = (struct watch *)((char *)entry - offsetof(struct watch, entry));
    return state_watch_disarm(watch->serving->state, &watch->watcher);
}

static ssize_t wait_for_news(struct watch *watch) {
    struct serving *serving = watch->serving;
    struct err err = ERR_INIT;
    if (connection_has_gone(watch->request->connection)) {
        return REPLY_STREAM_BROKEN;
    }
    /* An idle watch costs no buffer. */
    buf_done(&watch->out);
    watch->sent = 0;
    int64_t until = clock_monotonic_ms() + WATCH_LOOK_MS + (int64_t)(random_u64() % (WATCH_LOOK_MS / 16));
    if (watch->bookmarks && watch->next_bookmark_ms < until) {
        until = watch->next_bookmark_ms;
    }
    if (watch->deadline_ms < until) {
        until = watch->deadline_ms;
    }
    /* An uncounted wait cannot fail. */
    if (park_enter(serving->park, &watch->entry, watch->request, false, until, withdraw, NULL, &err) != 0) {
        return REPLY_STREAM_BROKEN;
    }
    watch->watcher = (struct watcher){.kind = watch->kind, .wake = on_news, .arg = &watch->entry};
    bool ready = true;
    state_watch_arm(serving->state, &watch->watcher, watch->reported, &ready);
    park_settle(&watch->entry, !ready);
    return 0;
}

static ssize_t read_events(void *cls, uint64_t position, char *bytes, size_t max) {
    struct watch *watch = cls;
    struct connection *connection = watch->request->connection;
    (void)position;
    if (!connection_has_taken(connection)) {
        end_stalled(watch);
    }
    if (watch->sent == watch->out.len) {
        if (!watch->ended) {
            fill(watch);
        }
        if (buf_failed(&watch->out)) {
            return REPLY_STREAM_BROKEN;
        }
        if (watch->sent == watch->out.len) {
            if (watch->ended) {
                return REPLY_STREAM_END;
            }
            return wait_for_news(watch);
        }
    }
    size_t len = watch->out.len - watch->sent < max ? watch->out.len - watch->sent : max;
    if (len > WATCH_BLOCK) {
        len = WATCH_BLOCK;
    }
    memcpy(bytes, watch->out.data + watch->sent, len);
    watch->sent += len;
    watch->request->reply_bytes += len;
    connection_streams(connection);
    return (ssize_t)len;
}

static void free_watch(void *cls) {
    struct watch *watch = cls;
    atomic_fetch_sub(&watch->serving->watches, 1);
    snapshot_unref(watch->snapshot);
    buf_done(&watch->out);
    free(watch);
}

/* ---- starting ---- */

static int parse_times(struct watch *watch, struct err *err) {
    const char *seconds = request_query(watch->request, QUERY_TIMEOUT_SECONDS);
    uint64_t value = 0;
    if (seconds != NULL && seconds[0] != '\0' && !u64_parse(seconds, strlen(seconds), UINT32_MAX, &value)) {
        return err_set(err, ERR_BAD_REQUEST, "timeoutSeconds=%.50s is not a number of seconds", seconds);
    }
    int64_t now = clock_monotonic_ms();
    if (value > WATCH_SECONDS_MAX) {
        value = WATCH_SECONDS_MAX;
    }
    watch->deadline_ms = value > 0 ? now + (int64_t)value * 1000 + 1 : INT64_MAX;
    watch->initial_by_ms = now + connections_answer_ms(watch->serving->connections);
    watch->next_bookmark_ms = now + WATCH_BOOKMARK_MS;
    return 0;
}

/* Where the stream begins. *ret_too_new: the version asked for is yet to come. */
static int parse_start(struct watch *watch, uint64_t *ret_too_new, uint64_t *ret_current, struct err *err) {
    struct request *request = watch->request;
    uint64_t from;
    if (parse_times(watch, err) != 0 || table_object_param(request, &watch->object, err) != 0 ||
        resource_version_param(request, &from, err) != 0) {
        return -1;
    }
    watch->bookmarks = request_query_flag(request, QUERY_BOOKMARKS);
    const char *initial = request_query(request, QUERY_INITIAL_EVENTS);
    watch->initial_events = request_query_flag(request, QUERY_INITIAL_EVENTS);
    struct picture *picture = state_picture(request->serving->state);
    uint64_t current = snapshot_revision(picture->snapshot);
    *ret_current = current;
    *ret_too_new = from > current ? from : 0;
    bool everything = initial != NULL && initial[0] != '\0' ? watch->initial_events : from == 0;
    watch->reported = from;
    if (from == 0 || everything) {
        watch->reported = current;
    }
    if (everything) {
        watch->snapshot = snapshot_ref(picture->snapshot);
        watch->record = snapshot_seek(&watch->cursor, watch->snapshot, watch->kind, NULL);
    }
    picture_unref(picture);
    return 0;
}

/* Takes the watch over, also on failure. */
static int start(struct watch *watch, struct err *err) {
    struct request *request = watch->request;
    uint64_t too_new;
    uint64_t current;
    if (parse_start(watch, &too_new, &current, err) != 0) {
        free_watch(watch);
        return -1;
    }
    if (too_new != 0) {
        free_watch(watch);
        return resource_reply_too_new(request, too_new, current, err);
    }
    /* A version too old is said by the status, while there still is one to send. */
    if (watch->snapshot == NULL && add_changes(watch, err) != 0) {
        free_watch(watch);
        return -1;
    }
    return reply_stream(request, TYPE_JSON, WATCH_BLOCK, read_events, free_watch, watch, err);
}

int handle_watch(struct request *request, const struct selection *selection, enum media_answer answer,
                 struct err *err) {
    struct serving *serving = request->serving;
    if (atomic_fetch_add(&serving->watches, 1) >= serving->watches_max) {
        atomic_fetch_sub(&serving->watches, 1);
        return err_set(err, ERR_UNAVAILABLE, "%u watches are open already; try again later",
                       serving->watches_max);
    }
    struct watch *watch = base_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        atomic_fetch_sub(&serving->watches, 1);
        return err_no_memory(err);
    }
    watch->serving = serving;
    watch->request = request;
    watch->kind = request->route->kind;
    watch->selection = *selection; /* its texts are in the request's arena */
    watch->answer = answer;
    buf_init(&watch->out);
    return start(watch, err);
}
