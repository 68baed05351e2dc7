/* What reading and writing handlers of the kinds share. */
#ifndef BGPPEERD_HTTP_OBJECTS_RESOURCE_H
#define BGPPEERD_HTTP_OBJECTS_RESOURCE_H

#include "base/buf.h"
#include "model/object.h"
#include "request/request.h"
#include "snapshot.h"

/* The path's object as snapshot and state call it: "name" or "namespace/name". NULL: out of memory. */
const char *resource_key(const struct request *request, struct arena *arena);
/* The path's namespace; NULL for kinds that have none, or all of them. */
const char *resource_namespace(const struct request *request);
/* The path's object's name. */
const char *resource_name(const struct request *request);
/* `bgppeers.projectcalico.org "x" not found`, and which one there is instead. Returns -1. */
int resource_not_found(const struct request *request, struct err *err);

/* `resourceVersion` of the query; 0 when it is absent, "" or "0". ERR_BAD_REQUEST. */
int resource_version_param(const struct request *request, uint64_t *ret, struct err *err) MUST_CHECK;
/* 504, as Kubernetes answers, for a version that is yet to come. */
int resource_reply_too_new(struct request *request, uint64_t wanted, uint64_t current,
                           struct err *err) MUST_CHECK;

/* What an `XList` starts with, up to and with `"items":[`. `token` NULL: the last page.
 * `remaining` < 0: not known. */
void resource_list_head(const char *kind, const char *api_version, uint64_t revision, const char *token,
                        int64_t remaining, struct buf *out);

#endif
