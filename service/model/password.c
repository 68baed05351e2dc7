/*
 * Which bytes can be a BGP password: one rule for the advice, for the refusal at a write, and for withholding
 * a session. Pure functions.
 */
#include "model/password.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

/* U+0080 to U+009F, U+2028, U+2029: well-formed, but text_visible does not show them. */
static size_t hidden_length(const unsigned char *text, size_t len) {
    if (text[0] == 0xC2 && len >= 2 && text[1] >= 0x80 && text[1] <= 0x9F) {
        return 2;
    }
    return text[0] == 0xE2 && len >= 3 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9) ? 3 : 0;
}

/* Bytes of a White_Space character beyond the control characters at `text`; 0: it is another one. */
static size_t blank_length(const unsigned char *text, size_t len) {
    static const char *const BLANKS[] = {
        " ",
        "\xC2\xA0",
        "\xE1\x9A\x80",
        "\xE2\x80\x80",
        "\xE2\x80\x81",
        "\xE2\x80\x82",
        "\xE2\x80\x83",
        "\xE2\x80\x84",
        "\xE2\x80\x85",
        "\xE2\x80\x86",
        "\xE2\x80\x87",
        "\xE2\x80\x88",
        "\xE2\x80\x89",
        "\xE2\x80\x8A",
        "\xE2\x80\xAF",
        "\xE2\x81\x9F",
        "\xE3\x80\x80",
    };
    for (size_t i = 0; i < sizeof(BLANKS) / sizeof(BLANKS[0]); i++) {
        size_t blank = strlen(BLANKS[i]);
        if (len >= blank && memcmp(text, BLANKS[i], blank) == 0) {
            return blank;
        }
    }
    return 0;
}

/* What the characters of a password must not be. */
struct findings {
    bool control, quote, blank;
};

/* false: not UTF-8. */
static bool look_at_text(const unsigned char *text, size_t len, struct findings *findings) {
    for (size_t i = 0; i < len;) {
        unsigned char c = text[i];
        size_t width = c < 0x80 ? 1 : text_visible(text + i, len - i);
        if (width == 0) {
            width = hidden_length(text + i, len - i);
            findings->control = true;
        }
        if (width == 0) {
            return false;
        }
        findings->control = findings->control || c < 0x20 || c == 0x7F;
        findings->quote = findings->quote || c == '"';
        bool at_end = i == 0 || i + width == len;
        findings->blank = findings->blank || (at_end && blank_length(text + i, len - i) > 0);
        i += width;
    }
    return true;
}

enum password_flaw password_check(const void *bytes, size_t len) {
    const unsigned char *text = bytes;
    struct findings findings = {.control = false}, before_end = {.control = false};
    if (len == 0) {
        return PASSWORD_EMPTY;
    }
    if (len > PASSWORD_SIZE_MAX) {
        return PASSWORD_TOO_LONG;
    }
    if (!look_at_text(text, len, &findings)) {
        return PASSWORD_NOT_TEXT;
    }
    if (findings.control) {
        (void)look_at_text(text, len - 1, &before_end);
        return text[len - 1] == '\n' && !before_end.control ? PASSWORD_ENDS_WITH_LINE : PASSWORD_CONTROL;
    }
    if (findings.quote) {
        return PASSWORD_QUOTE;
    }
    return findings.blank ? PASSWORD_BLANK : PASSWORD_USABLE;
}

const char *password_flaw_text(enum password_flaw flaw) {
    static const char *const TEXTS[PASSWORD_FLAW_COUNT] = {
        [PASSWORD_EMPTY] = "is empty",
        [PASSWORD_TOO_LONG] = "is longer than 80 bytes, the most that TCP MD5 signatures take",
        [PASSWORD_NOT_TEXT] = "is not text: was plain text written under data? use stringData",
        [PASSWORD_ENDS_WITH_LINE] = "ends with a newline (echo adds one, printf does not)",
        [PASSWORD_CONTROL] = "holds a control character, such as a NUL, a tab or a newline; was plain text "
                             "written under data? use stringData",
        [PASSWORD_QUOTE] = "holds a double quote, which not every daemon's configuration can carry",
        [PASSWORD_BLANK] = "begins or ends with a blank, which not every daemon keeps",
    };
    return TEXTS[flaw];
}
