/* Answers for people: JSON with a line for each member, where the query says pretty=true; YAML, where Accept
 * does. */
#ifndef BGPPEERD_HTTP_REQUEST_PRETTY_H
#define BGPPEERD_HTTP_REQUEST_PRETTY_H

#include <stdbool.h>

#include "base/buf.h"
#include "request/request.h"

/* Must an answer in JSON be written anew? */
bool pretty_wanted(struct request *request);
/* Write a body of that media type, where it is JSON, as is wanted; a failure is the buffer's. Returns its
 * media type then. */
const char *pretty_body(struct request *request, const char *type, struct buf *body);
/* The same, but never as YAML: for failures. */
void pretty_status(struct request *request, struct buf *body);

#endif
