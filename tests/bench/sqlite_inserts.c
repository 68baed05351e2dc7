/*
 * The other measuring stick for writes: SQLite alone, with the service's schema and settings, writing what
 * the service writes for a created object (the row, its entries in the change log and in the audit trail, the
 * newest revision) in
 * transactions of a given number of objects, each on disk before the next one begins.
 *
 *     sqlite_inserts DIRECTORY SCHEMA-FILE BODY-FILE BATCH SECONDS
 *
 * Makes bench.db in the directory. Prints one JSON object: rows, rows per second, commit latency percentiles
 * in microseconds. One thread; everything lives as long as the process.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES_MAX (1024 * 1024)

static sqlite3 *db;

static void check(int code) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) {
        fprintf(stderr, "sqlite_inserts: %s\n", db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
        exit(1);
    }
}

static char *read_file(const char *name) {
    FILE *file = fopen(name, "r");
    char *text = calloc(1, 1024 * 1024);
    if (file == NULL || text == NULL || fread(text, 1, 1024 * 1024 - 1, file) == 0) {
        fprintf(stderr, "sqlite_inserts: cannot read %s\n", name);
        exit(1);
    }
    fclose(file);
    return text;
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement = NULL;
    check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL));
    return statement;
}

static void run(sqlite3_stmt *statement) {
    check(sqlite3_step(statement));
    check(sqlite3_reset(statement));
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void insert(sqlite3_stmt *object, sqlite3_stmt *change, sqlite3_stmt *audit, int64_t revision,
                   const char *body) {
    char name[32];
    char entry[256];
    snprintf(name, sizeof(name), "peer-%06lld", (long long)revision);
    check(sqlite3_bind_text(object, 1, "BGPPeer", -1, SQLITE_STATIC));
    check(sqlite3_bind_text(object, 2, name, -1, SQLITE_STATIC));
    check(sqlite3_bind_int64(object, 3, revision));
    check(sqlite3_bind_text(object, 4, body, -1, SQLITE_STATIC));
    run(object);
    check(sqlite3_bind_int64(change, 1, revision));
    check(sqlite3_bind_text(change, 2, name, -1, SQLITE_STATIC));
    check(sqlite3_bind_int64(change, 3, (int64_t)time(NULL) * 1000));
    check(sqlite3_bind_text(change, 4, body, -1, SQLITE_STATIC));
    run(change);
    snprintf(entry, sizeof(entry),
             "{\"event\":\"write\",\"user\":\"token:0123456789abcdef\",\"source\":\"127.0.0.1:40000\","
             "\"verb\":\"create\",\"resource\":\"bgppeers\",\"name\":\"%s\",\"after\":\"%lld\","
             "\"requestID\":\"0123456789abcdef\"}",
             name, (long long)revision);
    check(sqlite3_bind_int64(audit, 1, revision));
    check(sqlite3_bind_int64(audit, 2, (int64_t)time(NULL) * 1000));
    check(sqlite3_bind_text(audit, 3, entry, -1, SQLITE_STATIC));
    run(audit);
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static uint32_t samples[SAMPLES_MAX];
    char path[4096];
    if (argc != 6) {
        fputs("usage: sqlite_inserts DIRECTORY SCHEMA-FILE BODY-FILE BATCH SECONDS\n", stderr);
        return 2;
    }
    const char *body = read_file(argv[3]);
    long batch = strtol(argv[4], NULL, 10);
    snprintf(path, sizeof(path), "%s/bench.db", argv[1]);
    check(sqlite3_open(path, &db));
    check(sqlite3_exec(db,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                       "PRAGMA secure_delete = ON;",
                       NULL, NULL, NULL));
    check(sqlite3_exec(db, read_file(argv[2]), NULL, NULL, NULL));
    sqlite3_stmt *begin = prepare("BEGIN IMMEDIATE");
    sqlite3_stmt *commit = prepare("COMMIT");
    sqlite3_stmt *object = prepare("INSERT INTO object (kind, name, revision, body) VALUES (?1, ?2, ?3, ?4)");
    sqlite3_stmt *change = prepare("INSERT INTO change (revision, op, kind, name, time_ms, actor, body)"
                                   " VALUES (?1, 1, 'BGPPeer', ?2, ?3, 'bench', ?4)");
    sqlite3_stmt *audit = prepare("INSERT INTO audit (sequence, time_ms, entry) VALUES (?1, ?2, ?3)");
    sqlite3_stmt *meta =
        prepare("UPDATE meta SET revision = ?1, change_rows = change_rows + ?2 WHERE id = 1");
    int64_t start = now_ns();
    int64_t end = start + (int64_t)(strtod(argv[5], NULL) * 1e9);
    int64_t before = start;
    int64_t revision = 0;
    size_t count = 0;
    while (before < end && count < SAMPLES_MAX) {
        run(begin);
        for (long i = 0; i < batch; i++) {
            insert(object, change, audit, ++revision, body);
        }
        check(sqlite3_bind_int64(meta, 1, revision));
        check(sqlite3_bind_int64(meta, 2, batch));
        run(meta);
        run(commit);
        int64_t now = now_ns();
        samples[count++] = (uint32_t)((now - before) / 1000);
        before = now;
    }
    double elapsed = (double)(before - start) / 1e9;
    qsort(samples, count, sizeof(samples[0]), compare);
    printf("{\"answers\": %lld, \"per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n", (long long)revision,
           (double)revision / elapsed, samples[count / 2], samples[(size_t)(0.99 * (double)(count - 1))]);
    return 0;
}
