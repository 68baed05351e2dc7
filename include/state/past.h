/*
 * State, the past: the fleet as it was, what was changed, and the change sets that lead from one state of it
 * to another. Part of state.h, which includes it. What reads from the disk is not for a connection's thread.
 */
#ifndef BGPPEERD_STATE_PAST_H
#define BGPPEERD_STATE_PAST_H

#include "state.h"

/* As store_status, store_read_history, store_read_given (with all that was noted until now) and
 * store_find_time. They read from the disk: not for a connection's
 * thread. */
int state_store_status(struct state *state, struct store_status *ret, struct err *err) MUST_CHECK;
int state_read_history(struct state *state, const struct store_history_query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) MUST_CHECK;
int state_read_given(struct state *state, const struct store_given_query *query,
                     int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                     struct err *err) MUST_CHECK;
int state_find_time(struct state *state, int64_t time_ms, uint64_t *ret_revision, struct err *err) MUST_CHECK;

/*
 * The fleet as it was after all changes up to `revision`: one reference, given back with picture_unref. Costs
 * in time and memory what differs from now. It says of passwords what is known of them, but has none.
 * ERR_EXPIRED: that is not known (any more), with the oldest revision that is; ERR_BAD_REQUEST: it is not
 * there yet. Reads from the disk: not for a connection's thread.
 */
int state_past(struct state *state, uint64_t revision, struct picture **ret, struct err *err) MUST_CHECK;
/* The same from a later picture, of the past or the newest, and the nodes whose lists may differ between the
 * two (a new set, the caller's). */
int state_past_before(struct state *state, const struct picture *later, uint64_t revision,
                      struct picture **ret, struct node_set **ret_affected, struct err *err) MUST_CHECK;

/*
 * The node's list in such a picture, appended to `out`: what was given then to a reader without passwords,
 * with the resourceVersion that it had; where it was not given to anybody, with one that is worked out. The
 * report lives in `arena`. ERR_NOT_FOUND: there was no such node. Reads from the disk.
 */
struct past_list {
    char etag[DIGEST_TEXT_MAX]; /* without quotes */
    uint64_t resource_version;
    struct render_report report; /* of a daemon's configuration */
};
int state_past_list(struct state *state, const struct picture *then, const char *node,
                    const struct render_format *format, struct arena *arena, struct buf *out,
                    struct past_list *ret, struct err *err) MUST_CHECK;

/* ---- change sets ---- */

/*
 * The change set that makes `to` of `from` when it is applied there: what must be created, patched and
 * deleted. Secrets are left out, for their values cannot be had again. Everything lives in `arena`. Costs one
 * pass over both; what they share costs no more than a look.
 */
int state_changes_between(const struct snapshot *from, const struct snapshot *to, struct arena *arena,
                          struct change_set *ret, struct err *err) MUST_CHECK;

/*
 * The change set that takes back, in the fleet as it is `now`, what was changed from `before` to `after`: of
 * each object that is still what it was made then, and nothing of those that are what they were before. All
 * others were changed again since: each becomes one of `conflicts`. `only` NULL: all objects. Otherwise as
 * state_changes_between.
 */
int state_changes_undone(const struct snapshot *before, const struct snapshot *after,
                         const struct snapshot *now, const struct rollback_scope *only, struct arena *arena,
                         struct change_set *ret, struct causes *conflicts, struct err *err) MUST_CHECK;

#endif
