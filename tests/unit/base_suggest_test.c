/* "Did you mean": what is near enough to be suggested, and what is a guess. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/suggest.h"

static const char *nearest(const char *text, const char *const *names) {
    struct suggest suggest = suggest_begin(text, strlen(text));
    for (; *names != NULL; names++) {
        suggest_consider(&suggest, *names);
    }
    return suggest.meant;
}

static void slips_are_seen(void **state) {
    static const char *const NAMES[] = {"listen", "data-dir", "log-level", "log-format", "no", NULL};
    static const struct {
        const char *text;
        const char *meant;
    } cases[] = {
        {"lisen", "listen"},
        {"listne", "listen"},
        {"LISTEN", "listen"},
        {"log-levl", "log-level"},
        {"log-frmat", "log-format"},
        {"datadir", "data-dir"},
        {"not", "no"},
        {"zzzzzz", NULL},
        {"x", NULL},
        {"", NULL},
        {"na", "no"},
        {"list", "listen"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *meant = nearest(cases[i].text, NAMES);
        if (cases[i].meant == NULL) {
            assert_null(meant);
        } else {
            assert_non_null(meant);
            assert_string_equal(meant, cases[i].meant);
        }
    }
}

static void the_first_of_the_nearest_wins(void **state) {
    static const char *const NAMES[] = {"abcde", "abcdf", NULL};
    (void)state;
    assert_string_equal(nearest("abcdx", NAMES), "abcde");
    assert_string_equal(nearest("abcdf", NAMES), "abcdf");
}

static void long_texts_are_left_alone(void **state) {
    static const char LONG[] = "12345678901234567890123456789012345678901";
    static const char *const NAMES[] = {LONG, "1234", NULL};
    (void)state;
    assert_null(nearest(LONG, NAMES));
    struct suggest part = suggest_begin(LONG, 4);
    suggest_consider(&part, "1235");
    assert_string_equal(part.meant, "1235");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_seen),
        cmocka_unit_test(the_first_of_the_nearest_wins),
        cmocka_unit_test(long_texts_are_left_alone),
    };
    return cmocka_run_group_tests_name("base: suggest", tests, NULL, NULL);
}
