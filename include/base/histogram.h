/*
 * Histograms for monitoring: how many values lay up to each of some bounds, and the sum of all. Noting a
 * value is two relaxed additions: from any thread, without locks. Many threads that note all the time should
 * have one each and be added up when they are read.
 */
#ifndef BGPPEERD_BASE_HISTOGRAM_H
#define BGPPEERD_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 16

/* Ascending; a value that equals a bound lies below it, as in Prometheus ("le"). */
struct histogram_scale {
    size_t count;
    uint64_t bounds[HISTOGRAM_BOUNDS_MAX];
};
/* Durations in nanoseconds, from 100 us to 10 s; and numbers of things, from 1 to 4096. */
extern const struct histogram_scale HISTOGRAM_DURATIONS;
/* What waits for other machines: nanoseconds, from 10 ms to 10 min. */
extern const struct histogram_scale HISTOGRAM_WAITS;
extern const struct histogram_scale HISTOGRAM_NUMBERS;

/* All zero at first. Place i is for values above bound i - 1 and up to bound i; the last for those beyond. */
struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    _Atomic uint64_t sum;
};

static inline void histogram_note(struct histogram *histogram, const struct histogram_scale *scale,
                                  uint64_t value) {
    size_t place = 0;
    while (place < scale->count && value > scale->bounds[place]) {
        place++;
    }
    atomic_fetch_add_explicit(&histogram->counts[place], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

/* What was read: plain numbers. */
struct histogram_reading {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    uint64_t sum;
};
/* Add what `histogram` holds. Values that are noted meanwhile may be in the sum and not yet in the counts, or
 * the other way round. */
void histogram_read(const struct histogram *histogram, struct histogram_reading *reading);
/* How many values there were. */
uint64_t histogram_count(const struct histogram_reading *reading);

#endif
