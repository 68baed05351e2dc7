/* The discovery documents, made once at start from the kinds and the route table. Immutable. */
#ifndef BGPPEERD_HTTP_DISCOVERY_H
#define BGPPEERD_HTTP_DISCOVERY_H

#include "base/buf.h"
#include "base/err.h"

struct documents {
    struct buf api;        /* /api */
    struct buf core;       /* /api/v1 */
    struct buf apis;       /* /apis */
    struct buf group;      /* /apis/projectcalico.org */
    struct buf resources;  /* /apis/projectcalico.org/v3 */
    struct buf version;    /* /version */
};

int documents_init(struct documents *documents, const char *version, struct err *err) MUST_CHECK;
void documents_done(struct documents *documents);

#endif
