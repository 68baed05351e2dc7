/*
 * The sweep: judges again what may have changed, keeps the sums, and tells transitions.
 *
 * One thread sweeps at a time, under the sweep's lock. A node is due when its list or its report has changed,
 * and from time to time, because silence and settling are matters of time alone. When a node is due because
 * something changed, the same sessions are judged at their far ends too, one by one: in a mesh that is a
 * session for each other node, not their whole lists.
 *
 * What is a transition: Converging is none, a session keeps the class it had before; the first class after
 * the start is none, so that a restart makes no rows; beyond SWEEP_ROWS_MAX in a minute they are counted,
 * and the number is told with the next one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fleet.h"

#define SWEEP_ROWS_MAX    10 /* transitions of one session in a window */
#define SWEEP_WINDOW_MS   60000
#define SWEEP_TROUBLED_MS 2000  /* how often a node is looked at while a session of it is not Up */
#define SWEEP_QUIET_MS    10000 /* … and while all are */

struct sweep {
    struct fleet_status *status;
    int64_t now_ms;
    void (*on_change)(void *arg, const struct status_transition *transition);
    void *arg;
    const struct fleet_view *view;
    struct fleet_node *node;
    bool mirror;  /* something changed: judge the far ends as well */
    bool trouble; /* a session is not Up */
    bool failed;  /* memory was out: look again soon */
};

/* ---- what is remembered of a session ---- */

static size_t judged_place(const struct fleet_node *node, const struct ip_addr *address, uint16_t port,
                           bool *found) {
    size_t low = 0;
    size_t high = node->judged_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = fleet_compare(&node->judged[middle].address, node->judged[middle].port, address, port);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* NULL: memory is out. */
static struct judged *judged_get(struct fleet_node *node, const struct status_row *row) {
    bool found;
    size_t place = judged_place(node, &row->address, row->port, &found);
    if (found) {
        return &node->judged[place];
    }
    struct judged *items = base_grow(node->judged, node->judged_count, &node->judged_cap, 8, sizeof(*items));
    if (items == NULL) {
        return NULL;
    }
    node->judged = items;
    memmove(&items[place + 1], &items[place], (node->judged_count - place) * sizeof(*items));
    node->judged_count++;
    items[place] = (struct judged){
        .address = row->address,
        .port = row->port,
        .verdict = VERDICT_COUNT,
        .class = node->judged_before ? VERDICT_CONVERGING : VERDICT_UNKNOWN,
        .fresh = !node->judged_before,
    };
    return &items[place];
}

/* ---- transitions ---- */

/* May this one be told, or does the session flap? */
static bool judged_may_tell(struct judged *judged, int64_t now_ms) {
    if (judged->rows == 0 || now_ms - judged->window_ms >= SWEEP_WINDOW_MS) {
        judged->window_ms = now_ms;
        judged->rows = 0;
    }
    if (judged->rows == SWEEP_ROWS_MAX) {
        judged->folded++;
        return false;
    }
    judged->rows++;
    return true;
}

static void sweep_tell(struct sweep *sweep, const char *node, struct judged *judged,
                       const struct status_row *row, enum status_verdict from) {
    sweep->status->transitions[row->judgement.verdict]++;
    if (!judged_may_tell(judged, sweep->now_ms)) {
        return;
    }
    struct status_transition transition = {
        .node = node,
        .address = row->address,
        .port = row->port,
        .remote = row->remote,
        .from = from,
        .to = row->judgement.verdict,
        .folded = judged->folded,
        .message = row->judgement.message,
    };
    judged->folded = 0;
    if (sweep->on_change != NULL) {
        sweep->on_change(sweep->arg, &transition);
    }
}

static uint8_t state_of(const struct status_session *session) {
    return session == NULL ? SESSION_ABSENT : session->state;
}

/* The session leaves the sums of its verdict, or enters them. */
static void count_verdict(struct fleet_status *status, struct fleet_node *node, const struct judged *judged,
                          int by) {
    if (judged->verdict != VERDICT_COUNT) {
        status->verdicts[judged->verdict][judged->external] += (uint64_t)by;
    }
    if (judged->verdict == VERDICT_UP) {
        atomic_fetch_add_explicit(&node->up, (uint32_t)by, memory_order_relaxed);
    }
}

/* Take a new verdict into the sums, and tell when it is of another class. */
static void sweep_note(struct sweep *sweep, struct fleet_node *node, const struct fleet_view *view,
                       struct judged *judged, const struct status_row *row) {
    enum status_verdict verdict = row->judgement.verdict;
    struct status_sight sight = {
        .verdict = (uint8_t)verdict, .here = state_of(row->here), .there = state_of(row->there)};
    news_note(&sweep->status->news, view, judged, &sight);
    count_verdict(sweep->status, node, judged, -1);
    judged->external = row->want == NULL ? judged->external : row->want->external;
    judged->verdict = (uint8_t)verdict;
    count_verdict(sweep->status, node, judged, 1);
    if (verdict == VERDICT_CONVERGING || verdict == judged->class) {
        return;
    }
    enum status_verdict from = (enum status_verdict)judged->class;
    judged->class = (uint8_t)verdict;
    if (judged->fresh) {
        judged->fresh = verdict == VERDICT_UNKNOWN;
        return;
    }
    sweep_tell(sweep, view->name, judged, row, from);
}

/* ---- one node ---- */

static void judged_drop(struct fleet_status *status, uint32_t slot, struct fleet_node *node, size_t place) {
    struct judged *judged = &node->judged[place];
    news_drop(&status->news, slot, node, judged);
    count_verdict(status, node, judged, -1);
    node->judged_count--;
    memmove(judged, judged + 1, (node->judged_count - place) * sizeof(*judged));
}

static void judged_drop_all(struct fleet_status *status, uint32_t slot, struct fleet_node *node) {
    while (node->judged_count > 0) {
        judged_drop(status, slot, node, node->judged_count - 1);
    }
    node->judged_before = false;
}

/* The same session at its far end, when that node has been looked at. */
static void sweep_mirror(struct sweep *sweep, const struct status_want *want) {
    const struct wants *wants = sweep->view->lists[0];
    const struct ip_addr *own = wants_own(wants, want->address.family);
    struct fleet_node *node = fleet_node(sweep->status, want->remote_slot);
    struct fleet_view view;
    bool found;
    if (node == NULL) {
        return;
    }
    size_t place = judged_place(node, own, wants->own_port, &found);
    if (!found) {
        return;
    }
    fleet_view_take(sweep->status, want->remote_slot, sweep->now_ms, &view);
    if (view.known && view.life == node->judged_life) {
        struct status_row row;
        struct fleet_far far;
        fleet_judge(sweep->status, &view, own, wants->own_port, sweep->now_ms, &row, &far);
        if (row.want != NULL || row.here != NULL) {
            sweep_note(sweep, node, &view, &node->judged[place], &row);
            int64_t soon_ms = sweep->now_ms + SWEEP_TROUBLED_MS;
            if (row.judgement.verdict != VERDICT_UP && node->due_ms > soon_ms) {
                node->due_ms = soon_ms;
            }
        }
    }
    fleet_view_done(sweep->status, &view);
}

static bool sweep_row(void *arg, const struct status_row *row) {
    struct sweep *sweep = arg;
    struct judged *judged = judged_get(sweep->node, row);
    if (judged == NULL) {
        sweep->failed = true;
        return false;
    }
    judged->seen = true;
    sweep_note(sweep, sweep->node, sweep->view, judged, row);
    sweep->trouble = sweep->trouble || row->judgement.verdict != VERDICT_UP;
    if (sweep->mirror && row->want != NULL && row->want->remote_slot != STATUS_NO_SLOT) {
        sweep_mirror(sweep, row->want);
    }
    return true;
}

/* Sessions that are neither wanted nor reported any more. */
static void drop_unseen(struct fleet_status *status, uint32_t slot, struct fleet_node *node) {
    for (size_t i = node->judged_count; i-- > 0;) {
        if (!node->judged[i].seen) {
            judged_drop(status, slot, node, i);
        }
    }
}

static void sweep_node(struct sweep *sweep, uint32_t slot, struct fleet_node *node, bool changed) {
    struct fleet_status *status = sweep->status;
    struct fleet_view view;
    fleet_view_take(status, slot, sweep->now_ms, &view);
    if (!view.known || view.life != node->judged_life) {
        judged_drop_all(status, slot, node);
        fleet_name_unref(node->judged_name);
        node->judged_name = fleet_name_ref(view.name_ref);
        node->judged_life = view.life;
    }
    sweep->view = &view;
    sweep->node = node;
    sweep->mirror = changed;
    sweep->trouble = false;
    sweep->failed = false;
    for (size_t i = 0; i < node->judged_count; i++) {
        node->judged[i].seen = false;
    }
    if (view.known) {
        fleet_visit(status, &view, sweep->now_ms, sweep_row, sweep);
        if (!sweep->failed) {
            drop_unseen(status, slot, node);
        }
        node->judged_before = node->judged_before || view.lists[0] != NULL;
    }
    node->due_ms = sweep->now_ms + (sweep->trouble || sweep->failed ? SWEEP_TROUBLED_MS : SWEEP_QUIET_MS);
    sweep->view = NULL;
    fleet_view_done(status, &view);
}

/* Is it due? `ret_changed`: because something changed. */
static bool node_is_due(struct fleet_status *status, uint32_t slot, struct fleet_node *node, int64_t now_ms,
                        bool *ret_changed) {
    pthread_mutex_lock(fleet_stripe(status, slot));
    bool changed = node->dirty;
    node->dirty = false;
    bool known = node->known;
    pthread_mutex_unlock(fleet_stripe(status, slot));
    *ret_changed = changed;
    return changed || (known && now_ms >= node->due_ms);
}

size_t status_sweep(struct fleet_status *status, int64_t now_ms, size_t max_nodes,
                    void (*on_change)(void *arg, const struct status_transition *transition), void *arg) {
    struct sweep sweep = {.status = status, .now_ms = now_ms, .on_change = on_change, .arg = arg};
    size_t looked = 0;
    pthread_mutex_lock(&status->sweep);
    uint32_t slots = atomic_load(&status->chunk_count) * FLEET_CHUNK;
    uint32_t slot = status->sweep_next < slots ? status->sweep_next : 0;
    for (uint32_t passed = 0; passed < slots && (max_nodes == 0 || looked < max_nodes); passed++) {
        struct fleet_node *node = fleet_node(status, slot);
        bool changed;
        if (node != NULL && node_is_due(status, slot, node, now_ms, &changed)) {
            sweep_node(&sweep, slot, node, changed);
            looked++;
        }
        slot = slot + 1 < slots ? slot + 1 : 0;
    }
    status->sweep_next = slot;
    news_show(&status->news);
    pthread_mutex_unlock(&status->sweep);
    return looked;
}

/* ---- sums ---- */

static void count_node(const struct status_standing *standing, struct status_totals *totals) {
    totals->nodes++;
    totals->nodes_silent += standing->list == STATUS_LIST_SILENT;
    totals->nodes_current += standing->list == STATUS_LIST_CURRENT;
    totals->nodes_behind += standing->list == STATUS_LIST_BEHIND;
}

void status_read_totals(struct fleet_status *status, int64_t now_ms, struct status_totals *ret) {
    struct status_totals totals = {.memory = atomic_load_explicit(&status->memory, memory_order_relaxed)};
    for (size_t i = 0; i <= STATUS_OUTDATED; i++) {
        totals.reports[i] = atomic_load_explicit(&status->reports[i], memory_order_relaxed);
    }
    pthread_mutex_lock(&status->sweep);
    memcpy(totals.verdicts, status->verdicts, sizeof(totals.verdicts));
    memcpy(totals.transitions, status->transitions, sizeof(totals.transitions));
    pthread_mutex_unlock(&status->sweep);
    uint32_t slots = atomic_load(&status->chunk_count) * FLEET_CHUNK;
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct status_standing standing;
        if (status_node_standing(status, slot, now_ms, &standing)) {
            count_node(&standing, &totals);
        }
    }
    *ret = totals;
}
