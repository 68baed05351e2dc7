/* Opening: sources and their order, file checks, first start, wrong keys, damage, passphrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "vault_fixture.h"

/* Opens and must be refused, with nothing changed. */
static void refuse(const struct vault_options *options, const struct table *table, enum err_code code,
                   const char *words) {
    struct vault *vault = NULL;
    struct vault_settings settings = {.items = NULL, .count = 77};
    struct err err = ERR_INIT;
    assert_refused(vault_keyring_open(options, table->rows, table->count, &cheap, &vault, &settings, &err),
                   &err, code, words);
    assert_null(vault);
    assert_int_equal(settings.count, 77);
}

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
    assert_refused(vault_fingerprint(vault, "x", 1, fingerprint, &err), &err, ERR_UNAVAILABLE, "no keys yet");
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

static void test_order_of_sources(void **state) {
    (void)state;
    struct place dir;
    struct place credentials;
    struct place elsewhere;
    char passphrase[128];
    place_init(&dir);
    place_init(&credentials);
    place_init(&elsewhere);
    path_in(&elsewhere, "passphrase", passphrase);
    file_write_key(elsewhere.key, 1);
    file_write_key(credentials.key, 2);
    file_write_text(passphrase, "a long enough passphrase\n");
    struct vault_options options = {.key_file = elsewhere.key,
                                    .credentials_dir = credentials.dir,
                                    .passphrase_file = passphrase,
                                    .data_dir = dir.dir};
    static const enum vault_source expected[] = {VAULT_SOURCE_KEY_FILE, VAULT_SOURCE_CREDENTIAL,
                                                 VAULT_SOURCE_PASSPHRASE, VAULT_SOURCE_DATA_DIR};
    for (size_t i = 0; i < 4; i++) {
        struct table table = {.count = 0};
        struct vault_status status;
        struct vault *vault = open_over(&options, &table);
        vault_status(vault, &status);
        assert_int_equal(status.source, expected[i]);
        /* Only the last one lies with the data. */
        assert_int_equal(vault_warning(vault)[0] != '\0', i == 3);
        vault_close(vault);
        vault = open_over(&options, &table);
        vault_close(vault);
        table_done(&table);
        if (i == 0) {
            options.key_file = NULL;
        } else if (i == 1) {
            unlink(credentials.key); /* the directory is there, but not this credential */
        } else {
            options.passphrase_file = NULL;
        }
    }
    place_done(&dir);
    place_done(&credentials);
    place_done(&elsewhere);
}

static void test_explicit_key_file_must_be_there(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    char path[128];
    place_init(&dir);
    path_in(&dir, "other.key", path);
    struct vault_options options = options_in(&dir);
    options.key_file = path;
    refuse(&options, &table, ERR_USAGE, "No such file");
    assert_false(vault_source_exists(path));
    assert_false(vault_source_exists(dir.key));
    place_done(&dir);
}

static void test_key_file_content(void **state) {
    (void)state;
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", true},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", true},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n", true},
        {"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n", true},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\n", false},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g\n", false},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e\n", false},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00\n", false},
        {" 00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", false},
        {"0000000000000000000000000000000000000000000000000000000000000000\n", false},
        {"", false},
        {"\n", false},
        {"short", false},
    };
    struct place dir;
    struct place elsewhere;
    struct table table = {.count = 0};
    place_init(&dir);
    place_init(&elsewhere);
    struct vault_options options = options_in(&dir);
    options.key_file = elsewhere.key;
    /* The same key raw: each good spelling opens what it made. */
    file_write_key(elsewhere.key, 0);
    vault_close(open_over(&options, &table));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        file_write_text(elsewhere.key, cases[i].text);
        if (cases[i].good) {
            vault_close(open_over(&options, &table));
        } else {
            refuse(&options, &table, ERR_USAGE, elsewhere.key);
        }
    }
    char raw[33];
    memset(raw, 'k', sizeof raw);
    file_write(elsewhere.key, raw, 32, 0600);
    refuse(&options, &table, ERR_USAGE, "one byte repeated");
    memcpy(raw, hex, sizeof raw);
    file_write(elsewhere.key, raw, 33, 0600);
    refuse(&options, &table, ERR_USAGE, "exactly 32 bytes");
    file_write(elsewhere.key, raw, 31, 0600);
    refuse(&options, &table, ERR_USAGE, "exactly 32 bytes");
    table_done(&table);
    place_done(&dir);
    place_done(&elsewhere);
}

static void test_key_file_permissions(void **state) {
    (void)state;
    static const struct {
        mode_t mode;
        bool good;
    } cases[] = {
        {0600, true},  {0400, true},  {0640, false}, {0604, false}, {0620, false},  {0602, false},
        {0610, false}, {0601, false}, {0700, false}, {0440, false}, {04600, false}, {0666, false},
    };
    struct place dir;
    struct place elsewhere;
    struct table table = {.count = 0};
    place_init(&dir);
    place_init(&elsewhere);
    struct vault_options by_file = options_in(&dir);
    by_file.key_file = elsewhere.key;
    struct vault_options by_credential = options_in(&dir);
    by_credential.credentials_dir = elsewhere.dir;
    file_write_key(elsewhere.key, 0);
    vault_close(open_over(&by_file, &table));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(chmod(elsewhere.key, cases[i].mode), 0);
        if (cases[i].good) {
            vault_close(open_over(&by_file, &table));
            vault_close(open_over(&by_credential, &table));
        } else {
            char mode[8];
            snprintf(mode, sizeof mode, "%04o", (unsigned)cases[i].mode);
            refuse(&by_file, &table, ERR_USAGE, mode);
            refuse(&by_credential, &table, ERR_USAGE, mode);
        }
    }
    table_done(&table);
    place_done(&dir);
    place_done(&elsewhere);
}

static void test_passphrase_file_permissions(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    char path[128];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    file_write(path, "a long enough passphrase", 24, 0644);
    struct vault_options options = options_in(&dir);
    options.passphrase_file = path;
    refuse(&options, &table, ERR_USAGE, "0644");
    place_done(&dir);
}

static void test_not_a_regular_file(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    options.key_file = dir.dir;
    refuse(&options, &table, ERR_USAGE, "not a regular file");
    /* A FIFO without a writer must not hang. */
    assert_int_equal(mkfifo(dir.key, 0600), 0);
    options.key_file = dir.key;
    refuse(&options, &table, ERR_USAGE, "not a regular file");
    place_done(&dir);
}

static void test_symbolic_link(void **state) {
    (void)state;
    struct place dir;
    struct place elsewhere;
    struct table table = {.count = 0};
    char link[128];
    place_init(&dir);
    place_init(&elsewhere);
    path_in(&elsewhere, "link", link);
    file_write_key(elsewhere.key, 0);
    assert_int_equal(symlink(VAULT_KEY_FILE, link), 0);
    struct vault_options options = options_in(&dir);
    options.key_file = link;
    vault_close(open_over(&options, &table));
    assert_int_equal(chmod(elsewhere.key, 0644), 0);
    refuse(&options, &table, ERR_USAGE, "0644");
    table_done(&table);
    place_done(&dir);
    place_done(&elsewhere);
}

static void test_owner(void **state) {
    (void)state;
    struct place dir;
    struct place elsewhere;
    struct table table = {.count = 0};
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    place_init(&dir);
    place_init(&elsewhere);
    file_write_key(elsewhere.key, 0);
    assert_int_equal(chown(elsewhere.key, 12345, 12345), 0);
    struct vault_options options = options_in(&dir);
    options.key_file = elsewhere.key;
    refuse(&options, &table, ERR_USAGE, "user 12345");
    place_done(&dir);
    place_done(&elsewhere);
}

/* systemd gives a credential to a service's user by an ACL: root-owned, its mask shows as mode 0440. */
static void test_systemd_credential_with_acl(void **state) {
    (void)state;
    /* linux/posix_acl_xattr.h: version 2, then tag, permissions, id: owner r, user 12345 r, group -, mask r,
     * others -. */
    static const uint8_t acl[] = {2, 0,  0,   0,   1,   0,   4,  0, 255, 255, 255, 255, 2,   0,  4,
                                  0, 57, 48,  0,   0,   4,   0,  0, 0,   255, 255, 255, 255, 16, 0,
                                  4, 0,  255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};
    struct place dir;
    struct place credentials;
    struct table table = {.count = 0};
    place_init(&dir);
    place_init(&credentials);
    file_write_key(credentials.key, 0);
    struct vault_options options = options_in(&dir);
    options.credentials_dir = credentials.dir;
    bool can = geteuid() == 0 && chmod(credentials.key, 0400) == 0 &&
               setxattr(credentials.key, "system.posix_acl_access", acl, sizeof acl, 0) == 0;
    if (can) {
        struct stat status;
        assert_int_equal(stat(credentials.key, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0440);
        vault_close(open_over(&options, &table));
        struct vault_options by_file = options_in(&dir);
        by_file.key_file = credentials.key;
        refuse(&by_file, &table, ERR_USAGE, "0440");
    }
    table_done(&table);
    place_done(&dir);
    place_done(&credentials);
    if (!can) {
        print_message("           skipped: no root, or no ACLs on this file system\n");
        skip();
    }
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

static void test_passphrase_content(void **state) {
    (void)state;
    struct place dir;
    char path[128];
    char longest[SOURCE_PASSPHRASE_MAX + 2];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    struct vault_options options = options_in(&dir);
    options.passphrase_file = path;
    static const char *const bad[] = {"", "\n", "\r\n", "two\nlines", "two\nlines\n"};
    struct table table = {.count = 0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        file_write_text(path, bad[i]);
        refuse(&options, &table, ERR_USAGE, "does not hold a passphrase");
    }
    memset(longest, 'x', sizeof longest);
    longest[SOURCE_PASSPHRASE_MAX] = '\n';
    file_write(path, longest, SOURCE_PASSPHRASE_MAX + 1, 0600);
    vault_close(open_over(&options, &table));
    table_done(&table);
    longest[SOURCE_PASSPHRASE_MAX] = 'x';
    file_write(path, longest, SOURCE_PASSPHRASE_MAX + 1, 0600);
    refuse(&options, &table, ERR_USAGE, "1 to 1024 bytes");

    file_write_text(path, "short");
    struct vault *vault = open_over(&options, &table);
    assert_non_null(strstr(vault_warning(vault), "short"));
    vault_close(vault);
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

static void test_key_files_are_never_replaced(void **state) {
    (void)state;
    struct place dir;
    struct err err = ERR_INIT;
    char temp[160];
    char before[128];
    char after[128];
    place_init(&dir);
    /* What a crash may have left is in nobody's way. */
    snprintf(temp, sizeof temp, "%s.tmp", dir.key);
    file_write_text(temp, "half a k");
    assert_ok(vault_source_create_key(dir.key, &err), &err);
    assert_false(vault_source_exists(temp));
    assert_int_equal(file_read(dir.key, before, sizeof before), 65);
    assert_refused(vault_source_create_key(dir.key, &err), &err, ERR_CONFLICT, "not replaced");
    assert_int_equal(file_read(dir.key, after, sizeof after), 65);
    assert_memory_equal(before, after, 65);
    assert_false(vault_source_exists(temp));
    place_done(&dir);
}

static void test_unwritable_data_dir(void **state) {
    (void)state;
    struct table table = {.count = 0};
    struct vault_options options = {.data_dir = "/nonexistent-bgppeerd-test"};
    refuse(&options, &table, ERR_USAGE, "creating the key file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_start_makes_a_key),
        cmocka_unit_test(test_first_start_crash_before_commit),
        cmocka_unit_test(test_nothing_is_made_when_asked_not_to),
        cmocka_unit_test(test_order_of_sources),
        cmocka_unit_test(test_explicit_key_file_must_be_there),
        cmocka_unit_test(test_key_file_content),
        cmocka_unit_test(test_key_file_permissions),
        cmocka_unit_test(test_passphrase_file_permissions),
        cmocka_unit_test(test_not_a_regular_file),
        cmocka_unit_test(test_symbolic_link),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_systemd_credential_with_acl),
        cmocka_unit_test(test_wrong_root_key),
        cmocka_unit_test(test_damage_is_not_a_wrong_key),
        cmocka_unit_test(test_swapped_wraps_are_damage),
        cmocka_unit_test(test_newer_format_is_named),
        cmocka_unit_test(test_settings_of_others_are_ignored),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_passphrase_content),
        cmocka_unit_test(test_passphrase_with_moderate_limits),
        cmocka_unit_test(test_works_without_mlock),
        cmocka_unit_test(test_missing_root_record_is_damage),
        cmocka_unit_test(test_key_files_are_never_replaced),
        cmocka_unit_test(test_unwritable_data_dir),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_open", tests, NULL, NULL);
}
