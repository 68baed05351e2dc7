/*
 * The index: slots, who is affected by which change (and who is not), what happens when memory is out, and
 * what a change costs in a large fleet.
 */
#include "peering_fixture.h"

#include "base/alloc.h"
#include "base/clock.h"

/* Four nodes in two racks, one route reflector, no mesh, and a BGPPeer of each shape. */
static const char *const nodes[] = {
    "{\"metadata\":{\"name\":\"a1\",\"labels\":{\"rack\":\"a\",\"app\":\"x\"}},"
    "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}",
    "{\"metadata\":{\"name\":\"a2\",\"labels\":{\"rack\":\"a\"}},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0."
    "2/24\"}}}",
    "{\"metadata\":{\"name\":\"b1\",\"labels\":{\"rack\":\"b\"}},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0."
    "3/24\"}}}",
    "{\"metadata\":{\"name\":\"rr\",\"labels\":{\"rr\":\"\"}},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.9/"
    "24\","
    "\"routeReflectorClusterID\":\"244.0.0.1\"}}}",
};
static const char *const peers[] = {
    "{\"metadata\":{\"name\":\"tor-a\"},\"spec\":{\"nodeSelector\":\"rack == 'a'\",\"peerIP\":\"192.0.2.1\","
    "\"asNumber\":65001,\"filters\":[\"f\"],"
    "\"password\":{\"secretKeyRef\":{\"name\":\"tor\",\"key\":\"a\"}}}}",
    "{\"metadata\":{\"name\":\"tor-b\"},\"spec\":{\"nodeSelector\":\"rack == 'b'\",\"peerIP\":\"192.0.2.2\","
    "\"asNumber\":65001}}",
    "{\"metadata\":{\"name\":\"to-rr\"},\"spec\":{\"nodeSelector\":\"rack == "
    "'b'\",\"peerSelector\":\"has(rr)\"}}",
};
static const char mesh_off[] =
    "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}";

static int setup(void **state) {
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    if (fleet == NULL) {
        return -1;
    }
    fleet_init(fleet);
    fleet_put(fleet, KIND_BGPCONFIGURATION, mesh_off);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        fleet_put(fleet, KIND_NODE, nodes[i]);
    }
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        fleet_put(fleet, KIND_BGPPEER, peers[i]);
    }
    *state = fleet;
    return 0;
}

static int teardown(void **state) {
    fleet_done(*state);
    free(*state);
    return 0;
}

/* The last change affected exactly these nodes (names with spaces between, in the order of their slots). */
static void assert_affected(const struct fleet *fleet, const char *names) {
    char found[256] = "";
    static const char *const all[] = {"a1", "a2", "b1", "rr", "new"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int64_t slot = peering_index_slot(fleet->index, all[i]);
        if (slot >= 0 && node_set_has(fleet->affected, (uint32_t)slot)) {
            size_t len = strlen(found);
            snprintf(found + len, sizeof(found) - len, "%s%s", len > 0 ? " " : "", all[i]);
        }
    }
    assert_string_equal(found, names);
}

static void slots_are_stable_and_reused(void **state) {
    struct fleet *fleet = *state;
    int64_t slot = peering_index_slot(fleet->index, "a2");
    assert_true(slot >= 0);
    assert_int_equal(peering_index_slots(fleet->index), 4);
    assert_int_equal(peering_index_slot(fleet->index, "nobody"), -1);
    fleet_delete(fleet, KIND_NODE, "a1");
    assert_int_equal(peering_index_slot(fleet->index, "a1"), -1);
    assert_int_equal(peering_index_slot(fleet->index, "a2"), slot);
    assert_true(node_set_count(fleet->affected) > 0); /* the deleted one's polls must be woken */
    fleet_put(fleet, KIND_NODE, "{\"metadata\":{\"name\":\"new\"},\"spec\":{}}");
    assert_int_equal(peering_index_slots(fleet->index), 4);
    assert_ptr_equal(peering_index_snapshot(fleet->index), fleet->snapshot);
}

static void a_label_that_no_selector_sees_affects_nobody(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_NODE,
              "{\"metadata\":{\"name\":\"a1\",\"labels\":{\"rack\":\"a\",\"app\":\"y\",\"more\":\"z\"},"
              "\"annotations\":{\"note\":\"hello\"}},\"spec\":{\"orchRefs\":[{\"nodeName\":\"k\","
              "\"orchestrator\":\"k8s\"}],"
              "\"bgp\":{\"ipv4Address\":\"10.0.0.1/16\"}}}");
    assert_affected(fleet, "");
}

static void a_label_that_moves_a_node_affects_it_and_its_peers(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_NODE,
              "{\"metadata\":{\"name\":\"a1\",\"labels\":{\"rack\":\"b\"}},"
              "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}");
    assert_affected(fleet, "a1 rr");
    fleet_put(fleet, KIND_NODE,
              "{\"metadata\":{\"name\":\"a1\",\"labels\":{\"rack\":\"c\"}},"
              "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}");
    assert_affected(fleet, "a1 rr");
}

static void an_address_affects_the_node_and_its_peers(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_NODE,
              "{\"metadata\":{\"name\":\"b1\",\"labels\":{\"rack\":\"b\"}},"
              "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.33/24\"}}}");
    assert_affected(fleet, "b1 rr");
    fleet_put(fleet, KIND_NODE, nodes[0]);
    assert_affected(fleet, "");
    /* … and whoever has the same one. */
    fleet_put(fleet, KIND_NODE,
              "{\"metadata\":{\"name\":\"new\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.2\"}}}");
    assert_affected(fleet, "a2 new");
}

static void a_peer_affects_both_its_ends(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"to-rr\",\"labels\":{\"x\":\"y\"}},"
              "\"spec\":{\"nodeSelector\":\"rack == 'b'\",\"peerSelector\":\"has(rr)\"}}");
    assert_affected(fleet, "");
    fleet_put(fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"to-rr\"},"
              "\"spec\":{\"nodeSelector\":\"rack == 'b'\",\"peerSelector\":\"has(rr)\",\"ttlSecurity\":1}}");
    assert_affected(fleet, "b1 rr");
    fleet_put(fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"to-rr\"},\"spec\":{\"node\":\"a1\",\"peerIP\":\"10.0.0.2\"}}");
    assert_affected(fleet, "a1 a2 b1 rr");
    fleet_delete(fleet, KIND_BGPPEER, "to-rr");
    assert_affected(fleet, "a1 a2");
    fleet_put(fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"global\"},\"spec\":{\"peerIP\":\"192.0.2.9\",\"asNumber\":65001}}");
    assert_affected(fleet, "a1 a2 b1 rr");
}

static void a_filter_affects_those_who_name_it(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_BGPFILTER, "{\"metadata\":{\"name\":\"g\"},\"spec\":{}}");
    assert_affected(fleet, "");
    fleet_put(fleet, KIND_BGPFILTER, "{\"metadata\":{\"name\":\"f\"},\"spec\":{}}");
    assert_affected(fleet, "a1 a2");
    fleet_put(fleet, KIND_BGPFILTER,
              "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"exportV4\":[{\"action\":\"Reject\"}]}}");
    assert_affected(fleet, "a1 a2");
    fleet_put(fleet, KIND_BGPFILTER,
              "{\"metadata\":{\"name\":\"f\",\"labels\":{\"x\":\"y\"}},\"spec\":{\"exportV4\":[{"
              "\"action\":\"Reject\"}]}}");
    assert_affected(fleet, "");
    fleet_delete(fleet, KIND_BGPFILTER, "f");
    assert_affected(fleet, "a1 a2");
}

static void a_secret_affects_those_whose_key_changes(void **state) {
    struct fleet *fleet = *state;
    struct password first[] = {{"a", "one", 3}, {"b", "two", 3}};
    fleet_put_secret(fleet, "other", first, 2);
    assert_affected(fleet, "");
    fleet_put_secret(fleet, "tor", first, 2);
    assert_affected(fleet, "a1 a2");
    struct password unused[] = {{"a", "one", 3}, {"b", "three", 5}};
    fleet_put_secret(fleet, "tor", unused, 2);
    assert_affected(fleet, "");
    struct password used[] = {{"a", "four", 4}, {"b", "three", 5}};
    fleet_put_secret(fleet, "tor", used, 2);
    assert_affected(fleet, "a1 a2");
    fleet_delete(fleet, KIND_SECRET, "default/tor");
    assert_affected(fleet, "a1 a2");
}

static void the_default_configuration_affects_whom_it_concerns(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false,"
              "\"programClusterRoutes\":\"Disabled\",\"localWorkloadPeeringIPV4\":\"10.0.0.99\","
              "\"nodeMeshMaxRestartTime\":\"10s\",\"asNumber\":0,\"bindMode\":\"None\"}}");
    assert_affected(fleet, ""); /* the mesh is off, so its settings concern nobody */
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeMeshMaxRestartTime\":\"10s\"}}");
    assert_affected(fleet, "a1 a2 b1"); /* not the route reflector */
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeMeshMaxRestartTime\":\"10s\","
              "\"asNumber\":64513}}");
    assert_affected(fleet, "a1 a2 b1 rr");
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"other\"},\"spec\":{\"listenPort\":1790}}");
    assert_affected(fleet, "");
}

static void a_nodes_configuration_affects_it_and_its_peers(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"node.b1\"},\"spec\":{\"logSeverityScreen\":\"Debug\"}}");
    assert_affected(fleet, "b1");
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"node.b1\",\"labels\":{\"x\":\"y\"}},\"spec\":{"
              "\"logSeverityScreen\":\"Debug\",\"ipv4NormalRoutePriority\":7}}");
    assert_affected(fleet, "");
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"node.b1\"},\"spec\":{\"listenPort\":1790}}");
    assert_affected(fleet, "b1 rr");
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"node.new\"},\"spec\":{\"listenPort\":1790}}");
    assert_affected(fleet, "");
    fleet_delete(fleet, KIND_BGPCONFIGURATION, "node.b1");
    assert_affected(fleet, "b1 rr");
}

static void an_unknown_node_has_no_list(void **state) {
    struct fleet *fleet = *state;
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    arena_init(&arena, 0);
    assert_int_equal(peering_compute(fleet->index, "nobody", &arena, &list, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    arena_done(&arena);
}

/* ---- without memory ---- */

static void advancing_without_memory_changes_nothing(void **state) {
    struct fleet *fleet = *state;
    char *before = list_text(fleet->index, "rr", NULL);
    struct record *node =
        fleet_record(fleet, KIND_NODE,
                     "{\"metadata\":{\"name\":\"a1\",\"labels\":{\"rack\":\"b\"}},"
                     "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.2/24\",\"ipv6Address\":\"fd00::1\"}}}");
    struct record *peer = fleet_record(fleet, KIND_BGPPEER,
                                       "{\"metadata\":{\"name\":\"tor-b\"},\"spec\":{\"nodeSelector\":\"rack "
                                       "in {'a', 'b'}\",\"peerSelector\":\"all()\","
                                       "\"filters\":[\"f\",\"g\"]}}");
    struct snapshot_change changes[] = {
        fleet_change(fleet, KIND_NODE, node, "a1"),
        fleet_change(fleet, KIND_BGPPEER, peer, "tor-b"),
        fleet_change(fleet, KIND_NODE, NULL, "b1"),
    };
    struct err err = ERR_INIT;
    struct snapshot *next = NULL;
    fleet_check(snapshot_next(fleet->snapshot, changes, 3, 100, &next, &err), &err);
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        struct peering_index *index = NULL;
        struct node_set *affected = NULL;
        err_clear(&err);
        base_alloc_fail_after(n);
        int result = peering_index_next(fleet->index, next, changes, 3, &index, &affected, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        if (failed) {
            assert_int_equal(err.code, ERR_NO_MEMORY);
            assert_null(index);
            assert_null(affected);
        }
        peering_index_unref(index);
        node_set_free(affected);
        assert_true(n < 10000);
    }
    assert_true(n > 20);
    char *after = list_text(fleet->index, "rr", NULL);
    assert_string_equal(before, after);
    free(before);
    free(after);
    snapshot_unref(next);
    record_unref(node);
    record_unref(peer);
}

static void building_without_memory_fails_cleanly(void **state) {
    struct fleet *fleet = *state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct err err = ERR_INIT;
        struct peering_index *index = NULL;
        base_alloc_fail_after(n);
        int result = peering_index_new(fleet->snapshot, "default", &index, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        peering_index_unref(index);
        assert_true(n < 10000);
    }
}

static void computing_without_memory_fails_cleanly(void **state) {
    struct fleet *fleet = *state;
    fleet_put(fleet, KIND_NODE, /* a duplicate address, so that there are problems to write */
              "{\"metadata\":{\"name\":\"new\",\"labels\":{\"rack\":\"a\"}},"
              "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.2\"}}}");
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct err err = ERR_INIT;
        struct arena arena;
        struct peering_list list;
        arena_init(&arena, 64);
        base_alloc_fail_after(n);
        int result = peering_compute(fleet->index, "a2", &arena, &list, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        arena_done(&arena);
        assert_true(n < 10000);
    }
}

/* ---- cost ---- */

#define LARGE 20000

static void a_change_costs_the_same_in_a_large_fleet(void **state) {
    (void)state;
    struct fleet fleet;
    char json[512];
    fleet_init(&fleet);
    fleet_put(&fleet, KIND_BGPCONFIGURATION, mesh_off);
    struct snapshot_change *changes = calloc(LARGE, sizeof(*changes));
    assert_non_null(changes);
    for (size_t i = 0; i < LARGE; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"n%zu\",\"labels\":{\"rack\":\"r%zu\"}},"
                 "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.%zu.%zu.1\"}}}",
                 i, i % 100, i / 250, i % 250);
        changes[i] = (struct snapshot_change){KIND_NODE, NULL, fleet_record(&fleet, KIND_NODE, json)};
    }
    fleet_apply(&fleet, changes, LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        record_unref(changes[i].after);
    }
    free(changes);
    for (size_t i = 0; i < 100; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"tor%zu\"},\"spec\":{\"nodeSelector\":\"rack == 'r%zu'\","
                 "\"peerIP\":\"192.0.2.%zu\",\"asNumber\":65001}}",
                 i, i, i + 1);
        fleet_put(&fleet, KIND_BGPPEER, json);
        assert_int_equal(node_set_count(fleet.affected), LARGE / 100);
    }
    int64_t start = clock_monotonic_ns();
    for (size_t i = 0; i < 200; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"n%zu\",\"labels\":{\"rack\":\"r%zu\"}},"
                 "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.%zu.%zu.1\"}}}",
                 i, (i + 1) % 100, i / 250, i % 250);
        fleet_put(&fleet, KIND_NODE, json);
        assert_int_equal(node_set_count(fleet.affected), 1);
    }
    double each_us = (double)(clock_monotonic_ns() - start) / 1e3 / 200;
    print_message("one label change among %d nodes: %.1f us\n", LARGE, each_us);
    assert_true(each_us < 5000); /* generous, for sanitizers; copying the fleet would take longer */
    fleet_done(&fleet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slots_are_stable_and_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_label_that_no_selector_sees_affects_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_label_that_moves_a_node_affects_it_and_its_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_affects_the_node_and_its_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_affects_both_its_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_filter_affects_those_who_name_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_secret_affects_those_whose_key_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_default_configuration_affects_whom_it_concerns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nodes_configuration_affects_it_and_its_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_node_has_no_list, setup, teardown),
        cmocka_unit_test_setup_teardown(advancing_without_memory_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(building_without_memory_fails_cleanly, setup, teardown),
        cmocka_unit_test_setup_teardown(computing_without_memory_fails_cleanly, setup, teardown),
        cmocka_unit_test(a_change_costs_the_same_in_a_large_fleet),
    };
    return cmocka_run_group_tests_name("peering: index", tests, NULL, NULL);
}
