/*
 * Advice that needs the rest of the fleet: what an object refers to and is not there. Nothing here is an
 * error, because resources may be created in any order. Pure functions of a picture.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "model/resources.h"
#include "state_internal.h"

struct context {
    const struct snapshot *snapshot;
    const struct peering_index *index;
    const char *secret_namespace;
    struct advice *advice;
};

/* false: it matches nobody now, which has been said. */
static bool advise_selector(const struct context *context, const char *field, const char *text) {
    struct err err = ERR_INIT;
    struct selector *selector;

    if (text == NULL || text[0] == '\0' || selector_parse(text, strlen(text), &selector, &err) < 0) {
        return true;
    }
    bool matches = peering_index_any_match(context->index, selector);
    if (!matches) {
        advice_add(context->advice, "%s: the selector matches no node now", field);
    }
    selector_free(selector);
    return matches;
}

/* It is there; can it be a password? Nobody asked when it was written, if nothing used it then. */
static void advise_value(const struct context *context, const char *field, const struct secret_key_ref *ref,
                         const struct secret_value *value) {
    const char *finding =
        value->state == SECRET_UNREADABLE ? "cannot be decrypted" : password_flaw_text(value->flaw);

    if (finding != NULL) {
        advice_add(context->advice,
                   "%s: the value of key \"%s\" in Secret \"%s\" %s; until it is written anew, the sessions "
                   "are withheld",
                   field, ref->key, ref->name, finding);
    }
}

static void advise_secret(const struct context *context, const char *field,
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

static uint32_t default_as(const struct snapshot *snapshot) {
    const struct record *record = snapshot_get(snapshot, KIND_BGPCONFIGURATION, "default");
    const struct bgp_configuration *configuration = record == NULL ? NULL : record->object->body;

    if (configuration != NULL && configuration->spec != NULL && configuration->spec->as_number.set &&
        configuration->spec->as_number.value != 0) {
        return configuration->spec->as_number.value;
    }
    return PEERING_DEFAULT_AS;
}

/*
 * Why the BGPPeer gives nothing to a node that it is for, or gives it a session that cannot come up: what the
 * node's list says of it. One node stands for all that a selector matches. `selects`: its peerSelector
 * matches somebody.
 */
static void advise_outcome(const struct context *context, const char *name, const struct bgp_peer_spec *spec,
                           bool selects) {
    static const char *const REASONS[] = {"OwnAddress", "NoPeers", "RemoteASMismatch", "RemotePortMismatch",
                                          "AddressNotUnique"};
    const char *node = peering_index_peer_node(context->index, name);
    struct peering_list list;
    struct arena arena;
    struct err err = ERR_INIT;

    if (node == NULL) {
        return;
    }
    arena_init(&arena, 8192);
    if (peering_compute(context->index, node, &arena, &list, &err) == 0) {
        for (size_t i = 0; i < list.problem_count; i++) {
            const struct peering_problem *problem = &list.problems[i];
            bool told =
                spec->node != NULL && spec->node[0] != '\0' && strcmp(problem->reason, "NoLocalAddress") == 0;
            for (size_t k = 0; k < sizeof(REASONS) / sizeof(REASONS[0]); k++) {
                told = told || (strcmp(problem->reason, REASONS[k]) == 0 &&
                                (selects || strcmp(problem->reason, "NoPeers") != 0));
            }
            if (told && problem->bgp_peer != NULL && strcmp(problem->bgp_peer, name) == 0) {
                advice_add(context->advice, "%s: %s", problem->reason, problem->message);
            }
        }
    }
    arena_done(&arena);
}

static void advise_peer(const struct context *context, const char *name, const struct bgp_peer_spec *spec) {
    uint32_t local_as;

    if (spec == NULL) {
        return;
    }
    if (spec->node != NULL && spec->node[0] != '\0' &&
        snapshot_get(context->snapshot, KIND_NODE, spec->node) == NULL) {
        bool everybody = strcasecmp(spec->node, "global") == 0 || strcasecmp(spec->node, "all") == 0;
        advice_add(context->advice, "spec.node: there is no Node \"%s\" yet%s", spec->node,
                   everybody ? "; for all nodes leave node out" : "");
    }
    (void)advise_selector(context, "spec.nodeSelector", spec->node_selector);
    bool selects = advise_selector(context, "spec.peerSelector", spec->peer_selector);
    advise_secret(context, "spec.password.secretKeyRef", spec->password);
    for (size_t i = 0; i < spec->filters.count; i++) {
        if (snapshot_get(context->snapshot, KIND_BGPFILTER, spec->filters.items[i]) == NULL) {
            advice_add(context->advice,
                       "spec.filters[%zu]: there is no BGPFilter \"%s\" yet; it is left out until there is",
                       i, spec->filters.items[i]);
        }
    }
    local_as = spec->local_as_number.set && spec->local_as_number.value != 0 ? spec->local_as_number.value
                                                                             : default_as(context->snapshot);
    if (spec->peer_ip != NULL && spec->as_number.set && spec->as_number.value != 0 &&
        spec->as_number.value != local_as && spec->filters.count == 0) {
        advice_add(
            context->advice,
            "spec.filters: an external session without filters accepts and announces what the daemon's "
            "own defaults allow");
    }
    if (spec->ttl_security.set && spec->ttl_security.value > 0 && spec->reverse_peering != NULL &&
        strcmp(spec->reverse_peering, "Manual") == 0) {
        advice_add(context->advice,
                   "spec.ttlSecurity: with reversePeering Manual, the far end's own BGPPeer must "
                   "set it as well");
    }
    advise_outcome(context, name, spec, selects);
}

static void advise_configuration(const struct context *context, const char *name,
                                 const struct bgp_configuration_spec *spec) {
    if (strncmp(name, "node.", 5) == 0) {
        if (snapshot_get(context->snapshot, KIND_NODE, name + 5) == NULL) {
            advice_add(context->advice, "metadata.name: there is no Node \"%s\" yet", name + 5);
        }
    }
    if (spec != NULL) {
        advise_secret(context, "spec.nodeMeshPassword.secretKeyRef", spec->node_mesh_password);
    }
}

/* An address that another Node has as well. */
static void advise_address(const struct context *context, const char *field, const char *text,
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

static void advise_addresses(const struct context *context, const struct object *object) {
    const struct node *node = object->body;
    const struct node_bgp_spec *bgp = node->spec == NULL ? NULL : node->spec->bgp;
    if (bgp == NULL) {
        return;
    }
    advise_address(context, "spec.bgp.ipv4Address", bgp->ipv4_address, object->meta.name);
    advise_address(context, "spec.bgp.ipv6Address", bgp->ipv6_address, object->meta.name);
}

/* Deleted objects, and who still names them. */
struct deletions {
    const struct context *context;
    const struct record *const *records; /* in order of their keys */
    size_t count;
    struct user {
        const char *first; /* BGPPeer */
        size_t count;
    } * users; /* of each record */
};

static int compare_key(const void *key, const void *record) {
    return strcmp(key, (*(const struct record *const *)record)->key);
}

static void count_user(const struct deletions *deletions, const char *key, const char *peer) {
    const struct record *const *found =
        bsearch(key, deletions->records, deletions->count, sizeof(*deletions->records), compare_key);
    struct user *user;

    if (found == NULL) {
        return;
    }
    user = &deletions->users[found - deletions->records];
    if (user->count++ == 0) {
        user->first = peer;
    }
}

static void count_uses(const struct deletions *deletions, const char *peer,
                       const struct bgp_peer_spec *spec) {
    const struct secret_key_ref *ref = spec->password == NULL ? NULL : spec->password->secret_key_ref;
    char key[2 * 254];

    if (deletions->records[0]->object->kind == KIND_BGPFILTER) {
        for (size_t i = 0; i < spec->filters.count; i++) {
            count_user(deletions, spec->filters.items[i], peer);
        }
    } else if (ref != NULL && ref->name != NULL) {
        snprintf(key, sizeof key, "%s/%s", deletions->context->secret_namespace, ref->name);
        count_user(deletions, key, peer);
    }
}

static void advise_deletions(const struct deletions *deletions) {
    struct snapshot_cursor cursor;
    const struct record *record;

    for (record = snapshot_seek(&cursor, deletions->context->snapshot, KIND_BGPPEER, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct bgp_peer *peer = record->object->body;

        if (peer->spec != NULL) {
            count_uses(deletions, record->key, peer->spec);
        }
    }
    for (size_t i = 0; i < deletions->count; i++) {
        const struct object *object = deletions->records[i]->object;
        const struct user *user = &deletions->users[i];

        if (user->count > 0) {
            advice_add(deletions->context->advice,
                       "%zu BGPPeer(s) still use %s \"%s\" (the first is \"%s\"): %s", user->count,
                       kind_info(object->kind)->name, object->meta.name, user->first,
                       object->kind == KIND_SECRET ? "their sessions are withheld until it exists again"
                                                   : "their sessions go on without this filter");
        }
    }
}

static void advise_node(const struct context *context, const struct object *node) {
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

static struct context context_of(const struct state *state, const struct picture *picture,
                                 struct advice *advice) {
    return (struct context){.snapshot = picture->snapshot,
                            .index = picture->index,
                            .secret_namespace = state->secret_namespace,
                            .advice = advice};
}

void state_advise_deleted(struct state *state, const struct picture *picture,
                          const struct record *const *deleted, size_t count, struct advice *advice) {
    const struct context context = context_of(state, picture, advice);
    struct deletions deletions = {.context = &context, .records = deleted, .count = count};

    if (count == 0 ||
        (deleted[0]->object->kind != KIND_SECRET && deleted[0]->object->kind != KIND_BGPFILTER)) {
        return;
    }
    deletions.users = arena_array(advice->arena, count, sizeof(*deletions.users));
    if (deletions.users != NULL) { /* without memory there is no advice, which is no error */
        advise_deletions(&deletions);
    }
}

void state_advise(struct state *state, const struct picture *picture, const struct object *object,
                  struct advice *advice) {
    const struct context context = context_of(state, picture, advice);

    if (object->kind == KIND_BGPPEER) {
        advise_peer(&context, object->meta.name, ((const struct bgp_peer *)object->body)->spec);
    } else if (object->kind == KIND_BGPCONFIGURATION) {
        advise_configuration(&context, object->meta.name,
                             ((const struct bgp_configuration *)object->body)->spec);
    } else if (object->kind == KIND_NODE) {
        advise_node(&context, object);
    }
}
