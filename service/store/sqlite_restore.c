/*
 * Restoring a backup, and looking into one: work on database files that no store has open.
 *
 * The new database is copied into the data directory under a temporary name, checked there and synced; then
 * the old one gets a second name and the copy is renamed over it, so that there is no moment without a
 * database, in which a start would make an empty one. What is dangerous is the old database's log: SQLite
 * would play it into the new one. So it is first emptied into the old database, or, when that is too damaged,
 * taken away with it.
 *
 * The restored history is another one than that which clients have seen: its next revisions must not be
 * numbers that they know already, or a watch would go on as if nothing had happened. So it continues behind
 * both, with an empty change log: whoever asks for what came after a number of before is told to list again.
 *
 * Under the data directory's lock; no other state.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "directory.h"
#include "sqlite_migrate.h"
#include "sqlite_store.h"

#define KEPT_PREFIX "bgppeerd.db.before-restore-"
#define KEPT_TRIES  100

static int fail_io(const char *what, const char *path, struct err *err) {
    int failure = errno;
    return err_set(err, failure == ENOSPC || failure == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                   "cannot %s %s: %s", what, path, strerror(failure));
}

/* ---- looking ---- */

/* Are the objects those that were written? Nobody knows that of a schema before the one with the sum. */
static int check_objects(struct connection *probe, const struct finding *found, struct err *err) {
    uint64_t content = 0;
    if (found->applied < STORE_IDENTITY_MIGRATION) {
        return 0;
    }
    if (sqlite_content_sum(probe, &content, err) != 0) {
        return -1;
    }
    return content == found->meta.content ? 0 : sqlite_content_differs(probe, err);
}

int sqlite_store_inspect(const char *path, const struct store_reader *reader, struct store_status *ret,
                         struct err *err) {
    struct connection probe;
    struct finding found;
    if (sqlite_check_file(path, false, &found, err) < 0 ||
        connection_open(&probe, path, CONNECTION_PROBE, err) < 0) {
        return -1;
    }
    int failed = check_objects(&probe, &found, err);
    if (failed == 0) {
        failed = sqlite_load_vault(&probe, reader, err);
    }
    connection_close(&probe);
    if (failed == 0) {
        *ret = (struct store_status){.revision = found.meta.revision,
                                     .compacted = found.meta.compacted,
                                     .past = found.meta.past,
                                     .past_ms = found.meta.past_ms,
                                     .schema_version = found.applied};
    }
    return failed;
}

/* ---- the copy ---- */

static int copy_bytes(int from, int to, const char *from_path, const char *to_path, struct err *err) {
    char bytes[65536];
    for (;;) {
        ssize_t got = read(from, bytes, sizeof(bytes));
        if (got == 0) {
            break;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_io("read", from_path, err);
        }
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, bytes + done, (size_t)(got - done));
            if (put < 0 && errno != EINTR) {
                return fail_io("write", to_path, err);
            }
            done += put > 0 ? put : 0;
        }
    }
    return fsync(to) == 0 ? 0 : fail_io("sync", to_path, err);
}

/* Into the open file `to`, which is closed. */
static int copy_file(const char *path, int to, const char *to_path, struct err *err) {
    int from = to < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int failed = to < 0     ? fail_io("create", to_path, err)
                 : from < 0 ? fail_io("read", path, err)
                            : copy_bytes(from, to, path, to_path, err);
    if (to >= 0) {
        (void)close(to);
    }
    if (from >= 0) {
        (void)close(from);
    }
    return failed;
}

/* The log beside `path`, when there is one that holds something: then `path` is no backup but what a process
 * has left that was killed, and its newest changes are in the log. */
static int copy_log(const char *path, const char *temporary, bool *ret_copied, struct err *err) {
    char *from = path_join(path, "-wal", err);
    char *to = from != NULL ? path_join(temporary, "-wal", err) : NULL;
    struct stat status;
    int failed = to == NULL ? -1 : 0;
    *ret_copied = false;
    if (failed == 0 && stat(from, &status) < 0) {
        failed = errno == ENOENT ? 0 : fail_io("look at", from, err);
    } else if (failed == 0 && status.st_size > 0) {
        failed = copy_file(from, open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), to, err);
        *ret_copied = failed == 0;
    }
    free(from);
    free(to);
    return failed;
}

/* Move the database's log into it. */
static int empty_log(const char *database, struct err *err) {
    struct connection writer;
    struct finding found;
    if (sqlite_check_file(database, false, &found, err) < 0 ||
        connection_open(&writer, database, CONNECTION_WRITER, err) < 0) {
        return -1;
    }
    int failed = checkpoint_final(&writer, err);
    connection_close(&writer); /* the last connection removes the empty log */
    return failed;
}

/* One whole and checked file. `temporary` is a template for mkostemp; what it became is the caller's to
 * remove. */
static int copy_database(const char *path, char *temporary, struct finding *ret, struct err *err) {
    bool has_log = false;
    int to = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (copy_file(path, to, temporary, err) < 0 || copy_log(path, temporary, &has_log, err) < 0 ||
        (has_log && empty_log(temporary, err) < 0)) {
        return -1;
    }
    return sqlite_check_file(temporary, false, ret, err);
}

/* 0 when there is none, or none that can be read. */
static int64_t newest_revision(const char *database) {
    struct connection probe;
    struct err unreadable = ERR_INIT;
    int64_t revision = 0;
    if (connection_open(&probe, database, CONNECTION_PROBE, &unreadable) == 0) {
        (void)!connection_number(&probe, "SELECT revision FROM meta WHERE id = 1", &revision, &unreadable);
    }
    connection_close(&probe);
    return revision;
}

/* Bring the copy to today's schema, and let it go on behind the old database and its mark. */
static int begin_behind(const char *database, const struct finding *found, const struct history *history,
                        int64_t revision, struct err *err) {
    struct connection writer;
    if (connection_open(&writer, database, CONNECTION_WRITER, err) < 0) {
        return -1;
    }
    int failed = migrate_run(&writer, found->applied, err);
    if (failed == 0) {
        failed = history_begin_behind(&writer, history, (uint64_t)revision, true, err);
    }
    if (failed == 0) {
        failed = checkpoint_final(&writer, err);
    }
    connection_close(&writer); /* the last connection removes the empty log */
    return failed;
}

/* ---- the exchange ---- */

/* Take <database><suffix> aside as <kept><suffix>; it may be missing. */
static int keep_companion(const char *database, const char *kept, const char *suffix, struct err *err) {
    char *from = path_join(database, suffix, err);
    char *to = from != NULL ? path_join(kept, suffix, err) : NULL;
    int failed = to == NULL ? -1 : 0;
    if (failed == 0 && rename(from, to) < 0 && errno != ENOENT) {
        failed = fail_io("move aside", from, err);
    }
    free(from);
    free(to);
    return failed;
}

/* A second name for the old database: `kept` (a path) and `name` (its last part), by the time in UTC. */
static int keep_database(const char *dir, const char *database, char **ret_kept, char name[STORE_KEPT_MAX],
                         struct err *err) {
    time_t now = time(NULL);
    struct tm utc;
    char text[32];
    if (gmtime_r(&now, &utc) == NULL || strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &utc) == 0) {
        return err_set(err, ERR_INTERNAL, "the clock gives no date");
    }
    for (int i = 0; i < KEPT_TRIES; i++) {
        char suffix[STORE_KEPT_MAX + 1];
        (void)snprintf(suffix, sizeof(suffix), i == 0 ? "/" KEPT_PREFIX "%s" : "/" KEPT_PREFIX "%s-%d", text,
                       i);
        char *kept = path_join(dir, suffix, err);
        if (kept == NULL) {
            return -1;
        }
        if (link(database, kept) == 0) {
            (void)snprintf(name, STORE_KEPT_MAX, "%s", suffix + 1);
            *ret_kept = kept;
            return 0;
        }
        bool taken = errno == EEXIST;
        if (!taken) {
            (void)fail_io("keep the old database as", kept, err);
        }
        free(kept);
        if (!taken) {
            return -1;
        }
    }
    return err_set(err, ERR_UNAVAILABLE, "%s holds too many old databases (" KEPT_PREFIX "…); move them away",
                   dir);
}

static int exchange(const char *dir, const char *database, const char *temporary,
                    char ret_kept[STORE_KEPT_MAX], struct err *err) {
    struct stat status;
    char name[STORE_KEPT_MAX] = "";
    char *kept = NULL;
    int failed = 0;
    if (lstat(database, &status) == 0) {
        /* What cannot be read must go aside with its log. */
        struct err unreadable = ERR_INIT;
        bool emptied = empty_log(database, &unreadable) == 0;
        failed = keep_database(dir, database, &kept, name, err);
        if (failed == 0 && !emptied) {
            failed = keep_companion(database, kept, "-wal", err);
        }
    } else if (errno != ENOENT) {
        failed = fail_io("look at", database, err);
    } else {
        /* A log without its database: to be kept, but not to be played into the new one. */
        char *orphan = path_join(dir, "/" KEPT_PREFIX "lost", err);
        failed = orphan == NULL ? -1 : keep_companion(database, orphan, "-wal", err);
        free(orphan);
    }
    char *shm = failed == 0 ? path_join(database, "-shm", err) : NULL;
    if (shm != NULL) {
        (void)unlink(shm); /* only an index of the log */
    }
    if (failed == 0 && (shm == NULL || directory_sync_parent(database, err) < 0)) {
        failed = -1;
    }
    free(shm);
    if (failed == 0 && rename(temporary, database) < 0) {
        failed = fail_io("put the new database in place as", database, err);
    }
    if (failed == 0) {
        failed = directory_sync_parent(database, err);
    } else if (kept != NULL) {
        struct err ignored = ERR_INIT;
        (void)unlink(kept); /* the database still has its own name, and gets its log back */
        (void)!keep_companion(kept, database, "-wal", &ignored);
    }
    free(kept);
    if (failed == 0) {
        memcpy(ret_kept, name, sizeof(name));
    }
    return failed;
}

/* A mark that is damaged speaks of nothing; without it the next start makes a new one. A whole one stays: the
 * restored database has gone on behind it, so whatever a crash leaves in place fits to it. */
static int drop_damaged_mark(const struct history *history, struct err *err) {
    if (history->state != HIGH_WATER_DAMAGED) {
        return 0;
    }
    char *path = path_join(history->dir, HIGH_WATER_FILE, err);
    int failed = path == NULL ? -1 : 0;
    if (failed == 0 && unlink(path) != 0) {
        failed = fail_io("remove", path, err);
    }
    free(path);
    return failed;
}

static int put_in_place(const char *dir, const char *path, const char *database, char *temporary,
                        char ret_kept[STORE_KEPT_MAX], struct err *err) {
    struct history history;
    struct finding found;
    if (history_read_mark(dir, &history, err) != 0 || copy_database(path, temporary, &found, err) != 0 ||
        begin_behind(temporary, &found, &history, newest_revision(database), err) != 0) {
        return -1;
    }
    return exchange(dir, database, temporary, ret_kept, err) != 0 ? -1 : drop_damaged_mark(&history, err);
}

int sqlite_store_restore(const char *dir, const char *path, char *ret_kept, struct err *err) {
    const struct store_reader none = {0};
    struct store_status status;
    if (sqlite_store_inspect(path, &none, &status, err) < 0 || directory_create(dir, err) < 0) {
        return -1;
    }
    int lock = -1;
    char *database = path_join(dir, DATABASE_FILE, err);
    char *temporary = path_join(dir, TEMPORARY_RESTORE TEMPORARY_RANDOM, err);
    int failed = database == NULL || temporary == NULL || directory_lock(dir, &lock, err) < 0 ? -1 : 0;
    if (failed == 0) {
        failed = put_in_place(dir, path, database, temporary, ret_kept, err);
        if (failed < 0) {
            sqlite_remove_temporary(temporary); /* an untouched template names no file */
        }
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    free(database);
    free(temporary);
    return failed;
}
