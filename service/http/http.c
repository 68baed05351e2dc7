/*
 * The room's door: puts a server together from its machine and the parts of its handlers, and takes it apart.
 *
 * The parts belong to the server from http_start to http_stop. Requests come only between the last line of
 * the one and the first of the other, so that all of them see all parts.
 */
#include "http.h"

#include "access/access.h"
#include "admin/discovery.h"
#include "admin/process.h"
#include "admin/vault_operation.h"
#include "machine/server.h"
#include "objects/pages.h"
#include "objects/preview.h"
#include "request/metrics.h"

/* About once a second, on the timer's thread. */
static void http_sweep(void *arg) {
    struct http *http = arg;
    struct serving *serving = &http->serving;
    connections_sweep(&http->connections);
    pages_sweep(serving->pages);
    state_flush_tokens(serving->state);
    state_flush_audit(serving->state);
}

static int http_start_parts(struct serving *serving, const struct http_options *options, struct err *err) {
    return router_init(&serving->router, serving->routes, serving->route_count, err) != 0 ||
                   metrics_new(serving->route_count, process_start_ns(), &serving->metrics, err) != 0 ||
                   documents_new(options->version, &serving->documents, err) != 0 ||
                   pages_new(&serving->pages, err) != 0 || shown_previews_new(&serving->previews, err) != 0 ||
                   vault_operations_new(&serving->vault_operations, err) != 0 ||
                   access_start(serving, options, err) != 0
               ? -1
               : 0;
}

static void http_stop_parts(struct serving *serving) {
    access_stop(serving);
    vault_operations_free(serving->vault_operations);
    shown_previews_free(serving->previews);
    documents_free(serving->documents);
    metrics_free(serving->metrics);
    pages_free(serving->pages);
}

static int http_serve(struct http *http, const struct http_options *options, struct state *state,
                      struct err *err) {
    struct serving *serving = &http->serving;
    serving->state = state;
    serving->version = options->version;
    serving->routes = routes_all(&serving->route_count);
    return http_start_parts(serving, options, err) != 0 || server_listen(http, options, http_sweep, err) != 0
               ? -1
               : 0;
}

int http_start(const struct http_options *options, struct state *state, struct http **ret, struct err *err) {
    struct http *http = NULL;
    if (http_check(options, err) != 0) {
        return -1;
    }
    if (server_new(options, &http, err) != 0 || http_serve(http, options, state, err) != 0) {
        http_stop(http);
        return -1;
    }
    *ret = http;
    return 0;
}

void http_stop(struct http *http) {
    if (http == NULL) {
        return;
    }
    server_stop(http);
    http_stop_parts(&http->serving);
    server_free(http);
}
