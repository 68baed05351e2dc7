/*
 * Prometheus' text format. Pure: a failed allocation is the buffer's to remember. Numbers are written
 * exactly, from integers, whatever the locale.
 */
#include "admin/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define SECONDS_MAX   32

static void add_escaped(struct buf *out, const char *text, bool quotes) {
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_add_str(out, "\\n");
            continue;
        }
        if (*text == '\\' || (quotes && *text == '"')) {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, *text);
    }
}

void metrics_text_family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_add_str(out, "# HELP ");
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    add_escaped(out, help, false);
    buf_add_str(out, "\n# TYPE ");
    buf_add_str(out, name);
    buf_add_char(out, ' ');
    buf_add_str(out, type);
    buf_add_char(out, '\n');
}

/* "12.00025": no more digits than it has. */
static void format_seconds(uint64_t ns, char out[SECONDS_MAX]) {
    int len = snprintf(out, SECONDS_MAX, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_SECOND, ns % NS_PER_SECOND);
    while (out[len - 1] == '0') {
        len--;
    }
    out[out[len - 1] == '.' ? len - 1 : len] = '\0';
}

static void add_label(struct buf *out, const struct metrics_label *label, char before) {
    buf_add_char(out, before);
    buf_add_str(out, label->name);
    buf_add_str(out, "=\"");
    add_escaped(out, label->value, true);
    buf_add_char(out, '"');
}

/* `last` is one label behind the others; NULL = none. */
static void add_sample(struct buf *out, const char *name, const char *suffix,
                       const struct metrics_label *labels, const struct metrics_label *last,
                       const char *value) {
    char before = '{';
    buf_add_str(out, name);
    buf_add_str(out, suffix);
    for (; labels->name != NULL; labels++) {
        add_label(out, labels, before);
        before = ',';
    }
    if (last != NULL) {
        add_label(out, last, before);
        before = ',';
    }
    buf_add_str(out, before == ',' ? "} " : " ");
    buf_add_str(out, value);
    buf_add_char(out, '\n');
}

static void format(uint64_t value, bool seconds, char out[SECONDS_MAX]) {
    if (seconds) {
        format_seconds(value, out);
    } else {
        snprintf(out, SECONDS_MAX, "%" PRIu64, value);
    }
}

void metrics_text_number(struct buf *out, const char *name, const struct metrics_label *labels,
                         uint64_t value) {
    char text[SECONDS_MAX];
    format(value, false, text);
    add_sample(out, name, "", labels, NULL, text);
}

void metrics_text_seconds(struct buf *out, const char *name, const struct metrics_label *labels,
                          uint64_t value_ns) {
    char text[SECONDS_MAX];
    format(value_ns, true, text);
    add_sample(out, name, "", labels, NULL, text);
}

void metrics_text_histogram(struct buf *out, const char *name, const struct metrics_label *labels,
                            const struct histogram_scale *scale, const struct histogram_reading *reading,
                            bool seconds) {
    uint64_t below = 0;
    char text[SECONDS_MAX], bound[SECONDS_MAX];
    for (size_t i = 0; i <= scale->count; i++) {
        const struct metrics_label le = {.name = "le", .value = i < scale->count ? bound : "+Inf"};
        if (i < scale->count) {
            format(scale->bounds[i], seconds, bound);
        }
        below += reading->counts[i];
        format(below, false, text);
        add_sample(out, name, "_bucket", labels, &le, text);
    }
    format(reading->sum, seconds, text);
    add_sample(out, name, "_sum", labels, NULL, text);
    format(below, false, text);
    add_sample(out, name, "_count", labels, NULL, text);
}
