/* The named text formats, each at its edges, through the fields that use them. */
#include "model_test.h"

struct example {
    const char *text;
    bool fine;
};

static void check_examples(enum kind kind, const char *path, const struct example *examples, size_t count) {
    const struct format *format = field_at(kind, path)->format;
    assert_non_null(format);
    for (size_t i = 0; i < count; i++) {
        char why[1024] = "";
        if (format->check(examples[i].text, why, sizeof why) != examples[i].fine) {
            fail_msg("%s: \"%s\" must be %s (%s)", path, examples[i].text,
                     examples[i].fine ? "accepted" : "refused", why);
        }
    }
}

#define CHECK(kind, path, ...)                                                                               \
    check_examples(kind, path, (const struct example[]){__VA_ARGS__},                                        \
                   COUNT_OF(((const struct example[]){__VA_ARGS__})))

static void test_addresses(void **state) {
    (void)state;
    CHECK(KIND_BGPPEER, "spec.peerIP", {"10.0.0.1", true}, {"10.0.0.1:1", true}, {"10.0.0.1:65535", true},
          {"[fd00::1]:179", true}, {"fd00::1", true}, {"10.0.0.1:0", false}, {"10.0.0.1:65536", false},
          {"10.0.0.1:", false}, {"[fd00::1]", false}, {"fe80::1%eth0", false}, {"10.0.0.01", false},
          {"10.0.0.1/32", false}, {" 10.0.0.1", false}, {"tor1.example.org", false});
    CHECK(KIND_BGPPEER, "spec.reachableBy", {"10.0.0.1", true}, {"fd00::1", true}, {"10.0.0.1:179", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.localWorkloadPeeringIPV4", {"169.254.1.1", true}, {"fd00::1", false},
          {"169.254.1", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.localWorkloadPeeringIPV6", {"fe80::1", true}, {"169.254.1.1", false});
    CHECK(KIND_NODE, "spec.bgp.routeReflectorClusterID", {"244.0.0.1", true}, {"1", false},
          {"300.0.0.1", false});
    CHECK(KIND_NODE, "spec.bgp.ipv4Address", {"10.0.0.1/24", true}, {"10.0.0.1", true}, {"10.0.0.1/0", true},
          {"10.0.0.1/33", false}, {"fd00::1/64", false}, {"10.0.0.1/", false});
    CHECK(KIND_NODE, "spec.bgp.ipv6Address", {"FD00::1/64", true}, {"fd00::1", true}, {"fd00::1/129", false},
          {"10.0.0.1", false});
}

static void test_networks(void **state) {
    (void)state;
    CHECK(KIND_BGPCONFIGURATION, "spec.serviceClusterIPs.cidr", {"10.96.0.0/12", true}, {"0.0.0.0/0", true},
          {"10.0.0.1/32", true}, {"::/0", true}, {"9000::0/64", true}, {"fd00::1/128", true},
          {"10.96.0.1/12", false}, {"10.0.0.128/24", false}, {"fd00::1/127", false}, {"10.0.0.1", false},
          {"fd00::", false}, {"10.0.0.0/33", false});
    CHECK(KIND_BGPFILTER, "spec.exportV4.cidr", {"10.0.0.0/8", true}, {"fd00::/8", false},
          {"10.0.0.0/7", true}, {"10.0.0.0/6", false});
    CHECK(KIND_BGPFILTER, "spec.exportV6.cidr", {"fd00::/8", true}, {"fd00::/7", false},
          {"10.0.0.0/8", false});

    char why[256] = "";
    const struct format *format = field_at(KIND_BGPFILTER, "spec.exportV4.cidr")->format;
    assert_false(format->check("10.1.2.3/20", why, sizeof why));
    assert_non_null(strstr(why, "10.1.0.0/20"));
    assert_false(format->check("10.1.2.3", why, sizeof why));
    assert_non_null(strstr(why, "/32"));
}

static void test_communities(void **state) {
    (void)state;
    CHECK(KIND_BGPFILTER, "spec.exportV4.communities.values", {"0:0", true}, {"65535:65535", true},
          {"4294967295:4294967295:4294967295", true}, {"0:0:0", true}, {"65536:0", false}, {"0:65536", false},
          {"4294967296:0:0", false}, {"0:0:4294967296", false}, {"01:2", false}, {"1:02:3", false},
          {"", false}, {"1", false}, {"1:", false}, {":1", false}, {"1::2", false}, {"1:2:3:4", false},
          {"a:b", false}, {"-1:1", false}, {"1 : 2", false}, {"no-export", false},
          {"99999999999999999999999999:1", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.communities.value", {"065535:01", true}, {"65536:1", false},
          {"00000000000000000000000000000001:1", true}, {"1:2:4294967296", false}, {"1", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.prefixAdvertisements.communities", {"65000:1", true},
          {"my-community", true}, {"100", true}, {"1:65536", false}, {"My", false}, {"", false});
}

static void test_interfaces(void **state) {
    (void)state;
    CHECK(KIND_BGPFILTER, "spec.importV4.interface", {"eth0", true}, {"*", true}, {"*.calico", true},
          {"cali_1-2*", true}, {"123456789012345", true}, {"1234567890123456", false}, {"eth&", false},
          {"eth 0", false}, {"\xC3\xA9th0", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.ignoredInterfaces", {"eth*", true}, {"*", false}, {"**", true},
          {"", false}, {"1234567890123456", false});
}

static void test_keys_and_levels(void **state) {
    (void)state;
    CHECK(KIND_NODE, "spec.vxlanTunnelMACAddr", {"66:3f:9d:01:02:03", true}, {"66-3F-9D-01-02-03", true},
          {"663f.9d01.0203", true}, {"00:01:02:03:04:05:06:07", true}, {"0001.0203.0405.0607", true},
          {"00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13", true}, {"66:3f:9d:01:02", false},
          {"66:3f:9d:01:02:0", false}, {"66:3f-9d:01:02:03", false}, {"66:3g:9d:01:02:03", false},
          {"663f9d010203", false}, {"", false}, {"66:3f:9d:01:02:03:", false});
    CHECK(KIND_NODE, "status.wireguardPublicKey", {"jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=", true},
          {"jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgYA", false},
          {"jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXg==", false}, {"foobar", false},
          {"jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSX-Y=", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.logSeverityScreen", {"Info", true}, {"INFO", true}, {"fatal", true},
          {"Warn", false}, {"Infox", false}, {"none", false});
    CHECK(KIND_BGPPEER, "spec.password.secretKeyRef.key", {"password", true}, {"a.b_c-1", true}, {".x", true},
          {"..x", false}, {".", false}, {"a/b", false}, {"a b", false});
}

static void test_selectors_and_durations(void **state) {
    (void)state;
    CHECK(KIND_BGPPEER, "spec.nodeSelector", {"all()", true}, {"rack == 'a' && !has(x)", true},
          {"rack == ", false}, {"rack = 'a'", false}, {"has(", false});
    CHECK(KIND_BGPPEER, "spec.keepaliveTime", {"20s", true}, {"0s", true}, {"1h2m3.5s", true},
          {"500ms", true}, {"-1s", false}, {"20", false}, {"1d", false}, {"", false});
    char why[1024] = "";
    assert_false(field_at(KIND_BGPPEER, "spec.nodeSelector")->format->check("has(a) &&", why, sizeof why));
    assert_non_null(strstr(why, "at byte"));
}

static void test_names(void **state) {
    (void)state;
    CHECK(KIND_BGPPEER, "spec.node", {"rack1-host1", true}, {"Rack_1.Host", true}, {"a", true}, {"-a", false},
          {"a.", false}, {"a/b", false}, {"a b", false});
    CHECK(KIND_BGPCONFIGURATION, "spec.communities.name", {"bgp-comm.large", true}, {"Bgp", false},
          {"a..b", false}, {"a_b", false});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),       cmocka_unit_test(test_networks),
        cmocka_unit_test(test_communities),     cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_keys_and_levels), cmocka_unit_test(test_selectors_and_durations),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("model formats", tests, NULL, NULL);
}
