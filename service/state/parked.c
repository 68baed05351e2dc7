/*
 * Polls that wait for a list to change: parked on its cell, and woken by the notifier thread, which computes
 * the lists that somebody waits for.
 *
 * Locks: a cell's stripe, and wake_lock, never both.
 */
#include <string.h>

#include "base/clock.h"
#include "state_internal.h"

#define WAKE_BATCH 128 /* lists computed before their polls are woken: a millisecond or two */

/* ---- parked polls ---- */

static void parked_link(struct cell *cell, struct parked *parked) {
    parked->prev = NULL;
    parked->next = cell->parked;
    if (parked->next != NULL) {
        parked->next->prev = parked;
    }
    cell->parked = parked;
    parked->linked = true;
    atomic_fetch_add(&cell->parked_count, 1);
}

static void parked_unlink(struct cell *cell, struct parked *parked) {
    if (parked->prev != NULL) {
        parked->prev->next = parked->next;
    } else {
        cell->parked = parked->next;
    }
    if (parked->next != NULL) {
        parked->next->prev = parked->prev;
    }
    parked->linked = false;
    atomic_fetch_sub(&cell->parked_count, 1);
}

int state_park(struct state *state, const char *node, struct parked *parked, bool *ret_changed,
               struct err *err) {
    struct lists *lists = &state->lists;

    for (;;) {
        struct picture *picture = state_picture(state);
        int64_t slot = peering_index_slot(picture->index, node);
        struct node_list *list;
        bool changed;

        picture_unref(picture);
        if (slot < 0) {
            return lists_no_node(node, err);
        }
        if (state_node_list(state, node, &list, err) < 0) {
            return -1;
        }
        changed = strcmp(list->etag, parked->etag) != 0;
        node_list_unref(list);
        if (changed) {
            *ret_changed = true;
            return 0;
        }
        /* Link first, then look whether a commit marked the cell meanwhile: the committer marks first
         * and looks for parked polls then, so one of the two sees the other. */
        struct cell *cell = lists_cell(lists, (uint32_t)slot);

        pthread_mutex_lock(lists_lock(lists, (uint32_t)slot));
        parked->slot = (uint32_t)slot;
        parked_link(cell, parked);
        if (cell_current(cell, node) != NULL && strcmp(cell->list->etag, parked->etag) == 0) {
            pthread_mutex_unlock(lists_lock(lists, (uint32_t)slot));
            *ret_changed = false;
            return 0;
        }
        parked_unlink(cell, parked);
        pthread_mutex_unlock(lists_lock(lists, (uint32_t)slot));
    }
}

bool state_unpark(struct state *state, struct parked *parked) {
    struct lists *lists = &state->lists;
    bool linked;

    pthread_mutex_lock(lists_lock(lists, parked->slot));
    linked = parked->linked;
    if (linked) {
        parked_unlink(lists_cell(lists, parked->slot), parked);
    }
    pthread_mutex_unlock(lists_lock(lists, parked->slot));
    return linked;
}

/* ---- waking ---- */

/* There is room: a slot is queued once at most, and wake_cap counts all slots. */
static void wake_push(struct lists *lists, uint32_t slot) {
    pthread_mutex_lock(&lists->wake_lock);
    if (lists->wake_end == lists->wake_cap) {
        memmove(lists->wake_slots, lists->wake_slots + lists->wake_first,
                (lists->wake_end - lists->wake_first) * sizeof *lists->wake_slots);
        lists->wake_end -= lists->wake_first;
        lists->wake_first = 0;
    }
    lists->wake_slots[lists->wake_end++] = slot;
    pthread_mutex_unlock(&lists->wake_lock);
}

struct marking {
    struct lists *lists;
    uint64_t revision;
    int64_t now_ns;
};

static void mark_slot(void *arg, uint32_t slot) {
    const struct marking *marking = arg;

    atomic_store(&lists_cell(marking->lists, slot)->marked_ns, marking->now_ns);
    atomic_store(&lists_cell(marking->lists, slot)->mark, marking->revision);
}

void lists_mark(struct lists *lists, const struct node_set *affected, uint64_t revision) {
    struct marking marking = {.lists = lists, .revision = revision, .now_ns = clock_monotonic_ns()};
    node_set_each(affected, mark_slot, &marking);
}

struct waking {
    struct lists *lists;
    bool waiting;
};

static void queue_slot(void *arg, uint32_t slot) {
    struct waking *waking = arg;
    struct cell *cell = lists_cell(waking->lists, slot);

    if (atomic_load(&cell->parked_count) > 0 && !atomic_exchange(&cell->queued, true)) {
        wake_push(waking->lists, slot);
        waking->waiting = true;
    }
}

void lists_wake(struct lists *lists, const struct node_set *affected) {
    struct waking waking = {.lists = lists};

    node_set_each(affected, queue_slot, &waking);
    if (waking.waiting) {
        pthread_mutex_lock(&lists->wake_lock);
        pthread_cond_signal(&lists->wake_cond);
        pthread_mutex_unlock(&lists->wake_lock);
    }
}

/* Is this still the node's slot? One that was deleted and made anew may have another. */
static bool slot_is_of(struct state *state, uint32_t slot, const char *node) {
    struct picture *picture = state_picture(state);
    bool is = peering_index_slot(picture->index, node) == (int64_t)slot;

    picture_unref(picture);
    return is;
}

/* Bring the parked polls' list up to date; NULL: the node is gone or has another slot now (where a poll that
 * stays parked here would miss its changes), or the list cannot be computed. The poll that is woken finds out
 * which. */
static struct node_list *slot_list(struct state *state, uint32_t slot) {
    struct lists *lists = &state->lists;
    char node[sizeof((struct node_list *)0)->node] = "";
    struct node_list *list = NULL;
    struct err err = ERR_INIT;

    pthread_mutex_lock(lists_lock(lists, slot));
    if (lists_cell(lists, slot)->list != NULL) {
        memcpy(node, lists_cell(lists, slot)->list->node, sizeof node);
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    if (node[0] == '\0' || !slot_is_of(state, slot, node) || state_node_list(state, node, &list, &err) < 0) {
        return NULL;
    }
    return list;
}

/* Take out the slot's polls that have something to tell, in front of `woken`. */
static struct parked *take_changed(struct state *state, uint32_t slot, struct parked *woken) {
    struct lists *lists = &state->lists;
    struct cell *cell = lists_cell(lists, slot);
    struct node_list *list = slot_list(state, slot);
    struct parked *next;

    pthread_mutex_lock(lists_lock(lists, slot));
    for (struct parked *parked = cell->parked; parked != NULL; parked = next) {
        next = parked->next;
        if (list == NULL || strcmp(parked->etag, list->etag) != 0) {
            parked_unlink(cell, parked);
            parked->next = woken;
            woken = parked;
        }
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    node_list_unref(list);
    return woken;
}

/* Up to WAKE_BATCH slots from the queue, under its lock. Returns how many. */
static size_t take_slots(struct lists *lists, uint32_t *slots) {
    size_t count = lists->wake_end - lists->wake_first;

    count = count < WAKE_BATCH ? count : WAKE_BATCH;
    for (size_t i = 0; i < count; i++) {
        slots[i] = lists->wake_slots[lists->wake_first + i];
    }
    lists->wake_first += count;
    return count;
}

/*
 * Lists first, then all polls together: the threads that answer look through everything that waits on them
 * each time that some of it is woken, and would do so for every single poll.
 */
static void wake_slots(struct state *state, const uint32_t *slots, size_t count) {
    struct parked *woken = NULL, *next;

    for (size_t i = 0; i < count; i++) {
        /* Marks from here on queue it again. */
        atomic_store(&lists_cell(&state->lists, slots[i])->queued, false);
        woken = take_changed(state, slots[i], woken);
    }
    for (; woken != NULL; woken = next) {
        next = woken->next; /* the poll may be gone after the call */
        woken->wake(woken);
    }
}

static void *notifier_main(void *arg) {
    struct state *state = arg;
    struct lists *lists = &state->lists;

    pthread_mutex_lock(&lists->wake_lock);
    while (!lists->stopping) {
        uint32_t slots[WAKE_BATCH];
        size_t count;

        if (lists->wake_first == lists->wake_end) {
            lists->wake_first = lists->wake_end = 0;
            pthread_cond_wait(&lists->wake_cond, &lists->wake_lock);
            continue;
        }
        count = take_slots(lists, slots);
        pthread_mutex_unlock(&lists->wake_lock);
        wake_slots(state, slots, count);
        pthread_mutex_lock(&lists->wake_lock);
    }
    pthread_mutex_unlock(&lists->wake_lock);
    return NULL;
}

int lists_start(struct state *state, struct err *err) {
    if (pthread_create(&state->lists.notifier, NULL, notifier_main, state) != 0) {
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot start the notifier thread: the system is out of threads");
    }
    state->lists.notifier_runs = true;
    return 0;
}

void lists_stop(struct state *state) {
    struct lists *lists = &state->lists;

    if (!lists->notifier_runs) {
        return;
    }
    pthread_mutex_lock(&lists->wake_lock);
    lists->stopping = true;
    pthread_cond_signal(&lists->wake_cond);
    pthread_mutex_unlock(&lists->wake_lock);
    pthread_join(lists->notifier, NULL);
    lists->notifier_runs = false;
}
