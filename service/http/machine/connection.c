/*
 * See connection.h. A connection is made from the socket's address and, for TLS, the session, which is asked
 * for a client certificate here, before the handshake. Owned by libmicrohttpd's connection. The list's lock
 * is held over shutdown(), so that no socket number is reused in between.
 */
#include "machine/connection.h"

#include <errno.h>
#include <malloc.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "machine/listen.h"
#include "machine/tls.h"

void connections_init(struct connections *all, size_t most, int64_t header_ms, int64_t answer_ms,
                      int64_t stall_ms) {
    *all = (struct connections){.crowded = most * CONNECTIONS_CROWDED_PERCENT / 100,
                                .header_ms = header_ms,
                                .answer_ms = answer_ms,
                                .stall_ms = stall_ms};
    pthread_mutex_init(&all->lock, NULL);
}

int64_t connections_answer_ms(const struct connections *all) {
    return all->answer_ms;
}

int64_t connections_stall_ms(const struct connections *all) {
    return all->stall_ms;
}

/* ---- what it does now ---- */

static void set_deadline(struct connection *connection, int64_t ms) {
    atomic_store_explicit(&connection->deadline_ms, ms == 0 ? 0 : clock_coarse_ms() + ms,
                          memory_order_relaxed);
}

/* How much the socket holds unsent; 0 = what the kernel thinks best. On failure it stays as it was. */
static void limit_ahead(const struct connection *connection, int bytes) {
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void connection_streams(struct connection *connection) {
    if (connection == NULL) {
        return;
    }
    if (!connection->streams) {
        connection->streams = true;
        limit_ahead(connection, CONNECTION_STREAM_AHEAD);
    }
    atomic_store_explicit(&connection->taken_by_ms, clock_monotonic_ms() + connection->all->stall_ms,
                          memory_order_relaxed);
}

bool connection_has_taken(struct connection *connection) {
    return connection == NULL ||
           atomic_exchange_explicit(&connection->taken_by_ms, 0, memory_order_relaxed) != CONNECTION_STALLED;
}

bool connection_has_gone(const struct connection *connection) {
    if (connection == NULL || connection->fd < 0) {
        return false;
    }
    char byte;
    ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void connection_awaits(struct connection *connection) {
    if (connection != NULL) {
        if (connection->streams) {
            connection->streams = false;
            atomic_store_explicit(&connection->taken_by_ms, 0, memory_order_relaxed);
            limit_ahead(connection, 0);
        }
        set_deadline(connection, connection->all->header_ms);
    }
}

void connection_serves(struct connection *connection) {
    if (connection != NULL) {
        set_deadline(connection, 0);
    }
}

void connection_answers(struct connection *connection) {
    if (connection != NULL) {
        set_deadline(connection, connection->all->answer_ms);
    }
}

/* ---- all of them, now and then ---- */

/* Has a crowd gone? glibc keeps what it freed below its newest blocks: a flood would show in the process's
 * size for ever. */
static bool crowd_has_gone(struct connections *all, int64_t now_ms) {
    if (all->most - all->count < CONNECTIONS_TRIM_COUNT || now_ms - all->trimmed_ms < CONNECTIONS_TRIM_MS) {
        return false;
    }
    all->most = all->count;
    all->trimmed_ms = now_ms;
    return true;
}

/* Its thread may be taking the next piece at this moment: then it is too late to call it stalled. */
static void look_for_stall(struct connection *connection, int64_t now_ms) {
    int64_t by_ms = atomic_load_explicit(&connection->taken_by_ms, memory_order_relaxed);
    if (by_ms > 0 && by_ms <= now_ms &&
        atomic_compare_exchange_strong_explicit(&connection->taken_by_ms, &by_ms, CONNECTION_STALLED,
                                                memory_order_relaxed, memory_order_relaxed)) {
        limit_ahead(connection, 0);
        log_event(LOG_INFO, "watch-stalled", LOG_STR("remote", connection->address),
                  LOG_STR("text", "its reader took too long to take an event; it has to list again"));
    }
}

/* Make room for callers that are known. Under the lock. */
static void turn_strangers_away(struct connections *all, int64_t now_ms) {
    size_t excess = all->count > all->crowded ? all->count - all->crowded : 0;
    struct connection *connection = all->last;
    for (; excess > 0 && connection != NULL; connection = connection->prev) {
        if (now_ms - connection->opened_ms < CONNECTIONS_STRANGER_MS) {
            return; /* all that follow are newer */
        }
        if (connection->turned_away) {
            excess--; /* its thread has not come to it yet */
            continue;
        }
        if (atomic_load_explicit(&connection->known, memory_order_relaxed)) {
            continue;
        }
        (void)shutdown(connection->fd, SHUT_RDWR);
        connection->turned_away = true;
        all->cut++;
        excess--;
        log_event(LOG_WARN, "connection-cut", LOG_STR("remote", connection->address),
                  LOG_STR("text", "there are too many connections, and this one has shown no credential"));
    }
}

void connections_sweep(struct connections *all) {
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&all->lock);
    turn_strangers_away(all, now_ms);
    for (struct connection *connection = all->first; connection != NULL; connection = connection->next) {
        int64_t deadline_ms = atomic_load_explicit(&connection->deadline_ms, memory_order_relaxed);
        if (deadline_ms != 0 && deadline_ms <= now_ms) {
            /* Its own thread sees the end of the connection and closes it. */
            (void)shutdown(connection->fd, SHUT_RDWR);
            connection_serves(connection);
            all->cut++;
            log_event(LOG_INFO, "connection-cut", LOG_STR("remote", connection->address),
                      LOG_STR("text", "it took too long to send a request or to take an answer"));
        }
        look_for_stall(connection, now_ms);
    }
    bool trim = crowd_has_gone(all, now_ms);
    pthread_mutex_unlock(&all->lock);
    if (trim) {
        (void)malloc_trim(0);
    }
}

void connections_refuse(struct connections *all) {
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&all->lock);
    uint64_t refused = ++all->refused;
    bool tell = all->refused_ms == 0 || now_ms - all->refused_ms >= CONNECTIONS_REFUSED_LOG_MS;
    if (tell) {
        all->refused_ms = now_ms;
    }
    pthread_mutex_unlock(&all->lock);
    if (tell) {
        log_event(
            LOG_WARN, "connections-refused", LOG_INT("refused", (int64_t)refused),
            LOG_STR("text",
                    "an address has as many connections as --max-connections-per-address allows, or all "
                    "addresses together as many as --max-connections; for a proxy, raise the first"));
    }
}

void connections_read(struct connections *all, struct connections_figures *ret) {
    pthread_mutex_lock(&all->lock);
    *ret = (struct connections_figures){
        .open = all->count, .opened = all->opened, .cut = all->cut, .refused = all->refused};
    pthread_mutex_unlock(&all->lock);
}

/* ---- life ---- */

static void add_to_list(struct connection *connection) {
    struct connections *all = connection->all;
    pthread_mutex_lock(&all->lock);
    connection->next = all->first;
    if (connection->next != NULL) {
        connection->next->prev = connection;
    } else {
        all->last = connection;
    }
    all->first = connection;
    all->count++;
    all->opened++;
    if (all->count > all->most) {
        all->most = all->count;
    }
    pthread_mutex_unlock(&all->lock);
}

struct connection *connection_new(struct connections *all, struct MHD_Connection *mhd) {
    struct connection *connection = base_calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return NULL;
    }
    connection->all = all;
    connection->mhd = mhd;
    connection->opened_ms = clock_monotonic_ms();
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL) {
        (void)listen_remote_text(info->client_addr, connection->address);
        (void)listen_remote_network(info->client_addr, &connection->network);
    }
    connection->tls = tls_prepare(mhd);
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection->fd = info != NULL ? info->connect_fd : -1;
    connection_awaits(connection);
    add_to_list(connection);
    return connection;
}

void connection_free(struct connection *connection) {
    if (connection == NULL) {
        return;
    }
    struct connections *all = connection->all;
    pthread_mutex_lock(&all->lock);
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        all->first = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    } else {
        all->last = connection->prev;
    }
    all->count--;
    pthread_mutex_unlock(&all->lock);
    free(connection);
}

void connection_is_known(struct connection *connection) {
    if (connection != NULL && !atomic_load_explicit(&connection->known, memory_order_relaxed)) {
        atomic_store_explicit(&connection->known, true, memory_order_relaxed);
    }
}

struct connection *connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

const char *connection_address(const struct connection *connection) {
    return connection != NULL ? connection->address : "";
}

/* ---- client certificates ---- */

bool connection_may_certify(const struct connection *connection) {
    return connection != NULL && connection->tls && connection->all->tls != NULL;
}

enum certificate_state connection_certificate(struct connection *connection, struct principal *ret,
                                              struct err *err) {
    int64_t now_ms = clock_monotonic_ms();
    if (connection->certificate == CERTIFICATE_UNSEEN ||
        now_ms - connection->verified_ms >= CERTIFICATE_VERIFY_MS) {
        struct err failure = ERR_INIT;
        bool present = false;
        int result =
            tls_client(connection->all->tls, connection->mhd, &present, &connection->principal, &failure);
        connection->verified_ms = now_ms;
        connection->certificate = !present      ? CERTIFICATE_NONE
                                  : result == 0 ? CERTIFICATE_GOOD
                                                : CERTIFICATE_BAD;
        if (connection->certificate == CERTIFICATE_BAD) {
            *err = failure;
            return CERTIFICATE_BAD;
        }
    }
    if (connection->certificate == CERTIFICATE_GOOD) {
        *ret = connection->principal;
    } else if (connection->certificate == CERTIFICATE_BAD) {
        err_set(err, ERR_UNAUTHORIZED, "the client certificate of this connection was refused");
    }
    return connection->certificate;
}
