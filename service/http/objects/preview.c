/*
 * Encoding of previews. Lists of both pictures are computed for every affected node, in order of node names,
 * so that the same change always reads the same. Runs on the worker's thread.
 */
#include "objects/preview.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/worker.h"
#include "objects/write.h"
#include "peering.h"
#include "request/reply.h"
#include "request/serving.h"

/* Nodes that are named in warnings one by one; beyond, they are counted. */
#define WARNED_NODES_MAX 20

struct totals {
    size_t nodes;
    size_t lost; /* nodes that would have no session any more */
    struct peering_diff sum;
};

/* The node's list in one picture; *ret NULL when the node is not in it. */
static int list_of(const struct picture *picture, const char *node, struct arena *arena,
                   struct peering_list *list, const struct peering_list **ret, struct err *err) {
    *ret = NULL;
    if (peering_index_slot(picture->index, node) < 0) {
        return 0;
    }
    if (peering_compute(picture->index, node, arena, list, err) != 0) {
        return -1;
    }
    *ret = list;
    return 0;
}

/* One more of a list that has no brackets yet. */
static void add_warning(struct buf *warnings, const char *text) {
    if (warnings->len > 0) {
        buf_add_char(warnings, ',');
    }
    buf_add_json_str(warnings, text);
}

static void add_totals(struct totals *totals, const struct peering_diff *diff) {
    totals->nodes++;
    totals->sum.added += diff->added;
    totals->sum.removed += diff->removed;
    totals->sum.changed += diff->changed;
    totals->sum.disruptive += diff->disruptive;
}

static int add_node(const struct picture *before, const struct picture *after, const char *node,
                    struct buf *nodes, struct buf *warnings, struct totals *totals, struct err *err) {
    struct peering_list old, new;
    const struct peering_list *old_list, *new_list;
    struct arena arena;
    arena_init(&arena, 8192);
    if (list_of(before, node, &arena, &old, &old_list, err) != 0 ||
        list_of(after, node, &arena, &new, &new_list, err) != 0) {
        arena_done(&arena);
        return -1;
    }
    struct peering_diff diff;
    struct buf text = BUF_INIT;
    peering_encode_diff(old_list, new_list, &text, &diff);
    if (!peering_diff_is_empty(&diff)) {
        add_totals(totals, &diff);
        buf_json_comma(nodes);
        buf_add(nodes, text.data, text.len);
    }
    nodes->failed = nodes->failed || buf_failed(&text);
    buf_done(&text);
    arena_done(&arena);
    if (diff.before > 0 && diff.after == 0 && totals->lost++ < WARNED_NODES_MAX) {
        char warning[ERR_TEXT_MAX];
        snprintf(warning, sizeof(warning), "node %s would lose its last session", node);
        add_warning(warnings, warning);
    }
    return 0;
}

static bool is_affected(const struct picture *picture, const char *node, const struct node_set *affected) {
    int64_t slot = peering_index_slot(picture->index, node);
    return slot >= 0 && node_set_has(affected, (uint32_t)slot);
}

/* Every node of both pictures, by name. */
static int add_nodes(const struct picture *before, const struct picture *after,
                     const struct node_set *affected, struct buf *nodes, struct buf *warnings,
                     struct totals *totals, struct err *err) {
    struct snapshot_cursor old_cursor, new_cursor;
    const struct record *old = snapshot_seek(&old_cursor, before->snapshot, KIND_NODE, NULL);
    const struct record *new = snapshot_seek(&new_cursor, after->snapshot, KIND_NODE, NULL);
    while (old != NULL || new != NULL) {
        int order = old == NULL ? 1 : new == NULL ? -1 : strcmp(old->key, new->key);
        const char *node = order <= 0 ? old->key : new->key;
        /* A node that is only in one picture is always worth a look. */
        if (order != 0 || is_affected(after, node, affected)) {
            if (add_node(before, after, node, nodes, warnings, totals, err) != 0) {
                return -1;
            }
        }
        old = order <= 0 ? snapshot_step(&old_cursor) : old;
        new = order >= 0 ? snapshot_step(&new_cursor) : new;
    }
    return 0;
}

/* `nodes`: a list with its first bracket. */
static void add_changes(struct buf *changes, const struct totals *totals, const struct buf *nodes) {
    buf_add_str(changes, "{\"totals\":{");
    buf_json_member_u64(changes, "nodes", totals->nodes);
    buf_json_member_u64(changes, "added", totals->sum.added);
    buf_json_member_u64(changes, "removed", totals->sum.removed);
    buf_json_member_u64(changes, "changed", totals->sum.changed);
    buf_json_member_u64(changes, "disruptive", totals->sum.disruptive);
    buf_add_str(changes, "},\"nodes\":");
    buf_add(changes, nodes->data, nodes->len);
    buf_add_str(changes, "]}");
    changes->failed = changes->failed || buf_failed(nodes);
}

int preview_encode(const struct picture *before, const struct picture *after, const struct node_set *affected,
                   struct buf *changes, struct buf *warnings, struct err *err) {
    struct totals totals = {.nodes = 0};
    struct buf nodes = BUF_INIT;
    buf_add_char(&nodes, '[');
    if (add_nodes(before, after, affected, &nodes, warnings, &totals, err) != 0) {
        buf_done(&nodes);
        return -1;
    }
    if (totals.lost > WARNED_NODES_MAX) {
        char text[96];
        snprintf(text, sizeof(text), "and %zu more nodes would lose their last session",
                 totals.lost - WARNED_NODES_MAX);
        add_warning(warnings, text);
    }
    add_changes(changes, &totals, &nodes);
    buf_done(&nodes);
    return buf_failed(changes) || buf_failed(warnings) ? err_no_memory(err) : 0;
}

int preview_reply(struct request *request, uint64_t revision, const struct buf *objects,
                  const struct buf *changes, struct buf *warnings, struct err *err) {
    const struct advice *advice = request->advice;
    for (size_t i = 0; advice != NULL && i < advice->count; i++) {
        add_warning(warnings, advice->items[i]);
    }
    if (advice != NULL && advice->dropped > 0) {
        char rest[64];
        snprintf(rest, sizeof(rest), "and %zu more warnings", advice->dropped);
        add_warning(warnings, rest);
    }
    struct buf out = BUF_INIT;
    buf_add_str(&out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"Preview\",\"metadata\":{");
    buf_printf(&out, "\"resourceVersion\":\"%" PRIu64 "\"},", revision);
    buf_add(&out, objects->data, objects->len);
    buf_add_str(&out, ",\"changes\":");
    buf_add(&out, changes->data, changes->len);
    buf_add_str(&out, ",\"warnings\":[");
    buf_add(&out, warnings->data, warnings->len);
    buf_add_str(&out, "]}");
    out.failed = out.failed || buf_failed(objects) || buf_failed(changes) || buf_failed(warnings);
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &out, err);
    buf_done(&out);
    return result;
}

/* ---- a write's own preview ---- */

struct write_preview {
    struct write *write; /* the first of them */
    bool several;
    struct buf changes;
    struct buf warnings;
    uint64_t revision;
    struct err err;
    void *work; /* of the write's handler */
    void (*cleanup)(struct request *request);
};

static void write_preview_cleanup(struct request *request) {
    struct write_preview *preview = request->work;
    buf_done(&preview->changes);
    buf_done(&preview->warnings);
    request->work = preview->work;
    preview->cleanup(request);
}

/* What there is to say about what would be written. All that would be deleted together is looked at together.
 */
static int write_preview_advise(struct request *request, const struct write_preview *preview,
                                const struct picture *after, struct err *err) {
    size_t count = 0;
    for (const struct write *write = preview->write; write != NULL; write = write->also) {
        count++;
    }
    if (preview->write->op != WRITE_DELETE || count == 1) {
        return write_advise(request, after, NULL, preview->write, err);
    }
    const struct record **gone = arena_array(&request->arena, count, sizeof(*gone));
    struct advice *advice = request_advice(request);
    if (gone == NULL || advice == NULL) {
        return err_no_memory(err);
    }
    size_t i = 0;
    for (const struct write *write = preview->write; write != NULL; write = write->also) {
        gone[i++] = write->record;
    }
    state_advise_deleted(request->serving->state, after, gone, count, advice);
    return 0;
}

static void write_preview_job(struct request *request) {
    struct write_preview *preview = request->work;
    struct picture *before, *after;
    struct node_set *affected;
    if (state_preview(request->serving->state, preview->write, &before, &after, &affected, &preview->err) !=
        0) {
        return;
    }
    preview->revision = snapshot_revision(before->snapshot);
    if (preview_encode(before, after, affected, &preview->changes, &preview->warnings, &preview->err) == 0 &&
        write_preview_advise(request, preview, after, &preview->err) == 0) {
        err_clear(&preview->err);
    }
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
}

/* The first write that failed: it repeats nobody's error. */
static struct write *find_failed(struct write *write) {
    struct write *failed = write;
    for (; write != NULL; write = write->also) {
        failed = write->err.code != ERR_NONE ? write : failed;
    }
    return failed;
}

static int write_preview_answer(struct request *request, struct err *err) {
    struct write_preview *preview = request->work;
    if (preview->write->err.code != ERR_NONE) {
        return write_refused(request, find_failed(preview->write), err);
    }
    if (preview->err.code != ERR_NONE) {
        *err = preview->err;
        return -1;
    }
    struct buf objects = BUF_INIT;
    buf_add_str(&objects, preview->several ? "\"objects\":[" : "\"object\":");
    for (const struct write *write = preview->write; write != NULL; write = write->also) {
        buf_add_str(&objects, write != preview->write ? "," : "");
        buf_add(&objects, write->record->json, write->record->json_len);
    }
    buf_add_str(&objects, preview->several ? "]" : "");
    int result =
        preview_reply(request, preview->revision, &objects, &preview->changes, &preview->warnings, err);
    buf_done(&objects);
    return result;
}

static int write_preview_start(struct request *request, struct write *write, bool several, struct err *err) {
    struct write_preview *preview = arena_alloc(&request->arena, sizeof(*preview));
    if (preview == NULL) {
        return err_no_memory(err);
    }
    *preview = (struct write_preview){.write = write,
                                      .several = several,
                                      .err = ERR_INIT,
                                      .work = request->work,
                                      .cleanup = request->cleanup};
    buf_init(&preview->changes);
    buf_init(&preview->warnings);
    request->work = preview;
    request->cleanup = write_preview_cleanup;
    return worker_run(request->serving->worker, request, write_preview_job, write_preview_answer, err);
}

int preview_write(struct request *request, struct write *write, struct err *err) {
    return write_preview_start(request, write, false, err);
}

int preview_writes(struct request *request, struct write *first, uint64_t revision, struct err *err) {
    if (first != NULL) {
        return write_preview_start(request, first, true, err);
    }
    const struct totals none = {.nodes = 0};
    struct buf objects = BUF_INIT, nodes = BUF_INIT, changes = BUF_INIT, warnings = BUF_INIT;
    buf_add_str(&objects, "\"objects\":[]");
    buf_add_char(&nodes, '[');
    add_changes(&changes, &none, &nodes);
    int result = preview_reply(request, revision, &objects, &changes, &warnings, err);
    buf_done(&nodes);
    buf_done(&objects);
    buf_done(&changes);
    buf_done(&warnings);
    return result;
}

/* ---- what was shown ---- */

struct shown_previews {
    pthread_mutex_t lock; /* guards what follows; a leaf */
    size_t next;
    struct shown_preview items[PREVIEWS_KEPT];
};

int shown_previews_new(struct shown_previews **ret, struct err *err) {
    struct shown_previews *previews = calloc(1, sizeof(*previews));
    if (previews == NULL) {
        return err_no_memory(err);
    }
    pthread_mutex_init(&previews->lock, NULL);
    *ret = previews;
    return 0;
}

void shown_previews_free(struct shown_previews *previews) {
    if (previews != NULL) {
        pthread_mutex_destroy(&previews->lock);
        free(previews);
    }
}

void shown_previews_add(struct shown_previews *previews, const struct shown_preview *preview) {
    pthread_mutex_lock(&previews->lock);
    previews->items[previews->next] = *preview;
    previews->next = (previews->next + 1) % PREVIEWS_KEPT;
    pthread_mutex_unlock(&previews->lock);
}

bool shown_previews_find(struct shown_previews *previews, uint64_t revision, const char *body,
                         char ret_result[DIGEST_TEXT_MAX]) {
    bool found = false;
    pthread_mutex_lock(&previews->lock);
    for (size_t i = 0; i < PREVIEWS_KEPT && !found; i++) {
        const struct shown_preview *preview = &previews->items[i];
        if (preview->revision == revision && revision != 0 && strcmp(preview->body, body) == 0) {
            memcpy(ret_result, preview->result, sizeof(preview->result));
            found = true;
        }
    }
    pthread_mutex_unlock(&previews->lock);
    return found;
}
