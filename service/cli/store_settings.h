/* The options that name a store, of every command that works on one. */
#ifndef BGPPEERD_CLI_STORE_SETTINGS_H
#define BGPPEERD_CLI_STORE_SETTINGS_H

#include "base/options.h"
#include "store.h"

struct store_settings {
    const char *store; /* NULL: SQLite's in the data directory */
    const char *prefix;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *user;
    const char *password_file;
};

#define STORE_OPTION(option, kind, place, text)                                                              \
    { .name = (option), .value = (kind), .type = OPTION_TEXT, .offset = (place), .help = (text) }

/* Rows of a table of options; `place` is the offset of a struct store_settings in the command's settings. */
#define STORE_OPTIONS(place)                                                                                 \
    STORE_OPTION("store", "KIND:PLACE", (place) + offsetof(struct store_settings, store),                    \
                 "Keep the fleet in this store instead: sqlite:DIR, or etcd:https://HOST:2379,... for "      \
                 "several instances; without it, sqlite: and the data directory"),                           \
        STORE_OPTION("store-prefix", "PREFIX", (place) + offsetof(struct store_settings, prefix),            \
                     "etcd: what all keys of the fleet begin with; without it " STORE_PREFIX),               \
        STORE_OPTION("store-ca", "FILE", (place) + offsetof(struct store_settings, ca_file),                 \
                     "etcd: trust the certificates in this file (PEM) instead of the machine's"),            \
        STORE_OPTION("store-cert", "FILE", (place) + offsetof(struct store_settings, cert_file),             \
                     "etcd: the client certificate (PEM)"),                                                  \
        STORE_OPTION("store-key", "FILE", (place) + offsetof(struct store_settings, key_file),               \
                     "etcd: the client certificate's key (PEM)"),                                            \
        STORE_OPTION("store-user", "NAME", (place) + offsetof(struct store_settings, user),                  \
                     "etcd: the user, when it asks for one; a client certificate names none"),               \
        STORE_OPTION("store-password-file", "FILE",                                                          \
                     (place) + offsetof(struct store_settings, password_file),                               \
                     "etcd: the user's password: one line, mode 0600")

/* What they say, for store_open. */
static inline struct store_options store_settings_options(const struct store_settings *settings,
                                                          const char *data_dir) {
    return (struct store_options){.store = settings->store,
                                  .dir = data_dir,
                                  .prefix = settings->prefix,
                                  .ca_file = settings->ca_file,
                                  .cert_file = settings->cert_file,
                                  .key_file = settings->key_file,
                                  .user = settings->user,
                                  .password_file = settings->password_file};
}

#endif
