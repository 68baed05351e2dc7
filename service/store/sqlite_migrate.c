/*
 * Schema migrations. Table `migration` records what was run, with the checksum of its text; user_version
 * repeats the number of the last one in the file's header, where it can be read without SQLite.
 *
 * No state, no locks: start-up is single-threaded and holds the data directory's lock.
 */
#include "sqlite_migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

int migrate_refuse_newer(const char *path, int64_t version, struct err *err) {
    return err_set(
        err, ERR_CORRUPT,
        "the database %s was written by a newer bgppeerd (its schema is version %" PRId64
        ", this program knows versions up to %zu); start that version or a later one, or restore a "
        "backup made with this one; nothing was changed",
        path, version, migration_count);
}

/* One recorded row against the embedded migration with its place. */
static int verify_row(struct connection *connection, sqlite3_stmt *row, unsigned place, struct err *err) {
    int64_t number = sqlite3_column_int64(row, 0);
    const char *name = (const char *)sqlite3_column_text(row, 1);
    const char *checksum = (const char *)sqlite3_column_text(row, 2);
    if (name == NULL || checksum == NULL) {
        return err_no_memory(err);
    }
    if (number > (int64_t)migration_count) {
        return migrate_refuse_newer(connection->path, number, err);
    }
    const struct migration *known = &migrations[place - 1];
    if (number != (int64_t)place) {
        return err_set(err, ERR_CORRUPT,
                       "the database %s has a record of migration %" PRId64
                       " where number %u belongs; it was "
                       "altered by hand or damaged; restore the newest backup; nothing was changed",
                       connection->path, number, place);
    }
    if (strcmp(name, known->name) != 0 || strcmp(checksum, known->checksum) != 0) {
        return err_set(
            err, ERR_CORRUPT,
            "the database %s was set up by a different migration %04u-%s than this program's "
            "%04u-%s (SHA-256 %.16s… instead of %.16s…); start the version that wrote it, or restore "
            "a backup; nothing was changed",
            connection->path, place, name, place, known->name, checksum, known->checksum);
    }
    return 0;
}

int migrate_verify(struct connection *connection, unsigned *ret_applied, struct err *err) {
    int64_t version = 0;
    if (connection_number(connection, "PRAGMA user_version", &version, err) < 0) {
        return -1;
    }
    if (version > (int64_t)migration_count) {
        return migrate_refuse_newer(connection->path, version, err);
    }
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_prepare_v2(
        connection->db, "SELECT number, name, checksum FROM migration ORDER BY number", -1, &rows, NULL);
    if (code == SQLITE_ERROR) {
        return err_set(
            err, ERR_CORRUPT,
            "the database %s has no record of its schema (%s); it is damaged or not complete; restore "
            "the newest backup; nothing was changed",
            connection->path, sqlite3_errmsg(connection->db));
    }
    unsigned applied = 0;
    int failed = 0;
    while (failed == 0 && code != SQLITE_DONE) {
        code = code == SQLITE_OK || code == SQLITE_ROW ? sqlite3_step(rows) : code;
        if (code == SQLITE_ROW) {
            failed = verify_row(connection, rows, ++applied, err);
        } else if (code != SQLITE_DONE) {
            failed = connection_fail(connection, code, "read the schema's history", err);
        }
    }
    (void)sqlite3_finalize(rows);
    if (failed == 0 && (applied == 0 || (int64_t)applied != version)) {
        failed =
            err_set(err, ERR_CORRUPT,
                    "the database %s says its schema is version %" PRId64 " but has a record of %u "
                    "migrations; it was altered by hand or damaged; restore the newest backup; nothing was "
                    "changed",
                    connection->path, version, applied);
    }
    if (failed == 0) {
        *ret_applied = applied;
    }
    return failed;
}

static int record(struct connection *connection, const struct migration *migration, struct err *err) {
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(connection->db,
                                  "INSERT INTO migration (number, name, checksum, applied_at)"
                                  " VALUES (?1, ?2, ?3, ?4)",
                                  -1, &insert, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(insert, 1, (sqlite3_int64)migration->number);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(insert, 2, migration->name, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(insert, 3, migration->checksum, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(insert, 4, clock_realtime_ms());
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(insert);
    }
    (void)sqlite3_finalize(insert);
    if (code != SQLITE_DONE) {
        return connection_fail(connection, code, "record a migration", err);
    }
    /* Pragmas take no parameters. */
    char sql[96];
    if (migration->number == 1) {
        (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = 1",
                       STORE_APPLICATION_ID);
    } else {
        (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %u", migration->number);
    }
    return connection_exec(connection, sql, "record a migration", err);
}

static int run_one(struct connection *connection, const struct migration *migration, struct err *err) {
    const char *action = "migrate the database";
    if (connection_exec(connection, "BEGIN IMMEDIATE", action, err) < 0) {
        return -1;
    }
    if (connection_exec(connection, migration->sql, action, err) < 0 ||
        record(connection, migration, err) < 0 || connection_exec(connection, "COMMIT", action, err) < 0) {
        if (sqlite3_get_autocommit(connection->db) == 0) {
            struct err ignored = ERR_INIT;
            (void)!connection_exec(connection, "ROLLBACK", action, &ignored);
        }
        return err_wrap(err, "migration %04u-%s", migration->number, migration->name);
    }
    return 0;
}

int migrate_run(struct connection *connection, unsigned applied, struct err *err) {
    for (size_t i = applied; i < migration_count; i++) {
        if (run_one(connection, &migrations[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}
