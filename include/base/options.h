/*
 * Options of a program: one table drives parsing, environment variables and help.
 *
 * Used before any thread exists. Settings live as long as the process.
 */
#ifndef BGPPEERD_BASE_OPTIONS_H
#define BGPPEERD_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define OPTION_LIST_MAX     16 /* values of one repeatable option */
#define OPTION_VARIABLE_MAX 64 /* bytes of a variable's name, with its NUL */

enum option_type {
    OPTION_FLAG,   /* bool; the environment: 1, true, yes, on or 0, false, no, off */
    OPTION_TEXT,   /* const char * */
    OPTION_NUMBER, /* uint64_t, min–max */
    OPTION_CHOICE, /* const char *, one of `choices` */
    OPTION_LIST,   /* struct option_list; repeatable; in the environment separated by commas */
};

struct option_list {
    size_t count;
    const char *items[OPTION_LIST_MAX];
};

/* One option. Its variable is the prefix of the program ("BGPPEERD_") and the name in capitals, "_" for "-".
 */
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
int options_parse(const char *prefix, const struct option *options, size_t count, int argc, char **argv,
                  void *settings, const char **operand, bool *ret_help, struct err *err) MUST_CHECK;
/* The options as help text, on standard output. */
void options_print(const char *prefix, const struct option *options, size_t count);
/* The name of an option's environment variable. */
void option_variable(const char *prefix, const struct option *option, char out[OPTION_VARIABLE_MAX]);

#endif
