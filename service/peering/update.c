/*
 * One change of one object, applied to the index version under construction, and who is affected by it.
 *
 * The index is always brought up to the newest records, also when nobody is affected: lists borrow from
 * them. Whether something is `before` or `after` is taken from the index, not from the change, so that a
 * store that repeats itself does no harm.
 */
#include "fleet.h"

/* ---- whom a BGPConfiguration concerns ---- */

enum concern { CONCERNS_NOBODY, CONCERNS_MESH, CONCERNS_ALL };

/*
 * By field, in the one named default and in node.<name> (where ALL is the node itself; its peers are found by
 * what they see of it). A field that is not here concerns all in both. What has no meaning outside Kubernetes
 * reaches no list; what only the fleet has, a node's does not.
 */
static const struct {
    const char *field;
    enum concern of_default;
    enum concern of_node;
} CONFIG_CONCERNS[] = {
    {"nodeToNodeMeshEnabled", CONCERNS_MESH, CONCERNS_NOBODY},
    {"nodeMeshPassword", CONCERNS_MESH, CONCERNS_NOBODY},
    {"nodeMeshMaxRestartTime", CONCERNS_MESH, CONCERNS_NOBODY},
    {"asNumber", CONCERNS_ALL, CONCERNS_NOBODY},
    {"serviceLoadBalancerIPs", CONCERNS_ALL, CONCERNS_NOBODY},
    {"serviceExternalIPs", CONCERNS_ALL, CONCERNS_NOBODY},
    {"serviceClusterIPs", CONCERNS_ALL, CONCERNS_NOBODY},
    {"serviceLoadBalancerAggregation", CONCERNS_ALL, CONCERNS_NOBODY},
    {"localWorkloadPeeringIPV4", CONCERNS_NOBODY, CONCERNS_NOBODY},
    {"localWorkloadPeeringIPV6", CONCERNS_NOBODY, CONCERNS_NOBODY},
    {"programClusterRoutes", CONCERNS_NOBODY, CONCERNS_NOBODY},
    {"ipv4NormalRoutePriority", CONCERNS_NOBODY, CONCERNS_NOBODY},
    {"ipv6NormalRoutePriority", CONCERNS_NOBODY, CONCERNS_NOBODY},
};

static enum concern field_concern(const struct field *field, bool of_node) {
    for (size_t i = 0; i < sizeof(CONFIG_CONCERNS) / sizeof(CONFIG_CONCERNS[0]); i++) {
        if (strcmp(CONFIG_CONCERNS[i].field, field->name) == 0) {
            return of_node ? CONFIG_CONCERNS[i].of_node : CONFIG_CONCERNS[i].of_default;
        }
    }
    return CONCERNS_ALL;
}

/* The most that a difference between the two (NULL: none) concerns. */
static enum concern config_concern(const struct bgp_configuration_spec *before,
                                   const struct bgp_configuration_spec *after, bool of_node) {
    const struct schema *schema = &bgp_configuration_spec_schema;
    /* In a node's own configuration even a default says something: it goes before what the fleet's says. */
    enum sameness sameness = of_node ? SAME_AS_WRITTEN : SAME_MEANING;
    enum concern most = CONCERNS_NOBODY;
    for (size_t i = 0; before != after && i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        enum concern concern = field_concern(field, of_node);
        if (concern > most && !field_equal(field, before, after, sameness)) {
            most = concern;
        }
    }
    return most;
}

/* ---- nodes ---- */

/* Enter the node into (map_add), or take it out of (map_remove), what it is found by besides its name. */
static int link_node(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                     map_change *change, struct err *err) {
    if (!node_has_address(node)) {
        return 0;
    }
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &node->addresses[family].addr;
        if (ip_is_set(addr) && change(&index->nodes_by_address, addr, sizeof(*addr), slot, err) < 0) {
            return -1;
        }
    }
    const struct ip_addr *router_id = &node->router_id.addr;
    return change(&index->nodes_by_router_id, router_id, sizeof(*router_id), slot, err);
}

/* Bring index->sharers up to date about the node, and about who has an address of its together with it alone:
 * among more owners, the others share the address with or without it. */
static int update_sharers(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                          struct err *err) {
    if (set_remove(&index->sharers, slot, err) < 0) {
        return -1;
    }
    for (int family = 0; family < FAMILIES; family++) {
        const struct id_list *owners = index_owners(index, &node->addresses[family].addr);
        for (size_t i = 0; owners != NULL && owners->count <= 2 && i < owners->count; i++) {
            uint32_t owner = owners->ids[i];
            if ((index_shares(index, owner) ? set_add(&index->sharers, owner, err)
                                            : set_remove(&index->sharers, owner, err)) < 0) {
                return -1;
            }
        }
        if (owners != NULL && owners->count > 2 && id_list_has(owners, slot) &&
            set_add(&index->sharers, slot, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int enter_node(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                      struct err *err) {
    if (link_node(index, slot, node, map_add, err) < 0 || update_sharers(index, slot, node, err) < 0) {
        return -1;
    }
    return node_is_mesh_member(node) ? set_add(&index->mesh_members, slot, err) : 0;
}

static int leave_node(struct peering_index *index, uint32_t slot, const struct node_facts *node,
                      struct err *err) {
    if (link_node(index, slot, node, map_remove, err) < 0 || update_sharers(index, slot, node, err) < 0) {
        return -1;
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
    struct matcher_walk walk = matcher_walk_of(index, labels, true);
    MATCHER_EACH(id, &walk) {
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
                            const struct label_set *possible_labels, const struct label_set *labels,
                            struct affected *affected, struct err *err) {
    struct matcher_walk walk = matcher_walk_of(index, possible_labels, false);
    MATCHER_EACH(id, &walk) {
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

/* Would the two be the same as somebody's peer? */
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

/* Would the two be the same in what only the node's own list says? */
static bool node_local_equal(const struct node_facts *a, const struct node_facts *b) {
    const struct field *advertisements = schema_field(&node_bgp_schema, "prefixAdvertisements");
    for (int family = 0; family < FAMILIES; family++) {
        const char *x = a->unusable[family] != NULL ? a->unusable[family] : "";
        const char *y = b->unusable[family] != NULL ? b->unusable[family] : "";
        if (strcmp(x, y) != 0) {
            return false;
        }
    }
    return a->excluded == b->excluded && field_equal(advertisements, a->bgp, b->bgp, SAME_MEANING) &&
           config_concern(a->config, b->config, true) == CONCERNS_NOBODY;
}

/* BGPConfiguration node.<name>, in the snapshot that the index is on its way to: a change of it that is still
 * to come in this batch then changes nothing any more. */
static int find_node_config(const struct peering_index *index, const char *node, const struct record **ret,
                            struct err *err) {
    struct arena arena;
    arena_init(&arena, 512);
    const char *name = arena_printf(&arena, "%s%s", CONFIG_NODE_PREFIX, node);
    *ret = name == NULL ? NULL : snapshot_get(index->snapshot, KIND_BGPCONFIGURATION, name);
    int result = name == NULL ? err_no_memory(err) : 0;
    arena_done(&arena);
    return result;
}

static int create_node(struct peering_index *index, const struct record *record, struct affected *affected,
                       struct err *err) {
    const char *name = record->object->meta.name;
    const struct record *config = NULL;
    struct node_facts *node = NULL;
    if (find_node_config(index, name, &config, err) < 0 || node_facts_new(record, config, &node, err) < 0) {
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

/* Whom the difference concerns, of the version that the index holds now. */
struct node_change {
    bool core;   /* the node and its peers */
    bool local;  /* the node alone */
    bool router; /* those who have its router ID as well */
};

static int affect_change(struct affected *affected, const struct peering_index *index, uint32_t slot,
                         const struct node_change *what, struct err *err) {
    if ((what->core && affect_node(affected, index, slot, err) < 0) ||
        (what->local && affect_slot(affected, slot, err) < 0)) {
        return -1;
    }
    return what->router ? affect_router_id(affected, index, index_node(index, slot), err) : 0;
}

/* Put new facts in place of the old ones. Takes over `node`, also on failure. */
static int replace_node(struct peering_index *index, uint32_t slot, struct node_facts *node,
                        struct affected *affected, struct err *err) {
    const struct node_facts *before = index_node(index, slot);
    const struct node_change what = {
        .core = !node_core_equal(index, before, node),
        .local = !node_local_equal(before, node),
        .router = ip_compare(&before->router_id.addr, &node->router_id.addr) != 0,
    };
    bool moves = what.core || what.router;
    if (affect_change(affected, index, slot, &what, err) < 0 ||
        (moves && leave_node(index, slot, before, err) < 0)) {
        shared_unref(&node->shared);
        return -1;
    }
    struct shared *old = vector_get(&index->nodes, slot); /* its labels are needed once more */
    shared_ref(old);
    int result = vector_put(&index->nodes, slot, &node->shared, err);
    if (result == 0 && moves) {
        result = enter_node(index, slot, node, err);
    }
    if (result == 0) {
        result = rematch_changed(index, slot, before->labels, node->labels, affected, err);
    }
    if (result == 0) {
        result = affect_change(affected, index, slot, &what, err);
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
    if (node_facts_new(change->after, index_node(index, slot)->config_record, &node, err) < 0) {
        return -1;
    }
    return replace_node(index, slot, node, affected, err);
}

/* ---- BGPConfigurations ---- */

static int affect_concerned(struct affected *affected, const struct peering_index *index,
                            enum concern concern, struct err *err) {
    switch (concern) {
    case CONCERNS_NOBODY:
        break;
    case CONCERNS_MESH:
        return affect_mesh(affected, index, err);
    case CONCERNS_ALL:
        return affect_all(affected, index, err);
    }
    return 0;
}

static int apply_default(struct peering_index *index, const struct record *after, struct affected *affected,
                         struct err *err) {
    struct defaults next = defaults_of(after);
    enum concern concern = config_concern(index->defaults.spec, next.spec, false);
    if (affect_concerned(affected, index, concern, err) < 0) {
        return -1;
    }
    index->defaults = next;
    return affect_concerned(affected, index, concern, err);
}

static int apply_node_config(struct peering_index *index, const char *name, const struct record *config,
                             struct affected *affected, struct err *err) {
    uint32_t slot = index_slot(index, name);
    if (slot == NO_ID) {
        return 0;
    }
    struct node_facts *node = NULL;
    if (node_facts_new(index_node(index, slot)->record, config, &node, err) < 0) {
        return -1;
    }
    return replace_node(index, slot, node, affected, err);
}

static int apply_config(struct peering_index *index, const struct snapshot_change *change,
                        struct affected *affected, struct err *err) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    const char *node = config_node_name(any);
    if (node != NULL) {
        return apply_node_config(index, node, change->after, affected, err);
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
        same = schema_equal(&bgp_peer_spec_schema, before->spec, peer->spec, SAME_MEANING);
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

static const struct bgp_filter_spec *filter_spec(const struct record *record) {
    return record == NULL ? NULL : ((const struct bgp_filter *)record->object->body)->spec;
}

static int apply_filter(const struct peering_index *index, const struct snapshot_change *change,
                        struct affected *affected, struct err *err) {
    if (change->before != NULL && change->after != NULL &&
        schema_equal(&bgp_filter_spec_schema, filter_spec(change->before), filter_spec(change->after),
                     SAME_AS_WRITTEN)) {
        return 0; /* lists hold the spec as it is written, and nothing else of it */
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
