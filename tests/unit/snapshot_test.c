/*
 * Snapshots through their public face: random changes against a plain sorted model, iteration, sharing with
 * predecessors, cost, what happens when memory is out, and readers beside a writer (for ThreadSanitizer).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot.h"

static struct record *make_record(const char *key, uint64_t revision) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct record *record = NULL;
    arena_init(&arena, 256);
    struct object *object = arena_alloc(&arena, sizeof(*object));
    assert_non_null(object);
    object->kind = KIND_NODE;
    object->meta.resource_version = revision;
    const char *copy = arena_strdup(&arena, key);
    assert_int_equal(record_new(&arena, object, copy, copy, strlen(copy), &record, &err), 0);
    assert_null(arena.chunk);
    assert_int_equal(record->revision, revision);
    return record;
}

static struct snapshot *make_empty(void) {
    struct err err = ERR_INIT;
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_new_empty(&snapshot, &err), 0);
    return snapshot;
}

static struct snapshot *advance(const struct snapshot *prev, const struct snapshot_change *changes,
                                size_t count) {
    struct err err = ERR_INIT;
    struct snapshot *next = NULL;
    assert_int_equal(snapshot_next(prev, changes, count, snapshot_revision(prev) + 1, &next, &err), 0);
    return next;
}

/* A new snapshot in place of the old one. */
static void put(struct snapshot **snapshot, enum kind kind, const char *key, const struct record *after) {
    struct snapshot_change change = {kind, snapshot_get(*snapshot, kind, key), after};
    struct snapshot *next = advance(*snapshot, &change, 1);
    snapshot_unref(*snapshot);
    *snapshot = next;
}

static void an_empty_one_has_nothing(void **state) {
    (void)state;
    struct snapshot *snapshot = make_empty();
    struct snapshot_cursor cursor;
    assert_int_equal(snapshot_revision(snapshot), 0);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        assert_int_equal(snapshot_count(snapshot, (enum kind)kind), 0);
        assert_null(snapshot_get(snapshot, (enum kind)kind, "a"));
        assert_null(snapshot_seek(&cursor, snapshot, (enum kind)kind, NULL));
        assert_null(snapshot_step(&cursor));
        assert_int_equal(snapshot_remaining(&cursor), 0);
    }
    snapshot_unref(snapshot);
    snapshot_unref(NULL);
    record_unref(NULL);
}

static void several_changes_of_one_object_end_in_the_last(void **state) {
    (void)state;
    struct record *first = make_record("a", 1);
    struct record *second = make_record("a", 2);
    struct record *other = make_record("b", 3);
    struct snapshot *empty = make_empty();
    struct snapshot_change changes[] = {
        {KIND_NODE, NULL, first}, {KIND_NODE, NULL, other},    {KIND_NODE, first, second},
        {KIND_NODE, other, NULL}, {KIND_BGPPEER, NULL, first},
    };
    struct snapshot *snapshot = advance(empty, changes, 5);
    assert_ptr_equal(snapshot_get(snapshot, KIND_NODE, "a"), second);
    assert_null(snapshot_get(snapshot, KIND_NODE, "b"));
    assert_ptr_equal(snapshot_get(snapshot, KIND_BGPPEER, "a"), first);
    assert_int_equal(snapshot_count(snapshot, KIND_NODE), 1);
    struct snapshot_change absent = {KIND_NODE, other, NULL};
    struct snapshot *same = advance(snapshot, &absent, 1);
    assert_int_equal(snapshot_count(same, KIND_NODE), 1);
    snapshot_unref(same);
    snapshot_unref(snapshot);
    assert_int_equal(snapshot_count(empty, KIND_NODE), 0);
    snapshot_unref(empty);
    record_unref(first);
    record_unref(second);
    record_unref(other);
}

/* ---- against a model ---- */

#define MODEL_KEYS 1500

struct model {
    const struct record *records[MODEL_KEYS]; /* by key; borrowed from the snapshot */
};

static void model_key(size_t i, char key[16]) {
    snprintf(key, 16, "k%05zu", i);
}

static void check_model(const struct snapshot *snapshot, const struct model *model) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, snapshot, KIND_NODE, NULL);
    size_t count = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        count += model->records[i] != NULL;
    }
    assert_int_equal(snapshot_count(snapshot, KIND_NODE), count);
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        char key[16];
        model_key(i, key);
        assert_ptr_equal(snapshot_get(snapshot, KIND_NODE, key), model->records[i]);
        if (model->records[i] != NULL) {
            assert_ptr_equal(record, model->records[i]);
            assert_int_equal(snapshot_remaining(&cursor), count--);
            record = snapshot_step(&cursor);
        }
    }
    assert_null(record);
    assert_null(snapshot_step(&cursor));
    assert_int_equal(snapshot_remaining(&cursor), 0);
}

static void check_seek(const struct snapshot *snapshot, const struct model *model) {
    for (size_t i = 0; i < MODEL_KEYS; i += 7) {
        char key[16];
        model_key(i, key);
        size_t next = i + 1;
        while (next < MODEL_KEYS && model->records[next] == NULL) {
            next++;
        }
        struct snapshot_cursor cursor;
        const struct record *record = snapshot_seek(&cursor, snapshot, KIND_NODE, key);
        assert_ptr_equal(record, next < MODEL_KEYS ? model->records[next] : NULL);
    }
}

static void random_changes_match_a_model(void **state) {
    (void)state;
    static struct model model;
    struct snapshot *snapshot = make_empty();
    uint64_t dice = 42;
    memset(&model, 0, sizeof(model));
    for (size_t step = 0; step < 600; step++) {
        struct snapshot_change changes[64];
        size_t count = step % 50 == 0 ? 64 : 1 + step % 5;
        bool shrink = step / 150 % 2 == 1; /* grow, shrink, grow, shrink */
        for (size_t i = 0; i < count; i++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            size_t k = (size_t)(dice >> 33) % MODEL_KEYS;
            bool delete = (dice >> 20) % 4 < (shrink ? 3 : 1);
            char key[16];
            model_key(k, key);
            changes[i] =
                (struct snapshot_change){KIND_NODE, model.records[k], delete ? NULL : make_record(key, step)};
            model.records[k] = changes[i].after;
        }
        struct snapshot *next = advance(snapshot, changes, count);
        snapshot_unref(snapshot);
        snapshot = next;
        for (size_t i = 0; i < count; i++) {
            record_unref(changes[i].after);
        }
        if (step % 20 == 19) {
            check_model(snapshot, &model);
            check_seek(snapshot, &model);
        }
    }
    snapshot_unref(snapshot);
}

static void predecessors_stay_as_they_were(void **state) {
    (void)state;
    struct snapshot *versions[100];
    versions[0] = make_empty();
    for (size_t i = 1; i < 100; i++) {
        char key[16];
        model_key(i * 37 % 100, key);
        struct record *record = make_record(key, i);
        struct snapshot_change change = {KIND_NODE, NULL, record};
        versions[i] = advance(versions[i - 1], &change, 1);
        record_unref(record);
    }
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(snapshot_count(versions[i], KIND_NODE), i);
        assert_int_equal(snapshot_revision(versions[i]), i);
        for (size_t k = 1; k < 100; k++) {
            char key[16];
            model_key(k * 37 % 100, key);
            assert_int_equal(snapshot_get(versions[i], KIND_NODE, key) != NULL, k <= i);
        }
    }
    for (size_t i = 0; i < 100; i++) {
        snapshot_unref(versions[i]);
    }
}

/* ---- cost ---- */

#define LARGE 110000

static void a_large_fleet_is_loaded_at_once_and_changed_cheaply(void **state) {
    (void)state;
    struct snapshot_change *changes = calloc(LARGE, sizeof(*changes));
    assert_non_null(changes);
    for (size_t i = 0; i < LARGE; i++) {
        char key[32];
        snprintf(key, sizeof(key), "node-%06zu", i * 7919 % LARGE);
        changes[i] = (struct snapshot_change){KIND_NODE, NULL, make_record(key, i)};
    }
    struct snapshot *empty = make_empty();
    int64_t start = clock_monotonic_ns();
    struct snapshot *full = advance(empty, changes, LARGE);
    double load_ms = (double)(clock_monotonic_ns() - start) / 1e6;
    assert_int_equal(snapshot_count(full, KIND_NODE), LARGE);
    enum { CHANGES = 1000 };
    start = clock_monotonic_ns();
    for (size_t i = 0; i < CHANGES; i++) {
        put(&full, KIND_NODE, changes[i].after->key, changes[i].after);
    }
    double change_us = (double)(clock_monotonic_ns() - start) / 1e3 / CHANGES;
    print_message("%d records loaded in %.1f ms; one change takes %.1f us\n", LARGE, load_ms, change_us);
    /* Generous, for slow machines and sanitizers; quadratic would take minutes. */
    assert_true(load_ms < 5000);
    assert_true(change_us < 2000);
    for (size_t i = 0; i < LARGE; i++) {
        record_unref(changes[i].after);
    }
    free(changes);
    snapshot_unref(full);
    snapshot_unref(empty);
}

/* ---- without memory ---- */

static void a_failed_allocation_leaves_nothing_behind(void **state) {
    (void)state;
    struct snapshot *base = make_empty();
    for (size_t i = 0; i < 600; i++) {
        char key[16];
        model_key(i * 2, key);
        struct record *record = make_record(key, i);
        put(&base, KIND_NODE, key, record);
        record_unref(record);
    }
    struct record *added = make_record("k00301", 1);
    struct record *peer = make_record("p", 1);
    struct snapshot_change changes[] = {
        {KIND_NODE, NULL, added},
        {KIND_NODE, snapshot_get(base, KIND_NODE, "k01198"), NULL},
        {KIND_BGPPEER, NULL, peer},
    };
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct err err = ERR_INIT;
        struct snapshot *next = NULL;
        base_alloc_fail_after(n);
        int result = snapshot_next(base, changes, 3, 1000, &next, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        if (failed) {
            assert_null(next);
            assert_int_equal(err.code, ERR_NO_MEMORY);
        }
        snapshot_unref(next);
        assert_true(n < 100);
    }
    assert_int_equal(snapshot_count(base, KIND_NODE), 600);
    record_unref(added);
    record_unref(peer);
    snapshot_unref(base);
}

static void a_record_takes_the_arena_also_when_it_fails(void **state) {
    (void)state;
    struct arena arena;
    struct err err = ERR_INIT;
    struct record *record = NULL;
    arena_init(&arena, 64);
    struct object *object = arena_alloc(&arena, sizeof(*object));
    assert_non_null(object);
    base_alloc_fail_after(0);
    int result = record_new(&arena, object, "k", "{}", 2, &record, &err);
    bool failed = base_alloc_failed();
    base_alloc_fail_after(-1);
    assert_true(failed); /* the arena was made too small for the record */
    assert_int_equal(result, -1);
    assert_null(record);
    assert_null(arena.chunk);
}

/* ---- readers beside a writer ---- */

struct shared {
    pthread_mutex_t lock; /* guards `current`: load and count */
    struct snapshot *current;
    atomic_bool stop;
};

static void *read_snapshots(void *arg) {
    struct shared *shared = arg;
    size_t seen = 0;
    while (!atomic_load(&shared->stop)) {
        pthread_mutex_lock(&shared->lock);
        struct snapshot *snapshot = snapshot_ref(shared->current);
        pthread_mutex_unlock(&shared->lock);
        struct snapshot_cursor cursor;
        size_t count = 0;
        const struct record *record = snapshot_seek(&cursor, snapshot, KIND_NODE, NULL);
        const struct record *kept = record == NULL ? NULL : record_ref(record);
        for (; record != NULL; record = snapshot_step(&cursor)) {
            count += record->json_len == strlen(record->json);
        }
        if (count != snapshot_count(snapshot, KIND_NODE)) {
            abort();
        }
        snapshot_unref(snapshot);
        seen += kept != NULL && kept->key[0] == 'k';
        record_unref(kept);
    }
    return (void *)(uintptr_t)seen;
}

static void readers_never_see_a_change(void **state) {
    (void)state;
    struct shared shared = {.current = make_empty()};
    pthread_t readers[3];
    pthread_mutex_init(&shared.lock, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_snapshots, &shared), 0);
    }
    for (size_t i = 0; i < 3000; i++) {
        char key[16];
        model_key(i * 31 % 700, key);
        bool delete = i % 3 == 2;
        struct record *record = delete ? NULL : make_record(key, i);
        struct snapshot_change change = {KIND_NODE, snapshot_get(shared.current, KIND_NODE, key), record};
        struct snapshot *next = advance(shared.current, &change, 1);
        record_unref(record);
        pthread_mutex_lock(&shared.lock);
        struct snapshot *old = shared.current;
        shared.current = next;
        pthread_mutex_unlock(&shared.lock);
        snapshot_unref(old);
    }
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(readers[i], NULL);
    }
    pthread_mutex_destroy(&shared.lock);
    snapshot_unref(shared.current);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_has_nothing),
        cmocka_unit_test(several_changes_of_one_object_end_in_the_last),
        cmocka_unit_test(random_changes_match_a_model),
        cmocka_unit_test(predecessors_stay_as_they_were),
        cmocka_unit_test(a_large_fleet_is_loaded_at_once_and_changed_cheaply),
        cmocka_unit_test(a_failed_allocation_leaves_nothing_behind),
        cmocka_unit_test(a_record_takes_the_arena_also_when_it_fails),
        cmocka_unit_test(readers_never_see_a_change),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
