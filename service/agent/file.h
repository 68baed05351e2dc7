/* Files of the agent: read whole, written whole or not at all, durable. */
#ifndef BGPPEERD_AGENT_FILE_H
#define BGPPEERD_AGENT_FILE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define FILE_TEXT_MAX ((size_t)32 * 1024 * 1024) /* of a configuration */

/* dir/name. ERR_USAGE: too long. */
int file_path(const char *dir, const char *name, char ret[PATH_MAX], struct err *err) MUST_CHECK;

/* Appends the content to `ret`, a wiping buffer. ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_TOO_LARGE. */
int file_read(const char *path, size_t max, struct buf *ret, struct err *err) MUST_CHECK;

/*
 * A file that takes another one's place: `path` with ".new" behind it, in the same directory, with its
 * content on the disk, owned by us and `group` (a name; "" or NULL: ours), `mode`. What there was of that
 * name is replaced. ERR_STORAGE_FULL, ERR_UNAVAILABLE, ERR_USAGE (no such group).
 */
int file_stage(const char *path, const char *text, size_t len, const char *group, mode_t mode,
               struct err *err) MUST_CHECK;
/* The name of the staged file. */
int file_staged_path(const char *path, char ret[PATH_MAX], struct err *err) MUST_CHECK;
/* Put the staged file into its place, durably. On failure the old file is there, and the staged one is gone.
 */
int file_commit(const char *path, struct err *err) MUST_CHECK;
/* Remove the staged file, if there is one. */
void file_abandon(const char *path);
/* Stage and commit at once. */
int file_write(const char *path, const char *text, size_t len, const char *group, mode_t mode,
               struct err *err) MUST_CHECK;

#endif
