/* What the agent reads of others: BIRD's answers, rendered files, the kernel's counters; whole and hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../service/agent/bird_answer.h"
#include "../../service/agent/cause.h"
#include "../../service/agent/kernel.h"
#include "../../service/agent/session.h"
#include "base/random.h"

/* ---- BIRD ---- */

/* An answer as BIRD 2.0.12 gives it, with news in the middle and a session of each kind. */
static const char PROTOCOLS[] =
    "2002-Name       Proto      Table      State  Since         Info\n"
    "1002-device1    Device     ---        up     2026-11-27 06:23:13  \n"
    "1006-\n"
    "1002-n.192.0.2.2.1790 BGP        ---        up     2020-01-02 03:04:05  Established   \n"
    "1006-  BGP state:          Established\n"
    "     Neighbor address: 192.0.2.2\n"
    "     Neighbor AS:      63400\n"
    "+Reconfigured\n"
    "     Hold timer:       46.977/60\n"
    "   Channel ipv4\n"
    "     Routes:         3 imported, 1 filtered, 2 exported, 3 preferred\n"
    "   Channel ipv6\n"
    "     Routes:         4 imported, 5 exported, 3 preferred\n"
    " \n"
    "1002-n.2001:db8::2 BGP        ---        down   2020-01-02 03:04:05  \n"
    "1006-  BGP state:          Down\n"
    "     Neighbor address: 2001:db8::2\n"
    "     Last error:       Received: Bad peer AS\n"
    "1002-n.fe80::1  BGP        ---        start  03:04:05.678  Passive\n"
    "1006-  BGP state:          Passive\n"
    "     Neighbor address: fe80::1%eth0\n"
    "1002-dynamic    BGP        ---        start  2020-01-02  Passive\n"
    "1006-  BGP state:          Passive\n"
    "     Neighbor range:   fe80::/10\n"
    "0000 \n";

static int read_answer(struct bird_answer *answer, const char *text, size_t len, size_t step) {
    struct err err = ERR_INIT;
    for (size_t at = 0; at < len; at += step) {
        if (bird_answer_add(answer, text + at, len - at < step ? len - at : step, &err) != 0) {
            assert_int_equal(err.code, ERR_UNAVAILABLE);
            return -1;
        }
    }
    return 0;
}

static struct ip_addr address(const char *text) {
    struct ip_addr addr = {.family = IP_NONE};
    assert_true(ip_parse(text, strlen(text), &addr));
    return addr;
}

static void sessions_are_read_however_the_pieces_come(void **state) {
    (void)state;
    for (size_t step = 1; step < sizeof(PROTOCOLS); step += step < 40 ? 1 : 97) {
        struct bird_answer answer = BIRD_ANSWER_INIT;
        struct session_list list = {.count = 0};
        struct err err = ERR_INIT;
        assert_int_equal(read_answer(&answer, PROTOCOLS, strlen(PROTOCOLS), step), 0);
        assert_true(answer.complete);
        assert_int_equal(answer.code, 0);
        assert_int_equal(bird_sessions(&answer, &list, &err), 0);
        assert_int_equal(list.count, 3);
        struct ip_addr peer = address("192.0.2.2");
        const struct session *session = session_list_find(&list, &peer, 1790);
        assert_non_null(session);
        assert_int_equal(session->state, SESSION_ESTABLISHED);
        assert_int_equal(session->received, 7);
        assert_int_equal(session->sent, 7);
        assert_int_equal(session->hold_seconds, 60);
        assert_int_not_equal(session->since_ms, 0);
        assert_false(session->disabled);
        assert_string_equal(session->cause, "");
        peer = address("2001:db8::2");
        session = session_list_find(&list, &peer, BGP_PORT);
        assert_non_null(session);
        assert_true(session->disabled);
        assert_int_equal(session->state, SESSION_IDLE);
        assert_string_equal(session->cause, "OpenMessage/BadPeerAS");
        assert_true(session->cause_is_remote);
        peer = address("fe80::1");
        session = session_list_find(&list, &peer, BGP_PORT);
        assert_non_null(session);
        assert_int_equal(session->state, SESSION_ACTIVE);
        session_list_done(&list);
        bird_answer_done(&answer);
    }
}

static void an_answer_ends_where_it_ends(void **state) {
    (void)state;
    static const char TEXT[] =
        "+news\n0002-Reading\n0022-Undo in 3 s\n0003 Reconfigured\n0001 another answer\n";
    struct bird_answer answer = BIRD_ANSWER_INIT;
    char text[64];
    assert_int_equal(read_answer(&answer, TEXT, strlen(TEXT), 4), 0);
    assert_true(answer.complete);
    assert_int_equal(answer.code, BIRD_RECONFIGURED);
    assert_string_equal(answer.lines.data, "0002 Reading\n0022 Undo in 3 s\n0003 Reconfigured\n");
    assert_true(bird_answer_find(&answer, BIRD_UNDO_SCHEDULED, text, sizeof(text)));
    assert_string_equal(text, "Undo in 3 s");
    assert_true(bird_answer_find(&answer, BIRD_UNDO_SCHEDULED, text, 5));
    assert_string_equal(text, "Undo");
    assert_false(bird_answer_find(&answer, BIRD_IN_PROGRESS, text, sizeof(text)));
    bird_answer_last(&answer, text, sizeof(text));
    assert_string_equal(text, "Reconfigured");
    bird_answer_done(&answer);
}

static void what_is_no_answer_is_refused(void **state) {
    (void)state;
    static const char *const TEXTS[] = {
        "HTTP/1.1 200 OK\r\n",
        " continued without a beginning\n",
        "1\n",
        "\n",
        "12345 five digits\n",
        "-001 minus\n",
        "0001\n",
        "00a1 x\n",
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct bird_answer answer = BIRD_ANSWER_INIT;
        assert_int_equal(read_answer(&answer, TEXTS[i], strlen(TEXTS[i]), 100), -1);
        bird_answer_done(&answer);
    }
    struct bird_answer answer = BIRD_ANSWER_INIT;
    assert_int_equal(read_answer(&answer, "0001 a\0b\n", 9, 100), -1);
    bird_answer_done(&answer);
}

/* Neither a line nor an answer may grow without a limit. */
static void answers_have_limits(void **state) {
    (void)state;
    struct bird_answer answer = BIRD_ANSWER_INIT;
    char line[BIRD_LINE_MAX + 2];
    memset(line, 'x', sizeof(line));
    memcpy(line, "0001-", 5);
    assert_int_equal(read_answer(&answer, line, BIRD_LINE_MAX, 100), 0);
    assert_int_equal(read_answer(&answer, line, 1, 100), -1);
    bird_answer_done(&answer);

    answer = (struct bird_answer)BIRD_ANSWER_INIT;
    line[1000] = '\n';
    size_t lines = 0;
    while (read_answer(&answer, line, 1001, 1001) == 0) {
        lines++;
        assert_true(lines <= BIRD_ANSWER_MAX / 1000);
    }
    assert_true(lines >= BIRD_ANSWER_MAX / 1001 - 1);
    bird_answer_done(&answer);
}

/* More sessions than a report may have: those beyond are passed over, and nothing breaks. */
static void sessions_have_a_limit(void **state) {
    (void)state;
    struct bird_answer answer = BIRD_ANSWER_INIT;
    struct session_list list = {.count = 0};
    struct err err = ERR_INIT;
    for (unsigned i = 0; i < SESSION_COUNT_MAX + 10; i++) {
        char text[128];
        int len = snprintf(text, sizeof(text),
                           "1002-n BGP --- up 2020-01-02 03:04:05\n1006-  Neighbor address: 10.0.%u.%u\n",
                           i / 256, i % 256);
        assert_int_equal(read_answer(&answer, text, (size_t)len, 1000), 0);
    }
    assert_int_equal(read_answer(&answer, "0000 \n", 6, 6), 0);
    assert_int_equal(bird_sessions(&answer, &list, &err), 0);
    assert_int_equal(list.count, SESSION_COUNT_MAX);
    session_list_done(&list);
    bird_answer_done(&answer);
}

/* ---- causes ---- */

static void causes_have_one_language(void **state) {
    (void)state;
    static const struct {
        const char *text, *code;
        bool remote;
    } CASES[] = {
        {"Received: Administrative shutdown", "Cease/AdministrativeShutdown", true},
        {"BGP Error: Bad peer AS", "OpenMessage/BadPeerAS", false},
        {"Socket: Connection refused", "Socket/ConnectionRefused", false},
        {"Error: Kernel MD5 auth failed", "Local/PasswordNotUsable", false},
        {"Received: Hold timer expired", "HoldTimerExpired", true},
        {"BGP Error: \"quoted\" {x} \xc3\xa4", "Other/BGPErrorQuotedX", false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct session session = {.port = 179};
        cause_of_bird(CASES[i].text, strlen(CASES[i].text), &session);
        assert_string_equal(session.cause, CASES[i].code);
        assert_int_equal(session.cause_is_remote, CASES[i].remote);
    }
    struct session session = {.port = 179};
    cause_of_bird("", 0, &session);
    assert_string_equal(session.cause, "");
    char longest[500];
    memset(longest, 'q', sizeof(longest));
    cause_of_words(longest, sizeof(longest), false, &session);
    assert_int_equal(strlen(session.cause), SESSION_CAUSE_MAX - 1);
    cause_of_code(6, 2, true, &session);
    assert_string_equal(session.cause, "Cease/AdministrativeShutdown");
    cause_of_code(6, 99, true, &session);
    assert_string_equal(session.cause, "Cease");
    session.cause[0] = '\0';
    cause_of_code(0, 1, true, &session);
    cause_of_code(99, 1, true, &session);
    assert_string_equal(session.cause, "");
}

/* Each of the words that daemons have for an error leads to that error, and to none before it. */
static void causes_are_known_by_all_their_words(void **state) {
    (void)state;
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    for (size_t i = 0; i < count; i++) {
        for (const char *word = errors[i].words; *word != '\0';) {
            size_t len = strcspn(word, "|");
            struct session session = {.port = 179};
            cause_of_words(word, len, true, &session);
            assert_string_equal(session.cause, errors[i].name);
            word += len + (word[len] == '|' ? 1 : 0);
        }
    }
}

/* ---- rendered files ---- */

static const char *const ROUTER_ID[] = {"router-id", NULL};

static void a_file_says_what_it_brings_about(void **state) {
    (void)state;
    static const char TEXT[] =
        "# bgppeerd node=n1 resourceVersion=412 etag=6a44 format=bird2 renderer=1\n"
        "router id 192.0.2.1;\n"
        "# session peerIP=192.0.2.20 port=1790 state=disabled reason=SecretNotFound password=no "
        "ttlSecurity=0\n"
        "protocol bgp 'b' { }\n"
        "# session peerIP=192.0.2.10 port=179 state=on type=external password=yes ttlSecurity=3 bgpPeer=x\n"
        "protocol bgp 'a' {\n  # session peerIP=192.0.2.99 port=179 state=on\n}\n"
        "# session peerIP=192.0.2.30 port=179 state=left-out\n";
    struct expected expected = {.count = 0};
    struct err err = ERR_INIT;
    assert_int_equal(expected_read(TEXT, strlen(TEXT), "# ", ROUTER_ID, &expected, &err), 0);
    assert_string_equal(expected.node, "n1");
    assert_string_equal(expected.list, "6a44");
    assert_string_equal(expected.format, "bird2");
    assert_int_equal(expected.revision, 412);
    assert_int_equal(expected.count, 3); /* what is indented is none of the service's comments */
    struct ip_addr peer = address("192.0.2.10");
    const struct expected_session *session = expected_find(&expected, &peer, 179);
    assert_non_null(session);
    assert_true(session->on && session->password && !session->left_out);
    assert_int_equal(session->ttl_security, 3);
    assert_null(expected_find(&expected, &peer, 1790));
    peer = address("192.0.2.20");
    session = expected_find(&expected, &peer, 1790);
    assert_non_null(session);
    assert_false(session->on);
    peer = address("192.0.2.30");
    assert_true(expected_find(&expected, &peer, 179)->left_out);
    expected_done(&expected);
}

/* A session's digest moves with its own lines only, and comments move nothing. */
static void digests_tell_what_has_changed(void **state) {
    (void)state;
    static const char *const FORMAT =
        "! bgppeerd node=n1 resourceVersion=%s etag=e format=frr renderer=1\n%s\n"
        "! session peerIP=192.0.2.1 port=179 state=on bgpPeer=%s\n%s\n"
        "! session peerIP=192.0.2.2 port=179 state=on\n%s\n";
    static const struct {
        const char *revision, *head, *origin, *first, *second;
        bool head_moves, first_moves, second_moves;
    } CASES[] = {
        {"2", "router-id", "x", "a", "b", false, false, false},
        {"1", "router-id", "y", "a", "b", false, false, false},
        {"1", "  router-id 2", "x", "a", "b", true, false, false},
        {"1", "router-id\nfilter", "x", "a", "b", false, false, false},
        {"1", "router-id", "x", "A", "b", false, true, false},
        {"1", "router-id", "x", "a", "B", false, false, true},
        {"1", "router-id", "x", "a\n! note", "b", false, false, false},
    };
    char text[512];
    struct expected before = {.count = 0};
    struct err err = ERR_INIT;
    int len = snprintf(text, sizeof(text), FORMAT, "1", "router-id", "x", "a", "b");
    assert_int_equal(expected_read(text, (size_t)len, "! ", ROUTER_ID, &before, &err), 0);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct expected now = {.count = 0};
        len = snprintf(text, sizeof(text), FORMAT, CASES[i].revision, CASES[i].head, CASES[i].origin,
                       CASES[i].first, CASES[i].second);
        assert_int_equal(expected_read(text, (size_t)len, "! ", ROUTER_ID, &now, &err), 0);
        assert_int_equal(strcmp(now.node_digest, before.node_digest) != 0, CASES[i].head_moves);
        assert_int_equal(strcmp(now.sessions[0].digest, before.sessions[0].digest) != 0,
                         CASES[i].first_moves);
        assert_int_equal(strcmp(now.sessions[1].digest, before.sessions[1].digest) != 0,
                         CASES[i].second_moves);
        expected_done(&now);
    }
    expected_done(&before);
}

static void what_is_no_rendered_file_is_refused(void **state) {
    (void)state;
    static const char *const TEXTS[] = {
        "",
        "\n",
        "<html>",
        "# bgppeerd",
        "! bgppeerd node=n1\n",
        "router id 1;\n# bgppeerd node=n1\n",
        "# bgppeerd node=n1 etag=e\n# session port=179\n",
        "# bgppeerd node=n1\n# session peerIP=1.2.3 port=179\n",
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct expected expected = {.count = 0};
        struct err err = ERR_INIT;
        assert_int_equal(expected_read(TEXTS[i], strlen(TEXTS[i]), "# ", ROUTER_ID, &expected, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_int_equal(expected.count, 0);
    }
    static const char *const LISTS[] = {"", "{", "[]", "{\"kind\":\"Status\"}", "{\"kind\":7}"};
    for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]); i++) {
        struct expected expected = {.count = 0};
        struct err err = ERR_INIT;
        assert_int_equal(expected_read_json(LISTS[i], strlen(LISTS[i]), &expected, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

/* ---- lists of sessions ---- */

static void of_two_sessions_with_one_key_the_better_stays(void **state) {
    (void)state;
    struct session_list list = {.count = 0};
    struct ip_addr peers[] = {address("2001:db8::1"), address("192.0.2.1"), address("192.0.2.1")};
    for (size_t i = 0; i < 3; i++) {
        struct session *session = session_list_add(&list, &peers[i], 0);
        assert_non_null(session);
        session->state = i == 2 ? SESSION_ESTABLISHED : SESSION_ACTIVE;
    }
    session_list_sort(&list);
    assert_int_equal(list.count, 2);
    assert_int_equal(session_list_find(&list, &peers[1], 179)->state, SESSION_ESTABLISHED);
    assert_int_equal(session_list_find(&list, &peers[0], 179)->state, SESSION_ACTIVE);
    assert_null(session_list_find(&list, &peers[0], 180));
    session_list_done(&list);
}

/* ---- the kernel ---- */

static void counters_are_found_by_name(void **state) {
    (void)state;
    static const char TEXT[] = "IpExt: TCPMD5Failure\nIpExt: 99\n"
                               "TcpExt: SyncookiesSent TCPMinTTLDrop TCPMD5NotFound TCPMD5Failure New\n"
                               "TcpExt: 7 3 1 18446744073709551615 5\n";
    uint64_t counters[KERNEL_COUNTER_COUNT];
    assert_true(kernel_read_text(TEXT, strlen(TEXT), counters));
    assert_int_equal(counters[KERNEL_MIN_TTL_DROP], 3);
    assert_int_equal(counters[KERNEL_MD5_NOT_FOUND], 1);
    assert_int_equal(counters[KERNEL_MD5_FAILURE], 0); /* no number that fits */
    assert_int_equal(counters[KERNEL_MD5_UNEXPECTED], 0);
    for (size_t len = 0; len < sizeof(TEXT); len++) {
        char *piece = malloc(len + 1);
        assert_non_null(piece);
        memcpy(piece, TEXT, len);
        (void)kernel_read_text(piece, len, counters);
        free(piece);
    }
    assert_false(kernel_read_text("TcpExt: a", 9, counters));
}

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_read_however_the_pieces_come),
        cmocka_unit_test(an_answer_ends_where_it_ends),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(answers_have_limits),
        cmocka_unit_test(sessions_have_a_limit),
        cmocka_unit_test(causes_have_one_language),
        cmocka_unit_test(causes_are_known_by_all_their_words),
        cmocka_unit_test(a_file_says_what_it_brings_about),
        cmocka_unit_test(digests_tell_what_has_changed),
        cmocka_unit_test(what_is_no_rendered_file_is_refused),
        cmocka_unit_test(of_two_sessions_with_one_key_the_better_stays),
        cmocka_unit_test(counters_are_found_by_name),
    };
    return cmocka_run_group_tests_name("agent_parse", tests, NULL, NULL);
}
