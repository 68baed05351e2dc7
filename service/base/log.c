/*
 * Log lines. A caller builds its line on its own stack and copies it under the lock into the pending
 * buffer; the writer thread swaps that buffer for an empty one and writes it without the lock. So no
 * caller ever waits for the file descriptor. When its reader is too slow the pending buffer fills up;
 * further lines are counted and dropped, and a line says so as soon as there is room again.
 *
 * `out.lock` guards everything in `out` but the atomics; it is a leaf: nothing is locked under it.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "decimal.h"

#define LINE_MAX_BYTES  8192
#define VALUE_MAX_BYTES 2048 /* one value with its escapes */
#define PENDING_MAX     ((size_t)1024 * 1024)
#define FLUSH_BYTES     ((size_t)64 * 1024)
#define FLUSH_MS        200
#define STOP_MS         1000 /* how long log_stop waits for a reader that does not read */

#define RUN_ON LLONG_MAX

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running;            /* the writer thread is there; else lines are written directly */
    bool urgent;             /* a warning or an error is pending */
    atomic_llong give_up_ms; /* monotonic time at which the thread ends, set by log_stop; else RUN_ON */
    atomic_int level;
    atomic_int format;
    int fd;
    char *pending; /* PENDING_MAX bytes */
    size_t len;
    uint64_t dropped; /* to be told in a line */
    uint64_t dropped_ever;
} out = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .give_up_ms = RUN_ON,
    .level = LOG_INFO,
    .format = LOG_KEY_VALUE,
    .fd = STDERR_FILENO,
};

/* ---- Building a line ---- */

/*
 * `at` never passes `end`, which leaves room behind it for what closes a line: the ellipsis and quote of
 * a cut value, the brace, the newline.
 */
#define LINE_TAIL  16
#define ESCAPE_MAX 6 /* bytes of the longest escape */

struct line {
    char bytes[LINE_MAX_BYTES];
    char *at;
    const char *end;
    bool json;
};

static void put(struct line *line, const char *text, size_t len) {
    memcpy(line->at, text, len);
    line->at += len;
}

#define PUT_LITERAL(line, text) put(line, text, sizeof(text) - 1)

/* Bytes that may stand in a value as they are; all else takes the slow road below. */
static const bool plain_kv[256] = {
    ['!'] = true, ['#' ... '<'] = true, ['>' ... '['] = true, [']' ... '~'] = true};
static const bool plain_json[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};

static void put_escape(struct line *line, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char escape[ESCAPE_MAX] = {'\\', 0, '0', '0', hex[c >> 4], hex[c & 15]};
    switch (c) {
    case '"':
    case '\\':
        escape[1] = (char)c;
        put(line, escape, 2);
        return;
    case '\n':
        PUT_LITERAL(line, "\\n");
        return;
    case '\r':
        PUT_LITERAL(line, "\\r");
        return;
    case '\t':
        PUT_LITERAL(line, "\\t");
        return;
    default:
        if (line->json) {
            /* A byte that is no UTF-8 has no name in JSON; it is shown as the character of that number. */
            escape[1] = 'u';
            put(line, escape, ESCAPE_MAX);
        } else {
            PUT_LITERAL(line, "\\x");
            put(line, escape + 4, 2);
        }
    }
}

/* A value that is too long for its share of the line, or for the line, is cut and says so. */
static void put_quoted(struct line *line, const char *text, size_t len) {
    const char *end = line->end - line->at > VALUE_MAX_BYTES ? line->at + VALUE_MAX_BYTES : line->end;
    bool cut = false;
    *line->at++ = '"';
    for (size_t i = 0; i < len && !cut;) {
        unsigned char c = (unsigned char)text[i];
        size_t visible = c < 0x80 ? 0 : text_visible((const unsigned char *)text + i, len - i);
        if (end - line->at < ESCAPE_MAX) {
            cut = true;
        } else if (visible != 0) {
            put(line, text + i, visible);
            i += visible;
        } else {
            if (plain_json[c]) {
                *line->at++ = (char)c;
            } else {
                put_escape(line, c);
            }
            i++;
        }
    }
    if (cut) {
        PUT_LITERAL(line, "...");
    }
    *line->at++ = '"';
}

static void put_text(struct line *line, const char *text) {
    const bool *plain = line->json ? plain_json : plain_kv;
    size_t len = 0;
    while (plain[(unsigned char)text[len]]) {
        len++;
    }
    bool fits = len + 2 <= VALUE_MAX_BYTES && len + 2 <= (size_t)(line->end - line->at);
    if (text[len] != '\0' || !fits || (len == 0 && !line->json)) {
        put_quoted(line, text, len + strnlen(text + len, VALUE_MAX_BYTES));
    } else if (line->json) {
        *line->at++ = '"';
        put(line, text, len);
        *line->at++ = '"';
    } else {
        put(line, text, len);
    }
}

static void put_number(struct line *line, int64_t number) {
    if (number < 0) {
        *line->at++ = '-';
        line->at += decimal_format(0 - (uint64_t)number, line->at);
    } else {
        line->at += decimal_format((uint64_t)number, line->at);
    }
}

/* A field that cannot show at least its key and a number is left out. */
static void put_field(struct line *line, const struct log_field *field) {
    size_t key_len = strlen(field->key);
    if ((size_t)(line->end - line->at) < key_len + DECIMAL_MAX + 8) {
        return;
    }
    if (line->json) {
        PUT_LITERAL(line, ",\"");
        put(line, field->key, key_len);
        PUT_LITERAL(line, "\":");
    } else {
        *line->at++ = ' ';
        put(line, field->key, key_len);
        *line->at++ = '=';
    }
    if (field->text != NULL) {
        put_text(line, field->text);
    } else {
        put_number(line, field->number);
    }
}

/* The date and time down to the second is formatted once a second and thread. */
static void put_time(struct line *line) {
    static _Thread_local int64_t second = -1;
    static _Thread_local char text[CLOCK_TEXT_MAX];
    enum { UP_TO_POINT = 20 }; /* "2026-11-23T19:00:00." */

    int64_t now = clock_realtime_ms();
    if (now / 1000 != second) {
        clock_format_millis(now, text);
        second = now / 1000;
    }
    unsigned millis = (unsigned)(now % 1000);
    put(line, text, UP_TO_POINT);
    *line->at++ = (char)('0' + millis / 100);
    *line->at++ = (char)('0' + millis / 10 % 10);
    *line->at++ = (char)('0' + millis % 10);
    *line->at++ = 'Z';
}

static void line_build(struct line *line, enum log_level level, const char *event,
                       const struct log_field *fields) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    line->at = line->bytes;
    line->end = line->bytes + sizeof line->bytes - LINE_TAIL;
    line->json = atomic_load_explicit(&out.format, memory_order_relaxed) == LOG_JSON;
    const char *name = names[level];
    if (line->json) {
        PUT_LITERAL(line, "{\"time\":\"");
        put_time(line);
        PUT_LITERAL(line, "\",\"level\":\"");
        put(line, name, strlen(name));
        PUT_LITERAL(line, "\",\"event\":");
    } else {
        PUT_LITERAL(line, "time=");
        put_time(line);
        PUT_LITERAL(line, " level=");
        put(line, name, strlen(name));
        PUT_LITERAL(line, " event=");
    }
    put_text(line, event);
    for (; fields->key != NULL; fields++) {
        put_field(line, fields);
    }
    if (line->json) {
        *line->at++ = '}';
    }
    *line->at++ = '\n';
}

/* ---- Writing ---- */

/* Without a writer thread: the caller waits for the descriptor. Called with the lock held. */
static void write_directly(const char *bytes, size_t len) {
    while (len != 0) {
        ssize_t done = write(out.fd, bytes, len);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return; /* nobody is left to tell */
        }
        bytes += done;
        len -= (size_t)done;
    }
}

static bool stopping(void) {
    return atomic_load(&out.give_up_ms) != RUN_ON;
}

/*
 * A descriptor that is not a regular file is waited for with poll and written in pieces that a pipe with
 * room takes without blocking, so that log_stop is not kept waiting for longer than STOP_MS. Returns how many
 * bytes could not be written.
 */
static size_t write_patiently(int fd, bool is_file, const char *bytes, size_t len) {
    while (len != 0) {
        if (!is_file) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            if (poll(&ready, 1, FLUSH_MS) <= 0) {
                if (clock_monotonic_ms() >= atomic_load(&out.give_up_ms)) {
                    return len;
                }
                continue;
            }
        }
        ssize_t done = write(fd, bytes, !is_file && len > PIPE_BUF ? PIPE_BUF : len);
        if (done < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                continue;
            }
            return len;
        }
        bytes += done;
        len -= (size_t)done;
    }
    return 0;
}

/* Also the line that was cut. */
static uint64_t count_lines(const char *bytes, size_t len) {
    uint64_t lines = 0;
    for (const char *end = bytes + len; (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL;
         bytes++) {
        lines++;
    }
    return lines;
}

static bool is_regular_file(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* false: this could not be written either. */
static bool write_dropped(int fd, bool is_file, uint64_t dropped) {
    struct line line;
    line_build(
        &line, LOG_WARN, "log-lines-dropped",
        (const struct log_field[]){LOG_INT("lines", dropped),
                                   LOG_STR("reason", "the log was read too slowly, or could not be written"),
                                   {.key = NULL}});
    return write_patiently(fd, is_file, line.bytes, (size_t)(line.at - line.bytes)) == 0;
}

static struct timespec deadline_in_ms(int64_t ms) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ns = now.tv_nsec + ms * 1000000;
    now.tv_sec += ns / 1000000000;
    now.tv_nsec = ns % 1000000000;
    return now;
}

/* Wait until lines are due. Called with the lock held. */
static void wait_for_lines(void) {
    while (out.len == 0 && !stopping()) {
        pthread_cond_wait(&out.wake, &out.lock);
    }
    struct timespec deadline = deadline_in_ms(FLUSH_MS);
    while (!out.urgent && out.len < FLUSH_BYTES && !stopping()) {
        if (pthread_cond_timedwait(&out.wake, &out.lock, &deadline) == ETIMEDOUT) {
            return;
        }
    }
}

static void *writer_main(void *spare_buffer) {
    char *spare = spare_buffer;
    pthread_mutex_lock(&out.lock);
    int fd = out.fd;
    bool is_file = is_regular_file(fd);
    bool torn = false; /* the last line was not written to its end */
    for (;;) {
        wait_for_lines();
        size_t len = out.len;
        uint64_t dropped = out.dropped;
        if (len == 0 && stopping()) {
            break;
        }
        char *full = out.pending;
        out.pending = spare;
        spare = full;
        out.len = 0;
        out.dropped = 0;
        out.urgent = false;
        pthread_mutex_unlock(&out.lock);

        torn = torn && write_patiently(fd, is_file, "\n", 1) != 0;
        size_t left = write_patiently(fd, is_file, full, len);
        uint64_t lost = count_lines(full + len - left, left);
        torn = torn || (left != 0 && left != len && full[len - left - 1] != '\n');
        if (dropped != 0 && left == 0 && write_dropped(fd, is_file, dropped)) {
            dropped = 0;
        }
        pthread_mutex_lock(&out.lock);
        out.dropped += dropped + lost;
        out.dropped_ever += lost;
    }
    pthread_mutex_unlock(&out.lock);
    free(spare);
    return NULL;
}

void log_event_fields(enum log_level level, const char *event, const struct log_field *fields) {
    struct line line;
    line_build(&line, level, event, fields);
    size_t len = (size_t)(line.at - line.bytes);

    pthread_mutex_lock(&out.lock);
    if (!out.running) {
        write_directly(line.bytes, len);
    } else if (len > PENDING_MAX - out.len) {
        out.dropped++;
        out.dropped_ever++;
    } else {
        bool was_empty = out.len == 0;
        bool was_below = out.len < FLUSH_BYTES;
        memcpy(out.pending + out.len, line.bytes, len);
        out.len += len;
        bool now_urgent = level >= LOG_WARN && !out.urgent;
        if (now_urgent) {
            out.urgent = true;
        }
        if (was_empty || now_urgent || (was_below && out.len >= FLUSH_BYTES)) {
            pthread_cond_signal(&out.wake);
        }
    }
    pthread_mutex_unlock(&out.lock);
}

uint64_t log_dropped(void) {
    pthread_mutex_lock(&out.lock);
    uint64_t dropped = out.dropped_ever;
    pthread_mutex_unlock(&out.lock);
    return dropped;
}

bool log_enabled(enum log_level level) {
    return (int)level >= atomic_load_explicit(&out.level, memory_order_relaxed);
}

/* ---- Start and stop ---- */

/* The thread takes no signals: they belong to whoever waits for them in main. */
static bool start_writer(char *spare) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&out.thread, NULL, writer_main, spare) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void log_start(int fd, enum log_level level, enum log_format format) {
    log_stop();
    atomic_store(&out.level, (int)level);
    atomic_store(&out.format, (int)format);
    char *pending = base_malloc(PENDING_MAX);
    char *spare = base_malloc(PENDING_MAX);

    pthread_mutex_lock(&out.lock);
    out.fd = fd;
    atomic_store(&out.give_up_ms, RUN_ON);
    /* Without memory or thread the service still logs, only slower: lines are written directly. */
    if (pending != NULL && spare != NULL) {
        (void)clock_cond_init(&out.wake);
        out.pending = pending;
        out.len = 0;
        out.dropped = 0;
        out.urgent = false;
        out.running = start_writer(spare);
    }
    bool running = out.running;
    if (!running) {
        out.pending = NULL;
    }
    pthread_mutex_unlock(&out.lock);
    if (!running) {
        free(pending);
        free(spare);
    }
}

void log_stop(void) {
    pthread_mutex_lock(&out.lock);
    if (!out.running) {
        pthread_mutex_unlock(&out.lock);
        return;
    }
    atomic_store(&out.give_up_ms, clock_monotonic_ms() + STOP_MS);
    pthread_cond_signal(&out.wake);
    pthread_mutex_unlock(&out.lock);
    pthread_join(out.thread, NULL);

    pthread_mutex_lock(&out.lock);
    out.running = false;
    /* Lines that came while the thread was ending. */
    write_patiently(out.fd, is_regular_file(out.fd), out.pending, out.len);
    free(out.pending);
    out.pending = NULL;
    out.len = 0;
    pthread_cond_destroy(&out.wake);
    pthread_mutex_unlock(&out.lock);
}
