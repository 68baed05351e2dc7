/*
 * Committer: the one thread that changes anything. It takes a batch of waiting writes, applies them to a
 * draft, stores the batch in one transaction with one fsync, publishes the next picture, and only then tells
 * the writers. Everything that can fail (memory, the next snapshot and index) is done before the
 * commit, so nothing can fail between commit and publish. No locks
 * of its own: the queue has one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "state_internal.h"

#define PROBE_INTERVAL_MS     2000 /* how often a failed store is tried while nobody writes */
#define CHECK_INTERVAL_MS     1000 /* how often one that works is looked at */
#define COMPACT_EVERY_CHANGES 1000 /* of ordinary size; no more than what one store_compact drops */
#define COMPACT_STEPS_MAX     4    /* after one batch */
#define COMPACT_INTERVAL_MS   600000

static const char TASKS_USER[] = " tasks"; /* no user's name has a blank in front */

struct batch {
    struct write *writes; /* a chain (write_next) */
    struct draft draft;
    struct picture *base;
    struct picture *picture; /* the next one; NULL: nothing to store */
    struct node_set *affected;
    struct store_change *changes;
    struct state_event *events;
    size_t event_count; /* of both: silent changes have none */
    struct audit_rows audit;
};

enum commit_result { COMMIT_SETTLED, COMMIT_LOST, COMMIT_TOO_LARGE };

/* ---- what is submitted ---- */

int state_submit(struct state *state, struct write *write, struct err *err) {
    write->job = (struct job){.alone = write->verify != NULL || write->wants_effect,
                              .user = write->actor == NULL ? "" : write->actor,
                              .user_max = write->waiting_max == 0 ? STATE_USER_QUEUE_MAX : write->waiting_max,
                              .weight = write->weight};
    for (const struct write *of_group = write; of_group != NULL; of_group = of_group->also) {
        write->job.writes++;
    }
    return queue_push(&state->queue, &write->job, err);
}

static int submit_task(struct state *state, struct task *task, void *waiter, struct err *err) {
    task->waiter = waiter;
    err_clear(&task->err);
    task->job = (struct job){
        .is_task = true, .alone = true, .user = TASKS_USER, .user_max = STATE_QUEUE_MAX, .writes = 1};
    return queue_push(&state->queue, &task->job, err);
}

int committer_submit(struct state *state, struct task *task, struct err *err) {
    return submit_task(state, task, NULL, err);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void waiter_done(struct task *task) {
    struct waiter *waiter = task->waiter;

    task->waiter = NULL; /* it ends with the frame of who waits */
    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->cond);
    pthread_mutex_unlock(&waiter->lock);
}

int committer_run(struct state *state, struct task *task, struct err *err) {
    struct waiter waiter = {.done = false};

    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.cond, NULL);
    task->done = waiter_done;
    int result = submit_task(state, task, &waiter, err);

    if (result == 0) {
        pthread_mutex_lock(&waiter.lock);
        while (!waiter.done) {
            pthread_cond_wait(&waiter.cond, &waiter.lock);
        }
        pthread_mutex_unlock(&waiter.lock);
        if (task->err.code != ERR_NONE) {
            *err = task->err;
            result = -1;
        }
    }
    pthread_cond_destroy(&waiter.cond);
    pthread_mutex_destroy(&waiter.lock);
    return result;
}

/* Everything the commit and what follows it need, so that nothing has to be allocated later. */
static int batch_prepare(struct state *state, struct batch *batch, struct err *err) {
    const struct draft *draft = &batch->draft;

    batch->changes = base_calloc(draft->count + 1, sizeof *batch->changes);
    batch->events = base_calloc(draft->count + 1, sizeof *batch->events);
    if (batch->changes == NULL || batch->events == NULL) {
        return err_no_memory(err);
    }
    for (size_t k = 0; k < draft->count; k++) {
        const struct draft_change *change = &draft->changes[k];

        if (change->silent) {
            continue;
        }
        size_t i = batch->event_count++;

        batch->changes[i] = (struct store_change){
            .op = change->op,
            .kind = kind_info(change->change.kind)->name,
            .name = change->key,
            .revision = change->revision,
            .time_ms = draft->now_ms,
            .actor = change->actor,
            .body = change->change.after->json,
            .body_len = change->change.after->json_len,
            .txn = change->txn,
            .request = change->request,
            .reason = change->reason,
        };
        batch->events[i] = (struct state_event){
            .op = change->op,
            .kind = change->change.kind,
            .revision = change->revision,
            .before = change->change.before,
            .after = change->change.after,
        };
    }
    if (draft_picture(draft, batch->base, &batch->picture, &batch->affected, err) < 0 ||
        trail_stage(state, batch->writes, draft->now_ms, &batch->audit, err) < 0) {
        return -1;
    }
    return lists_grow(&state->lists, peering_index_slots(batch->picture->index), err);
}

static void batch_fail(struct batch *batch, const struct err *err) {
    for (struct write *write = batch->writes; write != NULL; write = write_next(write)) {
        if (write->err.code != ERR_NONE) {
            continue;
        }
        for (struct write *w = write; w != NULL; w = w->also) {
            record_unref(w->record);
            w->record = NULL;
        }
        write->err = *err;
    }
}

/* Of the nodes that are gone. */
static void forget_lists(struct state *state, const struct batch *batch) {
    for (size_t i = 0; i < batch->event_count; i++) {
        const struct state_event *event = &batch->events[i];

        if (event->kind == KIND_NODE && event->op == STORE_DELETE) {
            int64_t slot = peering_index_slot(batch->base->index, event->after->key);

            if (slot >= 0) { /* else it was created in this batch */
                lists_forget(&state->lists, (uint32_t)slot, batch->draft.revision);
                status_forget(state->sessions.status, (uint32_t)slot);
            }
        }
    }
}

/* `forget`: what has happened is not told as events; whoever waits for some is woken and lists anew. */
static void batch_publish(struct state *state, struct batch *batch, bool forget) {
    uint64_t revision = batch->draft.revision;
    unsigned kinds = forget ? ~0u : 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        kinds |= 1u << batch->events[i].kind;
    }
    lists_mark(&state->lists, batch->affected, revision);
    state_publish(state, batch->picture);
    batch->picture = NULL;
    forget_lists(state, batch);
    meter_batch(&state->meter, batch->events, batch->event_count);
    if (forget) {
        history_forget(&state->history, revision);
    } else {
        history_add(&state->history, batch->events, batch->event_count, revision);
    }
    lists_wake(&state->lists, batch->affected);
    history_wake(&state->history, kinds);
}

/* What the submitter of a group that stands alone has to say now. */
static int batch_verify(const struct batch *batch, struct err *err) {
    struct write *write = batch->writes;
    const struct picture *after = batch->picture != NULL ? batch->picture : batch->base;

    return write->verify == NULL || write->err.code != ERR_NONE
               ? 0
               : write->verify(write, batch->base, after, batch->affected, err);
}

void write_effect_done(struct write_effect *effect) {
    picture_unref(effect->before);
    picture_unref(effect->after);
    node_set_free(effect->affected);
    *effect = (struct write_effect){.before = NULL};
}

/* For the submitter of a group that stands alone, before the picture is published. */
static void batch_keep_effect(struct batch *batch) {
    struct write_effect *effect = &batch->writes->effect;

    if (batch->writes->wants_effect) {
        effect->before = picture_ref(batch->base);
        effect->after = picture_ref(batch->picture != NULL ? batch->picture : batch->base);
    }
}

static enum commit_result batch_refuse(struct state *state, struct batch *batch, const struct err *err) {
    trail_settle(state, &batch->audit, false);
    batch_fail(batch, err);
    return COMMIT_SETTLED;
}

static enum commit_result batch_commit(struct state *state, struct batch *batch, struct err *err) {
    if (batch->draft.count > 0 && batch_prepare(state, batch, err) < 0) {
        log_event(LOG_ERROR, "write-failed", LOG_STR("error", err->text));
        return batch_refuse(state, batch, err);
    }
    if (batch_verify(batch, err) < 0) {
        return batch_refuse(state, batch, err);
    }
    batch_keep_effect(batch);
    if (batch->draft.count == 0) {
        return COMMIT_SETTLED;
    }
    struct store_batch transaction = {
        .changes = batch->changes,
        .change_count = batch->event_count,
        .sealed = batch->draft.sealed,
        .sealed_count = batch->draft.sealed_count,
        .audit = batch->audit.items,
        .audit_count = batch->audit.count,
    };
    if (state_commit(state, &transaction, err) == 0) {
        state_set_failure(state, NULL);
        trail_settle(state, &batch->audit, true);
        batch_publish(state, batch, false);
        return COMMIT_SETTLED;
    }
    if (state->follow.lost || (err->code == ERR_TOO_LARGE && write_next(batch->writes) != NULL)) {
        trail_settle(state, &batch->audit, false);
        return state->follow.lost ? COMMIT_LOST : COMMIT_TOO_LARGE;
    }
    log_event(LOG_ERROR, "commit-failed", LOG_INT("changes", batch->draft.count),
              LOG_STR("error", err->text));
    if (err->code != ERR_TOO_LARGE) { /* that is the write's fault, not the store's */
        state_set_failure(state, err);
    }
    return batch_refuse(state, batch, err);
}

/* Without telling the writers. */
static void batch_clear(struct batch *batch) {
    picture_unref(batch->picture);
    picture_unref(batch->base);
    node_set_free(batch->affected);
    free(batch->changes);
    free(batch->events);
    draft_done(&batch->draft);
}

static void batch_done(struct state *state, struct batch *batch) {
    struct write *next;

    if (batch->writes != NULL && batch->writes->wants_effect) {
        batch->writes->effect.affected = batch->affected;
        batch->affected = NULL;
    }
    for (struct write *write = batch->writes; write != NULL; write = next) {
        next = write_next(write); /* the write may be gone after the call */
        meter_write(&state->meter, write);
        write->done(write);
    }
    batch_clear(batch);
}

int state_commit(struct state *state, struct store_batch *batch, struct err *err) {
    bool audit_only = batch->change_count + batch->sealed_count + batch->setting_count == 0;

    batch->base = state->follow.commit;
    state->follow.lost = false;
    if (store_commit(state->store, batch, err) != 0) {
        state->follow.lost = err->code == ERR_CONFLICT;
        return -1;
    }
    if (!audit_only && store_is_shared(state->store)) {
        follow_own(state, batch);
    }
    return 0;
}

int committer_publish(struct state *state, struct draft *draft, struct picture *base, bool forget,
                      struct err *err) {
    struct batch batch = {.base = picture_ref(base), .draft = *draft};
    int result = batch_prepare(state, &batch, err);

    if (result == 0) {
        batch_publish(state, &batch, forget);
    }
    *draft = batch.draft;
    batch.draft = (struct draft){.count = 0};
    batch_clear(&batch);
    return result;
}

/* What the batch has added to the change log: its changes, a large one counting as several. */
static size_t batch_weight(const struct batch *batch) {
    size_t weight = batch->draft.count;

    for (size_t i = 0; i < batch->draft.count; i++) {
        weight += batch->draft.changes[i].change.after->json_len / STATE_CHANGE_BYTES;
    }
    return weight;
}

/* What a try has given the writers, before the next one. */
static void batch_retract(struct batch *batch) {
    write_effect_done(&batch->writes->effect);
    for (struct write *write = batch->writes; write != NULL; write = write_next(write)) {
        for (struct write *w = write; w != NULL; w = w->also) {
            if (w->record != NULL) {
                record_unref(w->record);
                w->record = NULL;
            }
        }
    }
    batch_clear(batch);
}

/* Somebody else was faster: have what they did, after a moment that differs from theirs. */
static int give_way(struct state *state, int tries, struct err *err) {
    int most_ms = 1 << (tries < 5 ? tries : 5);
    int64_t pause_ns = (int64_t)(random_u64() % 1000000) * most_ms;
    const struct timespec pause = {.tv_nsec = tries == 0 ? 0 : pause_ns};

    nanosleep(&pause, NULL);
    return follow_now(state, err);
}

static enum commit_result try_batch(struct state *state, struct batch *batch, struct write *writes,
                                    struct err *err) {
    *batch = (struct batch){.writes = writes, .base = state_picture(state)};
    draft_init(&batch->draft, state, batch->base);
    batch->draft.judge = state;
    for (struct write *write = writes; write != NULL; write = write_next(write)) {
        if (draft_apply(&batch->draft, write) < 0) {
            continue; /* its outcome says why */
        }
    }
    return batch_commit(state, batch, err);
}

/* The second half of a chain, taken off. Several are in it. */
static struct write *cut_chain(struct write *writes) {
    struct write *middle = writes;

    for (const struct write *end = write_next(writes); end != NULL && write_next(end) != NULL;
         end = write_next(write_next(end))) {
        middle = write_next(middle);
    }
    struct write *rest = write_next(middle);

    middle->job.next = NULL;
    return rest;
}

/* Returns the batch's weight. */
static size_t run_batch(struct state *state, struct write *writes) {
    struct batch batch;
    struct err err = ERR_INIT;
    enum commit_result result = try_batch(state, &batch, writes, &err);

    int64_t until_ms = clock_monotonic_ms() + STATE_TRIES_MS;
    for (int i = 0; result == COMMIT_LOST && clock_monotonic_ms() < until_ms; i++) {
        err_clear(&err);
        if (give_way(state, i, &err) != 0) {
            break;
        }
        batch_retract(&batch);
        result = try_batch(state, &batch, writes, &err);
    }
    if (result == COMMIT_TOO_LARGE) {
        batch_retract(&batch);
        struct write *rest = cut_chain(writes);
        size_t weight = run_batch(state, writes);

        return weight + run_batch(state, rest);
    }
    if (result == COMMIT_LOST) {
        if (err.code == ERR_CONFLICT) {
            err_set(&err, ERR_UNAVAILABLE,
                    "other instances were changing the fleet faster for %d s; nothing was written; try again",
                    STATE_TRIES_MS / 1000);
        }
        batch_fail(&batch, &err);
    }
    size_t weight = batch_weight(&batch);

    batch_done(state, &batch);
    return weight;
}

/* A task of state's own (a step of a key change, a token): it commits for itself. */
static void run_task(struct state *state, struct task *task) {
    int result = -1;

    int64_t until_ms = clock_monotonic_ms() + STATE_TRIES_MS;

    for (int i = 0;; i++) {
        state->follow.lost = false;
        err_clear(&task->err);
        result = task->run(state, task, &task->err);
        struct err astray = ERR_INIT;

        if (result == 0 || !state->follow.lost || clock_monotonic_ms() > until_ms ||
            give_way(state, i, &astray) != 0) {
            break;
        }
    }
    if (result == 0) {
        err_clear(&task->err);
    } else if (state->follow.lost) {
        err_set(&task->err, ERR_UNAVAILABLE,
                "other instances were changing the fleet at the same moment; nothing was written; try again");
    }
    task->done(task); /* the task may be gone after the call */
}

/* A write of our own, so that a store that works again is noticed although nobody writes. */
static void probe_store(struct state *state) {
    const struct store_setting setting = {.name = "state/probe", .value = "1", .value_len = 1};
    struct store_batch transaction = {.settings = &setting, .setting_count = 1};
    struct err err = ERR_INIT;

    int result = state_commit(state, &transaction, &err);
    bool behind = result != 0 && state->follow.lost; /* the store works, and others have written */
    if (behind) {
        err_clear(&err);
        result = follow_now(state, &err);
    }
    if (result == 0) {
        log_event(LOG_INFO, "store-recovered");
        state_set_failure(state, NULL);
    } else if (!behind) {
        state_set_failure(state, &err);
    }
}

/* A store that has lost its files takes no writes, and says so before anybody tries. */
static void check_store(struct state *state) {
    struct err err = ERR_INIT;

    if (store_check(state->store, &err) != 0) {
        log_event(LOG_ERROR, "store-not-writable", LOG_STR("error", err.text));
        state_set_failure(state, &err);
    }
}

/* When it is time, try a store that fails, or look at one that works. Returns when it is time again. */
static int64_t look_after_store(struct state *state, int64_t due_ms) {
    int64_t now_ms = clock_monotonic_ms();
    struct err err = ERR_INIT;

    if (now_ms < due_ms) {
        return due_ms;
    }
    if (state_writable(state, &err) < 0) {
        probe_store(state);
        follow_changed(state); /* if that is what failed */
        return now_ms + PROBE_INTERVAL_MS;
    }
    check_store(state);
    return now_ms + CHECK_INTERVAL_MS;
}

/* What the store keeps of the past: beyond what the memory has, by age and size, and less when the disk gets
 * full: history goes before a write is refused for space. */
static struct store_keep what_to_keep(struct state *state) {
    struct store_figures figures;
    store_figures(state->store, &figures);
    bool short_of_space = figures.free_bytes > 0 && figures.free_bytes < STATE_HISTORY_SPACE;
    return (struct store_keep){.changes = history_kept(&state->history),
                               .since_ms = clock_realtime_ms() - state->keep_history_ms,
                               .bytes = short_of_space ? 0 : state->max_history_bytes};
}

/* Drop from the log what is no longer to be kept, when enough was added since the last look (`due`) or time
 * has passed. Returns what is still due, so that a log that has grown faster than one call drops rows does
 * not stay long. */
static size_t compact(struct state *state, size_t due, int64_t *look_ms) {
    int64_t now_ms = clock_monotonic_ms();
    if (due < COMPACT_EVERY_CHANGES && now_ms < *look_ms) {
        return due;
    }
    struct store_keep keep = what_to_keep(state);
    bool more = true;
    *look_ms = now_ms + COMPACT_INTERVAL_MS;
    for (int i = 0; i < COMPACT_STEPS_MAX && more; i++) {
        struct err err = ERR_INIT;
        uint64_t compacted;
        if (store_compact(state->store, &keep, &more, &compacted, &err) != 0) {
            log_event(LOG_WARN, "compaction-failed", LOG_STR("error", err.text));
            return due;
        }
    }
    return more ? COMPACT_EVERY_CHANGES : 0;
}

static void *committer_main(void *arg) {
    struct state *state = arg;
    size_t due = state->compaction_due;
    int64_t look_ms = 0; /* when the store is looked at next */
    int64_t compact_ms =
        clock_monotonic_ms() + COMPACT_INTERVAL_MS; /* … for what is too old, without changes */
    int64_t given_ms = 0;                           /* when versions of lists are stored next */
    bool stop = false;

    while (!stop) {
        struct err err = ERR_INIT;
        struct job *jobs = queue_take(&state->queue, CHECK_INTERVAL_MS, &stop);

        if (jobs != NULL && jobs->is_task) {
            run_task(state, (struct task *)jobs);
        } else if (jobs != NULL) {
            due += run_batch(state, (struct write *)jobs);
        }
        /* Also between writes: dry runs and refused ones do not touch the store. */
        if (!stop) {
            look_ms = look_after_store(state, look_ms);
        }
        if (state_writable(state, &err) == 0) { /* a store that fails has something else to tell */
            given_look_after(state, &given_ms);
            due = compact(state, due, &compact_ms);
        }
    }
    return NULL;
}

int committer_start(struct state *state, struct err *err) {
    check_store(state); /* known before the first question */
    if (pthread_create(&state->committer.thread, NULL, committer_main, state) != 0) {
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot start the committer thread: the system is out of threads");
    }
    state->committer.runs = true;
    return 0;
}

void committer_stop(struct state *state) {
    if (!state->committer.runs) {
        return;
    }
    queue_stop(&state->queue);
    pthread_join(state->committer.thread, NULL);
    state->committer.runs = false;
}
