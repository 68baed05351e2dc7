/*
 * Dispatch: the life of one request, as libmicrohttpd's callbacks tell it.
 *
 * The request's context is made when its first line is in and freed when its answer is out; between
 * them every call runs on the connection's own thread. No handler blocks: writes and waiting polls
 * suspend their connection. The connection's own context is its struct connection.
 */
#include "machine/dispatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "machine/connection.h"
#include "machine/linger.h"
#include "machine/server.h"
#include "request/metrics.h"
#include "request/reply.h"
#include "request/request.h"
#include "request/serving.h"

#define LOGGED_URI_MAX 512

/* ---- one request ---- */

void *dispatch_uri(void *cls, const char *uri, struct MHD_Connection *mhd) {
    struct http *http = cls;
    struct connection *connection = connection_of(mhd);
    /* NULL is noticed by dispatch_request, which closes the connection. */
    struct request *request = request_new(&http->serving, mhd, connection, uri);
    if (request != NULL && connection != NULL) {
        /* When a query does not fit into the connection's memory, libmicrohttpd forgets the request. */
        request_free(connection->request);
        connection->request = request;
    }
    return request;
}

/* Answer a failure; when not even that can be done, MHD_NO closes the connection. */
static enum MHD_Result answer_failure(struct request *request, const struct err *failure) {
    struct err err = ERR_INIT;
    if (request->phase == REQUEST_ANSWERED || reply_failure(request, failure, &err) == 0) {
        return MHD_YES;
    }
    log_event(LOG_ERROR, "no-answer", LOG_STR("id", request->id), LOG_STR("failure", failure->text),
              LOG_STR("error", err.text));
    return MHD_NO;
}

/* Remember a failure that is answered after the body has been read and dropped, which keeps the
 * connection usable and makes sure that the client sees the answer. */
static enum MHD_Result fail_later(struct request *request, const struct err *failure) {
    request->early = arena_alloc(&request->arena, sizeof(*request->early));
    if (request->early == NULL) {
        return MHD_NO;
    }
    *request->early = *failure;
    return MHD_YES;
}

/* Content-Length, or 0 when there is none; UINT64_MAX when it is beyond all numbers. */
static uint64_t announced_length(const struct request *request) {
    const char *text = request_header(request, HEADER_CONTENT_LENGTH);
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    unsigned long long length = strtoull(text, NULL, 10);
    return errno != 0 ? UINT64_MAX : length;
}

/* Bytes of the request's head, as libmicrohttpd counts them. */
static size_t head_size(const struct request *request) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

/* Would what is left of the connection's memory be too little for the answer's headers? Without room
 * for them libmicrohttpd closes the connection and says nothing. */
static bool headers_too_large(const struct request *request, size_t size) {
    size_t notes = request->headers.count;
    if (memchr(request->uri, '?', request->uri_len) != NULL) {
        notes += (size_t)MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL);
    }
    return size + notes * HTTP_HEADER_EACH > request->serving->header_bytes_max;
}

static enum MHD_Result refuse_headers(struct request *request) {
    struct err failure = ERR_INIT;
    struct err err = ERR_INIT;
    err_set(
        &failure, ERR_TOO_LARGE,
        "the request's headers are too large: together they may have %zu bytes, where each counts %d more",
        request->serving->header_bytes_max, HTTP_HEADER_EACH);
    request->cut_short = true;
    return reply_failure_as(request, STATUS_HEADERS_TOO_LARGE, "RequestHeaderFieldsTooLarge", &failure,
                            &err) == 0
               ? MHD_YES
               : MHD_NO;
}

/* A body that is compressed would be read as nonsense. */
static int check_coding(struct request *request, struct err *err) {
    const char *coding = request_header(request, HEADER_CONTENT_ENCODING);
    if (coding == NULL || (request->route->flags & ROUTE_BODY) == 0 ||
        coding[strspn(coding, " \t,")] == '\0' || strcasecmp(coding, "identity") == 0) {
        return 0;
    }
    request->coded = true;
    return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
                   "the body has Content-Encoding: %.60s, which is not understood here; send it as it is",
                   coding);
}

/* Before any handler looks at it, so that none can take a misspelt parameter for a missing one. */
static int check_query(struct request *request, struct err *err) {
    return request_parse_query(request, err) != 0
               ? -1
               : query_check(request->route, request->query, request->query_count, err);
}

/*
 * The headers are in. A failure that is known now is answered now only where the body would not be
 * sent at all (Expect: 100-continue) or is too large to read; otherwise after the body.
 */
static enum MHD_Result begin(struct request *request, const char *target, const char *method,
                             const char *version) {
    struct err err; /* 1.3 KB: not worth zeroing for a poll */
    err_clear(&err);
    request->phase = REQUEST_BODY;
    connection_serves(request->connection);
    const struct headers_place place = {.method = method,
                                        .size = head_size(request),
                                        .target = target,
                                        .target_len = request->uri_len,
                                        .version = version};
    if (headers_read(request->mhd, &place, &request->arena, &request->headers, &err) != 0) {
        request->cut_short = true;
        return answer_failure(request, &err);
    }
    int routed = request_route(request, method, &err);
    routed = request->serving->admit(request, routed, &err);
    if (routed == 0 && memchr(request->uri, '?', request->uri_len) != NULL) {
        routed = check_query(request, &err);
    }
    if (routed == 0) {
        routed = check_coding(request, &err);
    }
    if (headers_too_large(request, place.size)) {
        return refuse_headers(request);
    }
    struct err unclear;
    if (headers_check_framing(&request->headers, version, &unclear) != 0) {
        request->cut_short = true;
        return answer_failure(request, &unclear);
    }
    bool bodiless = request->method == METHOD_GET || request->method == METHOD_HEAD;
    if (routed == 0 && bodiless) {
        return MHD_YES;
    }
    uint64_t length = announced_length(request);
    size_t length_max = request_body_max(request);
    if (length > length_max && routed == 0) {
        routed =
            err_set(&err, ERR_TOO_LARGE, "the body has %" PRIu64 " bytes; this service takes at most %zu",
                    length, length_max);
    }
    if (routed == 0) {
        return MHD_YES;
    }
    bool expects = request_header(request, HEADER_EXPECT) != NULL;
    if (length > length_max || (expects && length > 0)) {
        request->cut_short = true;
        return answer_failure(request, &err);
    }
    return fail_later(request, &err);
}

/* A piece of the body. libmicrohttpd takes no answer in the middle of one: what goes wrong here is
 * answered at its end, or, when the end is too far, by closing. */
static enum MHD_Result take_body(struct request *request, const char *bytes, size_t len) {
    int64_t age_ms = (clock_monotonic_ns() - request->start_ns) / 1000000;
    if (age_ms > request->serving->body_ms) {
        log_event(LOG_WARN, "slow-body", LOG_STR("id", request->id), LOG_INT("ms", age_ms));
        return MHD_NO;
    }
    bool wanted =
        request->early == NULL && request->route != NULL && (request->route->flags & ROUTE_BODY) != 0;
    struct err err = ERR_INIT;
    int taken = wanted ? request_take_body(request, bytes, len, &err) : 0;
    /* libmicrohttpd's own buffer, which it is done with. A Secret may have been sent anywhere, and by
     * anybody. */
    explicit_bzero((void *)(uintptr_t)bytes, len);
    if (!wanted) {
        request->dropped += len;
        return request->dropped <= HTTP_DISCARD_MAX ? MHD_YES : MHD_NO;
    }
    if (taken != 0) {
        request->dropped = request->serving->body_bytes_max;
        return fail_later(request, &err);
    }
    return MHD_YES;
}

static enum MHD_Result run_handler(struct request *request) {
    if (request->early != NULL) {
        return answer_failure(request, request->early);
    }
    struct err err;
    err_clear(&err);
    int (*handler)(struct request *, struct err *) = request->route->handler;
    if (request->phase == REQUEST_SUSPENDED) {
        handler = request->resume;
        request->phase = REQUEST_BODY;
    } else if (atomic_load(&request->serving->closed)) {
        err_set(&err, ERR_UNAVAILABLE, "the service is stopping; nothing was done; try again in a moment");
        return answer_failure(request, &err);
    }
    return handler(request, &err) == 0 ? MHD_YES : answer_failure(request, &err);
}

/* One call of libmicrohttpd's for a request: see dispatch_request. */
static enum MHD_Result go_on(struct request *request, const char *target, const char *method,
                             const char *version, const char *upload_data, size_t *upload_data_size) {
    if (request->phase == REQUEST_NEW) {
        return begin(request, target, method, version);
    }
    if (upload_data != NULL && *upload_data_size == 0) {
        /* After an Expect: 100-continue without a body, libmicrohttpd offers none of the next request's
         * bytes as a piece of this one. It takes no answer now; the call that does has no data at all. */
        return MHD_YES;
    }
    if (*upload_data_size > 0) {
        size_t len = *upload_data_size;
        *upload_data_size = 0;
        return take_body(request, upload_data, len);
    }
    return run_handler(request);
}

enum MHD_Result dispatch_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *upload_data, size_t *upload_data_size,
                                 void **context) {
    (void)cls;
    (void)mhd;
    struct request *request = *context;
    if (request == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = go_on(request, url, method, version, upload_data, upload_data_size);
    /* A 304 fits into any socket's buffer: nobody can be slow to take it. */
    if (request->phase == REQUEST_ANSWERED && !request->stream && request->status != STATUS_NOT_MODIFIED) {
        connection_answers(request->connection);
    }
    return result;
}

static void log_access(struct request *request, enum MHD_RequestTerminationCode how, int64_t took_ns) {
    if (!log_enabled(LOG_INFO)) {
        return;
    }
    char cut[LOGGED_URI_MAX + 4], masked[LOGGED_URI_MAX + 4];
    const char *uri = token_masked(request->uri, masked, sizeof(masked));
    if (strnlen(uri, LOGGED_URI_MAX + 1) > LOGGED_URI_MAX) {
        memcpy(cut, uri, LOGGED_URI_MAX);
        memcpy(cut + LOGGED_URI_MAX, "...", 4);
        uri = cut;
    }
    log_event(LOG_INFO, how == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "request" : "request-cut",
              LOG_STR("id", request->id), LOG_STR("remote", connection_address(request->connection)),
              LOG_STR("user", request->principal.user), LOG_STR("method", method_text(request->method)),
              LOG_STR("uri", uri), LOG_INT("status", request->status), LOG_INT("bytes", request->reply_bytes),
              LOG_INT("us", took_ns / 1000));
}

void dispatch_completed(void *cls, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode how) {
    struct http *http = cls;
    struct request *request = *context;
    *context = NULL;
    if (request == NULL) {
        return;
    }
    if (request->cut_short) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info != NULL) {
            linger_keep(http->linger, info->connect_fd);
        }
    }
    struct connection *connection = request->connection;
    if (connection != NULL) {
        connection->request = NULL;
    }
    int64_t took_ns = clock_monotonic_ns() - request->start_ns;
    metrics_request(request, how == MHD_REQUEST_TERMINATED_COMPLETED_OK, took_ns);
    log_access(request, how, took_ns);
    request_free(request);
    connection_awaits(connection);
}

void dispatch_connection(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_ConnectionNotificationCode how) {
    struct http *http = cls;
    if (how == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct connection *connection = *context;
        if (connection != NULL) {
            request_free(connection->request); /* one that libmicrohttpd has forgotten */
        }
        connection_free(connection);
        *context = NULL;
        return;
    }
    /* Without memory for it the connection has no address and no certificate; requests need a token then. */
    *context = connection_new(&http->connections, mhd);
}
