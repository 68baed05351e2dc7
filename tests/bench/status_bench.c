/*
 * What knowing 80,000 sessions costs: 10,000 nodes with 8 sessions each, whose agents report every 30 s.
 *
 *     status_bench DIR
 *
 * Six sessions of a node are with its neighbours on a ring, two with switches. Prints one JSON object:
 * seconds of processor that the reports and the sweeps of half a minute take, bytes of memory, and, for a
 * storm in which all sessions fall at once, seconds until every change is on the disk, and the longest that a
 * write was held up meanwhile. DIR is where the store is made.
 */
#include <malloc.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"
#include "state.h"

#define NODES      10000
#define NEIGHBOURS 6
#define SESSIONS   (NEIGHBOURS + 2)
#define SWEEPS     3 /* of a quiet node in half a minute */

struct member {
    char name[16];
    char address[16];
    char peers[SESSIONS][16];
    char remotes[NEIGHBOURS][16];
};

static struct member *members;

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_since(int64_t start_ns) {
    return (double)(clock_monotonic_ns() - start_ns) / 1e9;
}

static void make_members(void) {
    static const int STEPS[NEIGHBOURS] = {-3, -2, -1, 1, 2, 3};
    members = must_have(calloc(NODES, sizeof(*members)));
    for (unsigned i = 0; i < NODES; i++) {
        struct member *member = &members[i];
        snprintf(member->name, sizeof(member->name), "node-%06u", i);
        fleet_address(i, member->address);
        for (unsigned k = 0; k < NEIGHBOURS; k++) {
            unsigned far = (i + NODES + (unsigned)STEPS[k]) % NODES;
            fleet_address(far, member->peers[k]);
            snprintf(member->remotes[k], sizeof(member->remotes[k]), "node-%06u", far);
        }
        snprintf(member->peers[NEIGHBOURS], 16, "172.16.%u.253", i / 40);
        snprintf(member->peers[NEIGHBOURS + 1], 16, "172.16.%u.254", i / 40);
    }
}

static struct status_node_key key_of(unsigned i) {
    return (struct status_node_key){.slot = i, .name = members[i].name, .uid = members[i].name};
}

static int64_t slot_of(void *arg, const char *name) {
    (void)arg;
    return strtol(name + 5, NULL, 10);
}

static uint64_t digest_of(void *arg, const struct peering_entry *entry) {
    (void)arg;
    return entry->as_number + 1;
}

static int by_address(const void *a, const void *b) {
    return ip_compare(&((const struct peering_entry *)a)->address,
                      &((const struct peering_entry *)b)->address);
}

static void set_list(struct fleet_status *status, unsigned i) {
    struct peering_entry entries[SESSIONS] = {0};
    const struct member *member = &members[i];
    struct err err = ERR_INIT;
    for (unsigned k = 0; k < SESSIONS; k++) {
        bool external = k >= NEIGHBOURS;
        (void)ip_parse(member->peers[k], strlen(member->peers[k]), &entries[k].address);
        entries[k].as_number = external ? 64999 : 64512;
        entries[k].local_as_number = 64512;
        entries[k].external = external;
        entries[k].passive = !external && k < NEIGHBOURS / 2;
        entries[k].origin.bgp_peer = external ? "rack-tor" : NULL;
        entries[k].origin.remote_node = external ? NULL : member->remotes[k];
    }
    qsort(entries, SESSIONS, sizeof(entries[0]), by_address);
    struct peering_list list = {.node = member->name, .entry_count = SESSIONS, .entries = entries};
    list.local.ipv4_address = member->address;
    list.local.as_number = 64512;
    struct status_node_key key = key_of(i);
    struct status_lists lists = {.slot_of = slot_of, .digest_of = digest_of, .revision = 1};
    must(status_set_list(status, &key, &list, "0123456789abcdef0123456789abcdef", &lists, &err), &err);
}

/* What an agent sends. */
static void write_report(struct buf *out, unsigned i, unsigned sequence, bool up) {
    buf_clear(out);
    buf_printf(out,
               "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringStatus\","
               "\"list\":\"0123456789abcdef0123456789abcdef\",\"appliedAt\":\"2026-01-01T00:00:00Z\","
               "\"agent\":{\"version\":\"0.2.0\",\"daemon\":\"BIRD 2.0.12\",\"boot\":\"0123456789abcdef\","
               "\"sequence\":%u},\"sessions\":[",
               sequence);
    for (unsigned k = 0; k < SESSIONS; k++) {
        buf_printf(
            out,
            "%s{\"peerIP\":\"%s\",\"state\":\"%s\",\"since\":\"2026-01-01T00:00:00Z\",\"transitions\":1,"
            "\"received\":12,\"sent\":3,\"holdTimeSeconds\":90%s}",
            k > 0 ? "," : "", members[i].peers[k], up ? "Established" : "Idle",
            up ? ""
               : ",\"lastError\":{\"code\":\"Cease/AdministrativeShutdown\",\"from\":\"Local\","
                 "\"at\":\"2026-02-01T00:00:00Z\"}");
    }
    buf_add_str(out, "]}");
}

/* As the handler takes it, without HTTP: the document is decoded, its sessions are read. */
static void take_report(struct fleet_status *status, unsigned i, unsigned sequence, const struct buf *text) {
    struct peering_status_form form = {.list = NULL};
    struct status_session sessions[SESSIONS] = {0};
    struct arena arena;
    struct err err = ERR_INIT;
    enum status_taken taken;
    arena_init(&arena, 8192);
    must(codec_decode_peering_status(CODEC_JSON, text->data, text->len, &arena, &form, &err), &err);
    const struct peering_status_session *items = form.sessions.items;
    for (size_t k = 0; k < form.sessions.count; k++) {
        struct status_session *session = &sessions[k];
        (void)ip_parse(items[k].peer_ip, strlen(items[k].peer_ip), &session->address);
        session->port = PEERING_BGP_PORT;
        session->state = (uint8_t)session_state_by_name(items[k].state);
        session->hold_time_s = 90;
        (void)clock_parse(items[k].since, strlen(items[k].since), &session->since_ms);
        if (items[k].last_error != NULL) {
            session->error = (uint8_t)session_error_by_code(items[k].last_error->code);
            (void)clock_parse(items[k].last_error->at, strlen(items[k].last_error->at),
                              &session->error_at_ms);
        }
    }
    struct status_report report = {.list = form.list,
                                   .applied_at_ms = INT64_C(1767225600000),
                                   .agent_version = form.agent->version,
                                   .daemon = form.agent->daemon,
                                   .boot = form.agent->boot,
                                   .sequence = sequence,
                                   .session_count = form.sessions.count,
                                   .sessions = sessions};
    struct status_node_key key = key_of(i);
    must(status_take_report(status, &key, &report, clock_monotonic_ms(), clock_realtime_ms(), &taken, &err),
         &err);
    arena_done(&arena);
}

/* Seconds of processor that a round of reports takes, without the writing of them. */
static double report_all(struct fleet_status *status, unsigned sequence, bool up) {
    struct buf text = BUF_INIT;
    double taken = 0;
    for (unsigned i = 0; i < NODES; i++) {
        write_report(&text, i, sequence, up);
        double start = cpu_seconds();
        take_report(status, i, sequence, &text);
        taken += cpu_seconds() - start;
    }
    buf_done(&text);
    return taken;
}

static size_t bytes_in_use(void) {
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void measure_quiet(void) {
    struct fleet_status *status;
    struct err err = ERR_INIT;
    size_t before = bytes_in_use();
    must(status_new(1, &status, &err), &err);
    for (unsigned i = 0; i < NODES; i++) {
        set_list(status, i);
    }
    (void)report_all(status, 1, true);
    int64_t now_ms = clock_monotonic_ms();
    status_sweep(status, now_ms, 0, NULL, NULL);
    size_t bytes = bytes_in_use() - before;
    double reports = report_all(status, 2, true);
    double start = cpu_seconds();
    for (int64_t i = 1; i <= SWEEPS; i++) {
        status_sweep(status, now_ms + i * 10001, 0, NULL, NULL);
    }
    double sweeps = cpu_seconds() - start;
    struct status_totals totals;
    status_read_totals(status, now_ms, &totals);
    printf("{\"sessions_up\": %llu, \"reports\": %.6f, \"sweeps\": %.6f, \"bytes\": %zu, ",
           (unsigned long long)(totals.verdicts[VERDICT_UP][0] + totals.verdicts[VERDICT_UP][1]), reports,
           sweeps, bytes);
    status_free(status);
}

/* ---- the storm ---- */

struct held {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void on_done(struct write *write) {
    struct held *held = write->arg;
    pthread_mutex_lock(&held->lock);
    held->done = true;
    pthread_cond_signal(&held->cond);
    pthread_mutex_unlock(&held->lock);
}

/* Seconds until the creation of a Node is on the disk. */
static double write_once(struct state *state, unsigned number) {
    struct held held = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct arena arena, object_arena;
    struct causes causes;
    struct advice advice;
    struct err err = ERR_INIT;
    char json[128];
    snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"written-%u\"}}", number);
    arena_init(&arena, 0);
    arena_init(&object_arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    struct write write = {.op = WRITE_CREATE,
                          .kind = KIND_NODE,
                          .arena = &arena,
                          .object_arena = &object_arena,
                          .done = on_done,
                          .arg = &held};
    struct codec_options options = {.kind = KIND_NODE};
    must(codec_decode(&options, json, strlen(json), &object_arena, &write.object, &causes, &advice, &err),
         &err);
    int64_t start = clock_monotonic_ns();
    must(state_submit(state, &write, &err), &err);
    pthread_mutex_lock(&held.lock);
    while (!held.done) {
        pthread_cond_wait(&held.cond, &held.lock);
    }
    pthread_mutex_unlock(&held.lock);
    double took = seconds_since(start);
    record_unref(write.record);
    arena_done(&object_arena);
    arena_done(&arena);
    return took;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct state_figures figures_of(struct state *state) {
    struct state_figures figures;
    state_figures(state, &figures);
    return figures;
}

static void measure_storm(const char *dir) {
    static double waits[100000];
    struct store *store;
    struct state *state;
    struct err err = ERR_INIT;
    struct status_totals totals = {0};
    size_t count = 0;
    must(store_open(&(struct store_options){.dir = dir}, &store, &err), &err);
    must(state_open(store, &(struct state_options){.secret_namespace = "default"}, &state, &err), &err);
    struct fleet_status *status = state_status(state);
    for (unsigned i = 0; i < NODES; i++) {
        set_list(status, i);
    }
    (void)report_all(status, 1, true);
    while (totals.verdicts[VERDICT_UP][0] + totals.verdicts[VERDICT_UP][1] < NODES * SESSIONS) {
        usleep(10000);
        status_read_totals(status, clock_monotonic_ms(), &totals);
    }
    double alone = 0;
    for (unsigned i = 0; i < 100; i++) {
        waits[i] = write_once(state, i);
    }
    qsort(waits, 100, sizeof(waits[0]), by_size);
    alone = waits[50];
    (void)report_all(status, 2, false);
    int64_t start = clock_monotonic_ns();
    while (figures_of(state).transitions_stored < NODES * SESSIONS && seconds_since(start) < 60) {
        if (count < sizeof(waits) / sizeof(waits[0])) {
            waits[count] = write_once(state, 1000 + (unsigned)count);
            count++;
        }
    }
    double recorded = seconds_since(start);
    qsort(waits, count, sizeof(waits[0]), by_size);
    printf(
        "\"recorded\": %.3f, \"rows\": %llu, \"dropped\": %llu, \"write_alone\": %.6f, \"write_p99\": %.6f, "
        "\"write_max\": %.6f}\n",
        recorded, (unsigned long long)figures_of(state).transitions_stored,
        (unsigned long long)figures_of(state).transitions_dropped, alone, waits[count * 99 / 100],
        waits[count - 1]);
    state_close(state);
    store_close(store);
}

int main(int argc, char **argv) {
    struct err err = ERR_INIT;
    if (argc != 2) {
        fputs("usage: status_bench DIR\n", stderr);
        return 2;
    }
    must(random_start(&err), &err);
    must(codec_start(&err), &err);
    make_members();
    measure_quiet();
    measure_storm(argv[1]);
    return 0;
}
