/*
 * The bodies that other systems' tools print, taken apart into documents: streams of YAML, sequences
 * (calicoctl, of several objects), Lists, and the three sections of `calicoctl datastore migrate export`:
 * YAML, then the ClusterInformation, then the IPAM data, each behind a line "===".
 */
#include <string.h>

#include "import.h"

#define SECTION_LINE "===\n"

static const char *const SECTION_KINDS[] = {"ClusterInformation", "IPAM"};
#define SECTIONS_MAX (1 + sizeof(SECTION_KINDS) / sizeof(SECTION_KINDS[0]))

const char *import_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

int import_annotation(const json_t *annotations, const char *name, json_t **ret, struct err *err) {
    const char *text = import_text(annotations, name);
    json_auto_t *held = NULL;
    if (text[0] == '\0') {
        *ret = NULL;
        return 0;
    }
    if (json_read(text, strlen(text), NULL, &held, err) != 0) {
        return err_wrap(err, "annotation %s", name);
    }
    if (!json_is_object(held)) {
        return err_set(err, ERR_BAD_REQUEST, "annotation %s holds %s; expected an object", name,
                       tree_type_name(held));
    }
    *ret = json_incref(held);
    return 0;
}

static int add(json_t *documents, json_t *document, struct err *err) {
    if (json_array_size(documents) == IMPORT_DOCUMENTS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "there are more than %d documents; import fewer at a time",
                       IMPORT_DOCUMENTS_MAX);
    }
    return json_array_append(documents, document) != 0 ? err_no_memory(err) : 0;
}

/* "BGPPeerList" and "List": documents that only hold others. */
static bool is_list(const json_t *document) {
    const char *kind = import_text(document, "kind");
    const json_t *items = json_object_get(document, "items");
    size_t len = strlen(kind);
    return len >= 4 && strcmp(kind + len - 4, "List") == 0 &&
           (items == NULL || json_is_null(items) || json_is_array(items));
}

/* An API server leaves kind and apiVersion out of a list's items. */
static int add_header(json_t *item, const json_t *list) {
    const char *kind = import_text(list, "kind");
    size_t len = strlen(kind) - 4;
    if (!json_is_object(item) || len == 0 || json_object_get(item, "kind") != NULL) {
        return 0;
    }
    return json_object_set_new(item, "kind", json_stringn(kind, len)) != 0 ||
                   (json_object_get(item, "apiVersion") == NULL &&
                    json_object_set(item, "apiVersion", json_object_get(list, "apiVersion")) != 0)
               ? -1
               : 0;
}

/* The recursion is bounded by the depth of the body. */
static int flatten(json_t *documents, json_t *document, struct err *err) {
    bool list = is_list(document);
    json_t *items = list ? json_object_get(document, "items") : document, *item;
    size_t i;
    if (!list && !json_is_array(document)) {
        return add(documents, document, err);
    }
    json_array_foreach(items, i, item) {
        if (list && add_header(item, document) != 0) {
            return err_no_memory(err);
        }
        if (flatten(documents, item, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What stands behind a line "===" is known by its place, and its content is of no use here. */
static int add_section(json_t *documents, size_t section, struct err *err) {
    json_auto_t *document =
        json_pack("{s:s,s:s}", "apiVersion", "projectcalico.org/v3", "kind", SECTION_KINDS[section - 1]);
    return document == NULL ? err_no_memory(err) : add(documents, document, err);
}

/* The next line "===" from `from` on, or the end. */
static size_t section_end(const char *bytes, size_t len, size_t from) {
    const size_t width = sizeof(SECTION_LINE) - 1;
    for (size_t at = from; at + width <= len; at++) {
        if ((at == 0 || bytes[at - 1] == '\n') && memcmp(bytes + at, SECTION_LINE, width) == 0) {
            return at;
        }
        const char *line_end = memchr(bytes + at, '\n', len - at);
        at = line_end != NULL ? (size_t)(line_end - bytes) : len;
    }
    return len;
}

static int read_yaml(const char *bytes, size_t len, json_t *documents, struct err *err) {
    size_t end = section_end(bytes, len, 0);
    json_auto_t *bodies = NULL;
    if (yaml_read_all(bytes, end, IMPORT_DOCUMENTS_MAX, &bodies, err) != 0 ||
        flatten(documents, bodies, err) != 0) {
        return -1;
    }
    for (size_t section = 1; end < len && section < SECTIONS_MAX; section++) {
        end = section_end(bytes, len, end + sizeof(SECTION_LINE) - 1);
        if (add_section(documents, section, err) != 0) {
            return -1;
        }
    }
    return end == len
               ? 0
               : err_set(err, ERR_BAD_REQUEST,
                         "the body has more than %zu sections divided by lines ===, which is more than "
                         "calicoctl datastore migrate export writes",
                         SECTIONS_MAX);
}

static int read_json(enum codec_syntax syntax, const char *bytes, size_t len, json_t *documents,
                     struct err *err) {
    json_auto_t *body = NULL;
    return syntax_read(syntax, bytes, len, NULL, &body, err) != 0 ? -1 : flatten(documents, body, err);
}

int import_read(enum codec_syntax syntax, const char *bytes, size_t len, json_t **ret, struct err *err) {
    json_auto_t *documents = json_array();
    if (documents == NULL) {
        return err_no_memory(err);
    }
    if (syntax == CODEC_YAML ? read_yaml(bytes, len, documents, err) != 0
                             : read_json(syntax, bytes, len, documents, err) != 0) {
        return -1;
    }
    *ret = json_incref(documents);
    return 0;
}
