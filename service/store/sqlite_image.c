/*
 * A database without a disk: the file and its log, read into memory.
 *
 * SQLite cannot read a database with a write-ahead log where it cannot write at all: it needs the log's
 * index, and on a read-only file system locks that want a writable descriptor. So the bytes are read here,
 * the pages of the log put in their places, the header set to "no log", and SQLite gets all that as a
 * database in memory.
 *
 * Costs as much memory as the files are long, as long as the disk stays as it is. Before there are threads;
 * no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"
#include "sqlite_store.h"
#include "sqlite_wal.h"

/* In the database's header: the versions of the format for writing and for reading. */
enum { HEADER_WRITE_VERSION = 18, HEADER_READ_VERSION = 19, VERSION_WITHOUT_LOG = 1, HEADER_SIZE = 100 };

#define TRIAL_BYTES 65536 /* more than the log's index and a small transaction need */

static int image_fail(const char *path, int failure, struct err *err) {
    return err_set(err, ERR_UNAVAILABLE, "cannot read the database %s: %s", path, strerror(failure));
}

static int read_bytes(int fd, const char *path, unsigned char *bytes, size_t len, struct err *err) {
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, bytes + done, len - done, (off_t)done);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return image_fail(path, got == 0 ? EIO : errno, err);
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int image_read(const char *path, unsigned char **ret, size_t *ret_len, struct err *err) {
    struct stat status;
    unsigned char *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = 0;
    if (fd < 0 || fstat(fd, &status) != 0) {
        result = image_fail(path, errno, err);
    } else if (status.st_size < HEADER_SIZE) {
        result = image_fail(path, EIO, err);
    } else {
        bytes = sqlite3_malloc64((sqlite3_uint64)status.st_size);
        result =
            bytes == NULL ? err_no_memory(err) : read_bytes(fd, path, bytes, (size_t)status.st_size, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (result != 0) {
        sqlite3_free(bytes);
        return -1;
    }
    *ret = bytes;
    *ret_len = (size_t)status.st_size;
    return 0;
}

int sqlite_image_open(struct connection *connection, const char *path, struct err *err) {
    unsigned char *bytes = NULL;
    size_t len = 0;
    if (image_read(path, &bytes, &len, err) != 0) {
        return -1;
    }
    if (wal_apply(path, &bytes, &len, err) != 0 ||
        connection_open(connection, path, CONNECTION_IMAGE, err) != 0) {
        sqlite3_free(bytes);
        return -1;
    }
    bytes[HEADER_WRITE_VERSION] = VERSION_WITHOUT_LOG;
    bytes[HEADER_READ_VERSION] = VERSION_WITHOUT_LOG;
    /* Frees the bytes, also when it fails. */
    int code = sqlite3_deserialize(connection->db, "main", bytes, (sqlite3_int64)len, (sqlite3_int64)len,
                                   SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
    if (code != SQLITE_OK) {
        (void)connection_fail(connection, code, "read the database", err);
        connection_close(connection);
        return -1;
    }
    return 0;
}

int sqlite_try_disk(const char *dir, struct err *err) {
    static const unsigned char zeros[TRIAL_BYTES];
    char *name = path_join(dir, TEMPORARY_BACKUP TEMPORARY_RANDOM, err);
    if (name == NULL) {
        return -1;
    }
    int fd = mkostemp(name, O_CLOEXEC);
    ssize_t put = 0;
    if (fd >= 0) {
        (void)unlink(name);
        put = write(fd, zeros, sizeof(zeros));
    }
    int failure = fd >= 0 && put >= 0 ? ENOSPC : errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    free(name);
    if (fd >= 0 && put == (ssize_t)sizeof(zeros)) {
        return 0;
    }
    if (failure == ENOSPC || failure == EDQUOT || failure == EFBIG) {
        return err_set(err, ERR_STORAGE_FULL, "no space left in %s: %s; free some disk space", dir,
                       strerror(failure));
    }
    return err_set(err, ERR_UNAVAILABLE, "cannot write in %s: %s; nothing was changed", dir,
                   strerror(failure));
}
