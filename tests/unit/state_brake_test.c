/*
 * The brake and the freeze on the committer's thread: groups that share a transaction are judged one by one,
 * and what judging costs is counted in lists that are computed for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "state/brake.h"
#include "state_fixture.h"

#define MESH     40
#define SESSIONS (MESH * (MESH - 1))

static void node_json(size_t number, const char *more, char out[256]) {
    snprintf(out, 256,
             "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n%zu\"},\"spec\":{\"bgp\":{\"ipv4Address\":"
             "\"10.%zu.%zu.%zu\"%s}}}",
             number, number >> 16, number >> 8 & 255, number & 255, more);
}

static void make_nodes(struct fixture *fixture, size_t count) {
    for (size_t i = 1; i <= count; i++) {
        char json[256];
        node_json(i, "", json);
        assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, json, NULL), ERR_NONE);
    }
}

static uint64_t lists_computed(struct fixture *fixture) {
    struct state_figures figures;
    state_figures(fixture->state, &figures);
    return figures.brake_lists;
}

static uint64_t batches(struct fixture *fixture) {
    struct state_figures figures;
    state_figures(fixture->state, &figures);
    return histogram_count(&figures.batches);
}

static int brake_setup(void **ptr) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->brake_sessions = 50;
    fixture->brake_percent = 25;
    fixture_make_dir(fixture->dir);
    fixture_start(fixture, 0);
    make_nodes(fixture, MESH);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL,
                         "{\"kind\":\"BGPConfiguration\",\"metadata\":{\"name\":\"default\"},\"spec\":{}}",
                         NULL),
                     ERR_NONE);
    *ptr = fixture;
    return 0;
}

static void patch_init(struct call *call, enum kind kind, const char *key, const char *patch) {
    call_init(call, WRITE_PATCH, kind, key);
    call->write.patch = patch;
    call->write.patch_len = strlen(patch);
}

static const char OTHER_AS[] = "{\"spec\":{\"asNumber\":65000}}";

/* ---- what judging costs ---- */

static void test_what_disrupts_little_costs_nothing(void **ptr) {
    struct fixture *fixture = *ptr;
    char json[256];
    assert_int_equal(lists_computed(fixture), 0); /* a mesh was built: each node is in all lists */
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_NODE, "n1", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", NULL),
        ERR_NONE);
    node_json(MESH + 1, "", json);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, json, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL,
                         "{\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"tor\"},\"spec\":{\"node\":\"n1\","
                         "\"peerIP\":\"192.0.2.1\",\"asNumber\":65000}}",
                         NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "tor", NULL, NULL), ERR_NONE);
    assert_int_equal(lists_computed(fixture), 0);
}

static void test_what_touches_many_lists_of_a_node_looks_at_few(void **ptr) {
    struct fixture *fixture = *ptr;
    /* Its own 39 sessions, and one in each of 39 lists: of 1,560 that is plain after eight lists more. */
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_NODE, "n1", "{\"spec\":{\"bgp\":{\"asNumber\":65001}}}", NULL),
        ERR_NONE);
    assert_in_range(lists_computed(fixture), 1, 10);
}

static void test_what_may_disrupt_much_is_counted_once(void **ptr) {
    struct fixture *fixture = *ptr;
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_BGPCONFIGURATION, "default", OTHER_AS, NULL),
                     ERR_TOO_DISRUPTIVE);
    /* Two sessions' worth of lists to see that they are not few, then each node's before and after. */
    assert_in_range(lists_computed(fixture), 2 * MESH, 2 * MESH + 2);
}

/* A mesh of so many nodes that comparing all of it would keep the others waiting. */
static void test_counting_is_bounded(void **ptr) {
    struct fixture *fixture = *ptr;
    enum { COUNT = 1200 };
    struct call *calls = calloc(COUNT, sizeof *calls);
    assert_non_null(calls);
    for (size_t i = 0; i < COUNT; i++) {
        char json[256];
        node_json(MESH + 1 + i, "", json);
        call_init(&calls[i], WRITE_CREATE, KIND_NODE, NULL);
        call_body(&calls[i], json);
        calls[i].write.also = i + 1 < COUNT ? &calls[i + 1].write : NULL;
    }
    call_run(fixture, &calls[0]);
    assert_int_equal(calls[0].write.err.code, ERR_NONE);
    for (size_t i = 0; i < COUNT; i++) {
        call_end(&calls[i]);
    }
    free(calls);
    uint64_t before = lists_computed(fixture);
    assert_true(before <= 3 * MESH); /* new nodes have nothing to lose */

    struct call call;
    patch_init(&call, KIND_BGPCONFIGURATION, "default", OTHER_AS);
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_TOO_DISRUPTIVE);
    assert_non_null(strstr(call.write.err.text, "about 1536360 of the fleet's 1536360 sessions"));
    assert_non_null(strstr(call.write.err.text, "(100 %"));
    assert_true(lists_computed(fixture) - before < BRAKE_COMPARED_MAX / (COUNT + MESH - 1) + 10);
    call_end(&call);
}

/* ---- who is judged ---- */

/* Holds the committer until it is let go. */
struct hold {
    struct call call;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool held, go;
};

static void hold_done(struct write *write) {
    struct hold *hold = write->arg;
    pthread_mutex_lock(&hold->lock);
    hold->held = true;
    pthread_cond_broadcast(&hold->cond);
    while (!hold->go) {
        pthread_cond_wait(&hold->cond, &hold->lock);
    }
    pthread_mutex_unlock(&hold->lock);
}

static void hold_start(struct fixture *fixture, struct hold *hold) {
    struct err err = ERR_INIT;
    memset(hold, 0, sizeof *hold);
    pthread_mutex_init(&hold->lock, NULL);
    pthread_cond_init(&hold->cond, NULL);
    call_init(&hold->call, WRITE_DELETE, KIND_BGPPEER, "nobody");
    hold->call.write.done = hold_done;
    hold->call.write.arg = hold;
    assert_int_equal(state_submit(fixture->state, &hold->call.write, &err), 0);
    pthread_mutex_lock(&hold->lock);
    while (!hold->held) {
        pthread_cond_wait(&hold->cond, &hold->lock);
    }
    pthread_mutex_unlock(&hold->lock);
}

static void hold_end(struct hold *hold) {
    pthread_mutex_lock(&hold->lock);
    hold->go = true;
    pthread_cond_broadcast(&hold->cond);
    pthread_mutex_unlock(&hold->lock);
}

static void submit(struct fixture *fixture, struct call *call) {
    struct err err = ERR_INIT;
    assert_int_equal(state_submit(fixture->state, &call->write, &err), 0);
}

static void test_each_of_a_batch_is_judged_by_itself(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call calls[6];
    struct hold hold;
    const struct {
        enum kind kind;
        const char *key, *patch;
        enum err_code code;
    } WRITES[] = {
        /* The router ID of a node is in its own 39 sessions; four of them would be more than 50. */
        {KIND_NODE, "n1", "{\"spec\":{\"bgp\":{\"routerID\":\"203.0.113.1\"}}}", ERR_NONE},
        {KIND_NODE, "n2", "{\"spec\":{\"bgp\":{\"routerID\":\"203.0.113.2\"}}}", ERR_NONE},
        {KIND_BGPCONFIGURATION, "default", OTHER_AS, ERR_TOO_DISRUPTIVE},
        {KIND_NODE, "n3", "{\"spec\":{\"bgp\":{\"routerID\":\"203.0.113.3\"}}}", ERR_NONE},
        {KIND_BGPCONFIGURATION, "default", "{\"spec\":{\"listenPort\":1790}}", ERR_TOO_DISRUPTIVE},
        {KIND_BGPCONFIGURATION, "default", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", ERR_NONE},
    };
    uint64_t earlier = batches(fixture);
    hold_start(fixture, &hold);
    for (size_t i = 0; i < 6; i++) {
        patch_init(&calls[i], WRITES[i].kind, WRITES[i].key, WRITES[i].patch);
        submit(fixture, &calls[i]);
    }
    hold_end(&hold);
    uint64_t revision = 0;
    for (size_t i = 0; i < 6; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].write.err.code, WRITES[i].code);
        assert_true((calls[i].write.record == NULL) == (WRITES[i].code != ERR_NONE));
        if (calls[i].write.record != NULL) {
            assert_true(revision == 0 || calls[i].write.record->revision == revision + 1);
            revision = calls[i].write.record->revision;
        }
    }
    assert_int_equal(batches(fixture), earlier + 1); /* they did share a transaction */
    assert_null(strstr(calls[5].write.record->json, "65000"));
    assert_null(strstr(calls[5].write.record->json, "1790"));
    for (size_t i = 0; i < 6; i++) {
        call_end(&calls[i]);
    }
    call_end(&hold.call);
}

/* What a forced neighbour has done is what the next one is judged from: the second of these does nothing. */
static void test_a_write_is_judged_after_those_before_it(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call calls[3];
    struct hold hold;
    hold_start(fixture, &hold);
    patch_init(&calls[0], KIND_BGPCONFIGURATION, "default", OTHER_AS);
    calls[0].write.force = calls[0].write.may_force = FORCE_DISRUPTIVE;
    patch_init(&calls[1], KIND_BGPCONFIGURATION, "default",
               "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"asNumber\":65000}}");
    patch_init(&calls[2], KIND_BGPCONFIGURATION, "default", "{\"spec\":{\"asNumber\":null}}");
    for (size_t i = 0; i < 3; i++) {
        submit(fixture, &calls[i]);
    }
    hold_end(&hold);
    for (size_t i = 0; i < 3; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].write.err.code, i < 2 ? ERR_NONE : ERR_TOO_DISRUPTIVE);
        call_end(&calls[i]);
    }
    call_end(&hold.call);
}

static void test_a_group_is_judged_as_one(void **ptr) {
    struct fixture *fixture = *ptr;
    enum { GROUP = 8 };
    struct call calls[GROUP];
    char keys[GROUP][16];
    struct picture *before = state_picture(fixture->state);
    for (int force = 0; force < 2; force++) {
        for (size_t i = 0; i < GROUP; i++) {
            snprintf(keys[i], sizeof keys[i], "n%zu", i + 1);
            call_init(&calls[i], WRITE_DELETE, KIND_NODE, keys[i]);
            calls[i].write.also = i + 1 < GROUP ? &calls[i + 1].write : NULL;
        }
        calls[GROUP - 1].write.force = force == 0 ? 0 : FORCE_DISRUPTIVE; /* of any of them is of all */
        calls[0].write.may_force = FORCE_DISRUPTIVE;
        call_run(fixture, &calls[0]);
        assert_int_equal(calls[0].write.err.code, force == 0 ? ERR_TOO_DISRUPTIVE : ERR_NONE);
        assert_string_equal(force == 0 ? "disruptive" : write_forced(&calls[0].write), "disruptive");
        struct picture *after = state_picture(fixture->state);
        assert_int_equal(snapshot_count(after->snapshot, KIND_NODE), force == 0 ? MESH : MESH - GROUP);
        assert_true((before == after) == (force == 0));
        picture_unref(after);
        for (size_t i = 0; i < GROUP; i++) {
            call_end(&calls[i]);
        }
    }
    picture_unref(before);
}

/* ---- the freeze ---- */

static void test_a_freeze_is_kept(void **ptr) {
    struct fixture *fixture = *ptr;
    struct freeze shown;
    assert_int_equal(fixture_freeze(fixture, false, "somebody", INT64_C(4102444800000)), ERR_NONE);
    assert_int_equal(fixture_freeze(fixture, false, "another", 0), ERR_FORBIDDEN);
    assert_int_equal(fixture_freeze(fixture, true, "another", 0), ERR_FORBIDDEN);
    fixture_restart(fixture, 0);
    state_freeze(fixture->state, &shown);
    assert_true(shown.on);
    assert_string_equal(shown.reason, "a \"quoted\" reason");
    assert_string_equal(shown.user, "somebody");
    assert_true(shown.until_ms == INT64_C(4102444800000) && shown.since_ms <= clock_realtime_ms());
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n1", NULL, NULL), ERR_FROZEN);
    assert_int_equal(fixture_freeze(fixture, true, "somebody", 0), ERR_NONE);
    fixture_restart(fixture, 0);
    state_freeze(fixture->state, &shown);
    assert_false(shown.on);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n1", NULL, NULL), ERR_NONE);
}

static void test_a_freeze_that_is_over_is_none(void **ptr) {
    struct fixture *fixture = *ptr;
    struct freeze shown;
    assert_int_equal(fixture_freeze(fixture, false, "somebody", 1), ERR_NONE);
    state_freeze(fixture->state, &shown);
    assert_false(shown.on);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n1", NULL, NULL), ERR_NONE);
    assert_int_equal(fixture_freeze(fixture, false, "another", 0), ERR_NONE); /* it is nobody's any more */
}

/* Whoever set it wanted nothing to change. */
static void test_a_freeze_that_cannot_be_read_holds(void **ptr) {
    struct fixture *fixture = *ptr;
    const struct store_setting setting = {.name = "freeze/current", .value = "{", .value_len = 1};
    struct err err = ERR_INIT;
    fixture_stop(fixture);
    struct store_options options = {.dir = fixture->dir};
    struct store *store;
    assert_int_equal(store_open(&options, &store, &err), 0);
    assert_int_equal(
        store_commit(store, &(struct store_batch){.settings = &setting, .setting_count = 1}, &err), 0);
    store_close(store);
    fixture_start(fixture, 0);
    struct freeze shown;
    state_freeze(fixture->state, &shown);
    assert_true(shown.on);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n1", NULL, NULL), ERR_FROZEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_disrupts_little_costs_nothing, brake_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_touches_many_lists_of_a_node_looks_at_few, brake_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_may_disrupt_much_is_counted_once, brake_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_counting_is_bounded, brake_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_each_of_a_batch_is_judged_by_itself, brake_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_write_is_judged_after_those_before_it, brake_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_group_is_judged_as_one, brake_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_freeze_is_kept, brake_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_freeze_that_is_over_is_none, brake_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_freeze_that_cannot_be_read_holds, brake_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("state: brake and freeze", tests, fixture_libraries, NULL);
}
