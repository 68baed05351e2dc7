/*
 * The vault's documents: what a change of its keys is asked for with, and its status as our own client reads
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "codec.h"

static void test_requests(void **state) {
    static const char *const refused[] = {"[]",
                                          "{",
                                          "{\"kind\":\"Vault\"}",
                                          "{\"spec\":{\"keyfile\":\"/x\"}}",
                                          "{\"spec\":{\"keyFile\":1}}",
                                          "{\"spec\":[]}",
                                          "{\"more\":1}"};
    struct root_key_change_form form = {.key_file = "untouched"};
    struct err err = ERR_INIT;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(codec_decode_rotation(CODEC_JSON, "{}", 2, &arena, &err), 0);
    assert_int_equal(codec_decode_rotation(CODEC_YAML, "kind: DataKeyRotation\n", 22, &arena, &err), 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(
            codec_decode_root_key_change(CODEC_JSON, refused[i], strlen(refused[i]), &arena, &form, &err),
            -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_int_equal(codec_decode_rotation(CODEC_JSON, refused[i], strlen(refused[i]), &arena, &err), -1);
        assert_string_equal(form.key_file, "untouched");
    }
    assert_int_equal(codec_decode_root_key_change(CODEC_JSON, "{}", 2, &arena, &form, &err), 0);
    assert_null(form.key_file);
    assert_null(form.passphrase_file);
    static const char both[] =
        "{\"kind\":\"RootKeyChange\",\"spec\":{\"keyFile\":\"/k\",\"passphraseFile\":\"/p\"}}";
    assert_int_equal(codec_decode_root_key_change(CODEC_JSON, both, strlen(both), &arena, &form, &err), 0);
    assert_string_equal(form.key_file, "/k");
    assert_string_equal(form.passphrase_file, "/p");
    arena_done(&arena);
}

static void test_status(void **state) {
    static const char text[] =
        "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Vault\",\"metadata\":{},\"status\":{\"source\":\"s\","
        "\"ofALaterVersion\":{\"x\":1},\"rootKey\":{\"fingerprint\":\"f\",\"created\":\"c\"},"
        "\"dataKeys\":[{\"id\":3,\"created\":\"c3\",\"active\":false,\"values\":1},{\"id\":9,\"created\":"
        "\"c9\","
        "\"active\":true,\"values\":12}],\"values\":13,\"unreadableValues\":1,\"decryptions\":99,"
        "\"operation\":{\"id\":2,\"type\":\"DataKeyRotation\",\"state\":\"Running\",\"started\":\"t\","
        "\"done\":5,"
        "\"total\":7}}}";
    const struct vault_form_key *keys;
    struct vault_form form;
    struct err err = ERR_INIT;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    if (codec_decode_vault(text, strlen(text), &arena, &form, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(form.source, "s");
    assert_null(form.warning);
    assert_string_equal(form.root->fingerprint, "f");
    assert_null(form.pending);
    assert_int_equal(form.keys.count, 2);
    keys = form.keys.items;
    assert_int_equal(keys[1].id.value, 9);
    assert_int_equal(keys[1].values.value, 12);
    assert_true(keys[1].active.value);
    assert_false(keys[0].active.value);
    assert_int_equal(form.decryptions.value, 99);
    assert_int_equal(form.unreadable.value, 1);
    assert_int_equal(form.operation->done.value, 5);
    assert_string_equal(form.operation->state, "Running");
    assert_null(form.operation->message);
    assert_int_equal(codec_decode_vault("{}", 2, &arena, &form, &err), -1);
    assert_int_equal(codec_decode_vault("<html>", 6, &arena, &form, &err), -1);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_status),
    };
    struct err err = ERR_INIT;

    if (codec_start(&err) < 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("codec_vault", tests, NULL, NULL);
}
