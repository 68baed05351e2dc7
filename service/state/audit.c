/*
 * The audit trail, made durable. It is kept in memory (auth's ring, which answers all questions) and in a
 * table of its own, which is the one source of it after a restart: what the change log knows is less (no
 * address, no request, no denial) and has another retention.
 *
 * A write's entry is staged by the committer and stored by the transaction of the write, so there is one
 * exactly when the write was done. All others wait in the ring for a task, about once a second; nobody waits
 * for it, a clean stop stores the rest, and while the disk fails they wait where they are. The ring has its
 * own lock; all else here is the committer's thread, before it starts and after it has stopped.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "state_internal.h"

#define STORE_BATCH 1024 /* entries stored by one transaction: a few milliseconds */

/* ---- as JSON, which the store has and people see ---- */

static void add_revision(struct buf *out, const char *key, uint64_t revision) {
    if (revision != 0) {
        buf_json_key(out, key);
        buf_add_char(out, '"');
        buf_add_u64(out, revision);
        buf_add_char(out, '"');
    }
}

void audit_entry_members(const struct audit_entry *entry, struct buf *out) {
    buf_json_member_str(out, "event", audit_event_name(entry->event));
    buf_json_member_str(out, "user", entry->user);
    buf_json_member_str(out, "source", entry->source);
    buf_json_member_str(out, "verb", entry->verb);
    buf_json_member_str(out, "resource", entry->resource);
    buf_json_member_str(out, "name", entry->name);
    add_revision(out, "before", entry->before);
    add_revision(out, "after", entry->after);
    buf_json_member_str(out, "requestID", entry->request);
    buf_json_member_str(out, "force", entry->force);
    if (entry->count > 1) {
        char last[CLOCK_TEXT_MAX];

        clock_format_millis(entry->last_ms, last);
        buf_json_member_u64(out, "count", entry->count);
        buf_json_member_str(out, "lastTime", last);
    }
}

static int read_revision(const char *text, uint64_t *ret, struct err *err) {
    *ret = 0;
    return text == NULL || u64_parse(text, strlen(text), INT64_MAX, ret)
               ? 0
               : err_set(err, ERR_CORRUPT, "\"%.32s\" is not a revision", text);
}

static int decode(const struct store_audit *row, struct arena *arena, struct audit_entry *ret,
                  struct err *err) {
    struct audit_entry entry = {.sequence = row->sequence, .time_ms = row->time_ms};
    struct audit_form form;

    if (codec_decode_audit(row->entry, row->entry_len, arena, &form, err) < 0 ||
        read_revision(form.before, &entry.before, err) < 0 ||
        read_revision(form.after, &entry.after, err) < 0) {
        return -1;
    }
    if (form.event == NULL || !audit_event_parse(form.event, &entry.event)) {
        return err_set(err, ERR_CORRUPT, "\"%.32s\" is no event", form.event != NULL ? form.event : "");
    }
    entry.user = form.user;
    entry.source = form.source;
    entry.verb = form.verb;
    entry.resource = form.resource;
    entry.name = form.name;
    entry.request = form.request;
    entry.force = form.force;
    entry.count = form.count.set ? (uint64_t)form.count.value : 0;
    if (form.last != NULL && !clock_parse(form.last, strlen(form.last), &entry.last_ms)) {
        return err_set(err, ERR_CORRUPT, "\"%.32s\" is not a time", form.last);
    }
    *ret = entry;
    return 0;
}

/* Rows for a transaction; their texts are in `json`, one after the other. */
static int rows_add(struct audit_rows *rows, uint64_t sequence, const struct audit_entry *entry,
                    struct err *err) {
    struct store_audit *items = base_grow(rows->items, rows->count, &rows->cap, 16, sizeof *items);
    size_t start = rows->json.len;

    if (items == NULL) {
        return err_no_memory(err);
    }
    rows->items = items;
    buf_add_char(&rows->json, '{');
    audit_entry_members(entry, &rows->json);
    buf_add_char(&rows->json, '}');
    if (buf_failed(&rows->json)) {
        return err_no_memory(err);
    }
    rows->items[rows->count++] = (struct store_audit){.sequence = sequence,
                                                      .again = entry->stored,
                                                      .time_ms = entry->time_ms,
                                                      .entry_len = rows->json.len - start};
    return 0;
}

/* After the last one was added. */
static void rows_finish(struct audit_rows *rows) {
    size_t at = 0;

    for (size_t i = 0; i < rows->count; i++) {
        rows->items[i].entry = rows->json.data + at;
        at += rows->items[i].entry_len;
    }
}

static void rows_settle(struct state *state, const struct audit_rows *rows, bool stored) {
    for (size_t i = 0; i < rows->count; i++) {
        audit_settle(state->trail.audit, rows->items[i].sequence, stored);
    }
}

static void rows_done(struct audit_rows *rows) {
    free(rows->items);
    buf_done(&rows->json);
    *rows = (struct audit_rows){.count = 0};
}

/* ---- writes, with their own transaction ---- */

const char *write_verb(const struct write *write) {
    switch (write->op) {
    case WRITE_CREATE:
        return "create";
    case WRITE_PATCH:
        return write->created ? "create" : "patch";
    case WRITE_DELETE:
        return "delete";
    case WRITE_REPLACE:
    case WRITE_APPLY:
        break;
    }
    return write->created ? "create" : "update";
}

const char *write_forced(const struct write *first) {
    return first->force == 0 ? NULL : change_force_text(first->force);
}

bool write_changed(const struct write *write) {
    return write->err.code == ERR_NONE && write->record != NULL && !write->dry_run && !write->unchanged;
}

int trail_stage(struct state *state, const struct write *writes, int64_t now_ms, struct audit_rows *ret,
                struct err *err) {
    *ret = (struct audit_rows){.count = 0};
    for (const struct write *first = writes; first != NULL; first = write_next(first)) {
        const char *force = write_forced(first);
        for (const struct write *write = first; write != NULL; write = write->also) {
            const struct audit_entry entry = {.time_ms = now_ms,
                                              .event = AUDIT_WRITE,
                                              .user = write->actor != NULL ? write->actor : "",
                                              .source = write->source,
                                              .verb = write_verb(write),
                                              .resource = kind_info(write->kind)->plural,
                                              .name = write->record != NULL ? write->record->key : NULL,
                                              .request = write->request,
                                              .force = force,
                                              .before = write->before,
                                              .after = write->record != NULL ? write->record->revision : 0};

            if (write_changed(write) &&
                rows_add(ret, audit_stage(state->trail.audit, &entry), &entry, err) < 0) {
                trail_settle(state, ret, false);
                return -1;
            }
        }
    }
    rows_finish(ret);
    return 0;
}

void trail_settle(struct state *state, struct audit_rows *rows, bool stored) {
    rows_settle(state, rows, stored);
    rows_done(rows);
}

/* ---- everything else, in the background ---- */

/* One transaction with up to `max` waiting entries. *ret_count: how many it stored. */
static int store_waiting(struct state *state, size_t max, size_t *ret_count, struct err *err) {
    struct audit_rows rows = {.count = 0};
    struct audit_entry *entries;
    struct arena arena;
    size_t count;
    int rc;

    arena_init(&arena, 16384);
    rc = audit_take_waiting(state->trail.audit, max, &arena, &entries, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = rows_add(&rows, entries[i].sequence, &entries[i], err);
    }
    if (rc == 0) {
        rows_finish(&rows);
        rc = store_commit(state->store, &(struct store_batch){.audit = rows.items, .audit_count = rows.count},
                          err);
    }
    if (rc == 0) {
        rows_settle(state, &rows, true);
        *ret_count = count;
    }
    rows_done(&rows);
    arena_done(&arena);
    return rc;
}

/* Drop what the retention does not want any more, a transaction's worth. true: there is more of it. */
static bool trim(struct state *state) {
    struct trail *trail = &state->trail;
    struct err err = ERR_INIT;

    if (trail->drop_count == 0) {
        trail->drop_count = audit_take_dropped(trail->audit, trail->drops, TRAIL_DROPS);
    }
    if (trail->drop_count == 0) {
        return false;
    }
    if (store_drop_audit(state->store, trail->drops, trail->drop_count, &err) < 0) {
        log_event(LOG_WARN, "audit-trim-failed", LOG_STR("error", err.text));
        return false; /* the next time: they are still noted */
    }
    trail->drop_count = 0;
    return audit_dropped(trail->audit) >= TRAIL_DROPS;
}

static int task_store(struct state *state, struct task *task, struct err *err) {
    struct trail *trail = &state->trail;
    size_t count;

    (void)task;
    if (store_waiting(state, STORE_BATCH, &count, err) < 0) {
        if (!trail->failing) {
            log_event(LOG_ERROR, "audit-not-stored", LOG_INT("entries", audit_waiting(trail->audit)),
                      LOG_STR("error", err->text),
                      LOG_STR("text", "the entries are in this log, and wait to be stored"));
        }
        trail->failing = true;
        state_set_failure(state, err);
        return -1;
    }
    if (trail->failing) {
        log_event(LOG_INFO, "audit-stored-again");
        trail->failing = false;
    }
    trail->again = trim(state) || audit_waiting(trail->audit) >= STORE_BATCH;
    return 0;
}

static void submit(struct state *state);

static void stored(struct task *task) {
    struct state *state = task->arg;
    bool again = task->err.code == ERR_NONE && state->trail.again;

    atomic_store(&state->trail.storing, false);
    if (again) {
        submit(state); /* not in one task: writes come in between */
    }
}

static void submit(struct state *state) {
    struct trail *trail = &state->trail;
    struct err err = ERR_INIT;

    if (atomic_exchange(&trail->storing, true)) {
        return;
    }
    trail->task = (struct task){.run = task_store, .done = stored, .arg = state};
    if (committer_submit(state, &trail->task, &err) != 0) {
        atomic_store(&trail->storing, false); /* busy or shutting down: the next time, or the end, will do */
    }
}

void state_audit(struct state *state, const struct audit_entry *entry) {
    audit_add(state->trail.audit, entry);
}

struct audit *state_audit_trail(struct state *state) {
    return state->trail.audit;
}

void state_audit_repeated(struct state *state, const struct audit_entry *entry, const void *what,
                          size_t what_len) {
    (void)audit_add_repeated(state->trail.audit, entry, what, what_len);
}

void state_flush_audit(struct state *state) {
    struct err failure = ERR_INIT;
    bool due = audit_waiting(state->trail.audit) > 0 || audit_dropped(state->trail.audit) >= TRAIL_DROPS;

    /* While the store fails, the committer finds out by itself when it works again. */
    if (due && state_writable(state, &failure) == 0) {
        submit(state);
    }
}

/* ---- start and stop ---- */

struct restoring {
    struct state *state;
    size_t damaged;
};

static int restore_row(void *arg, const struct store_audit *row, struct err *err) {
    struct restoring *restoring = arg;
    struct err damage = ERR_INIT;
    struct audit_entry entry;
    struct arena arena;

    (void)err;
    arena_init(&arena, 1024);
    if (decode(row, &arena, &entry, &damage) == 0) {
        audit_restore(restoring->state->trail.audit, &entry);
    } else {
        audit_restore_unreadable(restoring->state->trail.audit, row->sequence);
        if (restoring->damaged++ == 0) {
            log_event(LOG_ERROR, "audit-unreadable", LOG_INT("sequence", row->sequence),
                      LOG_STR("error", damage.text));
        }
    }
    arena_done(&arena);
    return 0;
}

struct seeding {
    struct audit_rows rows;
    uint64_t sequence;
};

static int seed_change(void *arg, const struct store_change *change, struct err *err) {
    static const char *const VERBS[] = {
        [STORE_CREATE] = "create", [STORE_UPDATE] = "update", [STORE_DELETE] = "delete"};
    const struct kind_info *kind = kind_by_name(change->kind);
    const struct audit_entry entry = {.event = AUDIT_WRITE,
                                      .time_ms = change->time_ms,
                                      .user = change->actor,
                                      .verb = VERBS[change->op],
                                      .resource = kind != NULL ? kind->plural : change->kind,
                                      .name = change->name,
                                      .after = change->revision};
    struct seeding *seeding = arg;

    return rows_add(&seeding->rows, ++seeding->sequence, &entry, err);
}

/* A database from before there was a table for the trail: the newest `keep` of what the change log has are
 * how it begins. In one transaction, because a trail that has begun is not seeded again. */
static int seed(struct store *store, uint64_t keep, struct err *err) {
    struct seeding seeding = {.sequence = 0};
    struct store_status status;
    uint64_t after;
    int rc;

    if (store_status(store, &status, err) < 0) {
        return -1;
    }
    after = status.compacted;
    if (status.revision > keep && status.revision - keep > after) {
        after = status.revision - keep;
    }
    rc = store_read_changes(store, after, 0, seed_change, &seeding, err);
    if (rc == 0) {
        rows_finish(&seeding.rows);
        rc = store_commit(
            store, &(struct store_batch){.audit = seeding.rows.items, .audit_count = seeding.rows.count},
            err);
    }
    rows_done(&seeding.rows);
    return rc;
}

/* The entries with one of the newest `keep` sequences. A trail that has not begun is seeded with `seed_keep`
 * first. */
static int read_trail(struct store *store, uint64_t keep, uint64_t seed_keep,
                      int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                      uint64_t *ret_newest, struct err *err) {
    if (store_read_audit(store, keep, row, arg, ret_newest, err) < 0) {
        return -1;
    }
    if (*ret_newest > 0) {
        return 0;
    }
    return seed(store, seed_keep, err) < 0 ? -1 : store_read_audit(store, keep, row, arg, ret_newest, err);
}

static int ignore_row(void *arg, const struct store_audit *row, struct err *err) {
    (void)arg;
    (void)row;
    (void)err;
    return 0;
}

int trail_append(struct store *store, const struct audit_entry *entry, struct audit_rows *ret,
                 struct err *err) {
    uint64_t newest;

    *ret = (struct audit_rows){.count = 0};
    if (read_trail(store, 0, STATE_KEEP_AUDIT_DEFAULT, ignore_row, NULL, &newest, err) < 0) {
        return -1;
    }
    if (rows_add(ret, newest + 1, entry, err) < 0) {
        rows_done(ret);
        return -1;
    }
    rows_finish(ret);
    return 0;
}

void trail_appended(struct audit_rows *rows) {
    rows_done(rows);
}

int trail_open(struct state *state, uint64_t keep, struct err *err) {
    struct restoring restoring = {.state = state};
    uint64_t newest;

    if (audit_new((size_t)keep, &state->trail.audit, err) < 0 ||
        read_trail(state->store, INT64_MAX, keep, restore_row, &restoring, &newest, err) < 0) {
        return -1;
    }
    if (restoring.damaged > 1) {
        log_event(LOG_ERROR, "audit-unreadable", LOG_INT("entries", restoring.damaged));
    }
    audit_skip(state->trail.audit, newest);
    return 0;
}

void trail_close(struct state *state) {
    struct audit *audit = state->trail.audit;
    struct err err = ERR_INIT;
    size_t count = 0;
    int rc = 0;

    if (audit == NULL) {
        return;
    }
    do {
        rc = store_waiting(state, STORE_BATCH, &count, &err);
    } while (rc == 0 && count == STORE_BATCH);
    if (rc < 0) {
        log_event(LOG_ERROR, "audit-not-stored", LOG_INT("entries", audit_waiting(audit)),
                  LOG_STR("error", err.text), LOG_STR("text", "this log has them"));
    }
    audit_free(audit);
}
