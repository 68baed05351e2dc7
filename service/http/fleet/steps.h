/*
 * Steps: the writes that a change set comes to, with its selectors expanded; and how they are called in
 * messages and answers.
 */
#ifndef BGPPEERD_HTTP_FLEET_STEPS_H
#define BGPPEERD_HTTP_FLEET_STEPS_H

#include "base/buf.h"
#include "model/change_set.h"
#include "objects/write.h"
#include "request/request.h"
#include "state.h"

struct step {
    struct write write; /* its `also` is the next step's */
    struct arena object_arena;
    size_t change;     /* which of the set's changes it comes from */
    const char *about; /* how messages name it */
};

struct steps {
    const struct change_set *set;
    struct write_parameters parameters; /* of the request */
    size_t count;
    struct step *items; /* in the request's arena */
};

/* (Again) from the change set, for the fleet as it is now: a write consumes its object. What is invalid in
 * any of the changes is said at once. On failure too, steps_done is due. */
int steps_make(struct request *request, struct steps *steps, struct err *err) MUST_CHECK;
void steps_done(struct steps *steps);

/* Say which change a step's error is about, in its text and its causes (NULL: none), which become the
 * answer's. Always -1. */
int steps_name(struct request *request, const struct steps *steps, const struct step *step,
               const struct causes *causes, struct err *err);
/* What there is to say about what the steps did, or would do, among all others of the picture, which has them
 * in it: for the answer. */
int steps_advise(struct request *request, const struct steps *steps, const struct picture *picture,
                 struct err *err) MUST_CHECK;
/* The members `objects` and `results` of an answer. */
void steps_add(const struct steps *steps, struct buf *out);

#endif
