/*
 * Pieces of text for all writers. What stands in a comment or a description loses everything that could end
 * it: it is there to be read by people, so that replacing is better than refusing.
 */
#include "text.h"

#include <string.h>

void text_put(struct buf *out, const char *const *texts) {
    for (; *texts != NULL; texts++) {
        buf_add(out, *texts, strlen(*texts));
    }
}

void text_number(struct buf *out, const char *before, uint64_t number, const char *after) {
    buf_add_str(out, before);
    buf_add_u64(out, number);
    buf_add_str(out, after);
}

static void text_add_safe(struct buf *out, const char *text, bool blanks) {
    size_t len = strnlen(text, TEXT_PLAIN_MAX);
    if (buf_reserve(out, len) != 0) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool safe = c > ' ' && c < 0x7f && strchr("\"'\\#{}", c) == NULL;
        buf_add_char(out, safe || (blanks && c == ' ') ? c : '?');
    }
}

void text_plain(struct buf *out, const char *text) {
    text_add_safe(out, text, true);
}

void text_word(struct buf *out, const char *text) {
    if (text == NULL || text[0] == '\0') {
        buf_add_char(out, '-');
        return;
    }
    text_add_safe(out, text, false);
}
