/*
 * What the agent remembers over restarts, in its state directory, which one agent at a time may use: which
 * list its daemon has taken, and the highest revision that the service has shown.
 *
 * Files: `lock`; `state`, lines of key=value; `previous`, the configuration before the installed one;
 * `original`, what was there before the agent first wrote the file. The last two hold passwords.
 */
#ifndef BGPPEERD_AGENT_MEMORY_H
#define BGPPEERD_AGENT_MEMORY_H

#include <stdint.h>

#include "base/err.h"
#include "base/random.h"

#define ETAG_TEXT_MAX 256

struct memory {
    const char *dir;
    int lock;
    char etag[ETAG_TEXT_MAX];     /* of the answer that the daemon has taken, with its quotes; "" = none */
    char list[96];                /* the list's own tag, without quotes */
    char digest[DIGEST_TEXT_MAX]; /* of the file that the daemon has taken */
    char daemon[32];              /* whose configuration that is: the driver's name */
    uint64_t revision;            /* the highest that has been seen */
    int64_t applied_ms;           /* when the daemon took the list, since 1970 */
};

/*
 * Make the directory if it is missing, lock it, read what is remembered. What cannot be read is forgotten,
 * with a warning: then everything is applied again. ERR_ALREADY_EXISTS: another agent has the directory;
 * ERR_UNAVAILABLE.
 */
int memory_open(const char *dir, struct memory *ret, struct err *err) MUST_CHECK;
/* Store it, durably. ERR_STORAGE_FULL, ERR_UNAVAILABLE. */
int memory_store(const struct memory *memory, struct err *err) MUST_CHECK;
/* Forget which list was applied: the next start applies everything again. */
int memory_forget(struct memory *memory, struct err *err) MUST_CHECK;
void memory_close(struct memory *memory);

#endif
