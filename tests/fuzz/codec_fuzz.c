/*
 * Any bytes through every way into the codec. The first byte chooses the way (its place among printable
 * characters makes corpus files readable); the rest is the body. What is accepted must survive encoding
 * and decoding unchanged.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "codec.h"

static void must(bool holds) {
    if (!holds) {
        abort();
    }
}

/* Stored form: reads back, and to the same text. */
static void check_round_trip(const struct object *object) {
    struct buf first = BUF_INIT, second = BUF_INIT, columns = BUF_INIT;
    struct object *again = NULL;
    struct arena arena;
    struct err err = ERR_INIT;

    arena_init(&arena, 0);
    codec_encode(object, &first);
    must(!buf_failed(&first));
    must(codec_decode_stored(object->kind, first.data, first.len, &arena, &again, &err) == 0);
    codec_encode(again, &second);
    must(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    must(codec_columns(object->kind, first.data, first.len, &columns, &err) == 0);
    buf_done(&first);
    buf_done(&second);
    buf_done(&columns);
    arena_done(&arena);
}

static void fuzz_decode(const struct codec_options *options, const char *bytes, size_t len) {
    static struct causes causes;
    struct advice advice;
    struct arena arena;
    struct object *object = NULL;
    struct err err = ERR_INIT;

    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    if (codec_decode(options, bytes, len, &arena, &object, &causes, &advice, &err) == 0) {
        check_round_trip(object);
    } else {
        must(err.code == ERR_BAD_REQUEST || err.code == ERR_INVALID ||
             err.code == ERR_UNSUPPORTED_MEDIA_TYPE);
        must(err.text[0] != '\0');
    }
    arena_done(&arena);
}

static void fuzz_patch(enum patch_type type, enum codec_syntax syntax, const char *bytes, size_t len) {
    static const char document[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"labels\":"
        "{\"a\":\"b\"}},\"data\":{\"k\":\"KipyZWRhY3RlZCoq\"},\"list\":[1,[2],{\"x\":3}]}";
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    if (codec_patch(
            &(struct patch){.type = type, .kind = KIND_SECRET, .syntax = syntax, .text = bytes, .len = len},
            document, sizeof document - 1, &out, &err) == 0) {
        struct codec_options options = {
            .kind = KIND_SECRET, .unknown = CODEC_IGNORE, .name_space = "default"};
        fuzz_decode(&options, out.data, out.len);
    }
    buf_done(&out);
}

static void fuzz_split(enum codec_syntax syntax, const char *bytes, size_t len) {
    struct codec_document *documents;
    size_t count;
    struct arena arena;
    struct err err = ERR_INIT;

    arena_init(&arena, 0);
    if (codec_split(syntax, bytes, len, 20, &arena, &documents, &count, &err) == 0) {
        must(count >= 1 && count <= 20);
        for (size_t i = 0; i < count; i++) {
            struct codec_options options = {.kind = documents[i].kind, .name_space = NULL};
            fuzz_decode(&options, documents[i].json, documents[i].len);
        }
    }
    arena_done(&arena);
}

static void fuzz_stored(enum kind kind, const char *bytes, size_t len) {
    struct arena arena;
    struct object *object = NULL;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    arena_init(&arena, 0);
    if (codec_decode_stored(kind, bytes, len, &arena, &object, &err) == 0) {
        codec_encode(object, &out);
    }
    err_clear(&err);
    if (codec_columns(kind, bytes, len, &out, &err) < 0) {
        must(err.code == ERR_CORRUPT);
    }
    buf_done(&out);
    arena_done(&arena);
}

static void fuzz_delete_options(enum codec_syntax syntax, const char *bytes, size_t len) {
    struct delete_options options;
    struct arena arena;
    struct err err = ERR_INIT;

    arena_init(&arena, 0);
    if (codec_decode_delete_options(syntax, bytes, len, &arena, &options, &err) < 0) {
        must(err.code == ERR_BAD_REQUEST);
    }
    arena_done(&arena);
}

/* 'a'… JSON by kind, 'f'… YAML by kind, then the rest. */
static void fuzz_way(unsigned way, const char *bytes, size_t len) {
    struct codec_options options = {.kind = (enum kind)(way % KIND_COUNT), .name_space = "default"};

    switch (way / KIND_COUNT) {
    case 0:
        options.unknown = (enum codec_unknown)(len % 3);
        fuzz_decode(&options, bytes, len);
        return;
    case 1:
        options.syntax = CODEC_YAML;
        fuzz_decode(&options, bytes, len);
        return;
    case 2:
        fuzz_stored(options.kind, bytes, len);
        return;
    default:
        break;
    }
    switch (way - 3 * KIND_COUNT) {
    case 0:
        options.kind = KIND_SECRET;
        options.syntax = CODEC_PROTOBUF;
        fuzz_decode(&options, bytes, len);
        break;
    case 1:
        fuzz_patch(PATCH_MERGE, CODEC_JSON, bytes, len);
        break;
    case 2:
        fuzz_patch(PATCH_JSON, CODEC_JSON, bytes, len);
        break;
    case 3:
        fuzz_patch(PATCH_STRATEGIC, CODEC_YAML, bytes, len);
        break;
    case 4:
        fuzz_split(CODEC_JSON, bytes, len);
        break;
    case 5:
        fuzz_split(CODEC_YAML, bytes, len);
        break;
    case 6:
        fuzz_delete_options(CODEC_JSON, bytes, len);
        break;
    case 7:
        fuzz_delete_options(CODEC_PROTOBUF, bytes, len);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    static bool started;
    struct err err = ERR_INIT;
    char *copy;

    if (!started) {
        must(codec_start(&err) == 0);
        started = true;
    }
    if (len == 0) {
        return 0;
    }
    copy = malloc(len); /* of its exact size, so that a read beyond it is seen */
    must(copy != NULL);
    memcpy(copy, bytes + 1, len - 1);
    fuzz_way((unsigned)bytes[0] - 'a', copy, len - 1);
    free(copy);
    return 0;
}
