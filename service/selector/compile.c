/*
 * Compiler: tree to the one allocation that evaluation works on. It is built in scratch memory of the
 * caller's arena first, when the sizes are not known yet, and then moved into place.
 *
 * The boolean structure becomes jumps: every leaf knows which leaf to look at next when it is true and
 * when it is false, so that evaluation is a loop over leaves without a stack. The recursions here go no
 * deeper than SELECTOR_DEPTH_MAX, which the parser guarantees.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "compiled.h"

struct compiler {
    struct buf text; /* canonical text */
    struct node *nodes;
    const struct tree **trees; /* where each node comes from */
    struct value *values;
    struct value *keys; /* as read, with repetitions, until they are sorted */
    size_t *value_at;   /* offset of each value in the canonical text */
    uint32_t node_count;
    uint32_t value_count;
    uint32_t key_count;
};

static int compare_values(const void *a, const void *b) {
    const struct value *x = a;
    const struct value *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len != 0 ? memcmp(x->text, y->text, len) : 0;
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Sort and drop repetitions; returns how many are left. */
static uint32_t sort_unique(struct value *values, uint32_t count) {
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, compare_values);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < count; i++) {
        if (compare_values(&values[kept - 1], &values[i]) != 0) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* A value holds at most one of the two kinds of quotes, because the language has no escapes. */
static void write_value(struct compiler *compiler, uint32_t index) {
    const struct value *value = &compiler->values[index];
    char quote = value->len != 0 && memchr(value->text, '"', value->len) != NULL ? '\'' : '"';
    buf_add_char(&compiler->text, quote);
    compiler->value_at[index] = compiler->text.len;
    buf_add(&compiler->text, value->text, value->len);
    buf_add_char(&compiler->text, quote);
}

static void write_leaf(struct compiler *compiler, const struct tree *tree, struct node *node) {
    static const char *const operators[] = {
        [OP_EQ] = " == ",
        [OP_NE] = " != ",
        [OP_IN] = " in ",
        [OP_NOT_IN] = " not in ",
        [OP_CONTAINS] = " contains ",
        [OP_STARTS_WITH] = " starts with ",
        [OP_ENDS_WITH] = " ends with ",
    };
    struct buf *text = &compiler->text;
    switch (tree->op) {
    case OP_ALL:
        buf_add_str(text, "all()");
        return;
    case OP_GLOBAL:
        buf_add_str(text, "global()");
        return;
    case OP_HAS:
        buf_add_str(text, "has(");
        buf_add(text, tree->key, tree->key_len);
        buf_add_char(text, ')');
        return;
    default:
        break;
    }
    uint32_t first = compiler->value_count;
    buf_add(text, tree->key, tree->key_len);
    buf_add_str(text, operators[tree->op]);
    bool is_set = tree->op == OP_IN || tree->op == OP_NOT_IN;
    if (is_set) {
        buf_add_char(text, '{');
    }
    for (uint32_t i = 0; i < node->value_count; i++) {
        if (i != 0) {
            buf_add_str(text, ", ");
        }
        write_value(compiler, first + i);
    }
    if (is_set) {
        buf_add_char(text, '}');
    }
}

static void compile_leaf(struct compiler *compiler, const struct tree *tree, struct node *node) {
    struct value *values = compiler->values + compiler->value_count;
    uint32_t count = 0;
    for (const struct tree_value *value = tree->values; value != NULL; value = value->next) {
        values[count++] = value->value;
    }
    node->value_count = sort_unique(values, count);
    node->values = values;
    write_leaf(compiler, tree, node);
    compiler->value_count += node->value_count;
    if (tree->key_len != 0) {
        compiler->keys[compiler->key_count++] = (struct value){.text = tree->key, .len = tree->key_len};
    }
}

/* Nodes in prefix order, with their canonical text. */
static void compile_tree(struct compiler *compiler, const struct tree *tree, uint8_t depth) {
    struct node *node = &compiler->nodes[compiler->node_count];
    compiler->trees[compiler->node_count++] = tree;
    node->op = (uint8_t)tree->op;
    node->depth = depth;
    node->text_at = (uint32_t)compiler->text.len;
    if (tree->op < OP_NOT) {
        compile_leaf(compiler, tree, node);
    } else if (tree->op == OP_NOT) {
        buf_add_char(&compiler->text, '!');
        compile_tree(compiler, tree->first, (uint8_t)(depth + 1));
    } else {
        buf_add_char(&compiler->text, '(');
        for (const struct tree *child = tree->first; child != NULL; child = child->next) {
            if (child != tree->first) {
                buf_add_str(&compiler->text, tree->op == OP_AND ? " && " : " || ");
            }
            compile_tree(compiler, child, (uint8_t)(depth + 1));
        }
        buf_add_char(&compiler->text, ')');
    }
    node->text_len = (uint32_t)(compiler->text.len - node->text_at);
    node->end = compiler->node_count;
}

static uint32_t first_leaf(const struct node *nodes, uint32_t at) {
    while (nodes[at].op >= OP_NOT) {
        at++;
    }
    return at;
}

/* Set the jumps of all leaves under node `at`, given where to go when the node is true or false. */
static void set_jumps(struct node *nodes, uint32_t at, uint32_t on_true, uint32_t on_false) {
    struct node *node = &nodes[at];
    if (node->op < OP_NOT) {
        node->on_true = on_true;
        node->on_false = on_false;
    } else if (node->op == OP_NOT) {
        set_jumps(nodes, at + 1, on_false, on_true);
    } else {
        for (uint32_t child = at + 1; child < node->end; child = nodes[child].end) {
            bool is_last = nodes[child].end == node->end;
            uint32_t next = is_last ? 0 : first_leaf(nodes, nodes[child].end);
            if (node->op == OP_AND) {
                set_jumps(nodes, child, is_last ? on_true : next, on_false);
            } else {
                set_jumps(nodes, child, on_true, is_last ? on_false : next);
            }
        }
    }
}

/* The parts of the allocation. */
struct layout {
    struct node *nodes;
    struct value *values;
    const char **keys;
    char *canonical;
    char *key_text;
};

static struct selector *lay_out(const struct compiler *compiler, struct layout *ret) {
    size_t key_bytes = 0;
    for (uint32_t i = 0; i < compiler->key_count; i++) {
        key_bytes += compiler->keys[i].len + 1;
    }
    /* All but the texts are made of pointers and their like, so each part leaves the next aligned. */
    size_t nodes_at = sizeof(struct selector);
    size_t values_at = nodes_at + compiler->node_count * sizeof(struct node);
    size_t keys_at = values_at + compiler->value_count * sizeof(struct value);
    size_t canonical_at = keys_at + compiler->key_count * sizeof(char *);
    size_t key_text_at = canonical_at + compiler->text.len + 1;
    char *block = base_malloc(key_text_at + key_bytes);
    if (block == NULL) {
        return NULL;
    }
    *ret = (struct layout){
        .nodes = (struct node *)(void *)(block + nodes_at),
        .values = (struct value *)(void *)(block + values_at),
        .keys = (const char **)(void *)(block + keys_at),
        .canonical = block + canonical_at,
        .key_text = block + key_text_at,
    };
    struct selector *selector = (struct selector *)(void *)block;
    *selector = (struct selector){
        .node_count = compiler->node_count,
        .key_count = compiler->key_count,
        .nodes = ret->nodes,
        .keys = ret->keys,
        .canonical = ret->canonical,
    };
    return selector;
}

static const char *find_key(const struct compiler *compiler, const char *const *keys,
                            const struct tree *tree) {
    struct value wanted = {.text = tree->key, .len = tree->key_len};
    const struct value *found =
        bsearch(&wanted, compiler->keys, compiler->key_count, sizeof wanted, compare_values);
    return found != NULL ? keys[found - compiler->keys] : NULL;
}

static struct selector *assemble(const struct compiler *compiler) {
    struct layout layout;
    struct selector *selector = lay_out(compiler, &layout);
    if (selector == NULL) {
        return NULL;
    }
    memcpy(layout.canonical, compiler->text.data, compiler->text.len + 1);
    char *key_text = layout.key_text;
    for (uint32_t i = 0; i < compiler->key_count; i++) {
        memcpy(key_text, compiler->keys[i].text, compiler->keys[i].len);
        key_text[compiler->keys[i].len] = '\0';
        layout.keys[i] = key_text;
        key_text += compiler->keys[i].len + 1;
    }
    for (uint32_t i = 0; i < compiler->value_count; i++) {
        layout.values[i] = (struct value){
            .text = layout.canonical + compiler->value_at[i],
            .len = compiler->values[i].len,
        };
    }
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        struct node *node = &layout.nodes[i];
        *node = compiler->nodes[i];
        if (compiler->trees[i]->key_len != 0) {
            node->key = find_key(compiler, layout.keys, compiler->trees[i]);
        }
        if (node->values != NULL) {
            node->values = layout.values + (node->values - compiler->values);
        }
    }
    set_jumps(layout.nodes, 0, OUTCOME_MATCH, OUTCOME_MISMATCH);
    selector->start = first_leaf(layout.nodes, 0);
    return selector;
}

int selector_compile(const struct tree *tree, const struct tree_size *size, struct arena *arena,
                     struct selector **ret, struct err *err) {
    struct compiler compiler = {
        .text = BUF_INIT,
        .nodes = arena_array(arena, size->nodes, sizeof(struct node)),
        .trees = arena_array(arena, size->nodes, sizeof(struct tree *)),
        .values = arena_array(arena, size->values, sizeof(struct value)),
        .keys = arena_array(arena, size->keys, sizeof(struct value)),
        .value_at = arena_array(arena, size->values, sizeof(size_t)),
    };
    if (arena->failed) {
        return err_no_memory(err);
    }
    compile_tree(&compiler, tree, 0);
    compiler.key_count = sort_unique(compiler.keys, compiler.key_count);
    struct selector *selector = buf_failed(&compiler.text) ? NULL : assemble(&compiler);
    buf_done(&compiler.text);
    if (selector == NULL) {
        return err_no_memory(err);
    }
    *ret = selector;
    return 0;
}
