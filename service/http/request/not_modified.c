/*
 * 304, the answer to nearly every poll.
 *
 * Making a response costs libmicrohttpd some fifteen allocations, a tenth of such a request. All 304s
 * are alike but for two values, the entity tag and the request's id. So each thread keeps a response for
 * each length of entity tags (lists as JSON have one, and in each other format) and writes both values
 * over those of the time before. That is safe because libmicrohttpd copies a response's headers into the
 * connection's buffer before the thread that queued it does anything else, and because no other thread
 * ever sees these responses. Other tags, ids of another length, and answers with further headers, get a
 * response of their own.
 */
#include <pthread.h>
#include <string.h>

#include "base/random.h"
#include "request/response.h"
#include "request/serving.h"

#define ID_LEN        16                        /* of the ids that we make */
#define ETAG_LEN_MIN  (DIGEST_TEXT_MAX - 1 + 2) /* of a peering list's tag, with its quotes */
#define TEMPLATES_MAX 24                        /* lengths of tags, from that one on */

/* A thread's response; the values are libmicrohttpd's copies. */
struct template {
    struct MHD_Response *response;
    char *etag;
    char *id;
};

static _Thread_local struct template own_templates[TEMPLATES_MAX]; /* by the tag's length */

/* The responses go with their thread. */
static pthread_key_t template_key;
static pthread_once_t template_once = PTHREAD_ONCE_INIT;
static bool template_usable;

static void destroy_templates(void *arg) {
    struct template *templates = arg;
    for (size_t i = 0; i < TEMPLATES_MAX; i++) {
        if (templates[i].response != NULL) {
            MHD_destroy_response(templates[i].response);
        }
    }
}

static void make_key(void) {
    template_usable = pthread_key_create(&template_key, destroy_templates) == 0;
}

static struct MHD_Response *make_response(const char *etag, struct err *err) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        err_no_memory(err);
        return NULL;
    }
    const struct reply_head head = reply_head_of(NULL, etag);
    if (response_head(response, &head, err) != 0) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

static char *value_of(struct MHD_Response *response, const char *name) {
    /* The library's own allocation; only its declaration is const. */
    return (char *)(uintptr_t)MHD_get_response_header(response, name);
}

/* The thread's response with these values, or NULL when it cannot have them. */
static struct MHD_Response *fill_template(const char *etag, size_t etag_len, const char *id) {
    struct template *template = &own_templates[etag_len - ETAG_LEN_MIN];
    if (template->response == NULL) {
        struct err ignored = ERR_INIT;
        pthread_once(&template_once, make_key);
        struct MHD_Response *response = template_usable ? make_response(etag, &ignored) : NULL;
        if (response == NULL) {
            return NULL;
        }
        if (response_header(response, "X-Request-Id", id, &ignored) != 0 ||
            pthread_setspecific(template_key, own_templates) != 0) {
            MHD_destroy_response(response);
            return NULL;
        }
        *template = (struct template){.response = response,
                                      .etag = value_of(response, MHD_HTTP_HEADER_ETAG),
                                      .id = value_of(response, "X-Request-Id")};
    }
    memcpy(template->etag, etag, etag_len);
    memcpy(template->id, id, ID_LEN);
    return template->response;
}

int reply_not_modified(struct request *request, const char *etag, struct err *err) {
    size_t len = strlen(etag);
    bool plain = len >= ETAG_LEN_MIN && len - ETAG_LEN_MIN < TEMPLATES_MAX && strlen(request->id) == ID_LEN &&
                 request->advice == NULL &&
                 !atomic_load_explicit(&request->serving->stopping, memory_order_relaxed);
    struct MHD_Response *response = plain ? fill_template(etag, len, request->id) : NULL;
    if (response == NULL) {
        response = make_response(etag, err);
        return response != NULL ? response_send(request, STATUS_NOT_MODIFIED, response, err) : -1;
    }
    if (MHD_queue_response(request->mhd, STATUS_NOT_MODIFIED, response) != MHD_YES) {
        return err_set(err, ERR_INTERNAL, "libmicrohttpd did not take the answer (status 304)");
    }
    request->status = STATUS_NOT_MODIFIED;
    request->phase = REQUEST_ANSWERED;
    return 0;
}
