/*
 * The peering list of a node: what every host polls, so the one path that has to cost nothing.
 *
 * A list is computed and encoded by state, once per change; an answer only holds a reference to it. An
 * unchanged poll is a comparison of tags. A poll with `wait=` is parked until its list changes. As a daemon's
 * configuration, the list has another tag and is written for its answer; all else is the same path.
 */
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "base/clock.h"
#include "base/random.h"
#include "fleet/handlers.h"
#include "fleet/peerings.h"
#include "machine/park.h"
#include "objects/resource.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define WAIT_JITTER 16 /* a wait is made longer by up to this part of it */

/* A poll that waits. */
struct poll {
    struct park_entry entry;
    struct parked parked;
    int64_t deadline_ms; /* 0 = not yet waited */
    int64_t wait_ms;
};

static void unref_list(void *list) {
    node_list_unref(list);
}

/* Takes over the reference, also on failure. */
static int reply_list(struct request *request, struct node_list *list, struct err *err) {
    char etag[PEERINGS_ETAG_MAX];
    peerings_etag(request, list->etag, false, etag);
    const struct reply_head head = reply_head_of(TYPE_JSON, etag);
    return reply_shared(request, STATUS_OK, &head, list->json, list->json_len, unref_list, list, err);
}

/* The list with its passwords in clear, or as a daemon's configuration: made for this answer, wiped when it
 * is out. */
static int reply_written(struct request *request, bool reveal, struct err *err) {
    const char *node = request->params[0];
    const struct render_format *format = peerings_format(request);
    struct buf body = {.wipe = true};
    struct render_report report;
    char digest[DIGEST_TEXT_MAX];
    char etag[PEERINGS_ETAG_MAX];
    int result = state_render_list(request->serving->state, node, format, reveal, &request->arena, &body,
                                   digest, &report, err);
    if (result == 0) {
        peerings_etag(request, digest, reveal, etag);
        peerings_warn(request, &report);
        const struct reply_head head = reply_head_of(format->media_type, etag);
        result = reply_wiped(request, STATUS_OK, &head, &body, err);
    }
    buf_done(&body);
    if (result == 0 && reveal) {
        trail_passwords(request, node, digest);
    }
    return result;
}

/* ---- waiting ---- */

static void on_changed(struct parked *parked) {
    park_wake(parked->arg);
}

static bool withdraw(struct park_entry *entry) {
    struct poll *poll = (struct poll *)((char *)entry - offsetof(struct poll, entry));
    return state_unpark(entry->request->serving->state, &poll->parked);
}

static int go_on(struct request *request, struct err *err);

static int park(struct request *request, struct poll *poll, const struct node_list *list, struct err *err) {
    struct serving *serving = request->serving;
    if (poll->deadline_ms == 0) {
        /* So that a thousand polls that began together do not end together. */
        uint64_t jitter = random_u64() % (uint64_t)(poll->wait_ms / WAIT_JITTER + 1);
        poll->deadline_ms = clock_monotonic_ms() + 1 + poll->wait_ms + (int64_t)jitter;
    }
    if (park_enter(serving->park, &poll->entry, request, true, poll->deadline_ms, withdraw, go_on, err) !=
        0) {
        return -1;
    }
    poll->parked = (struct parked){.wake = on_changed, .arg = &poll->entry};
    memcpy(poll->parked.etag, list->etag, sizeof(poll->parked.etag));
    bool changed = true;
    struct err ignored = ERR_INIT;
    /* A failure (the node is gone) comes out again, as an answer, when the poll is evaluated anew. */
    bool armed =
        state_park(serving->state, request->params[0], &poll->parked, &changed, &ignored) == 0 && !changed;
    park_settle(&poll->entry, armed);
    return 0;
}

/* ---- answering ---- */

static bool must_wait(const struct request *request, const struct poll *poll) {
    return poll != NULL && !atomic_load(&request->serving->stopping) &&
           (poll->deadline_ms == 0 || clock_monotonic_ms() < poll->deadline_ms);
}

/* A node's own poll says that it is alive, and which list it has or is getting. */
static void note_poll(struct request *request, struct node_list *list, bool has_it, bool waits) {
    struct state *state = request->serving->state;
    if (principal_node(&request->principal) == NULL) {
        return;
    }
    const struct status_node_key key = {.slot = list->slot, .name = list->node, .uid = list->uid};
    status_note_poll(state_status(state), &key, has_it ? list->etag : NULL, waits, clock_coarse_ms());
    if (!has_it) {
        state_note_fetched(state, list);
    }
}

static int no_such_node(const struct request *request, const char *node, struct err *err) {
    struct picture *picture = state_picture(request->serving->state);
    const char *similar = snapshot_similar(picture->snapshot, KIND_NODE, node);
    if (similar != NULL) {
        err_set(
            err, ERR_NOT_FOUND,
            "nodes.projectcalico.org \"%s\" not found; there is a Node \"%s\": ask for its list under that "
            "name, or rename the Node",
            node, similar);
    } else {
        err_set(err, ERR_NOT_FOUND,
                "nodes.projectcalico.org \"%s\" not found: a node has a peering list once its Node resource "
                "exists; create it with POST /apis/projectcalico.org/v3/nodes",
                node);
    }
    picture_unref(picture);
    return -1;
}

static int evaluate(struct request *request, struct poll *poll, struct err *err) {
    const char *node = request->params[0];
    struct node_list *list = NULL;
    if (state_node_list(request->serving->state, node, &list, err) != 0) {
        return err->code == ERR_NOT_FOUND ? no_such_node(request, node, err) : -1;
    }
    const char *known = request_header(request, HEADER_IF_NONE_MATCH);
    bool revealed = request->passwords && list->has_passwords;
    char etag[PEERINGS_ETAG_MAX];
    peerings_etag(request, list->etag, revealed, etag);
    int result;
    bool has_it = known != NULL && etag_list_has(known, etag + 1, strlen(etag) - 2);
    bool waits = has_it && must_wait(request, poll);
    note_poll(request, list, has_it, waits);
    if (has_it) {
        result = waits ? park(request, poll, list, err) : reply_not_modified(request, etag, err);
    } else if (revealed || peerings_format(request)->writer != NULL) {
        result = reply_written(request, revealed, err);
    } else {
        return reply_list(request, list, err);
    }
    node_list_unref(list);
    return result;
}

/* After waiting: a token may have been revoked meanwhile. */
static int go_on(struct request *request, struct err *err) {
    return access_recheck(request, err) != 0 ? -1 : evaluate(request, request->work, err);
}

static int answer_explanation(struct request *request, const char *remote, struct err *err) {
    enum media_answer unused;
    return media_accept(request_header(request, HEADER_ACCEPT), &unused, err) != 0
               ? -1
               : handle_explain(request, remote, err);
}

int handle_peerings(struct request *request, struct err *err) {
    if (memchr(request->uri, '?', request->uri_len) == NULL) {
        return peerings_choose_format(request, err) != 0 ||
                       access_passwords(request, &request->passwords, err) != 0
                   ? -1
                   : evaluate(request, NULL, err);
    }
    int64_t wait_ms;
    const char *remote = request_query(request, QUERY_EXPLAIN);
    if (peerings_wants_past(request)) {
        return handle_past_peerings(request, err);
    }
    if (remote != NULL) {
        return answer_explanation(request, remote, err);
    }
    if (peerings_choose_format(request, err) != 0 ||
        access_passwords(request, &request->passwords, err) != 0 || param_wait(request, &wait_ms, err) != 0) {
        return -1;
    }
    struct poll *poll = NULL;
    if (wait_ms > 0) {
        poll = arena_alloc(&request->arena, sizeof(*poll));
        if (poll == NULL) {
            return err_no_memory(err);
        }
        poll->wait_ms = wait_ms;
        request->work = poll;
    }
    return evaluate(request, poll, err);
}
