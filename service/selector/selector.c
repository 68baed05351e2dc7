/*
 * Public face of the selector language: compile, evaluate, explain. A compiled selector is one immutable
 * allocation, so it needs no lock.
 */
#include "selector.h"

#include <stdlib.h>
#include <string.h>

#include "compiled.h"

const char *label_set_get(const struct label_set *labels, const char *key) {
    size_t low = 0;
    size_t high = labels->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, labels->items[middle].key);
        if (order == 0) {
            return labels->items[middle].value;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

int selector_parse(const char *text, size_t len, struct selector **ret, struct err *err) {
    struct arena arena;
    arena_init(&arena, 0);
    struct tree *tree;
    struct tree_size size;
    int result = selector_parse_tree(text, len, &arena, &tree, &size, err);
    if (result == 0) {
        result = selector_compile(tree, &size, &arena, ret, err);
    }
    arena_done(&arena);
    return result;
}

void selector_free(struct selector *selector) {
    free(selector);
}

const char *selector_canonical(const struct selector *selector) {
    return selector->canonical;
}

size_t selector_keys(const struct selector *selector, const char *const **ret_keys) {
    *ret_keys = selector->keys;
    return selector->key_count;
}

/* The leaf of fewest values that the subtree at `at` cannot be true without; NULL: there is none. */
static const struct node *find_anchor(const struct selector *selector, uint32_t at) {
    const struct node *node = &selector->nodes[at];
    const struct node *best = NULL;
    if (node->op == OP_EQ || node->op == OP_IN) {
        return node->value_count > 0 ? node : NULL;
    }
    /* Nesting is bounded by SELECTOR_DEPTH_MAX. */
    for (uint32_t child = at + 1; node->op == OP_AND && child < node->end;
         child = selector->nodes[child].end) {
        const struct node *found = find_anchor(selector, child);
        if (found != NULL && (best == NULL || found->value_count < best->value_count)) {
            best = found;
        }
    }
    return best;
}

size_t selector_anchor(const struct selector *selector, const char **ret_key) {
    const struct node *anchor = find_anchor(selector, 0);
    if (anchor == NULL) {
        return 0;
    }
    *ret_key = anchor->key;
    return anchor->value_count;
}

const char *selector_anchor_value(const struct selector *selector, size_t i, size_t *ret_len) {
    const struct value *value = &find_anchor(selector, 0)->values[i];
    *ret_len = value->len;
    return value->text;
}

/* Order of a NUL-terminated text and a value: <0, 0, >0. A value holds no NUL. */
static int compare_text(const char *text, const struct value *value) {
    int order = strncmp(text, value->text, value->len);
    if (order != 0) {
        return order;
    }
    return text[value->len] != '\0' ? 1 : 0;
}

static bool set_contains(const struct node *node, const char *text) {
    size_t low = 0;
    size_t high = node->value_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_text(text, &node->values[middle]);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

static bool ends_with(const char *text, const struct value *value) {
    size_t len = strlen(text);
    return len >= value->len && memcmp(text + len - value->len, value->text, value->len) == 0;
}

/* `text` is the label's value, NULL when the label is absent: then only != and not in are true. */
static bool leaf_matches(const struct node *node, const char *text) {
    switch ((enum selector_op)node->op) {
    case OP_ALL:
    case OP_GLOBAL:
        return true;
    case OP_HAS:
        return text != NULL;
    case OP_EQ:
        return text != NULL && compare_text(text, node->values) == 0;
    case OP_NE:
        return text == NULL || compare_text(text, node->values) != 0;
    case OP_IN:
        return text != NULL && set_contains(node, text);
    case OP_NOT_IN:
        return text == NULL || !set_contains(node, text);
    case OP_CONTAINS:
        return text != NULL && memmem(text, strlen(text), node->values->text, node->values->len) != NULL;
    case OP_STARTS_WITH:
        return text != NULL && strncmp(text, node->values->text, node->values->len) == 0;
    case OP_ENDS_WITH:
        return text != NULL && ends_with(text, node->values);
    case OP_NOT:
    case OP_AND:
    case OP_OR:
        break;
    }
    return false; /* inner nodes are no leaves */
}

bool selector_matches(const struct selector *selector, const struct label_set *labels) {
    uint32_t at = selector->start;
    while (at < OUTCOME_MISMATCH) {
        const struct node *node = &selector->nodes[at];
        const char *text = node->key != NULL ? label_set_get(labels, node->key) : NULL;
        at = leaf_matches(node, text) ? node->on_true : node->on_false;
    }
    return at == OUTCOME_MATCH;
}

/* The truth of node `at` when that of all nodes below it is known. */
static bool inner_matches(const struct selector *selector, const struct selector_step *steps, uint32_t at) {
    const struct node *node = &selector->nodes[at];
    if (node->op == OP_NOT) {
        return !steps[at + 1].matches;
    }
    bool wanted = node->op == OP_OR; /* one child with this truth decides */
    for (uint32_t child = at + 1; child < node->end; child = selector->nodes[child].end) {
        if (steps[child].matches == wanted) {
            return wanted;
        }
    }
    return !wanted;
}

int selector_explain(const struct selector *selector, const struct label_set *labels, struct arena *arena,
                     struct selector_step **ret_steps, size_t *ret_count, struct err *err) {
    struct selector_step *steps = arena_array(arena, selector->node_count, sizeof *steps);
    if (steps == NULL) {
        return err_no_memory(err);
    }
    for (uint32_t at = selector->node_count; at-- > 0;) { /* children stand behind their parents */
        const struct node *node = &selector->nodes[at];
        struct selector_step *step = &steps[at];
        step->expression = arena_strndup(arena, selector->canonical + node->text_at, node->text_len);
        if (step->expression == NULL) {
            return err_no_memory(err);
        }
        step->depth = node->depth;
        step->key = node->key;
        step->value = node->key != NULL ? label_set_get(labels, node->key) : NULL;
        step->matches =
            node->op < OP_NOT ? leaf_matches(node, step->value) : inner_matches(selector, steps, at);
    }
    *ret_steps = steps;
    *ret_count = selector->node_count;
    return 0;
}
