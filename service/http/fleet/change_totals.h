/*
 * What changes did to sessions, in numbers, for a page of them: each costs the comparison of two pictures of
 * the past, so a page has a limit.
 */
#ifndef BGPPEERD_HTTP_FLEET_CHANGE_TOTALS_H
#define BGPPEERD_HTTP_FLEET_CHANGE_TOTALS_H

#include "base/arena.h"
#include "base/err.h"
#include "state.h"

/* Nodes whose lists may differ, and rows of the change log, that are looked at for one page. */
#define TOTALS_NODES_MAX 20000
#define TOTALS_ROWS_MAX  10000

struct change_totals {
    bool known; /* else it was not counted, for the limits */
    size_t nodes;
    struct peering_diff sum;
};

/* A walk back through changes; zeroed at the beginning, totals_done at the end. */
struct totals_walk {
    struct picture *picture; /* of the revision before the change that was counted last */
    size_t nodes, rows;      /* looked at so far */
};
/* The next change, which is older than all before. Reads from the disk: on the worker's thread. */
int totals_count(struct state *state, struct totals_walk *walk, uint64_t txn, struct arena *arena,
                 struct change_totals *ret, struct err *err) MUST_CHECK;
void totals_done(struct totals_walk *walk);

#endif
