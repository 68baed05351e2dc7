/* The registry and the tables themselves: complete, consistent, describing the structs they claim to. */
#include <stdlib.h>

#include "../../service/model/tables.h"
#include "model_test.h"

#define SCHEMA_DEPTH_MAX 8

/* Bytes that a member of this type takes; 0: not stored. */
static size_t member_size(enum field_type type) {
    switch (type) {
    case FIELD_STRING:
    case FIELD_ENUM:
    case FIELD_OBJECT:
        return sizeof(void *);
    case FIELD_BOOL:
        return sizeof(struct opt_bool);
    case FIELD_INT:
        return sizeof(struct opt_int);
    case FIELD_ASN:
        return sizeof(struct opt_asn);
    case FIELD_DURATION:
        return sizeof(struct duration);
    case FIELD_OBJECT_LIST:
    case FIELD_ASN_LIST:
        return sizeof(struct list);
    case FIELD_STRING_LIST:
        return sizeof(struct string_list);
    case FIELD_STRING_MAP:
        return sizeof(struct label_set);
    case FIELD_BYTE_MAP:
        return sizeof(struct byte_map);
    case FIELD_IGNORED:
        return 0;
    }
    return 0;
}

static void check_format(const struct field *field) {
    const struct format *format = field->format;
    if (format == NULL) {
        assert_int_not_equal(field->type, FIELD_DURATION);
        return;
    }
    assert_non_null(format->name);
    assert_non_null(format->expected);
    assert_non_null(format->check);
    assert_true(field->type == FIELD_STRING || field->type == FIELD_STRING_LIST ||
                field->type == FIELD_DURATION);
    char why[256] = "";
    assert_false(format->check("\x01 nothing has this form \x01", why, sizeof why));
}

static void check_values(const struct field *field) {
    assert_int_equal(field->values != NULL, field->type == FIELD_ENUM);
    for (size_t i = 0; field->values != NULL && field->values[i] != NULL; i++) {
        assert_true(field->values[i][0] != '\0');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(field->values[i], field->values[k]);
        }
    }
}

static void check_field(const struct schema *schema, size_t at) {
    const struct field *field = &schema->fields[at];
    assert_true(field->name != NULL && field->name[0] != '\0');
    assert_non_null(field->description);
    size_t len = strlen(field->description);
    if (len < 10 || strchr(".;", field->description[len - 1]) == NULL) {
        fail_msg("%s.%s: the description is no sentence", schema->name, field->name);
    }
    assert_true(field->offset + member_size(field->type) <= schema->size);
    bool has_schema = field->type == FIELD_OBJECT || field->type == FIELD_OBJECT_LIST;
    assert_int_equal(field->schema != NULL, has_schema);
    assert_int_equal(field->type == FIELD_INT, field->max > field->min);
    bool is_list =
        field->type == FIELD_OBJECT_LIST || field->type == FIELD_STRING_LIST || field->type == FIELD_ASN_LIST;
    assert_true(is_list || (field->min_items == 0 && field->max_items == 0));
    if (is_list && field->max_items == 0) {
        fail_msg("%s.%s: a list of any length", schema->name, field->name);
    }
    assert_true(field->max_items == 0 || field->min_items <= field->max_items);
    bool is_text = field->type == FIELD_STRING || field->type == FIELD_STRING_LIST;
    if (is_text && field->max_length == 0 && field->format == NULL) {
        fail_msg("%s.%s: a text of any length", schema->name, field->name);
    }
    assert_false(field->required && field->default_text != NULL);
    check_format(field);
    check_values(field);
    for (size_t i = 0; i < at; i++) {
        const struct field *other = &schema->fields[i];
        assert_string_not_equal(field->name, other->name);
        bool apart = other->offset + member_size(other->type) <= field->offset ||
                     field->offset + member_size(field->type) <= other->offset;
        if (!apart) {
            fail_msg("%s: %s and %s share memory", schema->name, field->name, other->name);
        }
    }
}

/* Different schemas have different names: they become components of one OpenAPI document. */
static void note_schema(const struct schema *schema, const struct schema **seen, size_t *count) {
    for (size_t i = 0; i < *count; i++) {
        if (seen[i] == schema) {
            return;
        }
        assert_string_not_equal(seen[i]->name, schema->name);
    }
    assert_true(*count < 100);
    seen[(*count)++] = schema;
}

/* No member hides between two fields, or after the last: only padding may. */
static void check_gaps(const struct schema *schema) {
    for (size_t i = 0; i < schema->field_count; i++) {
        size_t end = schema->fields[i].offset + member_size(schema->fields[i].type);
        size_t next = schema->size;
        for (size_t k = 0; k < schema->field_count; k++) {
            size_t offset = schema->fields[k].offset;
            next = offset >= end && offset < next ? offset : next;
        }
        if (next - end >= sizeof(void *)) {
            fail_msg("%s: a member after %s is in no table", schema->name, schema->fields[i].name);
        }
    }
}

static void check_schema(const struct schema *schema, unsigned depth, const struct schema **seen,
                         size_t *count) {
    assert_true(depth < SCHEMA_DEPTH_MAX);
    assert_non_null(schema->name);
    assert_non_null(schema->description);
    assert_true(schema->field_count > 0);
    note_schema(schema, seen, count);
    if (schema != kind_info(KIND_SECRET)->body) { /* its `values` is the stored form, not the document's */
        check_gaps(schema);
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        check_field(schema, i);
        if (schema->fields[i].schema != NULL) {
            check_schema(schema->fields[i].schema, depth + 1, seen, count);
        }
    }
}

static void test_tables_are_consistent(void **state) {
    (void)state;
    const struct schema *seen[100];
    size_t count = 0;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        check_schema(kind_info((enum kind)kind)->body, 0, seen, &count);
    }
    assert_true(count > 20);
}

/* Calico's v3 API has this many fields; both families of a filter have tables of their own. */
static void test_tables_are_complete(void **state) {
    (void)state;
    static const struct {
        enum kind kind;
        const char *path;
        size_t fields;
    } tables[] = {
        {KIND_BGPPEER, "spec", 18},
        {KIND_NODE, "spec", 9},
        {KIND_NODE, "spec.bgp", 7},
        {KIND_NODE, "status", 3},
        {KIND_BGPCONFIGURATION, "spec", 19},
        {KIND_BGPFILTER, "spec", 4},
        {KIND_BGPFILTER, "spec.exportV4", 11},
        {KIND_BGPFILTER, "spec.importV6", 11},
    };
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        assert_int_equal(field_at(tables[i].kind, tables[i].path)->schema->field_count, tables[i].fields);
    }
    const struct schema *v4 = field_at(KIND_BGPFILTER, "spec.exportV4")->schema;
    const struct schema *v6 = field_at(KIND_BGPFILTER, "spec.exportV6")->schema;
    assert_ptr_not_equal(v4, v6);
    assert_ptr_equal(field_at(KIND_BGPFILTER, "spec.importV4")->schema, v4);
    assert_ptr_equal(field_at(KIND_BGPFILTER, "spec.importV6")->schema, v6);
    assert_int_equal(field_at(KIND_BGPFILTER, "spec.importV4.prefixLength.max")->max, 32);
    assert_int_equal(field_at(KIND_BGPFILTER, "spec.importV6.prefixLength.max")->max, 128);
}

static void test_kinds_are_found(void **state) {
    (void)state;
    for (int at = 0; at < KIND_COUNT; at++) {
        const struct kind_info *info = kind_info((enum kind)at);
        assert_int_equal(info->kind, at);
        assert_ptr_equal(kind_by_name(info->name), info);
        assert_ptr_equal(kind_by_plural(info->group, info->version, info->plural), info);
        char text[128];
        (void)snprintf(text, sizeof text, "%sList", info->name);
        assert_string_equal(info->list, text);
        (void)snprintf(text, sizeof text, "%s%s%s", info->group, info->group[0] != '\0' ? "/" : "",
                       info->version);
        assert_string_equal(info->api_version, text);
        assert_int_equal(info->namespaced, at == KIND_SECRET);
    }
    assert_null(kind_by_name("bgppeer"));
    assert_null(kind_by_name("IPPool"));
    assert_null(kind_by_plural("projectcalico.org", "v3", "secrets"));
    assert_null(kind_by_plural("", "v1", "nodes"));
    assert_null(kind_by_plural("projectcalico.org", "v1", "nodes"));
    assert_non_null(kind_by_plural("", "v1", "secrets"));
    assert_string_equal(kind_by_plural("projectcalico.org", "v3", "bgpconfigurations")->short_name,
                        "bgpconfig");
}

/* A column shows a scalar that its kind's table has, or counts the members of a list or a map. */
static void test_columns_name_fields(void **state) {
    (void)state;
    for (int at = 0; at < KIND_COUNT; at++) {
        const struct kind_info *info = kind_info((enum kind)at);
        for (size_t i = 0; i < info->column_count; i++) {
            const struct printer_column *column = &info->columns[i];
            const struct field *field = field_at(info->kind, column->path);
            bool number = field->type == FIELD_INT || field->type == FIELD_ASN;
            assert_non_null(column->description);
            if (column->count) {
                assert_string_equal(column->type, "integer");
                assert_true(field->type == FIELD_BYTE_MAP || field->type == FIELD_OBJECT_LIST);
                continue;
            }
            if (column->otherwise != NULL) {
                assert_int_equal(field_at(info->kind, column->otherwise)->type, field->type);
            }
            assert_string_equal(column->type, number                      ? "integer"
                                              : field->type == FIELD_BOOL ? "boolean"
                                                                          : "string");
            assert_true(number || field->type == FIELD_BOOL || field->type == FIELD_STRING);
        }
    }
}

static void test_object_keys(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct bgp_peer peer = {.spec = NULL};
    struct secret secret = {.type = NULL};
    struct object object = make_object(KIND_BGPPEER, "rack1-tor", &peer);
    assert_string_equal(object_key(&object, &arena), "rack1-tor");
    object = make_object(KIND_SECRET, "bgp", &secret);
    assert_string_equal(object_key(&object, &arena), "default/bgp");
    arena_done(&arena);
}

/* ---- the edges of every list ---- */

/* What stands in a list of this field: texts of its format, numbers, or structs with nothing in them. */
static void *items_of(const struct field *field, size_t count) {
    size_t size = field->type == FIELD_OBJECT_LIST ? field->schema->size
                  : field->type == FIELD_ASN_LIST  ? sizeof(uint32_t)
                                                   : sizeof(const char *);
    void *items = calloc(count, size);
    assert_non_null(items);
    for (size_t i = 0; field->type == FIELD_STRING_LIST && i < count; i++) {
        ((const char **)items)[i] = "";
    }
    return items;
}

static bool is_too_many(const struct schema *schema, const void *object, const char *name) {
    static struct causes causes;
    struct arena arena;
    char path[ERR_FIELD_MAX];
    bool found = false;
    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    schema_validate(schema, object, "x", &causes);
    (void)snprintf(path, sizeof path, "x.%s", name);
    for (size_t i = 0; i < causes.count; i++) {
        found = found || (strcmp(causes.items[i].field, path) == 0 &&
                          strcmp(causes.items[i].reason, CAUSE_TOO_MANY) == 0);
    }
    arena_done(&arena);
    return found;
}

static void check_list_edges(const struct schema *schema, unsigned depth) {
    assert_true(depth < SCHEMA_DEPTH_MAX);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        if (field->schema != NULL) {
            check_list_edges(field->schema, depth + 1);
        }
        if (field->max_items == 0) {
            continue;
        }
        void *object = calloc(1, schema->size);
        struct list list = {.items = items_of(field, field->max_items + 1)};
        for (size_t over = 0; over <= 1; over++) {
            list.count = field->max_items + over;
            memcpy((char *)object + field->offset, &list,
                   sizeof list); /* a string_list has the same members */
            if (is_too_many(schema, object, field->name) != (over == 1)) {
                fail_msg("%s.%s: %zu items", schema->name, field->name, list.count);
            }
        }
        free(list.items);
        free(object);
    }
}

/* Every list has a largest length, which is taken, and one more is refused. */
static void test_lists_end_at_their_edges(void **state) {
    (void)state;
    _Static_assert(offsetof(struct list, items) == offsetof(struct string_list, items), "lists are alike");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        check_list_edges(kind_info((enum kind)kind)->body, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_end_at_their_edges), cmocka_unit_test(test_tables_are_consistent),
        cmocka_unit_test(test_tables_are_complete),      cmocka_unit_test(test_kinds_are_found),
        cmocka_unit_test(test_columns_name_fields),      cmocka_unit_test(test_object_keys),
    };
    return cmocka_run_group_tests_name("model tables", tests, NULL, NULL);
}
