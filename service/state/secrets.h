/*
 * What the files about Secrets share (secrets.c writes, secret_load.c loads and seals anew). Private to
 * state.
 */
#ifndef BGPPEERD_STATE_SECRETS_H
#define BGPPEERD_STATE_SECRETS_H

#include "state_internal.h"

/* What binds a sealed value to its place; borrows. */
struct vault_place secret_value_place(const struct meta *meta, const char *key, uint64_t version);
/* The row that the store keeps of a sealed value; borrows. */
struct store_sealed secret_row(const char *object, const struct secret_value *value);
/* Can these bytes be a password? Sets the value's `state` and `flaw`. */
void secret_judge_value(struct secret_value *value, const void *bytes, size_t len);
/* What is told of a value's length: a multiple of 8, because the exact length is half of guessing it. */
static inline uint32_t secret_rounded_size(size_t len) {
    return (uint32_t)((len + 7) / 8 * 8);
}
/* A copy in `arena`; NULL when memory is out. */
const uint8_t *secret_copy_bytes(struct arena *arena, const uint8_t *bytes, size_t len);
/* A copy of the value in memory of its own, in `arena`. */
int secret_keep_value(const struct secret_value *old, struct arena *arena, struct secret_value *ret,
                      struct err *err) MUST_CHECK;
/*
 * What can be told of the values of a Secret of the past, whose record nobody else has yet: that of the same
 * version in `later` (NULL: there is none), otherwise what its size says. Of a value that is gone and that no
 * daemon would have taken, nobody knows that any more.
 */
void secret_judge_past(struct record *then, const struct record *later, bool has_vault);

#endif
