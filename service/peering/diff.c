/*
 * What differs between two lists of one node: for previews of a change before it is made.
 *
 * Sessions are paired by address and port; what is left over at one address on both sides is one session
 * that changed its port. Members are compared as they are written, by the table of document.c.
 */
#include <string.h>

#include "document.h"

static uint16_t port_of(const struct peering_entry *entry) {
    return entry->port != 0 ? entry->port : PEERING_BGP_PORT;
}

/* The order of lists: address, then port. */
static int entry_compare(const struct peering_entry *a, const struct peering_entry *b, bool with_port) {
    int order = ip_compare(&a->address, &b->address);
    if (order != 0 || !with_port) {
        return order;
    }
    return (port_of(a) > port_of(b)) - (port_of(a) < port_of(b));
}

/* `list`'s session with the address and port of `entry`; NULL: none. */
static const struct peering_entry *find_same(const struct peering_list *list,
                                             const struct peering_entry *entry) {
    size_t low = 0;
    size_t high = list == NULL ? 0 : list->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = entry_compare(&list->entries[middle], entry, true);
        if (order == 0) {
            return &list->entries[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/*
 * The `rank`-th session of `list` with the address of `entry` whose port the `other` list does not have.
 * NULL: none. Sessions on several ports of one address are few, so this looks at them one by one.
 */
static const struct peering_entry *find_moved(const struct peering_list *list,
                                              const struct peering_list *other,
                                              const struct peering_entry *entry, size_t rank) {
    size_t low = 0;
    size_t high = list == NULL ? 0 : list->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_compare(&list->entries[middle], entry, false) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; list != NULL && i < list->entry_count; i++) {
        const struct peering_entry *candidate = &list->entries[i];
        if (entry_compare(candidate, entry, false) != 0) {
            break;
        }
        if (find_same(other, candidate) == NULL && rank-- == 0) {
            return candidate;
        }
    }
    return NULL;
}

/* How many sessions before `entry` in `list` are with its address on ports that `other` does not have. */
static size_t rank_of(const struct peering_list *list, const struct peering_list *other,
                      const struct peering_entry *entry) {
    size_t rank = 0;
    for (size_t i = (size_t)(entry - list->entries); i > 0; i--) {
        const struct peering_entry *earlier = &list->entries[i - 1];
        if (entry_compare(earlier, entry, false) != 0) {
            break;
        }
        rank += find_same(other, earlier) == NULL;
    }
    return rank;
}

/* find_same, looking first where it is when at most one session has come or gone before it. */
static const struct peering_entry *find_near(const struct peering_list *list, size_t place,
                                             const struct peering_entry *entry) {
    for (size_t i = place > 0 ? place - 1 : 0; list != NULL && i < list->entry_count && i <= place + 1; i++) {
        if (entry_compare(&list->entries[i], entry, true) == 0) {
            return &list->entries[i];
        }
    }
    return find_same(list, entry);
}

/* The session of `to` that `entry` of `from` is to be compared with; NULL: it comes or goes. */
static const struct peering_entry *find_partner(const struct peering_list *from,
                                                const struct peering_list *to,
                                                const struct peering_entry *entry) {
    const struct peering_entry *same = find_near(to, (size_t)(entry - from->entries), entry);
    return same != NULL ? same : find_moved(to, from, entry, rank_of(from, to, entry));
}

/* ---- members ---- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_origin(const struct peering_origin *a, const struct peering_origin *b) {
    return a->scope == b->scope && a->reverse == b->reverse && same_text(a->bgp_peer, b->bgp_peer) &&
           same_text(a->remote_node, b->remote_node);
}

static bool same_filters(const struct peering_entry *a, const struct peering_entry *b) {
    bool same = a->filter_count == b->filter_count;
    for (size_t i = 0; same && i < a->filter_count; i++) {
        same = same_text(a->filters[i], b->filters[i]);
    }
    return same;
}

/*
 * Plainly the same in all that is written of them. Most of the sessions of the affected nodes are: in a mesh
 * of a thousand nodes, a change for all of them has a million of these pairs. What is not so plain is
 * compared as text.
 */
static bool same_entry(const struct peering_entry *a, const struct peering_entry *b) {
    return ip_compare(&a->address, &b->address) == 0 && a->port == b->port && a->as_number == b->as_number &&
           a->local_as_number == b->local_as_number && a->external == b->external &&
           a->ttl_security == b->ttl_security && a->max_restart_time_s == b->max_restart_time_s &&
           a->keepalive_time_s == b->keepalive_time_s && a->passive == b->passive &&
           a->num_allowed_local_as_numbers == b->num_allowed_local_as_numbers && a->password == b->password &&
           a->secret == b->secret && same_text(a->source_address, b->source_address) &&
           same_text(a->next_hop, b->next_hop) &&
           same_text(a->route_reflector_cluster_id, b->route_reflector_cluster_id) &&
           same_text(a->reachable_by, b->reachable_by) && same_filters(a, b) &&
           same_origin(&a->origin, &b->origin);
}

static void add_value_or_null(struct buf *out, const struct member *member,
                              const struct peering_entry *entry) {
    if (member_is_present(member, entry)) {
        document_add_value(out, member, entry);
    } else {
        buf_add_str(out, "null");
    }
}

static bool text_equal(const struct buf *a, const struct buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void add_field(struct buf *out, const char *name, const struct buf *old_value,
                      const struct buf *new_value, bool disruptive) {
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "field", name);
    buf_json_key(out, "old");
    buf_add(out, old_value->data, old_value->len);
    buf_json_key(out, "new");
    buf_add(out, new_value->data, new_value->len);
    buf_json_key(out, "disruptive");
    buf_add_str(out, disruptive ? "true" : "false");
    buf_add_char(out, '}');
}

static void add_origin_value(struct buf *out, const struct peering_origin *origin) {
    struct buf whole = BUF_INIT;
    document_add_origin(&whole, "o", origin);
    size_t skip = strlen("\"o\":");
    if (whole.len > skip) {
        buf_add(out, whole.data + skip, whole.len - skip);
    }
    out->failed = out->failed || buf_failed(&whole);
    buf_done(&whole);
}

/* Must the daemon restart the session for this difference? Port 179 written out is no other port. */
static bool disrupts_session(const struct member *member, const struct peering_entry *before,
                             const struct peering_entry *after) {
    if (member == NULL || !member->disruptive) {
        return false;
    }
    return member->offset != offsetof(struct peering_entry, port) || port_of(before) != port_of(after);
}

/* The members that differ, as array elements; returns whether one of them disrupts the session. */
static bool add_fields(struct buf *out, const struct peering_entry *before,
                       const struct peering_entry *after) {
    struct buf old_value = BUF_INIT;
    struct buf new_value = BUF_INIT;
    bool disruptive = false;
    for (size_t i = 0; i <= entry_member_count; i++) {
        buf_clear(&old_value);
        buf_clear(&new_value);
        const struct member *member = i < entry_member_count ? &entry_members[i] : NULL;
        if (member != NULL) {
            add_value_or_null(&old_value, member, before);
            add_value_or_null(&new_value, member, after);
        } else {
            add_origin_value(&old_value, &before->origin);
            add_origin_value(&new_value, &after->origin);
        }
        if (!text_equal(&old_value, &new_value)) {
            bool disrupts = disrupts_session(member, before, after);
            add_field(out, member != NULL ? member->name : "origin", &old_value, &new_value, disrupts);
            disruptive = disruptive || disrupts;
        }
    }
    out->failed = out->failed || buf_failed(&old_value) || buf_failed(&new_value);
    buf_done(&old_value);
    buf_done(&new_value);
    return disruptive;
}

/* ---- the three lists ---- */

/* Entries of `list` that have no partner in `other`. */
static size_t add_lone(struct buf *out, const char *key, const struct peering_list *list,
                       const struct peering_list *other, bool disruptive) {
    size_t count = 0;
    buf_json_key(out, key);
    buf_add_char(out, '[');
    for (size_t i = 0; list != NULL && i < list->entry_count; i++) {
        if (find_partner(list, other, &list->entries[i]) != NULL) {
            continue;
        }
        buf_json_comma(out);
        buf_add_char(out, '{');
        document_add_entry_members(out, &list->entries[i]);
        buf_json_key(out, "disruptive");
        buf_add_str(out, disruptive ? "true" : "false");
        buf_add_char(out, '}');
        count++;
    }
    buf_add_char(out, ']');
    return count;
}

static void add_changed(struct buf *out, const struct peering_list *before, const struct peering_list *after,
                        struct peering_diff *diff) {
    struct buf fields = BUF_INIT;
    buf_json_key(out, "changed");
    buf_add_char(out, '[');
    for (size_t i = 0; before != NULL && i < before->entry_count; i++) {
        const struct peering_entry *old_entry = &before->entries[i];
        const struct peering_entry *new_entry = find_partner(before, after, old_entry);
        if (new_entry == NULL || same_entry(old_entry, new_entry)) {
            continue;
        }
        buf_clear(&fields);
        buf_add_char(&fields, '[');
        bool disruptive = add_fields(&fields, old_entry, new_entry);
        if (fields.len <= 1) {
            continue;
        }
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_str(out, "peerIP", old_entry->address_text);
        if (old_entry->port != 0) {
            buf_json_member_u64(out, "port", old_entry->port);
        }
        buf_json_key(out, "disruptive");
        buf_add_str(out, disruptive ? "true" : "false");
        buf_json_key(out, "fields");
        buf_add(out, fields.data, fields.len);
        buf_add_str(out, "]}");
        diff->changed++;
        diff->disruptive += disruptive;
    }
    buf_add_char(out, ']');
    out->failed = out->failed || buf_failed(&fields);
    buf_done(&fields);
}

void peering_encode_diff(const struct peering_list *before, const struct peering_list *after, struct buf *out,
                         struct peering_diff *ret) {
    struct peering_diff diff = {
        .before = before == NULL ? 0 : before->entry_count,
        .after = after == NULL ? 0 : after->entry_count,
    };
    buf_add_char(out, '{');
    buf_json_member_str(out, "node", before != NULL ? before->node : after != NULL ? after->node : NULL);
    diff.added = add_lone(out, "added", after, before, false);
    diff.removed = add_lone(out, "removed", before, after, true);
    diff.disruptive = diff.removed;
    add_changed(out, before, after, &diff);
    buf_add_char(out, '}');
    *ret = diff;
}
