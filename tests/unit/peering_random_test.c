/*
 * The incremental index against the computation from scratch, over random changes: after every step each
 * node's list from the advanced index equals the one from a fresh index, and every node whose list has
 * changed was said to be affected. Fixed seeds, and a fresh one that is printed.
 *
 * PEERING_RANDOM_STEPS: steps in all (default 10000). PEERING_RANDOM_SEED: only this seed.
 */
#include "peering_random.h"

#include <inttypes.h>
#include <time.h>

#define STEPS_DEFAULT 10000

struct watch {
    char *texts[FLEET_NODES]; /* by node; NULL: no such node */
    uint32_t slots[FLEET_NODES];
    size_t affected; /* how many were said to be affected, in all */
    size_t changed;  /* how many had changed */
};

static void node_name(size_t i, char name[16]) {
    snprintf(name, 16, "n%zu", i);
}

/* Compare everything after a step. */
static void check_step(const struct fleet *fleet, struct watch *watch, uint64_t seed, size_t step) {
    struct peering_index *anew = fleet_index_anew(fleet);
    for (size_t i = 0; i < FLEET_NODES; i++) {
        char name[16];
        node_name(i, name);
        int64_t slot = peering_index_slot(fleet->index, name);
        char *text = NULL;
        if (slot >= 0) {
            uint64_t revision = 0;
            uint64_t revision_anew = 0;
            text = list_text(fleet->index, name, &revision);
            char *text_anew = list_text(anew, name, &revision_anew);
            if (strcmp(text, text_anew) != 0 || revision != revision_anew) {
                fail_msg("seed %" PRIu64 " step %zu: node %s is\n%s\nbut from scratch\n%s", seed, step, name,
                         text, text_anew);
            }
            free(text_anew);
            watch->affected += node_set_has(fleet->affected, (uint32_t)slot);
        }
        const char *before = watch->texts[i];
        bool changed = (before == NULL) != (text == NULL) || (text != NULL && strcmp(before, text) != 0);
        bool gone = slot < 0;
        uint32_t known = gone ? watch->slots[i] : (uint32_t)slot;
        if (changed && !node_set_has(fleet->affected, known)) {
            fail_msg("seed %" PRIu64 " step %zu: node %s was not said to be affected; before\n%s\nafter\n%s",
                     seed, step, name, before != NULL ? before : "-", text != NULL ? text : "-");
        }
        watch->changed += changed && !gone;
        watch->slots[i] = known;
        free(watch->texts[i]);
        watch->texts[i] = text;
    }
    peering_index_unref(anew);
}

static void run_seed(uint64_t seed, size_t steps) {
    struct dice dice = {seed};
    struct fleet fleet;
    struct watch watch = {.affected = 0};
    fleet_init(&fleet);
    for (size_t step = 0; step < steps; step++) {
        random_step(&dice, &fleet);
        check_step(&fleet, &watch, seed, step);
    }
    print_message("seed %" PRIu64 ": %zu steps, %zu lists changed, %zu said to be affected\n", seed, steps,
                  watch.changed, watch.affected);
    assert_true(steps < 100 || watch.changed > 0);
    for (size_t i = 0; i < FLEET_NODES; i++) {
        free(watch.texts[i]);
    }
    fleet_done(&fleet);
}

static void advanced_equals_anew(void **state) {
    (void)state;
    static const uint64_t seeds[] = {1, 20, 300, 4711, 6594537766060726709u};
    const char *steps_text = getenv("PEERING_RANDOM_STEPS");
    const char *seed_text = getenv("PEERING_RANDOM_SEED");
    size_t steps = steps_text != NULL ? strtoull(steps_text, NULL, 10) : STEPS_DEFAULT;
    if (seed_text != NULL) {
        run_seed(strtoull(seed_text, NULL, 10), steps);
        return;
    }
    size_t share = steps / (COUNT_OF(seeds) + 1);
    for (size_t i = 0; i < COUNT_OF(seeds); i++) {
        run_seed(seeds[i], share);
    }
    run_seed(random_u64(), steps - share * COUNT_OF(seeds));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advanced_equals_anew),
    };
    return cmocka_run_group_tests_name("peering: random changes", tests, start_random, NULL);
}
