/*
 * Two instances of the service over one store, which is what a replicated store would be to them: each
 * follows what the other commits, in its objects, lists, parked polls and events, and of two that commit at
 * the same moment the later one is applied again.
 */
#include "state_random.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <time.h>

#include "base/random.h"
#include "state/brake.h"
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

/* ---- settings: the vault's keys and the tokens ---- */

static const char SECRET[] =
    "{\"metadata\":{\"name\":\"pw\",\"namespace\":\"default\"},\"stringData\":{\"k\":\"%s\"}}";

static void write_secret(struct fixture *fixture, enum write_op op, const char *value) {
    char json[256];
    snprintf(json, sizeof(json), SECRET, value);
    assert_int_equal(put(fixture, op, KIND_SECRET, "default/pw", json, NULL), ERR_NONE);
}

/* A node with one session, whose password is the Secret's value. */
static void make_session(struct fixture *fixture) {
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL,
                         "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"192.0.2.1/24\","
                         "\"asNumber\":64512}}}",
                         NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL,
                         "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIP\":\"198.51.100.1\",\"asNumber\":"
                         "64513,\"password\":{\"secretKeyRef\":{\"name\":\"pw\",\"key\":\"k\"}}}}",
                         NULL),
                     ERR_NONE);
}

static bool has_password(struct fixture *fixture, const char *value) {
    struct buf revealed = BUF_INIT;
    struct err err = ERR_INIT;
    char etag[DIGEST_TEXT_MAX];
    fleet_check(state_reveal_list(fixture->state, "n", &revealed, etag, &err), &err);
    bool found = strstr(revealed.data, value) != NULL;
    buf_done(&revealed);
    return found;
}

/* Until an instance has everything that was committed: the answer to a write is, when it changed nothing. */
static void catch_up(struct pair *pair, size_t i) {
    struct plan node = {.op = WRITE_CREATE, .kind = KIND_NODE};
    static unsigned number;
    snprintf(node.key, sizeof(node.key), "catch-up-%u", number++);
    snprintf(node.json, sizeof(node.json), "{\"metadata\":{\"name\":\"%s\"}}", node.key);
    assert_true(make_at(pair->ends[i], &node, 1));
    settle(pair);
}

static void restart_end(struct pair *pair, size_t i) {
    fixture_stop(pair->ends[i]);
    free(pair->ends[i]);
    open_end(pair, i);
}

static void a_rotation_elsewhere_costs_no_password(void **state) {
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    write_secret(pair->ends[0], WRITE_CREATE, "first-password");
    make_session(pair->ends[0]);
    settle(pair);
    assert_true(has_password(pair->ends[1], "first-password"));
    uint64_t events = revision_of(pair->ends[0]);
    for (int i = 0; i < 3; i++) {
        char value[32];
        size_t writer = i % 2 == 0;
        fleet_check(state_rotate_data_key(pair->ends[1 - writer]->state, NULL, &err), &err);
        assert_int_equal(revision_of(pair->ends[0]), events); /* no change for anybody */
        snprintf(value, sizeof(value), "password-%d", i);
        write_secret(pair->ends[writer], WRITE_REPLACE, value);
        settle(pair);
        events = revision_of(pair->ends[0]);
        assert_true(has_password(pair->ends[0], value));
        assert_true(has_password(pair->ends[1], value));
    }
    restart_end(pair, 0);
    restart_end(pair, 1);
    assert_true(has_password(pair->ends[0], "password-2"));
    assert_true(has_password(pair->ends[1], "password-2"));
}

/* What only was sealed again is followed too: the key it was under is gone. */
static void a_resealed_password_is_readable_everywhere(void **state) {
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    write_secret(pair->ends[0], WRITE_CREATE, "one-password");
    make_session(pair->ends[0]);
    settle(pair);
    fleet_check(state_rotate_data_key(pair->ends[0]->state, NULL, &err), &err);
    catch_up(pair, 1);
    assert_true(has_password(pair->ends[1], "one-password"));
    assert_int_equal(vault_active_key(pair->ends[0]->vault), vault_active_key(pair->ends[1]->vault));
    assert_false(vault_has_key(pair->ends[1]->vault, vault_active_key(pair->ends[1]->vault) - 1));
}

struct rotating {
    struct fixture *fixture;
    atomic_bool stop;
    bool failed;
    size_t rotations;
};

static void *rotate(void *arg) {
    struct rotating *rotating = arg;
    while (!atomic_load(&rotating->stop)) {
        struct err err = ERR_INIT;
        bool failed = state_rotate_data_key(rotating->fixture->state, NULL, &err) != 0;
        rotating->failed = rotating->failed || (failed && err.code != ERR_UNAVAILABLE);
        rotating->rotations += !failed;
    }
    return NULL;
}

static void rotations_and_writes_at_once_lose_nothing(void **state) {
    struct pair *pair = *state;
    struct rotating rotating = {.fixture = pair->ends[0]};
    pthread_t thread;
    write_secret(pair->ends[1], WRITE_CREATE, "password-0");
    make_session(pair->ends[1]);
    settle(pair);
    assert_int_equal(pthread_create(&thread, NULL, rotate, &rotating), 0);
    for (int i = 1; i <= 100; i++) {
        char value[32];
        char json[256];
        enum err_code code = ERR_UNAVAILABLE;
        snprintf(value, sizeof(value), "password-%d!", i);
        snprintf(json, sizeof(json), SECRET, value);
        for (int k = 0; k < TRIES && code == ERR_UNAVAILABLE; k++) {
            code = put(pair->ends[1], WRITE_REPLACE, KIND_SECRET, "default/pw", json, NULL);
        }
        assert_int_equal(code, ERR_NONE);
        assert_true(has_password(pair->ends[1], value));
    }
    atomic_store(&rotating.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(rotating.failed);
    assert_true(rotating.rotations > 0);
    catch_up(pair, 0);
    catch_up(pair, 1);
    assert_true(has_password(pair->ends[0], "password-100!"));
    restart_end(pair, 0);
    assert_true(has_password(pair->ends[0], "password-100!"));
}

static void note_revoked(void *arg, const char *user) {
    (void)user;
    count_wake(arg);
}

static void a_token_is_revoked_everywhere(void **state) {
    struct pair *pair = *state;
    struct waiting waiting = {.woken = 0};
    struct token_write write = {.revoke = false};
    char text[TOKEN_TEXT_MAX];
    struct token token;
    struct err err = ERR_INIT;
    pthread_mutex_init(&waiting.lock, NULL);
    pthread_cond_init(&waiting.cond, NULL);
    fleet_check(token_new(ROLE_ADMIN, NULL, "", 0, &write.token, text, &err), &err);
    fleet_check(state_write_token(pair->ends[0]->state, &write, &err), &err);
    catch_up(pair, 1);
    assert_true(token_registry_get(state_tokens(pair->ends[1]->state), write.token.id, &token));
    state_watch_revocations(pair->ends[1]->state, note_revoked, &waiting);
    write.revoke = true;
    fleet_check(state_write_token(pair->ends[0]->state, &write, &err), &err);
    catch_up(pair, 1);
    assert_false(token_registry_get(state_tokens(pair->ends[1]->state), write.token.id, &token));
    assert_int_equal(waiting.woken, 1);
    state_watch_revocations(pair->ends[1]->state, NULL, NULL);
    pthread_cond_destroy(&waiting.cond);
    pthread_mutex_destroy(&waiting.lock);
}

/* ---- what writers get to know of it ---- */

static void a_batch_that_is_too_large_is_cut_between_writes(void **state) {
    struct pair *pair = *state;
    struct call calls[8];
    pthread_mutex_lock(&pair->database.gate); /* the first is on its way, and the others gather behind it */
    pair->database.change_limit = 2;
    for (size_t i = 0; i < 8; i++) {
        struct err err = ERR_INIT;
        char json[64];
        snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"n%zu\"}}", i);
        call_init(&calls[i], WRITE_CREATE, KIND_NODE, NULL);
        call_body(&calls[i], json);
        fleet_check(state_submit(pair->ends[0]->state, &calls[i].write, &err), &err);
    }
    pthread_mutex_unlock(&pair->database.gate);
    for (size_t i = 0; i < 8; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].write.err.code, ERR_NONE);
        call_end(&calls[i]);
    }
    settle(pair);
    assert_int_equal(revision_of(pair->ends[1]), 8);
    assert_true(pair->database.largest <= 2);
}

static void one_change_that_is_too_large_is_refused_alone(void **state) {
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    struct plan plans[3];
    struct call calls[GROUP_MAX];
    for (size_t i = 0; i < 3; i++) {
        plans[i] = (struct plan){.op = WRITE_CREATE, .kind = KIND_NODE};
        snprintf(plans[i].key, sizeof(plans[i].key), "n%zu", i);
        snprintf(plans[i].json, sizeof(plans[i].json), "{\"metadata\":{\"name\":\"n%zu\"}}", i);
    }
    pair->database.change_limit = 2;
    assert_true(calls_from(calls, plans, 3));
    call_run(pair->ends[0], &calls[0]);
    assert_int_equal(calls[0].write.err.code, ERR_TOO_LARGE);
    calls_end(calls, 3);
    assert_int_equal(pair->database.revision, 0);
    assert_int_equal(state_writable(pair->ends[0]->state, &err), 0);
    assert_true(make_at(pair->ends[0], plans, 2));
}

/* ---- a freeze ---- */

static bool is_frozen(struct fixture *fixture) {
    struct freeze freeze;
    state_freeze(fixture->state, &freeze);
    return freeze.on;
}

static void a_freeze_is_one_everywhere(void **state) {
    struct pair *pair = *state;
    make_session(pair->ends[0]);
    settle(pair);
    assert_int_equal(fixture_freeze(pair->ends[0], false, "somebody", 0), ERR_NONE);
    catch_up(pair, 1);
    assert_true(is_frozen(pair->ends[1]));
    assert_int_equal(put(pair->ends[1], WRITE_DELETE, KIND_NODE, "n", NULL, NULL), ERR_FROZEN);
    assert_int_equal(fixture_freeze(pair->ends[1], true, "somebody", 0), ERR_NONE);
    catch_up(pair, 0);
    assert_false(is_frozen(pair->ends[0]));
}

/* ---- away for longer than the log lasts ---- */

static void who_missed_too_much_loads_again(void **state) {
    struct pair *pair = *state;
    struct err err = ERR_INIT;
    struct state_event events[2];
    uint64_t compacted, upto;
    bool more;
    size_t count;
    write_secret(pair->ends[0], WRITE_CREATE, "old-password");
    make_session(pair->ends[0]);
    assert_int_equal(
        put(pair->ends[0], WRITE_CREATE, KIND_NODE, NULL, "{\"metadata\":{\"name\":\"gone\"}}", NULL),
        ERR_NONE);
    settle(pair);
    assert_int_equal(fixture_freeze(pair->ends[0], false, "somebody", 0), ERR_NONE);
    catch_up(pair, 1);
    assert_true(is_frozen(pair->ends[1]));
    uint64_t seen = revision_of(pair->ends[1]);
    store_watch(pair->ends[1]->store, NULL, NULL); /* it hears nothing any more */
    assert_int_equal(fixture_freeze(pair->ends[0], true, "somebody", 0), ERR_NONE);
    fleet_check(state_rotate_data_key(pair->ends[0]->state, NULL, &err), &err);
    write_secret(pair->ends[0], WRITE_REPLACE, "new-password");
    assert_int_equal(put(pair->ends[0], WRITE_DELETE, KIND_NODE, "gone", NULL, NULL), ERR_NONE);
    fleet_check(store_compact(pair->ends[0]->store, &(struct store_keep){.since_ms = INT64_MAX}, &more,
                              &compacted, &err),
                &err);
    /* Its commit comes too late, and so it looks. When that fails half way, what it serves stays whole. */
    pair->database.broken = ERR_UNAVAILABLE;
    assert_int_equal(
        put(pair->ends[1], WRITE_CREATE, KIND_NODE, NULL, "{\"metadata\":{\"name\":\"late\"}}", NULL),
        ERR_UNAVAILABLE);
    assert_true(has_password(pair->ends[1], "old-password"));
    pair->database.broken = ERR_NONE;
    catch_up(pair, 1);
    check_same(pair);
    assert_false(is_frozen(pair->ends[1]));
    assert_true(has_password(pair->ends[1], "new-password"));
    assert_false(vault_has_key(pair->ends[1]->vault, 1));
    assert_int_equal(state_events(pair->ends[1]->state, KIND_NODE, seen, events, 2, &count, &upto, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_that_write_at_once_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(polls_and_watches_see_the_other_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation_elsewhere_costs_no_password, setup, teardown),
        cmocka_unit_test_setup_teardown(a_resealed_password_is_readable_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(rotations_and_writes_at_once_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_is_revoked_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_freeze_is_one_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_that_is_too_large_is_cut_between_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(one_change_that_is_too_large_is_refused_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(who_missed_too_much_loads_again, setup, teardown),
    };
    return cmocka_run_group_tests_name("state: other writers", tests, fixture_libraries, NULL);
}
