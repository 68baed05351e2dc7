/*
 * The recorder and the maker of images of power.h.
 *
 * The C library's functions are replaced by symbols of this program, which the dynamic linker prefers, also
 * for SQLite. The real ones are reached as system calls. Files are known by their inode while they are
 * recorded, and get numbers of their own, because inodes are used again.
 */
#include "power.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SECTOR = 512, NAME_SIZE = 64, FILES_MAX = 4096, NAMES_MAX = 64 };

enum op_type {
    OP_CREATE,
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_RENAME,
    OP_LINK,
    OP_UNLINK,
    OP_SYNC_NAMES,
    OP_ACKNOWLEDGE
};

struct op {
    enum op_type type;
    unsigned file;
    int64_t offset; /* or new size, or what was acknowledged */
    size_t len;
    unsigned char *bytes;
    char name[NAME_SIZE];
    char to[NAME_SIZE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool recording;
static char root[PATH_MAX];
static struct op *ops;
static size_t op_count;
static size_t op_cap;
static ino_t inodes[FILES_MAX]; /* newest file number of an inode is the one that counts */
static unsigned file_count;

bool power_without_file_syncs;
bool power_without_directory_syncs;

/* ---- recording ---- */

static struct op *op_add(enum op_type type) {
    if (op_count == op_cap) {
        op_cap = op_cap == 0 ? 1024 : op_cap * 2;
        ops = realloc(ops, op_cap * sizeof(*ops));
        assert(ops != NULL);
    }
    ops[op_count] = (struct op){.type = type};
    return &ops[op_count++];
}

/* The name below the root; NULL: elsewhere, or a file whose content nobody reads after a loss. */
static const char *name_below(const char *path) {
    size_t len = strlen(root);
    if (strncmp(path, root, len) != 0 || path[len] != '/') {
        return NULL;
    }
    const char *name = path + len + strspn(path + len, "/");
    size_t name_len = strlen(name);
    if (name_len == 0 || strchr(name, '/') != NULL || strcmp(name, "lock") == 0 ||
        (name_len > 4 && strcmp(name + name_len - 4, "-shm") == 0)) {
        return NULL;
    }
    assert(name_len < NAME_SIZE);
    return name;
}

static bool path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (len < 0) {
        return false;
    }
    path[len] = '\0';
    return true;
}

/* The number of an open file that is recorded; -1: it is none. */
static int file_of(int fd) {
    char path[PATH_MAX];
    struct stat status;
    char *deleted = NULL;
    if (!path_of(fd, path)) {
        return -1;
    }
    deleted = strstr(path, " (deleted)");
    if (deleted != NULL) {
        *deleted = '\0';
    }
    if (name_below(path) == NULL || fstat(fd, &status) != 0) {
        return -1;
    }
    for (unsigned i = file_count; i-- > 0;) {
        if (inodes[i] == status.st_ino) {
            return (int)i;
        }
    }
    return -1;
}

static void note_create(const char *path, int fd) {
    struct stat status;
    const char *name = name_below(path);
    if (name == NULL || fstat(fd, &status) != 0) {
        return;
    }
    struct op *op = op_add(OP_CREATE);
    assert(file_count < FILES_MAX);
    inodes[file_count] = status.st_ino;
    op->file = file_count++;
    (void)snprintf(op->name, NAME_SIZE, "%s", name);
}

static void note_write(int fd, const void *bytes, size_t len, int64_t offset) {
    int file = file_of(fd);
    if (file < 0) {
        return;
    }
    struct op *op = op_add(OP_WRITE);
    op->file = (unsigned)file;
    op->offset = offset;
    op->len = len;
    op->bytes = malloc(len > 0 ? len : 1);
    assert(op->bytes != NULL);
    memcpy(op->bytes, bytes, len);
}

static void note_names(enum op_type type, const char *from, const char *to) {
    const char *name = name_below(from);
    const char *to_name = to != NULL ? name_below(to) : NULL;
    if (name == NULL || (to != NULL && to_name == NULL)) {
        return;
    }
    struct op *op = op_add(type);
    (void)snprintf(op->name, NAME_SIZE, "%s", name);
    (void)snprintf(op->to, NAME_SIZE, "%s", to_name != NULL ? to_name : "");
}

/* ---- the replaced functions; the names behind __asm__ are those of the C library ---- */

static int real_open(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int recorded_open(const char *path, int flags, mode_t mode) {
    (void)pthread_mutex_lock(&lock);
    struct stat status;
    bool is_new = recording && (flags & O_CREAT) != 0 && lstat(path, &status) != 0;
    int fd = real_open(path, flags, mode);
    int failure = errno;
    if (fd >= 0 && is_new) {
        note_create(path, fd);
    } else if (fd >= 0 && recording && (flags & O_TRUNC) != 0 && file_of(fd) >= 0) {
        op_add(OP_TRUNCATE)->file = (unsigned)file_of(fd);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return fd;
}

#define REPLACES(name) __asm__(name)
int power_open(const char *path, int flags, ...) REPLACES("open");
int power_open64(const char *path, int flags, ...) REPLACES("open64");
int power_open_2(const char *path, int flags) REPLACES("__open_2");
int power_open64_2(const char *path, int flags) REPLACES("__open64_2");
int power_mkostemp(char *path, int flags) REPLACES("mkostemp");
int power_mkostemp64(char *path, int flags) REPLACES("mkostemp64");
ssize_t power_write(int fd, const void *bytes, size_t len) REPLACES("write");
ssize_t power_pwrite(int fd, const void *bytes, size_t len, off_t offset) REPLACES("pwrite");
ssize_t power_pwrite64(int fd, const void *bytes, size_t len, off_t offset) REPLACES("pwrite64");
int power_ftruncate(int fd, off_t size) REPLACES("ftruncate");
int power_ftruncate64(int fd, off_t size) REPLACES("ftruncate64");
int power_fsync(int fd) REPLACES("fsync");
int power_fdatasync(int fd) REPLACES("fdatasync");
int power_rename(const char *from, const char *to) REPLACES("rename");
int power_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
    REPLACES("renameat2");
int power_link(const char *from, const char *to) REPLACES("link");
int power_unlink(const char *path) REPLACES("unlink");

static mode_t mode_argument(int flags, va_list arguments) {
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int power_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return recorded_open(path, flags, mode);
}

int power_open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return recorded_open(path, flags, mode);
}

int power_open_2(const char *path, int flags) {
    return recorded_open(path, flags, 0);
}

int power_open64_2(const char *path, int flags) {
    return recorded_open(path, flags, 0);
}

int power_mkostemp(char *path, int flags) {
    static unsigned counter;
    char *end = path + strlen(path) - 6;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(end, 7, "%06x", (counter++ * 7919u + (unsigned)getpid()) & 0xffffffu);
        int fd = recorded_open(path, flags | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

int power_mkostemp64(char *path, int flags) {
    return power_mkostemp(path, flags);
}

ssize_t power_write(int fd, const void *bytes, size_t len) {
    if (!recording) {
        return syscall(SYS_write, fd, bytes, len);
    }
    (void)pthread_mutex_lock(&lock);
    int64_t offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, bytes, len);
    int failure = errno;
    if (done > 0 && offset >= 0) {
        note_write(fd, bytes, (size_t)done, offset);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return done;
}

ssize_t power_pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    (void)pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, len, offset);
    int failure = errno;
    if (done > 0 && recording) {
        note_write(fd, bytes, (size_t)done, offset);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return done;
}

ssize_t power_pwrite64(int fd, const void *bytes, size_t len, off_t offset) {
    return power_pwrite(fd, bytes, len, offset);
}

int power_ftruncate(int fd, off_t size) {
    (void)pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    int failure = errno;
    int file = result == 0 && recording ? file_of(fd) : -1;
    if (file >= 0) {
        struct op *op = op_add(OP_TRUNCATE);
        op->file = (unsigned)file;
        op->offset = size;
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

int power_ftruncate64(int fd, off_t size) {
    return power_ftruncate(fd, size);
}

static int recorded_sync(int fd, long call) {
    (void)pthread_mutex_lock(&lock);
    int result = (int)syscall(call, fd);
    int failure = errno;
    char path[PATH_MAX];
    if (result == 0 && recording && path_of(fd, path)) {
        int file = file_of(fd);
        if (strcmp(path, root) == 0) {
            (void)op_add(OP_SYNC_NAMES);
        } else if (file >= 0) {
            op_add(OP_SYNC)->file = (unsigned)file;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

int power_fsync(int fd) {
    return recorded_sync(fd, SYS_fsync);
}

int power_fdatasync(int fd) {
    return recorded_sync(fd, SYS_fdatasync);
}

static int recorded_rename(const char *from, const char *to, unsigned flags) {
    (void)pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    int failure = errno;
    if (result == 0 && recording) {
        note_names(OP_RENAME, from, to);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

int power_rename(const char *from, const char *to) {
    return recorded_rename(from, to, 0);
}

int power_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    assert(from_dir == AT_FDCWD && to_dir == AT_FDCWD);
    return recorded_rename(from, to, flags);
}

int power_link(const char *from, const char *to) {
    (void)pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    int failure = errno;
    if (result == 0 && recording) {
        note_names(OP_LINK, from, to);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

int power_unlink(const char *path) {
    (void)pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int failure = errno;
    if (result == 0 && recording) {
        note_names(OP_UNLINK, path, NULL);
    }
    (void)pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
}

void power_record(const char *dir) {
    power_forget();
    assert(realpath(dir, root) != NULL);
    recording = true;
}

void power_stop(void) {
    (void)pthread_mutex_lock(&lock);
    recording = false;
    (void)pthread_mutex_unlock(&lock);
}

void power_forget(void) {
    power_stop();
    for (size_t i = 0; i < op_count; i++) {
        free(ops[i].bytes);
    }
    free(ops);
    ops = NULL;
    op_count = op_cap = 0;
    file_count = 0;
}

size_t power_moments(void) {
    return op_count;
}

void power_acknowledge(uint64_t number) {
    (void)pthread_mutex_lock(&lock);
    op_add(OP_ACKNOWLEDGE)->offset = (int64_t)number;
    (void)pthread_mutex_unlock(&lock);
}

uint64_t power_acknowledged(size_t moment) {
    for (size_t i = moment; i-- > 0;) {
        if (ops[i].type == OP_ACKNOWLEDGE) {
            return (uint64_t)ops[i].offset;
        }
    }
    return 0;
}

/* ---- images ---- */

struct image_file {
    unsigned char *bytes;
    size_t len;
    size_t synced; /* changes before this moment are there */
    size_t upto;   /* POWER_PREFIX: so are those before this one */
};

struct name {
    char name[NAME_SIZE];
    unsigned file;
};

struct names {
    struct name items[NAMES_MAX];
    size_t count;
};

/* SplitMix64: small, and the same everywhere. */
static uint64_t next_random(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct name *name_find(struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].name, name) == 0) {
            return &names->items[i];
        }
    }
    return NULL;
}

static void name_set(struct names *names, const char *name, unsigned file) {
    struct name *place = name_find(names, name);
    if (place == NULL) {
        assert(names->count < NAMES_MAX);
        place = &names->items[names->count++];
        (void)snprintf(place->name, NAME_SIZE, "%s", name);
    }
    place->file = file;
}

static void name_drop(struct names *names, const char *name) {
    struct name *place = name_find(names, name);
    if (place != NULL) {
        *place = names->items[--names->count];
    }
}

static bool is_of_names(const struct op *op) {
    return op->type == OP_CREATE || op->type == OP_RENAME || op->type == OP_LINK || op->type == OP_UNLINK;
}

static void names_apply(struct names *names, const struct op *op) {
    struct name *from = name_find(names, op->name);
    if (op->type == OP_CREATE) {
        name_set(names, op->name, op->file);
    } else if (op->type == OP_UNLINK) {
        name_drop(names, op->name);
    } else if (from != NULL) {
        name_set(names, op->to, from->file);
        if (op->type == OP_RENAME) {
            name_drop(names, op->name);
        }
    }
}

static void file_resize(struct image_file *file, size_t len) {
    if (len > file->len) {
        file->bytes = realloc(file->bytes, len);
        assert(file->bytes != NULL);
        memset(file->bytes + file->len, 0, len - file->len);
    }
    file->len = len;
}

static void file_put(struct image_file *file, size_t offset, const unsigned char *bytes, size_t len) {
    if (offset + len > file->len) {
        file_resize(file, offset + len);
    }
    memcpy(file->bytes + offset, bytes, len);
}

/* By luck, some sectors of a write. */
static void file_put_some(struct image_file *file, const struct op *op, uint64_t *seed) {
    size_t offset = (size_t)op->offset;
    for (size_t done = 0; done < op->len;) {
        size_t part = SECTOR - (offset + done) % SECTOR;
        part = part < op->len - done ? part : op->len - done;
        if (next_random(seed) % 2 == 0) {
            file_put(file, offset + done, op->bytes + done, part);
        }
        done += part;
    }
}

static void file_apply(struct image_file *file, const struct op *op, bool all, uint64_t *seed) {
    if (op->type == OP_WRITE && all) {
        file_put(file, (size_t)op->offset, op->bytes, op->len);
    } else if (op->type == OP_WRITE) {
        file_put_some(file, op, seed);
    } else if (op->type == OP_TRUNCATE && (all || next_random(seed) % 2 == 0)) {
        file_resize(file, (size_t)op->offset);
    }
}

/* Up to which moment are the directory's entries there? */
static size_t names_upto(size_t moment, enum power_luck luck, uint64_t *seed) {
    size_t synced = 0;
    for (size_t i = 0; i < moment; i++) {
        if (ops[i].type == OP_SYNC_NAMES && !power_without_directory_syncs) {
            synced = i;
        }
    }
    switch (luck) {
    case POWER_NOTHING:
        return synced;
    case POWER_ALL:
        return moment;
    case POWER_PREFIX:
    case POWER_SECTORS:
    case POWER_LUCK_COUNT:
        break;
    }
    return synced + next_random(seed) % (moment - synced + 1);
}

static void find_synced(struct image_file *files, size_t moment, enum power_luck luck, uint64_t *seed) {
    for (size_t i = 0; i < moment; i++) {
        if (ops[i].type == OP_SYNC && !power_without_file_syncs) {
            files[ops[i].file].synced = i;
        }
    }
    for (unsigned i = 0; i < file_count; i++) {
        files[i].upto = luck == POWER_ALL ? moment : files[i].synced;
        if (luck == POWER_PREFIX) {
            files[i].upto += next_random(seed) % (moment - files[i].synced + 1);
        }
    }
}

static void write_image(const char *dir, const struct names *names, const struct image_file *files) {
    for (size_t i = 0; i < names->count; i++) {
        char path[PATH_MAX];
        const struct image_file *file = &files[names->items[i].file];
        assert(snprintf(path, sizeof(path), "%s/%s", dir, names->items[i].name) < (int)sizeof(path));
        int fd = real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert(fd >= 0);
        for (size_t done = 0; done < file->len;) {
            ssize_t put = syscall(SYS_write, fd, file->bytes + done, file->len - done);
            assert(put > 0);
            done += (size_t)put;
        }
        assert(close(fd) == 0);
    }
}

void power_image(const char *dir, size_t moment, enum power_luck luck, uint64_t seed) {
    struct image_file *files = calloc(file_count + 1, sizeof(*files));
    struct names names = {.count = 0};
    assert(files != NULL && moment <= op_count);
    size_t upto = names_upto(moment, luck, &seed);
    find_synced(files, moment, luck, &seed);
    for (size_t i = 0; i < moment; i++) {
        const struct op *op = &ops[i];
        if (is_of_names(op)) {
            if (i < upto) {
                names_apply(&names, op);
            }
        } else if (op->type == OP_WRITE || op->type == OP_TRUNCATE) {
            struct image_file *file = &files[op->file];
            if (i < file->upto || luck == POWER_SECTORS) {
                file_apply(file, op, i < file->upto, &seed);
            }
        }
    }
    write_image(dir, &names, files);
    for (unsigned i = 0; i < file_count; i++) {
        free(files[i].bytes);
    }
    free(files);
}
