/*
 * Taking an annotation out of an object that is being written, as if it had never been in it: also out of
 * what kubectl notes as last applied, so that its next apply does not find there what the object has not. No
 * locks; the tree lives as long as the call.
 */
#include <string.h>

#include "codec_internal.h"

/* What kubectl noted, without the annotation; the same text when it is not in it, or cannot be read. */
static int forget_applied(struct arena *arena, const char *key, const char **text, struct err *err) {
    json_auto_t *tree = NULL;
    struct err unreadable = ERR_INIT;
    struct buf out = {.wipe = true};
    if (strstr(*text, key) == NULL || json_read(*text, strlen(*text), NULL, &tree, &unreadable) != 0) {
        return unreadable.code == ERR_NO_MEMORY ? err_no_memory(err) : 0;
    }
    json_t *annotations = json_object_get(json_object_get(tree, "metadata"), "annotations");
    if (json_object_del(annotations, key) != 0) {
        return 0;
    }
    int result = tree_write(tree, &out);
    if (result == 0) {
        buf_add_char(&out, '\n'); /* as kubectl writes it */
        *text = buf_failed(&out) ? NULL : arena_strndup(arena, out.data, out.len);
    }
    buf_done(&out);
    return result != 0 || *text == NULL ? err_no_memory(err) : 0;
}

int codec_take_annotation(struct meta *meta, const char *key, struct arena *arena, const char **ret,
                          struct err *err) {
    *ret = meta_annotation(meta, key);
    if (*ret == NULL && meta_annotation(meta, LAST_APPLIED_ANNOTATION) == NULL) {
        return 0;
    }
    struct label *kept = arena_array(arena, meta->annotations.count, sizeof(*kept));
    size_t count = 0;
    if (kept == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < meta->annotations.count; i++) {
        struct label one = meta->annotations.items[i];
        if (strcmp(one.key, key) == 0) {
            continue;
        }
        if (strcmp(one.key, LAST_APPLIED_ANNOTATION) == 0 &&
            forget_applied(arena, key, &one.value, err) != 0) {
            return -1;
        }
        kept[count++] = one;
    }
    meta->annotations = (struct label_set){.count = count, .items = kept};
    return 0;
}
