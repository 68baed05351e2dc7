/*
 * Inside the render room: the parts of FRR's configuration.
 */
#ifndef BGPPEERD_RENDER_FRR_H
#define BGPPEERD_RENDER_FRR_H

#include "plan.h"

/* Entries of a route-map are numbered 10, 20, … up to 65535, of which the last ones are the default's. */
#define FRR_RULES_MAX 6000

/* How many entries the route-map of this session and direction needs for its filters. */
size_t frr_rule_count(const struct plan_session *session, enum direction direction);
/* The prefix-lists, community-lists and route-maps that the sessions refer to. */
void frr_write_policies(const struct plan *plan, struct buf *out);
/* The name of a session's route-map, behind "in." or "out.". */
void frr_add_map(const struct plan *plan, const struct plan_session *session, enum direction direction,
                 struct buf *out);

#endif
