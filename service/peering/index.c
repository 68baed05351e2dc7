/*
 * The index: made from a snapshot, advanced by changes, shared by everybody who holds a reference.
 *
 * The next version begins as a copy that shares every part with its predecessor, and is changed by
 * update.c while only its maker sees it; a failure throws it away. Published versions never change. The
 * index holds references to its snapshot and, part by part, to the records it borrows from. No locks.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "fleet.h"

/* ---- life ---- */

static void index_free(struct peering_index *index) {
    vector_done(&index->nodes);
    node_set_free(index->slots);
    node_set_free(index->sharers);
    node_set_free(index->mesh_members);
    map_free(index->nodes_by_name);
    map_free(index->nodes_by_address);
    map_free(index->nodes_by_router_id);
    vector_done(&index->rules);
    node_set_free(index->rule_ids);
    node_set_free(index->global_rules);
    map_free(index->rules_by_name);
    map_free(index->rules_by_node);
    map_free(index->rules_by_address);
    map_free(index->rules_by_secret);
    map_free(index->rules_by_filter);
    vector_done(&index->matchers);
    node_set_free(index->matcher_ids);
    map_free(index->matchers_by_text);
    map_free(index->matchers_by_label);
    node_set_free(index->loose_matchers);
    map_free(index->loose_matchers_by_key);
    free(index->secret_namespace);
    snapshot_unref(index->snapshot);
    free(index);
}

/* An index of `snapshot` that knows nothing yet. */
static int index_new_empty(const struct snapshot *snapshot, const char *secret_namespace,
                           struct peering_index **ret, struct err *err) {
    struct peering_index *index = base_calloc(1, sizeof(*index));
    if (index == NULL) {
        return err_no_memory(err);
    }
    atomic_init(&index->refs, 1);
    size_t size = strlen(secret_namespace) + 1;
    index->secret_namespace = base_malloc(size);
    if (index->secret_namespace == NULL) {
        free(index);
        return err_no_memory(err);
    }
    memcpy(index->secret_namespace, secret_namespace, size);
    index->snapshot = snapshot_ref(snapshot);
    index->defaults = defaults_of(NULL);
    *ret = index;
    return 0;
}

/* An index of `snapshot` that shares everything with `prev`. */
static int index_copy(const struct peering_index *prev, const struct snapshot *snapshot,
                      struct peering_index **ret, struct err *err) {
    struct peering_index *index = NULL;
    if (index_new_empty(snapshot, prev->secret_namespace, &index, err) < 0) {
        return -1;
    }
    index->defaults = prev->defaults;
    index->nodes = vector_copy(&prev->nodes);
    index->slots = set_share(prev->slots);
    index->sharers = set_share(prev->sharers);
    index->mesh_members = set_share(prev->mesh_members);
    index->nodes_by_name = map_share(prev->nodes_by_name);
    index->nodes_by_address = map_share(prev->nodes_by_address);
    index->nodes_by_router_id = map_share(prev->nodes_by_router_id);
    index->rules = vector_copy(&prev->rules);
    index->rule_ids = set_share(prev->rule_ids);
    index->global_rules = set_share(prev->global_rules);
    index->rules_by_name = map_share(prev->rules_by_name);
    index->rules_by_node = map_share(prev->rules_by_node);
    index->rules_by_address = map_share(prev->rules_by_address);
    index->rules_by_secret = map_share(prev->rules_by_secret);
    index->rules_by_filter = map_share(prev->rules_by_filter);
    index->matchers = vector_copy(&prev->matchers);
    index->matcher_ids = set_share(prev->matcher_ids);
    index->matchers_by_text = map_share(prev->matchers_by_text);
    index->matchers_by_label = map_share(prev->matchers_by_label);
    index->loose_matchers = set_share(prev->loose_matchers);
    index->loose_matchers_by_key = map_share(prev->loose_matchers_by_key);
    *ret = index;
    return 0;
}

struct peering_index *peering_index_ref(const struct peering_index *index) {
    struct peering_index *shared = (struct peering_index *)(uintptr_t)index; /* only the count changes */
    atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return shared;
}

void peering_index_unref(const struct peering_index *index) {
    struct peering_index *shared = (struct peering_index *)(uintptr_t)index;
    if (shared != NULL && atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1) {
        index_free(shared);
    }
}

/* ---- making ---- */

static int add_kind(struct peering_index *index, enum kind kind, struct err *err) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, index->snapshot, kind, NULL);
    for (; record != NULL; record = snapshot_step(&cursor)) {
        struct snapshot_change change = {.kind = kind, .before = NULL, .after = record};
        if (index_apply(index, &change, NULL, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int peering_index_new(const struct snapshot *snapshot, const char *secret_namespace,
                      struct peering_index **ret, struct err *err) {
    struct peering_index *index = NULL;
    if (index_new_empty(snapshot, secret_namespace, &index, err) < 0) {
        return -1;
    }
    /* Nodes last: each is then looked at once, by the selectors that can match it. */
    if (add_kind(index, KIND_BGPCONFIGURATION, err) < 0 || add_kind(index, KIND_BGPPEER, err) < 0 ||
        add_kind(index, KIND_NODE, err) < 0) {
        index_free(index);
        return err_wrap(err, "cannot build the index of peerings");
    }
    *ret = index;
    return 0;
}

int peering_index_next(const struct peering_index *prev, const struct snapshot *next,
                       const struct snapshot_change *changes, size_t count, struct peering_index **ret,
                       struct node_set **ret_affected, struct err *err) {
    struct peering_index *index = NULL;
    struct affected affected = {.set = NULL, .globals = false};
    if (index_copy(prev, next, &index, err) < 0) {
        return -1;
    }
    int result = set_new(&affected.set, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = index_apply(index, &changes[i], &affected, err);
    }
    if (result < 0) {
        node_set_free(affected.set);
        index_free(index);
        return -1;
    }
    /* Intermediate states of `default` may be gone by the time a list is computed. */
    index->defaults = defaults_of(snapshot_get(next, KIND_BGPCONFIGURATION, "default"));
    *ret = index;
    *ret_affected = affected.set;
    return 0;
}
