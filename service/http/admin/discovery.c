/*
 * Discovery: what the API holds, as Kubernetes clients ask for it.
 *
 * Everything is derived: resources and their verbs from the route table, names from the kinds. The
 * documents are built once and never change, so answers point into them.
 */
#include "admin/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/handlers.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

/* The named groups, each in one version. The core group, /api/v1, has no name. */
static const struct api_group {
    const char *name;
    const char *version;
    const char *path;         /* of the group */
    const char *version_path; /* of its resources */
} GROUPS[] = {
    {"projectcalico.org", "v3", "/apis/projectcalico.org", "/apis/projectcalico.org/v3"},
    {"bgppeerd.io", "v1", "/apis/bgppeerd.io", "/apis/bgppeerd.io/v1"},
};
#define GROUP_COUNT (sizeof(GROUPS) / sizeof(GROUPS[0]))

/* Clients choose features, and some launchers even the client, by the Kubernetes version they read. */
#define KUBERNETES_MAJOR "1"
#define KUBERNETES_MINOR "33"
/* Clients compare it byte for byte. */
#define TYPE_AGGREGATED(version)                                                                             \
    "application/json;g=apidiscovery.k8s.io;v=" version ";as=APIGroupDiscoveryList"

/* Newer clients ask for /api and /apis with everything below them in one document ("aggregated"), in one of
 * two versions that differ in their name only. */
enum aggregated { AGGREGATED_V2, AGGREGATED_V2BETA1, AGGREGATED_COUNT };

struct documents {
    struct buf api;                    /* /api */
    struct buf core;                   /* /api/v1 */
    struct buf apis;                   /* /apis */
    struct buf groups[GROUP_COUNT];    /* /apis/projectcalico.org … */
    struct buf resources[GROUP_COUNT]; /* /apis/projectcalico.org/v3 … */
    struct buf version;                /* /version */
    struct buf all_api[AGGREGATED_COUNT];
    struct buf all_apis[AGGREGATED_COUNT];
};

static bool is_about(const struct route *route, const char *resource) {
    return route->resource != NULL && strcmp(route->resource, resource) == 0;
}

/* The verbs that the table has for a resource; none: it is not served. */
static void add_verbs(const char *resource, struct buf *out) {
    size_t count;
    const struct route *routes = routes_all(&count);
    buf_json_key(out, "verbs");
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (!is_about(&routes[i], resource)) {
            continue;
        }
        bool repeated = false; /* Secrets are listed on two paths */
        for (size_t before = 0; before < i; before++) {
            repeated = repeated || (is_about(&routes[before], resource) &&
                                    strcmp(routes[before].verb, routes[i].verb) == 0);
        }
        if (repeated) {
            continue;
        }
        buf_json_comma(out);
        buf_add_json_str(out, routes[i].verb);
        /* A list is watched on its own path. */
        if (strcmp(routes[i].verb, "list") == 0 && (routes[i].query & QUERY_SET(QUERY_WATCH)) != 0) {
            buf_add_str(out, ",\"watch\"");
        }
    }
    buf_add_char(out, ']');
}

static bool is_served(const char *resource) {
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (is_about(&routes[i], resource)) {
            return true;
        }
    }
    return false;
}

/* What is served like a resource but not stored as one. */
static const struct kind_info OTHERS[] = {
    {.name = "Namespace",
     .plural = "namespaces",
     .singular = "namespace",
     .short_name = "ns",
     .group = "",
     .version = "v1"},
    {.name = "Session",
     .plural = "sessions",
     .singular = "session",
     .short_name = "bs",
     .group = "bgppeerd.io",
     .version = "v1"},
    {.name = "Transition",
     .plural = "transitions",
     .singular = "transition",
     .group = "bgppeerd.io",
     .version = "v1"},
    {.name = "Change", .plural = "changes", .singular = "change", .group = "bgppeerd.io", .version = "v1"},
};
#define OTHER_COUNT (sizeof(OTHERS) / sizeof(OTHERS[0]))

/* All that is served, in order; NULL behind the last. */
static const struct kind_info *resource_at(size_t index) {
    if (index < KIND_COUNT) {
        return kind_info((enum kind)index);
    }
    return index - KIND_COUNT < OTHER_COUNT ? &OTHERS[index - KIND_COUNT] : NULL;
}

/* verbs, shortNames, categories: the same in both forms. */
static void add_common(const struct kind_info *kind, struct buf *out) {
    add_verbs(kind->plural, out);
    if (kind->short_name != NULL) {
        buf_json_key(out, "shortNames");
        buf_add_char(out, '[');
        buf_add_json_str(out, kind->short_name);
        buf_add_char(out, ']');
    }
    if (kind->group[0] != '\0') {
        buf_json_key(out, "categories");
        buf_add_str(out, strcmp(kind->group, "projectcalico.org") == 0 ? "[\"all\",\"bgp\",\"calico\"]"
                                                                       : "[\"bgp\"]");
    }
}

static void add_resource(const struct kind_info *kind, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "name", kind->plural);
    buf_json_member_str(out, "singularName", kind->singular);
    buf_json_key(out, "namespaced");
    buf_add_str(out, kind->namespaced ? "true" : "false");
    buf_json_member_str(out, "kind", kind->name);
    add_common(kind, out);
    buf_add_char(out, '}');
}

static void add_aggregated_resource(const struct kind_info *kind, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "resource", kind->plural);
    buf_json_key(out, "responseKind");
    buf_add_char(out, '{');
    buf_json_member_str(out, "group", kind->group);
    buf_json_member_str(out, "version", kind->version);
    buf_json_member_str(out, "kind", kind->name);
    buf_add_char(out, '}');
    buf_json_member_str(out, "scope", kind->namespaced ? "Namespaced" : "Cluster");
    buf_json_member_str(out, "singularResource", kind->singular);
    add_common(kind, out);
    buf_add_char(out, '}');
}

static void add_aggregated_group(const char *group, const char *version, struct buf *out) {
    buf_json_comma(out);
    buf_add_str(out, "{\"metadata\":{");
    if (group[0] != '\0') {
        buf_json_member_str(out, "name", group);
        buf_add_char(out, ',');
    }
    buf_add_str(out, "\"creationTimestamp\":null},\"versions\":[{");
    buf_json_member_str(out, "version", version);
    buf_json_key(out, "resources");
    buf_add_char(out, '[');
    const struct kind_info *kind;
    for (size_t i = 0; (kind = resource_at(i)) != NULL; i++) {
        if (strcmp(kind->group, group) == 0 && is_served(kind->plural)) {
            add_aggregated_resource(kind, out);
        }
    }
    buf_add_char(out, ']');
    buf_json_member_str(out, "freshness", "Current");
    buf_add_str(out, "}]}");
}

static void begin_aggregated(enum aggregated form, struct buf *out) {
    buf_add_str(out, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/");
    buf_add_str(out, form == AGGREGATED_V2 ? "v2" : "v2beta1");
    buf_add_str(out, "\",\"metadata\":{},\"items\":[");
}

static void make_aggregated(enum aggregated form, struct documents *documents) {
    struct buf *api = &documents->all_api[form];
    struct buf *apis = &documents->all_apis[form];
    begin_aggregated(form, api);
    add_aggregated_group("", "v1", api);
    buf_add_str(api, "]}");
    begin_aggregated(form, apis);
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        add_aggregated_group(GROUPS[i].name, GROUPS[i].version, apis);
    }
    buf_add_str(apis, "]}");
}

static void add_group_version(const char *group, const char *version, struct buf *out) {
    buf_printf(out, group[0] == '\0' ? "\"groupVersion\":\"%s%s\"" : "\"groupVersion\":\"%s/%s\"", group,
               version);
}

static void make_resource_list(const char *group, const char *version, struct buf *out) {
    buf_add_str(out, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",");
    add_group_version(group, version, out);
    buf_json_key(out, "resources");
    buf_add_char(out, '[');
    const struct kind_info *kind;
    for (size_t i = 0; (kind = resource_at(i)) != NULL; i++) {
        if (strcmp(kind->group, group) == 0 && is_served(kind->plural)) {
            add_resource(kind, out);
        }
    }
    buf_add_str(out, "]}");
}

static void add_version(const struct api_group *group, struct buf *out) {
    buf_add_char(out, '{');
    add_group_version(group->name, group->version, out);
    buf_json_member_str(out, "version", group->version);
    buf_add_char(out, '}');
}

/* The members that an APIGroup has alone and inside an APIGroupList. */
static void add_group(const struct api_group *group, struct buf *out) {
    buf_json_member_str(out, "name", group->name);
    buf_json_key(out, "versions");
    buf_add_char(out, '[');
    add_version(group, out);
    buf_add_char(out, ']');
    buf_json_key(out, "preferredVersion");
    add_version(group, out);
}

/* Some clients want every member that Kubernetes has. */
static void make_version(const char *version, struct buf *out) {
    buf_add_str(out, "{\"major\":\"" KUBERNETES_MAJOR "\",\"minor\":\"" KUBERNETES_MINOR "\"");
    buf_json_key(out, "gitVersion");
    char text[128];
    snprintf(text, sizeof(text), "v" KUBERNETES_MAJOR "." KUBERNETES_MINOR ".0+bgppeerd-%.64s", version);
    buf_add_json_str(out, text);
    buf_json_member_str(out, "bgppeerd", version);
    buf_add_str(out, ",\"gitCommit\":\"\",\"gitTreeState\":\"\",\"buildDate\":\"\",\"goVersion\":\"\","
                     "\"compiler\":\"" __VERSION__ "\",\"platform\":\"linux\"}");
}

/* Every document, for what is done with all of them. */
static size_t list_all(struct documents *documents, struct buf *ret[]) {
    size_t count = 0;
    ret[count++] = &documents->api;
    ret[count++] = &documents->core;
    ret[count++] = &documents->apis;
    ret[count++] = &documents->version;
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        ret[count++] = &documents->groups[i];
        ret[count++] = &documents->resources[i];
    }
    for (int form = 0; form < AGGREGATED_COUNT; form++) {
        ret[count++] = &documents->all_api[form];
        ret[count++] = &documents->all_apis[form];
    }
    return count;
}
#define DOCUMENTS_COUNT (4 + 2 * GROUP_COUNT + 2 * AGGREGATED_COUNT)

static int make_all(struct documents *documents, const char *version, struct err *err) {
    buf_add_str(&documents->api,
                "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}");
    make_resource_list("", "v1", &documents->core);
    buf_add_str(&documents->apis, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        buf_json_comma(&documents->apis);
        buf_add_char(&documents->apis, '{');
        add_group(&GROUPS[i], &documents->apis);
        buf_add_char(&documents->apis, '}');
        buf_add_str(&documents->groups[i], "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"");
        add_group(&GROUPS[i], &documents->groups[i]);
        buf_add_char(&documents->groups[i], '}');
        make_resource_list(GROUPS[i].name, GROUPS[i].version, &documents->resources[i]);
    }
    buf_add_str(&documents->apis, "]}");
    make_version(version, &documents->version);
    for (int form = 0; form < AGGREGATED_COUNT; form++) {
        make_aggregated((enum aggregated)form, documents);
    }
    struct buf *all[DOCUMENTS_COUNT];
    size_t count = list_all(documents, all);
    for (size_t i = 0; i < count; i++) {
        if (buf_failed(all[i])) {
            return err_no_memory(err);
        }
    }
    return 0;
}

int documents_new(const char *version, struct documents **ret, struct err *err) {
    struct documents *documents = base_calloc(1, sizeof(*documents));
    if (documents == NULL) {
        return err_no_memory(err);
    }
    *ret = documents;
    return make_all(documents, version, err);
}

void documents_free(struct documents *documents) {
    if (documents == NULL) {
        return;
    }
    struct buf *all[DOCUMENTS_COUNT];
    size_t count = list_all(documents, all);
    for (size_t i = 0; i < count; i++) {
        buf_done(all[i]);
    }
    free(documents);
}

/* The path's documents: plain, and aggregated ones where there are. */
static const struct buf *find_document(const struct request *request, const struct buf **ret_aggregated) {
    const struct documents *documents = request->serving->documents;
    const char *path = request->route->path;
    const struct {
        const char *path;
        const struct buf *plain;
        const struct buf *aggregated;
    } table[] = {
        {"/api", &documents->api, documents->all_api},
        {"/api/v1", &documents->core, NULL},
        {"/apis", &documents->apis, documents->all_apis},
        {"/version", &documents->version, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(path, table[i].path) == 0) {
            *ret_aggregated = table[i].aggregated;
            return table[i].plain;
        }
    }
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (strcmp(path, GROUPS[i].path) == 0) {
            return &documents->groups[i];
        }
        if (strcmp(path, GROUPS[i].version_path) == 0) {
            return &documents->resources[i];
        }
    }
    return NULL;
}

int handle_discovery(struct request *request, struct err *err) {
    const struct buf *aggregated = NULL;
    const struct buf *document = find_document(request, &aggregated);
    const char *type = TYPE_JSON;
    if (document == NULL) {
        return err_set(err, ERR_INTERNAL, "no discovery document for %s", request->route->path);
    }
    enum media_discovery wanted =
        aggregated != NULL ? media_discovery(request_header(request, HEADER_ACCEPT)) : MEDIA_DISCOVERY_PLAIN;
    if (wanted == MEDIA_DISCOVERY_V2) {
        type = TYPE_AGGREGATED("v2");
        document = &aggregated[AGGREGATED_V2];
    } else if (wanted == MEDIA_DISCOVERY_V2BETA1) {
        type = TYPE_AGGREGATED("v2beta1");
        document = &aggregated[AGGREGATED_V2BETA1];
    }
    return reply_static(request, STATUS_OK, type, document->data, document->len, err);
}
