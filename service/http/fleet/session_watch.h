/* Watches of sessions: see session_watch.c. */
#ifndef BGPPEERD_HTTP_FLEET_SESSION_WATCH_H
#define BGPPEERD_HTTP_FLEET_SESSION_WATCH_H

#include "fleet/session_cells.h"
#include "request/request.h"

/* A watch on the list's path; its query has been read. */
int session_watch(struct request *request, const struct session_query *query, struct err *err) MUST_CHECK;

#endif
