/* SQL on the database of a closed store, behind its back. */
#ifndef BGPPEERD_TESTS_STORE_SQL_H
#define BGPPEERD_TESTS_STORE_SQL_H

#include <stdbool.h>

/* `leave_log` keeps what it wrote in the log, as a crash does. A failure is the test's. */
void run_sql(const char *dir, const char *sql, bool leave_log);

#endif
