/*
 * POST …/imports: what another system exported, or this service. Every document's fate is told.
 *
 * 1. On the worker: the body is taken apart, and each document decoded. What is bad is noted at its document.
 * 2. On the connection's thread: nothing is stored while a document is bad, unless the bad ones may be left
 * out.
 * 3. A plan (dryRun=All) is previewed on the worker. Anything else is one transaction of the committer.
 *
 * The request owns all of it, as for previews.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "access/trail.h"
#include "fleet/handlers.h"
#include "machine/worker.h"
#include "objects/preview.h"
#include "objects/write.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

/* A document that is taken. */
struct import_write {
    struct write write;
    struct arena object_arena;
    struct codec_import *item;
    struct advice notes; /* of its decoding */
};

struct import {
    enum codec_syntax syntax;
    enum codec_import_source source;
    struct write_parameters parameters;
    bool skip_bad;
    struct preview_view view;
    size_t body_len;

    size_t count; /* documents */
    struct codec_import *items;
    size_t write_count; /* of them, those that are taken */
    struct import_write *writes;
    bool has_secrets;

    struct err err;     /* of a job */
    struct err refusal; /* of storing it, by the brake or for a freeze; ERR_NONE: none */
    uint64_t revision;
    struct buf changes;
    struct buf warnings;
};

static void import_cleanup(struct request *request) {
    struct import *import = request->work;
    for (size_t i = 0; i < import->write_count; i++) {
        record_unref(import->writes[i].write.record);
        arena_done(&import->writes[i].object_arena);
    }
    buf_done(&import->changes);
    buf_done(&import->warnings);
}

/* ---- the documents ---- */

/* Why a document is bad: all of its causes, as far as there is room. */
static const char *bad_text(struct request *request, const struct causes *causes, const struct err *problem) {
    char text[ERR_TEXT_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; problem->code == ERR_INVALID && i < causes->count && len < sizeof(text) - 1; i++) {
        const struct cause *cause = &causes->items[i];
        int more = snprintf(text + len, sizeof(text) - len, "%s%s: %s", i > 0 ? "; " : "", cause->field,
                            cause->message);
        len += more > 0 ? (size_t)more : 0;
    }
    return arena_strdup(&request->arena, text[0] != '\0' ? text : problem->text);
}

static int decode_item(struct request *request, struct import *import, struct codec_import *item,
                       struct err *err) {
    struct import_write *one = &import->writes[import->write_count];
    struct codec_options options = {.syntax = CODEC_JSON,
                                    .unknown = import->parameters.unknown,
                                    .kind = item->as,
                                    .any_namespace = true,
                                    .name_space = kind_info(item->as)->namespaced
                                                      ? state_secret_namespace(request->serving->state)
                                                      : NULL};
    struct causes causes;
    struct err problem = ERR_INIT;
    causes_init(&causes, &request->arena);
    write_init(&one->write, request, WRITE_REPLACE, item->as);
    one->write.weight = import->body_len;
    one->write.object_arena = &one->object_arena;
    one->write.upsert = true;
    one->write.dry_run = import->parameters.dry_run;
    one->item = item;
    advice_init(&one->notes, &request->arena);
    arena_init(&one->object_arena, 0);
    one->object_arena.wipe = item->as == KIND_SECRET;
    if (codec_decode(&options, item->json, item->len, &one->object_arena, &one->write.object, &causes,
                     &one->notes, &problem) == 0) {
        one->write.key = object_key(one->write.object, &request->arena);
        if (one->write.key == NULL) {
            arena_done(&one->object_arena);
            return err_no_memory(err);
        }
        import->write_count++;
        return 0;
    }
    arena_done(&one->object_arena);
    if (problem.code != ERR_BAD_REQUEST && problem.code != ERR_INVALID) {
        *err = problem;
        return -1;
    }
    item->fate = IMPORT_BAD;
    item->why = bad_text(request, &causes, &problem);
    return item->why == NULL ? err_no_memory(err) : 0;
}

static int decode_items(struct request *request, struct import *import, struct err *err) {
    import->writes = arena_array(&request->arena, import->count, sizeof(*import->writes));
    if (import->writes == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < import->count; i++) {
        struct codec_import *item = &import->items[i];
        if (item->fate == IMPORT_TAKEN && decode_item(request, import, item, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < import->write_count; i++) {
        struct import_write *one = &import->writes[i];
        one->write.also = i + 1 < import->write_count ? &one[1].write : NULL;
        import->has_secrets = import->has_secrets || one->write.kind == KIND_SECRET;
    }
    return 0;
}

static void read_job(struct request *request) {
    struct import *import = request->work;
    struct err err = ERR_INIT;
    if (codec_import(import->syntax, import->source, request->body.data, request->body.len,
                     state_secret_namespace(request->serving->state), &request->arena, &import->items,
                     &import->count, &err) != 0 ||
        decode_items(request, import, &err) != 0) {
        import->err = err;
    }
    /* Megabytes, of which everything that is needed has been copied. */
    request->body.wipe = true;
    buf_done(&request->body);
}

/* ---- may it go on? ---- */

static size_t count_of(const struct import *import, enum codec_import_fate fate) {
    size_t count = 0;
    for (size_t i = 0; i < import->count; i++) {
        count += import->items[i].fate == fate;
    }
    return count;
}

/* "document 3 (BGPPeer tor1)" */
#define ABOUT_MAX 400
static void import_about(const struct import *import, const struct codec_import *item, char out[ABOUT_MAX]) {
    snprintf(out, ABOUT_MAX, "document %zu (%.80s%s%.253s)", (size_t)(item - import->items) + 1, item->kind,
             item->name[0] != '\0' ? " " : "", item->name);
}

static int refuse_bad(struct request *request, const struct import *import, size_t bad, struct err *err) {
    struct causes *causes = arena_alloc(&request->arena, sizeof(*causes));
    if (causes == NULL) {
        return err_no_memory(err);
    }
    causes_init(causes, &request->arena);
    causes_add(
        causes, CAUSE_INVALID, "",
        "%zu of %zu documents are not understood, so nothing was stored; correct them, or leave them out "
        "with skipBad=true",
        bad, import->count);
    for (size_t i = 0; i < import->count; i++) {
        const struct codec_import *item = &import->items[i];
        if (item->fate == IMPORT_BAD) {
            char about[ABOUT_MAX];
            import_about(import, item, about);
            causes_add(causes, CAUSE_INVALID, about, "%s", item->why);
        }
    }
    request->causes = causes;
    return err_set(err, ERR_INVALID, "%zu of %zu documents are not understood", bad, import->count);
}

static bool fleet_is_empty(struct state *state) {
    struct picture *picture = state_picture(state);
    size_t count = 0;
    for (int i = 0; i < KIND_COUNT; i++) {
        count += snapshot_count(picture->snapshot, (enum kind)i);
    }
    picture_unref(picture);
    return count == 0;
}

/* A first import may be as large as a fleet; later ones are changes like any other. */
static int check_size(struct request *request, const struct import *import, struct err *err) {
    return import->write_count <= PREVIEW_WRITES_MAX || fleet_is_empty(request->serving->state)
               ? 0
               : err_set(
                     err, ERR_TOO_LARGE,
                     "the import has %zu objects; beside what is stored already at most %d are taken at a "
                     "time (into an empty fleet %d): import fewer",
                     import->write_count, PREVIEW_WRITES_MAX, IMPORT_DOCUMENTS_MAX);
}

/* ---- the answer ---- */

static const char *fate_text(const struct codec_import *item, const struct import_write *one) {
    if (item->fate != IMPORT_TAKEN) {
        return item->fate == IMPORT_BAD ? "bad" : "skipped";
    }
    return one->write.created ? "created" : one->write.unchanged ? "unchanged" : "updated";
}

static void add_notes(const struct codec_import *item, const struct import_write *one, struct buf *out) {
    size_t more = one != NULL ? one->notes.count : 0;
    if (item->note_count + more == 0) {
        return;
    }
    buf_json_key(out, "notes");
    buf_add_char(out, '[');
    for (size_t i = 0; i < item->note_count; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, item->notes[i]);
    }
    for (size_t i = 0; i < more; i++) {
        buf_json_comma(out);
        buf_add_json_str(out, one->notes.items[i]);
    }
    buf_add_char(out, ']');
}

static void add_document(const struct import *import, const struct codec_import *item,
                         const struct import_write *one, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_u64(out, "document", (uint64_t)(item - import->items) + 1);
    buf_json_member_str(out, "apiVersion", item->api_version);
    buf_json_member_str(out, "kind", item->kind);
    buf_json_member_str(out, "namespace", item->name_space[0] != '\0' ? item->name_space : NULL);
    buf_json_member_str(out, "name", item->name);
    buf_json_member_str(out, "fate", fate_text(item, one));
    buf_json_member_str(out, "why", item->why);
    add_notes(item, one, out);
    buf_add_char(out, '}');
}

/* The documents in their order, and how many met which fate. */
static void add_documents(const struct import *import, struct buf *out) {
    size_t created = 0, updated = 0, unchanged = 0, at = 0;
    struct buf documents = BUF_INIT;
    buf_add_char(&documents, '[');
    for (size_t i = 0; i < import->count; i++) {
        const struct codec_import *item = &import->items[i];
        const struct import_write *one = NULL;
        if (item->fate == IMPORT_TAKEN) {
            one = &import->writes[at++];
            created += one->write.created;
            unchanged += !one->write.created && one->write.unchanged;
            updated += !one->write.created && !one->write.unchanged;
        }
        add_document(import, item, one, &documents);
    }
    buf_add_str(out, "\"totals\":{");
    buf_json_member_u64(out, "documents", import->count);
    buf_json_member_u64(out, "created", created);
    buf_json_member_u64(out, "updated", updated);
    buf_json_member_u64(out, "unchanged", unchanged);
    buf_json_member_u64(out, "skipped", count_of(import, IMPORT_SKIPPED));
    buf_json_member_u64(out, "bad", count_of(import, IMPORT_BAD));
    buf_add_str(out, "},\"documents\":");
    buf_add(out, documents.data, documents.len);
    buf_add_char(out, ']');
    out->failed = out->failed || buf_failed(&documents);
    buf_done(&documents);
}

static int import_reply(struct request *request, struct import *import, struct err *err) {
    struct buf out = BUF_INIT;
    buf_add_str(&out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Import\",\"metadata\":{");
    buf_printf(&out, "\"resourceVersion\":\"%" PRIu64 "\"},", import->revision);
    add_documents(import, &out);
    if (import->changes.len > 0) {
        buf_add_str(&out, ",\"changes\":");
        buf_add(&out, import->changes.data, import->changes.len);
    }
    preview_add_refusal(&import->refusal, &out, &import->warnings);
    buf_add_str(&out, ",\"warnings\":[");
    buf_add(&out, import->warnings.data, import->warnings.len);
    for (size_t i = 0; request->advice != NULL && i < request->advice->count; i++) {
        buf_add_str(&out, out.data != NULL && out.data[out.len - 1] != '[' ? "," : "");
        buf_add_json_str(&out, request->advice->items[i]);
    }
    buf_add_str(&out, "]}");
    out.failed = out.failed || buf_failed(&import->changes) || buf_failed(&import->warnings);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    buf_done(&out);
    return result;
}

/* What there is to say about the objects among all others; until there is no room for more of it. */
static int import_advise(struct request *request, const struct import *import, const struct picture *picture,
                         struct err *err) {
    for (size_t i = 0; i < import->write_count; i++) {
        const struct advice *said = request->advice;
        char about[ABOUT_MAX];
        if (said != NULL && said->count == ADVICE_MAX) {
            return 0;
        }
        import_about(import, import->writes[i].item, about);
        if (write_advise(request, picture, about, &import->writes[i].write, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The document that a failure of all is about. */
static int import_failure(struct request *request, struct import *import, const struct err *failure,
                          struct err *err) {
    *err = *failure;
    /* The first write repeats the error of the one that failed, so look from the end. */
    for (size_t i = import->write_count; i-- > 0;) {
        struct write *write = &import->writes[i].write;
        if (write->err.code == failure->code && failure->code != ERR_NONE) {
            char about[ABOUT_MAX];
            *err = write->err;
            request->causes = write->err.code == ERR_INVALID ? &write->causes : NULL;
            import_about(import, import->writes[i].item, about);
            return err_wrap(err, "%s", about);
        }
    }
    return -1;
}

/* ---- a plan ---- */

static void plan_job(struct request *request) {
    struct import *import = request->work;
    struct picture *before, *after;
    struct node_set *affected;
    struct err err = ERR_INIT;
    char unused[DIGEST_TEXT_MAX];
    if (state_preview(request->serving->state, &import->writes[0].write, &before, &after, &affected, &err) !=
        0) {
        import->err = err;
        return;
    }
    import->revision = snapshot_revision(before->snapshot);
    if (preview_encode(before, after, affected, &import->view, &import->changes, &import->warnings, unused,
                       &err) != 0 ||
        preview_judge(request, &import->writes[0].write, before, after, affected, &import->refusal, &err) !=
            0 ||
        import_advise(request, import, after, &err) != 0) {
        import->err = err;
    }
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
}

static int plan_answer(struct request *request, struct err *err) {
    struct import *import = request->work;
    return import->err.code != ERR_NONE ? import_failure(request, import, &import->err, err)
                                        : import_reply(request, import, err);
}

/* ---- storing ---- */

static int store_refused(struct request *request, struct err *err) {
    struct import *import = request->work;
    *err = import->err;
    return -1;
}

static int store_answer(struct request *request, struct err *err) {
    struct import *import = request->work;
    struct write *first = &import->writes[0].write;
    if (first->err.code == ERR_TOO_DISRUPTIVE || first->err.code == ERR_FROZEN) { /* all of it together */
        return write_refused(request, first, err);
    }
    if (first->err.code != ERR_NONE) {
        return import_failure(request, import, &first->err, err);
    }
    trail_write(request, first);
    for (size_t i = 0; i < import->write_count; i++) {
        uint64_t version = import->writes[i].write.record->revision;
        import->revision = version > import->revision ? version : import->revision;
    }
    struct picture *picture = state_picture(request->serving->state);
    int advised = import_advise(request, import, picture, err);
    picture_unref(picture);
    return advised == 0 ? import_reply(request, import, err) : -1;
}

/* The documents have been read. */
static int import_decide(struct request *request, struct err *err) {
    struct import *import = request->work;
    struct err read = import->err;
    size_t bad = count_of(import, IMPORT_BAD);
    bool dry_run = import->parameters.dry_run;
    if (read.code != ERR_NONE) {
        *err = read;
        return -1;
    }
    if (bad > 0 && !import->skip_bad && !dry_run) {
        return refuse_bad(request, import, bad, err);
    }
    if (check_size(request, import, err) != 0 ||
        (import->has_secrets && access_try_secret(request, NULL, err) != 0)) {
        return -1;
    }
    if (import->write_count == 0) {
        struct picture *picture = state_picture(request->serving->state);
        import->revision = snapshot_revision(picture->snapshot);
        picture_unref(picture);
        return import_reply(request, import, err);
    }
    if (dry_run) {
        return worker_run(request->serving->worker, request, plan_job, plan_answer, err);
    }
    write_submit(request, &import->writes[0].write, &import->err, store_answer, store_refused);
    return 0;
}

/* ---- the request ---- */

static int read_source(const struct request *request, enum codec_import_source *ret, struct err *err) {
    const char *source = request_query(request, QUERY_SOURCE);
    *ret = IMPORT_ANY;
    if (source == NULL || source[0] == '\0') {
        return 0;
    }
    if (strcmp(source, "calico") != 0 && strcmp(source, "kubernetes") != 0) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "source=%.50s is not understood; write source=calico or source=kubernetes to say whose "
            "Nodes are read, or leave it out for all of them",
            source);
    }
    *ret = source[0] == 'c' ? IMPORT_CALICO : IMPORT_KUBERNETES;
    return 0;
}

int handle_imports(struct request *request, struct err *err) {
    struct import *import = arena_alloc(&request->arena, sizeof(*import));
    if (import == NULL) {
        return err_no_memory(err);
    }
    *import = (struct import){.err = ERR_INIT, .refusal = ERR_INIT, .body_len = request->body.len};
    import->skip_bad = request_query_flag(request, QUERY_SKIP_BAD);
    if (write_parameters(request, &import->parameters, err) != 0 ||
        read_source(request, &import->source, err) != 0 ||
        preview_read_view(request, &import->view, err) != 0 ||
        media_document(request_header(request, HEADER_CONTENT_TYPE), false, &import->syntax, err) != 0) {
        return -1;
    }
    request->work = import;
    request->cleanup = import_cleanup;
    return worker_run(request->serving->worker, request, read_job, import_decide, err);
}
