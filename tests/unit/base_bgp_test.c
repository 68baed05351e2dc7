/*
 * The states and errors of BGP sessions: names that are apart, and a class for each.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/bgp.h"

static void states_have_names(void **state) {
    (void)state;
    for (int s = SESSION_IDLE; s < SESSION_STATE_COUNT; s++) {
        assert_int_equal(session_state_by_name(session_state_name((enum session_state)s)), s);
    }
    assert_int_equal(session_state_by_name("established"), SESSION_ABSENT);
    assert_int_equal(session_state_by_name(""), SESSION_ABSENT);
    assert_int_equal(session_state_by_name(NULL), SESSION_ABSENT);
}

static void names_have_classes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum session_error class;
    } CASES[] = {
        {"OpenMessage/BadPeerAS", SESSION_ERROR_BAD_PEER_AS},
        {"OpenMessage/SomethingNew", SESSION_ERROR_OPEN},
        {"OpenMessage", SESSION_ERROR_OPEN},
        {"UpdateMessage/AttributeFlagsError", SESSION_ERROR_UPDATE},
        {"Cease", SESSION_ERROR_CEASE},
        {"Cease/BFDDown", SESSION_ERROR_CEASE},
        {"Cease/SomethingNew", SESSION_ERROR_CEASE},
        {"Ceased", SESSION_ERROR_OTHER},
        {"Socket/ConnectionClosed", SESSION_ERROR_RESET},
        {"Socket/SomethingNew", SESSION_ERROR_OTHER},
        {"Something/New", SESSION_ERROR_OTHER},
        {"", SESSION_ERROR_NONE},
        {NULL, SESSION_ERROR_NONE},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        assert_int_equal(session_error_by_code(CASES[i].name), CASES[i].class);
    }
}

/* What kernels tell, and not daemons, has no row; all else that can be judged has. */
static void every_class_has_a_row(void **state) {
    (void)state;
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    for (int class = SESSION_ERROR_BAD_PEER_AS; class < SESSION_ERROR_MD5_DIFFERS; class ++) {
        size_t rows = 0;
        for (size_t i = 0; i < count; i++) {
            rows += errors[i].class == (enum session_error) class;
        }
        assert_int_not_equal(rows, 0);
    }
}

static void rows_are_apart(void **state) {
    (void)state;
    size_t count;
    const struct bgp_error *errors = bgp_errors(&count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(session_error_by_code(errors[i].name), errors[i].class);
        assert_true(errors[i].words[0] != '\0');
        for (const char *c = errors[i].words; *c != '\0'; c++) {
            assert_int_equal(*c, tolower((unsigned char)*c));
        }
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(errors[i].name, errors[k].name);
            assert_true(errors[i].code != errors[k].code || errors[i].subcode != errors[k].subcode);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(names_have_classes),
        cmocka_unit_test(every_class_has_a_row),
        cmocka_unit_test(rows_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
