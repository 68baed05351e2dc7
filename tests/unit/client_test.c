/* The HTTP client against a server that sends given bytes: whole, cut off, endless, silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"

/* Answers one request with `bytes`, `repeat` times over, and then closes, or holds the connection open. */
struct server {
    const char *bytes;
    size_t repeat;
    bool hold;
    int listener;
    int release[2]; /* closing the second ends the hold */
    pthread_t thread;
    char url[64];
    char request[4096];
};

static void *server_run(void *context) {
    struct server *server = context;
    int fd = accept(server->listener, NULL, NULL);
    size_t len = 0;
    while (strstr(server->request, "\r\n\r\n") == NULL && len < sizeof(server->request) - 1) {
        ssize_t done = read(fd, server->request + len, sizeof(server->request) - 1 - len);
        if (done <= 0) {
            break;
        }
        len += (size_t)done;
    }
    for (size_t i = 0; i < server->repeat; i++) {
        if (send(fd, server->bytes, strlen(server->bytes), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    char end;
    if (server->hold) {
        (void)!read(server->release[0], &end, 1);
    }
    close(fd);
    return NULL;
}

static void server_start(struct server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server->repeat = server->repeat == 0 ? 1 : server->repeat;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 1), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pipe(server->release), 0);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/x", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static void server_stop(struct server *server) {
    close(server->release[1]);
    pthread_join(server->thread, NULL);
    close(server->release[0]);
    close(server->listener);
}

/* One request to its end: 0 with the answer, which belongs to *ret_call, or -1. */
static int ask(struct client *client, const struct client_request *request, struct client_call **ret_call,
               struct client_answer **ret, struct err *err) {
    assert_int_equal(client_start(client, request, ret_call, err), 0);
    while (!client_finished(*ret_call)) {
        client_turn(client, NULL, 0, 100);
    }
    return client_result(*ret_call, ret, err);
}

/* What a server that sends `server` bytes gives: the error's code, or ERR_NONE with status and body seen. */
static enum err_code outcome(struct server *server, unsigned status, const char *body) {
    struct err err = ERR_INIT;
    struct client *client = NULL;
    struct client_call *call = NULL;
    struct client_answer *answer = NULL;
    assert_int_equal(client_new(&client, &err), 0);
    server_start(server);
    struct client_request request = {.url = server->url, .answer_max = 1000, .quiet_seconds = 60, .file = -1};
    if (ask(client, &request, &call, &answer, &err) == 0) {
        assert_int_equal(answer->status, status);
        assert_string_equal(answer->body.data != NULL ? answer->body.data : "", body);
    }
    client_end(call);
    client_free(client);
    server_stop(server);
    return err.code;
}

static void an_answer_is_whole_or_a_failure(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        unsigned status;
        const char *body;
        enum err_code code;
    } CASES[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", ERR_NONE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi", ERR_NONE},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", ERR_NONE},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", ERR_NONE},
        {"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302, "", ERR_NONE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", 0, NULL, ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0, NULL, ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", 0, NULL, ERR_UNAVAILABLE},
        {"SSH-2.0-OpenSSH_9.2\r\n", 0, NULL, ERR_UNAVAILABLE},
        {"", 0, NULL, ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct server server = {.bytes = CASES[i].bytes};
        assert_int_equal(outcome(&server, CASES[i].status, CASES[i].body), CASES[i].code);
    }
}

static void an_endless_answer_ends_at_its_limit(void **state) {
    (void)state;
    struct server body = {.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789",
                          .repeat = 100000};
    assert_int_equal(outcome(&body, 0, NULL), ERR_TOO_LARGE);
    /* Interim answers without an end: each begins with a status line of its own. */
    char head[2100];
    snprintf(head, sizeof(head), "HTTP/1.1 100 Continue\r\nX: %02000d\r\n\r\n", 0);
    struct server headers = {.bytes = head, .repeat = 1000};
    assert_int_not_equal(outcome(&headers, 0, NULL), ERR_NONE);
}

static void a_silent_server_is_given_up(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct client *client = NULL;
    struct client_call *call = NULL;
    struct client_answer *answer = NULL;
    struct server server = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", .hold = true};
    assert_int_equal(client_new(&client, &err), 0);
    server_start(&server);
    struct client_request request = {.url = server.url, .answer_max = 10, .total_seconds = 1, .file = -1};
    assert_int_equal(ask(client, &request, &call, &answer, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    client_end(call);
    server_stop(&server);
    client_free(client);
}

/* What is sent, what of the headers is found, and that a call can be given up at any time. */
static void a_request_says_what_it_was_told(void **state) {
    (void)state;
    static const char *const HEADERS[] = {"If-None-Match: \"e\"", NULL};
    struct err err = ERR_INIT;
    struct client *client = NULL;
    struct client_call *call = NULL, *given_up = NULL;
    struct client_answer *answer = NULL;
    struct server server = {.bytes = "HTTP/1.1 200 OK\r\nETAG:  \"abc\" \r\nContent-Length: 0\r\n\r\n"};
    struct server silent = {.bytes = "", .hold = true};
    assert_int_equal(client_new(&client, &err), 0);
    server_start(&server);
    server_start(&silent);
    struct client_request other = {.url = silent.url, .answer_max = 10, .file = -1};
    assert_int_equal(client_start(client, &other, &given_up, &err), 0);
    struct client_request request = {.method = "PUT",
                                     .url = server.url,
                                     .token = "secret",
                                     .headers = HEADERS,
                                     .body = "",
                                     .answer_max = 10,
                                     .file = -1};
    assert_int_equal(ask(client, &request, &call, &answer, &err), 0);
    assert_non_null(strstr(server.request, "PUT /x HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(server.request, "If-None-Match: \"e\"\r\n"));
    assert_null(strstr(server.request, "Expect"));
    char text[8];
    assert_true(client_header(answer, "ETag", text, sizeof(text)));
    assert_string_equal(text, "\"abc\"");
    assert_true(client_header(answer, "etag", text, 3));
    assert_string_equal(text, "\"a");
    assert_false(client_header(answer, "ETa", text, sizeof(text)));
    assert_string_equal(text, "");
    assert_false(client_finished(given_up));
    client_end(given_up);
    client_end(call);
    client_free(client);
    server_stop(&server);
    server_stop(&silent);
}

static void a_file_that_cannot_take_it_is_an_error(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct client *client = NULL;
    struct client_call *call = NULL;
    struct client_answer *answer = NULL;
    struct server server = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"};
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(client_new(&client, &err), 0);
    server_start(&server);
    struct client_request request = {.url = server.url, .answer_max = 10, .file = full};
    assert_int_equal(ask(client, &request, &call, &answer, &err), -1);
    assert_int_equal(err.code, ERR_STORAGE_FULL);
    client_end(call);
    client_free(client);
    server_stop(&server);
    close(full);
}

/* Other descriptors end a turn as well. */
static void a_turn_ends_when_something_is_ready(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct client *client = NULL;
    int ends[2];
    assert_int_equal(client_new(&client, &err), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    struct client_wait waits[] = {{.fd = -1}, {.fd = ends[0], .events = 1 /* POLLIN */}};
    client_turn(client, waits, 2, 60000);
    assert_int_equal(waits[0].ret_events, 0);
    assert_int_equal(waits[1].ret_events, 1);
    /* So does the other end's close, and a pipe that nobody reads any more. */
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[1]);
    client_turn(client, waits, 2, 60000);
    assert_int_not_equal(waits[1].ret_events, 0);
    close(ends[0]);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    waits[1] = (struct client_wait){.fd = ends[1], .events = 4 /* POLLOUT */};
    client_turn(client, waits, 2, 60000);
    assert_int_not_equal(waits[1].ret_events, 0);
    close(ends[1]);
    client_free(client);
}

/* What its first step already finishes leaves nothing to wait for. */
static void a_turn_does_not_outlast_what_is_finished_at_once(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct client *client = NULL;
    struct client_call *call = NULL;
    const struct client_request refused = {.url = "ftp://127.0.0.1/", .answer_max = 10};
    assert_int_equal(client_new(&client, &err), 0);
    assert_int_equal(client_start(client, &refused, &call, &err), 0);
    int64_t start_ms = clock_monotonic_ms();
    client_turn(client, NULL, 0, 20000);
    assert_true(client_finished(call));
    assert_true(clock_monotonic_ms() - start_ms < 20000);
    client_end(call);
    client_free(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_whole_or_a_failure),
        cmocka_unit_test(an_endless_answer_ends_at_its_limit),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(a_request_says_what_it_was_told),
        cmocka_unit_test(a_file_that_cannot_take_it_is_an_error),
        cmocka_unit_test(a_turn_ends_when_something_is_ready),
        cmocka_unit_test(a_turn_does_not_outlast_what_is_finished_at_once),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
