/*
 * SQL behind a store's back; see store_sql.h. The store is closed meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "store_fixture.h"
#include "store_sql.h"

void run_sql(const char *dir, const char *sql, bool leave_log) {
    char path[PATH_TEXT_MAX];
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path_in(path, dir, "bgppeerd.db"), &db, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    if (leave_log) {
        assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    }
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
