/* The write-ahead log as a file: its tail after a failed commit, and what of it is damage. */
#ifndef BGPPEERD_STORE_SQLITE_WAL_H
#define BGPPEERD_STORE_SQLITE_WAL_H

#include <stdbool.h>

#include "sqlite_connection.h"

/*
 * Make sure that what a failed commit left behind the last committed frame of the log can never be
 * recovered as a transaction. The connection must be the only writer and outside of a transaction.
 */
int wal_discard_tail(struct connection *writer, struct err *err) MUST_CHECK;

/* Does the log of the database file `database`, which nobody has open, hold acknowledged transactions behind
 * a damaged place? A missing log does not. Changes nothing. */
int wal_scan(const char *database, bool *ret_damaged, struct err *err) MUST_CHECK;
/*
 * Put what the log of the database file `database` holds, up to its last good commit, into *image, which
 * holds the
 * `*len` bytes of that file, in memory of sqlite3_malloc64. Both may be replaced. Changes no file.
 */
int wal_apply(const char *database, unsigned char **image, size_t *len, struct err *err) MUST_CHECK;
/* The size of a log with so many frames. */
int64_t wal_size(unsigned long frames, int64_t page_size);
/* What a killed process had written but not synced was read at this start; from here on it is on disk. */
int wal_sync(const char *database, struct err *err) MUST_CHECK;

#endif
