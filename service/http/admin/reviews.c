/*
 * Reviews, as Kubernetes' clients ask them: may I (kubectl auth can-i), who am I (kubectl auth whoami), what
 * may I (kubectl auth can-i --list). Nothing is stored; all comes from the request's principal.
 */
#include <string.h>

#include "access/access.h"
#include "admin/handlers.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

static int reply_body(struct request *request, unsigned status, struct buf *body, struct err *err) {
    int rc = reply_buffer(request, status, TYPE_JSON, body, err);

    buf_done(body);
    return rc;
}

/* ---- may I ---- */

/* "*" asks for everything: only an admin may. */
static bool may_resource(const struct principal *principal, const struct access_review_resource *asked,
                         const char **ret_reason) {
    bool any = (asked->verb != NULL && strcmp(asked->verb, "*") == 0) ||
               (asked->resource != NULL && strcmp(asked->resource, "*") == 0) ||
               (asked->group != NULL && strcmp(asked->group, "*") == 0);
    struct access access = {.name = asked->name != NULL && asked->name[0] != '\0' ? asked->name : NULL};
    enum auth_answer answer;

    *ret_reason = auth_role_summary(principal->role);
    if (any) {
        return principal->role == ROLE_ADMIN;
    }
    access.verb = asked->verb != NULL ? auth_verb_by_name(asked->verb) : 0;
    if (asked->resource == NULL || access.verb == 0 ||
        !auth_resource_by_name(asked->group != NULL ? asked->group : "", asked->resource, asked->subresource,
                               &access.resource)) {
        *ret_reason = "there is no such verb or resource here";
        return false;
    }
    answer = auth_allows(principal, &access);
    if (answer == AUTH_ALLOWED_ADDRESSES) {
        *ret_reason = "as far as only the addresses in spec.bgp change";
    }
    return answer != AUTH_DENIED;
}

/* A path of ours that is no resource: readable for whoever has a credential. */
static bool may_path(const struct principal *principal, const struct access_review_path *asked,
                     const char **ret_reason) {
    *ret_reason = auth_role_summary(principal->role);
    return principal->role == ROLE_ADMIN ||
           (principal->role != ROLE_NONE && asked->verb != NULL && strcmp(asked->verb, "get") == 0 &&
            asked->path != NULL && strncmp(asked->path, "/apis/", strlen("/apis/")) != 0 &&
            strncmp(asked->path, "/api/v1/", strlen("/api/v1/")) != 0);
}

static void echo_resource(const struct access_review_resource *asked, struct buf *out) {
    buf_json_key(out, "resourceAttributes");
    buf_add_char(out, '{');
    buf_json_member_str(out, "namespace", asked->name_space);
    buf_json_member_str(out, "verb", asked->verb);
    buf_json_member_str(out, "group", asked->group);
    buf_json_member_str(out, "version", asked->version);
    buf_json_member_str(out, "resource", asked->resource);
    buf_json_member_str(out, "subresource", asked->subresource);
    buf_json_member_str(out, "name", asked->name);
    buf_add_char(out, '}');
}

int handle_access_review(struct request *request, struct err *err) {
    struct access_review_form form = {.resource = NULL};
    struct buf body = BUF_INIT;
    enum codec_syntax syntax;
    const char *reason;
    bool allowed;

    if (media_document(request_header(request, HEADER_CONTENT_TYPE), true, &syntax, err) != 0) {
        return -1;
    }
    if (request->body.len == 0) {
        return err_set(err, ERR_BAD_REQUEST, "the body is empty; send a SelfSubjectAccessReview");
    }
    if (codec_decode_access_review(syntax, request->body.data, request->body.len, &request->arena, &form,
                                   err) != 0) {
        return -1;
    }
    allowed = form.resource != NULL ? may_resource(&request->principal, form.resource, &reason)
                                    : may_path(&request->principal, form.path, &reason);
    buf_add_str(&body, "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\","
                       "\"metadata\":{},\"spec\":{");
    if (form.resource != NULL) {
        echo_resource(form.resource, &body);
    } else {
        buf_json_key(&body, "nonResourceAttributes");
        buf_add_char(&body, '{');
        buf_json_member_str(&body, "path", form.path->path);
        buf_json_member_str(&body, "verb", form.path->verb);
        buf_add_char(&body, '}');
    }
    buf_printf(&body, "},\"status\":{\"allowed\":%s", allowed ? "true" : "false");
    buf_json_member_str(&body, "reason", reason);
    buf_add_str(&body, "}}");
    return reply_body(request, STATUS_CREATED, &body, err);
}

/* ---- who am I ---- */

int handle_self_review(struct request *request, struct err *err) {
    struct buf body = BUF_INIT;

    /* The body says nothing that would matter. */
    buf_add_str(&body,
                "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},"
                "\"status\":{\"userInfo\":{");
    buf_json_member_str(&body, "username", request->principal.user);
    buf_json_key(&body, "groups");
    buf_add_char(&body, '[');
    buf_add_json_str(&body, role_group(request->principal.role));
    buf_add_str(&body, request->serving->no_auth ? ",\"system:unauthenticated\"]}}}"
                                                 : ",\"system:authenticated\"]}}}");
    return reply_body(request, STATUS_CREATED, &body, err);
}

/* ---- what may I ---- */

/* The verbs that are allowed on a resource, on the node's own object where that is all it may. */
static unsigned allowed_verbs(const struct principal *principal, enum auth_resource resource) {
    unsigned verbs = 0;

    for (unsigned verb = AUTH_GET; verb <= AUTH_DELETE_COLLECTION; verb <<= 1) {
        struct access access = {.verb = verb, .resource = resource, .name = principal_node(principal)};
        verbs |= auth_allows(principal, &access) != AUTH_DENIED ? verb : 0;
    }
    return verbs;
}

static void add_resource_rule(const struct principal *principal, enum auth_resource resource,
                              struct buf *out) {
    unsigned verbs = allowed_verbs(principal, resource);
    struct access any = {.verb = verbs & (~verbs + 1), .resource = resource};

    if (verbs == 0) {
        return;
    }
    buf_json_comma(out);
    buf_add_str(out, "{\"verbs\":[");
    for (unsigned verb = AUTH_GET; verb <= AUTH_DELETE_COLLECTION; verb <<= 1) {
        if ((verbs & verb) != 0) {
            buf_json_comma(out);
            buf_add_json_str(out, auth_verb_name(verb));
        }
    }
    buf_add_str(out, "],\"apiGroups\":[");
    buf_add_json_str(out, auth_resource_group(resource));
    buf_add_str(out, "],\"resources\":[");
    buf_add_json_str(out, auth_resource_name(resource));
    buf_add_char(out, ']');
    if (auth_allows(principal, &any) == AUTH_DENIED) {
        buf_add_str(out, ",\"resourceNames\":[");
        buf_add_json_str(out, principal_node(principal));
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
}

int handle_rules_review(struct request *request, struct err *err) {
    struct buf body = BUF_INIT;

    /* Of the body only the namespace could matter, and no rule knows one. */
    buf_add_str(
        &body,
        "{\"kind\":\"SelfSubjectRulesReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{},"
        "\"spec\":{},\"status\":{\"resourceRules\":[");
    for (enum auth_resource resource = 0; resource < AUTH_DOCUMENTS; resource++) {
        add_resource_rule(&request->principal, resource, &body);
    }
    buf_add_str(&body, "],\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/api\",\"/apis\","
                       "\"/healthz\",\"/livez\",\"/openapi.json\",\"/openapi/*\",\"/readyz\",\"/version\"]}],"
                       "\"incomplete\":false}}");
    return reply_body(request, STATUS_CREATED, &body, err);
}
