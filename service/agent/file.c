/*
 * Files. Nothing is kept open; the bytes are the caller's.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGED_SUFFIX ".new"

static int file_failed(const char *what, const char *path, struct err *err) {
    enum err_code code = errno == ENOENT                      ? ERR_NOT_FOUND
                         : errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL
                                                              : ERR_UNAVAILABLE;
    return err_set(err, code, "cannot %s %s: %s", what, path, strerror(errno));
}

int file_path(const char *dir, const char *name, char ret[PATH_MAX], struct err *err) {
    int len = snprintf(ret, PATH_MAX, "%s/%s", dir, name);
    return len < PATH_MAX ? 0 : err_set(err, ERR_USAGE, "the path %.100s… is too long", dir);
}

int file_staged_path(const char *path, char ret[PATH_MAX], struct err *err) {
    int len = snprintf(ret, PATH_MAX, "%s" STAGED_SUFFIX, path);
    return len < PATH_MAX ? 0 : err_set(err, ERR_USAGE, "the path %.100s… is too long", path);
}

int file_read(const char *path, size_t max, struct buf *ret, struct err *err) {
    ret->wipe = true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0) {
        return file_failed("read", path, err);
    }
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        close(fd);
        return err_set(err, ERR_UNAVAILABLE, "%s is no file", path);
    }
    ssize_t done = 1;
    size_t start = ret->len;
    while (done > 0 && ret->len - start <= max) {
        if (buf_reserve(ret, 65536) != 0) {
            close(fd);
            return err_no_memory(err);
        }
        done = read(fd, ret->data + ret->len, 65536);
        if (done > 0) {
            ret->len += (size_t)done;
            ret->data[ret->len] = '\0';
        }
    }
    int result = done < 0 ? file_failed("read", path, err) : 0;
    close(fd);
    if (result == 0 && ret->len - start > max) {
        return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
    }
    return result;
}

/* ---- writing ---- */

static int file_set_owner(int fd, const char *group, mode_t mode, const char *path, struct err *err) {
    if (group != NULL && group[0] != '\0') {
        const struct group *entry = getgrnam(group);
        if (entry == NULL) {
            return err_set(err, ERR_USAGE,
                           "there is no group \"%s\" that could read %s; name another by --group", group,
                           path);
        }
        if (fchown(fd, (uid_t)-1, entry->gr_gid) != 0) {
            return file_failed("give the daemon's group", path, err);
        }
    }
    return fchmod(fd, mode) == 0 ? 0 : file_failed("set the mode of", path, err);
}

static int file_write_all(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        if (done > 0) {
            text += done;
            len -= (size_t)done;
        }
    }
    return fsync(fd);
}

int file_stage(const char *path, const char *text, size_t len, const char *group, mode_t mode,
               struct err *err) {
    char staged[PATH_MAX];
    if (file_staged_path(path, staged, err) != 0) {
        return -1;
    }
    (void)unlink(staged);
    int fd = open(staged, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_failed("write", staged, err);
    }
    /* Nobody else may read it before it is whole. */
    int result = file_write_all(fd, text, len) == 0 ? 0 : file_failed("write", staged, err);
    if (result == 0) {
        result = file_set_owner(fd, group, mode, staged, err);
    }
    close(fd);
    if (result != 0) {
        (void)unlink(staged);
    }
    return result;
}

static int file_sync_directory(const char *path, struct err *err) {
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return file_failed("open", dir, err);
    }
    int result = fsync(fd) == 0 ? 0 : file_failed("make durable", dir, err);
    close(fd);
    return result;
}

int file_commit(const char *path, struct err *err) {
    char staged[PATH_MAX];
    if (file_staged_path(path, staged, err) != 0) {
        return -1;
    }
    if (rename(staged, path) != 0) {
        file_failed("replace", path, err);
        (void)unlink(staged);
        return -1;
    }
    return file_sync_directory(path, err);
}

void file_abandon(const char *path) {
    struct err ignored = ERR_INIT;
    char staged[PATH_MAX];
    if (file_staged_path(path, staged, &ignored) == 0) {
        (void)unlink(staged);
    }
}

int file_write(const char *path, const char *text, size_t len, const char *group, mode_t mode,
               struct err *err) {
    return file_stage(path, text, len, group, mode, err) == 0 ? file_commit(path, err) : -1;
}
