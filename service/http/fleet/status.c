/*
 * What one node's sessions do: its agent's reports come in here, and the joined view of both ends goes out.
 *
 * A report is decoded on the connection's thread and handed to the status; it is no write, and the store is
 * not asked. The view is made from the newest picture and the newest reports at the moment of the request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "base/clock.h"
#include "codec.h"
#include "fleet/handlers.h"
#include "fleet/session_rows.h"
#include "request/media.h"
#include "request/reply.h"
#include "request/serving.h"

#define REPORT_INTERVAL_S (STATUS_REPORT_INTERVAL_MS / 1000)

/* ---- a report as it is sent, into the one that is kept ---- */

struct report_reading {
    int64_t now_real_ms;
    struct err *err;
    char field[64]; /* "sessions[3]" while that session is read */
};

static int refuse(struct report_reading *reading, const char *member, const char *text) {
    char field[ERR_FIELD_MAX];
    bool nested = reading->field[0] != '\0';
    snprintf(field, sizeof(field), "%s%s%s", reading->field, nested ? "." : "", member);
    return err_set_field(reading->err, ERR_INVALID, field, "%s: %s", field, text);
}

static int read_time(struct report_reading *reading, const char *member, const char *text, int64_t *ret) {
    *ret = 0;
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    if (!clock_parse(text, strlen(text), ret)) {
        return refuse(reading, member, "not a time; write for example 2026-11-23T00:00:00Z");
    }
    /* The agent's clock may be ahead of ours; nothing that it tells has happened later than now. */
    *ret = *ret > reading->now_real_ms ? reading->now_real_ms : *ret;
    return 0;
}

static int read_count(struct report_reading *reading, const char *member, const struct opt_int *number,
                      uint32_t *ret) {
    if (number->set && (number->value < 0 || number->value > UINT32_MAX)) {
        return refuse(reading, member, "not a number from 0 to 4294967295");
    }
    *ret = number->set ? (uint32_t)number->value : 0;
    return 0;
}

static int read_error(struct report_reading *reading, const struct peering_status_error *error,
                      struct status_session *session) {
    if (error == NULL) {
        return 0;
    }
    bool remote = error->from != NULL && strcmp(error->from, "Remote") == 0;
    if (error->from != NULL && !remote && strcmp(error->from, "Local") != 0) {
        return refuse(reading, "lastError.from", "not one of Local, Remote");
    }
    session->error = (uint8_t)session_error_by_code(error->code);
    session->error_from_remote = remote;
    return read_time(reading, "lastError.at", error->at, &session->error_at_ms);
}

static int read_key(struct report_reading *reading, const struct peering_status_session *form,
                    struct status_session *session) {
    if (form->peer_ip == NULL || !ip_parse(form->peer_ip, strlen(form->peer_ip), &session->address)) {
        return refuse(reading, "peerIP", "not an IP address");
    }
    if (form->port.set && (form->port.value < 1 || form->port.value > UINT16_MAX)) {
        return refuse(reading, "port", "not a port from 1 to 65535");
    }
    session->port = form->port.set ? (uint16_t)form->port.value : PEERING_BGP_PORT;
    session->state = (uint8_t)session_state_by_name(form->state);
    if (session->state == SESSION_ABSENT) {
        return refuse(reading, "state",
                      "not one of Idle, Connect, Active, OpenSent, OpenConfirm, Established");
    }
    return 0;
}

static int read_session(struct report_reading *reading, const struct peering_status_session *form,
                        struct status_session *session) {
    uint32_t hold_time_s = 0;
    *session = (struct status_session){.shut_down = form->admin_down.set && form->admin_down.value};
    if (read_key(reading, form, session) != 0 || read_error(reading, form->last_error, session) != 0 ||
        read_time(reading, "since", form->since, &session->since_ms) != 0 ||
        read_count(reading, "transitions", &form->transitions, &session->transitions) != 0 ||
        read_count(reading, "received", &form->received, &session->received) != 0 ||
        read_count(reading, "sent", &form->sent, &session->sent) != 0 ||
        read_count(reading, "holdTimeSeconds", &form->hold_time_seconds, &hold_time_s) != 0) {
        return -1;
    }
    session->hold_time_s = form->hold_time_seconds.set ? (int32_t)(hold_time_s & UINT16_MAX) : -1;
    return 0;
}

static uint64_t counter_of(const struct opt_int *number) {
    return number->set && number->value > 0 ? (uint64_t)number->value : 0;
}

static void read_counters(const struct peering_status_kernel *kernel, struct status_report *report) {
    if (kernel != NULL) {
        report->has_counters = true;
        report->counters[KERNEL_MD5_FAILURE] = counter_of(&kernel->md5_failure);
        report->counters[KERNEL_MD5_NOT_FOUND] = counter_of(&kernel->md5_not_found);
        report->counters[KERNEL_MD5_UNEXPECTED] = counter_of(&kernel->md5_unexpected);
        report->counters[KERNEL_MIN_TTL_DROP] = counter_of(&kernel->min_ttl_drop);
    }
}

static int read_head(struct report_reading *reading, const struct peering_status_form *form,
                     struct status_report *report) {
    if (form->agent == NULL || form->agent->boot == NULL || form->agent->boot[0] == '\0') {
        return refuse(reading, "agent.boot",
                      "required: a text that is another one after each start of the agent");
    }
    if (!form->agent->sequence.set || form->agent->sequence.value < 0) {
        return refuse(reading, "agent.sequence",
                      "required: a number that grows with each report of one boot");
    }
    report->list = form->list;
    report->apply_error =
        form->apply_error != NULL && form->apply_error[0] != '\0' ? form->apply_error : NULL;
    report->agent_version = form->agent->version;
    report->daemon = form->agent->daemon;
    report->boot = form->agent->boot;
    report->sequence = (uint64_t)form->agent->sequence.value;
    read_counters(form->kernel, report);
    return read_time(reading, "appliedAt", form->applied_at, &report->applied_at_ms);
}

static int read_report(struct request *request, const struct peering_status_form *form, int64_t now_real_ms,
                       struct status_report *report, struct err *err) {
    struct report_reading reading = {.now_real_ms = now_real_ms, .err = err};
    if (read_head(&reading, form, report) != 0) {
        return -1;
    }
    struct status_session *sessions =
        arena_array(&request->arena, form->sessions.count + 1, sizeof(*sessions));
    if (sessions == NULL) {
        return err_no_memory(err);
    }
    const struct peering_status_session *items = form->sessions.items;
    for (size_t i = 0; i < form->sessions.count; i++) {
        snprintf(reading.field, sizeof(reading.field), "sessions[%zu]", i);
        if (read_session(&reading, &items[i], &sessions[i]) != 0) {
            return -1;
        }
    }
    report->sessions = sessions;
    report->session_count = form->sessions.count;
    return 0;
}

/* ---- PUT ---- */

struct report_answer {
    char digest[DIGEST_TEXT_MAX];
};

static void keep_digest(void *arg, const struct status_node_view *view) {
    struct report_answer *answer = arg;
    snprintf(answer->digest, sizeof(answer->digest), "%s", view->digest);
}

static int reply_taken(struct request *request, enum status_taken taken, const char *digest,
                       struct err *err) {
    static const char *const RESULTS[] = {
        [STATUS_TAKEN] = "Taken", [STATUS_SAME] = "Unchanged", [STATUS_OUTDATED] = "Outdated"};
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringStatusResult\",\"result\":");
    buf_add_json_str(&body, RESULTS[taken]);
    buf_json_member_str(&body, "digest", digest);
    buf_json_member_u64(&body, "reportIntervalSeconds", REPORT_INTERVAL_S);
    buf_add_char(&body, '}');
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}

static int take_same(struct request *request, const struct status_node_key *key,
                     const struct peering_status_form *form, struct err *err) {
    struct report_reading reading = {.now_real_ms = clock_realtime_ms(), .err = err};
    struct status_report report = {.list = NULL};
    if (read_head(&reading, form, &report) != 0) {
        return -1;
    }
    enum status_taken taken = status_take_same(state_status(request->serving->state), key, report.boot,
                                               report.sequence, form->same, clock_monotonic_ms());
    if (taken == STATUS_NOT_KNOWN) {
        return err_set(err, ERR_CONFLICT,
                       "no report with the digest %.40s is known (any more); send the whole report",
                       form->same);
    }
    return reply_taken(request, taken, form->same, err);
}

static int take_report(struct request *request, const struct status_node_key *key,
                       const struct peering_status_form *form, struct err *err) {
    struct fleet_status *status = state_status(request->serving->state);
    int64_t now_real_ms = clock_realtime_ms();
    struct status_report report = {.list = NULL};
    enum status_taken taken;
    if (read_report(request, form, now_real_ms, &report, err) != 0 ||
        status_take_report(status, key, &report, clock_monotonic_ms(), now_real_ms, &taken, err) != 0) {
        return -1;
    }
    struct report_answer answer = {.digest = ""};
    if (status_visit_node(status, key->slot, clock_monotonic_ms(), keep_digest, NULL, &answer, err) != 0) {
        return -1;
    }
    return reply_taken(request, taken, answer.digest, err);
}

int handle_status_put(struct request *request, struct err *err) {
    struct peering_status_form form = {.list = NULL};
    struct status_node_key key;
    enum codec_syntax syntax;
    if (access_report_limit(request, err) != 0 ||
        media_document(request_header(request, HEADER_CONTENT_TYPE), false, &syntax, err) != 0) {
        return -1;
    }
    if (codec_decode_peering_status(syntax, request->body.data != NULL ? request->body.data : "",
                                    request->body.len, &request->arena, &form, err) != 0) {
        return -1;
    }
    struct picture *picture = state_picture(request->serving->state);
    int result = state_status_key(picture, request->params[0], &key, err);
    if (result == 0) {
        result =
            form.same != NULL ? take_same(request, &key, &form, err) : take_report(request, &key, &form, err);
    }
    picture_unref(picture);
    return result;
}

/* ---- GET ---- */

static void add_view(void *arg, const struct status_node_view *view) {
    struct session_rows *rows = arg;
    session_add_node(view, rows->out);
    buf_add_str(rows->out, ",\"items\":[");
}

int handle_status_get(struct request *request, struct err *err) {
    struct session_rows rows;
    struct buf body = BUF_INIT;
    if (session_rows_open(request->serving->state, request->params[0], &body, &rows, err) != 0) {
        return -1;
    }
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"SessionStatusList\",\"metadata\":{");
    buf_json_member_str(&body, "node", request->params[0]);
    buf_add_str(&body, "},\"status\":");
    int result = session_rows_visit(&rows, add_view, session_add_row, &rows, err);
    session_rows_close(&rows);
    buf_add_str(&body, "]}");
    if (result == 0) {
        result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    }
    buf_done(&body);
    return result;
}
