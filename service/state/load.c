/*
 * Loading: everything that the store holds, as of one moment, into a picture and the history; at boot, and
 * again by follow.c when a shared store no longer has the transactions that this instance missed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "state_internal.h"

static const char DATA_KEY[] = "vault/key/";

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

/* ---- all of it ---- */

static void note_moment(void *arg, const struct store_status *status) {
    ((struct loaded *)arg)->status = *status;
}

/* Only of a shared store: the vault and the tokens were read at another moment. */
static int load_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct loaded *loaded = arg;
    if (vault_rows_wanted(setting)) {
        return vault_rows_put(&loaded->vault_rows, setting, err);
    }
    if (!token_setting_wanted(setting)) {
        return 0;
    }
    struct store_setting *tokens =
        base_grow(loaded->tokens, loaded->token_count, &loaded->token_cap, 64, sizeof(*tokens));
    if (tokens == NULL) {
        return err_no_memory(err);
    }
    loaded->tokens = tokens;
    tokens[loaded->token_count] =
        (struct store_setting){.name = arena_strdup(&loaded->arena, setting->name),
                               .value = arena_strndup(&loaded->arena, setting->value, setting->value_len),
                               .value_len = setting->value_len};
    if (loaded->arena.failed) {
        return err_no_memory(err);
    }
    loaded->token_count++;
    return 0;
}

static int load_sealed(void *arg, const struct store_sealed *row, struct err *err) {
    return sealed_rows_add(&((struct loaded *)arg)->sealed, row, err);
}

static struct store_setting setting_of(const struct vault_setting *row) {
    return (struct store_setting){.name = row->name, .value = row->value, .value_len = row->value_len};
}

static bool has_row(const struct vault_rows *rows, const char *name) {
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What was loaded, and of the former rows the data keys that are gone from it. */
static int join_rows(const struct loaded *loaded, struct vault_rows *ret, struct err *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < loaded->vault_rows.count; i++) {
        const struct store_setting setting = setting_of(&loaded->vault_rows.items[i]);
        result = vault_rows_put(ret, &setting, err);
    }
    for (size_t i = 0; result == 0 && i < loaded->former->count; i++) {
        const struct store_setting setting = setting_of(&loaded->former->items[i]);
        if (strncmp(setting.name, DATA_KEY, strlen(DATA_KEY)) == 0 && !has_row(ret, setting.name)) {
            result = vault_rows_put(ret, &setting, err);
        }
    }
    return result;
}

/*
 * The settings have come before: the values are decrypted with the keys of the same moment. The keys of the
 * picture that is in use stay until another one is published (follow.c), so that its passwords can be had
 * meanwhile; but for those that no longer fit, because the root key was changed.
 */
static int settle_keys(struct loaded *loaded, struct err *err) {
    if (!loaded->shared || loaded->vault == NULL || loaded->keys_settled) {
        return 0;
    }
    struct vault_rows both = {.count = 0};
    struct err unfit = ERR_INIT;
    bool joined = loaded->former->count > 0 && join_rows(loaded, &both, &unfit) == 0 &&
                  vault_follow(loaded->vault, both.items, both.count, &unfit) == 0;
    vault_rows_done(&both);
    loaded->keys_settled = true;
    return joined ? 0 : vault_follow(loaded->vault, loaded->vault_rows.items, loaded->vault_rows.count, err);
}

static int load_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                       size_t body_len, struct err *err) {
    struct loaded *loaded = arg;
    struct record *record;

    (void)revision; /* the body carries it */
    struct snapshot_change *changes =
        base_grow(loaded->changes, loaded->count, &loaded->cap, 1024, sizeof(*changes));
    if (changes == NULL) {
        return err_no_memory(err);
    }
    loaded->changes = changes;
    if (settle_keys(loaded, err) != 0 ||
        state_load_record(loaded->vault, &loaded->sealed, kind, name, body, body_len, &record, err) != 0) {
        return -1;
    }
    loaded->changes[loaded->count++] =
        (struct snapshot_change){.kind = record->object->kind, .after = record};
    return 0;
}

int load_all(struct state *state, struct loaded *ret, struct err *err) {
    *ret = (struct loaded){
        .vault = state->vault, .shared = store_is_shared(state->store), .former = &state->follow.vault_rows};
    arena_init(&ret->arena, 0);
    const struct store_reader reader = {.moment = note_moment,
                                        .object = load_object,
                                        .sealed = load_sealed,
                                        .setting = ret->shared ? load_setting : NULL,
                                        .arg = ret};
    if (store_load(state->store, &reader, err) == 0 && settle_keys(ret, err) == 0) {
        return 0;
    }
    loaded_done(ret);
    return -1;
}

void loaded_done(struct loaded *loaded) {
    for (size_t i = 0; i < loaded->count; i++) {
        record_unref(loaded->changes[i].after);
    }
    free(loaded->changes);
    free(loaded->tokens);
    sealed_rows_done(&loaded->sealed);
    vault_rows_done(&loaded->vault_rows);
    arena_done(&loaded->arena);
    *loaded = (struct loaded){.count = 0};
}

/* ---- at boot ---- */

static int load_picture(struct state *state, const struct loaded *loaded, struct err *err) {
    struct snapshot *empty = NULL, *snapshot;
    struct peering_index *index;
    int result = -1;

    if (snapshot_new_empty(&empty, err) == 0 &&
        snapshot_next(empty, loaded->changes, loaded->count, loaded->status.revision, &snapshot, err) == 0) {
        if (peering_index_new(snapshot, state->secret_namespace, &index, err) == 0) {
            result = picture_new(snapshot, index, &state->picture, err);
        } else {
            snapshot_unref(snapshot);
        }
    }
    snapshot_unref(empty);
    return result;
}

static int load_event(void *arg, const struct store_change *change, struct err *err) {
    struct state *state = arg;
    struct state_event event = {.op = change->op, .revision = change->revision};
    const struct record *live;
    const struct sealed_rows none = {0}; /* nobody reads passwords out of history */
    struct record *record;

    if (kind_by_name(change->kind) == NULL ||
        change->revision > snapshot_revision(state->picture->snapshot)) {
        return 0; /* nobody can watch it; it will be followed */
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

int load_state(struct state *state, struct err *err) {
    struct loaded loaded;
    if (history_init(&state->history, (size_t)state->keep_changes, err) < 0 ||
        load_all(state, &loaded, err) != 0) {
        return -1;
    }
    const struct store_status status = loaded.status;
    int result = load_picture(state, &loaded, err);
    if (result == 0) {
        state->follow.commit = status.commit;
        state->follow.vault_rows = loaded.vault_rows;
        loaded.vault_rows = (struct vault_rows){.count = 0};
    }
    loaded_done(&loaded);
    if (result != 0 || load_history(state, &status, err) != 0) {
        return -1;
    }
    return lists_grow(&state->lists, peering_index_slots(state->picture->index), err) != 0
               ? -1
               : given_load(state, err);
}
