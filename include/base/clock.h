/* Clocks and their text. Thread-safe. */
#ifndef BGPPEERD_BASE_CLOCK_H
#define BGPPEERD_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEXT_MAX 32

/* Milliseconds since an arbitrary start; never goes back. For timers. */
int64_t clock_monotonic_ms(void);
/* The same clock, behind by up to a tick of the kernel (10 ms at most), for a tenth of the price: for
 * time-outs. */
int64_t clock_coarse_ms(void);
/* Nanoseconds, same clock. For measuring. */
int64_t clock_monotonic_ns(void);
/* Milliseconds since 1970-01-01T00:00:00Z. For timestamps. */
int64_t clock_realtime_ms(void);

/* A condition whose timed waits are on the clock of clock_monotonic_ms: setting the system's time neither
 * ends nor prolongs them. 0, or an errno: then there is no condition. */
int clock_cond_init(pthread_cond_t *ret);

/* RFC 3339 in UTC with whole seconds, "2026-11-23T19:00:00Z", as Kubernetes prints it. Returns length. */
size_t clock_format_seconds(int64_t realtime_ms, char out[CLOCK_TEXT_MAX]);
/* RFC 3339 in UTC with milliseconds, for logs. Returns length. */
size_t clock_format_millis(int64_t realtime_ms, char out[CLOCK_TEXT_MAX]);
/* Accepts RFC 3339 with any offset and fraction; milliseconds since 1970. */
bool clock_parse(const char *text, size_t len, int64_t *ret_realtime_ms);

#endif
