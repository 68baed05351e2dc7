/*
 * GET …/nodes/{name}/peerings/history: which versions of its list a node was given, the newest first, and for
 * those who may read changes the change that each came with. Read from the disk, on the worker's thread; a
 * page looks at no more than VERSIONS_LOOK_MAX versions, and may be empty and go on.
 */
#include <inttypes.h>
#include <stdio.h>

#include "auth.h"
#include "base/clock.h"
#include "fleet/change_rows.h"
#include "fleet/handlers.h"
#include "machine/worker.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define VERSIONS_PAGE        50
#define VERSIONS_PAGE_MAX    500
#define VERSIONS_LOOK_MAX    2000
#define VERSIONS_OBJECTS_MAX 100 /* of one change that are named */

struct list_version {
    uint64_t revision;
    int64_t made_ms, given_ms;
    char etag[DIGEST_TEXT_MAX];
};

struct versions {
    uint64_t below;
    uint64_t limit;
    bool with_changes;
    struct list_version *items; /* room for `limit` */
    size_t count;
    size_t looked_at;
    uint64_t last; /* that was looked at */
    struct buf body;
};

/* ---- on the worker ---- */

static int take_version(void *arg, const struct store_given *given, struct err *err) {
    struct versions *versions = arg;
    (void)err;
    versions->looked_at++;
    versions->last = given->revision;
    if (given->node_ms == 0 || versions->count == versions->limit) {
        return 0; /* others asked for it, not the node */
    }
    struct list_version *version = &versions->items[versions->count++];
    *version = (struct list_version){
        .revision = given->revision, .made_ms = given->time_ms, .given_ms = given->node_ms};
    snprintf(version->etag, sizeof(version->etag), "%s", given->etag);
    return 0;
}

static int take_txn(void *arg, const struct store_change *change, struct err *err) {
    (void)err;
    *(uint64_t *)arg = change->txn;
    return 0;
}

static void write_change(const struct change_rows *rows, struct buf *out) {
    char time[CLOCK_TEXT_MAX];
    const struct change_head *head = &rows->head;
    clock_format_millis(head->time_ms, time);
    buf_json_key(out, "change");
    buf_printf(out, "{\"txn\":\"%" PRIu64 "\"", head->txn);
    buf_json_member_str(out, "time", time);
    buf_json_member_str(out, "actor", head->actor[0] != '\0' ? head->actor : NULL);
    buf_json_member_str(out, "reason", head->reason[0] != '\0' ? head->reason : NULL);
    buf_json_key(out, "objects");
    buf_add_char(out, '[');
    for (size_t i = 0; i < rows->count && i < VERSIONS_OBJECTS_MAX; i++) {
        change_row_write(&rows->items[i], out);
    }
    buf_add_char(out, ']');
    buf_json_member_true(out, "truncated", rows->count > VERSIONS_OBJECTS_MAX);
    buf_add_char(out, '}');
}

/* The change at the version's revision, unless it is no longer known. */
static int add_change(struct state *state, uint64_t revision, struct buf *out, struct err *err) {
    const struct store_history_query query = {.after = revision - 1, .below = revision + 1, .limit = 1};
    struct change_rows rows;
    struct arena arena;
    uint64_t txn = 0;
    if (state_read_history(state, &query, take_txn, &txn, err) != 0) {
        return -1;
    }
    if (txn == 0) {
        return 0;
    }
    arena_init(&arena, 0);
    int result = change_rows_read(state, txn, &arena, &rows, err);
    if (result == 0) {
        write_change(&rows, out);
    } else if (err->code == ERR_EXPIRED || err->code == ERR_NOT_FOUND) {
        err_clear(err);
        result = 0;
    }
    arena_done(&arena);
    return result;
}

static int write_version(struct state *state, const struct versions *versions,
                         const struct list_version *version, struct buf *out, struct err *err) {
    char made[CLOCK_TEXT_MAX], given[CLOCK_TEXT_MAX];
    clock_format_millis(version->made_ms, made);
    clock_format_millis(version->given_ms, given);
    buf_json_comma(out);
    buf_printf(out, "{\"resourceVersion\":\"%" PRIu64 "\"", version->revision);
    buf_json_member_str(out, "etag", version->etag);
    buf_json_member_str(out, "made", made);
    buf_json_member_str(out, "given", given);
    int result = versions->with_changes ? add_change(state, version->revision, out, err) : 0;
    buf_add_char(out, '}');
    return result;
}

static int find_versions(struct request *request, struct err *err) {
    struct versions *versions = request->work;
    struct state *state = request->serving->state;
    const struct store_given_query query = {
        .node = request->params[0], .below = versions->below, .limit = VERSIONS_LOOK_MAX};
    if (state_read_given(state, &query, take_version, versions, err) != 0) {
        return -1;
    }
    struct buf *out = &versions->body;
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringVersionList\",\"metadata\":{");
    buf_json_member_str(out, "node", request->params[0]);
    bool full = versions->count == versions->limit;
    if (full || versions->looked_at == VERSIONS_LOOK_MAX) {
        buf_printf(out, ",\"continue\":\"%" PRIu64 "\"",
                   full ? versions->items[versions->count - 1].revision : versions->last);
    }
    buf_add_str(out, "},\"items\":[");
    for (size_t i = 0; i < versions->count; i++) {
        if (write_version(state, versions, &versions->items[i], out, err) != 0) {
            return -1;
        }
    }
    buf_add_str(out, "]}");
    return 0;
}

/* ---- the request ---- */

static int versions_answer(struct request *request, struct err *err) {
    struct versions *versions = request->work;
    return reply_buffer(request, STATUS_OK, TYPE_JSON, &versions->body, err);
}

static void versions_cleanup(struct request *request) {
    struct versions *versions = request->work;
    buf_done(&versions->body);
}

int handle_list_history(struct request *request, struct err *err) {
    struct versions *versions = arena_alloc(&request->arena, sizeof(*versions));
    const struct access changes = {.verb = AUTH_GET, .resource = AUTH_CHANGES};
    if (versions == NULL) {
        return err_no_memory(err);
    }
    *versions = (struct versions){.limit = VERSIONS_PAGE, .body = BUF_INIT};
    if (param_number(request, QUERY_LIMIT, VERSIONS_PAGE_MAX, &versions->limit, err) != 0 ||
        param_number(request, QUERY_CONTINUE, INT64_MAX, &versions->below, err) != 0) {
        return -1;
    }
    versions->with_changes = auth_allows(&request->principal, &changes) == AUTH_ALLOWED;
    versions->items = arena_array(&request->arena, (size_t)versions->limit, sizeof(*versions->items));
    if (versions->items == NULL) {
        return err_no_memory(err);
    }
    request->work = versions;
    request->cleanup = versions_cleanup;
    return worker_compute(request->serving->worker, request, find_versions, versions_answer, err);
}
