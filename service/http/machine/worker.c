/*
 * See worker.h. One lock guards the ring of waiting jobs; jobs run without it.
 */
#include "machine/worker.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "request/serving.h"

struct worker_job {
    struct request *request; /* NULL: nobody waits */
    void (*run)(struct request *request);
    int (*compute)(struct request *request, struct err *err); /* in place of `run` */
    void (*run_detached)(void *arg);
    void *arg;
};

struct worker {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct worker_job ring[WORKER_JOBS_MAX];
    size_t first;
    size_t count;
    bool stopping;
    pthread_t thread;
};

static int refuse(struct request *request, struct err *err) {
    (void)request;
    return err_set(err, ERR_UNAVAILABLE, "the service is shutting down; try again in a moment");
}

static int fail(struct request *request, struct err *err) {
    *err = *request->failure;
    return -1;
}

static void run_job(const struct worker_job *job) {
    if (job->request == NULL) {
        job->run_detached(job->arg);
        return;
    }
    if (atomic_load(&job->request->serving->stopping)) {
        job->request->resume = refuse;
    } else if (job->compute == NULL) {
        job->run(job->request);
    } else if (job->compute(job->request, job->request->failure) != 0) {
        job->request->resume = fail;
    }
    request_resume(job->request);
}

static void *worker_main(void *arg) {
    struct worker *worker = arg;
    pthread_mutex_lock(&worker->lock);
    while (worker->count > 0 || !worker->stopping) {
        if (worker->count == 0) {
            pthread_cond_wait(&worker->cond, &worker->lock);
            continue;
        }
        struct worker_job job = worker->ring[worker->first];
        worker->first = (worker->first + 1) % WORKER_JOBS_MAX;
        worker->count--;
        pthread_mutex_unlock(&worker->lock);
        run_job(&job);
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

int worker_start(struct worker **ret, struct err *err) {
    struct worker *worker = base_calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->cond, NULL);
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
        pthread_cond_destroy(&worker->cond);
        pthread_mutex_destroy(&worker->lock);
        free(worker);
        return err_set(err, ERR_UNAVAILABLE, "cannot start the worker thread: the system is out of threads");
    }
    *ret = worker;
    return 0;
}

void worker_stop(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->cond);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->cond);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

/* With the lock. */
static int check_room(const struct worker *worker, struct err *err) {
    if (worker->count == WORKER_JOBS_MAX || worker->stopping) {
        return err_set(err, ERR_UNAVAILABLE,
                       "%d long-running requests are waiting already; try again in a moment",
                       WORKER_JOBS_MAX);
    }
    return 0;
}

static void add_job(struct worker *worker, const struct worker_job *job) {
    worker->ring[(worker->first + worker->count) % WORKER_JOBS_MAX] = *job;
    worker->count++;
    pthread_cond_signal(&worker->cond);
}

static int suspend_for(struct worker *worker, const struct worker_job *job,
                       int (*resume)(struct request *request, struct err *err), struct err *err) {
    pthread_mutex_lock(&worker->lock);
    int result = check_room(worker, err);
    if (result == 0) {
        request_suspend(job->request, resume);
        add_job(worker, job);
    }
    pthread_mutex_unlock(&worker->lock);
    return result;
}

int worker_run(struct worker *worker, struct request *request, void (*job)(struct request *request),
               int (*resume)(struct request *request, struct err *err), struct err *err) {
    return suspend_for(worker, &(struct worker_job){.request = request, .run = job}, resume, err);
}

int worker_compute(struct worker *worker, struct request *request,
                   int (*job)(struct request *request, struct err *err),
                   int (*resume)(struct request *request, struct err *err), struct err *err) {
    request->failure = arena_alloc(&request->arena, sizeof(*request->failure));
    if (request->failure == NULL) {
        return err_no_memory(err);
    }
    err_clear(request->failure);
    return suspend_for(worker, &(struct worker_job){.request = request, .compute = job}, resume, err);
}

int worker_detach(struct worker *worker, void (*job)(void *arg), void *arg, struct err *err) {
    pthread_mutex_lock(&worker->lock);
    int result = check_room(worker, err);
    if (result == 0) {
        add_job(worker, &(struct worker_job){.run_detached = job, .arg = arg});
    }
    pthread_mutex_unlock(&worker->lock);
    return result;
}
