/*
 * Collected validation errors and advice. Texts live in the caller's arena; no locks. When that arena
 * is exhausted an error is still counted, so that an invalid document can never pass for valid.
 */
#include "base/causes.h"

#include <stdio.h>
#include <string.h>

void causes_init(struct causes *causes, struct arena *arena) {
    causes->arena = arena;
    causes->count = 0;
    causes->dropped = 0;
}

static char *format_in_arena(struct arena *arena, const char *fmt, va_list args) {
    char text[ERR_TEXT_MAX];
    int len = vsnprintf(text, sizeof text, fmt, args);
    if (len < 0) {
        return NULL;
    }
    return arena_strdup(arena, text);
}

void causes_add(struct causes *causes, const char *reason, const char *field, const char *fmt, ...) {
    if (causes->count == CAUSES_MAX) {
        causes->dropped++;
        return;
    }
    va_list args;
    va_start(args, fmt);
    const char *message = format_in_arena(causes->arena, fmt, args);
    va_end(args);
    const char *path = arena_strdup(causes->arena, field != NULL ? field : "");
    causes->items[causes->count++] = (struct cause){
        .reason = reason,
        .field = path != NULL ? path : "",
        .message = message != NULL ? message : "the value is invalid (out of memory for the explanation)",
    };
}

void advice_init(struct advice *advice, struct arena *arena) {
    advice->arena = arena;
    advice->count = 0;
    advice->dropped = 0;
}

void advice_add(struct advice *advice, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    for (size_t i = 0; i < advice->count; i++) {
        if (strcmp(advice->items[i], text) == 0) {
            return;
        }
    }
    if (advice->count == ADVICE_MAX) {
        advice->dropped++;
        return;
    }
    const char *copy = arena_strdup(advice->arena, text);
    if (copy != NULL) {
        advice->items[advice->count++] = copy;
    }
}
