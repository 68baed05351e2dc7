/*
 * Which bytes can be a BGP password. Pure; any thread.
 *
 * Linux takes 1 to 80 bytes (TCP_MD5SIG_MAXKEYLEN). Beyond that, a password travels in JSON to its node and
 * into the daemon's configuration there: what is not UTF-8 would make the whole list unreadable, and control
 * characters, '"' and blanks at either end are cut, changed or refused by one daemon or another.
 */
#ifndef BGPPEERD_MODEL_PASSWORD_H
#define BGPPEERD_MODEL_PASSWORD_H

#include <stddef.h>

#define PASSWORD_SIZE_MAX 80 /* bytes */

enum password_flaw {
    PASSWORD_USABLE,
    PASSWORD_EMPTY,
    PASSWORD_TOO_LONG,       /* > PASSWORD_SIZE_MAX */
    PASSWORD_NOT_TEXT,       /* not UTF-8 (RFC 3629) */
    PASSWORD_ENDS_WITH_LINE, /* a newline is its last byte and its only control character */
    PASSWORD_CONTROL,        /* U+0000 to U+001F, U+007F to U+009F, U+2028, U+2029 */
    PASSWORD_QUOTE,          /* '"' */
    PASSWORD_BLANK,          /* a character of Unicode's White_Space at either end */
    PASSWORD_FLAW_COUNT
};

/* The first flaw that applies. `bytes` may be NULL when `len` is 0. */
enum password_flaw password_check(const void *bytes, size_t len);
/* "is empty": the rest of a sentence whose subject is the value; what to do is in it where that is not plain.
 * Never says what the value is. PASSWORD_USABLE: NULL. Static. */
const char *password_flaw_text(enum password_flaw flaw);

#endif
