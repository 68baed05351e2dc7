/* Metadata: names, namespaces, labels, annotations, each limit at its edge. */
#include "model_test.h"

static struct node_bgp_spec bgp = {.ipv4_address = "10.0.0.1/24"};
static struct node_spec spec = {.bgp = &bgp};
static struct node body = {.spec = &spec};

static char *letters(char *out, size_t count) {
    memset(out, 'a', count);
    out[count] = '\0';
    return out;
}

static void check_name(const char *name, bool valid, bool portable) {
    char why[256] = "";
    assert_int_equal(name_is_valid(name, why, sizeof why), valid);
    assert_int_equal(why[0] == '\0', valid);
    if (valid) {
        assert_int_equal(name_is_portable(name), portable);
    }
}

static void test_names(void **state) {
    (void)state;
    char long_name[256];
    check_name("rack1-tor", true, true);
    check_name("node.rack1-host1", true, true);
    check_name("7", true, true);
    check_name(letters(long_name, 253), true, true);
    check_name(letters(long_name, 254), false, false);
    check_name("Rack1", true, false);
    check_name("rack_1", true, false);
    check_name("a..b", true, false);
    check_name("a.-b", true, false);
    check_name("", false, false);
    check_name("-a", false, false);
    check_name("a-", false, false);
    check_name(".a", false, false);
    check_name("a_", false, false);
    check_name("a/b", false, false);
    check_name("a b", false, false);
    check_name("caf\xC3\xA9", false, false);
}

static void test_name_is_required(void **state) {
    (void)state;
    expect_error(KIND_NODE, NULL, &body, CAUSE_REQUIRED, "metadata.name", "generateName");
    expect_error(KIND_NODE, "", &body, CAUSE_REQUIRED, "metadata.name", "generateName");
    expect_error(KIND_NODE, "a b\n", &body, CAUSE_INVALID, "metadata.name", "\"a b\\u000a\"");
}

static void judge_generated(const char *generate_name, size_t errors) {
    struct object object = make_object(KIND_NODE, NULL, &body);
    object.meta.generate_name = generate_name;
    struct verdict verdict;
    judge(&verdict, &object);
    assert_int_equal(verdict.causes.count, errors);
    if (errors != 0) {
        assert_string_equal(verdict.causes.items[0].field, "metadata.generateName");
    }
    arena_done(&verdict.arena);
}

static void test_generated_names(void **state) {
    (void)state;
    char long_name[256];
    judge_generated("rack1-", 0);
    judge_generated(letters(long_name, 248), 0);
    judge_generated(letters(long_name, 249), 1);
    judge_generated("-rack", 1);
    judge_generated("a b", 1);
}

static void judge_namespace(enum kind kind, const char *name_space, const char *reason) {
    struct secret secret = {.type = NULL};
    struct object object = make_object(kind, "x", kind == KIND_SECRET ? (void *)&secret : (void *)&body);
    object.meta.name_space = name_space;
    struct verdict verdict;
    judge(&verdict, &object);
    assert_int_equal(verdict.causes.count, reason != NULL);
    if (reason != NULL) {
        assert_string_equal(verdict.causes.items[0].reason, reason);
        assert_string_equal(verdict.causes.items[0].field, "metadata.namespace");
    }
    arena_done(&verdict.arena);
}

static void test_namespaces(void **state) {
    (void)state;
    char long_name[256];
    judge_namespace(KIND_SECRET, "default", NULL);
    judge_namespace(KIND_SECRET, letters(long_name, 63), NULL);
    judge_namespace(KIND_SECRET, letters(long_name, 64), CAUSE_INVALID);
    judge_namespace(KIND_SECRET, "a.b", CAUSE_INVALID);
    judge_namespace(KIND_SECRET, "A", CAUSE_INVALID);
    judge_namespace(KIND_SECRET, NULL, CAUSE_REQUIRED);
    judge_namespace(KIND_NODE, NULL, NULL);
    judge_namespace(KIND_NODE, "default", CAUSE_FORBIDDEN);
}

static size_t label_errors(const char *key, const char *value, bool annotation, bool *ret_advised) {
    struct label label = {.key = key, .value = value};
    struct object object = make_object(KIND_NODE, "x", &body);
    struct label_set set = {.count = 1, .items = &label};
    *(annotation ? &object.meta.annotations : &object.meta.labels) = set;
    struct verdict verdict;
    judge(&verdict, &object);
    size_t count = verdict.causes.count;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(verdict.causes.items[i].field,
                            annotation ? "metadata.annotations" : "metadata.labels");
    }
    *ret_advised = has_advice(&verdict, "not portable");
    arena_done(&verdict.arena);
    return count;
}

static void check_label(const char *key, const char *value, size_t errors) {
    bool advised;
    assert_int_equal(label_errors(key, value, false, &advised), errors);
    assert_int_equal(advised && errors == 0, errors == 0 && key[strlen(key) - 1] == '_');
}

static void check_annotation(const char *key, size_t errors) {
    bool advised;
    assert_int_equal(label_errors(key, "any\nvalue", true, &advised), errors);
}

static void test_labels(void **state) {
    (void)state;
    char text[512];
    check_label("rack", "a", 0);
    check_label("kubernetes.io/hostname", "Host_1.x", 0);
    check_label("rack", "", 0);
    check_label(letters(text, 63), "x", 0);
    check_label(letters(text, 64), "x", 1);
    check_label("rack", letters(text, 63), 0);
    check_label("rack", letters(text, 64), 1);
    check_label("rack", "-a", 1);
    check_label("rack", "a b", 1);
    check_label("a b", "a b", 2);
    check_label("", "x", 1);
    check_label("a/b/c", "x", 1);
    check_label("/b", "x", 1);
    check_label("a/", "x", 1);
    check_label("Upper.io/b", "x", 1);
    check_label("-a", "x", 1);
    letters(text, 253);
    strcat(text, "/b");
    check_label(text, "x", 0);
    letters(text, 254);
    strcat(text, "/b");
    check_label(text, "x", 1);
}

static void test_label_key_may_end_with_one_underscore(void **state) {
    (void)state;
    char text[128];
    check_label("rr_", "x", 0);
    check_label("example.org/rr_", "x", 0);
    check_label("rr__", "x", 1);
    check_label("_", "x", 1);
    check_label("rr-", "x", 1);
    letters(text, 63);
    text[62] = '_';
    check_label(text, "x", 0);
    letters(text, 64);
    text[63] = '_';
    check_label(text, "x", 1);
}

static void test_annotations(void **state) {
    (void)state;
    check_annotation("kubectl.kubernetes.io/last-applied-configuration", 0);
    check_annotation("Upper.io/b", 0);
    check_annotation("a b", 1);
    check_annotation("a_", 1);
}

static void test_annotation_size(void **state) {
    (void)state;
    static char value[256 * 1024 + 1];
    for (int over = 0; over <= 1; over++) {
        struct label label = {.key = "note",
                              .value = letters(value, sizeof value - 1 - strlen("note") + (size_t)over)};
        struct object object = make_object(KIND_NODE, "x", &body);
        object.meta.annotations = (struct label_set){.count = 1, .items = &label};
        struct verdict verdict;
        judge(&verdict, &object);
        assert_int_equal(verdict.causes.count, over);
        arena_done(&verdict.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_name_is_required),
        cmocka_unit_test(test_generated_names), cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_labels),          cmocka_unit_test(test_label_key_may_end_with_one_underscore),
        cmocka_unit_test(test_annotations),     cmocka_unit_test(test_annotation_size),
    };
    return cmocka_run_group_tests_name("model metadata", tests, NULL, NULL);
}
