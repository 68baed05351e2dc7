/*
 * Handlers about the whole fleet: peering lists, explanations, previews and applies.
 * Each runs on its connection's thread with the whole body read. 0: answered or suspended; -1: the server
 * answers with the error.
 */
#ifndef BGPPEERD_HTTP_FLEET_HANDLERS_H
#define BGPPEERD_HTTP_FLEET_HANDLERS_H

#include "base/err.h"

struct request;

/* peerings.c */
int handle_peerings(struct request *request, struct err *err) MUST_CHECK;
/* past_peerings.c; handle_peerings with `revision=` or `at=` */
int handle_past_peerings(struct request *request, struct err *err) MUST_CHECK;
/* list_history.c */
int handle_list_history(struct request *request, struct err *err) MUST_CHECK;

/* explain.c; the first is handle_peerings with `explain=` */
int handle_explain(struct request *request, const char *remote, struct err *err) MUST_CHECK;
int handle_bgppeer_sessions(struct request *request, struct err *err) MUST_CHECK;

/* status.c: what one node's sessions do */
int handle_status_put(struct request *request, struct err *err) MUST_CHECK;
int handle_status_get(struct request *request, struct err *err) MUST_CHECK;

/* sessions.c, convergence.c, transitions.c: of the whole fleet */
int handle_sessions(struct request *request, struct err *err) MUST_CHECK;
int handle_convergence(struct request *request, struct err *err) MUST_CHECK;
int handle_transitions(struct request *request, struct err *err) MUST_CHECK;

/* changes.c: what was changed, by whom and why; change.c: one of it; diff.c, rollbacks.c: between two moments
 */
int handle_changes(struct request *request, struct err *err) MUST_CHECK;
int handle_change(struct request *request, struct err *err) MUST_CHECK;
int handle_diff(struct request *request, struct err *err) MUST_CHECK;
int handle_rollbacks(struct request *request, struct err *err) MUST_CHECK;

/* previews.c */
int handle_previews(struct request *request, struct err *err) MUST_CHECK;
int handle_applies(struct request *request, struct err *err) MUST_CHECK;

/* imports.c */
int handle_imports(struct request *request, struct err *err) MUST_CHECK;

#endif
