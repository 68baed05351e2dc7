/*
 * The root key: read from its source, recognised by its record, changed. What is kept of it in memory is the
 * sub-key that wraps; the key itself is wiped as soon as that is derived. The protocol of a change, and why a
 * crash at any point of it loses nothing, is in vault.h. Runs on the preparing thread only.
 */
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "keyring.h"

#define PASSPHRASE_WEAK 12 /* bytes; below it a warning */

void vault_root_done(struct root *root) {
    sodium_free(root->wrap_key);
    *root = (struct root){.wrap_key = NULL};
}

/* Takes over and wipes `root_key`. */
static int derive(uint8_t *root_key, char ret_id[VAULT_ROOT_ID_MAX], uint8_t **ret_wrap_key,
                  struct err *err) {
    uint8_t *wrap_key = sodium_malloc(FORMAT_KEY_BYTES);
    if (wrap_key == NULL) {
        sodium_free(root_key);
        return err_no_memory(err);
    }
    vault_format_derive_root(root_key, ret_id, wrap_key);
    vault_key_close(wrap_key);
    sodium_free(root_key);
    *ret_wrap_key = wrap_key;
    return 0;
}

/* 0 when a record has this id (takes over wrap_key then, and on failure), 1 when none has. */
static int match(const struct format_root *records, size_t count, const char *id, uint8_t *wrap_key,
                 struct root *ret, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(records[i].id, id) != 0) {
            continue;
        }
        if (!vault_format_verify_check(&records[i], wrap_key)) {
            sodium_free(wrap_key);
            return err_set(
                err, ERR_CORRUPT,
                "the vault's record of root key %s was altered (the key is the right one): restore a backup",
                id);
        }
        *ret = (struct root){.record = records[i], .wrap_key = wrap_key};
        return 0;
    }
    return 1;
}

static int read_key_file(const struct source *source, const struct format_root *records, size_t count,
                         struct root *ret, struct err *err) {
    uint8_t *root_key = NULL;
    uint8_t *wrap_key = NULL;
    struct root found = {.wrap_key = NULL};
    if (vault_source_read_key(source, &root_key, err) != 0 ||
        derive(root_key, found.record.id, &wrap_key, err) != 0) {
        return -1;
    }
    int status = match(records, count, found.record.id, wrap_key, &found, err);
    if (status == 1) {
        sodium_free(wrap_key);
    }
    if (status >= 0) {
        *ret = found;
    }
    return status;
}

/* Each passphrase record has its own salt, so each is tried. */
static int try_passphrase(const uint8_t *passphrase, size_t len, const struct format_root *records,
                          size_t count, struct root *ret, struct err *err) {
    int status = 1;
    for (size_t i = 0; i < count && status == 1; i++) {
        uint8_t *root_key = NULL;
        uint8_t *wrap_key = NULL;
        char id[VAULT_ROOT_ID_MAX];
        if (records[i].kind != FORMAT_ROOT_PASSPHRASE) {
            continue;
        }
        if (vault_source_derive_key(passphrase, len, &records[i], &root_key, err) != 0 ||
            derive(root_key, id, &wrap_key, err) != 0) {
            return -1;
        }
        status = match(&records[i], 1, id, wrap_key, ret, err);
        if (status == 1) {
            sodium_free(wrap_key);
        }
    }
    return status;
}

int vault_root_read(const struct source *source, const struct format_root *records, size_t count,
                    struct root *ret, struct err *err) {
    if (source->kind != VAULT_SOURCE_PASSPHRASE) {
        return read_key_file(source, records, count, ret, err);
    }
    uint8_t *passphrase = NULL;
    size_t len = 0;
    struct root found = {.wrap_key = NULL};
    if (vault_source_read_passphrase(source, &passphrase, &len, err) != 0) {
        return -1;
    }
    int status = try_passphrase(passphrase, len, records, count, &found, err);
    sodium_free(passphrase);
    if (status >= 0) {
        found.weak = len < PASSPHRASE_WEAK;
        *ret = found;
    }
    return status;
}

static int make_root_key(const struct source *source, const struct root_cost *cost, struct root *root,
                         uint8_t **ret_root_key, struct err *err) {
    if (source->kind != VAULT_SOURCE_PASSPHRASE) {
        root->record.kind = FORMAT_ROOT_KEY;
        return vault_source_read_key(source, ret_root_key, err);
    }
    uint8_t *passphrase = NULL;
    size_t len = 0;
    if (vault_source_read_passphrase(source, &passphrase, &len, err) != 0) {
        return -1;
    }
    root->record.kind = FORMAT_ROOT_PASSPHRASE;
    root->record.opslimit = cost->opslimit;
    root->record.memlimit = cost->memlimit;
    root->weak = len < PASSPHRASE_WEAK;
    randombytes_buf(root->record.salt, sizeof root->record.salt);
    int status = vault_source_derive_key(passphrase, len, &root->record, ret_root_key, err);
    sodium_free(passphrase);
    return status;
}

int vault_root_make(const struct source *source, const struct root_cost *cost, uint32_t generation,
                    struct root *ret, struct err *err) {
    struct root root = {.record = {.generation = generation, .created_ms = clock_realtime_ms()}};
    uint8_t *root_key = NULL;
    if (make_root_key(source, cost, &root, &root_key, err) != 0 ||
        derive(root_key, root.record.id, &root.wrap_key, err) != 0) {
        return -1;
    }
    randombytes_buf(root.record.nonce, sizeof root.record.nonce);
    vault_format_seal_check(&root.record, root.wrap_key);
    *ret = root;
    return 0;
}

/* ---- changing it ---- */

static bool has_pending(const struct vault *vault) {
    return vault->other.record.id[0] != '\0';
}

/* Where a new root key for the same source is put until it is switched to. */
static int init_staged(const struct vault *vault, struct source *ret, struct err *err) {
    enum vault_source kind =
        vault->source.kind == VAULT_SOURCE_PASSPHRASE ? VAULT_SOURCE_PASSPHRASE : VAULT_SOURCE_KEY_FILE;
    return vault_source_init(ret, kind, vault->staged_path, err);
}

/* Does the source give the root key of this record? 0, 1 (another) or -1 as root_read. */
static int gives(const struct source *source, const struct format_root *record, struct err *err) {
    struct root found;
    int status = vault_root_read(source, record, 1, &found, err);
    if (status == 0) {
        vault_root_done(&found);
    }
    return status;
}

int vault_root_find_staged(const struct vault *vault, bool *ret, struct err *err) {
    struct source staged;
    if (vault->source.kind == VAULT_SOURCE_CREDENTIAL || !vault_source_exists(vault->staged_path)) {
        *ret = false;
        return 0;
    }
    if (init_staged(vault, &staged, err) != 0) {
        return -1;
    }
    int status = gives(&staged, &vault->other.record, err);
    vault_source_done(&staged);
    if (status < 0 && err->code == ERR_USAGE) {
        /* A file that holds no root key is not the staged one, and no reason not to start. */
        err_clear(err);
        status = 1;
    }
    if (status < 0) {
        return -1;
    }
    *ret = status == 0;
    return 0;
}

/* Makes (or finds, after a crash) the random key of a change in place. */
static int stage_random(const struct vault *vault, struct source *ret, struct err *err) {
    if (vault->source.kind != VAULT_SOURCE_KEY_FILE && vault->source.kind != VAULT_SOURCE_DATA_DIR) {
        return err_set(
            err, ERR_USAGE,
            "the root key comes from %s, which bgppeerd cannot replace: name a file with the new one",
            vault->source.text);
    }
    if (!vault_source_exists(vault->staged_path)) {
        if (has_pending(vault)) {
            /* Switched to already, and only the finish failed? Then the key in place is the new one. */
            return vault_source_init(ret, VAULT_SOURCE_KEY_FILE, vault->place_path, err);
        }
        if (vault_source_create_key(vault->staged_path, err) != 0) {
            return -1;
        }
    }
    return init_staged(vault, ret, err);
}

static int choose_target(const struct vault *vault, const struct vault_new_root *new_root, struct source *ret,
                         struct err *err) {
    if (new_root->key_file != NULL && new_root->passphrase_file != NULL) {
        return err_set(err, ERR_USAGE, "a new root key comes from a key file or a passphrase file, not both");
    }
    if (new_root->key_file != NULL) {
        return vault_source_init(ret, VAULT_SOURCE_KEY_FILE, new_root->key_file, err);
    }
    if (new_root->passphrase_file != NULL) {
        return vault_source_init(ret, VAULT_SOURCE_PASSPHRASE, new_root->passphrase_file, err);
    }
    return stage_random(vault, ret, err);
}

/* The new root key; when a change is unfinished, it must be the one of that change. */
static int read_target(const struct vault *vault, const struct source *target, struct root *ret,
                       struct err *err) {
    if (has_pending(vault)) {
        int status = vault_root_read(target, &vault->other.record, 1, ret, err);
        return status != 1
                   ? status
                   : err_set(err, ERR_CONFLICT,
                             "a change to root key %s is unfinished, and %s gives another one: finish that "
                             "change with its own key, or cancel it",
                             vault->other.record.id, target->text);
    }
    if (vault->root.record.generation == UINT32_MAX) {
        return err_set(err, ERR_INTERNAL, "the numbers of root keys are used up");
    }
    struct root made;
    if (vault_root_make(target, &vault->cost, vault->root.record.generation + 1, &made, err) != 0) {
        return -1;
    }
    if (strcmp(made.record.id, vault->root.record.id) == 0) {
        vault_root_done(&made);
        return err_set(err, ERR_USAGE, "%s gives the root key that is in use already (%s)", target->text,
                       vault->root.record.id);
    }
    *ret = made;
    return 0;
}

/* Every key once more, under the new root key. */
static int write_wraps(struct vault *vault, struct err *err) {
    const struct root *root = &vault->prepared.new_root;
    if (vault_change_write_root(vault, &root->record, err) != 0 ||
        vault_change_write_key(vault, root, vault_key_fingerprint_form(vault), &vault->fingerprint, err) !=
            0) {
        return -1;
    }
    for (size_t i = 0; i < vault->key_count; i++) {
        if (vault_change_write_key(vault, root, FORMAT_NAME_KEY, &vault->keys[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int vault_prepare_root_change(struct vault *vault, const struct vault_new_root *new_root,
                              struct vault_settings *ret, struct err *err) {
    struct source target = {.path = NULL};
    if (vault_change_begin(vault, CHANGE_ROOT, vault->key_count + 2, err) != 0) {
        return -1;
    }
    int status = choose_target(vault, new_root, &target, err);
    if (status == 0) {
        status = read_target(vault, &target, &vault->prepared.new_root, err);
    }
    if (status == 0) {
        bool same_kind =
            (target.kind == VAULT_SOURCE_PASSPHRASE) == (vault->source.kind == VAULT_SOURCE_PASSPHRASE);
        bool in_place = new_root->key_file == NULL && new_root->passphrase_file == NULL;
        vault->prepared.staged = in_place || (vault->source.kind != VAULT_SOURCE_CREDENTIAL && same_kind &&
                                              strcmp(target.path, vault->staged_path) == 0);
        status = write_wraps(vault, err);
    }
    vault_source_done(&target);
    return vault_change_end(vault, status, ret);
}

int vault_switch_root_key(struct vault *vault, struct err *err) {
    struct source staged;
    if (vault->other.wrap_key == NULL || !vault->staged) {
        return err_set(err, ERR_CONFLICT,
                       "no new root key waits to be put in place: start a change of the root key first");
    }
    if (!vault_source_exists(vault->staged_path)) {
        /* Renamed already, by a call that could not make it durable? */
        int status = gives(&vault->source, &vault->other.record, err);
        if (status == 0) {
            return vault_source_sync_parent(vault->place_path, err);
        }
        return status < 0
                   ? -1
                   : err_set(err, ERR_CONFLICT, "the new root key's file %s is gone: cancel the change",
                             vault->staged_path);
    }
    if (init_staged(vault, &staged, err) != 0) {
        return -1;
    }
    /* The one moment in which a key file is lost: be sure that the new one opens what the database has. */
    int status = gives(&staged, &vault->other.record, err);
    vault_source_done(&staged);
    if (status == 1) {
        return err_set(err, ERR_CONFLICT, "%s no longer holds root key %s: cancel the change",
                       vault->staged_path, vault->other.record.id);
    }
    return status < 0 ? -1 : vault_source_replace(vault->staged_path, vault->place_path, err);
}

/* Everything wrapped under one root key. */
static int delete_wraps(struct vault *vault, const char *root_id, struct err *err) {
    if (vault_change_delete(vault, FORMAT_NAME_ROOT, root_id, 0, err) != 0 ||
        vault_change_delete(vault, FORMAT_NAME_FINGERPRINT, root_id, 0, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < vault->key_count; i++) {
        if (vault_change_delete(vault, FORMAT_NAME_KEY, root_id, vault->keys[i].id, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int vault_prepare_root_finish(struct vault *vault, struct vault_settings *ret, struct err *err) {
    if (vault->other.wrap_key == NULL) {
        return err_set(err, ERR_CONFLICT, "no change of the root key is under way in this process");
    }
    if (vault_change_begin(vault, CHANGE_FINISH, vault->key_count + 2, err) != 0) {
        return -1;
    }
    int status = gives(&vault->source, &vault->other.record, err);
    if (status == 1) {
        status = err_set(err, ERR_CONFLICT,
                         "%s does not give the new root key %s yet: put it in place, or restart with it",
                         vault->source.text, vault->other.record.id);
    }
    if (status == 0) {
        status = delete_wraps(vault, vault->root.record.id, err);
    }
    return vault_change_end(vault, status, ret);
}

int vault_prepare_root_cancel(struct vault *vault, struct vault_settings *ret, struct err *err) {
    if (!has_pending(vault)) {
        return err_set(err, ERR_CONFLICT, "no change of the root key is under way");
    }
    if (vault_change_begin(vault, CHANGE_CANCEL, vault->key_count + 2, err) != 0) {
        return -1;
    }
    int status = gives(&vault->source, &vault->root.record, err);
    if (status == 1) {
        status = err_set(err, ERR_CONFLICT,
                         "%s no longer gives root key %s, so the change cannot be cancelled: finish it",
                         vault->source.text, vault->root.record.id);
    }
    if (status == 0) {
        vault->prepared.staged = vault->staged;
        status = delete_wraps(vault, vault->other.record.id, err);
    }
    return vault_change_end(vault, status, ret);
}
