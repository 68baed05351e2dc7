/*
 * Measures and comparisons of jansson trees. The trees have bounded depth (text.c, yaml.c, patch.c), so
 * recursion is bounded as well. Nothing is owned, no locks.
 */
#include <string.h>

#include "codec_internal.h"

#define NODE_WEIGHT 32 /* of every value, so that empty ones count too; jansson needs more for each */

size_t tree_weight(const json_t *tree) {
    size_t weight = NODE_WEIGHT, i;
    const char *key;
    json_t *value;

    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        json_object_foreach((json_t *)tree, key, value) {
            weight += strlen(key) + tree_weight(value);
        }
        break;
    case JSON_ARRAY:
        json_array_foreach((json_t *)tree, i, value) {
            weight += tree_weight(value);
        }
        break;
    case JSON_STRING:
        weight += json_string_length(tree);
        break;
    default:
        break;
    }
    return weight;
}

unsigned tree_depth(const json_t *tree) {
    unsigned deepest = 0;
    size_t i;
    const char *key;
    json_t *value;

    if (json_is_object(tree)) {
        json_object_foreach((json_t *)tree, key, value) {
            unsigned depth = tree_depth(value);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value) {
            unsigned depth = tree_depth(value);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

static bool objects_equal(const json_t *a, const json_t *b) {
    const char *key;
    json_t *value;

    if (json_object_size(a) != json_object_size(b)) {
        return false;
    }
    json_object_foreach((json_t *)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (!other || !tree_equal(value, other)) {
            return false;
        }
    }
    return true;
}

bool tree_equal(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) {
        if (json_is_integer(a) && json_is_integer(b)) {
            return json_integer_value(a) == json_integer_value(b);
        }
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    }
    if (json_typeof(a) != json_typeof(b)) {
        return false;
    }
    if (json_is_object(a)) {
        return objects_equal(a, b);
    }
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b)) {
            return false;
        }
        for (size_t i = 0; i < json_array_size(a); i++) {
            if (!tree_equal(json_array_get(a, i), json_array_get(b, i))) {
                return false;
            }
        }
        return true;
    }
    return json_equal(a, b) == 1;
}

static int append(const char *bytes, size_t len, void *arg) {
    struct buf *out = arg;

    buf_add(out, bytes, len);
    return buf_failed(out) ? -1 : 0;
}

int tree_write(const json_t *tree, struct buf *out) {
    return json_dump_callback(tree, append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

const char *tree_type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with fraction or exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "nothing";
}
