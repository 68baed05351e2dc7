/*
 * Replies: bodies, headers, Status objects. Each function ends the request (0), or fails (-1) with
 * nothing queued. All run on the connection's thread.
 */
#ifndef BGPPEERD_HTTP_REQUEST_REPLY_H
#define BGPPEERD_HTTP_REQUEST_REPLY_H

#include <microhttpd.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "request/request.h"
#include "snapshot.h"

#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* Bytes that the Warning headers of one answer may take; the rest is counted in the last of them. */
#define REPLY_WARNINGS_MAX 2048

/* Add a header. Values are ours: without line breaks. */
int reply_header(struct MHD_Response *response, const char *name, const char *value,
                 struct err *err) MUST_CHECK;
/* Queue with X-Request-Id and the request's warnings; takes the response over, also on failure.
 * `response` NULL is a failure (out of memory). */
int reply_send(struct request *request, unsigned status, struct MHD_Response *response,
               struct err *err) MUST_CHECK;

/* The buffer's content is taken over when it is sent; a failed buffer is a failure. */
int reply_buffer(struct request *request, unsigned status, const char *type, struct buf *body,
                 struct err *err) MUST_CHECK;
/* The same for a body with a secret in it: it must be a wiping buffer, whose memory is wiped once it is sent.
 * `etag` (with its quotes) may be NULL. */
int reply_wiped(struct request *request, unsigned status, const char *type, const char *cache_control,
                const char *etag, struct buf *body, struct err *err) MUST_CHECK;
/* JSON that must be copied, because it is to be indented, with the validators of reply_validators. */
int reply_copy(struct request *request, unsigned status, const char *json, size_t len, const char *etag,
               struct err *err) MUST_CHECK;
/* Bytes that outlive the server. */
int reply_static(struct request *request, unsigned status, const char *type, const char *bytes, size_t len,
                 struct err *err) MUST_CHECK;
/* ETag (given with its quotes), Cache-Control and Vary of what can be asked for again. */
int reply_validators(struct MHD_Response *response, const char *etag, struct err *err) MUST_CHECK;
/* A stored object with its ETag, not copied. Takes its own reference. */
int reply_record(struct request *request, unsigned status, const struct record *record,
                 struct err *err) MUST_CHECK;
/* 304. libmicrohttpd writes "Content-Length: 0", where RFC 9110 has the length of the 200 or nothing;
 * the other way round, clients built on old parsers wait for a body. */
int reply_not_modified(struct request *request, const char *etag, struct err *err) MUST_CHECK;

/* A Status object from a failure, with the request's causes. Logs what is our own fault. */
int reply_failure(struct request *request, const struct err *failure, struct err *err) MUST_CHECK;
/* The same for a status and reason that no error code stands for. */
int reply_failure_as(struct request *request, unsigned status, const char *reason, const struct err *failure,
                     struct err *err) MUST_CHECK;
/* Status "Success" of a deletion. */
int reply_deleted(struct request *request, const struct record *record, struct err *err) MUST_CHECK;

/* An object's entity tag with quotes: its resourceVersion. */
#define OBJECT_ETAG_MAX 24
void object_etag(const struct record *record, char out[OBJECT_ETAG_MAX]);

#endif
