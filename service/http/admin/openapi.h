/* The API's descriptions, generated at build time from the field tables (api/openapi_gen.c). Immutable. */
#ifndef BGPPEERD_HTTP_ADMIN_OPENAPI_H
#define BGPPEERD_HTTP_ADMIN_OPENAPI_H

#include <stddef.h>

enum openapi_index {
    OPENAPI_OWN,         /* everything that is served, OpenAPI 3.1, JSON: /openapi.json */
    OPENAPI_V2,          /* what Kubernetes' clients use, OpenAPI 2, JSON */
    OPENAPI_V2_PROTOBUF, /* the same as gnostic's openapi.v2.Document */
    OPENAPI_V3_INDEX,    /* of the next two */
    OPENAPI_V3_CORE,     /* api/v1, OpenAPI 3.0, JSON */
    OPENAPI_V3_CALICO,   /* apis/projectcalico.org/v3 */
    OPENAPI_COUNT
};

struct openapi_document {
    const char *bytes; /* a NUL follows */
    size_t len;
    const char *hash; /* hexadecimal digest of the bytes */
};

extern const struct openapi_document openapi_documents[OPENAPI_COUNT];

#endif
