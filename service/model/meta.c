/*
 * Rules for metadata: names after the Calico reference, label and annotation syntax and limits after
 * Kubernetes. Pure functions, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define ANNOTATIONS_SIZE_MAX  (256 * 1024) /* bytes of all keys and values together */
#define GENERATED_SUFFIX_SIZE 5            /* what is appended to generateName */

static void validate_name(const struct meta *meta, struct causes *causes) {
    char why[ERR_TEXT_MAX] = "";
    char text[SHOWN_MAX];
    if (is_given(meta->name)) {
        if (!name_is_valid(meta->name, why, sizeof why)) {
            causes_add(causes, CAUSE_INVALID, "metadata.name", "Invalid value: \"%s\": %s",
                       shown(meta->name, text), why);
        }
        return;
    }
    if (!is_given(meta->generate_name)) {
        causes_add(causes, CAUSE_REQUIRED, "metadata.name",
                   "Required value: name or generateName is required");
        return;
    }
    /* The prefix may end in '-', because letters and digits will follow. */
    size_t len = strlen(meta->generate_name);
    bool fits = len <= NAME_LENGTH_MAX - GENERATED_SUFFIX_SIZE;
    char name[NAME_LENGTH_MAX + 1];
    if (fits) {
        (void)snprintf(name, sizeof name, "%sa", meta->generate_name);
    }
    if (!fits) {
        causes_add(causes, CAUSE_TOO_LONG, "metadata.generateName",
                   "Too long: must be at most %d bytes, so that a suffix fits",
                   NAME_LENGTH_MAX - GENERATED_SUFFIX_SIZE);
    } else if (!name_is_valid(name, why, sizeof why)) {
        causes_add(causes, CAUSE_INVALID, "metadata.generateName", "Invalid value: \"%s\": %s",
                   shown(meta->generate_name, text), why);
    }
}

static void validate_namespace(const struct object *object, struct causes *causes) {
    const char *name_space = object->meta.name_space;
    const struct kind_info *info = kind_info(object->kind);
    char text[SHOWN_MAX], why[256];
    if (!info->namespaced) {
        if (is_given(name_space)) {
            causes_add(causes, CAUSE_FORBIDDEN, "metadata.namespace",
                       "Forbidden: a %s belongs to no namespace; leave it out", info->name);
        }
        return;
    }
    if (!is_given(name_space)) {
        causes_add(causes, CAUSE_REQUIRED, "metadata.namespace", "Required value");
        return;
    }
    if (!namespace_is_valid(name_space, why, sizeof why)) {
        causes_add(causes, CAUSE_INVALID, "metadata.namespace", "Invalid value: \"%s\": %s",
                   shown(name_space, text), why);
    }
}

static void refuse_key(const char *field, const char *key, struct causes *causes) {
    char text[SHOWN_MAX];
    causes_add(causes, CAUSE_INVALID, field,
               "Invalid value: \"%s\": a key is a name of at most %d letters, digits, '-', '_' and '.' "
               "beginning and ending with a letter or digit, optionally after a DNS name and '/'",
               shown(key, text), LABEL_LENGTH_MAX);
}

static void validate_labels(const struct label_set *labels, struct causes *causes) {
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *label = &labels->items[i];
        if (!label_key_is_valid(label->key, strlen(label->key))) {
            refuse_key("metadata.labels", label->key, causes);
        }
        if (label_value_is_valid(label->value, strlen(label->value))) {
            continue;
        }
        char key[SHOWN_MAX];
        char value[SHOWN_MAX];
        causes_add(
            causes, CAUSE_INVALID, "metadata.labels",
            "Invalid value: \"%s\": the value of label %s must be empty or at most %d letters, digits, "
            "'-', '_' and '.' beginning and ending with a letter or digit",
            shown(label->value, value), shown(label->key, key), LABEL_LENGTH_MAX);
    }
}

const char *meta_annotation(const struct meta *meta, const char *key) {
    for (size_t i = 0; i < meta->annotations.count; i++) {
        if (strcmp(meta->annotations.items[i].key, key) == 0) {
            return meta->annotations.items[i].value;
        }
    }
    return NULL;
}

static void validate_annotations(const struct label_set *annotations, struct causes *causes) {
    size_t size = 0;
    for (size_t i = 0; i < annotations->count; i++) {
        const struct label *annotation = &annotations->items[i];
        if (!is_qualified_name(annotation->key, strlen(annotation->key), true)) {
            refuse_key("metadata.annotations", annotation->key, causes);
        }
        size += strlen(annotation->key) + strlen(annotation->value);
    }
    if (size > ANNOTATIONS_SIZE_MAX) {
        causes_add(causes, CAUSE_TOO_LONG, "metadata.annotations",
                   "Too long: keys and values have %zu bytes together, at most %d are allowed", size,
                   ANNOTATIONS_SIZE_MAX);
    }
}

void meta_validate(const struct object *object, struct causes *causes) {
    validate_name(&object->meta, causes);
    validate_namespace(object, causes);
    validate_labels(&object->meta.labels, causes);
    validate_annotations(&object->meta.annotations, causes);
}

/* What is put behind it are lower-case letters and digits. */
static void advise_generated_name(struct advice *advice, const char *text) {
    char name[NAME_LENGTH_MAX + 2];
    if (text != NULL && snprintf(name, sizeof(name), "%s0", text) < (int)sizeof(name) &&
        !name_is_portable(name)) {
        char buffer[SHOWN_MAX];
        advice_add(
            advice,
            "metadata.generateName: '%s' is not portable: Kubernetes takes only lower-case letters, digits, "
            "'-' and '.' in names",
            shown(text, buffer));
    }
}

void meta_advise(const struct meta *meta, struct advice *advice) {
    if (meta->name != NULL) {
        advise_name(advice, "metadata.name", meta->name);
    } else {
        advise_generated_name(advice, meta->generate_name);
    }
    for (size_t i = 0; i < meta->labels.count; i++) {
        const char *key = meta->labels.items[i].key;
        if (!is_qualified_name(key, strlen(key), false)) {
            char text[SHOWN_MAX];
            advice_add(
                advice,
                "metadata.labels: '%s' is not portable: in Kubernetes a key ends with a letter or digit",
                shown(key, text));
        }
    }
}
