/* Prometheus' text format 0.0.4: families, their samples, histograms. Pure; appends to a buffer. */
#ifndef BGPPEERD_HTTP_ADMIN_METRICS_TEXT_H
#define BGPPEERD_HTTP_ADMIN_METRICS_TEXT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/histogram.h"

#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

/* Labels of a sample; a NULL name ends them. Values are escaped here, names are ours. */
struct metrics_label {
    const char *name;
    const char *value;
};
#define METRICS_LABELS(...)                                                                                  \
    (const struct metrics_label[]) {                                                                         \
        __VA_ARGS__ __VA_OPT__(, ) {                                                                         \
            .name = NULL                                                                                     \
        }                                                                                                    \
    }

/* `type`: "counter", "gauge", "histogram". Before the family's samples, which follow together. */
void metrics_text_family(struct buf *out, const char *name, const char *type, const char *help);
void metrics_text_number(struct buf *out, const char *name, const struct metrics_label *labels,
                         uint64_t value);
/* Nanoseconds, written as seconds. */
void metrics_text_seconds(struct buf *out, const char *name, const struct metrics_label *labels,
                          uint64_t value_ns);
/* Buckets, sum and count. `seconds`: values and bounds are nanoseconds. */
void metrics_text_histogram(struct buf *out, const char *name, const struct metrics_label *labels,
                            const struct histogram_scale *scale, const struct histogram_reading *reading,
                            bool seconds);

#endif
