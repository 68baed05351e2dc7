/*
 * Inside the peering room: the question behind an explanation, and its two parts.
 */
#ifndef BGPPEERD_PEERING_EXPLAIN_H
#define BGPPEERD_PEERING_EXPLAIN_H

#include "document.h"
#include "fleet.h"

/* One end: a node of ours, or just an address. */
struct end {
    const struct node_facts *node; /* NULL: not one of ours */
    uint32_t slot;
    struct address addresses[FAMILIES]; /* those that the question is about */
};

struct question {
    const struct peering_index *index;
    struct arena *arena;
    struct err *err;
    struct end here;
    struct end there;
    struct peering_list list; /* here's */
};

/* question.c: makes a node of the index an end, with all of its addresses. */
void end_set_node(struct end *end, const struct peering_index *index, uint32_t slot);
/* Is the address one of the end's? */
bool end_has_address(const struct end *end, const struct ip_addr *addr);
/* How one is to call the far end in a sentence. */
const char *question_remote_name(const struct question *question);
/* Reads who is at the far end: an address asks about that address alone, a name about all of the node's.
 * -1: there is no such node, and it is no address; said in question->err. */
int question_read_remote(struct question *question, const char *remote) MUST_CHECK;

/* `considered`: every BGPPeer with what matched and what did not, and the mesh. */
int explain_add_rules(const struct question *question, struct buf *out) MUST_CHECK;
int explain_add_mesh(const struct question *question, struct buf *out) MUST_CHECK;

#endif
