/*
 * Media types of requests (RFC 9110 sections 8.3 and 12.5.1, as far as the clients of this API go).
 *
 * Pure functions over header values, which are bounded by the connection's memory.
 */
#include "media.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The type without parameters and surrounding blanks. */
static const char *type_of(const char *value, size_t len, size_t *ret_len) {
    while (len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    const char *semicolon = memchr(value, ';', len);
    if (semicolon != NULL) {
        len = (size_t)(semicolon - value);
    }
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    *ret_len = len;
    return value;
}

static bool is_type(const char *type, size_t len, const char *want) {
    return strlen(want) == len && strncasecmp(type, want, len) == 0;
}

int media_document(const char *content_type, bool secret, enum codec_syntax *ret, struct err *err) {
    if (content_type == NULL) {
        *ret = CODEC_JSON;
        return 0;
    }
    size_t len;
    const char *type = type_of(content_type, strlen(content_type), &len);
    if (len == 0 || is_type(type, len, "application/json")) {
        *ret = CODEC_JSON;
    } else if (is_type(type, len, "application/yaml") || is_type(type, len, "text/yaml") ||
               is_type(type, len, "application/x-yaml")) {
        *ret = CODEC_YAML;
    } else if (secret && is_type(type, len, "application/vnd.kubernetes.protobuf")) {
        *ret = CODEC_PROTOBUF;
    } else {
        return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                       "the body's Content-Type \"%.100s\" is not supported here; send application/json or "
                       "application/yaml",
                       content_type);
    }
    return 0;
}

int media_patch(const char *content_type, enum patch_type *ret, enum codec_syntax *ret_syntax, struct err *err) {
    size_t len = 0;
    const char *type = content_type != NULL ? type_of(content_type, strlen(content_type), &len) : "";
    if (is_type(type, len, "application/merge-patch+json")) {
        *ret = PATCH_MERGE;
    } else if (is_type(type, len, "application/json-patch+json")) {
        *ret = PATCH_JSON;
    } else if (is_type(type, len, "application/strategic-merge-patch+json")) {
        *ret = PATCH_STRATEGIC;
    } else {
        return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                       "the patch's Content-Type \"%.100s\" is not supported; send application/merge-patch+json or "
                       "application/json-patch+json",
                       content_type != NULL ? content_type : "");
    }
    *ret_syntax = CODEC_JSON;
    return 0;
}

/* ---- Accept ---- */

/* One element of Accept, split into type and the parameters we know. */
struct wish {
    const char *type;
    size_t type_len;
    bool refused; /* q=0 */
    bool other;   /* a representation by `as=` that is not ours */
    bool table;
};

static bool is_token(const char *text, size_t len, const char *want) {
    return strlen(want) == len && memcmp(text, want, len) == 0;
}

static bool is_zero_quality(const char *text, size_t len) {
    return len > 0 && text[0] == '0' && strspn(text, "0.") >= len;
}

static struct wish read_wish(const char *text, size_t len) {
    struct wish wish = {.type = NULL};
    wish.type = type_of(text, len, &wish.type_len);
    bool group = false;
    bool version = false;
    const char *end = text + len;
    const char *semicolon = memchr(text, ';', len);
    while (semicolon != NULL) {
        const char *next = memchr(semicolon + 1, ';', (size_t)(end - semicolon - 1));
        size_t part_len;
        const char *part = type_of(semicolon + 1, (size_t)((next != NULL ? next : end) - semicolon - 1), &part_len);
        if (part_len > 2 && strncasecmp(part, "q=", 2) == 0) {
            wish.refused = is_zero_quality(part + 2, part_len - 2);
        } else if (is_token(part, part_len, "as=Table")) {
            wish.table = true;
        } else if (part_len > 3 && memcmp(part, "as=", 3) == 0) {
            wish.other = true;
        } else if (is_token(part, part_len, "g=meta.k8s.io")) {
            group = true;
        } else if (is_token(part, part_len, "v=v1") || is_token(part, part_len, "v=v1beta1")) {
            version = true;
        }
        semicolon = next;
    }
    if (wish.table && !(group && version)) {
        wish.table = false;
        wish.other = true;
    }
    return wish;
}

int media_accept(const char *accept, enum media_answer *ret, struct err *err) {
    if (accept == NULL || strcmp(accept, "*/*") == 0 || strcmp(accept, "application/json") == 0) {
        *ret = MEDIA_OBJECT;
        return 0;
    }
    bool empty = true;
    for (const char *at = accept; *at != '\0';) {
        size_t len = strcspn(at, ",");
        struct wish wish = read_wish(at, len);
        empty = empty && wish.type_len == 0;
        bool json = is_type(wish.type, wish.type_len, "application/json");
        bool any = is_type(wish.type, wish.type_len, "*/*") || is_type(wish.type, wish.type_len, "application/*");
        if ((json || any) && !wish.refused && !wish.other) {
            *ret = wish.table ? MEDIA_TABLE : MEDIA_OBJECT;
            return 0;
        }
        at += len + (at[len] == ',');
    }
    if (empty) {
        *ret = MEDIA_OBJECT;
        return 0;
    }
    return err_set(err, ERR_NOT_ACCEPTABLE, "nothing in the request's Accept \"%.200s\" can be served; ask for application/json",
                   accept);
}
