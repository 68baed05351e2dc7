/*
 * Log lines to standard error: one event a line, `key=value` or JSON.
 *
 * Thread-safe. Lines are collected in memory and written by a background thread, at the latest after
 * 200 ms; warnings and errors are written at once. Never pass a secret.
 *
 *   log_event(LOG_INFO, "ready", LOG_STR("listen", text), LOG_INT("nodes", n));
 *
 * prints  time=2026-11-23T19:00:00.123Z level=info event=ready listen=127.0.0.1:8080 nodes=12
 */
#ifndef BGPPEERD_BASE_LOG_H
#define BGPPEERD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_KEY_VALUE, LOG_JSON };

struct log_field {
    const char *key;  /* NULL ends a list */
    const char *text; /* string value; NULL: `number` is the value */
    int64_t number;
};

static inline struct log_field log_field_text(const char *key, const char *text) {
    return (struct log_field){.key = key, .text = text != NULL ? text : "", .number = 0};
}

/* A string value; NULL is shown as an empty one. */
#define LOG_STR(k, v) log_field_text((k), (v))
#define LOG_INT(k, v) ((struct log_field){.key = (k), .text = NULL, .number = (int64_t)(v)})

/* Start the writer. Before this, and after log_stop, lines are written directly. fd is not closed. */
void log_start(int fd, enum log_level level, enum log_format format);
/* Write out what is collected and end the writer. */
void log_stop(void);
/* How many lines were lost, since the process started, because they were not taken fast enough or could not
 * be written. */
uint64_t log_dropped(void);
/* Would a line of this level be printed? */
bool log_enabled(enum log_level level);
void log_event_fields(enum log_level level, const char *event, const struct log_field *fields);

#ifdef __CPPCHECK__ /* does not know __VA_OPT__ */
#define log_event(level, event, ...) ((void)log_enabled(level))
#else
#define log_event(level, event, ...)                                                                         \
    do {                                                                                                     \
        if (log_enabled(level)) {                                                                            \
            log_event_fields(level, event,                                                                   \
                             (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});           \
        }                                                                                                    \
    } while (0)
#endif

#endif
