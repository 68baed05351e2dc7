/*
 * Checkpoints.
 *
 * SQLite's own automatic checkpoint runs inside a commit and would make every hundredth writer wait for
 * several megabytes and two syncs more. So a thread with a connection of its own does it, in PASSIVE mode,
 * which neither waits for anybody nor makes anybody wait: commits go on while it copies.
 *
 * SQLite starts the log over when a commit finds all of it copied. Under a steady stream of commits the
 * thread never quite gets there, because frames are added while it copies. Therefore, once the log has
 * grown to CHECKPOINT_FRAMES_MAX, the committing thread copies the small rest itself right after a commit;
 * the next commit then starts the log over. Only a reader that holds an old state (a backup) can make the
 * log grow beyond that, for as long as it reads.
 *
 * The lock is a leaf and is never held over I/O.
 */
#include "sqlite_checkpoint.h"

#include "base/log.h"

enum {
    CHECKPOINT_FRAMES = 1000,    /* 4 MiB of pages: wake the thread */
    CHECKPOINT_FRAMES_MAX = 8000 /* 32 MiB: the committing thread helps */
};

/* PASSIVE checkpoint on `connection`; the result is noted. Busy is not a failure: somebody else is at it. */
static void run(struct checkpointer *checkpointer, struct connection *connection) {
    int frames = -1;
    int copied = -1;
    int code = sqlite3_wal_checkpoint_v2(connection->db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    bool failed = code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY;
    struct err err = ERR_INIT;
    if (failed) {
        (void)connection_fail(connection, code, "move the log into the database", &err);
    }
    (void)pthread_mutex_lock(&checkpointer->lock);
    bool changed = failed != checkpointer->failing && (failed || code == SQLITE_OK);
    if (changed) {
        checkpointer->failing = failed;
    }
    if (code == SQLITE_OK && copied >= 0) {
        checkpointer->copied = (unsigned long)copied;
    }
    (void)pthread_mutex_unlock(&checkpointer->lock);
    if (changed && failed) {
        log_event(LOG_WARN, "store-checkpoint-failed", LOG_STR("error", err.text));
    } else if (changed) {
        log_event(LOG_INFO, "store-checkpoint-recovered", LOG_STR("database", connection->path));
    }
}

static void *checkpoint_thread(void *arg) {
    struct checkpointer *checkpointer = arg;
    (void)pthread_mutex_lock(&checkpointer->lock);
    while (!checkpointer->stop) {
        if (!checkpointer->requested) {
            (void)pthread_cond_wait(&checkpointer->wake, &checkpointer->lock);
            continue;
        }
        checkpointer->requested = false;
        (void)pthread_mutex_unlock(&checkpointer->lock);
        run(checkpointer, &checkpointer->connection);
        (void)pthread_mutex_lock(&checkpointer->lock);
    }
    (void)pthread_mutex_unlock(&checkpointer->lock);
    return NULL;
}

int checkpointer_start(struct checkpointer *checkpointer, const char *path, struct err *err) {
    if (connection_open(&checkpointer->connection, path, CONNECTION_WRITER, err) < 0) {
        return -1;
    }
    if (pthread_mutex_init(&checkpointer->lock, NULL) != 0) {
        connection_close(&checkpointer->connection);
        return err_no_memory(err);
    }
    if (pthread_cond_init(&checkpointer->wake, NULL) != 0) {
        (void)pthread_mutex_destroy(&checkpointer->lock);
        connection_close(&checkpointer->connection);
        return err_no_memory(err);
    }
    if (pthread_create(&checkpointer->thread, NULL, checkpoint_thread, checkpointer) != 0) {
        (void)pthread_cond_destroy(&checkpointer->wake);
        (void)pthread_mutex_destroy(&checkpointer->lock);
        connection_close(&checkpointer->connection);
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot start the store's checkpoint thread; check the limits on "
                       "threads and memory");
    }
    checkpointer->running = true;
    return 0;
}

void checkpointer_note(struct checkpointer *checkpointer, struct connection *writer, unsigned long frames) {
    (void)pthread_mutex_lock(&checkpointer->lock);
    if (frames < checkpointer->copied) {
        checkpointer->copied = 0; /* the log was started over */
    }
    bool due = frames - checkpointer->copied >= CHECKPOINT_FRAMES;
    if (due && !checkpointer->requested) {
        checkpointer->requested = true;
        (void)pthread_cond_signal(&checkpointer->wake);
    }
    /* While checkpoints fail, trying on every commit would only slow the commits down. */
    bool help = frames >= CHECKPOINT_FRAMES_MAX && !checkpointer->failing;
    (void)pthread_mutex_unlock(&checkpointer->lock);
    if (help) {
        run(checkpointer, writer);
    }
}

void checkpointer_stop(struct checkpointer *checkpointer) {
    if (!checkpointer->running) {
        return;
    }
    (void)pthread_mutex_lock(&checkpointer->lock);
    checkpointer->stop = true;
    (void)pthread_cond_signal(&checkpointer->wake);
    (void)pthread_mutex_unlock(&checkpointer->lock);
    (void)pthread_join(checkpointer->thread, NULL);
    (void)pthread_cond_destroy(&checkpointer->wake);
    (void)pthread_mutex_destroy(&checkpointer->lock);
    connection_close(&checkpointer->connection);
    checkpointer->running = false;
}

int checkpoint_final(struct connection *writer, struct err *err) {
    int code = sqlite3_wal_checkpoint_v2(writer->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? 0 : connection_fail(writer, code, "move the log into the database", err);
}
