/*
 * See watch_stream.h.
 *
 * Nothing is queued for a watcher: its source keeps what has been reported and reads on from there when its
 * connection can take more. A reader too slow for that, or that takes nothing for a while, is cut off with a
 * 410 (see connection.h), and its memory never grows. An idle watch is a suspended connection and one entry
 * in the park; it is looked at when there is news, at its deadline, and now and then to notice a client that
 * has gone.
 *
 * The watch belongs to its connection's thread, except while it is parked.
 */
#include "objects/watch_stream.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/random.h"
#include "machine/connection.h"
#include "machine/park.h"
#include "objects/resource.h"
#include "request/reply.h"
#include "request/serving.h"

/* Small, because a thousand watches have each touched this much of their connections' memory. */
#define WATCH_BLOCK   2048  /* bytes sent at a time */
#define WATCH_LOOK_MS 30000 /* how often an idle client is looked at */
/* Clients take a watch that says nothing for 30 s for dead. */
#define WATCH_BOOKMARK_MS 25000
#define WATCH_SECONDS_MAX 86400

struct watch {
    struct park_entry entry;
    struct serving *serving;
    struct request *request; /* gone before the watch is: not for free_watch */
    struct watch_source *source;
    bool bookmarks;
    bool initial_events;   /* sendInitialEvents: mark their end */
    int64_t deadline_ms;   /* monotonic; INT64_MAX = none */
    int64_t initial_by_ms; /* monotonic; the beginning is not held longer for a slow reader */
    int64_t next_bookmark_ms;
    bool ended; /* what is in `out` is the last */
    struct buf out;
    size_t sent; /* of `out` */
};

/* ---- writing events ---- */

static void add_bookmark(struct watch *watch, bool initial_end) {
    struct buf *out = &watch->out;
    buf_add_str(out, "{\"type\":\"BOOKMARK\",\"object\":{");
    buf_json_member_str(out, "kind", watch->source->kind);
    buf_json_member_str(out, "apiVersion", watch->source->api_version);
    buf_printf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\",\"creationTimestamp\":null%s}}}\n",
               watch->source->reported,
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

static void end_initial(struct watch *watch) {
    watch->source->initial = false;
    watch->source->operations->forget(watch->source);
}

static void add_initial(struct watch *watch) {
    bool more = true;
    while (more && watch->out.len < WATCH_FILL) {
        more = watch->source->operations->initial(watch->source, &watch->out);
    }
    if (!more) {
        if (watch->initial_events) {
            add_bookmark(watch, true);
        }
        end_initial(watch);
    }
}

static int add_changes(struct watch *watch, struct err *err) {
    return watch->source->operations->changes(watch->source, &watch->source->reported, &watch->out, err);
}

/* The end has come in good order: a bookmark says from where a watch can go on that had nothing to report for
 * long, before the changes since its last event are forgotten. */
static void add_farewell(struct watch *watch) {
    struct err err = ERR_INIT;
    if (watch->bookmarks && !watch->source->initial && add_changes(watch, &err) == 0) {
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
    if (watch->source->initial && now >= watch->initial_by_ms) {
        err_set(&err, ERR_EXPIRED,
                "what there was at the beginning has not been read within %lld s; list again, in pages, and "
                "watch from the list's resourceVersion",
                (long long)(connections_answer_ms(watch->serving->connections) / 1000));
        add_failure(watch, &err);
    } else if (watch->source->initial) {
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

static void on_news(void *arg) {
    park_wake(arg);
}

static bool withdraw(struct park_entry *entry) {
    struct watch *watch = (struct watch *)((char *)entry - offsetof(struct watch, entry));
    return watch->source->operations->disarm(watch->source);
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
    bool ready = true;
    watch->source->operations->arm(watch->source, watch->source->reported, on_news, &watch->entry, &ready);
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
    struct watch_source *source = watch->source;
    watch_leave_place(watch->serving);
    source->operations->forget(source);
    source->operations->free(source);
    buf_done(&watch->out);
    free(watch);
}

/* ---- starting ---- */

int watch_take_place(struct serving *serving, struct err *err) {
    if (atomic_fetch_add(&serving->watches, 1) >= serving->watches_max) {
        atomic_fetch_sub(&serving->watches, 1);
        return err_set(err, ERR_UNAVAILABLE, "%u watches are open already; try again later",
                       serving->watches_max);
    }
    return 0;
}

void watch_leave_place(struct serving *serving) {
    atomic_fetch_sub(&serving->watches, 1);
}

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

int watch_read_start(const struct request *request, uint64_t current, struct watch_source *source,
                     uint64_t *ret_asked, struct err *err) {
    uint64_t from = 0;
    if (resource_version_param(request, &from, err) != 0) {
        return -1;
    }
    const char *initial = request_query(request, QUERY_INITIAL_EVENTS);
    source->initial =
        initial != NULL && initial[0] != '\0' ? request_query_flag(request, QUERY_INITIAL_EVENTS) : from == 0;
    source->reported = from == 0 || source->initial ? current : from;
    *ret_asked = from;
    return 0;
}

int watch_start(struct request *request, struct watch_source *source, struct err *err) {
    struct watch *watch = base_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        watch_leave_place(request->serving);
        source->operations->forget(source);
        source->operations->free(source);
        return err_no_memory(err);
    }
    watch->serving = request->serving;
    watch->request = request;
    watch->source = source;
    watch->bookmarks = request_query_flag(request, QUERY_BOOKMARKS);
    watch->initial_events = request_query_flag(request, QUERY_INITIAL_EVENTS);
    buf_init(&watch->out);
    if (parse_times(watch, err) != 0 || (!source->initial && add_changes(watch, err) != 0)) {
        free_watch(watch);
        return -1;
    }
    return reply_stream(request, TYPE_JSON, WATCH_BLOCK, read_events, free_watch, watch, err);
}
