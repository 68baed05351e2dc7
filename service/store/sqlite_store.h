/*
 * The SQLite store's insides, shared by its files.
 *
 * Who uses what:
 *   writer       the committing thread alone: commit, compact, drop_audit. No lock.
 *   reader       status, load, read_changes, read_audit from any thread, under reader_lock. Held during
 *                callbacks.
 *   checkpointer its own thread and connection; see sqlite_checkpoint.c.
 *   backup       opens connections of its own for each call, so it blocks none of the others.
 * The locks are never held together.
 */
#ifndef BGPPEERD_STORE_SQLITE_STORE_H
#define BGPPEERD_STORE_SQLITE_STORE_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "high_water.h"
#include "sqlite_checkpoint.h"
#include "sqlite_connection.h"
#include "store_ops.h"

/* The one row of table meta. What is there only since a later migration is zero before it. */
struct store_meta {
    uint64_t revision;
    uint64_t compacted;
    uint64_t change_rows; /* behind `past` */
    uint64_t commits;     /* transactions so far, of all kinds */
    uint64_t content;     /* sum of the objects' digests; sqlite_content.c */
    unsigned char uuid[STORE_UUID_SIZE];
    uint64_t past; /* the oldest revision whose state is known */
    int64_t past_ms;
    uint64_t change_bytes; /* of the rows behind `past` */
};

/* What the high-water mark says of the database that was here last. */
struct history {
    const char *dir;
    struct high_water mark;
    enum high_water_state state;
};

/* The files that the store has open. */
struct place {
    char log_path[PATH_MAX];
    dev_t database_device;
    ino_t database_file;
    dev_t log_device;
    ino_t log_file;
    int64_t page_size;
};

struct sqlite_store {
    struct store base;
    char *dir;                    /* the data directory */
    char *path;                   /* of the database */
    int lock_fd;                  /* holds the data directory's lock */
    struct store_options options; /* what they point to lives as long as the store */
    bool is_writable;             /* the writer's; else `reader` is an image in memory */
    struct err why;               /* … because of this */
    struct store_meta image;      /* … of this state */
    struct history history;       /* as it was at the start */
    struct place place;
    int mark_fd;       /* the writer's: of the high-water mark, -1 = it cannot be written */
    bool mark_failing; /* the writer's: logged once until it can */
    unsigned schema_version;
    struct connection writer;
    unsigned long log_frames; /* the writer's: length of the log after the last commit */
    bool tail_in_doubt; /* the writer's: a failed commit's frames may still be in the log; sqlite_wal.h */
    pthread_mutex_t reader_lock;
    bool reader_lock_ready;
    struct connection reader;
    struct checkpointer checkpointer;
};

#define DATABASE_FILE "/bgppeerd.db"

/* sqlite_check.c */
/* What a look at a database has found. */
struct finding {
    unsigned applied; /* migrations */
    struct store_meta meta;
};
/* Size of a file <path><suffix>, -1 when there is none, -2 when that cannot be told (`err` is filled). */
int64_t sqlite_file_size(const char *path, const char *suffix, struct err *err) MUST_CHECK;
/* Missing is fine. */
int sqlite_file_remove(const char *path, const char *suffix, struct err *err) MUST_CHECK;
/* By plain reading: ours, not cut short, no damage in the log (`lenient`: as far as that can be read). */
int sqlite_check_bytes(const char *path, bool lenient, struct err *err) MUST_CHECK;
/* The schema, the structure, and table meta. */
int sqlite_check_content(struct connection *probe, struct finding *ret, struct err *err) MUST_CHECK;
/* Look at a database that nobody has open, without altering it: whole, ours, not newer than we are.
 * `lenient`: a damaged log counts as far as it can be read. */
int sqlite_check_file(const char *path, bool lenient, struct finding *ret, struct err *err) MUST_CHECK;

/* sqlite_image.c */
/* The database and its log, read into memory: a connection that needs no disk. Nobody else may write them. */
int sqlite_image_open(struct connection *connection, const char *path, struct err *err) MUST_CHECK;
/* Can files in the directory of the database grow? ERR_STORAGE_FULL, ERR_UNAVAILABLE: no. */
int sqlite_try_disk(const char *dir, struct err *err) MUST_CHECK;

/* sqlite_open.c */
/* Before each transaction: open for writing what could not be so far. */
int sqlite_make_writable(struct sqlite_store *store, struct err *err) MUST_CHECK;
void sqlite_store_close(struct store *store);

/* sqlite_content.c */
uint64_t sqlite_object_digest(const char *kind, const char *name, uint64_t revision, const char *body,
                              size_t body_len);
/* The SQL function content_sum(kind, name, revision, body), for migrations. A code of SQLite's. */
int sqlite_content_install(sqlite3 *db);
/* The sum over all rows of table object. */
int sqlite_content_sum(struct connection *connection, uint64_t *ret, struct err *err) MUST_CHECK;
/* The failure when that is not what table meta says; always -1. */
int sqlite_content_differs(const struct connection *connection, struct err *err);

/* sqlite_history.c */
int history_read_mark(const char *dir, struct history *history, struct err *err) MUST_CHECK;
/* May a missing database be made? Not when the mark, or one of options->companions, shows that there was one.
 */
int history_check_missing(const struct history *history, const struct store_options *options,
                          const char *path, struct err *err) MUST_CHECK;
/* Has the database come at least as far as the mark says? */
int history_check(const struct history *history, const struct store_meta *meta, const char *path,
                  struct err *err) MUST_CHECK;
/* Let the database go on behind the mark and `revision`, with what it holds now and an empty change log.
 * `whole`: what it says of its past is kept. */
int history_begin_behind(struct connection *writer, const struct history *history, uint64_t revision,
                         bool whole, struct err *err) MUST_CHECK;
/* After each transaction, before it is acknowledged. What fails is logged, once. */
void history_raise(struct sqlite_store *store, const struct store_meta *meta);
/* Remember the open files. */
int place_note(struct sqlite_store *store, struct err *err) MUST_CHECK;
/* Are they still those that a start would find? */
int place_check(const struct sqlite_store *store, struct err *err) MUST_CHECK;

/* sqlite_read.c */
/* A reading transaction on the reader's connection, with its lock. */
int sqlite_read_begin(struct sqlite_store *store, struct err *err) MUST_CHECK;
void sqlite_read_end(struct sqlite_store *store);
/* The change of the current row, whose columns begin at `column`; borrowed until the next step. */
int sqlite_read_change(struct query *query, int column, struct store_change *ret, struct err *err) MUST_CHECK;
int sqlite_read_meta(struct connection *connection, struct store_meta *ret, struct err *err) MUST_CHECK;
/* Of a database of before the newest schema, but not of before this migration: all but what is newer. */
#define STORE_IDENTITY_MIGRATION 4
int sqlite_read_identity(struct connection *connection, struct store_meta *ret, struct err *err) MUST_CHECK;
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
int sqlite_write_meta(struct connection *connection, const struct store_meta *meta, const char *action,
                      struct err *err) MUST_CHECK;
int sqlite_store_check(struct store *store, struct err *err) MUST_CHECK;
int sqlite_store_commit(struct store *store, const struct store_batch *batch, struct err *err) MUST_CHECK;
/* A transaction of the writer's, and its end: `meta` as it is then. What fails is taken back. */
int sqlite_write_begin(struct sqlite_store *store, struct store_meta *ret_meta, struct err *err) MUST_CHECK;
int sqlite_write_end(struct sqlite_store *store, struct store_meta *meta, const char *action,
                     struct err *err) MUST_CHECK;
void sqlite_write_undo(struct sqlite_store *store);
int sqlite_store_drop_audit(struct store *store, const uint64_t *sequences, size_t count,
                            struct err *err) MUST_CHECK;

/* sqlite_transitions.c */
int sqlite_write_transition(struct connection *writer, const struct store_transition *row, const char *action,
                            struct err *err) MUST_CHECK;
int sqlite_store_read_transitions(struct store *store, uint64_t below, size_t limit,
                                  int (*row)(void *arg, const struct store_transition *transition,
                                             struct err *err),
                                  void *arg, struct err *err) MUST_CHECK;
int sqlite_store_trim_transitions(struct store *store, uint64_t upto, size_t max, bool *ret_more,
                                  struct err *err) MUST_CHECK;

/* sqlite_past.c */
int sqlite_store_read_history(struct store *store, const struct store_history_query *query,
                              int (*row)(void *arg, const struct store_change *change, struct err *err),
                              void *arg, struct err *err) MUST_CHECK;
int sqlite_store_read_past(struct store *store, uint64_t revision, uint64_t upto,
                           int (*row)(void *arg, const char *kind, const char *name,
                                      const struct store_change *change, struct err *err),
                           void *arg, struct err *err) MUST_CHECK;
int sqlite_store_find_time(struct store *store, int64_t time_ms, uint64_t *ret_revision,
                           struct err *err) MUST_CHECK;
int sqlite_store_compact(struct store *store, const struct store_keep *keep, bool *ret_more,
                         uint64_t *ret_compacted, struct err *err) MUST_CHECK;
/* ---- sqlite_given.c ---- */

int sqlite_store_read_given(struct store *store, const struct store_given_query *query,
                            int (*row)(void *arg, const struct store_given *given, struct err *err),
                            void *arg, struct err *err) MUST_CHECK;
/* The rest within a transaction. */
int sqlite_write_given(struct connection *writer, const struct store_given *given,
                       struct err *err) MUST_CHECK;
/* The past now begins at `upto`, no longer at `after`: drop what that makes superfluous. */
int sqlite_trim_given(struct connection *writer, uint64_t after, uint64_t upto, struct err *err) MUST_CHECK;
int sqlite_count_given(struct connection *connection, uint64_t *ret, struct err *err) MUST_CHECK;
/* Drop so many of the oldest, but of no node its newest. */
int sqlite_shrink_given(struct connection *writer, uint64_t rows, uint64_t *ret_dropped,
                        struct err *err) MUST_CHECK;

/* The revisions behind `after` up to `upto` were lost at `until_ms`. */
int sqlite_add_lost(struct connection *writer, uint64_t after, uint64_t upto, int64_t until_ms,
                    struct err *err) MUST_CHECK;
/* Of what the database holds now, the past begins at `meta`'s revision, in a transaction of the caller's. */
int sqlite_past_begin_anew(struct connection *writer, struct store_meta *meta, struct err *err) MUST_CHECK;

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
