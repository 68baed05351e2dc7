/* The discovery documents, made once at start from the kinds and the route table. Immutable. */
#ifndef BGPPEERD_HTTP_ADMIN_DISCOVERY_H
#define BGPPEERD_HTTP_ADMIN_DISCOVERY_H

#include "base/err.h"

struct documents;

int documents_new(const char *version, struct documents **ret, struct err *err) MUST_CHECK;
void documents_free(struct documents *documents); /* accepts NULL */

#endif
