/*
 * See etag.h. Pure; a malformed list matches as far as it could be read, which is the safe side: a poll is
 * then answered in full, a conditional write refused.
 */
#include "request/etag.h"

#include <string.h>
#include <strings.h>

#define SEPARATORS  "-;:+._"
#define ALTERED_MAX 256 /* longer tags are none of ours, and have no proxy's mark looked for */

struct tag {
    const char *text;
    size_t len;
};

/* The next tag of the list; *at is moved behind it. false: end, or not a tag. */
static bool next_tag(const char **at, struct tag *ret) {
    const char *p = *at;
    p += strspn(p, " \t,");
    if (p[0] == 'W' && p[1] == '/') {
        p += 2;
    }
    if (*p != '"') {
        ret->text = p;
        ret->len = strcspn(p, ", \t");
        *at = p + ret->len;
        return ret->len > 0;
    }
    p++;
    const char *end = strchr(p, '"');
    if (end == NULL) {
        return false;
    }
    ret->text = p;
    ret->len = (size_t)(end - p);
    *at = end + 1;
    return true;
}

/* The content codings by which proxies are known to mark a tag. */
static bool is_coding(const char *text, size_t len) {
    static const char *const CODINGS[] = {"gzip",   "x-gzip", "gz",      "br",
                                          "brotli", "zstd",   "deflate", "compress"};
    for (size_t i = 0; i < sizeof(CODINGS) / sizeof(CODINGS[0]); i++) {
        if (strlen(CODINGS[i]) == len && strncasecmp(CODINGS[i], text, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Is this what a proxy appends: one or two separators and a coding? */
static bool is_mark(const char *text, size_t len) {
    size_t separators = 0;
    while (separators < 2 && separators < len && strchr(SEPARATORS, text[separators]) != NULL) {
        separators++;
    }
    return separators > 0 && is_coding(text + separators, len - separators);
}

static bool is_tag(const struct tag *item, const char *tag, size_t tag_len) {
    return item->len >= tag_len && memcmp(item->text, tag, tag_len) == 0 &&
           (item->len == tag_len || is_mark(item->text + tag_len, item->len - tag_len));
}

bool etag_list_is_any(const char *header) {
    header += strspn(header, " \t");
    return header[0] == '*' && header[1 + strspn(header + 1, " \t")] == '\0';
}

bool etag_list_has(const char *header, const char *tag, size_t tag_len) {
    /* What a poller of ours sends: exactly one strong tag. */
    if (header[0] == '"' && strncmp(header + 1, tag, tag_len) == 0 && header[tag_len + 1] == '"' &&
        header[tag_len + 2] == '\0') {
        return true;
    }
    if (etag_list_is_any(header)) {
        return true;
    }
    struct tag item;
    while (next_tag(&header, &item)) {
        if (is_tag(&item, tag, tag_len)) {
            return true;
        }
    }
    return false;
}

bool etag_list_first(const char *header, const char **ret, size_t *ret_len) {
    struct tag item;
    if (etag_list_is_any(header) || !next_tag(&header, &item)) {
        return false;
    }
    *ret = item.text;
    *ret_len = item.len;
    for (size_t i = 1; i < item.len && item.len <= ALTERED_MAX; i++) {
        if (is_mark(item.text + i, item.len - i)) {
            *ret_len = i;
            break;
        }
    }
    return true;
}
