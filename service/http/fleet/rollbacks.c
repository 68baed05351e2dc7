/*
 * POST …/rollbacks: back to an earlier state of the fleet, or one change taken back. Both are a change set,
 * found on the worker's thread from pictures of the past, which then goes the way of all others (previews.c).
 *
 * The set is made for the objects as they were when it was found: whatever has changed since then is
 * refused by its resourceVersion. Passwords are not brought back, for they are not kept: the answer lists
 * each value of a Secret that is another one now.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec.h"
#include "fleet/change_rows.h"
#include "fleet/change_set.h"
#include "fleet/difference.h"
#include "fleet/handlers.h"
#include "fleet/moment.h"
#include "machine/worker.h"
#include "objects/write.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

struct rolling {
    struct rollback wanted;
    struct moment to; /* unless a change is undone */
    struct change_set set;
    struct causes conflicts;
    const char *members;
    uint64_t revision; /* of the fleet that the set was made for */
};

/* ---- finding it, on the worker ---- */

/* Only what is meant; and each of it as it is now. */
static void narrow_set(struct rolling *rolling, const struct snapshot *now) {
    struct change_set *set = &rolling->set;
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct change change = set->items[i];
        if (!rollback_scope_has(&rolling->wanted.only, change.kind, change.name)) {
            continue;
        }
        if (change.op != CHANGE_CREATE) {
            const struct record *record = snapshot_get(now, change.kind, change.name);
            change.if_version = record != NULL ? record->revision : 0;
        }
        set->items[count++] = change;
    }
    set->count = count;
}

static int check_set(const struct rolling *rolling, struct err *err) {
    if (rolling->set.count > CHANGE_SET_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "%zu objects differ, and %d are rolled back at once; say which with only.kinds or "
                       "only.names, and go in parts",
                       rolling->set.count, CHANGE_SET_MAX);
    }
    return 0;
}

/* What the answer says beside that of an apply. */
static int write_members(struct request *request, struct rolling *rolling, uint64_t revision,
                         const struct snapshot *from, const struct snapshot *to, struct err *err) {
    struct buf out = BUF_INIT;
    int result = 0;
    buf_add_str(&out, "\"rollback\":{");
    if (rolling->wanted.is_undo) {
        buf_printf(&out, "\"undo\":{\"txn\":\"%" PRIu64 "\"}", rolling->wanted.revision);
    } else {
        buf_json_key(&out, "to");
        result = moment_write(request->serving->state, revision, &out, err);
    }
    buf_json_key(&out, "changeSet");
    difference_write_set(&rolling->set, &out);
    buf_json_key(&out, "secrets");
    difference_write_secrets(from, to, &rolling->wanted.only, &out);
    buf_add_char(&out, '}');
    if (result == 0) {
        rolling->members = buf_failed(&out) ? NULL : arena_strndup(&request->arena, out.data, out.len);
        result = rolling->members != NULL ? 0 : err_no_memory(err);
    }
    buf_done(&out);
    return result;
}

/* From where to where Secrets would have to go, say `from` and `to`. */
static int finish_set(struct request *request, struct rolling *rolling, uint64_t revision,
                      const struct snapshot *from, const struct snapshot *to, const struct picture *now,
                      struct err *err) {
    const struct rollback *wanted = &rolling->wanted;
    narrow_set(rolling, now->snapshot);
    rolling->revision = snapshot_revision(now->snapshot);
    rolling->set.max_disruptive = wanted->max_disruptive;
    rolling->set.max_nodes = wanted->max_nodes;
    rolling->set.reason = wanted->reason != NULL ? wanted->reason
                          : request_header(request, HEADER_REASON) != NULL
                              ? request_header(request, HEADER_REASON)
                              : arena_printf(&request->arena, "%s %" PRIu64,
                                             wanted->is_undo ? "undo of change" : "back to revision",
                                             wanted->is_undo ? wanted->revision : revision);
    if (rolling->set.reason == NULL) {
        return err_no_memory(err);
    }
    return check_set(rolling, err) != 0 ? -1 : write_members(request, rolling, revision, from, to, err);
}

static int find_return(struct request *request, struct rolling *rolling, const struct picture *now,
                       struct err *err) {
    struct state *state = request->serving->state;
    struct picture *then;
    uint64_t revision;
    if (moment_at(state, &rolling->to, "to", &revision, err) != 0 ||
        state_past(state, revision, &then, err) != 0) {
        return -1;
    }
    int result = state_changes_between(now->snapshot, then->snapshot, &request->arena, &rolling->set, err);
    if (result == 0) {
        result = finish_set(request, rolling, revision, now->snapshot, then->snapshot, now, err);
    }
    picture_unref(then);
    return result;
}

static int refuse_conflicts(struct request *request, struct rolling *rolling, struct err *err) {
    struct causes *conflicts = &rolling->conflicts;
    size_t others = conflicts->count + conflicts->dropped - 1;
    const struct cause *first = &conflicts->items[0];
    char more[64] = "";
    request->causes = conflicts;
    if (others > 0) {
        snprintf(more, sizeof(more), ", and %zu more have; the causes name them", others);
    }
    return err_set(err, ERR_CONFLICT,
                   "change %" PRIu64
                   " cannot be undone: %s: %s%s; undo the later changes first, or leave these "
                   "objects out with only.kinds and only.names",
                   rolling->wanted.revision, first->field, first->message, more);
}

static int find_undo(struct request *request, struct rolling *rolling, const struct picture *now,
                     struct err *err) {
    struct change_pictures pictures;
    struct change_rows rows;
    if (change_pictures_read(request->serving->state, rolling->wanted.revision, &request->arena, &rows,
                             &pictures, err) != 0) {
        return -1;
    }
    const struct snapshot *before = pictures.before->snapshot, *after = pictures.after->snapshot;
    int result = state_changes_undone(before, after, now->snapshot, &rolling->wanted.only, &request->arena,
                                      &rolling->set, &rolling->conflicts, err);
    if (result == 0 && rolling->conflicts.count > 0) {
        result = refuse_conflicts(request, rolling, err);
    }
    if (result == 0) {
        result = finish_set(request, rolling, 0, after, before, now, err);
    }
    change_pictures_done(&pictures);
    return result;
}

static int find_set(struct request *request, struct err *err) {
    struct rolling *rolling = request->work;
    struct picture *now = state_picture(request->serving->state);
    int result = (rolling->wanted.is_undo ? find_undo : find_return)(request, rolling, now, err);
    picture_unref(now);
    return result;
}

/* ---- doing it ---- */

static int rollback_found(struct request *request, struct err *err) {
    struct rolling *rolling = request->work;
    bool shown = rolling->wanted.dry_run;
    if (rolling->set.count == 0) {
        return change_set_nothing(request, shown, rolling->revision, rolling->members, err);
    }
    return (shown ? change_set_preview : change_set_apply)(request, &rolling->set, rolling->members, err);
}

int handle_rollbacks(struct request *request, struct err *err) {
    struct rolling *rolling = arena_alloc(&request->arena, sizeof(*rolling));
    struct write_parameters parameters;
    enum codec_syntax syntax;
    if (rolling == NULL) {
        return err_no_memory(err);
    }
    *rolling = (struct rolling){.revision = 0};
    causes_init(&rolling->conflicts, &request->arena);
    if (write_parameters(request, &parameters, err) != 0 ||
        media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0 ||
        codec_decode_rollback(syntax, request->body.data, request->body.len, &request->arena,
                              &rolling->wanted, err) != 0) {
        return -1;
    }
    rolling->to = (struct moment){
        .given = true, .is_time = rolling->wanted.time != NULL, .revision = rolling->wanted.revision};
    if (rolling->to.is_time &&
        !clock_parse(rolling->wanted.time, strlen(rolling->wanted.time), &rolling->to.time_ms)) {
        return err_set_field(err, ERR_BAD_REQUEST, "to.time",
                             "to.time \"%.50s\" is not a time, such as 2026-11-23T00:00:00Z",
                             rolling->wanted.time);
    }
    rolling->wanted.dry_run = rolling->wanted.dry_run || parameters.dry_run;
    request->work = rolling;
    return worker_compute(request->serving->worker, request, find_set, rollback_found, err);
}
