/*
 * Which matchers can match a node: found by the node's labels instead of by trying all of them, so that a
 * node's creation, its label change and its list cost the same beside ten selectors and beside ten thousand.
 *
 * A matcher whose selector has an anchor (selector.h) stands in matchers_by_label under each value of it; all
 * others are loose and are always tried. No state of its own.
 */
#include "fleet.h"

/* "key NUL value". Longer anchors are not used: no valid label is as long. */
#define PAIR_MAX 1024

static bool make_pair(const char *key, const char *value, size_t value_len, char out[PAIR_MAX],
                      size_t *ret_len) {
    size_t key_len = strlen(key) + 1;
    if (key_len + value_len > PAIR_MAX) {
        return false;
    }
    memcpy(out, key, key_len);
    memcpy(out + key_len, value, value_len);
    *ret_len = key_len + value_len;
    return true;
}

static bool all_pairs_fit(const struct selector *selector, const char *key, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t len;
        (void)selector_anchor_value(selector, i, &len);
        if (strlen(key) + 1 + len > PAIR_MAX) {
            return false;
        }
    }
    return true;
}

static int change_anchored(struct peering_index *index, const struct selector *selector, const char *key,
                           size_t count, uint32_t id, bool add, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        char pair[PAIR_MAX];
        size_t pair_len = 0, len;
        const char *value = selector_anchor_value(selector, i, &len);
        struct map_node **map = &index->matchers_by_label;
        if (make_pair(key, value, len, pair, &pair_len) &&
            (add ? map_add(map, pair, pair_len, id, err) : map_remove(map, pair, pair_len, id, err)) < 0) {
            return -1;
        }
    }
    return 0;
}

static int change_loose(struct peering_index *index, const struct selector *selector, uint32_t id, bool add,
                        struct err *err) {
    const char *const *keys = NULL;
    size_t count = selector_keys(selector, &keys);
    struct map_node **map = &index->loose_matchers_by_key;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(keys[i]);
        if ((add ? map_add(map, keys[i], len, id, err) : map_remove(map, keys[i], len, id, err)) < 0) {
            return -1;
        }
    }
    return add ? set_add(&index->loose_matchers, id, err) : set_remove(&index->loose_matchers, id, err);
}

static int change(struct peering_index *index, const struct selector *selector, uint32_t id, bool add,
                  struct err *err) {
    const char *key = NULL;
    size_t count = selector_anchor(selector, &key);
    if (count > 0 && all_pairs_fit(selector, key, count)) {
        return change_anchored(index, selector, key, count, id, add, err);
    }
    return change_loose(index, selector, id, add, err);
}

int matchers_enter(struct peering_index *index, const struct selector *selector, uint32_t id,
                   struct err *err) {
    return change(index, selector, id, true, err);
}

int matchers_leave(struct peering_index *index, const struct selector *selector, uint32_t id,
                   struct err *err) {
    return change(index, selector, id, false, err);
}

struct matcher_walk matcher_walk_of(const struct peering_index *index, const struct label_set *labels,
                                    bool loose) {
    return (struct matcher_walk){.index = index, .labels = labels, .loose = loose ? 0 : SET_END};
}

uint32_t matcher_walk_next(struct matcher_walk *walk) {
    while (walk->list == NULL || walk->at == walk->list->count) {
        if (walk->label == walk->labels->count) {
            uint32_t id =
                walk->loose == SET_END ? SET_END : set_next(walk->index->loose_matchers, walk->loose);
            walk->loose = id == SET_END ? SET_END : id + 1;
            return id == SET_END ? NO_ID : id;
        }
        const struct label *label = &walk->labels->items[walk->label++];
        char pair[PAIR_MAX];
        size_t len = 0;
        walk->at = 0;
        walk->list = make_pair(label->key, label->value, strlen(label->value), pair, &len)
                         ? map_get(walk->index->matchers_by_label, pair, len)
                         : NULL;
    }
    return walk->list->ids[walk->at++];
}
