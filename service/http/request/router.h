/*
 * Router: one table of everything that is served, and its fast matching.
 *
 * The table (routes.c) is what discovery, authorization and tests enumerate: there is no other place
 * where a path is decided on. Matching walks a tree of path segments built once from the table.
 */
#ifndef BGPPEERD_HTTP_REQUEST_ROUTER_H
#define BGPPEERD_HTTP_REQUEST_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/object.h"
#include "request/query.h"

#define ROUTE_PARAMS_MAX 4
#define ROUTER_NODES_MAX 192
#define ROUTER_ALLOW_MAX 64
#define ROUTE_KIND_NONE  KIND_COUNT

enum method {
    METHOD_GET,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_SERVED, /* how many the table knows; HEAD is GET without the body */
    METHOD_HEAD = METHOD_SERVED,
    METHOD_OTHER,
};

enum route_flags {
    ROUTE_PLAIN = 0,
    ROUTE_BODY = 1,       /* reads a body */
    ROUTE_PUBLIC = 2,     /* needs no credential: health and the like */
    ROUTE_NAMED = 4,      /* the last parameter of its path is the object's name */
    ROUTE_NAMESPACED = 8, /* … and the first one the namespace */
    ROUTE_OWN = 16,       /* Kubernetes has no such path: query parameters are ours alone */
    ROUTE_POLL = 32,      /* what nodes poll: counted apart */
    ROUTE_BACKUP = 64,    /* a backup: counted when it is out */
    ROUTE_IMPORT = 128,   /* its body may be large */
};

struct request;

struct route {
    enum method method;
    const char *path;     /* "/apis/projectcalico.org/v3/bgppeers/{name}" */
    const char *verb;     /* Kubernetes' word for authorization: "get", "list", "create" … */
    const char *resource; /* "bgppeers", "nodes/peerings"; NULL: not a resource */
    enum kind kind;       /* ROUTE_KIND_NONE when it is not about one kind */
    unsigned flags;
    query_set query; /* the parameters that it takes, besides `pretty`, which all take */
    /* 0: answered or suspended. -1: the caller answers with the error. */
    int (*handler)(struct request *request, struct err *err);
};

/* The whole table; static. */
const struct route *routes_all(size_t *ret_count);

struct router_node {
    const char *segment; /* points into the route's path; NULL: matches any one segment */
    size_t len;
    uint16_t child;   /* first child, 0 = none */
    uint16_t sibling; /* next child of the same parent, 0 = none */
    const struct route *routes[METHOD_SERVED];
};

struct router {
    size_t count;
    struct router_node nodes[ROUTER_NODES_MAX]; /* [0] is "/" */
};

/* A piece of the raw path: a parameter's value, still percent-encoded. */
struct router_piece {
    const char *text;
    size_t len;
};

/* ERR_INTERNAL: the table does not fit or repeats itself. */
int router_init(struct router *router, const struct route *routes, size_t count, struct err *err) MUST_CHECK;

/* The path's node or NULL. `path` is raw, without query; a slash at its end is not looked at. Parameters' raw
 * texts come out in order. */
const struct router_node *router_find(const struct router *router, const char *path, size_t len,
                                      struct router_piece params[ROUTE_PARAMS_MAX], size_t *ret_params);

/* The node's route for the method (HEAD: GET's), or NULL. */
const struct route *router_route(const struct router_node *node, enum method method);
/* "GET, HEAD, PUT": the value of an Allow header. */
void router_allow(const struct router_node *node, char out[ROUTER_ALLOW_MAX]);

enum method method_parse(const char *text);
const char *method_text(enum method method);

#endif
