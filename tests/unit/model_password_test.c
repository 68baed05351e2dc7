/*
 * Which bytes can be a BGP password: the rule's edges, and for random bytes that what it lets pass is text
 * that survives JSON and a configuration file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/password.h"

static void test_flaws(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        enum password_flaw flaw;
    } CASES[] = {
        {"x", 1, PASSWORD_USABLE},
        {"a'b \\ c$#;{}", 12, PASSWORD_USABLE},
        {"pa ss\xc3\xa9", 7, PASSWORD_USABLE},
        {"\xf0\x9f\x94\x91", 4, PASSWORD_USABLE},
        {"a\xc2\xa0z", 4, PASSWORD_USABLE}, /* a blank in the middle */
        {"", 0, PASSWORD_EMPTY},
        {NULL, 0, PASSWORD_EMPTY},
        {"\xff", 1, PASSWORD_NOT_TEXT},
        {"caf\xe9", 4, PASSWORD_NOT_TEXT},      /* Latin-1 */
        {"a\xc3", 2, PASSWORD_NOT_TEXT},        /* cut */
        {"\xc0\x80", 2, PASSWORD_NOT_TEXT},     /* overlong */
        {"\xed\xa0\x80", 3, PASSWORD_NOT_TEXT}, /* a surrogate */
        {"\xf4\x90\x80\x80", 4, PASSWORD_NOT_TEXT},
        {"\"\xff\n", 3, PASSWORD_NOT_TEXT},
        {"secret\n", 7, PASSWORD_ENDS_WITH_LINE},
        {"secret\r\n", 8, PASSWORD_CONTROL},
        {"secret\r", 7, PASSWORD_CONTROL},
        {"a\tb", 3, PASSWORD_CONTROL},
        {"a\0b", 3, PASSWORD_CONTROL},
        {"a\nb", 3, PASSWORD_CONTROL},
        {"a\x7f", 2, PASSWORD_CONTROL},
        {"a\xc2\x85z", 4, PASSWORD_CONTROL},
        {"a\xe2\x80\xa8z", 5, PASSWORD_CONTROL},
        {"a\"b", 3, PASSWORD_QUOTE},
        {" a", 2, PASSWORD_BLANK},
        {"a ", 2, PASSWORD_BLANK},
        {" ", 1, PASSWORD_BLANK},
        {"\xc2\xa0z", 3, PASSWORD_BLANK},
        {"a\xe3\x80\x80", 4, PASSWORD_BLANK},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        if (password_check(CASES[i].bytes, CASES[i].len) != CASES[i].flaw) {
            fail_msg("case %zu: %d instead of %d", i, (int)password_check(CASES[i].bytes, CASES[i].len),
                     (int)CASES[i].flaw);
        }
    }
    char longest[PASSWORD_SIZE_MAX + 1];

    memset(longest, 'x', sizeof(longest));
    assert_int_equal(password_check(longest, PASSWORD_SIZE_MAX), PASSWORD_USABLE);
    assert_int_equal(password_check(longest, PASSWORD_SIZE_MAX + 1), PASSWORD_TOO_LONG);
    memset(longest, '\xff', sizeof(longest));
    assert_int_equal(password_check(longest, PASSWORD_SIZE_MAX + 1), PASSWORD_TOO_LONG);
    for (enum password_flaw flaw = PASSWORD_USABLE; flaw < PASSWORD_FLAW_COUNT; flaw++) {
        assert_int_equal(password_flaw_text(flaw) == NULL, flaw == PASSWORD_USABLE);
    }
}

/* The rule, said in another way: jansson's reading of UTF-8, and bytes. */
static int is_carried(const char *bytes, size_t len) {
    json_t *text = json_stringn(bytes, len);
    int carried =
        text != NULL && len > 0 && len <= PASSWORD_SIZE_MAX && bytes[0] != ' ' && bytes[len - 1] != ' ';

    for (size_t i = 0; i < len; i++) {
        carried = carried && (unsigned char)bytes[i] >= 0x20 && bytes[i] != 0x7f && bytes[i] != '"';
    }
    json_decref(text);
    return carried;
}

static void test_random_bytes(void **state) {
    /* Where UTF-8 begins, continues and breaks off, and what daemons trip over. */
    static const unsigned char BYTES[] = {'a',  'b',  'c',  ' ',  '"',  '\n', '\t', 0,    0x7f, 0x80, 0xbf,
                                          0xc3, 0xc0, 0xe0, 0xa0, 0xed, 0x9f, 0xf0, 0x90, 0xf4, 0x8f, 0xff};
    unsigned seed = 12345, usable = 0;
    (void)state;

    for (int round = 0; round < 200000; round++) {
        char bytes[PASSWORD_SIZE_MAX + 2];
        seed = seed * 1664525u + 1013904223u;
        size_t len = seed >> 16 & 7;

        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (char)BYTES[(seed >> 16) % sizeof(BYTES)];
        }
        const int passes = password_check(bytes, len) == PASSWORD_USABLE;

        assert_true(!passes || is_carried(bytes, len)); /* C1 control characters are refused besides */
        usable += (unsigned)passes;
    }
    assert_true(usable > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flaws),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests_name("model: passwords", tests, NULL, NULL);
}
