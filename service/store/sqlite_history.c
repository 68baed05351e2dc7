/*
 * Is the database in the data directory the one that was here last, and is it where it was?
 *
 * At the start the counters in table meta are compared with the high-water mark. A database that is older
 * than the mark, another one, or none at all would hand agents a fleet of the past, so it is refused, until a
 * person says that it is to be accepted. What is accepted, and what is restored, goes on behind the mark: a
 * revision that somebody has seen is never given a second time.
 *
 * While the service runs, the files behind the open descriptors are compared with those that have the names:
 * what is written into a file that was moved away or deleted is lost at the next start.
 *
 * The committing thread's, or before there are threads; no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "sqlite_store.h"
#include "sqlite_wal.h"

#define WAY_OUT                                                                                              \
    "restore the newest backup (bgppeerd restore FILE), or start with --accept-rollback to go on with what " \
    "is there; nothing was changed"

int history_read_mark(const char *dir, struct history *history, struct err *err) {
    *history = (struct history){.dir = dir};
    return high_water_read(dir, &history->mark, &history->state, err);
}

int history_check_missing(const struct history *history, const struct store_options *options,
                          const char *path, struct err *err) {
    if (history->state != HIGH_WATER_NONE) {
        return err_set(
            err, ERR_CORRUPT,
            "the database %s is missing, but %s" HIGH_WATER_FILE
            " says that there was one; put it back, or restore the newest backup (bgppeerd restore "
            "FILE), or start with --accept-rollback to begin with an empty one; nothing was changed",
            path, history->dir);
    }
    const char *const *companions = options->companions;
    for (size_t i = 0; companions != NULL && companions[i] != NULL; i++) {
        char companion[PATH_MAX];
        struct stat status;
        if (snprintf(companion, sizeof(companion), "%s/%s", options->dir, companions[i]) <
                (int)sizeof(companion) &&
            lstat(companion, &status) == 0) {
            return err_set(
                err, ERR_CORRUPT,
                "the database %s is missing, but there is a %s of its service; put the database back, or "
                "restore the newest backup (bgppeerd restore FILE), or start with --accept-rollback "
                "to begin with an empty one; nothing was changed",
                path, companion);
        }
    }
    return 0;
}

int history_check(const struct history *history, const struct store_meta *meta, const char *path,
                  struct err *err) {
    const struct high_water *mark = &history->mark;
    if (history->state == HIGH_WATER_NONE) {
        return 0;
    }
    if (history->state == HIGH_WATER_DAMAGED) {
        return err_set(err, ERR_CORRUPT,
                       "%s" HIGH_WATER_FILE
                       " is damaged, so that nobody can tell whether %s is complete; " WAY_OUT,
                       history->dir, path);
    }
    /* A schema of before the mark has no uuid: an older copy. */
    if (memcmp(meta->uuid, mark->uuid, sizeof(mark->uuid)) != 0 && meta->commits > 0) {
        return err_set(err, ERR_CORRUPT,
                       "%s is another database than the one that was here, whose newest version was %" PRIu64
                       "; put that one back, or " WAY_OUT,
                       path, mark->revision);
    }
    if (meta->commits < mark->commits || meta->revision < mark->revision) {
        return err_set(
            err, ERR_CORRUPT,
            "%s or its log has lost acknowledged writes or is an older copy: it holds version %" PRIu64
            " (transaction %" PRIu64 "), but version %" PRIu64 " (transaction %" PRIu64
            ") was stored here; put the newer files back, or " WAY_OUT,
            path, meta->revision, meta->commits, mark->revision, mark->commits);
    }
    return 0;
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* What was before: known up to here when it was restored whole; of what was accepted as it is, nothing. */
static int settle_past(struct connection *writer, struct store_meta *meta, uint64_t before, bool whole,
                       struct err *err) {
    if (!whole) {
        return sqlite_past_begin_anew(writer, meta, err);
    }
    return meta->revision - 1 > before
               ? sqlite_add_lost(writer, before, meta->revision - 1, clock_realtime_ms(), err)
               : 0;
}

int history_begin_behind(struct connection *writer, const struct history *history, uint64_t revision,
                         bool whole, struct err *err) {
    const char *action = "begin a new history in the database";
    struct store_meta meta;
    if (connection_exec(writer, "BEGIN IMMEDIATE", action, err) != 0) {
        return -1;
    }
    int result = sqlite_read_meta(writer, &meta, err);
    if (result == 0) {
        result = sqlite_content_sum(writer, &meta.content, err);
    }
    if (result == 0) {
        if (history->state == HIGH_WATER_WHOLE) {
            memcpy(meta.uuid, history->mark.uuid, sizeof(meta.uuid));
            revision = later(revision, history->mark.revision);
            meta.commits = later(meta.commits, history->mark.commits);
        }
        uint64_t before = meta.revision;
        meta.revision = later(meta.revision, revision) + 1;
        meta.compacted = meta.revision;
        meta.commits++;
        result = settle_past(writer, &meta, before, whole, err);
    }
    if (result == 0) {
        result = sqlite_write_meta(writer, &meta, action, err);
    }
    if (result == 0) {
        result = connection_exec(writer, "COMMIT", action, err);
    }
    if (result != 0 && sqlite3_get_autocommit(writer->db) == 0) {
        struct err ignored = ERR_INIT;
        (void)!connection_exec(writer, "ROLLBACK", action, &ignored);
    }
    return result;
}

/* ---- while it runs ---- */

void history_raise(struct sqlite_store *store, const struct store_meta *meta) {
    struct high_water mark = {.revision = meta->revision, .commits = meta->commits};
    struct err err = ERR_INIT;
    memcpy(mark.uuid, meta->uuid, sizeof(mark.uuid));
    int result = 0;
    if (store->mark_fd < 0) {
        result = high_water_open(store->history.dir, &mark, &store->mark_fd, &err);
    } else if ((errno = high_water_raise(store->mark_fd, &mark)) != 0) {
        result = err_set(&err, ERR_UNAVAILABLE, "cannot write %s" HIGH_WATER_FILE ": %s", store->history.dir,
                         strerror(errno));
    }
    if (result != 0 && !store->mark_failing) {
        log_event(
            LOG_WARN, "high-water-failed", LOG_STR("error", err.text),
            LOG_STR("consequence", "what is lost from here on by damage will not be noticed at a start"));
    } else if (result == 0 && store->mark_failing) {
        log_event(LOG_INFO, "high-water-recovered");
    }
    store->mark_failing = result != 0;
}

static int place_stat(const char *path, struct stat *ret) {
    return stat(path, ret) == 0 && S_ISREG(ret->st_mode) ? 0 : -1;
}

int place_note(struct sqlite_store *store, struct err *err) {
    struct stat database;
    struct stat log;
    if (snprintf(store->place.log_path, sizeof(store->place.log_path), "%s-wal", store->path) >=
        (int)sizeof(store->place.log_path)) {
        return err_set(err, ERR_USAGE, "the name of the data directory is too long");
    }
    if (place_stat(store->path, &database) != 0 || place_stat(store->place.log_path, &log) != 0) {
        return err_set(err, ERR_UNAVAILABLE, "%s or its log was moved away while it was opened; start again",
                       store->path);
    }
    store->place.database_device = database.st_dev;
    store->place.database_file = database.st_ino;
    store->place.log_device = log.st_dev;
    store->place.log_file = log.st_ino;
    return connection_number(&store->writer, "PRAGMA page_size", &store->place.page_size, err);
}

int place_check(const struct sqlite_store *store, struct err *err) {
    const struct place *place = &store->place;
    struct stat database;
    struct stat log;
    if (place_stat(store->path, &database) != 0 || database.st_dev != place->database_device ||
        database.st_ino != place->database_file) {
        return err_set(
            err, ERR_UNAVAILABLE,
            "the database %s was moved, deleted or replaced while the service runs, so writes would be "
            "lost; put it back, or stop the service and restore a backup; nothing was written",
            store->path);
    }
    if (place_stat(place->log_path, &log) != 0 || log.st_dev != place->log_device ||
        log.st_ino != place->log_file) {
        return err_set(
            err, ERR_UNAVAILABLE,
            "the log %s was moved, deleted or replaced while the service runs, so writes would be lost; "
            "put it back, or stop the service and restore a backup; nothing was written",
            place->log_path);
    }
    if (log.st_size < wal_size(store->log_frames, place->page_size)) {
        return err_set(
            err, ERR_UNAVAILABLE,
            "the log %s was cut short while the service runs; stop the service and restore a backup; "
            "nothing was written",
            place->log_path);
    }
    return 0;
}
