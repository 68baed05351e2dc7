/*
 * Metrics: what is counted of requests, for /metrics. Counters stand apart per thread, like struct
 * serving_shard, so that counting a poll is a few additions to memory that no other processor uses: no lock,
 * no formatting. Counting may be done on any thread; reading adds the shards up.
 */
#ifndef BGPPEERD_HTTP_REQUEST_METRICS_H
#define BGPPEERD_HTTP_REQUEST_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "base/err.h"
#include "base/histogram.h"
#include "render.h"
#include "request/request.h"

/* Statuses are counted by route and hundred, and those of errors one by one as well. */
#define METRICS_CLASSES     5
#define METRICS_ERROR_FIRST 400
#define METRICS_ERRORS      200

/* Whose duration is measured together. Requests that waited for news, and streams, are in none. */
enum metrics_work { METRICS_POLL, METRICS_READ, METRICS_WRITE, METRICS_WORK_COUNT };

struct metrics;

/* `route_count`: of the route table. `process_start_ns`: since 1970; asked once, for it must not waver. */
int metrics_new(size_t route_count, uint64_t process_start_ns, struct metrics **ret,
                struct err *err) MUST_CHECK;
void metrics_free(struct metrics *metrics); /* accepts NULL */

/* A request is over. `complete`: its answer went out whole. `took_ns`: since its first line was in. */
void metrics_request(const struct request *request, bool complete, int64_t took_ns);
/* An entry of the audit trail was made for the request. */
void metrics_audit(const struct request *request, enum audit_event event);

/* The sums of all shards. */
struct metrics_totals {
    const uint64_t *requests; /* [route * METRICS_CLASSES + status / 100 - 1]; the last route: none matched */
    uint64_t errors[METRICS_ERRORS];
    struct histogram_reading durations[METRICS_WORK_COUNT]; /* HISTOGRAM_DURATIONS */
    uint64_t body_bytes;
    uint64_t lists[RENDER_FORMATS_MAX]; /* polls answered with a list, by its format */
    uint64_t cut; /* requests, streams apart, whose connection ended before the answer was out */
    uint64_t audit[AUDIT_EVENT_COUNT];
    uint64_t process_start_ns; /* since 1970; PROCESS_UNKNOWN */
    uint64_t backups;
    int64_t backup_ms; /* realtime: when the newest one was out; 0 = none yet */
};
int metrics_read(const struct metrics *metrics, struct arena *arena, struct metrics_totals *ret,
                 struct err *err) MUST_CHECK;

#endif
