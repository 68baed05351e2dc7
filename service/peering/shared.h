/*
 * Shared, counted objects: what the index's versions have in common.
 *
 * Copy on write: whoever holds the only reference of an object, reached by a path of objects that it alone
 * holds, may change it in place; everybody else makes a copy first. A version under construction is seen
 * by one thread only; a published one is never changed. So the counts are all that threads contend for.
 */
#ifndef BGPPEERD_PEERING_SHARED_H
#define BGPPEERD_PEERING_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct shared {
    atomic_uint refs;
    void (*destroy)(struct shared *shared); /* called with the last reference gone */
};

static inline void shared_init(struct shared *shared, void (*destroy)(struct shared *shared)) {
    atomic_init(&shared->refs, 1);
    shared->destroy = destroy;
}

static inline void shared_ref(struct shared *shared) {
    if (shared != NULL) {
        atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    }
}

static inline void shared_unref(struct shared *shared) {
    if (shared != NULL && atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1) {
        shared->destroy(shared);
    }
}

/* Nobody else has it. Acquire: what former holders did with it happened before. */
static inline bool shared_is_sole(const struct shared *shared) {
    return atomic_load_explicit(&shared->refs, memory_order_acquire) == 1;
}

#endif
