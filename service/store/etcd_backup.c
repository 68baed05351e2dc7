/*
 * A backup of a fleet in etcd: an SQLite database, as every backup is. It is built in a directory inside the
 * data directory, from one moment's load, and then copied as a running SQLite store's would be.
 *
 * It holds what there is now: its change log is empty, and its past begins with it. One backup at a time, for
 * which `backup_lock` is held.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "directory.h"
#include "etcd_store.h"
#include "sqlite_store.h"

#define PLACE      "/.bgppeerd-copy"
#define CHUNK_ROWS 1000

struct copy {
    struct arena arena;
    struct store_status status;
    struct store_change *objects;
    size_t object_count, object_cap;
    struct store_sealed *sealed;
    size_t sealed_count, sealed_cap;
    struct store_setting *settings;
    size_t setting_count, setting_cap;
    struct store_audit *audit;
    size_t audit_count, audit_cap;
    bool (*go_on)(void *arg); /* NULL: always */
    void *arg;
};

/* ---- what there is ---- */

static int copy_moment_failed(const struct copy *copy, struct err *err) {
    return copy->arena.failed ? err_no_memory(err) : 0;
}

static void copy_moment(void *arg, const struct store_status *status) {
    ((struct copy *)arg)->status = *status;
}

static const void *copy_bytes(struct copy *copy, const void *bytes, size_t len) {
    return arena_strndup(&copy->arena, bytes, len);
}

static int copy_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                       size_t body_len, struct err *err) {
    struct copy *copy = arg;
    struct store_change *items =
        base_grow(copy->objects, copy->object_count, &copy->object_cap, 256, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    copy->objects = items;
    items[copy->object_count++] = (struct store_change){.op = STORE_CREATE,
                                                        .kind = arena_strdup(&copy->arena, kind),
                                                        .name = arena_strdup(&copy->arena, name),
                                                        .revision = revision,
                                                        .actor = "",
                                                        .body = copy_bytes(copy, body, body_len),
                                                        .body_len = body_len};
    return copy_moment_failed(copy, err);
}

static int copy_sealed(void *arg, const struct store_sealed *sealed, struct err *err) {
    struct copy *copy = arg;
    struct store_sealed *items =
        base_grow(copy->sealed, copy->sealed_count, &copy->sealed_cap, 64, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    copy->sealed = items;
    struct store_sealed *item = &items[copy->sealed_count++];
    *item = *sealed;
    item->object = arena_strdup(&copy->arena, sealed->object);
    item->item = arena_strdup(&copy->arena, sealed->item);
    item->nonce = copy_bytes(copy, sealed->nonce, sealed->nonce_len);
    item->ciphertext = copy_bytes(copy, sealed->ciphertext, sealed->ciphertext_len);
    return copy_moment_failed(copy, err);
}

static int copy_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct copy *copy = arg;
    struct store_setting *items =
        base_grow(copy->settings, copy->setting_count, &copy->setting_cap, 64, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    copy->settings = items;
    items[copy->setting_count++] =
        (struct store_setting){.name = arena_strdup(&copy->arena, setting->name),
                               .value = copy_bytes(copy, setting->value, setting->value_len),
                               .value_len = setting->value_len};
    return copy_moment_failed(copy, err);
}

/* Entries of several instances may have one number: they are counted anew. */
static int copy_audit(void *arg, const struct store_audit *audit, struct err *err) {
    struct copy *copy = arg;
    struct store_audit *items =
        base_grow(copy->audit, copy->audit_count, &copy->audit_cap, 256, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    copy->audit = items;
    struct store_audit *item = &items[copy->audit_count++];
    *item = *audit;
    item->sequence = copy->audit_count;
    item->entry = copy_bytes(copy, audit->entry, audit->entry_len);
    return copy_moment_failed(copy, err);
}

static int by_revision(const void *a, const void *b) {
    const struct store_change *one = a;
    const struct store_change *other = b;
    return (one->revision > other->revision) - (one->revision < other->revision);
}

static int copy_read(struct etcd_store *store, struct copy *copy, struct err *err) {
    const struct store_reader reader = {.moment = copy_moment,
                                        .object = copy_object,
                                        .sealed = copy_sealed,
                                        .setting = copy_setting,
                                        .arg = copy};
    uint64_t newest;
    if (etcd_store_load(&store->base, &reader, err) != 0 ||
        etcd_store_read_audit(&store->base, INT64_MAX, copy_audit, copy, &newest, err) != 0) {
        return -1;
    }
    if (copy->object_count > 0) {
        qsort(copy->objects, copy->object_count, sizeof(*copy->objects), by_revision);
    }
    return 0;
}

static void copy_done(struct copy *copy) {
    free(copy->objects);
    free(copy->sealed);
    free(copy->settings);
    free(copy->audit);
    arena_done(&copy->arena);
}

/* ---- into the database ---- */

static size_t chunk(size_t at, size_t count) {
    return at >= count ? 0 : count - at > CHUNK_ROWS ? CHUNK_ROWS : count - at;
}

static int write_chunk(const struct copy *copy, struct store *to, const struct store_batch *batch,
                       struct err *err) {
    if (copy->go_on != NULL && !copy->go_on(copy->arg)) {
        return err_set(err, ERR_UNAVAILABLE, "the service is shutting down; try again in a moment");
    }
    return store_commit(to, batch, err);
}

/* Objects first: a value needs its Secret. */
static int copy_write(const struct copy *copy, struct store *to, struct err *err) {
    const struct history none = {.state = HIGH_WATER_NONE};
    uint64_t behind = copy->status.revision > 0 ? copy->status.revision - 1 : 0;
    int result = 0;
    size_t count;
    for (size_t at = 0; result == 0 && (count = chunk(at, copy->object_count)) > 0; at += count) {
        const struct store_batch batch = {.changes = copy->objects + at, .change_count = count};
        result = write_chunk(copy, to, &batch, err);
    }
    for (size_t at = 0; result == 0 && (count = chunk(at, copy->sealed_count)) > 0; at += count) {
        const struct store_batch batch = {.sealed = copy->sealed + at, .sealed_count = count};
        result = write_chunk(copy, to, &batch, err);
    }
    for (size_t at = 0; result == 0 && (count = chunk(at, copy->setting_count)) > 0; at += count) {
        const struct store_batch batch = {.settings = copy->settings + at, .setting_count = count};
        result = write_chunk(copy, to, &batch, err);
    }
    for (size_t at = 0; result == 0 && (count = chunk(at, copy->audit_count)) > 0; at += count) {
        const struct store_batch batch = {.audit = copy->audit + at, .audit_count = count};
        result = write_chunk(copy, to, &batch, err);
    }
    return result != 0
               ? -1
               : history_begin_behind(&((struct sqlite_store *)to)->writer, &none, behind, false, err);
}

/* ---- the directory ---- */

static void remove_place(const char *place) {
    static const char *const files[] = {DATABASE_FILE, DATABASE_FILE "-wal", DATABASE_FILE "-shm",
                                        HIGH_WATER_FILE, "/lock"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct err ignored = ERR_INIT;
        char *path = path_join(place, files[i], &ignored);
        if (path != NULL) {
            (void)unlink(path);
            free(path);
        }
    }
    (void)rmdir(place);
}

static int build(struct etcd_store *store, const char *place, bool (*go_on)(void *arg), void *arg,
                 struct store **ret, struct err *err) {
    const struct store_options options = {.dir = place};
    struct copy copy = {.go_on = go_on, .arg = arg};
    struct store *database = NULL;
    arena_init(&copy.arena, 0);
    int result = copy_read(store, &copy, err);
    if (result == 0) {
        result = sqlite_store_open(place, &options, &database, err);
    }
    if (result == 0) {
        result = copy_write(&copy, database, err);
    }
    copy_done(&copy);
    if (result != 0) {
        store_close(database);
        return -1;
    }
    *ret = database;
    return 0;
}

/* Into `path`, or, when that is NULL, into a file without a name. */
static int make_backup(struct etcd_store *store, const char *path, bool (*go_on)(void *arg), void *arg,
                       int *ret_fd, struct err *err) {
    struct store *database = NULL;
    char *place = path_join(store->dir, PLACE, err);
    if (place == NULL) {
        return -1;
    }
    pthread_mutex_lock(&store->backup_lock);
    remove_place(place); /* what a crash has left */
    int result = build(store, place, go_on, arg, &database, err);
    if (result == 0) {
        result = path != NULL ? sqlite_store_backup(database, path, err)
                              : sqlite_store_backup_open(database, go_on, arg, ret_fd, err);
        store_close(database);
    }
    remove_place(place);
    pthread_mutex_unlock(&store->backup_lock);
    free(place);
    return result;
}

int etcd_store_backup(struct store *base, const char *path, struct err *err) {
    return make_backup((struct etcd_store *)base, path, NULL, NULL, NULL, err);
}

int etcd_store_backup_open(struct store *base, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                           struct err *err) {
    return make_backup((struct etcd_store *)base, NULL, go_on, arg, ret_fd, err);
}
