/*
 * Replies: bodies, headers, Status objects. Each function ends the request (0), or fails (-1) with
 * nothing queued. All run on the connection's thread.
 */
#ifndef BGPPEERD_HTTP_REQUEST_REPLY_H
#define BGPPEERD_HTTP_REQUEST_REPLY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "request/request.h"
#include "request/status.h"
#include "snapshot.h"

#define TYPE_YAML "application/yaml"
#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* Bytes that the Warning headers of one answer may take; the rest is counted in the last of them. */
#define REPLY_WARNINGS_MAX 2048

/* Headers of an answer; NULL = none. Values are ours: without line breaks. */
struct reply_head {
    const char *type;          /* Content-Type */
    const char *etag;          /* with its quotes */
    const char *cache_control; /* Cache-Control */
    const char *vary;          /* Vary */
    const char *disposition;   /* Content-Disposition */
};
/* Of what can be asked for again, and depends on who asks. */
struct reply_head reply_head_of(const char *type, const char *etag);

/* The buffer's content is taken over when it is sent; a failed buffer is a failure. */
int reply_buffer(struct request *request, unsigned status, const char *type, struct buf *body,
                 struct err *err) MUST_CHECK;
/* The same for a body with a secret in it: it must be a wiping buffer, whose memory is wiped once it is
 * sent. */
int reply_wiped(struct request *request, unsigned status, const struct reply_head *head, struct buf *body,
                struct err *err) MUST_CHECK;
/* Bytes that others hold as well, and that are not copied. The reference to `owner` is taken over, also on
 * failure; `release` gives it back. `release` NULL: the bytes outlive the server. */
int reply_shared(struct request *request, unsigned status, const struct reply_head *head, const char *bytes,
                 size_t len, void (*release)(void *owner), void *owner, struct err *err) MUST_CHECK;
/* Bytes that outlive the server. */
int reply_static(struct request *request, unsigned status, const char *type, const char *bytes, size_t len,
                 struct err *err) MUST_CHECK;
/* A stored object with its ETag, not copied. Takes its own reference. */
int reply_record(struct request *request, unsigned status, const struct record *record,
                 struct err *err) MUST_CHECK;
/* 304. libmicrohttpd writes "Content-Length: 0", where RFC 9110 has the length of the 200 or nothing;
 * the other way round, clients built on old parsers wait for a body. */
int reply_not_modified(struct request *request, const char *etag, struct err *err) MUST_CHECK;

/*
 * A stream, which has no time limit: `read` is called on the connection's thread for up to `max` bytes, as
 * often as it can take more, and returns how many it wrote, 0 after it has suspended the request, or one of
 * the ends. `owner` is taken over, also on failure; `release` is called at the stream's end, when the request
 * may be gone.
 */
#define REPLY_STREAM_END    (-1)
#define REPLY_STREAM_BROKEN (-2) /* the connection is closed in the middle */
typedef ssize_t reply_reader(void *owner, uint64_t position, char *bytes, size_t max);
int reply_stream(struct request *request, const char *type, size_t block, reply_reader *read,
                 void (*release)(void *owner), void *owner, struct err *err) MUST_CHECK;
/* A file's content, as long as it takes. The descriptor is taken over, also on failure. */
int reply_file(struct request *request, int fd, uint64_t size, const struct reply_head *head,
               struct err *err) MUST_CHECK;

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
