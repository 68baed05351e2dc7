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

static bool vector_passes(json_t *vector) {
    bool right = is_right(vector);
    if (!right) {
        print_error("%s: %s: wrong\n", vector_text(vector, "id"), vector_text(vector, "input"));
    }
    return right;
}

int main(void) {
    struct vector_suite suite = {.title = "conformance: peer addresses",
                                 .file = "ipport.json",
                                 .what = "addresses",
                                 .passes = vector_passes};
    return run_suite(&suite);
}
