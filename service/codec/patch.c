/*
 * Patches: a document's JSON text and what a client wants changed, to the changed text. What the result
 * means is not looked at here: it goes through codec_decode like any body. No locks; trees live as long
 * as one call.
 */
#include <string.h>

#include "patch_internal.h"

static int apply_merge(json_t *document, json_t *patch, struct err *err) {
    if (!json_is_object(patch)) {
        return err_set(
            err, ERR_BAD_REQUEST, "a merge patch must be an object with the members to change, got %s%s",
            tree_type_name(patch),
            json_is_array(patch)
                ? "; a list of operations is application/json-patch+json (kubectl patch --type=json)"
                : "");
    }
    return tree_merge(document, patch) < 0 ? err_no_memory(err) : 0;
}

static bool is_order_hint(const char *key) {
    return strncmp(key, "$setElementOrder/", strlen("$setElementOrder/")) == 0 ||
           strcmp(key, "$retainKeys") == 0;
}

/*
 * A strategic merge patch differs from a merge patch by lists that are merged by a key, and by directives in
 * members that begin with '$'. No kind here has such lists, so hints about order mean nothing, and the rest
 * is refused: what it would do here is not what it does in Kubernetes.
 */
static int drop_directives(json_t *patch, struct err *err) {
    const char *key;
    json_t *value;
    void *next;
    size_t i;
    char shown[SHOWN_TEXT_MAX];

    if (json_is_array(patch)) {
        json_array_foreach(patch, i, value) {
            if (drop_directives(value, err) < 0) {
                return -1;
            }
        }
        return 0;
    }
    json_object_foreach_safe(patch, next, key, value) {
        if (key[0] != '$') {
            if (drop_directives(value, err) < 0) {
                return -1;
            }
        } else if (is_order_hint(key)) {
            json_object_del(patch, key);
        } else {
            return err_set(
                err, ERR_UNSUPPORTED_MEDIA_TYPE,
                "the strategic merge directive \"%s\" is not supported: no kind here has lists that "
                "are merged by a key; send application/merge-patch+json (kubectl patch "
                "--type=merge) or application/json-patch+json",
                text_shown(key, shown));
        }
    }
    return 0;
}

static int apply(const struct patch *patch, json_t **document, json_t *changes, struct err *err) {
    switch (patch->type) {
    case PATCH_MERGE:
        return apply_merge(*document, changes, err);
    case PATCH_STRATEGIC:
        return drop_directives(changes, err) < 0 ? -1 : apply_merge(*document, changes, err);
    case PATCH_JSON:
        return json_patch_apply(document, changes,
                                patch->operations_max == 0 ? PATCH_OPERATIONS_MAX : patch->operations_max,
                                err);
    }
    return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE, "this patch type is not known here");
}

int codec_patch(const struct patch *patch, const char *document, size_t document_len, struct buf *ret,
                struct err *err) {
    json_auto_t *target = NULL;
    json_auto_t *changes = NULL;
    const enum kind kind = patch->kind;

    (void)codec_out_of_memory();
    target = json_loadb(document, document_len, 0, NULL);
    if (codec_out_of_memory()) {
        return err_no_memory(err);
    }
    if (!json_is_object(target)) {
        return err_set(err, ERR_CORRUPT, "the stored %s cannot be read", kind_info(kind)->name);
    }
    if (syntax_read(patch->syntax, patch->text, patch->len, NULL, &changes, err) < 0) {
        return err_wrap(err, "the patch cannot be read");
    }
    if (apply(patch, &target, changes, err) < 0) {
        return -1;
    }
    ret->wipe = ret->wipe || kind == KIND_SECRET;
    return tree_write(target, ret) < 0 || codec_out_of_memory() ? err_no_memory(err) : 0;
}
