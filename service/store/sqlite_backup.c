/*
 * Online backup: a copy of one committed state into a new file, while commits go on.
 *
 * The copy is built under a temporary name beside its target, turned into a single file without a log,
 * checked by opening it, synced, and only then given its name; whatever is found under the target's name
 * is therefore a complete backup. All connections are the call's own, so any thread may call and nothing
 * else waits, except that the log cannot be started over while the copy is made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "directory.h"
#include "sqlite_migrate.h"
#include "sqlite_store.h"

static const char *const copy_action = "copy the database";

#define STEP_PAGES 4096 /* copied between two looks at whether to go on */

/* May the copy be given up on the way? */
struct patience {
    bool (*go_on)(void *arg); /* NULL: never */
    void *arg;
};

static int fail_errno(const char *what, const char *path, struct err *err) {
    int failure = errno;
    if (failure == EEXIST) {
        return err_set(err, ERR_ALREADY_EXISTS, "%s exists and is not overwritten; choose another file name",
                       path);
    }
    return err_set(err, failure == ENOSPC || failure == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                   "cannot %s %s: %s", what, path, strerror(failure));
}

/* One transaction on `from` for the whole copy: otherwise each commit would start it again. */
static int copy(struct connection *from, struct connection *to, const struct patience *patience,
                struct err *err) {
    struct store_meta meta;
    if (query_simple(from, QUERY_BEGIN_READ, copy_action, err) < 0 ||
        sqlite_read_meta(from, &meta, err) < 0) {
        return -1;
    }
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (backup == NULL) {
        return connection_fail(to, sqlite3_extended_errcode(to->db), copy_action, err);
    }
    int code = SQLITE_OK;
    bool wanted = true;
    while (code == SQLITE_OK && wanted) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        wanted = patience->go_on == NULL || patience->go_on(patience->arg);
    }
    int finished = sqlite3_backup_finish(backup);
    if (code == SQLITE_OK && !wanted) {
        return err_set(err, ERR_UNAVAILABLE, "the service is shutting down; try again in a moment");
    }
    if (code != SQLITE_DONE || finished != SQLITE_OK) {
        return connection_fail(to, finished != SQLITE_OK ? finished : code, copy_action, err);
    }
    return query_simple(from, QUERY_ROLLBACK, copy_action, err);
}

static int copy_to(struct sqlite_store *store, const char *path, const struct patience *patience,
                   struct err *err) {
    struct connection from;
    struct connection to;
    if (connection_open(&from, store->path, CONNECTION_READER, err) < 0) {
        return -1;
    }
    if (connection_open(&to, path, CONNECTION_CREATOR, err) < 0) {
        connection_close(&from);
        return -1;
    }
    int failed = copy(&from, &to, patience, err);
    if (failed == 0) {
        /* The copied header says "write-ahead log"; a backup is one file and may be read from read-only
         * media. */
        failed = connection_exec(&to, "PRAGMA journal_mode = DELETE", copy_action, err);
    }
    connection_close(&to);
    connection_close(&from);
    return failed;
}

/* Open the copy as the next start would. */
static int verify(const char *path, struct err *err) {
    struct connection probe;
    int64_t application = 0;
    unsigned applied = 0;
    struct store_meta meta;
    uint64_t content = 0;
    if (connection_open(&probe, path, CONNECTION_PROBE, err) < 0) {
        return -1;
    }
    int failed = connection_number(&probe, "PRAGMA application_id", &application, err);
    if (failed == 0 && application != STORE_APPLICATION_ID) {
        failed = err_set(err, ERR_CORRUPT, "the copy is not a database of bgppeerd");
    }
    if (failed == 0) {
        failed = migrate_verify(&probe, &applied, err);
    }
    if (failed == 0) {
        failed = connection_check(&probe, err);
    }
    if (failed == 0) {
        failed = sqlite_read_meta(&probe, &meta, err) != 0 ? -1 : sqlite_content_sum(&probe, &content, err);
    }
    if (failed == 0 && content != meta.content) {
        failed = sqlite_content_differs(&probe, err);
    }
    connection_close(&probe);
    return failed;
}

/* Give the finished copy its name, never replacing anything, and make that durable. */
static int publish(const char *temporary, const char *path, struct err *err) {
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        int failed = fail_errno("sync", temporary, err);
        if (fd >= 0) {
            (void)close(fd);
        }
        return failed;
    }
    (void)close(fd);
    int renamed = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
    if (renamed < 0 && (errno == EINVAL || errno == ENOSYS)) {
        /* A filesystem that cannot do both at once. */
        renamed = link(temporary, path);
        if (renamed == 0) {
            (void)unlink(temporary);
        }
    }
    if (renamed < 0) {
        return fail_errno("create", path, err);
    }
    if (directory_sync_parent(path, err) < 0) {
        (void)unlink(path);
        return -1;
    }
    return 0;
}

void sqlite_remove_temporary(const char *temporary) {
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        struct err ignored = ERR_INIT;
        char *name = path_join(temporary, suffixes[i], &ignored);
        if (name != NULL) {
            (void)unlink(name);
            free(name);
        }
    }
}

int sqlite_store_backup(struct store *base, const char *path, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct stat status;
    if (lstat(path, &status) == 0) {
        errno = EEXIST;
        return fail_errno("create", path, err);
    }
    char *temporary = path_join(path, ".XXXXXX", err);
    if (temporary == NULL) {
        return -1;
    }
    const struct patience endless = {.go_on = NULL};
    int failed = 0;
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        failed = fail_errno("create the backup", path, err);
    } else {
        (void)close(fd);
        if (copy_to(store, temporary, &endless, err) < 0 || verify(temporary, err) < 0) {
            failed = err_wrap(err, "backup to %s", path);
        } else {
            failed = publish(temporary, path, err);
        }
        if (failed < 0) {
            sqlite_remove_temporary(temporary);
        }
    }
    free(temporary);
    return failed;
}

/* ---- without a name ---- */

/* Nobody else gives a file such a name, so what a crash has left of one can be removed unseen. */
static const char *const temporaries[] = {TEMPORARY_BACKUP, TEMPORARY_RESTORE};
#define RANDOM_LEN strlen(TEMPORARY_RANDOM)

static char *unnamed_template(const struct sqlite_store *store, struct err *err) {
    size_t dir_len = strlen(store->path) - strlen(DATABASE_FILE);
    size_t size = dir_len + sizeof(TEMPORARY_BACKUP TEMPORARY_RANDOM);
    char *name = base_malloc(size);
    if (name == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    (void)snprintf(name, size, "%.*s" TEMPORARY_BACKUP TEMPORARY_RANDOM, (int)dir_len, store->path);
    return name;
}

int sqlite_store_backup_open(struct store *base, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                             struct err *err) {
    const struct patience patience = {.go_on = go_on, .arg = arg};
    struct sqlite_store *store = (struct sqlite_store *)base;
    char *temporary = unnamed_template(store, err);
    if (temporary == NULL) {
        return -1;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    int failed = fd < 0 ? fail_errno("create the backup", temporary, err) : 0;
    if (failed == 0 && (copy_to(store, temporary, &patience, err) < 0 || verify(temporary, err) < 0)) {
        failed = err_wrap(err, "backup");
    }
    if (fd >= 0) {
        sqlite_remove_temporary(temporary);
    }
    if (failed == 0) {
        *ret_fd = fd;
    } else if (fd >= 0) {
        (void)close(fd);
    }
    free(temporary);
    return failed;
}

static bool is_temporary(const char *name) {
    for (size_t i = 0; i < sizeof(temporaries) / sizeof(temporaries[0]); i++) {
        const char *prefix = temporaries[i] + 1; /* without the slash */
        size_t len = strlen(prefix) + RANDOM_LEN;
        if (strncmp(name, prefix, strlen(prefix)) == 0 && strlen(name) >= len &&
            (name[len] == '\0' || name[len] == '-')) { /* -journal and the like */
            return true;
        }
    }
    return false;
}

void sqlite_backup_sweep(const char *dir) {
    DIR *list = opendir(dir);
    if (list == NULL) {
        return; /* opening the database will say why */
    }
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        if (is_temporary(entry->d_name)) {
            (void)unlinkat(dirfd(list), entry->d_name, 0);
        }
    }
    (void)closedir(list);
}
