/*
 * Writes a JSON value as YAML: maps and lists as indented blocks, strings plain where no reader can take
 * them for anything else, and as JSON strings (which YAML's double-quoted ones contain) elsewhere. Owns
 * nothing; stateless.
 */
#include "yaml_writer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INDENT 2

/* Words that some YAML reader takes for a boolean or null. */
static bool is_reserved(const char *text) {
    static const char *const WORDS[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        if (strcasecmp(text, WORDS[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Conservative: begins with a letter or '/', and holds nothing that has a meaning inside of a plain scalar.
 */
static bool is_plain(const char *text) {
    size_t len = strlen(text);
    if (len == 0 || (!is_letter(text[0]) && text[0] != '/') || text[len - 1] == ' ' || text[len - 1] == ':') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7f || (c == ':' && text[i + 1] == ' ') || (c == '#' && text[i - 1] == ' ')) {
            return false;
        }
    }
    return !is_reserved(text);
}

static void write_scalar(json_t *value, FILE *out) {
    if (json_is_string(value) && is_plain(json_string_value(value))) {
        fputs(json_string_value(value), out);
    } else {
        json_dumpf(value, out, JSON_ENCODE_ANY);
    }
}

static void write_key(const char *key, FILE *out) {
    if (is_plain(key)) {
        fputs(key, out);
        return;
    }
    json_t *text = json_string(key);
    if (text != NULL) {
        write_scalar(text, out);
        json_decref(text);
    }
}

static bool is_block(json_t *value) {
    return (json_is_object(value) && json_object_size(value) > 0) ||
           (json_is_array(value) && json_array_size(value) > 0);
}

static void write_block(json_t *value, int indent, bool continued, FILE *out);

/* What comes after "key:" (a block starts on the next line) or after "-" (a map starts beside it). */
static void write_value(json_t *value, int indent, bool in_list, FILE *out) {
    if (!is_block(value)) {
        fputc(' ', out);
        write_scalar(value, out);
        fputc('\n', out);
    } else if (in_list && json_is_object(value)) {
        fputc(' ', out);
        write_block(value, indent, true, out);
    } else {
        fputc('\n', out);
        write_block(value, indent, false, out);
    }
}

/* `continued`: the first member's line has been begun already. */
static void write_block(json_t *value, int indent, bool continued, FILE *out) {
    if (json_is_array(value)) {
        size_t index;
        json_t *item;
        json_array_foreach(value, index, item) {
            fprintf(out, "%*s-", indent, "");
            write_value(item, indent + INDENT, true, out);
        }
        return;
    }
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member) {
        fprintf(out, "%*s", continued ? 0 : indent, "");
        continued = false;
        write_key(key, out);
        fputc(':', out);
        write_value(member, indent + INDENT, false, out);
    }
}

void yaml_write(json_t *value, FILE *out) {
    if (is_block(value)) {
        write_block(value, 0, false, out);
    } else {
        write_scalar(value, out);
        fputc('\n', out);
    }
}
