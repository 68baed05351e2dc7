/*
 * The keyring: data keys in guarded memory (see keyring.h for that and for the lock), their rotation, and
 * what can be asked about them. Rotation only prepares here; change.c applies.
 */
#include "keyring.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"

void vault_key_close(uint8_t *bytes) {
    /* A second line of defence: where the system refuses it, the key is as good. */
    (void)sodium_mprotect_readonly(bytes);
}

int vault_key_random(struct key *key, uint64_t id, struct err *err) {
    uint8_t *bytes = sodium_malloc(FORMAT_KEY_BYTES);
    if (bytes == NULL) {
        return err_no_memory(err);
    }
    randombytes_buf(bytes, FORMAT_KEY_BYTES);
    vault_key_close(bytes);
    *key = (struct key){.id = id, .created_ms = clock_realtime_ms(), .bytes = bytes};
    return 0;
}

int vault_key_fingerprint(const struct key *fingerprint, uint8_t **ret, struct err *err) {
    uint8_t *sub_key = sodium_malloc(FORMAT_KEY_BYTES);
    if (sub_key == NULL) {
        return err_no_memory(err);
    }
    vault_format_derive_fingerprint_key(fingerprint->bytes, sub_key);
    vault_key_close(sub_key);
    *ret = sub_key;
    return 0;
}

enum format_name vault_key_fingerprint_form(const struct vault *vault) {
    return vault->marks_tokens ? FORMAT_NAME_MARKING : FORMAT_NAME_FINGERPRINT;
}

const struct key *vault_keyring_active(const struct vault *vault) {
    return vault->key_count > 0 ? &vault->keys[vault->key_count - 1] : NULL;
}

const struct key *vault_keyring_find(const struct vault *vault, uint64_t id) {
    for (size_t i = vault->key_count; i-- > 0;) {
        if (vault->keys[i].id == id) {
            return &vault->keys[i];
        }
    }
    return NULL;
}

/* ---- rotation ---- */

int vault_prepare_data_key(struct vault *vault, struct vault_settings *ret, struct err *err) {
    if (vault->key_count == VAULT_KEYS_MAX) {
        return err_set(err, ERR_CONFLICT,
                       "the vault has %d data keys: finish the last rotation, so that old ones can go",
                       VAULT_KEYS_MAX);
    }
    if (vault->other.record.id[0] != '\0') {
        return err_set(
            err, ERR_CONFLICT,
            "a change to root key %s is unfinished: finish or cancel it before rotating the data key",
            vault->other.record.id);
    }
    if (vault_change_begin(vault, CHANGE_ADD, 1, err) != 0) {
        return -1;
    }
    struct key *key = &vault->prepared.new_key;
    const struct key *active = vault_keyring_active(vault);
    assert(active != NULL); /* an open vault has one */
    int status = vault_key_random(key, active->id + 1, err);
    if (status == 0) {
        status = vault_change_write_key(vault, &vault->root, FORMAT_NAME_KEY, key, err);
    }
    return vault_change_end(vault, status, ret);
}

static bool is_used(const uint64_t *used, size_t used_count, uint64_t id) {
    for (size_t i = 0; i < used_count; i++) {
        if (used[i] == id) {
            return true;
        }
    }
    return false;
}

int vault_prepare_drop_unused(struct vault *vault, const uint64_t *used, size_t used_count,
                              struct vault_settings *ret, struct err *err) {
    if (vault_change_begin(vault, CHANGE_DROP, vault->key_count * VAULT_ROOTS_MAX, err) != 0) {
        return -1;
    }
    int status = 0;
    for (size_t i = 0; i + 1 < vault->key_count && status == 0; i++) {
        uint64_t id = vault->keys[i].id;
        if (is_used(used, used_count, id)) {
            continue;
        }
        vault->prepared.dropped[i] = true;
        status = vault_change_delete(vault, FORMAT_NAME_KEY, vault->root.record.id, id, err);
        if (status == 0 && vault->other.record.id[0] != '\0') {
            status = vault_change_delete(vault, FORMAT_NAME_KEY, vault->other.record.id, id, err);
        }
    }
    return vault_change_end(vault, status, ret);
}

/* ---- questions ---- */

void vault_status(struct vault *vault, struct vault_status *ret) {
    *ret = (struct vault_status){.source = vault->source.kind};
    pthread_rwlock_rdlock(&vault->lock);
    memcpy(ret->root_id, vault->root.record.id, sizeof ret->root_id);
    memcpy(ret->pending_id, vault->other.record.id, sizeof ret->pending_id);
    ret->root_created_ms = vault->root.record.created_ms;
    ret->switchable = vault->staged;
    ret->key_count = vault->key_count;
    for (size_t i = 0; i < vault->key_count; i++) {
        ret->keys[i] = (struct vault_key_status){.id = vault->keys[i].id,
                                                 .created_ms = vault->keys[i].created_ms,
                                                 .active = i + 1 == vault->key_count};
    }
    pthread_rwlock_unlock(&vault->lock);
}

bool vault_status_count(struct vault_status *status, uint64_t key_id) {
    for (size_t i = status->key_count; i-- > 0;) {
        if (status->keys[i].id == key_id) {
            status->keys[i].values++;
            return true;
        }
    }
    return false;
}

uint64_t vault_active_key(struct vault *vault) {
    pthread_rwlock_rdlock(&vault->lock);
    const struct key *key = vault_keyring_active(vault);
    uint64_t id = key != NULL ? key->id : 0;
    pthread_rwlock_unlock(&vault->lock);
    return id;
}

bool vault_has_key(struct vault *vault, uint64_t key_id) {
    pthread_rwlock_rdlock(&vault->lock);
    bool has = vault_keyring_find(vault, key_id) != NULL;
    pthread_rwlock_unlock(&vault->lock);
    return has;
}
