/*
 * Worker: one thread for what takes long and must not hold up a connection's thread: previews over many
 * nodes, rotations of keys, backups. Jobs run one after the other; their requests are suspended meanwhile.
 */
#ifndef BGPPEERD_HTTP_MACHINE_WORKER_H
#define BGPPEERD_HTTP_MACHINE_WORKER_H

#include "base/err.h"
#include "request/request.h"

#define WORKER_JOBS_MAX 64 /* waiting; beyond: 503 */

struct worker;

int worker_start(struct worker **ret, struct err *err) MUST_CHECK;
/* Finish the jobs that wait, end the thread. Requests whose job has not begun when the server starts to stop
 * are refused instead, so that a long queue does not hold up the end. Accepts NULL. */
void worker_stop(struct worker *worker);

/*
 * Suspend the request, call `job` on the worker's thread, then `resume` on the connection's. The job owns the
 * request while it runs and must not answer it. ERR_UNAVAILABLE: too many wait; nothing was suspended.
 */
int worker_run(struct worker *worker, struct request *request, void (*job)(struct request *request),
               int (*resume)(struct request *request, struct err *err), struct err *err) MUST_CHECK;

/*
 * The same for a job that may fail: then its error is the request's answer, with request->causes, and
 * `resume` is not called.
 */
int worker_compute(struct worker *worker, struct request *request,
                   int (*job)(struct request *request, struct err *err),
                   int (*resume)(struct request *request, struct err *err), struct err *err) MUST_CHECK;

/* The same for a job that no request waits for. `arg` must live until it has run. */
int worker_detach(struct worker *worker, void (*job)(void *arg), void *arg, struct err *err) MUST_CHECK;

#endif
