/*
 * A field table as JSON Schema, in the words that OpenAPI 3.0 and 3.1 share. Nested structs stand in
 * place, so that one schema is complete by itself. Reads static tables; no locks.
 */
#include <string.h>

#include "codec_internal.h"

/* What Calico's type takes: decimal, or two 16-bit numbers with a dot. */
#define ASN_PATTERN "^[0-9]+(\\\\.[0-9]+)?$"
#define ASN_SCHEMA                                                                                           \
    "\"x-kubernetes-int-or-string\":true,"                                                                   \
    "\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"                                \
    "{\"type\":\"string\",\"pattern\":\"" ASN_PATTERN "\"}]"

static void write_schema(const struct schema *schema, const char *description, const char *default_text,
                         struct buf *out);

static void member_text(struct buf *out, const char *name, const char *json) {
    buf_json_key(out, name);
    buf_add_str(out, json);
}

/* type, format, pattern, length: of a string or of the strings in a list. */
static void write_text_rules(const struct field *field, struct buf *out) {
    buf_json_member_str(out, "type", "string");
    if (field->format) {
        buf_json_member_str(out, "format", field->format->schema_format);
        buf_json_member_str(out, "pattern", field->format->schema_pattern);
    }
    if (field->max_length > 0) {
        buf_json_member_u64(out, "maxLength", field->max_length);
    }
}

static void write_integer_rules(const struct field *field, struct buf *out) {
    buf_json_member_str(out, "type", "integer");
    if (field->min != 0 || field->max != 0) {
        buf_json_key(out, "minimum");
        buf_add_i64(out, field->min);
        buf_json_key(out, "maximum");
        buf_add_i64(out, field->max);
    }
}

static void write_enum_rules(const struct field *field, struct buf *out) {
    buf_json_member_str(out, "type", "string");
    buf_json_key(out, "enum");
    buf_add_char(out, '[');
    for (const char *const *value = field->values; value && *value; value++) {
        buf_json_comma(out);
        buf_add_json_str(out, *value);
    }
    if (field->allow_empty) {
        buf_json_comma(out);
        buf_add_str(out, "\"\"");
    }
    buf_add_char(out, ']');
}

static void write_array_rules(const struct field *field, struct buf *out) {
    buf_json_member_str(out, "type", "array");
    buf_json_key(out, "items");
    if (field->type == FIELD_OBJECT_LIST) {
        write_schema(field->schema, NULL, NULL, out);
    } else {
        buf_add_char(out, '{');
        if (field->type == FIELD_ASN_LIST) {
            buf_add_str(out, ASN_SCHEMA);
        } else {
            write_text_rules(field, out);
        }
        buf_add_char(out, '}');
    }
    if (field->min_items > 0 && !field->allow_empty) {
        buf_json_member_u64(out, "minItems", field->min_items);
    }
    if (field->max_items > 0) {
        buf_json_member_u64(out, "maxItems", field->max_items);
    }
}

static void write_rules(const struct field *field, struct buf *out) {
    switch (field->type) {
    case FIELD_STRING:
        write_text_rules(field, out);
        break;
    case FIELD_DURATION:
        write_text_rules(field, out);
        break;
    case FIELD_BOOL:
        buf_json_member_str(out, "type", "boolean");
        break;
    case FIELD_INT:
        write_integer_rules(field, out);
        break;
    case FIELD_ASN:
        buf_json_comma(out);
        buf_add_str(out, ASN_SCHEMA);
        break;
    case FIELD_ENUM:
        write_enum_rules(field, out);
        break;
    case FIELD_OBJECT_LIST:
    case FIELD_STRING_LIST:
    case FIELD_ASN_LIST:
        write_array_rules(field, out);
        break;
    case FIELD_STRING_MAP:
        buf_json_member_str(out, "type", "object");
        member_text(out, "additionalProperties", "{\"type\":\"string\"}");
        break;
    case FIELD_BYTE_MAP:
        buf_json_member_str(out, "type", "object");
        member_text(out, "additionalProperties", "{\"type\":\"string\",\"format\":\"byte\"}");
        break;
    case FIELD_OBJECT: /* write_schema */
    case FIELD_IGNORED:
        break;
    }
}

static void write_field(const struct field *field, struct buf *out) {
    buf_json_key(out, field->name);
    if (field->type == FIELD_OBJECT) {
        write_schema(field->schema, field->description, field->default_text, out);
        return;
    }
    buf_add_char(out, '{');
    buf_json_member_str(out, "description", field->description);
    write_rules(field, out);
    if (field->ours) {
        member_text(out, "x-bgppeerd", "true");
    }
    if (field->type == FIELD_IGNORED) {
        member_text(out, "x-kubernetes-preserve-unknown-fields", "true");
    }
    if (field->default_text) {
        member_text(out, "default", field->default_text);
    }
    buf_add_char(out, '}');
}

static void write_required(const struct schema *schema, struct buf *out) {
    size_t count = 0;

    for (size_t i = 0; i < schema->field_count; i++) {
        if (!schema->fields[i].required) {
            continue;
        }
        if (count++ == 0) {
            buf_json_key(out, "required");
            buf_add_char(out, '[');
        }
        buf_json_comma(out);
        buf_add_json_str(out, schema->fields[i].name);
    }
    if (count > 0) {
        buf_add_char(out, ']');
    }
}

/* `description` is the field's, which says more about this place than the struct's own. */
static void write_schema(const struct schema *schema, const char *description, const char *default_text,
                         struct buf *out) {
    buf_add_char(out, '{');
    buf_json_member_str(out, "type", "object");
    buf_json_member_str(out, "description", description ? description : schema->description);
    buf_json_key(out, "properties");
    buf_add_char(out, '{');
    for (size_t i = 0; i < schema->field_count; i++) {
        write_field(&schema->fields[i], out);
    }
    buf_add_char(out, '}');
    write_required(schema, out);
    if (default_text) {
        member_text(out, "default", default_text);
    }
    buf_add_char(out, '}');
}

void codec_schema(const struct schema *schema, struct buf *out) {
    write_schema(schema, NULL, NULL, out);
}
