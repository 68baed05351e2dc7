/*
 * Looking at a database before anything may alter it: its header by plain reading, its log as well, and then,
 * without a shared index file and without moving the log, its schema and structure.
 *
 * No state, no locks: for files that nobody has open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static uint32_t big_endian(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Size of a file, -1 when there is none, -2 when that cannot be told (`err` is filled). */
int64_t sqlite_file_size(const char *path, const char *suffix, struct err *err) {
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
int sqlite_file_remove(const char *path, const char *suffix, struct err *err) {
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

/* The numbers that every schema has, and since migration 4 what tells one database from another. */
static int read_old_meta(struct connection *probe, unsigned applied, struct store_meta *ret,
                         struct err *err) {
    int64_t revision = 0;
    int64_t compacted = 0;
    if (applied >= STORE_IDENTITY_MIGRATION) {
        return sqlite_read_identity(probe, ret, err);
    }
    if (connection_number(probe, "SELECT revision FROM meta WHERE id = 1", &revision, err) != 0 ||
        connection_number(probe, "SELECT compacted FROM meta WHERE id = 1", &compacted, err) != 0) {
        return -1;
    }
    *ret = (struct store_meta){.revision = (uint64_t)revision, .compacted = (uint64_t)compacted};
    return 0;
}

/* What the log holds counts as well, and only SQLite can read that. */
int sqlite_check_content(struct connection *probe, struct finding *ret, struct err *err) {
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
        if (read_old_meta(probe, found.applied, &found.meta, err) != 0) {
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

int sqlite_check_bytes(const char *path, bool lenient, struct err *err) {
    int64_t log_size = sqlite_file_size(path, "-wal", err);
    return log_size == -2 || check_header(path, log_size <= 0, err) != 0 ? -1 : check_log(path, lenient, err);
}

int sqlite_check_file(const char *path, bool lenient, struct finding *ret, struct err *err) {
    int64_t log_size = sqlite_file_size(path, "-wal", err);
    if (log_size == -2 || sqlite_check_bytes(path, lenient, err) != 0) {
        return -1;
    }
    struct connection probe;
    int failed = connection_open(&probe, path, CONNECTION_PROBE, err);
    if (failed == 0) {
        failed = sqlite_check_content(&probe, ret, err);
    }
    connection_close(&probe);
    struct err ignored = ERR_INIT;
    if (log_size == -1 && sqlite_file_size(path, "-wal", &ignored) == 0) {
        /* Reading makes SQLite create an empty log. */
        (void)!sqlite_file_remove(path, "-wal", &ignored);
    }
    return failed;
}
