/*
 * Base64 as Secret data and etcd's JSON carry it. Pure functions; the output is the caller's.
 */
#include "base/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0–63, or -1. */
static int digit_value(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* What may follow the digits of the last, short group: "=" to fill it, and line ends. */
static bool padding_ok(const char *text, size_t len, size_t i, unsigned missing, size_t *ret_bad) {
    for (; i < len; i++) {
        if (text[i] == '\r' || text[i] == '\n') {
            continue;
        }
        if (text[i] != '=' || missing == 0) {
            *ret_bad = i;
            return false;
        }
        missing--;
    }
    *ret_bad = len;
    return missing == 0;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *ret_len, size_t *ret_bad) {
    uint32_t group = 0;
    unsigned digits = 0;
    size_t n = 0, i;
    for (i = 0; i < len; i++) {
        int value = digit_value(text[i]);
        if (text[i] == '\r' || text[i] == '\n') {
            continue;
        }
        if (value < 0) {
            break;
        }
        group = group << 6 | (uint32_t)value;
        if (++digits == 4) {
            out[n++] = (uint8_t)(group >> 16);
            out[n++] = (uint8_t)(group >> 8);
            out[n++] = (uint8_t)group;
            group = 0;
            digits = 0;
        }
    }
    if (digits == 1) {
        *ret_bad = i;
        return false;
    }
    if (!padding_ok(text, len, i, digits == 0 ? 0 : 4 - digits, ret_bad)) {
        return false;
    }
    if (digits == 2) {
        out[n++] = (uint8_t)(group >> 4);
    } else if (digits == 3) {
        out[n++] = (uint8_t)(group >> 10);
        out[n++] = (uint8_t)(group >> 2);
    }
    *ret_len = n;
    return true;
}

void buf_add_base64(struct buf *out, const void *bytes, size_t len) {
    const uint8_t *from = bytes;
    if (buf_reserve(out, (len + 2) / 3 * 4 + 1) != 0) {
        return;
    }
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                         (left > 2 ? from[i + 2] : 0);
        const char four[4] = {ALPHABET[group >> 18], ALPHABET[group >> 12 & 63],
                              left > 1 ? ALPHABET[group >> 6 & 63] : '=',
                              left > 2 ? ALPHABET[group & 63] : '='};
        buf_add(out, four, sizeof(four));
    }
}
