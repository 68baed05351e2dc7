/*
 * Records: one stored object each, shared by every snapshot that holds it.
 *
 * A record lives in the arena that holds its object, key and JSON, so that one release frees all of it.
 * The count is the only thing that changes after record_new; no locks.
 */
#include <stdatomic.h>

#include "snapshot.h"

struct shared_record {
    struct record record; /* first, so that a record's address is that of its holder */
    atomic_uint refs;
    struct arena arena; /* holds this very struct */
};

int record_new(struct arena *arena, const struct object *object, const char *key, const char *json,
               size_t json_len, struct record **ret, struct err *err) {
    struct shared_record *shared = arena_alloc(arena, sizeof(*shared));
    if (shared == NULL) {
        arena_done(arena);
        return err_no_memory(err);
    }
    shared->record = (struct record){
        .object = object,
        .key = key,
        .json = json,
        .json_len = json_len,
        .revision = object->meta.resource_version,
    };
    atomic_init(&shared->refs, 1);
    arena_init(&shared->arena, 0);
    arena_move(&shared->arena, arena);
    *ret = &shared->record;
    return 0;
}

/* Immutable to everybody but for the count, hence the const that is cast away here and only here. */
static struct shared_record *holder(const struct record *record) {
    return (struct shared_record *)(uintptr_t)record;
}

struct record *record_ref(const struct record *record) {
    struct shared_record *shared = holder(record);
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return &shared->record;
}

void record_unref(const struct record *record) {
    if (record == NULL) {
        return;
    }
    struct shared_record *shared = holder(record);
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1) {
        struct arena arena = shared->arena; /* the original goes away while it is being freed */
        arena_done(&arena);
    }
}
