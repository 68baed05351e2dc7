/* What the files that read other systems' exports share. */
#ifndef BGPPEERD_CODEC_IMPORT_H
#define BGPPEERD_CODEC_IMPORT_H

#include "codec_internal.h"

/* What a document is, by its apiVersion and kind. */
enum import_sort {
    SORT_OURS,    /* projectcalico.org/v3, a kind that is served here */
    SORT_CRD,     /* the same as Calico's custom resources have it */
    SORT_NODE,    /* Kubernetes' own Node */
    SORT_SECRET,  /* Kubernetes' Secret */
    SORT_OTHER,   /* a kind that is none of ours */
    SORT_UNKNOWN, /* no kind, or one that was surely meant to be ours */
};
/* *ret_kind: of the first four. `why` (ERR_TEXT_MAX bytes): of the last two, a sentence. */
enum import_sort import_sort(const json_t *document, enum kind *ret_kind, char *why);
/* A text of a document's header or metadata, "" when it has none. */
const char *import_text(const json_t *object, const char *name);
/* What an annotation holds, an object in JSON; *ret NULL: there is none. To be freed. ERR_BAD_REQUEST. */
int import_annotation(const json_t *annotations, const char *name, json_t **ret, struct err *err) MUST_CHECK;

/* ---- import_read.c ---- */

/* All documents of a body as one array, lists taken apart. ERR_BAD_REQUEST, ERR_TOO_LARGE. */
int import_read(enum codec_syntax syntax, const char *bytes, size_t len, json_t **ret,
                struct err *err) MUST_CHECK;

/* ---- import_node.c ---- */

#define CALICO_ANNOTATIONS "projectcalico.org/"
/* Kubernetes' Node, with the annotations that Calico keeps its own data in, as the Node that Calico shows.
 * ERR_BAD_REQUEST: an annotation cannot be read. */
int import_node(const json_t *node, json_t **ret, struct err *err) MUST_CHECK;

#endif
