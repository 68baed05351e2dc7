/*
 * Rows: what one node's sessions are to be, what they are here, and what they are at the other end.
 *
 * Nothing is locked while rows are made: both ends are views, taken one after the other. A session is found
 * at the far end by what that end must call it: this end's own address and port.
 */
#include <stdio.h>
#include <string.h>

#include "fleet.h"

/* Has the daemon taken the session as the newest list has it? */
static bool want_is_applied(const struct fleet_view *view, const struct status_want *want,
                            const struct reported *has, const struct ip_addr *address, uint16_t port) {
    const struct wants *newest = view->lists[0];
    if (view->report == NULL || newest == NULL) {
        return false;
    }
    if (strcmp(view->report->list, newest->etag) == 0) {
        return true;
    }
    if (has != NULL && has->want != 0 && want != NULL) {
        return has->want == want->digest;
    }
    for (size_t i = 1; i < FLEET_LISTS && view->lists[i] != NULL; i++) {
        if (strcmp(view->report->list, view->lists[i]->etag) == 0) {
            const struct status_want *old = wants_find(view->lists[i], address, port);
            return want == NULL ? old == NULL : old != NULL && old->digest == want->digest;
        }
    }
    return false;
}

/* The end at the view's node of its session with `address` and `port`. */
static struct status_end end_of(const struct fleet_view *view, const struct ip_addr *address, uint16_t port,
                                int64_t now_ms) {
    const struct status_want *want = wants_find(view->lists[0], address, port);
    const struct reported *has = report_find(view->report, address, port);
    struct status_end end = {
        .node = view->name,
        .heard_age_ms = fleet_heard_age(view, now_ms),
        .reports = fleet_reports(view, now_ms),
        .knows_list = view->lists[0] != NULL,
        .want = want,
        .has = has != NULL ? &has->session : NULL,
        .has_age_ms = has != NULL ? now_ms - has->state_ms : 0,
        .was_up = has != NULL && has->was_up,
        .error_is_new = has != NULL && has->error_is_new,
        .kernel_error = has != NULL ? (enum session_error)has->kernel_error : SESSION_ERROR_NONE,
    };
    if (view->report != NULL) {
        end.applied = want_is_applied(view, want, has, address, port);
        end.applied_age_ms = now_ms - (has != NULL ? has->applied_ms : view->report->applied_ms);
        end.apply_error = view->report->apply_error[0] != '\0' ? view->report->apply_error : NULL;
    }
    return end;
}

void fleet_judge(struct fleet_status *status, const struct fleet_view *view, const struct ip_addr *address,
                 uint16_t port, int64_t now_ms, struct status_row *row, struct fleet_far *far) {
    struct status_end here = end_of(view, address, port, now_ms);
    *row = (struct status_row){.want = here.want, .here = here.has, .address = *address, .port = port};
    if (here.want == NULL || here.want->remote_slot == STATUS_NO_SLOT) {
        status_judge(&here, NULL, &row->judgement);
        return;
    }
    struct fleet_view there;
    fleet_view_take(status, here.want->remote_slot, now_ms, &there);
    if (!there.known) {
        there.polled_ms = there.reported_ms = -1;
    }
    const struct wants *wants = view->lists[0];
    struct status_end other =
        end_of(&there, wants_own(wants, here.want->address.family), wants->own_port, now_ms);
    status_judge(&here, &other, &row->judgement);
    if (there.known) {
        snprintf(far->name, sizeof(far->name), "%s", there.name);
        row->remote = far->name;
    }
    if (other.has != NULL) {
        far->session = *other.has;
        row->there = &far->session;
    }
    fleet_view_done(status, &there);
}

/* Wants and reported sessions are walked together, in their common order. */
void fleet_visit(struct fleet_status *status, const struct fleet_view *view, int64_t now_ms,
                 bool (*row)(void *arg, const struct status_row *row), void *arg) {
    const struct wants *wants = view->lists[0];
    const struct report *report = view->report;
    size_t w = 0;
    size_t r = 0;
    size_t want_count = wants == NULL ? 0 : wants->count;
    size_t has_count = report == NULL ? 0 : report->count;
    bool more = true;
    while (more && (w < want_count || r < has_count)) {
        const struct status_want *want = w < want_count ? &wants->items[w] : NULL;
        const struct reported *has = r < has_count ? &report->items[r] : NULL;
        int order = want == NULL ? 1
                    : has == NULL
                        ? -1
                        : fleet_compare(&want->address, want->port, &has->session.address, has->session.port);
        w += order <= 0;
        r += order >= 0;
        struct status_row shown;
        struct fleet_far far;
        fleet_judge(status, view, order <= 0 ? &want->address : &has->session.address,
                    order <= 0 ? want->port : has->session.port, now_ms, &shown, &far);
        more = row(arg, &shown);
    }
}

/* ---- the node itself ---- */

enum status_list_state fleet_list_state(int64_t heard_age_ms, const char *has, const char *current) {
    if (heard_age_ms < 0 || heard_age_ms >= STATUS_SILENT_MS) {
        return STATUS_LIST_SILENT;
    }
    return current != NULL && strcmp(has, current) == 0 ? STATUS_LIST_CURRENT : STATUS_LIST_BEHIND;
}

bool status_node_standing(struct fleet_status *status, uint32_t slot, int64_t now_ms,
                          struct status_standing *ret) {
    struct fleet_node *node = fleet_node(status, slot);
    if (node == NULL) {
        return false;
    }
    pthread_mutex_lock(fleet_stripe(status, slot));
    bool known = node->known;
    if (known) {
        int64_t age_ms = fleet_age(node->waits, node->polled_ms, node->reported_ms, now_ms);
        const char *current = node->lists[0] != NULL ? node->lists[0]->etag : NULL;
        const char *has = node->report != NULL ? node->report->list : node->fetched;
        ret->list = fleet_list_state(age_ms, has, current);
        ret->applied = node->report != NULL && current != NULL && strcmp(node->report->list, current) == 0;
        ret->sessions = node->lists[0] != NULL ? (int64_t)node->lists[0]->count : -1;
        ret->up = atomic_load_explicit(&node->up, memory_order_relaxed);
        ret->fetched = ret->applied || (current != NULL && strcmp(node->fetched, current) == 0);
        snprintf(ret->name, sizeof(ret->name), "%s", node->name->text);
        snprintf(ret->daemon, sizeof(ret->daemon), "%s", node->report != NULL ? node->report->daemon : "");
    }
    pthread_mutex_unlock(fleet_stripe(status, slot));
    return known;
}

static void visit_node(const struct fleet_view *view, int64_t now_ms,
                       void (*show)(void *arg, const struct status_node_view *view), void *arg) {
    int64_t heard_ms = fleet_heard_age(view, now_ms);
    const struct report *report = view->report;
    struct status_node_view shown = {
        .name = view->name,
        .heard_age_ms = heard_ms,
        .waits = view->waits,
        .list = fleet_list_state(heard_ms, report != NULL ? report->list : view->fetched,
                                 view->lists[0] != NULL ? view->lists[0]->etag : NULL),
        .reports = fleet_reports(view, now_ms),
        .fetched = view->fetched,
        .current = view->lists[0] != NULL ? view->lists[0]->etag : "",
        .applied = report != NULL ? report->list : "",
        .apply_error = report != NULL ? report->apply_error : "",
        .agent_version = report != NULL ? report->agent_version : "",
        .daemon = report != NULL ? report->daemon : "",
        .digest = report != NULL ? report->digest : "",
        .two_agents = view->two_agents,
    };
    show(arg, &shown);
}

int status_visit_node(struct fleet_status *status, uint32_t slot, int64_t now_ms,
                      void (*view)(void *arg, const struct status_node_view *view),
                      bool (*row)(void *arg, const struct status_row *row), void *arg, struct err *err) {
    struct fleet_view taken;
    fleet_view_take(status, slot, now_ms, &taken);
    if (!taken.known) {
        return err_set(err, ERR_NOT_FOUND, "nothing is known of this node's sessions yet");
    }
    if (view != NULL) {
        visit_node(&taken, now_ms, view, arg);
    }
    if (row != NULL) {
        fleet_visit(status, &taken, now_ms, row, arg);
    }
    fleet_view_done(status, &taken);
    return 0;
}

bool status_visit_session(struct fleet_status *status, uint32_t slot, uint32_t life,
                          const struct ip_addr *address, uint16_t port, int64_t now_ms,
                          bool (*row)(void *arg, const struct status_row *row), void *arg) {
    struct fleet_view view;
    struct fleet_far far;
    struct status_row shown = {.want = NULL};
    fleet_view_take(status, slot, now_ms, &view);
    if (view.known && view.life == life) {
        fleet_judge(status, &view, address, port, now_ms, &shown, &far);
    }
    bool there_is = shown.want != NULL || shown.here != NULL;
    if (there_is) {
        row(arg, &shown);
    }
    fleet_view_done(status, &view);
    return there_is;
}
