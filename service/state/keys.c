/*
 * Keys: the vault's rotations while the service runs. Each step is one task on the committer's thread (the
 * only one that commits and that may change the keyring); between steps other writes go on. keys.lock is held
 * over all steps of one change, so there is one at a time.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

#define RESEAL_BATCH 64 /* Secrets sealed again in one transaction */

/* ---- tasks on the committer's thread ---- */

struct task {
    struct write write; /* first: steps get it */
    /* arguments and results of the steps */
    const struct vault_new_root *new_root;
    char after[2 * 254]; /* key of the last Secret that was looked at; "" = none yet */
    size_t looked;       /* Secrets looked at by this step */
};

/* Run one step on the committer's thread and wait for it. */
static int task_run(struct state *state, struct task *task,
                    int (*step)(struct state *state, struct write *write, struct err *err), struct err *err) {
    task->write = (struct write){.op = WRITE_TASK, .task = step};
    return committer_run(state, &task->write, err);
}

/* Commit what the vault has prepared, and bring it into force. */
static int commit_prepared(struct state *state, const struct vault_settings *settings, struct err *err) {
    if (vault_commit_settings(state->store, settings, err) < 0) {
        vault_discard(state->vault);
        return -1;
    }
    vault_apply(state->vault);
    return 0;
}

static int step_new_key(struct state *state, struct write *write, struct err *err) {
    struct vault_settings settings;
    struct vault_status status;

    (void)write;
    vault_status(state->vault, &status);
    if (status.key_count == VAULT_KEYS_MAX) {
        return 0; /* as many rotations were cut short: this one finishes the last of them */
    }
    if (vault_prepare_data_key(state->vault, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

/* The next Secrets after task->after, sealed again: rows and picture change, what is served does not, so
 * there is no change-log row and no event. */
static int step_reseal(struct state *state, struct write *write, struct err *err) {
    struct task *task = (struct task *)write;
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
    const struct task *task = (const struct task *)write;
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

static int step_root_cancel(struct state *state, struct write *write, struct err *err) {
    struct vault_settings settings;

    (void)write;
    if (vault_prepare_root_cancel(state->vault, &settings, err) < 0) {
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

static void keys_end(struct state *state) {
    pthread_mutex_unlock(&state->keys.lock);
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
        if (progress != NULL && !progress->step(progress->arg, done, count_secrets(state))) {
            rc = err_set(err, ERR_UNAVAILABLE,
                         "the rotation was stopped on the way; every value can be read, and a new rotation "
                         "brings the rest under one key");
        }
    }
    if (rc == 0) {
        rc = task_run(state, &task, step_drop_unused, err);
    }
    if (rc == 0) {
        log_event(LOG_INFO, "data-key-rotated", LOG_INT("secrets", done));
    } else {
        log_event(LOG_WARN, "data-key-rotation-stopped", LOG_INT("secrets", done),
                  LOG_STR("error", err->text));
    }
    keys_end(state);
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
        log_event(LOG_WARN, "root-key-change-stopped", LOG_STR("error", err->text));
    }
    keys_end(state);
    return rc;
}

int state_cancel_root_key_change(struct state *state, struct err *err) {
    struct task task = {0};
    int rc;

    if (keys_begin(state, err) < 0) {
        return -1;
    }
    rc = task_run(state, &task, step_root_cancel, err);
    if (rc == 0) {
        log_event(LOG_INFO, "root-key-change-cancelled");
    }
    keys_end(state);
    return rc;
}

/* ---- status ---- */

int state_vault_report(struct state *state, struct vault_report *ret, struct err *err) {
    struct vault_report report = {0};
    struct picture *picture;
    struct snapshot_cursor cursor;
    const struct record *record;

    if (state->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault");
    }
    report.source = vault_source_text(state->vault);
    report.warning = vault_warning(state->vault);
    report.unseal_count = vault_unseal_count(state->vault);
    vault_status(state->vault, &report.keys);
    picture = state_picture(state);
    for (record = snapshot_seek(&cursor, picture->snapshot, KIND_SECRET, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct secret *secret = record->object->body;
        const struct secret_value *values = secret->values.items;

        for (size_t i = 0; i < secret->values.count; i++) {
            report.values++;
            report.unreadable += values[i].state == SECRET_UNREADABLE;
            (void)vault_status_count(&report.keys, values[i].key_id); /* false: its key is gone */
        }
    }
    picture_unref(picture);
    *ret = report;
    return 0;
}

int state_vault_status(struct state *state, struct vault_status *ret, struct err *err) {
    struct vault_report report;

    if (state_vault_report(state, &report, err) < 0) {
        return -1;
    }
    *ret = report.keys;
    return 0;
}
