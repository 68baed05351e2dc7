/*
 * Properties of the computation that hold for every fleet, tried on random ones.
 *
 * Order: what was inserted when, and which slots it got, has no influence on any list.
 *
 * Both ends: let the list of node A hold a session of BGPPeer P (or the mesh) with node B, where no address
 * of A or B belongs to a third node, P is not `reversePeering: Manual`, and B is what P means. B is what P
 * means always, unless A's side is a forward peering by peerIP: then B's AS must be P's asNumber, and the
 * port written, if any, must be B's listenPort or B must have none. Then
 *   - B's list has P's session with A's address of that family, or says in `suppressed` what it lost to;
 *   - when both have P's session, they agree: each end's asNumber is the other's localASNumber (unless P sets
 *     localASNumber, which only the forward end by peerIP uses), each end's port is the other's listenPort
 *     (unless P wrote one, and B has none), and password reference, withholding, TTL security, restart and
 *     keepalive times are the same;
 *   - of a mesh session exactly one end is passive.
 * When different BGPPeers win at the two ends, each end shows its own, and only this is promised: they do not
 * both wait for the other, as two passive ends would, for ever.
 */
#include "peering_random.h"

#include <inttypes.h>

#define FLEETS      60
#define FLEET_STEPS 80
#define NODE_NAME   16

/* ---- order ---- */

struct collected {
    enum kind kind;
    const struct record *record;
};

static size_t collect(const struct fleet *fleet, struct collected *all, size_t max) {
    size_t count = 0;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct snapshot_cursor cursor;
        const struct record *record = snapshot_seek(&cursor, fleet->snapshot, (enum kind)kind, NULL);
        for (; record != NULL; record = snapshot_step(&cursor)) {
            assert_true(count < max);
            all[count++] = (struct collected){(enum kind)kind, record};
        }
    }
    return count;
}

static void put_noise(struct fleet *fleet, struct dice *dice, bool put) {
    for (size_t i = 0; i < 5; i++) {
        char name[NODE_NAME];
        snprintf(name, sizeof(name), "noise%zu", i);
        if (put) {
            fleet_put_record(fleet, KIND_NODE, random_record(dice, fleet, KIND_NODE, name));
        } else {
            fleet_delete(fleet, KIND_NODE, name);
        }
    }
}

static void compare_lists(const struct fleet *a, const struct fleet *b, uint64_t seed) {
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, a->snapshot, KIND_NODE, NULL);
    for (; node != NULL; node = snapshot_step(&cursor)) {
        char *x = list_text(a->index, node->key, NULL);
        char *y = list_text(b->index, node->key, NULL);
        if (strcmp(x, y) != 0) {
            fail_msg("seed %" PRIu64 ": node %s is\n%s\nbut in another order\n%s", seed, node->key, x, y);
        }
        free(x);
        free(y);
    }
}

/* The same objects in another order, around nodes that come and go, one by one or all at once. */
static void check_order(const struct fleet *fleet, struct dice *dice, uint64_t seed) {
    struct collected all[64];
    size_t count = collect(fleet, all, COUNT_OF(all));
    struct fleet other;
    fleet_init(&other);
    put_noise(&other, dice, true);
    for (size_t i = count; i > 1; i--) {
        size_t k = dice_below(dice, i);
        struct collected swap = all[i - 1];
        all[i - 1] = all[k];
        all[k] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        struct snapshot_change change = fleet_change(&other, all[i].kind, all[i].record, all[i].record->key);
        fleet_apply(&other, &change, 1);
        if (i == count / 2) {
            put_noise(&other, dice, false);
        }
    }
    if (count == 0) {
        put_noise(&other, dice, false);
    }
    compare_lists(fleet, &other, seed);
    fleet_done(&other);
}

/* ---- both ends ---- */

struct lists {
    struct arena arena;
    size_t count;
    struct peering_list items[FLEET_NODES];
};

static const struct peering_list *list_of(const struct lists *lists, const char *node) {
    for (size_t i = 0; i < lists->count; i++) {
        if (strcmp(lists->items[i].node, node) == 0) {
            return &lists->items[i];
        }
    }
    return NULL;
}

static bool shares_address(const struct peering_list *list) {
    for (size_t i = 0; i < list->problem_count; i++) {
        const struct peering_problem *problem = &list->problems[i];
        if (strcmp(problem->reason, "AddressNotUnique") == 0 && problem->peer_ip != NULL &&
            (same_text(problem->peer_ip, list->local.ipv4_address) ||
             same_text(problem->peer_ip, list->local.ipv6_address))) {
            return true;
        }
    }
    return false;
}

/* B's session, or suppressed session, of the same BGPPeer with A. */
static const struct peering_entry *find_entry(const struct peering_list *list, const struct peering_entry *of,
                                              const char *node, const char *address) {
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];
        if (same_text(entry->origin.bgp_peer, of->origin.bgp_peer) &&
            strcmp(entry->address_text, address) == 0 && same_text(entry->origin.remote_node, node)) {
            return entry;
        }
    }
    return NULL;
}

static bool find_suppressed(const struct peering_list *list, const struct peering_entry *of,
                            const char *address) {
    for (size_t i = 0; i < list->suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &list->suppressed[i];
        if (same_text(suppressed->origin.bgp_peer, of->origin.bgp_peer) &&
            strcmp(suppressed->address_text, address) == 0) {
            return true;
        }
    }
    return false;
}

static const struct bgp_peer_spec *spec_of(const struct fleet *fleet, const char *bgp_peer) {
    const struct record *record = snapshot_get(fleet->snapshot, KIND_BGPPEER, bgp_peer);
    return ((const struct bgp_peer *)record->object->body)->spec;
}

/* The port that a BGPPeer's peerIP has; 0: none. */
static uint16_t written_port(const struct bgp_peer_spec *spec) {
    struct ip_endpoint endpoint = {.port = 0};
    if (spec != NULL && spec->peer_ip != NULL) {
        assert_true(ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &endpoint));
    }
    return endpoint.port;
}

/* Must B have the other end? */
static bool expects_mirror(const struct bgp_peer_spec *spec, const struct peering_entry *entry,
                           const struct peering_list *far) {
    if (spec == NULL) {
        return true;
    }
    if (spec->reverse_peering != NULL && strcmp(spec->reverse_peering, "Manual") == 0) {
        return false;
    }
    if (spec->peer_ip == NULL || entry->origin.reverse) {
        return true;
    }
    uint16_t port = written_port(spec);
    return entry->as_number == far->local.as_number &&
           (port == 0 || far->local.listen_port == 0 || port == far->local.listen_port);
}

struct tally {
    size_t sessions;
    size_t mirrored;
    size_t passive; /* that meet an end */
};

static bool ports_agree(const struct bgp_peer_spec *spec, const struct peering_entry *entry,
                        const struct peering_list *far) {
    bool free_choice = !entry->origin.reverse && written_port(spec) != 0 && far->local.listen_port == 0;
    return free_choice || entry->port == far->local.listen_port;
}

static bool ends_agree(const struct bgp_peer_spec *spec, const struct peering_entry *a,
                       const struct peering_list *near, const struct peering_entry *b,
                       const struct peering_list *far) {
    bool own_as = spec != NULL && spec->local_as_number.set && spec->local_as_number.value != 0;
    bool as_agrees = own_as || (a->as_number == b->local_as_number && b->as_number == a->local_as_number);
    return as_agrees && ports_agree(spec, a, far) && ports_agree(spec, b, near) &&
           a->password == b->password && same_text(a->secret_key, b->secret_key) && a->secret == b->secret &&
           a->ttl_security == b->ttl_security && a->max_restart_time_s == b->max_restart_time_s &&
           a->keepalive_time_s == b->keepalive_time_s && (spec != NULL || a->passive != b->passive);
}

static void check_session(const struct fleet *fleet, const struct lists *lists,
                          const struct peering_list *near, const struct peering_entry *entry,
                          struct tally *tally, uint64_t seed) {
    if (entry->origin.remote_node == NULL) {
        return;
    }
    const struct peering_list *far = list_of(lists, entry->origin.remote_node);
    assert_non_null(far);
    const struct bgp_peer_spec *spec =
        entry->origin.bgp_peer == NULL ? NULL : spec_of(fleet, entry->origin.bgp_peer);
    if (shares_address(near) || shares_address(far) || !expects_mirror(spec, entry, far)) {
        return;
    }
    tally->sessions++;
    const char *own = entry->address.family == IP_V4 ? near->local.ipv4_address : near->local.ipv6_address;
    const struct peering_entry *mirror = find_entry(far, entry, near->node, own);
    if (mirror == NULL && !find_suppressed(far, entry, own)) {
        fail_msg("seed %" PRIu64 ": %s has a session with %s by %s, which %s knows nothing of", seed,
                 near->node, entry->address_text, entry->origin.bgp_peer ? entry->origin.bgp_peer : "mesh",
                 far->node);
    }
    if (mirror != NULL) {
        tally->mirrored++;
        if (!ends_agree(spec, entry, near, mirror, far)) {
            fail_msg("seed %" PRIu64 ": %s and %s do not agree about their session by %s\n%s\n%s", seed,
                     near->node, far->node, entry->origin.bgp_peer ? entry->origin.bgp_peer : "mesh",
                     list_text(fleet->index, near->node, NULL), list_text(fleet->index, far->node, NULL));
        }
    }
}

/* Somebody must open the connection, whichever BGPPeers the two ends are by. */
static void check_passive(const struct lists *lists, const struct peering_list *near,
                          const struct peering_entry *entry, struct tally *tally, uint64_t seed) {
    const struct peering_list *far = entry->passive && entry->origin.remote_node != NULL
                                         ? list_of(lists, entry->origin.remote_node)
                                         : NULL;
    if (far == NULL || shares_address(near) || shares_address(far)) {
        return;
    }
    const char *own = entry->address.family == IP_V4 ? near->local.ipv4_address : near->local.ipv6_address;
    for (size_t i = 0; i < far->entry_count; i++) {
        if (strcmp(far->entries[i].address_text, own) == 0) {
            tally->passive++;
            if (far->entries[i].passive) {
                fail_msg("seed %" PRIu64 ": %s and %s (%s) both wait for the other", seed, near->node,
                         far->node, entry->address_text);
            }
        }
    }
}

static void check_ends(const struct fleet *fleet, struct tally *tally, uint64_t seed) {
    struct lists lists = {.count = 0};
    arena_init(&lists.arena, 4096);
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, fleet->snapshot, KIND_NODE, NULL);
    for (; node != NULL; node = snapshot_step(&cursor)) {
        struct err err = ERR_INIT;
        struct peering_list *list = &lists.items[lists.count++];
        fleet_check(peering_compute(fleet->index, node->key, &lists.arena, list, &err), &err);
    }
    for (size_t i = 0; i < lists.count; i++) {
        for (size_t k = 0; k < lists.items[i].entry_count; k++) {
            check_session(fleet, &lists, &lists.items[i], &lists.items[i].entries[k], tally, seed);
            check_passive(&lists, &lists.items[i], &lists.items[i].entries[k], tally, seed);
        }
    }
    arena_done(&lists.arena);
}

/* ---- the tests ---- */

static void run_fleet(uint64_t seed, struct tally *tally) {
    struct dice dice = {seed};
    struct fleet fleet;
    fleet_init(&fleet);
    for (size_t step = 0; step < FLEET_STEPS; step++) {
        random_step(&dice, &fleet);
        if (step % 8 == 7) {
            check_ends(&fleet, tally, seed);
        }
    }
    check_order(&fleet, &dice, seed);
    fleet_done(&fleet);
}

static void properties_hold(void **state) {
    (void)state;
    uint64_t fresh = random_u64();
    struct tally tally = {.sessions = 0};
    print_message("fresh seed %" PRIu64 "\n", fresh);
    for (uint64_t seed = 0; seed < FLEETS; seed++) {
        run_fleet(seed, &tally);
        run_fleet(fresh + seed, &tally);
    }
    print_message("%zu sessions between nodes, %zu with both ends by the same BGPPeer\n", tally.sessions,
                  tally.mirrored);
    assert_true(tally.mirrored > 1000 && tally.passive > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_hold),
    };
    return cmocka_run_group_tests_name("peering: properties", tests, start_random, NULL);
}
