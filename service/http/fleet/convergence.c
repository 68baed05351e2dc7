/*
 * Who has the newest lists: what a deployment asks after a change, once, or until nobody is behind.
 *
 * A request with `wait=` is parked and looks again a few times a second. All of them together cost one count
 * of the nodes each time.
 */
#include <inttypes.h>
#include <string.h>

#include "access/access.h"
#include "base/clock.h"
#include "base/number.h"
#include "fleet/handlers.h"
#include "machine/park.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define CONVERGENCE_SHOWN_MAX 100 /* names of nodes that are behind */

struct convergence_wait {
    struct park_entry entry;
    uint64_t revision; /* what is waited for: a count from before it says nothing */
    int64_t deadline_ms;
};

/* *ret: the revision that is asked about; without the parameter the newest. */
static int revision_param(const struct request *request, uint64_t *ret, struct err *err) {
    const char *text = param_text(request, QUERY_VERSION);
    uint64_t wanted = 0;
    if (text != NULL && !u64_parse(text, strlen(text), UINT64_MAX, &wanted)) {
        return err_set(err, ERR_BAD_REQUEST, "resourceVersion=%.50s is not a number", text);
    }
    struct picture *picture = state_picture(request->serving->state);
    uint64_t newest = snapshot_revision(picture->snapshot);
    picture_unref(picture);
    if (wanted > newest) {
        return err_set(err, ERR_BAD_REQUEST,
                       "resourceVersion=%" PRIu64 " is newer than the newest one, %" PRIu64
                       "; take it from the answer to a write",
                       wanted, newest);
    }
    *ret = text != NULL ? wanted : newest;
    return 0;
}

struct behind_names {
    struct buf names;
    size_t count;
};

static void add_behind(void *arg, const char *node) {
    struct behind_names *behind = arg;
    if (behind->count++ < CONVERGENCE_SHOWN_MAX) {
        buf_json_comma(&behind->names);
        buf_add_json_str(&behind->names, node);
    }
}

static int answer_convergence(struct request *request, struct err *err) {
    struct behind_names behind = {.names = BUF_INIT};
    struct convergence sums;
    struct buf body = BUF_INIT;
    buf_add_char(&behind.names, '[');
    state_convergence(request->serving->state, add_behind, &behind, &sums);
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Convergence\",\"metadata\":{");
    buf_printf(&body, "\"resourceVersion\":\"%" PRIu64 "\"}", sums.resource_version);
    buf_json_member_u64(&body, "nodes", sums.nodes);
    buf_json_member_u64(&body, "fetched", sums.fetched);
    buf_json_member_u64(&body, "applied", sums.applied);
    buf_json_member_u64(&body, "silent", sums.silent);
    buf_json_member_u64(&body, "behindCount", sums.behind);
    buf_json_key(&body, "behind");
    buf_add(&body, behind.names.data, behind.names.len);
    buf_add_str(&body, "]}");
    body.failed = body.failed || buf_failed(&behind.names);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&behind.names);
    buf_done(&body);
    return result;
}

/* ---- waiting ---- */

/* Nobody else would resume it: its time is all that it waits for. */
static bool convergence_withdraw(struct park_entry *entry) {
    (void)entry;
    return true;
}

static int convergence_go_on(struct request *request, struct err *err);

static int convergence_evaluate(struct request *request, struct err *err) {
    struct convergence_wait *wait = request->work;
    struct serving *serving = request->serving;
    struct convergence sums;
    int64_t now_ms = clock_monotonic_ms();
    state_recent_convergence(serving->state, wait->revision, &sums);
    if (sums.behind == 0 || now_ms >= wait->deadline_ms || atomic_load(&serving->stopping)) {
        return answer_convergence(request, err);
    }
    int64_t until_ms = now_ms + STATE_CONVERGENCE_MS;
    if (until_ms > wait->deadline_ms) {
        until_ms = wait->deadline_ms;
    }
    if (park_enter(serving->park, &wait->entry, request, true, until_ms, convergence_withdraw,
                   convergence_go_on, err) != 0) {
        return -1;
    }
    park_settle(&wait->entry, true);
    return 0;
}

/* After waiting: a token may have been revoked meanwhile. */
static int convergence_go_on(struct request *request, struct err *err) {
    return access_recheck(request, err) != 0 ? -1 : convergence_evaluate(request, err);
}

int handle_convergence(struct request *request, struct err *err) {
    uint64_t revision = 0;
    int64_t wait_ms;
    if (revision_param(request, &revision, err) != 0 || param_wait(request, &wait_ms, err) != 0) {
        return -1;
    }
    if (wait_ms == 0) {
        return answer_convergence(request, err);
    }
    struct convergence_wait *wait = arena_alloc(&request->arena, sizeof(*wait));
    if (wait == NULL) {
        return err_no_memory(err);
    }
    wait->revision = revision;
    wait->deadline_ms = clock_monotonic_ms() + 1 + wait_ms; /* never less than was asked for */
    request->work = wait;
    return convergence_evaluate(request, err);
}
