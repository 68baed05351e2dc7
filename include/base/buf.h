/*
 * Growable byte buffer, and the JSON writing that all rooms share.
 *
 * Plain value struct; not thread-safe. A failed allocation sets `failed`; later appends do nothing,
 * so a writer checks buf_failed() once, at the end. The content is always followed by a NUL that
 * `len` does not count (when data is not NULL).
 */
#ifndef BGPPEERD_BASE_BUF_H
#define BGPPEERD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
    char *data; /* malloc'ed, NULL while empty */
    size_t len;
    size_t cap;
    bool failed;
    bool wipe; /* zero memory before it is freed or moved: may hold secrets */
};

#define BUF_INIT                                                                                             \
    { .data = NULL, .len = 0, .cap = 0, .failed = false, .wipe = false }

void buf_init(struct buf *buf);
/* Free the content. Accepts NULL. */
void buf_done(struct buf *buf);
/* Forget the content, keep the memory (wiped when `wipe`). */
void buf_clear(struct buf *buf);
/* Forget what is behind the first `len` bytes; there are at least as many. */
void buf_truncate(struct buf *buf, size_t len);
/* Hand the malloc'ed content to the caller (free() it); the buffer is empty afterwards. */
char *buf_steal(struct buf *buf, size_t *ret_len);
static inline bool buf_failed(const struct buf *buf) {
    return buf->failed;
}

/* Make room for `more` bytes beyond len. Returns -1 (and sets failed) when memory is out. */
int buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_add_i64(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A JSON string with its quotes: escapes '"', '\\', control characters; UTF-8 passes through. */
void buf_add_json(struct buf *buf, const char *text, size_t len);
void buf_add_json_str(struct buf *buf, const char *text);

/* A valid JSON text with a line for each member, two blanks a level, and a newline at its end. */
void buf_add_json_indented(struct buf *buf, const char *json, size_t len);
/* The same as YAML, two blanks a level. */
void buf_add_json_as_yaml(struct buf *buf, const char *json, size_t len);

/*
 * JSON members with commas placed by themselves: a comma is written unless the last byte is '{' or
 * '['. buf_key writes `"key":`; the value follows by any buf_add*.
 */
void buf_json_comma(struct buf *buf);
void buf_json_key(struct buf *buf, const char *key);
void buf_json_member_str(struct buf *buf, const char *key, const char *value); /* NULL: nothing */
void buf_json_member_u64(struct buf *buf, const char *key, uint64_t value);
void buf_json_member_true(struct buf *buf, const char *key, bool value); /* false: nothing */

#endif
