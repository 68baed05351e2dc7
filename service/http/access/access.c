/*
 * Authorization: what each route asks for, held against auth's table of rules. The table of routes' demands
 * is built at start and immutable afterwards; everything else belongs to the request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "access/authn.h"
#include "access/trail.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "machine/connection.h"
#include "request/serving.h"

/* ---- the routes ---- */

/* What a route asks for, made from the route table at start. */
struct route_access {
    unsigned verb; /* 0: public */
    enum auth_resource resource;
};

static int read_route(const struct route *route, struct route_access *ret, struct err *err) {
    *ret = (struct route_access){.verb = 0, .resource = AUTH_DOCUMENTS};
    if ((route->flags & ROUTE_PUBLIC) != 0) {
        return 0;
    }
    ret->verb = auth_verb_by_name(route->verb);
    if (ret->verb == 0 ||
        (route->resource != NULL && !auth_resource_by_path(route->resource, &ret->resource)) ||
        !auth_has_rule(ret->verb, ret->resource)) {
        return err_set(err, ERR_INTERNAL, "no rule says who may use the route %s %s",
                       method_text(route->method), route->path);
    }
    return 0;
}

int access_start(struct serving *serving, const struct http_options *options, struct err *err) {
    serving->admit = access_check;
    serving->no_auth = options->no_auth;
    serving->access = base_calloc(serving->route_count, sizeof(*serving->access));
    if (serving->access == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < serving->route_count; i++) {
        if (read_route(&serving->routes[i], &serving->access[i], err) != 0) {
            return -1;
        }
    }
    double requests = (double)options->requests_per_second;
    double node_writes = (double)options->node_writes;
    double failures = (double)options->auth_failures;
    if (limiter_new(ACCESS_REPORTS_PER_SECOND, 2 * ACCESS_REPORTS_PER_SECOND, &serving->reports, err) != 0) {
        return -1;
    }
    if (limiter_new(TRAIL_REFUSED_PER_SECOND, TRAIL_REFUSED_BURST, &serving->refusals, err) != 0 ||
        limiter_new(ACCESS_TRIES_PER_SECOND, ACCESS_TRIES_BURST, &serving->secret_tries, err) != 0 ||
        (requests > 0 && limiter_new(requests, 2 * requests, &serving->requests, err) != 0) ||
        (node_writes > 0 &&
         limiter_new(node_writes / 60, HTTP_NODE_WRITES_BURST, &serving->node_writes, err) != 0) ||
        (failures > 0 && limiter_new(failures / 60, failures, &serving->failures, err) != 0)) {
        return -1;
    }
    return 0;
}

void access_stop(struct serving *serving) {
    limiter_free(serving->requests);
    limiter_free(serving->reports);
    limiter_free(serving->failures);
    limiter_free(serving->refusals);
    limiter_free(serving->secret_tries);
    limiter_free(serving->node_writes);
    free(serving->access);
}

/* ---- one request ---- */

/* Only a node's requests are looked at this closely: what tells about other nodes is another resource. */
static int narrow(struct request *request, struct access *access, struct err *err) {
    if (memchr(request->uri, '?', request->uri_len) == NULL) {
        return 0;
    }
    if (request_parse_query(request, err) != 0) {
        return -1;
    }
    if (access->resource == AUTH_NODE_PEERINGS && request_query(request, QUERY_EXPLAIN) != NULL) {
        access->resource = AUTH_NODE_EXPLANATION;
    } else if (access->resource == AUTH_NODES && request_query(request, QUERY_PREVIEW) != NULL) {
        access->resource = AUTH_PREVIEWS;
        access->verb = AUTH_CREATE;
    }
    return 0;
}

static int too_many(struct request *request, unsigned retry_s, const char *what, struct err *err) {
    request->retry_after_s = retry_s;
    return err_set(err, ERR_TOO_MANY_REQUESTS, "%s; try again in %u s", what, retry_s);
}

/* What a node writes about itself makes others' lists anew and stands in the history of all: it may do so now
 * and then, however many requests it may send. */
static int limit_node_writes(struct request *request, struct err *err) {
    unsigned retry_s = 1;

    return request->allowed != AUTH_ALLOWED_ADDRESSES || request->serving->node_writes == NULL ||
                   limiter_take(request->serving->node_writes, request->principal.user,
                                strlen(request->principal.user), request->start_ns / 1000000, &retry_s)
               ? 0
               : too_many(request, retry_s, "this node writes more often than the service allows it", err);
}

static int authorize(struct request *request, struct err *err) {
    const struct route *route = request->route;
    const struct route_access *wanted = &request->serving->access[route - request->serving->routes];
    const char *const *params = request->params;
    bool namespaced = (route->flags & ROUTE_NAMESPACED) != 0;
    struct access access = {.verb = wanted->verb,
                            .resource = wanted->resource,
                            .name =
                                (route->flags & ROUTE_NAMED) != 0 ? params[request->param_count - 1] : NULL,
                            .name_space = namespaced ? params[0] : NULL};
    if (request->principal.role == ROLE_NODE && narrow(request, &access, err) != 0) {
        return -1;
    }
    request->allowed = auth_allows(&request->principal, &access);
    if (request->allowed != AUTH_DENIED) {
        return limit_node_writes(request, err);
    }
    (void)auth_forbidden(&request->principal, &access, err);
    trail_refused(request, &access, err);
    return -1;
}

static int authenticate(struct request *request, struct err *err) {
    struct serving *serving = request->serving;
    const struct connection *connection = request->connection;
    unsigned retry_s = 1;
    if (authn_request(request, err) == 0) {
        return 0;
    }
    snprintf(request->principal.user, sizeof(request->principal.user), "system:anonymous");
    if (serving->failures != NULL && connection != NULL &&
        !limiter_take(serving->failures, &connection->network, sizeof(connection->network),
                      clock_monotonic_ms(), &retry_s)) {
        return too_many(request, retry_s, "too many requests from this address had no good credential", err);
    }
    trail_refused(request, NULL, err);
    return -1;
}

int access_check(struct request *request, int routed, struct err *err) {
    struct serving *serving = request->serving;
    unsigned retry_s = 1;
    if (request->route != NULL && (request->route->flags & ROUTE_PUBLIC) != 0) {
        return routed;
    }
    /* A refusal takes the place of routing's error. */
    if (authenticate(request, err) != 0) {
        return -1;
    }
    connection_is_known(request->connection);
    if (serving->requests != NULL &&
        !limiter_take(serving->requests, request->principal.user, strlen(request->principal.user),
                      request->start_ns / 1000000, &retry_s)) {
        return too_many(request, retry_s, "this user sends more requests than the service allows it", err);
    }
    return routed != 0 ? -1 : authorize(request, err);
}

int access_report_limit(struct request *request, struct err *err) {
    unsigned retry_s = 1;
    const char *node = request->params[0];
    if (limiter_take(request->serving->reports, node, strlen(node), request->start_ns / 1000000, &retry_s)) {
        return 0;
    }
    return too_many(request, retry_s,
                    "reports of this node's sessions come too often; once a second is enough", err);
}

int access_recheck(struct request *request, struct err *err) {
    return authenticate(request, err);
}

int access_passwords(const struct request *request, bool *ret, struct err *err) {
    if (principal_node(&request->principal) != NULL) {
        *ret = true; /* that this list is its own has been checked with the route */
        return 0;
    }
    if (!request_query_flag(request, QUERY_PASSWORDS)) {
        *ret = false;
        return 0;
    }
    if (request->principal.role != ROLE_ADMIN) {
        err_set(
            err, ERR_FORBIDDEN,
            "passwords are shown to the node itself and to admins only, and User \"%s\" is neither; leave "
            "passwords= out to see the fingerprints",
            request->principal.user);
        trail_refused(
            request,
            &(struct access){.verb = AUTH_GET, .resource = AUTH_NODE_PEERINGS, .name = request->params[0]},
            err);
        return -1;
    }
    *ret = true;
    return 0;
}

int access_try_secret(struct request *request, const char *secret, struct err *err) {
    unsigned retry_s = 1;

    if (request->principal.role != ROLE_ADMIN &&
        !limiter_take(request->serving->secret_tries, request->principal.user,
                      strlen(request->principal.user), request->start_ns / 1000000, &retry_s)) {
        return too_many(request, retry_s, "this user previews Secrets more often than the service allows it",
                        err);
    }
    trail_tried(request, "preview", secret);
    return 0;
}

int access_secret_write(struct request *request, struct err *err) {
    unsigned retry_s = 1;
    return request->principal.role == ROLE_ADMIN ||
                   limiter_take(request->serving->secret_tries, request->principal.user,
                                strlen(request->principal.user), request->start_ns / 1000000, &retry_s)
               ? 0
               : too_many(request, retry_s, "too many of this user's writes of Secrets were refused", err);
}

void access_secret_written(struct request *request, bool refused) {
    if (!refused && request->principal.role != ROLE_ADMIN) {
        limiter_give_back(request->serving->secret_tries, request->principal.user,
                          strlen(request->principal.user), request->start_ns / 1000000);
    }
}

unsigned access_may_force(const struct request *request) {
    switch (request->principal.role) {
    case ROLE_ADMIN:
        return FORCE_DISRUPTIVE | FORCE_FROZEN;
    case ROLE_OPERATOR:
        return FORCE_DISRUPTIVE;
    default:
        return 0;
    }
}

state_guard *access_write_guard(const struct request *request) {
    return request->allowed == AUTH_ALLOWED_ADDRESSES ? state_guard_own_node : NULL;
}
