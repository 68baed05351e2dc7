/*
 * Histogram: the scales, and reading. No state of its own, no locks.
 */
#include "base/histogram.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

const struct histogram_scale HISTOGRAM_DURATIONS = {
    .count = 16,
    .bounds = {100 * US, 250 * US, 500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
               250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS},
};

const struct histogram_scale HISTOGRAM_WAITS = {
    .count = 14,
    .bounds = {10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS,
               10000 * MS, 30000 * MS, 60000 * MS, 180000 * MS, 600000 * MS},
};

const struct histogram_scale HISTOGRAM_NUMBERS = {
    .count = 13,
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096},
};

void histogram_read(const struct histogram *histogram, struct histogram_reading *reading) {
    for (size_t i = 0; i < HISTOGRAM_BOUNDS_MAX + 1; i++) {
        reading->counts[i] += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    }
    reading->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram_reading *reading) {
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS_MAX + 1; i++) {
        count += reading->counts[i];
    }
    return count;
}
