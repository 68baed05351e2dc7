/*
 * What the tests of key changes share: a vault with values, and crashes. A crash is simulated by what it
 * leaves: a copy of the settings as last committed, the rows as last written, and the key files as they are;
 * a new vault is opened over them.
 */
#ifndef BGPPEERD_TESTS_UNIT_VAULT_CRASH_H
#define BGPPEERD_TESTS_UNIT_VAULT_CRASH_H

#include "vault_fixture.h"

enum { ROWS = 12 };

struct fixture {
    struct place dir;       /* data directory, with vault.key */
    struct place elsewhere; /* files for hand-overs */
    struct table table;
    struct vault_options options;
    struct vault *vault;
    struct row rows[ROWS];
    char fingerprint[VAULT_FINGERPRINT_MAX];
};

static inline int set_up(void **state) {
    static const char *const items[ROWS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    struct err err = ERR_INIT;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    place_init(&f->dir);
    place_init(&f->elsewhere);
    f->options = options_in(&f->dir);
    f->vault = open_over(&f->options, &f->table);
    for (size_t i = 0; i < ROWS; i++) {
        char plain[32];
        snprintf(plain, sizeof plain, "password %zu", i);
        row_seal(f->vault, &f->rows[i], items[i], i + 1, plain);
    }
    assert_ok(vault_fingerprint(f->vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, f->fingerprint, &err), &err);
    *state = f;
    return 0;
}

static inline int tear_down(void **state) {
    struct fixture *f = *state;
    vault_close(f->vault);
    table_done(&f->table);
    place_done(&f->dir);
    place_done(&f->elsewhere);
    free(f);
    return 0;
}

static inline void assert_all_open(struct fixture *f, struct vault *vault) {
    char fingerprint[VAULT_FINGERPRINT_MAX];
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ROWS; i++) {
        assert_opens(vault, &f->rows[i]);
    }
    assert_ok(vault_fingerprint(vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, fingerprint, &err), &err);
    assert_string_equal(fingerprint, f->fingerprint);
}

/* Crash now: a new process finds every value. What it wants written is left unwritten (it may crash too),
 * then written. */
static inline void assert_survives(struct fixture *f, const struct vault_options *options) {
    struct table table;
    struct vault *vault;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    table_copy(&table, &f->table);
    for (int again = 0; again < 2; again++) {
        assert_ok(vault_keyring_open(options, table.rows, table.count, &cheap, &vault, &settings, &err),
                  &err);
        assert_all_open(f, vault);
        vault_close(vault);
    }
    vault = open_over(options, &table);
    assert_all_open(f, vault);
    vault_close(vault);
    vault = open_over(options, &table);
    assert_all_open(f, vault);
    vault_close(vault);
    table_done(&table);
}

/* The process dies and starts anew. */
static inline void restart(struct fixture *f) {
    vault_close(f->vault);
    f->vault = open_over(&f->options, &f->table);
}

static inline void commit(struct fixture *f, const struct vault_settings *settings) {
    table_commit(&f->table, settings);
    vault_apply(f->vault);
}

static inline size_t count_prefix(const struct table *table, const char *prefix) {
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        count += strncmp(table->rows[i].name, prefix, strlen(prefix)) == 0;
    }
    return count;
}

static inline void reseal_row(struct fixture *f, struct row *row) {
    struct arena arena;
    struct vault_sealed sealed;
    struct err err = ERR_INIT;
    struct vault_sealed old = row_sealed(row);
    arena_init(&arena, 0);
    assert_ok(vault_reseal(f->vault, &row->place, &old, &arena, &sealed, &err), &err);
    assert_int_equal(sealed.key_id, vault_active_key(f->vault));
    row_take(row, &sealed);
    arena_done(&arena);
}

static inline void drop_unused(struct fixture *f) {
    uint64_t used[ROWS];
    struct vault_settings settings;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ROWS; i++) {
        used[i] = f->rows[i].key_id;
    }
    assert_ok(vault_prepare_drop_unused(f->vault, used, ROWS, &settings, &err), &err);
    commit(f, &settings);
}

#endif
