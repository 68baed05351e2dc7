/*
 * Problems: what keeps a node from the sessions that its BGPPeers ask for.
 *
 * A rule that selects a thousand peers would report the same thing a thousand times, so equal issues
 * (reason, rule, detail) become one problem; it names the address when there is just one, and says how many
 * there are otherwise. Texts live in the list's arena.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "compute.h"

int compute_report(struct compute *compute, const struct issue *issue) {
    struct issue *issues =
        base_grow(compute->issues, compute->issue_count, &compute->issue_cap, 16, sizeof(*issues));
    if (issues == NULL) {
        return err_no_memory(compute->err);
    }
    compute->issues = issues;
    compute->issues[compute->issue_count++] = *issue;
    return 0;
}

/* ---- addresses with more than one owner ---- */

/* `node "a" and of node "b" and of 3 more`, the first two by name. NULL: out of memory. */
static const char *write_owners(struct compute *compute, const struct ip_addr *addr) {
    const struct id_list *owners = index_owners(compute->index, addr);
    const char *names[2] = {NULL, NULL};
    ID_EACH(i, owners) {
        const char *name = index_node(compute->index, owners->ids[i])->name;
        if (names[0] == NULL || strcmp(name, names[0]) < 0) {
            names[1] = names[0];
            names[0] = name;
        } else if (names[1] == NULL || strcmp(name, names[1]) < 0) {
            names[1] = name;
        }
    }
    size_t more = owners == NULL || owners->count < 2 ? 0 : owners->count - 2;
    const char *rest = more == 0 ? "" : arena_printf(compute->arena, " and of %zu more", more);
    return rest == NULL || names[1] == NULL
               ? NULL
               : arena_printf(compute->arena, "node \"%s\" and of node \"%s\"%s", names[0], names[1], rest);
}

static int report_shared(struct compute *compute, struct issue *issue, const struct ip_addr *addr) {
    issue->reason = "AddressNotUnique";
    issue->other = write_owners(compute, addr);
    return issue->other == NULL ? err_no_memory(compute->err) : compute_report(compute, issue);
}

int compute_report_shared(struct compute *compute, const struct proposal *winner, bool withheld) {
    const struct rule *rule = winner->part->rule;
    struct ip_addr addr = proposal_address(winner);
    struct issue issue = {
        .rule = rule, .detail = winner->address_text, .peer_ip = winner->address_text, .withheld = withheld};
    if (!index_is_shared(compute->index, &addr)) {
        addr = rule->peer.addr; /* a reverse peering, perhaps meant for another node with this address */
        issue.detail = rule->peer_text;
    }
    return report_shared(compute, &issue, &addr);
}

static int check_address(struct compute *compute, int family) {
    static const char *const FIELDS[FAMILIES] = {"ipv4Address", "ipv6Address"};
    const struct node_facts *node = compute->node;
    const struct address *address = &node->addresses[family];
    if (node->unusable[family] != NULL) {
        struct issue issue = {
            .reason = "AddressUnusable", .detail = FIELDS[family], .other = node->unusable[family]};
        return compute_report(compute, &issue);
    }
    struct issue issue = {.detail = address->text, .peer_ip = address->text};
    return index_is_shared(compute->index, &address->addr) ? report_shared(compute, &issue, &address->addr)
                                                           : 0;
}

/* The first by name of the nodes with the node's router ID, and how many there are. Those that have it only
 * by having its address do not count: that is said already. */
static const struct node_facts *find_router_id_sharer(const struct peering_index *index,
                                                      const struct node_facts *node, size_t *ret_count) {
    const struct ip_addr *router_id = &node->router_id.addr;
    const struct id_list *slots = map_get(index->nodes_by_router_id, router_id, sizeof(*router_id));
    const struct node_facts *other = NULL;
    *ret_count = 0;
    ID_EACH(i, slots) {
        const struct node_facts *owner = index_node(index, slots->ids[i]);
        bool by_address = ip_compare(&owner->addresses[V4].addr, router_id) == 0 &&
                          ip_compare(&node->addresses[V4].addr, router_id) == 0;
        if (owner == node || by_address) {
            continue;
        }
        (*ret_count)++;
        if (other == NULL || strcmp(owner->name, other->name) < 0) {
            other = owner;
        }
    }
    return other;
}

const char *peering_index_router_id_sharer(const struct peering_index *index, const char *node) {
    uint32_t slot = index_slot(index, node);
    size_t count;
    if (slot == NO_ID || !node_has_address(index_node(index, slot))) {
        return NULL;
    }
    const struct node_facts *other = find_router_id_sharer(index, index_node(index, slot), &count);
    return other == NULL ? NULL : other->name;
}

static int check_router_id(struct compute *compute) {
    size_t count;
    const struct node_facts *other = find_router_id_sharer(compute->index, compute->node, &count);
    struct issue issue = {.reason = "RouterIDNotUnique",
                          .detail = compute->node->router_id.text,
                          .other = other == NULL ? NULL : other->name,
                          .others = count > 1 ? count - 1 : 0};
    return other == NULL ? 0 : compute_report(compute, &issue);
}

int compute_check_node(struct compute *compute) {
    const struct node_facts *node = compute->node;
    if (check_address(compute, V4) < 0 || check_address(compute, V6) < 0) {
        return -1;
    }
    if (!node_has_address(node)) {
        struct issue issue = {.reason = "NoLocalAddress"};
        return compute_report(compute, &issue);
    }
    return check_router_id(compute);
}

/* ---- putting them together ---- */

static int text_compare(const char *a, const char *b) {
    if (a == NULL || b == NULL) {
        return (a != NULL) - (b != NULL);
    }
    return strcmp(a, b);
}

static int kind_compare(const struct issue *a, const struct issue *b) {
    int order = text_compare(a->rule == NULL ? NULL : a->rule->name, b->rule == NULL ? NULL : b->rule->name);
    if (order == 0) {
        order = strcmp(a->reason, b->reason);
    }
    return order != 0 ? order : text_compare(a->detail, b->detail);
}

static int issue_compare(const void *x, const void *y) {
    const struct issue *a = x;
    const struct issue *b = y;
    int order = kind_compare(a, b);
    if (order == 0) {
        order = text_compare(a->peer_ip, b->peer_ip);
    }
    return order != 0 ? order : text_compare(a->other, b->other);
}

/* Some problems are about an address as such: each address is one of its own. */
static bool same_problem(const struct issue *a, const struct issue *b) {
    bool by_address = strcmp(a->reason, "SameAddressTwice") == 0;
    return kind_compare(a, b) == 0 && (!by_address || (text_compare(a->peer_ip, b->peer_ip) == 0 &&
                                                       text_compare(a->other, b->other) == 0));
}

/* ---- messages ---- */

/* "its session with 10.0.0.1", or "its 12 sessions". */
static const char *which(struct arena *arena, const struct issue *issue, size_t addresses) {
    return addresses == 1 ? arena_printf(arena, "its session with %s", issue->peer_ip)
                          : arena_printf(arena, "its %zu sessions", addresses);
}

static const char *write_address_message(struct compute *compute, const struct issue *issue,
                                         size_t addresses) {
    struct arena *arena = compute->arena;
    const char *node = compute->node->name;
    if (strcmp(issue->reason, "SameAddressTwice") == 0) {
        return arena_printf(arena,
                            "%s is peered with %s. Both sessions are in the list; remove one of them unless "
                            "two routing daemons run at that address.",
                            issue->peer_ip, issue->other);
    }
    if (issue->rule == NULL) {
        return arena_printf(arena,
                            "node \"%s\" has no BGP address, so it has no sessions. Set spec.bgp.ipv4Address "
                            "or spec.bgp.ipv6Address of the Node.",
                            node);
    }
    const char *field = issue->detail[3] == '4' ? "ipv4Address" : "ipv6Address";
    const char *more = addresses == 1 ? "" : arena_printf(arena, " and %zu more", addresses - 1);
    return arena_printf(arena,
                        "BGPPeer \"%s\" asks for %s sessions (with %s%s), but node \"%s\" has no %s address. "
                        "Set spec.bgp.%s of the Node, or leave the node out of the BGPPeer.",
                        issue->rule->name, issue->detail, issue->peer_ip, more == NULL ? "" : more, node,
                        issue->detail, field);
}

/* A rule says of a node of ours what it does not have. */
static const char *write_remote_message(struct arena *arena, const struct issue *issue) {
    if (strcmp(issue->reason, "RemotePortMismatch") == 0) {
        return arena_printf(
            arena,
            "BGPPeer \"%s\" gives %s the port %u, but that is node \"%s\"'s address, whose listenPort "
            "is %u, so the node does not peer back and the session stays down. Correct one of the two.",
            issue->rule->name, issue->peer_ip, issue->number, issue->detail, issue->other_number);
    }
    return arena_printf(
        arena,
        "BGPPeer \"%s\" gives %s AS %u, but that is node \"%s\"'s address, whose AS is %u, so the "
        "node does not peer back and the session stays down. Correct one of the two, or give the "
        "node a BGPPeer of its own with localASNumber %u.",
        issue->rule->name, issue->peer_ip, issue->number, issue->detail, issue->other_number, issue->number);
}

static const char *write_nothing_message(struct compute *compute, const struct issue *issue) {
    const char *node = compute->node->name;
    if (strcmp(issue->reason, "OwnAddress") == 0) {
        return arena_printf(
            compute->arena,
            "BGPPeer \"%s\" is for node \"%s\", and its peerIP %s is that node's own address, so it "
            "creates no session. Write the address of the peer.",
            issue->rule->name, node, issue->peer_ip);
    }
    return arena_printf(
        compute->arena,
        "peerSelector \"%.200s\" of BGPPeer \"%s\" selects no node with a BGP address besides \"%s\" "
        "itself, so it creates no session here. Correct the selector, or the labels and addresses "
        "of the peers.",
        issue->detail, issue->rule->name, node);
}

static const char *write_rule_message(struct arena *arena, const struct issue *issue) {
    const char *name = issue->rule->name;
    if (strcmp(issue->reason, "NothingToPeerWith") == 0) {
        return arena_printf(arena,
                            "BGPPeer \"%s\" has neither peerIP nor peerSelector, so it creates no session. "
                            "Set one of them, or delete the BGPPeer.",
                            name);
    }
    if (strcmp(issue->reason, "LocalWorkloadsUnsupported") == 0) {
        return arena_printf(arena,
                            "BGPPeer \"%s\" has a localWorkloadSelector; workloads are not known here, so it "
                            "creates no session. Use peerIP or peerSelector.",
                            name);
    }
    return arena_printf(arena,
                        "spec.%s of BGPPeer \"%s\" cannot be read, so it creates no session. Write it anew.",
                        issue->detail, name);
}

/* What is wrong with the password, and what to do. `detail` is the Secret, `other` the key in it. */
static const char *write_password_cause(struct arena *arena, const struct issue *issue, const char *by) {
    static const struct {
        const char *reason;
        const char *text;
    } causes[] = {
        {"PasswordEmpty", "is empty. Store a password of 1 to 80 bytes"},
        {"PasswordTooLong", "is longer than the 80 bytes that TCP MD5 allows. Store a shorter one"},
        {"PasswordUnusable",
         "is not text, holds a control character or a double quote, or begins or ends with "
         "a blank, which routing daemons cannot read. Store another one"},
        {"VaultError", "cannot be decrypted. Store it again, or restore the vault's key"},
    };
    if (strcmp(issue->reason, "SecretNotFound") == 0) {
        return arena_printf(arena, "Secret \"%s\" with the password of %s does not exist. Create it",
                            issue->detail, by);
    }
    if (strcmp(issue->reason, "SecretKeyNotFound") == 0) {
        return arena_printf(arena, "Secret \"%s\" has no key \"%s\", the password of %s. Add it",
                            issue->detail, issue->other, by);
    }
    const char *text = causes[0].text;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if (strcmp(issue->reason, causes[i].reason) == 0) {
            text = causes[i].text;
        }
    }
    return arena_printf(arena, "the password of %s (key \"%s\" of Secret \"%s\") %s", by, issue->other,
                        issue->detail, text);
}

static const char *write_password_message(struct arena *arena, const struct issue *issue, size_t addresses) {
    const char *by = issue->rule == NULL ? "the node-to-node mesh"
                                         : arena_printf(arena, "BGPPeer \"%s\"", issue->rule->name);
    const char *cause = by == NULL ? NULL : write_password_cause(arena, issue, by);
    const char *sessions = which(arena, issue, addresses);
    if (cause == NULL || sessions == NULL) {
        return NULL;
    }
    return arena_printf(arena, "%s; until then %s %s withheld.", cause, sessions,
                        addresses == 1 ? "is" : "are");
}

/* `detail` is the address, `other` whose it is. */
static const char *write_shared_message(struct arena *arena, const struct issue *issue, size_t addresses) {
    const char *rest = "";
    if (issue->withheld) {
        const char *sessions = which(arena, issue, addresses);
        rest = sessions == NULL ? NULL
                                : arena_printf(arena,
                                               " Until then %s %s withheld, for want of certainty about "
                                               "who would get the password.",
                                               sessions, addresses == 1 ? "is" : "are");
    }
    return rest == NULL
               ? NULL
               : arena_printf(arena,
                              "%s is an address of %s, so nobody can tell which of them is meant. Give "
                              "each Node its own address.%s",
                              issue->detail, issue->other, rest);
}

static const char *write_unusable_message(struct compute *compute, const struct issue *issue) {
    struct ip_cidr cidr;
    const char *text = issue->other;
    const char *fault =
        ip_parse_cidr_or_addr(text, strlen(text), &cidr) ? ip_no_host(&cidr.addr) : "no address";
    return arena_printf(
        compute->arena,
        "spec.bgp.%s of node \"%s\" is %s, %s, which no host can have, so it counts as absent. "
        "Write the address of the node's BGP speaker.",
        issue->detail, compute->node->name, text, fault);
}

static const char *write_filter_message(struct arena *arena, const struct issue *issue, size_t addresses) {
    const char *sessions = which(arena, issue, addresses);
    return sessions == NULL ? NULL
                            : arena_printf(arena,
                                           "BGPFilter \"%s\" of BGPPeer \"%s\" does not exist, so it is left "
                                           "out of %s. Create it, or remove its name from spec.filters.",
                                           issue->detail, issue->rule->name, sessions);
}

static const char *write_router_message(struct compute *compute, const struct issue *issue) {
    return arena_printf(
        compute->arena,
        "%s is the router ID of node \"%s\" and of node \"%s\"%s; two speakers of one AS with "
        "the same BGP identifier refuse each other. Set spec.bgp.routerID of one of the Nodes.",
        issue->detail, compute->node->name, issue->other, issue->others == 0 ? "" : " and of others");
}

static const char *write_community_message(struct arena *arena, const struct issue *issue) {
    if (strcmp(issue->reason, "TooManyCommunities") == 0) {
        return arena_printf(
            arena,
            "more communities are given to %s than fit into one BGP message; the rest is left "
            "out. Give it fewer, in prefixAdvertisements.",
            issue->detail);
    }
    return arena_printf(
        arena,
        "community \"%s\" is defined in spec.communities of neither the node's BGPConfiguration "
        "nor the one named default, so it is left out. Define it, or write its value.",
        issue->detail);
}

static bool is_reason(const struct issue *issue, const char *reason) {
    return strcmp(issue->reason, reason) == 0;
}

/* NULL: out of memory. */
static const char *write_message(struct compute *compute, const struct issue *issue, size_t addresses) {
    struct arena *arena = compute->arena;
    if (is_reason(issue, "FilterNotFound")) {
        return write_filter_message(arena, issue, addresses);
    }
    if (is_reason(issue, "RemoteASMismatch") || is_reason(issue, "RemotePortMismatch")) {
        return write_remote_message(arena, issue);
    }
    if (is_reason(issue, "OwnAddress") || is_reason(issue, "NoPeers")) {
        return write_nothing_message(compute, issue);
    }
    if (is_reason(issue, "RouterIDNotUnique")) {
        return write_router_message(compute, issue);
    }
    if (is_reason(issue, "CommunityNotFound") || is_reason(issue, "TooManyCommunities")) {
        return write_community_message(arena, issue);
    }
    if (is_reason(issue, "AddressNotUnique")) {
        return write_shared_message(arena, issue, addresses);
    }
    if (is_reason(issue, "AddressUnusable")) {
        return write_unusable_message(compute, issue);
    }
    if (is_reason(issue, "NoLocalAddress") || is_reason(issue, "SameAddressTwice")) {
        return write_address_message(compute, issue, addresses);
    }
    if (issue->rule != NULL && issue->peer_ip == NULL) {
        return write_rule_message(arena, issue);
    }
    return write_password_message(arena, issue, addresses);
}

int compute_write_problems(struct compute *compute, struct peering_list *list) {
    if (compute->issue_count == 0) {
        return 0;
    }
    struct issue *issues = compute->issues;
    qsort(issues, compute->issue_count, sizeof(issues[0]), issue_compare);
    struct peering_problem *problems = arena_array(compute->arena, compute->issue_count, sizeof(problems[0]));
    size_t count = 0;
    for (size_t i = 0, end; problems != NULL && i < compute->issue_count; i = end) {
        size_t addresses = 1;
        for (end = i + 1; end < compute->issue_count && same_problem(&issues[i], &issues[end]); end++) {
            addresses += text_compare(issues[end].peer_ip, issues[end - 1].peer_ip) != 0;
        }
        struct peering_problem *problem = &problems[count++];
        problem->reason = issues[i].reason;
        problem->bgp_peer = issues[i].rule == NULL ? NULL : issues[i].rule->name;
        problem->peer_ip = addresses == 1 ? issues[i].peer_ip : NULL;
        problem->message = write_message(compute, &issues[i], addresses);
    }
    if (compute->arena->failed) {
        return err_no_memory(compute->err);
    }
    list->problems = problems;
    list->problem_count = count;
    return 0;
}
