/* The commands: which there are, help and version. Runs on the main thread. */
#include <stdio.h>
#include <string.h>

#include "cli_internal.h"

static const struct command *const COMMANDS[] = {&command_serve, &command_token,  &command_tls,
                                                 &command_vault, &command_backup, &command_restore};
#define COMMAND_COUNT (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

int command_failed(const struct err *err) {
    fprintf(stderr, "bgppeerd: %s\n", err->text);
    return err->code == ERR_USAGE ? CLI_USAGE : CLI_FAILURE;
}

void command_print_help(const struct command *command) {
    printf("Usage: bgppeerd %s [OPTION]...\n\n%s.\n\n", command->name, command->summary);
    options_print(command->options, command->option_count);
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
    fprintf(stderr, "bgppeerd: there is no command \"%.50s\"; \"bgppeerd help\" lists them\n", name);
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
    command_print_help(command);
    return CLI_OK;
}

int cli_run(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return help(argc - 2, argv + 2);
    }
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("bgppeerd %s\n", BGPPEERD_VERSION);
        return CLI_OK;
    }
    const struct command *command = find_command(name);
    return command != NULL ? command->run(command, argc - 2, argv + 2) : unknown_command(name);
}
