/*
 * BGPPeers in the index: adding, replacing and removing them, and the matchers that their selectors share.
 *
 * A matcher exists as long as a rule uses it. The new rule is added before the old one is removed, so that
 * a replaced BGPPeer keeps the matchers it goes on using. After a failure the version under construction
 * is thrown away whole, so nothing is rolled back here.
 */
#include "fleet.h"

/* ---- matchers ---- */

static int matcher_own(struct peering_index *index, uint32_t id, struct matcher **ret, struct err *err) {
    struct shared *shared = NULL;
    if (vector_own_item(&index->matchers, id, matcher_copy, &shared, err) < 0) {
        return -1;
    }
    *ret = (struct matcher *)shared;
    return 0;
}

/* Find out which nodes a new matcher matches. */
static int matcher_evaluate(const struct peering_index *index, struct matcher *matcher, struct err *err) {
    SET_EACH(slot, index->slots) {
        if (selector_matches(matcher->compiled->selector, index_node(index, slot)->labels) &&
            set_add(&matcher->matches, slot, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Put a new matcher into the index. Takes over the selector, also on failure. */
static int matcher_add(struct peering_index *index, struct selector *selector, uint32_t *ret,
                       struct err *err) {
    struct matcher *matcher = NULL;
    if (matcher_new(selector, &matcher, err) < 0) {
        return -1;
    }
    if (matcher_evaluate(index, matcher, err) < 0) {
        shared_unref(&matcher->shared);
        return -1;
    }
    uint32_t id = set_first_absent(index->matcher_ids);
    if (vector_put(&index->matchers, id, &matcher->shared, err) < 0 ||
        set_add(&index->matcher_ids, id, err) < 0) {
        return -1;
    }
    const char *text = selector_canonical(selector);
    if (map_add(&index->matchers_by_text, text, strlen(text), id, err) < 0 ||
        matchers_enter(index, selector, id, err) < 0) {
        return -1;
    }
    *ret = id;
    return 0;
}

static int matcher_remove(struct peering_index *index, uint32_t id, struct err *err) {
    const struct selector *selector = index_matcher(index, id)->compiled->selector;
    const char *text = selector_canonical(selector);
    if (matchers_leave(index, selector, id, err) < 0 ||
        map_remove(&index->matchers_by_text, text, strlen(text), id, err) < 0 ||
        set_remove(&index->matcher_ids, id, err) < 0) {
        return -1;
    }
    return vector_put(&index->matchers, id, NULL, err);
}

/* The matcher of a selector's text. *ret NO_ID: the text does not parse. */
static int matcher_intern(struct peering_index *index, const char *text, uint32_t *ret, struct err *err) {
    struct selector *selector = NULL;
    struct err why = ERR_INIT;
    if (selector_parse(text, strlen(text), &selector, &why) < 0) {
        if (why.code == ERR_NO_MEMORY) {
            *err = why;
            return -1;
        }
        *ret = NO_ID;
        return 0;
    }
    const struct id_list *known = index_get(index->matchers_by_text, selector_canonical(selector));
    if (known == NULL) {
        return matcher_add(index, selector, ret, err);
    }
    *ret = known->ids[0];
    selector_free(selector);
    return 0;
}

/* Give up a rule's use of a matcher; the last user takes the matcher with it. */
static int matcher_release(struct peering_index *index, uint32_t id, uint32_t rule_id, bool as_peer,
                           struct err *err) {
    struct matcher *matcher = NULL;
    if (id == NO_ID) {
        return 0;
    }
    if (matcher_own(index, id, &matcher, err) < 0 ||
        id_list_remove(as_peer ? &matcher->peer_rules : &matcher->node_rules, rule_id, err) < 0) {
        return -1;
    }
    if (matcher->node_rules == NULL && matcher->peer_rules == NULL) {
        return matcher_remove(index, id, err);
    }
    return 0;
}

/* Give the rule its matchers. */
static int rule_bind(struct peering_index *index, struct rule *rule, uint32_t id, struct err *err) {
    struct matcher *matcher = NULL;
    if (rule->scope == SCOPE_NODE_SELECTOR) {
        if (matcher_intern(index, rule->spec->node_selector, &rule->node_matcher, err) < 0) {
            return -1;
        }
        if (rule->node_matcher == NO_ID) {
            rule->target = TARGET_UNREADABLE;
            rule->unreadable = "nodeSelector";
        } else if (matcher_own(index, rule->node_matcher, &matcher, err) < 0 ||
                   id_list_add(&matcher->node_rules, id, err) < 0) {
            return -1;
        }
    }
    if (rule->target == TARGET_SELECTOR) {
        if (matcher_intern(index, rule->spec->peer_selector, &rule->peer_matcher, err) < 0) {
            return -1;
        }
        if (rule->peer_matcher == NO_ID) {
            rule->target = TARGET_UNREADABLE;
            rule->unreadable = "peerSelector";
        } else if (matcher_own(index, rule->peer_matcher, &matcher, err) < 0 ||
                   id_list_add(&matcher->peer_rules, id, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- the ways to find a rule ---- */

/* Enter the rule into (map_add), or take it out of (map_remove), every map but rules_by_name. */
static int rule_link(struct peering_index *index, const struct rule *rule, uint32_t id, map_change *change,
                     struct err *err) {
    const struct bgp_peer_spec *spec = rule->spec;
    if (rule->scope == SCOPE_NODE &&
        change(&index->rules_by_node, spec->node, strlen(spec->node), id, err) < 0) {
        return -1;
    }
    if (rule->target == TARGET_ADDRESS &&
        change(&index->rules_by_address, &rule->peer.addr, sizeof(rule->peer.addr), id, err) < 0) {
        return -1;
    }
    const struct secret_key_ref *ref = password_ref(spec->password);
    if (ref != NULL && ref->name != NULL &&
        change(&index->rules_by_secret, ref->name, strlen(ref->name), id, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < spec->filters.count; i++) {
        const char *filter = spec->filters.items[i];
        if (change(&index->rules_by_filter, filter, strlen(filter), id, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int rule_add(struct peering_index *index, const struct record *record, struct err *err) {
    struct rule *rule = NULL;
    if (rule_new(record, &rule, err) < 0) {
        return -1;
    }
    uint32_t id = set_first_absent(index->rule_ids);
    if (rule_bind(index, rule, id, err) < 0) {
        shared_unref(&rule->shared);
        return -1;
    }
    if (vector_put(&index->rules, id, &rule->shared, err) < 0 || set_add(&index->rule_ids, id, err) < 0 ||
        (rule->scope == SCOPE_GLOBAL && set_add(&index->global_rules, id, err) < 0) ||
        rule_link(index, rule, id, map_add, err) < 0) {
        return -1;
    }
    return map_add(&index->rules_by_name, rule->name, strlen(rule->name), id, err);
}

static int rule_remove(struct peering_index *index, uint32_t id, struct err *err) {
    const struct rule *rule = index_rule(index, id);
    if (rule_link(index, rule, id, map_remove, err) < 0 ||
        map_remove(&index->rules_by_name, rule->name, strlen(rule->name), id, err) < 0 ||
        matcher_release(index, rule->node_matcher, id, false, err) < 0 ||
        matcher_release(index, rule->peer_matcher, id, true, err) < 0 ||
        set_remove(&index->global_rules, id, err) < 0 || set_remove(&index->rule_ids, id, err) < 0) {
        return -1;
    }
    return vector_put(&index->rules, id, NULL, err);
}

int index_change_rule(struct peering_index *index, const struct record *before, const struct record *after,
                      struct err *err) {
    const char *name = (after != NULL ? after : before)->object->meta.name;
    const struct id_list *known = index_get(index->rules_by_name, name);
    uint32_t old = known == NULL ? NO_ID : known->ids[0];
    if (after != NULL && rule_add(index, after, err) < 0) {
        return -1;
    }
    return old == NO_ID ? 0 : rule_remove(index, old, err);
}
