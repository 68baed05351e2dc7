/*
 * Requests by libcurl's multi interface. A struct client owns the multi handle, a struct client_call its easy
 * handle, its header list and its answer. One thread; no locks.
 *
 * libcurl is given an allocator that wipes what it frees. Its resolver has a thread of its own, which is not
 * waited for when a call is given up.
 */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "pin.h"

#define CONNECT_SECONDS 30
#define HEADERS_MAX     65536 /* of one answer */
#define CONNECTIONS_MAX 8     /* kept for later */

struct client {
    CURLM *multi;
};

struct client_call {
    struct client *client;
    CURL *easy;
    struct curl_slist *headers;
    size_t answer_max;
    int file;
    void (*part)(void *arg, const char *bytes, size_t len);
    void *arg;
    bool finished;
    CURLcode result; /* of a finished call */
    int file_error;  /* errno of the write that failed; 0: none did */
    bool too_large;
    bool headers_ended; /* those of an interim answer: the next line begins another's */
    char url[256];      /* for messages, perhaps cut */
    char same_as[PATH_MAX];
    char trouble[CURL_ERROR_SIZE];
    struct client_answer answer;
};

/* ---- libcurl itself ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void global_start(void) {
    global_result = curl_global_init_mem(CURL_GLOBAL_ALL, base_wiping_malloc, base_wiping_free,
                                         base_wiping_realloc, base_wiping_strdup, base_wiping_calloc);
}

int client_new(struct client **ret, struct err *err) {
    (void)pthread_once(&once, global_start);
    if (global_result != CURLE_OK) {
        return err_set(err, ERR_UNAVAILABLE, "libcurl does not start: %s", curl_easy_strerror(global_result));
    }
    struct client *client = base_calloc(1, sizeof(*client));
    if (client == NULL || (client->multi = curl_multi_init()) == NULL) {
        free(client);
        return err_no_memory(err);
    }
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    *ret = client;
    return 0;
}

void client_free(struct client *client) {
    if (client == NULL) {
        return;
    }
    (void)curl_multi_cleanup(client->multi);
    free(client);
}

/* ---- what arrives ---- */

static bool write_file(struct client_call *call, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t done = write(call->file, bytes, len);
        if (done < 0 && errno != EINTR) {
            call->file_error = errno;
            return false;
        }
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        }
    }
    return true;
}

/* libcurl's callbacks: any other answer than the length ends the transfer. */
static size_t receive_body(char *bytes, size_t size, size_t count, void *context) {
    struct client_call *call = context;
    size_t len = size * count;
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->file >= 0 && status / 100 == 2) {
        return write_file(call, bytes, len) ? len : 0;
    }
    if (call->part != NULL && status / 100 == 2) {
        call->part(call->arg, bytes, len);
        return len;
    }
    if (len > call->answer_max - call->answer.body.len) {
        call->too_large = true;
        return 0;
    }
    buf_add(&call->answer.body, bytes, len);
    return buf_failed(&call->answer.body) ? 0 : len;
}

static size_t receive_header(char *bytes, size_t size, size_t count, void *context) {
    struct client_call *call = context;
    struct buf *headers = &call->answer.headers;
    size_t len = size * count;
    if (call->headers_ended) {
        buf_clear(headers);
        call->headers_ended = false;
    }
    if (len > HEADERS_MAX - headers->len) {
        call->too_large = true;
        return 0;
    }
    buf_add(headers, bytes, len);
    call->headers_ended = len == 2 && bytes[0] == '\r';
    return buf_failed(headers) ? 0 : len;
}

/* ---- one call ---- */

static bool add_header(struct client_call *call, const char *line) {
    struct curl_slist *list = curl_slist_append(call->headers, line);
    call->headers = list != NULL ? list : call->headers;
    return list != NULL;
}

static bool set_headers(struct client_call *call, const struct client_request *request) {
    bool whole = true;
    if (request->token != NULL) {
        struct buf line = {.wipe = true};
        buf_printf(&line, "Authorization: Bearer %s", request->token);
        whole = !buf_failed(&line) && add_header(call, line.data);
        buf_done(&line);
    }
    for (size_t i = 0; whole && request->headers != NULL && request->headers[i] != NULL; i++) {
        whole = add_header(call, request->headers[i]);
    }
    /* libcurl would ask whether the body is welcome, and wait for the answer. */
    whole = whole && add_header(call, "Expect:");
    return whole && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

#define SET(option, value) (whole = whole && curl_easy_setopt(call->easy, (option), (value)) == CURLE_OK)

static bool set_request(struct client_call *call, const struct client_request *request) {
    bool whole = set_headers(call, request);
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "bgppeerd-client");
    SET(CURLOPT_WRITEFUNCTION, receive_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HEADERFUNCTION, receive_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_ERRORBUFFER, call->trouble);
    SET(CURLOPT_CONNECTTIMEOUT,
        (long)(request->connect_seconds != 0 ? request->connect_seconds : CONNECT_SECONDS));
    SET(CURLOPT_TIMEOUT, (long)request->total_seconds);
    if (request->quiet_seconds != 0) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)request->quiet_seconds);
    }
    if (request->body != NULL) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        SET(CURLOPT_POSTFIELDS, request->body);
    }
    if (request->method != NULL) {
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
    return whole;
}

static bool set_tls(struct client_call *call, const struct client_request *request, const char *pin) {
    bool whole = true;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (request->ca_file != NULL) {
        SET(CURLOPT_CAINFO, request->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (request->cert_file != NULL) {
        SET(CURLOPT_SSLCERT, request->cert_file);
        SET(CURLOPT_SSLKEY, request->key_file != NULL ? request->key_file : request->cert_file);
    }
    if (pin[0] != '\0') {
        SET(CURLOPT_PINNEDPUBLICKEY, pin);
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return whole;
}
#undef SET

int client_start(struct client *client, const struct client_request *request, struct client_call **ret,
                 struct err *err) {
    char pin[PIN_TEXT_MAX] = "";
    if (request->same_as != NULL && pin_of_certificate(request->same_as, pin, err) != 0) {
        return -1;
    }
    struct client_call *call = base_calloc(1, sizeof(*call));
    if (call == NULL) {
        return err_no_memory(err);
    }
    call->client = client;
    call->file = request->file;
    call->part = request->part;
    call->arg = request->arg;
    call->answer_max = request->answer_max;
    call->answer.body.wipe = call->answer.headers.wipe = true;
    snprintf(call->url, sizeof(call->url), "%s", request->url);
    snprintf(call->same_as, sizeof(call->same_as), "%s", request->same_as != NULL ? request->same_as : "");
    call->easy = curl_easy_init();
    if (call->easy == NULL || !set_request(call, request) || !set_tls(call, request, pin) ||
        curl_multi_add_handle(client->multi, call->easy) != CURLM_OK) {
        client_end(call);
        return err_no_memory(err);
    }
    *ret = call;
    return 0;
}

bool client_finished(const struct client_call *call) {
    return call->finished;
}

/* libcurl may have sent it over a kept connection, and then have found no new one: it counts over both. */
bool client_unsent(const struct client_call *call) {
    long sent = 0;
    return call->finished && call->result != CURLE_OK &&
           curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent == 0;
}

int client_result(struct client_call *call, struct client_answer **ret, struct err *err) {
    if (call->file_error != 0) {
        return err_set(err,
                       call->file_error == ENOSPC || call->file_error == EDQUOT ? ERR_STORAGE_FULL
                                                                                : ERR_UNAVAILABLE,
                       "cannot write what the service sends: %s", strerror(call->file_error));
    }
    if (call->too_large) {
        return err_set(err, ERR_TOO_LARGE, "the answer of %s is larger than %zu bytes", call->url,
                       call->answer_max);
    }
    if (call->result == CURLE_OUT_OF_MEMORY || buf_failed(&call->answer.body) ||
        buf_failed(&call->answer.headers)) {
        return err_no_memory(err);
    }
    if (call->result == CURLE_SSL_PINNEDPUBKEYNOTMATCH) {
        return err_set(err, ERR_UNAVAILABLE,
                       "whoever answers on %s does not have the certificate in %s; if that file is new, send "
                       "the service SIGHUP first",
                       call->url, call->same_as);
    }
    if (call->result != CURLE_OK) {
        return err_set(err, ERR_UNAVAILABLE, "no answer from %s: %s", call->url,
                       call->trouble[0] != '\0' ? call->trouble : curl_easy_strerror(call->result));
    }
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->answer.status = (unsigned)status;
    *ret = &call->answer;
    return 0;
}

void client_end(struct client_call *call) {
    if (call == NULL) {
        return;
    }
    if (call->easy != NULL) {
        (void)curl_multi_remove_handle(call->client->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    buf_done(&call->answer.body);
    buf_done(&call->answer.headers);
    free(call);
}

/* ---- turns ---- */

/* Has any? */
static bool note_finished(struct client *client) {
    bool any = false;
    int left = 0;
    for (CURLMsg *message = curl_multi_info_read(client->multi, &left); message != NULL;
         message = curl_multi_info_read(client->multi, &left)) {
        struct client_call *call = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (message->msg == CURLMSG_DONE && call != NULL) {
            call->finished = true;
            call->result = message->data.result;
            any = true;
        }
    }
    return any;
}

void client_turn(struct client *client, struct client_wait *waits, size_t count, int timeout_ms) {
    struct curl_waitfd fds[CLIENT_WAIT_MAX];
    size_t places[CLIENT_WAIT_MAX];
    unsigned used = 0;
    int running = 0, ready = 0;
    /* What was begun since the last turn must be on its way before anything is waited for. */
    (void)curl_multi_perform(client->multi, &running);
    if (note_finished(client)) {
        timeout_ms = 0; /* a fast answer may be here already, and nothing would end the wait */
    }
    for (size_t i = 0; i < count && i < CLIENT_WAIT_MAX; i++) {
        waits[i].ret_events = 0;
        if (waits[i].fd >= 0) {
            places[used] = i;
            fds[used++] = (struct curl_waitfd){.fd = waits[i].fd, .events = waits[i].events};
        }
    }
    (void)curl_multi_poll(client->multi, fds, used, timeout_ms, &ready);
    for (unsigned i = 0; i < used; i++) {
        waits[places[i]].ret_events = fds[i].revents;
    }
    (void)curl_multi_perform(client->multi, &running);
    (void)note_finished(client);
}

/* ---- headers ---- */

bool client_header(const struct client_answer *answer, const char *name, char *ret, size_t size) {
    size_t name_len = strlen(name);
    const char *line = answer->headers.data;
    ret[0] = '\0';
    while (line != NULL && *line != '\0') {
        size_t len = strcspn(line, "\r\n");
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;
            size_t blanks = strspn(value, " \t");
            size_t value_len = len - name_len - 1 - blanks;
            while (value_len > 0 &&
                   (value[blanks + value_len - 1] == ' ' || value[blanks + value_len - 1] == '\t')) {
                value_len--;
            }
            snprintf(ret, size, "%.*s", (int)(value_len < size ? value_len : size - 1), value + blanks);
            return true;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return false;
}
