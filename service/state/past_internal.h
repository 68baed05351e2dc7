/*
 * Inside the state room: the pictures of the past that are kept, and the versions of lists that were given.
 * Part of state_internal.h, which includes it.
 */
#ifndef BGPPEERD_STATE_PAST_INTERNAL_H
#define BGPPEERD_STATE_PAST_INTERNAL_H

#include <pthread.h>

#include "state.h"

/* ---- given.c ---- */

struct given {
    pthread_mutex_t lock;             /* what follows; a leaf */
    struct given_note *first, *last;  /* that wait to be stored, in their order */
    const struct given_note *storing; /* that the committer is storing */
    size_t count;
    bool ready;
};
/* A version that was given. */
struct given_version {
    bool found;
    uint64_t revision;
    char etag[DIGEST_TEXT_MAX];
};

void given_init(struct given *given);
void given_done(struct given *given); /* accepts a zeroed one */
/* This version was made, or its node has it now. Any thread; never fails: what there is no room for is left
 * out. */
void given_note(struct given *given, const struct node_list *list, bool to_node);
/* Store what waits, a bounded number. true: there is more. On the committer's thread, or when it has ended.
 */
bool given_flush(struct state *state);
/* Have all of it stored, and wait for that: what is copied next has it. Not on the committer's thread. */
void given_settle(struct state *state);
/* The same as a flush when it is time. */
void given_look_after(struct state *state, int64_t *due_ms);
/* The newest version of the node's list up to that revision. Reads from the disk. */
int given_find(struct state *state, const char *node, uint64_t revision, struct given_version *ret,
               struct err *err) MUST_CHECK;
/* At boot: lists begin with the versions that they had. */
int given_load(struct state *state, struct err *err) MUST_CHECK;

/* ---- past.c ---- */

#define PAST_PICTURES 2 /* of earlier revisions that are kept: a comparison asks for two */

struct past {
    pthread_mutex_t lock;                    /* `pictures`; with none held inside it */
    struct picture *pictures[PAST_PICTURES]; /* the last that were asked for, newest first; NULL = none */
    bool ready;
};

void past_init(struct past *past);
void past_done(struct past *past); /* accepts a zeroed one */

#endif
