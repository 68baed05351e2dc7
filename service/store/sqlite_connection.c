/*
 * SQLite connections: how they are opened and configured, prepared statements with typed binds, and the
 * translation of SQLite's result codes.
 *
 * A struct connection owns its handle and statements. No locks: each connection has one user at a time.
 */
#include "sqlite_connection.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_store.h"

/* For every connection. cell_size_check and trusted_schema guard against a damaged or hostile file.
 * secure_delete overwrites deleted sealed values and old bodies instead of leaving them in free pages.
 * Sorting must not spill bodies to files in /tmp. Checkpoints are sqlite_checkpoint.c's. */
#define COMMON_PRAGMAS                                                                                       \
    "PRAGMA trusted_schema = OFF;"                                                                           \
    "PRAGMA cell_size_check = ON;"                                                                           \
    "PRAGMA foreign_keys = ON;"                                                                              \
    "PRAGMA secure_delete = ON;"                                                                             \
    "PRAGMA temp_store = MEMORY;"                                                                            \
    "PRAGMA mmap_size = 0;"                                                                                  \
    "PRAGMA synchronous = FULL;"                                                                             \
    "PRAGMA wal_autocheckpoint = 0;"

/* After an exceptional growth (a long backup), the next restart of the log cuts it to this size. */
#define WAL_KEEP_BYTES "33554432"

static const char *const role_pragmas[] = {
    [CONNECTION_WRITER] = COMMON_PRAGMAS "PRAGMA journal_size_limit = " WAL_KEEP_BYTES ";",
    [CONNECTION_READER] = COMMON_PRAGMAS "PRAGMA query_only = ON;",
    /* Exclusive locking before the first access keeps the log's index in memory instead of a -shm file. */
    [CONNECTION_PROBE] = "PRAGMA locking_mode = EXCLUSIVE;" COMMON_PRAGMAS "PRAGMA query_only = ON;",
    [CONNECTION_IMAGE] = COMMON_PRAGMAS,
    [CONNECTION_CREATOR] = COMMON_PRAGMAS,
};

#define CHANGE_COLUMNS "revision, op, kind, name, time_ms, actor, body, txn, request, reason"
#define PAST_COLUMNS                                                                                         \
    "past.revision, past.op, past.kind, past.name, past.time_ms, past.actor, past.body, past.txn,"           \
    " past.request, past.reason"

static const char *const query_sql[QUERY_COUNT] = {
    [QUERY_BEGIN_READ] = "BEGIN",
    [QUERY_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [QUERY_COMMIT] = "COMMIT",
    [QUERY_ROLLBACK] = "ROLLBACK",
    [QUERY_META] = "SELECT revision, compacted, change_rows, commits, content, uuid, past, past_ms,"
                   " change_bytes FROM meta WHERE id = 1",
    [QUERY_IDENTITY] = "SELECT revision, compacted, change_rows, commits, content, uuid, 0, 0, 0 FROM meta"
                       " WHERE id = 1",
    [QUERY_META_SET] = "UPDATE meta SET revision = ?1, compacted = ?2, change_rows = ?3, commits = ?4,"
                       " content = ?5, uuid = ?6, past = ?7, past_ms = ?8, change_bytes = ?9 WHERE id = 1",
    [QUERY_OBJECT_GET] = "SELECT revision, body FROM object WHERE kind = ?1 AND name = ?2",
    [QUERY_OBJECT_CREATE] = "INSERT INTO object (kind, name, revision, body) VALUES (?1, ?2, ?3, ?4)",
    [QUERY_OBJECT_UPDATE] = "UPDATE object SET revision = ?3, body = ?4 WHERE kind = ?1 AND name = ?2",
    [QUERY_OBJECT_DELETE] = "DELETE FROM object WHERE kind = ?1 AND name = ?2",
    [QUERY_CHANGE_ADD] =
        "INSERT INTO change (revision, op, kind, name, time_ms, actor, body, txn, request, reason)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [QUERY_SEALED_PUT] =
        "INSERT INTO sealed (object, item, version, key_id, nonce, ciphertext)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (kind, object, item) DO UPDATE SET version = excluded.version,"
        " key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext",
    [QUERY_SEALED_DELETE] = "DELETE FROM sealed WHERE kind = 'Secret' AND object = ?1 AND item = ?2",
    [QUERY_SETTING_PUT] = "INSERT INTO setting (name, value) VALUES (?1, ?2)"
                          " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [QUERY_SETTING_DELETE] = "DELETE FROM setting WHERE name = ?1",
    [QUERY_SETTINGS] = "SELECT name, value FROM setting ORDER BY name",
    [QUERY_SEALED] = "SELECT object, item, version, key_id, nonce, ciphertext FROM sealed"
                     " ORDER BY kind, object, item",
    [QUERY_OBJECTS] = "SELECT kind, name, revision, body FROM object ORDER BY kind, name",
    [QUERY_CHANGES] = "SELECT " CHANGE_COLUMNS " FROM change WHERE revision > ?1 ORDER BY revision LIMIT ?2",
    [QUERY_CHANGES_OLDEST] = "SELECT revision, time_ms, length(CAST(body AS BLOB)),"
                             " (SELECT count(*) FROM given WHERE given.revision = change.revision)"
                             " FROM change WHERE revision > ?1 ORDER BY revision LIMIT ?2",
    /* Of the objects that ?1 < revision <= ?2 changed, all but their newest row up to ?2. */
    [QUERY_CHANGES_REPLACED] =
        "DELETE FROM change WHERE revision IN (SELECT old.revision FROM change AS new"
        " JOIN change AS old ON old.kind = new.kind AND old.name = new.name AND old.revision < new.revision"
        " WHERE new.revision > ?1 AND new.revision <= ?2)",
    [QUERY_CHANGES_DELETED] = "DELETE FROM change WHERE revision > ?1 AND revision <= ?2 AND op = 3",
    /* By revision, whatever the kind: an index would have all of a kind sorted first. */
    [QUERY_HISTORY] = "SELECT " CHANGE_COLUMNS " FROM change WHERE revision > ?1 AND revision < ?2"
                      " AND (?4 = '' OR kind = ?4) ORDER BY revision LIMIT ?3",
    [QUERY_HISTORY_NEWEST] = "SELECT " CHANGE_COLUMNS " FROM change WHERE revision > ?1 AND revision < ?2"
                             " AND (?4 = '' OR kind = ?4) ORDER BY revision DESC LIMIT ?3",
    [QUERY_HISTORY_OF] = "SELECT " CHANGE_COLUMNS " FROM change WHERE kind = ?4 AND name = ?5"
                         " AND revision > ?1 AND revision < ?2 ORDER BY revision LIMIT ?3",
    [QUERY_HISTORY_OF_NEWEST] = "SELECT " CHANGE_COLUMNS " FROM change WHERE kind = ?4 AND name = ?5"
                                " AND revision > ?1 AND revision < ?2 ORDER BY revision DESC LIMIT ?3",
    /* NOT INDEXED: by revision; the index of objects would be read whole. */
    [QUERY_PAST] =
        "SELECT touched.kind, touched.name, " PAST_COLUMNS
        " FROM (SELECT DISTINCT kind, name FROM change NOT INDEXED WHERE revision > ?1 AND revision <= ?2)"
        " AS touched LEFT JOIN change AS past ON past.revision = (SELECT max(c.revision) FROM change AS c"
        " WHERE c.kind = touched.kind AND c.name = touched.name AND c.revision <= ?1)",
    [QUERY_CHANGE_TIME] =
        "SELECT revision, time_ms FROM change WHERE revision > ?1 ORDER BY revision LIMIT 1",
    [QUERY_LOST_AT] = "SELECT upto, until_ms FROM lost WHERE after < ?1 AND upto >= ?1",
    [QUERY_LOST_ADD] = "INSERT OR REPLACE INTO lost (after, upto, until_ms) VALUES (?1, ?2, ?3)",
    [QUERY_GIVEN_ADD] =
        "INSERT INTO given (node, revision, etag, time_ms, node_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (node, revision) DO UPDATE SET"
        " time_ms = CASE WHEN etag = excluded.etag THEN time_ms ELSE excluded.time_ms END,"
        " node_ms = CASE WHEN etag = excluded.etag AND node_ms <> 0 THEN node_ms ELSE excluded.node_ms END,"
        " etag = excluded.etag",
    [QUERY_GIVEN] = "SELECT node, revision, etag, time_ms, node_ms FROM given"
                    " WHERE node = ?1 AND revision < ?2 ORDER BY revision DESC LIMIT ?3",
    [QUERY_GIVEN_NEWEST] = "SELECT node, max(revision), etag, time_ms, node_ms FROM given GROUP BY node",
    [QUERY_GIVEN_COUNT] = "SELECT count(*) FROM given",
    /* All that are replaced by one with ?1 < revision <= ?2. */
    [QUERY_GIVEN_REPLACED] =
        "DELETE FROM given WHERE (node, revision) IN (SELECT old.node, old.revision FROM given AS new"
        " JOIN given AS old ON old.node = new.node AND old.revision < new.revision"
        " WHERE new.revision > ?1 AND new.revision <= ?2)",
    /* Those of the nodes that were deleted in between. */
    [QUERY_GIVEN_ORPHANS] =
        "DELETE FROM given WHERE (node, revision) IN (SELECT of.node, of.revision FROM change"
        " JOIN given AS of ON of.node = change.name AND of.revision <= change.revision"
        " WHERE change.revision > ?1 AND change.revision <= ?2 AND change.op = 3 AND change.kind = 'Node')",
    /* The oldest, but of each node its newest. */
    [QUERY_GIVEN_EXCESS] =
        "DELETE FROM given WHERE (node, revision) IN (SELECT node, revision FROM given AS old"
        " WHERE EXISTS (SELECT 1 FROM given AS new WHERE new.node = old.node AND new.revision > old.revision)"
        " ORDER BY revision LIMIT ?1)",
    [QUERY_AUDIT_ADD] = "INSERT INTO audit (sequence, time_ms, entry) VALUES (?1, ?2, ?3)",
    [QUERY_AUDIT_AGAIN] = "UPDATE audit SET time_ms = ?2, entry = ?3 WHERE sequence = ?1",
    [QUERY_AUDIT_NEWEST] = "SELECT coalesce(max(sequence), 0) FROM audit",
    [QUERY_AUDIT] = "SELECT sequence, time_ms, entry FROM audit WHERE sequence > ?1 ORDER BY sequence",
    [QUERY_AUDIT_DROP] = "DELETE FROM audit WHERE sequence = ?1",
    [QUERY_TRANSITION_ADD] =
        "INSERT INTO transition (sequence, time_ms, node, peer, port, remote, was, became, folded, message)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [QUERY_TRANSITIONS] =
        "SELECT sequence, time_ms, node, peer, port, remote, was, became, folded, message FROM transition"
        " WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2",
    [QUERY_TRANSITION_TRIM] =
        "DELETE FROM transition WHERE sequence IN"
        " (SELECT sequence FROM transition WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2)",
};

/* The errno behind a failure, 0 = unknown. SQLite does not pass on the one of a failed COMMIT (and would
 * answer with an older one), but the log's file remembers it. */
static int system_errno(struct connection *connection, int code) {
    sqlite3_file *log = NULL;
    int found = 0;
    if (connection->db == NULL) {
        return 0;
    }
    if ((code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_TRUNCATE) &&
        sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log != NULL && log->pMethods != NULL) {
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &found);
    }
    return found != 0 ? found : sqlite3_system_errno(connection->db);
}

int connection_fail(struct connection *connection, int code, const char *action, struct err *err) {
    const char *path = connection->path;
    const char *what = sqlite3_errstr(code);
    int system_error = system_errno(connection, code);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return err_set(err, ERR_STORAGE_FULL,
                       "cannot %s: no space left for %s; nothing was changed; free some disk space", action,
                       path);
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM) {
            return err_no_memory(err);
        }
        if (code == SQLITE_IOERR_CORRUPTFS || code == SQLITE_IOERR_DATA) {
            break;
        }
        if (code == SQLITE_IOERR_SHMSIZE) {
            system_error = ENOSPC; /* the log's index cannot grow; SQLite keeps no errno of that */
        }
        if (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG) {
            return err_set(
                err, ERR_STORAGE_FULL,
                "cannot %s: %s for %s; nothing was changed; free some disk space or raise the limit", action,
                strerror(system_error), path);
        }
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot %s: input/output error on %s (SQLite %d%s%s); nothing was changed; check the "
                       "disk and the kernel log",
                       action, path, code, system_error != 0 ? ", " : "",
                       system_error != 0 ? strerror(system_error) : "");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(
            err, ERR_UNAVAILABLE,
            "cannot %s: another program holds a lock on %s; nothing was changed; close that program "
            "and try again",
            action, path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return err_set(
            err, ERR_UNAVAILABLE,
            "cannot %s: %s (%s%s%s); nothing was changed; check that the file, its -wal and -shm and "
            "their directory belong to this user and are writable",
            action, path, what, system_error != 0 ? ", " : "",
            system_error != 0 ? strerror(system_error) : "");
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_INTERRUPT:
        return err_set(err, ERR_UNAVAILABLE, "cannot %s: %s (%s); nothing was changed", action, path, what);
    case SQLITE_NOMEM:
        return err_no_memory(err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        break;
    default:
        return err_set(err, ERR_INTERNAL, "cannot %s: %s: %s (SQLite %d)", action, path,
                       connection->db != NULL ? sqlite3_errmsg(connection->db) : what, code);
    }
    return err_set(
        err, ERR_CORRUPT,
        "cannot %s: the database %s is damaged (%s, SQLite %d); stop the service, keep a copy of the "
        "file and restore the newest backup",
        action, path, what, code);
}

int connection_open(struct connection *connection, const char *path, enum connection_role role,
                    struct err *err) {
    *connection = (struct connection){.path = path};
    /* Never CREATE: files are made by us, with their mode, so a vanished database is not replaced by an empty
     * one. */
    int code = sqlite3_open_v2(role == CONNECTION_IMAGE ? ":memory:" : path, &connection->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_extended_result_codes(connection->db, 1);
        (void)sqlite3_busy_timeout(connection->db, STORE_BUSY_MS);
        code = sqlite3_db_config(connection->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite_content_install(connection->db);
    }
    if (code == SQLITE_OK && role == CONNECTION_PROBE) {
        /* Otherwise closing would move the log into the database and delete it. */
        code = sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (code != SQLITE_OK) {
        (void)connection_fail(connection, code, "open the database", err);
        connection_close(connection);
        return -1;
    }
    if (connection_exec(connection, role_pragmas[role], "configure the database", err) < 0) {
        connection_close(connection);
        return -1;
    }
    return 0;
}

void connection_close(struct connection *connection) {
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        (void)sqlite3_finalize(connection->statements[i]);
        connection->statements[i] = NULL;
    }
    /* close_v2 of a handle without statements is a plain close; it accepts NULL. */
    (void)sqlite3_close_v2(connection->db);
    connection->db = NULL;
}

int connection_exec(struct connection *connection, const char *sql, const char *action, struct err *err) {
    int code = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return connection_fail(connection, code, action, err);
    }
    return 0;
}

int connection_number(struct connection *connection, const char *sql, int64_t *ret, struct err *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    int64_t number = 0;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    }
    (void)sqlite3_finalize(statement);
    if (code == SQLITE_DONE) {
        return err_set(err, ERR_CORRUPT, "%s: no answer to \"%s\"", connection->path, sql);
    }
    if (code != SQLITE_ROW) {
        return connection_fail(connection, code, "read the database", err);
    }
    *ret = number;
    return 0;
}

/* Has reading the database or its log failed on this connection? */
static bool read_failed(struct connection *connection) {
    static const int pointers[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        sqlite3_file *file = NULL;
        int found = 0;
        if (sqlite3_file_control(connection->db, "main", pointers[i], &file) == SQLITE_OK && file != NULL &&
            file->pMethods != NULL &&
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &found) == 0 && found != 0) {
            return true;
        }
    }
    return false;
}

/* A finding of SQLite's check, or what is behind it: pages that cannot be read count as findings too. */
static int check_finding(struct connection *connection, const char *finding, struct err *err) {
    static const char title[] = "*** in database main ***\n";
    const char *action = "check the database";
    if (strncmp(finding, title, sizeof(title) - 1) == 0) {
        finding += sizeof(title) - 1;
    }
    const char *code_text = strstr(finding, "error code=");
    int code = code_text != NULL ? (int)strtol(code_text + strlen("error code="), NULL, 10) : SQLITE_CORRUPT;
    if ((code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM) {
        return err_no_memory(err);
    }
    if (read_failed(connection)) {
        return connection_fail(connection, (code & 0xff) == SQLITE_CORRUPT ? SQLITE_IOERR_READ : code, action,
                               err);
    }
    return err_set(
        err, ERR_CORRUPT,
        "the database %s is damaged (%.*s); nothing was changed; keep a copy of the file and restore the "
        "newest backup",
        connection->path, (int)strcspn(finding, "\n"), finding);
}

int connection_check(struct connection *connection, struct err *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int failed = 0;
    if (code != SQLITE_ROW) {
        failed = connection_fail(connection, code, "check the database", err);
    } else {
        const char *finding = (const char *)sqlite3_column_text(statement, 0);
        if (finding == NULL) {
            failed = err_no_memory(err);
        } else if (strcmp(finding, "ok") != 0) {
            failed = check_finding(connection, finding, err);
        }
    }
    (void)sqlite3_finalize(statement);
    return failed;
}

static int prepare(struct connection *connection, enum query_id id) {
    if (connection->statements[id] != NULL) {
        return SQLITE_OK;
    }
    return sqlite3_prepare_v3(connection->db, query_sql[id], -1, SQLITE_PREPARE_PERSISTENT,
                              &connection->statements[id], NULL);
}

int connection_prepare_all(struct connection *connection, struct err *err) {
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        int code = prepare(connection, (enum query_id)i);
        if (code == SQLITE_ERROR) {
            return err_set(err, ERR_CORRUPT,
                           "the database %s lacks a table or column of its schema (%s); nothing was changed; "
                           "restore the newest backup",
                           connection->path, sqlite3_errmsg(connection->db));
        }
        if (code != SQLITE_OK) {
            return connection_fail(connection, code, "read the schema", err);
        }
    }
    return 0;
}

void query_begin(struct query *query, struct connection *connection, enum query_id id) {
    query->connection = connection;
    query->code = prepare(connection, id);
    query->statement = connection->statements[id];
}

static void note(struct query *query, int code) {
    if (query->code == SQLITE_OK) {
        query->code = code;
    }
}

void query_bind_text_len(struct query *query, int index, const char *text, size_t len) {
    if (query->code == SQLITE_OK) {
        note(query, sqlite3_bind_text64(query->statement, index, text != NULL ? text : "", len, SQLITE_STATIC,
                                        SQLITE_UTF8));
    }
}

void query_bind_text(struct query *query, int index, const char *text) {
    query_bind_text_len(query, index, text, strlen(text));
}

void query_bind_blob(struct query *query, int index, const void *bytes, size_t len) {
    if (query->code == SQLITE_OK) {
        note(query, sqlite3_bind_blob64(query->statement, index, bytes, len, SQLITE_STATIC));
    }
}

void query_bind_number(struct query *query, int index, int64_t number) {
    if (query->code == SQLITE_OK) {
        note(query, sqlite3_bind_int64(query->statement, index, number));
    }
}

int query_step(struct query *query, const char *action, struct err *err) {
    if (query->code == SQLITE_OK || query->code == SQLITE_ROW) {
        query->code = sqlite3_step(query->statement);
    }
    switch (query->code) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return connection_fail(query->connection, query->code, action, err);
    }
}

const char *query_text(struct query *query, int column, size_t *ret_len, struct err *err) {
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    if (text == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    if (ret_len != NULL) {
        *ret_len = (size_t)sqlite3_column_bytes(query->statement, column);
    }
    return text;
}

const void *query_blob(struct query *query, int column, size_t *ret_len, struct err *err) {
    const void *bytes = sqlite3_column_blob(query->statement, column);
    size_t len = (size_t)sqlite3_column_bytes(query->statement, column);
    if (bytes == NULL) {
        /* SQLite answers NULL for an empty value as well. */
        if (len > 0 || sqlite3_errcode(query->connection->db) == SQLITE_NOMEM) {
            (void)err_no_memory(err);
            return NULL;
        }
        bytes = "";
    }
    *ret_len = len;
    return bytes;
}

int64_t query_number(struct query *query, int column) {
    return sqlite3_column_int64(query->statement, column);
}

void query_end(struct query *query) {
    if (query->statement != NULL) {
        /* The step's failure was reported by the step. */
        (void)sqlite3_reset(query->statement);
        (void)sqlite3_clear_bindings(query->statement);
    }
    query->statement = NULL;
}

int query_run(struct query *query, const char *action, struct err *err) {
    int stepped = query_step(query, action, err);
    query_end(query);
    return stepped < 0 ? -1 : 0;
}

int query_simple(struct connection *connection, enum query_id id, const char *action, struct err *err) {
    struct query query;
    query_begin(&query, connection, id);
    return query_run(&query, action, err);
}
