/*
 * Reading objects: get and list, as JSON or as a Table.
 *
 * Everything comes from one snapshot, taken by reference; no lock is held and the disk is not touched.
 * A list's later pages come from the snapshot of its first.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "objects/handlers.h"
#include "objects/pages.h"
#include "objects/resource.h"
#include "objects/table.h"
#include "objects/watch.h"
#include "request/etag.h"
#include "request/reply.h"
#include "request/serving.h"

/* ---- get ---- */

static int reply_one_row(struct request *request, const struct record *record, struct err *err) {
    enum table_object object;
    if (table_object_param(request, &object, err) != 0) {
        return -1;
    }
    struct buf body = BUF_INIT;
    table_begin(record->object->kind, record->revision, NULL, -1, true, &body);
    struct table_now now;
    table_now_take(request->serving->state, &now);
    int result = table_row(record, object, &now, &body, err);
    table_now_done(&now);
    table_end(&body);
    if (result == 0) {
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    }
    buf_done(&body);
    return result;
}

static int reply_metadata(struct request *request, const struct record *record, struct err *err) {
    struct buf body = BUF_INIT;
    table_metadata(record->object, &body);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

static int reply_object(struct request *request, const struct record *record, enum media_answer answer,
                        struct err *err) {
    if (answer == MEDIA_TABLE) {
        return reply_one_row(request, record, err);
    }
    if (answer == MEDIA_METADATA) {
        return reply_metadata(request, record, err);
    }
    const char *known = request_header(request, HEADER_IF_NONE_MATCH);
    if (known != NULL) {
        char etag[OBJECT_ETAG_MAX];
        object_etag(record, etag);
        if (etag_list_has(known, etag + 1, strlen(etag) - 2)) {
            return reply_not_modified(request, etag, err);
        }
    }
    return reply_record(request, STATUS_OK, record, err);
}

int handle_get(struct request *request, struct err *err) {
    enum media_answer answer;
    uint64_t not_older;
    if (media_accept(request_header(request, HEADER_ACCEPT), &answer, err) != 0 ||
        resource_version_param(request, &not_older, err) != 0) {
        return -1;
    }
    if (request_query_flag(request, QUERY_WATCH)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "one object is watched by its list: GET the path without its name, and with "
                       "watch=1&fieldSelector=metadata.name=%.253s",
                       resource_name(request));
    }
    const char *key = resource_key(request, &request->arena);
    if (key == NULL) {
        return err_no_memory(err);
    }
    struct picture *picture = state_picture(request->serving->state);
    const struct record *record = snapshot_get(picture->snapshot, request->route->kind, key);
    uint64_t current = snapshot_revision(picture->snapshot);
    int result;
    if (not_older > current) {
        result = resource_reply_too_new(request, not_older, current, err);
    } else {
        result =
            record != NULL ? reply_object(request, record, answer, err) : resource_not_found(request, err);
    }
    picture_unref(picture);
    return result;
}

/* ---- list ---- */

struct list_request {
    struct selection selection;
    enum media_answer answer;
    enum table_object object;
    uint64_t limit;    /* 0 = all */
    const char *after; /* last key of the page before; NULL = the first page */
    uint64_t revision; /* of the page before, or resourceVersion of the query */
    bool exact;        /* that revision and no other */
};

struct list_page {
    const struct record **records; /* borrowed from the snapshot */
    size_t count;
    const char *token; /* NULL: nothing follows */
    int64_t remaining; /* -1: not known */
};

static int parse_version_match(struct request *request, struct list_request *list, struct err *err) {
    const char *match = request_query(request, QUERY_VERSION_MATCH);
    if (resource_version_param(request, &list->revision, err) != 0) {
        return -1;
    }
    if (match == NULL || match[0] == '\0' || strcmp(match, "NotOlderThan") == 0) {
        return 0;
    }
    if (strcmp(match, "Exact") != 0) {
        return err_set(err, ERR_BAD_REQUEST, "resourceVersionMatch=%.50s is not one of Exact, NotOlderThan",
                       match);
    }
    if (list->revision == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "resourceVersionMatch=Exact needs a resourceVersion other than 0");
    }
    list->exact = true;
    return 0;
}

static int parse_list(struct request *request, struct list_request *list, struct err *err) {
    const char *limit = request_query(request, QUERY_LIMIT);
    if (limit != NULL && limit[0] != '\0' && !u64_parse(limit, strlen(limit), INT64_MAX, &list->limit)) {
        return err_set(err, ERR_BAD_REQUEST, "limit=%.50s is not a number of items", limit);
    }
    if (table_object_param(request, &list->object, err) != 0) {
        return -1;
    }
    const char *token = request_query(request, QUERY_CONTINUE);
    if (token == NULL || token[0] == '\0') {
        return parse_version_match(request, list, err);
    }
    const char *version = request_query(request, QUERY_VERSION);
    if (version != NULL && version[0] != '\0' && strcmp(version, "0") != 0) {
        return err_set(err, ERR_BAD_REQUEST, "resourceVersion cannot be given together with continue");
    }
    list->exact = true;
    return pages_parse_token(&request->arena, token, request->route->kind, &list->revision, &list->after,
                             err);
}

/* The snapshot the list is made from, with a reference; *ret NULL: answered (too new). */
static int choose_snapshot(struct request *request, const struct list_request *list,
                           const struct snapshot **ret, struct err *err) {
    struct picture *picture = state_picture(request->serving->state);
    const struct snapshot *snapshot = snapshot_ref(picture->snapshot);
    picture_unref(picture);
    uint64_t current = snapshot_revision(snapshot);
    if (!list->exact || list->revision == current) {
        *ret = snapshot;
        if (list->revision > current) {
            snapshot_unref(snapshot);
            *ret = NULL;
            return resource_reply_too_new(request, list->revision, current, err);
        }
        return 0;
    }
    snapshot_unref(snapshot);
    snapshot = pages_find(request->serving->pages, list->revision);
    if (snapshot == NULL) {
        return err_set(err, ERR_EXPIRED,
                       "the list at resourceVersion %" PRIu64
                       " is no longer kept (pages are kept for some minutes); "
                       "start the list again from its first page",
                       list->revision);
    }
    *ret = snapshot;
    return 0;
}

static int collect(struct request *request, const struct snapshot *snapshot, const struct list_request *list,
                   struct list_page *page, struct err *err) {
    enum kind kind = request->route->kind;
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, snapshot, kind, list->after);
    size_t room = record != NULL ? snapshot_remaining(&cursor) : 0;
    if (list->limit > 0 && list->limit < room) {
        room = (size_t)list->limit;
    }
    page->records = arena_array(&request->arena, room, sizeof(const struct record *));
    if (page->records == NULL) {
        return err_no_memory(err);
    }
    page->remaining = -1;
    for (; record != NULL; record = snapshot_step(&cursor)) {
        if (!selection_matches(&list->selection, record->object)) {
            continue;
        }
        if (page->count == room) {
            page->token =
                pages_token(&request->arena, snapshot_revision(snapshot), kind, page->records[room - 1]->key);
            /* Kubernetes says it only where it costs nothing: without selectors. */
            page->remaining = selection_is_all(&list->selection) ? (int64_t)snapshot_remaining(&cursor) : -1;
            return page->token != NULL ? 0 : err_no_memory(err);
        }
        page->records[page->count++] = record;
    }
    return 0;
}

static int write_table(struct request *request, uint64_t revision, const struct list_request *list,
                       const struct list_page *page, struct buf *body, struct err *err) {
    struct table_now now;
    int result = 0;
    table_now_take(request->serving->state, &now);
    table_begin(request->route->kind, revision, page->token, page->remaining, true, body);
    for (size_t i = 0; result == 0 && i < page->count; i++) {
        result = table_row(page->records[i], list->object, &now, body, err);
    }
    table_end(body);
    table_now_done(&now);
    return result;
}

static void write_metadata(uint64_t revision, const struct list_page *page, struct buf *body) {
    resource_list_head("PartialObjectMetadataList", "meta.k8s.io/v1", revision, page->token, page->remaining,
                       body);
    for (size_t i = 0; i < page->count; i++) {
        buf_json_comma(body);
        table_metadata(page->records[i]->object, body);
    }
    buf_add_str(body, "]}");
}

static int write_whole(enum kind kind, uint64_t revision, const struct list_page *page, struct buf *body,
                       struct err *err) {
    size_t size = 512;
    for (size_t i = 0; i < page->count; i++) {
        size += page->records[i]->json_len + 1;
    }
    if (buf_reserve(body, size) != 0) {
        return err_no_memory(err);
    }
    const struct kind_info *info = kind_info(kind);
    resource_list_head(info->list, info->api_version, revision, page->token, page->remaining, body);
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0) {
            buf_add_char(body, ',');
        }
        buf_add(body, page->records[i]->json, page->records[i]->json_len);
    }
    buf_add_str(body, "]}");
    return 0;
}

static int write_page(struct request *request, uint64_t revision, const struct list_request *list,
                      const struct list_page *page, struct buf *body, struct err *err) {
    switch (list->answer) {
    case MEDIA_TABLE:
        return write_table(request, revision, list, page, body, err);
    case MEDIA_METADATA:
        write_metadata(revision, page, body);
        return 0;
    case MEDIA_OBJECT:
        break;
    }
    return write_whole(request->route->kind, revision, page, body, err);
}

static int list_from(struct request *request, const struct snapshot *snapshot,
                     const struct list_request *list, struct err *err) {
    struct list_page page = {.records = NULL};
    struct buf body = BUF_INIT;
    int result = -1;
    uint64_t revision = snapshot_revision(snapshot);
    if (collect(request, snapshot, list, &page, err) == 0 &&
        write_page(request, revision, list, &page, &body, err) == 0) {
        if (page.token != NULL) {
            pages_keep(request->serving->pages, snapshot);
        }
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    }
    buf_done(&body);
    return result;
}

int handle_list(struct request *request, struct err *err) {
    struct list_request list = {.limit = 0};
    if (media_accept(request_header(request, HEADER_ACCEPT), &list.answer, err) != 0 ||
        selection_parse(request, resource_namespace(request), &list.selection, err) != 0) {
        return -1;
    }
    const char *accept = request_header(request, HEADER_ACCEPT);
    if (request_query_flag(request, QUERY_WATCH) && accept != NULL && media_wants_yaml(accept)) {
        return err_set(err, ERR_NOT_ACCEPTABLE, "a watch is served as application/json only; ask for that");
    }
    if (request_query_flag(request, QUERY_WATCH)) {
        return handle_watch(request, &list.selection, list.answer, err);
    }
    const struct snapshot *snapshot = NULL;
    if (parse_list(request, &list, err) != 0 || choose_snapshot(request, &list, &snapshot, err) != 0) {
        return -1;
    }
    if (snapshot == NULL) {
        return 0;
    }
    int result = list_from(request, snapshot, &list, err);
    snapshot_unref(snapshot);
    return result;
}
