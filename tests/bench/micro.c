/*
 * The hot functions one by one, to be counted in instructions by valgrind (tests/bench/check does that).
 *
 *     micro               prints the names
 *     micro NAME COUNT    runs that function COUNT times inside measured(), everything else outside of it
 *
 * One thread does the work; state's own threads wait meanwhile.
 */
#include <unistd.h>

#include "auth.h"
#include "base/log.h"
#include "fleet.h"
#include "model/resources.h"
#include "render.h"
#include "selector.h"
#include "state.h"
#include "store.h"

#define NODES    256
#define SESSIONS 8
#define MESH     1000 /* sessions of the list of a large mesh */

/* Everything that the functions below need, made once. */
static struct {
    char dir[32];
    struct store *store;
    struct state *state;
    struct picture *picture;
    struct selector *selector;
    struct label_set labels;
    struct peering_list list;
    struct arena list_arena;
    struct peering_list filtered; /* the same with three filters at each session */
    struct peering_list mesh;
    const struct record *peer;
    struct buf out;
    struct token_registry *registry;
    struct limiter *limiter;
    char token[TOKEN_TEXT_MAX];
} bench;

static const char NODE[] = "node-000100";

/* ---- what is measured ---- */

static void run_selector(void) {
    if (!selector_matches(bench.selector, &bench.labels)) {
        abort();
    }
}

static void run_compute(void) {
    struct arena arena;
    struct peering_list list;
    struct err err = ERR_INIT;
    arena_init(&arena, 8192);
    must(peering_compute(bench.picture->index, NODE, &arena, &list, &err), &err);
    arena_done(&arena);
}

static void run_encode_list(void) {
    buf_clear(&bench.out);
    peering_encode(&bench.list, 1, NULL, &bench.out);
}

static void encode(const struct peering_list *list) {
    buf_clear(&bench.out);
    peering_encode(list, 1, NULL, &bench.out);
}

static void run_encode_filtered(void) {
    encode(&bench.filtered);
}

static void render(const struct peering_list *list, const char *format) {
    const struct render_options options = {.revision = 1, .etag = "0123456789abcdef"};
    struct arena arena;
    struct render_report report;
    struct err err = ERR_INIT;
    arena_init(&arena, 8192);
    buf_clear(&bench.out);
    must(render_config(render_format_by_name(format), list, &options, &arena, &bench.out, &report, &err),
         &err);
    arena_done(&arena);
}

static void run_render_bird(void) {
    render(&bench.filtered, "bird2");
}

static void run_render_frr(void) {
    render(&bench.filtered, "frr");
}

static void run_render_mesh(void) {
    render(&bench.mesh, "bird2");
}

static void run_digest(void) {
    char digest[DIGEST_TEXT_MAX];
    digest_hex(bench.out.data, bench.out.len, digest);
}

static void run_decode_object(void) {
    const struct codec_options options = {.kind = KIND_BGPPEER, .name = "peer-000000"};
    struct arena arena;
    struct causes causes;
    struct advice advice;
    struct object *object = NULL;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    causes_init(&causes, &arena);
    advice_init(&advice, &arena);
    must(codec_decode(&options, bench.peer->json, bench.peer->json_len, &arena, &object, &causes, &advice,
                      &err),
         &err);
    arena_done(&arena);
}

static void run_encode_object(void) {
    buf_clear(&bench.out);
    codec_encode(bench.peer->object, &bench.out);
}

static void run_snapshot(void) {
    picture_unref(state_picture(bench.state));
}

static void run_lookup(void) {
    struct node_list *list = NULL;
    struct err err = ERR_INIT;
    must(state_node_list(bench.state, NODE, &list, &err), &err);
    node_list_unref(list);
}

static void run_authenticate(void) {
    struct principal principal;
    struct err err = ERR_INIT;
    must(token_registry_authenticate(bench.registry, bench.token, TOKEN_TEXT_MAX - 1, 1, &principal, &err),
         &err);
}

static void run_limiter(void) {
    unsigned retry_s;
    if (!limiter_take(bench.limiter, NODE, sizeof(NODE) - 1, 1, &retry_s)) {
        abort();
    }
}

static const struct operation {
    const char *name;
    void (*run)(void);
} OPERATIONS[] = {
    {"selector-evaluation", run_selector},
    {"list-computation", run_compute},
    {"list-encoding", run_encode_list},
    {"list-digest", run_digest},
    {"filtered-list-encoding", run_encode_filtered},
    {"filtered-list-as-bird", run_render_bird},
    {"filtered-list-as-frr", run_render_frr},
    {"mesh-list-as-bird", run_render_mesh},
    {"object-decoding", run_decode_object},
    {"object-encoding", run_encode_object},
    {"snapshot-acquire", run_snapshot},
    {"node-list-lookup", run_lookup},
    {"authentication", run_authenticate},
    {"rate-limit", run_limiter},
};
#define OPERATION_COUNT (sizeof(OPERATIONS) / sizeof(OPERATIONS[0]))

/* What valgrind counts: never inlined, so that it has a name. */
__attribute__((noinline, used)) void measured(void (*run)(void), unsigned long count);
void measured(void (*run)(void), unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        run();
    }
}

/* ---- making it ---- */

static void store_fleet(struct store *store) {
    static struct store_change changes[NODES + SESSIONS + 1];
    char json[512], address[16];
    struct err err = ERR_INIT;
    size_t count = 0;
    for (unsigned i = 0; i < NODES + SESSIONS + 1; i++) {
        enum kind kind = i < NODES ? KIND_NODE : i < NODES + SESSIONS ? KIND_BGPPEER : KIND_BGPCONFIGURATION;
        if (kind == KIND_NODE) {
            snprintf(json, sizeof(json),
                     "{\"metadata\":{\"name\":\"node-%06u\",\"labels\":{\"rack\":\"rack-%u\"}},"
                     "\"spec\":{\"bgp\":{\"ipv4Address\":\"%s/8\"}}}",
                     i, i % 8, fleet_address(i, address));
        } else if (kind == KIND_BGPPEER) {
            snprintf(json, sizeof(json),
                     "{\"metadata\":{\"name\":\"peer-%06u\"},\"spec\":{\"nodeSelector\":\"rack == 'rack-4'\","
                     "\"peerIP\":\"172.16.0.%u\",\"asNumber\":65001}}",
                     i - NODES, i - NODES);
        } else {
            snprintf(json, sizeof(json),
                     "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}");
        }
        struct record *record = fleet_record(kind, i + 1, json);
        changes[count++] = (struct store_change){.op = STORE_CREATE,
                                                 .kind = kind_info(kind)->name,
                                                 .name = record->key,
                                                 .revision = record->revision,
                                                 .actor = "bench",
                                                 .body = record->json,
                                                 .body_len = record->json_len};
    }
    const struct store_batch batch = {.changes = changes, .change_count = count};
    must(store_commit(store, &batch, &err), &err);
}

static const struct bgp_filter_spec *make_filter(void) {
    static const char TEXT[] =
        "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"importV4\":["
        "{\"cidr\":\"10.0.0.0/"
        "8\",\"matchOperator\":\"In\",\"prefixLength\":{\"min\":16,\"max\":24},\"action\":\"Accept\","
        "\"operations\":[{\"addCommunity\":{\"value\":\"65000:1\"}},{\"setPriority\":{\"value\":500}}]},"
        "{\"communities\":{\"values\":[\"65000:7\"]},\"action\":\"Reject\"}],"
        "\"exportV4\":[{\"cidr\":\"172.16.0.0/12\",\"matchOperator\":\"NotIn\",\"peerType\":\"eBGP\","
        "\"action\":\"Reject\"}]}}";
    struct object *object = NULL;
    struct err err = ERR_INIT;
    must(codec_decode_stored(KIND_BGPFILTER, TEXT, strlen(TEXT), &bench.list_arena, &object, &err), &err);
    return ((const struct bgp_filter *)object->body)->spec;
}

static void make_rendered_lists(void) {
    static const char *const NAMES[] = {"filter-a", "filter-b", "filter-c"};
    struct peering_filter *filters = must_have(arena_array(&bench.list_arena, 3, sizeof(*filters)));
    struct peering_entry *entries = must_have(arena_array(&bench.list_arena, SESSIONS, sizeof(*entries)));
    struct peering_entry *mesh = must_have(arena_array(&bench.list_arena, MESH, sizeof(*mesh)));
    for (size_t i = 0; i < 3; i++) {
        filters[i] = (struct peering_filter){.name = NAMES[i], .spec = make_filter()};
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        entries[i] = bench.list.entries[i];
        entries[i].filter_count = 3;
        entries[i].filters = NAMES;
    }
    for (unsigned i = 0; i < MESH; i++) {
        char address[16];
        mesh[i] = bench.list.entries[0];
        if (!ip_parse(address, strlen(fleet_address(i, address)), &mesh[i].address)) {
            abort();
        }
        (void)ip_format(&mesh[i].address, mesh[i].address_text);
    }
    bench.filtered = bench.mesh = bench.list;
    bench.filtered.entries = entries;
    bench.filtered.filters = filters;
    bench.filtered.filter_count = 3;
    bench.mesh.entries = mesh;
    bench.mesh.entry_count = MESH;
}

static void make_selector(void) {
    static const char TEXT[] =
        "rack == 'r017' && role in {'worker', 'edge'} && !has(retired) && zone starts with 'eu-'";
    static const struct label LABELS[] = {{"kubernetes.io/arch", "amd64"},
                                          {"kubernetes.io/hostname", "node-17"},
                                          {"kubernetes.io/os", "linux"},
                                          {"rack", "r017"},
                                          {"role", "worker"},
                                          {"zone", "eu-central-1"}};
    struct err err = ERR_INIT;
    must(selector_parse(TEXT, strlen(TEXT), &bench.selector, &err), &err);
    bench.labels = (struct label_set){.count = sizeof(LABELS) / sizeof(LABELS[0]), .items = LABELS};
}

static void make_auth(void) {
    struct token token;
    struct err err = ERR_INIT;
    must(token_registry_new(&bench.registry, &err), &err);
    for (int i = 0; i < 100; i++) {
        must(token_new(ROLE_NODE, NODE, "", 0, &token, bench.token, &err), &err);
        must(token_registry_reserve(bench.registry, &err), &err);
        token_registry_put(bench.registry, &token);
    }
    must(limiter_new(1e9, 1e9, &bench.limiter, &err), &err);
}

static void make_everything(void) {
    struct err err = ERR_INIT;
    struct node_list *list = NULL;
    snprintf(bench.dir, sizeof(bench.dir), "/tmp/bgppeerd-micro-XXXXXX");
    must_have(mkdtemp(bench.dir));
    const struct store_options store = {.dir = bench.dir};
    const struct state_options state = {.secret_namespace = "default"};
    must(random_start(&err), &err);
    must(codec_start(&err), &err);
    must(store_open(&store, &bench.store, &err), &err);
    store_fleet(bench.store);
    must(state_open(bench.store, &state, &bench.state, &err), &err);
    bench.picture = state_picture(bench.state);
    bench.peer =
        must_have((void *)(uintptr_t)snapshot_get(bench.picture->snapshot, KIND_BGPPEER, "peer-000000"));
    arena_init(&bench.list_arena, 8192);
    must(peering_compute(bench.picture->index, NODE, &bench.list_arena, &bench.list, &err), &err);
    if (bench.list.entry_count != SESSIONS) {
        abort();
    }
    must(state_node_list(bench.state, NODE, &list, &err), &err);
    node_list_unref(list);
    run_encode_list();
    make_rendered_lists();
    make_selector();
    make_auth();
}

static void remove_everything(void) {
    static const char *const FILES[] = {"bgppeerd.db", "bgppeerd.db-wal", "bgppeerd.db-shm", "lock"};
    char path[64];
    picture_unref(bench.picture);
    state_close(bench.state);
    store_close(bench.store);
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", bench.dir, FILES[i]);
        (void)unlink(path);
    }
    (void)rmdir(bench.dir);
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 1 && i < OPERATION_COUNT; i++) {
        puts(OPERATIONS[i].name);
    }
    for (size_t i = 0; argc == 3 && i < OPERATION_COUNT; i++) {
        if (strcmp(argv[1], OPERATIONS[i].name) == 0) {
            log_start(STDERR_FILENO, LOG_WARN, LOG_KEY_VALUE);
            make_everything();
            OPERATIONS[i].run();
            measured(OPERATIONS[i].run, strtoul(argv[2], NULL, 10));
            remove_everything();
            log_stop();
            return 0;
        }
    }
    return argc == 1 ? 0 : 2;
}
