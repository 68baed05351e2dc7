/* Which migrations a database has had, whether they are ours, and running the ones it lacks. */
#ifndef BGPPEERD_STORE_SQLITE_MIGRATE_H
#define BGPPEERD_STORE_SQLITE_MIGRATE_H

#include "migrations.h"
#include "sqlite_connection.h"

/* Compare the recorded migrations with the embedded ones. ERR_CORRUPT: newer, changed or inconsistent. Writes
 * nothing. *ret_applied: how many the database has. */
int migrate_verify(struct connection *connection, unsigned *ret_applied, struct err *err) MUST_CHECK;
/* Run those after the first `applied`, each in its own transaction. 0: an empty file, which also becomes ours
 * by its application_id. */
int migrate_run(struct connection *connection, unsigned applied, struct err *err) MUST_CHECK;
/* The refusal for a database of schema `version`, which we do not know; always -1. */
int migrate_refuse_newer(const char *path, int64_t version, struct err *err);

#endif
