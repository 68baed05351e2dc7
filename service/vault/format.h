/*
 * The vault's bytes: what is written, how it is bound, and the primitives with explicit keys and nonces.
 * Pure functions; the formats are described at the top of format.c. Private to the room and its tests.
 */
#ifndef BGPPEERD_VAULT_FORMAT_H
#define BGPPEERD_VAULT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vault.h"

#define FORMAT_VERSION     1
#define FORMAT_KEY_BYTES   32
#define FORMAT_SALT_BYTES  16
#define FORMAT_CHECK_BYTES 16
#define FORMAT_SUM_BYTES   16
#define FORMAT_ROOT_BYTES                                                                                    \
    (1 + 1 + 4 + 8 + 8 + 8 + FORMAT_SALT_BYTES + VAULT_NONCE_BYTES + FORMAT_CHECK_BYTES + FORMAT_SUM_BYTES)
#define FORMAT_WRAPPED_BYTES (1 + 8 + VAULT_NONCE_BYTES + FORMAT_KEY_BYTES + VAULT_OVERHEAD)
/* "vault/fingerprint/<root>", "vault/key/<root>/<20 digits>" and a NUL */
#define FORMAT_NAME_MAX 64

/* What a stored argon2id may cost: bounds what a damaged or hostile database can make us spend. */
#define FORMAT_OPSLIMIT_MAX 16
#define FORMAT_MEMLIMIT_MAX ((uint64_t)1 << 30)

enum format_root_kind { FORMAT_ROOT_KEY = 1, FORMAT_ROOT_PASSPHRASE = 2 };

/* A root key's record: how to get at the key, and the check value that tells whether we did. */
struct format_root {
    char id[VAULT_ROOT_ID_MAX];
    enum format_root_kind kind;
    uint32_t generation; /* 1 for the first root key of a database, one more with each change */
    int64_t created_ms;
    uint64_t opslimit; /* argon2id; 0 for FORMAT_ROOT_KEY, as memlimit and salt */
    uint64_t memlimit; /* bytes */
    uint8_t salt[FORMAT_SALT_BYTES];
    uint8_t nonce[VAULT_NONCE_BYTES];
    uint8_t check[FORMAT_CHECK_BYTES];
};

/* A wrapped key before and after its bytes. */
struct format_wrapped {
    int64_t created_ms;
    uint8_t nonce[VAULT_NONCE_BYTES];
    uint8_t ciphertext[FORMAT_KEY_BYTES + VAULT_OVERHEAD];
};

/* ---- setting names ---- */

enum format_name {
    FORMAT_NAME_OTHER, /* not one of the vault's */
    FORMAT_NAME_BAD,   /* under one of the vault's prefixes, but malformed */
    FORMAT_NAME_ROOT,
    FORMAT_NAME_KEY,
    FORMAT_NAME_FINGERPRINT,
    FORMAT_NAME_MARKING, /* never parsed: a fingerprint key of a database whose tokens all carry marks */
};
/* Fills root_id except for OTHER and BAD, *key_id for KEY. */
enum format_name vault_format_parse_name(const char *name, char root_id[VAULT_ROOT_ID_MAX], uint64_t *key_id);
/* `key_id` is used for FORMAT_NAME_KEY only. */
void vault_format_write_name(char out[FORMAT_NAME_MAX], enum format_name what, const char *root_id,
                             uint64_t key_id);

/* ---- the root key ---- */

/* From the root key's 32 bytes: its public fingerprint, and the sub-key that wraps. */
void vault_format_derive_root(const uint8_t root_key[FORMAT_KEY_BYTES], char ret_id[VAULT_ROOT_ID_MAX],
                              uint8_t ret_wrap_key[FORMAT_KEY_BYTES]);
/* Fills check from the other fields. */
void vault_format_seal_check(struct format_root *root, const uint8_t wrap_key[FORMAT_KEY_BYTES]);
bool vault_format_verify_check(const struct format_root *root,
                               const uint8_t wrap_key[FORMAT_KEY_BYTES]) MUST_CHECK;
void vault_format_write_root(const struct format_root *root, uint8_t out[FORMAT_ROOT_BYTES]);
/* ERR_CORRUPT: length, checksum, version or a range. `id` comes from the setting's name. */
int vault_format_read_root(const char *id, const void *bytes, size_t len, struct format_root *ret,
                           struct err *err) MUST_CHECK;

/* ---- wrapped keys: `what` is FORMAT_NAME_KEY, or FORMAT_NAME_FINGERPRINT or _MARKING (key_id 0) ---- */

void vault_format_wrap_key(struct format_wrapped *wrapped, const uint8_t wrap_key[FORMAT_KEY_BYTES],
                           const char *root_id, enum format_name what, uint64_t key_id,
                           const uint8_t key[FORMAT_KEY_BYTES]);
bool vault_format_unwrap_key(const struct format_wrapped *wrapped, const uint8_t wrap_key[FORMAT_KEY_BYTES],
                             const char *root_id, enum format_name what, uint64_t key_id,
                             uint8_t ret_key[FORMAT_KEY_BYTES]) MUST_CHECK;
void vault_format_write_wrapped(const struct format_wrapped *wrapped, uint8_t out[FORMAT_WRAPPED_BYTES]);
bool vault_format_read_wrapped(const void *bytes, size_t len, struct format_wrapped *ret) MUST_CHECK;

/* ---- values ---- */

/* "bgppeerd-vault", version, purpose; key id, value version; three texts with their lengths */
#define FORMAT_LABEL_BYTES 16
#define FORMAT_PLACE_MAX   (FORMAT_LABEL_BYTES + 8 + 8 + 3 * (4 + VAULT_NAME_MAX))

/* The associated data of a value. ERR_INVALID: a name is empty or too long. */
int vault_format_bind_place(const struct vault_place *place, uint64_t key_id, uint8_t out[FORMAT_PLACE_MAX],
                            size_t *ret_len, struct err *err) MUST_CHECK;
/* `out` takes len + VAULT_OVERHEAD bytes. */
void vault_format_seal_value(const uint8_t key[FORMAT_KEY_BYTES], const uint8_t nonce[VAULT_NONCE_BYTES],
                             const uint8_t *bound, size_t bound_len, const void *value, size_t len,
                             uint8_t *out);
/* `out` takes len - VAULT_OVERHEAD bytes; zeroed when false. len ≥ VAULT_OVERHEAD. */
bool vault_format_open_value(const uint8_t key[FORMAT_KEY_BYTES], const uint8_t nonce[VAULT_NONCE_BYTES],
                             const uint8_t *bound, size_t bound_len, const uint8_t *ciphertext, size_t len,
                             uint8_t *out) MUST_CHECK;
/* 16 hex digits under the fingerprint key's sub-key. */
void vault_format_fingerprint(const uint8_t sub_key[FORMAT_KEY_BYTES], const struct vault_place *place,
                              const void *value, size_t len, char ret[VAULT_FINGERPRINT_MAX]);
/* A mark: BLAKE2b of the name, its length, and the bytes, under the marking key. */
void vault_format_mark(const uint8_t mark_key[FORMAT_KEY_BYTES], const char *name, const void *bytes,
                       size_t len, uint8_t ret[VAULT_MARK_BYTES]);
void vault_format_derive_mark_key(const uint8_t key[FORMAT_KEY_BYTES],
                                  uint8_t ret_mark_key[FORMAT_KEY_BYTES]);
void vault_format_derive_fingerprint_key(const uint8_t key[FORMAT_KEY_BYTES],
                                         uint8_t ret_sub_key[FORMAT_KEY_BYTES]);

#endif
