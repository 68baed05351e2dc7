/* Inside the auth room: what token.c and registry.c share. */
#ifndef BGPPEERD_AUTH_TOKEN_INTERNAL_H
#define BGPPEERD_AUTH_TOKEN_INTERNAL_H

#include "auth.h"

#define TOKEN_PREFIX "bpd_"

/* TOKEN_ID_LENGTH hex digits (more may follow) as a number. */
bool token_id_number(const char *id, uint64_t *ret);
/* BLAKE2b-256 of a secret's TOKEN_SECRET_LENGTH characters. */
void token_hash(const char *secret, uint8_t ret[TOKEN_HASH_BYTES]);

#endif
