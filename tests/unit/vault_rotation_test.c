/* Rotation of the data key, and crashes at each of its steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>

#include "vault_crash.h"

static void test_data_key_rotation(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    assert_int_equal(settings.count, 1);
    assert_survives(f, &f->options); /* before the commit */
    assert_int_equal(vault_active_key(f->vault), 1);
    table_commit(&f->table, &settings);
    assert_survives(f, &f->options); /* committed, not applied */
    vault_apply(f->vault);
    assert_int_equal(vault_active_key(f->vault), 2);
    for (size_t i = 0; i < ROWS; i++) {
        assert_survives(f, &f->options);
        reseal_row(f, &f->rows[i]);
        if (i == ROWS / 2) {
            restart(f); /* in the middle: rows under both keys */
            assert_int_equal(vault_active_key(f->vault), 2);
            drop_unused(f);
            assert_true(vault_has_key(f->vault, 1)); /* still in use */
        }
    }
    struct vault_status status;
    vault_status(f->vault, &status);
    assert_int_equal(status.key_count, 2);
    for (size_t i = 0; i < ROWS; i++) {
        assert_true(vault_status_count(&status, f->rows[i].key_id));
    }
    assert_false(vault_status_count(&status, 99));
    assert_int_equal(status.keys[0].values, 0);
    assert_int_equal(status.keys[1].values, ROWS);
    assert_false(status.keys[0].active);
    assert_true(status.keys[1].active);
    assert_true(status.keys[1].created_ms >= status.keys[0].created_ms && status.keys[0].created_ms > 0);

    drop_unused(f);
    assert_false(vault_has_key(f->vault, 1));
    assert_true(vault_has_key(f->vault, 2));
    assert_int_equal(count_prefix(&f->table, "vault/key/"), 1);
    assert_survives(f, &f->options);
    assert_all_open(f, f->vault);
    /* An id is never used a second time. */
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    commit(f, &settings);
    assert_int_equal(vault_active_key(f->vault), 3);
}

static void test_dropped_key_makes_its_values_unreadable(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    struct row left = f->rows[0];
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    commit(f, &settings);
    for (size_t i = 0; i < ROWS; i++) {
        reseal_row(f, &f->rows[i]);
    }
    drop_unused(f);
    struct buf out = BUF_INIT;
    struct vault_sealed sealed = row_sealed(&left);
    assert_refused(vault_unseal(f->vault, &left.place, &sealed, &out, &err), &err, ERR_CORRUPT, "data key");
    buf_done(&out);
}

static void test_failed_commit_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_settings second;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    assert_refused(vault_prepare_drop_unused(f->vault, NULL, 0, &second, &err), &err, ERR_CONFLICT,
                   "another change");
    vault_discard(f->vault);
    assert_int_equal(vault_active_key(f->vault), 1);
    vault_discard(f->vault); /* nothing prepared: nothing happens */
    vault_apply(f->vault);
    assert_int_equal(vault_active_key(f->vault), 1);
    assert_all_open(f, f->vault);
    assert_survives(f, &f->options);
}

static void test_keyring_is_bounded(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    for (size_t i = 1; i < VAULT_KEYS_MAX; i++) {
        assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
        commit(f, &settings);
        struct row *row = &f->rows[i % ROWS];
        if (i % 5 == 0) {
            reseal_row(f, row);
        }
    }
    assert_refused(vault_prepare_data_key(f->vault, &settings, &err), &err, ERR_CONFLICT, "64 data keys");
    assert_survives(f, &f->options);
    drop_unused(f);
    assert_survives(f, &f->options);
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    commit(f, &settings);
    assert_int_equal(vault_active_key(f->vault), VAULT_KEYS_MAX + 1);
}

int main(void) {
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_key_rotation),
        cmocka_unit_test(test_dropped_key_makes_its_values_unreadable),
        cmocka_unit_test(test_failed_commit_changes_nothing),
        cmocka_unit_test(test_keyring_is_bounded),
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tests[i].setup_func = set_up;
        tests[i].teardown_func = tear_down;
    }
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_rotation", tests, NULL, NULL);
}
