/*
 * Sessions: keeps the status of the fleet in step with the lists, and has it swept.
 *
 * One thread wakes twice a second: it has the lists computed that changes have marked and somebody has asked
 * for, so that what sessions are to be is known also of a node that does not wait for its list; then it
 * sweeps, and has stored what came of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

#define SESSIONS_TICK_MS   500
#define SESSIONS_SWEEP_MAX 20000 /* nodes looked at in one tick */

int sessions_init(struct sessions *sessions, struct err *err) {
    pthread_mutex_init(&sessions->lock, NULL);
    if (clock_cond_init(&sessions->cond) != 0) {
        pthread_mutex_destroy(&sessions->lock);
        return err_no_memory(err);
    }
    return status_new((uint64_t)clock_realtime_ms() * 1000, &sessions->status, err);
}

void sessions_done(struct sessions *sessions) {
    status_free(sessions->status);
    pthread_cond_destroy(&sessions->cond);
    pthread_mutex_destroy(&sessions->lock);
}

struct fleet_status *state_status(struct state *state) {
    return state->sessions.status;
}

/* ---- lists ---- */

int state_status_key(const struct picture *picture, const char *node, struct status_node_key *ret,
                     struct err *err) {
    int64_t slot = peering_index_slot(picture->index, node);
    const struct record *record = slot < 0 ? NULL : snapshot_get(picture->snapshot, KIND_NODE, node);
    if (record == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "nodes.projectcalico.org \"%.253s\" not found: what its sessions do is kept once its "
                       "Node resource exists",
                       node);
    }
    const struct meta *meta = &record->object->meta;
    *ret = (struct status_node_key){
        .slot = (uint32_t)slot, .name = meta->name, .uid = meta->uid != NULL ? meta->uid : ""};
    return 0;
}

static int64_t list_slot_of(void *arg, const char *node) {
    return peering_index_slot(((const struct picture *)arg)->index, node);
}

/* Of the entry's document. 0 when memory is out: then every two of them look alike, until the next list. */
static uint64_t list_digest_of(void *arg, const struct peering_entry *entry) {
    struct buf text = BUF_INIT;
    char digest[DIGEST_TEXT_MAX];
    (void)arg;
    peering_encode_entry(entry, &text);
    digest_hex(text.data != NULL ? text.data : "", text.len, digest);
    buf_done(&text);
    digest[16] = '\0'; /* 64 bits of it */
    return strtoull(digest, NULL, 16);
}

void sessions_note_list(struct fleet_status *status, const struct picture *picture,
                        const struct status_node_key *key, const struct peering_list *list,
                        const char *etag) {
    struct status_lists lists = {.slot_of = list_slot_of,
                                 .digest_of = list_digest_of,
                                 .arg = (void *)(uintptr_t)picture,
                                 .revision = snapshot_revision(picture->snapshot)};
    struct err err = ERR_INIT;
    if (status_set_list(status, key, list, etag, &lists, &err) != 0) {
        log_event(LOG_WARN, "status-list", LOG_STR("node", list->node), LOG_STR("error", err.text));
    }
}

/* ---- convergence ---- */

void state_convergence(struct state *state, void (*behind)(void *arg, const char *node), void *arg,
                       struct convergence *ret) {
    struct picture *picture = state_picture(state);
    struct fleet_status *status = state->sessions.status;
    uint32_t slots = peering_index_slots(picture->index);
    struct convergence sums = {.resource_version = snapshot_revision(picture->snapshot),
                               .nodes = snapshot_count(picture->snapshot, KIND_NODE)};
    uint64_t heard = 0;
    picture_unref(picture);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct status_standing standing;
        /* In this order: a list that is not stale has been told to the status before. */
        bool stale = lists_is_stale(&state->lists, slot);
        if (!status_node_standing(status, slot, clock_coarse_ms(), &standing)) {
            continue;
        }
        sums.fetched += !stale && standing.fetched;
        sums.applied += !stale && standing.applied;
        heard += standing.list != STATUS_LIST_SILENT;
        if (standing.list == STATUS_LIST_BEHIND || (stale && standing.list == STATUS_LIST_CURRENT)) {
            sums.behind++;
            if (behind != NULL) {
                behind(arg, standing.name);
            }
        }
    }
    sums.silent = sums.nodes > heard ? sums.nodes - heard : 0;
    *ret = sums;
}

void state_recent_convergence(struct state *state, uint64_t revision, struct convergence *ret) {
    struct sessions *sessions = &state->sessions;
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&sessions->lock);
    bool recent = sessions->convergence_ms > 0 && now_ms - sessions->convergence_ms < STATE_CONVERGENCE_MS &&
                  sessions->convergence.resource_version >= revision;
    *ret = sessions->convergence;
    pthread_mutex_unlock(&sessions->lock);
    if (recent) {
        return;
    }
    state_convergence(state, NULL, NULL, ret);
    pthread_mutex_lock(&sessions->lock);
    sessions->convergence = *ret;
    sessions->convergence_ms = now_ms;
    pthread_mutex_unlock(&sessions->lock);
}

/* ---- the thread ---- */

/* false: it is time to stop. */
static bool sessions_wait(struct sessions *sessions) {
    int64_t until_ms = clock_monotonic_ms() + SESSIONS_TICK_MS;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int result = 0;
    pthread_mutex_lock(&sessions->lock);
    while (!sessions->stopping && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&sessions->cond, &sessions->lock, &until);
    }
    bool go_on = !sessions->stopping;
    pthread_mutex_unlock(&sessions->lock);
    return go_on;
}

static void sessions_changed(void *arg, const struct status_transition *change) {
    transitions_add(arg, change);
}

static void *sessions_main(void *arg) {
    struct state *state = arg;
    while (sessions_wait(&state->sessions)) {
        lists_refresh_stale(state);
        status_sweep(state->sessions.status, clock_monotonic_ms(), SESSIONS_SWEEP_MAX, sessions_changed,
                     &state->transitions);
        transitions_flush(state);
    }
    return NULL;
}

int sessions_start(struct state *state, struct err *err) {
    if (pthread_create(&state->sessions.thread, NULL, sessions_main, state) != 0) {
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot start the thread that judges sessions: the system is out of threads");
    }
    state->sessions.runs = true;
    return 0;
}

void sessions_stop(struct state *state) {
    struct sessions *sessions = &state->sessions;
    if (!sessions->runs) {
        return;
    }
    pthread_mutex_lock(&sessions->lock);
    sessions->stopping = true;
    pthread_cond_signal(&sessions->cond);
    pthread_mutex_unlock(&sessions->lock);
    pthread_join(sessions->thread, NULL);
    sessions->runs = false;
}
