/*
 * Opening and closing the SQLite store.
 *
 * A database is looked at before anything may alter it: its header by plain reading, then, without a
 * shared index file and without moving the log, its schema and structure. Only a database that passes is
 * opened for writing. A new one is built completely under another name and then renamed, so bgppeerd.db
 * is never half made, and an empty or missing file next to a log is damage, not a fresh start.
 *
 * Single-threaded, under the data directory's lock.
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

/* Of every SQLite file's first 100 bytes, what we look at; numbers are big-endian. */
enum {
    HEADER_SIZE = 100,
    HEADER_PAGE_SIZE = 16,
    HEADER_PAGES = 28,
    HEADER_VERSION = 60,
    HEADER_APPLICATION = 68
};
static const char header_magic[16] = "SQLite format 3";

static const struct store_ops sqlite_ops = {
    .close = sqlite_store_close,
    .status = sqlite_store_status,
    .load = sqlite_store_load,
    .commit = sqlite_store_commit,
    .read_changes = sqlite_store_read_changes,
    .compact = sqlite_store_compact,
    .read_audit = sqlite_store_read_audit,
    .trim_audit = sqlite_store_trim_audit,
    .backup = sqlite_store_backup,
    .backup_open = sqlite_store_backup_open,
    .sizes = sqlite_store_sizes,
    .check = sqlite_store_check,
};

static uint32_t big_endian(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Size of a file, -1 when there is none, -2 when that cannot be told (`err` is filled). */
static int64_t file_size(const char *path, const char *suffix, struct err *err) {
    char *name = path_join(path, suffix, err);
    if (name == NULL) {
        return -2;
    }
    struct stat status;
    int64_t size = -1;
    if (stat(name, &status) == 0) {
        size = status.st_size;
        if (!S_ISREG(status.st_mode)) {
            size = -2;
            (void)err_set(err, ERR_UNAVAILABLE, "%s is not a regular file; move it away", name);
        }
    } else if (errno != ENOENT) {
        size = -2;
        (void)err_set(err, ERR_UNAVAILABLE, "cannot look at %s: %s", name, strerror(errno));
    }
    free(name);
    return size;
}

/* Missing is fine. */
static int file_remove(const char *path, const char *suffix, struct err *err) {
    char *name = path_join(path, suffix, err);
    if (name == NULL) {
        return -1;
    }
    int failed = 0;
    if (unlink(name) < 0 && errno != ENOENT) {
        failed = err_set(err, ERR_UNAVAILABLE, "cannot remove %s: %s", name, strerror(errno));
    }
    free(name);
    return failed;
}

/* Take group's and others' rights from a file that, say, a restore by hand has left with them. */
static int file_protect(const char *path, const char *suffix, struct err *err) {
    char *name = path_join(path, suffix, err);
    if (name == NULL) {
        return -1;
    }
    int failed = 0;
    if (chmod(name, 0600) < 0 && errno != ENOENT) {
        failed =
            err_set(err, ERR_UNAVAILABLE,
                    "cannot set the mode of %s to 0600: %s; it must belong to the user that runs the service",
                    name, strerror(errno));
    }
    free(name);
    return failed;
}

/* Is the file shorter than its header says? SQLite reads what is missing of the last page as zeros, and where
 * nothing was there but zeros nobody would notice. */
static bool is_cut(const unsigned char *header, int64_t size) {
    uint32_t page = (uint32_t)header[HEADER_PAGE_SIZE] << 8 | header[HEADER_PAGE_SIZE + 1];
    return size < (int64_t)big_endian(header + HEADER_PAGES) * (page == 1 ? 65536 : page);
}

/* Look at the file's header by plain reading, before SQLite may touch anything. `alone`: there is no log that
 * could hold what the file lacks. */
static int check_header(const char *path, bool alone, struct err *err) {
    /* The descriptor is closed before SQLite opens the file: closing one later would drop SQLite's locks. */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot open the database %s: %s", path, strerror(errno));
    }
    unsigned char header[HEADER_SIZE] = {0};
    ssize_t len = pread(fd, header, sizeof(header), 0);
    int failure = errno;
    off_t size = lseek(fd, 0, SEEK_END);
    (void)close(fd);
    if (len < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot read the database %s: %s", path, strerror(failure));
    }
    if (len < HEADER_SIZE || memcmp(header, header_magic, sizeof(header_magic)) != 0) {
        return err_set(
            err, ERR_CORRUPT,
            "%s is %s, not a database of bgppeerd; restore the newest backup, or move the file away to "
            "start with an empty one; nothing was changed",
            path, len == 0 ? "empty" : "damaged or something else");
    }
    uint32_t application = big_endian(header + HEADER_APPLICATION);
    if (application != STORE_APPLICATION_ID) {
        return err_set(
            err, ERR_CORRUPT,
            "%s is a database of another program (application_id 0x%08x instead of 0x%08x); choose "
            "another data directory; nothing was changed",
            path, application, (unsigned)STORE_APPLICATION_ID);
    }
    if (alone && is_cut(header, size)) {
        return err_set(err, ERR_CORRUPT,
                       "the database %s is damaged: it is cut short; keep a copy of the file and restore the "
                       "newest backup; nothing was changed",
                       path);
    }
    uint32_t version = big_endian(header + HEADER_VERSION);
    return version > migration_count ? migrate_refuse_newer(path, version, err) : 0;
}

/* The numbers that every schema has. */
static int read_old_meta(struct connection *probe, struct store_meta *ret, struct err *err) {
    int64_t revision = 0;
    int64_t compacted = 0;
    if (connection_number(probe, "SELECT revision FROM meta WHERE id = 1", &revision, err) != 0 ||
        connection_number(probe, "SELECT compacted FROM meta WHERE id = 1", &compacted, err) != 0) {
        return -1;
    }
    *ret = (struct store_meta){.revision = (uint64_t)revision, .compacted = (uint64_t)compacted};
    return 0;
}

/* What the log holds counts as well, and only SQLite can read that. */
static int check_content(struct connection *probe, struct finding *ret, struct err *err) {
    int64_t application = 0;
    if (connection_number(probe, "PRAGMA application_id", &application, err) < 0) {
        return -1;
    }
    if (application != STORE_APPLICATION_ID) {
        return err_set(err, ERR_CORRUPT, "%s is not a database of bgppeerd; nothing was changed",
                       probe->path);
    }
    struct finding found = {.applied = 0};
    if (migrate_verify(probe, &found.applied, err) < 0 || connection_check(probe, err) < 0) {
        return -1;
    }
    if (found.applied < migration_count) {
        if (read_old_meta(probe, &found.meta, err) != 0) {
            return -1;
        }
    } else if (connection_prepare_all(probe, err) < 0 || sqlite_read_meta(probe, &found.meta, err) < 0) {
        return -1;
    }
    *ret = found;
    return 0;
}

static int check_log(const char *path, bool lenient, struct err *err) {
    bool damaged = false;
    if (wal_scan(path, &damaged, err) != 0) {
        return -1;
    }
    return !damaged || lenient
               ? 0
               : err_set(
                     err, ERR_CORRUPT,
                     "the log %s-wal is damaged, and acknowledged writes lie behind the damaged place; keep "
                     "a "
                     "copy of the data directory and restore the newest backup (bgppeerd restore FILE), or "
                     "start with --accept-rollback to give those writes up; nothing was changed",
                     path);
}

int sqlite_check_file(const char *path, bool lenient, struct finding *ret, struct err *err) {
    int64_t log_size = file_size(path, "-wal", err);
    if (log_size == -2 || check_header(path, log_size <= 0, err) < 0 || check_log(path, lenient, err) != 0) {
        return -1;
    }
    struct connection probe;
    int failed = connection_open(&probe, path, CONNECTION_PROBE, err);
    if (failed == 0) {
        failed = check_content(&probe, ret, err);
    }
    connection_close(&probe);
    struct err ignored = ERR_INIT;
    if (log_size == -1 && file_size(path, "-wal", &ignored) == 0) {
        /* Reading makes SQLite create an empty log. */
        (void)!file_remove(path, "-wal", &ignored);
    }
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
    int64_t log_size = file_size(path, "-wal", err);
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
    if (file_remove(temporary, "", err) < 0 || file_remove(temporary, "-journal", err) < 0 ||
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
        (void)!file_remove(temporary, "", &ignored);
        (void)!file_remove(temporary, "-journal", &ignored);
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
static int accept_or_refuse(struct sqlite_store *store, const struct store_options *options, int refused,
                            struct err *err) {
    if (refused == 0 || !options->accept_rollback || err->code != ERR_CORRUPT) {
        return refused;
    }
    store->base.accepted = *err;
    err_clear(err);
    return 0;
}

/* A database that is whole, and the one that was here last. */
static int find_database(struct sqlite_store *store, const struct store_options *options, struct finding *ret,
                         struct err *err) {
    const struct history *history = &store->history;
    int64_t size = file_size(store->path, "", err);
    if (size == -2) {
        return -1;
    }
    if (size == -1) {
        int refused = history_check_missing(history, options->companions, store->path, err);
        if (accept_or_refuse(store, options, refused, err) != 0 || create_database(store->path, err) < 0) {
            return -1;
        }
        return sqlite_check_file(store->path, false, ret, err);
    }
    int refused = sqlite_check_file(store->path, false, ret, err);
    if (refused != 0 && options->accept_rollback && err->code == ERR_CORRUPT) {
        struct err why = *err;
        err_clear(err);
        refused = sqlite_check_file(store->path, true, ret, err);
        store->base.accepted = why;
    }
    if (refused == 0) {
        refused = accept_or_refuse(store, options, history_check(history, &ret->meta, store->path, err), err);
    }
    return refused;
}

/* What may be wrong with the objects themselves is found when they are loaded, unless it is to be accepted.
 */
static int accept_content(struct sqlite_store *store, const struct store_options *options,
                          const struct store_meta *meta, struct err *err) {
    uint64_t content = 0;
    if (!options->accept_rollback) {
        return 0;
    }
    if (sqlite_content_sum(&store->writer, &content, err) != 0) {
        return -1;
    }
    int refused = content == meta->content ? 0 : sqlite_content_differs(&store->writer, err);
    return accept_or_refuse(store, options, refused, err);
}

/* From here on the mark speaks of this database. */
static int settle_history(struct sqlite_store *store, const struct store_options *options, struct err *err) {
    struct store_meta meta;
    if (sqlite_read_meta(&store->writer, &meta, err) != 0 ||
        accept_content(store, options, &meta, err) != 0) {
        return -1;
    }
    if (store->base.accepted.code != ERR_NONE &&
        (history_begin_behind(&store->writer, &store->history, 0, err) != 0 ||
         sqlite_read_meta(&store->writer, &meta, err) != 0)) {
        return -1;
    }
    /* The mark must not speak of what a power loss could still take away. */
    if (wal_sync(store->path, err) != 0 || place_note(store, err) != 0) {
        return -1;
    }
    history_raise(store, &meta);
    return 0;
}

static int open_database(struct sqlite_store *store, const struct store_options *options, struct err *err) {
    struct finding found = {.applied = 0};
    if (history_read_mark(store->dir, &store->history, err) != 0 ||
        find_database(store, options, &found, err) != 0 || file_protect(store->path, "", err) < 0 ||
        file_protect(store->path, "-wal", err) < 0 || file_protect(store->path, "-shm", err) < 0) {
        return -1;
    }
    if (connection_open(&store->writer, store->path, CONNECTION_WRITER, err) < 0 ||
        use_log(&store->writer, err) < 0 || migrate_run(&store->writer, found.applied, err) < 0 ||
        connection_prepare_all(&store->writer, err) < 0) {
        return -1;
    }
    (void)sqlite3_wal_hook(store->writer.db, committed, store);
    store->schema_version = (unsigned)migration_count;
    if (connection_open(&store->reader, store->path, CONNECTION_READER, err) < 0 ||
        settle_history(store, options, err) != 0) {
        return -1;
    }
    return checkpointer_start(&store->checkpointer, store->path, err);
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

int sqlite_store_open(const struct store_options *options, struct store **ret, struct err *err) {
    struct sqlite_store *store = base_calloc(1, sizeof(*store));
    if (store == NULL) {
        return err_no_memory(err);
    }
    store->base.ops = &sqlite_ops;
    store->lock_fd = -1;
    store->mark_fd = -1;
    if (pthread_mutex_init(&store->reader_lock, NULL) != 0) {
        (void)err_no_memory(err);
        goto fail;
    }
    store->reader_lock_ready = true;
    store->dir = path_join(options->dir, "", err);
    store->path = store->dir != NULL ? path_join(store->dir, DATABASE_FILE, err) : NULL;
    if (store->path == NULL || directory_create(options->dir, err) < 0 ||
        directory_lock(options->dir, &store->lock_fd, err) < 0) {
        goto fail;
    }
    sqlite_backup_sweep(options->dir);
    if (open_database(store, options, err) < 0) {
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
    if (checkpoint_final(&store->writer, &err) < 0) {
        log_event(LOG_WARN, "store-checkpoint-failed", LOG_STR("error", err.text),
                  LOG_STR("consequence", "nothing is lost; the log is read at the next start"));
    }
    destroy(store);
}
