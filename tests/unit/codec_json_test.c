/*
 * JSON bodies: what is refused before and while they are parsed, and with which words.
 */
#include "codec_fixture.h"

static void accepts_a_document(void **state) {
    struct fixture *f = *state;

    assert_int_equal(
        decode_json(f, KIND_BGPPEER,
                    "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":"
                    "{\"name\":\"rack1\",\"labels\":{\"b\":\"2\",\"a\":\"1\"}},\"spec\":{\"node\":\"n1\","
                    "\"peerIP\":\"192.0.2.1\",\"asNumber\":\"1.10\",\"keepaliveTime\":\"1m30s\","
                    "\"ttlSecurity\":1,\"filters\":[\"x\",\"y\"]}}"),
        0);
    assert_string_equal(f->object->meta.name, "rack1");
    assert_string_equal(label_set_get(&f->object->meta.labels, "a"), "1");
    assert_string_equal(f->object->meta.labels.items[1].key, "b");
    assert_string_equal(peer_spec(f)->node, "n1");
    assert_int_equal(peer_spec(f)->as_number.value, 65546);
    assert_true(peer_spec(f)->keepalive_time.ns == INT64_C(90000000000));
    assert_int_equal(peer_spec(f)->filters.count, 2);
    assert_null(peer_spec(f)->node_selector);
    assert_string_equal(
        encoded(f),
        "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":{\"name\":\"rack1\","
        "\"labels\":{\"a\":\"1\",\"b\":\"2\"}},\"spec\":{\"node\":\"n1\",\"peerIP\":\"192.0.2.1\","
        "\"asNumber\":65546,\"keepaliveTime\":\"1m30s\",\"ttlSecurity\":1,\"filters\":[\"x\",\"y\"]}}");
}

static void refuses_what_is_not_json(void **state) {
    static const struct {
        const char *bytes;
        size_t len; /* 0: strlen */
        int offset; /* -1: any */
        const char *says;
    } cases[] = {
        {"", 0, -1, "too early"},
        {"{", 0, -1, "too early"},
        {"{} x", 0, 3, "line 1, column 4 (byte 3)"},
        {"{\n \"a\" 1}", 0, 7, "line 2, column 6"},
        {"{'a':1}", 0, -1, "not JSON"},
        {"{\"a\":1,}", 0, -1, "not JSON"},
        {"{\"a\":01}", 0, -1, "not JSON"},
        {"nul", 0, -1, "not JSON"},
        {"null", 0, -1, "the body is null"},
        {"[]", 0, -1,
         "the body is an array, but this path takes one BGPPeer object; send several documents to"},
        {"\"x\"", 0, -1, "the body is a string"},
        {"\xef\xbb\xbf{}", 0, 0, "byte order mark"},
        {"{\"a\":\"\0\"}", 9, 6, "NUL byte"},
        {"{\"a\":\"\\u0000\"}", 0, 6, "\\u0000"},
        {"{\"\\u0000\":1}", 0, 2, "\\u0000"},
        {"{\"a\":\"\\ud800\"}", 0, -1, "not JSON"},
        {"{\"a\":\"\xff\"}", 0, 6, "not UTF-8"},
        {"{\"a\":\"\xc0\xaf\"}", 0, 6, "not UTF-8"},         /* overlong '/' */
        {"{\"a\":\"\xe0\x80\xaf\"}", 0, 6, "not UTF-8"},     /* overlong, three bytes */
        {"{\"a\":\"\xed\xa0\x80\"}", 0, 6, "not UTF-8"},     /* surrogate */
        {"{\"a\":\"\xf4\x90\x80\x80\"}", 0, 6, "not UTF-8"}, /* beyond U+10FFFF */
        {"{\"a\":\"\xf0\x8f\xbf\xbf\"}", 0, 6, "not UTF-8"}, /* overlong, four bytes */
        {"{\"\xc3\xa4\":\"\xe2\x82\"}", 0, 7, "column 7 (byte 7)"},
        {"\xe2\x82", 0, 0, "not UTF-8"},
        {"{\"a\":-0}", 0, 5, "-0 is not a number"},
        {"{\"a\":9223372036854775808}", 0, 5, "beyond a 64-bit integer"},
        {"{\"a\":-9223372036854775809}", 0, 5, "beyond a 64-bit integer"},
        {"{\"a\":99999999999999999999999}", 0, 5, "beyond a 64-bit integer"},
        {"{\"a\":1e999}", 0, -1, "not JSON"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].bytes);

        print_message("  %s\n", cases[i].says);
        assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_JSON, CODEC_IGNORE, cases[i].bytes, len), -1);
        assert_refused(f, ERR_BAD_REQUEST, cases[i].says);
        if (cases[i].offset >= 0) {
            assert_int_equal(f->err.offset, cases[i].offset);
        }
    }
    /* The edges that are still fine. */
    assert_int_equal(
        decode_spec(f, CODEC_IGNORE, "{\"x\":[9223372036854775807,-9223372036854775808,-0.5,1e9]}"), 0);
    assert_int_equal(decode_spec(f, CODEC_IGNORE, "{\"x\":\"-0 \\\\u0000 \\\" [[[\xf4\x8f\xbf\xbf\"}"), 0);
}

/* However a body is cut off, the answer is a 400 and nothing is kept. */
static void refuses_every_prefix(void **state) {
    static const char body[] = "{\"metadata\":{\"name\":\"p\",\"labels\":{\"\\u00e4\":\"\\\"x\"}},\"spec\":{"
                               "\"peerIP\":\"192.0.2.1\","
                               "\"asNumber\":64512,\"filters\":[\"a\"],\"password\":{\"secretKeyRef\":{"
                               "\"name\":\"n\",\"key\":\"k\"}}}}";
    struct fixture *f = *state;

    for (size_t len = 0; len < sizeof body - 1; len++) {
        assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_JSON, CODEC_STRICT, body, len), -1);
        assert_int_equal(f->err.code, ERR_BAD_REQUEST);
    }
}

static void bounds_depth(void **state) {
    struct fixture *f = *state;

    for (int arrays = CODEC_DEPTH_MAX - 1; arrays <= CODEC_DEPTH_MAX; arrays++) {
        char opening[CODEC_DEPTH_MAX + 1] = "", closing[CODEC_DEPTH_MAX + 1] = "", text[256];
        int len, failed;

        memset(opening, '[', (size_t)arrays);
        memset(closing, ']', (size_t)arrays);
        len = snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"p\"},\"spec\":{},\"x\":%s%s}", opening,
                       closing);
        failed = decode_bytes(f, KIND_BGPPEER, CODEC_JSON, CODEC_IGNORE, text, (size_t)len);
        assert_int_equal(failed, arrays == CODEC_DEPTH_MAX ? -1 : 0);
    }
    assert_refused(f, ERR_BAD_REQUEST, "nested more than 32 deep");
    assert_int_equal(f->err.offset, 39 + CODEC_DEPTH_MAX - 1);
}

/* A hundred thousand brackets must not use a hundred thousand stack frames. */
static void refuses_a_tower_of_brackets(void **state) {
    struct fixture *f = *state;
    size_t len = 100000;
    char *text = malloc(len);

    assert_non_null(text);
    memset(text, '[', len);
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_JSON, CODEC_STRICT, text, len), -1);
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, text, len), -1);
    assert_refused(f, ERR_BAD_REQUEST, "nested more than 32 deep");
    free(text);
}

static void names_all_unknown_fields(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_spec(f, CODEC_STRICT, "{\"peerIp\":\"192.0.2.1\"}"), -1);
    assert_string_equal(f->err.text,
                        "BGPPeer in version \"v3\" cannot be handled as a BGPPeer: strict decoding error: "
                        "unknown field \"spec.peerIp\", did you mean \"spec.peerIP\"?");
    assert_int_equal(f->err.code, ERR_BAD_REQUEST);
    assert_int_equal(
        decode_spec(f, CODEC_STRICT,
                    "{\"bogus\":1,\"asNumbr\":1,\"password\":{\"secretKeyRef\":{\"nmae\":\"x\"}}}"),
        -1);
    assert_refused(
        f, ERR_BAD_REQUEST,
        "strict decoding error: unknown field \"spec.bogus\", unknown field \"spec.asNumbr\", did you mean "
        "\"spec.asNumber\"?, unknown field \"spec.password.secretKeyRef.nmae\", did you mean "
        "\"spec.password.secretKeyRef.name\"?");
    assert_int_equal(
        decode_json(f, KIND_BGPPEER, "{\"metadata\":{\"name\":\"p\",\"lables\":{}},\"status\":{}}"), -1);
    assert_refused(
        f, ERR_BAD_REQUEST,
        "unknown field \"metadata.lables\", did you mean \"metadata.labels\"?, unknown field \"status\"");
    assert_int_equal(decode_json(f, KIND_BGPPEER, "{\"metadata\":{\"name\":\"p\"},\"peerIP\":\"192.0.2.1\"}"),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST, "unknown field \"peerIP\", did you mean \"spec.peerIP\"?");
    assert_int_equal(decode_json(f, KIND_BGPFILTER,
                                 "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"exportV4\":["
                                 "{\"action\":\"Accept\"},{\"action\":\"Accept\",\"actoin\":1}]}}"),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST,
                   "unknown field \"spec.exportV4[1].actoin\", did you mean "
                   "\"spec.exportV4[1].action\"?");
}

static void warns_or_ignores_unknown_fields(void **state) {
    static const char spec[] = "{\"bogus\":{\"deep\":[1]},\"peerIP\":\"192.0.2.1\",\"asNumber\":64513}";
    struct fixture *f = *state;

    assert_int_equal(decode_spec(f, CODEC_WARN, spec), 0);
    assert_true(has_advice(f, "unknown field \"spec.bogus\""));
    assert_null(strstr(encoded(f), "bogus"));
    assert_int_equal(decode_spec(f, CODEC_IGNORE, spec), 0);
    assert_false(has_advice(f, "unknown field \"spec.bogus\""));
    assert_null(strstr(encoded(f), "bogus"));
}

static void finds_duplicate_keys(void **state) {
    static const char spec[] =
        "{\"node\":\"a\",\"peerIP\":\"192.0.2.1\",\"n\\u006fde\":\"b\",\"x\":[{},{\"q\":1,\"q\":2}],"
        "\"node\":\"c\"}";
    struct fixture *f = *state;

    assert_int_equal(decode_spec(f, CODEC_STRICT, spec), -1);
    assert_refused(f, ERR_BAD_REQUEST,
                   "strict decoding error: duplicate field \"spec.node\", duplicate field \"spec.x[1].q\", "
                   "duplicate field \"spec.node\", unknown field \"spec.x\"");
    assert_int_equal(decode_spec(f, CODEC_WARN, spec), 0);
    assert_string_equal(peer_spec(f)->node, "c");
    assert_true(has_advice(f, "duplicate field \"spec.node\""));
    assert_true(has_advice(f, "duplicate field \"spec.x[1].q\""));
    assert_int_equal(decode_spec(f, CODEC_IGNORE, spec), 0);
    assert_string_equal(peer_spec(f)->node, "c");
    assert_false(has_advice(f, "duplicate field \"spec.node\""));
    /* Equal keys in different objects are no duplicates. */
    assert_int_equal(decode_spec(f, CODEC_STRICT,
                                 "{\"password\":{\"secretKeyRef\":{\"name\":\"node\",\"key\":\"name\"}},"
                                 "\"node\":\"node\",\"peerIP\":\"192.0.2.1\"}"),
                     0);
}

static void names_all_wrong_types(void **state) {
    struct fixture *f = *state;

    assert_int_equal(
        decode_spec(f, CODEC_STRICT,
                    "{\"node\":1,\"asNumber\":true,\"ttlSecurity\":1.0,\"filters\":\"x\","
                    "\"password\":[],\"keepOriginalNextHop\":\"true\",\"keepaliveTime\":20,\"zz\":1}"),
        -1);
    assert_refused(
        f, ERR_BAD_REQUEST,
        "strict decoding error: unknown field \"spec.zz\"; spec.node: expected a string, got an integer; put "
        "it "
        "in quotes; spec.asNumber: expected an AS number (an integer, or a string such as \"65000\" or "
        "\"1.10\"), got a boolean; spec.ttlSecurity: expected an integer, got a number with fraction or "
        "exponent; spec.filters: expected an array, got a string; write [VALUE], or a line \"- VALUE\" for "
        "each; spec.password: expected an object with secretKeyRef, got an array");
    assert_refused(f, ERR_BAD_REQUEST,
                   "; spec.keepOriginalNextHop: expected true or false, got a string; write it");
    assert_int_equal(f->causes.count, 8);
    assert_string_equal(f->causes.items[6].message,
                        "expected a duration with its unit, such as 90s or 2m, got an integer");
    assert_int_equal(decode_spec(f, CODEC_STRICT, "{\"ttlSecurity\":\"1\"}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "spec.ttlSecurity: expected an integer, got a string");
    assert_int_equal(decode_spec(f, CODEC_STRICT, "{\"filters\":[\"a\",null,1]}"), -1);
    assert_refused(
        f, ERR_BAD_REQUEST,
        "spec.filters[1]: expected a string, got null; spec.filters[2]: expected a string, got an integer");
    assert_int_equal(decode_spec(f, CODEC_STRICT, "[]"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "spec: expected an object with node, nodeSelector, peerIP");
    assert_int_equal(decode_json(f, KIND_BGPPEER, "{\"metadata\":7}"), -1);
    assert_refused(f, ERR_BAD_REQUEST, "metadata: expected an object, got an integer");
    assert_int_equal(decode_json(f, KIND_BGPPEER, "{\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":1}}}"),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST, "metadata.labels.a: expected a string, got an integer");
}

/* Hundreds of findings still make one readable message of valid UTF-8. */
static void bounds_messages(void **state) {
    struct fixture *f = *state;
    struct buf text = BUF_INIT;

    buf_add_str(&text, "{\"metadata\":{\"name\":\"p\"},\"spec\":{");
    for (int i = 0; i < 300; i++) {
        buf_printf(&text, "%s\"%d", i ? "," : "", i);
        for (int j = 0; j < 60; j++) {
            buf_add_str(&text, "\xc3\xa4");
        }
        buf_add_str(&text, "\":1");
    }
    buf_add_str(&text, "}}");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_JSON, CODEC_STRICT, text.data, text.len), -1);
    assert_refused(f, ERR_BAD_REQUEST, "unknown field \"spec.0\xc3\xa4");
    assert_refused(f, ERR_BAD_REQUEST, " more");
    for (const char *at = f->err.text; *at; at++) { /* only whole characters: every lead byte has its tail */
        assert_int_equal((unsigned char)at[0] == 0xc3, (unsigned char)at[1] == 0xa4);
    }
    buf_done(&text);
}

static void null_is_absent(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_spec(f, CODEC_STRICT,
                                 "{\"node\":null,\"asNumber\":null,\"filters\":null,\"password\":null,"
                                 "\"keepaliveTime\":null,\"peerIP\":\"192.0.2.1\",\"ttlSecurity\":null}"),
                     0);
    assert_string_equal(encoded(f),
                        "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":{"
                        "\"name\":\"p\"},\"spec\":{\"peerIP\":\"192.0.2.1\"}}");
    assert_int_equal(decode_json(f, KIND_NODE,
                                 "{\"metadata\":{\"name\":\"n\",\"labels\":{\"rack\":null},"
                                 "\"annotations\":null,\"creationTimestamp\":null},\"spec\":null}"),
                     0);
    assert_string_equal(label_set_get(&f->object->meta.labels, "rack"), ""); /* as in Go */
    assert_string_equal(encoded(f),
                        "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\",\"metadata\":{"
                        "\"name\":\"n\",\"labels\":{\"rack\":\"\"}},\"spec\":{}}");
}

/* Well-formed, but against the rules: every cause at once, and 422. */
static void collects_causes(void **state) {
    struct fixture *f = *state;

    assert_int_equal(
        decode_spec(f, CODEC_STRICT,
                    "{\"peerIP\":\"xyz:::\",\"asNumber\":\"1.1.1\",\"localASNumber\":4294967296,"
                    "\"ttlSecurity\":256,\"sourceAddress\":\"rubbish\",\"keepaliveTime\":\"soon\"}"),
        -1);
    assert_int_equal(f->err.code, ERR_INVALID);
    assert_true(has_cause(f, "spec.peerIP"));
    assert_true(has_cause(f, "spec.asNumber"));
    assert_true(has_cause(f, "spec.localASNumber"));
    assert_true(has_cause(f, "spec.ttlSecurity"));
    assert_true(has_cause(f, "spec.sourceAddress"));
    assert_true(has_cause(f, "spec.keepaliveTime"));
    assert_refused(f, ERR_INVALID, "BGPPeer.projectcalico.org \"p\" is invalid: [spec.asNumber: ");
    assert_refused(f, ERR_INVALID, "spec.peerIP: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_a_document),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(refuses_every_prefix),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(refuses_a_tower_of_brackets),
        cmocka_unit_test(names_all_unknown_fields),
        cmocka_unit_test(warns_or_ignores_unknown_fields),
        cmocka_unit_test(finds_duplicate_keys),
        cmocka_unit_test(names_all_wrong_types),
        cmocka_unit_test(bounds_messages),
        cmocka_unit_test(null_is_absent),
        cmocka_unit_test(collects_causes),
    };
    return cmocka_run_group_tests_name("codec: JSON", tests, fixture_setup, fixture_teardown);
}
