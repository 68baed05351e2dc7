/*
 * /metrics: everything that is counted, as Prometheus reads it. One table of families; each is a number of
 * struct scrape or has a function for its samples. No label's values grow with the fleet, and none is a
 * secret or a node's name. Runs on the connection's thread: the locks it takes are held by nobody for long.
 */
#include <stddef.h>
#include <stdio.h>

#include "admin/handlers.h"
#include "admin/metrics_text.h"
#include "admin/process.h"
#include "base/clock.h"
#include "base/log.h"
#include "machine/connection.h"
#include "machine/park.h"
#include "machine/tls.h"
#include "request/metrics.h"
#include "request/reply.h"
#include "request/serving.h"

#define NONE       METRICS_LABELS()
#define NS_PER_MS  UINT64_C(1000000)
#define NOT_KNOWN  UINT64_MAX /* the family is left out */
#define STATUS_MAX 8

/* What one scrape shows. Times are in nanoseconds. */
struct scrape {
    const struct serving *serving;
    struct metrics_totals totals;
    struct state_figures state;
    struct status_totals sessions;
    struct process_figures process;
    struct park_figures park;
    struct connections_figures connections;
    uint64_t active;
    uint64_t watches, watches_max;
    uint64_t connections_max;
    uint64_t queue_max;
    uint64_t writable, frozen;
    uint64_t tokens;
    uint64_t certificate_ns;
    uint64_t unseals, unseal_failures, data_keys, data_key_ns;
    uint64_t backup_ns;
    uint64_t log_dropped;
};

struct family {
    const char *name;
    const char *type;
    const char *help;
    /* Either the samples, or a member that is the only one. */
    void (*add)(struct buf *out, const char *name, const struct scrape *scrape);
    size_t offset;
    bool seconds; /* … which is nanoseconds */
};

/* ---- families with labels, and histograms ---- */

static void add_build(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_number(out, name,
                        METRICS_LABELS({"version", scrape->serving->version},
                                       {"libmicrohttpd", scrape->serving->library_version}),
                        1);
}

static void add_requests(struct buf *out, const char *name, const struct scrape *scrape) {
    static const char *const CLASSES[METRICS_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    size_t route_count;
    const struct route *routes = routes_all(&route_count);
    for (size_t i = 0; i < (route_count + 1) * METRICS_CLASSES; i++) {
        const struct route *route = i / METRICS_CLASSES < route_count ? &routes[i / METRICS_CLASSES] : NULL;
        /* Successes are there from the start, so that their first increase is seen. */
        if (scrape->totals.requests[i] > 0 || (route != NULL && i % METRICS_CLASSES == 1)) {
            metrics_text_number(out, name,
                                METRICS_LABELS({"method", route != NULL ? method_text(route->method) : ""},
                                               {"route", route != NULL ? route->path : ""},
                                               {"code", CLASSES[i % METRICS_CLASSES]}),
                                scrape->totals.requests[i]);
        }
    }
}

/* Those that alerts are about are there from the start, so that their first increase is seen. */
static bool is_expected(size_t status) {
    return status == STATUS_UNAUTHORIZED || status == STATUS_FORBIDDEN ||
           status == STATUS_TOO_MANY_REQUESTS || status == STATUS_INTERNAL_SERVER_ERROR ||
           status == STATUS_SERVICE_UNAVAILABLE || status == STATUS_INSUFFICIENT_STORAGE;
}

static void add_errors(struct buf *out, const char *name, const struct scrape *scrape) {
    for (size_t i = 0; i < METRICS_ERRORS; i++) {
        size_t status = METRICS_ERROR_FIRST + i;
        if (scrape->totals.errors[i] > 0 || is_expected(status)) {
            char text[STATUS_MAX];
            snprintf(text, sizeof(text), "%zu", status);
            metrics_text_number(out, name, METRICS_LABELS({"code", text}), scrape->totals.errors[i]);
        }
    }
}

static void add_durations(struct buf *out, const char *name, const struct scrape *scrape) {
    static const char *const WORK[METRICS_WORK_COUNT] = {"poll", "read", "write"};
    for (size_t i = 0; i < METRICS_WORK_COUNT; i++) {
        metrics_text_histogram(out, name, METRICS_LABELS({"work", WORK[i]}), &HISTOGRAM_DURATIONS,
                               &scrape->totals.durations[i], true);
    }
}

static void add_polls(struct buf *out, const char *name, const struct scrape *scrape) {
    uint64_t unchanged = 0;
    size_t route_count;
    const struct route *routes = routes_all(&route_count);
    for (size_t i = 0; i < route_count; i++) {
        if ((routes[i].flags & ROUTE_POLL) != 0) {
            unchanged += scrape->totals.requests[i * METRICS_CLASSES + 2];
        }
    }
    metrics_text_number(out, name, METRICS_LABELS({"result", "unchanged"}), unchanged);
    uint64_t lists = 0;
    for (size_t i = 0; i < RENDER_FORMATS_MAX; i++) {
        lists += scrape->totals.lists[i];
    }
    metrics_text_number(out, name, METRICS_LABELS({"result", "list"}), lists);
}

static void add_lists(struct buf *out, const char *name, const struct scrape *scrape) {
    size_t count;
    const struct render_format *formats = render_formats(&count);
    for (size_t i = 0; i < count; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"format", formats[i].name}), scrape->totals.lists[i]);
    }
}

static void add_audit(struct buf *out, const char *name, const struct scrape *scrape) {
    for (size_t i = 0; i < AUDIT_EVENT_COUNT; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"event", audit_event_name((enum audit_event)i)}),
                            scrape->totals.audit[i]);
    }
}

static void add_objects(struct buf *out, const char *name, const struct scrape *scrape) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"kind", kind_info((enum kind)i)->name}),
                            scrape->state.objects[i]);
    }
}

static void add_writes(struct buf *out, const char *name, const struct scrape *scrape) {
    static const char *const RESULTS[WRITE_RESULT_COUNT] = {[WRITE_STORED] = "stored",
                                                            [WRITE_UNCHANGED] = "unchanged",
                                                            [WRITE_DRY] = "dry_run",
                                                            [WRITE_REFUSED] = "refused",
                                                            [WRITE_FAILED] = "failed"};
    for (size_t i = 0; i < WRITE_RESULT_COUNT; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"result", RESULTS[i]}), scrape->state.writes[i]);
    }
}

static void add_refusals(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_number(out, name, METRICS_LABELS({"reason", err_reason(ERR_TOO_DISRUPTIVE)}),
                        scrape->state.braked);
    metrics_text_number(out, name, METRICS_LABELS({"reason", err_reason(ERR_FROZEN)}),
                        scrape->state.refused_frozen);
}

static void add_verdicts(struct buf *out, const char *name, const struct scrape *scrape) {
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        const char *verdict = verdict_name((enum status_verdict)i);
        metrics_text_number(out, name, METRICS_LABELS({"verdict", verdict}, {"type", "internal"}),
                            scrape->sessions.verdicts[i][0]);
        metrics_text_number(out, name, METRICS_LABELS({"verdict", verdict}, {"type", "external"}),
                            scrape->sessions.verdicts[i][1]);
    }
}

static void add_nodes(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_number(out, name, METRICS_LABELS({"state", "current"}), scrape->sessions.nodes_current);
    metrics_text_number(out, name, METRICS_LABELS({"state", "behind"}), scrape->sessions.nodes_behind);
    metrics_text_number(out, name, METRICS_LABELS({"state", "silent"}), scrape->sessions.nodes_silent);
}

static void add_transitions(struct buf *out, const char *name, const struct scrape *scrape) {
    for (size_t i = 0; i < VERDICT_COUNT; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"to", verdict_name((enum status_verdict)i)}),
                            scrape->sessions.transitions[i]);
    }
}

static void add_reports(struct buf *out, const char *name, const struct scrape *scrape) {
    static const char *const RESULTS[] = {
        [STATUS_TAKEN] = "taken", [STATUS_SAME] = "unchanged", [STATUS_OUTDATED] = "outdated"};
    for (size_t i = 0; i <= STATUS_OUTDATED; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"result", RESULTS[i]}), scrape->sessions.reports[i]);
    }
}

static void add_changes(struct buf *out, const char *name, const struct scrape *scrape) {
    static const char *const OPERATIONS[] = {
        [STORE_CREATE] = "create", [STORE_UPDATE] = "update", [STORE_DELETE] = "delete"};
    for (size_t i = STORE_CREATE; i <= STORE_DELETE; i++) {
        metrics_text_number(out, name, METRICS_LABELS({"operation", OPERATIONS[i]}),
                            scrape->state.changes[i]);
    }
}

static void add_batches(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_histogram(out, name, NONE, &HISTOGRAM_NUMBERS, &scrape->state.batches, false);
}

static void add_commits(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_histogram(out, name, NONE, &HISTOGRAM_DURATIONS, &scrape->state.store.commits, true);
}

static void add_computes(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_histogram(out, name, NONE, &HISTOGRAM_DURATIONS, &scrape->state.list_computes, true);
}

static void add_convergence(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_histogram(out, name, NONE, &HISTOGRAM_WAITS, &scrape->state.convergence, true);
}

static void add_sizes(struct buf *out, const char *name, const struct scrape *scrape) {
    metrics_text_number(out, name, METRICS_LABELS({"file", "database"}), scrape->state.store.database_bytes);
    metrics_text_number(out, name, METRICS_LABELS({"file", "log"}), scrape->state.store.log_bytes);
}

/* ---- all of them ---- */

#define AT(member)      .offset = offsetof(struct scrape, member)
#define SECONDS(member) AT(member), .seconds = true

static const struct family FAMILIES[] = {
    {"bgppeerd_build_info", "gauge", "Always 1; the labels say what is running.", .add = add_build},
    {"bgppeerd_http_requests_total", "counter",
     "Requests answered, by route and hundred of the status; HEAD counts as GET, and no route matched where "
     "it is empty. Watches count when they end.",
     .add = add_requests},
    {"bgppeerd_http_errors_total", "counter", "Of the requests answered, those with an error, by status.",
     .add = add_errors},
    {"bgppeerd_http_requests_cut_total", "counter",
     "Requests whose connection ended before their answer was out; watches and backups apart.",
     AT(totals.cut)},
    {"bgppeerd_http_requests_in_progress", "gauge",
     "Requests under way, with the polls and watches that wait.", AT(active)},
    {"bgppeerd_http_request_duration_seconds", "histogram",
     "Time from a request's first line to the end of its answer. Polls that waited, watches and backups are "
     "not in it.",
     .add = add_durations},
    {"bgppeerd_http_response_body_bytes_total", "counter", "Bytes of the answers' bodies.",
     AT(totals.body_bytes)},
    {"bgppeerd_http_connections", "gauge", "Open connections.", AT(connections.open)},
    {"bgppeerd_http_connections_limit", "gauge", "How many connections may be open.", AT(connections_max)},
    {"bgppeerd_http_connections_opened_total", "counter", "Connections accepted.", AT(connections.opened)},
    {"bgppeerd_http_connections_cut_total", "counter",
     "Connections cut because a request, or taking an answer, took too long.", AT(connections.cut)},
    {"bgppeerd_http_connections_refused_total", "counter",
     "Connections closed at once because their address, or the service, had too many.",
     AT(connections.refused)},
    {"bgppeerd_tls_certificate_expiry_timestamp_seconds", "gauge", "When the TLS certificate in use expires.",
     SECONDS(certificate_ns)},
    {"bgppeerd_polls_total", "counter", "Polls answered 304 (unchanged) or with a list.", .add = add_polls},
    {"bgppeerd_lists_sent_total", "counter", "Lists that polls were answered with, by format.",
     .add = add_lists},
    {"bgppeerd_polls_waiting", "gauge", "Polls that wait for a change.", AT(park.waiting)},
    {"bgppeerd_polls_waiting_limit", "gauge", "How many polls may wait.", AT(park.max)},
    {"bgppeerd_polls_waited_total", "counter", "Waits of polls that began.", AT(park.waits)},
    {"bgppeerd_polls_woken_total", "counter", "Waits of polls that a change ended.", AT(park.woken)},
    {"bgppeerd_watches", "gauge", "Open watches.", AT(watches)},
    {"bgppeerd_watches_limit", "gauge", "How many watches may be open.", AT(watches_max)},
    {"bgppeerd_audit_entries_total", "counter", "Entries of the audit trail, by event.", .add = add_audit},
    {"bgppeerd_tokens", "gauge", "Tokens in force or expired, but not revoked.", AT(tokens)},
    {"bgppeerd_fleet_revision", "gauge", "The newest resourceVersion.", AT(state.revision)},
    {"bgppeerd_objects", "gauge", "Stored objects, by kind.", .add = add_objects},
    {"bgppeerd_peering_lists", "gauge", "Nodes whose list was asked for since the start.", AT(state.lists)},
    {"bgppeerd_peering_lists_with_problems", "gauge", "Of these lists, those that name problems.",
     AT(state.lists_with_problems)},
    {"bgppeerd_sessions", "gauge", "Sessions in these lists.", AT(state.sessions)},
    {"bgppeerd_sessions_withheld", "gauge", "Of these sessions, those withheld for want of their password.",
     AT(state.sessions_withheld)},
    {"bgppeerd_peering_list_compute_duration_seconds", "histogram",
     "Time to compute and encode a list. A poll that finds its list made computes nothing.",
     .add = add_computes},
    {"bgppeerd_session_verdicts", "gauge",
     "Ends of sessions of the nodes that were heard of since the start, by verdict.", .add = add_verdicts},
    {"bgppeerd_session_transitions_total", "counter", "Changes of verdicts, by the new one.",
     .add = add_transitions},
    {"bgppeerd_transitions_stored_total", "counter", "Changes of verdicts that were written to the store.",
     AT(state.transitions_stored)},
    {"bgppeerd_transitions_waiting", "gauge", "Changes of verdicts that wait to be written.",
     AT(state.transitions_waiting)},
    {"bgppeerd_transitions_dropped_total", "counter",
     "Changes of verdicts that could not be kept until the store took them.", AT(state.transitions_dropped)},
    {"bgppeerd_nodes_reporting", "gauge",
     "Nodes heard of since the start, by whether they have their newest list.", .add = add_nodes},
    {"bgppeerd_convergence_seconds", "histogram",
     "Time from a change until a node fetched its list with it; the first list after a start is not in it.",
     .add = add_convergence},
    {"bgppeerd_status_reports_total", "counter", "Reports of what sessions do, by what became of them.",
     .add = add_reports},
    {"bgppeerd_status_memory_bytes", "gauge", "What lists and reports of the status take.",
     AT(sessions.memory)},
    {"bgppeerd_writes_total", "counter",
     "Writes, by what became of them; one of several objects counts once.", .add = add_writes},
    {"bgppeerd_writes_refused_total", "counter",
     "Writes refused by the brake (TooDisruptive) or because of a freeze (Frozen).", .add = add_refusals},
    {"bgppeerd_writes_forced_total", "counter", "Writes stored that said force=disruptive or frozen.",
     AT(state.forced)},
    {"bgppeerd_brake_lists_computed_total", "counter", "Lists computed to judge writes before storing them.",
     AT(state.brake_lists)},
    {"bgppeerd_frozen", "gauge", "1 while a freeze lasts: writes that would change sessions are refused.",
     AT(frozen)},
    {"bgppeerd_changes_total", "counter", "Changes of objects that were stored, by operation.",
     .add = add_changes},
    {"bgppeerd_write_queue_length", "gauge", "Writes that wait for the committer.", AT(state.queued)},
    {"bgppeerd_write_queue_limit", "gauge", "How many writes may wait.", AT(queue_max)},
    {"bgppeerd_write_batch_changes", "histogram", "Changes that shared a transaction.", .add = add_batches},
    {"bgppeerd_store_commit_duration_seconds", "histogram",
     "Time to make a transaction durable, also of those that failed.", .add = add_commits},
    {"bgppeerd_store_commit_failures_total", "counter", "Transactions that failed.",
     AT(state.store.commit_failures)},
    {"bgppeerd_store_writable", "gauge", "1 while the store takes writes, as /readyz says.", AT(writable)},
    {"bgppeerd_store_size_bytes", "gauge", "Size of the database and of its write-ahead log.",
     .add = add_sizes},
    {"bgppeerd_store_available_bytes", "gauge", "Free space in the data directory's filesystem.",
     AT(state.store.free_bytes)},
    {"bgppeerd_vault_decryptions_total", "counter", "Values that were to be decrypted.", AT(unseals)},
    {"bgppeerd_vault_decryption_failures_total", "counter",
     "Of them, those that were altered or had lost their key.", AT(unseal_failures)},
    {"bgppeerd_vault_data_keys", "gauge", "Data keys in the vault; more than one: a rotation is unfinished.",
     AT(data_keys)},
    {"bgppeerd_vault_data_key_created_timestamp_seconds", "gauge",
     "When the data key was made that seals new values.", SECONDS(data_key_ns)},
    {"bgppeerd_backups_total", "counter", "Backups that were downloaded whole.", AT(totals.backups)},
    {"bgppeerd_backup_last_timestamp_seconds", "gauge",
     "When the newest of these backups was out; missing before the first one since the start.",
     SECONDS(backup_ns)},
    {"bgppeerd_log_lines_dropped_total", "counter",
     "Log lines lost because they were not taken fast enough or could not be written.", AT(log_dropped)},
    {"process_cpu_seconds_total", "counter", "Processor time used.", SECONDS(process.cpu_ns)},
    {"process_resident_memory_bytes", "gauge", "Memory in use.", AT(process.resident_bytes)},
    {"process_virtual_memory_bytes", "gauge", "Address space in use.", AT(process.virtual_bytes)},
    {"process_open_fds", "gauge", "Open file descriptors.", AT(process.open_fds)},
    {"process_max_fds", "gauge", "How many file descriptors may be open.", AT(process.max_fds)},
    {"process_start_time_seconds", "gauge", "When the process started.", SECONDS(totals.process_start_ns)},
};

static uint64_t ns_of_ms(int64_t ms) {
    return ms > 0 ? (uint64_t)ms * NS_PER_MS : NOT_KNOWN;
}

static int take(struct request *request, struct scrape *scrape, struct err *err) {
    struct serving *serving = request->serving;
    *scrape = (struct scrape){.serving = serving,
                              .active = serving_active(serving),
                              .watches = atomic_load(&serving->watches),
                              .watches_max = serving->watches_max,
                              .connections_max = serving->connections_max,
                              .queue_max = STATE_QUEUE_MAX,
                              .certificate_ns =
                                  serving->tls != NULL ? ns_of_ms(tls_expires_ms(serving->tls)) : NOT_KNOWN,
                              .unseals = NOT_KNOWN,
                              .unseal_failures = NOT_KNOWN,
                              .data_keys = NOT_KNOWN,
                              .data_key_ns = NOT_KNOWN,
                              .log_dropped = log_dropped()};
    if (metrics_read(serving->metrics, &request->arena, &scrape->totals, err) != 0) {
        return -1;
    }
    process_read(&scrape->process);
    park_read(serving->park, &scrape->park);
    connections_read(serving->connections, &scrape->connections);
    state_figures(serving->state, &scrape->state);
    status_read_totals(state_status(serving->state), clock_monotonic_ms(), &scrape->sessions);
    scrape->writable = scrape->state.writable;
    scrape->frozen = scrape->state.frozen;
    scrape->tokens = scrape->state.tokens;
    scrape->backup_ns = ns_of_ms(scrape->totals.backup_ms);
    if (scrape->state.has_vault) {
        scrape->unseals = scrape->state.unseals;
        scrape->unseal_failures = scrape->state.unseal_failures;
        scrape->data_keys = scrape->state.data_keys;
        scrape->data_key_ns = ns_of_ms(scrape->state.data_key_created_ms);
    }
    return 0;
}

static void add_family(struct buf *out, const struct family *family, const struct scrape *scrape) {
    if (family->add != NULL) {
        metrics_text_family(out, family->name, family->type, family->help);
        family->add(out, family->name, scrape);
        return;
    }
    uint64_t value = *(const uint64_t *)(const void *)((const char *)scrape + family->offset);
    if (value == NOT_KNOWN) {
        return;
    }
    metrics_text_family(out, family->name, family->type, family->help);
    if (family->seconds) {
        metrics_text_seconds(out, family->name, NONE, value);
    } else {
        metrics_text_number(out, family->name, NONE, value);
    }
}

int handle_metrics(struct request *request, struct err *err) {
    struct scrape *scrape = arena_alloc(&request->arena, sizeof(*scrape));
    if (scrape == NULL) {
        return err_no_memory(err);
    }
    if (take(request, scrape, err) != 0) {
        return -1;
    }
    struct buf body = BUF_INIT;
    for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(FAMILIES[0]); i++) {
        add_family(&body, &FAMILIES[i], scrape);
    }
    int result = reply_buffer(request, STATUS_OK, TYPE_METRICS, &body, err);
    buf_done(&body);
    return result;
}
