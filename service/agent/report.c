/*
 * Reports. A struct report owns its call and the texts of the newest report and of the one under way; main
 * thread. A service that takes no reports is asked again every ten minutes, because it may be replaced.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"

#define DEBOUNCE_MS     1000
#define UNKNOWN_MS      600000 /* the service takes no reports */
#define FAILED_MS       5000
#define INTERVAL_MAX_MS 600000
#define REPORT_SECONDS  10
#define ANSWER_MAX      65536

static const char *const COUNTER_NAMES[KERNEL_COUNTER_COUNT] = {
    [KERNEL_MD5_FAILURE] = "md5Failure",
    [KERNEL_MD5_NOT_FOUND] = "md5NotFound",
    [KERNEL_MD5_UNEXPECTED] = "md5Unexpected",
    [KERNEL_MIN_TTL_DROP] = "minTTLDrop",
};

void report_init(struct report *report, const struct agent_settings *settings, const struct poll *poll,
                 struct client *client) {
    *report = (struct report){.settings = settings,
                              .poll = poll,
                              .client = client,
                              .interval_ms = (int64_t)settings->report_seconds * 1000,
                              .next_at = INT64_MAX};
    uuid_new(report->boot);
}

void report_done(struct report *report) {
    client_end(report->call);
    report->call = NULL;
    buf_done(&report->text);
    buf_done(&report->sending);
}

/* ---- text ---- */

static void report_add_time(struct buf *out, const char *key, int64_t ms) {
    if (ms > 0) {
        char text[CLOCK_TEXT_MAX];
        clock_format_seconds(ms, text);
        buf_json_member_str(out, key, text);
    }
}

static void report_add_session(struct buf *out, const struct session *session) {
    char address[IP_TEXT_MAX];
    ip_format(&session->peer, address);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "peerIP", address);
    buf_json_member_u64(out, "port", session->port);
    buf_json_member_str(out, "state", session_state_name(session->state));
    report_add_time(out, "since", session->since_ms);
    buf_json_member_true(out, "adminDown", session->disabled);
    buf_json_member_u64(out, "transitions", session->up_count);
    buf_json_member_u64(out, "received", session->received);
    buf_json_member_u64(out, "sent", session->sent);
    if (session->hold_seconds > 0) {
        buf_json_member_u64(out, "holdTimeSeconds", session->hold_seconds);
    }
    if (session->cause[0] != '\0') {
        buf_json_key(out, "lastError");
        buf_add_char(out, '{');
        buf_json_member_str(out, "code", session->cause);
        buf_json_member_str(out, "from", session->cause_is_remote ? "Remote" : "Local");
        report_add_time(out, "at", session->cause_at_ms);
        buf_add_char(out, '}');
    }
    buf_add_char(out, '}');
}

static void report_write_sessions(const struct session_list *sessions, struct buf *out) {
    buf_json_key(out, "sessions");
    buf_add_char(out, '[');
    for (size_t i = 0; i < sessions->count; i++) {
        report_add_session(out, &sessions->items[i]);
    }
    buf_add_char(out, ']');
}

static void report_write_facts(const struct report_facts *facts, struct buf *out) {
    buf_json_member_str(out, "list", facts->list);
    report_add_time(out, "appliedAt", facts->applied_ms);
    buf_json_member_str(out, "applyError", facts->apply_error);
}

void report_write(const struct session_list *sessions, const struct report_facts *facts,
                  const uint64_t counters[KERNEL_COUNTER_COUNT], const char *boot, uint64_t sequence,
                  struct buf *out) {
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringStatus\"");
    report_write_facts(facts, out);
    buf_json_key(out, "agent");
    buf_add_char(out, '{');
    buf_json_member_str(out, "version", BGPPEERD_VERSION);
    buf_json_member_str(out, "daemon", sessions->daemon);
    buf_json_member_str(out, "boot", boot);
    buf_json_member_u64(out, "sequence", sequence);
    buf_add_char(out, '}');
    if (counters != NULL) {
        buf_json_key(out, "kernel");
        buf_add_char(out, '{');
        for (size_t i = 0; i < KERNEL_COUNTER_COUNT; i++) {
            buf_json_member_u64(out, COUNTER_NAMES[i], counters[i]);
        }
        buf_add_char(out, '}');
    }
    report_write_sessions(sessions, out);
    buf_add_char(out, '}');
}

/* What makes a report news: that a session came or went, and causes; not numbers of prefixes, and not through
 * which states one that is down goes round and round. */
static void report_digest(const struct session_list *sessions, const struct report_facts *facts,
                          char ret[DIGEST_TEXT_MAX]) {
    struct buf text = BUF_INIT;
    buf_add_char(&text, '{');
    report_write_facts(facts, &text);
    for (size_t i = 0; i < sessions->count; i++) {
        struct session session = sessions->items[i];
        session.received = session.sent = 0;
        if (session.state != SESSION_ESTABLISHED) {
            session.state = SESSION_IDLE;
            session.since_ms = 0;
        }
        report_add_session(&text, &session);
    }
    digest_hex(text.data != NULL ? text.data : "", text.len, ret);
    buf_done(&text);
}

/* That a counter grows for the first time since the sessions are as they are is news, because it tells why
 * one of them is down; that it grows on is not. */
static unsigned report_grown(const struct report *report, const uint64_t counters[KERNEL_COUNTER_COUNT]) {
    unsigned grown = 0;
    for (size_t i = 0; i < KERNEL_COUNTER_COUNT; i++) {
        grown |= counters[i] > report->counters[i] ? 1U << i : 0;
    }
    return grown;
}

static bool report_has_down(const struct session_list *sessions) {
    for (size_t i = 0; i < sessions->count; i++) {
        if (sessions->items[i].state != SESSION_ESTABLISHED && !sessions->items[i].disabled) {
            return true;
        }
    }
    return false;
}

/* Has anything changed that the service should hear of before its time? */
static bool report_is_news(struct report *report, const struct session_list *sessions,
                           const struct report_facts *facts, const uint64_t *counters) {
    char digest[DIGEST_TEXT_MAX];
    report_digest(sessions, facts, digest);
    if (strcmp(digest, report->digest) != 0) {
        memcpy(report->digest, digest, sizeof(digest));
        if (counters != NULL) {
            memcpy(report->counters, counters, sizeof(report->counters));
        }
        report->grown = 0;
        return true;
    }
    unsigned before = report->grown;
    if (counters != NULL && report_has_down(sessions)) {
        report->grown |= report_grown(report, counters);
    }
    return report->grown != before;
}

void report_note(struct report *report, const struct session_list *sessions,
                 const struct report_facts *facts) {
    uint64_t read[KERNEL_COUNTER_COUNT];
    if (report->settings->report_seconds == 0) {
        return;
    }
    const uint64_t *counters = kernel_read(read) ? read : NULL;
    buf_clear(&report->text);
    report_write(sessions, facts, counters, report->boot, ++report->sequence, &report->text);
    if (buf_failed(&report->text)) {
        buf_done(&report->text);
        return;
    }
    if (report_is_news(report, sessions, facts, counters)) {
        int64_t soon = clock_monotonic_ms() + DEBOUNCE_MS / 2 + (int64_t)(random_u64() % (DEBOUNCE_MS / 2));
        soon = soon > report->not_before ? soon : report->not_before;
        report->next_at = soon < report->next_at ? soon : report->next_at;
    }
}

/* ---- sending ---- */

static void report_failed(struct report *report, const char *text, int64_t retry_ms) {
    char trouble[sizeof(report->trouble)];
    snprintf(trouble, sizeof(trouble), "%s", text);
    if (strcmp(trouble, report->trouble) != 0) {
        memcpy(report->trouble, trouble, sizeof(trouble));
        log_event(LOG_WARN, "report-failed", LOG_STR("text", trouble));
    }
    report->next_at = report->not_before = clock_monotonic_ms() + retry_ms;
}

static void report_start(struct report *report) {
    static const char *const HEADERS[] = {"Content-Type: application/json", NULL};
    struct err err = ERR_INIT;
    struct buf token = BUF_INIT;
    char url[SERVER_URL_MAX];
    buf_clear(&report->sending);
    buf_add(&report->sending, report->text.data, report->text.len);
    struct client_request request = {
        .method = "PUT",
        .url = url,
        .headers = HEADERS,
        .body = report->sending.data,
        .body_len = report->sending.len,
        .connect_seconds = REPORT_SECONDS,
        .total_seconds = REPORT_SECONDS,
        .answer_max = ANSWER_MAX,
        .file = -1,
    };
    /* The next one at the usual time; news may come before. */
    report->next_at = clock_monotonic_ms() + report->interval_ms;
    if (buf_failed(&report->sending) || !poll_url(report->poll, "/status", url) ||
        poll_identify(report->settings, &request, &token, &err) != 0 ||
        client_start(report->client, &request, &report->call, &err) != 0) {
        report_failed(report, err.text[0] != '\0' ? err.text : "a report cannot be made", FAILED_MS);
    }
    buf_done(&token);
}

/* How often the service wants to hear of us. */
static void report_take_interval(struct report *report, const struct client_answer *answer) {
    char text[16];
    uint64_t seconds;
    int64_t wanted = (int64_t)report->settings->report_seconds * 1000;
    if (client_header(answer, "Bgppeerd-Report-Interval", text, sizeof(text)) &&
        u64_parse(text, strlen(text), INTERVAL_MAX_MS / 1000, &seconds) && (int64_t)seconds * 1000 > wanted) {
        wanted = (int64_t)seconds * 1000;
    }
    report->interval_ms = wanted;
}

static void report_refused(struct report *report, const struct client_answer *answer) {
    unsigned status = answer->status;
    char text[64];
    int64_t retry = poll_retry_after(answer, INTERVAL_MAX_MS);
    snprintf(text, sizeof(text), "the service answered %u to a report", status);
    if (status == 404 || status == 405 || status == 400 || status == 501) {
        report_failed(report, text, UNKNOWN_MS);
    } else {
        report_failed(report, text, retry > FAILED_MS ? retry : FAILED_MS);
    }
}

static void report_finish(struct report *report) {
    struct err err = ERR_INIT;
    struct client_answer *answer = NULL;
    if (client_result(report->call, &answer, &err) != 0) {
        report_failed(report, err.text, FAILED_MS);
    } else if (answer->status / 100 != 2) {
        report_refused(report, answer);
    } else {
        report_take_interval(report, answer);
        report->trouble[0] = '\0';
    }
    client_end(report->call);
    report->call = NULL;
}

void report_turn(struct report *report) {
    if (report->call != NULL && client_finished(report->call)) {
        report_finish(report);
    }
    if (report->call == NULL && report->text.len > 0 && clock_monotonic_ms() >= report->next_at) {
        report_start(report);
    }
}

int64_t report_due(const struct report *report) {
    return report->call != NULL || report->text.len == 0 ? INT64_MAX : report->next_at;
}

bool report_is_idle(const struct report *report) {
    return report->call == NULL && (report->text.len == 0 || report->sending.len > 0);
}
