/*
 * Keys: opening the vault over the store, and its rotations while the service runs. Each step is one task
 * on the committer's thread (the only one that commits and that may change the keyring); between steps
 * other writes go on. keys.lock is held over all steps of one change, so there is one at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

#define RESEAL_BATCH 64 /* Secrets sealed again in one transaction */

/* ---- opening ---- */

struct kept {
    struct arena arena;
    struct vault_setting *items;
    size_t count;
    size_t cap;
    size_t sealed_count;
};

static int kept_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct kept *kept = arg;
    void *value;

    if (strncmp(setting->name, "vault/", strlen("vault/")) != 0) {
        return 0;
    }
    if (kept->count == kept->cap) {
        size_t cap = kept->cap == 0 ? 16 : kept->cap * 2;
        struct vault_setting *items = realloc(kept->items, cap * sizeof *items);

        if (items == NULL) {
            return err_no_memory(err);
        }
        kept->items = items;
        kept->cap = cap;
    }
    value = arena_alloc(&kept->arena, setting->value_len);
    if (value == NULL) {
        return err_no_memory(err);
    }
    memcpy(value, setting->value, setting->value_len);
    kept->items[kept->count] = (struct vault_setting){
        .name = arena_strdup(&kept->arena, setting->name), .value = value, .value_len = setting->value_len};
    if (kept->items[kept->count].name == NULL) {
        return err_no_memory(err);
    }
    kept->count++;
    return 0;
}

static int kept_sealed(void *arg, const struct store_sealed *sealed, struct err *err) {
    (void)sealed;
    (void)err;
    ((struct kept *)arg)->sealed_count++;
    return 0;
}

static int commit_settings(struct store *store, const struct vault_settings *settings, struct err *err) {
    struct store_setting *rows;
    int rc;

    if (settings->count == 0) {
        return 0;
    }
    rows = calloc(settings->count, sizeof *rows);
    if (rows == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < settings->count; i++) {
        rows[i] = (struct store_setting){.name = settings->items[i].name,
                                         .value = settings->items[i].value,
                                         .value_len = settings->items[i].value_len};
    }
    rc = store_commit(store, &(struct store_batch){.settings = rows, .setting_count = settings->count}, err);
    free(rows);
    return rc;
}

int state_open_vault(struct store *store, struct vault_options *options, struct vault **ret,
                     struct err *err) {
    struct kept kept = {0};
    const struct store_reader reader = {.setting = kept_setting, .sealed = kept_sealed, .arg = &kept};
    struct vault_settings to_write;
    struct vault *vault = NULL;
    int rc;

    arena_init(&kept.arena, 0);
    rc = store_load(store, &reader, err);
    if (rc == 0) {
        options->sealed_count = kept.sealed_count;
        rc = vault_open(options, kept.items, kept.count, &vault, &to_write, err);
    }
    if (rc == 0) {
        rc = commit_settings(store, &to_write, err);
        if (rc == 0) {
            vault_apply(vault);
            *ret = vault;
        } else {
            vault_close(vault);
        }
    }
    free(kept.items);
    arena_done(&kept.arena);
    return rc;
}

/* ---- tasks on the committer's thread ---- */

struct task {
    struct write write;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    /* arguments and results of the steps */
    const struct vault_new_root *new_root;
    char after[2 * 254]; /* key of the last Secret that was looked at; "" = none yet */
    size_t looked;       /* Secrets looked at by this step */
};

static void task_done(struct write *write) {
    struct task *task = write->arg;

    pthread_mutex_lock(&task->lock);
    task->done = true;
    pthread_cond_signal(&task->cond);
    pthread_mutex_unlock(&task->lock);
}

/* Run one step on the committer's thread and wait for it. */
static int task_run(struct state *state, struct task *task,
                    int (*step)(struct state *state, struct write *write, struct err *err), struct err *err) {
    int rc;

    task->done = false;
    task->write = (struct write){.op = WRITE_KEYS, .keys = step, .done = task_done, .arg = task};
    pthread_mutex_init(&task->lock, NULL);
    pthread_cond_init(&task->cond, NULL);
    rc = state_submit(state, &task->write, err);
    if (rc == 0) {
        pthread_mutex_lock(&task->lock);
        while (!task->done) {
            pthread_cond_wait(&task->cond, &task->lock);
        }
        pthread_mutex_unlock(&task->lock);
        if (task->write.err.code != ERR_NONE) {
            *err = task->write.err;
            rc = -1;
        }
    }
    pthread_cond_destroy(&task->cond);
    pthread_mutex_destroy(&task->lock);
    return rc;
}

/* Commit what the vault has prepared, and bring it into force. */
static int commit_prepared(struct state *state, const struct vault_settings *settings, struct err *err) {
    if (commit_settings(state->store, settings, err) < 0) {
        vault_discard(state->vault);
        return -1;
    }
    vault_apply(state->vault);
    return 0;
}

static int step_new_key(struct state *state, struct write *write, struct err *err) {
    struct vault_settings settings;

    (void)write;
    if (vault_prepare_data_key(state->vault, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

/* The next Secrets after task->after, sealed again: rows and picture change, what is served does not, so
 * there is no change-log row and no event. */
static int step_reseal(struct state *state, struct write *write, struct err *err) {
    struct task *task = write->arg;
    struct picture *base = state_picture(state);
    struct draft draft;
    struct picture *picture = NULL;
    struct node_set *affected = NULL;
    struct snapshot_cursor cursor;
    const struct record *record;
    int rc = 0;

    draft_init(&draft, state, base->snapshot);
    task->looked = 0;
    record = snapshot_seek(&cursor, base->snapshot, KIND_SECRET, task->after[0] == '\0' ? NULL : task->after);
    for (; record != NULL && rc == 0 && task->looked < RESEAL_BATCH; record = snapshot_step(&cursor)) {
        struct record *resealed;

        rc = secret_reseal(state->vault, record, &resealed, err);
        if (rc == 0 && resealed != NULL) {
            rc = draft_add(&draft, STORE_UPDATE, KIND_SECRET, record, resealed, NULL, err);
            record_unref(resealed);
        }
        snprintf(task->after, sizeof task->after, "%s", record->key);
        task->looked++;
    }
    if (rc == 0 && draft.count > 0) {
        rc = draft_picture(&draft, base, &picture, &affected, err);
    }
    if (rc == 0 && draft.count > 0) {
        const struct store_batch batch = {.sealed = draft.sealed, .sealed_count = draft.sealed_count};

        rc = store_commit(state->store, &batch, err);
    }
    if (rc == 0 && draft.count > 0) {
        state_publish(state, picture);
        lists_mark(&state->lists, affected, draft.revision);
        picture = NULL;
    }
    picture_unref(picture);
    node_set_free(affected);
    draft_done(&draft);
    picture_unref(base);
    return rc;
}

static int step_drop_unused(struct state *state, struct write *write, struct err *err) {
    struct picture *picture = state_picture(state);
    struct vault_settings settings;
    struct snapshot_cursor cursor;
    const struct record *record;
    uint64_t used[VAULT_KEYS_MAX];
    size_t count = 0;
    int rc;

    (void)write;
    for (record = snapshot_seek(&cursor, picture->snapshot, KIND_SECRET, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct secret *secret = record->object->body;
        const struct secret_value *values = secret->values.items;

        for (size_t i = 0; i < secret->values.count; i++) {
            size_t at = 0;

            while (at < count && used[at] != values[i].key_id) {
                at++;
            }
            if (at == count && count < VAULT_KEYS_MAX) {
                used[count++] = values[i].key_id;
            }
        }
    }
    picture_unref(picture);
    rc = vault_prepare_drop_unused(state->vault, used, count, &settings, err);
    return rc < 0 ? -1 : commit_prepared(state, &settings, err);
}

static int step_root_change(struct state *state, struct write *write, struct err *err) {
    const struct task *task = write->arg;
    struct vault_settings settings;

    if (vault_prepare_root_change(state->vault, task->new_root, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

static int step_root_switch(struct state *state, struct write *write, struct err *err) {
    struct vault_settings settings;

    (void)write;
    if (vault_switch_root_key(state->vault, err) < 0 ||
        vault_prepare_root_finish(state->vault, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

/* ---- the changes ---- */

static int keys_begin(struct state *state, struct err *err) {
    if (state->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault");
    }
    if (pthread_mutex_trylock(&state->keys.lock) != 0) {
        return err_set(err, ERR_CONFLICT,
                       "another change of the vault's keys is running; wait until it is done");
    }
    return 0;
}

static size_t count_secrets(struct state *state) {
    struct picture *picture = state_picture(state);
    size_t count = snapshot_count(picture->snapshot, KIND_SECRET);

    picture_unref(picture);
    return count;
}

int state_rotate_data_key(struct state *state, const struct key_progress *progress, struct err *err) {
    struct task task = {0};
    size_t done = 0;
    int rc;

    if (keys_begin(state, err) < 0) {
        return -1;
    }
    log_event(LOG_INFO, "data-key-rotation-started");
    rc = task_run(state, &task, step_new_key, err);
    while (rc == 0) {
        rc = task_run(state, &task, step_reseal, err);
        if (rc < 0 || task.looked == 0) {
            break;
        }
        done += task.looked;
        if (progress != NULL && progress->step != NULL) {
            progress->step(progress->arg, done, count_secrets(state));
        }
    }
    if (rc == 0) {
        rc = task_run(state, &task, step_drop_unused, err);
    }
    if (rc == 0) {
        log_event(LOG_INFO, "data-key-rotated", LOG_INT("secrets", done));
    } else {
        log_event(LOG_ERROR, "data-key-rotation-stopped", LOG_INT("secrets", done),
                  LOG_STR("error", err->text));
    }
    pthread_mutex_unlock(&state->keys.lock);
    return rc;
}

int state_change_root_key(struct state *state, const struct vault_new_root *new_root, bool *ret_restart,
                          struct err *err) {
    struct task task = {.new_root = new_root};
    bool restart = new_root->key_file != NULL || new_root->passphrase_file != NULL;
    int rc;

    if (keys_begin(state, err) < 0) {
        return -1;
    }
    rc = task_run(state, &task, step_root_change, err);
    if (rc == 0 && !restart) {
        rc = task_run(state, &task, step_root_switch, err);
    }
    if (rc == 0) {
        log_event(LOG_INFO, restart ? "root-key-change-pending" : "root-key-changed");
        *ret_restart = restart;
    } else {
        log_event(LOG_ERROR, "root-key-change-stopped", LOG_STR("error", err->text));
    }
    pthread_mutex_unlock(&state->keys.lock);
    return rc;
}

int state_vault_status(struct state *state, struct vault_status *ret, struct err *err) {
    struct picture *picture;
    struct snapshot_cursor cursor;
    const struct record *record;

    if (state->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault");
    }
    vault_status(state->vault, ret);
    picture = state_picture(state);
    for (record = snapshot_seek(&cursor, picture->snapshot, KIND_SECRET, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct secret *secret = record->object->body;
        const struct secret_value *values = secret->values.items;

        for (size_t i = 0; i < secret->values.count; i++) {
            (void)vault_status_count(ret, values[i].key_id); /* unreadable ones count for no key */
        }
    }
    picture_unref(picture);
    return 0;
}
