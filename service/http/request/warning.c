/*
 * Warning values: advice holds names and selectors that a client wrote, so the text is made harmless
 * here: quotes and backslashes escaped, control characters blanked, anything beyond ASCII written as
 * \uXXXX (headers have no character set that all clients agree on). Pure.
 */
#include "request/warning.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One code point of valid UTF-8; invalid bytes count as U+FFFD each. */
static uint32_t next_code_point(const unsigned char **at) {
    const unsigned char *p = *at;
    unsigned char c = *p++;
    unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t value = more == 0 ? c : c & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if ((*p & 0xc0) != 0x80) {
            *at = p;
            return 0xfffd;
        }
        value = (value << 6) | (*p++ & 0x3fu);
    }
    *at = p;
    return more == 0 && c >= 0x80 ? 0xfffd : value;
}

/* One code point as it may stand in a header; its length. Nearly all are plain ASCII. */
static size_t format_code_point(uint32_t c, char out[16]) {
    if (c < 0x20 || c == 0x7f) {
        out[0] = ' ';
        return 1;
    }
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    return (size_t)snprintf(out, 16, c < 0x10000 ? "\\\\u%04x" : "\\\\U%08x", (unsigned)c);
}

/* How many bytes stand in a header as they are: all of nearly every text. */
static size_t plain_span(const unsigned char *text) {
    size_t len = 0;
    while (text[len] >= 0x20 && text[len] < 0x7f && text[len] != '"' && text[len] != '\\') {
        len++;
    }
    return len;
}

size_t warning_format(const char *text, char out[WARNING_VALUE_MAX]) {
    /* What must still fit behind the text: "..." and the closing quote with its NUL. */
    const size_t end = WARNING_VALUE_MAX - 5;
    size_t n = (size_t)snprintf(out, WARNING_VALUE_MAX, "299 - \"");
    const unsigned char *at = (const unsigned char *)text;
    bool cut = false;
    while (*at != '\0' && !cut) {
        size_t plain = plain_span(at);
        size_t fits = plain < end - n ? plain : end - n;
        memcpy(out + n, at, fits);
        n += fits;
        at += plain;
        cut = fits < plain;
        if (*at != '\0' && !cut) {
            char piece[16];
            size_t len = format_code_point(next_code_point(&at), piece);
            cut = len > end - n;
            if (!cut) {
                memcpy(out + n, piece, len);
                n += len;
            }
        }
    }
    if (cut) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n++] = '"';
    out[n] = '\0';
    return n;
}
