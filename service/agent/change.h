/*
 * One list on its way to the daemon: check, keep the previous file, install, apply, verify, and at any
 * failure back to what was there.
 */
#ifndef BGPPEERD_AGENT_CHANGE_H
#define BGPPEERD_AGENT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"
#include "memory.h"

enum change_end {
    CHANGE_DONE,    /* the daemon runs it */
    CHANGE_PENDING, /* installed; the daemon does not run and will read it when it starts */
    CHANGE_REFUSED, /* the daemon or its checker refuses it, or nothing could be installed; all is as it was
                     */
    CHANGE_UNDONE,  /* it was applied, did not work, and was taken back */
    CHANGE_STOPPED, /* the agent is stopping; the next start applies it again */
};

/*
 * Bring `text`, which came with the entity tag `etag`, to the daemon. *memory is updated and stored when it
 * has taken it. Whatever it is not done for is in `err`.
 */
enum change_end change_run(struct host *host, struct memory *memory, const char *text, size_t len,
                           const char *etag, struct err *err);

#endif
