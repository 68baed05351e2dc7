/* Root key sources: their order, what files may hold, who may own and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <sys/xattr.h>

#include "vault_fixture.h"

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
        cmocka_unit_test(test_order_of_sources),
        cmocka_unit_test(test_explicit_key_file_must_be_there),
        cmocka_unit_test(test_key_file_content),
        cmocka_unit_test(test_key_file_permissions),
        cmocka_unit_test(test_passphrase_file_permissions),
        cmocka_unit_test(test_not_a_regular_file),
        cmocka_unit_test(test_symbolic_link),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_systemd_credential_with_acl),
        cmocka_unit_test(test_passphrase_content),
        cmocka_unit_test(test_key_files_are_never_replaced),
        cmocka_unit_test(test_unwritable_data_dir),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_source", tests, NULL, NULL);
}
