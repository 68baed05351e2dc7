/*
 * Moments of the fleet's history, as clients name them: a revision, a time (RFC 3339), or "now".
 */
#ifndef BGPPEERD_HTTP_FLEET_MOMENT_H
#define BGPPEERD_HTTP_FLEET_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "request/query.h"
#include "state.h"

struct request;

struct moment {
    bool given;
    bool is_time;
    bool is_now;
    int64_t time_ms;
    uint64_t revision;
};

/* From a parameter; an empty or absent one is not `given`. ERR_BAD_REQUEST says what it may be. */
int moment_read(const struct request *request, enum query_name name, struct moment *ret,
                struct err *err) MUST_CHECK;
/* The same of a text (NULL: not given) that is called `what` in messages. */
int moment_parse(const char *text, const char *what, struct moment *ret, struct err *err) MUST_CHECK;

/* What follows asks the store: on the worker's thread. */

/* The newest revision at or before the moment; the newest of all when none is given. ERR_EXPIRED;
 * ERR_BAD_REQUEST: a revision that is not there yet. */
int moment_at(struct state *state, const struct moment *moment, const char *what, uint64_t *ret,
              struct err *err) MUST_CHECK;
/* The newest revision before the moment, of which changes behind it are known. ERR_EXPIRED. */
int moment_before(struct state *state, const struct store_status *status, const struct moment *moment,
                  const char *what, uint64_t *ret, struct err *err) MUST_CHECK;
/* ERR_EXPIRED: `what` reaches back behind what is known. Always -1. */
int moment_gone(const struct store_status *status, const char *what, struct err *err);

/* {"revision": "412", "time": …}: the time is that of the newest change up to the revision, and left out when
 * that is not known. */
int moment_write(struct state *state, uint64_t revision, struct buf *out, struct err *err) MUST_CHECK;

#endif
