/*
 * Dropping the oldest transactions of the log in etcd. Several instances may do it at once: each step is
 * guarded by the mark that says up to where the log is gone, so that one of them does it and the others have
 * nothing left to do.
 *
 * A transaction goes as a whole. Its changes go to past/, where the newest of each object stays.
 *
 * On the committing thread; no locks.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "etcd_store.h"

#define STEP_ROWS  1000                /* by which one call moves on, about: some ten milliseconds */
#define STEP_BYTES ((size_t)512 << 10) /* … of which etcd takes three times as many in one request */

struct step {
    const struct store_keep *keep;
    struct etcd_ops ops;
    uint64_t rows; /* behind the mark, that are left */
    uint64_t bytes;
    struct etcd_mark mark; /* as it is afterwards */
    size_t moved;          /* rows of this step */
    bool full;             /* there is more than one step takes */
};

static size_t bytes_of(const struct store_batch *batch) {
    size_t bytes = 0;
    for (size_t i = 0; i < batch->change_count; i++) {
        bytes += STORE_CHANGE_BYTES + batch->changes[i].body_len;
    }
    return bytes;
}

/* Is the oldest of the transactions to be kept? One without changes goes with those before it. */
static bool is_kept(const struct step *step, const struct etcd_entry *entry) {
    size_t count = entry->batch.change_count;
    return count > 0 && (step->rows < step->keep->changes + count ||
                         (entry->time_ms >= step->keep->since_ms && step->bytes <= step->keep->bytes));
}

static void move_changes(struct step *step, const struct store_batch *batch) {
    for (size_t i = 0; i < batch->change_count; i++) {
        const struct store_change *change = &batch->changes[i];
        if (change->op == STORE_DELETE) {
            etcd_ops_delete(&step->ops, "past/", change->kind, '/', change->name);
        } else {
            etcd_ops_put(&step->ops, "past/", change->kind, '/', change->name);
            etcd_change_write(change, &step->ops.bytes);
            etcd_ops_end(&step->ops);
        }
    }
}

static int step_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    struct step *step = arg;
    struct etcd_entry entry;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_entry_read(kv->value, kv->value_len, &arena, &entry, err);
    if (result == 0) {
        size_t count = entry.batch.change_count;
        size_t bytes = bytes_of(&entry.batch);
        bool first = step->moved == 0 && step->ops.bytes.len == 0;
        step->full = !first && (step->moved + count > STEP_ROWS || step->ops.bytes.len + bytes > STEP_BYTES);
        if (step->full || is_kept(step, &entry)) {
            result = 1;
        } else {
            move_changes(step, &entry.batch);
            step->moved += count;
            step->rows -= count;
            step->bytes -= bytes;
            step->mark.commit = entry.batch.base + 1;
            step->mark.rows += count;
            step->mark.bytes += bytes;
            if (count > 0) {
                step->mark.revision = entry.revision;
                step->mark.time_ms = entry.time_ms;
            }
        }
    }
    arena_done(&arena);
    return result;
}

/* The log up to the new mark goes, the mark moves. *ret_done: false when another instance was faster. */
static int take_step(struct etcd_store *store, struct step *step, bool *ret_done, struct err *err) {
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    char to[ETCD_SEQUENCE_MAX];
    etcd_sequence(step->mark.commit + 1, to);
    etcd_ops_delete_range(&step->ops, "log/", "", 0, to, strlen(to));
    etcd_ops_put(&step->ops, "compacted", NULL, '/', NULL);
    etcd_mark_write(&step->mark, &step->ops.bytes);
    etcd_ops_end(&step->ops);
    etcd_ops_fold(&step->ops);
    buf_add_str(&body, "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\"");
    etcd_add_key(&body, "key", store->prefix, "compacted", NULL, '/', NULL);
    buf_json_key(&body, "modRevision");
    buf_printf(&body, "\"%" PRId64 "\"}],\"success\":[", step->mark.mod);
    size_t requests = etcd_ops_write(&step->ops, false, &body);
    buf_add_str(&body, "]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
    buf_done(&body);
    if (result == 0) {
        *ret_done = json_is_true(json_object_get(answer, "succeeded"));
        if (*ret_done && json_array_size(json_object_get(answer, "responses")) != requests) {
            result = err_set(err, ERR_INTERNAL, "etcd has dropped only a part of the log");
        }
    }
    json_decref(answer);
    return result;
}

int etcd_store_compact(struct store *base, const struct store_keep *keep, bool *ret_more,
                       uint64_t *ret_compacted, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct step step = {.keep = keep, .ops = {.prefix = store->prefix}};
    struct etcd_head head;
    int64_t now;
    bool done = true;
    if (etcd_read_head(store, &head, &step.mark, &now, err) != 0) {
        return -1;
    }
    uint64_t compacted = step.mark.revision;
    uint64_t commit = step.mark.commit;
    step.rows = head.rows - step.mark.rows;
    step.bytes = head.bytes - step.mark.bytes;
    const struct etcd_range range = {.room = "log/", .at = now};
    int result = step.rows > keep->changes ? etcd_range_each(store, &range, step_row, &step, err) : 0;
    if (result == 0 && step.mark.commit > commit) {
        result = take_step(store, &step, &done, err);
    }
    etcd_ops_done(&step.ops);
    if (result != 0) {
        return -1;
    }
    *ret_more = done && step.full;
    *ret_compacted = done ? step.mark.revision : compacted;
    return 0;
}
