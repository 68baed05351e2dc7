/*
 * Deleting a collection: every object that the selectors match, in waves.
 *
 * A wave is a bounded number of deletions handed to the committer together, so that they share a
 * transaction and a large collection cannot crowd other writers out. Each deletion names the uid that
 * was selected: an object made anew under the name meanwhile stays. As in Kubernetes it is not one
 * transaction; on a failure the objects deleted so far stay deleted, and the failure is answered. The brake
 * judges all deletions together, before the first wave.
 */
#include <stdlib.h>
#include <string.h>

#include "access/trail.h"
#include "base/alloc.h"
#include "machine/worker.h"
#include "objects/handlers.h"
#include "objects/preview.h"
#include "objects/resource.h"
#include "objects/selection.h"
#include "objects/write.h"
#include "request/reply.h"
#include "request/serving.h"
#include "state/brake.h"

#define WAVE 64

struct collection_work {
    const struct snapshot *snapshot; /* what was selected from; one reference */
    const struct record **records;   /* borrowed from it */
    size_t count;
    size_t next;                   /* first that is not yet submitted */
    const struct record **deleted; /* of the records: those that have been, or with dry_run would be */
    size_t deleted_count;
    bool dry_run;
    struct err failure;   /* the first one */
    struct causes causes; /* of the brake's refusal */
    atomic_size_t pending;
    size_t wave_count;
    struct write wave[WAVE];
    struct write *previewed; /* all of them, in the request's arena; NULL: it is no preview */
};

static void cleanup(struct request *request) {
    struct collection_work *work = request->work;
    for (size_t i = 0; i < work->wave_count; i++) {
        record_unref(work->wave[i].record);
    }
    for (struct write *write = work->previewed; write != NULL; write = write->also) {
        record_unref(write->record);
    }
    snapshot_unref(work->snapshot);
    free(work);
}

static void finish_one(struct request *request) {
    struct collection_work *work = request->work;
    if (atomic_fetch_sub(&work->pending, 1) == 1) {
        request_resume(request);
    }
}

static void on_done(struct write *write) {
    finish_one(write->arg);
}

static int next_wave(struct request *request, struct err *err);

/* What the last wave came to. An object that is gone already, or was made anew, is none of ours. */
static int end_wave(struct request *request, struct err *err) {
    struct collection_work *work = request->work;
    for (size_t i = 0; i < work->wave_count; i++) {
        struct write *write = &work->wave[i];
        bool gone = write->err.code == ERR_NOT_FOUND || write->err.code == ERR_CONFLICT;
        if (write->err.code != ERR_NONE && !gone && work->failure.code == ERR_NONE) {
            work->failure = write->err;
        }
        if (write->err.code == ERR_NONE) {
            work->deleted[work->deleted_count++] = work->records[work->next - work->wave_count + i];
        }
        trail_write(request, write);
        record_unref(write->record);
        write->record = NULL;
    }
    work->wave_count = 0;
    if (work->failure.code != ERR_NONE) {
        *err = work->failure;
        return err_wrap(err, "deleting the collection stopped after %zu of %zu objects", work->next,
                        work->count);
    }
    return next_wave(request, err);
}

static int advise(struct request *request, const struct collection_work *work, struct err *err) {
    struct advice *advice = request_advice(request);
    if (advice == NULL) {
        return err_no_memory(err);
    }
    struct picture *picture = state_picture(request->serving->state);
    state_advise_deleted(request->serving->state, picture, work->deleted, work->deleted_count, advice);
    picture_unref(picture);
    return 0;
}

static int answer(struct request *request, struct err *err) {
    struct collection_work *work = request->work;
    if (advise(request, work, err) != 0) {
        return -1;
    }
    struct buf body = BUF_INIT;
    const struct kind_info *kind = kind_info(request->route->kind);
    resource_list_head(kind->list, kind->api_version, snapshot_revision(work->snapshot), NULL, -1, &body);
    for (size_t i = 0; i < work->count; i++) {
        if (i > 0) {
            buf_add_char(&body, ',');
        }
        buf_add(&body, work->records[i]->json, work->records[i]->json_len);
    }
    buf_add_str(&body, "]}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

static void init_deletion(struct request *request, const struct collection_work *work, size_t index,
                          struct write *write) {
    const struct record *record = work->records[index];
    write_init(write, request, WRITE_DELETE, request->route->kind);
    write->key = record->key;
    write->if_uid = record->object->meta.uid;
    write->dry_run = work->dry_run;
    write->judged = true;
}

static int next_wave(struct request *request, struct err *err) {
    struct collection_work *work = request->work;
    if (work->next == work->count) {
        return answer(request, err);
    }
    size_t count = work->count - work->next < WAVE ? work->count - work->next : WAVE;
    for (size_t i = 0; i < count; i++) {
        init_deletion(request, work, work->next + i, &work->wave[i]);
        work->wave[i].done = on_done;
    }
    work->wave_count = count;
    work->next += count;
    /* One more than writes, so that the last answer cannot come before the last submission. */
    atomic_store(&work->pending, count + 1);
    request_suspend(request, end_wave);
    for (size_t i = 0; i < count; i++) {
        /* What cannot be submitted is done, with its failure. */
        if (state_submit(request->serving->state, &work->wave[i], &work->wave[i].err) != 0) {
            atomic_fetch_sub(&work->pending, 1);
        }
    }
    finish_one(request);
    return 0;
}

/* ---- the brake ---- */

static void judge_job(struct request *request) {
    struct collection_work *work = request->work;
    struct err err = ERR_INIT;
    if (state_judge_deletion(request->serving->state, work->records, work->count, request->force,
                             &work->causes, &err) != 0) {
        work->failure = err;
    }
}

static int judge_answer(struct request *request, struct err *err) {
    struct collection_work *work = request->work;
    if (work->failure.code != ERR_NONE) {
        request->causes = &work->causes;
        *err = work->failure;
        return -1;
    }
    return next_wave(request, err);
}

static int select_records(struct request *request, const struct selection *selection,
                          struct collection_work *work, struct err *err) {
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, work->snapshot, request->route->kind, NULL);
    size_t room = record != NULL ? snapshot_remaining(&cursor) : 0;
    work->records = arena_array(&request->arena, room, sizeof(const struct record *));
    work->deleted = arena_array(&request->arena, room, sizeof(const struct record *));
    if (work->records == NULL || work->deleted == NULL) {
        return err_no_memory(err);
    }
    for (; record != NULL; record = snapshot_step(&cursor)) {
        if (selection_matches(selection, record->object)) {
            work->records[work->count++] = record;
        }
    }
    return 0;
}

/* ---- preview ---- */

/* One preview of all deletions together, as an apply of them would be. */
static int preview_collection(struct request *request, struct collection_work *work, struct err *err) {
    if (work->count > PREVIEW_WRITES_MAX) {
        return err_set(
            err, ERR_TOO_LARGE,
            "a preview shows at most %d deletions, and the selectors match %zu objects; select fewer",
            PREVIEW_WRITES_MAX, work->count);
    }
    struct write *writes = arena_array(&request->arena, work->count, sizeof(*writes));
    if (writes == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < work->count; i++) {
        init_deletion(request, work, i, &writes[i]);
        writes[i].also = i + 1 < work->count ? &writes[i + 1] : NULL;
    }
    work->previewed = work->count > 0 ? writes : NULL;
    return preview_writes(request, work->previewed, snapshot_revision(work->snapshot), err);
}

int handle_delete_collection(struct request *request, struct err *err) {
    struct delete_options options = {.uid = NULL};
    struct selection selection;
    bool preview;
    if (write_delete_options(request, &options, err) != 0 ||
        write_wants_preview(request, options.dry_run, &preview, err) != 0 ||
        selection_parse(request, resource_namespace(request), &selection, err) != 0) {
        return -1;
    }
    if (options.uid != NULL || options.resource_version != 0) {
        return err_set(err, ERR_BAD_REQUEST, "preconditions are for deleting one object, not a collection");
    }
    struct collection_work *work = base_calloc(1, sizeof(*work));
    if (work == NULL) {
        return err_no_memory(err);
    }
    err_clear(&work->failure);
    causes_init(&work->causes, &request->arena);
    work->dry_run = options.dry_run;
    struct picture *picture = state_picture(request->serving->state);
    work->snapshot = snapshot_ref(picture->snapshot);
    picture_unref(picture);
    request->work = work;
    request->cleanup = cleanup;
    if (select_records(request, &selection, work, err) != 0) {
        return -1;
    }
    return preview ? preview_collection(request, work, err)
                   : worker_run(request->serving->worker, request, judge_job, judge_answer, err);
}
