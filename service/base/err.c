/*
 * Filling and wrapping errors, and the one table from error code to HTTP status and Kubernetes reason.
 * An error belongs to the caller; nothing here allocates or locks.
 */
#undef ANALYSE /* what is defined here are the functions, not the macros that stand for them */
#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    unsigned status;
    const char *reason;
} codes[ERR_CODE_COUNT] = {
    [ERR_NONE] = {200, ""},
    [ERR_BAD_REQUEST] = {400, "BadRequest"},
    [ERR_UNAUTHORIZED] = {401, "Unauthorized"},
    [ERR_FORBIDDEN] = {403, "Forbidden"},
    [ERR_NOT_FOUND] = {404, "NotFound"},
    [ERR_METHOD_NOT_ALLOWED] = {405, "MethodNotAllowed"},
    [ERR_NOT_ACCEPTABLE] = {406, "NotAcceptable"},
    [ERR_CONFLICT] = {409, "Conflict"},
    [ERR_ALREADY_EXISTS] = {409, "AlreadyExists"},
    [ERR_EXPIRED] = {410, "Expired"},
    [ERR_TOO_DISRUPTIVE] = {409, "TooDisruptive"},
    [ERR_FROZEN] = {409, "Frozen"},
    [ERR_PRECONDITION_FAILED] = {412, "PreconditionFailed"},
    [ERR_TOO_LARGE] = {413, "RequestEntityTooLarge"},
    [ERR_UNSUPPORTED_MEDIA_TYPE] = {415, "UnsupportedMediaType"},
    [ERR_INVALID] = {422, "Invalid"},
    [ERR_TOO_MANY_REQUESTS] = {429, "TooManyRequests"},
    [ERR_INTERNAL] = {500, "InternalError"},
    [ERR_UNAVAILABLE] = {503, "ServiceUnavailable"},
    [ERR_NO_MEMORY] = {503, "ServiceUnavailable"},
    [ERR_UNKNOWN_OUTCOME] = {504, "Timeout"},
    [ERR_STORAGE_FULL] = {507, "InsufficientStorage"},
    [ERR_CORRUPT] = {500, "InternalError"},
    [ERR_USAGE] = {500, "InternalError"},
};

/* Texts quote input; a cut must not leave half a UTF-8 character, which no JSON answer may hold. */
static void trim_partial_character(char *text, size_t len) {
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start == 0) {
        return;
    }
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (start - 1) < need) {
        text[start - 1] = '\0';
    }
}

/* Copy with a cut at a character boundary. */
static void copy_text(char *out, size_t size, const char *text) {
    size_t len = strlen(text);
    bool cut = len >= size;
    if (cut) {
        len = size - 1;
    }
    memmove(out, text, len);
    out[len] = '\0';
    if (cut) {
        trim_partial_character(out, len);
    }
}

static void format_text(char *out, size_t size, const char *fmt, va_list args) {
    int len = vsnprintf(out, size, fmt, args);
    if (len < 0) {
        out[0] = '\0';
    } else if ((size_t)len >= size) {
        trim_partial_character(out, size - 1);
    }
}

static void fill(struct err *err, enum err_code code, int64_t offset, const char *field, const char *fmt,
                 va_list args) {
    /* Formatted aside first: the arguments may point into the error that is being replaced. */
    char text[ERR_TEXT_MAX];
    format_text(text, sizeof text, fmt, args);
    copy_text(err->field, sizeof err->field, field != NULL ? field : "");
    copy_text(err->text, sizeof err->text, text);
    err->code = code;
    err->offset = offset;
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, code, -1, NULL, fmt, args);
    va_end(args);
    return -1;
}

int err_set_field(struct err *err, enum err_code code, const char *field, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, code, -1, field, fmt, args);
    va_end(args);
    return -1;
}

int err_set_offset(struct err *err, enum err_code code, size_t offset, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, code, offset > INT64_MAX ? INT64_MAX : (int64_t)offset, NULL, fmt, args);
    va_end(args);
    return -1;
}

int err_no_memory(struct err *err) {
    return err_set(err, ERR_NO_MEMORY,
                   "out of memory: try again later, or give the service a higher memory limit");
}

int err_wrap(struct err *err, const char *fmt, ...) {
    char context[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    format_text(context, sizeof context, fmt, args);
    va_end(args);

    char text[sizeof context + sizeof err->text + 2];
    snprintf(text, sizeof text, "%s: %s", context, err->text);
    copy_text(err->text, sizeof err->text, text);
    return -1;
}

void err_clear(struct err *err) {
    err->code = ERR_NONE;
    err->offset = -1;
    err->field[0] = '\0';
    err->text[0] = '\0';
}

static enum err_code known(enum err_code code) {
    return (unsigned)code < ERR_CODE_COUNT ? code : ERR_INTERNAL;
}

unsigned err_http_status(enum err_code code) {
    return codes[known(code)].status;
}

const char *err_reason(enum err_code code) {
    return codes[known(code)].reason;
}
