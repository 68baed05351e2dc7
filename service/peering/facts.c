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

/* ---- BGPConfigurations, as far as nodes have them ---- */

const struct bgp_configuration_spec *config_spec(const struct record *record) {
    return record == NULL ? NULL : ((const struct bgp_configuration *)record->object->body)->spec;
}

/* 0: unset. */
static uint16_t config_listen_port(const struct bgp_configuration_spec *spec) {
    bool usable = spec != NULL && spec->listen_port.set && spec->listen_port.value > 0 &&
                  spec->listen_port.value <= UINT16_MAX;
    return usable ? (uint16_t)spec->listen_port.value : 0;
}

/* ---- nodes ---- */

static void node_facts_destroy(struct shared *shared) {
    struct node_facts *facts = (struct node_facts *)shared;
    record_unref(facts->record);
    record_unref(facts->config_record);
    free(facts);
}

struct ip_addr peering_own_address(const struct node *node, enum ip_family family) {
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    const char *text = bgp == NULL ? NULL : family == IP_V4 ? bgp->ipv4_address : bgp->ipv6_address;
    struct ip_cidr cidr;
    bool good = text != NULL && ip_parse_cidr_or_addr(text, strlen(text), &cidr) &&
                cidr.addr.family == family && ip_no_host(&cidr.addr) == NULL;
    return good ? cidr.addr : (struct ip_addr){.family = IP_NONE};
}

static void parse_address(const char *text, enum ip_family family, struct address *ret) {
    struct ip_cidr cidr;
    if (text != NULL && ip_parse_cidr_or_addr(text, strlen(text), &cidr) && cidr.addr.family == family) {
        ret->addr = cidr.addr;
        ip_format(&ret->addr, ret->text);
    }
}

/* A stored address that no host can have (any more) counts as absent, and is said to be unusable. */
static void read_address(const struct node *node, const char *text, int family, struct node_facts *facts) {
    struct address *address = &facts->addresses[family];
    address->addr = peering_own_address(node, family == V4 ? IP_V4 : IP_V6);
    if (ip_is_set(&address->addr)) {
        ip_format(&address->addr, address->text);
    } else if (text != NULL && text[0] != '\0') {
        facts->unusable[family] = text;
    }
}

/*
 * FNV-1a of the name, stirred once more (it is short), mapped onto the 222 first octets that BGP identifiers
 * may have: daemons refuse those in 0/8, 127/8 and 224/3.
 */
void router_id_derive(const char *name, struct ip_addr *ret) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
    }
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    hash ^= hash >> 32;
    uint8_t first = (uint8_t)(1 + (hash >> 40) % 222);
    *ret = (struct ip_addr){.family = IP_V4,
                            .bytes = {first < 127 ? first : (uint8_t)(first + 1), (uint8_t)(hash >> 16),
                                      (uint8_t)(hash >> 8), (uint8_t)hash}};
}

static void read_router_id(struct node_facts *facts) {
    parse_address(facts->bgp == NULL ? NULL : facts->bgp->router_id, IP_V4, &facts->router_id);
    if (!ip_is_set(&facts->router_id.addr)) {
        facts->router_id = facts->addresses[V4];
    }
    if (!ip_is_set(&facts->router_id.addr)) {
        router_id_derive(facts->name, &facts->router_id.addr);
        ip_format(&facts->router_id.addr, facts->router_id.text);
    }
}

static bool has_label(const struct label_set *labels, const char *key) {
    for (size_t i = 0; i < labels->count; i++) {
        if (strcmp(labels->items[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

int node_facts_new(const struct record *record, const struct record *config, struct node_facts **ret,
                   struct err *err) {
    struct node_facts *facts = base_calloc(1, sizeof(*facts));
    if (facts == NULL) {
        return err_no_memory(err);
    }
    shared_init(&facts->shared, node_facts_destroy);
    facts->record = record_ref(record);
    facts->name = record->object->meta.name;
    facts->labels = &record->object->meta.labels;
    facts->excluded = has_label(facts->labels, LABEL_EXCLUDED);
    facts->config_record = config == NULL ? NULL : record_ref(config);
    facts->config = config_spec(config);
    facts->own_port = config_listen_port(facts->config);
    const struct node *node = record->object->body;
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    if (bgp != NULL) {
        facts->bgp = bgp;
        read_address(node, bgp->ipv4_address, V4, facts);
        read_address(node, bgp->ipv6_address, V6, facts);
        facts->own_as = bgp->as_number.set ? bgp->as_number.value : 0;
        const char *cluster_id = bgp->route_reflector_cluster_id;
        facts->cluster_id = cluster_id != NULL && cluster_id[0] != '\0' ? cluster_id : NULL;
    }
    read_router_id(facts);
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

const char *config_node_name(const struct record *record) {
    const char *name = record->object->meta.name;
    return strncmp(name, CONFIG_NODE_PREFIX, strlen(CONFIG_NODE_PREFIX)) == 0
               ? name + strlen(CONFIG_NODE_PREFIX)
               : NULL;
}

struct defaults defaults_of(const struct record *record) {
    static const struct bgp_configuration_spec nothing;
    const struct bgp_configuration_spec *spec = config_spec(record);
    spec = spec != NULL ? spec : &nothing;
    struct defaults defaults = {
        .record = record,
        .spec = spec,
        .mesh = !spec->node_to_node_mesh_enabled.set || spec->node_to_node_mesh_enabled.value,
        .as_number =
            spec->as_number.set && spec->as_number.value != 0 ? spec->as_number.value : PEERING_DEFAULT_AS,
        .listen_port = config_listen_port(spec),
        .mesh_restart_time_s = -1,
        .mesh_password = password_ref(spec->node_mesh_password),
    };
    if (spec->node_mesh_max_restart_time.text != NULL) {
        defaults.mesh_restart_time_s = duration_round_seconds(spec->node_mesh_max_restart_time.ns);
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
