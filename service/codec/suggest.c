/*
 * "Did you mean", for the names of fields: what is written differently by a slip, what other programs call by
 * another name, and what stands at the wrong place. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "codec_internal.h"

#define TREE_DEPTH_MAX 5 /* objects in objects that are searched: deeper than any kind's table */

/* The next character that counts, and behind it: case, '-' and '_' are matters of style. */
static char style_next(const char **at) {
    while (**at == '-' || **at == '_') {
        (*at)++;
    }
    char c = **at;
    *at += c != '\0';
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same_but_for_style(const char *a, const char *b) {
    for (;;) {
        char first = style_next(&a), second = style_next(&b);

        if (first != second) {
            return false;
        }
        if (first == '\0') {
            return true;
        }
    }
}

const struct field *suggest_field(const struct schema *schema, const char *name) {
    struct suggest suggest = suggest_begin(name, strlen(name));

    for (size_t i = 0; i < schema->field_count; i++) {
        if (is_same_but_for_style(schema->fields[i].name, name)) {
            return &schema->fields[i];
        }
    }
    if (suggest_alias(schema, name) != NULL) {
        return NULL; /* better than a similar name that means something else */
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        suggest_consider(&suggest, schema->fields[i].name);
    }
    return suggest.meant == NULL ? NULL : schema_field(schema, suggest.meant);
}

const struct alias *suggest_alias(const struct schema *schema, const char *name) {
    size_t count;
    const struct alias *aliases = alias_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(aliases[i].schema, schema->name) == 0 && is_same_but_for_style(aliases[i].name, name)) {
            return &aliases[i];
        }
    }
    return NULL;
}

/* Where some object below has a field of just this name, behind the `len` bytes of `out`. */
static bool find_below(const struct schema *schema, const char *name, unsigned depth, char *out, size_t len) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (is_same_but_for_style(schema->fields[i].name, name)) {
            snprintf(out + len, PATH_TEXT_MAX - len, "%s%s", len > 0 ? "." : "", schema->fields[i].name);
            return true;
        }
    }
    for (size_t i = 0; i < schema->field_count && depth < TREE_DEPTH_MAX; i++) {
        const struct field *field = &schema->fields[i];

        if (field->schema != NULL) {
            int more = snprintf(out + len, PATH_TEXT_MAX - len, "%s%s%s", len > 0 ? "." : "", field->name,
                                field->type == FIELD_OBJECT_LIST ? "[]" : "");
            if (more > 0 && (size_t)more < PATH_TEXT_MAX - len &&
                find_below(field->schema, name, depth + 1, out, len + (size_t)more)) {
                return true;
            }
        }
    }
    out[len] = '\0';
    return false;
}

/* Below the object itself, when it is in another one; then in the document's metadata, then in everything
 * else. */
static bool find_elsewhere(const struct kind_info *info, const struct schema *schema, const char *owner,
                           const char *name, char out[PATH_TEXT_MAX]) {
    static const char METADATA[] = "metadata";

    if (info->body == NULL) {
        return false; /* a form */
    }
    if (strchr(owner, '.') != NULL) {
        snprintf(out, PATH_TEXT_MAX, "%s", owner);
        if (find_below(schema, name, 0, out, strlen(out))) {
            return true;
        }
    }
    memcpy(out, METADATA, sizeof(METADATA));
    if (find_below(codec_meta_schema(), name, TREE_DEPTH_MAX, out, strlen(METADATA))) {
        return true;
    }
    out[0] = '\0';
    return find_below(info->body, name, 0, out, 0);
}

static void write_alias(const struct alias *alias, const char *owner, char out[SUGGESTION_MAX]) {
    bool whole = alias->meant != NULL &&
                 (strncmp(alias->meant, "spec.", 5) == 0 || strncmp(alias->meant, "metadata.", 9) == 0);

    if (alias->meant == NULL) {
        snprintf(out, SUGGESTION_MAX, ": %s", alias->note);
    } else {
        snprintf(out, SUGGESTION_MAX, ", did you mean \"%s%s%s\"?%s%s", whole ? "" : owner,
                 whole || owner[0] == '\0' ? "" : ".", alias->meant, alias->note != NULL ? " " : "",
                 alias->note != NULL ? alias->note : "");
    }
}

/* Of a field at the top of a document: what it may have meant in an object of the body, most likely `spec`.
 */
static bool write_below_root(const struct kind_info *info, const char *name, char out[SUGGESTION_MAX]) {
    for (size_t i = 0; info->body != NULL && i < info->body->field_count; i++) {
        const struct field *field = &info->body->fields[i];

        if (field->type != FIELD_OBJECT) {
            continue;
        }
        const struct alias *alias = suggest_alias(field->schema, name);
        const struct field *below = suggest_field(field->schema, name);
        if (alias != NULL) {
            write_alias(alias, field->name, out);
            return true;
        }
        if (below != NULL) {
            snprintf(out, SUGGESTION_MAX, ", did you mean \"%s.%s\"?", field->name, below->name);
            return true;
        }
    }
    return false;
}

void suggest_for(const struct kind_info *info, const struct schema *schema, const struct path *path,
                 const struct field *meant, char out[SUGGESTION_MAX]) {
    const struct alias *alias = meant == NULL ? suggest_alias(schema, path->name) : NULL;
    char owner[PATH_TEXT_MAX], elsewhere[PATH_TEXT_MAX];

    out[0] = '\0';
    path_format(path->parent, owner);
    if (alias != NULL) {
        write_alias(alias, owner, out);
    } else if ((meant == NULL || !is_same_but_for_style(meant->name, path->name)) &&
               find_elsewhere(info, schema, owner, path->name, elsewhere)) {
        snprintf(out, SUGGESTION_MAX, ", did you mean \"%s\"?", elsewhere);
    } else if (meant != NULL) {
        snprintf(out, SUGGESTION_MAX, ", did you mean \"%s%s%s\"?", owner, owner[0] != '\0' ? "." : "",
                 meant->name);
    } else if (path->parent == NULL) {
        (void)write_below_root(info, path->name, out);
    }
}
