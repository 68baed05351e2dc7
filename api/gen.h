/* What the files of openapi-gen share. A build step has one way to fail: say why and exit. */
#ifndef BGPPEERD_API_GEN_H
#define BGPPEERD_API_GEN_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define REF_PREFIX "#/components/schemas/"

_Noreturn void die(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* As jansson's, but out of memory ends the program. */
void set_new(json_t *object, const char *key, json_t *value);
void append_new(json_t *array, json_t *value);
/* A field table's JSON Schema. */
struct schema;
json_t *table_schema(const struct schema *schema);

/* kubernetes.c: the part of the document below `prefix` as Kubernetes' clients read it, OpenAPI 3.0. */
json_t *kubernetes_v3(json_t *document, const char *prefix);
/* Everything that has a group, version and kind, as OpenAPI 2. */
json_t *kubernetes_v2(json_t *document);

/* gnostic.c: an OpenAPI 2 document as the protobuf message openapi.v2.Document. */
void gnostic_encode(json_t *document, struct buf *out);

#endif
