/*
 * Status objects: every failure's body, and the answer to a deletion, as Kubernetes clients read them.
 *
 * Failures that are our own fault are logged here, once, with the request's id; the client gets the
 * id instead of the text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "request/pretty.h"
#include "request/reply.h"
#include "request/response.h"

#define RETRY_AFTER_SECONDS 1

static const struct kind_info *route_kind(const struct request *request) {
    const struct route *route = request->route;
    return route != NULL && route->kind != ROUTE_KIND_NONE ? kind_info(route->kind) : NULL;
}

/* The object's name as far as the request tells it: from the path, or what a handler noted. */
static const char *object_name(const struct request *request) {
    if (request->object_name != NULL) {
        return request->object_name;
    }
    if (request->route != NULL && request->route->kind == KIND_SECRET && request->param_count < 2) {
        return NULL; /* a namespace at most */
    }
    return request->param_count > 0 ? request->params[request->param_count - 1] : NULL;
}

static void add_causes(const struct causes *causes, struct buf *out) {
    buf_json_key(out, "causes");
    buf_add_char(out, '[');
    for (size_t i = 0; i < causes->count; i++) {
        const struct cause *cause = &causes->items[i];
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "reason", cause->reason);
        buf_json_member_str(out, "message", cause->message);
        buf_json_member_str(out, "field", cause->field);
        buf_add_char(out, '}');
    }
    if (causes->dropped > 0) {
        buf_json_comma(out);
        buf_add_str(out, "{\"reason\":\"" CAUSE_TOO_MANY "\",\"message\":\"and ");
        buf_add_u64(out, causes->dropped);
        buf_add_str(out, " more errors\",\"field\":\"\"}");
    }
    buf_add_char(out, ']');
}

static bool wants_retry(unsigned status) {
    return status == STATUS_SERVICE_UNAVAILABLE || status == STATUS_TOO_MANY_REQUESTS ||
           status == STATUS_GATEWAY_TIMEOUT;
}

static unsigned retry_after(const struct request *request) {
    return request->retry_after_s > 0 ? request->retry_after_s : RETRY_AFTER_SECONDS;
}

static void add_details(const struct request *request, const struct err *failure, const struct causes *causes,
                        unsigned status, struct buf *out) {
    const struct kind_info *kind = route_kind(request);
    buf_json_key(out, "details");
    buf_add_char(out, '{');
    if (kind != NULL) {
        buf_json_member_str(out, "name", object_name(request));
        if (kind->group[0] != '\0') {
            buf_json_member_str(out, "group", kind->group);
        }
        /* As Kubernetes: the kind for a document's errors, the resource for all others. */
        buf_json_member_str(out, "kind", failure->code == ERR_INVALID ? kind->name : kind->plural);
    }
    if (causes != NULL) {
        add_causes(causes, out);
    } else if (status == STATUS_GATEWAY_TIMEOUT) {
        /* By this cause client-go knows that it may list without a version instead. */
        buf_json_key(out, "causes");
        buf_add_str(out,
                    "[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}]");
    } else if (failure->field[0] != '\0' || (failure->code == ERR_INVALID && kind != NULL)) {
        /* Of an invalid object kubectl shows the causes only, each behind its field. */
        buf_json_key(out, "causes");
        buf_add_str(out, "[{");
        buf_json_member_str(out, "reason", CAUSE_INVALID);
        buf_json_member_str(out, "message", failure->text);
        buf_json_member_str(out, "field", failure->field[0] != '\0' ? failure->field : "body");
        buf_add_str(out, "}]");
    }
    if (wants_retry(status)) {
        buf_json_member_u64(out, "retryAfterSeconds", retry_after(request));
    }
    buf_add_char(out, '}');
}

/* `BGPPeer.projectcalico.org "x" is invalid: spec.a: why`, several in brackets. */
static void invalid_message(const struct request *request, const struct causes *causes, struct buf *out) {
    const struct kind_info *kind = route_kind(request);
    if (kind != NULL) {
        const char *name = object_name(request);
        buf_add_str(out, kind->name);
        if (kind->group[0] != '\0') {
            buf_add_char(out, '.');
            buf_add_str(out, kind->group);
        }
        buf_printf(out, " \"%s\" is invalid: ", name != NULL ? name : "");
    }
    bool several = causes->count + causes->dropped > 1;
    buf_add_str(out, several ? "[" : "");
    for (size_t i = 0; i < causes->count; i++) {
        const struct cause *cause = &causes->items[i];
        buf_add_str(out, i > 0 ? ", " : "");
        if (cause->field != NULL && cause->field[0] != '\0') {
            buf_add_str(out, cause->field);
            buf_add_str(out, ": ");
        }
        buf_add_str(out, cause->message);
    }
    if (causes->dropped > 0) {
        buf_printf(out, ", and %zu more", causes->dropped);
    }
    buf_add_str(out, several ? "]" : "");
}

/* Are the causes the whole message? Of one document that cannot be read, and of a conflict, the failure's own
 * text says more. */
static bool says_all(const struct request *request, const struct err *failure) {
    return failure->code == ERR_INVALID || (failure->code == ERR_BAD_REQUEST && route_kind(request) == NULL);
}

/* Is the failure one whose causes tell about documents? */
static bool has_causes(enum err_code code) {
    return code == ERR_INVALID || code == ERR_BAD_REQUEST || code == ERR_CONFLICT ||
           code == ERR_ALREADY_EXISTS || code == ERR_TOO_DISRUPTIVE;
}

/* What the client is told. */
static void add_message(const struct request *request, const struct err *failure, const struct causes *causes,
                        struct buf *message) {
    if (failure->code == ERR_INTERNAL || failure->code == ERR_CORRUPT) {
        log_event(LOG_ERROR, "internal-error", LOG_STR("id", request->id),
                  LOG_STR("method", method_text(request->method)), LOG_STR("path", request->uri),
                  LOG_STR("error", failure->text));
        buf_printf(message, "internal error; the service's log has the details under id %s", request->id);
    } else if (causes != NULL && says_all(request, failure)) {
        invalid_message(request, causes, message);
    } else {
        buf_add_str(message, failure->text);
    }
}

static int send_status(struct request *request, unsigned status, struct buf *body, struct err *err) {
    pretty_status(request, body);
    if (buf_failed(body)) {
        return err_no_memory(err);
    }
    size_t len = 0;
    char *bytes = buf_steal(body, &len);
    struct MHD_Response *response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
        return err_no_memory(err);
    }
    request->reply_bytes = len;
    char retry[16];
    snprintf(retry, sizeof(retry), "%u", retry_after(request));
    if (response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_JSON, err) != 0 ||
        response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store", err) != 0 ||
        (status == STATUS_METHOD_NOT_ALLOWED && request->allow != NULL &&
         response_header(response, MHD_HTTP_HEADER_ALLOW, request->allow, err) != 0) ||
        (request->coded &&
         response_header(response, MHD_HTTP_HEADER_ACCEPT_ENCODING, "identity", err) != 0) ||
        (status == STATUS_UNAUTHORIZED && response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                                          "Bearer realm=\"bgppeerd\"", err) != 0) ||
        (wants_retry(status) && response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, retry, err) != 0)) {
        MHD_destroy_response(response);
        return -1;
    }
    return response_send(request, status, response, err);
}

int reply_failure_as(struct request *request, unsigned status, const char *reason, const struct err *failure,
                     struct err *err) {
    const struct causes *causes =
        has_causes(failure->code) && request->causes != NULL && request->causes->count > 0 ? request->causes
                                                                                           : NULL;
    struct buf message = BUF_INIT;
    struct buf body = BUF_INIT;
    add_message(request, failure, causes, &message);
    buf_add_str(&body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"");
    buf_json_key(&body, "message");
    buf_add_json(&body, message.data != NULL ? message.data : "", message.len);
    buf_json_member_str(&body, "reason", reason);
    add_details(request, failure, causes, status, &body);
    buf_json_member_u64(&body, "code", status);
    buf_add_char(&body, '}');
    body.failed = body.failed || buf_failed(&message);
    buf_done(&message);
    int result = send_status(request, status, &body, err);
    buf_done(&body);
    return result;
}

int reply_failure(struct request *request, const struct err *failure, struct err *err) {
    return reply_failure_as(request, err_http_status(failure->code), err_reason(failure->code), failure, err);
}

int reply_deleted(struct request *request, const struct record *record, struct err *err) {
    const struct object *object = record->object;
    const struct kind_info *kind = kind_info(object->kind);
    struct buf body = BUF_INIT;
    buf_add_str(
        &body,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"details\":{");
    buf_json_member_str(&body, "name", object->meta.name);
    if (kind->group[0] != '\0') {
        buf_json_member_str(&body, "group", kind->group);
    }
    buf_json_member_str(&body, "kind", kind->plural);
    buf_json_member_str(&body, "uid", object->meta.uid);
    buf_add_str(&body, "}}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}
