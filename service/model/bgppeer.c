/*
 * BGPPeer: its tables, its exclusions, its advice. Source of the fields and rules: Calico's
 * projectcalico.org/v3 BGPPeer (CRD markers, CEL rules and Go validator). Static and immutable; no locks.
 */
#include <string.h>

#include "base/ip.h"
#include "base/number.h"
#include "tables.h"

#define KEEPALIVE_SECONDS_MAX   21845 /* a third of the longest hold time, 65535 s (RFC 4271, 4.2 and 4.4) */
#define KEEPALIVE_SECONDS_USUAL 600   /* ten times of what daemons have by default */
#define TTL_SECURITY_MAX        255
#define ALLOWED_LOCAL_AS_MAX    10

static const char *const next_hop_modes[] = {"Auto", "Self", "Keep", NULL};
static const char *const source_addresses[] = {"UseNodeIP", "None", NULL};
static const char *const reverse_peerings[] = {"Auto", "Manual", NULL};

static const struct field spec_fields[] = {
    FIELD(bgp_peer_spec, node, "node", FIELD_STRING, .format = &format_name, .max_length = NAME_LENGTH_MAX,
          .description = "Name of the one node that has this peering. Excludes nodeSelector; with neither of "
                         "them every node has it."),
    FIELD(bgp_peer_spec, node_selector, "nodeSelector", FIELD_STRING, .format = &format_selector,
          .max_length = SELECTOR_LENGTH_MAX,
          .description = "Selects, by their labels, the nodes that have this peering. Excludes node."),
    FIELD(bgp_peer_spec, peer_ip, "peerIP", FIELD_STRING, .format = &format_ip_endpoint,
          .max_length = ADDRESS_LENGTH_MAX,
          .description = "Address of the peer, optionally with its port: 10.0.0.1, 10.0.0.1:1790, fd00::1 or "
                         "[fd00::1]:1790. Without a port the listenPort of the node that owns the address is "
                         "used if there is one, else 179. Excludes peerSelector."),
    FIELD(bgp_peer_spec, as_number, "asNumber", FIELD_ASN, .same_as_absent = "0",
          .description =
              "AS number of the peer given by peerIP. Absent or 0 means the default AS number. Must "
              "be absent with peerSelector, because nodes know their own."),
    FIELD(bgp_peer_spec, local_as_number, "localASNumber", FIELD_ASN, .same_as_absent = "0",
          .description = "AS number that the node uses towards the peer given by peerIP, instead of its own. "
                         "0 means its own."),
    FIELD(bgp_peer_spec, peer_selector, "peerSelector", FIELD_STRING, .format = &format_selector,
          .max_length = SELECTOR_LENGTH_MAX,
          .description =
              "Selects the nodes to peer with by their labels: one session for each address family "
              "that both ends have. Excludes peerIP and asNumber."),
    FIELD(bgp_peer_spec, keep_original_next_hop, "keepOriginalNextHop", FIELD_BOOL, .default_text = "false",
          .same_as_absent = "false",
          .description =
              "Deprecated, use nextHopMode: Keep. Passes routes to external peers with the next hop "
              "they came with. Excludes nextHopMode."),
    FIELD(bgp_peer_spec, next_hop_mode, "nextHopMode", FIELD_ENUM, .values = next_hop_modes,
          .description = "Next hop of the routes sent to the peer: Auto is what BGP does by default, Self is "
                         "always the node, Keep leaves what the route came with."),
    FIELD(bgp_peer_spec, password, "password", FIELD_OBJECT, .schema = &bgp_password_schema,
          .description = "TCP MD5 password of the sessions, the same on both ends."),
    FIELD(bgp_peer_spec, source_address, "sourceAddress", FIELD_ENUM, .values = source_addresses,
          .allow_empty = true, .default_text = "\"UseNodeIP\"", .same_as_absent = "UseNodeIP",
          .description =
              "Whether the sessions are bound to the node's BGP address (UseNodeIP) or their source "
              "is left to the routing table (None)."),
    FIELD(bgp_peer_spec, max_restart_time, "maxRestartTime", FIELD_DURATION, .format = &format_duration,
          .description =
              "How long the peer keeps our routes while our daemon restarts (graceful restart, RFC "
              "4724), such as 90s. In whole seconds; the daemon's default is usually 120s."),
    FIELD(bgp_peer_spec, keepalive_time, "keepaliveTime", FIELD_DURATION, .format = &format_duration,
          .description = "Interval between keepalive messages, such as 20s. In whole seconds; the daemon's "
                         "default is a third of the hold time."),
    FIELD(bgp_peer_spec, num_allowed_local_as_numbers, "numAllowedLocalASNumbers", FIELD_INT,
          .min = INT32_MIN, .max = INT32_MAX, .default_text = "0", .same_as_absent = "0",
          .description =
              "How many times our own AS number may occur in the AS path of a received route. More "
              "than 0 weakens BGP's protection against loops, less than 0 is 0. Used with peerIP."),
    FIELD(bgp_peer_spec, ttl_security, "ttlSecurity", FIELD_INT, .min = 0, .max = TTL_SECURITY_MAX,
          .default_text = "0", .same_as_absent = "0",
          .description = "TTL security (GTSM, RFC 5082): how many hops away the peer is, 1 when it is on the "
                         "same link. Packets from farther away are dropped. Both ends need it. 0 is off."),
    FIELD(bgp_peer_spec, reachable_by, "reachableBy", FIELD_STRING, .format = &format_ip,
          .max_length = ADDRESS_LENGTH_MAX,
          .description = "Gateway towards peerIP, of the same address family. The node gets a static route "
                         "through it to exactly the peer's address, so that the session cannot flap by "
                         "learning a route to its own peer."),
    FIELD(bgp_peer_spec, filters, "filters", FIELD_STRING_LIST, .format = &format_name,
          .max_length = NAME_LENGTH_MAX, .max_items = NAMES_MAX,
          .description = "Names of the BGPFilters applied to these sessions, in this order."),
    FIELD(bgp_peer_spec, local_workload_selector, "localWorkloadSelector", FIELD_STRING,
          .format = &format_selector, .max_length = SELECTOR_LENGTH_MAX,
          .description = "Selects workloads on the node itself as peers. Needs asNumber, excludes peerIP and "
                         "peerSelector. Stored, but no sessions are computed from it."),
    FIELD(bgp_peer_spec, reverse_peering, "reversePeering", FIELD_ENUM, .values = reverse_peerings,
          .default_text = "\"Auto\"", .same_as_absent = "Auto",
          .description =
              "Whether the far ends that are nodes of ours get the opposite sessions by themselves "
              "(Auto) or by BGPPeers of their own (Manual)."),
};

static bool is_as_set(const struct opt_asn *asn) {
    return asn->set && asn->value != 0;
}

static void validate_exclusions(const struct bgp_peer_spec *spec, const char *path, struct causes *causes) {
    if (is_given(spec->node) && is_given(spec->node_selector)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "nodeSelector",
                 "Forbidden: may not be set together with node");
    }
    if (is_given(spec->peer_ip) && is_given(spec->peer_selector)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "peerSelector",
                 "Forbidden: may not be set together with peerIP");
    }
    if (is_given(spec->peer_selector) && is_as_set(&spec->as_number)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "asNumber",
                 "Forbidden: may not be set together with peerSelector; each node has its own AS number");
    }
    if (spec->keep_original_next_hop.set && spec->keep_original_next_hop.value &&
        spec->next_hop_mode != NULL) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "keepOriginalNextHop",
                 "Forbidden: may not be set together with nextHopMode, which replaces it");
    }
}

static void validate_local_workload(const struct bgp_peer_spec *spec, const char *path,
                                    struct causes *causes) {
    if (!is_given(spec->local_workload_selector)) {
        return;
    }
    if (is_given(spec->peer_ip)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "peerIP",
                 "Forbidden: may not be set together with localWorkloadSelector");
    }
    if (is_given(spec->peer_selector)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "peerSelector",
                 "Forbidden: may not be set together with localWorkloadSelector");
    }
    if (!is_as_set(&spec->as_number)) {
        cause_at(causes, CAUSE_REQUIRED, path, "asNumber", "Required value: localWorkloadSelector needs it");
    }
}

static void validate_reachable_by(const struct bgp_peer_spec *spec, const char *path, struct causes *causes) {
    if (!is_given(spec->reachable_by)) {
        return;
    }
    if (!is_given(spec->peer_ip)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "reachableBy", "Forbidden: may be set only with peerIP");
        return;
    }
    struct ip_addr gateway;
    struct ip_endpoint peer;
    if (ip_parse(spec->reachable_by, strlen(spec->reachable_by), &gateway) &&
        ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &peer) &&
        gateway.family != peer.addr.family) {
        char text[SHOWN_MAX];
        cause_at(causes, CAUSE_INVALID, path, "reachableBy",
                 "Invalid value: \"%s\": must be an %s address, like peerIP", shown(spec->reachable_by, text),
                 peer.addr.family == IP_V4 ? "IPv4" : "IPv6");
    }
}

static void validate_spec(const void *object, const char *path, struct causes *causes) {
    const struct bgp_peer_spec *spec = object;
    validate_exclusions(spec, path, causes);
    validate_local_workload(spec, path, causes);
    validate_reachable_by(spec, path, causes);
}

const struct schema bgp_peer_spec_schema = {
    .name = "BGPPeerSpec",
    .description = "Which nodes peer with whom, and how.",
    SCHEMA_OF(bgp_peer_spec, spec_fields),
    .rule = validate_spec,
};

static const struct field body_fields[] = {
    FIELD(bgp_peer, spec, "spec", FIELD_OBJECT, .schema = &bgp_peer_spec_schema, .required = true,
          .description = "Which nodes peer with whom, and how."),
};

static const struct schema body_schema = {
    .name = "BGPPeer",
    .description =
        "BGP sessions of one node, of the nodes that a selector matches, or of all nodes, with one "
        "address or with the nodes that another selector matches.",
    SCHEMA_OF(bgp_peer, body_fields),
};

static const struct printer_column columns[] = {
    COLUMN("Peer IP", "string", "spec.peerIP", "Address of the peer"),
    COLUMN("AS", "integer", "spec.asNumber", "AS number of the peer"),
    COLUMN("Nodes", "string", "spec.node", "The node, or the selector of the nodes, that have this peering",
           .otherwise = "spec.nodeSelector", .fallback = "all()"),
    COLUMN("Peers", "string", "spec.peerSelector", "The nodes to peer with"),
    COLUMN("Local AS", "integer", "spec.localASNumber", "AS number used towards the peer", .priority = 1),
    COLUMN("Password", "string", "spec.password.secretKeyRef.name", "Secret that holds the password",
           .priority = 1),
};

const struct kind_info bgp_peer_kind = {
    .kind = KIND_BGPPEER,
    .name = "BGPPeer",
    .list = "BGPPeerList",
    .plural = "bgppeers",
    .singular = "bgppeer",
    .short_name = "bp",
    CALICO_V3,
    .body = &body_schema,
    .columns = columns,
    .column_count = COUNT_OF(columns),
};

/* --- advice ------------------------------------------------------------------------------------ */

/* A selector that is there and yet selects nothing, or everything, by what is not in it. */
static void advise_selector(const char *field, const char *text, const char *meaning, struct advice *advice) {
    if (text == NULL) {
        return;
    }
    if (text[0] == '\0') {
        advice_add(advice,
                   "%s: is empty, which is the same as absent%s; a selector that begins with '!' must be "
                   "quoted in YAML",
                   field, meaning);
    } else if (text[strspn(text, " \t\r\n")] == '\0') {
        advice_add(advice, "%s: consists of blanks, which select every node; write all() if that is meant",
                   field);
    }
}

static void advise_scope(const struct bgp_peer_spec *spec, struct advice *advice) {
    bool global = !is_given(spec->node) && !is_given(spec->node_selector);
    advise_selector("spec.nodeSelector", spec->node_selector,
                    global ? ", so every node has this peering" : "", advice);
    advise_selector("spec.peerSelector", spec->peer_selector, "", advice);
    if (is_given(spec->local_workload_selector)) {
        advice_add(advice,
                   "spec.localWorkloadSelector: this service knows no workloads; no session comes of it");
    } else if (!is_given(spec->peer_ip) && !is_given(spec->peer_selector)) {
        advice_add(advice, "spec: nothing to peer with; set peerIP or peerSelector");
    } else if (global) {
        advice_add(advice, "spec: neither node nor nodeSelector is set, so every node has this peering");
    }
}

static void advise_peer_ip(const struct bgp_peer_spec *spec, struct advice *advice) {
    struct ip_endpoint peer;
    if (!is_given(spec->peer_ip) || !ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &peer)) {
        return;
    }
    advise_speaker_address(advice, "spec.peerIP", &peer.addr);
    if (address_hides_port(spec->peer_ip)) {
        const char *port = strrchr(spec->peer_ip, ':');
        advice_add(advice,
                   "spec.peerIP: is an IPv6 address that ends in %s; if that is the port, write [%.*s]%s",
                   port + 1, (int)(port - spec->peer_ip), spec->peer_ip, port);
    }
    if (!is_as_set(&spec->as_number)) {
        advice_add(advice, "spec.asNumber: is %s, so the peer is taken to be in the default AS",
                   spec->as_number.set ? "0, which counts as not set" : "not set");
    } else if (is_as_set(&spec->local_as_number) && spec->as_number.value != spec->local_as_number.value &&
               spec->filters.count == 0) {
        advice_add(advice,
                   "spec.filters: an external session without filters takes and passes on every route "
                   "(RFC 8212)");
    }
}

static void advise_gateway(const struct bgp_peer_spec *spec, struct advice *advice) {
    struct ip_endpoint peer;
    struct ip_addr gateway;
    if (!is_given(spec->reachable_by) ||
        !ip_parse(spec->reachable_by, strlen(spec->reachable_by), &gateway)) {
        return;
    }
    advise_speaker_address(advice, "spec.reachableBy", &gateway);
    if (is_given(spec->peer_ip) && ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &peer) &&
        ip_compare(&peer.addr, &gateway) == 0) {
        advice_add(advice,
                   "spec.reachableBy: is the peer itself; write the gateway towards it, or leave it out");
    }
}

/* The first name that is there twice. */
static void advise_filters(const struct string_list *filters, struct advice *advice) {
    for (size_t i = 0; i < filters->count && i < NAMES_MAX; i++) {
        advise_name(advice, "spec.filters", filters->items[i]);
    }
    for (size_t i = 1; i < filters->count && i < NAMES_MAX; i++) {
        for (size_t k = 0; k < i; k++) {
            if (filters->items[k] != NULL && filters->items[i] != NULL &&
                strcmp(filters->items[k], filters->items[i]) == 0) {
                char text[SHOWN_MAX];
                advice_add(advice, "spec.filters[%zu]: names \"%s\" once more, which changes nothing", i,
                           shown(filters->items[i], text));
                return;
            }
        }
    }
}

/* Fields that forward peerIP sessions alone have. */
static void advise_unused(const struct bgp_peer_spec *spec, struct advice *advice) {
    if (is_given(spec->peer_ip) || !is_given(spec->peer_selector)) {
        return;
    }
    if (is_as_set(&spec->local_as_number)) {
        advice_add(advice, "spec.localASNumber: is used with peerIP only");
    }
    if (spec->num_allowed_local_as_numbers.set && spec->num_allowed_local_as_numbers.value > 0) {
        advice_add(advice, "spec.numAllowedLocalASNumbers: is used with peerIP only");
    }
}

/* It works on external sessions alone, and what replaces it on all: advice must not change what sessions do.
 */
static void advise_next_hop(const struct bgp_peer_spec *spec, struct advice *advice) {
    if (!spec->keep_original_next_hop.set || !spec->keep_original_next_hop.value) {
        return;
    }
    if (is_as_set(&spec->as_number) && is_as_set(&spec->local_as_number) &&
        spec->as_number.value == spec->local_as_number.value) {
        advice_add(
            advice,
            "spec.keepOriginalNextHop: has no effect on internal sessions, as these are; leave it out");
        return;
    }
    advice_add(advice,
               "spec.keepOriginalNextHop: is deprecated; for external sessions nextHopMode: Keep says the "
               "same (on internal ones, where this has no effect, Keep has one)");
}

/* FRR takes 1 to 10; more is no loop that a network has on purpose. */
static void advise_allowed(const struct bgp_peer_spec *spec, struct advice *advice) {
    const struct opt_int *allowed = &spec->num_allowed_local_as_numbers;
    if (allowed->set && allowed->value < 0) {
        advice_add(advice, "spec.numAllowedLocalASNumbers: less than 0 counts as 0");
    } else if (allowed->set && allowed->value > ALLOWED_LOCAL_AS_MAX) {
        advice_add(advice,
                   "spec.numAllowedLocalASNumbers: FRR takes at most %d; more switches loop protection off",
                   ALLOWED_LOCAL_AS_MAX);
    }
}

static void advise_timers(const struct bgp_peer_spec *spec, struct advice *advice) {
    advise_restart_time(advice, "spec.maxRestartTime", &spec->max_restart_time);
    if (spec->keepalive_time.text == NULL) {
        return;
    }
    advise_whole_seconds(advice, "spec.keepaliveTime", &spec->keepalive_time);
    int64_t seconds = duration_round_seconds(spec->keepalive_time.ns);
    if (seconds > KEEPALIVE_SECONDS_USUAL && seconds <= KEEPALIVE_SECONDS_MAX) {
        advice_add(advice,
                   "spec.keepaliveTime: a peer that is gone is noticed after three times as long, here %llds",
                   3 * (long long)seconds);
    }
    if (seconds == 0) {
        advice_add(advice, "spec.keepaliveTime: no BGP daemon accepts 0s; leave it out for the default");
    } else if (seconds > KEEPALIVE_SECONDS_MAX) {
        advice_add(advice,
                   "spec.keepaliveTime: over %ds the hold time, three times as long, does not fit into "
                   "BGP's 16 bits",
                   KEEPALIVE_SECONDS_MAX);
    }
}

void bgp_peer_advise(const struct object *object, struct advice *advice) {
    const struct bgp_peer_spec *spec = ((const struct bgp_peer *)object->body)->spec;
    if (spec == NULL) {
        return;
    }
    advise_scope(spec, advice);
    advise_peer_ip(spec, advice);
    advise_gateway(spec, advice);
    advise_unused(spec, advice);
    advise_timers(spec, advice);
    advise_name(advice, "spec.node", spec->node);
    advise_filters(&spec->filters, advice);
    if (is_as_set(&spec->as_number)) {
        advise_asn(advice, "spec.asNumber", spec->as_number.value);
    }
    if (is_as_set(&spec->local_as_number)) {
        advise_asn(advice, "spec.localASNumber", spec->local_as_number.value);
    }
    advise_next_hop(spec, advice);
    advise_allowed(spec, advice);
    if (spec->ttl_security.set && spec->ttl_security.value == TTL_SECURITY_MAX) {
        advice_add(advice, "spec.ttlSecurity: 255 hops let every packet pass, so it protects nothing");
    }
    advise_password(advice, "spec.password", spec->password);
}
