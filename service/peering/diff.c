/*
 * What differs between two lists of one node, as a document: for previews of a change before it is made. What
 * differs is compare.c's to say; the values are written by the table of members.
 */
#include <string.h>

#include "compare.h"
#include "document.h"

static void add_value_or_null(struct buf *out, const struct peering_member *member, const void *base) {
    if (peering_member_is_present(member, base)) {
        document_add_value(out, member, base);
    } else {
        buf_add_str(out, "null");
    }
}

static void add_flag(struct buf *out, const char *key, bool value) {
    buf_json_key(out, key);
    buf_add_str(out, value ? "true" : "false");
}

static void add_field(struct buf *out, const struct peering_member *member, const void *before,
                      const void *after, bool disruptive) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "field", member->name);
    buf_json_key(out, "old");
    add_value_or_null(out, member, before);
    buf_json_key(out, "new");
    add_value_or_null(out, member, after);
    add_flag(out, "disruptive", disruptive);
    buf_add_char(out, '}');
}

/* The members of `local` that differ, as array elements. */
static void add_local_fields(struct buf *out, const struct comparison *comparison) {
    for (size_t i = 0; i < peering_local_member_count; i++) {
        const struct peering_member *member = &peering_local_members[i];
        if (!peering_member_equal(member, comparison->before, comparison->after)) {
            add_field(out, member, comparison->before, comparison->after,
                      peering_member_disrupts(member, comparison->before, comparison->after,
                                              comparison->daemons.which));
        }
    }
}

/* Those of a session. Filters whose rules cost it stand there also when they are the same by name. */
static void add_entry_fields(struct buf *out, const struct comparison *comparison,
                             const struct peering_entry *before, const struct peering_entry *after) {
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        const struct peering_member *member = &peering_entry_members[i];
        bool cost = member->offset == offsetof(struct peering_entry, filters)
                        ? comparison_filters_cost(comparison, before, after)
                        : peering_member_disrupts(member, before, after, comparison->daemons.which);
        if (cost || !peering_member_equal(member, before, after)) {
            add_field(out, member, before, after, cost);
        }
    }
}

/* ---- sessions ---- */

/* The arrays of one diff, each without its brackets. */
struct arrays {
    struct comparison comparison;
    struct buf added;
    struct buf removed;
    struct buf changed;
};

static void add_lone(struct buf *out, const struct peering_entry *entry, bool disruptive) {
    buf_add_str(out, out->len > 0 ? ",{" : "{");
    document_add_entry_members(out, entry);
    add_flag(out, "disruptive", disruptive);
    buf_add_char(out, '}');
}

static void add_difference(void *arg, const struct peering_entry *before, const struct peering_entry *after,
                           bool disruptive) {
    struct arrays *arrays = arg;
    if (before == NULL || after == NULL) {
        add_lone(before == NULL ? &arrays->added : &arrays->removed, before == NULL ? after : before,
                 disruptive);
        return;
    }
    struct buf *out = &arrays->changed;
    buf_add_str(out, out->len > 0 ? ",{" : "{");
    buf_json_member_str(out, "peerIP", before->address_text);
    if (before->port != 0) {
        buf_json_member_u64(out, "port", before->port);
    }
    add_flag(out, "disruptive", disruptive);
    buf_json_key(out, "fields");
    buf_add_char(out, '[');
    add_entry_fields(out, &arrays->comparison, before, after);
    buf_add_str(out, "]}");
}

static void add_array(struct buf *out, const char *key, struct buf *items) {
    buf_json_key(out, key);
    buf_add_char(out, '[');
    buf_add(out, items->data, items->len);
    buf_add_char(out, ']');
    out->failed = out->failed || buf_failed(items);
    buf_done(items);
}

/* ---- what else a list says ---- */

static void add_change(struct buf *out, const char *key, const char *what, const char *change) {
    buf_add_str(out, out->len > 0 ? ",{" : "{");
    buf_json_member_str(out, key, what);
    buf_json_member_str(out, "change", change);
    buf_add_char(out, '}');
}

static const char *change_of(int order) {
    return order < 0 ? "removed" : order > 0 ? "added" : "changed";
}

static void add_filter_changes(struct buf *out, const struct peering_list *a, const struct peering_list *b) {
    struct buf items = BUF_INIT;
    for (size_t i = 0, k = 0; i < a->filter_count || k < b->filter_count;) {
        int order = i == a->filter_count   ? 1
                    : k == b->filter_count ? -1
                                           : strcmp(a->filters[i].name, b->filters[k].name);
        if (order != 0 || !peering_filter_equal(&a->filters[i], &b->filters[k])) {
            add_change(&items, "name", order <= 0 ? a->filters[i].name : b->filters[k].name,
                       change_of(order));
        }
        i += order <= 0;
        k += order >= 0;
    }
    if (items.len > 0) {
        add_array(out, "filters", &items);
    }
    buf_done(&items);
}

static void add_advertisement_changes(struct buf *out, const struct peering_list *a,
                                      const struct peering_list *b) {
    struct buf items = BUF_INIT;
    for (size_t i = 0, k = 0; i < a->advertisement_count || k < b->advertisement_count;) {
        const struct peering_advertisement *x = &a->advertisements[i];
        const struct peering_advertisement *y = &b->advertisements[k];
        int order = i == a->advertisement_count   ? 1
                    : k == b->advertisement_count ? -1
                                                  : peering_prefix_compare(&x->prefix, &y->prefix);
        if (order != 0 || !peering_advertisement_equal(x, y)) {
            add_change(&items, "cidr", order <= 0 ? x->cidr : y->cidr, change_of(order));
        }
        i += order <= 0;
        k += order >= 0;
    }
    if (items.len > 0) {
        add_array(out, "advertise", &items);
    }
    buf_done(&items);
}

static void add_local_changes(struct buf *out, const struct comparison *comparison) {
    struct buf fields = BUF_INIT;
    buf_add_char(&fields, '[');
    add_local_fields(&fields, comparison);
    if (fields.len > 1) {
        buf_json_key(out, "local");
        buf_add(out, fields.data, fields.len);
        buf_add_char(out, ']');
    }
    out->failed = out->failed || buf_failed(&fields);
    buf_done(&fields);
}

void peering_encode_diff(const struct peering_list *before, const struct peering_list *after,
                         const struct peering_daemons *daemons, struct buf *out, struct peering_diff *ret) {
    struct arrays arrays = {.added = BUF_INIT, .removed = BUF_INIT, .changed = BUF_INIT};
    comparison_init(&arrays.comparison, before, after, daemons);
    peering_compare(before, after, daemons, add_difference, &arrays, ret);
    bool both = before != NULL && after != NULL;
    buf_add_char(out, '{');
    buf_json_member_str(out, "node", before != NULL ? before->node : after != NULL ? after->node : NULL);
    if (both) {
        add_local_changes(out, &arrays.comparison);
    }
    add_array(out, "added", &arrays.added);
    add_array(out, "removed", &arrays.removed);
    add_array(out, "changed", &arrays.changed);
    if (both) {
        add_filter_changes(out, before, after);
        add_advertisement_changes(out, before, after);
    }
    buf_add_char(out, '}');
}
