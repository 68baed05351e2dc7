/*
 * What the tests of state share: a state over a store in a temporary directory, and writes that can be
 * waited for.
 */
#ifndef BGPPEERD_TESTS_STATE_FIXTURE_H
#define BGPPEERD_TESTS_STATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "state.h"

#define FIXTURE_DIR_MAX 64

struct fixture {
    char dir[FIXTURE_DIR_MAX];
    struct store *store;
    struct vault *vault;
    struct state *state;
    uint64_t keep_audit;                 /* of the next start; 0 = default */
    uint64_t max_history_bytes;          /* likewise */
    uint64_t keep_transitions;           /* likewise */
    const struct ip_ranges *node_ranges; /* likewise; NULL = none */
    uint64_t brake_sessions;             /* likewise; 0 = no brake */
    unsigned brake_percent;
};

/* A write that can be waited for. */
struct call {
    struct write write;
    struct arena arena;
    struct arena object_arena;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

/* Open the vault and the state over a store, which becomes the fixture's; the root key is in fixture->dir. */
void fixture_start_on(struct fixture *fixture, struct store *store, uint64_t keep_changes);
/* Open everything in fixture->dir; fixture_stop closes it and leaves the directory. */
void fixture_start(struct fixture *fixture, uint64_t keep_changes);
void fixture_stop(struct fixture *fixture);
void fixture_restart(struct fixture *fixture, uint64_t keep_changes);
/* A fresh directory, and its end with all that is in it. */
void fixture_make_dir(char dir[FIXTURE_DIR_MAX]);
void fixture_remove_dir(const char *dir);
/* For cmocka: a fresh fixture in *ptr, and its end. */
int fixture_setup(void **ptr);
int fixture_teardown(void **ptr);

void call_init(struct call *call, enum write_op op, enum kind kind, const char *key);
/* Decode the body of a create or replace; the test fails when that is refused. */
void call_body(struct call *call, const char *json);
void call_run(struct fixture *fixture, struct call *call);
/* For one that was submitted. */
void call_wait(struct call *call);
void call_end(struct call *call);

/* One write from start to end; returns its error code and, on success, the object's revision. `json` is the
 * body, or the merge patch. */
enum err_code put(struct fixture *fixture, enum write_op op, enum kind kind, const char *key,
                  const char *json, uint64_t *ret_revision);

/* Set a freeze, or lift it, as somebody who may not alter those of others. */
enum err_code fixture_freeze(struct fixture *fixture, bool lift, const char *user, int64_t until_ms);

struct node_list *get_list(struct fixture *fixture, const char *node);

/* Starts libsodium and codec. For cmocka's groups, or main with NULL. */
int fixture_libraries(void **state);

#endif
