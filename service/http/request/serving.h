/*
 * Serving: what a request may see of the server that it runs in: state, limits, counters, and the parts that
 * handlers use, each by a pointer to a struct that only its owner knows.
 *
 * Made before any request arrives and immutable afterwards, but for the atomics and what has a lock of its
 * own. Every part outlives every request.
 */
#ifndef BGPPEERD_HTTP_REQUEST_SERVING_H
#define BGPPEERD_HTTP_REQUEST_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "request/router.h"
#include "state.h"

/* Requests in progress, counted apart per thread: one counter would bounce between processors. */
#define SERVING_SHARDS 64
struct serving_shard {
    _Alignas(64) atomic_uint active;
};

struct connections;
struct documents;
struct err;
struct metrics;
struct pages;
struct park;
struct request;
struct route_access;
struct shown_previews;
struct tls;
struct vault_operations;
struct worker;

struct serving {
    struct state *state;
    const char *version;         /* of the program */
    const char *library_version; /* of libmicrohttpd */
    struct router router;
    const struct route *routes; /* the table */
    size_t route_count;
    struct metrics *metrics;

    /* machine/ */
    struct connections *connections;
    struct tls *tls; /* NULL: no listener has TLS */
    struct park *park;
    struct worker *worker;
    struct worker *slow_worker; /* changes of the vault's keys, backups: previews must not wait for them */
    uint64_t connections_max;   /* on all listeners together */

    /* access/: asked between routing and handler, with the outcome of routing. 0, or -1 with what to answer.
     */
    int (*admit)(struct request *request, int routed, struct err *err);
    struct route_access *access;  /* what each route asks for, in the table's order */
    bool no_auth;                 /* everybody is admin */
    struct limiter *requests;     /* per user; NULL = no limit */
    struct limiter *reports;      /* of what sessions do, per node */
    struct limiter *node_writes;  /* about itself, per node; NULL = no limit */
    struct limiter *failures;     /* of authentication, per address; NULL = no limit */
    struct limiter *secret_tries; /* previews of Secrets, per user */
    struct limiter *refusals;     /* entries of the audit trail, per address */

    /* handlers */
    struct pages *pages;
    struct shown_previews *previews;
    struct documents *documents;
    struct vault_operations *vault_operations;

    size_t header_bytes_max;
    size_t body_bytes_max;
    int64_t body_ms;
    unsigned watches_max;
    atomic_uint watches;
    atomic_bool stopping;  /* no new waiting; connections are closed after their answer */
    atomic_bool closed;    /* no handler begins any more: nothing new may be suspended */
    atomic_uint suspended; /* connections that libmicrohttpd holds for us */
    atomic_uint next_shard;
    struct serving_shard shards[SERVING_SHARDS];
};

/* Requests under way, those that wait included. */
unsigned serving_active(const struct serving *serving);

#endif
