/*
 * Park: a heap of deadlines and the timer thread.
 *
 * The lock guards the heap, the count and every entry's phase; state's functions are never called with
 * it held. Two parties may end a wait: state (the list changed) and the timer (time is up, or the
 * service stops). The phases make sure that exactly one of them resumes the connection, and only when
 * the other is done with the entry, because a resumed request may be freed at once:
 *
 *   the timer takes an entry out of the heap (EXPIRING), asks state to forget it, and resumes it if
 *   state did, or if state has called wake meanwhile; else wake is on its way and will resume.
 */
#include "machine/park.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

#define SWEEP_MS 1000

struct park {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;   /* earlier deadline, release, or end */
    struct park_entry **heap; /* smallest deadline first */
    size_t count;             /* in the heap */
    size_t places;            /* counted waits: in the heap, starting or expiring */
    size_t max;
    uint64_t waits; /* counted ones that began */
    uint64_t woken; /* … and that news ended */
    bool released;
    bool ending;
    int64_t next_sweep_ms;
    void (*sweep)(void *arg);
    void *sweep_arg;
};

/* ---- the heap; the lock is held ---- */

static void place(struct park *park, size_t index, struct park_entry *entry) {
    park->heap[index] = entry;
    entry->heap_index = index;
}

static void sift_up(struct park *park, size_t index, struct park_entry *entry) {
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (park->heap[parent]->deadline_ms <= entry->deadline_ms) {
            break;
        }
        place(park, index, park->heap[parent]);
        index = parent;
    }
    place(park, index, entry);
}

static void sift_down(struct park *park, size_t index, struct park_entry *entry) {
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= park->count) {
            break;
        }
        if (child + 1 < park->count && park->heap[child + 1]->deadline_ms < park->heap[child]->deadline_ms) {
            child++;
        }
        if (entry->deadline_ms <= park->heap[child]->deadline_ms) {
            break;
        }
        place(park, index, park->heap[child]);
        index = child;
    }
    place(park, index, entry);
}

static void heap_push(struct park *park, struct park_entry *entry) {
    entry->queued = true;
    sift_up(park, park->count++, entry);
}

static void heap_remove(struct park *park, struct park_entry *entry) {
    size_t index = entry->heap_index;
    struct park_entry *last = park->heap[--park->count];
    entry->queued = false;
    if (last == entry) {
        return;
    }
    if (index > 0 && last->deadline_ms < park->heap[(index - 1) / 2]->deadline_ms) {
        sift_up(park, index, last);
    } else {
        sift_down(park, index, last);
    }
}

/* ---- ending a wait ---- */

void park_wake(struct park_entry *entry) {
    struct park *park = entry->park;
    pthread_mutex_lock(&park->lock);
    enum park_phase before = entry->phase;
    struct request *request = entry->request;
    entry->phase = PARK_WOKEN;
    park->woken += entry->counted;
    if (before == PARK_WAITING) {
        if (entry->queued) {
            heap_remove(park, entry);
        }
        park->places -= entry->counted;
    }
    pthread_mutex_unlock(&park->lock);
    /* STARTING and EXPIRING: whoever holds it in that phase sees WOKEN and resumes. */
    if (before == PARK_WAITING) {
        request_resume(request);
    }
}

/* Out of the heap already; the lock is held, and released while state is asked. */
static void expire(struct park *park, struct park_entry *entry) {
    entry->phase = PARK_EXPIRING;
    pthread_mutex_unlock(&park->lock);
    bool withdrawn = entry->withdraw(entry);
    pthread_mutex_lock(&park->lock);
    if (!withdrawn && entry->phase != PARK_WOKEN) {
        entry->phase = PARK_WAITING; /* wake is on its way and finds it not queued */
        return;
    }
    park->places -= entry->counted;
    pthread_mutex_unlock(&park->lock);
    request_resume(entry->request);
    pthread_mutex_lock(&park->lock);
}

/* ---- the timer thread ---- */

static void wait_until(struct park *park, int64_t deadline_ms) {
    struct timespec when = {.tv_sec = (time_t)(deadline_ms / 1000),
                            .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    pthread_cond_timedwait(&park->changed, &park->lock, &when);
}

static void *run(void *arg) {
    struct park *park = arg;
    pthread_mutex_lock(&park->lock);
    while (!park->ending) {
        int64_t now = clock_monotonic_ms();
        while (park->count > 0 && (park->released || park->heap[0]->deadline_ms <= now)) {
            struct park_entry *entry = park->heap[0];
            heap_remove(park, entry);
            expire(park, entry);
        }
        if (now >= park->next_sweep_ms) {
            park->next_sweep_ms = now + SWEEP_MS;
            pthread_mutex_unlock(&park->lock);
            park->sweep(park->sweep_arg);
            pthread_mutex_lock(&park->lock);
            continue; /* deadlines may have passed meanwhile */
        }
        if (park->ending || (park->released && park->count > 0)) {
            continue;
        }
        int64_t next = park->next_sweep_ms;
        if (park->count > 0 && park->heap[0]->deadline_ms < next) {
            next = park->heap[0]->deadline_ms;
        }
        wait_until(park, next);
    }
    pthread_mutex_unlock(&park->lock);
    return NULL;
}

/* ---- life ---- */

static int init_locks(struct park *park) {
    int failure = clock_cond_init(&park->changed);
    if (failure == 0) {
        pthread_mutex_init(&park->lock, NULL);
    }
    return failure;
}

int park_start(size_t max, void (*sweep)(void *arg), void *arg, struct park **ret, struct err *err) {
    struct park *park = base_calloc(1, sizeof(*park));
    struct park_entry **heap = base_calloc(2 * max, sizeof(struct park_entry *));
    if (park == NULL || heap == NULL) {
        free(heap);
        free(park);
        return err_no_memory(err);
    }
    *park = (struct park){.heap = heap, .max = max, .sweep = sweep, .sweep_arg = arg};
    int failure = init_locks(park);
    if (failure == 0) {
        failure = pthread_create(&park->thread, NULL, run, park);
        if (failure != 0) {
            pthread_mutex_destroy(&park->lock);
            pthread_cond_destroy(&park->changed);
        }
    }
    if (failure != 0) {
        free(heap);
        free(park);
        return err_set(err, ERR_UNAVAILABLE, "cannot start the timer thread: %s", strerror(failure));
    }
    *ret = park;
    return 0;
}

void park_release(struct park *park) {
    pthread_mutex_lock(&park->lock);
    park->released = true;
    pthread_cond_signal(&park->changed);
    pthread_mutex_unlock(&park->lock);
}

/* A waiting request is touched by nobody else: whoever resumes it takes it out of the heap first. */
void park_hasten(struct park *park, const char *user) {
    pthread_mutex_lock(&park->lock);
    for (size_t i = 0; i < park->count; i++) {
        if (strcmp(park->heap[i]->request->principal.user, user) == 0) {
            park->heap[i]->deadline_ms = 0;
        }
    }
    for (size_t i = park->count / 2; i > 0; i--) {
        sift_down(park, i - 1, park->heap[i - 1]);
    }
    pthread_cond_signal(&park->changed);
    pthread_mutex_unlock(&park->lock);
}

void park_read(struct park *park, struct park_figures *ret) {
    pthread_mutex_lock(&park->lock);
    *ret = (struct park_figures){
        .waiting = park->places, .max = park->max, .waits = park->waits, .woken = park->woken};
    pthread_mutex_unlock(&park->lock);
}

void park_free(struct park *park) {
    if (park == NULL) {
        return;
    }
    pthread_mutex_lock(&park->lock);
    park->ending = true;
    pthread_cond_signal(&park->changed);
    pthread_mutex_unlock(&park->lock);
    pthread_join(park->thread, NULL);
    pthread_mutex_destroy(&park->lock);
    pthread_cond_destroy(&park->changed);
    free(park->heap);
    free(park);
}

/* ---- waiting ---- */

static int take_place(struct park *park, struct err *err) {
    pthread_mutex_lock(&park->lock);
    bool full = park->places >= park->max;
    park->places += !full;
    park->waits += !full;
    pthread_mutex_unlock(&park->lock);
    if (full) {
        return err_set(err, ERR_UNAVAILABLE,
                       "%zu polls are waiting already; try again, or poll without wait=", park->max);
    }
    return 0;
}

int park_enter(struct park *park, struct park_entry *entry, struct request *request, bool counted,
               int64_t deadline_ms, bool (*withdraw)(struct park_entry *entry),
               int (*resume)(struct request *, struct err *), struct err *err) {
    if (counted && take_place(park, err) != 0) {
        return -1;
    }
    *entry = (struct park_entry){.park = park,
                                 .request = request,
                                 .withdraw = withdraw,
                                 .deadline_ms = deadline_ms,
                                 .counted = counted,
                                 .phase = PARK_STARTING};
    request->waited = true;
    request_suspend(request, resume);
    return 0;
}

void park_settle(struct park_entry *entry, bool armed) {
    struct park *park = entry->park;
    struct request *request = entry->request;
    pthread_mutex_lock(&park->lock);
    bool waits = armed && entry->phase == PARK_STARTING;
    if (waits) {
        entry->phase = PARK_WAITING;
        heap_push(park, entry);
        if (entry->heap_index == 0 || park->released) {
            pthread_cond_signal(&park->changed);
        }
    } else {
        park->places -= entry->counted;
    }
    pthread_mutex_unlock(&park->lock);
    if (!waits) {
        request_resume(request);
    }
}
