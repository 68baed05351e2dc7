/* Histograms: where a value is counted, also at the bounds, and that nothing is lost between threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/histogram.h"

static void scales_ascend(void **state) {
    const struct histogram_scale *scales[] = {&HISTOGRAM_DURATIONS, &HISTOGRAM_NUMBERS};
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        assert_in_range(scales[s]->count, 1, HISTOGRAM_BOUNDS_MAX);
        for (size_t i = 1; i < scales[s]->count; i++) {
            assert_true(scales[s]->bounds[i] > scales[s]->bounds[i - 1]);
        }
    }
}

static void a_bound_belongs_to_what_is_below_it(void **state) {
    const struct histogram_scale *scale = &HISTOGRAM_NUMBERS;
    (void)state;
    for (size_t i = 0; i < scale->count; i++) {
        struct histogram histogram = {0};
        struct histogram_reading reading = {0};
        histogram_note(&histogram, scale, scale->bounds[i]);
        histogram_note(&histogram, scale, scale->bounds[i] + 1);
        histogram_read(&histogram, &reading);
        assert_int_equal(reading.counts[i], 1);
        assert_int_equal(reading.counts[i + 1], 1);
        assert_int_equal(histogram_count(&reading), 2);
        assert_int_equal(reading.sum, 2 * scale->bounds[i] + 1);
    }
}

static void zero_and_beyond_have_a_place(void **state) {
    struct histogram histogram = {0};
    struct histogram_reading reading = {0};
    (void)state;
    histogram_note(&histogram, &HISTOGRAM_DURATIONS, 0);
    histogram_note(&histogram, &HISTOGRAM_DURATIONS, UINT64_C(3600) * 1000000000);
    histogram_read(&histogram, &reading);
    assert_int_equal(reading.counts[0], 1);
    assert_int_equal(reading.counts[HISTOGRAM_DURATIONS.count], 1);
}

#define THREADS 4
#define NOTES   20000

static void *note_many(void *arg) {
    for (uint64_t i = 0; i < NOTES; i++) {
        histogram_note(arg, &HISTOGRAM_NUMBERS, i % 3);
    }
    return NULL;
}

static void threads_lose_nothing(void **state) {
    struct histogram histogram = {0};
    struct histogram_reading reading = {0};
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, note_many, &histogram), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    /* Readings add up. */
    histogram_read(&histogram, &reading);
    histogram_read(&histogram, &reading);
    assert_int_equal(histogram_count(&reading), 2 * THREADS * NOTES);
    assert_int_equal(reading.counts[1], 2 * THREADS * (NOTES / 3)); /* the twos */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_ascend),
        cmocka_unit_test(a_bound_belongs_to_what_is_below_it),
        cmocka_unit_test(zero_and_beyond_have_a_place),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
