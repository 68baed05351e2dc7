/*
 * What nodes run, for what a change costs there: as their agents say, and as the renderer knows the daemons.
 * Previews and the brake ask it. For one thread.
 */
#ifndef BGPPEERD_STATE_DAEMONS_H
#define BGPPEERD_STATE_DAEMONS_H

#include "base/arena.h"
#include "peering.h"
#include "state.h"

/* Sessions of a fleet have few different sets of filters: the last answers are kept. */
#define DAEMONS_ANSWERS 16
#define DAEMONS_FILTERS 4

struct daemons_answer {
    uint8_t family;
    bool external;
    unsigned which;
    size_t count; /* of filters; 0: no answer is here */
    const void *specs[DAEMONS_FILTERS];
    unsigned refused;
};

struct daemons {
    struct fleet_status *status; /* NULL: nobody says what nodes run */
    struct arena arena;          /* of one question */
    struct daemons_answer answers[DAEMONS_ANSWERS];
    size_t next;
};

void daemons_init(struct daemons *daemons, struct fleet_status *status);
void daemons_done(struct daemons *daemons);
/* What `node` runs; the picture says which one that is. *ret refers to `daemons`. */
void daemons_of(struct daemons *daemons, const struct picture *picture, const char *node,
                struct peering_daemons *ret);

#endif
