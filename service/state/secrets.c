/*
 * Secrets: between the vault, which seals, and the store, which keeps rows. Plaintext comes in with a write's
 * object, whose arena is wiped as soon as the record is made; nothing here holds one longer than a call. Runs
 * on the committer, on a previewing thread, or at boot; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/resources.h"
#include "state_internal.h"

/* What every value reads as; written back, it means "keep". Its base64 is KipyZWRhY3RlZCoq. */
static const char marker[] = "**redacted**";

static const struct secret_value *find_value(const struct record *record, const char *key) {
    const struct secret *secret = record == NULL ? NULL : record->object->body;
    const struct secret_value *values = secret == NULL ? NULL : secret->values.items;

    for (size_t i = 0; secret != NULL && i < secret->values.count; i++) {
        if (strcmp(values[i].key, key) == 0) {
            return &values[i];
        }
    }
    return NULL;
}

static struct vault_place value_place(const struct meta *meta, const char *key, uint64_t version) {
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

static enum secret_value_state value_state(const void *bytes, size_t len) {
    switch (vault_check_password(bytes, len)) {
    case VAULT_PASSWORD_EMPTY:
        return SECRET_EMPTY;
    case VAULT_PASSWORD_TOO_LONG:
        return SECRET_TOO_LONG;
    case VAULT_PASSWORD_UNUSABLE:
        return SECRET_UNUSABLE;
    case VAULT_PASSWORD_USABLE:
        break;
    }
    return SECRET_USABLE;
}

static const uint8_t *arena_copy(struct arena *arena, const uint8_t *bytes, size_t len) {
    uint8_t *copy = arena_alloc(arena, len);

    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

/* ---- writing ---- */

/* A copy whose memory is the new object's: records do not share memory. */
static int keep_value(const struct secret_value *old, struct arena *arena, struct secret_value *ret,
                      struct err *err) {
    *ret = *old;
    ret->key = arena_strdup(arena, old->key);
    ret->fingerprint = arena_strdup(arena, old->fingerprint);
    if (old->nonce != NULL) {
        ret->nonce = arena_copy(arena, old->nonce, VAULT_NONCE_BYTES);
        ret->ciphertext = arena_copy(arena, old->ciphertext, old->ciphertext_len);
    }
    return arena->failed ? err_no_memory(err) : 0;
}

static int new_value(struct draft *draft, const struct meta *meta, const struct secret_value *old,
                     const struct byte_value *plain, struct arena *arena, struct secret_value *ret,
                     struct err *err) {
    char fingerprint[VAULT_FINGERPRINT_MAX];
    struct vault_place place;
    struct vault_sealed sealed;

    if (vault_fingerprint(draft->vault, plain->bytes, plain->len, fingerprint, err) < 0) {
        return -1;
    }
    if (old != NULL && old->state != SECRET_UNREADABLE && old->size == plain->len &&
        strcmp(old->fingerprint, fingerprint) == 0) {
        return keep_value(old, arena, ret, err);
    }
    /* The write's revision never comes again, so no two values of one key share a version. */
    place = value_place(meta, plain->key, draft->revision + 1);
    if (vault_seal(draft->vault, &place, plain->bytes, plain->len, arena, &sealed, err) < 0) {
        return -1;
    }
    *ret = (struct secret_value){
        .key = arena_strdup(arena, plain->key),
        .version = place.version,
        .size = (uint32_t)plain->len,
        .modified_ms = draft->now_ms,
        .fingerprint = arena_strdup(arena, fingerprint),
        .state = value_state(plain->bytes, plain->len),
        .key_id = sealed.key_id,
        .nonce = sealed.nonce,
        .ciphertext = sealed.ciphertext,
        .ciphertext_len = sealed.ciphertext_len,
    };
    return arena->failed ? err_no_memory(err) : 0;
}

static int compare_plain(const void *a, const void *b) {
    return strcmp(((const struct byte_value *)a)->key, ((const struct byte_value *)b)->key);
}

/* data and stringData in one sorted list; stringData wins, as in Kubernetes. */
static struct byte_value *merge_plain(const struct secret *secret, struct arena *arena, size_t *ret_count) {
    size_t count = secret->data.count;
    struct byte_value *plain = arena_array(arena, count + secret->string_data.count, sizeof *plain);

    if (plain == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(plain, secret->data.items, count * sizeof *plain);
    }
    for (size_t i = 0; i < secret->string_data.count; i++) {
        const struct label *text = &secret->string_data.items[i];
        size_t at = 0;

        while (at < count && strcmp(plain[at].key, text->key) != 0) {
            at++;
        }
        plain[at] = (struct byte_value){
            .key = text->key, .bytes = (const uint8_t *)text->value, .len = strlen(text->value)};
        count = at == count ? count + 1 : count;
    }
    qsort(plain, count, sizeof *plain, compare_plain);
    *ret_count = count;
    return plain;
}

static bool ref_names(const struct bgp_password *password, const char *secret, const char *key) {
    const struct secret_key_ref *ref = password == NULL ? NULL : password->secret_key_ref;

    return ref != NULL && ref->name != NULL && ref->key != NULL && strcmp(ref->name, secret) == 0 &&
           (key == NULL || strcmp(ref->key, key) == 0);
}

/* The name of a resource whose password is this key of the Secret (key NULL: any); NULL = none. */
static const char *find_user(const struct snapshot *snapshot, const char *secret_namespace,
                             const struct meta *meta, const char *key) {
    struct snapshot_cursor cursor;
    const struct record *record;

    if (strcmp(meta->name_space, secret_namespace) != 0) {
        return NULL;
    }
    for (record = snapshot_seek(&cursor, snapshot, KIND_BGPPEER, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct bgp_peer *peer = record->object->body;

        if (peer->spec != NULL && ref_names(peer->spec->password, meta->name, key)) {
            return record->key;
        }
    }
    record = snapshot_get(snapshot, KIND_BGPCONFIGURATION, "default");
    if (record != NULL) {
        const struct bgp_configuration *configuration = record->object->body;

        if (configuration->spec != NULL &&
            ref_names(configuration->spec->node_mesh_password, meta->name, key)) {
            return record->key;
        }
    }
    return NULL;
}

/* A value that sessions use must be one that daemons can take; others may hold anything. */
static void check_use(const struct draft *draft, const struct meta *meta, const struct secret_value *value,
                      const char *path, struct causes *causes) {
    static const char *const why[] = {
        [SECRET_EMPTY] = "it is empty",
        [SECRET_TOO_LONG] = "it is longer than 80 bytes, the most that TCP MD5 signatures take",
        [SECRET_UNUSABLE] = "it holds a NUL, a newline or a double quote, which not every daemon's "
                            "configuration can carry",
    };
    const char *user;

    if (value->state != SECRET_EMPTY && value->state != SECRET_TOO_LONG && value->state != SECRET_UNUSABLE) {
        return;
    }
    user = find_user(draft->base, draft->secret_namespace, meta, value->key);
    if (user != NULL) {
        causes_add(causes, CAUSE_INVALID, path,
                   "\"%s\" uses this key as its BGP password, and the value cannot be one: %s", user,
                   why[value->state]);
    }
}

/* `immutable: true` freezes the values and itself until the Secret is deleted. */
static void check_immutable(const struct record *current, const struct secret *next, struct causes *causes) {
    const struct secret *now = current == NULL ? NULL : current->object->body;
    const struct secret_value *values = next->values.items;
    bool same;

    if (now == NULL || !now->immutable.set || !now->immutable.value) {
        return;
    }
    if (!next->immutable.set || !next->immutable.value) {
        causes_add(
            causes, CAUSE_FORBIDDEN, "immutable",
            "Forbidden: field is immutable when `immutable` is set; delete the Secret and create it again");
    }
    same = now->values.count == next->values.count;
    for (size_t i = 0; same && i < next->values.count; i++) {
        const struct secret_value *old = find_value(current, values[i].key);

        same = old != NULL && old->version == values[i].version;
    }
    if (!same) {
        causes_add(
            causes, CAUSE_FORBIDDEN, "data",
            "Forbidden: field is immutable when `immutable` is set; delete the Secret and create it again");
    }
}

int secret_seal(struct draft *draft, struct write *write, const struct record *current, struct object *object,
                struct arena *arena, struct err *err) {
    struct secret *secret = object->body;
    struct secret_value *values;
    struct byte_value *plain;
    size_t count = 0;

    if (draft->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault, so it cannot keep Secrets");
    }
    plain = merge_plain(secret, write->arena, &count);
    values = arena_array(arena, count, sizeof *values);
    if (plain == NULL || values == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        const struct secret_value *old = find_value(current, plain[i].key);
        const char *path = arena_printf(write->arena, "data[%s]", plain[i].key);
        bool keep = plain[i].len == strlen(marker) && memcmp(plain[i].bytes, marker, plain[i].len) == 0;

        if (path == NULL) {
            return err_no_memory(err);
        }
        if (keep && old == NULL) {
            causes_add(&write->causes, CAUSE_INVALID, path,
                       "Invalid value: this is the marker that stands for a stored value, but there is no "
                       "value under this "
                       "key; write the value itself");
            continue;
        }
        if ((keep ? keep_value(old, arena, &values[i], err)
                  : new_value(draft, &object->meta, old, &plain[i], arena, &values[i], err)) < 0) {
            return -1;
        }
        check_use(draft, &object->meta, &values[i], path, &write->causes);
    }
    if (secret->type == NULL || secret->type[0] == '\0') {
        secret->type = "Opaque"; /* as Kubernetes */
    }
    secret->data = (struct byte_map){0};
    secret->string_data = (struct label_set){0};
    secret->values = (struct list){.count = count, .items = values};
    if (write->causes.count == 0) {
        check_immutable(current, secret, &write->causes);
    }
    if (write->causes.count > 0) {
        return err_set(err, ERR_INVALID, "Secret \"%s\" is invalid: %s: %s", object->meta.name,
                       write->causes.items[0].field, write->causes.items[0].message);
    }
    return 0;
}

static int add_row(struct draft *draft, const struct store_sealed *row, struct err *err) {
    struct store_sealed *rows =
        base_grow(draft->sealed, draft->sealed_count, &draft->sealed_cap, 16, sizeof *rows);

    if (rows == NULL) {
        return err_no_memory(err);
    }
    draft->sealed = rows;
    draft->sealed[draft->sealed_count++] = *row;
    return 0;
}

int secret_add_rows(struct draft *draft, const struct record *before, const struct record *after,
                    struct err *err) {
    const struct secret *old = before == NULL ? NULL : before->object->body;
    const struct secret *new = after == NULL ? NULL : after->object->body;

    for (size_t i = 0; old != NULL && i < old->values.count; i++) {
        const struct secret_value *value = (const struct secret_value *)old->values.items + i;

        if ((after == NULL || find_value(after, value->key) == NULL) &&
            add_row(draft, &(struct store_sealed){.object = before->key, .item = value->key}, err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; new != NULL &&i < new->values.count; i++) {
        const struct secret_value *value = (const struct secret_value *)new->values.items + i;
        const struct secret_value *previous = find_value(before, value->key);
        const struct store_sealed row = {.object = after->key,
                                         .item = value->key,
                                         .version = value->version,
                                         .key_id = value->key_id,
                                         .nonce = value->nonce,
                                         .nonce_len = VAULT_NONCE_BYTES,
                                         .ciphertext = value->ciphertext,
                                         .ciphertext_len = value->ciphertext_len};

        if (previous != NULL && previous->version == value->version && previous->key_id == value->key_id) {
            continue; /* the row stands already */
        }
        if (add_row(draft, &row, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- loading ---- */

int sealed_rows_add(struct sealed_rows *rows, const struct store_sealed *row, struct err *err) {
    struct store_sealed *items = base_grow(rows->items, rows->count, &rows->cap, 256, sizeof *items), *copy;

    if (items == NULL) {
        return err_no_memory(err);
    }
    rows->items = items;
    copy = &rows->items[rows->count];
    *copy = *row;
    copy->object = arena_strdup(&rows->arena, row->object);
    copy->item = arena_strdup(&rows->arena, row->item);
    copy->nonce = arena_copy(&rows->arena, row->nonce, row->nonce_len);
    copy->ciphertext = arena_copy(&rows->arena, row->ciphertext, row->ciphertext_len);
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

/* Decrypt once, to know whether it can be had and used; the plaintext is wiped again. */
static void load_value(struct vault *vault, const struct meta *meta, const struct store_sealed *row,
                       struct arena *arena, struct secret_value *value) {
    struct vault_place place = value_place(meta, value->key, value->version);
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
            value->state = value_state(plain.data, plain.len);
            value->nonce = arena_copy(arena, row->nonce, row->nonce_len);
            value->ciphertext = arena_copy(arena, row->ciphertext, row->ciphertext_len);
            value->ciphertext_len = row->ciphertext_len;
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
                struct arena *arena, struct err *err) {
    struct secret *secret = object->body;
    const char *key = object_key(object, arena);

    if (key == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < secret->values.count; i++) {
        struct secret_value *value = (struct secret_value *)secret->values.items + i;

        if (vault == NULL) {
            value->state = SECRET_UNREADABLE;
        } else {
            load_value(vault, &object->meta, find_row(rows, key, value->key), arena, value);
        }
    }
    return arena->failed ? err_no_memory(err) : 0;
}

/* ---- rotation ---- */

static int reseal_value(struct vault *vault, const struct meta *meta, struct arena *arena,
                        struct secret_value *value, bool *ret_changed, struct err *err) {
    const struct vault_place place = value_place(meta, value->key, value->version);
    const struct vault_sealed old = secret_value_sealed(value);
    struct vault_sealed sealed;

    if (value->state == SECRET_UNREADABLE || value->key_id == vault_active_key(vault)) {
        return 0;
    }
    if (vault_reseal(vault, &place, &old, arena, &sealed, err) < 0) {
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

    if (codec_decode_stored(KIND_SECRET, json, json_len, arena, ret, err) < 0) {
        return -1;
    }
    secret = (*ret)->body;
    if (secret->values.count != from->values.count) {
        return err_set(err, ERR_INTERNAL, "Secret \"%s\" is encoded with %zu values instead of %zu",
                       (*ret)->meta.name, secret->values.count, from->values.count);
    }
    for (size_t i = 0; i < secret->values.count; i++) {
        if (keep_value((const struct secret_value *)from->values.items + i, arena,
                       (struct secret_value *)secret->values.items + i, err) < 0) {
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
    if (copy_stored(json, json_len, object->body, &arena, &stored, err) < 0) {
        arena_done(&arena);
        return -1;
    }
    if (new_record(&arena, stored, json, json_len, ret, err) < 0) {
        return -1;
    }
    written->wipe = true;
    arena_done(written);
    return 0;
}

int secret_reseal(struct vault *vault, const struct record *record, struct record **ret, struct err *err) {
    struct object *object;
    struct secret *secret;
    struct arena arena;
    bool changed = false;

    arena_init(&arena, 0);
    if (copy_stored(record->json, record->json_len, record->object->body, &arena, &object, err) < 0) {
        goto fail;
    }
    secret = object->body;
    for (size_t i = 0; i < secret->values.count; i++) {
        if (reseal_value(vault, &object->meta, &arena, (struct secret_value *)secret->values.items + i,
                         &changed, err) < 0) {
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
