/*
 * YAML bodies: the same meaning as for kubectl (expected values were taken from it), and bounds on what a
 * small text may become. A merge patch onto an empty document shows the JSON that any YAML stands for.
 */
#include <dlfcn.h>

#include "codec_fixture.h"

/* The JSON form of a YAML mapping; NULL: refused, f->err says why. */
static const char *as_json(struct fixture *f, const char *yaml, size_t len) {
    char *copy = malloc(len ? len : 1);
    int failed;

    assert_non_null(copy);
    memcpy(copy, yaml, len);
    fixture_clear(f);
    failed = codec_patch(
        &(struct patch){
            .type = PATCH_MERGE, .kind = KIND_BGPPEER, .syntax = CODEC_YAML, .text = copy, .len = len},
        "{}", 2, &f->out, &f->err);
    free(copy);
    return failed == 0 ? f->out.data : NULL;
}

static void assert_json(struct fixture *f, const char *yaml, const char *json) {
    const char *got = as_json(f, yaml, strlen(yaml));

    if (!got) {
        fail_msg("%s: %s", yaml, f->err.text);
    } else {
        assert_string_equal(got, json);
    }
}

static void assert_yaml_refused(struct fixture *f, const char *yaml, const char *says) {
    assert_null(as_json(f, yaml, strlen(yaml)));
    assert_refused(f, ERR_BAD_REQUEST, says);
}

static void resolves_scalars_as_kubectl(void **state) {
    static const char *const cases[][2] = {
        {"yes", "true"},
        {"No", "false"},
        {"y", "true"},
        {"n", "false"},
        {"on", "true"},
        {"Off", "false"},
        {"TRUE", "true"},
        {"tRUE", "\"tRUE\""},
        {"nULL", "\"nULL\""},
        {"\"\"", "\"\""},
        {"''", "\"\""},
        {"010", "8"},
        {"0x1F", "31"},
        {"0X1f", "31"},
        {"0o17", "15"},
        {"0O17", "15"},
        {"0b11", "3"},
        {"-0b11", "-3"},
        {"1_000", "1000"},
        {"1__0", "10"},
        {"1.0", "1"},
        {"1e3", "1000"},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-0", "0"},
        {"-0.0", "0"},
        {"+5", "5"},
        {"08", "8"},
        {"0_8", "8"},
        {"64512.0", "64512"},
        {"12e", "\"12e\""},
        {"e5", "\"e5\""},
        {"\"yes\"", "\"yes\""},
        {"'010'", "\"010\""},
        {"2001-01-01", "\"2001-01-01\""},
        {"1:30", "\"1:30\""},
        {"0x", "\"0x\""},
        {"0xZ", "\"0xZ\""},
        {"_1", "\"_1\""},
        {"+.5", "0.5"},
        {"1.e5", "100000"},
        {".e5", "\".e5\""},
        {"1e999", "\"1e999\""},
        {"+", "\"+\""},
        {".", "\".\""},
        {"=", "\"=\""},
        {"1.2.3.4", "\"1.2.3.4\""},
        {"0x-1", "\"0x-1\""},
        {"--1", "\"--1\""},
        {"10.0.0.0/8", "\"10.0.0.0/8\""},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"!!str 123", "\"123\""},
        {"! 12", "\"12\""},
        {"!!int \"3\"", "3"},
        {"!!float 3", "3"},
        {"!!bool \"yes\"", "true"},
        {"\"\\u00e4\"", "\"\xc3\xa4\""},
        {"|\n  a\n  b\n", "\"a\\nb\\n\""},
        {">-\n  a\n  b\n", "\"a b\""},
        {"!!seq [1]", "[1]"},
        {"!!map {b: 1}", "{\"b\":1}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char yaml[128], json[128];

        snprintf(yaml, sizeof yaml, "a: %s", cases[i][0]);
        snprintf(json, sizeof json, "{\"a\":%s}", cases[i][1]);
        assert_json(*state, yaml, json);
    }
    /* null, which a merge patch removes; in a list it stays. */
    assert_json(*state, "a: [~, null, Null, NULL, !!null \"\"]", "{\"a\":[null,null,null,null,null]}");
}

static void makes_keys_texts(void **state) {
    assert_json(*state, "010: a\ntrue: b\noff: c\n'1.5': d\n\"yes\": e\n",
                "{\"8\":\"a\",\"true\":\"b\",\"false\":\"c\",\"1.5\":\"d\",\"yes\":\"e\"}");
    assert_yaml_refused(*state, "1.5: a", "line 1, column 1: a key cannot be a number");
    assert_yaml_refused(*state, "b: 1\n~: a", "line 2, column 1: a key cannot be null");
    assert_yaml_refused(*state, "? [a]\n: b", "a key must be a plain or quoted text");
    assert_yaml_refused(*state, "a: 1\nb: 2\na: 3", "line 3, column 1: this key occurs twice");
    assert_yaml_refused(*state, "yes: 1\ntrue: 3", "this key occurs twice");
}

static void copies_aliases_and_merges(void **state) {
    assert_json(*state, "a: &x {k: [1]}\nb: *x\n", "{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]}}");
    assert_json(*state, "a: &x 5\nb: &x 6\nc: *x\n", "{\"a\":5,\"b\":6,\"c\":6}");
    assert_json(*state, "b: &b {k: 1, m: 2}\nc: {<<: *b, k: 3}\nd: {k: 3, <<: *b}\n",
                "{\"b\":{\"k\":1,\"m\":2},\"c\":{\"k\":3,\"m\":2},\"d\":{\"k\":3,\"m\":2}}");
    assert_json(*state, "c: {<<: [{q: 1}, {q: 2, r: 3}]}", "{\"c\":{\"q\":1,\"r\":3}}");
    assert_json(*state, "c: {\"<<\": 1}", "{\"c\":{\"<<\":1}}");
    assert_yaml_refused(*state, "c: {<<: 1}", "<< takes a mapping");
    assert_yaml_refused(*state, "c: {<<: [1]}", "<< takes a mapping");
    assert_yaml_refused(*state, "a: &x [*x]", "line 1, column 8: no anchor of that name is complete");
    assert_yaml_refused(*state, "a: *x", "put it in quotes");
    /* The value that somebody meant is not in the message. */
    assert_yaml_refused(*state, "stringData:\n  a: *hunter2", "line 2, column 6: no anchor of that name");
}

/* Nine levels of ten aliases each: a thousand million elements, if they were built. */
static void bounds_what_aliases_expand_to(void **state) {
    struct buf text = BUF_INIT;

    buf_add_str(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            buf_printf(&text, "%s*a%d", j ? "," : "", i - 1);
        }
        buf_add_str(&text, "]\n");
    }
    assert_null(as_json(*state, text.data, text.len));
    assert_refused(*state, ERR_BAD_REQUEST, "the aliases of this document expand to more than 1048576 bytes");

    /* One long text many times is no better. */
    buf_clear(&text);
    buf_add_str(&text, "a: &a ");
    for (int i = 0; i < 70000; i++) {
        buf_add_char(&text, 'x');
    }
    buf_add_str(&text, "\nb: [*a");
    for (int i = 0; i < 20; i++) {
        buf_add_str(&text, ",*a");
    }
    buf_add_str(&text, "]\n");
    assert_null(as_json(*state, text.data, text.len));
    assert_refused(*state, ERR_BAD_REQUEST, "expand to more than");

    /* Depth counts through aliases. */
    buf_clear(&text);
    buf_add_str(&text, "a: &a [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\nb: [[[[[[[[[[[[*a]]]]]]]]]]]]\n");
    assert_null(as_json(*state, text.data, text.len));
    assert_refused(*state, ERR_BAD_REQUEST, "nested more than 32 deep");
    buf_done(&text);
}

/* `count` copies of `unit` behind `head`, and `tail`; the caller frees. */
static struct buf repeated(const char *head, const char *unit, size_t count, const char *tail) {
    struct buf text = BUF_INIT;

    buf_add_str(&text, head);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, unit);
    }
    buf_add_str(&text, tail);
    assert_false(buf_failed(&text));
    return text;
}

/* libyaml compares each directive with all before: there can be 16, whatever ends their lines. */
static void bounds_directives(void **state) {
    static const char *const breaks[] = {"\n", "\r", "\r\n", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};

    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        for (int count = 16; count <= 17; count++) {
            struct buf text = BUF_INIT;

            for (int k = 0; k < count; k++) {
                buf_printf(&text, "%%TAG !%d! tag:example.org,2026:%s", k, breaks[i]);
            }
            buf_printf(&text, "---%sa: 1", breaks[i]);
            assert_int_equal(as_json(*state, text.data, text.len) != NULL, count == 16);
            buf_done(&text);
        }
        assert_refused(*state, ERR_BAD_REQUEST, "more than 16 lines begin with %");
    }
    /* One long prefix, which each tag would copy: the tags are looked at, also that of a merge key. */
    assert_yaml_refused(*state, "%TAG !x! !long\n---\n- !x!a <<: {}\n",
                        "must be put in quotes, or YAML takes it for a tag");
}

/* libyaml clears as many bytes as the longest run of blanks has, at each word and line of a scalar. */
static void bounds_runs_of_blanks(void **state) {
    static const struct {
        const char *head, *blank, *middle, *word, *tail;
    } forms[] = {
        {"a: b", " ", "c", " c", ""},
        {"a: \"b", " ", "c", " c", "\""},
        {"a: 'b", "\t", "c", " c", "'"},
        {"a: b", "\n", " c", "\n c", ""},
        {"a: |\n b", "\n", " c", "\n c", ""},
        {"a: >\n b", "\n", " c", "\n c", ""},
        {"a: \"b", "\xc2\x85", "c", "\xe2\x80\xa8z", "\""},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        for (size_t run = 500; run <= 50000; run *= 100) {
            struct buf head =
                repeated(forms[i].head, forms[i].blank, run / strlen(forms[i].blank), forms[i].middle);
            struct buf text = repeated(head.data, forms[i].word, 200000, forms[i].tail);

            assert_int_equal(as_json(*state, text.data, text.len) != NULL, run == 500);
            buf_done(&head);
            buf_done(&text);
        }
        assert_refused(*state, ERR_BAD_REQUEST, "beside a run of 5");
    }
}

/* Anchors of one document cost nothing in those after it, of which there may be very many. */
static void forgets_anchors(void **state) {
    struct buf text = repeated("a: &x 1\n", "---\n", 1000, "b: *x\n");

    assert_null(as_json(*state, text.data, text.len));
    assert_refused(*state, ERR_BAD_REQUEST, "no anchor of that name");
    buf_done(&text);
}

static void takes_one_document(void **state) {
    struct fixture *f = *state;

    assert_json(f, "---\na: 1\n---\n# nothing\n---\n", "{\"a\":1}");
    assert_json(f, "%YAML 1.1\n---\na: 1\n...\n", "{\"a\":1}");
    assert_json(f,
                "\xef\xbb\xbf"
                "a: 1\n",
                "{\"a\":1}");
    assert_yaml_refused(f, "a: 1\n---\nb: 2\n", "/apis/bgppeerd.io/v1/applies");
    assert_yaml_refused(f, "", "the body holds no document");
    assert_yaml_refused(f, "# only a comment\n", "the body holds no document");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, "a: 1\n---\nb: 2\n", 14), -1);
    assert_refused(f, ERR_BAD_REQUEST, "line 3, column 1: a second document begins here");
}

static void refuses_with_line_and_column(void **state) {
    static const struct {
        const char *yaml;
        size_t len;
        const char *says;
    } cases[] = {
        {"a: {b: [c", 9, "not YAML"},
        {"a:\n  b: 1\n c: 2\n", 16, "line 3, column 2"},
        {"\tb: 1", 5, "line 1, column 1"},
        {"a: \x01", 4, "control characters are not allowed"},
        {"a: \xff", 4, "line 1, column 4 (byte 3): byte 0xff is not UTF-8"},
        {"a: b\0c", 6, "NUL byte"},
        {"a: \"\\0\"", 7, "NUL"},
        {"a: \"\\ud800\"", 11, "not YAML"},
        {"a: !secret x", 12, "must be put in quotes"},
        {"a: !!binary aGk=", 16, "the tag of this value is not supported"},
        {"a: !!set {x}", 12, "the tag of this value is not supported"},
        {"a: !!int x", 10, "not what its tag !!int says"},
        {"a: .inf", 7, "line 1, column 4: .inf has no JSON form"},
        {"a: -.INF", 8, "no JSON form"},
        {"a: .nan", 7, "no JSON form"},
        {"\xfe\xff\0a", 4, "not UTF-8"}, /* UTF-16 */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("  %s\n", cases[i].says);
        assert_null(as_json(f, cases[i].yaml, cases[i].len));
        assert_refused(f, ERR_BAD_REQUEST, cases[i].says);
    }
    for (int depth = CODEC_DEPTH_MAX - 1; depth <= CODEC_DEPTH_MAX; depth++) {
        char text[128] = "a: ";

        memset(text + 3, '[', (size_t)depth);
        memset(text + 3 + depth, ']', (size_t)depth);
        assert_int_equal(as_json(f, text, strlen(text)) == NULL, depth == CODEC_DEPTH_MAX);
    }
    assert_refused(f, ERR_BAD_REQUEST,
                   "line 1, column 35: mappings and sequences are nested more than 32 deep");
}

/* The whole way: fields, strictness and types are those of JSON. */
static void decodes_like_json(void **state) {
    static const char good[] =
        "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: rack1-tor\n"
        "  labels: {rack: '1', tier: }\nspec:\n  peerIP: 192.0.2.1\n  asNumber: 64512.0\n"
        "  nodeSelector: rack == 'rack-1'\n  filters:\n  - a\n  - b\n";
    static const char plain_yes[] = "metadata: {name: x}\nspec: {node: yes}\n";
    static const char real[] = "metadata: {name: x}\nspec: {asNumber: 1.10}\n";
    static const char twice[] = "metadata: {name: x}\nspec:\n  node: a\n  node: b\n";
    struct fixture *f = *state;

    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, good, sizeof good - 1), 0);
    assert_string_equal(
        encoded(f),
        "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"BGPPeer\",\"metadata\":{\"name\":"
        "\"rack1-tor\",\"labels\":{\"rack\":\"1\",\"tier\":\"\"}},\"spec\":{\"nodeSelector\":\"rack == "
        "'rack-1'\",\"peerIP\":\"192.0.2.1\",\"asNumber\":64512,\"filters\":[\"a\",\"b\"]}}");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, plain_yes, sizeof plain_yes - 1),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST, "spec.node: expected a string, got a boolean");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, real, sizeof real - 1), -1);
    assert_refused(f, ERR_BAD_REQUEST, "got a number with fraction or exponent");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, twice, sizeof twice - 1), -1);
    assert_refused(f, ERR_BAD_REQUEST, "duplicate field \"spec.node\"");
    assert_int_equal(decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_WARN, twice, sizeof twice - 1), 0);
    assert_true(has_advice(f, "duplicate field \"spec.node\""));
    assert_string_equal(peer_spec(f)->node, "b");
    for (size_t len = 0; len < sizeof good - 1; len++) { /* no cut makes it crash or leak */
        (void)decode_bytes(f, KIND_BGPPEER, CODEC_YAML, CODEC_STRICT, good, len);
    }
}

/* libyaml keeps pieces of a body, which may be passwords: its memory must be ours, which is wiped. */
static void libyaml_uses_the_wiping_allocator(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = {"yaml_malloc", "yaml_realloc", "yaml_free", "yaml_strdup"};
        Dl_info where, program;
        void *symbol = dlsym(RTLD_DEFAULT, names[i]);

        assert_non_null(symbol);
        assert_true(dladdr(symbol, &where) != 0 && dladdr(libyaml_uses_the_wiping_allocator, &program) != 0);
        assert_ptr_equal(where.dli_fbase, program.dli_fbase);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_scalars_as_kubectl),
        cmocka_unit_test(makes_keys_texts),
        cmocka_unit_test(copies_aliases_and_merges),
        cmocka_unit_test(bounds_what_aliases_expand_to),
        cmocka_unit_test(bounds_directives),
        cmocka_unit_test(bounds_runs_of_blanks),
        cmocka_unit_test(forgets_anchors),
        cmocka_unit_test(takes_one_document),
        cmocka_unit_test(refuses_with_line_and_column),
        cmocka_unit_test(decodes_like_json),
        cmocka_unit_test(libyaml_uses_the_wiping_allocator),
    };
    return cmocka_run_group_tests_name("codec: YAML", tests, fixture_setup, fixture_teardown);
}
