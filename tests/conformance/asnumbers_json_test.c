/*
 * AS numbers as raw JSON text inside a body: the shared vectors, and our own in own/asnumbers.json (same
 * format).
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
#include "model/resources.h"
#include "vectors.h"

/* The AS number that a BGPPeer with this JSON text has; -1: it has none, or it is refused. */
static int64_t as_number(const char *json) {
    static struct causes causes;
    struct codec_options options = {.syntax = CODEC_JSON, .unknown = CODEC_STRICT, .kind = KIND_BGPPEER};
    struct advice advice;
    struct arena arena;
    struct object *object = NULL;
    struct err err = ERR_INIT;
    char text[512];
    int64_t number = -1;
    int len =
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"peerIP\":\"192.0.2.1\",\"asNumber\":%s}}", json);

    assert_true(len > 0 && (size_t)len < sizeof text);
    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    if (codec_decode(&options, text, (size_t)len, &arena, &object, &causes, &advice, &err) == 0) {
        const struct opt_asn *asn = &((const struct bgp_peer *)object->body)->spec->as_number;

        number = asn->set ? (int64_t)asn->value : -1; /* null is absent */
    }
    arena_done(&arena);
    return number;
}

static bool vector_passes(json_t *vector) {
    const char *json = vector_text(vector, "json");
    bool accepted = json_is_true(json_object_get(vector, "accepted"));
    int64_t expected = accepted ? (int64_t)json_integer_value(json_object_get(vector, "asNumber")) : -1;
    int64_t number = as_number(json);

    if (number != expected) {
        print_error("%s: %s gives %lld, not %lld\n", vector_text(vector, "id"), json, (long long)number,
                    (long long)expected);
    }
    return number == expected;
}

int main(void) {
    struct vector_suite suite = {.title = "conformance: AS numbers in JSON",
                                 .file = "asnumbers.json",
                                 .what = "AS numbers",
                                 .passes = vector_passes};
    return run_suite(&suite);
}
