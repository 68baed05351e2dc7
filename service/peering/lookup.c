/*
 * Looking things up in an index: nodes and rules by name, address and selector. Pure reads of a published
 * version, so any thread may call them. No locks, no allocation.
 */
#include "fleet.h"

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

const char *peering_index_node_name(const struct peering_index *index, uint32_t slot) {
    return set_has(index->slots, slot) ? index_node(index, slot)->name : NULL;
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

static size_t index_name_nodes(const struct peering_index *index, const struct node_set *slots,
                               const char **ret, size_t max) {
    size_t count = 0;
    for (uint32_t slot = set_next(slots, 0); slot != SET_END && count < max;
         slot = set_next(slots, slot + 1)) {
        ret[count++] = index_node(index, slot)->name;
    }
    return count;
}

size_t peering_index_peer_nodes(const struct peering_index *index, const char *bgp_peer, const char **ret,
                                size_t max) {
    const struct id_list *known = index_get(index->rules_by_name, bgp_peer);
    if (known == NULL) {
        return 0;
    }
    const struct rule *rule = index_rule(index, known->ids[0]);
    if (rule->scope == SCOPE_GLOBAL) {
        return index_name_nodes(index, index->slots, ret, max);
    }
    if (rule->scope != SCOPE_NODE) {
        return rule->node_matcher == NO_ID
                   ? 0
                   : index_name_nodes(index, index_matcher(index, rule->node_matcher)->matches, ret, max);
    }
    uint32_t slot = index_slot(index, rule->spec->node);
    if (slot == NO_ID || max == 0) {
        return 0;
    }
    ret[0] = index_node(index, slot)->name;
    return 1;
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
