/*
 * The high-water mark: 64 bytes, overwritten in place after each transaction and before it is acknowledged.
 *
 * It is never synced: whoever loses power may find an older mark than the database, which is fine, but never
 * a newer one, because the transaction that it speaks of was synced before it was written. All of it lies in
 * the file's first sector, so a write is there or not. A new file is made under another name, synced and
 * renamed.
 *
 * Layout: "BGPPHIGH", the database's uuid (16), revision (8), transactions (8), zeros (16), and the digest of
 * all that (8). Numbers are big-endian.
 *
 * No state, no locks: the committing thread's, or before there are threads.
 */
#include "high_water.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "directory.h"

enum { AT_MAGIC = 0, AT_UUID = 8, AT_REVISION = 24, AT_COMMITS = 32, AT_DIGEST = 56, MARK_SIZE = 64 };
static const char MAGIC[AT_UUID] = {'B', 'G', 'P', 'P', 'H', 'I', 'G', 'H'};

static void mark_put_u64(unsigned char *at, uint64_t number) {
    for (int i = 7; i >= 0; i--) {
        at[i] = (unsigned char)number;
        number >>= 8;
    }
}

static uint64_t mark_get_u64(const unsigned char *at) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static void mark_encode(const struct high_water *mark, unsigned char out[MARK_SIZE]) {
    memset(out, 0, MARK_SIZE);
    memcpy(out + AT_MAGIC, MAGIC, sizeof(MAGIC));
    memcpy(out + AT_UUID, mark->uuid, sizeof(mark->uuid));
    mark_put_u64(out + AT_REVISION, mark->revision);
    mark_put_u64(out + AT_COMMITS, mark->commits);
    mark_put_u64(out + AT_DIGEST, digest_u64(0, out, AT_DIGEST));
}

/* False: damaged. */
static bool mark_decode(const unsigned char *bytes, size_t len, struct high_water *ret) {
    if (len != MARK_SIZE || memcmp(bytes, MAGIC, sizeof(MAGIC)) != 0 ||
        mark_get_u64(bytes + AT_DIGEST) != digest_u64(0, bytes, AT_DIGEST)) {
        return false;
    }
    memcpy(ret->uuid, bytes + AT_UUID, sizeof(ret->uuid));
    ret->revision = mark_get_u64(bytes + AT_REVISION);
    ret->commits = mark_get_u64(bytes + AT_COMMITS);
    return true;
}

static int mark_fail(const char *what, const char *path, struct err *err) {
    int failure = errno;
    return err_set(err, failure == ENOSPC || failure == EDQUOT ? ERR_STORAGE_FULL : ERR_UNAVAILABLE,
                   "cannot %s %s: %s", what, path, strerror(failure));
}

int high_water_read(const char *dir, struct high_water *ret, enum high_water_state *ret_state,
                    struct err *err) {
    char *path = path_join(dir, HIGH_WATER_FILE, err);
    if (path == NULL) {
        return -1;
    }
    unsigned char bytes[MARK_SIZE + 1];
    int result = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd >= 0 ? pread(fd, bytes, sizeof(bytes), 0) : -1;
    if (fd < 0 && errno == ENOENT) {
        *ret_state = HIGH_WATER_NONE;
    } else if (len < 0) {
        result = mark_fail("read", path, err);
    } else {
        *ret_state = mark_decode(bytes, (size_t)len, ret) ? HIGH_WATER_WHOLE : HIGH_WATER_DAMAGED;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(path);
    return result;
}

int high_water_raise(int fd, const struct high_water *mark) {
    unsigned char bytes[MARK_SIZE];
    mark_encode(mark, bytes);
    ssize_t done = 0;
    do {
        done = pwrite(fd, bytes, sizeof(bytes), 0);
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)sizeof(bytes) ? 0 : done < 0 ? errno : ENOSPC;
}

/* A new file under `fresh`, whole and synced. */
static int mark_build(const char *fresh, const struct high_water *mark, int *ret_fd, struct err *err) {
    if (unlink(fresh) != 0 && errno != ENOENT) {
        return mark_fail("remove", fresh, err);
    }
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return mark_fail("create", fresh, err);
    }
    errno = high_water_raise(fd, mark);
    if (errno != 0 || fsync(fd) != 0) {
        (void)mark_fail("write", fresh, err);
        (void)close(fd);
        (void)unlink(fresh);
        return -1;
    }
    *ret_fd = fd;
    return 0;
}

static int mark_replace(const char *path, const struct high_water *mark, int *ret_fd, struct err *err) {
    char *fresh = path_join(path, ".new", err);
    int fd = -1;
    int result = fresh == NULL ? -1 : mark_build(fresh, mark, &fd, err);
    if (result == 0 && rename(fresh, path) != 0) {
        result = mark_fail("write", path, err);
        (void)unlink(fresh);
    }
    if (result == 0) {
        result = directory_sync_parent(path, err);
    }
    if (result == 0) {
        *ret_fd = fd;
    } else if (fd >= 0) {
        (void)close(fd);
    }
    free(fresh);
    return result;
}

int high_water_open(const char *dir, const struct high_water *mark, int *ret_fd, struct err *err) {
    struct high_water old;
    enum high_water_state state = HIGH_WATER_NONE;
    if (high_water_read(dir, &old, &state, err) != 0) {
        return -1;
    }
    char *path = path_join(dir, HIGH_WATER_FILE, err);
    if (path == NULL) {
        return -1;
    }
    int result = 0;
    if (state != HIGH_WATER_WHOLE) {
        result = mark_replace(path, mark, ret_fd, err);
    } else {
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        errno = fd < 0 ? errno : high_water_raise(fd, mark);
        if (fd < 0 || errno != 0) {
            result = mark_fail("write", path, err);
            if (fd >= 0) {
                (void)close(fd);
            }
        } else {
            *ret_fd = fd;
        }
    }
    free(path);
    return result;
}
