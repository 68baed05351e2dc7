/*
 * Principals: roles, their names, and how a client certificate's subject becomes one of them. Pure; no state.
 */
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "base/text.h"

static const struct {
    const char *name;
    const char *group;
    const char *summary;
} ROLES[ROLE_COUNT] = {
    [ROLE_NONE] = {"none", "system:unauthenticated",
                   "without a credential only health and version are shown"},
    [ROLE_ADMIN] = {"admin", "bgppeerd:admin", "an admin may do everything"},
    [ROLE_OPERATOR] = {"operator", "bgppeerd:operator",
                       "an operator may read and write the BGP resources and create and replace secrets; "
                       "tokens, audit and keys need an admin"},
    [ROLE_VIEWER] = {"viewer", "bgppeerd:viewer", "a viewer may read the BGP resources and nothing else"},
    [ROLE_NODE] = {"node", "system:nodes",
                   "a node may read its own peering list and its own Node, and change the addresses in "
                   "spec.bgp of its own Node"},
};

const char *role_name(enum role role) {
    return ROLES[role].name;
}

const char *role_group(enum role role) {
    return ROLES[role].group;
}

const char *auth_role_summary(enum role role) {
    return ROLES[role].summary;
}

bool role_parse(const char *text, enum role *ret) {
    for (enum role role = ROLE_ADMIN; role < ROLE_COUNT; role++) {
        if (strcmp(text, ROLES[role].name) == 0) {
            *ret = role;
            return true;
        }
    }
    return false;
}

const char *principal_node(const struct principal *principal) {
    return principal->role == ROLE_NODE ? principal->user + strlen(AUTH_NODE_USER) : NULL;
}

void principal_anonymous(struct principal *ret) {
    ret->role = ROLE_ADMIN;
    snprintf(ret->user, sizeof ret->user, "anonymous");
}

/* The role that one group gives; `common_name` decides whether system:nodes gives any. */
static enum role group_role(const char *group, const char *common_name) {
    if (strcmp(group, "system:masters") == 0) {
        return ROLE_ADMIN;
    }
    if (strcmp(group, ROLES[ROLE_NODE].group) == 0) {
        size_t prefix = strlen(AUTH_NODE_USER);
        bool named = strncmp(common_name, AUTH_NODE_USER, prefix) == 0 && common_name[prefix] != '\0' &&
                     strlen(common_name + prefix) < AUTH_NODE_MAX;

        return named ? ROLE_NODE : ROLE_NONE;
    }
    for (enum role role = ROLE_ADMIN; role < ROLE_NODE; role++) {
        if (strcmp(group, ROLES[role].group) == 0) {
            return role;
        }
    }
    return ROLE_NONE;
}

/* Names that are given here to others, so that no certificate is taken for them in the audit trail, or shares
 * their limits: tokens, the nodes of system:nodes, who works on a stopped service, who needs no credential.
 * Kubernetes keeps "system:" for itself in the same way. */
static bool is_reserved(const char *name, enum role role) {
    static const char *const PREFIXES[] = {"token:", "local:", "system:"};

    if (role == ROLE_NODE || strcmp(name, "anonymous") == 0) {
        return role != ROLE_NODE;
    }
    for (size_t i = 0; i < sizeof(PREFIXES) / sizeof(*PREFIXES); i++) {
        if (strncmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_blank(const char *name) {
    return name[strspn(name, " ")] == '\0';
}

int principal_from_certificate(const char *common_name, const char *const *groups, size_t group_count,
                               struct principal *ret, struct err *err) {
    enum role best = ROLE_NONE;

    if (common_name == NULL || is_blank(common_name) || strlen(common_name) >= AUTH_USER_MAX ||
        !text_is_one_line(common_name)) {
        return err_set(err, ERR_UNAUTHORIZED,
                       "the client certificate's subject has no usable common name (CN); it names the user");
    }
    for (size_t i = 0; i < group_count; i++) {
        enum role role = group_role(groups[i], common_name);

        if (role != ROLE_NONE && (best == ROLE_NONE || role < best)) {
            best = role;
        }
    }
    if (best == ROLE_NONE) {
        return err_set(
            err, ERR_UNAUTHORIZED,
            "the client certificate of \"%.253s\" has no organisation (O) that is a role here: use "
            "bgppeerd:admin, bgppeerd:operator, bgppeerd:viewer, or system:nodes with a CN of "
            "system:node:<name>",
            common_name);
    }
    if (is_reserved(common_name, best)) {
        return err_set(
            err, ERR_UNAUTHORIZED,
            "the client certificate's common name \"%.253s\" is one of those that this service gives to "
            "others "
            "(token:…, local:…, system:…, anonymous); only system:node:<name> with the organisation "
            "system:nodes, and no other role, may be one of them",
            common_name);
    }
    ret->role = best;
    snprintf(ret->user, sizeof ret->user, "%s", common_name);
    return 0;
}
