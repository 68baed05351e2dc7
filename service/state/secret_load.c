/*
 * Secrets as they are kept: loaded with their sealed rows, and sealed anew when a data key is rotated. A
 * plaintext lives only to be judged, and is wiped again. Runs on the committer, on a rotating thread, or at
 * boot; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "model/resources.h"
#include "secrets.h"

struct vault_place secret_value_place(const struct meta *meta, const char *key, uint64_t version) {
    return (struct vault_place){
        .secret_namespace = meta->name_space, .secret_name = meta->name, .item = key, .version = version};
}

struct vault_sealed secret_value_sealed(const struct secret_value *value) {
    return (struct vault_sealed){.key_id = value->key_id,
                                 .nonce = value->nonce,
                                 .nonce_len = VAULT_NONCE_BYTES,
                                 .ciphertext = value->ciphertext,
                                 .ciphertext_len = value->ciphertext_len};
}

void secret_judge_value(struct secret_value *value, const void *bytes, size_t len) {
    value->flaw = password_check(bytes, len);
    value->state = value->flaw == PASSWORD_USABLE     ? SECRET_USABLE
                   : value->flaw == PASSWORD_EMPTY    ? SECRET_EMPTY
                   : value->flaw == PASSWORD_TOO_LONG ? SECRET_TOO_LONG
                                                      : SECRET_UNUSABLE;
}

const uint8_t *secret_copy_bytes(struct arena *arena, const uint8_t *bytes, size_t len) {
    uint8_t *copy = arena_alloc(arena, len);

    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

/* ---- loading ---- */

int sealed_rows_add(struct sealed_rows *rows, const struct store_sealed *row, struct err *err) {
    struct store_sealed *items = base_grow(rows->items, rows->count, &rows->cap, 256, sizeof(*items));

    if (items == NULL) {
        return err_no_memory(err);
    }
    rows->items = items;
    struct store_sealed *copy = &rows->items[rows->count];

    *copy = *row;
    copy->object = arena_strdup(&rows->arena, row->object);
    copy->item = arena_strdup(&rows->arena, row->item);
    copy->nonce = secret_copy_bytes(&rows->arena, row->nonce, row->nonce_len);
    copy->ciphertext = secret_copy_bytes(&rows->arena, row->ciphertext, row->ciphertext_len);
    if (rows->arena.failed) {
        return err_no_memory(err);
    }
    rows->count++;
    return 0;
}

void sealed_rows_done(struct sealed_rows *rows) {
    arena_done(&rows->arena);
    free(rows->items);
}

/* The store reads them in the order of object, then item. */
static const struct store_sealed *find_row(const struct sealed_rows *rows, const char *object,
                                           const char *item) {
    size_t low = 0, high = rows->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(rows->items[middle].object, object);

        order = order != 0 ? order : strcmp(rows->items[middle].item, item);
        if (order == 0) {
            return &rows->items[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Earlier versions told more of a value: a fingerprint that was equal for equal values anywhere, and its
 * length. */
static void describe_anew(struct vault *vault, const struct vault_place *place, const struct buf *plain,
                          struct arena *arena, struct secret_value *value, bool *ret_altered) {
    char fingerprint[VAULT_FINGERPRINT_MAX];
    struct err ignored = ERR_INIT; /* a vault that has just decrypted has its keys */

    if (vault_fingerprint(vault, place, plain->data, plain->len, fingerprint, &ignored) == 0 &&
        (strcmp(value->fingerprint, fingerprint) != 0 || value->size != secret_rounded_size(plain->len))) {
        value->fingerprint = arena_strdup(arena, fingerprint);
        value->size = secret_rounded_size(plain->len);
        *ret_altered = true;
    }
}

/* Decrypt once, to know whether it can be had and used; the plaintext is wiped again. */
static void load_value(struct vault *vault, const struct meta *meta, const struct store_sealed *row,
                       struct arena *arena, struct secret_value *value, bool *ret_altered) {
    struct vault_place place = secret_value_place(meta, value->key, value->version);
    struct buf plain = BUF_INIT;
    struct err err = ERR_INIT;

    value->key_id = row == NULL ? 0 : row->key_id; /* even of a value that cannot be read: its key stays */
    if (row == NULL) {
        err_set(&err, ERR_CORRUPT, "its row is missing from the database");
    } else if (row->version != value->version) {
        err_set(&err, ERR_CORRUPT, "its row holds version %llu, the Secret says %llu",
                (unsigned long long)row->version, (unsigned long long)value->version);
    } else {
        struct vault_sealed sealed = {.key_id = row->key_id,
                                      .nonce = row->nonce,
                                      .nonce_len = row->nonce_len,
                                      .ciphertext = row->ciphertext,
                                      .ciphertext_len = row->ciphertext_len};

        if (vault_unseal(vault, &place, &sealed, &plain, &err) == 0) {
            secret_judge_value(value, plain.data, plain.len);
            value->nonce = secret_copy_bytes(arena, row->nonce, row->nonce_len);
            value->ciphertext = secret_copy_bytes(arena, row->ciphertext, row->ciphertext_len);
            value->ciphertext_len = row->ciphertext_len;
            describe_anew(vault, &place, &plain, arena, value, ret_altered);
        }
    }
    buf_done(&plain);
    if (err.code != ERR_NONE) {
        value->state = SECRET_UNREADABLE;
        log_event(LOG_ERROR, "secret-unreadable", LOG_STR("namespace", meta->name_space),
                  LOG_STR("secret", meta->name), LOG_STR("key", value->key), LOG_STR("error", err.text));
    }
}

int secret_load(struct vault *vault, const struct sealed_rows *rows, struct object *object,
                struct arena *arena, bool *ret_altered, struct err *err) {
    struct secret *secret = object->body;
    const char *key = object_key(object, arena);

    *ret_altered = false;
    if (key == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < secret->values.count; i++) {
        struct secret_value *value = (struct secret_value *)secret->values.items + i;

        if (vault == NULL) {
            value->state = SECRET_UNREADABLE;
        } else {
            load_value(vault, &object->meta, find_row(rows, key, value->key), arena, value, ret_altered);
        }
    }
    return arena->failed ? err_no_memory(err) : 0;
}

/* ---- the past ---- */

static const struct secret_value *find_version(const struct record *record,
                                               const struct secret_value *wanted) {
    const struct secret *secret = record != NULL ? record->object->body : NULL;
    const struct secret_value *values = secret != NULL ? secret->values.items : NULL;
    for (size_t i = 0; values != NULL && i < secret->values.count; i++) {
        if (strcmp(values[i].key, wanted->key) == 0 && values[i].version == wanted->version) {
            return &values[i];
        }
    }
    return NULL;
}

void secret_judge_past(struct record *then, const struct record *later, bool has_vault) {
    const struct secret *secret = then->object->body;
    struct secret_value *values = (struct secret_value *)secret->values.items;
    for (size_t i = 0; i < secret->values.count; i++) {
        const struct secret_value *same = find_version(later, &values[i]);
        if (same != NULL) {
            values[i].state = same->state;
            values[i].flaw = same->flaw;
        } else {
            values[i].state = !has_vault                                                ? SECRET_UNREADABLE
                              : values[i].size == 0                                     ? SECRET_EMPTY
                              : values[i].size > secret_rounded_size(PASSWORD_SIZE_MAX) ? SECRET_TOO_LONG
                                                                                        : SECRET_USABLE;
        }
    }
}

/* ---- rotation ---- */

static int reseal_value(struct vault *vault, const struct meta *meta, struct arena *arena,
                        struct secret_value *value, bool *ret_changed, struct err *err) {
    const struct vault_place place = secret_value_place(meta, value->key, value->version);
    const struct vault_sealed old = secret_value_sealed(value);
    struct vault_sealed sealed;

    if (value->state == SECRET_UNREADABLE || value->key_id == vault_active_key(vault)) {
        return 0;
    }
    if (vault_reseal(vault, &place, &old, arena, &sealed, err) != 0) {
        if (err->code != ERR_CORRUPT) {
            return -1;
        }
        log_event(LOG_ERROR, "secret-unreadable", LOG_STR("namespace", meta->name_space),
                  LOG_STR("secret", meta->name), LOG_STR("key", value->key), LOG_STR("error", err->text));
        err_clear(err);
        return 0;
    }
    value->key_id = sealed.key_id;
    value->nonce = sealed.nonce;
    value->ciphertext = sealed.ciphertext;
    value->ciphertext_len = sealed.ciphertext_len;
    *ret_changed = true;
    return 0;
}

/* The Secret as it is stored, with the sealed values of `from`, in an arena of its own. */
static int copy_stored(const char *json, size_t json_len, const struct secret *from, struct arena *arena,
                       struct object **ret, struct err *err) {
    struct secret *secret;

    if (codec_decode_stored(KIND_SECRET, json, json_len, arena, ret, err) != 0) {
        return -1;
    }
    secret = (*ret)->body;
    if (secret->values.count != from->values.count) {
        return err_set(err, ERR_INTERNAL, "Secret \"%s\" is encoded with %zu values instead of %zu",
                       (*ret)->meta.name, secret->values.count, from->values.count);
    }
    for (size_t i = 0; i < secret->values.count; i++) {
        if (secret_keep_value((const struct secret_value *)from->values.items + i, arena,
                              (struct secret_value *)secret->values.items + i, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int new_record(struct arena *arena, const struct object *object, const char *json, size_t json_len,
                      struct record **ret, struct err *err) {
    const char *key = object_key(object, arena);
    const char *copy = arena_strndup(arena, json, json_len);

    if (key == NULL || copy == NULL) {
        arena_done(arena);
        return err_no_memory(err);
    }
    return record_new(arena, object, key, copy, json_len, ret, err);
}

int secret_record(struct arena *written, const struct object *object, const char *json, size_t json_len,
                  struct record **ret, struct err *err) {
    struct object *stored;
    struct arena arena;

    arena_init(&arena, 0);
    if (copy_stored(json, json_len, object->body, &arena, &stored, err) != 0) {
        arena_done(&arena);
        return -1;
    }
    if (new_record(&arena, stored, json, json_len, ret, err) != 0) {
        return -1;
    }
    if (written != NULL) {
        written->wipe = true;
        arena_done(written);
    }
    return 0;
}

int secret_reseal(struct vault *vault, const struct record *record, struct record **ret, struct err *err) {
    struct object *object;
    struct secret *secret;
    struct arena arena;
    bool changed = false;

    arena_init(&arena, 0);
    if (copy_stored(record->json, record->json_len, record->object->body, &arena, &object, err) != 0) {
        goto fail;
    }
    secret = object->body;
    for (size_t i = 0; i < secret->values.count; i++) {
        if (reseal_value(vault, &object->meta, &arena, (struct secret_value *)secret->values.items + i,
                         &changed, err) != 0) {
            goto fail;
        }
    }
    if (!changed) {
        arena_done(&arena);
        *ret = NULL;
        return 0;
    }
    return new_record(&arena, object, record->json, record->json_len, ret, err);
fail:
    arena_done(&arena);
    return -1;
}
