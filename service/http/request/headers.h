/* The request's headers: those that anything here reads, and whether there is only one way to read where the
 * request ends. */
#ifndef BGPPEERD_HTTP_REQUEST_HEADERS_H
#define BGPPEERD_HTTP_REQUEST_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
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
    HEADER_REASON,
    HEADER_FORCE,
    HEADER_IF_NONE_MATCH,
    HEADER_AUTHORIZATION,
    HEADER_CONTENT_LENGTH,
    HEADER_TRANSFER_ENCODING,
    HEADER_CONTENT_ENCODING,
    HEADER_COUNT
};

/* Plain value; the texts are libmicrohttpd's, or in the request's arena, and live as long as the request. */
struct headers {
    const char
        *values[HEADER_COUNT]; /* NULL = none. Of lists that come in several lines all, else the first */
    size_t count;              /* all of them */
    unsigned hosts;
    bool host_possible; /* the last Host could be one */
    unsigned lengths;
    unsigned codings;
    bool coding_known; /* the last Transfer-Encoding is chunked */
    bool blank;        /* some name is empty or has a blank in it */
    bool torn;         /* a NUL or a lone CR, or a line is folded */
    unsigned repeated; /* lists in several lines, a bit each */
    const char *end;   /* of what has been read */
};

/* Where libmicrohttpd has put the head of the request: its line, taken apart, and behind it the headers. */
struct headers_place {
    const char *method; /* where it begins */
    size_t size;        /* of all of it, with the empty line; 0 = not known */
    const char *target;
    size_t target_len;
    const char *version;
};

/* One pass over all that the request has; a second one when a list comes in several lines (RFC 9110, section
 * 5.3: together they are one). ERR_NO_MEMORY. */
int headers_read(struct MHD_Connection *mhd, const struct headers_place *place, struct arena *arena,
                 struct headers *ret, struct err *err) MUST_CHECK;

/*
 * Refuses (ERR_BAD_REQUEST) what a proxy in front of us might understand otherwise than libmicrohttpd does,
 * and so take a part of the body for the next request, or send it to another host (RFC 9112,
 * sections 2.2, 3.2, 5 and 6): a NUL or a lone CR, where others may see a line end; folded lines;
 * repeated lengths and hosts, no host or none that could be one, both a length and chunks, chunks of
 * HTTP/1.0, other transfer codings, blanks in a header's name. `version` is the request line's, such as
 * "HTTP/1.1"; only HTTP/1.0 does without a host.
 */
int headers_check_framing(const struct headers *headers, const char *version, struct err *err) MUST_CHECK;

#endif
