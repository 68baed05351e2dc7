/*
 * Memory for rooms whose failure paths are tested: malloc and realloc with a countdown to a failure.
 *
 * The memory is plain malloc memory; release it with free(). Thread-safe. The countdown is for tests
 * only and is process-wide.
 */
#ifndef BGPPEERD_BASE_ALLOC_H
#define BGPPEERD_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc, calloc and realloc; the only callers of those in the program (jansson, libyaml and GnuTLS are
 * given functions that come here). NULL when memory is out or the countdown says so. */
void *base_malloc(size_t size);
void *base_calloc(size_t count, size_t size);
void *base_realloc(void *old, size_t size);
/* As strdup and strndup. */
char *base_strdup(const char *text);
char *base_strndup(const char *text, size_t len);

/*
 * Room for one more item behind `count` items of `size` bytes: `items` itself, or a copy of twice the room
 * (at first: `first` items) with *cap counted up. NULL: memory is out, and `items` and *cap are as they were.
 */
void *base_grow(void *items, size_t count, size_t *cap, size_t first, size_t size);

/*
 * Memory that is wiped before it is freed, also when it moves, for libraries that keep secrets in memory of
 * their own. Released by base_wiping_free only.
 */
void *base_wiping_malloc(size_t size);
void *base_wiping_calloc(size_t count, size_t size);
void *base_wiping_realloc(void *old, size_t size);
char *base_wiping_strdup(const char *text);
void base_wiping_free(void *memory);

/* Let `successes` more allocations succeed and the one after them fail, once. Negative: never fail. */
void base_alloc_fail_after(long successes);
/* Has the failure asked for happened? False when the code under test needed fewer allocations. */
bool base_alloc_failed(void);

#endif
