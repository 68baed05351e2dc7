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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "codec.h"

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

/* ---- the usual program: a file of vectors, each of which passes or does not ---- */

struct vector_suite {
    const char *title;              /* of the program */
    const char *file;               /* an array, among the shared vectors and among our own */
    const char *what;               /* they are: "documents" */
    bool (*passes)(json_t *vector); /* false: it has said what is wrong */
};

static inline void run_vectors(const struct vector_suite *suite, json_t *vectors) {
    json_t *vector;
    size_t i, wrong = 0;
    json_array_foreach(vectors, i, vector) {
        wrong += !suite->passes(vector);
    }
    print_message("%zu %s, %zu wrong\n", i, suite->what, wrong);
    assert_true(i > 0);
    json_decref(vectors);
    assert_int_equal(wrong, 0);
}

static inline void shared_vectors(void **state) {
    const struct vector_suite *suite = *state;
    run_vectors(suite, load_shared_vectors(suite->file));
}

static inline void own_vectors(void **state) {
    const struct vector_suite *suite = *state;
    run_vectors(suite, load_vectors(OWN_VECTORS_DIR, suite->file));
}

/* Before any vector is loaded: the codec changes jansson's allocator. */
static inline int start_codec(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return codec_start(&err);
}

/* What main() returns. */
static inline int run_suite(struct vector_suite *suite) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(shared_vectors, suite),
        cmocka_unit_test_prestate(own_vectors, suite),
    };
    return cmocka_run_group_tests_name(suite->title, tests, start_codec, NULL);
}

#endif
