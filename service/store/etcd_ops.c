/*
 * What an etcd transaction does, as JSON. Keys and values are kept in one buffer until they are written; no
 * locks.
 *
 * etcd takes 128 operations or comparisons in a transaction, and one that stands inside another has what that
 * leaves of them, so that a large one is divided into groups. And it takes no key twice.
 *
 * Against its quota etcd counts what is put by a transaction itself, and nothing that is put by those inside:
 * without any of its own it would fill the disk unseen. So a commit begins with some. What drops data must go
 * on when etcd is full, and has none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "etcd_store.h"

#define OWN_MAX   16
#define GROUP_MAX 63 /* with up to 48 groups, and one level more for if_there */

void etcd_sequence(uint64_t number, char out[ETCD_SEQUENCE_MAX]) {
    snprintf(out, ETCD_SEQUENCE_MAX, "%020" PRIu64, number);
}

void etcd_ops_done(struct etcd_ops *ops) {
    buf_done(&ops->bytes);
    free(ops->items);
    *ops = (struct etcd_ops){.count = 0};
}

static void add_key(struct buf *out, const char *prefix, const char *room, const char *first, char middle,
                    const char *second) {
    buf_add_str(out, prefix);
    buf_add_str(out, room);
    if (first != NULL) {
        buf_add_str(out, first);
    }
    if (second != NULL) {
        buf_add_char(out, middle);
        buf_add_str(out, second);
    }
}

static struct etcd_op *new_op(struct etcd_ops *ops) {
    struct etcd_op *items = base_grow(ops->items, ops->count, &ops->cap, 32, sizeof(*items));
    if (items == NULL) {
        ops->failed = true;
        return NULL;
    }
    ops->items = items;
    items[ops->count] = (struct etcd_op){.key = ops->bytes.len, .order = ops->count};
    return &items[ops->count++];
}

void etcd_ops_put(struct etcd_ops *ops, const char *room, const char *first, char middle,
                  const char *second) {
    struct etcd_op *op = new_op(ops);
    if (op != NULL) {
        add_key(&ops->bytes, ops->prefix, room, first, middle, second);
        op->key_len = ops->bytes.len - op->key;
        op->value = ops->bytes.len;
    }
}

void etcd_ops_end(struct etcd_ops *ops) {
    if (ops->count > 0) {
        struct etcd_op *op = &ops->items[ops->count - 1];
        op->value_len = ops->bytes.len - op->value;
    }
}

void etcd_ops_put_bytes(struct etcd_ops *ops, const char *room, const char *first, const void *bytes,
                        size_t len) {
    etcd_ops_put(ops, room, first, '/', NULL);
    buf_add(&ops->bytes, bytes, len);
    etcd_ops_end(ops);
}

void etcd_ops_delete(struct etcd_ops *ops, const char *room, const char *first, char middle,
                     const char *second) {
    struct etcd_op *op = new_op(ops);
    if (op != NULL) {
        op->remove = true;
        add_key(&ops->bytes, ops->prefix, room, first, middle, second);
        op->key_len = ops->bytes.len - op->key;
    }
}

void etcd_ops_delete_range(struct etcd_ops *ops, const char *room, const char *first, size_t first_len,
                           const char *last, size_t last_len) {
    struct etcd_op *op = new_op(ops);
    if (op == NULL) {
        return;
    }
    op->remove = true;
    add_key(&ops->bytes, ops->prefix, room, NULL, '/', NULL);
    buf_add(&ops->bytes, first, first_len);
    op->key_len = ops->bytes.len - op->key;
    op->end = ops->bytes.len;
    add_key(&ops->bytes, ops->prefix, room, NULL, '/', NULL);
    buf_add(&ops->bytes, last, last_len);
    op->end_len = ops->bytes.len - op->end;
}

static int compare_ops(const void *a, const void *b, void *arg) {
    const struct etcd_op *one = a;
    const struct etcd_op *other = b;
    const char *bytes = arg;
    size_t len = one->key_len < other->key_len ? one->key_len : other->key_len;
    int order = memcmp(bytes + one->key, bytes + other->key, len);
    if (order == 0) {
        order = (one->key_len > other->key_len) - (one->key_len < other->key_len);
    }
    return order != 0 ? order : (one->order > other->order) - (one->order < other->order);
}

void etcd_ops_fold(struct etcd_ops *ops) {
    const char *bytes = ops->bytes.data;
    size_t kept = 0;
    if (ops->failed || buf_failed(&ops->bytes) || ops->count == 0) {
        return;
    }
    qsort_r(ops->items, ops->count, sizeof(*ops->items), compare_ops, ops->bytes.data);
    for (size_t i = 0; i < ops->count; i++) {
        const struct etcd_op *op = &ops->items[i];
        const struct etcd_op *next = i + 1 < ops->count ? &ops->items[i + 1] : NULL;
        bool replaced = next != NULL && op->end_len == 0 && next->key_len == op->key_len &&
                        memcmp(bytes + next->key, bytes + op->key, op->key_len) == 0;
        if (!replaced) {
            ops->items[kept++] = *op;
        }
    }
    ops->count = kept;
}

static void add_base64(struct buf *out, const char *name, const char *bytes, size_t len) {
    buf_json_key(out, name);
    buf_add_char(out, '"');
    buf_add_base64(out, bytes, len);
    buf_add_char(out, '"');
}

static void write_op(const struct etcd_ops *ops, const struct etcd_op *op, struct buf *out) {
    const char *bytes = ops->bytes.data;
    buf_json_comma(out);
    if (op->if_there) {
        buf_add_str(out, "{\"requestTxn\":{\"compare\":[{\"target\":\"VERSION\",\"result\":\"GREATER\","
                         "\"version\":\"0\"");
        add_base64(out, "key", bytes + op->key, op->key_len);
        buf_add_str(out, "}],\"success\":[");
    }
    buf_add_str(out, op->remove ? "{\"requestDeleteRange\":{" : "{\"requestPut\":{");
    add_base64(out, "key", bytes + op->key, op->key_len);
    if (op->end_len > 0) {
        add_base64(out, "rangeEnd", bytes + op->end, op->end_len);
    }
    if (!op->remove) {
        add_base64(out, "value", bytes + op->value, op->value_len);
    }
    buf_add_str(out, op->if_there ? "}}]}}" : "}}");
}

size_t etcd_ops_write(const struct etcd_ops *ops, bool grows, struct buf *out) {
    if (ops->failed || buf_failed(&ops->bytes)) {
        out->failed = true;
        return 0;
    }
    size_t i = 0;
    for (; grows && i < ops->count && i < OWN_MAX; i++) {
        write_op(ops, &ops->items[i], out);
    }
    size_t requests = i;
    for (; i < ops->count; requests++) {
        size_t end = ops->count - i > GROUP_MAX ? i + GROUP_MAX : ops->count;
        buf_json_comma(out);
        buf_add_str(out, "{\"requestTxn\":{\"success\":[");
        for (; i < end; i++) {
            write_op(ops, &ops->items[i], out);
        }
        buf_add_str(out, "]}}");
    }
    return requests;
}

void etcd_add_key(struct buf *out, const char *name, const char *prefix, const char *room, const char *first,
                  char middle, const char *second) {
    struct buf key = BUF_INIT;
    add_key(&key, prefix, room, first, middle, second);
    add_base64(out, name, key.data, key.len);
    out->failed = out->failed || buf_failed(&key);
    buf_done(&key);
}

void etcd_add_get(struct buf *out, const struct etcd_store *store, const char *room, const char *first) {
    buf_json_comma(out);
    buf_add_str(out, "{\"requestRange\":{");
    etcd_add_key(out, "key", store->prefix, room, first, '/', NULL);
    buf_add_str(out, "}}");
}
