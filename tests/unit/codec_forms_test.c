/*
 * Documents that are asked but never stored: tokens, and access reviews as JSON and as Kubernetes' protobuf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codec.h"

static int decode_token(struct arena *arena, const char *json, struct token_form *ret, struct err *err) {
    err_clear(err);
    return codec_decode_token(CODEC_JSON, json, strlen(json), arena, ret, err);
}

static void test_token(void **state) {
    struct token_form form = {.spec = NULL};
    struct err err = ERR_INIT;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(
        decode_token(&arena,
                     "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Token\",\"metadata\":{\"name\":\"a\"},"
                     "\"spec\":{\"role\":\"node\",\"node\":\"n\",\"expires\":\"x\",\"description\":\"d\"},"
                     "\"status\":{\"token\":\"t\"}}",
                     &form, &err),
        0);
    assert_string_equal(form.metadata->name, "a");
    assert_string_equal(form.spec->role, "node");
    assert_string_equal(form.spec->node, "n");
    assert_string_equal(form.spec->expires, "x");
    assert_string_equal(form.spec->description, "d");
    assert_string_equal(form.status->token, "t");
    assert_null(form.status->last_used);
    assert_int_equal(decode_token(&arena, "{}", &form, &err), 0);
    assert_null(form.spec);
    assert_int_equal(decode_token(&arena, "{\"spec\":{\"rol\":\"x\"}}", &form, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.text, "did you mean \"spec.role\""));
    assert_int_equal(decode_token(&arena, "{\"spec\":{\"role\":1}}", &form, &err), -1);
    assert_int_equal(decode_token(&arena, "{\"kind\":\"Node\"}", &form, &err), -1);
    assert_int_equal(decode_token(&arena, "{\"kind\":7}", &form, &err), -1);
    assert_int_equal(decode_token(&arena, "{\"apiVersion\":\"v1\"}", &form, &err), -1);
    assert_int_equal(decode_token(&arena, "[]", &form, &err), -1);
    assert_int_equal(decode_token(&arena, "{", &form, &err), -1);
    arena_done(&arena);
}

static void test_token_list(void **state) {
    static const char JSON[] = "{\"kind\":\"TokenList\",\"metadata\":{},\"items\":[{\"spec\":{\"role\":\"a\"}"
                               "},{\"spec\":{\"role\":\"b\"}}]}";
    struct err err = ERR_INIT;
    struct arena arena;
    struct list list;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(codec_decode_token_list(JSON, strlen(JSON), &arena, &list, &err), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(((struct token_form *)list.items)[1].spec->role, "b");
    assert_string_equal(codec_status_message("{\"message\":\"why\"}", 17, &arena), "why");
    assert_null(codec_status_message("<html>", 6, &arena));
    assert_null(codec_status_message("[]", 2, &arena));
    arena_done(&arena);
}

static void test_access_review(void **state) {
    static const char JSON[] =
        "{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"resourceAttributes\":{\"verb\":"
        "\"get\",\"resource\":\"nodes\",\"subresource\":\"peerings\"}},\"status\":{}}";
    static const char BOTH[] = "{\"spec\":{\"resourceAttributes\":{},\"nonResourceAttributes\":{}}}";
    struct access_review_form form = {.resource = NULL};
    struct err err = ERR_INIT;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(codec_decode_access_review(CODEC_JSON, JSON, strlen(JSON), &arena, &form, &err), 0);
    assert_string_equal(form.resource->verb, "get");
    assert_string_equal(form.resource->subresource, "peerings");
    assert_null(form.resource->group);
    assert_null(form.path);
    assert_int_equal(codec_decode_access_review(CODEC_JSON, BOTH, strlen(BOTH), &arena, &form, &err), -1);
    assert_int_equal(codec_decode_access_review(CODEC_JSON, "{}", 2, &arena, &form, &err), -1);
    arena_done(&arena);
}

static size_t put(char *out, size_t at, unsigned number, const char *bytes, size_t len) {
    out[at++] = (char)(number << 3 | 2);
    out[at++] = (char)len;
    memcpy(out + at, bytes, len);
    return at + len;
}

/* What kubectl 1.32 sends for `auth can-i delete bgppeers.projectcalico.org/x`. */
static void test_access_review_in_protobuf(void **state) {
    char attributes[128], spec[140], message[160], type[80], body[300] = "k8s";
    size_t len = 0, outer = 0, whole = 0, head = 0, at = 4;
    struct access_review_form form = {.resource = NULL};
    struct err err = ERR_INIT;
    struct arena arena;

    (void)state;
    len = put(attributes, len, 1, "default", 7);
    len = put(attributes, len, 2, "delete", 6);
    len = put(attributes, len, 3, "projectcalico.org", 17);
    len = put(attributes, len, 5, "bgppeers", 8);
    len = put(attributes, len, 7, "x", 1);
    outer = put(spec, 0, 1, attributes, len);
    whole = put(message, 0, 1, "", 0);
    whole = put(message, whole, 2, spec, outer);
    whole = put(message, whole, 3, "", 0);
    head = put(type, 0, 1, "authorization.k8s.io/v1", 23);
    head = put(type, head, 2, "SelfSubjectAccessReview", 23);
    at = put(body, at, 1, type, head);
    at = put(body, at, 2, message, whole);
    arena_init(&arena, 0);
    assert_int_equal(codec_decode_access_review(CODEC_PROTOBUF, body, at, &arena, &form, &err), 0);
    assert_string_equal(form.resource->name_space, "default");
    assert_string_equal(form.resource->verb, "delete");
    assert_string_equal(form.resource->group, "projectcalico.org");
    assert_string_equal(form.resource->resource, "bgppeers");
    assert_string_equal(form.resource->name, "x");
    assert_null(form.resource->subresource);
    /* Cut anywhere it is refused, or says less; it never reads beyond its end. */
    for (size_t cut = 0; cut < at; cut++) {
        char *exact = memcpy(arena_alloc(&arena, cut), body, cut);
        struct access_review_form less = {.resource = NULL};

        err_clear(&err);
        if (codec_decode_access_review(CODEC_PROTOBUF, exact, cut, &arena, &less, &err) < 0) {
            assert_int_equal(err.code, ERR_BAD_REQUEST);
        }
    }
    arena_done(&arena);
}

static int libraries(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    return codec_start(&err);
}

/* A request without a body has no address for it either. */
static void test_no_bytes(void **state) {
    static const enum codec_syntax syntaxes[] = {CODEC_JSON, CODEC_YAML};
    struct access_review_form review;
    struct root_key_change_form change;
    struct codec_document *documents;
    struct token_form token;
    struct object *object;
    struct arena arena;
    size_t count;

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
        enum codec_syntax syntax = syntaxes[i];
        const struct codec_options options = {.syntax = syntax, .kind = KIND_BGPPEER};
        struct err errs[6] = {ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT, ERR_INIT};
        struct causes causes;
        struct advice advice;

        causes_init(&causes, &arena);
        advice_init(&advice, &arena);
        assert_int_equal(codec_decode(&options, NULL, 0, &arena, &object, &causes, &advice, &errs[0]), -1);
        assert_int_equal(codec_split(syntax, NULL, 0, 10, &arena, &documents, &count, &errs[1]), -1);
        assert_int_equal(codec_decode_token(syntax, NULL, 0, &arena, &token, &errs[2]), -1);
        assert_int_equal(codec_decode_access_review(syntax, NULL, 0, &arena, &review, &errs[3]), -1);
        assert_int_equal(codec_decode_rotation(syntax, NULL, 0, &arena, &errs[4]), -1);
        assert_int_equal(codec_decode_root_key_change(syntax, NULL, 0, &arena, &change, &errs[5]), -1);
        for (size_t j = 0; j < sizeof errs / sizeof *errs; j++) {
            assert_int_equal(errs[j].code, ERR_BAD_REQUEST);
            assert_true(strncmp(errs[j].text, "the body ", 9) == 0);
        }
    }
    arena_done(&arena);
}

/* Nobody needs a long form, and everybody may send one. */
static void test_forms_are_short(void **state) {
    static char text[64 * 1024 + 2];
    struct arena arena;
    struct token_form token;
    struct access_review_form review;
    struct root_key_change_form change;
    struct delete_options options;
    struct err err = ERR_INIT;
    (void)state;

    arena_init(&arena, 0);
    for (size_t len = sizeof(text) - 2; len < sizeof(text); len++) {
        for (enum codec_syntax syntax = CODEC_JSON; syntax <= CODEC_YAML; syntax++) {
            const bool fits = len <= 64 * 1024;

            memset(text, ' ', sizeof(text));
            memcpy(text, "{}", 2);
            assert_int_equal(codec_decode_token(syntax, text, len, &arena, &token, &err) == 0, fits);
            assert_int_equal(codec_decode_delete_options(syntax, text, len, &arena, &options, &err) == 0,
                             fits);
            assert_int_equal(codec_decode_rotation(syntax, text, len, &arena, &err) == 0, fits);
            assert_int_equal(codec_decode_root_key_change(syntax, text, len, &arena, &change, &err) == 0,
                             fits);
            memcpy(text, "{\"spec\":{\"nonResourceAttributes\":{}}}", 37);
            assert_int_equal(codec_decode_access_review(syntax, text, len, &arena, &review, &err) == 0, fits);
            assert_int_equal(err.code, fits ? ERR_NONE : ERR_TOO_LARGE);
        }
    }
    assert_non_null(strstr(err.text, "has 65537 bytes; at most 65536 are allowed"));
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_token_list),
        cmocka_unit_test(test_forms_are_short),
        cmocka_unit_test(test_access_review),
        cmocka_unit_test(test_access_review_in_protobuf),
        cmocka_unit_test(test_no_bytes),
    };

    return cmocka_run_group_tests_name("codec forms", tests, libraries, NULL);
}
