/*
 * Text: is UTF-8 well-formed and fit to be shown? Pure.
 */
#include "base/text.h"

#include <string.h>

size_t text_visible(const unsigned char *text, size_t len) {
    static const struct {
        unsigned char lead_min, lead_max, second_min, second_max, len;
    } forms[] = {
        {0xC2, 0xC2, 0xA0, 0xBF, 2}, /* without U+0080 to U+009F, which steer terminals */
        {0xC3, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].lead_min || text[0] > forms[i].lead_max) {
            continue;
        }
        if (len < forms[i].len || text[1] < forms[i].second_min || text[1] > forms[i].second_max) {
            return 0;
        }
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((text[k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        /* U+2028 and U+2029 end a line for some readers. */
        bool separator = text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9);
        return separator ? 0 : forms[i].len;
    }
    return 0;
}

bool text_is_one_line(const char *text) {
    size_t len = strlen(text);

    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)text[i];
        size_t step =
            c < 0x80 ? c >= 0x20 && c != 0x7f : text_visible((const unsigned char *)text + i, len - i);

        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}
