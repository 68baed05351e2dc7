/*
 * Growable byte buffer and JSON writing. The struct buf owns its memory; no locks. A buffer that may
 * hold secrets never goes through realloc, which can leave the old bytes behind in freed memory.
 */
#include "base/buf.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "decimal.h"

#define CAP_MIN 256

void buf_init(struct buf *buf) {
    *buf = (struct buf)BUF_INIT;
}

void buf_done(struct buf *buf) {
    if (buf == NULL) {
        return;
    }
    if (buf->wipe && buf->data != NULL) {
        sodium_memzero(buf->data, buf->cap);
    }
    free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
    buf->failed = false;
}

void buf_clear(struct buf *buf) {
    if (buf->data != NULL) {
        if (buf->wipe) {
            sodium_memzero(buf->data, buf->cap);
        }
        buf->data[0] = '\0';
    }
    buf->len = 0;
    buf->failed = false;
}

void buf_truncate(struct buf *buf, size_t len) {
    if (len >= buf->len) {
        return;
    }
    if (buf->wipe) {
        sodium_memzero(buf->data + len, buf->len - len);
    }
    buf->data[len] = '\0';
    buf->len = len;
}

char *buf_steal(struct buf *buf, size_t *ret_len) {
    char *data = buf->data;
    if (ret_len != NULL) {
        *ret_len = buf->len;
    }
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
    return data;
}

static char *grow(const struct buf *buf, size_t cap) {
    if (!buf->wipe) {
        return base_realloc(buf->data, cap);
    }
    char *data = base_malloc(cap);
    if (data != NULL && buf->data != NULL) {
        memcpy(data, buf->data, buf->len);
        sodium_memzero(buf->data, buf->cap);
        free(buf->data);
    }
    return data;
}

int buf_reserve(struct buf *buf, size_t more) {
    if (buf->failed) {
        return -1;
    }
    if (buf->data != NULL && more < buf->cap - buf->len) {
        return 0;
    }
    size_t need; /* one byte more for the NUL */
    if (__builtin_add_overflow(buf->len, more, &need) || need > SIZE_MAX / 4) {
        buf->failed = true;
        return -1;
    }
    need++;
    size_t cap = buf->cap < CAP_MIN ? CAP_MIN : buf->cap;
    while (cap < need) {
        cap *= 2;
    }
    char *data = grow(buf, cap);
    if (data == NULL) {
        buf->failed = true;
        return -1;
    }
    buf->data = data;
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return 0;
}

void buf_add(struct buf *buf, const void *bytes, size_t len) {
    if (buf_reserve(buf, len) != 0) {
        return;
    }
    if (len != 0) {
        memcpy(buf->data + buf->len, bytes, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_add_str(struct buf *buf, const char *text) {
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c) {
    buf_add(buf, &c, 1);
}

void buf_add_u64(struct buf *buf, uint64_t value) {
    char digits[DECIMAL_MAX];
    buf_add(buf, digits, decimal_format(value, digits));
}

void buf_add_i64(struct buf *buf, int64_t value) {
    if (value < 0) {
        buf_add_char(buf, '-');
        buf_add_u64(buf, 0 - (uint64_t)value);
    } else {
        buf_add_u64(buf, (uint64_t)value);
    }
}

void buf_printf(struct buf *buf, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    if (buf_reserve(buf, (size_t)len) != 0) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
}

static void add_json_escape(struct buf *buf, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (c < sizeof letters && letters[c] != '\0') {
        escape[1] = letters[c];
        buf_add(buf, escape, 2);
    } else {
        buf_add(buf, escape, sizeof escape);
    }
}

void buf_add_json(struct buf *buf, const char *text, size_t len) {
    if (buf_reserve(buf, len < SIZE_MAX - 2 ? len + 2 : len) != 0) {
        return;
    }
    buf_add_char(buf, '"');
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            buf_add(buf, text + plain, i - plain);
            add_json_escape(buf, c);
            plain = i + 1;
        }
    }
    if (plain < len) {
        buf_add(buf, text + plain, len - plain);
    }
    buf_add_char(buf, '"');
}

void buf_add_json_str(struct buf *buf, const char *text) {
    buf_add_json(buf, text, strlen(text));
}

static void add_json_line(struct buf *buf, size_t depth) {
    buf_add_char(buf, '\n');
    while (depth-- > 0) {
        buf_add(buf, "  ", 2);
    }
}

/* Behind the string that opens at `at`. */
static size_t json_string_end(const char *json, size_t len, size_t at) {
    for (at++; at < len && json[at] != '"'; at++) {
        at += json[at] == '\\';
    }
    return at < len ? at + 1 : len;
}

static bool is_json_blank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

void buf_add_json_indented(struct buf *buf, const char *json, size_t len) {
    size_t depth = 0;
    char last = '\0'; /* the last byte that is no blank */
    for (size_t i = 0; i < len;) {
        char c = json[i];
        size_t end = c == '"' ? json_string_end(json, len, i) : i + 1;
        if (is_json_blank(c)) {
            i = end;
            continue;
        }
        bool closes = c == '}' || c == ']';
        bool empty = closes && (last == '{' || last == '[');
        depth -= closes && depth > 0;
        if ((closes && !empty) || (!closes && (last == '{' || last == '[' || last == ','))) {
            add_json_line(buf, depth);
        }
        buf_add(buf, json + i, end - i);
        if (c == ':') {
            buf_add_char(buf, ' ');
        }
        depth += c == '{' || c == '[';
        last = c;
        i = end;
    }
    buf_add_char(buf, '\n');
}

void buf_json_comma(struct buf *buf) {
    if (buf->len == 0) {
        return;
    }
    char last = buf->data[buf->len - 1];
    if (last != '{' && last != '[') {
        buf_add_char(buf, ',');
    }
}

void buf_json_key(struct buf *buf, const char *key) {
    buf_json_comma(buf);
    buf_add_json_str(buf, key);
    buf_add_char(buf, ':');
}

void buf_json_member_str(struct buf *buf, const char *key, const char *value) {
    if (value == NULL) {
        return;
    }
    buf_json_key(buf, key);
    buf_add_json_str(buf, value);
}

void buf_json_member_u64(struct buf *buf, const char *key, uint64_t value) {
    buf_json_key(buf, key);
    buf_add_u64(buf, value);
}

void buf_json_member_true(struct buf *buf, const char *key, bool value) {
    if (!value) {
        return;
    }
    buf_json_key(buf, key);
    buf_add_str(buf, "true");
}
