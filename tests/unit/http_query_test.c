/* Query parameters: the table of names, and which of them a route takes, refuses or does not look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "request/query.h"
#include "request/router.h"

#define TEXT_MAX 64

static int check(const struct route *route, const char *text, const char *value) {
    struct err err = ERR_INIT;
    const struct query_item item = {.name = query_find(text), .text = text, .value = value};
    int result = query_check(route, &item, 1, &err);
    assert_int_equal(err.code, result == 0 ? ERR_NONE : ERR_BAD_REQUEST);
    return result;
}

static void every_name_is_found_and_like_no_other(void **state) {
    (void)state;
    for (enum query_name name = 0; name < QUERY_COUNT; name++) {
        assert_non_null(query_name_text(name));
        assert_int_equal(query_find(query_name_text(name)), name);
    }
    assert_int_equal(query_find(""), QUERY_COUNT);
}

/* A spelling of the name: with other case, or with a character put in at one place. */
static void misspell(const char *text, size_t way, char out[TEXT_MAX]) {
    static const char BETWEEN[] = "-_. [";
    size_t at = way / (sizeof(BETWEEN) + 1) % (strlen(text) + 1);
    size_t kind = way % (sizeof(BETWEEN) + 1);
    if (kind < sizeof(BETWEEN) - 1) {
        snprintf(out, TEXT_MAX, "%.*s%c%s", (int)at, text, BETWEEN[kind], text + at);
        return;
    }
    snprintf(out, TEXT_MAX, "%s", text);
    for (char *c = out; *c != '\0'; c++) {
        bool change = kind == sizeof(BETWEEN) ? true : (size_t)(c - out) == at;
        *c = (char)(!change ? *c : islower((unsigned char)*c) ? toupper(*c) : tolower(*c));
    }
}

static void no_route_takes_a_misspelt_name(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        for (enum query_name name = 0; name < QUERY_COUNT; name++) {
            const char *text = query_name_text(name);
            for (size_t way = 0; way < (strlen(text) + 1) * 7; way++) {
                char wrong[TEXT_MAX];
                misspell(text, way, wrong);
                if (strcmp(wrong, text) != 0 && check(&routes[i], wrong, "All") == 0) {
                    fail_msg("%s %s takes %s", method_text(routes[i].method), routes[i].path, wrong);
                }
            }
        }
    }
}

static void every_route_takes_what_it_says(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(check(&routes[i], "pretty", "true"), 0);
        for (enum query_name name = 0; name < QUERY_COUNT; name++) {
            bool taken = (routes[i].query & QUERY_SET(name)) != 0;
            if (taken) {
                assert_int_equal(check(&routes[i], query_name_text(name), "x"), 0);
            } else if ((routes[i].flags & ROUTE_OWN) != 0 && name != QUERY_PRETTY) {
                assert_int_equal(check(&routes[i], query_name_text(name), "x"), -1);
            }
        }
        bool harmless = routes[i].method == METHOD_GET && (routes[i].flags & ROUTE_OWN) == 0;
        assert_int_equal(check(&routes[i], "nothing-like-it", "x"), harmless ? 0 : -1);
    }
}

static void a_parameter_comes_twice_with_one_value(void **state) {
    (void)state;
    const struct route route = {.verb = "list", .query = QUERY_SET(QUERY_LIMIT)};
    const struct query_item same[] = {{QUERY_LIMIT, "limit", "1"},
                                      {QUERY_COUNT, "x", "1"},
                                      {QUERY_COUNT, "x", "2"},
                                      {QUERY_LIMIT, "limit", "1"}};
    const struct query_item other[] = {{QUERY_LIMIT, "limit", "1"}, {QUERY_LIMIT, "limit", ""}};
    struct err err = ERR_INIT;
    assert_int_equal(query_check(&route, same, 4, &err), 0);
    assert_int_equal(query_check(&route, other, 2, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    err_clear(&err);
    assert_int_equal(query_check(&route, NULL, 0, &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_and_like_no_other),
        cmocka_unit_test(no_route_takes_a_misspelt_name),
        cmocka_unit_test(every_route_takes_what_it_says),
        cmocka_unit_test(a_parameter_comes_twice_with_one_value),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
