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

#include "base/alloc.h"
#include "machine/connection.h"
#include "machine/worker.h"
#include "objects/losses.h"
#include "objects/write.h"
#include "peering.h"
#include "request/reply.h"
#include "request/serving.h"
#include "state/brake.h"
#include "state/daemons.h"

/* It is told what share of the fleet's sessions is disrupted when it is so many, and so many percent. */
#define SHARE_SESSIONS_MIN 50
#define SHARE_PERCENT_MIN  10

/* Detail is given of so many differing sessions, and in so many bytes; of more there are totals. */
#define DETAIL_SESSIONS_MAX 20000
#define DETAIL_BYTES_MAX    ((size_t)16 * 1024 * 1024)
/* Nodes between two looks whether anybody still waits for the answer. */
#define NODES_BETWEEN_LOOKS 64

/* A preview being made. */
struct previewing {
    const struct picture *before;
    const struct picture *after;
    const struct preview_view *view;
    struct arena arena; /* of one node's lists */
    struct daemons daemons;
    struct digest digest;
    struct buf *warnings;
    struct buf nodes;
    const char *last; /* the last node with its detail; borrowed from a snapshot */
    bool truncated;
    size_t detailed; /* differing sessions with their detail */
    size_t pairs;    /* sessions compared */
    size_t node_count;
    size_t sessions; /* before, of all nodes looked at */
    struct losses losses;
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

static void add_counts(struct buf *out, const struct peering_diff *diff) {
    buf_json_member_u64(out, "added", diff->added);
    buf_json_member_u64(out, "removed", diff->removed);
    buf_json_member_u64(out, "changed", diff->changed);
    buf_json_member_u64(out, "disruptive", diff->disruptive);
}

static void add_totals(struct previewing *previewing, const struct peering_diff *diff) {
    previewing->node_count++;
    previewing->sum.added += diff->added;
    previewing->sum.removed += diff->removed;
    previewing->sum.changed += diff->changed;
    previewing->sum.disruptive += diff->disruptive;
}

/* Is the node among those that the answer lists? */
static bool is_listed(const struct preview_view *view, const char *node) {
    return (view->node == NULL || strcmp(view->node, node) == 0) &&
           (view->after == NULL || strcmp(view->after, node) < 0);
}

/* With its detail while there is room, with its totals otherwise. */
static void add_to_list(struct previewing *previewing, const char *node, const struct peering_list *before,
                        const struct peering_list *after, const struct peering_daemons *daemons,
                        const struct peering_diff *diff) {
    struct buf *nodes = &previewing->nodes;
    size_t sessions = diff->added + diff->removed + diff->changed;
    size_t start = nodes->len;
    struct peering_diff unused;
    bool room = !previewing->truncated &&
                (previewing->detailed == 0 || previewing->detailed + sessions <= DETAIL_SESSIONS_MAX);
    buf_json_comma(nodes);
    if (!previewing->view->summary && room) {
        peering_encode_diff(before, after, daemons, nodes, &unused);
        if (nodes->len <= DETAIL_BYTES_MAX) {
            previewing->detailed += sessions;
            previewing->last = node;
            return;
        }
        buf_truncate(nodes, start);
        buf_json_comma(nodes);
    }
    previewing->truncated = previewing->truncated || !previewing->view->summary;
    buf_add_char(nodes, '{');
    buf_json_member_str(nodes, "node", node);
    buf_json_key(nodes, "totals");
    buf_add_char(nodes, '{');
    add_counts(nodes, diff);
    buf_add_str(nodes, "}}");
    if (nodes->len > DETAIL_BYTES_MAX) {
        buf_truncate(nodes, start);
        previewing->truncated = true;
    }
}

static int add_node(struct previewing *previewing, const char *node, struct err *err) {
    struct peering_list old, new;
    const struct peering_list *before, *after;
    struct peering_diff diff;
    arena_reset(&previewing->arena);
    if (list_of(previewing->before, node, &previewing->arena, &old, &before, err) != 0 ||
        list_of(previewing->after, node, &previewing->arena, &new, &after, err) != 0) {
        return -1;
    }
    struct peering_daemons daemons;
    daemons_of(&previewing->daemons, before != NULL ? previewing->before : previewing->after, node, &daemons);
    peering_digest(before, after, &daemons, &previewing->digest, &diff);
    previewing->pairs += diff.before + diff.after;
    previewing->sessions += diff.before;
    if (!peering_diff_is_empty(&diff)) {
        add_totals(previewing, &diff);
        if (!previewing->view->quiet) {
            losses_note(&previewing->losses, node, before, after);
        }
        if (!previewing->view->totals && is_listed(previewing->view, node)) {
            add_to_list(previewing, node, before, after, &daemons, &diff);
        }
    }
    return 0;
}

static bool is_affected(const struct picture *picture, const char *node, const struct node_set *affected) {
    int64_t slot = peering_index_slot(picture->index, node);
    return slot >= 0 && node_set_has(affected, (uint32_t)slot);
}

/* Is there a reason to stop? */
static int check_on(const struct previewing *previewing, size_t nodes, struct err *err) {
    const struct preview_view *view = previewing->view;
    if (view->pairs_max != 0 && previewing->pairs > view->pairs_max && view->totals) {
        return err_set(err, ERR_TOO_LARGE,
                       "too many sessions are affected to count them while others wait to write; send the "
                       "change in parts");
    }
    if (view->pairs_max != 0 && previewing->pairs > view->pairs_max) {
        return err_set(
            err, ERR_CONFLICT,
            "the fleet has changed since the preview, and too many sessions are affected to compare "
            "them beside the writes of others; preview again");
    }
    if (nodes % NODES_BETWEEN_LOOKS == 0 && view->request != NULL &&
        connection_has_gone(view->request->connection)) {
        return err_set(err, ERR_UNAVAILABLE, "the client has closed the connection");
    }
    return 0;
}

/* Every node of both pictures, by name. */
static int add_nodes(struct previewing *previewing, const struct node_set *affected, struct err *err) {
    struct snapshot_cursor old_cursor, new_cursor;
    const struct record *old = snapshot_seek(&old_cursor, previewing->before->snapshot, KIND_NODE, NULL);
    const struct record *new = snapshot_seek(&new_cursor, previewing->after->snapshot, KIND_NODE, NULL);
    size_t looked_at = 0;
    while (old != NULL || new != NULL) {
        int order = old == NULL ? 1 : new == NULL ? -1 : strcmp(old->key, new->key);
        const char *node = order <= 0 ? old->key : new->key;
        /* A node that is only in one picture is always worth a look. */
        if (order != 0 || is_affected(previewing->after, node, affected)) {
            if (check_on(previewing, looked_at++, err) != 0 || add_node(previewing, node, err) != 0) {
                return -1;
            }
        }
        old = order <= 0 ? snapshot_step(&old_cursor) : old;
        new = order >= 0 ? snapshot_step(&new_cursor) : new;
    }
    return 0;
}

/*
 * What share of the fleet's sessions is disrupted. The lists of nodes that are not affected are counted as
 * well, until it is clear that the share is small: so this costs no more than in proportion to the change.
 */
static int warn_share(struct previewing *previewing, const struct node_set *affected, struct err *err) {
    const struct picture *before = previewing->before;
    size_t disrupted = previewing->sum.disruptive, all = previewing->sessions;
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, before->snapshot, KIND_NODE, NULL);
    if (disrupted < SHARE_SESSIONS_MIN) {
        return 0;
    }
    for (size_t looked_at = 0; node != NULL && all * SHARE_PERCENT_MIN <= disrupted * 100;
         node = snapshot_step(&cursor)) {
        struct peering_list list;
        if (is_affected(previewing->after, node->key, affected) ||
            peering_index_slot(previewing->after->index, node->key) < 0) {
            continue; /* it has been counted */
        }
        arena_reset(&previewing->arena);
        if (check_on(previewing, looked_at++, err) != 0 ||
            peering_compute(before->index, node->key, &previewing->arena, &list, err) != 0) {
            return -1;
        }
        all += list.entry_count;
    }
    if (all * SHARE_PERCENT_MIN <= disrupted * 100) {
        char text[128];
        snprintf(text, sizeof(text),
                 "%zu of the fleet's %zu sessions (%zu %%, each counted at both ends) would be restarted or "
                 "removed",
                 disrupted, all, disrupted * 100 / all);
        add_warning(previewing->warnings, text);
    }
    return 0;
}

static void write_changes(const struct previewing *previewing, struct buf *changes) {
    buf_add_str(changes, "{\"totals\":{");
    buf_json_member_u64(changes, "nodes", previewing->node_count);
    add_counts(changes, &previewing->sum);
    buf_add_char(changes, '}');
    if (previewing->truncated) {
        buf_json_member_true(changes, "truncated", true);
        buf_json_member_str(changes, "last", previewing->last);
    }
    buf_json_key(changes, "nodes");
    buf_add(changes, previewing->nodes.data, previewing->nodes.len);
    buf_add_str(changes, "]}");
    changes->failed = changes->failed || buf_failed(&previewing->nodes);
}

int preview_encode(const struct picture *before, const struct picture *after, const struct node_set *affected,
                   const struct preview_view *view, struct buf *changes, struct buf *warnings,
                   char ret_digest[DIGEST_TEXT_MAX], struct err *err) {
    static const struct preview_view everything;
    struct previewing previewing = {.before = before,
                                    .after = after,
                                    .view = view != NULL ? view : &everything,
                                    .warnings = warnings,
                                    .nodes = BUF_INIT};
    arena_init(&previewing.arena, 8192);
    daemons_init(&previewing.daemons, previewing.view->status);
    losses_init(&previewing.losses, before, after);
    digest_start(&previewing.digest);
    buf_add_char(&previewing.nodes, '[');
    int result = add_nodes(&previewing, affected, err);
    if (result == 0 && !previewing.view->quiet) {
        result = warn_share(&previewing, affected, err);
    }
    if (result == 0) {
        losses_warn(&previewing.losses, warnings);
        write_changes(&previewing, changes);
        digest_end_hex(&previewing.digest, ret_digest);
        result = buf_failed(changes) || buf_failed(warnings) ? err_no_memory(err) : 0;
    }
    buf_done(&previewing.nodes);
    losses_done(&previewing.losses);
    daemons_done(&previewing.daemons);
    arena_done(&previewing.arena);
    return result;
}

void preview_encode_nothing(struct buf *changes) {
    struct previewing none = {.nodes = BUF_INIT};
    buf_add_char(&none.nodes, '[');
    write_changes(&none, changes);
    buf_done(&none.nodes);
}

int preview_count(const struct picture *before, const struct picture *after, const struct node_set *affected,
                  struct fleet_status *status, size_t pairs_max, struct peering_diff *ret, size_t *ret_nodes,
                  struct err *err) {
    const struct preview_view view = {
        .totals = true, .quiet = true, .status = status, .pairs_max = pairs_max};
    struct previewing previewing = {.before = before, .after = after, .view = &view, .nodes = BUF_INIT};
    arena_init(&previewing.arena, 8192);
    daemons_init(&previewing.daemons, status);
    digest_start(&previewing.digest);
    int result = add_nodes(&previewing, affected, err);
    daemons_done(&previewing.daemons);
    arena_done(&previewing.arena);
    if (result == 0) {
        *ret = previewing.sum;
        *ret_nodes = previewing.node_count;
    }
    return result;
}

int preview_read_view(struct request *request, struct preview_view *ret, struct err *err) {
    const char *view = request_query(request, QUERY_VIEW);
    if (view != NULL && view[0] != '\0' && strcmp(view, "summary") != 0 && strcmp(view, "full") != 0) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "view=%.50s is not understood; write view=summary for the totals of each node, or leave "
            "it out for the sessions as well",
            view);
    }
    const char *node = request_query(request, QUERY_NODE);
    const char *after = request_query(request, QUERY_AFTER);
    *ret = (struct preview_view){.summary = view != NULL && strcmp(view, "summary") == 0,
                                 .node = node != NULL && node[0] != '\0' ? node : NULL,
                                 .after = after != NULL && after[0] != '\0' ? after : NULL,
                                 .status = state_status(request->serving->state),
                                 .request = request};
    return 0;
}

int preview_judge(struct request *request, const struct write *write, const struct picture *before,
                  const struct picture *after, const struct node_set *affected, struct err *ret_refusal,
                  struct err *err) {
    err_clear(ret_refusal);
    if (state_judge(request->serving->state, before, after, affected, write->force, NULL, ret_refusal) == 0 ||
        ret_refusal->code == ERR_TOO_DISRUPTIVE || ret_refusal->code == ERR_FROZEN) {
        return 0;
    }
    *err = *ret_refusal;
    return -1;
}

void preview_add_refusal(const struct err *refusal, struct buf *out, struct buf *warnings) {
    char text[128];
    if (refusal->code == ERR_NONE) {
        return;
    }
    buf_json_key(out, "refused");
    buf_add_char(out, '{');
    buf_json_member_str(out, "reason", err_reason(refusal->code));
    buf_json_member_str(out, "message", refusal->text);
    buf_add_char(out, '}');
    snprintf(text, sizeof(text), "it would be refused (%s): `refused.message` says why, and how to go on",
             err_reason(refusal->code));
    add_warning(warnings, text);
}

int preview_reply(struct request *request, uint64_t revision, const struct buf *objects,
                  const struct buf *changes, const struct err *refusal, struct buf *warnings,
                  struct err *err) {
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
    preview_add_refusal(refusal, &out, warnings);
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
    struct preview_view view;
    struct buf changes;
    struct buf warnings;
    uint64_t revision;
    struct err err;
    struct err refusal; /* of the write itself, by the brake or for a freeze; ERR_NONE: none */
    void *work;         /* of the write's handler */
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
    char unused[DIGEST_TEXT_MAX];
    if (preview_encode(before, after, affected, &preview->view, &preview->changes, &preview->warnings, unused,
                       &preview->err) == 0 &&
        preview_judge(request, preview->write, before, after, affected, &preview->refusal, &preview->err) ==
            0 &&
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
    int result = preview_reply(request, preview->revision, &objects, &preview->changes, &preview->refusal,
                               &preview->warnings, err);
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
                                      .refusal = ERR_INIT,
                                      .work = request->work,
                                      .cleanup = request->cleanup};
    if (preview_read_view(request, &preview->view, err) != 0) {
        return -1;
    }
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
    struct buf objects = BUF_INIT, changes = BUF_INIT, warnings = BUF_INIT;
    const struct err no_refusal = ERR_INIT;
    buf_add_str(&objects, "\"objects\":[]");
    preview_encode_nothing(&changes);
    int result = preview_reply(request, revision, &objects, &changes, &no_refusal, &warnings, err);
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
    struct shown_previews *previews = base_calloc(1, sizeof(*previews));
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
