/*
 * The data directory and its lock.
 *
 * The lock is flock(2) on the file `lock`, which holds the owner's process id for the other side's
 * message. The kernel drops it with the process, however that ends, so the file itself stays: removing
 * it would let two processes lock two different files of the same name.
 */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/number.h"

char *path_join(const char *a, const char *b, struct err *err) {
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    char *joined = base_malloc(a_len + b_len + 1);
    if (joined == NULL) {
        (void)err_no_memory(err);
        return NULL;
    }
    memcpy(joined, a, a_len);
    memcpy(joined + a_len, b, b_len + 1);
    return joined;
}

int directory_create(const char *dir, struct err *err) {
    if (mkdir(dir, 0700) == 0) {
        return directory_sync_parent(dir, err);
    }
    int failure = errno;
    struct stat status;
    if (failure == EEXIST && stat(dir, &status) == 0 && S_ISDIR(status.st_mode)) {
        return 0;
    }
    if (failure == EEXIST) {
        return err_set(err, ERR_UNAVAILABLE, "%s is not a directory; name another data directory", dir);
    }
    return err_set(err, failure == ENOSPC || failure == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                   "cannot create the data directory %s: %s%s", dir, strerror(failure),
                   failure == ENOENT ? "; create its parent directory first" : "");
}

/* The process id in the lock file, 0 when there is none to read. */
static unsigned long lock_holder(int fd) {
    char text[24];
    ssize_t len = pread(fd, text, sizeof(text), 0);
    uint64_t pid = 0;
    if (len > 0) {
        char *end = memchr(text, '\n', (size_t)len);
        if (end != NULL && u64_parse(text, (size_t)(end - text), INT_MAX, &pid)) {
            return (unsigned long)pid;
        }
    }
    return 0;
}

/* Where nothing can be written, a lock needs no writing either: on the file that is there, or else on the
 * directory, which nobody needs to lock who can make the file. */
static int lock_without_writing(const char *dir, const char *path) {
    int failure = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    errno = failure;
    return fd;
}

int directory_lock(const char *dir, int *ret_fd, struct err *err) {
    char *path = path_join(dir, "/lock", err);
    if (path == NULL) {
        return -1;
    }
    int failed = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && (errno == EROFS || errno == ENOSPC || errno == EDQUOT)) {
        fd = lock_without_writing(dir, path);
    }
    if (fd < 0) {
        failed = err_set(err, errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                         "cannot open the lock file %s: %s; the data directory must be writable by this user",
                         path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        unsigned long holder = lock_holder(fd);
        if (errno != EWOULDBLOCK) {
            failed = err_set(err, ERR_UNAVAILABLE, "cannot lock %s: %s", path, strerror(errno));
        } else if (holder != 0) {
            failed = err_set(err, ERR_CONFLICT,
                             "the data directory %s is in use by process %lu; stop that one first or choose "
                             "another data directory",
                             dir, holder);
        } else {
            failed = err_set(err, ERR_CONFLICT,
                             "the data directory %s is in use by another process; stop that one first or "
                             "choose another data directory",
                             dir);
        }
    }
    free(path);
    if (failed < 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    /* Only for the other side's message: a full disk must not keep the service from starting. */
    if (ftruncate(fd, 0) == 0) {
        (void)dprintf(fd, "%ld\n", (long)getpid());
    }
    *ret_fd = fd;
    return 0;
}

int directory_sync_parent(const char *path, struct err *err) {
    char *parent = path_join(path, "", err);
    if (parent == NULL) {
        return -1;
    }
    /* "a/b/" names b, whose parent is a. */
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/') {
        parent[--len] = '\0';
    }
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        parent[0] = '.';
        parent[len > 0 ? 1 : 0] = '\0';
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    int failed = 0;
    int fd = open(parent[0] != '\0' ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        /* EINVAL: a filesystem without fsync on directories; there is nothing more to do there. */
        if (fd < 0 || errno != EINVAL) {
            failed =
                err_set(err, ERR_UNAVAILABLE, "cannot sync the directory %s: %s", parent, strerror(errno));
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(parent);
    return failed;
}
