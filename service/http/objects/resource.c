/*
 * What the handlers of the kinds share: the object that a path is about, versions in the query, the head of a
 * list. Runs on the connection's thread; stateless.
 */
#include "objects/resource.h"

#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "request/reply.h"
#include "request/serving.h"

const char *resource_name(const struct request *request) {
    return request->param_count > 0 ? request->params[request->param_count - 1] : NULL;
}

const char *resource_namespace(const struct request *request) {
    return (request->route->flags & ROUTE_NAMESPACED) != 0 ? request->params[0] : NULL;
}

const char *resource_key(const struct request *request, struct arena *arena) {
    const char *name_space = resource_namespace(request);
    return name_space != NULL ? arena_printf(arena, "%s/%s", name_space, resource_name(request))
                              : resource_name(request);
}

int resource_not_found(const struct request *request, struct err *err) {
    const struct kind_info *kind = kind_info(request->route->kind);
    struct picture *picture = state_picture(request->serving->state);
    const char *similar = snapshot_similar(picture->snapshot, kind->kind, resource_name(request));
    err_set(err, ERR_NOT_FOUND, "%s%s%s \"%s\" not found%s%s%s%s%s", kind->plural,
            kind->group[0] != '\0' ? "." : "", kind->group, resource_name(request),
            similar != NULL ? "; there is a " : "", similar != NULL ? kind->name : "",
            similar != NULL ? " \"" : "", similar != NULL ? similar : "", similar != NULL ? "\"" : "");
    picture_unref(picture);
    return -1;
}

int resource_version_param(const struct request *request, uint64_t *ret, struct err *err) {
    const char *text = request_query(request, QUERY_VERSION);
    if (text == NULL || text[0] == '\0') {
        *ret = 0;
        return 0;
    }
    if (!u64_parse(text, strlen(text), UINT64_MAX, ret)) {
        return err_set(err, ERR_BAD_REQUEST, "resourceVersion=%.50s is not a decimal number", text);
    }
    return 0;
}

int resource_reply_too_new(struct request *request, uint64_t wanted, uint64_t current, struct err *err) {
    struct err failure = ERR_INIT;
    err_set(&failure, ERR_UNAVAILABLE, "Too large resource version: %" PRIu64 ", current: %" PRIu64, wanted,
            current);
    return reply_failure_as(request, STATUS_GATEWAY_TIMEOUT, "Timeout", &failure, err);
}

void resource_list_head(const char *kind, const char *api_version, uint64_t revision, const char *token,
                        int64_t remaining, struct buf *out) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "kind", kind);
    buf_json_member_str(out, "apiVersion", api_version);
    buf_printf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", revision);
    buf_json_member_str(out, "continue", token);
    if (remaining >= 0) {
        buf_json_member_u64(out, "remainingItemCount", (uint64_t)remaining);
    }
    buf_add_str(out, "},\"items\":[");
}
