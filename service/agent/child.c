/*
 * Children: a process group of their own, three pipes that never block, a time limit. Everything belongs to
 * the call that runs them; no locks.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define LAST_MS        500 /* for what is still in the pipes of one that has ended */
#define REAP_MS        200 /* until a killed one is gone */
#define PIECE_MAX      65536
#define LINE_MAX_BYTES 512 /* of what a message quotes */

enum { CHILD_IN, CHILD_OUT, CHILD_ERR, CHILD_PIPES };

struct running_child {
    const struct child *child;
    pid_t pid;
    int pidfd;
    int fds[CHILD_PIPES]; /* our ends; -1 = closed */
    size_t written;
    size_t received;
};

void child_result_done(struct child_result *result) {
    buf_done(&result->out);
    buf_done(&result->err);
}

static void child_close(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* ---- start ---- */

static int child_spawn(struct running_child *run, const int theirs[CHILD_PIPES]) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    for (int i = 0; i < CHILD_PIPES && result == 0; i++) {
        result = posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    }
    if (result == 0) {
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
        (void)posix_spawnattr_setpgroup(&attributes, 0);
        result = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                           POSIX_SPAWN_SETPGROUP);
    }
    if (result == 0) {
        result = posix_spawnp(&run->pid, run->child->argv[0], &actions, &attributes,
                              (char *const *)run->child->argv, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

static int child_start(struct running_child *run, struct err *err) {
    int theirs[CHILD_PIPES] = {-1, -1, -1};
    int result = 0;
    for (int i = 0; i < CHILD_PIPES && result == 0; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            result = errno;
            break;
        }
        theirs[i] = ends[i == CHILD_IN ? 0 : 1];
        run->fds[i] = ends[i == CHILD_IN ? 1 : 0];
        if (fcntl(run->fds[i], F_SETFL, O_NONBLOCK) != 0) {
            result = errno;
        }
    }
    if (result == 0) {
        result = child_spawn(run, theirs);
    }
    for (int i = 0; i < CHILD_PIPES; i++) {
        child_close(&theirs[i]);
    }
    if (result != 0) {
        return err_set(err, result == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "cannot run %s: %s",
                       run->child->argv[0], strerror(result));
    }
    run->pidfd = pidfd_open(run->pid, 0);
    return run->pidfd >= 0 ? 0
                           : err_set(err, ERR_UNAVAILABLE, "cannot wait for %s: %s", run->child->argv[0],
                                     strerror(errno));
}

/* ---- run ---- */

static void child_feed(struct running_child *run) {
    size_t left = run->child->input_len - run->written;
    ssize_t done = left > 0 ? write(run->fds[CHILD_IN], run->child->input + run->written, left) : 0;
    if (done > 0) {
        run->written += (size_t)done;
    }
    if (run->written == run->child->input_len || (done < 0 && errno != EAGAIN && errno != EINTR)) {
        child_close(&run->fds[CHILD_IN]);
    }
}

static int child_hear(struct running_child *run, int which, struct buf *out, struct err *err) {
    if (buf_reserve(out, PIECE_MAX) != 0) {
        return err_no_memory(err);
    }
    ssize_t done = read(run->fds[which], out->data + out->len, PIECE_MAX);
    if (done > 0) {
        out->len += (size_t)done;
        out->data[out->len] = '\0';
        run->received += (size_t)done;
    } else if (done == 0 || (errno != EAGAIN && errno != EINTR)) {
        child_close(&run->fds[which]);
    }
    return run->received <= CHILD_OUTPUT_MAX ? 0
                                             : err_set(err, ERR_UNAVAILABLE, "%s says more than %zu bytes",
                                                       run->child->argv[0], CHILD_OUTPUT_MAX);
}

/* Until the process has ended and its pipes are empty. A grandchild that holds them open does not count. */
static int child_follow(struct loop *loop, struct running_child *run, struct child_result *ret,
                        struct err *err) {
    int64_t until = clock_monotonic_ms() + (int64_t)run->child->seconds * 1000;
    bool ended = false;
    while (!ended || run->fds[CHILD_OUT] >= 0 || run->fds[CHILD_ERR] >= 0) {
        struct client_wait waits[] = {
            {.fd = run->fds[CHILD_IN], .events = POLLOUT},
            {.fd = run->fds[CHILD_OUT], .events = POLLIN},
            {.fd = run->fds[CHILD_ERR], .events = POLLIN},
            {.fd = ended ? -1 : run->pidfd, .events = POLLIN},
        };
        if (run->child->finish) {
            loop_grant(loop);
        }
        enum loop_end end = loop_wait(loop, waits, 4, until);
        if (end == LOOP_STOP && run->child->finish && loop->end_at == 0) {
            continue; /* the stop came while we waited: now there is a little time */
        }
        if (end == LOOP_STOP) {
            return loop_stopped(err);
        }
        if (end == LOOP_TIME && ended) {
            return 0;
        }
        if (end == LOOP_TIME) {
            return err_set(err, ERR_UNAVAILABLE, "%s did not end within %u s and was killed",
                           run->child->argv[0], run->child->seconds);
        }
        if (waits[0].ret_events != 0) {
            child_feed(run);
        }
        if ((waits[1].ret_events != 0 && child_hear(run, CHILD_OUT, &ret->out, err) != 0) ||
            (waits[2].ret_events != 0 && child_hear(run, CHILD_ERR, &ret->err, err) != 0)) {
            return -1;
        }
        if (waits[3].ret_events != 0) {
            ended = true;
            int64_t rest = clock_monotonic_ms() + LAST_MS;
            until = rest < until ? rest : until;
        }
    }
    return 0;
}

/* One that was killed and does not die (its disk hangs) is left to the system. */
static int child_reap(const struct running_child *run) {
    struct pollfd end = {.fd = run->pidfd, .events = POLLIN};
    int status = 0;
    (void)poll(&end, 1, REAP_MS);
    if (waitpid(run->pid, &status, WNOHANG) != run->pid) {
        return 128 + SIGKILL;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int child_finish(struct loop *loop, const struct child *child, struct child_result *ret,
                        struct err *err) {
    struct running_child run = {.child = child, .pid = -1, .pidfd = -1, .fds = {-1, -1, -1}};
    int result = child_start(&run, err);
    if (result == 0) {
        if (child->input_len == 0) {
            child_close(&run.fds[CHILD_IN]);
        }
        result = child_follow(loop, &run, ret, err);
    }
    for (int i = 0; i < CHILD_PIPES; i++) {
        child_close(&run.fds[i]);
    }
    if (run.pid > 0) {
        if (result != 0) {
            (void)kill(-run.pid, SIGKILL);
        }
        ret->status = child_reap(&run);
    }
    child_close(&run.pidfd);
    return result;
}

int child_run(struct loop *loop, const struct child *child, struct child_result *ret, struct err *err) {
    char line[LINE_MAX_BYTES] = "";
    *ret = (struct child_result){.status = -1};
    ret->out.wipe = ret->err.wipe = true;
    if (child_finish(loop, child, ret, err) != 0) {
        return -1;
    }
    bool failed = child->complains != NULL && child->complains(ret, line, sizeof(line));
    if (!failed && ret->status == 0) {
        return 0;
    }
    return err_set(err, child->code, "%s (status %d)%s%s", child->failure, ret->status,
                   line[0] != '\0' ? ": " : "", line);
}

int child_tell(struct loop *loop, const struct child *child, struct err *err) {
    struct child_result said;
    int result = child_run(loop, child, &said, err);
    child_result_done(&said);
    return result;
}

const char *child_words(const struct child_result *result) {
    return result->out.data != NULL ? result->out.data : "";
}

/* Of standard error, or else of its output. */
static const char *child_complaint(const struct child_result *said) {
    const struct buf *from = said->err.len > 0 ? &said->err : &said->out;
    return from->data != NULL ? from->data : "";
}

bool child_first_line(const struct child_result *said, char *ret, size_t size) {
    const char *text = child_complaint(said);
    text += strspn(text, " \r\n");
    snprintf(ret, size, "%.*s", (int)strcspn(text, "\r\n"), text);
    return false;
}

bool child_last_line(const struct child_result *said, char *ret, size_t size) {
    const char *text = child_complaint(said);
    size_t end = strlen(text);
    while (end > 0 && strchr(" \r\n", text[end - 1]) != NULL) {
        end--;
    }
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    snprintf(ret, size, "%.*s", (int)(end - start), text + start);
    return false;
}
