/*
 * The HTTP server's own struct, shared by the files of this room.
 *
 * Built by http_start before any request arrives, immutable afterwards except where said: the
 * members with locks of their own (park, pages) and the atomics.
 */
#ifndef BGPPEERD_HTTP_MACHINE_SERVER_H
#define BGPPEERD_HTTP_MACHINE_SERVER_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"
#include "admin/discovery.h"
#include "admin/vault_operation.h"
#include "auth.h"
#include "http.h"
#include "machine/connection.h"
#include "machine/linger.h"
#include "machine/listen.h"
#include "machine/park.h"
#include "machine/tls.h"
#include "machine/worker.h"
#include "objects/pages.h"
#include "objects/preview.h"
#include "request/router.h"
#include "state.h"

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
#define HTTP_DRAIN_MS    3000

/* Requests in progress, counted apart per thread: one counter would bounce between processors. */
#define HTTP_SHARDS 64
struct http_shard {
    _Alignas(64) atomic_uint active;
};

/* Defaults of the limits of callers; http.h has their meaning. */
#define HTTP_HEADER_SECONDS_DEFAULT 40
#define HTTP_ANSWER_SECONDS_DEFAULT 300
#define HTTP_STALL_SECONDS_DEFAULT  20
_Static_assert(HTTP_STALL_SECONDS_MAX + 5 <= HTTP_IDLE_SECONDS, "a stalled watch ends before it is cut");

struct metrics;

struct http_listener {
    struct MHD_Daemon *daemon;
    bool tls;
    int fd; /* the daemon's, which closes it; ours while there is none; -1 = none */
    char text[HTTP_ADDRESS_TEXT_MAX];
};

struct http {
    struct state *state;
    const char *version;
    struct router router;
    const struct route *routes;  /* the table */
    struct route_access *access; /* what each of them asks for */
    bool no_auth;                /* everybody is admin */
    struct tls *tls;             /* NULL: no listener has TLS */
    struct limiter *requests;    /* per user; NULL = no limit */
    struct limiter *failures;    /* of authentication, per address; NULL = no limit */
    struct peers peers;          /* the open connections */
    struct limiter *refusals;    /* entries of the audit trail, per address */
    struct documents documents;
    struct park *park;
    struct pages *pages;
    struct lingering *linger;
    struct worker *worker;
    struct worker *slow_worker; /* changes of the vault's keys, backups: previews must not wait for them */
    struct vault_operations vault_operations;
    struct shown_previews previews;
    size_t listener_count;
    struct http_listener listeners[HTTP_LISTEN_MAX];
    atomic_bool stopping;  /* no new waiting; connections are closed after their answer */
    atomic_uint suspended; /* connections that libmicrohttpd holds for us */
    atomic_uint watches;
    unsigned watches_max;
    size_t header_bytes_max;
    size_t body_bytes_max;
    int64_t body_ms;
    uint64_t connections_max; /* on all listeners together */
    struct metrics *metrics;
    atomic_uint next_shard;
    struct http_shard shards[HTTP_SHARDS];
};

/* Requests under way, those that wait included. */
unsigned http_active_requests(const struct http *http);

#endif
