/*
 * One request: from its first line until its answer has been sent.
 *
 * Owned by the connection's thread of libmicrohttpd, which alone touches it, except while the
 * connection is suspended: then it belongs to whoever will resume it (the committer for a write, the
 * park for a waiting poll).
 */
#ifndef BGPPEERD_HTTP_REQUEST_REQUEST_H
#define BGPPEERD_HTTP_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "base/err.h"
#include "request/headers.h"
#include "request/query.h"
#include "request/router.h"

#define REQUEST_ID_MAX   65 /* longest accepted X-Request-Id plus NUL */
#define REQUEST_URI_KEEP 160
/* A short, plain path parameter is kept in the request itself: most polls then need no arena at all. */
#define REQUEST_PARAM_KEEP 64
#define QUERY_MAX          64 /* parameters of one request */
/* Bytes of a request's first chunk: what a waiting poll needs, of which there may be thousands. */
#define REQUEST_ARENA_FIRST 512

struct MHD_Connection;
struct connection;
struct serving;

/* What the handler call is for; each request goes forward only. */
enum request_phase {
    REQUEST_NEW,       /* headers are there, nothing decided */
    REQUEST_BODY,      /* body is being collected or dropped */
    REQUEST_SUSPENDED, /* `resume` will be called on return */
    REQUEST_ANSWERED,
};

struct request {
    struct serving *serving;
    struct MHD_Connection *mhd;
    struct connection *connection; /* machine's; NULL: there was no memory for it */
    const struct route *route;
    enum method method;
    enum request_phase phase;
    bool failed;              /* `early` holds an error that is answered once the body is read */
    enum auth_answer allowed; /* what authorization said */
    unsigned force;         /* what a write says that it means to do (enum change_force); write_parameters */
    unsigned retry_after_s; /* with ERR_TOO_MANY_REQUESTS; 0 = the usual */
    bool stream;            /* the answer goes on for as long as there is news: no time limit */
    bool waited;            /* it waited for news: its duration says nothing */
    bool passwords;         /* the answer may carry passwords */
    uint8_t list_format;    /* the answer is a list in this of render_formats(), counted from 1; 0: none */
    bool coded;             /* its body has a Content-Encoding */
    bool cut_short;         /* answered before its body was read: the connection needs a lingering close */
    unsigned status;
    unsigned shard;
    int64_t start_ns;
    uint64_t reply_bytes;
    const char *object_name; /* for Status details, when the path does not name it; NULL = the path */
    const char *allow;       /* with ERR_METHOD_NOT_ALLOWED: the Allow header */
    size_t dropped;          /* body bytes read and thrown away */

    struct arena arena;
    struct buf body;
    size_t param_count;
    const char *params[ROUTE_PARAMS_MAX]; /* decoded path parameters, in order */
    size_t query_count;
    struct query_item *query; /* NULL until request_parse_query */
    struct advice *advice;    /* NULL = none yet */
    struct causes *causes;    /* of what is said of documents (400, 409, 422); NULL or empty = none */
    struct err *early;

    /* Called when a suspended connection comes back. As a route's handler. */
    int (*resume)(struct request *request, struct err *err);
    struct err *failure;                      /* of a job that failed (worker_compute) */
    void *work;                               /* the handler's own */
    void (*cleanup)(struct request *request); /* of `work`, when the request ends; NULL = none */

    struct headers headers; /* set by dispatch before anything reads them */
    size_t uri_len;
    const char *uri; /* raw: path and query as received */
    char id[REQUEST_ID_MAX];
    struct principal principal; /* who; ROLE_NONE until authenticated, and for public paths */
    char uri_kept[REQUEST_URI_KEEP];
    char param_kept[REQUEST_PARAM_KEEP];
};

/* NULL when memory is out. `uri` may be NULL. */
struct request *request_new(struct serving *serving, struct MHD_Connection *mhd,
                            struct connection *connection, const char *uri);
void request_free(struct request *request);

/* Find the route, decode the path's parameters. ERR_BAD_REQUEST, ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED. */
int request_route(struct request *request, const char *method, struct err *err) MUST_CHECK;

/* Is it a node's, about its own Node? Such requests have narrower limits: any of many hosts may send them. */
bool request_is_own_node(const struct request *request);
/* Bytes that the request's body may have. */
size_t request_body_max(const struct request *request);
/* A piece of the body. -1 (ERR_TOO_LARGE, ERR_NO_MEMORY): give up the connection's body. */
int request_take_body(struct request *request, const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* A header's value or NULL. */
static inline const char *request_header(const struct request *request, enum header header) {
    return request->headers.values[header];
}

/* Decode the query string; once is enough. Whether the route takes it is for query_check to say; both have
 * been done when a handler is called. */
int request_parse_query(struct request *request, struct err *err) MUST_CHECK;
/* A parameter's decoded value ("" when it has none) or NULL. */
const char *request_query(const struct request *request, enum query_name name);
/* "1", "true", "True" … anything but absent, "", "0", "false" (as Kubernetes clients write it). */
bool request_query_flag(const struct request *request, enum query_name name);

/* Warnings for the answer; never NULL unless memory is out. */
struct advice *request_advice(struct request *request);

/*
 * Give the connection up until request_resume; `resume` is then called on its thread (NULL: an answer
 * is being sent, and its reader is called). Everything that may resume it must be started after this
 * call. The park and the committer resume.
 */
void request_suspend(struct request *request, int (*resume)(struct request *, struct err *));
/* From any thread; the request must not be touched afterwards. */
void request_resume(struct request *request);

#endif
