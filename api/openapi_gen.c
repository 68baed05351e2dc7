/*
 * Build-time program: writes the OpenAPI document from openapi-skeleton.json and the kinds' field tables,
 * so that the schemas of the resources are written down once, in service/model.
 *
 *     openapi-gen yaml|json|c|v2|v3|v3-core [SKELETON]
 *
 * In the skeleton, whatever has %Kind% or %plural% in its key (or, for an item of an array, in one of its
 * strings) is repeated for each kind that is served; the other %words% stand for what the kind says of
 * itself. `c` gives a C file with all documents that the service answers with (service/http/admin/openapi.h);
 * v2, v3 and v3-core show those for Kubernetes' clients, as JSON.
 *
 * A build step has one way to fail: say why and exit 1. Memory belongs to jansson; the document is released
 * at the end, so that the program is clean under the leak checker like everything else.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/random.h"
#include "codec.h"
#include "gen.h"
#include "model/object.h"
#include "yaml_writer.h"

#define SKELETON "api/openapi-skeleton.json"

/* In the order of the document. tests/unit/http_openapi_test.c holds it to the route table. */
static const enum kind SERVED[] = {KIND_BGPPEER, KIND_NODE, KIND_BGPCONFIGURATION, KIND_BGPFILTER,
                                   KIND_SECRET};
#define SERVED_COUNT (sizeof(SERVED) / sizeof(SERVED[0]))

/* ---- templates ---- */

static bool is_template(const char *text) {
    return strstr(text, "%Kind%") != NULL || strstr(text, "%plural%") != NULL;
}

static void replace_words(const char *text, const struct kind_info *kind, struct buf *out) {
    const struct {
        const char *word;
        const char *value;
    } words[] = {
        {"%Kind%", kind->name},
        {"%plural%", kind->plural},
        {"%description%", kind->body->description},
        {"%group%", kind->group},
        {"%version%", kind->version},
        {"%apiVersion%", kind->api_version},
        {"%base%", kind->namespaced ? "/api/v1/namespaces/{namespace}" : "/apis/projectcalico.org/v3"},
        {"%patch%", kind->namespaced ? "SecretPatch" : "Patch"},
    };
    while (*text != '\0') {
        size_t i = 0;
        while (i < sizeof(words) / sizeof(words[0]) &&
               strncmp(text, words[i].word, strlen(words[i].word)) != 0) {
            i++;
        }
        if (i < sizeof(words) / sizeof(words[0])) {
            buf_add_str(out, words[i].value);
            text += strlen(words[i].word);
        } else {
            buf_add_char(out, *text++);
        }
    }
    if (buf_failed(out)) {
        die("out of memory");
    }
}

static json_t *expand(json_t *value, const struct kind_info *kind);

static void expand_member(json_t *object, const char *key, json_t *value, const struct kind_info *kind) {
    struct buf name = BUF_INIT;
    replace_words(key, kind, &name);
    set_new(object, name.data, expand(value, kind));
    buf_done(&name);
}

static json_t *expand_object(json_t *object, const struct kind_info *kind) {
    json_t *result = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (kind != NULL) {
            expand_member(result, key, value, kind);
        } else if (is_template(key)) {
            for (size_t i = 0; i < SERVED_COUNT; i++) {
                expand_member(result, key, value, kind_info(SERVED[i]));
            }
        } else {
            set_new(result, key, expand(value, NULL));
        }
    }
    return result;
}

static bool has_template_string(json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (json_is_string(value) && is_template(json_string_value(value))) {
            return true;
        }
    }
    return false;
}

static json_t *expand_array(json_t *array, const struct kind_info *kind) {
    json_t *result = json_array();
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value) {
        if (kind == NULL && has_template_string(value)) {
            for (size_t i = 0; i < SERVED_COUNT; i++) {
                append_new(result, expand(value, kind_info(SERVED[i])));
            }
        } else {
            append_new(result, expand(value, kind));
        }
    }
    return result;
}

/* A copy of `value` with the templates in it expanded; `kind` NULL: outside of any template. */
static json_t *expand(json_t *value, const struct kind_info *kind) {
    json_t *copy = NULL;
    if (json_is_object(value)) {
        copy = expand_object(value, kind);
    } else if (json_is_array(value)) {
        copy = expand_array(value, kind);
    } else if (json_is_string(value) && kind != NULL) {
        struct buf text = BUF_INIT;
        replace_words(json_string_value(value), kind, &text);
        copy = json_string(text.data != NULL ? text.data : "");
        buf_done(&text);
    } else {
        copy = json_deep_copy(value);
    }
    if (copy == NULL) {
        die("out of memory");
    }
    return copy;
}

/* ---- schemas from the field tables ---- */

static json_t *enumerate_one(const char *value, const char *description) {
    return json_pack("{s:s, s:[s], s:s}", "type", "string", "enum", value, "description", description);
}

static void add_kind(json_t *components, const struct kind_info *kind) {
    json_t *body = table_schema(kind->body);
    json_t *properties = json_object();
    set_new(properties, "apiVersion", enumerate_one(kind->api_version, "Group and version."));
    set_new(properties, "kind", enumerate_one(kind->name, "The kind of this resource."));
    set_new(properties, "metadata",
            json_pack("{s:s, s:s}", "$ref", REF_PREFIX "ObjectMeta", "description",
                      "The object's name, labels and annotations, and what the service keeps about it."));
    if (json_object_update(properties, json_object_get(body, "properties")) != 0) {
        die("the schema of %s has no properties", kind->name);
    }
    set_new(body, "properties", properties);
    set_new(
        body, "x-kubernetes-group-version-kind",
        json_pack("[{s:s, s:s, s:s}]", "group", kind->group, "version", kind->version, "kind", kind->name));
    set_new(components, kind->name, body);
}

/* Each {word} of a path is one of the parameters, in the path's order. */
static void declare_path_parameters(json_t *paths) {
    const char *path;
    json_t *item;
    json_object_foreach(paths, path, item) {
        json_t *declared = json_array();
        for (const char *word = strchr(path, '{'); word != NULL; word = strchr(word + 1, '{')) {
            json_t *parameter = json_object();
            set_new(parameter, "$ref",
                    json_sprintf("#/components/parameters/%.*s", (int)strcspn(word + 1, "}"), word + 1));
            append_new(declared, parameter);
        }
        if (json_array_size(declared) > 0) {
            set_new(item, "parameters", declared);
        } else {
            json_decref(declared);
        }
    }
}

/* Every "$ref" below `value` must lead somewhere. */
static void check_refs(json_t *document, json_t *value) {
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member) {
        if (strcmp(key, "$ref") != 0 || !json_is_string(member)) {
            check_refs(document, member);
            continue;
        }
        const char *ref = json_string_value(member);
        char part[128];
        json_t *at = document;
        const char *step = ref + strcspn(ref, "/");
        while (*step == '/' && at != NULL) {
            size_t len = strcspn(step + 1, "/");
            snprintf(part, sizeof(part), "%.*s", (int)len, step + 1);
            at = json_object_get(at, part);
            step += 1 + len;
        }
        if (at == NULL) {
            die("nothing is at %s", ref);
        }
    }
    size_t index;
    json_array_foreach(value, index, member) {
        check_refs(document, member);
    }
}

static json_t *build_document(const char *path) {
    json_error_t where;
    json_t *skeleton = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (skeleton == NULL) {
        die("%s:%d: %s", path, where.line, where.text);
    }
    json_t *document = expand(skeleton, NULL);
    json_decref(skeleton);
    json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
    if (!json_is_object(schemas)) {
        die("%s has no components.schemas", path);
    }
    for (size_t i = 0; i < SERVED_COUNT; i++) {
        add_kind(schemas, kind_info(SERVED[i]));
    }
    declare_path_parameters(json_object_get(document, "paths"));
    check_refs(document, document);
    return document;
}

/* ---- output ---- */

static void write_literal(const char *bytes, size_t len, FILE *out) {
    for (size_t i = 0; i < len; i++) {
        if (i % 100 == 0) {
            fputs(i == 0 ? "\n    \"" : "\"\n    \"", out);
        }
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < ' ' || c >= 0x7f || c == '?') {
            fprintf(out, "\\%03o", c); /* '?' as well: two of them may begin a trigraph */
        } else {
            fputc(c, out);
        }
    }
    fputs(len == 0 ? " \"\"" : "\"", out);
}

/* One member of the array of documents; `digest` receives its content's. */
static void write_document(const char *index, const char *bytes, size_t len, char digest[DIGEST_TEXT_MAX],
                           FILE *out) {
    digest_hex(bytes, len, digest);
    fprintf(out, "    [%s] = {.len = %zu, .hash = \"%s\", .bytes =", index, len, digest);
    write_literal(bytes, len, out);
    fputs("},\n", out);
}

static void write_json(const char *index, json_t *document, char digest[DIGEST_TEXT_MAX], FILE *out) {
    char *text = json_dumps(document, JSON_COMPACT);
    if (text == NULL) {
        die("out of memory");
    }
    write_document(index, text, strlen(text), digest, out);
    free(text);
}

/* The index of the parts, each with its content's digest in its URL. */
static json_t *make_index(const char *core, const char *calico) {
    json_t *index =
        json_pack("{s:{s:{s:o}, s:{s:o}}}", "paths", "api/v1", "serverRelativeURL",
                  json_sprintf("/openapi/v3/api/v1?hash=%s", core), "apis/projectcalico.org/v3",
                  "serverRelativeURL", json_sprintf("/openapi/v3/apis/projectcalico.org/v3?hash=%s", calico));
    if (index == NULL) {
        die("out of memory");
    }
    return index;
}

static void write_c(json_t *document, FILE *out) {
    char digest[DIGEST_TEXT_MAX];
    char core_digest[DIGEST_TEXT_MAX];
    char calico_digest[DIGEST_TEXT_MAX];
    struct buf protobuf = BUF_INIT;
    json_t *v2 = kubernetes_v2(document);
    json_t *core = kubernetes_v3(document, "/api/v1");
    json_t *calico = kubernetes_v3(document, "/apis/projectcalico.org/v3");
    gnostic_encode(v2, &protobuf);
    fputs("/* Generated by api/openapi_gen.c. */\n#include \"admin/openapi.h\"\n\n"
          "const struct openapi_document openapi_documents[OPENAPI_COUNT] = {\n",
          out);
    write_json("OPENAPI_OWN", document, digest, out);
    write_json("OPENAPI_V2", v2, digest, out);
    write_document("OPENAPI_V2_PROTOBUF", protobuf.data, protobuf.len, digest, out);
    write_json("OPENAPI_V3_CORE", core, core_digest, out);
    write_json("OPENAPI_V3_CALICO", calico, calico_digest, out);
    json_t *index = make_index(core_digest, calico_digest);
    write_json("OPENAPI_V3_INDEX", index, digest, out);
    fputs("};\n", out);
    json_decref(index);
    json_decref(calico);
    json_decref(core);
    json_decref(v2);
    buf_done(&protobuf);
}

/* Owned by the caller; NULL: not a form that is JSON. */
static json_t *json_form(const char *form, json_t *document) {
    if (strcmp(form, "json") == 0) {
        return json_incref(document);
    }
    if (strcmp(form, "v2") == 0) {
        return kubernetes_v2(document);
    }
    if (strcmp(form, "v3") == 0) {
        return kubernetes_v3(document, "/apis/projectcalico.org/v3");
    }
    return strcmp(form, "v3-core") == 0 ? kubernetes_v3(document, "/api/v1") : NULL;
}

int main(int argc, char **argv) {
    static const char *const forms[] = {"yaml", "json", "c", "v2", "v3", "v3-core"};
    const char *form = argc >= 2 ? argv[1] : "";
    bool known = false;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        known = known || strcmp(form, forms[i]) == 0;
    }
    if (argc > 3 || !known) {
        die("usage: openapi-gen yaml|json|c|v2|v3|v3-core [SKELETON]");
    }
    json_t *document = build_document(argc == 3 ? argv[2] : SKELETON);
    json_t *shown = json_form(form, document);
    if (strcmp(form, "yaml") == 0) {
        fputs("# Generated by `make openapi` from openapi-skeleton.json and the field tables in "
              "service/model.\n",
              stdout);
        yaml_write(document, stdout);
    } else if (strcmp(form, "c") == 0) {
        write_c(document, stdout);
    } else if (json_dumpf(shown, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF) {
        die("cannot write the output");
    }
    json_decref(shown);
    json_decref(document);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        die("cannot write the output");
    }
    return 0;
}
