/*
 * How much is kept of what has changed: in memory, for watches, and in the change log, by number and by size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_fixture.h"

#define NODE "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}"

static int count_row(void *arg, const struct store_change *change, struct err *err) {
    (void)change;
    (void)err;
    ++*(size_t *)arg;
    return 0;
}

static size_t log_rows(struct fixture *fixture) {
    struct store_status status;
    struct err err = ERR_INIT;
    size_t rows = 0;

    assert_int_equal(store_status(fixture->store, &status, &err), 0);
    assert_int_equal(store_read_changes(fixture->store, status.compacted, 0, count_row, &rows, &err), 0);
    return rows;
}

/* One all-or-nothing group of `count` changes of one Node. */
static void change_often(struct fixture *fixture, size_t count) {
    struct call *calls = calloc(count, sizeof *calls);
    char(*patches)[64] = calloc(count, sizeof *patches);
    static unsigned number;

    assert_non_null(calls);
    assert_non_null(patches);
    for (size_t i = 0; i < count; i++) {
        snprintf(patches[i], sizeof patches[i], "{\"metadata\":{\"labels\":{\"n\":\"%u\"}}}", number++);
        call_init(&calls[i], WRITE_PATCH, KIND_NODE, "n");
        calls[i].write.patch = patches[i];
        calls[i].write.patch_len = strlen(patches[i]);
        if (i > 0) {
            calls[i - 1].write.also = &calls[i].write;
        }
    }
    call_run(fixture, &calls[0]);
    assert_int_equal(calls[0].write.err.code, ERR_NONE);
    for (size_t i = 0; i < count; i++) {
        call_end(&calls[i]);
    }
    free(patches);
    free(calls);
}

/* Groups that are larger than what one compaction drops: the log must not grow with them. */
static void test_the_log_does_not_outgrow_the_setting(void **ptr) {
    struct fixture *fixture = *ptr;

    fixture->max_history_bytes = 1; /* nothing beyond what the memory keeps */
    fixture_restart(fixture, 1000);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE, NULL), ERR_NONE);
    for (int i = 0; i < 6; i++) {
        change_often(fixture, 1700);
    }
    change_often(fixture,
                 1); /* the committer compacts after it answers: this one waits for the last of them */
    assert_true(log_rows(fixture) < 1000 + 1000 + 1700);
    /* A smaller setting takes effect on what is there. */
    fixture_restart(fixture, 10);
    change_often(fixture, 1);
    change_often(fixture, 1);
    assert_true(log_rows(fixture) < 10 + 1000);
}

/* Large objects: fewer of their changes are kept, in memory and in the log. */
static void test_large_changes_do_not_fill_the_memory(void **ptr) {
    struct fixture *fixture = *ptr;
    static char body[200 * 1024];
    struct state_event events[200];
    struct err err = ERR_INIT;
    size_t count = 0, len;
    uint64_t upto, last = 0;

    fixture->max_history_bytes = 1; /* nothing beyond what the memory keeps */
    fixture_restart(fixture, 1000);
    for (int i = 0; i < 60; i++) {
        len = (size_t)snprintf(body, sizeof body,
                               "{\"metadata\":{\"name\":\"n\",\"annotations\":{\"note\":\"%d", i);
        memset(body + len, 'x', sizeof body - len - 64);
        snprintf(body + sizeof body - 64, 64, "\"}}}");
        assert_int_equal(
            put(fixture, i == 0 ? WRITE_CREATE : WRITE_REPLACE, KIND_NODE, i == 0 ? NULL : "n", body, &last),
            ERR_NONE);
    }
    assert_int_equal(state_events(fixture->state, KIND_NODE, 0, events, 200, &count, &upto, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    assert_int_equal(state_events(fixture->state, KIND_NODE, last - 10, events, 200, &count, &upto, &err), 0);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < count; i++) {
        record_unref(events[i].before);
        record_unref(events[i].after);
    }
    /* The committer compacts after it answers: this write waits for the last compaction. */
    body[len + 1000] = 'y';
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_NODE, "n", body, NULL), ERR_NONE);
    assert_true(log_rows(fixture) < 60);
}

struct logged {
    size_t rows;
    uint64_t txn[8];
    char request[8][16], reason[8][16];
};

static int note_row(void *arg, const struct store_change *change, struct err *err) {
    struct logged *logged = arg;
    size_t i = logged->rows++;

    (void)err;
    assert_true(i < 8);
    logged->txn[i] = change->txn;
    snprintf(logged->request[i], sizeof logged->request[i], "%s", change->request);
    snprintf(logged->reason[i], sizeof logged->reason[i], "%s", change->reason);
    return 0;
}

/* The log says what was changed together, and of that once by which request and why. */
static void test_the_log_tells_transactions(void **ptr) {
    static const char *const patches[] = {"{\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
                                          "{\"metadata\":{\"labels\":{\"a\":\"2\"}}}"};
    struct fixture *fixture = *ptr;
    struct logged logged = {.rows = 0};
    struct err err = ERR_INIT;
    struct call calls[2];

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE, NULL), ERR_NONE);
    for (size_t i = 0; i < 2; i++) {
        call_init(&calls[i], WRITE_PATCH, KIND_NODE, "n");
        calls[i].write.patch = patches[i];
        calls[i].write.patch_len = strlen(patches[i]);
    }
    calls[0].write.also = &calls[1].write;
    calls[0].write.request = "r-1";
    calls[0].write.reason = "because";
    call_run(fixture, &calls[0]);
    assert_int_equal(calls[0].write.err.code, ERR_NONE);
    call_end(&calls[0]);
    call_end(&calls[1]);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n", NULL, NULL), ERR_NONE);

    const struct store_history_query all = {.oldest_first = true};
    static const uint64_t txn[] = {1, 2, 2, 4};
    assert_int_equal(store_read_history(fixture->store, &all, note_row, &logged, &err), 0);
    assert_int_equal(logged.rows, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(logged.txn[i], txn[i]);
        assert_string_equal(logged.request[i], i == 1 ? "r-1" : "");
        assert_string_equal(logged.reason[i], i == 1 ? "because" : "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_log_tells_transactions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_log_does_not_outgrow_the_setting, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_large_changes_do_not_fill_the_memory, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("state: history", tests, fixture_libraries, NULL);
}
