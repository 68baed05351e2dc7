/*
 * Cuts a selector into tokens, with the peculiarities of Calico's language: only spaces and tabs separate
 * words; has(, all( and global( are one word each with their parenthesis; and words such as `in` or
 * `contains` are operators right behind a label key, but label keys everywhere else. Nothing is copied:
 * tokens point into the caller's text.
 */
#include "lexer.h"

#include <string.h>

static bool is_key_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/' || c == '-';
}

static void skip_space(struct lexer *lexer) {
    while (lexer->at < lexer->len && (lexer->text[lexer->at] == ' ' || lexer->text[lexer->at] == '\t')) {
        lexer->at++;
    }
}

/* Step over `word` if the input goes on with it. */
static bool accept(struct lexer *lexer, const char *word) {
    size_t len = strlen(word);
    if (lexer->len - lexer->at < len || memcmp(lexer->text + lexer->at, word, len) != 0) {
        return false;
    }
    lexer->at += len;
    return true;
}

static size_t key_length(const struct lexer *lexer, size_t at) {
    size_t end = at;
    while (end < lexer->len && is_key_char(lexer->text[end])) {
        end++;
    }
    return end - at;
}

int lexer_expected(const struct lexer *lexer, size_t offset, const char *expected, struct err *err) {
    enum { SHOWN_MAX = 40 };
    if (offset >= lexer->len) {
        return err_set_offset(err, ERR_INVALID, offset, "expected %s, found the end of the selector",
                              expected);
    }
    size_t word = key_length(lexer, offset);
    if (word > SHOWN_MAX) {
        return err_set_offset(err, ERR_INVALID, offset, "expected %s, found '%.*s...'", expected, SHOWN_MAX,
                              lexer->text + offset);
    }
    if (word > 0) {
        return err_set_offset(err, ERR_INVALID, offset, "expected %s, found '%.*s'", expected, (int)word,
                              lexer->text + offset);
    }
    unsigned char c = (unsigned char)lexer->text[offset];
    if (c == '\n' || c == '\r') {
        return err_set_offset(err, ERR_INVALID, offset,
                              "expected %s, found a line break: write the selector on one line", expected);
    }
    if (c < 0x20 || c > 0x7E) {
        return err_set_offset(err, ERR_INVALID, offset, "expected %s, found byte 0x%02X", expected, c);
    }
    return err_set_offset(err, ERR_INVALID, offset, "expected %s, found %c", expected, c);
}

static int read_key(struct lexer *lexer, const char *expected, struct token *token, struct err *err) {
    size_t len = key_length(lexer, lexer->at);
    if (len == 0) {
        return lexer_expected(lexer, lexer->at, expected, err);
    }
    if (len > LABEL_KEY_MAX) {
        return err_set_offset(err, ERR_INVALID, lexer->at,
                              "a label key has at most %d bytes, this one has %zu", LABEL_KEY_MAX, len);
    }
    token->text = lexer->text + lexer->at;
    token->len = len;
    lexer->at += len;
    return 0;
}

static int read_string(struct lexer *lexer, struct token *token, struct err *err) {
    char quote = lexer->text[lexer->at];
    const char *start = lexer->text + lexer->at + 1;
    const char *end = memchr(start, quote, lexer->len - lexer->at - 1);
    if (end == NULL) {
        return err_set_offset(err, ERR_INVALID, token->offset, "the value that starts here has no closing %c",
                              quote);
    }
    token->kind = TOKEN_STRING;
    token->text = start;
    token->len = (size_t)(end - start);
    lexer->at += token->len + 2;
    return 0;
}

/* The words of an operator may stand together or apart, but nothing of a longer word may follow. */
static bool accept_operator(struct lexer *lexer, const char *first, const char *second) {
    size_t start = lexer->at;
    bool found = accept(lexer, first);
    if (found && second != NULL) {
        skip_space(lexer);
        found = accept(lexer, second);
        skip_space(lexer);
    }
    if (!found || key_length(lexer, lexer->at) != 0) {
        lexer->at = start;
        return false;
    }
    return true;
}

static int read_operator(struct lexer *lexer, struct token *token, struct err *err) {
    static const struct {
        const char *first;
        const char *second;
        enum selector_op op;
    } operators[] = {
        {"contains", NULL, OP_CONTAINS},
        {"starts", "with", OP_STARTS_WITH},
        {"ends", "with", OP_ENDS_WITH},
        {"not", "in", OP_NOT_IN},
        {"in", NULL, OP_IN},
    };
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (accept_operator(lexer, operators[i].first, operators[i].second)) {
            token->kind = TOKEN_OPERATOR;
            token->op = operators[i].op;
            return 0;
        }
    }
    return lexer_expected(lexer, lexer->at,
                          "==, !=, in, not in, contains, starts with or ends with behind the label key", err);
}

/* has(key), all(), global() or a label key. */
static int read_word(struct lexer *lexer, struct token *token, struct err *err) {
    token->kind = TOKEN_ATOM;
    if (accept(lexer, "has(")) {
        token->op = OP_HAS;
        skip_space(lexer);
        if (read_key(lexer, "a label key in has()", token, err) != 0) {
            return -1;
        }
    } else if (accept(lexer, "all(")) {
        token->op = OP_ALL;
    } else if (accept(lexer, "global(")) {
        token->op = OP_GLOBAL;
    } else {
        token->kind = TOKEN_LABEL;
        return read_key(lexer, "a label key, has(), all(), global(), ! or (", token, err);
    }
    skip_space(lexer);
    if (!accept(lexer, ")")) {
        return lexer_expected(lexer, lexer->at, "a closing )", err);
    }
    return 0;
}

static bool read_symbol(struct lexer *lexer, struct token *token) {
    static const struct {
        const char *text;
        enum token_kind kind;
        enum selector_op op;
    } symbols[] = {
        {"(", TOKEN_LEFT_PAREN, 0},    {")", TOKEN_RIGHT_PAREN, 0}, {"{", TOKEN_LEFT_BRACE, 0},
        {"}", TOKEN_RIGHT_BRACE, 0},   {",", TOKEN_COMMA, 0},       {"==", TOKEN_OPERATOR, OP_EQ},
        {"!=", TOKEN_OPERATOR, OP_NE}, {"!", TOKEN_NOT, 0},         {"&&", TOKEN_AND, 0},
        {"||", TOKEN_OR, 0},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (accept(lexer, symbols[i].text)) {
            token->kind = symbols[i].kind;
            token->op = symbols[i].op;
            return true;
        }
    }
    return false;
}

int lexer_next(struct lexer *lexer, struct token *ret, struct err *err) {
    skip_space(lexer);
    struct token token = {.kind = TOKEN_END, .offset = lexer->at, .text = lexer->text + lexer->at};
    bool after_label = lexer->after_label;
    lexer->after_label = false;
    if (lexer->at == lexer->len) {
        *ret = token;
        return 0;
    }
    char c = lexer->text[lexer->at];
    int result = 0;
    if (c == '\'' || c == '"') {
        result = read_string(lexer, &token, err);
    } else if (!read_symbol(lexer, &token)) {
        if (c == '=' || c == '&' || c == '|') {
            char expected[] = {c, c, '\0'};
            result = err_set_offset(err, ERR_INVALID, token.offset,
                                    "a single %c means nothing here: write %s", c, expected);
        } else if (after_label) {
            result = read_operator(lexer, &token, err);
        } else {
            result = read_word(lexer, &token, err);
        }
    }
    if (result != 0) {
        return -1;
    }
    lexer->after_label = token.kind == TOKEN_LABEL;
    *ret = token;
    return 0;
}
