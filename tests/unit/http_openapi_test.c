/*
 * The OpenAPI document and the route table describe the same service: every route is a path of the
 * document with its method and its parameters, and the document promises nothing that has no route.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "admin/openapi.h"
#include "request/router.h"

static json_t *document;

static int load_document(void **state) {
    (void)state;
    json_error_t error;
    const struct openapi_document *own = &openapi_documents[OPENAPI_OWN];
    document = json_loadb(own->bytes, own->len, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        print_error("/openapi.json: %s\n", error.text);
        return -1;
    }
    return 0;
}

static int drop_document(void **state) {
    (void)state;
    json_decref(document);
    return 0;
}

static json_t *find_operation(const struct route *route) {
    json_t *path = json_object_get(json_object_get(document, "paths"), route->path);
    char method[16];
    size_t len = 0;
    for (const char *c = method_text(route->method); *c != '\0' && len < sizeof(method) - 1; c++) {
        method[len++] = (char)(*c | 0x20);
    }
    method[len] = '\0';
    return json_object_get(path, method);
}

static void every_route_is_described(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        json_t *operation = find_operation(&routes[i]);
        if (operation == NULL) {
            fail_msg("%s %s is served and is not in api/openapi-skeleton.json", method_text(routes[i].method),
                     routes[i].path);
        }
        assert_non_null(json_object_get(operation, "operationId"));
        assert_true(json_object_size(json_object_get(operation, "responses")) > 0);
        bool has_body = json_object_get(operation, "requestBody") != NULL;
        if (has_body != ((routes[i].flags & ROUTE_BODY) != 0)) {
            fail_msg("%s %s: the document and the route table disagree on whether it reads a body",
                     method_text(routes[i].method), routes[i].path);
        }
    }
}

/* The bit of a described parameter; 0: it is none of the query. Parameters may stand elsewhere, by "$ref". */
static query_set described_query(json_t *parameter) {
    const char *ref = json_string_value(json_object_get(parameter, "$ref"));
    if (ref != NULL) {
        json_t *declared = json_object_get(json_object_get(document, "components"), "parameters");
        parameter = json_object_get(declared, strrchr(ref, '/') + 1);
        assert_non_null(parameter);
    }
    if (strcmp(json_string_value(json_object_get(parameter, "in")), "query") != 0) {
        return 0;
    }
    const char *text = json_string_value(json_object_get(parameter, "name"));
    enum query_name name = query_find(text);
    if (name == QUERY_COUNT) {
        fail_msg("the query parameter %s is in the document and is not known", text);
    }
    return QUERY_SET(name);
}

/* What a route takes is what the document says; `pretty` is taken by all, whether it is said or not. */
static void query_parameters_are_those_of_the_route(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        query_set described = 0;
        size_t k;
        json_t *parameter;
        json_array_foreach(json_object_get(find_operation(&routes[i]), "parameters"), k, parameter) {
            described |= described_query(parameter);
        }
        query_set different = (described ^ routes[i].query) & ~QUERY_SET(QUERY_PRETTY);
        for (enum query_name name = 0; name < QUERY_COUNT; name++) {
            if ((different & QUERY_SET(name)) != 0) {
                fail_msg("%s %s: the route %s the query parameter %s, the document says otherwise",
                         method_text(routes[i].method), routes[i].path,
                         (routes[i].query & QUERY_SET(name)) != 0 ? "takes" : "does not take",
                         query_name_text(name));
            }
        }
    }
}

static bool has_route(const char *path, const char *method) {
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].path, path) == 0 && strcasecmp(method_text(routes[i].method), method) == 0) {
            return true;
        }
    }
    return false;
}

static void everything_described_has_a_route(void **state) {
    (void)state;
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(document, "paths"), path, item) {
        const char *method;
        json_t *operation;
        json_object_foreach(item, method, operation) {
            if (strcmp(method, "parameters") != 0 && !has_route(path, method)) {
                fail_msg("%s %s is in the document and is not served", method, path);
            }
        }
    }
}

/* The kinds' names in the document are those of the table that serves them. */
static void routes_of_a_kind_answer_with_its_schema(void **state) {
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct route *route = &routes[i];
        if (route->kind == ROUTE_KIND_NONE || strchr(route->resource, '/') != NULL) {
            continue;
        }
        json_t *tags = json_object_get(find_operation(route), "tags");
        assert_string_equal(json_string_value(json_array_get(tags, 0)), kind_info(route->kind)->name);
        json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
        json_t *schema = json_object_get(schemas, kind_info(route->kind)->name);
        assert_non_null(json_object_get(json_object_get(schema, "properties"), "metadata"));
    }
}

/* Each {word} of a path is declared as a required path parameter, by name. */
static void path_parameters_are_declared(void **state) {
    (void)state;
    json_t *declared = json_object_get(json_object_get(document, "components"), "parameters");
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(document, "paths"), path, item) {
        size_t wanted = 0;
        for (const char *c = path; *c != '\0'; c++) {
            wanted += *c == '{';
        }
        json_t *parameters = json_object_get(item, "parameters");
        assert_int_equal(json_array_size(parameters), wanted);
        for (size_t i = 0; i < wanted; i++) {
            const char *ref = json_string_value(json_object_get(json_array_get(parameters, i), "$ref"));
            assert_non_null(ref);
            json_t *parameter = json_object_get(declared, strrchr(ref, '/') + 1);
            char placeholder[64];
            snprintf(placeholder, sizeof(placeholder), "{%s}",
                     json_string_value(json_object_get(parameter, "name")));
            assert_non_null(strstr(path, placeholder));
            assert_string_equal(json_string_value(json_object_get(parameter, "in")), "path");
            assert_true(json_is_true(json_object_get(parameter, "required")));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(query_parameters_are_those_of_the_route),
        cmocka_unit_test(everything_described_has_a_route),
        cmocka_unit_test(routes_of_a_kind_answer_with_its_schema),
        cmocka_unit_test(path_parameters_are_declared),
    };
    return cmocka_run_group_tests_name("openapi", tests, load_document, drop_document);
}
