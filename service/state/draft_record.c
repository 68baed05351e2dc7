/*
 * Records of the objects that a draft has made. Owned by whoever asked; no locks.
 */
#include "state_internal.h"

/* A record that shares no memory with the object whose document this is. */
static int decode_record(enum kind kind, const char *key, const char *json, size_t json_len,
                         const struct record **ret, struct err *err) {
    struct object *object;
    struct record *record;
    struct arena arena;

    arena_init(&arena, 0);
    if (codec_decode_stored(kind, json, json_len, &arena, &object, err) < 0) {
        arena_done(&arena);
        return -1;
    }
    const char *own_key = arena_strdup(&arena, key);
    const char *own_json = arena_strndup(&arena, json, json_len);

    if (own_key == NULL || own_json == NULL) {
        arena_done(&arena);
        return err_no_memory(err);
    }
    if (record_new(&arena, object, own_key, own_json, json_len, &record, err) < 0) {
        return -1;
    }
    *ret = record;
    return 0;
}

int draft_record(struct draft *draft, struct arena *arena, const struct object *object,
                 const struct record **ret, struct err *err) {
    struct record *record;
    const char *key = object_key(object, arena);
    char *json;

    buf_clear(&draft->json);
    codec_encode(object, &draft->json);
    if (key == NULL || buf_failed(&draft->json)) {
        return err_no_memory(err);
    }
    if (object->kind == KIND_SECRET) {
        arena->wipe = true;
        if (secret_record(draft->again ? NULL : arena, object, draft->json.data, draft->json.len, &record,
                          err) < 0) {
            return -1;
        }
        *ret = record;
        return 0;
    }
    if (draft->again) {
        return decode_record(object->kind, key, draft->json.data, draft->json.len, ret, err);
    }
    json = arena_strndup(arena, draft->json.data, draft->json.len);
    if (json == NULL) {
        return err_no_memory(err);
    }
    if (record_new(arena, object, key, json, draft->json.len, &record, err) < 0) {
        return -1;
    }
    *ret = record;
    return 0;
}
