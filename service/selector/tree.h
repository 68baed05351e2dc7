/* The syntax tree between parser and compiler. Private to this room. */
#ifndef BGPPEERD_SELECTOR_TREE_H
#define BGPPEERD_SELECTOR_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "lexer.h"
#include "selector.h"

/* Longer text is refused, so that 32-bit offsets and counts are always enough. */
#define SELECTOR_TEXT_MAX ((size_t)64 * 1024)

/* A value of the selector; points into the text, no NUL behind it. */
struct value {
    const char *text;
    size_t len;
};

struct tree_value {
    struct value value;
    struct tree_value *next;
};

struct tree {
    enum selector_op op;
    unsigned height;           /* 0 for a leaf, else 1 + that of the highest child */
    const char *key;           /* points into the text */
    size_t key_len;            /* 0 for all(), global() and inner nodes */
    struct tree_value *values; /* in no particular order */
    struct tree *first;        /* children, for OP_NOT, OP_AND and OP_OR */
    struct tree *next;         /* sibling */
};

/* What the compiler has to make room for. */
struct tree_size {
    uint32_t nodes;
    uint32_t keys;
    uint32_t values;
};

/* The tree lives in `arena` and points into `text`; no path in it has more than SELECTOR_DEPTH_MAX inner
 * nodes. */
int selector_parse_tree(const char *text, size_t len, struct arena *arena, struct tree **ret,
                        struct tree_size *ret_size, struct err *err) MUST_CHECK;
/* One malloc'ed selector that points neither into the tree nor into the text. */
int selector_compile(const struct tree *tree, const struct tree_size *size, struct arena *arena,
                     struct selector **ret, struct err *err) MUST_CHECK;

#endif
