/*
 * What watchers are told: each session once when it comes, once for each sweep in which it changed, and once
 * when it goes; and who is too slow is told so.
 */
#include "status_world.h"

#define READ_MAX 64

/* Everything after `after`. */
static size_t read_news(struct world *world, uint64_t after, struct status_news items[READ_MAX]) {
    size_t count = 0;
    struct err err = ERR_INIT;
    assert_int_equal(status_read_news(world->status, after, items, READ_MAX, &count, &err), 0);
    return count;
}

static size_t count_of(const struct status_news *items, size_t count, enum status_news_type type) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += items[i].type == type;
    }
    return found;
}

static void test_sessions_come_change_and_go(void **state) {
    (void)state;
    struct status_news items[READ_MAX];
    struct world world;
    world_make(&world, 3);
    uint64_t first = status_newest(world.status);
    assert_int_equal(first, 1000);
    assert_int_equal(read_news(&world, first, items), 0);
    world_sweep(&world);
    size_t count = read_news(&world, first, items);
    assert_int_equal(count, 9);
    assert_int_equal(count_of(items, count, STATUS_ADDED), 9);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].sequence, first + 1 + i);
    }
    world_pass(&world, STATUS_SETTLE_MS);
    uint64_t settled = status_newest(world.status);
    world_pass(&world, 1000);
    assert_int_equal(read_news(&world, settled, items), 0);

    /* One end says another state: news at that end, and at the other, whose view of it that is. */
    world_session(&world, 0, world.nodes[1].ip)->state = SESSION_IDLE;
    world_pass(&world, 1000);
    assert_int_equal(read_news(&world, settled, items), 2);
    assert_string_equal(items[0].node, "host0");
    assert_int_equal(items[0].type, STATUS_CHANGED);
    assert_int_equal(items[0].before.here, SESSION_ESTABLISHED);
    assert_int_equal(items[0].after.here, SESSION_IDLE);
    assert_string_equal(items[1].node, "host1");
    assert_int_equal(items[1].after.here, SESSION_ESTABLISHED);
    assert_int_equal(items[1].after.there, SESSION_IDLE);

    /* A node goes: its sessions are told with its name, which nobody knows any more. */
    uint64_t before = status_newest(world.status);
    status_forget(world.status, 2);
    world_sweep(&world);
    count = read_news(&world, before, items);
    assert_int_equal(count_of(items, count, STATUS_DELETED), 3);
    for (size_t i = 0; i < count; i++) {
        assert_true(items[i].type != STATUS_DELETED || strcmp(items[i].node, "host2") == 0);
    }
    status_free(world.status);
}

static bool show_state(void *arg, const struct status_row *row) {
    *(uint8_t *)arg = row->here->state;
    return true;
}

static void test_one_session_is_shown_as_it_is_now(void **state) {
    (void)state;
    struct status_news items[READ_MAX];
    struct world world;
    world_make(&world, 2);
    (void)status_newest(world.status); /* somebody asks */
    world_sweep(&world);
    assert_int_equal(read_news(&world, 1000, items), 4);
    const struct status_news *news = &items[0];
    uint8_t seen = SESSION_ABSENT;
    assert_true(status_visit_session(world.status, news->slot, news->life, &news->address, news->port,
                                     world.now_ms, show_state, &seen));
    assert_int_equal(seen, SESSION_ESTABLISHED);
    assert_false(status_visit_session(world.status, news->slot, news->life + 1, &news->address, news->port,
                                      world.now_ms, show_state, &seen));
    assert_false(status_visit_session(world.status, news->slot, news->life, &news->address, 1790,
                                      world.now_ms, show_state, &seen));
    status_free(world.status);
}

/* However often the sessions of a mesh are judged while one sweep runs, each is told once. */
static void test_a_sweep_tells_a_session_once(void **state) {
    (void)state;
    struct status_news items[READ_MAX];
    struct world world;
    world_make(&world, 6);
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS);
    uint64_t before = status_newest(world.status);
    for (size_t i = 0; i < world.node_count; i++) {
        for (size_t k = 0; k < world.nodes[i].session_count; k++) {
            world.nodes[i].sessions[k].state = SESSION_ACTIVE;
        }
    }
    world_pass(&world, 1000);
    size_t count = read_news(&world, before, items);
    assert_int_equal(count, 6 * 6);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].before.here, SESSION_ESTABLISHED);
        assert_int_equal(items[i].after.here, SESSION_ACTIVE);
    }
    status_free(world.status);
}

static void test_what_is_forgotten_is_said(void **state) {
    (void)state;
    struct status_news items[READ_MAX];
    struct err err = ERR_INIT;
    struct world world;
    size_t count = 0;
    world_make(&world, 2);
    (void)status_newest(world.status);
    world_sweep(&world);
    /* A number of another process, before or after this one. */
    assert_int_equal(status_read_news(world.status, 999, items, READ_MAX, &count, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    assert_non_null(strstr(err.text, "list them again"));
    err_clear(&err);
    assert_int_equal(
        status_read_news(world.status, status_newest(world.status) + 1, items, READ_MAX, &count, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    /* The ring goes round. */
    struct sim *sim = &world.nodes[0];
    for (size_t i = 0; i < STATUS_NEWS_KEPT; i++) {
        sim->sessions[sim->session_count - 1].state = i % 2 == 0 ? SESSION_IDLE : SESSION_ACTIVE;
        world_report(&world, 0);
        world_sweep(&world);
        (void)status_newest(world.status);
    }
    err_clear(&err);
    assert_int_equal(status_read_news(world.status, 1000, items, READ_MAX, &count, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    uint64_t newest = status_newest(world.status);
    assert_true(newest >= 1000 + STATUS_NEWS_KEPT);
    err_clear(&err);
    assert_int_equal(status_read_news(world.status, newest - STATUS_NEWS_KEPT, items, 1, &count, &err), 0);
    assert_int_equal(items[0].sequence, newest - STATUS_NEWS_KEPT + 1);
    status_free(world.status);
}

/* Most fleets are never watched: what nobody has asked for takes no memory. */
static void test_nothing_is_kept_while_nobody_asks(void **state) {
    (void)state;
    struct status_news items[READ_MAX];
    struct err err = ERR_INIT;
    struct world world;
    size_t count = 0;
    world_make(&world, 2);
    world_sweep(&world);
    assert_int_equal(status_read_news(world.status, 1000, items, READ_MAX, &count, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    /* From the question on it is. */
    uint64_t asked = status_newest(world.status);
    assert_int_equal(asked, 1004);
    world.nodes[0].sessions[0].state = SESSION_IDLE;
    world_pass(&world, 1000);
    assert_int_equal(read_news(&world, asked, items), 2);
    assert_int_equal(items[0].type, STATUS_CHANGED);
    /* Long after the last question it is not again; who waits is a question that goes on. */
    struct status_watcher watcher = {.wake = NULL};
    bool ready = true;
    uint64_t newest = status_newest(world.status);
    status_watch_arm(world.status, &watcher, newest, &ready);
    assert_false(ready);
    for (int i = 0; i < 1000; i++) {
        world_sweep(&world);
    }
    assert_int_equal(read_news(&world, asked, items), 2);
    assert_true(status_watch_disarm(world.status, &watcher));
    for (int i = 0; i < 1000; i++) {
        world_sweep(&world);
    }
    err_clear(&err);
    assert_int_equal(status_read_news(world.status, asked, items, READ_MAX, &count, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    assert_int_equal(status_newest(world.status), newest);
    status_free(world.status);
}

static void count_wake(void *arg) {
    ++*(size_t *)arg;
}

static void test_waiting(void **state) {
    (void)state;
    struct world world;
    size_t woken = 0;
    bool ready = true;
    struct status_watcher one = {.wake = count_wake, .arg = &woken};
    struct status_watcher two = {.wake = count_wake, .arg = &woken};
    world_make(&world, 2);
    status_watch_arm(world.status, &one, 1000, &ready);
    assert_false(ready);
    status_watch_arm(world.status, &two, 1000, &ready);
    assert_false(ready);
    assert_true(status_watch_disarm(world.status, &one));
    assert_false(status_watch_disarm(world.status, &one));
    world_sweep(&world);
    assert_int_equal(woken, 1);
    assert_false(status_watch_disarm(world.status, &two));
    status_watch_arm(world.status, &one, 1000, &ready);
    assert_true(ready);
    status_watch_arm(world.status, &one, status_newest(world.status) + 1, &ready);
    assert_true(ready); /* to be told that this is no number of ours */
    status_watch_arm(world.status, &one, status_newest(world.status), &ready);
    assert_false(ready);
    world_sweep(&world);
    assert_int_equal(woken, 1);
    assert_true(status_watch_disarm(world.status, &one));
    status_free(world.status);
}

static int start(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return random_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_come_change_and_go),
        cmocka_unit_test(test_one_session_is_shown_as_it_is_now),
        cmocka_unit_test(test_a_sweep_tells_a_session_once),
        cmocka_unit_test(test_what_is_forgotten_is_said),
        cmocka_unit_test(test_nothing_is_kept_while_nobody_asks),
        cmocka_unit_test(test_waiting),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
