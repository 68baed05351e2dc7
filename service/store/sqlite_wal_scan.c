/*
 * Damage of the write-ahead log, told from its torn end.
 *
 * SQLite reads the log up to the first frame whose checksum is wrong and takes that for the place where the
 * machine lost power. The same happens when a bit in the middle has changed: everything behind is then given
 * up without a word, although it was acknowledged. What tells them apart:
 *
 *   1. A transaction's last frame is marked as a commit. The committing thread begins the next transaction
 * only after that frame, and all before it, were synced.
 *   2. Checksums are cumulative: a frame's checksum begins with that of the frame before. So a frame that
 * fits to a commit before it was written after that commit had been synced.
 *   3. Therefore, when such a pair is found behind a bad frame, the bad frame was good once: damage.
 *
 * The frames of a write that failed, which may lie behind the log's end, hold one commit, their last frame,
 * and what comes behind does not fit to it. Older frames, from before the log was started over, have another
 * salt.
 *
 * The format is SQLite's documented one (sqlite.org/fileformat2.html, "The Write-Ahead Log"). By plain
 * reading, before SQLite opens the file. No state, no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "directory.h"
#include "sqlite_wal.h"

enum {
    SCAN_HEADER = 32, /* of the file */
    SCAN_FRAME = 24,  /* header of a frame */
    SCAN_PAGE_MIN = 512,
    SCAN_PAGE_MAX = 65536,
};
/* Offsets: in the file's header, and in a frame's. */
enum { HEADER_MAGIC = 0, HEADER_PAGE = 8, HEADER_SALT = 16, HEADER_SUM = 24 };
enum { FRAME_COMMIT = 4, FRAME_SALT = 8, FRAME_SUM = 16 };
#define WAL_MAGIC 0x377f0682u /* | 1: checksums over big-endian words */

struct wal_sum {
    uint32_t s0;
    uint32_t s1;
};

struct wal_scan {
    bool big_endian;
    size_t page;
    unsigned char salt[8];
    struct wal_sum good; /* up to the last frame that is good */
    bool is_torn;        /* a bad frame has been seen */
    bool is_damaged;
    bool has_previous;     /* the frame before has this log's salt */
    bool previous_commits; /* … and is a commit */
    struct wal_sum previous;
    uint64_t frames;    /* good ones so far */
    uint64_t committed; /* … up to the last commit */
    uint32_t pages;     /* of the database, as that commit says */
};

static uint32_t word(const unsigned char *at, bool big_endian) {
    return big_endian ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
                      : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* `len` is a multiple of 8. */
static struct wal_sum sum_add(struct wal_sum sum, const unsigned char *bytes, size_t len, bool big_endian) {
    for (size_t i = 0; i < len; i += 8) {
        sum.s0 += word(bytes + i, big_endian) + sum.s1;
        sum.s1 += word(bytes + i + 4, big_endian) + sum.s0;
    }
    return sum;
}

static struct wal_sum sum_read(const unsigned char *at) {
    return (struct wal_sum){.s0 = word(at, true), .s1 = word(at + 4, true)};
}

static bool sum_equal(struct wal_sum a, struct wal_sum b) {
    return a.s0 == b.s0 && a.s1 == b.s1;
}

static struct wal_sum frame_sum(const struct wal_scan *scan, struct wal_sum before,
                                const unsigned char *frame) {
    return sum_add(sum_add(before, frame, FRAME_SALT, scan->big_endian), frame + SCAN_FRAME, scan->page,
                   scan->big_endian);
}

/* False: the header is not one. */
static bool scan_begin(struct wal_scan *scan, const unsigned char header[SCAN_HEADER]) {
    uint32_t magic = word(header + HEADER_MAGIC, true);
    uint32_t page = word(header + HEADER_PAGE, true);
    if ((magic & ~1u) != WAL_MAGIC || page < SCAN_PAGE_MIN || page > SCAN_PAGE_MAX ||
        (page & (page - 1)) != 0) {
        return false;
    }
    *scan = (struct wal_scan){.big_endian = (magic & 1) != 0, .page = page};
    memcpy(scan->salt, header + HEADER_SALT, sizeof(scan->salt));
    scan->good = sum_add((struct wal_sum){0}, header, HEADER_SUM, scan->big_endian);
    return sum_equal(scan->good, sum_read(header + HEADER_SUM));
}

static void scan_frame(struct wal_scan *scan, const unsigned char *frame) {
    bool ours = memcmp(frame + FRAME_SALT, scan->salt, sizeof(scan->salt)) == 0;
    struct wal_sum stored = sum_read(frame + FRAME_SUM);
    if (!scan->is_torn) {
        struct wal_sum sum = frame_sum(scan, scan->good, frame);
        scan->is_torn = !ours || !sum_equal(sum, stored);
        if (!scan->is_torn) {
            uint32_t pages = word(frame + FRAME_COMMIT, true);
            scan->good = sum;
            scan->frames++;
            scan->committed = pages != 0 ? scan->frames : scan->committed;
            scan->pages = pages != 0 ? pages : scan->pages;
        }
    }
    if (scan->is_torn) {
        scan->is_damaged = scan->is_damaged || (ours && scan->has_previous && scan->previous_commits &&
                                                sum_equal(frame_sum(scan, scan->previous, frame), stored));
        scan->has_previous = ours;
        scan->previous_commits = ours && word(frame + FRAME_COMMIT, true) != 0;
        scan->previous = stored;
    }
}

/* As many of `len` bytes as there are; -1: errno. */
static ssize_t read_at(int fd, unsigned char *bytes, size_t len, off_t offset) {
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, bytes + done, len - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Until the end, or the first damage: what lies behind counts no more. */
static int scan_frames(int fd, struct wal_scan *scan, const char *path, struct err *err) {
    size_t size = SCAN_FRAME + scan->page;
    unsigned char *frame = base_malloc(size);
    if (frame == NULL) {
        return err_no_memory(err);
    }
    off_t offset = SCAN_HEADER;
    ssize_t got = 0;
    while (!scan->is_damaged && (got = read_at(fd, frame, size, offset)) == (ssize_t)size) {
        scan_frame(scan, frame);
        offset += (off_t)size;
    }
    int failure = errno;
    free(frame);
    return got >= 0 ? 0
                    : err_set(err, ERR_UNAVAILABLE, "cannot read the log %s: %s", path, strerror(failure));
}

/* A log without a good header counts as one without frames. */
static int scan_file(int fd, const char *path, struct wal_scan *ret, struct err *err) {
    unsigned char header[SCAN_HEADER + 1];
    ssize_t got = read_at(fd, header, sizeof(header), 0);
    *ret = (struct wal_scan){.page = 0};
    if (got < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot read the log %s: %s", path, strerror(errno));
    }
    if (got < (ssize_t)sizeof(header)) {
        return 0; /* the header is synced before the first frame is written */
    }
    if (!scan_begin(ret, header)) {
        *ret = (struct wal_scan){.is_damaged = true};
        return 0;
    }
    return scan_frames(fd, ret, path, err);
}

int wal_scan(const char *database, bool *ret_damaged, struct err *err) {
    char *path = path_join(database, "-wal", err);
    if (path == NULL) {
        return -1;
    }
    int result = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        struct wal_scan scan;
        result = scan_file(fd, path, &scan, err);
        *ret_damaged = result == 0 && scan.is_damaged;
        (void)close(fd);
    } else if (errno == ENOENT) {
        *ret_damaged = false;
    } else {
        result = err_set(err, ERR_UNAVAILABLE, "cannot open the log %s: %s", path, strerror(errno));
    }
    free(path);
    return result;
}

static int copy_pages(int fd, const struct wal_scan *scan, unsigned char *image, const char *path,
                      struct err *err) {
    size_t size = SCAN_FRAME + scan->page;
    unsigned char header[SCAN_FRAME];
    for (uint64_t i = 0; i < scan->committed; i++) {
        off_t at = (off_t)(SCAN_HEADER + i * size);
        if (read_at(fd, header, sizeof(header), at) != SCAN_FRAME) {
            return err_set(err, ERR_UNAVAILABLE, "cannot read the log %s", path);
        }
        uint32_t number = word(header, true);
        if (number == 0 || number > scan->pages) {
            continue; /* of a page that the last commit has cut off */
        }
        if (read_at(fd, image + (number - 1) * scan->page, scan->page, at + SCAN_FRAME) !=
            (ssize_t)scan->page) {
            return err_set(err, ERR_UNAVAILABLE, "cannot read the log %s", path);
        }
    }
    return 0;
}

int wal_apply(const char *database, unsigned char **image, size_t *len, struct err *err) {
    char *path = path_join(database, "-wal", err);
    if (path == NULL) {
        return -1;
    }
    int result = 0;
    struct wal_scan scan = {.committed = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        result = scan_file(fd, path, &scan, err);
    } else if (errno != ENOENT) {
        result = err_set(err, ERR_UNAVAILABLE, "cannot open the log %s: %s", path, strerror(errno));
    }
    if (result == 0 && scan.committed > 0) {
        size_t size = scan.pages * scan.page;
        unsigned char *grown = sqlite3_realloc64(*image, size);
        if (grown == NULL) {
            result = err_no_memory(err);
        } else {
            if (size > *len) {
                memset(grown + *len, 0, size - *len);
            }
            *image = grown;
            *len = size;
            result = copy_pages(fd, &scan, grown, path, err);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(path);
    return result;
}

int64_t wal_size(unsigned long frames, int64_t page_size) {
    return frames == 0 ? 0 : SCAN_HEADER + (int64_t)frames * (SCAN_FRAME + page_size);
}

int wal_sync(const char *database, struct err *err) {
    char *path = path_join(database, "-wal", err);
    if (path == NULL) {
        return -1;
    }
    /* Only the database and the log's index carry locks that closing would drop. */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = 0;
    if (fd < 0 ? errno != ENOENT : fsync(fd) != 0) {
        result = err_set(err, ERR_UNAVAILABLE, "cannot sync the log %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (result == 0) {
        result = directory_sync_parent(path, err);
    }
    free(path);
    return result;
}
