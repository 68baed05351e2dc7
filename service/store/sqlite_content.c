/*
 * The sum of all objects: table meta keeps the sum of the digests of the rows of table object, modulo 2^64.
 * Each write adds what it puts in and takes away what it replaces, so it costs as much for a large fleet as
 * for a small one. SQLite has no checksums of its own in its database file: a bit that has changed on the
 * disk, a page of an older copy, a row that is gone are known by this sum.
 *
 * Pure but for the connection; no locks.
 */
#include <string.h>

#include "base/random.h"
#include "sqlite_store.h"

uint64_t sqlite_object_digest(const char *kind, const char *name, uint64_t revision, const char *body,
                              size_t body_len) {
    unsigned char number[8];
    for (size_t i = 0; i < sizeof(number); i++) {
        number[i] = (unsigned char)(revision >> (8 * i));
    }
    uint64_t digest = digest_u64(0, kind, strlen(kind));
    digest = digest_u64(digest, name, strlen(name));
    digest = digest_u64(digest, number, sizeof(number));
    return digest_u64(digest, body, body_len);
}

static void content_step(sqlite3_context *context, int count, sqlite3_value **row) {
    (void)count;
    uint64_t *sum = sqlite3_aggregate_context(context, sizeof(*sum));
    const char *kind = (const char *)sqlite3_value_text(row[0]);
    const char *name = (const char *)sqlite3_value_text(row[1]);
    const char *body = (const char *)sqlite3_value_text(row[3]);
    if (sum == NULL || kind == NULL || name == NULL || body == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    *sum += sqlite_object_digest(kind, name, (uint64_t)sqlite3_value_int64(row[2]), body,
                                 (size_t)sqlite3_value_bytes(row[3]));
}

static void content_final(sqlite3_context *context) {
    const uint64_t *sum = sqlite3_aggregate_context(context, 0);
    sqlite3_result_int64(context, sum != NULL ? (sqlite3_int64)*sum : 0);
}

int sqlite_content_install(sqlite3 *db) {
    return sqlite3_create_function_v2(db, "content_sum", 4, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, NULL,
                                      content_step, content_final, NULL);
}

int sqlite_content_differs(const struct connection *connection, struct err *err) {
    return err_set(
        err, ERR_CORRUPT,
        "the objects in the database %s are not those that were written: the file is damaged or was "
        "altered; keep a copy of it and restore the newest backup (bgppeerd restore FILE), or start with "
        "--accept-rollback to go on with what it holds; nothing was changed",
        connection->path);
}

int sqlite_content_sum(struct connection *connection, uint64_t *ret, struct err *err) {
    int64_t sum = 0;
    if (connection_number(connection, "SELECT content_sum(kind, name, revision, body) FROM object", &sum,
                          err) != 0) {
        return -1;
    }
    *ret = (uint64_t)sum;
    return 0;
}
