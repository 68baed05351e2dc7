/*
 * Batches: writes that share one transaction, over a store in memory that can be told to fail or to wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_fixture.h"
#include "store_memory.h"

#define NODE(name)                                                                                           \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}"
#define GROUPS     40
#define GROUP_SIZE 20

struct world {
    struct fixture fixture;
    struct memory_database database;
};

static int setup(void **ptr) {
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    fixture_make_dir(world->fixture.dir);
    memory_init(&world->database);
    fixture_start_on(&world->fixture, memory_open(&world->database), 0);
    *ptr = world;
    return 0;
}

static int teardown(void **ptr) {
    struct world *world = *ptr;

    fixture_stop(&world->fixture);
    memory_done(&world->database);
    fixture_remove_dir(world->fixture.dir);
    free(world);
    return 0;
}

static void submit(struct world *world, struct call *call) {
    struct err err = ERR_INIT;

    assert_int_equal(state_submit(world->fixture.state, &call->write, &err), 0);
}

static size_t count_nodes(struct world *world) {
    struct picture *picture = state_picture(world->fixture.state);
    size_t count = snapshot_count(picture->snapshot, KIND_NODE);

    picture_unref(picture);
    return count;
}

struct look {
    struct call call; /* first: what the write's `arg` points to */
    int calls;
    size_t before;
    size_t after;
    size_t affected;
    bool refuse;
};

static int look_at(struct write *write, const struct picture *before, const struct picture *after,
                   const struct node_set *affected, struct err *err) {
    struct look *look = write->arg;

    look->calls++;
    look->before = snapshot_count(before->snapshot, KIND_NODE);
    look->after = snapshot_count(after->snapshot, KIND_NODE);
    look->affected = node_set_count(affected);
    return look->refuse ? err_set(err, ERR_CONFLICT, "not like this") : 0;
}

/* Who verifies sees the fleet as it is just before and just after its own group, whatever is waiting beside
 * it, and what it refuses leaves nothing. */
static void test_a_group_is_verified_alone(void **ptr) {
    static const char *const bodies[] = {NODE("a"), NODE("b"), NODE("c"), NODE("d"), NODE("e"), NODE("c")};
    struct world *world = *ptr;
    struct look looks[6] = {[3] = {.refuse = true}};

    pthread_mutex_lock(&world->database.gate);
    for (size_t i = 0; i < 6; i++) {
        struct call *call = &looks[i].call;

        call_init(call, i < 5 ? WRITE_CREATE : WRITE_REPLACE, KIND_NODE, i < 5 ? NULL : "c");
        call_body(call, bodies[i]);
        call->write.verify = i >= 2 && i != 4 ? look_at : NULL;
        submit(world, call);
    }
    pthread_mutex_unlock(&world->database.gate);
    for (size_t i = 0; i < 6; i++) {
        call_wait(&looks[i].call);
        assert_int_equal(looks[i].call.write.err.code, i == 3 ? ERR_CONFLICT : ERR_NONE);
        call_end(&looks[i].call);
    }
    assert_int_equal(looks[2].before, 2);
    assert_int_equal(looks[2].after, 3);
    assert_true(looks[2].affected > 0);
    assert_int_equal(looks[3].calls, 1);
    assert_int_equal(looks[3].before, 3);
    assert_int_equal(looks[3].after, 4);
    /* It would change nothing. */
    assert_true(looks[5].call.write.unchanged);
    assert_int_equal(looks[5].calls, 1);
    assert_int_equal(looks[5].before, 4);
    assert_int_equal(looks[5].after, 4);
    assert_int_equal(looks[5].affected, 0);
    assert_int_equal(count_nodes(world), 4);
}

/* One of several writes in a batch that is refused takes nothing from the others, and its failed group leaves
 * nothing behind. */
static void test_a_refused_write_leaves_the_others(void **ptr) {
    struct world *world = *ptr;
    struct call calls[5];
    static const char *const names[] = {"a", "b", "a", "c", "d"};
    static const char *const bodies[] = {NODE("a"), NODE("b"), NODE("a"), NODE("c"), NODE("d")};

    pthread_mutex_lock(&world->database.gate);
    /* The first is being committed while the rest, one batch, gather behind it. */
    for (size_t i = 0; i < 5; i++) {
        call_init(&calls[i], WRITE_CREATE, KIND_NODE, NULL);
        call_body(&calls[i], bodies[i]);
    }
    calls[1].write.also = &calls[2].write; /* b, and a once more: refused together */
    submit(world, &calls[0]);
    submit(world, &calls[1]);
    submit(world, &calls[3]);
    submit(world, &calls[4]);
    pthread_mutex_unlock(&world->database.gate);
    for (size_t i = 0; i < 5; i++) {
        if (i != 2) {
            call_wait(&calls[i]);
            assert_int_equal(calls[i].write.err.code, i == 1 ? ERR_ALREADY_EXISTS : ERR_NONE);
        }
        if (i == 1 || i == 2) {
            assert_null(calls[i].write.record);
        } else {
            assert_string_equal(calls[i].write.record->key, names[i]);
        }
    }
    assert_int_equal(count_nodes(world), 3);
    for (size_t i = 0; i < 5; i++) {
        call_end(&calls[i]);
    }
}

/* What is not stored did not happen: not in the picture, the lists, the history or the answers; and a later
 * write goes on with the same revision. */
static void test_a_failed_commit_leaves_nothing(void **ptr) {
    static const enum err_code failures[] = {ERR_STORAGE_FULL, ERR_UNAVAILABLE, ERR_CORRUPT, ERR_NO_MEMORY};
    struct world *world = *ptr;
    struct state_event events[4];
    struct err err = ERR_INIT;
    size_t count;
    uint64_t revision, upto;

    assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a"), &revision), ERR_NONE);
    struct node_list *before = get_list(&world->fixture, "a");
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        struct picture *picture = state_picture(world->fixture.state), *after;

        memory_fail(&world->database, failures[i]);
        assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("b"), NULL), failures[i]);
        assert_int_equal(put(&world->fixture, WRITE_DELETE, KIND_NODE, "a", NULL, NULL), failures[i]);
        assert_int_equal(state_writable(world->fixture.state, &err), -1);
        assert_int_equal(err.code, failures[i]);
        after = state_picture(world->fixture.state);
        assert_ptr_equal(after, picture);
        picture_unref(after);
        picture_unref(picture);
        /* A write that changes nothing needs no store. */
        assert_int_equal(put(&world->fixture, WRITE_REPLACE, KIND_NODE, "a", NODE("a"), NULL), ERR_NONE);
    }
    struct node_list *now = get_list(&world->fixture, "a");
    assert_ptr_equal(now, before);
    node_list_unref(now);
    node_list_unref(before);
    memory_fail(&world->database, ERR_NONE);
    assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("b"), &upto), ERR_NONE);
    assert_int_equal(upto, revision + 1);
    assert_int_equal(state_writable(world->fixture.state, &err), 0);
    assert_int_equal(state_events(world->fixture.state, KIND_NODE, 0, events, 4, &count, &upto, &err), 0);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        record_unref(events[i].after);
    }
}

/* Looking for an object among a batch's changes costs as much as there are: batches have a limit, in changes.
 */
static void test_groups_count_with_all_their_writes(void **ptr) {
    struct world *world = *ptr;
    struct call(*calls)[GROUP_SIZE] = calloc(GROUPS, sizeof *calls);

    assert_non_null(calls);
    pthread_mutex_lock(&world->database.gate);
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < GROUP_SIZE; i++) {
            struct call *call = &calls[g][i];
            char body[64];

            call_init(call, WRITE_CREATE, KIND_NODE, NULL);
            snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"n%zu-%zu\"}}", g, i);
            call_body(call, body);
            if (i > 0) {
                calls[g][i - 1].write.also = &call->write;
            }
        }
        submit(world, &calls[g][0]);
    }
    pthread_mutex_unlock(&world->database.gate);
    for (size_t g = 0; g < GROUPS; g++) {
        call_wait(&calls[g][0]);
        assert_int_equal(calls[g][0].write.err.code, ERR_NONE);
        for (size_t i = 0; i < GROUP_SIZE; i++) {
            call_end(&calls[g][i]);
        }
    }
    free(calls);
    assert_int_equal(count_nodes(world), GROUPS * GROUP_SIZE);
    assert_true(world->database.largest > GROUP_SIZE); /* they did share transactions */
    assert_true(world->database.largest < STATE_BATCH_MAX + GROUP_SIZE);
}

/* While the store fails, its log is left alone; afterwards what has become due is dropped. */
static void test_a_failing_store_is_not_compacted(void **ptr) {
    struct world *world = *ptr;
    struct memory_database *database = &world->database;

    fixture_stop(&world->fixture);
    world->fixture.max_history_bytes = 1; /* nothing beyond what the memory keeps */
    fixture_start_on(&world->fixture, memory_open(database), 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a"), NULL), ERR_NONE);
        for (int k = 0; k < 250; k++) {
            static const char *const labels[] = {"{\"metadata\":{\"labels\":{\"x\":\"0\"}}}",
                                                 "{\"metadata\":{\"labels\":{\"x\":\"1\"}}}"};

            assert_int_equal(put(&world->fixture, WRITE_PATCH, KIND_NODE, "a", labels[k % 2], NULL),
                             ERR_NONE);
        }
        assert_int_equal(put(&world->fixture, WRITE_DELETE, KIND_NODE, "a", NULL, NULL), ERR_NONE);
    }
    memory_fail(database, ERR_STORAGE_FULL);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a"), NULL),
                         ERR_STORAGE_FULL);
    }
    pthread_mutex_lock(&database->lock);
    assert_int_equal(database->compacting, 0);
    pthread_mutex_unlock(&database->lock);
    memory_fail(database, ERR_NONE);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(put(&world->fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a"), NULL), ERR_NONE);
        assert_int_equal(put(&world->fixture, WRITE_DELETE, KIND_NODE, "a", NULL, NULL), ERR_NONE);
    }
    pthread_mutex_lock(&database->lock);
    assert_true(database->change_count < 1000 && database->compacted > 0);
    pthread_mutex_unlock(&database->lock);
}

/* A document that names the version it was made from does not bring a deleted object back. */
static void test_upsert_keeps_preconditions(void **ptr) {
    struct world *world = *ptr;
    static const char *const bodies[] = {
        "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"7\"}}",
        "{\"metadata\":{\"name\":\"n\",\"uid\":\"00000000-0000-4000-8000-000000000000\"}}",
        NODE("n"),
    };

    for (size_t i = 0; i < 3; i++) {
        struct call call;

        call_init(&call, WRITE_REPLACE, KIND_NODE, "n");
        call_body(&call, bodies[i]);
        call.write.upsert = true;
        call_run(&world->fixture, &call);
        assert_int_equal(call.write.err.code, i < 2 ? ERR_CONFLICT : ERR_NONE);
        assert_int_equal(call.write.created, i == 2);
        call_end(&call);
    }
}

/* Holds the committer until it is let go; counts what it has done. */
struct brake {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool held, go;
    size_t done;
};

static void brake_done(struct write *write) {
    struct brake *brake = write->arg;

    pthread_mutex_lock(&brake->lock);
    brake->held = true;
    brake->done++;
    pthread_cond_broadcast(&brake->cond);
    while (!brake->go) {
        pthread_cond_wait(&brake->cond, &brake->lock);
    }
    pthread_mutex_unlock(&brake->lock);
}

static void test_the_queue_is_bounded(void **ptr) {
    struct fixture *fixture = &((struct world *)*ptr)->fixture;
    struct brake brake = {.held = false};
    struct write *writes = calloc(STATE_QUEUE_MAX + 2, sizeof *writes);
    struct err err = ERR_INIT;
    struct arena arena;

    assert_non_null(writes);
    arena_init(&arena, 0);
    pthread_mutex_init(&brake.lock, NULL);
    pthread_cond_init(&brake.cond, NULL);
    for (size_t i = 0; i < STATE_QUEUE_MAX + 2; i++) {
        writes[i] = (struct write){.op = WRITE_DELETE,
                                   .kind = KIND_BGPPEER,
                                   .key = "nobody",
                                   .actor = i % 2 == 0 ? "somebody" : "somebody else",
                                   .arena = &arena,
                                   .done = brake_done,
                                   .arg = &brake};
    }
    assert_int_equal(state_submit(fixture->state, &writes[0], &err), 0);
    pthread_mutex_lock(&brake.lock);
    while (!brake.held) {
        pthread_cond_wait(&brake.cond, &brake.lock);
    }
    pthread_mutex_unlock(&brake.lock);
    for (size_t i = 1; i <= STATE_QUEUE_MAX; i++) {
        assert_int_equal(state_submit(fixture->state, &writes[i], &err), 0);
        if (i == STATE_QUEUE_MAX - 1) { /* one place is left, but not for who has half of them */
            assert_int_equal(state_submit(fixture->state, &writes[STATE_QUEUE_MAX + 1], &err), -1);
            assert_int_equal(err.code, ERR_TOO_MANY_REQUESTS);
        }
    }
    assert_int_equal(state_submit(fixture->state, &writes[STATE_QUEUE_MAX + 1], &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    pthread_mutex_lock(&brake.lock);
    brake.go = true;
    pthread_cond_broadcast(&brake.cond);
    while (brake.done < STATE_QUEUE_MAX + 1) {
        pthread_cond_wait(&brake.cond, &brake.lock);
    }
    pthread_mutex_unlock(&brake.lock);
    for (size_t i = 0; i <= STATE_QUEUE_MAX; i++) {
        assert_int_equal(writes[i].err.code, ERR_NOT_FOUND);
    }
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "nobody", NULL, NULL), ERR_NOT_FOUND);
    arena_done(&arena);
    free(writes);
}

/* Where the write of somebody else comes among those of a user who has sent very many heavy ones. */
static void test_nobody_waits_for_all_of_another_ones_writes(void **ptr) {
    struct world *world = *ptr;
    struct call heavy[60], light;
    size_t before = 0;

    pthread_mutex_lock(&world->database.gate);
    for (size_t i = 0; i < 60; i++) {
        call_init(&heavy[i], WRITE_CREATE, KIND_NODE, NULL);
        char body[200];

        snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"n%zu\"}}", i);
        call_body(&heavy[i], body);
        heavy[i].write.actor = "heavy";
        heavy[i].write.weight = 100 * 1024; /* two of them in a batch */
        submit(world, &heavy[i]);
    }
    call_init(&light, WRITE_CREATE, KIND_NODE, NULL);
    call_body(&light, NODE("light"));
    light.write.actor = "light";
    submit(world, &light);
    pthread_mutex_unlock(&world->database.gate);
    call_wait(&light);
    assert_int_equal(light.write.err.code, ERR_NONE);
    for (size_t i = 0; i < 60; i++) {
        call_wait(&heavy[i]);
        assert_int_equal(heavy[i].write.err.code, ERR_NONE);
        before += heavy[i].write.record->revision < light.write.record->revision;
        call_end(&heavy[i]);
    }
    assert_true(before <= 4); /* the batch in progress, and a turn of the next */
    call_end(&light);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_refused_write_leaves_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_for_all_of_another_ones_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_group_is_verified_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_commit_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_count_with_all_their_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failing_store_is_not_compacted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upsert_keeps_preconditions, setup, teardown),
    };
    return cmocka_run_group_tests_name("state: batches", tests, fixture_libraries, NULL);
}
