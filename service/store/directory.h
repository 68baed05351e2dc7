/* The data directory: made when missing, locked against a second process, made durable. */
#ifndef BGPPEERD_STORE_DIRECTORY_H
#define BGPPEERD_STORE_DIRECTORY_H

#include "base/err.h"

/* Create `dir` with mode 0700 when it is missing (not its parents). */
int directory_create(const char *dir, struct err *err) MUST_CHECK;
/* Lock `dir` through its file `lock`; the lock lives until the descriptor is closed. ERR_CONFLICT with the
 * holder's process id when somebody has it. */
int directory_lock(const char *dir, int *ret_fd, struct err *err) MUST_CHECK;
/* fsync the directory that contains `path`, so that a rename there survives a power loss. */
int directory_sync_parent(const char *path, struct err *err) MUST_CHECK;
/* "<a><b>" in malloc'ed memory. */
char *path_join(const char *a, const char *b, struct err *err) MUST_CHECK;

#endif
