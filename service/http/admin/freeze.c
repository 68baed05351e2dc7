/*
 * The freeze over the API: set, show, lift. The committer makes it durable; the connection is suspended
 * meanwhile. What is set belongs to the request until it is answered.
 */
#include <string.h>

#include "access/trail.h"
#include "admin/handlers.h"
#include "base/clock.h"
#include "model/change_set.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"
#include "state/brake.h"

_Static_assert(FREEZE_REASON_MAX >= CHANGE_REASON_MAX, "a reason fits into a freeze");

static void add_time(struct buf *out, const char *key, int64_t time_ms) {
    char text[CLOCK_TEXT_MAX];
    if (time_ms != 0) {
        clock_format_seconds(time_ms, text);
        buf_json_member_str(out, key, text);
    }
}

static int reply_freeze(struct request *request, const struct freeze *freeze, struct err *err) {
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Freeze\",\"frozen\":");
    buf_add_str(&body, freeze->on ? "true" : "false");
    if (freeze->on) {
        buf_json_member_str(&body, "reason", freeze->reason);
        buf_json_member_str(&body, "user", freeze->user);
        add_time(&body, "since", freeze->since_ms);
        add_time(&body, "until", freeze->until_ms);
    }
    buf_add_char(&body, '}');
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

int handle_freeze_get(struct request *request, struct err *err) {
    struct freeze freeze;
    state_freeze(request->serving->state, &freeze);
    return reply_freeze(request, &freeze, err);
}

/* ---- setting and lifting ---- */

static void on_done(struct task *task) {
    request_resume(task->arg);
}

static int freeze_answer(struct request *request, struct err *err) {
    struct freeze_write *write = request->work;
    if (write->task.err.code != ERR_NONE) {
        *err = write->task.err;
        return -1;
    }
    trail_freeze(request, write->lift ? NULL : write->freeze.reason);
    return reply_freeze(request, &write->freeze, err);
}

static int freeze_refused(struct request *request, struct err *err) {
    *err = ((struct freeze_write *)request->work)->task.err;
    return -1;
}

static struct freeze_write *new_write(struct request *request, bool lift, struct err *err) {
    struct freeze_write *write = arena_alloc(&request->arena, sizeof(*write));
    if (write == NULL) {
        err_no_memory(err);
        return NULL;
    }
    *write = (struct freeze_write){.task = {.done = on_done, .arg = request},
                                   .lift = lift,
                                   .may_replace = request->principal.role == ROLE_ADMIN};
    memcpy(write->freeze.user, request->principal.user, sizeof(write->freeze.user));
    request->work = write;
    return write;
}

static int freeze_submit(struct request *request, struct freeze_write *write) {
    /* The connection must be suspended before anyone can resume it. */
    request_suspend(request, freeze_answer);
    if (state_submit_freeze(request->serving->state, write, &write->task.err) != 0) {
        request->resume = freeze_refused;
        request_resume(request);
    }
    return 0;
}

static int read_freeze(const struct freeze_form *form, struct freeze *ret, struct err *err) {
    if (form->reason == NULL || form->reason[0] == '\0' || !change_reason_is_valid(form->reason)) {
        return err_set_field(
            err, ERR_INVALID, "reason",
            "reason must say in one line of at most %d bytes why the fleet is frozen: whoever is "
            "refused reads it",
            CHANGE_REASON_MAX);
    }
    if (form->until != NULL && form->until[0] != '\0' &&
        (!clock_parse(form->until, strlen(form->until), &ret->until_ms) ||
         ret->until_ms <= clock_realtime_ms())) {
        return err_set_field(
            err, ERR_INVALID, "until",
            "until \"%.64s\" is not a time to come; write for example 2027-01-31T00:00:00Z, or "
            "leave it out to freeze until it is lifted",
            form->until);
    }
    memcpy(ret->reason, form->reason, strlen(form->reason) + 1);
    return 0;
}

int handle_freeze_put(struct request *request, struct err *err) {
    struct freeze_form form = {.reason = NULL};
    enum codec_syntax syntax;
    if (media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0) {
        return -1;
    }
    if (request->body.len == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body is empty; send {\"reason\": \"why\", \"until\": \"2027-01-31T00:00:00Z\"}");
    }
    if (codec_decode_freeze(syntax, request->body.data, request->body.len, &request->arena, &form, err) !=
        0) {
        return -1;
    }
    struct freeze_write *write = new_write(request, false, err);
    return write == NULL || read_freeze(&form, &write->freeze, err) != 0 ? -1 : freeze_submit(request, write);
}

int handle_freeze_delete(struct request *request, struct err *err) {
    struct freeze_write *write = new_write(request, true, err);
    return write == NULL ? -1 : freeze_submit(request, write);
}
