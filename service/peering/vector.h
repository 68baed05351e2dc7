/*
 * Vector: a persistent array from small numbers to shared objects. Empty places are NULL.
 * A plain value; a copy made with vector_copy shares everything until one of the two is changed.
 */
#ifndef BGPPEERD_PEERING_VECTOR_H
#define BGPPEERD_PEERING_VECTOR_H

#include <stdint.h>

#include "base/err.h"
#include "shared.h"

#define VECTOR_CHUNK 256

struct vector_chunk {
    struct shared shared;
    struct shared *items[VECTOR_CHUNK];
};
struct vector_root {
    struct shared shared;
    size_t chunk_count;
    struct vector_chunk *chunks[]; /* NULL: all empty */
};
struct vector {
    struct vector_root *root; /* NULL: all empty */
};

struct vector vector_copy(const struct vector *vector);
void vector_done(struct vector *vector);

/* Borrowed; NULL when the place is empty. */
static inline struct shared *vector_get(const struct vector *vector, uint32_t index) {
    size_t c = index / VECTOR_CHUNK;
    if (vector->root == NULL || c >= vector->root->chunk_count || vector->root->chunks[c] == NULL) {
        return NULL;
    }
    return vector->root->chunks[c]->items[index % VECTOR_CHUNK];
}

/* Takes over the reference of `item` (NULL empties the place), also on failure. */
int vector_put(struct vector *vector, uint32_t index, struct shared *item, struct err *err) MUST_CHECK;

/* The object at `index`, which must not be empty, for changing in place: a copy made by `copy` (NULL: no
 * memory) when other versions hold it as well. */
int vector_own_item(struct vector *vector, uint32_t index, struct shared *(*copy)(const struct shared *item),
                    struct shared **ret, struct err *err) MUST_CHECK;

#endif
