/*
 * Secrets as they are written: between the vault, which seals, and the store, which keeps rows. Plaintext
 * comes in with a write's object, whose arena is wiped as soon as the record is made; nothing here holds one
 * longer than a call. Values, data and stringData are all in the order of their keys, so two of them are
 * compared by one walk along both. Runs on the committer or on a previewing thread; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/resources.h"
#include "secrets.h"

/* What every value reads as; written back, it means "keep". Its base64 is KipyZWRhY3RlZCoq. */
static const char MARKER[] = "**redacted**";

/* A walk along the values of a Secret, in step with something else in the order of the keys. */
struct value_walk {
    const struct secret_value *at, *end;
};

static struct value_walk walk_values(const struct record *record) {
    const struct secret *secret = record == NULL ? NULL : record->object->body;
    const struct secret_value *values = secret == NULL ? NULL : secret->values.items;

    return values == NULL ? (struct value_walk){NULL, NULL}
                          : (struct value_walk){values, values + secret->values.count};
}

/* The value of this key, or NULL. Keys must be asked for in ascending order. */
static const struct secret_value *walk_to(struct value_walk *walk, const char *key) {
    while (walk->at != walk->end && strcmp(walk->at->key, key) < 0) {
        walk->at++;
    }
    return walk->at != walk->end && strcmp(walk->at->key, key) == 0 ? walk->at : NULL;
}

/* A copy whose memory is the new object's: records do not share memory. */
int secret_keep_value(const struct secret_value *old, struct arena *arena, struct secret_value *ret,
                      struct err *err) {
    *ret = *old;
    ret->key = arena_strdup(arena, old->key);
    ret->fingerprint = arena_strdup(arena, old->fingerprint);
    if (old->nonce != NULL) {
        ret->nonce = secret_copy_bytes(arena, old->nonce, VAULT_NONCE_BYTES);
        ret->ciphertext = secret_copy_bytes(arena, old->ciphertext, old->ciphertext_len);
    }
    return arena->failed ? err_no_memory(err) : 0;
}

/* ---- what is written ---- */

/* One value of a write, and what became of it. */
struct entry {
    struct byte_value plain;
    const struct secret_value *old; /* of the same key; NULL = none */
    bool keep;                      /* the marker stands there */
};

static bool is_marker(const struct byte_value *plain) {
    return plain->len == strlen(MARKER) && memcmp(plain->bytes, MARKER, plain->len) == 0;
}

/* data and stringData in one list in the order of the keys; stringData wins, as in Kubernetes. */
static struct entry *merge_plain(const struct secret *secret, struct arena *arena, size_t *ret_count) {
    const struct byte_value *data = secret->data.items, *data_end = data + secret->data.count;
    const struct label *text = secret->string_data.items, *text_end = text + secret->string_data.count;
    struct entry *entries =
        arena_array(arena, secret->data.count + secret->string_data.count, sizeof(*entries));
    size_t count = 0;

    while (entries != NULL && (data != data_end || text != text_end)) {
        int order = data == data_end ? 1 : text == text_end ? -1 : strcmp(data->key, text->key);
        struct byte_value *plain = &entries[count++].plain;

        if (order < 0) {
            *plain = *data;
        } else {
            *plain = (struct byte_value){
                .key = text->key, .bytes = (const uint8_t *)text->value, .len = strlen(text->value)};
        }
        data += order <= 0;
        text += order >= 0;
    }
    *ret_count = count;
    return entries;
}

/* What is answered to a dry run must not tell whether a value is the one of before: it would be asked again
 * and again with guesses. So it shows of a key that there is what is stored of it, whatever the value. A
 * preview has to know what really changes. */
static bool is_mute(const struct draft *draft, const struct write *write) {
    return write->dry_run && !draft->preview;
}

static int new_value(struct draft *draft, const struct meta *meta, const struct entry *entry, bool mute,
                     struct arena *arena, struct secret_value *ret, struct err *err) {
    const struct byte_value *plain = &entry->plain;
    const struct secret_value *old = entry->old;
    char fingerprint[VAULT_FINGERPRINT_MAX] = "";
    /* The write's revision never comes again, so no two values of one key share a version. */
    struct vault_place place = secret_value_place(meta, plain->key, draft->revision + 1);

    if (!mute && vault_fingerprint(draft->vault, &place, plain->bytes, plain->len, fingerprint, err) != 0) {
        return -1;
    }
    if (!mute && old != NULL && old->state != SECRET_UNREADABLE &&
        strcmp(old->fingerprint, fingerprint) == 0) {
        return secret_keep_value(old, arena, ret, err);
    }
    struct vault_sealed sealed;

    if (vault_seal(draft->vault, &place, plain->bytes, plain->len, arena, &sealed, err) != 0) {
        return -1;
    }
    *ret = (struct secret_value){
        .key = arena_strdup(arena, plain->key),
        .version = place.version,
        .size = secret_rounded_size(plain->len),
        .modified_ms = draft->now_ms,
        .fingerprint = arena_strdup(arena, fingerprint),
        .key_id = sealed.key_id,
        .nonce = sealed.nonce,
        .ciphertext = sealed.ciphertext,
        .ciphertext_len = sealed.ciphertext_len,
    };
    if (mute && old != NULL) {
        ret->version = old->version;
        ret->size = old->size;
        ret->modified_ms = old->modified_ms;
        ret->fingerprint = arena_strdup(arena, old->fingerprint != NULL ? old->fingerprint : "");
    }
    secret_judge_value(ret, plain->bytes, plain->len);
    return arena->failed ? err_no_memory(err) : 0;
}

/* ---- who uses the values as passwords ---- */

/* The values of one Secret, and a resource that uses each as a password. */
struct uses {
    const char *secret;
    const struct secret_value *values;
    size_t count;
    const char **users; /* of each value; NULL = none */
};

static int compare_key(const void *key, const void *value) {
    return strcmp(key, ((const struct secret_value *)value)->key);
}

static void note_use(struct uses *uses, const struct bgp_password *password, const char *user) {
    const struct secret_key_ref *ref = password == NULL ? NULL : password->secret_key_ref;

    if (ref == NULL || ref->name == NULL || ref->key == NULL || strcmp(ref->name, uses->secret) != 0) {
        return;
    }
    const struct secret_value *value =
        bsearch(ref->key, uses->values, uses->count, sizeof(*uses->values), compare_key);

    if (value != NULL && uses->users[value - uses->values] == NULL) {
        uses->users[value - uses->values] = user;
    }
}

static void note_user(struct uses *uses, const struct record *record) {
    if (record->object->kind == KIND_BGPPEER) {
        const struct bgp_peer *peer = record->object->body;
        note_use(uses, peer->spec == NULL ? NULL : peer->spec->password, record->key);
    } else if (record->object->kind == KIND_BGPCONFIGURATION && strcmp(record->key, "default") == 0) {
        const struct bgp_configuration *configuration = record->object->body;
        note_use(uses, configuration->spec == NULL ? NULL : configuration->spec->node_mesh_password,
                 record->key);
    }
}

/* One pass over all that may name a password, however many values the Secret has: what the fleet had before
 * the draft, and what the draft has added. */
static void find_users(const struct draft *draft, struct uses *uses) {
    struct snapshot_cursor cursor;

    for (const struct record *record = snapshot_seek(&cursor, draft->base, KIND_BGPPEER, NULL);
         record != NULL; record = snapshot_step(&cursor)) {
        note_user(uses, record);
    }
    const struct record *configuration = snapshot_get(draft->base, KIND_BGPCONFIGURATION, "default");

    if (configuration != NULL) {
        note_user(uses, configuration);
    }
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->changes[i].op != STORE_DELETE) {
            note_user(uses, draft->changes[i].change.after);
        }
    }
}

static const char *value_path(struct write *write, const char *key) {
    const char *path = arena_printf(write->arena, "data[%s]", key);

    return path == NULL ? "data" : path;
}

/* A value that sessions use must be one that daemons can take; others may hold anything. One that was stored
 * already, and is kept, is only told about: other changes of its Secret must not fail for it. */
static int check_uses(const struct draft *draft, struct write *write, const struct meta *meta,
                      const struct entry *entries, const struct secret_value *values, size_t count,
                      struct err *err) {
    bool flawed = false;

    for (size_t i = 0; i < count; i++) {
        flawed = flawed || values[i].flaw != PASSWORD_USABLE;
    }
    if (!flawed || strcmp(meta->name_space, draft->secret_namespace) != 0) {
        return 0;
    }
    struct uses uses = {.secret = meta->name,
                        .values = values,
                        .count = count,
                        .users = arena_array(write->arena, count, sizeof(*uses.users))};

    if (uses.users == NULL) {
        return err_no_memory(err);
    }
    find_users(draft, &uses);
    for (size_t i = 0; i < count; i++) {
        const char *flaw = password_flaw_text(values[i].flaw), *user = uses.users[i];

        if (flaw == NULL || user == NULL) {
            continue;
        }
        if (entries[i].keep) {
            advice_add(&write->advice,
                       "%s: \"%s\" uses the stored value as its BGP password, and it %s; until it is written "
                       "anew, the sessions are withheld",
                       value_path(write, values[i].key), user, flaw);
        } else {
            causes_add(&write->causes, CAUSE_INVALID, value_path(write, values[i].key),
                       "\"%s\" uses this key as its BGP password, and the value cannot be one: it %s", user,
                       flaw);
        }
    }
    return 0;
}

/* `immutable: true` freezes the values and itself until the Secret is deleted. */
static void check_immutable(const struct record *current, const struct secret *next, struct causes *causes) {
    static const char WHY[] =
        "Forbidden: field is immutable when `immutable` is set; delete the Secret and create it again";
    const struct secret *now = current == NULL ? NULL : current->object->body;

    if (now == NULL || !now->immutable.set || !now->immutable.value) {
        return;
    }
    if (!next->immutable.set || !next->immutable.value) {
        causes_add(causes, CAUSE_FORBIDDEN, "immutable", WHY);
    }
    const struct secret_value *old = now->values.items, *values = next->values.items;
    bool same = now->values.count == next->values.count;

    for (size_t i = 0; same && i < next->values.count; i++) {
        same = old[i].version == values[i].version && strcmp(old[i].key, values[i].key) == 0;
    }
    if (!same) {
        causes_add(causes, CAUSE_FORBIDDEN, "data", WHY);
    }
}

/* The value of each entry; what has none is a cause. */
static int seal_entries(struct draft *draft, struct write *write, const struct record *current,
                        const struct meta *meta, struct entry *entries, size_t count, struct arena *arena,
                        struct secret_value *values, struct err *err) {
    struct value_walk olds = walk_values(current);

    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &entries[i];

        entry->old = walk_to(&olds, entry->plain.key);
        entry->keep = is_marker(&entry->plain);
        if (entry->keep && entry->old == NULL) {
            values[i] = (struct secret_value){.key = entry->plain.key};
            causes_add(&write->causes, CAUSE_INVALID, value_path(write, entry->plain.key),
                       "Invalid value: this is the marker that stands for a stored value, but there is no "
                       "value under this key; write the value itself");
            continue;
        }
        if ((entry->keep
                 ? secret_keep_value(entry->old, arena, &values[i], err)
                 : new_value(draft, meta, entry, is_mute(draft, write), arena, &values[i], err)) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What patches add comes on top of what is there. */
static void check_size(const struct secret_value *values, size_t count, struct causes *causes) {
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += values[i].size;
    }
    if (size > SECRET_SIZE_MAX) {
        causes_add(causes, CAUSE_TOO_LONG, "data",
                   "Too long: the values have %zu bytes together, at most %d are allowed", size,
                   SECRET_SIZE_MAX);
    }
}

int secret_seal(struct draft *draft, struct write *write, const struct record *current, struct object *object,
                struct arena *arena, struct err *err) {
    struct secret *secret = object->body;
    size_t count = 0;

    if (draft->vault == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "this service runs without a vault, so it cannot keep Secrets");
    }
    struct entry *entries = merge_plain(secret, write->arena, &count);
    struct secret_value *values = arena_array(arena, count, sizeof(*values));

    if (entries == NULL || values == NULL) {
        return err_no_memory(err);
    }
    if (seal_entries(draft, write, current, &object->meta, entries, count, arena, values, err) != 0) {
        return -1;
    }
    check_size(values, count, &write->causes);
    if (check_uses(draft, write, &object->meta, entries, values, count, err) != 0) {
        return -1;
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

/* ---- the rows of a change ---- */

struct store_sealed secret_row(const char *object, const struct secret_value *value) {
    return (struct store_sealed){.object = object,
                                 .item = value->key,
                                 .version = value->version,
                                 .key_id = value->key_id,
                                 .nonce = value->nonce,
                                 .nonce_len = VAULT_NONCE_BYTES,
                                 .ciphertext = value->ciphertext,
                                 .ciphertext_len = value->ciphertext_len};
}

static int add_row(struct draft *draft, const struct store_sealed *row, struct err *err) {
    struct store_sealed *rows =
        base_grow(draft->sealed, draft->sealed_count, &draft->sealed_cap, 16, sizeof(*rows));

    if (rows == NULL) {
        return err_no_memory(err);
    }
    draft->sealed = rows;
    draft->sealed[draft->sealed_count++] = *row;
    return 0;
}

int secret_add_rows(struct draft *draft, const struct record *before, const struct record *after,
                    struct err *err) {
    struct value_walk news = walk_values(after);

    for (struct value_walk olds = walk_values(before); olds.at != olds.end; olds.at++) {
        if (walk_to(&news, olds.at->key) == NULL &&
            add_row(draft, &(struct store_sealed){.object = before->key, .item = olds.at->key}, err) != 0) {
            return -1;
        }
    }
    struct value_walk olds = walk_values(before);

    for (news = walk_values(after); news.at != news.end; news.at++) {
        const struct secret_value *value = news.at, *previous = walk_to(&olds, value->key);
        if (previous != NULL && previous->version == value->version && previous->key_id == value->key_id) {
            continue; /* the row stands already */
        }
        const struct store_sealed row = secret_row(after->key, value);
        if (add_row(draft, &row, err) != 0) {
            return -1;
        }
    }
    return 0;
}
