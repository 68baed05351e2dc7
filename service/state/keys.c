/*
 * Keys: the vault's rotations while the service runs. Each step is one task on the committer's thread (the
 * only one that commits and that may change the keyring); between steps other writes go on. keys.holder says
 * whose the keys are over all steps of one change, so there is one at a time.
 *
 * What a crash has left of a rotation is finished by a thread of its own, which steps aside for a change that
 * somebody asks for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

#define RESEAL_BATCH   64 /* Secrets sealed again in one transaction */
#define RESUME_SECONDS 10 /* until what has failed is tried again */

/* ---- tasks on the committer's thread ---- */

struct keys_task {
    struct task task; /* first: steps get it */
    /* arguments and results of the steps */
    const struct vault_new_root *new_root;
    char after[2 * 254]; /* key of the last Secret that was looked at; "" = none yet */
    size_t looked;       /* Secrets looked at by this step */
};

/* Run one step on the committer's thread and wait for it. */
static int task_run(struct state *state, struct keys_task *task,
                    int (*step)(struct state *state, struct task *task, struct err *err), struct err *err) {
    task->task = (struct task){.run = step};
    return committer_run(state, &task->task, err);
}

static int commit_settings(struct state *state, const struct vault_settings *settings, struct err *err) {
    struct store_setting *rows;
    if (settings->count == 0) {
        return 0;
    }
    if (vault_settings_rows(settings, &rows, err) != 0) {
        return -1;
    }
    struct store_batch batch = {.settings = rows, .setting_count = settings->count};
    int result = state_commit(state, &batch, err);
    free(rows);
    return result;
}

/* Commit what the vault has prepared, and bring it into force. */
static int commit_prepared(struct state *state, const struct vault_settings *settings, struct err *err) {
    if (commit_settings(state, settings, err) < 0) {
        vault_discard(state->vault);
        return -1;
    }
    vault_apply(state->vault);
    return 0;
}

static int step_new_key(struct state *state, struct task *step, struct err *err) {
    struct vault_settings settings;
    struct vault_status status;

    (void)step;
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
static int step_reseal(struct state *state, struct task *step, struct err *err) {
    struct keys_task *task = (struct keys_task *)step;
    struct picture *base = state_picture(state);
    struct draft draft;
    struct picture *picture = NULL;
    struct node_set *affected = NULL;
    struct snapshot_cursor cursor;
    const struct record *record;
    char after[sizeof(task->after)];
    int rc = 0;

    draft_init(&draft, state, base);
    memcpy(after, task->after, sizeof(after));
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
        struct store_batch batch = {.sealed = draft.sealed, .sealed_count = draft.sealed_count};

        rc = state_commit(state, &batch, err);
    }
    if (rc != 0) { /* it may be run again */
        memcpy(task->after, after, sizeof(after));
    }
    if (rc == 0 && draft.count > 0) {
        lists_mark(&state->lists, affected, draft.revision);
        state_publish(state, picture);
        lists_wake(&state->lists, affected);
        picture = NULL;
    }
    picture_unref(picture);
    node_set_free(affected);
    draft_done(&draft);
    picture_unref(base);
    return rc;
}

static int step_drop_unused(struct state *state, struct task *step, struct err *err) {
    struct picture *picture = state_picture(state);
    struct vault_settings settings;
    struct snapshot_cursor cursor;
    const struct record *record;
    uint64_t used[VAULT_KEYS_MAX];
    size_t count = 0;
    int rc;

    (void)step;
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

static int step_root_change(struct state *state, struct task *step, struct err *err) {
    const struct keys_task *task = (const struct keys_task *)step;
    struct vault_settings settings;

    if (vault_prepare_root_change(state->vault, task->new_root, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

static int step_root_switch(struct state *state, struct task *step, struct err *err) {
    struct vault_settings settings;

    (void)step;
    if (vault_switch_root_key(state->vault, err) < 0 ||
        vault_prepare_root_finish(state->vault, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

static int step_root_cancel(struct state *state, struct task *step, struct err *err) {
    struct vault_settings settings;

    (void)step;
    if (vault_prepare_root_cancel(state->vault, &settings, err) < 0) {
        return -1;
    }
    return commit_prepared(state, &settings, err);
}

/* ---- the changes ---- */

static int keys_begin(struct state *state, struct err *err) {
    struct keys *keys = &state->keys;
    bool free_now;

    if (state->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault");
    }
    pthread_mutex_lock(&keys->lock);
    while (keys->holder == KEYS_RESUMING) {
        keys->wanted = true; /* it goes on to its next step, and then lets go */
        pthread_cond_wait(&keys->cond, &keys->lock);
    }
    keys->wanted = false;
    free_now = keys->holder == KEYS_FREE;
    if (free_now) {
        keys->holder = KEYS_CHANGING;
    }
    pthread_mutex_unlock(&keys->lock);
    return free_now ? 0
                    : err_set(err, ERR_CONFLICT,
                              "another change of the vault's keys is running; wait until it is done");
}

static void keys_end(struct state *state) {
    pthread_mutex_lock(&state->keys.lock);
    state->keys.holder = KEYS_FREE;
    pthread_cond_broadcast(&state->keys.cond);
    pthread_mutex_unlock(&state->keys.lock);
}

static size_t count_secrets(struct state *state) {
    struct picture *picture = state_picture(state);
    size_t count = snapshot_count(picture->snapshot, KIND_SECRET);

    picture_unref(picture);
    return count;
}

/* Everything under the active key, and the others dropped. *ret_done: Secrets that were looked at. */
static int reseal_all(struct state *state, struct keys_task *task, const struct key_progress *progress,
                      size_t *ret_done, struct err *err) {
    int rc;

    while ((rc = task_run(state, task, step_reseal, err)) == 0 && task->looked > 0) {
        *ret_done += task->looked;
        if (progress != NULL && !progress->step(progress->arg, *ret_done, count_secrets(state))) {
            return err_set(err, ERR_UNAVAILABLE,
                           "the rotation was stopped on the way; every value can be read, and a new rotation "
                           "or the next start of the service brings the rest under one key");
        }
    }
    return rc < 0 ? -1 : task_run(state, task, step_drop_unused, err);
}

static void log_rotation(int rc, size_t done, const struct err *err) {
    if (rc == 0) {
        log_event(LOG_INFO, "data-key-rotated", LOG_INT("secrets", done));
    } else {
        log_event(LOG_WARN, "data-key-rotation-stopped", LOG_INT("secrets", done),
                  LOG_STR("error", err->text));
    }
}

int state_rotate_data_key(struct state *state, const struct key_progress *progress, struct err *err) {
    struct keys_task task = {0};
    size_t done = 0;
    int rc;

    if (keys_begin(state, err) < 0) {
        return -1;
    }
    log_event(LOG_INFO, "data-key-rotation-started");
    rc = task_run(state, &task, step_new_key, err);
    if (rc == 0) {
        rc = reseal_all(state, &task, progress, &done, err);
    }
    log_rotation(rc, done, err);
    keys_end(state);
    return rc;
}

int state_change_root_key(struct state *state, const struct vault_new_root *new_root, bool *ret_restart,
                          struct err *err) {
    struct keys_task task = {.new_root = new_root};
    bool restart = new_root->key_file != NULL || new_root->passphrase_file != NULL;
    int rc;

    if (!restart && store_is_shared(state->store)) {
        return err_set(
            err, ERR_CONFLICT,
            "other instances have the root key too, and a change in place replaces one file: write the "
            "new key to a file of its own, give it to all of them, name it here, and restart one after "
            "the other with it");
    }
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
    struct keys_task task = {0};
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

/* ---- what a crash has left ---- */

/* Is there a value that could be under the active key and is not, or a key that nothing needs? */
static bool rotation_is_unfinished(struct state *state) {
    struct picture *picture = state_picture(state);
    struct snapshot_cursor cursor;
    const struct record *record;
    struct vault_status status;
    bool unfinished = false;

    vault_status(state->vault, &status);
    for (record = snapshot_seek(&cursor, picture->snapshot, KIND_SECRET, NULL);
         record != NULL && status.key_count > 1; record = snapshot_step(&cursor)) {
        const struct secret *secret = record->object->body;
        const struct secret_value *values = secret->values.items;

        for (size_t i = 0; i < secret->values.count; i++) {
            (void)vault_status_count(&status, values[i].key_id);
            unfinished = unfinished || (values[i].state != SECRET_UNREADABLE &&
                                        values[i].key_id != vault_active_key(state->vault));
        }
    }
    picture_unref(picture);
    for (size_t i = 0; i < status.key_count; i++) {
        unfinished = unfinished || (!status.keys[i].active && status.keys[i].values == 0);
    }
    return unfinished;
}

static bool resume_may_go_on(void *arg, size_t done, size_t total) {
    struct keys *keys = arg;
    bool go_on;

    (void)done;
    (void)total;
    pthread_mutex_lock(&keys->lock);
    go_on = !keys->stopping && !keys->wanted;
    pthread_mutex_unlock(&keys->lock);
    return go_on;
}

/* The keys are ours, until this returns. */
static int resume_once(struct state *state) {
    const struct key_progress progress = {.step = resume_may_go_on, .arg = &state->keys};
    struct err err = ERR_INIT;
    struct keys_task task = {0};
    size_t done = 0;
    int rc;

    if (!rotation_is_unfinished(state)) {
        return 0; /* somebody else's rotation has finished this one */
    }
    log_event(LOG_WARN, "data-key-rotation-resumed",
              LOG_STR("text", "the service ended in the middle of a rotation"));
    rc = reseal_all(state, &task, &progress, &done, &err);
    log_rotation(rc, done, &err);
    return rc;
}

static void *resume_main(void *arg) {
    struct state *state = arg;
    struct keys *keys = &state->keys;
    bool done = false;

    pthread_mutex_lock(&keys->lock);
    while (!done && !keys->stopping) {
        struct timespec until;

        if (keys->holder != KEYS_FREE || keys->wanted) {
            pthread_cond_wait(&keys->cond, &keys->lock);
            continue;
        }
        keys->holder = KEYS_RESUMING;
        pthread_mutex_unlock(&keys->lock);
        done = resume_once(state) == 0;
        pthread_mutex_lock(&keys->lock);
        keys->holder = KEYS_FREE;
        pthread_cond_broadcast(&keys->cond);
        if (done || keys->wanted || keys->stopping) {
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += RESUME_SECONDS;
        while (!keys->stopping && pthread_cond_timedwait(&keys->cond, &keys->lock, &until) != ETIMEDOUT) {
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return NULL;
}

int state_resume_rotation(struct state *state, struct err *err) {
    struct keys *keys = &state->keys;

    if (state->vault == NULL || !rotation_is_unfinished(state)) {
        return 0;
    }
    if (pthread_create(&keys->thread, NULL, resume_main, state) != 0) {
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot start the thread that finishes a rotation of the data key: the system is out "
                       "of threads");
    }
    keys->runs = true;
    return 0;
}

int keys_init(struct keys *keys, struct err *err) {
    pthread_mutex_init(&keys->lock, NULL);
    return clock_cond_init(&keys->cond) == 0 ? 0 : err_no_memory(err);
}

void keys_stop(struct keys *keys) {
    if (keys->runs) {
        pthread_mutex_lock(&keys->lock);
        keys->stopping = true;
        pthread_cond_broadcast(&keys->cond);
        pthread_mutex_unlock(&keys->lock);
        pthread_join(keys->thread, NULL);
        keys->runs = false;
    }
}

void keys_done(struct keys *keys) {
    pthread_cond_destroy(&keys->cond);
    pthread_mutex_destroy(&keys->lock);
}
