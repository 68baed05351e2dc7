/*
 * A name that is nearly one that is there: host names come with blanks, line ends, capital letters and
 * domains, and an agent that asks under such a name should not be told to create a second Node. Pure
 * functions of a snapshot.
 */
#include <string.h>

#include "snapshot.h"

#define NAME_MAX_LENGTH 253
#define BLANKS          " \t\r\n"

/* The object's name when it is there. */
static const char *find(const struct snapshot *snapshot, enum kind kind, const char *name) {
    const struct record *record = snapshot_get(snapshot, kind, name);
    return record != NULL ? record->object->meta.name : NULL;
}

/* The first one that is `name` with a domain behind it; `name` has room for a dot. */
static const char *find_with_domain(const struct snapshot *snapshot, enum kind kind, char *name) {
    struct snapshot_cursor cursor;
    size_t len = strlen(name);
    memcpy(name + len, ".", 2);
    const struct record *record = snapshot_seek(&cursor, snapshot, kind, name);
    bool found = record != NULL && strncmp(record->key, name, len + 1) == 0;
    name[len] = '\0';
    return found ? record->object->meta.name : NULL;
}

const char *snapshot_similar(const struct snapshot *snapshot, enum kind kind, const char *name) {
    char text[NAME_MAX_LENGTH + 2];
    const char *found;
    name += strspn(name, BLANKS);
    size_t len = strlen(name);
    while (len > 0 && strchr(BLANKS, name[len - 1]) != NULL) {
        len--;
    }
    if (len == 0 || len > NAME_MAX_LENGTH || kind_info(kind)->namespaced) {
        return NULL;
    }
    memcpy(text, name, len);
    text[len] = '\0';
    if ((found = find(snapshot, kind, text)) != NULL) {
        return found;
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    }
    if ((found = find(snapshot, kind, text)) != NULL || kind != KIND_NODE) {
        return found;
    }
    char *dot = strchr(text, '.');
    if (dot == NULL) {
        return find_with_domain(snapshot, kind, text);
    }
    *dot = '\0';
    return find(snapshot, kind, text);
}
