/*
 * Fill a data directory with a fleet, straight through the store: what would take minutes over HTTP.
 *
 *     seed DATA-DIR NODES PEERS
 *
 * Nodes node-000000 …, divided evenly among PEERS racks (rack-000000 …, in the label `rack`); a BGPPeer
 * peer-000000 … for each rack, selecting its nodes; no full mesh, as fleets of this size are run. The service
 * must not be running on the directory.
 */
#include <inttypes.h>

#include "fleet.h"
#include "store.h"

#define BATCH 2000

struct seeding {
    struct store *store;
    uint64_t revision;
    size_t count; /* in the batch */
    struct record *records[BATCH];
    struct store_change changes[BATCH];
};

static void flush(struct seeding *seeding) {
    const struct store_batch batch = {.changes = seeding->changes, .change_count = seeding->count};
    struct err err = ERR_INIT;
    if (seeding->count == 0) {
        return;
    }
    must(store_commit(seeding->store, &batch, &err), &err);
    for (size_t i = 0; i < seeding->count; i++) {
        record_unref(seeding->records[i]);
    }
    seeding->count = 0;
}

static void add(struct seeding *seeding, enum kind kind, const char *json) {
    struct record *record = fleet_record(kind, ++seeding->revision, json);
    seeding->records[seeding->count] = record;
    seeding->changes[seeding->count++] = (struct store_change){.op = STORE_CREATE,
                                                               .kind = kind_info(kind)->name,
                                                               .name = record->key,
                                                               .revision = record->revision,
                                                               .time_ms = record->object->meta.creation_ms,
                                                               .actor = "bench",
                                                               .body = record->json,
                                                               .body_len = record->json_len};
    if (seeding->count == BATCH) {
        flush(seeding);
    }
}

static void seed(struct seeding *seeding, unsigned nodes, unsigned peers) {
    char json[1024];
    char address[16];
    add(seeding, KIND_BGPCONFIGURATION,
        "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}");
    for (unsigned i = 0; i < nodes; i++) {
        unsigned rack = (unsigned)((uint64_t)i * peers / nodes);
        snprintf(
            json, sizeof(json),
            "{\"metadata\":{\"name\":\"node-%06u\",\"labels\":{\"rack\":\"rack-%06u\",\"role\":\"worker\"}},"
            "\"spec\":{\"bgp\":{\"ipv4Address\":\"%s/8\"}}}",
            i, rack, fleet_address(i, address));
        add(seeding, KIND_NODE, json);
    }
    for (unsigned i = 0; i < peers; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"peer-%06u\"},\"spec\":{\"nodeSelector\":\"rack == 'rack-%06u'\","
                 "\"peerIP\":\"172.%u.%u.%u\",\"asNumber\":%u}}",
                 i, i, 16 + (i >> 16), i >> 8 & 255, i & 255, 65000 + i % 500);
        add(seeding, KIND_BGPPEER, json);
    }
    flush(seeding);
}

int main(int argc, char **argv) {
    static struct seeding seeding;
    struct err err = ERR_INIT;
    if (argc != 4) {
        fputs("usage: seed DATA-DIR NODES PEERS\n", stderr);
        return 2;
    }
    unsigned nodes = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned peers = (unsigned)strtoul(argv[3], NULL, 10);
    const struct store_options options = {.dir = argv[1]};
    must(random_start(&err), &err);
    must(codec_start(&err), &err);
    must(store_open(&options, &seeding.store, &err), &err);
    seed(&seeding, nodes, peers);
    store_close(seeding.store);
    return 0;
}
