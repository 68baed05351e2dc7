/*
 * The vault's formats, version 1. Pure functions over the caller's memory; no state, no locks.
 *
 * Numbers are unsigned and in network order. "AEAD" is XChaCha20-Poly1305 (IETF construction, 24-byte random
 * nonce, 16-byte tag behind the ciphertext). "KDF(key, id, context)" is libsodium's crypto_kdf: BLAKE2b with
 * the key, id as salt and the context as personalisation. All associated data begins with a label, so that
 * nothing sealed for one purpose opens for another:
 *
 *   label        "bgppeerd-vault", u8 version = 1, u8 purpose (1 root check, 2 data key, 3 fingerprint key,
 *                4 value, 5 fingerprint key of a database whose tokens all carry marks)
 *
 * Root key R, 32 bytes:
 *   id           first 8 bytes of KDF(R, 2, "bgpvroot", 16 bytes), as 16 hex digits; public
 *   wrap key     KDF(R, 1, "bgpvroot", 32 bytes)
 *
 * Setting "vault/root/<id>", 102 bytes:
 *   u8 version = 1, u8 kind (1 key, 2 passphrase), u32 generation, u64 created (ms since 1970),
 *   u64 opslimit, u64 memlimit (bytes), salt[16]   (argon2id 1.3; all zero for kind 1)
 *   nonce[24]
 *   check[16]    AEAD tag of the empty text under the wrap key; associated data: label, id, all of the above
 *                up to the nonce
 *   sum[16]      BLAKE2b-128 of id and all of the above. No protection against an attacker: it tells a
 *                damaged record from a wrong root key
 *
 * Settings "vault/key/<root id>/<key id>" (key id in decimal) and "vault/fingerprint/<root id>", 81 bytes:
 *   u8 version = 1, u64 created (ms since 1970), nonce[24],
 *   AEAD of the key's 32 bytes under the wrap key; associated data: label, root id, u64 key id (0 for the
 *   fingerprint key), u64 created
 *
 * Value: AEAD of the plaintext under a data key; associated data: label, u64 key id, u64 value version, then
 *   namespace, secret name, key name, each as u32 length and bytes
 *
 * Fingerprint of a value: first 8 bytes of BLAKE2b-128 of namespace, secret name and key name, each as u32
 * length and bytes, and the value, keyed with KDF(fingerprint key, 2, "bgpvfing", 32 bytes), as 16 hex
 * digits. (Up to now they were of the value alone, with KDF number 1. They stand in Secrets, which get their
 * new ones as they are loaded.)
 *
 * Mark of a token's row: BLAKE2b-256, keyed with KDF(fingerprint key, 1, "bgpvmark", 32 bytes), of the
 * setting's name, its length as u32, and the row
 */
#include "format.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

#define LABEL_TEXT       "bgppeerd-vault"
#define ROOT_CONTEXT     "bgpvroot"
#define FINGER_CONTEXT   "bgpvfing"
#define MARK_CONTEXT     "bgpvmark"
#define ROOT_ID_DIGITS   (VAULT_ROOT_ID_MAX - 1)
#define ROOT_BOUND_BYTES (FORMAT_ROOT_BYTES - VAULT_NONCE_BYTES - FORMAT_CHECK_BYTES - FORMAT_SUM_BYTES)
#define ROOT_SUM_OFFSET  (FORMAT_ROOT_BYTES - FORMAT_SUM_BYTES)

enum purpose {
    PURPOSE_CHECK = 1,
    PURPOSE_DATA_KEY = 2,
    PURPOSE_FINGERPRINT_KEY = 3,
    PURPOSE_VALUE = 4,
    PURPOSE_MARKING_KEY = 5
};

_Static_assert(FORMAT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "AEAD key");
_Static_assert(FORMAT_KEY_BYTES == crypto_kdf_KEYBYTES, "KDF key");
_Static_assert(VAULT_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "AEAD nonce");
_Static_assert(VAULT_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_ABYTES, "AEAD tag");
_Static_assert(FORMAT_SALT_BYTES == crypto_pwhash_argon2id_SALTBYTES, "argon2id salt");
_Static_assert(FORMAT_ROOT_BYTES == 102 && FORMAT_WRAPPED_BYTES == 81, "sizes as documented");
_Static_assert(sizeof LABEL_TEXT - 1 + 2 == FORMAT_LABEL_BYTES, "label");

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len) {
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_number(uint8_t *at, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++) {
        at[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    return at + width;
}

static uint64_t get_number(const uint8_t **at, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | (*at)[i];
    }
    *at += width;
    return value;
}

static void get_bytes(const uint8_t **at, void *ret, size_t len) {
    memcpy(ret, *at, len);
    *at += len;
}

static uint8_t *put_label(uint8_t *at, enum purpose purpose) {
    at = put_bytes(at, LABEL_TEXT, sizeof LABEL_TEXT - 1);
    at = put_number(at, FORMAT_VERSION, 1);
    return put_number(at, purpose, 1);
}

/* ---- setting names ---- */

#define PREFIX_ROOT        "vault/root/"
#define PREFIX_KEY         "vault/key/"
#define PREFIX_FINGERPRINT "vault/fingerprint/"

/* Takes 16 lower-case hex digits; NULL when they are not there. */
static const char *parse_root_id(const char *at, char ret[VAULT_ROOT_ID_MAX]) {
    if (strspn(at, "0123456789abcdef") != ROOT_ID_DIGITS) {
        return NULL;
    }
    memcpy(ret, at, ROOT_ID_DIGITS);
    ret[ROOT_ID_DIGITS] = '\0';
    return at + ROOT_ID_DIGITS;
}

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

enum format_name vault_format_parse_name(const char *name, char root_id[VAULT_ROOT_ID_MAX],
                                         uint64_t *key_id) {
    const char *rest;
    if (has_prefix(name, PREFIX_ROOT)) {
        rest = parse_root_id(name + strlen(PREFIX_ROOT), root_id);
        return rest != NULL && *rest == '\0' ? FORMAT_NAME_ROOT : FORMAT_NAME_BAD;
    }
    if (has_prefix(name, PREFIX_FINGERPRINT)) {
        rest = parse_root_id(name + strlen(PREFIX_FINGERPRINT), root_id);
        return rest != NULL && *rest == '\0' ? FORMAT_NAME_FINGERPRINT : FORMAT_NAME_BAD;
    }
    if (has_prefix(name, PREFIX_KEY)) {
        rest = parse_root_id(name + strlen(PREFIX_KEY), root_id);
        /* One spelling for one key: no leading zero, and 0 is the fingerprint key's number. */
        if (rest == NULL || rest[0] != '/' || rest[1] == '0' ||
            !u64_parse(rest + 1, strlen(rest + 1), UINT64_MAX, key_id)) {
            return FORMAT_NAME_BAD;
        }
        return FORMAT_NAME_KEY;
    }
    return FORMAT_NAME_OTHER;
}

void vault_format_write_name(char out[FORMAT_NAME_MAX], enum format_name what, const char *root_id,
                             uint64_t key_id) {
    if (what == FORMAT_NAME_KEY) {
        snprintf(out, FORMAT_NAME_MAX, PREFIX_KEY "%s/%" PRIu64, root_id, key_id);
    } else {
        snprintf(out, FORMAT_NAME_MAX, "%s%s", what == FORMAT_NAME_ROOT ? PREFIX_ROOT : PREFIX_FINGERPRINT,
                 root_id);
    }
}

/* ---- the root key ---- */

void vault_format_derive_root(const uint8_t root_key[FORMAT_KEY_BYTES], char ret_id[VAULT_ROOT_ID_MAX],
                              uint8_t ret_wrap_key[FORMAT_KEY_BYTES]) {
    uint8_t id[crypto_kdf_BYTES_MIN];
    crypto_kdf_derive_from_key(ret_wrap_key, FORMAT_KEY_BYTES, 1, ROOT_CONTEXT, root_key);
    crypto_kdf_derive_from_key(id, sizeof id, 2, ROOT_CONTEXT, root_key);
    sodium_bin2hex(ret_id, VAULT_ROOT_ID_MAX, id, ROOT_ID_DIGITS / 2);
}

/* The record's fields up to the nonce, as written. */
static uint8_t *put_root_fields(uint8_t *at, const struct format_root *root) {
    at = put_number(at, FORMAT_VERSION, 1);
    at = put_number(at, root->kind, 1);
    at = put_number(at, root->generation, 4);
    at = put_number(at, (uint64_t)root->created_ms, 8);
    at = put_number(at, root->opslimit, 8);
    at = put_number(at, root->memlimit, 8);
    return put_bytes(at, root->salt, sizeof root->salt);
}

#define CHECK_BOUND_BYTES (FORMAT_LABEL_BYTES + ROOT_ID_DIGITS + ROOT_BOUND_BYTES)

static void bind_check(const struct format_root *root, uint8_t out[CHECK_BOUND_BYTES]) {
    uint8_t *at = put_label(out, PURPOSE_CHECK);
    at = put_bytes(at, root->id, ROOT_ID_DIGITS);
    put_root_fields(at, root);
}

void vault_format_seal_check(struct format_root *root, const uint8_t wrap_key[FORMAT_KEY_BYTES]) {
    uint8_t bound[CHECK_BOUND_BYTES];
    bind_check(root, bound);
    crypto_aead_xchacha20poly1305_ietf_encrypt(root->check, NULL, NULL, 0, bound, sizeof bound, NULL,
                                               root->nonce, wrap_key);
}

bool vault_format_verify_check(const struct format_root *root, const uint8_t wrap_key[FORMAT_KEY_BYTES]) {
    uint8_t bound[CHECK_BOUND_BYTES];
    bind_check(root, bound);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(NULL, NULL, NULL, root->check, sizeof root->check,
                                                      bound, sizeof bound, root->nonce, wrap_key) == 0;
}

static void sum_root(const char *id, const uint8_t bytes[ROOT_SUM_OFFSET], uint8_t ret[FORMAT_SUM_BYTES]) {
    uint8_t all[ROOT_ID_DIGITS + ROOT_SUM_OFFSET];
    put_bytes(put_bytes(all, id, ROOT_ID_DIGITS), bytes, ROOT_SUM_OFFSET);
    crypto_generichash(ret, FORMAT_SUM_BYTES, all, sizeof all, NULL, 0);
}

void vault_format_write_root(const struct format_root *root, uint8_t out[FORMAT_ROOT_BYTES]) {
    uint8_t *at = put_root_fields(out, root);
    at = put_bytes(at, root->nonce, sizeof root->nonce);
    at = put_bytes(at, root->check, sizeof root->check);
    sum_root(root->id, out, at);
}

static bool root_in_range(const struct format_root *root) {
    if (root->generation == 0) {
        return false;
    }
    if (root->kind == FORMAT_ROOT_KEY) {
        return root->opslimit == 0 && root->memlimit == 0 && sodium_is_zero(root->salt, sizeof root->salt);
    }
    return root->kind == FORMAT_ROOT_PASSPHRASE && root->opslimit >= crypto_pwhash_argon2id_OPSLIMIT_MIN &&
           root->opslimit <= FORMAT_OPSLIMIT_MAX && root->memlimit >= crypto_pwhash_argon2id_MEMLIMIT_MIN &&
           root->memlimit <= FORMAT_MEMLIMIT_MAX;
}

int vault_format_read_root(const char *id, const void *bytes, size_t len, struct format_root *ret,
                           struct err *err) {
    const uint8_t *at = bytes;
    if (len >= 1 && at[0] > FORMAT_VERSION) {
        return err_set(
            err, ERR_CORRUPT,
            "the vault's record of root key %s has format %u, and this version of bgppeerd reads format "
            "%d: start the version that wrote it, or restore a backup",
            id, at[0], FORMAT_VERSION);
    }
    uint8_t sum[FORMAT_SUM_BYTES];
    if (len == FORMAT_ROOT_BYTES) {
        sum_root(id, bytes, sum);
    }
    struct format_root root = {.generation = 0};
    if (len == FORMAT_ROOT_BYTES && memcmp(sum, at + ROOT_SUM_OFFSET, sizeof sum) == 0 &&
        get_number(&at, 1) == FORMAT_VERSION) {
        memcpy(root.id, id, ROOT_ID_DIGITS);
        root.kind = (enum format_root_kind)get_number(&at, 1);
        root.generation = (uint32_t)get_number(&at, 4);
        root.created_ms = (int64_t)get_number(&at, 8);
        root.opslimit = get_number(&at, 8);
        root.memlimit = get_number(&at, 8);
        get_bytes(&at, root.salt, sizeof root.salt);
        get_bytes(&at, root.nonce, sizeof root.nonce);
        get_bytes(&at, root.check, sizeof root.check);
    }
    if (!root_in_range(&root)) {
        return err_set(err, ERR_CORRUPT, "the vault's record of root key %s is damaged: restore a backup",
                       id);
    }
    *ret = root;
    return 0;
}

/* ---- wrapped keys ---- */

#define WRAP_BOUND_BYTES (FORMAT_LABEL_BYTES + ROOT_ID_DIGITS + 8 + 8)

static void bind_wrapped(const struct format_wrapped *wrapped, const char *root_id, enum format_name what,
                         uint64_t key_id, uint8_t out[WRAP_BOUND_BYTES]) {
    enum purpose purpose = what == FORMAT_NAME_KEY       ? PURPOSE_DATA_KEY
                           : what == FORMAT_NAME_MARKING ? PURPOSE_MARKING_KEY
                                                         : PURPOSE_FINGERPRINT_KEY;
    uint8_t *at = put_label(out, purpose);
    at = put_bytes(at, root_id, ROOT_ID_DIGITS);
    at = put_number(at, key_id, 8);
    put_number(at, (uint64_t)wrapped->created_ms, 8);
}

void vault_format_wrap_key(struct format_wrapped *wrapped, const uint8_t wrap_key[FORMAT_KEY_BYTES],
                           const char *root_id, enum format_name what, uint64_t key_id,
                           const uint8_t key[FORMAT_KEY_BYTES]) {
    uint8_t bound[WRAP_BOUND_BYTES];
    bind_wrapped(wrapped, root_id, what, key_id, bound);
    crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped->ciphertext, NULL, key, FORMAT_KEY_BYTES, bound,
                                               sizeof bound, NULL, wrapped->nonce, wrap_key);
}

bool vault_format_unwrap_key(const struct format_wrapped *wrapped, const uint8_t wrap_key[FORMAT_KEY_BYTES],
                             const char *root_id, enum format_name what, uint64_t key_id,
                             uint8_t ret_key[FORMAT_KEY_BYTES]) {
    uint8_t bound[WRAP_BOUND_BYTES];
    bind_wrapped(wrapped, root_id, what, key_id, bound);
    return crypto_aead_xchacha20poly1305_ietf_decrypt(ret_key, NULL, NULL, wrapped->ciphertext,
                                                      sizeof wrapped->ciphertext, bound, sizeof bound,
                                                      wrapped->nonce, wrap_key) == 0;
}

void vault_format_write_wrapped(const struct format_wrapped *wrapped, uint8_t out[FORMAT_WRAPPED_BYTES]) {
    uint8_t *at = put_number(out, FORMAT_VERSION, 1);
    at = put_number(at, (uint64_t)wrapped->created_ms, 8);
    at = put_bytes(at, wrapped->nonce, sizeof wrapped->nonce);
    put_bytes(at, wrapped->ciphertext, sizeof wrapped->ciphertext);
}

bool vault_format_read_wrapped(const void *bytes, size_t len, struct format_wrapped *ret) {
    const uint8_t *at = bytes;
    if (len != FORMAT_WRAPPED_BYTES || get_number(&at, 1) != FORMAT_VERSION) {
        return false;
    }
    ret->created_ms = (int64_t)get_number(&at, 8);
    get_bytes(&at, ret->nonce, sizeof ret->nonce);
    get_bytes(&at, ret->ciphertext, sizeof ret->ciphertext);
    return true;
}

/* ---- values ---- */

static int put_text(uint8_t **at, const char *what, const char *text, struct err *err) {
    size_t len = strnlen(text, VAULT_NAME_MAX + 1);
    if (len == 0 || len > VAULT_NAME_MAX) {
        return err_set(err, ERR_INVALID, "the %s of a vault value must have 1 to %d bytes", what,
                       VAULT_NAME_MAX);
    }
    *at = put_number(*at, len, 4);
    *at = put_bytes(*at, text, len);
    return 0;
}

int vault_format_bind_place(const struct vault_place *place, uint64_t key_id, uint8_t out[FORMAT_PLACE_MAX],
                            size_t *ret_len, struct err *err) {
    uint8_t *at = put_label(out, PURPOSE_VALUE);
    at = put_number(at, key_id, 8);
    at = put_number(at, place->version, 8);
    if (put_text(&at, "namespace", place->secret_namespace, err) != 0 ||
        put_text(&at, "secret name", place->secret_name, err) != 0 ||
        put_text(&at, "key name", place->item, err) != 0) {
        return -1;
    }
    *ret_len = (size_t)(at - out);
    return 0;
}

void vault_format_seal_value(const uint8_t key[FORMAT_KEY_BYTES], const uint8_t nonce[VAULT_NONCE_BYTES],
                             const uint8_t *bound, size_t bound_len, const void *value, size_t len,
                             uint8_t *out) {
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, value, len, bound, bound_len, NULL, nonce, key);
}

bool vault_format_open_value(const uint8_t key[FORMAT_KEY_BYTES], const uint8_t nonce[VAULT_NONCE_BYTES],
                             const uint8_t *bound, size_t bound_len, const uint8_t *ciphertext, size_t len,
                             uint8_t *out) {
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, ciphertext, len, bound, bound_len,
                                                      nonce, key) == 0;
}

static void hash_text(crypto_generichash_state *hash, const char *text) {
    uint8_t len[4];
    put_number(len, strlen(text), sizeof(len));
    crypto_generichash_update(hash, len, sizeof(len));
    crypto_generichash_update(hash, (const uint8_t *)text, strlen(text));
}

void vault_format_fingerprint(const uint8_t sub_key[FORMAT_KEY_BYTES], const struct vault_place *place,
                              const void *value, size_t len, char ret[VAULT_FINGERPRINT_MAX]) {
    crypto_generichash_state hash;
    uint8_t sum[crypto_generichash_BYTES_MIN];
    crypto_generichash_init(&hash, sub_key, FORMAT_KEY_BYTES, sizeof(sum));
    hash_text(&hash, place->secret_namespace);
    hash_text(&hash, place->secret_name);
    hash_text(&hash, place->item);
    crypto_generichash_update(&hash, value, len);
    crypto_generichash_final(&hash, sum, sizeof(sum));
    sodium_memzero(&hash, sizeof(hash));
    sodium_bin2hex(ret, VAULT_FINGERPRINT_MAX, sum, (VAULT_FINGERPRINT_MAX - 1) / 2);
}

void vault_format_derive_fingerprint_key(const uint8_t key[FORMAT_KEY_BYTES],
                                         uint8_t ret_sub_key[FORMAT_KEY_BYTES]) {
    crypto_kdf_derive_from_key(ret_sub_key, FORMAT_KEY_BYTES, 2, FINGER_CONTEXT, key);
}

void vault_format_derive_mark_key(const uint8_t key[FORMAT_KEY_BYTES],
                                  uint8_t ret_mark_key[FORMAT_KEY_BYTES]) {
    crypto_kdf_derive_from_key(ret_mark_key, FORMAT_KEY_BYTES, 1, MARK_CONTEXT, key);
}

void vault_format_mark(const uint8_t mark_key[FORMAT_KEY_BYTES], const char *name, const void *bytes,
                       size_t len, uint8_t ret[VAULT_MARK_BYTES]) {
    crypto_generichash_state state;
    uint8_t name_len[4];
    put_number(name_len, strlen(name), sizeof name_len);
    crypto_generichash_init(&state, mark_key, FORMAT_KEY_BYTES, VAULT_MARK_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)name, strlen(name));
    crypto_generichash_update(&state, name_len, sizeof name_len);
    crypto_generichash_update(&state, bytes, len);
    crypto_generichash_final(&state, ret, VAULT_MARK_BYTES);
    sodium_memzero(&state, sizeof state);
}
