/*
 * JSON Patch (RFC 6902) with JSON Pointers (RFC 6901). Malformed patches are 400; a patch that does not
 * fit the document (no such place, failed test) is 422. Values are copied wherever they go, so that no
 * two places of a document are the same jansson value. Copies, and the elements that are moved when one is
 * put into an array or taken out, are counted, so that a short patch cannot grow a document without end or
 * move a long array for each of its operations. No locks.
 */
#include <stdio.h>
#include <string.h>

#include "patch_internal.h"

#define SHIFTED_MAX (16u * 1024 * 1024) /* bytes of arrays that one patch may move: about a millisecond */

struct operation {
    size_t index; /* in the patch, for messages */
    const char *op, *path, *from;
    const json_t *value;
};

/* Where a pointer leads: the container and what is said about the place in it. */
struct place {
    json_t *parent; /* NULL: the whole document */
    char *token;    /* decoded last token, freed with the place's arena */
    bool end;       /* "-" of an array: behind the last element */
    size_t index;   /* array element; for `end` the size */
    json_t *value;  /* what is there now, NULL = nothing */
    unsigned depth; /* containers around the place */
};

struct patching {
    json_t *document;
    struct arena arena; /* decoded tokens */
    size_t copied;      /* bytes of values */
    size_t shifted;     /* bytes of arrays behind what was put in or taken out */
    struct err *err;
};

static int malformed(struct patching *p, const struct operation *operation, const char *what) {
    return err_set(p->err, ERR_BAD_REQUEST, "operation %zu of the JSON patch: %s", operation->index, what);
}

static int misfit(struct patching *p, const struct operation *operation, const char *pointer,
                  const char *what) {
    char shown[SHOWN_TEXT_MAX];

    return err_set(p->err, ERR_INVALID, "operation %zu of the JSON patch (%s \"%s\"): %s", operation->index,
                   operation->op, text_shown(pointer, shown), what);
}

/* The next token of *pointer, which stands at a '/'; decoded. NULL: bad escape or no memory. */
static char *take_token(struct patching *p, const struct operation *operation, const char **pointer) {
    const char *from = *pointer + 1;
    size_t len = strcspn(from, "/"), n = 0;
    char *token = arena_alloc(&p->arena, len + 1);

    if (!token) {
        err_no_memory(p->err);
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        char c = from[i];

        if (c == '~') {
            i++;
            if (i == len || (from[i] != '0' && from[i] != '1')) {
                malformed(p, operation, "in a path, '~' must be followed by 0 (for ~) or 1 (for /)");
                return NULL;
            }
            c = from[i] == '0' ? '~' : '/';
        }
        token[n++] = c;
    }
    token[n] = '\0';
    *pointer = from + len;
    return token;
}

/* "0", or digits without a leading zero (RFC 6901 section 4). */
static bool parse_index(const char *token, size_t *ret) {
    size_t len = strlen(token), index = 0;

    if (len == 0 || len > 9 || (token[0] == '0' && len > 1) || strspn(token, "0123456789") != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        index = index * 10 + (size_t)(token[i] - '0');
    }
    *ret = index;
    return true;
}

/* One step down, into place->value. */
static int step(struct patching *p, const struct operation *operation, const char *pointer, json_t *at,
                char *token, struct place *place) {
    place->parent = at;
    place->token = token;
    place->end = false;
    place->value = NULL;
    place->depth++;
    if (json_is_object(at)) {
        place->value = json_object_get(at, token);
        return 0;
    }
    if (!json_is_array(at)) {
        return misfit(p, operation, pointer, "the path goes through a value that has no members");
    }
    if (strcmp(token, "-") == 0) {
        place->end = true;
        place->index = json_array_size(at);
        return 0;
    }
    if (!parse_index(token, &place->index)) {
        return misfit(p, operation, pointer, "an array element is named by its number, counted from 0");
    }
    place->value = json_array_get(at, place->index);
    return 0;
}

static int find_place(struct patching *p, const struct operation *operation, const char *pointer,
                      struct place *ret) {
    struct place place = {.value = p->document};
    const char *rest = pointer;

    if (*pointer != '\0' && *pointer != '/') {
        return malformed(p, operation, "a path must be empty or begin with '/'");
    }
    while (*rest != '\0') {
        json_t *at = place.value;
        char *token = take_token(p, operation, &rest);

        if (!token) {
            return -1;
        }
        if (!at) {
            return misfit(p, operation, pointer, "there is no such place in the document");
        }
        if (step(p, operation, pointer, at, token, &place) < 0) {
            return -1;
        }
    }
    *ret = place;
    return 0;
}

/* The same, and something must be there. */
static int find_value(struct patching *p, const struct operation *operation, const char *pointer,
                      struct place *ret) {
    if (find_place(p, operation, pointer, ret) < 0) {
        return -1;
    }
    return ret->value ? 0 : misfit(p, operation, pointer, "there is nothing at this path");
}

/* A copy of `value` that may stand at `place`. */
static json_t *copy_for(struct patching *p, const struct operation *operation, const struct place *place,
                        const json_t *value) {
    json_t *copy;

    if (place->depth + tree_depth(value) > CODEC_DEPTH_MAX) {
        misfit(p, operation, operation->path, "the document would be nested too deep");
        return NULL;
    }
    p->copied += tree_weight(value);
    if (p->copied > 2 * CODEC_EXPANSION_MAX) {
        misfit(p, operation, operation->path, "the patch makes the document too large");
        return NULL;
    }
    copy = json_deep_copy(value);
    if (!copy) {
        err_no_memory(p->err);
    }
    return copy;
}

/* Count what moves when the array of `place` changes there. */
static int charge_shift(struct patching *p, const struct operation *operation, const struct place *place) {
    size_t size = json_array_size(place->parent);

    p->shifted += place->index < size ? (size - place->index) * sizeof(json_t *) : 0;
    return p->shifted <= SHIFTED_MAX ? 0
                                     : misfit(p, operation, operation->path,
                                              "the patch moves too many array elements; write the array as "
                                              "a whole, or work at its end");
}

/* Takes over `value`. */
static int put(struct patching *p, const struct operation *operation, const struct place *place,
               json_t *value) {
    int failed;

    if (!place->parent) {
        json_decref(p->document);
        p->document = value;
        return 0;
    }
    if (json_is_object(place->parent)) {
        failed = json_object_set_new_nocheck(place->parent, place->token, value);
    } else {
        if (place->index > json_array_size(place->parent)) {
            json_decref(value);
            return misfit(p, operation, operation->path, "the array has fewer elements");
        }
        if (charge_shift(p, operation, place) != 0) {
            json_decref(value);
            return -1;
        }
        failed = json_array_insert_new(place->parent, place->index, value);
    }
    return failed < 0 ? err_no_memory(p->err) : 0;
}

static int take_out(struct patching *p, const struct operation *operation, const struct place *place) {
    if (!place->parent) {
        return misfit(p, operation, operation->path, "the whole document cannot be removed");
    }
    if (json_is_object(place->parent)) {
        return json_object_del(place->parent, place->token);
    }
    return charge_shift(p, operation, place) != 0 ? -1 : json_array_remove(place->parent, place->index);
}

static int add(struct patching *p, const struct operation *operation, const json_t *value) {
    struct place place;
    json_t *copy;

    if (find_place(p, operation, operation->path, &place) < 0) {
        return -1;
    }
    copy = copy_for(p, operation, &place, value);
    return copy ? put(p, operation, &place, copy) : -1;
}

static int replace(struct patching *p, const struct operation *operation) {
    struct place place;
    json_t *copy;

    if (find_value(p, operation, operation->path, &place) < 0) {
        return -1;
    }
    copy = copy_for(p, operation, &place, operation->value);
    if (!copy) {
        return -1;
    }
    if (json_is_array(place.parent)) {
        return json_array_set_new(place.parent, place.index, copy) < 0 ? err_no_memory(p->err) : 0;
    }
    return put(p, operation, &place, copy);
}

static int remove_value(struct patching *p, const struct operation *operation) {
    struct place place;

    if (find_value(p, operation, operation->path, &place) < 0) {
        return -1;
    }
    return take_out(p, operation, &place);
}

static int move(struct patching *p, const struct operation *operation) {
    struct place from;
    json_auto_t *value = NULL;
    size_t from_len = strlen(operation->from);

    if (find_value(p, operation, operation->from, &from) < 0) {
        return -1;
    }
    if (strncmp(operation->path, operation->from, from_len) == 0 && operation->path[from_len] == '/') {
        return misfit(p, operation, operation->path, "a value cannot be moved into itself");
    }
    if (strcmp(operation->path, operation->from) == 0) {
        return 0;
    }
    value = json_incref(from.value);
    return take_out(p, operation, &from) < 0 ? -1 : add(p, operation, value);
}

static int copy(struct patching *p, const struct operation *operation) {
    struct place from;

    return find_value(p, operation, operation->from, &from) < 0 ? -1 : add(p, operation, from.value);
}

static int test(struct patching *p, const struct operation *operation) {
    struct place place;

    if (find_value(p, operation, operation->path, &place) < 0) {
        return -1;
    }
    return tree_equal(place.value, operation->value)
               ? 0
               : misfit(p, operation, operation->path,
                        "the test failed: the document has another value there");
}

/* A member that must be a string. NULL: it is not, and that has been said. */
static const char *text_member(struct patching *p, const struct operation *operation, const json_t *object,
                               const char *name) {
    char what[80];
    const json_t *value = json_object_get(object, name);

    if (json_is_string(value)) {
        return json_string_value(value);
    }
    snprintf(what, sizeof what, "\"%s\" is missing or not a string", name);
    malformed(p, operation, what);
    return NULL;
}

static int apply_one(struct patching *p, const json_t *object, size_t index) {
    static const struct {
        const char *name;
        bool from, value;
    } known[] = {{"add", false, true},  {"remove", false, false}, {"replace", false, true},
                 {"move", true, false}, {"copy", true, false},    {"test", false, true}};
    struct operation operation = {.index = index};
    size_t i = 0;

    if (!json_is_object(object)) {
        return malformed(p, &operation, "it must be an object with op and path");
    }
    if (!(operation.op = text_member(p, &operation, object, "op")) ||
        !(operation.path = text_member(p, &operation, object, "path"))) {
        return -1;
    }
    while (i < 6 && strcmp(known[i].name, operation.op) != 0) {
        i++;
    }
    if (i == 6) {
        return malformed(p, &operation, "op must be one of add, remove, replace, move, copy, test");
    }
    if (known[i].from && !(operation.from = text_member(p, &operation, object, "from"))) {
        return -1;
    }
    operation.value = json_object_get(object, "value");
    if (known[i].value && !operation.value) {
        return malformed(p, &operation, "\"value\" is missing");
    }
    switch (i) {
    case 0:
        return add(p, &operation, operation.value);
    case 1:
        return remove_value(p, &operation);
    case 2:
        return replace(p, &operation);
    case 3:
        return move(p, &operation);
    case 4:
        return copy(p, &operation);
    default:
        return test(p, &operation);
    }
}

int json_patch_apply(json_t **document, const json_t *patch, size_t operations_max, struct err *err) {
    struct patching p = {.document = *document, .err = err};
    size_t i;
    const json_t *operation;
    int failed = 0;

    if (!json_is_array(patch)) {
        return err_set(err, ERR_BAD_REQUEST, "a JSON patch must be an array of operations, got %s",
                       tree_type_name(patch));
    }
    if (json_array_size(patch) > operations_max) {
        return err_set(err, ERR_TOO_LARGE,
                       "a JSON patch can have at most %zu operations here, this one has %zu", operations_max,
                       json_array_size(patch));
    }
    arena_init(&p.arena, 0);
    p.arena.wipe = true; /* tokens may be cut from anything */
    json_array_foreach(patch, i, operation) {
        failed = apply_one(&p, operation, i);
        if (failed < 0) {
            break;
        }
    }
    arena_done(&p.arena);
    *document = p.document;
    return failed;
}
