/*
 * HTTP: the API of the design page "api" on libmicrohttpd (epoll, a pool of threads).
 */
#ifndef BGPPEERD_HTTP_H
#define BGPPEERD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "state.h"

#define HTTP_LISTEN_MAX       16
#define HTTP_ADDRESS_TEXT_MAX 64
#define HTTP_WAIT_MAX_S       300 /* longest `wait=` of a poll */

struct http_listen_address {
    struct ip_addr addr;
    uint16_t port;                                                 /* 0 = any free one */
    enum http_scheme { HTTP_EITHER, HTTP_PLAIN, HTTP_TLS } scheme; /* EITHER: TLS when it is configured */
};

/* "127.0.0.1:8080", "[::1]:8080", "https://0.0.0.0:0", "http://…". ERR_USAGE. */
int http_address_parse(const char *text, struct http_listen_address *ret, struct err *err) MUST_CHECK;
bool http_address_is_loopback(const struct http_listen_address *address);

/* Bounds of the settings below. */
#define HTTP_HEADER_BYTES_MIN  1024
#define HTTP_HEADER_BYTES_MAX  (64 * 1024)
#define HTTP_NODE_WRITES_BURST 20
#define HTTP_BODY_BYTES_MAX    (16 * 1024 * 1024)
/* Beyond, libmicrohttpd's idle time-out (30 s) would cut the connection first. */
#define HTTP_STALL_SECONDS_MAX 25

struct http_options {
    const char *const *listen; /* as http_address_parse takes them */
    size_t listen_count;       /* 1–HTTP_LISTEN_MAX */
    unsigned threads;          /* per listener; 0 = one a processor */
    unsigned connections_max;  /* per listener; 0 = default 16384 */
    unsigned parked_max;       /* waiting polls; 0 = default 20000 */
    unsigned watches_max;      /* 0 = default 20000 */
    size_t header_bytes_max;   /* of a request, HTTP_HEADER_BYTES_MIN–_MAX; every connection holds as much
                                * memory; 0 = default 5 KiB */
    size_t body_bytes_max;     /* 0 = default 1 MiB; at most HTTP_BODY_BYTES_MAX */
    const char *version;       /* of the program; must outlive the server */
    bool no_auth;              /* everybody is admin: loopback listeners only (ERR_USAGE) */
    bool insecure_http;        /* allow listeners beyond loopback without TLS; ERR_USAGE without */
    const char *tls_cert;      /* PEM files, tls_key with it; NULL = no TLS */
    const char *tls_key;
    const char *client_crl;           /* needs client_ca; NULL = nothing is revoked */
    const char *client_ca;            /* NULL = client certificates are not asked for */
    unsigned connections_per_address; /* 0 = no limit of its own */
    uint64_t requests_per_second;     /* of one user, twice as many in a burst; 0 = no limit */
    uint64_t node_writes;    /* of one node per minute, HTTP_NODE_WRITES_BURST at once; 0 = no limit */
    uint64_t auth_failures;  /* requests without a good credential per minute and address; 0 = no limit */
    unsigned header_seconds; /* for a request's headers, from the connection's opening or its last
                              * answer; 0 = default 40 */
    unsigned body_seconds;   /* for a whole body, from its request's beginning; 0 = default 30 */
    unsigned answer_seconds; /* for taking an answer that is no stream; 0 = default 300 */
    unsigned stall_seconds;  /* for taking a piece of a watch, 1–HTTP_STALL_SECONDS_MAX; 0 = default 20 */
};

struct http;

/* Are the options in order, as far as can be seen without opening anything? ERR_USAGE. http_start asks again.
 */
int http_check(const struct http_options *options, struct err *err) MUST_CHECK;
/* Listen and serve. ERR_USAGE: an address that cannot be parsed or bound. `state` must outlive it. */
int http_start(const struct http_options *options, struct state *state, struct http **ret,
               struct err *err) MUST_CHECK;
/* The address listener `index` is bound to, as text ("127.0.0.1:43211"); NULL beyond the last. */
const char *http_address(const struct http *http, size_t index);
/* Does listener `index` speak TLS? */
bool http_is_tls(const struct http *http, size_t index);
/* Read certificate, key and client CA again; connections go on. On failure the old ones stay. */
int http_reload(struct http *http, struct err *err) MUST_CHECK;
/* Stop accepting, answer parked polls, finish requests in flight (their writes are still answered by
 * the running state), free. About 3 s at most, unless writes or jobs hang: it waits for those. Accepts NULL.
 */
void http_stop(struct http *http);

#endif
