/*
 * The past of the store in memory; see store_memory.h. Each question walks the whole log.
 */
#include <string.h>

#include "store_memory.h"

static bool is_wanted(const struct memory_database *database, const struct store_history_query *query,
                      const struct store_change *change) {
    return change->revision > database->past && change->revision > query->after &&
           (query->below == 0 || change->revision < query->below) &&
           (query->kind == NULL || strcmp(change->kind, query->kind) == 0) &&
           (query->kind == NULL || query->name == NULL || strcmp(change->name, query->name) == 0);
}

int memory_read_history(struct store *store, const struct store_history_query *query,
                        int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                        struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    size_t passed = 0;
    pthread_mutex_lock(&database->lock);
    size_t count = database->change_count;
    for (size_t i = 0; failed == 0 && i < count && (query->limit == 0 || passed < query->limit); i++) {
        const struct store_change *change = &database->changes[query->oldest_first ? i : count - 1 - i];
        if (is_wanted(database, query, change)) {
            failed = row(arg, change, err);
            passed++;
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

/* The object's newest change up to `revision`; NULL: it did not exist. */
static const struct store_change *find_past(const struct memory_database *database,
                                            const struct store_change *of, uint64_t revision) {
    for (size_t i = database->change_count; i-- > 0;) {
        const struct store_change *change = &database->changes[i];
        if (change->revision <= revision && strcmp(change->kind, of->kind) == 0 &&
            strcmp(change->name, of->name) == 0) {
            return change->op != STORE_DELETE ? change : NULL;
        }
    }
    return NULL;
}

/* Is it the first of its object's behind `revision`? */
static bool is_first(const struct memory_database *database, size_t at, uint64_t revision) {
    const struct store_change *change = &database->changes[at];
    for (size_t i = 0; i < at; i++) {
        const struct store_change *earlier = &database->changes[i];
        if (earlier->revision > revision && strcmp(earlier->kind, change->kind) == 0 &&
            strcmp(earlier->name, change->name) == 0) {
            return false;
        }
    }
    return true;
}

int memory_read_past(struct store *store, uint64_t revision, uint64_t upto,
                     int (*row)(void *arg, const char *kind, const char *name,
                                const struct store_change *change, struct err *err),
                     void *arg, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    if (revision < database->past) {
        failed = err_set(err, ERR_EXPIRED, "the oldest revision that is still known is %llu",
                         (unsigned long long)database->past);
    }
    for (size_t i = 0; failed == 0 && i < database->change_count; i++) {
        const struct store_change *change = &database->changes[i];
        if (change->revision > revision && change->revision <= upto && is_first(database, i, revision)) {
            failed = row(arg, change->kind, change->name, find_past(database, change, revision), err);
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

int memory_find_time(struct store *store, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    if (database->past != 0 && time_ms < database->past_ms) {
        failed = err_set(err, ERR_EXPIRED, "the oldest revision that is still known is %llu",
                         (unsigned long long)database->past);
    } else {
        *ret_revision = database->past;
    }
    for (size_t i = 0; failed == 0 && i < database->change_count; i++) {
        const struct store_change *change = &database->changes[i];
        if (change->revision > database->past && change->time_ms <= time_ms) {
            *ret_revision = change->revision;
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}
