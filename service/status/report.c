/*
 * Reports: what an agent said last, sorted, and joined with what earlier reports add to it.
 *
 * A report never becomes a durable write. Its order is its boot and sequence: an older one of the same boot
 * is ignored, another boot begins anew. The server's clock decides ages; what the agent's clock says is used
 * only to tell how long ago something was when the first report of a boot comes in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fleet.h"

struct report *report_ref(struct report *report) {
    if (report != NULL) {
        atomic_fetch_add_explicit(&report->refs, 1, memory_order_relaxed);
    }
    return report;
}

void report_unref(struct fleet_status *status, struct report *report) {
    if (report != NULL && atomic_fetch_sub_explicit(&report->refs, 1, memory_order_acq_rel) == 1) {
        atomic_fetch_sub_explicit(&status->memory, report->size, memory_order_relaxed);
        free(report);
    }
}

const struct reported *report_find(const struct report *report, const struct ip_addr *address,
                                   uint16_t port) {
    size_t low = 0;
    size_t high = report == NULL ? 0 : report->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct status_session *session = &report->items[middle].session;
        int order = fleet_compare(&session->address, session->port, address, port);
        if (order == 0) {
            return &report->items[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- making one ---- */

/* A text of an agent's, cut to `max` bytes with its NUL. */
static size_t text_size(const char *text, size_t max) {
    return (text != NULL ? strnlen(text, max - 1) : 0) + 1;
}

static const char *text_put(char **at, const char *text, size_t max) {
    char *start = *at;
    size_t size = text_size(text, max);
    memcpy(start, text != NULL ? text : "", size - 1);
    start[size - 1] = '\0';
    *at = start + size;
    return start;
}

/* Room for `count` sessions, with the four texts of `source`. */
static struct report *report_alloc(struct fleet_status *status, size_t count,
                                   const struct status_report *source, struct err *err) {
    size_t size = sizeof(struct report) + count * sizeof(struct reported) +
                  text_size(source->boot, FLEET_BOOT_MAX) + text_size(source->apply_error, STATUS_TEXT_MAX) +
                  text_size(source->agent_version, STATUS_TEXT_MAX) +
                  text_size(source->daemon, STATUS_TEXT_MAX);
    struct report *report = base_calloc(1, size);
    if (report == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    char *at = (char *)&report->items[count];
    atomic_init(&report->refs, 1);
    report->size = size;
    report->boot = text_put(&at, source->boot, FLEET_BOOT_MAX);
    report->apply_error = text_put(&at, source->apply_error, STATUS_TEXT_MAX);
    report->agent_version = text_put(&at, source->agent_version, STATUS_TEXT_MAX);
    report->daemon = text_put(&at, source->daemon, STATUS_TEXT_MAX);
    atomic_fetch_add_explicit(&status->memory, size, memory_order_relaxed);
    return report;
}

static int reported_compare(const void *a, const void *b) {
    const struct status_session *x = &((const struct reported *)a)->session;
    const struct status_session *y = &((const struct reported *)b)->session;
    return fleet_compare(&x->address, x->port, &y->address, y->port);
}

/* Copy the sessions and sort them; each remembers its place in the report until report_unite has used it. */
static void report_fill(struct report *report, const struct status_report *source) {
    for (size_t i = 0; i < source->session_count; i++) {
        report->items[i].session = source->sessions[i];
        report->items[i].applied_ms = (int64_t)i;
    }
    report->count = source->session_count;
    qsort(report->items, report->count, sizeof(report->items[0]), reported_compare);
}

/* Sessions of one key are neighbours now: keep the one that stood last in the report. */
static void report_unite(struct report *report) {
    size_t kept = 0;
    for (size_t i = 0; i < report->count; i++) {
        if (kept > 0 && reported_compare(&report->items[kept - 1], &report->items[i]) == 0) {
            if (report->items[i].applied_ms > report->items[kept - 1].applied_ms) {
                report->items[kept - 1] = report->items[i];
            }
        } else {
            report->items[kept++] = report->items[i];
        }
    }
    report->count = kept;
}

/* Of all that the report says of the world. */
static void report_digest(struct report *report) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s\n%s\n%s\n%s\n", report->list, report->apply_error, report->agent_version,
               report->daemon);
    for (size_t i = 0; i < report->count; i++) {
        const struct status_session *session = &report->items[i].session;
        char address[IP_TEXT_MAX];
        ip_format(&session->address, address);
        buf_printf(&text, "%s %u %u %u %d %d %d %u %u %u %lld %lld\n", address, session->port, session->state,
                   session->error, session->error_from_remote, session->shut_down, session->hold_time_s,
                   session->transitions, session->received, session->sent, (long long)session->since_ms,
                   (long long)session->error_at_ms);
    }
    digest_hex(text.data != NULL ? text.data : "", text.len, report->digest);
    buf_done(&text);
}

/* ---- joining it with what is known ---- */

/* The list that the report says is applied; NULL: none of those that are kept. */
static const struct wants *applied_list(const struct fleet_node *node, const struct report *report) {
    for (size_t i = 0; i < FLEET_LISTS; i++) {
        if (node->lists[i] != NULL && strcmp(node->lists[i]->etag, report->list) == 0) {
            return node->lists[i];
        }
    }
    return NULL;
}

/* How long ago something of the agent's clock was, put on the server's. */
static int64_t since_server(int64_t agent_ms, int64_t now_ms, int64_t now_real_ms) {
    if (agent_ms <= 0 || agent_ms > now_real_ms) {
        return now_ms;
    }
    return now_ms - (now_real_ms - agent_ms);
}

/* What `item` inherits from the report before, and when it began to be as it is. */
static void reported_join(struct reported *item, const struct report *report, const struct report *before,
                          int64_t now_ms, int64_t now_real_ms) {
    const struct reported *old = report_find(before, &item->session.address, item->session.port);
    bool up = item->session.state == SESSION_ESTABLISHED;
    if (old != NULL && old->session.state == item->session.state) {
        item->state_ms = old->state_ms;
    } else {
        item->state_ms = old != NULL ? now_ms : since_server(item->session.since_ms, now_ms, now_real_ms);
    }
    if (old != NULL && old->want == item->want && item->want != 0) {
        item->applied_ms = old->applied_ms;
        item->was_up = old->was_up || up || item->session.transitions > old->session.transitions;
        item->error_is_new = item->session.error != SESSION_ERROR_NONE &&
                             (old->error_is_new || item->session.error != old->session.error ||
                              item->session.error_at_ms != old->session.error_at_ms);
        return;
    }
    item->applied_ms = report->applied_ms;
    item->was_up = up || (old == NULL && item->session.transitions > 0);
    item->error_is_new = item->session.error != SESSION_ERROR_NONE && item->session.error_at_ms > 0 &&
                         item->session.error_at_ms >= report->applied_real_ms && report->applied_real_ms > 0;
}

/* Is the session down, and does its daemon not say why? */
static bool reported_is_puzzling(const struct reported *item) {
    const struct status_session *session = &item->session;
    return session->state != SESSION_ESTABLISHED && !session->shut_down && item->want != 0 &&
           !status_error_is_certain((enum session_error)session->error);
}

static struct reported *report_only_puzzle(struct report *report) {
    struct reported *only = NULL;
    for (size_t i = 0; i < report->count; i++) {
        if (reported_is_puzzling(&report->items[i])) {
            if (only != NULL) {
                return NULL;
            }
            only = &report->items[i];
        }
    }
    return only;
}

/*
 * What the kernel has dropped tells why a session is down, when there is just one that it can be: the
 * counters are of the whole host. What was told once stays until the session is up, or is another one.
 */
static void report_explain(struct report *report, const struct report *before) {
    static const enum session_error ERRORS[KERNEL_COUNTER_COUNT] = {
        [KERNEL_MD5_FAILURE] = SESSION_ERROR_MD5_DIFFERS,
        [KERNEL_MD5_NOT_FOUND] = SESSION_ERROR_MD5_MISSING,
        [KERNEL_MD5_UNEXPECTED] = SESSION_ERROR_MD5_UNEXPECTED,
        [KERNEL_MIN_TTL_DROP] = SESSION_ERROR_TTL,
    };
    struct reported *only = report_only_puzzle(report);
    if (only == NULL || before == NULL || !report->has_counters || !before->has_counters) {
        return;
    }
    for (size_t i = 0; i < KERNEL_COUNTER_COUNT; i++) {
        if (report->counters[i] > before->counters[i]) {
            only->kernel_error = (uint8_t)ERRORS[i];
            return;
        }
    }
    const struct reported *old = report_find(before, &only->session.address, only->session.port);
    if (old != NULL && old->want == only->want) {
        only->kernel_error = old->kernel_error;
    }
}

static void report_join(struct report *report, const struct fleet_node *node, const struct report *before,
                        int64_t now_ms, int64_t now_real_ms) {
    const struct wants *wants = applied_list(node, report);
    report->linked = wants != NULL || report->list[0] == '\0';
    if (before != NULL && strcmp(before->list, report->list) == 0) {
        report->applied_ms = before->applied_ms;
    } else {
        report->applied_ms = since_server(report->applied_real_ms, now_ms, now_real_ms);
    }
    for (size_t i = 0; i < report->count; i++) {
        struct reported *item = &report->items[i];
        const struct status_want *want = wants_find(wants, &item->session.address, item->session.port);
        item->want = want != NULL ? want->digest : 0;
        reported_join(item, report, before, now_ms, now_real_ms);
    }
    report_explain(report, before);
}

/* All but its own place in memory. */
static void report_copy(struct report *report, const struct report *old) {
    struct report head = *report;
    *report = *old;
    atomic_init(&report->refs, 1);
    report->boot = head.boot;
    report->apply_error = head.apply_error;
    report->agent_version = head.agent_version;
    report->daemon = head.daemon;
    report->size = head.size;
    memcpy(report->items, old->items, old->count * sizeof(old->items[0]));
}

int report_link(struct fleet_status *status, struct fleet_node *node, struct err *err) {
    struct report *old = node->report;
    if (old == NULL || old->linked || applied_list(node, old) == NULL) {
        return 0;
    }
    const struct status_report texts = {.boot = old->boot,
                                        .apply_error = old->apply_error,
                                        .agent_version = old->agent_version,
                                        .daemon = old->daemon};
    struct report *report = report_alloc(status, old->count, &texts, err);
    if (report == NULL) {
        return -1;
    }
    report_copy(report, old);
    report->linked = true;
    const struct wants *wants = applied_list(node, report);
    for (size_t i = 0; i < report->count; i++) {
        struct reported *item = &report->items[i];
        const struct status_want *want = wants_find(wants, &item->session.address, item->session.port);
        item->want = want != NULL ? want->digest : 0;
    }
    node->report = report;
    node->dirty = true;
    report_unref(status, old);
    return 0;
}

/* ---- taking one ---- */

/* Two boots that take turns are two agents. */
static void note_boot(struct fleet_node *node, const char *boot, int64_t now_ms) {
    if (node->report == NULL || strcmp(node->report->boot, boot) == 0) {
        return;
    }
    if (strcmp(node->other_boot, boot) == 0 && now_ms - node->other_boot_ms < STATUS_TWO_AGENTS_MS) {
        node->two_agents_ms = now_ms;
    }
    snprintf(node->other_boot, sizeof(node->other_boot), "%s", node->report->boot);
    node->other_boot_ms = now_ms;
    node->sequence = 0;
}

/* A report has come. After silence everything is judged again, also when it says what it said before. */
static void node_hears(struct fleet_node *node, uint64_t sequence, int64_t now_ms) {
    node->dirty = node->dirty || node->reported_ms < 0 || now_ms - node->reported_ms >= STATUS_SILENT_MS;
    node->sequence = sequence;
    node->reported_ms = now_ms;
}

static bool report_is_outdated(const struct fleet_node *node, const char *boot, uint64_t sequence) {
    return node->report != NULL && strcmp(node->report->boot, boot) == 0 && sequence <= node->sequence;
}

/* Have the kernel's counters explained something that they did not before? */
static bool report_tells_more(const struct report *report, const struct report *before) {
    for (size_t i = 0; i < report->count; i++) {
        const struct reported *item = &report->items[i];
        if (item->kernel_error != SESSION_ERROR_NONE) {
            const struct reported *old = report_find(before, &item->session.address, item->session.port);
            return old == NULL || old->kernel_error != item->kernel_error;
        }
    }
    return false;
}

static struct report *report_new(struct fleet_status *status, const struct status_report *source,
                                 struct err *err) {
    struct report *report = report_alloc(status, source->session_count, source, err);
    if (report == NULL) {
        return NULL;
    }
    snprintf(report->list, sizeof(report->list), "%s", source->list != NULL ? source->list : "");
    report->applied_real_ms = source->applied_at_ms;
    report->has_counters = source->has_counters;
    memcpy(report->counters, source->counters, sizeof(report->counters));
    report_fill(report, source);
    report_unite(report);
    report_digest(report);
    return report;
}

int status_take_report(struct fleet_status *status, const struct status_node_key *key,
                       const struct status_report *source, int64_t now_ms, int64_t now_real_ms,
                       enum status_taken *ret, struct err *err) {
    if (source->session_count > STATUS_SESSIONS_MAX) {
        return err_set_field(err, ERR_TOO_LARGE, "sessions",
                             "%zu sessions are reported; at most %d can be kept", source->session_count,
                             STATUS_SESSIONS_MAX);
    }
    struct report *report = report_new(status, source, err);
    if (report == NULL) {
        return -1;
    }
    struct fleet_node *node = fleet_lock(status, key, err);
    if (node == NULL) {
        report_unref(status, report);
        return -1;
    }
    enum status_taken taken = STATUS_OUTDATED;
    struct report *gone = report;
    if (!report_is_outdated(node, report->boot, source->sequence)) {
        taken = node->report != NULL && strcmp(node->report->digest, report->digest) == 0 ? STATUS_SAME
                                                                                          : STATUS_TAKEN;
        note_boot(node, report->boot, now_ms);
        node_hears(node, source->sequence, now_ms);
        gone = node->report;
        report_join(report, node, gone, now_ms, now_real_ms);
        node->report = report;
        node->dirty = node->dirty || taken == STATUS_TAKEN || report_tells_more(report, gone);
    }
    pthread_mutex_unlock(fleet_stripe(status, key->slot));
    report_unref(status, gone);
    atomic_fetch_add_explicit(&status->reports[taken], 1, memory_order_relaxed);
    *ret = taken;
    return 0;
}

enum status_taken status_take_same(struct fleet_status *status, const struct status_node_key *key,
                                   const char *boot, uint64_t sequence, const char *digest, int64_t now_ms) {
    struct fleet_node *node = fleet_node(status, key->slot);
    enum status_taken taken = STATUS_NOT_KNOWN;
    if (node == NULL) {
        return taken;
    }
    pthread_mutex_lock(fleet_stripe(status, key->slot));
    bool known = node->known && strcmp(node->uid, key->uid) == 0 && node->report != NULL &&
                 strcmp(node->report->boot, boot) == 0 && strcmp(node->report->digest, digest) == 0;
    if (known && sequence <= node->sequence) {
        taken = STATUS_OUTDATED;
    } else if (known) {
        taken = STATUS_SAME;
        node_hears(node, sequence, now_ms);
    }
    pthread_mutex_unlock(fleet_stripe(status, key->slot));
    if (taken != STATUS_NOT_KNOWN) {
        atomic_fetch_add_explicit(&status->reports[taken], 1, memory_order_relaxed);
    }
    return taken;
}
