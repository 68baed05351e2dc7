/* The service's data for commands that work on it directly while the service is stopped. */
#ifndef BGPPEERD_CLI_OFFLINE_H
#define BGPPEERD_CLI_OFFLINE_H

#include "base/err.h"
#include "state.h"
#include "store.h"
#include "store_settings.h"
#include "vault.h"

/* Where the root key comes from, as `serve` has it. */
struct offline_options {
    struct store_settings store;
    const char *data_dir;
    const char *vault_key_file;
    const char *vault_passphrase_file;
};
struct vault_options offline_vault_options(const struct offline_options *options);

struct offline {
    struct store *store;
    struct vault *vault;
    struct state *state;
};

/*
 * The store alone. *ret NULL: a service has the data directory open, ask that one. ERR_NOT_FOUND: there is no
 * database; none is made.
 */
int offline_open_store(const struct offline_options *options, struct store **ret, struct err *err) MUST_CHECK;
/* Vault and state over the store, which is taken over, also on failure. */
int offline_open(const struct offline_options *options, struct store *store, struct offline *ret,
                 struct err *err) MUST_CHECK;
void offline_close(struct offline *offline);

/* Who does it, for the audit trail: "local:" and the name, or else the number, of this process's user. */
#define OFFLINE_USER_MAX 64
const char *offline_user(char ret[OFFLINE_USER_MAX]);

#endif
