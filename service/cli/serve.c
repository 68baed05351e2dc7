/*
 * `bgppeerd serve`: wires the rooms together, runs until a signal, and takes them apart in the
 * opposite order.
 *
 * Signals are blocked before the first thread is made, so that only the main thread takes them, where
 * it waits. A second signal, and a stop that takes too long, end the process at once: everything that
 * was acknowledged is on disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/process.h"
#include "base/random.h"
#include "cli_internal.h"
#include "codec.h"
#include "datafile.h"
#include "http.h"
#include "model/object.h"
#include "state.h"
#include "store.h"
#include "store_settings.h"
#include "vault.h"

#define STOP_SECONDS             5
#define FILES_BESIDE_CONNECTIONS 64 /* the database's, the threads', and a few to spare */

struct serve_settings {
    struct option_list listen;
    const char *data_dir;
    struct store_settings store;
    const char *log_format;
    const char *log_level;
    const char *secret_namespace;
    const char *vault_key_file;
    const char *vault_passphrase_file;
    uint64_t max_disruptive_sessions;
    uint64_t max_disruptive_percent;
    uint64_t keep_changes;
    uint64_t keep_history;
    uint64_t max_history_bytes;
    uint64_t threads;
    uint64_t max_connections;
    uint64_t max_waiting;
    uint64_t max_watches;
    uint64_t max_header_bytes;
    uint64_t max_body_bytes;
    uint64_t max_connections_per_address;
    uint64_t max_requests;
    uint64_t max_node_writes;
    uint64_t max_auth_failures;
    uint64_t keep_audit;
    uint64_t keep_transitions;
    uint64_t header_seconds;
    uint64_t body_seconds;
    uint64_t answer_seconds;
    uint64_t stall_seconds;
    const char *tls_cert;
    const char *tls_key;
    const char *client_ca;
    const char *client_crl;
    const char *node_address_ranges;
    bool no_auth;
    bool insecure_http;
    bool accept_rollback;
};

static const char *const LOG_FORMATS[] = {"text", "json", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};

#define MEMBER(name) offsetof(struct serve_settings, name)
#define NUMBER(option, unit, member, least, most, initial, text)                                             \
    {                                                                                                        \
        .name = (option), .value = (unit), .type = OPTION_NUMBER, .offset = MEMBER(member), .min = (least),  \
        .max = (most), .default_text = (initial), .help = (text)                                             \
    }

static const struct option OPTIONS[] = {
    {.name = "listen",
     .value = "ADDRESS:PORT",
     .type = OPTION_LIST,
     .offset = MEMBER(listen),
     .default_text = "127.0.0.1:8080",
     .help = "Serve HTTP on this address; IPv6 as [::1]:8080; port 0 takes any free port"},
    {.name = "data-dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(data_dir),
     .default_text = "./data",
     .help = "Keep everything in this directory, which is made when it is missing"},
    STORE_OPTIONS(MEMBER(store)),
    {.name = "log-format",
     .value = "FORMAT",
     .type = OPTION_CHOICE,
     .offset = MEMBER(log_format),
     .choices = LOG_FORMATS,
     .default_text = "text",
     .help = "How log lines are written to standard error"},
    {.name = "log-level",
     .value = "LEVEL",
     .type = OPTION_CHOICE,
     .offset = MEMBER(log_level),
     .choices = LOG_LEVELS,
     .default_text = "info",
     .help = "The least important lines to write; requests are logged at info"},
    {.name = "secret-namespace",
     .value = "NAMESPACE",
     .type = OPTION_TEXT,
     .offset = MEMBER(secret_namespace),
     .default_text = "default",
     .help = "The namespace of the Secrets that secretKeyRef names"},
    {.name = "vault-key-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(vault_key_file),
     .help = "The root key of the vault: 32 bytes or 64 hex digits, mode 0600. Without it and without a "
             "passphrase "
             "it is vault.key in $CREDENTIALS_DIRECTORY or else in the data directory, where it is made at "
             "first start"},
    {.name = "vault-passphrase-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(vault_passphrase_file),
     .help = "Make the root key from the passphrase in this file: one line, mode 0600"},
    NUMBER("max-disruptive-sessions", "N", max_disruptive_sessions, 0, 1000000000, "50",
           "A write that would restart or remove more sessions (each counted at both ends) is refused unless "
           "it says force=disruptive, if they are also more than --max-disruptive-percent; 0 refuses none"),
    NUMBER("max-disruptive-percent", "N", max_disruptive_percent, 0, 100, "25",
           "… and more than this share of the fleet's sessions; 0 refuses none"),
    NUMBER(
        "keep-changes", "N", keep_changes, 1000, 1000000000, "10000",
        "How many changes are kept in memory, for watches that continue, and in any case in the change log; "
        "fewer when their documents exceed 4 KiB on average"),
    NUMBER("keep-history", "DAYS", keep_history, 1, 36500, "90",
           "How long the change log keeps changes, beyond those of --keep-changes"),
    NUMBER("max-history-bytes", "N", max_history_bytes, 1, INT64_MAX, "1073741824",
           "How large the change log may grow before the oldest of those go earlier"),
    NUMBER("keep-transitions", "N", keep_transitions, 1, 1000000000, "500000",
           "How many changes of sessions' verdicts are kept"),
    {.name = "threads",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(threads),
     .max = 256,
     .default_text = "0",
     .help = "Threads per listening address; 0 is one per processor"},
    NUMBER("max-connections", "N", max_connections, 1, 1000000, "16384",
           "Connections per listening address; more wait to be accepted"),
    NUMBER("max-waiting", "N", max_waiting, 1, 1000000, "20000",
           "Polls that may wait for a change at one time; more are told to try again"),
    NUMBER("max-watches", "N", max_watches, 1, 1000000, "20000",
           "Watches that may be open at one time; more are told to try again"),
    {.name = "max-header-bytes",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_header_bytes),
     .min = HTTP_HEADER_BYTES_MIN,
     .max = HTTP_HEADER_BYTES_MAX,
     .default_text = "5120",
     .help =
         "A request's line and headers, each of which counts 64 bytes more; larger ones are answered 431. "
         "Every connection holds as much memory and 3 KiB more"},
    {.name = "max-body-bytes",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_body_bytes),
     .min = 1024,
     .max = HTTP_BODY_BYTES_MAX,
     .default_text = "1048576",
     .help = "A request's body; larger ones are answered 413"},
    {.name = "tls-cert",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(tls_cert),
     .help = "Serve HTTPS with this certificate (PEM, its chain behind it); read again on SIGHUP"},
    {.name = "tls-key",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(tls_key),
     .help = "The certificate's key (PEM)"},
    {.name = "client-ca",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(client_ca),
     .help = "Accept client certificates of these CAs (PEM): CN is the user, O the role (bgppeerd:admin, "
             "bgppeerd:operator, bgppeerd:viewer, or system:nodes with CN system:node:NAME)"},
    {.name = "client-crl",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(client_crl),
     .help = "Client certificates that are revoked: lists (PEM) signed by CAs of --client-ca; read again on "
             "SIGHUP"},
    {.name = "max-connections-per-address",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_connections_per_address),
     .max = 1000000,
     .default_text = "1024",
     .help = "Connections from one address per listening address; 0 is no limit of its own"},
    {.name = "max-requests",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_requests),
     .max = 1000000000,
     .default_text = "20000",
     .help =
         "Requests per second of one user, twice as many in a burst; more are answered 429; 0 is no limit"},
    {.name = "max-node-writes",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_node_writes),
     .max = 1000000,
     .default_text = "60",
     .help =
         "Writes per minute by one node's own credential, 20 at once; more are answered 429; 0 is no limit"},
    {.name = "max-auth-failures",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(max_auth_failures),
     .max = 1000000,
     .default_text = "60",
     .help = "Requests without a good credential per minute and address (of IPv6: its /64); more are "
             "answered 429; 0 is no limit"},
    {.name = "header-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(header_seconds),
     .min = 1,
     .max = 3600,
     .default_text = "40",
     .help = "How long a request's headers may take, from the connection's opening or its last answer"},
    {.name = "body-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(body_seconds),
     .min = 1,
     .max = 3600,
     .default_text = "30",
     .help = "How long a request may take until the end of its body"},
    {.name = "answer-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(answer_seconds),
     .min = 1,
     .max = 86400,
     .default_text = "300",
     .help = "How long a client may take to read an answer, or the initial events of a watch"},
    {.name = "stall-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(stall_seconds),
     .min = 1,
     .max = HTTP_STALL_SECONDS_MAX,
     .default_text = "20",
     .help =
         "How long the reader of a watch may take nothing of what waits for it before the watch is ended"},
    {.name = "keep-audit",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(keep_audit),
     .min = 1,
     .max = 10000000,
     .default_text = "10000",
     .help = "Entries of the audit trail that are kept of each class (done by people, written by nodes, "
             "refused or "
             "read) and the API can show; the log has them all"},
    {.name = "node-address-ranges",
     .value = "CIDR,...",
     .type = OPTION_TEXT,
     .offset = MEMBER(node_address_ranges),
     .help =
         "Where a node's own credential may choose the addresses of its Node, at most 64 ranges; without it "
         "anywhere. The annotation " NODE_RANGES_ANNOTATION " of a Node says it for that node"},
    {.name = "no-auth",
     .type = OPTION_FLAG,
     .offset = MEMBER(no_auth),
     .help = "Ask nobody for a credential: everybody on this machine is admin. For loopback addresses only"},
    {.name = "insecure-http",
     .type = OPTION_FLAG,
     .offset = MEMBER(insecure_http),
     .help = "Allow addresses that other machines can reach without TLS; tokens and passwords then cross the "
             "network readable"},
    {.name = "accept-rollback",
     .type = OPTION_FLAG,
     .offset = MEMBER(accept_rollback),
     .help = "Start although acknowledged writes are missing (an older, another or no database, a damaged "
             "log), and "
             "go on with what is there. For one start, by a person who has looked"},
};

/* ---- the process ---- */

static int block_signals(sigset_t *ret, struct err *err) {
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    int failure = pthread_sigmask(SIG_BLOCK, ret, NULL);
    return failure == 0 ? 0 : err_set(err, ERR_UNAVAILABLE, "cannot block signals: %s", strerror(failure));
}

static void on_overdue(int signal_number) {
    (void)signal_number;
    static const char TEXT[] =
        "bgppeerd: stopping took too long; ending now (what was acknowledged is on disk)\n";
    ssize_t ignored = write(STDERR_FILENO, TEXT, sizeof(TEXT) - 1);
    (void)ignored;
    _exit(CLI_FAILURE);
}

/* From here a second signal ends the process, and so does the clock. */
static void limit_stopping(const sigset_t *signals) {
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGALRM, on_overdue);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    alarm(STOP_SECONDS);
}

/* ---- settings ---- */

static void start_log(const struct serve_settings *settings) {
    int level = LOG_DEBUG;
    while (strcmp(LOG_LEVELS[level], settings->log_level) != 0) {
        level++;
    }
    log_start(STDERR_FILENO, (enum log_level)level,
              strcmp(settings->log_format, "json") == 0 ? LOG_JSON : LOG_KEY_VALUE);
}

static int check_settings(const struct serve_settings *settings, struct ip_ranges *ret_ranges,
                          struct err *err) {
    const char *name = settings->secret_namespace;
    char why[256];
    if (!namespace_is_valid(name, why, sizeof(why))) {
        return err_set(err, ERR_USAGE, "--secret-namespace \"%.100s\" is not the name of a namespace: %s",
                       name, why);
    }
    struct err damage = ERR_INIT;
    if (settings->node_address_ranges != NULL &&
        ip_ranges_parse(settings->node_address_ranges, ret_ranges, &damage) != 0) {
        return err_set(err, ERR_USAGE, "--node-address-ranges: %.500s", damage.text);
    }
    return 0;
}

/* What starts all the same, and would be noticed too late. */
static void warn_about(const struct serve_settings *settings) {
    struct rlimit files;
    struct stat data;
    uint64_t wanted = settings->max_connections * settings->listen.count + FILES_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
        log_event(LOG_WARN, "open-files-limit", LOG_INT("limit", files.rlim_cur), LOG_INT("wanted", wanted),
                  LOG_STR("text",
                          "fewer connections can be open than --max-connections says; raise the limit of "
                          "open files (LimitNOFILE, ulimit -n), or lower --max-connections"));
    }
    if (stat(settings->data_dir, &data) == 0 && (data.st_mode & S_IWOTH) != 0) {
        log_event(LOG_WARN, "data-dir", LOG_STR("dir", settings->data_dir),
                  LOG_STR("text", "every user of this machine can replace the files in it: chmod o-w"));
    }
    cli_warn_variables();
}

/* ---- the service ---- */

struct service {
    struct store *store;
    struct vault *vault;
    struct state *state;
    struct http *http;
    struct start_files files;
};

static void stop_service(struct service *service) {
    http_stop(service->http);
    state_close(service->state);
    vault_close(service->vault);
    store_close(service->store);
    *service = (struct service){.http = NULL};
}

static int open_vault(const struct serve_settings *settings, struct service *service, struct err *err) {
    struct vault_options options = {.key_file = settings->vault_key_file,
                                    .credentials_dir = getenv("CREDENTIALS_DIRECTORY"),
                                    .passphrase_file = settings->vault_passphrase_file,
                                    .data_dir = settings->data_dir,
                                    .key_given = store_is_shared(service->store)};
    if (state_open_vault(service->store, &options, &service->vault, err) != 0) {
        return -1;
    }
    const char *warning = vault_warning(service->vault);
    log_event(LOG_INFO, "vault", LOG_STR("key", vault_source_text(service->vault)));
    if (warning[0] != '\0') {
        log_event(LOG_WARN, "vault", LOG_STR("text", warning));
    }
    return 0;
}

/* Of a service that had a database; the vault's is the default place of the key. */
static const char *const COMPANIONS[] = {DATAFILE_ADMIN_TOKEN, VAULT_KEY_FILE, NULL};

/* A start that went on although writes are missing: for the log and, so that nobody overlooks it, the trail.
 */
static void tell_accepted(const struct serve_settings *settings, const struct service *service) {
    const struct err *accepted = store_accepted(service->store);
    if (accepted != NULL) {
        log_event(LOG_WARN, "rollback-accepted", LOG_STR("instead", accepted->text));
        state_audit(service->state, &(struct audit_entry){.event = AUDIT_WRITE,
                                                          .time_ms = clock_realtime_ms(),
                                                          .user = "bgppeerd",
                                                          .verb = "accept-rollback",
                                                          .resource = "database"});
    } else if (settings->accept_rollback) {
        log_event(LOG_WARN, "rollback-not-needed",
                  LOG_STR("text",
                          "the database is complete; take --accept-rollback away again, or the next damage "
                          "will be accepted without a question"));
    }
}

static int start_service(const struct serve_settings *settings, const struct ip_ranges *ranges,
                         struct service *service, struct err *err) {
    if (random_start(err) != 0 || codec_start(err) != 0) {
        return -1;
    }
    struct store_options store = store_settings_options(&settings->store, settings->data_dir);
    store.companions = COMPANIONS;
    store.accept_rollback = settings->accept_rollback;
    struct state_options state = {.secret_namespace = settings->secret_namespace,
                                  .keep_changes = settings->keep_changes,
                                  .keep_history_ms = (int64_t)settings->keep_history * 24 * 3600 * 1000,
                                  .max_history_bytes = settings->max_history_bytes,
                                  .max_disruptive_sessions = settings->max_disruptive_sessions,
                                  .max_disruptive_percent = (unsigned)settings->max_disruptive_percent,
                                  .keep_audit = settings->keep_audit,
                                  .keep_transitions = settings->keep_transitions,
                                  .node_ranges = settings->node_address_ranges == NULL ? NULL : ranges};
    const struct http_options http = {.listen = settings->listen.items,
                                      .listen_count = settings->listen.count,
                                      .threads = (unsigned)settings->threads,
                                      .connections_max = (unsigned)settings->max_connections,
                                      .parked_max = (unsigned)settings->max_waiting,
                                      .watches_max = (unsigned)settings->max_watches,
                                      .header_bytes_max = (size_t)settings->max_header_bytes,
                                      .body_bytes_max = (size_t)settings->max_body_bytes,
                                      .body_seconds = (unsigned)settings->body_seconds,
                                      .connections_per_address =
                                          (unsigned)settings->max_connections_per_address,
                                      .requests_per_second = settings->no_auth ? 0 : settings->max_requests,
                                      .node_writes = settings->max_node_writes,
                                      .auth_failures = settings->max_auth_failures,
                                      .header_seconds = (unsigned)settings->header_seconds,
                                      .answer_seconds = (unsigned)settings->answer_seconds,
                                      .stall_seconds = (unsigned)settings->stall_seconds,
                                      .no_auth = settings->no_auth,
                                      .insecure_http = settings->insecure_http,
                                      .tls_cert = settings->tls_cert,
                                      .tls_key = settings->tls_key,
                                      .client_ca = settings->client_ca,
                                      .client_crl = settings->client_crl,
                                      .version = BGPPEERD_VERSION};
    if (http_check(&http, err) != 0 || store_open(&store, &service->store, err) != 0 ||
        open_vault(settings, service, err) != 0) {
        return -1;
    }
    state.vault = service->vault;
    if (state_open(service->store, &state, &service->state, err) != 0) {
        return -1;
    }
    service->files = (struct start_files){.state = service->state,
                                          .dir = settings->data_dir,
                                          .cert_file = settings->tls_cert,
                                          .token.is_needed = !settings->no_auth};
    (void)start_files_write(&service->files);
    if (http_start(&http, service->state, &service->http, err) != 0 ||
        state_resume_rotation(service->state, err) != 0) {
        return -1;
    }
    tell_accepted(settings, service);
    service->files.http = service->http;
    service->files.listen.is_needed = true;
    (void)start_files_write(&service->files);
    return 0;
}

static void announce(const struct service *service, int64_t started_ms) {
    for (size_t i = 0; http_address(service->http, i) != NULL; i++) {
        log_event(LOG_INFO, "ready", LOG_STR("listen", http_address(service->http, i)),
                  LOG_STR("version", BGPPEERD_VERSION), LOG_INT("pid", getpid()),
                  LOG_INT("ms", clock_monotonic_ms() - started_ms));
    }
    notify_manager("READY=1");
}

/* The next signal; meanwhile the files that a full disk has put off. */
static int next_signal(struct service *service, const sigset_t *signals) {
    static const struct timespec PAUSE = {.tv_sec = START_FILES_SECONDS};
    int signal_number = -1;
    while (signal_number < 0) {
        signal_number = start_files_write(&service->files) ? sigtimedwait(signals, NULL, &PAUSE)
                                                           : sigwaitinfo(signals, NULL);
    }
    return signal_number;
}

/* SIGHUP reads the TLS files again; the other signals end the wait. */
static int wait_for_stop(struct service *service, const sigset_t *signals) {
    for (;;) {
        int signal_number = next_signal(service, signals);
        struct err err = ERR_INIT;
        if (signal_number != SIGHUP) {
            return signal_number;
        }
        if (http_reload(service->http, &err) == 0) {
            log_event(LOG_INFO, "reloaded");
        } else {
            log_event(LOG_ERROR, "reload-failed", LOG_STR("error", err.text));
        }
    }
}

static int serve(const struct serve_settings *settings, const struct ip_ranges *ranges,
                 const sigset_t *signals, struct err *err) {
    struct service service = {.http = NULL};
    int64_t started_ms = clock_monotonic_ms();
    if (start_service(settings, ranges, &service, err) != 0) {
        stop_service(&service);
        return -1;
    }
    warn_about(settings);
    announce(&service, started_ms);
    int signal_number = wait_for_stop(&service, signals);
    limit_stopping(signals);
    notify_manager("STOPPING=1");
    log_event(LOG_INFO, "stopping", LOG_STR("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"));
    int64_t stopping_ms = clock_monotonic_ms();
    datafile_remove(settings->data_dir, DATAFILE_LISTEN);
    stop_service(&service);
    log_event(LOG_INFO, "stopped", LOG_INT("ms", clock_monotonic_ms() - stopping_ms));
    return 0;
}

static int run(const struct command *command, int argc, char **argv) {
    struct serve_settings settings = {.data_dir = NULL};
    struct ip_ranges ranges = {.count = 0};
    struct err err = ERR_INIT;
    sigset_t signals;
    bool wants_help;
    if (options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc, argv, &settings, NULL,
                      &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        command_print_help(command);
        return CLI_OK;
    }
    if (check_settings(&settings, &ranges, &err) != 0 || process_harden(&err) != 0 ||
        block_signals(&signals, &err) != 0) {
        return command_failed(&err);
    }
    start_log(&settings);
    int result = serve(&settings, &ranges, &signals, &err);
    bool json = strcmp(settings.log_format, "json") == 0;
    if (result != 0 && json) { /* whoever reads the log expects nothing else there */
        log_event(LOG_ERROR, "failed", LOG_STR("error", err.text));
    }
    log_stop();
    alarm(0); /* everything is closed: what the run-time does now is not what the clock was for */
    return result == 0 ? CLI_OK : json ? command_status(&err) : command_failed(&err);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "Run the service",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = run,
};
