/*
 * Access: who sends a request and whether it may. Every request passes here between routing and its handler.
 */
#ifndef BGPPEERD_HTTP_ACCESS_ACCESS_H
#define BGPPEERD_HTTP_ACCESS_ACCESS_H

#include "auth.h"
#include "base/err.h"
#include "http.h"
#include "request/request.h"
#include "request/router.h"
#include "request/serving.h"
#include "state.h"

/* Set up what the server asks here: who may come in, how often, and what is written down about it. The
 * options' limits are per user and per address. ERR_INTERNAL: a route that no rule covers. */
int access_start(struct serving *serving, const struct http_options *options, struct err *err) MUST_CHECK;
/* Accepts what was never started. */
void access_stop(struct serving *serving);

/*
 * Name the caller of a request and decide. `routed` is the outcome of request_route, with its error in `err`:
 * nobody without a credential learns which paths there are. 0, or -1 with what to answer: ERR_UNAUTHORIZED,
 * ERR_FORBIDDEN, ERR_TOO_MANY_REQUESTS, or the error of routing. Refusals are in the audit trail.
 */
int access_check(struct request *request, int routed, struct err *err) MUST_CHECK;
/* Is the credential still good, after waiting? ERR_UNAUTHORIZED. */
int access_recheck(struct request *request, struct err *err) MUST_CHECK;

/* May the answer carry passwords? Only a node's own list, and for an admin who asks. ERR_FORBIDDEN: it was
 * asked for by someone else. The query must have been parsed. */
int access_passwords(const struct request *request, bool *ret, struct err *err) MUST_CHECK;

/* Reports of one node's sessions in a second; twice as many in a burst. */
#define ACCESS_REPORTS_PER_SECOND 10
/* Does another report of the node in the path come too soon? ERR_TOO_MANY_REQUESTS. */
int access_report_limit(struct request *request, struct err *err) MUST_CHECK;

/*
 * A preview with a Secret in it: it tells whether a value is the one that sessions have, so it must not be
 * asked a million times. Admins, who may read passwords, are not limited. `secret` is its name, or NULL for
 * several. ERR_TOO_MANY_REQUESTS. Is in the audit trail.
 */
#define ACCESS_TRIES_PER_SECOND 1
#define ACCESS_TRIES_BURST      60
int access_try_secret(struct request *request, const char *secret, struct err *err) MUST_CHECK;

/*
 * A write of a Secret counts as such a try when the brake or a freeze has refused it: one with the value that
 * is stored would have changed nothing, and been taken. So it is paid for before, and given back when it was
 * not refused. ERR_TOO_MANY_REQUESTS.
 */
int access_secret_write(struct request *request, struct err *err) MUST_CHECK;
void access_secret_written(struct request *request, bool refused);

/* What the request's writes may force (enum change_force): writers the brake, admins a freeze as well, nodes
 * nothing. */
unsigned access_may_force(const struct request *request);

/* The guard that the request's writes must carry; NULL: none (state.h). */
state_guard *access_write_guard(const struct request *request);

#endif
