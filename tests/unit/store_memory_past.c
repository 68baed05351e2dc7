/*
 * The past of the store in memory; see store_memory.h. Each question walks the whole log.
 */
#include <assert.h>
#include <stdlib.h>
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

/* ---- versions of lists ---- */

/* In the order of nodes and revisions. */
static size_t given_place(const struct memory_database *database, const struct store_given *given,
                          bool *ret_found) {
    int order = 1;
    size_t at = 0;
    for (; at < database->given_count; at++) {
        const struct store_given *other = &database->given[at];
        order = strcmp(other->node, given->node);
        order =
            order != 0 ? order : (other->revision > given->revision) - (other->revision < given->revision);
        if (order >= 0) {
            break;
        }
    }
    *ret_found = at < database->given_count && order == 0;
    return at;
}

void memory_write_given(struct memory_database *database, const struct store_given *given) {
    bool found;
    size_t at = given_place(database, given, &found);
    if (found && strcmp(database->given[at].etag, given->etag) == 0) {
        database->given[at].node_ms =
            database->given[at].node_ms != 0 ? database->given[at].node_ms : given->node_ms;
        return;
    }
    if (!found) {
        database->given = realloc(database->given, (database->given_count + 1) * sizeof(*given));
        assert(database->given != NULL);
        memmove(&database->given[at + 1], &database->given[at],
                (database->given_count - at) * sizeof(*given));
        database->given_count++;
    }
    database->given[at] = *given;
    database->given[at].node = arena_strdup(&database->arena, given->node);
    database->given[at].etag = arena_strdup(&database->arena, given->etag);
}

/* Is it the newest of its node's? */
static bool is_newest(const struct memory_database *database, size_t at) {
    return at + 1 == database->given_count ||
           strcmp(database->given[at].node, database->given[at + 1].node) != 0;
}

int memory_read_given(struct store *store, const struct store_given_query *query,
                      int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                      struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    size_t passed = 0;
    pthread_mutex_lock(&database->lock);
    for (size_t i = database->given_count;
         failed == 0 && i-- > 0 && (query->node == NULL || query->limit == 0 || passed < query->limit);) {
        const struct store_given *given = &database->given[i];
        bool wanted = query->node == NULL ? is_newest(database, i)
                                          : strcmp(given->node, query->node) == 0 &&
                                                (query->below == 0 || given->revision < query->below);
        if (wanted) {
            failed = row(arg, given, err);
            passed++;
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

/* Was its node deleted behind it, and up to where the past begins? */
static bool is_orphan(const struct memory_database *database, const struct store_given *given) {
    for (size_t i = 0; i < database->change_count; i++) {
        const struct store_change *change = &database->changes[i];
        if (change->op == STORE_DELETE && strcmp(change->kind, "Node") == 0 &&
            strcmp(change->name, given->node) == 0 && change->revision >= given->revision &&
            change->revision <= database->past) {
            return true;
        }
    }
    return false;
}

void memory_trim_given(struct memory_database *database) {
    size_t kept = 0;
    for (size_t i = 0; i < database->given_count; i++) {
        bool replaced = !is_newest(database, i) && database->given[i + 1].revision <= database->past;
        if (!replaced && !is_orphan(database, &database->given[i])) {
            database->given[kept++] = database->given[i];
        }
    }
    database->given_count = kept;
}
