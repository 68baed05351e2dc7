/*
 * Map: a persistent tree from byte strings (names, addresses, selector texts) to sets of numbers.
 * NULL is the empty map; a key without numbers is not in it.
 */
#ifndef BGPPEERD_PEERING_MAP_H
#define BGPPEERD_PEERING_MAP_H

#include <stdint.h>

#include "base/err.h"
#include "shared.h"

/* Numbers in ascending order, without repetition; at least one. */
struct id_list {
    struct shared shared;
    size_t count;
    size_t cap;
    uint32_t ids[];
};

int id_list_add(struct id_list **list, uint32_t id, struct err *err) MUST_CHECK;
/* The last one out makes the list NULL. */
int id_list_remove(struct id_list **list, uint32_t id, struct err *err) MUST_CHECK;
struct id_list *id_list_share(struct id_list *list); /* accepts NULL */
void id_list_free(struct id_list *list);             /* accepts NULL */

bool id_list_has(const struct id_list *list, uint32_t id); /* accepts NULL */

struct map_node;

struct map_node *map_share(struct map_node *map); /* accepts NULL */
void map_free(struct map_node *map);              /* accepts NULL */
int map_add(struct map_node **map, const void *key, size_t len, uint32_t id, struct err *err) MUST_CHECK;
int map_remove(struct map_node **map, const void *key, size_t len, uint32_t id, struct err *err) MUST_CHECK;
/* One of the two. */
typedef int map_change(struct map_node **map, const void *key, size_t len, uint32_t id, struct err *err);
/* Borrowed; NULL when the key has no numbers. */
const struct id_list *map_get(const struct map_node *map, const void *key, size_t len);

#define ID_EACH(i, list) for (size_t i = 0; (list) != NULL && i < (list)->count; i++)

#endif
