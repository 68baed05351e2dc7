/* The commands: which there are, help and version, and what is the same for all. Runs on the main thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"
#include "base/suggest.h"
#include "cli_internal.h"

/* Those for people first, then those of the service itself. */
static const struct command *const COMMANDS[] = {
    &command_preview, &command_apply,  &command_list,    &command_why,    &command_changes, &command_diff,
    &command_undo,    &command_import, &command_export,  &command_serve,  &command_token,   &command_tls,
    &command_vault,   &command_backup, &command_restore, &command_render, &command_health,
};
#define COMMAND_COUNT (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

static const struct exit_meaning EXITS[] = {
    {CLI_OK, false, "it was done"},
    {CLI_FAILURE, false, "it failed, or the service refused it"},
    {CLI_USAGE, false, "the command line or a setting is wrong; nothing was done"},
    {CLI_DISRUPTIVE, true, "preview, import --plan, undo --dry-run: a session would restart or be removed"},
    {CLI_UNREACHABLE, true, "the service was not reached, or is not whom it should be"},
};
#define EXIT_COUNT (sizeof(EXITS) / sizeof(EXITS[0]))

const struct command *const *commands_all(size_t *ret_count) {
    *ret_count = COMMAND_COUNT;
    return COMMANDS;
}

const struct exit_meaning *exit_meanings(size_t *ret_count) {
    *ret_count = EXIT_COUNT;
    return EXITS;
}

int command_status(const struct err *err) {
    return err->code == ERR_USAGE ? CLI_USAGE : CLI_FAILURE;
}

int command_failed(const struct err *err) {
    fprintf(stderr, "bgppeerd: %s\n", err->text);
    return command_status(err);
}

static void print_exits(FILE *out, bool asks) {
    fprintf(out, "\nExit status:\n");
    for (size_t i = 0; i < EXIT_COUNT; i++) {
        if (asks || !EXITS[i].asks) {
            fprintf(out, "  %d  %s\n", EXITS[i].status, EXITS[i].meaning);
        }
    }
}

void command_print_help(const struct command *command) {
    printf("Usage: bgppeerd %s%s%s [OPTION]...\n\n%s.\n\n", command->name,
           command->operands != NULL ? " " : "", command->operands != NULL ? command->operands : "",
           command->summary);
    options_print(VARIABLE_PREFIX, command->options, command->option_count);
    if (command->asks) {
        print_exits(stdout, true);
    }
}

static void print_usage(FILE *out) {
    fprintf(out, "Usage: bgppeerd COMMAND [OPTION]...\n\n"
                 "Keeps the BGP peerings of a fleet of hosts, and tells each host its own.\n\n"
                 "Commands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-10s %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    }
    fprintf(out, "  %-10s %s\n  %-10s %s\n\n", "help", "Print this, or the options of a command", "version",
            "Print the version");
    fprintf(out, "\"bgppeerd help COMMAND\" prints a command's options.\n");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(COMMANDS[i]->name, name) == 0) {
            return COMMANDS[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name) {
    if (name[0] == '-') {
        fprintf(stderr,
                "bgppeerd: options come behind a command: bgppeerd serve %.50s; \"bgppeerd help\" lists the "
                "commands\n",
                name);
        return CLI_USAGE;
    }
    struct suggest suggest = suggest_begin(name, strlen(name));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        suggest_consider(&suggest, COMMANDS[i]->name);
    }
    fprintf(stderr, "bgppeerd: there is no command \"%.50s\"%s%s%s; \"bgppeerd help\" lists them\n", name,
            suggest.meant != NULL ? "; did you mean \"" : "", suggest.meant != NULL ? suggest.meant : "",
            suggest.meant != NULL ? "\"" : "");
    return CLI_USAGE;
}

static int too_many(const char *command, const char *argument) {
    fprintf(stderr, "bgppeerd: \"%.50s\" is one too many for \"bgppeerd %.50s\"\n", argument, command);
    return CLI_USAGE;
}

static int help(int argc, char **argv) {
    if (argc == 0) {
        print_usage(stdout);
        return CLI_OK;
    }
    const struct command *command = find_command(argv[0]);
    if (command == NULL) {
        return unknown_command(argv[0]);
    }
    if (argc > 1) {
        return too_many("help", argv[1]);
    }
    command_print_help(command);
    return CLI_OK;
}

static int version(int argc, char **argv) {
    if (argc > 0) {
        return too_many("version", argv[0]);
    }
    printf("bgppeerd %s\n", BGPPEERD_VERSION);
    return CLI_OK;
}

static bool is_word(const char *text, const char *word) {
    return strcmp(text, word) == 0 || (strncmp(text, "--", 2) == 0 && strcmp(text + 2, word) == 0);
}

static int run_command(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (is_word(name, "help") || strcmp(name, "-h") == 0) {
        return help(argc - 2, argv + 2);
    }
    if (is_word(name, "version")) {
        return version(argc - 2, argv + 2);
    }
    if (argc == 2 && strcmp(name, "manual") == 0) { /* for the Makefile, and in no help */
        manual_print();
        return CLI_OK;
    }
    const struct command *command = find_command(name);
    if (command == NULL) {
        return unknown_command(name);
    }
    if (argc == 3 && strcmp(argv[2], "--version") == 0) {
        return version(0, NULL);
    }
    return command->run(command, argc - 2, argv + 2);
}

int cli_run(int argc, char **argv) {
    if (!process_hold_standard_files()) {
        return CLI_FAILURE; /* and nobody to tell */
    }
    int status = run_command(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == CLI_OK) {
        fprintf(stderr, "bgppeerd: cannot write to standard output%s%s\n", errno != 0 ? ": " : "",
                errno != 0 ? strerror(errno) : "");
        status = CLI_FAILURE;
    }
    return status;
}

/* ---- variables ---- */

/* `name`: behind the prefix, like the other names here. */
static bool is_variable(const char *name, size_t len, const char **ret_meant) {
    struct suggest suggest = suggest_begin(name, len);
    for (size_t c = 0; c < COMMAND_COUNT; c++) {
        for (size_t i = 0; i < COMMANDS[c]->option_count; i++) {
            const struct option *option = &COMMANDS[c]->options[i];
            if (option->argument_only) {
                continue;
            }
            char variable[OPTION_VARIABLE_MAX];
            option_variable(VARIABLE_PREFIX, option, variable);
            const char *own = variable + strlen(VARIABLE_PREFIX);
            if (strlen(own) == len && memcmp(own, name, len) == 0) {
                return true;
            }
            suggest_consider(&suggest, own);
            if (suggest.meant == own) {
                suggest.meant = *ret_meant = option->name; /* which stays */
            }
        }
    }
    return false;
}

void cli_warn_variables(void) {
    for (char **at = environ; *at != NULL; at++) {
        size_t len = strcspn(*at, "="), prefix_len = strlen(VARIABLE_PREFIX);
        const char *meant = NULL;
        if (strncmp(*at, VARIABLE_PREFIX, prefix_len) != 0 ||
            is_variable(*at + prefix_len, len - prefix_len, &meant)) {
            continue;
        }
        char name[OPTION_VARIABLE_MAX * 2];
        char text[256];
        snprintf(name, sizeof(name), "%.*s", (int)len, *at);
        snprintf(text, sizeof(text), "no setting has this variable%s%s%s",
                 meant != NULL ? "; is it meant for --" : "", meant != NULL ? meant : "",
                 meant != NULL ? "?" : "");
        log_event(LOG_WARN, "unknown-variable", LOG_STR("name", name), LOG_STR("text", text));
    }
}
