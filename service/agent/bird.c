/*
 * BIRD: its control socket is spoken directly. A change is configured with a time-out, so that BIRD goes back
 * by itself when nobody confirms it. A connection lives for one command; nothing is kept between calls.
 *
 * BIRD fails closed: a session whose password it cannot use stays down. So nothing has to be read back.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "bird_answer.h"
#include "child.h"
#include "driver.h"

#define BIRD_LOCAL_DIRECTORY                                                                                 \
    "/etc/bird/local.d"      /* of the host's own additions; the rendered file includes it */
#define BIRD_SECONDS      10 /* for one command */
#define BIRD_UNDO_EXTRA_S 15 /* BIRD's own time-out comes after ours */
#define BIRD_STATUS_MS    50

/* ---- the socket ---- */

static int bird_connect(const char *path, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return err_set(err, ERR_USAGE, "--control %s is too long for a socket", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no socket: %s", strerror(errno));
    }
    /* A local socket connects at once, or not at all: with EAGAIN the daemon does not take connections. */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        bool away = errno == ENOENT || errno == ECONNREFUSED;
        err_set(err, away ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "cannot reach BIRD on %s: %s", path,
                strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

/* Read one answer, until `until_ms`. */
static int bird_receive(struct host *host, int fd, int64_t until_ms, struct bird_answer *answer,
                        struct err *err) {
    char piece[16384];
    while (!answer->complete) {
        struct client_wait wait = {.fd = fd, .events = POLLIN};
        enum loop_end end = loop_wait(host->loop, &wait, 1, until_ms);
        if (end == LOOP_STOP) {
            return loop_stopped(err);
        }
        if (end == LOOP_TIME) {
            return err_set(err, ERR_UNAVAILABLE, "BIRD does not answer on %s within %d s",
                           host->settings->control, BIRD_SECONDS);
        }
        ssize_t done = read(fd, piece, sizeof(piece));
        if (done == 0 || (done < 0 && errno != EAGAIN && errno != EINTR)) {
            return err_set(err, ERR_UNAVAILABLE, "BIRD has closed its control socket%s%s",
                           done < 0 ? ": " : "", done < 0 ? strerror(errno) : "");
        }
        if (done > 0 && bird_answer_add(answer, piece, (size_t)done, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int bird_send(struct host *host, int fd, int64_t until_ms, const char *command, struct err *err) {
    size_t len = strlen(command);
    while (len > 0) {
        ssize_t done = send(fd, command, len, MSG_NOSIGNAL);
        if (done > 0) {
            command += done;
            len -= (size_t)done;
            continue;
        }
        if (done < 0 && errno != EAGAIN && errno != EINTR) {
            return err_set(err, ERR_UNAVAILABLE, "BIRD has closed its control socket: %s", strerror(errno));
        }
        struct client_wait wait = {.fd = fd, .events = POLLOUT};
        enum loop_end end = loop_wait(host->loop, &wait, 1, until_ms);
        if (end != LOOP_READY) {
            return end == LOOP_STOP ? loop_stopped(err)
                                    : err_set(err, ERR_UNAVAILABLE, "BIRD takes no command on %s",
                                              host->settings->control);
        }
    }
    return 0;
}

/* One command, with its newline, and its answer, which is to be freed in any case. */
static int bird_ask(struct host *host, const char *command, struct bird_answer *ret, struct err *err) {
    int64_t until = clock_monotonic_ms() + BIRD_SECONDS * 1000;
    struct bird_answer hello = BIRD_ANSWER_INIT;
    *ret = (struct bird_answer)BIRD_ANSWER_INIT;
    int fd = bird_connect(host->settings->control, err);
    if (fd < 0) {
        return -1;
    }
    int result = bird_receive(host, fd, until, &hello, err);
    if (result == 0 && hello.code != BIRD_HELLO) {
        result = err_set(err, ERR_UNAVAILABLE, "whoever answers on %s is not BIRD", host->settings->control);
    }
    if (result == 0) {
        result = bird_send(host, fd, until, command, err);
    }
    if (result == 0) {
        result = bird_receive(host, fd, until, ret, err);
    }
    if (result == 0) {
        bird_answer_last(&hello, ret->greeting, sizeof(ret->greeting));
    }
    bird_answer_done(&hello);
    close(fd);
    return result;
}

/* The same for a command that must succeed. The code of the last line in *ret_code. */
static int bird_tell(struct host *host, const char *command, int *ret_code, struct err *err) {
    struct bird_answer answer;
    int result = bird_ask(host, command, &answer, err);
    if (result == 0 && answer.code >= BIRD_FAILED) {
        char text[512];
        bird_answer_last(&answer, text, sizeof(text));
        result = err_set(err, answer.code == BIRD_NOT_ALLOWED ? ERR_UNAVAILABLE : ERR_INVALID,
                         "BIRD refuses: %s", text);
    }
    if (result == 0) {
        *ret_code = answer.code;
    }
    bird_answer_done(&answer);
    return result;
}

/* ---- the driver ---- */

static int bird_prepare(struct host *host, struct err *err) {
    (void)host;
    /* An include of a directory that does not exist is a syntax error. */
    if (mkdir(BIRD_LOCAL_DIRECTORY, 0755) != 0 && errno != EEXIST) {
        return err_set(err, ERR_UNAVAILABLE, "cannot make %s, which the configuration includes: %s",
                       BIRD_LOCAL_DIRECTORY, strerror(errno));
    }
    return 0;
}

/* For when the daemon does not run. */
static int bird_check_offline(struct host *host, const char *path, struct err *err) {
    const char *const argv[] = {"bird", "-p", "-c", path, NULL};
    struct child child = {.argv = argv,
                          .seconds = BIRD_SECONDS,
                          .failure = "bird -p refuses the configuration",
                          .code = ERR_INVALID,
                          .complains = child_first_line};
    return child_tell(host->loop, &child, err);
}

static int bird_check(struct host *host, const char *path, struct err *err) {
    char command[PATH_MAX + 32];
    int code = 0;
    if (strpbrk(path, "\"\n") != NULL) {
        return err_set(err, ERR_USAGE, "BIRD cannot read a file with a quotation mark in its name");
    }
    snprintf(command, sizeof(command), "configure check \"%s\"\n", path);
    if (bird_tell(host, command, &code, err) == 0) {
        return 0;
    }
    if (err->code != ERR_NOT_FOUND) {
        return -1;
    }
    err_clear(err);
    return bird_check_offline(host, path, err);
}

/* Wait until BIRD has done what it calls "reconfiguration in progress": old sessions are saying goodbye. */
static int bird_wait_configured(struct host *host, struct err *err) {
    int64_t until = clock_monotonic_ms() + (int64_t)host->settings->confirm_seconds * 1000;
    for (;;) {
        struct bird_answer answer;
        char text[128];
        int result = bird_ask(host, "configure status\n", &answer, err);
        bool busy = result == 0 && bird_answer_find(&answer, BIRD_IN_PROGRESS, text, sizeof(text));
        bird_answer_done(&answer);
        if (result != 0 || !busy) {
            return result;
        }
        if (clock_monotonic_ms() >= until) {
            return err_set(err, ERR_UNAVAILABLE,
                           "BIRD does not finish its reconfiguration within %" PRIu64 " s",
                           host->settings->confirm_seconds);
        }
        if (!loop_sleep(host->loop, BIRD_STATUS_MS)) {
            return loop_stopped(err);
        }
    }
}

static int bird_apply(struct host *host, const struct change *change, struct err *err) {
    (void)change;
    char command[64];
    int code = 0;
    snprintf(command, sizeof(command), "configure timeout %" PRIu64 "\n",
             host->settings->confirm_seconds + BIRD_UNDO_EXTRA_S);
    if (bird_tell(host, command, &code, err) != 0) {
        return -1;
    }
    return code == BIRD_IN_PROGRESS ? bird_wait_configured(host, err) : 0;
}

static int bird_confirm(struct host *host, struct err *err) {
    int code = 0;
    return bird_tell(host, "configure confirm\n", &code, err);
}

static int bird_undo(struct host *host, const struct change *change, struct err *err) {
    int code = 0;
    /* The file is the old one again, so what BIRD reads and what it would go back to are the same. Reading is
     * preferred because it works at any time; without an old file there is only going back. */
    return bird_tell(host, change->old_text != NULL ? "configure\n" : "configure undo\n", &code, err);
}

static int bird_read(struct host *host, struct session_list *ret, struct err *err) {
    struct bird_answer answer;
    int result = bird_ask(host, "show protocols all\n", &answer, err);
    if (result == 0 && answer.code >= BIRD_FAILED) {
        char text[256];
        bird_answer_last(&answer, text, sizeof(text));
        result = err_set(err, ERR_UNAVAILABLE, "BIRD does not show its protocols: %s", text);
    }
    if (result == 0) {
        /* "BIRD 2.0.12 ready." */
        snprintf(ret->daemon, sizeof(ret->daemon), "%.*s", (int)strcspn(answer.greeting + 5, " ") + 5,
                 answer.greeting);
        result = bird_sessions(&answer, ret, err);
    }
    bird_answer_done(&answer);
    return result;
}

static int bird_withdraw(struct host *host, const struct expected *expected, struct err *err) {
    (void)expected;
    int code = 0;
    return bird_tell(host, "disable \"n.*\"\n", &code, err);
}

const struct driver DRIVER_BIRD = {
    .name = "bird",
    .format = "bird2",
    .comment = "# ",
    .config = "/etc/bird/bird.conf",
    .control = "/run/bird/bird.ctl",
    .group = "bird",
    .mode = 0640,
    .read_ms = 1000,
    .restart_lines = (const char *const[]){"router id ", NULL},
    .prepare = bird_prepare,
    .check = bird_check,
    .apply = bird_apply,
    .confirm = bird_confirm,
    .undo = bird_undo,
    .read = bird_read,
    .withdraw = bird_withdraw,
};
