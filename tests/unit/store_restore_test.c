/*
 * Backups without a name, looking into database files, and putting one in place of another: what is there
 * afterwards, also when it does not work out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"

static bool always(void *arg) {
    (*(int *)arg)++;
    return true;
}

static bool never(void *arg) {
    (*(int *)arg)++;
    return false;
}

/* A store with one object of this name, and its vault's setting. */
static struct store *store_with(const char *dir, const char *name) {
    struct store *store = must_open(dir);
    struct store_setting setting = {.name = "vault/key/1", .value = "wrapped", .value_len = 7};
    must_change(store, STORE_CREATE, "Node", name, 1, "{}");
    must_commit(store, &(struct store_batch){.settings = &setting, .setting_count = 1});
    return store;
}

/* What a descriptor gives, as a file. */
static void save(int fd, const char *path) {
    char bytes[65536];
    FILE *file = fopen(path, "wb");
    ssize_t got;
    assert_non_null(file);
    while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(fwrite(bytes, 1, (size_t)got, file), got);
    }
    assert_int_equal(got, 0);
    assert_int_equal(fclose(file), 0);
}

static void an_unnamed_backup_leaves_no_file(void **state) {
    char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX], other[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    int asked = 0, fd = -1;
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    char *expected = dump(store);
    char *before = dir_digest(dir);
    if (store_backup_open(store, always, &asked, &fd, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_true(asked > 0);
    char *after = dir_digest(dir);
    assert_string_equal(after, before);
    store_close(store);
    assert_int_equal(mkdir(path_in(other, *state, "other"), 0700), 0);
    save(fd, path_in(path, other, "bgppeerd.db"));
    assert_int_equal(close(fd), 0);
    store = must_open(other);
    assert_dump(store, expected);
    store_close(store);
    free(expected);
    free(before);
    free(after);
}

static void a_backup_can_be_given_up(void **state) {
    struct err err = ERR_INIT;
    int asked = 0, fd = -7;
    struct store *store = store_with(*state, "n");
    /* More than one step's pages, so that it is asked before the end. */
    char *body = calloc(1, 1 << 20);
    assert_non_null(body);
    memset(body, 'x', (1 << 20) - 1);
    for (uint64_t i = 2; i < 14; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "big%" PRIu64, i);
        must_change(store, STORE_CREATE, "Node", name, i, body);
    }
    free(body);
    assert_int_equal(store_backup_open(store, never, &asked, &fd, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(asked, 1);
    assert_int_equal(fd, -7);
    char *files = dir_digest(*state);
    assert_null(strstr(files, ".bgppeerd-"));
    free(files);
    store_close(store);
}

static void what_a_crash_left_is_removed(void **state) {
    static const char *const left[] = {".bgppeerd-backup-AbC123", ".bgppeerd-backup-AbC123-journal",
                                       ".bgppeerd-restore-000000"};
    static const char *const kept[] = {".bgppeerd-backup-", ".bgppeerd-backup-mine-of-monday",
                                       "bgppeerd.db.backup"};
    char path[PATH_TEXT_MAX];
    store_close(store_with(*state, "n"));
    for (size_t i = 0; i < 3; i++) {
        write_file(path_in(path, *state, left[i]), "x", 1);
        write_file(path_in(path, *state, kept[i]), "x", 1);
    }
    store_close(must_open(*state));
    for (size_t i = 0; i < 3; i++) {
        assert_int_not_equal(access(path_in(path, *state, left[i]), F_OK), 0);
        assert_int_equal(access(path_in(path, *state, kept[i]), F_OK), 0);
    }
}

static int count_setting(void *arg, const struct store_setting *setting, struct err *err) {
    (void)err;
    assert_string_equal(setting->name, "vault/key/1");
    (*(int *)arg)++;
    return 0;
}

static void looking_changes_nothing(void **state) {
    char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    struct store_status status;
    struct err err = ERR_INIT;
    int settings = 0;
    const struct store_reader reader = {.setting = count_setting, .arg = &settings};
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    store_close(store);
    char *before = dir_digest(*state);
    if (store_inspect(path, &reader, &status, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(settings, 1);
    assert_int_equal(status.revision, 1);
    assert_int_equal(store_inspect(path_in(path, *state, "missing"), &reader, &status, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    char *after = dir_digest(*state);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void must_restore(const char *dir, const char *path, char kept[STORE_KEPT_MAX]) {
    struct err err = ERR_INIT;
    if (store_restore(dir, path, kept, &err) < 0) {
        fail_msg("%s", err.text);
    }
}

/* A dump without what is of the history: its numbers and its changes. */
static char *content(char *dump) {
    char *out = dump;
    for (char *line = dump, *end; *line != '\0'; line = end) {
        end = strchr(line, '\n') + 1;
        if (strncmp(line, "revision ", 9) != 0 && strncmp(line, "change ", 7) != 0) {
            memmove(out, line, (size_t)(end - line));
            out += end - line;
        }
    }
    *out = '\0';
    return dump;
}

/* The store holds what `expected` (a dump, consumed) says, in a history that begins behind `revision`. */
static void assert_restored(struct store *store, char *expected, uint64_t revision) {
    struct store_status status = status_of(store);
    char *now = content(dump(store));
    assert_true(status.revision > revision);
    assert_int_equal(status.compacted, status.revision);
    assert_string_equal(now, content(expected));
    must_change(store, STORE_CREATE, "Node", "after-it", status.revision + 1, "{}");
    must_change(store, STORE_DELETE, "Node", "after-it", status.revision + 2, "{}");
    free(now);
    free(expected);
}

static void a_restored_database_is_the_backup(void **state) {
    char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX], aside[PATH_TEXT_MAX], kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    char *first = dump(store);
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    assert_int_equal(store_restore(dir, path, kept, &err), -1); /* a store has it open */
    assert_int_equal(err.code, ERR_CONFLICT);
    must_change(store, STORE_CREATE, "Node", "later", 2, "{}");
    char *second = dump(store);
    store_close(store);

    must_restore(dir, path, kept);
    store = must_open(dir);
    assert_restored(store, first, 2);
    uint64_t revision = status_of(store).revision;
    store_close(store);
    must_restore(dir, path_in(aside, dir, kept), kept);
    store = must_open(dir);
    assert_restored(store, second, revision);
    store_close(store);
}

/* The log of a killed process belongs to the old database only. */
static void a_log_goes_with_its_database(void **state) {
    char dir[PATH_TEXT_MAX], killed[PATH_TEXT_MAX], path[PATH_TEXT_MAX], aside[PATH_TEXT_MAX];
    char kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    char *first = dump(store);
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    must_change(store, STORE_CREATE, "Node", "only-in-the-log", 2, "{}");
    char *second = dump(store);
    copy_database(dir, path_in(killed, *state, "killed"));
    store_close(store);

    must_restore(killed, path, kept);
    store = must_open(killed);
    assert_restored(store, first, 2); /* of which 2 was in the log only */
    uint64_t revision = status_of(store).revision;
    store_close(store);
    must_restore(killed, path_in(aside, killed, kept), kept);
    store = must_open(killed);
    assert_restored(store, second, revision);
    store_close(store);
}

/* Not a backup but the files of a killed process: what is only in their log is restored as well. */
static void the_files_of_a_killed_process_are_restored_whole(void **state) {
    char dir[PATH_TEXT_MAX], killed[PATH_TEXT_MAX], path[PATH_TEXT_MAX], fresh[PATH_TEXT_MAX];
    char kept[STORE_KEPT_MAX];
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    must_change(store, STORE_CREATE, "Node", "only-in-the-log", 2, "{}");
    char *whole = dump(store);
    copy_database(dir, path_in(killed, *state, "killed"));
    store_close(store);

    char *before = dir_digest(killed);
    must_restore(path_in(fresh, *state, "fresh"), path_in(path, killed, "bgppeerd.db"), kept);
    char *after = dir_digest(killed);
    assert_string_equal(after, before);
    store = must_open(fresh);
    assert_restored(store, whole, 2);
    store_close(store);
    free(before);
    free(after);
}

static void a_bad_backup_changes_nothing(void **state) {
    char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX], kept[STORE_KEPT_MAX] = "untouched";
    struct err err = ERR_INIT;
    size_t len;
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    store_close(store);
    char *bytes = read_file(path, &len);
    char *before = dir_digest(dir);
    for (size_t cut = 0; cut < len; cut += len / 16) {
        write_file(path, bytes, cut);
        err_clear(&err);
        assert_int_equal(store_restore(dir, path, kept, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        char *after = dir_digest(dir);
        assert_string_equal(after, before);
        free(after);
    }
    assert_string_equal(kept, "untouched");
    free(bytes);
    free(before);
}

static void a_new_directory_is_made(void **state) {
    char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX], fresh[PATH_TEXT_MAX], kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    struct stat status;
    struct store *store = store_with(path_in(dir, *state, "data"), "n");
    char *expected = dump(store);
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    store_close(store);
    must_restore(path_in(fresh, *state, "fresh"), path, kept);
    assert_string_equal(kept, "");
    assert_int_equal(stat(path_in(path, fresh, "bgppeerd.db"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    store = must_open(fresh);
    assert_restored(store, expected, 1);
    store_close(store);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        IN_DIR(an_unnamed_backup_leaves_no_file),
        IN_DIR(a_backup_can_be_given_up),
        IN_DIR(what_a_crash_left_is_removed),
        IN_DIR(looking_changes_nothing),
        IN_DIR(a_restored_database_is_the_backup),
        IN_DIR(a_log_goes_with_its_database),
        IN_DIR(the_files_of_a_killed_process_are_restored_whole),
        IN_DIR(a_bad_backup_changes_nothing),
        IN_DIR(a_new_directory_is_made),
    };
    return cmocka_run_group_tests_name("store: restore", tests, NULL, NULL);
}
