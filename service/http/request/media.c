/*
 * Media types of requests (RFC 9110 sections 8.3 and 12.5.1, as far as the clients of this API go).
 *
 * Pure functions over header values, which are bounded by the connection's memory.
 */
#include "request/media.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "render.h"

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

static bool is_yaml(const char *type, size_t len) {
    return is_type(type, len, "application/yaml") || is_type(type, len, "text/yaml") ||
           is_type(type, len, "application/x-yaml");
}

/* What curl says of a body when nobody tells it otherwise. */
static bool is_form(const char *type, size_t len) {
    return is_type(type, len, "application/x-www-form-urlencoded");
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
    } else if (is_yaml(type, len)) {
        *ret = CODEC_YAML;
    } else if (secret && is_type(type, len, "application/vnd.kubernetes.protobuf")) {
        *ret = CODEC_PROTOBUF;
    } else {
        return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                       "the body's Content-Type \"%.100s\" is not supported here; send application/json or "
                       "application/yaml%s",
                       content_type,
                       is_form(type, len) ? ", with curl by -H 'Content-Type: application/json'" : "");
    }
    return 0;
}

int media_patch(const char *content_type, enum patch_type *ret, enum codec_syntax *ret_syntax,
                struct err *err) {
    size_t len = 0;
    const char *type = content_type != NULL ? type_of(content_type, strlen(content_type), &len) : "";
    if (is_type(type, len, "application/merge-patch+json")) {
        *ret = PATCH_MERGE;
    } else if (is_type(type, len, "application/json-patch+json")) {
        *ret = PATCH_JSON;
    } else if (is_type(type, len, "application/strategic-merge-patch+json")) {
        *ret = PATCH_STRATEGIC;
    } else if (is_type(type, len, "application/apply-patch+yaml") ||
               is_type(type, len, "application/apply-patch+cbor")) {
        return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                       "server-side apply is not supported; apply without it (kubectl apply without "
                       "--server-side), or send the document to /apis/bgppeerd.io/v1/applies");
    } else {
        return err_set(
            err, ERR_UNSUPPORTED_MEDIA_TYPE,
            "the patch's Content-Type \"%.100s\" is not supported; send application/merge-patch+json or "
            "application/json-patch+json%s",
            content_type != NULL ? content_type : "",
            is_form(type, len) ? ", with curl by -H 'Content-Type: application/merge-patch+json'" : "");
    }
    *ret_syntax = CODEC_JSON;
    return 0;
}

/* ---- Accept ---- */

/* One element of Accept: its type, and the parameters that any answer here knows. */
struct wish {
    const char *type;
    size_t type_len;
    bool refused;     /* q=0 */
    const char *form; /* of `as=`, NULL = none */
    size_t form_len;
    const char *group; /* of `g=` */
    size_t group_len;
    const char *version; /* of `v=` */
    size_t version_len;
};

static bool is_token(const char *text, size_t len, const char *want) {
    return text != NULL && strlen(want) == len && memcmp(text, want, len) == 0;
}

static bool is_zero_quality(const char *text, size_t len) {
    return len > 0 && text[0] == '0' && strspn(text, "0.") >= len;
}

static void read_parameter(const char *part, size_t len, struct wish *wish) {
    if (len > 2 && strncasecmp(part, "q=", 2) == 0) {
        wish->refused = is_zero_quality(part + 2, len - 2);
    } else if (len > 3 && memcmp(part, "as=", 3) == 0) {
        wish->form = part + 3;
        wish->form_len = len - 3;
    } else if (len > 2 && memcmp(part, "g=", 2) == 0) {
        wish->group = part + 2;
        wish->group_len = len - 2;
    } else if (len > 2 && memcmp(part, "v=", 2) == 0) {
        wish->version = part + 2;
        wish->version_len = len - 2;
    }
}

static struct wish read_wish(const char *text, size_t len) {
    struct wish wish = {.type = NULL};
    wish.type = type_of(text, len, &wish.type_len);
    const char *end = text + len;
    const char *semicolon = memchr(text, ';', len);
    while (semicolon != NULL) {
        const char *next = memchr(semicolon + 1, ';', (size_t)(end - semicolon - 1));
        size_t part_len;
        const char *part =
            type_of(semicolon + 1, (size_t)((next != NULL ? next : end) - semicolon - 1), &part_len);
        read_parameter(part, part_len, &wish);
        semicolon = next;
    }
    return wish;
}

/* The next element of the list; false: none is left. */
static bool next_wish(const char **at, struct wish *ret) {
    if (**at == '\0') {
        return false;
    }
    size_t len = strcspn(*at, ",");
    *ret = read_wish(*at, len);
    *at += len + ((*at)[len] == ',');
    return true;
}

static bool takes_json(const struct wish *wish) {
    return !wish->refused && (is_type(wish->type, wish->type_len, "application/json") ||
                              is_type(wish->type, wish->type_len, "*/*") ||
                              is_type(wish->type, wish->type_len, "application/*"));
}

static bool takes_yaml(const struct wish *wish) {
    return !wish->refused && wish->form == NULL && is_yaml(wish->type, wish->type_len);
}

static bool is_form_of(const struct wish *wish, const char *form) {
    return is_token(wish->form, wish->form_len, form) &&
           is_token(wish->group, wish->group_len, "meta.k8s.io") &&
           (is_token(wish->version, wish->version_len, "v1") ||
            is_token(wish->version, wish->version_len, "v1beta1"));
}

static bool is_table(const struct wish *wish) {
    return is_form_of(wish, "Table");
}

/* Clients name the form that a list has, or that its items have. */
static bool is_metadata(const struct wish *wish) {
    return is_form_of(wish, "PartialObjectMetadata") || is_form_of(wish, "PartialObjectMetadataList");
}

static int not_acceptable(const char *accept, const char *types, struct err *err) {
    return err_set(err, ERR_NOT_ACCEPTABLE,
                   "nothing in the request's Accept \"%.200s\" can be served; ask for %s", accept, types);
}

int media_accept(const char *accept, enum media_answer *ret, struct err *err) {
    if (accept == NULL || strcmp(accept, "*/*") == 0 || strcmp(accept, "application/json") == 0) {
        *ret = MEDIA_OBJECT;
        return 0;
    }
    struct wish wish;
    bool empty = true;
    for (const char *at = accept; next_wish(&at, &wish);) {
        empty = empty && wish.type_len == 0;
        bool table = is_table(&wish), metadata = is_metadata(&wish);
        if (takes_yaml(&wish) || (takes_json(&wish) && (wish.form == NULL || table || metadata))) {
            *ret = table ? MEDIA_TABLE : metadata ? MEDIA_METADATA : MEDIA_OBJECT;
            return 0;
        }
    }
    if (empty) {
        *ret = MEDIA_OBJECT;
        return 0;
    }
    return not_acceptable(accept, "application/json or application/yaml", err);
}

bool media_wants_yaml(const char *accept) {
    struct wish wish;
    if (strstr(accept, "yaml") == NULL) {
        return false;
    }
    for (const char *at = accept; next_wish(&at, &wish);) {
        if (takes_yaml(&wish)) {
            return true;
        }
        if (takes_json(&wish) && (wish.form == NULL || is_table(&wish) || is_metadata(&wish))) {
            return false;
        }
    }
    return false;
}

int media_accept_list(const char *accept, const struct render_format **ret, struct err *err) {
    size_t count;
    const struct render_format *formats = render_formats(&count);
    const struct render_format *json = &formats[0];
    if (accept == NULL || strcmp(accept, "*/*") == 0 || strcmp(accept, json->media_type) == 0) {
        *ret = json;
        return 0;
    }
    struct wish wish;
    bool empty = true;
    for (const char *at = accept; next_wish(&at, &wish);) {
        empty = empty && wish.type_len == 0;
        const struct render_format *format = takes_json(&wish) && (wish.form == NULL || is_table(&wish))
                                                 ? json
                                                 : render_format_by_media_type(wish.type, wish.type_len);
        if (format != NULL && !wish.refused) {
            *ret = format;
            return 0;
        }
    }
    if (empty) {
        *ret = json;
        return 0;
    }
    char types[ERR_TEXT_MAX / 2];
    size_t len = 0;
    for (size_t i = 0; i < count && len < sizeof(types); i++) {
        len += (size_t)snprintf(types + len, sizeof(types) - len, "%s%s", i == 0 ? "" : ", ",
                                formats[i].media_type);
    }
    return not_acceptable(accept, types, err);
}

enum media_discovery media_discovery(const char *accept) {
    struct wish wish;
    for (const char *at = accept != NULL ? accept : ""; next_wish(&at, &wish);) {
        if (!takes_json(&wish)) {
            continue;
        }
        if (wish.form == NULL) {
            return MEDIA_DISCOVERY_PLAIN;
        }
        if (is_token(wish.form, wish.form_len, "APIGroupDiscoveryList") &&
            is_token(wish.group, wish.group_len, "apidiscovery.k8s.io")) {
            if (is_token(wish.version, wish.version_len, "v2")) {
                return MEDIA_DISCOVERY_V2;
            }
            if (is_token(wish.version, wish.version_len, "v2beta1")) {
                return MEDIA_DISCOVERY_V2BETA1;
            }
        }
    }
    return MEDIA_DISCOVERY_PLAIN;
}

bool media_wants_page(const char *accept) {
    struct wish wish;
    for (const char *at = accept != NULL ? accept : ""; next_wish(&at, &wish);) {
        if (!wish.refused && is_type(wish.type, wish.type_len, "text/html")) {
            return true;
        }
        if (takes_json(&wish)) {
            return false;
        }
    }
    return false;
}

int media_openapi(const char *accept, bool *ret_protobuf, struct err *err) {
    struct wish wish;
    bool empty = true;
    for (const char *at = accept != NULL ? accept : ""; next_wish(&at, &wish);) {
        empty = empty && wish.type_len == 0;
        if (!wish.refused && (is_type(wish.type, wish.type_len,
                                      "application/com.github.proto-openapi.spec.v2@v1.0+protobuf") ||
                              is_type(wish.type, wish.type_len,
                                      "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"))) {
            *ret_protobuf = true;
            return 0;
        }
        if (takes_json(&wish)) {
            *ret_protobuf = false;
            return 0;
        }
    }
    if (empty) {
        *ret_protobuf = false;
        return 0;
    }
    return not_acceptable(
        accept, "application/json or application/com.github.proto-openapi.spec.v2@v1.0+protobuf", err);
}
