/*
 * selectors.json: what parses and what does not, the canonical text, and which labels match.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "selector.h"
#include "vectors.h"

static struct selector *parse(const json_t *vector, struct err *err) {
    const json_t *text = json_object_get(vector, "selector");
    assert_true(json_is_string(text));
    struct selector *selector = NULL;
    if (selector_parse(json_string_value(text), json_string_length(text), &selector, err) != 0) {
        return NULL;
    }
    return selector;
}

static int compare_labels(const void *a, const void *b) {
    return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

static bool matches(const struct selector *selector, json_t *labels) {
    assert_true(json_is_object(labels));
    struct label items[64];
    struct label_set set = {.count = 0, .items = items};
    const char *key;
    json_t *value;
    json_object_foreach(labels, key, value) {
        assert_true(set.count < sizeof items / sizeof items[0]);
        items[set.count++] = (struct label){.key = key, .value = json_string_value(value)};
    }
    qsort(items, set.count, sizeof items[0], compare_labels);
    return selector_matches(selector, &set);
}

/*
 * The canonical text is the one wanted, if one is wanted, and is canonical itself. The exception is "!!",
 * which comes of !(!...): Calico keeps both, but drops them when it reads them without the parentheses.
 */
static const char *check_canonical(const struct selector *selector, const json_t *vector) {
    const json_t *wanted = json_object_get(vector, "canonical");
    const char *text = selector_canonical(selector);
    if (wanted != NULL && strcmp(text, json_string_value(wanted)) != 0) {
        return text;
    }
    struct err err = ERR_INIT;
    struct selector *again = NULL;
    if (selector_parse(text, strlen(text), &again, &err) != 0) {
        return "the canonical text is refused";
    }
    bool same = strcmp(selector_canonical(again), text) == 0 || strstr(text, "!!") != NULL;
    selector_free(again);
    return same ? NULL : "the canonical text has another canonical text";
}

/* What is wrong, NULL for nothing. The vector says by its members what it wants. */
static const char *check(json_t *vector, bool valid) {
    static char problem[4096];
    struct err err = ERR_INIT;
    struct selector *selector = parse(vector, &err);
    if (selector == NULL) {
        bool explained = err.code == ERR_INVALID && err.text[0] != '\0' && err.offset >= 0 &&
                         err.offset <= (int64_t)json_string_length(json_object_get(vector, "selector"));
        const json_t *offset = json_object_get(vector, "offset");
        if (offset != NULL && json_integer_value(offset) != err.offset) {
            snprintf(problem, sizeof problem, "refused at byte %lld: %s", (long long)err.offset, err.text);
            return problem;
        }
        if (valid) {
            snprintf(problem, sizeof problem, "refused: %s", err.text);
            return problem;
        }
        return explained ? NULL : "refused without code, offset or text";
    }
    const char *found = NULL;
    if (!valid) {
        found = "accepted";
    } else {
        found = check_canonical(selector, vector);
    }
    const json_t *wanted = json_object_get(vector, "matches");
    if (found == NULL && wanted != NULL &&
        matches(selector, json_object_get(vector, "labels")) != json_is_true(wanted)) {
        found = json_is_true(wanted) ? "does not match" : "matches";
    }
    if (found != NULL) {
        snprintf(problem, sizeof problem, "%s", found);
        found = problem;
    }
    selector_free(selector);
    return found;
}

/* A group whose name ends in "invalid" holds what must be refused, any other what must be accepted. */
static void run(json_t *groups) {
    size_t count = 0;
    size_t failed = 0;
    const char *name;
    json_t *group;
    json_object_foreach(groups, name, group) {
        bool valid = strstr(name, "invalid") == NULL;
        size_t i;
        json_t *vector;
        json_array_foreach(group, i, vector) {
            const char *problem = check(vector, valid);
            count++;
            if (problem != NULL) {
                failed++;
                print_error("%s: %s: %s\n", vector_text(vector, "id"), vector_text(vector, "selector"),
                            problem);
            }
        }
    }
    json_decref(groups);
    print_message("%zu selectors, %zu wrong\n", count, failed);
    assert_true(count > 0);
    assert_int_equal(failed, 0);
}

static void shared_selectors(void **state) {
    (void)state;
    run(load_shared_vectors("selectors.json"));
}

static void own_selectors(void **state) {
    (void)state;
    run(load_vectors(OWN_VECTORS_DIR, "selectors.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_selectors),
        cmocka_unit_test(own_selectors),
    };
    return cmocka_run_group_tests_name("conformance: selectors", tests, NULL, NULL);
}
