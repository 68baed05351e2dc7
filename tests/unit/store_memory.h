/*
 * A second implementation of the store: in memory, shared by any number of handles, of which each is to its
 * user what a replicated store would be: others commit too, and it says when they have. It can be told to
 * fail or to wait.
 */
#ifndef BGPPEERD_TESTS_UNIT_STORE_MEMORY_H
#define BGPPEERD_TESTS_UNIT_STORE_MEMORY_H

#include <pthread.h>

#include "base/arena.h"
#include "store.h"

#define MEMORY_HANDLES_MAX 4

struct memory_object {
    const char *kind;
    const char *name;
    uint64_t revision;
    const char *body;
    size_t body_len;
};

/* What one transaction has written, without its audit entries. */
struct memory_entry {
    struct store_batch batch;
    uint64_t revision; /* of the database afterwards */
};

struct memory_store;

/* What all handles share. */
struct memory_database {
    pthread_mutex_t lock;          /* all that follows, up to the handles */
    struct arena arena;            /* all texts; nothing is freed before the end */
    struct memory_object *objects; /* by kind and name */
    size_t object_count;
    struct store_change *changes; /* the whole log */
    size_t change_count;
    struct store_sealed *sealed; /* by object and item */
    size_t sealed_count;
    struct store_setting *settings; /* by name */
    size_t setting_count;
    struct store_audit *audit; /* by sequence */
    size_t audit_count;
    struct store_transition *transitions; /* by sequence */
    size_t transition_count;
    struct store_given *given; /* by node and revision */
    size_t given_count;
    struct memory_entry *entries; /* of the transactions that are kept, in their order */
    size_t entry_count;
    uint64_t commit; /* of the newest */
    uint64_t revision;
    uint64_t compacted;
    uint64_t past; /* status.past */
    int64_t past_ms;
    enum err_code failure; /* what commits fail with; ERR_NONE: they do not */
    enum err_code broken;  /* … and loads, when everything has been passed on */
    size_t largest;        /* changes in the largest commit so far */
    size_t conflicts;      /* commits that came too late */
    size_t change_limit;   /* changes that one transaction takes; 0: any number */
    size_t compacting;     /* compactions that were asked for while commits fail */

    pthread_mutex_t gate;       /* held by a test: commits wait */
    pthread_mutex_t watch_lock; /* handles; held while watchers are called */
    struct memory_store *handles[MEMORY_HANDLES_MAX];
};

void memory_init(struct memory_database *database);
/* All handles are closed. */
void memory_done(struct memory_database *database);
/* The same as a driver: store_open with this address and MEMORY_DRIVER. */
extern const struct store_driver MEMORY_DRIVER;
#define MEMORY_ADDRESS_MAX 32
void memory_address(struct memory_database *database, char out[MEMORY_ADDRESS_MAX]);
struct store *memory_open(struct memory_database *database);
void memory_fail(struct memory_database *database, enum err_code failure);

/* ---- between the twin's files: store operations, as store.h says ---- */

struct memory_database *memory_database_of(struct store *store);
int memory_read_history(struct store *store, const struct store_history_query *query,
                        int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                        struct err *err);
int memory_read_past(struct store *store, uint64_t revision, uint64_t upto,
                     int (*row)(void *arg, const char *kind, const char *name,
                                const struct store_change *change, struct err *err),
                     void *arg, struct err *err);
/* The lock is the caller's. */
void memory_write_transition(struct memory_database *database, const struct store_transition *row);
int memory_read_transitions(struct store *store, uint64_t below, size_t limit,
                            int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                            void *arg, struct err *err);
int memory_trim_transitions(struct store *store, uint64_t upto, size_t max, bool *ret_more, struct err *err);
void memory_write_given(struct memory_database *database, const struct store_given *given);
int memory_read_given(struct store *store, const struct store_given_query *query,
                      int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                      struct err *err);
/* The past has moved on to database->past: drop what is superfluous by that. Before the changes are dropped.
 */
void memory_trim_given(struct memory_database *database);
int memory_find_time(struct store *store, int64_t time_ms, uint64_t *ret_revision, struct err *err);

#endif
