/*
 * Documents against what is stored: merging one over it as `kubectl apply` does, and finding the patch that
 * makes one of another. Trees live as long as one call; no locks.
 */
#include <string.h>

#include "codec_internal.h"

int tree_merge(json_t *target, json_t *patch) {
    const char *key;
    json_t *change;

    json_object_foreach(patch, key, change) {
        json_t *old = json_object_get(target, key);

        if (json_is_null(change)) {
            json_object_del(target, key); /* what is not there is removed already */
            continue;
        }
        if (!json_is_object(change)) {
            if (json_object_set_nocheck(target, key, change) < 0) {
                return -1;
            }
            continue;
        }
        if (!json_is_object(old)) {
            old = json_object();
            if (json_object_set_new_nocheck(target, key, old) < 0) {
                return -1;
            }
        }
        if (tree_merge(old, change) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_own(enum kind kind, const char *json, size_t len, json_t **ret, struct err *err) {
    (void)codec_out_of_memory();
    *ret = json_loadb(json, len, 0, NULL);
    if (codec_out_of_memory()) {
        return err_no_memory(err);
    }
    return json_is_object(*ret)
               ? 0
               : err_set(err, ERR_CORRUPT, "the stored %s cannot be read", kind_info(kind)->name);
}

static int write_tree(enum kind kind, const json_t *tree, struct buf *out, struct err *err) {
    out->wipe = out->wipe || kind == KIND_SECRET;
    return tree_write(tree, out) != 0 || codec_out_of_memory() ? err_no_memory(err) : 0;
}

/* ---- apply ---- */

/* Take from `target` what the document had when it was last applied, and has no more. */
static void prune(json_t *target, json_t *last, const json_t *document) {
    const char *key;
    json_t *old;
    json_object_foreach(last, key, old) {
        const json_t *new = json_object_get(document, key);
        if (new == NULL) {
            json_object_del(target, key);
        } else if (json_is_object(old) && json_is_object(new)) {
            json_t *now = json_object_get(target, key);
            if (json_is_object(now)) {
                prune(now, old, new);
            }
        }
    }
}

/* What kubectl remembers of its last apply; NULL: nothing that can be read. */
static json_t *last_applied(const json_t *stored) {
    const json_t *annotations = json_object_get(json_object_get(stored, "metadata"), "annotations");
    const json_t *text = json_object_get(annotations, LAST_APPLIED_ANNOTATION);
    json_t *last =
        json_is_string(text) ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL) : NULL;
    if (last != NULL && !json_is_object(last)) {
        json_decref(last);
        last = NULL;
    }
    return last;
}

/* Let kubectl find this document when it applies next. */
static int remember(json_t *stored, json_t *document, struct err *err) {
    json_t *annotations = json_object_get(json_object_get(stored, "metadata"), "annotations");
    json_t *own = json_object_get(json_object_get(document, "metadata"), "annotations");
    json_object_del(own, LAST_APPLIED_ANNOTATION);
    struct buf text = BUF_INIT;
    text.wipe = true;
    int result =
        tree_write(document, &text) != 0 || json_object_set_new(annotations, LAST_APPLIED_ANNOTATION,
                                                                json_stringn(text.data, text.len)) != 0
            ? err_no_memory(err)
            : 0;
    buf_done(&text);
    return result;
}

int codec_merge(enum kind kind, const char *stored, size_t stored_len, const char *document,
                size_t document_len, struct buf *ret, struct err *err) {
    json_auto_t *target = NULL;
    json_auto_t *changes = NULL;
    if (read_own(kind, stored, stored_len, &target, err) != 0 ||
        json_read(document, document_len, NULL, &changes, err) != 0) {
        return -1;
    }
    if (!json_is_object(changes)) {
        return err_set(err, ERR_BAD_REQUEST, "the document is %s; expected an object",
                       tree_type_name(changes));
    }
    json_auto_t *last = last_applied(target);
    if (last != NULL) {
        json_object_del(last, "status"); /* observed, not asked for */
        prune(target, last, changes);
    }
    if (tree_merge(target, changes) != 0) {
        return err_no_memory(err);
    }
    if (last != NULL && remember(target, changes, err) != 0) {
        return -1;
    }
    return write_tree(kind, target, ret, err);
}

/* ---- the way from one to the other ---- */

/* Members that the service assigns, or only observes: no change set speaks of them. */
static const char *const ASSIGNED[] = {"uid", "resourceVersion", "generation", "creationTimestamp"};

static void drop_assigned(json_t *document) {
    json_t *metadata = json_object_get(document, "metadata");
    for (size_t i = 0; i < sizeof(ASSIGNED) / sizeof(ASSIGNED[0]); i++) {
        json_object_del(metadata, ASSIGNED[i]);
    }
    json_object_del(document, "status");
}

/* Into `patch`: what makes `to` of `from`. */
static int find_patch(const json_t *from, const json_t *to, json_t *patch) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value) {
        if (json_object_get(to, key) == NULL && json_object_set_new_nocheck(patch, key, json_null()) != 0) {
            return -1;
        }
    }
    json_object_foreach((json_t *)to, key, value) {
        const json_t *old = json_object_get(from, key);
        if (old != NULL && tree_equal(old, value)) {
            continue;
        }
        if (!json_is_object(old) || !json_is_object(value)) {
            if (json_object_set_nocheck(patch, key, value) != 0) {
                return -1;
            }
            continue;
        }
        json_t *inner = json_object();
        if (json_object_set_new_nocheck(patch, key, inner) != 0 || find_patch(old, value, inner) != 0) {
            return -1;
        }
    }
    return 0;
}

int codec_find_patch(enum kind kind, const char *from, size_t from_len, const char *to, size_t to_len,
                     struct buf *ret, bool *ret_empty, struct err *err) {
    json_auto_t *old = NULL;
    json_auto_t *new = NULL;
    if (read_own(kind, from, from_len, &old, err) != 0 || read_own(kind, to, to_len, &new, err) != 0) {
        return -1;
    }
    drop_assigned(old);
    drop_assigned(new);
    json_auto_t *patch = json_object();
    if (patch == NULL || find_patch(old, new, patch) != 0) {
        return err_no_memory(err);
    }
    bool empty = json_object_size(patch) == 0;
    if (write_tree(kind, patch, ret, err) != 0) {
        return -1;
    }
    *ret_empty = empty;
    return 0;
}

int codec_detach(enum kind kind, const char *stored, size_t len, struct buf *ret, struct err *err) {
    json_auto_t *document = NULL;
    if (read_own(kind, stored, len, &document, err) != 0) {
        return -1;
    }
    drop_assigned(document);
    return write_tree(kind, document, ret, err);
}
