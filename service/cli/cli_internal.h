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
    const char *operands; /* behind the name, "FILE…|-"; NULL: none */
    const struct option *options;
    size_t option_count;
    bool asks; /* a running service, which may not be reached */
    /* argc and argv begin behind the command's name. */
    int (*run)(const struct command *command, int argc, char **argv);
};

/* CLI_USAGE for ERR_USAGE, else CLI_FAILURE. */
int command_status(const struct err *err);
/* The same, and "bgppeerd: <text>" on standard error. */
int command_failed(const struct err *err);
void command_print_help(const struct command *command);

/* All commands, in the order of the help. */
const struct command *const *commands_all(size_t *ret_count);

/* What an exit status means. */
struct exit_meaning {
    int status;
    bool asks; /* of commands that ask a service only */
    const char *meaning;
};
const struct exit_meaning *exit_meanings(size_t *ret_count);

/* The man page of all this, on standard output. */
void manual_print(void);

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
extern const struct command command_preview;
extern const struct command command_apply;
extern const struct command command_why;
extern const struct command command_list;
extern const struct command command_changes;
extern const struct command command_diff;
extern const struct command command_undo;
extern const struct command command_import;
extern const struct command command_export;

#endif
