/*
 * GoBGP: which routes the sessions take and give. One import and one export policy are for all sessions; each
 * of their statements names the session that it is about.
 *
 * The export policy, in order: communities and next hops, which go on to the next statement; the rules of the
 * filters, which decide; the routes that began here (the prefixes told to the daemon at run time, by us or by
 * the host); and from a route reflector everything to its internal peers. What is left is rejected.
 *
 * A statement prepends one AS number, as often as wanted. Several different ones are several statements with
 * the same conditions, of which only the last one decides.
 */
#include "gobgp.h"

#include "text.h"

#define STATEMENT "policy-definitions.statements"

static const char *const DIRECTIONS[] = {[DIRECTION_IMPORT] = "import", [DIRECTION_EXPORT] = "export"};
static const char *const FAMILY[2] = {"4", "6"};

/* ---- what can be expressed ---- */

/* How many statements its prepends need: runs of equal AS numbers. */
static size_t gobgp_prepend_count(const struct plan_rule *rule) {
    size_t count = 0;
    uint32_t last = 0;
    for (size_t i = 0; i < rule->operation_count; i++) {
        const struct plan_operation *operation = &rule->operations[i];
        for (size_t k = operation->kind == OPERATION_PREPEND ? operation->path_count : 0; k > 0; k--) {
            count += count == 0 || operation->path[k - 1] != last;
            last = operation->path[k - 1];
        }
    }
    return count;
}

bool gobgp_takes_rule(const struct plan_rule *rule, const struct plan_session *session,
                      enum direction direction, enum list_field *ret) {
    size_t prepends = gobgp_prepend_count(rule);
    bool own_as_comes_last = prepends > 0 && direction == DIRECTION_EXPORT && session->entry->external;
    if (rule->interface != NULL) {
        *ret = FIELD_RULE_INTERFACE;
    } else if (rule->priority > 0) {
        *ret = FIELD_RULE_PRIORITY;
    } else if (own_as_comes_last || (prepends > 1 && rule->path_count > 0)) {
        *ret = FIELD_PREPEND;
    } else {
        return true;
    }
    return false;
}

/* ---- sets ---- */

static void gobgp_add_rule_name(struct buf *out, const struct plan_filter *filter, size_t family,
                                enum direction direction, const struct plan_rule *rule) {
    PUT(out, "\"f.", filter->symbol, ".", DIRECTIONS[direction], FAMILY[family]);
    text_number(out, ".", rule->number, "\"");
}

static void gobgp_write_sets(const struct plan_filter *filter, size_t family, enum direction direction,
                             struct buf *out) {
    const struct plan_rules *rules = &filter->rules[family][direction];
    for (size_t i = 0; i < rules->count; i++) {
        const struct plan_rule *rule = &rules->items[i];
        if (rule->has_net) {
            buf_add_str(out, "[[defined-sets.prefix-sets]]\nprefix-set-name = ");
            gobgp_add_rule_name(out, filter, family, direction, rule);
            PUT(out, "\n[[defined-sets.prefix-sets.prefix-list]]\nip-prefix = \"", rule->net_text, "\"\n");
            text_number(out, "masklength-range = \"", rule->min, "..");
            text_number(out, "", rule->max, "\"\n");
        }
        if (rule->community.parts > 0) {
            const char *kind = rule->community.parts == 2 ? "" : "large-";
            PUT(out, "[[defined-sets.bgp-defined-sets.", kind, "community-sets]]\n", kind,
                "community-set-name = ");
            gobgp_add_rule_name(out, filter, family, direction, rule);
            PUT(out, "\n", kind, "community-list = [\"");
            plan_add_community(out, &rule->community, ":");
            buf_add_str(out, "\"]\n");
        }
        if (rule->path_count > 0) {
            buf_add_str(out, "[[defined-sets.bgp-defined-sets.as-path-sets]]\nas-path-set-name = ");
            gobgp_add_rule_name(out, filter, family, direction, rule);
            buf_add_str(out, "\nas-path-list = [\"");
            for (size_t k = 0; k < rule->path_count; k++) {
                text_number(out, k == 0 ? "^" : "_", rule->path[k], "");
            }
            buf_add_str(out, "(_|$)\"]\n");
        }
    }
}

static void gobgp_write_neighbor_set(struct buf *out, const char *address) {
    PUT(out, "[[defined-sets.neighbor-sets]]\nneighbor-set-name = \"n.", address,
        "\"\nneighbor-info-list = [\"", address, "\"]\n");
}

static void gobgp_write_all_sets(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->filter_count; i++) {
        for (size_t family = 0; family < 2 && !plan->filters[i].unreadable; family++) {
            gobgp_write_sets(&plan->filters[i], family, DIRECTION_IMPORT, out);
            gobgp_write_sets(&plan->filters[i], family, DIRECTION_EXPORT, out);
        }
    }
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        if (advertisement->community_count > 0) {
            PUT(out, "[[defined-sets.prefix-sets]]\nprefix-set-name = \"tag.", advertisement->cidr,
                "\"\n[[defined-sets.prefix-sets.prefix-list]]\nip-prefix = \"", advertisement->cidr, "\"\n");
        }
    }
    for (size_t i = 0; i < plan->session_count; i++) {
        if (plan->sessions[i].state != SESSION_LEFT_OUT) {
            gobgp_write_neighbor_set(out, plan->sessions[i].entry->address_text);
        }
    }
}

/* ---- statements ---- */

static void gobgp_begin_statement(struct buf *out, size_t *number, const char *direction) {
    *number += 1;
    PUT(out, "[[" STATEMENT "]]\nname = \"", direction);
    text_number(out, ".", *number, "\"\n");
}

static void gobgp_match_neighbor(struct buf *out, const struct plan_session *session) {
    PUT(out, "[" STATEMENT ".conditions.match-neighbor-set]\nneighbor-set = \"n.",
        session->entry->address_text, "\"\n");
}

static void gobgp_match_route_type(struct buf *out, const char *type) {
    PUT(out, "[" STATEMENT ".conditions.bgp-conditions]\nroute-type = \"", type, "\"\n");
}

static void gobgp_decide(struct buf *out, bool accept) {
    PUT(out, "[" STATEMENT ".actions]\nroute-disposition = \"", accept ? "accept-route" : "reject-route",
        "\"\n");
}

struct gobgp_rule {
    const struct plan_filter *filter;
    size_t family;
    enum direction direction;
    const struct plan_rule *rule;
    const struct plan_session *session;
    const char *route_type; /* NULL: any */
};

static void gobgp_write_conditions(struct buf *out, const struct gobgp_rule *r) {
    const struct plan_rule *rule = r->rule;
    gobgp_match_neighbor(out, r->session);
    if (rule->has_net) {
        buf_add_str(out, "[" STATEMENT ".conditions.match-prefix-set]\nprefix-set = ");
        gobgp_add_rule_name(out, r->filter, r->family, r->direction, rule);
        buf_add_str(out, rule->not_net ? "\nmatch-set-options = \"invert\"\n" : "\n");
    }
    if (r->route_type != NULL) {
        gobgp_match_route_type(out, r->route_type);
    }
    if (rule->community.parts > 0) {
        const char *kind = rule->community.parts == 2 ? "" : "large-";
        PUT(out, "[" STATEMENT ".conditions.bgp-conditions.match-", kind, "community-set]\n", kind,
            "community-set = ");
        gobgp_add_rule_name(out, r->filter, r->family, r->direction, rule);
        buf_add_char(out, '\n');
    }
    if (rule->path_count > 0) {
        buf_add_str(out, "[" STATEMENT ".conditions.bgp-conditions.match-as-path-set]\nas-path-set = ");
        gobgp_add_rule_name(out, r->filter, r->family, r->direction, rule);
        buf_add_char(out, '\n');
    }
}

static void gobgp_set_communities(struct buf *out, const struct plan_rule *rule, uint8_t parts) {
    const char *kind = parts == 2 ? "set-community" : "set-large-community";
    bool some = false;
    for (size_t i = 0; i < rule->operation_count; i++) {
        const struct plan_operation *operation = &rule->operations[i];
        if (operation->kind == OPERATION_COMMUNITY && operation->community.parts == parts) {
            if (!some) {
                PUT(out, "[" STATEMENT ".actions.bgp-actions.", kind, "]\noptions = \"add\"\n",
                    "[" STATEMENT ".actions.bgp-actions.", kind, ".", kind, "-method]\ncommunities-list = [");
            }
            buf_add_str(out, some ? ", \"" : "\"");
            plan_add_community(out, &operation->community, ":");
            buf_add_char(out, '"');
            some = true;
        }
    }
    buf_add_str(out, some ? "]\n" : "");
}

static void gobgp_write_prepend(struct buf *out, uint32_t as_number, size_t times) {
    text_number(out, "[" STATEMENT ".actions.bgp-actions.set-as-path-prepend]\nas = \"", as_number, "\"\n");
    text_number(out, "repeat-n = ", times, "\n");
}

/* All runs of prepended AS numbers but the last one, each in a statement of its own that goes on; *ret_as and
 * *ret_times are that last one. */
static void gobgp_write_prepends(struct buf *out, size_t *number, const struct gobgp_rule *r,
                                 uint32_t *ret_as, size_t *ret_times) {
    uint32_t as_number = 0;
    size_t times = 0;
    for (size_t i = 0; i < r->rule->operation_count; i++) {
        const struct plan_operation *operation = &r->rule->operations[i];
        for (size_t k = operation->kind == OPERATION_PREPEND ? operation->path_count : 0; k > 0; k--) {
            if (times > 0 && operation->path[k - 1] != as_number) {
                gobgp_begin_statement(out, number, DIRECTIONS[r->direction]);
                gobgp_write_conditions(out, r);
                gobgp_write_prepend(out, as_number, times);
                times = 0;
            }
            as_number = operation->path[k - 1];
            times++;
        }
    }
    *ret_as = as_number;
    *ret_times = times;
}

static void gobgp_write_rule(struct buf *out, size_t *number, const struct gobgp_rule *r) {
    uint32_t as_number, priority = 0;
    size_t times;
    gobgp_write_prepends(out, number, r, &as_number, &times);
    gobgp_begin_statement(out, number, DIRECTIONS[r->direction]);
    gobgp_write_conditions(out, r);
    gobgp_decide(out, r->rule->accept);
    for (size_t i = 0; i < r->rule->operation_count; i++) {
        priority =
            r->rule->operations[i].kind == OPERATION_PRIORITY ? r->rule->operations[i].priority : priority;
    }
    if (priority > 0) {
        text_number(out,
                    "[" STATEMENT ".actions.bgp-actions]\nset-local-pref = ", PLAN_PRIORITY_BASE - priority,
                    "\n");
    }
    if (times > 0) {
        gobgp_write_prepend(out, as_number, times);
    }
    gobgp_set_communities(out, r->rule, 2);
    gobgp_set_communities(out, r->rule, 3);
}

static void gobgp_write_filters(const struct plan_session *session, enum direction direction, size_t *number,
                                struct buf *out) {
    size_t family = plan_family(session);
    for (size_t i = 0; i < session->filter_count; i++) {
        const struct plan_rules *rules = &session->filters[i]->rules[family][direction];
        for (size_t k = 0; k < rules->count; k++) {
            struct gobgp_rule rule = {.filter = session->filters[i],
                                      .family = family,
                                      .direction = direction,
                                      .rule = &rules->items[k],
                                      .session = session};
            if (!plan_rule_applies(rule.rule, session)) {
                continue;
            }
            /* What comes in was learned from a peer anyway. */
            bool learned = rule.rule->remote_peers && direction == DIRECTION_EXPORT;
            rule.route_type = learned ? "external" : NULL;
            gobgp_write_rule(out, number, &rule);
            if (learned) {
                rule.route_type = "internal";
                gobgp_write_rule(out, number, &rule);
            }
        }
    }
}

/* ---- the two policies ---- */

static void gobgp_write_tags(const struct plan *plan, size_t *number, struct buf *out) {
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        const struct peering_advertisement *advertisement = &plan->list->advertisements[i];
        for (uint8_t parts = 2; parts <= 3; parts++) {
            bool some = false;
            for (size_t c = 0; c < advertisement->community_count; c++) {
                struct plan_community community;
                if (!plan_parse_community(advertisement->communities[c], &community) ||
                    community.parts != parts) {
                    continue;
                }
                const char *kind = parts == 2 ? "set-community" : "set-large-community";
                if (!some) {
                    gobgp_begin_statement(out, number, "export");
                    PUT(out, "[" STATEMENT ".conditions.match-prefix-set]\nprefix-set = \"tag.",
                        advertisement->cidr, "\"\n");
                    gobgp_match_route_type(out, "local");
                    PUT(out, "[" STATEMENT ".actions.bgp-actions.", kind, "]\noptions = \"add\"\n",
                        "[" STATEMENT ".actions.bgp-actions.", kind, ".", kind,
                        "-method]\ncommunities-list = [");
                }
                buf_add_str(out, some ? ", \"" : "\"");
                plan_add_community(out, &community, ":");
                buf_add_char(out, '"');
                some = true;
            }
            buf_add_str(out, some ? "]\n" : "");
        }
    }
}

static void gobgp_write_export(const struct plan *plan, struct buf *out) {
    size_t number = 0;
    buf_add_str(out, "[[policy-definitions]]\nname = \"export\"\n");
    gobgp_write_tags(plan, &number, out);
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        if (session->state != SESSION_ON) {
            continue;
        }
        if (session->entry->next_hop != NULL) {
            gobgp_begin_statement(out, &number, "export");
            gobgp_match_neighbor(out, session);
            PUT(out, "[" STATEMENT ".actions.bgp-actions]\nset-next-hop = \"",
                session->entry->next_hop[0] == 'S' ? "self" : "unchanged", "\"\n");
        }
        gobgp_write_filters(session, DIRECTION_EXPORT, &number, out);
    }
    gobgp_begin_statement(out, &number, "export");
    gobgp_match_route_type(out, "local");
    gobgp_decide(out, true);
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        if (session->state == SESSION_ON && plan_reflects_to(plan, session)) {
            gobgp_begin_statement(out, &number, "export");
            gobgp_match_neighbor(out, session);
            gobgp_decide(out, true);
        }
    }
}

void gobgp_write_policies(const struct plan *plan, struct buf *out) {
    size_t number = 0;
    gobgp_write_all_sets(plan, out);
    buf_add_str(out, "[[policy-definitions]]\nname = \"import\"\n");
    for (size_t i = 0; i < plan->session_count; i++) {
        if (plan->sessions[i].state == SESSION_ON) {
            gobgp_write_filters(&plan->sessions[i], DIRECTION_IMPORT, &number, out);
        }
    }
    gobgp_write_export(plan, out);
    buf_add_str(out, "[global.apply-policy.config]\n"
                     "import-policy-list = [\"import\"]\ndefault-import-policy = \"accept-route\"\n"
                     "export-policy-list = [\"export\"]\ndefault-export-policy = \"reject-route\"\n");
}
