/*
 * Node: its tables, rule and advice. Source of the fields: Calico's Node (libcalico-go). The whole of it
 * is accepted and kept; `spec.bgp` is what peerings are computed from. Calico's validator does not look into
 * `addresses`, `interfaces` and `podCIDRs`; nor is anything here refused for them, only advised about, so
 * that every Node of a Calico fleet can be brought over. Static and immutable; no locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "tables.h"

/* What a host announces. Calico's Node has nothing of the kind; the form is BGPConfiguration's. */
static const struct field advertisement_fields[] = {
    FIELD(prefix_advertisement, cidr, "cidr", FIELD_STRING, .required = true, .format = &format_network,
          .max_length = ADDRESS_LENGTH_MAX,
          .description = "The network that the node announces, without host bits: 10.100.1.0/24."),
    FIELD(prefix_advertisement, communities, "communities", FIELD_STRING_LIST,
          .format = &format_community_ref, .max_items = ADVERTISED_COMMUNITIES_MAX,
          .description = "Communities that the route carries: values, or names from spec.communities of the "
                         "node's BGPConfiguration or of the one named default."),
};

static const struct schema advertisement_schema = {
    .name = "NodePrefixAdvertisement",
    .description = "A network that the node announces.",
    SCHEMA_OF(prefix_advertisement, advertisement_fields),
};

static const struct field bgp_fields[] = {
    FIELD(node_bgp_spec, as_number, "asNumber", FIELD_ASN, .same_as_absent = "0",
          .description = "AS number of the node. Without it the node is in the default AS."),
    FIELD(node_bgp_spec, ipv4_address, "ipv4Address", FIELD_STRING, .format = &format_host_cidr_v4,
          .description = "IPv4 address of the node's BGP speaker, usually with its prefix length: "
                         "10.0.0.1/24. Without it the node has no IPv4 sessions."),
    FIELD(node_bgp_spec, ipv6_address, "ipv6Address", FIELD_STRING, .format = &format_host_cidr_v6,
          .description = "IPv6 address of the node's BGP speaker, usually with its prefix length: "
                         "fd00::1/64. Without it the node has no IPv6 sessions."),
    FIELD(node_bgp_spec, ipv4_ipip_tunnel_addr, "ipv4IPIPTunnelAddr", FIELD_STRING, .format = &format_ipv4,
          .description = "IPv4 address of the node's IP-in-IP tunnel. Kept, not used here."),
    FIELD(node_bgp_spec, route_reflector_cluster_id, "routeReflectorClusterID", FIELD_STRING,
          .format = &format_ipv4,
          .description = "Makes the node a route reflector (RFC 4456) of the cluster with this ID, written "
                         "like an IPv4 address: 244.0.0.1. Such a node takes no part in the mesh."),
    FIELD(node_bgp_spec, router_id, "routerID", FIELD_STRING, .format = &format_router_id, .ours = true,
          .description = "BGP identifier of the node (RFC 4271), written like an IPv4 address and its own in "
                         "the whole network. Default: ipv4Address, and without one a value derived from the "
                         "node's name."),
    FIELD(node_bgp_spec, prefix_advertisements, "prefixAdvertisements", FIELD_OBJECT_LIST,
          .schema = &advertisement_schema, .max_items = ADVERTISEMENTS_MAX, .ours = true,
          .description = "Networks that the node announces to its peers, besides the service networks of the "
                         "BGPConfiguration."),
};

const struct schema node_bgp_schema = {
    .name = "NodeBGPSpec",
    .description = "The node as a BGP speaker.",
    SCHEMA_OF(node_bgp_spec, bgp_fields),
};

static const struct field orch_ref_fields[] = {
    FIELD(orch_ref, node_name, "nodeName", FIELD_STRING, .max_length = TEXT_LENGTH_MAX,
          .description = "Name of the node in the orchestrator."),
    FIELD(orch_ref, orchestrator, "orchestrator", FIELD_STRING, .max_length = TEXT_LENGTH_MAX,
          .description = "The orchestrator, such as k8s."),
};

static const struct schema orch_ref_schema = {
    .name = "OrchRef",
    .description = "The same node as an orchestrator knows it.",
    SCHEMA_OF(orch_ref, orch_ref_fields),
};

static const struct field wireguard_fields[] = {
    FIELD(node_wireguard_spec, interface_ipv4_address, "interfaceIPv4Address", FIELD_STRING,
          .format = &format_ipv4, .description = "Address of the interface for WireGuard over IPv4."),
    FIELD(node_wireguard_spec, interface_ipv6_address, "interfaceIPv6Address", FIELD_STRING,
          .format = &format_ipv6, .description = "Address of the interface for WireGuard over IPv6."),
};

static const struct schema wireguard_schema = {
    .name = "NodeWireguardSpec",
    .description = "WireGuard addresses of the node. Kept, not used here.",
    SCHEMA_OF(node_wireguard_spec, wireguard_fields),
};

static const struct field address_fields[] = {
    FIELD(node_address, address, "address", FIELD_STRING, .max_length = TEXT_LENGTH_MAX,
          .description = "The address, with or without its prefix length."),
    FIELD(node_address, type, "type", FIELD_STRING, .max_length = TEXT_LENGTH_MAX,
          .description = "Where the address comes from: CalicoNodeIP, InternalIP or ExternalIP."),
};

static const struct schema address_schema = {
    .name = "NodeAddress",
    .description = "An address at which the node can be reached.",
    SCHEMA_OF(node_address, address_fields),
};

static const struct field interface_fields[] = {
    FIELD(node_interface, name, "name", FIELD_STRING, .max_length = TEXT_LENGTH_MAX,
          .description = "Name of the interface."),
    FIELD(node_interface, addresses, "addresses", FIELD_STRING_LIST, .max_length = TEXT_LENGTH_MAX,
          .max_items = NAMES_MAX,
          .description = "Addresses of the interface, with or without prefix lengths."),
};

static const struct schema interface_schema = {
    .name = "NodeInterface",
    .description = "A network interface of the node.",
    SCHEMA_OF(node_interface, interface_fields),
};

static const struct field spec_fields[] = {
    FIELD(node_spec, bgp, "bgp", FIELD_OBJECT, .schema = &node_bgp_schema,
          .description = "The node as a BGP speaker. Without it the node has no sessions, though selectors "
                         "still match it."),
    FIELD(node_spec, ipv4_vxlan_tunnel_addr, "ipv4VXLANTunnelAddr", FIELD_STRING, .format = &format_ipv4,
          .description = "IPv4 address of the node's VXLAN tunnel. Kept, not used here."),
    FIELD(node_spec, vxlan_tunnel_mac_addr, "vxlanTunnelMACAddr", FIELD_STRING, .format = &format_mac,
          .description = "MAC address of the node's VXLAN tunnel. Kept, not used here."),
    FIELD(node_spec, ipv6_vxlan_tunnel_addr, "ipv6VXLANTunnelAddr", FIELD_STRING, .format = &format_ipv6,
          .description = "Address of the node's VXLAN tunnel over IPv6. Kept, not used here."),
    FIELD(node_spec, vxlan_tunnel_mac_addr_v6, "vxlanTunnelMACAddrV6", FIELD_STRING, .format = &format_mac,
          .description = "MAC address of the node's VXLAN tunnel over IPv6. Kept, not used here."),
    FIELD(node_spec, orch_refs, "orchRefs", FIELD_OBJECT_LIST, .schema = &orch_ref_schema,
          .max_items = NAMES_MAX, .description = "The same node as orchestrators know it."),
    FIELD(node_spec, wireguard, "wireguard", FIELD_OBJECT, .schema = &wireguard_schema,
          .description = "WireGuard addresses of the node. Kept, not used here."),
    FIELD(node_spec, addresses, "addresses", FIELD_OBJECT_LIST, .schema = &address_schema,
          .max_items = NAMES_MAX,
          .description = "Addresses at which the node can be reached. Sessions use bgp.ipv4Address and "
                         "bgp.ipv6Address, not these."),
    FIELD(node_spec, interfaces, "interfaces", FIELD_OBJECT_LIST, .schema = &interface_schema,
          .max_items = NAMES_MAX, .description = "Network interfaces of the node. Kept, not used here."),
};

static void validate_spec(const void *object, const char *path, struct causes *causes) {
    const struct node_bgp_spec *bgp = ((const struct node_spec *)object)->bgp;
    if (bgp == NULL || bgp->as_number.set) {
        return;
    }
    if (!is_given(bgp->ipv4_address) && !is_given(bgp->ipv6_address) &&
        !is_given(bgp->ipv4_ipip_tunnel_addr) && !is_given(bgp->route_reflector_cluster_id) &&
        !is_given(bgp->router_id) && bgp->prefix_advertisements.count == 0) {
        cause_at(causes, CAUSE_INVALID, path, "bgp",
                 "Invalid value: {}: must not be empty; give the node an address, or leave bgp out");
    }
}

static const struct schema spec_schema = {
    .name = "NodeSpec",
    .description = "The node and how it takes part in BGP.",
    SCHEMA_OF(node_spec, spec_fields),
    .rule = validate_spec,
};

static const struct field status_fields[] = {
    FIELD(node_status, wireguard_public_key, "wireguardPublicKey", FIELD_STRING,
          .format = &format_wireguard_key, .description = "WireGuard public key of the node, over IPv4."),
    FIELD(node_status, wireguard_public_key_v6, "wireguardPublicKeyV6", FIELD_STRING,
          .format = &format_wireguard_key, .description = "WireGuard public key of the node, over IPv6."),
    FIELD(node_status, pod_cidrs, "podCIDRs", FIELD_STRING_LIST, .max_length = TEXT_LENGTH_MAX,
          .max_items = NAMES_MAX, .description = "The pod networks that Kubernetes gave the node."),
};

static const struct schema status_schema = {
    .name = "NodeStatus",
    .description = "What the node reports about itself. Kept, not used here.",
    SCHEMA_OF(node_status, status_fields),
};

static const struct field body_fields[] = {
    FIELD(node, spec, "spec", FIELD_OBJECT, .schema = &spec_schema,
          .description = "The node and how it takes part in BGP."),
    FIELD(node, status, "status", FIELD_OBJECT, .schema = &status_schema,
          .description = "What the node reports about itself. Kept, not used here."),
};

static const struct schema body_schema = {
    .name = "Node",
    .description = "A host that runs a BGP daemon. Its labels are what selectors match; its peering list is "
                   "what the daemon is configured from.",
    SCHEMA_OF(node, body_fields),
};

static const struct printer_column columns[] = {
    COLUMN("AS", "integer", "spec.bgp.asNumber", "AS number of the node"),
    COLUMN("IPv4", "string", "spec.bgp.ipv4Address", "IPv4 address of its BGP speaker"),
    COLUMN("IPv6", "string", "spec.bgp.ipv6Address", "IPv6 address of its BGP speaker"),
    COLUMN("Cluster ID", "string", "spec.bgp.routeReflectorClusterID", "Set on route reflectors"),
};

const struct kind_info node_kind = {
    .kind = KIND_NODE,
    .name = "Node",
    .list = "NodeList",
    .plural = "nodes",
    .singular = "node",
    .short_name = "no",
    CALICO_V3,
    .body = &body_schema,
    .columns = columns,
    .column_count = COUNT_OF(columns),
};

/* --- advice ------------------------------------------------------------------------------------ */

static bool is_address(const char *text) {
    struct ip_cidr cidr;
    return text != NULL && ip_parse_cidr_or_addr(text, strlen(text), &cidr);
}

static bool is_address_type(const char *text) {
    static const char *const types[] = {"CalicoNodeIP", "InternalIP", "ExternalIP"};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (strcmp(text, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* One piece of advice about each list is enough: the rest will be looked at with it. */
static void advise_addresses(const struct list *addresses, struct advice *advice) {
    const struct node_address *items = addresses->items;
    char text[SHOWN_MAX];
    for (size_t i = 0; i < addresses->count; i++) {
        if (!is_address(items[i].address)) {
            advice_add(advice, "spec.addresses[%zu].address: '%s' is not an IP address", i,
                       shown(items[i].address != NULL ? items[i].address : "", text));
            break;
        }
    }
    for (size_t i = 0; i < addresses->count; i++) {
        if (is_given(items[i].type) && !is_address_type(items[i].type)) {
            advice_add(advice,
                       "spec.addresses[%zu].type: '%s' is not one of CalicoNodeIP, InternalIP, ExternalIP", i,
                       shown(items[i].type, text));
            break;
        }
    }
}

static void advise_interfaces(const struct list *interfaces, struct advice *advice) {
    const struct node_interface *items = interfaces->items;
    for (size_t i = 0; i < interfaces->count; i++) {
        for (size_t k = 0; k < items[i].addresses.count; k++) {
            if (!is_address(items[i].addresses.items[k])) {
                advice_add(advice, "spec.interfaces[%zu].addresses[%zu]: is not an IP address", i, k);
                return;
            }
        }
    }
}

static void advise_pod_cidrs(const struct string_list *cidrs, struct advice *advice) {
    for (size_t i = 0; i < cidrs->count; i++) {
        if (!is_address(cidrs->items[i])) {
            advice_add(advice, "status.podCIDRs[%zu]: is not a network", i);
            return;
        }
    }
}

static void advise_advertisements(const struct list *advertisements, struct advice *advice) {
    const struct prefix_advertisement *items = advertisements->items;
    for (size_t i = 0; i < advertisements->count && advice->count < ADVICE_MAX; i++) {
        char field[64];
        (void)snprintf(field, sizeof(field), "spec.bgp.prefixAdvertisements[%zu].cidr", i);
        (void)advise_announced_network(advice, field, items[i].cidr);
    }
    const char *repeated = network_repeated(advertisements, sizeof(struct prefix_advertisement),
                                            offsetof(struct prefix_advertisement, cidr), advice->arena);
    if (repeated != NULL) {
        advice_add(advice, "spec.bgp.prefixAdvertisements: %s is there twice; put its communities together",
                   repeated);
    }
}

void node_advise(const struct object *object, struct advice *advice) {
    const struct node *node = object->body;
    const struct node_spec *spec = node->spec;
    const struct node_bgp_spec *bgp = spec != NULL ? spec->bgp : NULL;
    if (spec != NULL) {
        advise_addresses(&spec->addresses, advice);
        advise_interfaces(&spec->interfaces, advice);
    }
    if (node->status != NULL) {
        advise_pod_cidrs(&node->status->pod_cidrs, advice);
    }
    if (bgp == NULL || (!is_given(bgp->ipv4_address) && !is_given(bgp->ipv6_address))) {
        advice_add(advice,
                   "spec.bgp: has no ipv4Address and no ipv6Address, so the node has no BGP sessions");
    }
    if (bgp == NULL) {
        return;
    }
    if (bgp->as_number.set) {
        advise_asn(advice, "spec.bgp.asNumber", bgp->as_number.value);
    }
    struct ip_addr cluster;
    if (is_given(bgp->route_reflector_cluster_id) &&
        ip_parse(bgp->route_reflector_cluster_id, strlen(bgp->route_reflector_cluster_id), &cluster) &&
        ip_no_host(&cluster) != NULL && cluster.bytes[0] == 0) {
        advice_add(advice, "spec.bgp.routeReflectorClusterID: 0.0.0.0 is no cluster's ID; write one of your "
                           "own, such as 244.0.0.1");
    }
    advise_advertisements(&bgp->prefix_advertisements, advice);
    advise_host_cidr(advice, "spec.bgp.ipv4Address", bgp->ipv4_address);
    advise_host_cidr(advice, "spec.bgp.ipv6Address", bgp->ipv6_address);
}
