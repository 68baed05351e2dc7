/*
 * BIRD: which routes a session takes and gives.
 *
 * The functions of a BGPFilter accept or reject a route at the first rule that it meets, and otherwise
 * return, so that the next filter, or the default, decides. By default everything is imported, and what is
 * exported are the node's own prefixes: routes with one of its prefixes that no peer has sent, and routes of
 * protocols named `local.…`, which the host adds. A route reflector gives its internal peers what peers have
 * sent.
 *
 * krt_metric is the metric of the kernel's route; the local preference carries the same priority to other
 * nodes.
 */
#include "bird.h"
#include "text.h"

const char *const BIRD_FAMILY[2] = {"4", "6"};

static const char *const DIRECTIONS[] = {[DIRECTION_IMPORT] = "import", [DIRECTION_EXPORT] = "export"};

/* ---- one rule ---- */

static void bird_add_net(struct buf *out, const struct plan_rule *rule) {
    bool only_itself = rule->min == rule->net.prefix && rule->max == rule->net.prefix;
    if (only_itself) {
        PUT(out, rule->not_net ? "(net != " : "(net = ", rule->net_text, ")");
        return;
    }
    PUT(out, rule->not_net ? "(net !~ [" : "(net ~ [", rule->net_text);
    text_number(out, "{", rule->min, ",");
    text_number(out, "", rule->max, "}])");
}

static void bird_add_community(struct buf *out, const struct plan_community *community) {
    buf_add_char(out, '(');
    plan_add_community(out, community, ", ");
    buf_add_char(out, ')');
}

static const char *bird_community_list(const struct plan_community *community) {
    return community->parts == 2 ? "bgp_community" : "bgp_large_community";
}

static void bird_add_and(struct buf *out, bool *some) {
    buf_add_str(out, *some ? " && " : "if ");
    *some = true;
}

/* Returns whether the rule has any. */
static bool bird_add_conditions(struct buf *out, const struct plan_rule *rule) {
    bool some = false;
    if (rule->only_external || rule->only_internal) {
        bird_add_and(out, &some);
        buf_add_str(out, rule->only_internal ? "is_internal" : "!is_internal");
    }
    if (rule->has_net) {
        bird_add_and(out, &some);
        bird_add_net(out, rule);
    }
    if (rule->remote_peers) {
        bird_add_and(out, &some);
        buf_add_str(out, "(source = RTS_BGP)");
    }
    if (rule->interface != NULL) {
        bird_add_and(out, &some);
        PUT(out, "defined(ifname) && (ifname ~ \"", rule->interface, "\")");
    }
    if (rule->community.parts > 0) {
        bird_add_and(out, &some);
        buf_add_char(out, '(');
        bird_add_community(out, &rule->community);
        PUT(out, " ~ ", bird_community_list(&rule->community), ")");
    }
    if (rule->path_count > 0) {
        bird_add_and(out, &some);
        buf_add_str(out, "(bgp_path ~ [=");
        for (size_t i = 0; i < rule->path_count; i++) {
            text_number(out, " ", rule->path[i], "");
        }
        buf_add_str(out, " * =])");
    }
    if (rule->priority > 0) {
        bird_add_and(out, &some);
        text_number(out, "((krt_metric = ", rule->priority, ")");
        text_number(out, " || (bgp_local_pref = ", PLAN_PRIORITY_BASE - rule->priority, "))");
    }
    return some;
}

static void bird_add_operation(struct buf *out, const struct plan_operation *operation) {
    switch (operation->kind) {
    case OPERATION_COMMUNITY:
        PUT(out, bird_community_list(&operation->community), ".add(");
        bird_add_community(out, &operation->community);
        buf_add_str(out, "); ");
        break;
    case OPERATION_PREPEND: /* the last one that is prepended comes first */
        for (size_t i = operation->path_count; i > 0; i--) {
            text_number(out, "bgp_path.prepend(", operation->path[i - 1], "); ");
        }
        break;
    case OPERATION_PRIORITY:
        text_number(out, "krt_metric = ", operation->priority, "; ");
        text_number(out, "bgp_local_pref = ", PLAN_PRIORITY_BASE - operation->priority, "; ");
        break;
    }
}

static void bird_add_rule(struct buf *out, const struct plan_rule *rule) {
    const char *action = rule->accept ? "accept;" : "reject;";
    buf_add_str(out, "  ");
    bool conditional = bird_add_conditions(out, rule);
    if (conditional) {
        buf_add_str(out, " then ");
    }
    if (rule->operation_count == 0) {
        PUT(out, action, "\n");
        return;
    }
    buf_add_str(out, "{ ");
    for (size_t i = 0; i < rule->operation_count; i++) {
        bird_add_operation(out, &rule->operations[i]);
    }
    PUT(out, action, " }\n");
}

/* ---- functions ---- */

static void bird_add_filter_name(struct buf *out, const struct plan_filter *filter, size_t family,
                                 enum direction direction) {
    PUT(out, "'f.", filter->symbol, ".", DIRECTIONS[direction], BIRD_FAMILY[family], "'");
}

static void bird_write_filter(const struct plan_filter *filter, size_t family, enum direction direction,
                              struct buf *out) {
    const struct plan_rules *rules = &filter->rules[family][direction];
    if (rules->count == 0) {
        return;
    }
    buf_add_str(out, "function ");
    bird_add_filter_name(out, filter, family, direction);
    buf_add_str(out, "(bool is_internal)\n{\n");
    for (size_t i = 0; i < rules->count; i++) {
        bird_add_rule(out, &rules->items[i]);
    }
    buf_add_str(out, "}\n");
}

static bool bird_is_family(const struct peering_advertisement *advertisement, size_t family) {
    return (advertisement->prefix.addr.family == IP_V6) == (family == 1);
}

/* The communities of the prefixes that the node announces. */
static void bird_write_tags(const struct plan *plan, size_t family, struct buf *out) {
    PUT(out, "function 'fn.tag", BIRD_FAMILY[family], "'()\n{\n");
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        if (!bird_is_family(advertisement, family) || advertisement->community_count == 0) {
            continue;
        }
        PUT(out, "  if (source != RTS_BGP) && (net = ", advertisement->cidr, ") then {");
        for (size_t c = 0; c < advertisement->community_count; c++) {
            struct plan_community community;
            if (plan_parse_community(advertisement->communities[c], &community)) {
                PUT(out, " ", bird_community_list(&community), ".add(");
                bird_add_community(out, &community);
                buf_add_str(out, ");");
            }
        }
        buf_add_str(out, " }\n");
    }
    buf_add_str(out, "}\n");
}

static void bird_write_export(const struct plan *plan, size_t family, struct buf *out) {
    PUT(out, "function 'fn.own", BIRD_FAMILY[family], "'()\n{\n");
    const char *before = "  if (source != RTS_BGP) && (net ~ [";
    bool some = false;
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        if (bird_is_family(advertisement, family)) {
            PUT(out, some ? ", " : before, advertisement->cidr);
            some = true;
        }
    }
    PUT(out, some ? "]) then accept;\n" : "", "  if proto ~ \"local.*\" then accept;\n}\n");
}

void bird_write_functions(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct plan_filter *filter = &plan->filters[i];
        if (filter->unreadable) {
            continue;
        }
        buf_add_str(out, "# BGPFilter ");
        text_word(out, filter->name);
        buf_add_char(out, '\n');
        for (size_t family = 0; family < 2; family++) {
            bird_write_filter(filter, family, DIRECTION_IMPORT, out);
            bird_write_filter(filter, family, DIRECTION_EXPORT, out);
        }
    }
    for (size_t family = 0; family < 2; family++) {
        bird_write_tags(plan, family, out);
        bird_write_export(plan, family, out);
    }
}

/* ---- channels ---- */

static void bird_call_filters(const struct plan_session *session, enum direction direction, struct buf *out) {
    size_t family = plan_family(session);
    for (size_t i = 0; i < session->filter_count; i++) {
        if (session->filters[i]->rules[family][direction].count > 0) {
            bird_add_filter_name(out, session->filters[i], family, direction);
            PUT(out, session->entry->external ? "(false); " : "(true); ");
        }
    }
}

void bird_write_policy(const struct plan *plan, const struct plan_session *session, struct buf *out) {
    if (session->state != SESSION_ON) {
        buf_add_str(out, "    import none;\n    export none;\n");
        return;
    }
    const char *family = BIRD_FAMILY[plan_family(session)];
    buf_add_str(out, "    import filter { ");
    bird_call_filters(session, DIRECTION_IMPORT, out);
    PUT(out, "accept; };\n    export filter { 'fn.tag", family, "'(); ");
    bird_call_filters(session, DIRECTION_EXPORT, out);
    PUT(out, "'fn.own", family, "'(); ");
    if (plan_reflects_to(plan, session)) {
        buf_add_str(out, "if source = RTS_BGP then accept; ");
    }
    buf_add_str(out, "reject; };\n");
}
