/*
 * The audit trail in the state: the same after a restart, stored with its write or soon, bounded on the disk,
 * begun from the change log in a database that is older than it.
 */
#include "state_fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TRAIL_MAX  4000
#define TRAIL_STEP 1024 /* rows that are dropped together */

/* The whole trail, newest first. */
struct trail_copy {
    struct arena arena;
    struct audit_entry *entries;
    size_t count;
};

static void copy_trail(struct fixture *fixture, struct trail_copy *ret) {
    struct err err = ERR_INIT;
    bool more;

    arena_init(&ret->arena, 0);
    assert_int_equal(audit_read(state_audit_trail(fixture->state), &(struct audit_filter){.event = -1}, 0,
                                TRAIL_MAX, &ret->arena, &ret->entries, &ret->count, &more, &err),
                     0);
    assert_false(more);
}

static void assert_text(const char *a, const char *b) {
    if (a == NULL || b == NULL) {
        assert_ptr_equal(a, b);
    } else {
        assert_string_equal(a, b);
    }
}

static void assert_same_trail(const struct trail_copy *a, const struct trail_copy *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct audit_entry *x = &a->entries[i], *y = &b->entries[i];

        assert_int_equal(x->sequence, y->sequence);
        assert_int_equal(x->time_ms, y->time_ms);
        assert_int_equal(x->event, y->event);
        assert_text(x->user, y->user);
        assert_text(x->source, y->source);
        assert_text(x->verb, y->verb);
        assert_text(x->resource, y->resource);
        assert_text(x->name, y->name);
        assert_text(x->request, y->request);
        assert_int_equal(x->before, y->before);
        assert_int_equal(x->after, y->after);
    }
}

static void make_node(struct fixture *fixture, int i) {
    char body[128];

    snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"n%d\"},\"spec\":{}}", i);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, body, NULL), ERR_NONE);
}

static void deny(struct fixture *fixture, const char *name) {
    state_audit(fixture->state, &(struct audit_entry){.event = AUDIT_DENIED,
                                                      .time_ms = 1234567,
                                                      .user = "token:00",
                                                      .source = "192.0.2.1:7",
                                                      .verb = "get",
                                                      .resource = "nodes",
                                                      .name = name,
                                                      .request = "r-1"});
}

struct stored {
    size_t count;
    uint64_t first;
};

static int count_row(void *arg, const struct store_audit *row, struct err *err) {
    struct stored *stored = arg;

    (void)err;
    stored->first = stored->count++ == 0 ? row->sequence : stored->first;
    return 0;
}

static struct stored count_stored(struct store *store) {
    struct stored stored = {0};
    struct err err = ERR_INIT;
    uint64_t newest;

    assert_int_equal(store_read_audit(store, INT64_MAX, count_row, &stored, &newest, &err), 0);
    return stored;
}

/* As in a database that is older than the trail. */
static void forget_trail(struct store *store) {
    uint64_t sequences[100];
    struct err err = ERR_INIT;

    for (uint64_t i = 0; i < 100; i++) {
        sequences[i] = i + 1;
    }
    assert_int_equal(store_drop_audit(store, sequences, 100, &err), 0);
    assert_int_equal(count_stored(store).count, 0);
}

/* Have what waits stored, and wait for it, as the service's timer does. */
static void flush(struct fixture *fixture) {
    for (int i = 0; i < 3000 && audit_waiting(state_audit_trail(fixture->state)) > 0; i++) {
        state_flush_audit(fixture->state);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(audit_waiting(state_audit_trail(fixture->state)), 0);
}

static void test_same_after_restart(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy before, after;
    struct call call;
    uint64_t revision;

    make_node(fixture, 1);
    deny(fixture, "quote\" back\\slash \xC3\xA9 \n");
    call_init(&call, WRITE_PATCH, KIND_NODE, "n1");
    call.write.patch = "{\"spec\":{\"bgp\":{\"asNumber\":7}}}";
    call.write.patch_len = strlen(call.write.patch);
    call.write.source = "192.0.2.9:1";
    call.write.request = "r-9";
    call_run(fixture, &call);
    revision = call.write.record->revision;
    call_end(&call);
    /* What changed nothing, and what failed, is not in it. */
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_NODE, "n1", "{\"spec\":{\"bgp\":{\"asNumber\":7}}}", NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n2", NULL, NULL), ERR_NOT_FOUND);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n1", NULL, NULL), ERR_NONE);
    state_audit(fixture->state, &(struct audit_entry){.event = AUDIT_PASSWORDS, .time_ms = 5}); /* no texts */

    copy_trail(fixture, &before);
    assert_int_equal(before.count, 5);
    assert_string_equal(before.entries[1].verb, "delete");
    assert_string_equal(before.entries[2].verb, "patch");
    assert_string_equal(before.entries[2].user, "tester");
    assert_string_equal(before.entries[2].source, "192.0.2.9:1");
    assert_string_equal(before.entries[2].request, "r-9");
    assert_string_equal(before.entries[2].resource, "nodes");
    assert_string_equal(before.entries[2].name, "n1");
    assert_int_equal(before.entries[2].after, revision);
    assert_int_equal(before.entries[2].before, before.entries[4].after);
    assert_int_equal(before.entries[0].sequence, 5);
    fixture_restart(fixture, 0);
    copy_trail(fixture, &after);
    assert_same_trail(&before, &after);
    arena_done(&after.arena);
    fixture_restart(fixture, 0); /* nothing is added by starting */
    make_node(fixture, 3);
    copy_trail(fixture, &after);
    assert_int_equal(after.count, 6);
    assert_int_equal(after.entries[0].sequence, 6);
    arena_done(&after.arena);
    arena_done(&before.arena);
}

/* Without a clean stop: a write's entry is there when the write is, others when they were flushed. */
static void test_on_disk_before_the_end(void **ptr) {
    struct fixture *fixture = *ptr;

    make_node(fixture, 1);
    assert_int_equal(count_stored(fixture->store).count, 1);
    deny(fixture, "a");
    flush(fixture);
    assert_int_equal(count_stored(fixture->store).count, 2);
    /* More than one transaction takes. */
    for (int i = 0; i < 3000; i++) {
        deny(fixture, "b");
    }
    flush(fixture);
    assert_int_equal(count_stored(fixture->store).count, 3002);
}

static void wait_until_dropped(struct fixture *fixture, size_t at_most) {
    struct stored stored = count_stored(fixture->store);

    for (int i = 0; i < 3000 && stored.count > at_most; i++) {
        state_flush_audit(fixture->state);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        stored = count_stored(fixture->store);
    }
    assert_true(stored.count <= at_most);
}

/* As many of each class as are kept, in memory and on the disk; no class pushes another's out. */
static void test_retention(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy trail;

    for (int i = 0; i < 20; i++) {
        make_node(fixture, i);
    }
    fixture->keep_audit = 5;
    fixture_restart(fixture, 0);
    copy_trail(fixture, &trail);
    assert_int_equal(trail.count, 5);
    assert_string_equal(trail.entries[0].name, "n19");
    assert_string_equal(trail.entries[4].name, "n15");
    arena_done(&trail.arena);
    /* The next flush drops the others from the disk. */
    deny(fixture, "a");
    wait_until_dropped(fixture, 6);
    assert_int_equal(count_stored(fixture->store).first, 16);
    /* Afterwards in steps. However many refusals there are, the writes stay. */
    for (int i = 0; i < 5000; i++) {
        deny(fixture, "b");
        if (i % 500 == 0) {
            flush(fixture);
        }
    }
    flush(fixture);
    wait_until_dropped(fixture, 10 + TRAIL_STEP);
    for (int restarts = 0; restarts < 2; restarts++) {
        copy_trail(fixture, &trail);
        assert_int_equal(trail.count, 10);
        assert_int_equal(trail.entries[0].sequence, 5021);
        assert_int_equal(trail.entries[4].sequence, 5017);
        assert_string_equal(trail.entries[5].name, "n19");
        assert_string_equal(trail.entries[9].name, "n15");
        arena_done(&trail.arena);
        fixture_restart(fixture, 0);
    }
}

/* What a node writes about itself pushes nothing out that a person wrote. */
static void test_writes_of_nodes(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy trail;
    char patch[64];

    fixture->keep_audit = 4;
    fixture_restart(fixture, 0);
    make_node(fixture, 1);
    for (int i = 0; i < 50; i++) {
        struct call call;

        snprintf(patch, sizeof(patch), "{\"spec\":{\"bgp\":{\"asNumber\":%d}}}", i + 1);
        call_init(&call, WRITE_PATCH, KIND_NODE, "n1");
        call.write.actor = AUTH_NODE_USER "n1";
        call.write.patch = patch;
        call.write.patch_len = strlen(patch);
        call_run(fixture, &call);
        assert_int_equal(call.write.err.code, ERR_NONE);
        call_end(&call);
    }
    copy_trail(fixture, &trail);
    assert_int_equal(trail.count, 5);
    assert_string_equal(trail.entries[3].user, AUTH_NODE_USER "n1");
    assert_string_equal(trail.entries[4].user, "tester");
    arena_done(&trail.arena);
}

static void hand_out(struct fixture *fixture, int64_t time_ms, const char *what) {
    state_audit_repeated(
        fixture->state,
        &(struct audit_entry){.event = AUDIT_PASSWORDS, .time_ms = time_ms, .user = "u", .name = what}, what,
        strlen(what));
}

/* Equal ones within some minutes are one, on the disk as well. */
static void test_repeated(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy before, after;

    for (int i = 0; i < 1000; i++) {
        hand_out(fixture, 5000 + i, "a");
        if (i % 300 == 0) {
            flush(fixture);
        }
    }
    hand_out(fixture, 7000, "b");
    hand_out(fixture, 5000 + AUDIT_REPEAT_MS - 1, "a");
    hand_out(fixture, 5000 + AUDIT_REPEAT_MS, "a");
    flush(fixture);
    hand_out(fixture, 5001 + AUDIT_REPEAT_MS, "a");
    copy_trail(fixture, &before);
    assert_int_equal(before.count, 3);
    assert_int_equal(before.entries[2].count, 1001);
    assert_int_equal(before.entries[2].time_ms, 5000);
    assert_int_equal(before.entries[2].last_ms, 5000 + AUDIT_REPEAT_MS - 1);
    assert_string_equal(before.entries[1].name, "b");
    assert_int_equal(before.entries[1].count, 1);
    assert_int_equal(before.entries[0].count, 2);
    assert_int_equal(before.entries[0].time_ms, 5000 + AUDIT_REPEAT_MS);
    fixture_restart(fixture, 0);
    copy_trail(fixture, &after);
    assert_same_trail(&before, &after);
    assert_int_equal(after.entries[2].count, 1001);
    assert_int_equal(after.entries[2].last_ms, 5000 + AUDIT_REPEAT_MS - 1);
    arena_done(&after.arena);
    arena_done(&before.arena);
}

/* A database that is older than the trail: it begins with what the change log has, once. */
static void test_seeded_once(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy trail;
    struct err err = ERR_INIT;

    for (int i = 0; i < 5; i++) {
        make_node(fixture, i);
    }
    fixture_stop(fixture);
    assert_int_equal(store_open(&(struct store_options){.dir = fixture->dir}, &fixture->store, &err), 0);
    forget_trail(fixture->store);
    store_close(fixture->store);
    fixture->keep_audit = 3;
    fixture_start(fixture, 0);
    assert_int_equal(count_stored(fixture->store).count, 3);
    make_node(fixture, 5);
    fixture_restart(fixture, 0);
    copy_trail(fixture, &trail);
    assert_int_equal(trail.count, 3);
    assert_string_equal(trail.entries[0].name, "n5");
    assert_string_equal(trail.entries[1].name, "n4");
    assert_string_equal(trail.entries[1].verb, "create");
    assert_string_equal(trail.entries[1].user, "tester");
    assert_string_equal(trail.entries[1].resource, "nodes");
    assert_int_equal(trail.entries[1].after, 5);
    assert_string_equal(trail.entries[2].name, "n3");
    arena_done(&trail.arena);
}

/* What is done while the service is stopped is in it as well, behind what there was before. */
static void test_stopped_service(void **ptr) {
    struct fixture *fixture = *ptr;
    struct trail_copy trail;
    struct err err = ERR_INIT;
    char text[TOKEN_TEXT_MAX];
    struct token token;

    make_node(fixture, 1);
    make_node(fixture, 2);
    fixture_stop(fixture);
    assert_int_equal(store_open(&(struct store_options){.dir = fixture->dir}, &fixture->store, &err), 0);
    forget_trail(fixture->store); /* an old database */
    assert_int_equal(token_new(ROLE_ADMIN, NULL, NULL, 0, &token, text, &err), 0);
    assert_int_equal(state_store_token(fixture->store, NULL, &token, "local:me", &err), 0);
    assert_int_equal(state_drop_token(fixture->store, token.id, "local:me", &err), 0);
    assert_int_equal(state_drop_token(fixture->store, token.id, "local:me", &err), -1);
    store_close(fixture->store);
    fixture_start(fixture, 0);
    copy_trail(fixture, &trail);
    assert_int_equal(trail.count, 4);
    assert_int_equal(trail.entries[0].event, AUDIT_TOKEN);
    assert_string_equal(trail.entries[0].verb, "delete");
    assert_string_equal(trail.entries[1].verb, "create");
    assert_string_equal(trail.entries[1].user, "local:me");
    assert_string_equal(trail.entries[1].name, token.id);
    assert_string_equal(trail.entries[2].name, "n2");
    assert_string_equal(trail.entries[3].name, "n1");
    arena_done(&trail.arena);
}

/* Rows that cannot be read cost themselves only. */
static void test_damaged_rows(void **ptr) {
    struct fixture *fixture = *ptr;
    static const char *const ENTRIES[] = {"",
                                          "[]",
                                          "{\"event\":\"write\",\"after\":\"x\"}",
                                          "{}",
                                          "{\"event\":\"none\"}",
                                          "{\"event\":\"write\",\"more\":1}"};
    struct trail_copy trail;
    struct err err = ERR_INIT;

    make_node(fixture, 1);
    fixture_stop(fixture);
    assert_int_equal(store_open(&(struct store_options){.dir = fixture->dir}, &fixture->store, &err), 0);
    for (size_t i = 0; i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {
        const struct store_audit row = {
            .sequence = 10 + i, .entry = ENTRIES[i], .entry_len = strlen(ENTRIES[i])};

        assert_int_equal(
            store_commit(fixture->store, &(struct store_batch){.audit = &row, .audit_count = 1}, &err), 0);
    }
    store_close(fixture->store);
    fixture_start(fixture, 0);
    make_node(fixture, 2);
    copy_trail(fixture, &trail);
    assert_int_equal(trail.count, 2);
    assert_int_equal(trail.entries[0].sequence, 16);
    assert_int_equal(trail.entries[1].sequence, 1);
    arena_done(&trail.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_after_restart, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_on_disk_before_the_end, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_retention, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_writes_of_nodes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_repeated, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_seeded_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_stopped_service, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_rows, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("state audit", tests, fixture_libraries, NULL);
}
