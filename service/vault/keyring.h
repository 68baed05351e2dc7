/*
 * The opened vault, as its own files see it. Private to the room.
 *
 * Every key lies in a sodium_malloc area of its own that is filled, made read-only, and from then on never
 * written until it is freed: so any number of threads may use it without page protections being switched
 * under their feet, and replacing a key means exchanging a pointer.
 *
 * Lock: `lock` guards keys, key_count, fingerprint and its sub-key, root, other and staged. Readers hold it
 * while they use a key, so that a dropped key is freed only when nobody uses it. Only the thread of
 * vault_prepare_*, vault_apply and vault_discard writes them; that thread may therefore read them without the
 * lock. `source`, `cost`, the paths and `warning` do not change after vault_open; `prepared` belongs to that
 * one thread. No other lock is taken while this one is held.
 */
#ifndef BGPPEERD_VAULT_KEYRING_H
#define BGPPEERD_VAULT_KEYRING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "format.h"
#include "source.h"
#include "vault.h"

#define VAULT_WARNING_MAX 1024

struct key {
    uint64_t id;
    int64_t created_ms;
    uint8_t *bytes; /* FORMAT_KEY_BYTES, read-only; NULL: no key */
};

/* A root key, known by its record, and usable when we hold what it wraps with. */
struct root {
    struct format_root record; /* record.id[0] == '\0': there is none */
    uint8_t *wrap_key;         /* read-only; NULL: only the record is known */
    bool weak;                 /* made from a passphrase that invites guessing */
};

/* What argon2id may cost for a new passphrase record. Tests make it cheap. */
struct root_cost {
    uint64_t opslimit;
    uint64_t memlimit; /* bytes */
};

enum change_kind {
    CHANGE_NONE,
    CHANGE_FIRST,  /* first start: new_key, new_fingerprint */
    CHANGE_TIDY,   /* settings only */
    CHANGE_ADD,    /* new_key */
    CHANGE_DROP,   /* dropped */
    CHANGE_ROOT,   /* new_root becomes `other` */
    CHANGE_FINISH, /* `other` becomes `root` */
    CHANGE_CANCEL, /* `other` is forgotten */
    CHANGE_MARK,   /* from now on every token carries a mark */
};

/* What the caller is making durable. */
struct change {
    enum change_kind kind;
    struct vault_setting *settings; /* in `arena`, with their names and values: nothing secret */
    size_t count;
    size_t room;
    struct arena arena;
    struct key new_key;
    struct key new_fingerprint;
    uint8_t *new_fingerprint_sub_key;
    struct root new_root;
    bool staged; /* new_root lies in "<source>.new"; CHANGE_CANCEL: that file is to be removed */
    bool dropped[VAULT_KEYS_MAX];
};

struct vault {
    pthread_rwlock_t lock;
    struct key keys[VAULT_KEYS_MAX]; /* ascending by id; the last one is active */
    size_t key_count;
    struct key fingerprint;       /* as it is wrapped; id 0; bytes NULL before the first vault_apply */
    uint8_t *fingerprint_sub_key; /* as it is used */
    bool marks_tokens;            /* the database says, under the root key, that every token carries a mark */
    struct root root;             /* in use */
    struct root other;            /* the newer one of an unfinished change */
    bool staged;                  /* `other` lies in "<source>.new" */

    struct source source;
    struct root_cost cost;
    char *place_path;  /* the source's file, symbolic links resolved: what a change in place replaces */
    char *staged_path; /* "<place_path>.new" */
    char warning[VAULT_WARNING_MAX];            /* immutable once open */
    char unfinished_warning[VAULT_WARNING_MAX]; /* the same and that a change is unfinished */
    struct change prepared;
    atomic_uint_fast64_t unseals;
    atomic_uint_fast64_t unseal_failures;
};

/* ---- keyring.c ---- */

/* The active key or NULL; the key of that id or NULL. With the lock. */
const struct key *vault_keyring_active(const struct vault *vault);
const struct key *vault_keyring_find(const struct vault *vault, uint64_t id);
/* A key's sodium_malloc memory, now filled, becomes read-only. */
void vault_key_close(uint8_t *bytes);
int vault_key_random(struct key *key, uint64_t id, struct err *err) MUST_CHECK;
/* What fingerprints are made with, in memory of its own. */
int vault_key_fingerprint(const struct key *fingerprint, uint8_t **ret_sub_key, struct err *err) MUST_CHECK;

/* As what the fingerprint key is wrapped. */
enum format_name vault_key_fingerprint_form(const struct vault *vault);

/* ---- change.c ---- */

/* Begin to prepare, with room for so many settings. Refuses while a change is prepared, and (but FIRST)
 * before the vault has its first keys. */
int vault_change_begin(struct vault *vault, enum change_kind kind, size_t room, struct err *err) MUST_CHECK;
/* Add a setting to the prepared change, which has room for it. */
int vault_change_write_root(struct vault *vault, const struct format_root *record,
                            struct err *err) MUST_CHECK;
/* `key` wrapped under `root`. */
int vault_change_write_key(struct vault *vault, const struct root *root, enum format_name what,
                           const struct key *key, struct err *err) MUST_CHECK;
int vault_change_delete(struct vault *vault, enum format_name what, const char *root_id, uint64_t key_id,
                        struct err *err) MUST_CHECK;
/* The end of every vault_prepare_*: hands the settings out, or discards when status is not 0. */
int vault_change_end(struct vault *vault, int status, struct vault_settings *ret) MUST_CHECK;

/* ---- open.c ---- */

/* vault_open with other costs. */
int vault_keyring_open(const struct vault_options *options, const struct vault_setting *settings,
                       size_t count, const struct root_cost *cost, struct vault **ret,
                       struct vault_settings *ret_to_write, struct err *err) MUST_CHECK;

/* ---- root.c ---- */

/*
 * Which of `count` records is of the root key that the source gives? 0: that record and its wrap key are in
 * *ret. 1: none of them; then ret->record.id is what a key file's key has as its id ("" for a passphrase),
 * and there is nothing to free. ERR_CORRUPT: the right key, but the record's check value fails.
 */
int vault_root_read(const struct source *source, const struct format_root *records, size_t count,
                    struct root *ret, struct err *err) MUST_CHECK;
/* A new record and its wrap key, from what the source gives now. */
int vault_root_make(const struct source *source, const struct root_cost *cost, uint32_t generation,
                    struct root *ret, struct err *err) MUST_CHECK;
void vault_root_done(struct root *root);
/* Does "<place_path>.new" hold the root key of vault->other? */
int vault_root_find_staged(const struct vault *vault, bool *ret, struct err *err) MUST_CHECK;

#endif
