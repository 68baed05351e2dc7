/*
 * Persistent vector: a root with pointers to chunks of VECTOR_CHUNK places. A change copies the root and
 * one chunk, unless they are this version's alone. Roots own chunks, chunks own items. No locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "vector.h"

static void chunk_destroy(struct shared *shared) {
    struct vector_chunk *chunk = (struct vector_chunk *)shared;
    for (size_t i = 0; i < VECTOR_CHUNK; i++) {
        shared_unref(chunk->items[i]);
    }
    free(chunk);
}

static void root_destroy(struct shared *shared) {
    struct vector_root *root = (struct vector_root *)shared;
    for (size_t i = 0; i < root->chunk_count; i++) {
        if (root->chunks[i] != NULL) {
            shared_unref(&root->chunks[i]->shared);
        }
    }
    free(root);
}

/* `from` (may be NULL) enlarged to `chunk_count` chunks, all shared with it. */
static struct vector_root *root_new(const struct vector_root *from, size_t chunk_count) {
    struct vector_root *root = base_calloc(1, sizeof(*root) + chunk_count * sizeof(root->chunks[0]));
    if (root == NULL) {
        return NULL;
    }
    shared_init(&root->shared, root_destroy);
    root->chunk_count = chunk_count;
    for (size_t i = 0; from != NULL && i < from->chunk_count; i++) {
        root->chunks[i] = from->chunks[i];
        if (root->chunks[i] != NULL) {
            shared_ref(&root->chunks[i]->shared);
        }
    }
    return root;
}

static struct vector_chunk *chunk_new(const struct vector_chunk *from) {
    struct vector_chunk *chunk = base_calloc(1, sizeof(*chunk));
    if (chunk == NULL) {
        return NULL;
    }
    shared_init(&chunk->shared, chunk_destroy);
    for (size_t i = 0; from != NULL && i < VECTOR_CHUNK; i++) {
        chunk->items[i] = from->items[i];
        shared_ref(chunk->items[i]);
    }
    return chunk;
}

struct vector vector_copy(const struct vector *vector) {
    if (vector->root != NULL) {
        shared_ref(&vector->root->shared);
    }
    return *vector;
}

void vector_done(struct vector *vector) {
    if (vector->root != NULL) {
        shared_unref(&vector->root->shared);
    }
    vector->root = NULL;
}

/* Make the path to `index` this version's own; the place, or NULL without memory. */
static struct shared **vector_own(struct vector *vector, uint32_t index) {
    size_t c = index / VECTOR_CHUNK;
    struct vector_root *root = vector->root;
    size_t have = root == NULL ? 0 : root->chunk_count;
    if (have <= c || !shared_is_sole(&root->shared)) {
        size_t want = have > c ? have : c + 1 > have * 2 ? c + 1 : have * 2;
        struct vector_root *own = root_new(root, want);
        if (own == NULL) {
            return NULL;
        }
        vector_done(vector);
        vector->root = root = own;
    }
    struct vector_chunk *chunk = root->chunks[c];
    if (chunk == NULL || !shared_is_sole(&chunk->shared)) {
        struct vector_chunk *own = chunk_new(chunk);
        if (own == NULL) {
            return NULL;
        }
        if (chunk != NULL) {
            shared_unref(&chunk->shared);
        }
        root->chunks[c] = chunk = own;
    }
    return &chunk->items[index % VECTOR_CHUNK];
}

int vector_put(struct vector *vector, uint32_t index, struct shared *item, struct err *err) {
    struct shared **place = vector_own(vector, index);
    if (place == NULL) {
        shared_unref(item);
        return err_no_memory(err);
    }
    shared_unref(*place);
    *place = item;
    return 0;
}

int vector_own_item(struct vector *vector, uint32_t index, struct shared *(*copy)(const struct shared *item),
                    struct shared **ret, struct err *err) {
    struct shared **place = vector_own(vector, index);
    if (place == NULL) {
        return err_no_memory(err);
    }
    if (!shared_is_sole(*place)) {
        struct shared *own = copy(*place);
        if (own == NULL) {
            return err_no_memory(err);
        }
        shared_unref(*place);
        *place = own;
    }
    *ret = *place;
    return 0;
}
