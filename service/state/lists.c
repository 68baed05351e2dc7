/*
 * Lists: every node's computed list, cached by slot.
 *
 * A commit only marks the cells of affected nodes with its revision; whoever asks next computes the list
 * again from the newest picture. Equal content keeps its ETag, so a change that did not alter a list is
 * never seen by its node. Cells are guarded by striped locks (`list`, `computed_at`, `parked`); nothing is
 * computed under a lock. The polls that wait for a list are in parked.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "state_internal.h"

struct list_memory {
    struct node_list list; /* first: what callers hold */
    atomic_uint refs;
    atomic_bool fetched; /* by its node, since it changed */
    atomic_bool given;   /* that its node has had this version is noted */
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
            free(chunk[c].seed);
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

struct cell *lists_cell(struct lists *lists, uint32_t slot) {
    return &atomic_load_explicit(&lists->chunks[slot / LISTS_CHUNK],
                                 memory_order_acquire)[slot % LISTS_CHUNK];
}

pthread_mutex_t *lists_lock(struct lists *lists, uint32_t slot) {
    return &lists->locks[slot % LISTS_STRIPES];
}

struct node_list *cell_current(const struct cell *cell, const char *node) {
    if (cell->list != NULL && cell->computed_at >= atomic_load(&cell->mark) &&
        strcmp(cell->list->node, node) == 0) {
        return cell->list;
    }
    return NULL;
}

/* What a list is made from, besides the peerings. */
struct list_origin {
    struct node_list *previous; /* that it takes the place of; NULL: none */
    struct list_seed seed;      /* … then perhaps this, of before the start; etag "": none either */
    uint64_t revision;          /* of the picture */
    uint64_t mark;              /* revision of the change that made it necessary */
    int64_t marked_ns;          /* … and when that was */
    const struct status_node_key *key;
};

/* What a list that says the same as the one before inherits from it, and what is new when it does not. */
static void list_succeed(struct list_memory *memory, const struct list_origin *origin) {
    struct node_list *list = &memory->list;
    list->slot = origin->key->slot;
    snprintf(list->uid, sizeof list->uid, "%s", origin->key->uid);
    atomic_init(&memory->fetched, false);
    atomic_init(&memory->given, false);
    if (origin->previous != NULL && strcmp(origin->previous->etag, list->etag) == 0) {
        list->changed_ns = origin->previous->changed_ns;
        atomic_init(&memory->fetched, atomic_load(&list_memory(origin->previous)->fetched));
        atomic_init(&memory->given, atomic_load(&list_memory(origin->previous)->given));
    } else if (origin->previous != NULL) {
        list->changed_ns = origin->marked_ns;
    }
}

/*
 * The resourceVersion of a list:
 *   1. the one of the list before, in this process or before its start, when that says the same;
 *   2. otherwise the revision of the change that made it, never older than that of any object in it;
 *   3. when it has changed over the start, which change it was is not known: that of the picture;
 *   4. of a node whose list nobody has asked for yet: that of the newest object in it.
 */
static uint64_t choose_version(const struct list_origin *origin, const char *etag, uint64_t newest) {
    const struct node_list *previous = origin->previous;
    if (previous != NULL) {
        return strcmp(previous->etag, etag) == 0 ? previous->resource_version
               : origin->mark > newest           ? origin->mark
                                                 : newest;
    }
    if (origin->seed.etag[0] != '\0') {
        return strcmp(origin->seed.etag, etag) == 0 ? origin->seed.resource_version : origin->revision;
    }
    return newest;
}

/* Does it say anything new? */
static bool is_news(const struct list_origin *origin, const struct node_list *list) {
    const char *before = origin->previous != NULL ? origin->previous->etag : origin->seed.etag;
    return strcmp(before, list->etag) != 0;
}

/* A list around the bytes of `json`, with the content's digest. */
static int list_new(const struct peering_list *peerings, const struct list_origin *origin,
                    struct node_list **ret, struct err *err) {
    struct buf content = BUF_INIT, buf = BUF_INIT;
    struct list_memory *memory = NULL;
    struct node_list head = {.slot = 0};

    size_t place = peering_encode_content(peerings, &content);

    if (buf_failed(&content)) {
        goto no_memory;
    }
    digest_hex(content.data, content.len, head.etag);
    head.resource_version = choose_version(origin, head.etag, peerings->newest_revision);
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
    list_succeed(memory, origin);
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
        free(cell->seed);
        cell->seed = NULL;
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    node_list_unref(old);
}

/* Compute the node's list from `picture` and keep it, unless a newer one is there already. */
static int list_refresh(struct lists *lists, const struct picture *picture, uint32_t slot, const char *node,
                        struct node_list **ret, struct err *err) {
    struct cell *cell = lists_cell(lists, slot);
    uint64_t revision = snapshot_revision(picture->snapshot);
    struct node_list *list = NULL, *old = NULL;
    uint64_t mark = atomic_load(&cell->mark);
    struct status_node_key key;
    struct list_origin origin = {.revision = revision,
                                 .mark = mark < revision ? mark : revision,
                                 .marked_ns = atomic_load(&cell->marked_ns),
                                 .key = &key};
    int64_t start_ns = clock_monotonic_ns();
    struct peering_list peerings;
    struct arena arena;
    int rc;

    pthread_mutex_lock(lists_lock(lists, slot));
    if (cell->list != NULL && strcmp(cell->list->node, node) == 0) {
        origin.previous = node_list_ref(cell->list);
    } else if (cell->seed != NULL) {
        origin.seed = *cell->seed;
    }
    pthread_mutex_unlock(lists_lock(lists, slot));

    arena_init(&arena, 8192);
    rc = state_status_key(picture, node, &key, err);
    if (rc == 0) {
        rc = peering_compute(picture->index, node, &arena, &peerings, err);
    }
    if (rc == 0) {
        rc = list_new(&peerings, &origin, &list, err);
    }
    if (rc == 0) {
        sessions_note_list(lists->status, picture, &key, &peerings, list->etag);
    }
    arena_done(&arena);
    if (rc < 0) {
        node_list_unref(origin.previous);
        return -1;
    }
    histogram_note(&lists->computes, &HISTOGRAM_DURATIONS, (uint64_t)(clock_monotonic_ns() - start_ns));
    pthread_mutex_lock(lists_lock(lists, slot));
    struct node_list *twin = cell->list;
    if (twin != NULL && twin != origin.previous && strcmp(twin->node, node) == 0 &&
        strcmp(twin->etag, list->etag) == 0) {
        /* Somebody has made the same meanwhile: equal content has one version. */
        cell->computed_at = cell->computed_at > revision ? cell->computed_at : revision;
        old = list;
        list = node_list_ref(twin);
    } else if (cell->computed_at <= revision) {
        old = cell_exchange(lists, cell, node_list_ref(list), revision);
        free(cell->seed);
        cell->seed = NULL;
    }
    pthread_mutex_unlock(lists_lock(lists, slot));
    if (list != twin && is_news(&origin, list)) {
        given_note(lists->given, list, false);
    }
    node_list_unref(old);
    node_list_unref(origin.previous);
    *ret = list;
    return 0;
}

int lists_no_node(const char *node, struct err *err) {
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
        return lists_no_node(node, err);
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

void state_note_fetched(struct state *state, struct node_list *list) {
    struct list_memory *memory = list_memory(list);
    if (!atomic_load_explicit(&memory->given, memory_order_relaxed) &&
        !atomic_exchange(&memory->given, true)) {
        given_note(&state->given, list, true);
    }
    if (list->changed_ns == 0 || atomic_load_explicit(&memory->fetched, memory_order_relaxed) ||
        atomic_exchange(&memory->fetched, true)) {
        return;
    }
    histogram_note(&state->lists.fetches, &HISTOGRAM_WAITS,
                   (uint64_t)(clock_monotonic_ns() - list->changed_ns));
}

/* Under the stripe's lock. */
static bool cell_is_stale(const struct cell *cell) {
    return cell->list != NULL && cell->computed_at < atomic_load(&cell->mark);
}

bool lists_is_stale(struct lists *lists, uint32_t slot) {
    pthread_mutex_lock(lists_lock(lists, slot));
    bool stale = cell_is_stale(lists_cell(lists, slot));
    pthread_mutex_unlock(lists_lock(lists, slot));
    return stale;
}

/* The name of the slot's node when its list is kept and no longer current; "" otherwise. */
static void stale_node(struct lists *lists, uint32_t slot, char node[sizeof(((struct node_list *)0)->node)]) {
    const struct cell *cell = lists_cell(lists, slot);
    node[0] = '\0';
    pthread_mutex_lock(lists_lock(lists, slot));
    if (cell_is_stale(cell)) {
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
