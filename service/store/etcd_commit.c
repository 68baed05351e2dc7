/*
 * Committing to etcd: one transaction, guarded by the head.
 *
 * 1. It is done only when the head is the one that its maker knew, by etcd's own revision of that key. So a
 *    transaction is done at most once, however often it is asked for, and never after another one.
 * 2. Each one leaves its author in the log. When the guard says no, the log says whether that is because the
 *    transaction was done before: asked for twice, it is still told as done.
 * 3. A request that has no answer is therefore simply asked for again, of another member, until there is one.
 *    After COMMIT_MS nobody knows, and that is the answer (ERR_UNKNOWN_OUTCOME). Whatever becomes of it, the
 *    next transaction that is done excludes it.
 *
 * On the committing thread. The head that was seen last has a lock, because reading threads note it as well.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "etcd_store.h"

#define COMMIT_MS      8000 /* to get an answer; one request more may be under way then */
#define COMMIT_SECONDS 3    /* of one request: longer than an election takes */
#define PAUSE_MS       100  /* after all members were asked */
#define COMPARES_MAX   60   /* of existence, besides the guard */

/* ---- what a transaction does ---- */

/* The Secret's values, but not those that the same transaction writes: it takes no key twice. */
static void delete_values(struct etcd_ops *ops, const struct store_batch *batch, const char *object) {
    struct buf from = BUF_INIT;
    struct buf to = BUF_INIT;
    const char *previous = NULL; /* item up to which there is nothing left to delete */
    buf_add(&from, object, strlen(object) + 1);
    for (;;) {
        const char *next = NULL; /* the first that is written behind that */
        for (size_t i = 0; i < batch->sealed_count; i++) {
            const struct store_sealed *sealed = &batch->sealed[i];
            if (strcmp(sealed->object, object) == 0 &&
                (previous == NULL || strcmp(sealed->item, previous) > 0) &&
                (next == NULL || strcmp(sealed->item, next) < 0)) {
                next = sealed->item;
            }
        }
        buf_clear(&to);
        buf_add(&to, object, strlen(object) + 1);
        if (next == NULL) {
            to.data[to.len - 1] = '\1';
        } else {
            buf_add_str(&to, next);
        }
        ops->failed = ops->failed || buf_failed(&from) || buf_failed(&to);
        if (!ops->failed) {
            etcd_ops_delete_range(ops, "sealed/", from.data, from.len, to.data, to.len);
        }
        if (next == NULL || ops->failed) {
            break;
        }
        previous = next;
        buf_clear(&from);
        buf_add(&from, object, strlen(object) + 1);
        buf_add(&from, next, strlen(next) + 1);
    }
    buf_done(&from);
    buf_done(&to);
}

static bool was_deleted_before(const struct store_batch *batch, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (batch->changes[i].op == STORE_DELETE &&
            strcmp(batch->changes[i].name, batch->changes[at].name) == 0 &&
            strcmp(batch->changes[i].kind, batch->changes[at].kind) == 0) {
            return true;
        }
    }
    return false;
}

static void add_changes(struct etcd_ops *ops, const struct store_batch *batch) {
    for (size_t i = 0; i < batch->change_count; i++) {
        const struct store_change *change = &batch->changes[i];
        if (change->op != STORE_DELETE) {
            etcd_ops_put(ops, "objects/", change->kind, '/', change->name);
            etcd_object_write(change->revision, change->body, change->body_len, &ops->bytes);
            etcd_ops_end(ops);
            continue;
        }
        etcd_ops_delete(ops, "objects/", change->kind, '/', change->name);
        if (strcmp(change->kind, "Secret") == 0 && !was_deleted_before(batch, i)) {
            delete_values(ops, batch, change->name);
        }
    }
}

static void add_others(struct etcd_ops *ops, const struct store_batch *batch) {
    for (size_t i = 0; i < batch->sealed_count; i++) {
        const struct store_sealed *sealed = &batch->sealed[i];
        if (sealed->ciphertext == NULL) {
            etcd_ops_delete(ops, "sealed/", sealed->object, '\0', sealed->item);
            continue;
        }
        etcd_ops_put(ops, "sealed/", sealed->object, '\0', sealed->item);
        etcd_sealed_write(sealed, &ops->bytes);
        etcd_ops_end(ops);
    }
    for (size_t i = 0; i < batch->setting_count; i++) {
        const struct store_setting *setting = &batch->settings[i];
        if (setting->value == NULL) {
            etcd_ops_delete(ops, "settings/", setting->name, '/', NULL);
        } else {
            etcd_ops_put_bytes(ops, "settings/", setting->name, setting->value, setting->value_len);
        }
    }
}

static void add_audit(struct etcd_ops *ops, const struct etcd_store *store, const struct store_batch *batch) {
    for (size_t i = 0; i < batch->audit_count; i++) {
        char sequence[ETCD_SEQUENCE_MAX];
        etcd_sequence(batch->audit[i].sequence, sequence);
        etcd_ops_put(ops, "audit/", sequence, '/', store->instance);
        etcd_audit_write(&batch->audit[i], &ops->bytes);
        etcd_ops_end(ops);
        if (!ops->failed) {
            ops->items[ops->count - 1].if_there = batch->audit[i].again;
        }
    }
}

/* A value without its Secret is nobody's. */
static int check_values(const struct store_batch *batch, struct err *err) {
    for (size_t i = 0; i < batch->sealed_count; i++) {
        const struct store_sealed *sealed = &batch->sealed[i];
        size_t k = batch->change_count;
        while (k > 0 && (strcmp(batch->changes[k - 1].name, sealed->object) != 0 ||
                         strcmp(batch->changes[k - 1].kind, "Secret") != 0)) {
            k--;
        }
        if (k > 0 && sealed->ciphertext != NULL && batch->changes[k - 1].op == STORE_DELETE) {
            return err_set(err, ERR_INTERNAL,
                           "state and store disagree: a value of Secret %s is to be written, which is to be "
                           "deleted; nothing was written; restart the service",
                           sealed->object);
        }
    }
    return 0;
}

/* ---- what it is guarded by ---- */

static bool is_changed_before(const struct store_batch *batch, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (strcmp(batch->changes[i].name, batch->changes[at].name) == 0 &&
            strcmp(batch->changes[i].kind, batch->changes[at].kind) == 0) {
            return true;
        }
    }
    return false;
}

/* That what is created is not there, and the rest is: the guard says so already, unless state is wrong. */
static void add_existence(struct buf *out, const struct etcd_store *store, const struct store_batch *batch) {
    for (size_t i = 0; i < batch->change_count && i < COMPARES_MAX; i++) {
        const struct store_change *change = &batch->changes[i];
        if (is_changed_before(batch, i)) {
            continue;
        }
        buf_json_comma(out);
        buf_add_str(out, "{\"target\":\"VERSION\",\"version\":\"0\"");
        buf_json_member_str(out, "result", change->op == STORE_CREATE ? "EQUAL" : "GREATER");
        etcd_add_key(out, "key", store->prefix, "objects/", change->kind, '/', change->name);
        buf_add_char(out, '}');
    }
}

/* ---- asking ---- */

struct commit {
    struct etcd_store *store;
    const struct store_batch *batch;
    struct etcd_head before;
    struct etcd_head after;
    char sequence[ETCD_SEQUENCE_MAX]; /* of the log */
    size_t requests;                  /* that a success answers */
    bool in_doubt;                    /* it was asked for, and there was no answer */
};

static void write_transaction(struct commit *commit, const struct etcd_ops *ops, struct buf *out) {
    const struct etcd_store *store = commit->store;
    buf_add_str(out, "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\"");
    etcd_add_key(out, "key", store->prefix, "head", NULL, '/', NULL);
    buf_json_key(out, "modRevision");
    buf_printf(out, "\"%" PRId64 "\"}", commit->before.mod);
    add_existence(out, store, commit->batch);
    buf_add_str(out, "],\"success\":[");
    commit->requests = etcd_ops_write(ops, true, out);
    buf_add_str(out, "],\"failure\":[");
    etcd_add_get(out, store, "head", NULL);
    etcd_add_get(out, store, "log/", commit->sequence);
    buf_add_str(out, "]}");
}

/* The guard has said no. Why? */
static int judge_refusal(struct commit *commit, const json_t *answer, struct err *err) {
    const json_t *logged = etcd_response_kv(answer, 1);
    struct etcd_head now;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_parse_head(commit->store, etcd_response_kv(answer, 0), &now, err);
    if (result == 0 && logged != NULL) {
        struct etcd_entry entry;
        size_t len;
        unsigned char *value = etcd_bytes(logged, "value", &len);
        result = value == NULL ? err_no_memory(err) : etcd_entry_read(value, len, &arena, &entry, err);
        if (result == 0 && entry.author.writer == commit->after.author.writer &&
            entry.author.serial == commit->after.author.serial) {
            commit->after.mod = etcd_number(logged, "mod_revision");
            free(value);
            arena_done(&arena);
            return 0; /* done, the first time */
        }
        free(value);
    }
    arena_done(&arena);
    if (result != 0) {
        return -1;
    }
    etcd_note_head(commit->store, &now);
    if (now.mod == commit->before.mod) {
        return err_set(err, ERR_INTERNAL,
                       "state and store disagree about which objects exist; nothing was written; restart "
                       "the service");
    }
    return err_set(err, ERR_CONFLICT, "another instance has written transaction %" PRIu64, now.commit);
}

static int judge_answer(struct commit *commit, const json_t *answer, struct err *err) {
    if (!json_is_true(json_object_get(answer, "succeeded"))) {
        return judge_refusal(commit, answer, err);
    }
    if (json_array_size(json_object_get(answer, "responses")) != commit->requests) {
        return err_set(err, ERR_INTERNAL,
                       "etcd has done only a part of a transaction: its gateway does not understand all of "
                       "it; use etcd 3.4 or newer");
    }
    commit->after.mod = etcd_revision(answer);
    return 0;
}

/* Ask one member after the other until one answers. */
static int ask_for(struct commit *commit, const struct buf *body, json_t **ret, struct err *err) {
    struct etcd_link *link = commit->store->link;
    int64_t until_ms = clock_monotonic_ms() + COMMIT_MS;
    size_t members = etcd_link_members(link);
    for (size_t i = 1;; i++) {
        enum etcd_fate fate;
        unsigned member = etcd_link_member(link);
        err_clear(err);
        if (etcd_ask(link, member, "/v3/kv/txn", body, COMMIT_SECONDS, ret, &fate, err) == 0) {
            return 0;
        }
        commit->in_doubt = commit->in_doubt || fate == ETCD_UNKNOWN;
        bool all_asked = i % members == 0;
        if (fate == ETCD_REFUSED || clock_monotonic_ms() > until_ms || (all_asked && !commit->in_doubt)) {
            return -1;
        }
        etcd_link_leave(link, member);
        if (all_asked) {
            const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
            nanosleep(&pause, NULL);
        }
    }
}

static int run(struct commit *commit, const struct etcd_ops *ops, struct err *err) {
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    write_transaction(commit, ops, &body);
    int result = buf_failed(&body) ? err_no_memory(err) : ask_for(commit, &body, &answer, err);
    buf_done(&body);
    /* What is too large now was so before: no member has taken it. */
    if (result != 0 && commit->in_doubt && err->code != ERR_TOO_LARGE) {
        struct err why = *err;
        return err_set(err, ERR_UNKNOWN_OUTCOME,
                       "etcd took the change and has not said what became of it (%.300s): it was written, or "
                       "not, or will be in a moment; read the object before you try again",
                       why.text);
    }
    if (result != 0) {
        return err->code == ERR_UNAVAILABLE ? err_wrap(err, "nothing was written") : -1;
    }
    result = judge_answer(commit, answer, err);
    json_decref(answer);
    return result;
}

/* ---- the commit ---- */

/* The head that the batch was made with. */
static int find_base(struct etcd_store *store, uint64_t base, struct etcd_head *ret, struct err *err) {
    struct etcd_mark mark;
    pthread_mutex_lock(&store->lock);
    struct etcd_head head = store->head;
    pthread_mutex_unlock(&store->lock);
    if (head.commit != base && etcd_read_head(store, &head, &mark, NULL, err) != 0) {
        return -1;
    }
    if (head.commit != base) {
        return err_set(err, ERR_CONFLICT, "another instance has written transaction %" PRIu64, head.commit);
    }
    *ret = head;
    return 0;
}

static struct etcd_head head_after(struct etcd_store *store, const struct etcd_head *before,
                                   const struct store_batch *batch) {
    struct etcd_head head = *before;
    head.commit++;
    head.author = (struct etcd_author){.writer = store->writer, .serial = ++store->serial};
    for (size_t i = 0; i < batch->change_count; i++) {
        head.revision = batch->changes[i].revision;
        head.time_ms = batch->changes[i].time_ms;
        head.rows++;
        head.bytes += STORE_CHANGE_BYTES + batch->changes[i].body_len;
    }
    return head;
}

static void write_ops(struct commit *commit, struct etcd_ops *ops) {
    const struct store_batch *batch = commit->batch;
    const struct etcd_entry entry = {.author = commit->after.author,
                                     .revision = commit->after.revision,
                                     .time_ms = commit->after.time_ms,
                                     .batch = {.changes = batch->changes,
                                               .change_count = batch->change_count,
                                               .sealed = batch->sealed,
                                               .sealed_count = batch->sealed_count,
                                               .settings = batch->settings,
                                               .setting_count = batch->setting_count,
                                               .base = batch->base}};
    etcd_ops_put(ops, "head", NULL, '/', NULL);
    etcd_head_write(&commit->after, &ops->bytes);
    etcd_ops_end(ops);
    etcd_ops_put(ops, "log/", commit->sequence, '/', NULL);
    etcd_entry_write(&entry, &ops->bytes);
    etcd_ops_end(ops);
    add_changes(ops, batch);
    add_others(ops, batch);
}

static int commit_guarded(struct etcd_store *store, const struct store_batch *batch, struct err *err) {
    struct commit commit = {.store = store, .batch = batch};
    struct etcd_ops ops = {.prefix = store->prefix};
    if (check_values(batch, err) != 0 || find_base(store, batch->base, &commit.before, err) != 0) {
        return -1;
    }
    if (batch->change_count > 0 && batch->changes[0].revision <= commit.before.revision) {
        return err_set(err, ERR_INTERNAL,
                       "state and store disagree: revision %" PRIu64 " is to be written but %" PRIu64
                       " is already stored; nothing was written; restart the service",
                       batch->changes[0].revision, commit.before.revision);
    }
    commit.after = head_after(store, &commit.before, batch);
    etcd_sequence(commit.after.commit, commit.sequence);
    write_ops(&commit, &ops);
    add_audit(&ops, store, batch);
    etcd_add_transitions(&ops, store, batch);
    etcd_ops_fold(&ops);
    int result = run(&commit, &ops, err);
    etcd_ops_done(&ops);
    if (result == 0) {
        etcd_note_head(store, &commit.after);
    }
    return result;
}

/* Entries of the trail and transitions have keys of their own: to write them twice does no harm. */
static int commit_unguarded(struct etcd_store *store, const struct store_batch *batch, struct err *err) {
    struct etcd_ops ops = {.prefix = store->prefix};
    struct buf body = BUF_INIT;
    json_t *answer = NULL;
    add_audit(&ops, store, batch);
    etcd_add_transitions(&ops, store, batch);
    etcd_ops_fold(&ops);
    buf_add_str(&body, "{\"success\":[");
    size_t requests = etcd_ops_write(&ops, true, &body);
    buf_add_str(&body, "]}");
    int result = etcd_ask_any(store->link, "/v3/kv/txn", &body, COMMIT_SECONDS, &answer, err);
    if (result == 0 && json_array_size(json_object_get(answer, "responses")) != requests) {
        result = err_set(err, ERR_INTERNAL, "etcd has kept only a part of the trail or the transitions");
    }
    json_decref(answer);
    buf_done(&body);
    etcd_ops_done(&ops);
    return result;
}

int etcd_store_commit(struct store *base, const struct store_batch *batch, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    bool guarded = batch->change_count + batch->sealed_count + batch->setting_count > 0;
    if (etcd_store_check(base, err) != 0) {
        return err_wrap(err, "nothing was written");
    }
    if (guarded) {
        return commit_guarded(store, batch, err);
    }
    /* Versions of lists are not kept here: a batch of nothing else has nothing to ask for. */
    return batch->audit_count + batch->transition_count > 0 ? commit_unguarded(store, batch, err) : 0;
}
