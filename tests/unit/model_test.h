/*
 * What the tests of the room `model` share: one object under test at a time, its errors and its advice.
 */
#ifndef BGPPEERD_TESTS_UNIT_MODEL_TEST_H
#define BGPPEERD_TESTS_UNIT_MODEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/causes.h"
#include "model/object.h"
#include "model/resources.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define STRINGS(...)                                                                                         \
    {                                                                                                        \
        .count = COUNT_OF(((const char *[]){__VA_ARGS__})), .items = (const char *[]) {                      \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define ITEMS(type, ...)                                                                                     \
    {                                                                                                        \
        .count = COUNT_OF(((struct type[]){__VA_ARGS__})), .items = (struct type[]) {                        \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define TRUE_VALUE                                                                                           \
    { .set = true, .value = true }
#define FALSE_VALUE                                                                                          \
    { .set = true, .value = false }
#define NUMBER(n)                                                                                            \
    { .set = true, .value = (n) }
#define SECONDS(s)                                                                                           \
    { .text = #s "s", .ns = INT64_C(s) * 1000000000 }

struct verdict {
    struct arena arena;
    struct causes causes;
    struct advice advice;
};

static inline struct object make_object(enum kind kind, const char *name, void *body) {
    struct object object = {.kind = kind, .meta = {.name = name}, .body = body};
    if (kind_info(kind)->namespaced) {
        object.meta.name_space = "default";
    }
    return object;
}

static inline void judge(struct verdict *verdict, const struct object *object) {
    arena_init(&verdict->arena, 0);
    causes_init(&verdict->causes, &verdict->arena);
    advice_init(&verdict->advice, &verdict->arena);
    object_validate(object, &verdict->causes);
    object_advise(object, &verdict->advice);
}

static inline void print_verdict(const struct verdict *verdict) {
    for (size_t i = 0; i < verdict->causes.count; i++) {
        const struct cause *cause = &verdict->causes.items[i];
        print_message("  error %s %s: %s\n", cause->reason, cause->field, cause->message);
    }
    for (size_t i = 0; i < verdict->advice.count; i++) {
        print_message("  advice %s\n", verdict->advice.items[i]);
    }
}

/* The object is valid. */
static inline void expect_valid(enum kind kind, const char *name, void *body) {
    struct object object = make_object(kind, name, body);
    struct verdict verdict;
    judge(&verdict, &object);
    if (verdict.causes.count != 0) {
        print_verdict(&verdict);
    }
    assert_int_equal(verdict.causes.count, 0);
    arena_done(&verdict.arena);
}

/* The object has exactly one error: of this reason, at this field, with this text in its message. */
static inline void expect_error(enum kind kind, const char *name, void *body, const char *reason,
                                const char *field, const char *text) {
    struct object object = make_object(kind, name, body);
    struct verdict verdict;
    judge(&verdict, &object);
    const struct cause *cause = &verdict.causes.items[0];
    if (verdict.causes.count != 1 || strcmp(cause->reason, reason) != 0 || strcmp(cause->field, field) != 0 ||
        strstr(cause->message, text) == NULL) {
        print_message("expected %s at %s with \"%s\", got\n", reason, field, text);
        print_verdict(&verdict);
        fail();
    }
    arena_done(&verdict.arena);
}

static inline bool has_advice(const struct verdict *verdict, const char *text) {
    for (size_t i = 0; i < verdict->advice.count; i++) {
        if (strstr(verdict->advice.items[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

/* The table entry at a dotted path from the document's top. */
static inline const struct field *field_at(enum kind kind, const char *path) {
    const struct schema *schema = kind_info(kind)->body;
    const struct field *found = NULL;
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        found = NULL;
        for (size_t i = 0; schema != NULL && i < schema->field_count; i++) {
            const char *name = schema->fields[i].name;
            if (strlen(name) == len && memcmp(name, path, len) == 0) {
                found = &schema->fields[i];
            }
        }
        if (found == NULL) {
            fail_msg("no field \"%s\"", path);
        }
        schema = found->schema;
        path += len + (path[len] == '.');
    }
    return found;
}

#endif
