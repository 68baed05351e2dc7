/*
 * Arena: a list of malloc'ed chunks, owned by the struct arena; no locks.
 *
 * A chunk is filled from both ends: aligned memory from the front, text (which needs no alignment) from
 * the back. With a hundred thousand small objects, each in an arena of its own, the padding saved this
 * way is what makes them small. An allocation too large for the current chunk gets a chunk of exactly
 * its size, placed behind the current one, so that the current one goes on being filled.
 */
#include "base/arena.h"

#include <sodium.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_DEFAULT 1024
#define CHUNK_MAX     ((size_t)64 * 1024)

struct arena_chunk {
    alignas(max_align_t) struct arena_chunk *older;
    size_t size;  /* bytes of the malloc, this header included */
    size_t front; /* offset of the first free byte */
    size_t back;  /* offset behind the last free byte */
};

#define HEADER sizeof(struct arena_chunk)

void arena_init(struct arena *arena, size_t first) {
    *arena = (struct arena){.first = first != 0 ? first : FIRST_DEFAULT};
}

void arena_done(struct arena *arena) {
    if (arena == NULL) {
        return;
    }
    struct arena_chunk *chunk = arena->chunk;
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;
        if (arena->wipe) {
            sodium_memzero(chunk, chunk->size);
        }
        free(chunk);
        chunk = older;
    }
    arena->chunk = NULL;
    arena->total = 0;
    arena->failed = false;
}

void arena_reset(struct arena *arena) {
    struct arena_chunk *chunk = arena->chunk;
    if (chunk == NULL || chunk->older != NULL) {
        size_t total = arena->total;
        arena_done(arena);
        arena->first = arena->first > total ? arena->first : total;
        return;
    }
    if (arena->wipe) {
        sodium_memzero((char *)chunk + HEADER, chunk->size - HEADER);
    }
    chunk->front = HEADER;
    chunk->back = chunk->size;
    arena->failed = false;
}

void arena_move(struct arena *to, struct arena *from) {
    to->chunk = from->chunk;
    to->total = from->total;
    to->failed = from->failed;
    to->wipe = to->wipe || from->wipe;
    from->chunk = NULL;
    from->total = 0;
    from->failed = false;
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t size) {
    struct arena_chunk *chunk = base_malloc(size);
    if (chunk == NULL) {
        arena->failed = true;
        return NULL;
    }
    arena->total += size;
    chunk->size = size;
    chunk->front = HEADER;
    chunk->back = size;
    return chunk;
}

/* Round up to the alignment of any type. The caller has made sure that this cannot overflow. */
static size_t align_up(size_t offset) {
    return (offset + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

/* A chunk with at least `size` contiguous free bytes for aligned memory. */
static struct arena_chunk *chunk_with_room(struct arena *arena, size_t size) {
    struct arena_chunk *newest = arena->chunk;
    if (newest != NULL) {
        size_t front = align_up(newest->front);
        if (front <= newest->back && newest->back - front >= size) {
            return newest;
        }
    }
    if (size > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    /* As much again as there is already: the memory doubles, up to CHUNK_MAX a step. */
    size_t regular = arena->total > CHUNK_MAX ? CHUNK_MAX : arena->total;
    if (regular < arena->first) {
        regular = arena->first;
    }
    bool own = size > regular / 4 && newest != NULL;
    size_t need = HEADER + size;
    struct arena_chunk *chunk = chunk_new(arena, own || need > regular ? need : regular);
    if (chunk == NULL) {
        return NULL;
    }
    if (own) {
        chunk->older = newest->older;
        newest->older = chunk;
    } else {
        chunk->older = newest;
        arena->chunk = chunk;
    }
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size) {
    /* A chunk with no free byte left has no address of its own to give away. */
    if (size == 0) {
        size = 1;
    }
    struct arena_chunk *chunk = chunk_with_room(arena, size);
    if (chunk == NULL) {
        return NULL;
    }
    size_t front = align_up(chunk->front);
    chunk->front = front + size;
    return memset((char *)chunk + front, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        arena->failed = true;
        return NULL;
    }
    return arena_alloc(arena, bytes);
}

/* Uninitialised memory without alignment. */
static char *text_alloc(struct arena *arena, size_t size) {
    struct arena_chunk *chunk = arena->chunk;
    if (chunk == NULL || chunk->back - chunk->front < size) {
        chunk = chunk_with_room(arena, size);
        if (chunk == NULL) {
            return NULL;
        }
    }
    chunk->back -= size;
    return (char *)chunk + chunk->back;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len) {
    if (len == SIZE_MAX) {
        arena->failed = true;
        return NULL;
    }
    char *copy = text_alloc(arena, len + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (len != 0) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
    return text != NULL ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        arena->failed = true;
        return NULL;
    }
    char *text = text_alloc(arena, (size_t)len + 1);
    if (text == NULL) {
        return NULL;
    }
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}
