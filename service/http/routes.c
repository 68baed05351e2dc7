/*
 * The route table: every path and method that is served, and the query parameters that it takes.
 *
 * Static and immutable. Adding a resource is one RESOURCE line; anything else is one row with its
 * handler.
 */
#include "admin/handlers.h"
#include "fleet/handlers.h"
#include "objects/handlers.h"
#include "request/router.h"

#define CORE  "/api/v1/"
#define GROUP "/apis/projectcalico.org/v3/"
#define OURS  "/apis/bgppeerd.io/v1/"

/* The query parameters that routes take; api/openapi-skeleton.json describes them, and a test compares. */
#define NO_QUERY   0
#define SELECTION  (QUERY_SET(QUERY_LABELS) | QUERY_SET(QUERY_FIELDS))
#define PAGES      (QUERY_SET(QUERY_LIMIT) | QUERY_SET(QUERY_CONTINUE))
#define DRY_RUN    QUERY_SET(QUERY_DRY_RUN)
#define VIEW       (QUERY_SET(QUERY_VIEW) | QUERY_SET(QUERY_NODE) | QUERY_SET(QUERY_AFTER))
#define PREVIEW    (DRY_RUN | QUERY_SET(QUERY_PREVIEW) | VIEW)
#define GET_QUERY  (QUERY_SET(QUERY_VERSION) | QUERY_SET(QUERY_INCLUDE_OBJECT))
#define LIST_QUERY (GET_QUERY | SELECTION | PAGES | QUERY_SET(QUERY_VERSION_MATCH) | WATCH_QUERY)
#define WATCH_QUERY                                                                                          \
    (QUERY_SET(QUERY_WATCH) | QUERY_SET(QUERY_TIMEOUT_SECONDS) | QUERY_SET(QUERY_BOOKMARKS) |                \
     QUERY_SET(QUERY_INITIAL_EVENTS))
#define VALIDATION  QUERY_SET(QUERY_FIELD_VALIDATION)
#define FORCE       QUERY_SET(QUERY_FORCE)
#define WRITE_QUERY (PREVIEW | VALIDATION | FORCE | QUERY_SET(QUERY_FIELD_MANAGER))
#define POLL_QUERY                                                                                           \
    (QUERY_SET(QUERY_WAIT) | QUERY_SET(QUERY_FORMAT) | QUERY_SET(QUERY_EXPLAIN) |                            \
     QUERY_SET(QUERY_PASSWORDS) | QUERY_SET(QUERY_REVISION) | QUERY_SET(QUERY_AT))
#define AUDIT_QUERY                                                                                          \
    (PAGES | QUERY_SET(QUERY_EVENT) | QUERY_SET(QUERY_USER) | QUERY_SET(QUERY_RESOURCE) |                    \
     QUERY_SET(QUERY_NAME) | QUERY_SET(QUERY_SINCE) | QUERY_SET(QUERY_UNTIL))
#define SESSIONS_QUERY                                                                                       \
    (PAGES | GET_QUERY | WATCH_QUERY | QUERY_SET(QUERY_LABELS) | QUERY_SET(QUERY_VERDICT) |                  \
     QUERY_SET(QUERY_STATE) | QUERY_SET(QUERY_NODE) | QUERY_SET(QUERY_BGP_PEER))
#define TRANSITIONS_QUERY                                                                                    \
    (PAGES | QUERY_SET(QUERY_NODE) | QUERY_SET(QUERY_PEER) | QUERY_SET(QUERY_SINCE) | QUERY_SET(QUERY_UNTIL))
#define CHANGES_QUERY                                                                                        \
    (PAGES | QUERY_SET(QUERY_KIND) | QUERY_SET(QUERY_NAME) | QUERY_SET(QUERY_ACTOR) |                        \
     QUERY_SET(QUERY_SINCE) | QUERY_SET(QUERY_UNTIL))

// clang-format off
/* The seven verbs of a kind below `base`. Reading rows come first: they are matched most. */
#define RESOURCE_AT(base, plural, kind, flags)                                                               \
    {METHOD_GET, base plural "/{name}", "get", plural, kind, (flags) | ROUTE_NAMED, GET_QUERY, handle_get},  \
    {METHOD_GET, base plural, "list", plural, kind, flags, LIST_QUERY, handle_list},                         \
    {METHOD_POST, base plural, "create", plural, kind, (flags) | ROUTE_BODY, WRITE_QUERY, handle_create},    \
    {METHOD_PUT, base plural "/{name}", "update", plural, kind, (flags) | ROUTE_NAMED | ROUTE_BODY,          \
     WRITE_QUERY, handle_replace},                                                                           \
    {METHOD_PATCH, base plural "/{name}", "patch", plural, kind, (flags) | ROUTE_NAMED | ROUTE_BODY,         \
     WRITE_QUERY, handle_patch},                                                                             \
    {METHOD_DELETE, base plural "/{name}", "delete", plural, kind, (flags) | ROUTE_NAMED | ROUTE_BODY,       \
     PREVIEW | FORCE, handle_delete},                                                                                \
    {METHOD_DELETE, base plural, "deletecollection", plural, kind, (flags) | ROUTE_BODY,                     \
     PREVIEW | FORCE | SELECTION, handle_delete_collection}
#define RESOURCE(plural, kind) RESOURCE_AT(GROUP, plural, kind, ROUTE_PLAIN)

/* What is not about one kind, and is no resource of Kubernetes. */
#define OWN(method, path, verb, resource, flags, query, handler)                                             \
    {method, OURS path, verb, resource, ROUTE_KIND_NONE, ROUTE_OWN | (flags), query, handler}
#define REVIEW(path, resource, handler)                                                                      \
    {METHOD_POST, path resource, "create", resource, ROUTE_KIND_NONE, ROUTE_BODY, NO_QUERY, handler}
/* A document, which is no resource at all. */
#define DOCUMENT(path, flags, query, handler)                                                                \
    {METHOD_GET, path, "get", NULL, ROUTE_KIND_NONE, flags, query, handler}
// clang-format on

static const struct route ROUTES[] = {
    /* The poll of every node, all the time: first. */
    {METHOD_GET, GROUP "nodes/{name}/peerings", "get", "nodes/peerings", KIND_NODE,
     ROUTE_OWN | ROUTE_NAMED | ROUTE_POLL, POLL_QUERY, handle_peerings},
    RESOURCE("nodes", KIND_NODE),
    RESOURCE("bgppeers", KIND_BGPPEER),
    RESOURCE("bgpconfigurations", KIND_BGPCONFIGURATION),
    RESOURCE("bgpfilters", KIND_BGPFILTER),

    RESOURCE_AT(CORE "namespaces/{namespace}/", "secrets", KIND_SECRET, ROUTE_NAMESPACED),
    {METHOD_GET, CORE "secrets", "list", "secrets", KIND_SECRET, ROUTE_PLAIN, LIST_QUERY, handle_list},
    {METHOD_GET, CORE "namespaces", "list", "namespaces", ROUTE_KIND_NONE, ROUTE_PLAIN, SELECTION,
     handle_namespaces},
    {METHOD_GET, CORE "namespaces/{namespace}", "get", "namespaces", ROUTE_KIND_NONE, ROUTE_NAMED, NO_QUERY,
     handle_namespace},

    {METHOD_GET, GROUP "bgppeers/{name}/peerings", "get", "bgppeers/peerings", KIND_BGPPEER,
     ROUTE_OWN | ROUTE_NAMED, PAGES, handle_bgppeer_sessions},
    {METHOD_GET, GROUP "nodes/{name}/peerings/status", "get", "nodes/peeringstatus", KIND_NODE,
     ROUTE_OWN | ROUTE_NAMED, NO_QUERY, handle_status_get},
    {METHOD_GET, GROUP "nodes/{name}/peerings/history", "get", "nodes/peerings", KIND_NODE,
     ROUTE_OWN | ROUTE_NAMED, PAGES, handle_list_history},
    {METHOD_PUT, GROUP "nodes/{name}/peerings/status", "update", "nodes/peeringstatus", KIND_NODE,
     ROUTE_OWN | ROUTE_NAMED | ROUTE_BODY, NO_QUERY, handle_status_put},
    OWN(METHOD_GET, "sessions", "list", "sessions", ROUTE_PLAIN, SESSIONS_QUERY, handle_sessions),
    OWN(METHOD_GET, "convergence", "get", "convergence", ROUTE_PLAIN,
        QUERY_SET(QUERY_VERSION) | QUERY_SET(QUERY_WAIT), handle_convergence),
    OWN(METHOD_GET, "transitions", "list", "transitions", ROUTE_PLAIN, TRANSITIONS_QUERY, handle_transitions),
    OWN(METHOD_GET, "changes", "list", "changes", ROUTE_PLAIN, CHANGES_QUERY, handle_changes),
    OWN(METHOD_GET, "changes/{name}", "get", "changes", ROUTE_NAMED, VIEW, handle_change),
    OWN(METHOD_GET, "diff", "get", "diff", ROUTE_PLAIN,
        QUERY_SET(QUERY_FROM) | QUERY_SET(QUERY_TO) | QUERY_SET(QUERY_VIEW) | QUERY_SET(QUERY_NODE) |
            QUERY_SET(QUERY_AFTER),
        handle_diff),
    OWN(METHOD_POST, "rollbacks", "create", "rollbacks", ROUTE_BODY, DRY_RUN | FORCE | VIEW,
        handle_rollbacks),
    OWN(METHOD_POST, "previews", "create", "previews", ROUTE_BODY, DRY_RUN | VALIDATION | FORCE | VIEW,
        handle_previews),
    OWN(METHOD_POST, "applies", "create", "applies", ROUTE_BODY, DRY_RUN | VALIDATION | FORCE,
        handle_applies),
    OWN(METHOD_POST, "imports", "create", "imports", ROUTE_BODY | ROUTE_IMPORT,
        DRY_RUN | VALIDATION | FORCE | VIEW | QUERY_SET(QUERY_SOURCE) | QUERY_SET(QUERY_SKIP_BAD),
        handle_imports),

    OWN(METHOD_GET, "freeze", "get", "freeze", ROUTE_PLAIN, NO_QUERY, handle_freeze_get),
    OWN(METHOD_PUT, "freeze", "update", "freeze", ROUTE_BODY, NO_QUERY, handle_freeze_put),
    OWN(METHOD_DELETE, "freeze", "delete", "freeze", ROUTE_PLAIN, NO_QUERY, handle_freeze_delete),

    OWN(METHOD_GET, "tokens/{name}", "get", "tokens", ROUTE_NAMED, NO_QUERY, handle_token_get),
    OWN(METHOD_GET, "tokens", "list", "tokens", ROUTE_PLAIN, NO_QUERY, handle_token_list),
    OWN(METHOD_POST, "tokens", "create", "tokens", ROUTE_BODY, NO_QUERY, handle_token_create),
    OWN(METHOD_DELETE, "tokens/{name}", "delete", "tokens", ROUTE_NAMED, NO_QUERY, handle_token_delete),
    OWN(METHOD_GET, "vault", "get", "vault", ROUTE_PLAIN, NO_QUERY, handle_vault),
    OWN(METHOD_POST, "vault/rotations", "create", "vault", ROUTE_BODY, NO_QUERY, handle_vault_rotate),
    OWN(METHOD_POST, "vault/rootkeychanges", "create", "vault", ROUTE_BODY, NO_QUERY,
        handle_vault_change_root),
    OWN(METHOD_DELETE, "vault/rootkeychanges", "delete", "vault", ROUTE_PLAIN, NO_QUERY,
        handle_vault_cancel_root),
    OWN(METHOD_GET, "backup", "get", "backups", ROUTE_BACKUP, NO_QUERY, handle_backup),
    OWN(METHOD_GET, "audit", "list", "audit", ROUTE_PLAIN, AUDIT_QUERY, handle_audit),
    REVIEW("/apis/authorization.k8s.io/v1/", "selfsubjectaccessreviews", handle_access_review),
    REVIEW("/apis/authorization.k8s.io/v1/", "selfsubjectrulesreviews", handle_rules_review),
    REVIEW("/apis/authentication.k8s.io/v1/", "selfsubjectreviews", handle_self_review),

    DOCUMENT("/", ROUTE_PUBLIC, NO_QUERY, handle_root),
    DOCUMENT("/api", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/api/v1", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/apis", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/apis/projectcalico.org", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/apis/projectcalico.org/v3", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/apis/bgppeerd.io", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/apis/bgppeerd.io/v1", ROUTE_PLAIN, NO_QUERY, handle_discovery),
    DOCUMENT("/version", ROUTE_PUBLIC, NO_QUERY, handle_discovery),
    DOCUMENT("/openapi.json", ROUTE_PLAIN, NO_QUERY, handle_openapi),
    DOCUMENT("/openapi/v2", ROUTE_PLAIN, NO_QUERY, handle_openapi_v2),
    DOCUMENT("/openapi/v3", ROUTE_PLAIN, NO_QUERY, handle_openapi_v3),
    DOCUMENT("/openapi/v3/api/v1", ROUTE_PLAIN, QUERY_SET(QUERY_HASH), handle_openapi_v3),
    DOCUMENT("/openapi/v3/apis/projectcalico.org/v3", ROUTE_PLAIN, QUERY_SET(QUERY_HASH), handle_openapi_v3),

    {METHOD_GET, "/metrics", "get", "metrics", ROUTE_KIND_NONE, ROUTE_PLAIN, NO_QUERY, handle_metrics},
    DOCUMENT("/livez", ROUTE_PUBLIC, NO_QUERY, handle_livez),
    DOCUMENT("/readyz", ROUTE_PUBLIC, QUERY_SET(QUERY_VERBOSE), handle_readyz),
    DOCUMENT("/healthz", ROUTE_PUBLIC, QUERY_SET(QUERY_VERBOSE), handle_readyz),
};

const struct route *routes_all(size_t *ret_count) {
    *ret_count = sizeof(ROUTES) / sizeof(ROUTES[0]);
    return ROUTES;
}
