/*
 * What a YAML body will cost libyaml, counted before libyaml reads it, so that the work stays proportional to
 * the body's length. Two things make libyaml 0.2.5 slower than that:
 *
 *  1. Each %TAG directive of a document is compared with all before it. Directives are counted.
 *  2. Between two words or lines of a scalar, the buffers that hold its blanks and line breaks are cleared as
 *     far as the longest run has filled them. The runs are counted, each as long as the longest so far; this
 *     is at least what libyaml clears, because it starts with new buffers for each scalar.
 *
 * Pure functions; they look at each byte once.
 */
#include <string.h>

#include "codec_internal.h"

#define DIRECTIVES_MAX 16 /* of a whole body; kubectl writes none */
/* Bytes cleared: a body whose longest run has 512 bytes is never refused, because runs are separated. */
#define CLEARED_MAX(len) (256 * (len) + 256 * 1024)

/* Bytes of the line break at `at` as YAML 1.1 has it: CR, LF, NEL, LS, PS. 0: there is none. */
static size_t break_length(const unsigned char *at, size_t left) {
    if (*at == '\n' || *at == '\r') {
        return 1;
    }
    if (*at == 0xc2 && left >= 2 && at[1] == 0x85) {
        return 2;
    }
    return *at == 0xe2 && left >= 3 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9) ? 3 : 0;
}

int yaml_check_work(const char *bytes, size_t len, struct err *err) {
    const unsigned char *at = (const unsigned char *)bytes;
    size_t directives = 0, run = 0, longest = 0, cleared = 0;
    bool line_begins = true;

    for (size_t i = 0; i < len;) {
        size_t width = break_length(at + i, len - i);
        bool blank = width > 0 || at[i] == ' ' || at[i] == '\t';

        if (line_begins && at[i] == '%' && ++directives > DIRECTIVES_MAX) {
            return text_refuse(
                err, bytes, len, i,
                "more than %d lines begin with %%, like YAML directives; remove the directives",
                DIRECTIVES_MAX);
        }
        line_begins = width > 0;
        width = width > 0 ? width : 1;
        run = blank ? run + width : 0;
        longest = run > longest ? run : longest;
        i += width;
        /* A run counts where it ends. */
        if (blank && i < len && at[i] != ' ' && at[i] != '\t' && break_length(at + i, len - i) == 0) {
            cleared += longest;
        }
        if (cleared > CLEARED_MAX(len)) {
            return text_refuse(err, bytes, len, i,
                               "too many words and lines beside a run of %zu blanks and empty lines; remove "
                               "such long runs, or send JSON",
                               longest);
        }
    }
    return 0;
}
