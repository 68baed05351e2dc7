/*
 * If-Match and If-None-Match (RFC 9110 section 13.1), as they come back through proxies. Pure.
 *
 * All tags of this service are strong, and each stands for one content: so how a tag is compared makes no
 * difference. A proxy that compresses an answer changes its tag, into W/"x" (nginx, HAProxy) or into
 * "x-gzip", "x;gzip", "x--gzip", "x-br" and the like (Apache, Jetty); clients send that back, and scripts
 * send x without quotes. All of them mean "x".
 */
#ifndef BGPPEERD_HTTP_REQUEST_ETAG_H
#define BGPPEERD_HTTP_REQUEST_ETAG_H

#include <stdbool.h>
#include <stddef.h>

/* Does the header's list hold the entity tag (its text without quotes)? "*" holds everything. */
bool etag_list_has(const char *header, const char *tag, size_t tag_len);

/* Is the header "*", and not a list? */
bool etag_list_is_any(const char *header);

/* The first tag of the list, without quotes and what a proxy appended. false: there is none. */
bool etag_list_first(const char *header, const char **ret, size_t *ret_len);

#endif
