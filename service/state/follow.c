/*
 * Following: what others have committed to a shared store, brought into the picture, the lists, the history,
 * the tokens and the vault as if it were ours.
 *
 * Every transaction of the store has a number; `commit` is that of the newest one whose whole content is
 * here. The ones behind it are read in their order (store_read_entries):
 *   1. settings: the vault's keys, because what comes next is sealed under them, and tokens;
 *   2. changes of objects, Secrets with the sealed values that came with them and those that they had before;
 *   3. sealed values without a change: they were sealed again under another key. The picture gets them, and
 *      nobody is told of an event.
 *
 * Read twice they have the same result: a failure in the middle is mended by reading again. When the store no
 * longer has them, everything is loaded anew, and the difference is published; whoever watches must list
 * again.
 *
 * All of it on the committer's thread. What the store's own thread does is to set a flag and to queue a task.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "model/resources.h"
#include "secrets.h"

/* One reading of transactions. */
struct pass {
    struct state *state;
    struct picture *base;
    struct draft draft;
    uint64_t commit; /* of the newest that is in the draft */
};

static void pass_begin(struct pass *pass, struct state *state) {
    *pass = (struct pass){.state = state, .base = state_picture(state), .commit = state->follow.commit};
    draft_init(&pass->draft, state, pass->base);
}

static void pass_end(struct pass *pass) {
    draft_done(&pass->draft);
    picture_unref(pass->base);
}

static int pass_publish(struct pass *pass, struct err *err) {
    if (pass->draft.count > 0 && committer_publish(pass->state, &pass->draft, pass->base, false, err) != 0) {
        return -1;
    }
    pass->state->follow.commit = pass->commit;
    return 0;
}

/* ---- settings ---- */

static int follow_settings(struct state *state, const struct store_batch *entry, struct err *err) {
    struct vault_rows *rows = &state->follow.vault_rows;
    bool keys = false;
    for (size_t i = 0; i < entry->setting_count; i++) {
        const struct store_setting *setting = &entry->settings[i];
        int result = 0;
        if (vault_rows_wanted(setting)) {
            keys = true;
            result = vault_rows_put(rows, setting, err);
        } else if (token_setting_wanted(setting)) {
            result = tokens_follow(state, setting, err);
        } else if (freeze_setting_wanted(setting)) {
            freeze_follow(state, setting);
        } /* others are a later version's */
        if (result != 0) {
            return -1;
        }
    }
    return keys && state->vault != NULL ? vault_follow(state->vault, rows->items, rows->count, err) : 0;
}

/* ---- objects ---- */

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const struct store_sealed *)a)->item, ((const struct store_sealed *)b)->item);
}

/* Add the row, or put it in the place of its item's. */
static int put_row(struct sealed_rows *rows, const struct store_sealed *row, struct err *err) {
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->items[i].item, row->item) == 0) {
            rows->items[i] = rows->items[--rows->count];
            break;
        }
    }
    return sealed_rows_add(rows, row, err);
}

/*
 * The sealed values of one Secret as they are after a change: what it had, and what the transaction brings. A
 * value's version is the revision of the change that made it, so those of a later change in the same
 * transaction are known by theirs. Rows that delete a value have none, and need none: nobody asks for a value
 * that the Secret does not name.
 */
static int rows_of_secret(const struct record *before, const struct store_batch *entry, const char *name,
                          uint64_t newest_version, struct sealed_rows *ret, struct err *err) {
    const struct secret *secret = before != NULL ? before->object->body : NULL;
    for (size_t i = 0; secret != NULL && i < secret->values.count; i++) {
        const struct secret_value *value = (const struct secret_value *)secret->values.items + i;
        const struct store_sealed row = secret_row(name, value);
        if (value->nonce != NULL && put_row(ret, &row, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < entry->sealed_count; i++) {
        const struct store_sealed *row = &entry->sealed[i];
        if (row->ciphertext != NULL && row->version <= newest_version && strcmp(row->object, name) == 0 &&
            put_row(ret, row, err) != 0) {
            return -1;
        }
    }
    if (ret->count > 1) {
        qsort(ret->items, ret->count, sizeof(*ret->items), compare_rows);
    }
    return 0;
}

static int follow_record(struct pass *pass, const struct store_batch *entry,
                         const struct store_change *change, const struct record *before, struct record **ret,
                         struct err *err) {
    const struct kind_info *info = kind_by_name(change->kind);
    bool sealed = info != NULL && info->kind == KIND_SECRET && change->op != STORE_DELETE;
    struct sealed_rows rows = {.count = 0};
    int result = sealed ? rows_of_secret(before, entry, change->name, change->revision, &rows, err) : 0;
    if (result == 0) {
        result = state_load_record(sealed ? pass->draft.vault : NULL, &rows, change->kind, change->name,
                                   change->body, change->body_len, ret, err);
    }
    sealed_rows_done(&rows);
    return result;
}

static int follow_change(struct pass *pass, const struct store_batch *entry,
                         const struct store_change *change, struct err *err) {
    const struct kind_info *info = kind_by_name(change->kind);
    const struct record *before = info == NULL ? NULL : draft_get(&pass->draft, info->kind, change->name);
    struct record *record;
    if (follow_record(pass, entry, change, before, &record, err) != 0) {
        return -1;
    }
    if ((before == NULL) != (change->op == STORE_CREATE) || record->revision != change->revision) {
        record_unref(record);
        return err_set(err, ERR_CORRUPT,
                       "the change log does not go on from what was loaded (%s \"%s\" at revision %llu); "
                       "restart the service",
                       change->kind, change->name, (unsigned long long)change->revision);
    }
    assert(info != NULL); /* a record of an unknown kind is not read */
    pass->draft.revision = change->revision;
    int result = draft_add(&pass->draft, change->op, info->kind, before, record, NULL, err);
    record_unref(record);
    return result;
}

static int add_silently(struct draft *draft, const struct record *before, const struct record *record,
                        struct err *err) {
    if (draft_add(draft, STORE_UPDATE, KIND_SECRET, before, record, NULL, err) != 0) {
        return -1;
    }
    draft->changes[draft->count - 1].silent = true;
    return 0;
}

/* One Secret, whose values were sealed again. */
static int follow_reseal(struct pass *pass, const struct store_batch *entry, const char *name,
                         struct err *err) {
    const struct record *before = draft_get(&pass->draft, KIND_SECRET, name);
    struct sealed_rows rows = {.count = 0};
    struct record *record = NULL;
    if (before == NULL) {
        return 0;
    }
    int result = rows_of_secret(before, entry, name, UINT64_MAX, &rows, err);
    if (result == 0) {
        result = state_load_record(pass->draft.vault, &rows, kind_info(KIND_SECRET)->name, name, before->json,
                                   before->json_len, &record, err);
    }
    if (result == 0) {
        result = add_silently(&pass->draft, before, record, err);
    }
    record_unref(record);
    sealed_rows_done(&rows);
    return result;
}

static bool drops_key(const struct store_batch *entry) {
    for (size_t i = 0; i < entry->setting_count; i++) {
        if (entry->settings[i].value == NULL && vault_rows_wanted(&entry->settings[i])) {
            return true;
        }
    }
    return false;
}

static int follow_entry(void *arg, const struct store_batch *entry, struct err *err) {
    struct pass *pass = arg;
    if (drops_key(entry)) { /* whoever reveals a password finds a picture that no longer needs it */
        if (pass_publish(pass, err) != 0) {
            return -1;
        }
        pass_end(pass);
        pass_begin(pass, pass->state);
    }
    if (follow_settings(pass->state, entry, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < entry->change_count; i++) {
        if (follow_change(pass, entry, &entry->changes[i], err) != 0) {
            return -1;
        }
    }
    /* The rows of one Secret stand together. */
    for (size_t i = 0; entry->change_count == 0 && i < entry->sealed_count; i++) {
        const char *name = entry->sealed[i].object;
        if ((i == 0 || strcmp(entry->sealed[i - 1].object, name) != 0) &&
            follow_reseal(pass, entry, name, err) != 0) {
            return -1;
        }
    }
    pass->commit = entry->base + 1;
    return 0;
}

/* ---- when too much was missed ---- */

static int add_difference(struct draft *draft, const struct record *record, struct err *err) {
    enum kind kind = record->object->kind;
    const struct record *before = snapshot_get(draft->base, kind, record->key);
    if (before != NULL && before->revision == record->revision) {
        /* Its values may be under another key. */
        return kind == KIND_SECRET ? add_silently(draft, before, record, err) : 0;
    }
    return draft_add(draft, before == NULL ? STORE_CREATE : STORE_UPDATE, kind, before, record, NULL, err);
}

/* What there was, and is not in `now` any more. */
static int add_deletions(struct draft *draft, const struct snapshot *now, struct err *err) {
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct snapshot_cursor cursor;
        for (const struct record *record = snapshot_seek(&cursor, draft->base, (enum kind)kind, NULL);
             record != NULL; record = snapshot_step(&cursor)) {
            if (snapshot_get(now, (enum kind)kind, record->key) == NULL &&
                draft_add(draft, STORE_DELETE, (enum kind)kind, record, record, NULL, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int add_differences(struct draft *draft, const struct loaded *loaded, struct err *err) {
    struct snapshot *empty = NULL, *now = NULL;
    int result = snapshot_new_empty(&empty, err);
    if (result == 0) {
        result = snapshot_next(empty, loaded->changes, loaded->count, loaded->status.revision, &now, err);
    }
    if (result == 0) {
        result = add_deletions(draft, now, err);
    }
    for (size_t i = 0; result == 0 && i < loaded->count; i++) {
        result = add_difference(draft, loaded->changes[i].after, err);
    }
    snapshot_unref(now);
    snapshot_unref(empty);
    return result;
}

static int take_loaded(struct state *state, struct loaded *loaded, struct err *err) {
    struct picture *base = state_picture(state);
    struct draft draft;
    draft_init(&draft, state, base);
    int result = 0;
    if (loaded->status.revision < draft.revision) {
        result =
            err_set(err, ERR_CORRUPT,
                    "the store is at revision %llu, and this instance has seen %llu: it was put back to an "
                    "earlier state; restart the instance to go on with that",
                    (unsigned long long)loaded->status.revision, (unsigned long long)draft.revision);
    }
    draft.revision = loaded->status.revision;
    if (result == 0) {
        result = tokens_reload(state, loaded->tokens, loaded->token_count, err);
    }
    if (result == 0) {
        result = add_differences(&draft, loaded, err);
    }
    if (result == 0) {
        result = committer_publish(state, &draft, base, true, err);
    }
    draft_done(&draft);
    picture_unref(base);
    return result;
}

static int follow_reload(struct state *state, struct err *err) {
    struct loaded loaded;
    if (load_all(state, &loaded, err) != 0) {
        return -1;
    }
    int result = take_loaded(state, &loaded, err) != 0 || freeze_load(state, err) != 0 ? -1 : 0;
    if (result == 0) {
        log_event(LOG_WARN, "loaded-again", LOG_INT("revision", loaded.status.revision),
                  LOG_STR("text", "this instance had missed more than the store's log keeps"));
        state->follow.commit = loaded.status.commit;
        vault_rows_done(&state->follow.vault_rows);
        state->follow.vault_rows = loaded.vault_rows;
        loaded.vault_rows = (struct vault_rows){.count = 0};
        const struct vault_rows *rows = &state->follow.vault_rows;
        if (state->vault != NULL) { /* the picture before this one no longer needs its keys */
            result = vault_follow(state->vault, rows->items, rows->count, err);
        }
    }
    loaded_done(&loaded);
    return result;
}

/* ---- both ---- */

static int follow_log(struct state *state, struct err *err) {
    struct pass pass;
    pass_begin(&pass, state);
    int result = store_read_entries(state->store, state->follow.commit, follow_entry, &pass, err);
    if (result == 0) {
        result = pass_publish(&pass, err);
    }
    pass_end(&pass);
    return result;
}

int follow_now(struct state *state, struct err *err) {
    struct err before = ERR_INIT;
    int result = follow_log(state, err);
    if (result != 0 && err->code == ERR_EXPIRED) {
        err_clear(err);
        result = follow_reload(state, err);
    }
    if (result == 0) {
        state_set_astray(state, NULL);
        return 0;
    }
    err->code = ERR_UNAVAILABLE; /* whatever it is to us */
    err_wrap(err, "what other instances have written cannot be followed");
    if (state_writable(state, &before) == 0) {
        log_event(LOG_ERROR, "following-failed", LOG_STR("error", err->text));
    }
    state_set_astray(state, err);
    return -1;
}

void follow_own(struct state *state, const struct store_batch *batch) {
    struct err err = ERR_INIT;
    for (size_t i = 0; i < batch->setting_count; i++) {
        if (vault_rows_wanted(&batch->settings[i]) &&
            vault_rows_put(&state->follow.vault_rows, &batch->settings[i], &err) != 0) {
            return; /* it will be followed as if it were somebody else's */
        }
    }
    state->follow.commit = batch->base + 1;
}

void follow_done(struct follow *follow) {
    vault_rows_done(&follow->vault_rows);
}

/* ---- when the store says so ---- */

static int task_follow(struct state *state, struct task *task, struct err *err) {
    (void)task;
    int result = 0;
    while (result == 0 && atomic_exchange(&state->follow.changed, false)) {
        result = follow_now(state, err);
    }
    return result;
}

static void follow_submit(struct state *state);

static void task_done(struct task *task) {
    struct state *state = task->arg;

    atomic_store(&state->follow.queued, false);
    if (atomic_load(&state->follow.changed)) {
        follow_submit(state); /* it came after the task had looked */
    }
}

static void follow_submit(struct state *state) {
    struct err busy = ERR_INIT;

    if (atomic_exchange(&state->follow.queued, true)) {
        return;
    }
    state->follow.task = (struct task){.run = task_follow, .done = task_done, .arg = state};
    if (committer_submit(state, &state->follow.task, &busy) != 0) {
        atomic_store(&state->follow.queued, false); /* the next change, or a commit's conflict, does it */
    }
}

void follow_changed(void *arg) {
    struct state *state = arg;

    if (!store_is_shared(state->store)) {
        return;
    }
    atomic_store(&state->follow.changed, true);
    follow_submit(state);
}
