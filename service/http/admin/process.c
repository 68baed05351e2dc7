/* The process as the kernel sees it: /proc/self, clocks and limits. Without state. */
#include "admin/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* A small file's content, NUL-terminated. NULL: it cannot be read. */
static const char *read_text(const char *path, char *room, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    ssize_t len = read(fd, room, size - 1);
    (void)close(fd);
    if (len <= 0) {
        return NULL;
    }
    room[len] = '\0';
    return room;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) == 0 ? (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec
                                           : PROCESS_UNKNOWN;
}

static uint64_t count_fds(void) {
    struct stat status;
    /* Since Linux 6.2 the directory's size is the number of its entries; before that, it is 0. */
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
        return (uint64_t)status.st_size;
    }
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return PROCESS_UNKNOWN;
    }
    uint64_t count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count - 1; /* without the folder's own */
}

void process_read(struct process_figures *ret) {
    char room[256];
    struct rlimit files;
    *ret = (struct process_figures){.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
                                    .resident_bytes = PROCESS_UNKNOWN,
                                    .virtual_bytes = PROCESS_UNKNOWN,
                                    .open_fds = count_fds(),
                                    .max_fds = PROCESS_UNKNOWN};
    /* "virtual resident …", in pages */
    const char *text = read_text("/proc/self/statm", room, sizeof(room));
    long page = sysconf(_SC_PAGESIZE);
    if (text != NULL && page > 0) {
        char *rest;
        ret->virtual_bytes = strtoull(text, &rest, 10) * (uint64_t)page;
        ret->resident_bytes = strtoull(rest, NULL, 10) * (uint64_t)page;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
        ret->max_fds = files.rlim_cur;
    }
}

/* The kernel has it in ticks since the machine's start: field 22 of /proc/self/stat, whose second field is a
 * name in brackets with anything in it. */
uint64_t process_start_ns(void) {
    char room[1024];
    const char *text = read_text("/proc/self/stat", room, sizeof(room));
    const char *at = text != NULL ? strrchr(text, ')') : NULL;
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    uint64_t now_ns = clock_ns(CLOCK_REALTIME), up_ns = clock_ns(CLOCK_BOOTTIME);
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || ticks_per_second <= 0 || now_ns == PROCESS_UNKNOWN || up_ns == PROCESS_UNKNOWN) {
        return PROCESS_UNKNOWN;
    }
    uint64_t started_ns = strtoull(at, NULL, 10) * (NS_PER_SECOND / (uint64_t)ticks_per_second);
    return started_ns <= up_ns ? now_ns - (up_ns - started_ns) : PROCESS_UNKNOWN;
}
