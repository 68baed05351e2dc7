/*
 * What the vault's tests share: a stand-in for the store (a table of settings that commits in one step and
 * can be copied, to look at it as a crash would leave it), a directory, key files.
 */
#ifndef BGPPEERD_TESTS_UNIT_VAULT_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_VAULT_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../service/vault/keyring.h"

#define TABLE_MAX 200

/* The cheapest argon2id that libsodium allows. */
static const struct root_cost cheap = {.opslimit = 1, .memlimit = 8192};

/* ---- settings ---- */

struct table {
    struct vault_setting rows[TABLE_MAX];
    size_t count;
};

static inline void *copy_bytes(const void *bytes, size_t len) {
    void *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static inline void table_done(struct table *table) {
    for (size_t i = 0; i < table->count; i++) {
        free((void *)(uintptr_t)table->rows[i].name);
        free((void *)(uintptr_t)table->rows[i].value);
    }
    table->count = 0;
}

static inline size_t table_find(const struct table *table, const char *name) {
    size_t at = 0;
    while (at < table->count && strcmp(table->rows[at].name, name) != 0) {
        at++;
    }
    return at;
}

static inline void table_set(struct table *table, const struct vault_setting *setting) {
    size_t at = table_find(table, setting->name);
    if (at < table->count) {
        free((void *)(uintptr_t)table->rows[at].name);
        free((void *)(uintptr_t)table->rows[at].value);
        table->rows[at] = table->rows[--table->count];
    }
    if (setting->value != NULL) {
        assert_true(table->count < TABLE_MAX);
        table->rows[table->count++] =
            (struct vault_setting){.name = copy_bytes(setting->name, strlen(setting->name) + 1),
                                   .value = copy_bytes(setting->value, setting->value_len),
                                   .value_len = setting->value_len};
    }
}

/* One transaction. */
static inline void table_commit(struct table *table, const struct vault_settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        table_set(table, &settings->items[i]);
    }
}

static inline void table_copy(struct table *to, const struct table *from) {
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        table_set(to, &from->rows[i]);
    }
}

static inline bool table_equal(const struct table *a, const struct table *b) {
    for (size_t i = 0; i < a->count; i++) {
        size_t at = table_find(b, a->rows[i].name);
        if (at == b->count || a->rows[i].value_len != b->rows[at].value_len ||
            memcmp(a->rows[i].value, b->rows[at].value, a->rows[i].value_len) != 0) {
            return false;
        }
    }
    return a->count == b->count;
}

/* ---- files ---- */

/* Of which fingerprints are taken. */
static const struct vault_place PLACE_OF_FINGERPRINT = {"default", "bgp", "tor", 1};

struct place {
    char dir[64];
    char key[128];    /* <dir>/vault.key */
    char staged[128]; /* <dir>/vault.key.new */
};

static inline void place_init(struct place *place) {
    snprintf(place->dir, sizeof place->dir, "/tmp/vault_test.XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->key, sizeof place->key, "%s/" VAULT_KEY_FILE, place->dir);
    snprintf(place->staged, sizeof place->staged, "%s/" VAULT_KEY_FILE SOURCE_STAGED_SUFFIX, place->dir);
}

/* Only files that the tests make are looked for, so anything else left behind fails the test. */
static inline void place_done(struct place *place) {
    static const char *const names[] = {"vault.key",  "vault.key.new",  "other.key",
                                        "passphrase", "passphrase.new", "link"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", place->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(place->dir), 0);
}

static inline void path_in(const struct place *place, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", place->dir, name);
}

static inline void file_write(const char *path, const void *bytes, size_t len, mode_t mode) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* A raw key of 32 bytes: first, first + 1, … */
static inline void file_write_key(const char *path, uint8_t first) {
    uint8_t key[FORMAT_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)(first + i);
    }
    file_write(path, key, sizeof key, 0600);
}

static inline void file_write_text(const char *path, const char *text) {
    file_write(path, text, strlen(text), 0600);
}

/* The file's bytes, or -1 when there is none. */
static inline ssize_t file_read(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    ssize_t len = read(fd, out, size);
    close(fd);
    return len;
}

/* ---- the vault over them ---- */

#define assert_ok(status, err)                                                                               \
    do {                                                                                                     \
        if ((status) != 0) {                                                                                 \
            fail_msg("unexpected error %d: %s", (int)(err)->code, (err)->text);                              \
        }                                                                                                    \
    } while (0)

/* Fails as it must: with this code and these words. */
#define assert_refused(status, err, expected, words)                                                         \
    do {                                                                                                     \
        assert_int_equal((status), -1);                                                                      \
        assert_int_equal((err)->code, (expected));                                                           \
        if (strstr((err)->text, (words)) == NULL) {                                                          \
            fail_msg("'%s' does not say '%s'", (err)->text, (words));                                        \
        }                                                                                                    \
        err_clear(err);                                                                                      \
    } while (0)

static inline struct vault_options options_in(const struct place *place) {
    return (struct vault_options){.data_dir = place->dir};
}

/* Open, commit what it wants written, apply. */
static inline struct vault *open_over(const struct vault_options *options, struct table *table) {
    struct vault *vault = NULL;
    struct vault_settings settings = {.count = 0};
    struct err err = ERR_INIT;
    assert_ok(vault_keyring_open(options, table->rows, table->count, &cheap, &vault, &settings, &err), &err);
    table_commit(table, &settings);
    vault_apply(vault);
    return vault;
}

/* Opens and must be refused, with nothing changed. */
static inline void refuse(const struct vault_options *options, const struct table *table, enum err_code code,
                          const char *words) {
    struct vault *vault = NULL;
    struct vault_settings settings = {.items = NULL, .count = 77};
    struct err err = ERR_INIT;
    assert_refused(vault_keyring_open(options, table->rows, table->count, &cheap, &vault, &settings, &err),
                   &err, code, words);
    assert_null(vault);
    assert_int_equal(settings.count, 77);
}

/* ---- values ---- */

struct row {
    struct vault_place place;
    char plain[32];
    uint64_t key_id;
    uint8_t nonce[VAULT_NONCE_BYTES];
    uint8_t ciphertext[32 + VAULT_OVERHEAD];
    size_t ciphertext_len;
};

static inline struct vault_sealed row_sealed(const struct row *row) {
    return (struct vault_sealed){.key_id = row->key_id,
                                 .nonce = row->nonce,
                                 .nonce_len = sizeof row->nonce,
                                 .ciphertext = row->ciphertext,
                                 .ciphertext_len = row->ciphertext_len};
}

static inline void row_take(struct row *row, const struct vault_sealed *sealed) {
    row->key_id = sealed->key_id;
    memcpy(row->nonce, sealed->nonce, sizeof row->nonce);
    assert_true(sealed->ciphertext_len <= sizeof row->ciphertext);
    memcpy(row->ciphertext, sealed->ciphertext, sealed->ciphertext_len);
    row->ciphertext_len = sealed->ciphertext_len;
}

static inline void row_seal(struct vault *vault, struct row *row, const char *item, uint64_t version,
                            const char *plain) {
    struct arena arena;
    struct vault_sealed sealed;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    *row = (struct row){
        .place = {
            .secret_namespace = "default", .secret_name = "tor-secrets", .item = item, .version = version}};
    snprintf(row->plain, sizeof row->plain, "%s", plain);
    assert_ok(vault_seal(vault, &row->place, plain, strlen(plain), &arena, &sealed, &err), &err);
    row_take(row, &sealed);
    arena_done(&arena);
}

static inline void assert_opens(struct vault *vault, const struct row *row) {
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct vault_sealed sealed = row_sealed(row);
    assert_ok(vault_unseal(vault, &row->place, &sealed, &out, &err), &err);
    assert_int_equal(out.len, strlen(row->plain));
    assert_memory_equal(out.data, row->plain, out.len);
    buf_done(&out);
}

#endif
