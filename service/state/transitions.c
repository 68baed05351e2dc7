/*
 * What sessions did: changes of their verdicts on their way to the disk, and back.
 *
 * The sweep adds rows at the one end of a list; about once a second the committer stores those at the other,
 * a bounded number in a transaction, with writes in between. While nothing changes, nothing is written. While
 * the store fails, rows wait, and beyond TRANSITIONS_WAITING_MAX they are counted as dropped.
 *
 * The list's lock is taken last and held for a few instructions; rows are immutable once they are in the
 * list, and only the committer takes them out, so that it reads them without the lock.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

#define TRANSITIONS_BATCH       1000   /* rows that one transaction adds or drops: a few milliseconds */
#define TRANSITIONS_WAITING_MAX 100000 /* of them in memory */
#define TRANSITIONS_FLUSH_MS    1000

/* A row that waits to be stored, with its texts behind it. */
struct transition_row {
    struct transition_row *newer, *older;
    struct store_transition row;
    char text[];
};

/* ---- adding ---- */

static const char *put_text(char **at, const char *text) {
    const char *start = *at;
    *at = stpcpy(*at, text) + 1;
    return start;
}

static struct transition_row *row_new(const struct status_transition *change) {
    char peer[IP_TEXT_MAX];
    const char *remote = change->remote != NULL ? change->remote : "";
    ip_format(&change->address, peer);
    struct transition_row *row = base_malloc(sizeof(*row) + strlen(change->node) + strlen(peer) +
                                             strlen(remote) + strlen(change->message) + 4);
    if (row == NULL) {
        return NULL;
    }
    char *at = row->text;
    *row = (struct transition_row){.row = {.time_ms = clock_realtime_ms(),
                                           .node = put_text(&at, change->node),
                                           .peer = put_text(&at, peer),
                                           .port = change->port,
                                           .remote = put_text(&at, remote),
                                           .was = verdict_name(change->from),
                                           .became = verdict_name(change->to),
                                           .folded = change->folded,
                                           .message = put_text(&at, change->message)}};
    return row;
}

void transitions_add(struct transitions *transitions, const struct status_transition *change) {
    struct transition_row *row = row_new(change);
    pthread_mutex_lock(&transitions->lock);
    if (row == NULL || transitions->waiting == TRANSITIONS_WAITING_MAX) {
        transitions->dropped++;
    } else {
        row->row.sequence = ++transitions->sequence;
        row->older = transitions->newest;
        if (row->older != NULL) {
            row->older->newer = row;
        } else {
            transitions->oldest = row;
        }
        transitions->newest = row;
        transitions->waiting++;
        row = NULL;
    }
    pthread_mutex_unlock(&transitions->lock);
    free(row);
}

/* ---- storing ---- */

/* The oldest that wait, up to `max`; they stay where they are. */
static size_t waiting_rows(struct transitions *transitions, struct store_transition *rows, size_t max) {
    size_t count = 0;
    pthread_mutex_lock(&transitions->lock);
    for (const struct transition_row *row = transitions->oldest; row != NULL && count < max;
         row = row->newer) {
        rows[count++] = row->row;
    }
    pthread_mutex_unlock(&transitions->lock);
    return count;
}

/* The oldest `count` are stored. */
static void rows_are_stored(struct transitions *transitions, size_t count) {
    pthread_mutex_lock(&transitions->lock);
    struct transition_row *row = transitions->oldest;
    for (size_t i = 0; i < count; i++) {
        struct transition_row *newer = row->newer;
        free(row);
        row = newer;
    }
    transitions->oldest = row;
    if (row != NULL) {
        row->older = NULL;
    } else {
        transitions->newest = NULL;
    }
    transitions->waiting -= count;
    transitions->stored += count;
    pthread_mutex_unlock(&transitions->lock);
}

/* One transaction. *ret_count: how many rows it stored. */
static int store_rows(struct state *state, size_t *ret_count, struct err *err) {
    struct transitions *transitions = &state->transitions;
    struct store_transition *rows = base_malloc(TRANSITIONS_BATCH * sizeof(*rows));
    if (rows == NULL) {
        return err_no_memory(err);
    }
    size_t count = waiting_rows(transitions, rows, TRANSITIONS_BATCH);
    int result = store_commit(state->store,
                              &(struct store_batch){.transitions = rows, .transition_count = count}, err);
    free(rows);
    if (result == 0) {
        rows_are_stored(transitions, count);
        *ret_count = count;
    }
    return result;
}

/* Drop what is kept no longer, once there is a transaction's worth of it. true: there is more. */
static bool trim_rows(struct state *state) {
    struct transitions *transitions = &state->transitions;
    pthread_mutex_lock(&transitions->lock);
    uint64_t newest = transitions->sequence;
    pthread_mutex_unlock(&transitions->lock);
    uint64_t upto = newest > transitions->keep ? newest - transitions->keep : 0;
    bool more = false;
    struct err err = ERR_INIT;
    if (upto < transitions->trimmed + TRANSITIONS_BATCH) {
        return false;
    }
    if (store_trim_transitions(state->store, upto, TRANSITIONS_BATCH, &more, &err) != 0) {
        log_event(LOG_WARN, "transitions-trim-failed", LOG_STR("error", err.text));
        return false; /* the next time */
    }
    transitions->trimmed = more ? transitions->trimmed : upto;
    return more;
}

static int task_store(struct state *state, struct task *task, struct err *err) {
    struct transitions *transitions = &state->transitions;
    size_t count = 0;
    (void)task;
    if (store_rows(state, &count, err) != 0) {
        if (!transitions->failing) {
            log_event(LOG_ERROR, "transitions-not-stored", LOG_STR("error", err->text));
        }
        transitions->failing = true;
        state_set_failure(state, err);
        return -1;
    }
    transitions->failing = false;
    transitions->again = trim_rows(state) || count == TRANSITIONS_BATCH;
    return 0;
}

static void task_submit(struct state *state);

static void task_done(struct task *task) {
    struct state *state = task->arg;
    bool again = task->err.code == ERR_NONE && state->transitions.again;
    atomic_store(&state->transitions.storing, false);
    if (again) {
        task_submit(state); /* not in one task: writes come in between */
    }
}

static void task_submit(struct state *state) {
    struct transitions *transitions = &state->transitions;
    struct err err = ERR_INIT;
    if (atomic_exchange(&transitions->storing, true)) {
        return;
    }
    transitions->task = (struct task){.run = task_store, .done = task_done, .arg = state};
    if (committer_submit(state, &transitions->task, &err) != 0) {
        atomic_store(&transitions->storing, false); /* busy or shutting down: the next time, or the end */
    }
}

void transitions_flush(struct state *state) {
    struct transitions *transitions = &state->transitions;
    struct err failure = ERR_INIT;
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&transitions->lock);
    bool due = transitions->waiting > 0 && now_ms >= transitions->flush_ms;
    pthread_mutex_unlock(&transitions->lock);
    /* While the store fails, the committer finds out by itself when it works again. */
    if (due && state_writable(state, &failure) == 0) {
        transitions->flush_ms = now_ms + TRANSITIONS_FLUSH_MS;
        task_submit(state);
    }
}

/* ---- reading ---- */

int state_read_transitions(struct state *state, uint64_t below, size_t limit,
                           int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                           void *arg, struct err *err) {
    struct transitions *transitions = &state->transitions;
    int result = 0;
    size_t told = 0;
    pthread_mutex_lock(&transitions->lock);
    uint64_t next = below == 0 || below > transitions->sequence ? transitions->sequence + 1 : below;
    for (const struct transition_row *each = transitions->newest; each != NULL && result == 0 && told < limit;
         each = each->older) {
        if (each->row.sequence < next) {
            result = row(arg, &each->row, err);
            told++;
        }
    }
    /* What is older than all that wait is in the store. */
    if (transitions->oldest != NULL && transitions->oldest->row.sequence < next) {
        next = transitions->oldest->row.sequence;
    }
    pthread_mutex_unlock(&transitions->lock);
    return result != 0 || told == limit
               ? result
               : store_read_transitions(state->store, next, limit - told, row, arg, err);
}

void transitions_figures(struct transitions *transitions, struct state_figures *ret) {
    pthread_mutex_lock(&transitions->lock);
    ret->transitions_waiting = transitions->waiting;
    ret->transitions_stored = transitions->stored;
    ret->transitions_dropped = transitions->dropped;
    pthread_mutex_unlock(&transitions->lock);
}

/* ---- start and stop ---- */

static int note_newest(void *arg, const struct store_transition *transition, struct err *err) {
    (void)err;
    *(uint64_t *)arg = transition->sequence;
    return 0;
}

int transitions_open(struct state *state, uint64_t keep, struct err *err) {
    struct transitions *transitions = &state->transitions;
    transitions->keep = keep == 0 ? STATE_KEEP_TRANSITIONS_DEFAULT : keep;
    return store_read_transitions(state->store, 0, 1, note_newest, &transitions->sequence, err);
}

void transitions_close(struct state *state) {
    struct transitions *transitions = &state->transitions;
    struct err err = ERR_INIT;
    size_t count = 0;
    int result = 0;
    while (result == 0 && transitions->waiting > 0) {
        result = store_rows(state, &count, &err);
    }
    if (result != 0) {
        log_event(LOG_ERROR, "transitions-not-stored", LOG_INT("rows", transitions->waiting),
                  LOG_STR("error", err.text));
        rows_are_stored(transitions, transitions->waiting);
    }
}
