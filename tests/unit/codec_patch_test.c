/*
 * Patches: the examples of RFC 7396 and RFC 6902 (appendix A), the strategic kind for Secrets, and what a
 * patch may not do.
 */
#include "codec_fixture.h"

static int patch(struct fixture *f, enum patch_type type, const char *document, const char *text) {
    char *copy = malloc(strlen(text) + 1);
    int failed;

    assert_non_null(copy);
    memcpy(copy, text, strlen(text)); /* without its NUL */
    fixture_clear(f);
    failed = codec_patch(
        &(struct patch){
            .type = type, .kind = KIND_SECRET, .syntax = CODEC_JSON, .text = copy, .len = strlen(text)},
        document, strlen(document), &f->out, &f->err);
    free(copy);
    return failed;
}

static void assert_patched(struct fixture *f, enum patch_type type, const char *document, const char *text,
                           const char *expected) {
    if (patch(f, type, document, text) < 0) {
        fail_msg("%s: %s", text, f->err.text);
    }
    assert_string_equal(f->out.data, expected);
}

static void assert_patch_refused(struct fixture *f, enum patch_type type, const char *document,
                                 const char *text, enum err_code code, const char *says) {
    assert_int_equal(patch(f, type, document, text), -1);
    assert_refused(f, code, says);
}

static void merges(void **state) {
    static const char *const cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"{\"a\":1}", "{}", "{\"a\":1}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_patched(*state, PATCH_MERGE, cases[i][0], cases[i][1], cases[i][2]);
    }
    assert_patch_refused(*state, PATCH_MERGE, "{}", "[1]", ERR_BAD_REQUEST, "must be an object");
    assert_patch_refused(*state, PATCH_MERGE, "{}", "null", ERR_BAD_REQUEST, "must be an object");
    assert_patch_refused(*state, PATCH_MERGE, "{}", "{\"a\":1", ERR_BAD_REQUEST,
                         "the patch cannot be read: line 1");
    assert_patch_refused(*state, PATCH_MERGE, "{}", "{\"a\":1,\"a\":2}", ERR_BAD_REQUEST, "occurs twice");
    assert_patch_refused(*state, PATCH_MERGE, "oops", "{}", ERR_CORRUPT, "stored Secret");
}

static void applies_json_patches(void **state) {
    static const char *const cases[][3] = {
        {"{\"foo\":\"bar\"}", "{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
        {"{\"foo\":[\"bar\",\"baz\"]}", "{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}",
         "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "{\"op\":\"remove\",\"path\":\"/baz\"}", "{\"foo\":\"bar\"}"},
        {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "{\"op\":\"remove\",\"path\":\"/foo/1\"}",
         "{\"foo\":[\"bar\",\"baz\"]}"},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}",
         "{\"baz\":\"boo\",\"foo\":\"bar\"}"},
        {"{\"a\":[1,2]}", "{\"op\":\"replace\",\"path\":\"/a/1\",\"value\":{\"b\":null}}",
         "{\"a\":[1,{\"b\":null}]}"},
        {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
         "{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}",
         "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
        {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
         "{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}",
         "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
        {"{\"a\":1}", "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}", "{\"a\":1}"},
        {"{\"a\":{\"b\":1}}", "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/c\"}",
         "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}"},
        {"{\"foo\":[\"bar\"]}", "{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}",
         "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
        {"{\"foo\":\"bar\"}", "{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}",
         "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
        {"{\"foo\":\"bar\"}", "{\"op\":\"add\",\"path\":\"/baz\",\"value\":1,\"xyz\":123}",
         "{\"foo\":\"bar\",\"baz\":1}"},
        {"{\"/\":9,\"~1\":10}", "{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}", "{\"/\":9,\"~1\":10}"},
        {"{\"/\":9}", "{\"op\":\"replace\",\"path\":\"/~1\",\"value\":8}", "{\"/\":8}"},
        {"{\"\":1}", "{\"op\":\"replace\",\"path\":\"/\",\"value\":2}", "{\"\":2}"},
        {"{\"a\":1}", "{\"op\":\"add\",\"path\":\"\",\"value\":{\"b\":2}}", "{\"b\":2}"},
        {"{\"a\":1}", "{\"op\":\"replace\",\"path\":\"\",\"value\":{\"b\":2}}", "{\"b\":2}"},
        {"{\"a\":{\"x\":[1,{\"y\":null}],\"z\":0}}",
         "{\"op\":\"test\",\"path\":\"/a\",\"value\":{\"z\":0.0,\"x\":[1.0,{\"y\":null}]}}",
         "{\"a\":{\"x\":[1,{\"y\":null}],\"z\":0}}"},
        {"{\"a\":1}", "{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1}}", "{\"a\":1}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];

        snprintf(text, sizeof text, "[%s]", cases[i][1]);
        assert_patched(*state, PATCH_JSON, cases[i][0], text, cases[i][2]);
    }
    assert_patched(*state, PATCH_JSON, "{\"a\":1}", "[]", "{\"a\":1}");
    /* A value that was added is the document's own: changing it later changes one place. */
    assert_patched(
        *state, PATCH_JSON, "{\"a\":{}}",
        "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"},{\"op\":\"add\",\"path\":\"/a/x\",\"value\":1}]",
        "{\"a\":{\"x\":1},\"b\":{}}");
}

static void refuses_json_patches(void **state) {
    static const struct {
        const char *document, *operation;
        enum err_code code;
        const char *says;
    } cases[] = {
        {"{\"a\":1}", "{\"op\":\"test\",\"path\":\"/a\",\"value\":2}", ERR_INVALID, "the test failed"},
        {"{\"a\":[1]}", "{\"op\":\"test\",\"path\":\"/a\",\"value\":[1,2]}", ERR_INVALID, "the test failed"},
        {"{\"a\":\"10\"}", "{\"op\":\"test\",\"path\":\"/a\",\"value\":10}", ERR_INVALID, "the test failed"},
        {"{}", "{\"op\":\"test\",\"path\":\"/a\",\"value\":null}", ERR_INVALID, "nothing at this path"},
        {"{}", "{\"op\":\"remove\",\"path\":\"/a\"}", ERR_INVALID,
         "(remove \"/a\"): there is nothing at this path"},
        {"{}", "{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}", ERR_INVALID, "nothing at this path"},
        {"{}", "{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}", ERR_INVALID, "no such place"},
        {"{\"a\":1}", "{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}", ERR_INVALID, "has no members"},
        {"{\"a\":[1]}", "{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}", ERR_INVALID, "fewer elements"},
        {"{\"a\":[1]}", "{\"op\":\"add\",\"path\":\"/a/01\",\"value\":1}", ERR_INVALID, "counted from 0"},
        {"{\"a\":[1]}", "{\"op\":\"add\",\"path\":\"/a/x\",\"value\":1}", ERR_INVALID, "counted from 0"},
        {"{\"a\":[1]}", "{\"op\":\"add\",\"path\":\"/a/-1\",\"value\":1}", ERR_INVALID, "counted from 0"},
        {"{\"a\":[1]}", "{\"op\":\"add\",\"path\":\"/a/99999999999999999999\",\"value\":1}", ERR_INVALID,
         "counted from"},
        {"{\"a\":[1]}", "{\"op\":\"remove\",\"path\":\"/a/-\"}", ERR_INVALID, "nothing at this path"},
        {"{\"a\":{}}", "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}", ERR_INVALID, "into itself"},
        {"{}", "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}", ERR_INVALID, "nothing at this path"},
        {"{}", "{\"op\":\"remove\",\"path\":\"\"}", ERR_INVALID, "cannot be removed"},
        {"{}", "{\"op\":\"add\",\"path\":\"a\",\"value\":1}", ERR_BAD_REQUEST, "begin with '/'"},
        {"{}", "{\"op\":\"add\",\"path\":\"/~2\",\"value\":1}", ERR_BAD_REQUEST, "'~' must be followed"},
        {"{}", "{\"op\":\"add\",\"path\":\"/~\",\"value\":1}", ERR_BAD_REQUEST, "'~' must be followed"},
        {"{}", "{\"op\":\"add\",\"path\":\"/a\"}", ERR_BAD_REQUEST, "\"value\" is missing"},
        {"{}", "{\"op\":\"add\",\"value\":1}", ERR_BAD_REQUEST, "\"path\" is missing"},
        {"{}", "{\"op\":\"move\",\"path\":\"/a\"}", ERR_BAD_REQUEST, "\"from\" is missing"},
        {"{}", "{\"op\":\"frob\",\"path\":\"/a\"}", ERR_BAD_REQUEST, "op must be one of"},
        {"{}", "{\"path\":\"/a\"}", ERR_BAD_REQUEST, "\"op\" is missing"},
        {"{}", "7", ERR_BAD_REQUEST, "must be an object"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];

        snprintf(text, sizeof text, "[%s]", cases[i].operation);
        assert_patch_refused(*state, PATCH_JSON, cases[i].document, text, cases[i].code, cases[i].says);
    }
    assert_patch_refused(*state, PATCH_JSON, "{}", "{}", ERR_BAD_REQUEST, "must be an array");
}

/* Copying a document into itself doubles it each time; neither its size nor its depth may run away. */
static void bounds_growth(void **state) {
    struct buf text = BUF_INIT;

    buf_add_char(&text, '[');
    for (int i = 0; i < 40; i++) {
        buf_json_comma(&text);
        buf_printf(&text, "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/x%d\"}", i);
    }
    buf_add_char(&text, ']');
    assert_patch_refused(*state, PATCH_JSON, "{\"a\":{\"k\":\"0123456789\"}}", text.data, ERR_INVALID,
                         "too ");
    buf_clear(&text);
    buf_add_char(&text, '[');
    for (int i = 0; i <= 10000; i++) {
        buf_json_comma(&text);
        buf_add_str(&text, "{\"op\":\"add\",\"path\":\"/a\",\"value\":1}");
    }
    buf_add_char(&text, ']');
    assert_patch_refused(*state, PATCH_JSON, "{}", text.data, ERR_TOO_LARGE, "at most 10000 operations");
    buf_done(&text);
}

static void strategic_is_a_merge_patch(void **state) {
    struct fixture *f = *state;

    assert_patched(
        f, PATCH_STRATEGIC, "{\"data\":{\"a\":\"eA==\",\"b\":\"eQ==\"}}",
        "{\"$setElementOrder/finalizers\":[],\"$retainKeys\":[\"x\"],\"data\":{\"$retainKeys\":[],\"a\":null,"
        "\"c\":\"eg==\"}}",
        "{\"data\":{\"b\":\"eQ==\",\"c\":\"eg==\"}}");
    assert_patch_refused(f, PATCH_STRATEGIC, "{}", "{\"data\":{\"$patch\":\"replace\"}}",
                         ERR_UNSUPPORTED_MEDIA_TYPE, "\"$patch\" is not supported: no kind here has lists");
    assert_patch_refused(f, PATCH_STRATEGIC, "{}", "{\"x\":[{\"$deleteFromPrimitiveList/y\":[]}]}",
                         ERR_UNSUPPORTED_MEDIA_TYPE, "$deleteFromPrimitiveList/y");
    fixture_clear(f);
    err_clear(&f->err);
    assert_int_equal(
        codec_patch(
            &(struct patch){
                .type = PATCH_MERGE, .kind = KIND_SECRET, .syntax = CODEC_PROTOBUF, .text = "{}", .len = 2},
            "{}", 2, &f->out, &f->err),
        -1);
    assert_refused(f, ERR_UNSUPPORTED_MEDIA_TYPE, "protobuf");
}

/* A stored document, patched and decoded again: what PATCH does. */
static void changes_a_document(void **state) {
    static const char changes[] = "spec:\n  asNumber: 2\n  filters:\n";
    struct fixture *f = *state;
    char *document;

    assert_int_equal(
        decode_spec(f, CODEC_STRICT, "{\"peerIP\":\"192.0.2.1\",\"asNumber\":1,\"filters\":[\"a\"]}"), 0);
    document = strdup(encoded(f));
    assert_non_null(document);
    fixture_clear(f);
    assert_int_equal(codec_patch(&(struct patch){.type = PATCH_MERGE,
                                                 .kind = KIND_BGPPEER,
                                                 .syntax = CODEC_YAML,
                                                 .text = changes,
                                                 .len = sizeof changes - 1},
                                 document, strlen(document), &f->out, &f->err),
                     0);
    free(document);
    document = buf_steal(&f->out, NULL);
    assert_int_equal(decode_json(f, KIND_BGPPEER, document), 0);
    free(document);
    assert_int_equal(peer_spec(f)->as_number.value, 2);
    assert_string_equal(peer_spec(f)->peer_ip, "192.0.2.1");
    assert_int_equal(peer_spec(f)->filters.count, 0);
}

/* A JSON patch of `count` operations onto a member that holds `size` numbers; `operation` is one of them. */
static int patch_array(struct fixture *f, size_t size, size_t count, const char *operation,
                       size_t operations_max) {
    struct buf document = BUF_INIT, text = BUF_INIT;

    buf_add_str(&document, "{\"x\":[0");
    for (size_t i = 1; i < size; i++) {
        buf_add_str(&document, ",0");
    }
    buf_add_str(&document, "]}");
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, i == 0 ? "[" : ",");
        buf_add_str(&text, operation);
    }
    buf_add_str(&text, "]");
    const struct patch patch = {.type = PATCH_JSON,
                                .kind = KIND_BGPPEER,
                                .text = text.data,
                                .len = text.len,
                                .operations_max = operations_max};

    fixture_clear(f);
    int result = codec_patch(&patch, document.data, document.len, &f->out, &f->err);

    buf_done(&document);
    buf_done(&text);
    return result;
}

/* What stands behind an element moves when the element comes or goes: 16 MiB of it in one patch. */
static void bounds_moved_elements(void **state) {
    static const char *const FRONT[] = {"{\"op\":\"remove\",\"path\":\"/x/0\"}",
                                        "{\"op\":\"add\",\"path\":\"/x/0\",\"value\":1}",
                                        "{\"op\":\"move\",\"from\":\"/x/0\",\"path\":\"/x/-\"}",
                                        "{\"op\":\"copy\",\"from\":\"/x/1\",\"path\":\"/x/0\"}"};
    static const char *const BACK[] = {"{\"op\":\"add\",\"path\":\"/x/-\",\"value\":1}",
                                       "{\"op\":\"replace\",\"path\":\"/x/0\",\"value\":1}",
                                       "{\"op\":\"test\",\"path\":\"/x/0\",\"value\":0}"};
    const size_t size = 200000, fits = 16 * 1024 * 1024 / (8 * 200000);

    for (size_t i = 0; i < sizeof FRONT / sizeof *FRONT; i++) {
        assert_int_equal(patch_array(*state, size, fits, FRONT[i], 0), 0);
        assert_int_equal(patch_array(*state, size, fits + 1, FRONT[i], 0), -1);
        assert_refused(*state, ERR_INVALID, "the patch moves too many array elements");
        assert_int_equal(patch_array(*state, 1000, 1000, FRONT[i], 0), 0);
    }
    for (size_t i = 0; i < sizeof BACK / sizeof *BACK; i++) {
        assert_int_equal(patch_array(*state, size, 10000, BACK[i], 0), 0);
        assert_int_equal(patch_array(*state, 10, 10001, BACK[i], 0), -1);
        assert_refused(*state, ERR_TOO_LARGE, "at most 10000 operations");
        assert_int_equal(patch_array(*state, 10, 64, BACK[i], 64), 0);
        assert_int_equal(patch_array(*state, 10, 65, BACK[i], 64), -1);
        assert_refused(*state, ERR_TOO_LARGE, "at most 64 operations here, this one has 65");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_moved_elements), cmocka_unit_test(merges),
        cmocka_unit_test(applies_json_patches),  cmocka_unit_test(refuses_json_patches),
        cmocka_unit_test(bounds_growth),         cmocka_unit_test(strategic_is_a_merge_patch),
        cmocka_unit_test(changes_a_document),
    };
    return cmocka_run_group_tests_name("codec: patches", tests, fixture_setup, fixture_teardown);
}
