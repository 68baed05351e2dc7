/*
 * What changed: the remembered transitions of sessions, the newest first, in pages that go on below a
 * sequence number.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "fleet/handlers.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define TRANSITIONS_PAGE     100
#define TRANSITIONS_PAGE_MAX 1000

struct transition_query {
    const char *node, *peer;
    int64_t since_ms, until_ms; /* 0: none */
    uint64_t below;
    uint64_t limit;
};

static bool transition_is_wanted(void *arg, const struct transition *t) {
    const struct transition_query *query = arg;
    return (query->node == NULL || strcmp(query->node, t->node) == 0 ||
            strcmp(query->node, t->remote) == 0) &&
           (query->peer == NULL || strcmp(query->peer, t->peer) == 0) &&
           (query->since_ms == 0 || t->time_ms >= query->since_ms) &&
           (query->until_ms == 0 || t->time_ms < query->until_ms);
}

static void add_transition(struct buf *out, const struct transition *t) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(t->time_ms, time);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_u64(out, "sequence", t->sequence);
    buf_json_member_str(out, "time", time);
    buf_json_member_str(out, "node", t->node);
    buf_json_member_str(out, "peerIP", t->peer);
    if (t->port != PEERING_BGP_PORT) {
        buf_json_member_u64(out, "port", t->port);
    }
    buf_json_member_str(out, "remoteNode", t->remote[0] != '\0' ? t->remote : NULL);
    buf_json_member_str(out, "from", verdict_name(t->from));
    buf_json_member_str(out, "to", verdict_name(t->to));
    buf_json_member_str(out, "message", t->message[0] != '\0' ? t->message : NULL);
    if (t->folded > 0) {
        buf_json_member_u64(out, "folded", t->folded);
    }
    buf_add_char(out, '}');
}

static int read_transition_query(struct request *request, struct transition_query *query, struct err *err) {
    *query = (struct transition_query){.limit = TRANSITIONS_PAGE};
    if (param_time(request, QUERY_SINCE, &query->since_ms, err) != 0 ||
        param_time(request, QUERY_UNTIL, &query->until_ms, err) != 0 ||
        param_number(request, QUERY_LIMIT, TRANSITIONS_PAGE_MAX, &query->limit, err) != 0) {
        return -1;
    }
    query->node = param_text(request, QUERY_NODE);
    query->peer = param_text(request, QUERY_PEER);
    const char *below = param_text(request, QUERY_CONTINUE);
    if (below != NULL && !u64_parse(below, strlen(below), UINT64_MAX, &query->below)) {
        return err_set(err, ERR_BAD_REQUEST, "continue=%.50s is not from an earlier answer", below);
    }
    return 0;
}

int handle_transitions(struct request *request, struct err *err) {
    struct transition_query query;
    bool more = false;
    if (read_transition_query(request, &query, err) != 0) {
        return -1;
    }
    struct transition *items = arena_array(&request->arena, query.limit, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    size_t count = state_transitions(request->serving->state, query.below, transition_is_wanted, &query,
                                     items, query.limit, &more);
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"TransitionList\",\"metadata\":{");
    if (more) {
        buf_printf(&body, "\"continue\":\"%" PRIu64 "\"", items[count - 1].sequence);
    }
    buf_add_str(&body, "},\"items\":[");
    for (size_t i = 0; i < count; i++) {
        add_transition(&body, &items[i]);
    }
    buf_add_str(&body, "]}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}
