/*
 * The OpenAPI documents: bytes that were made at build time, chosen by path and Accept. Each has its
 * content's digest as ETag. Stateless.
 */
#include "admin/openapi.h"

#include <stdio.h>
#include <string.h>

#include "admin/handlers.h"
#include "base/random.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

/* What kubectl asks for has an "@" where a media type cannot have one: answered with it, older versions
 * fail to parse the Content-Type. */
#define TYPE_PROTOBUF "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

#define FOR_EVER "private, max-age=31536000, immutable"

static int reply_document(struct request *request, enum openapi_index index, const char *type,
                          const char *keep, struct err *err) {
    const struct openapi_document *document = &openapi_documents[index];
    char etag[DIGEST_TEXT_MAX + 2];
    snprintf(etag, sizeof(etag), "\"%s\"", document->hash);
    const char *known = request_header(request, HEADER_IF_NONE_MATCH);
    bool same = known != NULL && etag_list_has(known, document->hash, strlen(document->hash));
    const struct reply_head head = {
        .type = same ? NULL : type, .etag = etag, .cache_control = keep, .vary = "Accept"};
    return reply_shared(request, same ? STATUS_NOT_MODIFIED : STATUS_OK, &head, document->bytes,
                        same ? 0 : document->len, NULL, NULL, err);
}

int handle_openapi(struct request *request, struct err *err) {
    return reply_document(request, OPENAPI_OWN, TYPE_JSON, "no-cache", err);
}

int handle_openapi_v2(struct request *request, struct err *err) {
    bool protobuf;
    if (media_openapi(request_header(request, HEADER_ACCEPT), &protobuf, err) != 0) {
        return -1;
    }
    return protobuf ? reply_document(request, OPENAPI_V2_PROTOBUF, TYPE_PROTOBUF, "no-cache", err)
                    : reply_document(request, OPENAPI_V2, TYPE_JSON, "no-cache", err);
}

/* The index and its parts. With the hash of the index, a part's URL changes when the part does. */
int handle_openapi_v3(struct request *request, struct err *err) {
    const char *path = request->route->path;
    enum openapi_index index = OPENAPI_V3_INDEX;
    if (strcmp(path, "/openapi/v3/api/v1") == 0) {
        index = OPENAPI_V3_CORE;
    } else if (strcmp(path, "/openapi/v3/apis/projectcalico.org/v3") == 0) {
        index = OPENAPI_V3_CALICO;
    }
    const char *hash = request_query(request, QUERY_HASH);
    bool immutable =
        index != OPENAPI_V3_INDEX && hash != NULL && strcmp(hash, openapi_documents[index].hash) == 0;
    return reply_document(request, index, TYPE_JSON, immutable ? FOR_EVER : "no-cache", err);
}
