/*
 * Showing: lines with marks and colours, and tables. Every text goes through one place that takes away what
 * steers a terminal, so that no name or description in the fleet can. Pure, into people->out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "people/people.h"

#define CELL_GAP 2

static const struct {
    char sign; /* 0: none */
    const char *colour;
} MARKS[MARK_COUNT] = {
    [MARK_HEAD] = {.colour = "\033[1m"},
    [MARK_ADD] = {.sign = '+', .colour = "\033[32m"},
    [MARK_REMOVE] = {.sign = '-', .colour = "\033[31m"},
    [MARK_CHANGE] = {.sign = '~', .colour = "\033[33m"},
    [MARK_WARN] = {.sign = '!', .colour = "\033[35m"},
    [MARK_FAINT] = {.colour = "\033[2m"},
};

/* ---- text ---- */

/* Characters that change the direction of what follows: U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069.
 */
static bool turns_text(const unsigned char *text, size_t len) {
    return len == 3 && text[0] == 0xe2 &&
           ((text[1] == 0x80 &&
             (text[2] == 0x8e || text[2] == 0x8f || (text[2] >= 0xaa && text[2] <= 0xae))) ||
            (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9));
}

static void add_harmless(struct buf *out, const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        const unsigned char *at = (const unsigned char *)text + i;
        size_t step = *at < 0x80 ? *at >= 0x20 && *at != 0x7f : text_visible(at, len - i);
        if (step == 0 || turns_text(at, step)) {
            step = step == 0 ? 1 : step;
            for (size_t k = 0; k < step; k++) {
                buf_printf(out, "\\x%02x", at[k]);
            }
        } else {
            buf_add(out, at, step);
        }
        i += step;
    }
}

void show_harmless(struct buf *out, const char *text) {
    add_harmless(out, text, strlen(text));
}

static void begin_line(struct people *people, enum mark mark, size_t indent) {
    for (size_t i = 0; i < indent; i++) {
        buf_add_char(&people->out, ' ');
    }
    if (people->colour && MARKS[mark].colour != NULL) {
        buf_add_str(&people->out, MARKS[mark].colour);
    }
    if (MARKS[mark].sign != 0) {
        buf_add_char(&people->out, MARKS[mark].sign);
        buf_add_char(&people->out, ' ');
    }
}

static void end_line(struct people *people, enum mark mark) {
    if (people->colour && MARKS[mark].colour != NULL) {
        buf_add_str(&people->out, "\033[0m");
    }
    buf_add_char(&people->out, '\n');
}

void show_line(struct people *people, enum mark mark, size_t indent, const char *fmt, ...) {
    struct buf text = {.wipe = true};
    char small[512];
    va_list list;
    va_start(list, fmt);
    int len = vsnprintf(small, sizeof(small), fmt, list);
    va_end(list);
    if (len >= (int)sizeof(small) && buf_reserve(&text, (size_t)len + 1) == 0) {
        va_start(list, fmt);
        (void)vsnprintf(text.data, (size_t)len + 1, fmt, list);
        va_end(list);
        text.len = (size_t)len;
    }
    begin_line(people, mark, indent);
    add_harmless(&people->out, text.len > 0 ? text.data : small,
                 text.len > 0 ? text.len
                 : len > 0    ? strnlen(small, sizeof(small))
                              : 0);
    end_line(people, mark);
    people->out.failed = people->out.failed || buf_failed(&text);
    buf_done(&text);
    explicit_bzero(small, sizeof(small));
}

/* ---- tables ---- */

struct show_table_row {
    struct show_table_row *next;
    enum mark mark;
    const char *cells[TABLE_COLUMNS_MAX];
};

void show_table_begin(struct show_table *table, struct people *people, size_t columns,
                      const char *const *headings) {
    *table = (struct show_table){.people = people, .columns = columns};
    table->end = &table->first;
    if (headings != NULL) {
        show_table_row(table, MARK_HEAD, headings);
    }
}

void show_table_row(struct show_table *table, enum mark mark, const char *const *cells) {
    struct arena *arena = &table->people->arena;
    struct show_table_row *row = arena_alloc(arena, sizeof(*row));
    if (row == NULL) {
        return; /* the arena remembers */
    }
    row->mark = mark;
    for (size_t c = 0; c < table->columns; c++) {
        struct buf safe = {.wipe = true};
        show_harmless(&safe, cells[c] != NULL ? cells[c] : "");
        row->cells[c] = arena_strndup(arena, safe.data != NULL ? safe.data : "", safe.len);
        arena->failed = arena->failed || buf_failed(&safe);
        buf_done(&safe);
        if (row->cells[c] == NULL) {
            return;
        }
    }
    *table->end = row;
    table->end = &row->next;
}

/* In characters, as well-formed UTF-8 has them. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void find_widths(const struct show_table *table, size_t widths[TABLE_COLUMNS_MAX]) {
    for (size_t c = 0; c < table->columns; c++) {
        bool used = false;
        widths[c] = 0;
        for (const struct show_table_row *row = table->first; row != NULL; row = row->next) {
            size_t width = width_of(row->cells[c]);
            used = used || (width > 0 && row->mark != MARK_HEAD);
            widths[c] = width > widths[c] ? width : widths[c];
        }
        widths[c] = used ? widths[c] : 0;
    }
}

void show_table_end(struct show_table *table, size_t indent) {
    struct buf *out = &table->people->out;
    size_t widths[TABLE_COLUMNS_MAX];
    find_widths(table, widths);
    for (const struct show_table_row *row = table->first; row != NULL; row = row->next) {
        size_t missing = 0; /* blanks before the next text; none at the end of a line */
        begin_line(table->people, row->mark, indent);
        for (size_t c = 0; c < table->columns; c++) {
            if (widths[c] == 0) {
                continue;
            }
            size_t width = width_of(row->cells[c]);
            for (; width > 0 && missing > 0; missing--) {
                buf_add_char(out, ' ');
            }
            buf_add_str(out, row->cells[c]);
            missing += widths[c] - width + CELL_GAP;
        }
        end_line(table->people, row->mark);
    }
}

/* ---- JSON as text ---- */

const char *json_value_text(struct people *people, const json_t *value) {
    struct arena *arena = &people->arena;
    const char *text = NULL;
    switch (value != NULL ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
        return "";
    case JSON_STRING:
        text = arena_strdup(arena, json_string_value(value));
        break;
    case JSON_INTEGER:
        text = arena_printf(arena, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        text = arena_printf(arena, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_ARRAY:
    case JSON_OBJECT: {
        struct buf dump = {.wipe = true};
        json_write(value, JSON_COMPACT, &dump);
        text = arena_strndup(arena, dump.data != NULL ? dump.data : "", dump.len);
        people->out.failed = people->out.failed || buf_failed(&dump);
        buf_done(&dump);
        break;
    }
    }
    return text != NULL ? text : "";
}

const char *json_text(struct people *people, const json_t *object, const char *member) {
    return json_value_text(people, json_object_get(object, member));
}

uint64_t json_number(const json_t *object, const char *member) {
    json_int_t value = json_integer_value(json_object_get(object, member));
    return value > 0 ? (uint64_t)value : 0;
}

const char *json_count_text(struct people *people, uint64_t count, const char *one, const char *many) {
    const char *text =
        arena_printf(&people->arena, "%llu %s", (unsigned long long)count, count == 1 ? one : many);
    return text != NULL ? text : "";
}
