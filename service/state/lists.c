/*
 * Lists: every node's computed list, cached by slot, and the polls parked on it.
 *
 * A commit only marks the cells of affected nodes with its revision; whoever asks next computes the list
 * again from the newest picture. Equal content keeps its ETag, so a change that did not alter a list is
 * never seen by its node. The notifier thread computes the lists somebody waits for. Cells are guarded by
 * striped locks (`list`, `computed_at`, `parked`); nothing is computed under a lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "state_internal.h"

#define WAKE_BATCH 128 /* lists computed before their polls are woken: a millisecond or two */

struct list_memory {
    struct node_list list; /* first: what callers hold */
    atomic_uint refs;
    uint32_t sessions;
    uint32_t withheld; /* of them, for want of their password */
    bool has_problems;
    char json[];
};

static struct list_memory *list_memory(struct node_list *list) {
    return (struct list_memory *)list;
}

struct node_list *node_list_ref(struct node_list *list) {
    atomic_fetch_add_explicit(&list_memory(list)->refs, 1, memory_order_relaxed);
    return list;
}

void node_list_unref(struct node_list *list) {
    if (list != NULL && atomic_fetch_sub_explicit(&list_memory(list)->refs, 1, memory_order_acq_rel) == 1) {
        free(list_memory(list));
    }
}

int lists_init(struct lists *lists, struct err *err) {
    for (size_t i = 0; i < LISTS_STRIPES; i++) {
        pthread_mutex_init(&lists->locks[i], NULL);
    }
    pthread_mutex_init(&lists->wake_lock, NULL);
    pthread_cond_init(&lists->wake_cond, NULL);
    return lists_grow(lists, 1, err);
}

void lists_done(struct lists *lists) {
    for (size_t i = 0; i < LISTS_CHUNKS_MAX; i++) {
        struct cell *chunk = atomic_load(&lists->chunks[i]);

        for (size_t c = 0; chunk != NULL && c < LISTS_CHUNK; c++) {
            node_list_unref(chunk[c].list);
        }
        free(chunk);
    }
    free(lists->wake_slots);
    pthread_cond_destroy(&lists->wake_cond);
    pthread_mutex_destroy(&lists->wake_lock);
    for (size_t i = 0; i < LISTS_STRIPES; i++) {
        pthread_mutex_destroy(&lists->locks[i]);
    }
}

int lists_grow(struct lists *lists, uint32_t count, struct err *err) {
    uint32_t *slots;
    size_t chunks = (count + LISTS_CHUNK - 1u) / LISTS_CHUNK;

    if (chunks > LISTS_CHUNKS_MAX) {
        return err_set(err, ERR_UNAVAILABLE, "this service holds at most %u nodes",
                       LISTS_CHUNK * LISTS_CHUNKS_MAX);
    }
    for (size_t i = chunks; i-- > 0 && atomic_load(&lists->chunks[i]) == NULL;) {
        struct cell *chunk = base_calloc(LISTS_CHUNK, sizeof *chunk);

        if (chunk == NULL) {
            return err_no_memory(err);
        }
        atomic_store(&lists->chunks[i], chunk);
    }
    /* Room for every slot at once, so that lists_mark cannot fail. */
    pthread_mutex_lock(&lists->wake_lock);
    if (lists->wake_cap < chunks * LISTS_CHUNK) {
        slots = base_realloc(lists->wake_slots, chunks * LISTS_CHUNK * sizeof *slots);
        if (slots == NULL) {
            pthread_mutex_unlock(&lists->wake_lock);
            return err_no_memory(err);
        }
        lists->wake_slots = slots;
        lists->wake_cap = chunks * LISTS_CHUNK;
    }
    pthread_mutex_unlock(&lists->wake_lock);
    return 0;
}

static struct cell *lists_cell(struct lists *lists, uint32_t slot) {
    return &atomic_load_explicit(&lists->chunks[slot / LISTS_CHUNK],
                                 memory_order_acquire)[slot % LISTS_CHUNK];
}

static pthread_mutex_t *lists_lock(struct lists *lists, uint32_t slot) {
    return &lists->locks[slot % LISTS_STRIPES];
}

/* The cached list, when it is that node's and current. Under the stripe's lock. Borrowed. */
static struct node_list *cell_current(const struct cell *cell, const char *node) {
    if (cell->list != NULL && cell->computed_at >= atomic_load(&cell->mark) &&
        strcmp(cell->list->node, node) == 0) {
        return cell->list;
    }
    return NULL;
}

/* A list around the bytes of `json`, with the content's digest. */
static int list_new(const struct peering_list *peerings, const struct node_list *previous, uint64_t mark,
                    struct node_list **ret, struct err *err) {
    struct buf content = BUF_INIT, buf = BUF_INIT;
    struct list_memory *memory = NULL;
    struct node_list head = {.resource_version = peerings->newest_revision};

    size_t place = peering_encode_content(peerings, &content);

    if (buf_failed(&content)) {
        goto no_memory;
    }
    digest_hex(content.data, content.len, head.etag);
    if (previous != NULL && strcmp(previous->etag, head.etag) == 0) {
        head.resource_version = previous->resource_version;
    } else if (previous != NULL && mark > head.resource_version) {
        head.resource_version = mark;
    }
    peering_complete_content(&content, place, head.resource_version, &buf);
    if (buf_failed(&buf)) {
        goto no_memory;
    }
    memory = base_malloc(sizeof *memory + buf.len + 1);
    if (memory == NULL) {
        goto no_memory;
    }
    memory->list = head;
    memory->list.json = memory->json;
    memory->list.json_len = buf.len;
    memcpy(memory->json, buf.data, buf.len + 1);
    snprintf(memory->list.node, sizeof memory->list.node, "%s", peerings->node);
    memory->sessions = (uint32_t)peerings->entry_count;
    memory->withheld = 0;
    memory->has_problems = peerings->problem_count > 0;
    for (size_t i = 0; i < peerings->entry_count; i++) {
        memory->list.has_passwords |= peerings->entries[i].password == PASSWORD_VALUE;
        memory->withheld += peerings->entries[i].password == PASSWORD_WITHHELD;
    }
    atomic_init(&memory->refs, 1);
    buf_done(&content);
    buf_done(&buf);
    *ret = &memory->list;
    return 0;
no_memory:
    buf_done(&content);
    buf_done(&buf);
    return err_no_memory(err);
}

/* Put `list` (NULL: none) into the cell, and keep the sums. Under the stripe's lock; the caller gives back
 * what was there. */
static struct node_list *cell_exchange(struct lists *lists, struct cell *cell, struct node_list *list,
                                       uint64_t revision) {
    static const struct list_memory nothing;
    struct node_list *old = cell->list;
    const struct list_memory *before = old != NULL ? list_memory(old) : &nothing;
    const struct list_memory *after = list != NULL ? list_memory(list) : &nothing;

    /* Unsigned: what is taken away wraps around, and the sum is right again. */
    atomic_fetch_add_explicit(&lists->kept, (uint64_t)(list != NULL) - (uint64_t)(old != NULL),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&lists->with_problems,
                              (uint64_t)after->has_problems - (uint64_t)before->has_problems,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&lists->sessions, (uint64_t)after->sessions - before->sessions,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&lists->withheld, (uint64_t)after->withheld - before->withheld,
                              memory_order_relaxed);
    cell->list = list;
    cell->computed_at = revision;
    return old;
}

void lists_forget(struct lists *lists, uint32_t slot, uint64_t revision) {
    struct cell *cell = lists_cell(lists, slot);
    struct node_list *old = NULL;

    pthread_mutex_lock(lists_lock(lists, slot));
    /* Not when the slot's next node has its list already. And whoever still computes the old node's from an
     * older picture comes too late. */
    if (cell->computed_at < revision) {
        old = cell_exchange(lists, cell, NULL, revision);
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    node_list_unref(old);
}

/* Compute the node's list from `picture` and keep it, unless a newer one is there already. */
static int list_refresh(struct lists *lists, const struct picture *picture, uint32_t slot, const char *node,
                        struct node_list **ret, struct err *err) {
    struct cell *cell = lists_cell(lists, slot);
    uint64_t revision = snapshot_revision(picture->snapshot);
    struct node_list *previous = NULL, *list = NULL, *old = NULL;
    uint64_t mark = atomic_load(&cell->mark);
    int64_t start_ns = clock_monotonic_ns();
    struct peering_list peerings;
    struct arena arena;
    int rc;

    pthread_mutex_lock(lists_lock(lists, slot));
    if (cell->list != NULL && strcmp(cell->list->node, node) == 0) {
        previous = node_list_ref(cell->list);
    }
    pthread_mutex_unlock(lists_lock(lists, slot));

    arena_init(&arena, 8192);
    rc = peering_compute(picture->index, node, &arena, &peerings, err);
    if (rc == 0) {
        rc = list_new(&peerings, previous, mark < revision ? mark : revision, &list, err);
    }
    if (rc == 0) {
        sessions_note_list(lists->status, picture, &peerings, list->etag);
    }
    arena_done(&arena);
    node_list_unref(previous);
    if (rc < 0) {
        return -1;
    }
    histogram_note(&lists->computes, &HISTOGRAM_DURATIONS, (uint64_t)(clock_monotonic_ns() - start_ns));
    pthread_mutex_lock(lists_lock(lists, slot));
    if (cell->computed_at <= revision) {
        old = cell_exchange(lists, cell, node_list_ref(list), revision);
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    node_list_unref(old);
    *ret = list;
    return 0;
}

static int err_no_node(const char *node, struct err *err) {
    return err_set(err, ERR_NOT_FOUND,
                   "nodes.projectcalico.org \"%.253s\" not found; create the Node resource (with its "
                   "spec.bgp addresses) before polling its peerings",
                   node);
}

int state_node_list(struct state *state, const char *node, struct node_list **ret, struct err *err) {
    struct lists *lists = &state->lists;
    struct picture *picture = state_picture(state);
    int64_t slot = peering_index_slot(picture->index, node);
    struct node_list *list;
    int rc = 0;

    if (slot < 0) {
        picture_unref(picture);
        return err_no_node(node, err);
    }
    pthread_mutex_lock(lists_lock(lists, (uint32_t)slot));
    list = cell_current(lists_cell(lists, (uint32_t)slot), node);
    if (list != NULL) {
        node_list_ref(list);
    }
    pthread_mutex_unlock(lists_lock(lists, (uint32_t)slot));
    if (list == NULL) {
        rc = list_refresh(lists, picture, (uint32_t)slot, node, &list, err);
    }
    picture_unref(picture);
    if (rc == 0) {
        *ret = list;
    }
    return rc;
}

/* The name of the slot's node when its list is kept and no longer current; "" otherwise. */
static void stale_node(struct lists *lists, uint32_t slot, char node[sizeof(((struct node_list *)0)->node)]) {
    const struct cell *cell = lists_cell(lists, slot);
    node[0] = '\0';
    pthread_mutex_lock(lists_lock(lists, slot));
    if (cell->list != NULL && cell->computed_at < atomic_load(&cell->mark)) {
        memcpy(node, cell->list->node, sizeof(cell->list->node));
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
}

void lists_refresh_stale(struct state *state) {
    struct picture *picture = state_picture(state);
    uint32_t slots = peering_index_slots(picture->index);
    picture_unref(picture);
    for (uint32_t slot = 0; slot < slots; slot++) {
        char node[sizeof(((struct node_list *)0)->node)];
        struct node_list *list = NULL;
        struct err err = ERR_INIT;
        stale_node(&state->lists, slot, node);
        if (node[0] != '\0' && state_node_list(state, node, &list, &err) == 0) {
            node_list_unref(list);
        }
    }
}

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
            return err_no_node(node, err);
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
};

static void mark_slot(void *arg, uint32_t slot) {
    const struct marking *marking = arg;

    atomic_store(&lists_cell(marking->lists, slot)->mark, marking->revision);
}

void lists_mark(struct lists *lists, const struct node_set *affected, uint64_t revision) {
    node_set_each(affected, mark_slot, &(struct marking){.lists = lists, .revision = revision});
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
