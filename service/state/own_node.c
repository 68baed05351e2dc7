/*
 * What a node may write about itself: the addresses under spec.bgp of its own Node, and those only as far as
 * they give it no session, and no password, that operators have not given it. Pure functions of a draft,
 * which holds the fleet with the change in it; run on the committer's thread (or a dry run's), no locks.
 *
 * How an address decides about passwords, and what is refused for it:
 *   1. A BGPPeer whose peerIP is the address makes its owner the far end of sessions: no address that a
 * peerIP names may be taken.
 *   2. An address that two Nodes have belongs to neither for sure: no address of another Node may be taken.
 *   3. Sessions that a BGPPeer's peerIP gave to the owner hide others with the same peers, of lower
 * precedence; leaving the address brings those to light. Only then are the lists themselves compared, before
 * and after. All else that depends on the addresses (which family there is at all) only opens sessions of
 * BGPPeers that apply to the node by its name, its labels or to everybody, which nodes do not write.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec.h"
#include "model/resources.h"
#include "state_internal.h"

#define WAY_OUT "an operator can write it"

static int forbid(const struct object *node, const char *why, struct err *err) {
    return err_set(err, ERR_FORBIDDEN, "nodes.projectcalico.org \"%.253s\" is forbidden: %s", node->meta.name,
                   why);
}

/* ---- nothing but addresses ---- */

/* The object as the comparison sees it: without the addresses under spec.bgp, and without what the service
 * itself sets. An object `bgp` that is missing is an empty one. */
struct bare_node {
    struct object object;
    struct node node;
    struct node_spec spec;
    struct node_bgp_spec bgp;
};

static void bare_node_init(struct bare_node *bare, const struct object *object, const struct meta *meta) {
    const struct node *node = object->body;

    bare->object = *object;
    bare->object.meta.resource_version = meta->resource_version;
    bare->object.meta.uid = meta->uid;
    bare->object.meta.generation = meta->generation;
    bare->object.meta.generate_name = meta->generate_name;
    bare->object.meta.creation_ms = meta->creation_ms;
    bare->object.body = &bare->node;
    bare->node = *node;
    bare->spec = node->spec != NULL ? *node->spec : (struct node_spec){.bgp = NULL};
    bare->node.spec = &bare->spec;
    bare->bgp = bare->spec.bgp != NULL ? *bare->spec.bgp : (struct node_bgp_spec){.ipv4_address = NULL};
    bare->bgp.ipv4_address = bare->bgp.ipv6_address = bare->bgp.ipv4_ipip_tunnel_addr = NULL;
    bare->spec.bgp = &bare->bgp;
}

static int check_only_addresses(const struct object *before, const struct object *after, struct err *err) {
    struct buf texts[2] = {BUF_INIT, BUF_INIT};
    struct bare_node bare;

    bare_node_init(&bare, before, &before->meta);
    codec_encode(&bare.object, &texts[0]);
    bare_node_init(&bare, after, &before->meta);
    codec_encode(&bare.object, &texts[1]);
    bool failed = buf_failed(&texts[0]) || buf_failed(&texts[1]);
    bool same =
        !failed && texts[0].len == texts[1].len && memcmp(texts[0].data, texts[1].data, texts[0].len) == 0;
    buf_done(&texts[0]);
    buf_done(&texts[1]);
    if (failed) {
        return err_no_memory(err);
    }
    return same ? 0
                : forbid(before,
                         "the node itself may change the addresses in spec.bgp (ipv4Address, ipv6Address, "
                         "ipv4IPIPTunnelAddr) and nothing else",
                         err);
}

/* ---- who uses an address ---- */

struct usage {
    const struct draft *draft;
    const struct ip_addr *addr;
    const char *node; /* the one that asks: its own use does not count */
    bool node_uses;   /* another Node has the address */
    bool peer_uses;   /* a BGPPeer's peerIP is the address */
};

/* The draft may have changed the object since: its newest form counts. */
static bool usage_visit(void *arg, enum kind kind, const char *name) {
    struct usage *usage = arg;
    const struct record *record = draft_get(usage->draft, kind, name);
    bool own = kind == KIND_NODE && strcmp(name, usage->node) == 0;

    if (record != NULL && !own && peering_uses_address(record->object, usage->addr)) {
        usage->node_uses = usage->node_uses || kind == KIND_NODE;
        usage->peer_uses = usage->peer_uses || kind == KIND_BGPPEER;
    }
    return true;
}

static struct usage usage_of(const struct draft *draft, const struct ip_addr *addr, const char *node) {
    struct usage usage = {.draft = draft, .addr = addr, .node = node};

    peering_index_address_users(draft->picture->index, addr, usage_visit, &usage);
    for (size_t i = 0; i < draft->count; i++) {
        const struct draft_change *change = &draft->changes[i];

        if (change->op != STORE_DELETE && peering_uses_address(change->change.after->object, addr)) {
            (void)usage_visit(&usage, change->change.kind, change->key);
        }
    }
    return usage;
}

/* ---- taking an address ---- */

static int check_range(const struct draft *draft, const struct object *node, const char *field,
                       const struct ip_addr *addr, const char *text, struct err *err) {
    const char *annotation = meta_annotation(&node->meta, NODE_RANGES_ANNOTATION);
    const struct ip_ranges *ranges = draft->ranges;
    struct ip_ranges own;
    struct err damage = ERR_INIT;
    char why[512];

    if (annotation != NULL && ip_ranges_parse(annotation, &own, &damage) != 0) {
        snprintf(why, sizeof(why),
                 "annotation " NODE_RANGES_ANNOTATION ": %.200s; an operator has to mend it", damage.text);
        return forbid(node, why, err);
    }
    ranges = annotation != NULL ? &own : ranges;
    if (ranges == NULL || ip_ranges_contain(ranges, addr)) {
        return 0;
    }
    snprintf(why, sizeof(why),
             "%s: %s is outside of the ranges in which the node may choose its own address (%s); " WAY_OUT,
             field, text,
             annotation != NULL ? "annotation " NODE_RANGES_ANNOTATION : "--node-address-ranges");
    return forbid(node, why, err);
}

static int check_taken(const struct draft *draft, const struct object *node, const char *field,
                       const struct ip_addr *addr, struct err *err) {
    const struct usage usage = usage_of(draft, addr, node->meta.name);
    char text[IP_TEXT_MAX], why[512];

    ip_format(addr, text);
    if (usage.node_uses || usage.peer_uses) {
        /* No names: a node must not learn about others. */
        snprintf(why, sizeof(why),
                 "%s: %s is %s, and a node must not take it by itself, because sessions and their passwords "
                 "go with "
                 "it; " WAY_OUT,
                 field, text, usage.node_uses ? "an address of another Node" : "the peerIP of a BGPPeer");
        return forbid(node, why, err);
    }
    return check_range(draft, node, field, addr, text, err);
}

/* ---- leaving an address ---- */

static bool has_password(const struct peering_list *list, const struct peering_entry *wanted) {
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];

        if (entry->password == PASSWORD_VALUE && strcmp(entry->secret_key, wanted->secret_key) == 0 &&
            strcmp(entry->secret->key, wanted->secret->key) == 0) {
            return true;
        }
    }
    return false;
}

static int compute_list(const struct draft *draft, size_t changes, const char *node,
                        struct picture **ret_picture, struct arena *arena, struct peering_list *ret,
                        struct err *err) {
    struct draft part = *draft;
    struct node_set *affected = NULL;

    part.count = changes;
    if (draft_picture(&part, draft->picture, ret_picture, &affected, err) != 0) {
        return -1;
    }
    node_set_free(affected);
    return peering_compute((*ret_picture)->index, node, arena, ret, err);
}

/* Does the draft's last change give the node a password that its list had not before? */
static int gains_password(const struct draft *draft, const char *node, bool *ret, struct err *err) {
    struct picture *pictures[2] = {NULL, NULL};
    struct peering_list before, after;
    struct arena arena;

    arena_init(&arena, 8192);
    int result = compute_list(draft, draft->count - 1, node, &pictures[0], &arena, &before, err);
    if (result == 0) {
        result = compute_list(draft, draft->count, node, &pictures[1], &arena, &after, err);
    }
    *ret = false;
    for (size_t i = 0; result == 0 && i < after.entry_count && !*ret; i++) {
        *ret = after.entries[i].password == PASSWORD_VALUE && !has_password(&before, &after.entries[i]);
    }
    picture_unref(pictures[0]);
    picture_unref(pictures[1]);
    arena_done(&arena);
    return result;
}

static int check_left(const struct draft *draft, const struct object *node, const char *field,
                      const struct ip_addr *addr, struct err *err) {
    bool gains = false;
    char text[IP_TEXT_MAX], why[512];

    if (!usage_of(draft, addr, node->meta.name).peer_uses) {
        return 0;
    }
    if (gains_password(draft, node->meta.name, &gains, err) != 0) {
        return -1;
    }
    if (!gains) {
        return 0;
    }
    ip_format(addr, text);
    snprintf(why, sizeof(why),
             "%s: %s is the peerIP of a BGPPeer, and without it the node would get passwords that it has not "
             "now; " WAY_OUT,
             field, text);
    return forbid(node, why, err);
}

/* ---- both ---- */

int state_guard_own_node(const struct draft *draft, const struct object *before, const struct object *after,
                         struct err *err) {
    static const struct {
        enum ip_family family;
        const char *field;
    } ADDRESSES[] = {{IP_V4, "spec.bgp.ipv4Address"}, {IP_V6, "spec.bgp.ipv6Address"}};

    if (before == NULL || after == NULL || after->kind != KIND_NODE) {
        return err_set(err, ERR_FORBIDDEN, "a node cannot create or delete a Node");
    }
    int result = check_only_addresses(before, after, err);
    for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(*ADDRESSES) && result == 0; i++) {
        const struct ip_addr old = peering_own_address(before->body, ADDRESSES[i].family);
        const struct ip_addr new = peering_own_address(after->body, ADDRESSES[i].family);

        if (ip_compare(&old, &new) != 0 && ip_is_set(&new)) {
            result = check_taken(draft, after, ADDRESSES[i].field, &new, err);
        }
        if (result == 0 && ip_compare(&old, &new) != 0 && ip_is_set(&old)) {
            result = check_left(draft, after, ADDRESSES[i].field, &old, err);
        }
    }
    return result;
}
