/*
 * Metrics: the counters of requests. A shard belongs to a thread (or to several, when there are more than
 * shards), so its additions are atomic and relaxed; nothing is ordered by them. No locks.
 */
#include "request/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "request/serving.h"
#include "request/status.h"

/* Followed by the counters of (route_count + 1) * METRICS_CLASSES. */
struct shard {
    _Alignas(64) struct histogram durations[METRICS_WORK_COUNT];
    _Atomic uint64_t body_bytes;
    _Atomic uint64_t lists[RENDER_FORMATS_MAX];
    _Atomic uint64_t cut;
    _Atomic uint64_t audit[AUDIT_EVENT_COUNT];
    _Atomic uint64_t errors[METRICS_ERRORS];
    _Atomic uint64_t requests[];
};

struct metrics {
    size_t route_count;
    size_t shard_size;
    char *shards; /* SERVING_SHARDS of them */
    uint64_t process_start_ns;
    _Atomic uint64_t backups;
    _Atomic int64_t backup_ms;
};

int metrics_new(size_t route_count, uint64_t process_start_ns, struct metrics **ret, struct err *err) {
    struct metrics *metrics = base_calloc(1, sizeof(*metrics));
    if (metrics == NULL) {
        return err_no_memory(err);
    }
    size_t size = sizeof(struct shard) + (route_count + 1) * METRICS_CLASSES * sizeof(uint64_t);
    size = (size + _Alignof(struct shard) - 1) / _Alignof(struct shard) * _Alignof(struct shard);
    metrics->route_count = route_count;
    metrics->shard_size = size;
    metrics->process_start_ns = process_start_ns;
    metrics->shards = aligned_alloc(_Alignof(struct shard), SERVING_SHARDS * size);
    if (metrics->shards == NULL) {
        free(metrics);
        return err_no_memory(err);
    }
    memset(metrics->shards, 0, SERVING_SHARDS * size);
    *ret = metrics;
    return 0;
}

void metrics_free(struct metrics *metrics) {
    if (metrics != NULL) {
        free(metrics->shards);
        free(metrics);
    }
}

/* ---- counting ---- */

static struct shard *shard_at(const struct metrics *metrics, size_t index) {
    return (struct shard *)(void *)(metrics->shards + index * metrics->shard_size);
}

static void add(_Atomic uint64_t *counter, uint64_t more) {
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static enum metrics_work work_of(const struct request *request) {
    const struct route *route = request->route;
    if (route != NULL && (route->flags & ROUTE_POLL) != 0) {
        return METRICS_POLL;
    }
    return request->method == METHOD_GET || request->method == METHOD_HEAD ? METRICS_READ : METRICS_WRITE;
}

/* What is more than a status. */
static void note_success(struct metrics *metrics, struct shard *shard, const struct request *request,
                         bool complete) {
    if (request->list_format > 0) {
        add(&shard->lists[request->list_format - 1], 1);
    } else if ((request->route->flags & ROUTE_BACKUP) != 0 && complete && request->method == METHOD_GET) {
        atomic_store_explicit(&metrics->backup_ms, clock_realtime_ms(), memory_order_relaxed);
        add(&metrics->backups, 1);
    }
}

void metrics_request(const struct request *request, bool complete, int64_t took_ns) {
    struct metrics *metrics = request->serving->metrics;
    struct shard *shard = shard_at(metrics, request->shard);
    unsigned status = request->status;
    if (!complete && !request->stream) { /* most watches end so */
        add(&shard->cut, 1);
    }
    if (status < 100 || status >= METRICS_ERROR_FIRST + METRICS_ERRORS) {
        return; /* there was no answer */
    }
    size_t route =
        request->route != NULL ? (size_t)(request->route - request->serving->routes) : metrics->route_count;
    add(&shard->requests[route * METRICS_CLASSES + status / 100 - 1], 1);
    if (status >= METRICS_ERROR_FIRST) {
        add(&shard->errors[status - METRICS_ERROR_FIRST], 1);
    } else if (status == STATUS_OK && request->route != NULL) {
        note_success(metrics, shard, request, complete);
    }
    /* Of an answer that was cut nobody knows how much went out, but of a stream. */
    if (request->reply_bytes > 0 && request->method != METHOD_HEAD && (complete || request->stream)) {
        add(&shard->body_bytes, request->reply_bytes);
    }
    if (!request->waited && !request->stream) {
        histogram_note(&shard->durations[work_of(request)], &HISTOGRAM_DURATIONS, (uint64_t)took_ns);
    }
}

void metrics_audit(const struct request *request, enum audit_event event) {
    add(&shard_at(request->serving->metrics, request->shard)->audit[event], 1);
}

/* ---- reading ---- */

static uint64_t load(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int metrics_read(const struct metrics *metrics, struct arena *arena, struct metrics_totals *ret,
                 struct err *err) {
    size_t request_count = (metrics->route_count + 1) * METRICS_CLASSES;
    uint64_t *requests = arena_array(arena, request_count, sizeof(*requests));
    if (requests == NULL) {
        return err_no_memory(err);
    }
    *ret =
        (struct metrics_totals){.requests = requests,
                                .process_start_ns = metrics->process_start_ns,
                                .backups = load(&metrics->backups),
                                .backup_ms = atomic_load_explicit(&metrics->backup_ms, memory_order_relaxed)};
    memset(requests, 0, request_count * sizeof(*requests));
    for (size_t i = 0; i < SERVING_SHARDS; i++) {
        const struct shard *shard = shard_at(metrics, i);
        for (size_t k = 0; k < request_count; k++) {
            requests[k] += load(&shard->requests[k]);
        }
        for (size_t k = 0; k < METRICS_ERRORS; k++) {
            ret->errors[k] += load(&shard->errors[k]);
        }
        for (size_t k = 0; k < METRICS_WORK_COUNT; k++) {
            histogram_read(&shard->durations[k], &ret->durations[k]);
        }
        for (size_t k = 0; k < AUDIT_EVENT_COUNT; k++) {
            ret->audit[k] += load(&shard->audit[k]);
        }
        ret->body_bytes += load(&shard->body_bytes);
        for (size_t k = 0; k < RENDER_FORMATS_MAX; k++) {
            ret->lists[k] += load(&shard->lists[k]);
        }
        ret->cut += load(&shard->cut);
    }
    return 0;
}
