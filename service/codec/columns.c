/*
 * Printer columns of a stored document. A table has hundreds of rows, so no tree is made: the text is
 * walked to each column's member. It is our own compact JSON; a damaged one is reported, and no index
 * leaves it. Pure functions.
 */
#include <string.h>

#include "codec_internal.h"

struct cursor {
    const char *at, *end;
};

/* Behind the closing quote; false: there is none. */
static bool skip_string(struct cursor *c) {
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '\\') {
            c->at++;
        } else if (*c->at == '"') {
            c->at++;
            return true;
        }
    }
    return false;
}

/* Behind the value that begins here; *ret_text its text. */
static bool skip_value(struct cursor *c, const char **ret_text, size_t *ret_len) {
    const char *start = c->at;
    size_t depth = 0;

    while (c->at < c->end) {
        char byte = *c->at;

        if (byte == '"') {
            if (!skip_string(c)) {
                return false;
            }
        } else if (byte == '{' || byte == '[') {
            depth++;
            c->at++;
        } else if (depth > 0) {
            depth -= byte == '}' || byte == ']';
            c->at++;
        } else {
            const char *scalar = c->at;

            while (c->at < c->end && *c->at != ',' && *c->at != '}' && *c->at != ']') {
                c->at++;
            }
            if (c->at == scalar) {
                return false;
            }
        }
        if (depth == 0) {
            *ret_text = start;
            *ret_len = (size_t)(c->at - start);
            return true;
        }
    }
    return false;
}

/* To the value of `name` in the object that begins here. 1 found, 0 not there, -1 damaged. */
static int enter_member(struct cursor *c, const char *name, size_t name_len) {
    if (c->at == c->end) {
        return -1;
    }
    if (*c->at != '{') {
        return 0;
    }
    c->at++;
    while (c->at < c->end && *c->at == '"') {
        const char *key = c->at + 1, *value;
        size_t key_len, value_len;

        if (!skip_string(c) || c->at == c->end || *c->at != ':') {
            return -1;
        }
        key_len = (size_t)(c->at - 1 - key);
        c->at++;
        if (key_len == name_len && memcmp(key, name, name_len) == 0) {
            return 1;
        }
        if (!skip_value(c, &value, &value_len) || c->at == c->end) {
            return -1;
        }
        if (*c->at == ',') {
            c->at++;
        }
    }
    return c->at < c->end && *c->at == '}' ? 0 : -1;
}

/* A list of texts becomes one: "a,b". Each is escaped already. Other elements make the cell null. */
static void write_joined(const char *text, size_t len, struct buf *out) {
    struct cursor c = {.at = text + 1, .end = text + len};
    size_t start = out->len;

    buf_add_char(out, '"');
    while (c.at < c.end && *c.at == '"') {
        const char *element = c.at + 1;

        if (!skip_string(&c)) {
            break;
        }
        buf_add(out, element, (size_t)(c.at - 1 - element));
        if (c.at < c.end && *c.at == ',') {
            buf_add_char(out, ',');
            c.at++;
        }
    }
    if (c.at < c.end && *c.at == ']') {
        buf_add_char(out, '"');
    } else if (!buf_failed(out)) {
        out->len = start;
        buf_add_str(out, "null");
    }
}

/* How many members an object, or elements a list, has. -1: damaged. */
static long count_members(const char *text, size_t len) {
    struct cursor c = {.at = text + 1, .end = text + len - 1};
    bool object = text[0] == '{';
    const char *value;
    size_t value_len;
    long count = 0;

    for (; c.at < c.end; count++) {
        c.at += count > 0; /* the comma */
        if (object &&
            (c.at == c.end || *c.at != '"' || !skip_string(&c) || c.at == c.end || *c.at++ != ':')) {
            return -1;
        }
        if (!skip_value(&c, &value, &value_len)) {
            return -1;
        }
    }
    return count;
}

/* The value at a path. 1 found, 0 nothing there, which "" counts as; -1 damaged. */
static int find_value(const char *json, size_t len, const char *path, const char **ret_text,
                      size_t *ret_len) {
    struct cursor c = {.at = json, .end = json + len};
    int found = 1;

    while (found > 0 && *path != '\0') {
        size_t name_len = strcspn(path, ".");

        found = enter_member(&c, path, name_len);
        path += name_len + (path[name_len] == '.');
    }
    if (found <= 0) {
        return found;
    }
    if (!skip_value(&c, ret_text, ret_len)) {
        return -1;
    }
    return *ret_len > 2 || (*ret_text)[0] != '"';
}

static bool write_column(const char *json, size_t len, const struct printer_column *column, struct buf *out) {
    const char *text = NULL;
    size_t text_len = 0;
    long count = 0;
    int found = find_value(json, len, column->path, &text, &text_len);

    if (found == 0 && column->otherwise) {
        found = find_value(json, len, column->otherwise, &text, &text_len);
    }
    if (found > 0 && column->count && (text[0] == '{' || text[0] == '[')) {
        count = count_members(text, text_len);
    }
    if (found < 0 || count < 0) {
        return false;
    }
    buf_json_comma(out);
    if (column->count) {
        buf_add_u64(out, (uint64_t)count);
    } else if (found == 0 && column->fallback) {
        buf_add_json_str(out, column->fallback);
    } else if (found == 0 || text[0] == '{') {
        buf_add_str(out, "null");
    } else if (text[0] == '[') {
        write_joined(text, text_len, out);
    } else {
        buf_add(out, text, text_len);
    }
    return true;
}

int codec_columns(enum kind kind, const char *json, size_t len, struct buf *out, struct err *err) {
    const struct kind_info *info = kind_info(kind);

    for (size_t i = 0; i < info->column_count; i++) {
        if (!write_column(json, len, &info->columns[i], out)) {
            return err_set(err, ERR_CORRUPT, "the stored %s cannot be read", info->name);
        }
    }
    return 0;
}
