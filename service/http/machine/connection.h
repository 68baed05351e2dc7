/*
 * Connection: what is known of one, beside what libmicrohttpd knows. It is the connection's own context
 * there; made when it is accepted, freed when it is closed, used by its thread alone but for its deadline.
 *
 * The deadline is for what idle time-outs do not see: a client that sends its headers, or takes its answer,
 * byte by byte for ever. All connections stand in one list, which a timer looks through.
 *
 * A stream (a watch) has no deadline, but what it sends has to be taken. When a socket takes nothing more,
 * libmicrohttpd waits for HTTP_IDLE_SECONDS and closes it, in the middle of a chunk; and the kernel says that
 * a socket takes more only when a third of its buffer is free, which are megabytes. So little is sent ahead
 * of a stream's reader, and when it stalls, the rest of the buffer is opened for the stream's end.
 *
 * A request has no connection here when there was no memory for it: every function that takes one says so.
 */
#ifndef BGPPEERD_HTTP_MACHINE_CONNECTION_H
#define BGPPEERD_HTTP_MACHINE_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth.h"
#include "base/err.h"
#include "base/ip.h"
#include "http.h"

#define CERTIFICATE_VERIFY_MS 60000 /* a client certificate's verification is worth that long */
/* When so many connections have gone, the allocator is asked to give their memory back; that often at most.
 */
#define CONNECTIONS_TRIM_COUNT 512
#define CONNECTIONS_TRIM_MS    10000
/* Bytes that a stream's socket holds and has not sent, before it takes no more. Less than the smallest buffer
 * that Linux gives a connection: what is beyond is for the stream's end. */
#define CONNECTION_STREAM_AHEAD 16384

#define CONNECTION_STALLED (-1)

enum certificate_state { CERTIFICATE_UNSEEN, CERTIFICATE_NONE, CERTIFICATE_GOOD, CERTIFICATE_BAD };

struct MHD_Connection;
struct connections;
struct request;
struct tls;

struct connection {
    struct connections *all;
    struct MHD_Connection *mhd;
    char address[HTTP_ADDRESS_TEXT_MAX]; /* "192.0.2.7:40112"; "" = not known */
    struct ip_addr network;              /* by which it is limited: listen_remote_network */
    bool tls;
    enum certificate_state certificate;
    int64_t verified_ms;        /* monotonic */
    struct principal principal; /* CERTIFICATE_GOOD */
    struct token_memory token;  /* the last good one */
    int fd;
    struct request *request;     /* the one under way, NULL = none; the connection's thread alone */
    _Atomic int64_t deadline_ms; /* monotonic: the connection is cut then; 0 = none */
    bool streams;                /* the connection's thread alone */
    int64_t opened_ms;           /* monotonic */
    atomic_bool known;           /* a request of it had a good credential */
    bool turned_away;            /* the list's lock: was cut for others' sake */
    _Atomic int64_t taken_by_ms; /* monotonic: when the stream's reader must have taken what it was sent; 0 =
                                  * nothing is under way, CONNECTION_STALLED = it has not */
    struct connection *prev, *next; /* the list's lock */
};

/* When more than CONNECTIONS_CROWDED_PERCENT of the connections that there may be are open, those that are
 * older than CONNECTIONS_STRANGER_MS and never had a good credential are cut, the oldest first. */
#define CONNECTIONS_CROWDED_PERCENT 90
#define CONNECTIONS_STRANGER_MS     5000
#define CONNECTIONS_REFUSED_LOG_MS  10000

/* The open connections. The lock guards the list and its counts and keeps its sockets open. */
struct connections {
    struct tls *tls; /* NULL: no listener has TLS */
    pthread_mutex_t lock;
    struct connection *first, *last; /* newest first */
    size_t count;
    size_t crowded;     /* with more than so many, strangers are cut */
    size_t most;        /* since memory was last given back */
    uint64_t opened;    /* since the start */
    uint64_t cut;       /* … because their deadline was over */
    uint64_t refused;   /* … at once, because there were too many */
    int64_t refused_ms; /* monotonic: when that was logged last; 0 = never */
    int64_t trimmed_ms; /* monotonic; the sweep's own */
    int64_t header_ms;  /* for a request's headers, from the connection's opening or its last answer */
    int64_t answer_ms;  /* for taking an answer */
    int64_t stall_ms;   /* for taking a piece of a stream */
};
void connections_init(struct connections *all, size_t most, int64_t header_ms, int64_t answer_ms,
                      int64_t stall_ms);
/* Cut the connections whose deadline is over; note the streams that stall; give memory back after a crowd has
 * gone. One thread, now and then. */
void connections_sweep(struct connections *all);
/* A connection was closed as soon as it was accepted, because its address, or the service, has as many as it
 * may. Counted, and logged once in CONNECTIONS_REFUSED_LOG_MS. Any thread. */
void connections_refuse(struct connections *all);

/* For monitoring. */
struct connections_figures {
    uint64_t open;
    uint64_t opened;
    uint64_t cut;
    uint64_t refused;
};
void connections_read(struct connections *all, struct connections_figures *ret);
/* Times that a reader is told: for taking an answer, and a piece of a stream. */
int64_t connections_answer_ms(const struct connections *all);
int64_t connections_stall_ms(const struct connections *all);

/* NULL when memory is out. */
struct connection *connection_new(struct connections *all, struct MHD_Connection *mhd);
/* The connection is being closed; its socket is still open. Accepts NULL. */
void connection_free(struct connection *connection);

/* What the connection does now, for its deadline. Accept NULL. */
void connection_awaits(struct connection *connection);  /* the next request */
void connection_serves(struct connection *connection);  /* headers are in, or a stream runs: none */
void connection_answers(struct connection *connection); /* an answer goes out */

/* A piece of a stream goes out; its reader should have taken it in stall_ms. Accepts NULL. */
void connection_streams(struct connection *connection);
/* The piece before is out. false: it took too long, and the stream is to end. Accepts NULL. */
bool connection_has_taken(struct connection *connection);
/* Has its client closed it? Looked at without reading. false when it is NULL. */
bool connection_has_gone(const struct connection *connection);

/* The context of libmicrohttpd's connection; NULL: there was no memory for it. */
struct connection *connection_of(struct MHD_Connection *mhd);
/* A request of the connection had a good credential. Accepts NULL. */
void connection_is_known(struct connection *connection);
/* Its address, "" when it is not known. Accepts NULL. */
const char *connection_address(const struct connection *connection);

/* Could the connection have a client certificate? false when it is NULL. */
bool connection_may_certify(const struct connection *connection);
/*
 * The principal of its client certificate, verified now or lately. CERTIFICATE_NONE: it has none. BAD
 * (ERR_UNAUTHORIZED, or what else went wrong, in `err`): it is refused.
 */
enum certificate_state connection_certificate(struct connection *connection, struct principal *ret,
                                              struct err *err) MUST_CHECK;

#endif
