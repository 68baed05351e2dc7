/*
 * Online backup: complete, private, one file, never over something else, and while commits go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "store_fixture.h"

/* Open a backup as a store of its own. */
static struct store *restore(const char *parent, const char *backup) {
    char dir[PATH_TEXT_MAX];
    char file[PATH_TEXT_MAX];
    assert_int_equal(mkdir(path_in(dir, parent, "restored"), 0700), 0);
    assert_true(copy_file(backup, path_in(file, dir, "bgppeerd.db")));
    return must_open(dir);
}

static void a_backup_is_a_complete_store(void **state) {
    char dir[PATH_TEXT_MAX];
    char out[PATH_TEXT_MAX];
    char file[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    struct store *store = must_open(path_in(dir, *state, "data"));
    must_change(store, STORE_CREATE, "Secret", "default/s", 1, "{}");
    struct store_sealed sealed = {.object = "default/s",
                                  .item = "k",
                                  .version = 1,
                                  .nonce = "n",
                                  .nonce_len = 1,
                                  .ciphertext = "c",
                                  .ciphertext_len = 1};
    struct store_setting setting = {.name = "vault/key/1", .value = "w", .value_len = 1};
    must_commit(store, &(struct store_batch){
                           .sealed = &sealed, .sealed_count = 1, .settings = &setting, .setting_count = 1});
    char *expected = dump(store);
    assert_int_equal(mkdir(path_in(out, *state, "out"), 0700), 0);
    path_in(file, out, "backup.db");
    mode_t mask = umask(0);
    if (store_backup(store, file, &err) < 0) {
        fail_msg("%s", err.text);
    }
    umask(mask);
    must_change(store, STORE_CREATE, "Node", "later", 2, "{}");
    struct stat status;
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    char *files = dir_digest(out);
    assert_non_null(strstr(files, "\n1 files\n"));
    assert_ptr_equal(strstr(files, "backup.db "), files);
    free(files);

    /* Never over something that is there, be it a dangling link. */
    size_t len = 0;
    char *bytes = read_file(file, &len);
    assert_int_equal(store_backup(store, file, &err), -1);
    assert_int_equal(err.code, ERR_ALREADY_EXISTS);
    size_t len_after = 0;
    char *bytes_after = read_file(file, &len_after);
    assert_int_equal(len_after, len);
    assert_memory_equal(bytes_after, bytes, len);
    free(bytes);
    free(bytes_after);
    store_close(store);

    store = restore(*state, file);
    assert_dump(store, expected);
    must_change(store, STORE_CREATE, "Node", "other", 2, "{}");
    store_close(store);
    free(expected);
}

static void a_backup_that_cannot_be_made_leaves_nothing(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    struct store *store = must_open(path_in(dir, *state, "data"));
    assert_int_equal(store_backup(store, path_in(path, *state, "missing/backup.db"), &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "missing/backup.db"));
    path_in(path, *state, "link");
    assert_int_equal(symlink("nowhere", path), 0);
    err_clear(&err);
    assert_int_equal(store_backup(store, path, &err), -1);
    assert_int_equal(err.code, ERR_ALREADY_EXISTS);
    must_change(store, STORE_CREATE, "Node", "n", 1, "{}");
    store_close(store);
}

struct writing {
    struct store *store;
    uint64_t revision;
    bool failed;
};

static void *write_on(void *arg) {
    struct writing *writing = arg;
    for (int i = 0; i < 300 && !writing->failed; i++) {
        char names[2][32];
        struct store_change changes[2];
        for (int k = 0; k < 2; k++) {
            (void)snprintf(names[k], sizeof(names[k]), "w%" PRIu64, ++writing->revision);
            changes[k] = change_of(STORE_CREATE, "Node", names[k], writing->revision, "{}");
        }
        struct err err = ERR_INIT;
        writing->failed =
            store_commit(writing->store, &(struct store_batch){.changes = changes, .change_count = 2}, &err) <
            0;
    }
    return NULL;
}

static void a_backup_during_commits_is_one_moment(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    struct store *store = must_open(path_in(dir, *state, "data"));
    must_change(store, STORE_CREATE, "Node", "first", 1, "{}");
    must_change(store, STORE_UPDATE, "Node", "first", 2, "{}");
    struct writing writing = {.store = store, .revision = 2};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    for (int i = 0; i < 3; i++) {
        char name[24];
        struct err err = ERR_INIT;
        (void)snprintf(name, sizeof(name), "backup-%d", i);
        if (store_backup(store, path_in(path, *state, name), &err) < 0) {
            fail_msg("%s", err.text);
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(writing.failed);
    store_close(store);
    store = restore(*state, path);
    assert_int_equal(status_of(store).revision % 2, 0); /* no half batch */
    store_close(store);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        IN_DIR(a_backup_is_a_complete_store),
        IN_DIR(a_backup_that_cannot_be_made_leaves_nothing),
        IN_DIR(a_backup_during_commits_is_one_moment),
    };
    return cmocka_run_group_tests_name("store: backup", tests, NULL, NULL);
}
