/*
 * Validation by tables: one walk over any struct that a schema describes, collecting every error with
 * its field path, then the cross-field rule of each struct. Works on the caller's object and causes; no
 * allocation of its own, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

/* The field path of the value being looked at; grows and shrinks along the walk. */
struct path {
    char text[ERR_FIELD_MAX];
    size_t len;
};

/* Text is copied, not formatted: every field of every document passes here. What does not fit is cut. */
static void path_add(struct path *path, const char *text, size_t len) {
    size_t room = sizeof path->text - path->len - 1;
    memcpy(path->text + path->len, text, len < room ? len : room);
    path->len += len < room ? len : room;
    path->text[path->len] = '\0';
}

static size_t path_push_field(struct path *path, const char *name) {
    size_t before = path->len;
    if (before != 0) {
        path_add(path, ".", 1);
    }
    path_add(path, name, strlen(name));
    return before;
}

static size_t path_push_index(struct path *path, size_t index) {
    char text[32];
    size_t before = path->len;
    int len = snprintf(text, sizeof text, "[%zu]", index);
    path_add(path, text, (size_t)len);
    return before;
}

static void path_pop(struct path *path, size_t before) {
    path->len = before;
    path->text[before] = '\0';
}

const char *shown(const char *text, char out[SHOWN_MAX]) {
    static const char ellipsis[] = "...";
    const size_t longest = 6; /* an escape, "\u001f" */
    size_t len = 0;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        /* Cut between characters, never inside a UTF-8 sequence (4 bytes at most). */
        if ((c & 0xC0U) != 0x80U && len + longest + sizeof ellipsis > SHOWN_MAX) {
            memcpy(out + len, ellipsis, sizeof ellipsis);
            return out;
        }
        if (c < 0x20 || c == 0x7F) {
            len += (size_t)snprintf(out + len, SHOWN_MAX - len, "\\u%04x", c);
        } else if (c == '"' || c == '\\') {
            out[len++] = '\\';
            out[len++] = (char)c;
        } else if (len + sizeof ellipsis < SHOWN_MAX) { /* stray continuation bytes end here */
            out[len++] = (char)c;
        }
    }
    out[len] = '\0';
    return out;
}

void cause_at(struct causes *causes, const char *reason, const char *path, const char *member,
              const char *fmt, ...) {
    char field[ERR_FIELD_MAX];
    char text[ERR_TEXT_MAX];
    (void)snprintf(field, sizeof field, "%s.%s", path, member);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    causes_add(causes, reason, field, "%s", text);
}

static size_t utf8_length(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0U) != 0x80U;
    }
    return count;
}

/* Length and format of one string that is there. */
static void validate_text(const struct field *field, const char *text, const struct path *path,
                          struct causes *causes) {
    if (field->max_length != 0) {
        size_t len = utf8_length(text);
        if (len > field->max_length) {
            causes_add(causes, CAUSE_TOO_LONG, path->text,
                       "Too long: must be at most %zu characters, this has %zu", field->max_length, len);
            return;
        }
    }
    if (field->format == NULL) {
        return;
    }
    char why[ERR_TEXT_MAX] = "";
    if (!field->format->check(text, why, sizeof why)) {
        char value[SHOWN_MAX];
        shown(text, value);
        if (why[0] != '\0') {
            causes_add(causes, CAUSE_INVALID, path->text, "Invalid value: \"%s\": %s", value, why);
        } else {
            causes_add(causes, CAUSE_INVALID, path->text, "Invalid value: \"%s\": must be %s", value,
                       field->format->expected);
        }
    }
}

static void validate_string(const struct field *field, const char *text, const struct path *path,
                            struct causes *causes) {
    if (is_given(text)) {
        validate_text(field, text, path, causes);
    } else if (field->required) {
        causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
    }
}

static void validate_enum(const struct field *field, const char *text, const struct path *path,
                          struct causes *causes) {
    if (text == NULL || (text[0] == '\0' && (field->allow_empty || field->required))) {
        if (field->required) {
            causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
        }
        return;
    }
    char supported[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (const char *const *value = field->values; *value != NULL; value++) {
        if (strcmp(text, *value) == 0) {
            return;
        }
        int more =
            snprintf(supported + len, sizeof supported - len, "%s\"%s\"", len != 0 ? ", " : "", *value);
        if (more > 0 && (size_t)more < sizeof supported - len) {
            len += (size_t)more;
        }
    }
    char value[SHOWN_MAX];
    causes_add(causes, CAUSE_NOT_SUPPORTED, path->text, "Unsupported value: \"%s\": supported values: %s",
               shown(text, value), supported);
}

static void validate_int(const struct field *field, const struct opt_int *number, const struct path *path,
                         struct causes *causes) {
    if (!number->set) {
        if (field->required) {
            causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
        }
        return;
    }
    if (number->value < field->min || number->value > field->max) {
        causes_add(causes, CAUSE_INVALID, path->text, "Invalid value: %lld: must be between %lld and %lld",
                   (long long)number->value, (long long)field->min, (long long)field->max);
    }
}

static void validate_duration(const struct field *field, const struct duration *duration,
                              const struct path *path, struct causes *causes) {
    if (duration->text == NULL) {
        if (field->required) {
            causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
        }
        return;
    }
    validate_text(field, duration->text, path, causes);
}

/* Items are counted for every list; a list that is there but empty has items != NULL. */
static bool validate_count(const struct field *field, size_t count, bool present, const struct path *path,
                           struct causes *causes) {
    if (!present && count == 0) {
        if (field->required) {
            causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
        }
        return false;
    }
    if (count < field->min_items && !(count == 0 && field->allow_empty)) {
        causes_add(causes, CAUSE_INVALID, path->text, "Invalid value: %zu items: must have at least %zu",
                   count, field->min_items);
    }
    if (field->max_items != 0 && count > field->max_items) {
        causes_add(causes, CAUSE_TOO_MANY, path->text, "Too many: %zu items: must have at most %zu", count,
                   field->max_items);
        return false;
    }
    return true;
}

static void validate_string_list(const struct field *field, const struct string_list *list, struct path *path,
                                 struct causes *causes) {
    if (!validate_count(field, list->count, list->items != NULL, path, causes)) {
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        size_t before = path_push_index(path, i);
        validate_text(field, list->items[i] != NULL ? list->items[i] : "", path, causes);
        path_pop(path, before);
    }
}

static void validate_struct(const struct schema *schema, const void *object, struct path *path,
                            struct causes *causes);

static void validate_object_list(const struct field *field, const struct list *list, struct path *path,
                                 struct causes *causes) {
    if (!validate_count(field, list->count, list->items != NULL, path, causes)) {
        return;
    }
    const char *item = list->items;
    for (size_t i = 0; i < list->count; i++) {
        size_t before = path_push_index(path, i);
        validate_struct(field->schema, item + i * field->schema->size, path, causes);
        path_pop(path, before);
    }
}

static void validate_object(const struct field *field, const void *object, struct path *path,
                            struct causes *causes) {
    if (object != NULL) {
        validate_struct(field->schema, object, path, causes);
    } else if (field->required) {
        causes_add(causes, CAUSE_REQUIRED, path->text, "Required value");
    }
}

/* `at` is the member that `field` describes; its C type follows from the field's type. */
static void validate_field(const struct field *field, const void *at, struct path *path,
                           struct causes *causes) {
    switch (field->type) {
    case FIELD_STRING:
        validate_string(field, *(const char *const *)at, path, causes);
        break;
    case FIELD_ENUM:
        validate_enum(field, *(const char *const *)at, path, causes);
        break;
    case FIELD_INT:
        validate_int(field, at, path, causes);
        break;
    case FIELD_DURATION:
        validate_duration(field, at, path, causes);
        break;
    case FIELD_OBJECT:
        validate_object(field, *(const void *const *)at, path, causes);
        break;
    case FIELD_OBJECT_LIST:
        validate_object_list(field, at, path, causes);
        break;
    case FIELD_STRING_LIST:
        validate_string_list(field, at, path, causes);
        break;
    case FIELD_ASN_LIST: {
        const struct list *list = at;
        (void)validate_count(field, list->count, list->items != NULL, path, causes);
        break;
    }
    case FIELD_BOOL:
    case FIELD_ASN: /* every uint32_t is an AS number */
    case FIELD_STRING_MAP:
    case FIELD_BYTE_MAP: /* their kind's rule looks into maps */
    case FIELD_IGNORED:
        break;
    }
}

static void validate_struct(const struct schema *schema, const void *object, struct path *path,
                            struct causes *causes) {
    const char *base = object;
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        size_t before = path_push_field(path, field->name);
        validate_field(field, base + field->offset, path, causes);
        path_pop(path, before);
    }
    if (schema->rule != NULL) {
        schema->rule(object, path->text, causes);
    }
}

void schema_validate(const struct schema *schema, const void *object, const char *path,
                     struct causes *causes) {
    struct path where = {.len = 0};
    (void)path_push_field(&where, path);
    validate_struct(schema, object, &where, causes);
}
