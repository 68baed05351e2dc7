/*
 * How many sessions one change disrupts at most, told by the indexes before and after it. For whoever must
 * judge every write: a fleet is built of thousands of writes that affect many lists and disrupt nothing, and
 * comparing these lists would cost the square of the fleet.
 *
 * Why it holds: a session's key is the far end's address (and port). What a Node says decides about its own
 * sessions, and about those of others with its addresses; what a BGPPeer of one node and one address says,
 * about that node's sessions with that address, and about those of the address's owners with that node. It
 * fails where an address is not one thing's alone, and then nothing is said. Pure; no locks.
 */
#include "fleet.h"

/* Is the address nobody's but the node's, and named by no BGPPeer? */
static bool is_private(const struct peering_index *index, const struct ip_addr *addr, const char *name) {
    const struct id_list *owners = index_owners(index, addr);
    return map_get(index->rules_by_address, addr, sizeof(*addr)) == NULL &&
           (owners == NULL ||
            (owners->count == 1 && strcmp(index_node(index, owners->ids[0])->name, name) == 0));
}

/* Counts the addresses of the node (NULL: there is none) that it has; false: not all are its own alone. */
static bool count_addresses(const struct peering_index *before, const struct peering_index *after,
                            const struct node_facts *node, size_t *ret) {
    *ret = 0;
    for (int family = 0; node != NULL && family < FAMILIES; family++) {
        const struct ip_addr *addr = &node->addresses[family].addr;
        if (ip_is_set(addr)) {
            ++*ret;
            if (!is_private(before, addr, node->name) || !is_private(after, addr, node->name)) {
                return false;
            }
        }
    }
    return true;
}

static const struct node_facts *node_of(const struct peering_index *index, const char *name) {
    uint32_t slot = index_slot(index, name);
    return slot == NO_ID ? NULL : index_node(index, slot);
}

static bool bound_node(const struct peering_index *before, const struct peering_index *after,
                       const char *name, size_t affected, size_t *ret_most, const char **ret_own) {
    const struct node_facts *old = node_of(before, name);
    size_t had, has;
    if (!count_addresses(before, after, old, &had) ||
        !count_addresses(before, after, node_of(after, name), &has)) {
        return false;
    }
    *ret_most = had * affected;
    *ret_own = old != NULL ? name : NULL;
    return true;
}

static size_t count_rules(const struct peering_index *index, const struct rule *rule) {
    const struct id_list *rules =
        rule == NULL ? NULL : map_get(index->rules_by_address, &rule->peer.addr, sizeof(rule->peer.addr));
    return rules == NULL ? 0 : rules->count;
}

static const struct rule *rule_of(const struct peering_index *index, const char *name) {
    const struct id_list *known = index_get(index->rules_by_name, name);
    return known == NULL ? NULL : index_rule(index, known->ids[0]);
}

static bool is_of_two(const struct rule *rule) {
    return rule == NULL || (rule->scope == SCOPE_NODE && rule->target == TARGET_ADDRESS);
}

/* One node's sessions with an address are as many as BGPPeers name that address at most, by their ports. */
static bool bound_rule(const struct peering_index *before, const struct peering_index *after,
                       const char *name, size_t affected, size_t *ret_most, const char **ret_own) {
    const struct rule *old = rule_of(before, name), *new = rule_of(after, name);
    if (!is_of_two(old) || !is_of_two(new)) {
        return false;
    }
    size_t rules = count_rules(before, old) + count_rules(before, new) + count_rules(after, old) +
                   count_rules(after, new);
    *ret_most = affected * FAMILIES * rules;
    *ret_own = NULL;
    return true;
}

bool peering_disrupts_at_most(const struct peering_index *before, const struct peering_index *after,
                              const struct snapshot_change *change, size_t affected, size_t *ret_most,
                              const char **ret_own) {
    const struct record *any = change->after != NULL ? change->after : change->before;
    const char *name = any->object->meta.name;
    switch (change->kind) {
    case KIND_NODE:
        return bound_node(before, after, name, affected, ret_most, ret_own);
    case KIND_BGPPEER:
        return bound_rule(before, after, name, affected, ret_most, ret_own);
    default:
        return false;
    }
}
