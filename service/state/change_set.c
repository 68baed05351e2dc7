/*
 * The way from one state of the fleet to another, as a change set. Pure: reads two snapshots, which share
 * their records where nothing differs; to take back one change of several, a third. No locks.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "state_internal.h"

/* A change set that grows. */
struct finding {
    struct arena *arena;
    struct change *items;
    size_t count;
    size_t cap;
    struct buf text; /* scratch */
};

static int find_room(struct finding *finding, struct err *err) {
    if (finding->count < finding->cap) {
        return 0;
    }
    size_t cap = finding->cap == 0 ? 16 : 2 * finding->cap;
    struct change *items = arena_array(finding->arena, cap, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    if (finding->count > 0) {
        memcpy(items, finding->items, finding->count * sizeof(*items));
    }
    finding->items = items;
    finding->cap = cap;
    return 0;
}

/* One more change, with the scratch text (when there is one) as its document. */
static int find_add(struct finding *finding, enum change_op op, const struct object *object,
                    struct err *err) {
    if (find_room(finding, err) != 0) {
        return -1;
    }
    struct change change = {
        .op = op, .kind = object->kind, .name = arena_strdup(finding->arena, object->meta.name)};
    if (op != CHANGE_DELETE) {
        change.document = arena_strndup(finding->arena, finding->text.data, finding->text.len);
        change.document_len = finding->text.len;
    }
    if (change.name == NULL || (op != CHANGE_DELETE && change.document == NULL)) {
        return err_no_memory(err);
    }
    finding->items[finding->count++] = change;
    return 0;
}

static int find_created(struct finding *finding, const struct record *record, struct err *err) {
    buf_clear(&finding->text);
    return codec_detach(record->object->kind, record->json, record->json_len, &finding->text, err) != 0
               ? -1
               : find_add(finding, CHANGE_CREATE, record->object, err);
}

static int find_changed(struct finding *finding, const struct record *from, const struct record *to,
                        struct err *err) {
    bool empty;
    buf_clear(&finding->text);
    if (codec_find_patch(from->object->kind, from->json, from->json_len, to->json, to->json_len,
                         &finding->text, &empty, err) != 0) {
        return -1;
    }
    return empty ? 0 : find_add(finding, CHANGE_PATCH, from->object, err);
}

static int find_kind(struct finding *finding, const struct snapshot *from, const struct snapshot *to,
                     enum kind kind, struct err *err) {
    struct snapshot_cursor old_cursor, new_cursor;
    const struct record *old = snapshot_seek(&old_cursor, from, kind, NULL);
    const struct record *new = snapshot_seek(&new_cursor, to, kind, NULL);
    int result = 0;
    while (result == 0 && (old != NULL || new != NULL)) {
        int order = old == NULL ? 1 : new == NULL ? -1 : old == new ? 0 : strcmp(old->key, new->key);
        if (order < 0) {
            result = find_add(finding, CHANGE_DELETE, old->object, err);
        } else if (order > 0) {
            result = find_created(finding, new, err);
        } else if (old != new) {
            result = find_changed(finding, old, new, err);
        }
        old = order <= 0 ? snapshot_step(&old_cursor) : old;
        new = order >= 0 ? snapshot_step(&new_cursor) : new;
    }
    return result;
}

static struct change_set found_set(const struct finding *finding) {
    return (struct change_set){.max_disruptive = CHANGE_UNLIMITED,
                               .max_nodes = CHANGE_UNLIMITED,
                               .items = finding->items,
                               .count = finding->count};
}

int state_changes_between(const struct snapshot *from, const struct snapshot *to, struct arena *arena,
                          struct change_set *ret, struct err *err) {
    struct finding finding = {.arena = arena, .text = BUF_INIT};
    int result = 0;
    for (enum kind kind = 0; result == 0 && kind < KIND_COUNT; kind++) {
        if (kind != KIND_SECRET) {
            result = find_kind(&finding, from, to, kind, err);
        }
    }
    buf_done(&finding.text);
    if (result == 0) {
        *ret = found_set(&finding);
    }
    return result;
}

/* ---- taking back ---- */

struct undoing {
    struct finding finding;
    const struct snapshot *now;
    const struct rollback_scope *only;
    struct causes *conflicts;
};

/* Do both say the same, but for what the service assigns? Either may be NULL: there is none. */
static int say_same(struct undoing *undoing, const struct record *a, const struct record *b, bool *ret,
                    struct err *err) {
    *ret = a == b;
    if (a == b || a == NULL || b == NULL) {
        return 0;
    }
    buf_clear(&undoing->finding.text);
    return codec_find_patch(a->object->kind, a->json, a->json_len, b->json, b->json_len,
                            &undoing->finding.text, ret, err);
}

static void add_conflict(struct undoing *undoing, const struct record *after, const struct record *now,
                         const struct record *any) {
    char field[ERR_FIELD_MAX];
    snprintf(field, sizeof(field), "%s \"%.200s\"", kind_info(any->object->kind)->name, any->key);
    if (now == NULL) {
        causes_add(undoing->conflicts, err_reason(ERR_CONFLICT), field, "it has been deleted since");
    } else {
        causes_add(undoing->conflicts, err_reason(ERR_CONFLICT), field,
                   "it has been %s since, at revision %" PRIu64, after == NULL ? "created again" : "changed",
                   now->revision);
    }
}

static int undo_one(struct undoing *undoing, const struct record *before, const struct record *after,
                    struct err *err) {
    const struct record *any = before != NULL ? before : after;
    assert(any != NULL); /* what was changed was there before, or after */
    const struct record *now = snapshot_get(undoing->now, any->object->kind, any->key);
    bool as_before, as_after;
    if (say_same(undoing, now, before, &as_before, err) != 0 ||
        say_same(undoing, now, after, &as_after, err) != 0) {
        return -1;
    }
    if (as_before) {
        return 0;
    }
    if (!as_after) {
        add_conflict(undoing, after, now, any);
        return 0;
    }
    assert(before != NULL || now != NULL); /* else all three are the same: there is none */
    return before == NULL ? find_add(&undoing->finding, CHANGE_DELETE, now->object, err)
           : now == NULL  ? find_created(&undoing->finding, before, err)
                          : find_changed(&undoing->finding, now, before, err);
}

static int undo_kind(struct undoing *undoing, const struct snapshot *before, const struct snapshot *after,
                     enum kind kind, struct err *err) {
    struct snapshot_cursor old_cursor, new_cursor;
    const struct record *old = snapshot_seek(&old_cursor, before, kind, NULL);
    const struct record *new = snapshot_seek(&new_cursor, after, kind, NULL);
    int result = 0;
    while (result == 0 && (old != NULL || new != NULL)) {
        int order = old == NULL ? 1 : new == NULL ? -1 : old == new ? 0 : strcmp(old->key, new->key);
        const struct record *any = order <= 0 ? old : new;
        if (old != new &&rollback_scope_has(undoing->only, kind, any->object->meta.name)) {
            result = undo_one(undoing, order <= 0 ? old : NULL, order >= 0 ? new : NULL, err);
        }
        old = order <= 0 ? snapshot_step(&old_cursor) : old;
        new = order >= 0 ? snapshot_step(&new_cursor) : new;
    }
    return result;
}

int state_changes_undone(const struct snapshot *before, const struct snapshot *after,
                         const struct snapshot *now, const struct rollback_scope *only, struct arena *arena,
                         struct change_set *ret, struct causes *conflicts, struct err *err) {
    struct undoing undoing = {
        .finding = {.arena = arena, .text = BUF_INIT}, .now = now, .only = only, .conflicts = conflicts};
    int result = 0;
    for (enum kind kind = 0; result == 0 && kind < KIND_COUNT; kind++) {
        if (kind != KIND_SECRET) {
            result = undo_kind(&undoing, before, after, kind, err);
        }
    }
    buf_done(&undoing.finding.text);
    if (result == 0) {
        *ret = found_set(&undoing.finding);
    }
    return result;
}
