/*
 * Opening and closing the SQLite store.
 *
 * A database is looked at before anything may alter it (sqlite_check.c, sqlite_history.c). Only one that
 * passes is opened for writing. A new one is built completely under another name and then renamed, so
 * bgppeerd.db is never half made, and an empty or missing file next to a log is damage, not a fresh start.
 *
 * Where nothing can be written, on a full or read-only disk, the store opens all the same, with an image of
 * the database in memory (sqlite_image.c): reading needs no disk. Each commit then tries to open the database
 * for writing first, until that works.
 *
 * Single-threaded, under the data directory's lock; from then on the committing thread's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "directory.h"
#include "sqlite_migrate.h"
#include "sqlite_store.h"
#include "sqlite_wal.h"

static const struct store_ops sqlite_ops = {
    .close = sqlite_store_close,
    .status = sqlite_store_status,
    .load = sqlite_store_load,
    .commit = sqlite_store_commit,
    .read_changes = sqlite_store_read_changes,
    .compact = sqlite_store_compact,
    .read_history = sqlite_store_read_history,
    .read_past = sqlite_store_read_past,
    .find_time = sqlite_store_find_time,
    .read_given = sqlite_store_read_given,
    .read_audit = sqlite_store_read_audit,
    .drop_audit = sqlite_store_drop_audit,
    .read_transitions = sqlite_store_read_transitions,
    .trim_transitions = sqlite_store_trim_transitions,
    .backup = sqlite_store_backup,
    .backup_open = sqlite_store_backup_open,
    .sizes = sqlite_store_sizes,
    .check = sqlite_store_check,
};

/* Take group's and others' rights from a file that, say, a restore by hand has left with them. */
static int file_protect(const char *path, const char *suffix, struct err *err) {
    char *name = path_join(path, suffix, err);
    if (name == NULL) {
        return -1;
    }
    int failed = 0;
    struct stat status;
    bool is_open = stat(name, &status) == 0 && (status.st_mode & 0777) != 0600;
    if (is_open && chmod(name, 0600) != 0) {
        failed =
            err_set(err, ERR_UNAVAILABLE,
                    "cannot set the mode of %s to 0600: %s; it must belong to the user that runs the service",
                    name, strerror(errno));
    }
    free(name);
    return failed;
}

static int build_database(const char *path, struct err *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                       "cannot create the database %s: %s", path, strerror(errno));
    }
    (void)close(fd);
    struct connection creator;
    if (connection_open(&creator, path, CONNECTION_CREATOR, err) < 0) {
        return -1;
    }
    int failed = migrate_run(&creator, 0, err);
    connection_close(&creator);
    return failed;
}

/* A new database in one step: complete and on disk, or not there. */
static int create_database(const char *path, struct err *err) {
    int64_t log_size = sqlite_file_size(path, "-wal", err);
    if (log_size == -2) {
        return -1;
    }
    if (log_size > 0) {
        return err_set(
            err, ERR_CORRUPT,
            "the database %s is missing but its log %s-wal is there; put the database back or restore "
            "the newest backup (and remove the log) before starting; nothing was changed",
            path, path);
    }
    char *temporary = path_join(path, ".new", err);
    if (temporary == NULL) {
        return -1;
    }
    int failed = 0;
    /* Left by a first start that was cut short. */
    if (sqlite_file_remove(temporary, "", err) < 0 || sqlite_file_remove(temporary, "-journal", err) < 0 ||
        build_database(temporary, err) < 0) {
        failed = -1;
    } else if (rename(temporary, path) < 0) {
        failed =
            err_set(err, ERR_UNAVAILABLE, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
    } else {
        failed = directory_sync_parent(path, err);
    }
    if (failed < 0) {
        struct err ignored = ERR_INIT;
        (void)!sqlite_file_remove(temporary, "", &ignored);
        (void)!sqlite_file_remove(temporary, "-journal", &ignored);
    }
    free(temporary);
    return failed;
}

static int use_log(struct connection *writer, struct err *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(writer->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int failed = 0;
    if (code != SQLITE_ROW) {
        failed = connection_fail(writer, code, "switch the database to a write-ahead log", err);
    } else {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        if (mode == NULL || strcmp(mode, "wal") != 0) {
            failed =
                err_set(err, ERR_UNAVAILABLE,
                        "cannot switch the database %s to a write-ahead log (it stays in mode %s); the data "
                        "directory must be on a local filesystem",
                        writer->path, mode != NULL ? mode : "unknown");
        }
    }
    (void)sqlite3_finalize(statement);
    return failed;
}

/* SQLite tells after each commit how long the log has become. */
static int committed(void *arg, sqlite3 *db, const char *name, int frames) {
    (void)db;
    (void)name;
    struct sqlite_store *store = arg;
    if (frames > 0) {
        store->log_frames = (unsigned long)frames;
    }
    return SQLITE_OK;
}

/* What would be refused is accepted when the options say so; what that was is kept for whoever asks. */
static int accept_or_refuse(struct sqlite_store *store, int refused, struct err *err) {
    if (refused == 0 || !store->options.accept_rollback || err->code != ERR_CORRUPT) {
        return refused;
    }
    store->base.accepted = *err;
    err_clear(err);
    return 0;
}

/* Is it the database that was here last? */
static int judge(struct sqlite_store *store, const struct finding *found, struct err *err) {
    return accept_or_refuse(store, history_check(&store->history, &found->meta, store->path, err), err);
}

static int make_missing(struct sqlite_store *store, struct err *err) {
    int refused = history_check_missing(&store->history, &store->options, store->path, err);
    return accept_or_refuse(store, refused, err) != 0 ? -1 : create_database(store->path, err);
}

/* A database that is whole, and the one that was here last. */
static int find_database(struct sqlite_store *store, struct finding *ret, struct err *err) {
    int64_t size = sqlite_file_size(store->path, "", err);
    if (size == -2) {
        return -1;
    }
    if (size == -1) {
        return make_missing(store, err) != 0 ? -1 : sqlite_check_file(store->path, false, ret, err);
    }
    int refused = accept_or_refuse(store, sqlite_check_bytes(store->path, false, err), err);
    bool lenient = store->base.accepted.code != ERR_NONE;
    return refused != 0 || sqlite_check_file(store->path, lenient, ret, err) != 0 ? -1
                                                                                  : judge(store, ret, err);
}

/* What may be wrong with the objects themselves is found when they are loaded, unless it is to be accepted.
 */
static int accept_content(struct sqlite_store *store, struct connection *connection,
                          const struct store_meta *meta, struct err *err) {
    uint64_t content = 0;
    if (!store->options.accept_rollback) {
        return 0;
    }
    if (sqlite_content_sum(connection, &content, err) != 0) {
        return -1;
    }
    int refused = content == meta->content ? 0 : sqlite_content_differs(connection, err);
    return accept_or_refuse(store, refused, err);
}

/* Bring the database to today's schema, and what was accepted behind the mark. */
static int settle(struct sqlite_store *store, struct connection *connection, unsigned applied,
                  struct store_meta *ret, struct err *err) {
    if (migrate_run(connection, applied, err) != 0 || connection_prepare_all(connection, err) != 0 ||
        sqlite_read_meta(connection, ret, err) != 0 || accept_content(store, connection, ret, err) != 0) {
        return -1;
    }
    if (store->base.accepted.code == ERR_NONE) {
        return 0;
    }
    return history_begin_behind(connection, &store->history, 0, false, err) != 0
               ? -1
               : sqlite_read_meta(connection, ret, err);
}

/* The writer, a reader, and the mark, which from here on speaks of this database. */
static int open_writable(struct sqlite_store *store, struct connection *reader, struct store_meta *ret,
                         struct err *err) {
    struct finding found = {.applied = 0};
    err_clear(&store->base.accepted);
    if (history_read_mark(store->dir, &store->history, err) != 0 || find_database(store, &found, err) != 0 ||
        file_protect(store->path, "", err) != 0 || file_protect(store->path, "-wal", err) != 0 ||
        file_protect(store->path, "-shm", err) != 0) {
        return -1;
    }
    if (connection_open(&store->writer, store->path, CONNECTION_WRITER, err) != 0 ||
        use_log(&store->writer, err) != 0 || settle(store, &store->writer, found.applied, ret, err) != 0) {
        return -1;
    }
    (void)sqlite3_wal_hook(store->writer.db, committed, store);
    if (connection_open(reader, store->path, CONNECTION_READER, err) != 0) {
        return -1;
    }
    /* The mark must not speak of what a power loss could still take away. */
    if (wal_sync(store->path, err) != 0 || place_note(store, err) != 0 ||
        checkpointer_start(&store->checkpointer, store->path, err) != 0) {
        return -1;
    }
    history_raise(store, ret);
    return 0;
}

static void close_writable(struct sqlite_store *store, struct connection *reader) {
    checkpointer_stop(&store->checkpointer);
    connection_close(reader);
    connection_close(&store->writer);
}

/* ---- without a disk to write to ---- */

/* Was it the disk that kept us from opening, and is there something to read? */
static bool is_readable_only(const struct sqlite_store *store, const struct err *err) {
    if (access(store->path, R_OK) != 0) {
        return false;
    }
    return err->code == ERR_STORAGE_FULL ||
           (err->code == ERR_UNAVAILABLE &&
            (access(store->path, W_OK) != 0 || access(store->dir, W_OK) != 0));
}

/* The reason in plain words: what SQLite says of a read-only disk is about locks and descriptors. */
static struct err why_not_writable(const struct sqlite_store *store, const struct err *err) {
    struct err plain = ERR_INIT;
    return err->code != ERR_STORAGE_FULL && sqlite_try_disk(store->dir, &plain) != 0 ? plain : *err;
}

static int open_image(struct sqlite_store *store, struct err *err) {
    struct finding found = {.applied = 0};
    err_clear(&store->base.accepted);
    if (history_read_mark(store->dir, &store->history, err) != 0 ||
        accept_or_refuse(store, sqlite_check_bytes(store->path, false, err), err) != 0 ||
        sqlite_image_open(&store->reader, store->path, err) != 0) {
        return -1;
    }
    return sqlite_check_content(&store->reader, &found, err) != 0 || judge(store, &found, err) != 0
               ? -1
               : settle(store, &store->reader, found.applied, &store->image, err);
}

static int open_database(struct sqlite_store *store, struct err *err) {
    struct store_meta meta;
    store->schema_version = (unsigned)migration_count;
    if (open_writable(store, &store->reader, &meta, err) == 0) {
        store->is_writable = true;
        return 0;
    }
    close_writable(store, &store->reader);
    if (!is_readable_only(store, err)) {
        return -1;
    }
    store->why = why_not_writable(store, err);
    err_clear(err);
    if (open_image(store, err) != 0) {
        if (err->code != ERR_CORRUPT) {
            *err = store->why;
        }
        return -1;
    }
    log_event(
        LOG_WARN, "store-read-only", LOG_STR("error", store->why.text),
        LOG_STR("consequence", "reads and polls are served, writes are refused until the disk takes them"));
    return 0;
}

int sqlite_make_writable(struct sqlite_store *store, struct err *err) {
    struct connection reader = {.db = NULL};
    struct store_meta meta;
    if (store->is_writable) {
        return 0;
    }
    if (sqlite_try_disk(store->dir, err) != 0) {
        return -1;
    }
    int result = open_writable(store, &reader, &meta, err);
    if (result == 0 && (meta.revision != store->image.revision || meta.content != store->image.content)) {
        result =
            err_set(err, ERR_UNAVAILABLE,
                    "the database %s was changed by somebody else while it could not be written; restart the "
                    "service; nothing was written",
                    store->path);
    }
    if (result != 0) {
        close_writable(store, &reader);
        return -1;
    }
    (void)pthread_mutex_lock(&store->reader_lock);
    struct connection image = store->reader;
    store->reader = reader;
    (void)pthread_mutex_unlock(&store->reader_lock);
    connection_close(&image);
    store->is_writable = true;
    return 0;
}

static void destroy(struct sqlite_store *store) {
    checkpointer_stop(&store->checkpointer);
    connection_close(&store->reader);
    connection_close(&store->writer);
    if (store->reader_lock_ready) {
        (void)pthread_mutex_destroy(&store->reader_lock);
    }
    if (store->mark_fd >= 0) {
        (void)close(store->mark_fd);
    }
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd);
    }
    free(store->path);
    free(store->dir);
    free(store);
}

const struct store_driver STORE_SQLITE = {.name = "sqlite",
                                          .open = sqlite_store_open,
                                          .inspect = sqlite_store_inspect,
                                          .restore = sqlite_store_restore};

/* A mistyped directory must not become one. */
static int check_exists(const struct sqlite_store *store, struct err *err) {
    struct stat status;
    if (!store->options.must_exist || stat(store->path, &status) == 0) {
        return 0;
    }
    return errno == ENOENT || errno == ENOTDIR
               ? err_set(err, ERR_NOT_FOUND,
                         "there is no database in %s; name the service's data directory with --data-dir (a "
                         "new one "
                         "gets its database when the service is started)",
                         store->dir)
               : err_set(err, ERR_UNAVAILABLE, "cannot look at %s: %s", store->path, strerror(errno));
}

int sqlite_store_open(const char *place, const struct store_options *options, struct store **ret,
                      struct err *err) {
    struct sqlite_store *store = base_calloc(1, sizeof(*store));
    if (store == NULL) {
        return err_no_memory(err);
    }
    store->base.ops = &sqlite_ops;
    store->options = *options;
    store->lock_fd = -1;
    store->mark_fd = -1;
    if (pthread_mutex_init(&store->reader_lock, NULL) != 0) {
        (void)err_no_memory(err);
        goto fail;
    }
    store->reader_lock_ready = true;
    store->dir = path_join(place, "", err);
    store->path = store->dir != NULL ? path_join(store->dir, DATABASE_FILE, err) : NULL;
    if (store->path == NULL || check_exists(store, err) != 0 || directory_create(place, err) != 0 ||
        (options->dir != NULL && directory_create(options->dir, err) != 0) ||
        directory_lock(place, &store->lock_fd, err) != 0) {
        goto fail;
    }
    sqlite_backup_sweep(place);
    if (open_database(store, err) < 0) {
        goto fail;
    }
    *ret = &store->base;
    return 0;
fail:
    destroy(store);
    return -1;
}

void sqlite_store_close(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct err err = ERR_INIT;
    checkpointer_stop(&store->checkpointer);
    connection_close(&store->reader);
    if (store->tail_in_doubt && wal_discard_tail(&store->writer, &err) < 0) {
        log_event(LOG_ERROR, "store-failed-write-in-log", LOG_STR("error", err.text));
    }
    err_clear(&err);
    if (store->is_writable && checkpoint_final(&store->writer, &err) < 0) {
        log_event(LOG_WARN, "store-checkpoint-failed", LOG_STR("error", err.text),
                  LOG_STR("consequence", "nothing is lost; the log is read at the next start"));
    }
    destroy(store);
}
