/*
 * Paths into a document, and other texts of clients, as the messages show them. A path is a chain of
 * stack frames; nothing is owned, no locks.
 */
#include <stdio.h>
#include <string.h>

#include "codec_internal.h"

#define PATH_NAME_MAX 80 /* bytes of one member name that are shown */

/* Length of `text` up to `max` bytes, without cutting a character in two. */
static size_t whole_characters(const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);

    if (len <= max) {
        return len;
    }
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

static size_t append(const struct path *path, char *out, size_t len) {
    char part[PATH_NAME_MAX + 8];
    size_t part_len;

    if (!path) {
        return len;
    }
    len = append(path->parent, out, len);
    if (path->name) {
        size_t shown = whole_characters(path->name, PATH_NAME_MAX);

        part_len = (size_t)snprintf(part, sizeof part, "%s%.*s%s", len ? "." : "", (int)shown, path->name,
                                    path->name[shown] ? "..." : "");
    } else {
        part_len = (size_t)snprintf(part, sizeof part, "[%zu]", path->index);
    }
    if (len + part_len >= PATH_TEXT_MAX) {
        return len; /* the front of a path says more than its end */
    }
    memcpy(out + len, part, part_len + 1);
    return len + part_len;
}

const char *path_format(const struct path *path, char out[PATH_TEXT_MAX]) {
    out[0] = '\0';
    append(path, out, 0);
    return out;
}

const char *text_shown(const char *text, char out[SHOWN_TEXT_MAX]) {
    size_t len = whole_characters(text, SHOWN_TEXT_MAX - 8);

    snprintf(out, SHOWN_TEXT_MAX, "%.*s%s", (int)len, text, text[len] ? "..." : "");
    return out;
}
