/*
 * Rules: which role may do what on which resource, as one table, and the sentence that a denial gives. Pure
 * and immutable. A request is allowed by the first line that covers it and denied when none does.
 */
#include <stdio.h>
#include <string.h>

#include "auth.h"

#define R(role)  (1u << (role))
#define ADMIN    R(ROLE_ADMIN)
#define OPERATOR R(ROLE_OPERATOR)
#define VIEWER   R(ROLE_VIEWER)
#define NODE     R(ROLE_NODE)
#define EVERYONE (ADMIN | OPERATOR | VIEWER | NODE) /* who has any credential */

#define READ   (AUTH_GET | AUTH_LIST | AUTH_WATCH)
#define CHANGE (AUTH_UPDATE | AUTH_PATCH)
#define SUBMIT (AUTH_CREATE | CHANGE)
#define WRITE  (SUBMIT | AUTH_DELETE | AUTH_DELETE_COLLECTION)

#define ON(what) (1u << (what))
#define BGP      (ON(AUTH_BGPPEERS) | ON(AUTH_BGPCONFIGURATIONS) | ON(AUTH_BGPFILTERS) | ON(AUTH_NODES))
#define COMPUTED (ON(AUTH_NODE_PEERINGS) | ON(AUTH_NODE_EXPLANATION) | ON(AUTH_PEER_PEERINGS) | OBSERVED)
#define OBSERVED (ON(AUTH_NODE_STATUS) | ON(AUTH_SESSIONS) | ON(AUTH_CONVERGENCE) | ON(AUTH_TRANSITIONS))
#define REVIEWS  (ON(AUTH_ACCESS_REVIEWS) | ON(AUTH_SELF_REVIEWS) | ON(AUTH_RULES_REVIEWS))
#define ALL      (ON(AUTH_RESOURCE_COUNT) - 1)

enum scope {
    ANY,           /* whichever object */
    OWN,           /* the object that has the node's own name */
    OWN_ADDRESSES, /* the same, and only the addresses in its spec.bgp */
};

/* clang-format off */
static const struct rule {
    unsigned roles;
    unsigned verbs;
    unsigned resources;
    enum scope scope;
} RULES[] = {
    /* who              may            on                                       which */
    {NODE,              AUTH_GET,      ON(AUTH_NODE_PEERINGS),                  OWN}, /* every poll: first */
    {NODE,              AUTH_GET,      ON(AUTH_NODES),                          OWN},
    {NODE,              CHANGE,        ON(AUTH_NODES),                          OWN_ADDRESSES},
    {NODE,              AUTH_GET | AUTH_UPDATE, ON(AUTH_NODE_STATUS),           OWN}, /* reports */
    {ADMIN,             READ | WRITE,  ALL,                                     ANY},
    {OPERATOR,          READ | WRITE,  BGP,                                     ANY},
    {OPERATOR,          READ | SUBMIT, ON(AUTH_SECRETS),                        ANY}, /* shown redacted */
    {OPERATOR,          READ,          ON(AUTH_CHANGES) | ON(AUTH_DIFF),        ANY}, /* name Secrets */
    {OPERATOR,          AUTH_CREATE,   ON(AUTH_PREVIEWS) | ON(AUTH_APPLIES) | ON(AUTH_IMPORTS), ANY},
    {OPERATOR,          AUTH_CREATE,   ON(AUTH_ROLLBACKS),                      ANY},
    {OPERATOR,          AUTH_UPDATE | AUTH_DELETE, ON(AUTH_FREEZE),             ANY}, /* lifts only its own */
    {OPERATOR | VIEWER, AUTH_GET,      ON(AUTH_FREEZE),                         ANY},
    {OPERATOR | VIEWER, READ,          BGP | COMPUTED,                          ANY},
    {OPERATOR | VIEWER, READ,          ON(AUTH_NAMESPACES) | ON(AUTH_METRICS),  ANY},
    {EVERYONE,          AUTH_GET,      ON(AUTH_DOCUMENTS),                      ANY},
    {EVERYONE,          AUTH_CREATE,   REVIEWS,                                 ANY},
};
/* clang-format on */
#define RULE_COUNT (sizeof RULES / sizeof *RULES)

_Static_assert(AUTH_RESOURCE_COUNT < 32, "a set of resources is one unsigned");

static const struct {
    const char *group;
    const char *path; /* "resource" or "resource/subresource" */
} RESOURCES[AUTH_RESOURCE_COUNT] = {
    [AUTH_BGPPEERS] = {"projectcalico.org", "bgppeers"},
    [AUTH_BGPCONFIGURATIONS] = {"projectcalico.org", "bgpconfigurations"},
    [AUTH_BGPFILTERS] = {"projectcalico.org", "bgpfilters"},
    [AUTH_NODES] = {"projectcalico.org", "nodes"},
    [AUTH_NODE_PEERINGS] = {"projectcalico.org", "nodes/peerings"},
    [AUTH_NODE_EXPLANATION] = {"projectcalico.org", "nodes/explanation"},
    [AUTH_NODE_STATUS] = {"projectcalico.org", "nodes/peeringstatus"},
    [AUTH_SESSIONS] = {"bgppeerd.io", "sessions"},
    [AUTH_CONVERGENCE] = {"bgppeerd.io", "convergence"},
    [AUTH_TRANSITIONS] = {"bgppeerd.io", "transitions"},
    [AUTH_CHANGES] = {"bgppeerd.io", "changes"},
    [AUTH_DIFF] = {"bgppeerd.io", "diff"},
    [AUTH_ROLLBACKS] = {"bgppeerd.io", "rollbacks"},
    [AUTH_PEER_PEERINGS] = {"projectcalico.org", "bgppeers/peerings"},
    [AUTH_SECRETS] = {"", "secrets"},
    [AUTH_NAMESPACES] = {"", "namespaces"},
    [AUTH_PREVIEWS] = {"bgppeerd.io", "previews"},
    [AUTH_APPLIES] = {"bgppeerd.io", "applies"},
    [AUTH_IMPORTS] = {"bgppeerd.io", "imports"},
    [AUTH_FREEZE] = {"bgppeerd.io", "freeze"},
    [AUTH_TOKENS] = {"bgppeerd.io", "tokens"},
    [AUTH_AUDIT] = {"bgppeerd.io", "audit"},
    [AUTH_VAULT] = {"bgppeerd.io", "vault"},
    [AUTH_BACKUPS] = {"bgppeerd.io", "backups"},
    [AUTH_METRICS] = {"bgppeerd.io", "metrics"},
    [AUTH_ACCESS_REVIEWS] = {"authorization.k8s.io", "selfsubjectaccessreviews"},
    [AUTH_SELF_REVIEWS] = {"authentication.k8s.io", "selfsubjectreviews"},
    [AUTH_RULES_REVIEWS] = {"authorization.k8s.io", "selfsubjectrulesreviews"},
    [AUTH_DOCUMENTS] = {"", ""},
};

static const struct {
    const char *name;
    unsigned verb;
} VERBS[] = {
    {"get", AUTH_GET},       {"list", AUTH_LIST},
    {"watch", AUTH_WATCH},   {"create", AUTH_CREATE},
    {"update", AUTH_UPDATE}, {"patch", AUTH_PATCH},
    {"delete", AUTH_DELETE}, {"deletecollection", AUTH_DELETE_COLLECTION},
};
#define VERB_COUNT (sizeof VERBS / sizeof *VERBS)

unsigned auth_verb_by_name(const char *name) {
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(VERBS[i].name, name) == 0) {
            return VERBS[i].verb;
        }
    }
    return 0;
}

const char *auth_verb_name(unsigned verb) {
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (VERBS[i].verb == verb) {
            return VERBS[i].name;
        }
    }
    return "use";
}

bool auth_resource_by_path(const char *path, enum auth_resource *ret) {
    for (enum auth_resource i = 0; i < AUTH_DOCUMENTS; i++) {
        if (strcmp(RESOURCES[i].path, path) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

bool auth_resource_by_name(const char *group, const char *resource, const char *subresource,
                           enum auth_resource *ret) {
    size_t len = strlen(resource);

    for (enum auth_resource i = 0; i < AUTH_DOCUMENTS; i++) {
        const char *path = RESOURCES[i].path;
        const char *below = strncmp(path, resource, len) == 0 ? path + len : NULL;
        bool wanted = subresource != NULL && subresource[0] != '\0';

        if (below != NULL && strcmp(RESOURCES[i].group, group) == 0 &&
            (wanted ? below[0] == '/' && strcmp(below + 1, subresource) == 0 : below[0] == '\0')) {
            *ret = i;
            return true;
        }
    }
    return false;
}

const char *auth_resource_name(enum auth_resource resource) {
    return RESOURCES[resource].path;
}

const char *auth_resource_group(enum auth_resource resource) {
    return RESOURCES[resource].group;
}

/* ---- asking ---- */

static bool is_own(const struct principal *principal, const struct access *access) {
    const char *node = principal_node(principal);

    return node != NULL && access->name != NULL && strcmp(node, access->name) == 0;
}

enum auth_answer auth_allows(const struct principal *principal, const struct access *access) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const struct rule *rule = &RULES[i];

        if ((rule->roles & R(principal->role)) == 0 || (rule->verbs & access->verb) == 0 ||
            (rule->resources & ON(access->resource)) == 0 ||
            (rule->scope != ANY && !is_own(principal, access))) {
            continue;
        }
        return rule->scope == OWN_ADDRESSES ? AUTH_ALLOWED_ADDRESSES : AUTH_ALLOWED;
    }
    return AUTH_DENIED;
}

bool auth_has_rule(unsigned verb, enum auth_resource resource) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if ((RULES[i].verbs & verb) != 0 && (RULES[i].resources & ON(resource)) != 0) {
            return true;
        }
    }
    return false;
}

int auth_forbidden(const struct principal *principal, const struct access *access, struct err *err) {
    const char *path = RESOURCES[access->resource].path;
    const char *group = RESOURCES[access->resource].group;
    size_t plain = strcspn(path, "/");
    char object[AUTH_NODE_MAX + 8] = "";
    char where[AUTH_NODE_MAX + 32] = "at the cluster scope";

    if (access->name != NULL) {
        snprintf(object, sizeof object, " \"%s\"", access->name);
    }
    if (access->name_space != NULL) {
        snprintf(where, sizeof where, "in the namespace \"%s\"", access->name_space);
    }
    return err_set(
        err, ERR_FORBIDDEN,
        "%.*s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s: %s",
        (int)plain, path, group[0] == '\0' ? "" : ".", group, object, principal->user,
        auth_verb_name(access->verb), path, group, where, auth_role_summary(principal->role));
}
