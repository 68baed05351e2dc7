/* Arena, buffer, causes and advice, with their behaviour when memory is out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "base/random.h"

static int no_failure_pending(void **state) {
    (void)state;
    base_alloc_fail_after(-1);
    return 0;
}

static void assert_zeroed(const void *memory, size_t size) {
    const unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], 0);
    }
}

static void arena_memory_is_aligned_zeroed_and_disjoint(void **state) {
    (void)state;
    enum { COUNT = 500 };
    struct arena arena;
    arena_init(&arena, 100);
    unsigned char *blocks[COUNT];
    char *texts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 7 % 300;
        blocks[i] = arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        assert_zeroed(blocks[i], size);
        memset(blocks[i], (int)(i % 251), size);
        texts[i] = arena_printf(&arena, "text %zu", i);
        assert_non_null(texts[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < i * 7 % 300; k++) {
            assert_int_equal(blocks[i][k], i % 251);
        }
        char expected[32];
        snprintf(expected, sizeof expected, "text %zu", i);
        assert_string_equal(texts[i], expected);
    }
    assert_false(arena.failed);
    arena_done(&arena);
    assert_null(arena.chunk);
    assert_int_equal(arena.total, 0);
}

static void arena_size_zero_gives_distinct_pointers(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 1);
    void *a = arena_alloc(&arena, 0);
    void *b = arena_alloc(&arena, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    arena_done(&arena);
}

/* A hundred thousand objects each have an arena: the first chunk must be what was asked for. */
static void arena_first_chunk_has_the_size_asked_for(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 400);
    assert_int_equal(arena.total, 0);
    assert_non_null(arena_strdup(&arena, "rack1-host1"));
    assert_non_null(arena_alloc(&arena, 100));
    assert_int_equal(arena.total, 400);
    arena_done(&arena);
}

static void arena_large_block_does_not_waste_the_current_chunk(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024);
    assert_non_null(arena_alloc(&arena, 16));
    assert_int_equal(arena.total, 1024);
    char *large = arena_alloc(&arena, 100000);
    assert_non_null(large);
    memset(large, 1, 100000);
    size_t with_large = arena.total;
    assert_in_range(with_large, 1024 + 100000, 1024 + 100000 + 64);
    assert_non_null(arena_alloc(&arena, 700));
    assert_int_equal(arena.total, with_large);
    arena_done(&arena);
}

static void arena_refuses_sizes_that_overflow(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    assert_true(arena.failed);
    arena_done(&arena);
    assert_false(arena.failed);
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_true(arena.failed);
    arena_done(&arena);
    assert_null(arena_strndup(&arena, "", SIZE_MAX));
    assert_true(arena.failed);
    arena_done(&arena);
}

static void arena_copies_text(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    assert_null(arena_strdup(&arena, NULL));
    assert_false(arena.failed);
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_memory_equal(arena_strndup(&arena, "a\0b", 3), "a\0b", 4);
    arena_done(&arena);
}

static void arena_move_hands_everything_over(void **state) {
    (void)state;
    struct arena from;
    struct arena to;
    arena_init(&from, 64);
    arena_init(&to, 128);
    from.wipe = true;
    char *text = arena_strdup(&from, "kept");
    size_t total = from.total;
    arena_move(&to, &from);
    assert_null(from.chunk);
    assert_int_equal(from.total, 0);
    assert_int_equal(to.total, total);
    assert_true(to.wipe);
    arena_done(&from);
    assert_string_equal(text, "kept");
    arena_done(&to);
    assert_true(to.wipe);
    arena_done(NULL);
}

static void arena_remembers_that_memory_was_out(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    base_alloc_fail_after(0);
    assert_null(arena_alloc(&arena, 10));
    assert_true(base_alloc_failed());
    assert_true(arena.failed);
    assert_non_null(arena_alloc(&arena, 10));
    base_alloc_fail_after(0);
    assert_null(arena_printf(&arena, "%1000d", 1));
    assert_true(arena.failed);
    arena_done(&arena);
}

static void buf_appends_and_stays_terminated(void **state) {
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_str(&buf, "a=");
    buf_add_u64(&buf, UINT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, 0);
    buf_printf(&buf, " %s-%d", "x", 7);
    buf_add(&buf, NULL, 0);
    assert_false(buf_failed(&buf));
    assert_string_equal(buf.data, "a=18446744073709551615 -9223372036854775808 0 x-7");
    assert_int_equal(buf.len, strlen(buf.data));
    buf_truncate(&buf, 100);
    assert_int_equal(buf.len, strlen(buf.data));
    buf_truncate(&buf, 3);
    assert_string_equal(buf.data, "a=1");
    assert_int_equal(buf.len, 3);
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
    buf_done(&buf);
    assert_null(buf.data);
    buf_done(NULL);
}

static void arrays_grow_by_doubling(void **state) {
    (void)state;
    uint32_t *items = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t *larger = base_grow(items, i, &cap, 3, sizeof *items);
        assert_non_null(larger);
        items = larger;
        items[i] = i;
    }
    assert_int_equal(cap, 192);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(items[i], i);
    }
    base_alloc_fail_after(0);
    assert_ptr_equal(base_grow(items, 191, &cap, 3, sizeof *items), items); /* there is room */
    assert_null(base_grow(items, 192, &cap, 3, sizeof *items));
    base_alloc_fail_after(-1);
    assert_int_equal(cap, 192);
    size_t huge = SIZE_MAX / 4;
    assert_null(base_grow(items, huge, &huge, 3, sizeof *items));
    assert_int_equal(huge, SIZE_MAX / 4);
    free(items);
}

static void grow_to(struct buf *buf, size_t len) {
    for (size_t i = 0; i < len; i++) {
        buf_add_char(buf, (char)('a' + i % 26));
    }
    assert_false(buf_failed(buf));
    assert_int_equal(buf->len, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(buf->data[i], 'a' + i % 26);
    }
    assert_int_equal(buf->data[len], '\0');
}

static void buf_grows_with_and_without_wiping(void **state) {
    (void)state;
    struct buf plain = BUF_INIT;
    grow_to(&plain, 100000);
    buf_done(&plain);
    struct buf wiped = BUF_INIT;
    wiped.wipe = true;
    grow_to(&wiped, 100000);
    buf_truncate(&wiped, 1000);
    assert_zeroed(wiped.data + 1000, wiped.cap - 1000);
    buf_clear(&wiped);
    assert_zeroed(wiped.data, wiped.cap);
    buf_done(&wiped);
    assert_true(wiped.wipe);
}

static void buf_steal_leaves_an_empty_buffer(void **state) {
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_str(&buf, "mine");
    size_t len;
    char *text = buf_steal(&buf, &len);
    assert_int_equal(len, 4);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
    buf_add_str(&buf, "next");
    assert_string_equal(buf.data, "next");
    assert_string_equal(text, "mine");
    free(text);
    buf_done(&buf);
}

static void buf_failure_sticks_and_keeps_what_was_there(void **state) {
    (void)state;
    for (int wipe = 0; wipe < 2; wipe++) {
        struct buf buf = BUF_INIT;
        buf.wipe = wipe != 0;
        buf_add_str(&buf, "before");
        base_alloc_fail_after(0);
        assert_int_equal(buf_reserve(&buf, 100000), -1);
        assert_true(buf_failed(&buf));
        buf_add_str(&buf, "x");
        buf_printf(&buf, "%d", 1);
        buf_add_json_str(&buf, "y");
        assert_string_equal(buf.data, "before");
        buf_clear(&buf);
        assert_false(buf_failed(&buf));
        buf_done(&buf);
    }
    struct buf huge = BUF_INIT;
    buf_add_char(&huge, 'x');
    assert_int_equal(buf_reserve(&huge, SIZE_MAX), -1);
    assert_true(buf_failed(&huge));
    buf_done(&huge);
}

static void buf_escapes_json_text(void **state) {
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_json_str(&buf, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xC3\xA9");
    buf_add_json(&buf, "\0z", 2);
    buf_add_json_str(&buf, "");
    assert_string_equal(buf.data, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xC3\xA9\""
                                  "\"\\u0000z\"\"\"");
    buf_done(&buf);
}

static void buf_places_json_commas(void **state) {
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_char(&buf, '{');
    buf_json_member_str(&buf, "absent", NULL);
    buf_json_member_true(&buf, "no", false);
    buf_json_member_str(&buf, "name", "{");
    buf_json_member_u64(&buf, "port", 179);
    buf_json_member_true(&buf, "passive", true);
    buf_json_key(&buf, "items");
    buf_add_char(&buf, '[');
    for (int i = 0; i < 3; i++) {
        buf_json_comma(&buf);
        buf_add_i64(&buf, -i);
    }
    buf_add_str(&buf, "]}");
    assert_string_equal(buf.data, "{\"name\":\"{\",\"port\":179,\"passive\":true,\"items\":[0,-1,-2]}");
    buf_done(&buf);
}

static void causes_are_kept_up_to_the_limit(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct causes *causes = malloc(sizeof *causes);
    assert_non_null(causes);
    causes_init(causes, &arena);
    causes_add(causes, CAUSE_REQUIRED, "spec.node", "field %s is required", "node");
    causes_add(causes, CAUSE_INVALID, NULL, "whole document");
    assert_int_equal(causes->count, 2);
    assert_string_equal(causes->items[0].reason, "FieldValueRequired");
    assert_string_equal(causes->items[0].field, "spec.node");
    assert_string_equal(causes->items[0].message, "field node is required");
    assert_string_equal(causes->items[1].field, "");
    for (int i = 0; i < CAUSES_MAX; i++) {
        causes_add(causes, CAUSE_INVALID, "x", "%d", i);
    }
    assert_int_equal(causes->count, CAUSES_MAX);
    assert_int_equal(causes->dropped, 2);
    free(causes);
    arena_done(&arena);
}

/* An invalid document must stay invalid even when there is no memory to say why. */
static void causes_count_even_without_memory(void **state) {
    (void)state;
    for (long after = 0; after < 2; after++) {
        struct arena arena;
        arena_init(&arena, 1); /* every text needs an allocation of its own */
        struct causes *causes = malloc(sizeof *causes);
        assert_non_null(causes);
        causes_init(causes, &arena);
        base_alloc_fail_after(after);
        causes_add(causes, CAUSE_INVALID, "spec.node", "bad");
        assert_true(base_alloc_failed());
        assert_int_equal(causes->count, 1);
        assert_non_null(causes->items[0].field);
        assert_true(strlen(causes->items[0].message) > 0);
        free(causes);
        arena_done(&arena);
    }
}

static void advice_is_given_once(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct advice advice;
    advice_init(&advice, &arena);
    advice_add(&advice, "field %s is deprecated", "keepOriginalNextHop");
    advice_add(&advice, "field keepOriginalNextHop is deprecated");
    assert_int_equal(advice.count, 1);
    for (int i = 0; i < 2 * ADVICE_MAX; i++) {
        advice_add(&advice, "advice %d", i);
    }
    assert_int_equal(advice.count, ADVICE_MAX);
    assert_string_equal(advice.items[1], "advice 0");
    arena_done(&arena);
}

static void advice_is_left_out_without_memory(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct advice advice;
    advice_init(&advice, &arena);
    base_alloc_fail_after(0);
    advice_add(&advice, "lost");
    assert_int_equal(advice.count, 0);
    arena_done(&arena);
}

static void countdown_fails_exactly_one_allocation(void **state) {
    (void)state;
    base_alloc_fail_after(2);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(base_alloc_failed(), i > 2);
        void *memory = i % 2 == 0 ? base_malloc(8) : base_calloc(1, 8);
        if (i == 2) {
            assert_null(memory);
        } else {
            assert_non_null(memory);
        }
        free(memory);
    }
}

static void reads_no_further(void (*add)(struct buf *, const char *, size_t), const char *text) {
    size_t len = strlen(text);
    char *exact = malloc(len ? len : 1);
    struct buf out = BUF_INIT;

    assert_non_null(exact);
    memcpy(exact, text, len);
    add(&out, exact, len);
    assert_false(buf_failed(&out));
    buf_done(&out);
    free(exact);
}

static void buf_indents_json(void **state) {
    static const struct {
        const char *text, *indented;
    } cases[] = {
        {"{}", "{}\n"},
        {"[]", "[]\n"},
        {"7", "7\n"},
        {"\"a{[:,]}\"", "\"a{[:,]}\"\n"},
        {"{\"a\":1,\"b\":[],\"c\":{}}", "{\n  \"a\": 1,\n  \"b\": [],\n  \"c\": {}\n}\n"},
        {"[1,[true,null],{\"x\":\"y\"}]",
         "[\n  1,\n  [\n    true,\n    null\n  ],\n  {\n    \"x\": \"y\"\n  }\n]\n"},
        {"{\"a\\\"}\":\"\\\\\"}", "{\n  \"a\\\"}\": \"\\\\\"\n}\n"},
    };
    static const char *const broken[] = {"", "\"", "\"\\", "]}", "{\"a", "[[[", ":,"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf once = BUF_INIT, twice = BUF_INIT;

        buf_add_json_indented(&once, cases[i].text, strlen(cases[i].text));
        assert_string_equal(once.data, cases[i].indented);
        buf_add_json_indented(&twice, once.data, once.len);
        assert_string_equal(twice.data, once.data);
        buf_done(&once);
        buf_done(&twice);
    }
    /* What is not JSON is not read beyond its end. */
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        reads_no_further(buf_add_json_indented, broken[i]);
    }
}

/* Blanks in the JSON change nothing, and what is too deep for blocks means the same in one line. */
static void buf_writes_json_as_yaml(void **state) {
    static const struct {
        const char *text, *yaml;
    } cases[] = {
        {"{}", "{}\n"},
        {"7", "7\n"},
        {"{\"a\":\"b\",\"yes\":\"no\",\"c\":{},\"d\":-1.5}", "a: b\n\"yes\": \"no\"\nc: {}\nd: -1.5\n"},
        {"[1,[true,null],{\"x\":[\"y z\"],\"u\":{\"v\":\"\"}}]",
         "- 1\n- - true\n  - null\n- x:\n  - \"y z\"\n  u:\n    v: \"\"\n"},
        {"{\"a\\\"}\":\"\\\\\xC2\x85\"}", "\"a\\\"}\": \"\\\\\\u0085\"\n"},
    };
    static const char *const broken[] = {"", "\"", "\"\\", "]}", "{\"a", "[[[", ":,", "{ ", "{\"a\":"};
    struct buf deep = BUF_INIT, out = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf blanks = BUF_INIT, same = BUF_INIT, yaml = BUF_INIT;

        buf_add_json_as_yaml(&yaml, cases[i].text, strlen(cases[i].text));
        assert_string_equal(yaml.data, cases[i].yaml);
        buf_add_json_indented(&blanks, cases[i].text, strlen(cases[i].text));
        buf_add_json_as_yaml(&same, blanks.data, blanks.len);
        assert_string_equal(same.data, cases[i].yaml);
        buf_done(&blanks);
        buf_done(&same);
        buf_done(&yaml);
    }
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        reads_no_further(buf_add_json_as_yaml, broken[i]);
    }
    for (int i = 0; i < 100; i++) {
        buf_add_str(&deep, "[");
    }
    buf_add_str(&deep, "{\"a\":1,\"b\":[\"c\"]}");
    for (int i = 0; i < 100; i++) {
        buf_add_str(&deep, "]");
    }
    buf_add_json_as_yaml(&out, deep.data, deep.len);
    assert_non_null(strstr(out.data, "- [[["));
    assert_non_null(strstr(out.data, "[{a: 1,b: [c]}]"));
    buf_done(&deep);
    buf_done(&out);
}

/* It keeps its content when it grows and shrinks, and a failure leaves it as it was. */
static void wiping_memory_is_memory(void **state) {
    (void)state;
    char *text = base_wiping_strdup("secret");
    assert_non_null(text);
    assert_int_equal((uintptr_t)text % alignof(max_align_t), 0);
    text = base_wiping_realloc(text, 1000);
    assert_non_null(text);
    assert_string_equal(text, "secret");
    base_alloc_fail_after(0);
    assert_null(base_wiping_realloc(text, 2000));
    assert_null(base_wiping_malloc(SIZE_MAX));
    assert_null(base_wiping_calloc(SIZE_MAX / 2, 3));
    text = base_wiping_realloc(text, 4);
    assert_non_null(text);
    assert_memory_equal(text, "secr", 4);
    base_wiping_free(text);
    base_wiping_free(NULL);
    unsigned char *zeroed = base_wiping_calloc(7, 9);
    assert_non_null(zeroed);
    assert_zeroed(zeroed, 63);
    base_wiping_free(zeroed);
}

/* Once it has seen how much is wanted, an arena that is reset asks for no more memory. */
static void a_reset_arena_keeps_its_memory(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    arena_reset(&arena);
    for (size_t round = 0; round < 5; round++) {
        size_t before = arena.total;
        for (size_t i = 1; i <= 300; i++) {
            unsigned char *memory = arena_alloc(&arena, i * 7);
            assert_non_null(memory);
            for (size_t k = 0; k < i * 7; k++) {
                assert_int_equal(memory[k], 0);
            }
            memset(memory, 0xAA, i * 7);
            assert_non_null(arena_strdup(&arena, "text"));
        }
        assert_true(round < 2 || arena.total == before);
        arena_reset(&arena);
    }
    arena_done(&arena);
    assert_int_equal(arena.total, 0);
}

/* In whatever pieces the bytes come. */
static void a_digest_of_pieces_is_that_of_the_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 2047, 2048, 2049, 5000, 9000};
    unsigned char bytes[9000];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 31 + i / 256);
    }
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        char whole[DIGEST_TEXT_MAX];
        digest_hex(bytes, sizes[s], whole);
        for (size_t piece = 1; piece <= 4096; piece = piece * 3 + 1) {
            struct digest digest;
            char text[DIGEST_TEXT_MAX];
            digest_start(&digest);
            for (size_t at = 0; at < sizes[s]; at += piece) {
                digest_add(&digest, bytes + at, sizes[s] - at < piece ? sizes[s] - at : piece);
            }
            digest_end_hex(&digest, text);
            assert_string_equal(text, whole);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_arena_keeps_its_memory),
        cmocka_unit_test(a_digest_of_pieces_is_that_of_the_whole),
        cmocka_unit_test(wiping_memory_is_memory),
        cmocka_unit_test_setup(arena_memory_is_aligned_zeroed_and_disjoint, no_failure_pending),
        cmocka_unit_test_setup(arena_size_zero_gives_distinct_pointers, no_failure_pending),
        cmocka_unit_test_setup(arena_first_chunk_has_the_size_asked_for, no_failure_pending),
        cmocka_unit_test_setup(arena_large_block_does_not_waste_the_current_chunk, no_failure_pending),
        cmocka_unit_test_setup(arena_refuses_sizes_that_overflow, no_failure_pending),
        cmocka_unit_test_setup(arena_copies_text, no_failure_pending),
        cmocka_unit_test_setup(arena_move_hands_everything_over, no_failure_pending),
        cmocka_unit_test_setup(arena_remembers_that_memory_was_out, no_failure_pending),
        cmocka_unit_test_setup(buf_appends_and_stays_terminated, no_failure_pending),
        cmocka_unit_test(arrays_grow_by_doubling),
        cmocka_unit_test_setup(buf_grows_with_and_without_wiping, no_failure_pending),
        cmocka_unit_test_setup(buf_steal_leaves_an_empty_buffer, no_failure_pending),
        cmocka_unit_test_setup(buf_failure_sticks_and_keeps_what_was_there, no_failure_pending),
        cmocka_unit_test_setup(buf_escapes_json_text, no_failure_pending),
        cmocka_unit_test_setup(buf_places_json_commas, no_failure_pending),
        cmocka_unit_test_setup(buf_indents_json, no_failure_pending),
        cmocka_unit_test_setup(buf_writes_json_as_yaml, no_failure_pending),
        cmocka_unit_test_setup(causes_are_kept_up_to_the_limit, no_failure_pending),
        cmocka_unit_test_setup(causes_count_even_without_memory, no_failure_pending),
        cmocka_unit_test_setup(advice_is_given_once, no_failure_pending),
        cmocka_unit_test_setup(advice_is_left_out_without_memory, no_failure_pending),
        cmocka_unit_test_setup(countdown_fails_exactly_one_allocation, no_failure_pending),
    };
    return cmocka_run_group_tests_name("base: memory", tests, NULL, NULL);
}
