/*
 * The route table: every path and method that is served.
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

/* The seven verbs of a kind below `base`. Reading rows come first: they are matched most. */
#define RESOURCE_AT(base, plural, a_kind, flags)                                                             \
    {METHOD_GET, base plural "/{name}", "get", plural, a_kind, (flags) | ROUTE_NAMED, handle_get},           \
        {METHOD_GET, base plural, "list", plural, a_kind, flags, handle_list},                               \
        {METHOD_POST, base plural, "create", plural, a_kind, (flags) | ROUTE_BODY, handle_create},           \
        {METHOD_PUT,    base plural "/{name}", "update", plural, a_kind, (flags) | ROUTE_NAMED | ROUTE_BODY, \
         handle_replace},                                                                                    \
        {METHOD_PATCH, base plural "/{name}", "patch", plural, a_kind, (flags) | ROUTE_NAMED | ROUTE_BODY,   \
         handle_patch},                                                                                      \
        {METHOD_DELETE, base plural "/{name}", "delete", plural, a_kind, (flags) | ROUTE_NAMED | ROUTE_BODY, \
         handle_delete},                                                                                     \
    {                                                                                                        \
        METHOD_DELETE, base plural, "deletecollection", plural, a_kind, (flags) | ROUTE_BODY,                \
            handle_delete_collection                                                                         \
    }
#define RESOURCE(plural, a_kind) RESOURCE_AT(GROUP, plural, a_kind, ROUTE_PLAIN)

/* A document that is not about one kind. */
#define DOCUMENT(path, flags, handler)                                                                       \
    { METHOD_GET, path, "get", NULL, ROUTE_KIND_NONE, flags, handler }

static const struct route ROUTES[] = {
    /* The poll of every node, all the time: first. */
    {METHOD_GET, GROUP "nodes/{name}/peerings", "get", "nodes/peerings", KIND_NODE, ROUTE_NAMED | ROUTE_POLL,
     handle_peerings},
    RESOURCE("nodes", KIND_NODE),
    RESOURCE("bgppeers", KIND_BGPPEER),
    RESOURCE("bgpconfigurations", KIND_BGPCONFIGURATION),
    RESOURCE("bgpfilters", KIND_BGPFILTER),

    RESOURCE_AT(CORE "namespaces/{namespace}/", "secrets", KIND_SECRET, ROUTE_NAMESPACED),
    {METHOD_GET, CORE "secrets", "list", "secrets", KIND_SECRET, ROUTE_PLAIN, handle_list},
    {METHOD_GET, CORE "namespaces", "list", "namespaces", ROUTE_KIND_NONE, ROUTE_PLAIN, handle_namespaces},
    {METHOD_GET, CORE "namespaces/{namespace}", "get", "namespaces", ROUTE_KIND_NONE, ROUTE_NAMED,
     handle_namespace},

    {METHOD_GET, GROUP "bgppeers/{name}/peerings", "get", "bgppeers/peerings", KIND_BGPPEER, ROUTE_NAMED,
     handle_bgppeer_sessions},
    {METHOD_POST, OURS "previews", "create", "previews", ROUTE_KIND_NONE, ROUTE_BODY, handle_previews},
    {METHOD_POST, OURS "applies", "create", "applies", ROUTE_KIND_NONE, ROUTE_BODY, handle_applies},

    {METHOD_GET, OURS "tokens/{name}", "get", "tokens", ROUTE_KIND_NONE, ROUTE_NAMED, handle_token_get},
    {METHOD_GET, OURS "tokens", "list", "tokens", ROUTE_KIND_NONE, ROUTE_PLAIN, handle_token_list},
    {METHOD_POST, OURS "tokens", "create", "tokens", ROUTE_KIND_NONE, ROUTE_BODY, handle_token_create},
    {METHOD_DELETE, OURS "tokens/{name}", "delete", "tokens", ROUTE_KIND_NONE, ROUTE_NAMED,
     handle_token_delete},
    {METHOD_GET, OURS "vault", "get", "vault", ROUTE_KIND_NONE, ROUTE_PLAIN, handle_vault},
    {METHOD_POST, OURS "vault/rotations", "create", "vault", ROUTE_KIND_NONE, ROUTE_BODY,
     handle_vault_rotate},
    {METHOD_POST, OURS "vault/rootkeychanges", "create", "vault", ROUTE_KIND_NONE, ROUTE_BODY,
     handle_vault_change_root},
    {METHOD_DELETE, OURS "vault/rootkeychanges", "delete", "vault", ROUTE_KIND_NONE, ROUTE_PLAIN,
     handle_vault_cancel_root},
    {METHOD_GET, OURS "backup", "get", "backups", ROUTE_KIND_NONE, ROUTE_BACKUP, handle_backup},
    {METHOD_GET, OURS "audit", "list", "audit", ROUTE_KIND_NONE, ROUTE_PLAIN, handle_audit},
    {METHOD_POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "create",
     "selfsubjectaccessreviews", ROUTE_KIND_NONE, ROUTE_BODY, handle_access_review},
    {METHOD_POST, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "create",
     "selfsubjectrulesreviews", ROUTE_KIND_NONE, ROUTE_BODY, handle_rules_review},
    {METHOD_POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", "create", "selfsubjectreviews",
     ROUTE_KIND_NONE, ROUTE_BODY, handle_self_review},

    DOCUMENT("/api", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/api/v1", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis/projectcalico.org", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis/projectcalico.org/v3", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/version", ROUTE_SLASH | ROUTE_PUBLIC, handle_discovery),
    DOCUMENT("/openapi.json", ROUTE_PLAIN, handle_openapi),
    DOCUMENT("/openapi/v2", ROUTE_PLAIN, handle_openapi_v2),
    DOCUMENT("/openapi/v3", ROUTE_SLASH, handle_openapi_v3),
    DOCUMENT("/openapi/v3/api/v1", ROUTE_PLAIN, handle_openapi_v3),
    DOCUMENT("/openapi/v3/apis/projectcalico.org/v3", ROUTE_PLAIN, handle_openapi_v3),

    {METHOD_GET, "/metrics", "get", "metrics", ROUTE_KIND_NONE, ROUTE_PLAIN, handle_metrics},
    DOCUMENT("/livez", ROUTE_PUBLIC, handle_livez),
    DOCUMENT("/readyz", ROUTE_PUBLIC, handle_readyz),
    DOCUMENT("/healthz", ROUTE_PUBLIC, handle_readyz),
};

const struct route *routes_all(size_t *ret_count) {
    *ret_count = sizeof(ROUTES) / sizeof(ROUTES[0]);
    return ROUTES;
}
