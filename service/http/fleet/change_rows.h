/*
 * The rows of the change log that one change has, and how changes are called in answers.
 */
#ifndef BGPPEERD_HTTP_FLEET_CHANGE_ROWS_H
#define BGPPEERD_HTTP_FLEET_CHANGE_ROWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "state.h"

#define CHANGE_ROWS_MAX 100000 /* of one change; more are refused */

struct change_row {
    enum store_op op;
    const char *kind, *name;
    uint64_t revision;
};

/* What all rows of a change have in common. */
struct change_head {
    uint64_t txn;
    uint64_t last; /* revision of the newest row that was looked at */
    int64_t time_ms;
    const char *actor, *request, *reason; /* "" = not known */
};
/* The beginning of a Change's document, up to its `objects`. */
void change_head_write(const struct change_head *head, struct buf *out);

/* What was changed together, the oldest row first. */
struct change_rows {
    struct change_head head;
    struct change_row *items;
    size_t count;
};

/* Into the arena, from the disk: on the worker's thread. ERR_NOT_FOUND: no change is called that;
 * ERR_EXPIRED: it is no longer known. */
int change_rows_read(struct state *state, uint64_t txn, struct arena *arena, struct change_rows *ret,
                     struct err *err) MUST_CHECK;

/* The fleet just before and just after a change, and whose lists that may have changed. */
struct change_pictures {
    struct picture *before, *after;
    struct node_set *affected;
};
/* Its rows as well, as change_rows_read; ERR_EXPIRED also when the fleet before is no longer known. */
int change_pictures_read(struct state *state, uint64_t txn, struct arena *arena, struct change_rows *ret_rows,
                         struct change_pictures *ret, struct err *err) MUST_CHECK;
void change_pictures_done(struct change_pictures *pictures);

/* {kind, name, op, revision}, as one more element of an array. */
void change_row_write(const struct change_row *row, struct buf *out);
/* "create", "update", "delete". */
const char *change_row_op(enum store_op op);
#endif
