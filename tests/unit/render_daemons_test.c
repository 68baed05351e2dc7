/*
 * Rendering, daemon by daemon: what each is told of single fields, with its own parser as the judge.
 */
#include "render_fixture.h"

/* ---- BIRD ---- */

static void test_two_ports_of_one_address_are_two_sessions_of_bird(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.entry_count = 2;
    fixture->entries[1] = fixture->entries[0];
    fixture->entries[1].port = 1790;
    const char *text = fixture_render(fixture, "bird2", true);
    assert_has(text, "protocol bgp 'n.192.0.2.1' from");
    assert_has(text, "protocol bgp 'n.192.0.2.1.1790' from");
    assert_accepted("bird2", &fixture->text);
}

static void test_the_usual_port_is_never_written(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.local.listen_port = 179;
    assert_has_not(fixture_render(fixture, "bird2", true), "port 179 ");
    fixture->list.local.listen_port = 1179;
    assert_has(fixture_render(fixture, "bird2", true), "local 192.0.2.11 port 1179 as 64512;");
}

static void test_binding_needs_an_address(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.local.bind_mode = "NodeIP";
    (void)fixture_render(fixture, "bird2", true);
    /* A session without a source: BIRD can open no socket for one address beside the one for all. */
    assert_has_not(section(fixture, "198.51.100.7"), "strict bind yes;");
    assert_has_not(section(fixture, "192.0.2.1"), "strict bind yes;");
    assert_has(section(fixture, "2001:db8::1"), "strict bind yes;");
    assert_false(fixture_problem(fixture, "198.51.100.7", "local.bindMode")->disabled);
    assert_accepted("bird2", &fixture->text);
}

static void test_a_long_hold_time_is_cut(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[0].keepalive_time_s = 86400;
    (void)fixture_render(fixture, "bird2", true);
    assert_has(section(fixture, "192.0.2.1"), "hold time 65535;\n  keepalive time 21845;");
    assert_false(fixture_problem(fixture, "192.0.2.1", "keepaliveTimeSeconds")->disabled);
}

static void test_only_a_reflector_passes_on_what_it_learned(void **state) {
    struct list_fixture *fixture = *state;
    (void)fixture_render(fixture, "bird2", true);
    assert_has(section(fixture, "192.0.2.12"), "if source = RTS_BGP then accept;");
    assert_has_not(section(fixture, "192.0.2.1"), "if source = RTS_BGP then accept;");
    fixture->list.local.route_reflector_cluster_id = NULL;
    (void)fixture_render(fixture, "bird2", true);
    assert_has_not(section(fixture, "192.0.2.12"), "if source = RTS_BGP then accept;");
    assert_has_not(section(fixture, "192.0.2.12"), "rr client;");
}

/* ---- FRR ---- */

static void test_frr_knows_a_session_by_its_address(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.entry_count = 2;
    fixture->entries[1] = fixture->entries[0];
    fixture->entries[1].port = 1790;
    const char *text = fixture_render(fixture, "frr", true);
    assert_has(text, "session peerIP=192.0.2.1 port=1790 state=left-out reason=NotExpressible");
    assert_has_not(text, "neighbor 192.0.2.1 port");
    assert_non_null(fixture_problem(fixture, "192.0.2.1", "port"));
    assert_accepted("frr", &fixture->text);
}

static void test_frr_has_no_own_as_for_internal_sessions(void **state) {
    struct list_fixture *fixture = *state;
    struct peering_entry *internal = &fixture->entries[0], *looks_internal = &fixture->entries[2];
    internal->as_number = internal->local_as_number = 64999;
    internal->external = false;
    looks_internal->as_number = fixture->list.local.as_number;
    (void)fixture_render(fixture, "frr", true);
    assert_down(fixture, "frr", "192.0.2.1");
    assert_down(fixture, "frr", "198.51.100.7");
    assert_has_not(fixture->text.data, "local-as");
    assert_accepted("frr", &fixture->text);
}

static void test_frr_takes_254_hops(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[0].ttl_security = 254;
    fixture->entries[3].ttl_security = 255;
    (void)fixture_render(fixture, "frr", true);
    assert_has(section(fixture, "192.0.2.1"), "ttl-security hops 254\n");
    assert_down(fixture, "frr", "198.51.100.8");
    assert_non_null(fixture_problem(fixture, "198.51.100.8", "ttlSecurity"));
    assert_accepted("frr", &fixture->text);
}

static void test_frr_leaves_its_default_restart_time_out(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.entry_count = 1;
    assert_has_not(fixture_render(fixture, "frr", true), "restart-time");
    assert_null(fixture_problem(fixture, "192.0.2.1", "maxRestartTimeSeconds"));
}

static void test_frr_compares_no_interfaces(void **state) {
    struct list_fixture *fixture = *state;
    fixture->filters[0].spec = fixture_spec(
        fixture, "{\"exportV4\":[{\"interface\":\"eth*\",\"peerType\":\"eBGP\",\"action\":\"Reject\"}]}");
    (void)fixture_render(fixture, "frr", true);
    assert_down(fixture, "frr", "192.0.2.1");
    assert_up(fixture, "frr", "192.0.2.12"); /* internal: the rule says nothing on it */
    (void)fixture_render(fixture, "bird2", true);
    assert_up(fixture, "bird2", "192.0.2.1");
    assert_has(fixture->text.data, "defined(ifname) && (ifname ~ \"eth*\") then reject;");
    assert_accepted("bird2", &fixture->text);
}

/* ---- GoBGP and OpenBGPD ---- */

static void test_passwords_are_escaped_for_gobgp(void **state) {
    struct list_fixture *fixture = *state;
    fixture_password(&fixture->entries[0], "a\"b\\c\x01\x7f\n#");
    (void)fixture_render(fixture, "gobgp", true);
    assert_has(section(fixture, "192.0.2.1"), "auth-password = \"a\\\"b\\\\c\\u0001\\u007f\\u000a#\"\n");
    assert_accepted("gobgp", &fixture->text);
}

static void test_passwords_are_keys_for_openbgpd(void **state) {
    struct list_fixture *fixture = *state;
    fixture_password(&fixture->entries[0], "a\"\\\xff\n");
    (void)fixture_render(fixture, "openbgpd", true);
    assert_has(section(fixture, "192.0.2.1"), "  tcp md5sig key \"61225cff0a\"\n");
    assert_accepted("openbgpd", &fixture->text);
    fixture_password(&fixture->entries[0], BYTES_80);
    (void)fixture_render(fixture, "openbgpd", true);
    assert_has(section(fixture, "192.0.2.1"), "303132333435363738393031");
    assert_accepted("openbgpd", &fixture->text);
}

/* With both, the daemon lets unsigned connections in. */
static void test_openbgpd_has_no_local_address_beside_a_password(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[0].filter_count = 0;
    (void)fixture_render(fixture, "openbgpd", true);
    assert_up(fixture, "openbgpd", "192.0.2.1");
    assert_has_not(section(fixture, "192.0.2.1"), "\n  local-address ");
    assert_false(fixture_problem(fixture, "192.0.2.1", "sourceAddress")->disabled);
    assert_has(section(fixture, "192.0.2.12"), "\n  local-address 192.0.2.11\n");
}

/* Nothing in a session's table but what it consists of: GoBGP restarts it for another description. */
static void test_the_origin_restarts_no_session_of_gobgp(void **state) {
    struct list_fixture *fixture = *state;
    (void)fixture_render(fixture, "gobgp", true);
    const char *before = strchr(section(fixture, "192.0.2.1"), '\n');
    fixture->entries[0].origin.bgp_peer = "renamed";
    fixture->entries[0].origin.remote_node = "moved";
    (void)fixture_render(fixture, "gobgp", true);
    assert_string_equal(strchr(section(fixture, "192.0.2.1"), '\n'), before);
}

static void test_gobgp_names_what_it_must_be_told(void **state) {
    const char *text = fixture_render(*state, "gobgp", true);
    assert_has(text, "\n# announce 192.0.2.64/26\n# announce 198.51.100.0/24\n# announce 2001:db8:1::/64\n");
}

static void test_different_prepends_are_several_statements(void **state) {
    struct list_fixture *fixture = *state;
    fixture->filters[0].spec = fixture_spec(
        fixture, "{\"importV4\":[{\"action\":\"Accept\",\"operations\":[{\"prependASPath\":{\"prefix\":"
                 "[65001,65001,65002]}},{\"prependASPath\":{\"prefix\":[65003]}}]}]}");
    const char *text = fixture_render(fixture, "gobgp", true);
    const char *first = strstr(text, "as = \"65002\"\nrepeat-n = 1\n");
    assert_non_null(first);
    const char *second = strstr(first, "as = \"65001\"\nrepeat-n = 2\n");
    assert_non_null(second);
    const char *third = strstr(second, "as = \"65003\"\nrepeat-n = 1\n");
    assert_non_null(third);
    assert_up(fixture, "gobgp", "192.0.2.1");
    assert_accepted("gobgp", &fixture->text);
}

/* What previews ask: which daemons keep a session shut for these filters. */
static void test_refused_filters_are_known_beforehand(void **state) {
    struct list_fixture *fixture = *state;
    static const unsigned all = (1u << RENDER_DAEMON_COUNT) - 1;
    static const unsigned bird = 1u << RENDER_BIRD, frr = 1u << RENDER_FRR, gobgp = 1u << RENDER_GOBGP,
                          openbgpd = 1u << RENDER_OPENBGPD;
    static const struct {
        const char *spec;
        unsigned external, internal; /* who refuses it */
    } CASES[] = {
        {"{\"importV4\":[{\"action\":\"Reject\"}]}", 0, 0},
        {"{\"exportV4\":[{\"interface\":\"eth*\",\"peerType\":\"eBGP\",\"action\":\"Reject\"}]}",
         frr | gobgp | openbgpd, 0},
        {"{\"importV6\":[{\"priority\":7,\"action\":\"Reject\"}]}", 0, 0},
        {"{\"importV4\":[{\"priority\":7,\"action\":\"Reject\"}]}", gobgp | openbgpd, gobgp | openbgpd},
        {"{\"exportV4\":[{\"action\":\"Accept\",\"operations\":[{\"prependASPath\":{\"prefix\":[65001]}}]}]}",
         gobgp | openbgpd, openbgpd},
        {"{\"importV4\":[{\"asPathPrefix\":[65001,65002],\"action\":\"Reject\"}]}", openbgpd, openbgpd},
    };
    fixture->entries[0].filter_count = 1;
    assert_true(fixture->entries[0].external && !fixture->entries[1].external);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        fixture->filters[0].spec = fixture_spec(fixture, CASES[i].spec);
        const struct peering_list *list = &fixture->list;
        assert_int_equal(render_refuse_filters(list, &fixture->entries[0], all, &fixture->arena),
                         CASES[i].external);
        assert_int_equal(render_refuse_filters(list, &fixture->entries[1], all, &fixture->arena),
                         CASES[i].internal);
        assert_int_equal(render_refuse_filters(list, &fixture->entries[0], bird, &fixture->arena), 0);
    }
    assert_int_equal(render_refuse_filters(&fixture->list, &fixture->entries[2], all, &fixture->arena), 0);
}

/* OpenBGPD takes the line for an internal session, and checks nothing. */
static void test_openbgpd_checks_no_ttl_of_internal_sessions(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[0].filter_count = fixture->entries[1].filter_count = 0;
    fixture->entries[1].ttl_security = 1;
    (void)fixture_render(fixture, "openbgpd", true);
    assert_up(fixture, "openbgpd", "192.0.2.1");
    assert_down(fixture, "openbgpd", "192.0.2.12");
    assert_non_null(fixture_problem(fixture, "192.0.2.12", "ttlSecurity"));
    assert_accepted("openbgpd", &fixture->text);
}

static void test_as_23456_would_cost_openbgpd_the_whole_file(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[2].as_number = 23456;
    (void)fixture_render(fixture, "openbgpd", true);
    assert_has(section(fixture, "198.51.100.7"), "state=left-out");
    assert_accepted("openbgpd", &fixture->text);
}

static bool is_in(const struct ip_cidr *cidr, const char *line, uint8_t longest) {
    char address[64];
    unsigned len, from, to;
    struct ip_addr base;
    if (sscanf(line, " %63[^/]/%u", address, &len) != 2 || !ip_parse(address, strlen(address), &base)) {
        return false;
    }
    const char *rest = strstr(line, "prefixlen ");
    from = len;
    to = strstr(line, "or-longer") != NULL ? longest : len;
    if (rest != NULL && sscanf(rest, "prefixlen %u - %u", &from, &to) != 2) {
        return false;
    }
    for (unsigned bit = 0; bit < len; bit++) {
        if (bit >= cidr->prefix ||
            ((base.bytes[bit / 8] ^ cidr->addr.bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return cidr->prefix >= from && cidr->prefix <= to;
}

/* A set of what is outside has just the prefixes that the rule means: tried with all of them up to /8. */
static void test_what_is_outside_for_openbgpd(void **state) {
    static const char *const CASES[][4] = {{"160.0.0.0/4", "NotIn", "5", "6"},
                                           {"160.0.0.0/3", "NotIn", "3", "32"},
                                           {"0.0.0.0/0", "NotIn", "2", "3"},
                                           {"192.0.0.0/5", "NotEqual", "0", "32"},
                                           {"0.0.0.0/0", "NotEqual", "0", "32"}};
    struct list_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char spec[256];
        struct ip_cidr net;
        snprintf(spec, sizeof(spec),
                 "{\"importV4\":[{\"cidr\":\"%s\",\"matchOperator\":\"%s\",\"prefixLength\":{\"min\":%s,"
                 "\"max\":%s},\"action\":\"Reject\"}]}",
                 CASES[i][0], CASES[i][1], CASES[i][2], CASES[i][3]);
        fixture->filters[0].spec = fixture_spec(fixture, spec);
        const char *text = fixture_render(fixture, "openbgpd", true);
        const char *set = strstr(text, "prefix-set \"f.only-pods.import4.1\" {");
        assert_non_null(set);
        assert_true(ip_parse_cidr(CASES[i][0], strlen(CASES[i][0]), &net));
        unsigned min = (unsigned)atoi(CASES[i][2]), max = (unsigned)atoi(CASES[i][3]);
        min = min > net.prefix ? min : net.prefix;
        max = strcmp(CASES[i][1], "NotEqual") == 0 ? net.prefix : max;
        for (unsigned len = 0; len <= 8; len++) {
            for (unsigned value = 0; value < 1u << len; value++) {
                struct ip_cidr tried = {.addr = {.family = IP_V4}, .prefix = (uint8_t)len};
                tried.addr.bytes[0] = (uint8_t)(value << (8 - len));
                unsigned shared = net.prefix;
                bool inside = len >= shared && (tried.addr.bytes[0] ^ net.addr.bytes[0]) >> (8 - shared) == 0;
                bool meant = !(inside && len >= min && len <= max);
                bool found = false;
                for (const char *line = strchr(set, '\n') + 1; line[0] != '}';
                     line = strchr(line, '\n') + 1) {
                    char copy[128];
                    snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
                    found = found || is_in(&tried, copy, 32);
                }
                if (found != meant) {
                    fail_msg("case %zu: %u.0.0.0/%u is %s the set", i, tried.addr.bytes[0], len,
                             found ? "in" : "not in");
                }
            }
        }
        assert_accepted("openbgpd", &fixture->text);
    }
}

/* 6000 entries of a route-map fit; one more does not. */
static void test_frr_takes_so_many_rules(void **state) {
    struct list_fixture *fixture = *state;
    for (size_t count = 6000; count <= 6001; count++) {
        struct buf spec = BUF_INIT;
        buf_add_str(&spec, "{\"exportV4\":[");
        for (size_t i = 0; i < count; i++) {
            buf_add_str(&spec, i == 0 ? "{\"action\":\"Reject\"}" : ",{\"action\":\"Reject\"}");
        }
        buf_add_str(&spec, "]}");
        fixture->filters[1].spec = fixture_spec(fixture, spec.data);
        fixture->filters[0].spec = NULL;
        buf_done(&spec);
        const char *text = fixture_render(fixture, "frr", true);
        if (count == 6000) {
            assert_up(fixture, "frr", "192.0.2.1");
            assert_has(text, "route-map out.192.0.2.1 deny 60000\n");
        } else {
            assert_down(fixture, "frr", "192.0.2.1");
        }
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_two_ports_of_one_address_are_two_sessions_of_bird),
        TEST(test_the_usual_port_is_never_written),
        TEST(test_binding_needs_an_address),
        TEST(test_a_long_hold_time_is_cut),
        TEST(test_only_a_reflector_passes_on_what_it_learned),
        TEST(test_frr_knows_a_session_by_its_address),
        TEST(test_frr_has_no_own_as_for_internal_sessions),
        TEST(test_frr_takes_254_hops),
        TEST(test_frr_leaves_its_default_restart_time_out),
        TEST(test_frr_compares_no_interfaces),
        TEST(test_passwords_are_escaped_for_gobgp),
        TEST(test_passwords_are_keys_for_openbgpd),
        TEST(test_openbgpd_has_no_local_address_beside_a_password),
        TEST(test_the_origin_restarts_no_session_of_gobgp),
        TEST(test_gobgp_names_what_it_must_be_told),
        TEST(test_different_prepends_are_several_statements),
        TEST(test_refused_filters_are_known_beforehand),
        TEST(test_openbgpd_checks_no_ttl_of_internal_sessions),
        TEST(test_as_23456_would_cost_openbgpd_the_whole_file),
        TEST(test_what_is_outside_for_openbgpd),
        TEST(test_frr_takes_so_many_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
