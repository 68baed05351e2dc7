/* Random identifiers and content digests (libsodium). Thread-safe after random_start. */
#ifndef BGPPEERD_BASE_RANDOM_H
#define BGPPEERD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define UUID_TEXT_MAX   37
#define DIGEST_BYTES    16
#define DIGEST_TEXT_MAX (DIGEST_BYTES * 2 + 1)

/* Once, before any other use of libsodium in the process; may be called again. */
int random_start(struct err *err) MUST_CHECK;
/* A random (version 4) UUID, lower case, RFC 9562. */
void uuid_new(char out[UUID_TEXT_MAX]);
uint64_t random_u64(void);
/* `len` lower-case letters and digits (Kubernetes' generateName alphabet: no vowels, no 0 1 3), then a NUL:
 * `out` has len + 1 bytes. */
void random_name_suffix(char *out, size_t len);
/* The same digest as digest_hex, of bytes that come piece by piece. Not thread-safe. It stays
 * where it is from its start to its end. */
#define DIGEST_STATE_BYTES 384
struct digest {
    unsigned char state[DIGEST_STATE_BYTES + 64]; /* libsodium's, from its first place that is aligned */
    size_t len;                                   /* bytes that wait in `block` */
    unsigned char block[2048];
};
void digest_start(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t len);
/* Once, at the end. */
void digest_end_hex(struct digest *digest, char out[DIGEST_TEXT_MAX]);
/* BLAKE2b-128 of the bytes, as lower-case hex. For ETags; not a secret. */
void digest_hex(const void *bytes, size_t len, char out[DIGEST_TEXT_MAX]);
/* A 64-bit digest (SipHash-2-4) to notice damage with, not to withstand anybody; the same on every machine.
 * Other digests for each `seed`: the digest of one part is the seed of the next. */
uint64_t digest_u64(uint64_t seed, const void *bytes, size_t len);

#endif
