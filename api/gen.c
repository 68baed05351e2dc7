/*
 * What the files of openapi-gen share: the one way to fail, and jansson's calls that cannot fail.
 */
#include "gen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec.h"

void die(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("openapi-gen: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void set_new(json_t *object, const char *key, json_t *value) {
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        die("out of memory");
    }
}

void append_new(json_t *array, json_t *value) {
    if (value == NULL || json_array_append_new(array, value) != 0) {
        die("out of memory");
    }
}

json_t *table_schema(const struct schema *schema) {
    struct buf text = BUF_INIT;
    codec_schema(schema, &text);
    json_error_t where;
    json_t *result =
        buf_failed(&text) ? NULL : json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &where);
    if (result == NULL) {
        die("the schema of %s cannot be read back as JSON: %s", schema->name,
            buf_failed(&text) ? "out of memory" : where.text);
    }
    buf_done(&text);
    return result;
}
