/*
 * Peer: what is known of a connection's other end. The connection's own context of libmicrohttpd; made when
 * it is accepted, freed when it is closed, used by its thread alone but for its deadline.
 *
 * The deadline is what idle time-outs do not see: a client that sends its headers, or takes its answer, byte
 * by byte for ever. All peers stand in one list, which a timer looks through.
 *
 * A stream (a watch) has no deadline, but what it sends has to be taken. When a socket takes nothing more,
 * libmicrohttpd waits for HTTP_IDLE_SECONDS and closes it, in the middle of a chunk; and the kernel says that
 * a socket takes more only when a third of its buffer is free, which are megabytes. So little is sent ahead
 * of a stream's reader, and when it stalls, the rest of the buffer is opened for the stream's end.
 */
#ifndef BGPPEERD_HTTP_MACHINE_CONNECTION_H
#define BGPPEERD_HTTP_MACHINE_CONNECTION_H

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
/* Bytes that a stream's socket holds and has not sent, before it takes no more. Less than the smallest buffer
 * that Linux gives a connection: what is beyond is for the stream's end. */
#define PEER_STREAM_AHEAD 16384

#define PEER_STALLED (-1)

enum peer_certificate { PEER_UNSEEN, PEER_NO_CERTIFICATE, PEER_GOOD, PEER_BAD };

struct request;

struct peer {
    char address[HTTP_ADDRESS_TEXT_MAX]; /* "192.0.2.7:40112"; "" = not known */
    struct ip_addr network;              /* by which it is limited: listen_peer_network */
    bool tls;
    enum peer_certificate certificate;
    int64_t verified_ms;        /* monotonic */
    struct principal principal; /* PEER_GOOD */
    struct token_memory token;  /* the last good one */
    int fd;
    struct request *request;     /* the one under way, NULL = none; the connection's thread alone */
    _Atomic int64_t deadline_ms; /* monotonic: the connection is cut then; 0 = none */
    bool streams;                /* the connection's thread alone */
    _Atomic int64_t taken_by_ms; /* monotonic: when the stream's reader must have taken what it was sent; 0 =
                                  * nothing is under way, PEER_STALLED = it has not */
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
    int64_t stall_ms;   /* for taking a piece of a stream */
};
void peers_init(struct peers *peers, int64_t header_ms, int64_t answer_ms, int64_t stall_ms);
/* Cut the connections whose deadline is over; note the streams that stall; give memory back after a crowd has
 * gone. One thread, now and then. */
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

/* A piece of a stream goes out; its reader should have taken it in stall_ms. Accepts NULL. */
void peer_streams(const struct peers *peers, struct peer *peer);
/* The piece before is out. false: it took too long, and the stream is to end. Accepts NULL. */
bool peer_has_taken(struct peer *peer);

/* The connection's peer; NULL: there was no memory for it. */
struct peer *peer_of(struct MHD_Connection *connection);
/* Its address, "" when it is not known. Accepts NULL. */
const char *peer_address(const struct peer *peer);

#endif
