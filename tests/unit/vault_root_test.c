/* Changes of the root key, in place and by hand-over, and crashes at each of their steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>

#include "vault_crash.h"

/* ---- the root key, in place ---- */

static const struct vault_new_root in_place = {.key_file = NULL, .passphrase_file = NULL};

static void begin_change(struct fixture *f, const struct vault_new_root *new_root) {
    struct vault_settings settings;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_root_change(f->vault, new_root, &settings, &err), &err);
    commit(f, &settings);
}

static void finish_change(struct fixture *f) {
    struct vault_settings settings;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_root_finish(f->vault, &settings, &err), &err);
    commit(f, &settings);
}

/* One root key, its file in place, nothing left over. */
static void assert_settled(struct fixture *f, const char *old_id) {
    struct vault_status status;
    vault_status(f->vault, &status);
    assert_string_equal(status.pending_id, "");
    assert_false(status.switchable);
    assert_string_not_equal(status.root_id, old_id);
    assert_int_equal(count_prefix(&f->table, "vault/root/"), 1);
    assert_int_equal(count_prefix(&f->table, "vault/fingerprint/"), 1);
    assert_int_equal(count_prefix(&f->table, "vault/key/"), status.key_count);
    assert_false(vault_source_exists(f->dir.staged));
    assert_all_open(f, f->vault);
    assert_survives(f, &f->options);
}

static void test_root_change_survives_each_step(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_status before;
    struct vault_status status;
    struct err err = ERR_INIT;
    char old_key[128];
    char new_key[128];
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err); /* in the middle of a rotation */
    commit(f, &settings);
    reseal_row(f, &f->rows[0]);
    vault_status(f->vault, &before);
    assert_int_equal(file_read(f->dir.key, old_key, sizeof old_key), 65);

    assert_ok(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err);
    assert_true(vault_source_exists(f->dir.staged));
    assert_survives(f, &f->options); /* staged, not committed */
    table_commit(&f->table, &settings);
    assert_survives(f, &f->options); /* committed, not applied */
    vault_apply(f->vault);
    vault_status(f->vault, &status);
    assert_string_equal(status.root_id, before.root_id);
    assert_true(status.switchable);
    assert_int_equal(count_prefix(&f->table, "vault/root/"), 2);
    assert_refused(vault_prepare_root_finish(f->vault, &settings, &err), &err, ERR_CONFLICT, "yet");
    assert_refused(vault_prepare_data_key(f->vault, &settings, &err), &err, ERR_CONFLICT, "unfinished");

    assert_int_equal(file_read(f->dir.staged, new_key, sizeof new_key), 65);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    assert_survives(f, &f->options);                        /* the new key in place, both in the database */
    assert_ok(vault_switch_root_key(f->vault, &err), &err); /* may be repeated */
    assert_all_open(f, f->vault);
    assert_refused(vault_prepare_root_cancel(f->vault, &settings, &err), &err, ERR_CONFLICT, "finish it");

    assert_ok(vault_prepare_root_finish(f->vault, &settings, &err), &err);
    assert_survives(f, &f->options);
    table_commit(&f->table, &settings);
    assert_survives(f, &f->options);
    vault_apply(f->vault);
    assert_settled(f, before.root_id);

    char now[128];
    assert_int_equal(file_read(f->dir.key, now, sizeof now), 65);
    assert_memory_equal(now, new_key, 65);
    assert_memory_not_equal(now, old_key, 65);
    /* The old key opens nothing any more. */
    file_write(f->dir.key, old_key, 65, 0600);
    struct vault *vault;
    assert_refused(
        vault_keyring_open(&f->options, f->table.rows, f->table.count, &cheap, &vault, &settings, &err), &err,
        ERR_USAGE, "wrong root key");
    file_write(f->dir.key, now, 65, 0600);
}

/* Die after `step` of: 0 staged, 1 committed, 2 switched, 3 finish committed. Then start, resume, end. */
static void crash_and_resume(struct fixture *f, int step) {
    struct vault_settings settings;
    struct vault_status before;
    struct vault_status status;
    struct err err = ERR_INIT;
    vault_status(f->vault, &before);
    assert_ok(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err);
    if (step >= 1) {
        commit(f, &settings);
    }
    if (step >= 2) {
        assert_ok(vault_switch_root_key(f->vault, &err), &err);
    }
    if (step >= 3) {
        assert_ok(vault_prepare_root_finish(f->vault, &settings, &err), &err);
        table_commit(&f->table, &settings);
    }
    restart(f);
    assert_all_open(f, f->vault);
    vault_status(f->vault, &status);
    assert_int_equal(status.pending_id[0] != '\0', step == 1);
    assert_int_equal(status.switchable, step == 1);
    assert_int_equal(strstr(vault_warning(f->vault), "unfinished") != NULL, step == 1);
    if (step < 2) {
        char staged[128];
        char used[128];
        assert_refused(vault_switch_root_key(f->vault, &err), &err, ERR_CONFLICT, "start a change");
        assert_int_equal(file_read(f->dir.staged, staged, sizeof staged), 65);
        begin_change(f, &in_place); /* finds the staged key again */
        assert_survives(f, &f->options);
        assert_ok(vault_switch_root_key(f->vault, &err), &err);
        assert_int_equal(file_read(f->dir.key, used, sizeof used), 65);
        assert_memory_equal(staged, used, 65);
        finish_change(f);
    }
    assert_settled(f, before.root_id);
}

static void test_root_change_is_resumed(void **state) {
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        for (int step = 0; step <= 3; step++) {
            crash_and_resume(f, step);
        }
    }
}

static void test_root_change_is_cancelled(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    char old_key[128];
    char now[128];
    assert_refused(vault_prepare_root_cancel(f->vault, &settings, &err), &err, ERR_CONFLICT, "no change");
    struct table before;
    table_copy(&before, &f->table);
    assert_int_equal(file_read(f->dir.key, old_key, sizeof old_key), 65);
    for (int after_restart = 0; after_restart < 2; after_restart++) {
        begin_change(f, &in_place);
        if (after_restart) {
            restart(f);
        }
        assert_ok(vault_prepare_root_cancel(f->vault, &settings, &err), &err);
        assert_true(vault_source_exists(f->dir.staged)); /* until it is committed */
        assert_survives(f, &f->options);
        commit(f, &settings);
        assert_false(vault_source_exists(f->dir.staged));
        assert_true(table_equal(&before, &f->table));
        assert_int_equal(file_read(f->dir.key, now, sizeof now), 65);
        assert_memory_equal(now, old_key, 65);
        assert_all_open(f, f->vault);
        assert_refused(vault_switch_root_key(f->vault, &err), &err, ERR_CONFLICT, "start a change");
    }
    table_done(&before);
}

/* The commit of the last step fails, and the whole change is asked for again. */
static void test_root_change_is_repeated_after_a_failed_finish(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_status before;
    struct err err = ERR_INIT;
    vault_status(f->vault, &before);
    begin_change(f, &in_place);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    assert_ok(vault_prepare_root_finish(f->vault, &settings, &err), &err);
    vault_discard(f->vault);
    assert_all_open(f, f->vault);
    begin_change(f, &in_place);
    assert_false(vault_source_exists(f->dir.staged));
    assert_survives(f, &f->options);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    finish_change(f);
    assert_settled(f, before.root_id);
}

/* The staged file is lost or replaced between the steps: the key in place stays. */
static void test_switch_checks_what_is_staged(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    char old_key[128];
    char now[128];
    assert_int_equal(file_read(f->dir.key, old_key, sizeof old_key), 65);
    begin_change(f, &in_place);
    file_write_key(f->dir.staged, 9);
    assert_refused(vault_switch_root_key(f->vault, &err), &err, ERR_CONFLICT, "no longer holds");
    assert_refused(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err, ERR_CONFLICT,
                   "gives another");
    unlink(f->dir.staged);
    assert_refused(vault_switch_root_key(f->vault, &err), &err, ERR_CONFLICT, "is gone");
    assert_refused(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err, ERR_CONFLICT,
                   "unfinished");
    assert_int_equal(file_read(f->dir.key, now, sizeof now), 65);
    assert_memory_equal(now, old_key, 65);
    restart(f);
    assert_ok(vault_prepare_root_cancel(f->vault, &settings, &err), &err);
    commit(f, &settings);
    assert_all_open(f, f->vault);
}

static void test_root_change_behind_a_symbolic_link(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    char link[128];
    char target[128];
    struct stat status;
    path_in(&f->elsewhere, "link", link);
    assert_int_equal(symlink(f->dir.key, link), 0);
    f->options.key_file = link;
    restart(f);
    begin_change(f, &in_place);
    assert_true(vault_source_exists(f->dir.staged));
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    finish_change(f);
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_true(readlink(link, target, sizeof target) > 0);
    assert_survives(f, &f->options);
}

/* ---- the root key, handed over ---- */

static void test_hand_over_to_another_key_file(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_status before;
    struct vault_status status;
    struct err err = ERR_INIT;
    struct vault_new_root new_root = {.key_file = f->elsewhere.key};
    struct vault_options with_new = f->options;
    with_new.key_file = f->elsewhere.key;
    vault_status(f->vault, &before);
    file_write_key(f->elsewhere.key, 50);
    begin_change(f, &new_root);
    assert_false(vault_source_exists(f->dir.staged));
    /* Either key opens it now. */
    assert_survives(f, &f->options);
    assert_survives(f, &with_new);
    char roots[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    assert_int_equal(vault_list_roots(f->table.rows, f->table.count, roots), 2);
    assert_refused(vault_switch_root_key(f->vault, &err), &err, ERR_CONFLICT, "put in place");
    assert_refused(vault_prepare_root_finish(f->vault, &settings, &err), &err, ERR_CONFLICT,
                   "restart with it");

    /* Started with the old one by mistake: still pending, and resumable only with the right key. */
    restart(f);
    vault_status(f->vault, &status);
    assert_string_not_equal(status.pending_id, "");
    assert_false(status.switchable);
    assert_refused(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err, ERR_CONFLICT,
                   "unfinished");
    assert_false(vault_source_exists(f->dir.staged));
    char other[128];
    path_in(&f->elsewhere, "other.key", other);
    file_write_key(other, 70);
    struct vault_new_root another = {.key_file = other};
    assert_refused(vault_prepare_root_change(f->vault, &another, &settings, &err), &err, ERR_CONFLICT,
                   status.pending_id);
    begin_change(f, &new_root);

    f->options = with_new;
    restart(f);
    vault_status(f->vault, &status);
    assert_int_equal(status.source, VAULT_SOURCE_KEY_FILE);
    assert_settled(f, before.root_id);
}

static void test_hand_over_to_a_passphrase_and_back(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_status before;
    struct vault_status status;
    struct err err = ERR_INIT;
    char passphrase[128];
    char staged[128];
    path_in(&f->elsewhere, "passphrase", passphrase);
    path_in(&f->elsewhere, "passphrase.new", staged);
    file_write_text(passphrase, "correct horse battery\n");
    struct vault_new_root new_root = {.passphrase_file = passphrase};
    vault_status(f->vault, &before);
    begin_change(f, &new_root);
    assert_survives(f, &f->options);
    /* Resumed after a crash: the salt is the stored one, so the same passphrase gives the same key. */
    restart(f);
    begin_change(f, &new_root);
    f->options.passphrase_file = passphrase;
    assert_survives(f, &f->options);
    restart(f);
    assert_settled(f, before.root_id);

    /* A new passphrase in place. */
    assert_refused(vault_prepare_root_change(f->vault, &in_place, &settings, &err), &err, ERR_USAGE,
                   "name a file");
    file_write_text(staged, "another horse entirely\n");
    vault_status(f->vault, &before);
    struct vault_new_root next = {.passphrase_file = staged};
    begin_change(f, &next);
    restart(f);
    vault_status(f->vault, &status);
    assert_true(status.switchable);
    begin_change(f, &next);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    assert_survives(f, &f->options);
    finish_change(f);
    assert_settled(f, before.root_id);

    /* Back to the key file in the data directory, which still holds the first root key. */
    f->options.passphrase_file = NULL;
    struct vault *vault;
    assert_refused(
        vault_keyring_open(&f->options, f->table.rows, f->table.count, &cheap, &vault, &settings, &err), &err,
        ERR_USAGE, "wrong root key");
    struct vault_new_root back = {.key_file = f->dir.key};
    vault_status(f->vault, &before);
    begin_change(f, &back);
    restart(f);
    assert_settled(f, before.root_id);
}

static void test_bad_new_root_keys(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    struct vault_new_root same = {.key_file = f->dir.key};
    assert_refused(vault_prepare_root_change(f->vault, &same, &settings, &err), &err, ERR_USAGE,
                   "in use already");
    struct vault_new_root missing = {.key_file = f->elsewhere.key};
    assert_refused(vault_prepare_root_change(f->vault, &missing, &settings, &err), &err, ERR_USAGE,
                   "No such file");
    struct vault_new_root both = {.key_file = f->dir.key, .passphrase_file = f->dir.key};
    assert_refused(vault_prepare_root_change(f->vault, &both, &settings, &err), &err, ERR_USAGE, "not both");
    assert_refused(vault_prepare_root_finish(f->vault, &settings, &err), &err, ERR_CONFLICT, "no change");
    assert_all_open(f, f->vault);
    assert_survives(f, &f->options);
}

/* The old wraps are not dropped when the new root key does not cover them. */
static void test_uncovered_key_is_not_dropped(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    struct vault_status status;
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    commit(f, &settings);
    begin_change(f, &in_place);
    vault_status(f->vault, &status);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    char name[FORMAT_NAME_MAX];
    vault_format_write_name(name, FORMAT_NAME_KEY, status.pending_id, 1);
    table_set(&f->table, &(struct vault_setting){.name = name, .value = NULL});
    struct vault *vault;
    assert_refused(
        vault_keyring_open(&f->options, f->table.rows, f->table.count, &cheap, &vault, &settings, &err), &err,
        ERR_CORRUPT, "data key 1");
}

/* Keys that nothing uses go under both root keys. */
static void test_drop_during_root_change(void **state) {
    struct fixture *f = *state;
    struct vault_settings settings;
    struct vault_status before;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_data_key(f->vault, &settings, &err), &err);
    commit(f, &settings);
    vault_status(f->vault, &before);
    begin_change(f, &in_place);
    for (size_t i = 0; i < ROWS; i++) {
        reseal_row(f, &f->rows[i]);
    }
    assert_int_equal(count_prefix(&f->table, "vault/key/"), 4);
    drop_unused(f);
    assert_int_equal(count_prefix(&f->table, "vault/key/"), 2);
    assert_survives(f, &f->options);
    assert_ok(vault_switch_root_key(f->vault, &err), &err);
    assert_survives(f, &f->options);
    finish_change(f);
    assert_settled(f, before.root_id);
}

int main(void) {
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_change_survives_each_step),
        cmocka_unit_test(test_root_change_is_resumed),
        cmocka_unit_test(test_root_change_is_cancelled),
        cmocka_unit_test(test_root_change_is_repeated_after_a_failed_finish),
        cmocka_unit_test(test_switch_checks_what_is_staged),
        cmocka_unit_test(test_root_change_behind_a_symbolic_link),
        cmocka_unit_test(test_hand_over_to_another_key_file),
        cmocka_unit_test(test_hand_over_to_a_passphrase_and_back),
        cmocka_unit_test(test_bad_new_root_keys),
        cmocka_unit_test(test_uncovered_key_is_not_dropped),
        cmocka_unit_test(test_drop_during_root_change),
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tests[i].setup_func = set_up;
        tests[i].teardown_func = tear_down;
    }
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_root", tests, NULL, NULL);
}
