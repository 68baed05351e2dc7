/*
 * Losses: the nodes that a change would leave without any session of some sort. For the warnings of previews.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_LOSSES_H
#define BGPPEERD_HTTP_OBJECTS_LOSSES_H

#include "base/buf.h"
#include "peering.h"
#include "state.h"

/* The sorts, the worst first: a node is only told to lose its last session when it loses that. */
enum loss { LOSS_SESSION, LOSS_INTERNAL, LOSS_REFLECTOR, LOSS_IPV4, LOSS_IPV6, LOSS_COUNT };

#define LOSSES_NAMED_MAX 20 /* nodes that are named for each sort; beyond, they are counted */

struct losses {
    const struct picture *before; /* borrowed */
    const struct picture *after;
    bool reflectors; /* there are any before */
    size_t count[LOSS_COUNT];
    struct buf names[LOSS_COUNT];
};

void losses_init(struct losses *losses, const struct picture *before, const struct picture *after);
void losses_done(struct losses *losses);
/* A node and its lists, which differ. NULL: it is not in that picture. */
void losses_note(struct losses *losses, const char *node, const struct peering_list *before,
                 const struct peering_list *after);
/* One sentence for each sort of loss, as items of a JSON array without its brackets. */
void losses_warn(const struct losses *losses, struct buf *warnings);

#endif
