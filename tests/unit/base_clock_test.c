/* Clock text, random identifiers and digests. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"

static void times_are_printed_in_utc(void **state) {
    (void)state;
    char text[CLOCK_TEXT_MAX];
    assert_int_equal(clock_format_seconds(0, text), 20);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    assert_int_equal(clock_format_millis(INT64_C(1795460400123), text), 24);
    assert_string_equal(text, "2026-11-23T19:00:00.123Z");
    clock_format_seconds(INT64_C(1795460400999), text);
    assert_string_equal(text, "2026-11-23T19:00:00Z");
    clock_format_millis(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_format_millis(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
    clock_format_millis(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

/* Every day of 400 years, the whole cycle of the calendar, against the C library. */
static void every_day_agrees_with_the_c_library(void **state) {
    (void)state;
    for (int64_t day = -80000; day < 66097; day++) {
        int64_t second = day * 86400 + (day & 0xFFF);
        time_t when = (time_t)second;
        struct tm parts;
        assert_non_null(gmtime_r(&when, &parts));
        char expected[64];
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &parts);
        char text[CLOCK_TEXT_MAX];
        clock_format_seconds(second * 1000, text);
        assert_string_equal(text, expected);
        int64_t ms = 0;
        assert_true(clock_parse(text, strlen(text), &ms));
        assert_true(ms == second * 1000);
    }
}

static void rfc3339_is_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"2026-11-23T19:00:00.1Z", INT64_C(1795460400100)},
        {"2026-11-23T19:00:00.123999999999Z", INT64_C(1795460400123)},
        {"2026-11-23T20:30:00+01:30", INT64_C(1795460400000)},
        {"2026-11-23T14:00:00.005-05:00", INT64_C(1795460400005)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 77;
        assert_true(clock_parse(cases[i].text, strlen(cases[i].text), &ms));
        assert_true(ms == cases[i].ms);
    }
}

static void other_times_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "2026-11-23",
        "2026-11-23T19:00:00",
        "2026-11-23 19:00:00Z",
        "2026-11-23T19:00Z",
        "2026-1-23T19:00:00Z",
        "26-11-23T19:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T19:60:00Z",
        "2026-11-23T19:00:60Z",
        "2026-11-23T19:00:00.Z",
        "2026-11-23T19:00:00,5Z",
        "2026-11-23T19:00:00+0100",
        "2026-11-23T19:00:00+24:00",
        "2026-11-23T19:00:00+01:60",
        "2026-11-23T19:00:00Z ",
        " 2026-11-23T19:00:00Z",
        "+026-11-23T19:00:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ms = 77;
        assert_false(clock_parse(texts[i], strlen(texts[i]), &ms));
        assert_int_equal(ms, 77);
    }
}

static void clocks_run_forward(void **state) {
    (void)state;
    int64_t ns = clock_monotonic_ns();
    int64_t ms = clock_monotonic_ms();
    assert_true(ms >= ns / 1000000);
    assert_true(clock_monotonic_ns() >= ns);
    int64_t now = clock_realtime_ms();
    assert_true(now / 1000 >= (int64_t)time(NULL) - 1 && now / 1000 <= (int64_t)time(NULL) + 1);
}

static void the_coarse_clock_is_hardly_behind(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t before = clock_monotonic_ms();
        int64_t coarse = clock_coarse_ms();
        assert_true(coarse >= before - 11 && coarse <= clock_monotonic_ms());
    }
}

static void uuids_are_version_4_and_differ(void **state) {
    (void)state;
    char a[UUID_TEXT_MAX];
    char b[UUID_TEXT_MAX];
    for (int round = 0; round < 100; round++) {
        uuid_new(a);
        uuid_new(b);
        assert_int_equal(strlen(a), UUID_TEXT_MAX - 1);
        assert_string_not_equal(a, b);
        for (size_t i = 0; i < UUID_TEXT_MAX - 1; i++) {
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                assert_int_equal(a[i], '-');
            } else {
                assert_non_null(strchr("0123456789abcdef", a[i]));
            }
        }
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
    }
    assert_true(random_u64() != random_u64());
}

static void name_suffixes_use_the_kubernetes_alphabet(void **state) {
    (void)state;
    char text[201];
    memset(text, 'X', sizeof text);
    random_name_suffix(text, 200);
    assert_int_equal(strlen(text), 200);
    for (size_t i = 0; i < 200; i++) {
        assert_true(islower((unsigned char)text[i]) || isdigit((unsigned char)text[i]));
        assert_null(strchr("aeiouy013", text[i]));
    }
    random_name_suffix(text, 0);
    assert_string_equal(text, "");
}

static void digests_are_blake2b_128(void **state) {
    (void)state;
    char text[DIGEST_TEXT_MAX];
    digest_hex("abc", 3, text);
    assert_string_equal(text, "cf4ab791c62b8d2b2109c90275287816");
    digest_hex("", 0, text);
    assert_string_equal(text, "cae66941d9efbd404e4d88758ea67670");
    digest_hex(NULL, 0, text);
    assert_string_equal(text, "cae66941d9efbd404e4d88758ea67670");
}

static int start_random(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    return random_start(&err) == 0 && random_start(&err) == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_printed_in_utc),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(rfc3339_is_read),
        cmocka_unit_test(other_times_are_refused),
        cmocka_unit_test(clocks_run_forward),
        cmocka_unit_test(the_coarse_clock_is_hardly_behind),
        cmocka_unit_test(uuids_are_version_4_and_differ),
        cmocka_unit_test(name_suffixes_use_the_kubernetes_alphabet),
        cmocka_unit_test(digests_are_blake2b_128),
    };
    return cmocka_run_group_tests_name("base: clock and random", tests, start_random, NULL);
}
