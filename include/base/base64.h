/*
 * Base64 (RFC 4648 section 4), with padding. Pure functions; thread-safe.
 */
#ifndef BGPPEERD_BASE_BASE64_H
#define BGPPEERD_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* As Go's base64.StdEncoding: padding is required, CR and LF are skipped. `out` has room for
 * base64_decoded_max(len) bytes, and may be `text` itself. False: *ret_bad is the offset of what is wrong. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *ret_len, size_t *ret_bad);
/* Room that base64_decode of `len` characters needs. */
static inline size_t base64_decoded_max(size_t len) {
    return len / 4 * 3 + 3;
}

/* Append the text of these bytes. */
void buf_add_base64(struct buf *out, const void *bytes, size_t len);

#endif
