/*
 * Namespaces, read-only: the one that secretKeyRef names resolve in, and those that have Secrets. Nothing
 * is stored; each answer is made from one snapshot. Secrets come in the order of "namespace/name", so
 * the namespaces of a snapshot are found by stepping from one to the next.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "objects/handlers.h"
#include "objects/selection.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

#define NAME_LABEL "kubernetes.io/metadata.name" /* the label by which Kubernetes selects namespaces */

static const char *const COLUMNS = "\"columnDefinitions\":["
                                   "{\"name\":\"Name\",\"type\":\"string\",\"format\":\"name\","
                                   "\"description\":\"The namespace's name.\",\"priority\":0},"
                                   "{\"name\":\"Status\",\"type\":\"string\",\"format\":\"\",\"description\":"
                                   "\"Always Active.\",\"priority\":0},"
                                   "{\"name\":\"Secrets\",\"type\":\"integer\",\"format\":\"\","
                                   "\"description\":\"How many it has.\",\"priority\":0}]";

struct namespaces {
    struct selection selection;
    enum media_answer answer;
    const struct snapshot *snapshot;
    struct buf out;
};

/* As far as selectors look. */
static bool is_selected(const struct selection *selection, const char *name) {
    struct label label = {.key = NAME_LABEL, .value = name};
    const struct object object = {.kind = KIND_SECRET,
                                  .meta = {.name = name, .labels = {.count = 1, .items = &label}}};
    return selection_matches(selection, &object);
}

static void add_metadata(const char *name, struct buf *out) {
    buf_json_key(out, "metadata");
    buf_add_char(out, '{');
    buf_json_member_str(out, "name", name);
    buf_add_str(out, ",\"labels\":{\"" NAME_LABEL "\":");
    buf_add_json_str(out, name);
    buf_add_str(out, "}}");
}

static void add_namespace(struct namespaces *list, const char *name, size_t secrets) {
    struct buf *out = &list->out;
    if (list->answer == MEDIA_TABLE) {
        buf_json_comma(out);
        buf_add_str(out, "{\"cells\":[");
        buf_add_json_str(out, name);
        buf_printf(out,
                   ",\"Active\",%zu],\"object\":{\"kind\":\"PartialObjectMetadata\","
                   "\"apiVersion\":\"meta.k8s.io/v1\"",
                   secrets);
        add_metadata(name, out);
        buf_add_str(out, "}}");
        return;
    }
    buf_json_comma(out);
    buf_add_str(out, "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\"");
    add_metadata(name, out);
    buf_add_str(out, ",\"spec\":{},\"status\":{\"phase\":\"Active\"}}");
}

/* Up to and with the opening bracket of items or rows. */
static void begin(struct namespaces *list) {
    struct buf *out = &list->out;
    bool table = list->answer == MEDIA_TABLE;
    buf_add_str(out, table ? "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\""
                           : "{\"kind\":\"NamespaceList\",\"apiVersion\":\"v1\"");
    buf_printf(out, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"},",
               snapshot_revision(list->snapshot));
    if (table) {
        buf_add_str(out, COLUMNS);
    }
    buf_add_str(out, table ? ",\"rows\":[" : "\"items\":[");
}

/* The selected ones, in order of their names; `only` NULL: all. */
static size_t add_all(struct request *request, struct namespaces *list, const char *only) {
    const char *configured = state_secret_namespace(request->serving->state);
    bool configured_done = false;
    size_t added = 0;
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, list->snapshot, KIND_SECRET, NULL);
    while (record != NULL || !configured_done) {
        const char *name = record != NULL ? record->object->meta.name_space : configured;
        if (!configured_done && strcmp(configured, name) <= 0) {
            name = configured;
            configured_done = true;
        }
        size_t secrets = 0;
        while (record != NULL && strcmp(record->object->meta.name_space, name) == 0) {
            secrets++;
            record = snapshot_step(&cursor);
        }
        if ((only == NULL || strcmp(only, name) == 0) && is_selected(&list->selection, name)) {
            add_namespace(list, name, secrets);
            added++;
        }
    }
    return added;
}

static int answer(struct request *request, struct namespaces *list, const char *only, struct err *err) {
    bool bare = only != NULL && list->answer != MEDIA_TABLE;
    struct picture *picture = state_picture(request->serving->state);
    list->snapshot = picture->snapshot;
    if (!bare) {
        begin(list);
    }
    size_t added = add_all(request, list, only);
    picture_unref(picture);
    if (added == 0 && only != NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "namespaces \"%s\" not found: a namespace is there while it has Secrets", only);
    }
    if (!bare) {
        buf_add_str(&list->out, "]}");
    }
    return reply_buffer(request, STATUS_OK, TYPE_JSON, &list->out, err);
}

static int handle(struct request *request, const char *only, struct err *err) {
    struct namespaces list = {.out = BUF_INIT};
    if (media_accept(request_header(request, HEADER_ACCEPT), &list.answer, err) != 0 ||
        selection_parse(request, NULL, &list.selection, err) != 0) {
        return -1;
    }
    if (request_query_flag(request, QUERY_WATCH)) {
        request->allow = "GET, HEAD";
        return err_set(err, ERR_METHOD_NOT_ALLOWED, "namespaces cannot be watched; watch secrets");
    }
    int result = answer(request, &list, only, err);
    buf_done(&list.out);
    return result;
}

int handle_namespaces(struct request *request, struct err *err) {
    return handle(request, NULL, err);
}

int handle_namespace(struct request *request, struct err *err) {
    return handle(request, request->params[0], err);
}
