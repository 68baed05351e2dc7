/*
 * Entity tag lists. Pure; a malformed list matches as far as it could be read, which is the safe side:
 * a poll is then answered in full, a conditional write refused.
 */
#include "request/etag.h"

#include <string.h>

struct tag {
    const char *text;
    size_t len;
    bool weak;
};

/* The next tag of the list; *at is moved behind it. false: end, or not a tag. */
static bool next_tag(const char **at, struct tag *ret) {
    const char *p = *at;
    p += strspn(p, " \t,");
    ret->weak = p[0] == 'W' && p[1] == '/';
    if (ret->weak) {
        p += 2;
    }
    if (*p != '"') {
        return false;
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

bool etag_list_is_any(const char *header) {
    header += strspn(header, " \t");
    return header[0] == '*' && header[1 + strspn(header + 1, " \t")] == '\0';
}

bool etag_list_has(const char *header, const char *tag, size_t tag_len, bool weak) {
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
        if ((weak || !item.weak) && item.len == tag_len && memcmp(item.text, tag, tag_len) == 0) {
            return true;
        }
    }
    return false;
}

bool etag_list_first(const char *header, const char **ret, size_t *ret_len) {
    struct tag item;
    while (next_tag(&header, &item)) {
        if (!item.weak) {
            *ret = item.text;
            *ret_len = item.len;
            return true;
        }
    }
    return false;
}
