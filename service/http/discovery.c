/*
 * Discovery: what the API holds, as Kubernetes clients ask for it, and the OpenAPI documents.
 *
 * Everything is derived: resources and their verbs from the route table, names from the kinds. The
 * documents are built once and never change, so answers point into them.
 */
#include "discovery.h"

#include <stdio.h>
#include <string.h>

#include "handlers.h"
#include "openapi.h"
#include "reply.h"
#include "server.h"

#define GROUP_NAME    "projectcalico.org"
#define GROUP_VERSION GROUP_NAME "/v3"
/* Clients choose features, and some launchers even the client, by the Kubernetes version they read. */
#define KUBERNETES_MAJOR "1"
#define KUBERNETES_MINOR "33"

/* The verbs that the table has for a resource; none: it is not served. */
static void add_verbs(const char *resource, struct buf *out) {
    size_t count;
    const struct route *routes = routes_all(&count);
    buf_json_key(out, "verbs");
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (routes[i].resource == NULL || strcmp(routes[i].resource, resource) != 0) {
            continue;
        }
        buf_json_comma(out);
        buf_add_json_str(out, routes[i].verb);
        /* A list can be watched on the same path. */
        if (strcmp(routes[i].verb, "list") == 0) {
            buf_add_str(out, ",\"watch\"");
        }
    }
    buf_add_char(out, ']');
}

static bool is_served(const char *resource) {
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (routes[i].resource != NULL && strcmp(routes[i].resource, resource) == 0) {
            return true;
        }
    }
    return false;
}

static void add_resource(const struct kind_info *kind, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "name", kind->plural);
    buf_json_member_str(out, "singularName", kind->singular);
    buf_json_key(out, "namespaced");
    buf_add_str(out, kind->namespaced ? "true" : "false");
    buf_json_member_str(out, "kind", kind->name);
    add_verbs(kind->plural, out);
    if (kind->short_name != NULL) {
        buf_json_key(out, "shortNames");
        buf_add_char(out, '[');
        buf_add_json_str(out, kind->short_name);
        buf_add_char(out, ']');
    }
    if (kind->group[0] != '\0') {
        buf_json_key(out, "categories");
        buf_add_str(out, "[\"all\",\"calico\"]");
    }
    buf_add_char(out, '}');
}

static void make_resource_list(const char *group, const char *group_version, struct buf *out) {
    buf_add_str(out, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\"");
    buf_json_member_str(out, "groupVersion", group_version);
    buf_json_key(out, "resources");
    buf_add_char(out, '[');
    for (int i = 0; i < KIND_COUNT; i++) {
        const struct kind_info *kind = kind_info((enum kind)i);
        if (strcmp(kind->group, group) == 0 && is_served(kind->plural)) {
            add_resource(kind, out);
        }
    }
    buf_add_str(out, "]}");
}

/* The members that an APIGroup has alone and inside an APIGroupList. */
static void add_group(struct buf *out) {
    const char *version = "{\"groupVersion\":\"" GROUP_VERSION "\",\"version\":\"v3\"}";
    buf_json_member_str(out, "name", GROUP_NAME);
    buf_json_key(out, "versions");
    buf_printf(out, "[%s]", version);
    buf_json_key(out, "preferredVersion");
    buf_add_str(out, version);
}

static void make_version(const char *version, struct buf *out) {
    buf_add_str(out, "{\"major\":\"" KUBERNETES_MAJOR "\",\"minor\":\"" KUBERNETES_MINOR "\"");
    buf_json_key(out, "gitVersion");
    char text[128];
    snprintf(text, sizeof(text), "v" KUBERNETES_MAJOR "." KUBERNETES_MINOR ".0+bgppeerd-%.64s", version);
    buf_add_json_str(out, text);
    buf_json_member_str(out, "bgppeerd", version);
    buf_add_str(out, ",\"platform\":\"linux\"}");
}

int documents_init(struct documents *documents, const char *version, struct err *err) {
    buf_add_str(&documents->api, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}");
    make_resource_list("", "v1", &documents->core);
    buf_add_str(&documents->apis, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{");
    add_group(&documents->apis);
    buf_add_str(&documents->apis, "}]}");
    buf_add_str(&documents->group, "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"");
    add_group(&documents->group);
    buf_add_char(&documents->group, '}');
    make_resource_list(GROUP_NAME, GROUP_VERSION, &documents->resources);
    make_version(version, &documents->version);
    if (buf_failed(&documents->api) || buf_failed(&documents->core) || buf_failed(&documents->apis) ||
        buf_failed(&documents->group) || buf_failed(&documents->resources) || buf_failed(&documents->version)) {
        return err_no_memory(err);
    }
    return 0;
}

void documents_done(struct documents *documents) {
    buf_done(&documents->api);
    buf_done(&documents->core);
    buf_done(&documents->apis);
    buf_done(&documents->group);
    buf_done(&documents->resources);
    buf_done(&documents->version);
}

int handle_discovery(struct request *request, struct err *err) {
    const struct documents *documents = &request->http->documents;
    const struct {
        const char *path;
        const struct buf *document;
    } table[] = {
        {"/api", &documents->api},
        {"/api/v1", &documents->core},
        {"/apis", &documents->apis},
        {"/apis/" GROUP_NAME, &documents->group},
        {"/apis/" GROUP_VERSION, &documents->resources},
        {"/version", &documents->version},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(request->route->path, table[i].path) == 0) {
            return reply_static(request, MHD_HTTP_OK, TYPE_JSON, table[i].document->data, table[i].document->len, err);
        }
    }
    return err_set(err, ERR_INTERNAL, "no discovery document for %s", request->route->path);
}

/* ---- OpenAPI ---- */

int handle_openapi(struct request *request, struct err *err) {
    return reply_static(request, MHD_HTTP_OK, TYPE_JSON, openapi_json, openapi_json_len, err);
}

/*
 * kubectl before 1.29 asks for this before it creates anything, as protobuf. An empty document is
 * valid: it describes nothing, so the client checks nothing itself and leaves it to us.
 */
int handle_openapi_v2(struct request *request, struct err *err) {
    return reply_static(request, MHD_HTTP_OK, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", "", 0, err);
}

/* The index by group: newer clients then describe and check by themselves what they find there. */
int handle_openapi_v3(struct request *request, struct err *err) {
    static const char INDEX[] = "{\"paths\":{}}";
    return reply_static(request, MHD_HTTP_OK, TYPE_JSON, INDEX, sizeof(INDEX) - 1, err);
}
