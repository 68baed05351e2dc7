/* Errors: filling, cutting, wrapping, and the table of HTTP statuses and reasons. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void set_fills_code_and_text(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no peer named %s", "tor-1"), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "no peer named tor-1");
    assert_string_equal(err.field, "");
    assert_int_equal(err.offset, -1);
}

static void set_field_and_offset_replace_what_was_there(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    err_set_field(&err, ERR_INVALID, "spec.peerIP", "not an address");
    assert_string_equal(err.field, "spec.peerIP");
    err_set_offset(&err, ERR_BAD_REQUEST, 17, "expected a comma");
    assert_int_equal(err.offset, 17);
    assert_string_equal(err.field, "");
    err_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(err.offset, -1);
    assert_string_equal(err.text, "");
}

static void set_may_quote_the_error_it_replaces(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    err_set_field(&err, ERR_INVALID, "spec.node", "bad name");
    err_set_field(&err, ERR_INTERNAL, err.field, "while checking: %s", err.text);
    assert_string_equal(err.text, "while checking: bad name");
    assert_string_equal(err.field, "spec.node");
}

static void wrap_keeps_code_field_and_offset(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    err_set_field(&err, ERR_INVALID, "spec.node", "bad name");
    err.offset = 3;
    assert_int_equal(err_wrap(&err, "BGPPeer %s", "tor-1"), -1);
    assert_string_equal(err.text, "BGPPeer tor-1: bad name");
    assert_string_equal(err.field, "spec.node");
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(err.offset, 3);
}

/* The number of bytes of valid UTF-8 made of U+00E9 and ASCII only: enough for the texts used here. */
static void assert_whole_characters(const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] == 0xC3) {
            assert_true(i + 1 < len);
            assert_int_equal((unsigned char)text[i + 1], 0xA9);
            i++;
        } else {
            assert_true((unsigned char)text[i] < 0x80);
        }
    }
}

static void long_text_is_cut_between_characters(void **state) {
    (void)state;
    char text[2 * ERR_TEXT_MAX + 2];
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof text; i += 2) {
            memcpy(text + i, "\xC3\xA9", 2);
        }
        text[2 * ERR_TEXT_MAX] = '\0';
        struct err err = ERR_INIT;
        err_set_field(&err, ERR_INVALID, text, "%s", text);
        assert_true(strlen(err.text) >= ERR_TEXT_MAX - 2);
        assert_true(strlen(err.field) >= ERR_FIELD_MAX - 2);
        assert_whole_characters(err.text);
        assert_whole_characters(err.field);
        err_wrap(&err, "%s", text);
        assert_true(strlen(err.text) >= ERR_TEXT_MAX - 2);
        assert_whole_characters(err.text);
    }
}

static void every_code_has_a_status_and_a_reason(void **state) {
    (void)state;
    assert_int_equal(err_http_status(ERR_NONE), 200);
    assert_string_equal(err_reason(ERR_NONE), "");
    for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        unsigned status = err_http_status((enum err_code)code);
        assert_true(status >= 400 && status <= 599);
        assert_true(strlen(err_reason((enum err_code)code)) > 0);
    }
    assert_int_equal(err_http_status(ERR_EXPIRED), 410);
    assert_string_equal(err_reason(ERR_EXPIRED), "Expired");
    assert_int_equal(err_http_status(ERR_INVALID), 422);
    assert_string_equal(err_reason(ERR_INVALID), "Invalid");
    assert_int_equal(err_http_status(ERR_STORAGE_FULL), 507);
    assert_int_equal(err_http_status((enum err_code)999), 500);
}

static void out_of_memory_is_unavailable(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_no_memory(&err), -1);
    assert_int_equal(err.code, ERR_NO_MEMORY);
    assert_int_equal(err_http_status(err.code), 503);
    assert_non_null(strstr(err.text, "memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_code_and_text),
        cmocka_unit_test(set_field_and_offset_replace_what_was_there),
        cmocka_unit_test(set_may_quote_the_error_it_replaces),
        cmocka_unit_test(wrap_keeps_code_field_and_offset),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(every_code_has_a_status_and_a_reason),
        cmocka_unit_test(out_of_memory_is_unavailable),
    };
    return cmocka_run_group_tests_name("base: errors", tests, NULL, NULL);
}
