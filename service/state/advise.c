/*
 * Advice that needs the rest of the fleet: what an object refers to and is not there, and what others have as
 * well. Nothing here is an error, because resources may be created in any order. Pure functions of a picture.
 */
#include <stdio.h>
#include <string.h>

#include "advise.h"
#include "base/ip.h"

#define NAMING_PEERS_MAX 4 /* BGPPeers that name one address, of which the lists are asked */

struct advise_context advise_context_of(const struct state *state, const struct picture *picture,
                                        struct advice *advice) {
    return (struct advise_context){.snapshot = picture->snapshot,
                                   .index = picture->index,
                                   .secret_namespace = state->secret_namespace,
                                   .advice = advice};
}

const char *advise_similar(const struct advise_context *context, enum kind kind, const char *name) {
    const char *similar = snapshot_similar(context->snapshot, kind, name);
    const char *text = similar == NULL ? ""
                                       : arena_printf(context->advice->arena, "; there is a %s \"%s\"",
                                                      kind_info(kind)->name, similar);
    return text == NULL ? "" : text;
}

/* It is there; can it be a password? Nobody asked when it was written, if nothing used it then. */
static void advise_value(const struct advise_context *context, const char *field,
                         const struct secret_key_ref *ref, const struct secret_value *value) {
    const char *finding =
        value->state == SECRET_UNREADABLE ? "cannot be decrypted" : password_flaw_text(value->flaw);

    if (finding != NULL) {
        advice_add(context->advice,
                   "%s: the value of key \"%s\" in Secret \"%s\" %s; until it is written anew, the sessions "
                   "are withheld",
                   field, ref->key, ref->name, finding);
    }
}

void advise_secret(const struct advise_context *context, const char *field,
                   const struct bgp_password *password) {
    const struct secret_key_ref *ref = password == NULL ? NULL : password->secret_key_ref;
    const struct record *record;
    const struct secret *secret;
    char key[2 * 254];
    bool optional;

    if (ref == NULL || ref->name == NULL || ref->key == NULL) {
        return;
    }
    optional = ref->optional.set && ref->optional.value;
    snprintf(key, sizeof key, "%s/%s", context->secret_namespace, ref->name);
    record = snapshot_get(context->snapshot, KIND_SECRET, key);
    if (record == NULL && optional) {
        return;
    }
    if (record == NULL) {
        advice_add(
            context->advice,
            "%s: there is no Secret \"%s\" in namespace \"%s\" yet; until it is created, the sessions are "
            "withheld",
            field, ref->name, context->secret_namespace);
        return;
    }
    secret = record->object->body;
    for (size_t i = 0; i < secret->values.count; i++) {
        const struct secret_value *value = (const struct secret_value *)secret->values.items + i;

        if (strcmp(value->key, ref->key) == 0) {
            advise_value(context, field, ref, value);
            return;
        }
    }
    if (optional) {
        return;
    }
    advice_add(context->advice,
               "%s: Secret \"%s\" has no key \"%s\"; until it has, the sessions are withheld", field,
               ref->name, ref->key);
}

static void advise_configuration(const struct advise_context *context, const char *name,
                                 const struct bgp_configuration_spec *spec) {
    if (strncmp(name, "node.", 5) == 0) {
        if (snapshot_get(context->snapshot, KIND_NODE, name + 5) == NULL) {
            advice_add(context->advice, "metadata.name: there is no Node \"%s\" yet%s", name + 5,
                       advise_similar(context, KIND_NODE, name + 5));
        }
    }
    if (spec != NULL) {
        advise_secret(context, "spec.nodeMeshPassword.secretKeyRef", spec->node_mesh_password);
    }
}

/* BGPPeers that name one of a node's addresses, as far as they are asked. */
struct naming {
    const struct advise_context *context;
    size_t count;
};

static bool visit_user(void *arg, enum kind kind, const char *name) {
    struct naming *naming = arg;
    if (kind == KIND_BGPPEER) {
        advise_peer_of_node(naming->context, name);
        naming->count++;
    }
    return naming->count < NAMING_PEERS_MAX;
}

static void advise_address_users(const struct advise_context *context, const char *text) {
    struct naming naming = {.context = context};
    struct ip_cidr cidr;
    if (text != NULL && ip_parse_cidr_or_addr(text, strlen(text), &cidr)) {
        peering_index_address_users(context->index, &cidr.addr, visit_user, &naming);
    }
}

/* Does the BGPConfiguration define a community of this name? */
static bool defines_community(const struct advise_context *context, const char *configuration,
                              const char *name) {
    const struct record *record = snapshot_get(context->snapshot, KIND_BGPCONFIGURATION, configuration);
    const struct bgp_configuration_spec *spec =
        record == NULL ? NULL : ((const struct bgp_configuration *)record->object->body)->spec;
    const struct community *items = spec == NULL ? NULL : spec->communities.items;
    for (size_t i = 0; items != NULL && i < spec->communities.count; i++) {
        if (items[i].name != NULL && strcmp(items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void advise_communities(const struct advise_context *context, const struct object *object,
                               const struct node_bgp_spec *bgp) {
    const struct prefix_advertisement *items = bgp->prefix_advertisements.items;
    const char *own = arena_printf(context->advice->arena, "node.%s", object->meta.name);
    for (size_t i = 0; own != NULL && i < bgp->prefix_advertisements.count; i++) {
        for (size_t k = 0; k < items[i].communities.count; k++) {
            const char *community = items[i].communities.items[k];
            if (community == NULL || strchr(community, ':') != NULL || context->advice->count == ADVICE_MAX ||
                defines_community(context, own, community) ||
                defines_community(context, "default", community)) {
                continue;
            }
            advice_add(context->advice,
                       "spec.bgp.prefixAdvertisements[%zu].communities[%zu]: no community \"%.100s\" is "
                       "defined in spec.communities of BGPConfiguration default or %s; it is left out until "
                       "one is",
                       i, k, community, own);
        }
    }
}

static void advise_router_id(const struct advise_context *context, const char *node) {
    const char *other = peering_index_router_id_sharer(context->index, node);
    if (other != NULL) {
        advice_add(context->advice,
                   "spec.bgp.routerID: Node \"%s\" has the same router ID; two speakers of one AS with the "
                   "same one refuse each other",
                   other);
    }
}

/* An address that another Node has as well. */
static void advise_address(const struct advise_context *context, const char *field, const char *text,
                           const char *node) {
    struct ip_cidr cidr;
    if (text == NULL || !ip_parse_cidr_or_addr(text, strlen(text), &cidr)) {
        return;
    }
    const char *owner = peering_index_address_owner(context->index, &cidr.addr, node);
    if (owner != NULL) {
        char address[IP_TEXT_MAX];
        ip_format(&cidr.addr, address);
        advice_add(context->advice,
                   "%s: %s is also an address of Node \"%s\"; sessions with it that have a password are "
                   "withheld until each Node has its own",
                   field, address, owner);
    }
}

static void advise_addresses(const struct advise_context *context, const struct object *object) {
    const struct node *node = object->body;
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    if (bgp == NULL) {
        return;
    }
    advise_address(context, "spec.bgp.ipv4Address", bgp->ipv4_address, object->meta.name);
    advise_address(context, "spec.bgp.ipv6Address", bgp->ipv6_address, object->meta.name);
    advise_router_id(context, object->meta.name);
    advise_address_users(context, bgp->ipv4_address);
    advise_address_users(context, bgp->ipv6_address);
    advise_communities(context, object, bgp);
}

static void advise_node(const struct advise_context *context, const struct object *node) {
    const char *ranges = meta_annotation(&node->meta, NODE_RANGES_ANNOTATION);
    struct ip_ranges ignored;
    struct err err = ERR_INIT;

    advise_addresses(context, node);
    if (ranges != NULL && ip_ranges_parse(ranges, &ignored, &err) != 0) {
        advice_add(context->advice,
                   "metadata.annotations[" NODE_RANGES_ANNOTATION
                   "]: %.200s; until it is mended, the node itself cannot change its addresses",
                   err.text);
    }
}

/* ---- the fleet with the object in it ---- */

/* Of a dry run, whose object is in no picture. False: there is no memory for it, and so no advice. */
static bool picture_with(const struct picture *picture, const struct record *record, struct picture *ret) {
    const enum kind kind = record->object->kind;
    const struct snapshot_change change = {
        .kind = kind, .before = snapshot_get(picture->snapshot, kind, record->key), .after = record};
    struct err err = ERR_INIT;
    struct snapshot *snapshot;
    struct peering_index *index;
    struct node_set *affected;
    if (snapshot_next(picture->snapshot, &change, 1, snapshot_revision(picture->snapshot) + 1, &snapshot,
                      &err) != 0) {
        return false;
    }
    if (peering_index_next(picture->index, snapshot, &change, 1, &index, &affected, &err) != 0) {
        snapshot_unref(snapshot);
        return false;
    }
    node_set_free(affected);
    *ret = (struct picture){.snapshot = snapshot, .index = index};
    return true;
}

static void advise_secret_place(const struct advise_context *context, const struct object *object) {
    const struct secret *secret = object->body;
    if (strcmp(object->meta.name_space, context->secret_namespace) != 0 &&
        (secret->type == NULL || strcmp(secret->type, "Opaque") == 0)) {
        advice_add(context->advice,
                   "metadata.namespace: BGPPeers find their passwords in namespace \"%s\" only",
                   context->secret_namespace);
    }
}

static void advise_object(const struct advise_context *context, const struct object *object) {
    if (object->kind == KIND_BGPPEER) {
        advise_peer(context, object->meta.name, ((const struct bgp_peer *)object->body)->spec);
    } else if (object->kind == KIND_BGPCONFIGURATION) {
        advise_configuration(context, object->meta.name,
                             ((const struct bgp_configuration *)object->body)->spec);
    } else if (object->kind == KIND_NODE) {
        advise_node(context, object);
    } else if (object->kind == KIND_SECRET) {
        advise_secret_place(context, object);
    }
}

void state_advise(struct state *state, const struct picture *picture, const struct record *record,
                  struct advice *advice) {
    const struct object *object = record->object;
    struct picture with;
    bool by_index = object->kind == KIND_BGPPEER || object->kind == KIND_NODE;
    if (!by_index || snapshot_get(picture->snapshot, object->kind, record->key) == record) {
        const struct advise_context context = advise_context_of(state, picture, advice);
        advise_object(&context, object);
    } else if (picture_with(picture, record, &with)) {
        const struct advise_context context = advise_context_of(state, &with, advice);
        advise_object(&context, object);
        peering_index_unref(with.index);
        snapshot_unref(with.snapshot);
    }
}
