/* The request's headers: those that anything here reads, and whether there is only one way to read where the
 * request ends. */
#ifndef BGPPEERD_HTTP_REQUEST_HEADERS_H
#define BGPPEERD_HTTP_REQUEST_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct MHD_Connection;

enum header {
    HEADER_HOST,
    HEADER_ORIGIN,
    HEADER_ACCEPT,
    HEADER_EXPECT,
    HEADER_IF_MATCH,
    HEADER_CONTENT_TYPE,
    HEADER_REQUEST_ID,
    HEADER_IF_NONE_MATCH,
    HEADER_AUTHORIZATION,
    HEADER_CONTENT_LENGTH,
    HEADER_TRANSFER_ENCODING,
    HEADER_COUNT
};

/* Plain value; the texts are libmicrohttpd's and live as long as the request. */
struct headers {
    const char *values[HEADER_COUNT]; /* the first of each name; NULL = none */
    size_t count;                     /* all of them */
    unsigned hosts;
    bool host_possible; /* the last Host could be one */
    unsigned lengths;
    unsigned codings;
    bool coding_known; /* the last Transfer-Encoding is chunked */
    bool blank;        /* some name is empty or has a blank in it */
};

/* One pass over all that the request has. */
void headers_read(struct MHD_Connection *mhd, struct headers *ret);

/*
 * Refuses (ERR_BAD_REQUEST) what a proxy in front of us might understand otherwise than libmicrohttpd does,
 * and so take a part of the body for the next request, or send it to another host (RFC 9112,
 * sections 3.2, 5.1 and 6.3): repeated lengths and hosts, no host or none that could be one, both a length
 * and chunks, other transfer codings, blanks in a header's name. `version` is the request line's, such as
 * "HTTP/1.1"; only HTTP/1.0 does without a host.
 */
int headers_check_framing(const struct headers *headers, const char *version, struct err *err) MUST_CHECK;

#endif
