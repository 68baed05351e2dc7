/*
 * Files beside the store that people and `bgppeerd token` read: DATA/admin.token and DATA/listen. Written to
 * a new name, synced and renamed, so that a reader sees the old or the new one. No state.
 */
#include "datafile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* `dir` NULL: the name is a path already. */
static int failed(const char *what, const char *dir, const char *name, struct err *err) {
    int saved = errno;

    return err_set(err, saved == ENOSPC || saved == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                   "cannot %s %s%s%s: %s", what, dir != NULL ? dir : "", dir != NULL ? "/" : "", name,
                   strerror(saved));
}

static int write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);

        if (done < 0 && errno != EINTR) {
            return -1;
        }
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        }
    }
    return fsync(fd);
}

/* Make the rename itself durable. */
static int sync_directory(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int datafile_write(const char *dir, const char *name, const char *bytes, size_t len, struct err *err) {
    char path[PATH_MAX], fresh[PATH_MAX];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path ||
        (size_t)snprintf(fresh, sizeof fresh, "%s/%s.new", dir, name) >= sizeof fresh) {
        return err_set(err, ERR_USAGE, "the name of the data directory is too long");
    }
    (void)unlink(fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed("write", dir, name, err);
    }
    if (write_all(fd, bytes, len) != 0 || rename(fresh, path) != 0) {
        failed("write", dir, name, err);
        close(fd);
        (void)unlink(fresh);
        return -1;
    }
    close(fd);
    return sync_directory(dir) != 0 ? failed("make durable", dir, name, err) : 0;
}

int datafile_read(const char *dir, const char *name, size_t max, struct buf *ret, struct err *err) {
    char path[PATH_MAX];
    ssize_t done;
    int fd;

    ret->wipe = true;
    if ((size_t)snprintf(path, sizeof path, "%s%s%s", dir != NULL ? dir : "", dir != NULL ? "/" : "", name) >=
        sizeof path) {
        return err_set(err, ERR_USAGE, "the name of the file is too long");
    }
    if (buf_reserve(ret, max + 1) != 0) {
        return err_no_memory(err);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int missing = errno == ENOENT;

        failed("read", dir, name, err);
        err->code = missing ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
        return -1;
    }
    do {
        done = read(fd, ret->data + ret->len, max + 1 - ret->len);
        ret->len += done > 0 ? (size_t)done : 0;
    } while (done > 0 || (done < 0 && errno == EINTR));
    close(fd);
    if (done < 0) {
        return failed("read", dir, name, err);
    }
    if (ret->len > max) {
        return err_set(err, ERR_UNAVAILABLE, "%s is larger than %zu bytes; it is none of ours", path, max);
    }
    ret->data[ret->len] = '\0';
    return 0;
}

void datafile_remove(const char *dir, const char *name) {
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path) {
        (void)unlink(path);
    }
}

int admin_token_ensure(struct state *state, const char *dir, struct err *err) {
    struct token_write write = {.revoke = false};
    char text[TOKEN_TEXT_MAX + 1];
    int rc;

    if (!state_has_no_tokens(state)) {
        return 0;
    }
    if (token_new(ROLE_ADMIN, NULL, "made at first start", 0, &write.token, text, err) != 0) {
        return -1;
    }
    /* The file first: a crash in between must not leave a token that nobody knows. */
    memcpy(text + TOKEN_TEXT_MAX - 1, "\n", 2);
    rc = datafile_write(dir, DATAFILE_ADMIN_TOKEN, text, TOKEN_TEXT_MAX, err);
    explicit_bzero(text, sizeof text);
    if (rc != 0 || state_write_token(state, &write, err) != 0) {
        return -1;
    }
    state_audit(state, &(struct audit_entry){.event = AUDIT_TOKEN,
                                             .time_ms = clock_realtime_ms(),
                                             .user = "bgppeerd",
                                             .verb = "create",
                                             .resource = "tokens",
                                             .name = write.token.id});
    log_event(LOG_INFO, "admin-token", LOG_STR("id", write.token.id), LOG_STR("dir", dir),
              LOG_STR("file", DATAFILE_ADMIN_TOKEN),
              LOG_STR("text", "the first admin token was made; it is in this file"));
    return 0;
}

/* A wildcard address is reached over loopback. */
static void add_reachable(struct buf *out, const char *address) {
    if (strncmp(address, "0.0.0.0:", 8) == 0) {
        buf_printf(out, "127.0.0.1%s", address + 7);
    } else if (strncmp(address, "[::]:", 5) == 0) {
        buf_printf(out, "[::1]%s", address + 4);
    } else {
        buf_add_str(out, address);
    }
}

int listen_file_write(const struct http *http, const char *dir, const char *cert_file, struct err *err) {
    char *cert = cert_file != NULL ? realpath(cert_file, NULL) : NULL;
    struct buf text = BUF_INIT;
    int rc;

    for (size_t i = 0; http_address(http, i) != NULL; i++) {
        bool tls = http_is_tls(http, i);

        buf_add_str(&text, tls ? "https://" : "http://");
        add_reachable(&text, http_address(http, i));
        if (tls) {
            buf_printf(&text, " %s", cert != NULL ? cert : cert_file);
        }
        buf_add_char(&text, '\n');
    }
    free(cert);
    rc = buf_failed(&text) ? err_no_memory(err)
                           : datafile_write(dir, DATAFILE_LISTEN, text.data, text.len, err);
    buf_done(&text);
    return rc;
}

/* ---- the files of a start ---- */

static void start_file_note(struct start_file *file, const char *name, int result, const struct err *err) {
    if (result != 0 && !file->has_failed) {
        log_event(LOG_WARN, "file-not-written", LOG_STR("file", name), LOG_STR("error", err->text),
                  LOG_STR("consequence", "the service runs without it, and tries again"));
    } else if (result == 0 && file->has_failed) {
        log_event(LOG_INFO, "file-written", LOG_STR("file", name));
    }
    file->is_needed = result != 0;
    file->has_failed = result != 0;
}

bool start_files_write(struct start_files *files) {
    struct err err = ERR_INIT;
    if (files->token.is_needed) {
        int result = admin_token_ensure(files->state, files->dir, &err);
        start_file_note(&files->token, DATAFILE_ADMIN_TOKEN, result, &err);
    }
    err_clear(&err);
    if (files->listen.is_needed) {
        int result = listen_file_write(files->http, files->dir, files->cert_file, &err);
        start_file_note(&files->listen, DATAFILE_LISTEN, result, &err);
    }
    return files->token.is_needed || files->listen.is_needed;
}
