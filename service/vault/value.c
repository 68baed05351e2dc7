/*
 * Values: sealed, opened, compared by fingerprint. Any thread. The lock is held for reading while a key is
 * used (see keyring.h); memory is reserved before it is taken. Plaintexts go from and to the caller's memory
 * only; what the primitives may leave behind on the stack is wiped.
 */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "keyring.h"

/* More than libsodium's functions use below ours (their widest: BLAKE2b's and ChaCha20's working blocks). */
#define STACK_WIPE 4096

static int set_unreadable(struct vault *vault, struct err *err, const struct vault_place *place,
                          const char *why) {
    atomic_fetch_add_explicit(&vault->unseal_failures, 1, memory_order_relaxed);
    return err_set(
        err, ERR_CORRUPT,
        "the stored value of key %.*s in secret %.*s/%.*s cannot be decrypted (%s): write it again",
        VAULT_NAME_MAX, place->item, VAULT_NAME_MAX, place->secret_namespace, VAULT_NAME_MAX,
        place->secret_name, why);
}

int vault_seal(struct vault *vault, const struct vault_place *place, const void *value, size_t len,
               struct arena *arena, struct vault_sealed *ret, struct err *err) {
    uint8_t bound[FORMAT_PLACE_MAX];
    size_t bound_len;
    if (len > VAULT_VALUE_MAX) {
        return err_set(err, ERR_INVALID, "the value has %zu bytes, and at most %d can be stored", len,
                       VAULT_VALUE_MAX);
    }
    uint8_t *nonce = arena_alloc(arena, VAULT_NONCE_BYTES);
    uint8_t *ciphertext = arena_alloc(arena, len + VAULT_OVERHEAD);
    if (nonce == NULL || ciphertext == NULL) {
        return err_no_memory(err);
    }
    randombytes_buf(nonce, VAULT_NONCE_BYTES);
    int status;
    uint64_t key_id = 0;
    pthread_rwlock_rdlock(&vault->lock);
    const struct key *key = vault_keyring_active(vault);
    if (key == NULL) {
        status =
            err_set(err, ERR_UNAVAILABLE, "the vault has no keys yet: its first ones are not yet stored");
    } else {
        key_id = key->id;
        status = vault_format_bind_place(place, key_id, bound, &bound_len, err);
        if (status == 0) {
            vault_format_seal_value(key->bytes, nonce, bound, bound_len, value, len, ciphertext);
        }
    }
    pthread_rwlock_unlock(&vault->lock);
    sodium_stackzero(STACK_WIPE);
    if (status == 0) {
        *ret = (struct vault_sealed){.key_id = key_id,
                                     .nonce = nonce,
                                     .nonce_len = VAULT_NONCE_BYTES,
                                     .ciphertext = ciphertext,
                                     .ciphertext_len = len + VAULT_OVERHEAD};
    }
    return status;
}

/* Into `out`, which has room. NULL: done; else why not. */
static const char *open_sealed(struct vault *vault, const struct vault_sealed *sealed, const uint8_t *bound,
                               size_t bound_len, uint8_t *out) {
    const char *why = NULL;
    pthread_rwlock_rdlock(&vault->lock);
    const struct key *key = vault_keyring_find(vault, sealed->key_id);
    if (key == NULL) {
        why = "its data key is not in the vault";
    } else if (!vault_format_open_value(key->bytes, sealed->nonce, bound, bound_len, sealed->ciphertext,
                                        sealed->ciphertext_len, out)) {
        why = "it was altered, or belongs to another place";
    }
    pthread_rwlock_unlock(&vault->lock);
    sodium_stackzero(STACK_WIPE);
    return why;
}

int vault_unseal(struct vault *vault, const struct vault_place *place, const struct vault_sealed *sealed,
                 struct buf *out, struct err *err) {
    uint8_t bound[FORMAT_PLACE_MAX];
    size_t bound_len;
    atomic_fetch_add_explicit(&vault->unseals, 1, memory_order_relaxed);
    if (vault_format_bind_place(place, sealed->key_id, bound, &bound_len, err) != 0) {
        return -1;
    }
    if (sealed->nonce == NULL || sealed->nonce_len != VAULT_NONCE_BYTES || sealed->ciphertext == NULL ||
        sealed->ciphertext_len < VAULT_OVERHEAD ||
        sealed->ciphertext_len > VAULT_VALUE_MAX + VAULT_OVERHEAD) {
        return set_unreadable(vault, err, place, "its length is impossible");
    }
    size_t len = sealed->ciphertext_len - VAULT_OVERHEAD;
    out->wipe = true;
    if (buf_reserve(out, len) != 0) {
        return err_no_memory(err);
    }
    const char *why = open_sealed(vault, sealed, bound, bound_len, (uint8_t *)out->data + out->len);
    if (why != NULL) {
        out->data[out->len] = '\0';
        return set_unreadable(vault, err, place, why);
    }
    out->len += len;
    out->data[out->len] = '\0';
    return 0;
}

int vault_reseal(struct vault *vault, const struct vault_place *place, const struct vault_sealed *sealed,
                 struct arena *arena, struct vault_sealed *ret, struct err *err) {
    struct buf plain = BUF_INIT;
    int status = vault_unseal(vault, place, sealed, &plain, err);
    if (status == 0) {
        status = vault_seal(vault, place, plain.data, plain.len, arena, ret, err);
    }
    buf_done(&plain);
    return status;
}

int vault_fingerprint(struct vault *vault, const struct vault_place *place, const void *value, size_t len,
                      char ret[VAULT_FINGERPRINT_MAX], struct err *err) {
    pthread_rwlock_rdlock(&vault->lock);
    bool ready = vault->fingerprint_sub_key != NULL;
    if (ready) {
        vault_format_fingerprint(vault->fingerprint_sub_key, place, value, len, ret);
    }
    pthread_rwlock_unlock(&vault->lock);
    sodium_stackzero(STACK_WIPE);
    return ready ? 0
                 : err_set(err, ERR_UNAVAILABLE,
                           "the vault has no keys yet: its first ones are not yet stored");
}

/* ---- marks ---- */

int vault_mark(struct vault *vault, const char *name, const void *bytes, size_t len,
               uint8_t ret[VAULT_MARK_BYTES], struct err *err) {
    uint8_t mark_key[FORMAT_KEY_BYTES];
    pthread_rwlock_rdlock(&vault->lock);
    bool ready = vault->fingerprint.bytes != NULL;
    if (ready) {
        vault_format_derive_mark_key(vault->fingerprint.bytes, mark_key);
        vault_format_mark(mark_key, name, bytes, len, ret);
        sodium_memzero(mark_key, sizeof mark_key);
    }
    pthread_rwlock_unlock(&vault->lock);
    sodium_stackzero(STACK_WIPE);
    return ready ? 0
                 : err_set(err, ERR_UNAVAILABLE,
                           "the vault has no keys yet: its first ones are not yet stored");
}

bool vault_mark_fits(struct vault *vault, const char *name, const void *bytes, size_t len,
                     const uint8_t mark[VAULT_MARK_BYTES]) {
    struct err unused = ERR_INIT;
    uint8_t expected[VAULT_MARK_BYTES];
    return vault_mark(vault, name, bytes, len, expected, &unused) == 0 &&
           sodium_memcmp(expected, mark, sizeof expected) == 0;
}

bool vault_marks_tokens(struct vault *vault) {
    pthread_rwlock_rdlock(&vault->lock);
    bool marks = vault->marks_tokens;
    pthread_rwlock_unlock(&vault->lock);
    return marks;
}

int vault_prepare_marking(struct vault *vault, struct vault_settings *ret, struct err *err) {
    if (vault->other.record.id[0] != '\0') {
        return err_set(err, ERR_CONFLICT, "a change to root key %s is unfinished", vault->other.record.id);
    }
    if (vault_change_begin(vault, CHANGE_MARK, 1, err) != 0) {
        return -1;
    }
    int status = vault_change_write_key(vault, &vault->root, FORMAT_NAME_MARKING, &vault->fingerprint, err);
    return vault_change_end(vault, status, ret);
}

uint64_t vault_unseal_count(const struct vault *vault) {
    return atomic_load_explicit(&vault->unseals, memory_order_relaxed);
}

uint64_t vault_unseal_failures(const struct vault *vault) {
    return atomic_load_explicit(&vault->unseal_failures, memory_order_relaxed);
}
