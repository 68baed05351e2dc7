/* Rules of the kinds: each accepted and refused at its edge, with the right field, reason and text. */
#include "model_test.h"

#include "base/alloc.h"

/* --- BGPPeer ----------------------------------------------------------------------------------- */

static void peer_ok(struct bgp_peer_spec spec) {
    struct bgp_peer peer = {.spec = &spec};
    expect_valid(KIND_BGPPEER, "p", &peer);
}

static void peer_bad(struct bgp_peer_spec spec, const char *reason, const char *field, const char *text) {
    struct bgp_peer peer = {.spec = &spec};
    expect_error(KIND_BGPPEER, "p", &peer, reason, field, text);
}

#define PEER(...) ((struct bgp_peer_spec){__VA_ARGS__})

static void test_peer_exclusions(void **state) {
    (void)state;
    peer_ok(PEER(.node = "n1", .peer_ip = "10.0.0.1"));
    peer_ok(PEER(.node = "n1", .node_selector = "", .peer_ip = "10.0.0.1", .peer_selector = ""));
    peer_bad(PEER(.node = "n1", .node_selector = "all()"), CAUSE_FORBIDDEN, "spec.nodeSelector", "node");
    peer_bad(PEER(.peer_ip = "10.0.0.1", .peer_selector = "all()"), CAUSE_FORBIDDEN, "spec.peerSelector",
             "peerIP");
    peer_ok(PEER(.peer_selector = "all()", .as_number = NUMBER(0)));
    peer_bad(PEER(.peer_selector = "all()", .as_number = NUMBER(64512)), CAUSE_FORBIDDEN, "spec.asNumber",
             "peerSelector");
    peer_ok(PEER(.keep_original_next_hop = TRUE_VALUE));
    peer_ok(PEER(.keep_original_next_hop = FALSE_VALUE, .next_hop_mode = "Self"));
    peer_bad(PEER(.keep_original_next_hop = TRUE_VALUE, .next_hop_mode = "Auto"), CAUSE_FORBIDDEN,
             "spec.keepOriginalNextHop", "nextHopMode");
}

static void test_peer_local_workloads(void **state) {
    (void)state;
    peer_ok(PEER(.local_workload_selector = "all()", .as_number = NUMBER(64512)));
    peer_bad(PEER(.local_workload_selector = "all()"), CAUSE_REQUIRED, "spec.asNumber",
             "localWorkloadSelector");
    peer_bad(PEER(.local_workload_selector = "all()", .as_number = NUMBER(0)), CAUSE_REQUIRED,
             "spec.asNumber", "localWorkloadSelector");
    peer_bad(PEER(.local_workload_selector = "all()", .as_number = NUMBER(64512), .peer_ip = "10.0.0.1"),
             CAUSE_FORBIDDEN, "spec.peerIP", "localWorkloadSelector");
}

/* A list that Calico leaves without a limit, and each item of which costs every list that shows it. */
static void test_peer_filters_end(void **state) {
    (void)state;
    static const char *names[257];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        names[i] = "f";
    }
    peer_ok(PEER(.peer_ip = "10.0.0.1", .filters = {.count = 256, .items = names}));
    peer_bad(PEER(.peer_ip = "10.0.0.1", .filters = {.count = 257, .items = names}), CAUSE_TOO_MANY,
             "spec.filters", "at most 256");
}

static void test_peer_reachable_by(void **state) {
    (void)state;
    peer_ok(PEER(.peer_ip = "10.0.0.1:179", .reachable_by = "10.0.0.254"));
    peer_ok(PEER(.peer_ip = "[fd00::1]:179", .reachable_by = "fd00::254"));
    peer_ok(PEER(.peer_ip = "10.0.0.1", .reachable_by = ""));
    peer_bad(PEER(.peer_ip = "10.0.0.1:179", .reachable_by = "fd00::254"), CAUSE_INVALID, "spec.reachableBy",
             "IPv4");
    peer_bad(PEER(.peer_ip = "fd00::1", .reachable_by = "10.0.0.254"), CAUSE_INVALID, "spec.reachableBy",
             "IPv6");
    peer_bad(PEER(.peer_selector = "all()", .reachable_by = "10.0.0.254"), CAUSE_FORBIDDEN,
             "spec.reachableBy", "peerIP");
    peer_bad(PEER(.peer_ip = "10.0.0.1", .reachable_by = "gw"), CAUSE_INVALID, "spec.reachableBy",
             "is not an address; write one in digits, because names are not looked up");
}

static void test_peer_values(void **state) {
    (void)state;
    peer_bad(PEER(.peer_ip = "300.1.1.1"), CAUSE_INVALID, "spec.peerIP",
             "Invalid value: \"300.1.1.1\": has the number 300; each is at most 255");
    peer_ok(PEER(.source_address = "None", .next_hop_mode = "Keep", .reverse_peering = "Manual"));
    peer_ok(PEER(.source_address = ""));
    peer_bad(PEER(.source_address = "none"), CAUSE_NOT_SUPPORTED, "spec.sourceAddress",
             "Unsupported value: \"none\": supported values: \"UseNodeIP\", \"None\"");
    peer_bad(PEER(.next_hop_mode = ""), CAUSE_NOT_SUPPORTED, "spec.nextHopMode",
             "\"Auto\", \"Self\", \"Keep\"");
    peer_bad(PEER(.reverse_peering = "Off"), CAUSE_NOT_SUPPORTED, "spec.reversePeering", "\"Manual\"");
    peer_ok(PEER(.ttl_security = NUMBER(0)));
    peer_ok(PEER(.ttl_security = NUMBER(255)));
    peer_bad(PEER(.ttl_security = NUMBER(256)), CAUSE_INVALID, "spec.ttlSecurity", "between 0 and 255");
    peer_bad(PEER(.ttl_security = NUMBER(-1)), CAUSE_INVALID, "spec.ttlSecurity", "Invalid value: -1");
    peer_ok(PEER(.num_allowed_local_as_numbers = NUMBER(INT32_MAX)));
    peer_ok(PEER(.num_allowed_local_as_numbers = NUMBER(INT32_MIN)));
    peer_bad(PEER(.num_allowed_local_as_numbers = NUMBER((int64_t)INT32_MIN - 1)), CAUSE_INVALID,
             "spec.numAllowedLocalASNumbers", "between");
    peer_ok(PEER(.local_as_number = NUMBER(UINT32_MAX)));
    peer_ok(PEER(.keepalive_time = SECONDS(0), .max_restart_time = SECONDS(4095)));
    peer_bad(PEER(.keepalive_time = SECONDS(-1)), CAUSE_INVALID, "spec.keepaliveTime", "negative");
    peer_bad(PEER(.max_restart_time = SECONDS(-1)), CAUSE_INVALID, "spec.maxRestartTime", "negative");
    peer_ok(PEER(.filters = STRINGS("a", "b")));
    peer_bad(PEER(.filters = STRINGS("a", "b c")), CAUSE_INVALID, "spec.filters[1]", "\"b c\"");
    peer_bad(PEER(.filters = STRINGS("a", "")), CAUSE_INVALID, "spec.filters[1]", "empty");
}

static void test_peer_lengths(void **state) {
    (void)state;
    char selector[1100];
    (void)snprintf(selector, sizeof selector, "%1024s", "all()");
    peer_ok(PEER(.node_selector = selector));
    (void)snprintf(selector, sizeof selector, "%1025s", "all()");
    peer_bad(PEER(.node_selector = selector), CAUSE_TOO_LONG, "spec.nodeSelector", "1024");
    peer_bad(PEER(.peer_selector = selector), CAUSE_TOO_LONG, "spec.peerSelector", "1024");
    peer_bad(PEER(.local_workload_selector = selector, .as_number = NUMBER(1)), CAUSE_TOO_LONG,
             "spec.localWorkloadSelector", "1024");
    char name[300];
    memset(name, 'n', 254);
    name[254] = '\0';
    peer_bad(PEER(.node = name), CAUSE_TOO_LONG, "spec.node", "253");
    name[253] = '\0';
    peer_ok(PEER(.node = name));
}

static void test_password(void **state) {
    (void)state;
    struct secret_key_ref ref = {.name = "bgp", .key = "rack1"};
    struct bgp_password password = {.secret_key_ref = &ref};
    peer_ok(PEER(.password = &password));
    ref.key = NULL;
    peer_bad(PEER(.password = &password), CAUSE_REQUIRED, "spec.password.secretKeyRef.key", "Required value");
    ref.key = "rack1";
    ref.name = "";
    peer_bad(PEER(.password = &password), CAUSE_REQUIRED, "spec.password.secretKeyRef.name",
             "Required value");
    struct bgp_password empty = {.secret_key_ref = NULL};
    peer_ok(PEER(.password = &empty));
}

static void test_spec_is_required(void **state) {
    (void)state;
    struct bgp_peer peer = {.spec = NULL};
    expect_error(KIND_BGPPEER, "p", &peer, CAUSE_REQUIRED, "spec", "Required value");
    struct bgp_filter filter = {.spec = NULL};
    expect_error(KIND_BGPFILTER, "f", &filter, CAUSE_REQUIRED, "spec", "Required value");
    struct bgp_configuration configuration = {.spec = NULL};
    expect_error(KIND_BGPCONFIGURATION, "c", &configuration, CAUSE_REQUIRED, "spec", "Required value");
    struct node node = {.spec = NULL};
    expect_valid(KIND_NODE, "n", &node);
}

static void test_every_error_at_once(void **state) {
    (void)state;
    struct bgp_peer_spec spec = {.node = "a b",
                                 .node_selector = "has(",
                                 .peer_ip = "x",
                                 .peer_selector = "all()",
                                 .as_number = NUMBER(1),
                                 .ttl_security = NUMBER(256)};
    struct bgp_peer peer = {.spec = &spec};
    struct object object = make_object(KIND_BGPPEER, "not valid", &peer);
    struct verdict verdict;
    judge(&verdict, &object);
    /* name, node, nodeSelector, peerIP, ttlSecurity; and three exclusions */
    assert_int_equal(verdict.causes.count, 8);
    arena_done(&verdict.arena);
}

/* --- BGPConfiguration -------------------------------------------------------------------------- */

static void config_ok(const char *name, struct bgp_configuration_spec spec) {
    struct bgp_configuration configuration = {.spec = &spec};
    expect_valid(KIND_BGPCONFIGURATION, name, &configuration);
}

static void config_bad(const char *name, struct bgp_configuration_spec spec, const char *reason,
                       const char *field, const char *text) {
    struct bgp_configuration configuration = {.spec = &spec};
    expect_error(KIND_BGPCONFIGURATION, name, &configuration, reason, field, text);
}

#define CONFIG(...) ((struct bgp_configuration_spec){__VA_ARGS__})

static void test_configuration_of_the_fleet(void **state) {
    (void)state;
    struct bgp_password password = {.secret_key_ref = NULL};
    const struct {
        const char *field;
        struct bgp_configuration_spec spec;
    } cases[] = {
        {"spec.nodeToNodeMeshEnabled", CONFIG(.node_to_node_mesh_enabled = TRUE_VALUE)},
        {"spec.asNumber", CONFIG(.as_number = NUMBER(64512))},
        {"spec.serviceLoadBalancerIPs",
         CONFIG(.service_load_balancer_ips = ITEMS(cidr_block, {.cidr = "10.0.0.0/8"}))},
        {"spec.serviceExternalIPs",
         CONFIG(.service_external_ips = ITEMS(cidr_block, {.cidr = "10.0.0.0/8"}))},
        {"spec.serviceClusterIPs", CONFIG(.service_cluster_ips = ITEMS(cidr_block, {.cidr = "10.0.0.0/8"}))},
        {"spec.nodeMeshPassword", CONFIG(.node_mesh_password = &password)},
        {"spec.nodeMeshMaxRestartTime", CONFIG(.node_mesh_max_restart_time = SECONDS(90))},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        config_ok("default", cases[i].spec);
        config_bad("node.n1", cases[i].spec, CAUSE_FORBIDDEN, cases[i].field, "default");
        config_bad("Default", cases[i].spec, CAUSE_FORBIDDEN, cases[i].field, "default");
    }
    config_ok("node.n1", CONFIG(.listen_port = NUMBER(1790), .log_severity_screen = "debug",
                                .bind_mode = "NodeIP", .ignored_interfaces = STRINGS("eth*")));
}

static void test_configuration_mesh(void **state) {
    (void)state;
    struct bgp_password password = {.secret_key_ref = NULL};
    config_ok("default", CONFIG(.node_mesh_password = &password, .node_mesh_max_restart_time = SECONDS(9)));
    config_bad("default", CONFIG(.node_to_node_mesh_enabled = FALSE_VALUE, .node_mesh_password = &password),
               CAUSE_FORBIDDEN, "spec.nodeMeshPassword", "nodeToNodeMeshEnabled");
    config_bad("default",
               CONFIG(.node_to_node_mesh_enabled = FALSE_VALUE, .node_mesh_max_restart_time = SECONDS(9)),
               CAUSE_FORBIDDEN, "spec.nodeMeshMaxRestartTime", "nodeToNodeMeshEnabled");
}

static void test_configuration_communities(void **state) {
    (void)state;
    struct list named = ITEMS(community, {.name = "mine", .value = "65000:1"});
    struct list by_name = ITEMS(prefix_advertisement, {.cidr = "10.0.0.0/8", .communities = STRINGS("mine")});
    struct list by_value =
        ITEMS(prefix_advertisement, {.cidr = "10.0.0.0/8", .communities = STRINGS("1:2:3")});
    config_ok("default", CONFIG(.communities = named, .prefix_advertisements = by_name));
    config_ok("default", CONFIG(.communities = named, .prefix_advertisements = by_value));
    config_ok("default", CONFIG(.prefix_advertisements = by_value));
    config_bad("default", CONFIG(.communities = named), CAUSE_INVALID, "spec.communities",
               "prefixAdvertisements");
    config_bad("default", CONFIG(.prefix_advertisements = by_name), CAUSE_INVALID,
               "spec.prefixAdvertisements[0].communities[0]", "nor defined");

    struct list no_name = ITEMS(community, {.value = "65000:1"});
    struct list no_value = ITEMS(community, {.name = "mine"});
    struct list too_big = ITEMS(community, {.name = "mine", .value = "4147483647:999999"});
    config_bad("default", CONFIG(.communities = no_name, .prefix_advertisements = by_value), CAUSE_REQUIRED,
               "spec.communities[0].name", "Required");
    config_bad("default", CONFIG(.communities = no_value, .prefix_advertisements = by_value), CAUSE_REQUIRED,
               "spec.communities[0].value", "Required");
    config_bad("default", CONFIG(.communities = too_big, .prefix_advertisements = by_value), CAUSE_INVALID,
               "spec.communities[0].value", "65535");

    struct list no_cidr = ITEMS(prefix_advertisement, {.communities = STRINGS("1:2")});
    struct list none = ITEMS(prefix_advertisement, {.cidr = "10.0.0.0/8"});
    struct list bad_ref = ITEMS(prefix_advertisement, {.cidr = "10.0.0.0/8", .communities = STRINGS("A b")});
    config_bad("default", CONFIG(.prefix_advertisements = no_cidr), CAUSE_REQUIRED,
               "spec.prefixAdvertisements[0].cidr", "Required");
    config_bad("default", CONFIG(.prefix_advertisements = none), CAUSE_REQUIRED,
               "spec.prefixAdvertisements[0].communities", "Required");
    config_bad("default", CONFIG(.prefix_advertisements = bad_ref), CAUSE_INVALID,
               "spec.prefixAdvertisements[0].communities[0]", "must be a community");
}

static void test_configuration_list_limits(void **state) {
    (void)state;
    static struct community communities[501];
    static struct prefix_advertisement advertisements[501];
    static const char *values[51];
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        values[i] = "1:1";
    }
    for (size_t i = 0; i < COUNT_OF(communities); i++) {
        communities[i] = (struct community){.name = "mine", .value = "65000:1"};
        advertisements[i] = (struct prefix_advertisement){.cidr = "10.0.0.0/8",
                                                          .communities = {.count = 50, .items = values}};
    }
    struct list c500 = {.count = 500, .items = communities};
    struct list c501 = {.count = 501, .items = communities};
    struct list a500 = {.count = 500, .items = advertisements};
    struct list a501 = {.count = 501, .items = advertisements};
    config_ok("default", CONFIG(.communities = c500, .prefix_advertisements = a500));
    config_bad("default", CONFIG(.communities = c501, .prefix_advertisements = a500), CAUSE_TOO_MANY,
               "spec.communities", "at most 500");
    config_bad("default", CONFIG(.prefix_advertisements = a501), CAUSE_TOO_MANY, "spec.prefixAdvertisements",
               "at most 500");
    advertisements[0].communities.count = 51;
    config_bad("default", CONFIG(.prefix_advertisements = a500), CAUSE_TOO_MANY,
               "spec.prefixAdvertisements[0].communities", "at most 50");
}

static void test_configuration_values(void **state) {
    (void)state;
    config_ok("default", CONFIG(.listen_port = NUMBER(1)));
    config_ok("default", CONFIG(.listen_port = NUMBER(65535)));
    config_bad("default", CONFIG(.listen_port = NUMBER(0)), CAUSE_INVALID, "spec.listenPort", "65535");
    config_bad("default", CONFIG(.listen_port = NUMBER(65536)), CAUSE_INVALID, "spec.listenPort", "65535");
    config_ok("default", CONFIG(.ipv4_normal_route_priority = NUMBER(2147483646)));
    config_bad("default", CONFIG(.ipv4_normal_route_priority = NUMBER(2147483647)), CAUSE_INVALID,
               "spec.ipv4NormalRoutePriority", "2147483646");
    config_bad("default", CONFIG(.ipv6_normal_route_priority = NUMBER(0)), CAUSE_INVALID,
               "spec.ipv6NormalRoutePriority", "1");
    config_ok("default", CONFIG(.program_cluster_routes = "EnabledIPIPOnly", .log_severity_screen = "",
                                .service_load_balancer_aggregation = "Disabled"));
    config_bad("default", CONFIG(.program_cluster_routes = "enabled"), CAUSE_NOT_SUPPORTED,
               "spec.programClusterRoutes", "EnabledNoEncapOnly");
    config_bad("default", CONFIG(.bind_mode = ""), CAUSE_NOT_SUPPORTED, "spec.bindMode", "NodeIP");
    config_bad("default", CONFIG(.log_severity_screen = "loud"), CAUSE_INVALID, "spec.logSeverityScreen",
               "Trace");
    config_bad("default", CONFIG(.ignored_interfaces = STRINGS("a", "*")), CAUSE_INVALID,
               "spec.ignoredInterfaces[1]", "every interface");
    config_bad("default", CONFIG(.ignored_interfaces = STRINGS("b", "a", "b", "b")), CAUSE_DUPLICATE,
               "spec.ignoredInterfaces", "\"b\"");
    config_bad("default", CONFIG(.service_cluster_ips = ITEMS(cidr_block, {.cidr = "10.0.0.1/8"})),
               CAUSE_INVALID, "spec.serviceClusterIPs[0].cidr", "10.0.0.0/8");
}

/* --- BGPFilter --------------------------------------------------------------------------------- */

static void rule_ok(struct filter_rule rule) {
    struct bgp_filter_spec spec = {.import_v4 = {.count = 1, .items = &rule}};
    struct bgp_filter filter = {.spec = &spec};
    expect_valid(KIND_BGPFILTER, "f", &filter);
}

static void rule_bad(struct filter_rule rule, const char *reason, const char *field, const char *text) {
    struct bgp_filter_spec spec = {.import_v4 = {.count = 1, .items = &rule}};
    struct bgp_filter filter = {.spec = &spec};
    char path[128];
    (void)snprintf(path, sizeof path, "spec.importV4[0]%s", field);
    expect_error(KIND_BGPFILTER, "f", &filter, reason, path, text);
}

#define RULE(...) ((struct filter_rule){__VA_ARGS__})

static void test_filter_match(void **state) {
    (void)state;
    rule_ok(RULE(.action = "Accept"));
    rule_ok(RULE(.action = "Reject", .cidr = "", .match_operator = "", .source = "", .peer_type = ""));
    rule_bad(RULE(.action = NULL), CAUSE_REQUIRED, ".action", "Required value");
    rule_bad(RULE(.action = ""), CAUSE_REQUIRED, ".action", "Required value");
    rule_bad(RULE(.action = "Maybe"), CAUSE_NOT_SUPPORTED, ".action",
             "Unsupported value: \"Maybe\": supported values: \"Accept\", \"Reject\"");
    rule_ok(RULE(.action = "Accept", .cidr = "10.0.0.0/8", .match_operator = "NotIn"));
    rule_bad(RULE(.action = "Accept", .cidr = "10.0.0.0/8"), CAUSE_REQUIRED, ".matchOperator", "cidr");
    rule_bad(RULE(.action = "Accept", .match_operator = "In"), CAUSE_REQUIRED, ".cidr", "matchOperator");
    struct prefix_length length = {.min = NUMBER(0), .max = NUMBER(32)};
    rule_ok(RULE(.action = "Accept", .cidr = "10.0.0.0/8", .match_operator = "In", .prefix_length = &length));
    rule_bad(RULE(.action = "Accept", .prefix_length = &length), CAUSE_FORBIDDEN, ".prefixLength", "cidr");
    length.max.value = 33;
    rule_bad(RULE(.action = "Accept", .cidr = "10.0.0.0/8", .match_operator = "In", .prefix_length = &length),
             CAUSE_INVALID, ".prefixLength.max", "between 0 and 32");
    rule_bad(RULE(.action = "Accept", .cidr = "fd00::/8", .match_operator = "In"), CAUSE_INVALID, ".cidr",
             "IPv6");
    rule_bad(RULE(.action = "Accept", .source = "xyz"), CAUSE_NOT_SUPPORTED, ".source", "RemotePeers");
    rule_bad(RULE(.action = "Accept", .peer_type = "ibgp"), CAUSE_NOT_SUPPORTED, ".peerType", "iBGP");
    rule_bad(RULE(.action = "Accept", .interface = "eth&"), CAUSE_INVALID, ".interface", "15");
    rule_bad(RULE(.action = "Accept", .interface = "1234567890123456"), CAUSE_TOO_LONG, ".interface", "15");
    rule_ok(RULE(.action = "Accept", .priority = NUMBER(1)));
    rule_bad(RULE(.action = "Accept", .priority = NUMBER(0)), CAUSE_INVALID, ".priority", "2147483646");
    rule_ok(RULE(.action = "Accept", .cidr = "255.255.255.255/32", .match_operator = "In"));
    rule_bad(RULE(.action = "Accept", .cidr = "::ffff:10.0.0.0/104", .match_operator = "In"), CAUSE_TOO_LONG,
             ".cidr", "18");
    struct community_match match = {.values = STRINGS("65000:1")};
    rule_ok(RULE(.action = "Accept", .communities = &match));
    struct community_match two = {.values = STRINGS("65000:1", "65000:2")};
    rule_bad(RULE(.action = "Accept", .communities = &two), CAUSE_TOO_MANY, ".communities.values",
             "at most 1");
    struct community_match absent = {.values = {.count = 0}};
    rule_bad(RULE(.action = "Accept", .communities = &absent), CAUSE_REQUIRED, ".communities.values",
             "Required");
    struct community_match none = {.values = {.count = 0, .items = (const char *[1]){NULL}}};
    rule_bad(RULE(.action = "Accept", .communities = &none), CAUSE_INVALID, ".communities.values",
             "at least 1");
    struct community_match blank = {.values = STRINGS("")};
    rule_bad(RULE(.action = "Accept", .communities = &blank), CAUSE_INVALID, ".communities.values[0]",
             "community");
}

static void test_filter_operations(void **state) {
    (void)state;
    struct add_community add = {.value = "65000:1"};
    struct set_priority priority = {.value = NUMBER(100)};
    uint32_t numbers[11] = {65000};
    struct prepend_as_path prepend = {.prefix = {.count = 10, .items = numbers}};
    struct list three = ITEMS(filter_operation, {.add_community = &add}, {.set_priority = &priority},
                              {.prepend_as_path = &prepend});
    rule_ok(RULE(.action = "Accept", .operations = three));
    rule_bad(RULE(.action = "Reject", .operations = three), CAUSE_FORBIDDEN, ".operations", "Accept");
    struct list both = ITEMS(filter_operation, {.add_community = &add, .set_priority = &priority});
    rule_bad(RULE(.action = "Accept", .operations = both), CAUSE_INVALID, ".operations[0]", "holds 2");
    struct list nothing = ITEMS(filter_operation, {.add_community = &add}, {.add_community = NULL});
    rule_bad(RULE(.action = "Accept", .operations = nothing), CAUSE_REQUIRED, ".operations[1]",
             "addCommunity");
    struct list empty = {.count = 0, .items = numbers};
    rule_bad(RULE(.action = "Accept", .operations = empty), CAUSE_INVALID, ".operations", "at least 1");
    struct filter_operation eleven[11];
    for (size_t i = 0; i < COUNT_OF(eleven); i++) {
        eleven[i] = (struct filter_operation){.add_community = &add};
    }
    rule_ok(RULE(.action = "Accept", .operations = {.count = 10, .items = eleven}));
    rule_bad(RULE(.action = "Accept", .operations = {.count = 11, .items = eleven}), CAUSE_TOO_MANY,
             ".operations", "at most 10");
    prepend.prefix.count = 11;
    rule_bad(RULE(.action = "Accept", .operations = three), CAUSE_TOO_MANY,
             ".operations[2].prependASPath.prefix", "at most 10");
    prepend.prefix = (struct list){.count = 0, .items = NULL};
    rule_bad(RULE(.action = "Accept", .operations = three), CAUSE_REQUIRED,
             ".operations[2].prependASPath.prefix", "Required");
    prepend.prefix = (struct list){.count = 1, .items = numbers};
    add.value = "65536:1";
    rule_bad(RULE(.action = "Accept", .operations = three), CAUSE_INVALID,
             ".operations[0].addCommunity.value", "65535");
    add.value = NULL;
    rule_bad(RULE(.action = "Accept", .operations = three), CAUSE_REQUIRED,
             ".operations[0].addCommunity.value", "Required");
    add.value = "1:1";
    priority.value = (struct opt_int){.set = false};
    rule_bad(RULE(.action = "Accept", .operations = three), CAUSE_REQUIRED,
             ".operations[1].setPriority.value", "Required");
}

static void test_filter_families(void **state) {
    (void)state;
    struct prefix_length length = {.max = NUMBER(128)};
    struct filter_rule rule = {
        .action = "Accept", .cidr = "fd00::/8", .match_operator = "In", .prefix_length = &length};
    struct bgp_filter_spec spec = {.export_v6 = {.count = 1, .items = &rule}};
    struct bgp_filter filter = {.spec = &spec};
    expect_valid(KIND_BGPFILTER, "f", &filter);
    rule.cidr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128";
    expect_valid(KIND_BGPFILTER, "f", &filter);
    rule.cidr = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128";
    expect_error(KIND_BGPFILTER, "f", &filter, CAUSE_TOO_LONG, "spec.exportV6[0].cidr", "43");
    rule.cidr = "fd00::/8";
    length.max.value = 129;
    expect_error(KIND_BGPFILTER, "f", &filter, CAUSE_INVALID, "spec.exportV6[0].prefixLength.max", "128");
    rule.prefix_length = NULL;
    rule.cidr = "10.0.0.0/8";
    expect_error(KIND_BGPFILTER, "f", &filter, CAUSE_INVALID, "spec.exportV6[0].cidr", "IPv6 network");
}

/* --- Secret ------------------------------------------------------------------------------------ */

static void secret_ok(const char *key, size_t size) {
    static uint8_t bytes[SECRET_SIZE_MAX + 1];
    struct byte_value value = {.key = key, .bytes = bytes, .len = size};
    struct secret secret = {.data = {.count = 1, .items = &value}};
    expect_valid(KIND_SECRET, "s", &secret);
}

static void secret_bad(const char *key, size_t size, const char *reason, const char *field,
                       const char *text) {
    static uint8_t bytes[SECRET_SIZE_MAX + 1];
    struct byte_value value = {.key = key, .bytes = bytes, .len = size};
    struct secret secret = {.data = {.count = 1, .items = &value}};
    expect_error(KIND_SECRET, "s", &secret, reason, field, text);
}

static void test_secret(void **state) {
    (void)state;
    char key[256];
    memset(key, 'k', 254);
    key[254] = '\0';
    secret_ok("rack1", 0);
    secret_ok("rack1", 65536);
    secret_bad("rack1", SECRET_SIZE_MAX + 1, CAUSE_TOO_LONG, "data[rack1]", "1048576");
    secret_bad("a b", 1, CAUSE_INVALID, "data[a b]", "letters");
    secret_bad("", 1, CAUSE_INVALID, "data[]", "letters");
    secret_bad("..a", 1, CAUSE_INVALID, "data[..a]", "..");
    struct label text = {.key = key, .value = "x"};
    struct secret secret = {.string_data = {.count = 1, .items = &text}};
    struct object object = make_object(KIND_SECRET, "s", &secret);
    struct verdict verdict;
    judge(&verdict, &object);
    assert_int_equal(verdict.causes.count, 1);
    assert_string_equal(verdict.causes.items[0].reason, CAUSE_TOO_LONG);
    assert_memory_equal(verdict.causes.items[0].field, "stringData[kkk", 14);
    arena_done(&verdict.arena);
    key[253] = '\0';
    expect_valid(KIND_SECRET, "s", &secret);
}

/* --- the walk ---------------------------------------------------------------------------------- */

/* Messages quote values: cut, escaped, never inside a UTF-8 character. */
static void test_long_values_are_cut(void **state) {
    (void)state;
    char text[1000];
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        text[i] = i % 2 == 0 ? '\xC3' : '\xA9';
    }
    text[64 * 2 - 1] = 'x';
    text[sizeof text - 1] = '\0';
    struct object object =
        make_object(KIND_BGPPEER, text, &(struct bgp_peer){.spec = &PEER(.peer_ip = "1.1.1.1")});
    struct verdict verdict;
    judge(&verdict, &object);
    assert_int_equal(verdict.causes.count, 1);
    const char *message = verdict.causes.items[0].message;
    assert_true(strlen(message) < 300);
    const char *cut = strstr(message, "...");
    assert_non_null(cut);
    assert_int_equal((unsigned char)cut[-1], 0xA9);
    arena_done(&verdict.arena);
}

static void test_more_errors_than_are_kept(void **state) {
    (void)state;
    static struct filter_rule rules[CAUSES_MAX + 5];
    struct bgp_filter_spec spec = {.export_v4 = {.count = COUNT_OF(rules), .items = rules}};
    struct object object = make_object(KIND_BGPFILTER, "f", &(struct bgp_filter){.spec = &spec});
    struct verdict verdict;
    judge(&verdict, &object);
    assert_int_equal(verdict.causes.count, CAUSES_MAX);
    assert_int_equal(verdict.causes.dropped, 5);
    assert_string_equal(verdict.causes.items[99].field, "spec.exportV4[99].action");
    arena_done(&verdict.arena);
}

/* Whatever allocation fails, an invalid object stays invalid and a valid one is never half judged. */
static void test_no_memory(void **state) {
    (void)state;
    const char *names[] = {"b", "a", "b"};
    struct bgp_configuration_spec spec = {.listen_port = NUMBER(0),
                                          .ignored_interfaces = {.count = 3, .items = names}};
    struct bgp_configuration configuration = {.spec = &spec};
    struct bgp_peer_spec peer_spec = {.node = "n1", .peer_selector = "rack == 'a'"};
    struct bgp_peer peer = {.spec = &peer_spec};
    for (long successes = 0; successes < 20; successes++) {
        struct object object = make_object(KIND_BGPCONFIGURATION, "default", &configuration);
        struct verdict verdict;
        base_alloc_fail_after(successes);
        judge(&verdict, &object);
        base_alloc_fail_after(-1);
        assert_true(verdict.causes.count >= 2);
        arena_done(&verdict.arena);

        object = make_object(KIND_BGPPEER, "p", &peer);
        base_alloc_fail_after(successes);
        judge(&verdict, &object);
        bool failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_true(verdict.causes.count == 0 || failed);
        if (verdict.causes.count != 0 && !verdict.arena.failed) {
            assert_non_null(strstr(verdict.causes.items[0].message, "no memory"));
        }
        arena_done(&verdict.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_exclusions),
        cmocka_unit_test(test_peer_local_workloads),
        cmocka_unit_test(test_peer_reachable_by),
        cmocka_unit_test(test_peer_values),
        cmocka_unit_test(test_peer_lengths),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_spec_is_required),
        cmocka_unit_test(test_every_error_at_once),
        cmocka_unit_test(test_peer_filters_end),
        cmocka_unit_test(test_configuration_of_the_fleet),
        cmocka_unit_test(test_configuration_mesh),
        cmocka_unit_test(test_configuration_communities),
        cmocka_unit_test(test_configuration_list_limits),
        cmocka_unit_test(test_configuration_values),
        cmocka_unit_test(test_filter_match),
        cmocka_unit_test(test_filter_operations),
        cmocka_unit_test(test_filter_families),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_more_errors_than_are_kept),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("model rules", tests, NULL, NULL);
}
