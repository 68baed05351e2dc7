/*
 * The peering list of a node: what every host polls, so the one path that has to cost nothing.
 *
 * A list is computed and encoded by state, once per change; an answer only holds a reference to it. An
 * unchanged poll is a comparison of tags. A poll with `wait=` is parked until its list changes.
 */
#include <inttypes.h>
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/random.h"
#include "fleet/handlers.h"
#include "machine/park.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

#define WAIT_JITTER   16                    /* a wait is made longer by up to this part of it */
#define ETAG_TEXT_MAX (DIGEST_TEXT_MAX + 4) /* with quotes and "-p" */

/* A poll that waits. */
struct poll {
    struct park_entry entry;
    struct parked parked;
    int64_t deadline_ms; /* 0 = not yet waited */
    int64_t wait_ms;
};

/* The entity tag with its quotes: the list's digest, and who sees passwords in it has another one. */
static void make_etag(const char *digest, bool passwords, char out[ETAG_TEXT_MAX]) {
    size_t len = strlen(digest);
    out[0] = '"';
    memcpy(out + 1, digest, len);
    memcpy(out + 1 + len, passwords ? "-p\"" : "\"", passwords ? 4 : 2);
}

static void unref_list(void *list) {
    node_list_unref(list);
}

/* Takes over the reference, also on failure. */
static int reply_list(struct request *request, struct node_list *list, struct err *err) {
    char etag[ETAG_TEXT_MAX];
    make_etag(list->etag, false, etag);
    const struct reply_head head = reply_head_of(TYPE_JSON, etag);
    return reply_shared(request, STATUS_OK, &head, list->json, list->json_len, unref_list, list, err);
}

/* The list with its passwords in clear: made for this answer, wiped when it is out. */
static int reply_revealed(struct request *request, struct err *err) {
    const char *node = request->params[0];
    struct buf body = {.wipe = true};
    char digest[DIGEST_TEXT_MAX];
    char etag[ETAG_TEXT_MAX];
    int result = state_reveal_list(request->serving->state, node, &body, digest, err);
    if (result == 0) {
        make_etag(digest, true, etag);
        const struct reply_head head = reply_head_of(TYPE_JSON, etag);
        result = reply_wiped(request, STATUS_OK, &head, &body, err);
    }
    buf_done(&body);
    if (result == 0) {
        trail_passwords(request, node);
    }
    return result;
}

/* ---- waiting ---- */

/* "30s", "1m30s", or plain seconds; 0 when there is none. */
static int wait_param(const struct request *request, int64_t *ret_ms, struct err *err) {
    const char *text = request_query(request, QUERY_WAIT);
    *ret_ms = 0;
    if (text == NULL) {
        return 0;
    }
    uint64_t seconds;
    int64_t ns = 0;
    bool plain = u64_parse(text, strlen(text), HTTP_WAIT_MAX_S + 1, &seconds);
    bool understood = plain || duration_parse(text, strlen(text), &ns);
    int64_t ms = plain ? (int64_t)seconds * 1000 : ns / 1000000;
    if (!understood || ns < 0 || ms > HTTP_WAIT_MAX_S * 1000) {
        return err_set(err, ERR_BAD_REQUEST,
                       "wait=%.50s is not a time from 0s to %ds; write for example wait=30s", text,
                       HTTP_WAIT_MAX_S);
    }
    *ret_ms = ms;
    return 0;
}

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

/* A node's own poll says that it is alive, and which list it has. */
static void note_poll(struct request *request, const struct node_list *list, bool has_it, bool waits) {
    struct status_node_key key;
    struct err ignored = ERR_INIT;
    if (principal_node(&request->principal) == NULL) {
        return;
    }
    struct picture *picture = state_picture(request->serving->state);
    if (state_status_key(picture, list->node, &key, &ignored) == 0) {
        status_note_poll(state_status(request->serving->state), &key, has_it ? list->etag : NULL, waits,
                         clock_coarse_ms());
    }
    picture_unref(picture);
}

static int evaluate(struct request *request, struct poll *poll, struct err *err) {
    const char *node = request->params[0];
    struct node_list *list = NULL;
    if (state_node_list(request->serving->state, node, &list, err) != 0) {
        if (err->code == ERR_NOT_FOUND) {
            return err_set(
                err, ERR_NOT_FOUND,
                "nodes.projectcalico.org \"%s\" not found: a node has a peering list once its Node resource "
                "exists; create it with POST /apis/projectcalico.org/v3/nodes",
                node);
        }
        return -1;
    }
    const char *known = request_header(request, HEADER_IF_NONE_MATCH);
    bool revealed = request->passwords && list->has_passwords;
    char etag[ETAG_TEXT_MAX];
    make_etag(list->etag, revealed, etag);
    int result;
    bool has_it = known != NULL && etag_list_has(known, etag + 1, strlen(etag) - 2, true);
    bool waits = has_it && must_wait(request, poll);
    note_poll(request, list, has_it, waits);
    if (has_it) {
        result = waits ? park(request, poll, list, err) : reply_not_modified(request, etag, err);
    } else if (revealed) {
        result = reply_revealed(request, err);
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

int handle_peerings(struct request *request, struct err *err) {
    enum media_answer unused;
    if (media_accept(request_header(request, HEADER_ACCEPT), &unused, err) != 0) {
        return -1;
    }
    if (memchr(request->uri, '?', request->uri_len) == NULL) {
        return access_passwords(request, &request->passwords, err) != 0 ? -1 : evaluate(request, NULL, err);
    }
    int64_t wait_ms;
    const char *remote = request_query(request, QUERY_EXPLAIN);
    if (remote != NULL) {
        return handle_explain(request, remote, err);
    }
    if (access_passwords(request, &request->passwords, err) != 0 || wait_param(request, &wait_ms, err) != 0) {
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
