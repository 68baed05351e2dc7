/* Framing: is there only one way to read where this request ends? */
#ifndef BGPPEERD_HTTP_FRAMING_H
#define BGPPEERD_HTTP_FRAMING_H

#include "base/err.h"
#include "request.h"

/*
 * Refuses (ERR_BAD_REQUEST) what a proxy in front of us might understand otherwise than libmicrohttpd does,
 * and so take a part of the body for the next request, or send it to another host (RFC 9112,
 * sections 3.2, 5.1 and 6.3): repeated lengths and hosts, both a length and chunks, other transfer codings,
 * blanks in a header's name.
 */
int framing_check(const struct request *request, struct err *err) MUST_CHECK;

#endif
