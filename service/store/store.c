/*
 * The face of the store: checks every implementation would need, then the call through its table.
 *
 * Its only state are the figures of commits in `struct store`; the opened implementation owns the rest. No
 * locks.
 */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store_ops.h"

/* Every kind that --store knows. */
static const struct store_driver *const DRIVERS[] = {&STORE_SQLITE, &STORE_ETCD};

/* Length of an address' kind; 0: it is none, but a path. */
static size_t kind_length(const char *address) {
    size_t len = strspn(address, "abcdefghijklmnopqrstuvwxyz");
    return address[len] == ':' ? len : 0;
}

static bool is_kind(const struct store_driver *driver, const char *address, size_t len) {
    return strlen(driver->name) == len && strncmp(driver->name, address, len) == 0;
}

const char *store_place(const char *store, const char *dir) {
    size_t len = store != NULL ? kind_length(store) : 0;
    return store == NULL ? dir : len > 0 ? store + len + 1 : store;
}

/* `own` is tried before those that are built in. */
static int choose_driver(const char *address, const struct store_driver *own, const struct store_driver **ret,
                         struct err *err) {
    size_t len = kind_length(address);
    char known[64] = "";
    if (own != NULL && is_kind(own, address, len)) {
        *ret = own;
        return 0;
    }
    for (size_t i = 0; i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
        if (is_kind(DRIVERS[i], address, len) && address[len + 1] != '\0') {
            *ret = DRIVERS[i];
            return 0;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", DRIVERS[i]->name);
    }
    return err_set(err, ERR_USAGE,
                   "--store \"%.100s\" names no store: write a kind, a colon, and where it is, such as "
                   "sqlite:./data; the kinds are: %s",
                   address, known);
}

int store_open(const struct store_options *options, struct store **ret, struct err *err) {
    const struct store_driver *driver = &STORE_SQLITE;
    if (options->store != NULL && choose_driver(options->store, options->driver, &driver, err) != 0) {
        return -1;
    }
    return driver->open(store_place(options->store, options->dir), options, ret, err);
}

void store_close(struct store *store) {
    if (store != NULL) {
        store->ops->close(store);
    }
}

int store_status(struct store *store, struct store_status *ret, struct err *err) {
    return store->ops->status(store, ret, err);
}

int store_load(struct store *store, const struct store_reader *reader, struct err *err) {
    return store->ops->load(store, reader, err);
}

/* The batch comes from our own code, so whatever is wrong with it is our bug. */
static int check_batch(const struct store_batch *batch, struct err *err) {
    uint64_t previous = 0;
    for (size_t i = 0; i < batch->change_count; i++) {
        const struct store_change *change = &batch->changes[i];
        if (change->op < STORE_CREATE || change->op > STORE_DELETE) {
            return err_set(err, ERR_INTERNAL, "change %zu of the batch has no valid operation (%d)", i,
                           (int)change->op);
        }
        if (change->revision <= previous || change->revision > INT64_MAX) {
            return err_set(err, ERR_INTERNAL,
                           "change %zu of the batch has revision %" PRIu64 " after %" PRIu64
                           "; revisions must grow and stay below 2^63",
                           i, change->revision, previous);
        }
        if (change->kind == NULL || change->name == NULL || change->actor == NULL ||
            (change->body == NULL && change->body_len > 0)) {
            return err_set(err, ERR_INTERNAL, "change %zu of the batch is incomplete", i);
        }
        if (change->txn > change->revision) {
            return err_set(err, ERR_INTERNAL, "change %zu of the batch belongs to a later one", i);
        }
        previous = change->revision;
    }
    for (size_t i = 0; i < batch->sealed_count; i++) {
        const struct store_sealed *sealed = &batch->sealed[i];
        if (sealed->object == NULL || sealed->item == NULL) {
            return err_set(err, ERR_INTERNAL, "sealed value %zu of the batch is incomplete", i);
        }
        if (sealed->ciphertext == NULL) {
            continue;
        }
        if (sealed->nonce == NULL || sealed->version == 0 || sealed->version > INT64_MAX ||
            sealed->key_id > INT64_MAX) {
            return err_set(err, ERR_INTERNAL, "sealed value %zu of the batch is incomplete or out of range",
                           i);
        }
    }
    for (size_t i = 0; i < batch->setting_count; i++) {
        if (batch->settings[i].name == NULL) {
            return err_set(err, ERR_INTERNAL, "setting %zu of the batch has no name", i);
        }
    }
    for (size_t i = 0; i < batch->audit_count; i++) {
        const struct store_audit *audit = &batch->audit[i];
        if (audit->entry == NULL || audit->sequence == 0 || audit->sequence > INT64_MAX) {
            return err_set(err, ERR_INTERNAL, "audit entry %zu of the batch is incomplete or out of range",
                           i);
        }
    }
    for (size_t i = 0; i < batch->transition_count; i++) {
        const struct store_transition *row = &batch->transitions[i];
        if (row->sequence == 0 || row->sequence > INT64_MAX || row->node == NULL || row->peer == NULL ||
            row->remote == NULL || row->was == NULL || row->became == NULL || row->message == NULL) {
            return err_set(err, ERR_INTERNAL, "transition %zu of the batch is incomplete or out of range", i);
        }
    }
    for (size_t i = 0; i < batch->given_count; i++) {
        const struct store_given *given = &batch->given[i];
        if (given->node == NULL || given->etag == NULL || given->revision > INT64_MAX) {
            return err_set(err, ERR_INTERNAL, "version %zu of a list in the batch is incomplete", i);
        }
    }
    return 0;
}

int store_commit(struct store *store, const struct store_batch *batch, struct err *err) {
    if (check_batch(batch, err) < 0) {
        return -1;
    }
    if (batch->change_count == 0 && batch->sealed_count == 0 && batch->setting_count == 0 &&
        batch->audit_count == 0 && batch->transition_count == 0 && batch->given_count == 0) {
        return 0;
    }
    int64_t start_ns = clock_monotonic_ns();
    int failed = store->ops->commit(store, batch, err);
    histogram_note(&store->commits, &HISTOGRAM_DURATIONS, (uint64_t)(clock_monotonic_ns() - start_ns));
    if (failed < 0) {
        atomic_fetch_add_explicit(&store->commit_failures, 1, memory_order_relaxed);
    }
    return failed;
}

int store_check(struct store *store, struct err *err) {
    return store->ops->check != NULL ? store->ops->check(store, err) : 0;
}

const struct err *store_accepted(const struct store *store) {
    return store->accepted.code != ERR_NONE ? &store->accepted : NULL;
}

void store_figures(struct store *store, struct store_figures *ret) {
    *ret = (struct store_figures){.commit_failures =
                                      atomic_load_explicit(&store->commit_failures, memory_order_relaxed)};
    histogram_read(&store->commits, &ret->commits);
    store->ops->sizes(store, ret);
}

int store_read_changes(struct store *store, uint64_t after, size_t limit,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) {
    return store->ops->read_changes(store, after, limit, row, arg, err);
}

bool store_is_shared(const struct store *store) {
    return store->ops->read_entries != NULL;
}

int store_read_entries(struct store *store, uint64_t after,
                       int (*entry)(void *arg, const struct store_batch *batch, struct err *err), void *arg,
                       struct err *err) {
    return store->ops->read_entries != NULL ? store->ops->read_entries(store, after, entry, arg, err) : 0;
}

void store_watch(struct store *store, void (*changed)(void *arg), void *arg) {
    if (store->ops->watch != NULL) {
        store->ops->watch(store, changed, arg);
    }
}

static int err_no_past(struct err *err) {
    return err_set(err, ERR_EXPIRED, "this store keeps no past: only the present state is known");
}

int store_read_history(struct store *store, const struct store_history_query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) {
    return store->ops->read_history != NULL ? store->ops->read_history(store, query, row, arg, err)
                                            : err_no_past(err);
}

int store_read_past(struct store *store, uint64_t revision, uint64_t upto,
                    int (*row)(void *arg, const char *kind, const char *name,
                               const struct store_change *change, struct err *err),
                    void *arg, struct err *err) {
    return store->ops->read_past != NULL ? store->ops->read_past(store, revision, upto, row, arg, err)
                                         : err_no_past(err);
}

int store_find_time(struct store *store, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    return store->ops->find_time != NULL ? store->ops->find_time(store, time_ms, ret_revision, err)
                                         : err_no_past(err);
}

int store_read_given(struct store *store, const struct store_given_query *query,
                     int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                     struct err *err) {
    return store->ops->read_given != NULL ? store->ops->read_given(store, query, row, arg, err) : 0;
}

int store_compact(struct store *store, const struct store_keep *keep, bool *ret_more, uint64_t *ret_compacted,
                  struct err *err) {
    return store->ops->compact(store, keep, ret_more, ret_compacted, err);
}

int store_read_audit(struct store *store, uint64_t keep,
                     int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                     uint64_t *ret_newest, struct err *err) {
    return store->ops->read_audit(store, keep, row, arg, ret_newest, err);
}

int store_drop_audit(struct store *store, const uint64_t *sequences, size_t count, struct err *err) {
    return store->ops->drop_audit(store, sequences, count, err);
}

int store_read_transitions(struct store *store, uint64_t below, size_t limit,
                           int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                           void *arg, struct err *err) {
    return store->ops->read_transitions != NULL
               ? store->ops->read_transitions(store, below, limit, row, arg, err)
               : 0;
}

int store_trim_transitions(struct store *store, uint64_t upto, size_t max, bool *ret_more, struct err *err) {
    *ret_more = false;
    return store->ops->trim_transitions != NULL
               ? store->ops->trim_transitions(store, upto, max, ret_more, err)
               : 0;
}

int store_backup(struct store *store, const char *path, struct err *err) {
    return store->ops->backup(store, path, err);
}

int store_backup_open(struct store *store, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                      struct err *err) {
    return store->ops->backup_open(store, go_on, arg, ret_fd, err);
}

int store_inspect(const char *path, const struct store_reader *reader, struct store_status *ret,
                  struct err *err) {
    return STORE_SQLITE.inspect(path, reader, ret, err);
}

int store_restore(const char *store, const char *path, char ret_kept[STORE_KEPT_MAX], struct err *err) {
    const struct store_driver *driver = &STORE_SQLITE;
    if (kind_length(store) > 0 && choose_driver(store, NULL, &driver, err) != 0) {
        return -1;
    }
    if (driver->restore == NULL) {
        return err_set(err, ERR_USAGE, "a backup cannot be restored into a store of kind \"%s\"",
                       driver->name);
    }
    return driver->restore(store_place(store, NULL), path, ret_kept, err);
}
