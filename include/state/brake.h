/*
 * State: which writes are refused for what they would do to sessions. A part of state.h, for those who ask or
 * freeze; writes are judged on their way without anybody's doing. Threads as there.
 */
#ifndef BGPPEERD_STATE_BRAKE_H
#define BGPPEERD_STATE_BRAKE_H

#include "state.h"

/* ---- the brake ---- */

/*
 * The brake refuses a write that would restart or remove more than max_disruptive_sessions sessions and more
 * than max_disruptive_percent of all there are (ERR_TOO_DISRUPTIVE), unless FORCE_DISRUPTIVE is said. A
 * session is counted at both its ends; sessions that only come into being do not count. Every group of writes
 * is judged by itself, with those before it done. What other instances of a shared store have let pass is not
 * judged again.
 */
/* Sessions compared to judge one write, at most: well below a second. Of more, lists all over the fleet are
 * compared until they come to so many, and the rest is taken to be like them. */
#define BRAKE_COMPARED_MAX 2000000

/*
 * Would a write be refused that leads from one picture to the other, and forces that much? ERR_FROZEN,
 * ERR_TOO_DISRUPTIVE, with the sentence that it would be answered with, and the numbers in `causes` (NULL:
 * not wanted). Compares lists: see BRAKE_COMPARED_MAX. From any thread.
 */
int state_judge(struct state *state, const struct picture *before, const struct picture *after,
                const struct node_set *affected, unsigned force, struct causes *causes,
                struct err *err) MUST_CHECK;
/* The same of the deletion of all these objects, which is then done one by one with `judged` writes. Those
 * that are gone already do not matter. */
int state_judge_deletion(struct state *state, const struct record *const *records, size_t count,
                         unsigned force, struct causes *causes, struct err *err) MUST_CHECK;

/* May the writer force all of that (write.may_force)? ERR_FORBIDDEN. */
int write_check_force(unsigned force, unsigned may_force, struct err *err) MUST_CHECK;
/* What the group that begins with this write forced: change_force_text; NULL: nothing. Static. */
const char *write_forced(const struct write *first);

/* ---- the freeze ---- */

/* A freeze: while it lasts, no write may change a list (ERR_FROZEN), unless FORCE_FROZEN is said. Kept in the
 * store. */
#define FREEZE_REASON_MAX 512 /* bytes */
struct freeze {
    bool on;
    char reason[FREEZE_REASON_MAX + 1]; /* one line */
    char user[AUTH_USER_MAX];           /* who has set it */
    int64_t since_ms;                   /* realtime */
    int64_t until_ms;                   /* when it ends by itself; 0 = when it is lifted */
};
/* As it is now. */
void state_freeze(struct state *state, struct freeze *ret);
/* A freeze on its way: in force (or lifted) when `task.done` is called without an error. The submitter fills
 * in `task.done`, `task.arg` and what follows. */
struct freeze_write {
    struct task task;     /* outcome: task.err. ERR_FORBIDDEN: see `may_replace` */
    bool lift;            /* and not set */
    bool may_replace;     /* its author may alter or lift the freeze of another */
    struct freeze freeze; /* to be set. Afterwards: as it is now */
};
/* As state_submit. */
int state_submit_freeze(struct state *state, struct freeze_write *write, struct err *err) MUST_CHECK;

#endif
