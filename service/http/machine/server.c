/*
 * Server: the libmicrohttpd daemons, their settings, their start and their stop.
 *
 * One daemon per listening socket, each an epoll loop per thread.
 *
 * Stopping: no new connections, waiting polls answered, requests in progress finished (bounded), then
 * the daemons. libmicrohttpd ends the process when it is stopped with suspended connections, and whoever
 * will resume them needs everything below; so those that are left after the drain (the disk does not
 * answer) are waited for as long as it takes. A bound for that is the process's own.
 */
#include "machine/server.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "machine/dispatch.h"
#include "machine/linger.h"
#include "machine/listen.h"
#include "machine/park.h"
#include "machine/tls.h"
#include "machine/worker.h"

/* Paths and queries are decoded by us, strictly; libmicrohttpd must leave them as they came. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* How the library says that it has closed a connection at once, for either limit. It has no other way to
 * tell. */
#define LIMIT_MESSAGE "Server reached connection limit"

static void on_library_message(void *cls, const char *format, va_list args) {
    struct http *http = cls;
    if (strncmp(format, LIMIT_MESSAGE, strlen(LIMIT_MESSAGE)) == 0) {
        connections_refuse(&http->connections);
        return;
    }
    if (!log_enabled(LOG_DEBUG)) {
        return;
    }
    char text[512];
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_event(LOG_DEBUG, "libmicrohttpd", LOG_STR("text", text));
}

static unsigned processor_count(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

/* Of one listener. */
static unsigned thread_count(const struct http_options *options) {
    unsigned threads = options->threads > 0 ? options->threads : processor_count();
    return threads < HTTP_THREADS_MAX ? threads : HTTP_THREADS_MAX;
}

static unsigned connection_limit(const struct http_options *options) {
    unsigned connections = options->connections_max > 0 ? options->connections_max : HTTP_CONNECTIONS_DEFAULT;
    unsigned threads = thread_count(options);
    return connections > threads ? connections : threads;
}

static int start_daemon(struct http *http, const struct http_options *options, struct http_listener *listener,
                        struct err *err) {
    unsigned threads = thread_count(options);
    unsigned connections = connection_limit(options);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                     MHD_USE_ERROR_LOG | (listener->tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem more[5];
    size_t n = 0;
    if (threads > 1) { /* a pool of one is refused; one thread is the default */
        more[n++] =
            (struct MHD_OptionItem){.option = MHD_OPTION_THREAD_POOL_SIZE, .value = (intptr_t)threads};
    }
    if (options->connections_per_address > 0) {
        more[n++] = (struct MHD_OptionItem){.option = MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                            .value = (intptr_t)options->connections_per_address};
    }
    if (listener->tls) {
        more[n++] = (struct MHD_OptionItem){.option = MHD_OPTION_HTTPS_PRIORITIES,
                                            .ptr_value = (void *)(uintptr_t)TLS_PRIORITIES};
        more[n++] = tls_option();
    }
    more[n] = (struct MHD_OptionItem){.option = MHD_OPTION_END};
    listener->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, dispatch_request, http, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_EXTERNAL_LOGGER, on_library_message, http, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, http->serving.header_bytes_max + HTTP_ANSWER_ROOM,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_SECONDS, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_URI_LOG_CALLBACK, dispatch_uri, http, MHD_OPTION_NOTIFY_COMPLETED,
        dispatch_completed, http, MHD_OPTION_NOTIFY_CONNECTION, dispatch_connection, http, MHD_OPTION_ARRAY,
        more, MHD_OPTION_END);
    if (listener->daemon == NULL) {
        listener->fd = -1; /* most of what can go wrong there closes it, and nobody says so */
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot serve on %s: libmicrohttpd did not start (%u threads, %u "
                       "connections); is the limit of open files or threads too low?",
                       listener->text, threads, connections);
    }
    return 0;
}

static int64_t milliseconds(unsigned seconds, unsigned otherwise) {
    return 1000 * (int64_t)(seconds > 0 ? seconds : otherwise);
}

static void set_limits(struct serving *serving, const struct http_options *options) {
    serving->watches_max = options->watches_max > 0 ? options->watches_max : HTTP_WATCHES_DEFAULT;
    serving->header_bytes_max =
        options->header_bytes_max > 0 ? options->header_bytes_max : HTTP_HEADER_BYTES_DEFAULT;
    serving->body_bytes_max = options->body_bytes_max > 0 ? options->body_bytes_max : HTTP_BODY_BYTES_DEFAULT;
    serving->body_ms = milliseconds(options->body_seconds, HTTP_BODY_SECONDS_DEFAULT);
    serving->connections_max = (uint64_t)options->listen_count * connection_limit(options);
}

static int start_parts(struct http *http, const struct http_options *options, struct err *err) {
    struct serving *serving = &http->serving;
    if (options->tls_cert != NULL && tls_new(&(struct tls_files){.cert = options->tls_cert,
                                                                 .key = options->tls_key,
                                                                 .client_ca = options->client_ca,
                                                                 .client_crl = options->client_crl},
                                             &serving->tls, err) != 0) {
        return -1;
    }
    http->connections.tls = serving->tls;
    return linger_start(&http->linger, err) != 0 || worker_start(&serving->worker, err) != 0 ||
                   worker_start(&serving->slow_worker, err) != 0
               ? -1
               : 0;
}

int server_new(const struct http_options *options, struct http **ret, struct err *err) {
    /* Aligned for its shards. */
    struct http *http = aligned_alloc(_Alignof(struct http), sizeof(*http));
    *ret = http;
    if (http == NULL) {
        return err_no_memory(err);
    }
    memset(http, 0, sizeof(*http));
    connections_init(&http->connections, options->listen_count * connection_limit(options),
                     milliseconds(options->header_seconds, HTTP_HEADER_SECONDS_DEFAULT),
                     milliseconds(options->answer_seconds, HTTP_ANSWER_SECONDS_DEFAULT),
                     milliseconds(options->stall_seconds, HTTP_STALL_SECONDS_DEFAULT));
    http->serving.connections = &http->connections;
    http->serving.library_version = MHD_get_version();
    set_limits(&http->serving, options);
    return start_parts(http, options, err);
}

/* ---- listeners ---- */

/* Secure unless somebody says otherwise: nothing beyond this machine without encryption or without a
 * credential. */
static int check_listener(const struct http_options *options, const char *text, bool *ret_tls,
                          struct err *err) {
    struct http_listen_address address;
    if (http_address_parse(text, &address, err) != 0) {
        return -1;
    }
    bool tls = address.scheme == HTTP_TLS || (address.scheme == HTTP_EITHER && options->tls_cert != NULL);
    if (tls && options->tls_cert == NULL) {
        return err_set(
            err, ERR_USAGE,
            "--listen %s needs --tls-cert and --tls-key; \"bgppeerd tls init\" makes both for those who "
            "have none",
            text);
    }
    bool loopback = http_address_is_loopback(&address);
    if (!loopback && options->no_auth) {
        return err_set(
            err, ERR_USAGE,
            "--listen %s can be reached from other machines, and with --no-auth everybody there could "
            "change the network's routing; listen on 127.0.0.1 or [::1], or leave --no-auth out",
            text);
    }
    if (!loopback && !tls && !options->insecure_http) {
        return err_set(
            err, ERR_USAGE,
            "--listen %s can be reached from other machines, and without TLS tokens and passwords would "
            "cross the network readable: give --tls-cert and --tls-key (\"bgppeerd tls init\" makes "
            "them), or say --insecure-http if something in front encrypts",
            text);
    }
    *ret_tls = tls;
    return 0;
}

/* Two of the same would fail as if another program had the port. */
static int check_repeats(const struct http_options *options, struct err *err) {
    struct http_listen_address addresses[HTTP_LISTEN_MAX];
    for (size_t i = 0; i < options->listen_count; i++) {
        if (http_address_parse(options->listen[i], &addresses[i], err) != 0) {
            return -1;
        }
        for (size_t k = 0; k < i && addresses[i].port != 0; k++) {
            if (addresses[k].port == addresses[i].port &&
                ip_compare(&addresses[k].addr, &addresses[i].addr) == 0) {
                return err_set(err, ERR_USAGE, "--listen %s names the same address as --listen %s",
                               options->listen[i], options->listen[k]);
            }
        }
    }
    return 0;
}

int http_check(const struct http_options *options, struct err *err) {
    if (options->listen_count == 0 || options->listen_count > HTTP_LISTEN_MAX) {
        return err_set(err, ERR_USAGE, "between 1 and %d listen addresses can be served", HTTP_LISTEN_MAX);
    }
    if ((options->tls_cert == NULL) != (options->tls_key == NULL)) {
        return err_set(err, ERR_USAGE, "--tls-cert and --tls-key are needed together");
    }
    if (options->client_ca != NULL && options->tls_cert == NULL) {
        return err_set(err, ERR_USAGE, "--client-ca is of no use without --tls-cert and --tls-key");
    }
    if (options->client_crl != NULL && options->client_ca == NULL) {
        return err_set(err, ERR_USAGE, "--client-crl is of no use without --client-ca, which has signed it");
    }
    if (check_repeats(options, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < options->listen_count; i++) {
        bool tls;
        if (check_listener(options, options->listen[i], &tls, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What an operator should know although it was asked for. */
static void warn_about(const struct http_options *options, const struct http_listener *listener) {
    if (options->no_auth) {
        log_event(LOG_WARN, "no-auth", LOG_STR("listen", listener->text),
                  LOG_STR("text", "every user of this machine is admin here"));
    }
    struct http_listen_address address;
    struct err ignored = ERR_INIT;
    bool parsed = http_address_parse(listener->text, &address, &ignored) == 0;
    if (!listener->tls && parsed && !http_address_is_loopback(&address)) {
        log_event(LOG_WARN, "insecure-http", LOG_STR("listen", listener->text),
                  LOG_STR("text", "tokens and passwords cross the network without encryption"));
    }
}

/* Another instance has revoked a token of this user's. */
static void hasten(void *park, const char *user) {
    park_hasten(park, user);
}

int server_listen(struct http *http, const struct http_options *options, void (*sweep)(void *http),
                  struct err *err) {
    unsigned parked = options->parked_max > 0 ? options->parked_max : HTTP_PARKED_DEFAULT;
    if (park_start(parked, sweep, http, &http->serving.park, err) != 0) {
        return -1;
    }
    state_watch_revocations(http->serving.state, hasten, http->serving.park);
    /* All sockets first: a taken port must not leave a half-served set behind. */
    for (size_t i = 0; i < options->listen_count; i++) {
        struct http_listener *listener = &http->listeners[i];
        if (check_listener(options, options->listen[i], &listener->tls, err) != 0 ||
            listen_open(options->listen[i], &listener->fd, listener->text, err) != 0) {
            return -1;
        }
        http->listener_count++;
        warn_about(options, listener);
    }
    for (size_t i = 0; i < http->listener_count; i++) {
        if (start_daemon(http, options, &http->listeners[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

const char *http_address(const struct http *http, size_t index) {
    return index < http->listener_count ? http->listeners[index].text : NULL;
}

bool http_is_tls(const struct http *http, size_t index) {
    return index < http->listener_count && http->listeners[index].tls;
}

int http_reload(struct http *http, struct err *err) {
    return http->serving.tls != NULL ? tls_reload(http->serving.tls, err) : 0;
}

/* ---- stopping ---- */

/*
 * The kernel refuses who comes from now on. MHD_quiesce_daemon is for this, but with a pool of threads it may
 * end the process (libmicrohttpd 0.9.75): it takes the socket out of each thread's epoll set and so does the
 * thread, and neither stands it to be second. With the socket shut down the threads find nothing to accept,
 * as often as they look until they are stopped.
 */
static void stop_accepting(struct http *http) {
    for (size_t i = 0; i < http->listener_count; i++) {
        (void)shutdown(http->listeners[i].fd, SHUT_RDWR);
    }
}

static void pause_briefly(void) {
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/*
 * On a connection that is kept open a request may come at any moment, also in the one before the daemons are
 * stopped, and must not be suspended then. Whoever has begun before no handler begins any more has time to
 * end, slow clients apart; then nothing is suspended, and stays so.
 */
static void close_handlers(struct http *http) {
    atomic_store(&http->serving.closed, true);
    int64_t deadline = clock_monotonic_ms() + HTTP_CLOSE_MS;
    while (atomic_load(&http->serving.suspended) > 0 ||
           (serving_active(&http->serving) > 0 && clock_monotonic_ms() < deadline)) {
        pause_briefly();
    }
}

/* Wait until nothing is in progress, or the time for it is over; and until nothing is suspended. */
static void drain(struct http *http) {
    int64_t deadline = clock_monotonic_ms() + HTTP_DRAIN_MS;
    while (serving_active(&http->serving) > 0 && clock_monotonic_ms() < deadline) {
        pause_briefly();
    }
    unsigned left = serving_active(&http->serving);
    unsigned stuck = atomic_load(&http->serving.suspended);
    if (left > 0 && stuck > 0) {
        log_event(LOG_WARN, "stop-waits", LOG_INT("requests", stuck),
                  LOG_STR("text", "writes are still not done; the disk may not answer"));
    } else if (left > 0) {
        log_event(LOG_WARN, "stop-cuts", LOG_INT("requests", left),
                  LOG_STR("text", "their clients have not taken all of the answer, or not sent all of the "
                                  "request"));
    }
    close_handlers(http);
}

void server_stop(struct http *http) {
    struct serving *serving = &http->serving;
    atomic_store(&serving->stopping, true);
    stop_accepting(http);
    if (serving->park != NULL) {
        park_release(serving->park);
    }
    if (http->listener_count > 0) {
        drain(http);
    }
    for (size_t i = 0; i < http->listener_count; i++) {
        if (http->listeners[i].daemon != NULL) {
            MHD_stop_daemon(http->listeners[i].daemon); /* closes the socket */
        } else if (http->listeners[i].fd >= 0) {
            close(http->listeners[i].fd);
        }
    }
    if (serving->park != NULL) {
        state_watch_revocations(serving->state, NULL, NULL);
        park_free(serving->park);
    }
    worker_stop(serving->worker);
    worker_stop(serving->slow_worker);
    linger_stop(http->linger);
}

void server_free(struct http *http) {
    tls_free(http->serving.tls);
    free(http);
}
