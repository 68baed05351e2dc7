/*
 * One change of one object, applied to the index version under construction, and who is affected by it.
 *
 * The index is always brought up to the newest records, also when nobody is affected: lists borrow from
 * them. Whether something is `before` or `after` is taken from the index, not from the change, so that a
 * store that repeats itself does no harm.
 */
#include "fleet.h"

/* ---- nodes ---- */

static int enter_node(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                      struct err *err) {
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &node->addresses[family].addr;
        if (ip_is_set(addr) && map_add(&index->nodes_by_address, addr, sizeof(*addr), slot, err) < 0) {
            return -1;
        }
    }
    return node_is_mesh_member(node) ? set_add(&index->mesh_members, slot, err) : 0;
}

static int leave_node(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                      struct err *err) {
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &node->addresses[family].addr;
        if (ip_is_set(addr) && map_remove(&index->nodes_by_address, addr, sizeof(*addr), slot, err) < 0) {
            return -1;
        }
    }
    return set_remove(&index->mesh_members, slot, err);
}

/* Bring a matcher up to date with a node's labels (NULL: the node goes). *ret_flipped: it has changed. */
static int rematch(struct peering_index *index, uint32_t id, uint32_t slot, const struct label_set *labels,
                   bool *ret_flipped, struct err *err) {
    const struct matcher *matcher = index_matcher(index, id);
    bool matches = labels != NULL && selector_matches(matcher->compiled->selector, labels);
    *ret_flipped = matches != set_has(matcher->matches, slot);
    if (!*ret_flipped) {
        return 0;
    }
    struct shared *shared = NULL;
    if (vector_own_item(&index->matchers, id, matcher_copy, &shared, err) < 0) {
        return -1;
    }
    struct matcher *own = (struct matcher *)shared;
    return matches ? set_add(&own->matches, slot, err) : set_remove(&own->matches, slot, err);
}

/* A node has come with these labels, or goes (`comes` false). */
static int rematch_all(struct peering_index *index, uint32_t slot, const struct label_set *labels, bool comes,
                       struct err *err) {
    bool flipped;
    struct candidates candidates = candidates_of(index, labels, true);
    CANDIDATES_EACH(id, &candidates) {
        if (rematch(index, id, slot, comes ? labels : NULL, &flipped, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int rematch_and_affect(struct peering_index *index, uint32_t id, uint32_t slot,
                              const struct label_set *labels, struct affected *affected, struct err *err) {
    bool flipped = false;
    if (rematch(index, id, slot, labels, &flipped, err) < 0) {
        return -1;
    }
    return flipped ? affect_match(affected, index, index_matcher(index, id), slot, err) : 0;
}

/* Re-evaluate the loose selectors that look at one key. */
static int rematch_key(struct peering_index *index, uint32_t slot, const char *key,
                       const struct label_set *labels, struct affected *affected, struct err *err) {
    const struct id_list *matchers = index_get(index->loose_matchers_by_key, key);
    ID_EACH(i, matchers) {
        if (rematch_and_affect(index, matchers->ids[i], slot, labels, affected, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Re-evaluate the selectors that could match the labels of before or of after: any other one neither did nor
 * does. */
static int rematch_anchored(struct peering_index *index, uint32_t slot,
                            const struct label_set *candidate_labels, const struct label_set *labels,
                            struct affected *affected, struct err *err) {
    struct candidates candidates = candidates_of(index, candidate_labels, false);
    CANDIDATES_EACH(id, &candidates) {
        if (rematch_and_affect(index, id, slot, labels, affected, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Re-evaluate the selectors that may see a difference (both sets are sorted by key). */
static int rematch_changed(struct peering_index *index, uint32_t slot, const struct label_set *before,
                           const struct label_set *after, struct affected *affected, struct err *err) {
    size_t b = 0;
    size_t a = 0;
    if (rematch_anchored(index, slot, before, after, affected, err) < 0 ||
        rematch_anchored(index, slot, after, after, affected, err) < 0) {
        return -1;
    }
    while (b < before->count || a < after->count) {
        int order = b == before->count  ? 1
                    : a == after->count ? -1
                                        : strcmp(before->items[b].key, after->items[a].key);
        const char *key = order <= 0 ? before->items[b].key : after->items[a].key;
        bool same = order == 0 && strcmp(before->items[b].value, after->items[a].value) == 0;
        if (!same && rematch_key(index, slot, key, after, affected, err) < 0) {
            return -1;
        }
        b += order <= 0;
        a += order >= 0;
    }
    return 0;
}

/* Would the two differ as somebody's peer, or in `local`? */
static bool node_core_equal(const struct peering_index *index, const struct node_facts *a,
                            const struct node_facts *b) {
    for (int family = 0; family < FAMILIES; family++) {
        if (ip_compare(&a->addresses[family].addr, &b->addresses[family].addr) != 0) {
            return false;
        }
    }
    return node_as(index, a) == node_as(index, b) && node_port(index, a) == node_port(index, b) &&
           strcmp(a->cluster_id != NULL ? a->cluster_id : "", b->cluster_id != NULL ? b->cluster_id : "") ==
               0;
}

static int create_node(struct peering_index *index, const struct record *record, struct affected *affected,
                       struct err *err) {
    const char *name = record->object->meta.name;
    const struct id_list *port = index_get(index->ports_by_node, name);
    struct node_facts *node = NULL;
    if (node_facts_new(record, port == NULL ? 0 : (uint16_t)port->ids[0], &node, err) < 0) {
        return -1;
    }
    uint32_t slot = set_first_absent(index->slots);
    if (vector_put(&index->nodes, slot, &node->shared, err) < 0 || set_add(&index->slots, slot, err) < 0 ||
        map_add(&index->nodes_by_name, name, strlen(name), slot, err) < 0 ||
        enter_node(index, slot, node, err) < 0 || rematch_all(index, slot, node->labels, true, err) < 0) {
        return -1;
    }
    return affect_node(affected, index, slot, err);
}

static int delete_node(struct peering_index *index, uint32_t slot, struct affected *affected,
                       struct err *err) {
    const struct node_facts *node = index_node(index, slot);
    if (affect_node(affected, index, slot, err) < 0 ||
        rematch_all(index, slot, node->labels, false, err) < 0 || leave_node(index, slot, node, err) < 0 ||
        map_remove(&index->nodes_by_name, node->name, strlen(node->name), slot, err) < 0 ||
        set_remove(&index->slots, slot, err) < 0) {
        return -1;
    }
    return vector_put(&index->nodes, slot, NULL, err);
}

/* Put new facts in place of the old ones. Takes over `node`, also on failure. */
static int replace_node(struct peering_index *index, uint32_t slot, struct node_facts *node,
                        struct affected *affected, struct err *err) {
    const struct node_facts *before = index_node(index, slot);
    bool same = node_core_equal(index, before, node);
    if (!same && (affect_node(affected, index, slot, err) < 0 || leave_node(index, slot, before, err) < 0)) {
        shared_unref(&node->shared);
        return -1;
    }
    struct shared *old = vector_get(&index->nodes, slot); /* its labels are needed once more */
    shared_ref(old);
    int result = vector_put(&index->nodes, slot, &node->shared, err);
    if (result == 0 && !same) {
        result = enter_node(index, slot, node, err);
    }
    if (result == 0) {
        result = rematch_changed(index, slot, before->labels, node->labels, affected, err);
    }
    if (result == 0 && !same) {
        result = affect_node(affected, index, slot, err);
    }
    shared_unref(old);
    return result;
}

static int apply_node(struct peering_index *index, const struct snapshot_change *change,
                      struct affected *affected, struct err *err) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    uint32_t slot = index_slot(index, any->object->meta.name);
    if (change->after == NULL) {
        return slot == NO_ID ? 0 : delete_node(index, slot, affected, err);
    }
    if (slot == NO_ID) {
        return create_node(index, change->after, affected, err);
    }
    struct node_facts *node = NULL;
    if (node_facts_new(change->after, index_node(index, slot)->own_port, &node, err) < 0) {
        return -1;
    }
    return replace_node(index, slot, node, affected, err);
}

/* ---- BGPConfigurations ---- */

static int apply_default(struct peering_index *index, const struct record *after, struct affected *affected,
                         struct err *err) {
    struct defaults before = index->defaults;
    struct defaults next = defaults_of(after);
    bool all = before.as_number != next.as_number || before.listen_port != next.listen_port;
    bool mesh = before.mesh != next.mesh || before.mesh_restart_time_s != next.mesh_restart_time_s ||
                !secret_ref_equal(before.mesh_password, next.mesh_password);
    if (mesh && affect_mesh(affected, index, err) < 0) {
        return -1;
    }
    index->defaults = next;
    if (mesh && affect_mesh(affected, index, err) < 0) {
        return -1;
    }
    return all ? affect_all(affected, index, err) : 0;
}

static int apply_node_config(struct peering_index *index, const char *name, uint16_t port,
                             struct affected *affected, struct err *err) {
    const struct id_list *known = index_get(index->ports_by_node, name);
    uint32_t before = known == NULL ? 0 : known->ids[0];
    if (before == port) {
        return 0;
    }
    if ((before != 0 && map_remove(&index->ports_by_node, name, strlen(name), before, err) < 0) ||
        (port != 0 && map_add(&index->ports_by_node, name, strlen(name), port, err) < 0)) {
        return -1;
    }
    uint32_t slot = index_slot(index, name);
    if (slot == NO_ID) {
        return 0;
    }
    struct node_facts *node = NULL;
    if (node_facts_new(index_node(index, slot)->record, port, &node, err) < 0) {
        return -1;
    }
    return replace_node(index, slot, node, affected, err);
}

static int apply_config(struct peering_index *index, const struct snapshot_change *change,
                        struct affected *affected, struct err *err) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    const char *node = config_node_name(any);
    if (node != NULL) {
        return apply_node_config(index, node, config_listen_port(change->after), affected, err);
    }
    if (strcmp(any->object->meta.name, "default") == 0) {
        return apply_default(index, change->after, affected, err);
    }
    return 0;
}

/* ---- BGPPeers ---- */

static int apply_rule(struct peering_index *index, const struct snapshot_change *change,
                      struct affected *affected, struct err *err) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    const char *name = any->object->meta.name;
    const struct id_list *known = index_get(index->rules_by_name, name);
    const struct rule *before = known == NULL ? NULL : index_rule(index, known->ids[0]);
    bool same = false;
    if (before != NULL && change->after != NULL) {
        const struct bgp_peer *peer = change->after->object->body;
        same = rule_spec_equal(before->spec, peer->spec);
    }
    if (!same && affect_rules(affected, index, known, err) < 0) {
        return -1;
    }
    if (index_change_rule(index, change->before, change->after, err) < 0) {
        return -1;
    }
    known = index_get(index->rules_by_name, name);
    return same ? 0 : affect_rules(affected, index, known, err);
}

/* ---- BGPFilters and Secrets: read from the snapshot when a list is computed ---- */

static int apply_filter(const struct peering_index *index, const struct snapshot_change *change,
                        struct affected *affected, struct err *err) {
    if (change->before != NULL && change->after != NULL) {
        return 0; /* lists hold names, not contents */
    }
    const struct record *any = change->after != NULL ? change->after : change->before;
    return affect_rules(affected, index, index_get(index->rules_by_filter, any->object->meta.name), err);
}

static const struct secret_value *value_in(const struct record *record, const char *key) {
    const struct secret *secret = record == NULL ? NULL : record->object->body;
    return secret == NULL ? NULL : secret_value_of(secret, key);
}

/* Does the key's value differ in what a list shows of it? */
static bool value_differs(const struct snapshot_change *change, const struct secret_key_ref *ref) {
    const char *key = ref->key != NULL ? ref->key : "";
    if ((change->before == NULL) != (change->after == NULL)) {
        return true; /* SecretNotFound and SecretKeyNotFound are different problems */
    }
    const struct secret_value *before = value_in(change->before, key);
    const struct secret_value *after = value_in(change->after, key);
    if (before == NULL || after == NULL) {
        return before != after;
    }
    return before->state != after->state || before->fingerprint == NULL || after->fingerprint == NULL ||
           strcmp(before->fingerprint, after->fingerprint) != 0;
}

static int apply_secret(const struct peering_index *index, const struct snapshot_change *change,
                        struct affected *affected, struct err *err) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    const char *name_space = any->object->meta.name_space;
    if (name_space == NULL || strcmp(name_space, index->secret_namespace) != 0) {
        return 0;
    }
    const char *name = any->object->meta.name;
    const struct id_list *rules = index_get(index->rules_by_secret, name);
    ID_EACH(i, rules) {
        const struct rule *rule = index_rule(index, rules->ids[i]);
        if (value_differs(change, password_ref(rule->spec->password)) &&
            affect_rule(affected, index, rule, err) < 0) {
            return -1;
        }
    }
    const struct secret_key_ref *mesh = index->defaults.mesh_password;
    bool used = mesh != NULL && mesh->name != NULL && strcmp(mesh->name, name) == 0;
    return used && value_differs(change, mesh) ? affect_mesh(affected, index, err) : 0;
}

int index_apply(struct peering_index *index, const struct snapshot_change *change, struct affected *affected,
                struct err *err) {
    if (change->before == NULL && change->after == NULL) {
        return 0;
    }
    switch (change->kind) {
    case KIND_NODE:
        return apply_node(index, change, affected, err);
    case KIND_BGPPEER:
        return apply_rule(index, change, affected, err);
    case KIND_BGPCONFIGURATION:
        return apply_config(index, change, affected, err);
    case KIND_BGPFILTER:
        return apply_filter(index, change, affected, err);
    case KIND_SECRET:
        return apply_secret(index, change, affected, err);
    case KIND_COUNT:
        break;
    }
    return 0;
}
