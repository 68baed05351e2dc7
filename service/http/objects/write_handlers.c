/*
 * Writing objects: create, replace, patch, delete.
 *
 * Decoding and validation run on the connection's thread. Then the change goes to the committer and
 * the connection is suspended; the committer's callback only resumes it, and the answer is made on the
 * connection's thread again. The write and everything it points to live in the request's arena, which
 * the committer may use until its callback.
 */
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "objects/handlers.h"
#include "objects/preview.h"
#include "objects/resource.h"
#include "objects/write.h"
#include "request/etag.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

#define OWN_NODE_OPERATIONS_MAX 64 /* of a JSON patch that a node sends about itself */

struct write_work {
    struct write write;
    struct arena object_arena; /* the decoded object; empty once state has taken it */
};

/* ---- preconditions ---- */

/* The If-Match tag the committer is to check. Of several it can only check one: the one that holds
 * now, because none of the others can become true again. */
static int take_if_match(struct request *request, struct write *write, struct err *err) {
    const char *header = request_header(request, HEADER_IF_MATCH);
    if (header == NULL) {
        return 0;
    }
    const char *text = NULL;
    size_t len = 0;
    char etag[OBJECT_ETAG_MAX];
    struct picture *picture = state_picture(request->serving->state);
    const struct record *record = snapshot_get(picture->snapshot, write->kind, write->key);
    if (record != NULL) {
        object_etag(record, etag);
        if (etag_list_has(header, etag + 1, strlen(etag) - 2)) {
            text = etag + 1;
            len = strlen(etag) - 2;
        }
    }
    picture_unref(picture);
    if (etag_list_is_any(header)) {
        text = "*";
        len = 1;
    } else if (text == NULL && (!etag_list_first(header, &text, &len) || memchr(text, '*', len) != NULL)) {
        return err_set(err, ERR_PRECONDITION_FAILED,
                       "If-Match holds no entity tag; send the ETag of the object, or *");
    }
    write->if_match = arena_strndup(&request->arena, text, len);
    return write->if_match != NULL ? 0 : err_no_memory(err);
}

/* If-None-Match on a write: "*" and the current tag mean "not when it exists (like this)". */
static int check_if_none_match(struct request *request, const struct write *write, struct err *err) {
    const char *header = request_header(request, HEADER_IF_NONE_MATCH);
    if (header == NULL) {
        return 0;
    }
    struct picture *picture = state_picture(request->serving->state);
    const struct record *record = snapshot_get(picture->snapshot, write->kind, write->key);
    char etag[OBJECT_ETAG_MAX];
    bool matches = false;
    if (record != NULL) {
        object_etag(record, etag);
        matches = etag_list_has(header, etag + 1, strlen(etag) - 2);
    }
    picture_unref(picture);
    return matches
               ? err_set(err, ERR_PRECONDITION_FAILED, "the object exists, and If-None-Match forbids that")
               : 0;
}

/* ---- submitting ---- */

static void cleanup(struct request *request) {
    struct write_work *work = request->work;
    record_unref(work->write.record);
    arena_done(&work->object_arena);
}

static int answer(struct request *request, struct err *err) {
    struct write_work *work = request->work;
    struct write *write = &work->write;
    trail_write(request, write);
    if (write->kind == KIND_SECRET) {
        access_secret_written(request,
                              write->err.code == ERR_TOO_DISRUPTIVE || write->err.code == ERR_FROZEN);
    }
    if (write->err.code != ERR_NONE) {
        return write_refused(request, write, err);
    }
    struct picture *picture = state_picture(request->serving->state);
    int advised = write_advise(request, picture, NULL, write, err);
    picture_unref(picture);
    if (advised != 0) {
        return -1;
    }
    if (write->op == WRITE_DELETE) {
        return reply_deleted(request, write->record, err);
    }
    return reply_record(request, write->created ? STATUS_CREATED : STATUS_OK, write->record, err);
}

static int answer_refused(struct request *request, struct err *err) {
    struct write_work *work = request->work;
    *err = work->write.err;
    return -1;
}

static struct write_work *new_work(struct request *request, enum write_op op, struct err *err) {
    struct write_work *work = arena_alloc(&request->arena, sizeof(*work));
    if (work == NULL) {
        err_no_memory(err);
        return NULL;
    }
    write_init(&work->write, request, op, request->route->kind);
    work->write.object_arena = &work->object_arena;
    arena_init(&work->object_arena, 0);
    work->object_arena.wipe = request->route->kind == KIND_SECRET;
    request->work = work;
    request->cleanup = cleanup;
    if (op != WRITE_CREATE) {
        work->write.key = resource_key(request, &request->arena);
        if (work->write.key == NULL) {
            err_no_memory(err);
            return NULL;
        }
    }
    return work;
}

static int submit(struct request *request, struct write_work *work, struct err *err) {
    struct write *write = &work->write;
    bool preview;
    if (write_wants_preview(request, write->dry_run, &preview, err) != 0) {
        return -1;
    }
    if (preview) {
        return write->kind == KIND_SECRET && access_try_secret(request, write->key, err) != 0
                   ? -1
                   : preview_write(request, write, err);
    }
    if (write->kind == KIND_SECRET && access_secret_write(request, err) != 0) {
        return -1;
    }
    write_submit(request, write, &write->err, answer, answer_refused);
    return 0;
}

/* ---- documents ---- */

static int decode(struct request *request, struct write_work *work, const struct write_parameters *parameters,
                  const char *name, struct err *err) {
    struct codec_options options = {.unknown = parameters->unknown,
                                    .kind = request->route->kind,
                                    .name = name,
                                    .name_space = resource_namespace(request),
                                    .ret_name = &request->object_name};
    const char *type = request_header(request, HEADER_CONTENT_TYPE);
    if (media_document(type, options.kind == KIND_SECRET, &options.syntax, err) != 0) {
        return -1;
    }
    if (request->body.len == 0) {
        return err_set(err, ERR_BAD_REQUEST, "the body is empty; send one %s as JSON or YAML",
                       kind_info(options.kind)->name);
    }
    struct causes *causes = arena_alloc(&request->arena, sizeof(*causes));
    struct advice *advice = request_advice(request);
    if (causes == NULL || advice == NULL) {
        return err_no_memory(err);
    }
    causes_init(causes, &request->arena);
    request->causes = causes;
    if (codec_decode(&options, request->body.data, request->body.len, &work->object_arena,
                     &work->write.object, causes, advice, err) != 0) {
        return -1;
    }
    /* The object itself, and with it the name it has there, becomes state's. */
    request->object_name = work->write.object->meta.name;
    if (request->object_name != NULL) {
        request->object_name = arena_strdup(&request->arena, request->object_name);
    }
    return 0;
}

int handle_create(struct request *request, struct err *err) {
    struct write_parameters parameters;
    struct write_work *work = NULL;
    if (write_parameters(request, &parameters, err) != 0 ||
        (work = new_work(request, WRITE_CREATE, err)) == NULL ||
        decode(request, work, &parameters, NULL, err) != 0) {
        return -1;
    }
    work->write.dry_run = parameters.dry_run;
    return submit(request, work, err);
}

int handle_replace(struct request *request, struct err *err) {
    struct write_parameters parameters;
    struct write_work *work = NULL;
    if (write_parameters(request, &parameters, err) != 0 ||
        (work = new_work(request, WRITE_REPLACE, err)) == NULL ||
        decode(request, work, &parameters, resource_name(request), err) != 0 ||
        take_if_match(request, &work->write, err) != 0 ||
        check_if_none_match(request, &work->write, err) != 0) {
        return -1;
    }
    work->write.dry_run = parameters.dry_run;
    return submit(request, work, err);
}

int handle_patch(struct request *request, struct err *err) {
    struct write_parameters parameters;
    struct write_work *work = NULL;
    if (write_parameters(request, &parameters, err) != 0 ||
        (work = new_work(request, WRITE_PATCH, err)) == NULL) {
        return -1;
    }
    struct write *write = &work->write;
    if (media_patch(request_header(request, HEADER_CONTENT_TYPE), &write->patch_type, &write->syntax, err) !=
        0) {
        return -1;
    }
    if (request->body.len == 0) {
        return err_set(err, ERR_BAD_REQUEST, "the patch is empty");
    }
    write->unknown = parameters.unknown;
    write->dry_run = parameters.dry_run;
    write->patch = request->body.data;
    write->patch_len = request->body.len;
    write->patch_operations_max = request_is_own_node(request) ? OWN_NODE_OPERATIONS_MAX : 0;
    if (take_if_match(request, write, err) != 0 || check_if_none_match(request, write, err) != 0) {
        return -1;
    }
    return submit(request, work, err);
}

/* ---- delete ---- */

int handle_delete(struct request *request, struct err *err) {
    struct delete_options options = {.uid = NULL};
    struct write_work *work = NULL;
    if (write_delete_options(request, &options, err) != 0 ||
        (work = new_work(request, WRITE_DELETE, err)) == NULL ||
        take_if_match(request, &work->write, err) != 0 ||
        check_if_none_match(request, &work->write, err) != 0) {
        return -1;
    }
    work->write.if_uid = options.uid;
    work->write.if_version = options.resource_version;
    work->write.dry_run = options.dry_run;
    return submit(request, work, err);
}
