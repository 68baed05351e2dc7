/*
 * The permission table from outside: every role on every resource with every verb against an independent list
 * of what is allowed, certificates' subjects, and the sentence of a denial.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "auth.h"

static struct principal principal_of(enum role role) {
    struct principal principal = {.role = role};

    snprintf(principal.user, sizeof principal.user, role == ROLE_NODE ? "system:node:rack1" : "token:x");
    return principal;
}

static const char *const VERBS[] = {"get",    "list",  "watch",  "create",
                                    "update", "patch", "delete", "deletecollection"};
#define VERB_COUNT (sizeof VERBS / sizeof *VERBS)

/* What the specification allows, one letter a verb in the order of VERBS; "-" for none. */
static const struct {
    enum auth_resource resource;
    const char *operator_may, *viewer_may, *node_may; /* node: on its own name */
} EXPECTED[] = {
    {AUTH_BGPPEERS, "glwcupdD", "glw-----", "--------"},
    {AUTH_BGPCONFIGURATIONS, "glwcupdD", "glw-----", "--------"},
    {AUTH_BGPFILTERS, "glwcupdD", "glw-----", "--------"},
    {AUTH_NODES, "glwcupdD", "glw-----", "g---up--"},
    {AUTH_NODE_PEERINGS, "glw-----", "glw-----", "g-------"},
    {AUTH_NODE_EXPLANATION, "glw-----", "glw-----", "--------"},
    {AUTH_NODE_STATUS, "glw-----", "glw-----", "g---u---"},
    {AUTH_SESSIONS, "glw-----", "glw-----", "--------"},
    {AUTH_CONVERGENCE, "glw-----", "glw-----", "--------"},
    {AUTH_TRANSITIONS, "glw-----", "glw-----", "--------"},
    {AUTH_CHANGES, "glw-----", "--------", "--------"},
    {AUTH_DIFF, "glw-----", "--------", "--------"},
    {AUTH_ROLLBACKS, "---c----", "--------", "--------"},
    {AUTH_PEER_PEERINGS, "glw-----", "glw-----", "--------"},
    {AUTH_SECRETS, "glwcup--", "--------", "--------"},
    {AUTH_NAMESPACES, "glw-----", "glw-----", "--------"},
    {AUTH_PREVIEWS, "---c----", "--------", "--------"},
    {AUTH_APPLIES, "---c----", "--------", "--------"},
    {AUTH_IMPORTS, "---c----", "--------", "--------"},
    {AUTH_FREEZE, "g---u-d-", "g-------", "--------"},
    {AUTH_TOKENS, "--------", "--------", "--------"},
    {AUTH_AUDIT, "--------", "--------", "--------"},
    {AUTH_VAULT, "--------", "--------", "--------"},
    {AUTH_BACKUPS, "--------", "--------", "--------"},
    {AUTH_METRICS, "glw-----", "glw-----", "--------"},
    {AUTH_ACCESS_REVIEWS, "---c----", "---c----", "---c----"},
    {AUTH_SELF_REVIEWS, "---c----", "---c----", "---c----"},
    {AUTH_RULES_REVIEWS, "---c----", "---c----", "---c----"},
    {AUTH_DOCUMENTS, "g-------", "g-------", "g-------"},
};
#define EXPECTED_COUNT (sizeof EXPECTED / sizeof *EXPECTED)

static enum auth_answer ask(enum role role, size_t verb, enum auth_resource resource, const char *name) {
    struct principal principal = principal_of(role);

    return auth_allows(
        &principal,
        &(struct access){.verb = auth_verb_by_name(VERBS[verb]), .resource = resource, .name = name});
}

static void test_every_cell(void **state) {
    (void)state;
    assert_int_equal(EXPECTED_COUNT, AUTH_RESOURCE_COUNT);
    for (size_t i = 0; i < EXPECTED_COUNT; i++) {
        enum auth_resource resource = EXPECTED[i].resource;

        assert_int_equal(resource, i); /* none missing */
        for (size_t verb = 0; verb < VERB_COUNT; verb++) {
            bool operator_may = EXPECTED[i].operator_may[verb] != '-';
            bool viewer_may = EXPECTED[i].viewer_may[verb] != '-';
            bool node_may = EXPECTED[i].node_may[verb] != '-';
            bool shared = resource >= AUTH_ACCESS_REVIEWS; /* for everybody, whatever the name */

            assert_int_equal(ask(ROLE_ADMIN, verb, resource, "rack1"), AUTH_ALLOWED);
            assert_int_equal(ask(ROLE_OPERATOR, verb, resource, "rack1") != AUTH_DENIED, operator_may);
            assert_int_equal(ask(ROLE_VIEWER, verb, resource, "rack1") != AUTH_DENIED, viewer_may);
            assert_int_equal(ask(ROLE_NODE, verb, resource, "rack1") != AUTH_DENIED, node_may);
            assert_int_equal(ask(ROLE_NODE, verb, resource, "rack2") != AUTH_DENIED, node_may && shared);
            assert_int_equal(ask(ROLE_NODE, verb, resource, "rack1 ") != AUTH_DENIED, node_may && shared);
            assert_int_equal(ask(ROLE_NODE, verb, resource, NULL) != AUTH_DENIED, node_may && shared);
            assert_int_equal(ask(ROLE_NONE, verb, resource, "rack1"), AUTH_DENIED);
        }
    }
}

static void test_own_node_is_guarded(void **state) {
    (void)state;
    assert_int_equal(ask(ROLE_NODE, 0, AUTH_NODES, "rack1"), AUTH_ALLOWED);
    assert_int_equal(ask(ROLE_NODE, 4, AUTH_NODES, "rack1"), AUTH_ALLOWED_ADDRESSES);
    assert_int_equal(ask(ROLE_NODE, 5, AUTH_NODES, "rack1"), AUTH_ALLOWED_ADDRESSES);
    assert_int_equal(ask(ROLE_OPERATOR, 4, AUTH_NODES, "rack1"), AUTH_ALLOWED);
}

static void test_names_of_resources(void **state) {
    enum auth_resource resource;

    (void)state;
    for (enum auth_resource i = 0; i < AUTH_DOCUMENTS; i++) {
        char name[64];
        char *slash;

        assert_true(auth_resource_by_path(auth_resource_name(i), &resource));
        assert_int_equal(resource, i);
        snprintf(name, sizeof name, "%s", auth_resource_name(i));
        slash = strchr(name, '/');
        if (slash != NULL) {
            *slash++ = '\0';
        }
        assert_true(auth_resource_by_name(auth_resource_group(i), name, slash, &resource));
        assert_int_equal(resource, i);
        assert_true(auth_has_rule(AUTH_GET, i));
    }
    assert_false(auth_resource_by_path("", &resource));
    assert_false(auth_resource_by_path("pods", &resource));
    assert_false(auth_resource_by_name("", "nodes", NULL, &resource)); /* Kubernetes' own nodes */
    assert_false(auth_resource_by_name("projectcalico.org", "node", NULL, &resource));
    assert_false(auth_resource_by_name("projectcalico.org", "nodes", "status", &resource));
    assert_false(auth_resource_by_name("", "", "", &resource));
    for (size_t i = 0; i < VERB_COUNT; i++) {
        assert_string_equal(auth_verb_name(auth_verb_by_name(VERBS[i])), VERBS[i]);
    }
    assert_int_equal(auth_verb_by_name("impersonate"), 0);
}

static void test_denial_reads_like_kubernetes(void **state) {
    struct principal viewer = principal_of(ROLE_VIEWER);
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(
        auth_forbidden(&viewer, &(struct access){.verb = AUTH_DELETE, .resource = AUTH_BGPPEERS, .name = "a"},
                       &err),
        -1);
    assert_int_equal(err.code, ERR_FORBIDDEN);
    assert_non_null(strstr(err.text,
                           "bgppeers.projectcalico.org \"a\" is forbidden: User \"token:x\" cannot delete "
                           "resource \"bgppeers\" in API group \"projectcalico.org\" at the cluster scope"));
    assert_int_equal(
        auth_forbidden(&viewer,
                       &(struct access){.verb = AUTH_LIST, .resource = AUTH_SECRETS, .name_space = "default"},
                       &err),
        -1);
    assert_non_null(strstr(err.text,
                           "secrets is forbidden: User \"token:x\" cannot list resource \"secrets\" in API "
                           "group \"\" in the namespace \"default\""));
}

static void test_roles_by_name(void **state) {
    enum role role = ROLE_NONE;

    (void)state;
    for (enum role i = ROLE_ADMIN; i < ROLE_COUNT; i++) {
        assert_true(role_parse(role_name(i), &role));
        assert_int_equal(role, i);
    }
    assert_false(role_parse("none", &role));
    assert_false(role_parse("Admin", &role));
    assert_false(role_parse("", &role));
}

static enum role certificate_role(const char *name, const char *a, const char *b, struct principal *ret) {
    const char *groups[] = {a, b};
    struct err err = ERR_INIT;

    if (principal_from_certificate(name, groups, b != NULL ? 2 : a != NULL ? 1 : 0, ret, &err) < 0) {
        assert_int_equal(err.code, ERR_UNAUTHORIZED);
        return ROLE_NONE;
    }
    return ret->role;
}

static void test_certificates(void **state) {
    struct principal principal = {.role = ROLE_NONE};
    char name[400];

    (void)state;
    assert_int_equal(certificate_role("alice", "system:masters", NULL, &principal), ROLE_ADMIN);
    assert_string_equal(principal.user, "alice");
    assert_null(principal_node(&principal));
    assert_int_equal(certificate_role("bob", "bgppeerd:operator", "bgppeerd:viewer", &principal),
                     ROLE_OPERATOR);
    assert_int_equal(certificate_role("bob", "bgppeerd:viewer", "bgppeerd:admin", &principal), ROLE_ADMIN);
    assert_int_equal(certificate_role("system:node:rack1", "system:nodes", NULL, &principal), ROLE_NODE);
    assert_string_equal(principal_node(&principal), "rack1");
    assert_int_equal(certificate_role("rack1", "system:nodes", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("system:node:", "system:nodes", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("system:node:rack1", "developers", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("alice", NULL, NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("alice", "bgppeerd:none", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("", "system:masters", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role(NULL, "system:masters", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("a\nb", "system:masters", NULL, &principal), ROLE_NONE);
    /* What is shown in logs and answers is text, and steers nobody's terminal. */
    assert_int_equal(certificate_role("J\xC3\xBCrgen", "system:masters", NULL, &principal), ROLE_ADMIN);
    assert_int_equal(certificate_role("a\xFFz", "system:masters", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("a\xC3", "system:masters", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("a\xC2\x9Bz", "system:masters", NULL, &principal), ROLE_NONE);
    assert_int_equal(certificate_role("a\x7Fz", "system:masters", NULL, &principal), ROLE_NONE);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(certificate_role(name, "system:masters", NULL, &principal), ROLE_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),         cmocka_unit_test(test_own_node_is_guarded),
        cmocka_unit_test(test_names_of_resources), cmocka_unit_test(test_denial_reads_like_kubernetes),
        cmocka_unit_test(test_roles_by_name),      cmocka_unit_test(test_certificates),
    };

    return cmocka_run_group_tests_name("auth rules", tests, NULL, NULL);
}
