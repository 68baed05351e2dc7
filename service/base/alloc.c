/*
 * Counted allocation, so that tests can fail the Nth one. The counter is one atomic; as long as it is
 * negative (always, outside of tests) an allocation costs one relaxed load more than malloc.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

char *base_strndup(const char *text, size_t len) {
    return must_fail() ? NULL : strndup(text, len);
}

char *base_strdup(const char *text) {
    return must_fail() ? NULL : strdup(text);
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

/* ---- memory that is wiped ---- */

/* In front of every block; keeps malloc's alignment. */
struct wiped_block {
    _Alignas(16) size_t size;
};

void *base_wiping_malloc(size_t size) {
    struct wiped_block *block = size <= SIZE_MAX - sizeof(*block) ? base_malloc(sizeof(*block) + size) : NULL;
    if (block == NULL) {
        return NULL;
    }
    block->size = size;
    return block + 1;
}

void *base_wiping_calloc(size_t count, size_t size) {
    void *memory = size == 0 || count <= SIZE_MAX / size ? base_wiping_malloc(count * size) : NULL;
    return memory != NULL ? memset(memory, 0, count * size) : NULL;
}

void base_wiping_free(void *memory) {
    if (memory == NULL) {
        return;
    }
    struct wiped_block *block = (struct wiped_block *)memory - 1;
    explicit_bzero(memory, block->size);
    free(block);
}

void *base_wiping_realloc(void *old, size_t size) {
    void *memory = base_wiping_malloc(size);
    if (memory != NULL && old != NULL) {
        size_t old_size = ((struct wiped_block *)old - 1)->size;
        memcpy(memory, old, old_size < size ? old_size : size);
        base_wiping_free(old);
    }
    return memory;
}

char *base_wiping_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = base_wiping_malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* ---- failures on demand ---- */

void base_alloc_fail_after(long successes) {
    atomic_store(&has_failed, false);
    atomic_store(&countdown, successes);
}

bool base_alloc_failed(void) {
    return atomic_load(&has_failed);
}
