/*
 * The simulated fleet: the service's side (lists), the agents' side (reports), and the rows that come of
 * both.
 */
#include "status_world.h"

/* SplitMix64. */
uint64_t world_roll(uint64_t *dice) {
    uint64_t z = *dice += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct ip_addr world_address(const char *text) {
    struct ip_addr addr;
    assert_true(ip_parse(text, strlen(text), &addr));
    return addr;
}

/* ---- the service's side ---- */

int64_t world_slot(void *arg, const char *name) {
    struct world *world = arg;
    for (size_t i = 0; i < world->node_count; i++) {
        if (strcmp(world->nodes[i].name, name) == 0) {
            return (int64_t)i;
        }
    }
    return -1;
}

const struct secret_value PASSWORD_A = {.fingerprint = "00000000000000aa"};
const struct secret_value PASSWORD_B = {.fingerprint = "00000000000000bb"};

static uint64_t digest_of(void *arg, const struct peering_entry *entry) {
    (void)arg;
    uint64_t digest = entry->as_number * 31u + entry->local_as_number * 7u + entry->passive + 1u;
    digest = digest * 131u + (entry->secret == &PASSWORD_B) + 2u * (entry->password == PASSWORD_WITHHELD);
    return digest * 131u + entry->ttl_security;
}

struct status_node_key world_key(struct world *world, size_t i) {
    return (struct status_node_key){
        .slot = (uint32_t)i, .name = world->nodes[i].name, .uid = world->nodes[i].uid};
}

void world_publish(struct world *world, size_t i) {
    struct sim *sim = &world->nodes[i];
    struct err err = ERR_INIT;
    struct peering_list list = {.node = sim->name, .entry_count = sim->entry_count, .entries = sim->entries};
    list.local.ipv4_address = sim->ip;
    list.local.as_number = 64512;
    char etag[DIGEST_TEXT_MAX] = "";
    snprintf(etag, sizeof(etag), "%zu-%u", i, ++sim->edition);
    memcpy(sim->etag, etag, sizeof(etag));
    struct status_node_key key = world_key(world, i);
    struct status_lists lists = {.slot_of = world_slot, .digest_of = digest_of, .arg = world};
    assert_int_equal(status_set_list(world->status, &key, &list, sim->etag, &lists, &err), 0);
    status_note_poll(world->status, &key, sim->etag, false, world->now_ms);
}

/* ---- the agents' side ---- */

void sim_apply(struct sim *sim, enum session_state state) {
    memcpy(sim->applied, sim->etag, sizeof(sim->applied));
    sim->session_count = 0;
    for (size_t i = 0; i < sim->entry_count; i++) {
        bool withheld = sim->entries[i].password == PASSWORD_WITHHELD;
        sim->sessions[sim->session_count++] = (struct status_session){
            .address = sim->entries[i].address,
            .port = 179,
            .state = (uint8_t)(withheld ? SESSION_IDLE : state),
            .shut_down = withheld,
            .hold_time_s = 90,
            .transitions = state == SESSION_ESTABLISHED && !withheld,
        };
    }
}

enum status_taken world_report(struct world *world, size_t i) {
    struct sim *sim = &world->nodes[i];
    struct err err = ERR_INIT;
    struct status_node_key key = world_key(world, i);
    struct status_report report = {
        .list = sim->applied,
        .applied_at_ms = REAL_MS + world->now_ms,
        .apply_error = sim->apply_error,
        .agent_version = "1",
        .daemon = "BIRD 2.0.12",
        .boot = sim->boot,
        .sequence = ++sim->sequence,
        .session_count = sim->session_count,
        .sessions = sim->sessions,
    };
    enum status_taken taken = STATUS_NOT_KNOWN;
    assert_int_equal(status_take_report(world->status, &key, &report, world->now_ms, REAL_MS + world->now_ms,
                                        &taken, &err),
                     0);
    return taken;
}

void world_report_all(struct world *world) {
    for (size_t i = 0; i < world->node_count; i++) {
        if (!world->nodes[i].silent) {
            world_report(world, i);
        }
    }
}

/* Nodes on a line of addresses, all meshed, each with one external peer. */
void world_make(struct world *world, size_t nodes) {
    struct err err = ERR_INIT;
    *world = (struct world){.now_ms = 1000000, .node_count = nodes};
    assert_int_equal(status_new(1000, &world->status, &err), 0);
    for (size_t i = 0; i < nodes; i++) {
        struct sim *sim = &world->nodes[i];
        snprintf(sim->name, sizeof(sim->name), "host%zu", i);
        snprintf(sim->uid, sizeof(sim->uid), "uid-%zu", i);
        snprintf(sim->boot, sizeof(sim->boot), "boot%zu", i);
        snprintf(sim->ip, sizeof(sim->ip), "192.0.2.%zu", i + 1);
    }
    for (size_t i = 0; i < nodes; i++) {
        struct sim *sim = &world->nodes[i];
        for (size_t j = 0; j <= nodes; j++) {
            bool external = j == nodes;
            if (j == i) {
                continue;
            }
            struct peering_entry *entry = &sim->entries[sim->entry_count++];
            *entry = (struct peering_entry){
                .address = world_address(external ? "198.51.100.1" : world->nodes[j].ip),
                .as_number = external ? 64999 : 64512,
                .local_as_number = 64512,
                .external = external,
                .passive = !external && j > i,
                .password = PASSWORD_VALUE,
                .secret = &PASSWORD_A,
                .origin = {.bgp_peer = "p", .remote_node = external ? NULL : world->nodes[j].name},
            };
        }
        world_publish(world, i);
        sim_apply(sim, SESSION_ESTABLISHED);
    }
    world_report_all(world);
}

static void on_change(void *arg, const struct status_transition *transition) {
    struct world *world = arg;
    world->transitions++;
    world->last = *transition;
    snprintf(world->last_node, sizeof(world->last_node), "%s", transition->node);
}

void world_sweep(struct world *world) {
    status_sweep(world->status, world->now_ms, 0, on_change, world);
}

/* Time goes on; agents report as they do. */
void world_pass(struct world *world, int64_t ms) {
    world->now_ms += ms;
    world_report_all(world);
    world_sweep(world);
}

/* ---- rows ---- */

static bool collect(void *arg, const struct status_row *row) {
    struct rows *rows = arg;
    assert_true(rows->count < COUNT_OF(rows->items));
    ip_format(&row->address, rows->items[rows->count].address);
    rows->items[rows->count].verdict = row->judgement.verdict;
    snprintf(rows->items[rows->count].message, STATUS_MESSAGE_MAX, "%s", row->judgement.message);
    rows->count++;
    return true;
}

struct rows world_rows(struct world *world, size_t i) {
    struct rows rows = {.count = 0};
    struct err err = ERR_INIT;
    assert_int_equal(status_visit_node(world->status, (uint32_t)i, world->now_ms, NULL, collect, &rows, &err),
                     0);
    return rows;
}

uint64_t world_count(struct world *world, enum status_verdict verdict) {
    struct status_totals totals;
    status_read_totals(world->status, world->now_ms, &totals);
    return totals.verdicts[verdict][0] + totals.verdicts[verdict][1];
}

struct status_session *world_session(struct world *world, size_t a, const char *ip) {
    struct ip_addr address = world_address(ip);
    for (size_t i = 0; i < world->nodes[a].session_count; i++) {
        if (ip_compare(&world->nodes[a].sessions[i].address, &address) == 0) {
            return &world->nodes[a].sessions[i];
        }
    }
    fail_msg("no session");
    return NULL;
}
