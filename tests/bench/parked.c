/*
 * Ten thousand agents that wait: a connection for each node, polling its list with `wait=`, in one thread.
 *
 *     parked PORT TOKEN NODES GROUPS ROUNDS
 *
 * Expects a fleet made by `seed DIR NODES GROUPS`. Each connection fetches its node's list, then waits for a
 * change of it; when all of them wait, "parked" is printed and a line of standard input is awaited. Then,
 * ROUNDS times: one group's BGPPeer is changed, exactly its nodes must be answered with a new list and nobody
 * else with anything, and they wait again. Prints one JSON object: microseconds from sending the change until
 * the last of them was answered, and until the change itself was acknowledged.
 */
#include <errno.h>
#include <fcntl.h>
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

#define ANSWER_MAX   4096
#define EVENTS       512
#define QUIET_MS     200 /* so long nothing may be answered between rounds */
#define PATIENCE_MS  20000
#define ROUNDS_MAX   1000
#define OPEN_AT_ONCE 256

static _Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void die(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("parked: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

struct connection {
    int fd;
    bool waiting; /* in a poll with wait= */
    bool answered;
    char etag[80];
    char answer[ANSWER_MAX];
    size_t len;
};

static struct {
    uint16_t port;
    const char *token;
    unsigned nodes;
    unsigned groups;
    unsigned rounds;
    int epoll;
    struct connection *connections; /* one a node, and one more that changes BGPPeers */
    unsigned answered;
} run;

static int64_t now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void open_connection(struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(run.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    const int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        die("cannot connect: %s", strerror(errno));
    }
}

static void send_request(struct connection *connection, const char *method, const char *path,
                         const char *header, const char *body) {
    char request[2048];
    int len = snprintf(
        request, sizeof(request),
        "%s /apis/projectcalico.org/v3/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
        "%sContent-Length: %zu\r\n\r\n%s",
        method, path, run.token, header, strlen(body), body);
    connection->len = 0;
    connection->answered = false;
    if (send(connection->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        die("send: %s", strerror(errno));
    }
}

/* A poll of the connection's node: with `wait` for something else than what it has. */
static void poll_node(struct connection *connection, bool wait) {
    char path[128], header[128] = "";
    snprintf(path, sizeof(path), "nodes/node-%06u/peerings%s", (unsigned)(connection - run.connections),
             wait ? "?wait=300s" : "");
    if (wait) {
        snprintf(header, sizeof(header), "If-None-Match: %s\r\n", connection->etag);
    }
    connection->waiting = wait;
    send_request(connection, "GET", path, header, "");
}

/* When the answer is complete: its status, else 0. */
static unsigned read_answer(struct connection *connection) {
    ssize_t n =
        recv(connection->fd, connection->answer + connection->len, ANSWER_MAX - 1 - connection->len, 0);
    if (n <= 0) {
        die("the server closed a connection");
    }
    connection->len += (size_t)n;
    connection->answer[connection->len] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (end == NULL) {
        return 0;
    }
    size_t whole =
        (size_t)(end + 4 - connection->answer) + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
    if (whole >= ANSWER_MAX) {
        die("an answer of %zu bytes", whole);
    }
    if (connection->len < whole) {
        return 0;
    }
    const char *etag = strcasestr(connection->answer, "\r\nETag: ");
    if (etag != NULL) {
        snprintf(connection->etag, sizeof(connection->etag), "%.*s", (int)strcspn(etag + 8, "\r"), etag + 8);
    }
    connection->answered = true;
    return (unsigned)strtoul(connection->answer + 9, NULL, 10);
}

/* Take answers until `wanted` have come or `ms` have passed. */
static void take_answers(unsigned wanted, int ms) {
    int64_t end = now_us() + (int64_t)ms * 1000;
    while (run.answered < wanted) {
        struct epoll_event events[EVENTS];
        int64_t left = (end - now_us()) / 1000;
        int count = epoll_wait(run.epoll, events, EVENTS, left > 0 ? (int)left : 0);
        if (count == 0) {
            return;
        }
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            unsigned status = read_answer(connection);
            if (status != 0 && status != 200) {
                die("status %u: %s", status, connection->answer);
            }
            run.answered += status != 0;
        }
    }
}

static void park_all(void) {
    unsigned opened = 0;
    while (opened < run.nodes) {
        unsigned first = opened;
        run.answered = 0;
        for (; opened < run.nodes && opened < first + OPEN_AT_ONCE; opened++) {
            open_connection(&run.connections[opened]);
            poll_node(&run.connections[opened], false);
        }
        take_answers(opened - first, PATIENCE_MS);
        if (run.answered != opened - first) {
            die("%u of %u lists came", run.answered, opened - first);
        }
        for (unsigned i = first; i < opened; i++) {
            poll_node(&run.connections[i], true);
        }
    }
    run.answered = 0;
    take_answers(1, 2000);
    if (run.answered > 0) {
        die("a poll was answered although nothing changed");
    }
}

/* One change, and everybody whom it concerns; microseconds. */
static void change_one(unsigned round, uint32_t *ret_last, uint32_t *ret_acknowledged) {
    struct connection *changer = &run.connections[run.nodes];
    unsigned group = round % run.groups;
    unsigned members = 0;
    char path[64], body[128];
    for (unsigned i = 0; i < run.nodes; i++) {
        members += (uint64_t)i * run.groups / run.nodes == group;
    }
    snprintf(path, sizeof(path), "bgppeers/peer-%06u", group);
    snprintf(body, sizeof(body), "{\"spec\":{\"asNumber\":%u}}", 66000 + round);
    run.answered = 0;
    int64_t start = now_us();
    send_request(changer, "PATCH", path, "Content-Type: application/merge-patch+json\r\n", body);
    while (!changer->answered && now_us() < start + PATIENCE_MS * 1000) {
        take_answers(run.answered + 1, PATIENCE_MS);
    }
    *ret_acknowledged = (uint32_t)(now_us() - start);
    take_answers(members + 1, PATIENCE_MS);
    *ret_last = (uint32_t)(now_us() - start);
    take_answers(members + 2, QUIET_MS);
    if (run.answered != members + 1) {
        die("%u of %u affected polls were answered", run.answered - changer->answered, members);
    }
    for (unsigned i = 0; i < run.nodes; i++) {
        bool member = (uint64_t)i * run.groups / run.nodes == group;
        if (run.connections[i].answered != member) {
            die("the poll of node %u was %s", i,
                member ? "not answered" : "answered although nothing changed");
        }
        if (member) {
            poll_node(&run.connections[i], true);
        }
    }
    run.answered = 0;
    take_answers(1, QUIET_MS);
    if (run.answered > 0) {
        die("a poll was answered although nothing changed");
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static uint32_t last[ROUNDS_MAX], acknowledged[ROUNDS_MAX];
    char line[16];
    if (argc != 6) {
        fputs("usage: parked PORT TOKEN NODES GROUPS ROUNDS\n", stderr);
        return 2;
    }
    run.port = (uint16_t)strtoul(argv[1], NULL, 10);
    run.token = argv[2];
    run.nodes = (unsigned)strtoul(argv[3], NULL, 10);
    run.groups = (unsigned)strtoul(argv[4], NULL, 10);
    run.rounds = (unsigned)strtoul(argv[5], NULL, 10);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.connections = calloc(run.nodes + 1, sizeof(*run.connections));
    if (run.epoll < 0 || run.connections == NULL || run.rounds == 0 || run.rounds > ROUNDS_MAX) {
        die("cannot start");
    }
    park_all();
    open_connection(&run.connections[run.nodes]);
    puts("parked");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL) {
        return 0;
    }
    for (unsigned round = 0; round < run.rounds; round++) {
        change_one(round, &last[round], &acknowledged[round]);
    }
    qsort(last, run.rounds, sizeof(last[0]), compare);
    qsort(acknowledged, run.rounds, sizeof(acknowledged[0]), compare);
    unsigned p99 = (run.rounds * 99 + 99) / 100 - 1;
    printf("{\"woken\": %u, \"last_p50_us\": %u, \"last_p99_us\": %u, \"last_max_us\": %u, "
           "\"written_p50_us\": %u}\n",
           run.nodes / run.groups, last[run.rounds / 2], last[p99], last[run.rounds - 1],
           acknowledged[run.rounds / 2]);
    return 0;
}
