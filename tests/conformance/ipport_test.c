/* ipport.json: the forms of peerIP, their canonical address and port. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/ip.h"
#include "vectors.h"

static bool is_right(const json_t *vector) {
    const json_t *input = json_object_get(vector, "input");
    struct ip_endpoint endpoint = {.port = 0};
    bool accepted = ip_parse_endpoint(json_string_value(input), json_string_length(input), &endpoint);
    if (accepted != json_is_true(json_object_get(vector, "accepted"))) {
        return false;
    }
    if (!accepted) {
        return true;
    }
    char text[IP_TEXT_MAX];
    ip_format(&endpoint.addr, text);
    /* A port of null reads as the integer 0, which is how an endpoint says that none was written. */
    return strcmp(text, vector_text(vector, "ip")) == 0 &&
           json_integer_value(json_object_get(vector, "port")) == endpoint.port &&
           json_integer_value(json_object_get(vector, "family")) == endpoint.addr.family;
}

static void run(json_t *vectors) {
    size_t failed = 0;
    size_t i;
    json_t *vector;
    json_array_foreach(vectors, i, vector) {
        if (!is_right(vector)) {
            failed++;
            print_error("%s: %s: wrong\n", vector_text(vector, "id"), vector_text(vector, "input"));
        }
    }
    size_t count = json_array_size(vectors);
    json_decref(vectors);
    print_message("%zu addresses, %zu wrong\n", count, failed);
    assert_true(count > 0);
    assert_int_equal(failed, 0);
}

static void shared_addresses(void **state) {
    (void)state;
    run(load_shared_vectors("ipport.json"));
}

static void own_addresses(void **state) {
    (void)state;
    run(load_vectors(OWN_VECTORS_DIR, "ipport.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_addresses),
        cmocka_unit_test(own_addresses),
    };
    return cmocka_run_group_tests_name("conformance: peer addresses", tests, NULL, NULL);
}
