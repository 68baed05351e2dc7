/*
 * Fuzzes the selector language. The input is the selector, then labels as key=value, separated by byte
 * 0xFF. What is accepted must survive its own canonical text: same meaning, same explanation.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "selector.h"

#define LABELS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

/* Cuts `text`, which it changes, into labels. */
static size_t read_labels(char *text, struct label items[LABELS_MAX]) {
    size_t count = 0;
    char *rest;
    for (char *item = strtok_r(text, "\xFF", &rest); item != NULL && count < LABELS_MAX;
         item = strtok_r(NULL, "\xFF", &rest)) {
        char *equals = strchr(item, '=');
        if (equals != NULL) {
            *equals = '\0';
            items[count++] = (struct label){.key = item, .value = equals + 1};
        }
    }
    qsort(items, count, sizeof items[0], compare_labels);
    size_t unique = 0;
    for (size_t i = 0; i < count; i++) {
        if (unique == 0 || strcmp(items[unique - 1].key, items[i].key) != 0) {
            items[unique++] = items[i];
        }
    }
    return unique;
}

static void check_keys(const struct selector *selector) {
    const char *const *keys;
    size_t count = selector_keys(selector, &keys);
    for (size_t i = 0; i < count; i++) {
        require(strlen(keys[i]) > 0 && (i == 0 || strcmp(keys[i - 1], keys[i]) < 0));
    }
}

static void check_explanation(const struct selector *selector, const struct label_set *labels) {
    struct arena arena;
    arena_init(&arena, 0);
    struct selector_step *steps;
    size_t count;
    struct err err = ERR_INIT;
    require(selector_explain(selector, labels, &arena, &steps, &count, &err) == 0);
    require(count > 0 && steps[0].depth == 0);
    require(steps[0].matches == selector_matches(selector, labels));
    require(strcmp(steps[0].expression, selector_canonical(selector)) == 0);
    arena_done(&arena);
}

static void check_canonical(const struct selector *selector, const struct label_set *labels) {
    const char *text = selector_canonical(selector);
    struct selector *again;
    struct err err = ERR_INIT;
    require(selector_parse(text, strlen(text), &again, &err) == 0);
    require(selector_matches(again, labels) == selector_matches(selector, labels));
    /* "!!" is kept when it comes of parentheses, and dropped when read without them. */
    require(strstr(text, "!!") != NULL || strcmp(selector_canonical(again), text) == 0);
    selector_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size != 0 ? memchr(data, 0xFF, size) : NULL;
    size_t len = end != NULL ? (size_t)(end - data) : size;
    struct selector *selector;
    struct err err = ERR_INIT;
    if (selector_parse((const char *)data, len, &selector, &err) != 0) {
        require(err.code == ERR_INVALID && err.text[0] != '\0');
        require(err.offset >= 0 && (size_t)err.offset <= len);
        return 0;
    }
    char *text = calloc(1, size - len + 1);
    require(text != NULL);
    memcpy(text, data + len, size - len);
    struct label items[LABELS_MAX];
    struct label_set labels = {.count = read_labels(text, items), .items = items};
    check_keys(selector);
    check_explanation(selector, &labels);
    /* The canonical text may be longer than what is accepted: "a=='b'" gains two bytes. */
    if (strlen(selector_canonical(selector)) < 32768) {
        check_canonical(selector, &labels);
    }
    selector_free(selector);
    free(text);
    return 0;
}
