/*
 * Tokens over the API: make one (its text is in that one answer only), list, look at, revoke. The committer
 * makes them durable; the connection is suspended meanwhile. The text lives in the request's work and in the
 * answer's buffer, and both are wiped.
 */
#include <stdlib.h>
#include <string.h>

#include "access/trail.h"
#include "admin/handlers.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "machine/park.h"
#include "model/object.h"
#include "objects/resource.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

#define HEAD "\"apiVersion\":\"bgppeerd.io/v1\""

/* Of an answer that is nobody's to keep. */
static const struct reply_head HEAD_ONCE = {.type = TYPE_JSON, .cache_control = "no-store"};

/* Outside the request's arena, which is not wiped. */
struct token_work {
    struct token_write write;
    char text[TOKEN_TEXT_MAX];
};

/* ---- writing ---- */

static void add_time(struct buf *out, const char *key, int64_t time_ms) {
    char text[CLOCK_TEXT_MAX];

    if (time_ms != 0) {
        clock_format_seconds(time_ms, text);
        buf_json_member_str(out, key, text);
    }
}

/* One Token; `text` NULL: without its secret. */
static void add_token(struct buf *out, const struct token *token, const char *text) {
    buf_add_str(out, "{" HEAD ",\"kind\":\"Token\",\"metadata\":{");
    buf_json_member_str(out, "name", token->id);
    add_time(out, "creationTimestamp", token->created_ms);
    buf_add_str(out, "},\"spec\":{");
    buf_json_member_str(out, "role", role_name(token->role));
    buf_json_member_str(out, "node", token->node[0] != '\0' ? token->node : NULL);
    buf_json_member_str(out, "description", token->description[0] != '\0' ? token->description : NULL);
    add_time(out, "expires", token->expires_ms);
    buf_add_str(out, "},\"status\":{");
    add_time(out, "lastUsed", token->last_used_ms);
    buf_json_member_str(out, "token", text);
    buf_add_str(out, "}}");
}

/* ---- changing ---- */

static void cleanup(struct request *request) {
    struct token_work *work = request->work;

    explicit_bzero(work->text, sizeof work->text);
    free(work);
}

static void on_done(struct task *task) {
    request_resume(task->arg);
}

static int answer(struct request *request, struct err *err) {
    struct token_work *work = request->work;
    const struct token *token = &work->write.token;
    struct buf body = {.wipe = true};
    int rc;

    if (work->write.task.err.code != ERR_NONE) {
        *err = work->write.task.err;
        return -1;
    }
    trail_token(request, token, work->write.revoke);
    if (work->write.revoke) {
        struct principal holder;

        token_principal(token, &holder);
        park_hasten(request->serving->park, holder.user);
        buf_add_str(&body,
                    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\","
                    "\"details\":{\"group\":\"bgppeerd.io\",\"kind\":\"tokens\"");
        buf_json_member_str(&body, "name", token->id);
        buf_add_str(&body, "}}");
    } else {
        add_token(&body, token, work->text);
    }
    rc = reply_wiped(request, work->write.revoke ? STATUS_OK : STATUS_CREATED, &HEAD_ONCE, &body, err);
    buf_done(&body);
    return rc;
}

static int answer_refused(struct request *request, struct err *err) {
    *err = ((struct token_work *)request->work)->write.task.err;
    return -1;
}

static struct token_work *new_work(struct request *request, bool revoke, struct err *err) {
    struct token_work *work = base_calloc(1, sizeof *work);

    if (work == NULL) {
        err_no_memory(err);
        return NULL;
    }
    work->write.revoke = revoke;
    work->write.task = (struct task){.done = on_done, .arg = request};
    request->work = work;
    request->cleanup = cleanup;
    return work;
}

static int submit(struct request *request, struct token_work *work) {
    /* The connection must be suspended before anyone can resume it. */
    request_suspend(request, answer);
    if (state_submit_token(request->serving->state, &work->write, &work->write.task.err) != 0) {
        request->resume = answer_refused;
        request_resume(request);
    }
    return 0;
}

/* RFC 3339; *ret 0 when there is none. */
static int read_expiry(const char *text, int64_t *ret, struct err *err) {
    *ret = 0;
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    if (!clock_parse(text, strlen(text), ret) || *ret <= 0) {
        return err_set_field(err, ERR_INVALID, "spec.expires",
                             "spec.expires \"%.64s\" is not a time; write for example 2027-01-31T00:00:00Z",
                             text);
    }
    return 0;
}

static int new_token(struct token_work *work, const struct token_form_spec *spec, struct err *err) {
    enum role role = ROLE_NONE;
    char why[256];
    int64_t expires_ms;

    if (spec == NULL || spec->role == NULL || !role_parse(spec->role, &role)) {
        return err_set_field(err, ERR_INVALID, "spec.role",
                             "spec.role must be admin, operator, viewer or node");
    }
    if (spec->node != NULL && spec->node[0] != '\0' && !name_is_valid(spec->node, why, sizeof why)) {
        return err_set_field(err, ERR_INVALID, "spec.node", "spec.node is not the name of a node: %s", why);
    }
    return read_expiry(spec->expires, &expires_ms, err) != 0
               ? -1
               : token_new(role, spec->node, spec->description, expires_ms, &work->write.token, work->text,
                           err);
}

/* A token may come before its Node; it is more often a name that is written in another way. */
static int advise_node(struct request *request, const char *node, struct err *err) {
    if (node == NULL || node[0] == '\0') {
        return 0;
    }
    struct advice *advice = request_advice(request);
    if (advice == NULL) {
        return err_no_memory(err);
    }
    struct picture *picture = state_picture(request->serving->state);
    if (snapshot_get(picture->snapshot, KIND_NODE, node) == NULL) {
        const char *similar = snapshot_similar(picture->snapshot, KIND_NODE, node);
        advice_add(advice, "spec.node: there is no Node \"%s\" yet%s%s%s", node,
                   similar != NULL ? "; there is a Node \"" : "", similar != NULL ? similar : "",
                   similar != NULL ? "\"" : "");
    }
    picture_unref(picture);
    return 0;
}

int handle_token_create(struct request *request, struct err *err) {
    struct token_form form = {.spec = NULL};
    enum codec_syntax syntax;
    struct token_work *work;

    if (media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0) {
        return -1;
    }
    if (request->body.len == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body is empty; send {\"spec\":{\"role\":\"viewer\"}} or the like");
    }
    if (codec_decode_token(syntax, request->body.data, request->body.len, &request->arena, &form, err) != 0) {
        return -1;
    }
    work = new_work(request, false, err);
    if (work == NULL || new_token(work, form.spec, err) != 0 ||
        advise_node(request, form.spec->node, err) != 0) {
        return -1;
    }
    return submit(request, work);
}

int handle_token_delete(struct request *request, struct err *err) {
    struct token_work *work = new_work(request, true, err);
    size_t len = strlen(request->params[0]);

    if (work == NULL) {
        return -1;
    }
    if (!token_id_is_valid(request->params[0])) {
        return err_set(err, ERR_NOT_FOUND, "tokens.bgppeerd.io \"%.64s\" not found", request->params[0]);
    }
    memcpy(work->write.token.id, request->params[0], len + 1);
    return submit(request, work);
}

/* ---- reading ---- */

int handle_token_get(struct request *request, struct err *err) {
    struct buf body = BUF_INIT;
    struct token token;
    int rc;

    if (!token_registry_get(state_tokens(request->serving->state), request->params[0], &token)) {
        return err_set(err, ERR_NOT_FOUND, "tokens.bgppeerd.io \"%.64s\" not found", request->params[0]);
    }
    add_token(&body, &token, NULL);
    rc = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return rc;
}

int handle_token_list(struct request *request, struct err *err) {
    struct buf body = BUF_INIT;
    struct token *tokens;
    size_t count;
    int rc;

    if (token_registry_list(state_tokens(request->serving->state), &tokens, &count, err) != 0) {
        return -1;
    }
    buf_add_str(&body, "{" HEAD ",\"kind\":\"TokenList\",\"metadata\":{},\"items\":[");
    for (size_t i = 0; i < count; i++) {
        buf_json_comma(&body);
        add_token(&body, &tokens[i], NULL);
    }
    buf_add_str(&body, "]}");
    free(tokens);
    rc = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return rc;
}
