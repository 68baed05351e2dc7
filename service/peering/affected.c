/*
 * Who is affected: the nodes whose lists a change may alter.
 *
 * Asked before and after each single change, so that whoever loses something is found in the state before
 * and whoever gains something in the state after. Never too few: each function's set covers every way in
 * which the computation (gather.c) can come from the thing to a list. No locks.
 */
#include "fleet.h"

#define SHARERS_EACH 8 /* owners of one address whose peers are looked up one by one */

int affect_slot(struct affected *affected, uint32_t slot, struct err *err) {
    return affected == NULL ? 0 : set_add(&affected->set, slot, err);
}

int affect_all(struct affected *affected, const struct peering_index *index, struct err *err) {
    return affected == NULL ? 0 : set_add_all(&affected->set, index->slots, err);
}

int affect_mesh(struct affected *affected, const struct peering_index *index, struct err *err) {
    if (affected == NULL || !index->defaults.mesh) {
        return 0;
    }
    return set_add_all(&affected->set, index->mesh_members, err);
}

/* The nodes that the rule applies to. */
static int affect_near(struct affected *affected, const struct peering_index *index, const struct rule *rule,
                       struct err *err) {
    switch (rule->scope) {
    case SCOPE_GLOBAL:
        return affect_all(affected, index, err);
    case SCOPE_NODE: {
        uint32_t slot = index_slot(index, rule->spec->node);
        return slot == NO_ID ? 0 : affect_slot(affected, slot, err);
    }
    case SCOPE_NODE_SELECTOR:
        if (rule->node_matcher == NO_ID) {
            return 0;
        }
        return set_add_all(&affected->set, index_matcher(index, rule->node_matcher)->matches, err);
    case SCOPE_MESH:
        break;
    }
    return 0;
}

/* The nodes that get reverse peerings from the rule. */
static int affect_far(struct affected *affected, const struct peering_index *index, const struct rule *rule,
                      struct err *err) {
    if (rule->manual) {
        return 0;
    }
    if (rule->target == TARGET_SELECTOR && rule->peer_matcher != NO_ID) {
        return set_add_all(&affected->set, index_matcher(index, rule->peer_matcher)->matches, err);
    }
    if (rule->target != TARGET_ADDRESS) {
        return 0;
    }
    const struct id_list *owners = index_owners(index, &rule->peer.addr);
    ID_EACH(i, owners) {
        uint32_t slot = owners->ids[i];
        if (rule_reaches(index, rule, slot, index_node(index, slot)) &&
            affect_slot(affected, slot, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int affect_rule(struct affected *affected, const struct peering_index *index, const struct rule *rule,
                struct err *err) {
    if (affected == NULL) {
        return 0;
    }
    if (affect_near(affected, index, rule, err) < 0) {
        return -1;
    }
    return affect_far(affected, index, rule, err);
}

int affect_rules(struct affected *affected, const struct peering_index *index, const struct id_list *rules,
                 struct err *err) {
    ID_EACH(i, rules) {
        if (affect_rule(affected, index, index_rule(index, rules->ids[i]), err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int affect_near_of(struct affected *affected, const struct peering_index *index,
                          const struct id_list *rules, struct err *err) {
    ID_EACH(i, rules) {
        if (affect_near(affected, index, index_rule(index, rules->ids[i]), err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int affect_far_of(struct affected *affected, const struct peering_index *index,
                         const struct id_list *rules, struct err *err) {
    ID_EACH(i, rules) {
        if (affect_far(affected, index, index_rule(index, rules->ids[i]), err) < 0) {
            return -1;
        }
    }
    return 0;
}

/*
 * Global rules make every node a peer of their far ends. Once in a batch is enough: whoever becomes a far
 * end later in the batch does so by a change of its own or of the rule, and is affected by that.
 */
static int affect_far_of_globals(struct affected *affected, const struct peering_index *index,
                                 struct err *err) {
    if (affected->globals) {
        return 0;
    }
    SET_EACH(id, index->global_rules) {
        if (affect_far(affected, index, index_rule(index, id), err) < 0) {
            return -1;
        }
    }
    affected->globals = true;
    return 0;
}

/* Whoever knows the node by one of its addresses. */
static int affect_by_address(struct affected *affected, const struct peering_index *index,
                             const struct ip_addr *addr, struct err *err) {
    if (!ip_is_set(addr)) {
        return 0;
    }
    const struct id_list *owners = index_owners(index, addr);
    ID_EACH(i, owners) {
        if (affect_slot(affected, owners->ids[i], err) < 0) {
            return -1;
        }
    }
    const struct id_list *rules = map_get(index->rules_by_address, addr, sizeof(*addr));
    return affect_near_of(affected, index, rules, err);
}

int affect_router_id(struct affected *affected, const struct peering_index *index,
                     const struct node_facts *node, struct err *err) {
    const struct ip_addr *router_id = &node->router_id.addr;
    const struct id_list *slots = map_get(index->nodes_by_router_id, router_id, sizeof(*router_id));
    ID_EACH(i, slots) {
        if (affect_slot(affected, slots->ids[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The node itself and everybody who may have it as a peer. */
static int affect_peers(struct affected *affected, const struct peering_index *index, uint32_t slot,
                        struct err *err) {
    if (affect_slot(affected, slot, err) < 0) {
        return -1;
    }
    const struct node_facts *node = index_node(index, slot);
    if (!node_has_address(node)) {
        return 0; /* nobody's peer */
    }
    if (affect_router_id(affected, index, node, err) < 0) {
        return -1;
    }
    if (set_has(index->mesh_members, slot) && affect_mesh(affected, index, err) < 0) {
        return -1;
    }
    for (int family = 0; family < FAMILIES; family++) {
        if (affect_by_address(affected, index, &node->addresses[family].addr, err) < 0) {
            return -1;
        }
    }
    struct matcher_walk walk = matcher_walk_of(index, node->labels, true);
    MATCHER_EACH(id, &walk) {
        const struct matcher *matcher = index_matcher(index, id);
        if (set_has(matcher->matches, slot) &&
            (affect_near_of(affected, index, matcher->peer_rules, err) < 0 ||
             affect_far_of(affected, index, matcher->node_rules, err) < 0)) {
            return -1;
        }
    }
    if (affect_far_of(affected, index, index_get(index->rules_by_node, node->name), err) < 0) {
        return -1;
    }
    return affect_far_of_globals(affected, index, err);
}

/*
 * Whoever peers with another owner of the node's address: the address has become, or ceases to be, ambiguous,
 * or is so between others. Of many owners everybody is said to be affected, so that a fleet whose nodes all
 * have one address costs no square.
 */
static int affect_sharers(struct affected *affected, const struct peering_index *index, uint32_t slot,
                          const struct ip_addr *addr, struct err *err) {
    const struct id_list *owners = index_owners(index, addr);
    if (owners == NULL || owners->count < 2) {
        return 0;
    }
    if (owners->count > SHARERS_EACH) {
        return affect_all(affected, index, err);
    }
    ID_EACH(i, owners) {
        if (owners->ids[i] != slot && affect_peers(affected, index, owners->ids[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

int affect_node(struct affected *affected, const struct peering_index *index, uint32_t slot,
                struct err *err) {
    if (affected == NULL) {
        return 0;
    }
    const struct node_facts *node = index_node(index, slot);
    for (int family = 0; family < FAMILIES; family++) {
        if (affect_sharers(affected, index, slot, &node->addresses[family].addr, err) < 0) {
            return -1;
        }
    }
    return affect_peers(affected, index, slot, err);
}

int affect_match(struct affected *affected, const struct peering_index *index, const struct matcher *matcher,
                 uint32_t slot, struct err *err) {
    if (affected == NULL) {
        return 0;
    }
    if (affect_slot(affected, slot, err) < 0) {
        return -1;
    }
    if (!node_has_address(index_node(index, slot))) {
        return 0;
    }
    if (affect_near_of(affected, index, matcher->peer_rules, err) < 0) {
        return -1;
    }
    return affect_far_of(affected, index, matcher->node_rules, err);
}
