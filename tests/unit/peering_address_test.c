/*
 * Addresses: who owns them, and what a list says when that is not certain.
 */
#include "peering_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_are_known),
        cmocka_unit_test(addresses_of_peers_are_known),
    };
    return cmocka_run_group_tests_name("peering: addresses", tests, NULL, NULL);
}
