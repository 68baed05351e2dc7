/*
 * The past in etcd: the log read as history, and what is dropped of it.
 *
 * The log has one key for each transaction, so the place of a revision or a time in it is searched by halves.
 * What is dropped from the log leaves the newest change of each object in past/ (etcd_compact.c): together
 * with the log behind it that tells every later state.
 *
 * From any thread; no locks.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "etcd_store.h"

/* ---- places in the log ---- */

struct log_place {
    uint64_t revision;
    int64_t time_ms;
    bool found;
};

static int place_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    struct log_place *place = arg;
    struct etcd_entry entry;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_entry_read(kv->value, kv->value_len, &arena, &entry, err);
    if (result == 0) {
        *place = (struct log_place){.revision = entry.revision, .time_ms = entry.time_ms, .found = true};
    }
    arena_done(&arena);
    return result;
}

/* The first transaction after which the revision is above `revision`, or the time above `time_ms`, whichever
 * is not at its end; one more than the newest when there is none. */
static int find_commit(struct etcd_store *store, const struct etcd_head *head, const struct etcd_mark *mark,
                       uint64_t revision, int64_t time_ms, int64_t at, uint64_t *ret, struct err *err) {
    uint64_t low = mark->commit + 1;
    uint64_t high = head->commit + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct log_place place = {.found = false};
        char from[ETCD_SEQUENCE_MAX];
        etcd_sequence(middle, from);
        const struct etcd_range range = {.room = "log/", .from = from, .at = at, .limit = 1};
        if (etcd_range_each(store, &range, place_row, &place, err) != 0) {
            return -1;
        }
        if (!place.found || place.revision > revision || place.time_ms > time_ms) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret = low;
    return 0;
}

/* ---- changes ---- */

struct walk {
    int (*row)(void *arg, const struct store_change *change, struct err *err);
    void *arg;
    struct store_history_query query;
    size_t passed;
};

static bool is_wanted(const struct walk *walk, const struct store_change *change) {
    const struct store_history_query *query = &walk->query;
    return change->revision > query->after && (query->below == 0 || change->revision < query->below) &&
           (query->kind == NULL || strcmp(change->kind, query->kind) == 0) &&
           (query->kind == NULL || query->name == NULL || strcmp(change->name, query->name) == 0);
}

static int walk_row(void *arg, const struct etcd_kv *kv, struct err *err) {
    struct walk *walk = arg;
    struct etcd_entry entry;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_entry_read(kv->value, kv->value_len, &arena, &entry, err);
    size_t count = result == 0 ? entry.batch.change_count : 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        const struct store_change *change =
            &entry.batch.changes[walk->query.oldest_first ? i : count - 1 - i];
        if (is_wanted(walk, change)) {
            result = walk->row(walk->arg, change, err);
            walk->passed++;
        }
        if (result == 0 && walk->query.limit > 0 && walk->passed == walk->query.limit) {
            result = 1;
        }
    }
    arena_done(&arena);
    return result;
}

/* The whole log is walked where an object is asked for: there is no index of them. */
static int walk_log(struct etcd_store *store, struct walk *walk, const struct etcd_head *head,
                    const struct etcd_mark *mark, int64_t at, struct err *err) {
    uint64_t first, end = head->commit + 1;
    const struct store_history_query *query = &walk->query;
    char from[ETCD_SEQUENCE_MAX];
    char to[ETCD_SEQUENCE_MAX];
    if (find_commit(store, head, mark, query->after, INT64_MAX, at, &first, err) != 0 ||
        (query->below > 0 &&
         find_commit(store, head, mark, query->below - 1, INT64_MAX, at, &end, err) != 0)) {
        return -1;
    }
    etcd_sequence(first, from);
    etcd_sequence(end <= head->commit ? end + 1 : end, to);
    const struct etcd_range range = {
        .room = "log/", .from = from, .to = to, .at = at, .descending = !query->oldest_first};
    return etcd_range_each(store, &range, walk_row, walk, err);
}

int etcd_store_read_changes(struct store *base, uint64_t after, size_t limit,
                            int (*row)(void *arg, const struct store_change *change, struct err *err),
                            void *arg, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct walk walk = {
        .row = row, .arg = arg, .query = {.after = after, .limit = limit, .oldest_first = true}};
    struct etcd_head head;
    struct etcd_mark mark;
    int64_t now;
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    if (after < mark.revision) {
        return err_set(err, ERR_EXPIRED, "the changes after %" PRIu64 " are no longer in the log", after);
    }
    return after >= head.revision ? 0 : walk_log(store, &walk, &head, &mark, now, err);
}

int etcd_store_read_history(struct store *base, const struct store_history_query *query,
                            int (*row)(void *arg, const struct store_change *change, struct err *err),
                            void *arg, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct walk walk = {.row = row, .arg = arg, .query = *query};
    struct etcd_head head;
    struct etcd_mark mark;
    int64_t now;
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    walk.query.after = query->after > mark.revision ? query->after : mark.revision;
    return walk.query.after >= head.revision ? 0 : walk_log(store, &walk, &head, &mark, now, err);
}

static int err_forgotten(const struct etcd_mark *mark, struct err *err) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(mark->time_ms, time);
    return err_set(err, ERR_EXPIRED, "the oldest revision that is still known is %" PRIu64 " (of %s)",
                   mark->revision, time);
}

int etcd_store_find_time(struct store *base, int64_t time_ms, uint64_t *ret_revision, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct log_place place = {.found = false};
    struct etcd_head head;
    struct etcd_mark mark;
    uint64_t commit;
    int64_t now;
    char from[ETCD_SEQUENCE_MAX];
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    if (mark.revision != 0 && time_ms < mark.time_ms) {
        return err_forgotten(&mark, err);
    }
    if (find_commit(store, &head, &mark, UINT64_MAX, time_ms, now, &commit, err) != 0) {
        return -1;
    }
    if (commit <= mark.commit + 1) {
        *ret_revision = mark.revision;
        return 0;
    }
    etcd_sequence(commit - 1, from);
    const struct etcd_range range = {.room = "log/", .from = from, .at = now, .limit = 1};
    if (etcd_range_each(store, &range, place_row, &place, err) != 0) {
        return -1;
    }
    *ret_revision = place.revision;
    return 0;
}

/* ---- a state of the past ---- */

/* An object that was changed since. */
struct past_object {
    const char *kind;
    const char *name;
    size_t order; /* in which they were changed */
    bool settled; /* what it was is known */
    bool existed;
    struct store_change change; /* what it was */
};

struct past {
    struct arena arena;
    struct past_object *items; /* sorted by keep_first */
    size_t count;
    size_t cap;
    size_t open; /* not settled */
};

static int compare_objects(const void *a, const void *b) {
    const struct past_object *one = a;
    const struct past_object *other = b;
    int order = strcmp(one->kind, other->kind);
    return order != 0 ? order : strcmp(one->name, other->name);
}

static int compare_changes(const void *a, const void *b) {
    const struct past_object *one = a;
    const struct past_object *other = b;
    int order = compare_objects(a, b);
    return order != 0 ? order : (one->order > other->order) - (one->order < other->order);
}

static int note_changed(void *arg, const struct store_change *change, struct err *err) {
    struct past *past = arg;
    struct past_object *items = base_grow(past->items, past->count, &past->cap, 64, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    past->items = items;
    items[past->count] = (struct past_object){.kind = arena_strdup(&past->arena, change->kind),
                                              .name = arena_strdup(&past->arena, change->name),
                                              .order = past->count,
                                              .settled = change->op == STORE_CREATE};
    past->count++;
    return past->arena.failed ? err_no_memory(err) : 0;
}

/* Of several changes of one object only the first says whether it was there before. */
static void keep_first(struct past *past) {
    size_t kept = 0;
    if (past->count > 0) {
        qsort(past->items, past->count, sizeof(*past->items), compare_changes);
    }
    for (size_t i = 0; i < past->count; i++) {
        if (kept == 0 || compare_objects(&past->items[kept - 1], &past->items[i]) != 0) {
            past->items[kept++] = past->items[i];
        }
    }
    past->count = kept;
    for (size_t i = 0; i < kept; i++) {
        past->open += !past->items[i].settled;
    }
}

static struct past_object *find_object(struct past *past, const struct store_change *change) {
    const struct past_object wanted = {.kind = change->kind, .name = change->name};
    return past->count == 0 ? NULL
                            : bsearch(&wanted, past->items, past->count, sizeof(wanted), compare_objects);
}

static int settle(struct past *past, struct past_object *object, const struct store_change *change,
                  struct err *err) {
    struct arena *arena = &past->arena;
    object->settled = true;
    past->open--;
    if (change->op == STORE_DELETE) {
        return 0;
    }
    object->existed = true;
    object->change = *change;
    object->change.kind = object->kind;
    object->change.name = object->name;
    object->change.actor = arena_strdup(arena, change->actor);
    object->change.body = arena_strndup(arena, change->body, change->body_len);
    object->change.request = arena_strdup(arena, change->request);
    object->change.reason = arena_strdup(arena, change->reason);
    return arena->failed ? err_no_memory(err) : 0;
}

static int settle_backward(void *arg, const struct store_change *change, struct err *err) {
    struct past *past = arg;
    struct past_object *object = find_object(past, change);
    int result = object != NULL && !object->settled ? settle(past, object, change, err) : 0;
    return result != 0 ? result : past->open == 0;
}

/* From what was left of the log that is gone. */
static int settle_base(void *arg, const struct etcd_kv *kv, struct err *err) {
    struct past *past = arg;
    struct store_change change;
    struct arena arena;
    arena_init(&arena, 0);
    int result = etcd_change_read(kv->value, kv->value_len, &arena, &change, err);
    struct past_object *object = result == 0 ? find_object(past, &change) : NULL;
    if (object != NULL && !object->settled) {
        result = settle(past, object, &change, err);
    }
    arena_done(&arena);
    return result;
}

static int gather_past(struct etcd_store *store, struct past *past, uint64_t revision, uint64_t upto,
                       const struct etcd_head *head, const struct etcd_mark *mark, int64_t at,
                       struct err *err) {
    struct walk since = {.row = note_changed,
                         .arg = past,
                         .query = {.after = revision, .below = upto + 1, .oldest_first = true}};
    struct walk before = {
        .row = settle_backward, .arg = past, .query = {.after = mark->revision, .below = revision + 1}};
    if (walk_log(store, &since, head, mark, at, err) != 0) {
        return -1;
    }
    keep_first(past);
    if (past->open > 0 && revision > mark->revision && walk_log(store, &before, head, mark, at, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < past->count && past->open > 0; i++) {
        const struct past_object *object = &past->items[i];
        char *from = object->settled ? NULL : arena_printf(&past->arena, "%s/%s", object->kind, object->name);
        if (!object->settled && from == NULL) {
            return err_no_memory(err);
        }
        const struct etcd_range range = {.room = "past/", .from = from, .at = at, .limit = 1};
        if (!object->settled && etcd_range_each(store, &range, settle_base, past, err) != 0) {
            return -1;
        }
    }
    return past->open == 0
               ? 0
               : err_set(err, ERR_CORRUPT,
                         "etcd lacks what some objects were at revision %" PRIu64 "; restore a backup",
                         mark->revision);
}

int etcd_store_read_past(struct store *base, uint64_t revision, uint64_t upto,
                         int (*row)(void *arg, const char *kind, const char *name,
                                    const struct store_change *change, struct err *err),
                         void *arg, struct err *err) {
    struct etcd_store *store = (struct etcd_store *)base;
    struct past past = {.count = 0};
    struct etcd_head head;
    struct etcd_mark mark;
    int64_t now;
    if (etcd_read_head(store, &head, &mark, &now, err) != 0) {
        return -1;
    }
    if (revision < mark.revision) {
        return err_forgotten(&mark, err);
    }
    if (revision > head.revision) {
        return err_set(err, ERR_INTERNAL, "revision %" PRIu64 " is not there yet, the newest is %" PRIu64,
                       revision, head.revision);
    }
    arena_init(&past.arena, 0);
    int result = gather_past(store, &past, revision, upto, &head, &mark, now, err);
    for (size_t i = 0; result == 0 && i < past.count; i++) {
        const struct past_object *object = &past.items[i];
        result = row(arg, object->kind, object->name, object->existed ? &object->change : NULL, err);
    }
    free(past.items);
    arena_done(&past.arena);
    return result;
}
