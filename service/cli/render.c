/*
 * `bgppeerd render`: a peering list from standard input as a daemon's configuration on standard output,
 * without a service. What the daemon cannot express is said on standard error. Main thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "cli_internal.h"
#include "codec.h"
#include "render.h"

#define INPUT_MAX (64u << 20)

struct render_settings {
    const char *format;
    bool fields;
};

#define MEMBER(name) offsetof(struct render_settings, name)

static const struct option OPTIONS[] = {
    {.name = "format",
     .value = "FORMAT",
     .type = OPTION_TEXT,
     .offset = MEMBER(format),
     .help = "What to write: json, bird2, bird3, frr, gobgp or openbgpd"},
    {.name = "fields",
     .type = OPTION_FLAG,
     .offset = MEMBER(fields),
     .help = "Print which fields of a list each daemon can express, and read nothing"},
};

static int render_read_input(struct buf *ret, struct err *err) {
    for (;;) {
        if (buf_reserve(ret, 65536) != 0) {
            return err_no_memory(err);
        }
        ssize_t got = read(STDIN_FILENO, ret->data + ret->len, 65536);
        if (got < 0 && errno != EINTR) {
            return err_set(err, ERR_UNAVAILABLE, "cannot read standard input: %s", strerror(errno));
        }
        if (got == 0) {
            return 0;
        }
        ret->len += got > 0 ? (size_t)got : 0;
        if (ret->len > INPUT_MAX) {
            return err_set(err, ERR_TOO_LARGE, "standard input has more than %u MiB", INPUT_MAX >> 20);
        }
    }
}

static void render_tell(const struct render_report *report) {
    for (size_t i = 0; i < report->count; i++) {
        const struct render_problem *problem = &report->problems[i];
        fprintf(stderr, "bgppeerd: %s %s%s%s: %s%s\n", problem->reason,
                problem->peer_ip != NULL ? problem->peer_ip : "", problem->peer_ip != NULL ? " " : "",
                problem->field, problem->message, problem->disabled ? "; the session is disabled" : "");
    }
}

static int render_list(const struct render_format *format, struct arena *arena, struct buf *text,
                       struct err *err) {
    struct buf input = {.wipe = true};
    struct peering_list list;
    struct peering_reveal reveal;
    struct render_options options = {.etag = NULL};
    struct render_report report;
    int result = codec_start(err);
    if (result == 0) {
        result = render_read_input(&input, err);
    }
    if (result == 0) {
        result = render_read_list(input.data, input.len, arena, &list, &options.revision, &reveal, err);
    }
    if (result == 0) {
        options.reveal = reveal.password != NULL ? &reveal : NULL;
        result = render_config(format, &list, &options, arena, text, &report, err);
    }
    if (result == 0) {
        render_tell(&report);
    }
    buf_done(&input);
    return result;
}

static int render_run(const struct command *command, int argc, char **argv) {
    struct render_settings settings = {.format = NULL};
    struct err err = ERR_INIT;
    bool help = false;
    if (options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc, argv, &settings, NULL,
                      &help, &err) != 0) {
        return command_failed(&err);
    }
    if (help) {
        command_print_help(command);
        return CLI_OK;
    }
    struct buf text = {.wipe = true};
    struct arena arena;
    arena_init(&arena, 0);
    int result = 0;
    const struct render_format *format =
        settings.format != NULL ? render_format_by_name(settings.format) : NULL;
    if (settings.fields) {
        render_fields_table(&text);
    } else if (format == NULL) {
        result = err_set(&err, ERR_USAGE,
                         "--format is one of json, bird2, bird3, frr, gobgp, openbgpd; the list comes from "
                         "standard input, for example: bgppeerd render --format bird2 <list.json");
    } else if (process_harden(&err) != 0 || render_list(format, &arena, &text, &err) != 0) {
        result = -1;
    }
    if (result == 0) {
        (void)fwrite(text.data, 1, text.len, stdout); /* cli_run tells of what fails */
    }
    buf_done(&text);
    arena_done(&arena);
    return result == 0 ? CLI_OK : command_failed(&err);
}

const struct command command_render = {
    .name = "render",
    .summary = "Write a peering list from standard input as a BGP daemon's configuration",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = render_run,
};
