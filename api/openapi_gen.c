/*
 * Build-time program: writes the OpenAPI document from openapi-skeleton.json and the kinds' field tables,
 * so that the schemas of the resources are written down once, in service/model.
 *
 *     openapi-gen yaml|json|c [SKELETON]
 *
 * In the skeleton, whatever has %Kind%, %plural% or %description% in its key (or, for an item of an array,
 * in one of its strings) is repeated for each kind that is served. `c` gives a C file with the JSON text as
 * openapi_json, which the service answers /openapi.json with.
 *
 * A build step has one way to fail: say why and exit 1. Memory belongs to jansson; the document is released
 * at the end, so that the program is clean under the leak checker like everything else.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec.h"
#include "model/object.h"
#include "yaml_writer.h"

#define SKELETON   "api/openapi-skeleton.json"
#define REF_PREFIX "#/components/schemas/"

/* In the order of the document. tests/unit/openapi_test.c holds it to the route table. */
static const enum kind SERVED[] = {KIND_BGPPEER, KIND_NODE, KIND_BGPCONFIGURATION, KIND_BGPFILTER};
#define SERVED_COUNT (sizeof(SERVED) / sizeof(SERVED[0]))

static _Noreturn void die(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void die(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("openapi-gen: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- templates ---- */

static void set_new(json_t *object, const char *key, json_t *value) {
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        die("out of memory");
    }
}

static void append_new(json_t *array, json_t *value) {
    if (value == NULL || json_array_append_new(array, value) != 0) {
        die("out of memory");
    }
}

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

static json_t *table_schema(const struct schema *schema) {
    struct buf text = BUF_INIT;
    codec_schema(schema, &text);
    json_error_t where;
    json_t *result =
        buf_failed(&text) ? NULL : json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &where);
    if (result == NULL) {
        die("the schema of %s cannot be read back as JSON: %s", schema->name,
            buf_failed(&text) ? "out of memory" : where.text);
    }
    buf_done(&text);
    return result;
}

static json_t *enumerate_one(const char *value, const char *description) {
    return json_pack("{s:s, s:[s], s:s}", "type", "string", "enum", value, "description", description);
}

static void add_kind(json_t *components, const struct kind_info *kind) {
    json_t *body = table_schema(kind->body);
    json_t *properties = json_object();
    set_new(properties, "apiVersion", enumerate_one(kind->api_version, "Group and version."));
    set_new(properties, "kind", enumerate_one(kind->name, "The kind of this resource."));
    set_new(properties, "metadata", json_pack("{s:s}", "$ref", REF_PREFIX "ObjectMeta"));
    if (json_object_update(properties, json_object_get(body, "properties")) != 0) {
        die("the schema of %s has no properties", kind->name);
    }
    set_new(body, "properties", properties);
    set_new(
        body, "x-kubernetes-group-version-kind",
        json_pack("[{s:s, s:s, s:s}]", "group", kind->group, "version", kind->version, "kind", kind->name));
    set_new(components, kind->name, body);
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
    check_refs(document, document);
    return document;
}

/* ---- output ---- */

static void write_c(const char *text, FILE *out) {
    fputs("/* Generated by api/openapi_gen.c: the OpenAPI document, which /openapi.json answers with. */\n"
          "#include <stddef.h>\n\n"
          "extern const char openapi_json[];\n"
          "extern const size_t openapi_json_len;\n\n"
          "const char openapi_json[] =",
          out);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i % 100 == 0) {
            fputs(i == 0 ? "\n    \"" : "\"\n    \"", out);
        }
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < ' ' || c >= 0x7f || c == '?') {
            fprintf(out, "\\%03o", c); /* '?' as well: two of them may begin a trigraph */
        } else {
            fputc(c, out);
        }
    }
    fputs("\";\n\nconst size_t openapi_json_len = sizeof(openapi_json) - 1;\n", out);
}

int main(int argc, char **argv) {
    const char *form = argc >= 2 ? argv[1] : "";
    if (argc > 3 || (strcmp(form, "yaml") != 0 && strcmp(form, "json") != 0 && strcmp(form, "c") != 0)) {
        die("usage: openapi-gen yaml|json|c [SKELETON]");
    }
    json_t *document = build_document(argc == 3 ? argv[2] : SKELETON);
    if (strcmp(form, "yaml") == 0) {
        fputs("# Generated by `make openapi` from openapi-skeleton.json and the field tables in "
              "service/model.\n",
              stdout);
        yaml_write(document, stdout);
    } else {
        char *text = json_dumps(document, JSON_COMPACT);
        if (text == NULL) {
            die("out of memory");
        }
        if (strcmp(form, "json") == 0) {
            puts(text);
        } else {
            write_c(text, stdout);
        }
        free(text);
    }
    json_decref(document);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        die("cannot write the output");
    }
    return 0;
}
