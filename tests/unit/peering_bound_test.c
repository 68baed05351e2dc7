/*
 * What the indexes say that one change disrupts at most, against what it does disrupt, over random changes;
 * and that it says it of the changes that fleets are built and kept with, without a list being computed.
 *
 * PEERING_RANDOM_SEED: only this seed.
 */
#include "peering_random.h"

#include <inttypes.h>

#define STEPS 4000

struct bounds {
    size_t known; /* changes of which a bound was told */
    size_t tight; /* … and that disrupted something */
    size_t asked;
};

/* The node's list, NULL when it is not in the index. */
static const struct peering_list *list_in(const struct peering_index *index, const char *node,
                                          struct arena *arena, struct peering_list *list) {
    struct err err = ERR_INIT;
    if (peering_index_slot(index, node) < 0) {
        return NULL;
    }
    fleet_check(peering_compute(index, node, arena, list, &err), &err);
    return list;
}

/* Sessions disrupted on all nodes but `own`. */
static size_t count_disrupted(const struct peering_index *before, const struct peering_index *after,
                              const char *own) {
    size_t disrupted = 0;
    for (size_t i = 0; i < FLEET_NODES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%zu", i);
        if (own != NULL && strcmp(name, own) == 0) {
            continue;
        }
        struct peering_list old, new;
        struct peering_diff diff;
        struct arena arena;
        arena_init(&arena, 4096);
        peering_compare(list_in(before, name, &arena, &old), list_in(after, name, &arena, &new), NULL, NULL,
                        NULL, &diff);
        disrupted += diff.disruptive;
        arena_done(&arena);
    }
    return disrupted;
}

static void check_bound(const struct peering_index *before, const struct fleet *fleet,
                        const struct snapshot_change *change, struct bounds *bounds, uint64_t seed,
                        size_t step) {
    size_t most;
    const char *own;
    bounds->asked++;
    if (!peering_disrupts_at_most(before, fleet->index, change, node_set_count(fleet->affected), &most,
                                  &own)) {
        return;
    }
    size_t disrupted = count_disrupted(before, fleet->index, own);
    bounds->known++;
    bounds->tight += disrupted > 0;
    if (disrupted > most) {
        fail_msg("seed %" PRIu64 " step %zu: %zu sessions are disrupted, and %zu was said to be the most",
                 seed, step, disrupted, most);
    }
}

static void run_seed(uint64_t seed, struct bounds *bounds) {
    struct dice dice = {seed};
    struct fleet fleet;
    fleet_init(&fleet);
    for (size_t step = 0; step < STEPS; step++) {
        char key[64];
        enum kind kind = random_target(&dice, key);
        struct snapshot_change change = fleet_change(&fleet, kind, NULL, key);
        change.after = random_change_of(&dice, &fleet, kind, key, change.before);
        if (change.before == NULL && change.after == NULL) {
            continue;
        }
        const struct record *old = change.before == NULL ? NULL : record_ref(change.before);
        struct peering_index *before = peering_index_ref(fleet.index);
        fleet_apply(&fleet, &change, 1);
        check_bound(before, &fleet, &change, bounds, seed, step);
        peering_index_unref(before);
        record_unref(old);
        record_unref(change.after);
    }
    fleet_done(&fleet);
}

static void no_more_is_disrupted_than_said(void **state) {
    static const uint64_t seeds[] = {1, 20, 300, 4711};
    const char *seed_text = getenv("PEERING_RANDOM_SEED");
    struct bounds bounds = {0};
    (void)state;
    if (seed_text != NULL) {
        run_seed(strtoull(seed_text, NULL, 10), &bounds);
    } else {
        for (size_t i = 0; i < COUNT_OF(seeds); i++) {
            run_seed(seeds[i], &bounds);
        }
        run_seed(random_u64(), &bounds);
    }
    print_message("%zu changes, %zu with a bound, %zu of these disrupt something\n", bounds.asked,
                  bounds.known, bounds.tight);
    assert_true(bounds.known > bounds.asked / 10);
    assert_true(bounds.tight > 50);
}

/* A mesh of `count` nodes. */
static void make_mesh(struct fleet *fleet, size_t count) {
    for (size_t i = 1; i <= count; i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n%zu\"},\"spec\":{\"bgp\":{\"ipv4Address\":"
                 "\"10.1.0.%zu/24\",\"ipv6Address\":\"fd00::%zx\"}}}",
                 i, i, i);
        fleet_put(fleet, KIND_NODE, json);
    }
}

/* Another object in the place of what there is; its bound. SIZE_MAX: none is known. */
static size_t bound_of(struct fleet *fleet, enum kind kind, const char *json, const char **ret_own) {
    struct record *record = fleet_record(fleet, kind, json);
    struct snapshot_change change = fleet_change(fleet, kind, record, record->key);
    struct peering_index *before = peering_index_ref(fleet->index);
    size_t most = 0;
    fleet_apply(fleet, &change, 1);
    bool known = peering_disrupts_at_most(before, fleet->index, &change, node_set_count(fleet->affected),
                                          &most, ret_own);
    peering_index_unref(before);
    record_unref(record);
    return known ? most : SIZE_MAX;
}

static void what_fleets_are_built_of_has_a_bound(void **state) {
    struct fleet fleet;
    const char *own;
    (void)state;
    fleet_init(&fleet);
    make_mesh(&fleet, 20);
    assert_int_equal(bound_of(&fleet, KIND_NODE,
                              "{\"kind\":\"Node\",\"metadata\":{\"name\":\"new\"},\"spec\":{\"bgp\":{"
                              "\"ipv4Address\":\"10.1.0.99/24\"}}}",
                              &own),
                     0);
    assert_null(own);
    assert_int_equal(node_set_count(fleet.affected), 21);
    /* Its own sessions, and one in each list that has it. */
    assert_int_equal(bound_of(&fleet, KIND_NODE,
                              "{\"kind\":\"Node\",\"metadata\":{\"name\":\"new\"},\"spec\":{\"bgp\":{"
                              "\"ipv4Address\":\"10.1.0.99/24\",\"asNumber\":65001}}}",
                              &own),
                     21);
    assert_string_equal(own, "new");
    assert_true(bound_of(&fleet, KIND_BGPPEER,
                         "{\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"tor\"},\"spec\":{\"node\":\"n1\","
                         "\"peerIP\":\"192.0.2.1\",\"asNumber\":65000}}",
                         &own) <= 4);
    assert_null(own);
    /* An address that is not one node's alone, and what is about many. */
    assert_int_equal(bound_of(&fleet, KIND_NODE,
                              "{\"kind\":\"Node\",\"metadata\":{\"name\":\"twin\"},\"spec\":{\"bgp\":{"
                              "\"ipv4Address\":\"10.1.0.1/24\"}}}",
                              &own),
                     SIZE_MAX);
    assert_int_equal(bound_of(&fleet, KIND_BGPPEER,
                              "{\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"all\"},\"spec\":{"
                              "\"peerIP\":\"192.0.2.2\",\"asNumber\":65000}}",
                              &own),
                     SIZE_MAX);
    assert_int_equal(bound_of(&fleet, KIND_BGPCONFIGURATION,
                              "{\"kind\":\"BGPConfiguration\",\"metadata\":{\"name\":\"default\"},\"spec\":{"
                              "\"asNumber\":65000}}",
                              &own),
                     SIZE_MAX);
    fleet_done(&fleet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_is_disrupted_than_said),
        cmocka_unit_test(what_fleets_are_built_of_has_a_bound),
    };
    return cmocka_run_group_tests_name("peering: bounds", tests, start_random, NULL);
}
