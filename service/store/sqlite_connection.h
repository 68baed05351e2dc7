/*
 * One SQLite connection with its prepared statements, and the one place that turns SQLite's codes into
 * ours. A connection is used by one thread at a time; who that is, its owner says.
 */
#ifndef BGPPEERD_STORE_SQLITE_CONNECTION_H
#define BGPPEERD_STORE_SQLITE_CONNECTION_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* In the database's header, "BGPP": this file is ours. */
#define STORE_APPLICATION_ID 0x42475050

/* How long a commit waits for somebody else's lock, such as a person's sqlite3 shell. */
#define STORE_BUSY_MS 2000

/* Every statement of the store. Prepared at first use and kept. */
enum query_id {
    QUERY_BEGIN_READ,
    QUERY_BEGIN_WRITE,
    QUERY_COMMIT,
    QUERY_ROLLBACK,
    QUERY_META,
    QUERY_IDENTITY,
    QUERY_META_SET,
    QUERY_OBJECT_GET,
    QUERY_OBJECT_CREATE,
    QUERY_OBJECT_UPDATE,
    QUERY_OBJECT_DELETE,
    QUERY_CHANGE_ADD,
    QUERY_SEALED_PUT,
    QUERY_SEALED_DELETE,
    QUERY_SETTING_PUT,
    QUERY_SETTING_DELETE,
    QUERY_SETTINGS,
    QUERY_SEALED,
    QUERY_OBJECTS,
    QUERY_CHANGES,
    QUERY_CHANGES_OLDEST,
    QUERY_CHANGES_REPLACED,
    QUERY_CHANGES_DELETED,
    QUERY_HISTORY,
    QUERY_HISTORY_NEWEST,
    QUERY_HISTORY_OF,
    QUERY_HISTORY_OF_NEWEST,
    QUERY_PAST,
    QUERY_CHANGE_TIME,
    QUERY_LOST_AT,
    QUERY_LOST_ADD,
    QUERY_GIVEN_ADD,
    QUERY_GIVEN,
    QUERY_GIVEN_NEWEST,
    QUERY_GIVEN_COUNT,
    QUERY_GIVEN_REPLACED,
    QUERY_GIVEN_ORPHANS,
    QUERY_GIVEN_EXCESS,
    QUERY_AUDIT_ADD,
    QUERY_AUDIT_AGAIN,
    QUERY_AUDIT_NEWEST,
    QUERY_AUDIT,
    QUERY_AUDIT_DROP,
    QUERY_TRANSITION_ADD,
    QUERY_TRANSITIONS,
    QUERY_TRANSITION_TRIM,
    QUERY_COUNT
};

struct connection {
    sqlite3 *db;
    const char *path; /* for messages; the owner's, outlives the connection */
    sqlite3_stmt *statements[QUERY_COUNT];
};

/* What a connection is for; they differ in what they may write. */
enum connection_role {
    CONNECTION_WRITER,  /* WAL, FULL */
    CONNECTION_READER,  /* queries only */
    CONNECTION_PROBE,   /* look at a database without altering any file; sole user of it */
    CONNECTION_IMAGE,   /* in memory */
    CONNECTION_CREATOR, /* build a new database under a temporary name, rollback journal */
};

/* On failure the connection is closed. */
int connection_open(struct connection *connection, const char *path, enum connection_role role,
                    struct err *err) MUST_CHECK;
/* Accepts one that was never opened but zeroed. */
void connection_close(struct connection *connection);
/* Run SQL that returns no rows. `action` is what the message says failed: "cannot <action>". */
int connection_exec(struct connection *connection, const char *sql, const char *action,
                    struct err *err) MUST_CHECK;
/* The first column of the first row of `sql`, as a number. */
int connection_number(struct connection *connection, const char *sql, int64_t *ret,
                      struct err *err) MUST_CHECK;
/* A full structural check of the database file; ERR_CORRUPT with the first finding. */
int connection_check(struct connection *connection, struct err *err) MUST_CHECK;
/* Prepare every statement: fails when a table or column is missing. */
int connection_prepare_all(struct connection *connection, struct err *err) MUST_CHECK;
/* Fill `err` from SQLite's code and the connection's last error; always -1. */
int connection_fail(struct connection *connection, int code, const char *action, struct err *err);

/*
 * One use of a prepared statement: begin, bind (from 1), step …, end. Bind errors are kept and reported
 * by the step. Bound texts and blobs are borrowed until the end.
 */
struct query {
    struct connection *connection;
    sqlite3_stmt *statement;
    int code; /* SQLite's extended code of what went last */
};

void query_begin(struct query *query, struct connection *connection, enum query_id id);
void query_bind_text(struct query *query, int index, const char *text);
void query_bind_text_len(struct query *query, int index, const char *text, size_t len);
void query_bind_blob(struct query *query, int index, const void *bytes, size_t len);
void query_bind_number(struct query *query, int index, int64_t number);
/* 1: a row, 0: no more rows, -1: failed. */
int query_step(struct query *query, const char *action, struct err *err) MUST_CHECK;
/* A text or blob column (from 0) of the current row, borrowed until the next step; NULL only when memory is
 * out (`err` is filled). ret_len may be NULL. */
const char *query_text(struct query *query, int column, size_t *ret_len, struct err *err) MUST_CHECK;
const void *query_blob(struct query *query, int column, size_t *ret_len, struct err *err) MUST_CHECK;
int64_t query_number(struct query *query, int column);
void query_end(struct query *query);
/* Step a statement that returns no rows, and end it. */
int query_run(struct query *query, const char *action, struct err *err) MUST_CHECK;
/* begin and run, for statements without parameters. */
int query_simple(struct connection *connection, enum query_id id, const char *action,
                 struct err *err) MUST_CHECK;

#endif
