/*
 * A change set: changes that are made together or not at all. As a client sends it (codec_decode_change_set),
 * or as this service makes it for itself (state_changes_between). Plain structs; texts are borrowed.
 */
#ifndef BGPPEERD_MODEL_CHANGE_SET_H
#define BGPPEERD_MODEL_CHANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/object.h"

enum change_op {
    CHANGE_APPLY,  /* create the object, or merge the document over what is stored (codec_merge) */
    CHANGE_CREATE, /* it must not exist */
    CHANGE_PATCH,
    CHANGE_DELETE,
    CHANGE_OP_COUNT
};
/* "apply" …; static. */
const char *change_op_name(enum change_op op);
/* CHANGE_OP_COUNT: there is none of this name. */
enum change_op change_op_parse(const char *text);

/* Why somebody changes something: one line of at most so many bytes. */
#define CHANGE_REASON_MAX 512
/* false: too long, or with control characters in it. */
bool change_reason_is_valid(const char *reason);

/* What a writer says that he means to do, although it would be refused without a word: bits. */
enum change_force {
    FORCE_DISRUPTIVE = 1, /* disrupt more sessions than the service lets pass */
    FORCE_FROZEN = 2,     /* change sessions although the fleet is frozen */
};
/* "disruptive", "frozen", or both with a comma between them; false: it is none of these. */
bool change_force_parse(const char *text, unsigned *ret);
/* The same words; "" of 0. Static. */
const char *change_force_text(unsigned force);
/* Says it in an object that is written; taken out of the object, and never stored. */
#define FORCE_ANNOTATION "bgppeerd.io/force"

struct change {
    enum change_op op;
    enum kind kind;
    /* PATCH, DELETE: one object by its name, or (`name` NULL) all whose labels match the selector. */
    const char *name;
    const char *name_space; /* of a namespaced kind; NULL: where secretKeyRefs resolve */
    const char *selector;
    /* APPLY, CREATE: the object; PATCH: the merge patch, or JSON patch. JSON text; NULL for DELETE. */
    const char *document;
    size_t document_len;
    bool json_patch;
    uint64_t if_version; /* PATCH, DELETE of one object: its resourceVersion, 0 = any */
    const char *if_uid;  /* … its uid, NULL = any */
    const char *about;   /* how messages name it: `document 2 (BGPPeer "tor")`; NULL: by its index */
    const char *fault;   /* what keeps it from being a change, behind `about`; NULL: nothing */
};

#define CHANGE_UNLIMITED UINT64_MAX

struct change_set {
    const char *reason; /* NULL = none given */
    unsigned force;     /* enum change_force */
    /* Refused when more would happen, or CHANGE_UNLIMITED: */
    uint64_t max_disruptive; /* sessions that are restarted or removed, each counted at both ends */
    uint64_t max_nodes;      /* nodes whose lists differ afterwards */
    struct change *items;
    size_t count;
    bool documents; /* they were sent as plain documents, */
};

#endif
