/*
 * The committer's queue: turns between users, batches bounded by number and by weight, limits. Positions are
 * counted; nothing here measures time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../service/state/queue.h"

#define JOBS_MAX 20000

struct world {
    struct queue queue;
    size_t count;
    struct {
        struct job job;
        char user[24];
    } jobs[JOBS_MAX];
};

static int setup(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    struct err err = ERR_INIT;

    *state = world;
    return world == NULL ? -1 : queue_init(&world->queue, &err);
}

static int teardown(void **state) {
    struct world *world = *state;

    queue_done(&world->queue);
    free(world);
    return 0;
}

/* ERR_NONE, or why it was refused. */
static enum err_code push_job(struct world *world, const char *user, const struct job *job) {
    struct err err = ERR_INIT;
    struct job *mine = &world->jobs[world->count].job;

    assert_true(world->count < JOBS_MAX);
    *mine = *job;
    mine->writes = mine->writes == 0 ? 1 : mine->writes;
    mine->user_max = mine->user_max == 0 ? JOBS_MAX : mine->user_max;
    snprintf(world->jobs[world->count].user, sizeof(world->jobs[0].user), "%s", user);
    mine->user = world->jobs[world->count].user;
    int result = queue_push(&world->queue, mine, &err);

    world->count += result == 0;
    return err.code;
}

static void push(struct world *world, const char *user, const struct job *job) {
    assert_int_equal(push_job(world, user, job), ERR_NONE);
}

/* The users of the next batch, first letters only; "" = nothing waits. */
static const char *take(struct world *world, char out[STATE_BATCH_MAX + 1]) {
    bool stop = false;
    size_t len = 0;

    for (const struct job *job = world->queue.count == 0 ? NULL : queue_take(&world->queue, 0, &stop);
         job != NULL; job = job->next) {
        assert_true(len < STATE_BATCH_MAX);
        out[len++] = job->user[0];
    }
    assert_false(stop);
    out[len] = '\0';
    return out;
}

static void test_users_take_turns(void **state) {
    struct world *world = *state;
    char batch[STATE_BATCH_MAX + 1];

    for (int i = 0; i < 4; i++) {
        push(world, "a", &(struct job){0});
    }
    push(world, "b", &(struct job){0});
    push(world, "b", &(struct job){0});
    push(world, "c", &(struct job){0});
    assert_string_equal(take(world, batch), "abcabaa");
    push(world, "c", &(struct job){0});
    assert_string_equal(take(world, batch), "c");
    assert_string_equal(take(world, batch), "");
}

/* One user's jobs come in the order in which they were pushed. */
static void test_order_of_a_user(void **state) {
    struct world *world = *state;
    bool stop;

    for (size_t i = 0; i < 900; i++) {
        push(world, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c", &(struct job){.weight = i});
    }
    size_t last[3] = {0}, seen = 0;

    while (world->queue.count > 0) {
        for (const struct job *job = queue_take(&world->queue, 0, &stop); job != NULL;
             job = job->next, seen++) {
            size_t *before = &last[job->user[0] - 'a'];

            assert_true(*before == 0 || *before < job->weight + 1);
            *before = job->weight + 1;
        }
    }
    assert_int_equal(seen, 900);
}

/* However many heavy jobs somebody has: another user's next job is in the next batch but one, and there is at
 * most one heavy job before it that does not fit beside others. */
static void test_a_heavy_user_delays_by_a_bounded_number(void **state) {
    struct world *world = *state;
    char batch[STATE_BATCH_MAX + 1];

    for (size_t weight = 1; weight <= 1024 * 1024; weight *= 4) {
        for (int i = 0; i < 600; i++) {
            push(world, "heavy", &(struct job){.weight = weight});
        }
        size_t in_progress = strlen(take(world, batch)); /* formed before the other came */

        assert_true(in_progress <= STATE_BATCH_MAX);
        assert_true(in_progress == 1 || in_progress * weight <= QUEUE_BATCH_BYTES);
        push(world, "light", &(struct job){.weight = 100});
        const char *next = take(world, batch);

        /* The heavy user's turn is first; then the other one's. */
        if (next[1] == '\0') {
            next = take(world, batch);
            assert_int_equal(next[0], 'l');
        } else {
            assert_int_equal(next[1], 'l');
        }
        while (world->queue.count > 0) {
            take(world, batch);
        }
        world->count = 0;
    }
}

static void test_batches_are_bounded(void **state) {
    struct world *world = *state;
    char batch[STATE_BATCH_MAX + 1];

    for (int i = 0; i < 300; i++) {
        push(world, "a", &(struct job){0});
    }
    assert_int_equal(strlen(take(world, batch)), STATE_BATCH_MAX);
    assert_int_equal(strlen(take(world, batch)), 300 - STATE_BATCH_MAX);
    /* Groups: the last one may go beyond. */
    for (int i = 0; i < 3; i++) {
        push(world, "a", &(struct job){.writes = 200});
    }
    assert_string_equal(take(world, batch), "aa");
    assert_string_equal(take(world, batch), "a");
    /* What stands alone neither joins nor is joined. */
    push(world, "a", &(struct job){0});
    push(world, "b", &(struct job){.alone = true});
    push(world, "c", &(struct job){0});
    push(world, "d", &(struct job){.alone = true});
    assert_string_equal(take(world, batch), "a");
    assert_string_equal(take(world, batch), "b");
    assert_string_equal(take(world, batch), "c");
    assert_string_equal(take(world, batch), "d");
}

static void test_limits(void **state) {
    struct world *world = *state;
    char user[24], batch[STATE_BATCH_MAX + 1];

    for (int i = 0; i < 32; i++) {
        push(world, "node", &(struct job){.user_max = 32});
    }
    assert_int_equal(push_job(world, "node", &(struct job){.user_max = 32}), ERR_TOO_MANY_REQUESTS);
    push(world, "other", &(struct job){.user_max = 32});
    assert_int_equal(strlen(take(world, batch)), 33);
    push(world, "node", &(struct job){.user_max = 32});
    assert_string_equal(take(world, batch), "n");
    world->count = 0;
    for (int i = 0; i < STATE_QUEUE_MAX; i++) { /* each a user of its own: as many lanes as there can be */
        snprintf(user, sizeof(user), "%d", i);
        push(world, user, &(struct job){0});
    }
    assert_int_equal(push_job(world, "x", &(struct job){0}), ERR_UNAVAILABLE);
    size_t taken = 0;

    while (world->queue.count > 0) {
        taken += strlen(take(world, batch));
    }
    assert_int_equal(taken, STATE_QUEUE_MAX);
    queue_stop(&world->queue);
    assert_int_equal(push_job(world, "x", &(struct job){0}), ERR_UNAVAILABLE);
    bool stop = false;

    assert_null(queue_take(&world->queue, 0, &stop));
    assert_true(stop);
}

/* Against a plain model: random users, sizes and takes. */
static void test_random(void **state) {
    struct world *world = *state;
    size_t waiting[8] = {0};
    unsigned seed = 7;
    bool stop;

    for (int round = 0; round < 15000; round++) {
        seed = seed * 1664525u + 1013904223u;
        char user[2] = {(char)('a' + (seed >> 20) % 8), '\0'};

        if ((seed >> 10) % 3 != 0) {
            push(world, user, &(struct job){.weight = (seed >> 8) % 100000, .alone = (seed >> 24) % 16 == 0});
            waiting[user[0] - 'a']++;
        } else if (world->queue.count > 0) {
            size_t weight = 0, count = 0;
            bool alone = false;

            for (const struct job *job = queue_take(&world->queue, 0, &stop); job != NULL; job = job->next) {
                assert_true(waiting[job->user[0] - 'a']-- > 0);
                weight += job->weight;
                alone = alone || job->alone;
                count++;
            }
            assert_true(count > 0 && (count == 1 || (weight <= QUEUE_BATCH_BYTES && !alone)));
        }
        size_t sum = 0;

        for (size_t i = 0; i < 8; i++) {
            sum += waiting[i];
        }
        assert_int_equal(sum, world->queue.count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_users_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_of_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_heavy_user_delays_by_a_bounded_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batches_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    return cmocka_run_group_tests_name("state: queue", tests, NULL, NULL);
}
