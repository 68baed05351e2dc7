/*
 * State's figures: each write counts once, under what became of it; the sums over the nodes' lists follow the
 * lists, also when nodes go and their slots are used again.
 */
#include <string.h>

#include "state_fixture.h"

#define NODE(name, address)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"" address "/24\"}}}"
#define NO_MESH "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}"
#define PEER(name, node, ip)                                                                                 \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"node\":\"" node "\",\"peerIP\":\"" ip                 \
    "\",\"asNumber\":65001}}"
#define PEER_WITH_PASSWORD(name, node, ip)                                                                   \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"node\":\"" node "\",\"peerIP\":\"" ip                 \
    "\",\"asNumber\":65001,\"password\":{\"secretKeyRef\":{\"name\":\"bgp\",\"key\":\"a\"}}}}"

static struct state_figures figures_of(struct fixture *fixture) {
    struct state_figures figures;

    state_figures(fixture->state, &figures);
    return figures;
}

static void ask_list(struct fixture *fixture, const char *node) {
    node_list_unref(get_list(fixture, node));
}

static void must_put(struct fixture *fixture, enum write_op op, enum kind kind, const char *key,
                     const char *json) {
    assert_int_equal(put(fixture, op, kind, key, json, NULL), ERR_NONE);
}

static void test_writes_count_once(void **ptr) {
    struct fixture *fixture = *ptr;
    struct state_figures figures = figures_of(fixture);
    struct call call, more;

    assert_true(figures.writable);
    assert_int_equal(figures.revision, 0);
    must_put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a", "10.0.0.1"));
    assert_int_equal(figures_of(fixture).queued, 0); /* also what state has asked of itself at the start */
    must_put(fixture, WRITE_REPLACE, KIND_NODE, "a", NODE("a", "10.0.0.1"));
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a", "10.0.0.1"), NULL),
                     ERR_ALREADY_EXISTS);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_NODE, "b", NULL, NULL), ERR_NOT_FOUND);
    call_init(&call, WRITE_DELETE, KIND_NODE, "a");
    call.write.dry_run = true;
    call_run(fixture, &call);
    call_end(&call);
    /* A group is one write and two changes, in one transaction. */
    call_init(&call, WRITE_CREATE, KIND_NODE, NULL);
    call_body(&call, NODE("c", "10.0.0.3"));
    call_init(&more, WRITE_PATCH, KIND_NODE, "a");
    more.write.patch = "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}";
    more.write.patch_len = strlen(more.write.patch);
    call.write.also = &more.write;
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    call_end(&call);
    call_end(&more);
    must_put(fixture, WRITE_DELETE, KIND_NODE, "c", NULL);

    figures = figures_of(fixture);
    assert_int_equal(figures.writes[WRITE_STORED], 3);
    assert_int_equal(figures.writes[WRITE_UNCHANGED], 1);
    assert_int_equal(figures.writes[WRITE_DRY], 1);
    assert_int_equal(figures.writes[WRITE_REFUSED], 2);
    assert_int_equal(figures.writes[WRITE_FAILED], 0);
    assert_int_equal(figures.changes[STORE_CREATE], 2);
    assert_int_equal(figures.changes[STORE_UPDATE], 1);
    assert_int_equal(figures.changes[STORE_DELETE], 1);
    assert_int_equal(figures.batches.sum, 4);
    assert_int_equal(histogram_count(&figures.batches), 3);
    assert_int_equal(figures.objects[KIND_NODE], 1);
    assert_int_equal(figures.objects[KIND_BGPPEER], 0);
    assert_int_equal(figures.revision, 4);
    assert_true(histogram_count(&figures.store.commits) >= 3);
    assert_true(figures.has_vault);
    assert_int_equal(figures.data_keys, 1);
    assert_true(figures.data_key_created_ms > 0);
}

static void test_sums_follow_the_lists(void **ptr) {
    struct fixture *fixture = *ptr;
    struct state_figures figures;

    must_put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL, NO_MESH);
    must_put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a", "10.0.0.1"));
    must_put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("b", "10.0.0.2"));
    must_put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("a1", "a", "192.0.2.1"));
    must_put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER_WITH_PASSWORD("a2", "a", "192.0.2.2"));
    must_put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("b1", "b", "192.0.2.3"));
    assert_int_equal(figures_of(fixture).lists, 0); /* nobody has asked */
    ask_list(fixture, "a");
    ask_list(fixture, "a"); /* kept */
    ask_list(fixture, "b");
    figures = figures_of(fixture);
    assert_int_equal(histogram_count(&figures.list_computes), 2);
    assert_int_equal(figures.lists, 2);
    assert_int_equal(figures.sessions, 3);
    assert_int_equal(figures.sessions_withheld, 1);
    assert_int_equal(figures.lists_with_problems, 1);

    must_put(fixture, WRITE_CREATE, KIND_SECRET, NULL,
             "{\"metadata\":{\"name\":\"bgp\"},\"stringData\":{\"a\":\"one\"}}");
    ask_list(fixture, "a");
    figures = figures_of(fixture);
    assert_int_equal(figures.sessions, 3);
    assert_int_equal(figures.sessions_withheld, 0);
    assert_int_equal(figures.lists_with_problems, 0);
    must_put(fixture, WRITE_DELETE, KIND_BGPPEER, "a1", NULL);
    ask_list(fixture, "a");
    assert_int_equal(figures_of(fixture).sessions, 2);
}

static void test_sums_forget_nodes_that_are_gone(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call call, more;
    struct state_figures figures;

    must_put(fixture, WRITE_CREATE, KIND_BGPCONFIGURATION, NULL, NO_MESH);
    must_put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, PEER("a1", "a", "192.0.2.1"));
    for (int i = 0; i < 3; i++) {
        must_put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a", "10.0.0.1"));
        ask_list(fixture, "a");
        assert_int_equal(figures_of(fixture).lists, 1);
        assert_int_equal(figures_of(fixture).sessions, 1);
        must_put(fixture, WRITE_DELETE, KIND_NODE, "a", NULL);
        assert_int_equal(figures_of(fixture).lists, 0);
        assert_int_equal(figures_of(fixture).sessions, 0);
    }
    /* Deleted and made anew in one change. */
    must_put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("a", "10.0.0.1"));
    ask_list(fixture, "a");
    call_init(&call, WRITE_DELETE, KIND_NODE, "a");
    call_init(&more, WRITE_CREATE, KIND_NODE, NULL);
    call_body(&more, NODE("a", "10.0.0.9"));
    call.write.also = &more.write;
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    call_end(&call);
    call_end(&more);
    ask_list(fixture, "a");
    figures = figures_of(fixture);
    assert_int_equal(figures.lists, 1);
    assert_int_equal(figures.sessions, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writes_count_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sums_follow_the_lists, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sums_forget_nodes_that_are_gone, fixture_setup,
                                        fixture_teardown),
    };

    return fixture_libraries(NULL) < 0 ? 1 : cmocka_run_group_tests_name("state: figures", tests, NULL, NULL);
}
