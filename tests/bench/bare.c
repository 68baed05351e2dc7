/*
 * The measuring stick of `make bench`: libmicrohttpd with the service's settings and nothing behind it.
 *
 *     bare BODY-FILE [THREADS]
 *
 * Answers every GET with the file's bytes (200), or with 304 when the request has If-None-Match; reads
 * and forgets the body of anything else and answers 201. Both answers are made once and shared by all
 * requests. Prints its port, serves until standard input ends. Owns everything until the process ends.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX          (1024 * 1024)
#define CONNECTIONS       16384
#define CONNECTION_MEMORY (24 * 1024)
#define IDLE_SECONDS      30

struct answers {
    struct MHD_Response *content;
    struct MHD_Response *empty;
};

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request) {
    static int begun;
    const struct answers *answers = cls;
    (void)url;
    (void)version;
    (void)upload;
    if (*request == NULL) {
        *request = &begun;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        return MHD_queue_response(connection, MHD_HTTP_CREATED, answers->content);
    }
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH) != NULL) {
        return MHD_queue_response(connection, MHD_HTTP_NOT_MODIFIED, answers->empty);
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, answers->content);
}

static struct MHD_Response *make_response(char *body, size_t len) {
    struct MHD_Response *response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_PERSISTENT);
    if (response == NULL ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, "\"0123456789abcdef\"") != MHD_YES ||
        (len > 0 &&
         MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") != MHD_YES)) {
        return NULL;
    }
    return response;
}

int main(int argc, char **argv) {
    static char body[BODY_MAX];
    FILE *file = argc >= 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        fputs("usage: bare BODY-FILE [THREADS]\n", stderr);
        return 2;
    }
    size_t len = fread(body, 1, sizeof(body), file);
    fclose(file);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = argc >= 3 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)processors;

    struct answers answers = {.content = make_response(body, len), .empty = make_response(body, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
                                    {MHD_OPTION_END, 0, NULL}};
    if (threads <= 1) {
        pool[0].option = MHD_OPTION_END; /* a pool of one is refused; one thread is the default */
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, answer, &answers, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_ARRAY,
        pool, MHD_OPTION_END);
    if (answers.content == NULL || answers.empty == NULL || daemon == NULL) {
        fputs("bare: cannot start\n", stderr);
        return 1;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("%u\n", info != NULL ? info->port : 0);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(answers.content);
    MHD_destroy_response(answers.empty);
    return 0;
}
