/*
 * What the bench programs that link the rooms share: failing, time, and records made from JSON.
 * Nothing here is freed: the programs are short.
 */
#ifndef BGPPEERD_TESTS_BENCH_FLEET_H
#define BGPPEERD_TESTS_BENCH_FLEET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "codec.h"
#include "snapshot.h"

/* End the program when a call of the rooms has failed. */
static inline void must(int result, const struct err *err) {
    if (result < 0) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static inline void *must_have(void *pointer) {
    if (pointer == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

/* The object of a document, as if it had been created with this revision: a record with its stored JSON. */
static inline struct record *fleet_record(enum kind kind, uint64_t revision, const char *json) {
    struct arena arena;
    struct err err = ERR_INIT;
    struct object *object = NULL;
    struct record *record = NULL;
    struct buf text = BUF_INIT;
    char uid[UUID_TEXT_MAX];

    arena_init(&arena, 512);
    must(codec_decode_stored(kind, json, strlen(json), &arena, &object, &err), &err);
    uuid_new(uid);
    object->meta.uid = must_have(arena_strdup(&arena, uid));
    object->meta.creation_ms = clock_realtime_ms();
    object->meta.generation = 1;
    object->meta.resource_version = revision;
    codec_encode(object, &text);
    const char *key = must_have((void *)(uintptr_t)object_key(object, &arena));
    const char *stored = must_have(arena_strndup(&arena, text.data, text.len));
    must(record_new(&arena, object, key, stored, text.len, &record, &err), &err);
    buf_done(&text);
    return record;
}

/* "10.0.0.1" for 0 and so on, in 10.0.0.0/8. */
static inline const char *fleet_address(unsigned number, char out[16]) {
    unsigned host = number + 1;
    snprintf(out, 16, "10.%u.%u.%u", host >> 16 & 255, host >> 8 & 255, host & 255);
    return out;
}

#endif
