/*
 * Peering lists against the vectors: objects and secrets in, a node's whole list out. What a vector's list
 * says must hold, and there must be no other sessions. `suppressed` and `problems` are compared where a
 * vector (one of our own) has them, as sets of the members that it gives.
 */
#include "../unit/peering_fixture.h"
#include "vectors.h"

/* The codec has given jansson an allocator of its own. */
static void free_text(char *text) {
    json_malloc_t allocate;
    json_free_t release;
    json_get_alloc_funcs(&allocate, &release);
    release(text);
}

static void apply_objects(struct fleet *fleet, const json_t *objects) {
    size_t i;
    json_t *document;
    json_array_foreach(objects, i, document) {
        const struct kind_info *kind = kind_by_name(vector_text(document, "kind"));
        assert_non_null(kind);
        char *text = json_dumps(document, JSON_COMPACT);
        assert_non_null(text);
        struct arena arena;
        struct arena scratch;
        arena_init(&arena, 0);
        arena_init(&scratch, 0);
        struct causes causes;
        struct advice advice;
        causes_init(&causes, &scratch);
        advice_init(&advice, &scratch);
        struct err err = ERR_INIT;
        struct object *object = NULL;
        struct record *record = NULL;
        struct codec_options options = {.syntax = CODEC_JSON, .unknown = CODEC_STRICT, .kind = kind->kind};
        fleet_check(codec_decode(&options, text, strlen(text), &arena, &object, &causes, &advice, &err),
                    &err);
        object->meta.resource_version = fleet->revision + 1;
        const char *key = object_key(object, &arena);
        fleet_check(record_new(&arena, object, key, "{}", 2, &record, &err), &err);
        fleet_put_record(fleet, kind->kind, record);
        arena_done(&scratch);
        free_text(text);
    }
}

static void apply_secrets(struct fleet *fleet, json_t *secrets) {
    const char *name;
    json_t *values;
    json_object_foreach(secrets, name, values) {
        struct password passwords[16];
        size_t count = 0;
        const char *key;
        json_t *value;
        json_object_foreach(values, key, value) {
            assert_true(count < sizeof(passwords) / sizeof(passwords[0]));
            passwords[count++] = (struct password){key, json_string_value(value), json_string_length(value)};
        }
        fleet_put_secret(fleet, name, passwords, count);
    }
}

/* Every member of `expected` is in `actual`, with the same value. */
static bool includes(const json_t *expected, const json_t *actual) {
    if (!json_is_object(expected)) {
        return json_equal(expected, actual);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value) {
        const json_t *other = json_object_get(actual, key);
        if (other == NULL || !includes(value, other)) {
            return false;
        }
    }
    return true;
}

/* A session as compared: without what carries no decision. */
static json_t *decisions(json_t *item) {
    json_t *copy = json_deep_copy(item);
    json_object_del(copy, "passwordFingerprint");
    return copy;
}

static bool items_equal(json_t *expected, json_t *actual) {
    if (json_array_size(expected) != json_array_size(actual)) {
        return false;
    }
    bool equal = true;
    for (size_t i = 0; i < json_array_size(expected); i++) {
        json_t *got = decisions(json_array_get(actual, i));
        equal = equal && json_equal(json_array_get(expected, i), got);
        json_decref(got);
    }
    return equal;
}

/* `expected` NULL: the vector does not say. */
static bool set_equal(json_t *expected, json_t *actual) {
    if (expected == NULL) {
        return true;
    }
    if (json_array_size(expected) != json_array_size(actual)) {
        return false;
    }
    size_t i;
    json_t *one;
    json_array_foreach(expected, i, one) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(actual) && !found; k++) {
            found = includes(one, json_array_get(actual, k));
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static json_t *compute(const struct fleet *fleet, const char *node) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct peering_list list;
    struct peering_reveal reveal = {.password = reveal_plain};
    struct buf out = BUF_INIT;
    arena_init(&arena, 0);
    fleet_check(peering_compute(fleet->index, node, &arena, &list, &err), &err);
    peering_encode(&list, 1, &reveal, &out);
    assert_false(buf_failed(&out));
    json_t *document = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(document);
    buf_done(&out);
    arena_done(&arena);
    return document;
}

static void print_json(const char *what, const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    fprintf(stderr, "  %s: %s\n", what, text); /* whole: cmocka cuts what it prints */
    free_text(text);
}

static bool vector_passes(json_t *vector) {
    struct fleet fleet;
    fleet_init(&fleet);
    apply_objects(&fleet, json_object_get(vector, "objects"));
    apply_secrets(&fleet, json_object_get(vector, "secrets"));
    json_t *expected = json_object_get(vector, "expected");
    json_t *actual = compute(&fleet, vector_text(vector, "node"));
    static const char *const lists[] = {"suppressed", "problems"};
    bool passes = includes(json_object_get(expected, "local"), json_object_get(actual, "local")) &&
                  items_equal(json_object_get(expected, "items"), json_object_get(actual, "items"));
    for (size_t i = 0; i < 2; i++) {
        passes = passes && set_equal(json_object_get(expected, lists[i]), json_object_get(actual, lists[i]));
    }
    if (!passes) {
        fprintf(stderr, "%s (node %s)\n", vector_text(vector, "id"), vector_text(vector, "node"));
        print_json("expected", expected);
        print_json("computed", actual);
    }
    json_decref(actual);
    fleet_done(&fleet);
    return passes;
}

int main(void) {
    struct vector_suite suite = {.title = "conformance: peerings",
                                 .file = "peerings.json",
                                 .what = "vectors",
                                 .passes = vector_passes};
    return run_suite(&suite);
}
