/*
 * A decoded resource: metadata and the kind's body. Plain structs; everything they point to lives in
 * one arena, owned by whoever owns the object. Immutable once published in a snapshot.
 */
#ifndef BGPPEERD_MODEL_OBJECT_H
#define BGPPEERD_MODEL_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/causes.h"
#include "model/field.h"

enum kind { KIND_BGPPEER, KIND_NODE, KIND_BGPCONFIGURATION, KIND_BGPFILTER, KIND_SECRET, KIND_COUNT };

/* metav1.ObjectMeta as far as we keep it. */
struct meta {
    const char *name;
    const char *name_space; /* Secret only; NULL elsewhere */
    const char *generate_name;
    const char *uid;
    uint64_t resource_version; /* 0 = not given */
    int64_t generation;        /* 0 = not given */
    int64_t creation_ms;       /* realtime, 0 = not given */
    struct label_set labels;
    struct label_set annotations;
};

struct object {
    enum kind kind;
    struct meta meta;
    void *body; /* struct bgp_peer, node, bgp_configuration, bgp_filter or secret, by kind; never NULL */
};

struct printer_column {
    const char *name; /* "Peer IP" */
    const char *type; /* "string", "integer", "date" */
    const char *path; /* "spec.peerIP": members of the stored JSON joined by dots */
    const char *description;
    int priority;          /* 0 always, 1 with -o wide */
    bool count;            /* shows how many members the object or list at `path` has */
    const char *otherwise; /* a second path, for when nothing is at the first; NULL = none */
    const char *fallback;  /* text for when nothing is at either; NULL: the cell is null */
};

struct kind_info {
    enum kind kind;
    const char *name;        /* "BGPPeer" */
    const char *list;        /* "BGPPeerList" */
    const char *plural;      /* "bgppeers" */
    const char *singular;    /* "bgppeer" */
    const char *short_name;  /* NULL = none */
    const char *group;       /* "projectcalico.org", "" for core */
    const char *version;     /* "v3" */
    const char *api_version; /* "projectcalico.org/v3" */
    bool namespaced;
    const struct schema *body;            /* top-level members besides apiVersion, kind, metadata */
    const struct printer_column *columns; /* after NAME, before AGE */
    size_t column_count;
    /* Rules that need the metadata as well ("allowed only on `default`"). NULL = none. */
    void (*rule)(const struct object *object, struct causes *causes);
};

/* The registry, in enum order; static. */
const struct kind_info *kind_info(enum kind kind);
/* NULL when unknown. `plural` as in paths, `name` as in documents (exact case). */
const struct kind_info *kind_by_plural(const char *group, const char *version, const char *plural);
const struct kind_info *kind_by_name(const char *name);

/* "name", or "namespace/name" for a namespaced kind: how snapshot and store call it. Into the arena. */
const char *object_key(const struct object *object, struct arena *arena);

/* The value of an annotation; NULL: there is none of this key. Borrowed. */
const char *meta_annotation(const struct meta *meta, const char *key);

/* Everything about a decoded object that is an error: metadata syntax, formats, cross-field rules. What
 * follows from causes that are there already is not added. */
void object_validate(const struct object *object, struct causes *causes);
/* What is worth saying about this object alone (api.md "Validation", advice). */
void object_advise(const struct object *object, struct advice *advice);

/* Name rules (Calico reference): false puts a sentence into why. */
bool name_is_valid(const char *name, char *why, size_t why_len);
/* The same for the name of a namespace, as in Kubernetes (an RFC 1123 label). */
bool namespace_is_valid(const char *name, char *why, size_t why_len);
/* The rules for a label, wherever one is written: [prefix/]name, and a value, which may be empty. */
#define LABEL_LENGTH_MAX 63 /* a value; the name of a key */
bool label_key_is_valid(const char *key, size_t len);
bool label_value_is_valid(const char *value, size_t len);
/* Would Kubernetes accept it as well (lower-case RFC 1123 subdomain)? */
bool name_is_portable(const char *name);

#endif
