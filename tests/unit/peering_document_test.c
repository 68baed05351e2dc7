/*
 * The documents of the peering room: the list, its differences, one BGPPeer's sessions, explanations.
 */
#include "peering_fixture.h"

#include <jansson.h>

#include "base/alloc.h"

static void put_node(struct fleet *fleet, const char *name, const char *site, const char *bgp) {
    char json[512];
    snprintf(json, sizeof(json),
             "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"site\":\"%s\"}},\"spec\":{\"bgp\":{%s}}}", name,
             site, bgp);
    fleet_put(fleet, KIND_NODE, json);
}

static void put_peer(struct fleet *fleet, const char *name, const char *spec) {
    char json[1024];
    snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s}}", name, spec);
    fleet_put(fleet, KIND_BGPPEER, json);
}

static void set_mesh(struct fleet *fleet, bool on) {
    fleet_put(fleet, KIND_BGPCONFIGURATION,
              on ? "{\"metadata\":{\"name\":\"default\"},\"spec\":{}}"
                 : "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}");
}

/* Nodes alpha (v4 and v6, a route reflector), beta and gamma (v4). No mesh. */
static int setup(void **state) {
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    if (fleet == NULL) {
        return -1;
    }
    fleet_init(fleet);
    set_mesh(fleet, false);
    put_node(fleet, "alpha", "x",
             "\"ipv4Address\":\"198.51.100.1/24\",\"ipv6Address\":\"2001:db8::1\","
             "\"routeReflectorClusterID\":\"244.0.0.1\"");
    put_node(fleet, "beta", "y", "\"ipv4Address\":\"198.51.100.2/24\"");
    put_node(fleet, "gamma", "y", "\"ipv4Address\":\"198.51.100.3/24\"");
    *state = fleet;
    return 0;
}

static int teardown(void **state) {
    fleet_done(*state);
    free(*state);
    return 0;
}

static json_t *parse(const struct buf *text) {
    assert_false(buf_failed(text));
    json_error_t error;
    json_t *json = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        fail_msg("%s\n%.*s", error.text, (int)text->len, text->data);
    }
    return json;
}

/* The text at a path of members and indexes: "items.0.peerIP"; NULL: not there. */
static const json_t *at(const json_t *json, const char *path) {
    while (json != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        char key[64];
        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        json =
            json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10)) : json_object_get(json, key);
        path += len + (path[len] == '.');
    }
    return json;
}

static void assert_text(const json_t *json, const char *path, const char *expected) {
    const char *text = json_string_value(at(json, path));
    if (text == NULL || strcmp(text, expected) != 0) {
        fail_msg("%s is \"%s\", not \"%s\"", path, text != NULL ? text : "(none)", expected);
    }
}

/* ---- the list ---- */

static void a_list_has_this_text(void **state) {
    struct fleet *fleet = *state;
    struct password passwords[] = {{"k", "secret", 6}};
    fleet_put_secret(fleet, "s", passwords, 1);
    fleet_put(fleet, KIND_BGPFILTER, "{\"metadata\":{\"name\":\"f\"},\"spec\":{}}");
    put_peer(
        fleet, "full",
        "\"peerIP\":\"[2001:DB8::ff]:1790\",\"asNumber\":65001,\"localASNumber\":65001,\"ttlSecurity\":2,"
        "\"maxRestartTime\":\"90s\",\"keepaliveTime\":\"20s\",\"nextHopMode\":\"Self\",\"filters\":[\"f\","
        "\"g\"],"
        "\"numAllowedLocalASNumbers\":1,\"reachableBy\":\"2001:db8:0::fe\","
        "\"password\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}");
    put_peer(fleet, "plain", "\"node\":\"alpha\",\"peerIP\":\"2001:db8::ff:0:0\",\"asNumber\":65002");
    put_peer(fleet, "second", "\"node\":\"alpha\",\"peerIP\":\"[2001:db8::ff]:1790\",\"asNumber\":65001");
    char *text = list_text(fleet->index, "alpha", NULL);
    assert_string_equal(
        text,
        "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringList\",\"metadata\":{\"node\":\"alpha\"},"
        "\"local\":{\"asNumber\":64512,\"ipv4Address\":\"198.51.100.1\",\"ipv6Address\":\"2001:db8::1\","
        "\"routerID\":\"198.51.100.1\",\"routeReflectorClusterID\":\"244.0.0.1\"},"
        "\"items\":[{\"family\":\"IPv6\",\"peerIP\":\"2001:db8::ff\",\"port\":1790,\"asNumber\":65001,"
        "\"localASNumber\":65001,\"type\":\"internal\",\"sourceAddress\":\"2001:db8::1\","
        "\"passwordFingerprint\":\"ab23f0eec020c951\",\"ttlSecurity\":2,\"maxRestartTimeSeconds\":90,"
        "\"keepaliveTimeSeconds\":20,\"nextHop\":\"Self\",\"routeReflectorClusterID\":\"244.0.0.1\","
        "\"numAllowedLocalASNumbers\":1,\"filters\":[\"f\"],\"reachableBy\":\"2001:db8::fe\","
        "\"origin\":{\"bgpPeer\":\"full\",\"scope\":\"Global\"}},"
        "{\"family\":\"IPv6\",\"peerIP\":\"2001:db8::ff:0:0\",\"asNumber\":65002,\"localASNumber\":64512,"
        "\"type\":\"external\",\"sourceAddress\":\"2001:db8::1\","
        "\"origin\":{\"bgpPeer\":\"plain\",\"scope\":\"Node\"}}],"
        "\"filters\":{\"f\":{}},\"advertise\":[],"
        "\"suppressed\":[{\"peerIP\":\"2001:db8::ff\",\"port\":1790,\"origin\":{\"bgpPeer\":\"second\","
        "\"scope\":\"Node\"},"
        "\"by\":{\"bgpPeer\":\"full\",\"scope\":\"Global\"},\"reason\":\"GlobalPeeringExists\"}],"
        "\"problems\":[{\"reason\":\"FilterNotFound\",\"bgpPeer\":\"full\",\"peerIP\":\"2001:db8::ff\","
        "\"message\":\"BGPFilter \\\"g\\\" of BGPPeer \\\"full\\\" does not exist, so it is left out of its "
        "session with "
        "2001:db8::ff. Create it, or remove its name from spec.filters.\"}]}");
    free(text);
}

struct reveals {
    size_t asked;
    bool fails;
};

static int reveal_counted(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err) {
    struct reveals *reveals = arg;
    reveals->asked++;
    assert_string_equal(entry->secret_key, "default/s");
    buf_add_str(out, "tab\t");
    return reveals->fails ? err_set(err, ERR_CORRUPT, "sealed") : 0;
}

static json_t *reveal_list(const struct fleet *fleet, struct reveals *reveals) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    struct buf out = BUF_INIT;
    struct peering_reveal reveal = {reveal_counted, reveals};
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, "beta", &arena, &list, &err), &err);
    peering_encode(&list, 412, &reveal, &out);
    json_t *json = parse(&out);
    buf_done(&out);
    arena_done(&arena);
    return json;
}

static void passwords_are_revealed_or_withheld(void **state) {
    struct fleet *fleet = *state;
    struct password passwords[] = {{"k", "secret", 6}, {"empty", "", 0}};
    fleet_put_secret(fleet, "s", passwords, 2);
    put_peer(fleet, "a",
             "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001,\"password\":{\"secretKeyRef\":{\"name\":\"s\","
             "\"key\":\"k\"}}");
    put_peer(fleet, "b",
             "\"peerIP\":\"192.0.2.2\",\"asNumber\":65001,\"password\":{\"secretKeyRef\":{\"name\":\"s\","
             "\"key\":\"empty\"}}");
    put_peer(fleet, "c", "\"peerIP\":\"192.0.2.3\",\"asNumber\":65001");
    struct reveals reveals = {.fails = false};
    json_t *json = reveal_list(fleet, &reveals);
    assert_int_equal(reveals.asked, 1);
    assert_text(json, "metadata.resourceVersion", "412");
    assert_text(json, "items.0.password", "tab\t");
    assert_non_null(at(json, "items.0.passwordFingerprint"));
    assert_true(json_is_true(at(json, "items.1.withheld")));
    assert_null(at(json, "items.2.withheld"));
    assert_int_equal(json_array_size(at(json, "problems")), 1);
    json_decref(json);
    reveals.fails = true;
    json = reveal_list(fleet, &reveals);
    assert_null(at(json, "items.0.password"));
    assert_null(at(json, "items.0.passwordFingerprint"));
    assert_true(json_is_true(at(json, "items.0.withheld")));
    assert_text(json, "problems.1.reason", "VaultError");
    assert_text(json, "problems.1.peerIP", "192.0.2.1");
    json_decref(json);
}

static void encoding_without_memory_says_so(void **state) {
    struct fleet *fleet = *state;
    put_peer(fleet, "nothing", "\"node\":\"beta\"");
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, "beta", &arena, &list, &err), &err);
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct buf out = BUF_INIT;
        base_alloc_fail_after(n);
        peering_encode_content(&list, &out);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(buf_failed(&out), failed);
        buf_done(&out);
        assert_true(n < 100);
    }
    arena_done(&arena);
}

/* ---- differences ---- */

/* beta's list before and after a change to the fleet. */
static json_t *diff_after(struct fleet *fleet, void (*change)(struct fleet *fleet),
                          struct peering_diff *ret) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list before;
    struct peering_list after;
    struct buf out = BUF_INIT;
    arena_init(&arena, 0);
    struct peering_index *old_index = peering_index_ref(fleet->index);
    fleet_check(peering_compute(old_index, "beta", &arena, &before, &err), &err);
    change(fleet);
    fleet_check(peering_compute(fleet->index, "beta", &arena, &after, &err), &err);
    peering_encode_diff(&before, &after, NULL, &out, ret);
    json_t *json = parse(&out);
    buf_done(&out);
    arena_done(&arena);
    peering_index_unref(old_index);
    return json;
}

static void change_nothing(struct fleet *fleet) {
    put_peer(fleet, "elsewhere", "\"node\":\"alpha\",\"peerIP\":\"192.0.2.9\",\"asNumber\":65001");
}
static void change_timer_and_filter(struct fleet *fleet) {
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001,\"keepaliveTime\":\"20s\"");
}
static void change_ttl(struct fleet *fleet) {
    put_peer(fleet, "tor",
             "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001,\"keepaliveTime\":\"20s\",\"ttlSecurity\":1");
}
static void change_port(struct fleet *fleet) {
    put_peer(fleet, "tor",
             "\"peerIP\":\"192.0.2.1:1790\",\"asNumber\":65001,\"keepaliveTime\":\"20s\",\"ttlSecurity\":1");
}
static void change_address(struct fleet *fleet) {
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.7\",\"asNumber\":65001");
}

static void write_the_port(struct fleet *fleet) {
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.1:179\",\"asNumber\":65001");
}

/* BGP's own port, written out: something to show, but nothing to restart for. */
static void a_port_written_out_disrupts_nothing(void **state) {
    struct fleet *fleet = *state;
    struct peering_diff diff;
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    json_t *json = diff_after(fleet, write_the_port, &diff);
    assert_int_equal(diff.changed, 1);
    assert_int_equal(diff.disruptive, 0);
    assert_true(json_is_null(at(json, "changed.0.fields.0.old")));
    assert_int_equal(json_integer_value(at(json, "changed.0.fields.0.new")), 179);
    assert_true(json_is_false(at(json, "changed.0.fields.0.disruptive")));
    json_decref(json);
}

static void differences_are_told_apart(void **state) {
    struct fleet *fleet = *state;
    struct peering_diff diff;
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    put_peer(fleet, "other", "\"peerIP\":\"192.0.2.2\",\"asNumber\":65001");
    json_t *json = diff_after(fleet, change_nothing, &diff);
    assert_int_equal(diff.before, 2);
    assert_int_equal(diff.added + diff.removed + diff.changed + diff.disruptive, 0);
    assert_text(json, "node", "beta");
    json_decref(json);

    json = diff_after(fleet, change_timer_and_filter, &diff);
    assert_int_equal(diff.changed, 1);
    assert_int_equal(diff.disruptive, 1);
    assert_true(json_is_true(at(json, "changed.0.disruptive"))); /* BIRD restarts it */
    assert_text(json, "changed.0.fields.0.field", "keepaliveTimeSeconds");
    assert_true(json_is_null(at(json, "changed.0.fields.0.old")));
    assert_int_equal(json_integer_value(at(json, "changed.0.fields.0.new")), 20);
    json_decref(json);

    json = diff_after(fleet, change_ttl, &diff);
    assert_int_equal(diff.disruptive, 1);
    assert_true(json_is_true(at(json, "changed.0.disruptive")));
    assert_text(json, "changed.0.fields.0.field", "ttlSecurity");
    json_decref(json);

    json = diff_after(fleet, change_port, &diff);
    assert_int_equal(diff.changed, 1);
    assert_int_equal(diff.added + diff.removed, 0);
    assert_text(json, "changed.0.fields.0.field", "port");
    assert_int_equal(json_integer_value(at(json, "changed.0.fields.0.new")), 1790);
    json_decref(json);

    json = diff_after(fleet, change_address, &diff);
    assert_int_equal(diff.added, 1);
    assert_int_equal(diff.removed, 1);
    assert_int_equal(diff.changed, 0);
    assert_int_equal(diff.disruptive, 1);
    assert_text(json, "added.0.peerIP", "192.0.2.7");
    assert_text(json, "removed.0.peerIP", "192.0.2.1");
    json_decref(json);
}

static void a_node_that_comes_or_goes_differs_in_everything(void **state) {
    struct fleet *fleet = *state;
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    struct peering_diff diff;
    put_peer(fleet, "tor", "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    put_peer(fleet, "tor-2", "\"peerIP\":\"192.0.2.1:1790\",\"asNumber\":65001");
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, "beta", &arena, &list, &err), &err);
    struct buf out = BUF_INIT;
    peering_encode_diff(NULL, &list, NULL, &out, &diff);
    json_decref(parse(&out));
    assert_int_equal(diff.added, 2);
    assert_int_equal(diff.disruptive, 0);
    buf_clear(&out);
    peering_encode_diff(&list, NULL, NULL, &out, &diff);
    json_decref(parse(&out));
    assert_int_equal(diff.removed, 2);
    assert_int_equal(diff.after, 0);
    buf_done(&out);
    arena_done(&arena);
}

/* ---- the sessions of one BGPPeer ---- */

static void sessions_are_paged_by_node(void **state) {
    struct fleet *fleet = *state;
    struct err err = ERR_INIT;
    struct buf items = BUF_INIT;
    struct buf suppressed = BUF_INIT;
    put_peer(fleet, "clients", "\"nodeSelector\":\"site == 'y'\",\"peerSelector\":\"site == 'x'\"");
    put_peer(fleet, "again", "\"node\":\"gamma\",\"peerIP\":\"198.51.100.1\",\"asNumber\":64512");
    static const char *const expected[] = {"alpha", "beta", "gamma"};
    const char *after = NULL;
    for (size_t page = 0; page < 3; page++) {
        const char *next = NULL;
        buf_clear(&items);
        buf_clear(&suppressed);
        fleet_check(
            peering_encode_sessions(fleet->index, "clients", after, 1, &items, &suppressed, &next, &err),
            &err);
        const struct buf *found = page < 2 ? &items : &suppressed; /* gamma's is by "again" */
        char start[64];
        snprintf(start, sizeof(start), "{\"node\":\"%s\",", expected[page]);
        assert_non_null(found->data);
        assert_memory_equal(found->data, start, strlen(start));
        if (page < 2) {
            assert_string_equal(next, expected[page]);
        } else {
            assert_null(next);
        }
        after = next;
    }
    buf_clear(&items);
    fleet_check(
        peering_encode_sessions(fleet->index, "clients", NULL, 500, &items, &suppressed, &after, &err), &err);
    assert_null(after);
    struct buf array = BUF_INIT;
    buf_printf(&array, "[%s]", items.data);
    json_t *json = parse(&array);
    assert_int_equal(json_array_size(json), 2);
    assert_text(json, "0.node", "alpha");
    assert_text(json, "0.peerIP", "198.51.100.2");
    assert_text(json, "1.node", "beta");
    json_decref(json);
    buf_done(&array);
    assert_int_equal(
        peering_encode_sessions(fleet->index, "nobody", NULL, 5, &items, &suppressed, &after, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    buf_done(&items);
    buf_done(&suppressed);
}

/* ---- explanations ---- */

static json_t *explain(const struct fleet *fleet, const char *node, const char *remote) {
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    fleet_check(peering_explain(fleet->index, node, remote, &out, &err), &err);
    json_t *json = parse(&out);
    buf_done(&out);
    return json;
}

static void an_explanation_says_what_matched(void **state) {
    struct fleet *fleet = *state;
    put_peer(fleet, "rr", "\"nodeSelector\":\"site == 'y' && !has(gone)\",\"peerSelector\":\"site == 'x'\"");
    put_peer(
        fleet, "wrong-as",
        "\"node\":\"beta\",\"peerIP\":\"198.51.100.1\",\"asNumber\":65009,\"reversePeering\":\"Manual\"");
    json_t *json = explain(fleet, "gamma", "alpha");
    assert_text(json, "verdict", "Session");
    assert_text(json, "summary",
                "node \"gamma\" peers with node \"alpha\" (198.51.100.1, by BGPPeer \"rr\").");
    assert_text(json, "remote.labels.site", "x");
    assert_text(json, "considered.0.bgpPeer", "rr");
    assert_text(json, "considered.0.outcome", "Session");
    assert_true(json_is_true(at(json, "considered.0.forward.matches")));
    assert_true(json_is_false(at(json, "considered.0.reverse.matches")));
    assert_true(json_is_true(at(json, "considered.0.mirror.matches")));
    assert_text(json, "considered.0.forward.checks.0.field", "nodeSelector");
    assert_text(json, "considered.0.forward.checks.0.steps.1.label", "site");
    assert_text(json, "considered.0.forward.checks.0.steps.1.labelValue", "y");
    assert_text(json, "considered.1.outcome", "NoMatch");
    assert_true(json_is_false(at(json, "considered.1.forward.checks.0.matches"))); /* node: beta */
    assert_true(json_is_true(at(json, "considered.1.forward.checks.1.matches")));  /* peerIP */
    assert_true(json_is_false(at(json, "mesh.checks.0.matches")));
    assert_true(json_is_true(at(json, "farEnd.sessions.0.agrees")));
    assert_int_equal(json_array_size(at(json, "farEnd.unreturned")), 0);
    json_decref(json);
}

static void an_explanation_says_when_the_ends_disagree(void **state) {
    struct fleet *fleet = *state;
    put_peer(
        fleet, "one-way",
        "\"node\":\"beta\",\"peerIP\":\"198.51.100.3\",\"asNumber\":64512,\"reversePeering\":\"Manual\"");
    json_t *json = explain(fleet, "beta", "198.51.100.3");
    assert_text(json, "remote.node", "gamma");
    assert_true(json_is_null(at(json, "farEnd.sessions.0.session")));
    assert_true(json_is_false(at(json, "considered.0.mirror.matches")));
    assert_text(json, "considered.0.mirror.checks.0.field", "reversePeering");
    assert_non_null(strstr(json_string_value(at(json, "summary")), "no session in return"));
    json_decref(json);
    json = explain(fleet, "gamma", "beta");
    assert_text(json, "verdict", "NoSession");
    assert_text(json, "farEnd.unreturned.0.origin.bgpPeer", "one-way");
    json_decref(json);
    put_peer(fleet, "back",
             "\"node\":\"gamma\",\"peerIP\":\"198.51.100.2\",\"asNumber\":64512,\"ttlSecurity\":1,"
             "\"reversePeering\":\"Manual\"");
    json = explain(fleet, "gamma", "beta");
    assert_true(json_is_false(at(json, "farEnd.sessions.0.agrees")));
    assert_text(json, "farEnd.sessions.0.differences.0.field", "ttlSecurity");
    assert_text(json, "farEnd.sessions.0.differences.0.here", "1");
    json_decref(json);
}

static void an_explanation_names_winners_and_problems(void **state) {
    struct fleet *fleet = *state;
    put_peer(fleet, "a", "\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    put_peer(fleet, "b", "\"nodeSelector\":\"all()\",\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    put_peer(fleet, "six", "\"peerIP\":\"2001:db8::ff\",\"asNumber\":65001");
    json_t *json = explain(fleet, "beta", "192.0.2.1");
    assert_text(json, "considered.1.outcome", "Suppressed");
    assert_text(json, "considered.1.by.bgpPeer", "a");
    assert_text(json, "considered.1.reason", "GlobalPeeringExists");
    assert_null(at(json, "farEnd"));
    json_decref(json);
    json = explain(fleet, "beta", "2001:DB8:0::ff");
    assert_text(json, "remote.addresses.0", "2001:db8::ff");
    assert_text(json, "verdict", "NoSession");
    assert_text(json, "considered.2.outcome", "Problem");
    assert_text(json, "considered.2.reason", "NoLocalAddress");
    json_decref(json);
}

static void an_explanation_of_the_unknown_says_what_is_known(void **state) {
    struct fleet *fleet = *state;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    put_peer(fleet, "a", "\"node\":\"alpha\",\"peerIP\":\"192.0.2.1\",\"asNumber\":65001");
    json_t *json = explain(fleet, "beta", "203.0.113.77");
    assert_text(json, "verdict", "NoSession");
    assert_text(json, "considered.0.outcome", "NoMatch");
    assert_null(at(json, "remote.node"));
    json_decref(json);
    json = explain(fleet, "beta", "beta");
    assert_true(json_is_true(at(json, "remote.self")));
    json_decref(json);
    assert_int_equal(peering_explain(fleet->index, "beta", "neither:nor", &out, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(peering_explain(fleet->index, "nobody", "beta", &out, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    buf_done(&out);
}

static void explaining_without_memory_fails_cleanly(void **state) {
    struct fleet *fleet = *state;
    put_peer(fleet, "rr", "\"nodeSelector\":\"site == 'y'\",\"peerSelector\":\"site == 'x'\"");
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct err err = ERR_INIT;
        struct buf out = BUF_INIT;
        base_alloc_fail_after(n);
        int result = peering_explain(fleet->index, "beta", "alpha", &out, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        buf_done(&out);
        assert_true(n < 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_has_this_text, setup, teardown),
        cmocka_unit_test_setup_teardown(passwords_are_revealed_or_withheld, setup, teardown),
        cmocka_unit_test_setup_teardown(encoding_without_memory_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(differences_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_written_out_disrupts_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_comes_or_goes_differs_in_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_are_paged_by_node, setup, teardown),
        cmocka_unit_test_setup_teardown(an_explanation_says_what_matched, setup, teardown),
        cmocka_unit_test_setup_teardown(an_explanation_says_when_the_ends_disagree, setup, teardown),
        cmocka_unit_test_setup_teardown(an_explanation_names_winners_and_problems, setup, teardown),
        cmocka_unit_test_setup_teardown(an_explanation_of_the_unknown_says_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(explaining_without_memory_fails_cleanly, setup, teardown),
    };
    return cmocka_run_group_tests_name("peering: documents", tests, NULL, NULL);
}
