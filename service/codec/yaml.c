/*
 * YAML to a tree, from libyaml's events, with the meaning that kubectl gives it: scalars by
 * yaml_scalar.c, keys of other types as text, merge keys, aliases as copies. Copies are counted, so that
 * a small text cannot become a large tree. A reader belongs to one call; no locks.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "codec_internal.h"

struct reader {
    yaml_parser_t parser;
    const char *bytes;
    size_t len;
    json_t *anchors;    /* name to finished node; libyaml lets names be used again: the latest counts */
    size_t expanded;    /* bytes that aliases have added */
    struct decoding *d; /* receives duplicate keys; NULL: they are refused */
    struct err *err;
};

static int read_node(struct reader *r, const yaml_event_t *event, unsigned depth, const struct path *path,
                     json_t **ret);

static int refuse(struct reader *r, yaml_mark_t mark, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int refuse(struct reader *r, yaml_mark_t mark, const char *fmt, ...) {
    char what[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return err_set(r->err, ERR_BAD_REQUEST, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1, what);
}

static int next_event(struct reader *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event)) {
        return 0;
    }
    if (r->parser.error == YAML_MEMORY_ERROR) {
        return err_no_memory(r->err);
    }
    if (r->parser.error == YAML_READER_ERROR) {
        return text_refuse(r->err, r->bytes, r->len, r->parser.problem_offset, "not YAML: %s",
                           r->parser.problem);
    }
    const char *context = r->parser.context != NULL ? r->parser.context : "";
    const char *problem = r->parser.problem != NULL ? r->parser.problem : "unknown problem";
    return refuse(r, r->parser.problem_mark, "not YAML: %s%s%s%s", context, context[0] != '\0' ? ", " : "",
                  problem, yaml_hint(r->bytes, r->len, r->parser.problem_mark.line, context, problem));
}

static int keep_anchor(struct reader *r, const yaml_char_t *anchor, json_t *node) {
    if (anchor && json_object_set_nocheck(r->anchors, (const char *)anchor, node) < 0) {
        return err_no_memory(r->err);
    }
    return 0;
}

static int read_alias(struct reader *r, const yaml_event_t *event, unsigned depth, json_t **ret) {
    const char *name = (const char *)event->data.alias.anchor;
    const json_t *node = json_object_get(r->anchors, name);
    json_t *copy;

    if (!node) {
        /* Without its name: a password that begins with an asterisk and is not quoted looks like this. */
        return refuse(
            r, event->start_mark,
            "no anchor of that name is complete before this alias (an anchor cannot contain itself); "
            "put it in quotes if it is a text");
    }
    r->expanded += tree_weight(node);
    if (r->expanded > CODEC_EXPANSION_MAX) {
        return refuse(r, event->start_mark, "the aliases of this document expand to more than %u bytes",
                      CODEC_EXPANSION_MAX);
    }
    if (depth + tree_depth(node) > CODEC_DEPTH_MAX) {
        return refuse(r, event->start_mark, "mappings and sequences are nested more than %d deep",
                      CODEC_DEPTH_MAX);
    }
    copy = json_deep_copy(node);
    if (!copy) {
        return err_no_memory(r->err);
    }
    *ret = copy;
    return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, json_t **ret) {
    char why[160];
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    json_t *value = yaml_scalar((const char *)event->data.scalar.value, event->data.scalar.length, plain,
                                (const char *)event->data.scalar.tag, why, sizeof why);

    if (!value) {
        return why[0] ? refuse(r, event->start_mark, "%s", why) : err_no_memory(r->err);
    }
    if (keep_anchor(r, event->data.scalar.anchor, value) < 0) {
        json_decref(value);
        return -1;
    }
    *ret = value;
    return 0;
}

/* A mapping or sequence may carry the tag that it has anyway. */
static int check_tag(struct reader *r, const yaml_event_t *event, const yaml_char_t *tag, const char *own) {
    if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, own) == 0) {
        return 0;
    }
    return refuse(r, event->start_mark,
                  "the tag of this value is not supported; remove it, or put a text that "
                  "begins with \"!\" in quotes");
}

static int read_sequence(struct reader *r, const yaml_event_t *start, unsigned depth, const struct path *path,
                         json_t **ret) {
    json_auto_t *array = json_array();
    struct path element = {.parent = path};

    if (!array) {
        return err_no_memory(r->err);
    }
    if (check_tag(r, start, start->data.sequence_start.tag, YAML_SEQ_TAG) < 0) {
        return -1;
    }
    for (;; element.index++) {
        yaml_event_t event;
        json_t *value = NULL;
        bool end;
        int failed = 0;

        if (next_event(r, &event) < 0) {
            return -1;
        }
        end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end) {
            failed = read_node(r, &event, depth, &element, &value);
        }
        yaml_event_delete(&event);
        if (failed < 0) {
            return -1;
        }
        if (end) {
            break;
        }
        if (json_array_append_new(array, value) < 0) {
            return err_no_memory(r->err);
        }
    }
    if (keep_anchor(r, start->data.sequence_start.anchor, array) < 0) {
        return -1;
    }
    *ret = json_incref(array);
    return 0;
}

/* The text of a key: integers and booleans as kubectl writes them. NULL: refused. */
static json_t *read_key(struct reader *r, const yaml_event_t *event) {
    json_t *key = NULL, *text = NULL;
    char digits[32];

    if (event->type != YAML_SCALAR_EVENT) {
        refuse(r, event->start_mark,
               "a key must be a plain or quoted text; if {{ … }} is meant, it is a template "
               "that has not been filled in: put it in quotes or fill it in");
        return NULL;
    }
    if (read_scalar(r, event, &key) < 0) {
        return NULL;
    }
    if (json_is_string(key)) {
        return key;
    }
    if (json_is_integer(key)) {
        snprintf(digits, sizeof digits, "%lld", json_integer_value(key));
        text = json_string(digits);
    } else if (json_is_boolean(key)) {
        text = json_string(json_is_true(key) ? "true" : "false");
    } else {
        refuse(r, event->start_mark, "a key cannot be %s; put it in quotes", tree_type_name(key));
        json_decref(key);
        return NULL;
    }
    json_decref(key);
    if (!text) {
        err_no_memory(r->err);
    }
    return text;
}

/* Members of `from` that `into` does not have. (json_object_update_missing does not say when it fails.) */
static int add_missing(struct reader *r, json_t *into, json_t *from) {
    const char *key;
    json_t *value;

    json_object_foreach(from, key, value) {
        if (!json_object_get(into, key) && json_object_set_nocheck(into, key, value) < 0) {
            return err_no_memory(r->err);
        }
    }
    return 0;
}

static int merge_mapping(struct reader *r, json_t *into, json_t *from, yaml_mark_t mark) {
    size_t i;
    json_t *one;

    if (json_is_object(from)) {
        return add_missing(r, into, from);
    }
    if (!json_is_array(from)) {
        return refuse(r, mark, "<< takes a mapping or a sequence of mappings");
    }
    json_array_foreach(from, i, one) {
        if (!json_is_object(one)) {
            return refuse(r, mark, "<< takes a mapping or a sequence of mappings");
        }
        if (add_missing(r, into, one) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_value(struct reader *r, unsigned depth, const struct path *path, json_t **ret) {
    yaml_event_t event;
    int failed;

    if (next_event(r, &event) < 0) {
        return -1;
    }
    failed = read_node(r, &event, depth, path, ret);
    yaml_event_delete(&event);
    return failed;
}

/* A plain `<<` without a tag, as go-yaml v2 has it. With a tag it is a key like others, whose tag is checked:
 * libyaml copies a directive's prefix for each tag, so no number of tags may pass unread. */
static bool is_merge_key(const yaml_event_t *event) {
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           event->data.scalar.tag == NULL && event->data.scalar.length == 2 &&
           memcmp(event->data.scalar.value, "<<", 2) == 0;
}

/* The value of `<<` goes into `*merged`: it counts only where the mapping itself says nothing. */
static int read_merge(struct reader *r, const yaml_event_t *key, unsigned depth, const struct path *path,
                      json_t **merged) {
    json_auto_t *value = NULL;

    if (read_value(r, depth, path, &value) < 0) {
        return -1;
    }
    if (*merged == NULL) {
        *merged = json_object();
    }
    return *merged == NULL ? err_no_memory(r->err) : merge_mapping(r, *merged, value, key->start_mark);
}

static int read_member(struct reader *r, const yaml_event_t *event, unsigned depth, const struct path *path,
                       json_t *object) {
    json_auto_t *key = read_key(r, event);
    struct path member = {.parent = path};
    json_t *value = NULL;

    if (!key) {
        return -1;
    }
    member.name = json_string_value(key);
    if (json_object_get(object, member.name)) {
        if (!r->d) {
            return refuse(r, event->start_mark, "this key occurs twice in its mapping; remove one of them");
        }
        decoding_duplicate_field(r->d, &member);
    }
    if (read_value(r, depth, &member, &value) < 0) {
        return -1;
    }
    return json_object_set_new_nocheck(object, member.name, value) < 0 ? err_no_memory(r->err) : 0;
}

static int read_mapping(struct reader *r, const yaml_event_t *start, unsigned depth, const struct path *path,
                        json_t **ret) {
    json_auto_t *object = json_object();
    json_auto_t *merged = NULL; /* most mappings have no `<<` */

    if (!object) {
        return err_no_memory(r->err);
    }
    if (check_tag(r, start, start->data.mapping_start.tag, YAML_MAP_TAG) < 0) {
        return -1;
    }
    for (;;) {
        yaml_event_t event;
        bool end;
        int failed = 0;

        if (next_event(r, &event) < 0) {
            return -1;
        }
        end = event.type == YAML_MAPPING_END_EVENT;
        if (is_merge_key(&event)) {
            failed = read_merge(r, &event, depth, path, &merged);
        } else if (!end) {
            failed = read_member(r, &event, depth, path, object);
        }
        yaml_event_delete(&event);
        if (failed < 0) {
            return -1;
        }
        if (end) {
            break;
        }
    }
    if (merged != NULL && add_missing(r, object, merged) < 0) {
        return -1;
    }
    if (keep_anchor(r, start->data.mapping_start.anchor, object) < 0) {
        return -1;
    }
    *ret = json_incref(object);
    return 0;
}

/* `depth`: how many mappings and sequences are around this node. */
static int read_node(struct reader *r, const yaml_event_t *event, unsigned depth, const struct path *path,
                     json_t **ret) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r, event, depth, ret);
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event, ret);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (depth >= CODEC_DEPTH_MAX) {
            return refuse(r, event->start_mark, "mappings and sequences are nested more than %d deep",
                          CODEC_DEPTH_MAX);
        }
        return event->type == YAML_MAPPING_START_EVENT ? read_mapping(r, event, depth + 1, path, ret)
                                                       : read_sequence(r, event, depth + 1, path, ret);
    default:
        return refuse(r, event->start_mark, "a value is missing here");
    }
}

/* Anchors are a document's own. An object keeps the room of its largest size and clearing it costs that much,
 * so a new one replaces it, and only when it was used: a body may hold very many empty documents. */
static int forget_anchors(struct reader *r) {
    if (json_object_size(r->anchors) == 0) {
        return 0;
    }
    json_decref(r->anchors);
    r->anchors = json_object();
    return r->anchors == NULL ? err_no_memory(r->err) : 0;
}

/* The documents of the stream that are not empty; more than `max` are refused at the first beyond. */
static int read_stream(struct reader *r, size_t max, json_t *documents) {
    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        json_t *document = NULL;
        int failed = 0;

        if (next_event(r, &event) < 0) {
            return -1;
        }
        type = event.type;
        if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
            type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT) {
            failed = read_node(r, &event, 0, NULL, &document);
        }
        if (document && !json_is_null(document) && json_array_size(documents) >= max) {
            failed = max == 1 ? refuse(r, event.start_mark,
                                       "a second document begins here, and this path takes one; send several "
                                       "to /apis/bgppeerd.io/v1/applies")
                              : err_set(r->err, ERR_TOO_LARGE, "the body has more than %zu documents", max);
        }
        yaml_event_delete(&event);
        if (failed < 0 || type == YAML_STREAM_END_EVENT) {
            json_decref(document);
            return failed;
        }
        if (type == YAML_DOCUMENT_START_EVENT && forget_anchors(r) < 0) {
            return -1;
        }
        if (document && !json_is_null(document)) {
            failed = json_array_append_new(documents, document);
        } else {
            json_decref(document);
        }
        if (failed < 0) {
            return err_no_memory(r->err);
        }
    }
}

static int read_documents(const char *bytes, size_t len, size_t max, struct decoding *d, json_t **ret,
                          struct err *err) {
    struct reader r = {.bytes = bytes, .len = len, .d = d, .err = err};
    json_auto_t *documents = NULL;
    int failed;

    if (len == 0) {
        bytes = ""; /* libyaml ends the process when there is no address */
    }
    if (text_check_utf8(bytes, len, err) < 0 || yaml_check_work(bytes, len, err) < 0) {
        return -1;
    }
    if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        len -= 3;
    }
    (void)codec_out_of_memory();
    documents = json_array();
    r.anchors = json_object();
    if (!documents || !r.anchors || !yaml_parser_initialize(&r.parser)) {
        json_decref(r.anchors);
        return err_no_memory(err);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
    failed = read_stream(&r, max, documents);
    yaml_parser_delete(&r.parser);
    json_decref(r.anchors);
    if (failed < 0) {
        return -1;
    }
    if (codec_out_of_memory()) {
        return err_no_memory(err); /* some library went on without what it asked for */
    }
    *ret = json_incref(documents);
    return 0;
}

int yaml_read(const char *bytes, size_t len, struct decoding *d, json_t **ret, struct err *err) {
    json_auto_t *documents = NULL;

    if (read_documents(bytes, len, 1, d, &documents, err) < 0) {
        return -1;
    }
    if (json_array_size(documents) == 0) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body holds no document; send one with apiVersion, kind, "
                       "metadata and spec");
    }
    *ret = json_incref(json_array_get(documents, 0));
    return 0;
}

int yaml_read_all(const char *bytes, size_t len, size_t max, json_t **ret, struct err *err) {
    return read_documents(bytes, len, max, NULL, ret, err);
}
