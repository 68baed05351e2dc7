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
#include <yaml.h>

#include "base/alloc.h"
#include "codec_internal.h"

static _Thread_local bool out_of_memory;

static void *block_alloc(size_t size) {
    void *memory = base_wiping_malloc(size);
    out_of_memory = out_of_memory || memory == NULL;
    return memory;
}

static void *block_resize(void *memory, size_t size) {
    void *bigger = base_wiping_realloc(memory, size);
    out_of_memory = out_of_memory || bigger == NULL;
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
    base_wiping_free(memory);
}

yaml_char_t *yaml_strdup(const yaml_char_t *text) {
    if (text == NULL) {
        return NULL;
    }
    char *copy = base_wiping_strdup((const char *)text);
    out_of_memory = out_of_memory || copy == NULL;
    return (yaml_char_t *)copy;
}

bool codec_out_of_memory(void) {
    bool failed = out_of_memory;

    out_of_memory = false;
    return failed;
}

int codec_start(struct err *err) {
    (void)err;
    json_set_alloc_funcs(block_alloc, base_wiping_free);
    json_object_seed(0); /* random: keys of a body cannot be chosen to collide */
    return 0;
}
