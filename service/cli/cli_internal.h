/* Inside the command-line room. */
#ifndef BGPPEERD_CLI_INTERNAL_H
#define BGPPEERD_CLI_INTERNAL_H

#include "cli.h"

#ifndef BGPPEERD_VERSION
#define BGPPEERD_VERSION "unknown"
#endif

/* A subcommand. */
struct command {
    const char *name;
    const char *summary;
    const struct option *options;
    size_t option_count;
    /* argc and argv begin behind the command's name. */
    int (*run)(const struct command *command, int argc, char **argv);
};

/* CLI_USAGE for ERR_USAGE, else CLI_FAILURE. */
int command_status(const struct err *err);
/* The same, and "bgppeerd: <text>" on standard error. */
int command_failed(const struct err *err);
void command_print_help(const struct command *command);

/* Log the variables BGPPEERD_* that no option of any command has: a slip there changes nothing silently. */
void cli_warn_variables(void);

extern const struct command command_serve;
extern const struct command command_tls;
extern const struct command command_token;
extern const struct command command_vault;
extern const struct command command_backup;
extern const struct command command_restore;
extern const struct command command_render;
extern const struct command command_health;

#endif
