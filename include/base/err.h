/*
 * Errors: one caller-owned struct, one table from code to HTTP status and Kubernetes reason.
 *
 * Contract: a function that can fail returns 0 or -1, takes `struct err *err` last, fills it on
 * failure only, and leaves its ret_* outputs untouched on failure. `err` is never NULL. Filling an
 * error never allocates. Wrap going up, log once at the top.
 */
#ifndef BGPPEERD_BASE_ERR_H
#define BGPPEERD_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
    ERR_NONE = 0,
    ERR_BAD_REQUEST,            /* 400 BadRequest: malformed text, unknown field, bad parameter */
    ERR_UNAUTHORIZED,           /* 401 Unauthorized */
    ERR_FORBIDDEN,              /* 403 Forbidden */
    ERR_NOT_FOUND,              /* 404 NotFound */
    ERR_METHOD_NOT_ALLOWED,     /* 405 MethodNotAllowed */
    ERR_NOT_ACCEPTABLE,         /* 406 NotAcceptable */
    ERR_CONFLICT,               /* 409 Conflict: resourceVersion or uid is not the current one */
    ERR_ALREADY_EXISTS,         /* 409 AlreadyExists */
    ERR_TOO_DISRUPTIVE,         /* 409 TooDisruptive: it would disrupt more sessions than is allowed */
    ERR_FROZEN,                 /* 409 Frozen: the fleet's sessions are not to be changed now */
    ERR_EXPIRED,                /* 410 Expired: the revision asked for has been compacted away */
    ERR_PRECONDITION_FAILED,    /* 412 PreconditionFailed: If-Match */
    ERR_TOO_LARGE,              /* 413 RequestEntityTooLarge */
    ERR_UNSUPPORTED_MEDIA_TYPE, /* 415 UnsupportedMediaType */
    ERR_INVALID,                /* 422 Invalid: well-formed, but the values break a rule */
    ERR_TOO_MANY_REQUESTS,      /* 429 TooManyRequests */
    ERR_INTERNAL,               /* 500 InternalError: our bug; the text goes to the log */
    ERR_UNAVAILABLE,            /* 503 ServiceUnavailable: busy, I/O error, shutting down */
    ERR_NO_MEMORY,              /* 503 ServiceUnavailable */
    ERR_UNKNOWN_OUTCOME,        /* 504 Timeout: done or not, nobody knows; read the object */
    ERR_STORAGE_FULL,           /* 507 InsufficientStorage */
    ERR_CORRUPT,                /* 500 InternalError; at start-up: refuse to start */
    ERR_USAGE,                  /* command line or configuration; exit status 2 */
    ERR_CODE_COUNT
};

#define ERR_TEXT_MAX  1024
#define ERR_FIELD_MAX 256

struct err {
    enum err_code code;
    int64_t offset;            /* byte offset in the input, -1 = none */
    char field[ERR_FIELD_MAX]; /* field path such as spec.importV4[0].action; "" = none */
    char text[ERR_TEXT_MAX];   /* one sentence: what was wrong, where, what to do */
};

/* A cleared error, for declarations: struct err err = ERR_INIT; */
#define ERR_INIT                                                                                             \
    { .code = ERR_NONE, .offset = -1, .field = "", .text = "" }

/* Fill `err`; always returns -1, so that `return err_set(...)` reads well. Long text is cut. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_set_field(struct err *err, enum err_code code, const char *field, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
int err_set_offset(struct err *err, enum err_code code, size_t offset, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The out-of-memory error; always returns -1. */
int err_no_memory(struct err *err);
/* Put context in front: "<context>: <text>". Keeps code, field and offset. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Reset to ERR_INIT. */
void err_clear(struct err *err);

#ifdef ANALYSE
/* `make analyse` sees one file at a time, and would follow paths on which these do not fail. */
#define err_set(...)        (err_set(__VA_ARGS__), -1)
#define err_set_field(...)  (err_set_field(__VA_ARGS__), -1)
#define err_set_offset(...) (err_set_offset(__VA_ARGS__), -1)
#define err_no_memory(err)  (err_no_memory(err), -1)
#define err_wrap(...)       (err_wrap(__VA_ARGS__), -1)
#endif

/* HTTP status of a code (200 for ERR_NONE). */
unsigned err_http_status(enum err_code code);
/* Kubernetes' `reason` of a code, e.g. "NotFound"; "" for ERR_NONE. Static storage. */
const char *err_reason(enum err_code code);

#endif
