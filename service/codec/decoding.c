/*
 * What decoding finds fault with, collected: unknown and duplicate fields, wrong types (any of them: 400) and
 * broken values (alone: 422). All are causes; of the former a text is kept as well, for callers without
 * causes. A struct decoding belongs to one call; its texts are in its buffers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec_internal.h"

#define SHOWN_MAX         16  /* findings of one sort that a message spells out */
#define FINDINGS_TEXT_MAX 640 /* and their bytes: the whole has to fit ERR_TEXT_MAX */

void decoding_init(struct decoding *d, struct arena *arena, const struct kind_info *info) {
    *d = (struct decoding){.arena = arena, .info = info, .unknown = CODEC_STRICT};
    buf_init(&d->strict.text);
    buf_init(&d->types.text);
}

void decoding_done(struct decoding *d) {
    buf_done(&d->strict.text);
    buf_done(&d->types.text);
}

/* Append one finding; those beyond the limits are only counted. */
static void add_finding(struct findings *findings, const char *separator, const char *text) {
    findings->count++;
    findings->full = findings->full || findings->shown == SHOWN_MAX ||
                     findings->text.len + strlen(text) > FINDINGS_TEXT_MAX;
    if (findings->full) {
        return;
    }
    if (findings->shown > 0) {
        buf_add_str(&findings->text, separator);
    }
    buf_add_str(&findings->text, text);
    findings->shown++;
}

/* `what` is the text without its field, for the causes. */
static void strict_finding(struct decoding *d, const char *reason, const char *field, const char *what,
                           const char *text) {
    if (d->unknown == CODEC_STRICT) {
        add_finding(&d->strict, ", ", text);
        if (d->causes != NULL) {
            causes_add(d->causes, reason, field, "%s", what);
        }
    } else if (d->unknown == CODEC_WARN && d->advice) {
        advice_add(d->advice, "%s", text);
    }
}

void decoding_unknown_field(struct decoding *d, const struct schema *schema, const struct path *path,
                            const struct field *meant) {
    char where[PATH_TEXT_MAX], advice[SUGGESTION_MAX] = "", what[SUGGESTION_MAX + 32];
    char text[PATH_TEXT_MAX + SUGGESTION_MAX + 32];

    if (d->stored || d->unknown == CODEC_IGNORE) {
        return;
    }
    path_format(path, where);
    /* A suggestion that nobody will read is not worth looking for. */
    if (d->unknown == CODEC_STRICT && !d->strict.full) {
        suggest_for(d->info, schema, path, meant, advice);
    }
    snprintf(text, sizeof(text), "unknown field \"%s\"%s", where, advice);
    snprintf(what, sizeof(what), "unknown field%s", advice);
    strict_finding(d, CAUSE_UNKNOWN_FIELD, where, what, text);
}

void decoding_duplicate_field(struct decoding *d, const struct path *path) {
    char where[PATH_TEXT_MAX], text[PATH_TEXT_MAX + 32];

    snprintf(text, sizeof text, "duplicate field \"%s\"", path_format(path, where));
    strict_finding(d, CAUSE_DUPLICATE_FIELD, where, "duplicate field; leave one of them", text);
}

void decoding_wrong_type(struct decoding *d, const struct path *path, const char *expected,
                         const json_t *got) {
    decoding_malformed(d, path, "%s, got %s", expected, tree_type_name(got));
}

void decoding_malformed(struct decoding *d, const struct path *path, const char *fmt, ...) {
    char where[PATH_TEXT_MAX], what[256], text[PATH_TEXT_MAX + 260];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    path_format(path, where);
    if (d->causes != NULL) {
        causes_add(d->causes, CAUSE_TYPE, where, "%s", what);
    }
    snprintf(text, sizeof text, "%s%s%s", where, where[0] ? ": " : "", what);
    add_finding(&d->types, "; ", text);
}

void decoding_invalid(struct decoding *d, const struct path *path, const char *fmt, ...) {
    char where[PATH_TEXT_MAX], what[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (d->causes) {
        causes_add(d->causes, CAUSE_INVALID, path_format(path, where), "%s", what);
    } else {
        decoding_malformed(d, path, "%s", what);
    }
}

/* The findings as one text: "a, b and 3 more". */
static void write_findings(const struct findings *findings, const char *intro, char *out, size_t out_len) {
    char more[40] = "";

    if (findings->count > findings->shown) {
        snprintf(more, sizeof more, " and %zu more", findings->count - findings->shown);
    }
    snprintf(out, out_len, "%s%s%s", intro, findings->shown ? findings->text.data : "", more);
}

static bool is_about_form(const struct cause *cause) {
    return strcmp(cause->reason, CAUSE_TYPE) == 0 || strcmp(cause->reason, CAUSE_UNKNOWN_FIELD) == 0 ||
           strcmp(cause->reason, CAUSE_DUPLICATE_FIELD) == 0;
}

/* Behind what is wrong with the form: the broken values, as many as there is room for. */
static void write_values(const struct causes *causes, struct buf *out) {
    size_t left = causes->dropped;

    for (size_t i = 0; i < causes->count; i++) {
        const struct cause *cause = &causes->items[i];

        if (is_about_form(cause)) {
            continue;
        }
        if (left > 0 || out->len + strlen(cause->field) + strlen(cause->message) + 40 > ERR_TEXT_MAX) {
            left++;
        } else {
            buf_printf(out, "; %s: %s", cause->field, cause->message);
        }
    }
    if (left > 0) {
        buf_printf(out, " and %zu more", left);
    }
}

int decoding_finish(const struct decoding *d, struct err *err) {
    char strict[FINDINGS_TEXT_MAX + 128] = "", types[FINDINGS_TEXT_MAX + 64] = "";
    const char *name = d->info->name;
    struct buf text = BUF_INIT;

    if (d->no_memory || d->arena->failed || buf_failed(&d->strict.text) || buf_failed(&d->types.text)) {
        return err_no_memory(err);
    }
    if (d->strict.count == 0 && d->types.count == 0) {
        return 0;
    }
    if (d->types.count > 0) {
        write_findings(&d->types, d->strict.count > 0 ? "; " : "", types, sizeof types);
    }
    if (d->stored) {
        return err_set(err, ERR_CORRUPT, "the stored %s cannot be read: %s", name, types);
    }
    if (d->strict.count > 0) {
        write_findings(&d->strict, "strict decoding error: ", strict, sizeof strict);
    }
    buf_printf(&text, "%s in version \"%s\" cannot be handled as a %s: %s%s", name, d->info->version, name,
               strict, types);
    if (d->causes != NULL) {
        write_values(d->causes, &text);
    }
    int result = buf_failed(&text) ? err_no_memory(err) : err_set(err, ERR_BAD_REQUEST, "%s", text.data);
    buf_done(&text);
    return result;
}
