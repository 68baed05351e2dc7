/* IP address text: what is accepted, what is refused, and the canonical form. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"

/* The canonical form of `text`, or "-" when it is refused. Parses a copy without a NUL behind it. */
static const char *canonical(const char *text) {
    static char out[IP_TEXT_MAX];
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    copy[len] = '1'; /* reading past the end would change the result */
    struct ip_addr addr;
    bool ok = ip_parse(copy, len, &addr);
    free(copy);
    if (!ok) {
        return "-";
    }
    size_t out_len = ip_format(&addr, out);
    assert_int_equal(out_len, strlen(out));
    return out;
}

static void addresses_get_their_canonical_form(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *canonical;
    } cases[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"10.0.0.9", "10.0.0.9"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"FD00:0:0::00AB", "fd00::ab"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"1:0:0:0:0:0:0:0", "1::"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"::1.2.3.4", "::102:304"},
        {"1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1::2:3.4.5.6", "1::2:304:506"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"::FFFF:0a01:0203", "10.1.2.3"},
        {"0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"},
        {"::fffe:1.2.3.4", "::fffe:102:304"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(canonical(cases[i].text), cases[i].canonical);
        assert_string_equal(canonical(cases[i].canonical), cases[i].canonical);
    }
}

static void other_text_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        ".",
        ":",
        ":::",
        "1",
        "1.2.3",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        "01.2.3.4",
        "1.2.3.00",
        "256.1.1.1",
        "1.2.3.999999999999",
        "-1.2.3.4",
        "+1.2.3.4",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4\n",
        "0x1.2.3.4",
        "1,2,3,4",
        "a.b.c.d",
        "localhost",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8:",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        "1::2::3",
        "1:2:3:4::5:6:7:8",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "00001::",
        "12345::",
        "g::",
        "::g",
        "1:::2",
        "fe80::1%eth0",
        "fe80::1%",
        "[::1]",
        "::1/128",
        "::1.2.3",
        "::1.2.3.4.5",
        "::01.2.3.4",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:1.2.3.4",
        "::256.1.1.1",
        "::1.2.3.4 ",
        "1.2.3.4::",
        "::\xC2\xB2",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_string_equal(canonical(texts[i]), "-");
    }
    struct ip_addr addr;
    assert_false(ip_parse("1.2.3.4\0", 8, &addr));
    assert_false(ip_parse("::\0", 3, &addr));
    assert_false(ip_parse(NULL, 0, &addr));
}

/* Every pattern of zero and other groups, against the C library's parser. */
static void gaps_agree_with_the_c_library(void **state) {
    (void)state;
    for (unsigned pattern = 0; pattern < 256; pattern++) {
        struct ip_addr addr = {.family = IP_V6};
        for (unsigned i = 0; i < 8; i++) {
            if (pattern & 1U << i) {
                addr.bytes[2 * i + 1] = (uint8_t)(i + 1);
            }
        }
        char text[IP_TEXT_MAX];
        ip_format(&addr, text);
        uint8_t bytes[16];
        assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
        assert_memory_equal(bytes, addr.bytes, sizeof bytes);
        struct ip_addr again;
        assert_true(ip_parse(text, strlen(text), &again));
        assert_int_equal(again.family, IP_V6);
        assert_memory_equal(again.bytes, addr.bytes, sizeof bytes);
    }
}

static void longest_text_fits(void **state) {
    (void)state;
    struct ip_addr addr = {.family = IP_V6};
    memset(addr.bytes, 0xFF, sizeof addr.bytes);
    char text[IP_TEXT_MAX];
    assert_int_equal(ip_format(&addr, text), 39);
    struct ip_addr none = {.family = IP_NONE};
    assert_int_equal(ip_format(&none, text), 0);
    assert_string_equal(text, "");
    assert_false(ip_is_set(&none));
    assert_true(ip_is_set(&addr));
}

static void assert_cidr(const char *text, const char *address, unsigned prefix) {
    struct ip_cidr cidr;
    char out[IP_TEXT_MAX];
    assert_true(ip_parse_cidr(text, strlen(text), &cidr));
    ip_format(&cidr.addr, out);
    assert_string_equal(out, address);
    assert_int_equal(cidr.prefix, prefix);
    assert_true(ip_parse_cidr_or_addr(text, strlen(text), &cidr));
    assert_int_equal(cidr.prefix, prefix);
}

static void cidrs_keep_their_host_bits(void **state) {
    (void)state;
    assert_cidr("10.0.0.1/24", "10.0.0.1", 24);
    assert_cidr("0.0.0.0/0", "0.0.0.0", 0);
    assert_cidr("10.0.0.1/32", "10.0.0.1", 32);
    assert_cidr("FD00::1/64", "fd00::1", 64);
    assert_cidr("::/0", "::", 0);
    assert_cidr("::1/128", "::1", 128);
    assert_cidr("::ffff:10.0.0.1/120", "10.0.0.1", 24);
    assert_cidr("10.0.0.1/024", "10.0.0.1", 24);
    assert_cidr("10.0.0.1/00", "10.0.0.1", 0);
    assert_cidr("fd00::1/00000000000000000000000064", "fd00::1", 64);
}

static void bad_cidrs_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "/",
        "/24",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/033",
        "10.0.0.1/0x8",
        "10.0.0.1/-1",
        "10.0.0.1/+1",
        "10.0.0.1/24/24",
        "10.0.0.1/ 24",
        "10.0.0/24",
        "fd00::1/129",
        "fd00::1/0x40",
        "10.0.0.1/255.255.255.0",
        "::ffff:10.0.0.1/24",
        "10.0.0.1/4294967320",
    };
    struct ip_cidr cidr;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(ip_parse_cidr(texts[i], strlen(texts[i]), &cidr));
        assert_false(ip_parse_cidr_or_addr(texts[i], strlen(texts[i]), &cidr));
    }
    assert_false(ip_parse_cidr("10.0.0.1", 8, &cidr));
    assert_false(ip_parse_cidr(NULL, 0, &cidr));
}

static void bare_address_is_a_host_cidr(void **state) {
    (void)state;
    struct ip_cidr cidr;
    assert_true(ip_parse_cidr_or_addr("10.0.0.1", 8, &cidr));
    assert_int_equal(cidr.prefix, 32);
    assert_true(ip_parse_cidr_or_addr("fd00::1", 7, &cidr));
    assert_int_equal(cidr.prefix, 128);
    assert_false(ip_parse_cidr_or_addr("", 0, &cidr));
}

static void assert_endpoint(const char *text, const char *address, unsigned port) {
    struct ip_endpoint endpoint;
    char out[IP_TEXT_MAX];
    assert_true(ip_parse_endpoint(text, strlen(text), &endpoint));
    ip_format(&endpoint.addr, out);
    assert_string_equal(out, address);
    assert_int_equal(endpoint.port, port);
}

static void endpoints_may_carry_a_port(void **state) {
    (void)state;
    assert_endpoint("10.0.0.1", "10.0.0.1", 0);
    assert_endpoint("10.0.0.1:179", "10.0.0.1", 179);
    assert_endpoint("10.0.0.1:000000000000000000000000179", "10.0.0.1", 179);
    assert_endpoint("10.0.0.1:65535", "10.0.0.1", 65535);
    assert_endpoint("fd00::1", "fd00::1", 0);
    assert_endpoint("[FD00::1]:1790", "fd00::1", 1790);
    assert_endpoint("[::ffff:10.0.0.1]:179", "10.0.0.1", 179);
    /* Brackets around an IPv4 address: Calico takes them. */
    assert_endpoint("[10.0.0.1]:179", "10.0.0.1", 179);
}

static void bad_endpoints_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        ":",
        ":179",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:-1",
        "10.0.0.1:+1",
        "10.0.0.1:1x",
        "10.0.0.1: 179",
        "10.0.0.1:0x10",
        "10.0.0.1:1:2",
        "[fd00::1]",
        "[fd00::1]:",
        "[fd00::1]:0",
        "[fd00::1]179",
        "[fd00::1",
        "fd00::1]:179",
        "[]:179",
        "[[fd00::1]]:179",
        "[10.0.0.1]",
        "[fe80::1%1]:179",
        "host:179",
        "10.0.0.1:65537179",
    };
    struct ip_endpoint endpoint;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(ip_parse_endpoint(texts[i], strlen(texts[i]), &endpoint));
    }
}

static int compare(const char *a, const char *b) {
    struct ip_addr x;
    struct ip_addr y;
    assert_true(ip_parse(a, strlen(a), &x));
    assert_true(ip_parse(b, strlen(b), &y));
    assert_true((ip_compare(&x, &y) < 0) == (ip_compare(&y, &x) > 0));
    return ip_compare(&x, &y);
}

static void order_is_by_family_then_number(void **state) {
    (void)state;
    assert_true(compare("10.0.0.9", "10.0.0.10") < 0);
    assert_true(compare("255.255.255.255", "::") < 0);
    assert_true(compare("fd00::9", "fd00::10") < 0);
    assert_int_equal(compare("fd00::1", "FD00:0::1"), 0);
    assert_int_equal(compare("1.2.3.4", "::ffff:1.2.3.4"), 0);
}

static void some_addresses_are_no_hosts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *fault; /* NULL: a host may have it */
    } cases[] = {
        {"0.0.0.0", "unspecified"},
        {"::", "unspecified"},
        {"127.0.0.1", "loopback"},
        {"127.255.255.255", "loopback"},
        {"::1", "loopback"},
        {"224.0.0.1", "multicast"},
        {"239.255.255.255", "multicast"},
        {"ff02::1", "multicast"},
        {"ffee::1", "multicast"},
        {"255.255.255.255", "broadcast"},
        {"0.0.0.1", NULL},
        {"126.255.255.255", NULL},
        {"128.0.0.1", NULL},
        {"223.255.255.255", NULL},
        {"240.0.0.1", NULL},
        {"255.255.255.254", NULL},
        {"::2", NULL},
        {"feff::1", NULL},
        {"ffff:ffff::", "multicast"},
        {"10.0.0.1", NULL},
        {"fd00::1", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip_addr addr;
        assert_true(ip_parse(cases[i].text, strlen(cases[i].text), &addr));
        const char *fault = ip_no_host(&addr);
        if ((fault == NULL) != (cases[i].fault == NULL) ||
            (fault != NULL && strstr(fault, cases[i].fault) == NULL)) {
            fail_msg("%s is %s", cases[i].text, fault != NULL ? fault : "a host's");
        }
    }
}

static void networks_hold_what_begins_like_them(void **state) {
    (void)state;
    static const struct {
        const char *network;
        const char *address;
        bool holds;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.64/26", "10.0.0.127", true},
        {"10.0.0.64/26", "10.0.0.128", false},
        {"10.1.2.3/16", "10.1.9.9", true},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::", false},
        {"::/0", "10.0.0.1", false},
        {"10.0.0.1/32", "10.0.0.1", true},
        {"10.0.0.1/32", "10.0.0.0", false},
        {"fd00::/9", "fd7f::1", true},
        {"fd00::/9", "fd80::1", false},
        {"fd00::1/128", "fd00::1", true},
        {"fd00::1/128", "fd00::", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip_cidr network;
        struct ip_addr addr;
        assert_true(ip_parse_cidr(cases[i].network, strlen(cases[i].network), &network));
        assert_true(ip_parse(cases[i].address, strlen(cases[i].address), &addr));
        if (ip_network_holds(&network, &addr) != cases[i].holds) {
            fail_msg("%s and %s", cases[i].network, cases[i].address);
        }
    }
}

static void test_ranges(void **state) {
    static const char *const BAD[] = {",", "10.0.0.0/8,,", "10.0.0.0/33", "10.0.0.0/8 10.1.0.0/16",
                                      "x", "10.0.0.0/8, x"};
    struct ip_ranges ranges = {.count = 9};
    struct ip_addr addr;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        assert_int_equal(ip_ranges_parse(BAD[i], &ranges, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(ranges.count, 9);
    }
    assert_int_equal(ip_ranges_parse("  ", &ranges, &err), 0);
    assert_int_equal(ranges.count, 0);
    assert_int_equal(ip_ranges_parse(" 10.1.2.3/8 ,2001:db8::/32,192.0.2.1,", &ranges, &err), 0);
    assert_int_equal(ranges.count, 3);
    static const struct {
        const char *text;
        bool held;
    } CASES[] = {{"10.255.0.1", true},     {"11.0.0.1", false},   {"192.0.2.1", true},
                 {"192.0.2.2", false},     {"2001:db8::1", true}, {"2001:db9::1", false},
                 {"::ffff:10.0.0.1", true}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        assert_true(ip_parse(CASES[i].text, strlen(CASES[i].text), &addr));
        assert_int_equal(ip_ranges_contain(&ranges, &addr), CASES[i].held);
    }

    char text[IP_RANGES_MAX * 9 + 16] = "";
    for (size_t i = 0; i < IP_RANGES_MAX; i++) {
        strcat(text, "10.0.0.1,");
    }
    assert_int_equal(ip_ranges_parse(text, &ranges, &err), 0);
    assert_int_equal(ranges.count, IP_RANGES_MAX);
    assert_int_equal(ip_ranges_parse(strcat(text, "10.0.0.1"), &ranges, &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(addresses_get_their_canonical_form),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(gaps_agree_with_the_c_library),
        cmocka_unit_test(longest_text_fits),
        cmocka_unit_test(cidrs_keep_their_host_bits),
        cmocka_unit_test(bad_cidrs_are_refused),
        cmocka_unit_test(bare_address_is_a_host_cidr),
        cmocka_unit_test(endpoints_may_carry_a_port),
        cmocka_unit_test(bad_endpoints_are_refused),
        cmocka_unit_test(order_is_by_family_then_number),
        cmocka_unit_test(some_addresses_are_no_hosts),
        cmocka_unit_test(networks_hold_what_begins_like_them),
    };
    return cmocka_run_group_tests_name("base: addresses", tests, NULL, NULL);
}
