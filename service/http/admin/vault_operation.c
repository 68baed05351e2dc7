/*
 * See vault_operation.h. An operation runs on the thread for slow jobs; the lock guards what is told about
 * it. Its arguments belong to `operations` from its start to its end.
 */
#include "admin/vault_operation.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "machine/worker.h"
#include "request/serving.h"

struct vault_operations {
    pthread_mutex_t lock; /* guards what follows; a leaf */
    struct vault_operation newest;
    char *key_file; /* arguments of the running one, or NULL */
    char *passphrase_file;
};

const char *vault_operation_type_text(enum vault_operation_type type) {
    static const char *const TEXTS[] = {[VAULT_ROTATE_DATA_KEY] = "DataKeyRotation",
                                        [VAULT_CHANGE_ROOT_KEY] = "RootKeyChange",
                                        [VAULT_CANCEL_ROOT_KEY_CHANGE] = "RootKeyChangeCancellation"};
    return TEXTS[type];
}

const char *vault_operation_state_text(enum vault_operation_state state) {
    static const char *const TEXTS[] = {
        [VAULT_RUNNING] = "Running", [VAULT_SUCCEEDED] = "Succeeded", [VAULT_FAILED] = "Failed"};
    return TEXTS[state];
}

int vault_operations_new(struct vault_operations **ret, struct err *err) {
    struct vault_operations *operations = base_calloc(1, sizeof(*operations));
    if (operations == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&operations->lock, NULL);
    *ret = operations;
    return 0;
}

void vault_operations_free(struct vault_operations *operations) {
    if (operations == NULL) {
        return;
    }
    pthread_mutex_destroy(&operations->lock);
    free(operations->key_file);
    free(operations->passphrase_file);
    free(operations);
}

struct vault_operation vault_operation_newest(struct vault_operations *operations) {
    pthread_mutex_lock(&operations->lock);
    struct vault_operation newest = operations->newest;
    pthread_mutex_unlock(&operations->lock);
    return newest;
}

/* ---- running, on the thread for slow jobs ---- */

static bool note_progress(void *arg, size_t done, size_t total) {
    struct serving *serving = arg;
    pthread_mutex_lock(&serving->vault_operations->lock);
    serving->vault_operations->newest.done = done;
    serving->vault_operations->newest.total = total;
    pthread_mutex_unlock(&serving->vault_operations->lock);
    return !atomic_load(&serving->stopping);
}

static int run_one(struct serving *serving, enum vault_operation_type type, const char **ret_message,
                   struct err *err) {
    const struct key_progress progress = {.step = note_progress, .arg = serving};
    const struct vault_new_root new_root = {.key_file = serving->vault_operations->key_file,
                                            .passphrase_file = serving->vault_operations->passphrase_file};
    bool restart = false;
    switch (type) {
    case VAULT_ROTATE_DATA_KEY:
        return state_rotate_data_key(serving->state, &progress, err);
    case VAULT_CHANGE_ROOT_KEY:
        if (state_change_root_key(serving->state, &new_root, &restart, err) != 0) {
            return -1;
        }
        *ret_message = restart ? "restart the service with the new root key as its source; until then either "
                                 "key opens the database, and the change can be cancelled"
                               : "the key file holds the new root key; backups made before need the old one";
        return 0;
    case VAULT_CANCEL_ROOT_KEY_CHANGE:
        return state_cancel_root_key_change(serving->state, err);
    }
    return err_set(err, ERR_INTERNAL, "operation %d on the vault is not known", (int)type);
}

static void run(void *arg) {
    struct serving *serving = arg;
    struct vault_operations *operations = serving->vault_operations;
    struct err err = ERR_INIT;
    const char *message = "";
    int result = run_one(serving, operations->newest.type, &message, &err);
    pthread_mutex_lock(&operations->lock);
    struct vault_operation *newest = &operations->newest;
    newest->state = result == 0 ? VAULT_SUCCEEDED : VAULT_FAILED;
    newest->finished_ms = clock_realtime_ms();
    snprintf(newest->message, sizeof(newest->message), "%s", result == 0 ? message : err.text);
    free(operations->key_file);
    free(operations->passphrase_file);
    operations->key_file = operations->passphrase_file = NULL;
    pthread_mutex_unlock(&operations->lock);
}

/* ---- starting ---- */

static int copy_text(const char *text, char **ret, struct err *err) {
    *ret = text != NULL ? base_strdup(text) : NULL;
    return text == NULL || *ret != NULL ? 0 : err_no_memory(err);
}

/* With the lock. */
static int start(struct serving *serving, enum vault_operation_type type,
                 const struct vault_new_root *new_root, struct err *err) {
    struct vault_operations *operations = serving->vault_operations;
    const struct vault_operation previous = operations->newest;
    if (previous.id != 0 && previous.state == VAULT_RUNNING) {
        return err_set(err, ERR_CONFLICT,
                       "operation %llu on the vault (%s) is running; wait until it is done",
                       (unsigned long long)previous.id, vault_operation_type_text(previous.type));
    }
    int result = 0;
    if (new_root != NULL) {
        result = copy_text(new_root->key_file, &operations->key_file, err) != 0 ||
                         copy_text(new_root->passphrase_file, &operations->passphrase_file, err) != 0
                     ? -1
                     : 0;
    }
    if (result == 0) {
        /* Before the job can run: it reads this without the lock. */
        operations->newest = (struct vault_operation){
            .id = previous.id + 1, .type = type, .state = VAULT_RUNNING, .started_ms = clock_realtime_ms()};
        result = worker_detach(serving->slow_worker, run, serving, err);
    }
    if (result != 0) {
        operations->newest = previous;
        free(operations->key_file);
        free(operations->passphrase_file);
        operations->key_file = operations->passphrase_file = NULL;
    }
    return result;
}

int vault_operation_start(struct serving *serving, enum vault_operation_type type,
                          const struct vault_new_root *new_root, struct err *err) {
    pthread_mutex_lock(&serving->vault_operations->lock);
    int result = start(serving, type, new_root, err);
    pthread_mutex_unlock(&serving->vault_operations->lock);
    return result;
}
