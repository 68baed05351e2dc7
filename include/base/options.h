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
#define OPERANDS_MAX        64 /* arguments that are no options */

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
    char letter;                /* 'o': -o is the same; 0: none */
    const char *value;          /* what the value is, for help: "DIR"; NULL for flags */
    const char *help;           /* a sentence without its full stop */
    const char *default_text;   /* applied first and shown; NULL = none */
    const char *const *choices; /* OPTION_CHOICE; NULL-terminated */
    const char *bare;           /* the value when it is given without one; one is written behind "=" then */
    size_t offset;              /* of the member in the command's settings */
    enum option_type type;
    bool argument_only; /* what is meant for one call is not taken from the environment */
    uint64_t min, max;  /* OPTION_NUMBER */
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

/* The arguments that are no options, in their order; "-" is one. */
struct operands {
    size_t max; /* how many there may be, at most OPERANDS_MAX */
    size_t count;
    const char *items[OPERANDS_MAX];
};
/*
 * The steps of options_parse, for programs that read something between them. Contracts as there. The lines
 * of a file are `name = value`; empty ones and those that begin with "#" are skipped; what an option takes
 * several times, it is given in several lines. `text` is changed, and must stay as long as the settings.
 * `file` is what errors call it.
 */
int options_set_defaults(const struct option *options, size_t count, void *settings,
                         struct err *err) MUST_CHECK;
int options_read_file(const struct option *options, size_t count, char *text, const char *file,
                      void *settings, struct err *err) MUST_CHECK;
int options_read_environment(const char *prefix, const struct option *options, size_t count, void *settings,
                             struct err *err) MUST_CHECK;
int options_read_arguments(const struct option *options, size_t count, int argc, char **argv, void *settings,
                           struct operands *operands, struct err *err) MUST_CHECK;
/* Is --help or -h among them? */
bool options_want_help(int argc, char **argv);

/* The options as help text, on standard output. */
void options_print(const char *prefix, const struct option *options, size_t count);
/* The same as the paragraphs of a man page, in the language of man(7). */
void options_print_manual(const char *prefix, const struct option *options, size_t count);
/* A text as man(7) prints it, whatever is in it. */
void options_print_roff(const char *text);
/* The name of an option's environment variable. */
void option_variable(const char *prefix, const struct option *option, char out[OPTION_VARIABLE_MAX]);

#endif
