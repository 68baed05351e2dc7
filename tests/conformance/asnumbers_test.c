/*
 * asnumbers.json, the vectors whose JSON text is a string: the text of an AS number. What other JSON values
 * are (integers, reals, -0, arrays) is the rule of the codec room and is tested there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "base/number.h"
#include "vectors.h"

static bool is_right(const json_t *vector, const json_t *text) {
    uint32_t value = 0;
    bool accepted = asn_parse(json_string_value(text), json_string_length(text), &value);
    if (accepted != json_is_true(json_object_get(vector, "accepted"))) {
        return false;
    }
    return !accepted || json_integer_value(json_object_get(vector, "asNumber")) == (json_int_t)value;
}

static void run(json_t *vectors) {
    size_t count = 0;
    size_t failed = 0;
    size_t i;
    json_t *vector;
    json_array_foreach(vectors, i, vector) {
        json_t *value = json_loads(vector_text(vector, "json"), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (json_is_string(value)) {
            count++;
            if (!is_right(vector, value)) {
                failed++;
                print_error("%s: %s: wrong\n", vector_text(vector, "id"), vector_text(vector, "json"));
            }
        }
        json_decref(value);
    }
    json_decref(vectors);
    print_message("%zu AS numbers, %zu wrong\n", count, failed);
    assert_true(count > 0);
    assert_int_equal(failed, 0);
}

static void shared_as_numbers(void **state) {
    (void)state;
    run(load_shared_vectors("asnumbers.json"));
}

static void own_as_numbers(void **state) {
    (void)state;
    run(load_vectors(OWN_VECTORS_DIR, "asnumbers.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_as_numbers),
        cmocka_unit_test(own_as_numbers),
    };
    return cmocka_run_group_tests_name("conformance: AS numbers", tests, NULL, NULL);
}
