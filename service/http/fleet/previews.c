/*
 * POST …/previews and …/applies: several changes at once, as a ChangeSet or as plain documents. A preview
 * changes nothing; an apply makes all of the changes in one transaction or none.
 *
 * An apply may carry `If-Match: "<resourceVersion of the preview>"`. While the fleet has not moved on, it is
 * applied as previewed; when it has, the preview is made again, and the apply goes on only if it would still
 * do the same. The final check is the committer's, so nothing slips in between.
 */
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "base/number.h"
#include "fleet/change_set.h"
#include "fleet/handlers.h"
#include "fleet/steps.h"
#include "machine/worker.h"
#include "objects/preview.h"
#include "objects/write.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"
#include "state/brake.h"

/* Sessions that are compared while every other writer waits, at most: some 50 ms. */
#define COMPARED_AT_LAST_MAX 200000
/* … that are counted then, for a change set with limits: well below a second. */
#define COUNTED_AT_LAST_MAX 2000000
#define APPLY_TRIES         2 /* to apply what was compared before the fleet moves on again */

/* A request for several changes. */
struct group {
    struct steps steps;
    const char *members;        /* more members of the answer; NULL: none */
    char body[DIGEST_TEXT_MAX]; /* of the body's bytes */
    struct preview_view view;
    uint64_t if_fleet; /* applies: If-Match, 0 = none */
    unsigned tries;
    bool compare_last; /* the committer compares with the preview */

    struct err err;
    uint64_t revision;            /* that the preview was made at */
    char result[DIGEST_TEXT_MAX]; /* of the preview's changes */
    struct err refusal;           /* of the apply, by the brake or for a freeze; ERR_NONE: none */
    struct buf changes;
    struct buf warnings;
};

static struct write *first_write(const struct group *group) {
    return &group->steps.items[0].write;
}

static void cleanup(struct request *request) {
    struct group *group = request->work;
    steps_done(&group->steps);
    buf_done(&group->changes);
    buf_done(&group->warnings);
}

static int group_new(struct request *request, const struct change_set *set, const char *members,
                     struct group **ret, struct err *err) {
    struct group *group = arena_alloc(&request->arena, sizeof(*group));
    if (group == NULL) {
        return err_no_memory(err);
    }
    if (set->count == 0) {
        return err_set(err, ERR_BAD_REQUEST, "there is nothing to change");
    }
    *group = (struct group){.steps = {.set = set},
                            .members = members,
                            .view = {.status = state_status(request->serving->state)},
                            .err = ERR_INIT,
                            .refusal = ERR_INIT};
    buf_init(&group->changes);
    buf_init(&group->warnings);
    digest_hex(request->body.data, request->body.len, group->body);
    request->work = group;
    request->cleanup = cleanup;
    if (write_parameters(request, &group->steps.parameters, err) != 0) {
        return -1;
    }
    if (write_check_force(set->force, access_may_force(request), err) != 0) {
        return -1;
    }
    bool secrets = false;
    for (size_t i = 0; i < set->count; i++) {
        secrets = secrets || (set->items[i].fault == NULL && set->items[i].kind == KIND_SECRET);
    }
    if (secrets && access_try_secret(request, NULL, err) != 0) {
        return -1;
    }
    *ret = group;
    return steps_make(request, &group->steps, err);
}

/* What the client sends. */
static int read_set(struct request *request, struct change_set **ret, struct err *err) {
    struct change_set *set = arena_alloc(&request->arena, sizeof(*set));
    struct causes *causes = arena_alloc(&request->arena, sizeof(*causes));
    enum codec_syntax syntax;
    if (set == NULL || causes == NULL) {
        return err_no_memory(err);
    }
    causes_init(causes, &request->arena);
    request->causes = causes;
    if (media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0 ||
        codec_decode_change_set(syntax, request->body.data, request->body.len, CHANGE_SET_MAX,
                                &request->arena, set, causes, err) != 0) {
        return -1;
    }
    *ret = set;
    return 0;
}

/* ---- preview ---- */

static int encode_changes(struct group *group, const struct picture *before, const struct picture *after,
                          const struct node_set *affected, const struct preview_view *view, struct err *err) {
    buf_clear(&group->changes);
    buf_clear(&group->warnings);
    struct preview_view informed = *view;
    informed.status = group->view.status;
    return preview_encode(before, after, affected, &informed, &group->changes, &group->warnings,
                          group->result, err);
}

/* The failure of the group: which document, and its causes. */
static int group_failure(struct request *request, const struct group *group, struct err *err) {
    /* The first write repeats the error of the one that failed, so look from the end. */
    for (size_t i = group->steps.count; i-- > 0;) {
        struct step *step = &group->steps.items[i];
        struct write *write = &step->write;
        if (write->err.code != ERR_NONE && group->err.code == write->err.code) {
            *err = write->err;
            return steps_name(request, &group->steps, step, &write->causes, err);
        }
    }
    *err = group->err;
    return -1;
}

/* ---- limits ---- */

static bool is_limited(const struct change_set *set) {
    return set->max_disruptive != CHANGE_UNLIMITED || set->max_nodes != CHANGE_UNLIMITED;
}

/* Does it more than the change set allows? ERR_TOO_DISRUPTIVE. */
static int check_limits(const struct group *group, const struct picture *before, const struct picture *after,
                        const struct node_set *affected, struct err *err) {
    const struct change_set *set = group->steps.set;
    struct peering_diff totals;
    size_t nodes;
    if (!is_limited(set)) {
        return 0;
    }
    if (preview_count(before, after, affected, group->view.status, COUNTED_AT_LAST_MAX, &totals, &nodes,
                      err) != 0) {
        return -1;
    }
    if (totals.disruptive > set->max_disruptive) {
        return err_set(err, ERR_TOO_DISRUPTIVE,
                       "%zu sessions on %zu nodes would be restarted or removed (each counted at both ends), "
                       "and spec.maxDisruptive allows %llu; nothing is changed: preview it to see them, then "
                       "raise the limit or change less at a time",
                       totals.disruptive, nodes, (unsigned long long)set->max_disruptive);
    }
    if (nodes > set->max_nodes) {
        return err_set(err, ERR_TOO_DISRUPTIVE,
                       "the lists of %zu nodes would change, and spec.maxNodes allows %llu; nothing is "
                       "changed: preview it to see them, then raise the limit or change less at a time",
                       nodes, (unsigned long long)set->max_nodes);
    }
    return 0;
}

/* What an apply would be refused for is a warning of its preview. */
static int warn_limits(struct request *request, const struct group *group, const struct picture *before,
                       const struct picture *after, const struct node_set *affected, struct err *err) {
    struct err limit = ERR_INIT;
    struct advice *advice = request_advice(request);
    if (advice == NULL) {
        return err_no_memory(err);
    }
    if (check_limits(group, before, after, affected, &limit) == 0) {
        return 0;
    }
    if (limit.code != ERR_TOO_DISRUPTIVE && limit.code != ERR_TOO_LARGE) {
        *err = limit;
        return -1;
    }
    advice_add(advice, "an apply would be refused: %s", limit.text);
    return 0;
}

/* `advised`: the answer is about this preview, and has its advice. */
static int make_preview(struct request *request, struct group *group, bool advised, struct err *err) {
    struct picture *before, *after;
    struct node_set *affected;
    if (state_preview(request->serving->state, first_write(group), &before, &after, &affected, err) != 0) {
        return -1;
    }
    group->revision = snapshot_revision(before->snapshot);
    int result = encode_changes(group, before, after, affected, &group->view, err);
    if (result == 0 && advised) {
        result =
            steps_advise(request, &group->steps, after, err) == 0 &&
                    warn_limits(request, group, before, after, affected, err) == 0
                ? preview_judge(request, first_write(group), before, after, affected, &group->refusal, err)
                : -1;
    }
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
    return result;
}

static void preview_job(struct request *request) {
    struct group *group = request->work;
    struct err err = ERR_INIT;
    if (make_preview(request, group, true, &err) != 0) {
        group->err = err;
    }
}

static void add_members(const char *members, struct buf *out) {
    if (members != NULL) {
        buf_add_str(out, members);
        buf_add_char(out, ',');
    }
}

static int preview_answer(struct request *request, struct err *err) {
    struct group *group = request->work;
    if (group->err.code != ERR_NONE) {
        return group_failure(request, group, err);
    }
    struct shown_preview shown = {.revision = group->revision};
    memcpy(shown.body, group->body, sizeof(shown.body));
    memcpy(shown.result, group->result, sizeof(shown.result));
    shown_previews_add(request->serving->previews, &shown);

    struct buf objects = BUF_INIT;
    add_members(group->members, &objects);
    steps_add(&group->steps, &objects);
    int result = preview_reply(request, group->revision, &objects, &group->changes, &group->refusal,
                               &group->warnings, err);
    buf_done(&objects);
    return result;
}

int change_set_preview(struct request *request, const struct change_set *set, const char *members,
                       struct err *err) {
    struct group *group;
    if (group_new(request, set, members, &group, err) != 0 ||
        preview_read_view(request, &group->view, err) != 0) {
        return -1;
    }
    return worker_run(request->serving->worker, request, preview_job, preview_answer, err);
}

int handle_previews(struct request *request, struct err *err) {
    struct change_set *set;
    return read_set(request, &set, err) != 0 ? -1 : change_set_preview(request, set, NULL, err);
}

/* ---- apply ---- */

static int apply_answer(struct request *request, struct err *err);

static int apply_refused(struct request *request, struct err *err) {
    struct group *group = request->work;
    *err = group->err;
    return -1;
}

/* What an apply has done to sessions, or would do: the totals, and those of each node. */
static int apply_count(struct group *group, const struct write_effect *effect, struct err *err) {
    const struct preview_view view = {.summary = true, .quiet = true};
    return encode_changes(group, effect->before, effect->after, effect->affected, &view, err);
}

/* As the committer would, and with what the fleet would be then for the advice. */
static void dry_run_job(struct request *request) {
    struct group *group = request->work;
    struct write *first = first_write(group);
    struct write_effect effect;
    struct err err = ERR_INIT;
    if (state_preview(request->serving->state, first, &effect.before, &effect.after, &effect.affected,
                      &err) != 0) {
        first->err = err;
        return;
    }
    if (check_limits(group, effect.before, effect.after, effect.affected, &err) != 0 ||
        state_judge(request->serving->state, effect.before, effect.after, effect.affected, first->force,
                    &first->causes, &err) != 0 ||
        steps_advise(request, &group->steps, effect.after, &err) != 0 ||
        apply_count(group, &effect, &err) != 0) {
        first->err = err;
    }
    write_effect_done(&effect);
}

/* Is the group's newest preview the one that was shown for If-Match? */
static int compare(const struct request *request, const struct group *group, struct err *err) {
    char shown[DIGEST_TEXT_MAX];
    if (!shown_previews_find(request->serving->previews, group->if_fleet, group->body, shown)) {
        return err_set(
            err, ERR_CONFLICT,
            "If-Match: no preview of these documents at resourceVersion %llu is known any more, and "
            "the fleet has changed since; preview again",
            (unsigned long long)group->if_fleet);
    }
    return strcmp(shown, group->result) == 0
               ? 0
               : err_set(
                     err, ERR_CONFLICT,
                     "If-Match: the fleet has changed since resourceVersion %llu in a way that alters what "
                     "this apply would do; preview again",
                     (unsigned long long)group->if_fleet);
}

/* The fleet has moved on since the preview: does the apply still do what it showed? */
static void compare_job(struct request *request) {
    struct group *group = request->work;
    struct err err = ERR_INIT;
    if (make_preview(request, group, false, &err) != 0 || compare(request, group, &err) != 0) {
        group->err = err;
    }
}

/* The last look, on the committer's thread: others wait for it. */
static int apply_verify(struct write *write, const struct picture *before, const struct picture *after,
                        const struct node_set *affected, struct err *err) {
    struct request *request = write->arg;
    struct group *group = request->work;
    const struct preview_view view = {.summary = true, .quiet = true, .pairs_max = COMPARED_AT_LAST_MAX};
    if (group->compare_last && (encode_changes(group, before, after, affected, &view, err) != 0 ||
                                compare(request, group, err) != 0)) {
        return -1;
    }
    return check_limits(group, before, after, affected, err);
}

static int apply_submit(struct request *request, struct group *group, struct err *err) {
    if (group->steps.parameters.dry_run) {
        return worker_run(request->serving->worker, request, dry_run_job, apply_answer, err);
    }
    struct write *first = first_write(group);
    first->wants_effect = true;
    first->verify = group->compare_last || is_limited(group->steps.set) ? apply_verify : NULL;
    write_submit(request, first, &group->err, apply_answer, apply_refused);
    return 0;
}

static int apply_after_compare(struct request *request, struct err *err) {
    struct group *group = request->work;
    if (group->err.code != ERR_NONE) {
        return group_failure(request, group, err);
    }
    if (steps_make(request, &group->steps, err) != 0) {
        return -1;
    }
    first_write(group)->if_fleet = group->revision;
    return apply_submit(request, group, err);
}

static int apply_reply(struct request *request, const struct group *group, struct err *err) {
    uint64_t revision = 0;
    for (size_t i = 0; i < group->steps.count; i++) {
        uint64_t version = group->steps.items[i].write.record->revision;
        revision = version > revision ? version : revision;
    }
    struct buf out = BUF_INIT;
    buf_add_str(&out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Apply\",\"metadata\":{");
    buf_printf(&out, "\"resourceVersion\":\"%llu\"},", (unsigned long long)revision);
    add_members(group->members, &out);
    steps_add(&group->steps, &out);
    if (group->changes.len > 0) {
        buf_json_key(&out, "changes");
        buf_add(&out, group->changes.data, group->changes.len);
    }
    buf_add_char(&out, '}');
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    buf_done(&out);
    return result;
}

/* It is stored: what it has done can only be told, or left out when it cannot be had. */
static void count_job(struct request *request) {
    struct group *group = request->work;
    struct err err = ERR_INIT;
    if (apply_count(group, &first_write(group)->effect, &err) != 0) {
        buf_clear(&group->changes);
    }
}

static int apply_counted(struct request *request, struct err *err) {
    return apply_reply(request, request->work, err);
}

static int apply_answer(struct request *request, struct err *err) {
    struct group *group = request->work;
    struct write *first = first_write(group);
    if (first->err.code == ERR_CONFLICT && group->if_fleet != 0 && group->tries <= APPLY_TRIES) {
        struct err decoding = ERR_INIT;
        if (steps_make(request, &group->steps, &decoding) != 0) {
            *err = decoding;
            return -1;
        }
        if (group->tries++ < APPLY_TRIES) {
            return worker_run(request->serving->worker, request, compare_job, apply_after_compare, err);
        }
        group->compare_last =
            true; /* others write so much that a comparison beside them is always too late */
        return apply_submit(request, group, err);
    }
    if (first->err.code == ERR_TOO_DISRUPTIVE || first->err.code == ERR_FROZEN) { /* all of it together */
        return write_refused(request, first, err);
    }
    if (first->err.code != ERR_NONE) {
        group->err = first->err;
        return group_failure(request, group, err);
    }
    trail_write(request, first);
    if (group->steps.parameters.dry_run) {
        return apply_reply(request, group, err);
    }
    struct picture *picture = state_picture(request->serving->state);
    int advised = steps_advise(request, &group->steps, picture, err);
    picture_unref(picture);
    if (advised != 0) {
        return -1;
    }
    buf_clear(&group->changes); /* of a comparison */
    struct err busy = ERR_INIT;
    return worker_run(request->serving->worker, request, count_job, apply_counted, &busy) == 0
               ? 0
               : apply_reply(request, group, err);
}

static int fleet_if_match(struct request *request, struct group *group, struct err *err) {
    const char *header = request_header(request, HEADER_IF_MATCH);
    const char *text;
    size_t len;
    if (header == NULL) {
        return 0;
    }
    if (!etag_list_first(header, &text, &len) || !u64_parse(text, len, UINT64_MAX - 1, &group->if_fleet) ||
        group->if_fleet == 0) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "If-Match must hold the preview's metadata.resourceVersion in quotes, for example If-Match: "
            "\"412\"");
    }
    return 0;
}

int change_set_apply(struct request *request, const struct change_set *set, const char *members,
                     struct err *err) {
    struct group *group;
    if (group_new(request, set, members, &group, err) != 0 || fleet_if_match(request, group, err) != 0) {
        return -1;
    }
    first_write(group)->if_fleet = group->if_fleet;
    return apply_submit(request, group, err);
}

int change_set_nothing(struct request *request, bool preview, uint64_t revision, const char *members,
                       struct err *err) {
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"%s\",\"metadata\":{",
               preview ? "Preview" : "Apply");
    buf_printf(&out, "\"resourceVersion\":\"%llu\"},", (unsigned long long)revision);
    add_members(members, &out);
    buf_add_str(&out, "\"objects\":[],\"results\":[],\"changes\":");
    preview_encode_nothing(&out);
    buf_add_str(&out, preview ? ",\"warnings\":[]}" : "}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    buf_done(&out);
    return result;
}

int handle_applies(struct request *request, struct err *err) {
    struct change_set *set;
    return read_set(request, &set, err) != 0 ? -1 : change_set_apply(request, set, NULL, err);
}
