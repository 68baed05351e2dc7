/*
 * OpenBGPD: which routes the sessions take and give, as `quick` rules: the first that matches decides.
 *
 * There is no "not" in its rules. The prefixes outside of a network are therefore written as a set: those
 * that differ from the network in a bit of it, those that contain it, and its parts of lengths out of the
 * range.
 */
#include "openbgpd.h"

#include <stdio.h>

#include "text.h"

static const char *const DIRECTIONS[] = {[DIRECTION_IMPORT] = "import", [DIRECTION_EXPORT] = "export"};
static const char *const FAMILY[2] = {"4", "6"};

/* ---- what can be expressed ---- */

bool openbgpd_takes_rule(const struct plan_rule *rule, enum direction direction, enum list_field *ret) {
    if (rule->interface != NULL) {
        *ret = FIELD_RULE_INTERFACE;
    } else if (rule->priority > 0) {
        *ret = FIELD_RULE_PRIORITY;
    } else if (rule->path_count > 1) {
        *ret = FIELD_RULE_AS_PATH;
    } else if (rule->remote_peers && direction == DIRECTION_EXPORT) {
        *ret = FIELD_RULE_SOURCE;
    } else {
        for (size_t i = 0; i < rule->operation_count; i++) {
            if (rule->operations[i].kind == OPERATION_PREPEND) {
                *ret = FIELD_PREPEND;
                return false;
            }
        }
        return true;
    }
    return false;
}

/* ---- sets of prefixes outside of a network ---- */

static void openbgpd_add_set_name(struct buf *out, const struct plan_filter *filter, size_t family,
                                  enum direction direction, const struct plan_rule *rule) {
    PUT(out, "prefix-set \"f.", filter->symbol, ".", DIRECTIONS[direction], FAMILY[family]);
    text_number(out, ".", rule->number, "\"");
}

/* The first `len` bits of `address`, of which the last one is turned when `turned`. */
static void openbgpd_add_prefix(struct buf *out, const struct ip_addr *address, uint8_t len, bool turned) {
    struct ip_addr cut = {.family = address->family};
    for (size_t bit = 0; bit < len; bit++) {
        unsigned value = (unsigned)address->bytes[bit / 8] >> (7 - bit % 8) & 1u;
        value ^= turned && bit + 1 == len;
        cut.bytes[bit / 8] |= (uint8_t)(value << (7 - bit % 8));
    }
    char text[IP_TEXT_MAX];
    (void)ip_format(&cut, text);
    PUT(out, "  ", text);
    text_number(out, "/", len, "");
}

static void openbgpd_write_outside(struct buf *out, const struct plan_rule *rule) {
    const struct ip_addr *address = &rule->net.addr;
    uint8_t longest = address->family == IP_V4 ? 32 : 128;
    for (uint8_t len = 0; len < rule->net.prefix; len++) {
        openbgpd_add_prefix(out, address, len, false); /* it contains the network */
        buf_add_char(out, '\n');
        openbgpd_add_prefix(out, address, len + 1, true);
        buf_add_str(out, " or-longer\n");
    }
    if (rule->min > rule->net.prefix) {
        PUT(out, "  ", rule->net_text);
        text_number(out, " prefixlen ", rule->net.prefix, " - ");
        text_number(out, "", rule->min - 1u, "\n");
    }
    if (rule->max < longest) {
        PUT(out, "  ", rule->net_text);
        text_number(out, " prefixlen ", rule->max + 1u, " - ");
        text_number(out, "", longest, "\n");
    }
}

/* Does any prefix lie outside? */
static bool openbgpd_has_outside(const struct plan_rule *rule) {
    uint8_t longest = rule->net.addr.family == IP_V4 ? 32 : 128;
    return rule->net.prefix > 0 || rule->min > 0 || rule->max < longest;
}

static void openbgpd_write_sets(const struct plan_filter *filter, size_t family, enum direction direction,
                                struct buf *out) {
    const struct plan_rules *rules = &filter->rules[family][direction];
    for (size_t i = 0; i < rules->count; i++) {
        const struct plan_rule *rule = &rules->items[i];
        if (rule->has_net && rule->not_net && openbgpd_has_outside(rule)) {
            openbgpd_add_set_name(out, filter, family, direction, rule);
            buf_add_str(out, " {\n");
            openbgpd_write_outside(out, rule);
            buf_add_str(out, "}\n");
        }
    }
}

/* ---- rules ---- */

static void openbgpd_add_net(struct buf *out, const struct plan_filter *filter, size_t family,
                             enum direction direction, const struct plan_rule *rule) {
    buf_add_char(out, ' ');
    if (rule->not_net) {
        openbgpd_add_set_name(out, filter, family, direction, rule);
        return;
    }
    PUT(out, "prefix ", rule->net_text);
    if (rule->max > rule->net.prefix) {
        text_number(out, " prefixlen ", rule->min, " - ");
        text_number(out, "", rule->max, "");
    }
}

static void openbgpd_add_sets(struct buf *out, const struct plan_rule *rule) {
    uint32_t priority = 0;
    bool some = false;
    for (size_t i = 0; i < rule->operation_count; i++) {
        const struct plan_operation *operation = &rule->operations[i];
        if (operation->kind == OPERATION_COMMUNITY) {
            PUT(out, some ? "" : " set {",
                operation->community.parts == 2 ? " community " : " large-community ");
            plan_add_community(out, &operation->community, ":");
            some = true;
        } else if (operation->kind == OPERATION_PRIORITY) {
            priority = operation->priority;
        }
    }
    if (priority > 0) {
        text_number(out, some ? " localpref " : " set { localpref ", PLAN_PRIORITY_BASE - priority, "");
        some = true;
    }
    buf_add_str(out, some ? " }\n" : "\n");
}

static void openbgpd_write_rule(struct buf *out, const struct plan_session *session,
                                const struct plan_filter *filter, enum direction direction,
                                const struct plan_rule *rule) {
    if (rule->has_net && rule->not_net && !openbgpd_has_outside(rule)) {
        return; /* no prefix is outside of all of them */
    }
    PUT(out, rule->accept ? "allow" : "deny", direction == DIRECTION_IMPORT ? " quick from " : " quick to ",
        session->entry->address_text);
    if (rule->has_net) {
        openbgpd_add_net(out, filter, plan_family(session), direction, rule);
    }
    if (rule->path_count > 0) {
        text_number(out, " peer-as ", rule->path[0], "");
    }
    if (rule->community.parts > 0) {
        buf_add_str(out, rule->community.parts == 2 ? " community " : " large-community ");
        plan_add_community(out, &rule->community, ":");
    }
    openbgpd_add_sets(out, rule);
}

static void openbgpd_write_filters(const struct plan_session *session, enum direction direction,
                                   struct buf *out) {
    for (size_t i = 0; i < session->filter_count; i++) {
        const struct plan_rules *rules = &session->filters[i]->rules[plan_family(session)][direction];
        for (size_t k = 0; k < rules->count; k++) {
            if (plan_rule_applies(&rules->items[k], session)) {
                openbgpd_write_rule(out, session, session->filters[i], direction, &rules->items[k]);
            }
        }
    }
}

/* ---- all of it ---- */

static void openbgpd_write_own(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->list->advertisement_count; i++) {
        PUT(out, "allow quick to any prefix ", plan->list->advertisements[i].cidr, "\n");
    }
}

void openbgpd_write_policies(const struct plan *plan, const char *local_file, struct buf *out) {
    for (size_t i = 0; i < plan->filter_count; i++) {
        for (size_t family = 0; family < 2 && !plan->filters[i].unreadable; family++) {
            openbgpd_write_sets(&plan->filters[i], family, DIRECTION_IMPORT, out);
            openbgpd_write_sets(&plan->filters[i], family, DIRECTION_EXPORT, out);
        }
    }
    for (size_t i = 0; i < plan->session_count; i++) {
        const struct plan_session *session = &plan->sessions[i];
        const char *address = session->entry->address_text;
        if (session->state == SESSION_ON) {
            openbgpd_write_filters(session, DIRECTION_IMPORT, out);
            openbgpd_write_filters(session, DIRECTION_EXPORT, out);
        } else if (session->state == SESSION_DISABLED) {
            PUT(out, "deny quick from ", address, "\ndeny quick to ", address, "\n");
        }
    }
    PUT(out, "include \"", local_file, "\"\n");
    buf_add_str(out, "allow quick from any\n");
    openbgpd_write_own(plan, out);
    buf_add_str(out, plan->reflects ? "allow quick to ibgp\n" : "");
    buf_add_str(out, "deny quick to any\n");
}
