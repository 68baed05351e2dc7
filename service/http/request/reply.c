/*
 * Reply: turns a result into a libmicrohttpd response and queues it.
 *
 * The response belongs to this file until it is queued; libmicrohttpd frees it after sending. Bodies
 * are handed over, never copied: a buffer's memory, or a reference to what is shared.
 */
#include "request/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "request/pretty.h"
#include "request/response.h"
#include "request/serving.h"
#include "request/warning.h"

#define REVALIDATE "private, no-cache"
#define VARY       "Authorization, Accept"

/* ---- responses ---- */

int response_header(struct MHD_Response *response, const char *name, const char *value, struct err *err) {
    if (response == NULL || MHD_add_response_header(response, name, value) != MHD_YES) {
        return err_no_memory(err);
    }
    return 0;
}

int response_head(struct MHD_Response *response, const struct reply_head *head, struct err *err) {
    const struct {
        const char *name;
        const char *value;
    } headers[] = {{MHD_HTTP_HEADER_CONTENT_TYPE, head->type},
                   {MHD_HTTP_HEADER_ETAG, head->etag},
                   {MHD_HTTP_HEADER_CACHE_CONTROL, head->cache_control},
                   {MHD_HTTP_HEADER_VARY, head->vary},
                   {"Content-Disposition", head->disposition}};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (headers[i].value != NULL &&
            response_header(response, headers[i].name, headers[i].value, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_warnings(const struct advice *advice, struct MHD_Response *response, struct err *err) {
    size_t used = 0;
    size_t i = 0;
    for (; i < advice->count; i++) {
        char value[WARNING_VALUE_MAX];
        used += warning_format(advice->items[i], value);
        if (used > REPLY_WARNINGS_MAX) {
            break;
        }
        if (response_header(response, "Warning", value, err) != 0) {
            return -1;
        }
    }
    size_t left = advice->count - i + advice->dropped;
    if (left > 0) {
        char rest[64];
        snprintf(rest, sizeof(rest), "299 - \"and %zu more warnings\"", left);
        return response_header(response, "Warning", rest, err);
    }
    return 0;
}

int response_send(struct request *request, unsigned status, struct MHD_Response *response, struct err *err) {
    if (response == NULL) {
        return err_no_memory(err);
    }
    if (response_header(response, "X-Request-Id", request->id, err) != 0 ||
        (request->advice != NULL && add_warnings(request->advice, response, err) != 0) ||
        (atomic_load_explicit(&request->serving->stopping, memory_order_relaxed) &&
         response_header(response, MHD_HTTP_HEADER_CONNECTION, "close", err) != 0)) {
        MHD_destroy_response(response);
        return -1;
    }
    enum MHD_Result queued = MHD_queue_response(request->mhd, status, response);
    MHD_destroy_response(response);
    if (queued != MHD_YES) {
        return err_set(err, ERR_INTERNAL, "libmicrohttpd did not take the answer (status %u)", status);
    }
    request->status = status;
    request->phase = REQUEST_ANSWERED;
    return 0;
}

/* Takes the response over, also on failure; NULL is a failure. */
static int send_with_head(struct request *request, unsigned status, const struct reply_head *head,
                          struct MHD_Response *response, struct err *err) {
    if (response == NULL) {
        return err_no_memory(err);
    }
    if (response_head(response, head, err) != 0) {
        MHD_destroy_response(response);
        return -1;
    }
    return response_send(request, status, response, err);
}

struct reply_head reply_head_of(const char *type, const char *etag) {
    return (struct reply_head){.type = type, .etag = etag, .cache_control = REVALIDATE, .vary = VARY};
}

/* ---- bodies ---- */

int reply_buffer(struct request *request, unsigned status, const char *type, struct buf *body,
                 struct err *err) {
    type = pretty_body(request, type, body);
    if (buf_failed(body)) {
        return err_no_memory(err);
    }
    size_t len = 0;
    char *bytes = buf_steal(body, &len);
    struct MHD_Response *response = bytes != NULL
                                        ? MHD_create_response_from_buffer_with_free_callback(len, bytes, free)
                                        : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        free(bytes);
        return err_no_memory(err);
    }
    request->reply_bytes = len;
    return send_with_head(request, status, &(struct reply_head){.type = type}, response, err);
}

/* The last use of a body that holds a secret. */
static void wipe_body(void *cls) {
    buf_done(cls);
    free(cls);
}

int reply_wiped(struct request *request, unsigned status, const struct reply_head *head, struct buf *body,
                struct err *err) {
    struct reply_head written = *head;
    written.type = pretty_body(request, head->type, body);
    struct buf *kept = base_malloc(sizeof(*kept));
    if (kept == NULL || buf_failed(body)) {
        free(kept);
        return err_no_memory(err);
    }
    *kept = *body;
    *body = (struct buf){.wipe = true};
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(kept->len, kept->data, wipe_body, kept);
    if (response == NULL) {
        wipe_body(kept);
        return err_no_memory(err);
    }
    request->reply_bytes = kept->len;
    return send_with_head(request, status, &written, response, err);
}

/* JSON that must be copied, because it is to be written anew. It may show who has which password. */
static int reply_rewritten(struct request *request, unsigned status, const struct reply_head *head,
                           const char *json, size_t len, struct err *err) {
    struct buf body = {.wipe = true};
    buf_add(&body, json, len);
    int result = reply_wiped(request, status, head, &body, err);
    buf_done(&body);
    return result;
}

int reply_shared(struct request *request, unsigned status, const struct reply_head *head, const char *bytes,
                 size_t len, void (*release)(void *owner), void *owner, struct err *err) {
    if (head->type != NULL && strcmp(head->type, TYPE_JSON) == 0 && pretty_wanted(request)) {
        int result = reply_rewritten(request, status, head, bytes, len, err);
        if (release != NULL) {
            release(owner);
        }
        return result;
    }
    /* libmicrohttpd only reads what it is given. */
    void *readable = (void *)(uintptr_t)bytes;
    struct MHD_Response *response =
        release != NULL
            ? MHD_create_response_from_buffer_with_free_callback_cls(len, readable, release, owner)
            : MHD_create_response_from_buffer(len, readable, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        if (release != NULL) {
            release(owner);
        }
        return err_no_memory(err);
    }
    request->reply_bytes = len;
    return send_with_head(request, status, head, response, err);
}

int reply_static(struct request *request, unsigned status, const char *type, const char *bytes, size_t len,
                 struct err *err) {
    return reply_shared(request, status, &(struct reply_head){.type = type}, bytes, len, NULL, NULL, err);
}

void object_etag(const struct record *record, char out[OBJECT_ETAG_MAX]) {
    snprintf(out, OBJECT_ETAG_MAX, "\"%llu\"", (unsigned long long)record->revision);
}

static void unref_record(void *record) {
    record_unref(record);
}

int reply_record(struct request *request, unsigned status, const struct record *record, struct err *err) {
    char etag[OBJECT_ETAG_MAX];
    object_etag(record, etag);
    const struct reply_head head = reply_head_of(TYPE_JSON, etag);
    return reply_shared(request, status, &head, record->json, record->json_len, unref_record,
                        record_ref(record), err);
}

/* ---- streams and files ---- */

int reply_stream(struct request *request, const char *type, size_t block, reply_reader *read,
                 void (*release)(void *owner), void *owner, struct err *err) {
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, read, owner, release);
    if (response == NULL) {
        release(owner);
        return err_no_memory(err);
    }
    const struct reply_head head = {.type = type, .cache_control = "no-store"};
    int result = send_with_head(request, STATUS_OK, &head, response, err);
    request->stream = result == 0;
    return result;
}

int reply_file(struct request *request, int fd, uint64_t size, const struct reply_head *head,
               struct err *err) {
    struct MHD_Response *response = MHD_create_response_from_fd64(size, fd);
    if (response == NULL) {
        close(fd);
        return err_no_memory(err);
    }
    request->reply_bytes = size;
    int result = send_with_head(request, STATUS_OK, head, response, err);
    request->stream = result == 0;
    return result;
}
