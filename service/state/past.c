/*
 * The past, as the store has it on its disk. Keeps nothing; from any thread but connections', since it waits
 * for the disk.
 */
#include "state_internal.h"

int state_store_status(struct state *state, struct store_status *ret, struct err *err) {
    return store_status(state->store, ret, err);
}

int state_read_history(struct state *state, const struct store_history_query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) {
    return store_read_history(state->store, query, row, arg, err);
}

int state_find_time(struct state *state, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    return store_find_time(state->store, time_ms, ret_revision, err);
}
