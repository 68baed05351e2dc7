/*
 * Set of small numbers (node slots, rule numbers): a persistent bitmap in chunks. NULL is the empty set.
 *
 * Chosen over libroaring by measurement (100,000 slots): see set.c.
 */
#ifndef BGPPEERD_PEERING_SET_H
#define BGPPEERD_PEERING_SET_H

#include <stdint.h>

#include "peering.h"
#include "shared.h"

#define SET_CHUNK_WORDS 64
#define SET_CHUNK_BITS  (SET_CHUNK_WORDS * 64)
#define SET_END         UINT32_MAX

struct set_chunk {
    struct shared shared;
    uint32_t count; /* bits set */
    uint64_t words[SET_CHUNK_WORDS];
};

struct node_set {
    struct shared shared;
    size_t count; /* bits set */
    size_t chunk_count;
    struct set_chunk *chunks[]; /* NULL: all clear */
};

/* An empty set that is not NULL. */
int set_new(struct node_set **ret, struct err *err) MUST_CHECK;
/* Another reference of the same set, which is copied when either is changed. */
struct node_set *set_share(struct node_set *set);
int set_add(struct node_set **set, uint32_t member, struct err *err) MUST_CHECK;
int set_remove(struct node_set **set, uint32_t member, struct err *err) MUST_CHECK;
/* All members of `other` (may be NULL), sharing chunks where possible. */
int set_add_all(struct node_set **set, const struct node_set *other, struct err *err) MUST_CHECK;
/* The first member ≥ from; SET_END: none. */
uint32_t set_next(const struct node_set *set, uint32_t from);
/* The smallest number that is not a member. */
uint32_t set_first_absent(const struct node_set *set);
/* One more than the greatest member; 0 when empty. */
uint32_t set_bound(const struct node_set *set);

static inline bool set_has(const struct node_set *set, uint32_t member) {
    size_t c = member / SET_CHUNK_BITS;
    if (set == NULL || c >= set->chunk_count || set->chunks[c] == NULL) {
        return false;
    }
    uint32_t bit = member % SET_CHUNK_BITS;
    return (set->chunks[c]->words[bit / 64] >> (bit % 64) & 1) != 0;
}

#define SET_EACH(member, set)                                                                                \
    for (uint32_t member = set_next(set, 0); member != SET_END; member = set_next(set, member + 1))

#endif
