/* Rules of Nodes: each accepted and refused at its edge, with the right field, reason and text. */
#include "model_test.h"

static void node_ok(struct node_spec spec) {
    struct node node = {.spec = &spec};
    expect_valid(KIND_NODE, "n1", &node);
}

static void node_bad(struct node_spec spec, const char *reason, const char *field, const char *text) {
    struct node node = {.spec = &spec};
    expect_error(KIND_NODE, "n1", &node, reason, field, text);
}

#define NODE(...)     ((struct node_spec){__VA_ARGS__})
#define NODE_BGP(...) NODE(.bgp = &(struct node_bgp_spec){__VA_ARGS__})

/* What Calico's Node does not have. */
static void test_node_own_fields(void **state) {
    (void)state;
    node_ok(NODE_BGP(.router_id = "192.0.2.1"));
    node_ok(NODE_BGP(.ipv4_address = "10.0.0.1", .router_id = "223.255.255.255"));
    static const char *const bad_ids[] = {"0.0.0.0", "0.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
    for (size_t i = 0; i < COUNT_OF(bad_ids); i++) {
        node_bad(NODE_BGP(.ipv4_address = "10.0.0.1", .router_id = bad_ids[i]), CAUSE_INVALID,
                 "spec.bgp.routerID", "Bad BGP Identifier");
    }
    node_bad(NODE_BGP(.router_id = "fd00::1"), CAUSE_INVALID, "spec.bgp.routerID",
             "must be a BGP identifier");
    node_bad(NODE_BGP(.router_id = "17"), CAUSE_INVALID, "spec.bgp.routerID",
             "has 1 number; an IPv4 address has four");
    node_ok(NODE_BGP(.prefix_advertisements = ITEMS(
                         prefix_advertisement, {.cidr = "10.1.0.0/24"},
                         {.cidr = "fd00::/64", .communities = STRINGS("65000:1", "65000:1:2", "gold")})));
    static const struct {
        const char *cidr;
        const char *community;
        const char *field;
        const char *text;
    } bad[] = {
        {NULL, "65000:1", "spec.bgp.prefixAdvertisements[0].cidr", "Required"},
        {"10.1.0.1/24", "65000:1", "spec.bgp.prefixAdvertisements[0].cidr", "10.1.0.0/24"},
        {"10.1.0.1", "65000:1", "spec.bgp.prefixAdvertisements[0].cidr", "prefix length"},
        {"10.1.0.0/24", "65536:1", "spec.bgp.prefixAdvertisements[0].communities[0]", "at most 65535"},
        {"10.1.0.0/24", "Gold!", "spec.bgp.prefixAdvertisements[0].communities[0]", "name"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        node_bad(NODE_BGP(.prefix_advertisements =
                              ITEMS(prefix_advertisement,
                                    {.cidr = bad[i].cidr, .communities = STRINGS(bad[i].community)})),
                 bad[i].cidr == NULL ? CAUSE_REQUIRED : CAUSE_INVALID, bad[i].field, bad[i].text);
    }
    static struct prefix_advertisement many[501];
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i].cidr = "10.1.0.0/24";
    }
    node_ok(NODE_BGP(.prefix_advertisements = {.count = 500, .items = many}));
    node_bad(NODE_BGP(.prefix_advertisements = {.count = 501, .items = many}), CAUSE_TOO_MANY,
             "spec.bgp.prefixAdvertisements", "at most 500");
}

static void test_node(void **state) {
    (void)state;
    node_ok(NODE(.bgp = NULL));
    node_ok(NODE_BGP(.as_number = NUMBER(0)));
    node_ok(NODE_BGP(.ipv4_ipip_tunnel_addr = "10.0.0.1"));
    node_ok(NODE_BGP(.route_reflector_cluster_id = "244.0.0.1"));
    node_bad(NODE_BGP(.ipv4_address = NULL), CAUSE_INVALID, "spec.bgp", "must not be empty");
    node_bad(NODE_BGP(.ipv4_address = ""), CAUSE_INVALID, "spec.bgp", "must not be empty");
    node_bad(NODE_BGP(.ipv4_address = "fd00::1/64"), CAUSE_INVALID, "spec.bgp.ipv4Address", "IPv6");
    node_bad(NODE_BGP(.ipv4_address = "0.0.0.0"), CAUSE_INVALID, "spec.bgp.ipv4Address", "unspecified");
    node_bad(NODE_BGP(.ipv4_address = "127.0.0.1/8"), CAUSE_INVALID, "spec.bgp.ipv4Address", "loopback");
    node_bad(NODE_BGP(.ipv4_address = "224.0.0.1/24"), CAUSE_INVALID, "spec.bgp.ipv4Address", "multicast");
    node_bad(NODE_BGP(.ipv4_address = "255.255.255.255"), CAUSE_INVALID, "spec.bgp.ipv4Address", "broadcast");
    node_bad(NODE_BGP(.ipv6_address = "::/64"), CAUSE_INVALID, "spec.bgp.ipv6Address", "unspecified");
    node_bad(NODE_BGP(.ipv6_address = "::1"), CAUSE_INVALID, "spec.bgp.ipv6Address", "loopback");
    node_bad(NODE_BGP(.ipv6_address = "ff02::1/64"), CAUSE_INVALID, "spec.bgp.ipv6Address", "multicast");
    node_bad(NODE_BGP(.ipv6_address = "10.0.0.1/24"), CAUSE_INVALID, "spec.bgp.ipv6Address", "IPv4");
    node_bad(NODE_BGP(.ipv4_address = "10.0.0.1", .route_reflector_cluster_id = "abcdef"), CAUSE_INVALID,
             "spec.bgp.routeReflectorClusterID", "is not an address");
    node_ok(NODE(.addresses = ITEMS(node_address, {.address = "10.0.0.1/24", .type = "CalicoNodeIP"},
                                    {.address = "10.0.0.1", .type = "InternalIP"}, {.address = "fd00::1"})));
    /* Calico takes these as they are, and so do we: a Node of a Calico fleet must not be refused. */
    node_ok(
        NODE(.addresses = ITEMS(node_address, {.address = "host1", .type = "Hostname"}, {.address = ""})));
    node_ok(
        NODE(.interfaces = ITEMS(node_interface, {.name = "a/b", .addresses = STRINGS("10.0.0.1", "x")})));
    node_bad(NODE(.wireguard = &(struct node_wireguard_spec){.interface_ipv4_address = "fd00::1"}),
             CAUSE_INVALID, "spec.wireguard.interfaceIPv4Address", "IPv4");
    node_bad(NODE(.vxlan_tunnel_mac_addr = "66:3f"), CAUSE_INVALID, "spec.vxlanTunnelMACAddr", "MAC");

    struct node_status status = {.wireguard_public_key = "foobar"};
    struct node node = {.status = &status};
    expect_error(KIND_NODE, "n1", &node, CAUSE_INVALID, "status.wireguardPublicKey", "WireGuard");
}

/* Lists that Calico leaves without a limit. */
static void test_node_lists_end(void **state) {
    (void)state;
    static struct orch_ref refs[257];
    static struct node_address addresses[257];
    node_ok(NODE(.orch_refs = {.count = 256, .items = refs}));
    node_bad(NODE(.orch_refs = {.count = 257, .items = refs}), CAUSE_TOO_MANY, "spec.orchRefs",
             "at most 256");
    node_ok(NODE(.addresses = {.count = 256, .items = addresses}));
    node_bad(NODE(.addresses = {.count = 257, .items = addresses}), CAUSE_TOO_MANY, "spec.addresses",
             "at most 256");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_node_own_fields),
        cmocka_unit_test(test_node_lists_end),
    };
    return cmocka_run_group_tests_name("model: nodes", tests, NULL, NULL);
}
