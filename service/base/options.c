/*
 * Options: one table per program or command, read three times: for defaults, the environment, the arguments.
 *
 * Runs before any thread exists. Nothing is freed: settings live as long as the process.
 */
#include "base/options.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/number.h"
#include "base/suggest.h"

void option_variable(const char *prefix, const struct option *option, char out[OPTION_VARIABLE_MAX]) {
    size_t n = (size_t)snprintf(out, OPTION_VARIABLE_MAX, "%s", prefix);
    for (const char *c = option->name; *c != '\0' && n + 1 < OPTION_VARIABLE_MAX; c++) {
        out[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
    out[n] = '\0';
}

/* ---- one value ---- */

static int set_flag(const char *text, bool *ret, const char *source, struct err *err) {
    static const char *const YES[] = {"1", "true", "yes", "on", NULL};
    static const char *const NO[] = {"0", "false", "no", "off", "", NULL};
    for (size_t i = 0; YES[i] != NULL; i++) {
        if (strcasecmp(text, YES[i]) == 0) {
            *ret = true;
            return 0;
        }
    }
    for (size_t i = 0; NO[i] != NULL; i++) {
        if (strcasecmp(text, NO[i]) == 0) {
            *ret = false;
            return 0;
        }
    }
    return err_set(err, ERR_USAGE, "%s: \"%.50s\" is neither true nor false", source, text);
}

static int set_choice(const struct option *option, const char *text, const char **ret, const char *source,
                      struct err *err) {
    char all[128] = "";
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *ret = option->choices[i];
            return 0;
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    }
    return err_set(err, ERR_USAGE, "%s: \"%.50s\" is not one of %s", source, text, all);
}

static int add_to_list(const char *text, struct option_list *list, const char *source, struct err *err) {
    if (list->count == OPTION_LIST_MAX) {
        return err_set(err, ERR_USAGE, "%s: more than %d values", source, OPTION_LIST_MAX);
    }
    if (text[0] == '\0') {
        return err_set(err, ERR_USAGE, "%s: an empty value", source);
    }
    list->items[list->count++] = text;
    return 0;
}

/* `source` is what the person wrote it as: "--listen" or "BGPPEERD_LISTEN". */
static int set_value(const struct option *option, const char *text, void *settings, const char *source,
                     struct err *err) {
    void *member = (char *)settings + option->offset;
    switch (option->type) {
    case OPTION_FLAG:
        return set_flag(text, member, source, err);
    case OPTION_TEXT:
        if (text[0] == '\0') {
            return err_set(err, ERR_USAGE, "%s: an empty value", source);
        }
        *(const char **)member = text;
        return 0;
    case OPTION_NUMBER:
        if (!u64_parse(text, strlen(text), option->max, member) || *(uint64_t *)member < option->min) {
            return err_set(err, ERR_USAGE, "%s: \"%.50s\" is not a number from %" PRIu64 " to %" PRIu64,
                           source, text, option->min, option->max);
        }
        return 0;
    case OPTION_CHOICE:
        return set_choice(option, text, member, source, err);
    case OPTION_LIST:
        return add_to_list(text, member, source, err);
    }
    return err_set(err, ERR_INTERNAL, "option %s has no type", option->name);
}

static void empty_list(const struct option *option, void *settings) {
    if (option->type == OPTION_LIST) {
        ((struct option_list *)((char *)settings + option->offset))->count = 0;
    }
}

/* ---- environment ---- */

/* Lists from the environment point into these; they stay for the life of the process. */
struct kept_text {
    struct kept_text *next;
    char text[];
};
static struct kept_text *kept_texts;

static int set_list_from_text(const struct option *option, const char *text, void *settings,
                              const char *source, struct err *err) {
    size_t size = strlen(text) + 1;
    struct kept_text *kept = base_malloc(sizeof(*kept) + size);
    if (kept == NULL) {
        return err_no_memory(err);
    }
    memcpy(kept->text, text, size);
    kept->next = kept_texts;
    kept_texts = kept;
    char *rest = kept->text;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        item += strspn(item, " ");
        size_t len = strlen(item);
        while (len > 0 && item[len - 1] == ' ') {
            item[--len] = '\0';
        }
        if (set_value(option, item, settings, source, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_environment(const char *prefix, const struct option *option, void *settings,
                            struct err *err) {
    char variable[OPTION_VARIABLE_MAX];
    option_variable(prefix, option, variable);
    const char *text = getenv(variable);
    if (text == NULL || text[0] == '\0') {
        return 0; /* empty is unset, as container tools leave it */
    }
    empty_list(option, settings);
    return option->type == OPTION_LIST ? set_list_from_text(option, text, settings, variable, err)
                                       : set_value(option, text, settings, variable, err);
}

/* ---- arguments ---- */

static const struct option *find_option(const struct option *options, size_t count, const char *name,
                                        size_t len) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static int no_such_option(const struct option *options, size_t count, const char *argument, size_t dashes,
                          size_t len, struct err *err) {
    struct suggest suggest = suggest_begin(argument + dashes, len);
    for (size_t i = 0; i < count; i++) {
        suggest_consider(&suggest, options[i].name);
    }
    bool found = suggest.meant != NULL;
    return err_set(err, ERR_USAGE, "there is no option %.*s%s%s; --help lists them",
                   (int)(len > 100 ? 100 : len) + (int)dashes, argument, found ? "; did you mean --" : "",
                   found ? suggest.meant : "");
}

/* The value of an option that is the next argument. One that is itself an option was hardly meant so. */
static int next_argument(const struct option *options, size_t count, const struct option *option, int argc,
                         char **argv, int *at, const char **ret, struct err *err) {
    if (*at + 1 >= argc) {
        return err_set(err, ERR_USAGE, "--%s needs a value: --%s %s", option->name, option->name,
                       option->value);
    }
    const char *text = argv[*at + 1];
    if (strncmp(text, "--", 2) == 0 &&
        find_option(options, count, text + 2, strcspn(text + 2, "=")) != NULL) {
        return err_set(err, ERR_USAGE,
                       "--%s needs a value, and %.100s is another option; write --%s=%.100s if it is meant",
                       option->name, text, option->name, text);
    }
    (*at)++;
    *ret = text;
    return 0;
}

/* What is no option is an operand, when there is to be one. */
static int take_operand(const char *argument, struct operands *operands, struct err *err) {
    bool is_dash = strcmp(argument, "-") == 0 && operands->max > 1;
    if (operands->max == 0 || (argument[0] == '-' && !is_dash) || argument[0] == '\0') {
        return err_set(err, ERR_USAGE, "\"%.100s\" is not an option; --help lists them", argument);
    }
    if (operands->count == operands->max) {
        return err_set(err, ERR_USAGE, "\"%.100s\" is one too many: \"%.100s\" was given already", argument,
                       operands->items[operands->count - 1]);
    }
    operands->items[operands->count++] = argument;
    return 0;
}

/* "-o", "-ojson"; "-output" is a slip. */
static const struct option *find_letter(const struct option *options, size_t count, const char *argument) {
    size_t len = strcspn(argument + 1, "=");
    for (size_t i = 0; i < count && find_option(options, count, argument + 1, len) == NULL; i++) {
        if (argument[0] == '-' && argument[1] != '\0' && options[i].letter == argument[1]) {
            return &options[i];
        }
    }
    return NULL;
}

/* One argument, and its value when that is the next one. `given`: lists that arguments have begun. */
static int read_argument(const struct option *options, size_t count, int argc, char **argv, int *at,
                         void *settings, struct operands *operands, bool *given, struct err *err) {
    const char *argument = argv[*at];
    size_t dashes = strspn(argument, "-");
    size_t len = strcspn(argument + dashes, "=");
    if (dashes == 0 || len == 0) {
        return take_operand(argument, operands, err);
    }
    const struct option *option = dashes == 2   ? find_option(options, count, argument + 2, len)
                                  : dashes == 1 ? find_letter(options, count, argument)
                                                : NULL;
    if (option == NULL) {
        return no_such_option(options, count, argument, dashes, len, err);
    }
    char source[OPTION_VARIABLE_MAX];
    snprintf(source, sizeof(source), "--%s", option->name);
    const char *text = option->bare != NULL ? option->bare : "true";
    if (dashes == 1 && argument[2] != '\0') {
        text = argument + 2 + (argument[2] == '='); /* -ojson, -o=json */
    } else if (dashes == 2 && argument[2 + len] == '=') {
        text = argument + 2 + len + 1;
    } else if (option->type != OPTION_FLAG && option->bare == NULL &&
               next_argument(options, count, option, argc, argv, at, &text, err) != 0) {
        return -1;
    }
    size_t index = (size_t)(option - options);
    if (!given[index]) {
        empty_list(option, settings);
        given[index] = true;
    }
    return set_value(option, text, settings, source, err);
}

/* ---- all of it ---- */

bool options_want_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int options_set_defaults(const struct option *options, size_t count, void *settings, struct err *err) {
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (options[i].default_text != NULL) {
            result = set_value(&options[i], options[i].default_text, settings, options[i].name, err);
        }
    }
    return result;
}

int options_read_environment(const char *prefix, const struct option *options, size_t count, void *settings,
                             struct err *err) {
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = options[i].argument_only ? 0 : read_environment(prefix, &options[i], settings, err);
    }
    return result;
}

int options_read_arguments(const struct option *options, size_t count, int argc, char **argv, void *settings,
                           struct operands *operands, struct err *err) {
    bool *given = base_calloc(count, sizeof(*given));
    if (given == NULL) {
        return err_no_memory(err);
    }
    int result = 0;
    for (int i = 0; i < argc && result == 0; i++) {
        result = read_argument(options, count, argc, argv, &i, settings, operands, given, err);
    }
    free(given);
    return result;
}

int options_parse(const char *prefix, const struct option *options, size_t count, int argc, char **argv,
                  void *settings, const char **operand, bool *ret_help, struct err *err) {
    *ret_help = options_want_help(argc, argv);
    if (*ret_help) {
        return 0;
    }
    struct operands operands = {.max = operand != NULL};
    if (options_set_defaults(options, count, settings, err) != 0 ||
        options_read_environment(prefix, options, count, settings, err) != 0 ||
        options_read_arguments(options, count, argc, argv, settings, &operands, err) != 0) {
        return -1;
    }
    if (operands.count > 0) {
        *operand = operands.items[0];
    }
    return 0;
}

/* ---- a file ---- */

/* The text without blanks around it, in place. */
static char *trim(char *text) {
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static int no_such_setting(const struct option *options, size_t count, const char *name, const char *source,
                           struct err *err) {
    struct suggest suggest = suggest_begin(name, strlen(name));
    for (size_t i = 0; i < count; i++) {
        suggest_consider(&suggest, options[i].name);
    }
    bool found = suggest.meant != NULL;
    return err_set(err, ERR_USAGE, "%s: there is no setting \"%.50s\"%s%s%s", source, name,
                   found ? "; did you mean \"" : "", found ? suggest.meant : "", found ? "\"?" : "");
}

int options_read_file(const struct option *options, size_t count, char *text, const char *file,
                      void *settings, struct err *err) {
    unsigned number = 0;
    for (char *line = strsep(&text, "\n"); line != NULL; line = strsep(&text, "\n")) {
        char source[256];
        snprintf(source, sizeof(source), "%.200s, line %u", file, ++number);
        char *name = trim(line);
        if (name[0] == '\0' || name[0] == '#') {
            continue;
        }
        char *value = strchr(name, '=');
        if (value == NULL) {
            return err_set(err, ERR_USAGE, "%s: \"%.50s\" is not a setting: write name = value", source,
                           name);
        }
        *value++ = '\0';
        name = trim(name);
        const struct option *option = find_option(options, count, name, strlen(name));
        if (option == NULL) {
            return no_such_setting(options, count, name, source, err);
        }
        if (set_value(option, trim(value), settings, source, err) != 0) {
            return -1;
        }
    }
    return 0;
}
