/*
 * What a change of filters costs, by what a node's daemon refuses: the comparison asks for it, and here the
 * answers are given by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "model/resources.h"
#include "peering/members.h"

#define BIRD  (1u << MEMBER_BIRD)
#define FRR   (1u << MEMBER_FRR)
#define GOBGP (1u << MEMBER_GOBGP)

static const char *const ONE[] = {"f"};
static const char *const OTHER[] = {"g"};

static struct peering_entry plain_entry(const char *const *filters) {
    return (struct peering_entry){.address = {.family = IP_V4, .bytes = {192, 0, 2, 1}},
                                  .address_text = "192.0.2.1",
                                  .as_number = 64496,
                                  .local_as_number = 64500,
                                  .external = true,
                                  .max_restart_time_s = -1,
                                  .keepalive_time_s = -1,
                                  .filter_count = 1,
                                  .filters = filters};
}

/* Who refuses the session of which list. */
struct refusals {
    const struct peering_list *before;
    unsigned of_before, of_after;
    size_t asked;
};

static unsigned refuse(void *arg, const struct peering_list *list, const struct peering_entry *entry,
                       unsigned which) {
    struct refusals *refusals = arg;
    assert_ptr_equal(entry, &list->entries[0]);
    refusals->asked++;
    return (list == refusals->before ? refusals->of_before : refusals->of_after) & which;
}

static void filters_cost_what_a_daemon_refuses(void **state) {
    (void)state;
    static const struct {
        unsigned which, before, after;
        bool disruptive;
    } CASES[] = {
        {BIRD | FRR, 0, 0, false},     {BIRD | FRR, 0, FRR, true},           {BIRD, 0, FRR, false},
        {BIRD | FRR, FRR, FRR, false}, {BIRD | FRR, FRR, BIRD, true},        {BIRD | FRR, FRR, 0, false},
        {FRR, BIRD, FRR, true},        {BIRD | FRR, BIRD | FRR, FRR, false}, {GOBGP, 0, 0, true},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct peering_entry before = plain_entry(ONE);
        struct peering_entry after = plain_entry(OTHER);
        struct peering_list a = {.entry_count = 1, .entries = &before};
        struct peering_list b = {.entry_count = 1, .entries = &after};
        struct refusals refusals = {.before = &a, .of_before = CASES[i].before, .of_after = CASES[i].after};
        const struct peering_daemons daemons = {.which = CASES[i].which, .refuse = refuse, .arg = &refusals};
        struct peering_diff diff;
        peering_compare(&a, &b, &daemons, NULL, NULL, &diff);
        assert_int_equal(diff.changed, 1);
        if (diff.disruptive != CASES[i].disruptive) {
            fail_msg("case %zu: disruptive %zu", i, diff.disruptive);
        }
    }
}

/* The filter has the same name and other rules. */
static void other_rules_of_a_filter_may_cost_a_session(void **state) {
    (void)state;
    static struct filter_rule reject = {.action = "Reject"};
    struct bgp_filter_spec open = {0}, closed = {0};
    closed.import_v4.count = 1;
    closed.import_v4.items = &reject;
    struct peering_entry before = plain_entry(ONE);
    struct peering_entry after = plain_entry(ONE);
    struct peering_filter old = {.name = before.filters[0], .spec = &open};
    struct peering_filter new = {.name = before.filters[0], .spec = &closed};
    struct peering_list a = {.entry_count = 1, .entries = &before, .filter_count = 1, .filters = &old};
    struct peering_list b = {.entry_count = 1, .entries = &after, .filter_count = 1, .filters = &new};
    struct refusals refusals = {.before = &a, .of_after = FRR};
    struct peering_daemons daemons = {.which = BIRD | FRR, .refuse = refuse, .arg = &refusals};
    struct peering_diff diff;
    struct buf out = BUF_INIT;
    peering_encode_diff(&a, &b, &daemons, &out, &diff);
    assert_int_equal(diff.changed, 1);
    assert_int_equal(diff.disruptive, 1);
    assert_non_null(strstr(out.data, "\"fields\":[{\"field\":\"filters\","));
    assert_non_null(strstr(out.data, "\"disruptive\":true}]}]"));
    buf_done(&out);
    daemons.which = BIRD;
    peering_compare(&a, &b, &daemons, NULL, NULL, &diff);
    assert_int_equal(diff.changed, 0);
    assert_int_equal(diff.others, 1);
    daemons.which = GOBGP;
    peering_compare(&a, &b, &daemons, NULL, NULL, &diff);
    assert_int_equal(diff.disruptive, 1);
    /* Nobody is asked when nothing differs. */
    refusals.asked = 0;
    daemons.which = BIRD | FRR;
    peering_compare(&b, &b, &daemons, NULL, NULL, &diff);
    assert_int_equal(refusals.asked + diff.changed, 0);
}

static void daemons_are_known_by_what_agents_call_them(void **state) {
    (void)state;
    assert_int_equal(peering_daemons_named("BIRD 2.0.12"), BIRD);
    assert_int_equal(peering_daemons_named("FRR"), FRR);
    assert_int_equal(peering_daemons_named("GoBGP"), GOBGP);
    assert_int_equal(peering_daemons_named("OpenBGPD"), 1u << MEMBER_OPENBGPD);
    assert_int_equal(peering_daemons_named(""), BIRD | FRR);
    assert_int_equal(peering_daemons_named("quagga"), BIRD | FRR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_cost_what_a_daemon_refuses),
        cmocka_unit_test(other_rules_of_a_filter_may_cost_a_session),
        cmocka_unit_test(daemons_are_known_by_what_agents_call_them),
    };
    return cmocka_run_group_tests_name("peering: daemons", tests, NULL, NULL);
}
