/*
 * The committer's queue: jobs that wait, those of each user in their order of arrival, the users in turns.
 *
 * A user's waiting jobs are a lane. The lanes stand in a ring; the committer takes the first job of one lane,
 * then of the next, so that a user with very many jobs delays another user's by those of one batch and one
 * more, whatever their number. Nothing is allocated: the first job of a lane holds what there is to know of
 * it.
 *
 * `lock` guards everything here, and is taken with no other lock.
 */
#ifndef BGPPEERD_STATE_QUEUE_H
#define BGPPEERD_STATE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "state.h"

#define QUEUE_BUCKETS     256          /* of the table of lanes */
#define QUEUE_BATCH_BYTES (256 * 1024) /* a batch that reaches so much weight takes no further job */

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct job *turn; /* first job of the lane whose turn it is; NULL: nothing waits */
    struct job *lanes[QUEUE_BUCKETS];
    size_t count; /* jobs that wait */
    bool stopping;
};

int queue_init(struct queue *queue, struct err *err) MUST_CHECK;
void queue_done(struct queue *queue);
/* Add a job whose upper part is filled in. ERR_UNAVAILABLE: stopping, or STATE_QUEUE_MAX jobs wait;
 * ERR_TOO_MANY_REQUESTS: job->user_max of this user do. */
int queue_push(struct queue *queue, struct job *job, struct err *err) MUST_CHECK;
/*
 * The next batch, chained by `next`: one job that stands alone, or jobs that do not, in turns, up to
 * STATE_BATCH_MAX writes and QUEUE_BATCH_BYTES. Waits for one; NULL when the queue is stopping and empty,
 * then *ret_stop is set, or when `wait_ms` have passed.
 */
struct job *queue_take(struct queue *queue, unsigned wait_ms, bool *ret_stop);
/* Nothing more is accepted; what waits is still given out. */
void queue_stop(struct queue *queue);

#endif
