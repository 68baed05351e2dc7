/*
 * Snapshot: the immutable picture of the fleet. Readers take a reference and never wait.
 *
 * Persistent: the next snapshot shares all but the changed parts with its predecessor, so that a
 * change costs the same in a small and a large fleet. Reference counts are atomic; everything else is
 * immutable, so any number of threads may read.
 */
#ifndef BGPPEERD_SNAPSHOT_H
#define BGPPEERD_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/object.h"

#define SNAPSHOT_NAME_MAX 254 /* bytes of an object's name and its NUL */

/* One stored object: decoded, and its JSON as served. Reference counted, immutable. */
struct record {
    const struct object *object;
    const char *key;  /* "name" or "namespace/name": the order of lists is byte order of this */
    const char *json; /* the whole document */
    size_t json_len;
    uint64_t revision; /* = object->meta.resource_version */
};

/* Takes over the memory of `arena` (which holds object, key and json; empty afterwards), also on
 * failure. One reference, the caller's. */
int record_new(struct arena *arena, const struct object *object, const char *key, const char *json,
               size_t json_len, struct record **ret, struct err *err) MUST_CHECK;
struct record *record_ref(const struct record *record);
void record_unref(const struct record *record); /* accepts NULL */

struct snapshot;

/* One object's change between two snapshots. */
struct snapshot_change {
    enum kind kind;
    const struct record *before; /* NULL: created */
    const struct record *after;  /* NULL: deleted */
};

/* Without objects, revision 0. */
int snapshot_new_empty(struct snapshot **ret, struct err *err) MUST_CHECK;
/*
 * `prev` with the changes applied in order, at `revision`. Takes its own references to records.
 * Several changes of one object may follow each other. On failure nothing is kept.
 */
int snapshot_next(const struct snapshot *prev, const struct snapshot_change *changes, size_t count,
                  uint64_t revision, struct snapshot **ret, struct err *err) MUST_CHECK;
struct snapshot *snapshot_ref(const struct snapshot *snapshot);
void snapshot_unref(const struct snapshot *snapshot); /* accepts NULL */

uint64_t snapshot_revision(const struct snapshot *snapshot);
size_t snapshot_count(const struct snapshot *snapshot, enum kind kind);
/* Borrowed from the snapshot; NULL when there is none. O(log n). */
const struct record *snapshot_get(const struct snapshot *snapshot, enum kind kind, const char *key);
/* The name of an object that is there and differs from `name` by blanks at the ends, by capital letters, of a
 * Node also by its domain; NULL: none is, or the kind is namespaced. Borrowed from the snapshot. */
const char *snapshot_similar(const struct snapshot *snapshot, enum kind kind, const char *name);

/* Iterate in key order. Start with snapshot_seek (first key > after; NULL: the first), go on with
 * snapshot_step until it answers NULL. The iterator is a plain value; the snapshot must outlive it. */
struct snapshot_cursor {
    const struct snapshot *snapshot;
    enum kind kind;
    size_t chunk;
    size_t index;
};
const struct record *snapshot_seek(struct snapshot_cursor *cursor, const struct snapshot *snapshot,
                                   enum kind kind, const char *after);
const struct record *snapshot_step(struct snapshot_cursor *cursor);
/* How many records are at and behind the cursor. */
size_t snapshot_remaining(const struct snapshot_cursor *cursor);

#endif
