/*
 * HTTP client: requests to a service of ours over libcurl, without blocking or one at a time.
 *
 * A struct client keeps connections for the next request to the same place. It belongs to one thread, which
 * turns it: nothing happens between two turns. No redirects, no proxy, no cookies; HTTP/1.1; TLS 1.2 or
 * newer. All memory of libcurl is wiped before it is freed, because answers and tokens are secrets.
 */
#ifndef BGPPEERD_CLIENT_H
#define BGPPEERD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct client;
struct client_call; /* one request under way, or its answer */

struct client_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *token;          /* bearer token; NULL: none */
    const char *const *headers; /* "Name: value", NULL at the end; NULL: none */
    const char *body;           /* NULL: none */
    size_t body_len;
    const char *ca_file;   /* trust these certificates; NULL: the machine's */
    const char *cert_file; /* our certificate and its key; NULL: none */
    const char *key_file;
    const char *same_as; /* the other end must have the key of the first certificate in this file; names and
                            authorities do not matter then; NULL: the usual verification */
    uint64_t connect_seconds; /* until the connection stands; 0: 30 */
    uint64_t quiet_seconds;   /* give up when nothing has moved for so long; 0: never */
    uint64_t total_seconds;   /* give up after so long; 0: never */
    size_t answer_max;        /* bytes of a body; a longer one is a failure */
    int file;                 /* where the body of a 2xx answer goes; -1: into the answer */
    /* Where it goes as it comes, during client_turn; NULL: into the answer. For one that has no end. */
    void (*part)(void *arg, const char *bytes, size_t len);
    void *arg;
};

struct client_answer {
    unsigned status;    /* HTTP */
    struct buf body;    /* wiping */
    struct buf headers; /* as received, with "\r\n" behind each */
};

/* ERR_NO_MEMORY, ERR_UNAVAILABLE (libcurl would not start). */
int client_new(struct client **ret, struct err *err) MUST_CHECK;
/* All calls must have ended. Accepts NULL. */
void client_free(struct client *client);

/*
 * Begin a request; what it points to may go afterwards, but for the body, which stays until the call's end.
 * ERR_USAGE: a certificate file cannot be used; ERR_NO_MEMORY.
 */
int client_start(struct client *client, const struct client_request *request, struct client_call **ret,
                 struct err *err) MUST_CHECK;
/* Is there an answer, or will there be none? */
bool client_finished(const struct client_call *call);
/*
 * The answer of a finished call, which keeps it. ERR_UNAVAILABLE: the service was not reached, was too slow
 * or broke off, is not whom it should be; ERR_TOO_LARGE; ERR_STORAGE_FULL: the file cannot take it;
 * ERR_NO_MEMORY.
 */
int client_result(struct client_call *call, struct client_answer **ret, struct err *err) MUST_CHECK;
/* Give the call up if it is not finished, and free it. Accepts NULL. */
void client_end(struct client_call *call);

/* Something that ends a turn besides the requests: poll(2)'s terms. */
struct client_wait {
    int fd; /* negative: nothing */
    short events;
    short ret_events;
};
/* Move all requests on; wait at most `timeout_ms` for one of them or one of `waits` (at most
 * CLIENT_WAIT_MAX) to become ready. */
#define CLIENT_WAIT_MAX 8
void client_turn(struct client *client, struct client_wait *waits, size_t count, int timeout_ms);

/* Of a finished call without an answer: nothing of the request was sent to anybody. */
bool client_unsent(const struct client_call *call);

/* The value of a header, without blanks around it, cut to `size` - 1 bytes; false and "": there is none. */
bool client_header(const struct client_answer *answer, const char *name, char *ret, size_t size);

#endif
