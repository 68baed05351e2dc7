/*
 * FRR: which routes a session takes and gives.
 *
 * Each rule of a BGPFilter has its lists, named after it, and each session that has filters has a route-map
 * for each direction, with an entry for each rule that concerns it and the default at the end. Sessions
 * without filters share the defaults: everything in; out the node's own prefixes and those of the lists
 * `local4` and `local6`, which the host may add; and from a route reflector to its internal peers everything.
 *
 * FRR never matches a list that does not exist, and denies what no entry permits: what is missing closes.
 *
 * "Learned from a peer" cannot be asked for on export (`match source-protocol` is true of every route):
 * there, it is written as "none of the node's own prefixes".
 */
#include <string.h>

#include "frr.h"
#include "text.h"

#define FRR_ENTRY_STEP    10
#define FRR_ENTRY_OWN     65510
#define FRR_ENTRY_LOCAL   65520
#define FRR_ENTRY_DEFAULT 65530

static const char *const FAMILY[2] = {"4", "6"};
static const char *const IP[2] = {"ip", "ipv6"};
static const char *const ANY[2] = {"0.0.0.0/0 le 32", "::/0 le 128"};
static const char *const DIRECTIONS[] = {[DIRECTION_IMPORT] = "import", [DIRECTION_EXPORT] = "export"};

static bool frr_is_family(const struct peering_advertisement *advertisement, size_t family) {
    return (advertisement->prefix.addr.family == IP_V6) == (family == 1);
}

/* ---- lists ---- */

static void frr_add_list_name(struct buf *out, const struct plan_filter *filter, size_t family,
                              enum direction direction, const struct plan_rule *rule) {
    PUT(out, "f.", filter->symbol, ".", DIRECTIONS[direction], FAMILY[family]);
    text_number(out, ".", rule->number, "");
}

/* A prefix-list that has a rule's prefixes. */
static bool frr_needs_prefix_list(const struct plan_rule *rule, enum direction direction) {
    return rule->has_net || (rule->remote_peers && direction == DIRECTION_EXPORT);
}

static void frr_add_range(struct buf *out, const struct plan_rule *rule) {
    if (rule->min > rule->net.prefix) {
        text_number(out, " ge ", rule->min, "");
    }
    if (rule->max > rule->net.prefix) {
        text_number(out, " le ", rule->max, "");
    }
}

struct frr_list {
    struct buf *out;
    const struct plan_filter *filter;
    size_t family;
    enum direction direction;
    const struct plan_rule *rule;
    size_t sequence;
};

static void frr_begin_line(struct frr_list *list) {
    PUT(list->out, IP[list->family], " prefix-list ");
    frr_add_list_name(list->out, list->filter, list->family, list->direction, list->rule);
    list->sequence += 5;
    text_number(list->out, " seq ", list->sequence, "");
}

static void frr_write_prefix_list(const struct plan *plan, struct frr_list *list) {
    const struct plan_rule *rule = list->rule;
    if (rule->remote_peers && list->direction == DIRECTION_EXPORT) {
        for (size_t i = 0; i < plan->list->advertisement_count; i++) {
            if (frr_is_family(&plan->list->advertisements[i], list->family)) {
                frr_begin_line(list);
                PUT(list->out, " deny ", plan->list->advertisements[i].cidr, "\n");
            }
        }
    }
    if (rule->has_net) {
        frr_begin_line(list);
        PUT(list->out, rule->not_net ? " deny " : " permit ", rule->net_text);
        frr_add_range(list->out, rule);
        buf_add_char(list->out, '\n');
    }
    if (!rule->has_net || rule->not_net) {
        frr_begin_line(list);
        PUT(list->out, " permit ", ANY[list->family], "\n");
    }
}

static void frr_write_lists(const struct plan *plan, const struct plan_filter *filter, size_t family,
                            enum direction direction, struct buf *out) {
    const struct plan_rules *rules = &filter->rules[family][direction];
    for (size_t i = 0; i < rules->count; i++) {
        const struct plan_rule *rule = &rules->items[i];
        if (frr_needs_prefix_list(rule, direction)) {
            struct frr_list list = {
                .out = out, .filter = filter, .family = family, .direction = direction, .rule = rule};
            frr_write_prefix_list(plan, &list);
        }
        if (rule->community.parts > 0) {
            buf_add_str(out, rule->community.parts == 2 ? "bgp community-list standard "
                                                        : "bgp large-community-list standard ");
            frr_add_list_name(out, filter, family, direction, rule);
            buf_add_str(out, " seq 5 permit ");
            plan_add_community(out, &rule->community, ":");
            buf_add_char(out, '\n');
        }
        if (rule->path_count > 0) {
            buf_add_str(out, "bgp as-path access-list ");
            frr_add_list_name(out, filter, family, direction, rule);
            buf_add_str(out, " seq 5 permit ");
            for (size_t k = 0; k < rule->path_count; k++) {
                text_number(out, k == 0 ? "^" : "_", rule->path[k], "");
            }
            buf_add_str(out, "(_|$)\n");
        }
    }
}

/* ---- one entry ---- */

static void frr_write_matches(struct buf *out, const struct plan_filter *filter, size_t family,
                              enum direction direction, const struct plan_rule *rule) {
    if (frr_needs_prefix_list(rule, direction)) {
        PUT(out, " match ", IP[family], " address prefix-list ");
        frr_add_list_name(out, filter, family, direction, rule);
        buf_add_char(out, '\n');
    }
    if (rule->community.parts > 0) {
        buf_add_str(out, rule->community.parts == 2 ? " match community " : " match large-community ");
        frr_add_list_name(out, filter, family, direction, rule);
        buf_add_char(out, '\n');
    }
    if (rule->path_count > 0) {
        buf_add_str(out, " match as-path ");
        frr_add_list_name(out, filter, family, direction, rule);
        buf_add_char(out, '\n');
    }
    if (rule->priority > 0) {
        text_number(out, " match local-preference ", PLAN_PRIORITY_BASE - rule->priority, "\n");
    }
}

static void frr_set_communities(struct buf *out, const struct plan_rule *rule, uint8_t parts,
                                const char *command) {
    bool some = false;
    for (size_t i = 0; i < rule->operation_count; i++) {
        const struct plan_operation *operation = &rule->operations[i];
        if (operation->kind == OPERATION_COMMUNITY && operation->community.parts == parts) {
            buf_add_str(out, some ? " " : command);
            plan_add_community(out, &operation->community, ":");
            some = true;
        }
    }
    buf_add_str(out, some ? " additive\n" : "");
}

/* An entry takes each kind of `set` once: of several prepends the last one comes first in the path, and the
 * last priority is the one that counts. */
static void frr_write_sets(struct buf *out, const struct plan_rule *rule) {
    frr_set_communities(out, rule, 2, " set community ");
    frr_set_communities(out, rule, 3, " set large-community ");
    uint32_t priority = 0;
    bool prepends = false;
    for (size_t i = rule->operation_count; i > 0; i--) {
        const struct plan_operation *operation = &rule->operations[i - 1];
        if (operation->kind == OPERATION_PRIORITY && priority == 0) {
            priority = operation->priority;
        }
        if (operation->kind == OPERATION_PREPEND) {
            for (size_t k = 0; k < operation->path_count; k++) {
                text_number(out, prepends ? " " : " set as-path prepend ", operation->path[k], "");
                prepends = true;
            }
        }
    }
    buf_add_str(out, prepends ? "\n" : "");
    if (priority > 0) {
        text_number(out, " set local-preference ", PLAN_PRIORITY_BASE - priority, "\n");
    }
}

/* ---- route-maps ---- */

static const char *frr_direction(enum direction direction) {
    return direction == DIRECTION_IMPORT ? "in." : "out.";
}

size_t frr_rule_count(const struct plan_session *session, enum direction direction) {
    size_t count = 0;
    for (size_t i = 0; i < session->filter_count; i++) {
        const struct plan_rules *rules = &session->filters[i]->rules[plan_family(session)][direction];
        for (size_t k = 0; k < rules->count; k++) {
            count += plan_rule_applies(&rules->items[k], session);
        }
    }
    return count;
}

void frr_add_map(const struct plan *plan, const struct plan_session *session, enum direction direction,
                 struct buf *out) {
    if (session->state != SESSION_ON) {
        buf_add_str(out, "none");
    } else if (frr_rule_count(session, direction) > 0) {
        PUT(out, frr_direction(direction), session->name);
    } else if (direction == DIRECTION_IMPORT || plan_reflects_to(plan, session)) {
        buf_add_str(out, "all");
    } else {
        PUT(out, "own", FAMILY[plan_family(session)]);
    }
}

static void frr_begin_entry(struct buf *out, const char *prefix, const char *name, bool permit,
                            size_t number) {
    PUT(out, "route-map ", prefix, name, permit ? " permit " : " deny ");
    text_number(out, "", number, "\n");
}

/* The node's own prefixes, and nothing else. */
static void frr_write_own(struct buf *out, const char *prefix, const char *name, size_t family) {
    frr_begin_entry(out, prefix, name, true, FRR_ENTRY_OWN);
    PUT(out, " match ", IP[family], " address prefix-list announce", FAMILY[family], "\nexit\n");
    frr_begin_entry(out, prefix, name, true, FRR_ENTRY_LOCAL);
    PUT(out, " match ", IP[family], " address prefix-list local", FAMILY[family], "\nexit\n");
    frr_begin_entry(out, prefix, name, false, FRR_ENTRY_DEFAULT);
    buf_add_str(out, "exit\n");
}

static void frr_write_map(const struct plan *plan, const struct plan_session *session,
                          enum direction direction, struct buf *out) {
    size_t family = plan_family(session);
    const char *prefix = frr_direction(direction);
    size_t number = 0;
    for (size_t i = 0; i < session->filter_count; i++) {
        const struct plan_filter *filter = session->filters[i];
        const struct plan_rules *rules = &filter->rules[family][direction];
        for (size_t k = 0; k < rules->count; k++) {
            const struct plan_rule *rule = &rules->items[k];
            if (!plan_rule_applies(rule, session)) {
                continue;
            }
            number += FRR_ENTRY_STEP;
            frr_begin_entry(out, prefix, session->name, rule->accept, number);
            frr_write_matches(out, filter, family, direction, rule);
            frr_write_sets(out, rule);
            buf_add_str(out, "exit\n");
        }
    }
    if (direction == DIRECTION_EXPORT && !plan_reflects_to(plan, session)) {
        frr_write_own(out, prefix, session->name, family);
    } else {
        frr_begin_entry(out, prefix, session->name, true, FRR_ENTRY_DEFAULT);
        buf_add_str(out, "exit\n");
    }
}

/* ---- what the node announces ---- */

static void frr_set_tags(struct buf *out, const struct peering_advertisement *advertisement, uint8_t parts,
                         const char *command) {
    bool some = false;
    for (size_t i = 0; i < advertisement->community_count; i++) {
        struct plan_community community;
        if (plan_parse_community(advertisement->communities[i], &community) && community.parts == parts) {
            buf_add_str(out, some ? " " : command);
            plan_add_community(out, &community, ":");
            some = true;
        }
    }
    buf_add_str(out, some ? "\n" : "");
}

static void frr_write_announced(const struct plan *plan, struct buf *out) {
    size_t sequence[2] = {0, 0};
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        size_t family = advertisement->prefix.addr.family == IP_V6;
        sequence[family] += 5;
        PUT(out, IP[family], " prefix-list announce", FAMILY[family]);
        text_number(out, " seq ", sequence[family], " permit ");
        PUT(out, advertisement->cidr, "\n");
    }
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        if (advertisement->community_count > 0) {
            frr_begin_entry(out, "tag.", advertisement->cidr, true, FRR_ENTRY_STEP);
            frr_set_tags(out, advertisement, 2, " set community ");
            frr_set_tags(out, advertisement, 3, " set large-community ");
            buf_add_str(out, "exit\n");
        }
    }
}

/* ---- all of it ---- */

static void frr_write_filter(const struct plan *plan, const struct plan_filter *filter, struct buf *out) {
    buf_add_str(out, "! BGPFilter ");
    text_word(out, filter->name);
    buf_add_char(out, '\n');
    for (size_t family = 0; family < 2; family++) {
        frr_write_lists(plan, filter, family, DIRECTION_IMPORT, out);
        frr_write_lists(plan, filter, family, DIRECTION_EXPORT, out);
    }
}

void frr_write_policies(const struct plan *plan, struct buf *out) {
    frr_write_announced(plan, out);
    for (size_t i = 0; i < plan->filter_count; i++) {
        if (!plan->filters[i].unreadable) {
            frr_write_filter(plan, &plan->filters[i], out);
        }
    }
    buf_add_str(out, "route-map none deny 10\nexit\nroute-map all permit 10\nexit\n");
    frr_write_own(out, "own", FAMILY[0], 0);
    frr_write_own(out, "own", FAMILY[1], 1);
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        for (enum direction direction = DIRECTION_IMPORT; direction <= DIRECTION_EXPORT; direction++) {
            if (session->state == SESSION_ON && frr_rule_count(session, direction) > 0) {
                frr_write_map(plan, session, direction, out);
            }
        }
    }
}
