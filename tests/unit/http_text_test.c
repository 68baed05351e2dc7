/* The small languages of HTTP: entity tags, media types, warnings, percent-encoding, label selectors,
 * continue tokens, ages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "machine/listen.h"
#include "objects/labelselector.h"
#include "objects/pages.h"
#include "objects/table.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/percent.h"
#include "request/request.h"
#include "request/warning.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_entity_tags(void **state) {
    (void)state;
    static const struct {
        const char *header;
        bool holds; /* "abc" */
    } CASES[] = {
        {"\"abc\"", true},
        {"W/\"abc\"", true},
        {"*", true},
        {" * ", true},
        {"\"x\", \"abc\"", true},
        {"\"x\",\"abc\" , \"y\"", true},
        {"\"x\", W/\"abc\"", true},
        {"\"ab\"", false},
        {"\"abcd\"", false},
        {"abc", true},
        {"x, abc", true},
        {"W/abc", true},
        {"", false},
        {"\"abc", false},
        {"w/\"abc\"", false},
        {"\"x\" abc \"y\"", true},
        {"\"*\"", false},
        {"** ", false},
        {",,\"abc\"", true},
        {"W/", false},
        {"\"x,abc\"", false},
        {"\"", false},
        {"\"abc\"x", true},
        {"\"\"abc\"\"", false},
        {"abcd", false},
        {"ab c", false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        if (etag_list_has(CASES[i].header, "abc", 3) != CASES[i].holds) {
            fail_msg("%s", CASES[i].header);
        }
    }
    const char *first = NULL;
    size_t len = 0;
    assert_true(etag_list_first("W/\"bc\", \"d\"", &first, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(first, "bc", 2);
    assert_true(etag_list_first("12-gzip", &first, &len));
    assert_int_equal(len, 2);
    assert_false(etag_list_first("*", &first, &len));
    assert_false(etag_list_first(" ,", &first, &len));
}

/* What proxies make of a tag is the tag, in every list; what only looks like it is not. */
static void test_entity_tags_through_proxies(void **state) {
    (void)state;
    static const char *const TAGS[] = {"7", "abc", "abc-p", "0123456789abcdef0123456789abcdef"};
    static const char *const MARKS[] = {"",      "-gzip", ";gzip",   "--gzip", "-br",      ":gzip",
                                        "-zstd", "-GZIP", "+x-gzip", ".gz",    "-deflate", "_brotli"};
    static const char *const OTHERS[] = {"gzip", "-",      "-p-gzip", "---gzip",
                                         "-gzi", "-gzipx", "-gzip-",  "-identical"};
    static const char *const FORMS[] = {"\"%s%s\"", "W/\"%s%s\"", "%s%s", "\"x\", \"%s%s\"",
                                        " ,W/\"%s%s\" , \"y\""};
    char header[128];
    for (size_t i = 0; i < COUNT(TAGS); i++) {
        size_t tag_len = strlen(TAGS[i]);
        for (size_t form = 0; form < COUNT(FORMS); form++) {
            for (size_t k = 0; k < COUNT(MARKS); k++) {
                snprintf(header, sizeof(header), FORMS[form], TAGS[i], MARKS[k]);
                assert_true(etag_list_has(header, TAGS[i], tag_len));
                for (size_t other = 0; other < COUNT(TAGS); other++) {
                    assert_true(other == i || !etag_list_has(header, TAGS[other], strlen(TAGS[other])));
                }
                const char *first;
                size_t len;
                if (form < 3) {
                    assert_true(etag_list_first(header, &first, &len));
                    assert_int_equal(len, tag_len);
                    assert_memory_equal(first, TAGS[i], len);
                }
            }
            for (size_t k = 0; k < COUNT(OTHERS); k++) {
                snprintf(header, sizeof(header), FORMS[form], TAGS[i], OTHERS[k]);
                assert_false(etag_list_has(header, TAGS[i], tag_len));
            }
        }
    }
}

static void test_documents_media(void **state) {
    (void)state;
    static const char *const YAML[] = {"application/yaml", "text/yaml", "application/x-yaml",
                                       "APPLICATION/YAML; a=b"};
    static const char *const JSON[] = {NULL, "", "application/json", " application/json ;charset=utf-8",
                                       "Application/Json"};
    static const char *const OTHERS[] = {"text/plain",  "application/json5", "json",
                                         "application", "application/jso",   "*/*"};
    struct err err = ERR_INIT;
    enum codec_syntax syntax;
    for (size_t i = 0; i < COUNT(YAML); i++) {
        assert_int_equal(media_document(YAML[i], false, &syntax, &err), 0);
        assert_int_equal(syntax, CODEC_YAML);
    }
    for (size_t i = 0; i < COUNT(JSON); i++) {
        assert_int_equal(media_document(JSON[i], false, &syntax, &err), 0);
        assert_int_equal(syntax, CODEC_JSON);
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        err_clear(&err);
        assert_int_equal(media_document(OTHERS[i], true, &syntax, &err), -1);
        assert_int_equal(err.code, ERR_UNSUPPORTED_MEDIA_TYPE);
    }
    assert_int_equal(media_document("application/vnd.kubernetes.protobuf", false, &syntax, &err), -1);
    assert_int_equal(media_document("application/vnd.kubernetes.protobuf", true, &syntax, &err), 0);
    assert_int_equal(syntax, CODEC_PROTOBUF);
    enum patch_type patch;
    assert_int_equal(media_patch("application/json-patch+json;x", &patch, &syntax, &err), 0);
    assert_int_equal(patch, PATCH_JSON);
    assert_int_equal(media_patch(NULL, &patch, &syntax, &err), -1);
    assert_int_equal(media_patch("application/json", &patch, &syntax, &err), -1);
}

static void test_accept(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        int answer; /* -1: not acceptable */
    } CASES[] = {
        {NULL, MEDIA_OBJECT},
        {"", MEDIA_OBJECT},
        {" , ", MEDIA_OBJECT},
        {"*/*", MEDIA_OBJECT},
        {"application/json", MEDIA_OBJECT},
        {"text/html,application/*;q=0.5", MEDIA_OBJECT},
        {"application/json;as=Table;v=v1;g=meta.k8s.io", MEDIA_TABLE},
        {"application/json; as=Table ; g=meta.k8s.io; v=v1beta1 ,application/json", MEDIA_TABLE},
        {"application/json,application/json;as=Table;v=v1;g=meta.k8s.io", MEDIA_OBJECT},
        {"application/json;as=Table;v=v2;g=meta.k8s.io,application/json", MEDIA_OBJECT},
        {"application/json;as=Table;v=v1", -1},
        {"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", MEDIA_METADATA},
        {"application/json;q=0", -1},
        {"application/json;q=0.0", -1},
        {"application/json;q=0.001", MEDIA_OBJECT},
        {"application/json;q=0,*/*", MEDIA_OBJECT},
        {"text/html", -1},
        {"*", -1},
        {"application/yaml", MEDIA_OBJECT},
        {"application/yaml;q=0", -1},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = ERR_INIT;
        enum media_answer answer = MEDIA_OBJECT;
        int result = media_accept(CASES[i].accept, &answer, &err);
        assert_int_equal(result, CASES[i].answer < 0 ? -1 : 0);
        if (result == 0) {
            assert_int_equal(answer, CASES[i].answer);
        } else {
            assert_int_equal(err.code, ERR_NOT_ACCEPTABLE);
        }
    }
}

static void test_warnings(void **state) {
    (void)state;
    static const struct {
        const char *text, *value;
    } CASES[] = {
        {"plain", "299 - \"plain\""},
        {"", "299 - \"\""},
        {"a \"b\" \\c", "299 - \"a \\\"b\\\" \\\\c\""},
        {"a\r\nX-Evil: 1\tb\x7f", "299 - \"a  X-Evil: 1 b \""},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "299 - \"\\\\u00e9 \\\\u20ac \\\\U0001f600\""},
        {"\xff\xc3", "299 - \"\\\\ufffd\\\\ufffd\""},
    };
    char out[WARNING_VALUE_MAX];
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_int_equal(warning_format(CASES[i].text, out), strlen(CASES[i].value));
        assert_string_equal(out, CASES[i].value);
    }
    /* At every length, with the widest pieces at the cut: within bounds, and closed by its quote. */
    static const char *const PIECES[] = {"x", "\"", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    for (size_t p = 0; p < COUNT(PIECES); p++) {
        char text[2 * WARNING_VALUE_MAX] = "";
        size_t len = 0;
        while (len + strlen(PIECES[p]) < sizeof(text)) {
            memcpy(text + len, PIECES[p], strlen(PIECES[p]) + 1);
            len += strlen(PIECES[p]);
            size_t written = warning_format(text, out);
            assert_true(written < WARNING_VALUE_MAX);
            assert_int_equal(written, strlen(out));
            assert_int_equal(out[written - 1], '"');
        }
        assert_non_null(strstr(out, "...\""));
    }
}

static void test_percent_decoding(void **state) {
    (void)state;
    static const struct {
        const char *text, *decoded; /* NULL: refused */
    } CASES[] = {
        {"", ""},
        {"abc", "abc"},
        {"a%20b", "a b"},
        {"%41%6a%4A", "AjJ"},
        {"%C3%A9", "\xc3\xa9"},
        {"%25", "%"},
        {"%2525", "%25"},
        {"%", NULL},
        {"%4", NULL},
        {"a%4", NULL},
        {"%zz", NULL},
        {"%4z", NULL},
        {"%00", NULL},
        {"a%00b", NULL},
        {"%ff", NULL},
        {"%c3", NULL},
        {"%c3%28", NULL},
        {"%c0%80", NULL},
        {"%ed%a0%80", NULL},
        {"%f4%90%80%80", NULL},
        {"\xc3\xa9", "\xc3\xa9"},
        {"\xc3", NULL},
        {"%f0%9f%98%80", "\xf0\x9f\x98\x80"},
        {"%e0%80%80", NULL},
        {"+", "+"},
    };
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = ERR_INIT;
        const char *decoded = NULL;
        int result = percent_decode(&arena, CASES[i].text, strlen(CASES[i].text), "path", &decoded, &err);
        if (CASES[i].decoded == NULL) {
            assert_int_equal(result, -1);
            assert_int_equal(err.code, ERR_BAD_REQUEST);
        } else {
            assert_int_equal(result, 0);
            assert_string_equal(decoded, CASES[i].decoded);
        }
    }
    arena_done(&arena);
}

static const struct label LABELS[] = {{"app", "web"}, {"empty", ""}, {"example.org/rack", "r1"}};
static const struct label_set SET = {.count = COUNT(LABELS), .items = LABELS};

static void test_label_selectors(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int matches; /* -1: refused */
    } CASES[] = {
        {"", 1},
        {"  ", 1},
        {"app", 1},
        {"rr_=x", 0},
        {"rr_", 0},
        {"example.org/rr_", 0},
        {"rr__", -1},
        {"_", -1},
        {"a..b/c", -1},
        {"-a/c", -1},
        {"a-.b/c", -1},
        {"A.b/c", -1},
        {"app=rr_", -1},
        {"nope", 0},
        {"!app", 0},
        {"!nope", 1},
        {" ! nope ", 1},
        {"app=web", 1},
        {"app==web", 1},
        {"app = web", 1},
        {"app=db", 0},
        {"app!=db", 1},
        {"app!=web", 0},
        {"nope!=x", 1},
        {"nope=", 0},
        {"empty=", 1},
        {"empty", 1},
        {"app=", 0},
        {"app!=", 1},
        {"app in (web)", 1},
        {"app in (db,web)", 1},
        {"app in ( db , web )", 1},
        {"app in (db)", 0},
        {"app in ()", 0},
        {"empty in ()", 1},
        {"empty in (,x)", 1},
        {"app notin (db)", 1},
        {"app notin (web)", 0},
        {"nope notin (x)", 1},
        {"nope in (x)", 0},
        {"app in(web)", 1},
        {"example.org/rack=r1", 1},
        {"example.org/rack in (r1),app", 1},
        {"app,!empty", 0},
        {"app=web,app!=web", 0},
        {"in", 0},
        {"notin", 0},
        {"in in (in)", 0},
        {"app=in", 0},
        {"=", -1},
        {"!", -1},
        {",", -1},
        {"app,", -1},
        {"app,,empty", -1},
        {"app web", -1},
        {"app=web=db", -1},
        {"app in", -1},
        {"app in (", -1},
        {"app in (web", -1},
        {"app in web", -1},
        {"app in (a b)", -1},
        {"app<3", 0},
        {"app<x", -1},
        {"app>-1", -1},
        {"-a", -1},
        {"a-", -1},
        {"a=-b", -1},
        {"/a", -1},
        {"a/", -1},
        {"a/b/c", -1},
        {"A.org/x", -1},
        {"!app=web", -1},
        {"app!web", -1},
        {"app===x", -1},
        {"\xc3\xa9", -1},
        {"a=\xc3\xa9", -1},
        {"(a)", -1},
        {"app in (web))", -1},
        {"a23456789012345678901234567890123456789012345678901234567890123", 0},
        {"a234567890123456789012345678901234567890123456789012345678901234", -1},
    };
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = ERR_INIT;
        struct labelselector selector;
        int result = labelselector_parse(CASES[i].text, &arena, &selector, &err);
        if (CASES[i].matches < 0) {
            if (result == 0) {
                fail_msg("\"%s\" was taken", CASES[i].text);
            }
            assert_int_equal(err.code, ERR_BAD_REQUEST);
        } else {
            if (result != 0) {
                fail_msg("\"%s\": %s", CASES[i].text, err.text);
            }
            if (labelselector_matches(&selector, &SET) != (CASES[i].matches == 1)) {
                fail_msg("\"%s\" should say %d", CASES[i].text, CASES[i].matches);
            }
        }
    }
    arena_done(&arena);
}

static void test_continue_tokens(void **state) {
    (void)state;
    static const char *const KEYS[] = {"a", "rack1-host1", "default/x", "\xc3\xa9\x7f\x01"};
    static const char *const BAD[] = {"",
                                      ".",
                                      "7",
                                      "7.",
                                      "7.nodes",
                                      "7.nodes.",
                                      "7.nodes.6",
                                      "7.nodes.6g",
                                      "7.nodes.00",
                                      "7.nodesx.61",
                                      "7.node.61",
                                      "x.nodes.61",
                                      "-7.nodes.61",
                                      "7.bgppeers.61",
                                      "7.nodes.61.",
                                      "18446744073709551616.nodes.61"};
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        struct err err = ERR_INIT;
        uint64_t revision = 0;
        const char *key = NULL;
        const char *token = pages_token(&arena, UINT64_MAX - i, KIND_NODE, KEYS[i]);
        assert_non_null(token);
        assert_int_equal(pages_parse_token(&arena, token, KIND_NODE, &revision, &key, &err), 0);
        assert_true(revision == UINT64_MAX - i);
        assert_string_equal(key, KEYS[i]);
    }
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct err err = ERR_INIT;
        uint64_t revision = 0;
        const char *key = NULL;
        assert_int_equal(pages_parse_token(&arena, BAD[i], KIND_NODE, &revision, &key, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    arena_done(&arena);
}

static void test_ages(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } CASES[] = {
        {-5, "0s"},      {0, "0s"},       {119, "119s"},         {120, "2m"},         {599, "9m59s"},
        {600, "10m"},    {10799, "179m"}, {10800, "3h"},         {10860, "3h1m"},     {28800, "8h"},
        {172799, "47h"}, {172800, "2d"},  {86400 * 365, "365d"}, {86400 * 730, "2y"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char out[TABLE_AGE_MAX];
        table_age(1000000, 1000000 + CASES[i].seconds * 1000, out);
        assert_string_equal(out, CASES[i].text);
    }
    char out[TABLE_AGE_MAX];
    table_age(0, INT64_MAX, out);
    assert_true(strlen(out) < TABLE_AGE_MAX);
}

static struct ip_addr network_of(int family, const char *text) {
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)family};
    struct ip_addr network = {.family = 0};
    void *address = family == AF_INET ? (void *)&((struct sockaddr_in *)&storage)->sin_addr
                                      : (void *)&((struct sockaddr_in6 *)&storage)->sin6_addr;

    assert_int_equal(inet_pton(family, text, address), 1);
    assert_true(listen_remote_network((struct sockaddr *)&storage, &network));
    return network;
}

/* Limits count an IPv6 subscriber's network as one, and IPv4 addresses each. */
static void test_networks_of_limits(void **state) {
    (void)state;
    struct ip_addr one = network_of(AF_INET6, "2001:db8:0:1::1"),
                   other = network_of(AF_INET6, "2001:db8:0:1:ffff:ffff:ffff:ffff"),
                   next = network_of(AF_INET6, "2001:db8:0:2::1"), four = network_of(AF_INET, "192.0.2.1"),
                   five = network_of(AF_INET, "192.0.2.2");
    assert_memory_equal(&one, &other, sizeof one);
    assert_memory_not_equal(&one, &next, sizeof one);
    assert_memory_not_equal(&four, &five, sizeof four);
    struct sockaddr_storage local = {.ss_family = AF_UNIX};
    assert_false(listen_remote_network((struct sockaddr *)&local, &one));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entity_tags),
        cmocka_unit_test(test_entity_tags_through_proxies),
        cmocka_unit_test(test_documents_media),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_percent_decoding),
        cmocka_unit_test(test_label_selectors),
        cmocka_unit_test(test_continue_tokens),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_networks_of_limits),
    };
    return cmocka_run_group_tests_name("http_text", tests, NULL, NULL);
}
