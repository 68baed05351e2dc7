/*
 * Opening and closing. Everything is read and checked before a vault is returned; nothing is changed but that
 * a first start creates the key file. The new vault is nobody else's yet, so no lock is taken.
 *
 * How a wrong root key is told from damage: every root key has a public id, and its record a checksum.
 * Records intact, but none with this key's id: the wrong key. Anything else that does not fit: damage.
 */
#include "keyring.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* What the settings hold, before anything is decrypted. */
struct stock {
    const struct vault_setting *settings;
    size_t count;
    struct format_root roots[VAULT_ROOTS_MAX];
    size_t root_count;
    bool has_wraps;
};

/* ---- reading the settings ---- */

/* Checks every name, and every root key's record. */
static int take_stock(const struct vault_setting *settings, size_t count, struct stock *ret,
                      struct err *err) {
    struct stock stock = {.settings = settings, .count = count};
    for (size_t i = 0; i < count; i++) {
        char root_id[VAULT_ROOT_ID_MAX];
        uint64_t key_id;
        enum format_name what = vault_format_parse_name(settings[i].name, root_id, &key_id);
        if (what == FORMAT_NAME_BAD) {
            return err_set(err, ERR_CORRUPT,
                           "the database has a vault setting with a malformed name: restore a backup");
        }
        stock.has_wraps = stock.has_wraps || what == FORMAT_NAME_KEY || what == FORMAT_NAME_FINGERPRINT;
        if (what != FORMAT_NAME_ROOT) {
            continue;
        }
        if (stock.root_count == VAULT_ROOTS_MAX) {
            return err_set(err, ERR_CORRUPT,
                           "the database has records of more than %d root keys: restore a backup",
                           VAULT_ROOTS_MAX);
        }
        if (vault_format_read_root(root_id, settings[i].value, settings[i].value_len,
                                   &stock.roots[stock.root_count], err) != 0) {
            return -1;
        }
        stock.root_count++;
    }
    if (stock.root_count == 2 && stock.roots[0].generation == stock.roots[1].generation) {
        return err_set(err, ERR_CORRUPT,
                       "the database has two root keys of one generation: restore a backup");
    }
    *ret = stock;
    return 0;
}

size_t vault_list_roots(const struct vault_setting *settings, size_t count,
                        char ret[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX]) {
    size_t found = 0;
    for (size_t i = 0; i < count && found < VAULT_ROOTS_MAX; i++) {
        uint64_t key_id;
        if (vault_format_parse_name(settings[i].name, ret[found], &key_id) == FORMAT_NAME_ROOT) {
            found++;
        }
    }
    return found;
}

static int unwrap(const struct root *root, const struct vault_setting *setting, enum format_name what,
                  uint64_t id, struct key *ret, struct err *err) {
    struct format_wrapped wrapped;
    uint8_t *bytes = sodium_malloc(FORMAT_KEY_BYTES);
    if (bytes == NULL) {
        return err_no_memory(err);
    }
    if (!vault_format_read_wrapped(setting->value, setting->value_len, &wrapped) ||
        !vault_format_unwrap_key(&wrapped, root->wrap_key, root->record.id, what, id, bytes)) {
        sodium_free(bytes);
        return err_set(err, ERR_CORRUPT,
                       "the vault's setting %s is damaged or was altered (the root key is the right one): "
                       "restore a backup",
                       setting->name);
    }
    vault_key_close(bytes);
    *ret = (struct key){.id = id, .created_ms = wrapped.created_ms, .bytes = bytes};
    return 0;
}

/* Into its place by id. */
static int insert_key(struct vault *vault, const struct key *key, struct err *err) {
    size_t at = vault->key_count;
    while (at > 0 && vault->keys[at - 1].id > key->id) {
        at--;
    }
    if (vault->key_count == VAULT_KEYS_MAX || (at > 0 && vault->keys[at - 1].id == key->id)) {
        return err_set(err, ERR_CORRUPT,
                       "the vault's keyring has too many keys, or one of them twice: restore a backup");
    }
    memmove(&vault->keys[at + 1], &vault->keys[at], (vault->key_count - at) * sizeof vault->keys[0]);
    vault->keys[at] = *key;
    vault->key_count++;
    return 0;
}

static int load_setting(struct vault *vault, const struct vault_setting *setting, struct err *err) {
    char root_id[VAULT_ROOT_ID_MAX];
    uint64_t key_id = 0;
    struct key key;
    enum format_name what = vault_format_parse_name(setting->name, root_id, &key_id);
    if ((what != FORMAT_NAME_KEY && what != FORMAT_NAME_FINGERPRINT) ||
        strcmp(root_id, vault->root.record.id) != 0) {
        return 0;
    }
    int status = -1;
    if (what == FORMAT_NAME_FINGERPRINT) {
        status = unwrap(&vault->root, setting, FORMAT_NAME_MARKING, key_id, &key, err);
        vault->marks_tokens = vault->marks_tokens || status == 0;
        if (status != 0 && err->code != ERR_CORRUPT) {
            return -1;
        }
    }
    if (status != 0) {
        err_clear(err);
        status = unwrap(&vault->root, setting, what, key_id, &key, err);
    }
    if (status != 0) {
        return -1;
    }
    if (what == FORMAT_NAME_FINGERPRINT && vault->fingerprint.bytes == NULL) {
        vault->fingerprint = key;
        return vault_key_fingerprint(&key, &vault->fingerprint_sub_key, err);
    }
    if (what == FORMAT_NAME_KEY && insert_key(vault, &key, err) == 0) {
        return 0;
    }
    sodium_free(key.bytes);
    return what == FORMAT_NAME_KEY
               ? -1
               : err_set(err, ERR_CORRUPT, "the vault has two fingerprint keys: restore a backup");
}

static int load_keys(struct vault *vault, const struct stock *stock, struct err *err) {
    for (size_t i = 0; i < stock->count; i++) {
        if (load_setting(vault, &stock->settings[i], err) != 0) {
            return -1;
        }
    }
    if (vault->key_count == 0 || vault->fingerprint.bytes == NULL) {
        return err_set(err, ERR_CORRUPT, "the vault's %s is missing from the database: restore a backup",
                       vault->key_count == 0 ? "data key" : "fingerprint key");
    }
    return 0;
}

/* ---- the root key at open ---- */

static bool has_wraps_of(const struct stock *stock, const char *id) {
    for (size_t i = 0; i < stock->count; i++) {
        char root_id[VAULT_ROOT_ID_MAX];
        uint64_t key_id;
        enum format_name what = vault_format_parse_name(stock->settings[i].name, root_id, &key_id);
        if ((what == FORMAT_NAME_KEY || what == FORMAT_NAME_FINGERPRINT) && strcmp(root_id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* "0123456789abcdef", "… or …". */
static void describe_roots(const struct stock *stock, char *out, size_t size) {
    snprintf(out, size, "%s%s%s%s", stock->roots[0].id,
             stock->roots[0].kind == FORMAT_ROOT_PASSPHRASE ? " (from a passphrase)" : "",
             stock->root_count > 1 ? " or " : "", stock->root_count > 1 ? stock->roots[1].id : "");
}

static int set_wrong_root(const struct vault *vault, const struct stock *stock, const char *id,
                          struct err *err) {
    char needed[128];
    describe_roots(stock, needed, sizeof needed);
    if (id[0] == '\0') {
        return err_set(
            err, ERR_USAGE,
            "wrong root key: %s does not give root key %s, which this database needs: start with that key, "
            "or restore the backup that belongs to this one; nothing was changed",
            vault->source.text, needed);
    }
    if (has_wraps_of(stock, id)) {
        return err_set(err, ERR_CORRUPT,
                       "the record of root key %s is missing from the database: restore a backup", id);
    }
    return err_set(
        err, ERR_USAGE,
        "wrong root key: %s holds root key %s, and this database needs %s: start with that key, or "
        "restore the backup that belongs to this one; nothing was changed",
        vault->source.text, id, needed);
}

static int find_root(struct vault *vault, const struct stock *stock, struct err *err) {
    struct root found = {.wrap_key = NULL};
    if (vault->source.kind == VAULT_SOURCE_DATA_DIR && !vault_source_exists(vault->source.path)) {
        char needed[128];
        describe_roots(stock, needed, sizeof needed);
        return err_set(
            err, ERR_USAGE,
            "this database needs root key %s, and there is neither a --vault-key-file, a systemd "
            "credential, a --vault-passphrase-file nor %s: put the key back or name it; nothing was changed",
            needed, vault->source.path);
    }
    int status = vault_root_read(&vault->source, stock->roots, stock->root_count, &found, err);
    if (status != 0) {
        return status < 0 ? -1 : set_wrong_root(vault, stock, found.record.id, err);
    }
    vault->root = found;
    return 0;
}

/* Nothing may be dropped with the old root key that the new one does not open. */
static int check_covered(const struct vault *vault, const struct stock *stock, const char *old_id,
                         size_t *ret_count, struct err *err) {
    *ret_count = 0;
    for (size_t i = 0; i < stock->count; i++) {
        char root_id[VAULT_ROOT_ID_MAX];
        uint64_t key_id;
        enum format_name what = vault_format_parse_name(stock->settings[i].name, root_id, &key_id);
        if (what == FORMAT_NAME_OTHER || strcmp(root_id, old_id) != 0) {
            continue;
        }
        if (what == FORMAT_NAME_KEY && vault_keyring_find(vault, key_id) == NULL) {
            return err_set(err, ERR_CORRUPT,
                           "data key %" PRIu64
                           " is in the database under root key %s only, and not under %s, which "
                           "replaced it: restore a backup",
                           key_id, old_id, vault->root.record.id);
        }
        (*ret_count)++;
    }
    return 0;
}

static int prepare_tidy(struct vault *vault, const struct stock *stock, const char *old_id, struct err *err) {
    size_t count;
    if (check_covered(vault, stock, old_id, &count, err) != 0 ||
        vault_change_begin(vault, CHANGE_TIDY, count, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < stock->count; i++) {
        char root_id[VAULT_ROOT_ID_MAX];
        uint64_t key_id = 0;
        enum format_name what = vault_format_parse_name(stock->settings[i].name, root_id, &key_id);
        if (what != FORMAT_NAME_OTHER && strcmp(root_id, old_id) == 0 &&
            vault_change_delete(vault, what, root_id, key_id, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A second root key's record: an older one was replaced by ours, a newer one is to replace ours. */
static int settle_other_root(struct vault *vault, const struct stock *stock, struct err *err) {
    for (size_t i = 0; i < stock->root_count; i++) {
        const struct format_root *record = &stock->roots[i];
        if (strcmp(record->id, vault->root.record.id) == 0) {
            continue;
        }
        if (record->generation < vault->root.record.generation) {
            return prepare_tidy(vault, stock, record->id, err);
        }
        vault->other.record = *record;
        if (vault_root_find_staged(vault, &vault->staged, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- first start ---- */

static int write_first(struct vault *vault, struct err *err) {
    struct change *change = &vault->prepared;
    vault->marks_tokens = true;
    if (vault_key_random(&change->new_key, 1, err) != 0 ||
        vault_key_random(&change->new_fingerprint, 0, err) != 0 ||
        vault_key_fingerprint(&change->new_fingerprint, &change->new_fingerprint_sub_key, err) != 0) {
        return -1;
    }
    return vault_change_write_root(vault, &vault->root.record, err) != 0 ||
                   vault_change_write_key(vault, &vault->root, vault_key_fingerprint_form(vault),
                                          &change->new_fingerprint, err) != 0 ||
                   vault_change_write_key(vault, &vault->root, FORMAT_NAME_KEY, &change->new_key, err) != 0
               ? -1
               : 0;
}

static int start_first(struct vault *vault, const struct vault_options *options, const struct stock *stock,
                       struct err *err) {
    if (stock->has_wraps || options->sealed_count > 0) {
        return err_set(err, ERR_CORRUPT,
                       "the vault's %s missing from the database, although it holds encrypted values: "
                       "restore a backup",
                       stock->has_wraps ? "record of its root key is" : "keys are");
    }
    if (options->must_exist) {
        return err_set(err, ERR_NOT_FOUND,
                       "this database has no vault yet: the service makes it on its first start");
    }
    bool missing = vault->source.kind == VAULT_SOURCE_DATA_DIR && !vault_source_exists(vault->source.path);
    if (missing && options->key_given) {
        return err_set(
            err, ERR_USAGE,
            "all instances of a fleet need the same root key: make one (openssl rand -hex 32, mode "
            "0600), and give it to each of them with --vault-key-file");
    }
    if (missing && vault_source_create_key(vault->source.path, err) != 0) {
        return -1;
    }
    if (vault_root_make(&vault->source, &vault->cost, 1, &vault->root, err) != 0 ||
        vault_change_begin(vault, CHANGE_FIRST, 3, err) != 0) {
        return -1;
    }
    return write_first(vault, err);
}

/* ---- open and close ---- */

static void add_warning(struct vault *vault, const char *text) {
    size_t used = strlen(vault->warning);
    snprintf(vault->warning + used, sizeof vault->warning - used, "%s%s", used > 0 ? "; " : "", text);
}

static void collect_warnings(struct vault *vault, const char *data_dir) {
    if (vault_source_beside(vault->source.path, data_dir)) {
        add_warning(vault,
                    "the root key lies beside the data that it protects: who copies the data directory can "
                    "read every password; keep the key elsewhere (--vault-key-file or a systemd credential)");
    }
    if (vault->root.weak) {
        add_warning(vault, "the vault's passphrase is short: who copies the database can guess it");
    }
    snprintf(vault->unfinished_warning, sizeof vault->unfinished_warning, "%s%s%s", vault->warning,
             vault->warning[0] != '\0' ? "; " : "",
             "a change of the root key is unfinished: finish it by starting with the new key (in place: with "
             "'bgppeerd vault change-root-key'), or 'bgppeerd vault cancel-root-key-change'");
}

/* The paths that a change in place works on. */
static int resolve_place(struct vault *vault, struct err *err) {
    vault->place_path = realpath(vault->source.path, NULL);
    if (vault->place_path == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "resolving the path of %s failed: %m", vault->source.text);
    }
    size_t size = strlen(vault->place_path) + sizeof SOURCE_STAGED_SUFFIX;
    vault->staged_path = base_malloc(size);
    if (vault->staged_path == NULL) {
        return err_no_memory(err);
    }
    snprintf(vault->staged_path, size, "%s" SOURCE_STAGED_SUFFIX, vault->place_path);
    return 0;
}

static int fill(struct vault *vault, const struct vault_options *options, const struct stock *stock,
                struct err *err) {
    if (vault_source_choose(options, &vault->source, err) != 0) {
        return -1;
    }
    if (stock->root_count == 0) {
        return start_first(vault, options, stock, err) != 0 ? -1 : resolve_place(vault, err);
    }
    return find_root(vault, stock, err) != 0 || resolve_place(vault, err) != 0 ||
                   load_keys(vault, stock, err) != 0 || settle_other_root(vault, stock, err) != 0
               ? -1
               : 0;
}

static int vault_new(const struct root_cost *cost, struct vault **ret, struct err *err) {
    pthread_rwlockattr_t attr;
    if (sodium_init() < 0) {
        return err_set(err, ERR_INTERNAL, "libsodium does not start: the system gives no random numbers");
    }
    struct vault *vault = base_calloc(1, sizeof *vault);
    if (vault == NULL || pthread_rwlockattr_init(&attr) != 0) {
        free(vault);
        return err_no_memory(err);
    }
    /* A steady stream of readers must not keep a key change waiting for ever. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int status = pthread_rwlock_init(&vault->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    if (status != 0) {
        free(vault);
        return err_no_memory(err);
    }
    atomic_init(&vault->unseals, 0);
    vault->cost = *cost;
    *ret = vault;
    return 0;
}

int vault_keyring_open(const struct vault_options *options, const struct vault_setting *settings,
                       size_t count, const struct root_cost *cost, struct vault **ret,
                       struct vault_settings *ret_to_write, struct err *err) {
    struct vault *vault = NULL;
    struct stock stock;
    if (vault_new(cost, &vault, err) != 0) {
        return -1;
    }
    if (take_stock(settings, count, &stock, err) != 0 || fill(vault, options, &stock, err) != 0) {
        vault_close(vault);
        return -1;
    }
    collect_warnings(vault, options->data_dir);
    *ret = vault;
    *ret_to_write =
        (struct vault_settings){.items = vault->prepared.settings, .count = vault->prepared.count};
    return 0;
}

int vault_open(const struct vault_options *options, const struct vault_setting *settings, size_t count,
               struct vault **ret, struct vault_settings *ret_to_write, struct err *err) {
    struct root_cost cost = {.opslimit = crypto_pwhash_OPSLIMIT_MODERATE,
                             .memlimit = crypto_pwhash_MEMLIMIT_MODERATE};
    return vault_keyring_open(options, settings, count, &cost, ret, ret_to_write, err);
}

/* ---- what others have written ---- */

/* The record of a change of the root key that is under way; ours must be there as well. */
static int find_records(const struct vault *vault, const struct stock *stock, struct root *ret_other,
                        struct err *err) {
    bool found = false;
    for (size_t i = 0; i < stock->root_count; i++) {
        if (strcmp(stock->roots[i].id, vault->root.record.id) == 0) {
            found = true;
        } else {
            ret_other->record = stock->roots[i];
        }
    }
    return found
               ? 0
               : err_set(
                     err, ERR_CONFLICT,
                     "the root key of this database was changed by another instance, and %s still gives the "
                     "old one: restart with the new root key",
                     vault->source.text);
}

/* `next` gets what was there before. */
static void take_keys(struct vault *vault, struct vault *next, struct root *other) {
    struct key keys[VAULT_KEYS_MAX];
    size_t count = vault->key_count;
    memcpy(keys, vault->keys, sizeof(keys));
    pthread_rwlock_wrlock(&vault->lock);
    memcpy(vault->keys, next->keys, sizeof(vault->keys));
    vault->key_count = next->key_count;
    vault->marks_tokens = next->marks_tokens;
    if (strcmp(vault->other.record.id, other->record.id) != 0) {
        struct root gone = vault->other;
        vault->other = *other;
        vault->staged = false;
        *other = gone;
    }
    pthread_rwlock_unlock(&vault->lock);
    memcpy(next->keys, keys, sizeof(next->keys));
    next->key_count = count;
}

int vault_follow(struct vault *vault, const struct vault_setting *settings, size_t count, struct err *err) {
    struct vault *next = base_calloc(1, sizeof(*next));
    struct root other = {.wrap_key = NULL};
    struct stock stock;
    if (next == NULL) {
        return err_no_memory(err);
    }
    next->root = vault->root; /* borrowed */
    int result = -1;
    if (take_stock(settings, count, &stock, err) == 0 && find_records(vault, &stock, &other, err) == 0 &&
        load_keys(next, &stock, err) == 0) {
        take_keys(vault, next, &other);
        vault_root_done(&other);
        result = 0;
    }
    for (size_t i = 0; i < next->key_count; i++) {
        sodium_free(next->keys[i].bytes);
    }
    sodium_free(next->fingerprint.bytes);
    sodium_free(next->fingerprint_sub_key);
    free(next);
    return result;
}

void vault_close(struct vault *vault) {
    if (vault == NULL) {
        return;
    }
    vault_discard(vault);
    for (size_t i = 0; i < vault->key_count; i++) {
        sodium_free(vault->keys[i].bytes);
    }
    sodium_free(vault->fingerprint.bytes);
    sodium_free(vault->fingerprint_sub_key);
    vault_root_done(&vault->root);
    vault_root_done(&vault->other);
    vault_source_done(&vault->source);
    free(vault->place_path);
    free(vault->staged_path);
    pthread_rwlock_destroy(&vault->lock);
    free(vault);
}

const char *vault_source_text(const struct vault *vault) {
    return vault->source.text;
}

const char *vault_warning(const struct vault *vault) {
    struct vault *locked = (struct vault *)(uintptr_t)vault;
    pthread_rwlock_rdlock(&locked->lock);
    bool unfinished = vault->other.record.id[0] != '\0';
    pthread_rwlock_unlock(&locked->lock);
    return unfinished ? vault->unfinished_warning : vault->warning;
}
