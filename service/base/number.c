/* Number text: AS numbers, durations, plain decimals. Pure functions, no locks. */
#include "base/number.h"

#include <string.h>

#include "decimal.h"

#define NS_PER_SECOND INT64_C(1000000000)

bool asn_parse(const char *text, size_t len, uint32_t *ret) {
    uint64_t whole;
    if (decimal_parse(text, len, UINT32_MAX, &whole)) {
        *ret = (uint32_t)whole;
        return true;
    }
    const char *dot = len != 0 ? memchr(text, '.', len) : NULL;
    if (dot == NULL) {
        return false;
    }
    size_t high_len = (size_t)(dot - text);
    uint64_t high;
    uint64_t low;
    if (!decimal_parse(text, high_len, UINT16_MAX, &high) ||
        !decimal_parse(dot + 1, len - high_len - 1, UINT16_MAX, &low)) {
        return false;
    }
    *ret = (uint32_t)(high << 16 | low);
    return true;
}

bool u64_parse(const char *text, size_t len, uint64_t max, uint64_t *ret) {
    return len <= DECIMAL_MAX && decimal_parse(text, len, max, ret);
}

/* The text that is still to be read. */
struct rest {
    const char *at;
    const char *end;
};

static bool at_digit(const struct rest *rest) {
    return rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9';
}

/* Magnitudes go up to 2^63, so that the most negative duration can be written. */
static const uint64_t magnitude_max = UINT64_C(1) << 63;

static bool read_integer(struct rest *rest, uint64_t *ret) {
    uint64_t value = 0;
    for (; at_digit(rest); rest->at++) {
        if (value > magnitude_max / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(*rest->at - '0');
        if (value > magnitude_max) {
            return false;
        }
    }
    *ret = value;
    return true;
}

/* Digits behind the point; those beyond what 64 bits hold are read and have no effect, as in Go. */
static void read_fraction(struct rest *rest, uint64_t *ret_digits, double *ret_scale) {
    uint64_t digits = 0;
    double scale = 1;
    bool full = false;
    for (; at_digit(rest); rest->at++) {
        if (full || digits > (magnitude_max - 1) / 10) {
            full = true;
            continue;
        }
        uint64_t next = digits * 10 + (uint64_t)(*rest->at - '0');
        if (next > magnitude_max) {
            full = true;
            continue;
        }
        digits = next;
        scale *= 10;
    }
    *ret_digits = digits;
    *ret_scale = scale;
}

static bool read_unit(struct rest *rest, uint64_t *ret_ns) {
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", 1000},
        {"\xC2\xB5s", 1000}, /* U+00B5 micro sign */
        {"\xCE\xBCs", 1000}, /* U+03BC Greek small letter mu */
        {"ms", 1000000},
        {"s", 1000000000},
        {"m", UINT64_C(60) * 1000000000},
        {"h", UINT64_C(3600) * 1000000000},
    };
    const char *start = rest->at;
    while (rest->at < rest->end && *rest->at != '.' && !at_digit(rest)) {
        rest->at++;
    }
    size_t len = (size_t)(rest->at - start);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, start, len) == 0) {
            *ret_ns = units[i].ns;
            return true;
        }
    }
    return false;
}

/* One number with its unit, such as "1.5h". */
static bool read_term(struct rest *rest, uint64_t *ret_ns) {
    const char *start = rest->at;
    uint64_t value;
    if (!read_integer(rest, &value)) {
        return false;
    }
    bool has_digits = rest->at != start;
    uint64_t fraction = 0;
    double scale = 1;
    if (rest->at < rest->end && *rest->at == '.') {
        const char *behind_point = ++rest->at;
        read_fraction(rest, &fraction, &scale);
        has_digits = has_digits || rest->at != behind_point;
    }
    uint64_t unit;
    if (!has_digits || !read_unit(rest, &unit) || value > magnitude_max / unit) {
        return false;
    }
    value *= unit;
    if (fraction > 0) {
        /* The same floating point steps as Go's, so that the nanoseconds come out the same. */
        value += (uint64_t)((double)fraction * ((double)unit / scale));
        if (value > magnitude_max) {
            return false;
        }
    }
    *ret_ns = value;
    return true;
}

bool duration_parse(const char *text, size_t len, int64_t *ret_ns) {
    struct rest rest = {.at = text, .end = text + len};
    bool negative = false;
    if (len != 0 && (*text == '-' || *text == '+')) {
        negative = *text == '-';
        rest.at++;
    }
    if (rest.at == rest.end) {
        return false;
    }
    if (rest.end - rest.at == 1 && *rest.at == '0') {
        *ret_ns = 0;
        return true;
    }
    uint64_t total = 0;
    while (rest.at < rest.end) {
        uint64_t term;
        if (!read_term(&rest, &term)) {
            return false;
        }
        total += term;
        if (total > magnitude_max || total < term) {
            return false;
        }
    }
    if (!negative && total == magnitude_max) {
        return false;
    }
    *ret_ns = negative ? (int64_t)(0 - total) : (int64_t)total;
    return true;
}

int64_t duration_round_seconds(int64_t ns) {
    int64_t seconds = ns / NS_PER_SECOND;
    int64_t rest = ns % NS_PER_SECOND;
    if (rest < 0) { /* C rounds towards zero; work from the second below */
        rest += NS_PER_SECOND;
        seconds--;
    }
    return rest >= NS_PER_SECOND / 2 ? seconds + 1 : seconds;
}
