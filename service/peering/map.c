/*
 * Persistent map: an AVL tree whose changed path is copied, unless it is this version's alone. Keys are
 * compared bytewise with a total order, so no input can make it slow, as it could a hash table.
 *
 * Nodes own their children and their list. A failed change leaves a valid map of unspecified balance; the
 * version under construction is thrown away then. Recursion is as deep as the tree: < 1.45 log2(n). No
 * locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "map.h"

/* ---- lists of numbers ---- */

static void list_destroy(struct shared *shared) {
    free((struct id_list *)shared);
}

struct id_list *id_list_share(struct id_list *list) {
    if (list != NULL) {
        shared_ref(&list->shared);
    }
    return list;
}

void id_list_free(struct id_list *list) {
    if (list != NULL) {
        shared_unref(&list->shared);
    }
}

/* Make the list this version's own, with room for `cap` numbers. */
static int list_own(struct id_list **list, size_t cap, struct err *err) {
    size_t have = *list == NULL ? 0 : (*list)->cap;
    if (*list != NULL && have >= cap && shared_is_sole(&(*list)->shared)) {
        return 0;
    }
    size_t count = *list == NULL ? 0 : (*list)->count;
    size_t want = cap > count ? cap + cap / 2 : count; /* one number takes the room of one */
    struct id_list *own = base_malloc(sizeof(*own) + want * sizeof(own->ids[0]));
    if (own == NULL) {
        return err_no_memory(err);
    }
    shared_init(&own->shared, list_destroy);
    own->count = count;
    own->cap = want;
    if (count > 0) {
        memcpy(own->ids, (*list)->ids, count * sizeof(own->ids[0]));
    }
    id_list_free(*list);
    *list = own;
    return 0;
}

/* Where `id` is or belongs. */
static size_t list_find(const struct id_list *list, uint32_t id) {
    size_t low = 0;
    size_t high = list == NULL ? 0 : list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool id_list_has(const struct id_list *list, uint32_t id) {
    size_t at = list_find(list, id);
    return list != NULL && at < list->count && list->ids[at] == id;
}

int id_list_add(struct id_list **list, uint32_t id, struct err *err) {
    size_t count = *list == NULL ? 0 : (*list)->count;
    size_t at = list_find(*list, id);
    if (at < count && (*list)->ids[at] == id) {
        return 0;
    }
    if (list_own(list, count + 1, err) < 0) {
        return -1;
    }
    uint32_t *ids = (*list)->ids;
    memmove(ids + at + 1, ids + at, (count - at) * sizeof(ids[0]));
    ids[at] = id;
    (*list)->count = count + 1;
    return 0;
}

int id_list_remove(struct id_list **list, uint32_t id, struct err *err) {
    size_t count = *list == NULL ? 0 : (*list)->count;
    size_t at = list_find(*list, id);
    if (at == count || (*list)->ids[at] != id) {
        return 0;
    }
    if (count == 1) {
        id_list_free(*list);
        *list = NULL;
        return 0;
    }
    if (list_own(list, count, err) < 0) {
        return -1;
    }
    uint32_t *ids = (*list)->ids;
    memmove(ids + at, ids + at + 1, (count - at - 1) * sizeof(ids[0]));
    (*list)->count = count - 1;
    return 0;
}

/* ---- the tree ---- */

struct map_node {
    struct shared shared;
    struct map_node *left;
    struct map_node *right;
    struct id_list *list;
    int height; /* 1 for a leaf */
    uint32_t len;
    uint8_t key[];
};

static void node_destroy(struct shared *shared) {
    struct map_node *node = (struct map_node *)shared;
    map_free(node->left);
    map_free(node->right);
    id_list_free(node->list);
    free(node);
}

struct map_node *map_share(struct map_node *map) {
    if (map != NULL) {
        shared_ref(&map->shared);
    }
    return map;
}

void map_free(struct map_node *map) {
    if (map != NULL) {
        shared_unref(&map->shared);
    }
}

static struct map_node *node_new(const void *key, size_t len) {
    struct map_node *node = base_malloc(sizeof(*node) + len);
    if (node == NULL) {
        return NULL;
    }
    shared_init(&node->shared, node_destroy);
    node->left = NULL;
    node->right = NULL;
    node->list = NULL;
    node->height = 1;
    node->len = (uint32_t)len;
    memcpy(node->key, key, len);
    return node;
}

/* Make the node in `place` this version's own. */
static int node_own(struct map_node **place, struct err *err) {
    struct map_node *node = *place;
    if (shared_is_sole(&node->shared)) {
        return 0;
    }
    struct map_node *own = node_new(node->key, node->len);
    if (own == NULL) {
        return err_no_memory(err);
    }
    own->left = map_share(node->left);
    own->right = map_share(node->right);
    own->list = id_list_share(node->list);
    own->height = node->height;
    map_free(node);
    *place = own;
    return 0;
}

static int key_compare(const void *key, size_t len, const struct map_node *node) {
    size_t shorter = len < node->len ? len : node->len;
    int order = memcmp(key, node->key, shorter);
    return order != 0 ? order : (len > node->len) - (len < node->len);
}

static int height(const struct map_node *node) {
    return node == NULL ? 0 : node->height;
}

static void update_height(struct map_node *node) {
    int left = height(node->left);
    int right = height(node->right);
    node->height = (left > right ? left : right) + 1;
}

/* The left child, which must be this version's own, comes up. */
static void rotate_right(struct map_node **place) {
    struct map_node *node = *place;
    struct map_node *up = node->left;
    node->left = up->right;
    up->right = node;
    update_height(node);
    update_height(up);
    *place = up;
}

static void rotate_left(struct map_node **place) {
    struct map_node *node = *place;
    struct map_node *up = node->right;
    node->right = up->left;
    up->left = node;
    update_height(node);
    update_height(up);
    *place = up;
}

/* Restore the balance of an own node whose subtrees are balanced and differ by at most two. */
static int rebalance(struct map_node **place, struct err *err) {
    struct map_node *node = *place;
    update_height(node);
    int lean = height(node->left) - height(node->right);
    if (lean > 1) {
        if (node_own(&node->left, err) < 0) {
            return -1;
        }
        if (height(node->left->left) < height(node->left->right)) {
            if (node_own(&node->left->right, err) < 0) {
                return -1;
            }
            rotate_left(&node->left);
        }
        rotate_right(place);
    } else if (lean < -1) {
        if (node_own(&node->right, err) < 0) {
            return -1;
        }
        if (height(node->right->right) < height(node->right->left)) {
            if (node_own(&node->right->left, err) < 0) {
                return -1;
            }
            rotate_right(&node->right);
        }
        rotate_left(place);
    }
    return 0;
}

int map_add(struct map_node **map, const void *key, size_t len, uint32_t id, struct err *err) {
    if (*map == NULL) {
        struct map_node *node = node_new(key, len);
        if (node == NULL) {
            return err_no_memory(err);
        }
        if (id_list_add(&node->list, id, err) < 0) {
            map_free(node);
            return -1;
        }
        *map = node;
        return 0;
    }
    if (node_own(map, err) < 0) {
        return -1;
    }
    int order = key_compare(key, len, *map);
    if (order == 0) {
        return id_list_add(&(*map)->list, id, err);
    }
    if (map_add(order < 0 ? &(*map)->left : &(*map)->right, key, len, id, err) < 0) {
        return -1;
    }
    return rebalance(map, err);
}

/* Take the first node of a subtree out; it is this version's own and has no children. */
static int take_first(struct map_node **place, struct map_node **ret, struct err *err) {
    if (node_own(place, err) < 0) {
        return -1;
    }
    struct map_node *node = *place;
    if (node->left == NULL) {
        *place = node->right;
        node->right = NULL;
        *ret = node;
        return 0;
    }
    if (take_first(&node->left, ret, err) < 0) {
        return -1;
    }
    if (rebalance(place, err) < 0) {
        map_free(*ret);
        return -1;
    }
    return 0;
}

/* Take the node in `place`, which is this version's own, out of the tree. */
static int remove_node(struct map_node **place, struct err *err) {
    struct map_node *node = *place;
    if (node->left == NULL || node->right == NULL) {
        *place = node->left != NULL ? node->left : node->right;
        node->left = NULL;
        node->right = NULL;
        map_free(node);
        return 0;
    }
    struct map_node *first = NULL;
    if (take_first(&node->right, &first, err) < 0) {
        return -1;
    }
    first->left = node->left;
    first->right = node->right;
    node->left = NULL;
    node->right = NULL;
    map_free(node);
    *place = first;
    return rebalance(place, err);
}

/* The key is known to be there. */
static int remove_known(struct map_node **place, const void *key, size_t len, uint32_t id, struct err *err) {
    if (node_own(place, err) < 0) {
        return -1;
    }
    struct map_node *node = *place;
    int order = key_compare(key, len, node);
    if (order != 0) {
        if (remove_known(order < 0 ? &node->left : &node->right, key, len, id, err) < 0) {
            return -1;
        }
        return rebalance(place, err);
    }
    if (id_list_remove(&node->list, id, err) < 0) {
        return -1;
    }
    return node->list == NULL ? remove_node(place, err) : 0;
}

int map_remove(struct map_node **map, const void *key, size_t len, uint32_t id, struct err *err) {
    const struct id_list *list = map_get(*map, key, len);
    size_t at = list_find(list, id);
    if (list == NULL || at == list->count || list->ids[at] != id) {
        return 0; /* nothing to do, so nothing to copy */
    }
    return remove_known(map, key, len, id, err);
}

const struct id_list *map_get(const struct map_node *map, const void *key, size_t len) {
    while (map != NULL) {
        int order = key_compare(key, len, map);
        if (order == 0) {
            return map->list;
        }
        map = order < 0 ? map->left : map->right;
    }
    return NULL;
}
