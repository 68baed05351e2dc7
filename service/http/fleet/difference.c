/*
 * See difference.h. Pure; nothing is kept, no locks.
 */
#include "fleet/difference.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "model/resources.h"

/* ---- change sets ---- */

static void write_change(const struct change *change, struct buf *out) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "op", change_op_name(change->op));
    if (change->op == CHANGE_APPLY || change->op == CHANGE_CREATE) {
        buf_json_key(out, "object");
        buf_add(out, change->document, change->document_len);
    } else {
        buf_json_member_str(out, "kind", kind_info(change->kind)->name);
        buf_json_member_str(out, "name", change->name);
        if (change->if_version != 0) {
            buf_printf(out, ",\"ifResourceVersion\":\"%" PRIu64 "\"", change->if_version);
        }
    }
    if (change->op == CHANGE_PATCH) {
        buf_json_key(out, "patch");
        buf_add(out, change->document, change->document_len);
    }
    buf_add_char(out, '}');
}

void difference_write_set(const struct change_set *set, struct buf *out) {
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"ChangeSet\",\"spec\":{");
    buf_json_member_str(out, "reason", set->reason);
    buf_json_key(out, "changes");
    buf_add_char(out, '[');
    for (size_t i = 0; i < set->count; i++) {
        write_change(&set->items[i], out);
    }
    buf_add_str(out, "]}}");
}

/* ---- values of Secrets ---- */

static void write_version(struct buf *out, const char *side, const struct secret_value *value) {
    buf_json_key(out, side);
    if (value != NULL) {
        buf_printf(out, "\"%" PRIu64 "\"", value->version);
    } else {
        buf_add_str(out, "null");
    }
}

static void write_value(const struct meta *meta, const struct secret_value *from,
                        const struct secret_value *to, struct buf *out) {
    assert(from != NULL || to != NULL);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "namespace", meta->name_space);
    buf_json_member_str(out, "name", meta->name);
    buf_json_member_str(out, "key", (from != NULL ? from : to)->key);
    write_version(out, "from", from);
    write_version(out, "to", to);
    buf_add_char(out, '}');
}

/* The values of one Secret, in the order of their keys; a record may be NULL. */
static void write_values(const struct record *from, const struct record *to, struct buf *out) {
    static const struct secret nothing;
    const struct secret *old = from != NULL ? from->object->body : &nothing;
    const struct secret *new = to != NULL ? to->object->body : &nothing;
    const struct secret_value *a = old->values.items, *b = new->values.items;
    for (size_t i = 0, k = 0; i < old->values.count || k < new->values.count;) {
        int order = i == old->values.count ? 1 : k == new->values.count ? -1 : strcmp(a[i].key, b[k].key);
        if (order != 0 || a[i].version != b[k].version) {
            write_value(&(from != NULL ? from : to)->object->meta, order <= 0 ? &a[i] : NULL,
                        order >= 0 ? &b[k] : NULL, out);
        }
        i += order <= 0;
        k += order >= 0;
    }
}

void difference_write_secrets(const struct snapshot *from, const struct snapshot *to,
                              const struct rollback_scope *only, struct buf *out) {
    struct snapshot_cursor old_cursor, new_cursor;
    const struct record *old = snapshot_seek(&old_cursor, from, KIND_SECRET, NULL);
    const struct record *new = snapshot_seek(&new_cursor, to, KIND_SECRET, NULL);
    buf_add_char(out, '[');
    while (old != NULL || new != NULL) {
        int order = old == NULL ? 1 : new == NULL ? -1 : old == new ? 0 : strcmp(old->key, new->key);
        const struct record *any = order <= 0 ? old : new;
        if (old != new &&rollback_scope_has(only, KIND_SECRET, any->object->meta.name)) {
            write_values(order <= 0 ? old : NULL, order >= 0 ? new : NULL, out);
        }
        old = order <= 0 ? snapshot_step(&old_cursor) : old;
        new = order >= 0 ? snapshot_step(&new_cursor) : new;
    }
    buf_add_char(out, ']');
}
