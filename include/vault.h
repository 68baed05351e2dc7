/*
 * Vault: the passwords' encryption. Root key, data keys, sealed values, fingerprints (libsodium).
 *
 * Knows neither the store nor the model. What must be durable leaves and enters as plain structs: settings
 * (wrapped keys, by name) and sealed values; the layer above copies them to and from the store.
 *
 * What it defends, and what not
 *   - A copy of the database (file, WAL, backup) without the root key gives names, sizes, dates, versions and
 *     fingerprints, no value. A copy of the root key without the database gives nothing.
 *   - Someone who can write the database can destroy values, or put back an older one with its own version
 *     number (the object's body must say which version is current), but cannot read a value, make one, or
 *     move one to another secret, key or version: it does not decrypt.
 *   - A fingerprint tells that one key of a Secret has the same value as before, nothing more. Its key is
 * random and never leaves the vault, so guesses can be tested only by someone who may write secrets through
 * the API, and then only by writing them for good: dry runs show none.
 *   - A root key made from a passphrase is as strong as the passphrase: a copy of the database allows
 * guessing at the price of one argon2id each.
 *   - Not defended: someone who is root on this machine, or reads this process's memory while it runs. Keys
 *     are kept in guarded, locked (where the limits allow), never dumped, read-only pages; temporaries are
 *     wiped.
 *   - Changing the root key does not change data keys. After a root key has leaked together with a database,
 *     change it, then rotate the data key, then change the passwords.
 *
 * Threads: vault_seal, vault_reseal, vault_unseal, vault_fingerprint, vault_status, vault_has_key and the
 * other getters from any number of threads. vault_prepare_*, vault_apply, vault_discard and
 * vault_switch_root_key from one thread at a time (the one that commits). Open and close alone.
 */
#ifndef BGPPEERD_VAULT_H
#define BGPPEERD_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define VAULT_VALUE_MAX       1048576 /* bytes of one plaintext */
#define VAULT_NAME_MAX        253     /* bytes of a namespace, secret name or key name */
#define VAULT_NONCE_BYTES     24
#define VAULT_OVERHEAD        16 /* a ciphertext is that much longer than its plaintext */
#define VAULT_FINGERPRINT_MAX 17 /* 16 lower-case hex digits and a NUL */
#define VAULT_ROOT_ID_MAX     17 /* the same for a root key's fingerprint */
#define VAULT_KEYS_MAX        64 /* data keys at one time */
#define VAULT_ROOTS_MAX       2  /* root keys that open one database: 2 during a change */
#define VAULT_KEY_FILE        "vault.key"

struct vault;

/* ---- what the caller keeps durable ---- */

/* A setting by name: "vault/root/…", "vault/key/…", "vault/fingerprint/…". Opaque, no secret in clear. */
struct vault_setting {
    const char *name;
    const void *value; /* NULL: delete it */
    size_t value_len;
};

/* Settings to be written in one transaction. Borrowed from the vault until vault_apply or vault_discard. */
struct vault_settings {
    const struct vault_setting *items;
    size_t count; /* 0: nothing to write; apply all the same */
};

/* Where a value stands. All of it is bound to the ciphertext. Texts of 1–VAULT_NAME_MAX bytes. */
struct vault_place {
    const char *secret_namespace;
    const char *secret_name;
    const char *item; /* key inside the Secret */
    uint64_t version; /* of the value, ≥ 1 */
};

/* A sealed value. */
struct vault_sealed {
    uint64_t key_id; /* data key that sealed it */
    const uint8_t *nonce;
    size_t nonce_len; /* VAULT_NONCE_BYTES, unless the row was damaged */
    const uint8_t *ciphertext;
    size_t ciphertext_len; /* plaintext + VAULT_OVERHEAD */
};

/* ---- opening ---- */

enum vault_source {
    VAULT_SOURCE_KEY_FILE = 1, /* options.key_file */
    VAULT_SOURCE_CREDENTIAL,   /* $CREDENTIALS_DIRECTORY/vault.key (systemd.exec(5), LoadCredential=) */
    VAULT_SOURCE_PASSPHRASE,   /* options.passphrase_file */
    VAULT_SOURCE_DATA_DIR,     /* data_dir/vault.key, made on first start */
};

/*
 * Where the root key comes from: the first of key_file, credentials_dir/vault.key (when that file exists),
 * passphrase_file, data_dir/vault.key. Texts are copied.
 *
 * A key file holds 32 raw bytes, or 64 hex digits and an optional newline. A passphrase file holds one line
 * of 1–1024 bytes, its trailing newline not counted. Every such file must be a regular file (behind symbolic
 * links, as orchestrators mount them), owned by our effective user or root, with mode 0600 or stricter. A
 * systemd credential may also be root's with mode 0440 when it carries an ACL: the group bits are then the
 * ACL's mask, which is how systemd gives it to a service's user.
 */
struct vault_options {
    const char *key_file;        /* --vault-key-file, NULL = none */
    const char *credentials_dir; /* $CREDENTIALS_DIRECTORY, NULL = none */
    const char *passphrase_file; /* --vault-passphrase-file, NULL = none */
    const char *data_dir;        /* required, exists */
    size_t sealed_count;         /* sealed values in the database: > 0 without settings means damage */
    bool must_exist;             /* do not make a new vault: ERR_NOT_FOUND instead, nothing is created */
    bool key_given;              /* do not make a root key: ERR_USAGE instead, others need the same one */
};

/*
 * Open the vault over the settings that the database holds (all with the prefix "vault/"; names that the
 * vault does not know are ignored). *ret_to_write must be committed, then vault_apply called:
 *   - first start (no settings): a new data key and fingerprint key; until vault_apply, sealing,
 *     fingerprints and every vault_prepare_* but the implied one are refused;
 *   - after a change of the root key: what the old root key had wrapped is dropped;
 *   - otherwise: nothing.
 * On first start without a source, data_dir/vault.key (0600) is created, durable when this returns; a
 * crash before the commit is harmless, the next start uses that file.
 *
 * Errors, each one sentence, nothing changed: ERR_USAGE (no such key file, its permissions or content, the
 * root key is not the one that this database needs), ERR_CORRUPT (settings damaged, missing, or of a newer
 * format), ERR_NOT_FOUND (must_exist), ERR_NO_MEMORY, ERR_STORAGE_FULL and ERR_UNAVAILABLE (file I/O).
 */
int vault_open(const struct vault_options *options, const struct vault_setting *settings, size_t count,
               struct vault **ret, struct vault_settings *ret_to_write, struct err *err) MUST_CHECK;
/* Wipe and free everything. Discards what is prepared. Accepts NULL. */
void vault_close(struct vault *vault);

/*
 * Take over the keyring that somebody else has written: `settings` are all that the database holds now. For
 * the thread of vault_prepare_*, while nothing is prepared. Keys that are gone from the settings are gone
 * afterwards; the fingerprint key never changes. ERR_CONFLICT: the root key in use no longer opens the
 * database, because another one took its place; then, and on the other errors of vault_open, the keyring
 * stays as it was.
 */
int vault_follow(struct vault *vault, const struct vault_setting *settings, size_t count,
                 struct err *err) MUST_CHECK;
/* For the log: "key file /etc/bgppeerd/vault.key". Lives as long as the vault. */
const char *vault_source_text(const struct vault *vault);
/* What an operator should improve now (key beside the data, weak passphrase, unfinished change), or "". Lives
 * as long as the vault. */
const char *vault_warning(const struct vault *vault);
/* Which root keys open a database or a backup with these settings: their fingerprints. Pure; returns how
 * many. */
size_t vault_list_roots(const struct vault_setting *settings, size_t count,
                        char ret[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX]);

/* ---- values ---- */

/*
 * Encrypt `len` bytes (0–VAULT_VALUE_MAX) for their place under the active data key with a fresh random
 * nonce. *ret points into `arena`. ERR_INVALID: value or a name too long; ERR_UNAVAILABLE: first start,
 * vault_apply is still to come; ERR_NO_MEMORY.
 *
 * Seal on the thread that commits, or check vault_has_key there just before: a data key may be dropped
 * between sealing and commit.
 */
int vault_seal(struct vault *vault, const struct vault_place *place, const void *value, size_t len,
               struct arena *arena, struct vault_sealed *ret, struct err *err) MUST_CHECK;
/*
 * Append the plaintext to `out`, which is made a wiping buffer. ERR_CORRUPT: altered, truncated, of another
 * place, or its data key is gone; `out` then has its old content. ERR_INVALID: a name too long;
 * ERR_NO_MEMORY. The text of an error names the place, never the value.
 */
int vault_unseal(struct vault *vault, const struct vault_place *place, const struct vault_sealed *sealed,
                 struct buf *out, struct err *err) MUST_CHECK;
/* The same value for the same place under the active data key. Errors of both. */
int vault_reseal(struct vault *vault, const struct vault_place *place, const struct vault_sealed *sealed,
                 struct arena *arena, struct vault_sealed *ret, struct err *err) MUST_CHECK;
/*
 * 16 hex digits that are equal when a key of a Secret has the same value again (64 bits of keyed BLAKE2b over
 * namespace, Secret, key and value; the place's version does not matter). Nothing can be learnt from them
 * about equal values elsewhere. They stay the same over every rotation: their key is a random one of its own,
 * wrapped like a data key, made once per database.
 */
int vault_fingerprint(struct vault *vault, const struct vault_place *place, const void *value, size_t len,
                      char ret[VAULT_FINGERPRINT_MAX], struct err *err) MUST_CHECK;
/*
 * A mark on something of the database that is not encrypted: who can write the database, but does not have
 * the root key, can neither make nor move one. Under a key of its own, derived from the fingerprints' one, so
 * it stays the same over every rotation and change of the root key.
 */
#define VAULT_MARK_BYTES 32
int vault_mark(struct vault *vault, const char *name, const void *bytes, size_t len,
               uint8_t ret[VAULT_MARK_BYTES], struct err *err) MUST_CHECK;
bool vault_mark_fits(struct vault *vault, const char *name, const void *bytes, size_t len,
                     const uint8_t mark[VAULT_MARK_BYTES]) MUST_CHECK;
/* Does every token of this database carry a mark? Kept under the root key; true for every vault that was made
 * since there are marks. */
bool vault_marks_tokens(struct vault *vault);
/* For an older one: what makes it true, to be committed together with the marked tokens. ERR_CONFLICT: a
 * change of the root key is unfinished; the next start will do. */
int vault_prepare_marking(struct vault *vault, struct vault_settings *ret, struct err *err) MUST_CHECK;
/* Decryptions of values tried since open (vault_unseal and vault_reseal). */
uint64_t vault_unseal_count(const struct vault *vault);
/* … of them, those that found the value altered, or without its data key. */
uint64_t vault_unseal_failures(const struct vault *vault);

/* ---- the keyring ---- */

struct vault_key_status {
    uint64_t id;        /* ≥ 1, ascending with age, never used twice */
    int64_t created_ms; /* realtime */
    bool active;        /* seals new values: the one with the highest id */
    uint64_t values;    /* counted by vault_status_count */
};
struct vault_status {
    enum vault_source source;
    char root_id[VAULT_ROOT_ID_MAX];    /* fingerprint of the root key in use */
    int64_t root_created_ms;            /* since when it is this database's */
    char pending_id[VAULT_ROOT_ID_MAX]; /* root key of an unfinished change, "" = none */
    bool switchable;                    /* … and vault_switch_root_key can put it in place */
    size_t key_count;                   /* ascending by id */
    struct vault_key_status keys[VAULT_KEYS_MAX];
};
void vault_status(struct vault *vault, struct vault_status *ret);
/* Count one sealed value; false: its key is not in the keyring, it cannot be read. Pure. */
bool vault_status_count(struct vault_status *status, uint64_t key_id);
/* The active data key's id, 0 before the first vault_apply. */
uint64_t vault_active_key(struct vault *vault);
bool vault_has_key(struct vault *vault, uint64_t key_id);

/*
 * Changes of keys, in steps that the caller makes durable. A vault_prepare_* gives settings; the caller
 * commits them in one transaction; then vault_apply brings them into force in memory and cannot fail. When
 * the commit failed: vault_discard. One change at a time: ERR_CONFLICT while another is prepared. Other
 * errors: ERR_NO_MEMORY and what is named below. A crash before the commit leaves the state before it; after
 * the commit, the next vault_open finds the new one.
 */
void vault_apply(struct vault *vault);
void vault_discard(struct vault *vault);

/*
 * Rotation of the data key:
 *   1. vault_prepare_data_key, commit, apply: the new key is active, all others still decrypt.
 *   2. For every stored value whose key_id is not vault_active_key(): vault_reseal, commit; in batches of any
 *      size. Every row names its key, so a crash between batches leaves nothing unreadable; begin again at
 *      the rows that are left. A value that does not decrypt stays as it is (and keeps its key).
 *   3. vault_prepare_drop_unused with the key ids of all values now stored, commit, apply.
 */
/* ERR_CONFLICT: keyring full (finish the last rotation), or a root key change is unfinished (its new wraps
 * would miss the new key). */
int vault_prepare_data_key(struct vault *vault, struct vault_settings *ret, struct err *err) MUST_CHECK;
/* Drop every data key that is neither active nor in `used` (any order, repeats allowed). The caller makes
 * sure that no value is on its way to the store under another key. */
int vault_prepare_drop_unused(struct vault *vault, const uint64_t *used, size_t used_count,
                              struct vault_settings *ret, struct err *err) MUST_CHECK;

/*
 * Change of the root key. Between steps 1 and 4 the database holds every data key twice, wrapped under the
 * old root key A and under the new one B, so that either opens it:
 *
 *      step                                              database   key in place   a crash here: next start
 *   0  -                                                 A          A              uses A
 *   1  vault_prepare_root_change                         A          A (B staged)   uses A; B is found again
 *      commit, vault_apply                               A and B    A (B staged)   uses A; change is pending
 *   2  vault_switch_root_key                             A and B    B              uses B, drops A's wraps
 *   3  vault_prepare_root_finish, commit, vault_apply    B          B              uses B
 *
 * In place (`new_root` with both fields NULL; the root key must come from a key file): B is made at random in
 * "<key file>.new" (0600, durable before the commit), and step 2 renames it over the key file: A is gone
 * then, and backups made before this need it: say so to the operator first.
 *
 * Hand-over (`new_root` names a key or passphrase file): nothing is written but the database. Step 2 is the
 * operator's: restart with the new file as the source. That vault_open does step 3 by itself, because root
 * keys are numbered and the newer one opened the database. Until then a restart with the old one works too.
 *
 * Resuming after a crash: when vault_status says pending_id, call vault_prepare_root_change again with the
 * same new_root (it writes the same wraps anew) and go on; or vault_prepare_root_cancel.
 */
struct vault_new_root {
    const char *key_file;        /* at most one of the two */
    const char *passphrase_file; /* argon2id with a fresh salt */
};
/* ERR_USAGE: bad file, or it is the key in use, or the key in use is in no file of ours to replace;
 * ERR_CONFLICT: a change to another root key is unfinished; ERR_UNAVAILABLE, ERR_STORAGE_FULL: file I/O. */
int vault_prepare_root_change(struct vault *vault, const struct vault_new_root *new_root,
                              struct vault_settings *ret, struct err *err) MUST_CHECK;
/* May be repeated after a failure (ERR_UNAVAILABLE). ERR_CONFLICT: nothing is staged. */
int vault_switch_root_key(struct vault *vault, struct err *err) MUST_CHECK;
/* Reads the source again: ERR_CONFLICT unless it now gives the new root key. */
int vault_prepare_root_finish(struct vault *vault, struct vault_settings *ret, struct err *err) MUST_CHECK;
/* Go back to A, only while the source still gives A (else ERR_CONFLICT). Applying it removes the staged file.
 */
int vault_prepare_root_cancel(struct vault *vault, struct vault_settings *ret, struct err *err) MUST_CHECK;

#endif
