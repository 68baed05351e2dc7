/*
 * What a node writes about itself (state_guard_own_node): every rule by itself, within one batch as well, and
 * the property that all of them are for, on random fleets: whatever nodes write, in whichever order and form,
 * no list gets a password that this node's list never had.
 */
#include "state_random.h"
#include "store_memory.h"

#include <inttypes.h>

#define FLEETS    60 /* the rules are each the only thing that stands before a password in some of them */
#define WRITES    100
#define HOSTS     6
#define KNOWN_MAX 64

/* ---- single rules ---- */

static void must(struct fixture *fixture, enum kind kind, const char *key, const char *json) {
    struct call call;
    call_init(&call, WRITE_REPLACE, kind, key);
    call.write.upsert = true;
    call_body(&call, json);
    call_run(fixture, &call);
    if (call.write.err.code != ERR_NONE) {
        fail_msg("%s: %s", key, call.write.err.text);
    }
    call_end(&call);
}

static void host(struct fixture *fixture, const char *name, const char *bgp) {
    char json[512];
    snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"bgp\":{%s}}}", name, bgp);
    must(fixture, KIND_NODE, name, json);
}

static void peer(struct fixture *fixture, const char *name, const char *spec) {
    char json[512];
    snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
    must(fixture, KIND_BGPPEER, name, json);
}

static void patch_init(struct call *call, const char *node, const char *json, bool guarded) {
    call_init(call, WRITE_PATCH, KIND_NODE, node);
    call->write.guard = guarded ? state_guard_own_node : NULL;
    call->write.patch = json;
    call->write.patch_len = strlen(json);
}

/* The node's own merge patch: refused with this text in the message (NULL: done). */
static void own(struct fixture *fixture, const char *node, const char *bgp, const char *refused) {
    struct call call;
    char json[512];
    snprintf(json, sizeof(json), "{\"spec\":{\"bgp\":{%s}}}", bgp);
    patch_init(&call, node, json, true);
    call_run(fixture, &call);
    if (refused == NULL && call.write.err.code != ERR_NONE) {
        fail_msg("%s: %s", bgp, call.write.err.text);
    }
    if (refused != NULL) {
        assert_int_equal(call.write.err.code, ERR_FORBIDDEN);
        if (strstr(call.write.err.text, refused) == NULL) {
            fail_msg("%s: %s", bgp, call.write.err.text);
        }
    }
    call_end(&call);
}

static void test_taken_addresses(void **ptr) {
    struct fixture *fixture = *ptr;
    host(fixture, "evil", "\"ipv4Address\":\"10.0.0.66/24\"");
    host(fixture, "victim", "\"ipv4Address\":\"10.0.0.5/24\",\"ipv6Address\":\"2001:db8::5/64\"");
    peer(fixture, "tor", "\"node\":\"victim\",\"peerIP\":\"192.0.2.1:1790\"");
    peer(fixture, "tor6", "\"node\":\"victim\",\"peerIP\":\"[2001:DB8:0::1]:179\"");

    static const char *const OF_A_NODE[] = {
        "\"ipv4Address\":\"10.0.0.5\"", "\"ipv4Address\":\"10.0.0.5/32\"", "\"ipv4Address\":\"10.0.0.5/0\"",
        "\"ipv6Address\":\"2001:DB8:0:0::5\"", "\"ipv6Address\":\"2001:db8::0005/127\""};
    for (size_t i = 0; i < COUNT_OF(OF_A_NODE); i++) {
        own(fixture, "evil", OF_A_NODE[i], "another Node");
    }
    static const char *const OF_A_PEER[] = {
        "\"ipv4Address\":\"192.0.2.1\"", "\"ipv4Address\":\"192.0.2.1/24\"",
        "\"ipv6Address\":\"2001:db8:0:0:0:0:0:1\"", "\"ipv6Address\":\"2001:db8::1/64\""};
    for (size_t i = 0; i < COUNT_OF(OF_A_PEER); i++) {
        own(fixture, "evil", OF_A_PEER[i], "peerIP of a BGPPeer");
    }
    /* What is free, and what is its own already. */
    own(fixture, "evil", "\"ipv4Address\":\"10.0.0.67/24\",\"ipv6Address\":\"2001:db8::67\"", NULL);
    own(fixture, "evil", "\"ipv4Address\":\"10.0.0.67/32\"", NULL);
    own(fixture, "evil", "\"ipv4Address\":\"10.0.0.66/24\",\"ipv6Address\":null", NULL);
    own(fixture, "victim", "\"ipv4IPIPTunnelAddr\":\"10.0.0.66\"", NULL);
    static const char *const OTHERS[] = {"\"asNumber\":65001", "\"routeReflectorClusterID\":\"244.0.0.1\"",
                                         "\"routerID\":\"10.0.0.5\"",
                                         "\"prefixAdvertisements\":[{\"cidr\":\"10.9.0.0/16\"}]"};
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        own(fixture, "evil", OTHERS[i], "nothing else");
    }
}

/* Earlier writes of the same batch count: one group is always one batch. */
static void test_within_a_batch(void **ptr) {
    struct fixture *fixture = *ptr;
    host(fixture, "evil", "\"ipv4Address\":\"10.0.0.66\"");
    host(fixture, "victim", "\"ipv4Address\":\"10.0.0.5\"");
    peer(fixture, "tor", "\"peerIP\":\"192.0.2.1\"");

    static const struct {
        enum kind kind;
        const char *key, *json, *own;
        bool refused;
    } PAIRS[] = {
        {KIND_NODE, "victim", "{\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.7\"}}}", "10.0.0.7", true},
        {KIND_BGPPEER, "tor", "{\"spec\":{\"peerIP\":\"192.0.2.2\"}}", "192.0.2.2", true},
        {KIND_BGPPEER, "tor", "{\"spec\":{\"peerIP\":\"192.0.2.2\"}}", "192.0.2.1", false},
        {KIND_NODE, "victim", "{\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.7\"}}}", "10.0.0.5", false},
    };
    for (size_t i = 0; i < COUNT_OF(PAIRS); i++) {
        struct call first, second;
        char json[128];
        snprintf(json, sizeof(json), "{\"spec\":{\"bgp\":{\"ipv4Address\":\"%s\"}}}", PAIRS[i].own);
        call_init(&first, WRITE_PATCH, PAIRS[i].kind, PAIRS[i].key);
        first.write.patch = PAIRS[i].json;
        first.write.patch_len = strlen(PAIRS[i].json);
        patch_init(&second, "evil", json, true);
        first.write.also = &second.write;
        call_run(fixture, &first);
        assert_int_equal(first.write.err.code, PAIRS[i].refused ? ERR_FORBIDDEN : ERR_NONE);
        call_end(&first);
        call_end(&second);
    }
}

static void test_ranges(void **ptr) {
    struct fixture *fixture = *ptr;
    struct ip_ranges ranges;
    struct err err = ERR_INIT;
    assert_int_equal(ip_ranges_parse(" 10.0.0.0/24, 2001:db8::/64 ,192.0.2.9", &ranges, &err), 0);
    fixture->node_ranges = &ranges;
    fixture_restart(fixture, 0);
    host(fixture, "n", "\"ipv4Address\":\"172.16.0.1\"");
    own(fixture, "n", "\"ipv4Address\":\"10.0.1.1\"", "--node-address-ranges");
    own(fixture, "n", "\"ipv6Address\":\"2001:db8:0:1::1\"", "--node-address-ranges");
    own(fixture, "n", "\"ipv4Address\":\"10.0.0.255\",\"ipv6Address\":\"2001:db8::1\"", NULL);
    own(fixture, "n", "\"ipv4Address\":\"192.0.2.9\"", NULL);
    own(fixture, "n", "\"ipv6Address\":null", NULL);

    must(fixture, KIND_NODE, "n",
         "{\"metadata\":{\"name\":\"n\",\"annotations\":{\"" NODE_RANGES_ANNOTATION "\":\"172.16.0.0/12\"}},"
         "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1\"}}}");
    own(fixture, "n", "\"ipv4Address\":\"10.0.0.2\"", NODE_RANGES_ANNOTATION);
    own(fixture, "n", "\"ipv4Address\":\"172.31.0.2\"", NULL);
    must(fixture, KIND_NODE, "n",
         "{\"metadata\":{\"name\":\"n\",\"annotations\":{\"" NODE_RANGES_ANNOTATION "\":\"172.16.0.0/x\"}},"
         "\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1\"}}}");
    own(fixture, "n", "\"ipv4Address\":\"10.0.0.2\"", "has to mend it");
    fixture->node_ranges = NULL;
}

/* The owner of a peerIP has sessions by it that hide the mesh's, whose password it does not know. */
static void test_leaving(void **ptr) {
    struct fixture *fixture = *ptr;
    must(fixture, KIND_SECRET, "default/pw",
         "{\"metadata\":{\"name\":\"pw\"},\"stringData\":{\"mesh\":\"of-the-mesh\"}}");
    must(fixture, KIND_BGPCONFIGURATION, "default",
         "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeMeshPassword\":{\"secretKeyRef\":{\"name\":"
         "\"pw\","
         "\"key\":\"mesh\"}}}}");
    host(fixture, "rr", "\"ipv4Address\":\"10.0.0.1\"");
    host(fixture, "other", "\"ipv4Address\":\"10.0.0.2\"");
    peer(fixture, "to-rr", "\"peerIP\":\"10.0.0.1\"");
    own(fixture, "rr", "\"ipv4Address\":\"10.0.0.9\"", "passwords that it has not now");
    own(fixture, "other", "\"ipv4Address\":\"10.0.0.3\"", NULL);
    own(fixture, "rr", "\"ipv4Address\":\"10.0.0.1/24\"", NULL);
    must(fixture, KIND_BGPCONFIGURATION, "default", "{\"metadata\":{\"name\":\"default\"},\"spec\":{}}");
    own(fixture, "rr", "\"ipv4Address\":\"10.0.0.9\"", NULL);
}

/* ---- the property ---- */

struct known {
    size_t count;
    char names[KNOWN_MAX][64];
};

static bool knows(const struct known *known, const char *name) {
    for (size_t i = 0; i < known->count; i++) {
        if (strcmp(known->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The passwords in the node's list now; those of a family of which it has just got its first address are its
 * own without further question: sessions of BGPPeers that apply to it. Fails for others that are not known.
 */
static void look(struct fixture *fixture, const char *node, const bool new_family[2], struct known *known,
                 bool learn, uint64_t seed, size_t step) {
    struct picture *picture = state_picture(fixture->state);
    struct peering_list list;
    struct arena arena;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    fleet_check(peering_compute(picture->index, node, &arena, &list, &err), &err);
    for (size_t i = 0; i < list.entry_count; i++) {
        const struct peering_entry *entry = &list.entries[i];
        char name[64];
        if (entry->password != PASSWORD_VALUE) {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", entry->secret_key, entry->secret->key);
        if (knows(known, name)) {
            continue;
        }
        if (!learn && !new_family[entry->address.family == IP_V6]) {
            fail_msg("seed %" PRIu64 " step %zu: %s has got the password %s of %s", seed, step, node, name,
                     entry->origin.bgp_peer != NULL ? entry->origin.bgp_peer : "the mesh");
        }
        assert_true(known->count < KNOWN_MAX);
        snprintf(known->names[known->count++], sizeof(known->names[0]), "%s", name);
    }
    arena_done(&arena);
    picture_unref(picture);
}

static void addresses(struct fixture *fixture, const char *node, struct ip_addr ret[2]) {
    struct picture *picture = state_picture(fixture->state);
    const struct record *record = snapshot_get(picture->snapshot, KIND_NODE, node);
    ret[0] = peering_own_address(record->object->body, IP_V4);
    ret[1] = peering_own_address(record->object->body, IP_V6);
    picture_unref(picture);
}

/* Some are refused, as random ones are. */
static void try_random(struct fixture *fixture, struct dice *dice, enum kind kind, const char *name) {
    struct plan plan = {.op = WRITE_REPLACE, .kind = kind};
    struct buf json = BUF_INIT;
    struct call call;
    snprintf(plan.key, sizeof(plan.key), "%s", name);
    plan_body(dice, &plan, &json);
    snprintf(plan.json, sizeof(plan.json), "%s", json.data);
    buf_done(&json);
    if (call_from(&call, &plan)) {
        call_run(fixture, &call);
    }
    call_end(&call);
}

static void make_fleet(struct fixture *fixture, struct dice *dice) {
    for (size_t i = 0; i < COUNT_OF(secret_names); i++) {
        char key[64], body[256];
        snprintf(key, sizeof(key), "default/%s", secret_names[i]);
        snprintf(body, sizeof(body),
                 "{\"metadata\":{\"name\":\"%s\"},\"stringData\":{\"a\":\"%s-a\",\"b\":\"%s-b\"}}",
                 secret_names[i], secret_names[i], secret_names[i]);
        must(fixture, KIND_SECRET, key, body);
    }
    try_random(fixture, dice, KIND_BGPCONFIGURATION, "default");
    for (size_t i = 0; i < HOSTS; i++) {
        char name[8], v6[64] = "", bgp[256];
        snprintf(name, sizeof(name), "n%zu", i);
        if (2 * i < COUNT_OF(v6_pool) && dice_chance(dice, 70)) {
            snprintf(v6, sizeof(v6), ",\"ipv6Address\":\"%s\"", v6_pool[2 * i]);
        }
        /* No two nodes have the same; peerIPs name some of them. */
        snprintf(bgp, sizeof(bgp), "\"ipv4Address\":\"%s\"%s,\"asNumber\":%s", v4_pool[2 * i], v6,
                 PICK(dice, as_numbers));
        host(fixture, name, bgp);
    }
    for (size_t i = 0; i < FLEET_PEERS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "p%zu", i);
        try_random(fixture, dice, KIND_BGPPEER, name);
    }
}

/* One address of the pools, of a peerIP, or none, in a random form of writing. */
static void own_write(struct dice *dice, struct call *call, const char *node, char json[512]) {
    bool v6 = dice_chance(dice, 40);
    const char *field = v6 ? "ipv6Address" : "ipv4Address";
    const char *text = v6 ? PICK(dice, v6_pool) : PICK(dice, v4_pool);
    bool none = dice_chance(dice, 15);
    if (dice_chance(dice, 20)) {
        text = v6 ? "2001:db8::ff" : "192.0.2.1";
    }
    if (dice_chance(dice, 50)) {
        snprintf(json, 512,
                 none ? "{\"spec\":{\"bgp\":{\"%s\":null}}}" : "{\"spec\":{\"bgp\":{\"%s\":\"%s\"}}}", field,
                 text);
        patch_init(call, node, json, true);
    } else {
        snprintf(json, 512,
                 none ? "[{\"op\":\"remove\",\"path\":\"/spec/bgp/%s\"}]"
                      : "[{\"op\":\"add\",\"path\":\"/spec/bgp/%s\",\"value\":\"%s\"}]",
                 field, text);
        patch_init(call, node, json, true);
        call->write.patch_type = PATCH_JSON;
    }
}

static void test_no_write_gives_a_password(void **ptr) {
    size_t done = 0, refused = 0;
    for (uint64_t seed = 1; seed <= FLEETS; seed++) {
        struct known known[HOSTS] = {{.count = 0}};
        struct dice dice = {seed};
        struct memory_database database;
        struct fixture *fresh = calloc(1, sizeof(*fresh));
        (void)ptr;
        assert_non_null(fresh);
        fixture_make_dir(fresh->dir);
        memory_init(&database);
        fixture_start_on(fresh, memory_open(&database), 0);
        make_fleet(fresh, &dice);
        static const bool NEITHER[2] = {false, false};
        for (size_t i = 0; i < HOSTS; i++) {
            char name[8];
            snprintf(name, sizeof(name), "n%zu", i);
            look(fresh, name, NEITHER, &known[i], true, seed, 0);
        }
        for (size_t step = 1; step <= WRITES; step++) {
            size_t i = dice_below(&dice, HOSTS);
            struct ip_addr before[2], after[2];
            struct call call;
            char name[8], json[512];
            snprintf(name, sizeof(name), "n%zu", i);
            addresses(fresh, name, before);
            own_write(&dice, &call, name, json);
            call_run(fresh, &call);
            done += call.write.err.code == ERR_NONE;
            refused += call.write.err.code == ERR_FORBIDDEN;
            call_end(&call);
            addresses(fresh, name, after);
            const bool new_family[2] = {!ip_is_set(&before[0]) && ip_is_set(&after[0]),
                                        !ip_is_set(&before[1]) && ip_is_set(&after[1])};
            for (size_t k = 0; k < HOSTS; k++) {
                snprintf(name, sizeof(name), "n%zu", k);
                /* Another node's list changes with the writer's address; the writer's alone is the property.
                 */
                look(fresh, name, new_family, &known[k], k != i, seed, step);
            }
        }
        fixture_stop(fresh);
        memory_done(&database);
        fixture_remove_dir(fresh->dir);
        free(fresh);
    }
    assert_true(done > FLEETS * WRITES / 10);
    assert_true(refused > FLEETS * WRITES / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_taken_addresses, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_within_a_batch, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ranges, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_leaving, fixture_setup, fixture_teardown),
        cmocka_unit_test(test_no_write_gives_a_password),
    };
    return cmocka_run_group_tests_name("state own node", tests, fixture_libraries, NULL);
}
