/*
 * "Did you mean": the field whose name is nearest to one that does not exist. Pure functions.
 */
#include <string.h>
#include <strings.h>

#include "codec_internal.h"

#define NAME_MAX_COMPARED 40

static size_t min3(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Edit distance (insert, remove, replace, swap neighbours), letters of either case being equal. Both at
 * most NAME_MAX_COMPARED long. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t rows[3][NAME_MAX_COMPARED + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++) {
        before[j] = 0;
        last[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = last[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

            row[j] = min3(last[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

const char *suggest_field(const struct schema *schema, const char *name) {
    size_t len = strlen(name), nearest = SIZE_MAX;
    const char *meant = NULL;

    if (len > NAME_MAX_COMPARED) {
        return NULL;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *candidate = schema->fields[i].name;
        size_t candidate_len = strlen(candidate), distance;

        if (candidate_len > NAME_MAX_COMPARED) {
            continue;
        }
        distance = edit_distance(name, len, candidate, candidate_len);
        /* One slip in a short name, three in a long one: beyond that it is a guess. */
        if (distance < nearest && distance <= (len < 4 ? 1 : len < 9 ? 2 : 3) && distance < len) {
            nearest = distance;
            meant = candidate;
        }
    }
    return meant;
}
