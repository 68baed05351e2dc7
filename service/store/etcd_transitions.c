/*
 * What sessions did, in etcd: each instance keeps what it has judged, below its own name, and reads that
 * only. Written with a commit; read from the newest one on, and dropped from the oldest one on.
 *
 * Reading from any thread, dropping on the committing one; no locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "etcd_store.h"

#define ROOM     "transitions/"
#define ROOM_MAX (sizeof(ROOM) + ETCD_INSTANCE_MAX + 1)

static void own_room(const struct etcd_store *store, char out[ROOM_MAX]) {
    (void)snprintf(out, ROOM_MAX, ROOM "%s/", store->instance);
}

void etcd_add_transitions(struct etcd_ops *ops, const struct etcd_store *store,
                          const struct store_batch *batch) {
    char room[ROOM_MAX];
    own_room(store, room);
    for (size_t i = 0; i < batch->transition_count; i++) {
        char sequence[ETCD_SEQUENCE_MAX];
        etcd_sequence(batch->transitions[i].sequence, sequence);
        etcd_ops_put(ops, room, sequence, '/', NULL);
        etcd_transition_write(&batch->transitions[i], &ops->bytes);
        etcd_ops_end(ops);
    }
}

struct reading {
    int (*row)(void *arg, const struct store_transition *transition, struct err *err);
    void *arg;
};

static int sequence_of(const struct etcd_kv *kv, uint64_t *ret, struct err *err) {
    return u64_parse(kv->key, kv->key_len, INT64_MAX, ret)
               ? 0
               : err_set(err, ERR_CORRUPT, "etcd has a strange key among the transitions, \"%.100s\"",
                         kv->key);
}

static int transition_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    const struct reading *reading = arg;
    struct store_transition transition;
    struct arena arena;
    uint64_t sequence;
    arena_init(&arena, 0);
    int result = sequence_of(kv, &sequence, err);
    if (result == 0) {
        result = etcd_transition_read(kv->value, kv->value_len, &arena, &transition, err);
    }
    if (result == 0) {
        transition.sequence = sequence;
        result = reading->row(reading->arg, &transition, err);
    }
    arena_done(&arena);
    return result;
}

int etcd_store_read_transitions(struct store *base, uint64_t below, size_t limit,
                                int (*row)(void *arg, const struct store_transition *transition,
                                           struct err *err),
                                void *arg, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct reading reading = {.row = row, .arg = arg};
    char room[ROOM_MAX];
    char to[ETCD_SEQUENCE_MAX];
    own_room(store, room);
    etcd_sequence(below, to);
    const struct etcd_range range = {
        .room = room, .to = below > 0 ? to : NULL, .descending = true, .limit = limit};
    return etcd_range_each(store, &range, transition_row, &reading, err);
}

static int oldest_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    return sequence_of(kv, arg, err);
}

/* Their numbers have no gaps. */
int etcd_store_trim_transitions(struct store *base, uint64_t upto, size_t max, bool *ret_more,
                                struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct etcd_ops ops = {.prefix = store->prefix};
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    uint64_t oldest = 0;
    char room[ROOM_MAX];
    char to[ETCD_SEQUENCE_MAX];
    own_room(store, room);
    const struct etcd_range range = {.room = room, .limit = 1};
    if (etcd_range_each(store, &range, oldest_row, &oldest, err) != 0) {
        return -1;
    }
    if (oldest == 0 || oldest > upto || max == 0) {
        *ret_more = false;
        return 0;
    }
    uint64_t count = upto - oldest + 1 < max ? upto - oldest + 1 : max;
    etcd_sequence(oldest + count, to);
    etcd_ops_delete_range(&ops, room, "", 0, to, strlen(to));
    buf_add_str(&body, "{\"success\":[");
    size_t requests = etcd_ops_write(&ops, false, &body);
    buf_add_str(&body, "]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
    if (result == 0 && json_array_size(json_object_get(answer, "responses")) != requests) {
        result = err_set(err, ERR_INTERNAL, "etcd has not dropped the oldest transitions");
    }
    json_decref(answer);
    buf_done(&body);
    etcd_ops_done(&ops);
    if (result == 0) {
        *ret_more = count == max;
    }
    return result;
}
