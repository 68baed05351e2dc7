/*
 * Addresses: who owns them, and what a list says when that is not certain.
 */
#include "peering_random.h"

#include <inttypes.h>

#include "selector.h"

static const char *owner_of(const struct fleet *fleet, const char *text, const char *except) {
    struct ip_addr addr;
    assert_true(ip_parse(text, strlen(text), &addr));
    return peering_index_address_owner(fleet->index, &addr, except);
}

static bool is_peer(const struct fleet *fleet, const char *text) {
    struct ip_addr addr;
    assert_true(ip_parse(text, strlen(text), &addr));
    return peering_index_address_is_peer(fleet->index, &addr);
}

static void put_node(struct fleet *fleet, const char *name, const char *v4, const char *v6) {
    char json[256];
    snprintf(
        json, sizeof(json),
        "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"%s\",\"ipv6Address\":\"%s\"}}}",
        name, v4, v6);
    fleet_put(fleet, KIND_NODE, json);
}

static void owners_are_known(void **state) {
    (void)state;
    struct fleet fleet;
    fleet_init(&fleet);
    assert_null(owner_of(&fleet, "10.0.0.1", NULL));
    put_node(&fleet, "n2", "10.0.0.1/24", "FD00::1/64");
    put_node(&fleet, "n1", "10.0.0.1", "");
    put_node(&fleet, "n3", "", "fd00:0::1");
    assert_string_equal(owner_of(&fleet, "10.0.0.1", NULL), "n1");
    assert_string_equal(owner_of(&fleet, "10.0.0.1", "n1"), "n2");
    assert_string_equal(owner_of(&fleet, "10.0.0.1", "n9"), "n1");
    assert_string_equal(owner_of(&fleet, "fd00::1", "n2"), "n3");
    assert_null(owner_of(&fleet, "10.0.0.2", NULL));
    fleet_delete(&fleet, KIND_NODE, "n1");
    assert_null(owner_of(&fleet, "10.0.0.1", "n2"));
    put_node(&fleet, "n2", "10.0.0.2", "");
    assert_null(owner_of(&fleet, "10.0.0.1", NULL));
    fleet_done(&fleet);
}

static void addresses_of_peers_are_known(void **state) {
    (void)state;
    struct fleet fleet;
    fleet_init(&fleet);
    assert_false(is_peer(&fleet, "192.0.2.1"));
    fleet_put(&fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"node\":\"none\",\"peerIP\":\"192.0.2.1:1790\"}}");
    fleet_put(&fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"peerIP\":\"[2001:DB8::1]:179\",\"reversePeering\":"
              "\"Manual\"}}");
    assert_true(is_peer(&fleet, "192.0.2.1"));
    assert_true(is_peer(&fleet, "2001:db8:0::1"));
    assert_false(is_peer(&fleet, "192.0.2.2"));
    fleet_delete(&fleet, KIND_BGPPEER, "p");
    assert_false(is_peer(&fleet, "192.0.2.1"));
    fleet_done(&fleet);
}

/* ---- what a list says of an address that two nodes have ---- */

struct computed {
    struct arena arena;
    struct peering_list list;
};

static struct computed compute(const struct fleet *fleet, const char *node) {
    struct computed computed;
    struct err err = ERR_INIT;
    arena_init(&computed.arena, 0);
    fleet_check(peering_compute(fleet->index, node, &computed.arena, &computed.list, &err), &err);
    return computed;
}

static const struct peering_entry *find_session(const struct peering_list *list, const char *address) {
    for (size_t i = 0; i < list->entry_count; i++) {
        if (strcmp(list->entries[i].address_text, address) == 0) {
            return &list->entries[i];
        }
    }
    return NULL;
}

static bool has_problem(const struct peering_list *list, const char *reason, const char *bgp_peer,
                        const char *text) {
    for (size_t i = 0; i < list->problem_count; i++) {
        const struct peering_problem *problem = &list->problems[i];
        if (strcmp(problem->reason, reason) == 0 && same_text(problem->bgp_peer, bgp_peer) &&
            strstr(problem->message, text) != NULL) {
            return true;
        }
    }
    return false;
}

/* How the session with the address stands in the node's list. */
static enum peering_password standing(const struct fleet *fleet, const char *node, const char *address) {
    struct computed computed = compute(fleet, node);
    const struct peering_entry *entry = find_session(&computed.list, address);
    assert_non_null(entry);
    enum peering_password password = entry->password;
    assert_int_equal(entry->secret != NULL, password == PASSWORD_VALUE);
    arena_done(&computed.arena);
    return password;
}

static bool says(const struct fleet *fleet, const char *node, const char *reason, const char *bgp_peer,
                 const char *text) {
    struct computed computed = compute(fleet, node);
    bool found = has_problem(&computed.list, reason, bgp_peer, text);
    arena_done(&computed.arena);
    return found;
}

static bool is_affected(const struct fleet *fleet, const char *node) {
    return node_set_has(fleet->affected, (uint32_t)peering_index_slot(fleet->index, node));
}

/* Everybody who peers with the address is told, by whatever way, and nobody gets a password for it. */
static void an_address_of_two_is_ambiguous_for_all(void **state) {
    (void)state;
    struct fleet fleet;
    struct password passwords[] = {{"k", "secret", 6}};
    fleet_init(&fleet);
    fleet_put_secret(&fleet, "s", passwords, 1);
    fleet_put(&fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeMeshPassword\":{\"secretKeyRef\":{"
              "\"name\":\"s\",\"key\":\"k\"}}}}");
    put_node(&fleet, "victim", "10.0.0.5", "");
    put_node(&fleet, "other", "10.0.0.6", "fd00::6");
    put_node(&fleet, "third", "10.0.0.7", "fd00::7");
    assert_int_equal(standing(&fleet, "other", "10.0.0.5"), PASSWORD_VALUE);
    put_node(&fleet, "evil", "10.0.0.5/24", "");
    assert_true(is_affected(&fleet, "victim") && is_affected(&fleet, "other") &&
                is_affected(&fleet, "third"));
    assert_int_equal(standing(&fleet, "other", "10.0.0.5"), PASSWORD_WITHHELD);
    assert_int_equal(standing(&fleet, "other", "10.0.0.7"), PASSWORD_VALUE);
    assert_int_equal(standing(&fleet, "other", "fd00::7"), PASSWORD_VALUE);
    assert_true(says(&fleet, "other", "AddressNotUnique", NULL,
                     "10.0.0.5 is an address of node \"evil\" and of node \"victim\", so nobody can tell"));
    assert_true(says(&fleet, "other", "AddressNotUnique", NULL, "its session with 10.0.0.5 is withheld"));
    assert_true(says(&fleet, "victim", "AddressNotUnique", NULL, "node \"evil\" and of node \"victim\""));
    assert_true(says(&fleet, "evil", "AddressNotUnique", NULL, "node \"evil\" and of node \"victim\""));
    put_node(&fleet, "also", "10.0.0.5/24", "");
    assert_true(
        says(&fleet, "third", "AddressNotUnique", NULL, "\"also\" and of node \"evil\" and of 1 more"));
    fleet_delete(&fleet, KIND_NODE, "evil");
    fleet_delete(&fleet, KIND_NODE, "also");
    assert_true(is_affected(&fleet, "victim") && is_affected(&fleet, "other") &&
                is_affected(&fleet, "third"));
    assert_int_equal(standing(&fleet, "other", "10.0.0.5"), PASSWORD_VALUE);
    assert_false(says(&fleet, "victim", "AddressNotUnique", NULL, ""));
    fleet_done(&fleet);
}

/* A peerIP means whoever has the address: with two of them, neither gets the password of the far end. */
static void a_peer_by_address_means_one_node(void **state) {
    (void)state;
    struct fleet fleet;
    struct password passwords[] = {{"k", "secret", 6}};
    fleet_init(&fleet);
    fleet_put_secret(&fleet, "s", passwords, 1);
    fleet_put(&fleet, KIND_BGPCONFIGURATION,
              "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}");
    fleet_put(&fleet, KIND_BGPPEER,
              "{\"metadata\":{\"name\":\"two\"},\"spec\":{\"node\":\"other\",\"peerIP\":\"10.0.0.5\","
              "\"asNumber\":64512,"
              "\"password\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}}}");
    put_node(&fleet, "victim", "10.0.0.5", "");
    put_node(&fleet, "other", "10.0.0.6", "");
    put_node(&fleet, "evil", "10.0.0.9", "");
    assert_int_equal(standing(&fleet, "victim", "10.0.0.6"), PASSWORD_VALUE);
    put_node(&fleet, "evil", "10.0.0.5", "");
    assert_int_equal(standing(&fleet, "victim", "10.0.0.6"), PASSWORD_WITHHELD);
    assert_int_equal(standing(&fleet, "evil", "10.0.0.6"), PASSWORD_WITHHELD);
    assert_int_equal(standing(&fleet, "other", "10.0.0.5"), PASSWORD_WITHHELD);
    assert_true(says(&fleet, "evil", "AddressNotUnique", "two", "its session with 10.0.0.6 is withheld"));
    assert_true(says(&fleet, "other", "AddressNotUnique", "two", "its session with 10.0.0.5 is withheld"));
    fleet_done(&fleet);
}

/* Stored by a version that did not refuse it. */
static void an_unusable_address_counts_as_absent(void **state) {
    (void)state;
    struct fleet fleet;
    fleet_init(&fleet);
    put_node(&fleet, "n1", "10.0.0.1", "fd00::1");
    put_node(&fleet, "n2", "127.0.0.1/8", "fd00::2");
    struct computed computed = compute(&fleet, "n2");
    assert_null(computed.list.local.ipv4_address);
    assert_int_equal(computed.list.entry_count, 1);
    assert_true(has_problem(&computed.list, "AddressUnusable", NULL, "127.0.0.1/8, a loopback address"));
    arena_done(&computed.arena);
    assert_null(owner_of(&fleet, "127.0.0.1", NULL));
    put_node(&fleet, "n2", "224.0.0.1", "fd00::2");
    assert_true(is_affected(&fleet, "n2"));
    assert_true(says(&fleet, "n2", "AddressUnusable", NULL, "224.0.0.1, a multicast address"));
    fleet_done(&fleet);
}

/* ---- BGPPeers that give a node nothing, or nothing that works ---- */

/* The node of the case is `n`, with 10.0.0.1 and AS 64512; its neighbours are `m` and the address-less
 * `bare`. */
static const struct {
    const char *spec;   /* of the BGPPeer, single quotes in place of double ones */
    const char *reason; /* NULL: nothing to say */
    const char *text;
} SILENT_CASES[] = {
    {"'node':'n','peerIP':'10.0.0.1'", "OwnAddress", "10.0.0.1 is that node's own address"},
    {"'nodeSelector':'has(n)','peerIP':'10.0.0.1'", NULL, ""},
    {"'peerIP':'10.0.0.1'", NULL, ""},
    {"'node':'n','peerSelector':'has(nothing)'", "NoPeers",
     "\"has(nothing)\" of BGPPeer \"p\" selects no node"},
    {"'node':'n','peerSelector':'has(n)'", "NoPeers", "besides \"n\" itself"},
    {"'node':'n','peerSelector':'has(bare)'", "NoPeers", "with a BGP address"},
    {"'nodeSelector':'has(n)','peerSelector':'has(bare)'", "NoPeers", "with a BGP address"},
    {"'nodeSelector':'all()','peerSelector':'has(n)'", NULL, ""},
    {"'node':'n','peerSelector':'has(m)'", NULL, ""},
    {"'node':'n','peerIP':'10.0.0.2','asNumber':65001", "RemoteASMismatch",
     "gives 10.0.0.2 AS 65001, but that is node \"m\"'s address, whose AS is 64600"},
    {"'node':'n','peerIP':'10.0.0.2'", "RemoteASMismatch", "AS 64512"},
    {"'node':'n','peerIP':'10.0.0.2','asNumber':64600", NULL, ""},
    {"'node':'n','peerIP':'10.0.0.2:1791','asNumber':64600", "RemotePortMismatch", "the port 1791"},
    {"'node':'n','peerIP':'10.0.0.2:1790','asNumber':64600", NULL, ""},
    {"'node':'n','peerIP':'192.0.2.1','asNumber':64600", NULL, ""},
};

static void put_quoted(struct fleet *fleet, enum kind kind, const char *text) {
    char json[512];
    assert_true(strlen(text) < sizeof(json));
    for (size_t i = 0; i <= strlen(text); i++) {
        json[i] = text[i] == '\'' ? '"' : text[i];
    }
    fleet_put(fleet, kind, json);
}

static void a_peer_that_gives_nothing_says_so(void **state) {
    (void)state;
    static const char *const reasons[] = {"OwnAddress", "NoPeers", "RemoteASMismatch", "RemotePortMismatch"};
    for (size_t i = 0; i < COUNT_OF(SILENT_CASES); i++) {
        struct fleet fleet;
        char json[256];
        fleet_init(&fleet);
        put_quoted(&fleet, KIND_BGPCONFIGURATION,
                   "{'metadata':{'name':'default'},'spec':{'nodeToNodeMeshEnabled':false}}");
        put_quoted(&fleet, KIND_BGPCONFIGURATION,
                   "{'metadata':{'name':'node.m'},'spec':{'listenPort':1790}}");
        put_quoted(&fleet, KIND_NODE,
                   "{'metadata':{'name':'n','labels':{'n':''}},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
        put_quoted(&fleet, KIND_NODE,
                   "{'metadata':{'name':'m','labels':{'m':''}},'spec':{'bgp':{'ipv4Address':'10.0.0.2','"
                   "asNumber':64600}}}");
        put_quoted(&fleet, KIND_NODE, "{'metadata':{'name':'bare','labels':{'bare':''}},'spec':{}}");
        snprintf(json, sizeof(json), "{'metadata':{'name':'p'},'spec':{%s}}", SILENT_CASES[i].spec);
        put_quoted(&fleet, KIND_BGPPEER, json);
        const char *first;
        assert_int_equal(peering_index_peer_nodes(fleet.index, "p", &first, 1), 1);
        for (size_t k = 0; k < COUNT_OF(reasons); k++) {
            bool wanted = SILENT_CASES[i].reason != NULL && strcmp(SILENT_CASES[i].reason, reasons[k]) == 0;
            if (says(&fleet, "n", reasons[k], "p", wanted ? SILENT_CASES[i].text : "") != wanted) {
                fail_msg("%s: %s", SILENT_CASES[i].spec, reasons[k]);
            }
        }
        fleet_done(&fleet);
    }
}

/* ---- no node gets a password by an address ---- */

static bool selects(const char *selector_text, const struct label_set *labels) {
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    if (selector_text == NULL || selector_text[0] == '\0') {
        return false;
    }
    fleet_check(selector_parse(selector_text, strlen(selector_text), &selector, &err), &err);
    bool matches = selector_matches(selector, labels);
    selector_free(selector);
    return matches;
}

/* Is the BGPPeer for the node, or does it select it as a peer, whatever its addresses are? */
static bool is_entitled(const struct fleet *fleet, const char *bgp_peer, const char *node) {
    if (bgp_peer == NULL) {
        return true; /* the mesh is among all nodes */
    }
    const struct record *record = snapshot_get(fleet->snapshot, KIND_BGPPEER, bgp_peer);
    const struct bgp_peer_spec *spec = ((const struct bgp_peer *)record->object->body)->spec;
    const struct label_set *labels = &snapshot_get(fleet->snapshot, KIND_NODE, node)->object->meta.labels;
    if (spec->node != NULL ? strcmp(spec->node, node) == 0
                           : spec->node_selector == NULL || selects(spec->node_selector, labels)) {
        return true;
    }
    return selects(spec->peer_selector, labels);
}

static bool had(const struct peering_list *before, const struct peering_entry *entry) {
    for (size_t i = 0; i < before->entry_count; i++) {
        if (before->entries[i].secret == entry->secret &&
            same_text(before->entries[i].origin.bgp_peer, entry->origin.bgp_peer)) {
            return true;
        }
    }
    return false;
}

struct tally {
    size_t writes;
    size_t taken;    /* the address was another node's */
    size_t refused;  /* by whoever asks peering_index_address_is_peer */
    size_t withheld; /* sessions in the writer's list */
};

/* The node sets its own address to `text`, as a Node may that writes itself. */
static void take_address(struct fleet *fleet, const char *node, const char *text, struct tally *tally,
                         uint64_t seed) {
    struct ip_cidr cidr;
    assert_true(ip_parse_cidr_or_addr(text, strlen(text), &cidr));
    bool taken = peering_index_address_owner(fleet->index, &cidr.addr, node) != NULL;
    if (!taken && peering_index_address_is_peer(fleet->index, &cidr.addr)) {
        tally->refused++;
        return;
    }
    const struct record *record = snapshot_get(fleet->snapshot, KIND_NODE, node);
    struct object object = *record->object;
    struct node body = {.spec = NULL};
    struct node_spec spec = {.bgp = NULL};
    const struct node *old = object.body;
    struct node_bgp_spec bgp = old->spec != NULL && old->spec->bgp != NULL
                                   ? *old->spec->bgp
                                   : (struct node_bgp_spec){.as_number.set = false};
    *(cidr.addr.family == IP_V4 ? &bgp.ipv4_address : &bgp.ipv6_address) = text;
    spec.bgp = &bgp;
    body.spec = &spec;
    object.body = &body;
    struct buf json = BUF_INIT;
    codec_encode(&object, &json);
    assert_false(buf_failed(&json));
    struct computed before = compute(fleet, node);
    /* What the list before borrows from must not go with the version that it was made from. */
    struct peering_index *kept = peering_index_ref(fleet->index);
    fleet_put(fleet, KIND_NODE, json.data);
    buf_done(&json);
    struct computed after = compute(fleet, node);
    tally->writes++;
    tally->taken += taken;
    for (size_t i = 0; i < after.list.entry_count; i++) {
        const struct peering_entry *entry = &after.list.entries[i];
        tally->withheld += taken && entry->password == PASSWORD_WITHHELD;
        if (entry->password == PASSWORD_VALUE && !had(&before.list, entry) &&
            !is_entitled(fleet, entry->origin.bgp_peer, node)) {
            fail_msg("seed %" PRIu64 ": node %s takes %s, and gets the password of BGPPeer %s", seed, node,
                     text, entry->origin.bgp_peer);
        }
    }
    arena_done(&before.arena);
    arena_done(&after.arena);
    peering_index_unref(kept);
}

/* Sessions with passwords between two nodes, one of which is named by its address alone. */
static void put_guarded_peers(struct dice *dice, struct fleet *fleet) {
    struct password passwords[] = {{"k", "secret", 6}};
    fleet_put_secret(fleet, "guard", passwords, 1);
    for (size_t i = 0; i < 6; i++) {
        struct ip_cidr cidr;
        char address[IP_TEXT_MAX];
        char json[256];
        const char *text = PICK(dice, v4_pool);
        assert_true(ip_parse_cidr_or_addr(text, strlen(text), &cidr));
        ip_format(&cidr.addr, address);
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"q%zu\"},\"spec\":{\"node\":\"n%zu\",\"peerIP\":\"%s\","
                 "\"password\":{\"secretKeyRef\":{\"name\":\"guard\",\"key\":\"k\"}}}}",
                 i, dice_below(dice, FLEET_NODES), address);
        fleet_put(fleet, KIND_BGPPEER, json);
    }
}

static void no_node_gets_a_password_by_an_address(void **state) {
    (void)state;
    static const char *const addresses[] = {"192.0.2.1", "2001:db8::ff", "10.0.0.77"};
    struct tally tally = {.writes = 0};
    uint64_t fresh = random_u64();
    print_message("fresh seed %" PRIu64 "\n", fresh);
    for (uint64_t i = 0; i < 60; i++) {
        uint64_t seed = i < 30 ? i : fresh + i;
        struct dice dice = {seed};
        struct fleet fleet;
        fleet_init(&fleet);
        put_guarded_peers(&dice, &fleet);
        for (size_t step = 0; step < 120; step++) {
            random_step(&dice, &fleet);
            char node[16];
            snprintf(node, sizeof(node), "n%zu", dice_below(&dice, FLEET_NODES));
            if (step > 30 && snapshot_get(fleet.snapshot, KIND_NODE, node) != NULL) {
                const char *text = dice_chance(&dice, 60)   ? PICK(&dice, v4_pool)
                                   : dice_chance(&dice, 70) ? PICK(&dice, v6_pool)
                                                            : PICK(&dice, addresses);
                take_address(&fleet, node, text, &tally, seed);
            }
        }
        fleet_done(&fleet);
    }
    print_message("%zu writes, %zu of another's address, %zu refused, %zu sessions withheld\n", tally.writes,
                  tally.taken, tally.refused, tally.withheld);
    assert_true(tally.writes > 500 && tally.taken > 100 && tally.refused > 50 && tally.withheld > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_are_known),
        cmocka_unit_test(addresses_of_peers_are_known),
        cmocka_unit_test(an_address_of_two_is_ambiguous_for_all),
        cmocka_unit_test(a_peer_by_address_means_one_node),
        cmocka_unit_test(an_unusable_address_counts_as_absent),
        cmocka_unit_test(a_peer_that_gives_nothing_says_so),
        cmocka_unit_test(no_node_gets_a_password_by_an_address),
    };
    return cmocka_run_group_tests_name("peering: addresses", tests, start_random, NULL);
}
