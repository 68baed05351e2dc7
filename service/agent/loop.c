/*
 * Turns of the agent's thread. The loop owns the signals' descriptor and the HTTP client; both belong to the
 * main thread.
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"
#include "base/number.h"

#define TURN_MAX_MS 60000
#define LAST_MS     700 /* of the last second */

/* systemd's watchdog: half of the time after which it believes that we hang. */
static int64_t loop_watchdog_interval(void) {
    const char *text = getenv("WATCHDOG_USEC");
    uint64_t usec;
    return text != NULL && u64_parse(text, strlen(text), INT64_MAX, &usec) ? (int64_t)(usec / 2000) : 0;
}

int loop_start(struct loop *loop, struct err *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    loop->signals = -1;
    loop->watchdog_ms = loop_watchdog_interval();
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        (loop->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot wait for signals: %s", strerror(errno));
    }
    return client_new(&loop->client, err);
}

void loop_done(struct loop *loop) {
    client_free(loop->client);
    loop->client = NULL;
    if (loop->signals >= 0) {
        close(loop->signals);
        loop->signals = -1;
    }
}

static void loop_take_signals(struct loop *loop) {
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            loop->look = loop->wake = true;
        } else {
            loop->stopping = true;
        }
    }
}

static void loop_show_life(struct loop *loop) {
    int64_t now = clock_monotonic_ms();
    if (loop->watchdog_ms > 0 && now >= loop->alive_at) {
        notify_manager("WATCHDOG=1");
        loop->alive_at = now + loop->watchdog_ms;
    }
}

/* How long one turn may wait. */
static int loop_turn_ms(const struct loop *loop, int64_t until_ms) {
    int64_t until = loop->stopping && loop->end_at < until_ms ? loop->end_at : until_ms;
    if (loop->watchdog_ms > 0 && loop->alive_at < until) {
        until = loop->alive_at;
    }
    if (loop->due != NULL) {
        int64_t due = loop->due(loop->context);
        until = due < until ? due : until;
    }
    int64_t left = until - clock_monotonic_ms();
    return left < 0 ? 0 : left > TURN_MAX_MS ? TURN_MAX_MS : (int)left;
}

void loop_grant(struct loop *loop) {
    if (loop->stopping && loop->end_at == 0) {
        loop->end_at = clock_monotonic_ms() + LAST_MS;
    }
}

enum loop_end loop_wait(struct loop *loop, struct client_wait *waits, size_t count, int64_t until_ms) {
    struct client_wait all[CLIENT_WAIT_MAX];
    for (;;) {
        if (loop->stopping && clock_monotonic_ms() >= loop->end_at) {
            return LOOP_STOP;
        }
        loop_show_life(loop);
        if (loop->turn != NULL) {
            loop->turn(loop->context);
        }
        all[0] = (struct client_wait){.fd = loop->signals, .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
            all[i + 1] = waits[i];
        }
        /* What `turn` has just found must not wait for the next thing to happen. */
        bool hurry = loop->wake && count == 0;
        client_turn(loop->client, all, count + 1, hurry ? 0 : loop_turn_ms(loop, until_ms));
        loop_take_signals(loop);
        bool ready = false;
        for (size_t i = 0; i < count; i++) {
            waits[i].ret_events = all[i + 1].ret_events;
            ready = ready || (waits[i].fd >= 0 && waits[i].ret_events != 0);
        }
        if (ready) {
            return LOOP_READY;
        }
        if (clock_monotonic_ms() >= until_ms || (loop->wake && count == 0)) {
            loop->wake = loop->wake && count > 0;
            return LOOP_TIME;
        }
    }
}

bool loop_sleep(struct loop *loop, int64_t ms) {
    return loop_wait(loop, NULL, 0, clock_monotonic_ms() + ms) != LOOP_STOP;
}

int loop_stopped(struct err *err) {
    return err_set(err, ERR_UNAVAILABLE, "the agent is stopping");
}
