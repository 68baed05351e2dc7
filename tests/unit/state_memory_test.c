/*
 * Memory runs out at every place where a commit asks for some, one after the other: a write is refused and
 * has changed nothing, or it is done and stays; nothing is half applied, and the service goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "state_fixture.h"

#define ALLOCATIONS_MAX 3000 /* none of the writes needs more */

struct attempt {
    enum write_op op;
    enum kind kind;
    const char *key;
    const char *body;
    const char
        *undo; /* the body that brings back what was; NULL: deleting, "": creating is undone by deleting */
};

static bool is_there(struct fixture *fixture, enum kind kind, const char *key, char *ret_json, size_t room) {
    struct picture *picture = state_picture(fixture->state);
    const struct record *record = snapshot_get(picture->snapshot, kind, key);

    snprintf(ret_json, room, "%s", record == NULL ? "" : record->json);
    picture_unref(picture);
    return ret_json[0] != '\0';
}

/* One write with the allocation after `successes` failing. Returns whether one failed at all. */
static bool try_once(struct fixture *fixture, const struct attempt *attempt, long successes) {
    char before[4096], after[4096];
    struct call call;

    (void)is_there(fixture, attempt->kind, attempt->key, before, sizeof(before));
    call_init(&call, attempt->op, attempt->kind, attempt->op == WRITE_CREATE ? NULL : attempt->key);
    if (attempt->op == WRITE_PATCH) {
        call.write.patch = attempt->body;
        call.write.patch_len = strlen(attempt->body);
    } else if (attempt->op != WRITE_DELETE) {
        call_body(&call, attempt->body);
    }
    base_alloc_fail_after(successes);
    call_run(fixture, &call);
    bool failed = base_alloc_failed();

    base_alloc_fail_after(-1);
    const enum err_code code = call.write.err.code;
    const bool there = is_there(fixture, attempt->kind, attempt->key, after, sizeof(after));

    if (code != ERR_NONE) {
        assert_true(failed && code == ERR_NO_MEMORY);
        assert_null(call.write.record);
        assert_string_equal(before, after);
    } else {
        assert_int_equal(there, attempt->op != WRITE_DELETE);
        assert_string_not_equal(before, after);
    }
    call_end(&call);
    if (code == ERR_NONE) { /* as it was, for the next time; this also shows that the service goes on */
        const enum write_op undo = attempt->op == WRITE_CREATE   ? WRITE_DELETE
                                   : attempt->op == WRITE_DELETE ? WRITE_CREATE
                                                                 : attempt->op;

        assert_int_equal(put(fixture, undo, attempt->kind, undo == WRITE_CREATE ? NULL : attempt->key,
                             undo == WRITE_DELETE ? NULL : attempt->undo, NULL),
                         ERR_NONE);
    }
    return failed;
}

static void test_every_allocation_of_a_commit_fails_once(void **ptr) {
    static const char NODE[] =
        "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.9/24\"}}}";
    static const char SECRET[] =
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"a\":\"one\",\"b\":\"two\"}}";
    static const struct attempt ATTEMPTS[] = {
        {WRITE_CREATE, KIND_NODE, "new",
         "{\"metadata\":{\"name\":\"new\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}", ""},
        {WRITE_PATCH, KIND_NODE, "n", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
         "{\"metadata\":{\"labels\":null}}"},
        {WRITE_DELETE, KIND_NODE, "n", NULL, NODE},
        {WRITE_PATCH, KIND_SECRET, "default/s", "{\"stringData\":{\"a\":\"three\",\"c\":\"four\"}}",
         "{\"stringData\":{\"a\":\"one\"},\"data\":{\"c\":null}}"},
        {WRITE_DELETE, KIND_SECRET, "default/s", NULL, SECRET},
    };
    struct fixture *fixture = *ptr;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET, NULL), ERR_NONE);
    for (size_t i = 0; i < sizeof(ATTEMPTS) / sizeof(ATTEMPTS[0]); i++) {
        long successes = 0;

        while (try_once(fixture, &ATTEMPTS[i], successes)) {
            assert_true(++successes < ALLOCATIONS_MAX);
        }
        print_message("write %zu: %ld allocations\n", i, successes);
        assert_true(successes > 10);
        char before[4096], after[4096];

        (void)is_there(fixture, ATTEMPTS[i].kind, ATTEMPTS[i].key, before, sizeof(before));
        fixture_restart(fixture, 0);
        (void)is_there(fixture, ATTEMPTS[i].kind, ATTEMPTS[i].key, after, sizeof(after));
        assert_string_equal(before, after); /* what was acknowledged is what was stored */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_allocation_of_a_commit_fails_once, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("state: memory", tests, fixture_libraries, NULL);
}
