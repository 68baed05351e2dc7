/*
 * Questions about peerings: why a node does (not) peer with a remote, and which sessions one BGPPeer creates.
 * Both are pure functions of the newest picture and fast enough for the connection's thread.
 */
#include <string.h>

#include "base/number.h"
#include "fleet/handlers.h"
#include "request/reply.h"
#include "request/serving.h"

#define SESSIONS_LIMIT_DEFAULT 500
#define SESSIONS_LIMIT_MAX     5000

int handle_explain(struct request *request, const char *remote, struct err *err) {
    if (remote[0] == '\0') {
        return err_set(err, ERR_BAD_REQUEST,
                       "explain= names no remote; write an address or a node's name, for example "
                       "explain=192.0.2.1");
    }
    struct picture *picture = state_picture(request->serving->state);
    struct buf out = BUF_INIT;
    int result = peering_explain(picture->index, request->params[0], remote, &out, err);
    if (result == 0) {
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    }
    buf_done(&out);
    picture_unref(picture);
    return result;
}

/* `limit` of the query. A page ends with the node that reaches it. */
static int limit_param(const struct request *request, size_t *ret, struct err *err) {
    const char *text = request_query(request, QUERY_LIMIT);
    uint64_t limit = SESSIONS_LIMIT_DEFAULT;
    if (text != NULL && text[0] != '\0' &&
        (!u64_parse(text, strlen(text), SESSIONS_LIMIT_MAX, &limit) || limit == 0)) {
        return err_set(err, ERR_BAD_REQUEST, "limit=%.50s is not a number from 1 to %d", text,
                       SESSIONS_LIMIT_MAX);
    }
    *ret = (size_t)limit;
    return 0;
}

int handle_bgppeer_sessions(struct request *request, struct err *err) {
    size_t limit = 0;
    if (limit_param(request, &limit, err) != 0) {
        return -1;
    }
    const char *after = request_query(request, QUERY_CONTINUE);
    const char *next = NULL;
    struct picture *picture = state_picture(request->serving->state);
    struct buf items = BUF_INIT, suppressed = BUF_INIT, out = BUF_INIT;
    int result = peering_encode_sessions(picture->index, request->params[0],
                                         after != NULL && after[0] != '\0' ? after : NULL, limit, &items,
                                         &suppressed, &next, err);
    if (result == 0) {
        buf_add_str(&out,
                    "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"BGPPeerSessionList\",\"metadata\":{");
        buf_json_member_str(&out, "bgpPeer", request->params[0]);
        buf_json_key(&out, "resourceVersion");
        buf_printf(&out, "\"%llu\"", (unsigned long long)snapshot_revision(picture->snapshot));
        buf_json_member_str(&out, "continue", next);
        buf_add_str(&out, "},\"items\":[");
        buf_add(&out, items.data, items.len);
        buf_add_str(&out, "],\"suppressed\":[");
        buf_add(&out, suppressed.data, suppressed.len);
        buf_add_str(&out, "]}");
        out.failed = out.failed || buf_failed(&items) || buf_failed(&suppressed);
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    }
    buf_done(&items);
    buf_done(&suppressed);
    buf_done(&out);
    picture_unref(picture);
    return result;
}
