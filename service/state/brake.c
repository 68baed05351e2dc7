/*
 * The brake: how many sessions does a change restart or remove, and is that too many? Asked of every write on
 * the committer's thread, where others wait for it, so it does as little as it can:
 *
 *   1. One change of one Node or BGPPeer: the indexes bound what it can disrupt (peering_disrupts_at_most).
 *      Below the limit nothing is counted. This is how fleets are built and nodes come and go.
 *   2. The sessions of the affected nodes, while they are few: no more can be disrupted than there are.
 *   3. Only then are lists compared. That is no more work than the affected nodes' next polls are, and it is
 *      bounded by BRAKE_COMPARED_MAX sessions: of more, lists from all over the fleet stand for the others.
 *   4. What is a large number of sessions may be a small share. The lists of nodes that are not affected are
 *      counted until that is plain.
 *
 * Nothing is encoded. Previews ask the same from their own threads: all state is the caller's, but a counter.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "state/daemons.h"
#include "state_internal.h"

#define FEW_NODES 64 /* whose sessions are counted before lists are compared */

bool brake_is_on(const struct brake *brake) {
    return brake->sessions > 0 && brake->percent > 0;
}

/* ---- nodes in an order that is spread evenly, wherever it ends ---- */

struct slots {
    uint32_t *items;
    size_t count;
    size_t step; /* no divisor in common with the count: a walk with it visits each once */
};

static void take_slot(void *arg, uint32_t slot) {
    struct slots *slots = arg;
    slots->items[slots->count++] = slot;
}

static size_t common_divisor(size_t a, size_t b) {
    while (b != 0) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Steps by the golden section leave no gap larger than they must. */
static void spread(struct slots *slots) {
    slots->step = slots->count * 618 / 1000 + 1;
    while (slots->count > 1 && common_divisor(slots->step, slots->count) != 1) {
        slots->step++;
    }
}

static uint32_t slot_at(const struct slots *slots, size_t i) {
    return slots->items[i * slots->step % slots->count];
}

static int find_affected(const struct judged *judged, struct slots *ret, struct err *err) {
    *ret = (struct slots){.items = base_calloc(node_set_count(judged->affected) + 1, sizeof(*ret->items))};
    if (ret->items == NULL) {
        return err_no_memory(err);
    }
    node_set_each(judged->affected, take_slot, ret);
    spread(ret);
    return 0;
}

/* Of the picture before, the others. */
static int find_rest(const struct judged *judged, struct slots *ret, struct err *err) {
    uint32_t bound = peering_index_slots(judged->before->index);
    *ret = (struct slots){.items = base_calloc((size_t)bound + 1, sizeof(*ret->items))};
    if (ret->items == NULL) {
        return err_no_memory(err);
    }
    for (uint32_t slot = 0; slot < bound; slot++) {
        if (!node_set_has(judged->affected, slot) &&
            peering_index_node_name(judged->before->index, slot) != NULL) {
            take_slot(ret, slot);
        }
    }
    spread(ret);
    return 0;
}

/* ---- counting ---- */

struct counting {
    struct brake *brake;
    const struct judged *judged;
    struct daemons daemons;
    struct arena arena; /* of one node's lists */
    uint64_t before;    /* sessions of the nodes looked at */
    uint64_t compared;  /* … and those after */
    uint64_t disruptive;
    uint64_t nodes; /* whose lists differ */
};

static void counting_done(struct counting *counting) {
    daemons_done(&counting->daemons);
    arena_done(&counting->arena);
}

static void counting_init(struct counting *counting, struct brake *brake, const struct judged *judged) {
    *counting = (struct counting){.brake = brake, .judged = judged};
    arena_init(&counting->arena, 8192);
    daemons_init(&counting->daemons, brake->status);
}

/* The node's list in one picture; *ret NULL: `node` is NULL, or not in it. */
static int list_in(struct counting *counting, const struct picture *picture, const char *node,
                   struct peering_list *list, const struct peering_list **ret, struct err *err) {
    *ret = NULL;
    if (node == NULL || peering_index_slot(picture->index, node) < 0) {
        return 0;
    }
    atomic_fetch_add_explicit(&counting->brake->lists, 1, memory_order_relaxed);
    if (peering_compute(picture->index, node, &counting->arena, list, err) != 0) {
        return -1;
    }
    *ret = list;
    return 0;
}

static int compare_node(struct counting *counting, const char *node, struct err *err) {
    const struct judged *judged = counting->judged;
    const struct peering_list *before, *after;
    struct peering_list old, new;
    struct peering_diff diff;
    arena_reset(&counting->arena);
    if (list_in(counting, judged->before, node, &old, &before, err) != 0 ||
        list_in(counting, judged->after, node, &new, &after, err) != 0) {
        return -1;
    }
    struct peering_daemons daemons;
    daemons_of(&counting->daemons, before != NULL ? judged->before : judged->after, node, &daemons);
    peering_compare(before, after, &daemons, NULL, NULL, &diff);
    counting->before += diff.before;
    counting->compared += diff.before + diff.after;
    counting->disruptive += diff.disruptive;
    counting->nodes += !peering_diff_is_empty(&diff);
    return 0;
}

/* The node that has the slot afterwards, when there was none of its name; NULL: it is no new one. */
static const char *new_node(const struct judged *judged, uint32_t slot) {
    const char *node = peering_index_node_name(judged->after->index, slot);
    return node != NULL && peering_index_slot(judged->before->index, node) < 0 ? node : NULL;
}

/* A slot may be another node's afterwards: a node is compared where it was. A new one has nothing to lose. */
static int compare_slot(struct counting *counting, uint32_t slot, struct err *err) {
    const char *old = peering_index_node_name(counting->judged->before->index, slot);
    counting->nodes += new_node(counting->judged, slot) != NULL;
    return old != NULL ? compare_node(counting, old, err) : 0;
}

/* Sessions of one node before, into counting->before. */
static int count_node(struct counting *counting, const char *node, struct err *err) {
    const struct peering_list *before;
    struct peering_list list;
    arena_reset(&counting->arena);
    if (list_in(counting, counting->judged->before, node, &list, &before, err) != 0) {
        return -1;
    }
    counting->before += before != NULL ? before->entry_count : 0;
    return 0;
}

static uint64_t scale(uint64_t number, size_t visited, size_t count) {
    return visited == count
               ? number
               : (uint64_t)((double)number * (double)count / (double)(visited == 0 ? 1 : visited));
}

/* ---- the verdict ---- */

/* Is so much of so many more than the brake lets pass? */
static bool is_large(const struct brake *brake, uint64_t disruptive, uint64_t sessions) {
    return disruptive > brake->sessions && disruptive * 100 > sessions * brake->percent;
}

/* Add to *sessions those of nodes that are not affected, until `disruptive` of them is a small share. */
static int count_rest(struct counting *counting, uint64_t disruptive, uint64_t *sessions, bool *ret_about,
                      struct err *err) {
    struct slots rest;
    uint64_t known = *sessions;
    size_t visited = 0;
    int result = find_rest(counting->judged, &rest, err);
    counting->before = 0;
    while (result == 0 && visited < rest.count && counting->before < BRAKE_COMPARED_MAX &&
           is_large(counting->brake, disruptive, known + counting->before)) {
        const struct peering_index *index = counting->judged->before->index;
        result = count_node(counting, peering_index_node_name(index, slot_at(&rest, visited++)), err);
    }
    bool cut = counting->before >= BRAKE_COMPARED_MAX;
    *sessions = known + scale(counting->before, cut ? visited : rest.count, rest.count);
    *ret_about = *ret_about || (cut && visited < rest.count);
    free(rest.items);
    return result;
}

static int judge_by_lists(struct counting *counting, const struct slots *affected, struct brake_verdict *ret,
                          struct err *err) {
    size_t visited = 0;
    counting->before = 0;
    while (visited < affected->count && counting->compared < BRAKE_COMPARED_MAX) {
        if (compare_slot(counting, slot_at(affected, visited++), err) != 0) {
            return -1;
        }
    }
    struct brake_verdict verdict = {.about = visited < affected->count,
                                    .disruptive = scale(counting->disruptive, visited, affected->count),
                                    .nodes = scale(counting->nodes, visited, affected->count),
                                    .sessions = scale(counting->before, visited, affected->count)};
    if (is_large(counting->brake, verdict.disruptive, verdict.sessions) &&
        count_rest(counting, verdict.disruptive, &verdict.sessions, &verdict.about, err) != 0) {
        return -1;
    }
    verdict.refused = is_large(counting->brake, verdict.disruptive, verdict.sessions);
    *ret = verdict;
    return 0;
}

/* Is it plain without a look at the lists? *ret: it is too little, by what the indexes say. */
static int judge_by_index(struct counting *counting, bool *ret, struct err *err) {
    const struct judged *judged = counting->judged;
    size_t most = 0;
    const char *own = NULL;
    *ret = false;
    if (judged->only == NULL ||
        !peering_disrupts_at_most(judged->before->index, judged->after->index, judged->only,
                                  node_set_count(judged->affected), &most, &own)) {
        return 0;
    }
    counting->before = 0;
    if (own != NULL && count_node(counting, own, err) != 0) {
        return -1;
    }
    uint64_t bound = most + counting->before, sessions = counting->before;
    for (uint32_t slot = 0, few = 0; few < FEW_NODES && is_large(counting->brake, bound, sessions) &&
                                     slot < peering_index_slots(judged->before->index);
         slot++) {
        const char *node = peering_index_node_name(judged->before->index, slot);
        if (node != NULL && (own == NULL || strcmp(node, own) != 0)) {
            counting->before = 0;
            if (count_node(counting, node, err) != 0) {
                return -1;
            }
            sessions += counting->before;
            few++;
        }
    }
    *ret = !is_large(counting->brake, bound, sessions);
    return 0;
}

/* Do the affected nodes have so few sessions that it does not matter which are disrupted? */
static int judge_few(struct counting *counting, const struct slots *affected, bool *ret, struct err *err) {
    *ret = false;
    counting->before = 0;
    for (size_t i = 0; i < affected->count && affected->count <= FEW_NODES; i++) {
        if (count_node(counting, peering_index_node_name(counting->judged->before->index, affected->items[i]),
                       err) != 0) {
            return -1;
        }
        if (counting->before > counting->brake->sessions) {
            return 0;
        }
    }
    *ret = affected->count <= FEW_NODES;
    return 0;
}

int brake_judge(struct brake *brake, const struct judged *judged, struct brake_verdict *ret,
                struct err *err) {
    struct counting counting;
    struct slots affected = {.count = 0};
    bool little = node_set_count(judged->affected) == 0 || !brake_is_on(brake);
    int result = 0;
    *ret = (struct brake_verdict){.refused = false};
    counting_init(&counting, brake, judged);
    if (!little) {
        result = judge_by_index(&counting, &little, err);
    }
    if (result == 0 && !little) {
        result =
            find_affected(judged, &affected, err) != 0 || judge_few(&counting, &affected, &little, err) != 0
                ? -1
                : 0;
    }
    if (result == 0 && !little) {
        result = judge_by_lists(&counting, &affected, ret, err);
    }
    free(affected.items);
    counting_done(&counting);
    return result;
}

int brake_finds_change(struct brake *brake, const struct judged *judged, bool *ret, struct err *err) {
    struct counting counting;
    struct slots affected;
    counting_init(&counting, brake, judged);
    int result = find_affected(judged, &affected, err);
    for (size_t i = 0; result == 0 && i < affected.count && counting.nodes == 0; i++) {
        uint32_t slot = slot_at(&affected, i);
        const char *old = peering_index_node_name(judged->before->index, slot);
        const char *new = new_node(judged, slot);
        result = (old != NULL && compare_node(&counting, old, err) != 0) ||
                         (new != NULL &&compare_node(&counting, new, err) != 0)
                     ? -1
                     : 0;
        counting.nodes += counting.compared >= BRAKE_COMPARED_MAX;
    }
    free(affected.items);
    counting_done(&counting);
    *ret = counting.nodes > 0;
    return result;
}

int brake_refuse(const struct brake *brake, const struct brake_verdict *verdict, struct causes *causes,
                 struct err *err) {
    const char *about = verdict->about ? "about " : "";
    uint64_t percent = verdict->disruptive * 100 / (verdict->sessions == 0 ? 1 : verdict->sessions);
    if (causes != NULL) {
        causes_add(causes, "DisruptiveSessions", "", "%llu", (unsigned long long)verdict->disruptive);
        causes_add(causes, "FleetSessions", "", "%llu", (unsigned long long)verdict->sessions);
        causes_add(causes, "ChangedNodes", "", "%llu", (unsigned long long)verdict->nodes);
    }
    return err_set(
        err, ERR_TOO_DISRUPTIVE,
        "%s%llu of the fleet's %llu sessions (%llu %%, each counted at both ends), on %llu nodes, would be "
        "restarted or removed, and no more than %llu sessions or %u %% are without being asked for; nothing "
        "is "
        "changed. Look at it with a preview (dryRun=All&preview=peerings, or /apis/bgppeerd.io/v1/previews); "
        "then change less at a time, or say that it is meant: force=disruptive in the query, the header "
        "Bgppeerd-Force: disruptive, spec.force: disruptive of a ChangeSet, or with kubectl the "
        "annotation " FORCE_ANNOTATION ": disruptive in the object, which is not stored",
        about, (unsigned long long)verdict->disruptive, (unsigned long long)verdict->sessions,
        (unsigned long long)percent, (unsigned long long)verdict->nodes, (unsigned long long)brake->sessions,
        brake->percent);
}
