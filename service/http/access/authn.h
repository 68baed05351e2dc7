/* Authentication: a request's credential, a bearer token or its connection's client certificate. */
#ifndef BGPPEERD_HTTP_ACCESS_AUTHN_H
#define BGPPEERD_HTTP_ACCESS_AUTHN_H

#include "base/err.h"
#include "request/request.h"

/* Fill request->principal. ERR_UNAUTHORIZED says what is wrong with the credential. */
int authn_request(struct request *request, struct err *err) MUST_CHECK;

#endif
