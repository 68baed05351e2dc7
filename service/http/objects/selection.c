/* Selections: the query's selectors, parsed once per request and applied to decoded objects. Pure. */
#include "objects/selection.h"

#include <string.h>

static int parse_field(struct request *request, const char *text, size_t len, struct selection *selection,
                       struct err *err) {
    if (selection->field_count == SELECTION_FIELDS_MAX) {
        return err_set(err, ERR_BAD_REQUEST, "the fieldSelector has more than %d requirements",
                       SELECTION_FIELDS_MAX);
    }
    const char *equals = memchr(text, '=', len);
    if (equals == NULL || equals == text) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "unable to parse the fieldSelector at \"%.*s\": write metadata.name=VALUE, ==VALUE or !=VALUE",
            (int)(len > 100 ? 100 : len), text);
    }
    struct field_requirement *field = &selection->fields[selection->field_count];
    size_t key_len = (size_t)(equals - text);
    field->equal = equals[-1] != '!';
    key_len -= !field->equal;
    const char *value = equals + 1;
    const char *end = text + len;
    value += field->equal && value < end && *value == '=';
    field->name_space = key_len == 18 && memcmp(text, "metadata.namespace", 18) == 0;
    if (!field->name_space && !(key_len == 13 && memcmp(text, "metadata.name", 13) == 0)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the field \"%.*s\" is not supported in a fieldSelector; supported: metadata.name, "
                       "metadata.namespace",
                       (int)(key_len > 100 ? 100 : key_len), text);
    }
    field->value = arena_strndup(&request->arena, value, (size_t)(end - value));
    if (field->value == NULL) {
        return err_no_memory(err);
    }
    selection->field_count++;
    return 0;
}

int selection_parse(struct request *request, const char *name_space, struct selection *ret, struct err *err) {
    *ret = (struct selection){.name_space = name_space};
    const char *labels = request_query(request, QUERY_LABELS);
    if (labels != NULL && labelselector_parse(labels, &request->arena, &ret->labels, err) != 0) {
        return -1;
    }
    const char *fields = request_query(request, QUERY_FIELDS);
    while (fields != NULL && *fields != '\0') {
        size_t len = strcspn(fields, ",");
        if (len > 0 && parse_field(request, fields, len, ret, err) != 0) {
            return -1;
        }
        fields += len + (fields[len] == ',');
    }
    return 0;
}

bool selection_matches(const struct selection *selection, const struct object *object) {
    const char *name_space = object->meta.name_space != NULL ? object->meta.name_space : "";
    if (selection->name_space != NULL && strcmp(selection->name_space, name_space) != 0) {
        return false;
    }
    for (size_t i = 0; i < selection->field_count; i++) {
        const struct field_requirement *field = &selection->fields[i];
        const char *value = field->name_space ? name_space : object->meta.name;
        if ((strcmp(value, field->value) == 0) != field->equal) {
            return false;
        }
    }
    return labelselector_matches(&selection->labels, &object->meta.labels);
}

bool selection_is_all(const struct selection *selection) {
    return selection->name_space == NULL && selection->field_count == 0 &&
           selection->labels.requirements == NULL;
}

bool selection_is_by_label(const struct selection *selection) {
    return selection->labels.requirements != NULL;
}
