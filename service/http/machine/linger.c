/*
 * Linger: keeps copies of sockets that were answered early and reads them empty.
 *
 * The lock guards the arrays of sockets and deadlines; the thread alone reads and closes them. An
 * eventfd wakes the thread for a new socket or the end.
 */
#include "machine/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

struct lingering {
    pthread_t thread;
    int wake_fd;
    pthread_mutex_t lock;
    bool stopping;
    size_t count;
    int fds[LINGER_MAX];
    int64_t deadlines[LINGER_MAX];
};

static void wake(struct lingering *linger) {
    uint64_t one = 1;
    /* A full counter wakes as well. */
    ssize_t ignored = write(linger->wake_fd, &one, sizeof(one));
    (void)ignored;
}

/* Read what there is. true: the client has closed, or the connection is broken. */
static bool read_empty(int fd) {
    /* Bounded, so that one fast sender cannot hold the thread. MSG_TRUNC: TCP drops the bytes without ever
     * copying them here; they may be somebody's passwords. */
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(fd, NULL, 16384, MSG_DONTWAIT | MSG_TRUNC);
        if (n == 0) {
            return true;
        }
        if (n < 0) {
            return errno != EAGAIN && errno != EINTR;
        }
    }
    return false;
}

static void drop(struct lingering *linger, size_t index) {
    close(linger->fds[index]);
    linger->count--;
    linger->fds[index] = linger->fds[linger->count];
    linger->deadlines[index] = linger->deadlines[linger->count];
}

static void *run(void *arg) {
    struct lingering *linger = arg;
    struct pollfd polls[LINGER_MAX + 1];
    pthread_mutex_lock(&linger->lock);
    while (!linger->stopping) {
        int64_t now = clock_monotonic_ms();
        int timeout = -1;
        for (size_t i = linger->count; i-- > 0;) {
            if (linger->deadlines[i] <= now || read_empty(linger->fds[i])) {
                drop(linger, i);
            }
        }
        size_t count = linger->count;
        polls[0] = (struct pollfd){.fd = linger->wake_fd, .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
            polls[i + 1] = (struct pollfd){.fd = linger->fds[i], .events = POLLIN};
            int left = (int)(linger->deadlines[i] - now);
            timeout = timeout < 0 || left < timeout ? left : timeout;
        }
        pthread_mutex_unlock(&linger->lock);
        poll(polls, count + 1, timeout);
        uint64_t drained;
        ssize_t ignored = polls[0].revents != 0 ? read(linger->wake_fd, &drained, sizeof(drained)) : 0;
        (void)ignored;
        pthread_mutex_lock(&linger->lock);
    }
    pthread_mutex_unlock(&linger->lock);
    return NULL;
}

int linger_start(struct lingering **ret, struct err *err) {
    struct lingering *linger = base_calloc(1, sizeof(*linger));
    if (linger == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&linger->lock, NULL);
    linger->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = linger->wake_fd < 0 ? errno : pthread_create(&linger->thread, NULL, run, linger);
    if (failure != 0) {
        if (linger->wake_fd >= 0) {
            close(linger->wake_fd);
        }
        pthread_mutex_destroy(&linger->lock);
        free(linger);
        return err_set(err, ERR_UNAVAILABLE, "cannot start the thread that closes connections: %s",
                       strerror(failure));
    }
    *ret = linger;
    return 0;
}

void linger_stop(struct lingering *linger) {
    if (linger == NULL) {
        return;
    }
    pthread_mutex_lock(&linger->lock);
    linger->stopping = true;
    pthread_mutex_unlock(&linger->lock);
    wake(linger);
    pthread_join(linger->thread, NULL);
    while (linger->count > 0) {
        drop(linger, linger->count - 1);
    }
    close(linger->wake_fd);
    pthread_mutex_destroy(&linger->lock);
    free(linger);
}

void linger_keep(struct lingering *linger, int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return;
    }
    shutdown(copy, SHUT_WR);
    pthread_mutex_lock(&linger->lock);
    bool room = linger->count < LINGER_MAX && !linger->stopping;
    if (room) {
        linger->fds[linger->count] = copy;
        linger->deadlines[linger->count] = clock_monotonic_ms() + LINGER_MS;
        linger->count++;
    }
    pthread_mutex_unlock(&linger->lock);
    if (room) {
        wake(linger);
    } else {
        close(copy);
    }
}
