/*
 * What is special about a Secret's document (design: vault, "Surface"): clear values hide in kubectl's
 * last-applied annotation, where they are blanked; and what is known about each sealed value travels in
 * an annotation of ours. No locks; trees live as long as one call.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec_internal.h"

/* Every value below `object`.`name` becomes "", the keys stay. A value of another shape goes. */
static int blank_values(json_t *object, const char *name) {
    json_t *values = json_object_get(object, name), *value;
    const char *key;
    void *next;

    if (!values || json_is_null(values)) {
        return 0;
    }
    if (!json_is_object(values)) {
        return json_object_del(object, name);
    }
    json_object_foreach_safe(values, next, key, value) {
        if (json_object_set_new_nocheck(values, key, json_string("")) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A member that no Secret has may be one that was misspelt, with values in it. */
static int drop_unknown(json_t *object) {
    static const char *const KNOWN[] = {"apiVersion", "kind", "metadata",  "type",
                                        "immutable",  "data", "stringData"};
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, key, value) {
        bool known = false;

        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
            known = known || strcmp(key, KNOWN[i]) == 0;
        }
        if (!known && json_object_del(object, key) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The annotation without clear values; *ret is NULL when it is not one of a Secret and must go. */
static int blank_last_applied(struct arena *arena, const char *text, const char **ret, struct err *err) {
    json_auto_t *tree = NULL;
    json_t *kind;
    struct err unreadable = ERR_INIT;
    struct buf out = BUF_INIT;

    *ret = NULL;
    if (json_read(text, strlen(text), NULL, &tree, &unreadable) < 0) {
        return unreadable.code == ERR_NO_MEMORY ? err_no_memory(err) : 0;
    }
    kind = json_object_get(tree, "kind");
    if (!kind || !json_is_string(kind) || strcmp(json_string_value(kind), "Secret") != 0) {
        return 0;
    }
    /* kubectl leaves it out; what else puts it there might put values into it. */
    json_object_del(json_object_get(json_object_get(tree, "metadata"), "annotations"),
                    LAST_APPLIED_ANNOTATION);
    out.wipe = true;
    if (drop_unknown(tree) < 0 || blank_values(tree, "data") < 0 || blank_values(tree, "stringData") < 0 ||
        tree_write(tree, &out) < 0) {
        buf_done(&out);
        return err_no_memory(err);
    }
    buf_add_char(&out, '\n'); /* as kubectl writes it */
    *ret = arena_strndup(arena, out.data ? out.data : "", out.len);
    buf_done(&out);
    return *ret ? 0 : err_no_memory(err);
}

static int compare_values(const void *a, const void *b) {
    return strcmp(((const struct secret_value *)a)->key, ((const struct secret_value *)b)->key);
}

/* One member of our annotation. */
static bool take_value(struct arena *arena, const char *key, const json_t *member, struct secret_value *out) {
    const json_t *fingerprint = json_object_get(member, "fingerprint");
    const json_t *modified = json_object_get(member, "modified");
    json_int_t size = json_integer_value(json_object_get(member, "size"));
    json_int_t version = json_integer_value(json_object_get(member, "version"));

    if (!json_is_string(fingerprint) || !json_is_string(modified) || version < 1 || size < 0 ||
        size > UINT32_MAX ||
        !clock_parse(json_string_value(modified), json_string_length(modified), &out->modified_ms)) {
        return false;
    }
    out->key = arena_strdup(arena, key);
    out->fingerprint = arena_strdup(arena, json_string_value(fingerprint));
    out->version = (uint64_t)version;
    out->size = (uint32_t)size;
    return true;
}

/* Our annotation of a stored Secret back into secret->values. */
static int take_values(struct arena *arena, const char *text, struct secret *secret, struct err *err) {
    json_auto_t *tree = NULL;
    struct secret_value *items;
    size_t count = 0;
    const char *key;
    json_t *member;
    char shown[SHOWN_TEXT_MAX];

    if (json_read(text, strlen(text), NULL, &tree, err) < 0 || !json_is_object(tree)) {
        return err_set(err, err->code == ERR_NO_MEMORY ? ERR_NO_MEMORY : ERR_CORRUPT,
                       "the stored annotation " SECRET_VALUES_ANNOTATION " cannot be read");
    }
    items = arena_array(arena, json_object_size(tree), sizeof *items);
    if (!items) {
        return err_no_memory(err);
    }
    json_object_foreach(tree, key, member) {
        if (!take_value(arena, key, member, &items[count++])) {
            return err_set(err, ERR_CORRUPT,
                           "the stored annotation " SECRET_VALUES_ANNOTATION " is incomplete for key %s",
                           text_shown(key, shown));
        }
    }
    qsort(items, count, sizeof *items, compare_values);
    secret->values = (struct list){.count = count, .items = items};
    return arena->failed ? err_no_memory(err) : 0;
}

int secret_take_annotations(struct decoding *d, struct meta *meta, struct secret *secret, struct err *err) {
    struct label *kept;
    size_t count = 0;

    if (meta->annotations.count == 0) {
        return 0;
    }
    kept = arena_array(d->arena, meta->annotations.count, sizeof *kept);
    if (!kept) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < meta->annotations.count; i++) {
        struct label one = meta->annotations.items[i];

        if (strcmp(one.key, SECRET_VALUES_ANNOTATION) == 0) {
            if (d->stored && take_values(d->arena, one.value, secret, err) < 0) {
                return -1;
            }
            continue;
        }
        if (strcmp(one.key, LAST_APPLIED_ANNOTATION) == 0 && !d->stored) {
            if (blank_last_applied(d->arena, one.value, &one.value, err) < 0) {
                return -1;
            }
            if (!one.value) {
                continue;
            }
        }
        kept[count++] = one;
    }
    meta->annotations = (struct label_set){.count = count, .items = kept};
    return 0;
}
