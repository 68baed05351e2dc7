/*
 * Pretty answers: `pretty=true` in the query, as Kubernetes' API has it, for whoever reads with their own
 * eyes. An answer is made as always and indented last, so nobody else pays for it. Stateless.
 */
#include "request/pretty.h"

#include <string.h>

#include "request/reply.h"

bool pretty_wanted(struct request *request) {
    struct err ignored = ERR_INIT;
    return memchr(request->uri, '?', request->uri_len) != NULL &&
           request_parse_query(request, &ignored) == 0 && request_query_flag(request, QUERY_PRETTY);
}

void pretty_body(struct request *request, const char *type, struct buf *body) {
    if (buf_failed(body) || strcmp(type, TYPE_JSON) != 0 || !pretty_wanted(request)) {
        return;
    }
    struct buf indented = {.wipe = body->wipe};
    buf_add_json_indented(&indented, body->data, body->len);
    buf_done(body);
    *body = indented;
}
