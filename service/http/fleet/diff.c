/*
 * GET …/diff: what differs between two moments of the fleet: the change set that makes the one of the other,
 * and their sessions as a preview shows them. Computed from pictures of the past, on the worker's thread.
 */
#include <string.h>

#include "fleet/difference.h"
#include "fleet/handlers.h"
#include "fleet/moment.h"
#include "machine/worker.h"
#include "objects/preview.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

struct diff {
    struct moment from, to;
    bool objects, sessions;
    struct preview_view view;
    struct buf body;
};

/* ---- on the worker ---- */

/* The pictures of both moments, whichever is the later one. */
static int find_pictures(struct state *state, uint64_t from, uint64_t to, struct picture **ret_from,
                         struct picture **ret_to, struct node_set **ret_affected, struct err *err) {
    struct picture *later, *earlier;
    if (state_past(state, from > to ? from : to, &later, err) != 0) {
        return -1;
    }
    if (state_past_before(state, later, from > to ? to : from, &earlier, ret_affected, err) != 0) {
        picture_unref(later);
        return -1;
    }
    *ret_from = from > to ? later : earlier;
    *ret_to = from > to ? earlier : later;
    return 0;
}

static int write_objects(struct request *request, struct diff *diff, const struct picture *from,
                         const struct picture *to, struct err *err) {
    struct change_set set;
    if (state_changes_between(from->snapshot, to->snapshot, &request->arena, &set, err) != 0) {
        return -1;
    }
    buf_json_key(&diff->body, "changeSet");
    difference_write_set(&set, &diff->body);
    buf_json_key(&diff->body, "secrets");
    difference_write_secrets(from->snapshot, to->snapshot, NULL, &diff->body);
    return 0;
}

static int write_sessions(struct diff *diff, const struct picture *from, const struct picture *to,
                          const struct node_set *affected, struct err *err) {
    struct buf warnings = BUF_INIT;
    char unused[DIGEST_TEXT_MAX];
    buf_json_key(&diff->body, "changes");
    int result = preview_encode(from, to, affected, &diff->view, &diff->body, &warnings, unused, err);
    buf_json_key(&diff->body, "warnings");
    buf_add_char(&diff->body, '[');
    buf_add(&diff->body, warnings.data, warnings.len);
    buf_add_char(&diff->body, ']');
    buf_done(&warnings);
    return result;
}

static int write_diff(struct request *request, struct err *err) {
    struct diff *diff = request->work;
    struct state *state = request->serving->state;
    struct picture *before, *after;
    struct node_set *affected;
    uint64_t from, to;
    if (moment_at(state, &diff->from, "from", &from, err) != 0 ||
        moment_at(state, &diff->to, "to", &to, err) != 0 ||
        find_pictures(state, from, to, &before, &after, &affected, err) != 0) {
        return -1;
    }
    buf_add_str(&diff->body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Diff\"");
    buf_json_key(&diff->body, "from");
    int result = moment_write(state, from, &diff->body, err);
    buf_json_key(&diff->body, "to");
    if (result == 0) {
        result = moment_write(state, to, &diff->body, err);
    }
    if (result == 0 && diff->objects) {
        result = write_objects(request, diff, before, after, err);
    }
    if (result == 0 && diff->sessions) {
        result = write_sessions(diff, before, after, affected, err);
    }
    buf_add_char(&diff->body, '}');
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
    return result;
}

/* ---- the request ---- */

static int diff_answer(struct request *request, struct err *err) {
    struct diff *diff = request->work;
    return reply_buffer(request, STATUS_OK, TYPE_JSON, &diff->body, err);
}

static void diff_cleanup(struct request *request) {
    struct diff *diff = request->work;
    buf_done(&diff->body);
}

static int read_view(const struct request *request, struct diff *diff, struct err *err) {
    const char *view = param_text(request, QUERY_VIEW);
    bool both = view == NULL || strcmp(view, "both") == 0;
    diff->objects = both || strcmp(view, "objects") == 0;
    diff->sessions = both || strcmp(view, "sessions") == 0;
    if (!diff->objects && !diff->sessions) {
        return err_set(err, ERR_BAD_REQUEST, "view=%.50s is not one of objects, sessions, both", view);
    }
    diff->view = (struct preview_view){.node = param_text(request, QUERY_NODE),
                                       .after = param_text(request, QUERY_AFTER),
                                       .status = state_status(request->serving->state),
                                       .request = request};
    return 0;
}

int handle_diff(struct request *request, struct err *err) {
    struct diff *diff = arena_alloc(&request->arena, sizeof(*diff));
    if (diff == NULL) {
        return err_no_memory(err);
    }
    *diff = (struct diff){.body = BUF_INIT};
    if (moment_read(request, QUERY_FROM, &diff->from, err) != 0 ||
        moment_read(request, QUERY_TO, &diff->to, err) != 0 || read_view(request, diff, err) != 0) {
        return -1;
    }
    if (!diff->from.given) {
        return err_set(err, ERR_BAD_REQUEST,
                       "from= says since when: a revision or a time, such as from=412 or "
                       "from=2026-11-23T00:00:00Z; to= is now, when it is left out");
    }
    request->work = diff;
    request->cleanup = diff_cleanup;
    return worker_compute(request->serving->worker, request, write_diff, diff_answer, err);
}
