/*
 * BGPFilters lowered: what their rules mean without options and defaults, numbers and networks parsed.
 *
 * A prefix condition is a network and a range of lengths: Equal is the range of the network's own length, In
 * goes on to the longest, prefixLength narrows both, NotEqual and NotIn are their opposites. A rule that no
 * route can meet is left out; a condition that every route meets is none. What the resource's own validation
 * would refuse makes the filter unreadable, so that sessions that name it are disabled.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/random.h"
#include "model/resources.h"
#include "plan.h"
#include "text.h"

/* ---- communities ---- */

bool plan_parse_community(const char *text, struct plan_community *ret) {
    struct plan_community community = {.parts = 0};
    const char *at = text;
    for (;;) {
        size_t len = strcspn(at, ":");
        uint64_t number;
        if (community.parts == 3 || !u64_parse(at, len, UINT32_MAX, &number)) {
            return false;
        }
        community.part[community.parts++] = (uint32_t)number;
        if (at[len] == '\0') {
            break;
        }
        at += len + 1;
    }
    if (community.parts == 2 && (community.part[0] > UINT16_MAX || community.part[1] > UINT16_MAX)) {
        return false;
    }
    if (community.parts < 2) {
        return false;
    }
    *ret = community;
    return true;
}

void plan_add_community(struct buf *out, const struct plan_community *community, const char *separator) {
    for (size_t i = 0; i < community->parts; i++) {
        text_number(out, i == 0 ? "" : separator, community->part[i], "");
    }
}

/* ---- conditions ---- */

enum lowered { LOWERED, LOWERED_NEVER, LOWERED_UNREADABLE };

static bool rule_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static void rule_mask(struct ip_cidr *cidr) {
    for (size_t i = 0; i < sizeof(cidr->addr.bytes); i++) {
        size_t bits = cidr->prefix > i * 8 ? cidr->prefix - i * 8 : 0;
        if (bits < 8) {
            cidr->addr.bytes[i] &= (uint8_t)(0xff00u >> bits);
        }
    }
}

/* A bound of the range of lengths; false: it is no length of the family. */
static bool rule_bound(const struct opt_int *bound, uint8_t longest, uint8_t *ret) {
    if (!bound->set) {
        return true;
    }
    if (bound->value < 0 || bound->value > longest) {
        return false;
    }
    *ret = (uint8_t)bound->value;
    return true;
}

static enum lowered rule_lower_net(const struct filter_rule *source, uint8_t family, struct plan_rule *rule) {
    static const struct {
        const char *name;
        bool not_net, equal;
    } OPERATORS[] = {
        {"Equal", false, true}, {"NotEqual", true, true}, {"In", false, false}, {"NotIn", true, false}};
    if (!rule_given(source->cidr)) {
        return LOWERED;
    }
    size_t kind = 0;
    while (kind < 4 && !(rule_given(source->match_operator) &&
                         strcmp(source->match_operator, OPERATORS[kind].name) == 0)) {
        kind++;
    }
    uint8_t longest = family == IP_V4 ? 32 : 128;
    if (kind == 4 || !ip_parse_cidr(source->cidr, strlen(source->cidr), &rule->net) ||
        rule->net.addr.family != family) {
        return LOWERED_UNREADABLE;
    }
    rule_mask(&rule->net);
    uint8_t low = rule->net.prefix;
    uint8_t high = longest;
    if (source->prefix_length != NULL && (!rule_bound(&source->prefix_length->min, longest, &low) ||
                                          !rule_bound(&source->prefix_length->max, longest, &high))) {
        return LOWERED_UNREADABLE;
    }
    rule->min = low > rule->net.prefix ? low : rule->net.prefix;
    rule->max = OPERATORS[kind].equal && high > rule->net.prefix ? rule->net.prefix : high;
    rule->not_net = OPERATORS[kind].not_net;
    if (rule->min > rule->max) { /* no prefix is in the range, so all are outside of it */
        return rule->not_net ? LOWERED : LOWERED_NEVER;
    }
    rule->has_net = true;
    char address[IP_TEXT_MAX];
    (void)ip_format(&rule->net.addr, address);
    (void)snprintf(rule->net_text, sizeof(rule->net_text), "%s/%u", address, rule->net.prefix);
    return LOWERED;
}

bool plan_is_interface(const char *text) {
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*-";
    size_t len = strlen(text);
    return len >= 1 && len <= 15 && strspn(text, ALLOWED) == len;
}

/* One of two words, or none. */
static bool rule_word(const char *text, const char *first, bool *ret_first, const char *second,
                      bool *ret_second) {
    if (!rule_given(text)) {
        return true;
    }
    *ret_first = strcmp(text, first) == 0;
    if (!*ret_first && second != NULL) {
        *ret_second = strcmp(text, second) == 0;
        return *ret_second;
    }
    return *ret_first;
}

static bool rule_lower_conditions(const struct filter_rule *source, struct plan_rule *rule) {
    if (rule_given(source->interface)) {
        rule->interface = source->interface;
        if (!plan_is_interface(source->interface)) {
            return false;
        }
    }
    if (source->communities != NULL &&
        (source->communities->values.count != 1 ||
         !plan_parse_community(source->communities->values.items[0], &rule->community))) {
        return false;
    }
    rule->path_count = source->as_path_prefix.count;
    rule->path = source->as_path_prefix.items;
    if (source->priority.set) {
        if (source->priority.value < 1 || source->priority.value > PLAN_PRIORITY_BASE) {
            return false;
        }
        rule->priority = (uint32_t)source->priority.value;
    }
    return rule_word(source->source, "RemotePeers", &rule->remote_peers, NULL, NULL) &&
           rule_word(source->peer_type, "eBGP", &rule->only_external, "iBGP", &rule->only_internal);
}

/* ---- operations ---- */

static bool rule_lower_operation(const struct filter_operation *source, struct plan_operation *ret) {
    if (source->add_community != NULL && source->add_community->value != NULL) {
        ret->kind = OPERATION_COMMUNITY;
        return plan_parse_community(source->add_community->value, &ret->community);
    }
    if (source->prepend_as_path != NULL) {
        ret->kind = OPERATION_PREPEND;
        ret->path_count = source->prepend_as_path->prefix.count;
        ret->path = source->prepend_as_path->prefix.items;
        return ret->path_count > 0;
    }
    if (source->set_priority != NULL && source->set_priority->value.set) {
        int64_t priority = source->set_priority->value.value;
        ret->kind = OPERATION_PRIORITY;
        ret->priority = (uint32_t)priority;
        return priority >= 1 && priority <= PLAN_PRIORITY_BASE;
    }
    return false;
}

static enum lowered rule_lower(const struct filter_rule *source, uint8_t family, struct arena *arena,
                               struct plan_rule *rule) {
    bool accept = false, reject = false;
    if (!rule_given(source->action) || !rule_word(source->action, "Accept", &accept, "Reject", &reject) ||
        !rule_lower_conditions(source, rule)) {
        return LOWERED_UNREADABLE;
    }
    rule->accept = accept;
    if (source->operations.count > 0) {
        const struct filter_operation *operations = source->operations.items;
        struct plan_operation *lowered = arena_array(arena, source->operations.count, sizeof(*lowered));
        if (lowered == NULL) {
            return LOWERED_UNREADABLE;
        }
        for (size_t i = 0; i < source->operations.count; i++) {
            if (!rule_lower_operation(&operations[i], &lowered[i])) {
                return LOWERED_UNREADABLE;
            }
        }
        rule->operation_count = source->operations.count;
        rule->operations = lowered;
    }
    return rule_lower_net(source, family, rule);
}

/* ---- filters ---- */

/* The filter's name, or, when daemons take no name like it, its beginning and a digest of it: the colon
 * between them is in no filter's name, so that no filter can be named like another one's symbol. */
static const char *filter_symbol(const char *name, struct arena *arena) {
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);
    size_t plain = strspn(name, ALLOWED);
    if (plain == len && len <= PLAN_SYMBOL_MAX) {
        return name;
    }
    char digest[DIGEST_TEXT_MAX];
    digest_hex(name, len, digest);
    const int begin = PLAN_SYMBOL_MAX - 17;
    return arena_printf(arena, "%.*s:%.16s", plain < (size_t)begin ? (int)plain : begin, name, digest);
}

static bool filter_lower_rules(const struct list *source, uint8_t family, struct arena *arena,
                               struct plan_filter *filter, struct plan_rules *ret) {
    const struct filter_rule *rules = source->items;
    struct plan_rule *lowered = arena_array(arena, source->count, sizeof(*lowered));
    if (lowered == NULL) {
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < source->count; i++) {
        lowered[count] = (struct plan_rule){.number = i + 1};
        enum lowered outcome = rule_lower(&rules[i], family, arena, &lowered[count]);
        filter->unreadable = filter->unreadable || outcome == LOWERED_UNREADABLE;
        count += outcome == LOWERED;
    }
    *ret = (struct plan_rules){.count = count, .items = lowered};
    return !arena->failed;
}

bool plan_lower_filter(const struct peering_filter *source, struct arena *arena, struct plan_filter *ret) {
    *ret = (struct plan_filter){.name = source->name, .symbol = filter_symbol(source->name, arena)};
    const struct bgp_filter_spec *spec = source->spec;
    if (ret->symbol == NULL || spec == NULL) {
        return ret->symbol != NULL;
    }
    return filter_lower_rules(&spec->import_v4, IP_V4, arena, ret, &ret->rules[0][DIRECTION_IMPORT]) &&
           filter_lower_rules(&spec->export_v4, IP_V4, arena, ret, &ret->rules[0][DIRECTION_EXPORT]) &&
           filter_lower_rules(&spec->import_v6, IP_V6, arena, ret, &ret->rules[1][DIRECTION_IMPORT]) &&
           filter_lower_rules(&spec->export_v6, IP_V6, arena, ret, &ret->rules[1][DIRECTION_EXPORT]);
}
