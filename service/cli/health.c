/*
 * The command `health`: asks the service that runs on a data directory whether it is ready, over whichever
 * listener it has, with TLS or without. For the checks of containers and service managers, which need no
 * other program then.
 */
#include <stdio.h>

#include "api_client.h"
#include "cli_internal.h"

struct health_settings {
    const char *data_dir;
    uint64_t seconds;
    bool live;
};

#define MEMBER(name) offsetof(struct health_settings, name)

static const struct option OPTIONS[] = {
    {.name = "data-dir",
     .value = "DIR",
     .type = OPTION_TEXT,
     .offset = MEMBER(data_dir),
     .default_text = "./data",
     .help = "The running service's data directory, which says where it listens"},
    {.name = "health-seconds",
     .value = "N",
     .type = OPTION_NUMBER,
     .offset = MEMBER(seconds),
     .min = 1,
     .max = 300,
     .default_text = "2",
     .help = "How long to wait for the answer"},
    {.name = "live",
     .type = OPTION_FLAG,
     .offset = MEMBER(live),
     .help = "Ask whether the process answers (/livez), not whether its store takes writes (/readyz)"},
};

static int health_run(const struct command *command, int argc, char **argv) {
    struct health_settings settings = {.data_dir = NULL};
    struct err err = ERR_INIT;
    bool wants_help;
    if (options_parse(VARIABLE_PREFIX, command->options, command->option_count, argc, argv, &settings, NULL,
                      &wants_help, &err) != 0) {
        return command_failed(&err);
    }
    if (wants_help) {
        command_print_help(command);
        return CLI_OK;
    }
    return api_health(settings.data_dir, settings.live ? "/livez" : "/readyz", (unsigned)settings.seconds,
                      &err) == 0
               ? CLI_OK
               : command_failed(&err);
}

const struct command command_health = {
    .name = "health",
    .summary = "Ask the running service whether it is ready",
    .options = OPTIONS,
    .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
    .run = health_run,
};
