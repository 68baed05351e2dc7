/*
 * See framing.h. Pure: looks at the headers that libmicrohttpd has taken apart, before any of the body is
 * read.
 */
#include "framing.h"

#include <string.h>
#include <strings.h>

struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    bool coding_known;
    bool blank;
};

static bool is_name(const char *name, size_t len, const char *expected) {
    return len == strlen(expected) && strncasecmp(name, expected, len) == 0;
}

static enum MHD_Result look_at(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                               const char *value, size_t value_len) {
    struct framing *framing = cls;
    (void)kind;
    if (name_len == 0 || memchr(name, ' ', name_len) != NULL || memchr(name, '\t', name_len) != NULL) {
        framing->blank = true;
    } else if (is_name(name, name_len, MHD_HTTP_HEADER_HOST)) {
        framing->hosts++;
    } else if (is_name(name, name_len, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
        framing->lengths++;
    } else if (is_name(name, name_len, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        framing->codings++;
        framing->coding_known = value != NULL && is_name(value, value_len, "chunked");
    }
    return MHD_YES;
}

int framing_check(const struct request *request, struct err *err) {
    struct framing framing = {.hosts = 0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, look_at, &framing);
    if (framing.blank) {
        return err_set(err, ERR_BAD_REQUEST, "a header has an empty name or a blank in it");
    }
    if (framing.hosts > 1) {
        return err_set(err, ERR_BAD_REQUEST, "the request has %u Host headers; send one", framing.hosts);
    }
    if (framing.lengths + framing.codings > 1) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the request says more than once how long its body is; send one Content-Length, or "
                       "Transfer-Encoding: chunked");
    }
    if (framing.codings > 0 && !framing.coding_known) {
        return err_set(err, ERR_BAD_REQUEST, "the only Transfer-Encoding that is understood is chunked");
    }
    return 0;
}
