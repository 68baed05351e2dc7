/* The discovery documents, made once at start from the kinds and the route table. Immutable. */
#ifndef BGPPEERD_HTTP_ADMIN_DISCOVERY_H
#define BGPPEERD_HTTP_ADMIN_DISCOVERY_H

#include "base/buf.h"
#include "base/err.h"

/* Newer clients ask for /api and /apis with everything below them in one document ("aggregated"), in one of
 * two versions that differ in their name only. */
enum aggregated { AGGREGATED_V2, AGGREGATED_V2BETA1, AGGREGATED_COUNT };

struct documents {
    struct buf api;       /* /api */
    struct buf core;      /* /api/v1 */
    struct buf apis;      /* /apis */
    struct buf group;     /* /apis/projectcalico.org */
    struct buf resources; /* /apis/projectcalico.org/v3 */
    struct buf version;   /* /version */
    struct buf all_api[AGGREGATED_COUNT];
    struct buf all_apis[AGGREGATED_COUNT];
};

int documents_init(struct documents *documents, const char *version, struct err *err) MUST_CHECK;
void documents_done(struct documents *documents);

#endif
