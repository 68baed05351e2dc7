/* Between the files of the advice that needs the rest of the fleet. */
#ifndef BGPPEERD_STATE_ADVISE_H
#define BGPPEERD_STATE_ADVISE_H

#include "model/resources.h"
#include "state_internal.h"

struct advise_context {
    const struct snapshot *snapshot; /* with the object */
    const struct peering_index *index;
    const char *secret_namespace;
    struct advice *advice;
};

struct advise_context advise_context_of(const struct state *state, const struct picture *picture,
                                        struct advice *advice);

/* `; there is a Node "h1"` when a name differs from one that is there by its case, blanks or domain; else "".
 * In the advice's arena. */
const char *advise_similar(const struct advise_context *context, enum kind kind, const char *name);
/* A reference to a password: is it there, and can it be used? `field` is that of the secretKeyRef. */
void advise_secret(const struct advise_context *context, const char *field,
                   const struct bgp_password *password);

/* Everything about a BGPPeer (advise_peer.c). */
void advise_peer(const struct advise_context *context, const char *name, const struct bgp_peer_spec *spec);
/* What the lists say of a BGPPeer that gives an address another AS number, or another port, than its node
 * has. */
void advise_peer_of_node(const struct advise_context *context, const char *name);

#endif
