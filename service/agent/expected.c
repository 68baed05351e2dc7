/*
 * What a rendered file says of itself in its comments: lines of words "key=value", which the service writes
 * for programs. Nothing that a resource says can look like one: values are single words, and free text never
 * begins a line. No locks; the bytes are the caller's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/number.h"
#include "session.h"

/* A line of the file. */
struct expected_line {
    const char *text;
    size_t len;
};

/* The value of `key` among the words of a line; NULL: it has none. */
static const char *expected_word(struct expected_line line, const char *key, size_t *ret_len) {
    size_t key_len = strlen(key);
    const char *at = line.text, *end = line.text + line.len;
    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        size_t len = (size_t)((blank != NULL ? blank : end) - at);
        if (len > key_len && at[key_len] == '=' && memcmp(at, key, key_len) == 0) {
            *ret_len = len - key_len - 1;
            return at + key_len + 1;
        }
        at += len + 1;
    }
    return NULL;
}

static bool expected_is(struct expected_line line, const char *key, const char *value) {
    size_t len = 0;
    const char *word = expected_word(line, key, &len);
    return word != NULL && len == strlen(value) && memcmp(word, value, len) == 0;
}

/* Into a text of `size` bytes; what does not fit counts as absent. */
static void expected_copy(struct expected_line line, const char *key, char *ret, size_t size) {
    size_t len = 0;
    const char *word = expected_word(line, key, &len);
    len = word != NULL && len < size ? len : 0;
    if (len > 0) {
        memcpy(ret, word, len);
    }
    ret[len] = '\0';
}

static uint64_t expected_number(struct expected_line line, const char *key, uint64_t max) {
    size_t len = 0;
    uint64_t number = 0;
    const char *word = expected_word(line, key, &len);
    return word != NULL && u64_parse(word, len, max, &number) ? number : 0;
}

/* Does the line begin with the comment sign and this word? */
static bool expected_begins(struct expected_line line, const char *comment, const char *word) {
    size_t comment_len = strlen(comment), word_len = strlen(word);
    return line.len > comment_len + word_len && memcmp(line.text, comment, comment_len) == 0 &&
           memcmp(line.text + comment_len, word, word_len) == 0 && line.text[comment_len + word_len] == ' ';
}

static bool expected_is_comment(struct expected_line line, const char *comment) {
    size_t len = strlen(comment);
    return line.len >= len && memcmp(line.text, comment, len) == 0;
}

static int expected_add(struct expected *expected, struct expected_line line, struct err *err) {
    struct ip_addr peer;
    size_t len = 0;
    const char *address = expected_word(line, "peerIP", &len);
    if (address == NULL || !ip_parse(address, len, &peer)) {
        return err_set(err, ERR_BAD_REQUEST, "a session in the file has no address: %.*s",
                       (int)(line.len < 100 ? line.len : 100), line.text);
    }
    struct expected_session *sessions =
        expected->count < SESSION_COUNT_MAX
            ? base_grow(expected->sessions, expected->count, &expected->cap, 16, sizeof(*sessions))
            : NULL;
    if (sessions == NULL) {
        return err_no_memory(err);
    }
    expected->sessions = sessions;
    uint64_t port = expected_number(line, "port", UINT16_MAX);
    sessions[expected->count++] = (struct expected_session){
        .peer = peer,
        .port = port != 0 ? (uint16_t)port : BGP_PORT,
        .on = expected_is(line, "state", "on"),
        .left_out = expected_is(line, "state", "left-out"),
        .password = expected_is(line, "password", "yes"),
        .ttl_security = (unsigned)expected_number(line, "ttlSecurity", 255),
    };
    return 0;
}

/* The part of the file that has ended belongs to the session added last. */
static void expected_end_part(struct expected *expected, struct buf *part) {
    if (expected->count > 0) {
        digest_hex(part->data != NULL ? part->data : "", part->len,
                   expected->sessions[expected->count - 1].digest);
    }
    buf_clear(part);
}

static void expected_take_node_line(struct expected_line line, const char *const *restart_lines,
                                    struct buf *node) {
    while (line.len > 0 && line.text[0] == ' ') {
        line.text++;
        line.len--;
    }
    for (size_t i = 0; restart_lines[i] != NULL; i++) {
        size_t len = strlen(restart_lines[i]);
        if (line.len >= len && memcmp(line.text, restart_lines[i], len) == 0) {
            buf_add(node, line.text, line.len);
            buf_add_char(node, '\n');
        }
    }
}

static int expected_compare(const void *left, const void *right) {
    const struct expected_session *a = left, *b = right;
    int order = ip_compare(&a->peer, &b->peer);
    return order != 0 ? order : (int)a->port - (int)b->port;
}

/* Which line of the file is next; false behind the last. */
static bool expected_next(const char **at, const char *end, struct expected_line *ret) {
    if (*at >= end) {
        return false;
    }
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    ret->text = *at;
    ret->len = (size_t)((newline != NULL ? newline : end) - *at);
    *at += ret->len + 1;
    return true;
}

static int expected_read_sessions(const char *at, const char *end, const char *comment,
                                  const char *const *restart_lines, struct expected *expected,
                                  struct err *err) {
    struct buf part = {.wipe = true}, node = {.wipe = true};
    struct expected_line line;
    int result = 0;
    while (result == 0 && expected_next(&at, end, &line)) {
        if (expected_begins(line, comment, "session")) {
            expected_end_part(expected, &part);
            result = expected_add(expected, line, err);
        } else if (!expected_is_comment(line, comment)) {
            buf_add(&part, line.text, line.len);
            buf_add_char(&part, '\n');
            expected_take_node_line(line, restart_lines, &node);
        }
    }
    if (result == 0) {
        result = buf_failed(&part) || buf_failed(&node) ? err_no_memory(err) : 0;
    }
    if (result == 0) {
        expected_end_part(expected, &part);
        digest_hex(node.data != NULL ? node.data : "", node.len, expected->node_digest);
    }
    buf_done(&part);
    buf_done(&node);
    return result;
}

int expected_read(const char *text, size_t len, const char *comment, const char *const *restart_lines,
                  struct expected *ret, struct err *err) {
    struct expected expected = {.count = 0};
    const char *at = text;
    struct expected_line first;
    if (!expected_next(&at, text + len, &first) || !expected_begins(first, comment, "bgppeerd")) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "this is no configuration that the service has rendered: its first line does not begin "
            "with \"%sbgppeerd node=\"",
            comment);
    }
    expected_copy(first, "node", expected.node, sizeof(expected.node));
    expected_copy(first, "etag", expected.list, sizeof(expected.list));
    expected_copy(first, "format", expected.format, sizeof(expected.format));
    expected.revision = expected_number(first, "resourceVersion", INT64_MAX);
    if (expected_read_sessions(at, text + len, comment, restart_lines, &expected, err) != 0) {
        expected_done(&expected);
        return -1;
    }
    if (expected.count > 0) {
        qsort(expected.sessions, expected.count, sizeof(*expected.sessions), expected_compare);
    }
    *ret = expected;
    return 0;
}

void expected_done(struct expected *expected) {
    free(expected->sessions);
    *expected = (struct expected){.count = 0};
}

const struct expected_session *expected_find(const struct expected *expected, const struct ip_addr *peer,
                                             uint16_t port) {
    const struct expected_session key = {.peer = *peer, .port = port};
    return expected->count > 0
               ? bsearch(&key, expected->sessions, expected->count, sizeof(key), expected_compare)
               : NULL;
}
