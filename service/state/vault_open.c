/*
 * Opening the vault over what a store holds, and looking into a backup: both read the vault's settings, which
 * `struct kept` owns meanwhile. Before the state exists, or without one; no locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "state_internal.h"

struct kept {
    struct arena arena;
    struct vault_setting *items;
    size_t count;
    size_t cap;
    size_t sealed_count;
    struct store_status status;
};

static void kept_done(struct kept *kept) {
    free(kept->items);
    arena_done(&kept->arena);
}

static void kept_moment(void *arg, const struct store_status *status) {
    ((struct kept *)arg)->status = *status;
}

static int kept_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct kept *kept = arg;
    struct vault_setting *items;
    void *value;

    if (!vault_rows_wanted(setting)) {
        return 0;
    }
    items = base_grow(kept->items, kept->count, &kept->cap, 16, sizeof *items);
    if (items == NULL) {
        return err_no_memory(err);
    }
    kept->items = items;
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

int vault_settings_rows(const struct vault_settings *settings, struct store_setting **ret, struct err *err) {
    struct store_setting *rows = base_calloc(settings->count, sizeof(*rows));
    if (rows == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < settings->count; i++) {
        rows[i] = (struct store_setting){.name = settings->items[i].name,
                                         .value = settings->items[i].value,
                                         .value_len = settings->items[i].value_len};
    }
    *ret = rows;
    return 0;
}

/* One transaction with what the vault wants written, unless somebody has written since it was read. */
static int commit_settings(struct store *store, const struct vault_settings *settings, uint64_t base,
                           struct err *err) {
    struct store_setting *rows;
    if (settings->count == 0) {
        return 0;
    }
    if (vault_settings_rows(settings, &rows, err) != 0) {
        return -1;
    }
    int result = store_commit(
        store, &(struct store_batch){.settings = rows, .setting_count = settings->count, .base = base}, err);
    free(rows);
    return result;
}

static int open_once(struct store *store, struct vault_options *options, struct vault **ret,
                     struct err *err) {
    struct kept kept = {0};
    const struct store_reader reader = {
        .moment = kept_moment, .setting = kept_setting, .sealed = kept_sealed, .arg = &kept};
    struct vault_settings to_write;
    struct vault *vault = NULL;

    arena_init(&kept.arena, 0);
    int result = store_load(store, &reader, err);
    if (result == 0) {
        options->sealed_count = kept.sealed_count;
        result = vault_open(options, kept.items, kept.count, &vault, &to_write, err);
    }
    if (result == 0) {
        result = commit_settings(store, &to_write, kept.status.commit, err);
        if (result == 0) {
            vault_apply(vault);
            *ret = vault;
        } else {
            vault_close(vault);
        }
    }
    kept_done(&kept);
    return result;
}

/* Of instances that start for the first time together one makes the keys, and the others find them made. */
int state_open_vault(struct store *store, struct vault_options *options, struct vault **ret,
                     struct err *err) {
    int64_t until_ms = clock_monotonic_ms() + STATE_TRIES_MS;
    int result = open_once(store, options, ret, err);
    while (result != 0 && err->code == ERR_CONFLICT && clock_monotonic_ms() < until_ms) {
        err_clear(err);
        result = open_once(store, options, ret, err);
    }
    return result;
}

/* ---- backups ---- */

int state_backup(struct state *state, bool (*go_on)(void *arg), void *arg, int *ret_fd, struct err *err) {
    given_settle(state);
    return store_backup_open(state->store, go_on, arg, ret_fd, err);
}

/* Would the root key of `options` open these settings? */
static void try_root_key(const struct kept *kept, const struct vault_options *options,
                         struct backup_report *report) {
    struct vault_options trial = *options;
    struct vault_settings unused;
    struct vault *vault;

    trial.sealed_count = kept->sealed_count;
    trial.must_exist = true;
    report->opens = vault_open(&trial, kept->items, kept->count, &vault, &unused, &report->refusal) == 0;
    if (report->opens) {
        vault_close(vault);
    }
}

int state_inspect_backup(const char *path, const struct vault_options *options, struct backup_report *ret,
                         struct err *err) {
    struct kept kept = {0};
    const struct store_reader reader = {.setting = kept_setting, .sealed = kept_sealed, .arg = &kept};
    struct backup_report report = {.refusal = ERR_INIT};
    int rc;

    arena_init(&kept.arena, 0);
    rc = store_inspect(path, &reader, &report.status, err);
    if (rc == 0) {
        report.values = kept.sealed_count;
        report.root_count = vault_list_roots(kept.items, kept.count, report.roots);
        if (options != NULL) {
            try_root_key(&kept, options, &report);
        }
        *ret = report;
    }
    kept_done(&kept);
    return rc;
}
