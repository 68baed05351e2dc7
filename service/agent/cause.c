/*
 * Causes: the errors of base/bgp.h, found by code or by the words that daemons have for them. No state.
 */
#include "cause.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void cause_set(struct session *session, const char *name, bool remote) {
    snprintf(session->cause, sizeof(session->cause), "%s", name);
    session->cause_is_remote = remote;
}

static bool cause_contains(const char *text, size_t len, const char *word, size_t word_len) {
    for (size_t i = 0; i + word_len <= len; i++) {
        if (strncasecmp(text + i, word, word_len) == 0) {
            return true;
        }
    }
    return false;
}

static bool cause_has_words(const char *text, size_t len, const char *words) {
    while (*words != '\0') {
        size_t word_len = strcspn(words, "|");
        if (cause_contains(text, len, words, word_len)) {
            return true;
        }
        words += word_len + (words[word_len] == '|' ? 1 : 0);
    }
    return false;
}

/* Words that no row has, as they are, but fit to be a code: letters and digits, at most as long as may be. */
static void cause_unknown(const char *text, size_t len, bool remote, struct session *session) {
    char name[SESSION_CAUSE_MAX] = "Other/";
    size_t n = strlen(name);
    bool upper = true;
    for (size_t i = 0; i < len && n + 1 < sizeof(name); i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) && c < 0x80) {
            name[n++] = upper ? (char)toupper(c) : (char)c;
            upper = false;
        } else {
            upper = true;
        }
    }
    name[n] = '\0';
    cause_set(session, name, remote);
}

void cause_of_words(const char *text, size_t len, bool remote, struct session *session) {
    if (len == 0) {
        return;
    }
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    for (size_t i = 0; i < count; i++) {
        if (cause_has_words(text, len, errors[i].words)) {
            cause_set(session, errors[i].name, remote);
            return;
        }
    }
    cause_unknown(text, len, remote, session);
}

void cause_of_code(unsigned code, unsigned subcode, bool remote, struct session *session) {
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    const struct bgp_error *whole = NULL;
    for (size_t i = 0; i < count && code != 0; i++) {
        if (errors[i].code == code && errors[i].subcode == subcode) {
            cause_set(session, errors[i].name, remote);
            return;
        }
        if (errors[i].code == code && errors[i].subcode == 0) {
            whole = &errors[i];
        }
    }
    if (whole != NULL) {
        cause_set(session, whole->name, remote);
    }
}

void cause_of_class(enum session_error error, struct session *session) {
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    for (size_t i = 0; i < count; i++) {
        if (errors[i].class == error) {
            cause_set(session, errors[i].name, false);
            return;
        }
    }
}

void cause_of_bird(const char *text, size_t len, struct session *session) {
    static const char RECEIVED[] = "Received: ";
    bool remote = len > sizeof(RECEIVED) - 1 && memcmp(text, RECEIVED, sizeof(RECEIVED) - 1) == 0;
    cause_of_words(text, len, remote, session);
}
