/*
 * What sessions did, in the SQLite store: rows are added by commits, read from the newest one on, and dropped
 * from the oldest one on.
 *
 * Writing runs on the committing thread, on the writer's connection; reading under the reader's lock.
 */
#include <string.h>

#include "sqlite_store.h"

int sqlite_write_transition(struct connection *writer, const struct store_transition *row, const char *action,
                            struct err *err) {
    struct query query;
    query_begin(&query, writer, QUERY_TRANSITION_ADD);
    query_bind_number(&query, 1, (int64_t)row->sequence);
    query_bind_number(&query, 2, row->time_ms);
    query_bind_text(&query, 3, row->node);
    query_bind_text(&query, 4, row->peer);
    query_bind_number(&query, 5, row->port);
    query_bind_text(&query, 6, row->remote);
    query_bind_text(&query, 7, row->was);
    query_bind_text(&query, 8, row->became);
    query_bind_number(&query, 9, row->folded);
    query_bind_text(&query, 10, row->message);
    return query_run(&query, action, err);
}

static int read_row(struct query *query, struct store_transition *ret, struct err *err) {
    static const int COLUMNS[] = {2, 3, 5, 6, 7, 9};
    const char *texts[sizeof(COLUMNS) / sizeof(COLUMNS[0])];
    for (size_t i = 0; i < sizeof(COLUMNS) / sizeof(COLUMNS[0]); i++) {
        size_t len = 0;
        texts[i] = query_text(query, COLUMNS[i], &len, err);
        if (texts[i] == NULL) {
            return -1;
        }
    }
    *ret = (struct store_transition){.sequence = (uint64_t)query_number(query, 0),
                                     .time_ms = query_number(query, 1),
                                     .node = texts[0],
                                     .peer = texts[1],
                                     .port = (uint16_t)query_number(query, 4),
                                     .remote = texts[2],
                                     .was = texts[3],
                                     .became = texts[4],
                                     .folded = (uint32_t)query_number(query, 8),
                                     .message = texts[5]};
    return 0;
}

static int read_rows(struct sqlite_store *store, uint64_t below, size_t limit,
                     int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                     void *arg, struct err *err) {
    const char *action = "read what sessions did";
    struct query query;
    query_begin(&query, &store->reader, QUERY_TRANSITIONS);
    query_bind_number(&query, 1, below == 0 || below > INT64_MAX ? INT64_MAX : (int64_t)below);
    query_bind_number(&query, 2, limit == 0 ? -1 : (int64_t)limit);
    int stepped = query_step(&query, action, err);
    while (stepped == 1) {
        struct store_transition transition;
        stepped = read_row(&query, &transition, err) < 0 || row(arg, &transition, err) < 0
                      ? -1
                      : query_step(&query, action, err);
    }
    query_end(&query);
    return stepped < 0 ? -1 : 0;
}

int sqlite_store_read_transitions(struct store *base, uint64_t below, size_t limit,
                                  int (*row)(void *arg, const struct store_transition *transition,
                                             struct err *err),
                                  void *arg, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (sqlite_read_begin(store, err) < 0) {
        return -1;
    }
    int failed = read_rows(store, below, limit, row, arg, err);
    sqlite_read_end(store);
    return failed;
}

int sqlite_store_trim_transitions(struct store *base, uint64_t upto, size_t max, bool *ret_more,
                                  struct err *err) {
    static const char *const action = "drop what sessions did long ago";
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_meta meta;
    if (sqlite_write_begin(store, &meta, err) < 0) {
        sqlite_write_undo(store);
        return -1;
    }
    struct query query;
    query_begin(&query, &store->writer, QUERY_TRANSITION_TRIM);
    query_bind_number(&query, 1, (int64_t)upto);
    query_bind_number(&query, 2, (int64_t)max);
    if (query_run(&query, action, err) < 0) {
        sqlite_write_undo(store);
        return -1;
    }
    *ret_more = (size_t)sqlite3_changes(store->writer.db) == max;
    return sqlite_write_end(store, &meta, action, err);
}
