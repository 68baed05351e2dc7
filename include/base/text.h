/*
 * Text from outside that people will see, in logs, answers and on terminals. Pure; any thread.
 */
#ifndef BGPPEERD_BASE_TEXT_H
#define BGPPEERD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed UTF-8 character beyond ASCII at `text` (RFC 3629: shortest form, no surrogates)
 * that is fit to be shown; 0: it is none, or it steers terminals (U+0080 to U+009F) or ends lines (U+2028,
 * U+2029). */
size_t text_visible(const unsigned char *text, size_t len);
/* Well-formed UTF-8 of such characters and of ASCII without its control characters. "" is. */
bool text_is_one_line(const char *text);

#endif
