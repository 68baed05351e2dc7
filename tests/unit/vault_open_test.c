/* Opening: first start, wrong keys, damage, passphrases, no locked memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "vault_fixture.h"

static void test_first_start_makes_a_key(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct vault *vault;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    char text[128];
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    assert_ok(vault_open(&options, NULL, 0, &vault, &settings, &err), &err);

    struct stat status;
    assert_int_equal(stat(dir.key, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(file_read(dir.key, text, sizeof text), 65);
    assert_int_equal(strspn(text, "0123456789abcdef"), 64);
    assert_int_equal(text[64], '\n');
    assert_non_null(strstr(vault_warning(vault), "beside the data"));
    assert_non_null(strstr(vault_source_text(vault), dir.key));
    assert_int_equal(settings.count, 3);

    /* Nothing is sealed under keys that are not durable yet. */
    struct vault_place place = {.secret_namespace = "n", .secret_name = "s", .item = "k", .version = 1};
    struct arena arena;
    struct vault_sealed sealed;
    char fingerprint[VAULT_FINGERPRINT_MAX];
    arena_init(&arena, 0);
    assert_int_equal(vault_active_key(vault), 0);
    assert_refused(vault_seal(vault, &place, "x", 1, &arena, &sealed, &err), &err, ERR_UNAVAILABLE,
                   "no keys yet");
    assert_refused(vault_fingerprint(vault, &PLACE_OF_FINGERPRINT, "x", 1, fingerprint, &err), &err,
                   ERR_UNAVAILABLE, "no keys yet");
    struct vault_settings more;
    assert_refused(vault_prepare_data_key(vault, &more, &err), &err, ERR_CONFLICT, "another change");
    table_commit(&table, &settings);
    vault_apply(vault);
    assert_int_equal(vault_active_key(vault), 1);
    assert_ok(vault_seal(vault, &place, "x", 1, &arena, &sealed, &err), &err);
    arena_done(&arena);

    /* No key material in the settings: neither the file's text nor its bytes. */
    uint8_t key[FORMAT_KEY_BYTES];
    assert_int_equal(sodium_hex2bin(key, sizeof key, text, 64, NULL, NULL, NULL), 0);
    for (size_t i = 0; i < table.count; i++) {
        assert_null(memmem(table.rows[i].value, table.rows[i].value_len, key, 8));
        assert_null(memmem(table.rows[i].value, table.rows[i].value_len, text, 16));
    }
    vault_close(vault);

    /* The next start writes nothing, and does not touch the key. */
    struct table before = {.count = 0};
    char again[128];
    table_copy(&before, &table);
    vault = open_over(&options, &table);
    assert_true(table_equal(&before, &table));
    assert_int_equal(file_read(dir.key, again, sizeof again), 65);
    assert_memory_equal(text, again, 65);
    vault_close(vault);
    table_done(&before);
    table_done(&table);
    place_done(&dir);
}

static void test_first_start_crash_before_commit(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct vault *vault;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    char first[128];
    char second[128];
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    assert_ok(vault_open(&options, NULL, 0, &vault, &settings, &err), &err);
    vault_discard(vault);
    assert_int_equal(vault_active_key(vault), 0);
    vault_close(vault);
    assert_int_equal(file_read(dir.key, first, sizeof first), 65);
    vault = open_over(&options, &table);
    assert_int_equal(file_read(dir.key, second, sizeof second), 65);
    assert_memory_equal(first, second, 65);
    assert_int_equal(vault_active_key(vault), 1);
    vault_close(vault);
    table_done(&table);
    place_done(&dir);
}

static void test_nothing_is_made_when_asked_not_to(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    options.must_exist = true;
    refuse(&options, &table, ERR_NOT_FOUND, "no vault yet");
    options.must_exist = false;
    options.sealed_count = 5;
    refuse(&options, &table, ERR_CORRUPT, "keys are missing");
    assert_false(vault_source_exists(dir.key));
    place_done(&dir);
}

static void test_wrong_root_key(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct table before = {.count = 0};
    char path[128];
    char roots[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    struct vault_options options = options_in(&dir);
    file_write_key(dir.key, 1);
    vault_close(open_over(&options, &table));
    table_copy(&before, &table);
    assert_int_equal(vault_list_roots(table.rows, table.count, roots), 1);

    file_write_key(dir.key, 2);
    refuse(&options, &table, ERR_USAGE, "wrong root key");
    refuse(&options, &table, ERR_USAGE, roots[0]); /* says which one it wants */
    unlink(dir.key);
    refuse(&options, &table, ERR_USAGE, roots[0]);
    assert_false(vault_source_exists(dir.key)); /* and makes no new one */
    options.passphrase_file = path;
    file_write_text(path, "a long enough passphrase");
    refuse(&options, &table, ERR_USAGE, "wrong root key");
    assert_true(table_equal(&before, &table));
    table_done(&before);
    table_done(&table);
    place_done(&dir);
}

/* Every byte of every setting, and every setting missing: damage, never "wrong key", never opened. */
static void test_damage_is_not_a_wrong_key(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    vault_close(open_over(&options, &table));
    for (size_t i = 0; i < table.count; i++) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)table.rows[i].value;
        for (size_t at = 0; at < table.rows[i].value_len; at++) {
            bytes[at] ^= 0x10;
            refuse(&options, &table, ERR_CORRUPT, "");
            bytes[at] ^= 0x10;
        }
        table.rows[i].value_len--;
        refuse(&options, &table, ERR_CORRUPT, "damaged");
        table.rows[i].value_len++;
        struct vault_setting last = table.rows[table.count - 1];
        struct vault_setting gone = table.rows[i];
        table.rows[i] = last;
        table.count--;
        refuse(&options, &table, ERR_CORRUPT, "missing");
        table.count++;
        table.rows[i] = gone;
        table.rows[table.count - 1] = last;
    }
    vault_close(open_over(&options, &table));

    /* One key's wrap under another's name. */
    struct vault_setting moved = {.name = "vault/key/0123456789abcdef/"};
    table_set(&table, &(struct vault_setting){.name = moved.name, .value = "x", .value_len = 1});
    refuse(&options, &table, ERR_CORRUPT, "malformed name");
    table_done(&table);
    place_done(&dir);
}

static void test_swapped_wraps_are_damage(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct vault_settings settings;
    struct err err = ERR_INIT;
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    struct vault *vault = open_over(&options, &table);
    assert_ok(vault_prepare_data_key(vault, &settings, &err), &err);
    table_commit(&table, &settings);
    vault_apply(vault);
    vault_close(vault);
    /* All wraps have one length: swap each pair. */
    for (size_t i = 0; i < table.count; i++) {
        for (size_t j = i + 1; j < table.count; j++) {
            if (table.rows[i].value_len != FORMAT_WRAPPED_BYTES ||
                table.rows[j].value_len != FORMAT_WRAPPED_BYTES) {
                continue;
            }
            const void *value = table.rows[i].value;
            table.rows[i].value = table.rows[j].value;
            table.rows[j].value = value;
            refuse(&options, &table, ERR_CORRUPT, "was altered");
            table.rows[j].value = table.rows[i].value;
            table.rows[i].value = value;
        }
    }
    vault_close(open_over(&options, &table));
    table_done(&table);
    place_done(&dir);
}

static void test_newer_format_is_named(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    vault_close(open_over(&options, &table));
    for (size_t i = 0; i < table.count; i++) {
        if (strncmp(table.rows[i].name, "vault/root/", 11) == 0) {
            *(uint8_t *)(uintptr_t)table.rows[i].value = 2;
        }
    }
    refuse(&options, &table, ERR_CORRUPT, "format 2");
    table_done(&table);
    place_done(&dir);
}

static void test_settings_of_others_are_ignored(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    table_set(&table, &(struct vault_setting){.name = "schema", .value = "7", .value_len = 1});
    table_set(&table, &(struct vault_setting){.name = "vault/rotation", .value = "x", .value_len = 1});
    struct vault_options options = options_in(&dir);
    vault_close(open_over(&options, &table));
    vault_close(open_over(&options, &table));
    assert_int_equal(table.count, 5);
    table_done(&table);
    place_done(&dir);
}

static void test_passphrase(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct table other = {.count = 0};
    struct row row;
    char path[128];
    char a[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    char b[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    struct vault_options options = options_in(&dir);
    options.passphrase_file = path;
    file_write_text(path, "correct horse battery\n");
    struct vault *vault = open_over(&options, &table);
    row_seal(vault, &row, "rack1", 1, "s3cret");
    vault_close(vault);
    assert_false(vault_source_exists(dir.key));

    /* Trailing newline or not is the same passphrase; one letter is not. */
    file_write_text(path, "correct horse battery");
    vault = open_over(&options, &table);
    assert_opens(vault, &row);
    vault_close(vault);
    file_write_text(path, "correct horse battery\r\n");
    vault_close(open_over(&options, &table));
    file_write_text(path, "correct horse batterz\n");
    refuse(&options, &table, ERR_USAGE, "wrong root key");
    file_write_text(path, "correct horse battery \n");
    refuse(&options, &table, ERR_USAGE, "wrong root key");
    options.passphrase_file = NULL;
    refuse(&options, &table, ERR_USAGE, "from a passphrase");

    /* Two databases with one passphrase have two root keys: the salt is fresh. */
    options.passphrase_file = path;
    file_write_text(path, "correct horse battery");
    vault_close(open_over(&options, &other));
    assert_int_equal(vault_list_roots(table.rows, table.count, a), 1);
    assert_int_equal(vault_list_roots(other.rows, other.count, b), 1);
    assert_string_not_equal(a[0], b[0]);
    table_done(&other);
    table_done(&table);
    place_done(&dir);
}

/* The real limits, once: they are stored, and cost what MODERATE costs. */
static void test_passphrase_with_moderate_limits(void **state) {
    (void)state;
    struct place dir;
    struct vault *vault;
    struct vault_settings settings;
    struct format_root root = {.opslimit = 0};
    struct err err = ERR_INIT;
    char path[128];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    file_write_text(path, "correct horse battery\n");
    struct vault_options options = options_in(&dir);
    options.passphrase_file = path;
    assert_ok(vault_open(&options, NULL, 0, &vault, &settings, &err), &err);
    for (size_t i = 0; i < settings.count; i++) {
        char id[VAULT_ROOT_ID_MAX];
        uint64_t key_id;
        if (vault_format_parse_name(settings.items[i].name, id, &key_id) == FORMAT_NAME_ROOT) {
            assert_ok(
                vault_format_read_root(id, settings.items[i].value, settings.items[i].value_len, &root, &err),
                &err);
        }
    }
    assert_int_equal(root.kind, FORMAT_ROOT_PASSPHRASE);
    assert_int_equal(root.opslimit, crypto_pwhash_argon2id_OPSLIMIT_MODERATE);
    assert_int_equal(root.memlimit, crypto_pwhash_argon2id_MEMLIMIT_MODERATE);
    assert_false(sodium_is_zero(root.salt, sizeof root.salt));
    vault_close(vault);
    place_done(&dir);
}

/* In a process of its own, which may lock no memory at all. */
static void run_without_mlock(const struct vault_options *options, struct table *table) {
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 ||
        (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))) {
        _exit(2);
    }
    struct vault *vault = open_over(options, table);
    struct row row;
    row_seal(vault, &row, "rack1", 1, "s3cret");
    assert_opens(vault, &row);
    vault_close(vault);
    table_done(table);
    _exit(0);
}

static void test_works_without_mlock(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    int status;
    place_init(&dir);
    assert_int_equal(chmod(dir.dir, 0777), 0);
    struct vault_options options = options_in(&dir);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_without_mlock(&options, &table);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    place_done(&dir);
}

/* The keys' root record is gone, and another one is there in its place. */
static void test_missing_root_record_is_damage(void **state) {
    (void)state;
    struct place dir;
    struct place elsewhere;
    struct table table = {.count = 0};
    struct table other = {.count = 0};
    char roots[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX];
    char name[FORMAT_NAME_MAX];
    place_init(&dir);
    place_init(&elsewhere);
    struct vault_options options = options_in(&dir);
    struct vault_options other_options = options_in(&elsewhere);
    vault_close(open_over(&options, &table));
    vault_close(open_over(&other_options, &other));
    assert_int_equal(vault_list_roots(table.rows, table.count, roots), 1);
    vault_format_write_name(name, FORMAT_NAME_ROOT, roots[0], 0);
    table_set(&table, &(struct vault_setting){.name = name, .value = NULL});
    assert_int_equal(vault_list_roots(other.rows, other.count, roots), 1);
    vault_format_write_name(name, FORMAT_NAME_ROOT, roots[0], 0);
    table_set(&table, &other.rows[table_find(&other, name)]);
    refuse(&options, &table, ERR_CORRUPT, "record of root key");
    table_done(&other);
    table_done(&table);
    place_done(&dir);
    place_done(&elsewhere);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_start_makes_a_key),
        cmocka_unit_test(test_first_start_crash_before_commit),
        cmocka_unit_test(test_nothing_is_made_when_asked_not_to),
        cmocka_unit_test(test_wrong_root_key),
        cmocka_unit_test(test_damage_is_not_a_wrong_key),
        cmocka_unit_test(test_swapped_wraps_are_damage),
        cmocka_unit_test(test_newer_format_is_named),
        cmocka_unit_test(test_settings_of_others_are_ignored),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_passphrase_with_moderate_limits),
        cmocka_unit_test(test_works_without_mlock),
        cmocka_unit_test(test_missing_root_record_is_damage),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_open", tests, NULL, NULL);
}
