/*
 * A fleet for the peering tests: the newest snapshot, its index, and changes given as JSON.
 *
 * The index is advanced with every change, so that tests see what the service sees; fleet_index_anew()
 * makes one from scratch. Secrets are made without the vault: a value's fingerprint is its own hash.
 */
#ifndef BGPPEERD_TESTS_UNIT_PEERING_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_PEERING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec.h"
#include "model/resources.h"
#include "peering.h"
#include "snapshot.h"

struct fleet {
    uint64_t revision;
    struct snapshot *snapshot;
    struct peering_index *index;
    struct node_set *affected; /* by the last change */
};

static inline void fleet_check(int result, const struct err *err) {
    if (result < 0) {
        fail_msg("%s", err->text);
    }
}

static inline void fleet_init(struct fleet *fleet) {
    struct err err = ERR_INIT;
    *fleet = (struct fleet){.revision = 0};
    fleet_check(codec_start(&err), &err);
    fleet_check(snapshot_new_empty(&fleet->snapshot, &err), &err);
    fleet_check(peering_index_new(fleet->snapshot, "default", &fleet->index, &err), &err);
}

static inline void fleet_done(struct fleet *fleet) {
    node_set_free(fleet->affected);
    peering_index_unref(fleet->index);
    snapshot_unref(fleet->snapshot);
}

/* Apply changes whose records the caller keeps. */
static inline void fleet_apply(struct fleet *fleet, const struct snapshot_change *changes, size_t count) {
    struct err err = ERR_INIT;
    struct snapshot *next = NULL;
    struct peering_index *index = NULL;
    struct node_set *affected = NULL;
    fleet_check(snapshot_next(fleet->snapshot, changes, count, ++fleet->revision, &next, &err), &err);
    fleet_check(peering_index_next(fleet->index, next, changes, count, &index, &affected, &err), &err);
    fleet_done(fleet);
    fleet->snapshot = next;
    fleet->index = index;
    fleet->affected = affected;
}

static inline struct snapshot_change fleet_change(const struct fleet *fleet, enum kind kind,
                                                  const struct record *after, const char *key) {
    return (struct snapshot_change){
        .kind = kind, .before = snapshot_get(fleet->snapshot, kind, key), .after = after};
}

/* A record of a JSON document as a client would send it, without validation. */
static inline struct record *fleet_record(struct fleet *fleet, enum kind kind, const char *json) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct object *object = NULL;
    struct record *record = NULL;
    arena_init(&arena, 0);
    fleet_check(codec_decode_stored(kind, json, strlen(json), &arena, &object, &err), &err);
    object->meta.resource_version = fleet->revision + 1;
    const char *key = object_key(object, &arena);
    fleet_check(record_new(&arena, object, key, "{}", 2, &record, &err), &err);
    return record;
}

static inline enum secret_value_state password_state(const char *value, size_t len) {
    switch (password_check(value, len)) {
    case PASSWORD_USABLE:
        return SECRET_USABLE;
    case PASSWORD_EMPTY:
        return SECRET_EMPTY;
    case PASSWORD_TOO_LONG:
        return SECRET_TOO_LONG;
    default:
        return SECRET_UNUSABLE;
    }
}

struct password {
    const char *key;
    const char *value;
    size_t len;
};

/* A Secret in namespace `default`; the ciphertext is the value itself. */
static inline struct record *secret_record(uint64_t revision, const char *name,
                                           const struct password *passwords, size_t count) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct record *record = NULL;
    arena_init(&arena, 0);
    struct object *object = arena_alloc(&arena, sizeof(*object));
    struct secret *secret = arena_alloc(&arena, sizeof(*secret));
    struct secret_value *values = arena_array(&arena, count, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = 14695981039346656037u;
        for (size_t b = 0; b < passwords[i].len; b++) {
            hash = (hash ^ (uint8_t)passwords[i].value[b]) * 1099511628211u;
        }
        values[i] = (struct secret_value){
            .key = arena_strdup(&arena, passwords[i].key),
            .version = 1,
            .size = (uint32_t)passwords[i].len,
            .fingerprint = arena_printf(&arena, "%016llx", (unsigned long long)hash),
            .state = password_state(passwords[i].value, passwords[i].len),
            .ciphertext = (const uint8_t *)arena_strndup(&arena, passwords[i].value, passwords[i].len),
            .ciphertext_len = passwords[i].len,
        };
    }
    secret->values = (struct list){.count = count, .items = values};
    *object = (struct object){.kind = KIND_SECRET, .body = secret};
    object->meta.name = arena_strdup(&arena, name);
    object->meta.name_space = "default";
    object->meta.resource_version = revision;
    const char *key = object_key(object, &arena);
    fleet_check(record_new(&arena, object, key, "{}", 2, &record, &err), &err);
    return record;
}

static inline void fleet_put_record(struct fleet *fleet, enum kind kind, struct record *record) {
    struct snapshot_change change = fleet_change(fleet, kind, record, record->key);
    fleet_apply(fleet, &change, 1);
    record_unref(record);
}

static inline void fleet_put(struct fleet *fleet, enum kind kind, const char *json) {
    fleet_put_record(fleet, kind, fleet_record(fleet, kind, json));
}

static inline void fleet_put_secret(struct fleet *fleet, const char *name, const struct password *passwords,
                                    size_t count) {
    fleet_put_record(fleet, KIND_SECRET, secret_record(fleet->revision + 1, name, passwords, count));
}

static inline void fleet_delete(struct fleet *fleet, enum kind kind, const char *key) {
    struct snapshot_change change = fleet_change(fleet, kind, NULL, key);
    assert_non_null(change.before);
    fleet_apply(fleet, &change, 1);
}

static inline struct peering_index *fleet_index_anew(const struct fleet *fleet) {
    struct err err = ERR_INIT;
    struct peering_index *index = NULL;
    fleet_check(peering_index_new(fleet->snapshot, "default", &index, &err), &err);
    return index;
}

/* The list's content as JSON; free() it. `ret_revision` may be NULL. */
static inline char *list_text(const struct peering_index *index, const char *node, uint64_t *ret_revision) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    struct buf out = BUF_INIT;
    arena_init(&arena, 4096);
    fleet_check(peering_compute(index, node, &arena, &list, &err), &err);
    peering_encode_content(&list, &out);
    assert_false(buf_failed(&out));
    if (ret_revision != NULL) {
        *ret_revision = list.newest_revision;
    }
    arena_done(&arena);
    return buf_steal(&out, NULL);
}

/* "Reveals" the ciphertext that secret_record() left in clear. */
static inline int reveal_plain(void *arg, const struct peering_entry *entry, struct buf *out,
                               struct err *err) {
    (void)arg;
    (void)err;
    buf_add(out, entry->secret->ciphertext, entry->secret->ciphertext_len);
    return 0;
}

#endif
