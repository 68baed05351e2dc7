/*
 * GoBGP: its file, SIGHUP, and the gobgp program. Kept between calls is only which process was last told the
 * node's prefixes (GoBGP takes none from its file and forgets them when it ends), and was last asked for the
 * settings that it takes only when it starts.
 *
 * On SIGHUP GoBGP silently ignores another TTL or cluster ID of a session; such a session is taken out of the
 * file and put in again. Another export policy is not used for what was announced already: it is asked to go
 * through that again, or the session is reset. What `gobgp neighbor` prints has passwords in it and is shown
 * to nobody.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "child.h"
#include "driver.h"
#include "file.h"
#include "gobgp_text.h"

#define GOBGP_SECONDS      10
#define GOBGP_TAKE_MS      5000 /* until a SIGHUP is seen to be taken */
#define GOBGP_LOOK_MS      100
#define GOBGP_PREFIXES_MAX 4096

static const struct gobgp_text NO_TEXT = {.text = NULL};
static const char UNIX_TARGET[] = "unix://";

static pid_t gobgp_told;                        /* who knows our prefixes; 0 = nobody that we know of */
static pid_t gobgp_compared;                    /* whose settings were compared with the file; 0 = nobody's */
static char gobgp_pending[SESSION_PENDING_MAX]; /* what came of it */

/* ---- the process ---- */

/* Who listens on a socket of --control. */
static int gobgp_find_by_socket(const char *path, pid_t *ret, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    if (strlen(path) >= sizeof(address.sun_path)) {
        return err_set(err, ERR_USAGE, "--control %s is too long for a socket", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no socket: %s", strerror(errno));
    }
    int result = 0;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        bool away = errno == ENOENT || errno == ECONNREFUSED;
        result = err_set(err, away ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "cannot reach gobgpd on %s: %s", path,
                         strerror(errno));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
        result = err_set(err, ERR_UNAVAILABLE, "nobody knows which process listens on %s", path);
    }
    close(fd);
    *ret = peer.pid;
    return result;
}

static bool gobgp_is_name(const char *number) {
    char path[64], name[32] = "";
    snprintf(path, sizeof(path), "/proc/%.20s/comm", number);
    FILE *file = fopen(path, "re");
    bool is = file != NULL && fgets(name, sizeof(name), file) != NULL && strcmp(name, "gobgpd\n") == 0;
    if (file != NULL) {
        fclose(file);
    }
    return is;
}

/* For a control address that is no socket: the only process of that name. */
static int gobgp_find_by_name(pid_t *ret, struct err *err) {
    DIR *processes = opendir("/proc");
    pid_t found = 0;
    size_t count = 0;
    if (processes == NULL) {
        return err_set(err, ERR_UNAVAILABLE, "cannot look for gobgpd in /proc: %s", strerror(errno));
    }
    for (const struct dirent *entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
        uint64_t pid;
        if (u64_parse(entry->d_name, strlen(entry->d_name), INT32_MAX, &pid) &&
            gobgp_is_name(entry->d_name)) {
            found = (pid_t)pid;
            count++;
        }
    }
    closedir(processes);
    if (count == 1) {
        *ret = found;
        return 0;
    }
    return count == 0 ? err_set(err, ERR_NOT_FOUND, "gobgpd does not run")
                      : err_set(err, ERR_UNAVAILABLE,
                                "%zu processes are gobgpd; say which one by a socket: --control "
                                "unix:///run/gobgp/api.sock, and --api-hosts with the same for gobgpd",
                                count);
}

static int gobgp_find(struct host *host, pid_t *ret, struct err *err) {
    const char *control = host->settings->control;
    return strncmp(control, UNIX_TARGET, sizeof(UNIX_TARGET) - 1) == 0
               ? gobgp_find_by_socket(control + sizeof(UNIX_TARGET) - 1, ret, err)
               : gobgp_find_by_name(ret, err);
}

/* ---- the program ---- */

/* gobgp with some words, which end with NULL. */
static int gobgp_ask(struct host *host, const char *const *words, struct child_result *ret, struct err *err) {
    const char *argv[12] = {"gobgp", "--target", host->settings->control};
    size_t used = 3;
    for (size_t i = 0; words[i] != NULL && used + 1 < sizeof(argv) / sizeof(argv[0]); i++) {
        argv[used++] = words[i];
    }
    argv[used] = NULL;
    struct child child = {.argv = argv,
                          .seconds = GOBGP_SECONDS,
                          .failure = "the gobgp program does not work",
                          .code = ERR_UNAVAILABLE};
    return child_run(host->loop, &child, ret, err);
}

static int gobgp_tell(struct host *host, const char *const *words, struct err *err) {
    struct child_result said;
    int result = gobgp_ask(host, words, &said, err);
    child_result_done(&said);
    return result;
}

/* ---- prefixes ---- */

/* Tell GoBGP one thing about each prefix of `file` that is not in `except`. */
static int gobgp_tell_prefixes(struct host *host, const char *verb, const struct gobgp_text *file,
                               const struct gobgp_text *except, struct err *err) {
    char prefix[IP_CIDR_TEXT_MAX];
    const char *at = file->text;
    for (size_t i = 0; i < GOBGP_PREFIXES_MAX && at != NULL && gobgp_text_next_prefix(file, &at, prefix);
         i++) {
        const char *const words[] = {
            "global", "rib", verb, "-a", strchr(prefix, ':') != NULL ? "ipv6" : "ipv4", prefix, NULL};
        if (!gobgp_text_announces(except, prefix) && gobgp_tell(host, words, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- checking ---- */

/* Its message quotes the file only by names of keys and places. */
static bool gobgp_complains(const struct child_result *said, char *ret, size_t size) {
    static const char MEMBER[] = "\"Error\":\"";
    const char *words = strstr(child_words(said), MEMBER);
    if (words != NULL) {
        words += sizeof(MEMBER) - 1;
        snprintf(ret, size, "%.*s", (int)strcspn(words, "\"\n"), words);
    }
    return false;
}

static int gobgp_check(struct host *host, const char *path, struct err *err) {
    const char *const argv[] = {"gobgpd", "-d", "-f", path, NULL};
    struct child child = {.argv = argv,
                          .seconds = GOBGP_SECONDS,
                          .failure = "gobgpd -d refuses the configuration",
                          .code = ERR_INVALID,
                          .complains = gobgp_complains};
    return child_tell(host->loop, &child, err);
}

/* ---- applying ---- */

static int gobgp_signal(struct host *host, struct err *err) {
    pid_t pid = 0;
    if (gobgp_find(host, &pid, err) != 0) {
        return -1;
    }
    return kill(pid, SIGHUP) == 0
               ? 0
               : err_set(err, ERR_UNAVAILABLE, "cannot signal gobgpd (%d): %s", (int)pid, strerror(errno));
}

static int gobgp_look(struct host *host, struct session_list *ret, struct err *err) {
    const char *const words[] = {"-j", "neighbor", NULL};
    struct child_result said;
    int result = gobgp_ask(host, words, &said, err);
    if (result == 0) {
        snprintf(ret->daemon, sizeof(ret->daemon), "GoBGP");
        result = gobgp_sessions(child_words(&said), said.out.len, ret, err);
    }
    child_result_done(&said);
    if (result == 0 && host->expected != NULL) {
        session_list_take_ports(ret, host->expected);
    }
    return result;
}

/* Does GoBGP have exactly the sessions that it is to have, as far as it tells? */
static bool gobgp_has(const struct expected *wanted, const struct session_list *sessions, const bool *out) {
    for (size_t i = 0; i < wanted->count; i++) {
        const struct expected_session *expected = &wanted->sessions[i];
        const struct session *session = session_list_find(sessions, &expected->peer, expected->port);
        bool absent = expected->left_out || (out != NULL && out[i]);
        if ((session == NULL) != absent) {
            return false;
        }
        if (session != NULL && expected->on &&
            ((session->key == KEY_PRESENT) != expected->password ||
             session->ttl_hops != (int)expected->ttl_security)) {
            return false;
        }
    }
    return true;
}

/* Until the daemon has what the file says, without the sessions of `out` (NULL: with all). In the end what it
 * has is for others to judge. */
static int gobgp_wait_taken(struct host *host, const struct expected *wanted, const bool *out,
                            struct err *err) {
    int64_t until = clock_monotonic_ms() + GOBGP_TAKE_MS;
    for (;;) {
        struct session_list sessions = {.count = 0};
        bool taken = gobgp_look(host, &sessions, err) == 0 && gobgp_has(wanted, &sessions, out);
        session_list_done(&sessions);
        if (taken || clock_monotonic_ms() >= until) {
            err_clear(err);
            return 0;
        }
        if (!loop_sleep(host->loop, GOBGP_LOOK_MS)) {
            return loop_stopped(err);
        }
    }
}

/* The file `text` without the sessions of `out`, into the file's place. */
static int gobgp_write_without(struct host *host, const struct gobgp_text *file,
                               const struct expected *wanted, const bool *out, struct err *err) {
    struct buf rest = {.wipe = true};
    const struct agent_settings *settings = host->settings;
    buf_add(&rest, file->text, file->len);
    for (size_t i = 0; i < wanted->count; i++) {
        size_t part_len = 0;
        const struct gobgp_text whole = {rest.data, rest.len};
        const char *part = out[i] ? gobgp_text_session(&whole, &wanted->sessions[i].peer, &part_len) : NULL;
        if (part != NULL) {
            size_t start = (size_t)(part - rest.data);
            memmove(rest.data + start, rest.data + start + part_len, rest.len - start - part_len);
            buf_truncate(&rest, rest.len - part_len);
        }
    }
    int result = buf_failed(&rest) ? err_no_memory(err)
                                   : file_write(settings->real_config, rest.data, rest.len, settings->group,
                                                settings->driver->mode, err);
    buf_done(&rest);
    return result;
}

/* Sessions whose change SIGHUP ignores leave GoBGP first. */
static int gobgp_take_out(struct host *host, const struct gobgp_text *before, const struct gobgp_text *now,
                          const struct expected *wanted, struct err *err) {
    static bool out[SESSION_COUNT_MAX];
    bool any = false;
    for (size_t i = 0; i < wanted->count; i++) {
        out[i] = gobgp_text_must_renew(before, now, &wanted->sessions[i].peer);
        any = any || out[i];
    }
    if (!any) {
        return 0;
    }
    const struct agent_settings *settings = host->settings;
    int result = gobgp_write_without(host, now, wanted, out, err);
    if (result == 0) {
        result = gobgp_signal(host, err);
    }
    if (result == 0) {
        result = gobgp_wait_taken(host, wanted, out, err);
    }
    struct err late = ERR_INIT;
    /* Whatever happened, the whole file comes back. */
    if (file_write(settings->real_config, now->text, now->len, settings->group, settings->driver->mode,
                   &late) != 0 &&
        result == 0) {
        *err = late;
        result = -1;
    }
    return result;
}

/*
 * SIGHUP uses another export policy only for what changes from then on. What was announced under the old one
 * is gone through again: softly, when it is the same routes; but routes that are no longer to be announced
 * GoBGP withdraws only by ending the session. A program is run for one session, or one for all.
 */
static int gobgp_announce_again(struct host *host, const struct gobgp_text *before,
                                const struct gobgp_text *now, const struct expected *wanted,
                                struct err *err) {
    char address[IP_TEXT_MAX], soft[IP_TEXT_MAX] = "";
    size_t count = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        enum gobgp_exports exports = gobgp_text_exports(before, now, &wanted->sessions[i].peer);
        ip_format(&wanted->sessions[i].peer, address);
        const char *const words[] = {"neighbor", address, "reset", NULL};
        if (exports == GOBGP_EXPORTS_DECIDED && wanted->sessions[i].on && gobgp_tell(host, words, err) != 0) {
            return -1;
        }
        if (exports == GOBGP_EXPORTS_CHANGED) {
            memcpy(soft, address, sizeof(soft));
            count++;
        }
    }
    const char *const words[] = {"neighbor", count == 1 ? soft : "all", "softresetout", NULL};
    return count > 0 ? gobgp_tell(host, words, err) : 0;
}

/* What restarts though its part of the file is the same. */
static void gobgp_mark(struct change *change) {
    const struct gobgp_text before = {change->old_text, change->old_len}, now = {change->text, change->len};
    change->everything_restarts = change->everything_restarts || gobgp_text_as_differs(&before, &now);
    for (size_t i = 0; i < change->now.count; i++) {
        struct expected_session *session = &change->now.sessions[i];
        session->restarts = gobgp_text_exports(&before, &now, &session->peer) == GOBGP_EXPORTS_DECIDED;
    }
}

/* SIGHUP leaves down what was shut down at run time, by hand or by the agent. */
static int gobgp_enable(struct host *host, const struct expected *wanted, struct err *err) {
    struct session_list sessions = {.count = 0};
    int result = gobgp_look(host, &sessions, err);
    for (size_t i = 0; i < wanted->count && result == 0; i++) {
        const struct expected_session *expected = &wanted->sessions[i];
        const struct session *session = session_list_find(&sessions, &expected->peer, expected->port);
        char address[IP_TEXT_MAX];
        if (expected->on && session != NULL && session->disabled) {
            ip_format(&expected->peer, address);
            result = gobgp_tell(host, (const char *const[]){"neighbor", address, "enable", NULL}, err);
        }
    }
    session_list_done(&sessions);
    return result;
}

/* From one file to another; the second one is installed. */
static int gobgp_go(struct host *host, const struct gobgp_text *before, const struct gobgp_text *now,
                    const struct expected *wanted, struct err *err) {
    pid_t pid = 0;
    if (gobgp_find(host, &pid, err) != 0 || gobgp_take_out(host, before, now, wanted, err) != 0 ||
        gobgp_signal(host, err) != 0 || gobgp_wait_taken(host, wanted, NULL, err) != 0 ||
        gobgp_enable(host, wanted, err) != 0) {
        return -1;
    }
    gobgp_told = gobgp_compared = 0;
    if (gobgp_tell_prefixes(host, "del", before, now, err) != 0) {
        err_clear(err); /* it did not have it */
    }
    if (gobgp_tell_prefixes(host, "add", now, &NO_TEXT, err) != 0 ||
        gobgp_announce_again(host, before, now, wanted, err) != 0) {
        return -1;
    }
    gobgp_told = pid;
    return 0;
}

static int gobgp_apply(struct host *host, const struct change *change, struct err *err) {
    const struct gobgp_text before = {change->old_text, change->old_len}, now = {change->text, change->len};
    return gobgp_go(host, &before, &now, &change->now, err);
}

static int gobgp_undo(struct host *host, const struct change *change, struct err *err) {
    const struct gobgp_text before = {change->old_text, change->old_len}, now = {change->text, change->len};
    return before.text != NULL ? gobgp_go(host, &now, &before, &change->before, err) : 0;
}

/* ---- asking ---- */

/* What the running daemon has of the settings that it takes only when it starts. */
static int gobgp_compare(struct host *host, const struct gobgp_text *file, struct err *err) {
    const char *const words[] = {"-j", "global", NULL};
    struct child_result said;
    struct buf running = BUF_INIT;
    char settings[64];
    int result = gobgp_ask(host, words, &said, err);
    if (result == 0) {
        result = gobgp_global(child_words(&said), said.out.len, &running, err);
    }
    if (result == 0) {
        const struct gobgp_text runs = {running.data, running.len};
        gobgp_text_compare_global(file, &runs, settings, sizeof(settings));
        gobgp_pending[0] = '\0';
        if (settings[0] != '\0') {
            snprintf(gobgp_pending, sizeof(gobgp_pending),
                     "GoBGP takes these settings of the list only when it starts; restart it: %s", settings);
        }
    }
    child_result_done(&said);
    buf_done(&running);
    return result;
}

/* What is to be done once for each start of GoBGP, and after each change: it has read the file itself, and
 * knows no prefix. */
static int gobgp_meet(struct host *host, pid_t pid, struct err *err) {
    struct buf text = {.wipe = true};
    int result = file_read(host->settings->real_config, FILE_TEXT_MAX, &text, err);
    const struct gobgp_text file = {text.data, text.len};
    if (result == 0 && pid != gobgp_told) {
        result = gobgp_tell_prefixes(host, "add", &file, &NO_TEXT, err);
        if (result == 0) {
            gobgp_told = pid;
            log_event(LOG_INFO, "prefixes-told", LOG_INT("pid", pid));
        }
    }
    if (result == 0 && gobgp_compare(host, &file, err) == 0) {
        gobgp_compared = pid;
    } else {
        result = -1;
    }
    buf_done(&text);
    return result;
}

static int gobgp_read(struct host *host, struct session_list *ret, struct err *err) {
    pid_t pid = 0;
    if (gobgp_find(host, &pid, err) != 0) {
        return -1;
    }
    bool is_ours = host->expected != NULL && host->expected->node[0] != '\0';
    if (is_ours && (pid != gobgp_told || pid != gobgp_compared) && gobgp_meet(host, pid, err) != 0) {
        return -1;
    }
    snprintf(ret->pending, sizeof(ret->pending), "%s", is_ours ? gobgp_pending : "");
    return gobgp_look(host, ret, err);
}

static int gobgp_shut(struct host *host, const struct expected_session *session, struct err *err) {
    char address[IP_TEXT_MAX];
    ip_format(&session->peer, address);
    return gobgp_tell(host, (const char *const[]){"neighbor", address, "disable", NULL}, err);
}

static int gobgp_withdraw(struct host *host, const struct expected *expected, struct err *err) {
    for (size_t i = 0; i < expected->count; i++) {
        if (!expected->sessions[i].left_out && gobgp_shut(host, &expected->sessions[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

const struct driver DRIVER_GOBGP = {
    .name = "gobgp",
    .format = "gobgp",
    .comment = "# ",
    .config = "/etc/gobgpd.conf",
    .control = "unix:///run/gobgp/api.sock",
    .group = "",
    .append = "/etc/gobgpd.local.conf",
    .mode = 0640,
    .read_ms = 3000,
    .restart_lines = (const char *const[]){NULL},
    .check = gobgp_check,
    .mark = gobgp_mark,
    .apply = gobgp_apply,
    .undo = gobgp_undo,
    .read = gobgp_read,
    .shut = gobgp_shut,
    .withdraw = gobgp_withdraw,
};
