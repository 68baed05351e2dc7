/* Percent-encoding (RFC 3986, section 2.1). Pure. */
#ifndef BGPPEERD_HTTP_REQUEST_PERCENT_H
#define BGPPEERD_HTTP_REQUEST_PERCENT_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/*
 * Percent-decode `len` bytes into the arena. ERR_BAD_REQUEST: broken escape, NUL, not UTF-8; `what`
 * names the part in the message.
 */
int percent_decode(struct arena *arena, const char *text, size_t len, const char *what, const char **ret,
                   struct err *err) MUST_CHECK;

#endif
