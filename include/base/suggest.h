/*
 * "Did you mean": which of some names is nearest to one that does not exist. Pure.
 *
 *     struct suggest suggest = suggest_begin(text, len);
 *     for (each name) suggest_consider(&suggest, name);
 *     ... suggest.meant ...
 */
#ifndef BGPPEERD_BASE_SUGGEST_H
#define BGPPEERD_BASE_SUGGEST_H

#include <stddef.h>

struct suggest {
    const char *meant; /* one of the names considered; NULL: none is near enough */
    /* suggest's own */
    const char *text;
    size_t len;
    size_t nearest;
};

/* `text` is borrowed. */
struct suggest suggest_begin(const char *text, size_t len);
void suggest_consider(struct suggest *suggest, const char *name);

#endif
