/*
 * What a person probably meant where libyaml stops: its own words are about its grammar. Pure functions.
 */
#include <string.h>

#include "codec_internal.h"

/* In this order: the first row whose texts both occur. NULL: any. */
static const struct {
    const char *context, *problem, *hint;
} HINTS[] = {
    {"scanning an alias", NULL, "; put a text that begins with \"*\" in quotes"},
    {"scanning an anchor", NULL, "; put a text that begins with \"&\" in quotes"},
    {"scanning a tag", NULL, "; put a text that begins with \"!\" in quotes"},
    {"scanning a directive", NULL, "; put a text that begins with \"%\" in quotes"},
    {"quoted scalar", "end of stream", "; a quotation mark is not closed"},
    {"quoted scalar", "document indicator", "; a quotation mark is not closed"},
    {"quoted scalar", "escape", "; write a backslash twice, or use single quotes"},
    {"flow sequence", NULL, "; a \"[\" is not closed, or a comma is missing"},
    {"flow mapping", NULL, "; a \"{\" is not closed, or a comma is missing"},
    {NULL, "could not find expected ':'", "; a field and its value are separated by a colon and a blank"},
    {NULL, "mapping values are not allowed",
     "; a value that has \": \" in it needs quotes, the line before lacks a blank behind its colon, or this "
     "line begins "
     "too far right"},
    {NULL, "block sequence entries are not allowed", "; a list begins on a line of its own"},
    {"block mapping", "did not find expected key", "; the fields of one object begin in the same column"},
    {"block collection", NULL, "; the items of one list begin in the same column"},
    {NULL, "cannot start any token", "; put a text that begins with \"@\", \"`\" or \"%\" in quotes"},
    {NULL, "did not find expected <document start>",
     "; only the last of several documents ends without \"---\", and one begins in the first column"},
};

/* Does the line that counts from 0, or the one before it, begin with a tab among its blanks? */
static bool has_tab(const char *bytes, size_t len, size_t line) {
    size_t number = 0;

    for (size_t at = 0; at < len && number <= line; number++) {
        const char *end = memchr(bytes + at, '\n', len - at);
        size_t next = end != NULL ? (size_t)(end - bytes) + 1 : len;

        if (number + 1 >= line) {
            size_t begin = at;
            while (begin < next && bytes[begin] == ' ') {
                begin++;
            }
            if (begin < next && bytes[begin] == '\t') {
                return true;
            }
        }
        at = next;
    }
    return false;
}

const char *yaml_hint(const char *bytes, size_t len, size_t line, const char *context, const char *problem) {
    if (has_tab(bytes, len, line)) {
        return "; a tab begins this line or the one before, and YAML indents with blanks only";
    }
    if (len > 0 && memchr(bytes, '\n', len - 1) == NULL && strstr(problem, "mapping values") != NULL) {
        return "; the body has no line ends: curl -d removes them, --data-binary keeps them";
    }
    for (size_t i = 0; i < sizeof(HINTS) / sizeof(*HINTS); i++) {
        if ((HINTS[i].context == NULL || strstr(context, HINTS[i].context) != NULL) &&
            (HINTS[i].problem == NULL || strstr(problem, HINTS[i].problem) != NULL)) {
            return HINTS[i].hint;
        }
    }
    return "";
}
