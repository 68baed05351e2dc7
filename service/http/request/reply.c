/*
 * Reply: turns a result into a libmicrohttpd response and queues it.
 *
 * The response belongs to this file until it is queued; libmicrohttpd frees it after sending. Bodies
 * are handed over, never copied: a buffer's memory, or a reference to the immutable record.
 */
#include "request/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/connection.h"
#include "machine/server.h"
#include "request/pretty.h"
#include "request/warning.h"

int reply_header(struct MHD_Response *response, const char *name, const char *value, struct err *err) {
    if (response == NULL || MHD_add_response_header(response, name, value) != MHD_YES) {
        return err_no_memory(err);
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
        if (reply_header(response, "Warning", value, err) != 0) {
            return -1;
        }
    }
    size_t left = advice->count - i + advice->dropped;
    if (left > 0) {
        char rest[64];
        snprintf(rest, sizeof(rest), "299 - \"and %zu more warnings\"", left);
        return reply_header(response, "Warning", rest, err);
    }
    return 0;
}

int reply_send(struct request *request, unsigned status, struct MHD_Response *response, struct err *err) {
    if (response == NULL) {
        return err_no_memory(err);
    }
    if (reply_header(response, "X-Request-Id", request->id, err) != 0 ||
        (request->advice != NULL && add_warnings(request->advice, response, err) != 0) ||
        (atomic_load_explicit(&request->http->stopping, memory_order_relaxed) &&
         reply_header(response, MHD_HTTP_HEADER_CONNECTION, "close", err) != 0)) {
        MHD_destroy_response(response);
        return -1;
    }
    enum MHD_Result queued = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    if (queued != MHD_YES) {
        return err_set(err, ERR_INTERNAL, "libmicrohttpd did not take the answer (status %u)", status);
    }
    request->status = status;
    request->phase = REQUEST_ANSWERED;
    if (!request->stream) {
        peer_answers(&request->http->peers, request->peer);
    }
    return 0;
}

static int add_type_and_send(struct request *request, unsigned status, const char *type,
                             struct MHD_Response *response, struct err *err) {
    if (reply_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type, err) != 0) {
        if (response != NULL) {
            MHD_destroy_response(response);
        }
        return -1;
    }
    return reply_send(request, status, response, err);
}

int reply_buffer(struct request *request, unsigned status, const char *type, struct buf *body,
                 struct err *err) {
    pretty_body(request, type, body);
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
    return add_type_and_send(request, status, type, response, err);
}

/* The last use of a body that holds a secret. */
static void wipe_body(void *cls) {
    buf_done(cls);
    free(cls);
}

int reply_wiped(struct request *request, unsigned status, const char *type, const char *cache_control,
                const char *etag, struct buf *body, struct err *err) {
    pretty_body(request, type, body);
    struct buf *kept = malloc(sizeof(*kept));
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
    if (reply_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, cache_control, err) != 0 ||
        reply_header(response, MHD_HTTP_HEADER_VARY, "Authorization, Accept", err) != 0 ||
        (etag != NULL && reply_header(response, MHD_HTTP_HEADER_ETAG, etag, err) != 0)) {
        MHD_destroy_response(response);
        return -1;
    }
    return add_type_and_send(request, status, type, response, err);
}

int reply_static(struct request *request, unsigned status, const char *type, const char *bytes, size_t len,
                 struct err *err) {
    if (strcmp(type, TYPE_JSON) == 0 && pretty_wanted(request)) {
        struct buf copy = BUF_INIT;
        buf_add(&copy, bytes, len);
        int result = reply_buffer(request, status, type, &copy, err);
        buf_done(&copy);
        return result;
    }
    /* libmicrohttpd only reads a persistent buffer. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    request->reply_bytes = len;
    return add_type_and_send(request, status, type, response, err);
}

int reply_copy(struct request *request, unsigned status, const char *json, size_t len, const char *etag,
               struct err *err) {
    struct buf body = {.wipe = true};
    buf_add(&body, json, len);
    int result = reply_wiped(request, status, TYPE_JSON, "private, no-cache", etag, &body, err);
    buf_done(&body);
    return result;
}

void object_etag(const struct record *record, char out[OBJECT_ETAG_MAX]) {
    snprintf(out, OBJECT_ETAG_MAX, "\"%llu\"", (unsigned long long)record->revision);
}

static void unref_record(void *record) {
    record_unref(record);
}

int reply_validators(struct MHD_Response *response, const char *etag, struct err *err) {
    if (reply_header(response, MHD_HTTP_HEADER_ETAG, etag, err) != 0 ||
        reply_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "private, no-cache", err) != 0 ||
        reply_header(response, MHD_HTTP_HEADER_VARY, "Authorization, Accept", err) != 0) {
        return -1;
    }
    return 0;
}

int reply_record(struct request *request, unsigned status, const struct record *record, struct err *err) {
    char etag[OBJECT_ETAG_MAX];
    object_etag(record, etag);
    if (pretty_wanted(request)) {
        return reply_copy(request, status, record->json, record->json_len, etag, err);
    }
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        record->json_len, (void *)(uintptr_t)record->json, unref_record, record_ref(record));
    if (response == NULL) {
        record_unref(record);
        return err_no_memory(err);
    }
    request->reply_bytes = record->json_len;
    if (reply_validators(response, etag, err) != 0) {
        MHD_destroy_response(response);
        return -1;
    }
    return add_type_and_send(request, status, TYPE_JSON, response, err);
}
