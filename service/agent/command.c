/*
 * A program of the host's own instead of a daemon: it gets the list, as JSON, on its standard input and says
 * by its exit status whether it has taken it. The list is kept in a file, so that there is one to go back to.
 */
#include <limits.h>
#include <stdio.h>

#include "child.h"
#include "driver.h"

#define COMMAND_SECONDS 60

static int command_run(struct host *host, const char *text, size_t len, struct err *err) {
    char failure[PATH_MAX + 32];
    snprintf(failure, sizeof(failure), "%s does not take the list", host->settings->command);
    const char *const argv[] = {host->settings->command, NULL};
    struct child child = {.argv = argv,
                          .input = text,
                          .input_len = len,
                          .seconds = COMMAND_SECONDS,
                          .finish = true,
                          .failure = failure,
                          .code = ERR_INVALID,
                          .complains = child_first_line};
    int result = child_tell(host->loop, &child, err);
    if (result != 0 && err->code == ERR_NOT_FOUND) {
        err->code = ERR_INVALID; /* unlike a daemon that is away, it will not read the file later */
    }
    return result;
}

static int command_check(struct host *host, const char *path, struct err *err) {
    (void)host;
    (void)path;
    (void)err;
    return 0;
}

static int command_apply(struct host *host, const struct change *change, struct err *err) {
    return command_run(host, change->text, change->len, err);
}

static int command_undo(struct host *host, const struct change *change, struct err *err) {
    return change->old_text != NULL ? command_run(host, change->old_text, change->old_len, err) : 0;
}

const struct driver DRIVER_COMMAND = {
    .name = "command",
    .mode = 0600,
    .restart_lines = (const char *const[]){NULL},
    .check = command_check,
    .apply = command_apply,
    .undo = command_undo,
};
