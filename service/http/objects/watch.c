/*
 * Watches of objects: changes of a list, from state's history.
 *
 * See watch_stream.h for the stream itself. What is told is chosen here: what a change is to a watcher whose
 * selection an object may enter and leave.
 */
#include "objects/watch.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "objects/resource.h"
#include "objects/table.h"
#include "objects/watch_stream.h"
#include "request/serving.h"

#define WATCH_EVENTS 8 /* read from the history at a time */

struct object_watch {
    struct watch_source source;
    struct watcher watcher;
    void (*wake)(void *arg); /* what the watcher is for */
    struct request *request;
    struct state *state;
    enum kind kind;
    struct selection selection;
    enum media_answer answer;
    enum table_object object;
    bool columns_sent;
    const struct snapshot *snapshot; /* what there was at the beginning; NULL = told */
    struct snapshot_cursor cursor;
    const struct record *record; /* at the cursor */
};

/* ---- writing events ---- */

static void add_object(struct object_watch *watch, const struct record *record, struct buf *out) {
    if (watch->answer == MEDIA_METADATA) {
        table_metadata(record->object, out);
        return;
    }
    if (watch->answer != MEDIA_TABLE) {
        buf_add(out, record->json, record->json_len);
        return;
    }
    struct err err = ERR_INIT;
    struct table_now now;
    table_now_take(watch->state, &now);
    table_begin(watch->kind, record->revision, NULL, -1, !watch->columns_sent, out);
    if (table_row(record, watch->object, &now, out, &err) != 0) {
        log_event(LOG_ERROR, "watch", LOG_STR("id", watch->request->id), LOG_STR("error", err.text));
    }
    table_end(out);
    table_now_done(&now);
    watch->columns_sent = true;
}

static void add_event(struct object_watch *watch, const char *type, const struct record *record,
                      struct buf *out) {
    buf_add_str(out, "{\"type\":\"");
    buf_add_str(out, type);
    buf_add_str(out, "\",\"object\":");
    add_object(watch, record, out);
    buf_add_str(out, "}\n");
}

/* ---- collecting events ---- */

static bool objects_initial(struct watch_source *source, struct buf *out) {
    struct object_watch *watch = (struct object_watch *)source;
    if (watch->record == NULL) {
        return false;
    }
    if (selection_matches(&watch->selection, watch->record->object)) {
        add_event(watch, "ADDED", watch->record, out);
    }
    watch->record = snapshot_step(&watch->cursor);
    return watch->record != NULL;
}

/* What a change is to this watcher, whose selection an object may enter and leave. */
static const char *event_type(const struct object_watch *watch, const struct state_event *event) {
    bool after = selection_matches(&watch->selection, event->after->object);
    if (event->op == STORE_CREATE) {
        return after ? "ADDED" : NULL;
    }
    if (event->op == STORE_DELETE) {
        bool before =
            event->before != NULL ? selection_matches(&watch->selection, event->before->object) : after;
        return before ? "DELETED" : NULL;
    }
    if (event->before == NULL) {
        /* Its former labels are not known any more. Clients take a MODIFIED of what they do not have as
         * new, and ignore a DELETED of it. */
        return after ? "MODIFIED" : selection_is_by_label(&watch->selection) ? "DELETED" : NULL;
    }
    bool before = selection_matches(&watch->selection, event->before->object);
    if (after) {
        return before ? "MODIFIED" : "ADDED";
    }
    return before ? "DELETED" : NULL;
}

static int objects_changes(struct watch_source *source, uint64_t *reported, struct buf *out,
                           struct err *err) {
    struct object_watch *watch = (struct object_watch *)source;
    struct state_event events[WATCH_EVENTS];
    size_t count = WATCH_EVENTS;
    while (count == WATCH_EVENTS && out->len < WATCH_FILL) {
        uint64_t upto = *reported;
        if (state_events(watch->state, watch->kind, *reported, events, WATCH_EVENTS, &count, &upto, err) !=
            0) {
            return -1;
        }
        for (size_t i = 0; i < count; i++) {
            const char *type = event_type(watch, &events[i]);
            if (type != NULL) {
                add_event(watch, type, events[i].after, out);
            }
            record_unref(events[i].before);
            record_unref(events[i].after);
        }
        *reported = upto;
    }
    return 0;
}

/* ---- waiting ---- */

static void objects_wake(struct watcher *watcher) {
    struct object_watch *watch =
        (struct object_watch *)((char *)watcher - offsetof(struct object_watch, watcher));
    watch->wake(watcher->arg);
}

static void objects_arm(struct watch_source *source, uint64_t reported, void (*wake)(void *arg), void *arg,
                        bool *ret_ready) {
    struct object_watch *watch = (struct object_watch *)source;
    watch->wake = wake;
    watch->watcher = (struct watcher){.kind = watch->kind, .wake = objects_wake, .arg = arg};
    state_watch_arm(watch->state, &watch->watcher, reported, ret_ready);
}

static bool objects_disarm(struct watch_source *source) {
    struct object_watch *watch = (struct object_watch *)source;
    return state_watch_disarm(watch->state, &watch->watcher);
}

static void objects_forget(struct watch_source *source) {
    struct object_watch *watch = (struct object_watch *)source;
    snapshot_unref(watch->snapshot);
    watch->snapshot = NULL;
    watch->record = NULL;
}

static void objects_free(struct watch_source *source) {
    free(source);
}

static const struct watch_operations OBJECTS = {.initial = objects_initial,
                                                .changes = objects_changes,
                                                .arm = objects_arm,
                                                .disarm = objects_disarm,
                                                .forget = objects_forget,
                                                .free = objects_free};

/* ---- starting ---- */

/* Where the stream begins. *ret_too_new: the version asked for is yet to come. */
static int parse_start(struct object_watch *watch, uint64_t *ret_too_new, uint64_t *ret_current,
                       struct err *err) {
    if (table_object_param(watch->request, &watch->object, err) != 0) {
        return -1;
    }
    struct picture *picture = state_picture(watch->state);
    uint64_t current = snapshot_revision(picture->snapshot);
    uint64_t asked = 0;
    int result = watch_read_start(watch->request, current, &watch->source, &asked, err);
    if (result == 0 && watch->source.initial) {
        watch->snapshot = snapshot_ref(picture->snapshot);
        watch->record = snapshot_seek(&watch->cursor, watch->snapshot, watch->kind, NULL);
    }
    picture_unref(picture);
    *ret_current = current;
    *ret_too_new = asked > current ? asked : 0;
    return result;
}

/* Takes the watch and its place over, also on failure. */
static int start(struct object_watch *watch, struct err *err) {
    struct request *request = watch->request;
    uint64_t too_new = 0;
    uint64_t current = 0;
    int result = parse_start(watch, &too_new, &current, err);
    if (result == 0 && too_new == 0) {
        return watch_start(request, &watch->source, err);
    }
    watch_leave_place(request->serving);
    objects_forget(&watch->source);
    objects_free(&watch->source);
    return result != 0 ? -1 : resource_reply_too_new(request, too_new, current, err);
}

int handle_watch(struct request *request, const struct selection *selection, enum media_answer answer,
                 struct err *err) {
    if (watch_take_place(request->serving, err) != 0) {
        return -1;
    }
    struct object_watch *watch = base_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        watch_leave_place(request->serving);
        return err_no_memory(err);
    }
    watch->kind = request->route->kind;
    watch->source = (struct watch_source){.operations = &OBJECTS,
                                          .kind = kind_info(watch->kind)->name,
                                          .api_version = kind_info(watch->kind)->api_version};
    watch->state = request->serving->state;
    watch->request = request;
    watch->selection = *selection; /* its texts are in the request's arena */
    watch->answer = answer;
    return start(watch, err);
}
