/* Media types: what a body is in, and what the client wants back. Pure. */
#ifndef BGPPEERD_HTTP_REQUEST_MEDIA_H
#define BGPPEERD_HTTP_REQUEST_MEDIA_H

#include <stdbool.h>

#include "base/err.h"
#include "codec.h"

/* Content-Type of a whole document; NULL (missing) is JSON. ERR_UNSUPPORTED_MEDIA_TYPE. `secret`: the
 * protobuf envelope is taken too. */
int media_document(const char *content_type, bool secret, enum codec_syntax *ret, struct err *err) MUST_CHECK;
/* Content-Type of a patch; must be there. */
int media_patch(const char *content_type, enum patch_type *ret, enum codec_syntax *ret_syntax,
                struct err *err) MUST_CHECK;

enum media_answer { MEDIA_OBJECT, MEDIA_TABLE, MEDIA_METADATA };
/* Accept; NULL is anything. The client's first choice among the object, as JSON or YAML, a Table and
 * PartialObjectMetadata. ERR_NOT_ACCEPTABLE. */
int media_accept(const char *accept, enum media_answer *ret, struct err *err) MUST_CHECK;

/* Accept of a peering list: the client's first choice among JSON and the daemons' configurations.
 * ERR_NOT_ACCEPTABLE. */
struct render_format;
int media_accept_list(const char *accept, const struct render_format **ret, struct err *err) MUST_CHECK;

/* Accept of /api and /apis. Whoever names nothing of it gets the form that all clients know. */
enum media_discovery { MEDIA_DISCOVERY_PLAIN, MEDIA_DISCOVERY_V2, MEDIA_DISCOVERY_V2BETA1 };
enum media_discovery media_discovery(const char *accept);
/* Is YAML the client's first choice among what can be served? */
bool media_wants_yaml(const char *accept);
/* Would the client rather read a page than JSON? So do browsers. */
bool media_wants_page(const char *accept);
/* Accept of the OpenAPI 2 document: JSON, or the protobuf form. ERR_NOT_ACCEPTABLE. */
int media_openapi(const char *accept, bool *ret_protobuf, struct err *err) MUST_CHECK;

#endif
