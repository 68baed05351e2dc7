/*
 * The rules for names, after the Calico reference and Kubernetes: of objects, of namespaces, and of labels.
 * What writes an object and what selects objects share them. Pure functions, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define NAMESPACE_LENGTH_MAX 63 /* RFC 1123 label */

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

/*
 * Kubernetes' qualified name: [prefix/]name. The prefix is a subdomain; Kubernetes folds the case of
 * annotation keys before it checks them, so their prefix may have upper case.
 */
bool is_qualified_name(const char *key, size_t key_len, bool fold_case) {
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
 * One step wider than Kubernetes: one '_' may end the key ("rr_"). Fleets have such labels and selectors can
 * name them, so they are accepted, and meta_advise calls them not portable.
 */
bool label_key_is_valid(const char *key, size_t len) {
    const char *slash = memchr(key, '/', len);
    size_t name_len = slash != NULL ? len - (size_t)(slash + 1 - key) : len;
    if (name_len > LABEL_LENGTH_MAX) {
        return false;
    }
    return is_qualified_name(key, len, false) ||
           (len > 0 && key[len - 1] == '_' && is_qualified_name(key, len - 1, false));
}

bool label_value_is_valid(const char *value, size_t len) {
    return len == 0 || (len <= LABEL_LENGTH_MAX && is_name_text(value, len));
}
