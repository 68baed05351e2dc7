/*
 * Where root keys come from: files, their permissions, argon2id. Private to the room and its tests.
 *
 * Secrets are returned in sodium_malloc memory; the caller sodium_free()s it. No state, no locks.
 */
#ifndef BGPPEERD_VAULT_SOURCE_H
#define BGPPEERD_VAULT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format.h"
#include "vault.h"

#define SOURCE_PASSPHRASE_MAX 1024
#define SOURCE_STAGED_SUFFIX  ".new"

/* One file that gives a root key. Plain value; texts are malloc'ed. */
struct source {
    enum vault_source kind;
    char *path;
    char *text; /* "key file /etc/bgppeerd/vault.key" */
};

/* By the order of struct vault_options. */
int vault_source_choose(const struct vault_options *options, struct source *ret, struct err *err) MUST_CHECK;
/* A source of this kind at this path (copied). */
int vault_source_init(struct source *source, enum vault_source kind, const char *path,
                      struct err *err) MUST_CHECK;
void vault_source_done(struct source *source);
/* Is there a file? False also when that cannot be told. */
bool vault_source_exists(const char *path);
/* Does the file lie in the data directory or below? */
bool vault_source_beside(const char *path, const char *data_dir);

/* FORMAT_KEY_BYTES of a key file. ERR_USAGE: missing, permissions, content; ERR_UNAVAILABLE: I/O. */
int vault_source_read_key(const struct source *source, uint8_t **ret_key, struct err *err) MUST_CHECK;
int vault_source_read_passphrase(const struct source *source, uint8_t **ret, size_t *ret_len,
                                 struct err *err) MUST_CHECK;
/* argon2id with the record's salt and limits. ERR_NO_MEMORY names how much it takes. */
int vault_source_derive_key(const uint8_t *passphrase, size_t len, const struct format_root *root,
                            uint8_t **ret_key, struct err *err) MUST_CHECK;

/* Make a new key file: 64 hex digits and a newline, mode 0600, whole and durable or not there. Never
 * replaces a file: ERR_CONFLICT. */
int vault_source_create_key(const char *path, struct err *err) MUST_CHECK;
/* Rename over `to`, durable. */
int vault_source_replace(const char *from, const char *to, struct err *err) MUST_CHECK;
/* Make what happened to the names in the directory of `path` durable. */
int vault_source_sync_parent(const char *path, struct err *err) MUST_CHECK;

#endif
