/* Counters of /proc/net/netstat: pairs of lines, "TcpExt: names…" and "TcpExt: numbers…". No state. */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

#define NETSTAT_PATH     "/proc/net/netstat"
#define NETSTAT_TEXT_MAX 16384

static const char *const NAMES[KERNEL_COUNTER_COUNT] = {
    [KERNEL_MD5_FAILURE] = "TCPMD5Failure",
    [KERNEL_MD5_NOT_FOUND] = "TCPMD5NotFound",
    [KERNEL_MD5_UNEXPECTED] = "TCPMD5Unexpected",
    [KERNEL_MIN_TTL_DROP] = "TCPMinTTLDrop",
};

/* A word of a line, and where the next one begins. */
static size_t kernel_word(const char **at, const char *end) {
    while (*at < end && **at == ' ') {
        (*at)++;
    }
    const char *start = *at;
    while (start < end && *start != ' ' && *start != '\n') {
        start++;
    }
    return (size_t)(start - *at);
}

static void kernel_take(const char *name, size_t name_len, const char *value, size_t len,
                        uint64_t ret[KERNEL_COUNTER_COUNT]) {
    for (size_t i = 0; i < KERNEL_COUNTER_COUNT; i++) {
        uint64_t number;
        if (strlen(NAMES[i]) == name_len && memcmp(NAMES[i], name, name_len) == 0 &&
            u64_parse(value, len, INT64_MAX, &number)) {
            ret[i] = number;
        }
    }
}

bool kernel_read_text(const char *text, size_t len, uint64_t ret[KERNEL_COUNTER_COUNT]) {
    static const char PREFIX[] = "TcpExt: ";
    const char *end = text + len;
    const char *names = text;
    memset(ret, 0, KERNEL_COUNTER_COUNT * sizeof(ret[0]));
    while (names < end &&
           ((size_t)(end - names) < sizeof(PREFIX) || memcmp(names, PREFIX, sizeof(PREFIX) - 1) != 0)) {
        const char *newline = memchr(names, '\n', (size_t)(end - names));
        names = newline != NULL ? newline + 1 : end;
    }
    const char *names_end = names < end ? memchr(names, '\n', (size_t)(end - names)) : NULL;
    if (names_end == NULL) {
        return false;
    }
    const char *values = names_end + 1;
    const char *values_end = values < end ? memchr(values, '\n', (size_t)(end - values)) : NULL;
    values_end = values_end != NULL ? values_end : end;
    for (;;) {
        size_t name_len = kernel_word(&names, names_end), value_len = kernel_word(&values, values_end);
        if (name_len == 0 || value_len == 0) {
            return true;
        }
        kernel_take(names, name_len, values, value_len, ret);
        names += name_len;
        values += value_len;
    }
}

bool kernel_read(uint64_t ret[KERNEL_COUNTER_COUNT]) {
    char text[NETSTAT_TEXT_MAX];
    size_t len = 0;
    int fd = open(NETSTAT_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t done = 1;
    while (len < sizeof(text) && (done = read(fd, text + len, sizeof(text) - len)) != 0) {
        if (done < 0 && errno != EINTR) {
            break;
        }
        len += done > 0 ? (size_t)done : 0;
    }
    close(fd);
    return done >= 0 && kernel_read_text(text, len, ret);
}
