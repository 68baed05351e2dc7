/*
 * Explanations are true: tried on random fleets, for every node and every remote that the fleet could mean
 * (each node by name, each address that nodes and BGPPeers use, an address that nobody has).
 *
 *   - `sessions` and `suppressed` are the list's entries for the remote's addresses, and the verdict and the
 *     winner in the summary follow from them;
 *   - every BGPPeer is considered, its outcome is what the list says of it, and an entry or a suppressed
 * entry only comes from a BGPPeer whose conditions, forward or reverse, are said to hold;
 *   - a BGPPeer whose conditions are said to hold left an entry, a suppressed entry or a problem, unless the
 *     remote has no address that this node could peer with;
 *   - the mesh's conditions hold exactly when it proposed a session;
 *   - what the far end is said to have in return is what its list has, and `agrees` is true exactly when the
 *     two ends fit.
 * Fixed seeds, and a fresh one that is printed.
 */
#include "peering_random.h"

#include <inttypes.h>
#include <jansson.h>

#define FLEETS      4
#define FLEET_STEPS 60
#define CHECK_EVERY 12

/* One question and what is known without the explanation. */
struct asked {
    const struct fleet *fleet;
    uint64_t seed;
    const char *node;
    const char *remote;
    struct peering_list list;
    struct peering_list far; /* of the remote, when it is a node */
    bool has_far;
    struct ip_addr addresses[2];
    size_t address_count;
    json_t *json;
};

static void complain(const struct asked *asked, const char *what, const char *which) {
    /* Longer than what cmocka prints of a message. */
    fprintf(stderr, "list: %s\nexplanation: ", list_text(asked->fleet->index, asked->node, NULL));
    json_dumpf(asked->json, stderr, JSON_COMPACT);
    fail_msg("seed %" PRIu64 ": node %s, remote %s: %s (%s)", asked->seed, asked->node, asked->remote, what,
             which != NULL ? which : "-");
}

static void expect(const struct asked *asked, bool holds, const char *what, const char *which) {
    if (!holds) {
        complain(asked, what, which);
    }
}

static bool is_remote(const struct asked *asked, const struct ip_addr *addr) {
    for (size_t i = 0; i < asked->address_count; i++) {
        if (ip_compare(&asked->addresses[i], addr) == 0) {
            return true;
        }
    }
    return false;
}

static const char *text_at(const json_t *json, const char *key) {
    return json_string_value(json_object_get(json, key));
}

static bool true_at(const json_t *json, const char *key) {
    return json_is_true(json_object_get(json, key));
}

static bool origin_is(const json_t *json, const char *key, const struct peering_origin *origin) {
    const json_t *shown = json_object_get(json, key);
    return same_text(text_at(shown, "bgpPeer"), origin->bgp_peer) &&
           same_text(text_at(shown, "remoteNode"), origin->remote_node) &&
           true_at(shown, "reverse") == origin->reverse;
}

static bool entry_is(const json_t *json, const struct peering_entry *entry) {
    return same_text(text_at(json, "peerIP"), entry->address_text) &&
           json_integer_value(json_object_get(json, "port")) == entry->port &&
           json_integer_value(json_object_get(json, "asNumber")) == entry->as_number &&
           true_at(json, "withheld") == (entry->password == PASSWORD_WITHHELD) &&
           origin_is(json, "origin", &entry->origin);
}

/* ---- the list's part ---- */

static void check_sessions(const struct asked *asked) {
    const json_t *sessions = json_object_get(asked->json, "sessions");
    const struct peering_entry *first = NULL;
    size_t count = 0, withheld = 0;
    for (size_t i = 0; i < asked->list.entry_count; i++) {
        const struct peering_entry *entry = &asked->list.entries[i];
        if (!is_remote(asked, &entry->address)) {
            continue;
        }
        expect(asked, entry_is(json_array_get(sessions, count), entry), "a session is not the list's",
               entry->address_text);
        first = first != NULL ? first : entry;
        withheld += entry->password == PASSWORD_WITHHELD;
        count++;
    }
    expect(asked, json_array_size(sessions) == count, "it shows sessions that the list does not have", NULL);
    const char *verdict = count == 0 ? "NoSession" : withheld == count ? "Withheld" : "Session";
    expect(asked, same_text(text_at(asked->json, "verdict"), verdict), "the verdict is not", verdict);
    if (first != NULL) {
        char winner[64];
        snprintf(winner, sizeof(winner), first->origin.bgp_peer != NULL ? "by BGPPeer \"%s\"" : "by the mesh",
                 first->origin.bgp_peer);
        expect(asked, strstr(text_at(asked->json, "summary"), winner) != NULL, "the summary does not say",
               winner);
    }
}

static void check_suppressed(const struct asked *asked) {
    const json_t *all = json_object_get(asked->json, "suppressed");
    size_t count = 0;
    for (size_t i = 0; i < asked->list.suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &asked->list.suppressed[i];
        if (is_remote(asked, &suppressed->address)) {
            const json_t *shown = json_array_get(all, count++);
            expect(asked,
                   same_text(text_at(shown, "peerIP"), suppressed->address_text) &&
                       same_text(text_at(shown, "reason"), suppressed->reason) &&
                       origin_is(shown, "origin", &suppressed->origin) &&
                       origin_is(shown, "by", &suppressed->by),
                   "a suppressed entry is not the list's", suppressed->address_text);
        }
    }
    expect(asked, json_array_size(all) == count, "it shows suppressed entries that the list does not have",
           NULL);
}

/* ---- the BGPPeers ---- */

struct became {
    bool session, withheld, suppressed; /* of the rule, with the remote */
    bool forward, reverse;              /* by which way */
    bool elsewhere;                     /* some entry is meant for another node with the same address */
};

/* Whom an entry is meant for: the remote, or a node that is said to share its address. */
static bool is_meant(const struct asked *asked, const struct peering_origin *origin, bool *elsewhere) {
    if (origin->remote_node == NULL || !asked->has_far || strcmp(origin->remote_node, asked->far.node) == 0) {
        return true;
    }
    const json_t *shared = json_object_get(json_object_get(asked->json, "remote"), "sharedWith");
    bool named = false;
    for (size_t i = 0; i < json_array_size(shared); i++) {
        named = named || same_text(json_string_value(json_array_get(shared, i)), origin->remote_node);
    }
    expect(asked, named, "it does not say that the address is also that of", origin->remote_node);
    *elsewhere = true;
    return false;
}

static void note_way(const struct asked *asked, const struct peering_origin *origin, struct became *became) {
    if (is_meant(asked, origin, &became->elsewhere)) {
        became->forward = became->forward || !origin->reverse;
        became->reverse = became->reverse || origin->reverse;
    }
}

static struct became outcome_of(const struct asked *asked, const char *bgp_peer) {
    struct became became = {.session = false};
    for (size_t i = 0; i < asked->list.entry_count; i++) {
        const struct peering_entry *entry = &asked->list.entries[i];
        if (same_text(entry->origin.bgp_peer, bgp_peer) && is_remote(asked, &entry->address)) {
            became.withheld = became.session ? became.withheld : entry->password == PASSWORD_WITHHELD;
            became.session = true;
            note_way(asked, &entry->origin, &became);
        }
    }
    for (size_t i = 0; i < asked->list.suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &asked->list.suppressed[i];
        if (same_text(suppressed->origin.bgp_peer, bgp_peer) && is_remote(asked, &suppressed->address)) {
            became.suppressed = true;
            note_way(asked, &suppressed->origin, &became);
        }
    }
    return became;
}

/* Does the remote have an address of the family (IP_NONE: of any) that is, or is not, this node's own? */
static bool has_address(const struct asked *asked, enum ip_family family, bool own) {
    for (size_t i = 0; i < asked->address_count; i++) {
        const struct ip_addr *addr = &asked->addresses[i];
        const char *text =
            addr->family == IP_V4 ? asked->list.local.ipv4_address : asked->list.local.ipv6_address;
        struct ip_addr local = {.family = IP_NONE};
        bool is_own = text != NULL && ip_parse(text, strlen(text), &local) && ip_compare(&local, addr) == 0;
        if ((family == IP_NONE || addr->family == family) && is_own == own) {
            return true;
        }
    }
    return false;
}

/* The family of the rule's peerIP; IP_NONE when it has none. */
static enum ip_family rule_family(const struct asked *asked, const char *bgp_peer) {
    const struct record *record = snapshot_get(asked->fleet->snapshot, KIND_BGPPEER, bgp_peer);
    const struct bgp_peer_spec *spec = ((const struct bgp_peer *)record->object->body)->spec;
    struct ip_endpoint peer = {.port = 0};
    return spec->peer_ip != NULL && ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &peer)
               ? peer.addr.family
               : IP_NONE;
}

/* Has the remote an address of the family (IP_NONE: of any) of which this node has none? */
static bool lacks_address(const struct asked *asked, enum ip_family family) {
    for (size_t i = 0; i < asked->address_count; i++) {
        enum ip_family has = asked->addresses[i].family;
        const char *own = has == IP_V4 ? asked->list.local.ipv4_address : asked->list.local.ipv6_address;
        if ((family == IP_NONE || family == has) && own == NULL) {
            return true;
        }
    }
    return false;
}

static bool has_problem(const struct asked *asked, const char *bgp_peer, const char *reason) {
    for (size_t i = 0; i < asked->list.problem_count; i++) {
        const struct peering_problem *problem = &asked->list.problems[i];
        if (same_text(problem->bgp_peer, bgp_peer) && same_text(problem->reason, reason)) {
            return true;
        }
    }
    return false;
}

static void check_without_entry(const struct asked *asked, const json_t *rule, const char *name,
                                bool matches) {
    enum ip_family family = rule_family(asked, name);
    const char *outcome = "NoMatch", *reason = NULL;
    if (matches && lacks_address(asked, family)) {
        outcome = "Problem";
        reason = "NoLocalAddress";
        expect(asked, has_problem(asked, name, reason), "the list does not have the problem of", name);
    } else if (matches) {
        outcome = "NoSession";
        reason = has_address(asked, IP_NONE, true) ? "OwnAddress" : "NoRemoteAddress";
        expect(asked, !has_address(asked, family, false), "conditions hold, but nothing came of them", name);
    }
    expect(asked, same_text(text_at(rule, "outcome"), outcome) && same_text(text_at(rule, "reason"), reason),
           "the outcome of a BGPPeer without an entry is wrong", name);
}

static void check_rule(const struct asked *asked, const json_t *rule, const char *name) {
    struct became became = outcome_of(asked, name);
    bool forward = true_at(json_object_get(rule, "forward"), "matches");
    bool reverse = true_at(json_object_get(rule, "reverse"), "matches");
    const char *outcome = text_at(rule, "outcome");
    expect(asked, same_text(text_at(rule, "bgpPeer"), name), "a BGPPeer is not considered", name);
    if (became.session) {
        expect(asked, same_text(outcome, became.withheld ? "Withheld" : "Session"),
               "the outcome of a BGPPeer with a session is wrong", name);
    } else if (became.suppressed) {
        expect(asked, same_text(outcome, "Suppressed"), "the outcome of a BGPPeer that lost is wrong", name);
    } else {
        check_without_entry(asked, rule, name, forward || reverse);
    }
    expect(asked, !became.forward || forward, "it has an entry, but does not match forward", name);
    expect(asked, !became.reverse || reverse, "it has a reverse entry, but does not match in reverse", name);
}

static void check_rules(const struct asked *asked) {
    const json_t *considered = json_object_get(asked->json, "considered");
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, asked->fleet->snapshot, KIND_BGPPEER, NULL);
    size_t i = 0;
    for (; record != NULL; record = snapshot_step(&cursor)) {
        check_rule(asked, json_array_get(considered, i++), record->key);
    }
    expect(asked, json_array_size(considered) == i, "more BGPPeers are considered than there are", NULL);
}

static void check_mesh(const struct asked *asked) {
    struct became became = outcome_of(asked, NULL);
    bool proposed = became.session || became.suppressed;
    bool matches = true_at(json_object_get(asked->json, "mesh"), "matches");
    expect(asked, matches || !proposed || became.elsewhere,
           "the mesh has a session, but its conditions do not hold", NULL);
    expect(asked, proposed || !matches || !has_address(asked, IP_NONE, false),
           "the mesh's conditions hold, but nothing came of them", NULL);
}

/* ---- the far end ---- */

static uint16_t port_or_default(uint16_t port) {
    return port != 0 ? port : PEERING_BGP_PORT;
}

static bool ends_fit(const struct asked *asked, const struct peering_entry *here,
                     const struct peering_entry *there) {
    bool same = here->password == there->password &&
                (here->password != PASSWORD_VALUE || (strcmp(here->secret_key, there->secret_key) == 0 &&
                                                      strcmp(here->secret->key, there->secret->key) == 0));
    return here->as_number == there->local_as_number && here->local_as_number == there->as_number &&
           port_or_default(here->port) == port_or_default(asked->far.local.listen_port) &&
           port_or_default(there->port) == port_or_default(asked->list.local.listen_port) &&
           here->ttl_security == there->ttl_security && same && !(here->passive && there->passive);
}

static const struct peering_entry *find_shown(const struct peering_list *list, const json_t *shown) {
    for (size_t i = 0; i < list->entry_count; i++) {
        if (entry_is(shown, &list->entries[i])) {
            return &list->entries[i];
        }
    }
    return NULL;
}

/* The session that this node has in return for a session of the far end's, or the other way round. */
static bool is_answered(const struct peering_list *list, enum ip_family family,
                        const struct peering_list *by) {
    const char *own = family == IP_V4 ? list->local.ipv4_address : list->local.ipv6_address;
    for (size_t i = 0; own != NULL && i < by->entry_count; i++) {
        if (strcmp(by->entries[i].address_text, own) == 0) {
            return true;
        }
    }
    return false;
}

static void check_far_end(const struct asked *asked) {
    const json_t *far = json_object_get(asked->json, "farEnd");
    if (!asked->has_far || strcmp(asked->far.node, asked->node) == 0) {
        expect(asked, far == NULL, "it has a far end", NULL);
        return;
    }
    const json_t *sessions = json_object_get(far, "sessions");
    size_t count = 0;
    for (size_t i = 0; i < asked->list.entry_count; i++) {
        const struct peering_entry *here = &asked->list.entries[i];
        if (!is_remote(asked, &here->address)) {
            continue;
        }
        const json_t *shown = json_array_get(sessions, count++);
        const json_t *mirror = json_object_get(shown, "session");
        bool answered = is_answered(&asked->list, here->address.family, &asked->far);
        expect(asked, json_is_object(mirror) == answered, "the far end's answer is wrong",
               here->address_text);
        const struct peering_entry *there = answered ? find_shown(&asked->far, mirror) : NULL;
        expect(asked, !answered || there != NULL, "the far end has no such session", here->address_text);
        expect(asked, true_at(shown, "agrees") == (there != NULL && ends_fit(asked, here, there)),
               "whether the ends agree is wrong", here->address_text);
    }
    expect(asked, json_array_size(sessions) == count, "the far end has more sessions", NULL);
    const json_t *unreturned = json_object_get(far, "unreturned");
    for (size_t i = 0; i < json_array_size(unreturned); i++) {
        expect(asked, find_shown(&asked->far, json_array_get(unreturned, i)) != NULL,
               "the far end has no such unreturned session", NULL);
    }
}

/* ---- asking ---- */

static void add_address(struct asked *asked, const char *text) {
    struct ip_addr addr;
    if (text != NULL && ip_parse(text, strlen(text), &addr)) {
        asked->addresses[asked->address_count++] = addr;
    }
}

/* The node of lowest name that owns the address. */
static const char *owner_of(const struct fleet *fleet, const struct ip_addr *addr, struct arena *arena) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, fleet->snapshot, KIND_NODE, NULL);
    for (; record != NULL; record = snapshot_step(&cursor)) {
        struct asked owner = {.address_count = 0};
        struct err err = ERR_INIT;
        fleet_check(peering_compute(fleet->index, record->key, arena, &owner.list, &err), &err);
        add_address(&owner, owner.list.local.ipv4_address);
        add_address(&owner, owner.list.local.ipv6_address);
        if (is_remote(&owner, addr)) {
            return record->key;
        }
    }
    return NULL;
}

static void ask(const struct fleet *fleet, const char *node, const char *remote, uint64_t seed) {
    struct asked asked = {.fleet = fleet, .seed = seed, .node = node, .remote = remote};
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    struct arena arena;
    arena_init(&arena, 16384);
    fleet_check(peering_compute(fleet->index, node, &arena, &asked.list, &err), &err);
    const char *far = remote;
    if (peering_index_slot(fleet->index, remote) < 0) {
        add_address(&asked, remote);
        far = owner_of(fleet, &asked.addresses[0], &arena);
    }
    if (far != NULL) {
        fleet_check(peering_compute(fleet->index, far, &arena, &asked.far, &err), &err);
        asked.has_far = true;
    }
    if (far == remote) {
        add_address(&asked, asked.far.local.ipv4_address);
        add_address(&asked, asked.far.local.ipv6_address);
    }
    fleet_check(peering_explain(fleet->index, node, remote, &out, &err), &err);
    asked.json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(asked.json);
    check_sessions(&asked);
    check_suppressed(&asked);
    check_rules(&asked);
    check_mesh(&asked);
    check_far_end(&asked);
    json_decref(asked.json);
    buf_done(&out);
    arena_done(&arena);
}

static size_t ask_everything(const struct fleet *fleet, uint64_t seed) {
    static const char *const addresses[] = {
        "10.0.0.1",     "10.0.0.2", "10.0.0.9", "10.0.0.10", "10.0.1.1",    "fd00::1",     "192.0.2.1",
        "2001:db8::ff", "fd00::2",  "fd00::9",  "10.0.1.2",  "203.0.113.9", "2001:db8::5", "172.16.0.5"};
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, fleet->snapshot, KIND_NODE, NULL);
    size_t questions = 0;
    for (; node != NULL; node = snapshot_step(&cursor)) {
        struct snapshot_cursor inner;
        const struct record *other = snapshot_seek(&inner, fleet->snapshot, KIND_NODE, NULL);
        for (; other != NULL; other = snapshot_step(&inner), questions++) {
            ask(fleet, node->key, other->key, seed);
        }
        for (size_t i = 0; i < COUNT_OF(addresses); i++, questions++) {
            ask(fleet, node->key, addresses[i], seed);
        }
    }
    return questions;
}

static size_t run_fleet(uint64_t seed) {
    struct dice dice = {seed};
    struct fleet fleet;
    size_t questions = 0;
    fleet_init(&fleet);
    for (size_t step = 0; step < FLEET_STEPS; step++) {
        random_step(&dice, &fleet);
        if (step % CHECK_EVERY == CHECK_EVERY - 1) {
            questions += ask_everything(&fleet, seed);
        }
    }
    fleet_done(&fleet);
    return questions;
}

static void explanations_are_true(void **state) {
    (void)state;
    uint64_t fresh = random_u64();
    size_t questions = 0;
    print_message("fresh seed %" PRIu64 "\n", fresh);
    for (uint64_t seed = 0; seed < FLEETS; seed++) {
        questions += run_fleet(seed);
        questions += run_fleet(fresh + seed);
    }
    print_message("%zu questions\n", questions);
    assert_true(questions > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explanations_are_true),
    };
    return cmocka_run_group_tests_name("peering: explanations", tests, start_random, NULL);
}
