/*
 * The past of the SQLite store: the change log read as history, and what is dropped of it.
 *
 * Table change holds, behind meta.past, every change; and of each object its newest change up to meta.past,
 * so that the state at any revision from meta.past on can be told. Dropping moves meta.past forward and takes
 * away what that makes superfluous. Revisions that a restore has taken back are in table lost.
 *
 * Reading uses the reader's connection under its lock, as sqlite_read.c; compacting the writer's, as
 * sqlite_write.c.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "sqlite_store.h"

/* Rows by which one store_compact moves on, and versions of lists that it drops: some milliseconds. */
#define COMPACT_ROWS_MAX  1000
#define COMPACT_GIVEN_MAX 10000

static const char *const history_action = "read the change log";
static const char *const compact_action = "compact the change log";

/* ---- reading ---- */

int sqlite_store_read_history(struct store *base, const struct store_history_query *wanted,
                              int (*row)(void *arg, const struct store_change *change, struct err *err),
                              void *arg, struct err *err) {
    static const enum query_id ids[2][2] = {{QUERY_HISTORY_NEWEST, QUERY_HISTORY},
                                            {QUERY_HISTORY_OF_NEWEST, QUERY_HISTORY_OF}};
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_meta meta;
    if (sqlite_read_begin(store, err) != 0) {
        return -1;
    }
    int stepped = sqlite_read_meta(&store->reader, &meta, err);
    if (stepped == 0) {
        bool of_one = wanted->kind != NULL && wanted->name != NULL;
        uint64_t after = wanted->after > meta.past ? wanted->after : meta.past;
        uint64_t below = wanted->below > INT64_MAX || wanted->below == 0 ? INT64_MAX : wanted->below;
        struct query query;
        query_begin(&query, &store->reader, ids[of_one][wanted->oldest_first]);
        query_bind_number(&query, 1, after > INT64_MAX ? INT64_MAX : (int64_t)after);
        query_bind_number(&query, 2, (int64_t)below);
        query_bind_number(&query, 3,
                          wanted->limit == 0 || wanted->limit > INT64_MAX ? -1 : (int64_t)wanted->limit);
        query_bind_text(&query, 4, wanted->kind != NULL ? wanted->kind : "");
        if (of_one) {
            query_bind_text(&query, 5, wanted->name);
        }
        while ((stepped = query_step(&query, history_action, err)) == 1) {
            struct store_change change;
            if (sqlite_read_change(&query, 0, &change, err) != 0 || row(arg, &change, err) != 0) {
                stepped = -1;
                break;
            }
        }
        query_end(&query);
    }
    sqlite_read_end(store);
    return stepped;
}

static int err_forgotten(const struct store_meta *meta, struct err *err) {
    char time[CLOCK_TEXT_MAX] = "";
    if (meta->past_ms != 0) {
        clock_format_millis(meta->past_ms, time);
    }
    return err_set(err, ERR_EXPIRED, "the oldest revision that is still known is %" PRIu64 "%s%s%s",
                   meta->past, time[0] != '\0' ? " (of " : "", time, time[0] != '\0' ? ")" : "");
}

/* *ret_upto: the last of the lost revisions that this one is among; 0 = it is not. */
static int find_lost(struct connection *reader, uint64_t revision, uint64_t *ret_upto, int64_t *ret_until_ms,
                     struct err *err) {
    struct query query;
    query_begin(&query, reader, QUERY_LOST_AT);
    query_bind_number(&query, 1, (int64_t)revision);
    int stepped = query_step(&query, history_action, err);
    *ret_upto = stepped == 1 ? (uint64_t)query_number(&query, 0) : 0;
    *ret_until_ms = stepped == 1 ? query_number(&query, 1) : 0;
    query_end(&query);
    return stepped < 0 ? -1 : 0;
}

static int err_lost(uint64_t upto, int64_t until_ms, struct err *err) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(until_ms, time);
    return err_set(
        err, ERR_EXPIRED,
        "what the fleet was then is lost: a backup was restored at %s; it went on with revision %" PRIu64,
        time, upto + 1);
}

/* Is the state at `revision` known? */
static int check_known(struct connection *reader, uint64_t revision, struct err *err) {
    struct store_meta meta;
    uint64_t upto;
    int64_t until_ms;
    if (sqlite_read_meta(reader, &meta, err) != 0) {
        return -1;
    }
    if (revision < meta.past) {
        return err_forgotten(&meta, err);
    }
    if (revision > meta.revision) {
        return err_set(err, ERR_INTERNAL, "revision %" PRIu64 " is not there yet, the newest is %" PRIu64,
                       revision, meta.revision);
    }
    return find_lost(reader, revision, &upto, &until_ms, err) != 0 ? -1
           : upto != 0                                             ? err_lost(upto, until_ms, err)
                                                                   : 0;
}

/* The columns are the object's kind and name, then those of its change, all NULL when there is none. */
static int pass_past(struct query *query,
                     int (*row)(void *arg, const char *kind, const char *name,
                                const struct store_change *change, struct err *err),
                     void *arg, struct err *err) {
    struct store_change change;
    const char *kind = query_text(query, 0, NULL, err);
    const char *name = kind != NULL ? query_text(query, 1, NULL, err) : NULL;
    if (name == NULL) {
        return -1;
    }
    uint64_t revision = (uint64_t)query_number(query, 2);
    if (revision == 0 || query_number(query, 3) == STORE_DELETE) {
        return row(arg, kind, name, NULL, err);
    }
    return sqlite_read_change(query, 2, &change, err) != 0 ? -1 : row(arg, kind, name, &change, err);
}

int sqlite_store_read_past(struct store *base, uint64_t revision, uint64_t upto,
                           int (*row)(void *arg, const char *kind, const char *name,
                                      const struct store_change *change, struct err *err),
                           void *arg, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (sqlite_read_begin(store, err) != 0) {
        return -1;
    }
    int stepped = check_known(&store->reader, revision, err);
    if (stepped == 0) {
        struct query query;
        query_begin(&query, &store->reader, QUERY_PAST);
        query_bind_number(&query, 1, (int64_t)revision);
        query_bind_number(&query, 2, upto > INT64_MAX ? INT64_MAX : (int64_t)upto);
        while ((stepped = query_step(&query, history_action, err)) == 1) {
            if (pass_past(&query, row, arg, err) != 0) {
                stepped = -1;
                break;
            }
        }
        query_end(&query);
    }
    sqlite_read_end(store);
    return stepped;
}

/* The first change behind `after`; *ret_revision 0: there is none. */
static int next_change(struct connection *reader, uint64_t after, uint64_t *ret_revision,
                       int64_t *ret_time_ms, struct err *err) {
    struct query query;
    query_begin(&query, reader, QUERY_CHANGE_TIME);
    query_bind_number(&query, 1, (int64_t)after);
    int stepped = query_step(&query, history_action, err);
    *ret_revision = stepped == 1 ? (uint64_t)query_number(&query, 0) : 0;
    *ret_time_ms = stepped == 1 ? query_number(&query, 1) : 0;
    query_end(&query);
    return stepped < 0 ? -1 : 0;
}

/* Bisection: `low` was committed by then (or is where the past begins), nothing of `high` and behind it was.
 */
static int bisect(struct connection *reader, int64_t time_ms, uint64_t low, uint64_t high, uint64_t *ret,
                  struct err *err) {
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t found;
        int64_t found_ms;
        if (next_change(reader, middle - 1, &found, &found_ms, err) != 0) {
            return -1;
        }
        if (found == 0 || found >= high || found_ms > time_ms) {
            high = middle;
        } else {
            low = found;
        }
    }
    *ret = low;
    return 0;
}

static int find_time(struct connection *reader, int64_t time_ms, uint64_t *ret, struct err *err) {
    struct store_meta meta;
    uint64_t upto;
    int64_t until_ms;
    uint64_t revision;
    if (sqlite_read_meta(reader, &meta, err) != 0) {
        return -1;
    }
    if (meta.past != 0 && time_ms < meta.past_ms) {
        return err_forgotten(&meta, err);
    }
    if (bisect(reader, time_ms, meta.past, meta.revision + 1, &revision, err) != 0) {
        return -1;
    }
    /* A restore behind it: the time is that of what it has taken back, or of what it has brought. */
    for (;;) {
        if (find_lost(reader, revision + 1, &upto, &until_ms, err) != 0) {
            return -1;
        }
        if (upto == 0) {
            *ret = revision;
            return 0;
        }
        if (time_ms < until_ms) {
            return err_lost(upto, until_ms, err);
        }
        revision = upto + 1;
    }
}

int sqlite_store_find_time(struct store *base, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (sqlite_read_begin(store, err) != 0) {
        return -1;
    }
    int failed = find_time(&store->reader, time_ms, ret_revision, err);
    sqlite_read_end(store);
    return failed;
}

/* ---- dropping ---- */

/* How far the past can be moved forward in one step. */
struct step {
    uint64_t past;
    int64_t past_ms;
    uint64_t rows;
    uint64_t bytes;
    uint64_t given; /* versions of lists among them */
};

static bool is_due(const struct store_meta *meta, const struct store_keep *keep, const struct step *step,
                   int64_t time_ms) {
    return meta->change_rows - step->rows > keep->changes &&
           (time_ms < keep->since_ms || meta->change_bytes - step->bytes > keep->bytes);
}

/* *ret_more: the step ends only for its length. */
static int measure(struct connection *writer, const struct store_meta *meta, const struct store_keep *keep,
                   struct step *ret, bool *ret_more, struct err *err) {
    struct query query;
    int stepped;
    *ret = (struct step){.past = meta->past, .past_ms = meta->past_ms};
    *ret_more = false;
    query_begin(&query, writer, QUERY_CHANGES_OLDEST);
    query_bind_number(&query, 1, (int64_t)meta->past);
    query_bind_number(&query, 2, COMPACT_ROWS_MAX + 1);
    while ((stepped = query_step(&query, compact_action, err)) == 1) {
        int64_t time_ms = query_number(&query, 1);
        if (!is_due(meta, keep, ret, time_ms)) {
            break;
        }
        uint64_t given = (uint64_t)query_number(&query, 3);
        if (ret->rows == COMPACT_ROWS_MAX || (ret->rows > 0 && ret->given + given > COMPACT_GIVEN_MAX)) {
            *ret_more = true;
            break;
        }
        ret->past = (uint64_t)query_number(&query, 0);
        ret->past_ms = time_ms;
        ret->rows++;
        ret->given += given;
        ret->bytes += STORE_CHANGE_BYTES + (uint64_t)query_number(&query, 2);
    }
    query_end(&query);
    return stepped < 0 ? -1 : 0;
}

static int drop(struct connection *writer, enum query_id id, uint64_t after, uint64_t upto, struct err *err) {
    struct query query;
    query_begin(&query, writer, id);
    query_bind_number(&query, 1, (int64_t)after);
    query_bind_number(&query, 2, (int64_t)upto);
    return query_run(&query, compact_action, err);
}

static int move_on(struct connection *writer, const struct step *step, struct store_meta *meta,
                   struct err *err) {
    if (sqlite_trim_given(writer, meta->past, step->past, err) != 0 ||
        drop(writer, QUERY_CHANGES_REPLACED, meta->past, step->past, err) != 0 ||
        drop(writer, QUERY_CHANGES_DELETED, meta->past, step->past, err) != 0) {
        return -1;
    }
    meta->past = step->past;
    meta->past_ms = step->past_ms;
    meta->change_rows -= step->rows;
    meta->change_bytes -= step->bytes;
    meta->compacted = meta->compacted > step->past ? meta->compacted : step->past;
    return 0;
}

/* Versions of lists have a bound of their own: a change of everything has many, however few changes are kept.
 * *ret_dropped: how many are gone; *ret_more: there are more to go. */
static int shrink(struct connection *writer, const struct store_keep *keep, uint64_t *ret_dropped,
                  bool *ret_more, struct err *err) {
    uint64_t count;
    uint64_t most = keep->bytes / 2 / STORE_GIVEN_BYTES;
    *ret_dropped = 0;
    if (sqlite_count_given(writer, &count, err) != 0) {
        return -1;
    }
    uint64_t excess = count > most ? count - most : 0;
    uint64_t wanted = excess < COMPACT_GIVEN_MAX ? excess : COMPACT_GIVEN_MAX;
    if (excess > 0 && sqlite_shrink_given(writer, wanted, ret_dropped, err) != 0) {
        return -1;
    }
    *ret_more = *ret_more || (excess > wanted && *ret_dropped == wanted);
    return 0;
}

int sqlite_store_compact(struct store *base, const struct store_keep *keep, bool *ret_more,
                         uint64_t *ret_compacted, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_meta meta;
    struct step step;
    uint64_t dropped;
    bool more;
    if (sqlite_write_begin(store, &meta, err) != 0 ||
        measure(&store->writer, &meta, keep, &step, &more, err) != 0 ||
        (step.rows > 0 && move_on(&store->writer, &step, &meta, err) != 0) ||
        shrink(&store->writer, keep, &dropped, &more, err) != 0) {
        sqlite_write_undo(store);
        return -1;
    }
    if (step.rows == 0 && dropped == 0) {
        sqlite_write_undo(store); /* nothing was written: the end of a read */
    } else if (sqlite_write_end(store, &meta, compact_action, err) != 0) {
        return -1;
    }
    *ret_more = more;
    *ret_compacted = meta.compacted;
    return 0;
}

/* ---- restores ---- */

int sqlite_add_lost(struct connection *writer, uint64_t after, uint64_t upto, int64_t until_ms,
                    struct err *err) {
    struct query query;
    query_begin(&query, writer, QUERY_LOST_ADD);
    query_bind_number(&query, 1, (int64_t)after);
    query_bind_number(&query, 2, (int64_t)upto);
    query_bind_number(&query, 3, until_ms);
    return query_run(&query, "note what a restore has taken back", err);
}

int sqlite_past_begin_anew(struct connection *writer, struct store_meta *meta, struct err *err) {
    meta->past = meta->revision;
    meta->past_ms = clock_realtime_ms();
    meta->change_rows = 0;
    meta->change_bytes = 0;
    /* OR IGNORE: where the objects were altered by hand, two may have one revision. */
    return connection_exec(
        writer,
        "DELETE FROM change; DELETE FROM lost; DELETE FROM given;"
        "INSERT OR IGNORE INTO change (revision, op, kind, name, time_ms, actor, body, txn)"
        " SELECT revision, 2, kind, name, 0, '', body, revision FROM object",
        "begin a new past in the database", err);
}
