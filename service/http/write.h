/* What the writing handlers share. */
#ifndef BGPPEERD_HTTP_WRITE_H
#define BGPPEERD_HTTP_WRITE_H

#include <stdbool.h>

#include "codec.h"
#include "request.h"

struct write_parameters {
    bool dry_run;
    enum codec_unknown unknown;
};

/* dryRun and fieldValidation of the query, which is parsed here. ERR_BAD_REQUEST. */
int write_parameters(struct request *request, struct write_parameters *ret, struct err *err) MUST_CHECK;
/* The body's DeleteOptions (none is fine) together with the query's. */
int write_delete_options(struct request *request, struct delete_options *ret, struct err *err) MUST_CHECK;
/* Hand a write's advice on to the answer. */
int write_merge_advice(struct request *request, const struct advice *advice, struct err *err) MUST_CHECK;

#endif
