/*
 * Inside the render room: the parts of OpenBGPD's configuration.
 */
#ifndef BGPPEERD_RENDER_OPENBGPD_H
#define BGPPEERD_RENDER_OPENBGPD_H

#include "plan.h"

/* Can this rule be written for this direction? false: *ret is what cannot be expressed. */
bool openbgpd_takes_rule(const struct plan_rule *rule, enum direction direction, enum list_field *ret);
/* The rules of all sessions; the host's own file, `local_file`, comes before the last ones. */
void openbgpd_write_policies(const struct plan *plan, const char *local_file, struct buf *out);

#endif
