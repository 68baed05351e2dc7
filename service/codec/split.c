/*
 * A body with several documents (YAML stream, sequence, JSON array, List) to single JSON texts. The texts
 * live in the caller's arena. No locks.
 */
#include <string.h>

#include "codec_internal.h"

struct splitting {
    struct arena *arena;
    struct codec_document *documents;
    size_t count, max;
    struct err *err;
};

/* A non-empty header text or NULL. */
static const char *header(const json_t *document, const char *name) {
    const json_t *value = json_object_get(document, name);

    return json_is_string(value) && json_string_length(value) > 0 ? json_string_value(value) : NULL;
}

/* The kind whose list this document is; *ret_any: the list may hold any kind. */
static const struct kind_info *list_kind(const json_t *document, bool *ret_any) {
    const char *kind = header(document, "kind"), *api_version = header(document, "apiVersion");

    *ret_any = kind && strcmp(kind, "List") == 0;
    for (int i = 0; kind && !*ret_any && i < KIND_COUNT; i++) {
        const struct kind_info *info = kind_info((enum kind)i);

        if (strcmp(info->list, kind) == 0 && (!api_version || strcmp(info->api_version, api_version) == 0)) {
            return info;
        }
    }
    return NULL;
}

/* `document 2 (BGPPeer "tor")`; what is not there is left out. */
static const char *name_document(struct splitting *s, const json_t *document, const char *kind) {
    char shown_kind[SHOWN_TEXT_MAX], shown_name[SHOWN_TEXT_MAX];
    const char *name = header(json_object_get(document, "metadata"), "name");

    text_shown(kind != NULL ? kind : "", shown_kind);
    text_shown(name != NULL ? name : "", shown_name);
    return arena_printf(s->arena, "document %zu%s%s%s%s%s%s", s->count + 1,
                        kind != NULL || name != NULL ? " (" : "", shown_kind,
                        kind != NULL && name != NULL ? " " : "", name != NULL ? "\"" : "", shown_name,
                        name != NULL   ? "\")"
                        : kind != NULL ? ")"
                                       : "");
}

/* What keeps it from being a document of a known kind. */
static const char *find_fault(struct splitting *s, const json_t *document, const char *kind,
                              const char *api_version) {
    char shown_kind[SHOWN_TEXT_MAX], shown_version[SHOWN_TEXT_MAX], hint[HEADER_HINT_MAX];

    if (!json_is_object(document)) {
        return arena_printf(s->arena, "is %s; expected an object with apiVersion and kind",
                            tree_type_name(document));
    }
    header_explain(kind, api_version, hint);
    return arena_printf(s->arena, "has kind \"%s\" and apiVersion \"%s\", which this service does not know%s",
                        text_shown(kind != NULL ? kind : "", shown_kind),
                        text_shown(api_version != NULL ? api_version : "", shown_version), hint);
}

static void write_document(struct splitting *s, const json_t *document, enum kind kind,
                           struct codec_document *one) {
    struct buf text = BUF_INIT;

    s->arena->wipe = s->arena->wipe || kind == KIND_SECRET;
    text.wipe = kind == KIND_SECRET;
    one->kind = kind;
    if (tree_write(document, &text) == 0) {
        one->json = arena_strndup(s->arena, text.data, text.len);
        one->len = text.len;
    }
    buf_done(&text);
}

static int take_document(struct splitting *s, const json_t *document, const struct kind_info *of_list) {
    const char *kind = header(document, "kind"), *api_version = header(document, "apiVersion");
    const struct kind_info *info = kind ? kind_by_name(kind) : of_list;
    struct codec_document *one = &s->documents[s->count];

    if (s->count == s->max) {
        return err_set(s->err, ERR_TOO_LARGE, "the body has more than %zu documents; send fewer at a time",
                       s->max);
    }
    one->about = name_document(s, document, info != NULL ? info->name : kind);
    if (!json_is_object(document) || info == NULL ||
        (api_version && strcmp(api_version, info->api_version) != 0)) {
        one->fault = find_fault(s, document, kind, api_version);
    } else {
        write_document(s, document, info->kind, one);
    }
    if (one->about == NULL || (one->fault == NULL && one->json == NULL)) {
        return err_no_memory(s->err);
    }
    s->count++;
    return 0;
}

/* A document, or each item of a sequence or list (one within another is refused as an unknown kind). */
static int take(struct splitting *s, const json_t *document) {
    bool any;
    const struct kind_info *info = list_kind(document, &any);
    const json_t *items = json_is_array(document) ? document : json_object_get(document, "items"), *item;
    size_t i;

    if (!info && !any && !json_is_array(document)) {
        return take_document(s, document, NULL);
    }
    if (items && !json_is_null(items) && !json_is_array(items)) {
        return err_set_field(s->err, ERR_BAD_REQUEST, "items", "items must be an array, got %s",
                             tree_type_name(items));
    }
    json_array_foreach(items, i, item) {
        if (take_document(s, item, info) < 0) {
            return -1;
        }
    }
    return 0;
}

int split_read(enum codec_syntax syntax, const char *bytes, size_t len, size_t max, json_t **ret,
               struct err *err) {
    json_auto_t *tree = NULL;
    json_t *array;

    if (syntax == CODEC_YAML) {
        return yaml_read_all(bytes, len, max, ret, err);
    }
    if (syntax_read(syntax, bytes, len, NULL, &tree, err) < 0) {
        return -1;
    }
    array = json_array();
    if (!array || json_array_append(array, tree) < 0) {
        json_decref(array);
        return err_no_memory(err);
    }
    *ret = array;
    return 0;
}

/* Upper bound of what `take` adds for this document. */
static size_t document_count(const json_t *document) {
    bool any;

    if (json_is_array(document)) {
        return json_array_size(document);
    }
    return list_kind(document, &any) || any ? json_array_size(json_object_get(document, "items")) : 1;
}

int split_documents(const json_t *bodies, size_t max, struct arena *arena, struct codec_document **ret,
                    size_t *ret_count, struct err *err) {
    struct splitting s = {.arena = arena, .max = max, .err = err};
    const json_t *body;
    size_t i, count = 0;

    json_array_foreach(bodies, i, body) {
        count += document_count(body);
    }
    /* One more, so that there is a slot to look at when the limit has been reached. */
    s.documents = arena_array(arena, (count < max ? count : max) + 1, sizeof *s.documents);
    if (!s.documents) {
        return err_no_memory(err);
    }
    json_array_foreach(bodies, i, body) {
        if (take(&s, body) < 0) {
            return -1;
        }
    }
    if (s.count == 0) {
        return err_set(err, ERR_BAD_REQUEST, "the body holds no document");
    }
    *ret = s.documents;
    *ret_count = s.count;
    return 0;
}

int codec_split(enum codec_syntax syntax, const char *bytes, size_t len, size_t max, struct arena *arena,
                struct codec_document **ret, size_t *ret_count, struct err *err) {
    json_auto_t *bodies = NULL;

    return split_read(syntax, bytes, len, max, &bodies, err) < 0
               ? -1
               : split_documents(bodies, max, arena, ret, ret_count, err);
}
