/*
 * Whole documents as a client would POST them, and whether they are valid: the shared vectors, and our
 * own in own/validation.json (same format).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/causes.h"
#include "codec.h"
#include "vectors.h"

/* Is the document accepted? Else *why (ERR_TEXT_MAX) says what was found. */
static bool accepted(const struct kind_info *info, const json_t *document, char *why) {
    static struct causes causes;
    struct codec_options options = {.syntax = CODEC_JSON,
                                    .unknown = CODEC_STRICT,
                                    .kind = info->kind,
                                    .name_space = info->namespaced ? "default" : NULL};
    struct advice advice;
    struct arena arena;
    struct object *object = NULL;
    struct err err = ERR_INIT;
    static char text[1 << 16];
    size_t len = json_dumpb(document, text, sizeof text, JSON_COMPACT);
    int failed;

    assert_in_range(len, 2, sizeof text);
    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    failed = codec_decode(&options, text, len, &arena, &object, &causes, &advice, &err);
    if (failed < 0) {
        assert_true(err.code == ERR_INVALID || err.code == ERR_BAD_REQUEST);
        assert_true(causes.count > 0 || err.code == ERR_BAD_REQUEST);
    }
    snprintf(why, ERR_TEXT_MAX, "%s", err.text);
    arena_done(&arena);
    return failed == 0;
}

static bool vector_passes(json_t *vector) {
    const struct kind_info *info = kind_by_name(vector_text(vector, "kind"));
    bool valid = json_is_true(json_object_get(vector, "valid"));
    char why[ERR_TEXT_MAX];

    assert_non_null(info);
    if (accepted(info, json_object_get(vector, "object"), why) != valid) {
        print_error("%s must be %s: %s\n", vector_text(vector, "id"), valid ? "valid" : "invalid", why);
        return false;
    }
    return true;
}

int main(void) {
    struct vector_suite suite = {.title = "conformance: validation",
                                 .file = "validation.json",
                                 .what = "documents",
                                 .passes = vector_passes};
    return run_suite(&suite);
}
