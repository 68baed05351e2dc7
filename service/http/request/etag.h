/* If-Match and If-None-Match (RFC 9110 section 13.1). Pure. */
#ifndef BGPPEERD_HTTP_REQUEST_ETAG_H
#define BGPPEERD_HTTP_REQUEST_ETAG_H

#include <stdbool.h>
#include <stddef.h>

/* Does the header's list hold the entity tag (its text without quotes)? "*" holds everything. `weak`:
 * the weak comparison of If-None-Match, where W/"x" is "x"; otherwise a weak tag never matches. */
bool etag_list_has(const char *header, const char *tag, size_t tag_len, bool weak);

/* Is the header "*", and not a list? */
bool etag_list_is_any(const char *header);

/* The first strong tag of the list, without quotes. false: there is none. */
bool etag_list_first(const char *header, const char **ret, size_t *ret_len);

#endif
