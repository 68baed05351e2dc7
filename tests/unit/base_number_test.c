/* AS numbers, durations and plain decimals. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/number.h"

#define NS INT64_C(1)
#define US (1000 * NS)
#define MS (1000 * US)
#define S  (1000 * MS)
#define M  (60 * S)
#define H  (60 * M)

static void as_numbers_plain_and_dotted(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t value;
    } cases[] = {
        {"0", 0},
        {"64512", 64512},
        {"4294967295", 4294967295},
        {"00000000000000000000000000000001", 1},
        {"0.0", 0},
        {"0.1", 1},
        {"1.0", 65536},
        {"64086.59904", 4200000000},
        {"65535.65535", 4294967295},
        {"000001.000002", 65538},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t value = 77;
        assert_true(asn_parse(cases[i].text, strlen(cases[i].text), &value));
        assert_int_equal(value, cases[i].value);
    }
}

static void other_as_numbers_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "1e3",
        "1_0",
        "4294967296",
        ".",
        "1.",
        ".1",
        "1..2",
        "1.2.3",
        "1.-1",
        "65536.0",
        "0.65536",
        "a.1",
        "1.a",
        "+1.1",
        "1. 1",
        "18446744073709551616",
        "184467440737095516160",
        "AS64512",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint32_t value = 77;
        assert_false(asn_parse(texts[i], strlen(texts[i]), &value));
        assert_int_equal(value, 77);
    }
    uint32_t value;
    assert_false(asn_parse("1\0", 2, &value));
    assert_false(asn_parse(NULL, 0, &value));
}

static void durations_as_go_reads_them(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"+0", 0},
        {"0s", 0},
        {"5s", 5 * S},
        {"1478s", 1478 * S},
        {"-5s", -5 * S},
        {"+5s", 5 * S},
        {"5.0s", 5 * S},
        {"5.6s", 5 * S + 600 * MS},
        {"5.s", 5 * S},
        {".5s", 500 * MS},
        {"1.004s", S + 4 * MS},
        {"100.00100s", 100 * S + MS},
        {"10ns", 10 * NS},
        {"11us", 11 * US},
        {"12\xC2\xB5s", 12 * US},
        {"12\xCE\xBCs", 12 * US},
        {"13ms", 13 * MS},
        {"14s", 14 * S},
        {"15m", 15 * M},
        {"16h", 16 * H},
        {"3h30m", 3 * H + 30 * M},
        {"10.5s4m", 4 * M + 10 * S + 500 * MS},
        {"-2m3.4s", -(2 * M + 3 * S + 400 * MS)},
        {"1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5 * US + 6 * NS},
        {"39h9m14.425s", 39 * H + 9 * M + 14 * S + 425 * MS},
        {"52763797000ns", 52763797000},
        {"0.3333333333333333333h", 20 * M},
        {"9007199254740993ns", INT64_C(9007199254740993)},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775.807us", INT64_MAX},
        {"9223372036s854ms775us807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"-9223372036854775.808us", INT64_MIN},
        {"-2562047h47m16.854775808s", INT64_MIN},
        {"0.100000000000000000000h", 6 * M},
        {"0.830103483285477580700h", 49 * M + 48 * S + 372539827},
        {"0.9223372036854775807999h", 55 * M + 20 * S + 413933267},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 77;
        assert_true(duration_parse(cases[i].text, strlen(cases[i].text), &ns));
        assert_true(ns == cases[i].ns);
    }
}

static void other_durations_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "3",
        "-",
        "+",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "00",
        "0.0",
        "1.2",
        "1d",
        "1 s",
        " 1s",
        "1s ",
        "1S",
        "1hm",
        "1s-1s",
        "+-1s",
        "1e3s",
        "1,5s",
        "\x85\x85",
        "1\xC2s",
        "1\xCE\xBC",
        "s1",
        "1s2",
        "9223372036854775808ns",
        "9223372036854775.808us",
        "9223372036854ms775us808ns",
        "9223372036854775809ns",
        "-9223372036854775809ns",
        "3000000h",
        "100000000000000000000ns",
        "9223372036854775807ns9223372036854775807ns9223372036854775807ns",
        "-9223372036854775808ns1ns",
        "-9223372036854775808ns9223372036854775808ns",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ns = 77;
        assert_false(duration_parse(texts[i], strlen(texts[i]), &ns));
        assert_int_equal(ns, 77);
    }
    int64_t ns;
    assert_false(duration_parse("1s\0", 3, &ns));
}

static void seconds_are_rounded_half_up(void **state) {
    (void)state;
    assert_int_equal(duration_round_seconds(0), 0);
    assert_int_equal(duration_round_seconds(499999999), 0);
    assert_int_equal(duration_round_seconds(500000000), 1);
    assert_int_equal(duration_round_seconds(1499999999), 1);
    assert_int_equal(duration_round_seconds(1500000000), 2);
    assert_int_equal(duration_round_seconds(-500000000), 0);
    assert_int_equal(duration_round_seconds(-500000001), -1);
    assert_int_equal(duration_round_seconds(INT64_MAX), INT64_C(9223372037));
    assert_int_equal(duration_round_seconds(INT64_MIN), INT64_C(-9223372037));
}

static void decimals_within_their_limit(void **state) {
    (void)state;
    uint64_t value = 77;
    assert_true(u64_parse("0", 1, 0, &value));
    assert_int_equal(value, 0);
    assert_true(u64_parse("18446744073709551615", 20, UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_true(u64_parse("00000000000000000042", 20, 42, &value));
    assert_int_equal(value, 42);
    value = 77;
    assert_false(u64_parse("43", 2, 42, &value));
    assert_false(u64_parse("1", 1, 0, &value));
    assert_false(u64_parse("18446744073709551616", 20, UINT64_MAX, &value));
    assert_false(u64_parse("000000000000000000001", 21, UINT64_MAX, &value));
    assert_false(u64_parse("", 0, UINT64_MAX, &value));
    assert_false(u64_parse("+1", 2, UINT64_MAX, &value));
    assert_false(u64_parse("1 ", 2, UINT64_MAX, &value));
    assert_int_equal(value, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_numbers_plain_and_dotted), cmocka_unit_test(other_as_numbers_are_refused),
        cmocka_unit_test(durations_as_go_reads_them),  cmocka_unit_test(other_durations_are_refused),
        cmocka_unit_test(seconds_are_rounded_half_up), cmocka_unit_test(decimals_within_their_limit),
    };
    return cmocka_run_group_tests_name("base: numbers", tests, NULL, NULL);
}
