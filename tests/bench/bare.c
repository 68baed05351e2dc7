/*
 * The measuring stick of `make bench`: libmicrohttpd with the service's settings and nothing behind it.
 *
 *     bare BODY-FILE THREADS [CERTIFICATE-FILE KEY-FILE]
 *
 * Answers every GET with the file's bytes (200), or with 304 when the request has If-None-Match; reads
 * and forgets the body of anything else and answers 201. Both answers are made once and shared by all
 * requests. THREADS 0: one a processor. Prints its port, serves until standard input ends. Owns everything
 * until the process ends.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX          (1024 * 1024)
#define CONNECTIONS       16384
#define CONNECTION_MEMORY (8 * 1024)
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

static size_t read_file(const char *name, char *out, size_t size) {
    FILE *file = fopen(name, "r");
    size_t len = file != NULL ? fread(out, 1, size - 1, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    out[len] = '\0';
    return len;
}

/* The flags, the pool and the limits are the service's own (service/http/machine/server.c). */
static struct MHD_Daemon *start(struct answers *answers, unsigned threads, const char *certificate,
                                const char *key) {
    static struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_OptionItem more[5];
    size_t n = 0;
    if (threads > 1) { /* a pool of one is refused; one thread is the default */
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    }
    if (certificate != NULL) {
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)certificate};
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key};
    }
    more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                                MHD_USE_ERROR_LOG | (certificate != NULL ? MHD_USE_TLS : 0),
                            0, NULL, NULL, answer, answers, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_ARRAY, more,
                            MHD_OPTION_END);
}

int main(int argc, char **argv) {
    static char body[BODY_MAX], certificate[64 * 1024], key[64 * 1024];
    if (argc != 3 && argc != 5) {
        fputs("usage: bare BODY-FILE THREADS [CERTIFICATE-FILE KEY-FILE]\n", stderr);
        return 2;
    }
    bool tls = argc == 5;
    size_t len = read_file(argv[1], body, sizeof(body));
    unsigned threads = (unsigned)strtoul(argv[2], NULL, 10);
    if (threads == 0) {
        threads = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    }
    if (len == 0 || (tls && (read_file(argv[3], certificate, sizeof(certificate)) == 0 ||
                             read_file(argv[4], key, sizeof(key)) == 0))) {
        fputs("bare: a file is missing or empty\n", stderr);
        return 1;
    }
    struct answers answers = {.content = make_response(body, len), .empty = make_response(body, 0)};
    struct MHD_Daemon *daemon = start(&answers, threads, tls ? certificate : NULL, tls ? key : NULL);
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
