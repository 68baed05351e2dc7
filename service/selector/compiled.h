/* The compiled form of a selector. Private to this room. */
#ifndef BGPPEERD_SELECTOR_COMPILED_H
#define BGPPEERD_SELECTOR_COMPILED_H

#include <stdint.h>

#include "tree.h"

/* Where evaluation goes from a leaf: the index of another leaf, or one of these two. */
#define OUTCOME_MATCH    UINT32_MAX
#define OUTCOME_MISMATCH (UINT32_MAX - 1)

struct node {
    uint8_t op;       /* enum selector_op */
    uint8_t depth;    /* number of nodes above */
    uint32_t end;     /* index behind the last node of this one's subtree */
    uint32_t text_at; /* its expression within the canonical text */
    uint32_t text_len;
    uint32_t on_true; /* leaves: where to go from here */
    uint32_t on_false;
    uint32_t value_count;
    const char *key;            /* NULL for all(), global() and inner nodes */
    const struct value *values; /* sorted, unique; the texts are those in the canonical text */
};

/*
 * One allocation: this struct and behind it, in this order, what its pointers point to. Nodes stand in
 * prefix order: a parent directly before its first child, and a subtree without gaps.
 */
struct selector {
    uint32_t start; /* leaf at which evaluation starts */
    uint32_t node_count;
    uint32_t key_count;
    const struct node *nodes;
    const char *const *keys; /* sorted, unique */
    const char *canonical;
};

#endif
