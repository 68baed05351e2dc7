/*
 * Options as text: the help of a command, and its paragraphs of a man page, from the same table.
 *
 * Main thread only; standard output.
 */
#include <stdio.h>
#include <string.h>

#include "base/options.h"

/* What stands behind the name: " FILE", "=WAIT" where the value may be left out, nothing for a flag. */
static void print_value(const struct option *option) {
    if (option->value != NULL && option->bare != NULL) {
        printf("[=%s]", option->value);
    } else if (option->value != NULL) {
        printf(" %s", option->value);
    }
}

static void print_choices(const struct option *option) {
    for (size_t c = 0; option->type == OPTION_CHOICE && option->choices[c] != NULL; c++) {
        printf("%s%s", c == 0 ? ": " : ", ", option->choices[c]);
    }
    if (option->type == OPTION_LIST) {
        printf("; may be repeated");
    }
}

/* "Default 30. Environment: BGPPEERD_WAIT_SECONDS.", as far as there is one. */
static void print_sources(const char *prefix, const struct option *option) {
    char variable[OPTION_VARIABLE_MAX];
    option_variable(prefix, option, variable);
    if (option->default_text != NULL && option->type != OPTION_FLAG) {
        printf("Default %s. ", option->default_text);
    }
    if (!option->argument_only) {
        printf("Environment: %s%s.", variable, option->type == OPTION_LIST ? ", separated by commas" : "");
    }
}

static bool has_sources(const struct option *option) {
    return !option->argument_only || (option->default_text != NULL && option->type != OPTION_FLAG);
}

void options_print(const char *prefix, const struct option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        printf("  --%s", options[i].name);
        if (options[i].letter != '\0') {
            printf(", -%c", options[i].letter);
        }
        print_value(&options[i]);
        printf("\n        %s", options[i].help);
        print_choices(&options[i]);
        printf(".\n%s", has_sources(&options[i]) ? "        " : "");
        print_sources(prefix, &options[i]);
        printf("%s", has_sources(&options[i]) ? "\n" : "");
    }
}

/* ---- man pages ---- */

void options_print_roff(const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\\') {
            printf("\\e");
        } else if (*c == '-') {
            printf("\\-");
        } else if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n')) {
            printf("\\&%c", *c); /* no request */
        } else if (strncmp(c, "\xe2\x80\xa6", 3) == 0) {
            printf("\\&..."); /* nor here */
            c += 2;
        } else {
            putchar(*c);
        }
    }
}

void options_print_manual(const char *prefix, const struct option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct option *option = &options[i];
        printf(".TP\n\\fB\\-\\-");
        options_print_roff(option->name);
        if (option->letter != '\0') {
            printf("\\fR, \\fB\\-%c", option->letter);
        }
        printf("\\fR");
        if (option->value != NULL) {
            printf(option->bare != NULL ? "[=\\fI" : " \\fI");
            options_print_roff(option->value);
            printf(option->bare != NULL ? "\\fR]" : "\\fR");
        }
        printf("\n");
        options_print_roff(option->help);
        print_choices(option);
        printf(".\n");
        print_sources(prefix, option);
        printf("%s", has_sources(option) ? "\n" : "");
    }
}
