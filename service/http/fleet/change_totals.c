/*
 * See change_totals.h. A walk goes from picture to picture of the past, each made from the one before, so
 * that it puts back every change once. No locks.
 */
#include "fleet/change_totals.h"

#include "fleet/change_rows.h"
#include "objects/preview.h"

#define PAIRS_MAX 200000 /* sessions of one change that are compared */

/* The picture at `revision`, in place of the walk's. */
static int walk_to(struct state *state, struct totals_walk *walk, uint64_t revision, struct err *err) {
    struct node_set *unused;
    struct picture *picture;
    if (walk->picture == NULL) {
        return state_past(state, revision, &walk->picture, err);
    }
    if (snapshot_revision(walk->picture->snapshot) == revision) {
        return 0;
    }
    if (state_past_before(state, walk->picture, revision, &picture, &unused, err) != 0) {
        return -1;
    }
    node_set_free(unused);
    picture_unref(walk->picture);
    walk->picture = picture;
    return 0;
}

int totals_count(struct state *state, struct totals_walk *walk, uint64_t txn, struct arena *arena,
                 struct change_totals *ret, struct err *err) {
    struct change_rows rows;
    struct picture *before;
    struct node_set *affected;
    *ret = (struct change_totals){.known = false};
    if (walk->nodes >= TOTALS_NODES_MAX || walk->rows >= TOTALS_ROWS_MAX) {
        return 0;
    }
    if (change_rows_read(state, txn, arena, &rows, err) != 0) {
        return -1;
    }
    if (walk_to(state, walk, rows.head.last, err) != 0) {
        bool early = err->code == ERR_BAD_REQUEST; /* it is stored, and about to be published */
        if (early) {
            err_clear(err);
        }
        return early ? 0 : -1;
    }
    if (state_past_before(state, walk->picture, txn - 1, &before, &affected, err) != 0) {
        return -1;
    }
    walk->rows += rows.count;
    walk->nodes += node_set_count(affected);
    int result = preview_count(before, walk->picture, affected, state_status(state), PAIRS_MAX, &ret->sum,
                               &ret->nodes, err);
    ret->known = result == 0;
    if (result != 0 && err->code == ERR_TOO_LARGE) {
        err_clear(err);
        result = 0;
    }
    node_set_free(affected);
    picture_unref(walk->picture);
    walk->picture = before;
    return result;
}

void totals_done(struct totals_walk *walk) {
    picture_unref(walk->picture);
    walk->picture = NULL;
}
