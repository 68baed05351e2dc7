/* Log lines: their text, which no input can forge, and their way out, which no slow reader can block. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static int file_fd = -1;

static int open_file(void **state) {
    (void)state;
    file_fd = memfd_create("log", 0);
    return file_fd >= 0 ? 0 : -1;
}

static int close_file(void **state) {
    (void)state;
    log_stop();
    return close(file_fd);
}

/* All that was logged; stops the log. The caller frees it. */
static char *logged(void) {
    log_stop();
    struct stat info;
    assert_int_equal(fstat(file_fd, &info), 0);
    size_t size = (size_t)info.st_size;
    char *text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(pread(file_fd, text, size, 0), size);
    text[size] = '\0';
    return text;
}

/* Compare one line with its time left out: `before` stands in front of the time, `behind` after it. */
static void assert_line(const char *text, const char *before, const char *behind) {
    size_t before_len = strlen(before);
    assert_memory_equal(text, before, before_len);
    int64_t ms;
    assert_true(clock_parse(text + before_len, 24, &ms));
    int64_t age = clock_realtime_ms() - ms;
    assert_true(age >= 0 && age < 60000);
    assert_string_equal(text + before_len + 24, behind);
}

static void key_value_lines(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "ready", LOG_STR("listen", "127.0.0.1:8080"), LOG_INT("nodes", 12),
              LOG_INT("least", INT64_MIN), LOG_STR("empty", ""), LOG_STR("null", NULL));
    char *text = logged();
    assert_line(text, "time=",
                " level=info event=ready listen=127.0.0.1:8080 nodes=12"
                " least=-9223372036854775808 empty=\"\" null=\"\"\n");
    free(text);
}

static void json_lines(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_JSON);
    log_event(LOG_WARN, "slow", LOG_STR("path", "/a b"), LOG_INT("ms", -7), LOG_STR("empty", ""));
    char *text = logged();
    assert_line(text, "{\"time\":\"",
                "\",\"level\":\"warn\",\"event\":\"slow\",\"path\":\"/a b\",\"ms\":-7,\"empty\":\"\"}\n");
    free(text);
}

static const char hostile[] =
    "x\ny=1 \"q\" \\ \t\r\x1b[2J\x7f\xC2\x9B\xE2\x80\xA8\xFF\xC3\xA9\xF0\x9F\x98\x80\xC3";

static void hostile_values_stay_one_value(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "e", LOG_STR("v", hostile), LOG_STR("eq", "a=b"), LOG_STR("bs", "a\\b"));
    char *text = logged();
    assert_line(
        text, "time=",
        " level=info event=e v=\"x\\ny=1 \\\"q\\\" \\\\ \\t\\r\\x1b[2J\\x7f\\xc2\\x9b\\xe2\\x80\\xa8\\xff"
        "\xC3\xA9\xF0\x9F\x98\x80\\xc3\" eq=\"a=b\" bs=\"a\\\\b\"\n");
    free(text);
}

static void hostile_values_stay_valid_json(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "e", LOG_STR("v", hostile));
    char *text = logged();
    assert_line(text, "{\"time\":\"",
                "\",\"level\":\"info\",\"event\":\"e\",\"v\":\"x\\ny=1 \\\"q\\\" \\\\ \\t\\r\\u001b[2J\\u007f"
                "\\u00c2\\u009b\\u00e2\\u0080\\u00a8\\u00ff\xC3\xA9\xF0\x9F\x98\x80\\u00c3\"}\n");
    free(text);
}

/* Every byte at every place of a value: only what the format's rules call plain stays without quotes or
 * escape. */
static void every_byte_is_seen_at_every_place(void **state) {
    enum { LEN = 19 };
    (void)state;
    for (int json = 0; json <= 1; json++) {
        open_file(NULL);
        log_start(file_fd, LOG_INFO, json ? LOG_JSON : LOG_KEY_VALUE);
        for (unsigned byte = 1; byte < 256; byte++) {
            for (size_t place = 0; place < LEN; place++) {
                char value[LEN + 1] = "aaaaaaaaaaaaaaaaaaa";
                value[place] = (char)byte;
                log_event(LOG_INFO, "e", LOG_STR("v", value));
            }
        }
        char *text = logged();
        const char *at = text;
        for (unsigned byte = 1; byte < 256; byte++) {
            for (size_t place = 0; place < LEN; place++) {
                char value[LEN + 8] = "aaaaaaaaaaaaaaaaaaa";
                value[place] = (char)byte;
                bool escaped = byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\';
                bool quoted = !json && (escaped || byte == ' ' || byte == '=');
                char expected[64];
                (void)snprintf(expected, sizeof(expected), json ? "\"v\":\"%s\"}\n" : " v=%s\n", value);
                const char *end = strchr(at, '\n') + 1;
                bool plain = (size_t)(end - at) > strlen(expected) &&
                             memcmp(end - strlen(expected), expected, strlen(expected)) == 0;
                assert_int_equal(plain, !escaped && !quoted);
                at = end;
            }
        }
        assert_int_equal(*at, '\0');
        free(text);
        close_file(NULL);
    }
}

static void levels_below_the_set_one_are_silent(void **state) {
    (void)state;
    log_start(file_fd, LOG_WARN, LOG_KEY_VALUE);
    assert_false(log_enabled(LOG_DEBUG));
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    assert_true(log_enabled(LOG_ERROR));
    log_event(LOG_INFO, "hidden");
    log_event(LOG_ERROR, "shown");
    char *text = logged();
    assert_line(text, "time=", " level=error event=shown\n");
    free(text);
}

static void long_values_are_cut_and_lines_stay_whole(void **state) {
    (void)state;
    static char plain[20000];
    static char escaped[20000];
    memset(plain, 'p', sizeof plain - 1);
    memset(escaped, '\x01', sizeof escaped - 1);
    for (int format = LOG_KEY_VALUE; format <= LOG_JSON; format++) {
        assert_int_equal(ftruncate(file_fd, 0), 0);
        assert_int_equal(lseek(file_fd, 0, SEEK_SET), 0);
        log_start(file_fd, LOG_INFO, (enum log_format)format);
        log_event(LOG_INFO, "cut", LOG_STR("a", plain), LOG_STR("b", "kept"), LOG_STR("c", escaped),
                  LOG_STR("d", escaped), LOG_STR("e", plain));
        log_event(LOG_INFO, "next");
        char *text = logged();
        char *newline = strchr(text, '\n');
        assert_non_null(newline);
        assert_true(newline - text < 8192);
        assert_non_null(strstr(text, "ppp...\""));
        assert_non_null(strstr(text, "kept"));
        const char *end = format == LOG_JSON ? "...\"}\n" : "...\"\n";
        assert_memory_equal(newline + 1 - strlen(end), end, strlen(end));
        assert_line(newline + 1, format == LOG_JSON ? "{\"time\":\"" : "time=",
                    format == LOG_JSON ? "\",\"level\":\"info\",\"event\":\"next\"}\n"
                                       : " level=info event=next\n");
        free(text);
    }
}

static void after_stop_lines_are_written_directly(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "one");
    log_stop();
    log_event(LOG_INFO, "two");
    log_stop();
    char *text = logged();
    char *second = strchr(text, '\n');
    assert_non_null(second);
    assert_line(second + 1, "time=", " level=info event=two\n");
    free(text);
}

/* All together less than what the log may hold back, so that none is ever dropped. */
enum { THREADS = 4, LINES = 3000 };

static void *write_many(void *number) {
    for (int i = 0; i < LINES; i++) {
        log_event(i % 100 == 0 ? LOG_WARN : LOG_INFO, "line", LOG_INT("thread", (intptr_t)number),
                  LOG_INT("i", i));
    }
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state) {
    (void)state;
    log_start(file_fd, LOG_INFO, LOG_KEY_VALUE);
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
    }
    for (intptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    char *text = logged();
    int next[THREADS] = {0};
    int count = 0;
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        int thread;
        int i;
        int used = 0;
        const char *fields = strstr(line, "event=line thread=");
        assert_non_null(fields);
        assert_int_equal(sscanf(fields, "event=line thread=%d i=%d%n", &thread, &i, &used), 2);
        assert_int_equal(fields[used], '\n');
        assert_true(thread >= 0 && thread < THREADS);
        assert_int_equal(i, next[thread]++);
        count++;
    }
    assert_int_equal(count, THREADS * LINES);
    free(text);
}

static bool readable_within(int fd, int ms) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, ms) == 1;
}

static void lines_come_by_themselves(void **state) {
    (void)state;
    int ends[2];
    char text[1000];
    assert_int_equal(pipe(ends), 0);
    log_start(ends[1], LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "collected");
    assert_true(readable_within(ends[0], 10000));
    ssize_t len = read(ends[0], text, sizeof text - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_line(text, "time=", " level=info event=collected\n");
    log_event(LOG_ERROR, "urgent");
    assert_true(readable_within(ends[0], 10000));
    log_stop();
    close(ends[0]);
    close(ends[1]);
}

/* Reads the pipe to its end; counts lines, and the dropped ones that a line speaks of. */
struct drained {
    int fd;
    long lines;
    long dropped;
};

static void *drain(void *argument) {
    struct drained *drained = argument;
    FILE *file = fdopen(drained->fd, "r");
    char line[8192];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *notice = strstr(line, "event=log-lines-dropped lines=");
        long dropped;
        if (notice != NULL && sscanf(notice, "event=log-lines-dropped lines=%ld", &dropped) == 1) {
            drained->dropped += dropped;
        } else {
            drained->lines++;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return NULL;
}

static void slow_reader_costs_lines_but_blocks_nobody(void **state) {
    (void)state;
    enum { MANY = 20000 };
    int ends[2];
    uint64_t dropped_before = log_dropped();
    assert_int_equal(pipe(ends), 0);
    log_start(ends[1], LOG_INFO, LOG_KEY_VALUE);
    static const char padding[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
    for (int i = 0; i < MANY; i++) { /* some 2.5 MB, and nobody reads */
        log_event(LOG_INFO, "flood", LOG_INT("i", i), LOG_STR("padding", padding));
    }
    struct drained drained = {.fd = ends[0]};
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, drain, &drained), 0);
    log_stop();
    close(ends[1]);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_true(drained.dropped > 0);
    assert_int_equal(log_dropped() - dropped_before, drained.dropped);
    assert_int_equal(drained.lines + drained.dropped, MANY);
}

/* A full disk costs lines; they are counted, and told as soon as there is room again. */
static void lines_that_cannot_be_written_are_counted(void **state) {
    (void)state;
    uint64_t before = log_dropped();
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    log_start(fd, LOG_INFO, LOG_KEY_VALUE);
    for (int i = 0; i < 10; i++) {
        log_event(LOG_WARN, "lost");
    }
    int64_t end = clock_monotonic_ms() + 20000;
    while (log_dropped() - before < 10 && clock_monotonic_ms() < end) {
        poll(NULL, 0, 1);
    }
    assert_int_equal(log_dropped() - before, 10);
    int file = memfd_create("log", 0);
    assert_true(file >= 0 && dup2(file, fd) == fd);
    log_event(LOG_WARN, "kept");
    log_stop();
    char text[512] = "";
    ssize_t len = pread(file, text, sizeof(text) - 1, 0);
    assert_true(len > 0);
    assert_non_null(strstr(text, "event=kept\n"));
    assert_non_null(strstr(text, "event=log-lines-dropped lines=10 "));
    assert_int_equal(log_dropped() - before, 10);
    close(file);
    close(fd);
}

static void stop_does_not_wait_forever_for_a_reader(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_start(ends[1], LOG_INFO, LOG_KEY_VALUE);
    for (int i = 0; i < 4000; i++) { /* more than a pipe holds */
        log_event(LOG_INFO, "flood", LOG_INT("i", i));
    }
    int64_t start = clock_monotonic_ms();
    log_stop();
    assert_true(clock_monotonic_ms() - start < 4000);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_value_lines, open_file, close_file),
        cmocka_unit_test_setup_teardown(json_lines, open_file, close_file),
        cmocka_unit_test_setup_teardown(hostile_values_stay_one_value, open_file, close_file),
        cmocka_unit_test_setup_teardown(hostile_values_stay_valid_json, open_file, close_file),
        cmocka_unit_test(every_byte_is_seen_at_every_place),
        cmocka_unit_test_setup_teardown(levels_below_the_set_one_are_silent, open_file, close_file),
        cmocka_unit_test_setup_teardown(long_values_are_cut_and_lines_stay_whole, open_file, close_file),
        cmocka_unit_test_setup_teardown(after_stop_lines_are_written_directly, open_file, close_file),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, open_file, close_file),
        cmocka_unit_test(lines_come_by_themselves),
        cmocka_unit_test(slow_reader_costs_lines_but_blocks_nobody),
        cmocka_unit_test(lines_that_cannot_be_written_are_counted),
        cmocka_unit_test(stop_does_not_wait_forever_for_a_reader),
    };
    return cmocka_run_group_tests_name("base: log", tests, NULL, NULL);
}
