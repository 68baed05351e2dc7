/* Options: which source wins, letters, values that may be left out, operands, files of settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

struct settings {
    const char *server;
    const char *output;
    const char *wait;
    struct option_list names;
    uint64_t limit;
    bool dry_run;
};

static const char *const OUTPUTS[] = {"text", "json", NULL};
#define MEMBER(name) offsetof(struct settings, name)

static const struct option OPTIONS[] = {
    {.name = "server", .value = "URL", .type = OPTION_TEXT, .offset = MEMBER(server), .default_text = "here"},
    {.name = "output",
     .letter = 'o',
     .value = "FORMAT",
     .type = OPTION_CHOICE,
     .offset = MEMBER(output),
     .choices = OUTPUTS},
    {.name = "wait", .value = "WAIT", .bare = "60s", .type = OPTION_TEXT, .offset = MEMBER(wait)},
    {.name = "names", .value = "NAME", .type = OPTION_LIST, .offset = MEMBER(names)},
    {.name = "limit", .value = "N", .type = OPTION_NUMBER, .offset = MEMBER(limit), .min = 1, .max = 9},
    {.name = "dry-run", .type = OPTION_FLAG, .offset = MEMBER(dry_run), .argument_only = true},
};
#define COUNT  (sizeof(OPTIONS) / sizeof(OPTIONS[0]))
#define PREFIX "OPTIONS_TEST_"

/* The arguments, up to NULL. */
static int read_arguments(struct settings *settings, struct operands *operands, struct err *err,
                          const char *const *arguments) {
    int count = 0;
    while (arguments[count] != NULL) {
        count++;
    }
    return options_read_arguments(OPTIONS, COUNT, count, (char **)arguments, settings, operands, err);
}

#define READ(...) read_arguments(&settings, &operands, &err, (const char *const[]){__VA_ARGS__, NULL})

static void letters_and_values_that_may_be_left_out(void **state) {
    struct settings settings = {.server = NULL};
    struct operands operands = {.max = 3};
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(READ("-o", "json", "--wait", "a", "-", "--dry-run"), 0);
    assert_string_equal(settings.output, "json");
    assert_string_equal(settings.wait, "60s");
    assert_true(settings.dry_run);
    assert_int_equal(operands.count, 2);
    assert_string_equal(operands.items[0], "a");
    assert_string_equal(operands.items[1], "-");
    static const char *const FORMS[] = {"-otext", "-o=text", "--output=text"};
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        settings.output = NULL;
        assert_int_equal(READ(FORMS[i], "--wait=5m"), 0);
        assert_string_equal(settings.output, "text");
        assert_string_equal(settings.wait, "5m");
    }
}

static void what_is_refused(void **state) {
    static const struct {
        const char *argument, *next, *told;
    } cases[] = {
        {"-x", NULL, "there is no option -x"},
        {"-output", NULL, "there is no option -output; did you mean --output;"},
        {"-o", NULL, "--output needs a value"},
        {"-o", "--wait", "--wait is another option"},
        {"--wait=", NULL, "an empty value"},
        {"--ouptut", "json", "did you mean --output;"},
        {"a", "b", "\"b\" is one too many: \"a\" was given already"},
        {"-", NULL, "\"-\" is not an option"}, /* where one name is expected */
        {"--limit", "10", "not a number from 1 to 9"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings settings = {.server = NULL};
        struct operands operands = {.max = 1};
        struct err err = ERR_INIT;
        assert_int_equal(READ(cases[i].argument, cases[i].next), -1);
        assert_int_equal(err.code, ERR_USAGE);
        if (strstr(err.text, cases[i].told) == NULL) {
            fail_msg("%s: %s", cases[i].argument, err.text);
        }
    }
}

static void a_file_of_settings(void **state) {
    static const struct {
        const char *text, *told; /* NULL: it is taken */
    } cases[] = {
        {"", NULL},
        {"\n# comment\n  \t\nserver = there \r\nnames = a\nnames=b\nlimit=3", NULL},
        {"server", "f, line 1: \"server\" is not a setting: write name = value"},
        {"\n\nsevrer = x\n", "f, line 3: there is no setting \"sevrer\"; did you mean \"server\"?"},
        {"qqq = x\n", "f, line 1: there is no setting \"qqq\""},
        {"server =  \n", "f, line 1: an empty value"},
        {"limit = 0\n", "f, line 1: \"0\" is not a number from 1 to 9"},
        {"= x\n", "f, line 1: there is no setting \"\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings settings = {.server = "default"};
        struct err err = ERR_INIT;
        char text[128];
        snprintf(text, sizeof(text), "%s", cases[i].text);
        int result = options_read_file(OPTIONS, COUNT, text, "f", &settings, &err);
        assert_int_equal(result, cases[i].told == NULL ? 0 : -1);
        if (cases[i].told != NULL) {
            assert_int_equal(err.code, ERR_USAGE);
            assert_non_null(strstr(err.text, cases[i].told));
        } else if (text[0] != '\0' || i > 0) {
            assert_string_equal(settings.server, "there");
            assert_int_equal(settings.names.count, 2);
            assert_string_equal(settings.names.items[1], "b");
            assert_int_equal(settings.limit, 3);
        } else {
            assert_string_equal(settings.server, "default");
        }
    }
}

static void the_environment(void **state) {
    struct settings settings = {.server = NULL};
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(setenv(PREFIX "SERVER", "there", 1), 0);
    assert_int_equal(setenv(PREFIX "DRY_RUN", "true", 1), 0);
    assert_int_equal(setenv(PREFIX "OUTPUT", "", 1), 0);
    assert_int_equal(options_set_defaults(OPTIONS, COUNT, &settings, &err), 0);
    assert_string_equal(settings.server, "here");
    assert_int_equal(options_read_environment(PREFIX, OPTIONS, COUNT, &settings, &err), 0);
    assert_string_equal(settings.server, "there");
    assert_null(settings.output);
    assert_false(settings.dry_run); /* it is for one call */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_and_values_that_may_be_left_out),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_file_of_settings),
        cmocka_unit_test(the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
