/*
 * A tree into a struct, by the kind's field table: the one place that knows how each field type looks
 * in JSON. Everything lands in the decoding's arena; complaints are collected, so that one answer names
 * all of them. No locks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "codec_internal.h"

static const char *const document_members[] = {"apiVersion", "kind", "metadata"};

static bool is_document_member(const char *name) {
    for (size_t i = 0; i < sizeof document_members / sizeof *document_members; i++) {
        if (strcmp(name, document_members[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const struct field *find_field(const struct schema *schema, const char *name) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

const char FIELDS_REFUSED_TEXT[] = "?";

/* A text, or what stands for one. NULL: memory is out. The value is never shown: it may be a password. */
static const char *decode_string(struct decoding *d, const json_t *value, const struct path *path) {
    if (!json_is_string(value)) {
        bool scalar = json_is_number(value) || json_is_boolean(value);

        decoding_malformed(d, path, "expected a string, got %s%s%s", tree_type_name(value),
                           scalar ? "; put it in quotes" : "",
                           json_is_boolean(value) ? " (in YAML y, n, yes, no, on and off are booleans)" : "");
        return FIELDS_REFUSED_TEXT;
    }
    return arena_strndup(d->arena, json_string_value(value), json_string_length(value));
}

/* A known value becomes the table's own text, which saves a copy in every stored object. */
static const char *decode_enum(struct decoding *d, const struct field *field, const json_t *value,
                               const struct path *path) {
    if (json_is_string(value)) {
        for (const char *const *known = field->values; known && *known; known++) {
            if (strcmp(*known, json_string_value(value)) == 0) {
                return *known;
            }
        }
    }
    return decode_string(d, value, path);
}

/* false: not an AS number, and that has been said. Source: Calico numorstring.ASNumber. */
static bool decode_asn(struct decoding *d, const json_t *value, const struct path *path, uint32_t *ret) {
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char shown[SHOWN_TEXT_MAX];

        if (asn_parse(text, json_string_length(value), ret)) {
            return true;
        }
        decoding_invalid(d, path,
                         "\"%s\" is not an AS number: write 0 to 4294967295, or two numbers of 0 to 65535 "
                         "with a dot between them",
                         text_shown(text, shown));
        return false;
    }
    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);

        if (number >= 0 && number <= UINT32_MAX) {
            *ret = (uint32_t)number;
            return true;
        }
        decoding_invalid(d, path, "%lld is not an AS number: it must be 0 to 4294967295", (long long)number);
        return false;
    }
    decoding_wrong_type(
        d, path, "expected an AS number (an integer, or a string such as \"65000\" or \"1.10\")", value);
    return false;
}

static void decode_duration(struct decoding *d, const json_t *value, const struct path *path,
                            struct duration *out) {
    if (json_is_number(value)) {
        decoding_malformed(d, path, "expected a duration with its unit, such as 90s or 2m, got %s",
                           tree_type_name(value));
        out->text = FIELDS_REFUSED_TEXT;
        return;
    }
    const char *text = decode_string(d, value, path);

    if (!text) {
        return;
    }
    out->text = text;
    if (!duration_parse(text, strlen(text), &out->ns)) {
        out->ns = 0; /* the kind's validation refuses the text and says why */
    }
}

static bool expect_array(struct decoding *d, const json_t *value, const struct path *path) {
    if (!json_is_array(value)) {
        decoding_malformed(d, path, "expected an array, got %s%s", tree_type_name(value),
                           json_is_object(value) || json_is_null(value)
                               ? ""
                               : "; write [VALUE], or a line \"- VALUE\" for each");
        return false;
    }
    return true;
}

static void decode_string_list(struct decoding *d, const json_t *value, const struct path *path,
                               struct string_list *out) {
    struct path element = {.parent = path};
    const json_t *item;

    if (!expect_array(d, value, path)) {
        return;
    }
    out->items = arena_array(d->arena, json_array_size(value), sizeof *out->items);
    if (!out->items) {
        return;
    }
    /* Each element keeps its place, so that what is said about those behind names the right one. */
    json_array_foreach(value, element.index, item) {
        const char *text = decode_string(d, item, &element);
        out->items[out->count++] = text != NULL ? text : "";
    }
}

static void decode_asn_list(struct decoding *d, const json_t *value, const struct path *path,
                            struct list *out) {
    struct path element = {.parent = path};
    const json_t *item;
    uint32_t *numbers;

    if (!expect_array(d, value, path)) {
        return;
    }
    numbers = arena_array(d->arena, json_array_size(value), sizeof *numbers);
    if (!numbers) {
        return;
    }
    out->items = numbers;
    json_array_foreach(value, element.index, item) {
        (void)decode_asn(d, item, &element, &numbers[out->count++]);
    }
}

/* `schema`: of its members, some of which are named; NULL: they are of the writer's choice. */
static bool expect_object(struct decoding *d, const json_t *value, const struct schema *schema,
                          const struct path *path) {
    char members[160] = "";
    size_t len = 0;

    if (json_is_object(value)) {
        return true;
    }
    for (size_t i = 0; schema != NULL && i < schema->field_count && len < 60; i++) {
        len += (size_t)snprintf(members + len, sizeof(members) - len, "%s%s", i == 0 ? " with " : ", ",
                                schema->fields[i].name);
    }
    decoding_malformed(d, path, "expected an object%s, got %s", members, tree_type_name(value));
    return false;
}

static void decode_object_list(struct decoding *d, const struct field *field, const json_t *value,
                               const struct path *path, struct list *out) {
    struct path element = {.parent = path};
    json_t *item;
    char *items;

    if (!expect_array(d, value, path)) {
        return;
    }
    items = arena_array(d->arena, json_array_size(value), field->schema->size);
    if (!items) {
        return;
    }
    out->items = items;
    json_array_foreach(value, element.index, item) {
        if (expect_object(d, item, field->schema, &element)) {
            fields_decode(d, field->schema, item, &element, items + out->count * field->schema->size);
        }
        out->count++;
    }
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

void label_set_sort(struct label *items, size_t count) {
    bool sorted = true;

    for (size_t i = 1; i < count && sorted; i++) {
        sorted = compare_labels(&items[i - 1], &items[i]) < 0;
    }
    if (!sorted) { /* what we stored is in order already */
        qsort(items, count, sizeof *items, compare_labels);
    }
}

/* As in Go, a value of null is the empty string: `rack:` in YAML is a label without value. */
static void decode_string_map(struct decoding *d, json_t *value, const struct path *path,
                              struct label_set *out) {
    struct path member = {.parent = path};
    struct label *items;
    json_t *text;

    if (!expect_object(d, value, NULL, path)) {
        return;
    }
    items = arena_array(d->arena, json_object_size(value), sizeof *items);
    if (!items) {
        return;
    }
    json_object_foreach(value, member.name, text) {
        struct label *label = &items[out->count];

        label->value = json_is_null(text) ? "" : decode_string(d, text, &member);
        label->key = arena_strdup(d->arena, member.name);
        if (label->key && label->value) {
            out->count++;
        }
    }
    label_set_sort(items, out->count);
    out->items = items;
}

static bool decode_bytes(struct decoding *d, const json_t *value, const struct path *path,
                         struct byte_value *out) {
    size_t len, bad = 0;
    uint8_t *bytes;

    if (json_is_null(value)) {
        out->bytes = (const uint8_t *)"";
        return true;
    }
    if (!json_is_string(value)) {
        decoding_wrong_type(d, path, "expected base64 text", value);
        return false;
    }
    len = json_string_length(value);
    bytes = arena_alloc(d->arena, base64_decoded_max(len));
    if (!bytes) {
        return false;
    }
    if (!base64_decode(json_string_value(value), len, bytes, &out->len, &bad)) {
        decoding_malformed(d, path,
                           "illegal base64 data at input byte %zu; write clear text under stringData", bad);
        return false;
    }
    out->bytes = bytes;
    return true;
}

static int compare_byte_values(const void *a, const void *b) {
    return strcmp(((const struct byte_value *)a)->key, ((const struct byte_value *)b)->key);
}

static void decode_byte_map(struct decoding *d, json_t *value, const struct path *path,
                            struct byte_map *out) {
    struct path member = {.parent = path};
    json_t *item;

    if (d->stored || !expect_object(d, value, NULL, path)) {
        return; /* a stored Secret has markers there */
    }
    out->items = arena_array(d->arena, json_object_size(value), sizeof *out->items);
    if (!out->items) {
        return;
    }
    json_object_foreach(value, member.name, item) {
        struct byte_value *one = &out->items[out->count];

        one->key = arena_strdup(d->arena, member.name);
        if (decode_bytes(d, item, &member, one) && one->key) {
            out->count++;
        }
    }
    qsort(out->items, out->count, sizeof *out->items, compare_byte_values);
}

static void decode_bool(struct decoding *d, const json_t *value, const struct path *path,
                        struct opt_bool *out) {
    if (!json_is_boolean(value)) {
        decoding_malformed(d, path, "expected true or false, got %s%s", tree_type_name(value),
                           json_is_string(value) ? "; write it without quotes" : "");
        out->set = true;
        return;
    }
    *out = (struct opt_bool){.set = true, .value = json_is_true(value)};
}

static void decode_int(struct decoding *d, const json_t *value, const struct path *path,
                       struct opt_int *out) {
    if (!json_is_integer(value)) {
        decoding_malformed(d, path, "expected an integer, got %s%s", tree_type_name(value),
                           json_is_string(value) ? "; write it without quotes" : "");
        out->set = true;
        return;
    }
    *out = (struct opt_int){.set = true, .value = json_integer_value(value)};
}

static void decode_object(struct decoding *d, const struct field *field, json_t *value,
                          const struct path *path, void **out) {
    bool fits = expect_object(d, value, field->schema, path);
    void *object = arena_alloc(d->arena, field->schema->size);

    if (object) {
        *out = object;
        if (fits) {
            fields_decode(d, field->schema, value, path, object);
        }
    }
}

static void decode_member(struct decoding *d, const struct field *field, json_t *value,
                          const struct path *path, void *out) {
    switch (field->type) {
    case FIELD_STRING:
        *(const char **)out = decode_string(d, value, path);
        break;
    case FIELD_BOOL:
        decode_bool(d, value, path, out);
        break;
    case FIELD_INT:
        decode_int(d, value, path, out);
        break;
    case FIELD_ASN: {
        struct opt_asn *asn = out;
        /* Set even when refused, so that validation does not call it missing as well. */
        asn->set = true;
        (void)decode_asn(d, value, path, &asn->value);
        break;
    }
    case FIELD_DURATION:
        decode_duration(d, value, path, out);
        break;
    case FIELD_ENUM:
        *(const char **)out = decode_enum(d, field, value, path);
        break;
    case FIELD_OBJECT:
        decode_object(d, field, value, path, out);
        break;
    case FIELD_OBJECT_LIST:
        decode_object_list(d, field, value, path, out);
        break;
    case FIELD_STRING_LIST:
        decode_string_list(d, value, path, out);
        break;
    case FIELD_ASN_LIST:
        decode_asn_list(d, value, path, out);
        break;
    case FIELD_STRING_MAP:
        decode_string_map(d, value, path, out);
        break;
    case FIELD_BYTE_MAP:
        decode_byte_map(d, value, path, out);
        break;
    case FIELD_IGNORED:
        break;
    }
}

/* A member that the table does not have. When it is a slip of the pen, it is looked at as what was meant, so
 * that nothing is called missing that is there, and its value's errors are told as well. */
static void decode_unknown(struct decoding *d, const struct schema *schema, const json_t *object,
                           json_t *value, const struct path *member, void *out) {
    bool strict = !d->stored && d->unknown == CODEC_STRICT;
    const struct field *meant = strict && !d->strict.full ? suggest_field(schema, member->name) : NULL;

    decoding_unknown_field(d, schema, member, meant);
    if (meant != NULL && !json_is_null(value) && json_object_get(object, meant->name) == NULL) {
        decode_member(d, meant, value, member, (char *)out + meant->offset);
    }
}

void fields_decode(struct decoding *d, const struct schema *schema, json_t *object, const struct path *path,
                   void *out) {
    struct path member = {.parent = path};
    json_t *value;

    json_object_foreach(object, member.name, value) {
        const struct field *field = find_field(schema, member.name);

        if (!field) {
            if (path || !is_document_member(member.name)) {
                decode_unknown(d, schema, object, value, &member, out);
            }
        } else if (!json_is_null(value)) { /* null is absent */
            decode_member(d, field, value, &member, (char *)out + field->offset);
        }
    }
}
