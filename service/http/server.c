/*
 * Server: the libmicrohttpd daemons, their start and their stop.
 *
 * One daemon per listening socket, each an epoll loop per thread.
 *
 * Stopping: no new connections, waiting polls answered, requests in progress finished (bounded), then
 * the daemons. libmicrohttpd ends the process when it is stopped with suspended connections, so if some
 * are left after the drain (the disk does not answer), everything is left standing and said so.
 */
#include "server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dispatch.h"

/* Paths and queries are decoded by us, strictly; libmicrohttpd must leave them as they came. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void on_library_message(void *cls, const char *format, va_list args) {
    (void)cls;
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

static int start_daemon(struct http *http, const struct http_options *options, struct http_listener *listener,
                        struct err *err) {
    unsigned threads = options->threads > 0 ? options->threads : processor_count();
    if (threads > HTTP_THREADS_MAX) {
        threads = HTTP_THREADS_MAX;
    }
    unsigned connections = options->connections_max > 0 ? options->connections_max : HTTP_CONNECTIONS_DEFAULT;
    if (connections < threads) {
        connections = threads;
    }
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (threads == 1) {
        pool[0].option = MHD_OPTION_END; /* a pool of one is refused; one thread is the default */
    }
    listener->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, dispatch_request, http, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_EXTERNAL_LOGGER, on_library_message, NULL, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_IDLE_SECONDS, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        dispatch_uri, http, MHD_OPTION_NOTIFY_COMPLETED, dispatch_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        dispatch_connection, http, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (listener->daemon == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "cannot serve on %s: libmicrohttpd did not start (%u threads, %u "
                                             "connections); is the limit of open files or threads too low?",
                       listener->text, threads, connections);
    }
    return 0;
}

static int start_rooms(struct http *http, const struct http_options *options, struct err *err) {
    size_t count;
    const struct route *routes = routes_all(&count);
    unsigned parked = options->parked_max > 0 ? options->parked_max : HTTP_PARKED_DEFAULT;
    http->watches_max = parked;
    if (router_init(&http->router, routes, count, err) != 0 ||
        documents_init(&http->documents, http->version, err) != 0 || pages_new(&http->pages, err) != 0 ||
        linger_start(&http->linger, err) != 0 ||
        park_start(parked, pages_sweep, http->pages, &http->park, err) != 0) {
        return -1;
    }
    return 0;
}

int http_start(const struct http_options *options, struct state *state, struct http **ret, struct err *err) {
    /* Aligned for its shards. */
    struct http *http = aligned_alloc(_Alignof(struct http), sizeof(*http));
    if (http == NULL) {
        return err_no_memory(err);
    }
    memset(http, 0, sizeof(*http));
    http->state = state;
    http->version = options->version;
    if (options->listen_count == 0 || options->listen_count > HTTP_LISTEN_MAX) {
        http_stop(http);
        return err_set(err, ERR_USAGE, "between 1 and %d listen addresses can be served", HTTP_LISTEN_MAX);
    }
    if (start_rooms(http, options, err) != 0) {
        http_stop(http);
        return -1;
    }
    /* All sockets first: a taken port must not leave a half-served set behind. */
    for (size_t i = 0; i < options->listen_count; i++) {
        struct http_listener *listener = &http->listeners[i];
        if (listen_open(options->listen[i], &listener->fd, listener->text, err) != 0) {
            http_stop(http);
            return -1;
        }
        http->listener_count++;
    }
    for (size_t i = 0; i < http->listener_count; i++) {
        if (start_daemon(http, options, &http->listeners[i], err) != 0) {
            http_stop(http);
            return -1;
        }
    }
    *ret = http;
    return 0;
}

const char *http_address(const struct http *http, size_t index) {
    return index < http->listener_count ? http->listeners[index].text : NULL;
}

/* ---- stopping ---- */

static unsigned active_requests(struct http *http) {
    unsigned sum = 0;
    for (size_t i = 0; i < HTTP_SHARDS; i++) {
        sum += atomic_load_explicit(&http->shards[i].active, memory_order_acquire);
    }
    return sum;
}

static void stop_accepting(struct http *http) {
    for (size_t i = 0; i < http->listener_count; i++) {
        struct http_listener *listener = &http->listeners[i];
        if (listener->daemon != NULL) {
            MHD_quiesce_daemon(listener->daemon);
        }
        if (listener->fd >= 0) {
            close(listener->fd);
            listener->fd = -1;
        }
    }
}

/* Wait until nothing is in progress, or the time for it is over. */
static void drain(struct http *http) {
    int64_t deadline = clock_monotonic_ms() + HTTP_DRAIN_MS;
    while (active_requests(http) > 0 && clock_monotonic_ms() < deadline) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

void http_stop(struct http *http) {
    if (http == NULL) {
        return;
    }
    atomic_store(&http->stopping, true);
    stop_accepting(http);
    if (http->park != NULL) {
        park_release(http->park);
    }
    if (http->listener_count > 0) {
        drain(http);
    }
    unsigned stuck = atomic_load(&http->suspended);
    if (stuck > 0) {
        log_event(LOG_ERROR, "stop-incomplete", LOG_INT("requests", stuck),
                  LOG_STR("error", "writes are still not done; ending without their answers"));
        return;
    }
    for (size_t i = 0; i < http->listener_count; i++) {
        if (http->listeners[i].daemon != NULL) {
            MHD_stop_daemon(http->listeners[i].daemon);
        }
    }
    park_free(http->park);
    linger_stop(http->linger);
    pages_free(http->pages);
    documents_done(&http->documents);
    free(http);
}
