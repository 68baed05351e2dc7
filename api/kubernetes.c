/*
 * The description as Kubernetes' clients read it, made from our own document: OpenAPI 3.0 for one group and
 * version (kubectl from 1.27 on), and OpenAPI 2 for all of them (before that). They differ from ours in what
 * those clients rely on: parameters stand in place, schemas have Kubernetes' names, metadata knows every
 * member that clients send, and a value that may be a number or a text is Kubernetes' IntOrString.
 *
 * Values belong to jansson; whatever goes wrong ends the program.
 */
#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "gen.h"
#include "model/object.h"

#define REF_V2        "#/definitions/"
#define NAME_MAX_LEN  160
#define META          "io.k8s.apimachinery.pkg.apis.meta.v1."
#define INT_OR_STRING "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

enum form { OPENAPI_2, OPENAPI_3 };

/* ---- schemas ---- */

/* What Kubernetes' own document would call a schema: some clients look for these names. */
static void kubernetes_name(const char *name, char out[NAME_MAX_LEN]) {
    static const char *const metas[] = {"ObjectMeta",    "ListMeta", "Status",
                                        "DeleteOptions", "Table",    "WatchEvent"};
    char kind[NAME_MAX_LEN];
    snprintf(kind, sizeof(kind), "%s", name);
    size_t len = strlen(kind);
    if (len > 4 && strcmp(kind + len - 4, "List") == 0) {
        kind[len - 4] = '\0';
    }
    const struct kind_info *info = kind_by_name(kind);
    for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
        if (strcmp(name, metas[i]) == 0) {
            snprintf(out, NAME_MAX_LEN, META "%s", name);
            return;
        }
    }
    if (strcmp(name, INT_OR_STRING) == 0) {
        snprintf(out, NAME_MAX_LEN, "%s", name);
    } else if (strcmp(kind, "Namespace") == 0 || (info != NULL && info->group[0] == '\0')) {
        snprintf(out, NAME_MAX_LEN, "io.k8s.api.core.v1.%s", name);
    } else if (info != NULL) {
        snprintf(out, NAME_MAX_LEN, "org.projectcalico.%s.%s", info->version, name);
    } else {
        snprintf(out, NAME_MAX_LEN, "io.bgppeerd.v1.%s", name);
    }
}

static json_t *reference(const char *name, enum form form) {
    char full[NAME_MAX_LEN];
    kubernetes_name(name, full);
    return json_sprintf("%s%s", form == OPENAPI_2 ? REF_V2 : REF_PREFIX, full);
}

/* A reference with a description of its own place: OpenAPI 3.0 takes nothing beside "$ref". */
static json_t *reference_schema(const char *name, json_t *description, enum form form) {
    json_t *result = json_object();
    if (form == OPENAPI_3 && description != NULL) {
        json_t *all = json_array();
        json_t *inner = json_object();
        set_new(inner, "$ref", reference(name, form));
        append_new(all, inner);
        set_new(result, "allOf", all);
    } else {
        set_new(result, "$ref", reference(name, form));
    }
    if (description != NULL) {
        set_new(result, "description", json_incref(description));
    }
    return result;
}

/* What only newer versions of JSON Schema have, or OpenAPI 2 has not. */
static bool is_left_out(const char *key, const json_t *value, enum form form) {
    static const char *const newer[] = {"examples", "const", "$comment"};
    static const char *const not_in_2[] = {"anyOf", "oneOf", "allOf", "nullable", "not"};
    for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
        if (strcmp(key, newer[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; form == OPENAPI_2 && i < sizeof(not_in_2) / sizeof(not_in_2[0]); i++) {
        if (strcmp(key, not_in_2[i]) == 0) {
            return true;
        }
    }
    /* Servers of Kubernetes never say it, and clients take it for a map. */
    return strcmp(key, "additionalProperties") == 0 && !json_is_object(value);
}

static json_t *convert(json_t *schema, enum form form);

/* `properties`: a map of schemas, whose keys are no keywords. */
static json_t *convert_map(json_t *map, enum form form) {
    json_t *result = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        set_new(result, key, convert(value, form));
    }
    return result;
}

static json_t *convert_array(json_t *array, enum form form) {
    json_t *result = json_array();
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value) {
        append_new(result, convert(value, form));
    }
    return result;
}

static json_t *convert(json_t *schema, enum form form) {
    if (json_is_array(schema)) {
        return convert_array(schema, form);
    }
    if (!json_is_object(schema)) {
        return json_is_boolean(schema) ? json_object() : json_incref(schema);
    }
    json_t *description = json_object_get(schema, "description");
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref != NULL) {
        return reference_schema(ref + strlen(REF_PREFIX), description, form);
    }
    if (json_is_true(json_object_get(schema, "x-kubernetes-int-or-string"))) {
        return reference_schema(INT_OR_STRING, description, form);
    }
    json_t *result = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(schema, key, value) {
        if (is_left_out(key, value, form)) {
            continue;
        }
        bool is_map = strcmp(key, "properties") == 0;
        bool is_schema = strcmp(key, "items") == 0 || strcmp(key, "additionalProperties") == 0 ||
                         strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0 || strcmp(key, "allOf") == 0;
        set_new(result, key,
                is_map      ? convert_map(value, form)
                : is_schema ? convert(value, form)
                            : json_incref(value));
    }
    return result;
}

static json_t *int_or_string(enum form form) {
    const char *description = "An AS number: an integer, or a text such as \"64512\" or \"1.10\".";
    if (form == OPENAPI_2) {
        return json_pack("{s:s, s:s, s:s}", "description", description, "type", "string", "format",
                         "int-or-string");
    }
    return json_pack("{s:s, s:s, s:[{s:s}, {s:s}]}", "description", description, "format", "int-or-string",
                     "oneOf", "type", "integer", "type", "string");
}

/* Clients check what they send against this, so it has everything that is accepted, as metadata's own
 * field table says it. */
static json_t *object_meta(enum form form) {
    json_t *schema = table_schema(codec_meta_schema());
    json_t *result = convert(schema, form);
    set_new(result, "description",
            json_string("The object's name, labels and annotations, and what the service keeps about it."));
    json_decref(schema);
    return result;
}

/* A list as clients send it: a file of the kind BGPPeerList is applied by its items, and has no metadata. */
static bool is_kind_list(const char *name) {
    size_t len = strlen(name);
    char kind[NAME_MAX_LEN];
    if (len < 4 || strcmp(name + len - 4, "List") != 0) {
        return false;
    }
    snprintf(kind, sizeof(kind), "%.*s", (int)len - 4, name);
    return kind_by_name(kind) != NULL;
}

static json_t *schema_by_name(json_t *document, const char *name, enum form form) {
    if (strcmp(name, INT_OR_STRING) == 0) {
        return int_or_string(form);
    }
    if (strcmp(name, "ObjectMeta") == 0) {
        return object_meta(form);
    }
    json_t *schema =
        json_object_get(json_object_get(json_object_get(document, "components"), "schemas"), name);
    if (schema == NULL) {
        die("there is no schema %s", name);
    }
    json_t *result = convert(schema, form);
    if (is_kind_list(name)) {
        set_new(result, "required", json_pack("[s]", "items"));
    }
    return result;
}

/* Is it what a reference below `value` leads to? */
static bool is_referred_to(json_t *value, const char *ref) {
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member) {
        bool same =
            strcmp(key, "$ref") == 0 && json_is_string(member) && strcmp(json_string_value(member), ref) == 0;
        if (same || is_referred_to(member, ref)) {
            return true;
        }
    }
    size_t index;
    json_array_foreach(value, index, member) {
        if (is_referred_to(member, ref)) {
            return true;
        }
    }
    return false;
}

/* All schemas that `paths` and they themselves refer to, by Kubernetes' names. */
static json_t *referred_schemas(json_t *document, json_t *paths, enum form form) {
    json_t *result = json_object();
    json_t *names = json_object(); /* as a set */
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(json_object_get(document, "components"), "schemas"), name, value) {
        set_new(names, name, json_null());
    }
    set_new(names, INT_OR_STRING, json_null());
    for (bool more = true; more;) {
        more = false;
        json_object_foreach(names, name, value) {
            char full[NAME_MAX_LEN];
            kubernetes_name(name, full);
            json_t *ref = reference(name, form);
            bool wanted =
                json_object_get(result, full) == NULL && (is_referred_to(paths, json_string_value(ref)) ||
                                                          is_referred_to(result, json_string_value(ref)));
            json_decref(ref);
            if (wanted) {
                set_new(result, full, schema_by_name(document, name, form));
                more = true;
            }
        }
    }
    json_decref(names);
    return result;
}

/* ---- paths ---- */

/* `value`, or what its "$ref" leads to: borrowed. */
static json_t *follow(json_t *document, json_t *value) {
    const char *ref = json_string_value(json_object_get(value, "$ref"));
    if (ref == NULL) {
        return value;
    }
    json_t *at = document;
    const char *step = ref + strcspn(ref, "/");
    while (*step == '/' && at != NULL) {
        char part[NAME_MAX_LEN];
        size_t len = strcspn(step + 1, "/");
        snprintf(part, sizeof(part), "%.*s", (int)len, step + 1);
        at = json_object_get(at, part);
        step += 1 + len;
    }
    if (at == NULL) {
        die("nothing is at %s", ref);
    }
    return at;
}

static json_t *convert_parameter(json_t *parameter, enum form form) {
    json_t *result = json_object();
    json_t *schema = json_object_get(parameter, "schema");
    const char *key;
    json_t *value;
    json_object_foreach(parameter, key, value) {
        if (strcmp(key, "schema") != 0) {
            set_new(result, key, json_incref(value));
        }
    }
    if (form == OPENAPI_3) {
        set_new(result, "schema", convert(schema, form));
        return result;
    }
    set_new(result, "type", json_incref(json_object_get(schema, "type")));
    if (json_object_get(schema, "enum") != NULL) {
        set_new(result, "enum", json_incref(json_object_get(schema, "enum")));
    }
    return result;
}

static json_t *convert_parameters(json_t *document, json_t *parameters, enum form form) {
    json_t *result = json_array();
    size_t index;
    json_t *value;
    json_array_foreach(parameters, index, value) {
        append_new(result, convert_parameter(follow(document, value), form));
    }
    return result;
}

/* `content` of a body or an answer: media types with their schemas. */
static json_t *convert_content(json_t *content) {
    json_t *result = json_object();
    const char *type;
    json_t *value;
    json_object_foreach(content, type, value) {
        json_t *one = json_object();
        set_new(one, "schema", convert(json_object_get(value, "schema"), OPENAPI_3));
        set_new(result, type, one);
    }
    return result;
}

/* The schema of the JSON among the media types, in OpenAPI 2's form; NULL: there is none. */
static json_t *json_schema_v2(json_t *content) {
    json_t *schema = json_object_get(json_object_get(content, "application/json"), "schema");
    return schema != NULL ? convert(schema, OPENAPI_2) : NULL;
}

static json_t *convert_responses(json_t *document, json_t *responses, enum form form) {
    json_t *result = json_object();
    const char *code;
    json_t *value;
    json_object_foreach(responses, code, value) {
        json_t *response = follow(document, value);
        json_t *content = json_object_get(response, "content");
        json_t *one = json_object();
        set_new(one, "description", json_incref(json_object_get(response, "description")));
        if (form == OPENAPI_3 && content != NULL) {
            set_new(one, "content", convert_content(content));
        } else if (form == OPENAPI_2 && json_object_get(content, "application/json") != NULL) {
            set_new(one, "schema", json_schema_v2(content));
        }
        set_new(result, code, one);
    }
    return result;
}

static void convert_body(json_t *document, json_t *operation, json_t *result, enum form form) {
    json_t *given = json_object_get(operation, "requestBody");
    if (given == NULL) {
        return;
    }
    json_t *body = follow(document, given);
    json_t *content = json_object_get(body, "content");
    bool required = json_is_true(json_object_get(body, "required"));
    if (form == OPENAPI_3) {
        json_t *one = json_object();
        set_new(one, "content", convert_content(content));
        set_new(one, "required", json_boolean(required));
        set_new(result, "requestBody", one);
        return;
    }
    json_t *consumes = json_array();
    const char *type;
    json_t *value;
    json_object_foreach(content, type, value) {
        append_new(consumes, json_string(type));
    }
    set_new(result, "consumes", consumes);
    json_t *schema = json_schema_v2(content);
    json_t *parameter =
        json_pack("{s:s, s:s, s:b, s:o}", "name", "body", "in", "body", "required", (int)required, "schema",
                  schema != NULL ? schema : json_pack("{s:s}", "type", "object"));
    append_new(json_object_get(result, "parameters"), parameter);
}

static json_t *convert_operation(json_t *document, json_t *operation, enum form form) {
    json_t *result = json_object();
    const char *key;
    json_t *value;
    set_new(result, "tags", json_incref(json_object_get(operation, "tags")));
    set_new(result, "description", json_incref(json_object_get(operation, "summary")));
    set_new(result, "operationId", json_incref(json_object_get(operation, "operationId")));
    set_new(result, "parameters",
            convert_parameters(document, json_object_get(operation, "parameters"), form));
    convert_body(document, operation, result, form);
    if (form == OPENAPI_2) {
        set_new(result, "produces", json_pack("[s]", "application/json"));
    }
    set_new(result, "responses", convert_responses(document, json_object_get(operation, "responses"), form));
    json_object_foreach(operation, key, value) {
        if (strncmp(key, "x-", 2) == 0) {
            set_new(result, key, json_incref(value));
        }
    }
    return result;
}

static void add_paths(json_t *document, const char *prefix, enum form form, json_t *paths) {
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(document, "paths"), path, item) {
        if (strncmp(path, prefix, strlen(prefix)) != 0 || path[strlen(prefix)] != '/') {
            continue;
        }
        json_t *result = json_object();
        const char *key;
        json_t *value;
        json_object_foreach(item, key, value) {
            set_new(result, key,
                    strcmp(key, "parameters") == 0 ? convert_parameters(document, value, form)
                                                   : convert_operation(document, value, form));
        }
        set_new(paths, path, result);
    }
}

static json_t *convert_info(json_t *document) {
    json_t *info = json_object_get(document, "info");
    return json_pack("{s:O, s:O}", "title", json_object_get(info, "title"), "version",
                     json_object_get(info, "version"));
}

json_t *kubernetes_v3(json_t *document, const char *prefix) {
    json_t *result = json_object();
    json_t *paths = json_object();
    json_t *components = json_object();
    add_paths(document, prefix, OPENAPI_3, paths);
    set_new(components, "schemas", referred_schemas(document, paths, OPENAPI_3));
    set_new(result, "openapi", json_string("3.0.0"));
    set_new(result, "info", convert_info(document));
    set_new(result, "paths", paths);
    set_new(result, "components", components);
    return result;
}

json_t *kubernetes_v2(json_t *document) {
    json_t *result = json_object();
    json_t *paths = json_object();
    add_paths(document, "/api/v1", OPENAPI_2, paths);
    add_paths(document, "/apis/projectcalico.org/v3", OPENAPI_2, paths);
    json_t *definitions = referred_schemas(document, paths, OPENAPI_2);
    set_new(result, "swagger", json_string("2.0"));
    set_new(result, "info", convert_info(document));
    set_new(result, "paths", paths);
    set_new(result, "definitions", definitions);
    return result;
}
