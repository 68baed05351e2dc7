/*
 * The peering computation by itself, in one thread, without HTTP and without a disk.
 *
 *     peering_bench
 *
 * Prints one JSON object with seconds for each part: all lists of 5,000 nodes from scratch (2,622 BGPPeers,
 * 200 selectors, no mesh), one node's label change until the lists it affects are right, one global BGPPeer
 * until it is known whose list is stale, one list of a full mesh of 1,000 nodes; and bytes of memory per
 * node.
 */
#include <malloc.h>

#include "fleet.h"
#include "peering.h"

#define NODES      5000
#define SELECTORS  200
#define TORS       12 /* BGPPeers with an address, for each selector */
#define SINGLE     22 /* BGPPeers of one node: 200 × 12 + 200 × 1 + 22 = 2,622 */
#define REFLECTORS 40 /* a pair for each of 20 clusters of 10 racks */
#define CLUSTERS   20
#define MESH_NODES 1000
#define REPEAT     21

struct fleet {
    uint64_t revision;
    size_t count;
    struct snapshot_change *changes;
    struct snapshot *snapshot;
    struct peering_index *index;
};

static double seconds_since(int64_t start_ns) {
    return (double)(clock_monotonic_ns() - start_ns) / 1e9;
}

static void put(struct fleet *fleet, enum kind kind, const char *json) {
    fleet->changes[fleet->count++] =
        (struct snapshot_change){.kind = kind, .after = fleet_record(kind, ++fleet->revision, json)};
}

static void put_nodes(struct fleet *fleet, unsigned count, bool reflectors) {
    char json[512], address[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"node-%06u\",\"labels\":{\"kubernetes.io/hostname\":\"node-%06u\","
                 "\"rack\":\"rack-%03u\",\"role\":\"%s\",\"cluster\":\"cluster-%02u\"}},"
                 "\"spec\":{\"bgp\":{\"ipv4Address\":\"%s/8\"}}}",
                 i, i, i % SELECTORS, reflectors && i < REFLECTORS ? "reflector" : "worker", i % CLUSTERS,
                 fleet_address(i, address));
        put(fleet, KIND_NODE, json);
    }
}

static void put_peers(struct fleet *fleet) {
    char json[512];
    put(fleet, KIND_BGPCONFIGURATION,
        "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}");
    for (unsigned i = 0; i < SELECTORS * TORS; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"tor-%04u\"},\"spec\":{\"nodeSelector\":\"rack == 'rack-%03u' && "
                 "role in {'worker', 'reflector'}\",\"peerIP\":\"172.16.%u.%u\",\"asNumber\":%u}}",
                 i, i % SELECTORS, i >> 8, i & 255, 65000 + i % 500);
        put(fleet, KIND_BGPPEER, json);
    }
    for (unsigned i = 0; i < SELECTORS; i++) {
        snprintf(
            json, sizeof(json),
            "{\"metadata\":{\"name\":\"reflected-%03u\"},\"spec\":{\"nodeSelector\":\"rack == 'rack-%03u' && "
            "role in {'worker', 'reflector'}\",\"peerSelector\":\"role == 'reflector' && cluster == "
            "'cluster-%02u'\"}}",
            i, i, i % CLUSTERS);
        put(fleet, KIND_BGPPEER, json);
    }
    for (unsigned i = 0; i < SINGLE; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"single-%02u\"},\"spec\":{\"node\":\"node-%06u\",\"peerIP\":\"172."
                 "17.0.%u\","
                 "\"asNumber\":65001}}",
                 i, i * 7, i);
        put(fleet, KIND_BGPPEER, json);
    }
}

static void build(struct fleet *fleet) {
    struct err err = ERR_INIT;
    struct snapshot *empty = NULL;
    must(snapshot_new_empty(&empty, &err), &err);
    must(snapshot_next(empty, fleet->changes, fleet->count, fleet->revision, &fleet->snapshot, &err), &err);
    snapshot_unref(empty);
}

/* One node's list up to its bytes and their digest, as it is kept; its sessions. */
static size_t make_list(const struct peering_index *index, const char *node) {
    struct arena arena;
    struct peering_list list;
    struct err err = ERR_INIT;
    struct buf content = BUF_INIT, text = BUF_INIT;
    char digest[DIGEST_TEXT_MAX];
    arena_init(&arena, 8192);
    must(peering_compute(index, node, &arena, &list, &err), &err);
    size_t place = peering_encode_content(&list, &content);
    digest_hex(content.data, content.len, digest);
    peering_complete_content(&content, place, list.newest_revision, &text);
    size_t sessions = list.entry_count;
    buf_done(&content);
    buf_done(&text);
    arena_done(&arena);
    return sessions;
}

static size_t make_all_lists(const struct fleet *fleet, unsigned nodes) {
    char name[32];
    size_t sessions = 0;
    for (unsigned i = 0; i < nodes; i++) {
        snprintf(name, sizeof(name), "node-%06u", i);
        sessions += make_list(fleet->index, name);
    }
    return sessions;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double samples[REPEAT]) {
    qsort(samples, REPEAT, sizeof(samples[0]), compare);
    return samples[REPEAT / 2];
}

struct lists {
    const struct peering_index *index;
    size_t made;
};

static void make_list_of_slot(void *arg, uint32_t slot) {
    struct lists *lists = arg;
    char name[32];
    /* The index gives slots to nodes in the order of their names. */
    snprintf(name, sizeof(name), "node-%06u", slot);
    if (peering_index_slot(lists->index, name) != slot) {
        fputs("peering_bench: slots are not in the order of names\n", stderr);
        exit(1);
    }
    (void)make_list(lists->index, name);
    lists->made++;
}

/* A change until the index knows whom it affects and, with `lists`, until their lists are made; then undone.
 */
static double measure_change(const struct fleet *fleet, enum kind kind, const char *key, const char *json,
                             bool lists, size_t *ret_affected) {
    double samples[REPEAT];
    for (int i = 0; i < REPEAT; i++) {
        struct err err = ERR_INIT;
        struct snapshot *next = NULL;
        struct peering_index *index = NULL;
        struct node_set *affected = NULL;
        struct record *after = fleet_record(kind, fleet->revision + 1, json);
        const struct snapshot_change change = {
            .kind = kind, .before = snapshot_get(fleet->snapshot, kind, key), .after = after};
        int64_t start = clock_monotonic_ns();
        must(snapshot_next(fleet->snapshot, &change, 1, fleet->revision + 1, &next, &err), &err);
        must(peering_index_next(fleet->index, next, &change, 1, &index, &affected, &err), &err);
        struct lists made = {.index = index};
        if (lists) {
            node_set_each(affected, make_list_of_slot, &made);
        }
        samples[i] = seconds_since(start);
        *ret_affected = node_set_count(affected);
        node_set_free(affected);
        peering_index_unref(index);
        snapshot_unref(next);
        record_unref(after);
    }
    return median(samples);
}

static size_t bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void measure_fleet(void) {
    struct fleet fleet = {.changes = must_have(calloc(NODES + 4000, sizeof(struct snapshot_change)))};
    struct err err = ERR_INIT;
    size_t affected = 0;
    put_peers(&fleet);
    size_t empty = bytes_in_use();
    put_nodes(&fleet, NODES, true);
    build(&fleet);
    size_t objects = bytes_in_use();
    int64_t start = clock_monotonic_ns();
    must(peering_index_new(fleet.snapshot, "default", &fleet.index, &err), &err);
    double index = seconds_since(start);
    size_t indexed = bytes_in_use();
    size_t sessions = make_all_lists(&fleet, NODES);
    printf("{\"all_lists\": %.6f, \"index\": %.6f, \"sessions\": %zu, ", seconds_since(start), index,
           sessions);
    printf("\"node_bytes\": %zu, \"index_bytes\": %zu, ", (objects - empty) / NODES,
           (indexed - objects) / NODES);
    double label =
        measure_change(&fleet, KIND_NODE, "node-000777",
                       "{\"metadata\":{\"name\":\"node-000777\",\"labels\":{\"rack\":\"rack-150\","
                       "\"role\":\"worker\"}},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.3.10/8\"}}}",
                       true, &affected);
    printf("\"label_change\": %.6f, \"label_affected\": %zu, ", label, affected);
    double global =
        measure_change(&fleet, KIND_BGPPEER, "everywhere",
                       "{\"metadata\":{\"name\":\"everywhere\"},\"spec\":{\"peerIP\":\"172.18.0.1\","
                       "\"asNumber\":65100}}",
                       false, &affected);
    printf("\"global_peer\": %.6f, \"global_affected\": %zu, ", global, affected);
    peering_index_unref(fleet.index);
    snapshot_unref(fleet.snapshot);
    free(fleet.changes);
}

static void measure_mesh(void) {
    struct fleet fleet = {.changes = must_have(calloc(MESH_NODES, sizeof(struct snapshot_change)))};
    struct err err = ERR_INIT;
    double samples[REPEAT];
    size_t sessions = 0;
    put_nodes(&fleet, MESH_NODES, false);
    build(&fleet);
    must(peering_index_new(fleet.snapshot, "default", &fleet.index, &err), &err);
    for (int i = 0; i < REPEAT; i++) {
        int64_t start = clock_monotonic_ns();
        struct arena arena;
        struct peering_list list;
        arena_init(&arena, 8192);
        must(peering_compute(fleet.index, "node-000500", &arena, &list, &err), &err);
        samples[i] = seconds_since(start);
        sessions = list.entry_count;
        arena_done(&arena);
    }
    printf("\"mesh_list\": %.6f, \"mesh_sessions\": %zu, ", median(samples), sessions);
    for (int i = 0; i < REPEAT; i++) {
        int64_t start = clock_monotonic_ns();
        (void)make_list(fleet.index, "node-000500");
        samples[i] = seconds_since(start);
    }
    printf("\"mesh_list_encoded\": %.6f}\n", median(samples));
}

int main(void) {
    struct err err = ERR_INIT;
    must(random_start(&err), &err);
    must(codec_start(&err), &err);
    measure_fleet();
    measure_mesh();
    return 0;
}
