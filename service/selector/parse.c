/*
 * Parser: tokens to tree. Open parentheses are kept in a list of frames rather than on the C stack, so
 * that no input can exhaust it, and parentheses that change nothing cost nothing: they leave no node
 * behind. Tree and frames live in the caller's arena.
 */
#include <assert.h>
#include <string.h>

#include "tree.h"

struct list {
    struct tree *first;
    struct tree *last;
    unsigned height; /* of the highest member */
};

/* The selector itself, or what stands between two parentheses: terms of ||, each of terms of &&. */
struct frame {
    struct frame *outer;
    size_t offset; /* of the parenthesis, or of the '!' before it */
    bool negated;
    struct list alternatives; /* finished terms of || */
    struct list conjunction;  /* terms of && that are being collected */
};

struct parser {
    struct lexer lexer;
    struct token token; /* the one to look at */
    struct arena *arena;
    struct frame *frame;
    struct tree_size size;
    struct err *err;
};

static int advance(struct parser *parser) {
    return lexer_next(&parser->lexer, &parser->token, parser->err);
}

static int expected(struct parser *parser, const char *what) {
    return lexer_expected(&parser->lexer, parser->token.offset, what, parser->err);
}

static struct tree *tree_new(struct parser *parser, enum selector_op op) {
    struct tree *tree = arena_alloc(parser->arena, sizeof *tree);
    if (tree == NULL) {
        err_no_memory(parser->err);
        return NULL;
    }
    tree->op = op;
    parser->size.nodes++;
    return tree;
}

static void list_add(struct list *list, struct tree *tree) {
    if (list->last == NULL) {
        list->first = tree;
    } else {
        list->last->next = tree;
    }
    list->last = tree;
    if (tree->height > list->height) {
        list->height = tree->height;
    }
}

/* A node over the members of the list, NULL on failure; `offset` is where it starts, for the error. */
static struct tree *tree_over(struct parser *parser, enum selector_op op, const struct list *list,
                              size_t offset) {
    if (list->height >= SELECTOR_DEPTH_MAX) {
        err_set_offset(parser->err, ERR_INVALID, offset,
                       "the expression is nested more than %d levels deep: write it in a simpler way",
                       SELECTOR_DEPTH_MAX);
        return NULL;
    }
    struct tree *tree = tree_new(parser, op);
    if (tree != NULL) {
        tree->first = list->first;
        tree->height = list->height + 1;
    }
    return tree;
}

/* Add an operand to the innermost frame. */
static int add_operand(struct parser *parser, struct tree *operand, bool negated, size_t offset) {
    if (negated) {
        struct list only = {NULL, NULL, 0};
        list_add(&only, operand);
        operand = tree_over(parser, OP_NOT, &only, offset);
        if (operand == NULL) {
            return -1;
        }
    }
    list_add(&parser->frame->conjunction, operand);
    return 0;
}

/* The terms of && collected so far become one term of ||. */
static int close_conjunction(struct parser *parser) {
    struct frame *frame = parser->frame;
    struct tree *term = frame->conjunction.first;
    if (term != frame->conjunction.last) {
        term = tree_over(parser, OP_AND, &frame->conjunction, frame->offset);
        if (term == NULL) {
            return -1;
        }
    }
    list_add(&frame->alternatives, term);
    frame->conjunction = (struct list){NULL, NULL, 0};
    return 0;
}

/* The whole of the innermost frame as one tree. */
static int close_frame(struct parser *parser, struct tree **ret) {
    if (close_conjunction(parser) != 0) {
        return -1;
    }
    struct frame *frame = parser->frame;
    struct tree *tree = frame->alternatives.first;
    if (tree != frame->alternatives.last) {
        tree = tree_over(parser, OP_OR, &frame->alternatives, frame->offset);
        if (tree == NULL) {
            return -1;
        }
    }
    *ret = tree;
    return 0;
}

static int open_frame(struct parser *parser, bool negated, size_t offset) {
    struct frame *frame = arena_alloc(parser->arena, sizeof *frame);
    if (frame == NULL) {
        return err_no_memory(parser->err);
    }
    frame->outer = parser->frame;
    frame->negated = negated;
    frame->offset = offset;
    parser->frame = frame;
    return 0;
}

static int add_value(struct parser *parser, struct tree *tree) {
    struct tree_value *value = arena_alloc(parser->arena, sizeof *value);
    if (value == NULL) {
        return err_no_memory(parser->err);
    }
    value->value = (struct value){.text = parser->token.text, .len = parser->token.len};
    value->next = tree->values;
    tree->values = value;
    parser->size.values++;
    return advance(parser);
}

/* {'a', 'b'}; may be empty, and a comma may stand behind the last value. */
static int parse_set(struct parser *parser, struct tree *tree) {
    if (parser->token.kind != TOKEN_LEFT_BRACE) {
        return expected(parser, "a set of values such as {'a', 'b'}");
    }
    if (advance(parser) != 0) {
        return -1;
    }
    while (parser->token.kind == TOKEN_STRING) {
        if (add_value(parser, tree) != 0) {
            return -1;
        }
        if (parser->token.kind != TOKEN_COMMA) {
            break;
        }
        if (advance(parser) != 0) {
            return -1;
        }
    }
    if (parser->token.kind != TOKEN_RIGHT_BRACE) {
        return expected(parser,
                        tree->values != NULL ? "a comma and a quoted value, or }" : "a quoted value or }");
    }
    return advance(parser);
}

/* `key operator value` or an atom; steps behind it. */
static int parse_leaf(struct parser *parser, struct tree **ret) {
    struct token first = parser->token;
    if (first.kind != TOKEN_ATOM && first.kind != TOKEN_LABEL) {
        return expected(parser, "a label key, has(), all(), global(), ! or (");
    }
    struct tree *tree = tree_new(parser, first.op);
    if (tree == NULL || advance(parser) != 0) {
        return -1;
    }
    if (first.kind == TOKEN_LABEL || first.op == OP_HAS) {
        tree->key = first.text;
        tree->key_len = first.len;
        parser->size.keys++;
    }
    *ret = tree;
    if (first.kind == TOKEN_ATOM) {
        return 0;
    }
    if (parser->token.kind != TOKEN_OPERATOR) {
        return expected(parser,
                        "==, !=, in, not in, contains, starts with or ends with behind the label key");
    }
    tree->op = parser->token.op;
    if (advance(parser) != 0) {
        return -1;
    }
    if (tree->op == OP_IN || tree->op == OP_NOT_IN) {
        return parse_set(parser, tree);
    }
    if (parser->token.kind != TOKEN_STRING) {
        return expected(parser, "a value in quotes, such as 'a'");
    }
    return add_value(parser, tree);
}

/* All '!' and '(' in front of an operand, and the operand. */
static int parse_operand(struct parser *parser) {
    for (;;) {
        size_t offset = parser->token.offset;
        bool negated = false;
        while (parser->token.kind == TOKEN_NOT) {
            negated = !negated;
            if (advance(parser) != 0) {
                return -1;
            }
        }
        if (parser->token.kind != TOKEN_LEFT_PAREN) {
            struct tree *leaf = NULL;
            if (parse_leaf(parser, &leaf) != 0) {
                return -1;
            }
            assert(leaf != NULL);
            return add_operand(parser, leaf, negated, offset);
        }
        if (open_frame(parser, negated, offset) != 0 || advance(parser) != 0) {
            return -1;
        }
    }
}

/* All ')' behind an operand. */
static int parse_closing(struct parser *parser) {
    while (parser->token.kind == TOKEN_RIGHT_PAREN) {
        struct frame *frame = parser->frame;
        if (frame->outer == NULL) {
            return err_set_offset(parser->err, ERR_INVALID, parser->token.offset,
                                  "this ) has no ( that it closes");
        }
        struct tree *tree;
        if (close_frame(parser, &tree) != 0) {
            return -1;
        }
        parser->frame = frame->outer;
        if (add_operand(parser, tree, frame->negated, frame->offset) != 0 || advance(parser) != 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_expression(struct parser *parser, struct tree **ret) {
    for (;;) {
        if (parse_operand(parser) != 0 || parse_closing(parser) != 0) {
            return -1;
        }
        switch (parser->token.kind) {
        case TOKEN_OR:
            if (close_conjunction(parser) != 0) {
                return -1;
            }
            break;
        case TOKEN_AND:
            break;
        case TOKEN_END:
            if (parser->frame->outer != NULL) {
                return err_set_offset(parser->err, ERR_INVALID, parser->token.offset,
                                      "expected ), found the end of the selector: the ( of byte %zu is open",
                                      parser->frame->offset);
            }
            return close_frame(parser, ret);
        default:
            return expected(parser, parser->frame->outer != NULL ? "&&, || or )"
                                                                 : "&&, || or the end of the selector");
        }
        if (advance(parser) != 0) {
            return -1;
        }
    }
}

int selector_parse_tree(const char *text, size_t len, struct arena *arena, struct tree **ret,
                        struct tree_size *ret_size, struct err *err) {
    if (len > SELECTOR_TEXT_MAX) {
        return err_set_offset(err, ERR_INVALID, SELECTOR_TEXT_MAX, "a selector has at most %zu bytes",
                              SELECTOR_TEXT_MAX);
    }
    const char *nul = len != 0 ? memchr(text, '\0', len) : NULL;
    if (nul != NULL) {
        return err_set_offset(err, ERR_INVALID, (size_t)(nul - text), "a selector holds no NUL byte");
    }
    struct parser parser = {
        .lexer = {.text = len != 0 ? text : "", .len = len},
        .arena = arena,
        .err = err,
    };
    if (open_frame(&parser, false, 0) != 0 || advance(&parser) != 0) {
        return -1;
    }
    struct tree *tree = NULL;
    if (parser.token.kind == TOKEN_END) {
        tree = tree_new(&parser, OP_ALL);
        if (tree == NULL) {
            return -1;
        }
    } else if (parse_expression(&parser, &tree) != 0) {
        return -1;
    }
    *ret = tree;
    *ret_size = parser.size;
    return 0;
}
