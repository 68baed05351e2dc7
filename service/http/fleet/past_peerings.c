/*
 * A node's list as it was: `?revision=` or `?at=` of the list's path. It is found on the worker's thread,
 * from a picture of the past, and is what was answered then to a reader without passwords, byte for byte. In
 * every format; `explain=` says why it was so.
 */
#include <inttypes.h>
#include <string.h>

#include "fleet/handlers.h"
#include "fleet/moment.h"
#include "fleet/peerings.h"
#include "machine/worker.h"
#include "request/etag.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

struct past_answer {
    struct moment moment;
    const char *what;   /* the parameter's name */
    const char *remote; /* of explain=; NULL: the list is wanted */
    struct buf body;
    struct past_list list;
};

/* ---- on the worker ---- */

static int find_list(struct request *request, struct err *err) {
    struct past_answer *past = request->work;
    struct state *state = request->serving->state;
    const char *node = request->params[0];
    struct picture *then;
    uint64_t revision;
    if (moment_at(state, &past->moment, past->what, &revision, err) != 0 ||
        state_past(state, revision, &then, err) != 0) {
        return -1;
    }
    int result;
    if (peering_index_slot(then->index, node) < 0) {
        result = err_set(
            err, ERR_NOT_FOUND,
            "nodes.projectcalico.org \"%.253s\" not found: there was no such Node at revision %" PRIu64, node,
            revision);
    } else if (past->remote != NULL) {
        result = peering_explain(then->index, node, past->remote, &past->body, err);
    } else {
        result = state_past_list(state, then, node, peerings_format(request), &request->arena, &past->body,
                                 &past->list, err);
    }
    picture_unref(then);
    return result;
}

/* ---- the request ---- */

static int past_reply(struct request *request, struct err *err) {
    struct past_answer *past = request->work;
    char etag[PEERINGS_ETAG_MAX];
    if (past->remote != NULL) {
        return reply_buffer(request, STATUS_OK, TYPE_JSON, &past->body, err);
    }
    peerings_etag(request, past->list.etag, false, etag);
    const char *known = request_header(request, HEADER_IF_NONE_MATCH);
    if (known != NULL && etag_list_has(known, etag + 1, strlen(etag) - 2)) {
        return reply_not_modified(request, etag, err);
    }
    peerings_warn(request, &past->list.report);
    past->body.wipe = true; /* what reply_wiped asks for; there is no password in it */
    const struct reply_head head = reply_head_of(
        peerings_format(request)->writer != NULL ? peerings_format(request)->media_type : TYPE_JSON, etag);
    return reply_wiped(request, STATUS_OK, &head, &past->body, err);
}

static void past_cleanup(struct request *request) {
    struct past_answer *past = request->work;
    buf_done(&past->body);
}

/* What is of now only. */
static int check_query(const struct request *request, struct err *err) {
    if (param_text(request, QUERY_REVISION) != NULL && param_text(request, QUERY_AT) != NULL) {
        return err_set(err, ERR_BAD_REQUEST, "revision= and at= both say which list; leave one of them out");
    }
    if (request_query(request, QUERY_WAIT) != NULL) {
        return err_set(err, ERR_BAD_REQUEST,
                       "wait= waits for a change, and a list of the past does not change; leave it out");
    }
    if (request_query_flag(request, QUERY_PASSWORDS)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "passwords of the past are not kept; leave passwords= out to see the fingerprints");
    }
    return 0;
}

bool peerings_wants_past(const struct request *request) {
    return request_query(request, QUERY_REVISION) != NULL || request_query(request, QUERY_AT) != NULL;
}

int handle_past_peerings(struct request *request, struct err *err) {
    struct past_answer *past = arena_alloc(&request->arena, sizeof(*past));
    if (past == NULL) {
        return err_no_memory(err);
    }
    bool at = param_text(request, QUERY_AT) != NULL;
    *past = (struct past_answer){
        .what = at ? "at" : "revision", .remote = request_query(request, QUERY_EXPLAIN), .body = BUF_INIT};
    if (check_query(request, err) != 0 ||
        moment_read(request, at ? QUERY_AT : QUERY_REVISION, &past->moment, err) != 0 ||
        (past->remote == NULL && peerings_choose_format(request, err) != 0)) {
        return -1;
    }
    if (!past->moment.given || (past->moment.is_time && !at)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "revision= takes a revision, such as revision=412; at= takes a time, such as "
                       "at=2026-11-23T00:00:00Z");
    }
    request->work = past;
    request->cleanup = past_cleanup;
    return worker_compute(request->serving->worker, request, find_list, past_reply, err);
}
