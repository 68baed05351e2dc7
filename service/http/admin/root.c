/*
 * The path "/": for a browser a page that says where it has come to; for all others the paths that are
 * served, in the form that Kubernetes has for them. The page says nothing that needs a credential, the list
 * does. Both come from the route table or from nothing; stateless.
 */
#include <string.h>

#include "access/access.h"
#include "admin/handlers.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

static const char PAGE[] =
    "<!doctype html>\n"
    "<html lang=\"en\"><meta charset=\"utf-8\"><title>bgppeerd</title>\n"
    "<h1>bgppeerd</h1>\n"
    "<p>This address serves an API for programs: which BGP sessions each node of a fleet has. It has no "
    "pages.\n"
    "<p>Send a token in the header <code>Authorization: Bearer bpd_&hellip;</code>, for example:\n"
    "<pre>curl -H \"Authorization: Bearer $TOKEN\" URL/apis/projectcalico.org/v3/nodes/NAME/peerings</pre>\n"
    "<p>With a token, <code>/</code> lists the paths, and <code>/openapi.json</code> describes them. Without "
    "one\n"
    "there are <a href=\"/livez\">/livez</a>, <a href=\"/readyz\">/readyz</a> and\n"
    "<a href=\"/version\">/version</a>.\n"
    "</html>\n";

static bool is_repeated(const struct route *routes, size_t index) {
    size_t before = 0;
    while (before < index && strcmp(routes[before].path, routes[index].path) != 0) {
        before++;
    }
    return before < index;
}

int handle_root(struct request *request, struct err *err) {
    if (media_wants_page(request_header(request, HEADER_ACCEPT))) {
        return reply_static(request, STATUS_OK, "text/html; charset=utf-8", PAGE, sizeof(PAGE) - 1, err);
    }
    if (access_recheck(request, err) != 0) {
        return -1;
    }
    const struct serving *serving = request->serving;
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"paths\":[");
    for (size_t i = 0; i < serving->route_count; i++) {
        if (!is_repeated(serving->routes, i)) {
            buf_json_comma(&body);
            buf_add_json_str(&body, serving->routes[i].path);
        }
    }
    buf_add_str(&body, "]}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}
