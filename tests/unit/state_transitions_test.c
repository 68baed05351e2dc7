/*
 * Changes of verdicts on their way to the disk: in their order, in bounded transactions between which writes
 * come, over a restart, and no more of them than are to be kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../service/state/state_internal.h"
#include "state_fixture.h"

#define STORM 80000

static void add(struct fixture *fixture, uint32_t number) {
    char node[24];
    snprintf(node, sizeof(node), "n%u", number);
    const struct status_transition change = {.node = node,
                                             .address = {.family = IP_V4, .bytes = {192, 0, 2, 1}},
                                             .port = 179,
                                             .remote = number % 2 == 0 ? "far" : NULL,
                                             .from = VERDICT_UP,
                                             .to = VERDICT_DOWN,
                                             .folded = number,
                                             .message = "the far end is down"};
    transitions_add(&fixture->state->transitions, &change);
}

static struct state_figures figures_of(struct fixture *fixture) {
    struct state_figures figures;
    state_figures(fixture->state, &figures);
    return figures;
}

static uint64_t commits_of(struct fixture *fixture) {
    struct state_figures figures = figures_of(fixture);
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(figures.store.commits.counts) / sizeof(figures.store.commits.counts[0]);
         i++) {
        sum += figures.store.commits.counts[i];
    }
    return sum;
}

/* The thread of sessions flushes twice a second. */
static void wait_until_stored(struct fixture *fixture, uint64_t count) {
    while (figures_of(fixture).transitions_stored < count) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

struct reading {
    size_t count;
    uint64_t newest, oldest;
    bool ordered;
};

static int read_one(void *arg, const struct store_transition *row, struct err *err) {
    struct reading *reading = arg;
    char node[24];
    (void)err;
    snprintf(node, sizeof(node), "n%u", row->folded);
    assert_string_equal(row->node, node);
    assert_string_equal(row->peer, "192.0.2.1");
    assert_string_equal(row->remote, row->folded % 2 == 0 ? "far" : "");
    assert_string_equal(row->was, "Up");
    assert_string_equal(row->became, "Down");
    reading->ordered = reading->ordered && (reading->count == 0 || row->sequence == reading->oldest - 1);
    reading->newest = reading->count == 0 ? row->sequence : reading->newest;
    reading->oldest = row->sequence;
    reading->count++;
    return 0;
}

static struct reading read_rows(struct fixture *fixture, uint64_t below, size_t limit) {
    struct reading reading = {.ordered = true};
    struct err err = ERR_INIT;
    assert_int_equal(state_read_transitions(fixture->state, below, limit, read_one, &reading, &err), 0);
    assert_true(reading.ordered);
    return reading;
}

static void rows_are_read_before_and_after_they_are_stored(void **ptr) {
    struct fixture *fixture = *ptr;
    assert_int_equal(read_rows(fixture, 0, 10).count, 0);
    for (uint32_t i = 1; i <= 5; i++) {
        add(fixture, i);
    }
    struct reading reading = read_rows(fixture, 0, 10);
    assert_int_equal(reading.count, 5);
    assert_int_equal(reading.newest, 5);
    wait_until_stored(fixture, 5);
    add(fixture, 6);
    reading = read_rows(fixture, 0, 10); /* from memory and from the disk, without a seam */
    assert_int_equal(reading.count, 6);
    assert_int_equal(reading.oldest, 1);
    reading = read_rows(fixture, 4, 2);
    assert_int_equal(reading.count, 2);
    assert_int_equal(reading.newest, 3);
}

static void they_survive_a_restart(void **ptr) {
    struct fixture *fixture = *ptr;
    add(fixture, 1);
    add(fixture, 2); /* stored by the stop, if not before */
    fixture_restart(fixture, 0);
    assert_int_equal(read_rows(fixture, 0, 10).newest, 2);
    assert_int_equal(figures_of(fixture).transitions_stored, 0);
    add(fixture, 3);
    struct reading reading = read_rows(fixture, 0, 10);
    assert_int_equal(reading.newest, 3);
    assert_int_equal(reading.count, 3);
}

/* All of a large fleet's sessions at once: no transaction is large, and a write waits for one of them. */
static void a_storm_holds_no_write_up(void **ptr) {
    struct fixture *fixture = *ptr;
    uint64_t commits = commits_of(fixture);
    for (uint32_t i = 1; i <= STORM; i++) {
        add(fixture, i);
    }
    wait_until_stored(fixture, 1);
    uint64_t before = figures_of(fixture).transitions_stored;
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, "n1", "{\"metadata\":{\"name\":\"n1\"}}", NULL),
                     ERR_NONE);
    uint64_t after = figures_of(fixture).transitions_stored;
    assert_true(after - before <= 3000); /* the one under way, one behind, one before the figures were read */
    wait_until_stored(fixture, STORM);
    assert_true(commits_of(fixture) - commits >= STORM / 1000);
    assert_int_equal(figures_of(fixture).transitions_waiting, 0);
    assert_int_equal(read_rows(fixture, 0, 2 * STORM).count, STORM);
}

static void what_there_is_no_room_for_is_counted(void **ptr) {
    struct fixture *fixture = *ptr;
    pthread_mutex_lock(&fixture->state->queue.lock); /* nobody gets to store anything */
    for (uint32_t i = 1; i <= 100002; i++) {
        add(fixture, i);
    }
    pthread_mutex_unlock(&fixture->state->queue.lock);
    assert_int_equal(figures_of(fixture).transitions_dropped, 2);
    wait_until_stored(fixture, 100000);
    assert_int_equal(read_rows(fixture, 0, 1).newest, 100000); /* no number is lost with them */
}

static void only_so_many_are_kept(void **ptr) {
    struct fixture *fixture = *ptr;
    fixture->keep_transitions = 500;
    fixture_restart(fixture, 0);
    for (uint32_t i = 1; i <= 3600; i++) {
        add(fixture, i);
    }
    wait_until_stored(fixture, 3600);
    /* The last of them are dropped by a task behind the one that stores. */
    while (read_rows(fixture, 0, 10000).count > 1500) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    struct reading reading = read_rows(fixture, 0, 10000);
    assert_int_equal(reading.newest, 3600);
    assert_true(reading.count >= 500);
}

static void nothing_is_written_while_nothing_changes(void **ptr) {
    struct fixture *fixture = *ptr;
    uint64_t commits = commits_of(fixture);
    for (int i = 0; i < 100; i++) {
        fixture->state->transitions.flush_ms = 0;
        transitions_flush(fixture->state);
    }
    /* Behind whatever that may have queued: */
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, "n1", "{\"metadata\":{\"name\":\"n1\"}}", NULL),
                     ERR_NONE);
    assert_int_equal(commits_of(fixture), commits + 1);
    assert_int_equal(figures_of(fixture).transitions_stored, 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(rows_are_read_before_and_after_they_are_stored),
        WITH_FIXTURE(they_survive_a_restart),
        WITH_FIXTURE(a_storm_holds_no_write_up),
        WITH_FIXTURE(what_there_is_no_room_for_is_counted),
        WITH_FIXTURE(only_so_many_are_kept),
        WITH_FIXTURE(nothing_is_written_while_nothing_changes),
    };
    return cmocka_run_group_tests_name("state: transitions", tests, fixture_libraries, NULL);
}
