/*
 * Failures on request below SQLite: of file calls, by a VFS in front of its own, and of its allocations.
 * Process-wide; the test sets them while no other thread uses SQLite.
 */
#ifndef BGPPEERD_TESTS_FAULT_FAULT_SQLITE_H
#define BGPPEERD_TESTS_FAULT_FAULT_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>

enum {
    FAULT_WRITE = 1,
    FAULT_SYNC = 2,
    FAULT_TRUNCATE = 4,
    FAULT_INDEX = 8, /* mapping the log's index */
    FAULT_READ = 16,
    FAULT_OPEN = 32,
    FAULT_CHANGES = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE | FAULT_INDEX,
};

struct fault {
    long countdown; /* calls that still succeed */
    int calls;      /* which calls count */
    int files;      /* SQLITE_OPEN_* types of the files that count, 0 = all */
    int code;       /* SQLite's, 0 = off */
    int error;      /* errno behind it */
    bool lasting;   /* fails from then on, not once */
    bool half;      /* a failing write writes half of its bytes */
    bool late;      /* a failing sync comes after the data got to the disk */
    int failures;
};

/* Zeroed: nothing fails. */
extern struct fault fault;

/* SQLite's allocations that still succeed before one fails, once; negative: none fails. */
extern long fault_memory_countdown;
/* Has that failure happened? Cleared by the test. */
extern bool fault_memory_failed;

/* Before any other use of SQLite. -1: SQLite does not let itself be failed. */
int fault_install(void);

#endif
