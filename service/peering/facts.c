/*
 * From records to what the computation needs: addresses parsed, absent values resolved, texts canonical.
 *
 * Each part holds a reference to its record and borrows strings from it. Stored objects have been
 * validated, but perhaps by an earlier version, so nothing here trusts them to parse.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/number.h"
#include "fleet.h"

/* ---- nodes ---- */

static void node_facts_destroy(struct shared *shared) {
    struct node_facts *facts = (struct node_facts *)shared;
    record_unref(facts->record);
    free(facts);
}

struct ip_addr peering_own_address(const struct node *node, enum ip_family family) {
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    const char *text = bgp == NULL ? NULL : family == IP_V4 ? bgp->ipv4_address : bgp->ipv6_address;
    struct ip_cidr cidr;
    bool good =
        text != NULL && ip_parse_cidr_or_addr(text, strlen(text), &cidr) && cidr.addr.family == family;
    return good ? cidr.addr : (struct ip_addr){.family = IP_NONE};
}

static void set_address(const struct node *node, enum ip_family family, struct address *ret) {
    ret->addr = peering_own_address(node, family);
    if (ip_is_set(&ret->addr)) {
        ip_format(&ret->addr, ret->text);
    }
}

int node_facts_new(const struct record *record, uint16_t own_port, struct node_facts **ret, struct err *err) {
    struct node_facts *facts = base_calloc(1, sizeof(*facts));
    if (facts == NULL) {
        return err_no_memory(err);
    }
    shared_init(&facts->shared, node_facts_destroy);
    facts->record = record_ref(record);
    facts->name = record->object->meta.name;
    facts->labels = &record->object->meta.labels;
    facts->own_port = own_port;
    const struct node *node = record->object->body;
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    if (bgp != NULL) {
        set_address(node, IP_V4, &facts->addresses[V4]);
        set_address(node, IP_V6, &facts->addresses[V6]);
        facts->own_as = bgp->as_number.set ? bgp->as_number.value : 0;
        const char *cluster_id = bgp->route_reflector_cluster_id;
        facts->cluster_id = cluster_id != NULL && cluster_id[0] != '\0' ? cluster_id : NULL;
    }
    *ret = facts;
    return 0;
}

/* ---- rules ---- */

static const struct bgp_peer_spec empty_spec;

static bool given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static void rule_destroy(struct shared *shared) {
    struct rule *rule = (struct rule *)shared;
    record_unref(rule->record);
    free(rule);
}

static void rule_read_target(struct rule *rule) {
    const struct bgp_peer_spec *spec = rule->spec;
    if (given(spec->local_workload_selector)) {
        rule->target = TARGET_WORKLOADS;
    } else if (given(spec->peer_ip)) {
        rule->target = TARGET_ADDRESS;
        if (ip_parse_endpoint(spec->peer_ip, strlen(spec->peer_ip), &rule->peer)) {
            ip_format(&rule->peer.addr, rule->peer_text);
        } else {
            rule->target = TARGET_UNREADABLE;
            rule->unreadable = "peerIP";
        }
    } else {
        rule->target = given(spec->peer_selector) ? TARGET_SELECTOR : TARGET_NOTHING;
    }
}

static bool peer_uses_address(const struct bgp_peer *peer, const struct ip_addr *addr) {
    struct rule rule = {.spec = peer->spec != NULL ? peer->spec : &empty_spec};
    rule_read_target(&rule);
    return rule.target == TARGET_ADDRESS && ip_compare(&rule.peer.addr, addr) == 0;
}

bool peering_uses_address(const struct object *object, const struct ip_addr *addr) {
    if (object->kind == KIND_NODE) {
        struct ip_addr own = peering_own_address(object->body, (enum ip_family)addr->family);
        return ip_is_set(&own) && ip_compare(&own, addr) == 0;
    }
    return object->kind == KIND_BGPPEER && peer_uses_address(object->body, addr);
}

int rule_new(const struct record *record, struct rule **ret, struct err *err) {
    struct rule *rule = base_calloc(1, sizeof(*rule));
    if (rule == NULL) {
        return err_no_memory(err);
    }
    shared_init(&rule->shared, rule_destroy);
    rule->record = record_ref(record);
    rule->name = record->object->meta.name;
    const struct bgp_peer *peer = record->object->body;
    rule->spec = peer->spec != NULL ? peer->spec : &empty_spec;
    rule->scope = given(rule->spec->node)            ? SCOPE_NODE
                  : given(rule->spec->node_selector) ? SCOPE_NODE_SELECTOR
                                                     : SCOPE_GLOBAL;
    const char *reverse = rule->spec->reverse_peering;
    rule->manual = reverse != NULL && strcmp(reverse, "Manual") == 0;
    rule->node_matcher = NO_ID;
    rule->peer_matcher = NO_ID;
    rule_read_target(rule);
    struct ip_addr gateway;
    const char *reachable_by = rule->spec->reachable_by;
    if (reachable_by != NULL && ip_parse(reachable_by, strlen(reachable_by), &gateway)) {
        ip_format(&gateway, rule->reachable_by);
    }
    *ret = rule;
    return 0;
}

static bool text_equal(const char *a, const char *b) {
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool asn_equal(const struct opt_asn *a, const struct opt_asn *b) {
    return (a->set ? a->value : 0) == (b->set ? b->value : 0);
}

static bool int_equal(const struct opt_int *a, const struct opt_int *b) {
    return (a->set ? a->value : 0) == (b->set ? b->value : 0);
}

static bool time_equal(const struct duration *a, const struct duration *b) {
    return (a->text == NULL) == (b->text == NULL) && (a->text == NULL || a->ns == b->ns);
}

static bool flag(const struct opt_bool *value) {
    return value->set && value->value;
}

bool secret_ref_equal(const struct secret_key_ref *a, const struct secret_key_ref *b) {
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return text_equal(a->name, b->name) && text_equal(a->key, b->key) &&
           flag(&a->optional) == flag(&b->optional);
}

bool rule_spec_equal(const struct bgp_peer_spec *a, const struct bgp_peer_spec *b) {
    a = a != NULL ? a : &empty_spec;
    b = b != NULL ? b : &empty_spec;
    if (a->filters.count != b->filters.count) {
        return false;
    }
    for (size_t i = 0; i < a->filters.count; i++) {
        if (!text_equal(a->filters.items[i], b->filters.items[i])) {
            return false;
        }
    }
    return text_equal(a->node, b->node) && text_equal(a->node_selector, b->node_selector) &&
           text_equal(a->peer_ip, b->peer_ip) && asn_equal(&a->as_number, &b->as_number) &&
           asn_equal(&a->local_as_number, &b->local_as_number) &&
           text_equal(a->peer_selector, b->peer_selector) &&
           flag(&a->keep_original_next_hop) == flag(&b->keep_original_next_hop) &&
           text_equal(a->next_hop_mode, b->next_hop_mode) &&
           secret_ref_equal(password_ref(a->password), password_ref(b->password)) &&
           text_equal(a->source_address, b->source_address) &&
           time_equal(&a->max_restart_time, &b->max_restart_time) &&
           time_equal(&a->keepalive_time, &b->keepalive_time) &&
           int_equal(&a->num_allowed_local_as_numbers, &b->num_allowed_local_as_numbers) &&
           int_equal(&a->ttl_security, &b->ttl_security) && text_equal(a->reachable_by, b->reachable_by) &&
           text_equal(a->local_workload_selector, b->local_workload_selector) &&
           text_equal(a->reverse_peering, b->reverse_peering);
}

/* ---- matchers ---- */

static void compiled_destroy(struct shared *shared) {
    struct compiled *compiled = (struct compiled *)shared;
    selector_free(compiled->selector);
    free(compiled);
}

static void matcher_destroy(struct shared *shared) {
    struct matcher *matcher = (struct matcher *)shared;
    shared_unref(&matcher->compiled->shared);
    node_set_free(matcher->matches);
    id_list_free(matcher->node_rules);
    id_list_free(matcher->peer_rules);
    free(matcher);
}

int matcher_new(struct selector *selector, struct matcher **ret, struct err *err) {
    struct matcher *matcher = base_calloc(1, sizeof(*matcher));
    struct compiled *compiled = base_calloc(1, sizeof(*compiled));
    if (matcher == NULL || compiled == NULL) {
        free(matcher);
        free(compiled);
        selector_free(selector);
        return err_no_memory(err);
    }
    shared_init(&compiled->shared, compiled_destroy);
    compiled->selector = selector;
    shared_init(&matcher->shared, matcher_destroy);
    matcher->compiled = compiled;
    *ret = matcher;
    return 0;
}

struct shared *matcher_copy(const struct shared *shared) {
    const struct matcher *from = (const struct matcher *)shared;
    struct matcher *matcher = base_calloc(1, sizeof(*matcher));
    if (matcher == NULL) {
        return NULL;
    }
    shared_init(&matcher->shared, matcher_destroy);
    matcher->compiled = from->compiled;
    shared_ref(&matcher->compiled->shared);
    matcher->matches = set_share(from->matches);
    matcher->node_rules = id_list_share(from->node_rules);
    matcher->peer_rules = id_list_share(from->peer_rules);
    return &matcher->shared;
}

/* ---- BGPConfigurations ---- */

static const struct bgp_configuration_spec *config_spec(const struct record *record) {
    return record == NULL ? NULL : ((const struct bgp_configuration *)record->object->body)->spec;
}

uint16_t config_listen_port(const struct record *record) {
    const struct bgp_configuration_spec *spec = config_spec(record);
    bool usable = spec != NULL && spec->listen_port.set && spec->listen_port.value > 0 &&
                  spec->listen_port.value <= UINT16_MAX;
    return usable ? (uint16_t)spec->listen_port.value : 0;
}

const char *config_node_name(const struct record *record) {
    const char *name = record->object->meta.name;
    return strncmp(name, "node.", strlen("node.")) == 0 ? name + strlen("node.") : NULL;
}

struct defaults defaults_of(const struct record *record) {
    const struct bgp_configuration_spec *spec = config_spec(record);
    struct defaults defaults = {
        .record = record,
        .mesh = true,
        .as_number = PEERING_DEFAULT_AS,
        .listen_port = config_listen_port(record),
        .mesh_restart_time_s = -1,
    };
    if (spec != NULL) {
        defaults.mesh = !spec->node_to_node_mesh_enabled.set || spec->node_to_node_mesh_enabled.value;
        if (spec->as_number.set && spec->as_number.value != 0) {
            defaults.as_number = spec->as_number.value;
        }
        if (spec->node_mesh_max_restart_time.text != NULL) {
            defaults.mesh_restart_time_s = duration_round_seconds(spec->node_mesh_max_restart_time.ns);
        }
        defaults.mesh_password = password_ref(spec->node_mesh_password);
    }
    return defaults;
}

/* ---- Secrets ---- */

const struct secret_value *secret_value_of(const struct secret *secret, const char *key) {
    const struct secret_value *values = secret->values.items;
    for (size_t i = 0; i < secret->values.count; i++) {
        if (strcmp(values[i].key, key) == 0) {
            return &values[i];
        }
    }
    return NULL;
}
