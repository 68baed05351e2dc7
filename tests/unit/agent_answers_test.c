/* What the agent reads of FRR, GoBGP and OpenBGPD: whole answers, answers cut off anywhere, and changed
 * bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../service/agent/agent_json.h"
#include "../../service/agent/answers.h"
#include "base/random.h"

static const char FRR[] =
    "{\"192.0.2.1\":{\"remoteAs\":64496,\"bgpState\":\"Established\",\"bgpTimerUpEstablishedEpoch\":"
    "1577934245,"
    "\"bgpTimerHoldTimeMsecs\":60000,\"authenticationEnabled\":1,\"externalBgpNbrMaxHopsAway\":1,"
    "\"addressFamilyInfo\":{\"ipv4Unicast\":{\"acceptedPrefixCounter\":6,\"sentPrefixCounter\":3},"
    "\"ipv6Unicast\":{\"acceptedPrefixCounter\":1}},\"lastResetDueTo\":\"Waiting for peer OPEN\"},"
    "\"192.0.2.2\":{\"bgpState\":\"Idle\",\"adminShutDown\":true,\"lastErrorCodeSubcode\":\"0602\","
    "\"lastResetDueTo\":\"BGP Notification received\"},"
    "\"2001:db8::1\":{\"bgpState\":\"Active\",\"lastResetDueTo\":\"Waiting for "
    "NHT\",\"internalBgpNbrMaxHopsAway\":2},"
    "\"swp1\":{\"bgpState\":\"Established\"},\"192.0.2.9\":7,\"192.0.2.10\":{\"no\":\"state\"}}";

static const char GOBGP[] =
    "[{\"conf\":{\"neighbor_address\":\"192.0.2.1\",\"auth_password\":\"documented\"},\"state\":{\"session_"
    "state\":6},"
    "\"timers\":{\"state\":{\"negotiated_hold_time\":60,\"uptime\":{\"seconds\":1577934245}}},"
    "\"ttl_security\":{\"enabled\":true,\"ttl_min\":254},"
    "\"afi_safis\":[{\"state\":{\"received\":7,\"accepted\":6,\"advertised\":3}},{\"state\":{}}]},"
    "{\"conf\":{\"neighbor_address\":\"192.0.2.2\"},\"state\":{\"session_state\":1,\"admin_state\":1}},"
    "{\"conf\":{\"neighbor_address\":\"2001:db8::1\"},\"state\":{\"session_state\":99}},"
    "{\"conf\":{\"neighbor_address\":\"eth0\"}},{},7]";

static const char OPENBGPD[] =
    "{\"neighbors\":[{\"remote_as\":\"64496\",\"remote_addr\":\"192.0.2.1\",\"state\":\"Established\","
    "\"last_updown_sec\":8,\"config\":{\"down\":false,\"multihop_distance\":3,\"ttl_security\":true},"
    "\"stats\":{\"prefixes\":{\"sent\":3,\"received\":7}},"
    "\"session\":{\"holdtime\":60}},"
    "{\"remote_addr\":\"192.0.2.2\",\"state\":\"Idle\",\"last_updown_sec\":-1,\"config\":{\"down\":true,"
    "\"ttl_security\":false},"
    "\"last_error_received\":\"Cease, administratively down\"},"
    "{\"remote_addr\":\"2001:db8::1\",\"state\":\"Active\","
    "\"last_error_sent\":\"error in OPEN message, AS unacceptable\"},"
    "{\"remote_addr\":\"192.0.2.0/24\",\"state\":\"Idle\"}]}";

typedef int read_sessions(const char *text, size_t len, struct session_list *ret, struct err *err);

static const struct {
    const char *text;
    size_t len;
    read_sessions *read;
} DAEMONS[] = {
    {FRR, sizeof(FRR) - 1, frr_sessions},
    {GOBGP, sizeof(GOBGP) - 1, gobgp_sessions},
    {OPENBGPD, sizeof(OPENBGPD) - 1, openbgpd_sessions},
};
#define DAEMON_COUNT (sizeof(DAEMONS) / sizeof(DAEMONS[0]))

static const struct session *find(const struct session_list *list, const char *text) {
    struct ip_addr peer;
    assert_true(ip_parse(text, strlen(text), &peer));
    return session_list_find(list, &peer, BGP_PORT);
}

/* The three say the same of the same sessions, as far as they say it. */
static void sessions_are_read(void **state) {
    (void)state;
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        struct session_list list = {.count = 0};
        struct err err = ERR_INIT;
        assert_int_equal(DAEMONS[i].read(DAEMONS[i].text, DAEMONS[i].len, &list, &err), 0);
        assert_int_equal(list.count, 3);
        const struct session *up = find(&list, "192.0.2.1");
        assert_int_equal(up->state, SESSION_ESTABLISHED);
        assert_int_equal(up->hold_seconds, 60);
        assert_int_equal(up->received, DAEMONS[i].read == gobgp_sessions ? 6 : 7);
        assert_int_equal(up->sent, 3);
        assert_true(up->since_ms > 0);
        assert_false(up->disabled);
        assert_string_equal(up->cause, "");
        const struct session *down = find(&list, "192.0.2.2");
        assert_int_equal(down->state, SESSION_IDLE);
        assert_true(down->disabled);
        assert_int_equal(find(&list, "2001:db8::1")->state,
                         DAEMONS[i].read == gobgp_sessions ? SESSION_IDLE : SESSION_ACTIVE);
        session_list_done(&list);
    }
}

/* OpenBGPD calls it an error to have no neighbors. */
static void a_daemon_may_have_no_sessions(void **state) {
    (void)state;
    static const char NONE[] = "{\"status\": \"FAILED\", \"error\": \"no such neighbor\"}";
    static const char BROKEN[] = "{\"status\": \"FAILED\", \"error\": \"something else\"}";
    struct session_list list = {.count = 0};
    struct err err = ERR_INIT;
    assert_int_equal(openbgpd_sessions(NONE, sizeof(NONE) - 1, &list, &err), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(openbgpd_sessions(BROKEN, sizeof(BROKEN) - 1, &list, &err), -1);
    session_list_done(&list);
}

static void keys_and_hops_are_read_back(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct session_list frr = {.count = 0}, gobgp = {.count = 0}, openbgpd = {.count = 0};
    assert_int_equal(frr_sessions(FRR, sizeof(FRR) - 1, &frr, &err), 0);
    assert_int_equal(find(&frr, "192.0.2.1")->key, KEY_PRESENT);
    assert_int_equal(find(&frr, "192.0.2.2")->key, KEY_ABSENT);
    assert_int_equal(find(&frr, "192.0.2.1")->ttl_hops, 1);
    assert_int_equal(find(&frr, "192.0.2.2")->ttl_hops, 0);
    assert_int_equal(find(&frr, "2001:db8::1")->ttl_hops, 2);
    assert_int_equal(gobgp_sessions(GOBGP, sizeof(GOBGP) - 1, &gobgp, &err), 0);
    assert_int_equal(find(&gobgp, "192.0.2.1")->key, KEY_PRESENT);
    assert_int_equal(find(&gobgp, "192.0.2.2")->key, KEY_ABSENT);
    assert_int_equal(find(&gobgp, "192.0.2.1")->ttl_hops, 2);
    assert_int_equal(find(&gobgp, "192.0.2.2")->ttl_hops, 0);
    assert_int_equal(openbgpd_sessions(OPENBGPD, sizeof(OPENBGPD) - 1, &openbgpd, &err), 0);
    assert_int_equal(find(&openbgpd, "192.0.2.1")->key, KEY_UNKNOWN);
    assert_int_equal(find(&openbgpd, "192.0.2.1")->ttl_hops, 3);
    assert_int_equal(find(&openbgpd, "192.0.2.2")->ttl_hops, 0);
    assert_int_equal(find(&openbgpd, "2001:db8::1")->ttl_hops, -1);
    session_list_done(&frr);
    session_list_done(&gobgp);
    session_list_done(&openbgpd);
}

static void gobgps_own_settings_are_lines_of_its_file(void **state) {
    (void)state;
    static const struct {
        const char *json, *lines; /* NULL: it is refused */
    } CASES[] = {
        {"{\"asn\":64500,\"router_id\":\"192.0.2.1\",\"listen_port\":179,\"listen_addresses\":[\"0.0.0.0\","
         "\"::\"]}",
         "as = 64500\nrouter-id = \"192.0.2.1\"\n"},
        {"{\"asn\":64500,\"router_id\":\"192.0.2.1\",\"listen_port\":1790,\"listen_addresses\":[\"192.0.2."
         "1\",\"::\"]}",
         "as = 64500\nrouter-id = \"192.0.2.1\"\nport = 1790\nlocal-address-list = [\"192.0.2.1\", "
         "\"::\"]\n"},
        {"{\"asn\":64500,\"router_id\":\"192.0.2.1\"}", NULL},
        {"{\"asn\":64500,\"listen_addresses\":[\"::\",7]}", NULL},
        {"{}", NULL},
        {"[]", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf lines = BUF_INIT;
        struct err err = ERR_INIT;
        int result = gobgp_global(CASES[i].json, strlen(CASES[i].json), &lines, &err);
        assert_int_equal(result, CASES[i].lines != NULL ? 0 : -1);
        if (CASES[i].lines != NULL) {
            assert_string_equal(lines.data, CASES[i].lines);
        }
        buf_done(&lines);
    }
}

static void causes_are_read(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct session_list frr = {.count = 0}, openbgpd = {.count = 0};
    assert_int_equal(frr_sessions(FRR, sizeof(FRR) - 1, &frr, &err), 0);
    assert_string_equal(find(&frr, "192.0.2.2")->cause, "Cease/AdministrativeShutdown");
    assert_true(find(&frr, "192.0.2.2")->cause_is_remote);
    assert_string_equal(find(&frr, "2001:db8::1")->cause, "Local/NextHopUnreachable");
    assert_int_equal(openbgpd_sessions(OPENBGPD, sizeof(OPENBGPD) - 1, &openbgpd, &err), 0);
    assert_string_equal(find(&openbgpd, "192.0.2.2")->cause, "Cease/AdministrativeShutdown");
    assert_true(find(&openbgpd, "192.0.2.2")->cause_is_remote);
    assert_string_equal(find(&openbgpd, "2001:db8::1")->cause, "OpenMessage/BadPeerAS");
    assert_false(find(&openbgpd, "2001:db8::1")->cause_is_remote);
    session_list_done(&frr);
    session_list_done(&openbgpd);
}

/* Cut off anywhere it is refused, and the message has nothing of the text, where passwords are. */
static void what_is_cut_off_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        for (size_t len = 0; len < DAEMONS[i].len; len++) {
            struct session_list list = {.count = 0};
            struct err err = ERR_INIT;
            assert_int_equal(DAEMONS[i].read(DAEMONS[i].text, len, &list, &err), -1);
            assert_int_equal(err.code, ERR_UNAVAILABLE);
            assert_null(strstr(err.text, "documented"));
            session_list_done(&list);
        }
    }
}

/* Any other bytes: refused, or read as some sessions; never more than there can be, never out of order. */
static void changed_bytes_do_no_harm(void **state) {
    (void)state;
    enum { ROUNDS = 3000 };
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t i = round % DAEMON_COUNT;
        char *text = malloc(DAEMONS[i].len);
        assert_non_null(text);
        memcpy(text, DAEMONS[i].text, DAEMONS[i].len);
        for (uint64_t left = 1 + random_u64() % 4; left > 0; left--) {
            static const char BYTES[] = "{}[]\":,0179-nulltrue\\\xff";
            text[random_u64() % DAEMONS[i].len] = BYTES[random_u64() % (sizeof(BYTES) - 1)];
        }
        struct session_list list = {.count = 0};
        struct err err = ERR_INIT;
        (void)DAEMONS[i].read(text, DAEMONS[i].len, &list, &err);
        assert_true(list.count <= 10);
        for (size_t k = 0; k < list.count; k++) {
            assert_ptr_equal(session_list_find(&list, &list.items[k].peer, list.items[k].port),
                             &list.items[k]);
        }
        session_list_done(&list);
        free(text);
    }
}

static void complaints_name_lines_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        const char *text, *said;
    } CASES[] = {
        {"line 3: % Unknown command[25]:  neighbor 192.0.2.1 password two secret\n",
         "line 3: % Unknown command"},
        {"2026 BGP: x\nCommand returned Warning Config Failed on config line 12:  neighbor x password "
         "secret\n",
         "line 12: bgpd does not take it"},
        {"No such command on config line 7: secret\n", "line 7: bgpd does not know it"},
        {"line 4: % [secret", "line 4: % "},
        {"Graceful restart configuration changed, reset all peers to take effect\n", NULL},
        {"a line 3: secret\n", NULL},
        {"line x: secret\n", NULL},
        {"line 99999999999: secret\n", NULL},
        {"line ", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char said[128] = "";
        assert_int_equal(frr_complaint(CASES[i].text, strlen(CASES[i].text), said, sizeof(said)),
                         CASES[i].said != NULL);
        assert_string_equal(said, CASES[i].said != NULL ? CASES[i].said : "");
    }
}

/* A daemon that knows sessions by address alone: the port is the one that is expected. */
static void ports_are_those_expected(void **state) {
    (void)state;
    static const char FILE_TEXT[] = "# bgppeerd node=n etag=e\n"
                                    "# session peerIP=192.0.2.1 port=1790 state=on\n"
                                    "# session peerIP=192.0.2.2 port=1791 state=left-out\n"
                                    "# session peerIP=192.0.2.2 port=1792 state=on\n";
    static const char *const NO_LINES[] = {NULL};
    struct session_list list = {.count = 0};
    struct expected expected = {.count = 0};
    struct err err = ERR_INIT;
    assert_int_equal(frr_sessions(FRR, sizeof(FRR) - 1, &list, &err), 0);
    assert_int_equal(expected_read(FILE_TEXT, sizeof(FILE_TEXT) - 1, "# ", NO_LINES, &expected, &err), 0);
    session_list_take_ports(&list, &expected);
    assert_int_equal(list.items[0].port, 1790);
    assert_int_equal(list.items[1].port, 1792);
    assert_int_equal(list.items[2].port, 179);
    expected_done(&expected);
    session_list_done(&list);
}

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) != 0) {
        return 1;
    }
    agent_json_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_read),
        cmocka_unit_test(keys_and_hops_are_read_back),
        cmocka_unit_test(gobgps_own_settings_are_lines_of_its_file),
        cmocka_unit_test(causes_are_read),
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(complaints_name_lines_and_nothing_else),
        cmocka_unit_test(ports_are_those_expected),
        cmocka_unit_test(a_daemon_may_have_no_sessions),
    };
    return cmocka_run_group_tests_name("agent_answers", tests, NULL, NULL);
}
