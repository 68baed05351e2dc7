/*
 * A fleet whose agents are simulated: lists go in, reports come back, time is the test's own. Nodes on a line
 * of addresses are all meshed, and each has one external peer, the last of its entries.
 */
#ifndef BGPPEERD_TESTS_UNIT_STATUS_WORLD_H
#define BGPPEERD_TESTS_UNIT_STATUS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "model/resources.h"
#include "status.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NODES_MAX       8
#define SESSIONS_MAX    10
#define REAL_MS         INT64_C(1790000000000)

/* A node with its list and its simulated daemon. */
struct sim {
    char name[32];
    char uid[UUID_TEXT_MAX];
    char ip[IP_TEXT_MAX];
    char etag[DIGEST_TEXT_MAX];
    struct peering_entry entries[SESSIONS_MAX];
    size_t entry_count;
    struct status_session sessions[SESSIONS_MAX];
    size_t session_count;
    char applied[DIGEST_TEXT_MAX];
    const char *apply_error;
    char boot[32];
    uint64_t sequence;
    uint32_t edition;
    bool silent;
};

struct world {
    uint64_t seed; /* of the case, for messages */
    struct fleet_status *status;
    int64_t now_ms;
    size_t node_count;
    struct sim nodes[NODES_MAX];
    size_t transitions;
    struct status_transition last;
    char last_node[32];
};

struct rows {
    size_t count;
    struct {
        char address[IP_TEXT_MAX];
        enum status_verdict verdict;
        char message[STATUS_MESSAGE_MAX];
    } items[SESSIONS_MAX + 2];
};

/* Two passwords that entries may have. */
extern const struct secret_value PASSWORD_A;
extern const struct secret_value PASSWORD_B;

uint64_t world_roll(uint64_t *dice);
struct ip_addr world_address(const char *text);
int64_t world_slot(void *arg, const char *name);
struct status_node_key world_key(struct world *world, size_t i);
void world_publish(struct world *world, size_t i);
void sim_apply(struct sim *sim, enum session_state state);
enum status_taken world_report(struct world *world, size_t i);
void world_report_all(struct world *world);
void world_make(struct world *world, size_t nodes);
void world_sweep(struct world *world);
void world_pass(struct world *world, int64_t ms);
struct rows world_rows(struct world *world, size_t i);
uint64_t world_count(struct world *world, enum status_verdict verdict);
struct status_session *world_session(struct world *world, size_t a, const char *ip);

#endif
