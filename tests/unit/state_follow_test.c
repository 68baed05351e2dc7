/*
 * Two instances of the service over one store, which is what a replicated store would be to them: each
 * follows what the other commits, in its objects, lists, parked polls and events, and of two that commit at
 * the same moment one is told to try again.
 */
#include "state_random.h"

#include <inttypes.h>
#include <time.h>

#include "base/random.h"
#include "store_memory.h"

#define STEPS        150
#define WAIT_SECONDS 60
#define TRIES        1000

struct pair {
    struct memory_database database;
    struct fixture *ends[2];
    char dir[FIXTURE_DIR_MAX]; /* the vault's root key, which both have */
};

static void open_end(struct pair *pair, size_t i) {
    pair->ends[i] = calloc(1, sizeof(*pair->ends[i]));
    assert_non_null(pair->ends[i]);
    memcpy(pair->ends[i]->dir, pair->dir, sizeof(pair->dir));
    fixture_start_on(pair->ends[i], memory_open(&pair->database), 0);
}

static int setup(void **state) {
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    fixture_make_dir(pair->dir);
    memory_init(&pair->database);
    open_end(pair, 0);
    open_end(pair, 1);
    *state = pair;
    return 0;
}

static int teardown(void **state) {
    struct pair *pair = *state;
    for (size_t i = 0; i < 2; i++) {
        fixture_stop(pair->ends[i]);
        free(pair->ends[i]);
    }
    memory_done(&pair->database);
    fixture_remove_dir(pair->dir);
    free(pair);
    return 0;
}

static uint64_t revision_of(const struct fixture *fixture) {
    struct picture *picture = state_picture(fixture->state);
    uint64_t revision = snapshot_revision(picture->snapshot);
    picture_unref(picture);
    return revision;
}

/* Until both have the newest revision. */
static void settle(struct pair *pair) {
    const struct timespec moment = {.tv_nsec = 200000};
    struct err err = ERR_INIT;
    struct store_status status;
    time_t until = time(NULL) + WAIT_SECONDS;
    fleet_check(store_status(pair->ends[0]->store, &status, &err), &err);
    while (revision_of(pair->ends[0]) != status.revision || revision_of(pair->ends[1]) != status.revision) {
        if (time(NULL) > until) {
            fail_msg("the store is at %" PRIu64 ", the instances at %" PRIu64 " and %" PRIu64,
                     status.revision, revision_of(pair->ends[0]), revision_of(pair->ends[1]));
        }
        nanosleep(&moment, NULL);
    }
}

/* Both have the same objects, and every node gets the same answer from both. */
static void check_same(struct pair *pair) {
    struct picture *a = state_picture(pair->ends[0]->state);
    struct picture *b = state_picture(pair->ends[1]->state);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct snapshot_cursor x_cursor, y_cursor;
        const struct record *x = snapshot_seek(&x_cursor, a->snapshot, (enum kind)kind, NULL);
        const struct record *y = snapshot_seek(&y_cursor, b->snapshot, (enum kind)kind, NULL);
        for (; x != NULL && y != NULL; x = snapshot_step(&x_cursor), y = snapshot_step(&y_cursor)) {
            assert_string_equal(x->json, y->json);
            if (kind != KIND_NODE) {
                continue;
            }
            struct node_list *lists[] = {get_list(pair->ends[0], x->key), get_list(pair->ends[1], x->key)};
            struct buf revealed[] = {BUF_INIT, BUF_INIT};
            for (size_t i = 0; i < 2; i++) {
                struct err err = ERR_INIT;
                char etag[DIGEST_TEXT_MAX];
                fleet_check(state_reveal_list(pair->ends[i]->state, x->key, &revealed[i], etag, &err), &err);
                assert_string_equal(etag, lists[i]->etag);
            }
            assert_string_equal(lists[0]->etag, lists[1]->etag);
            node_list_unref(lists[0]);
            node_list_unref(lists[1]);
            buf_done(&revealed[0]);
            buf_done(&revealed[1]);
        }
        assert_true(x == NULL && y == NULL);
    }
    picture_unref(a);
    picture_unref(b);
}

/* Make the group at one end; refused for its own reasons or made, but not for the other end's sake. */
static bool make_at(struct fixture *fixture, const struct plan *plans, size_t count) {
    for (int i = 0; i < TRIES; i++) {
        struct call calls[GROUP_MAX];
        if (!calls_from(calls, plans, count)) {
            return false;
        }
        call_run(fixture, &calls[0]);
        enum err_code code = calls[0].write.err.code;
        calls_end(calls, count);
        if (code != ERR_UNAVAILABLE) {
            return code == ERR_NONE;
        }
    }
    fail_msg("a write found the other instance faster %d times", TRIES);
    return false;
}

static void run_seed(struct pair *pair, uint64_t seed) {
    struct dice dice = {seed};
    size_t made = 0;
    for (size_t step = 0; step < STEPS; step++) {
        struct plan plans[GROUP_MAX];
        size_t count = dice_chance(&dice, 70) ? 1 : 1 + dice_below(&dice, GROUP_MAX);
        for (size_t i = 0; i < count; i++) {
            plan_one(&dice, &plans[i]);
        }
        made += make_at(pair->ends[dice_below(&dice, 2)], plans, count);
        settle(pair);
        check_same(pair);
    }
    print_message("seed %" PRIu64 ": %zu groups made, %zu came too late\n", seed, made,
                  pair->database.conflicts);
    assert_true(made > STEPS / 4);
}

static void instances_agree(void **state) {
    run_seed(*state, 1);
    run_seed(*state, random_u64());
}

/* ---- at the same time ---- */

struct writer {
    struct fixture *fixture;
    const char *prefix;
    bool failed;
};

static void *write_nodes(void *arg) {
    struct writer *writer = arg;
    for (size_t i = 0; i < 200; i++) {
        struct plan plan = {.op = WRITE_CREATE, .kind = KIND_NODE};
        snprintf(plan.key, sizeof(plan.key), "%s%zu", writer->prefix, i);
        snprintf(plan.json, sizeof(plan.json), "{\"metadata\":{\"name\":\"%s\"}}", plan.key);
        writer->failed = !make_at(writer->fixture, &plan, 1) || writer->failed;
    }
    return NULL;
}

static void instances_that_write_at_once_lose_nothing(void **state) {
    struct pair *pair = *state;
    struct writer writers[] = {{pair->ends[0], "a", false}, {pair->ends[1], "b", false}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_nodes, &writers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(writers[i].failed);
    }
    settle(pair);
    assert_int_equal(revision_of(pair->ends[0]), 400);
    check_same(pair);
}

/* ---- polls and watches ---- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    int woken;
};

static void count_wake(struct waiting *waiting) {
    pthread_mutex_lock(&waiting->lock);
    waiting->woken++;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->lock);
}

static void wake_poll(struct parked *parked) {
    count_wake(parked->arg);
}

static void wake_watch(struct watcher *watcher) {
    count_wake(watcher->arg);
}

static void polls_and_watches_see_the_other_instance(void **state) {
    struct pair *pair = *state;
    struct waiting waiting = {.woken = 0};
    struct parked parked = {.wake = wake_poll, .arg = &waiting};
    struct watcher watcher = {.kind = KIND_BGPPEER, .wake = wake_watch, .arg = &waiting};
    struct plan node = {
        .op = WRITE_CREATE,
        .kind = KIND_NODE,
        .key = "n",
        .json = "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1\"}}}"};
    struct plan peer = {.op = WRITE_CREATE,
                        .kind = KIND_BGPPEER,
                        .key = "p",
                        .json = "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIP\":\"192.0.2.1\"}}"};
    struct err err = ERR_INIT;
    struct state_event events[2];
    bool ready = true;
    size_t count;
    uint64_t upto;
    pthread_mutex_init(&waiting.lock, NULL);
    pthread_cond_init(&waiting.cond, NULL);
    assert_true(make_at(pair->ends[0], &node, 1));
    settle(pair);
    struct node_list *list = get_list(pair->ends[1], "n");
    memcpy(parked.etag, list->etag, sizeof(parked.etag));
    node_list_unref(list);
    fleet_check(state_park(pair->ends[1]->state, "n", &parked, &ready, &err), &err);
    assert_false(ready);
    state_watch_arm(pair->ends[1]->state, &watcher, revision_of(pair->ends[1]), &ready);
    assert_false(ready);

    assert_true(make_at(pair->ends[0], &peer, 1));
    pthread_mutex_lock(&waiting.lock);
    while (waiting.woken < 2) {
        pthread_cond_wait(&waiting.cond, &waiting.lock);
    }
    pthread_mutex_unlock(&waiting.lock);
    fleet_check(state_events(pair->ends[1]->state, KIND_BGPPEER, 0, events, 2, &count, &upto, &err), &err);
    assert_int_equal(count, 1);
    assert_string_equal(events[0].after->key, "p");
    record_unref(events[0].after);
    pthread_cond_destroy(&waiting.cond);
    pthread_mutex_destroy(&waiting.lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_that_write_at_once_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(polls_and_watches_see_the_other_instance, setup, teardown),
    };
    return cmocka_run_group_tests_name("state: other writers", tests, fixture_libraries, NULL);
}
