/*
 * Router: the tree of path segments and its walk.
 *
 * The tree is an array inside struct router, built once and immutable afterwards, so matching takes
 * no lock and allocates nothing. A literal segment is preferred to a parameter; the table has no path
 * where going back to the parameter would find more, so the walk never goes back.
 */
#include "request/router.h"

#include <string.h>

static const char *const METHOD_TEXTS[] = {
    [METHOD_GET] = "GET",       [METHOD_POST] = "POST", [METHOD_PUT] = "PUT",     [METHOD_PATCH] = "PATCH",
    [METHOD_DELETE] = "DELETE", [METHOD_HEAD] = "HEAD", [METHOD_OTHER] = "OTHER",
};

enum method method_parse(const char *text) {
    switch (text[0]) {
    case 'G':
        return strcmp(text, "GET") == 0 ? METHOD_GET : METHOD_OTHER;
    case 'H':
        return strcmp(text, "HEAD") == 0 ? METHOD_HEAD : METHOD_OTHER;
    case 'P':
        if (strcmp(text, "POST") == 0) {
            return METHOD_POST;
        }
        if (strcmp(text, "PUT") == 0) {
            return METHOD_PUT;
        }
        return strcmp(text, "PATCH") == 0 ? METHOD_PATCH : METHOD_OTHER;
    case 'D':
        return strcmp(text, "DELETE") == 0 ? METHOD_DELETE : METHOD_OTHER;
    default:
        return METHOD_OTHER;
    }
}

const char *method_text(enum method method) {
    return METHOD_TEXTS[method];
}

/* ---- building ---- */

static struct router_node *add_child(struct router *router, size_t parent, const char *segment, size_t len) {
    if (router->count >= ROUTER_NODES_MAX) {
        return NULL;
    }
    uint16_t index = (uint16_t)router->count++;
    struct router_node *node = &router->nodes[index];
    *node = (struct router_node){.segment = segment, .len = len};
    /* At the end of the chain, so that the table's order is the order of comparison. */
    uint16_t *link = &router->nodes[parent].child;
    while (*link != 0) {
        link = &router->nodes[*link].sibling;
    }
    *link = index;
    return node;
}

static struct router_node *find_or_add(struct router *router, size_t parent, const char *segment,
                                       size_t len) {
    bool parameter = segment[0] == '{';
    for (uint16_t i = router->nodes[parent].child; i != 0; i = router->nodes[i].sibling) {
        struct router_node *node = &router->nodes[i];
        if (parameter
                ? node->segment == NULL
                : node->segment != NULL && node->len == len && memcmp(node->segment, segment, len) == 0) {
            return node;
        }
    }
    return add_child(router, parent, parameter ? NULL : segment, len);
}

static int add_route(struct router *router, const struct route *route, struct err *err) {
    size_t at = 0;
    const char *path = route->path;
    while (path[0] == '/' && path[1] != '\0') {
        const char *segment = path + 1;
        size_t len = strcspn(segment, "/");
        struct router_node *node = find_or_add(router, at, segment, len);
        if (node == NULL) {
            return err_set(err, ERR_INTERNAL, "the route table needs more than %d tree nodes",
                           ROUTER_NODES_MAX);
        }
        at = (size_t)(node - router->nodes);
        path = segment + len;
    }
    struct router_node *node = &router->nodes[at];
    if (node->routes[route->method] != NULL) {
        return err_set(err, ERR_INTERNAL, "the route %s %s is in the table twice", method_text(route->method),
                       route->path);
    }
    node->routes[route->method] = route;
    return 0;
}

int router_init(struct router *router, const struct route *routes, size_t count, struct err *err) {
    router->count = 1;
    router->nodes[0] = (struct router_node){.segment = ""};
    for (size_t i = 0; i < count; i++) {
        if (add_route(router, &routes[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- matching ---- */

static const struct router_node *step(const struct router *router, const struct router_node *from,
                                      const char *segment, size_t len) {
    const struct router_node *parameter = NULL;
    for (uint16_t i = from->child; i != 0; i = router->nodes[i].sibling) {
        const struct router_node *node = &router->nodes[i];
        if (node->segment == NULL) {
            parameter = node;
        } else if (node->len == len && (len == 0 || node->segment[0] == segment[0]) &&
                   memcmp(node->segment, segment, len) == 0) {
            return node;
        }
    }
    return len > 0 ? parameter : NULL;
}

const struct router_node *router_find(const struct router *router, const char *path, size_t len,
                                      struct router_piece params[ROUTE_PARAMS_MAX], size_t *ret_params) {
    if (len == 0 || path[0] != '/') {
        return NULL;
    }
    const char *end = path + len;
    const struct router_node *node = &router->nodes[0];
    size_t count = 0;
    const char *at = path + 1;
    while (at < end) {
        const char *stop = memchr(at, '/', (size_t)(end - at));
        size_t segment_len = (size_t)((stop != NULL ? stop : end) - at);
        node = step(router, node, at, segment_len);
        if (node == NULL) {
            return NULL;
        }
        if (node->segment == NULL) {
            if (count == ROUTE_PARAMS_MAX) {
                return NULL;
            }
            params[count++] = (struct router_piece){.text = at, .len = segment_len};
        }
        if (stop == NULL) {
            break;
        }
        at = stop + 1;
    }
    for (size_t i = 0; i < METHOD_SERVED; i++) {
        if (node->routes[i] != NULL) {
            *ret_params = count;
            return node;
        }
    }
    return NULL;
}

const struct route *router_route(const struct router_node *node, enum method method) {
    if (method == METHOD_HEAD) {
        method = METHOD_GET;
    }
    return method < METHOD_SERVED ? node->routes[method] : NULL;
}

void router_allow(const struct router_node *node, char out[ROUTER_ALLOW_MAX]) {
    char *at = out;
    for (size_t i = 0; i < METHOD_SERVED; i++) {
        if (node->routes[i] == NULL) {
            continue;
        }
        if (at != out) {
            at = stpcpy(at, ", ");
        }
        at = stpcpy(at, METHOD_TEXTS[i]);
        if (i == METHOD_GET) {
            at = stpcpy(at, ", HEAD");
        }
    }
    *at = '\0';
}
