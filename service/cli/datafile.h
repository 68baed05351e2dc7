/* Small files of the data directory besides the store's: the first admin token, and where the service
 * listens. */
#ifndef BGPPEERD_CLI_DATAFILE_H
#define BGPPEERD_CLI_DATAFILE_H

#include <stddef.h>

#include "auth.h"
#include "base/buf.h"
#include "base/err.h"
#include "http.h"
#include "state.h"

#define DATAFILE_ADMIN_TOKEN "admin.token"
#define DATAFILE_LISTEN      "listen"

/* Put `len` bytes into dir/name, mode 0600, durable, all or nothing. ERR_UNAVAILABLE, ERR_STORAGE_FULL. */
int datafile_write(const char *dir, const char *name, const char *bytes, size_t len,
                   struct err *err) MUST_CHECK;
/* The content of dir/name (dir NULL: of the path `name`), at most `max` bytes, in a wiping buffer.
 * ERR_NOT_FOUND, ERR_UNAVAILABLE. */
int datafile_read(const char *dir, const char *name, size_t max, struct buf *ret, struct err *err) MUST_CHECK;
void datafile_remove(const char *dir, const char *name);

/* When there is no token at all: make an admin's, write it to DATA/admin.token, and log where. */
int admin_token_ensure(struct state *state, const char *dir, struct err *err) MUST_CHECK;
/* DATA/listen: a line per listener, "http://127.0.0.1:8080", or "https://… CERTIFICATE-FILE". */
int listen_file_write(const struct http *http, const char *dir, const char *cert_file,
                      struct err *err) MUST_CHECK;

/* A file of a start, which a full or read-only disk puts off: the service serves without it. */
struct start_file {
    bool is_needed; /* not yet written */
    bool has_failed;
};
struct start_files {
    struct state *state;
    const struct http *http;
    const char *dir;
    const char *cert_file;   /* NULL = none */
    struct start_file token; /* the first admin's, when there is none at all */
    struct start_file listen;
};
#define START_FILES_SECONDS 2 /* between two tries */

/* Write those that are needed. What fails is logged once, and again when it is done. True: try again. */
bool start_files_write(struct start_files *files);

#endif
