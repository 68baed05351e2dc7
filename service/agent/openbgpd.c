/*
 * OpenBGPD: bgpctl. Nothing is kept between calls.
 *
 * A reload never touches a session that runs: another password, AS or `down` is used only after the session
 * was cleared. So the agent compares the old and the new block of each session and clears those that differ.
 * bgpctl's exit status says nothing about a reload, its words do.
 *
 * A reload opens new listeners before it closes old ones. So from "every address" to single ones, or back, it
 * goes by way of a listener that is in nobody's way.
 *
 * OpenBGPD does not say whether a session has its key. The renderer never writes what makes it fail open
 * (`local-address` beside a password), and the checker refuses passwords that it cannot take.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "answers.h"
#include "child.h"
#include "driver.h"
#include "file.h"

#define OPENBGPD_LOCAL_FILE                                                                                  \
    "/etc/bgpd.local.conf" /* of the host's own additions; the rendered file includes it */
#define OPENBGPD_SECONDS 10
/* Only this host reaches it, and by a port that has no use. */
#define OPENBGPD_LISTEN_ASIDE "listen on 127.0.0.1 port 1\n"

/* ---- programs ---- */

/* Its answer to a request that it has understood; its status says nothing about that. */
static bool openbgpd_is_refused(const struct child_result *said, char *ret, size_t size) {
    child_last_line(said, ret, size);
    return strstr(child_words(said), "request processed") == NULL;
}

/* bgpctl with up to three words. */
static int openbgpd_run(struct host *host, struct child *child, const char *const words[3],
                        struct child_result *ret, struct err *err) {
    const char *const argv[] = {"bgpctl", "-s", host->settings->control, words[0], words[1], words[2], NULL};
    child->argv = argv;
    child->seconds = OPENBGPD_SECONDS;
    int result = child_run(host->loop, child, ret, err);
    child->argv = NULL;
    if (result != 0 && strstr(err->text, "connect") != NULL) {
        err->code = ERR_NOT_FOUND;
    }
    return result;
}

static int openbgpd_tell(struct host *host, const struct ip_addr *peer, const char *action, struct err *err) {
    char address[IP_TEXT_MAX];
    ip_format(peer, address);
    struct child child = {.finish = true,
                          .failure = "bgpctl neighbor does not work",
                          .code = ERR_UNAVAILABLE,
                          .complains = child_first_line};
    struct child_result said;
    int result = openbgpd_run(host, &child, (const char *const[]){"neighbor", address, action}, &said, err);
    child_result_done(&said);
    return result;
}

/* ---- checking ---- */

/* What is included must exist. */
static int openbgpd_prepare(struct host *host, struct err *err) {
    (void)host;
    int fd = open(OPENBGPD_LOCAL_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot make %s, which the configuration includes: %s",
                       OPENBGPD_LOCAL_FILE, strerror(errno));
    }
    close(fd);
    return 0;
}

static int openbgpd_check(struct host *host, const char *path, struct err *err) {
    /* FRR's bgpd has the same name and is not in PATH. */
    const char *const argv[] = {"bgpd", "-n", "-f", path, NULL};
    struct child child = {.argv = argv,
                          .seconds = OPENBGPD_SECONDS,
                          .failure = "bgpd -n refuses the configuration",
                          .code = ERR_INVALID,
                          .complains = child_first_line};
    return child_tell(host->loop, &child, err);
}

/* ---- blocks ---- */

static bool openbgpd_begins(const char *line, size_t len, const char *with) {
    size_t with_len = strlen(with);
    return len >= with_len && memcmp(line, with, with_len) == 0;
}

/*
 * A session's block, "neighbor ADDRESS {" to "}", without the lines that a reload puts into force by itself,
 * or that may wait until the session is opened the next time. Empty: there is none.
 */
static void openbgpd_block(const char *text, size_t len, const struct ip_addr *peer, struct buf *ret) {
    char address[IP_TEXT_MAX], first[IP_TEXT_MAX + 16];
    ip_format(peer, address);
    int first_len = snprintf(first, sizeof(first), "neighbor %s {", address);
    bool inside = false;
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline != NULL ? newline : end) - text);
        if (inside && line == 1 && text[0] == '}') {
            return;
        }
        bool soft = openbgpd_begins(text, line, "  set ") || openbgpd_begins(text, line, "  holdtime ");
        if (inside && !soft) {
            buf_add(ret, text, line);
            buf_add_char(ret, '\n');
        }
        inside = inside || (line == (size_t)first_len && memcmp(text, first, line) == 0);
        text += line + 1;
    }
}

static bool openbgpd_differs(const struct change *change, const struct ip_addr *peer) {
    struct buf now = {.wipe = true}, before = {.wipe = true};
    openbgpd_block(change->text, change->len, peer, &now);
    openbgpd_block(change->old_text != NULL ? change->old_text : "", change->old_len, peer, &before);
    /* When in doubt, the session is cleared. */
    bool differs = buf_failed(&now) || buf_failed(&before) || now.len != before.len ||
                   (now.len > 0 && memcmp(now.data, before.data, now.len) != 0);
    buf_done(&now);
    buf_done(&before);
    return differs;
}

/* ---- listeners ---- */

/* The lines of the file that open listeners, or all others. */
static void openbgpd_copy_lines(const char *text, size_t len, bool listeners, struct buf *ret) {
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline != NULL ? newline : end) - text);
        if (openbgpd_begins(text, line, "listen on ") == listeners) {
            buf_add(ret, text, line);
            buf_add_char(ret, '\n');
        }
        text += line + 1;
    }
}

static bool openbgpd_listens_elsewhere(const struct change *change) {
    struct buf now = BUF_INIT, before = BUF_INIT;
    openbgpd_copy_lines(change->text, change->len, true, &now);
    openbgpd_copy_lines(change->old_text != NULL ? change->old_text : "", change->old_len, true, &before);
    bool differs = now.len != before.len || (now.len > 0 && memcmp(now.data, before.data, now.len) != 0);
    buf_done(&now);
    buf_done(&before);
    return differs;
}

/* ---- applying ---- */

static int openbgpd_reload(struct host *host, struct err *err) {
    struct child child = {.finish = true,
                          .failure = "bgpctl reload does not work",
                          .code = ERR_INVALID,
                          .complains = openbgpd_is_refused};
    struct child_result said;
    int result = openbgpd_run(host, &child, (const char *const[]){"reload", NULL, NULL}, &said, err);
    child_result_done(&said);
    return result;
}

/* The file `text` with a listener that nothing else can have, into the file's place and the daemon. */
static int openbgpd_step_aside(struct host *host, const char *text, size_t len, struct err *err) {
    const struct agent_settings *settings = host->settings;
    struct buf aside = {.wipe = true};
    openbgpd_copy_lines(text, len, false, &aside);
    buf_add_str(&aside, OPENBGPD_LISTEN_ASIDE);
    int result = buf_failed(&aside) ? err_no_memory(err)
                                    : file_write(settings->real_config, aside.data, aside.len,
                                                 settings->group, settings->driver->mode, err);
    if (result == 0) {
        struct err late = ERR_INIT;
        result = openbgpd_reload(host, err);
        /* Whatever happened, the whole file comes back. */
        if (file_write(settings->real_config, text, len, settings->group, settings->driver->mode, &late) !=
                0 &&
            result == 0) {
            *err = late;
            result = -1;
        }
    }
    buf_done(&aside);
    return result;
}

/* The file in its place is `text`. */
static int openbgpd_load(struct host *host, const struct change *change, const char *text, size_t len,
                         struct err *err) {
    struct err first = ERR_INIT;
    if (openbgpd_reload(host, &first) == 0) {
        return 0;
    }
    if (first.code != ERR_INVALID || !openbgpd_listens_elsewhere(change)) {
        *err = first;
        return -1;
    }
    return openbgpd_step_aside(host, text, len, err) == 0 ? openbgpd_reload(host, err) : -1;
}

/* Put into force what the reload has left as it was. `back`: it is the old file that was loaded. */
static int openbgpd_settle(struct host *host, const struct change *change, bool back, struct err *err) {
    const struct expected *wanted = back ? &change->before : &change->now;
    const struct expected *other = back ? &change->now : &change->before;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct expected_session *session = &wanted->sessions[i];
        const struct expected_session *was = expected_find(other, &session->peer, session->port);
        const struct session *runs = session_list_find(&change->sessions, &session->peer, session->port);
        if (session->left_out) {
            continue;
        }
        const char *action = NULL;
        if (!session->on) {
            action = "down";
        } else if ((was != NULL && !was->on) || (runs != NULL && runs->disabled)) {
            action = "up"; /* also what was shut down by hand, or by the agent */
        } else if (change->everything_restarts || openbgpd_differs(change, &session->peer)) {
            action = "clear";
        }
        if (action != NULL && openbgpd_tell(host, &session->peer, action, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int openbgpd_apply(struct host *host, const struct change *change, struct err *err) {
    return openbgpd_load(host, change, change->text, change->len, err) == 0
               ? openbgpd_settle(host, change, false, err)
               : -1;
}

static int openbgpd_undo(struct host *host, const struct change *change, struct err *err) {
    if (change->old_text == NULL) {
        return 0;
    }
    return openbgpd_load(host, change, change->old_text, change->old_len, err) == 0
               ? openbgpd_settle(host, change, true, err)
               : -1;
}

/* ---- asking ---- */

static int openbgpd_read(struct host *host, struct session_list *ret, struct err *err) {
    struct child child = {.failure = "bgpctl show neighbor does not work",
                          .code = ERR_UNAVAILABLE,
                          .complains = child_first_line};
    struct child_result said;
    int result = openbgpd_run(host, &child, (const char *const[]){"-j", "show", "neighbor"}, &said, err);
    if (result == 0) {
        snprintf(ret->daemon, sizeof(ret->daemon), "OpenBGPD");
        result = openbgpd_sessions(child_words(&said), said.out.len, ret, err);
    }
    child_result_done(&said);
    if (result == 0 && host->expected != NULL) {
        session_list_take_ports(ret, host->expected);
    }
    return result;
}

static int openbgpd_shut(struct host *host, const struct expected_session *session, struct err *err) {
    return openbgpd_tell(host, &session->peer, "down", err);
}

static int openbgpd_withdraw(struct host *host, const struct expected *expected, struct err *err) {
    for (size_t i = 0; i < expected->count; i++) {
        if (!expected->sessions[i].left_out &&
            openbgpd_tell(host, &expected->sessions[i].peer, "down", err) != 0) {
            return -1;
        }
    }
    return 0;
}

const struct driver DRIVER_OPENBGPD = {
    .name = "openbgpd",
    .format = "openbgpd",
    .comment = "# ",
    .config = "/etc/bgpd.conf",
    .control = "/run/openbgpd/bgpd.sock.0",
    .group = "",
    .mode = 0600,
    .read_ms = 3000,
    .restart_lines = (const char *const[]){"AS ", "router-id ", NULL},
    .prepare = openbgpd_prepare,
    .check = openbgpd_check,
    .apply = openbgpd_apply,
    .undo = openbgpd_undo,
    .read = openbgpd_read,
    .shut = openbgpd_shut,
    .withdraw = openbgpd_withdraw,
};
