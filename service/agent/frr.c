/*
 * FRR: vtysh and frr-reload.py, which are its interface. Nothing is kept between calls.
 *
 * FRR fails open: it goes on without a line that it does not take, and then runs a session without its
 * password. So both of its checkers must be silent, and every password is read back after each change and at
 * each look; a session that lacks it is shut down. What frr-reload.py and vtysh print may have passwords in
 * it and is shown to nobody but as line numbers.
 *
 * frr-reload.py writes frr.conf of its configuration directory itself, with what runs, unless it is exactly
 * the file that it was given. So the file is put into its place first and named in full.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answers.h"
#include "child.h"
#include "driver.h"
#include "file.h"

#define FRR_FILE           "frr.conf"
#define FRR_ASK_SECONDS    10
#define FRR_CHECK_SECONDS  30
#define FRR_RELOAD_SECONDS 120
#define FRR_SHUT_AT_ONCE   64 /* sessions in one call of vtysh */

/* Where distributions have the programs that are not in PATH. */
static const char *const DIRECTORIES[] = {"/usr/lib/frr", "/usr/libexec/frr", "/usr/lib64/frr",
                                          "/usr/local/sbin"};

static int frr_program(const char *name, char ret[PATH_MAX], struct err *err) {
    for (size_t i = 0; i < sizeof(DIRECTORIES) / sizeof(DIRECTORIES[0]); i++) {
        snprintf(ret, PATH_MAX, "%s/%s", DIRECTORIES[i], name);
        if (access(ret, X_OK) == 0) {
            return 0;
        }
    }
    return err_set(err, ERR_UNAVAILABLE, "%s is not installed (Debian: frr, frr-pythontools)", name);
}

/* Does bgpd run? Without it vtysh would only say that it has failed. */
static int frr_find_daemon(struct host *host, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/bgpd.vty", host->settings->control);
    if (len >= (int)sizeof(address.sun_path)) {
        return err_set(err, ERR_USAGE, "--control %s is too long for a socket", host->settings->control);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return err_set(err, ERR_UNAVAILABLE, "no socket: %s", strerror(errno));
    }
    int result = 0;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        bool away = errno == ENOENT || errno == ECONNREFUSED;
        result = err_set(err, away ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "cannot reach FRR's bgpd on %s: %s",
                         address.sun_path, strerror(errno));
    }
    close(fd);
    return result;
}

/* ---- checking ---- */

/* The status of its checkers says nothing. */
static bool frr_complains(const struct child_result *said, char *ret, size_t size) {
    return frr_complaint(said->err.data, said->err.len, ret, size) ||
           frr_complaint(said->out.data, said->out.len, ret, size);
}

/* frr-reload.py says by its status whether it has failed, and shows lines of the file besides. */
static bool frr_quote(const struct child_result *said, char *ret, size_t size) {
    if (!frr_complains(said, ret, size)) {
        ret[0] = '\0';
    }
    return false;
}

static int frr_run_checker(struct host *host, const char *const *argv, const char *failure, struct err *err) {
    struct child child = {.argv = argv,
                          .seconds = FRR_CHECK_SECONDS,
                          .failure = failure,
                          .code = ERR_INVALID,
                          .complains = frr_complains};
    return child_tell(host->loop, &child, err);
}

/* Static routes are another daemon's lines: bgpd would complain about them. */
static bool frr_is_route(const char *line, size_t len) {
    return (len > 9 && memcmp(line, "ip route ", 9) == 0) ||
           (len > 11 && memcmp(line, "ipv6 route ", 11) == 0);
}

static void frr_blank_routes(struct buf *text) {
    char *at = text->data, *end = text->data + text->len;
    while (at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        if (frr_is_route(at, len)) {
            memset(at, ' ', len);
            at[0] = '!';
        }
        at += len + 1;
    }
}

static int frr_check_bgpd(struct host *host, const char *path, struct err *err) {
    char program[PATH_MAX], copy[PATH_MAX], staged[PATH_MAX];
    struct buf text = {.wipe = true};
    const struct agent_settings *settings = host->settings;
    snprintf(copy, sizeof(copy), "%.*s.check", PATH_MAX - 16, settings->real_config);
    int result = frr_program("bgpd", program, err);
    if (result == 0) {
        result = file_read(path, FILE_TEXT_MAX, &text, err);
    }
    if (result == 0) {
        frr_blank_routes(&text);
        result = file_stage(copy, text.data, text.len, settings->group, settings->driver->mode, err);
    }
    if (result == 0 && file_staged_path(copy, staged, err) == 0) {
        const char *const argv[] = {program, "-C", "-f", staged, NULL};
        result = frr_run_checker(host, argv, "bgpd -C refuses the configuration", err);
    }
    file_abandon(copy);
    buf_done(&text);
    return result;
}

static int frr_check(struct host *host, const char *path, struct err *err) {
    const char *const argv[] = {"vtysh", "-C", "-f", path, NULL};
    return frr_run_checker(host, argv, "vtysh -C refuses the configuration", err) == 0
               ? frr_check_bgpd(host, path, err)
               : -1;
}

/* ---- applying ---- */

static int frr_prepare(struct host *host, struct err *err) {
    const char *slash = strrchr(host->settings->real_config, '/');
    return slash != NULL && strcmp(slash + 1, FRR_FILE) == 0
               ? 0
               : err_set(err, ERR_USAGE,
                         "--config must be a file with the name " FRR_FILE
                         ": frr-reload.py overwrites the " FRR_FILE " beside any other");
}

static int frr_reload(struct host *host, struct err *err) {
    char program[PATH_MAX], directory[PATH_MAX], rundir[PATH_MAX];
    const char *config = host->settings->real_config;
    snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(config, '/') - config), config);
    snprintf(rundir, sizeof(rundir), "%s", host->settings->control);
    if (frr_find_daemon(host, err) != 0 || frr_program("frr-reload.py", program, err) != 0) {
        return -1;
    }
    const char *const argv[] = {program, "--reload",     "--confdir", directory, "--rundir",
                                rundir,  "--vty_socket", rundir,      config,    NULL};
    struct child child = {.argv = argv,
                          .seconds = FRR_RELOAD_SECONDS,
                          .finish = true,
                          .failure = "frr-reload.py does not take all of the configuration",
                          .code = ERR_INVALID,
                          .complains = frr_quote};
    return child_tell(host->loop, &child, err);
}

static int frr_apply(struct host *host, const struct change *change, struct err *err) {
    (void)change;
    return frr_reload(host, err);
}

static int frr_undo(struct host *host, const struct change *change, struct err *err) {
    /* Without an old file there is nothing that frr-reload.py could make FRR go back to. */
    return change->old_text != NULL ? frr_reload(host, err) : 0;
}

/* ---- asking ---- */

static int frr_ask(struct host *host, const char *const *argv, struct child_result *ret, struct err *err) {
    struct child child = {
        .argv = argv, .seconds = FRR_ASK_SECONDS, .failure = "vtysh does not work", .code = ERR_UNAVAILABLE};
    return child_run(host->loop, &child, ret, err);
}

static int frr_read(struct host *host, struct session_list *ret, struct err *err) {
    const char *const argv[] = {
        "vtysh", "--vty_socket", host->settings->control, "-c", "show bgp neighbors json", NULL};
    struct child_result said;
    if (frr_find_daemon(host, err) != 0) {
        return -1;
    }
    int result = frr_ask(host, argv, &said, err);
    if (result == 0) {
        snprintf(ret->daemon, sizeof(ret->daemon), "FRR");
        result = frr_sessions(child_words(&said), said.out.len, ret, err);
    }
    child_result_done(&said);
    if (result == 0 && host->expected != NULL) {
        session_list_take_ports(ret, host->expected);
    }
    return result;
}

/* Shut some sessions down in one call. */
static int frr_shut_some(struct host *host, const struct expected_session *sessions, size_t count,
                         struct err *err) {
    char commands[FRR_SHUT_AT_ONCE][IP_TEXT_MAX + 32];
    const char *argv[8 + 2 * FRR_SHUT_AT_ONCE] = {
        "vtysh", "--vty_socket", host->settings->control, "-c", "configure terminal", "-c", "router bgp"};
    size_t used = 7;
    for (size_t i = 0; i < count && i < FRR_SHUT_AT_ONCE; i++) {
        char peer[IP_TEXT_MAX];
        if (sessions[i].left_out || !sessions[i].on) {
            continue;
        }
        ip_format(&sessions[i].peer, peer);
        snprintf(commands[i], sizeof(commands[i]), "neighbor %s shutdown", peer);
        argv[used++] = "-c";
        argv[used++] = commands[i];
    }
    argv[used] = NULL;
    struct child_result said;
    int result = frr_ask(host, argv, &said, err);
    child_result_done(&said);
    return result;
}

static int frr_shut(struct host *host, const struct expected_session *session, struct err *err) {
    return frr_shut_some(host, session, 1, err);
}

static int frr_withdraw(struct host *host, const struct expected *expected, struct err *err) {
    int result = 0;
    for (size_t i = 0; i < expected->count && result == 0; i += FRR_SHUT_AT_ONCE) {
        size_t left = expected->count - i;
        result = frr_shut_some(host, &expected->sessions[i],
                               left < FRR_SHUT_AT_ONCE ? left : FRR_SHUT_AT_ONCE, err);
    }
    return result;
}

const struct driver DRIVER_FRR = {
    .name = "frr",
    .format = "frr",
    .comment = "! ",
    .config = "/etc/frr/frr.conf",
    .control = "/run/frr",
    .group = "frr",
    .append = "/etc/frr/local.conf",
    .mode = 0640,
    .read_ms = 3000,
    .restart_lines = (const char *const[]){"router bgp ", "bgp router-id ", "bgp cluster-id ", NULL},
    .prepare = frr_prepare,
    .check = frr_check,
    .apply = frr_apply,
    .undo = frr_undo,
    .read = frr_read,
    .shut = frr_shut,
    .withdraw = frr_withdraw,
};
