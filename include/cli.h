/*
 * Command line: subcommands, their options, and the wiring of the service.
 *
 * One table of options per command drives parsing, environment variables, help and the README's check.
 */
#ifndef BGPPEERD_CLI_H
#define BGPPEERD_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLI_LIST_MAX 16 /* values of one repeatable option */

/* Exit statuses. */
#define CLI_OK      0
#define CLI_FAILURE 1
#define CLI_USAGE   2 /* the command line or a setting is wrong; nothing was done */

enum option_type {
    OPTION_FLAG,   /* bool; the environment: 1, true, yes, on or 0, false, no, off */
    OPTION_TEXT,   /* const char * */
    OPTION_NUMBER, /* uint64_t, min–max */
    OPTION_CHOICE, /* const char *, one of `choices` */
    OPTION_LIST,   /* struct option_list; repeatable; in the environment separated by commas */
};

struct option_list {
    size_t count;
    const char *items[CLI_LIST_MAX];
};

/* One option. Its variable is BGPPEERD_ and the name in capitals with "_" for "-". */
struct option {
    const char *name;           /* "data-dir", without dashes */
    const char *value;          /* what the value is, for help: "DIR"; NULL for flags */
    const char *help;           /* a sentence without its full stop */
    const char *default_text;   /* applied first and shown; NULL = none */
    const char *const *choices; /* OPTION_CHOICE; NULL-terminated */
    size_t offset;              /* of the member in the command's settings */
    enum option_type type;
    uint64_t min, max; /* OPTION_NUMBER */
};

/*
 * Fill `settings` from defaults, then the environment, then the arguments; what comes later wins, and
 * a list is replaced, not extended. `*ret_help`: --help was given, nothing else matters. Texts point
 * into argv, the environment or the table, except a list's from the environment, which are kept for
 * the life of the process. `*operand` (NULL before the call) becomes the one argument that is no option,
 * which may stand anywhere; `operand` NULL: there may be none. ERR_USAGE: one sentence with the option or
 * variable at fault.
 */
int options_parse(const struct option *options, size_t count, int argc, char **argv, void *settings,
                  const char **operand, bool *ret_help, struct err *err) MUST_CHECK;
/* The options as help text, on standard output. */
void options_print(const struct option *options, size_t count);
/* The name of an option's environment variable. */
#define VARIABLE_PREFIX     "BGPPEERD_"
#define OPTION_VARIABLE_MAX 64
void option_variable(const struct option *option, char out[OPTION_VARIABLE_MAX]);

/* Run the command that argv names; the answer is the process's exit status. */
int cli_run(int argc, char **argv);

#endif
