/*
 * Starting and ending an etcd; see etcd_fixture.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "etcd_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_SECONDS 60

bool etcd_is_installed(void) {
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        char name[512];
        size_t len = strcspn(path, ":");
        (void)snprintf(name, sizeof(name), "%.*s/etcd", (int)len, path);
        if (access(name, X_OK) == 0) {
            return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

/* One that nobody listens on now. */
static unsigned free_port(int *ret_fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*ret_fd >= 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void run_server(const struct etcd_server *server) {
    char cluster[80];
    char quota[32];
    int log = open("/dev/null", O_WRONLY);
    (void)snprintf(cluster, sizeof(cluster), "one=%s", server->peer);
    (void)snprintf(quota, sizeof(quota), "%d", server->quota);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    execlp("etcd", "etcd", "--name", "one", "--data-dir", server->dir, "--listen-client-urls", server->client,
           "--advertise-client-urls", server->client, "--listen-peer-urls", server->peer,
           "--initial-advertise-peer-urls", server->peer, "--initial-cluster", cluster,
           "--quota-backend-bytes", quota, (char *)NULL);
    _exit(127);
}

static bool answers(const struct etcd_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char answer[512] = "";
    static const char REQUEST[] = "GET /health HTTP/1.0\r\n\r\n";
    size_t len = 0;
    ssize_t got = 0;
    address.sin_port = htons((uint16_t)strtoul(strrchr(server->client, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        write(fd, REQUEST, sizeof(REQUEST) - 1) > 0) {
        while (len < sizeof(answer) - 1 && (got = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0) {
            len += (size_t)got;
        }
    }
    close(fd);
    answer[len] = '\0';
    return strstr(answer, " 200 ") != NULL;
}

void etcd_start_again(struct etcd_server *server) {
    time_t until = time(NULL) + START_SECONDS;
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        run_server(server);
    }
    while (!answers(server)) {
        const struct timespec pause = {.tv_nsec = 20000000};
        if (time(NULL) > until || waitpid(server->pid, NULL, WNOHANG) != 0) {
            etcd_stop(server);
            fail_msg("etcd does not start on %s", server->client);
        }
        nanosleep(&pause, NULL);
    }
}

void etcd_start(struct etcd_server *server, const char *dir) {
    int fds[2];
    (void)snprintf(server->dir, sizeof(server->dir), "%s/etcd", dir);
    (void)snprintf(server->client, sizeof(server->client), "http://127.0.0.1:%u", free_port(&fds[0]));
    (void)snprintf(server->peer, sizeof(server->peer), "http://127.0.0.1:%u", free_port(&fds[1]));
    (void)snprintf(server->address, sizeof(server->address), "etcd:%s", server->client);
    close(fds[0]);
    close(fds[1]);
    etcd_start_again(server);
}

void etcd_signal(struct etcd_server *server, int signal_number) {
    assert_int_equal(kill(server->pid, signal_number), 0);
    if (signal_number == SIGSTOP) { /* its threads stop one after the other */
        assert_int_equal(waitpid(server->pid, NULL, WUNTRACED), server->pid);
    }
}

void etcd_stop(struct etcd_server *server) {
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}
