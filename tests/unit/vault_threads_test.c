/* Many threads use the vault while one changes its keys. Worth most under ThreadSanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>

#include "vault_fixture.h"

enum { THREADS = 4, PINNED = 8, ROTATIONS = 30 };

struct shared {
    struct vault *vault;
    struct row pinned[PINNED]; /* sealed under the first data key, which is kept */
    char fingerprint[VAULT_FINGERPRINT_MAX];
    atomic_bool stop;
};

/* What one thread saw; asserted by the main thread, for cmocka's asserts are not for others. */
struct reader {
    struct shared *shared;
    pthread_t thread;
    uint64_t rounds;
    uint64_t unseals;
    uint64_t wrong;
};

static bool opens_as(struct vault *vault, const struct vault_place *place, const struct vault_sealed *sealed,
                     const char *plain, struct err *err) {
    struct buf out = BUF_INIT;
    bool good = vault_unseal(vault, place, sealed, &out, err) == 0 && strcmp(out.data, plain) == 0;
    buf_done(&out);
    return good;
}

/* Sealed under the active key of that moment, which may be dropped before it is opened again: then, and only
 * then, that may fail. */
static bool seals_and_opens(struct reader *reader) {
    struct vault *vault = reader->shared->vault;
    struct vault_place place = {
        .secret_namespace = "n", .secret_name = "s", .item = "k", .version = reader->rounds + 1};
    struct vault_sealed sealed;
    struct arena arena;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    bool good = vault_seal(vault, &place, "fresh", 5, &arena, &sealed, &err) == 0;
    if (good) {
        reader->unseals++;
        good = opens_as(vault, &place, &sealed, "fresh", &err) ||
               (err.code == ERR_CORRUPT && !vault_has_key(vault, sealed.key_id));
    }
    arena_done(&arena);
    return good;
}

static void *read_and_seal(void *arg) {
    struct reader *reader = arg;
    struct shared *shared = reader->shared;
    while (!atomic_load(&shared->stop)) {
        char fingerprint[VAULT_FINGERPRINT_MAX];
        struct vault_status status;
        struct err err = ERR_INIT;
        for (size_t i = 0; i < PINNED; i++) {
            struct vault_sealed sealed = row_sealed(&shared->pinned[i]);
            reader->unseals++;
            if (!opens_as(shared->vault, &shared->pinned[i].place, &sealed, shared->pinned[i].plain, &err)) {
                reader->wrong++;
            }
        }
        if (!seals_and_opens(reader) ||
            vault_fingerprint(shared->vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, fingerprint, &err) != 0 ||
            strcmp(fingerprint, shared->fingerprint) != 0) {
            reader->wrong++;
        }
        vault_status(shared->vault, &status);
        if (status.key_count == 0 || status.keys[0].id != 1 || !status.keys[status.key_count - 1].active) {
            reader->wrong++;
        }
        reader->rounds++;
    }
    return NULL;
}

static void commit(struct vault *vault, struct table *table, const struct vault_settings *settings) {
    table_commit(table, settings);
    vault_apply(vault);
}

/* A data key comes, the one before goes; now and then the root key changes. */
static void change_keys(struct vault *vault, struct table *table, int round) {
    static const struct vault_new_root in_place = {.key_file = NULL};
    static const uint64_t pinned = 1;
    struct vault_settings settings;
    struct err err = ERR_INIT;
    assert_ok(vault_prepare_data_key(vault, &settings, &err), &err);
    commit(vault, table, &settings);
    assert_ok(vault_prepare_drop_unused(vault, &pinned, 1, &settings, &err), &err);
    commit(vault, table, &settings);
    if (round % 3 == 0) {
        assert_ok(vault_prepare_root_change(vault, &in_place, &settings, &err), &err);
        commit(vault, table, &settings);
        assert_ok(vault_switch_root_key(vault, &err), &err);
        assert_ok(vault_prepare_root_finish(vault, &settings, &err), &err);
        commit(vault, table, &settings);
    }
}

static void test_readers_during_key_changes(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct shared shared = {.stop = false};
    struct reader readers[THREADS];
    struct err err = ERR_INIT;
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    shared.vault = open_over(&options, &table);
    for (size_t i = 0; i < PINNED; i++) {
        row_seal(shared.vault, &shared.pinned[i], "rack1", i + 1, "pinned");
    }
    assert_ok(vault_fingerprint(shared.vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, shared.fingerprint, &err),
              &err);
    for (size_t i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.shared = &shared};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_and_seal, &readers[i]), 0);
    }
    for (int round = 0; round < ROTATIONS; round++) {
        change_keys(shared.vault, &table, round);
    }
    atomic_store(&shared.stop, true);
    uint64_t unseals = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].rounds > 0);
        unseals += readers[i].unseals;
    }
    assert_int_equal(vault_unseal_count(shared.vault), unseals);
    assert_int_equal(vault_active_key(shared.vault), ROTATIONS + 1);
    vault_close(shared.vault);
    vault_close(open_over(&options, &table));
    table_done(&table);
    place_done(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_during_key_changes),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_threads", tests, NULL, NULL);
}
