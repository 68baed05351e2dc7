/* Answers for people: JSON with a line for each member, where the query says pretty=true. */
#ifndef BGPPEERD_HTTP_REQUEST_PRETTY_H
#define BGPPEERD_HTTP_REQUEST_PRETTY_H

#include <stdbool.h>

#include "base/buf.h"
#include "request/request.h"

bool pretty_wanted(struct request *request);
/* Indent a body of that media type where it is JSON and wanted; a failure is the buffer's. */
void pretty_body(struct request *request, const char *type, struct buf *body);

#endif
