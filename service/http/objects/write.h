/* What the writing handlers share. */
#ifndef BGPPEERD_HTTP_OBJECTS_WRITE_H
#define BGPPEERD_HTTP_OBJECTS_WRITE_H

#include <stdbool.h>

#include "codec.h"
#include "request/request.h"
#include "state.h"

struct write_parameters {
    bool dry_run;
    enum codec_unknown unknown;
};

/*
 * A write as the request makes it: who, from where, what it forces, with the guard that its caller's role
 * asks for, resuming the request when it is done. After write_parameters, which has read what it forces. Its
 * object, preconditions and options are the handler's to fill in. Every write of the API begins here, so that
 * none is without its guard.
 */
void write_init(struct write *write, struct request *request, enum write_op op, enum kind kind);

/*
 * Hand the write, and what comes with it, to the committer. The request is suspended until it is done, and
 * `answer` then goes on; when it cannot be taken (*failure says why) `refused` does.
 */
void write_submit(struct request *request, struct write *write, struct err *failure,
                  int (*answer)(struct request *, struct err *),
                  int (*refused)(struct request *, struct err *));

/* dryRun and fieldValidation of the query; and what is forced, there or in the header, into the request.
 * ERR_BAD_REQUEST. */
int write_parameters(struct request *request, struct write_parameters *ret, struct err *err) MUST_CHECK;
/* Is the answer to be a preview? Only of what is not written: ERR_BAD_REQUEST without `dry_run`. */
int write_wants_preview(const struct request *request, bool dry_run, bool *ret, struct err *err) MUST_CHECK;
/* The body's DeleteOptions (none is fine) together with the query's. */
int write_delete_options(struct request *request, struct delete_options *ret, struct err *err) MUST_CHECK;
/* Hand advice on to the answer; each is preceded by `about` (NULL = nothing), which says what it is about. */
int write_merge_advice(struct request *request, const char *about, const struct advice *advice,
                       struct err *err) MUST_CHECK;
/*
 * What there is to say about what was (or would be) written, by itself and among the rest of `picture`, for
 * the answer. The write has succeeded.
 */
int write_advise(struct request *request, const struct picture *picture, const char *about,
                 const struct write *write, struct err *err) MUST_CHECK;
/* A write that failed: its error, causes and advice are the answer's. Always -1. */
int write_refused(struct request *request, struct write *write, struct err *err) MUST_CHECK;

#endif
