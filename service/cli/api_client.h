/* A client of the running service, for commands: one request at a time over a connection of its own. */
#ifndef BGPPEERD_CLI_API_CLIENT_H
#define BGPPEERD_CLI_API_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * Ask the service that runs on data directory `data_dir`: where it listens is in DATA/listen, the credential
 * in `token_file` (NULL: DATA/admin.token, or none when that is not there). Over TLS its certificate must be
 * the one that DATA/listen names. `body` (JSON) may be NULL. The answer's body is appended to `ret`, a wiping
 * buffer. ERR_NOT_FOUND: it is not running, or the service says so; otherwise the service's own refusal (its
 * text), or ERR_UNAVAILABLE.
 */
int api_request(const char *data_dir, const char *token_file, const char *method, const char *path,
                const char *body, struct buf *ret, struct err *err) MUST_CHECK;
/* GET `path` into the file `fd`. As api_request. */
int api_download(const char *data_dir, const char *token_file, const char *path, int fd,
                 struct err *err) MUST_CHECK;

/* Does `path`, which is public, answer 200 within so many seconds of silence? As api_request, without a
 * token. */
int api_health(const char *data_dir, const char *path, unsigned seconds, struct err *err) MUST_CHECK;

#endif
