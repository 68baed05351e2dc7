/*
 * POST …/previews and …/applies: several documents at once. Each is created, or replaces the object of its
 * name. A preview changes nothing; an apply makes all of the changes in one transaction or none.
 *
 * An apply may carry `If-Match: "<resourceVersion of the preview>"`. While the fleet has not moved on, it is
 * applied as previewed; when it has, the preview is made again, and the apply goes on only if it would still
 * do the same. The final check is the committer's, so nothing slips in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "base/number.h"
#include "fleet/handlers.h"
#include "machine/worker.h"
#include "objects/preview.h"
#include "objects/write.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

/* Sessions that are compared while every other writer waits, at most: some 50 ms. */
#define COMPARED_AT_LAST_MAX 200000
#define APPLY_TRIES          2 /* to apply what was compared before the fleet moves on again */

struct one {
    struct write write;
    struct arena object_arena;
};

/* A request for several documents. */
struct group {
    enum codec_unknown unknown;
    bool dry_run;
    struct codec_document *documents;
    size_t count;
    struct one *ones;
    char body[DIGEST_TEXT_MAX]; /* of the body's bytes */
    struct preview_view view;
    uint64_t if_fleet; /* applies: If-Match, 0 = none */
    unsigned tries;

    struct err err;
    uint64_t revision;            /* that the preview was made at */
    char result[DIGEST_TEXT_MAX]; /* of the preview's changes */
    struct buf changes;
    struct buf warnings;
};

static void release_ones(struct group *group) {
    for (size_t i = 0; group->ones != NULL && i < group->count; i++) {
        record_unref(group->ones[i].write.record);
        group->ones[i].write.record = NULL;
        arena_done(&group->ones[i].object_arena);
    }
}

static void cleanup(struct request *request) {
    struct group *group = request->work;
    release_ones(group);
    buf_done(&group->changes);
    buf_done(&group->warnings);
}

/* ---- documents ---- */

static struct causes *new_causes(struct request *request) {
    struct causes *causes = arena_alloc(&request->arena, sizeof(*causes));
    if (causes != NULL) {
        causes_init(causes, &request->arena);
    }
    return causes;
}

/* What is wrong with one document, among what is wrong with others: its causes, or else its error. Each says
 * which document it is about: `document 3 (BGPPeer "tor"): spec.peerIP`. */
static void add_causes(struct causes *all, const struct codec_document *document, const struct causes *causes,
                       const struct err *err) {
    if (causes == NULL || causes->count == 0) {
        causes_add(all, err->code == ERR_INVALID ? CAUSE_INVALID : err_reason(err->code), document->about,
                   "%s", err->text);
        return;
    }
    for (size_t i = 0; i < causes->count; i++) {
        const struct cause *cause = &causes->items[i];
        char field[ERR_FIELD_MAX * 2];
        snprintf(field, sizeof(field), "%s%s%s", document->about, cause->field[0] != '\0' ? ": " : "",
                 cause->field);
        causes_add(all, cause->reason, field, "%s", cause->message);
    }
    all->dropped += causes->dropped;
}

/* The document and all its causes in the answer and in the error's text. */
static int name_document(struct request *request, const struct group *group, size_t index,
                         const struct causes *causes, struct err *err) {
    const struct codec_document *document = &group->documents[index];
    struct causes *all = new_causes(request);
    if (all == NULL) {
        return err_no_memory(err);
    }
    add_causes(all, document, causes, err);
    request->causes = all;
    return err_wrap(err, "%s", document->about);
}

/* What there is to say about the documents among all others of the picture, which they are part of. */
static int advise(struct request *request, const struct group *group, const struct picture *picture,
                  struct err *err) {
    for (size_t i = 0; i < group->count; i++) {
        if (write_advise(request, picture, group->documents[i].about, &group->ones[i].write, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int decode_one(struct request *request, struct group *group, size_t index, struct causes *causes,
                      struct err *err) {
    const struct codec_document *document = &group->documents[index];
    struct one *one = &group->ones[index];
    struct advice advice;
    causes_init(causes, &request->arena);
    if (document->fault != NULL) {
        return err_set(err, ERR_BAD_REQUEST, "%s", document->fault);
    }
    const struct kind_info *info = kind_info(document->kind);
    struct codec_options options = {
        .syntax = CODEC_JSON,
        .unknown = group->unknown,
        .kind = document->kind,
        .any_namespace = true,
        .name_space = info->namespaced ? state_secret_namespace(request->serving->state) : NULL};
    advice_init(&advice, &request->arena);
    write_init(&one->write, request, WRITE_REPLACE, document->kind);
    one->write.object_arena = &one->object_arena;
    one->write.upsert = true;
    one->write.dry_run = group->dry_run;
    arena_init(&one->object_arena, 0);
    one->object_arena.wipe = document->kind == KIND_SECRET;
    if (codec_decode(&options, document->json, document->len, &one->object_arena, &one->write.object, causes,
                     &advice, err) != 0) {
        return -1;
    }
    if (write_merge_advice(request, document->about, &advice, err) != 0) {
        return -1;
    }
    if (one->write.object->meta.name == NULL) {
        causes_add(causes, CAUSE_REQUIRED, "metadata.name", "Required value: documents are applied by name");
        return err_set(err, ERR_INVALID, "metadata.name is required");
    }
    one->write.key = object_key(one->write.object, &request->arena);
    if (one->write.key == NULL) {
        return err_no_memory(err);
    }
    if (index > 0) {
        group->ones[index - 1].write.also = &one->write;
    }
    return 0;
}

/* ---- two documents about one object ---- */

struct about_object {
    enum kind kind;
    const char *key;
    size_t index; /* of the document */
};

static int compare_objects(const void *a, const void *b) {
    const struct about_object *first = a, *second = b;
    if (first->kind != second->kind) {
        return first->kind < second->kind ? -1 : 1;
    }
    int order = strcmp(first->key, second->key);
    return order != 0 ? order : first->index < second->index ? -1 : 1;
}

/* Which of them counts would depend on their order, which nobody who writes files means. */
static int find_twice(struct request *request, const struct group *group, struct causes *all,
                      struct err *err) {
    struct about_object *objects = arena_array(&request->arena, group->count, sizeof(*objects));
    size_t count = 0;
    if (objects == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < group->count; i++) {
        if (group->ones[i].write.key != NULL) {
            objects[count++] = (struct about_object){
                .kind = group->documents[i].kind, .key = group->ones[i].write.key, .index = i};
        }
    }
    qsort(objects, count, sizeof(*objects), compare_objects);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (objects[i].kind != objects[first].kind || strcmp(objects[i].key, objects[first].key) != 0) {
            first = i;
            continue;
        }
        causes_add(all, CAUSE_DUPLICATE, group->documents[objects[i].index].about,
                   "Duplicate value: %s is about the same object; leave one of them",
                   group->documents[objects[first].index].about);
    }
    return 0;
}

/* (Again) from the documents: a write consumes its object. Everything that is wrong in any of them is said at
 * once: 400 when one cannot be read at all, else 422. */
static int decode_all(struct request *request, struct group *group, struct err *err) {
    struct causes *all = new_causes(request), *causes = new_causes(request);
    enum err_code code = ERR_INVALID;
    release_ones(group);
    memset(group->ones, 0, group->count * sizeof(*group->ones));
    if (all == NULL || causes == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < group->count; i++) {
        struct err one = ERR_INIT;
        if (decode_one(request, group, i, causes, &one) == 0) {
            continue;
        }
        if (one.code != ERR_INVALID && one.code != ERR_BAD_REQUEST) {
            *err = one;
            return name_document(request, group, i, NULL, err);
        }
        code = one.code == ERR_BAD_REQUEST ? ERR_BAD_REQUEST : code;
        add_causes(all, &group->documents[i], causes, &one);
    }
    if (find_twice(request, group, all, err) != 0) {
        return -1;
    }
    if (all->count == 0) {
        return 0;
    }
    request->causes = all;
    return err_set(err, code, "%s: %s", all->items[0].field, all->items[0].message);
}

static int group_new(struct request *request, struct group **ret, struct err *err) {
    struct write_parameters parameters;
    enum codec_syntax syntax;
    struct group *group = arena_alloc(&request->arena, sizeof(*group));
    if (group == NULL) {
        return err_no_memory(err);
    }
    buf_init(&group->changes);
    buf_init(&group->warnings);
    group->err = (struct err)ERR_INIT;
    if (write_parameters(request, &parameters, err) != 0 ||
        media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0 ||
        codec_split(syntax, request->body.data, request->body.len, PREVIEW_WRITES_MAX, &request->arena,
                    &group->documents, &group->count, err) != 0) {
        return -1;
    }
    if (group->count == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body holds no document; send multi-document YAML, a JSON array, or a List");
    }
    group->ones = arena_array(&request->arena, group->count, sizeof(*group->ones));
    if (group->ones == NULL) {
        return err_no_memory(err);
    }
    group->unknown = parameters.unknown;
    group->dry_run = parameters.dry_run;
    digest_hex(request->body.data, request->body.len, group->body);
    request->work = group;
    request->cleanup = cleanup;
    *ret = group;
    bool secrets = false;
    for (size_t i = 0; i < group->count; i++) {
        secrets = secrets || (group->documents[i].fault == NULL && group->documents[i].kind == KIND_SECRET);
    }
    return secrets && access_try_secret(request, NULL, err) != 0 ? -1 : decode_all(request, group, err);
}

/* ---- preview ---- */

static int encode_changes(struct group *group, const struct picture *before, const struct picture *after,
                          const struct node_set *affected, const struct preview_view *view, struct err *err) {
    buf_clear(&group->changes);
    buf_clear(&group->warnings);
    return preview_encode(before, after, affected, view, &group->changes, &group->warnings, group->result,
                          err);
}

/* `advised`: the answer is about this preview, and has its advice. */
static int make_preview(struct request *request, struct group *group, bool advised, struct err *err) {
    struct picture *before, *after;
    struct node_set *affected;
    if (state_preview(request->serving->state, &group->ones[0].write, &before, &after, &affected, err) != 0) {
        return -1;
    }
    group->revision = snapshot_revision(before->snapshot);
    int result = encode_changes(group, before, after, affected, &group->view, err);
    if (result == 0 && advised) {
        result = advise(request, group, after, err);
    }
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
    return result;
}

/* The failure of the group: which document, and its causes. */
static int group_failure(struct request *request, const struct group *group, struct err *err) {
    /* The first write repeats the error of the one that failed, so look from the end. */
    for (size_t i = group->count; i-- > 0;) {
        struct write *write = &group->ones[i].write;
        if (write->err.code != ERR_NONE && group->err.code == write->err.code) {
            *err = write->err;
            return name_document(request, group, i, write->err.code == ERR_INVALID ? &write->causes : NULL,
                                 err);
        }
    }
    *err = group->err;
    return -1;
}

static void preview_job(struct request *request) {
    struct group *group = request->work;
    struct err err = ERR_INIT;
    if (make_preview(request, group, true, &err) != 0) {
        group->err = err;
    }
}

static void add_objects(struct buf *out, const struct group *group) {
    buf_add_str(out, "\"objects\":[");
    for (size_t i = 0; i < group->count; i++) {
        const struct record *record = group->ones[i].write.record;
        buf_json_comma(out);
        buf_add(out, record->json, record->json_len);
    }
    buf_add_char(out, ']');
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
    add_objects(&objects, group);
    int result = preview_reply(request, group->revision, &objects, &group->changes, &group->warnings, err);
    buf_done(&objects);
    return result;
}

int handle_previews(struct request *request, struct err *err) {
    struct group *group;
    if (group_new(request, &group, err) != 0 || preview_read_view(request, &group->view, err) != 0) {
        return -1;
    }
    return worker_run(request->serving->worker, request, preview_job, preview_answer, err);
}

/* ---- apply ---- */

static int apply_answer(struct request *request, struct err *err);

static int apply_refused(struct request *request, struct err *err) {
    struct group *group = request->work;
    *err = group->err;
    return -1;
}

/* As the committer would, and with what the fleet would be then for the advice. */
static void dry_run_job(struct request *request) {
    struct group *group = request->work;
    struct write *first = &group->ones[0].write;
    struct picture *before, *after;
    struct node_set *affected;
    struct err err = ERR_INIT;
    if (state_preview(request->serving->state, first, &before, &after, &affected, &err) != 0) {
        first->err = err;
        return;
    }
    if (advise(request, group, after, &err) != 0) {
        first->err = err;
    }
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
}

static int apply_submit(struct request *request, struct group *group, struct err *err) {
    if (group->dry_run) {
        return worker_run(request->serving->worker, request, dry_run_job, apply_answer, err);
    }
    request_suspend(request, apply_answer);
    if (state_submit(request->serving->state, &group->ones[0].write, &group->err) != 0) {
        request->resume = apply_refused;
        request_resume(request);
    }
    return 0;
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

/* The same on the committer's thread, when others write so much that a comparison beside them is always too
 * late: they wait for it. */
static int compare_at_last(struct write *write, const struct picture *before, const struct picture *after,
                           const struct node_set *affected, struct err *err) {
    struct request *request = write->arg;
    struct group *group = request->work;
    const struct preview_view view = {.summary = true, .pairs_max = COMPARED_AT_LAST_MAX};
    return encode_changes(group, before, after, affected, &view, err) != 0 ? -1
                                                                           : compare(request, group, err);
}

static int apply_after_compare(struct request *request, struct err *err) {
    struct group *group = request->work;
    if (group->err.code != ERR_NONE) {
        return group_failure(request, group, err);
    }
    if (decode_all(request, group, err) != 0) {
        return -1;
    }
    group->ones[0].write.if_fleet = group->revision;
    return apply_submit(request, group, err);
}

static int apply_reply(struct request *request, const struct group *group, struct err *err) {
    uint64_t revision = 0;
    for (size_t i = 0; i < group->count; i++) {
        uint64_t version = group->ones[i].write.record->revision;
        revision = version > revision ? version : revision;
    }
    struct buf out = BUF_INIT;
    buf_add_str(&out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Apply\",\"metadata\":{");
    buf_printf(&out, "\"resourceVersion\":\"%llu\"},", (unsigned long long)revision);
    add_objects(&out, group);
    buf_add_char(&out, '}');
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    buf_done(&out);
    return result;
}

static int apply_answer(struct request *request, struct err *err) {
    struct group *group = request->work;
    struct write *first = &group->ones[0].write;
    if (first->err.code == ERR_CONFLICT && group->if_fleet != 0 && group->tries <= APPLY_TRIES) {
        struct err decoding = ERR_INIT;
        if (decode_all(request, group, &decoding) != 0) {
            *err = decoding;
            return -1;
        }
        if (group->tries++ < APPLY_TRIES) {
            return worker_run(request->serving->worker, request, compare_job, apply_after_compare, err);
        }
        first->verify = group->dry_run ? NULL : compare_at_last;
        return apply_submit(request, group, err);
    }
    if (first->err.code != ERR_NONE) {
        group->err = first->err;
        return group_failure(request, group, err);
    }
    trail_write(request, first);
    if (!group->dry_run) {
        struct picture *picture = state_picture(request->serving->state);
        int advised = advise(request, group, picture, err);
        picture_unref(picture);
        if (advised != 0) {
            return -1;
        }
    }
    return apply_reply(request, group, err);
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

int handle_applies(struct request *request, struct err *err) {
    struct group *group;
    if (group_new(request, &group, err) != 0 || fleet_if_match(request, group, err) != 0) {
        return -1;
    }
    group->ones[0].write.if_fleet = group->if_fleet;
    return apply_submit(request, group, err);
}
