/*
 * Inside the peering room: the index, and what it knows of nodes, BGPPeers and selectors.
 *
 * Nodes have slots, BGPPeers (here: rules) and distinct selectors (here: matchers) have numbers; both are
 * used again after a deletion and never influence a result. Everything refers to them by number, so that
 * one of them can be replaced in the next version without touching the others.
 */
#ifndef BGPPEERD_PEERING_FLEET_H
#define BGPPEERD_PEERING_FLEET_H

#include <string.h>

#include "map.h"
#include "model/resources.h"
#include "peering.h"
#include "selector.h"
#include "set.h"
#include "vector.h"

#define NO_ID UINT32_MAX

enum { V4, V6, FAMILIES };

/* One of our own addresses, parsed and canonical. */
struct address {
    struct ip_addr addr; /* IP_NONE: the node has none of this family */
    char text[IP_TEXT_MAX];
};

/* What the computation needs to know of a node. Immutable. */
struct node_facts {
    struct shared shared;
    const struct record *record; /* reference of ours; name, labels and cluster ID are borrowed from it */
    const char *name;
    const struct label_set *labels;
    struct address addresses[FAMILIES];
    uint32_t own_as;                    /* 0: the default AS */
    uint16_t own_port;                  /* from BGPConfiguration node.<name>; 0: the default one */
    const char *cluster_id;             /* NULL: not a route reflector */
    const struct node_bgp_spec *bgp;    /* NULL: none */
    const struct record *config_record; /* reference of ours: BGPConfiguration node.<name>; NULL: none */
    const struct bgp_configuration_spec *config; /* its spec; NULL: none */
    struct address router_id;                    /* as an IPv4 address */
    const char *unusable[FAMILIES]; /* the address as it is stored, when no host can have it; NULL: none */
    bool excluded; /* labelled as not for load balancers: announces none of their addresses */
};

/* Kubernetes' label, whatever its value. */
#define LABEL_EXCLUDED "node.kubernetes.io/exclude-from-external-load-balancers"

enum rule_target {
    TARGET_NOTHING,   /* neither peerIP nor peerSelector */
    TARGET_ADDRESS,   /* peerIP */
    TARGET_SELECTOR,  /* peerSelector */
    TARGET_WORKLOADS, /* localWorkloadSelector */
    TARGET_UNREADABLE /* a stored selector or address that does not parse (any more) */
};

/* A BGPPeer. Immutable. */
struct rule {
    struct shared shared;
    const struct record *record; /* reference of ours; spec and name are borrowed from it */
    const char *name;
    const struct bgp_peer_spec *spec;
    enum peering_scope scope;
    enum rule_target target;
    const char *unreadable;  /* the field that does not parse; NULL = none */
    bool manual;             /* reversePeering: Manual */
    uint32_t node_matcher;   /* SCOPE_NODE_SELECTOR; NO_ID when unreadable */
    uint32_t peer_matcher;   /* TARGET_SELECTOR */
    struct ip_endpoint peer; /* TARGET_ADDRESS */
    char peer_text[IP_TEXT_MAX];
    char reachable_by[IP_TEXT_MAX]; /* canonical; "" = absent */
};

/* A compiled selector, shared by the versions of its matcher. */
struct compiled {
    struct shared shared;
    struct selector *selector;
};

/* A distinct selector (by canonical text) and the nodes that it matches. */
struct matcher {
    struct shared shared;
    struct compiled *compiled;
    struct node_set *matches;
    struct id_list *node_rules; /* rules that have it as nodeSelector */
    struct id_list *peer_rules; /* rules that have it as peerSelector */
};

/* BGPConfiguration `default`, with its absence and defaults resolved. */
struct defaults {
    const struct record *record;               /* borrowed from the snapshot; NULL: none */
    const struct bgp_configuration_spec *spec; /* never NULL */
    bool mesh;
    uint32_t as_number;
    uint16_t listen_port;                       /* 0: unset */
    int64_t mesh_restart_time_s;                /* -1: absent */
    const struct secret_key_ref *mesh_password; /* NULL: none */
};

struct peering_index {
    atomic_uint refs;
    const struct snapshot *snapshot; /* reference of ours */
    char *secret_namespace;
    struct defaults defaults;

    struct vector nodes; /* slot → struct node_facts */
    struct node_set *slots;
    struct node_set *sharers;      /* slots of nodes with an address that another node has as well */
    struct node_set *mesh_members; /* slots of nodes with an address and without a cluster ID */
    struct map_node *nodes_by_name;
    struct map_node *nodes_by_address;   /* struct ip_addr → owners */
    struct map_node *nodes_by_router_id; /* struct ip_addr → nodes that have an address */

    struct vector rules; /* number → struct rule */
    struct node_set *rule_ids;
    struct node_set *global_rules;
    struct map_node *rules_by_name;
    struct map_node *rules_by_node;    /* spec.node → rules */
    struct map_node *rules_by_address; /* address of spec.peerIP → rules */
    struct map_node *rules_by_secret;  /* secret name → rules */
    struct map_node *rules_by_filter;  /* BGPFilter name → rules */

    struct vector matchers; /* number → struct matcher */
    struct node_set *matcher_ids;
    struct map_node *matchers_by_text;  /* canonical text → matcher */
    struct map_node *matchers_by_label; /* label "key NUL value" → matchers that only match nodes with it */
    struct node_set *loose_matchers;    /* all others */
    struct map_node *loose_matchers_by_key; /* label key → those of them that look at it */
};

/* ---- reading the index ---- */

/* What stands at a number that is taken, as all numbers are that the index hands out: never NULL. */
static inline const struct shared *index_taken(const struct vector *vector, uint32_t number) {
    const struct shared *item = vector_get(vector, number);
    if (item == NULL) {
        __builtin_unreachable();
    }
    return item;
}
static inline const struct node_facts *index_node(const struct peering_index *index, uint32_t slot) {
    return (const struct node_facts *)index_taken(&index->nodes, slot);
}
static inline const struct rule *index_rule(const struct peering_index *index, uint32_t id) {
    return (const struct rule *)index_taken(&index->rules, id);
}
static inline const struct matcher *index_matcher(const struct peering_index *index, uint32_t id) {
    return (const struct matcher *)index_taken(&index->matchers, id);
}
/* Slots of the nodes that own the address. */
static inline const struct id_list *index_owners(const struct peering_index *index,
                                                 const struct ip_addr *addr) {
    return map_get(index->nodes_by_address, addr, sizeof(*addr));
}
/* Does more than one node own the address? Nobody can tell then whom a session with it would reach. */
static inline bool index_is_shared(const struct peering_index *index, const struct ip_addr *addr) {
    const struct id_list *owners = index_owners(index, addr);
    return owners != NULL && owners->count > 1;
}
/* Does the node own such an address? */
static inline bool index_shares(const struct peering_index *index, uint32_t slot) {
    const struct node_facts *node = index_node(index, slot);
    return index_is_shared(index, &node->addresses[V4].addr) ||
           index_is_shared(index, &node->addresses[V6].addr);
}
static inline const struct id_list *index_get(const struct map_node *map, const char *name) {
    return map_get(map, name, strlen(name));
}
/* NO_ID: there is none. */
uint32_t index_slot(const struct peering_index *index, const char *node);
/* Of the owners (may be NULL) the one of lowest name, whose AS is `as_number` when that is not 0; NULL: none.
 */
const struct node_facts *index_first_owner(const struct peering_index *index, const struct id_list *owners,
                                           uint32_t as_number);

/* AS(n) and listenPort(n). */
static inline uint32_t node_as(const struct peering_index *index, const struct node_facts *node) {
    return node->own_as != 0 ? node->own_as : index->defaults.as_number;
}
static inline uint16_t node_port(const struct peering_index *index, const struct node_facts *node) {
    return node->own_port != 0 ? node->own_port : index->defaults.listen_port;
}
static inline bool node_has_address(const struct node_facts *node) {
    return ip_is_set(&node->addresses[V4].addr) || ip_is_set(&node->addresses[V6].addr);
}
static inline bool node_is_mesh_member(const struct node_facts *node) {
    return node->cluster_id == NULL && node_has_address(node);
}
static inline int family_of(const struct ip_addr *addr) {
    return addr->family == IP_V4 ? V4 : V6;
}

/* The AS that a rule with a peerIP means. */
static inline uint32_t rule_as(const struct peering_index *index, const struct rule *rule) {
    const struct opt_asn *as_number = &rule->spec->as_number;
    return as_number->set && as_number->value != 0 ? as_number->value : index->defaults.as_number;
}
static inline const struct secret_key_ref *password_ref(const struct bgp_password *password) {
    return password == NULL ? NULL : password->secret_key_ref;
}

/* Does the rule apply to the node (is it one of its `node` / `nodeSelector` / all nodes)? */
bool rule_applies(const struct peering_index *index, const struct rule *rule, uint32_t slot,
                  const struct node_facts *node);
/* Is the node what the rule's peerIP / peerSelector means (reversePeering aside)? */
bool rule_reaches(const struct peering_index *index, const struct rule *rule, uint32_t slot,
                  const struct node_facts *node);

/* ---- parts (facts.c) ---- */

/* `config`: BGPConfiguration node.<name>; NULL: none. */
int node_facts_new(const struct record *record, const struct record *config, struct node_facts **ret,
                   struct err *err) MUST_CHECK;
/* The BGP identifier of a node without one: from its name alone, and one that daemons take. */
void router_id_derive(const char *name, struct ip_addr *ret);
/* Without its matchers: those are the index's. */
int rule_new(const struct record *record, struct rule **ret, struct err *err) MUST_CHECK;
/* Takes over the selector, also on failure. */
int matcher_new(struct selector *selector, struct matcher **ret, struct err *err) MUST_CHECK;
struct shared *matcher_copy(const struct shared *matcher);
/* `record` NULL: there is no BGPConfiguration `default`. */
struct defaults defaults_of(const struct record *record);
/* Of a BGPConfiguration, which may be NULL; NULL: it has none. */
const struct bgp_configuration_spec *config_spec(const struct record *record);
#define CONFIG_NODE_PREFIX "node."
/* The node that a BGPConfiguration is for: "n" of "node.n"; NULL: it is not for one. */
const char *config_node_name(const struct record *record);
/* NULL: the Secret has no such key. */
const struct secret_value *secret_value_of(const struct secret *secret, const char *key);

/* ---- who is affected (affected.c) ---- */

/* What one call of peering_index_next has found so far. NULL in place of a pointer to it: not asked for. */
struct affected {
    struct node_set *set;
    bool globals; /* the far ends of global rules are in it already */
};

int affect_all(struct affected *affected, const struct peering_index *index, struct err *err) MUST_CHECK;
int affect_slot(struct affected *affected, uint32_t slot, struct err *err) MUST_CHECK;
int affect_mesh(struct affected *affected, const struct peering_index *index, struct err *err) MUST_CHECK;
/* Everybody to whom the rule gives a session or a problem. */
int affect_rule(struct affected *affected, const struct peering_index *index, const struct rule *rule,
                struct err *err) MUST_CHECK;
int affect_rules(struct affected *affected, const struct peering_index *index, const struct id_list *rules,
                 struct err *err) MUST_CHECK;
/* Everybody who has the node's router ID. */
int affect_router_id(struct affected *affected, const struct peering_index *index,
                     const struct node_facts *node, struct err *err) MUST_CHECK;
/* The node itself and everybody who may have it as a peer. */
int affect_node(struct affected *affected, const struct peering_index *index, uint32_t slot,
                struct err *err) MUST_CHECK;
/* Everybody for whom it matters that the matcher has begun, or ceased, to match the node. */
int affect_match(struct affected *affected, const struct peering_index *index, const struct matcher *matcher,
                 uint32_t slot, struct err *err) MUST_CHECK;

/* ---- who can match (matchers.c) ---- */

int matchers_enter(struct peering_index *index, const struct selector *selector, uint32_t id,
                   struct err *err) MUST_CHECK;
int matchers_leave(struct peering_index *index, const struct selector *selector, uint32_t id,
                   struct err *err) MUST_CHECK;

/* Iterates over the matchers that can match the labels; `loose`: those without an anchor as well. The index's
 * rules must not change meanwhile. */
struct matcher_walk {
    const struct peering_index *index;
    const struct label_set *labels;
    size_t label; /* the next one */
    const struct id_list *list;
    size_t at;
    uint32_t loose;
};
struct matcher_walk matcher_walk_of(const struct peering_index *index, const struct label_set *labels,
                                    bool loose);
/* NO_ID: there is no further one. */
uint32_t matcher_walk_next(struct matcher_walk *walk);

#define MATCHER_EACH(id, walk)                                                                               \
    for (uint32_t id = matcher_walk_next(walk); id != NO_ID; id = matcher_walk_next(walk))

/* ---- changing a version under construction (update.c) ---- */

/* Apply one change. `affected` NULL: not asked for. */
int index_apply(struct peering_index *index, const struct snapshot_change *change, struct affected *affected,
                struct err *err) MUST_CHECK;
/* Add (`before` NULL), replace or remove (`after` NULL) a rule (rules.c). */
int index_change_rule(struct peering_index *index, const struct record *before, const struct record *after,
                      struct err *err) MUST_CHECK;

#endif
