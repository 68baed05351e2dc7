/*
 * Objects to JSON text, by the field tables, straight into a buffer. Members come in the tables' order
 * and maps in the order of their keys, so equal objects give equal bytes. Reads immutable objects; no
 * locks.
 */
#include <string.h>

#include "base/clock.h"
#include "codec_internal.h"

static void write_struct(const struct schema *schema, const void *object, struct buf *out);

static void write_string_list(const struct string_list *list, struct buf *out) {
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, list->items[i]);
    }
    buf_add_char(out, ']');
}

static void write_asn_list(const struct list *list, struct buf *out) {
    const uint32_t *numbers = list->items;

    buf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_json_comma(out);
        buf_add_u64(out, numbers[i]);
    }
    buf_add_char(out, ']');
}

static void write_object_list(const struct schema *schema, const struct list *list, struct buf *out) {
    const char *items = list->items;

    buf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_json_comma(out);
        write_struct(schema, items + i * schema->size, out);
    }
    buf_add_char(out, ']');
}

static void write_string_map(const struct label_set *map, struct buf *out) {
    buf_add_char(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        buf_json_key(out, map->items[i].key);
        buf_add_json_str(out, map->items[i].value);
    }
    buf_add_char(out, '}');
}

/* An absent member is not written; an empty list that was written down is. */
static void write_list(const struct field *field, const void *member, struct buf *out) {
    const struct list *list = member;

    if (field->type == FIELD_STRING_LIST) {
        const struct string_list *strings = member;
        if (strings->items) {
            buf_json_key(out, field->name);
            write_string_list(strings, out);
        }
    } else if (list->items) {
        buf_json_key(out, field->name);
        if (field->type == FIELD_ASN_LIST) {
            write_asn_list(list, out);
        } else {
            write_object_list(field->schema, list, out);
        }
    }
}

static void write_bool(const char *name, const struct opt_bool *value, struct buf *out) {
    if (value->set) {
        buf_json_key(out, name);
        buf_add_str(out, value->value ? "true" : "false");
    }
}

static void write_member(const struct field *field, const void *member, struct buf *out) {
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_ENUM:
        buf_json_member_str(out, field->name, *(const char *const *)member);
        break;
    case FIELD_DURATION:
        buf_json_member_str(out, field->name, ((const struct duration *)member)->text);
        break;
    case FIELD_BOOL:
        write_bool(field->name, member, out);
        break;
    case FIELD_INT:
        if (((const struct opt_int *)member)->set) {
            buf_json_key(out, field->name);
            buf_add_i64(out, ((const struct opt_int *)member)->value);
        }
        break;
    case FIELD_ASN:
        if (((const struct opt_asn *)member)->set) {
            buf_json_member_u64(out, field->name, ((const struct opt_asn *)member)->value);
        }
        break;
    case FIELD_OBJECT: {
        const void *object = *(const void *const *)member;
        if (object) {
            buf_json_key(out, field->name);
            write_struct(field->schema, object, out);
        }
        break;
    }
    case FIELD_OBJECT_LIST:
    case FIELD_STRING_LIST:
    case FIELD_ASN_LIST:
        write_list(field, member, out);
        break;
    case FIELD_STRING_MAP: {
        const struct label_set *map = member;
        if (map->items) {
            buf_json_key(out, field->name);
            write_string_map(map, out);
        }
        break;
    }
    case FIELD_BYTE_MAP: /* Secrets are written by write_secret */
    case FIELD_IGNORED:
        break;
    }
}

static void write_members(const struct schema *schema, const void *object, struct buf *out) {
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        write_member(field, (const char *)object + field->offset, out);
    }
}

static void write_struct(const struct schema *schema, const void *object, struct buf *out) {
    buf_add_char(out, '{');
    write_members(schema, object, out);
    buf_add_char(out, '}');
}

void codec_encode_struct(const struct schema *schema, const void *object, struct buf *out) {
    if (object != NULL) {
        write_struct(schema, object, out);
    } else {
        buf_add_str(out, "{}");
    }
}

/* Everything that is known about the values but the values: the annotation's text. */
void secret_write_values(const struct secret *secret, struct buf *out) {
    const struct secret_value *values = secret->values.items;
    char time[CLOCK_TEXT_MAX];

    buf_add_char(out, '{');
    for (size_t i = 0; i < secret->values.count; i++) {
        buf_json_key(out, values[i].key);
        buf_add_char(out, '{');
        buf_json_member_str(out, "fingerprint", values[i].fingerprint ? values[i].fingerprint : "");
        buf_json_member_u64(out, "size", values[i].size);
        buf_json_member_u64(out, "version", values[i].version);
        clock_format_seconds(values[i].modified_ms, time);
        buf_json_member_str(out, "modified", time);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

/* The keys with a marker for each value; data and string_data, which hold clear text, are never read. */
static void write_secret(const struct secret *secret, struct buf *out) {
    const struct secret_value *values = secret->values.items;

    if (secret->values.count > 0) {
        buf_json_key(out, "data");
        buf_add_char(out, '{');
        for (size_t i = 0; i < secret->values.count; i++) {
            buf_json_member_str(out, values[i].key, SECRET_MARKER);
        }
        buf_add_char(out, '}');
    }
    write_bool("immutable", &secret->immutable, out);
    buf_json_member_str(out, "type", secret->type);
}

static void write_body(const struct object *object, struct buf *out) {
    const struct schema *schema = kind_info(object->kind)->body;

    if (object->kind == KIND_SECRET) {
        write_secret(object->body, out);
        return;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        const void *member = (const char *)object->body + field->offset;

        if (field->type == FIELD_OBJECT && strcmp(field->name, "spec") == 0 &&
            !*(const void *const *)member) {
            buf_json_key(out, "spec"); /* readers may rely on it */
            buf_add_str(out, "{}");
        } else {
            write_member(field, member, out);
        }
    }
}

/* A Secret's annotations have one more, made from its values, at its place in the order. */
static void write_annotations(const struct object *object, struct buf *out) {
    const struct label_set *annotations = &object->meta.annotations;
    const struct secret *secret = object->kind == KIND_SECRET ? object->body : NULL;
    bool ours = secret && secret->values.count > 0;

    if (annotations->count == 0 && !ours) {
        return;
    }
    buf_json_key(out, "annotations");
    buf_add_char(out, '{');
    for (size_t i = 0; i <= annotations->count; i++) {
        const struct label *one = i < annotations->count ? &annotations->items[i] : NULL;

        if (ours && (!one || strcmp(one->key, SECRET_VALUES_ANNOTATION) > 0)) {
            struct buf text = BUF_INIT;

            secret_write_values(secret, &text);
            buf_json_member_str(out, SECRET_VALUES_ANNOTATION, text.data ? text.data : "{}");
            out->failed = out->failed || buf_failed(&text);
            buf_done(&text);
            ours = false;
        }
        if (one) {
            buf_json_member_str(out, one->key, one->value);
        }
    }
    buf_add_char(out, '}');
}

static void write_meta(const struct object *object, struct buf *out) {
    const struct meta *meta = &object->meta;

    buf_add_char(out, '{');
    buf_json_member_str(out, "name", meta->name);
    buf_json_member_str(out, "generateName", meta->generate_name);
    buf_json_member_str(out, "namespace", meta->name_space);
    buf_json_member_str(out, "uid", meta->uid);
    if (meta->resource_version > 0) {
        buf_json_key(out, "resourceVersion");
        buf_add_char(out, '"');
        buf_add_u64(out, meta->resource_version);
        buf_add_char(out, '"');
    }
    if (meta->generation != 0) {
        buf_json_key(out, "generation");
        buf_add_i64(out, meta->generation);
    }
    if (meta->creation_ms != 0) {
        char time[CLOCK_TEXT_MAX];
        clock_format_seconds(meta->creation_ms, time);
        buf_json_member_str(out, "creationTimestamp", time);
    }
    if (meta->labels.count > 0) {
        buf_json_key(out, "labels");
        write_string_map(&meta->labels, out);
    }
    write_annotations(object, out);
    buf_add_char(out, '}');
}

void codec_encode(const struct object *object, struct buf *out) {
    const struct kind_info *info = kind_info(object->kind);

    buf_add_char(out, '{');
    buf_json_member_str(out, "apiVersion", info->api_version);
    buf_json_member_str(out, "kind", info->name);
    buf_json_key(out, "metadata");
    write_meta(object, out);
    write_body(object, out);
    buf_add_char(out, '}');
}

void codec_encode_body(const struct object *object, struct buf *out) {
    buf_add_char(out, '{');
    write_body(object, out);
    if (object->kind == KIND_SECRET) {
        /* The markers are all alike: a changed value shows in its version only. */
        buf_json_key(out, "values");
        secret_write_values(object->body, out);
    }
    buf_add_char(out, '}');
}
