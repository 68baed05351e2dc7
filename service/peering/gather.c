/*
 * Gathering: every entry that BGPPeers and the mesh propose for one node, in no particular order.
 *
 * Only rules that concern the node are touched: the global ones, those naming it, those whose selectors'
 * sets hold it, and those whose peerIP it owns. Proposals are malloc'ed and belong to the computation.
 */
#include <endian.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "compute.h"

/* Room for so many more at once: of a large mesh, growing step by step would copy each several times. */
static int proposals_reserve(struct compute *compute, size_t more) {
    size_t wanted = compute->proposal_count + more;
    if (wanted <= compute->proposal_cap) {
        return 0;
    }
    struct proposal *proposals = base_realloc(compute->proposals, wanted * sizeof(*proposals));
    if (proposals == NULL) {
        return err_no_memory(compute->err);
    }
    compute->proposals = proposals;
    compute->proposal_cap = wanted;
    return 0;
}

static int proposal_push(struct compute *compute, const struct proposal *proposal) {
    struct proposal *proposals = base_grow(compute->proposals, compute->proposal_count,
                                           &compute->proposal_cap, 32, sizeof(*proposals));
    if (proposals == NULL) {
        return err_no_memory(compute->err);
    }
    compute->proposals = proposals;
    compute->proposals[compute->proposal_count++] = *proposal;
    return 0;
}

/* Add a proposal for `addr`, unless it is the node's own address or of a family that the node lacks. */
static int propose(struct compute *compute, struct proposal *proposal, const struct ip_addr *addr) {
    int family = family_of(addr);
    const struct address *own = &compute->node->addresses[family];
    if (!ip_is_set(&own->addr)) {
        if (proposal->step == STEP_MESH) {
            return 0;
        }
        struct issue issue = {.reason = "NoLocalAddress",
                              .rule = proposal->part->rule,
                              .detail = family == V4 ? "IPv4" : "IPv6",
                              .peer_ip = proposal->address_text};
        return compute_report(compute, &issue);
    }
    if (memcmp(&own->addr, addr, sizeof(*addr)) == 0) {
        return 0;
    }
    memcpy(&proposal->high, addr->bytes, sizeof(proposal->high));
    memcpy(&proposal->low, addr->bytes + sizeof(proposal->high), sizeof(proposal->low));
    proposal->high = be64toh(proposal->high);
    proposal->low = be64toh(proposal->low);
    proposal->family = (uint8_t)family;
    proposal->port_key = proposal->port != 0 ? proposal->port : PEERING_BGP_PORT;
    return proposal_push(compute, proposal);
}

/* Is it uncertain whether a reverse peering means this node: has another one the rule's address as well? */
static bool is_meant_by_chance(const struct compute *compute, enum step step, const struct rule *rule) {
    return step == STEP_REVERSE && rule->target == TARGET_ADDRESS &&
           index_is_shared(compute->index, &rule->peer.addr);
}

/* Another node as the peer, in both families or in one (`family` < 0: both). */
static int propose_node(struct compute *compute, enum step step, const struct part *part, uint32_t slot,
                        int only_family) {
    const struct node_facts *remote = index_node(compute->index, slot);
    if (remote == compute->node) {
        return 0; /* each of its addresses is its own */
    }
    compute_note_revision(compute, remote->record);
    bool by_chance = is_meant_by_chance(compute, step, part->rule);
    bool shares = set_has(compute->index->sharers, slot);
    for (int family = 0; family < FAMILIES; family++) {
        const struct address *address = &remote->addresses[family];
        if (!ip_is_set(&address->addr) || (only_family >= 0 && family != only_family)) {
            continue;
        }
        struct proposal proposal = {.part = part,
                                    .remote = remote,
                                    .address_text = address->text,
                                    .as_number = node_as(compute->index, remote),
                                    .port = node_port(compute->index, remote),
                                    .ambiguous = by_chance ||
                                                 (shares && index_is_shared(compute->index, &address->addr)),
                                    .step = (uint8_t)step};
        if (propose(compute, &proposal, &address->addr) < 0) {
            return -1;
        }
    }
    return 0;
}

static int propose_nodes(struct compute *compute, enum step step, const struct part *part,
                         const struct node_set *set, int only_family) {
    SET_EACH(slot, set) {
        if (propose_node(compute, step, part, slot, only_family) < 0) {
            return -1;
        }
    }
    return 0;
}

/*
 * Does the node that owns the rule's peerIP have what the rule says of it? Where it does not, the node gets
 * no reverse peering, and the session does not come up by itself. Both facts are told.
 */
static int check_remote(struct compute *compute, const struct rule *rule, const struct node_facts *remote,
                        const struct node_facts *meant) {
    const struct peering_index *index = compute->index;
    struct issue issue = {
        .rule = rule, .peer_ip = rule->peer_text, .detail = remote->name, .number = rule_as(index, rule)};
    if (meant == NULL) {
        issue.reason = "RemoteASMismatch";
        issue.other_number = node_as(index, remote);
        return compute_report(compute, &issue);
    }
    uint16_t port = node_port(index, meant);
    if (rule->peer.port == 0 || port == 0 || port == rule->peer.port) {
        return 0;
    }
    issue.reason = "RemotePortMismatch";
    issue.detail = meant->name;
    issue.number = rule->peer.port;
    issue.other_number = port;
    return compute_report(compute, &issue);
}

/* A rule's peerIP as the peer. Whoever owns the address, of lowest name, is the remote node; of those with
 * the AS that is meant, the first also says the port. */
static int propose_address(struct compute *compute, enum step step, const struct part *part) {
    const struct peering_index *index = compute->index;
    const struct rule *rule = part->rule;
    struct proposal proposal = {.part = part,
                                .address_text = rule->peer_text,
                                .as_number = rule_as(index, rule),
                                .port = rule->peer.port,
                                .step = (uint8_t)step};
    const struct id_list *owners = index_owners(index, &rule->peer.addr);
    if (owners != NULL) {
        proposal.ambiguous = owners->count > 1;
        proposal.remote = index_first_owner(index, owners, 0);
        compute_note_revision(compute, proposal.remote->record);
        const struct node_facts *meant = index_first_owner(index, owners, proposal.as_number);
        if (proposal.port == 0 && meant != NULL) {
            proposal.port = node_port(index, meant);
        }
        if (proposal.remote == compute->node && rule->scope == SCOPE_NODE) {
            struct issue issue = {.reason = "OwnAddress", .rule = rule, .peer_ip = rule->peer_text};
            return compute_report(compute, &issue);
        }
        if (owners->count == 1 && proposal.remote != compute->node &&
            check_remote(compute, rule, proposal.remote, meant) < 0) {
            return -1;
        }
    }
    return propose(compute, &proposal, &rule->peer.addr);
}

static int part_new(struct compute *compute, const struct rule *rule, struct part **ret) {
    struct part *part = arena_alloc(compute->arena, sizeof(*part));
    if (part == NULL) {
        return err_no_memory(compute->err);
    }
    part->rule = rule;
    part->next = compute->parts;
    compute->parts = part;
    *ret = part;
    return 0;
}

/* The nodes that the rule's peerSelector matches. A rule that gives the node nothing by that is told of,
 * unless the node is the only one itself: it is then the peer of the others. */
static int propose_selected(struct compute *compute, enum step step, const struct part *part) {
    const struct rule *rule = part->rule;
    const struct node_set *matches = index_matcher(compute->index, rule->peer_matcher)->matches;
    size_t before = compute->proposal_count + compute->issue_count;
    if (propose_nodes(compute, step, part, matches, -1) < 0) {
        return -1;
    }
    bool silent = rule->scope != SCOPE_NODE && set_has(matches, compute->slot);
    if (silent || compute->proposal_count + compute->issue_count > before) {
        return 0;
    }
    struct issue issue = {.reason = "NoPeers", .rule = rule, .detail = rule->spec->peer_selector};
    return compute_report(compute, &issue);
}

/* Steps 1 and 2: a rule that applies to the node. */
static int gather_forward(struct compute *compute, enum step step, uint32_t id) {
    const struct rule *rule = index_rule(compute->index, id);
    struct issue issue = {.rule = rule};
    struct part *part = NULL;
    compute_note_revision(compute, rule->record);
    switch (rule->target) {
    case TARGET_ADDRESS:
        return part_new(compute, rule, &part) < 0 ? -1 : propose_address(compute, step, part);
    case TARGET_SELECTOR:
        return part_new(compute, rule, &part) < 0 ? -1 : propose_selected(compute, step, part);
    case TARGET_NOTHING:
        issue.reason = "NothingToPeerWith";
        break;
    case TARGET_WORKLOADS:
        issue.reason = "LocalWorkloadsUnsupported";
        break;
    case TARGET_UNREADABLE:
        issue.reason = "BGPPeerUnreadable";
        issue.detail = rule->unreadable;
        break;
    }
    return compute_report(compute, &issue);
}

/* Step 3: a rule whose peerIP or peerSelector means the node. */
static int gather_reverse(struct compute *compute, uint32_t id) {
    const struct peering_index *index = compute->index;
    const struct rule *rule = index_rule(index, id);
    if (rule->manual || !rule_reaches(index, rule, compute->slot, compute->node)) {
        return 0;
    }
    struct part *part = NULL;
    if (part_new(compute, rule, &part) < 0) {
        return -1;
    }
    compute_note_revision(compute, rule->record);
    int only_family = rule->target == TARGET_ADDRESS ? family_of(&rule->peer.addr) : -1;
    if (rule->scope == SCOPE_GLOBAL) {
        return propose_nodes(compute, STEP_REVERSE, part, index->slots, only_family);
    }
    if (rule->scope == SCOPE_NODE) {
        uint32_t slot = index_slot(index, rule->spec->node);
        return slot == NO_ID ? 0 : propose_node(compute, STEP_REVERSE, part, slot, only_family);
    }
    if (rule->node_matcher == NO_ID) {
        return 0;
    }
    const struct matcher *matcher = index_matcher(index, rule->node_matcher);
    return propose_nodes(compute, STEP_REVERSE, part, matcher->matches, only_family);
}

static int gather_forward_list(struct compute *compute, const struct id_list *rules) {
    ID_EACH(i, rules) {
        if (gather_forward(compute, STEP_NODE, rules->ids[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int gather_reverse_list(struct compute *compute, const struct id_list *rules) {
    ID_EACH(i, rules) {
        if (gather_reverse(compute, rules->ids[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static int gather_selected(struct compute *compute) {
    const struct peering_index *index = compute->index;
    struct matcher_walk walk = matcher_walk_of(index, compute->node->labels, true);
    MATCHER_EACH(id, &walk) {
        const struct matcher *matcher = index_matcher(index, id);
        if (set_has(matcher->matches, compute->slot) &&
            (gather_forward_list(compute, matcher->node_rules) < 0 ||
             gather_reverse_list(compute, matcher->peer_rules) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int gather_mesh(struct compute *compute) {
    const struct peering_index *index = compute->index;
    if (!index->defaults.mesh || !set_has(index->mesh_members, compute->slot)) {
        return 0;
    }
    struct part *part = NULL;
    if (part_new(compute, NULL, &part) < 0 ||
        proposals_reserve(compute, node_set_count(index->mesh_members)) < 0) {
        return -1;
    }
    return propose_nodes(compute, STEP_MESH, part, index->mesh_members, -1);
}

int compute_gather(struct compute *compute) {
    const struct peering_index *index = compute->index;
    SET_EACH(id, index->global_rules) {
        if (gather_forward(compute, STEP_GLOBAL, id) < 0) {
            return -1;
        }
    }
    if (gather_forward_list(compute, index_get(index->rules_by_node, compute->node->name)) < 0 ||
        gather_selected(compute) < 0) {
        return -1;
    }
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &compute->node->addresses[family].addr;
        if (ip_is_set(addr) &&
            gather_reverse_list(compute, map_get(index->rules_by_address, addr, sizeof(*addr))) < 0) {
            return -1;
        }
    }
    return gather_mesh(compute);
}
