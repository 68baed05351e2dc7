/*
 * The writing half of the SQLite store: commit and drop_audit, each one transaction and one sync.
 *
 * Runs on the committing thread alone, on the writer's connection; no lock. Whatever goes wrong, the
 * transaction is rolled back before the call returns, so the next call starts clean.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "sqlite_store.h"
#include "sqlite_wal.h"

static const char *const commit_action = "write to the database";
static const char *const drop_action = "trim the audit trail";

/* Outside of a transaction, or -1: the connection is then tried again by the next call. */
static int roll_back(struct sqlite_store *store, struct err *err) {
    if (sqlite3_get_autocommit(store->writer.db) != 0) {
        return 0; /* SQLite rolls back by itself after some errors */
    }
    return query_simple(&store->writer, QUERY_ROLLBACK, "take back a failed write", err);
}

/* After a failed transaction: back to the state before it, in memory and on disk. */
static void undo(struct sqlite_store *store, bool committing) {
    struct err err = ERR_INIT;
    if (!store->is_writable) {
        return; /* nothing was begun */
    }
    if (roll_back(store, &err) < 0) {
        log_event(LOG_ERROR, "store-rollback-failed", LOG_STR("error", err.text));
        store->tail_in_doubt = store->tail_in_doubt || committing;
        return;
    }
    if (!committing) {
        return;
    }
    err_clear(&err);
    store->tail_in_doubt = wal_discard_tail(&store->writer, &err) < 0;
    if (store->tail_in_doubt) {
        /* The next successful commit overwrites it. */
        log_event(LOG_ERROR, "store-failed-write-in-log", LOG_STR("error", err.text),
                  LOG_STR("consequence", "if the process dies before the next successful write, the failed "
                                         "write may appear after the restart"));
    }
}

void sqlite_write_undo(struct sqlite_store *store) {
    undo(store, false);
}

int sqlite_write_meta(struct connection *connection, const struct store_meta *meta, const char *action,
                      struct err *err) {
    struct query query;
    query_begin(&query, connection, QUERY_META_SET);
    query_bind_number(&query, 1, (int64_t)meta->revision);
    query_bind_number(&query, 2, (int64_t)meta->compacted);
    query_bind_number(&query, 3, (int64_t)meta->change_rows);
    query_bind_number(&query, 4, (int64_t)meta->commits);
    query_bind_number(&query, 5, (int64_t)meta->content);
    query_bind_blob(&query, 6, meta->uuid, sizeof(meta->uuid));
    query_bind_number(&query, 7, (int64_t)meta->past);
    query_bind_number(&query, 8, meta->past_ms);
    query_bind_number(&query, 9, (int64_t)meta->change_bytes);
    return query_run(&query, action, err);
}

int sqlite_write_begin(struct sqlite_store *store, struct store_meta *ret_meta, struct err *err) {
    if (sqlite_make_writable(store, err) < 0 || place_check(store, err) < 0 || roll_back(store, err) < 0) {
        return -1;
    }
    if (query_simple(&store->writer, QUERY_BEGIN_WRITE, commit_action, err) < 0) {
        return -1;
    }
    return sqlite_read_meta(&store->writer, ret_meta, err);
}

/* COMMIT, with `meta` as it is afterwards, and what follows from success or failure. */
int sqlite_write_end(struct sqlite_store *store, struct store_meta *meta, const char *action,
                     struct err *err) {
    struct query query;
    meta->commits++;
    if (sqlite_write_meta(&store->writer, meta, action, err) < 0) {
        sqlite_write_undo(store);
        return -1;
    }
    query_begin(&query, &store->writer, QUERY_COMMIT);
    if (query_run(&query, action, err) < 0) {
        /* A commit refused for a constraint wrote nothing; any other may have written frames. */
        undo(store, (query.code & 0xff) != SQLITE_CONSTRAINT);
        return -1;
    }
    store->tail_in_doubt = false;
    history_raise(store, meta);
    checkpointer_note(&store->checkpointer, &store->writer, store->log_frames);
    return 0;
}

static int disagree(const struct store_change *change, const char *finding, struct err *err) {
    return err_set(err, ERR_INTERNAL,
                   "state and store disagree: %s %s at revision %" PRIu64
                   " %s; nothing was written; restart the service",
                   change->kind, change->name, change->revision, finding);
}

/* The digest of an object as it is stored now; 0 = there is none. */
static int stored_digest(struct connection *writer, const struct store_change *change, uint64_t *ret,
                         struct err *err) {
    struct query query;
    query_begin(&query, writer, QUERY_OBJECT_GET);
    query_bind_text(&query, 1, change->kind);
    query_bind_text(&query, 2, change->name);
    int stepped = query_step(&query, commit_action, err);
    if (stepped == 1) {
        size_t body_len = 0;
        const char *body = query_text(&query, 1, &body_len, err);
        stepped = body != NULL ? 0 : -1;
        if (body != NULL) {
            *ret = sqlite_object_digest(change->kind, change->name, (uint64_t)query_number(&query, 0), body,
                                        body_len);
        }
    }
    query_end(&query);
    return stepped;
}

/* What the change makes of the sum of all objects. */
static int count_content(struct connection *writer, const struct store_change *change, uint64_t *content,
                         struct err *err) {
    uint64_t before = 0;
    if (change->op != STORE_CREATE && stored_digest(writer, change, &before, err) < 0) {
        return -1;
    }
    *content -= before;
    if (change->op != STORE_DELETE) {
        *content += sqlite_object_digest(change->kind, change->name, change->revision, change->body,
                                         change->body_len);
    }
    return 0;
}

static int write_object(struct connection *writer, const struct store_change *change, struct err *err) {
    static const enum query_id ids[] = {
        [STORE_CREATE] = QUERY_OBJECT_CREATE,
        [STORE_UPDATE] = QUERY_OBJECT_UPDATE,
        [STORE_DELETE] = QUERY_OBJECT_DELETE,
    };
    struct query query;
    query_begin(&query, writer, ids[change->op]);
    query_bind_text(&query, 1, change->kind);
    query_bind_text(&query, 2, change->name);
    if (change->op != STORE_DELETE) {
        query_bind_number(&query, 3, (int64_t)change->revision);
        query_bind_text_len(&query, 4, change->body, change->body_len);
    }
    int failed = query_run(&query, commit_action, err);
    if (failed < 0 && change->op == STORE_CREATE && query.code == SQLITE_CONSTRAINT_UNIQUE) {
        return disagree(change, "is to be created but exists", err);
    }
    if (failed == 0 && sqlite3_changes(writer->db) != 1) {
        return disagree(change,
                        change->op == STORE_UPDATE ? "is to be updated but does not exist"
                                                   : "is to be deleted but does not exist",
                        err);
    }
    return failed;
}

static int write_change(struct connection *writer, const struct store_change *change, struct store_meta *meta,
                        struct err *err) {
    if (count_content(writer, change, &meta->content, err) < 0 || write_object(writer, change, err) < 0) {
        return -1;
    }
    struct query query;
    query_begin(&query, writer, QUERY_CHANGE_ADD);
    query_bind_number(&query, 1, (int64_t)change->revision);
    query_bind_number(&query, 2, change->op);
    query_bind_text(&query, 3, change->kind);
    query_bind_text(&query, 4, change->name);
    query_bind_number(&query, 5, change->time_ms);
    query_bind_text(&query, 6, change->actor);
    query_bind_text_len(&query, 7, change->body, change->body_len);
    bool first = change->txn == 0 || change->txn == change->revision;
    query_bind_number(&query, 8, (int64_t)(change->txn != 0 ? change->txn : change->revision));
    query_bind_text(&query, 9, first && change->request != NULL ? change->request : "");
    query_bind_text(&query, 10, first && change->reason != NULL ? change->reason : "");
    meta->change_rows++;
    meta->change_bytes += STORE_CHANGE_BYTES + change->body_len;
    return query_run(&query, commit_action, err);
}

static int write_sealed(struct connection *writer, const struct store_sealed *sealed, struct err *err) {
    struct query query;
    query_begin(&query, writer, sealed->ciphertext != NULL ? QUERY_SEALED_PUT : QUERY_SEALED_DELETE);
    query_bind_text(&query, 1, sealed->object);
    query_bind_text(&query, 2, sealed->item);
    if (sealed->ciphertext != NULL) {
        query_bind_number(&query, 3, (int64_t)sealed->version);
        query_bind_number(&query, 4, (int64_t)sealed->key_id);
        query_bind_blob(&query, 5, sealed->nonce, sealed->nonce_len);
        query_bind_blob(&query, 6, sealed->ciphertext, sealed->ciphertext_len);
    }
    return query_run(&query, commit_action, err);
}

static int write_setting(struct connection *writer, const struct store_setting *setting, struct err *err) {
    struct query query;
    query_begin(&query, writer, setting->value != NULL ? QUERY_SETTING_PUT : QUERY_SETTING_DELETE);
    query_bind_text(&query, 1, setting->name);
    if (setting->value != NULL) {
        query_bind_blob(&query, 2, setting->value, setting->value_len);
    }
    return query_run(&query, commit_action, err);
}

static int write_audit(struct connection *writer, const struct store_audit *audit, struct err *err) {
    struct query query;
    query_begin(&query, writer, audit->again ? QUERY_AUDIT_AGAIN : QUERY_AUDIT_ADD);
    query_bind_number(&query, 1, (int64_t)audit->sequence);
    query_bind_number(&query, 2, audit->time_ms);
    query_bind_text_len(&query, 3, audit->entry, audit->entry_len);
    return query_run(&query, commit_action, err);
}

static int write_batch(struct connection *writer, const struct store_batch *batch, struct store_meta *meta,
                       struct err *err) {
    if (batch->change_count > 0 && batch->changes[0].revision <= meta->revision) {
        return err_set(err, ERR_INTERNAL,
                       "state and store disagree: revision %" PRIu64 " is to be written but %" PRIu64
                       " is already stored; nothing was written; restart the service",
                       batch->changes[0].revision, meta->revision);
    }
    for (size_t i = 0; i < batch->change_count; i++) {
        if (write_change(writer, &batch->changes[i], meta, err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < batch->sealed_count; i++) {
        if (write_sealed(writer, &batch->sealed[i], err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < batch->setting_count; i++) {
        if (write_setting(writer, &batch->settings[i], err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < batch->audit_count; i++) {
        if (write_audit(writer, &batch->audit[i], err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < batch->transition_count; i++) {
        if (sqlite_write_transition(writer, &batch->transitions[i], commit_action, err) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < batch->given_count; i++) {
        if (sqlite_write_given(writer, &batch->given[i], err) != 0) {
            return -1;
        }
    }
    if (batch->change_count > 0) {
        meta->revision = batch->changes[batch->change_count - 1].revision;
    }
    return 0;
}

int sqlite_store_check(struct store *base, struct err *err) {
    const struct sqlite_store *store = (const struct sqlite_store *)base;
    if (!store->is_writable) {
        *err = store->why;
        return -1;
    }
    return place_check(store, err);
}

int sqlite_store_commit(struct store *base, const struct store_batch *batch, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_meta meta;
    if (sqlite_write_begin(store, &meta, err) < 0 || write_batch(&store->writer, batch, &meta, err) < 0) {
        sqlite_write_undo(store);
        return -1;
    }
    return sqlite_write_end(store, &meta, commit_action, err);
}

int sqlite_store_drop_audit(struct store *base, const uint64_t *sequences, size_t count, struct err *err) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct store_meta meta;
    if (sqlite_write_begin(store, &meta, err) < 0) {
        sqlite_write_undo(store);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct query query;
        query_begin(&query, &store->writer, QUERY_AUDIT_DROP);
        query_bind_number(&query, 1, (int64_t)sequences[i]);
        if (query_run(&query, drop_action, err) < 0) {
            undo(store, false);
            return -1;
        }
    }
    return sqlite_write_end(store, &meta, drop_action, err);
}
