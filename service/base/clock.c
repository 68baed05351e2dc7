/* Clocks and RFC 3339 text, by calendar arithmetic of its own: no time zone data, no locks. */
#include "base/clock.h"

#include <time.h>

#define MS_PER_SECOND 1000
#define MS_PER_DAY    (INT64_C(86400) * MS_PER_SECOND)

static int64_t read_clock_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now); /* cannot fail for the clocks used here */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_monotonic_ms(void) {
    return read_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_coarse_ms(void) {
    return read_clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

int64_t clock_monotonic_ns(void) {
    return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ms(void) {
    return read_clock_ns(CLOCK_REALTIME) / 1000000;
}

int clock_cond_init(pthread_cond_t *ret) {
    pthread_condattr_t attributes;
    int failure = pthread_condattr_init(&attributes);
    if (failure == 0) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        failure = pthread_cond_init(ret, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    return failure;
}

/*
 * Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted from March, so that the
 * leap day is the last day of a year; 146097 days make one 400-year cycle.
 */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day) {
    if (month <= 2) {
        year--;
    }
    int64_t cycle = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    return cycle * 146097 + day_of_cycle - 719468;
}

static void date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day) {
    days += 719468;
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_cycle = days - cycle * 146097;
    int64_t year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    int64_t day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = year_of_cycle + cycle * 400 + (*ret_month <= 2 ? 1 : 0);
}

/* Two digits and a separator; returns the place behind them. */
static char *put_two(char *at, int64_t value, char separator) {
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    at[2] = separator;
    return at + 3;
}

/* RFC 3339 knows the years 0000 to 9999; anything beyond is shown as the nearest instant it can say. */
static int64_t clamp_to_four_digit_years(int64_t ms) {
    const int64_t lowest = INT64_C(-62167219200000);
    const int64_t highest = INT64_C(253402300799999);
    return ms < lowest ? lowest : ms > highest ? highest : ms;
}

/* "2026-11-23T19:00:00" and one separator more; returns the place behind it. */
static char *put_seconds(char *at, int64_t ms, char separator) {
    int64_t day = ms / MS_PER_DAY;
    int64_t ms_of_day = ms % MS_PER_DAY;
    if (ms_of_day < 0) {
        ms_of_day += MS_PER_DAY;
        day--;
    }
    int64_t year;
    unsigned month;
    unsigned day_of_month;
    date_from_days(day, &year, &month, &day_of_month);
    int64_t second = ms_of_day / MS_PER_SECOND;
    at[0] = (char)('0' + year / 1000);
    at[1] = (char)('0' + year / 100 % 10);
    at = put_two(at + 2, year % 100, '-');
    at = put_two(at, month, '-');
    at = put_two(at, day_of_month, 'T');
    at = put_two(at, second / 3600, ':');
    at = put_two(at, second / 60 % 60, ':');
    return put_two(at, second % 60, separator);
}

size_t clock_format_seconds(int64_t realtime_ms, char out[CLOCK_TEXT_MAX]) {
    char *end = put_seconds(out, clamp_to_four_digit_years(realtime_ms), 'Z');
    *end = '\0';
    return (size_t)(end - out);
}

size_t clock_format_millis(int64_t realtime_ms, char out[CLOCK_TEXT_MAX]) {
    int64_t ms = clamp_to_four_digit_years(realtime_ms);
    int64_t millis = ms % MS_PER_SECOND;
    if (millis < 0) {
        millis += MS_PER_SECOND;
    }
    char *end = put_seconds(out, ms, '.');
    *end++ = (char)('0' + millis / 100);
    end = put_two(end, millis % 100, 'Z');
    *end = '\0';
    return (size_t)(end - out);
}

/* The text that is still to be read. */
struct rest {
    const char *at;
    const char *end;
};

/* Exactly `count` digits with a value of min to max. */
static bool read_digits(struct rest *rest, int count, unsigned min, unsigned max, unsigned *ret) {
    unsigned value = 0;
    for (int i = 0; i < count; i++) {
        if (rest->at == rest->end || *rest->at < '0' || *rest->at > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(*rest->at++ - '0');
    }
    *ret = value;
    return value >= min && value <= max;
}

static bool read_char(struct rest *rest, char upper, char lower) {
    if (rest->at == rest->end || (*rest->at != upper && *rest->at != lower)) {
        return false;
    }
    rest->at++;
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month) {
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_date(struct rest *rest, int64_t *ret_days) {
    unsigned year;
    unsigned month;
    unsigned day;
    if (!read_digits(rest, 4, 0, 9999, &year) || !read_char(rest, '-', '-') ||
        !read_digits(rest, 2, 1, 12, &month) || !read_char(rest, '-', '-') ||
        !read_digits(rest, 2, 1, days_in_month(year, month), &day)) {
        return false;
    }
    *ret_days = days_from_date(year, month, day);
    return true;
}

static bool read_time(struct rest *rest, int64_t *ret_ms) {
    unsigned hour;
    unsigned minute;
    unsigned second;
    if (!read_digits(rest, 2, 0, 23, &hour) || !read_char(rest, ':', ':') ||
        !read_digits(rest, 2, 0, 59, &minute) || !read_char(rest, ':', ':') ||
        !read_digits(rest, 2, 0, 59, &second)) {
        return false;
    }
    int64_t ms = ((int64_t)hour * 3600 + minute * 60 + second) * MS_PER_SECOND;
    if (read_char(rest, '.', '.')) {
        unsigned digit;
        if (!read_digits(rest, 1, 0, 9, &digit)) {
            return false;
        }
        int64_t weight = 100;
        do {
            ms += digit * weight;
            weight /= 10; /* 0 behind the third digit: the rest is cut */
        } while (read_digits(rest, 1, 0, 9, &digit));
    }
    *ret_ms = ms;
    return true;
}

static bool read_offset(struct rest *rest, int64_t *ret_ms) {
    if (read_char(rest, 'Z', 'z')) {
        *ret_ms = 0;
        return true;
    }
    bool west = read_char(rest, '-', '-');
    unsigned hours;
    unsigned minutes;
    if ((!west && !read_char(rest, '+', '+')) || !read_digits(rest, 2, 0, 23, &hours) ||
        !read_char(rest, ':', ':') || !read_digits(rest, 2, 0, 59, &minutes)) {
        return false;
    }
    int64_t ms = ((int64_t)hours * 3600 + minutes * 60) * MS_PER_SECOND;
    *ret_ms = west ? -ms : ms;
    return true;
}

bool clock_parse(const char *text, size_t len, int64_t *ret_realtime_ms) {
    struct rest rest = {.at = text, .end = text + len};
    int64_t days;
    int64_t ms;
    int64_t offset;
    if (!read_date(&rest, &days) || !read_char(&rest, 'T', 't') || !read_time(&rest, &ms) ||
        !read_offset(&rest, &offset) || rest.at != rest.end) {
        return false;
    }
    *ret_realtime_ms = days * MS_PER_DAY + ms - offset;
    return true;
}
