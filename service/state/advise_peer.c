/*
 * Advice about a BGPPeer in its fleet: nodes, filters and passwords that it names and are not there,
 * selectors that match nobody, and why it gives no session. Pure functions of a picture.
 */
#include <string.h>
#include <strings.h>

#include "advise.h"
#include "base/ip.h"
#include "base/suggest.h"

#define LISTS_LOOKED_AT_MAX  8   /* of nodes that a BGPPeer is for, until one gets a session */
#define LABELS_LOOKED_AT_MAX 200 /* nodes whose label keys are compared with a misspelt one */

/* ---- selectors ---- */

/* Which label does no node have? One pass over the nodes. */
static void advise_key(const struct advise_context *context, const char *field, const char *key) {
    struct suggest suggest = suggest_begin(key, strlen(key));
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, context->snapshot, KIND_NODE, NULL);
    for (size_t seen = 0; node != NULL; seen++, node = snapshot_step(&cursor)) {
        const struct label_set *labels = &node->object->meta.labels;
        if (label_set_get(labels, key) != NULL) {
            return;
        }
        for (size_t i = 0; seen < LABELS_LOOKED_AT_MAX && i < labels->count; i++) {
            suggest_consider(&suggest, labels->items[i].key);
        }
    }
    advice_add(context->advice, "%s: no node has a label \"%.100s\"%s%.100s%s", field, key,
               suggest.meant != NULL ? ", did you mean \"" : "", suggest.meant != NULL ? suggest.meant : "",
               suggest.meant != NULL ? "\"?" : "");
}

/* false: it matches nobody now, which has been said. */
static bool advise_selector(const struct advise_context *context, const char *field, const char *text) {
    struct err err = ERR_INIT;
    struct selector *selector;
    const char *const *keys;

    if (text == NULL || text[0] == '\0' || selector_parse(text, strlen(text), &selector, &err) < 0) {
        return true;
    }
    bool matches = peering_index_any_match(context->index, selector);
    if (!matches) {
        advice_add(context->advice, "%s: the selector matches no node now", field);
    }
    if (!matches && snapshot_count(context->snapshot, KIND_NODE) > 0 && selector_keys(selector, &keys) > 0) {
        advise_key(context, field, keys[0]);
    }
    selector_free(selector);
    return matches;
}

/* ---- what comes of it ---- */

static uint32_t default_as(const struct snapshot *snapshot) {
    const struct record *record = snapshot_get(snapshot, KIND_BGPCONFIGURATION, "default");
    const struct bgp_configuration *configuration = record == NULL ? NULL : record->object->body;

    if (configuration != NULL && configuration->spec != NULL && configuration->spec->as_number.set &&
        configuration->spec->as_number.value != 0) {
        return configuration->spec->as_number.value;
    }
    return PEERING_DEFAULT_AS;
}

/* Tells which problems of the node's list, of those about the BGPPeer, have one of the reasons. Returns the
 * message of its NoLocalAddress, in the advice's arena; NULL: it has none. */
static const char *advise_list(const struct advise_context *context, const char *node, const char *name,
                               const char *const *reasons, size_t reason_count) {
    const char *unreachable = NULL;
    struct peering_list list;
    struct arena arena;
    struct err err = ERR_INIT;

    arena_init(&arena, 8192);
    size_t count = peering_compute(context->index, node, &arena, &list, &err) == 0 ? list.problem_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct peering_problem *problem = &list.problems[i];
        if (problem->bgp_peer == NULL || strcmp(problem->bgp_peer, name) != 0) {
            continue;
        }
        for (size_t k = 0; k < reason_count; k++) {
            if (strcmp(problem->reason, reasons[k]) == 0) {
                advice_add(context->advice, "%s: %s", problem->reason, problem->message);
            }
        }
        if (strcmp(problem->reason, "NoLocalAddress") == 0) {
            unreachable = arena_strdup(context->advice->arena, problem->message);
        }
    }
    arena_done(&arena);
    return unreachable;
}

/*
 * Why the BGPPeer gives nothing to a node that it is for, or gives it a session that cannot come up: what the
 * node's list says of it. One node stands for all that a selector matches, but for the lack of an address:
 * that is told when none of the first few has one, because a fleet may be of both families; and of a selector
 * with a peerSelector not at all, because sessions of the other family may come of it.
 */
static void advise_outcome(const struct advise_context *context, const char *name,
                           const struct bgp_peer_spec *spec, bool selects) {
    static const char *const REASONS[] = {"OwnAddress", "RemoteASMismatch", "RemotePortMismatch",
                                          "AddressNotUnique", "NoPeers"};
    const char *nodes[LISTS_LOOKED_AT_MAX];
    size_t count = peering_index_peer_nodes(context->index, name, nodes, LISTS_LOOKED_AT_MAX);
    const char *first = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t told = i > 0 ? 0 : sizeof(REASONS) / sizeof(REASONS[0]) - !selects;
        const char *unreachable = advise_list(context, nodes[i], name, REASONS, told);
        if (unreachable == NULL) {
            return;
        }
        first = i == 0 ? unreachable : first;
    }
    if (first != NULL && ((spec->node != NULL && spec->node[0] != '\0') || spec->peer_ip != NULL)) {
        advice_add(context->advice, "NoLocalAddress: %s", first);
    }
}

void advise_peer_of_node(const struct advise_context *context, const char *name) {
    static const char *const REASONS[] = {"RemoteASMismatch", "RemotePortMismatch"};
    const char *node;
    if (peering_index_peer_nodes(context->index, name, &node, 1) == 1) {
        (void)advise_list(context, node, name, REASONS, sizeof(REASONS) / sizeof(REASONS[0]));
    }
}

/* ---- the peer's address ---- */

/* An address that is its network's own, or broadcast, one: on the node's own link nobody has it. */
static bool advise_edge(const struct advise_context *context, const char *field, const struct ip_addr *addr,
                        const char *node, const char *text) {
    struct ip_cidr cidr;
    if (text == NULL || !ip_parse_cidr(text, strlen(text), &cidr) || !ip_network_holds(&cidr, addr)) {
        return false;
    }
    const char *edge = ip_edge_of_network(addr, cidr.prefix);
    if (edge != NULL) {
        char shown[IP_TEXT_MAX];
        ip_format(addr, shown);
        advice_add(context->advice,
                   "%s: %s is %s with the /%u of node \"%s\"; a host has another one of that network", field,
                   shown, edge, (unsigned)cidr.prefix, node);
    }
    return edge != NULL;
}

static void advise_peer_address(const struct advise_context *context, const char *name,
                                const struct bgp_peer_spec *spec) {
    struct ip_endpoint peer;
    const char *nodes[LISTS_LOOKED_AT_MAX];
    size_t count = peering_index_peer_nodes(context->index, name, nodes, LISTS_LOOKED_AT_MAX);
    if (spec->peer_ip == NULL || !ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &peer)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct record *record = snapshot_get(context->snapshot, KIND_NODE, nodes[i]);
        const struct node_spec *node =
            record == NULL ? NULL : ((const struct node *)record->object->body)->spec;
        const struct node_bgp_spec *bgp = node == NULL ? NULL : node->bgp;
        if (bgp != NULL && (advise_edge(context, "spec.peerIP", &peer.addr, nodes[i], bgp->ipv4_address) ||
                            advise_edge(context, "spec.peerIP", &peer.addr, nodes[i], bgp->ipv6_address))) {
            return;
        }
    }
}

/* ---- what it names ---- */

static void advise_node_name(const struct advise_context *context, const char *node) {
    if (node == NULL || node[0] == '\0' || snapshot_get(context->snapshot, KIND_NODE, node) != NULL) {
        return;
    }
    bool everybody = strcasecmp(node, "global") == 0 || strcasecmp(node, "all") == 0;
    advice_add(context->advice, "spec.node: there is no Node \"%s\" yet%s%s", node,
               everybody ? "; for all nodes leave node out" : "", advise_similar(context, KIND_NODE, node));
}

static void advise_filters(const struct advise_context *context, const struct bgp_peer_spec *spec) {
    for (size_t i = 0; i < spec->filters.count; i++) {
        const char *filter = spec->filters.items[i];
        if (snapshot_get(context->snapshot, KIND_BGPFILTER, filter) == NULL) {
            advice_add(context->advice,
                       "spec.filters[%zu]: there is no BGPFilter \"%s\" yet%s; it is left out until there is",
                       i, filter, advise_similar(context, KIND_BGPFILTER, filter));
        }
    }
}

void advise_peer(const struct advise_context *context, const char *name, const struct bgp_peer_spec *spec) {
    uint32_t local_as;

    if (spec == NULL) {
        return;
    }
    advise_node_name(context, spec->node);
    (void)advise_selector(context, "spec.nodeSelector", spec->node_selector);
    bool selects = advise_selector(context, "spec.peerSelector", spec->peer_selector);
    advise_secret(context, "spec.password.secretKeyRef", spec->password);
    advise_filters(context, spec);
    local_as = spec->local_as_number.set && spec->local_as_number.value != 0 ? spec->local_as_number.value
                                                                             : default_as(context->snapshot);
    if (spec->peer_ip != NULL && spec->as_number.set && spec->as_number.value != 0 &&
        spec->as_number.value != local_as && spec->filters.count == 0) {
        advice_add(
            context->advice,
            "spec.filters: an external session without filters accepts and announces what the daemon's "
            "own defaults allow");
    }
    if (spec->ttl_security.set && spec->ttl_security.value > 0 && spec->reverse_peering != NULL &&
        strcmp(spec->reverse_peering, "Manual") == 0) {
        advice_add(context->advice,
                   "spec.ttlSecurity: with reversePeering Manual, the far end's own BGPPeer must "
                   "set it as well");
    }
    advise_peer_address(context, name, spec);
    advise_outcome(context, name, spec, selects);
}
