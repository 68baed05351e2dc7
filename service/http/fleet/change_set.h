/*
 * Change sets on their way: previewed, applied, answered. For the routes that take one from a client, and for
 * those that make one themselves.
 */
#ifndef BGPPEERD_HTTP_FLEET_CHANGE_SET_H
#define BGPPEERD_HTTP_FLEET_CHANGE_SET_H

#include "model/change_set.h"
#include "request/request.h"

#define CHANGE_SET_MAX 1000 /* changes, with selectors expanded */

/*
 * The handler's whole rest: answer the request with what the change set would do (a Preview), or make it, in
 * one transaction or not at all (an Apply). The set and what it borrows live in the request's arena or
 * longer.
 * `members` (NULL: none) are more members of the answer, as JSON without braces.
 * `?dryRun=All` of the request and its If-Match are heeded, as for POST applies. Errors name the change by
 * its index.
 */
int change_set_preview(struct request *request, const struct change_set *set, const char *members,
                       struct err *err) MUST_CHECK;
int change_set_apply(struct request *request, const struct change_set *set, const char *members,
                     struct err *err) MUST_CHECK;
/* The same for a set that has nothing in it: there was nothing to do, at `revision`. */
int change_set_nothing(struct request *request, bool preview, uint64_t revision, const char *members,
                       struct err *err) MUST_CHECK;

#endif
