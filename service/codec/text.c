/*
 * Checks on the bytes of a body before a parser sees them, so that what is refused is refused with its
 * place: NUL, broken UTF-8, nesting, numbers that would silently change. Pure functions.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec_internal.h"

int text_refuse(struct err *err, const char *bytes, size_t len, size_t offset, const char *fmt, ...) {
    char what[512];
    size_t line = 1, column = 1;
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    for (size_t i = 0; i < offset && i < len; i++) {
        if (bytes[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)bytes[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return err_set_offset(err, ERR_BAD_REQUEST, offset, "line %zu, column %zu (byte %zu): %s", line, column,
                          offset, what);
}

static bool continues(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 sequence at `s` (RFC 3629: no overlong form, no surrogate, up to U+10FFFF); 0 when
 * it is broken. */
static size_t utf8_length(const unsigned char *s, size_t left) {
    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        return left >= 2 && continues(s[1]) ? 2 : 0;
    }
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        if (left < 3 || !continues(s[1]) || !continues(s[2])) {
            return 0;
        }
        return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (left < 4 || !continues(s[1]) || !continues(s[2]) || !continues(s[3])) {
            return 0;
        }
        return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

int text_check_utf8(const char *bytes, size_t len, struct err *err) {
    const unsigned char *s = (const unsigned char *)bytes;

    for (size_t i = 0; i < len;) {
        size_t width = utf8_length(s + i, len - i);

        if (width == 0) {
            return text_refuse(err, bytes, len, i, "byte 0x%02x is not UTF-8 here; send the body as UTF-8",
                               s[i]);
        }
        if (s[i] == 0) {
            return text_refuse(err, bytes, len, i, "a NUL byte cannot be part of a body");
        }
        i += width;
    }
    return 0;
}

/* The end of the string that opens at `i`, behind its closing quote (or `len`: jansson then says that it
 * is not closed). \u0000 is refused. */
static int check_string(const char *bytes, size_t len, size_t i, size_t *ret_end, struct err *err) {
    for (i++; i < len && bytes[i] != '"'; i++) {
        if (bytes[i] != '\\') {
            continue;
        }
        if (len - i >= 6 && memcmp(bytes + i, "\\u0000", 6) == 0) {
            return text_refuse(err, bytes, len, i, "\\u0000 (NUL) cannot be part of a string");
        }
        i++;
    }
    *ret_end = i < len ? i + 1 : len;
    return 0;
}

static bool in_number(char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Does this run of digits fit a 64-bit signed integer with that sign? */
static bool fits_int64(const char *digits, size_t len, bool negative) {
    const char *limit = negative ? "9223372036854775808" : "9223372036854775807";

    return len < 19 || (len == 19 && memcmp(digits, limit, 19) <= 0);
}

static int check_number(const char *bytes, size_t len, size_t start, size_t *ret_end, struct err *err) {
    size_t end = start;
    bool integer = true, negative = bytes[start] == '-';
    size_t digits = start + (negative ? 1 : 0);

    for (; end < len && in_number(bytes[end]); end++) {
        integer = integer && (end < digits || (bytes[end] >= '0' && bytes[end] <= '9'));
    }
    *ret_end = end;
    if (!integer) {
        return 0;
    }
    if (negative && end - digits == 1 && bytes[digits] == '0') {
        return text_refuse(err, bytes, len, start, "-0 is not a number that is accepted here; write 0");
    }
    if (!fits_int64(bytes + digits, end - digits, negative)) {
        return text_refuse(err, bytes, len, start,
                           "this number is beyond a 64-bit integer (-9223372036854775808 to "
                           "9223372036854775807)");
    }
    return 0;
}

int text_check_json(const char *bytes, size_t len, struct err *err) {
    unsigned depth = 0;

    if (text_check_utf8(bytes, len, err) < 0) {
        return -1;
    }
    if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        return text_refuse(err, bytes, len, 0, "a byte order mark is not JSON; remove the first three bytes");
    }
    for (size_t i = 0; i < len;) {
        char c = bytes[i];

        if (c == '"') {
            if (check_string(bytes, len, i, &i, err) < 0) {
                return -1;
            }
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            if (check_number(bytes, len, i, &i, err) < 0) {
                return -1;
            }
        } else {
            if (c == '{' || c == '[') {
                if (++depth > CODEC_DEPTH_MAX) {
                    return text_refuse(err, bytes, len, i, "objects and arrays are nested more than %d deep",
                                       CODEC_DEPTH_MAX);
                }
            } else if ((c == '}' || c == ']') && depth > 0) {
                depth--;
            }
            i++;
        }
    }
    return 0;
}
