/*
 * Writing answers as JSON or YAML, for other programs: what was received, in its order. On a terminal
 * whatever steers it is written as an escape of the language. Into people->out; one thread.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "people/people.h"

#define INDENT 2

bool people_wants_document(const struct people *people) {
    return strcmp(people->settings->output, "text") != 0;
}

/* ---- JSON ---- */

static int append(const char *bytes, size_t len, void *arg) {
    buf_add(arg, bytes, len);
    return buf_failed(arg) ? -1 : 0;
}

void json_write(const json_t *value, size_t flags, struct buf *out) {
    if (json_dump_callback(value, append, out, flags | JSON_ENCODE_ANY) != 0) {
        out->failed = true;
    }
}

/* ---- YAML ---- */

/* Words that some reader of YAML takes for something else than a text. */
static bool is_yaml_word(const char *text) {
    static const char *const WORDS[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        if (strcasecmp(text, WORDS[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* An IPv4 address or network: no reader takes two dots, or a slash, for a number. */
static bool is_address(const char *text) {
    size_t dots = 0, slashes = 0;
    for (const char *c = text; *c != '\0'; c++) {
        dots += *c == '.';
        slashes += *c == '/';
        if (!isdigit((unsigned char)*c) && *c != '.' && *c != '/') {
            return false;
        }
    }
    return dots >= 2 || slashes == 1;
}

/* Is the text one for every reader, also without quotes? libyaml looks after its syntax. */
static bool is_plain(const char *text) {
    return isalpha((unsigned char)text[0]) ? !is_yaml_word(text)
                                           : isdigit((unsigned char)text[0]) && is_address(text);
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t len, yaml_scalar_style_t style) {
    yaml_event_t event;
    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1,
                                        style) == 1 &&
           yaml_emitter_emit(emitter, &event) == 1;
}

static bool emit_text(yaml_emitter_t *emitter, const char *text, size_t len) {
    return emit_scalar(emitter, text, len,
                       is_plain(text) ? YAML_PLAIN_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value);

static bool emit_object(yaml_emitter_t *emitter, const json_t *object) {
    yaml_event_t event;
    /* jansson walks in the order of insertion; the pointer is not used to change anything */
    json_t *walked = (json_t *)object;
    const char *key;
    json_t *member;
    bool whole = yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE) == 1 &&
                 yaml_emitter_emit(emitter, &event) == 1;
    json_object_foreach(walked, key, member) {
        whole = whole && emit_text(emitter, key, strlen(key)) && emit_value(emitter, member);
    }
    return whole && yaml_mapping_end_event_initialize(&event) == 1 && yaml_emitter_emit(emitter, &event) == 1;
}

static bool emit_array(yaml_emitter_t *emitter, const json_t *array) {
    yaml_event_t event;
    size_t i;
    const json_t *item;
    bool whole = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE) == 1 &&
                 yaml_emitter_emit(emitter, &event) == 1;
    json_array_foreach(array, i, item) {
        whole = whole && emit_value(emitter, item);
    }
    return whole && yaml_sequence_end_event_initialize(&event) == 1 &&
           yaml_emitter_emit(emitter, &event) == 1;
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value) {
    if (json_is_object(value)) {
        return emit_object(emitter, value);
    }
    if (json_is_array(value)) {
        return emit_array(emitter, value);
    }
    if (json_is_string(value)) {
        return emit_text(emitter, json_string_value(value), json_string_length(value));
    }
    struct buf text = {.wipe = true};
    json_write(value, 0, &text);
    bool whole = !buf_failed(&text) && emit_scalar(emitter, text.data, text.len, YAML_PLAIN_SCALAR_STYLE);
    buf_done(&text);
    return whole;
}

static int append_yaml(void *arg, unsigned char *bytes, size_t len) {
    buf_add(arg, bytes, len);
    return buf_failed(arg) ? 0 : 1;
}

void people_write_yaml(struct people *people, const json_t *document) {
    yaml_emitter_t emitter;
    yaml_event_t event;
    if (yaml_emitter_initialize(&emitter) != 1) {
        people->out.failed = true;
        return;
    }
    yaml_emitter_set_output(&emitter, append_yaml, &people->out);
    yaml_emitter_set_indent(&emitter, INDENT);
    yaml_emitter_set_width(&emitter, -1);
    yaml_emitter_set_unicode(&emitter, !people->is_terminal);
    bool whole = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) == 1 &&
                 yaml_emitter_emit(&emitter, &event) == 1 &&
                 yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 0) == 1 &&
                 yaml_emitter_emit(&emitter, &event) == 1 && emit_value(&emitter, document) &&
                 yaml_document_end_event_initialize(&event, 1) == 1 &&
                 yaml_emitter_emit(&emitter, &event) == 1 && yaml_stream_end_event_initialize(&event) == 1 &&
                 yaml_emitter_emit(&emitter, &event) == 1;
    people->out.failed = people->out.failed || !whole;
    yaml_emitter_delete(&emitter);
}

void people_write(struct people *people, const json_t *document) {
    if (strcmp(people->settings->output, "yaml") == 0) {
        people_write_yaml(people, document);
        return;
    }
    json_write(document, JSON_INDENT(INDENT) | (people->is_terminal ? JSON_ENSURE_ASCII : 0), &people->out);
    buf_add_char(&people->out, '\n');
}
