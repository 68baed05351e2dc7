/* The router: its tree, and the table of everything that is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "request/router.h"

static int never(struct request *request, struct err *err) {
    (void)request;
    return err_set(err, ERR_INTERNAL, "not called");
}

static struct route route(enum method method, const char *path, unsigned flags) {
    return (struct route){method, path, "get", NULL, ROUTE_KIND_NONE, flags, 0, never};
}

/* The pattern of the path's node, by its GET route; NULL: no such path. */
static const char *find(const struct router *router, const char *path, struct router_piece *pieces,
                        size_t *count) {
    *count = 0;
    const struct router_node *node = router_find(router, path, strlen(path), pieces, count);
    return node != NULL ? node->routes[METHOD_GET]->path : NULL;
}

static void test_literals_parameters_and_slashes(void **state) {
    (void)state;
    const struct route routes[] = {
        route(METHOD_GET, "/a", ROUTE_PLAIN),
        route(METHOD_GET, "/a/b", ROUTE_PLAIN),
        route(METHOD_GET, "/a/{x}", ROUTE_PLAIN),
        route(METHOD_GET, "/a/{x}/c/{y}", ROUTE_PLAIN),
    };
    struct router *router = malloc(sizeof(*router));
    struct err err = ERR_INIT;
    struct router_piece pieces[ROUTE_PARAMS_MAX];
    size_t count;
    assert_non_null(router);
    assert_int_equal(router_init(router, routes, 4, &err), 0);
    assert_string_equal(find(router, "/a", pieces, &count), "/a");
    assert_string_equal(find(router, "/a/b", pieces, &count), "/a/b");
    assert_int_equal(count, 0);
    assert_string_equal(find(router, "/a/b/", pieces, &count), "/a/b");
    assert_string_equal(find(router, "/a/bb", pieces, &count), "/a/{x}");
    assert_int_equal(count, 1);
    assert_string_equal(find(router, "/a/%zz/c/%2F", pieces, &count), "/a/{x}/c/{y}");
    assert_int_equal(count, 2);
    assert_int_equal(pieces[0].len, 3);
    assert_memory_equal(pieces[0].text, "%zz", 3);
    assert_memory_equal(pieces[1].text, "%2F", 3);
    assert_string_equal(find(router, "/a/", pieces, &count), "/a");
    assert_int_equal(count, 0);
    assert_string_equal(find(router, "/a/x/", pieces, &count), "/a/{x}");
    assert_int_equal(count, 1);
    static const char *const NOWHERE[] = {"",       "/",   "a",       "//a",      "/a//", "/a//c/d",
                                          "/a/x/c", "/aa", "/a/x/c/", "/a/x/d/y", "/A",   "/a/b//",
                                          "/a/b/c", "/b",  "//",      "/a/x//"};
    for (size_t i = 0; i < sizeof(NOWHERE) / sizeof(NOWHERE[0]); i++) {
        assert_null(find(router, NOWHERE[i], pieces, &count));
    }
    free(router);
}

static void test_methods(void **state) {
    (void)state;
    const struct route routes[] = {
        route(METHOD_DELETE, "/x", ROUTE_PLAIN),
        route(METHOD_GET, "/x", ROUTE_PLAIN),
        route(METHOD_POST, "/y", ROUTE_PLAIN),
    };
    struct router *router = malloc(sizeof(*router));
    struct err err = ERR_INIT;
    struct router_piece pieces[ROUTE_PARAMS_MAX];
    size_t count;
    char allow[ROUTER_ALLOW_MAX];
    assert_non_null(router);
    assert_int_equal(router_init(router, routes, 3, &err), 0);
    const struct router_node *node = router_find(router, "/x", 2, pieces, &count);
    assert_non_null(node);
    assert_ptr_equal(router_route(node, METHOD_GET), &routes[1]);
    assert_ptr_equal(router_route(node, METHOD_HEAD), &routes[1]);
    assert_ptr_equal(router_route(node, METHOD_DELETE), &routes[0]);
    assert_null(router_route(node, METHOD_POST));
    assert_null(router_route(node, METHOD_OTHER));
    router_allow(node, allow);
    assert_string_equal(allow, "GET, HEAD, DELETE");
    router_allow(router_find(router, "/y", 2, pieces, &count), allow);
    assert_string_equal(allow, "POST");
    static const char *const OTHERS[] = {"get",  "GETS", "GE",    "",        "POSTS",
                                         "PATC", "PUTT", "HEADS", "DELETED", "OPTIONS"};
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        assert_int_equal(method_parse(OTHERS[i]), METHOD_OTHER);
    }
    for (int method = METHOD_GET; method <= METHOD_HEAD; method++) {
        assert_int_equal(method_parse(method_text((enum method)method)), method);
    }
    free(router);
}

static void test_bad_tables(void **state) {
    (void)state;
    const struct route twice[] = {route(METHOD_GET, "/a/{x}", ROUTE_PLAIN),
                                  route(METHOD_GET, "/a/{y}", ROUTE_PLAIN)};
    static struct route many[ROUTER_NODES_MAX + 1];
    static char paths[ROUTER_NODES_MAX + 1][8];
    struct router *router = malloc(sizeof(*router));
    struct err err = ERR_INIT;
    assert_non_null(router);
    assert_int_equal(router_init(router, twice, 2, &err), -1);
    assert_non_null(strstr(err.text, "twice"));
    for (size_t i = 0; i <= ROUTER_NODES_MAX; i++) {
        paths[i][0] = '/';
        for (size_t k = 0; k < 3; k++) {
            paths[i][1 + k] = (char)('0' + (i / (k == 0 ? 100u : k == 1 ? 10u : 1u)) % 10);
        }
        many[i] = route(METHOD_GET, paths[i], ROUTE_PLAIN);
    }
    assert_int_equal(router_init(router, many, ROUTER_NODES_MAX - 1, &err), 0);
    err_clear(&err);
    assert_int_equal(router_init(router, many, ROUTER_NODES_MAX, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    free(router);
}

/* Every row is reachable by its own pattern, and says all that authorization and discovery need. */
static void test_the_table(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    struct router *router = malloc(sizeof(*router));
    struct err err = ERR_INIT;
    assert_non_null(router);
    assert_int_equal(router_init(router, routes, count, &err), 0);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        struct router_piece pieces[ROUTE_PARAMS_MAX];
        size_t found = 0;
        size_t wanted = 0;
        for (const char *c = routes[i].path; *c != '\0'; c++) {
            wanted += *c == '{';
        }
        const struct router_node *node =
            router_find(router, routes[i].path, strlen(routes[i].path), pieces, &found);
        assert_non_null(node);
        assert_ptr_equal(router_route(node, routes[i].method), &routes[i]);
        assert_int_equal(found, wanted);
        assert_non_null(routes[i].handler);
        assert_non_null(routes[i].verb);
        assert_true(routes[i].verb[0] != '\0');
        assert_true(routes[i].kind == ROUTE_KIND_NONE || routes[i].resource != NULL);
        /* Reading never takes a body. */
        assert_true(routes[i].method != METHOD_GET || (routes[i].flags & ROUTE_BODY) == 0);
    }
    free(router);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_parameters_and_slashes),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_the_table),
    };
    return cmocka_run_group_tests_name("http_router", tests, NULL, NULL);
}
