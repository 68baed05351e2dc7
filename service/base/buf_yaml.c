/*
 * JSON as block YAML, for whoever asks for it: one pass over a text that is valid already. Texts are written
 * plain where YAML can take them for nothing else, and in JSON's quotes, which YAML understands, everywhere
 * else.
 */
#include <string.h>
#include <strings.h>

#include "base/buf.h"

/* Deeper values stay in JSON's own form, which is YAML as well. */
#define YAML_DEPTH_MAX 64

struct yaml_writer {
    struct buf *out;
    const char *json;
    size_t len;
    size_t at;
};

/* The next byte that is no blank; NUL at the end. */
static char yaml_peek(struct yaml_writer *writer) {
    while (writer->at < writer->len && strchr(" \t\r\n", writer->json[writer->at]) != NULL) {
        writer->at++;
    }
    return writer->at < writer->len ? writer->json[writer->at] : '\0';
}

static bool yaml_take(struct yaml_writer *writer, char c) {
    if (yaml_peek(writer) != c) {
        return false;
    }
    writer->at++;
    return true;
}

/* A word that no version of YAML reads as a number, a date, a boolean or null. */
static bool yaml_is_plain(const char *text, size_t len) {
    static const char *const TAKEN[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    if (len == 0 || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", text[0]) == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof(TAKEN) / sizeof(TAKEN[0]); i++) {
        if (strlen(TAKEN[i]) == len && strncasecmp(text, TAKEN[i], len) == 0) {
            return false;
        }
    }
    size_t plain = 0;
    while (plain < len && text[plain] != '\0' &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-", text[plain]) !=
               NULL) {
        plain++;
    }
    return plain == len;
}

/* Bytes of a character at `text` that YAML does not take in clear, or as a line end: DEL, U+0080 to U+009F,
 * U+2028, U+2029, U+FEFF; 0: it is another one. */
static size_t yaml_hidden(const unsigned char *text, size_t len, unsigned *ret_code) {
    if (text[0] == 0x7F) {
        *ret_code = 0x7F;
        return 1;
    }
    if (len >= 2 && text[0] == 0xC2 && text[1] < 0xA0) {
        *ret_code = text[1];
        return 2;
    }
    if (len >= 3 && text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9)) {
        *ret_code = 0x2000U | (text[2] & 0x3FU);
        return 3;
    }
    if (len >= 3 && text[0] == 0xEF && text[1] == 0xBB && text[2] == 0xBF) {
        *ret_code = 0xFEFF;
        return 3;
    }
    return 0;
}

/* In quotes as it stands, but for what is hidden. */
static void yaml_add_quoted(struct buf *out, const char *text, size_t len) {
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < len; i++) {
        unsigned code;
        size_t hidden = yaml_hidden((const unsigned char *)text + i, len - i, &code);
        if (hidden > 0) {
            buf_add(out, text + plain, i - plain);
            buf_printf(out, "\\u%04X", code);
            i += hidden - 1;
            plain = i + 1;
        }
    }
    buf_add(out, text + plain, len - plain);
}

static void yaml_add_scalar(struct yaml_writer *writer) {
    bool text = yaml_peek(writer) == '"';
    const char *start = writer->json + writer->at;
    size_t left = writer->len - writer->at, len = text ? 1 : 0;
    if (!text) {
        while (len < left && strchr(",:]} \t\r\n", start[len]) == NULL) {
            len++;
        }
        buf_add(writer->out, start, len);
        writer->at += len;
        return;
    }
    while (len < left && start[len] != '"') {
        len += start[len] == '\\' ? 2 : 1;
    }
    len = len < left ? len + 1 : left;
    if (len >= 2 && yaml_is_plain(start + 1, len - 2)) {
        buf_add(writer->out, start + 1, len - 2);
    } else {
        yaml_add_quoted(writer->out, start, len);
    }
    writer->at += len;
}

/* A whole value in JSON's form. */
static void yaml_add_flow(struct yaml_writer *writer) {
    size_t depth = 0;
    do {
        char c = yaml_peek(writer);
        if (c == '{' || c == '[' || c == '}' || c == ']' || c == ',' || c == ':') {
            buf_add_char(writer->out, c);
            if (c == ':') { /* without a blank, a plain key would take its value in */
                buf_add_char(writer->out, ' ');
            }
            depth += c == '{' || c == '[';
            depth -= (c == '}' || c == ']') && depth > 0;
            writer->at++;
        } else if (c != '\0') {
            size_t before = writer->at;
            yaml_add_scalar(writer);
            writer->at += writer->at == before;
        }
    } while (depth > 0 && writer->at < writer->len && !writer->out->failed);
}

static void yaml_add_line(struct buf *out, size_t depth) {
    buf_add_char(out, '\n');
    while (depth-- > 0) {
        buf_add(out, "  ", 2);
    }
}

static void yaml_add_block(struct yaml_writer *writer, size_t depth, bool inline_first);

/* The value behind a key's colon (`lead` is a blank) or an item's dash. */
static void yaml_add_value(struct yaml_writer *writer, size_t depth, const char *lead, bool inline_first) {
    char c = yaml_peek(writer);
    size_t before = writer->at;
    bool empty = false;
    if (c == '{' || c == '[') {
        writer->at++;
        empty = yaml_peek(writer) == (c == '{' ? '}' : ']');
        writer->at = before;
    }
    if ((c != '{' && c != '[') || empty || depth > YAML_DEPTH_MAX) {
        buf_add_str(writer->out, lead);
        if (c == '{' || c == '[') {
            yaml_add_flow(writer);
        } else {
            yaml_add_scalar(writer);
        }
        return;
    }
    yaml_add_block(writer, depth, inline_first);
}

/* An object or array with something in it. `inline_first`: its first line has begun, behind a dash. */
static void yaml_add_block(struct yaml_writer *writer, size_t depth, bool inline_first) {
    bool object = writer->json[writer->at] == '{';
    writer->at++;
    do {
        if (!inline_first) {
            yaml_add_line(writer->out, depth);
        }
        inline_first = false;
        if (!object) {
            buf_add_str(writer->out, "- ");
            yaml_add_value(writer, depth + 1, "", true);
            continue;
        }
        yaml_add_scalar(writer);
        (void)yaml_take(writer, ':');
        buf_add_char(writer->out, ':');
        /* kubectl writes the items of a list in the column of its key. */
        yaml_add_value(writer, yaml_peek(writer) == '[' ? depth : depth + 1, " ", false);
    } while (yaml_take(writer, ',') && !writer->out->failed);
    (void)yaml_take(writer, object ? '}' : ']');
}

void buf_add_json_as_yaml(struct buf *buf, const char *json, size_t len) {
    struct yaml_writer writer = {.out = buf, .json = json, .len = len};
    if (yaml_peek(&writer) != '\0') {
        yaml_add_value(&writer, 0, "", true);
    }
    buf_add_char(buf, '\n');
}
