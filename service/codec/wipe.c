/*
 * The allocator of jansson and libyaml: every block is wiped before it is given back, because a body
 * may hold passwords and both libraries keep parts of it in memory of their own.
 *
 * jansson offers a hook. libyaml does not, but calls its exported functions yaml_malloc, yaml_realloc,
 * yaml_free and yaml_strdup through its symbol table, so that the definitions of the program come
 * first; a unit test proves that they do. Where they should not, libyaml works with its own.
 *
 * jansson reports some failed allocations as broken syntax and overlooks others, losing a byte of a
 * string, so a failure is remembered per thread. No locks.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "codec_internal.h"

static _Thread_local bool out_of_memory;

/* In front of every block; keeps malloc's alignment. */
struct block {
    _Alignas(16) size_t size;
};

static void *block_alloc(size_t size) {
    struct block *block;

    block = size <= SIZE_MAX - sizeof *block ? base_malloc(sizeof *block + size) : NULL;
    if (!block) {
        out_of_memory = true;
        return NULL;
    }
    block->size = size;
    return block + 1;
}

static void block_free(void *memory) {
    struct block *block;

    if (!memory) {
        return;
    }
    block = (struct block *)memory - 1;
    explicit_bzero(memory, block->size);
    free(block);
}

static void *block_resize(void *memory, size_t size) {
    void *bigger = block_alloc(size);

    if (bigger && memory) {
        size_t old = ((struct block *)memory - 1)->size;

        memcpy(bigger, memory, old < size ? old : size);
        block_free(memory);
    }
    return bigger;
}

/* libyaml's; it has no public declaration of them. */
void *yaml_malloc(size_t size);
void *yaml_realloc(void *memory, size_t size);
void yaml_free(void *memory);
yaml_char_t *yaml_strdup(const yaml_char_t *text);

void *yaml_malloc(size_t size) {
    return block_alloc(size);
}

void *yaml_realloc(void *memory, size_t size) {
    return block_resize(memory, size);
}

void yaml_free(void *memory) {
    block_free(memory);
}

yaml_char_t *yaml_strdup(const yaml_char_t *text) {
    size_t size;
    yaml_char_t *copy;

    if (!text) {
        return NULL;
    }
    size = strlen((const char *)text) + 1;
    copy = block_alloc(size);
    if (copy) {
        memcpy(copy, text, size);
    }
    return copy;
}

bool wipe_out_of_memory(void) {
    bool failed = out_of_memory;

    out_of_memory = false;
    return failed;
}

int codec_start(struct err *err) {
    (void)err;
    json_set_alloc_funcs(block_alloc, block_free);
    json_object_seed(0); /* random: keys of a body cannot be chosen to collide */
    return 0;
}
