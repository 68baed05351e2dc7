/*
 * See headers.h. Looks at the headers that libmicrohttpd has taken apart, before any of the body is read. Its
 * own look-up walks its list once for each name asked for; a poll asks for six.
 */
#include "request/headers.h"

#include <microhttpd.h>
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
    [HEADER_IF_NONE_MATCH] = NAME("If-None-Match"),
    [HEADER_AUTHORIZATION] = NAME("Authorization"),
    [HEADER_CONTENT_LENGTH] = NAME("Content-Length"),
    [HEADER_TRANSFER_ENCODING] = NAME("Transfer-Encoding"),
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

static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                               const char *value, size_t value_len) {
    struct headers *headers = cls;
    (void)kind;
    headers->count++;
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
    }
    return MHD_YES;
}

void headers_read(struct MHD_Connection *mhd, struct headers *ret) {
    *ret = (struct headers){.hosts = 0};
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at, ret);
}

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
    if (headers->codings > 0 && !headers->coding_known) {
        return err_set(err, ERR_BAD_REQUEST, "the only Transfer-Encoding that is understood is chunked");
    }
    return 0;
}
