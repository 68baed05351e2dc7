/*
 * Peer: made from the socket's address and, for TLS, the session, which is asked for a client certificate
 * here, before the handshake. Owned by its connection. The list's lock is held over shutdown(), so that no
 * socket number is reused in between.
 */
#include "machine/connection.h"

#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "machine/listen.h"
#include "machine/tls.h"

void peers_init(struct peers *peers, int64_t header_ms, int64_t answer_ms, int64_t stall_ms) {
    *peers = (struct peers){.header_ms = header_ms, .answer_ms = answer_ms, .stall_ms = stall_ms};
    pthread_mutex_init(&peers->lock, NULL);
}

static void set_deadline(struct peer *peer, int64_t ms) {
    atomic_store_explicit(&peer->deadline_ms, ms == 0 ? 0 : clock_coarse_ms() + ms, memory_order_relaxed);
}

/* How much the socket holds unsent; 0 = what the kernel thinks best. On failure it stays as it was. */
static void limit_ahead(const struct peer *peer, int bytes) {
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void peer_streams(const struct peers *peers, struct peer *peer) {
    if (peer == NULL) {
        return;
    }
    if (!peer->streams) {
        peer->streams = true;
        limit_ahead(peer, PEER_STREAM_AHEAD);
    }
    atomic_store_explicit(&peer->taken_by_ms, clock_monotonic_ms() + peers->stall_ms, memory_order_relaxed);
}

bool peer_has_taken(struct peer *peer) {
    return peer == NULL ||
           atomic_exchange_explicit(&peer->taken_by_ms, 0, memory_order_relaxed) != PEER_STALLED;
}

void peer_awaits(const struct peers *peers, struct peer *peer) {
    if (peer != NULL) {
        if (peer->streams) {
            peer->streams = false;
            atomic_store_explicit(&peer->taken_by_ms, 0, memory_order_relaxed);
            limit_ahead(peer, 0);
        }
        set_deadline(peer, peers->header_ms);
    }
}

void peer_serves(struct peer *peer) {
    if (peer != NULL) {
        set_deadline(peer, 0);
    }
}

void peer_answers(const struct peers *peers, struct peer *peer) {
    if (peer != NULL) {
        set_deadline(peer, peers->answer_ms);
    }
}

/* Has a crowd gone? glibc keeps what it freed below its newest blocks: a flood would show in the process's
 * size for ever. */
static bool crowd_has_gone(struct peers *peers, int64_t now_ms) {
    if (peers->most - peers->count < PEERS_TRIM_COUNT || now_ms - peers->trimmed_ms < PEERS_TRIM_MS) {
        return false;
    }
    peers->most = peers->count;
    peers->trimmed_ms = now_ms;
    return true;
}

/* Its thread may be taking the next piece at this moment: then it is too late to call it stalled. */
static void look_for_stall(struct peer *peer, int64_t now_ms) {
    int64_t by_ms = atomic_load_explicit(&peer->taken_by_ms, memory_order_relaxed);

    if (by_ms > 0 && by_ms <= now_ms &&
        atomic_compare_exchange_strong_explicit(&peer->taken_by_ms, &by_ms, PEER_STALLED,
                                                memory_order_relaxed, memory_order_relaxed)) {
        limit_ahead(peer, 0);
        log_event(LOG_INFO, "watch-stalled", LOG_STR("remote", peer->address),
                  LOG_STR("text", "its reader took too long to take an event; it has to list again"));
    }
}

void peers_sweep(struct peers *peers) {
    int64_t now_ms = clock_monotonic_ms();
    bool trim;

    pthread_mutex_lock(&peers->lock);
    for (struct peer *peer = peers->first; peer != NULL; peer = peer->next) {
        int64_t deadline_ms = atomic_load_explicit(&peer->deadline_ms, memory_order_relaxed);

        if (deadline_ms != 0 && deadline_ms <= now_ms) {
            /* Its own thread sees the end of the connection and closes it. */
            (void)shutdown(peer->fd, SHUT_RDWR);
            peer_serves(peer);
            peers->cut++;
            log_event(LOG_INFO, "connection-cut", LOG_STR("remote", peer->address),
                      LOG_STR("text", "it took too long to send a request or to take an answer"));
        }
        look_for_stall(peer, now_ms);
    }
    trim = crowd_has_gone(peers, now_ms);
    pthread_mutex_unlock(&peers->lock);
    if (trim) {
        (void)malloc_trim(0);
    }
}

void peers_read(struct peers *peers, struct peers_figures *ret) {
    pthread_mutex_lock(&peers->lock);
    *ret = (struct peers_figures){.open = peers->count, .opened = peers->opened, .cut = peers->cut};
    pthread_mutex_unlock(&peers->lock);
}

struct peer *peer_new(struct peers *peers, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info;
    struct peer *peer = calloc(1, sizeof *peer);

    if (peer == NULL) {
        return NULL;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL) {
        (void)listen_peer_text(info->client_addr, peer->address);
        (void)listen_peer_network(info->client_addr, &peer->network);
    }
    peer->tls = tls_prepare(connection);
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    peer->fd = info != NULL ? info->connect_fd : -1;
    peer_awaits(peers, peer);
    pthread_mutex_lock(&peers->lock);
    peer->next = peers->first;
    if (peer->next != NULL) {
        peer->next->prev = peer;
    }
    peers->first = peer;
    peers->count++;
    peers->opened++;
    if (peers->count > peers->most) {
        peers->most = peers->count;
    }
    pthread_mutex_unlock(&peers->lock);
    return peer;
}

void peer_free(struct peers *peers, struct peer *peer) {
    if (peer == NULL) {
        return;
    }
    pthread_mutex_lock(&peers->lock);
    if (peer->prev != NULL) {
        peer->prev->next = peer->next;
    } else {
        peers->first = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->prev = peer->prev;
    }
    peers->count--;
    pthread_mutex_unlock(&peers->lock);
    free(peer);
}

struct peer *peer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

const char *peer_address(const struct peer *peer) {
    return peer != NULL ? peer->address : "";
}
