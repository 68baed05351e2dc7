/*
 * Versions of lists in the SQLite store: table given. Written with the committing thread's transactions, read
 * by the reader's connection under its lock, trimmed with the change log (sqlite_past.c).
 */
#include "sqlite_store.h"

static const char *const given_action = "keep the versions of lists";

int sqlite_write_given(struct connection *writer, const struct store_given *given, struct err *err) {
    struct query query;
    query_begin(&query, writer, QUERY_GIVEN_ADD);
    query_bind_text(&query, 1, given->node);
    query_bind_number(&query, 2, (int64_t)given->revision);
    query_bind_text(&query, 3, given->etag);
    query_bind_number(&query, 4, given->time_ms);
    query_bind_number(&query, 5, given->node_ms);
    return query_run(&query, given_action, err);
}

static int pass_given(struct query *query,
                      int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                      struct err *err) {
    struct store_given given = {.revision = (uint64_t)query_number(query, 1),
                                .time_ms = query_number(query, 3),
                                .node_ms = query_number(query, 4)};
    given.node = query_text(query, 0, NULL, err);
    given.etag = given.node != NULL ? query_text(query, 2, NULL, err) : NULL;
    return given.etag == NULL ? -1 : row(arg, &given, err);
}

int sqlite_store_read_given(struct store *base, const struct store_given_query *wanted,
                            int (*row)(void *arg, const struct store_given *given, struct err *err),
                            void *arg, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct query query;
    if (sqlite_read_begin(store, err) != 0) {
        return -1;
    }
    query_begin(&query, &store->reader, wanted->node != NULL ? QUERY_GIVEN : QUERY_GIVEN_NEWEST);
    if (wanted->node != NULL) {
        bool unlimited = wanted->below == 0 || wanted->below > INT64_MAX;
        query_bind_text(&query, 1, wanted->node);
        query_bind_number(&query, 2, unlimited ? INT64_MAX : (int64_t)wanted->below);
        query_bind_number(&query, 3,
                          wanted->limit == 0 || wanted->limit > INT64_MAX ? -1 : (int64_t)wanted->limit);
    }
    int stepped;
    while ((stepped = query_step(&query, given_action, err)) == 1) {
        if (pass_given(&query, row, arg, err) != 0) {
            stepped = -1;
            break;
        }
    }
    query_end(&query);
    sqlite_read_end(store);
    return stepped;
}

static int trim(struct connection *writer, enum query_id id, uint64_t after, uint64_t upto, struct err *err) {
    struct query query;
    query_begin(&query, writer, id);
    query_bind_number(&query, 1, (int64_t)after);
    query_bind_number(&query, 2, (int64_t)upto);
    return query_run(&query, given_action, err);
}

int sqlite_trim_given(struct connection *writer, uint64_t after, uint64_t upto, struct err *err) {
    return trim(writer, QUERY_GIVEN_ORPHANS, after, upto, err) != 0
               ? -1
               : trim(writer, QUERY_GIVEN_REPLACED, after, upto, err);
}

int sqlite_count_given(struct connection *connection, uint64_t *ret, struct err *err) {
    struct query query;
    query_begin(&query, connection, QUERY_GIVEN_COUNT);
    int stepped = query_step(&query, given_action, err);
    uint64_t count = stepped == 1 ? (uint64_t)query_number(&query, 0) : 0;
    query_end(&query);
    if (stepped < 0) {
        return -1;
    }
    *ret = count;
    return 0;
}

int sqlite_shrink_given(struct connection *writer, uint64_t rows, uint64_t *ret_dropped, struct err *err) {
    struct query query;
    query_begin(&query, writer, QUERY_GIVEN_EXCESS);
    query_bind_number(&query, 1, (int64_t)rows);
    if (query_run(&query, given_action, err) != 0) {
        return -1;
    }
    *ret_dropped = (uint64_t)sqlite3_changes(writer->db);
    return 0;
}
