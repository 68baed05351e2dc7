/*
 * The agent's one thread: whatever takes time waits here, and while it waits, requests to the service,
 * signals and the service manager's watchdog go on.
 *
 * A job (a change, a look at the sessions) is written as a sequence of steps, each of which waits by
 * loop_wait. Only one job runs at a time. What runs at every turn besides, `turn`, must not wait.
 */
#ifndef BGPPEERD_AGENT_LOOP_H
#define BGPPEERD_AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "client.h"

#define LOOP_WAITS_MAX (CLIENT_WAIT_MAX - 1)

struct loop {
    struct client *client;
    int signals;                   /* signalfd of SIGTERM, SIGINT and SIGHUP */
    bool stopping;                 /* the agent is to end: waits are over, but for what loop_grant gives */
    int64_t end_at;                /* until then, monotonic ms; 0 = nothing was given */
    bool wake;                     /* set by `turn`: there is something new to do */
    bool look;                     /* SIGHUP: look at everything now; whoever does so clears it */
    int64_t watchdog_ms;           /* between two signs of life; 0: nobody asks for them */
    int64_t alive_at;              /* when the next sign is due, monotonic ms */
    void (*turn)(void *context);   /* moves the requests of polls and reports on; NULL: none */
    int64_t (*due)(void *context); /* when `turn` has to run at the latest, monotonic ms */
    void *context;
};

enum loop_end { LOOP_READY, LOOP_TIME, LOOP_STOP };

/* Signals are blocked first, so that every thread made later leaves them to the loop. */
int loop_start(struct loop *loop, struct err *err) MUST_CHECK;
void loop_done(struct loop *loop);

/*
 * Turn until one of `waits` is ready, until `until_ms` (monotonic), or until the agent is to stop. At most
 * LOOP_WAITS_MAX waits; a negative descriptor is passed over. Without waits, what wakes the loop (SIGHUP,
 * news) ends it as time does.
 */
enum loop_end loop_wait(struct loop *loop, struct client_wait *waits, size_t count, int64_t until_ms);
/* The agent is to stop, and something has to be brought to an end: waits go on for the rest of its last
 * second. Given once, however often it is asked for. */
void loop_grant(struct loop *loop);
/* Let time pass. False: the agent is to stop. */
bool loop_sleep(struct loop *loop, int64_t ms);

/* The error of a job that the agent's end has cut short. Returns -1. */
int loop_stopped(struct err *err);

#endif
