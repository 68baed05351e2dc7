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

#define HTTP_BODY_MAX         (1024 * 1024)
#define HTTP_LISTEN_MAX       16
#define HTTP_ADDRESS_TEXT_MAX 64
#define HTTP_WAIT_MAX_S       300 /* longest `wait=` of a poll */

struct http_listen_address {
    struct ip_addr addr;
    uint16_t port; /* 0 = any free one */
};

/* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0". ERR_USAGE. */
int http_address_parse(const char *text, struct http_listen_address *ret, struct err *err) MUST_CHECK;
bool http_address_is_loopback(const struct http_listen_address *address);

struct http_options {
    const char *const *listen; /* as http_address_parse takes them */
    size_t listen_count;       /* 1–HTTP_LISTEN_MAX */
    unsigned threads;          /* per listener; 0 = one a processor */
    unsigned connections_max;  /* per listener; 0 = default 16384 */
    unsigned parked_max;       /* waiting polls; 0 = default 20000 */
    const char *version;       /* of the program; must outlive the server */
};

struct http;

/* Listen and serve. ERR_USAGE: an address that cannot be parsed or bound. `state` must outlive it. */
int http_start(const struct http_options *options, struct state *state, struct http **ret,
               struct err *err) MUST_CHECK;
/* The address listener `index` is bound to, as text ("127.0.0.1:43211"); NULL beyond the last. */
const char *http_address(const struct http *http, size_t index);
/* Stop accepting, answer parked polls, finish requests in flight (their writes are still answered by
 * the running state), free. At most about 4 s. Accepts NULL. */
void http_stop(struct http *http);

#endif
