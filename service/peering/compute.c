/*
 * The computation of one node's list: proposals are sorted by (address, port, step, BGPPeer, node), so
 * that the first of each (address, port) is the winner and the rest is what it suppresses. Settings are
 * worked out for winners only.
 *
 * The list lives in the caller's arena and borrows from the index and its snapshot. No locks, no state.
 */
#include <endian.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/number.h"
#include "compute.h"

/* ---- precedence ---- */

static int address_compare(const struct proposal *a, const struct proposal *b) {
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    if (a->high != b->high) {
        return a->high < b->high ? -1 : 1;
    }
    return a->low < b->low ? -1 : a->low > b->low;
}

/*
 * Who goes first. Proposals are grouped by (address, port), where an absent port is 179; within a group:
 *
 *   1. a global BGPPeer (neither node nor nodeSelector),
 *   2. a BGPPeer for this node, by its name or by nodeSelector,
 *   3. the reverse side of a BGPPeer for another node,
 *   4. the mesh;
 *   5. within each of these, by the BGPPeer's name in byte order,
 *   6. and then by the remote node's name in byte order.
 *
 * The first wins, and the rest is suppressed by it, but for a reverse side that says the same. Besides, an
 * address that 1 to 3 peer with on whatever port is not meshed.
 */
static int precedence_compare(const struct proposal *a, const struct proposal *b) {
    if (a->step != b->step) {
        return a->step < b->step ? -1 : 1;
    }
    const struct rule *x = a->part->rule;
    const struct rule *y = b->part->rule;
    if (x != y) {
        return strcmp(x->name, y->name); /* equal steps: either both have rules or neither has */
    }
    if (a->remote != b->remote && a->remote != NULL && b->remote != NULL) {
        return strcmp(a->remote->name, b->remote->name);
    }
    return 0;
}

static int proposal_compare(const void *x, const void *y) {
    const struct proposal *a = x;
    const struct proposal *b = y;
    int order = address_compare(a, b);
    if (order == 0 && a->port_key != b->port_key) {
        return a->port_key < b->port_key ? -1 : 1;
    }
    return order != 0 ? order : precedence_compare(a, b);
}

static struct peering_origin origin_of(const struct proposal *proposal) {
    const struct rule *rule = proposal->part->rule;
    return (struct peering_origin){
        .bgp_peer = rule == NULL ? NULL : rule->name,
        .scope = rule == NULL ? SCOPE_MESH : rule->scope,
        .reverse = proposal->step == STEP_REVERSE,
        .remote_node = proposal->remote == NULL ? NULL : proposal->remote->name,
    };
}

struct ip_addr proposal_address(const struct proposal *proposal) {
    struct ip_addr addr = {.family = proposal->family == V4 ? IP_V4 : IP_V6};
    uint64_t high = htobe64(proposal->high);
    uint64_t low = htobe64(proposal->low);
    memcpy(addr.bytes, &high, sizeof(high));
    memcpy(addr.bytes + sizeof(high), &low, sizeof(low));
    return addr;
}

/* ---- settings ---- */

static int resolve_filters(struct compute *compute, struct part *part) {
    const struct bgp_peer_spec *spec = part_spec(part);
    if (spec == NULL || spec->filters.count == 0) {
        return 0;
    }
    part->filters = arena_array(compute->arena, spec->filters.count, sizeof(part->filters[0]));
    part->filter_records = arena_array(compute->arena, spec->filters.count, sizeof(part->filter_records[0]));
    part->missing = arena_array(compute->arena, spec->filters.count, sizeof(part->missing[0]));
    if (part->filters == NULL || part->filter_records == NULL || part->missing == NULL) {
        return err_no_memory(compute->err);
    }
    for (size_t i = 0; i < spec->filters.count; i++) {
        const char *name = spec->filters.items[i];
        const struct record *filter = snapshot_get(compute->snapshot, KIND_BGPFILTER, name);
        compute_note_revision(compute, filter);
        if (filter != NULL) {
            part->filter_records[part->filter_count] = filter;
            part->filters[part->filter_count++] = filter->object->meta.name;
        } else {
            part->missing[part->missing_count++] = name;
        }
    }
    return 0;
}

/* Why a value cannot be a password; NULL: it can. */
static const char *unusable_reason(enum secret_value_state state) {
    switch (state) {
    case SECRET_USABLE:
        return NULL;
    case SECRET_EMPTY:
        return "PasswordEmpty";
    case SECRET_TOO_LONG:
        return "PasswordTooLong";
    case SECRET_UNUSABLE:
        return "PasswordUnusable";
    case SECRET_UNREADABLE:
        break;
    }
    return "VaultError";
}

static int resolve_password(struct compute *compute, struct part *part) {
    const struct bgp_peer_spec *spec = part_spec(part);
    const struct secret_key_ref *ref =
        spec == NULL ? compute->index->defaults.mesh_password : password_ref(spec->password);
    if (ref == NULL) {
        return 0;
    }
    const char *key = ref->key != NULL ? ref->key : "";
    char *secret_key = arena_printf(compute->arena, "%s/%s", compute->index->secret_namespace,
                                    ref->name != NULL ? ref->name : "");
    if (secret_key == NULL) {
        return err_no_memory(compute->err);
    }
    part->secret_key = secret_key;
    const struct record *record = snapshot_get(compute->snapshot, KIND_SECRET, secret_key);
    compute_note_revision(compute, record);
    const struct secret_value *value = record == NULL ? NULL : secret_value_of(record->object->body, key);
    if (value == NULL && ref->optional.set && ref->optional.value) {
        return 0;
    }
    part->password_reason = record == NULL  ? "SecretNotFound"
                            : value == NULL ? "SecretKeyNotFound"
                                            : unusable_reason(value->state);
    part->password = part->password_reason == NULL ? PASSWORD_VALUE : PASSWORD_WITHHELD;
    part->secret = part->password == PASSWORD_VALUE ? value : NULL;
    return 0;
}

/* What all entries of a part share. */
static int resolve_part(struct compute *compute, const struct part *shared) {
    struct part *part = (struct part *)(uintptr_t)shared; /* proposals see it read-only */
    if (part->resolved) {
        return 0;
    }
    part->resolved = true;
    if (resolve_filters(compute, part) < 0) {
        return -1;
    }
    return resolve_password(compute, part);
}

static int report_part(struct compute *compute, const struct proposal *winner) {
    const struct part *part = winner->part;
    struct issue issue = {.rule = part->rule, .peer_ip = winner->address_text};
    for (size_t i = 0; i < part->missing_count; i++) {
        issue.reason = "FilterNotFound";
        issue.detail = part->missing[i];
        if (compute_report(compute, &issue) < 0) {
            return -1;
        }
    }
    if (part->password != PASSWORD_WITHHELD) {
        return 0;
    }
    const struct bgp_peer_spec *spec = part_spec(part);
    const struct secret_key_ref *ref =
        spec == NULL ? compute->index->defaults.mesh_password : password_ref(spec->password);
    issue.reason = part->password_reason;
    issue.detail = part->secret_key;
    issue.other = ref->key != NULL ? ref->key : "";
    return compute_report(compute, &issue);
}

static int64_t seconds_of(const struct duration *duration) {
    return duration->text == NULL ? -1 : duration_round_seconds(duration->ns);
}

static const char *next_hop_of(const struct bgp_peer_spec *spec, bool external) {
    const char *mode = spec->next_hop_mode;
    if (mode != NULL && mode[0] != '\0') {
        return strcmp(mode, "Self") == 0 ? "Self" : strcmp(mode, "Keep") == 0 ? "Keep" : NULL;
    }
    bool keep = spec->keep_original_next_hop.set && spec->keep_original_next_hop.value;
    return keep && external ? "Keep" : NULL;
}

/* Settings that come from the BGPPeer's spec. */
static void apply_spec(const struct proposal *winner, const struct address *own,
                       struct peering_entry *entry) {
    const struct rule *rule = winner->part->rule;
    const struct bgp_peer_spec *spec = rule->spec;
    bool source = spec->source_address == NULL || strcmp(spec->source_address, "None") != 0;
    entry->source_address = source ? own->text : NULL;
    if (spec->ttl_security.set && spec->ttl_security.value > 0 && spec->ttl_security.value <= UINT8_MAX) {
        entry->ttl_security = (uint8_t)spec->ttl_security.value;
    }
    entry->max_restart_time_s = seconds_of(&spec->max_restart_time);
    entry->keepalive_time_s = seconds_of(&spec->keepalive_time);
    if (rule->target == TARGET_ADDRESS && winner->step != STEP_REVERSE) {
        if (spec->local_as_number.set && spec->local_as_number.value != 0) {
            entry->local_as_number = spec->local_as_number.value;
        }
        const struct opt_int *allowed = &spec->num_allowed_local_as_numbers;
        if (allowed->set && allowed->value > 0 && allowed->value <= UINT32_MAX) {
            entry->num_allowed_local_as_numbers = (uint32_t)allowed->value;
        }
        entry->reachable_by = rule->reachable_by[0] != '\0' ? rule->reachable_by : NULL;
        entry->passive = rule->scope == SCOPE_GLOBAL && winner->remote != NULL &&
                         strcmp(winner->address_text, own->text) > 0;
    }
    entry->external = entry->as_number != entry->local_as_number;
    entry->next_hop = next_hop_of(spec, entry->external);
}

/* Settings of a mesh session. */
static void apply_mesh(const struct compute *compute, const struct proposal *winner,
                       const struct address *own, struct peering_entry *entry) {
    entry->source_address = own->text;
    entry->max_restart_time_s = compute->index->defaults.mesh_restart_time_s;
    entry->keepalive_time_s = -1;
    entry->passive = strcmp(winner->address_text, own->text) > 0;
    entry->external = entry->as_number != entry->local_as_number;
}

/* A password is for one node: it is given to nobody while it is not certain which. */
static int write_password(struct compute *compute, const struct proposal *winner,
                          struct peering_entry *entry) {
    const struct part *part = winner->part;
    bool usable = part->password == PASSWORD_VALUE;
    bool given = usable && !winner->ambiguous;
    entry->password = usable && !given ? PASSWORD_WITHHELD : part->password;
    entry->secret_key = given ? part->secret_key : NULL;
    entry->secret = given ? part->secret : NULL;
    return winner->ambiguous ? compute_report_shared(compute, winner, usable) : 0;
}

static int write_entry(struct compute *compute, const struct proposal *winner, struct peering_entry *entry) {
    const struct node_facts *node = compute->node;
    const struct address *own = &node->addresses[winner->family];
    const struct part *part = winner->part;
    if (resolve_part(compute, part) < 0 || report_part(compute, winner) < 0) {
        return -1;
    }
    entry->address = proposal_address(winner);
    memcpy(entry->address_text, winner->address_text, strlen(winner->address_text) + 1);
    entry->port = winner->port;
    entry->as_number = winner->as_number;
    entry->local_as_number = node_as(compute->index, node);
    entry->origin = origin_of(winner);
    if (part->rule != NULL) {
        apply_spec(winner, own, entry);
    } else {
        apply_mesh(compute, winner, own, entry);
    }
    /* The cluster ID of a peer given by its address is unknown, also when one of ours owns it. */
    bool by_address =
        part->rule != NULL && part->rule->target == TARGET_ADDRESS && winner->step != STEP_REVERSE;
    const char *peer_cluster = by_address || winner->remote == NULL ? NULL : winner->remote->cluster_id;
    if (node->cluster_id != NULL && !entry->external &&
        (peer_cluster == NULL || strcmp(peer_cluster, node->cluster_id) != 0)) {
        entry->route_reflector_cluster_id = node->cluster_id;
    }
    entry->filter_count = part->filter_count;
    entry->filters = part->filters;
    return write_password(compute, winner, entry);
}

/* ---- choosing ---- */

static const char *suppressed_reason(const struct proposal *winner) {
    static const char *const reasons[] = {
        [STEP_GLOBAL] = "GlobalPeeringExists",
        [STEP_NODE] = "NodePeeringExists",
        [STEP_REVERSE] = "ReversePeeringExists",
        [STEP_MESH] = "MeshPeeringExists",
    };
    return reasons[winner->step];
}

/* The far end of the very session: two nodes that both match both selectors of one BGPPeer. */
static bool says_the_same(const struct proposal *loser, const struct proposal *winner) {
    return loser->step == STEP_REVERSE && loser->part->rule == winner->part->rule &&
           loser->remote == winner->remote && loser->as_number == winner->as_number &&
           loser->port == winner->port;
}

static void suppress(struct peering_list *list, const struct proposal *loser, const struct proposal *winner) {
    if (says_the_same(loser, winner)) {
        return;
    }
    struct peering_suppressed *suppressed = &list->suppressed[list->suppressed_count++];
    suppressed->address = proposal_address(loser);
    memcpy(suppressed->address_text, loser->address_text, strlen(loser->address_text) + 1);
    suppressed->port = loser->port;
    suppressed->origin = origin_of(loser);
    suppressed->by = origin_of(winner);
    suppressed->reason = suppressed_reason(winner);
}

static int report_twice(struct compute *compute, const struct proposal *first,
                        const struct proposal *second) {
    const char *by[2];
    const struct proposal *both[2] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        const struct rule *rule = both[i]->part->rule;
        by[i] = arena_printf(compute->arena, "%s\"%s\" on port %u",
                             rule == NULL ? "the mesh with node " : "BGPPeer ",
                             rule == NULL ? both[i]->remote->name : rule->name, both[i]->port_key);
        if (by[i] == NULL) {
            return err_no_memory(compute->err);
        }
    }
    struct issue issue = {.reason = "SameAddressTwice",
                          .rule = second->part->rule,
                          .peer_ip = second->address_text,
                          .other = arena_printf(compute->arena, "twice: by %s, and by %s", by[0], by[1])};
    return issue.other == NULL ? err_no_memory(compute->err) : compute_report(compute, &issue);
}

/* One address: proposals [0, count), sorted. Among each port's the first wins, but a BGPPeer's session
 * on whatever port keeps the mesh away. */
static int choose(struct compute *compute, const struct proposal *group, size_t count,
                  struct peering_list *list) {
    const struct proposal *strongest = NULL; /* the first in precedence that is not of the mesh */
    for (size_t i = 0; i < count; i++) {
        if (group[i].step != STEP_MESH &&
            (strongest == NULL || precedence_compare(&group[i], strongest) < 0)) {
            strongest = &group[i];
        }
    }
    const struct proposal *previous = NULL; /* the last winner */
    const struct proposal *winner = NULL;   /* this port's; NULL: the mesh was kept away */
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && group[i].port_key == group[i - 1].port_key) {
            suppress(list, &group[i], winner != NULL ? winner : strongest);
            continue;
        }
        winner = &group[i];
        if (winner->step == STEP_MESH && strongest != NULL) {
            suppress(list, winner, strongest);
            winner = NULL;
            continue;
        }
        if (previous != NULL && report_twice(compute, previous, winner) < 0) {
            return -1;
        }
        if (write_entry(compute, winner, &list->entries[list->entry_count++]) < 0) {
            return -1;
        }
        previous = winner;
    }
    return 0;
}

static int choose_all(struct compute *compute, struct peering_list *list) {
    const struct proposal *proposals = compute->proposals;
    size_t total = compute->proposal_count;
    if (total == 0) {
        return 0;
    }
    qsort(compute->proposals, total, sizeof(proposals[0]), proposal_compare);
    size_t winners = 1; /* an upper bound: the mesh may be kept away */
    size_t lone = 0;    /* proposals that are the only one for their address: nobody loses to them */
    for (size_t i = 0, first = 0; i < total; i++) {
        bool ends = i + 1 == total || address_compare(&proposals[i], &proposals[i + 1]) != 0;
        winners += i + 1 < total && (ends || proposals[i].port_key != proposals[i + 1].port_key);
        lone += ends && i == first;
        first = ends ? i + 1 : first;
    }
    size_t losers = total - lone; /* an upper bound */
    list->entries = arena_array(compute->arena, winners, sizeof(list->entries[0]));
    if (list->entries == NULL) {
        return err_no_memory(compute->err);
    }
    struct peering_suppressed *suppressed = base_calloc(losers > 0 ? losers : 1, sizeof(suppressed[0]));
    if (suppressed == NULL) {
        return err_no_memory(compute->err);
    }
    list->suppressed = suppressed;
    int result = 0;
    for (size_t i = 0, end; i < total && result == 0; i = end) {
        for (end = i + 1; end < total && address_compare(&proposals[i], &proposals[end]) == 0;) {
            end++;
        }
        result = choose(compute, proposals + i, end - i, list);
    }
    list->suppressed = NULL;
    if (result == 0 && list->suppressed_count > 0) {
        list->suppressed = arena_array(compute->arena, list->suppressed_count, sizeof(suppressed[0]));
        if (list->suppressed == NULL) {
            result = err_no_memory(compute->err);
        } else {
            memcpy(list->suppressed, suppressed, list->suppressed_count * sizeof(suppressed[0]));
        }
    }
    free(suppressed);
    return result;
}

/* ---- the filters that entries name ---- */

static int record_compare(const void *x, const void *y) {
    return strcmp((*(const struct record *const *)x)->key, (*(const struct record *const *)y)->key);
}

/* Each once, however many BGPPeers name it. */
static int write_filters(struct compute *compute, struct peering_list *list) {
    size_t total = 0;
    for (const struct part *part = compute->parts; part != NULL; part = part->next) {
        total += part->filter_count;
    }
    if (total == 0) {
        return 0;
    }
    const struct record **records = arena_array(compute->arena, total, sizeof(*records));
    struct peering_filter *filters = arena_array(compute->arena, total, sizeof(*filters));
    if (records == NULL || filters == NULL) {
        return err_no_memory(compute->err);
    }
    size_t count = 0;
    for (const struct part *part = compute->parts; part != NULL; part = part->next) {
        for (size_t i = 0; i < part->filter_count; i++) {
            records[count++] = part->filter_records[i];
        }
    }
    qsort(records, total, sizeof(*records), record_compare);
    for (size_t i = 0; i < total; i++) {
        if (i == 0 || records[i] != records[i - 1]) {
            const struct bgp_filter *filter = records[i]->object->body;
            filters[list->filter_count++] =
                (struct peering_filter){.name = records[i]->object->meta.name, .spec = filter->spec};
        }
    }
    list->filters = filters;
    return 0;
}

/* ---- the list ---- */

/* The level in one spelling: any case is valid. */
static const char *log_level(const char *text) {
    static const char *const LEVELS[] = {"Trace", "Debug", "Info", "Warning", "Error", "Fatal"};
    for (size_t i = 0; text != NULL && i < sizeof(LEVELS) / sizeof(LEVELS[0]); i++) {
        if (strcasecmp(text, LEVELS[i]) == 0) {
            return LEVELS[i];
        }
    }
    return NULL;
}

static bool binds_to_address(const struct bgp_configuration_spec *spec) {
    return spec->bind_mode != NULL && strcmp(spec->bind_mode, "NodeIP") == 0;
}

/* What the BGPConfigurations say of the node: its own one, member by member, before the one of the fleet. */
static void write_configuration(const struct compute *compute, struct peering_list *list) {
    static const struct bgp_configuration_spec nothing;
    const struct bgp_configuration_spec *fleet = compute->index->defaults.spec;
    const struct bgp_configuration_spec *own = compute->node->config;
    own = own != NULL ? own : &nothing;
    const char *level = log_level(own->log_severity_screen);
    list->local.log_severity = level != NULL ? level : log_level(fleet->log_severity_screen);
    bool own_mode = own->bind_mode != NULL && own->bind_mode[0] != '\0';
    list->local.bind_mode = binds_to_address(own_mode ? own : fleet) ? "NodeIP" : NULL;
    const struct string_list *ignored =
        own->ignored_interfaces.items != NULL ? &own->ignored_interfaces : &fleet->ignored_interfaces;
    list->local.ignored_interface_count = ignored->count;
    list->local.ignored_interfaces = ignored->items;
}

static void write_local(const struct compute *compute, struct peering_list *list) {
    const struct node_facts *node = compute->node;
    const struct address *v4 = &node->addresses[V4];
    const struct address *v6 = &node->addresses[V6];
    list->node = node->name;
    list->local.as_number = node_as(compute->index, node);
    list->local.ipv4_address = ip_is_set(&v4->addr) ? v4->text : NULL;
    list->local.ipv6_address = ip_is_set(&v6->addr) ? v6->text : NULL;
    list->local.listen_port = node_port(compute->index, node);
    list->local.route_reflector_cluster_id = node->cluster_id;
    list->local.router_id = node->router_id.text;
    write_configuration(compute, list);
}

static int compute_list(struct compute *compute, struct peering_list *list) {
    write_local(compute, list);
    compute_note_revision(compute, compute->node->record);
    compute_note_revision(compute, compute->node->config_record);
    compute_note_revision(compute, compute->index->defaults.record);
    if (compute_check_node(compute) < 0 || compute_gather(compute) < 0 || choose_all(compute, list) < 0 ||
        write_filters(compute, list) < 0 || compute_advertise(compute, list) < 0 ||
        compute_write_problems(compute, list) < 0) {
        return -1;
    }
    list->newest_revision = compute->newest_revision;
    return 0;
}

int peering_compute(const struct peering_index *index, const char *node, struct arena *arena,
                    struct peering_list *ret, struct err *err) {
    uint32_t slot = index_slot(index, node);
    if (slot == NO_ID) {
        return err_set(err, ERR_NOT_FOUND,
                       "there is no Node \"%s\", so it has no peering list; create the Node resource first",
                       node);
    }
    struct compute compute = {.index = index,
                              .snapshot = index->snapshot,
                              .node = index_node(index, slot),
                              .slot = slot,
                              .arena = arena,
                              .err = err};
    struct peering_list list = {.node = NULL};
    int result = compute_list(&compute, &list);
    free(compute.proposals);
    free(compute.issues);
    if (result == 0) {
        *ret = list;
    }
    return result;
}
