/*
 * Calico's selector language: parse once, evaluate without allocation.
 *
 *   expr   := and ('||' and)*            and   := unary ('&&' unary)*
 *   unary  := '!'* ( '(' expr ')' | atom )
 *   atom   := all() | global() | has(k) | k == 'v' | k != 'v' | k in {'a','b'} | k not in {…}
 *           | k contains 'v' | k starts with 'v' | k ends with 'v'
 *
 * Source: Calico libcalico-go/lib/selector, BGPPeer reference. A compiled selector is immutable, so
 * any number of threads may evaluate it.
 */
#ifndef BGPPEERD_SELECTOR_H
#define BGPPEERD_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define SELECTOR_DEPTH_MAX 64 /* nesting of parentheses and of '!' that changes meaning */

struct label {
    const char *key;
    const char *value;
};

/* Sorted by key (byte order), keys unique. */
struct label_set {
    size_t count;
    const struct label *items;
};

/* NULL when the label is absent. Binary search. */
const char *label_set_get(const struct label_set *labels, const char *key);

struct selector;

/*
 * Compile `text` (len bytes; may hold any byte but NUL). Empty or blank text is all().
 * Failure: ERR_INVALID with the byte offset and what was expected there (the text does not repeat the
 * offset), also for more than 64 KiB of text; or ERR_NO_MEMORY.
 * The caller frees the result with selector_free.
 */
int selector_parse(const char *text, size_t len, struct selector **ret, struct err *err) MUST_CHECK;
void selector_free(struct selector *selector);

bool selector_matches(const struct selector *selector, const struct label_set *labels);

/* Canonical text as Calico prints it; two selectors with equal canonical text are the same. Owned by
 * the selector. */
const char *selector_canonical(const struct selector *selector);

/* The label keys that the selector looks at, sorted, unique; valid as long as the selector. */
size_t selector_keys(const struct selector *selector, const char *const **ret_keys);

/*
 * What every match must have: one label with one of a few values (`k == 'v'`, `k in {…}`, alone or as a part
 * of a conjunction). The number of values, in byte order, and in *ret_key the label's key; 0 when there is no
 * such label. An index of selectors by these finds the few that can match given labels.
 */
size_t selector_anchor(const struct selector *selector, const char **ret_key);
/* Value `i` of it; without a NUL behind it, valid as long as the selector. */
const char *selector_anchor_value(const struct selector *selector, size_t i, size_t *ret_len);

/*
 * One sub-expression, its truth, and the label value it saw: for explanations. `expression` lives in the
 * arena, `key` as long as the selector, `value` as long as the labels.
 */
struct selector_step {
    const char *expression; /* canonical text of the sub-expression */
    const char *key;        /* label looked at, NULL for all(), global(), !, && and || */
    const char *value;      /* the label's value, NULL when absent */
    unsigned depth;         /* 0 = the whole selector */
    bool matches;
};

/* Evaluate every sub-expression (no short cut), parents before children, left to right.
 * -1 (ERR_NO_MEMORY) when the arena is exhausted. */
int selector_explain(const struct selector *selector, const struct label_set *labels, struct arena *arena,
                     struct selector_step **ret_steps, size_t *ret_count, struct err *err) MUST_CHECK;

#endif
