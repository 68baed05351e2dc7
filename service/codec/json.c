/*
 * JSON text to a tree, by jansson, after the checks of text.c. Trees are the caller's; no locks.
 */
#include <stdio.h>
#include <string.h>

#include "codec_internal.h"

/* What is probably meant where jansson stops; "" when there is nothing to say. */
static const char *json_hint(const char *bytes, size_t len, size_t offset) {
    size_t first = 0;

    while (first < len && strchr(" \t\r\n", bytes[first]) != NULL) {
        first++;
    }
    if (first < len && strchr("{[", bytes[first]) == NULL) {
        return "; if the body is YAML, send it as Content-Type: application/yaml";
    }
    if (offset >= len) {
        return "";
    }
    while (offset > 0 && bytes[offset] >= 'a' && bytes[offset] <= 'z') {
        offset--; /* to the beginning of a word, if it has a capital letter there */
    }
    size_t before = offset;
    while (before > 0 && strchr(" \t\r\n", bytes[before - 1]) != NULL) {
        before--;
    }
    switch (bytes[offset]) {
    case '\'':
        return "; JSON takes double quotes only";
    case '/':
    case '#':
        return "; JSON has no comments";
    case '}':
    case ']':
        return before > 0 && bytes[before - 1] == ',' ? "; remove the comma before it" : "";
    case 'N':
    case 'T':
    case 'F':
        return "; true, false and null are written in lower case";
    default:
        return "";
    }
}

/* jansson's message ends in "near '<piece of the body>'", which may be a password: cut it off. */
static int refuse_syntax(const json_error_t *error, const char *bytes, size_t len, struct err *err) {
    const char *near = strstr(error->text, " near ");
    int shown = (int)(near ? (size_t)(near - error->text) : strlen(error->text));
    size_t offset = error->position > 0 ? (size_t)error->position - 1 : 0;

    if (json_error_code(error) == json_error_premature_end_of_input) {
        return text_refuse(err, bytes, len, len, "the JSON text ends too early: %.*s", shown, error->text);
    }
    return text_refuse(err, bytes, len, offset < len ? offset : len, "not JSON: %.*s%s", shown, error->text,
                       json_hint(bytes, len, offset));
}

static int refuse_duplicate(const json_error_t *error, const char *bytes, size_t len, struct err *err) {
    size_t offset = error->position > 0 ? (size_t)error->position - 1 : 0;

    return text_refuse(err, bytes, len, offset < len ? offset : len,
                       "this key occurs twice in its object; remove one of them");
}

/*
 * -1: memory is out. 0 with *ret NULL: not JSON, *error says why. jansson may give a tree that lacks a
 * piece when it was refused memory for it, so the allocator is asked, not the tree.
 */
static int load(const char *bytes, size_t len, size_t flags, json_t **ret, json_error_t *error,
                struct err *err) {
    (void)codec_out_of_memory();
    *ret = json_loadb(bytes, len, flags | JSON_DECODE_ANY, error);
    if (codec_out_of_memory()) {
        json_decref(*ret);
        return err_no_memory(err);
    }
    return 0;
}

int json_read(const char *bytes, size_t len, struct decoding *d, json_t **ret, struct err *err) {
    json_error_t error;
    json_t *tree;

    if (len == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body is empty: the JSON text ends too early; send a document as JSON or YAML");
    }
    if (!(d && d->stored) && text_check_json(bytes, len, err) < 0) {
        return -1;
    }
    if (load(bytes, len, d && d->stored ? 0 : JSON_REJECT_DUPLICATES, &tree, &error, err) < 0) {
        return -1;
    }
    if (!tree && json_error_code(&error) == json_error_duplicate_key) {
        if (!d) {
            return refuse_duplicate(&error, bytes, len, err);
        }
        if (load(bytes, len, 0, &tree, &error, err) < 0) {
            return -1;
        }
        if (tree && d->unknown != CODEC_IGNORE) {
            json_find_duplicates(bytes, len, d);
        }
    }
    if (!tree) {
        return refuse_syntax(&error, bytes, len, err);
    }
    *ret = tree;
    return 0;
}

int syntax_read(enum codec_syntax syntax, const char *bytes, size_t len, struct decoding *d, json_t **ret,
                struct err *err) {
    switch (syntax) {
    case CODEC_JSON:
        return json_read(bytes, len, d, ret, err);
    case CODEC_YAML:
        return yaml_read(bytes, len, d, ret, err);
    case CODEC_PROTOBUF:
        break;
    }
    return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                   "application/vnd.kubernetes.protobuf is read for Secrets only; send application/json");
}
