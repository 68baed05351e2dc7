/*
 * The agent's options. One table drives parsing, variables and help; defaults that depend on the daemon come
 * from its driver. Runs before any thread exists; nothing is freed.
 */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

static const char *const ON_EXIT[] = {"keep", "withdraw", NULL};
static const char *const LOG_FORMATS[] = {"text", "json", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};

#define MEMBER(name) offsetof(struct agent_settings, name)

static const struct option OPTIONS[] = {
    {.name = "server",
     .value = "URL",
     .type = OPTION_LIST,
     .offset = MEMBER(servers),
     .help = "The service, https://bgppeerd.example:8443; several are tried in turn"},
    {.name = "node",
     .value = "NAME",
     .type = OPTION_TEXT,
     .offset = MEMBER(node),
     .help = "This host's Node resource; without it, the host's name"},
    {.name = "token-file",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(token_file),
     .help = "The node's token; read at every request, so that it can be replaced"},
    {.name = "cert",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(cert),
     .help = "The node's certificate, instead of a token"},
    {.name = "key",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(key),
     .help = "The key of the certificate; without it, it is in the certificate's file"},
    {.name = "ca",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(ca),
     .help = "Who vouches for the service; without it, the machine's authorities"},
    {.name = "daemon",
     .value = "NAME",
     .type = OPTION_CHOICE,
     .offset = MEMBER(daemon),
     .choices = DRIVER_NAMES,
     .default_text = "bird",
     .help = "The BGP daemon of this host; command: a program of your own gets the list as JSON"},
    {.name = "config",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(config),
     .help = "The daemon's configuration, which the agent writes; without it, where the distribution has it"},
    {.name = "control",
     .value = "PATH",
     .type = OPTION_TEXT,
     .offset = MEMBER(control),
     .help = "The daemon's control socket, or the directory of its sockets; without it, the distribution's"},
    {.name = "group",
     .value = "GROUP",
     .type = OPTION_TEXT,
     .offset = MEMBER(group),
     .help = "The group that may read the configuration; without it, the daemon's"},
    {.name = "append",
     .value = "FILE",
     .type = OPTION_TEXT,
     .offset = MEMBER(append),
     .help =
         "The host's own lines, put behind the service's at every change, for daemons that cannot include "
         "files; without it, local.conf beside FRR's configuration, if there is one"},
    {.name = "command",
     .value = "PROGRAM",
     .type = OPTION_TEXT,
     .offset = MEMBER(command),
     .help = "The program of --daemon command: the list is its standard input, exit status 0 means taken"},
    {.name = "state-dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(state_dir),
     .default_text = "/var/lib/bgppeer-agent",
     .help = "What the agent remembers, and the configurations that it has replaced; one agent each"},
    {.name = "wait-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(wait_seconds),
     .min = 1,
     .max = 300,
     .default_text = "30",
     .help = "How long a poll waits at the service for a change"},
    {.name = "confirm-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(confirm_seconds),
     .min = 1,
     .max = 600,
     .default_text = "60",
     .help = "How long a change may take until the daemon is seen to run it; then it is taken back"},
    {.name = "report-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(report_seconds),
     .max = 600,
     .default_text = "30",
     .help = "How often the sessions' state is reported when nothing changes; 0: never"},
    {.name = "on-exit",
     .value = "WHAT",
     .type = OPTION_CHOICE,
     .offset = MEMBER(on_exit),
     .choices = ON_EXIT,
     .default_text = "keep",
     .help = "What becomes of the sessions when the agent ends; withdraw shuts them down"},
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
     .help = "The least important lines to write"},
    {.name = "once",
     .type = OPTION_FLAG,
     .offset = MEMBER(once),
     .help = "Bring the present list to the daemon and end; exit status 0 says that it runs"},
    {.name = "print",
     .type = OPTION_FLAG,
     .offset = MEMBER(print),
     .help = "Write the configuration, with its passwords, to standard output, and do nothing else"},
};
#define OPTION_COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

static void settings_print_help(void) {
    printf("Usage: bgppeer-agent --server URL [OPTION]...\n\n"
           "Keeps this host's BGP daemon in step with the host's peering list, and reports what its sessions "
           "do.\n\n");
    options_print(AGENT_PREFIX, OPTIONS, OPTION_COUNT);
    printf("  --version\n        Print the version.\n");
}

/* For the Makefile, and in no help: bgppeer-agent(8) in the language of man(7). */
static void settings_print_manual(void) {
    printf(
        ".TH BGPPEER\\-AGENT 8 \"\" \"bgppeerd " BGPPEERD_VERSION "\" \"System administration\"\n"
        ".SH NAME\nbgppeer\\-agent \\- keeps a host's BGP daemon in step with its peering list\n"
        ".SH SYNOPSIS\n.B bgppeer\\-agent \\-\\-server\n.I URL\n.RI [ option ]...\n"
        ".SH DESCRIPTION\n"
        "It asks the service for this host's list, brings it to the host's BGP daemon, and reports what the "
        "sessions do.\n"
        "An option's environment variable counts when the option is not given.\n"
        ".SH OPTIONS\n");
    options_print_manual(AGENT_PREFIX, OPTIONS, OPTION_COUNT);
    printf(".TP\n\\fB\\-\\-version\\fR\nPrint the version.\n"
           ".SH EXIT STATUS\n"
           "0 when it was told to end, or did with\n.B \\-\\-once\nwhat was to be done; 1 when it failed; 2 "
           "when "
           "the command line is wrong.\n"
           ".SH SEE ALSO\n.BR bgppeerd (8)\n");
}

static int settings_check_server(const char *server, struct err *err) {
    bool tls = strncmp(server, "https://", 8) == 0;
    if ((!tls && strncmp(server, "http://", 7) != 0) || strpbrk(server, "?# \r\n") != NULL ||
        strlen(server) > 512) {
        return err_set(err, ERR_USAGE, "--server: \"%.100s\" is no URL such as https://bgppeerd.example:8443",
                       server);
    }
    return 0;
}

/* The file that is replaced is the one behind symbolic links, never a link. */
static int settings_resolve_config(struct agent_settings *settings, struct err *err) {
    if (realpath(settings->config, settings->real_config) != NULL) {
        return 0;
    }
    if (settings->config[0] != '/') {
        return err_set(err, ERR_USAGE, "--config: \"%.100s\" is no absolute path", settings->config);
    }
    int len = snprintf(settings->real_config, sizeof(settings->real_config), "%s", settings->config);
    return len < PATH_MAX ? 0 : err_set(err, ERR_USAGE, "--config: the path is too long");
}

/* What the daemon's driver and the host have for what was not said. */
static int settings_complete(struct agent_settings *settings, struct err *err) {
    const struct driver *driver = driver_find(settings->daemon);
    if (driver == NULL) {
        return err_set(err, ERR_INTERNAL, "no driver for --daemon %s", settings->daemon);
    }
    settings->driver = driver;
    settings->control = settings->control != NULL ? settings->control : driver->control;
    settings->group = settings->group != NULL ? settings->group : driver->group;
    settings->append = settings->append != NULL ? settings->append : driver->append;
    if (settings->node == NULL) {
        if (gethostname(settings->host_name, sizeof(settings->host_name) - 1) != 0) {
            return err_set(err, ERR_USAGE, "the host has no name; give one by --node");
        }
        settings->node = settings->host_name;
    }
    if (settings->config == NULL && driver->config == NULL) {
        int len = snprintf(settings->real_config, sizeof(settings->real_config), "%s/list.json",
                           settings->state_dir);
        return len < PATH_MAX ? 0 : err_set(err, ERR_USAGE, "--state-dir: the path is too long");
    }
    settings->config = settings->config != NULL ? settings->config : driver->config;
    return settings_resolve_config(settings, err);
}

static int settings_check(const struct agent_settings *settings, struct err *err) {
    if (settings->servers.count == 0) {
        return err_set(err, ERR_USAGE, "--server is needed: --server https://bgppeerd.example:8443");
    }
    for (size_t i = 0; i < settings->servers.count; i++) {
        if (settings_check_server(settings->servers.items[i], err) != 0) {
            return -1;
        }
    }
    bool has_command = settings->command != NULL;
    if (has_command != (strcmp(settings->daemon, "command") == 0)) {
        return err_set(err, ERR_USAGE, "--command and --daemon command belong together");
    }
    if (settings->key != NULL && settings->cert == NULL) {
        return err_set(err, ERR_USAGE, "--key is the key of --cert, which is missing");
    }
    if (settings->token_file != NULL && settings->cert != NULL) {
        return err_set(err, ERR_USAGE, "--token-file and --cert are two ways to say who this is; give one");
    }
    return 0;
}

int settings_read(int argc, char **argv, struct agent_settings *settings, enum settings_next *ret,
                  struct err *err) {
    bool wants_help = false;
    *ret = SETTINGS_DONE;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("bgppeer-agent %s\n", BGPPEERD_VERSION);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
        settings_print_manual();
        return 0;
    }
    if (options_parse(AGENT_PREFIX, OPTIONS, OPTION_COUNT, argc > 0 ? argc - 1 : 0, argv + 1, settings, NULL,
                      &wants_help, err) != 0) {
        return -1;
    }
    if (wants_help) {
        settings_print_help();
        return 0;
    }
    if (settings_check(settings, err) != 0 || settings_complete(settings, err) != 0) {
        return -1;
    }
    *ret = SETTINGS_RUN;
    return 0;
}
