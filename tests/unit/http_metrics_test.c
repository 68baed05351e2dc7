/* Prometheus' text format: escaping, numbers, histograms, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/metrics_text.h"

static void assert_text(struct buf *out, const char *expected) {
    assert_false(buf_failed(out));
    assert_string_equal(out->data, expected);
    buf_done(out);
}

static void families_and_labels_are_escaped(void **state) {
    struct buf out = BUF_INIT;
    (void)state;
    metrics_text_family(&out, "a_total", "counter", "One \"line\",\nand a \\.");
    metrics_text_number(&out, "a_total", METRICS_LABELS(), 0);
    metrics_text_number(&out, "a_total", METRICS_LABELS({"path", "/{name}"}, {"odd", "a\"b\\c\nd"}),
                        UINT64_MAX);
    assert_text(&out, "# HELP a_total One \"line\",\\nand a \\\\.\n"
                      "# TYPE a_total counter\n"
                      "a_total 0\n"
                      "a_total{path=\"/{name}\",odd=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n");
}

static void seconds_are_exact(void **state) {
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "s 0\n"},
                 {1, "s 0.000000001\n"},
                 {100000, "s 0.0001\n"},
                 {2500000000, "s 2.5\n"},
                 {10000000000, "s 10\n"},
                 {UINT64_C(1795644856281000000), "s 1795644856.281\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT;
        metrics_text_seconds(&out, "s", METRICS_LABELS(), cases[i].ns);
        assert_text(&out, cases[i].text);
    }
}

static void buckets_add_up(void **state) {
    static const struct histogram_scale SCALE = {.count = 2, .bounds = {500000, 2000000000}};
    struct histogram_reading reading = {.counts = {3, 0, 4}, .sum = 12000000001};
    struct buf out = BUF_INIT;
    (void)state;
    metrics_text_histogram(&out, "h", METRICS_LABELS({"a", "b"}), &SCALE, &reading, true);
    assert_text(&out, "h_bucket{a=\"b\",le=\"0.0005\"} 3\n"
                      "h_bucket{a=\"b\",le=\"2\"} 3\n"
                      "h_bucket{a=\"b\",le=\"+Inf\"} 7\n"
                      "h_sum{a=\"b\"} 12.000000001\n"
                      "h_count{a=\"b\"} 7\n");
    metrics_text_histogram(&out, "h", METRICS_LABELS(), &SCALE, &reading, false);
    assert_text(&out, "h_bucket{le=\"500000\"} 3\n"
                      "h_bucket{le=\"2000000000\"} 3\n"
                      "h_bucket{le=\"+Inf\"} 7\n"
                      "h_sum 12000000001\n"
                      "h_count 7\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_and_labels_are_escaped),
        cmocka_unit_test(seconds_are_exact),
        cmocka_unit_test(buckets_add_up),
    };
    return cmocka_run_group_tests_name("http: metrics", tests, NULL, NULL);
}
