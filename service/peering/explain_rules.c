/*
 * Explanations, first part: for every BGPPeer, which of its conditions hold for the two ends in question.
 *
 *   forward  it applies to this node and means the remote
 *   reverse  it applies to the remote and means this node, so that this node gets the far end of it
 *   mirror   after a forward match: does the remote get the far end
 *
 * The conditions are those of rule_applies() and rule_reaches(), one by one. BGPPeers that touch neither end
 * are listed without the truth values of their selectors' parts.
 */
#include <stdio.h>

#include "explain.h"

/* A list of checks being written; `matches` is their conjunction. */
struct checks {
    const struct question *question;
    struct buf *out;
    bool matches;
    bool steps; /* show how selectors come to their result */
    int failed; /* -1: memory is out */
};

static void checks_open(struct checks *checks, const char *key) {
    checks->matches = true;
    buf_json_key(checks->out, key);
    buf_add_str(checks->out, "{\"checks\":[");
}

static void checks_close(struct checks *checks) {
    buf_add_char(checks->out, ']');
    buf_json_key(checks->out, "matches");
    buf_add_str(checks->out, checks->matches ? "true}" : "false}");
}

static void check_open(struct checks *checks, const char *field, const char *value, bool matches) {
    buf_json_comma(checks->out);
    buf_add_char(checks->out, '{');
    buf_json_member_str(checks->out, "field", field);
    buf_json_member_str(checks->out, "value", value);
    buf_json_key(checks->out, "matches");
    buf_add_str(checks->out, matches ? "true" : "false");
    checks->matches = checks->matches && matches;
}

/* `detail` NULL: none. */
static void check(struct checks *checks, const char *field, const char *value, bool matches,
                  const char *detail) {
    check_open(checks, field, value, matches);
    buf_json_member_str(checks->out, "detail", detail);
    buf_add_char(checks->out, '}');
}

static void add_steps(struct checks *checks, const struct selector *selector,
                      const struct label_set *labels) {
    const struct question *question = checks->question;
    struct selector_step *steps = NULL;
    size_t count = 0;
    if (selector_explain(selector, labels, question->arena, &steps, &count, question->err) < 0) {
        checks->failed = -1;
        return;
    }
    buf_json_key(checks->out, "steps");
    buf_add_char(checks->out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_json_comma(checks->out);
        buf_add_char(checks->out, '{');
        buf_json_member_str(checks->out, "expression", steps[i].expression);
        buf_json_member_u64(checks->out, "depth", steps[i].depth);
        buf_json_key(checks->out, "matches");
        buf_add_str(checks->out, steps[i].matches ? "true" : "false");
        if (steps[i].key != NULL) {
            buf_json_member_str(checks->out, "label", steps[i].key);
            buf_json_key(checks->out, "labelValue");
            if (steps[i].value != NULL) {
                buf_add_json_str(checks->out, steps[i].value);
            } else {
                buf_add_str(checks->out, "null");
            }
        }
        buf_add_char(checks->out, '}');
    }
    buf_add_char(checks->out, ']');
}

static void check_selector(struct checks *checks, const char *field, const char *text, uint32_t matcher_id,
                           const struct end *end) {
    if (end->node == NULL) {
        check(checks, field, text, false, "the remote is not one of our nodes, so it has no labels");
        return;
    }
    if (matcher_id == NO_ID) {
        check(checks, field, text, false, "the selector cannot be read");
        return;
    }
    const struct matcher *matcher = index_matcher(checks->question->index, matcher_id);
    check_open(checks, field, text, set_has(matcher->matches, end->slot));
    buf_json_member_str(checks->out, "node", end->node->name);
    if (checks->steps) {
        add_steps(checks, matcher->compiled->selector, end->node->labels);
    }
    buf_add_char(checks->out, '}');
}

/* Does the rule apply to this end? */
static void check_applies(struct checks *checks, const struct rule *rule, const struct end *end) {
    switch (rule->scope) {
    case SCOPE_NODE:
        check(checks, "node", rule->spec->node,
              end->node != NULL && strcmp(rule->spec->node, end->node->name) == 0, NULL);
        break;
    case SCOPE_NODE_SELECTOR:
        check_selector(checks, "nodeSelector", rule->spec->node_selector, rule->node_matcher, end);
        break;
    case SCOPE_GLOBAL:
    case SCOPE_MESH:
        check(checks, "scope", "Global", end->node != NULL,
              end->node != NULL ? "neither node nor nodeSelector is set: every node"
                                : "the remote is not one of our nodes, so nothing is computed for it");
        break;
    }
}

/* Does the rule mean this end? */
static void check_means(struct checks *checks, const struct rule *rule, const struct end *end) {
    const struct bgp_peer_spec *spec = rule->spec;
    switch (rule->target) {
    case TARGET_ADDRESS:
        check(checks, "peerIP", spec->peer_ip, end_has_address(end, &rule->peer.addr), NULL);
        break;
    case TARGET_SELECTOR:
        check_selector(checks, "peerSelector", spec->peer_selector, rule->peer_matcher, end);
        break;
    case TARGET_NOTHING:
        check(checks, "peerIP", NULL, false, "neither peerIP nor peerSelector is set");
        break;
    case TARGET_WORKLOADS:
        check(checks, "localWorkloadSelector", spec->local_workload_selector, false,
              "workloads are not known here");
        break;
    case TARGET_UNREADABLE:
        check(checks, rule->unreadable, NULL, false, "the field cannot be read");
        break;
    }
}

/* What a reverse peering asks besides: of the end that gets it. */
static void check_reverse(struct checks *checks, const struct rule *rule, const struct end *end) {
    const struct peering_index *index = checks->question->index;
    check(checks, "reversePeering", rule->manual ? "Manual" : "Auto", !rule->manual,
          rule->manual ? "the far end must be written as a BGPPeer of its own" : NULL);
    if (rule->target != TARGET_ADDRESS) {
        return;
    }
    if (end->node == NULL) {
        check(checks, "peerIP", rule->spec->peer_ip, false, "no node of ours owns the address");
        return;
    }
    uint32_t meant = rule_as(index, rule);
    uint32_t has = node_as(index, end->node);
    char value[16];
    char detail[80];
    snprintf(value, sizeof(value), "%u", meant);
    snprintf(detail, sizeof(detail), "the node's AS is %u%s", has,
             rule->spec->as_number.set && rule->spec->as_number.value != 0 ? ""
                                                                           : "; asNumber is the default one");
    check(checks, "asNumber", value, meant == has, detail);
    if (rule->peer.port != 0) {
        uint16_t port = node_port(index, end->node);
        snprintf(value, sizeof(value), "%u", rule->peer.port);
        snprintf(detail, sizeof(detail),
                 port == 0 ? "the node has no listenPort, so any port fits" : "the node's listenPort is %u",
                 port);
        check(checks, "port", value, port == 0 || port == rule->peer.port, detail);
    }
}

/* ---- what became of it ---- */

static bool shares_own_address(const struct question *question) {
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &question->there.addresses[family].addr;
        if (ip_is_set(addr) && end_has_address(&question->here, addr)) {
            return true;
        }
    }
    return false;
}

/* Has the remote an address that the rule would peer with, if only this node had one of its family? */
static bool lacks_address(const struct question *question, const struct rule *rule) {
    for (int family = 0; family < FAMILIES; family++) {
        bool wanted = rule->target != TARGET_ADDRESS || family_of(&rule->peer.addr) == family;
        if (wanted && ip_is_set(&question->there.addresses[family].addr) &&
            !ip_is_set(&question->here.addresses[family].addr)) {
            return true;
        }
    }
    return false;
}

/* The first entry, suppressed entry or problem of the rule that concerns the remote. Names are compared as
 * pointers: the list borrows them from the very rules of this index. */
static void add_outcome(const struct question *question, const struct rule *rule, bool matches,
                        struct buf *out) {
    const struct peering_list *list = &question->list;
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];
        if (entry->origin.bgp_peer == rule->name && end_has_address(&question->there, &entry->address)) {
            buf_json_member_str(out, "outcome",
                                entry->password == PASSWORD_WITHHELD ? "Withheld" : "Session");
            return;
        }
    }
    for (size_t i = 0; i < list->suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &list->suppressed[i];
        if (suppressed->origin.bgp_peer == rule->name &&
            end_has_address(&question->there, &suppressed->address)) {
            buf_json_member_str(out, "outcome", "Suppressed");
            buf_json_member_str(out, "reason", suppressed->reason);
            document_add_origin(out, "by", &suppressed->by);
            return;
        }
    }
    /* Other problems are about entries that there are, or about a BGPPeer that matches nothing. */
    for (size_t i = 0; matches && lacks_address(question, rule) && i < list->problem_count; i++) {
        const struct peering_problem *problem = &list->problems[i];
        if (problem->bgp_peer == rule->name && strcmp(problem->reason, "NoLocalAddress") == 0) {
            buf_json_member_str(out, "outcome", "Problem");
            buf_json_member_str(out, "reason", problem->reason);
            buf_json_member_str(out, "message", problem->message);
            return;
        }
    }
    buf_json_member_str(out, "outcome", matches ? "NoSession" : "NoMatch");
    if (matches) {
        bool own = shares_own_address(question);
        buf_json_member_str(out, "reason", own ? "OwnAddress" : "NoRemoteAddress");
        buf_json_member_str(out, "message",
                            own ? "the remote's address is this node's own, so there is nobody to peer with"
                                : "the remote has no address of a family that this BGPPeer peers with");
    }
}

static bool touches(const struct question *question, const struct rule *rule, const struct end *end) {
    if (rule->target == TARGET_ADDRESS && end_has_address(end, &rule->peer.addr)) {
        return true;
    }
    if (end->node == NULL) {
        return false;
    }
    return rule_applies(question->index, rule, end->slot, end->node) ||
           rule_reaches(question->index, rule, end->slot, end->node);
}

static int add_rule(const struct question *question, const struct rule *rule, struct buf *out) {
    const struct end *here = &question->here;
    const struct end *there = &question->there;
    struct checks checks = {.question = question, .out = out};
    checks.steps = touches(question, rule, here) || touches(question, rule, there);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "bgpPeer", rule->name);
    buf_json_member_str(out, "scope", document_scope_name(rule->scope));
    checks_open(&checks, "forward");
    check_applies(&checks, rule, here);
    check_means(&checks, rule, there);
    checks_close(&checks);
    bool forward = checks.matches;
    checks_open(&checks, "reverse");
    check_applies(&checks, rule, there);
    check_means(&checks, rule, here);
    check_reverse(&checks, rule, here);
    checks_close(&checks);
    bool reverse = checks.matches;
    if (forward) {
        checks_open(&checks, "mirror");
        check_reverse(&checks, rule, there);
        checks_close(&checks);
    }
    add_outcome(question, rule, forward || reverse, out);
    buf_add_char(out, '}');
    return checks.failed;
}

int explain_add_rules(const struct question *question, struct buf *out) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, question->index->snapshot, KIND_BGPPEER, NULL);
    buf_json_key(out, "considered");
    buf_add_char(out, '[');
    for (; record != NULL; record = snapshot_step(&cursor)) {
        const struct id_list *known = index_get(question->index->rules_by_name, record->key);
        if (known != NULL && add_rule(question, index_rule(question->index, known->ids[0]), out) < 0) {
            return -1;
        }
    }
    buf_add_char(out, ']');
    return 0;
}

/* ---- the mesh ---- */

static void check_member(struct checks *checks, const struct end *end) {
    if (end->node == NULL) {
        check(checks, "node", NULL, false, "the remote is not one of our nodes");
        return;
    }
    check_open(checks, "routeReflectorClusterID", end->node->cluster_id, end->node->cluster_id == NULL);
    buf_json_member_str(checks->out, "node", end->node->name);
    buf_add_char(checks->out, '}');
}

int explain_add_mesh(const struct question *question, struct buf *out) {
    const struct peering_index *index = question->index;
    struct checks checks = {.question = question, .out = out};
    checks_open(&checks, "mesh");
    check(&checks, "nodeToNodeMeshEnabled", index->defaults.mesh ? "true" : "false", index->defaults.mesh,
          index->defaults.record == NULL ? "there is no BGPConfiguration \"default\"" : NULL);
    check_member(&checks, &question->here);
    check_member(&checks, &question->there);
    bool common = false;
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *remote = &question->there.addresses[family].addr;
        common = common || (ip_is_set(&question->here.addresses[family].addr) && ip_is_set(remote) &&
                            !end_has_address(&question->here, remote));
    }
    check(&checks, "family", NULL, common,
          common                         ? NULL
          : shares_own_address(question) ? "the remote's address is this node's own"
                                         : "the two have no address of one family");
    checks_close(&checks);
    return checks.failed;
}
