/* Values of Warning headers (RFC 9111 section 5.5 as Kubernetes uses it: `299 - "text"`). */
#ifndef BGPPEERD_HTTP_REQUEST_WARNING_H
#define BGPPEERD_HTTP_REQUEST_WARNING_H

#include <stddef.h>

#define WARNING_VALUE_MAX 768

/* Any text becomes a harmless header value; a longer one is cut with "...". Returns the length. */
size_t warning_format(const char *text, char out[WARNING_VALUE_MAX]);

#endif
