/*
 * Percent-decoding of paths and queries (RFC 3986), strict: what comes out is UTF-8 without NUL.
 *
 * Pure; the result lives in the caller's arena.
 */
#include "request/percent.h"

#include <stdbool.h>
#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool utf8_is_valid(const unsigned char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        unsigned char c = text[i++];
        if (c < 0x80) {
            continue;
        }
        size_t more = c >= 0xc2 && c <= 0xdf   ? 1
                      : c >= 0xe0 && c <= 0xef ? 2
                      : c >= 0xf0 && c <= 0xf4 ? 3
                                               : 0;
        if (more == 0 || len - i < more) {
            return false;
        }
        unsigned char second = text[i];
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (second < low || second > high) {
            return false;
        }
        for (size_t k = 1; k < more; k++) {
            if ((text[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more;
    }
    return true;
}

int percent_decode(struct arena *arena, const char *text, size_t len, const char *what, const char **ret,
                   struct err *err) {
    char *out = arena_alloc(arena, len + 1);
    if (out == NULL) {
        return err_no_memory(err);
    }
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 1 < len ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return err_set_offset(
                    err, ERR_BAD_REQUEST, i,
                    "the %s has a broken percent-encoding at byte %zu: '%%' must be followed by two "
                    "hexadecimal digits",
                    what, i);
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            return err_set(err, ERR_BAD_REQUEST, "the %s has a NUL byte in it", what);
        }
        out[n++] = c;
    }
    if (!utf8_is_valid((const unsigned char *)out, n)) {
        return err_set(err, ERR_BAD_REQUEST, "the %s is not valid UTF-8", what);
    }
    out[n] = '\0';
    *ret = out;
    return 0;
}
