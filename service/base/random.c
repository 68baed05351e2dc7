/* Random identifiers and digests: thin over libsodium, which does its own locking. */
#include "base/random.h"

#include <sodium.h>
#include <string.h>

int random_start(struct err *err) {
    if (sodium_init() < 0) {
        return err_set(err, ERR_INTERNAL,
                       "libsodium found no source of randomness: is /dev/urandom there and readable?");
    }
    return 0;
}

void uuid_new(char out[UUID_TEXT_MAX]) {
    unsigned char bytes[16];
    randombytes_buf(bytes, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80); /* the variant of RFC 9562 */

    static const char hex[] = "0123456789abcdef";
    char *at = out;
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    *at = '\0';
}

uint64_t random_u64(void) {
    uint64_t value;
    randombytes_buf(&value, sizeof value);
    return value;
}

void random_name_suffix(char *out, size_t len) {
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[randombytes_uniform(sizeof alphabet - 1)];
    }
    out[len] = '\0';
}

_Static_assert(sizeof(crypto_generichash_state) <= DIGEST_STATE_BYTES, "the state fits");

/* libsodium wants its state aligned to 64, which no allocator of ours promises. */
static crypto_generichash_state *digest_state(struct digest *digest) {
    uintptr_t at = ((uintptr_t)digest->state + 63) & ~(uintptr_t)63;
    return (crypto_generichash_state *)at;
}

void digest_start(struct digest *digest) {
    digest->len = 0;
    (void)crypto_generichash_init(digest_state(digest), NULL, 0, DIGEST_BYTES);
}

/* Pieces of a few bytes are collected: libsodium's own bookkeeping would cost more than the digest. */
void digest_add(struct digest *digest, const void *bytes, size_t len) {
    if (len > sizeof(digest->block) - digest->len) {
        (void)crypto_generichash_update(digest_state(digest), digest->block, digest->len);
        digest->len = 0;
    }
    if (len > sizeof(digest->block)) {
        (void)crypto_generichash_update(digest_state(digest), bytes, len);
        return;
    }
    memcpy(digest->block + digest->len, bytes, len);
    digest->len += len;
}

void digest_end_hex(struct digest *digest, char out[DIGEST_TEXT_MAX]) {
    unsigned char bytes[DIGEST_BYTES];
    (void)crypto_generichash_update(digest_state(digest), digest->block, digest->len);
    (void)crypto_generichash_final(digest_state(digest), bytes, sizeof(bytes));
    sodium_bin2hex(out, DIGEST_TEXT_MAX, bytes, sizeof(bytes));
}

void digest_hex(const void *bytes, size_t len, char out[DIGEST_TEXT_MAX]) {
    unsigned char digest[DIGEST_BYTES];
    crypto_generichash(digest, sizeof digest, bytes, len, NULL, 0);
    sodium_bin2hex(out, DIGEST_TEXT_MAX, digest, sizeof digest);
}

uint64_t digest_u64(uint64_t seed, const void *bytes, size_t len) {
    unsigned char key[crypto_shorthash_KEYBYTES] = {0};
    unsigned char digest[crypto_shorthash_BYTES];
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(seed); i++) {
        key[i] = (unsigned char)(seed >> (8 * i));
    }
    (void)crypto_shorthash(digest, bytes, len, key);
    for (size_t i = 0; i < sizeof(digest); i++) {
        number |= (uint64_t)digest[i] << (8 * i);
    }
    return number;
}
