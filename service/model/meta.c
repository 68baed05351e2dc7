/*
 * Rules for metadata: names after the Calico reference, label and annotation syntax and limits after
 * Kubernetes. Pure functions, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define LABEL_LENGTH_MAX      63           /* a label's value; a key's name part */
#define NAMESPACE_LENGTH_MAX  63           /* RFC 1123 label */
#define ANNOTATIONS_SIZE_MAX  (256 * 1024) /* bytes of all keys and values together */
#define GENERATED_SUFFIX_SIZE 5            /* what is appended to generateName */

static bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* Letters, digits, '-', '_', '.'; alphanumeric at both ends; not empty. */
static bool is_name_text(const char *text, size_t len) {
    if (len == 0 || !is_alnum(text[0]) || !is_alnum(text[len - 1])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.') {
            return false;
        }
    }
    return true;
}

/* RFC 1123 label without its limit of 63, as in Kubernetes' subdomain rule. */
static bool is_label_text(const char *text, size_t len) {
    if (len == 0 || !is_lower_alnum(text[0]) || !is_lower_alnum(text[len - 1])) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_lower_alnum(text[i]) && text[i] != '-') {
            return false;
        }
    }
    return true;
}

bool is_subdomain(const char *text, size_t len) {
    if (len > NAME_LENGTH_MAX) {
        return false;
    }
    size_t start = 0;
    for (size_t at = 0; at <= len; at++) {
        if (at == len || text[at] == '.') {
            if (!is_label_text(text + start, at - start)) {
                return false;
            }
            start = at + 1;
        }
    }
    return true;
}

bool name_is_portable(const char *name) {
    return is_subdomain(name, strlen(name));
}

bool name_is_valid(const char *name, char *why, size_t why_len) {
    size_t len = strlen(name);
    if (len == 0) {
        (void)snprintf(why, why_len, "must not be empty");
        return false;
    }
    if (len > NAME_LENGTH_MAX) {
        (void)snprintf(why, why_len, "must be at most %d bytes long, this has %zu", NAME_LENGTH_MAX, len);
        return false;
    }
    if (!is_name_text(name, len)) {
        (void)snprintf(
            why, why_len,
            "must consist of letters, digits, '.', '_' and '-', and begin and end with a letter or "
            "digit");
        return false;
    }
    return true;
}

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

bool namespace_is_valid(const char *name, char *why, size_t why_len) {
    size_t len = strlen(name);
    if (len <= NAMESPACE_LENGTH_MAX && is_label_text(name, len)) {
        return true;
    }
    (void)snprintf(
        why, why_len,
        "must be lower-case letters, digits and '-', begin and end with a letter or digit, and have at "
        "most %d bytes",
        NAMESPACE_LENGTH_MAX);
    return false;
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

/*
 * Kubernetes' qualified name: [prefix/]name. The prefix is a subdomain; Kubernetes folds the case of
 * annotation keys before it checks them, so their prefix may have upper case.
 */
static bool is_qualified_name(const char *key, size_t key_len, bool fold_case) {
    const char *slash = memchr(key, '/', key_len);
    const char *name = slash != NULL ? slash + 1 : key;
    size_t name_len = (size_t)(key + key_len - name);
    if (name_len > LABEL_LENGTH_MAX || !is_name_text(name, name_len)) {
        return false;
    }
    if (slash == NULL) {
        return true;
    }
    char prefix[NAME_LENGTH_MAX];
    size_t len = (size_t)(slash - key);
    if (len > sizeof prefix) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool upper = key[i] >= 'A' && key[i] <= 'Z';
        prefix[i] = (char)(fold_case && upper ? key[i] - 'A' + 'a' : key[i]);
    }
    return is_subdomain(prefix, len);
}

/*
 * One step wider than Kubernetes for labels: one '_' may end the key ("rr_"). Fleets have such labels and
 * selectors can name them, so they are accepted, and meta_advise calls them not portable.
 */
static bool is_label_key(const char *key) {
    size_t len = strlen(key);
    const char *slash = strchr(key, '/');
    size_t name_len = slash != NULL ? strlen(slash + 1) : len;
    if (name_len > LABEL_LENGTH_MAX) {
        return false;
    }
    return is_qualified_name(key, len, false) ||
           (len > 0 && key[len - 1] == '_' && is_qualified_name(key, len - 1, false));
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
        if (!is_label_key(label->key)) {
            refuse_key("metadata.labels", label->key, causes);
        }
        size_t len = strlen(label->value);
        if (len == 0 || (len <= LABEL_LENGTH_MAX && is_name_text(label->value, len))) {
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
