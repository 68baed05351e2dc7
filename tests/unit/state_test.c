/*
 * State through its public face: writes with their preconditions, all-or-nothing groups, dry runs and
 * previews, cached lists and parked polls, history for watches, and what a restart brings back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_fixture.h"

#define NODE(name, address)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"" address "/24\"}}}"
#define NO_MESH "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}"
#define RACK_A  "{\"metadata\":{\"labels\":{\"rack\":\"a\"}}}"
#define PEER(name, node, ip)                                                                                 \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"node\":\"" node "\",\"peerIP\":\"" ip                 \
    "\",\"asNumber\":65001}}"

static void test_create_get_replace_delete(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *picture;
    const struct record *record;
    uint64_t created, replaced, same, deleted;
    char uid[64];

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), &created),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_ALREADY_EXISTS);
    picture = state_picture(fixture->state);
    record = snapshot_get(picture->snapshot, KIND_BGPPEER, "p");
    assert_non_null(record);
    assert_int_equal(record->object->meta.generation, 1);
    snprintf(uid, sizeof uid, "%s", record->object->meta.uid);
    picture_unref(picture);

    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_BGPPEER, "p", PEER("p", "n1", "192.0.2.2"), &replaced),
                     ERR_NONE);
    assert_true(replaced > created);
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_BGPPEER, "p", PEER("p", "n1", "192.0.2.2"), &same),
                     ERR_NONE);
    assert_int_equal(same, replaced);
    picture = state_picture(fixture->state);
    record = snapshot_get(picture->snapshot, KIND_BGPPEER, "p");
    assert_int_equal(record->object->meta.generation, 2);
    assert_string_equal(record->object->meta.uid, uid);
    picture_unref(picture);

    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "p", NULL, &deleted), ERR_NONE);
    assert_true(deleted > replaced);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "p", NULL, NULL), ERR_NOT_FOUND);
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_BGPPEER, "p", PEER("p", "n1", "192.0.2.2"), NULL),
                     ERR_NOT_FOUND);
}

static void test_labels_do_not_move_generation(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *picture;
    uint64_t labelled, observed;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_NODE, "n", RACK_A, &labelled), ERR_NONE);
    /* Nor does what is observed. */
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_NODE, "n", "{\"status\":{\"podCIDRs\":[\"10.1.0.0/24\"]}}", &observed),
        ERR_NONE);
    assert_true(observed > labelled);
    picture = state_picture(fixture->state);
    assert_int_equal(snapshot_get(picture->snapshot, KIND_NODE, "n")->object->meta.generation, 1);
    picture_unref(picture);
}

static void test_preconditions(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call call;
    uint64_t revision;
    char version[24];

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), &revision),
                     ERR_NONE);
    call_init(&call, WRITE_REPLACE, KIND_BGPPEER, "p");
    call_body(&call, PEER("p", "n1", "192.0.2.9"));
    call.write.if_version = revision + 100;
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_CONFLICT);
    call_end(&call);

    call_init(&call, WRITE_DELETE, KIND_BGPPEER, "p");
    call.write.if_uid = "00000000-0000-4000-8000-000000000000";
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_CONFLICT);
    call_end(&call);

    call_init(&call, WRITE_DELETE, KIND_BGPPEER, "p");
    call.write.if_match = "999999";
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_PRECONDITION_FAILED);
    call_end(&call);

    assert_int_equal(put(fixture, WRITE_PATCH, KIND_BGPPEER, "p",
                         "{\"metadata\":{\"resourceVersion\":\"999\"},\"spec\":{\"asNumber\":65002}}", NULL),
                     ERR_CONFLICT);

    snprintf(version, sizeof version, "%llu", (unsigned long long)revision);
    call_init(&call, WRITE_DELETE, KIND_BGPPEER, "p");
    call.write.if_match = version;
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    call_end(&call);
}

static void test_patch_is_validated(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call call;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    call_init(&call, WRITE_PATCH, KIND_BGPPEER, "p");
    call.write.patch = "{\"spec\":{\"nodeSelector\":\"all()\",\"peerIP\":\"300.1.1.1\"}}";
    call.write.patch_len = strlen(call.write.patch);
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_INVALID);
    assert_true(call.write.causes.count >= 2);
    call_end(&call);
}

static void test_dry_run_and_generate_name(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *picture;
    struct call call;

    call_init(&call, WRITE_CREATE, KIND_BGPPEER, NULL);
    call_body(&call, "{\"metadata\":{\"generateName\":\"tor-\"},\"spec\":{\"peerIP\":\"192.0.2.1\"}}");
    call.write.dry_run = true;
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    assert_int_equal(strlen(call.write.record->object->meta.name), strlen("tor-") + 5);
    call_end(&call);
    picture = state_picture(fixture->state);
    assert_int_equal(snapshot_count(picture->snapshot, KIND_BGPPEER), 0);
    assert_int_equal(snapshot_revision(picture->snapshot), 0);
    picture_unref(picture);
}

static void test_group_is_all_or_nothing(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *picture;
    struct call first, second;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n2", "10.0.0.2"), NULL), ERR_NONE);
    call_init(&first, WRITE_CREATE, KIND_NODE, NULL);
    call_body(&first, NODE("n1", "10.0.0.1"));
    call_init(&second, WRITE_CREATE, KIND_NODE, NULL);
    call_body(&second, NODE("n2", "10.0.0.2"));
    first.write.also = &second.write;
    call_run(fixture, &first);
    assert_int_equal(first.write.err.code, ERR_ALREADY_EXISTS);
    assert_null(first.write.record);
    picture = state_picture(fixture->state);
    assert_null(snapshot_get(picture->snapshot, KIND_NODE, "n1"));
    picture_unref(picture);
    call_end(&first);
    call_end(&second);
}

static void test_preview_changes_nothing(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *before, *after, *now;
    struct node_set *affected;
    struct err err = ERR_INIT;
    struct call call;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n2", "10.0.0.2"), NULL), ERR_NONE);
    call_init(&call, WRITE_CREATE, KIND_BGPPEER, NULL);
    call_body(&call, PEER("p", "n1", "192.0.2.1"));
    assert_int_equal(state_preview(fixture->state, &call.write, &before, &after, &affected, &err), 0);
    assert_null(snapshot_get(before->snapshot, KIND_BGPPEER, "p"));
    assert_non_null(snapshot_get(after->snapshot, KIND_BGPPEER, "p"));
    assert_int_equal(node_set_count(affected), 1);
    now = state_picture(fixture->state);
    assert_null(snapshot_get(now->snapshot, KIND_BGPPEER, "p"));
    picture_unref(now);
    picture_unref(before);
    picture_unref(after);
    node_set_free(affected);
    call_end(&call);
}

static void test_unrelated_change_keeps_list(void **ptr) {
    struct fixture *fixture = *ptr;
    struct node_list *first, *second, *third;
    struct err err = ERR_INIT;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL, NO_MESH, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n2", "10.0.0.2"), NULL), ERR_NONE);
    first = get_list(fixture, "n1");
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n2", "192.0.2.1"), NULL),
                     ERR_NONE);
    second = get_list(fixture, "n1");
    assert_ptr_equal(first, second);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("q", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    third = get_list(fixture, "n1");
    assert_string_not_equal(first->etag, third->etag);
    assert_true(third->resource_version > first->resource_version);
    node_list_unref(first);
    node_list_unref(second);
    node_list_unref(third);
    assert_int_equal(state_node_list(fixture->state, "nobody", &first, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_removal_raises_list_version(void **ptr) {
    struct fixture *fixture = *ptr;
    struct node_list *with, *without;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    with = get_list(fixture, "n1");
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "p", NULL, NULL), ERR_NONE);
    without = get_list(fixture, "n1");
    assert_true(without->resource_version > with->resource_version);
    node_list_unref(with);
    node_list_unref(without);
}

struct waiter {
    struct parked parked;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

static void waiter_wake(struct parked *parked) {
    struct waiter *waiter = parked->arg;

    pthread_mutex_lock(&waiter->lock);
    waiter->woken = true;
    pthread_cond_signal(&waiter->cond);
    pthread_mutex_unlock(&waiter->lock);
}

static void waiter_park(struct fixture *fixture, struct waiter *waiter, const char *node) {
    struct node_list *list = get_list(fixture, node);
    struct err err = ERR_INIT;
    bool changed;

    memset(waiter, 0, sizeof *waiter);
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->cond, NULL);
    waiter->parked.wake = waiter_wake;
    waiter->parked.arg = waiter;
    memcpy(waiter->parked.etag, list->etag, sizeof list->etag);
    node_list_unref(list);
    assert_int_equal(state_park(fixture->state, node, &waiter->parked, &changed, &err), 0);
    assert_false(changed);
}

static void waiter_wait(struct waiter *waiter) {
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->woken) {
        pthread_cond_wait(&waiter->cond, &waiter->lock);
    }
    pthread_mutex_unlock(&waiter->lock);
}

static void test_parked_polls(void **ptr) {
    struct fixture *fixture = *ptr;
    struct waiter here, elsewhere, gone;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL, NO_MESH, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n2", "10.0.0.2"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n3", "10.0.0.3"), NULL), ERR_NONE);
    waiter_park(fixture, &here, "n1");
    waiter_park(fixture, &elsewhere, "n2");
    waiter_park(fixture, &gone, "n3");
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    waiter_wait(&here);
    assert_false(state_unpark(fixture->state, &here.parked));
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n3", NULL, NULL), ERR_NONE);
    waiter_wait(&gone);
    assert_true(state_unpark(fixture->state, &elsewhere.parked));
    assert_false(elsewhere.woken);
}

/* Holds the notifier's thread until it is let go. */
struct gate {
    struct waiter waiter;
    pthread_cond_t opened;
    bool open;
};

static void gate_wake(struct parked *parked) {
    struct gate *gate = parked->arg;

    pthread_mutex_lock(&gate->waiter.lock);
    gate->waiter.woken = true;
    pthread_cond_signal(&gate->waiter.cond);
    while (!gate->open) {
        pthread_cond_wait(&gate->opened, &gate->waiter.lock);
    }
    pthread_mutex_unlock(&gate->waiter.lock);
}

/* A node's place among the lists goes to the next new node. A poll of a node that was deleted and made anew
 * meanwhile, with the same list, must not be left waiting at its former place. */
static void test_a_node_made_anew_keeps_its_polls(void **ptr) {
    struct fixture *fixture = *ptr;
    struct gate gate = {.open = false};
    struct waiter waiter, again;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL, NO_MESH, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("gate", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n", "10.0.0.2"), NULL), ERR_NONE);
    waiter_park(fixture, &gate.waiter, "gate");
    pthread_cond_init(&gate.opened, NULL);
    gate.waiter.parked.wake = gate_wake;
    gate.waiter.parked.arg = &gate;
    waiter_park(fixture, &waiter, "n");
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "gate", "192.0.2.1"), NULL),
                     ERR_NONE);
    waiter_wait(&gate.waiter);

    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "n", NULL, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("other", "10.0.0.3"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n", "10.0.0.2"), NULL), ERR_NONE);
    pthread_mutex_lock(&gate.waiter.lock);
    gate.open = true;
    pthread_cond_signal(&gate.opened);
    pthread_mutex_unlock(&gate.waiter.lock);

    /* Woken for nothing; it waits again, at the new place, and is woken by its change. */
    waiter_wait(&waiter);
    waiter_park(fixture, &again, "n");
    assert_string_equal(again.parked.etag, waiter.parked.etag);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("q", "n", "192.0.2.1"), NULL),
                     ERR_NONE);
    waiter_wait(&again);
    pthread_cond_destroy(&gate.opened);
}

static void count_wake(struct watcher *watcher) {
    *(volatile int *)watcher->arg += 1;
}

static void release_events(struct state_event *events, size_t count) {
    for (size_t i = 0; i < count; i++) {
        record_unref(events[i].before);
        record_unref(events[i].after);
    }
}

static void test_history_and_watchers(void **ptr) {
    struct fixture *fixture = *ptr;
    struct state_event events[8];
    struct err err = ERR_INIT;
    volatile int wakes = 0;
    struct watcher watcher = {.kind = KIND_BGPPEER, .wake = count_wake, .arg = (void *)&wakes};
    uint64_t upto, revision;
    size_t count;
    bool ready;

    state_watch_arm(fixture->state, &watcher, 0, &ready);
    assert_false(ready);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(wakes, 0);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_BGPPEER, "p", PEER("p", "n1", "192.0.2.2"), NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "p", NULL, &revision), ERR_NONE);
    assert_int_equal(wakes, 1); /* once per arming, before the first of these writes was answered */
    assert_false(state_watch_disarm(fixture->state, &watcher));
    state_watch_arm(fixture->state, &watcher, 0, &ready);
    assert_true(ready);
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, 0, events, 8, &count, &upto, &err), 0);
    assert_int_equal(count, 3);
    assert_int_equal(events[0].op, STORE_CREATE);
    assert_int_equal(events[1].op, STORE_UPDATE);
    assert_non_null(events[1].before);
    assert_int_equal(events[2].op, STORE_DELETE);
    assert_int_equal(events[2].after->revision, revision);
    assert_int_equal(upto, revision);
    release_events(events, count);
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, 0, events, 2, &count, &upto, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(upto, events[1].revision);
    release_events(events, count);
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, upto, events, 8, &count, &upto, &err), 0);
    assert_int_equal(count, 1);
    release_events(events, count);
    state_watch_arm(fixture->state, &watcher, upto, &ready);
    assert_false(ready);
    assert_true(state_watch_disarm(fixture->state, &watcher));
}

static void test_restart_brings_back_everything(void **ptr) {
    struct fixture *fixture = *ptr;
    struct state_event events[8];
    struct err err = ERR_INIT;
    struct node_list *before, *after;
    struct picture *picture;
    uint64_t revision, upto;
    size_t count;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("n1", "10.0.0.1"), NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("q", "n9", "192.0.2.1"), NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "q", NULL, &revision), ERR_NONE);
    before = get_list(fixture, "n1");
    fixture_stop(fixture);
    fixture_start(fixture, 0);
    picture = state_picture(fixture->state);
    assert_int_equal(snapshot_revision(picture->snapshot), revision);
    assert_null(snapshot_get(picture->snapshot, KIND_BGPPEER, "q"));
    picture_unref(picture);
    after = get_list(fixture, "n1");
    assert_string_equal(before->etag, after->etag);
    assert_string_equal(before->json, after->json);
    node_list_unref(before);
    node_list_unref(after);
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, 0, events, 8, &count, &upto, &err), 0);
    assert_int_equal(count, 3);
    release_events(events, count);
}

static void test_history_expires(void **ptr) {
    struct fixture *fixture = *ptr;
    struct state_event events[1];
    struct err err = ERR_INIT;
    uint64_t upto;
    size_t count;

    fixture_stop(fixture);
    fixture_start(fixture, 3);
    for (int i = 0; i < 5; i++) {
        struct call call;

        call_init(&call, WRITE_CREATE, KIND_BGPPEER, NULL);
        call_body(&call, "{\"metadata\":{\"generateName\":\"p-\"},\"spec\":{\"peerIP\":\"192.0.2.1\"}}");
        call_run(fixture, &call);
        assert_int_equal(call.write.err.code, ERR_NONE);
        call_end(&call);
    }
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, 1, events, 1, &count, &upto, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    assert_int_equal(state_events(fixture->state, KIND_BGPPEER, 2, events, 1, &count, &upto, &err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(events[0].revision, 3);
    release_events(events, count);
}

struct racer {
    struct fixture *fixture;
    uint64_t revision;
    unsigned index;
    bool won;
};

static void *race(void *arg) {
    struct racer *racer = arg;
    struct call call;
    char body[256];

    call_init(&call, WRITE_REPLACE, KIND_BGPPEER, "p");
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"p\",\"resourceVersion\":\"%llu\"},"
             "\"spec\":{\"peerIP\":\"192.0.2.%u\",\"asNumber\":65001}}",
             (unsigned long long)racer->revision, racer->index + 2);
    call_body(&call, body);
    call_run(racer->fixture, &call);
    racer->won = call.write.err.code == ERR_NONE;
    if (!racer->won && call.write.err.code != ERR_CONFLICT) {
        fail_msg("unexpected: %s", call.write.err.text);
    }
    call_end(&call);
    return NULL;
}

/* However many write on top of one version, one of them succeeds. */
static void test_racing_writers(void **ptr) {
    enum { RACERS = 16 };
    struct fixture *fixture = *ptr;
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    uint64_t revision;
    int won = 0;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("p", "n1", "192.0.2.1"), &revision),
                     ERR_NONE);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.fixture = fixture, .revision = revision, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].won ? 1 : 0;
    }
    assert_int_equal(won, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_get_replace_delete, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_labels_do_not_move_generation, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_preconditions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_patch_is_validated, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_dry_run_and_generate_name, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_group_is_all_or_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_preview_changes_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unrelated_change_keeps_list, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_removal_raises_list_version, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_parked_polls, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_node_made_anew_keeps_its_polls, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_history_and_watchers, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_restart_brings_back_everything, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_history_expires, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_racing_writers, fixture_setup, fixture_teardown),
    };

    if (fixture_libraries(NULL) < 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
