/* Words of the selector language. Private to this room. */
#ifndef BGPPEERD_SELECTOR_LEXER_H
#define BGPPEERD_SELECTOR_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LABEL_KEY_MAX 512 /* Calico's limit for a key in a selector */

/* What an expression does; also the operator that a token stands for. */
enum selector_op {
    OP_ALL,
    OP_GLOBAL,
    OP_HAS,
    OP_EQ,
    OP_NE,
    OP_IN,
    OP_NOT_IN,
    OP_CONTAINS,
    OP_STARTS_WITH,
    OP_ENDS_WITH,
    OP_NOT,
    OP_AND,
    OP_OR,
};

enum token_kind {
    TOKEN_END,
    TOKEN_ATOM,     /* all(), global() or has(key), as a whole; `op` says which, `text` is the key */
    TOKEN_LABEL,    /* a label key */
    TOKEN_OPERATOR, /* what stands between key and value; `op` says which */
    TOKEN_STRING,   /* a value, without its quotes */
    TOKEN_NOT,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    enum selector_op op;
    size_t offset;    /* of its first byte in the selector */
    const char *text; /* points into the selector */
    size_t len;
};

struct lexer {
    const char *text;
    size_t len;
    size_t at;
    bool after_label; /* the last token was a label key, so a word is an operator now */
};

/* Read the next token. Failure: ERR_INVALID with the offset. */
int lexer_next(struct lexer *lexer, struct token *ret, struct err *err) MUST_CHECK;
/* "expected …, found …" for the input at `offset`. Returns -1. */
int lexer_expected(const struct lexer *lexer, size_t offset, const char *expected, struct err *err);

#endif
