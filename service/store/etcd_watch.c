/*
 * What tells an instance that others have written, and that etcd is there: a thread with a watch on the head,
 * and a heartbeat.
 *
 *   1. The watch is a request whose answer has no end. Each line of it says that the head was written, and by
 *      whom. What was written is read elsewhere, from the log: so nothing is lost when a watch is.
 *   2. Each second the head is read, of a majority. That finds what a watch did not tell, and says until when
 *      the picture of this instance was whole.
 *   3. When either fails, both go on with the next member.
 *
 * `lock` guards `changed`, and is held while it is called. What other threads ask of the heartbeat is atomic.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "etcd_store.h"

#define BEAT_MS      1000
#define BEAT_SECONDS 1     /* that one may take */
#define AGAIN_MS     200   /* until the next member is asked when one has failed */
#define LINE_MAX     65536 /* of the watch; the head is a few bytes */
#define AWAY_MS      4000  /* without a heartbeat: etcd is away */

struct etcd_watch {
    struct etcd_store *store;
    pthread_t thread;
    bool runs;
    int stop_fd; /* readable: stop */
    atomic_bool stopping;

    pthread_mutex_t lock;
    void (*changed)(void *arg); /* lock */
    void *arg;                  /* lock */

    _Atomic int64_t beat_ms; /* monotonic: when the last heartbeat that was answered was sent */
    pthread_mutex_t why_lock;
    struct err why; /* why_lock: of the last one that was not */

    /* The thread's. */
    struct client *client;
    struct client_call *call; /* the watch; NULL: none is open */
    struct buf body;          /* of its request */
    struct buf line;          /* what has come of the next one */
    bool begun;               /* it has said that it has begun; a heartbeat is due */
    bool broken;              /* … that it has ended */
    unsigned member;          /* whose it is */
    uint64_t seen;            /* commit of the newest head that it has told of */
    uint64_t first, previous; /* … that heartbeats have found since it has begun, or UINT64_MAX */
    uint64_t told;            /* … that `changed` was called for, or was our own */
    bool away;                /* for the log */
};

/* ---- heads ---- */

static void tell(struct etcd_watch *watch, const struct etcd_head *head) {
    if (head->commit <= watch->told) {
        return;
    }
    watch->told = head->commit;
    if (head->author.writer == watch->store->writer) {
        return; /* our own */
    }
    pthread_mutex_lock(&watch->lock);
    if (watch->changed != NULL) {
        watch->changed(watch->arg);
    }
    pthread_mutex_unlock(&watch->lock);
}

/* ---- the watch ---- */

/* {"result":{"header":{…},"events":[{"kv":{…}}]}}; failures come as lines as well, and the connection stays.
 */
static void take_line(struct etcd_watch *watch) {
    json_error_t error;
    json_t *json = json_loadb(watch->line.data, watch->line.len, 0, &error);
    const json_t *result = json_object_get(json, "result");
    const json_t *events = json_object_get(result, "events");
    if (result == NULL || json_is_true(json_object_get(result, "canceled"))) {
        watch->broken = true;
    }
    watch->begun = watch->begun || json_is_true(json_object_get(result, "created"));
    for (size_t i = 0; i < json_array_size(events); i++) {
        struct etcd_head head;
        struct err err = ERR_INIT;
        const json_t *kv = json_object_get(json_array_get(events, i), "kv");
        if (etcd_parse_head(watch->store, kv, &head, &err) == 0) {
            watch->seen = head.commit;
            tell(watch, &head);
        } /* else the heartbeat will say so */
    }
    json_decref(json);
    buf_clear(&watch->line);
}

static void take_part(void *arg, const char *bytes, size_t len) {
    struct etcd_watch *watch = arg;
    while (len > 0 && !watch->broken) {
        const char *end = memchr(bytes, '\n', len);
        size_t part = end != NULL ? (size_t)(end - bytes) : len;
        buf_add(&watch->line, bytes, part);
        watch->broken = buf_failed(&watch->line) || watch->line.len > LINE_MAX;
        if (end != NULL && !watch->broken && watch->line.len > 0) {
            take_line(watch);
        }
        part += end != NULL;
        bytes += part;
        len -= part;
    }
}

static void end_watch(struct etcd_watch *watch) {
    client_end(watch->call);
    watch->call = NULL;
    buf_done(&watch->body);
    buf_done(&watch->line);
    watch->begun = watch->broken = false;
    watch->seen = 0;
    watch->first = watch->previous = UINT64_MAX;
}

static int open_watch(struct etcd_watch *watch, struct err *err) {
    struct etcd_link *link = watch->store->link;
    buf_add_str(&watch->body, "{\"createRequest\":{");
    etcd_add_key(&watch->body, "key", watch->store->prefix, "head", NULL, '/', NULL);
    buf_add_str(&watch->body, "}}");
    watch->member = etcd_link_member(link);
    return etcd_begin(link, watch->client, watch->member, "/v3/watch", &watch->body, take_part, watch,
                      &watch->call, err);
}

/* ---- the heartbeat ---- */

static void set_away(struct etcd_watch *watch, const struct err *err) {
    pthread_mutex_lock(&watch->why_lock);
    watch->why = *err;
    pthread_mutex_unlock(&watch->why_lock);
}

static bool is_away(const struct etcd_watch *watch) {
    return clock_monotonic_ms() - atomic_load(&watch->beat_ms) > AWAY_MS;
}

static int beat_once(struct etcd_watch *watch, unsigned member, struct etcd_head *ret, struct err *err) {
    struct etcd_store *store = watch->store;
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    enum etcd_fate fate;
    buf_add_char(&body, '{');
    etcd_add_key(&body, "key", store->prefix, "head", NULL, '/', NULL);
    buf_add_char(&body, '}');
    int result = etcd_ask(store->link, member, "/v3/kv/range", &body, BEAT_SECONDS, &answer, &fate, err);
    buf_done(&body);
    if (result == 0) {
        result = etcd_parse_head(store, json_array_get(json_object_get(answer, "kvs"), 0), ret, err);
        json_decref(answer);
    }
    return result;
}

/* What a heartbeat has found must have been told by the watch before the next one. */
static void check_watch(struct etcd_watch *watch, const struct etcd_head *head) {
    if (watch->first == UINT64_MAX) {
        watch->first = head->commit;
    } else if (watch->previous > watch->first && watch->seen < watch->previous) {
        watch->broken = true;
    }
    watch->previous = head->commit;
}

/* False: there was no answer. */
static bool beat(struct etcd_watch *watch) {
    struct etcd_link *link = watch->store->link;
    unsigned member = etcd_link_member(link);
    int64_t sent_ms = clock_monotonic_ms();
    struct etcd_head head;
    struct err err = ERR_INIT;
    if (beat_once(watch, member, &head, &err) == 0) {
        atomic_store(&watch->beat_ms, sent_ms);
        if (watch->away) {
            log_event(LOG_INFO, "etcd-back");
            watch->away = false;
        }
        if (watch->call != NULL && watch->begun) {
            check_watch(watch, &head);
        }
        tell(watch, &head);
        return true;
    }
    set_away(watch, &err);
    etcd_link_leave(link, member);
    if (!watch->away && is_away(watch)) {
        log_event(LOG_WARN, "etcd-away", LOG_STR("error", err.text));
        watch->away = true;
    }
    return false;
}

/* ---- the thread ---- */

static void look_after_watch(struct etcd_watch *watch) {
    if (watch->call != NULL && (watch->broken || client_finished(watch->call) ||
                                watch->member != etcd_link_member(watch->store->link))) {
        end_watch(watch);
    }
    struct err err = ERR_INIT;
    if (watch->call == NULL && open_watch(watch, &err) != 0) {
        end_watch(watch); /* the heartbeat goes on to another member */
    }
}

static void *watch_main(void *arg) {
    struct etcd_watch *watch = arg;
    int64_t due_ms = 0;
    end_watch(watch);
    while (!atomic_load(&watch->stopping)) {
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms >= due_ms || (watch->begun && watch->first == UINT64_MAX)) {
            bool answered = beat(watch);
            look_after_watch(watch);
            due_ms = now_ms + (answered ? BEAT_MS : AGAIN_MS);
        }
        now_ms = clock_monotonic_ms();
        struct client_wait stop = {.fd = watch->stop_fd, .events = POLLIN};
        client_turn(watch->client, &stop, 1, due_ms > now_ms ? (int)(due_ms - now_ms) : 0);
    }
    end_watch(watch);
    return NULL;
}

int etcd_watch_start(struct etcd_store *store, struct err *err) {
    struct etcd_watch *watch = base_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return err_no_memory(err);
    }
    store->watch = watch;
    watch->store = store;
    watch->beat_ms = clock_monotonic_ms();
    pthread_mutex_init(&watch->lock, NULL);
    pthread_mutex_init(&watch->why_lock, NULL);
    watch->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (watch->stop_fd < 0 || client_new(&watch->client, err) != 0 ||
        pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
        return err->code != ERR_NONE ? -1
                                     : err_set(err, ERR_UNAVAILABLE, "the system is out of files or threads");
    }
    watch->runs = true;
    return 0;
}

void etcd_watch_stop(struct etcd_store *store) {
    struct etcd_watch *watch = store->watch;
    if (watch == NULL) {
        return;
    }
    if (watch->runs) {
        atomic_store(&watch->stopping, true);
        (void)eventfd_write(watch->stop_fd, 1);
        pthread_join(watch->thread, NULL);
    }
    client_free(watch->client);
    if (watch->stop_fd >= 0) {
        close(watch->stop_fd);
    }
    pthread_mutex_destroy(&watch->why_lock);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
    store->watch = NULL;
}

/* ---- the calls of store_ops.h ---- */

void etcd_store_watch(struct store *base, void (*changed)(void *arg), void *arg) {
    struct etcd_watch *watch = ((struct etcd_store *)base)->watch;
    pthread_mutex_lock(&watch->lock);
    watch->changed = changed;
    watch->arg = arg;
    pthread_mutex_unlock(&watch->lock);
}

int etcd_store_check(struct store *base, struct err *err) {
    struct etcd_watch *watch = ((struct etcd_store *)base)->watch;
    int64_t silent_ms = clock_monotonic_ms() - atomic_load(&watch->beat_ms);
    if (!is_away(watch)) {
        return 0;
    }
    pthread_mutex_lock(&watch->why_lock);
    struct err why = watch->why;
    pthread_mutex_unlock(&watch->why_lock);
    return err_set(err, ERR_UNAVAILABLE, "etcd has not answered for %" PRId64 " s: %s", silent_ms / 1000,
                   why.text);
}

void etcd_store_sizes(struct store *base, struct store_figures *ret) {
    (void)base;
    (void)ret; /* the files are etcd's */
}
