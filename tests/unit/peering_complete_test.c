/*
 * The list is complete: besides its sessions it says everything that a daemon's configuration needs, and it
 * changes exactly when that does.
 */
#include "peering_random.h"

#include <jansson.h>

static int setup(void **state) {
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    if (fleet == NULL) {
        return -1;
    }
    fleet_init(fleet);
    *state = fleet;
    return 0;
}

static int teardown(void **state) {
    fleet_done(*state);
    free(*state);
    return 0;
}

/* Single quotes in place of double ones. */
static void put(struct fleet *fleet, enum kind kind, const char *text) {
    struct buf json = BUF_INIT;
    for (const char *at = text; *at != '\0'; at++) {
        buf_add_char(&json, *at == '\'' ? '"' : *at);
    }
    fleet_put(fleet, kind, json.data);
    buf_done(&json);
}

/* One member of a node's list as compact JSON; "" when it is absent. free() it. */
static char *member_text(const struct fleet *fleet, const char *node, const char *path) {
    char *text = list_text(fleet->index, node, NULL);
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    free(text);
    const json_t *at = document;
    while (at != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        char key[64];
        assert_true(len < sizeof(key));
        memcpy(key, path, len);
        key[len] = '\0';
        at = json_object_get(at, key);
        path += len + (path[len] == '.');
    }
    struct buf out = BUF_INIT;
    size_t size = at == NULL ? 0 : json_dumpb(at, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (size > 0) {
        assert_int_equal(buf_reserve(&out, size), 0);
        (void)json_dumpb(at, out.data, size, JSON_COMPACT | JSON_ENCODE_ANY);
        out.len = size;
    }
    buf_add_char(&out, '\0');
    json_decref(document);
    return buf_steal(&out, NULL);
}

/* `expected` with single quotes in place of double ones. */
static void expect(const struct fleet *fleet, const char *node, const char *path, const char *expected) {
    char *text = member_text(fleet, node, path);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == '"' ? '\'' : *at;
    }
    assert_string_equal(text, expected);
    free(text);
}

static bool has_problem(const struct fleet *fleet, const char *node, const char *reason, const char *text) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    bool found = false;
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, node, &arena, &list, &err), &err);
    for (size_t i = 0; i < list.problem_count; i++) {
        found = found || (strcmp(list.problems[i].reason, reason) == 0 &&
                          strstr(list.problems[i].message, text) != NULL);
    }
    arena_done(&arena);
    return found;
}

/* ---- filters ---- */

static void filters_come_with_their_rules(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    expect(fleet, "n", "filters", "{}");
    put(fleet, KIND_BGPFILTER, "{'metadata':{'name':'b'},'spec':{'importV4':[{'action':'Reject'}]}}");
    put(fleet, KIND_BGPFILTER,
        "{'metadata':{'name':'a'},'spec':{'exportV6':[{'source':'','action':'Accept'}]}}");
    put(fleet, KIND_BGPFILTER, "{'metadata':{'name':'unused'},'spec':{}}");
    put(fleet, KIND_BGPPEER,
        "{'metadata':{'name':'p'},'spec':{'peerIP':'192.0.2.1','asNumber':1,'filters':['b','a','none','b']}"
        "}");
    put(fleet, KIND_BGPPEER,
        "{'metadata':{'name':'q'},'spec':{'peerIP':'192.0.2.2','asNumber':1,'filters':['a']}}");
    /* This one loses, so what it names holds for nothing. */
    put(fleet, KIND_BGPPEER,
        "{'metadata':{'name':'z'},'spec':{'peerIP':'192.0.2.2','asNumber':1,'filters':['unused']}}");
    expect(fleet, "n", "filters",
           "{'a':{'exportV6':[{'source':'','action':'Accept'}]},'b':{'importV4':[{'action':'Reject'}]}}");
    put(fleet, KIND_BGPFILTER, "{'metadata':{'name':'a'},'spec':{'exportV6':[{'action':'Accept'}]}}");
    expect(fleet, "n", "filters",
           "{'a':{'exportV6':[{'action':'Accept'}]},'b':{'importV4':[{'action':'Reject'}]}}");
    assert_true(node_set_has(fleet->affected, (uint32_t)peering_index_slot(fleet->index, "n")));
}

/* ---- what is announced ---- */

static const char services[] =
    "{'metadata':{'name':'default'},'spec':{'serviceClusterIPs':[{'cidr':'10.96.0.0/12'},{}],"
    "'serviceExternalIPs':[{'cidr':'192.0.2.0/24'},{'cidr':'10.96.0.0/12'}],"
    "'serviceLoadBalancerIPs':[{'cidr':'fd10::/64'},{'cidr':'198.51.100.0/24'}],"
    "'communities':[{'name':'gold','value':'65000:007'},{'name':'blue','value':'65000:1:2'}],"
    "'prefixAdvertisements':[{'cidr':'10.0.0.0/8','communities':['gold']},"
    "{'cidr':'10.96.0.0/13','communities':['65000:666']},{'cidr':'192.0.2.0/"
    "24','communities':['blue','gold']}]}}";

static void service_networks_are_announced(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    expect(fleet, "n", "advertise", "[]");
    put(fleet, KIND_BGPCONFIGURATION, services);
    expect(fleet, "n", "advertise",
           "[{'cidr':'10.96.0.0/12','communities':['65000:7'],'source':'BGPConfiguration.serviceClusterIPs'},"
           "{'cidr':'192.0.2.0/24','communities':['65000:1:2','65000:7'],'source':"
           "'BGPConfiguration.serviceExternalIPs'},"
           "{'cidr':'198.51.100.0/24','communities':[],'source':'BGPConfiguration.serviceLoadBalancerIPs'},"
           "{'cidr':'fd10::/64','communities':[],'source':'BGPConfiguration.serviceLoadBalancerIPs'}]");
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'n','labels':{'node.kubernetes.io/exclude-from-external-load-balancers':''}},"
        "'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    assert_true(node_set_has(fleet->affected, (uint32_t)peering_index_slot(fleet->index, "n")));
    expect(fleet, "n", "advertise",
           "[{'cidr':'10.96.0.0/12','communities':['65000:7'],'source':'BGPConfiguration.serviceClusterIPs'},"
           "{'cidr':'192.0.2.0/24','communities':['65000:1:2','65000:7'],'source':"
           "'BGPConfiguration.serviceExternalIPs'}]");
}

static void aggregation_decides_about_load_balancers(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'default'},'spec':{'serviceLoadBalancerIPs':[{'cidr':'10.1.0.0/24'}],"
        "'serviceLoadBalancerAggregation':'Disabled'}}");
    expect(fleet, "n", "advertise", "[]");
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'default'},'spec':{'serviceLoadBalancerIPs':[{'cidr':'10.1.0.0/24'}]}}");
    expect(fleet, "n", "advertise",
           "[{'cidr':'10.1.0.0/24','communities':[],'source':'BGPConfiguration.serviceLoadBalancerIPs'}]");
}

static void a_node_announces_its_own(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_BGPCONFIGURATION, services);
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'n','labels':{'node.kubernetes.io/"
        "exclude-from-external-load-balancers':'false'}},"
        "'spec':{'bgp':{'ipv4Address':'10.0.0.1','prefixAdvertisements':["
        "{'cidr':'192.0.2.0/24','communities':['65000:5']},{'cidr':'10.100.2.0/24'},{'cidr':'10.100.2.0/25',"
        "'communities':['silver','blue','none']}]}}}");
    expect(fleet, "n", "advertise",
           "[{'cidr':'10.96.0.0/12','communities':['65000:7'],'source':'BGPConfiguration.serviceClusterIPs'},"
           "{'cidr':'10.100.2.0/24','communities':['65000:666','65000:7'],'source':'Node'},"
           "{'cidr':'10.100.2.0/25','communities':['65000:1:2','65000:666','65000:7'],'source':'Node'},"
           "{'cidr':'192.0.2.0/24','communities':['65000:1:2','65000:5','65000:7'],'source':'Node'}]");
    assert_true(has_problem(fleet, "n", "CommunityNotFound", "\"silver\""));
    assert_true(has_problem(fleet, "n", "CommunityNotFound", "\"none\""));
    /* The node's own BGPConfiguration goes first for names, and stands in place of the fleet's for tags. */
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'node.n'},'spec':{'communities':[{'name':'silver','value':'65000:8'},{'name':'"
        "blue',"
        "'value':'65000:9'}],'prefixAdvertisements':[{'cidr':'192.0.2.0/24','communities':['gold']}]}}");
    expect(fleet, "n", "advertise",
           "[{'cidr':'10.96.0.0/12','communities':[],'source':'BGPConfiguration.serviceClusterIPs'},"
           "{'cidr':'10.100.2.0/24','communities':[],'source':'Node'},"
           "{'cidr':'10.100.2.0/25','communities':['65000:8','65000:9'],'source':'Node'},"
           "{'cidr':'192.0.2.0/24','communities':['65000:5','65000:7'],'source':'Node'}]");
    assert_false(has_problem(fleet, "n", "CommunityNotFound", "\"silver\""));
}

/* As many communities as fit into a message, however many there are; what it costs is bounded by that. */
static void communities_of_a_route_end(void **state) {
    struct fleet *fleet = *state;
    struct buf json = BUF_INIT;
    buf_add_str(
        &json,
        "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"serviceClusterIPs\":[{\"cidr\":\"10.0.0.0/24\"}],"
        "\"prefixAdvertisements\":[");
    for (size_t i = 0; i < 500; i++) {
        buf_json_comma(&json);
        buf_add_str(&json, "{\"cidr\":\"10.0.0.0/8\",\"communities\":[");
        for (size_t k = 0; k < 50; k++) {
            buf_json_comma(&json);
            buf_printf(&json, "\"65000:%zu\"", i / 10 * 50 + k);
        }
        buf_add_str(&json, "]}");
    }
    buf_add_str(&json, "]}}");
    fleet_put(fleet, KIND_BGPCONFIGURATION, json.data);
    buf_done(&json);
    put(fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, "n", &arena, &list, &err), &err);
    assert_int_equal(list.advertisement_count, 1);
    assert_int_equal(list.advertisements[0].community_count, 250);
    arena_done(&arena);
    assert_true(has_problem(fleet, "n", "TooManyCommunities", "10.0.0.0/24"));
}

/* ---- the node itself ---- */

static void configurations_say_how_the_daemon_runs(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'n'},'spec':{'bgp':{'ipv4Address':'10.0.0.1/24'}}}");
    expect(fleet, "n", "local", "{'asNumber':64512,'ipv4Address':'10.0.0.1','routerID':'10.0.0.1'}");
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'default'},'spec':{'logSeverityScreen':'dEBUG','bindMode':'NodeIP','listenPort':"
        "1790,"
        "'ignoredInterfaces':['cali*','docker0']}}");
    expect(fleet, "n", "local",
           "{'asNumber':64512,'ipv4Address':'10.0.0.1','routerID':'10.0.0.1','listenPort':1790,"
           "'logSeverity':'Debug','bindMode':'NodeIP','ignoredInterfaces':['cali*','docker0']}");
    put(fleet, KIND_BGPCONFIGURATION,
        "{'metadata':{'name':'node.n'},'spec':{'logSeverityScreen':'Info','bindMode':'None','"
        "ignoredInterfaces':[]}}");
    expect(fleet, "n", "local",
           "{'asNumber':64512,'ipv4Address':'10.0.0.1','routerID':'10.0.0.1','listenPort':1790,"
           "'logSeverity':'Info'}");
    fleet_delete(fleet, KIND_BGPCONFIGURATION, "default");
    expect(fleet, "n", "local",
           "{'asNumber':64512,'ipv4Address':'10.0.0.1','routerID':'10.0.0.1','logSeverity':'Info'}");
}

static void a_node_always_has_a_router_id(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'six'},'spec':{'bgp':{'ipv6Address':'fd00::1'}}}");
    expect(fleet, "six", "local.routerID", "'214.242.155.224'"); /* the same for ever */
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'six'},'spec':{'bgp':{'ipv6Address':'fd00::1','routerID':'192.0.2.9'}}}");
    expect(fleet, "six", "local.routerID", "'192.0.2.9'");
    put(fleet, KIND_NODE, "{'metadata':{'name':'none'},'spec':{}}");
    char *text = member_text(fleet, "none", "local.routerID");
    assert_true(strlen(text) > 2);
    free(text);
}

/* Derived from names: never in a range that daemons refuse, and spread over all others. */
static void derived_router_ids_are_usable(void **state) {
    struct fleet *fleet = *state;
    bool first_octets[256] = {false};
    for (size_t i = 0; i < 4000; i++) {
        char json[128];
        char name[32];
        snprintf(name, sizeof(name), "node%zu", i);
        snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{}}", name);
        fleet_put(fleet, KIND_NODE, json);
        char *text = member_text(fleet, name, "local.routerID");
        struct ip_addr id;
        assert_true(ip_parse(text + 1, strlen(text) - 2, &id));
        assert_int_equal(id.family, IP_V4);
        assert_true(id.bytes[0] != 0 && id.bytes[0] != 127 && id.bytes[0] < 224);
        first_octets[id.bytes[0]] = true;
        free(text);
        fleet_delete(fleet, KIND_NODE, name);
    }
    size_t seen = 0;
    for (size_t i = 0; i < 256; i++) {
        seen += first_octets[i];
    }
    assert_int_equal(seen, 222);
}

static void equal_router_ids_are_a_problem(void **state) {
    struct fleet *fleet = *state;
    put(fleet, KIND_NODE, "{'metadata':{'name':'a'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'b'},'spec':{'bgp':{'ipv4Address':'10.0.0.2','routerID':'10.0.0.1'}}}");
    assert_true(node_set_has(fleet->affected, (uint32_t)peering_index_slot(fleet->index, "a")));
    assert_true(has_problem(fleet, "a", "RouterIDNotUnique", "of node \"a\" and of node \"b\";"));
    assert_true(has_problem(fleet, "b", "RouterIDNotUnique", "of node \"b\" and of node \"a\";"));
    put(fleet, KIND_NODE,
        "{'metadata':{'name':'c'},'spec':{'bgp':{'ipv4Address':'10.0.0.3','routerID':'10.0.0.1'}}}");
    assert_true(has_problem(fleet, "a", "RouterIDNotUnique", "of node \"b\" and of others"));
    put(fleet, KIND_NODE, "{'metadata':{'name':'b'},'spec':{'bgp':{'ipv4Address':'10.0.0.2'}}}");
    fleet_delete(fleet, KIND_NODE, "c");
    assert_true(node_set_has(fleet->affected, (uint32_t)peering_index_slot(fleet->index, "a")));
    assert_false(has_problem(fleet, "a", "RouterIDNotUnique", ""));
    /* One address for two nodes is said already; a node without an address has no use for its router ID. */
    put(fleet, KIND_NODE, "{'metadata':{'name':'b'},'spec':{'bgp':{'ipv4Address':'10.0.0.1'}}}");
    put(fleet, KIND_NODE, "{'metadata':{'name':'c'},'spec':{'bgp':{'routerID':'10.0.0.1'}}}");
    assert_false(has_problem(fleet, "a", "RouterIDNotUnique", ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(filters_come_with_their_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(service_networks_are_announced, setup, teardown),
        cmocka_unit_test_setup_teardown(aggregation_decides_about_load_balancers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_announces_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(communities_of_a_route_end, setup, teardown),
        cmocka_unit_test_setup_teardown(configurations_say_how_the_daemon_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_always_has_a_router_id, setup, teardown),
        cmocka_unit_test_setup_teardown(derived_router_ids_are_usable, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_router_ids_are_a_problem, setup, teardown),
    };
    return cmocka_run_group_tests_name("peering: what a list says besides its sessions", tests, NULL, NULL);
}
