/* Advice: given where it helps, silent where all is well, never with a secret in it. */
#include "model_test.h"

static bool advised(enum kind kind, const char *name, void *body, const char *text) {
    struct object object = make_object(kind, name, body);
    struct verdict verdict;
    judge(&verdict, &object);
    bool found = has_advice(&verdict, text);
    arena_done(&verdict.arena);
    return found;
}

static void expect_silence(enum kind kind, const char *name, void *body) {
    struct object object = make_object(kind, name, body);
    struct verdict verdict;
    judge(&verdict, &object);
    if (verdict.causes.count != 0 || verdict.advice.count != 0) {
        print_verdict(&verdict);
        fail();
    }
    arena_done(&verdict.arena);
}

#define PEER(...)                   (&(struct bgp_peer){.spec = &(struct bgp_peer_spec){__VA_ARGS__}})
#define PEER_ADVISED(text, ...)     assert_true(advised(KIND_BGPPEER, "p", PEER(__VA_ARGS__), text))
#define PEER_NOT_ADVISED(text, ...) assert_false(advised(KIND_BGPPEER, "p", PEER(__VA_ARGS__), text))

static void test_good_objects_get_none(void **state) {
    (void)state;
    struct secret_key_ref ref = {.name = "bgp", .key = "rack1"};
    struct bgp_password password = {.secret_key_ref = &ref};
    expect_silence(KIND_BGPPEER, "rack1-tor",
                   PEER(.node_selector = "rack == '1'", .peer_ip = "10.0.1.1", .as_number = NUMBER(63400),
                        .password = &password, .filters = STRINGS("only-pods"), .ttl_security = NUMBER(1),
                        .keepalive_time = SECONDS(20), .max_restart_time = SECONDS(4095)));
    expect_silence(KIND_BGPPEER, "mesh", PEER(.node_selector = "all()", .peer_selector = "has(rr)"));
    struct node_bgp_spec bgp = {.ipv4_address = "10.0.0.1/24", .as_number = NUMBER(64512)};
    expect_silence(KIND_NODE, "n1", &(struct node){.spec = &(struct node_spec){.bgp = &bgp}});
    struct bgp_configuration_spec configuration = {.as_number = NUMBER(64512),
                                                   .node_mesh_password = &password};
    expect_silence(KIND_BGPCONFIGURATION, "default", &(struct bgp_configuration){.spec = &configuration});
    struct bgp_configuration_spec of_node = {.listen_port = NUMBER(1790)};
    expect_silence(KIND_BGPCONFIGURATION, "node.n1", &(struct bgp_configuration){.spec = &of_node});
    struct filter_rule rules[] = {{.cidr = "10.0.0.0/8", .match_operator = "In", .action = "Accept"},
                                  {.action = "Reject"}};
    struct bgp_filter_spec filter = {.import_v4 = {.count = 2, .items = rules}};
    expect_silence(KIND_BGPFILTER, "f", &(struct bgp_filter){.spec = &filter});
    struct byte_value value = {.key = "rack1", .bytes = (const uint8_t *)"hunter2", .len = 7};
    expect_silence(KIND_SECRET, "bgp", &(struct secret){.data = {.count = 1, .items = &value}});
}

static void test_peer_scope(void **state) {
    (void)state;
    PEER_ADVISED("every node", .peer_ip = "10.0.0.1", .as_number = NUMBER(1));
    PEER_ADVISED("every node", .peer_selector = "all()");
    PEER_NOT_ADVISED("every node", .peer_ip = "10.0.0.1", .node_selector = "all()");
    PEER_NOT_ADVISED("every node", .node = "n1", .peer_ip = "10.0.0.1");
    PEER_ADVISED("nothing to peer with", .node = "n1", .as_number = NUMBER(1));
    PEER_ADVISED("no session", .local_workload_selector = "all()", .as_number = NUMBER(1));
    PEER_NOT_ADVISED("nothing to peer with", .local_workload_selector = "all()", .as_number = NUMBER(1));
}

/* What is there and does nothing, or something else than it seems to. */
static void test_peer_without_effect(void **state) {
    (void)state;
    PEER_ADVISED("nodeSelector: is empty, which is the same as absent, so every node has this peering",
                 .node_selector = "", .peer_ip = "10.0.0.1");
    PEER_ADVISED("must be quoted in YAML", .node_selector = "", .peer_ip = "10.0.0.1");
    PEER_NOT_ADVISED("so every node", .node = "n1", .node_selector = "", .peer_ip = "10.0.0.1");
    PEER_ADVISED("peerSelector: is empty", .node = "n1", .peer_selector = "");
    PEER_NOT_ADVISED("is empty", .node = "n1", .peer_ip = "10.0.0.1");
    PEER_ADVISED("nodeSelector: consists of blanks, which select every node", .node_selector = " \t",
                 .peer_ip = "10.0.0.1");
    PEER_ADVISED("peerSelector: consists of blanks", .node = "n1", .peer_selector = "  ");
    PEER_NOT_ADVISED("blanks", .node = "n1", .peer_selector = " all() ");
    PEER_ADVISED("keepOriginalNextHop: has no effect on internal sessions", .node = "n1",
                 .peer_ip = "10.0.0.1", .as_number = NUMBER(1), .local_as_number = NUMBER(1),
                 .keep_original_next_hop = TRUE_VALUE);
    PEER_ADVISED("for external sessions nextHopMode: Keep says the same", .node = "n1", .peer_ip = "10.0.0.1",
                 .as_number = NUMBER(1), .keep_original_next_hop = TRUE_VALUE);
    PEER_ADVISED("FRR takes at most 10", .node = "n1", .peer_ip = "10.0.0.1",
                 .num_allowed_local_as_numbers = NUMBER(11));
    PEER_NOT_ADVISED("numAllowedLocalASNumbers", .node = "n1", .peer_ip = "10.0.0.1",
                     .num_allowed_local_as_numbers = NUMBER(10));
}

static void test_peer_as_numbers(void **state) {
    (void)state;
    PEER_ADVISED("default AS", .node = "n1", .peer_ip = "10.0.0.1");
    PEER_ADVISED("default AS", .node = "n1", .peer_ip = "10.0.0.1", .as_number = NUMBER(0));
    PEER_NOT_ADVISED("default AS", .node = "n1", .peer_selector = "all()");
    static const struct {
        uint32_t asn;
        const char *text;
    } cases[] = {
        {23456, "RFC 6793"}, {64495, NULL}, {64496, "RFC 5398"}, {64511, "RFC 5398"},
        {64512, NULL},       {65534, NULL}, {65535, "RFC 7300"}, {65536, "RFC 5398"},
        {65551, "RFC 5398"}, {65552, NULL}, {4294967294, NULL},  {4294967295, "RFC 7300"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (cases[i].text != NULL) {
            PEER_ADVISED(cases[i].text, .node = "n1", .peer_ip = "10.0.0.1",
                         .as_number = NUMBER(cases[i].asn));
            PEER_ADVISED(cases[i].text, .node = "n1", .peer_ip = "10.0.0.1",
                         .local_as_number = NUMBER(cases[i].asn));
        } else {
            PEER_NOT_ADVISED("RFC", .node = "n1", .peer_ip = "10.0.0.1", .as_number = NUMBER(cases[i].asn));
        }
    }
    PEER_ADVISED("RFC 8212", .peer_ip = "10.0.0.1", .as_number = NUMBER(1), .local_as_number = NUMBER(2));
    PEER_NOT_ADVISED("RFC 8212", .peer_ip = "10.0.0.1", .as_number = NUMBER(1), .local_as_number = NUMBER(1));
    PEER_NOT_ADVISED("RFC 8212", .peer_ip = "10.0.0.1", .as_number = NUMBER(1));
    PEER_NOT_ADVISED("RFC 8212", .peer_ip = "10.0.0.1", .as_number = NUMBER(1), .local_as_number = NUMBER(2),
                     .filters = STRINGS("f"));
}

static void test_peer_addresses(void **state) {
    (void)state;
    PEER_ADVISED("link-local", .peer_ip = "fe80::1");
    PEER_ADVISED("link-local", .peer_ip = "[febf::1]:179");
    PEER_NOT_ADVISED("link-local", .peer_ip = "fec0::1");
    PEER_NOT_ADVISED("link-local", .peer_ip = "169.254.1.1");
    PEER_ADVISED("loopback", .peer_ip = "127.0.0.1");
    PEER_ADVISED("loopback", .peer_ip = "::1");
    PEER_ADVISED("unspecified", .peer_ip = "0.0.0.0");
    PEER_ADVISED("unspecified", .peer_ip = "::");
    PEER_ADVISED("multicast", .peer_ip = "224.0.0.1");
    PEER_ADVISED("multicast", .peer_ip = "ff02::1");
    PEER_ADVISED("broadcast", .peer_ip = "255.255.255.255");
    static const char *const reserved[] = {"0.1.2.3", "192.0.0.7", "240.0.0.1", "255.255.255.254",
                                           "::a:b",   "100::1",    "fec0::1",   "feff::1"};
    for (size_t i = 0; i < COUNT_OF(reserved); i++) {
        PEER_ADVISED("no BGP speaker has such an address", .peer_ip = reserved[i]);
    }
    static const char *const usable[] = {"1.0.0.1", "192.0.1.1", "223.255.255.1", "100:0:0:1::1",
                                         "2001:db8::1"};
    for (size_t i = 0; i < COUNT_OF(usable); i++) {
        PEER_NOT_ADVISED("spec.peerIP", .peer_ip = usable[i]);
    }
}

/* Addresses that are not a host's in the network that they are written with. */
static void test_node_addresses(void **state) {
    (void)state;
    static const struct {
        const char *address;
        const char *text; /* NULL: nothing to say */
    } cases[] = {
        {"10.0.0.0/24", "the network's own address"},
        {"10.0.0.255/24", "the network's broadcast address"},
        {"10.0.0.255/23", NULL},
        {"10.0.0.0/31", NULL},
        {"10.0.0.1/31", NULL},
        {"10.0.0.0/32", NULL},
        {"10.0.0.0", NULL},
        {"10.0.0.4/30", "the network's own address"},
        {"10.0.0.7/30", "the network's broadcast address"},
        {"fd00::/64", "the network's anycast address"},
        {"fd00::ffff:ffff:ffff:ffff/64", NULL},
        {"fd00::/127", NULL},
        {"240.0.0.1/8", "no BGP speaker has such an address"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct node_bgp_spec bgp = {.ipv4_address = cases[i].address};
        if (strchr(cases[i].address, ':') != NULL) {
            bgp = (struct node_bgp_spec){.ipv6_address = cases[i].address};
        }
        struct node_spec spec = {.bgp = &bgp};
        struct node node = {.spec = &spec};
        if (cases[i].text != NULL) {
            assert_true(advised(KIND_NODE, "n1", &node, cases[i].text));
        } else {
            expect_silence(KIND_NODE, "n1", &node);
        }
    }
}

/* What Calico does not check either: accepted, but not in silence. */
static void test_node_lists(void **state) {
    (void)state;
    struct node_bgp_spec bgp = {.ipv4_address = "10.0.0.1/24"};
    struct node_spec spec = {
        .bgp = &bgp,
        .addresses = ITEMS(node_address, {.address = "10.0.0.1/24", .type = "CalicoNodeIP"},
                           {.address = "fd00::1", .type = "InternalIP"}, {.address = "10.0.0.2"}),
        .interfaces = ITEMS(node_interface, {.name = "eth0", .addresses = STRINGS("10.0.0.1/24")})};
    struct node_status status = {.pod_cidrs = STRINGS("10.65.0.0/24")};
    struct node node = {.spec = &spec, .status = &status};
    expect_silence(KIND_NODE, "n1", &node);
    spec.addresses =
        (struct list)ITEMS(node_address, {.address = "10.0.0.1"}, {.address = "host1", .type = "Hostname"});
    assert_true(advised(KIND_NODE, "n1", &node, "spec.addresses[1].address: 'host1' is not an IP address"));
    assert_true(advised(KIND_NODE, "n1", &node, "spec.addresses[1].type: 'Hostname' is not one of"));
    spec.addresses = (struct list)ITEMS(node_address, {.type = "ExternalIP"});
    assert_true(advised(KIND_NODE, "n1", &node, "spec.addresses[0].address: '' is not an IP address"));
    spec.interfaces =
        (struct list)ITEMS(node_interface, {.name = "eth0", .addresses = STRINGS("10.0.0.1", "x")});
    assert_true(advised(KIND_NODE, "n1", &node, "spec.interfaces[0].addresses[1]: is not an IP address"));
    status.pod_cidrs = (struct string_list)STRINGS("10.65.0.0/24", "10.65");
    assert_true(advised(KIND_NODE, "n1", &node, "status.podCIDRs[1]: is not a network"));
}

static void test_peer_settings(void **state) {
    (void)state;
    struct duration half = {.text = "2.5s", .ns = INT64_C(2500000000)};
    struct duration tiny = {.text = "400ms", .ns = 400000000};
    PEER_ADVISED("2.5s becomes 3s", .keepalive_time = half);
    PEER_ADVISED("2.5s becomes 3s", .max_restart_time = half);
    PEER_ADVISED("accepts 0s", .keepalive_time = tiny);
    PEER_ADVISED("accepts 0s", .keepalive_time = SECONDS(0));
    PEER_ADVISED("three times as long, here 65535s", .keepalive_time = SECONDS(21845));
    PEER_NOT_ADVISED("keepaliveTime", .keepalive_time = SECONDS(600));
    PEER_ADVISED("16 bits", .keepalive_time = SECONDS(21846));
    PEER_NOT_ADVISED("maxRestartTime", .max_restart_time = SECONDS(4095));
    PEER_ADVISED("RFC 4724", .max_restart_time = SECONDS(4096));
    PEER_ADVISED("protects nothing", .ttl_security = NUMBER(255));
    PEER_NOT_ADVISED("protects nothing", .ttl_security = NUMBER(254));
    PEER_ADVISED("deprecated", .keep_original_next_hop = TRUE_VALUE);
    PEER_NOT_ADVISED("deprecated", .keep_original_next_hop = FALSE_VALUE);
    struct bgp_password empty = {.secret_key_ref = NULL};
    PEER_ADVISED("no password", .password = &empty);
    PEER_ADVISED("localASNumber: is used with peerIP only", .peer_selector = "all()",
                 .local_as_number = NUMBER(1));
    PEER_ADVISED("numAllowedLocalASNumbers: less than 0", .peer_ip = "10.0.0.1",
                 .num_allowed_local_as_numbers = NUMBER(-1));
    PEER_NOT_ADVISED("numAllowedLocalASNumbers", .peer_ip = "10.0.0.1",
                     .num_allowed_local_as_numbers = NUMBER(0));
    PEER_ADVISED("numAllowedLocalASNumbers: is used", .peer_selector = "all()",
                 .num_allowed_local_as_numbers = NUMBER(1));
}

static void test_names(void **state) {
    (void)state;
    PEER_ADVISED("spec.node: 'N1' is not portable", .node = "N1", .peer_ip = "10.0.0.1");
    PEER_ADVISED("spec.filters: 'f_1' is not portable", .filters = STRINGS("ok", "f_1"));
    assert_true(
        advised(KIND_BGPPEER, "Rack_1", PEER(.node = "n1"), "metadata.name: 'Rack_1' is not portable"));
}

static void test_other_kinds(void **state) {
    (void)state;
    assert_true(advised(KIND_NODE, "n", &(struct node){.spec = NULL}, "no BGP sessions"));
    struct node_bgp_spec bgp = {.as_number = NUMBER(23456), .ipv6_address = "fe80::1/64"};
    struct node node = {.spec = &(struct node_spec){.bgp = &bgp}};
    assert_true(advised(KIND_NODE, "n", &node, "RFC 6793"));
    assert_true(advised(KIND_NODE, "n", &node, "link-local"));
    assert_false(advised(KIND_NODE, "n", &node, "no BGP sessions"));

    struct bgp_configuration_spec spec = {
        .as_number = NUMBER(0),
        .service_cluster_ips = ITEMS(cidr_block, {.cidr = NULL}),
        .communities = ITEMS(community, {.name = "a", .value = "1:1"}, {.name = "a", .value = "1:2"}),
        .node_mesh_max_restart_time = SECONDS(5000)};
    struct bgp_configuration configuration = {.spec = &spec};
    assert_true(advised(KIND_BGPCONFIGURATION, "default", &configuration, "RFC 7607"));
    assert_true(advised(KIND_BGPCONFIGURATION, "default", &configuration, "advertises nothing"));
    assert_true(advised(KIND_BGPCONFIGURATION, "default", &configuration, "more than once"));
    assert_true(advised(KIND_BGPCONFIGURATION, "default", &configuration, "4095"));
    assert_true(advised(KIND_BGPCONFIGURATION, "fleet", &configuration, "no effect"));
}

static void test_filters(void **state) {
    (void)state;
    struct prefix_length backwards = {.min = NUMBER(24), .max = NUMBER(16)};
    struct prefix_length outside = {.max = NUMBER(7)};
    uint32_t zero = 0;
    struct prepend_as_path prepend = {.prefix = {.count = 1, .items = &zero}};
    struct filter_operation operation = {.prepend_as_path = &prepend};
    struct filter_rule rules[] = {
        {.cidr = "10.0.0.0/8", .match_operator = "In", .action = "Accept", .prefix_length = &backwards},
        {.cidr = "10.0.0.0/8", .match_operator = "In", .action = "Accept", .prefix_length = &outside},
        {.action = "Accept", .operations = {.count = 1, .items = &operation}},
        {.interface = "eth0", .action = "Reject"},
    };
    struct bgp_filter_spec spec = {.import_v4 = {.count = COUNT_OF(rules), .items = rules}};
    struct bgp_filter filter = {.spec = &spec};
    assert_true(advised(KIND_BGPFILTER, "f", &filter, "spec.importV4[0].prefixLength"));
    assert_true(advised(KIND_BGPFILTER, "f", &filter, "spec.importV4[1].prefixLength"));
    assert_true(
        advised(KIND_BGPFILTER, "f", &filter, "spec.importV4[2].operations[0].prependASPath.prefix: AS 0"));
    assert_true(advised(KIND_BGPFILTER, "f", &filter, "spec.importV4[2]: matches every route"));
    outside.max.value = 8;
    assert_false(advised(KIND_BGPFILTER, "f", &filter, "spec.importV4[1].prefixLength"));
}

static void test_secret_values(void **state) {
    (void)state;
    char long_value[82];
    memset(long_value, 'z', sizeof long_value);
    static const char nul[] = {'h', 'i', '\0', 'x'};
    const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"", 0, "empty"},       {long_value, 80, NULL},      {long_value, 81, "80 bytes"},
        {"zz\n", 3, "newline"}, {"z\"z", 3, "double quote"}, {nul, sizeof nul, "NUL"},
        {"z\nz", 3, "newline"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct byte_value value = {
            .key = "rack1", .bytes = (const uint8_t *)cases[i].bytes, .len = cases[i].len};
        struct secret secret = {.data = {.count = 1, .items = &value}};
        if (cases[i].text == NULL) {
            expect_silence(KIND_SECRET, "s", &secret);
            continue;
        }
        assert_true(advised(KIND_SECRET, "s", &secret, cases[i].text));
        assert_true(advised(KIND_SECRET, "s", &secret, "data[rack1]"));
        assert_false(advised(KIND_SECRET, "s", &secret, "zz"));
    }
    struct label text = {.key = "k", .value = ""};
    struct secret secret = {.string_data = {.count = 1, .items = &text}};
    assert_true(advised(KIND_SECRET, "s", &secret, "stringData[k]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_objects_get_none),
        cmocka_unit_test(test_peer_scope),
        cmocka_unit_test(test_peer_without_effect),
        cmocka_unit_test(test_peer_as_numbers),
        cmocka_unit_test(test_peer_addresses),
        cmocka_unit_test(test_node_addresses),
        cmocka_unit_test(test_node_lists),
        cmocka_unit_test(test_peer_settings),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_secret_values),
    };
    return cmocka_run_group_tests_name("model advice", tests, NULL, NULL);
}
