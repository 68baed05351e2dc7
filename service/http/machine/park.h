/*
 * Park: requests that wait for news, which are polls with `wait=` and idle watches. A waiting request
 * costs its connection and one entry here; no thread waits with it.
 *
 * Also runs the room's one timer thread, and with it the sweeping of old list pages.
 */
#ifndef BGPPEERD_HTTP_MACHINE_PARK_H
#define BGPPEERD_HTTP_MACHINE_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "request/request.h"

enum park_phase {
    PARK_STARTING, /* state may call wake, the timer does not know it yet */
    PARK_WAITING,  /* in the heap */
    PARK_EXPIRING, /* the timer has taken it out and is asking state for it */
    PARK_WOKEN,    /* state has called wake */
};

/*
 * One wait. The owner embeds it in a struct of its own, which must stay until the request is resumed.
 * The members are the park's.
 */
struct park_entry {
    struct park *park;
    struct request *request;
    bool (*withdraw)(struct park_entry *entry);
    int64_t deadline_ms; /* monotonic */
    size_t heap_index;   /* valid while queued */
    bool queued;
    bool counted;
    enum park_phase phase; /* guarded by the park's lock */
};

struct park;

/* `max`: waiting polls; as many watches may wait besides. `sweep` is called about once a second on the
 * timer thread. */
int park_start(size_t max, void (*sweep)(void *arg), void *arg, struct park **ret,
               struct err *err) MUST_CHECK;
/* Resume everything that waits; whatever comes later does not wait. */
void park_release(struct park *park);
/* Resume what waits for this user now, as if its time were over: its credential may have ended. */
void park_hasten(struct park *park, const char *user);
/* For monitoring: of the counted waits. */
struct park_figures {
    uint64_t waiting;
    uint64_t max;
    uint64_t waits; /* that began */
    uint64_t woken; /* that news ended */
};
void park_read(struct park *park, struct park_figures *ret);
/* After park_release, with no request left. Accepts NULL. */
void park_free(struct park *park);

/*
 * A wait in three steps, on the request's thread:
 *
 *   1. park_enter suspends the connection. `counted`: it takes one of the `max` places;
 *      -1 (ERR_UNAVAILABLE): there is none, nothing was suspended.
 *   2. the caller asks state to call park_wake(entry) when there is news;
 *   3. park_settle says whether state will (`armed`), or the request is to go on at once. The request
 *      must not be touched afterwards.
 *
 * Exactly one request_resume follows: on news, at the deadline, or when the park is released.
 * `withdraw` asks state to forget the entry; true: it will not call park_wake.
 */
int park_enter(struct park *park, struct park_entry *entry, struct request *request, bool counted,
               int64_t deadline_ms, bool (*withdraw)(struct park_entry *entry),
               int (*resume)(struct request *, struct err *), struct err *err) MUST_CHECK;
void park_settle(struct park_entry *entry, bool armed);
/* From state's callback, any thread, once. */
void park_wake(struct park_entry *entry);

#endif
