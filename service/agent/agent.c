/*
 * The node agent: takes news from the poll to the daemon, looks at the daemon's sessions, hands what they do
 * to the report. Jobs run one after the other on the main thread; while they wait, poll and report go on.
 */
#include "agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/process.h"
#include "base/random.h"
#include "cause.h"
#include "change.h"
#include "file.h"
#include "loop.h"
#include "memory.h"
#include "poll.h"
#include "report.h"
#include "settings.h"
#include "verify.h"

/* Until a change that failed is tried again, when no other list comes before. */
#define RETRY_FIRST_MS  2000
#define RETRY_MAX_MS    60000
#define PENDING_MS      1000   /* the daemon is away; once it is there it has read the file itself */
#define UNDONE_FIRST_MS 300000 /* each attempt may cost sessions */
#define UNDONE_MAX_MS   3600000
#define LOOK_FAILED_MS  5000
#define ONCE_REPORT_MS  5000

#define EXIT_OK     0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct agent {
    struct agent_settings settings;
    struct loop loop;
    struct memory memory;
    struct poll poll;
    struct report report;
    struct host host;
    /* The list that is to be applied; empty: the newest one is. */
    struct buf text; /* wiping */
    char etag[ETAG_TEXT_MAX];
    int64_t retry_at; /* monotonic ms */
    int64_t retry_ms;
    char failure[ERR_TEXT_MAX];        /* the one that was logged last */
    char pending[SESSION_PENDING_MAX]; /* what the daemon did not use at the last look */
    /* What the daemon runs, and what it does. */
    struct expected expected;
    struct session_list sessions;
    struct report_facts facts;
    int64_t look_at; /* monotonic ms */
    bool look_failed;
    bool once_done; /* --once: the change was tried */
    bool once_good;
};

/* ---- sessions ---- */

/* What daemons do not keep: how often a session came and went, and when an error was first seen. */
static void agent_merge(const struct session_list *before, struct session_list *now, int64_t now_ms) {
    for (size_t i = 0; i < now->count; i++) {
        struct session *session = &now->items[i];
        const struct session *old = session_list_find(before, &session->peer, session->port);
        bool was_up = old != NULL && old->state == SESSION_ESTABLISHED;
        bool is_up = session->state == SESSION_ESTABLISHED;
        session->up_count = old != NULL ? old->up_count + (was_up != is_up) : 0;
        if (session->since_ms == 0 && old != NULL) {
            session->since_ms = old->state == session->state ? old->since_ms : now_ms;
        }
        if (session->cause[0] != '\0') {
            bool same = old != NULL && strcmp(old->cause, session->cause) == 0 && was_up == is_up;
            session->cause_at_ms = same ? old->cause_at_ms : now_ms;
        }
    }
}

/* The sessions are like this now; their memory goes over. */
static void agent_take_sessions(struct agent *agent, struct session_list *now) {
    agent_merge(&agent->sessions, now, clock_realtime_ms());
    session_list_done(&agent->sessions);
    agent->sessions = *now;
    report_note(&agent->report, &agent->sessions, &agent->facts);
}

/* A daemon that does not run: what its file wants is down, and what else it had is gone. */
static void agent_daemon_away(struct agent *agent) {
    struct session_list away = {.count = 0};
    for (size_t i = 0; i < agent->expected.count; i++) {
        const struct expected_session *wanted = &agent->expected.sessions[i];
        struct session *session =
            wanted->left_out ? NULL : session_list_add(&away, &wanted->peer, wanted->port);
        if (session != NULL) {
            session->disabled = !wanted->on;
            cause_of_class(SESSION_ERROR_DAEMON_AWAY, session);
        }
    }
    session_list_sort(&away);
    memcpy(away.daemon, agent->sessions.daemon, sizeof(away.daemon));
    agent_take_sessions(agent, &away);
}

static void agent_look_failed(struct agent *agent, const struct err *err) {
    if (!agent->look_failed && !agent->loop.stopping) {
        log_event(LOG_WARN, "daemon-unreadable", LOG_STR("text", err->text));
    }
    agent->look_failed = true;
    agent->look_at = clock_monotonic_ms() + LOOK_FAILED_MS;
    /* Of a daemon that does not answer nobody knows what its sessions do. */
    if (err->code == ERR_NOT_FOUND) {
        agent_daemon_away(agent);
    }
}

/* That the daemon runs with some settings of before is told like an error, until it is over. */
static void agent_note_pending(struct agent *agent, const char *pending) {
    if (strcmp(agent->facts.apply_error, agent->pending) == 0) {
        snprintf(agent->facts.apply_error, sizeof(agent->facts.apply_error), "%s", pending);
    }
    if (pending[0] != '\0' && strcmp(pending, agent->pending) != 0) {
        log_event(LOG_WARN, "restart-needed", LOG_STR("text", pending));
    }
    snprintf(agent->pending, sizeof(agent->pending), "%s", pending);
}

/* Read the daemon's sessions, see that none runs as it must not, and report. */
static void agent_look(struct agent *agent) {
    const struct driver *driver = agent->settings.driver;
    struct session_list sessions = {.count = 0};
    struct err err = ERR_INIT;
    agent->loop.look = false;
    if (driver->read == NULL) {
        agent->look_at = INT64_MAX;
        report_note(&agent->report, &agent->sessions, &agent->facts);
        return;
    }
    agent->look_at = clock_monotonic_ms() + driver->read_ms;
    agent->host.expected = &agent->expected;
    if (driver->read(&agent->host, &sessions, &err) != 0) {
        session_list_done(&sessions);
        agent_look_failed(agent, &err);
        return;
    }
    if (agent->look_failed) {
        log_event(LOG_INFO, "daemon-readable", LOG_STR("daemon", sessions.daemon));
        agent->look_failed = false;
    }
    if (verify_guard(&agent->host, &agent->expected, &sessions, &err) != 0) {
        snprintf(agent->facts.apply_error, sizeof(agent->facts.apply_error), "%s", err.text);
    }
    agent_note_pending(agent, sessions.pending);
    agent_take_sessions(agent, &sessions);
}

/* ---- changes ---- */

/* What the installed file says, when the daemon has taken it. */
static void agent_read_expected(struct agent *agent) {
    struct err err = ERR_INIT;
    struct buf text = {.wipe = true};
    char digest[DIGEST_TEXT_MAX];
    struct memory *memory = &agent->memory;
    const char *comment = agent->settings.driver->comment;
    expected_done(&agent->expected);
    bool is_ours = memory->digest[0] != '\0' && strcmp(memory->daemon, agent->settings.daemon) == 0 &&
                   file_read(agent->settings.real_config, FILE_TEXT_MAX, &text, &err) == 0;
    if (is_ours) {
        digest_hex(text.data != NULL ? text.data : "", text.len, digest);
        is_ours = strcmp(digest, memory->digest) == 0;
    }
    if (is_ours && comment != NULL &&
        expected_read(text.data, text.len, comment, agent->settings.driver->restart_lines, &agent->expected,
                      &err) != 0) {
        is_ours = false;
    }
    if (!is_ours) {
        memory->etag[0] = '\0';
    }
    snprintf(agent->facts.list, sizeof(agent->facts.list), "%s", is_ours ? memory->list : "");
    agent->facts.applied_ms = is_ours ? memory->applied_ms : 0;
    buf_done(&text);
}

/* Until the next attempt: twice as long each time. */
static void agent_retry(struct agent *agent, int64_t first, int64_t max) {
    agent->retry_ms = agent->retry_ms < first ? first : agent->retry_ms * 2;
    agent->retry_ms = agent->retry_ms < max ? agent->retry_ms : max;
    int64_t jitter = (int64_t)(random_u64() % (uint64_t)(agent->retry_ms / 4));
    agent->retry_at = clock_monotonic_ms() + agent->retry_ms - jitter;
}

static void agent_change_failed(struct agent *agent, const char *event, const struct err *err) {
    snprintf(agent->facts.apply_error, sizeof(agent->facts.apply_error), "%s", err->text);
    if (strcmp(agent->failure, err->text) != 0) {
        snprintf(agent->failure, sizeof(agent->failure), "%s", err->text);
        log_event(LOG_ERROR, event, LOG_STR("etag", agent->etag), LOG_STR("text", err->text));
    }
}

static void agent_change_done(struct agent *agent, int64_t started_ms) {
    buf_done(&agent->text);
    agent->failure[0] = agent->facts.apply_error[0] = agent->pending[0] = '\0';
    if (agent->memory.revision > agent->poll.revision) {
        agent->poll.revision = agent->memory.revision;
    }
    agent_read_expected(agent);
    log_event(LOG_INFO, "applied", LOG_STR("list", agent->facts.list),
              LOG_INT("revision", agent->memory.revision), LOG_INT("sessions", agent->expected.count),
              LOG_INT("ms", clock_monotonic_ms() - started_ms));
}

static void agent_change(struct agent *agent) {
    struct err err = ERR_INIT;
    int64_t started_ms = clock_monotonic_ms();
    enum change_end end =
        change_run(&agent->host, &agent->memory, agent->text.data, agent->text.len, agent->etag, &err);
    switch (end) {
    case CHANGE_DONE:
        agent_change_done(agent, started_ms);
        break;
    case CHANGE_PENDING:
        agent_change_failed(agent, "daemon-away", &err);
        agent_retry(agent, PENDING_MS, RETRY_MAX_MS / 10);
        break;
    case CHANGE_REFUSED:
        agent_change_failed(agent, "change-refused", &err);
        agent_retry(agent, RETRY_FIRST_MS, RETRY_MAX_MS);
        break;
    case CHANGE_UNDONE:
        agent_change_failed(agent, "change-undone", &err);
        agent_retry(agent, UNDONE_FIRST_MS, UNDONE_MAX_MS);
        break;
    case CHANGE_STOPPED:
        log_event(LOG_INFO, "change-unfinished",
                  LOG_STR("text", "it will be applied again at the next start"));
        break;
    }
    agent->once_done = true;
    agent->once_good = end == CHANGE_DONE;
    agent->look_at = 0; /* sessions are changing */
}

/* What the host adds to the service's text. A file that is not there adds nothing. */
static void agent_append(struct agent *agent) {
    struct err err = ERR_INIT;
    const char *path = agent->settings.append;
    if (path != NULL && file_read(path, FILE_TEXT_MAX, &agent->text, &err) != 0 &&
        err.code != ERR_NOT_FOUND) {
        log_event(LOG_WARN, "nothing-appended", LOG_STR("text", err.text));
    }
}

static void agent_take_news(struct agent *agent) {
    if (!agent->poll.has_news) {
        return;
    }
    buf_done(&agent->text);
    agent->text = agent->poll.text;
    agent->poll.text = (struct buf){.wipe = true};
    agent->poll.has_news = false;
    snprintf(agent->etag, sizeof(agent->etag), "%s", agent->poll.etag);
    agent_append(agent);
    agent->retry_at = agent->retry_ms = 0;
    agent->failure[0] = '\0'; /* what is wrong with this list is told again, also in the same words */
    log_event(LOG_INFO, "list", LOG_STR("etag", agent->etag), LOG_INT("bytes", agent->text.len));
}

/* ---- the loop ---- */

/* At every turn, also while a job waits. */
static void agent_turn(void *context) {
    struct agent *agent = context;
    bool had_news = agent->poll.has_news;
    poll_turn(&agent->poll);
    report_turn(&agent->report);
    agent->loop.wake = agent->loop.wake || (!had_news && agent->poll.has_news);
}

static int64_t agent_due(void *context) {
    const struct agent *agent = context;
    int64_t poll = poll_due(&agent->poll), report = report_due(&agent->report);
    return poll < report ? poll : report;
}

static void agent_run_jobs(struct agent *agent) {
    while (!agent->loop.stopping) {
        agent_take_news(agent);
        int64_t now = clock_monotonic_ms();
        if (agent->text.len > 0 && now >= agent->retry_at) {
            agent_change(agent);
        } else if (now >= agent->look_at || agent->loop.look) {
            if (agent->loop.look) { /* SIGHUP: also what the host appends may be new */
                agent->retry_at = 0;
                poll_now(&agent->poll, true);
            }
            agent_look(agent);
        } else {
            int64_t until =
                agent->text.len > 0 && agent->retry_at < agent->look_at ? agent->retry_at : agent->look_at;
            (void)loop_wait(&agent->loop, NULL, 0, until);
        }
    }
}

/* --once: no more than one attempt, at any server and at the daemon. */
static int agent_run_once(struct agent *agent) {
    while (!agent->loop.stopping && !agent->once_done) {
        if (agent->poll.failures >= agent->settings.servers.count) {
            return EXIT_FAILED; /* and the log says why */
        }
        agent_take_news(agent);
        if (agent->text.len > 0) {
            agent_change(agent);
        } else {
            (void)loop_wait(&agent->loop, NULL, 0, clock_monotonic_ms() + 100);
        }
    }
    if (!agent->loop.stopping) {
        agent_look(agent);
        int64_t until = clock_monotonic_ms() + ONCE_REPORT_MS;
        while (!agent->loop.stopping && agent->settings.report_seconds > 0 &&
               !report_is_idle(&agent->report) && clock_monotonic_ms() < until) {
            (void)loop_wait(&agent->loop, NULL, 0, clock_monotonic_ms() + 50);
        }
    }
    return agent->once_good ? EXIT_OK : EXIT_FAILED;
}

/* --print */
static int agent_run_print(struct agent *agent) {
    while (!agent->loop.stopping && !agent->poll.has_news) {
        if (agent->poll.failures >= agent->settings.servers.count) {
            return EXIT_FAILED;
        }
        (void)loop_wait(&agent->loop, NULL, 0, clock_monotonic_ms() + 100);
    }
    bool whole = agent->poll.has_news &&
                 fwrite(agent->poll.text.data, 1, agent->poll.text.len, stdout) == agent->poll.text.len &&
                 fflush(stdout) == 0;
    return whole ? EXIT_OK : EXIT_FAILED;
}

static void agent_withdraw(struct agent *agent) {
    struct err err = ERR_INIT;
    const struct driver *driver = agent->settings.driver;
    loop_grant(&agent->loop);
    /* The next start has to open the sessions again, so it must not believe that all is applied. */
    if (memory_forget(&agent->memory, &err) != 0 ||
        (driver->withdraw != NULL && driver->withdraw(&agent->host, &agent->expected, &err) != 0)) {
        log_event(LOG_ERROR, "not-withdrawn", LOG_STR("text", err.text));
    }
}

/* ---- start and end ---- */

static int agent_start(struct agent *agent, struct err *err) {
    struct agent_settings *settings = &agent->settings;
    agent->loop.signals = agent->memory.lock = -1;
    agent->text.wipe = true;
    if (process_harden(err) != 0 || random_start(err) != 0 || loop_start(&agent->loop, err) != 0) {
        return -1;
    }
    agent_json_start();
    log_start(2,
              strcmp(settings->log_level, "debug") == 0   ? LOG_DEBUG
              : strcmp(settings->log_level, "warn") == 0  ? LOG_WARN
              : strcmp(settings->log_level, "error") == 0 ? LOG_ERROR
                                                          : LOG_INFO,
              strcmp(settings->log_format, "json") == 0 ? LOG_JSON : LOG_KEY_VALUE);
    agent->host = (struct host){.settings = settings, .loop = &agent->loop};
    if (!settings->print) {
        if (memory_open(settings->state_dir, &agent->memory, err) != 0) {
            return -1;
        }
        agent_read_expected(agent);
    }
    bool fresh = settings->once || settings->print;
    poll_init(&agent->poll, settings, agent->loop.client, fresh ? "" : agent->memory.etag,
              agent->memory.revision);
    report_init(&agent->report, settings, &agent->poll, agent->loop.client);
    agent->loop.turn = agent_turn;
    agent->loop.due = agent_due;
    agent->loop.context = agent;
    return 0;
}

static void agent_stop(struct agent *agent) {
    agent->loop.turn = NULL;
    agent->loop.due = NULL;
    poll_done(&agent->poll);
    report_done(&agent->report);
    buf_done(&agent->text);
    expected_done(&agent->expected);
    session_list_done(&agent->sessions);
    memory_close(&agent->memory);
    loop_done(&agent->loop);
}

static int agent_run_all(struct agent *agent) {
    if (agent->settings.print) {
        return agent_run_print(agent);
    }
    if (agent->settings.once) {
        return agent_run_once(agent);
    }
    log_event(LOG_INFO, "ready", LOG_STR("node", agent->settings.node),
              LOG_STR("daemon", agent->settings.daemon), LOG_STR("config", agent->settings.real_config),
              LOG_STR("version", BGPPEERD_VERSION));
    notify_manager("READY=1");
    agent_run_jobs(agent);
    notify_manager("STOPPING=1");
    if (strcmp(agent->settings.on_exit, "withdraw") == 0) {
        agent_withdraw(agent);
    }
    log_event(LOG_INFO, "stopped");
    return EXIT_OK;
}

int agent_run(int argc, char **argv) {
    static struct agent agent; /* large, and lives as long as the process */
    struct err err = ERR_INIT;
    enum settings_next next;
    if (!process_hold_standard_files()) {
        return EXIT_FAILED; /* and nobody to tell */
    }
    int status = EXIT_OK;
    if (settings_read(argc, argv, &agent.settings, &next, &err) != 0) {
        status = EXIT_USAGE;
    } else if (next == SETTINGS_RUN) {
        status = agent_start(&agent, &err) == 0 ? agent_run_all(&agent) : EXIT_FAILED;
        agent_stop(&agent);
        log_stop();
    }
    if (err.text[0] != '\0') {
        fprintf(stderr, "bgppeer-agent: %s\n", err.text);
    }
    return status;
}
