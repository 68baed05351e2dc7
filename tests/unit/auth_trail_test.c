/*
 * Rate limits and the audit trail in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "base/alloc.h"
#include "base/random.h"

static bool take(struct limiter *limiter, const char *key, int64_t now_ms, unsigned *ret_retry_s) {
    return limiter_take(limiter, key, strlen(key), now_ms, ret_retry_s);
}

static void test_bucket(void **state) {
    struct limiter *limiter;
    struct err err = ERR_INIT;
    unsigned retry = 0;

    (void)state;
    assert_int_equal(limiter_new(0.5, 3, &limiter, &err), 0);
    assert_true(take(limiter, "a", 1000, &retry));
    assert_true(take(limiter, "a", 1000, &retry));
    assert_true(take(limiter, "a", 1000, &retry));
    assert_false(take(limiter, "a", 1000, &retry));
    assert_int_equal(retry, 2); /* two seconds a credit: exact, and enough */
    assert_true(take(limiter, "b", 1000, &retry));
    assert_false(take(limiter, "a", 2999, &retry));
    assert_int_equal(retry, 1);
    assert_true(take(limiter, "a", 3000, &retry));
    assert_false(take(limiter, "a", 3000, &retry));
    /* Never more than the burst. */
    for (int i = 0; i < 3; i++) {
        assert_true(take(limiter, "a", 1000000, &retry));
    }
    assert_false(take(limiter, "a", 1000000, &retry));
    /* Who has looked at the clock earlier and comes later takes nothing away from the others. */
    retry = 0;
    assert_false(take(limiter, "a", 900000, &retry));
    assert_int_equal(retry, 2);
    assert_false(take(limiter, "a", 1001999, &retry));
    assert_true(take(limiter, "a", 1002000, &retry));
    limiter_free(limiter);
}

/* Many more callers than there are places: memory is bounded, and a flood does not refill anybody. */
/* Whoever comes back after what was said is served, at every rate; nobody is told to wait longer than needed.
 */
static void test_retry_is_exact(void **state) {
    static const struct {
        double per_second;
        unsigned retry_s;
    } RATES[] = {{1, 1},        {0.5, 2},  {0.05, 20}, {1.0 / 3, 3},
                 {60.0 / 7, 1}, {1000, 1}, {1e9, 1},   {1e-6, 3600}};

    (void)state;
    for (size_t i = 0; i < sizeof(RATES) / sizeof(*RATES); i++) {
        struct limiter *limiter;
        struct err err = ERR_INIT;
        unsigned retry = 0;

        assert_int_equal(limiter_new(RATES[i].per_second, 1, &limiter, &err), 0);
        for (int64_t now = 7; now < 1000000000; now += 123456789) {
            assert_true(take(limiter, "a", now, &retry));
            assert_false(take(limiter, "a", now, &retry));
            assert_int_equal(retry, RATES[i].retry_s);
            if (retry == 3600) {
                break; /* is said for everything longer */
            }
            now += 1000 * (int64_t)retry;
            assert_true(take(limiter, "a", now, &retry));
        }
        limiter_free(limiter);
    }
}

static void test_flood_of_keys(void **state) {
    struct limiter *limiter;
    struct err err = ERR_INIT;
    unsigned retry = 0;
    size_t taken = 0;

    (void)state;
    assert_int_equal(limiter_new(0.001, 2, &limiter, &err), 0);
    for (int i = 0; i < 100000; i++) {
        char key[32];

        snprintf(key, sizeof key, "caller-%d", i);
        taken += take(limiter, key, 1000, &retry) ? 1 : 0;
    }
    assert_in_range(taken, 8192, 2 * 8192 + 100);
    limiter_free(limiter);
}

static struct audit_entry *read_all(struct audit *audit, const struct audit_filter *filter, uint64_t below,
                                    size_t max, struct arena *arena, size_t *ret_count, bool *ret_more) {
    struct audit_entry *entries = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(audit_read(audit, filter, below, max, arena, &entries, ret_count, ret_more, &err), 0);
    return entries;
}

static void test_ring_and_pages(void **state) {
    const struct audit_filter all = {.event = -1};
    struct audit *audit;
    struct audit_entry *entries;
    struct arena arena;
    struct err err = ERR_INIT;
    size_t count;
    bool more;
    char name[16];

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(audit_new(10, &audit, &err), 0);
    (void)read_all(audit, &all, 0, 5, &arena, &count, &more);
    assert_int_equal(count, 0);
    assert_false(more);
    for (int i = 1; i <= 25; i++) {
        snprintf(name, sizeof name, "peer-%d", i);
        audit_add(audit, &(struct audit_entry){.event = i % 2 == 0 ? AUDIT_WRITE : AUDIT_DENIED,
                                               .time_ms = i * 1000,
                                               .user = i % 5 == 0 ? "bob" : "alice",
                                               .resource = "bgppeers",
                                               .name = name,
                                               .after = (uint64_t)i});
    }
    entries = read_all(audit, &all, 0, 4, &arena, &count, &more);
    assert_int_equal(count, 4);
    assert_true(more);
    assert_int_equal(entries[0].sequence, 25);
    assert_string_equal(entries[0].name, "peer-25");
    assert_null(entries[0].source);
    /* The next pages, down to the oldest that is kept. */
    entries = read_all(audit, &all, 22, 4, &arena, &count, &more);
    assert_int_equal(entries[0].sequence, 21);
    assert_true(more);
    entries = read_all(audit, &all, 8, 9, &arena, &count, &more);
    assert_int_equal(count, 2);
    assert_int_equal(entries[0].sequence, 7);
    assert_int_equal(entries[1].sequence, 6);
    assert_false(more);
    (void)read_all(audit, &all, 1, 4, &arena, &count, &more);
    assert_int_equal(count, 0);
    /* Exactly as many as asked for: there is no further page. Ten of each class are kept. */
    (void)read_all(audit, &all, 0, 20, &arena, &count, &more);
    assert_int_equal(count, 20);
    assert_false(more);
    arena_done(&arena);
    audit_free(audit);
}

static void test_filters(void **state) {
    struct audit *audit;
    struct arena arena;
    struct err err = ERR_INIT;
    size_t count;
    bool more;
    enum audit_event event;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(audit_new(100, &audit, &err), 0);
    audit_add(audit,
              &(struct audit_entry){
                  .event = AUDIT_WRITE, .time_ms = 10, .user = "alice", .resource = "nodes", .name = "a"});
    audit_add(audit,
              &(struct audit_entry){
                  .event = AUDIT_DENIED, .time_ms = 20, .user = "bob", .resource = "nodes", .name = "b"});
    audit_add(audit, &(struct audit_entry){.event = AUDIT_UNAUTHORIZED, .time_ms = 30});
    (void)read_all(audit, &(struct audit_filter){.event = AUDIT_DENIED}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 1);
    (void)read_all(audit, &(struct audit_filter){.event = -1, .user = "alice"}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 1);
    (void)read_all(audit, &(struct audit_filter){.event = -1, .resource = "nodes"}, 0, 9, &arena, &count,
                   &more);
    assert_int_equal(count, 2);
    (void)read_all(audit, &(struct audit_filter){.event = -1, .name = "c"}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 0);
    (void)read_all(audit, &(struct audit_filter){.event = -1, .since_ms = 20}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 2);
    (void)read_all(audit, &(struct audit_filter){.event = -1, .since_ms = 20, .until_ms = 30}, 0, 9, &arena,
                   &count, &more);
    assert_int_equal(count, 1);
    for (enum audit_event i = 0; i < AUDIT_EVENT_COUNT; i++) {
        assert_true(audit_event_parse(audit_event_name(i), &event));
        assert_int_equal(event, i);
    }
    assert_false(audit_event_parse("writes", &event));
    arena_done(&arena);
    audit_free(audit);
}

static size_t visible(struct audit *audit, struct arena *arena) {
    size_t count;
    bool more;

    (void)read_all(audit, &(struct audit_filter){.event = -1}, 0, 100, arena, &count, &more);
    return count;
}

static size_t take_waiting(struct audit *audit, size_t max, struct arena *arena, uint64_t *ret_first) {
    struct audit_entry *entries;
    struct err err = ERR_INIT;
    size_t count;

    assert_int_equal(audit_take_waiting(audit, max, arena, &entries, &count, &err), 0);
    *ret_first = count > 0 ? entries[0].sequence : 0;
    return count;
}

/* What belongs to a write is seen when the write is done; what waits for the disk waits until it is there. */
static void test_staged_and_waiting(void **state) {
    const struct audit_entry entry = {.event = AUDIT_WRITE, .name = "n"};
    struct audit *audit;
    struct arena arena;
    struct err err = ERR_INIT;
    uint64_t first, staged, dropped[9];

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(audit_new(4, &audit, &err), 0);
    staged = audit_stage(audit, &entry);
    assert_int_equal(staged, 1);
    assert_int_equal(visible(audit, &arena), 0);
    assert_int_equal(audit_waiting(audit), 0);
    assert_int_equal(take_waiting(audit, 9, &arena, &first), 0);
    audit_settle(audit, staged, true);
    assert_int_equal(visible(audit, &arena), 1);
    assert_int_equal(audit_waiting(audit), 0);
    /* One that failed leaves nothing but its number. */
    staged = audit_stage(audit, &entry);
    audit_settle(audit, staged, false);
    audit_settle(audit, staged, true);
    assert_int_equal(visible(audit, &arena), 1);
    audit_add(audit, &entry);
    assert_int_equal(visible(audit, &arena), 2);
    /* They wait until somebody says that they are stored. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take_waiting(audit, 9, &arena, &first), 1);
        assert_int_equal(first, 3);
    }
    audit_settle(audit, 3, false); /* cannot be taken back */
    assert_int_equal(audit_waiting(audit), 1);
    audit_settle(audit, 3, true);
    assert_int_equal(audit_waiting(audit), 0);
    /* A staged one that was pushed out while its write was under way is not another's. */
    staged = audit_stage(audit, &entry);
    for (int i = 0; i < 4; i++) {
        audit_add(audit, &entry);
    }
    audit_settle(audit, staged, false);
    assert_int_equal(audit_take_dropped(audit, dropped, 9), 2); /* the two that are stored */
    assert_int_equal(dropped[0] + dropped[1], 1 + 3);
    audit_settle(audit, staged, true); /* of no use any more */
    assert_int_equal(audit_take_dropped(audit, dropped, 9), 1);
    assert_int_equal(dropped[0], staged);
    assert_int_equal(visible(audit, &arena), 4);
    assert_int_equal(audit_waiting(audit), 4);
    assert_int_equal(take_waiting(audit, 2, &arena, &first), 2);
    assert_int_equal(first, 5);
    audit_settle(audit, 5, true);
    assert_int_equal(take_waiting(audit, 9, &arena, &first), 3);
    assert_int_equal(first, 6);
    /* However many come while nobody stores them, it is as many as are kept. */
    for (int i = 0; i < 100; i++) {
        audit_add(audit, &entry);
    }
    assert_int_equal(audit_waiting(audit), 4);
    assert_int_equal(take_waiting(audit, 9, &arena, &first), 4);
    assert_int_equal(first, 105);
    arena_done(&arena);
    audit_free(audit);
}

/* With the numbers they had, and none of them is given again. */
static void test_restored(void **state) {
    struct audit *audit;
    struct audit_entry *entries;
    struct arena arena;
    struct err err = ERR_INIT;
    uint64_t dropped[4];
    size_t count;
    bool more;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(audit_new(4, &audit, &err), 0);
    audit_restore(audit, &(struct audit_entry){.sequence = 7, .name = "seven"});
    audit_restore(audit, &(struct audit_entry){.sequence = 9, .name = "nine"});
    audit_restore(audit, &(struct audit_entry){.sequence = 8, .name = "late"});
    audit_skip(audit, 11);
    audit_skip(audit, 3);
    assert_int_equal(audit_waiting(audit), 0);
    audit_add(audit, &(struct audit_entry){.event = AUDIT_DENIED, .name = "twelve"});
    entries = read_all(audit, &(struct audit_filter){.event = -1}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 3);
    assert_int_equal(entries[0].sequence, 12);
    assert_int_equal(entries[1].sequence, 9);
    assert_string_equal(entries[1].name, "nine");
    /* One that cannot be read is not shown, and goes like the others. */
    audit_restore_unreadable(audit, 20);
    audit_restore(audit, &(struct audit_entry){.sequence = 21, .name = "twenty-one"});
    (void)read_all(audit, &(struct audit_filter){.event = -1}, 0, 9, &arena, &count, &more);
    assert_int_equal(count, 4);
    assert_int_equal(audit_dropped(audit), 0);
    for (int i = 0; i < 3; i++) {
        audit_add(audit, &(struct audit_entry){.event = AUDIT_TOKEN});
    }
    assert_int_equal(audit_take_dropped(audit, dropped, 2), 2);
    assert_int_equal(audit_take_dropped(audit, dropped + 2, 2), 1);
    assert_int_equal(dropped[0] + dropped[1] + dropped[2], 7 + 9 + 20);
    arena_done(&arena);
    audit_free(audit);
}

static void test_out_of_memory(void **state) {
    const struct audit_filter all = {.event = -1};
    struct audit *audit = NULL;
    struct limiter *limiter = NULL;
    struct arena arena;
    struct err err = ERR_INIT;
    size_t count;
    bool more;

    (void)state;
    for (long successes = 0; successes < 4; successes++) {
        base_alloc_fail_after(successes);
        assert_int_equal(audit_new(4, &audit, &err), -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
    }
    base_alloc_fail_after(0);
    assert_int_equal(limiter_new(1, 1, &limiter, &err), -1);
    base_alloc_fail_after(-1);
    arena_init(&arena, 0);
    assert_int_equal(audit_new(4, &audit, &err), 0);
    base_alloc_fail_after(0);
    audit_add(audit, &(struct audit_entry){.event = AUDIT_WRITE, .name = "lost"});
    base_alloc_fail_after(-1);
    audit_add(audit, &(struct audit_entry){.event = AUDIT_WRITE, .name = "kept"});
    assert_string_equal(read_all(audit, &all, 0, 4, &arena, &count, &more)[0].name, "kept");
    assert_int_equal(count, 1);
    arena_done(&arena);
    audit_free(audit);
}

static int libraries(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    return random_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket),        cmocka_unit_test(test_retry_is_exact),
        cmocka_unit_test(test_flood_of_keys), cmocka_unit_test(test_ring_and_pages),
        cmocka_unit_test(test_filters),       cmocka_unit_test(test_staged_and_waiting),
        cmocka_unit_test(test_restored),      cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("auth trail", tests, libraries, NULL);
}
