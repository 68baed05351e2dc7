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

/* ---- reading ---- */

const struct snapshot *peering_index_snapshot(const struct peering_index *index) {
    return index->snapshot;
}

uint32_t index_slot(const struct peering_index *index, const char *node) {
    const struct id_list *slots = index_get(index->nodes_by_name, node);
    return slots == NULL ? NO_ID : slots->ids[0];
}

int64_t peering_index_slot(const struct peering_index *index, const char *node) {
    uint32_t slot = index_slot(index, node);
    return slot == NO_ID ? -1 : (int64_t)slot;
}

uint32_t peering_index_slots(const struct peering_index *index) {
    return set_bound(index->slots);
}

const char *peering_index_address_owner(const struct peering_index *index, const struct ip_addr *address,
                                        const char *except) {
    const struct id_list *owners = index_owners(index, address);
    const char *first = NULL;
    ID_EACH(i, owners) {
        const char *name = index_node(index, owners->ids[i])->name;
        bool other = except == NULL || strcmp(name, except) != 0;
        if (other && (first == NULL || strcmp(name, first) < 0)) {
            first = name;
        }
    }
    return first;
}

bool peering_index_address_is_peer(const struct peering_index *index, const struct ip_addr *address) {
    return map_get(index->rules_by_address, address, sizeof(*address)) != NULL;
}

const char *peering_index_peer_node(const struct peering_index *index, const char *bgp_peer) {
    const struct id_list *known = index_get(index->rules_by_name, bgp_peer);
    if (known == NULL) {
        return NULL;
    }
    const struct rule *rule = index_rule(index, known->ids[0]);
    uint32_t slot = NO_ID;
    if (rule->scope == SCOPE_NODE) {
        slot = index_slot(index, rule->spec->node);
    } else if (rule->scope == SCOPE_GLOBAL) {
        slot = set_next(index->slots, 0);
    } else if (rule->node_matcher != NO_ID) {
        slot = set_next(index_matcher(index, rule->node_matcher)->matches, 0);
    }
    return slot == NO_ID || slot == SET_END ? NULL : index_node(index, slot)->name;
}

bool peering_index_any_match(const struct peering_index *index, const struct selector *selector) {
    const struct id_list *known = index_get(index->matchers_by_text, selector_canonical(selector));
    if (known != NULL) {
        return node_set_count(index_matcher(index, known->ids[0])->matches) > 0;
    }
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, index->snapshot, KIND_NODE, NULL);
    while (record != NULL && !selector_matches(selector, &record->object->meta.labels)) {
        record = snapshot_step(&cursor);
    }
    return record != NULL;
}

void peering_index_address_users(const struct peering_index *index, const struct ip_addr *addr,
                                 bool (*visit)(void *arg, enum kind kind, const char *name), void *arg) {
    const struct id_list *owners = index_owners(index, addr);
    const struct id_list *rules = map_get(index->rules_by_address, addr, sizeof(*addr));
    bool more = true;
    for (size_t i = 0; more && owners != NULL && i < owners->count; i++) {
        more = visit(arg, KIND_NODE, index_node(index, owners->ids[i])->name);
    }
    for (size_t i = 0; more && rules != NULL && i < rules->count; i++) {
        more = visit(arg, KIND_BGPPEER, index_rule(index, rules->ids[i])->name);
    }
}

const struct node_facts *index_first_owner(const struct peering_index *index, const struct id_list *owners,
                                           uint32_t as_number) {
    const struct node_facts *first = NULL;
    ID_EACH(i, owners) {
        const struct node_facts *node = index_node(index, owners->ids[i]);
        if ((as_number == 0 || node_as(index, node) == as_number) &&
            (first == NULL || strcmp(node->name, first->name) < 0)) {
            first = node;
        }
    }
    return first;
}

bool rule_applies(const struct peering_index *index, const struct rule *rule, uint32_t slot,
                  const struct node_facts *node) {
    switch (rule->scope) {
    case SCOPE_GLOBAL:
        return true;
    case SCOPE_NODE:
        return strcmp(rule->spec->node, node->name) == 0;
    case SCOPE_NODE_SELECTOR:
        return rule->node_matcher != NO_ID &&
               set_has(index_matcher(index, rule->node_matcher)->matches, slot);
    case SCOPE_MESH:
        break;
    }
    return false;
}

bool rule_reaches(const struct peering_index *index, const struct rule *rule, uint32_t slot,
                  const struct node_facts *node) {
    if (rule->target == TARGET_SELECTOR) {
        return rule->peer_matcher != NO_ID &&
               set_has(index_matcher(index, rule->peer_matcher)->matches, slot);
    }
    if (rule->target != TARGET_ADDRESS) {
        return false;
    }
    const struct address *own = &node->addresses[family_of(&rule->peer.addr)];
    if (ip_compare(&own->addr, &rule->peer.addr) != 0 || node_as(index, node) != rule_as(index, rule)) {
        return false;
    }
    uint16_t port = node_port(index, node);
    return rule->peer.port == 0 || port == 0 || port == rule->peer.port;
}
