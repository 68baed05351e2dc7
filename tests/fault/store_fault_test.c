/*
 * The store while the disk or the memory fails. With fault_sqlite.h the Nth call that changes a file fails,
 * for every N that a commit needs, once or from then on; SQLite's and our allocations fail the same way.
 * After each failure the store must hold exactly the old state, in this process and after a crash, and must
 * take the same write as soon as the cause is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "../unit/store_fixture.h"
#include "base/alloc.h"
#include "base/log.h"
#include "fault_sqlite.h"

/* ---- the write under test ---- */

enum { BODY = 9 * 1024, BIG_BODY = 96 * 1024 };

/* A bit of everything, one body of `body_len` bytes twice; `revision` is the first of four. */
static int write_body(struct store *store, uint64_t revision, size_t body_len, struct err *err) {
    static char body[BIG_BODY];
    char name[32];
    memset(body, 'x', sizeof(body));
    (void)snprintf(name, sizeof(name), "n%" PRIu64, revision);
    struct store_change changes[] = {
        change_of(STORE_CREATE, "Node", name, revision, "{}"),
        change_of(STORE_UPDATE, "Node", "kept", revision + 1, name),
        change_of(STORE_CREATE, "BGPPeer", name, revision + 2, "{}"),
        change_of(STORE_DELETE, "BGPPeer", name, revision + 3, "{}"),
    };
    changes[0].body = body;
    changes[0].body_len = body_len;
    struct store_sealed sealed = {.object = "default/s",
                                  .item = name,
                                  .version = revision,
                                  .nonce = "n",
                                  .nonce_len = 1,
                                  .ciphertext = "c",
                                  .ciphertext_len = 1};
    struct store_setting setting = {.name = "last", .value = name, .value_len = strlen(name)};
    struct store_batch batch = {.changes = changes,
                                .change_count = 4,
                                .sealed = &sealed,
                                .sealed_count = 1,
                                .settings = &setting,
                                .setting_count = 1};
    return store_commit(store, &batch, err);
}

static int write_some(struct store *store, uint64_t revision, struct err *err) {
    return write_body(store, revision, BODY, err);
}

static int write_four(struct store *store, struct err *err) {
    return write_some(store, status_of(store).revision + 1, err);
}

static int compact_some(struct store *store, struct err *err) {
    uint64_t compacted = 0;
    bool more = false;
    return store_compact(store, &(struct store_keep){.changes = 2}, &more, &compacted, err);
}

static struct store *open_with_content(const char *dir) {
    struct store *store = must_open(dir);
    must_change(store, STORE_CREATE, "Node", "kept", 1, "{}");
    must_change(store, STORE_CREATE, "Secret", "default/s", 2, "{}");
    must_change(store, STORE_UPDATE, "Node", "kept", 3, "{}");
    return store;
}

/* The copy that a crash at this moment would leave holds `expected`. */
static void check_crash(const char *dir, const char *parent, const char *expected) {
    char copy[PATH_TEXT_MAX];
    copy_database(dir, path_in(copy, parent, "crashed"));
    struct store *store = must_open(copy);
    assert_dump(store, expected);
    store_close(store);
    remove_tree(copy);
}

/*
 * Fail the Nth call of `write` for every N until it needs no more; returns the number of failures seen.
 * `fresh`: with a log that was just begun, whose header is then written as well.
 */
static int fail_each_call(const char *parent, const struct fault *kind, bool fresh, enum err_code expected,
                          int (*write)(struct store *store, struct err *err)) {
    char dir[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, parent, "data"));
    int failed_writes = 0;
    for (long n = 0;; n++) {
        assert_true(n < 1000);
        char *before = dump(store);
        struct err err = ERR_INIT;
        fault = *kind;
        fault.countdown = n;
        int failed = write(store, &err);
        int failures = fault.failures;
        /* What readers see while it lasts. */
        struct fault pause = fault;
        fault = (struct fault){0};
        if (failed == 0) {
            free(before);
            if (failures == 0) {
                break;
            }
            continue;
        }
        failed_writes++;
        assert_true(failures > 0);
        assert_int_equal(err.code, expected);
        assert_true(strlen(err.text) > 0);
        assert_dump(store, before);
        if (!kind->lasting) {
            check_crash(dir, parent, before);
        }
        /* The same again while the cause lasts, then without it. */
        fault = pause;
        if (kind->lasting) {
            err_clear(&err);
            assert_int_equal(write(store, &err), -1);
            assert_int_equal(err.code, expected);
        }
        fault = (struct fault){0};
        assert_dump(store, before);
        err_clear(&err);
        if (write(store, &err) < 0) {
            fail_msg("does not recover: %s", err.text);
        }
        char *after = dump(store);
        assert_string_not_equal(after, before);
        check_crash(dir, parent, after);
        if (fresh) {
            store_close(store);
            store = must_open(dir);
            assert_dump(store, after);
        }
        free(after);
        free(before);
        if (write == compact_some) {
            must_change(store, STORE_UPDATE, "Node", "kept", status_of(store).revision + 1, "{}");
        }
    }
    store_close(store);
    remove_tree(dir);
    return failed_writes;
}

static void try_all(const char *parent, int code, int error, enum err_code expected) {
    for (int shape = 0; shape < 8; shape++) {
        bool fresh = (shape & 4) != 0;
        struct fault kind = {.calls = FAULT_CHANGES,
                             .code = code,
                             .error = error,
                             .lasting = (shape & 1) != 0,
                             .half = (shape & 2) != 0,
                             .late = (shape & 2) != 0};
        assert_true(fail_each_call(parent, &kind, fresh, expected, write_four) > 10);
        assert_true(fail_each_call(parent, &kind, fresh, expected, compact_some) > 1);
    }
}

static void an_io_error_at_any_call_changes_nothing(void **state) {
    try_all(*state, SQLITE_IOERR, EIO, ERR_UNAVAILABLE);
}

static void a_full_disk_at_any_call_changes_nothing(void **state) {
    try_all(*state, SQLITE_FULL, ENOSPC, ERR_STORAGE_FULL);
}

/* Quotas and file size limits come as I/O errors. */
static void a_full_quota_is_a_full_disk(void **state) {
    static const int errors[] = {EDQUOT, EFBIG, ENOSPC};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct fault kind = {.calls = FAULT_SYNC, .code = SQLITE_IOERR, .error = errors[i]};
        assert_true(fail_each_call(*state, &kind, true, ERR_STORAGE_FULL, write_four) > 0);
    }
}

/* The case that SQLite alone gets wrong: all frames are in the log, marked as a commit, and then the sync
 * fails. Without care they come to life after a crash. */
static void a_failed_sync_does_not_come_to_life(void **state) {
    char dir[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, *state, "data"));
    struct err err = ERR_INIT;
    assert_int_equal(write_some(store, 10, &err), 0);
    for (uint64_t round = 1; round <= 5; round++) {
        char *before = dump(store);
        fault = (struct fault){.calls = FAULT_SYNC, .code = SQLITE_IOERR, .error = EIO, .late = true};
        assert_int_equal(write_some(store, round * 100, &err), -1);
        assert_int_equal(fault.failures, 1);
        fault = (struct fault){0};
        check_crash(dir, *state, before);
        free(before);
    }
    store_close(store);
}

/* The long one's frames lie behind the short one's in the log. */
static void a_short_write_after_a_failed_long_one_is_alone(void **state) {
    char dir[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, *state, "data"));
    struct err err = ERR_INIT;
    fault = (struct fault){
        .calls = FAULT_SYNC, .code = SQLITE_IOERR, .error = EIO, .lasting = true, .late = true};
    assert_int_equal(write_some(store, 10, &err), -1);
    fault = (struct fault){0};
    struct store_setting setting = {.name = "short", .value = "1", .value_len = 1};
    must_commit(store, &(struct store_batch){.settings = &setting, .setting_count = 1});
    char *now = dump(store);
    check_crash(dir, *state, now);
    free(now);
    store_close(store);
}

static void reading_goes_on_while_writing_fails(void **state) {
    char dir[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, *state, "data"));
    char *before = dump(store);
    fault = (struct fault){.calls = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE,
                           .code = SQLITE_IOERR,
                           .error = EIO,
                           .lasting = true};
    for (uint64_t i = 0; i < 20; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(write_some(store, 100 + i * 10, &err), -1);
        assert_dump(store, before);
    }
    fault = (struct fault){0};
    struct err err = ERR_INIT;
    assert_int_equal(write_some(store, 100, &err), 0);
    free(before);
    store_close(store);
}

static void a_corrupt_page_is_said_so(void **state) {
    char dir[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, *state, "data"));
    struct err err = ERR_INIT;
    fault = (struct fault){.calls = FAULT_WRITE, .code = SQLITE_CORRUPT};
    assert_int_equal(write_some(store, 100, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    fault = (struct fault){.calls = FAULT_WRITE, .code = SQLITE_READONLY, .error = EROFS};
    assert_int_equal(write_some(store, 100, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    fault = (struct fault){0};
    assert_int_equal(write_some(store, 100, &err), 0);
    store_close(store);
}

static void somebody_elses_lock_is_waited_for_and_named(void **state) {
    char path[PATH_TEXT_MAX];
    struct store *store = open_with_content(*state);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(path_in(path, *state, "bgppeerd.db"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct err err = ERR_INIT;
    assert_int_equal(write_some(store, 100, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "another program"));
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(write_some(store, 100, &err), 0);
    store_close(store);
}

/* ---- checkpoints ---- */

static int64_t log_size(const char *dir) {
    char path[PATH_TEXT_MAX];
    struct stat status;
    return stat(path_in(path, dir, "bgppeerd.db-wal"), &status) == 0 ? status.st_size : 0;
}

/* Some 200 KiB a write: after two hundred the log would exceed what it may keep. */
static void write_much(struct store *store, uint64_t revision, int times) {
    for (int i = 0; i < times; i++) {
        struct err err = ERR_INIT;
        if (write_body(store, revision + (uint64_t)i * 4, BIG_BODY, &err) < 0) {
            fail_msg("%s", err.text);
        }
    }
}

static void the_log_stays_bounded(void **state) {
    struct store *store = open_with_content(*state);
    for (int i = 0; i < 10; i++) {
        write_much(store, 100 + (uint64_t)i * 200, 50);
        assert_true(log_size(*state) <= 48 << 20);
    }
    store_close(store);
    assert_int_equal(log_size(*state), 0);
}

static void commits_go_on_while_checkpoints_fail(void **state) {
    struct store *store = open_with_content(*state);
    fault = (struct fault){.calls = FAULT_WRITE,
                           .files = SQLITE_OPEN_MAIN_DB,
                           .code = SQLITE_FULL,
                           .error = ENOSPC,
                           .lasting = true};
    write_much(store, 100, 60);
    char *expected = dump(store);
    store_close(store); /* its checkpoint fails as well; the log stays */
    assert_true(log_size(*state) > 8 << 20);
    fault = (struct fault){0};
    store = must_open(*state);
    assert_dump(store, expected);
    free(expected);
    write_much(store, 1000, 5);
    store_close(store);
    assert_int_equal(log_size(*state), 0);
}

/* ---- opening and backup ---- */

static void a_failing_first_start_can_be_repeated(void **state) {
    char dir[PATH_TEXT_MAX];
    path_in(dir, *state, "data");
    for (long n = 0;; n++) {
        assert_true(n < 1000);
        struct store *store = NULL;
        struct err err = ERR_INIT;
        fault = (struct fault){.calls = FAULT_CHANGES | FAULT_READ | FAULT_OPEN,
                               .code = SQLITE_IOERR,
                               .error = EIO,
                               .countdown = n,
                               .lasting = n % 2 == 0};
        int failed = store_open(&(struct store_options){.dir = dir}, &store, &err);
        int failures = fault.failures;
        fault = (struct fault){0};
        if (failed < 0) {
            assert_true(failures > 0);
            assert_int_equal(err.code, ERR_UNAVAILABLE);
            if (n % 3 == 0) {
                continue; /* what is left over is what the next failing start finds */
            }
            store = must_open(dir);
        }
        assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\n");
        store_close(store);
        remove_tree(dir);
        if (failures == 0) {
            break;
        }
    }
}

/* Leaves a database whose newest transactions are in its log, as a killed process does. */
static char *leave_crashed(const char *parent, const char *dir) {
    char live[PATH_TEXT_MAX];
    char from[PATH_TEXT_MAX];
    char to[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    struct store *store = open_with_content(path_in(live, parent, "live"));
    assert_int_equal(write_some(store, 10, &err), 0);
    char *expected = dump(store);
    copy_database(live, dir);
    assert_true(copy_file(path_in(from, live, "high-water"), path_in(to, dir, "high-water")));
    store_close(store);
    remove_tree(live);
    return expected;
}

/* Whichever write of a start finds no room: the store opens, reads all that was acknowledged, says why it
 * takes no writes, and takes them when there is room. */
static void a_full_disk_at_any_call_of_a_start_leaves_reading(void **state) {
    char dir[PATH_TEXT_MAX];
    unsigned reading_only = 0;
    path_in(dir, *state, "data");
    for (long n = 0, failures = 1; failures > 0; n++) {
        assert_true(n < 1000);
        char *expected = leave_crashed(*state, dir);
        struct store *store = NULL;
        struct err err = ERR_INIT;
        fault = (struct fault){
            .calls = FAULT_CHANGES, .code = SQLITE_FULL, .error = ENOSPC, .countdown = n, .lasting = true};
        if (store_open(&(struct store_options){.dir = dir}, &store, &err) != 0) {
            fail_msg("call %ld: %s", n, err.text);
        }
        failures = fault.failures;
        assert_dump(store, expected);
        if (store_check(store, &err) != 0) {
            assert_int_equal(err.code, ERR_STORAGE_FULL);
            reading_only++;
            err_clear(&err);
            assert_int_equal(write_some(store, 100, &err), -1);
            assert_int_equal(err.code, ERR_STORAGE_FULL);
            assert_dump(store, expected);
        }
        fault = (struct fault){0};
        err_clear(&err);
        if (write_some(store, 100, &err) != 0) {
            fail_msg("does not recover: %s", err.text);
        }
        assert_int_equal(store_check(store, &err), 0);
        char *after = dump(store);
        store_close(store);
        store = must_open(dir);
        assert_dump(store, after);
        store_close(store);
        free(after);
        free(expected);
        remove_tree(dir);
    }
    assert_true(reading_only > 3);
}

static void fail_each_backup_call(struct store *store, const char *out, const struct fault *kind,
                                  enum err_code expected) {
    char file[PATH_TEXT_MAX];
    path_in(file, out, "backup.db");
    for (long n = 0;; n++) {
        assert_true(n < 2000);
        fault = *kind;
        fault.countdown = n;
        fault.lasting = n % 2 == 0;
        struct err err = ERR_INIT;
        int failed = store_backup(store, file, &err);
        int failures = fault.failures;
        fault = (struct fault){0};
        if (failed == 0) {
            assert_int_equal(unlink(file), 0);
        } else {
            assert_int_equal(err.code, expected);
        }
        char *files = dir_digest(out);
        assert_string_equal(files, "0 files\n");
        free(files);
        if (failures == 0) {
            assert_int_equal(failed, 0);
            return;
        }
    }
}

static void a_failing_backup_leaves_no_file(void **state) {
    static const struct fault full = {.calls = FAULT_CHANGES, .code = SQLITE_FULL, .error = ENOSPC};
    static const struct fault broken = {
        .calls = FAULT_CHANGES | FAULT_READ | FAULT_OPEN, .code = SQLITE_IOERR, .error = EIO};
    char dir[PATH_TEXT_MAX];
    char out[PATH_TEXT_MAX];
    struct store *store = open_with_content(path_in(dir, *state, "data"));
    struct err err = ERR_INIT;
    assert_int_equal(write_some(store, 10, &err), 0);
    char *expected = dump(store);
    assert_int_equal(mkdir(path_in(out, *state, "out"), 0700), 0);
    fail_each_backup_call(store, out, &full, ERR_STORAGE_FULL);
    fail_each_backup_call(store, out, &broken, ERR_UNAVAILABLE);
    assert_dump(store, expected);
    free(expected);
    store_close(store);
}

/* ---- memory ---- */

static void no_memory_at_any_allocation_changes_nothing(void **state) {
    struct store *store = open_with_content(*state);
    uint64_t revision = 100;
    bool failing = true;
    for (long n = 0; failing; n++, revision += 10) {
        char *before = dump(store);
        struct err err = ERR_INIT;
        fault_memory_failed = false;
        fault_memory_countdown = n;
        int failed = write_some(store, revision, &err);
        fault_memory_countdown = -1;
        failing = fault_memory_failed;
        if (failed < 0) {
            assert_int_equal(err.code, ERR_NO_MEMORY);
            assert_dump(store, before);
            err_clear(&err);
            assert_int_equal(write_some(store, revision, &err), 0);
        }
        free(before);

        /* Reading: all or an error. */
        char *now = dump(store);
        struct buf text = BUF_INIT;
        struct store_status status = status_of(store);
        struct store_reader reader = {
            .object = dump_object, .sealed = dump_sealed, .setting = dump_setting, .arg = &text};
        fault_memory_countdown = n;
        err_clear(&err);
        buf_printf(&text, "revision %" PRIu64 " compacted %" PRIu64 " schema %u\n", status.revision,
                   status.compacted, status.schema_version);
        failed = store_load(store, &reader, &err);
        if (failed == 0) {
            failed = store_read_changes(store, 0, 0, dump_change, &text, &err);
        }
        fault_memory_countdown = -1;
        if (failed < 0) {
            assert_int_equal(err.code, ERR_NO_MEMORY);
        } else {
            assert_string_equal(text.data, now);
        }
        buf_done(&text);
        free(now);
        assert_true(n < 2000);
    }
    store_close(store);
}

static void no_memory_at_start_is_an_error(void **state) {
    char dir[PATH_TEXT_MAX];
    path_in(dir, *state, "data");
    int refused = 0;
    for (int ours = 0; ours < 2; ours++) {
        bool failing = true;
        /* SQLite needs some thousand allocations; every one near the start, then samples. */
        for (long n = 0; failing; n += n < 40 || ours != 0 ? 1 : 17) {
            struct store *store = NULL;
            struct err err = ERR_INIT;
            fault_memory_failed = false;
            if (ours != 0) {
                base_alloc_fail_after(n);
            } else {
                fault_memory_countdown = n;
            }
            int failed = store_open(&(struct store_options){.dir = dir}, &store, &err);
            fault_memory_countdown = -1;
            failing = ours != 0 ? base_alloc_failed() : fault_memory_failed;
            base_alloc_fail_after(-1);
            if (failed < 0) {
                assert_null(store);
                assert_int_equal(err.code, ERR_NO_MEMORY);
                refused++;
            } else {
                assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\n");
            }
            store_close(store);
            if (n % 2 == 0) {
                remove_tree(dir);
            }
        }
    }
    assert_true(refused > 10);
}

static int teardown_fault(void **state) {
    fault = (struct fault){0};
    fault_memory_countdown = -1;
    return teardown_dir(state);
}

#define IN_DIR(test)    cmocka_unit_test_setup_teardown(test, setup_dir, teardown_fault)
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_fault)

int main(void) {
    struct err err = ERR_INIT;
    if (fault_install() < 0 || random_start(&err) < 0) {
        return 1;
    }
    /* The failures are wanted; what the store logs about them would only hide the results. */
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(nowhere, LOG_ERROR, LOG_KEY_VALUE);
    const struct CMUnitTest tests[] = {
        IN_MEMORY(an_io_error_at_any_call_changes_nothing),
        IN_MEMORY(a_full_disk_at_any_call_changes_nothing),
        IN_MEMORY(a_full_quota_is_a_full_disk),
        IN_MEMORY(a_failed_sync_does_not_come_to_life),
        IN_DIR(a_short_write_after_a_failed_long_one_is_alone),
        IN_DIR(reading_goes_on_while_writing_fails),
        IN_DIR(a_corrupt_page_is_said_so),
        IN_DIR(somebody_elses_lock_is_waited_for_and_named),
        IN_DIR(the_log_stays_bounded),
        IN_DIR(commits_go_on_while_checkpoints_fail),
        IN_MEMORY(a_failing_first_start_can_be_repeated),
        IN_MEMORY(a_full_disk_at_any_call_of_a_start_leaves_reading),
        IN_MEMORY(a_failing_backup_leaves_no_file),
        IN_MEMORY(no_memory_at_any_allocation_changes_nothing),
        IN_MEMORY(no_memory_at_start_is_an_error),
    };
    int failed = cmocka_run_group_tests_name("store: faults", tests, NULL, NULL);
    log_stop();
    (void)close(nowhere);
    return failed;
}
