/*
 * BIRD's control protocol: "CCCC-text" is followed by more, "CCCC text" ends an answer, a line that begins
 * with a blank continues the code before it, and one that begins with "+" is news that nobody asked for.
 * Pieces may end anywhere. No locks; an answer owns its bytes.
 */
#include "bird_answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "cause.h"

void bird_answer_done(struct bird_answer *answer) {
    buf_done(&answer->lines);
    buf_done(&answer->line);
}

static int bird_foreign(const struct buf *line, struct err *err) {
    return err_set(err, ERR_UNAVAILABLE, "the control socket does not speak BIRD's language: \"%.40s\"",
                   line->data != NULL ? line->data : "");
}

static bool bird_code(const struct buf *line, int *ret) {
    uint64_t code;
    if (line->len < 5 || (line->data[4] != ' ' && line->data[4] != '-') ||
        !u64_parse(line->data, 4, 9999, &code)) {
        return false;
    }
    *ret = (int)code;
    return true;
}

static int bird_take_line(struct bird_answer *answer, struct err *err) {
    struct buf *line = &answer->line;
    if (line->len > 0 && line->data[0] == '+') {
        return 0;
    }
    const char *text = line->data != NULL ? line->data : "";
    if (line->len > 0 && text[0] == ' ' && answer->current >= 0) {
        text += 1;
    } else if (bird_code(line, &answer->current)) {
        answer->complete = text[4] == ' ';
        text += 5;
    } else {
        return bird_foreign(line, err);
    }
    if (answer->complete) {
        answer->code = answer->current;
    }
    buf_printf(&answer->lines, "%04d ", answer->current);
    buf_add_str(&answer->lines, text);
    buf_add_char(&answer->lines, '\n');
    if (answer->lines.len > BIRD_ANSWER_MAX) {
        return err_set(err, ERR_UNAVAILABLE, "BIRD's answer is longer than %zu bytes", BIRD_ANSWER_MAX);
    }
    return buf_failed(&answer->lines) ? err_no_memory(err) : 0;
}

int bird_answer_add(struct bird_answer *answer, const char *bytes, size_t len, struct err *err) {
    for (size_t i = 0; i < len && !answer->complete; i++) {
        if (bytes[i] == '\0') {
            return bird_foreign(&answer->line, err);
        }
        if (bytes[i] != '\n') {
            buf_add_char(&answer->line, bytes[i]);
            if (answer->line.len > BIRD_LINE_MAX) {
                return bird_foreign(&answer->line, err);
            }
            continue;
        }
        if (buf_failed(&answer->line)) {
            return err_no_memory(err);
        }
        if (bird_take_line(answer, err) != 0) {
            return -1;
        }
        buf_clear(&answer->line);
    }
    return 0;
}

/* ---- finding lines ---- */

struct bird_line {
    int code;
    const char *text;
    size_t len;
};

/* The next line of a whole answer; `at` begins at its `lines`. */
static bool bird_next(const char **at, struct bird_line *ret) {
    if (*at == NULL || **at == '\0') {
        return false;
    }
    size_t len = strcspn(*at, "\n");
    ret->code = ((*at)[0] - '0') * 1000 + ((*at)[1] - '0') * 100 + ((*at)[2] - '0') * 10 + ((*at)[3] - '0');
    ret->text = *at + 5;
    ret->len = len - 5;
    *at += len + ((*at)[len] == '\n' ? 1 : 0);
    return true;
}

static void bird_copy(const struct bird_line *line, char *ret, size_t size) {
    snprintf(ret, size, "%.*s", (int)(line->len < size ? line->len : size - 1), line->text);
}

bool bird_answer_find(const struct bird_answer *answer, int code, char *ret, size_t size) {
    const char *at = answer->lines.data;
    struct bird_line line;
    while (bird_next(&at, &line)) {
        if (line.code == code) {
            bird_copy(&line, ret, size);
            return true;
        }
    }
    return false;
}

void bird_answer_last(const struct bird_answer *answer, char *ret, size_t size) {
    const char *at = answer->lines.data;
    struct bird_line line = {.text = "", .len = 0};
    while (bird_next(&at, &line)) {
    }
    bird_copy(&line, ret, size);
}

/* ---- sessions ---- */

#define NAME_MAX_LEN 64 /* BIRD's longest name */

/* What has been read of a session: it is added when its address comes. */
struct bird_row {
    bool is_bgp;
    char name[NAME_MAX_LEN + 1];
    bool down;
    int64_t since_ms;
    struct session *session; /* NULL: not added yet */
};

/* The next word of a line, and what is behind it. */
static size_t bird_word(const char **at, const char *end) {
    while (*at < end && **at == ' ') {
        (*at)++;
    }
    const char *start = *at;
    while (start < end && *start != ' ') {
        start++;
    }
    return (size_t)(start - *at);
}

/* "2026-11-27 06:23:13" with or without fraction, local time; or a time of today. 0: neither. */
static int64_t bird_time(const char *text, size_t len) {
    char copy[40];
    snprintf(copy, sizeof(copy), "%.*s", (int)(len < sizeof(copy) ? len : sizeof(copy) - 1), text);
    time_t now = time(NULL);
    struct tm tm = {.tm_isdst = -1};
    const char *rest = strptime(copy, "%Y-%m-%d %H:%M:%S", &tm);
    if (rest == NULL) {
        if (localtime_r(&now, &tm) == NULL || strptime(copy, "%H:%M:%S", &tm) == NULL) {
            return 0;
        }
        tm.tm_isdst = -1;
    }
    time_t then = mktime(&tm);
    return then > 0 && then <= now ? (int64_t)then * 1000 : 0;
}

/* "n.10.9.0.2 BGP --- up 2026-11-27 06:23:13 Established" */
static void bird_read_row(const struct bird_line *line, struct bird_row *ret) {
    const char *at = line->text, *end = line->text + line->len;
    *ret = (struct bird_row){.is_bgp = false};
    size_t len = bird_word(&at, end);
    snprintf(ret->name, sizeof(ret->name), "%.*s",
             (int)(len < sizeof(ret->name) ? len : sizeof(ret->name) - 1), at);
    at += len;
    len = bird_word(&at, end);
    ret->is_bgp = len == 3 && memcmp(at, "BGP", 3) == 0;
    at += len;
    len = bird_word(&at, end); /* the table */
    at += len;
    len = bird_word(&at, end);
    ret->down = len == 4 && memcmp(at, "down", 4) == 0;
    at += len;
    (void)bird_word(&at, end);
    ret->since_ms = bird_time(at, (size_t)(end - at));
}

/* The port that our names have at their end: "n.10.9.0.2.1790". */
static uint16_t bird_port(const char *name, const char *address, size_t len) {
    uint64_t port = 0;
    if (strncmp(name, "n.", 2) != 0 || strncmp(name + 2, address, len) != 0 || name[2 + len] != '.' ||
        !u64_parse(name + 3 + len, strlen(name + 3 + len), UINT16_MAX, &port)) {
        return BGP_PORT;
    }
    return (uint16_t)port;
}

static int bird_add_session(struct bird_row *row, const char *value, size_t len, struct session_list *list,
                            struct err *err) {
    struct ip_addr peer;
    const char *zone = memchr(value, '%', len);
    size_t address_len = zone != NULL ? (size_t)(zone - value) : len;
    if (!ip_parse(value, address_len, &peer) || list->count == SESSION_COUNT_MAX) {
        row->is_bgp = false;
        return 0;
    }
    row->session = session_list_add(list, &peer, bird_port(row->name, value, address_len));
    if (row->session == NULL) {
        return err_no_memory(err);
    }
    row->session->since_ms = row->since_ms;
    row->session->disabled = row->down;
    return 0;
}

/* "3 imported, 1 filtered, 2 exported, 3 preferred" */
static void bird_add_routes(struct session *session, const char *value, size_t len) {
    const char *at = value, *end = value + len;
    while (at < end) {
        uint64_t number = 0;
        size_t digits = bird_word(&at, end);
        bool is_number = u64_parse(at, digits, INT64_MAX, &number);
        at += digits;
        size_t word = bird_word(&at, end);
        if (is_number && word >= 8 && memcmp(at, "imported", 8) == 0) {
            session->received += number;
        } else if (is_number && word >= 8 && memcmp(at, "exported", 8) == 0) {
            session->sent += number;
        }
        at += word;
    }
}

/* "46.977/60": what is behind the slash. */
static uint64_t bird_timer(const char *value, size_t len) {
    const char *slash = memchr(value, '/', len);
    uint64_t seconds = 0;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");
        (void)u64_parse(slash + 1, digits, UINT16_MAX, &seconds);
    }
    return seconds;
}

static int bird_take_detail(struct bird_row *row, enum session_state *state, const struct bird_line *line,
                            struct session_list *list, struct err *err) {
    const char *at = line->text, *end = line->text + line->len;
    while (at < end && *at == ' ') {
        at++;
    }
    const char *colon = memchr(at, ':', (size_t)(end - at));
    if (colon == NULL) {
        return 0;
    }
    size_t label = (size_t)(colon - at);
    const char *value = colon + 1;
    while (value < end && *value == ' ') {
        value++;
    }
    size_t len = (size_t)(end - value);
#define BIRD_LABEL(text) (label == sizeof(text) - 1 && memcmp(at, text, label) == 0)
    if (BIRD_LABEL("BGP state")) {
        *state = session_state_of(value, len);
    } else if (BIRD_LABEL("Neighbor address")) {
        if (bird_add_session(row, value, len, list, err) != 0) {
            return -1;
        }
        if (row->session != NULL) {
            row->session->state = *state;
        }
    } else if (row->session != NULL && BIRD_LABEL("Routes")) {
        bird_add_routes(row->session, value, len);
    } else if (row->session != NULL && BIRD_LABEL("Hold timer")) {
        row->session->hold_seconds = bird_timer(value, len);
    } else if (row->session != NULL && BIRD_LABEL("Last error")) {
        cause_of_bird(value, len, row->session);
    }
#undef BIRD_LABEL
    return 0;
}

int bird_sessions(const struct bird_answer *answer, struct session_list *ret, struct err *err) {
    const char *at = answer->lines.data;
    struct bird_row row = {.is_bgp = false};
    enum session_state state = SESSION_IDLE;
    struct bird_line line;
    while (bird_next(&at, &line)) {
        if (line.code == BIRD_PROTOCOL) {
            bird_read_row(&line, &row);
            state = SESSION_IDLE;
        } else if (line.code == BIRD_DETAIL && row.is_bgp &&
                   bird_take_detail(&row, &state, &line, ret, err) != 0) {
            return -1;
        }
    }
    session_list_sort(ret);
    return 0;
}
