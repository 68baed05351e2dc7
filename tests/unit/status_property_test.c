/*
 * The property: agents that apply their lists faithfully make every session Up; and a fault that is put into
 * one session gives exactly the rows it concerns another verdict, with the cause named, and no other row.
 * SEED=n in the environment runs one case.
 */
#include "status_world.h"

#define CASES 10000

/* A fault between node `a` and its entry `e`, whose far node is `b` (nodes when it is external). */
struct fault {
    void (*put)(struct world *world, size_t a, size_t e, size_t b);
    bool both;     /* for sessions between two nodes only */
    int64_t later; /* what time passes until it is clear */
    enum status_verdict here, there;
    const char *says; /* in both messages */
};

static void both_down(struct world *world, size_t a, size_t e, size_t b, enum session_state state,
                      enum session_error error) {
    world->nodes[a].sessions[e].state = (uint8_t)state;
    world->nodes[a].sessions[e].error = (uint8_t)error;
    if (b < world->node_count) {
        world_session(world, b, world->nodes[a].ip)->state = SESSION_ACTIVE;
    }
}

static void put_wrong_as(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_IDLE, SESSION_ERROR_BAD_PEER_AS);
}
static void put_md5(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_CONNECT, SESSION_ERROR_MD5_DIFFERS);
}
static void put_md5_missing(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_CONNECT, SESSION_ERROR_MD5_MISSING);
}
static void put_md5_unexpected(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_CONNECT, SESSION_ERROR_MD5_UNEXPECTED);
}
static void put_ttl(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_OPEN_SENT, SESSION_ERROR_TTL);
}
static void put_refused(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_ACTIVE, SESSION_ERROR_REFUSED);
}
static void put_no_route(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_ACTIVE, SESSION_ERROR_NO_ROUTE);
}
static void put_no_source(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_ACTIVE, SESSION_ERROR_NO_SOURCE_ADDRESS);
}
static void put_hold_timer(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_ACTIVE, SESSION_ERROR_HOLD_TIMER);
}
static void put_identifier(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_IDLE, SESSION_ERROR_BAD_BGP_IDENTIFIER);
}
static void put_prefixes(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_IDLE, SESSION_ERROR_MAX_PREFIXES);
}
static void put_admin(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_IDLE, SESSION_ERROR_NONE);
    world->nodes[a].sessions[e].shut_down = true;
}
static void put_no_answer(struct world *world, size_t a, size_t e, size_t b) {
    both_down(world, a, e, b, SESSION_CONNECT, SESSION_ERROR_NONE);
}
static void put_missing(struct world *world, size_t a, size_t e, size_t b) {
    struct sim *sim = &world->nodes[a];
    sim->session_count--;
    memmove(&sim->sessions[e], &sim->sessions[e + 1], (sim->session_count - e) * sizeof(sim->sessions[0]));
    if (b < world->node_count) {
        world_session(world, b, sim->ip)->state = SESSION_ACTIVE;
    }
}
static void put_half(struct world *world, size_t a, size_t e, size_t b) {
    (void)b;
    world->nodes[a].sessions[e].state = SESSION_OPEN_SENT;
}
static void put_other_password(struct world *world, size_t a, size_t e, size_t b) {
    world->nodes[a].entries[e].secret = &PASSWORD_B;
    world_publish(world, a);
    sim_apply(&world->nodes[a], SESSION_ESTABLISHED);
    both_down(world, a, e, b, SESSION_CONNECT, SESSION_ERROR_NONE);
}
static void put_other_as(struct world *world, size_t a, size_t e, size_t b) {
    world->nodes[a].entries[e].as_number = 64777;
    world_publish(world, a);
    sim_apply(&world->nodes[a], SESSION_ESTABLISHED);
    both_down(world, a, e, b, SESSION_IDLE, SESSION_ERROR_NONE);
}
static void put_removed(struct world *world, size_t a, size_t e, size_t b) {
    struct sim *sim = &world->nodes[b];
    (void)e;
    for (size_t i = 0; i < sim->entry_count; i++) {
        struct ip_addr address = world_address(world->nodes[a].ip);
        if (ip_compare(&sim->entries[i].address, &address) == 0) {
            sim->entry_count--;
            memmove(&sim->entries[i], &sim->entries[i + 1], (sim->entry_count - i) * sizeof(sim->entries[0]));
            break;
        }
    }
    world_publish(world, b);
    sim_apply(sim, SESSION_ESTABLISHED);
    world->nodes[a].sessions[e].state = SESSION_ACTIVE;
}
static void put_withheld(struct world *world, size_t a, size_t e, size_t b) {
    world->nodes[a].entries[e].password = PASSWORD_WITHHELD;
    world_publish(world, a);
    sim_apply(&world->nodes[a], SESSION_ESTABLISHED);
    if (b < world->node_count) {
        world_session(world, b, world->nodes[a].ip)->state = SESSION_ACTIVE;
    }
}
static void put_stale(struct world *world, size_t a, size_t e, size_t b) {
    (void)b;
    world->nodes[a].entries[e].ttl_security = 1;
    world_publish(world, a); /* and its agent does nothing */
}
static void put_unapplied(struct world *world, size_t a, size_t e, size_t b) {
    put_stale(world, a, e, b);
    world->nodes[a].apply_error = "bird: line 7: syntax error";
    world->nodes[a].sessions[e].state = SESSION_IDLE;
    if (b < world->node_count) {
        world_session(world, b, world->nodes[a].ip)->state = SESSION_ACTIVE;
    }
}

#define ANY VERDICT_COUNT /* there is no such row */

static const struct fault FAULTS[] = {
    {put_wrong_as, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "Bad Peer AS"},
    {put_md5, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "passwords differ"},
    {put_md5_missing, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "does not sign"},
    {put_md5_unexpected, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "has no password"},
    {put_ttl, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "TTL too low"},
    {put_refused, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "refused"},
    {put_no_route, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "no route"},
    {put_no_source, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "source address"},
    {put_hold_timer, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "hold timer"},
    {put_identifier, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "BGP identifier"},
    {put_prefixes, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "too many prefixes"},
    {put_admin, false, 1000, VERDICT_DOWN, VERDICT_DOWN, "shut down on"},
    {put_no_answer, true, 1000, VERDICT_DOWN, VERDICT_DOWN, "no answer"},
    {put_missing, true, 1000, VERDICT_MISSING, VERDICT_DOWN, "does not have"},
    {put_half, true, STATUS_HALF_UP_MS + 2000, VERDICT_HALF_UP, VERDICT_HALF_UP, "OpenSent"},
    {put_other_password, true, 1000, VERDICT_INCOMPATIBLE, VERDICT_INCOMPATIBLE, "passwords differ"},
    {put_other_as, true, 1000, VERDICT_INCOMPATIBLE, VERDICT_INCOMPATIBLE, "AS numbers differ"},
    {put_removed, true, 1000, VERDICT_INCOMPATIBLE, ANY, "far side has no such peer"},
    {put_withheld, true, 1000, VERDICT_WITHHELD, VERDICT_INCOMPATIBLE, "withheld"},
    {put_withheld, false, 1000, VERDICT_WITHHELD, ANY, "withheld"},
    {put_stale, true, 1000, VERDICT_CONVERGING, VERDICT_CONVERGING, "not yet applied by"},
    {put_unapplied, true, 1000, VERDICT_DOWN, VERDICT_DOWN, "could not apply its list"},
};

/* The one row of `node` that the fault concerns is as said; all others are Up. */
static void check_rows(struct world *world, size_t node, const char *address, enum status_verdict verdict,
                       const char *says, bool *ret_found) {
    struct rows rows = world_rows(world, node);
    for (size_t i = 0; i < rows.count; i++) {
        if (address != NULL && strcmp(rows.items[i].address, address) == 0) {
            if (rows.items[i].verdict != verdict || strstr(rows.items[i].message, says) == NULL) {
                fail_msg("SEED=%" PRIu64 ": %s of %s: %s: %s", world->seed, address, world->nodes[node].name,
                         verdict_name(rows.items[i].verdict), rows.items[i].message);
            }
            *ret_found = true;
        } else if (rows.items[i].verdict != VERDICT_UP) {
            fail_msg("SEED=%" PRIu64 ": %s of %s, which has no fault: %s: %s", world->seed,
                     rows.items[i].address, world->nodes[node].name, verdict_name(rows.items[i].verdict),
                     rows.items[i].message);
        }
    }
}

static void one_case(uint64_t seed) {
    uint64_t dice = seed;
    struct world world;
    world_make(&world, 2 + world_roll(&dice) % (NODES_MAX - 2));
    world.seed = seed;
    world_sweep(&world);
    world_pass(&world, STATUS_SETTLE_MS + 1000);
    for (size_t i = 0; i < world.node_count; i++) {
        bool ignored;
        check_rows(&world, i, NULL, VERDICT_UP, "", &ignored);
    }
    assert_int_equal(world.transitions, 0); /* nothing but a start */

    const struct fault *fault = &FAULTS[world_roll(&dice) % COUNT_OF(FAULTS)];
    size_t a = world_roll(&dice) % world.node_count;
    size_t last = world.nodes[a].entry_count - 1; /* the external one */
    size_t e = fault->both           ? world_roll(&dice) % last
               : fault->there == ANY ? last
                                     : world_roll(&dice) % (last + 1);
    size_t b = world.node_count;
    char far[IP_TEXT_MAX];
    ip_format(&world.nodes[a].entries[e].address, far);
    if (e != last) {
        b = (size_t)world_slot(&world, world.nodes[a].entries[e].origin.remote_node);
    }
    fault->put(&world, a, e, b);
    world.now_ms += 1;
    world_report_all(&world);
    world.now_ms += fault->later - 1;
    world_report_all(&world);
    world_sweep(&world);
    for (size_t i = 0; i < world.node_count; i++) {
        bool found = false;
        bool is_there = i == b && fault->there != ANY;
        check_rows(&world, i,
                   i == a     ? far
                   : is_there ? world.nodes[a].ip
                              : NULL,
                   i == a ? fault->here : fault->there, fault->says, &found);
        assert_int_equal(found, i == a || is_there);
    }
    uint64_t not_up = (uint64_t)1 + (b < world.node_count && fault->there != ANY);
    uint64_t sessions = 0;
    for (size_t i = 0; i < world.node_count; i++) {
        sessions += world.nodes[i].entry_count;
    }
    assert_int_equal(world_count(&world, VERDICT_UP), sessions - not_up);
    if (fault->here != VERDICT_CONVERGING) {
        assert_int_equal(world.transitions, not_up);
    }
    status_free(world.status);
}

static void test_faults_are_named(void **state) {
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : random_u64();
    size_t cases = given != NULL ? 1 : CASES;
    print_message("seed %" PRIu64 "\n", seed);
    for (size_t i = 0; i < cases; i++) {
        one_case(seed + i);
    }
}

static int start(void **state) {
    struct err err = ERR_INIT;
    (void)state;
    return random_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_are_named),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
