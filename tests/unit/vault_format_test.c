/*
 * The vault's formats, pinned. The expected bytes come from an independent implementation (RFC 8439 and the
 * XChaCha draft in a few lines of Python, checked with the draft's vector, and Python's BLAKE2b), not from
 * the code under test: a change of any of them would make existing databases unreadable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>

#include "vault_fixture.h"

#define CREATED_MS 1700000000000

#define ROOT_ID "6e2cbfed5f7386ce"
#define ROOT_HEX                                                                                             \
    "0101000000010000018bcfe568000000000000000000000000000000000000000000000000000000000000000000a1a1a1a1"   \
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1c1a74ab828c2ab7f2ee92f4c30359183c9a0c1f47aa72f037ba35e33249"    \
    "7fd32"
#define FINGERPRINT_HEX                                                                                      \
    "010000018bcfe56801a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a21b29faf66dcc2112d05f1c699e0ba23f9d"   \
    "a157dc171f60086b52f89630f8a4fc02dfbbc3be7a195c773fb080d39af59e"
#define KEY_1_HEX                                                                                            \
    "010000018bcfe56802a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a33045ac0ff7b39ac93efe2edc7903aa6b15"   \
    "df7eb3423a75008ee0b813770ba9c1692200571cc3b3bd84a0116fc69a956f"
#define KEY_12_HEX                                                                                           \
    "010000018bcfe56803a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a42542eb229632637cdd4c989e4f1bc80552"   \
    "2ae07a2758f2eb183f449e1abad06f7e8b87650aa068c2e87aa48d4ac80a84"
#define VALUE_BOUND_HEX                                                                                      \
    "62677070656572642d7661756c740104000000000000000100000000000000070000000764656661756c740000000b746f72"   \
    "2d73656372657473000000057261636b31"
#define VALUE_HEX       "9cc2598c625c2fbb2a2f27011b82bbe0c06cda17d280b8585615fa686a2ebac9f48ac5f7f656f9d8012384ff"
#define EMPTY_VALUE_HEX "8e06190c098c075667db4cb1abbb8516"
#define PLAIN           "correct horse battery staple"

#define PASS_TEXT "a passphrase of some length"
#define PASS_ID   "533f75c76f3738a7"
#define PASS_ROOT_HEX                                                                                        \
    "0102000000030000018bcfe5680000000000000000010000000000002000101112131415161718191a1b1c1d1e1fa5a5a5a5"   \
    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5ba7186e2941dee20ce4ff7553afb3ebd32042ac1b40aafe830a2fafc59ca"   \
    "92ca"
#define PASS_FINGERPRINT_HEX                                                                                 \
    "010000018bcfe56801a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6d0bb7ab3f10088797f89bcec98fca1a9f3"   \
    "58be2ec0729bedf5110e0ef19149ea55620406ee5eb290bbe5bbd1fb2b1d89"
#define PASS_KEY_HEX                                                                                         \
    "010000018bcfe56802a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a778bb9b6197b945af76804e6b2e4205e2fc"   \
    "21b59ae2d7cc353a00b8b5e2105ca36fed83e7d17ef2d12262a66cfa819aee"

static size_t unhex(const char *hex, uint8_t *out, size_t size) {
    size_t len;
    assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), NULL, &len, NULL), 0);
    assert_int_equal(len, strlen(hex) / 2);
    return len;
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex) {
    char text[512];
    assert_true(len * 2 < sizeof text);
    sodium_bin2hex(text, sizeof text, bytes, len);
    assert_string_equal(text, hex);
}

static void counting_bytes(uint8_t *out, size_t len, uint8_t first) {
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

static void test_root_record_is_pinned(void **state) {
    (void)state;
    uint8_t key[FORMAT_KEY_BYTES];
    uint8_t wrap_key[FORMAT_KEY_BYTES];
    uint8_t bytes[FORMAT_ROOT_BYTES];
    struct format_root root = {.kind = FORMAT_ROOT_KEY, .generation = 1, .created_ms = CREATED_MS};
    counting_bytes(key, sizeof key, 0);
    vault_format_derive_root(key, root.id, wrap_key);
    assert_string_equal(root.id, ROOT_ID);
    assert_hex(wrap_key, sizeof wrap_key, "a206c1c36d3e472f181eeb2a519fcd7ade95405a598c91cff444806ca8f90f2f");
    memset(root.nonce, 0xa1, sizeof root.nonce);
    vault_format_seal_check(&root, wrap_key);
    vault_format_write_root(&root, bytes);
    assert_hex(bytes, sizeof bytes, ROOT_HEX);
    assert_true(vault_format_verify_check(&root, wrap_key));

    struct format_root again;
    struct err err = ERR_INIT;
    assert_ok(vault_format_read_root(ROOT_ID, bytes, sizeof bytes, &again, &err), &err);
    assert_memory_equal(again.id, root.id, sizeof root.id);
    assert_int_equal(again.kind, FORMAT_ROOT_KEY);
    assert_int_equal(again.generation, 1);
    assert_true(again.created_ms == CREATED_MS);
    assert_memory_equal(again.check, root.check, sizeof root.check);
}

static void test_wrapped_keys_are_pinned(void **state) {
    (void)state;
    uint8_t root_key[FORMAT_KEY_BYTES];
    uint8_t wrap_key[FORMAT_KEY_BYTES];
    uint8_t key[FORMAT_KEY_BYTES];
    uint8_t opened[FORMAT_KEY_BYTES];
    uint8_t bytes[FORMAT_WRAPPED_BYTES];
    char id[VAULT_ROOT_ID_MAX];
    struct format_wrapped wrapped = {.created_ms = CREATED_MS + 2};
    counting_bytes(root_key, sizeof root_key, 0);
    vault_format_derive_root(root_key, id, wrap_key);
    counting_bytes(key, sizeof key, 0x40);
    memset(wrapped.nonce, 0xa3, sizeof wrapped.nonce);
    vault_format_wrap_key(&wrapped, wrap_key, id, FORMAT_NAME_KEY, 1, key);
    vault_format_write_wrapped(&wrapped, bytes);
    assert_hex(bytes, sizeof bytes, KEY_1_HEX);
    assert_true(vault_format_unwrap_key(&wrapped, wrap_key, id, FORMAT_NAME_KEY, 1, opened));
    assert_memory_equal(opened, key, sizeof key);

    /* All that is bound: id, purpose, root key, date. */
    assert_false(vault_format_unwrap_key(&wrapped, wrap_key, id, FORMAT_NAME_KEY, 2, opened));
    assert_false(vault_format_unwrap_key(&wrapped, wrap_key, id, FORMAT_NAME_FINGERPRINT, 1, opened));
    assert_false(vault_format_unwrap_key(&wrapped, wrap_key, PASS_ID, FORMAT_NAME_KEY, 1, opened));
    assert_false(vault_format_unwrap_key(&wrapped, key, id, FORMAT_NAME_KEY, 1, opened));
    wrapped.created_ms++;
    assert_false(vault_format_unwrap_key(&wrapped, wrap_key, id, FORMAT_NAME_KEY, 1, opened));

    wrapped.created_ms = CREATED_MS + 1;
    counting_bytes(key, sizeof key, 0x80);
    memset(wrapped.nonce, 0xa2, sizeof wrapped.nonce);
    vault_format_wrap_key(&wrapped, wrap_key, id, FORMAT_NAME_FINGERPRINT, 0, key);
    vault_format_write_wrapped(&wrapped, bytes);
    assert_hex(bytes, sizeof bytes, FINGERPRINT_HEX);
}

static void test_value_is_pinned(void **state) {
    (void)state;
    uint8_t key[FORMAT_KEY_BYTES];
    uint8_t nonce[VAULT_NONCE_BYTES];
    uint8_t bound[FORMAT_PLACE_MAX];
    uint8_t sealed[sizeof PLAIN - 1 + VAULT_OVERHEAD];
    size_t bound_len;
    struct err err = ERR_INIT;
    struct vault_place place = {
        .secret_namespace = "default", .secret_name = "tor-secrets", .item = "rack1", .version = 7};
    counting_bytes(key, sizeof key, 0x40);
    memset(nonce, 0xb1, sizeof nonce);
    assert_ok(vault_format_bind_place(&place, 1, bound, &bound_len, &err), &err);
    assert_hex(bound, bound_len, VALUE_BOUND_HEX);
    vault_format_seal_value(key, nonce, bound, bound_len, PLAIN, sizeof PLAIN - 1, sealed);
    assert_hex(sealed, sizeof sealed, VALUE_HEX);
}

static void assert_bound_differently(const struct vault_place *a, const struct vault_place *b) {
    uint8_t bound_a[FORMAT_PLACE_MAX];
    uint8_t bound_b[FORMAT_PLACE_MAX];
    size_t len_a;
    size_t len_b;
    struct err err = ERR_INIT;
    assert_ok(vault_format_bind_place(a, 1, bound_a, &len_a, &err), &err);
    assert_ok(vault_format_bind_place(b, 1, bound_b, &len_b, &err), &err);
    assert_true(len_a != len_b || memcmp(bound_a, bound_b, len_a) != 0);
}

static void test_places_do_not_run_together(void **state) {
    (void)state;
    struct vault_place a = {.secret_namespace = "ab", .secret_name = "c", .item = "d", .version = 1};
    struct vault_place b = {.secret_namespace = "a", .secret_name = "bc", .item = "d", .version = 1};
    struct vault_place c = {.secret_namespace = "ab", .secret_name = "cd", .item = "d", .version = 1};
    struct vault_place d = {.secret_namespace = "ab", .secret_name = "c", .item = "dd", .version = 1};
    struct vault_place e = a;
    e.version = 2;
    assert_bound_differently(&a, &b);
    assert_bound_differently(&a, &e);
    assert_bound_differently(&c, &d);
    assert_bound_differently(&b, &c);
}

static void test_place_limits(void **state) {
    (void)state;
    char longest[VAULT_NAME_MAX + 2];
    uint8_t bound[FORMAT_PLACE_MAX];
    size_t len;
    struct err err = ERR_INIT;
    memset(longest, 'x', sizeof longest);
    longest[VAULT_NAME_MAX] = '\0';
    struct vault_place place = {
        .secret_namespace = longest, .secret_name = longest, .item = longest, .version = UINT64_MAX};
    assert_ok(vault_format_bind_place(&place, UINT64_MAX, bound, &len, &err), &err);
    assert_int_equal(len, FORMAT_PLACE_MAX);
    longest[VAULT_NAME_MAX] = 'x';
    longest[VAULT_NAME_MAX + 1] = '\0';
    place.secret_namespace = "default";
    place.secret_name = "s";
    assert_refused(vault_format_bind_place(&place, 1, bound, &len, &err), &err, ERR_INVALID, "key name");
    place.item = "";
    assert_refused(vault_format_bind_place(&place, 1, bound, &len, &err), &err, ERR_INVALID, "key name");
}

static void test_setting_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum format_name what;
        uint64_t key_id;
    } cases[] = {
        {"vault/root/" ROOT_ID, FORMAT_NAME_ROOT, 0},
        {"vault/fingerprint/" ROOT_ID, FORMAT_NAME_FINGERPRINT, 0},
        {"vault/key/" ROOT_ID "/1", FORMAT_NAME_KEY, 1},
        {"vault/key/" ROOT_ID "/18446744073709551615", FORMAT_NAME_KEY, UINT64_MAX},
        {"vault/key/" ROOT_ID "/18446744073709551616", FORMAT_NAME_BAD, 0},
        {"vault/key/" ROOT_ID "/0", FORMAT_NAME_BAD, 0},
        {"vault/key/" ROOT_ID "/01", FORMAT_NAME_BAD, 0},
        {"vault/key/" ROOT_ID "/", FORMAT_NAME_BAD, 0},
        {"vault/key/" ROOT_ID "/1x", FORMAT_NAME_BAD, 0},
        {"vault/key/" ROOT_ID, FORMAT_NAME_BAD, 0},
        {"vault/root/" ROOT_ID "0", FORMAT_NAME_BAD, 0},
        {"vault/root/6E2CBFED5F7386CE", FORMAT_NAME_BAD, 0},
        {"vault/root/", FORMAT_NAME_BAD, 0},
        {"vault/rotation", FORMAT_NAME_OTHER, 0},
        {"schema", FORMAT_NAME_OTHER, 0},
        {"", FORMAT_NAME_OTHER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[VAULT_ROOT_ID_MAX] = "";
        char name[FORMAT_NAME_MAX];
        uint64_t key_id = 0;
        enum format_name what = vault_format_parse_name(cases[i].name, id, &key_id);
        assert_int_equal(what, cases[i].what);
        if (what == FORMAT_NAME_OTHER || what == FORMAT_NAME_BAD) {
            continue;
        }
        assert_string_equal(id, ROOT_ID);
        assert_true(what != FORMAT_NAME_KEY || key_id == cases[i].key_id);
        vault_format_write_name(name, what, id, key_id);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_damaged_root_records_are_refused(void **state) {
    (void)state;
    uint8_t bytes[FORMAT_ROOT_BYTES + 1] = {0};
    struct format_root root;
    struct err err = ERR_INIT;
    unhex(ROOT_HEX, bytes, sizeof bytes);
    for (size_t i = 0; i < FORMAT_ROOT_BYTES; i++) {
        bytes[i] ^= 0x04;
        const char *words = i == 0 ? "format 5" : "damaged";
        assert_refused(vault_format_read_root(ROOT_ID, bytes, FORMAT_ROOT_BYTES, &root, &err), &err,
                       ERR_CORRUPT, words);
        bytes[i] ^= 0x04;
    }
    assert_refused(vault_format_read_root(PASS_ID, bytes, FORMAT_ROOT_BYTES, &root, &err), &err, ERR_CORRUPT,
                   "damaged");
    for (size_t len = 0; len <= FORMAT_ROOT_BYTES + 1; len++) {
        if (len != FORMAT_ROOT_BYTES) {
            assert_refused(vault_format_read_root(ROOT_ID, bytes, len, &root, &err), &err, ERR_CORRUPT,
                           "damaged");
        }
    }
}

/* A hostile database must not make us spend hours or all memory. */
static void test_argon2_limits_are_bounded(void **state) {
    (void)state;
    static const struct {
        uint64_t opslimit, memlimit;
        bool good;
    } cases[] = {
        {1, 8192, true},
        {FORMAT_OPSLIMIT_MAX, FORMAT_MEMLIMIT_MAX, true},
        {0, 8192, false},
        {FORMAT_OPSLIMIT_MAX + 1, 8192, false},
        {1, 8191, false},
        {1, FORMAT_MEMLIMIT_MAX + 1, false},
        {UINT64_MAX, UINT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct format_root root = {.id = PASS_ID,
                                   .kind = FORMAT_ROOT_PASSPHRASE,
                                   .generation = 1,
                                   .opslimit = cases[i].opslimit,
                                   .memlimit = cases[i].memlimit};
        uint8_t bytes[FORMAT_ROOT_BYTES];
        struct format_root again;
        struct err err = ERR_INIT;
        vault_format_write_root(&root, bytes);
        assert_int_equal(vault_format_read_root(PASS_ID, bytes, sizeof bytes, &again, &err),
                         cases[i].good ? 0 : -1);
    }
}

static void add_row(struct table *table, const char *name, const char *hex) {
    uint8_t bytes[256];
    struct vault_setting setting = {.name = name, .value = bytes};
    setting.value_len = unhex(hex, bytes, sizeof bytes);
    table_set(table, &setting);
}

static void assert_reads(struct vault *vault, const struct vault_place *place, uint64_t key_id,
                         uint8_t nonce_byte, const char *hex, const char *plain) {
    uint8_t nonce[VAULT_NONCE_BYTES];
    uint8_t bytes[128];
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    memset(nonce, nonce_byte, sizeof nonce);
    struct vault_sealed sealed = {
        .key_id = key_id, .nonce = nonce, .nonce_len = sizeof nonce, .ciphertext = bytes};
    sealed.ciphertext_len = unhex(hex, bytes, sizeof bytes);
    assert_ok(vault_unseal(vault, place, &sealed, &out, &err), &err);
    assert_string_equal(out.data, plain);
    buf_done(&out);
}

/* A whole database of version 1, as later versions must read it. */
static void test_version_1_keyring_opens(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    struct err err = ERR_INIT;
    place_init(&dir);
    file_write_key(dir.key, 0);
    add_row(&table, "vault/key/" ROOT_ID "/12", KEY_12_HEX);
    add_row(&table, "vault/root/" ROOT_ID, ROOT_HEX);
    add_row(&table, "vault/key/" ROOT_ID "/1", KEY_1_HEX);
    add_row(&table, "vault/fingerprint/" ROOT_ID, FINGERPRINT_HEX);
    struct table before = {.count = 0};
    table_copy(&before, &table);
    struct vault_options options = options_in(&dir);
    struct vault *vault = open_over(&options, &table);
    assert_true(table_equal(&before, &table));

    struct vault_status status;
    vault_status(vault, &status);
    assert_string_equal(status.root_id, ROOT_ID);
    assert_int_equal(status.key_count, 2);
    assert_true(status.keys[0].id == 1 && status.keys[0].created_ms == CREATED_MS + 2 &&
                !status.keys[0].active);
    assert_true(status.keys[1].id == 12 && status.keys[1].created_ms == CREATED_MS + 3 &&
                status.keys[1].active);

    struct vault_place place = {
        .secret_namespace = "default", .secret_name = "tor-secrets", .item = "rack1", .version = 7};
    assert_reads(vault, &place, 1, 0xb1, VALUE_HEX, PLAIN);
    place.item = "empty";
    place.version = 1;
    assert_reads(vault, &place, 12, 0xb2, EMPTY_VALUE_HEX, "");
    char fingerprint[VAULT_FINGERPRINT_MAX];
    assert_ok(vault_fingerprint(vault, &place, PLAIN, sizeof PLAIN - 1, fingerprint, &err), &err);
    assert_string_equal(fingerprint, "ef9400d8eefcf5a8");
    assert_ok(vault_fingerprint(vault, &place, "", 0, fingerprint, &err), &err);
    assert_string_equal(fingerprint, "53dfb041c76c9574");
    vault_close(vault);
    table_done(&before);
    table_done(&table);
    place_done(&dir);
}

static void test_version_1_passphrase_opens(void **state) {
    (void)state;
    struct place dir;
    struct table table = {.count = 0};
    char path[128];
    place_init(&dir);
    path_in(&dir, "passphrase", path);
    file_write_text(path, PASS_TEXT "\n");
    add_row(&table, "vault/root/" PASS_ID, PASS_ROOT_HEX);
    add_row(&table, "vault/key/" PASS_ID "/1", PASS_KEY_HEX);
    add_row(&table, "vault/fingerprint/" PASS_ID, PASS_FINGERPRINT_HEX);
    struct vault_options options = options_in(&dir);
    options.passphrase_file = path;
    struct vault *vault = open_over(&options, &table);
    struct vault_place place = {
        .secret_namespace = "default", .secret_name = "tor-secrets", .item = "rack1", .version = 7};
    assert_reads(vault, &place, 1, 0xb1, VALUE_HEX, PLAIN);
    vault_close(vault);
    table_done(&table);
    place_done(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_record_is_pinned),
        cmocka_unit_test(test_wrapped_keys_are_pinned),
        cmocka_unit_test(test_value_is_pinned),
        cmocka_unit_test(test_places_do_not_run_together),
        cmocka_unit_test(test_place_limits),
        cmocka_unit_test(test_setting_names),
        cmocka_unit_test(test_damaged_root_records_are_refused),
        cmocka_unit_test(test_argon2_limits_are_bounded),
        cmocka_unit_test(test_version_1_keyring_opens),
        cmocka_unit_test(test_version_1_passphrase_opens),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("vault_format", tests, NULL, NULL);
}
