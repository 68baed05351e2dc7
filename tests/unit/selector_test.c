/*
 * Selectors through their public face: evaluation, canonical text, keys, explanations, errors, limits, and
 * what happens when memory is out. The conformance tests hold the language itself against its vectors.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "selector.h"

static struct selector *parse(const char *text) {
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    if (selector_parse(text, strlen(text), &selector, &err) != 0) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    return selector;
}

static const struct label host_labels[] = {
    {"app", ""},
    {"projectcalico.org/role", "route-reflector"},
    {"rack", "rack-1"},
    {"zone", "eu-west-1a"},
};
static const struct label_set host = {4, host_labels};

static bool matches(const char *text, const struct label_set *labels) {
    struct selector *selector = parse(text);
    bool result = selector_matches(selector, labels);
    selector_free(selector);
    return result;
}

static void labels_are_found_by_key(void **state) {
    (void)state;
    for (size_t i = 0; i < host.count; i++) {
        assert_ptr_equal(label_set_get(&host, host_labels[i].key), host_labels[i].value);
    }
    assert_null(label_set_get(&host, ""));
    assert_null(label_set_get(&host, "rac"));
    assert_null(label_set_get(&host, "rack1"));
    assert_null(label_set_get(&host, "zzz"));
    assert_null(label_set_get(&(struct label_set){0, NULL}, "rack"));
}

static void present_labels_decide(void **state) {
    (void)state;
    assert_true(matches("rack == 'rack-1'", &host));
    assert_false(matches("rack == 'rack-11'", &host));
    assert_true(matches("rack in {'rack-2', 'rack-1'} && zone starts with 'eu-'", &host));
    assert_true(matches("has(app) && app == '' && app contains '' && app ends with ''", &host));
    assert_true(matches("projectcalico.org/role ends with 'reflector'", &host));
    assert_false(matches("zone contains 'us'", &host));
    assert_true(matches("all() && global()", &host));
}

static void absent_labels_match_only_negative_operators(void **state) {
    (void)state;
    static const struct label_set none = {0, NULL};
    assert_false(matches("a == ''", &none));
    assert_true(matches("a != ''", &none));
    assert_false(matches("a in {''}", &none));
    assert_false(matches("a in {}", &none));
    assert_true(matches("a not in {''}", &none));
    assert_true(matches("a not in {}", &none));
    assert_false(matches("a contains ''", &none));
    assert_false(matches("a starts with ''", &none));
    assert_false(matches("a ends with ''", &none));
    assert_false(matches("has(a)", &none));
}

/* Random expressions over four labels, printed and at the same time evaluated by the plain definition. */
struct generator {
    uint32_t seed;
    unsigned present; /* bit i: label "a" + i is there */
    char text[8192];
    size_t len;
};

static unsigned random_below(struct generator *generator, unsigned limit) {
    generator->seed = generator->seed * 1664525 + 1013904223;
    return (generator->seed >> 16) % limit;
}

static void print(struct generator *generator, const char *text) {
    size_t len = strlen(text);
    assert_true(generator->len + len < sizeof generator->text);
    memcpy(generator->text + generator->len, text, len + 1);
    generator->len += len;
}

static bool generate(struct generator *generator, unsigned depth) {
    unsigned kind = depth == 0 ? 0 : random_below(generator, 4);
    if (kind == 0) {
        unsigned label = random_below(generator, 4);
        bool here = (generator->present >> label & 1) != 0;
        static const char *const forms[] = {"%s in {'no', 'yes'}", "has(%s)", "%s == 'yes'",
                                            "%s not in {'yes'}"};
        unsigned form = random_below(generator, 4);
        const char name[] = {(char)('a' + label), '\0'};
        char leaf[32];
        snprintf(leaf, sizeof leaf, forms[form], name);
        print(generator, leaf);
        return form == 3 ? !here : here;
    }
    if (kind == 1) {
        print(generator, "!(");
        bool inner = generate(generator, depth - 1);
        print(generator, ")");
        return !inner;
    }
    bool is_and = kind == 2;
    bool result = is_and;
    unsigned terms = 1 + random_below(generator, 4);
    print(generator, "(");
    for (unsigned i = 0; i < terms; i++) {
        if (i != 0) {
            print(generator, is_and ? "&&" : "||");
        }
        bool term = generate(generator, depth - 1);
        result = is_and ? result && term : result || term;
    }
    print(generator, ")");
    return result;
}

/* Does one of the anchor's values stand at its key? True when there is no anchor. */
static bool has_anchor(const struct selector *selector, const struct label_set *labels) {
    const char *key = NULL;
    size_t count = selector_anchor(selector, &key);
    const char *value = count != 0 ? label_set_get(labels, key) : NULL;
    for (size_t i = 0; value != NULL && i < count; i++) {
        size_t len = 0;
        const char *wanted = selector_anchor_value(selector, i, &len);
        if (strlen(value) == len && memcmp(value, wanted, len) == 0) {
            return true;
        }
    }
    return count == 0;
}

static void evaluation_agrees_with_the_definition(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct generator generator = {.seed = 2026};
    size_t true_count = 0;
    size_t anchored = 0;
    enum { ROUNDS = 4000 };
    for (int round = 0; round < ROUNDS; round++) {
        generator.present = random_below(&generator, 16);
        generator.len = 0;
        bool expected = generate(&generator, 4);
        struct label items[4];
        struct label_set labels = {0, items};
        for (unsigned i = 0; i < 4; i++) {
            if (generator.present >> i & 1) {
                items[labels.count++] = (struct label){keys[i], "yes"};
            }
        }
        struct selector *selector = parse(generator.text);
        assert_int_equal(selector_matches(selector, &labels), expected);
        const char *anchor = NULL;
        anchored += selector_anchor(selector, &anchor) != 0;
        assert_true(!expected || has_anchor(selector, &labels));

        struct arena arena;
        arena_init(&arena, 0);
        struct selector_step *steps;
        size_t count;
        struct err err = ERR_INIT;
        assert_int_equal(selector_explain(selector, &labels, &arena, &steps, &count, &err), 0);
        assert_int_equal(steps[0].matches, expected);
        assert_int_equal(matches(steps[count - 1].expression, &labels), steps[count - 1].matches);
        arena_done(&arena);
        selector_free(selector);
        true_count += expected;
    }
    assert_in_range(true_count, ROUNDS / 10, ROUNDS - ROUNDS / 10);
    assert_in_range(anchored, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static void assert_anchor(const char *text, const char *wanted_key, size_t wanted_count,
                          const char *wanted_first) {
    struct selector *selector = parse(text);
    const char *key = NULL;
    size_t len = 0;
    assert_int_equal(selector_anchor(selector, &key), wanted_count);
    if (wanted_count != 0) {
        assert_string_equal(key, wanted_key);
        const char *first = selector_anchor_value(selector, 0, &len);
        assert_int_equal(len, strlen(wanted_first));
        assert_memory_equal(first, wanted_first, len);
    }
    selector_free(selector);
}

static void anchor_is_what_no_match_can_lack(void **state) {
    (void)state;
    assert_anchor("rack == 'r1'", "rack", 1, "r1");
    assert_anchor("has(x) && rack in {'b', 'a', 'b'} && y != 'z'", "rack", 2, "a");
    assert_anchor("rack in {'a', 'b'} && (has(x) && zone == 'z')", "zone", 1, "z");
    assert_anchor("rack in {}", "rack", 0, "");
    assert_anchor("rack == 'a' || rack == 'b'", NULL, 0, NULL);
    assert_anchor("!(rack == 'a')", NULL, 0, NULL);
    assert_anchor("!!(rack == 'a')", "rack", 1, "a");
    assert_anchor("rack != 'a' && has(b)", NULL, 0, NULL);
    assert_anchor("rack starts with 'a'", NULL, 0, NULL);
    assert_anchor("all()", NULL, 0, NULL);
    assert_anchor("", NULL, 0, NULL);
}

static void equal_selectors_have_equal_canonical_text(void **state) {
    (void)state;
    struct selector *a = parse(" ((rack in{ 'b','a' ,\"b\",})) &&! ! has( app )");
    struct selector *b = parse("rack in {\"a\", \"b\"} && has(app)");
    assert_string_equal(selector_canonical(a), "(rack in {\"a\", \"b\"} && has(app))");
    assert_string_equal(selector_canonical(a), selector_canonical(b));
    selector_free(a);
    selector_free(b);
    struct selector *blank = parse(" \t");
    assert_string_equal(selector_canonical(blank), "all()");
    selector_free(blank);
    selector_free(NULL);
}

static void text_need_not_end_with_nul(void **state) {
    (void)state;
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    assert_int_equal(selector_parse("has(a)&&", 6, &selector, &err), 0);
    assert_string_equal(selector_canonical(selector), "has(a)");
    selector_free(selector);
    assert_int_equal(selector_parse(NULL, 0, &selector, &err), 0);
    assert_string_equal(selector_canonical(selector), "all()");
    selector_free(selector);
}

static void keys_are_sorted_and_unique(void **state) {
    (void)state;
    struct selector *selector =
        parse("z == 'x' || has(b) && !(a in {'k'} || ab != 'l' || z contains 'y') || all()");
    const char *const *keys;
    assert_int_equal(selector_keys(selector, &keys), 4);
    assert_string_equal(keys[0], "a");
    assert_string_equal(keys[1], "ab");
    assert_string_equal(keys[2], "b");
    assert_string_equal(keys[3], "z");
    selector_free(selector);
    selector = parse("all() || global()");
    assert_int_equal(selector_keys(selector, &keys), 0);
    selector_free(selector);
}

static void explanation_shows_every_step(void **state) {
    (void)state;
    struct selector *selector = parse("rack == 'rack-1' && !(has(gone) || zone in {'eu-west-1a'}) || all()");
    struct arena arena;
    arena_init(&arena, 0);
    struct selector_step *steps;
    size_t count;
    struct err err = ERR_INIT;
    assert_int_equal(selector_explain(selector, &host, &arena, &steps, &count, &err), 0);
    static const struct selector_step expected[] = {
        {"((rack == \"rack-1\" && !(has(gone) || zone in {\"eu-west-1a\"})) || all())", NULL, NULL, 0, true},
        {"(rack == \"rack-1\" && !(has(gone) || zone in {\"eu-west-1a\"}))", NULL, NULL, 1, false},
        {"rack == \"rack-1\"", "rack", "rack-1", 2, true},
        {"!(has(gone) || zone in {\"eu-west-1a\"})", NULL, NULL, 2, false},
        {"(has(gone) || zone in {\"eu-west-1a\"})", NULL, NULL, 3, true},
        {"has(gone)", "gone", NULL, 4, false},
        {"zone in {\"eu-west-1a\"}", "zone", "eu-west-1a", 4, true},
        {"all()", NULL, NULL, 1, true},
    };
    assert_int_equal(count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(steps[i].expression, expected[i].expression);
        assert_int_equal(steps[i].depth, expected[i].depth);
        assert_int_equal(steps[i].matches, expected[i].matches);
        assert_int_equal(steps[i].key != NULL, expected[i].key != NULL);
        if (expected[i].key != NULL) {
            assert_string_equal(steps[i].key, expected[i].key);
        }
        assert_int_equal(steps[i].value != NULL, expected[i].value != NULL);
        if (expected[i].value != NULL) {
            assert_string_equal(steps[i].value, expected[i].value);
        }
    }
    arena_done(&arena);
    selector_free(selector);
}

static void errors_say_where_and_what(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t offset;
        const char *says;
    } cases[] = {
        {"rack == rack-1", 8, "a value in quotes"},
        {"rack = 'a'", 5, "write =="},
        {"rack is 'a'", 5, "found 'is'"},
        {"has(a) and has(b)", 7, "found 'and'"},
        {"has(a) &&", 9, "end of the selector"},
        {"(has(a)", 7, "( of byte 0"},
        {"has(a))", 6, "no ("},
        {"rack == 'a", 8, "no closing '"},
        {"rack in ('a')", 8, "a set of values"},
        {"a == 'b'\n", 8, "line break"},
        {"a == 'b' \xC3\xA9", 9, "byte 0xC3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        struct selector *selector = (struct selector *)&err; /* must stay as it is */
        assert_int_equal(selector_parse(cases[i].text, strlen(cases[i].text), &selector, &err), -1);
        assert_ptr_equal(selector, &err);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(err.offset, cases[i].offset);
        assert_non_null(strstr(err.text, cases[i].says));
        for (const char *c = err.text; *c != '\0'; c++) {
            assert_true(*c >= 0x20 && *c < 0x7F); /* no raw input in the message */
        }
    }
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    assert_int_equal(selector_parse("a == '\0'", 8, &selector, &err), -1);
    assert_int_equal(err.offset, 6);
}

/* `count` times `open`, then `inner`, then `count` times `close`; the caller frees it. */
static char *nested(const char *open, size_t count, const char *inner, const char *close) {
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, open);
    }
    buf_add_str(&text, inner);
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, close);
    }
    assert_false(buf_failed(&text));
    return buf_steal(&text, NULL);
}

static void assert_nesting(const char *open, const char *close, size_t count, bool valid) {
    char *text = nested(open, count, "has(a)", close);
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    int result = selector_parse(text, strlen(text), &selector, &err);
    assert_int_equal(result, valid ? 0 : -1);
    if (!valid) {
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "nested"));
    }
    selector_free(selector);
    free(text);
}

static void nesting_is_limited_where_it_has_a_meaning(void **state) {
    (void)state;
    assert_nesting("!(", ")", SELECTOR_DEPTH_MAX, true);
    assert_nesting("!(", ")", SELECTOR_DEPTH_MAX + 1, false);
    assert_nesting("(has(b)&&", ")", SELECTOR_DEPTH_MAX, true);
    assert_nesting("(has(b)&&", ")", SELECTOR_DEPTH_MAX + 1, false);
    assert_nesting("(has(b)&&(has(c)||", "))", SELECTOR_DEPTH_MAX / 2, true);
    assert_nesting("(has(b)&&(has(c)||", "))", SELECTOR_DEPTH_MAX / 2 + 1, false);
    /* Parentheses around one thing and pairs of '!' mean nothing. */
    assert_nesting("(", ")", 30000, true);
    assert_nesting("!!", "", 30000, true);
    assert_nesting("!!(", ")", 15000, true);
}

static void text_is_limited(void **state) {
    (void)state;
    static char text[64 * 1024 + 1];
    memset(text, ' ', sizeof text);
    struct err err = ERR_INIT;
    struct selector *selector = NULL;
    assert_int_equal(selector_parse(text, sizeof text - 1, &selector, &err), 0);
    selector_free(selector);
    assert_int_equal(selector_parse(text, sizeof text, &selector, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

/* Fail the first allocation, then the second, and so on, until the work needs no more than that. */
static void memory_failures_are_reported(void **state) {
    (void)state;
    struct buf text = BUF_INIT;
    buf_add_str(&text, "!(rack == 'a')");
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, " || (label%d in {'x', 'y%d'} && !has(b))", i, i);
    }
    assert_false(buf_failed(&text));
    long needed = 0;
    for (;; needed++) {
        struct err err = ERR_INIT;
        struct selector *selector = NULL;
        base_alloc_fail_after(needed);
        int result = selector_parse(text.data, text.len, &selector, &err);
        bool failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        if (!failed) {
            selector_free(selector);
            break;
        }
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_null(selector);
    }
    assert_true(needed > 5);
    buf_done(&text);
}

static void explanation_reports_memory_failures(void **state) {
    (void)state;
    struct selector *selector = parse("has(a) && (b == 'x' || !has(c))");
    for (long successes = 0;; successes++) {
        struct arena arena;
        arena_init(&arena, 1); /* an allocation for every step */
        struct selector_step *steps = NULL;
        size_t count = 77;
        struct err err = ERR_INIT;
        base_alloc_fail_after(successes);
        int result = selector_explain(selector, &host, &arena, &steps, &count, &err);
        bool failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        arena_done(&arena);
        assert_int_equal(result, failed ? -1 : 0);
        if (!failed) {
            assert_true(successes > 0);
            break;
        }
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_null(steps);
        assert_int_equal(count, 77);
    }
    selector_free(selector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_found_by_key),
        cmocka_unit_test(present_labels_decide),
        cmocka_unit_test(absent_labels_match_only_negative_operators),
        cmocka_unit_test(evaluation_agrees_with_the_definition),
        cmocka_unit_test(equal_selectors_have_equal_canonical_text),
        cmocka_unit_test(text_need_not_end_with_nul),
        cmocka_unit_test(keys_are_sorted_and_unique),
        cmocka_unit_test(explanation_shows_every_step),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(nesting_is_limited_where_it_has_a_meaning),
        cmocka_unit_test(anchor_is_what_no_match_can_lack),
        cmocka_unit_test(text_is_limited),
        cmocka_unit_test(memory_failures_are_reported),
        cmocka_unit_test(explanation_reports_memory_failures),
    };
    return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
