/*
 * State: the current picture, previews, start and stop of the threads. Owns everything in struct state but
 * the store. See state_internal.h for the locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

struct picture_memory {
    struct picture picture; /* first: what callers hold */
    atomic_uint refs;
};

int picture_new(struct snapshot *snapshot, struct peering_index *index, struct picture **ret,
                struct err *err) {
    struct picture_memory *memory = base_malloc(sizeof *memory);

    if (memory == NULL) {
        snapshot_unref(snapshot);
        peering_index_unref(index);
        return err_no_memory(err);
    }
    memory->picture = (struct picture){.snapshot = snapshot, .index = index};
    atomic_init(&memory->refs, 1);
    *ret = &memory->picture;
    return 0;
}

struct picture *picture_ref(struct picture *picture) {
    atomic_fetch_add_explicit(&((struct picture_memory *)picture)->refs, 1, memory_order_relaxed);
    return picture;
}

void picture_unref(struct picture *picture) {
    struct picture_memory *memory = (struct picture_memory *)picture;

    if (memory != NULL && atomic_fetch_sub_explicit(&memory->refs, 1, memory_order_acq_rel) == 1) {
        peering_index_unref(picture->index);
        snapshot_unref(picture->snapshot);
        free(memory);
    }
}

struct picture *state_picture(struct state *state) {
    struct picture *picture;

    pthread_mutex_lock(&state->picture_lock);
    picture = picture_ref(state->picture);
    pthread_mutex_unlock(&state->picture_lock);
    return picture;
}

const char *state_secret_namespace(const struct state *state) {
    return state->secret_namespace;
}

void state_publish(struct state *state, struct picture *next) {
    struct picture *old;

    pthread_mutex_lock(&state->picture_lock);
    old = state->picture;
    state->picture = next;
    pthread_mutex_unlock(&state->picture_lock);
    picture_unref(old);
}

void state_set_failure(struct state *state, const struct err *err) {
    pthread_mutex_lock(&state->failure_lock);
    if (err != NULL) {
        state->failure = *err;
    } else {
        err_clear(&state->failure);
        err_clear(&state->astray);
    }
    pthread_mutex_unlock(&state->failure_lock);
}

void state_set_astray(struct state *state, const struct err *err) {
    pthread_mutex_lock(&state->failure_lock);
    state->astray = err != NULL ? *err : (struct err)ERR_INIT;
    pthread_mutex_unlock(&state->failure_lock);
}

int state_writable(struct state *state, struct err *err) {
    int rc = 0;

    pthread_mutex_lock(&state->failure_lock);
    if (state->failure.code != ERR_NONE) {
        *err = state->failure;
        rc = -1;
    } else if (state->astray.code != ERR_NONE) {
        *err = state->astray;
        rc = -1;
    }
    pthread_mutex_unlock(&state->failure_lock);
    return rc;
}

int state_preview(struct state *state, struct write *write, struct picture **ret_before,
                  struct picture **ret_after, struct node_set **ret_affected, struct err *err) {
    struct picture *before = state_picture(state);
    struct draft draft;
    int rc;

    draft_init(&draft, state, before);
    draft.preview = true;
    rc = draft_apply(&draft, write);
    if (rc < 0) {
        *err = write->err;
    } else {
        rc = draft_picture(&draft, before, ret_after, ret_affected, err);
    }
    draft_done(&draft);
    if (rc < 0) {
        picture_unref(before);
        return -1;
    }
    *ret_before = before;
    return 0;
}

/* ---- start and stop ---- */

int state_open(struct store *store, const struct state_options *options, struct state **ret,
               struct err *err) {
    struct state *state = base_calloc(1, sizeof *state);

    if (state == NULL) {
        return err_no_memory(err);
    }
    state->store = store;
    state->vault = options->vault;
    state->secret_namespace = base_strdup(options->secret_namespace);
    if (state->secret_namespace == NULL) {
        free(state);
        return err_no_memory(err);
    }
    state->keep_changes = options->keep_changes == 0 ? STATE_KEEP_CHANGES_DEFAULT : options->keep_changes;
    state->keep_history_ms = options->keep_history_ms == 0
                                 ? (int64_t)STATE_HISTORY_DAYS_DEFAULT * 24 * 3600 * 1000
                                 : options->keep_history_ms;
    state->max_history_bytes =
        options->max_history_bytes == 0 ? STATE_HISTORY_BYTES_DEFAULT : options->max_history_bytes;
    state->brake.sessions = options->max_disruptive_sessions;
    state->brake.percent = options->max_disruptive_percent;
    state->has_node_ranges = options->node_ranges != NULL;
    if (state->has_node_ranges) {
        state->node_ranges = *options->node_ranges;
    }
    err_clear(&state->failure);
    pthread_mutex_init(&state->picture_lock, NULL);
    pthread_mutex_init(&state->failure_lock, NULL);
    pthread_mutex_init(&state->tokens.lock, NULL);
    past_init(&state->past);
    pthread_mutex_init(&state->frozen.lock, NULL);
    pthread_mutex_init(&state->transitions.lock, NULL);
    given_init(&state->given);
    if (keys_init(&state->keys, err) < 0 || sessions_init(&state->sessions, err) != 0) {
        state_close(state);
        return -1;
    }
    state->lists.status = state->brake.status = state->sessions.status;
    state->lists.given = &state->given;
    if (lists_init(&state->lists, err) < 0 || queue_init(&state->queue, err) < 0 ||
        load_state(state, err) < 0 || tokens_init(state, err) < 0 || freeze_load(state, err) != 0 ||
        trail_open(state, options->keep_audit == 0 ? STATE_KEEP_AUDIT_DEFAULT : options->keep_audit, err) <
            0 ||
        transitions_open(state, options->keep_transitions, err) != 0 || lists_start(state, err) < 0 ||
        committer_start(state, err) < 0 || sessions_start(state, err) != 0) {
        state_close(state);
        return -1;
    }
    store_watch(store, follow_changed, state);
    follow_changed(state); /* what came between loading and watching */
    *ret = state;
    return 0;
}

void state_close(struct state *state) {
    if (state == NULL) {
        return;
    }
    store_watch(state->store, NULL, NULL);
    keys_stop(&state->keys);
    sessions_stop(state);
    committer_stop(state);
    lists_stop(state);
    tokens_done(state);
    trail_close(state);
    transitions_close(state);
    while (state->picture != NULL && given_flush(state)) {
    }
    history_done(&state->history);
    past_done(&state->past);
    given_done(&state->given);
    lists_done(&state->lists);
    sessions_done(&state->sessions);
    follow_done(&state->follow);
    picture_unref(state->picture);
    queue_done(&state->queue);
    keys_done(&state->keys);
    pthread_mutex_destroy(&state->transitions.lock);
    pthread_mutex_destroy(&state->tokens.lock);
    pthread_mutex_destroy(&state->frozen.lock);
    pthread_mutex_destroy(&state->failure_lock);
    pthread_mutex_destroy(&state->picture_lock);
    free(state->secret_namespace);
    free(state);
}
