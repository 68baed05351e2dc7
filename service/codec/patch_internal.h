/* The two ways to change a tree (patch.c, json_patch.c). */
#ifndef BGPPEERD_CODEC_PATCH_INTERNAL_H
#define BGPPEERD_CODEC_PATCH_INTERNAL_H

#include "codec_internal.h"

/* RFC 6902: all operations or, on failure, an unusable *document that must be thrown away. */
int json_patch_apply(json_t **document, const json_t *patch, size_t operations_max,
                     struct err *err) MUST_CHECK;

#endif
