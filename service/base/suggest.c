/*
 * "Did you mean": the name with the smallest edit distance to what was written. Pure functions.
 */
#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

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

struct suggest suggest_begin(const char *text, size_t len) {
    return (struct suggest){.text = text, .len = len, .nearest = SIZE_MAX};
}

void suggest_consider(struct suggest *suggest, const char *name) {
    size_t len = suggest->len, name_len = strlen(name), distance;

    if (len > NAME_MAX_COMPARED || name_len > NAME_MAX_COMPARED) {
        return;
    }
    distance = edit_distance(suggest->text, len, name, name_len);
    /* One slip in a short name, three in a long one: beyond that it is a guess. */
    if (distance < suggest->nearest && distance <= (len < 4 ? 1 : len < 9 ? 2 : 3) && distance < len) {
        suggest->nearest = distance;
        suggest->meant = name;
    }
}
