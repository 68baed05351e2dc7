/*
 * BGPFilter: its tables, rules and advice. Rules for IPv4 and IPv6 have the same members and differ in
 * formats and ranges only. Source of the fields and rules: Calico's projectcalico.org/v3 BGPFilter (CRD
 * markers, CEL rules and Go validator). Static and immutable; no locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "tables.h"

#define RULES_MAX            1000 /* every one of them is in every list that names the filter */
#define AS_PATH_MAX          64
#define OPERATIONS_MAX       10
#define PREPENDED_MAX        10
#define COMMUNITY_LENGTH_MAX 32
#define INTERFACE_LENGTH_MAX 15
#define CIDR_V4_LENGTH_MAX   18
#define CIDR_V6_LENGTH_MAX   43

static const char *const sources[] = {"RemotePeers", NULL};
static const char *const match_operators[] = {"Equal", "NotEqual", "In", "NotIn", NULL};
static const char *const peer_types[] = {"eBGP", "iBGP", NULL};
static const char *const actions[] = {"Accept", "Reject", NULL};

static const struct field prefix_length_v4_fields[] = {
    FIELD(prefix_length, min, "min", FIELD_INT, .min = 0, .max = 32,
          .description = "Shortest prefix length that matches. Default: the length of cidr."),
    FIELD(prefix_length, max, "max", FIELD_INT, .min = 0, .max = 32, .default_text = "32",
          .description = "Longest prefix length that matches."),
};

static const struct schema prefix_length_v4_schema = {
    .name = "BGPFilterPrefixLengthV4",
    .description = "A range of IPv4 prefix lengths.",
    SCHEMA_OF(prefix_length, prefix_length_v4_fields),
};

static const struct field prefix_length_v6_fields[] = {
    FIELD(prefix_length, min, "min", FIELD_INT, .min = 0, .max = 128,
          .description = "Shortest prefix length that matches. Default: the length of cidr."),
    FIELD(prefix_length, max, "max", FIELD_INT, .min = 0, .max = 128, .default_text = "128",
          .description = "Longest prefix length that matches."),
};

static const struct schema prefix_length_v6_schema = {
    .name = "BGPFilterPrefixLengthV6",
    .description = "A range of IPv6 prefix lengths.",
    SCHEMA_OF(prefix_length, prefix_length_v6_fields),
};

static const struct field community_match_fields[] = {
    FIELD(community_match, values, "values", FIELD_STRING_LIST, .required = true, .format = &format_community,
          .max_length = COMMUNITY_LENGTH_MAX, .min_items = 1, .max_items = 1,
          .description = "The community, standard (65000:100) or large (65000:1:2); exactly one."),
};

static const struct schema community_match_schema = {
    .name = "BGPFilterCommunityMatch",
    .description = "Matches routes that carry a community.",
    SCHEMA_OF(community_match, community_match_fields),
};

static const struct field add_community_fields[] = {
    FIELD(add_community, value, "value", FIELD_STRING, .required = true, .format = &format_community,
          .max_length = COMMUNITY_LENGTH_MAX,
          .description = "The community, standard (65000:100) or large (65000:1:2)."),
};

static const struct schema add_community_schema = {
    .name = "BGPFilterAddCommunity",
    .description = "Adds a community to the route.",
    SCHEMA_OF(add_community, add_community_fields),
};

static const struct field prepend_as_path_fields[] = {
    FIELD(prepend_as_path, prefix, "prefix", FIELD_ASN_LIST, .required = true, .min_items = 1,
          .max_items = PREPENDED_MAX,
          .description = "AS numbers that the path will begin with, in this order."),
};

static const struct schema prepend_as_path_schema = {
    .name = "BGPFilterPrependASPath",
    .description = "Puts AS numbers in front of the route's AS path.",
    SCHEMA_OF(prepend_as_path, prepend_as_path_fields),
};

static const struct field set_priority_fields[] = {
    FIELD(set_priority, value, "value", FIELD_INT, .required = true, .min = 1, .max = PRIORITY_MAX,
          .description = "The metric; a lower one is preferred."),
};

static const struct schema set_priority_schema = {
    .name = "BGPFilterSetPriority",
    .description = "Sets the route's metric.",
    SCHEMA_OF(set_priority, set_priority_fields),
};

static const struct field operation_fields[] = {
    FIELD(filter_operation, add_community, "addCommunity", FIELD_OBJECT, .schema = &add_community_schema,
          .description = "Adds a community to the route."),
    FIELD(filter_operation, prepend_as_path, "prependASPath", FIELD_OBJECT, .schema = &prepend_as_path_schema,
          .description = "Puts AS numbers in front of the route's AS path."),
    FIELD(filter_operation, set_priority, "setPriority", FIELD_OBJECT, .schema = &set_priority_schema,
          .description = "Sets the route's metric."),
};

static void validate_operation(const void *object, const char *path, struct causes *causes) {
    const struct filter_operation *operation = object;
    int given = (operation->add_community != NULL) + (operation->prepend_as_path != NULL) +
                (operation->set_priority != NULL);
    if (given == 0) {
        causes_add(causes, CAUSE_REQUIRED, path,
                   "Required value: one of addCommunity, prependASPath, setPriority");
    } else if (given > 1) {
        causes_add(causes, CAUSE_INVALID, path,
                   "Invalid value: holds %d operations, must hold exactly one; write one list entry for each",
                   given);
    }
}

static const struct schema operation_schema = {
    .name = "BGPFilterOperation",
    .description = "One change to a route; exactly one of the fields is set.",
    SCHEMA_OF(filter_operation, operation_fields),
    .rule = validate_operation,
};

/* The table of one family's rules. */
#define RULE_FIELDS(network_format, cidr_length, length_schema)                                              \
    {                                                                                                        \
        FIELD(filter_rule, cidr, "cidr", FIELD_STRING, .format = (network_format),                           \
              .max_length = (cidr_length),                                                                   \
              .description = "Network that the route's prefix is compared with by matchOperator, which "     \
                             "is then required."),                                                           \
            FIELD(filter_rule, prefix_length, "prefixLength", FIELD_OBJECT, .schema = (length_schema),       \
                  .description = "Narrows the match to a range of prefix lengths. Needs cidr."),             \
            FIELD(filter_rule, source, "source", FIELD_ENUM, .values = sources, .allow_empty = true,         \
                  .description = "RemotePeers: only routes learned from BGP peers, not those that begin "    \
                                 "on this node."),                                                           \
            FIELD(filter_rule, interface, "interface", FIELD_STRING, .format = &format_filter_interface,     \
                  .max_length = INTERFACE_LENGTH_MAX,                                                        \
                  .description = "Only routes that leave through this interface; '*' stands for any "        \
                                 "text."),                                                                   \
            FIELD(filter_rule, match_operator, "matchOperator", FIELD_ENUM, .values = match_operators,       \
                  .allow_empty = true,                                                                       \
                  .description = "How the route's prefix must relate to cidr: Equal is the very network, "   \
                                 "In is the network or a part of it; NotEqual and NotIn are their "          \
                                 "opposites."),                                                              \
            FIELD(filter_rule, peer_type, "peerType", FIELD_ENUM, .values = peer_types, .allow_empty = true, \
                  .description = "Only sessions with external (eBGP) or internal (iBGP) peers."),            \
            FIELD(filter_rule, communities, "communities", FIELD_OBJECT, .schema = &community_match_schema,  \
                  .description = "Only routes that carry this community."),                                  \
            FIELD(filter_rule, as_path_prefix, "asPathPrefix", FIELD_ASN_LIST, .max_items = AS_PATH_MAX,     \
                  .description = "Only routes whose AS path begins with these AS numbers."),                 \
            FIELD(filter_rule, priority, "priority", FIELD_INT, .min = 1, .max = PRIORITY_MAX,               \
                  .description = "Only routes with this metric."),                                           \
            FIELD(filter_rule, action, "action", FIELD_ENUM, .values = actions, .required = true,            \
                  .description = "What becomes of the route; rules after this one are not looked at."),      \
            FIELD(filter_rule, operations, "operations", FIELD_OBJECT_LIST, .schema = &operation_schema,     \
                  .min_items = 1, .max_items = OPERATIONS_MAX,                                               \
                  .description = "Changes to the route before it is accepted, in this order. Only with "     \
                                 "action: Accept."),                                                         \
    }

static const struct field rule_v4_fields[] =
    RULE_FIELDS(&format_network_v4, CIDR_V4_LENGTH_MAX, &prefix_length_v4_schema);
static const struct field rule_v6_fields[] =
    RULE_FIELDS(&format_network_v6, CIDR_V6_LENGTH_MAX, &prefix_length_v6_schema);

static void validate_rule(const void *object, const char *path, struct causes *causes) {
    const struct filter_rule *rule = object;
    if (is_given(rule->cidr) && !is_given(rule->match_operator)) {
        cause_at(causes, CAUSE_REQUIRED, path, "matchOperator", "Required value: cidr needs it");
    }
    if (!is_given(rule->cidr) && is_given(rule->match_operator)) {
        cause_at(causes, CAUSE_REQUIRED, path, "cidr", "Required value: matchOperator needs it");
    }
    if (!is_given(rule->cidr) && rule->prefix_length != NULL) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "prefixLength", "Forbidden: may be set only with cidr");
    }
    if (rule->operations.count > 0 && (rule->action == NULL || strcmp(rule->action, "Accept") != 0)) {
        cause_at(causes, CAUSE_FORBIDDEN, path, "operations",
                 "Forbidden: may be set only with action: Accept");
    }
}

static const struct schema rule_v4_schema = {
    .name = "BGPFilterRuleV4",
    .description = "Accepts or rejects the IPv4 routes that meet all of its conditions.",
    SCHEMA_OF(filter_rule, rule_v4_fields),
    .rule = validate_rule,
};

static const struct schema rule_v6_schema = {
    .name = "BGPFilterRuleV6",
    .description = "Accepts or rejects the IPv6 routes that meet all of its conditions.",
    SCHEMA_OF(filter_rule, rule_v6_fields),
    .rule = validate_rule,
};

static const struct field spec_fields[] = {
    FIELD(bgp_filter_spec, export_v4, "exportV4", FIELD_OBJECT_LIST, .schema = &rule_v4_schema,
          .max_items = RULES_MAX,
          .description = "Rules for the IPv4 routes sent to a peer. The first that matches decides."),
    FIELD(bgp_filter_spec, import_v4, "importV4", FIELD_OBJECT_LIST, .schema = &rule_v4_schema,
          .max_items = RULES_MAX,
          .description = "Rules for the IPv4 routes received from a peer. The first that matches decides."),
    FIELD(bgp_filter_spec, export_v6, "exportV6", FIELD_OBJECT_LIST, .schema = &rule_v6_schema,
          .max_items = RULES_MAX,
          .description = "Rules for the IPv6 routes sent to a peer. The first that matches decides."),
    FIELD(bgp_filter_spec, import_v6, "importV6", FIELD_OBJECT_LIST, .schema = &rule_v6_schema,
          .max_items = RULES_MAX,
          .description = "Rules for the IPv6 routes received from a peer. The first that matches decides."),
};

const struct schema bgp_filter_spec_schema = {
    .name = "BGPFilterSpec",
    .description = "Rules for the routes exchanged with a peer.",
    SCHEMA_OF(bgp_filter_spec, spec_fields),
};

static const struct field body_fields[] = {
    FIELD(bgp_filter, spec, "spec", FIELD_OBJECT, .schema = &bgp_filter_spec_schema, .required = true,
          .description = "Rules for the routes exchanged with a peer."),
};

static const struct schema body_schema = {
    .name = "BGPFilter",
    .description = "Which routes sessions send and take. BGPPeers name the filters that hold for them.",
    SCHEMA_OF(bgp_filter, body_fields),
};

static const struct printer_column columns[] = {
    COLUMN("Export V4", "integer", "spec.exportV4", "Rules for IPv4 routes sent to the peer", .count = true),
    COLUMN("Import V4", "integer", "spec.importV4", "Rules for IPv4 routes from the peer", .count = true),
    COLUMN("Export V6", "integer", "spec.exportV6", "Rules for IPv6 routes sent to the peer", .count = true),
    COLUMN("Import V6", "integer", "spec.importV6", "Rules for IPv6 routes from the peer", .count = true),
};

const struct kind_info bgp_filter_kind = {
    .kind = KIND_BGPFILTER,
    .name = "BGPFilter",
    .list = "BGPFilterList",
    .plural = "bgpfilters",
    .singular = "bgpfilter",
    .short_name = "bf",
    CALICO_V3,
    .body = &body_schema,
    .columns = columns,
    .column_count = COUNT_OF(columns),
};

/* --- advice ------------------------------------------------------------------------------------ */

#define RULES_COMPARED_MAX 64 /* with one another */

static bool rule_is(const char *value, const char *wanted) {
    return value != NULL && strcmp(value, wanted) == 0;
}

/* Is the network all that the rule asks for? */
static bool matches_by_network(const struct filter_rule *rule) {
    return rule->prefix_length == NULL && !is_given(rule->source) && !is_given(rule->interface) &&
           !is_given(rule->peer_type) && rule->communities == NULL && rule->as_path_prefix.count == 0 &&
           !rule->priority.set;
}

/* The routes of which network does the rule ask for? False: of none, or for those outside of it. */
static bool network_of(const struct filter_rule *rule, struct ip_cidr *ret) {
    return is_given(rule->cidr) &&
           (rule_is(rule->match_operator, "In") || rule_is(rule->match_operator, "Equal")) &&
           ip_parse_cidr(rule->cidr, strlen(rule->cidr), ret);
}

/* Does the rule decide about every route that reaches it? */
static bool matches_everything(const struct filter_rule *rule) {
    struct ip_cidr cidr;
    return matches_by_network(rule) &&
           (!is_given(rule->cidr) ||
            (rule_is(rule->match_operator, "In") && network_of(rule, &cidr) && cidr.prefix == 0));
}

/* Is the range of prefix lengths empty, by itself or together with the network? */
static bool matches_nothing(const struct filter_rule *rule) {
    struct ip_cidr cidr;
    if (rule->prefix_length == NULL || !is_given(rule->cidr) ||
        !ip_parse_cidr(rule->cidr, strlen(rule->cidr), &cidr)) {
        return false;
    }
    const struct opt_int *min = &rule->prefix_length->min;
    const struct opt_int *max = &rule->prefix_length->max;
    bool inside = network_of(rule, &cidr); /* its routes are as long as the network at least */
    int64_t shortest = min->set && (!inside || min->value > cidr.prefix) ? min->value : cidr.prefix;
    return max->set && max->value < shortest;
}

/* A rule whose routes an earlier one has taken already: the first of the list. */
static void advise_order(const struct list *rules, const char *list_name, struct advice *advice) {
    const struct filter_rule *items = rules->items;
    size_t count = rules->count < RULES_COMPARED_MAX ? rules->count : RULES_COMPARED_MAX;
    struct ip_cidr *networks = arena_array(advice->arena, count, sizeof(*networks));
    for (size_t i = 0; networks != NULL && i < count; i++) {
        if (!network_of(&items[i], &networks[i])) {
            networks[i].addr.family = IP_NONE;
            continue;
        }
        for (size_t k = 0; k < i; k++) {
            if (networks[k].addr.family != IP_NONE && networks[k].prefix <= networks[i].prefix &&
                rule_is(items[k].match_operator, "In") && matches_by_network(&items[k]) &&
                ip_network_holds(&networks[k], &networks[i].addr)) {
                advice_add(
                    advice,
                    "spec.%s[%zu]: is never reached, because rule [%zu] decides about all of %s; put the "
                    "narrower rule first",
                    list_name, i, k, items[k].cidr);
                return;
            }
        }
    }
}

static void advise_operations(const struct list *operations, const char *path, struct advice *advice) {
    const struct filter_operation *items = operations->items;
    for (size_t i = 0; i < operations->count; i++) {
        const struct prepend_as_path *prepend = items[i].prepend_as_path;
        if (prepend == NULL) {
            continue;
        }
        char field[ERR_FIELD_MAX];
        (void)snprintf(field, sizeof field, "%s.operations[%zu].prependASPath.prefix", path, i);
        const uint32_t *numbers = prepend->prefix.items;
        for (size_t k = 0; k < prepend->prefix.count; k++) {
            advise_asn(advice, field, numbers[k]);
        }
    }
}

static void advise_rules(const struct list *rules, const char *list_name, struct advice *advice) {
    const struct filter_rule *items = rules->items;
    for (size_t i = 0; i < rules->count && advice->count < ADVICE_MAX; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "spec.%s[%zu]", list_name, i);
        if (matches_nothing(&items[i])) {
            advice_add(advice,
                       "%s.prefixLength: no prefix length is in this range, so the rule matches nothing",
                       path);
        }
        advise_operations(&items[i].operations, path, advice);
        for (size_t k = 0; k < items[i].as_path_prefix.count; k++) {
            char field[80];
            (void)snprintf(field, sizeof field, "%s.asPathPrefix", path);
            advise_asn(advice, field, ((const uint32_t *)items[i].as_path_prefix.items)[k]);
        }
        if (matches_everything(&items[i]) && i + 1 < rules->count) {
            advice_add(advice, "%s: matches every route, so the rules after it are never reached", path);
            return;
        }
    }
}

void bgp_filter_advise(const struct object *object, struct advice *advice) {
    const struct bgp_filter_spec *spec = ((const struct bgp_filter *)object->body)->spec;
    if (spec == NULL) {
        return;
    }
    const struct {
        const struct list *rules;
        const char *name;
    } lists[] = {{&spec->export_v4, "exportV4"},
                 {&spec->import_v4, "importV4"},
                 {&spec->export_v6, "exportV6"},
                 {&spec->import_v6, "importV6"}};
    size_t rules = 0;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        advise_rules(lists[i].rules, lists[i].name, advice);
        advise_order(lists[i].rules, lists[i].name, advice);
        rules += lists[i].rules->count;
    }
    if (rules == 0) {
        advice_add(advice, "spec: has no rules, so the filter changes nothing");
    }
}
