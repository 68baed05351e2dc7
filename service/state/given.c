/*
 * Which versions of their lists nodes were given: noted when a list is made anew and when its node has it,
 * and stored by the committer about once a second. So that a list of the past is told with the
 * resourceVersion that it had, and that lists keep theirs over a restart.
 *
 * A poll that finds its list unchanged notes nothing. What cannot be noted or stored is left out, beyond
 * GIVEN_WAITING_MAX at once, or while the store fails: such a list is told later with a resourceVersion that
 * is worked out. One lock, for the notes that wait; a leaf.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

#define GIVEN_WAITING_MAX 65536 /* notes; 10 MB */
#define GIVEN_BATCH_MAX   2000  /* of them in one transaction: some milliseconds */
#define GIVEN_INTERVAL_MS 1000

struct given_note {
    struct given_note *next;
    uint64_t revision;
    int64_t time_ms;
    int64_t node_ms;
    char etag[DIGEST_TEXT_MAX];
    char node[];
};

void given_init(struct given *given) {
    pthread_mutex_init(&given->lock, NULL);
    given->ready = true;
}

static void given_free(struct given_note *note) {
    while (note != NULL) {
        struct given_note *next = note->next;
        free(note);
        note = next;
    }
}

void given_done(struct given *given) {
    if (given->ready) {
        given_free(given->first);
        pthread_mutex_destroy(&given->lock);
    }
}

void given_note(struct given *given, const struct node_list *list, bool to_node) {
    size_t size = strlen(list->node) + 1;
    struct given_note *note = base_malloc(sizeof(*note) + size);
    if (note == NULL) {
        return;
    }
    int64_t now_ms = clock_realtime_ms();
    *note = (struct given_note){
        .revision = list->resource_version, .time_ms = now_ms, .node_ms = to_node ? now_ms : 0};
    memcpy(note->etag, list->etag, sizeof(note->etag));
    memcpy(note->node, list->node, size);
    pthread_mutex_lock(&given->lock);
    bool room = given->count < GIVEN_WAITING_MAX;
    if (room) {
        *(given->last != NULL ? &given->last->next : &given->first) = note;
        given->last = note;
        given->count++;
    }
    pthread_mutex_unlock(&given->lock);
    if (!room) {
        free(note);
    }
}

/* ---- storing ---- */

/* The oldest of those that wait, taken out. */
static struct given_note *given_take(struct given *given, size_t *ret_count) {
    pthread_mutex_lock(&given->lock);
    struct given_note *taken = given->first, *end = taken;
    size_t count = taken != NULL;
    while (end != NULL && end->next != NULL && count < GIVEN_BATCH_MAX) {
        end = end->next;
        count++;
    }
    if (end != NULL) {
        given->first = end->next;
        given->last = given->first != NULL ? given->last : NULL;
        given->storing = taken; /* still to be found */
        end->next = NULL;
    }
    given->count -= count;
    pthread_mutex_unlock(&given->lock);
    *ret_count = count;
    return taken;
}

static int given_store(struct state *state, const struct given_note *notes, size_t count, struct err *err) {
    struct store_given *rows = base_calloc(count, sizeof(*rows));
    if (rows == NULL) {
        return err_no_memory(err);
    }
    size_t i = 0;
    for (const struct given_note *note = notes; note != NULL; note = note->next) {
        rows[i++] = (struct store_given){.node = note->node,
                                         .revision = note->revision,
                                         .etag = note->etag,
                                         .time_ms = note->time_ms,
                                         .node_ms = note->node_ms};
    }
    struct store_batch batch = {.given = rows, .given_count = count};
    int result = state_commit(state, &batch, err);
    free(rows);
    return result;
}

bool given_flush(struct state *state) {
    struct given *given = &state->given;
    struct err err = ERR_INIT;
    size_t count;
    struct given_note *notes = given_take(given, &count);
    if (notes == NULL) {
        return false;
    }
    bool stored = given_store(state, notes, count, &err) == 0;
    if (!stored) {
        log_event(LOG_WARN, "list-versions-lost", LOG_INT("versions", count), LOG_STR("error", err.text));
    }
    pthread_mutex_lock(&given->lock);
    given->storing = NULL;
    bool more = given->first != NULL;
    pthread_mutex_unlock(&given->lock);
    given_free(notes);
    return stored && more;
}

void given_look_after(struct state *state, int64_t *due_ms) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= *due_ms) {
        *due_ms = given_flush(state) ? now_ms : now_ms + GIVEN_INTERVAL_MS;
    }
}

static int task_settle(struct state *state, struct task *task, struct err *err) {
    (void)task;
    (void)err; /* what went wrong has been logged */
    while (given_flush(state)) {
    }
    return 0;
}

void given_settle(struct state *state) {
    struct task task = {.run = task_settle};
    struct err err = ERR_INIT;
    if (committer_run(state, &task, &err) != 0) {
        log_event(LOG_INFO, "list-versions-later", LOG_STR("error", err.text)); /* in a moment */
    }
}

/* ---- finding ---- */

static void given_look(const struct given_note *note, const char *node, uint64_t revision,
                       struct given_version *version) {
    for (; note != NULL; note = note->next) {
        if (note->revision <= revision && strcmp(note->node, node) == 0 &&
            (!version->found || note->revision >= version->revision)) {
            version->found = true;
            version->revision = note->revision;
            memcpy(version->etag, note->etag, sizeof(version->etag));
        }
    }
}

static int given_take_row(void *arg, const struct store_given *row, struct err *err) {
    struct given_version *version = arg;
    (void)err;
    *version = (struct given_version){.found = true, .revision = row->revision};
    snprintf(version->etag, sizeof(version->etag), "%s", row->etag);
    return 0;
}

int given_find(struct state *state, const char *node, uint64_t revision, struct given_version *ret,
               struct err *err) {
    const struct store_given_query query = {.node = node, .below = revision + 1, .limit = 1};
    struct given_version waiting = {.found = false}, stored = {.found = false};
    /* In this order: what is stored meanwhile is found twice. */
    pthread_mutex_lock(&state->given.lock);
    given_look(state->given.storing, node, revision, &waiting);
    given_look(state->given.first, node, revision, &waiting);
    pthread_mutex_unlock(&state->given.lock);
    if (store_read_given(state->store, &query, given_take_row, &stored, err) != 0) {
        return -1;
    }
    *ret = waiting.found && (!stored.found || waiting.revision >= stored.revision) ? waiting : stored;
    return 0;
}

/* ---- at boot ---- */

static int given_load_row(void *arg, const struct store_given *row, struct err *err) {
    struct state *state = arg;
    int64_t slot = peering_index_slot(state->picture->index, row->node);
    if (slot < 0) {
        return 0;
    }
    struct list_seed *seed = base_malloc(sizeof(*seed));
    if (seed == NULL) {
        return err_no_memory(err);
    }
    seed->resource_version = row->revision;
    snprintf(seed->etag, sizeof(seed->etag), "%s", row->etag);
    struct cell *cell = lists_cell(&state->lists, (uint32_t)slot);
    free(cell->seed);
    cell->seed = seed;
    return 0;
}

int given_load(struct state *state, struct err *err) {
    const struct store_given_query newest = {.node = NULL};
    return store_read_given(state->store, &newest, given_load_row, state, err);
}
