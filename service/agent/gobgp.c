/*
 * GoBGP: its file, SIGHUP, and the gobgp program. Kept between calls is only which process was last told the
 * node's prefixes: GoBGP takes none from its file and forgets them when it ends.
 *
 * On SIGHUP GoBGP silently ignores another TTL or cluster ID of a session; such a session is taken out of the
 * file and put in again. What `gobgp neighbor` prints has passwords in it and is shown to nobody.
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

#define GOBGP_SECONDS      10
#define GOBGP_TAKE_MS      5000 /* until a SIGHUP is seen to be taken */
#define GOBGP_LOOK_MS      100
#define GOBGP_PREFIXES_MAX 4096

static const char ANNOUNCE[] = "# announce ";
static const char UNIX_TARGET[] = "unix://";

static pid_t gobgp_told; /* who knows our prefixes; 0 = nobody that we know of */

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

/* The next prefix that a file announces; false: there is none. */
static bool gobgp_next_prefix(const char **at, const char *end, char ret[IP_CIDR_TEXT_MAX]) {
    while (*at < end) {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        const char *line = *at;
        size_t len = (size_t)((newline != NULL ? newline : end) - line);
        *at += len + 1;
        size_t start = sizeof(ANNOUNCE) - 1;
        struct ip_cidr cidr;
        if (len > start && len - start < IP_CIDR_TEXT_MAX && memcmp(line, ANNOUNCE, start) == 0 &&
            ip_parse_cidr(line + start, len - start, &cidr)) {
            snprintf(ret, IP_CIDR_TEXT_MAX, "%.*s", (int)(len - start), line + start);
            return true;
        }
    }
    return false;
}

static bool gobgp_announces(const char *text, size_t len, const char *prefix) {
    char other[IP_CIDR_TEXT_MAX];
    const char *at = text;
    while (at != NULL && gobgp_next_prefix(&at, text + len, other)) {
        if (strcmp(other, prefix) == 0) {
            return true;
        }
    }
    return false;
}

/* Tell GoBGP one thing about each prefix of `text` that is not in `except`. */
static int gobgp_tell_prefixes(struct host *host, const char *verb, const char *text, size_t len,
                               const char *except, size_t except_len, struct err *err) {
    char prefix[IP_CIDR_TEXT_MAX];
    const char *at = text;
    for (size_t i = 0; i < GOBGP_PREFIXES_MAX && at != NULL && gobgp_next_prefix(&at, text + len, prefix);
         i++) {
        const char *const words[] = {
            "global", "rib", verb, "-a", strchr(prefix, ':') != NULL ? "ipv6" : "ipv4", prefix, NULL};
        if (!gobgp_announces(except, except_len, prefix) && gobgp_tell(host, words, err) != 0) {
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

/* What SIGHUP ignores. */
static bool gobgp_is_ignored_line(const char *line, size_t len) {
    static const char *const KEYS[] = {"ttl-min ",
                                       "multihop-ttl ",
                                       "route-reflector-cluster-id ",
                                       "route-reflector-client ",
                                       "[neighbors.ttl-security.config]",
                                       "[neighbors.ebgp-multihop.config]"};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        size_t key = strlen(KEYS[i]);
        if (len >= key && memcmp(line, KEYS[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* The part of a session in a file: behind its comment, up to the next one's. */
static const char *gobgp_part(const char *text, size_t len, const struct ip_addr *peer, size_t *ret_len) {
    char address[IP_TEXT_MAX], first[IP_TEXT_MAX + 32];
    ip_format(peer, address);
    int first_len = snprintf(first, sizeof(first), "# session peerIP=%s ", address);
    const char *start = text != NULL ? memmem(text, len, first, (size_t)first_len) : NULL;
    if (start == NULL) {
        return NULL;
    }
    static const char NEXT[] = "\n# session ";
    const char *end = memmem(start + 1, (size_t)(text + len - start - 1), NEXT, sizeof(NEXT) - 1);
    *ret_len = (size_t)((end != NULL ? end + 1 : text + len) - start);
    return start;
}

static void gobgp_ignored_lines(const char *text, size_t len, const struct ip_addr *peer, struct buf *ret) {
    size_t left = 0;
    const char *at = gobgp_part(text, len, peer, &left);
    while (at != NULL && left > 0) {
        const char *newline = memchr(at, '\n', left);
        size_t line = newline != NULL ? (size_t)(newline - at) : left;
        if (gobgp_is_ignored_line(at, line)) {
            buf_add(ret, at, line);
            buf_add_char(ret, '\n');
        }
        at += line + (newline != NULL ? 1 : 0);
        left -= line + (newline != NULL ? 1 : 0);
    }
}

/* Does a session have to be taken out and put in again? */
static bool gobgp_must_renew(const char *old_text, size_t old_len, const char *text, size_t len,
                             const struct ip_addr *peer) {
    struct buf before = BUF_INIT, now = BUF_INIT;
    size_t part;
    if (gobgp_part(old_text, old_len, peer, &part) == NULL || gobgp_part(text, len, peer, &part) == NULL) {
        return false;
    }
    gobgp_ignored_lines(old_text, old_len, peer, &before);
    gobgp_ignored_lines(text, len, peer, &now);
    bool differs = before.len != now.len || (now.len > 0 && memcmp(before.data, now.data, now.len) != 0);
    buf_done(&before);
    buf_done(&now);
    return differs;
}

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
static int gobgp_write_without(struct host *host, const char *text, size_t len, const struct expected *wanted,
                               const bool *out, struct err *err) {
    struct buf rest = {.wipe = true};
    const struct agent_settings *settings = host->settings;
    buf_add(&rest, text, len);
    for (size_t i = 0; i < wanted->count; i++) {
        size_t part_len = 0;
        const char *part = out[i] && rest.data != NULL
                               ? gobgp_part(rest.data, rest.len, &wanted->sessions[i].peer, &part_len)
                               : NULL;
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
static int gobgp_take_out(struct host *host, const char *old_text, size_t old_len, const char *text,
                          size_t len, const struct expected *wanted, struct err *err) {
    static bool out[SESSION_COUNT_MAX];
    bool any = false;
    for (size_t i = 0; i < wanted->count; i++) {
        out[i] = gobgp_must_renew(old_text, old_len, text, len, &wanted->sessions[i].peer);
        any = any || out[i];
    }
    if (!any) {
        return 0;
    }
    const struct agent_settings *settings = host->settings;
    int result = gobgp_write_without(host, text, len, wanted, out, err);
    if (result == 0) {
        result = gobgp_signal(host, err);
    }
    if (result == 0) {
        result = gobgp_wait_taken(host, wanted, out, err);
    }
    struct err late = ERR_INIT;
    /* Whatever happened, the whole file comes back. */
    if (file_write(settings->real_config, text, len, settings->group, settings->driver->mode, &late) != 0 &&
        result == 0) {
        *err = late;
        result = -1;
    }
    return result;
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

/* From one text to another; the second one is installed. */
static int gobgp_go(struct host *host, const char *old_text, size_t old_len, const char *text, size_t len,
                    const struct expected *wanted, struct err *err) {
    pid_t pid = 0;
    if (gobgp_find(host, &pid, err) != 0 ||
        gobgp_take_out(host, old_text, old_len, text, len, wanted, err) != 0 ||
        gobgp_signal(host, err) != 0 || gobgp_wait_taken(host, wanted, NULL, err) != 0 ||
        gobgp_enable(host, wanted, err) != 0) {
        return -1;
    }
    gobgp_told = 0;
    if (gobgp_tell_prefixes(host, "del", old_text, old_len, text, len, err) != 0) {
        err_clear(err); /* it did not have it */
    }
    if (gobgp_tell_prefixes(host, "add", text, len, NULL, 0, err) != 0) {
        return -1;
    }
    gobgp_told = pid;
    return 0;
}

static int gobgp_apply(struct host *host, const struct change *change, struct err *err) {
    return gobgp_go(host, change->old_text, change->old_len, change->text, change->len, &change->now, err);
}

static int gobgp_undo(struct host *host, const struct change *change, struct err *err) {
    return change->old_text != NULL ? gobgp_go(host, change->text, change->len, change->old_text,
                                               change->old_len, &change->before, err)
                                    : 0;
}

/* ---- asking ---- */

/* A GoBGP that has started since has read the file, and knows no prefix. */
static int gobgp_tell_again(struct host *host, pid_t pid, struct err *err) {
    struct buf text = {.wipe = true};
    int result = file_read(host->settings->real_config, FILE_TEXT_MAX, &text, err);
    if (result == 0) {
        result = gobgp_tell_prefixes(host, "add", text.data, text.len, NULL, 0, err);
    }
    if (result == 0) {
        gobgp_told = pid;
        log_event(LOG_INFO, "prefixes-told", LOG_INT("pid", pid));
    }
    buf_done(&text);
    return result;
}

static int gobgp_read(struct host *host, struct session_list *ret, struct err *err) {
    pid_t pid = 0;
    if (gobgp_find(host, &pid, err) != 0) {
        return -1;
    }
    if (pid != gobgp_told && host->expected != NULL && host->expected->node[0] != '\0' &&
        gobgp_tell_again(host, pid, err) != 0) {
        return -1;
    }
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
    .apply = gobgp_apply,
    .undo = gobgp_undo,
    .read = gobgp_read,
    .shut = gobgp_shut,
    .withdraw = gobgp_withdraw,
};
