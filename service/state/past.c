/*
 * The past: the fleet as it was at an earlier revision, and what the store has on its disk about it.
 *
 * A picture of the past is made from a later one: what was changed in between is put back. So it shares all
 * else with that one, and costs as much as the two differ, however large the fleet is. The last few that were
 * asked for are kept. Runs on any thread but connections', since it waits for the disk; `past.lock` guards
 * the pictures that are kept, and nothing is read or computed under it.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "secrets.h"
#include "state_internal.h"

int state_store_status(struct state *state, struct store_status *ret, struct err *err) {
    return store_status(state->store, ret, err);
}

int state_read_history(struct state *state, const struct store_history_query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) {
    return store_read_history(state->store, query, row, arg, err);
}

int state_read_given(struct state *state, const struct store_given_query *query,
                     int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                     struct err *err) {
    given_settle(state);
    return store_read_given(state->store, query, row, arg, err);
}

int state_find_time(struct state *state, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    return store_find_time(state->store, time_ms, ret_revision, err);
}

/* ---- the pictures that are kept ---- */

void past_init(struct past *past) {
    pthread_mutex_init(&past->lock, NULL);
    past->ready = true;
}

void past_done(struct past *past) {
    if (!past->ready) {
        return;
    }
    for (size_t i = 0; i < PAST_PICTURES; i++) {
        picture_unref(past->pictures[i]);
    }
    pthread_mutex_destroy(&past->lock);
}

/* The one of that revision, with a reference, and in front; NULL: it is not kept. */
static struct picture *past_find(struct past *past, uint64_t revision) {
    struct picture *found = NULL;
    pthread_mutex_lock(&past->lock);
    for (size_t i = 0; i < PAST_PICTURES && found == NULL; i++) {
        struct picture *picture = past->pictures[i];
        if (picture != NULL && snapshot_revision(picture->snapshot) == revision) {
            memmove(&past->pictures[1], &past->pictures[0], i * sizeof(past->pictures[0]));
            past->pictures[0] = picture;
            found = picture_ref(picture);
        }
    }
    pthread_mutex_unlock(&past->lock);
    return found;
}

/* In front of the others; the last of them goes. */
static void past_keep(struct past *past, struct picture *picture) {
    pthread_mutex_lock(&past->lock);
    struct picture *last = past->pictures[PAST_PICTURES - 1];
    memmove(&past->pictures[1], &past->pictures[0], (PAST_PICTURES - 1) * sizeof(past->pictures[0]));
    past->pictures[0] = picture_ref(picture);
    pthread_mutex_unlock(&past->lock);
    picture_unref(last);
}

/* ---- putting back ---- */

struct putting {
    struct state *state;
    const struct snapshot *later;
    struct snapshot_change *changes; /* with a reference of their own to what is put back */
    size_t count;
    size_t cap;
};

static int put_back(void *arg, const char *kind, const char *name, const struct store_change *change,
                    struct err *err) {
    struct putting *putting = arg;
    const struct sealed_rows none = {0}; /* old passwords are not kept */
    const struct kind_info *info = kind_by_name(kind);
    const struct record *later = info != NULL ? snapshot_get(putting->later, info->kind, name) : NULL;
    struct record *then = NULL;
    bool same = later == NULL ? change == NULL /* made and deleted in between */
                              : change != NULL && later->revision == change->revision;
    if (same) {
        return 0;
    }
    struct snapshot_change *changes =
        base_grow(putting->changes, putting->count, &putting->cap, 64, sizeof(*changes));
    if (changes == NULL) {
        return err_no_memory(err);
    }
    putting->changes = changes;
    if (change != NULL) {
        if (state_load_record(NULL, &none, kind, name, change->body, change->body_len, &then, err) != 0) {
            return -1;
        }
        if (then->object->kind == KIND_SECRET) {
            secret_judge_past(then, later, putting->state->vault != NULL);
        }
    }
    assert(then != NULL || later != NULL); /* else both are the same */
    changes[putting->count++] = (struct snapshot_change){
        .kind = then != NULL ? then->object->kind : later->object->kind, .before = later, .after = then};
    return 0;
}

int state_past_before(struct state *state, const struct picture *later, uint64_t revision,
                      struct picture **ret, struct node_set **ret_affected, struct err *err) {
    struct putting putting = {.state = state, .later = later->snapshot};
    struct node_set *affected = NULL;
    struct snapshot *snapshot;
    struct peering_index *index;
    int result =
        store_read_past(state->store, revision, snapshot_revision(later->snapshot), put_back, &putting, err);
    if (result == 0) {
        result = snapshot_next(later->snapshot, putting.changes, putting.count, revision, &snapshot, err);
    }
    if (result == 0) {
        result = peering_index_next(later->index, snapshot, putting.changes, putting.count, &index, &affected,
                                    err);
        if (result != 0) {
            snapshot_unref(snapshot);
        } else if ((result = picture_new(snapshot, index, ret, err)) != 0) {
            node_set_free(affected);
        }
    }
    for (size_t i = 0; i < putting.count; i++) {
        record_unref(putting.changes[i].after);
    }
    free(putting.changes);
    if (result == 0) {
        *ret_affected = affected;
    }
    return result;
}

/* From what is kept, unless that revision is beyond the horizon by now: the store then says so. */
static struct picture *past_kept(struct state *state, uint64_t revision) {
    struct store_status status;
    struct err ignored = ERR_INIT;
    return store_status(state->store, &status, &ignored) == 0 && revision >= status.past
               ? past_find(&state->past, revision)
               : NULL;
}

int state_past(struct state *state, uint64_t revision, struct picture **ret, struct err *err) {
    struct picture *now = state_picture(state);
    uint64_t newest = snapshot_revision(now->snapshot);
    struct picture *then = NULL;
    struct node_set *affected = NULL;
    int result = 0;
    if (revision == newest) {
        *ret = now;
        return 0;
    }
    if (revision > newest) {
        result = err_set(err, ERR_BAD_REQUEST,
                         "revision %" PRIu64 " is not there yet: the newest is %" PRIu64, revision, newest);
    } else if ((then = past_kept(state, revision)) == NULL) {
        result = state_past_before(state, now, revision, &then, &affected, err);
        if (result == 0) {
            past_keep(&state->past, then);
            node_set_free(affected);
        }
    }
    picture_unref(now);
    if (result == 0) {
        *ret = then;
    }
    return result;
}
