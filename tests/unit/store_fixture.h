/*
 * What the store's tests share: a temporary data directory, short ways to write, and the whole content of a
 * store, or of a directory, as one text to compare.
 *
 * Include after cmocka.h.
 */
#ifndef BGPPEERD_TESTS_UNIT_STORE_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_STORE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "store.h"

#define PATH_TEXT_MAX 512

/* The newest migration's number, as the store shows it, the next one's, and as it stands in the database's
 * header. */
#define SCHEMA       "7"
#define SCHEMA_NEWER "8"
#define SCHEMA_BYTES "\0\0\0\7"

/* A file's name inside a directory; `out` has PATH_TEXT_MAX bytes. */
static inline const char *path_in(char *out, const char *dir, const char *name) {
    assert_true(snprintf(out, PATH_TEXT_MAX, "%s/%s", dir, name) < PATH_TEXT_MAX);
    return out;
}

static inline int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *dir) {
    (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* cmocka set-up and tear-down: *state is the name of an empty directory. */
static inline int setup_dir(void **state) {
    const char *base = getenv("TMPDIR");
    char *dir = malloc(PATH_TEXT_MAX);
    assert_non_null(dir);
    assert_true(snprintf(dir, PATH_TEXT_MAX, "%s/bgppeerd-store-XXXXXX", base != NULL ? base : "/tmp") <
                PATH_TEXT_MAX);
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

/* The same in memory, for tests that open a store many hundred times and need no disk. */
static inline int setup_memory_dir(void **state) {
    struct statvfs space;
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &space) == 0 &&
        (uint64_t)space.f_bavail * space.f_frsize > 64u << 20) {
        char *dir = strdup("/dev/shm/bgppeerd-store-XXXXXX");
        assert_non_null(dir);
        assert_non_null(mkdtemp(dir));
        *state = dir;
        return 0;
    }
    return setup_dir(state);
}

static inline int teardown_dir(void **state) {
    remove_tree(*state);
    free(*state);
    return 0;
}

static inline struct store *must_open(const char *dir) {
    struct store_options options = {.dir = dir};
    struct store *store = NULL;
    struct err err = ERR_INIT;
    if (store_open(&options, &store, &err) < 0) {
        fail_msg("store_open: %s", err.text);
    }
    return store;
}

/* The store must be refused; `err` says why. */
static inline void must_refuse(const char *dir, enum err_code code, const char *fragment) {
    struct store_options options = {.dir = dir};
    struct store *store = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(store_open(&options, &store, &err), -1);
    assert_null(store);
    if (strstr(err.text, fragment) == NULL) {
        fail_msg("\"%s\" does not contain \"%s\"", err.text, fragment);
    }
    assert_int_equal(err.code, code);
}

static inline struct store_change change_of(enum store_op op, const char *kind, const char *name,
                                            uint64_t revision, const char *body) {
    return (struct store_change){.op = op,
                                 .kind = kind,
                                 .name = name,
                                 .revision = revision,
                                 .time_ms = 1700000000000 + (int64_t)(revision % 1000000),
                                 .actor = "tester",
                                 .body = body,
                                 .body_len = strlen(body)};
}

static inline struct store_status status_of(struct store *store) {
    struct store_status status = {0};
    struct err err = ERR_INIT;
    if (store_status(store, &status, &err) < 0) {
        fail_msg("store_status: %s", err.text);
    }
    return status;
}

/* What a batch is to be based on that is made with the knowledge of all before it. */
static inline uint64_t newest_commit(struct store *store) {
    return store_is_shared(store) ? status_of(store).commit : 0;
}

static inline int try_change(struct store *store, enum store_op op, const char *kind, const char *name,
                             uint64_t revision, const char *body, struct err *err) {
    struct store_change change = change_of(op, kind, name, revision, body);
    struct store_batch batch = {.changes = &change, .change_count = 1, .base = newest_commit(store)};
    return store_commit(store, &batch, err);
}

/* As if made with the knowledge of all before it, whatever its base says. */
static inline void must_commit(struct store *store, const struct store_batch *batch) {
    struct store_batch newest = *batch;
    struct err err = ERR_INIT;
    newest.base = newest_commit(store);
    if (store_commit(store, &newest, &err) < 0) {
        fail_msg("store_commit: %s", err.text);
    }
}

static inline void must_change(struct store *store, enum store_op op, const char *kind, const char *name,
                               uint64_t revision, const char *body) {
    struct store_change change = change_of(op, kind, name, revision, body);
    must_commit(store, &(struct store_batch){.changes = &change, .change_count = 1});
}

static inline int dump_object(void *arg, const char *kind, const char *name, uint64_t revision,
                              const char *body, size_t body_len, struct err *err) {
    (void)err;
    buf_printf(arg, "object %s %s %" PRIu64 " ", kind, name, revision);
    buf_add_json(arg, body, body_len);
    buf_add_char(arg, '\n');
    return 0;
}

static inline int dump_sealed(void *arg, const struct store_sealed *sealed, struct err *err) {
    (void)err;
    buf_printf(arg, "sealed %s %s %" PRIu64 " %" PRIu64 " ", sealed->object, sealed->item, sealed->version,
               sealed->key_id);
    buf_add_json(arg, sealed->nonce, sealed->nonce_len);
    buf_add_json(arg, sealed->ciphertext, sealed->ciphertext_len);
    buf_add_char(arg, '\n');
    return 0;
}

static inline int dump_setting(void *arg, const struct store_setting *setting, struct err *err) {
    (void)err;
    buf_printf(arg, "setting %s ", setting->name);
    buf_add_json(arg, setting->value, setting->value_len);
    buf_add_char(arg, '\n');
    return 0;
}

static inline int dump_change(void *arg, const struct store_change *change, struct err *err) {
    (void)err;
    buf_printf(arg, "change %" PRIu64 " %d %s %s %" PRId64 " %s ", change->revision, (int)change->op,
               change->kind, change->name, change->time_ms, change->actor);
    buf_add_json(arg, change->body, change->body_len);
    buf_add_char(arg, '\n');
    return 0;
}

static inline int dump_audit(void *arg, const struct store_audit *audit, struct err *err) {
    (void)err;
    buf_printf(arg, "audit %" PRIu64 " %" PRId64 " ", audit->sequence, audit->time_ms);
    buf_add_json(arg, audit->entry, audit->entry_len);
    buf_add_char(arg, '\n');
    return 0;
}

/* Everything a store holds; free() it. */
static inline char *dump(struct store *store) {
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    struct store_status status = status_of(store);
    buf_printf(&text, "revision %" PRIu64 " compacted %" PRIu64 " schema %u\n", status.revision,
               status.compacted, status.schema_version);
    struct store_reader reader = {
        .object = dump_object, .sealed = dump_sealed, .setting = dump_setting, .arg = &text};
    uint64_t newest = 0;
    if (store_load(store, &reader, &err) < 0 ||
        store_read_changes(store, status.compacted, 0, dump_change, &text, &err) < 0 ||
        store_read_audit(store, INT64_MAX, dump_audit, &text, &newest, &err) < 0) {
        fail_msg("dump: %s", err.text);
    }
    assert_false(buf_failed(&text));
    return buf_steal(&text, NULL);
}

static inline void assert_dump(struct store *store, const char *expected) {
    char *now = dump(store);
    assert_string_equal(now, expected);
    free(now);
}

/* A whole file; free() it. */
static inline char *read_file(const char *path, size_t *ret_len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    char *bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    size_t len = 0;
    ssize_t got = 0;
    while ((got = read(fd, bytes + len, (size_t)status.st_size - len)) > 0) {
        len += (size_t)got;
    }
    assert_int_equal(close(fd), 0);
    *ret_len = len;
    return bytes;
}

static inline void write_file(const char *path, const void *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

/* False when there is no `from`. */
static inline bool copy_file(const char *from, const char *to) {
    if (access(from, F_OK) < 0) {
        return false;
    }
    size_t len = 0;
    char *bytes = read_file(from, &len);
    write_file(to, bytes, len);
    free(bytes);
    return true;
}

static inline int not_lock(const struct dirent *entry) {
    return strcmp(entry->d_name, "lock") != 0 && entry->d_name[0] != '.';
}

/* Names, sizes and digests of a directory's files, without the lock file; free() it. */
static inline char *dir_digest(const char *dir) {
    struct buf text = BUF_INIT;
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, not_lock, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        char path[PATH_TEXT_MAX];
        char digest[DIGEST_TEXT_MAX];
        size_t len = 0;
        char *bytes = read_file(path_in(path, dir, entries[i]->d_name), &len);
        digest_hex(bytes, len, digest);
        buf_printf(&text, "%s %zu %s\n", entries[i]->d_name, len, digest);
        free(bytes);
        free(entries[i]);
    }
    free(entries);
    buf_printf(&text, "%d files\n", count);
    assert_false(buf_failed(&text));
    return buf_steal(&text, NULL);
}

/* What a power cut would leave: the database and its log, without the log's index. */
static inline void copy_database(const char *dir, const char *copy) {
    char from[PATH_TEXT_MAX];
    char to[PATH_TEXT_MAX];
    assert_true(mkdir(copy, 0700) == 0);
    assert_true(copy_file(path_in(from, dir, "bgppeerd.db"), path_in(to, copy, "bgppeerd.db")));
    (void)copy_file(path_in(from, dir, "bgppeerd.db-wal"), path_in(to, copy, "bgppeerd.db-wal"));
}

#endif
