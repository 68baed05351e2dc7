/*
 * See headers.h. Looks at the headers that libmicrohttpd has taken apart, before any of the body is read. Its
 * own look-up walks its list once for each name asked for; a poll asks for six.
 */
#include "request/headers.h"

#include <microhttpd.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t len;
} NAMES[HEADER_COUNT] = {
#define NAME(text)                                                                                           \
    { text, sizeof(text) - 1 }
    [HEADER_HOST] = NAME("Host"),
    [HEADER_ORIGIN] = NAME("Origin"),
    [HEADER_ACCEPT] = NAME("Accept"),
    [HEADER_EXPECT] = NAME("Expect"),
    [HEADER_IF_MATCH] = NAME("If-Match"),
    [HEADER_CONTENT_TYPE] = NAME("Content-Type"),
    [HEADER_REQUEST_ID] = NAME("X-Request-Id"),
    [HEADER_REASON] = NAME("Bgppeerd-Reason"),
    [HEADER_FORCE] = NAME("Bgppeerd-Force"),
    [HEADER_IF_NONE_MATCH] = NAME("If-None-Match"),
    [HEADER_AUTHORIZATION] = NAME("Authorization"),
    [HEADER_CONTENT_LENGTH] = NAME("Content-Length"),
    [HEADER_TRANSFER_ENCODING] = NAME("Transfer-Encoding"),
    [HEADER_CONTENT_ENCODING] = NAME("Content-Encoding"),
#undef NAME
};

static enum header find(const char *name, size_t len) {
    enum header header = 0;
    while (header < HEADER_COUNT &&
           (NAMES[header].len != len || strncasecmp(NAMES[header].name, name, len) != 0)) {
        header++;
    }
    return header;
}

/* RFC 3986, section 3.2.2: uri-host and port, apart from percent-encoding. */
static bool could_be_host(const char *value, size_t len) {
    static const bool FIT[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
        ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&' ... '*'] = true,
        ['+'] = true,         [','] = true,         [';'] = true,         ['='] = true, ['%'] = true,
        [':'] = true,         ['['] = true,         [']'] = true};
    size_t i = 0;
    while (i < len && FIT[(unsigned char)value[i]]) {
        i++;
    }
    return i == len;
}

/* Of these several lines are one list. */
static const unsigned LISTS =
    1u << HEADER_ACCEPT | 1u << HEADER_IF_MATCH | 1u << HEADER_IF_NONE_MATCH | 1u << HEADER_CONTENT_ENCODING;

/*
 * libmicrohttpd takes the head apart where it lies: it puts NULs over the bytes between its parts, and
 * measures each part up to its first NUL. So a NUL of the client's hides what follows it. Between one part
 * and the next there is no more than a line's end; anything else there was hidden.
 */
static bool is_line_end(const char *from, const char *to, size_t most) {
    size_t len = (size_t)((uintptr_t)to - (uintptr_t)from);
    if (len == 0 || len > most) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (from[i] != '\0') {
            return false;
        }
    }
    return true;
}

static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                               const char *value, size_t value_len) {
    struct headers *headers = cls;
    (void)kind;
    headers->count++;
    headers->torn = headers->torn || !is_line_end(headers->end, name, 2) ||
                    (value != NULL && memchr(value, '\r', value_len) != NULL);
    headers->end = value != NULL ? value + value_len : name + name_len;
    enum header header = find(name, name_len);
    switch (header) {
    case HEADER_COUNT:
        headers->blank = headers->blank || name_len == 0 || memchr(name, ' ', name_len) != NULL ||
                         memchr(name, '\t', name_len) != NULL;
        return MHD_YES;
    case HEADER_HOST:
        headers->hosts++;
        headers->host_possible = value == NULL || could_be_host(value, value_len);
        break;
    case HEADER_CONTENT_LENGTH:
        headers->lengths++;
        break;
    case HEADER_TRANSFER_ENCODING:
        headers->codings++;
        headers->coding_known =
            value != NULL && value_len == strlen("chunked") && strncasecmp(value, "chunked", value_len) == 0;
        break;
    default:
        break;
    }
    if (headers->values[header] == NULL) {
        headers->values[header] = value;
    } else {
        headers->repeated |= LISTS & 1u << header;
    }
    return MHD_YES;
}

/* ---- lists in several lines ---- */

struct joined {
    enum header header;
    char *text; /* NULL: only counted */
    size_t len;
};

static enum MHD_Result join_line(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len) {
    struct joined *joined = cls;
    (void)kind;
    if (find(name, name_len) == joined->header && value != NULL) {
        if (joined->text != NULL) {
            memcpy(joined->text + joined->len, value, value_len);
            memcpy(joined->text + joined->len + value_len, ", ", 3);
        }
        joined->len += value_len + 2;
    }
    return MHD_YES;
}

static int join_lists(struct MHD_Connection *mhd, struct arena *arena, struct headers *headers,
                      struct err *err) {
    for (enum header header = 0; header < HEADER_COUNT; header++) {
        if ((headers->repeated & 1u << header) == 0) {
            continue;
        }
        struct joined joined = {.header = header};
        MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, join_line, &joined);
        joined.text = arena_alloc(arena, joined.len + 1);
        if (joined.text == NULL) {
            return err_no_memory(err);
        }
        joined.len = 0;
        MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, join_line, &joined);
        headers->values[header] = joined.text;
    }
    return 0;
}

int headers_read(struct MHD_Connection *mhd, const struct headers_place *place, struct arena *arena,
                 struct headers *ret, struct err *err) {
    *ret = (struct headers){.end = place->version + strlen(place->version)};
    ret->torn = !is_line_end(place->target + place->target_len, place->version, 1);
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at, ret);
    if (place->size > 0) {
        /* The end of the last line and an empty line, both of one kind: between three bytes could be a NUL.
         */
        const char *end = place->method + place->size;
        ret->torn = ret->torn || !is_line_end(ret->end, end, 4) || end == ret->end + 1 || end == ret->end + 3;
    }
    return ret->repeated == 0 ? 0 : join_lists(mhd, arena, ret, err);
}

/* ---- framing ---- */

static int check_host(const struct headers *headers, const char *version, struct err *err) {
    if (headers->hosts > 1) {
        return err_set(err, ERR_BAD_REQUEST, "the request has %u Host headers; send one", headers->hosts);
    }
    if (headers->hosts == 1 && !headers->host_possible) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the Host header is no host; send a name or an address, and the port if it is not the "
                       "usual one");
    }
    if (headers->hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0) {
        return err_set(err, ERR_BAD_REQUEST, "the request has no Host header, which %.20s asks for; send one",
                       version);
    }
    return 0;
}

int headers_check_framing(const struct headers *headers, const char *version, struct err *err) {
    if (headers->torn) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "the request's head has a NUL or a lone carriage return in it, or a header that is folded over "
            "several lines");
    }
    if (headers->blank) {
        return err_set(err, ERR_BAD_REQUEST, "a header has an empty name or a blank in it");
    }
    if (check_host(headers, version, err) != 0) {
        return -1;
    }
    if (headers->lengths + headers->codings > 1) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the request says more than once how long its body is; send one Content-Length, or "
                       "Transfer-Encoding: chunked");
    }
    if (headers->codings > 0 && strcmp(version, MHD_HTTP_VERSION_1_0) == 0) {
        return err_set(err, ERR_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding; send a Content-Length");
    }
    if (headers->codings > 0 && !headers->coding_known) {
        return err_set(err, ERR_BAD_REQUEST, "the only Transfer-Encoding that is understood is chunked");
    }
    return 0;
}
