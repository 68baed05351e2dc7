/*
 * Inside the render room: the parts of GoBGP's configuration.
 */
#ifndef BGPPEERD_RENDER_GOBGP_H
#define BGPPEERD_RENDER_GOBGP_H

#include "plan.h"

/* Can this rule be written for this direction of the session? false: *ret is what cannot be expressed. */
bool gobgp_takes_rule(const struct plan_rule *rule, const struct plan_session *session,
                      enum direction direction, enum list_field *ret);
/* The sets, and the two policies of all sessions. */
void gobgp_write_policies(const struct plan *plan, struct buf *out);

#endif
