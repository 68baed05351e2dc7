/*
 * Failures by countdown: the Nth allocation, the Nth guarded allocation, the Nth call that writes a key file.
 * Each must give an error and nothing else, and the same call must succeed when the cause is gone.
 *
 * sodium_malloc, fsync, write, renameat2 and rename are replaced for this program by ones that can fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <sodium.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "vault_fixture.h"

/* ---- calls that can fail ---- */

enum fault { FAULT_GUARDED, FAULT_FSYNC, FAULT_WRITE, FAULT_RENAME, FAULT_COUNT };
static long countdown[FAULT_COUNT] = {-1, -1, -1, -1};
static bool happened;

static bool fails(enum fault fault) {
    if (countdown[fault] < 0 || countdown[fault]-- > 0) {
        return false;
    }
    happened = true;
    return true;
}

void *sodium_malloc(const size_t size) {
    static void *(*real)(size_t);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "sodium_malloc");
    }
    return fails(FAULT_GUARDED) ? NULL : real(size);
}

int fsync(int fd) {
    if (fails(FAULT_FSYNC)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* First a short write, then a full disk. */
ssize_t write(int fd, const void *bytes, size_t len) {
    if (fails(FAULT_WRITE)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, countdown[FAULT_WRITE] >= 0 && len > 10 ? 10 : len);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    if (fails(FAULT_RENAME)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void fail_after(int fault, long successes) {
    happened = false;
    for (int i = 0; i < FAULT_COUNT; i++) {
        countdown[i] = i == fault ? successes : -1;
    }
    base_alloc_fail_after(fault == FAULT_COUNT ? successes : -1); /* FAULT_COUNT: plain malloc */
}

static bool has_failed(void) {
    bool failed = happened || base_alloc_failed();
    fail_after(-1, -1);
    return failed;
}

static void assert_code(int fault, const struct err *err) {
    static const enum err_code expected[] = {[FAULT_GUARDED] = ERR_NO_MEMORY,
                                             [FAULT_FSYNC] = ERR_UNAVAILABLE,
                                             [FAULT_WRITE] = ERR_STORAGE_FULL,
                                             [FAULT_RENAME] = ERR_UNAVAILABLE,
                                             [FAULT_COUNT] = ERR_NO_MEMORY};
    assert_int_equal(err->code, expected[fault]);
    assert_true(err->text[0] != '\0');
}

/* ---- operations, each on a vault in use ---- */

struct fixture {
    struct place dir;
    struct vault_options options;
    struct table table;
    struct vault *vault;
    struct row row;
    struct row added;
};

typedef int operation(struct fixture *f, struct err *err);

static int commit(struct fixture *f, const struct vault_settings *settings) {
    table_commit(&f->table, settings);
    vault_apply(f->vault);
    return 0;
}

static int reopen(struct fixture *f, struct err *err) {
    struct vault *vault = NULL;
    struct vault_settings settings;
    if (vault_keyring_open(&f->options, f->table.rows, f->table.count, &cheap, &vault, &settings, err) != 0) {
        assert_null(vault);
        return -1;
    }
    vault_close(f->vault);
    f->vault = vault;
    return commit(f, &settings);
}

static int seal(struct fixture *f, struct err *err) {
    struct arena arena;
    struct vault_sealed sealed;
    arena_init(&arena, 16);
    int status = vault_seal(f->vault, &f->row.place, "secret", 6, &arena, &sealed, err);
    arena_done(&arena);
    return status;
}

static int reseal(struct fixture *f, struct err *err) {
    struct arena arena;
    struct vault_sealed old = row_sealed(&f->row);
    struct vault_sealed sealed;
    arena_init(&arena, 16);
    int status = vault_reseal(f->vault, &f->row.place, &old, &arena, &sealed, err);
    arena_done(&arena);
    return status;
}

static int add_key(struct fixture *f, struct err *err) {
    struct vault_settings settings;
    return vault_prepare_data_key(f->vault, &settings, err) != 0 ? -1 : commit(f, &settings);
}

static int drop_keys(struct fixture *f, struct err *err) {
    struct vault_settings settings;
    return vault_prepare_drop_unused(f->vault, &f->row.key_id, 1, &settings, err) != 0 ? -1
                                                                                       : commit(f, &settings);
}

static int begin_root_change(struct fixture *f, struct err *err) {
    static const struct vault_new_root in_place = {.key_file = NULL};
    struct vault_settings settings;
    return vault_prepare_root_change(f->vault, &in_place, &settings, err) != 0 ? -1 : commit(f, &settings);
}

static int cancel_root_change(struct fixture *f, struct err *err) {
    struct vault_settings settings;
    return vault_prepare_root_cancel(f->vault, &settings, err) != 0 ? -1 : commit(f, &settings);
}

static int switch_root_key(struct fixture *f, struct err *err) {
    return vault_switch_root_key(f->vault, err);
}

static int finish_root_change(struct fixture *f, struct err *err) {
    struct vault_settings settings;
    return vault_prepare_root_finish(f->vault, &settings, err) != 0 ? -1 : commit(f, &settings);
}

static int first_start(struct fixture *f, struct err *err) {
    struct vault *vault = NULL;
    struct vault_settings settings;
    struct table none = {.count = 0};
    struct place dir;
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    int status = vault_keyring_open(&options, none.rows, 0, &cheap, &vault, &settings, err);
    if (status == 0) {
        vault_close(vault);
    } else {
        assert_null(vault);
        /* The same again, in the same directory, now that the cause is gone. */
        struct err second = ERR_INIT;
        fail_after(-1, -1);
        happened = true;
        assert_ok(vault_keyring_open(&options, none.rows, 0, &cheap, &vault, &settings, &second), &second);
        vault_close(vault);
    }
    (void)f;
    place_done(&dir);
    return status;
}

/* Runs until the operation needs fewer successes than are granted: so every failure was tried. */
static void exhaust(struct fixture *f, operation *run, int fault) {
    for (long successes = 0;; successes++) {
        struct err err = ERR_INIT;
        fail_after(fault, successes);
        int status = run(f, &err);
        bool failed = has_failed();
        if (status == 0 && !failed) {
            break;
        }
        assert_true(successes < 200);
        assert_int_equal(status, -1);
        if (run != first_start) {
            assert_true(failed);
        }
        assert_code(fault, &err);
        assert_opens(f->vault, &f->row);
        struct vault *vault;
        struct vault_settings settings;
        struct err ignored = ERR_INIT;
        assert_ok(vault_keyring_open(&f->options, f->table.rows, f->table.count, &cheap, &vault, &settings,
                                     &ignored),
                  &ignored);
        assert_opens(vault, &f->row);
        vault_close(vault);
    }
    assert_opens(f->vault, &f->row);
}

static void run_all(int fault) {
    struct fixture f = {.table = {.count = 0}};
    place_init(&f.dir);
    f.options = options_in(&f.dir);
    f.vault = open_over(&f.options, &f.table);
    row_seal(f.vault, &f.row, "rack1", 1, "s3cret");
    static operation *const operations[] = {
        first_start,
        reopen,
        seal,
        reseal,
        add_key,
        add_key,
        begin_root_change,
        reopen,
        cancel_root_change,
        begin_root_change,
        switch_root_key,
        finish_root_change,
        begin_root_change,
        reopen,
        begin_root_change,
        switch_root_key,
        reopen,
        drop_keys,
        reopen,
    };
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        exhaust(&f, operations[i], fault);
    }
    assert_int_equal(f.table.count, 4); /* root, fingerprint, the active key and the row's */
    vault_close(f.vault);
    table_done(&f.table);
    place_done(&f.dir);
}

static void test_failing_malloc(void **state) {
    (void)state;
    run_all(FAULT_COUNT);
}

static void test_failing_guarded_malloc(void **state) {
    (void)state;
    run_all(FAULT_GUARDED);
}

static void test_failing_fsync(void **state) {
    (void)state;
    run_all(FAULT_FSYNC);
}

static void test_full_disk(void **state) {
    (void)state;
    run_all(FAULT_WRITE);
}

static void test_failing_rename(void **state) {
    (void)state;
    run_all(FAULT_RENAME);
}

static void test_missing_memory_for_unseal(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct row row;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    struct vault *vault = open_over(&options, &table);
    row_seal(vault, &row, "rack1", 1, "s3cret");
    struct vault_sealed sealed = row_sealed(&row);
    base_alloc_fail_after(0);
    assert_refused(vault_unseal(vault, &row.place, &sealed, &out, &err), &err, ERR_NO_MEMORY, "");
    base_alloc_fail_after(-1);
    buf_done(&out);
    assert_opens(vault, &row);
    vault_close(vault);
    table_done(&table);
    place_done(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing_malloc), cmocka_unit_test(test_failing_guarded_malloc),
        cmocka_unit_test(test_failing_fsync),  cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failing_rename), cmocka_unit_test(test_missing_memory_for_unseal),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_fault", tests, NULL, NULL);
}
