/*
 * Counted allocation, so that tests can fail the Nth one. The counter is one atomic; as long as it is
 * negative (always, outside of tests) an allocation costs one relaxed load more than malloc.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static atomic_long countdown = -1;
static atomic_bool has_failed;

static bool must_fail(void) {
    if (atomic_load_explicit(&countdown, memory_order_relaxed) < 0) {
        return false;
    }
    if (atomic_fetch_sub(&countdown, 1) != 0) {
        return false;
    }
    atomic_store(&has_failed, true);
    return true;
}

void *base_malloc(size_t size) {
    return must_fail() ? NULL : malloc(size);
}

void *base_calloc(size_t count, size_t size) {
    return must_fail() ? NULL : calloc(count, size);
}

void *base_realloc(void *old, size_t size) {
    return must_fail() ? NULL : realloc(old, size);
}

void *base_grow(void *items, size_t count, size_t *cap, size_t first, size_t size) {
    if (count < *cap) {
        return items;
    }
    size_t room = *cap == 0 ? first : *cap * 2;
    if (room > SIZE_MAX / size) {
        return NULL;
    }
    void *larger = base_realloc(items, room * size);
    if (larger != NULL) {
        *cap = room;
    }
    return larger;
}

void base_alloc_fail_after(long successes) {
    atomic_store(&has_failed, false);
    atomic_store(&countdown, successes);
}

bool base_alloc_failed(void) {
    return atomic_load(&has_failed);
}
