/*
 * Peer: what is known of a connection's other end. The connection's own context of libmicrohttpd; made when
 * it is accepted, freed when it is closed, used by its thread alone but for its deadline.
 *
 * The deadline is what idle time-outs do not see: a client that sends its headers, or takes its answer, byte
 * by byte for ever. All peers stand in one list, which a timer looks through.
 */
#ifndef BGPPEERD_HTTP_PEER_H
#define BGPPEERD_HTTP_PEER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth.h"
#include "base/ip.h"
#include "http.h"

#define PEER_VERIFY_MS 60000 /* a client certificate's verification is worth that long */
/* When so many connections have gone, the allocator is asked to give their memory back; that often at most.
 */
#define PEERS_TRIM_COUNT 512
#define PEERS_TRIM_MS    10000

enum peer_certificate { PEER_UNSEEN, PEER_NO_CERTIFICATE, PEER_GOOD, PEER_BAD };

struct request;

struct peer {
    char address[HTTP_ADDRESS_TEXT_MAX]; /* "192.0.2.7:40112"; "" = not known */
    struct ip_addr ip;
    bool tls;
    enum peer_certificate certificate;
    int64_t verified_ms;        /* monotonic */
    struct principal principal; /* PEER_GOOD */
    struct token_memory token;  /* the last good one */
    int fd;
    struct request *request;     /* the one under way, NULL = none; the connection's thread alone */
    _Atomic int64_t deadline_ms; /* monotonic: the connection is cut then; 0 = none */
    struct peer *prev, *next;    /* the list's lock */
};

/* The open connections. The lock guards the list and its counts and keeps its sockets open. */
struct peers {
    pthread_mutex_t lock;
    struct peer *first;
    size_t count;
    size_t most;        /* since memory was last given back */
    uint64_t opened;    /* since the start */
    uint64_t cut;       /* … because their deadline was over */
    int64_t trimmed_ms; /* monotonic; the sweep's own */
    int64_t header_ms;  /* for a request's headers, from the connection's opening or its last answer */
    int64_t answer_ms;  /* for taking an answer */
};
void peers_init(struct peers *peers, int64_t header_ms, int64_t answer_ms);
/* Cut the connections whose deadline is over; give memory back after a crowd has gone. One thread, now and
 * then. */
void peers_sweep(struct peers *peers);

/* For monitoring. */
struct peers_figures {
    uint64_t open;
    uint64_t opened;
    uint64_t cut;
};
void peers_read(struct peers *peers, struct peers_figures *ret);

/* NULL when memory is out. */
struct peer *peer_new(struct peers *peers, struct MHD_Connection *connection);
/* The connection is being closed; its socket is still open. Accepts NULL. */
void peer_free(struct peers *peers, struct peer *peer);

/* What the connection does now, for its deadline. Accept NULL. */
void peer_awaits(const struct peers *peers, struct peer *peer);  /* the next request */
void peer_serves(struct peer *peer);                             /* headers are in, or a stream runs: none */
void peer_answers(const struct peers *peers, struct peer *peer); /* an answer goes out */

/* The connection's peer; NULL: there was no memory for it. */
struct peer *peer_of(struct MHD_Connection *connection);
/* Its address, "" when it is not known. Accepts NULL. */
const char *peer_address(const struct peer *peer);

#endif
