/*
 * Snapshots: the persistent picture of the fleet.
 *
 * Per kind a shelf: an array of pointers to chunks, each an immutable run of up to CHUNK_MAX records in
 * key order. The next snapshot is made by one merge of the sorted changes with the previous shelf: chunks
 * that no change falls into are shared, the others are written anew. So one change copies one chunk and
 * the array of pointers, and loading everything at once is one sort and one pass.
 *
 * Snapshots own references to shelves, shelves to chunks, chunks to records; the counts are atomic and
 * everything else is immutable once published. No locks.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "snapshot.h"

#define CHUNK_MAX    256 /* records in a chunk */
#define CHUNK_FILL   192 /* aimed at when a run is cut up: room for later insertions */
#define CHUNK_SPARSE 64  /* a rewritten chunk smaller than this takes in its neighbour */

struct chunk {
    atomic_uint refs;
    size_t count; /* 1 … CHUNK_MAX */
    const struct record *records[];
};

struct shelf {
    atomic_uint refs;
    size_t count; /* records */
    size_t chunk_count;
    struct chunk *chunks[];
};

struct snapshot {
    atomic_uint refs;
    uint64_t revision;
    struct shelf *shelves[KIND_COUNT]; /* NULL: nothing of the kind */
};

/* ---- chunks and shelves ---- */

static struct chunk *chunk_new(const struct record *const *records, size_t count) {
    struct chunk *chunk = base_malloc(sizeof(*chunk) + count * sizeof(chunk->records[0]));
    if (chunk == NULL) {
        return NULL;
    }
    atomic_init(&chunk->refs, 1);
    chunk->count = count;
    for (size_t i = 0; i < count; i++) {
        chunk->records[i] = record_ref(records[i]);
    }
    return chunk;
}

static struct chunk *chunk_ref(struct chunk *chunk) {
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
    return chunk;
}

static void chunk_unref(struct chunk *chunk) {
    if (atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < chunk->count; i++) {
            record_unref(chunk->records[i]);
        }
        free(chunk);
    }
}

static void shelf_unref(struct shelf *shelf) {
    if (shelf == NULL || atomic_fetch_sub_explicit(&shelf->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < shelf->chunk_count; i++) {
        chunk_unref(shelf->chunks[i]);
    }
    free(shelf);
}

/* The chunk that `key` is in or would be inserted into. */
static size_t shelf_find(const struct shelf *shelf, const char *key) {
    size_t low = 0;
    size_t high = shelf->chunk_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(shelf->chunks[middle]->records[0]->key, key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Index of the first record with a key ≥ `key`; count when there is none. */
static size_t chunk_lower_bound(const struct chunk *chunk, const char *key) {
    size_t low = 0;
    size_t high = chunk->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(chunk->records[middle]->key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- making the next shelf ---- */

/* What becomes of one key. */
struct edit {
    enum kind kind;
    const char *key;
    const struct record *after; /* borrowed; NULL: deleted */
    size_t order;
};

/* The shelf being built, and the records collected for the chunks to be written next. */
struct builder {
    struct chunk **chunks; /* references of ours */
    size_t chunk_count;
    size_t chunk_cap;
    const struct record **run; /* borrowed */
    size_t run_count;
    size_t run_cap;
    size_t count;
};

static void builder_done(struct builder *builder) {
    for (size_t i = 0; i < builder->chunk_count; i++) {
        chunk_unref(builder->chunks[i]);
    }
    free(builder->chunks);
    free(builder->run);
}

/* Takes over the reference, also on failure. `chunk` NULL: an allocation has failed. */
static int builder_add_chunk(struct builder *builder, struct chunk *chunk, struct err *err) {
    if (chunk == NULL) {
        return err_no_memory(err);
    }
    struct chunk **chunks =
        base_grow(builder->chunks, builder->chunk_count, &builder->chunk_cap, 16, sizeof(struct chunk *));
    if (chunks == NULL) {
        chunk_unref(chunk);
        return err_no_memory(err);
    }
    builder->chunks = chunks;
    builder->chunks[builder->chunk_count++] = chunk;
    builder->count += chunk->count;
    return 0;
}

static int builder_add_record(struct builder *builder, const struct record *record, struct err *err) {
    const struct record **run = base_grow(builder->run, builder->run_count, &builder->run_cap, CHUNK_MAX * 2,
                                          sizeof(struct record *));
    if (run == NULL) {
        return err_no_memory(err);
    }
    builder->run = run;
    builder->run[builder->run_count++] = record;
    return 0;
}

/* Write the collected run as chunks of about equal size. */
static int builder_flush(struct builder *builder, struct err *err) {
    size_t left = builder->run_count;
    size_t pieces = left <= CHUNK_MAX ? 1 : (left + CHUNK_FILL - 1) / CHUNK_FILL;
    const struct record **next = builder->run;
    for (; left > 0; pieces--) {
        size_t size = (left + pieces - 1) / pieces;
        if (builder_add_chunk(builder, chunk_new(next, size), err) < 0) {
            return -1;
        }
        next += size;
        left -= size;
    }
    builder->run_count = 0;
    return 0;
}

/* Collect the union of a chunk (NULL: none) and the edits that fall into it. */
static int builder_merge(struct builder *builder, const struct chunk *chunk, const struct edit *edits,
                         size_t edit_count, struct err *err) {
    size_t record_count = chunk == NULL ? 0 : chunk->count;
    size_t r = 0;
    size_t e = 0;
    while (r < record_count || e < edit_count) {
        int order = r == record_count ? 1
                    : e == edit_count ? -1
                                      : strcmp(chunk->records[r]->key, edits[e].key);
        const struct record *record = order < 0 ? chunk->records[r] : edits[e].after;
        if (record != NULL && builder_add_record(builder, record, err) < 0) {
            return -1;
        }
        if (order <= 0) {
            r++;
        }
        if (order >= 0) {
            e++;
        }
    }
    return 0;
}

static int builder_run(struct builder *builder, const struct shelf *prev, const struct edit *edits,
                       size_t edit_count, struct err *err) {
    size_t chunk_count = prev == NULL ? 0 : prev->chunk_count;
    size_t e = 0;
    for (size_t c = 0; c < chunk_count; c++) {
        const char *end = c + 1 < chunk_count ? prev->chunks[c + 1]->records[0]->key : NULL;
        size_t first = e;
        while (e < edit_count && (end == NULL || strcmp(edits[e].key, end) < 0)) {
            e++;
        }
        bool sparse = builder->run_count > 0 && builder->run_count < CHUNK_SPARSE;
        if (e > first || sparse) {
            if (builder_merge(builder, prev->chunks[c], edits + first, e - first, err) < 0) {
                return -1;
            }
        } else if (builder_flush(builder, err) < 0 ||
                   builder_add_chunk(builder, chunk_ref(prev->chunks[c]), err) < 0) {
            return -1;
        }
    }
    if (builder_merge(builder, NULL, edits + e, edit_count - e, err) < 0) {
        return -1;
    }
    return builder_flush(builder, err);
}

/* `edits` are sorted by key, one per key. *ret may become NULL: nothing left. */
static int shelf_next(const struct shelf *prev, const struct edit *edits, size_t edit_count,
                      struct shelf **ret, struct err *err) {
    struct builder builder = {.chunks = NULL};
    int result = builder_run(&builder, prev, edits, edit_count, err);
    struct shelf *shelf = NULL;
    if (result == 0 && builder.chunk_count > 0) {
        shelf = base_malloc(sizeof(*shelf) + builder.chunk_count * sizeof(shelf->chunks[0]));
        if (shelf == NULL) {
            result = err_no_memory(err);
        } else {
            atomic_init(&shelf->refs, 1);
            shelf->count = builder.count;
            shelf->chunk_count = builder.chunk_count;
            memcpy(shelf->chunks, builder.chunks, builder.chunk_count * sizeof(shelf->chunks[0]));
            builder.chunk_count = 0; /* the shelf has the references now */
        }
    }
    builder_done(&builder);
    if (result == 0) {
        *ret = shelf;
    }
    return result;
}

/* ---- edits ---- */

static int edit_compare(const void *a, const void *b) {
    const struct edit *x = a;
    const struct edit *y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    int order = strcmp(x->key, y->key);
    if (order != 0) {
        return order;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorted by kind and key, with only the last change of each key. Returns how many. */
static size_t edits_collect(struct edit *edits, const struct snapshot_change *changes, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct record *any = changes[i].after != NULL ? changes[i].after : changes[i].before;
        if (any != NULL) {
            edits[n++] = (struct edit){changes[i].kind, any->key, changes[i].after, i};
        }
    }
    if (n == 0) {
        return 0;
    }
    qsort(edits, n, sizeof(edits[0]), edit_compare);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool last =
            i + 1 == n || edits[i].kind != edits[i + 1].kind || strcmp(edits[i].key, edits[i + 1].key) != 0;
        if (last) {
            edits[kept++] = edits[i];
        }
    }
    return kept;
}

/* ---- snapshots ---- */

int snapshot_new_empty(struct snapshot **ret, struct err *err) {
    struct snapshot *snapshot = base_calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        return err_no_memory(err);
    }
    atomic_init(&snapshot->refs, 1);
    *ret = snapshot;
    return 0;
}

int snapshot_next(const struct snapshot *prev, const struct snapshot_change *changes, size_t count,
                  uint64_t revision, struct snapshot **ret, struct err *err) {
    struct snapshot *next = NULL;
    if (snapshot_new_empty(&next, err) < 0) {
        return -1;
    }
    next->revision = revision;
    struct edit *edits = base_calloc(count > 0 ? count : 1, sizeof(*edits));
    int result = edits != NULL ? 0 : err_no_memory(err);
    size_t edit_count = result == 0 ? edits_collect(edits, changes, count) : 0;
    size_t e = 0;
    for (int kind = 0; kind < KIND_COUNT && result == 0; kind++) {
        size_t first = e;
        while (e < edit_count && (int)edits[e].kind == kind) {
            e++;
        }
        struct shelf *shelf = prev->shelves[kind];
        if (e > first) {
            result = shelf_next(shelf, edits + first, e - first, &next->shelves[kind], err);
        } else if (shelf != NULL) {
            atomic_fetch_add_explicit(&shelf->refs, 1, memory_order_relaxed);
            next->shelves[kind] = shelf;
        }
    }
    free(edits);
    if (result < 0) {
        snapshot_unref(next);
        return -1;
    }
    *ret = next;
    return 0;
}

struct snapshot *snapshot_ref(const struct snapshot *snapshot) {
    struct snapshot *shared = (struct snapshot *)(uintptr_t)snapshot; /* only the count changes */
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

void snapshot_unref(const struct snapshot *snapshot) {
    if (snapshot == NULL) {
        return;
    }
    struct snapshot *shared = (struct snapshot *)(uintptr_t)snapshot;
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1) {
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            shelf_unref(shared->shelves[kind]);
        }
        free(shared);
    }
}

/* ---- reading ---- */

uint64_t snapshot_revision(const struct snapshot *snapshot) {
    return snapshot->revision;
}

size_t snapshot_count(const struct snapshot *snapshot, enum kind kind) {
    const struct shelf *shelf = snapshot->shelves[kind];
    return shelf == NULL ? 0 : shelf->count;
}

const struct record *snapshot_get(const struct snapshot *snapshot, enum kind kind, const char *key) {
    const struct shelf *shelf = snapshot->shelves[kind];
    if (shelf == NULL) {
        return NULL;
    }
    const struct chunk *chunk = shelf->chunks[shelf_find(shelf, key)];
    size_t index = chunk_lower_bound(chunk, key);
    if (index == chunk->count || strcmp(chunk->records[index]->key, key) != 0) {
        return NULL;
    }
    return chunk->records[index];
}

/* The record under the cursor; an index behind its chunk's end means the next chunk's first. */
static const struct record *cursor_record(struct snapshot_cursor *cursor) {
    const struct shelf *shelf = cursor->snapshot->shelves[cursor->kind];
    if (shelf == NULL || cursor->chunk >= shelf->chunk_count) {
        return NULL;
    }
    if (cursor->index >= shelf->chunks[cursor->chunk]->count) {
        cursor->chunk++;
        cursor->index = 0;
        if (cursor->chunk >= shelf->chunk_count) {
            return NULL;
        }
    }
    return shelf->chunks[cursor->chunk]->records[cursor->index];
}

const struct record *snapshot_seek(struct snapshot_cursor *cursor, const struct snapshot *snapshot,
                                   enum kind kind, const char *after) {
    const struct shelf *shelf = snapshot->shelves[kind];
    *cursor = (struct snapshot_cursor){.snapshot = snapshot, .kind = kind, .chunk = 0, .index = 0};
    if (shelf != NULL && after != NULL) {
        cursor->chunk = shelf_find(shelf, after);
        const struct chunk *chunk = shelf->chunks[cursor->chunk];
        cursor->index = chunk_lower_bound(chunk, after);
        if (cursor->index < chunk->count && strcmp(chunk->records[cursor->index]->key, after) == 0) {
            cursor->index++;
        }
    }
    return cursor_record(cursor);
}

const struct record *snapshot_step(struct snapshot_cursor *cursor) {
    if (cursor_record(cursor) == NULL) {
        return NULL;
    }
    cursor->index++;
    return cursor_record(cursor);
}

size_t snapshot_remaining(const struct snapshot_cursor *cursor) {
    struct snapshot_cursor here = *cursor;
    if (cursor_record(&here) == NULL) {
        return 0;
    }
    const struct shelf *shelf = here.snapshot->shelves[here.kind];
    size_t remaining = shelf->chunks[here.chunk]->count - here.index;
    for (size_t c = here.chunk + 1; c < shelf->chunk_count; c++) {
        remaining += shelf->chunks[c]->count;
    }
    return remaining;
}
