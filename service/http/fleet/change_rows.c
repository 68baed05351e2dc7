/*
 * See change_rows.h. Nothing is kept; no locks.
 */
#include "fleet/change_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/moment.h"

const char *change_row_op(enum store_op op) {
    return op == STORE_CREATE ? "create" : op == STORE_UPDATE ? "update" : "delete";
}

void change_row_write(const struct change_row *row, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "kind", row->kind);
    buf_json_member_str(out, "name", row->name);
    buf_json_member_str(out, "op", change_row_op(row->op));
    buf_printf(out, ",\"revision\":\"%" PRIu64 "\"}", row->revision);
}

/* Rows being read. */
struct reading_rows {
    struct arena *arena;
    struct change_rows *rows;
    size_t cap;
    bool ended; /* the next change has begun */
};

static int rows_grow(struct reading_rows *reading, struct err *err) {
    struct change_rows *rows = reading->rows;
    if (rows->count < reading->cap) {
        return 0;
    }
    size_t cap = reading->cap == 0 ? 16 : 2 * reading->cap;
    struct change_row *items = arena_array(reading->arena, cap, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    if (rows->count > 0) {
        memcpy(items, rows->items, rows->count * sizeof(*items));
    }
    rows->items = items;
    reading->cap = cap;
    return 0;
}

static int rows_take(void *arg, const struct store_change *change, struct err *err) {
    struct reading_rows *reading = arg;
    struct change_rows *rows = reading->rows;
    if (change->txn != rows->head.txn || (rows->count == 0 && change->revision != rows->head.txn)) {
        reading->ended = true;
        return err_set(err, ERR_NOT_FOUND, "the end");
    }
    if (rows->count == CHANGE_ROWS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "the change has more than %d objects", CHANGE_ROWS_MAX);
    }
    if (rows_grow(reading, err) != 0) {
        return -1;
    }
    if (rows->count == 0) {
        rows->head.time_ms = change->time_ms;
        rows->head.actor = arena_strdup(reading->arena, change->actor);
        rows->head.request = arena_strdup(reading->arena, change->request);
        rows->head.reason = arena_strdup(reading->arena, change->reason);
    }
    rows->items[rows->count++] = (struct change_row){.op = change->op,
                                                     .kind = arena_strdup(reading->arena, change->kind),
                                                     .name = arena_strdup(reading->arena, change->name),
                                                     .revision = change->revision};
    rows->head.last = change->revision;
    return reading->arena->failed ? err_no_memory(err) : 0;
}

int change_rows_read(struct state *state, uint64_t txn, struct arena *arena, struct change_rows *ret,
                     struct err *err) {
    struct change_rows rows = {.head = {.txn = txn}};
    struct reading_rows reading = {.arena = arena, .rows = &rows};
    struct store_status status;
    if (state_store_status(state, &status, err) != 0) {
        return -1;
    }
    if (txn <= status.past) {
        char what[64];
        snprintf(what, sizeof(what), "change %" PRIu64, txn);
        return moment_gone(&status, what, err);
    }
    const struct store_history_query query = {.after = txn - 1, .oldest_first = true};
    if (state_read_history(state, &query, rows_take, &reading, err) != 0) {
        if (!reading.ended) {
            return -1;
        }
        err_clear(err);
    }
    if (rows.count == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "changes.bgppeerd.io \"%" PRIu64 "\" not found: list them with GET "
                       "/apis/bgppeerd.io/v1/changes; a change is called by the revision of the first of its "
                       "objects",
                       txn);
    }
    *ret = rows;
    return 0;
}

static const char *known(const char *text) {
    return text[0] != '\0' ? text : NULL;
}

void change_head_write(const struct change_head *head, struct buf *out) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(head->time_ms, time);
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Change\"");
    buf_printf(out, ",\"metadata\":{\"name\":\"%" PRIu64 "\"},\"txn\":\"%" PRIu64 "\"", head->txn, head->txn);
    buf_printf(out, ",\"resourceVersion\":\"%" PRIu64 "\"", head->last);
    buf_json_member_str(out, "time", time);
    buf_json_member_str(out, "actor", known(head->actor));
    buf_json_member_str(out, "reason", known(head->reason));
    buf_json_member_str(out, "request", known(head->request));
}

int change_pictures_read(struct state *state, uint64_t txn, struct arena *arena, struct change_rows *ret_rows,
                         struct change_pictures *ret, struct err *err) {
    struct change_pictures pictures;
    if (change_rows_read(state, txn, arena, ret_rows, err) != 0 ||
        state_past(state, ret_rows->head.last, &pictures.after, err) != 0) {
        return -1;
    }
    if (state_past_before(state, pictures.after, ret_rows->head.txn - 1, &pictures.before, &pictures.affected,
                          err) != 0) {
        picture_unref(pictures.after);
        return -1;
    }
    *ret = pictures;
    return 0;
}

void change_pictures_done(struct change_pictures *pictures) {
    node_set_free(pictures->affected);
    picture_unref(pictures->before);
    picture_unref(pictures->after);
}
