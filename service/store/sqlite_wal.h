/* The tail of the write-ahead log after a failed commit. */
#ifndef BGPPEERD_STORE_SQLITE_WAL_H
#define BGPPEERD_STORE_SQLITE_WAL_H

#include "sqlite_connection.h"

/*
 * Make sure that what a failed commit left behind the last committed frame of the log can never be
 * recovered as a transaction. The connection must be the only writer and outside of a transaction.
 */
int wal_discard_tail(struct connection *writer, struct err *err) MUST_CHECK;

#endif
