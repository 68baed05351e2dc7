/*
 * The state directory. The lock is held by an open descriptor and goes with the process; no other locks.
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/number.h"
#include "file.h"

#define STATE_FILE     "state"
#define LOCK_FILE      "lock"
#define STATE_TEXT_MAX 4096

static int memory_lock(struct memory *memory, struct err *err) {
    char path[PATH_MAX];
    if (file_path(memory->dir, LOCK_FILE, path, err) != 0) {
        return -1;
    }
    memory->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (memory->lock < 0) {
        return err_set(err, ERR_UNAVAILABLE, "cannot use the state directory %s: %s", memory->dir,
                       strerror(errno));
    }
    if (flock(memory->lock, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;
        err_set(err, taken ? ERR_ALREADY_EXISTS : ERR_UNAVAILABLE,
                taken ? "another agent uses the state directory %s; give this one another --state-dir"
                      : "cannot lock the state directory %s",
                memory->dir);
        close(memory->lock);
        memory->lock = -1;
        return -1;
    }
    return 0;
}

/* A value that is longer than its place is none of ours. */
static void memory_take(char *place, size_t size, const char *value) {
    if (strlen(value) < size) {
        memcpy(place, value, strlen(value) + 1);
    }
}

static void memory_take_number(uint64_t *place, const char *value) {
    (void)u64_parse(value, strlen(value), INT64_MAX, place);
}

static void memory_take_line(struct memory *memory, char *line) {
    char *value = strchr(line, '=');
    if (value == NULL) {
        return;
    }
    *value++ = '\0';
    uint64_t applied = 0;
    if (strcmp(line, "etag") == 0) {
        memory_take(memory->etag, sizeof(memory->etag), value);
    } else if (strcmp(line, "list") == 0) {
        memory_take(memory->list, sizeof(memory->list), value);
    } else if (strcmp(line, "digest") == 0) {
        memory_take(memory->digest, sizeof(memory->digest), value);
    } else if (strcmp(line, "daemon") == 0) {
        memory_take(memory->daemon, sizeof(memory->daemon), value);
    } else if (strcmp(line, "revision") == 0) {
        memory_take_number(&memory->revision, value);
    } else if (strcmp(line, "applied") == 0) {
        memory_take_number(&applied, value);
        memory->applied_ms = (int64_t)applied;
    }
}

static void memory_read(struct memory *memory) {
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT;
    char path[PATH_MAX];
    if (file_path(memory->dir, STATE_FILE, path, &err) == 0 &&
        file_read(path, STATE_TEXT_MAX, &text, &err) == 0) {
        char *rest = text.data;
        for (char *line = rest != NULL ? strsep(&rest, "\n") : NULL; line != NULL;
             line = strsep(&rest, "\n")) {
            memory_take_line(memory, line);
        }
    } else if (err.code != ERR_NOT_FOUND) {
        log_event(LOG_WARN, "state-forgotten", LOG_STR("text", err.text));
    }
    buf_done(&text);
}

int memory_open(const char *dir, struct memory *ret, struct err *err) {
    struct memory memory = {.dir = dir, .lock = -1};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return err_set(err, ERR_UNAVAILABLE, "cannot make the state directory %s: %s", dir, strerror(errno));
    }
    if (memory_lock(&memory, err) != 0) {
        return -1;
    }
    memory_read(&memory);
    *ret = memory;
    return 0;
}

int memory_store(const struct memory *memory, struct err *err) {
    struct buf text = BUF_INIT;
    char path[PATH_MAX];
    buf_printf(&text, "etag=%s\nlist=%s\ndigest=%s\ndaemon=%s\nrevision=%" PRIu64 "\napplied=%" PRId64 "\n",
               memory->etag, memory->list, memory->digest, memory->daemon, memory->revision,
               memory->applied_ms);
    int result = buf_failed(&text) ? err_no_memory(err) : file_path(memory->dir, STATE_FILE, path, err);
    if (result == 0) {
        result = file_write(path, text.data, text.len, NULL, 0600, err);
    }
    buf_done(&text);
    return result;
}

int memory_forget(struct memory *memory, struct err *err) {
    memory->etag[0] = memory->digest[0] = '\0';
    return memory_store(memory, err);
}

void memory_close(struct memory *memory) {
    if (memory->lock >= 0) {
        close(memory->lock);
        memory->lock = -1;
    }
}
