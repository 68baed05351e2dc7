/*
 * The server: daemons, listeners and what keeps connections in order. Only this folder and the room's door
 * see struct http; a request sees its struct serving.
 *
 * Built by http_start before any request arrives, immutable afterwards except where said.
 */
#ifndef BGPPEERD_HTTP_MACHINE_SERVER_H
#define BGPPEERD_HTTP_MACHINE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "machine/connection.h"
#include "request/serving.h"

#define HTTP_CONNECTIONS_DEFAULT 16384
#define HTTP_PARKED_DEFAULT      20000
#define HTTP_WATCHES_DEFAULT     20000
#define HTTP_THREADS_MAX         256
/* Per connection: what the request's line and headers may take (a setting), with HTTP_HEADER_EACH for the
 * library's note of every header and parameter, then the body's current piece and the answer's headers, for
 * which HTTP_ANSWER_ROOM must do. libmicrohttpd zeroes all of it between two requests, so it is memory in
 * use, and time. */
#define HTTP_HEADER_BYTES_DEFAULT (5 * 1024)
#define HTTP_HEADER_EACH          64
#define HTTP_ANSWER_ROOM          (3 * 1024)
#define HTTP_IDLE_SECONDS         30
#define HTTP_BODY_BYTES_DEFAULT   (1024 * 1024)
/* A body must be complete this long after its request's beginning, however steadily it trickles. */
#define HTTP_BODY_SECONDS_DEFAULT 30
/* Bytes of an unwanted body that are read and dropped, so that the client gets to see the answer. */
#define HTTP_DISCARD_MAX (16 * 1024 * 1024)
/* How long a stop waits for requests in progress, and then for handlers that have begun meanwhile. */
#define HTTP_DRAIN_MS 3000
#define HTTP_CLOSE_MS 500

/* Defaults of the limits of callers; http.h has their meaning. */
#define HTTP_HEADER_SECONDS_DEFAULT 40
#define HTTP_ANSWER_SECONDS_DEFAULT 300
#define HTTP_STALL_SECONDS_DEFAULT  20
_Static_assert(HTTP_STALL_SECONDS_MAX + 5 <= HTTP_IDLE_SECONDS, "a stalled watch ends before it is cut");

struct MHD_Daemon;

struct http_listener {
    struct MHD_Daemon *daemon;
    bool tls;
    int fd; /* the daemon's, which closes it; ours while there is none; -1 = none */
    char text[HTTP_ADDRESS_TEXT_MAX];
};

/* What requests do not see is here; what they see is in `serving`. */
struct http {
    struct serving serving;
    struct connections connections;
    struct lingering *linger;
    size_t listener_count;
    struct http_listener listeners[HTTP_LISTEN_MAX];
};

/* Limits from the options, connections, TLS, workers. *ret is to be freed also after a failure; NULL: out of
 * memory. */
int server_new(const struct http_options *options, struct http **ret, struct err *err) MUST_CHECK;
/*
 * Open the sockets and serve. Every part of `serving` must be there. `sweep` is called with the server about
 * once a second, on the timer's thread. ERR_USAGE, ERR_UNAVAILABLE.
 */
int server_listen(struct http *http, const struct http_options *options, void (*sweep)(void *http),
                  struct err *err) MUST_CHECK;
/* Refuse who comes, answer who waits, finish what is in progress, end the threads: no request is left. */
void server_stop(struct http *http);
void server_free(struct http *http);

#endif
