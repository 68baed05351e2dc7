/*
 * What a node announces: the service networks of BGPConfiguration `default`, and the Node's own
 * prefixAdvertisements. Each prefix is there once.
 *
 * A prefixAdvertisement of a BGPConfiguration announces nothing by itself, as in Calico: its communities tag
 * every route within its network. Those of BGPConfiguration node.<name> stand in place of the fleet's. The
 * list lives in the arena of the computation. No locks, no state.
 */
#include <stdio.h>
#include <stdlib.h>

#include "compute.h"
#include "peering/members.h"

/* Communities of one route, at most: a standard one takes 4 bytes, a large one 12, and BGP's message 4096. */
#define ROUTE_COMMUNITIES_MAX 250

/* A prefix that is said to be announced, before equal ones are put together. */
struct claim {
    struct ip_cidr prefix;
    const char *source;
    size_t rank;                           /* among all: of equal prefixes, the first gives its source */
    const struct string_list *communities; /* of its own; NULL: none */
};

/* A network whose routes are tagged. */
struct tag {
    struct ip_cidr network;
    const struct string_list *communities;
};

struct advertising {
    struct compute *compute;
    const struct bgp_configuration_spec
        *named[2]; /* where names of communities are looked up, in this order */
    size_t tag_count;
    struct tag *tags;
    size_t claim_count;
    struct claim *claims;
};

static const struct bgp_configuration_spec nothing;

/* ---- what is said ---- */

/* A stored network that does not parse (any more) announces nothing. */
static bool read_network(const char *text, struct ip_cidr *ret) {
    if (text == NULL || !ip_parse_cidr(text, strlen(text), ret)) {
        return false;
    }
    ret->addr = ip_network(&ret->addr, ret->prefix);
    return true;
}

static void claim(struct advertising *advertising, const char *cidr, const char *source,
                  const struct string_list *communities) {
    struct claim *next = &advertising->claims[advertising->claim_count];
    if (read_network(cidr, &next->prefix)) {
        next->source = source;
        next->rank = advertising->claim_count++;
        next->communities = communities;
    }
}

static void claim_blocks(struct advertising *advertising, const struct list *blocks, const char *source) {
    const struct cidr_block *items = blocks->items;
    for (size_t i = 0; i < blocks->count; i++) {
        claim(advertising, items[i].cidr, source, NULL);
    }
}

/* One host route for each service, instead of the network: services are not known here. */
static bool announces_hosts(const struct bgp_configuration_spec *fleet) {
    const char *aggregation = fleet->service_load_balancer_aggregation;
    return aggregation != NULL && strcmp(aggregation, "Disabled") == 0;
}

static int gather_claims(struct advertising *advertising) {
    const struct compute *compute = advertising->compute;
    const struct bgp_configuration_spec *fleet = compute->index->defaults.spec;
    const struct node_bgp_spec *bgp = compute->node->bgp;
    size_t most = fleet->service_cluster_ips.count + fleet->service_external_ips.count +
                  fleet->service_load_balancer_ips.count +
                  (bgp == NULL ? 0 : bgp->prefix_advertisements.count);
    if (most == 0) {
        return 0;
    }
    advertising->claims = arena_array(compute->arena, most, sizeof(advertising->claims[0]));
    if (advertising->claims == NULL) {
        return err_no_memory(compute->err);
    }
    for (size_t i = 0; bgp != NULL && i < bgp->prefix_advertisements.count; i++) {
        const struct prefix_advertisement *own =
            (const struct prefix_advertisement *)bgp->prefix_advertisements.items + i;
        claim(advertising, own->cidr, "Node", &own->communities);
    }
    claim_blocks(advertising, &fleet->service_cluster_ips, "BGPConfiguration.serviceClusterIPs");
    claim_blocks(advertising, &fleet->service_external_ips, "BGPConfiguration.serviceExternalIPs");
    if (!compute->node->excluded && !announces_hosts(fleet)) {
        claim_blocks(advertising, &fleet->service_load_balancer_ips,
                     "BGPConfiguration.serviceLoadBalancerIPs");
    }
    return 0;
}

static int gather_tags(struct advertising *advertising) {
    const struct compute *compute = advertising->compute;
    const struct bgp_configuration_spec *own = compute->node->config;
    const struct list *items = own != NULL && own->prefix_advertisements.items != NULL
                                   ? &own->prefix_advertisements
                                   : &compute->index->defaults.spec->prefix_advertisements;
    if (items->count == 0) {
        return 0;
    }
    advertising->tags = arena_array(compute->arena, items->count, sizeof(advertising->tags[0]));
    if (advertising->tags == NULL) {
        return err_no_memory(compute->err);
    }
    for (size_t i = 0; i < items->count; i++) {
        const struct prefix_advertisement *tagged = (const struct prefix_advertisement *)items->items + i;
        struct tag *tag = &advertising->tags[advertising->tag_count];
        if (read_network(tagged->cidr, &tag->network)) {
            tag->communities = &tagged->communities;
            advertising->tag_count++;
        }
    }
    return 0;
}

/* ---- communities ---- */

static const char *find_community(const struct advertising *advertising, const char *name) {
    for (size_t k = 0; k < 2; k++) {
        const struct list *defined = &advertising->named[k]->communities;
        const struct community *items = defined->items;
        for (size_t i = 0; i < defined->count; i++) {
            if (items[i].name != NULL && items[i].value != NULL && strcmp(items[i].name, name) == 0) {
                return items[i].value;
            }
        }
    }
    return NULL;
}

/* The value without leading zeros, which are valid, so that equal communities read the same. */
static const char *canonical_community(struct arena *arena, const char *value) {
    char *text = arena_strdup(arena, value);
    char *to = text;
    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        bool begins = to == text || to[-1] == ':';
        bool more = at[1] >= '0' && at[1] <= '9';
        if (!(begins && *at == '0' && more)) {
            *to++ = *at;
        }
    }
    if (text != NULL) {
        *to = '\0';
    }
    return text;
}

/* The communities of one route. */
struct texts {
    size_t count;
    bool full;
    const char *items[ROUTE_COMMUNITIES_MAX];
};

static int text_compare(const void *x, const void *y) {
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void sort_texts(struct texts *texts) {
    size_t kept = 0;
    qsort(texts->items, texts->count, sizeof(texts->items[0]), text_compare);
    for (size_t i = 0; i < texts->count; i++) {
        if (kept == 0 || strcmp(texts->items[kept - 1], texts->items[i]) != 0) {
            texts->items[kept++] = texts->items[i];
        }
    }
    texts->count = kept;
}

/* Add the values of `from`; each name that nobody defines is a problem. */
static int add_communities(struct advertising *advertising, const struct string_list *from,
                           struct texts *texts) {
    struct compute *compute = advertising->compute;
    for (size_t i = 0; i < from->count && !texts->full; i++) {
        if (texts->count == ROUTE_COMMUNITIES_MAX) {
            sort_texts(texts);
        }
        if (texts->count == ROUTE_COMMUNITIES_MAX) {
            texts->full = true;
            break;
        }
        const char *text = from->items[i] != NULL ? from->items[i] : "";
        const char *value = strchr(text, ':') != NULL ? text : find_community(advertising, text);
        if (value == NULL) {
            struct issue issue = {.reason = "CommunityNotFound", .detail = text};
            if (compute_report(compute, &issue) < 0) {
                return -1;
            }
            continue;
        }
        texts->items[texts->count] = canonical_community(compute->arena, value);
        if (texts->items[texts->count++] == NULL) {
            return err_no_memory(compute->err);
        }
    }
    return 0;
}

/* ---- the list ---- */

static int claim_compare(const void *x, const void *y) {
    const struct claim *a = x;
    const struct claim *b = y;
    int order = peering_prefix_compare(&a->prefix, &b->prefix);
    return order != 0 ? order : (a->rank > b->rank) - (a->rank < b->rank);
}

static bool is_tagged(const struct claim *claim, const struct tag *tag) {
    return tag->network.prefix <= claim->prefix.prefix &&
           ip_network_holds(&tag->network, &claim->prefix.addr);
}

/* All communities of one prefix, from claims [0, count). */
static int gather_communities(struct advertising *advertising, const struct claim *claims, size_t count,
                              struct texts *texts) {
    for (size_t i = 0; i < count; i++) {
        if (claims[i].communities != NULL && add_communities(advertising, claims[i].communities, texts) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < advertising->tag_count; i++) {
        const struct tag *tag = &advertising->tags[i];
        if (is_tagged(claims, tag) && add_communities(advertising, tag->communities, texts) < 0) {
            return -1;
        }
    }
    sort_texts(texts);
    return 0;
}

/* One prefix, from claims [0, count), the first of which gives its source. */
static int write_advertisement(struct advertising *advertising, const struct claim *claims, size_t count,
                               struct peering_advertisement *ret) {
    struct compute *compute = advertising->compute;
    struct texts texts = {.count = 0};
    if (gather_communities(advertising, claims, count, &texts) < 0) {
        return -1;
    }
    const char **communities = arena_array(compute->arena, texts.count, sizeof(*communities));
    if (communities == NULL) {
        return err_no_memory(compute->err);
    }
    for (size_t i = 0; i < texts.count; i++) {
        communities[i] = texts.items[i];
    }
    size_t len = ip_format(&claims->prefix.addr, ret->cidr);
    snprintf(ret->cidr + len, sizeof(ret->cidr) - len, "/%u", (unsigned)claims->prefix.prefix);
    ret->prefix = claims->prefix;
    ret->community_count = texts.count;
    ret->communities = communities;
    ret->source = claims->source;
    struct issue issue = {.reason = "TooManyCommunities", .detail = ret->cidr};
    return texts.full ? compute_report(compute, &issue) : 0;
}

int compute_advertise(struct compute *compute, struct peering_list *list) {
    struct advertising advertising = {
        .compute = compute,
        .named = {compute->node->config != NULL ? compute->node->config : &nothing,
                  compute->index->defaults.spec},
    };
    if (gather_claims(&advertising) < 0 || gather_tags(&advertising) < 0) {
        return -1;
    }
    size_t total = advertising.claim_count;
    if (total == 0) {
        return 0;
    }
    qsort(advertising.claims, total, sizeof(advertising.claims[0]), claim_compare);
    struct peering_advertisement *advertisements =
        arena_array(compute->arena, total, sizeof(*advertisements));
    if (advertisements == NULL) {
        return err_no_memory(compute->err);
    }
    for (size_t i = 0, end; i < total; i = end) {
        for (end = i + 1; end < total && peering_prefix_compare(&advertising.claims[i].prefix,
                                                                &advertising.claims[end].prefix) == 0;) {
            end++;
        }
        if (write_advertisement(&advertising, &advertising.claims[i], end - i,
                                &advertisements[list->advertisement_count++]) < 0) {
            return -1;
        }
    }
    list->advertisements = advertisements;
    return 0;
}
