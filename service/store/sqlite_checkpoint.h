/*
 * Moving committed pages from the write-ahead log into the database, beside the committing thread.
 */
#ifndef BGPPEERD_STORE_SQLITE_CHECKPOINT_H
#define BGPPEERD_STORE_SQLITE_CHECKPOINT_H

#include <pthread.h>
#include <stdbool.h>

#include "sqlite_connection.h"

struct checkpointer {
    struct connection connection; /* the thread's; opened before it starts */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards what follows; a leaf, never held over I/O */
    pthread_cond_t wake;
    bool requested;
    bool stop;
    bool failing;         /* the last checkpoint failed; logged once until one succeeds */
    unsigned long copied; /* frames of the current log that are in the database */
};

/* Open the connection and start the thread. `path` must outlive it. */
int checkpointer_start(struct checkpointer *checkpointer, const char *path, struct err *err) MUST_CHECK;
/* After each commit, from the committing thread: the log now has `frames`. May checkpoint on `writer`. */
void checkpointer_note(struct checkpointer *checkpointer, struct connection *writer, unsigned long frames);
/* End the thread and close its connection. Accepts one that is zeroed. */
void checkpointer_stop(struct checkpointer *checkpointer);
/* Empty the log at shutdown, when `writer` is the only connection. Failure loses nothing: the log is read
 * at the next start. */
int checkpoint_final(struct connection *writer, struct err *err) MUST_CHECK;

#endif
