/*
 * What the codec's tests share: one call's arenas, causes and advice, and short forms of the calls.
 */
#ifndef BGPPEERD_TESTS_UNIT_CODEC_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_CODEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "codec.h"
#include "model/resources.h"

struct fixture {
    struct arena arena, other;
    struct causes causes;
    struct advice advice;
    struct err err;
    struct object *object;
    struct buf out;
};

static inline void fixture_clear(struct fixture *f) {
    arena_done(&f->arena);
    arena_done(&f->other);
    buf_done(&f->out);
    causes_init(&f->causes, &f->other);
    advice_init(&f->advice, &f->other);
    err_clear(&f->err);
    f->object = NULL;
}

static inline int fixture_setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = ERR_INIT;

    if (!f || codec_start(&err) < 0) {
        free(f);
        return -1;
    }
    arena_init(&f->arena, 0);
    arena_init(&f->other, 0);
    buf_init(&f->out);
    fixture_clear(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state) {
    fixture_clear(*state);
    free(*state);
    return 0;
}

/* Decode from an exact copy on the heap, so that a read beyond the end is seen by the sanitizer. */
static inline int decode_with(struct fixture *f, const struct codec_options *options, const char *bytes,
                              size_t len) {
    char *copy = malloc(len ? len : 1);
    int failed;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    fixture_clear(f);
    failed = codec_decode(options, copy, len, &f->arena, &f->object, &f->causes, &f->advice, &f->err);
    free(copy);
    assert_true(failed == 0 || failed == -1);
    assert_int_equal(failed == 0, f->object != NULL);
    assert_int_equal(failed == 0, f->err.code == ERR_NONE);
    return failed;
}

static inline int decode_bytes(struct fixture *f, enum kind kind, enum codec_syntax syntax,
                               enum codec_unknown unknown, const char *bytes, size_t len) {
    struct codec_options options = {.syntax = syntax,
                                    .unknown = unknown,
                                    .kind = kind,
                                    .name_space = kind == KIND_SECRET ? "default" : NULL};

    return decode_with(f, &options, bytes, len);
}

static inline int decode_json(struct fixture *f, enum kind kind, const char *text) {
    return decode_bytes(f, kind, CODEC_JSON, CODEC_STRICT, text, strlen(text));
}

/* A BGPPeer with this spec. */
static inline int decode_spec(struct fixture *f, enum codec_unknown unknown, const char *spec) {
    char text[8192];
    int len = snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"p\"},\"spec\":%s}", spec);

    assert_true(len > 0 && (size_t)len < sizeof text);
    return decode_bytes(f, KIND_BGPPEER, CODEC_JSON, unknown, text, (size_t)len);
}

static inline const struct bgp_peer_spec *peer_spec(const struct fixture *f) {
    return ((const struct bgp_peer *)f->object->body)->spec;
}

static inline const char *encoded(struct fixture *f) {
    buf_clear(&f->out);
    codec_encode(f->object, &f->out);
    assert_false(buf_failed(&f->out));
    return f->out.data;
}

static inline void assert_refused(const struct fixture *f, enum err_code code, const char *text) {
    assert_int_equal(f->err.code, code);
    if (!strstr(f->err.text, text)) {
        fail_msg("expected \"%s\" in \"%s\"", text, f->err.text);
    }
}

static inline bool has_advice(const struct fixture *f, const char *text) {
    for (size_t i = 0; i < f->advice.count; i++) {
        if (strcmp(f->advice.items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static inline bool has_cause(const struct fixture *f, const char *field) {
    for (size_t i = 0; i < f->causes.count; i++) {
        if (strcmp(f->causes.items[i].field, field) == 0) {
            return true;
        }
    }
    return false;
}

#endif
