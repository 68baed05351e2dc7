/*
 * Are two values the same? One walk over any two structs of one schema, so that a new field takes part as
 * soon as it is in its table: who is affected by a change is decided by this. Pure functions, no locks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define NUMBER_TEXT_MAX 24

/* The value as text, when it is there and does not mean the same as its absence; NULL otherwise. */
static const char *meaning_of_text(const struct field *field, const char *text) {
    bool absent = text == NULL || text[0] == '\0' ||
                  (field->same_as_absent != NULL && strcmp(text, field->same_as_absent) == 0);
    return absent ? NULL : text;
}

static bool equal_text(const struct field *field, const char *a, const char *b, enum sameness sameness) {
    if (sameness == SAME_MEANING) {
        a = meaning_of_text(field, a);
        b = meaning_of_text(field, b);
    }
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Numbers and truth values as one: is it there, and which is it. */
struct scalar {
    bool set;
    int64_t value;
};

static struct scalar scalar_of(const struct field *field, const void *member) {
    if (member == NULL) {
        return (struct scalar){.set = false};
    }
    switch (field->type) {
    case FIELD_BOOL: {
        const struct opt_bool *flag = member;
        return (struct scalar){flag->set, flag->value};
    }
    case FIELD_ASN: {
        const struct opt_asn *number = member;
        return (struct scalar){number->set, number->value};
    }
    default: {
        const struct opt_int *number = member;
        return (struct scalar){number->set, number->value};
    }
    }
}

static struct scalar meaning_of_scalar(const struct field *field, struct scalar scalar) {
    char text[NUMBER_TEXT_MAX];
    if (!scalar.set || field->same_as_absent == NULL) {
        return scalar;
    }
    if (field->type == FIELD_BOOL) {
        scalar.set = strcmp(field->same_as_absent, scalar.value != 0 ? "true" : "false") != 0;
    } else {
        snprintf(text, sizeof(text), "%" PRId64, scalar.value);
        scalar.set = strcmp(field->same_as_absent, text) != 0;
    }
    return scalar;
}

static bool equal_scalar(const struct field *field, const void *a, const void *b, enum sameness sameness) {
    struct scalar x = scalar_of(field, a);
    struct scalar y = scalar_of(field, b);
    if (sameness == SAME_MEANING) {
        x = meaning_of_scalar(field, x);
        y = meaning_of_scalar(field, y);
    }
    return x.set == y.set && (!x.set || x.value == y.value);
}

static bool equal_duration(const struct duration *a, const struct duration *b, enum sameness sameness) {
    static const struct duration absent;
    a = a != NULL ? a : &absent;
    b = b != NULL ? b : &absent;
    if (a->text == NULL || b->text == NULL) {
        return a->text == b->text;
    }
    return sameness == SAME_MEANING ? a->ns == b->ns : strcmp(a->text, b->text) == 0;
}

static bool equal_strings(const struct string_list *a, const struct string_list *b) {
    for (size_t i = 0; i < a->count; i++) {
        const char *x = a->items[i] != NULL ? a->items[i] : "";
        const char *y = b->items[i] != NULL ? b->items[i] : "";
        if (strcmp(x, y) != 0) {
            return false;
        }
    }
    return true;
}

static bool equal_labels(const struct label_set *a, const struct label_set *b) {
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            strcmp(a->items[i].value, b->items[i].value) != 0) {
            return false;
        }
    }
    return true;
}

static bool equal_bytes(const struct byte_map *a, const struct byte_map *b) {
    for (size_t i = 0; i < a->count; i++) {
        const struct byte_value *x = &a->items[i];
        const struct byte_value *y = &b->items[i];
        if (strcmp(x->key, y->key) != 0 || x->len != y->len ||
            (x->len > 0 && memcmp(x->bytes, y->bytes, x->len) != 0)) {
            return false;
        }
    }
    return true;
}

static bool equal_items(const struct field *field, const struct list *a, const struct list *b,
                        enum sameness sameness) {
    if (field->type == FIELD_ASN_LIST) {
        return a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(uint32_t)) == 0;
    }
    for (size_t i = 0; i < a->count; i++) {
        size_t offset = i * field->schema->size;
        if (!schema_equal(field->schema, (const char *)a->items + offset, (const char *)b->items + offset,
                          sameness)) {
            return false;
        }
    }
    return true;
}

/* Every list and map begins with its count, and has its items behind it. */
static bool equal_list(const struct field *field, const void *a, const void *b, enum sameness sameness) {
    static const struct list absent;
    const struct list *x = a != NULL ? a : &absent;
    const struct list *y = b != NULL ? b : &absent;
    if (x->count != y->count || (sameness == SAME_AS_WRITTEN && (x->items == NULL) != (y->items == NULL))) {
        return false;
    }
    switch (field->type) {
    case FIELD_STRING_LIST:
        return equal_strings((const struct string_list *)x, (const struct string_list *)y);
    case FIELD_STRING_MAP:
        return equal_labels((const struct label_set *)x, (const struct label_set *)y);
    case FIELD_BYTE_MAP:
        return equal_bytes((const struct byte_map *)x, (const struct byte_map *)y);
    default:
        return equal_items(field, x, y, sameness);
    }
}

static bool equal_member(const struct field *field, const void *a, const void *b, enum sameness sameness) {
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return equal_text(field, a == NULL ? NULL : *(const char *const *)a,
                          b == NULL ? NULL : *(const char *const *)b, sameness);
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_ASN:
        return equal_scalar(field, a, b, sameness);
    case FIELD_DURATION:
        return equal_duration(a, b, sameness);
    case FIELD_OBJECT:
        return schema_equal(field->schema, a == NULL ? NULL : *(const void *const *)a,
                            b == NULL ? NULL : *(const void *const *)b, sameness);
    case FIELD_OBJECT_LIST:
    case FIELD_STRING_LIST:
    case FIELD_ASN_LIST:
    case FIELD_STRING_MAP:
    case FIELD_BYTE_MAP:
        return equal_list(field, a, b, sameness);
    case FIELD_IGNORED:
        break;
    }
    return true;
}

bool field_equal(const struct field *field, const void *a, const void *b, enum sameness sameness) {
    return equal_member(field, a == NULL ? NULL : (const char *)a + field->offset,
                        b == NULL ? NULL : (const char *)b + field->offset, sameness);
}

bool schema_equal(const struct schema *schema, const void *a, const void *b, enum sameness sameness) {
    if (a == b) {
        return true;
    }
    if (sameness == SAME_AS_WRITTEN && (a == NULL || b == NULL)) {
        return false;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        if (!field_equal(&schema->fields[i], a, b, sameness)) {
            return false;
        }
    }
    return true;
}

const struct field *schema_field(const struct schema *schema, const char *name) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}
