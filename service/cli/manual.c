/*
 * The man page bgppeerd(8), from the tables of commands, options and exit statuses: `bgppeerd manual`, which
 * the Makefile calls, prints it in the language of man(7). Main thread only.
 */
#include <stdio.h>

#include "cli_internal.h"

static void print_list(const struct command *const *commands, size_t count) {
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n\\fB");
        options_print_roff(commands[i]->name);
        printf("\\fR\n");
        options_print_roff(commands[i]->summary);
        printf(".\n");
    }
}

static void print_command(const struct command *command) {
    printf(".SS bgppeerd %s", command->name);
    if (command->operands != NULL) {
        printf(" ");
        options_print_roff(command->operands);
    }
    printf("\n");
    options_print_roff(command->summary);
    printf(".\n");
    options_print_manual(VARIABLE_PREFIX, command->options, command->option_count);
}

static void print_exits(void) {
    size_t count;
    const struct exit_meaning *exits = exit_meanings(&count);
    printf(".SH EXIT STATUS\n");
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n\\fB%d\\fR\n", exits[i].status);
        options_print_roff(exits[i].meaning);
        printf(".\n");
    }
}

void manual_print(void) {
    size_t count;
    const struct command *const *commands = commands_all(&count);
    printf(".TH BGPPEERD 8 \"\" \"bgppeerd " BGPPEERD_VERSION "\" \"System administration\"\n"
           ".SH NAME\nbgppeerd \\- keeps the BGP peerings of a fleet of hosts, and tells each host its own\n"
           ".SH SYNOPSIS\n.B bgppeerd\n.I command\n.RI [ option ]...\n"
           ".SH DESCRIPTION\n"
           "The service is\n.BR \"bgppeerd serve\" .\nThe other commands ask a running service, or work on "
           "its data "
           "while it is stopped.\n"
           "An option's environment variable counts when the option is not given.\n");
    print_list(commands, count);
    printf(".SH COMMANDS\n");
    for (size_t i = 0; i < count; i++) {
        print_command(commands[i]);
    }
    print_exits();
    printf(".SH FILES\n.TP\n.I ~/.config/bgppeerd/client.conf\n"
           "Where the service is, for the commands that ask it: lines\n.IR \"name = value\" ,\n"
           "of the options from\n.B \\-\\-server\nto\n.BR \\-\\-output .\n"
           "Relative paths in it are beside it.\n.TP\n.I DATA/admin.token\n"
           "The first administrator's token, which the first start makes.\n"
           ".SH SEE ALSO\n.BR bgppeer\\-agent (8)\n");
}
