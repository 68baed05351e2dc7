/*
 * One change of the change log: each of its objects before and after, and what it did to sessions, as a
 * preview shows it. Read from the disk and computed from two pictures of the past, on the worker's thread.
 *
 * Documents are shown up to DOCUMENTS_BYTES_MAX; the objects behind are named only, and `truncated` says so.
 * Of Secrets there are names, versions and fingerprints, as everywhere.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "fleet/change_rows.h"
#include "fleet/handlers.h"
#include "fleet/moment.h"
#include "machine/worker.h"
#include "objects/preview.h"
#include "request/reply.h"
#include "request/serving.h"

#define DOCUMENTS_BYTES_MAX ((size_t)16 << 20)

struct change_view {
    uint64_t txn;
    struct preview_view view;
    struct change_rows rows;
    struct buf objects, changes, warnings;
    bool truncated;
};

static void add_document(struct change_view *shown, const char *side, const struct record *record) {
    struct buf *out = &shown->objects;
    if (record != NULL && out->len + record->json_len > DOCUMENTS_BYTES_MAX) {
        shown->truncated = true;
        return;
    }
    buf_json_key(out, side);
    if (record != NULL) {
        buf_add(out, record->json, record->json_len);
    } else {
        buf_add_str(out, "null");
    }
}

/* An object that was deleted and made anew has two rows, and is shown once, with the later one. */
static void add_objects(struct change_view *shown, const struct picture *before,
                        const struct picture *after) {
    for (size_t i = 0; i < shown->rows.count; i++) {
        const struct change_row *row = &shown->rows.items[i];
        const struct kind_info *info = kind_by_name(row->kind);
        if (info == NULL) {
            continue; /* the pictures could not have been made */
        }
        const struct record *old = snapshot_get(before->snapshot, info->kind, row->name);
        const struct record *new = snapshot_get(after->snapshot, info->kind, row->name);
        if (new != NULL ? new->revision != row->revision : row->op != STORE_DELETE) {
            continue;
        }
        struct buf *out = &shown->objects;
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "kind", row->kind);
        buf_json_member_str(out, "name", row->name);
        buf_json_member_str(out, "op",
                            change_row_op(new == NULL   ? STORE_DELETE
                                          : old == NULL ? STORE_CREATE
                                                        : STORE_UPDATE));
        buf_printf(out, ",\"revision\":\"%" PRIu64 "\"", row->revision);
        add_document(shown, "before", old);
        add_document(shown, "after", new);
        buf_add_char(out, '}');
    }
}

static int show_change(struct request *request, struct err *err) {
    struct change_view *shown = request->work;
    struct change_pictures pictures;
    char unused[DIGEST_TEXT_MAX];
    if (change_pictures_read(request->serving->state, shown->txn, &request->arena, &shown->rows, &pictures,
                             err) != 0) {
        return -1;
    }
    add_objects(shown, pictures.before, pictures.after);
    int result = preview_encode(pictures.before, pictures.after, pictures.affected, &shown->view,
                                &shown->changes, &shown->warnings, unused, err);
    change_pictures_done(&pictures);
    return result;
}

static int change_answer(struct request *request, struct err *err) {
    struct change_view *shown = request->work;
    struct buf body = BUF_INIT;
    change_head_write(&shown->rows.head, &body);
    buf_json_key(&body, "objects");
    buf_add_char(&body, '[');
    buf_add(&body, shown->objects.data, shown->objects.len);
    buf_add_char(&body, ']');
    buf_json_member_true(&body, "truncated", shown->truncated);
    buf_json_key(&body, "changes");
    buf_add(&body, shown->changes.data, shown->changes.len);
    buf_json_key(&body, "warnings");
    buf_add_char(&body, '[');
    buf_add(&body, shown->warnings.data, shown->warnings.len);
    buf_add_str(&body, "]}");
    body.failed = body.failed || buf_failed(&shown->objects) || buf_failed(&shown->changes) ||
                  buf_failed(&shown->warnings);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

static void change_cleanup(struct request *request) {
    struct change_view *shown = request->work;
    buf_done(&shown->objects);
    buf_done(&shown->changes);
    buf_done(&shown->warnings);
}

int handle_change(struct request *request, struct err *err) {
    struct change_view *shown = arena_alloc(&request->arena, sizeof(*shown));
    const char *txn = request->params[0];
    if (shown == NULL) {
        return err_no_memory(err);
    }
    *shown = (struct change_view){.objects = BUF_INIT, .changes = BUF_INIT, .warnings = BUF_INIT};
    if (!u64_parse(txn, strlen(txn), INT64_MAX, &shown->txn) || shown->txn == 0) {
        return err_set(
            err, ERR_NOT_FOUND,
            "changes.bgppeerd.io \"%s\" not found: a change is called by the revision of the first "
            "of its objects, a number",
            txn);
    }
    if (preview_read_view(request, &shown->view, err) != 0) {
        return -1;
    }
    request->work = shown;
    request->cleanup = change_cleanup;
    return worker_compute(request->serving->worker, request, show_change, change_answer, err);
}
