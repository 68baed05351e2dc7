/*
 * Pretty answers: `pretty=true` in the query, as Kubernetes' API has it, for whoever reads with their own
 * eyes, and YAML for whoever asks for it in Accept. An answer is made as always and written anew last, so
 * nobody else pays for it. Stateless.
 */
#include "request/pretty.h"

#include <string.h>

#include "request/media.h"
#include "request/reply.h"

static bool wants_yaml(const struct request *request) {
    const char *accept = request_header(request, HEADER_ACCEPT);
    return accept != NULL && media_wants_yaml(accept);
}

static bool wants_lines(struct request *request) {
    struct err ignored = ERR_INIT;
    return memchr(request->uri, '?', request->uri_len) != NULL &&
           request_parse_query(request, &ignored) == 0 && request_query_flag(request, QUERY_PRETTY);
}

bool pretty_wanted(struct request *request) {
    return wants_yaml(request) || wants_lines(request);
}

const char *pretty_body(struct request *request, const char *type, struct buf *body) {
    if (buf_failed(body) || type == NULL || strcmp(type, TYPE_JSON) != 0 || !wants_yaml(request)) {
        if (type != NULL && strcmp(type, TYPE_JSON) == 0) {
            pretty_status(request, body);
        }
        return type;
    }
    struct buf yaml = {.wipe = body->wipe};
    buf_add_json_as_yaml(&yaml, body->data, body->len);
    buf_done(body);
    *body = yaml;
    return TYPE_YAML;
}

void pretty_status(struct request *request, struct buf *body) {
    if (buf_failed(body) || !wants_lines(request)) {
        return;
    }
    struct buf indented = {.wipe = body->wipe};
    buf_add_json_indented(&indented, body->data, body->len);
    buf_done(body);
    *body = indented;
}
