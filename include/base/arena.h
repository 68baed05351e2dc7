/*
 * Arena: many small allocations, freed at once.
 *
 * Plain value struct; not thread-safe. Every allocation is zeroed and aligned for any type. A failed
 * allocation returns NULL and is remembered in `failed`, so a caller that builds a large structure
 * may check once at its end, provided it does not write through a NULL in between.
 */
#ifndef BGPPEERD_BASE_ARENA_H
#define BGPPEERD_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* newest chunk, the one being filled */
    size_t first;              /* size of the first chunk in bytes; later ones double up to 64 KiB */
    size_t total;              /* bytes obtained from malloc */
    bool failed;               /* an allocation has failed */
    bool wipe;                 /* zero all memory before it is freed: the arena may hold secrets */
};

/* Prepare an arena; allocates nothing yet. `first` 0 means 1 KiB. */
void arena_init(struct arena *arena, size_t first);
/* Free everything; the arena is again as after arena_init (and keeps `wipe`). Accepts NULL. */
void arena_done(struct arena *arena);
/*
 * Forget everything, and be ready for as much again: the memory is kept when it is one piece, and will be one
 * piece the next time otherwise. For what is computed over and over.
 */
void arena_reset(struct arena *arena);
/* Move all memory of `from` into `to` (which must be empty); `from` is empty afterwards. */
void arena_move(struct arena *to, struct arena *from);

/* Zeroed memory, or NULL. `size` 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed array; NULL also when count × size overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* NUL-terminated copy of `len` bytes. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
/* Copy of a string; NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
