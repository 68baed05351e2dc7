/*
 * BGPConfiguration: its tables, rules and advice. `default` holds for the fleet, `node.<name>` for one
 * node. Source of the fields and rules: Calico's projectcalico.org/v3 BGPConfiguration (CRD markers, CEL
 * rules, Go validator, client). Static and immutable; no locks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "tables.h"

#define COMMUNITIES_MAX            500
#define BLOCKS_MAX                 1000 /* every one of them is in every list */
#define COMMUNITY_VALUE_LENGTH_MAX 40
#define NODE_PREFIX                "node."

static const char *const bind_modes[] = {"None", "NodeIP", NULL};
static const char *const aggregations[] = {"Enabled", "Disabled", NULL};
static const char *const cluster_routes[] = {"Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly",
                                             NULL};

static const struct field block_fields[] = {
    FIELD(cidr_block, cidr, "cidr", FIELD_STRING, .format = &format_network,
          .description = "The network, without host bits: 10.96.0.0/12."),
};

static const struct schema block_schema = {
    .name = "ServiceIPBlock",
    .description = "A block of service addresses.",
    SCHEMA_OF(cidr_block, block_fields),
};

static const struct field community_fields[] = {
    FIELD(community, name, "name", FIELD_STRING, .required = true, .format = &format_portable_name,
          .max_length = NAME_LENGTH_MAX, .description = "Name by which prefixAdvertisements refer to it."),
    FIELD(community, value, "value", FIELD_STRING, .required = true, .format = &format_config_community,
          .max_length = COMMUNITY_VALUE_LENGTH_MAX,
          .description = "A standard community of two 16-bit numbers (65000:100) or a large one of three "
                         "32-bit numbers (65000:1:2)."),
};

static const struct schema community_schema = {
    .name = "Community",
    .description = "A BGP community with a name.",
    SCHEMA_OF(community, community_fields),
};

static const struct field advertisement_fields[] = {
    FIELD(prefix_advertisement, cidr, "cidr", FIELD_STRING, .required = true, .format = &format_network,
          .description = "The network whose routes are tagged, without host bits."),
    FIELD(prefix_advertisement, communities, "communities", FIELD_STRING_LIST, .required = true,
          .format = &format_community_ref, .max_items = ADVERTISED_COMMUNITIES_MAX,
          .description = "Communities that tag the routes: values, or names from spec.communities."),
};

static const struct schema advertisement_schema = {
    .name = "PrefixAdvertisement",
    .description = "How the routes within one network are advertised.",
    SCHEMA_OF(prefix_advertisement, advertisement_fields),
};

static const struct field spec_fields[] = {
    FIELD(bgp_configuration_spec, log_severity_screen, "logSeverityScreen", FIELD_STRING,
          .format = &format_log_level, .default_text = "\"Info\"",
          .description =
              "Least severity that the BGP daemon logs: Trace, Debug, Info, Warning, Error or Fatal."),
    FIELD(bgp_configuration_spec, node_to_node_mesh_enabled, "nodeToNodeMeshEnabled", FIELD_BOOL,
          .default_text = "true", .same_as_absent = "true",
          .description = "Whether every node peers with every other, route reflectors excepted. Only on the "
                         "BGPConfiguration named default."),
    FIELD(bgp_configuration_spec, as_number, "asNumber", FIELD_ASN, .default_text = "64512",
          .same_as_absent = "0",
          .description = "AS number of the nodes that have none of their own. Only on default."),
    FIELD(bgp_configuration_spec, service_load_balancer_ips, "serviceLoadBalancerIPs", FIELD_OBJECT_LIST,
          .schema = &block_schema, .max_items = BLOCKS_MAX,
          .description = "Networks whose load-balancer addresses are advertised. Only on default."),
    FIELD(bgp_configuration_spec, service_external_ips, "serviceExternalIPs", FIELD_OBJECT_LIST,
          .schema = &block_schema, .max_items = BLOCKS_MAX,
          .description = "Networks whose external service addresses are advertised. Only on default."),
    FIELD(bgp_configuration_spec, service_cluster_ips, "serviceClusterIPs", FIELD_OBJECT_LIST,
          .schema = &block_schema, .max_items = BLOCKS_MAX,
          .description = "Networks of cluster service addresses that are advertised. Only on default."),
    FIELD(bgp_configuration_spec, service_load_balancer_aggregation, "serviceLoadBalancerAggregation",
          FIELD_ENUM, .values = aggregations, .default_text = "\"Enabled\"", .same_as_absent = "Enabled",
          .description = "Whether a load-balancer network is advertised as a whole (Enabled) or as one host "
                         "route for each service (Disabled)."),
    FIELD(bgp_configuration_spec, communities, "communities", FIELD_OBJECT_LIST, .schema = &community_schema,
          .max_items = COMMUNITIES_MAX,
          .description = "Names for communities. Useful only together with prefixAdvertisements."),
    FIELD(bgp_configuration_spec, prefix_advertisements, "prefixAdvertisements", FIELD_OBJECT_LIST,
          .schema = &advertisement_schema, .max_items = ADVERTISEMENTS_MAX,
          .description = "Communities that tag the routes within given networks."),
    FIELD(bgp_configuration_spec, listen_port, "listenPort", FIELD_INT, .min = 1, .max = UINT16_MAX,
          .default_text = "179",
          .description = "Port on which the BGP daemon listens. On node.<name> it holds for that node."),
    FIELD(bgp_configuration_spec, node_mesh_password, "nodeMeshPassword", FIELD_OBJECT,
          .schema = &bgp_password_schema,
          .description = "TCP MD5 password of the mesh sessions. Only on default, with the mesh enabled."),
    FIELD(bgp_configuration_spec, node_mesh_max_restart_time, "nodeMeshMaxRestartTime", FIELD_DURATION,
          .format = &format_duration,
          .description = "Graceful restart time (RFC 4724) of the mesh sessions, in whole seconds. Only on "
                         "default, with the mesh enabled."),
    FIELD(bgp_configuration_spec, bind_mode, "bindMode", FIELD_ENUM, .values = bind_modes,
          .default_text = "\"None\"", .same_as_absent = "None",
          .description =
              "Whether the BGP daemon listens on all addresses (None) or on the node's BGP address "
              "alone (NodeIP)."),
    FIELD(bgp_configuration_spec, ignored_interfaces, "ignoredInterfaces", FIELD_STRING_LIST,
          .format = &format_ignored_interface, .max_items = NAMES_MAX,
          .description = "Interfaces whose routes the BGP daemon does not read; '*' stands for any text."),
    FIELD(bgp_configuration_spec, local_workload_peering_ipv4, "localWorkloadPeeringIPV4", FIELD_STRING,
          .format = &format_ipv4,
          .description = "IPv4 address at which workloads reach their own node's BGP daemon."),
    FIELD(bgp_configuration_spec, local_workload_peering_ipv6, "localWorkloadPeeringIPV6", FIELD_STRING,
          .format = &format_ipv6,
          .description = "IPv6 address at which workloads reach their own node's BGP daemon."),
    FIELD(bgp_configuration_spec, program_cluster_routes, "programClusterRoutes", FIELD_ENUM,
          .values = cluster_routes, .default_text = "\"EnabledNoEncapOnly\"",
          .description = "For which kinds of address pools the BGP daemon writes routes to other nodes' "
                         "workloads into the kernel: unencapsulated, IP-in-IP, both or none. Must agree with "
                         "what the node's agent writes itself."),
    FIELD(bgp_configuration_spec, ipv4_normal_route_priority, "ipv4NormalRoutePriority", FIELD_INT, .min = 1,
          .max = PRIORITY_MAX, .default_text = "1024",
          .description = "Metric of ordinary IPv4 workload routes, as the node's agent sets it."),
    FIELD(bgp_configuration_spec, ipv6_normal_route_priority, "ipv6NormalRoutePriority", FIELD_INT, .min = 1,
          .max = PRIORITY_MAX, .default_text = "1024",
          .description = "Metric of ordinary IPv6 workload routes, as the node's agent sets it."),
};

static bool is_defined(const struct list *communities, const char *name) {
    const struct community *items = communities->items;
    for (size_t i = 0; i < communities->count; i++) {
        if (items[i].name != NULL && strcmp(items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Lists over their limits are errors already; comparing them would only cost time. */
static void validate_communities(const struct bgp_configuration_spec *spec, const char *path,
                                 struct causes *causes) {
    if (spec->communities.count > 0 && spec->prefix_advertisements.count == 0) {
        cause_at(causes, CAUSE_INVALID, path, "communities",
                 "Invalid value: defined, but no prefixAdvertisements use them");
    }
    if (spec->communities.count > COMMUNITIES_MAX || spec->prefix_advertisements.count > ADVERTISEMENTS_MAX) {
        return;
    }
    const struct prefix_advertisement *items = spec->prefix_advertisements.items;
    for (size_t i = 0; i < spec->prefix_advertisements.count; i++) {
        const struct string_list *used = &items[i].communities;
        for (size_t k = 0; k < used->count && k < ADVERTISED_COMMUNITIES_MAX; k++) {
            const char *text = used->items[k];
            if (!is_given(text) || community_has_form(text) || !name_is_portable(text) ||
                is_defined(&spec->communities, text)) {
                continue; /* fine, or the format has refused it already */
            }
            char member[64];
            char value[SHOWN_MAX];
            (void)snprintf(member, sizeof member, "prefixAdvertisements[%zu].communities[%zu]", i, k);
            cause_at(causes, CAUSE_INVALID, path, member,
                     "Invalid value: \"%s\": is neither a community value nor defined in spec.communities",
                     shown(text, value));
        }
    }
}

/* An explicit `false` alone disables the mesh. */
static void validate_mesh(const struct bgp_configuration_spec *spec, const char *path,
                          struct causes *causes) {
    if (!spec->node_to_node_mesh_enabled.set || spec->node_to_node_mesh_enabled.value) {
        return;
    }
    if (spec->node_mesh_password != NULL) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "nodeMeshPassword",
                 "Forbidden: may not be set while nodeToNodeMeshEnabled is false");
    }
    if (spec->node_mesh_max_restart_time.text != NULL) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "nodeMeshMaxRestartTime",
                 "Forbidden: may not be set while nodeToNodeMeshEnabled is false");
    }
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The list is a set. Sorted copies keep a long one from costing the square of its length. */
static void validate_ignored_interfaces(const struct string_list *list, const char *path,
                                        struct causes *causes) {
    if (list->count < 2) {
        return;
    }
    const char **sorted = arena_array(causes->arena, list->count, sizeof *sorted);
    if (sorted == NULL) {
        cause_at(causes, CAUSE_INVALID, path, "ignoredInterfaces",
                 "Invalid value: no memory is left to check it; try again");
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        sorted[i] = list->items[i] != NULL ? list->items[i] : "";
    }
    qsort(sorted, list->count, sizeof *sorted, compare_text);
    for (size_t i = 1; i < list->count; i++) {
        bool first_repeat = i == 1 || strcmp(sorted[i - 2], sorted[i]) != 0;
        if (first_repeat && strcmp(sorted[i - 1], sorted[i]) == 0) {
            char value[SHOWN_MAX];
            cause_at(causes, CAUSE_DUPLICATE, path, "ignoredInterfaces", "Duplicate value: \"%s\"",
                     shown(sorted[i], value));
        }
    }
}

static void validate_spec(const void *object, const char *path, struct causes *causes) {
    const struct bgp_configuration_spec *spec = object;
    validate_mesh(spec, path, causes);
    validate_communities(spec, path, causes);
    validate_ignored_interfaces(&spec->ignored_interfaces, path, causes);
}

const struct schema bgp_configuration_spec_schema = {
    .name = "BGPConfigurationSpec",
    .description = "BGP settings of the fleet or of one node.",
    SCHEMA_OF(bgp_configuration_spec, spec_fields),
    .rule = validate_spec,
};

static const struct field body_fields[] = {
    FIELD(bgp_configuration, spec, "spec", FIELD_OBJECT, .schema = &bgp_configuration_spec_schema,
          .required = true, .description = "BGP settings of the fleet or of one node."),
};

static const struct schema body_schema = {
    .name = "BGPConfiguration",
    .description = "BGP settings: of the whole fleet when it is named default, of one node when it is named "
                   "node.<name of the node>.",
    SCHEMA_OF(bgp_configuration, body_fields),
};

static bool is_default(const struct meta *meta) {
    return meta->name != NULL && strcmp(meta->name, "default") == 0;
}

/* Settings of the fleet make no sense on another object; Calico's client refuses exactly these. */
static void validate_default_only(const struct object *object, struct causes *causes) {
    const struct bgp_configuration_spec *spec = ((const struct bgp_configuration *)object->body)->spec;
    bool nameless =
        object->meta.name == NULL && object->meta.generate_name == NULL; /* which is told already */
    if (spec == NULL || nameless || is_default(&object->meta)) {
        return;
    }
    const struct {
        const char *field;
        bool given;
    } fleet_fields[] = {
        {"nodeToNodeMeshEnabled", spec->node_to_node_mesh_enabled.set},
        {"asNumber", spec->as_number.set},
        {"serviceLoadBalancerIPs", spec->service_load_balancer_ips.count > 0},
        {"serviceExternalIPs", spec->service_external_ips.count > 0},
        {"serviceClusterIPs", spec->service_cluster_ips.count > 0},
        {"nodeMeshPassword", spec->node_mesh_password != NULL},
        {"nodeMeshMaxRestartTime", spec->node_mesh_max_restart_time.text != NULL},
    };
    for (size_t i = 0; i < COUNT_OF(fleet_fields); i++) {
        if (fleet_fields[i].given) {
            cause_at(causes, CAUSE_FORBIDDEN, "spec", fleet_fields[i].field,
                     "Forbidden: may be set only on the BGPConfiguration named default");
        }
    }
}

static const struct printer_column columns[] = {
    COLUMN("AS", "integer", "spec.asNumber", "Default AS number"),
    COLUMN("Mesh", "boolean", "spec.nodeToNodeMeshEnabled", "Whether every node peers with every other"),
    COLUMN("Listen Port", "integer", "spec.listenPort", "Port on which BGP daemons listen"),
    COLUMN("Log", "string", "spec.logSeverityScreen", "Least severity that is logged", .priority = 1),
};

const struct kind_info bgp_configuration_kind = {
    .kind = KIND_BGPCONFIGURATION,
    .name = "BGPConfiguration",
    .list = "BGPConfigurationList",
    .plural = "bgpconfigurations",
    .singular = "bgpconfiguration",
    .short_name = "bgpconfig",
    CALICO_V3,
    .body = &body_schema,
    .columns = columns,
    .column_count = COUNT_OF(columns),
    .rule = validate_default_only,
};

/* --- advice ------------------------------------------------------------------------------------ */

/* One piece of advice about each list is enough: the rest will be looked at with it. */
static void advise_blocks(const struct list *blocks, const char *name, struct advice *advice) {
    const struct cidr_block *items = blocks->items;
    for (size_t i = 0; i < blocks->count; i++) {
        char field[64];
        (void)snprintf(field, sizeof(field), "spec.%s[%zu].cidr", name, i);
        if (!is_given(items[i].cidr)) {
            advice_add(advice, "spec.%s: holds an entry without a cidr, which advertises nothing", name);
            return;
        }
        if (advise_announced_network(advice, field, items[i].cidr)) {
            return;
        }
    }
    const char *repeated =
        network_repeated(blocks, sizeof(*items), offsetof(struct cidr_block, cidr), advice->arena);
    if (repeated != NULL) {
        advice_add(advice, "spec.%s: %s is there twice; leave one out", name, repeated);
    }
}

/* Clusters take their service addresses from a network; a single one is a slip of the keyboard. */
static void advise_cluster_blocks(const struct list *blocks, struct advice *advice) {
    const struct cidr_block *items = blocks->items;
    for (size_t i = 0; i < blocks->count; i++) {
        struct ip_cidr cidr;
        if (is_given(items[i].cidr) && ip_parse_cidr(items[i].cidr, strlen(items[i].cidr), &cidr) &&
            cidr.prefix == (cidr.addr.family == IP_V4 ? 32 : 128)) {
            advice_add(advice,
                       "spec.serviceClusterIPs[%zu].cidr: %s is a single address; a cluster's service "
                       "addresses are a network, such as 10.96.0.0/12",
                       i, items[i].cidr);
            return;
        }
    }
}

static bool has_repeated_text(const struct string_list *texts, size_t *ret) {
    for (size_t i = 1; i < texts->count && i < ADVERTISED_COMMUNITIES_MAX; i++) {
        for (size_t k = 0; k < i; k++) {
            if (texts->items[k] != NULL && texts->items[i] != NULL &&
                strcmp(texts->items[k], texts->items[i]) == 0) {
                *ret = i;
                return true;
            }
        }
    }
    return false;
}

static void advise_tags(const struct list *advertisements, struct advice *advice) {
    const struct prefix_advertisement *items = advertisements->items;
    for (size_t i = 0; i < advertisements->count && i < ADVERTISEMENTS_MAX && advice->count < ADVICE_MAX;
         i++) {
        size_t again;
        if (items[i].communities.count == 0) {
            advice_add(advice,
                       "spec.prefixAdvertisements[%zu].communities: is empty, so the entry changes nothing",
                       i);
        } else if (has_repeated_text(&items[i].communities, &again)) {
            advice_add(advice,
                       "spec.prefixAdvertisements[%zu].communities[%zu]: is there twice; leave one out", i,
                       again);
        }
    }
    const char *repeated = network_repeated(advertisements, sizeof(*items),
                                            offsetof(struct prefix_advertisement, cidr), advice->arena);
    if (repeated != NULL) {
        advice_add(advice, "spec.prefixAdvertisements: %s is there twice; put its communities together",
                   repeated);
    }
}

static void advise_communities(const struct list *communities, struct advice *advice) {
    const struct community *items = communities->items;
    for (size_t i = 0; i < communities->count && i < COMMUNITIES_MAX; i++) {
        struct list earlier = {.count = i, .items = communities->items};
        if (is_given(items[i].name) && is_defined(&earlier, items[i].name)) {
            char name[SHOWN_MAX];
            advice_add(advice, "spec.communities: '%s' is defined more than once",
                       shown(items[i].name, name));
        }
    }
}

void bgp_configuration_advise(const struct object *object, struct advice *advice) {
    const struct bgp_configuration_spec *spec = ((const struct bgp_configuration *)object->body)->spec;
    const char *name = object->meta.name;
    bool of_node = name != NULL && strncmp(name, NODE_PREFIX, strlen(NODE_PREFIX)) == 0;
    if (is_given(name) && !of_node && !is_default(&object->meta)) {
        advice_add(advice,
                   "metadata.name: only default and node.<name of a node> are used; this one has no effect");
    }
    if (spec == NULL) {
        return;
    }
    if (spec->as_number.set) {
        advise_asn(advice, "spec.asNumber", spec->as_number.value);
    }
    advise_password(advice, "spec.nodeMeshPassword", spec->node_mesh_password);
    advise_restart_time(advice, "spec.nodeMeshMaxRestartTime", &spec->node_mesh_max_restart_time);
    advise_blocks(&spec->service_load_balancer_ips, "serviceLoadBalancerIPs", advice);
    advise_blocks(&spec->service_external_ips, "serviceExternalIPs", advice);
    advise_blocks(&spec->service_cluster_ips, "serviceClusterIPs", advice);
    advise_cluster_blocks(&spec->service_cluster_ips, advice);
    advise_tags(&spec->prefix_advertisements, advice);
    advise_communities(&spec->communities, advice);
    const char *aggregation = spec->service_load_balancer_aggregation;
    if (spec->service_load_balancer_ips.count > 0 && is_given(aggregation) &&
        strcmp(aggregation, "Disabled") == 0) {
        advice_add(advice, "spec.serviceLoadBalancerAggregation: Disabled announces one route for each "
                           "service; services are "
                           "not known here, so nothing of serviceLoadBalancerIPs is announced");
    }
}
