/* Values: sealing, tampering, limits, fingerprints, the counter, what stays in memory, speed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>

#include "base/clock.h"
#include "vault_fixture.h"

struct fixture {
    struct place dir;
    struct table table;
    struct vault *vault;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    place_init(&f->dir);
    struct vault_options options = options_in(&f->dir);
    f->vault = open_over(&options, &f->table);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    vault_close(f->vault);
    table_done(&f->table);
    place_done(&f->dir);
    free(f);
    return 0;
}

static void assert_does_not_open(struct vault *vault, const struct vault_place *place,
                                 const struct vault_sealed *sealed) {
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    buf_add_str(&out, "before");
    assert_refused(vault_unseal(vault, place, sealed, &out, &err), &err, ERR_CORRUPT, "cannot be decrypted");
    assert_string_equal(out.data, "before");
    assert_int_equal(out.len, 6);
    buf_done(&out);
}

static void test_round_trip(void **state) {
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 80, 4096, VAULT_VALUE_MAX};
    uint8_t *value = malloc(VAULT_VALUE_MAX + 1);
    assert_non_null(value);
    randombytes_buf(value, VAULT_VALUE_MAX + 1);
    struct vault_place place = {
        .secret_namespace = "default", .secret_name = "s", .item = "binary", .version = 1};
    struct err err = ERR_INIT;
    struct arena arena;
    struct vault_sealed sealed;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf out = BUF_INIT;
        assert_ok(vault_seal(f->vault, &place, value, sizes[i], &arena, &sealed, &err), &err);
        assert_int_equal(sealed.ciphertext_len, sizes[i] + VAULT_OVERHEAD);
        assert_int_equal(sealed.key_id, vault_active_key(f->vault));
        assert_ok(vault_unseal(f->vault, &place, &sealed, &out, &err), &err);
        assert_true(out.wipe);
        assert_int_equal(out.len, sizes[i]);
        assert_memory_equal(out.data, value, sizes[i]);
        buf_done(&out);
    }
    assert_refused(vault_seal(f->vault, &place, value, VAULT_VALUE_MAX + 1, &arena, &sealed, &err), &err,
                   ERR_INVALID, "1048577 bytes");
    arena_done(&arena);
    free(value);
}

static void test_unseal_appends(void **state) {
    struct fixture *f = *state;
    struct row row;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    struct vault_sealed sealed = row_sealed(&row);
    buf_add_str(&out, "{\"password\":\"");
    assert_ok(vault_unseal(f->vault, &row.place, &sealed, &out, &err), &err);
    buf_add_str(&out, "\"}");
    assert_string_equal(out.data, "{\"password\":\"s3cret\"}");
    buf_done(&out);
}

static void test_same_value_is_sealed_differently(void **state) {
    struct fixture *f = *state;
    struct row a;
    struct row b;
    row_seal(f->vault, &a, "rack1", 1, "s3cret");
    row_seal(f->vault, &b, "rack1", 1, "s3cret");
    assert_memory_not_equal(a.nonce, b.nonce, sizeof a.nonce);
    assert_memory_not_equal(a.ciphertext, b.ciphertext, a.ciphertext_len);
}

/* Every bit of what is stored, in turn. */
static void test_flipped_bits_never_open(void **state) {
    struct fixture *f = *state;
    struct row row;
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    struct vault_sealed sealed = row_sealed(&row);
    for (size_t bit = 0; bit < row.ciphertext_len * 8; bit++) {
        row.ciphertext[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_does_not_open(f->vault, &row.place, &sealed);
        row.ciphertext[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bit = 0; bit < sizeof row.nonce * 8; bit++) {
        row.nonce[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_does_not_open(f->vault, &row.place, &sealed);
        row.nonce[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        struct vault_sealed other_key = sealed;
        struct vault_place place = row.place;
        other_key.key_id ^= (uint64_t)1 << bit;
        assert_does_not_open(f->vault, &row.place, &other_key);
        place.version ^= (uint64_t)1 << bit;
        assert_does_not_open(f->vault, &place, &sealed);
    }
    assert_opens(f->vault, &row);
}

static void flip_text(struct fixture *f, const struct row *row, const char **field) {
    struct vault_sealed sealed = row_sealed(row);
    const char *original = *field;
    char text[64];
    assert_true(strlen(original) < sizeof text);
    *field = text;
    for (size_t i = 0; i < strlen(original); i++) {
        memcpy(text, original, strlen(original) + 1);
        text[i] = (char)(text[i] ^ 0x01);
        assert_does_not_open(f->vault, &row->place, &sealed);
        memmove(text + i, original + i + 1, strlen(original) - i); /* one byte fewer */
        if (text[0] != '\0') {
            assert_does_not_open(f->vault, &row->place, &sealed);
        }
    }
    *field = original;
}

static void test_changed_names_never_open(void **state) {
    struct fixture *f = *state;
    struct row row;
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    flip_text(f, &row, &row.place.secret_namespace);
    flip_text(f, &row, &row.place.secret_name);
    flip_text(f, &row, &row.place.item);
    assert_opens(f->vault, &row);
}

static void test_swapped_rows_do_not_open(void **state) {
    struct fixture *f = *state;
    struct row rows[3];
    row_seal(f->vault, &rows[0], "rack1", 1, "first");
    row_seal(f->vault, &rows[1], "rack2", 1, "other");
    row_seal(f->vault, &rows[2], "rack1", 2, "newer");
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            struct vault_sealed sealed = row_sealed(&rows[j]);
            if (i == j) {
                assert_opens(f->vault, &rows[i]);
            } else {
                assert_does_not_open(f->vault, &rows[i].place, &sealed);
            }
        }
    }
}

static void test_impossible_lengths(void **state) {
    struct fixture *f = *state;
    struct row row;
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    struct vault_sealed good = row_sealed(&row);
    for (size_t len = 0; len < row.ciphertext_len; len++) {
        struct vault_sealed cut = good;
        cut.ciphertext_len = len;
        assert_does_not_open(f->vault, &row.place, &cut);
    }
    struct vault_sealed bad = good;
    bad.nonce_len = VAULT_NONCE_BYTES - 1;
    assert_does_not_open(f->vault, &row.place, &bad);
    bad.nonce_len = 0;
    bad.nonce = NULL;
    assert_does_not_open(f->vault, &row.place, &bad);
    bad = good;
    bad.ciphertext_len = (size_t)VAULT_VALUE_MAX + VAULT_OVERHEAD + 1;
    assert_does_not_open(f->vault, &row.place, &bad);
    bad.ciphertext = NULL;
    bad.ciphertext_len = 0;
    assert_does_not_open(f->vault, &row.place, &bad);
}

static void test_error_names_the_place_and_not_the_value(void **state) {
    struct fixture *f = *state;
    struct row row;
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    struct vault_sealed sealed = row_sealed(&row);
    row.ciphertext[0] ^= 1;
    assert_int_equal(vault_unseal(f->vault, &row.place, &sealed, &out, &err), -1);
    assert_non_null(strstr(err.text, "key rack1 in secret default/tor-secrets"));
    assert_null(strstr(err.text, "s3cret"));
    buf_done(&out);
}

static void test_fingerprints(void **state) {
    struct fixture *f = *state;
    char a[VAULT_FINGERPRINT_MAX];
    char b[VAULT_FINGERPRINT_MAX];
    struct err err = ERR_INIT;
    assert_ok(vault_fingerprint(f->vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, a, &err), &err);
    assert_int_equal(strspn(a, "0123456789abcdef"), VAULT_FINGERPRINT_MAX - 1);
    assert_ok(vault_fingerprint(f->vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, b, &err), &err);
    assert_string_equal(a, b);
    assert_ok(vault_fingerprint(f->vault, &PLACE_OF_FINGERPRINT, "s3creu", 6, b, &err), &err);
    assert_string_not_equal(a, b);

    /* Another place tells nothing about this one; another version of it is the same place. Lengths are bound:
     * what moves from one part of the place to the next is another place. */
    static const struct vault_place OTHERS[] = {{"elsewhere", "bgp", "tor", 1}, {"default", "bgq", "tor", 1},
                                                {"default", "bgp", "tos", 1},   {"default", "bgpt", "or", 1},
                                                {"defaultb", "gp", "tor", 1},   {"default", "bgp", "to", 1}};
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(*OTHERS); i++) {
        const char *value = i + 1 == sizeof(OTHERS) / sizeof(*OTHERS) ? "rs3cret" : "s3cret";
        assert_ok(vault_fingerprint(f->vault, &OTHERS[i], value, strlen(value), b, &err), &err);
        assert_string_not_equal(a, b);
    }
    struct vault_place later = PLACE_OF_FINGERPRINT;
    later.version = 2;
    assert_ok(vault_fingerprint(f->vault, &later, "s3cret", 6, b, &err), &err);
    assert_string_equal(a, b);

    /* Keyed: another database says something else about the same value. */
    struct place dir;
    struct table table = {.count = 0};
    place_init(&dir);
    struct vault_options options = options_in(&dir);
    struct vault *other = open_over(&options, &table);
    assert_ok(vault_fingerprint(other, &PLACE_OF_FINGERPRINT, "s3cret", 6, b, &err), &err);
    assert_string_not_equal(a, b);
    vault_close(other);
    table_done(&table);
    place_done(&dir);
}

static void test_unseals_are_counted(void **state) {
    struct fixture *f = *state;
    struct row row;
    struct err err = ERR_INIT;
    char fingerprint[VAULT_FINGERPRINT_MAX];
    row_seal(f->vault, &row, "rack1", 1, "s3cret");
    assert_ok(vault_fingerprint(f->vault, &PLACE_OF_FINGERPRINT, "s3cret", 6, fingerprint, &err), &err);
    assert_int_equal(vault_unseal_count(f->vault), 0);
    assert_opens(f->vault, &row);
    assert_int_equal(vault_unseal_count(f->vault), 1);
    assert_int_equal(vault_unseal_failures(f->vault), 0);
    row.place.version = 2;
    struct vault_sealed sealed = row_sealed(&row);
    assert_does_not_open(f->vault, &row.place, &sealed);
    assert_int_equal(vault_unseal_count(f->vault), 2);
    assert_int_equal(vault_unseal_failures(f->vault), 1);
    sealed.ciphertext_len = 1; /* impossible */
    assert_does_not_open(f->vault, &row.place, &sealed);
    assert_int_equal(vault_unseal_failures(f->vault), 2);
}

/* ---- what stays in memory ---- */

/* Is `masked` (each byte ^ 0x5a) anywhere in our writable memory? Masked, so that the search finds no needle
 * of its own. */
static bool region_has(int fd, uintptr_t start, uintptr_t end, const uint8_t *masked, size_t len,
                       uint8_t *chunk, size_t chunk_size) {
    for (uintptr_t at = start; at < end; at += chunk_size - len) {
        size_t want = end - at < chunk_size ? end - at : chunk_size;
        ssize_t got = pread(fd, chunk, want, (off_t)at);
        for (size_t i = 0; got > 0 && i + len <= (size_t)got; i++) {
            size_t same = 0;
            while (same < len && (chunk[i + same] ^ 0x5a) == masked[same]) {
                same++;
            }
            if (same == len) {
                return true;
            }
        }
    }
    return false;
}

/* The page buffer holds what was read of other pages: it must not find itself. */
static bool memory_has(const uint8_t *masked, size_t len) {
    enum { CHUNK = 1 << 16, REGION_MAX = 1 << 26 };
    char line[512];
    bool found = false;
    uint8_t *chunk = sodium_malloc(CHUNK);
    FILE *maps = fopen("/proc/self/maps", "re");
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_non_null(chunk);
    assert_true(fd >= 0);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start;
        uintptr_t end;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) != 3 || mode[1] != 'w' ||
            end - start > REGION_MAX || ((uintptr_t)chunk >= start && (uintptr_t)chunk < end)) {
            continue;
        }
        found = region_has(fd, start, end, masked, len, chunk, CHUNK);
    }
    close(fd);
    fclose(maps);
    sodium_free(chunk);
    return found;
}

enum { SECRET_LEN = 40 };

static __attribute__((noinline)) void use_secret(struct vault *vault, const uint8_t *masked) {
    struct vault_place place = {.secret_namespace = "default", .secret_name = "s", .item = "k", .version = 1};
    char fingerprint[VAULT_FINGERPRINT_MAX];
    struct arena arena;
    struct vault_sealed sealed;
    struct vault_sealed again;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    uint8_t *secret = sodium_malloc(SECRET_LEN);
    assert_non_null(secret);
    for (size_t i = 0; i < SECRET_LEN; i++) {
        secret[i] = masked[i] ^ 0x5a;
    }
    arena_init(&arena, 0);
    assert_ok(vault_fingerprint(vault, &PLACE_OF_FINGERPRINT, secret, SECRET_LEN, fingerprint, &err), &err);
    assert_ok(vault_seal(vault, &place, secret, SECRET_LEN, &arena, &sealed, &err), &err);
    sodium_free(secret);
    assert_ok(vault_reseal(vault, &place, &sealed, &arena, &again, &err), &err);
    assert_ok(vault_unseal(vault, &place, &again, &out, &err), &err);
    assert_int_equal(out.len, SECRET_LEN);
    buf_done(&out);
    arena_done(&arena);
}

static void test_no_plaintext_stays_in_memory(void **state) {
    struct fixture *f = *state;
    uint8_t masked[SECRET_LEN];
    randombytes_buf(masked, sizeof masked);
    /* The search itself works: it finds a copy. */
    uint8_t *copy = malloc(SECRET_LEN);
    assert_non_null(copy);
    for (size_t i = 0; i < SECRET_LEN; i++) {
        ((volatile uint8_t *)copy)[i] = masked[i] ^ 0x5a;
    }
    assert_true(memory_has(masked, SECRET_LEN));
    sodium_memzero(copy, SECRET_LEN);
    free(copy);
    assert_false(memory_has(masked, SECRET_LEN));

    use_secret(f->vault, masked);
    /* Half of it is too much already: registers spilled to the stack hold 16 or 32 bytes. */
    assert_false(memory_has(masked, 16));
    assert_false(memory_has(masked + 16, 16));
}

/* ---- speed ---- */

static void test_thousand_unseals_are_fast(void **state) {
    struct fixture *f = *state;
    enum { VALUES = 1000 };
    struct row *rows = calloc(VALUES, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < VALUES; i++) {
        row_seal(f->vault, &rows[i], "rack1", i + 1, "correct horse battery staple");
    }
    int64_t best = INT64_MAX;
    for (int round = 0; round < 5; round++) {
        struct buf out = BUF_INIT;
        struct err err = ERR_INIT;
        int64_t start = clock_monotonic_ns();
        for (size_t i = 0; i < VALUES; i++) {
            struct vault_sealed sealed = row_sealed(&rows[i]);
            buf_clear(&out);
            assert_ok(vault_unseal(f->vault, &rows[i].place, &sealed, &out, &err), &err);
        }
        int64_t took = clock_monotonic_ns() - start;
        best = took < best ? took : best;
        buf_done(&out);
    }
    print_message("           1000 unseals: %.2f ms\n", (double)best / 1e6);
    /* Set where everything is slower by an order of magnitude (valgrind, an emulator). */
    if (getenv("BGPPEERD_TEST_SLOW") == NULL) {
        assert_true(best < 5 * 1000 * 1000);
    }
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_unseal_appends),
        cmocka_unit_test(test_same_value_is_sealed_differently),
        cmocka_unit_test(test_flipped_bits_never_open),
        cmocka_unit_test(test_changed_names_never_open),
        cmocka_unit_test(test_swapped_rows_do_not_open),
        cmocka_unit_test(test_impossible_lengths),
        cmocka_unit_test(test_error_names_the_place_and_not_the_value),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_unseals_are_counted),
        cmocka_unit_test(test_no_plaintext_stays_in_memory),
        cmocka_unit_test(test_thousand_unseals_are_fast),
    };
    /* One vault for each test: the counter begins at 0. */
    struct CMUnitTest with_vault[sizeof tests / sizeof tests[0]];
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        with_vault[i] = tests[i];
        with_vault[i].setup_func = set_up;
        with_vault[i].teardown_func = tear_down;
    }
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_value", with_vault, NULL, NULL);
}
