/*
 * What sessions did, in the store in memory; see store_memory.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store_memory.h"

void memory_write_transition(struct memory_database *database, const struct store_transition *row) {
    database->transitions =
        realloc(database->transitions, (database->transition_count + 1) * sizeof(*database->transitions));
    assert(database->transitions != NULL);
    struct store_transition *copy = &database->transitions[database->transition_count++];
    *copy = *row;
    copy->node = arena_strdup(&database->arena, row->node);
    copy->peer = arena_strdup(&database->arena, row->peer);
    copy->remote = arena_strdup(&database->arena, row->remote);
    copy->was = arena_strdup(&database->arena, row->was);
    copy->became = arena_strdup(&database->arena, row->became);
    copy->message = arena_strdup(&database->arena, row->message);
}

int memory_trim_transitions(struct store *store, uint64_t upto, size_t max, bool *ret_more, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    size_t dropped = 0;
    (void)err;
    pthread_mutex_lock(&database->lock);
    while (dropped < max && dropped < database->transition_count &&
           database->transitions[dropped].sequence <= upto) {
        dropped++;
    }
    database->transition_count -= dropped;
    if (database->transition_count > 0) {
        memmove(database->transitions, database->transitions + dropped,
                database->transition_count * sizeof(*database->transitions));
    }
    pthread_mutex_unlock(&database->lock);
    *ret_more = dropped == max;
    return 0;
}

int memory_read_transitions(struct store *store, uint64_t below, size_t limit,
                            int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                            void *arg, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    size_t told = 0;
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    for (size_t i = database->transition_count; failed == 0 && i-- > 0 && (limit == 0 || told < limit);) {
        if (below == 0 || database->transitions[i].sequence < below) {
            failed = row(arg, &database->transitions[i], err);
            told++;
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}
