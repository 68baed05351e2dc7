/*
 * Command line: subcommands, their options, and the wiring of the service.
 *
 * One table of options per command (base/options.h) drives parsing, environment variables, help and the
 * README's check.
 */
#ifndef BGPPEERD_CLI_H
#define BGPPEERD_CLI_H

#include "base/options.h"

/* Exit statuses. */
#define CLI_OK          0
#define CLI_FAILURE     1
#define CLI_USAGE       2 /* the command line or a setting is wrong; nothing was done */
#define CLI_DISRUPTIVE  3 /* a preview: a session would restart or be removed */
#define CLI_UNREACHABLE 4 /* the service that a command asks does not answer */

/* Options of commands: their variables are BGPPEERD_ and the name in capitals. */
#define VARIABLE_PREFIX "BGPPEERD_"

/* Run the command that argv names; the answer is the process's exit status. */
int cli_run(int argc, char **argv);

#endif
