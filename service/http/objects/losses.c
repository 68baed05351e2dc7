/*
 * See losses.h. Belongs to one preview; no locks. Whether a far end is a route reflector is looked up only in
 * fleets that have one, so that a full mesh costs nothing more.
 */
#include "objects/losses.h"

#include "model/resources.h"

/* What is lost, in a sentence behind "would lose its last" or "their last". */
static const char *const LOST[LOSS_COUNT] = {
    [LOSS_SESSION] = "session",
    [LOSS_INTERNAL] = "internal session",
    [LOSS_REFLECTOR] = "session with a route reflector",
    [LOSS_IPV4] = "IPv4 session",
    [LOSS_IPV6] = "IPv6 session",
};

static bool is_reflector(const struct record *record) {
    const struct node *node = record != NULL ? record->object->body : NULL;
    return node != NULL && node->spec != NULL && node->spec->bgp != NULL &&
           node->spec->bgp->route_reflector_cluster_id != NULL;
}

static bool has_reflectors(const struct picture *picture) {
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, picture->snapshot, KIND_NODE, NULL);
    while (node != NULL && !is_reflector(node)) {
        node = snapshot_step(&cursor);
    }
    return node != NULL;
}

void losses_init(struct losses *losses, const struct picture *before, const struct picture *after) {
    *losses = (struct losses){.before = before, .after = after, .reflectors = has_reflectors(before)};
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        buf_init(&losses->names[loss]);
    }
}

void losses_done(struct losses *losses) {
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        buf_done(&losses->names[loss]);
    }
}

/* Which sorts of sessions the list has. */
static void find_sorts(const struct losses *losses, const struct picture *picture,
                       const struct peering_list *list, bool has[LOSS_COUNT]) {
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];
        has[LOSS_SESSION] = true;
        has[LOSS_INTERNAL] = has[LOSS_INTERNAL] || !entry->external;
        has[LOSS_IPV4] = has[LOSS_IPV4] || entry->address.family == IP_V4;
        has[LOSS_IPV6] = has[LOSS_IPV6] || entry->address.family == IP_V6;
        has[LOSS_REFLECTOR] =
            has[LOSS_REFLECTOR] ||
            (losses->reflectors && entry->origin.remote_node != NULL &&
             is_reflector(snapshot_get(picture->snapshot, KIND_NODE, entry->origin.remote_node)));
    }
}

static void note_loss(struct losses *losses, enum loss loss, const char *node) {
    if (losses->count[loss]++ < LOSSES_NAMED_MAX) {
        buf_add_str(&losses->names[loss], losses->names[loss].len > 0 ? ", " : "");
        buf_add_str(&losses->names[loss], node);
    }
}

void losses_note(struct losses *losses, const char *node, const struct peering_list *before,
                 const struct peering_list *after) {
    bool had[LOSS_COUNT] = {false}, has[LOSS_COUNT] = {false};
    if (before == NULL) {
        return;
    }
    find_sorts(losses, losses->before, before, had);
    if (after != NULL) {
        find_sorts(losses, losses->after, after, has);
    }
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        if (had[loss] && !has[loss]) {
            note_loss(losses, loss, node);
        }
        if (loss == LOSS_SESSION && !has[LOSS_SESSION]) {
            return; /* with the last one all sorts are gone */
        }
    }
}

void losses_warn(const struct losses *losses, struct buf *warnings) {
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        size_t count = losses->count[loss];
        struct buf text = BUF_INIT;
        if (count == 0) {
            continue;
        }
        if (count == 1) {
            buf_printf(&text, "node %s would lose its last %s", losses->names[loss].data, LOST[loss]);
        } else {
            buf_printf(&text, "%zu nodes would lose their last %s: %s", count, LOST[loss],
                       losses->names[loss].data);
        }
        if (count > LOSSES_NAMED_MAX) {
            buf_printf(&text, " and %zu more", count - LOSSES_NAMED_MAX);
        }
        buf_add_str(warnings, warnings->len > 0 ? "," : "");
        buf_add_json_str(warnings, buf_failed(&text) ? "" : text.data);
        warnings->failed = warnings->failed || buf_failed(&text) || buf_failed(&losses->names[loss]);
        buf_done(&text);
    }
}
