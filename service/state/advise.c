/*
 * Advice that needs the rest of the fleet: what an object refers to and is not there. Nothing here is an
 * error, because resources may be created in any order. Pure functions of a picture.
 */
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "model/resources.h"
#include "state_internal.h"

struct context {
    const struct snapshot *snapshot;
    const char *secret_namespace;
    struct advice *advice;
};

static bool any_node_matches(const struct snapshot *snapshot, const struct selector *selector) {
    struct snapshot_cursor cursor;
    const struct record *record;

    for (record = snapshot_seek(&cursor, snapshot, KIND_NODE, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        if (selector_matches(selector, &record->object->meta.labels)) {
            return true;
        }
    }
    return false;
}

static void advise_selector(const struct context *context, const char *field, const char *text) {
    struct err err = ERR_INIT;
    struct selector *selector;

    if (text == NULL || text[0] == '\0' || selector_parse(text, strlen(text), &selector, &err) < 0) {
        return;
    }
    if (!any_node_matches(context->snapshot, selector)) {
        advice_add(context->advice, "%s: the selector matches no node now", field);
    }
    selector_free(selector);
}

static void advise_secret(const struct context *context, const char *field,
                          const struct bgp_password *password) {
    const struct secret_key_ref *ref = password == NULL ? NULL : password->secret_key_ref;
    const struct record *record;
    const struct secret *secret;
    char key[2 * 254];

    if (ref == NULL || ref->name == NULL || ref->key == NULL || (ref->optional.set && ref->optional.value)) {
        return;
    }
    snprintf(key, sizeof key, "%s/%s", context->secret_namespace, ref->name);
    record = snapshot_get(context->snapshot, KIND_SECRET, key);
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
        if (strcmp(((const struct secret_value *)secret->values.items)[i].key, ref->key) == 0) {
            return;
        }
    }
    advice_add(context->advice,
               "%s: Secret \"%s\" has no key \"%s\"; until it has, the sessions are withheld", field,
               ref->name, ref->key);
}

static uint32_t default_as(const struct snapshot *snapshot) {
    const struct record *record = snapshot_get(snapshot, KIND_BGPCONFIGURATION, "default");
    const struct bgp_configuration *configuration = record == NULL ? NULL : record->object->body;

    if (configuration != NULL && configuration->spec != NULL && configuration->spec->as_number.set) {
        return configuration->spec->as_number.value;
    }
    return PEERING_DEFAULT_AS;
}

static void advise_peer(const struct context *context, const struct bgp_peer_spec *spec) {
    uint32_t local_as;

    if (spec == NULL) {
        return;
    }
    if (spec->node != NULL && spec->node[0] != '\0' &&
        snapshot_get(context->snapshot, KIND_NODE, spec->node) == NULL) {
        advice_add(context->advice, "spec.node: there is no Node \"%s\" yet", spec->node);
    }
    advise_selector(context, "spec.nodeSelector", spec->node_selector);
    advise_selector(context, "spec.peerSelector", spec->peer_selector);
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

static bool peer_uses(const struct context *context, const struct bgp_peer_spec *spec,
                      const struct object *object) {
    if (object->kind == KIND_SECRET) {
        return spec->password != NULL && spec->password->secret_key_ref != NULL &&
               strcmp(object->meta.name_space, context->secret_namespace) == 0 &&
               spec->password->secret_key_ref->name != NULL &&
               strcmp(spec->password->secret_key_ref->name, object->meta.name) == 0;
    }
    for (size_t i = 0; i < spec->filters.count; i++) {
        if (strcmp(spec->filters.items[i], object->meta.name) == 0) {
            return true;
        }
    }
    return false;
}

/* Something was deleted that BGPPeers still name. */
static void advise_deletion(const struct context *context, const struct object *object) {
    struct snapshot_cursor cursor;
    const struct record *record;
    const char *first = NULL;
    size_t users = 0;

    for (record = snapshot_seek(&cursor, context->snapshot, KIND_BGPPEER, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct bgp_peer *peer = record->object->body;

        if (peer->spec != NULL && peer_uses(context, peer->spec, object)) {
            first = first == NULL ? record->key : first;
            users++;
        }
    }
    if (users > 0) {
        advice_add(context->advice, "%zu BGPPeer(s) still use %s \"%s\" (the first is \"%s\"): %s", users,
                   kind_info(object->kind)->name, object->meta.name, first,
                   object->kind == KIND_SECRET ? "their sessions are withheld until it exists again"
                                               : "their sessions go on without this filter");
    }
}

void state_advise(struct state *state, const struct picture *picture, const struct object *object,
                  bool deleted, struct advice *advice) {
    const struct context context = {
        .snapshot = picture->snapshot, .secret_namespace = state->secret_namespace, .advice = advice};

    if (deleted) {
        if (object->kind == KIND_SECRET || object->kind == KIND_BGPFILTER) {
            advise_deletion(&context, object);
        }
        return;
    }
    if (object->kind == KIND_BGPPEER) {
        advise_peer(&context, ((const struct bgp_peer *)object->body)->spec);
    } else if (object->kind == KIND_BGPCONFIGURATION) {
        advise_configuration(&context, object->meta.name,
                             ((const struct bgp_configuration *)object->body)->spec);
    }
}
