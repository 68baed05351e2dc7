/*
 * The route table: every path and method that is served.
 *
 * Static and immutable. Adding a resource is one RESOURCE line; anything else is one row with its
 * handler.
 */
#include "handlers.h"
#include "router.h"

#define GROUP "/apis/projectcalico.org/v3/"

/* The seven verbs of a cluster-scoped kind. Reading rows come first: they are matched most. */
#define RESOURCE(plural, a_kind)                                                                               \
    {METHOD_GET, GROUP plural "/{name}", "get", plural, a_kind, ROUTE_PLAIN, handle_get},                      \
        {METHOD_GET, GROUP plural, "list", plural, a_kind, ROUTE_PLAIN, handle_list},                          \
        {METHOD_POST, GROUP plural, "create", plural, a_kind, ROUTE_BODY, handle_create},                      \
        {METHOD_PUT, GROUP plural "/{name}", "update", plural, a_kind, ROUTE_BODY, handle_replace},            \
        {METHOD_PATCH, GROUP plural "/{name}", "patch", plural, a_kind, ROUTE_BODY, handle_patch},             \
        {METHOD_DELETE, GROUP plural "/{name}", "delete", plural, a_kind, ROUTE_BODY, handle_delete},          \
    {                                                                                                          \
        METHOD_DELETE, GROUP plural, "deletecollection", plural, a_kind, ROUTE_BODY, handle_delete_collection  \
    }

/* A document that is not about one kind. */
#define DOCUMENT(path, flags, handler)                                                                         \
    {                                                                                                          \
        METHOD_GET, path, "get", NULL, ROUTE_KIND_NONE, flags, handler                                         \
    }

static const struct route ROUTES[] = {
    /* The poll of every node, all the time: first. */
    {METHOD_GET, GROUP "nodes/{name}/peerings", "get", "nodes/peerings", KIND_NODE, ROUTE_PLAIN, handle_peerings},
    RESOURCE("nodes", KIND_NODE),
    RESOURCE("bgppeers", KIND_BGPPEER),
    RESOURCE("bgpconfigurations", KIND_BGPCONFIGURATION),
    RESOURCE("bgpfilters", KIND_BGPFILTER),

    DOCUMENT("/api", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/api/v1", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis/projectcalico.org", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/apis/projectcalico.org/v3", ROUTE_SLASH, handle_discovery),
    DOCUMENT("/version", ROUTE_SLASH | ROUTE_PUBLIC, handle_discovery),
    DOCUMENT("/openapi.json", ROUTE_PLAIN, handle_openapi),
    DOCUMENT("/openapi/v2", ROUTE_PLAIN, handle_openapi_v2),
    DOCUMENT("/openapi/v3", ROUTE_SLASH, handle_openapi_v3),

    DOCUMENT("/livez", ROUTE_PUBLIC, handle_livez),
    DOCUMENT("/readyz", ROUTE_PUBLIC, handle_readyz),
    DOCUMENT("/healthz", ROUTE_PUBLIC, handle_readyz),
};

const struct route *routes_all(size_t *ret_count) {
    *ret_count = sizeof(ROUTES) / sizeof(ROUTES[0]);
    return ROUTES;
}
