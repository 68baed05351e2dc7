/*
 * The SQLite store's insides, shared by its files.
 *
 * Who uses what:
 *   writer       the committing thread alone: commit, compact, trim_audit. No lock.
 *   reader       status, load, read_changes, read_audit from any thread, under reader_lock. Held during
 *                callbacks.
 *   checkpointer its own thread and connection; see sqlite_checkpoint.c.
 *   backup       opens connections of its own for each call, so it blocks none of the others.
 * The locks are never held together.
 */
#ifndef BGPPEERD_STORE_SQLITE_STORE_H
#define BGPPEERD_STORE_SQLITE_STORE_H

#include <pthread.h>
#include <stdbool.h>

#include "sqlite_checkpoint.h"
#include "sqlite_connection.h"
#include "store_ops.h"

struct sqlite_store {
    struct store base;
    char *path;  /* of the database */
    int lock_fd; /* holds the data directory's lock */
    unsigned schema_version;
    struct connection writer;
    unsigned long log_frames; /* the writer's: length of the log after the last commit */
    bool tail_in_doubt; /* the writer's: a failed commit's frames may still be in the log; sqlite_wal.h */
    pthread_mutex_t reader_lock;
    bool reader_lock_ready;
    struct connection reader;
    struct checkpointer checkpointer;
};

/* The one row of table meta. */
struct store_meta {
    uint64_t revision;
    uint64_t compacted;
    uint64_t change_rows;
};

#define DATABASE_FILE "/bgppeerd.db"

/* sqlite_open.c */
/* Look at a database that nobody has open, without altering it: whole, ours, not newer than we are. */
int sqlite_check_file(const char *path, unsigned *ret_applied, struct err *err) MUST_CHECK;
void sqlite_store_close(struct store *store);

/* sqlite_read.c */
int sqlite_read_meta(struct connection *connection, struct store_meta *ret, struct err *err) MUST_CHECK;
int sqlite_store_status(struct store *store, struct store_status *ret, struct err *err) MUST_CHECK;
int sqlite_store_load(struct store *store, const struct store_reader *reader, struct err *err) MUST_CHECK;
int sqlite_store_read_changes(struct store *store, uint64_t after, size_t limit,
                              int (*row)(void *arg, const struct store_change *change, struct err *err),
                              void *arg, struct err *err) MUST_CHECK;
int sqlite_store_read_audit(struct store *store, uint64_t keep,
                            int (*row)(void *arg, const struct store_audit *audit, struct err *err),
                            void *arg, uint64_t *ret_newest, struct err *err) MUST_CHECK;

void sqlite_store_sizes(struct store *store, struct store_figures *ret);

/* sqlite_write.c */
int sqlite_store_commit(struct store *store, const struct store_batch *batch, struct err *err) MUST_CHECK;
int sqlite_store_compact(struct store *store, uint64_t keep, uint64_t *ret_compacted,
                         struct err *err) MUST_CHECK;
int sqlite_store_trim_audit(struct store *store, uint64_t upto, bool *ret_more, struct err *err) MUST_CHECK;

/* The settings and sealed values in the order of store_load. Within one read transaction of the caller's, or
 * while nobody writes. */
int sqlite_load_vault(struct connection *connection, const struct store_reader *reader,
                      struct err *err) MUST_CHECK;

/* Files in the data directory that have no name of their own yet: for mkostemp. */
#define TEMPORARY_BACKUP  "/.bgppeerd-backup-"
#define TEMPORARY_RESTORE "/.bgppeerd-restore-"
#define TEMPORARY_RANDOM  "XXXXXX"

/* sqlite_backup.c */
int sqlite_store_backup(struct store *store, const char *path, struct err *err) MUST_CHECK;
int sqlite_store_backup_open(struct store *store, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                             struct err *err) MUST_CHECK;
/* Remove such a file, and what SQLite has put beside it. It may be missing. */
void sqlite_remove_temporary(const char *temporary);
/* Remove what backups and restores left in the data directory that were cut short. Under its lock. */
void sqlite_backup_sweep(const char *dir);

#endif
