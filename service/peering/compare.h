/* Inside the peering room: what a comparison of two lists asks of two sessions, also for its document. */
#ifndef BGPPEERD_PEERING_COMPARE_H
#define BGPPEERD_PEERING_COMPARE_H

#include "peering/members.h"

struct comparison {
    const struct peering_list *before, *after; /* NULL: there is no such node */
    struct peering_daemons daemons;
    bool rules_differ; /* a filter of both lists has other rules in the other */
};

void comparison_init(struct comparison *comparison, const struct peering_list *before,
                     const struct peering_list *after, const struct peering_daemons *daemons);
/* Do other filters, or other rules of them, cost the session? */
bool comparison_filters_cost(const struct comparison *comparison, const struct peering_entry *before,
                             const struct peering_entry *after);

#endif
