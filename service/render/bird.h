/*
 * Inside the render room: the parts of BIRD's configuration.
 */
#ifndef BGPPEERD_RENDER_BIRD_H
#define BGPPEERD_RENDER_BIRD_H

#include "plan.h"

/* "4" or "6", by the number of the family. */
extern const char *const BIRD_FAMILY[2];

/* The functions of the BGPFilters that sessions use, and of what the node announces. */
void bird_write_functions(const struct plan *plan, struct buf *out);
/* The `import` and `export` of a session's channel. */
void bird_write_policy(const struct plan *plan, const struct plan_session *session, struct buf *out);

#endif
