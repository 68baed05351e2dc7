/* libmicrohttpd's responses, for the files that make replies; nothing outside of request/ sees one. */
#ifndef BGPPEERD_HTTP_REQUEST_RESPONSE_H
#define BGPPEERD_HTTP_REQUEST_RESPONSE_H

#include <microhttpd.h>

#include "request/reply.h"

_Static_assert(STATUS_OK == MHD_HTTP_OK && STATUS_NOT_MODIFIED == MHD_HTTP_NOT_MODIFIED, "the same numbers");
_Static_assert(REPLY_STREAM_END == MHD_CONTENT_READER_END_OF_STREAM &&
                   REPLY_STREAM_BROKEN == MHD_CONTENT_READER_END_WITH_ERROR,
               "readers are handed to libmicrohttpd as they are");

/* Add a header. Values are ours: without line breaks. `response` NULL is a failure (out of memory). */
int response_header(struct MHD_Response *response, const char *name, const char *value,
                    struct err *err) MUST_CHECK;
/* Add all that the head has. */
int response_head(struct MHD_Response *response, const struct reply_head *head, struct err *err) MUST_CHECK;
/* Queue with X-Request-Id and the request's warnings; takes the response over, also on failure.
 * `response` NULL is a failure (out of memory). */
int response_send(struct request *request, unsigned status, struct MHD_Response *response,
                  struct err *err) MUST_CHECK;

#endif
