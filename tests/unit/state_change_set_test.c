/*
 * The change set between two states of a fleet, tried on random ones: the fleet is remembered, goes on for
 * some writes, and is brought back by the change set that state_changes_between finds. Every list is then
 * what it was, byte for byte, and nothing is left to change. Fixed seeds, and a fresh one that is printed.
 */
#include "state_sets.h"

#include <inttypes.h>
#include <time.h>

#define ROUNDS    20
#define STEPS_MAX 12

static void change_randomly(struct fixture *fixture, struct dice *dice) {
    struct plan plan;
    struct call call;
    do {
        plan_one(dice, &plan);
    } while (plan.kind == KIND_SECRET); /* their values cannot be had again */
    if (calls_from(&call, &plan, 1)) {
        call_run(fixture, &call);
        call_end(&call);
    }
}

static size_t between(struct fixture *fixture, const struct picture *then, struct arena *arena,
                      struct change_set *set) {
    struct picture *now = state_picture(fixture->state);
    struct err err = ERR_INIT;
    fleet_check(state_changes_between(now->snapshot, then->snapshot, arena, set, &err), &err);
    picture_unref(now);
    return set->count;
}

static void go_and_return(struct fixture *fixture, struct dice *dice, size_t ops[CHANGE_OP_COUNT]) {
    struct picture *then = state_picture(fixture->state);
    struct buf before = BUF_INIT, after = BUF_INIT;
    struct change_set set;
    struct arena arena;
    arena_init(&arena, 0);
    all_lists(then, &before);
    for (size_t steps = 1 + dice_below(dice, STEPS_MAX); steps > 0; steps--) {
        change_randomly(fixture, dice);
    }
    between(fixture, then, &arena, &set);
    for (size_t i = 0; i < set.count; i++) {
        ops[set.items[i].op]++;
    }
    apply_set(fixture, &set);
    struct picture *again = state_picture(fixture->state);
    all_lists(again, &after);
    assert_string_equal(after.data != NULL ? after.data : "", before.data != NULL ? before.data : "");
    assert_int_equal(between(fixture, then, &arena, &set), 0);
    picture_unref(again);
    picture_unref(then);
    buf_done(&before);
    buf_done(&after);
    arena_done(&arena);
}

static void test_there_and_back(void **state) {
    uint64_t seeds[] = {1, 2, 3, 4, (uint64_t)time(NULL)};
    size_t ops[CHANGE_OP_COUNT] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(seeds); i++) {
        struct fixture *fixture;
        struct dice dice = {.state = seeds[i]};
        print_message("seed %" PRIu64 "\n", seeds[i]);
        assert_int_equal(fixture_setup((void **)&fixture), 0);
        for (size_t round = 0; round < ROUNDS; round++) {
            go_and_return(fixture, &dice, ops);
            change_randomly(fixture, &dice);
            change_randomly(fixture, &dice);
        }
        fixture_teardown((void **)&fixture);
    }
    print_message("%zu created, %zu patched, %zu deleted\n", ops[CHANGE_CREATE], ops[CHANGE_PATCH],
                  ops[CHANGE_DELETE]);
    /* Else it has not been tried. */
    assert_true(ops[CHANGE_CREATE] > 5 && ops[CHANGE_PATCH] > 5 && ops[CHANGE_DELETE] > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back)};
    return cmocka_run_group_tests(tests, fixture_libraries, NULL);
}
