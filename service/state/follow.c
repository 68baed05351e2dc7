/*
 * Following: changes that somebody else has committed to the store (another process, where the store is a
 * replicated one), read from its change log into the picture, the lists and the history as if they were ours.
 *
 * A task on the committer's thread. What the store's own thread does is to set a flag and to queue that task.
 * Only objects are followed; settings (tokens, the vault's keys) are read at the start.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "state_internal.h"

/* Changes as the log has them, copied: the store must not be read from within its own callbacks. */
struct foreign {
    struct arena arena;
    struct store_change *items;
    size_t count;
    size_t cap;
    uint64_t revision; /* of the last one */
    bool has_secrets;
    struct sealed_rows sealed; /* of all Secrets, when some have changed; not older than the changes */
};

static int keep_change(void *arg, const struct store_change *change, struct err *err) {
    struct foreign *foreign = arg;
    struct store_change *items = base_grow(foreign->items, foreign->count, &foreign->cap, 64, sizeof *items);
    struct store_change *copy;

    if (items == NULL) {
        return err_no_memory(err);
    }
    foreign->items = items;
    copy = &foreign->items[foreign->count];
    *copy = *change;
    copy->kind = arena_strdup(&foreign->arena, change->kind);
    copy->name = arena_strdup(&foreign->arena, change->name);
    copy->actor = arena_strdup(&foreign->arena, change->actor);
    copy->body = arena_strndup(&foreign->arena, change->body, change->body_len);
    if (foreign->arena.failed) {
        return err_no_memory(err);
    }
    foreign->count++;
    foreign->revision = change->revision;
    foreign->has_secrets = foreign->has_secrets || strcmp(change->kind, kind_info(KIND_SECRET)->name) == 0;
    return 0;
}

static int keep_sealed(void *arg, const struct store_sealed *row, struct err *err) {
    return sealed_rows_add(arg, row, err);
}

/* The changes since foreign->revision, and sealed values of the same moment. */
static int foreign_read(struct store *store, struct foreign *foreign, struct err *err) {
    const struct store_reader reader = {.sealed = keep_sealed, .arg = &foreign->sealed};
    struct store_status status;

    do {
        if (store_read_changes(store, foreign->revision, 0, keep_change, foreign, err) < 0) {
            return -1;
        }
        status.revision = foreign->revision;
        if (foreign->has_secrets) {
            sealed_rows_done(&foreign->sealed);
            foreign->sealed = (struct sealed_rows){0};
            if (store_load(store, &reader, err) < 0 || store_status(store, &status, err) < 0) {
                return -1;
            }
        }
    } while (status.revision != foreign->revision);
    return 0;
}

static void foreign_done(struct foreign *foreign) {
    sealed_rows_done(&foreign->sealed);
    arena_done(&foreign->arena);
    free(foreign->items);
}

/* The sealed values are those of a Secret's newest state; earlier ones pass by without. */
static bool is_newest(const struct foreign *foreign, size_t i) {
    for (size_t k = i + 1; k < foreign->count; k++) {
        if (strcmp(foreign->items[k].name, foreign->items[i].name) == 0 &&
            strcmp(foreign->items[k].kind, foreign->items[i].kind) == 0) {
            return false;
        }
    }
    return foreign->items[i].op != STORE_DELETE;
}

static int follow_one(struct draft *draft, const struct foreign *foreign, size_t i, struct err *err) {
    const struct store_change *change = &foreign->items[i];
    const struct kind_info *info = kind_by_name(change->kind);
    const struct record *before = info == NULL ? NULL : draft_get(draft, info->kind, change->name);
    bool sealed = info != NULL && info->kind == KIND_SECRET && is_newest(foreign, i);
    struct record *record;
    int rc;

    if (state_load_record(sealed ? draft->vault : NULL, &foreign->sealed, change->kind, change->name,
                          change->body, change->body_len, &record, err) < 0) {
        return -1;
    }
    if ((before == NULL) != (change->op == STORE_CREATE) || record->revision != change->revision) {
        record_unref(record);
        return err_set(err, ERR_CORRUPT,
                       "the change log does not go on from what was loaded (%s \"%s\" at revision %llu); "
                       "restart the service",
                       change->kind, change->name, (unsigned long long)change->revision);
    }
    draft->revision = change->revision;
    rc = draft_add(draft, change->op, info->kind, before, record, NULL, err);
    record_unref(record);
    return rc;
}

int follow_read(struct state *state, struct draft *draft, struct err *err) {
    struct foreign foreign = {.revision = draft->revision};
    int rc;

    arena_init(&foreign.arena, 0);
    rc = foreign_read(state->store, &foreign, err);
    for (size_t i = 0; i < foreign.count && rc == 0; i++) {
        rc = follow_one(draft, &foreign, i, err);
    }
    foreign_done(&foreign);
    return rc;
}

/* ---- when the store says so ---- */

static int task_follow(struct state *state, struct task *task, struct err *err) {
    (void)task;
    while (atomic_exchange(&state->follow.changed, false)) {
        if (committer_follow(state, err) < 0) {
            log_event(LOG_ERROR, "following-failed", LOG_STR("error", err->text));
            return -1;
        }
    }
    return 0;
}

static void follow_submit(struct state *state);

static void follow_done(struct task *task) {
    struct state *state = task->arg;

    atomic_store(&state->follow.queued, false);
    if (atomic_load(&state->follow.changed)) {
        follow_submit(state); /* it came after the task had looked */
    }
}

static void follow_submit(struct state *state) {
    struct err busy = ERR_INIT;

    if (atomic_exchange(&state->follow.queued, true)) {
        return;
    }
    state->follow.task = (struct task){.run = task_follow, .done = follow_done, .arg = state};
    if (committer_submit(state, &state->follow.task, &busy) != 0) {
        atomic_store(&state->follow.queued, false); /* the next change, or a commit's conflict, does it */
    }
}

void follow_changed(void *arg) {
    struct state *state = arg;

    atomic_store(&state->follow.changed, true);
    follow_submit(state);
}
