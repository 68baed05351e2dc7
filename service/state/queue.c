/*
 * The committer's queue (queue.h says what it promises). A lane is known by its first job, which is a member
 * of the ring of lanes and of its bucket's chain; when it is taken, the next job of the lane takes its
 * places.
 */
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

int queue_init(struct queue *queue, struct err *err) {
    *queue = (struct queue){.count = 0};
    pthread_mutex_init(&queue->lock, NULL);
    return clock_cond_init(&queue->cond) == 0 ? 0 : err_no_memory(err);
}

void queue_done(struct queue *queue) {
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->cond);
}

/* ---- lanes ---- */

/* Where the user's lane hangs, or where a new one is to hang. FNV-1a. */
static struct job **lane_of(struct queue *queue, const char *user) {
    unsigned hash = 2166136261u;

    for (const char *at = user; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    }
    struct job **lane = &queue->lanes[hash % QUEUE_BUCKETS];

    while (*lane != NULL && strcmp((*lane)->user, user) != 0) {
        lane = &(*lane)->same_bucket;
    }
    return lane;
}

/* A lane of one job, whose turn comes after all others'. */
static void lane_new(struct queue *queue, struct job **place, struct job *job) {
    struct job *turn = queue->turn;

    job->last = job;
    job->waiting = 1;
    job->same_bucket = NULL;
    *place = job;
    if (turn == NULL) {
        queue->turn = job->left = job->right = job;
        return;
    }
    job->right = turn;
    job->left = turn->left;
    turn->left->right = job;
    turn->left = job;
}

/* The first job of the lane whose turn it is; the turn goes to the next lane. */
static struct job *lane_take(struct queue *queue) {
    struct job *job = queue->turn, *next = job->next;
    struct job **place = lane_of(queue, job->user);

    assert(*place == job && queue->count > 0);
    if (next != NULL) {
        next->last = job->last;
        next->waiting = job->waiting - 1;
        next->same_bucket = job->same_bucket;
        *place = next;
        next->left = job->left == job ? next : job->left;
        next->right = job->right == job ? next : job->right;
        next->left->right = next->right->left = next;
        queue->turn = next->right;
    } else {
        *place = job->same_bucket;
        job->left->right = job->right;
        job->right->left = job->left;
        queue->turn = job->right == job ? NULL : job->right;
    }
    queue->count--;
    job->next = NULL;
    return job;
}

/* ---- in and out ---- */

int queue_push(struct queue *queue, struct job *job, struct err *err) {
    int result = 0;

    pthread_mutex_lock(&queue->lock);
    struct job **lane = lane_of(queue, job->user);

    job->next = NULL;
    if (queue->stopping) {
        result = err_set(err, ERR_UNAVAILABLE, "the service is shutting down; try again in a moment");
    } else if (queue->count >= STATE_QUEUE_MAX) {
        result = err_set(err, ERR_UNAVAILABLE, "%d writes are waiting already; try again in a moment",
                         STATE_QUEUE_MAX);
    } else if (*lane != NULL && (*lane)->waiting >= job->user_max) {
        result =
            err_set(err, ERR_TOO_MANY_REQUESTS,
                    "%zu writes of this user are waiting already; send the next one when some of them are "
                    "answered",
                    (*lane)->waiting);
    } else {
        if (queue->count++ == 0) {
            pthread_cond_signal(&queue->cond);
        }
        if (*lane == NULL) {
            lane_new(queue, lane, job);
        } else {
            (*lane)->last->next = job;
            (*lane)->last = job;
            (*lane)->waiting++;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return result;
}

/* A batch, in turns. Something waits. */
static struct job *take_batch(struct queue *queue) {
    struct job *first = lane_take(queue), *last = first;
    size_t writes = first->writes, weight = first->weight;

    while (!first->alone && queue->turn != NULL && !queue->turn->alone && writes < STATE_BATCH_MAX &&
           weight + queue->turn->weight <= QUEUE_BATCH_BYTES) {
        writes += queue->turn->writes;
        weight += queue->turn->weight;
        last->next = lane_take(queue);
        last = last->next;
    }
    return first;
}

struct job *queue_take(struct queue *queue, unsigned wait_ms, bool *ret_stop) {
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&queue->lock);
    while (queue->turn == NULL && !queue->stopping) {
        if (pthread_cond_timedwait(&queue->cond, &queue->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    *ret_stop = queue->turn == NULL && queue->stopping;
    struct job *batch = queue->turn == NULL ? NULL : take_batch(queue);

    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void queue_stop(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_cond_signal(&queue->cond);
    pthread_mutex_unlock(&queue->lock);
}
