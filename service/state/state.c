/*
 * State: loading at boot, the current picture, previews, start and stop of the threads. Owns everything in
 * struct state but the store. See state_internal.h for the locks.
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
    }
    pthread_mutex_unlock(&state->failure_lock);
}

int state_writable(struct state *state, struct err *err) {
    int rc = 0;

    pthread_mutex_lock(&state->failure_lock);
    if (state->failure.code != ERR_NONE) {
        *err = state->failure;
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

/* ---- loading ---- */

struct loader {
    struct vault *vault;
    struct sealed_rows sealed;
    struct snapshot_change *changes;
    size_t count;
    size_t cap;
};

/* A record from what the store holds. */
int state_load_record(struct vault *vault, const struct sealed_rows *rows, const char *kind_name,
                      const char *name, const char *body, size_t body_len, struct record **ret,
                      struct err *err) {
    const struct kind_info *info = kind_by_name(kind_name);
    struct object *object;
    struct arena arena;
    bool altered = false;
    const char *key;
    char *json;

    if (info == NULL) {
        return err_set(err, ERR_CORRUPT,
                       "the database holds an object of kind \"%.64s\", which this version "
                       "does not know; use the version of bgppeerd that wrote it",
                       kind_name);
    }
    arena_init(&arena, 512);
    if (codec_decode_stored(info->kind, body, body_len, &arena, &object, err) < 0) {
        arena_done(&arena);
        err->code = ERR_CORRUPT;
        return err_wrap(err, "the stored %s \"%s\" cannot be read", kind_name, name);
    }
    if (info->kind == KIND_SECRET && secret_load(vault, rows, object, &arena, &altered, err) < 0) {
        arena_done(&arena);
        return -1;
    }
    key = object_key(object, &arena);
    if (altered) {
        struct buf anew = BUF_INIT;

        codec_encode(object, &anew);
        json = buf_failed(&anew) ? NULL : arena_strndup(&arena, anew.data, anew.len);
        body_len = anew.len;
        buf_done(&anew);
    } else {
        json = arena_strndup(&arena, body, body_len);
    }
    if (key == NULL || json == NULL) {
        arena_done(&arena);
        return err_no_memory(err);
    }
    if (strcmp(key, name) != 0) {
        err_set(err, ERR_CORRUPT, "the stored %s \"%s\" says that its name is \"%s\"; restore a backup",
                kind_name, name, key);
        arena_done(&arena);
        return -1;
    }
    return record_new(&arena, object, key, json, body_len, ret, err);
}

static int load_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                       size_t body_len, struct err *err) {
    struct loader *loader = arg;
    struct snapshot_change *changes;
    struct record *record;

    (void)revision; /* the body carries it */
    changes = base_grow(loader->changes, loader->count, &loader->cap, 1024, sizeof *changes);
    if (changes == NULL) {
        return err_no_memory(err);
    }
    loader->changes = changes;
    if (state_load_record(loader->vault, &loader->sealed, kind, name, body, body_len, &record, err) < 0) {
        return -1;
    }
    loader->changes[loader->count++] =
        (struct snapshot_change){.kind = record->object->kind, .after = record};
    return 0;
}

static int load_sealed(void *arg, const struct store_sealed *row, struct err *err) {
    struct loader *loader = arg;

    return sealed_rows_add(&loader->sealed, row, err);
}

static int load_picture(struct state *state, uint64_t revision, struct err *err) {
    struct loader loader = {.vault = state->vault};
    const struct store_reader reader = {.object = load_object, .sealed = load_sealed, .arg = &loader};
    struct snapshot *empty = NULL, *snapshot;
    struct peering_index *index;
    int rc = -1;

    if (store_load(state->store, &reader, err) == 0 && snapshot_new_empty(&empty, err) == 0 &&
        snapshot_next(empty, loader.changes, loader.count, revision, &snapshot, err) == 0) {
        if (peering_index_new(snapshot, state->secret_namespace, &index, err) == 0) {
            rc = picture_new(snapshot, index, &state->picture, err);
        } else {
            snapshot_unref(snapshot);
        }
    }
    snapshot_unref(empty);
    for (size_t i = 0; i < loader.count; i++) {
        record_unref(loader.changes[i].after);
    }
    free(loader.changes);
    sealed_rows_done(&loader.sealed);
    return rc;
}

static int load_event(void *arg, const struct store_change *change, struct err *err) {
    struct state *state = arg;
    struct state_event event = {.op = change->op, .revision = change->revision};
    const struct record *live;
    const struct sealed_rows none = {0}; /* nobody reads passwords out of history */
    struct record *record;

    if (kind_by_name(change->kind) == NULL) {
        return 0; /* nobody can watch it */
    }
    /* Most changes left an object that is still there: share its record. */
    live = snapshot_get(state->picture->snapshot, kind_by_name(change->kind)->kind, change->name);
    if (live != NULL && live->revision == change->revision) {
        record = record_ref(live);
    } else if (state_load_record(NULL, &none, change->kind, change->name, change->body, change->body_len,
                                 &record, err) < 0) {
        return -1;
    }
    event.kind = record->object->kind;
    event.after = record;
    history_add(&state->history, &event, 1, change->revision);
    record_unref(record);
    return 0;
}

static int load_history(struct state *state, const struct store_status *status, struct err *err) {
    uint64_t after = status->compacted;

    if (status->revision > state->keep_changes && status->revision - state->keep_changes > after) {
        after = status->revision - state->keep_changes;
    }
    state->history.compacted = after;
    if (store_read_changes(state->store, after, 0, load_event, state, err) < 0) {
        return -1;
    }
    history_add(&state->history, NULL, 0, status->revision);
    /* A stop, or a smaller setting, may have left more in the log than is kept. */
    state->compaction_due = (size_t)(status->revision - status->compacted) - history_kept(&state->history);
    return 0;
}

/* ---- start and stop ---- */

static int state_load(struct state *state, struct err *err) {
    struct store_status status;

    if (store_status(state->store, &status, err) < 0 ||
        history_init(&state->history, (size_t)state->keep_changes, err) < 0 ||
        load_picture(state, status.revision, err) < 0 || load_history(state, &status, err) < 0) {
        return -1;
    }
    return lists_grow(&state->lists, peering_index_slots(state->picture->index), err);
}

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
    state->has_node_ranges = options->node_ranges != NULL;
    if (state->has_node_ranges) {
        state->node_ranges = *options->node_ranges;
    }
    err_clear(&state->failure);
    pthread_mutex_init(&state->picture_lock, NULL);
    pthread_mutex_init(&state->failure_lock, NULL);
    if (keys_init(&state->keys, err) < 0 || sessions_init(&state->sessions, err) != 0) {
        state_close(state);
        return -1;
    }
    state->lists.status = state->sessions.status;
    if (lists_init(&state->lists, err) < 0 || queue_init(&state->queue, err) < 0 ||
        state_load(state, err) < 0 || tokens_init(state, err) < 0 ||
        trail_open(state, options->keep_audit == 0 ? STATE_KEEP_AUDIT_DEFAULT : options->keep_audit, err) <
            0 ||
        lists_start(state, err) < 0 || committer_start(state, err) < 0 || sessions_start(state, err) != 0) {
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
    history_done(&state->history);
    lists_done(&state->lists);
    sessions_done(&state->sessions);
    picture_unref(state->picture);
    queue_done(&state->queue);
    keys_done(&state->keys);
    pthread_mutex_destroy(&state->failure_lock);
    pthread_mutex_destroy(&state->picture_lock);
    free(state->secret_namespace);
    free(state);
}
