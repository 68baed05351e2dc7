/*
 * Which keys of a JSON text occur twice. jansson stops at the first and does not say where in the
 * document it is, so this walks the text a second time; only texts that have duplicates get here. The
 * text is valid JSON of bounded depth; still, no index leaves it. No locks.
 */
#include <string.h>

#include "codec_internal.h"

struct level {
    json_t *seen; /* keys of an object so far; NULL for an array */
    json_t *key;  /* the member being read, decoded */
    struct path path;
};

struct walk {
    struct level levels[CODEC_DEPTH_MAX];
    unsigned depth;
    bool at_key; /* the next string is a key */
};

static size_t string_end(const char *bytes, size_t len, size_t i) {
    for (i++; i < len && bytes[i] != '"'; i++) {
        if (bytes[i] == '\\') {
            i++;
        }
    }
    return i < len ? i + 1 : len;
}

/* -1 when memory is out. */
static int push(struct walk *walk, bool object) {
    struct level *level = &walk->levels[walk->depth];
    json_t *seen = object ? json_object() : NULL;

    if (object && !seen) {
        return -1;
    }
    *level = (struct level){.seen = seen};
    level->path.parent = walk->depth > 0 ? &walk->levels[walk->depth - 1].path : NULL;
    walk->depth++;
    walk->at_key = object;
    return 0;
}

static void pop(struct walk *walk) {
    struct level *level = &walk->levels[--walk->depth];

    json_decref(level->seen);
    json_decref(level->key);
    walk->at_key = false;
}

static int take_key(struct walk *walk, const char *bytes, size_t len, struct decoding *d) {
    struct level *level = &walk->levels[walk->depth - 1];
    json_t *key = json_loadb(bytes, len, JSON_DECODE_ANY, NULL);

    if (!key) {
        return -1;
    }
    json_decref(level->key);
    level->key = key;
    level->path.name = json_string_value(key);
    if (json_object_get(level->seen, level->path.name)) {
        decoding_duplicate_field(d, &level->path);
        return 0;
    }
    return json_object_set_new_nocheck(level->seen, level->path.name, json_true());
}

static void after_comma(struct walk *walk) {
    struct level *level = &walk->levels[walk->depth - 1];

    walk->at_key = level->seen != NULL;
    level->path.index++;
}

void json_find_duplicates(const char *bytes, size_t len, struct decoding *d) {
    struct walk walk = {.depth = 0};
    int failed = 0;

    for (size_t i = 0; i < len && failed == 0;) {
        size_t next = i + 1;
        char c = bytes[i];

        if (c == '"') {
            next = string_end(bytes, len, i);
            if (walk.at_key) {
                failed = take_key(&walk, bytes + i, next - i, d);
                walk.at_key = false;
            }
        } else if ((c == '{' || c == '[') && walk.depth < CODEC_DEPTH_MAX) {
            failed = push(&walk, c == '{');
        } else if ((c == '}' || c == ']') && walk.depth > 0) {
            pop(&walk);
        } else if (c == ',' && walk.depth > 0) {
            after_comma(&walk);
        }
        i = next;
    }
    while (walk.depth > 0) {
        pop(&walk);
    }
    if (failed < 0) {
        d->no_memory = true;
    }
}
