/*
 * Secrets: clear text goes in and never comes out, what is known of each value travels in an annotation,
 * kubectl's last-applied annotation is blanked, and Kubernetes' protobuf form is read.
 */
#include "codec_fixture.h"

#define MARKER "KipyZWRhY3RlZCoq"

static const struct secret *secret_of(const struct fixture *f) {
    return f->object->body;
}

static void decodes_values(void **state) {
    struct fixture *f = *state;

    assert_int_equal(
        decode_json(f, KIND_SECRET,
                    "{\"metadata\":{\"name\":\"s\"},\"type\":\"Opaque\",\"immutable\":true,\"data\":{"
                    "\"b\":\"AP8B\",\"a\":\"aHVu\\ndGVy\\r\\nMg==\",\"e\":\"\",\"n\":null,\"m\":\"" MARKER
                    "\"},\"stringData\":{\"x\":\"p\\u00e4ss\"}}"),
        0);
    assert_string_equal(f->object->meta.name_space, "default");
    assert_true(f->arena.wipe);
    assert_int_equal(secret_of(f)->data.count, 5);
    assert_string_equal(secret_of(f)->data.items[0].key, "a");
    assert_int_equal(secret_of(f)->data.items[0].len, 7);
    assert_memory_equal(secret_of(f)->data.items[0].bytes, "hunter2", 7);
    assert_memory_equal(secret_of(f)->data.items[1].bytes, "\x00\xff\x01", 3);
    assert_int_equal(secret_of(f)->data.items[2].len, 0);
    assert_memory_equal(secret_of(f)->data.items[3].bytes, "**redacted**", 12);
    assert_int_equal(secret_of(f)->data.items[4].len, 0);
    assert_string_equal(label_set_get(&secret_of(f)->string_data, "x"), "p\xc3\xa4ss");
    assert_true(secret_of(f)->immutable.value);
    /* Until they are sealed there is nothing to show: no clear text, no keys. */
    assert_string_equal(encoded(f), "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","
                                    "\"namespace\":\"default\"},\"immutable\":true,\"type\":\"Opaque\"}");
}

static void refuses_bad_base64(void **state) {
    static const struct {
        const char *text;
        unsigned at;
    } cases[] = {{"a", 1},     {"ab", 2},   {"abc", 3},  {"ab=", 3},      {"a===", 1}, {"abcd=", 4},
                 {"ab==c", 4}, {"ab!d", 2}, {"ab-_", 2}, {"abc=abc=", 4}, {"=", 0},    {"ab =", 2}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160], says[80];

        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"%s\"}}", cases[i].text);
        snprintf(says, sizeof says, "data.k: illegal base64 data at input byte %u;", cases[i].at);
        assert_int_equal(decode_json(f, KIND_SECRET, text), -1);
        assert_refused(f, ERR_BAD_REQUEST, says);
    }
}

/* Wherever a Secret is refused, the words do not hold its value. */
static void errors_never_quote_values(void **state) {
    static const char *const bodies[] = {
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"hunter2\" \"hunter2\"}}",
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":hunter2}}",
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":\"hunter2\"}",
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"hunter2}}",
        "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"hunter2\"}}",
        "{\"metadata\":{\"name\":\"s\"},\"data\":\"hunter2\"}",
        "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"k\":\"hunter2\\u0000\"}}",
        "metadata: {name: s}\nstringData: {k: hunter2\n",
        "metadata: {name: s}\nstringData: {k: \"hunter2\n",
        "metadata: {name: s}\nstringData: {k: !!int hunter2}\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        enum codec_syntax syntax = bodies[i][0] == '{' ? CODEC_JSON : CODEC_YAML;

        assert_int_equal(decode_bytes(f, KIND_SECRET, syntax, CODEC_STRICT, bodies[i], strlen(bodies[i])),
                         -1);
        assert_null(strstr(f->err.text, "hunter2"));
        assert_int_equal(f->err.code, ERR_BAD_REQUEST);
    }
}

/* A stored Secret as the service makes it: two sealed values. */
static struct object *sealed(struct fixture *f) {
    static struct secret_value values[2] = {
        {.key = "alpha",
         .version = 3,
         .size = 9,
         .modified_ms = 1795460400000,
         .fingerprint = "00ff00ff00ff00ff"},
        {.key = "beta",
         .version = 1,
         .size = 80,
         .modified_ms = 1795460401000,
         .fingerprint = "1234567890abcdef"},
    };
    static const struct label annotations[] = {{"a", "1"}, {"z", "2"}};
    struct object *object = arena_alloc(&f->arena, sizeof *object);
    struct secret *secret = arena_alloc(&f->arena, sizeof *secret);
    struct byte_value *clear = arena_alloc(&f->arena, sizeof *clear);

    assert_true(object && secret && clear);
    *clear = (struct byte_value){.key = "alpha", .bytes = (const uint8_t *)"hunter2", .len = 7};
    *secret = (struct secret){.type = "Opaque", .data = {.count = 1, .items = clear}, .values = {2, values}};
    *object = (struct object){.kind = KIND_SECRET,
                              .meta = {.name = "s",
                                       .name_space = "default",
                                       .resource_version = 7,
                                       .annotations = {.count = 2, .items = annotations}},
                              .body = secret};
    return object;
}

static void stored_form_round_trips(void **state) {
    static const char expected[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"default\","
        "\"resourceVersion\":\"7\",\"annotations\":{\"a\":\"1\",\"bgppeerd.io/values\":"
        "\"{\\\"alpha\\\":{\\\"fingerprint\\\":\\\"00ff00ff00ff00ff\\\",\\\"size\\\":9,\\\"version\\\":3,"
        "\\\"modified\\\":\\\"2026-11-23T19:00:00Z\\\"},\\\"beta\\\":{\\\"fingerprint\\\":"
        "\\\"1234567890abcdef\\\","
        "\\\"size\\\":80,\\\"version\\\":1,\\\"modified\\\":\\\"2026-11-23T19:00:01Z\\\"}}\",\"z\":\"2\"}},"
        "\"data\":{\"alpha\":\"" MARKER "\",\"beta\":\"" MARKER "\"},\"type\":\"Opaque\"}";
    struct fixture *f = *state;
    const struct secret_value *values;
    struct object *again = NULL;
    struct buf second = BUF_INIT;

    fixture_clear(f);
    f->object = sealed(f);
    assert_string_equal(encoded(f), expected);
    assert_int_equal(codec_decode_stored(KIND_SECRET, f->out.data, f->out.len, &f->arena, &again, &f->err),
                     0);
    values = ((const struct secret *)again->body)->values.items;
    assert_int_equal(((const struct secret *)again->body)->values.count, 2);
    assert_string_equal(values[0].key, "alpha");
    assert_string_equal(values[0].fingerprint, "00ff00ff00ff00ff");
    assert_true(values[0].version == 3 && values[0].size == 9 && values[0].modified_ms == 1795460400000);
    assert_int_equal(((const struct secret *)again->body)->data.count, 0);
    assert_int_equal(again->meta.annotations.count, 2);
    codec_encode(again, &second);
    assert_string_equal(second.data, expected);
    buf_done(&second);

    /* A client that sends it back keeps its values by the markers and cannot write our annotation. */
    assert_int_equal(decode_json(f, KIND_SECRET, expected), 0);
    assert_int_equal(f->object->meta.annotations.count, 2);
    assert_int_equal(secret_of(f)->values.count, 0);
    assert_int_equal(secret_of(f)->data.count, 2);
    assert_memory_equal(secret_of(f)->data.items[0].bytes, "**redacted**", 12);
}

static void damaged_stored_secret_is_refused(void **state) {
    static const char *const values[] = {"x", "[]", "{\\\"a\\\":1}",
                                         "{\\\"a\\\":{\\\"fingerprint\\\":\\\"00\\\"}}"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[256];
        struct object *object = NULL;

        fixture_clear(f);
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"bgppeerd.io/values\":\"%s\"}}}",
                 values[i]);
        assert_int_equal(codec_decode_stored(KIND_SECRET, text, strlen(text), &f->arena, &object, &f->err),
                         -1);
        assert_refused(f, ERR_CORRUPT, "bgppeerd.io/values");
        assert_null(object);
    }
}

/* The body's bytes move with a value's version though all markers are alike. */
static void body_shows_changed_values(void **state) {
    struct fixture *f = *state;
    struct secret_value *values;
    char *before;

    fixture_clear(f);
    f->object = sealed(f);
    codec_encode_body(f->object, &f->out);
    before = buf_steal(&f->out, NULL);
    values = ((struct secret *)f->object->body)->values.items;
    values[1].version++;
    codec_encode_body(f->object, &f->out);
    values[1].version--;
    assert_string_not_equal(f->out.data, before);
    assert_null(strstr(f->out.data, "hunter2"));
    free(before);
}

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

static const char *last_applied(struct fixture *f, const char *value) {
    struct buf text = BUF_INIT;

    buf_add_str(&text, "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"x\":\"y\",\"" LAST_APPLIED "\":");
    buf_add_json_str(&text, value);
    buf_add_str(&text, "}}}");
    if (decode_json(f, KIND_SECRET, text.data) < 0) {
        fail_msg("%s", f->err.text);
    }
    buf_done(&text);
    assert_string_equal(label_set_get(&f->object->meta.annotations, "x"), "y");
    return label_set_get(&f->object->meta.annotations, LAST_APPLIED);
}

static void blanks_last_applied(void **state) {
    struct fixture *f = *state;

    assert_string_equal(
        last_applied(f, "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"aHVudGVyMg==\",\"b\":null,\"c\":{\"d\":1}},"
                        "\"kind\":\"Secret\",\"metadata\":{\"annotations\":{\"q\":\"r\"},\"name\":\"s\"},"
                        "\"stringData\":{\"x\":\"hunter2\"},\"type\":\"Opaque\"}\n"),
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"},\"kind\":\"Secret\",\"metadata\":"
        "{\"annotations\":{\"q\":\"r\"},\"name\":\"s\"},\"stringData\":{\"x\":\"\"},\"type\":\"Opaque\"}\n");
    assert_string_equal(last_applied(f, "{\"kind\":\"Secret\",\"metadata\":{\"annotations\":{\"" LAST_APPLIED
                                        "\":\"hunter2\"}},\"data\":\"hunter2\"}"),
                        "{\"kind\":\"Secret\",\"metadata\":{\"annotations\":{}}}\n");
    /* What no Secret has may be what one meant to have, and goes, as it does from the object. */
    assert_string_equal(
        last_applied(f, "{\"kind\":\"Secret\",\"stringdata\":{\"a\":\"hunter2\"},\"Data\":{\"a\":\"x\"},"
                        "\"password\":\"hunter2\",\"immutable\":true}"),
        "{\"kind\":\"Secret\",\"immutable\":true}\n");
    assert_null(last_applied(f, "hunter2"));
    assert_null(last_applied(f, "{\"kind\":\"ConfigMap\",\"data\":{\"a\":\"hunter2\"}}"));
    assert_null(last_applied(f, "{\"kind\":\"Secret\",\"kind\":\"Secret\",\"data\":{}}"));
    assert_null(last_applied(f, "[\"hunter2\"]"));
    assert_null(last_applied(f, ""));
}

/* What `kubectl create secret generic s --from-literal=k=hunter2` of 1.32 sends. */
static const char envelope[] =
    "k8s\0"
    "\x0a\x0c\x0a\x02v1\x12\x06Secret"
    "\x12\x2b"
    "\x0a\x11\x0a\x01s\x12\x00\x1a\x00\x22\x00*\x00\x32\x00\x38\x00\x42\x00" /* metadata */
    "\x12\x0c\x0a\x01k\x12\x07hunter2"                                       /* data */
    "\x1a\x06Opaque"
    "\x28\x01"          /* immutable */
    "\x1a\x00\x22\x00"; /* content encoding and type */

static void reads_protobuf(void **state) {
    struct fixture *f = *state;
    char body[sizeof envelope];
    size_t len = sizeof envelope - 1;

    memcpy(body, envelope, sizeof envelope);
    if (decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, body, len) < 0) {
        fail_msg("%s", f->err.text);
    }
    assert_string_equal(f->object->meta.name, "s");
    assert_string_equal(f->object->meta.name_space, "default");
    assert_null(f->object->meta.uid);
    assert_string_equal(secret_of(f)->type, "Opaque");
    assert_true(secret_of(f)->immutable.value);
    assert_int_equal(secret_of(f)->data.count, 1);
    assert_string_equal(secret_of(f)->data.items[0].key, "k");
    assert_memory_equal(secret_of(f)->data.items[0].bytes, "hunter2", 7);

    for (size_t cut = 0; cut < len; cut++) { /* lengths that lead out of the body are seen */
        (void)decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, body, cut);
    }
    for (size_t at = 0; at < len; at++) {
        for (unsigned byte = 0; byte < 256; byte += 5) {
            char keep = body[at];

            body[at] = (char)byte;
            (void)decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, body, len);
            body[at] = keep;
        }
    }
}

static void refuses_other_protobuf(void **state) {
    struct fixture *f = *state;

    assert_int_equal(decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, "{}", 2), -1);
    assert_refused(f, ERR_BAD_REQUEST, "it must begin with the bytes k8s");
    assert_int_equal(decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT,
                                  "k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace", 21),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST,
                   "the body has kind \"Namespace\" and apiVersion \"v1\", but this path takes Secret");
    assert_int_equal(
        decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, "k8s\0\x12\x03\x12\x05\x0a", 9), -1);
    assert_refused(f, ERR_BAD_REQUEST, "longer than its message");
    assert_int_equal(decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT,
                                  "k8s\0\x12\x06\x0a\x04\x0a\x02\xff\xff", 12),
                     -1);
    assert_refused(f, ERR_BAD_REQUEST, "not UTF-8");
    assert_int_equal(decode_bytes(f, KIND_SECRET, CODEC_PROTOBUF, CODEC_STRICT, "k8s\0\x1a\x04gzip", 10), -1);
    assert_refused(f, ERR_BAD_REQUEST, "compressed");
    assert_int_equal(
        decode_bytes(f, KIND_BGPPEER, CODEC_PROTOBUF, CODEC_STRICT, envelope, sizeof envelope - 1), -1);
    assert_refused(f, ERR_UNSUPPORTED_MEDIA_TYPE, "for Secrets only");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_values),
        cmocka_unit_test(refuses_bad_base64),
        cmocka_unit_test(errors_never_quote_values),
        cmocka_unit_test(stored_form_round_trips),
        cmocka_unit_test(damaged_stored_secret_is_refused),
        cmocka_unit_test(body_shows_changed_values),
        cmocka_unit_test(blanks_last_applied),
        cmocka_unit_test(reads_protobuf),
        cmocka_unit_test(refuses_other_protobuf),
    };
    return cmocka_run_group_tests_name("codec: Secrets", tests, fixture_setup, fixture_teardown);
}
