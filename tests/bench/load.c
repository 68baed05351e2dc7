/*
 * Load generator: N keep-alive connections, one request in flight on each, one thread, epoll.
 *
 *     load --port 8080 --connections 64 --seconds 5 --path /x [--header 'Name: value']... [--expect 200]
 *          [--method POST --body TEXT] [--requests N] [--first N] [--tokens FILE] [--tls]
 *
 * In the path and the body, "{n}" becomes a counter (six digits, from --first) and "{ip}" an address
 * made of it, so that each request can create something of its own. --tokens: a bearer token per line, used
 * by the connections in turn. --tls: the server's certificate is not looked at. It ends after --seconds, or
 * after exactly --requests answers. Prints one JSON object: answers, errors (another status than --expect),
 * requests per second, latency percentiles in microseconds. Exit status 1 when an answer cannot be read or a
 * connection breaks.
 *
 * Everything belongs to the one thread; memory lives as long as the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX     (64 * 1024)
#define HEAD_MAX        (16 * 1024)
#define CONNECTIONS_MAX 4096
#define SAMPLES_MAX     (16 * 1024 * 1024)
#define EVENTS          256

struct settings {
    uint16_t port;
    unsigned connections;
    double seconds;
    uint64_t requests; /* 0 = by time */
    uint64_t first;
    unsigned expect;
    const char *method;
    const char *path;
    const char *body;
    const char *tokens; /* file */
    bool tls;
    char headers[8192];
};

/* Where the reading of an answer is. */
enum part { PART_HEAD, PART_BODY, PART_CHUNK_LINE, PART_CHUNK, PART_CHUNK_END };

struct connection {
    int fd;
    gnutls_session_t tls; /* NULL: plain */
    char *token;          /* its header line; NULL: none */
    bool busy;            /* a request is in flight */
    bool blocked;         /* the socket took a part of it only */
    int64_t sent_ns;
    char *request;
    size_t request_len;
    size_t request_sent;
    char head[HEAD_MAX]; /* the answer's head, or a chunk's line, as far as it is there */
    size_t head_len;
    enum part part;
    bool chunked;
    size_t body_left; /* of the body or the chunk */
    unsigned status;
};

struct run {
    const struct settings *settings;
    int epoll;
    uint64_t next;
    uint64_t sent;
    uint64_t answers;
    uint64_t errors;
    unsigned first_error; /* status */
    uint32_t *samples;    /* microseconds */
    size_t sample_count;
    bool stopping;
    unsigned busy;
};

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void die(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("load: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* `text` with its placeholders replaced; its length. */
static size_t fill_in(char *out, size_t size, const char *text, uint64_t n) {
    size_t len = 0;
    while (*text != '\0' && len + 32 < size) {
        if (strncmp(text, "{n}", 3) == 0) {
            len += (size_t)snprintf(out + len, size - len, "%06llu", (unsigned long long)n);
            text += strlen("{n}");
        } else if (strncmp(text, "{ip}", 4) == 0) {
            unsigned host = (unsigned)n & 0xffffff;
            len += (size_t)snprintf(out + len, size - len, "10.%u.%u.%u", host >> 16, host >> 8 & 0xff,
                                    host & 0xff);
            text += strlen("{ip}");
        } else {
            out[len++] = *text++;
        }
    }
    if (*text != '\0') {
        die("the request is longer than %zu bytes", size);
    }
    out[len] = '\0';
    return len;
}

static void build_request(struct run *run, struct connection *connection) {
    static char path[REQUEST_MAX / 2];
    static char body[REQUEST_MAX / 2];
    const struct settings *settings = run->settings;
    uint64_t n = run->next++;
    fill_in(path, sizeof(path), settings->path, n);
    size_t body_len = settings->body != NULL ? fill_in(body, sizeof(body), settings->body, n) : 0;
    int head = snprintf(connection->request, REQUEST_MAX, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s",
                        settings->method, path, settings->port, settings->headers,
                        connection->token != NULL ? connection->token : "");
    if (settings->body != NULL) {
        head += snprintf(connection->request + head, REQUEST_MAX - (size_t)head, "Content-Length: %zu\r\n",
                         body_len);
    }
    head += snprintf(connection->request + head, REQUEST_MAX - (size_t)head, "\r\n");
    if ((size_t)head + body_len > REQUEST_MAX) {
        die("the request is longer than %d bytes", REQUEST_MAX);
    }
    memcpy(connection->request + head, body, body_len);
    connection->request_len = (size_t)head + body_len;
}

static bool has_variable_part(const struct settings *settings) {
    return strstr(settings->path, "{n}") != NULL ||
           (settings->body != NULL &&
            (strstr(settings->body, "{n}") != NULL || strstr(settings->body, "{ip}") != NULL));
}

static void watch(struct run *run, struct connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(run->epoll, operation, connection->fd, &event) != 0) {
        die("epoll: %s", strerror(errno));
    }
}

/* As send and recv, whatever the connection speaks. */
static ssize_t connection_send(struct connection *connection, const char *bytes, size_t len) {
    if (connection->tls == NULL) {
        return send(connection->fd, bytes, len, MSG_NOSIGNAL);
    }
    ssize_t n = gnutls_record_send(connection->tls, bytes, len);
    errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? EAGAIN : EPROTO;
    return n < 0 ? -1 : n;
}

static ssize_t connection_receive(struct connection *connection, char *bytes, size_t size) {
    if (connection->tls == NULL) {
        return recv(connection->fd, bytes, size, 0);
    }
    ssize_t n = gnutls_record_recv(connection->tls, bytes, size);
    errno = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? EAGAIN : EPROTO;
    return n < 0 ? -1 : n;
}

static void flush_request(struct run *run, struct connection *connection) {
    while (connection->request_sent < connection->request_len) {
        ssize_t n = connection_send(connection, connection->request + connection->request_sent,
                                    connection->request_len - connection->request_sent);
        if (n < 0 && errno == EAGAIN) {
            connection->blocked = true;
            watch(run, connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            die("send: %s", strerror(errno));
        }
        connection->request_sent += (size_t)n;
    }
    if (connection->blocked) {
        connection->blocked = false;
        watch(run, connection, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static void begin_request(struct run *run, struct connection *connection) {
    if (run->stopping || (run->settings->requests > 0 && run->sent >= run->settings->requests)) {
        connection->busy = false;
        return;
    }
    if (connection->request_len == 0 || has_variable_part(run->settings)) {
        build_request(run, connection);
    }
    run->sent++;
    run->busy++;
    connection->busy = true;
    connection->request_sent = 0;
    connection->head_len = 0;
    connection->part = PART_HEAD;
    connection->sent_ns = now_ns();
    flush_request(run, connection);
}

static void end_answer(struct run *run, struct connection *connection) {
    int64_t us = (now_ns() - connection->sent_ns) / 1000;
    if (run->sample_count < SAMPLES_MAX) {
        run->samples[run->sample_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    }
    run->answers++;
    run->busy--;
    if (connection->status != run->settings->expect) {
        run->errors++;
        run->first_error = run->first_error == 0 ? connection->status : run->first_error;
    }
    begin_request(run, connection);
}

/* Status and length from a complete head. */
static void read_head(struct connection *connection) {
    char *head = connection->head;
    if (sscanf(head, "HTTP/1.1 %3u", &connection->status) != 1) {
        die("not an HTTP/1.1 answer: %.40s", head);
    }
    if (strcasestr(head, "\r\nConnection: close") != NULL) {
        die("the answer closes its connection: %.200s", head);
    }
    connection->chunked = strcasestr(head, "\r\nTransfer-Encoding: chunked") != NULL;
    connection->part = connection->chunked ? PART_CHUNK_LINE : PART_BODY;
    connection->body_left = 0;
    const char *length = strcasestr(head, "\r\nContent-Length:");
    if (length != NULL && connection->status != 304 && connection->status != 204) {
        connection->body_left = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    }
}

/* Collect up to `end` in connection->head; the bytes used, and whether it is complete. */
static size_t collect(struct connection *connection, const char *bytes, size_t len, const char *end,
                      bool *ret) {
    size_t room = HEAD_MAX - 1 - connection->head_len;
    size_t part = len < room ? len : room;
    size_t before = connection->head_len;
    size_t back = strlen(end) - 1;
    memcpy(connection->head + before, bytes, part);
    connection->head_len += part;
    connection->head[connection->head_len] = '\0';
    const char *found = strstr(connection->head + (before > back ? before - back : 0), end);
    *ret = found != NULL;
    if (found == NULL) {
        if (part == room) {
            die("the answer's head is longer than %d bytes", HEAD_MAX);
        }
        return part;
    }
    size_t used = (size_t)(found - connection->head) + strlen(end) - before;
    connection->head[before + used] = '\0';
    connection->head_len = 0;
    return used;
}

/* One step through the answer; the bytes used. *ret: it is complete. */
static size_t take_part(struct connection *connection, const char *bytes, size_t len, bool *ret) {
    bool complete = false;
    size_t used;
    *ret = false;
    switch (connection->part) {
    case PART_HEAD:
        used = collect(connection, bytes, len, "\r\n\r\n", &complete);
        if (complete) {
            read_head(connection);
            *ret = !connection->chunked && connection->body_left == 0;
        }
        return used;
    case PART_CHUNK_LINE:
        used = collect(connection, bytes, len, "\r\n", &complete);
        if (complete) {
            connection->body_left = strtoul(connection->head, NULL, 16);
            connection->part = connection->body_left > 0 ? PART_CHUNK : PART_CHUNK_END;
            connection->body_left += 2; /* the line break behind it */
        }
        return used;
    case PART_CHUNK_END: /* of the body: trailers are not understood */
        return collect(connection, bytes, len, "\r\n", ret);
    case PART_BODY:
    case PART_CHUNK:
        break;
    }
    used = len < connection->body_left ? len : connection->body_left;
    connection->body_left -= used;
    *ret = connection->part == PART_BODY && connection->body_left == 0;
    if (connection->part == PART_CHUNK && connection->body_left == 0) {
        connection->part = PART_CHUNK_LINE;
    }
    return used;
}

/* Take `len` received bytes. One request is in flight, so nothing may follow the answer. */
static void take_bytes(struct run *run, struct connection *connection, const char *bytes, size_t len) {
    while (len > 0) {
        bool complete;
        if (!connection->busy) {
            die("bytes without a request");
        }
        size_t used = take_part(connection, bytes, len, &complete);
        bytes += used;
        len -= used;
        if (complete) {
            if (len > 0) {
                die("%zu bytes more than the answer has", len);
            }
            end_answer(run, connection);
        }
    }
}

static void on_readable(struct run *run, struct connection *connection) {
    static char bytes[256 * 1024];
    do {
        ssize_t n = connection_receive(connection, bytes, sizeof(bytes));
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            die("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of file");
        }
        take_bytes(run, connection, bytes, (size_t)n);
    } while (connection->tls != NULL && gnutls_record_check_pending(connection->tls) > 0);
}

/* The handshake, on a socket that still blocks. */
static void start_tls(struct connection *connection) {
    static gnutls_certificate_credentials_t credentials;
    if (credentials == NULL && gnutls_certificate_allocate_credentials(&credentials) < 0) {
        die("no TLS");
    }
    if (gnutls_init(&connection->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) < 0 ||
        gnutls_priority_set_direct(connection->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) < 0 ||
        gnutls_credentials_set(connection->tls, GNUTLS_CRD_CERTIFICATE, credentials) < 0) {
        die("no TLS");
    }
    gnutls_transport_set_int(connection->tls, connection->fd);
    int result;
    do {
        result = gnutls_handshake(connection->tls);
    } while (result < 0 && !gnutls_error_is_fatal(result));
    if (result < 0) {
        die("TLS handshake: %s", gnutls_strerror(result));
    }
}

/* The next line of the file of tokens, as a header; from its beginning again after the last one. */
static char *next_token(FILE *file) {
    static char line[512];
    if (fgets(line, sizeof(line), file) == NULL) {
        rewind(file);
        if (fgets(line, sizeof(line), file) == NULL) {
            die("there is no token in the file");
        }
    }
    line[strcspn(line, "\r\n")] = '\0';
    char *header = NULL;
    if (asprintf(&header, "Authorization: Bearer %s\r\n", line) < 0) {
        die("out of memory");
    }
    return header;
}

static struct connection *open_connections(struct run *run) {
    const struct settings *settings = run->settings;
    struct connection *connections = calloc(settings->connections, sizeof(*connections));
    if (connections == NULL) {
        die("out of memory");
    }
    FILE *tokens = settings->tokens != NULL ? fopen(settings->tokens, "r") : NULL;
    if (settings->tokens != NULL && tokens == NULL) {
        die("%s: %s", settings->tokens, strerror(errno));
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(settings->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < settings->connections; i++) {
        struct connection *connection = &connections[i];
        const int on = 1;
        connection->request = malloc(REQUEST_MAX);
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->request == NULL || connection->fd < 0 ||
            connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
            setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
            die("cannot connect to port %u: %s", settings->port, strerror(errno));
        }
        connection->token = tokens != NULL ? next_token(tokens) : NULL;
        if (settings->tls) {
            start_tls(connection);
        }
        if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0) {
            die("fcntl: %s", strerror(errno));
        }
        watch(run, connection, EPOLL_CTL_ADD, EPOLLIN);
    }
    if (tokens != NULL) {
        fclose(tokens);
    }
    return connections;
}

static int compare_samples(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(const struct run *run, double part) {
    if (run->sample_count == 0) {
        return 0;
    }
    return run->samples[(size_t)(part * (double)(run->sample_count - 1))];
}

static void report(struct run *run, double elapsed) {
    qsort(run->samples, run->sample_count, sizeof(run->samples[0]), compare_samples);
    printf(
        "{\"answers\": %llu, \"errors\": %llu, \"first_error\": %u, \"seconds\": %.3f, \"per_second\": %.1f, "
        "\"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
        (unsigned long long)run->answers, (unsigned long long)run->errors, run->first_error, elapsed,
        (double)run->answers / elapsed, percentile(run, 0.5), percentile(run, 0.9), percentile(run, 0.99),
        percentile(run, 1.0));
}

static void drive(struct run *run) {
    struct connection *connections = open_connections(run);
    int64_t start = now_ns();
    int64_t end = start + (int64_t)(run->settings->seconds * 1e9);
    for (unsigned i = 0; i < run->settings->connections; i++) {
        begin_request(run, &connections[i]);
    }
    while (run->busy > 0) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(run->epoll, events, EVENTS, 10000);
        if (count == 0) {
            die("no answer for ten seconds; %u requests are waiting", run->busy);
        }
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) != 0) {
                flush_request(run, connection);
            }
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
                on_readable(run, connection);
            }
        }
        run->stopping = run->settings->requests == 0 && now_ns() >= end;
    }
    report(run, (double)(now_ns() - start) / 1e9);
}

static void add_header(struct settings *settings, const char *header) {
    size_t len = strlen(settings->headers);
    if (len + strlen(header) + 3 > sizeof(settings->headers)) {
        die("too many headers");
    }
    snprintf(settings->headers + len, sizeof(settings->headers) - len, "%s\r\n", header);
}

static void read_arguments(int argc, char **argv, struct settings *settings) {
    static const struct option OPTIONS[] = {
        {"port", required_argument, NULL, 'p'},
        {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"requests", required_argument, NULL, 'r'},
        {"first", required_argument, NULL, 'f'},
        {"expect", required_argument, NULL, 'e'},
        {"method", required_argument, NULL, 'm'},
        {"path", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},
        {"header", required_argument, NULL, 'h'},
        {"tokens", required_argument, NULL, 't'},
        {"tls", no_argument, NULL, 'T'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'p':
            settings->port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            settings->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            settings->seconds = strtod(optarg, NULL);
            break;
        case 'r':
            settings->requests = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            settings->first = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            settings->expect = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            settings->method = optarg;
            break;
        case 'u':
            settings->path = optarg;
            break;
        case 'b':
            settings->body = optarg;
            break;
        case 't':
            settings->tokens = optarg;
            break;
        case 'T':
            settings->tls = true;
            break;
        case 'h':
            add_header(settings, optarg);
            break;
        default:
            die("the options are in the first comment of tests/bench/load.c");
        }
    }
    if (settings->port == 0 || settings->path == NULL || settings->connections == 0 ||
        settings->connections > CONNECTIONS_MAX) {
        die("--port, --path and 1 to %d --connections are needed", CONNECTIONS_MAX);
    }
}

int main(int argc, char **argv) {
    static struct settings settings = {.connections = 64, .seconds = 5, .expect = 200, .method = "GET"};
    read_arguments(argc, argv, &settings);
    struct run run = {.settings = &settings, .epoll = epoll_create1(EPOLL_CLOEXEC), .next = settings.first};
    run.samples = malloc(SAMPLES_MAX * sizeof(run.samples[0]));
    if (run.epoll < 0 || run.samples == NULL) {
        die("cannot start: %s", strerror(errno));
    }
    drive(&run);
    return 0;
}
