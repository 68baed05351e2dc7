/* Decimal digits, shared by the files of this room. */
#ifndef BGPPEERD_BASE_DECIMAL_H
#define BGPPEERD_BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* Write `value` without NUL; returns the number of digits. */
static inline size_t decimal_format(uint64_t value, char out[DECIMAL_MAX]) {
    char digits[DECIMAL_MAX];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < len; i++) {
        out[i] = digits[len - 1 - i];
    }
    return len;
}

/* One or more digits, any number of leading zeros, at most `max`. */
static inline bool decimal_parse(const char *text, size_t len, uint64_t max, uint64_t *ret) {
    if (len == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

#endif
