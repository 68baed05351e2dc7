/*
 * Where the vectors are, for the conformance tests.
 *
 * Shared vectors: the folder $CONFORMANCE_DIR, ../shared/conformance by default; a machine without that
 * folder skips them. Our own cases: tests/conformance/own, which must be there. Both are in one format.
 * The tests run in the root of the repository.
 */
#ifndef BGPPEERD_TESTS_CONFORMANCE_VECTORS_H
#define BGPPEERD_TESTS_CONFORMANCE_VECTORS_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWN_VECTORS_DIR "tests/conformance/own"

static inline const char *shared_vectors_dir(void) {
    const char *dir = getenv("CONFORMANCE_DIR");
    return dir != NULL && dir[0] != '\0' ? dir : "../shared/conformance";
}

/* Read `name` in `dir`; a file that is missing or no JSON fails the test. The caller calls json_decref. */
static inline json_t *load_vectors(const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    json_error_t error;
    json_t *vectors = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (vectors == NULL) {
        print_error("%s:%d: %s\n", path, error.line, error.text);
        fail();
    }
    return vectors;
}

/* As load_vectors; without the folder the test is skipped, and a message says so. */
static inline json_t *load_shared_vectors(const char *name) {
    if (access(shared_vectors_dir(), R_OK) != 0) {
        print_message("no shared vectors at %s: set CONFORMANCE_DIR to run them\n", shared_vectors_dir());
        skip();
    }
    return load_vectors(shared_vectors_dir(), name);
}

static inline const char *vector_text(const json_t *vector, const char *key) {
    const char *text = json_string_value(json_object_get(vector, key));
    return text != NULL ? text : "";
}

#endif
