/*
 * The sessions that one BGPPeer creates: the lists of the nodes that it can affect, one after the other, and
 * in each what stems from it. One list at a time is in memory.
 */
#include "document.h"
#include "fleet.h"

static bool is_from(const struct peering_origin *origin, const char *bgp_peer) {
    return origin->bgp_peer != NULL && strcmp(origin->bgp_peer, bgp_peer) == 0;
}

/* An element; the caller writes the members behind "node" and closes it. */
static void open_element(struct buf *out, const char *node) {
    if (out->len > 0) {
        buf_add_char(out, ',');
    }
    buf_add_char(out, '{');
    buf_json_member_str(out, "node", node);
}

/* Returns how many elements were added. */
static size_t add_list(const struct peering_list *list, const char *bgp_peer, struct buf *items,
                       struct buf *suppressed) {
    size_t count = 0;
    for (size_t i = 0; i < list->entry_count; i++) {
        if (is_from(&list->entries[i].origin, bgp_peer)) {
            open_element(items, list->node);
            document_add_entry_members(items, &list->entries[i]);
            buf_add_char(items, '}');
            count++;
        }
    }
    for (size_t i = 0; i < list->suppressed_count; i++) {
        if (is_from(&list->suppressed[i].origin, bgp_peer)) {
            open_element(suppressed, list->node);
            document_add_suppressed_members(suppressed, &list->suppressed[i]);
            buf_add_char(suppressed, '}');
            count++;
        }
    }
    return count;
}

/* From `after` on, over the nodes in `nodes`. */
static int add_nodes(const struct peering_index *index, const struct node_set *nodes, const char *bgp_peer,
                     const char *after, size_t limit, struct buf *items, struct buf *suppressed,
                     const char **ret_next, struct err *err) {
    struct snapshot_cursor cursor;
    size_t count = 0;
    const struct record *record = snapshot_seek(&cursor, index->snapshot, KIND_NODE, after);
    for (; record != NULL; record = snapshot_step(&cursor)) {
        uint32_t slot = index_slot(index, record->key);
        if (slot == NO_ID || !set_has(nodes, slot)) {
            continue;
        }
        struct arena arena;
        struct peering_list list;
        arena_init(&arena, 4096);
        int result = peering_compute(index, record->key, &arena, &list, err);
        if (result == 0) {
            count += add_list(&list, bgp_peer, items, suppressed);
        }
        arena_done(&arena);
        if (result < 0) {
            return -1;
        }
        if (count >= limit) {
            *ret_next = snapshot_step(&cursor) != NULL ? record->key : NULL;
            return 0;
        }
    }
    *ret_next = NULL;
    return 0;
}

int peering_encode_sessions(const struct peering_index *index, const char *bgp_peer, const char *after,
                            size_t limit, struct buf *items, struct buf *suppressed, const char **ret_next,
                            struct err *err) {
    const struct id_list *known = index_get(index->rules_by_name, bgp_peer);
    if (known == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no BGPPeer \"%s\"", bgp_peer);
    }
    struct affected affected = {.set = NULL};
    int result = affect_rule(&affected, index, index_rule(index, known->ids[0]), err);
    if (result == 0) {
        result = add_nodes(index, affected.set, bgp_peer, after, limit, items, suppressed, ret_next, err);
    }
    node_set_free(affected.set);
    return result;
}
