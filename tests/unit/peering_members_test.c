/*
 * The tables of members, one row at a time: each member alone is changed, and must be seen where it counts. A
 * row or a column entry that is dropped fails here; so does a new field of a BGPPeer that is in no case.
 */
#include "peering_fixture.h"

#include <jansson.h>

#include "peering/members.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- changes of a BGPPeer, field by field ---- */

/*
 * A value of each field and another one, in a BGPPeer of node `n` with a spec in which it matters; what
 * changes in whose list. `member` NULL: sessions come or go instead.
 */
static const struct spec_case {
    const char *field;
    const char *base; /* the rest of the spec */
    const char *before;
    const char *after;
    const char *member;
    bool other; /* seen in the list of node `m`, which both selectors can match */
} SPEC_CASES[] = {
    {"node", "'peerIP':'192.0.2.1','asNumber':1", "'node':'n'", "'node':'m'", NULL, false},
    {"nodeSelector", "'peerIP':'192.0.2.1','asNumber':1", "'nodeSelector':'has(n)'",
     "'nodeSelector':'has(m)'", NULL, false},
    {"peerIP", "'asNumber':1", "'peerIP':'192.0.2.1'", "'peerIP':'192.0.2.2'", NULL, false},
    {"asNumber", "'peerIP':'192.0.2.1'", "'asNumber':1", "'asNumber':2", "asNumber", false},
    {"localASNumber", "'peerIP':'192.0.2.1','asNumber':1", "'localASNumber':5", "'localASNumber':6",
     "localASNumber", false},
    {"peerSelector", "'node':'n'", "'peerSelector':'has(m)'", "'peerSelector':'has(none)'", NULL, false},
    {"keepOriginalNextHop", "'peerIP':'192.0.2.1','asNumber':1", "'keepOriginalNextHop':false",
     "'keepOriginalNextHop':true", "nextHop", false},
    {"nextHopMode", "'peerIP':'192.0.2.1','asNumber':1", "'nextHopMode':'Self'", "'nextHopMode':'Keep'",
     "nextHop", false},
    {"password", "'peerIP':'192.0.2.1','asNumber':1", "'password':{'secretKeyRef':{'name':'s','key':'a'}}",
     "'password':{'secretKeyRef':{'name':'s','key':'b'}}", "passwordFingerprint", false},
    {"sourceAddress", "'peerIP':'192.0.2.1','asNumber':1", "'sourceAddress':'UseNodeIP'",
     "'sourceAddress':'None'", "sourceAddress", false},
    {"maxRestartTime", "'peerIP':'192.0.2.1','asNumber':1", "'maxRestartTime':'10s'",
     "'maxRestartTime':'20s'", "maxRestartTimeSeconds", false},
    {"keepaliveTime", "'peerIP':'192.0.2.1','asNumber':1", "'keepaliveTime':'10s'", "'keepaliveTime':'20s'",
     "keepaliveTimeSeconds", false},
    {"numAllowedLocalASNumbers", "'peerIP':'192.0.2.1','asNumber':1", "'numAllowedLocalASNumbers':1",
     "'numAllowedLocalASNumbers':2", "numAllowedLocalASNumbers", false},
    {"ttlSecurity", "'peerIP':'192.0.2.1','asNumber':1", "'ttlSecurity':1", "'ttlSecurity':2", "ttlSecurity",
     false},
    {"reachableBy", "'peerIP':'192.0.2.1','asNumber':1", "'reachableBy':'10.0.0.8'",
     "'reachableBy':'10.0.0.9'", "reachableBy", false},
    {"filters", "'peerIP':'192.0.2.1','asNumber':1", "'filters':['f']", "'filters':['g']", "filters", false},
    {"localWorkloadSelector", "'asNumber':1,'peerIP':'192.0.2.1'", "'localWorkloadSelector':''",
     "'localWorkloadSelector':'x'", NULL, false},
    {"reversePeering", "'node':'n','peerSelector':'has(m)'", "'reversePeering':'Auto'",
     "'reversePeering':'Manual'", NULL, true},
};

/* Single quotes in place of double ones. */
static void put(struct fleet *fleet, enum kind kind, const char *text) {
    char json[1024];
    assert_true(strlen(text) < sizeof(json));
    for (size_t i = 0; i <= strlen(text); i++) {
        json[i] = text[i] == '\'' ? '"' : text[i];
    }
    fleet_put(fleet, kind, json);
}

static void put_peer(struct fleet *fleet, const char *base, const char *field) {
    char json[512];
    snprintf(json, sizeof(json), "{'metadata':{'name':'p'},'spec':{%s,%s}}", base, field);
    put(fleet, KIND_BGPPEER, json);
}

static void fleet_of_two(struct fleet *fleet) {
    struct password passwords[] = {{"a", "one", 3}, {"b", "two", 3}};
    fleet_init(fleet);
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'default'},'spec':{'nodeToNodeMeshEnabled':false}}");
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'n','labels':{'n':''}},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'m','labels':{'m':''}},'spec':{'bgp':{'ipv4Address':'10.0.0.2'}}}");
    put(fleet, KIND_BGPFILTER, "{'metadata':{'name':'f'},'spec':{}}");
    put(fleet, KIND_BGPFILTER, "{'metadata':{'name':'g'},'spec':{}}");
    fleet_put_secret(fleet, "s", passwords, 2);
}

/* A text of json_dumps comes from the allocator that codec has set. */
static void free_text(char *text) {
    json_malloc_t unused;
    json_free_t give_back;
    json_get_alloc_funcs(&unused, &give_back);
    give_back(text);
}

static json_t *diff_of(const struct peering_index *before, const struct peering_index *after,
                       const char *name, struct peering_diff *ret) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list old_list;
    struct peering_list new_list;
    struct buf out = BUF_INIT;
    arena_init(&arena, 0);
    fleet_check(peering_compute(before, name, &arena, &old_list, &err), &err);
    fleet_check(peering_compute(after, name, &arena, &new_list, &err), &err);
    peering_encode_diff(&old_list, &new_list, NULL, &out, ret);
    assert_false(buf_failed(&out));
    json_t *json = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(json);
    buf_done(&out);
    arena_done(&arena);
    return json;
}

static bool shows_field(const json_t *diff, const char *member) {
    size_t i;
    json_t *field;
    json_array_foreach(json_object_get(json_array_get(json_object_get(diff, "changed"), 0), "fields"), i,
                       field) {
        if (strcmp(json_string_value(json_object_get(field, "field")), member) == 0) {
            return true;
        }
    }
    return false;
}

static void check_spec_case(const struct spec_case *one) {
    struct fleet fleet;
    struct peering_diff diff;
    const char *seen_by = one->other ? "m" : "n";
    fleet_of_two(&fleet);
    put_peer(&fleet, one->base, one->before);
    struct peering_index *before = peering_index_ref(fleet.index);
    put_peer(&fleet, one->base, one->after);
    if (!node_set_has(fleet.affected, (uint32_t)peering_index_slot(fleet.index, seen_by))) {
        fail_msg("a change of %s does not affect the list that shows it", one->field);
    }
    json_t *json = diff_of(before, fleet.index, seen_by, &diff);
    bool seen = one->member != NULL ? diff.changed == 1 && shows_field(json, one->member)
                                    : diff.added + diff.removed > 0;
    if (!seen) {
        fail_msg("a change of %s is not shown: %s", one->field, json_dumps(json, 0));
    }
    json_decref(json);
    peering_index_unref(before);
    fleet_done(&fleet);
}

static void every_field_of_a_peer_is_seen(void **state) {
    (void)state;
    for (size_t i = 0; i < bgp_peer_spec_schema.field_count; i++) {
        size_t cases = 0;
        for (size_t k = 0; k < COUNT_OF(SPEC_CASES); k++) {
            if (strcmp(SPEC_CASES[k].field, bgp_peer_spec_schema.fields[i].name) == 0) {
                check_spec_case(&SPEC_CASES[k]);
                cases++;
            }
        }
        if (cases == 0) {
            fail_msg("BGPPeer has a field %s: say here what it changes", bgp_peer_spec_schema.fields[i].name);
        }
    }
    assert_int_equal(COUNT_OF(SPEC_CASES), bgp_peer_spec_schema.field_count);
}

/* ---- what says the same as absence ---- */

static void absence_has_its_equals(void **state) {
    (void)state;
    static const struct {
        const char *base;
        const char *field;
    } cases[] = {
        {"'peerIP':'192.0.2.1'", "'asNumber':0"},
        {"'peerIP':'192.0.2.1'", "'localASNumber':0"},
        {"'peerIP':'192.0.2.1'", "'keepOriginalNextHop':false"},
        {"'peerIP':'192.0.2.1'", "'nextHopMode':''"},
        {"'peerIP':'192.0.2.1'", "'sourceAddress':'UseNodeIP'"},
        {"'peerIP':'192.0.2.1'", "'numAllowedLocalASNumbers':0"},
        {"'peerIP':'192.0.2.1'", "'ttlSecurity':0"},
        {"'peerIP':'192.0.2.1'", "'reversePeering':'Auto'"},
        {"'peerIP':'192.0.2.1'", "'filters':[]"},
        {"'peerIP':'192.0.2.1'", "'password':{}"},
        {"'peerIP':'192.0.2.1'", "'node':''"},
        {"'peerIP':'192.0.2.1','password':{'secretKeyRef':{'name':'s','key':'a'}}",
         "'password':{'secretKeyRef':{'name':'s','key':'a','optional':false}}"},
        {"'peerIP':'192.0.2.1','maxRestartTime':'60s'", "'maxRestartTime':'1m'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fleet fleet;
        struct peering_diff diff;
        fleet_of_two(&fleet);
        put_peer(&fleet, cases[i].base, "'reachableBy':''");
        struct peering_index *before = peering_index_ref(fleet.index);
        put_peer(&fleet, cases[i].base, cases[i].field);
        json_t *json = diff_of(before, fleet.index, "n", &diff);
        if (node_set_count(fleet.affected) > 0 || !peering_diff_is_empty(&diff)) {
            fail_msg("%s is not the same as its absence", cases[i].field);
        }
        json_decref(json);
        peering_index_unref(before);
        fleet_done(&fleet);
    }
}

/* ---- the rows ---- */

static const struct secret_value SECRET_A = {.key = "k", .fingerprint = "aaaaaaaaaaaaaaaa"};
static const struct secret_value SECRET_B = {.key = "k", .fingerprint = "bbbbbbbbbbbbbbbb"};
static const char *const TEXTS_A[] = {"a"};
static const char *const TEXTS_B[] = {"b"};

static struct peering_entry plain_entry(void) {
    return (struct peering_entry){
        .address = {.family = IP_V4, .bytes = {192, 0, 2, 1}},
        .address_text = "192.0.2.1",
        .port = 500,
        .as_number = 1,
        .local_as_number = 2,
        .external = true,
        .source_address = "10.0.0.1",
        .ttl_security = 1,
        .max_restart_time_s = 10,
        .keepalive_time_s = 10,
        .next_hop = "Self",
        .route_reflector_cluster_id = "244.0.0.1",
        .num_allowed_local_as_numbers = 1,
        .filter_count = 1,
        .filters = TEXTS_A,
        .reachable_by = "10.0.0.8",
        .password = PASSWORD_VALUE,
        .secret = &SECRET_A,
        .origin = {.bgp_peer = "p", .scope = SCOPE_NODE},
    };
}

/* Change the one member. */
static void change_member(struct peering_entry *entry, const char *name) {
    const struct {
        const char *name;
        struct peering_entry with;
    } changes[] = {
        {"family", {.address = {.family = IP_V6}}},
        {"peerIP", {.address_text = "192.0.2.9"}},
        {"port", {.port = 501}},
        {"asNumber", {.as_number = 7}},
        {"localASNumber", {.local_as_number = 7}},
    };
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        if (strcmp(changes[i].name, name) == 0) {
            const struct peering_entry *with = &changes[i].with;
            entry->address.family = with->address.family != 0 ? with->address.family : entry->address.family;
            if (with->address_text[0] != '\0') {
                memcpy(entry->address_text, with->address_text, sizeof(entry->address_text));
            }
            entry->port = with->port != 0 ? with->port : entry->port;
            entry->as_number = with->as_number != 0 ? with->as_number : entry->as_number;
            entry->local_as_number =
                with->local_as_number != 0 ? with->local_as_number : entry->local_as_number;
            return;
        }
    }
    if (strcmp(name, "type") == 0) {
        entry->external = false;
    } else if (strcmp(name, "sourceAddress") == 0) {
        entry->source_address = NULL;
    } else if (strcmp(name, "passwordFingerprint") == 0) {
        entry->secret = &SECRET_B;
    } else if (strcmp(name, "ttlSecurity") == 0) {
        entry->ttl_security = 2;
    } else if (strcmp(name, "maxRestartTimeSeconds") == 0) {
        entry->max_restart_time_s = -1;
    } else if (strcmp(name, "keepaliveTimeSeconds") == 0) {
        entry->keepalive_time_s = 0;
    } else if (strcmp(name, "nextHop") == 0) {
        entry->next_hop = "Keep";
    } else if (strcmp(name, "routeReflectorClusterID") == 0) {
        entry->route_reflector_cluster_id = "244.0.0.2";
    } else if (strcmp(name, "numAllowedLocalASNumbers") == 0) {
        entry->num_allowed_local_as_numbers = 2;
    } else if (strcmp(name, "passive") == 0) {
        entry->passive = true;
    } else if (strcmp(name, "filters") == 0) {
        entry->filters = TEXTS_B;
    } else if (strcmp(name, "reachableBy") == 0) {
        entry->reachable_by = "10.0.0.9";
    } else if (strcmp(name, "withheld") == 0) {
        entry->password = PASSWORD_WITHHELD;
    } else if (strcmp(name, "origin") == 0) {
        entry->origin.remote_node = "r";
    } else {
        fail_msg("member %s: say here how it changes", name);
    }
}

/*
 * What the daemons were seen to do, once more: B BIRD, F FRR, G GoBGP, O OpenBGPD that restart the session or
 * must be made to; of a node that has told nobody what it runs, `disruptive` is B or F. `mirrored`: the two
 * ends must agree.
 */
static const struct row {
    const char *name;
    const char *daemons;
    bool mirrored;
} ROWS[] = {
    {"family", "BFGO", false},
    {"peerIP", "BFGO", false},
    {"port", "BFGO", true},
    {"asNumber", "BFGO", true},
    {"localASNumber", "BFGO", true},
    {"type", "BFGO", false},
    {"sourceAddress", "BFGO", false},
    {"passwordFingerprint", "BFGO", true},
    {"ttlSecurity", "BFGO", true},
    {"maxRestartTimeSeconds", "BG", false},
    {"keepaliveTimeSeconds", "B", false},
    {"nextHop", "", false},
    {"routeReflectorClusterID", "BFGO", false},
    {"numAllowedLocalASNumbers", "BG", false},
    {"passive", "BFGO", true},
    {"filters", "G", false},
    {"reachableBy", "", false},
    {"withheld", "BFGO", false},
    {"origin", "", false},
};

static void check_effects(const struct peering_member *member, const char *daemons) {
    static const char letters[MEMBER_DAEMON_COUNT] = {'B', 'F', 'G', 'O'};
    for (size_t d = 0; d < MEMBER_DAEMON_COUNT; d++) {
        if (peering_member_costs(member, 1u << d) != (strchr(daemons, letters[d]) != NULL)) {
            fail_msg("%s: daemon %c", member->name, letters[d]);
        }
    }
}

static void every_row_is_compared_and_counted(void **state) {
    (void)state;
    assert_int_equal(COUNT_OF(ROWS), peering_entry_member_count);
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        const struct peering_member *member = &peering_entry_members[i];
        struct peering_entry before = plain_entry();
        struct peering_entry after = plain_entry();
        assert_string_equal(member->name, ROWS[i].name);
        check_effects(member, ROWS[i].daemons);
        assert_int_equal(member->mirror != MIRROR_NONE, ROWS[i].mirrored);
        for (size_t k = 0; k < peering_entry_member_count; k++) {
            assert_true(peering_member_equal(&peering_entry_members[k], &before, &after));
        }
        change_member(&after, member->name);
        if (peering_member_equal(member, &before, &after)) {
            fail_msg("%s: a difference is not seen", member->name);
        }
        assert_int_equal(peering_member_disrupts(member, &before, &after, ~0u), ROWS[i].daemons[0] != '\0');
        bool costs = strpbrk(ROWS[i].daemons, "BF") != NULL;
        /* In the comparison of lists, one session that differs in this alone (an address makes it another).
         */
        struct peering_list a = {.entry_count = 1, .entries = &before};
        struct peering_list b = {.entry_count = 1, .entries = &after};
        struct peering_diff diff;
        peering_compare(&a, &b, NULL, NULL, NULL, &diff);
        bool moved = diff.added == 1 && diff.removed == 1 && strcmp(member->name, "family") == 0;
        if (!moved && (diff.changed != 1 || diff.disruptive != costs)) {
            fail_msg("%s: changed %zu, disruptive %zu", member->name, diff.changed, diff.disruptive);
        }
    }
}

/* ---- both ends ---- */

/* What one end's BGPPeer (node `n`, towards `m`) says, so that one mirrored member does not fit the other
 * end's. */
static const struct end_case {
    const char *member;
    const char *field; /* of the BGPPeer */
    const char *there; /* of the other end's; "" for nothing */
    const char *shown; /* in the explanation */
} END_CASES[] = {
    {"port", "'peerIP':'10.0.0.2:1790'", "", "port of the remote"},
    {"asNumber", "'peerIP':'10.0.0.2','asNumber':7", "", "AS of the remote"},
    {"localASNumber", "'peerIP':'10.0.0.2','localASNumber':7", "", "AS of this node"},
    {"passwordFingerprint", "'peerIP':'10.0.0.2','password':{'secretKeyRef':{'name':'s','key':'a'}}",
     ",'password':{'secretKeyRef':{'name':'s','key':'b'}}", "password"},
    {"ttlSecurity", "'peerIP':'10.0.0.2','ttlSecurity':2", ",'ttlSecurity':3", "ttlSecurity"},
};
static const char NOT_MIRRORED[] =
    "'peerIP':'10.0.0.2','maxRestartTime':'1s','keepaliveTime':'2s','nextHopMode':'Self',"
    "'filters':['f'],'sourceAddress':'None','numAllowedLocalASNumbers':1,"
    "'reachableBy':'10.0.0.9'";

/* The differences that an explanation of the session between the two shows, as JSON text. free() it. */
static char *differences(const char *here, const char *there) {
    struct fleet fleet;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    char json[512];
    fleet_of_two(&fleet);
    snprintf(json, sizeof(json), "{'metadata':{'name':'p'},'spec':{'node':'n','reversePeering':'Manual',%s}}",
             here);
    put(&fleet, KIND_BGPPEER, json);
    snprintf(json, sizeof(json),
             "{'metadata':{'name':'q'},'spec':{'node':'m','reversePeering':'Manual','peerIP':'10.0.0.1'%s}}",
             there);
    put(&fleet, KIND_BGPPEER, json);
    fleet_check(peering_explain(fleet.index, "n", "m", &out, &err), &err);
    json_t *document = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(document);
    const json_t *session =
        json_array_get(json_object_get(json_object_get(document, "farEnd"), "sessions"), 0);
    const json_t *list = json_object_get(session, "differences");
    assert_non_null(list);
    char *text = json_dumps(list, JSON_COMPACT);
    char *copy = strdup(text);
    free_text(text);
    json_decref(document);
    buf_done(&out);
    fleet_done(&fleet);
    return copy;
}

static void what_is_mirrored_is_asked_of_both_ends(void **state) {
    (void)state;
    size_t asked = 0;
    for (size_t i = 0; i < COUNT_OF(END_CASES); i++) {
        char *text = differences(END_CASES[i].field, END_CASES[i].there);
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\"field\":\"%s\"", END_CASES[i].shown);
        if (strstr(text, wanted) == NULL) {
            fail_msg("%s: %s", END_CASES[i].member, text);
        }
        free(text);
        asked++;
    }
    char *text = differences(NOT_MIRRORED, "");
    assert_string_equal(text, "[]");
    free(text);
    size_t mirrored = 0;
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        mirrored += peering_entry_members[i].mirror != MIRROR_NONE;
    }
    assert_int_equal(asked + 1, mirrored); /* two passive ends have a case of their own, below */
}

/* Two ends that both wait for the other are no session; nothing in a BGPPeer can make them so. */
static void only_one_end_may_be_passive(void **state) {
    (void)state;
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        bool passive = strcmp(peering_entry_members[i].name, "passive") == 0;
        assert_int_equal(peering_entry_members[i].mirror == MIRROR_NOT_BOTH, passive);
    }
}

/* 179 is what a daemon uses by itself, and no configuration of ours says it. */
static void a_port_of_179_is_no_port(void **state) {
    (void)state;
    const struct peering_member *port = &peering_entry_members[2];
    struct peering_entry before = plain_entry();
    struct peering_entry after = plain_entry();
    before.port = 0;
    after.port = PEERING_BGP_PORT;
    assert_false(peering_member_equal(port, &before, &after)); /* it is written */
    assert_false(peering_member_disrupts(port, &before, &after, ~0u));
    after.port = 1790;
    assert_true(peering_member_disrupts(port, &before, &after, ~0u));
}

/* ---- `local` ---- */

/* A change of the node itself, and what it does to the session that the node has. */
static const struct local_case {
    const char *member;
    enum kind kind;
    const char *before;
    const char *after;
    bool disruptive;
} LOCAL_CASES[] = {
    {"asNumber", KIND_NODE, "'ipv4Address':'10.0.0.1','asNumber':5", "'ipv4Address':'10.0.0.1','asNumber':6",
     true},
    {"ipv4Address", KIND_NODE, "'ipv4Address':'10.0.0.1','routerID':'1.1.1.1'",
     "'ipv4Address':'10.0.0.3','routerID':'1.1.1.1'", false},
    {"ipv6Address", KIND_NODE, "'ipv4Address':'10.0.0.1','ipv6Address':'fd00::1'",
     "'ipv4Address':'10.0.0.1','ipv6Address':'fd00::2'", false},
    {"routerID", KIND_NODE, "'ipv4Address':'10.0.0.1'", "'ipv4Address':'10.0.0.1','routerID':'1.1.1.1'",
     true},
    {"routeReflectorClusterID", KIND_NODE, "'ipv4Address':'10.0.0.1'",
     "'ipv4Address':'10.0.0.1','routeReflectorClusterID':'244.0.0.1'", false},
    {"listenPort", KIND_BGPCONFIGURATION, "'listenPort':1790", "'listenPort':1791", true},
    {"listenPort", KIND_BGPCONFIGURATION, "'listenPort':179", "'logSeverityScreen':''", false},
    {"logSeverity", KIND_BGPCONFIGURATION, "'logSeverityScreen':'Info'", "'logSeverityScreen':'Debug'",
     false},
    {"bindMode", KIND_BGPCONFIGURATION, "'bindMode':'None'", "'bindMode':'NodeIP'", true},
    {"ignoredInterfaces", KIND_BGPCONFIGURATION, "'ignoredInterfaces':['a']", "'ignoredInterfaces':['b']",
     false},
};

static void put_local(struct fleet *fleet, const struct local_case *one, const char *text) {
    char json[512];
    snprintf(json, sizeof(json),
             one->kind == KIND_NODE ? "{'metadata':{'name':'n'},'spec':{'bgp':{%s}}}"
                                    : "{'metadata':{'name':'node.n'},'spec':{%s}}",
             text);
    put(fleet, one->kind, json);
}

static const json_t *local_field(const json_t *diff, const char *member) {
    size_t i;
    json_t *field;
    json_array_foreach(json_object_get(diff, "local"), i, field) {
        if (strcmp(json_string_value(json_object_get(field, "field")), member) == 0) {
            return field;
        }
    }
    return NULL;
}

static void check_local_case(const struct local_case *one) {
    struct fleet fleet;
    struct peering_diff diff;
    fleet_init(&fleet);
    put(&fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    /* Bound to nothing that changes, so that `local` alone decides. */
    put(&fleet, KIND_BGPPEER,
        "{'metadata':{'name':'p'},'spec':{'peerIP':'192.0.2.1','asNumber':1,'localASNumber':2,'sourceAddress'"
        ":'None'}}");
    put_local(&fleet, one, one->before);
    struct peering_index *before = peering_index_ref(fleet.index);
    put_local(&fleet, one, one->after);
    assert_true(node_set_has(fleet.affected, (uint32_t)peering_index_slot(fleet.index, "n")));
    json_t *json = diff_of(before, fleet.index, "n", &diff);
    const json_t *field = local_field(json, one->member);
    if (field == NULL || json_is_true(json_object_get(field, "disruptive")) != one->disruptive ||
        diff.disruptive != (one->disruptive ? 1 : 0)) {
        fail_msg("%s: %s", one->member, json_dumps(json, 0));
    }
    assert_int_equal(json_array_size(json_object_get(json, "changed")), one->disruptive ? 1 : 0);
    assert_true(diff.others > 0);
    json_decref(json);
    peering_index_unref(before);
    fleet_done(&fleet);
}

static void the_node_itself_is_compared(void **state) {
    (void)state;
    for (size_t i = 0; i < peering_local_member_count; i++) {
        size_t cases = 0;
        for (size_t k = 0; k < COUNT_OF(LOCAL_CASES); k++) {
            cases += strcmp(LOCAL_CASES[k].member, peering_local_members[i].name) == 0;
        }
        assert_true(cases > 0);
    }
    for (size_t k = 0; k < COUNT_OF(LOCAL_CASES); k++) {
        check_local_case(&LOCAL_CASES[k]);
    }
}

static void filters_and_prefixes_are_compared(void **state) {
    (void)state;
    struct fleet fleet;
    struct peering_diff diff;
    fleet_of_two(&fleet);
    put_peer(&fleet, "'peerIP':'192.0.2.1'", "'filters':['f']");
    put(&fleet, KIND_NODE,
        "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1','prefixAdvertisements':[{'cidr':'"
        "10.1.0.0/24'},"
        "{'cidr':'10.2.0.0/24'}]}}}");
    struct peering_index *before = peering_index_ref(fleet.index);
    put(&fleet, KIND_BGPFILTER, "{'metadata':{'name':'f'},'spec':{'importV4':[{'action':'Reject'}]}}");
    put(&fleet, KIND_NODE,
        "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1','prefixAdvertisements':[{'cidr':'"
        "10.1.0.0/24',"
        "'communities':['65000:1']},{'cidr':'10.3.0.0/24'}]}}}");
    json_t *json = diff_of(before, fleet.index, "n", &diff);
    assert_int_equal(diff.others, 4);
    assert_int_equal(diff.changed + diff.disruptive, 0);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(strstr(text, "\"filters\":[{\"name\":\"f\",\"change\":\"changed\"}]"));
    assert_non_null(strstr(
        text, "\"advertise\":[{\"cidr\":\"10.1.0.0/24\",\"change\":\"changed\"},{\"cidr\":\"10.2.0.0/24\","
              "\"change\":\"removed\"},{\"cidr\":\"10.3.0.0/24\",\"change\":\"added\"}]"));
    assert_null(json_object_get(json, "local"));
    free_text(text);
    json_decref(json);
    peering_index_unref(before);
    fleet_done(&fleet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_peer_is_seen),
        cmocka_unit_test(absence_has_its_equals),
        cmocka_unit_test(every_row_is_compared_and_counted),
        cmocka_unit_test(what_is_mirrored_is_asked_of_both_ends),
        cmocka_unit_test(only_one_end_may_be_passive),
        cmocka_unit_test(a_port_of_179_is_no_port),
        cmocka_unit_test(the_node_itself_is_compared),
        cmocka_unit_test(filters_and_prefixes_are_compared),
    };
    return cmocka_run_group_tests_name("peering: members", tests, NULL, NULL);
}
