/*
 * What is kept of nodes, reports and verdicts: silence, restarts, flapping, the order of reports, slots that
 * are used again.
 */
#include "status_world.h"

static void test_silence_is_unknown_and_comes_back(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 3);
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS);
    world.nodes[0].silent = true;
    for (int i = 0; i < 5; i++) {
        world_pass(&world, STATUS_REPORT_INTERVAL_MS);
    }
    struct rows rows = world_rows(&world, 0);
    for (size_t i = 0; i < rows.count; i++) {
        assert_int_equal(rows.items[i].verdict, VERDICT_UNKNOWN);
        assert_non_null(strstr(rows.items[i].message, "agent of host0 silent for 150 s"));
    }
    assert_int_equal(world_count(&world, VERDICT_UNKNOWN), 3 + 2); /* and its sessions at the other ends */
    world.nodes[0].silent = false;
    world_pass(&world, 1000);
    assert_int_equal(world_count(&world, VERDICT_UNKNOWN), 0);
    assert_int_equal(world_count(&world, VERDICT_UP), 9);
    status_free(world.status);
}

static void test_restart_makes_no_transitions(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 4);
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS);
    world.nodes[1].sessions[0].state = SESSION_ACTIVE;
    world_session(&world, 0, world.nodes[1].ip)->state = SESSION_ACTIVE;
    world_pass(&world, STATUS_SETTLE_MS + STATUS_HALF_UP_MS);
    size_t before = world.transitions;
    assert_int_equal(before, 2);
    /* The service starts anew; agents go on. Lists and reports come in any order. */
    struct err err = ERR_INIT;
    status_free(world.status);
    assert_int_equal(status_new(1000, &world.status, &err), 0);
    world.now_ms += 1000;
    for (size_t i = 0; i < world.node_count; i++) {
        if (i % 2 == 0) {
            world_report(&world, i);
        }
        world_sweep(&world);
        world.nodes[i].edition--;
        world_publish(&world, i);
        world_sweep(&world);
        world_report(&world, i);
        world_sweep(&world);
    }
    for (int i = 0; i < 10; i++) {
        world_pass(&world, STATUS_REPORT_INTERVAL_MS);
    }
    assert_int_equal(world.transitions, before);
    assert_int_equal(world_count(&world, VERDICT_DOWN), 2);
    assert_int_equal(world_count(&world, VERDICT_UP), 14);
    status_free(world.status);
}

static void test_a_flapping_session_is_folded(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 2);
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS);
    size_t external = world.nodes[0].entry_count - 1;
    for (int i = 0; i < 100; i++) {
        bool up = i % 2 == 1;
        world.nodes[0].sessions[external].state = up ? SESSION_ESTABLISHED : SESSION_IDLE;
        world.nodes[0].sessions[external].transitions += up;
        world_pass(&world, 100);
    }
    assert_int_equal(world.transitions, 10);
    world_pass(&world, 60000);
    world.nodes[0].sessions[external].state = SESSION_IDLE;
    world_pass(&world, 100);
    assert_int_equal(world.transitions, 11);
    assert_int_equal(world.last.folded, 90);
    assert_string_equal(world.last_node, "host0");
    assert_int_equal(world.last.to, VERDICT_DOWN);
    struct status_totals totals;
    status_read_totals(world.status, world.now_ms, &totals);
    assert_int_equal(totals.transitions[VERDICT_DOWN] + totals.transitions[VERDICT_UP], 101);
    status_free(world.status);
}

static void test_order_of_reports(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 2);
    struct sim *sim = &world.nodes[0];
    assert_int_equal(world_report(&world, 0), STATUS_SAME);
    sim->sessions[0].received = 5;
    assert_int_equal(world_report(&world, 0), STATUS_TAKEN);
    sim->sequence -= 2;
    sim->sessions[0].state = SESSION_IDLE;
    assert_int_equal(world_report(&world, 0), STATUS_OUTDATED);
    assert_int_equal(world_rows(&world, 0).items[0].verdict, VERDICT_UP);
    snprintf(sim->boot, sizeof(sim->boot), "later");
    sim->sequence = 0;
    assert_int_equal(world_report(&world, 0), STATUS_TAKEN);
    assert_int_not_equal(world_rows(&world, 0).items[0].verdict, VERDICT_UP);
    status_free(world.status);
}

static void keep_view(void *arg, const struct status_node_view *view) {
    struct status_node_view *copy = arg;
    *copy = *view;
}

static struct status_node_view view_of(struct world *world, size_t i, char digest[DIGEST_TEXT_MAX]) {
    struct status_node_view view;
    struct err err = ERR_INIT;
    assert_int_equal(
        status_visit_node(world->status, (uint32_t)i, world->now_ms, keep_view, NULL, &view, &err), 0);
    /* The view's texts end with the call; its digest is that of the report, which stays. */
    snprintf(digest, DIGEST_TEXT_MAX, "%s", view.digest);
    return view;
}

static void test_unchanged_reports_are_a_digest(void **state) {
    (void)state;
    struct world world;
    char digest[DIGEST_TEXT_MAX];
    world_make(&world, 2);
    struct status_node_key key = world_key(&world, 0);
    (void)view_of(&world, 0, digest);
    world.now_ms += STATUS_SILENT_MS - 1;
    assert_int_equal(status_take_same(world.status, &key, world.nodes[0].boot, 9, digest, world.now_ms),
                     STATUS_SAME);
    world.now_ms += STATUS_SILENT_MS - 1;
    assert_true(view_of(&world, 0, digest).reports);
    assert_int_equal(status_take_same(world.status, &key, world.nodes[0].boot, 9, digest, world.now_ms),
                     STATUS_OUTDATED);
    assert_int_equal(status_take_same(world.status, &key, "other", 10, digest, world.now_ms),
                     STATUS_NOT_KNOWN);
    digest[0] = digest[0] == 'a' ? 'b' : 'a';
    assert_int_equal(status_take_same(world.status, &key, world.nodes[0].boot, 10, digest, world.now_ms),
                     STATUS_NOT_KNOWN);
    status_free(world.status);
}

static void test_two_agents(void **state) {
    (void)state;
    struct world world;
    char digest[DIGEST_TEXT_MAX];
    world_make(&world, 2);
    assert_false(view_of(&world, 0, digest).two_agents);
    snprintf(world.nodes[0].boot, sizeof(world.nodes[0].boot), "second");
    world_report(&world, 0);
    assert_false(view_of(&world, 0, digest).two_agents); /* an agent may restart */
    snprintf(world.nodes[0].boot, sizeof(world.nodes[0].boot), "boot0");
    world_report(&world, 0);
    assert_true(view_of(&world, 0, digest).two_agents);
    world.now_ms += STATUS_TWO_AGENTS_MS;
    assert_false(view_of(&world, 0, digest).two_agents);
    status_free(world.status);
}

static void test_a_slot_is_used_again(void **state) {
    (void)state;
    struct world world;
    struct err err = ERR_INIT;
    world_make(&world, 3);
    world_sweep(&world);
    assert_int_equal(world_count(&world, VERDICT_UP), 9);
    status_forget(world.status, 1);
    world.now_ms += 30000; /* others have it in their lists still, and are looked at now and then */
    world_sweep(&world);
    assert_int_equal(status_visit_node(world.status, 1, world.now_ms, NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(world_count(&world, VERDICT_UP), 4);
    /* The next node there has nothing of it, also when nobody said that the first one went. */
    snprintf(world.nodes[2].uid, sizeof(world.nodes[2].uid), "another");
    world.nodes[2].edition = 0;
    world_publish(&world, 2);
    world_sweep(&world);
    struct rows rows = world_rows(&world, 2);
    assert_int_equal(rows.count, 3);
    for (size_t i = 0; i < rows.count; i++) {
        assert_int_equal(rows.items[i].verdict, VERDICT_UNKNOWN);
    }
    struct status_node_key old = {.slot = 2, .name = "host2", .uid = "uid-2"};
    status_note_poll(world.status, &old, "x", true, world.now_ms);
    char digest[DIGEST_TEXT_MAX];
    assert_false(view_of(&world, 2, digest).waits);
    status_free(world.status);
}

static void test_sessions_of_others_are_unexpected(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 2);
    struct sim *sim = &world.nodes[0];
    sim->sessions[sim->session_count++] = (struct status_session){.address = world_address("203.0.113.7"),
                                                                  .port = 179,
                                                                  .state = SESSION_ESTABLISHED,
                                                                  .hold_time_s = -1};
    /* One key twice: what stands later in the report counts. */
    sim->sessions[sim->session_count] = sim->sessions[sim->session_count - 1];
    sim->sessions[sim->session_count++].state = SESSION_IDLE;
    world_report(&world, 0);
    struct rows rows = world_rows(&world, 0);
    assert_int_equal(rows.count, 3);
    assert_string_equal(rows.items[2].address, "203.0.113.7");
    assert_int_equal(rows.items[2].verdict, VERDICT_UNEXPECTED);
    struct status_report big = {.boot = "b", .sequence = 1, .session_count = STATUS_SESSIONS_MAX + 1};
    struct status_node_key key = world_key(&world, 0);
    struct err err = ERR_INIT;
    enum status_taken taken;
    assert_int_equal(status_take_report(world.status, &key, &big, world.now_ms, REAL_MS, &taken, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    status_free(world.status);
}

static void test_a_list_that_leaves_a_session_alone(void **state) {
    (void)state;
    struct world world;
    world_make(&world, 3);
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS);
    /* The external session changes; those between the nodes do not, and stay Up while the agent is late. */
    world.nodes[0].entries[2].ttl_security = 1;
    world_publish(&world, 0);
    struct rows rows = world_rows(&world, 0);
    assert_int_equal(rows.items[0].verdict, VERDICT_UP);
    assert_int_equal(rows.items[1].verdict, VERDICT_UP);
    assert_int_equal(rows.items[2].verdict, VERDICT_CONVERGING);
    struct status_totals totals;
    status_read_totals(world.status, world.now_ms, &totals);
    assert_int_equal(totals.nodes, 3);
    assert_int_equal(totals.nodes_behind, 1);
    assert_int_equal(totals.nodes_current, 2);
    status_free(world.status);
    assert_true(totals.memory > 0);
}

static int start(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return random_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_is_unknown_and_comes_back),
        cmocka_unit_test(test_restart_makes_no_transitions),
        cmocka_unit_test(test_a_flapping_session_is_folded),
        cmocka_unit_test(test_order_of_reports),
        cmocka_unit_test(test_unchanged_reports_are_a_digest),
        cmocka_unit_test(test_two_agents),
        cmocka_unit_test(test_a_slot_is_used_again),
        cmocka_unit_test(test_sessions_of_others_are_unexpected),
        cmocka_unit_test(test_a_list_that_leaves_a_session_alone),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
