/*
 * Two lists of one node, compared: which sessions come, go and change, and which of them are disrupted. By
 * the table of members, without writing anything, because most of the sessions of the affected nodes are the
 * same: in a mesh of a thousand nodes, a change for all of them has a million pairs. Pure functions, no
 * state.
 */
#include <string.h>

#include "compare.h"
#include "model/resources.h"

/* ---- which sessions belong together ---- */

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
        const struct peering_entry *other_entry = &list->entries[i];
        if (entry_compare(other_entry, entry, false) != 0) {
            break;
        }
        if (find_same(other, other_entry) == NULL && rank-- == 0) {
            return other_entry;
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

/* ---- what differs ---- */

enum difference { SAME, CHANGED, DISRUPTED };

static enum difference compare_members(const struct peering_member *members, size_t count, const void *before,
                                       const void *after, unsigned which, size_t *ret_differing) {
    enum difference result = SAME;
    *ret_differing = 0;
    for (size_t i = 0; i < count; i++) {
        if (!peering_member_equal(&members[i], before, after)) {
            bool disrupts = peering_member_disrupts(&members[i], before, after, which);
            result = disrupts ? DISRUPTED : result == SAME ? CHANGED : result;
            ++*ret_differing;
        }
    }
    return result;
}

/* The same of two sessions; the first difference that disrupts is enough. */
static enum difference compare_entries(const struct comparison *comparison,
                                       const struct peering_entry *before,
                                       const struct peering_entry *after) {
    unsigned which = comparison->daemons.which;
    enum difference result = SAME;
    for (size_t i = 0; i < peering_entry_member_count && result != DISRUPTED; i++) {
        const struct peering_member *member = &peering_entry_members[i];
        if (!peering_member_equal(member, before, after)) {
            result = peering_member_disrupts(member, before, after, which) ? DISRUPTED : CHANGED;
        }
    }
    return result != DISRUPTED && comparison_filters_cost(comparison, before, after) ? DISRUPTED : result;
}

/* Filters that are in one list only, or have other rules in the other. Both are sorted by name. */
static size_t count_filters(const struct peering_list *a, const struct peering_list *b) {
    size_t count = 0;
    for (size_t i = 0, k = 0; i < a->filter_count || k < b->filter_count;) {
        int order = i == a->filter_count   ? 1
                    : k == b->filter_count ? -1
                                           : strcmp(a->filters[i].name, b->filters[k].name);
        count += order != 0 || !peering_filter_equal(&a->filters[i], &b->filters[k]);
        i += order <= 0;
        k += order >= 0;
    }
    return count;
}

static size_t count_advertisements(const struct peering_list *a, const struct peering_list *b) {
    size_t count = 0;
    for (size_t i = 0, k = 0; i < a->advertisement_count || k < b->advertisement_count;) {
        int order = i == a->advertisement_count ? 1
                    : k == b->advertisement_count
                        ? -1
                        : peering_prefix_compare(&a->advertisements[i].prefix, &b->advertisements[k].prefix);
        count += order != 0 || !peering_advertisement_equal(&a->advertisements[i], &b->advertisements[k]);
        i += order <= 0;
        k += order >= 0;
    }
    return count;
}

bool peering_filter_equal(const struct peering_filter *a, const struct peering_filter *b) {
    return schema_equal(&bgp_filter_spec_schema, a->spec, b->spec, SAME_AS_WRITTEN);
}

bool peering_filter_is_in(const struct peering_filter *filter, const struct peering_list *list) {
    for (size_t i = 0; i < list->filter_count; i++) {
        if (strcmp(list->filters[i].name, filter->name) == 0) {
            return peering_filter_equal(filter, &list->filters[i]);
        }
    }
    return false;
}

static const struct peering_filter *find_filter(const struct peering_list *list, const char *name) {
    size_t low = 0, high = list->filter_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->filters[middle].name, name);
        if (order == 0) {
            return &list->filters[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

/* Not so for filters that come or go: the sessions that name them say so themselves. */
static bool rules_differ(const struct peering_filter *filter, const struct peering_list *other) {
    const struct peering_filter *same = find_filter(other, filter->name);
    return same != NULL && same->spec != filter->spec && !peering_filter_equal(filter, same);
}

void comparison_init(struct comparison *comparison, const struct peering_list *before,
                     const struct peering_list *after, const struct peering_daemons *daemons) {
    *comparison = (struct comparison){.before = before, .after = after};
    if (daemons != NULL) {
        comparison->daemons = *daemons;
    } else {
        comparison->daemons.which = peering_daemons_named("");
    }
    for (size_t i = 0; before != NULL && after != NULL && i < before->filter_count; i++) {
        comparison->rules_differ = comparison->rules_differ || rules_differ(&before->filters[i], after);
    }
}

/* Is it filtered by the same rules? */
static bool has_same_rules(const struct comparison *comparison, const struct peering_entry *before,
                           const struct peering_entry *after) {
    bool same = before->filter_count == after->filter_count;
    for (size_t i = 0; same && i < before->filter_count; i++) {
        same = strcmp(before->filters[i], after->filters[i]) == 0;
    }
    for (size_t i = 0; same && comparison->rules_differ && i < before->filter_count; i++) {
        const struct peering_filter *filter = find_filter(comparison->before, before->filters[i]);
        same = filter == NULL || !rules_differ(filter, comparison->after);
    }
    return same;
}

bool comparison_filters_cost(const struct comparison *comparison, const struct peering_entry *before,
                             const struct peering_entry *after) {
    const struct peering_daemons *daemons = &comparison->daemons;
    if (has_same_rules(comparison, before, after)) {
        return false;
    }
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        if (peering_entry_members[i].offset == offsetof(struct peering_entry, filters) &&
            peering_member_costs(&peering_entry_members[i], daemons->which)) {
            return true;
        }
    }
    if (daemons->refuse == NULL) {
        return false;
    }
    unsigned now = daemons->refuse(daemons->arg, comparison->after, after, daemons->which);
    /* Where it was shut already there is nothing to lose. */
    return now != 0 &&
           (now & ~daemons->refuse(daemons->arg, comparison->before, before, daemons->which)) != 0;
}

int peering_prefix_compare(const struct ip_cidr *a, const struct ip_cidr *b) {
    int order = ip_compare(&a->addr, &b->addr);
    return order != 0 ? order : a->prefix - b->prefix;
}

bool peering_advertisement_equal(const struct peering_advertisement *a,
                                 const struct peering_advertisement *b) {
    bool same = a->community_count == b->community_count && strcmp(a->source, b->source) == 0;
    for (size_t i = 0; same && i < a->community_count; i++) {
        same = strcmp(a->communities[i], b->communities[i]) == 0;
    }
    return same;
}

/* Sessions of `list` without a partner in `other`. */
static size_t visit_lone(const struct peering_list *list, const struct peering_list *other, bool go,
                         peering_on_difference *visit, void *arg) {
    size_t count = 0;
    for (size_t i = 0; list != NULL && i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];
        if (find_partner(list, other, entry) == NULL) {
            count++;
            if (visit != NULL) {
                visit(arg, go ? entry : NULL, go ? NULL : entry, go);
            }
        }
    }
    return count;
}

static void visit_changed(const struct comparison *comparison, bool disrupted, peering_on_difference *visit,
                          void *arg, struct peering_diff *diff) {
    const struct peering_list *before = comparison->before;
    for (size_t i = 0; i < before->entry_count; i++) {
        const struct peering_entry *entry = &before->entries[i];
        const struct peering_entry *partner = find_partner(before, comparison->after, entry);
        if (partner == NULL) {
            continue;
        }
        enum difference difference = disrupted ? DISRUPTED : compare_entries(comparison, entry, partner);
        if (difference == SAME) {
            continue;
        }
        diff->changed++;
        diff->disruptive += difference == DISRUPTED;
        if (visit != NULL) {
            visit(arg, entry, partner, difference == DISRUPTED);
        }
    }
}

void peering_compare(const struct peering_list *before, const struct peering_list *after,
                     const struct peering_daemons *daemons, peering_on_difference *visit, void *arg,
                     struct peering_diff *ret) {
    struct peering_diff diff = {
        .before = before == NULL ? 0 : before->entry_count,
        .after = after == NULL ? 0 : after->entry_count,
    };
    diff.removed = visit_lone(before, after, true, visit, arg);
    diff.added = visit_lone(after, before, false, visit, arg);
    diff.disruptive = diff.removed;
    if (before != NULL && after != NULL) {
        struct comparison comparison;
        comparison_init(&comparison, before, after, daemons);
        enum difference local = compare_members(peering_local_members, peering_local_member_count, before,
                                                after, comparison.daemons.which, &diff.others);
        diff.others += count_filters(before, after) + count_advertisements(before, after);
        visit_changed(&comparison, local == DISRUPTED, visit, arg, &diff);
    }
    *ret = diff;
}
