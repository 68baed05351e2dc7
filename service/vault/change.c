/*
 * Changes of keys in two halves: prepared (settings for the caller to commit) and applied (in memory, cannot
 * fail, because everything that can was done while preparing). The vault owns the one prepared change. Only
 * the preparing thread comes here; vault_apply takes the lock for writing while it exchanges pointers, and
 * frees old keys after it.
 */
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "keyring.h"

/* Roughly one setting's name and value. */
#define SETTING_BYTES (FORMAT_NAME_MAX + FORMAT_ROOT_BYTES)

int vault_change_begin(struct vault *vault, enum change_kind kind, size_t room, struct err *err) {
    if (vault->prepared.kind != CHANGE_NONE) {
        return err_set(err, ERR_CONFLICT,
                       "another change of the vault's keys is being written: try again when it is done");
    }
    if (kind != CHANGE_FIRST && vault->key_count == 0) {
        return err_set(err, ERR_UNAVAILABLE, "the vault has no keys yet: its first ones are not yet stored");
    }
    struct change *change = &vault->prepared;
    *change = (struct change){.kind = kind, .room = room};
    arena_init(&change->arena, room * (SETTING_BYTES + sizeof *change->settings));
    change->settings = arena_array(&change->arena, room, sizeof *change->settings);
    if (change->settings == NULL) {
        vault_discard(vault);
        return err_no_memory(err);
    }
    return 0;
}

static int add_setting(struct vault *vault, enum format_name what, const char *root_id, uint64_t key_id,
                       const void *value, size_t len, struct err *err) {
    struct change *change = &vault->prepared;
    char name[FORMAT_NAME_MAX];
    vault_format_write_name(name, what, root_id, key_id);
    if (change->count == change->room) {
        return err_set(err, ERR_INTERNAL, "a change of the vault's keys has more settings than foreseen");
    }
    struct vault_setting setting = {.name = arena_strdup(&change->arena, name), .value_len = len};
    if (value != NULL) {
        void *copy = arena_alloc(&change->arena, len);
        if (copy != NULL) {
            memcpy(copy, value, len);
        }
        setting.value = copy;
    }
    if (setting.name == NULL || (value != NULL && setting.value == NULL)) {
        return err_no_memory(err);
    }
    change->settings[change->count++] = setting;
    return 0;
}

int vault_change_write_root(struct vault *vault, const struct format_root *record, struct err *err) {
    uint8_t bytes[FORMAT_ROOT_BYTES];
    vault_format_write_root(record, bytes);
    return add_setting(vault, FORMAT_NAME_ROOT, record->id, 0, bytes, sizeof bytes, err);
}

int vault_change_write_key(struct vault *vault, const struct root *root, enum format_name what,
                           const struct key *key, struct err *err) {
    struct format_wrapped wrapped = {.created_ms = key->created_ms};
    uint8_t bytes[FORMAT_WRAPPED_BYTES];
    randombytes_buf(wrapped.nonce, sizeof wrapped.nonce);
    vault_format_wrap_key(&wrapped, root->wrap_key, root->record.id, what, key->id, key->bytes);
    vault_format_write_wrapped(&wrapped, bytes);
    return add_setting(vault, what, root->record.id, key->id, bytes, sizeof bytes, err);
}

int vault_change_delete(struct vault *vault, enum format_name what, const char *root_id, uint64_t key_id,
                        struct err *err) {
    return add_setting(vault, what, root_id, key_id, NULL, 0, err);
}

int vault_change_end(struct vault *vault, int status, struct vault_settings *ret) {
    if (status != 0) {
        vault_discard(vault);
        return -1;
    }
    *ret = (struct vault_settings){.items = vault->prepared.settings, .count = vault->prepared.count};
    return 0;
}

void vault_discard(struct vault *vault) {
    struct change *change = &vault->prepared;
    sodium_free(change->new_key.bytes);
    sodium_free(change->new_fingerprint.bytes);
    sodium_free(change->new_fingerprint_sub_key);
    vault_root_done(&change->new_root);
    arena_done(&change->arena);
    *change = (struct change){.kind = CHANGE_NONE};
}

/* Takes dropped keys out of the ring; their memory goes to `gone`. */
static size_t remove_dropped(struct vault *vault, const bool *dropped, uint8_t *gone[VAULT_KEYS_MAX]) {
    size_t kept = 0;
    size_t gone_count = 0;
    for (size_t i = 0; i < vault->key_count; i++) {
        if (dropped[i]) {
            gone[gone_count++] = vault->keys[i].bytes;
        } else {
            vault->keys[kept++] = vault->keys[i];
        }
    }
    vault->key_count = kept;
    return gone_count;
}

/* What was exchanged away is left in `change` (a root) or `gone`, to be freed without the lock. */
static size_t exchange(struct vault *vault, struct change *change, uint8_t *gone[VAULT_KEYS_MAX]) {
    struct root old;
    switch (change->kind) {
    case CHANGE_FIRST:
        vault->fingerprint = change->new_fingerprint;
        vault->fingerprint_sub_key = change->new_fingerprint_sub_key;
        change->new_fingerprint.bytes = NULL;
        change->new_fingerprint_sub_key = NULL;
        __attribute__((fallthrough));
    case CHANGE_ADD:
        vault->keys[vault->key_count++] = change->new_key;
        change->new_key.bytes = NULL;
        return 0;
    case CHANGE_DROP:
        return remove_dropped(vault, change->dropped, gone);
    case CHANGE_ROOT:
        old = vault->other;
        vault->other = change->new_root;
        vault->staged = change->staged;
        change->new_root = old;
        return 0;
    case CHANGE_FINISH:
        change->new_root = vault->root;
        vault->root = vault->other;
        vault->other = (struct root){.wrap_key = NULL};
        vault->staged = false;
        return 0;
    case CHANGE_CANCEL:
        change->new_root = vault->other;
        vault->other = (struct root){.wrap_key = NULL};
        vault->staged = false;
        return 0;
    case CHANGE_MARK:
        vault->marks_tokens = true;
        return 0;
    case CHANGE_NONE:
    case CHANGE_TIDY:
        break;
    }
    return 0;
}

void vault_apply(struct vault *vault) {
    uint8_t *gone[VAULT_KEYS_MAX];
    pthread_rwlock_wrlock(&vault->lock);
    size_t gone_count = exchange(vault, &vault->prepared, gone);
    pthread_rwlock_unlock(&vault->lock);
    for (size_t i = 0; i < gone_count; i++) {
        sodium_free(gone[i]);
    }
    if (vault->prepared.kind == CHANGE_CANCEL && vault->prepared.staged) {
        /* Should this fail, the next change finds the file and uses it. */
        unlink(vault->staged_path);
    }
    vault_discard(vault);
}
