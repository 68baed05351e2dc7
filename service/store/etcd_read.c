/*
 * Reading the present from etcd: status, load, what others have written, the audit trail. Each as of one
 * moment. From any thread; no locks.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "etcd_store.h"

#define SEQUENCE_DIGITS (ETCD_SEQUENCE_MAX - 1)

static struct store_status status_from(const struct etcd_head *head, const struct etcd_mark *mark) {
    return (struct store_status){.revision = head->revision,
                                 .compacted = mark->revision,
                                 .past = mark->revision,
                                 .past_ms = mark->time_ms,
                                 .commit = head->commit};
}

int etcd_store_status(struct store *base, struct store_status *ret, struct err *err) {
    struct etcd_head head;
    struct etcd_mark mark;
    if (etcd_read_head((struct etcd_store *)base, &head, &mark, NULL, err) != 0) {
        return -1;
    }
    *ret = status_from(&head, &mark);
    return 0;
}

/* ---- everything ---- */

static int err_strange_key(const struct etcd_kv *kv, struct err *err) {
    return err_set(err, ERR_CORRUPT,
                   "etcd has a key that bgppeerd does not write, \"%.200s\": another program uses the same "
                   "prefix; choose another --store-prefix for that",
                   kv->key);
}

static int load_setting(void *arg, const struct etcd_kv *kv, struct err *err) {
    const struct store_reader *reader = arg;
    const struct store_setting setting = {.name = kv->key, .value = kv->value, .value_len = kv->value_len};
    return reader->setting(reader->arg, &setting, err);
}

static int load_sealed(void *arg, const struct etcd_kv *kv, struct err *err) {
    const struct store_reader *reader = arg;
    struct store_sealed sealed;
    size_t object_len = strlen(kv->key);
    if (object_len == kv->key_len) {
        return err_strange_key(kv, err);
    }
    if (etcd_sealed_read(kv->value, kv->value_len, &sealed, err) != 0) {
        return -1;
    }
    sealed.object = kv->key;
    sealed.item = kv->key + object_len + 1;
    return reader->sealed(reader->arg, &sealed, err);
}

static int load_object(void *arg, const struct etcd_kv *kv, struct err *err) {
    const struct store_reader *reader = arg;
    char kind[64];
    uint64_t revision;
    const char *body;
    size_t body_len;
    size_t kind_len = strcspn(kv->key, "/");
    if (kind_len >= sizeof(kind) || kv->key[kind_len] == '\0') {
        return err_strange_key(kv, err);
    }
    memcpy(kind, kv->key, kind_len);
    kind[kind_len] = '\0';
    if (etcd_object_read(kv->value, kv->value_len, &revision, &body, &body_len, err) != 0) {
        return err_wrap(err, "%.200s", kv->key);
    }
    return reader->object(reader->arg, kind, kv->key + kind_len + 1, revision, body, body_len, err);
}

int etcd_store_load(struct store *base, const struct store_reader *reader, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct etcd_head head;
    struct etcd_mark mark;
    struct store_reader pass = *reader;
    int64_t now;
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    const struct store_status status = status_from(&head, &mark);
    if (reader->moment != NULL) {
        reader->moment(reader->arg, &status);
    }
    const struct {
        const char *room;
        int (*row)(void *arg, const struct etcd_kv *kv, struct err *err);
        bool wanted;
    } parts[] = {
        {"settings/", load_setting, reader->setting != NULL},
        {"sealed/", load_sealed, reader->sealed != NULL},
        {"objects/", load_object, reader->object != NULL},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct etcd_range range = {.room = parts[i].room, .at = now};
        if (parts[i].wanted && etcd_range_each(store, &range, parts[i].row, &pass, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- what others have written ---- */

struct following {
    int (*entry)(void *arg, const struct store_batch *batch, struct err *err);
    void *arg;
    uint64_t commit; /* of the newest that was passed on */
};

static int follow_value(struct following *following, const void *value, size_t len, struct err *err) {
    struct etcd_entry entry;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_entry_read(value, len, &arena, &entry, err);
    if (result == 0 && entry.batch.base != following->commit) {
        result = err_set(err, ERR_EXPIRED, "the log goes on with transaction %" PRIu64 " after %" PRIu64,
                         entry.batch.base + 1, following->commit);
    }
    if (result == 0) {
        result = following->entry(following->arg, &entry.batch, err);
    }
    if (result == 0) {
        following->commit++;
    }
    arena_done(&arena);
    return result;
}

static int follow_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    return follow_value(arg, kv->value, kv->value_len, err);
}

#define FOLLOW_FIRST 8 /* transactions that come with the head, in one answer */

/* The head and the oldest transactions behind `after`: nearly always, that is all. */
static int ask_to_follow(struct etcd_store *store, uint64_t after, json_t **ret, struct err *err) {
    struct buf body = BUF_INIT;
    char from[ETCD_SEQUENCE_MAX];
    etcd_sequence(after + 1, from);
    buf_add_str(&body, "{\"success\":[");
    etcd_add_get(&body, store, "head", NULL);
    buf_printf(&body, ",{\"requestRange\":{\"limit\":%d", FOLLOW_FIRST);
    etcd_add_key(&body, "key", store->prefix, "log/", from, '/', NULL);
    etcd_add_key(&body, "rangeEnd", store->prefix, "log0", NULL, '/', NULL);
    buf_add_str(&body, "}}]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, ret, err);
    buf_done(&body);
    return result;
}

static int follow_first(struct etcd_store *store, struct following *following, struct etcd_head *ret_head,
                        int64_t *ret_now, struct err *err) {
    json_t *answer = NULL;
    if (ask_to_follow(store, following->commit, &answer, err) != 0) {
        return -1;
    }
    int result = etcd_parse_head(store, etcd_response_kv(answer, 0), ret_head, err);
    const json_t *response = json_array_get(json_object_get(answer, "responses"), 1);
    const json_t *kvs = json_object_get(json_object_get(response, "response_range"), "kvs");
    for (size_t i = 0; result == 0 && i < json_array_size(kvs); i++) {
        size_t len;
        unsigned char *value = etcd_bytes(json_array_get(kvs, i), "value", &len);
        result = value == NULL ? err_no_memory(err) : follow_value(following, value, len, err);
        free(value);
    }
    if (result == 0) {
        *ret_now = etcd_revision(answer);
        etcd_note_head(store, ret_head);
    }
    json_decref(answer);
    return result;
}

int etcd_store_read_entries(struct store *base, uint64_t after,
                            int (*entry)(void *arg, const struct store_batch *batch, struct err *err),
                            void *arg, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct following following = {.entry = entry, .arg = arg, .commit = after};
    struct etcd_head head;
    char from[ETCD_SEQUENCE_MAX];
    int64_t now = 0;
    if (follow_first(store, &following, &head, &now, err) != 0) {
        return -1;
    }
    if (head.commit < after) {
        return err_set(err, ERR_CORRUPT,
                       "etcd is at transaction %" PRIu64 ", and this instance has seen %" PRIu64
                       ": it was put back to an earlier state; restart the instance to go on with that",
                       head.commit, after);
    }
    etcd_sequence(following.commit + 1, from);
    const struct etcd_range range = {.room = "log/", .from = from, .at = now};
    if (following.commit < head.commit && etcd_range_each(store, &range, follow_row, &following, err) != 0) {
        return -1;
    }
    return following.commit == head.commit
               ? 0
               : err_set(err, ERR_EXPIRED, "the transactions after %" PRIu64 " are no longer in the log",
                         following.commit);
}

/* ---- the audit trail ---- */

static bool audit_key(const struct etcd_kv *kv, uint64_t *ret_sequence) {
    return kv->key_len > SEQUENCE_DIGITS && kv->key[SEQUENCE_DIGITS] == '/' &&
           u64_parse(kv->key, SEQUENCE_DIGITS, INT64_MAX, ret_sequence);
}

static int newest_audit(void *arg, const struct etcd_kv *kv, struct err *err) {
    return audit_key(kv, arg) ? 0 : err_strange_key(kv, err);
}

struct trail {
    int (*row)(void *arg, const struct store_audit *audit, struct err *err);
    void *arg;
};

static int audit_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    const struct trail *trail = arg;
    struct store_audit audit;
    uint64_t sequence;
    if (!audit_key(kv, &sequence)) {
        return err_strange_key(kv, err);
    }
    if (etcd_audit_read(kv->value, kv->value_len, &audit, err) != 0) {
        return -1;
    }
    audit.sequence = sequence;
    return trail->row(trail->arg, &audit, err);
}

int etcd_store_read_audit(struct store *base, uint64_t keep,
                          int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                          uint64_t *ret_newest, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct trail trail = {.row = row, .arg = arg};
    struct etcd_head head;
    struct etcd_mark mark;
    uint64_t newest = 0;
    char from[ETCD_SEQUENCE_MAX];
    int64_t now;
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    const struct etcd_range last = {.room = "audit/", .at = now, .descending = true, .limit = 1};
    if (etcd_range_each(store, &last, newest_audit, &newest, err) != 0) {
        return -1;
    }
    etcd_sequence(newest > keep ? newest - keep + 1 : 0, from);
    const struct etcd_range range = {.room = "audit/", .from = from, .at = now};
    if (keep > 0 && etcd_range_each(store, &range, audit_row, &trail, err) != 0) {
        return -1;
    }
    if (store->audit_mod == 0) {
        store->audit_mod = now; /* at the start, before there are threads */
    }
    *ret_newest = newest;
    return 0;
}

/* An entry that was there when this instance began goes with its own of that number, whose it ever was: of
 * instances that are gone, nobody else would take it away. A later one is its instance's. */
static void write_drop(const struct etcd_store *store, uint64_t sequence, struct buf *out) {
    char from[ETCD_SEQUENCE_MAX];
    char to[ETCD_SEQUENCE_MAX];
    etcd_sequence(sequence, from);
    etcd_sequence(sequence + 1, to);
    buf_json_comma(out);
    buf_add_str(out, "{\"requestTxn\":{\"compare\":[{\"target\":\"MOD\",\"result\":\"LESS\"");
    etcd_add_key(out, "key", store->prefix, "audit/", from, '/', NULL);
    etcd_add_key(out, "rangeEnd", store->prefix, "audit/", to, '/', NULL);
    buf_json_key(out, "modRevision");
    buf_printf(out, "\"%" PRId64 "\"}],\"success\":[{\"requestDeleteRange\":{", store->audit_mod + 1);
    etcd_add_key(out, "key", store->prefix, "audit/", from, '/', NULL);
    etcd_add_key(out, "rangeEnd", store->prefix, "audit/", to, '/', NULL);
    buf_add_str(out, "}}],\"failure\":[{\"requestDeleteRange\":{");
    etcd_add_key(out, "key", store->prefix, "audit/", from, '/', store->instance);
    buf_add_str(out, "}}]}}");
}

#define DROP_GROUP 100

int etcd_store_drop_audit(struct store *base, const uint64_t *sequences, size_t count, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    for (size_t i = 0; i < count;) {
        size_t end = count - i > DROP_GROUP ? i + DROP_GROUP : count;
        size_t requests = end - i;
        struct buf body = BUF_INIT;
        json_t *answer = NULL;
        buf_add_str(&body, "{\"success\":[");
        for (; i < end; i++) {
            write_drop(store, sequences[i], &body);
        }
        buf_add_str(&body, "]}");
        int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, ETCD_READ_SECONDS, &answer, err);
        if (result == 0 && json_array_size(json_object_get(answer, "responses")) != requests) {
            result = err_set(err, ERR_INTERNAL, "etcd has dropped only a part of the audit trail");
        }
        json_decref(answer);
        buf_done(&body);
        if (result != 0) {
            return -1;
        }
    }
    return 0;
}
