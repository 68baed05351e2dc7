/* The two ways to change a tree (patch.c, json_patch.c). */
#ifndef BGPPEERD_CODEC_PATCH_INTERNAL_H
#define BGPPEERD_CODEC_PATCH_INTERNAL_H

#include "codec_internal.h"

#define JSON_PATCH_OPS_MAX 10000 /* as in Kubernetes */

/* RFC 6902: all operations or, on failure, an unusable *document that must be thrown away. */
int json_patch_apply(json_t **document, const json_t *patch, struct err *err) MUST_CHECK;

#endif
