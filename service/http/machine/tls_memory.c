/*
 * Wiping allocator for GnuTLS, which frees records of decrypted requests as they are. Its allocation
 * functions are variables that it declares for programs; the blocks stay malloc's, so what it allocated
 * before is freed the same way. No locks: set once, before the first session.
 */
#include "machine/tls_memory.h"
#include "base/alloc.h"

#include <gnutls/gnutls.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void free_wiped(void *memory) {
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

/* realloc may move the block and leave the old one behind as it was. */
static void *realloc_wiped(void *memory, size_t size) {
    size_t old = memory != NULL ? malloc_usable_size(memory) : 0;
    void *bigger = base_malloc(size);
    if (bigger != NULL && memory != NULL) {
        memcpy(bigger, memory, old < size ? old : size);
        free_wiped(memory);
    }
    return bigger;
}

void tls_memory_wipe(void) {
    gnutls_free = free_wiped;
    gnutls_realloc = realloc_wiped;
}
