/*
 * Properties of the state that hold for every fleet, tried on random ones: groups of one to four writes, many
 * of which fail, each first previewed, then made.
 *
 *   - A preview fails as the write does, or shows exactly the differences of all lists that the write then
 * makes, and changes nothing itself.
 *   - Every node's cached list is the one computed from the picture; its resourceVersion stays with its
 * content and grows when that changes.
 *   - A parked poll is woken when its list changes or its node goes, and not otherwise.
 *   - The events are the changes: applied to the snapshot of before they give that of now, without a gap,
 * also over a restart.
 *   - A restart, a new data key, and making all objects again in another order leave every ETag as it is.
 * Fixed seeds, and a fresh one that is printed.
 */
#include "state_random.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/random.h"
#include "objects/preview.h"

#define STEPS         60
#define RESTART_EVERY 20
#define WAKE_SECONDS  60
#define EVENTS_MAX    7

struct poll {
    struct parked parked;
    struct world *world;
    bool parked_now;
    bool woken; /* under world.lock */
};

struct world {
    struct fixture *fixture;
    struct dice dice;
    uint64_t seed;
    size_t step;
    struct poll polls[FLEET_NODES];
    uint32_t slots[FLEET_NODES];
    char etags[FLEET_NODES][DIGEST_TEXT_MAX]; /* "": no such node */
    char uids[FLEET_NODES][UUID_TEXT_MAX];
    uint64_t versions[FLEET_NODES];            /* of the lists; 0: not known since the restart */
    struct snapshot *mirror;                   /* made from events */
    uint64_t seen[KIND_COUNT];                 /* events up to here are in it */
    char secrets[COUNT_OF(secret_names)][512]; /* what was last written; bodies cannot be read back */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    size_t made, refused;
};

static void say(const struct world *world, const char *what, const char *which) {
    fail_msg("seed %" PRIu64 " step %zu: %s (%s)", world->seed, world->step, what, which);
}

static void node_name(size_t i, char name[16]) {
    snprintf(name, 16, "n%zu", i);
}

/* ---- previews ---- */

static const struct peering_list *list_in(const struct picture *picture, const char *node,
                                          struct arena *arena, struct peering_list *list) {
    struct err err = ERR_INIT;
    if (peering_index_slot(picture->index, node) < 0) {
        return NULL;
    }
    fleet_check(peering_compute(picture->index, node, arena, list, &err), &err);
    return list;
}

/* The differences of all lists, as a preview writes them. */
static void all_differences(const struct picture *before, const struct picture *after, struct buf *out) {
    buf_add_str(out, ",\"nodes\":[");
    for (size_t i = 0; i < FLEET_NODES; i++) {
        struct peering_list old, new;
        struct peering_diff diff;
        struct buf text = BUF_INIT;
        struct arena arena;
        char name[16];
        node_name(i, name);
        arena_init(&arena, 8192);
        peering_encode_diff(list_in(before, name, &arena, &old), list_in(after, name, &arena, &new), NULL,
                            &text, &diff);
        if (!peering_diff_is_empty(&diff)) {
            buf_json_comma(out);
            buf_add(out, text.data, text.len);
        }
        buf_done(&text);
        arena_done(&arena);
    }
    buf_add_str(out, "]}");
    assert_false(buf_failed(out));
}

/* What a preview of the writes answers; `ret_err` when it fails. */
static void preview(struct world *world, struct call *calls, struct buf *changes, struct err *ret_err) {
    struct picture *before, *after;
    struct node_set *affected;
    struct buf warnings = BUF_INIT;
    char digest[DIGEST_TEXT_MAX];
    if (state_preview(world->fixture->state, &calls[0].write, &before, &after, &affected, ret_err) < 0) {
        return;
    }
    fleet_check(preview_encode(before, after, affected, NULL, changes, &warnings, digest, ret_err), ret_err);
    buf_done(&warnings);
    node_set_free(affected);
    picture_unref(before);
    picture_unref(after);
}

static bool ends_with(const struct buf *text, const struct buf *end) {
    return text->len >= end->len && memcmp(text->data + text->len - end->len, end->data, end->len) == 0;
}

static void remember_secrets(struct world *world, const struct plan *plans, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; s < COUNT_OF(secret_names); s++) {
            if (plans[i].kind != KIND_SECRET || strcmp(strchr(plans[i].key, '/') + 1, secret_names[s]) != 0) {
                continue;
            }
            snprintf(world->secrets[s], sizeof(world->secrets[s]), "%s", plans[i].json);
        }
    }
}

/* Preview the group, then make it; both must come to the same. */
static void make_group(struct world *world, const struct plan *plans, size_t count) {
    struct call calls[GROUP_MAX];
    struct buf shown = BUF_INIT, done = BUF_INIT;
    struct err refusal = ERR_INIT;
    if (!calls_from(calls, plans, count)) {
        world->refused++;
        return;
    }
    struct picture *before = state_picture(world->fixture->state);
    preview(world, calls, &shown, &refusal);
    calls_end(calls, count);
    struct picture *still = state_picture(world->fixture->state);
    assert_ptr_equal(before, still);
    picture_unref(still);

    assert_true(calls_from(calls, plans, count));
    call_run(world->fixture, &calls[0]);
    const struct err *err = &calls[0].write.err;
    if (refusal.code != err->code || strcmp(refusal.text, err->text) != 0) {
        say(world, refusal.text, err->text);
    }
    if (err->code == ERR_NONE) {
        struct picture *after = state_picture(world->fixture->state);
        all_differences(before, after, &done);
        if (!ends_with(&shown, &done)) {
            fprintf(stderr, "preview: %s\nlists:   %s\n", shown.data, done.data);
            say(world, "the preview showed other changes than the write made", plans[0].key);
        }
        picture_unref(after);
        remember_secrets(world, plans, count);
        world->made++;
    } else {
        world->refused++;
    }
    calls_end(calls, count);
    picture_unref(before);
    buf_done(&shown);
    buf_done(&done);
}

/* ---- lists and polls ---- */

static void on_wake(struct parked *parked) {
    struct poll *poll = parked->arg;
    pthread_mutex_lock(&poll->world->lock);
    poll->woken = true;
    pthread_cond_signal(&poll->world->woken);
    pthread_mutex_unlock(&poll->world->lock);
}

static void park_all(struct world *world) {
    for (size_t i = 0; i < FLEET_NODES; i++) {
        struct poll *poll = &world->polls[i];
        struct err err = ERR_INIT;
        char name[16];
        bool changed = true;
        node_name(i, name);
        *poll = (struct poll){.parked = {.wake = on_wake, .arg = poll}, .world = world};
        if (world->etags[i][0] == '\0') {
            continue;
        }
        memcpy(poll->parked.etag, world->etags[i], sizeof(poll->parked.etag));
        fleet_check(state_park(world->fixture->state, name, &poll->parked, &changed, &err), &err);
        assert_false(changed);
        poll->parked_now = true;
    }
}

static void wait_for_wake(struct world *world, struct poll *poll, const char *name) {
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAKE_SECONDS;
    pthread_mutex_lock(&world->lock);
    while (!poll->woken && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&world->woken, &world->lock, &until);
    }
    pthread_mutex_unlock(&world->lock);
    if (!poll->woken) {
        say(world, "a poll whose list has changed was not woken", name);
    }
}

static void check_poll(struct world *world, size_t i, const char *name, bool changed, bool moved) {
    struct poll *poll = &world->polls[i];
    if (!poll->parked_now) {
        return;
    }
    if (changed) {
        wait_for_wake(world, poll, name);
    } else if (!state_unpark(world->fixture->state, &poll->parked)) {
        if (!moved) { /* a node that was deleted and made anew may wake its polls */
            say(world, "a poll whose list has not changed was woken", name);
        }
        wait_for_wake(world, poll, name); /* its memory is used until then */
    }
    poll->parked_now = false;
}

/* The node's list against the picture, and against what was known of it. */
static void check_list(struct world *world, const struct picture *picture, size_t i, const char *name) {
    struct node_list *list = get_list(world->fixture, name);
    struct peering_list peerings;
    struct buf text = BUF_INIT;
    struct arena arena;
    arena_init(&arena, 8192);
    assert_non_null(list_in(picture, name, &arena, &peerings));
    peering_encode(&peerings, list->resource_version, NULL, &text);
    if (text.len != list->json_len || memcmp(text.data, list->json, text.len) != 0) {
        fprintf(stderr, "cached:   %s\ncomputed: %s\n", list->json, text.data);
        say(world, "the cached list is not the picture's", name);
    }
    assert_true(list->resource_version <= snapshot_revision(picture->snapshot));
    /* A node that was deleted and made again in one group is another one. */
    if (world->versions[i] != 0 && strcmp(world->uids[i], list->uid) == 0) {
        bool same = strcmp(world->etags[i], list->etag) == 0;
        if (same ? list->resource_version != world->versions[i]
                 : list->resource_version <= world->versions[i]) {
            say(world, "the list's resourceVersion does not go with its content", name);
        }
    }
    if (list->has_passwords) {
        struct buf revealed = BUF_INIT;
        struct err err = ERR_INIT;
        char etag[DIGEST_TEXT_MAX];
        fleet_check(state_reveal_list(world->fixture->state, name, &revealed, etag, &err), &err);
        assert_string_equal(etag, list->etag);
        buf_done(&revealed);
    }
    buf_done(&text);
    arena_done(&arena);
    node_list_unref(list);
}

static void check_lists(struct world *world) {
    struct picture *picture = state_picture(world->fixture->state);
    for (size_t i = 0; i < FLEET_NODES; i++) {
        char name[16], etag[DIGEST_TEXT_MAX] = "";
        uint64_t version = 0;
        node_name(i, name);
        int64_t slot = peering_index_slot(picture->index, name);
        if (slot >= 0) {
            check_list(world, picture, i, name);
            struct node_list *list = get_list(world->fixture, name);
            memcpy(etag, list->etag, sizeof(etag));
            version = list->resource_version;
            memcpy(world->uids[i], list->uid, sizeof(list->uid));
            node_list_unref(list);
        }
        check_poll(world, i, name, strcmp(etag, world->etags[i]) != 0, slot != (int64_t)world->slots[i]);
        memcpy(world->etags[i], etag, sizeof(etag));
        world->versions[i] = version;
        world->slots[i] = (uint32_t)slot;
    }
    picture_unref(picture);
}

/* ---- events ---- */

static void apply_events(struct world *world, const struct state_event *events, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct record *known = snapshot_get(world->mirror, events[i].kind, events[i].after->key);
        struct snapshot_change change = {.kind = events[i].kind, .before = known, .after = events[i].after};
        struct snapshot *next;
        struct err err = ERR_INIT;
        assert_int_equal(events[i].after->revision, events[i].revision);
        assert_true((known == NULL) == (events[i].op == STORE_CREATE));
        assert_true(events[i].before == NULL || events[i].before->revision == known->revision);
        change.after = events[i].op == STORE_DELETE ? NULL : change.after;
        fleet_check(snapshot_next(world->mirror, &change, 1, events[i].revision, &next, &err), &err);
        snapshot_unref(world->mirror);
        world->mirror = next;
        record_unref(events[i].before);
        record_unref(events[i].after);
    }
}

static void read_events(struct world *world, enum kind kind) {
    struct state_event events[EVENTS_MAX];
    struct err err = ERR_INIT;
    size_t count = EVENTS_MAX;
    while (count == EVENTS_MAX) {
        fleet_check(state_events(world->fixture->state, kind, world->seen[kind], events, EVENTS_MAX, &count,
                                 &world->seen[kind], &err),
                    &err);
        apply_events(world, events, count);
    }
}

static void check_events(struct world *world) {
    struct picture *picture = state_picture(world->fixture->state);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        read_events(world, (enum kind)kind);
        struct snapshot_cursor ours, theirs;
        const struct record *a = snapshot_seek(&ours, world->mirror, (enum kind)kind, NULL);
        const struct record *b = snapshot_seek(&theirs, picture->snapshot, (enum kind)kind, NULL);
        for (; a != NULL && b != NULL; a = snapshot_step(&ours), b = snapshot_step(&theirs)) {
            if (strcmp(a->key, b->key) != 0 || a->json_len != b->json_len ||
                memcmp(a->json, b->json, a->json_len) != 0) {
                say(world, "the events do not lead to the object", b->key);
            }
        }
        assert_true(a == NULL && b == NULL);
    }
    picture_unref(picture);
}

/* ---- what leaves everything as it is ---- */

static void check_unchanged(struct world *world, const char *what) {
    for (size_t i = 0; i < FLEET_NODES; i++) {
        char name[16];
        node_name(i, name);
        if (world->etags[i][0] != '\0') {
            struct node_list *list = get_list(world->fixture, name);
            if (strcmp(list->etag, world->etags[i]) != 0) {
                say(world, what, name);
            }
            node_list_unref(list);
        }
    }
}

static void restart(struct world *world) {
    fixture_restart(world->fixture, 0);
    memset(world->versions, 0, sizeof(world->versions));
    check_unchanged(world, "a restart has changed the list");
}

static void rotate(struct world *world) {
    struct err err = ERR_INIT;
    fleet_check(state_rotate_data_key(world->fixture->state, NULL, &err), &err);
    check_unchanged(world, "a new data key has changed the list");
}

static size_t collect(const struct world *world, struct plan *plans, size_t max) {
    struct picture *picture = state_picture(world->fixture->state);
    size_t count = 0;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct snapshot_cursor cursor;
        const struct record *record = snapshot_seek(&cursor, picture->snapshot, (enum kind)kind, NULL);
        for (; record != NULL; record = snapshot_step(&cursor)) {
            struct plan *plan = &plans[count++];
            assert_true(count < max && record->json_len < sizeof(plan->json));
            *plan = (struct plan){.op = WRITE_CREATE, .kind = (enum kind)kind};
            snprintf(plan->key, sizeof(plan->key), "%s", record->key);
            snprintf(plan->json, sizeof(plan->json), "%s", record->json);
            for (size_t s = 0; kind == KIND_SECRET && s < COUNT_OF(secret_names); s++) {
                if (strcmp(strchr(plan->key, '/') + 1, secret_names[s]) == 0) {
                    snprintf(plan->json, sizeof(plan->json), "%s", world->secrets[s]);
                }
            }
        }
    }
    picture_unref(picture);
    return count;
}

/* Secrets with values that are known here (not from a patch) and that are accepted in any order: an empty one
 * is refused when a BGPPeer uses it. */
static void settle_secrets(struct world *world) {
    static const char *const values[] = {"{\"a\":\"pw-1\"}", "{\"b\":\"pw-2\"}",
                                         "{\"a\":\"pw-3\",\"b\":\"x\"}"};
    for (size_t s = 0; s < COUNT_OF(secret_names); s++) {
        struct plan plan = {.op = WRITE_REPLACE, .kind = KIND_SECRET};
        snprintf(plan.key, sizeof(plan.key), "default/%s", secret_names[s]);
        snprintf(plan.json, sizeof(plan.json), "{\"metadata\":{\"name\":\"%s\"},\"stringData\":%s}",
                 secret_names[s], PICK(&world->dice, values));
        make_group(world, &plan, 1);
    }
    check_lists(world);
}

/* All objects anew, in another order and with other revisions, slots and identities. */
static void make_anew(struct world *world) {
    static struct plan plans[64];
    settle_secrets(world);
    size_t count = collect(world, plans, COUNT_OF(plans));
    for (size_t i = 0; i < count; i++) {
        struct plan away = plans[i];
        away.op = WRITE_DELETE;
        make_group(world, &away, 1);
    }
    for (size_t i = count; i > 1; i--) {
        size_t k = dice_below(&world->dice, i);
        struct plan swap = plans[i - 1];
        plans[i - 1] = plans[k];
        plans[k] = swap;
    }
    size_t made = world->made;
    for (size_t i = 0; i < count; i++) {
        make_group(world, &plans[i], 1);
    }
    assert_int_equal(world->made - made, count);
    check_unchanged(world, "another order of insertion has changed the list");
    check_events(world);
}

/* ---- the test ---- */

static void run_step(struct world *world) {
    struct plan plans[GROUP_MAX];
    size_t count = dice_chance(&world->dice, 60) ? 1 : 1 + dice_below(&world->dice, GROUP_MAX);
    for (size_t i = 0; i < count; i++) {
        plan_one(&world->dice, &plans[i]);
        if (i > 0 && dice_chance(&world->dice, 30)) { /* the same object once more */
            plans[i].kind = plans[i - 1].kind;
            memcpy(plans[i].key, plans[i - 1].key, sizeof(plans[i].key));
            struct buf json = BUF_INIT;
            (plans[i].op == WRITE_PATCH ? plan_patch : plan_body)(&world->dice, &plans[i], &json);
            snprintf(plans[i].json, sizeof(plans[i].json), "%s", json.data);
            buf_done(&json);
        }
    }
    park_all(world);
    make_group(world, plans, count);
    check_lists(world);
    check_events(world);
    if (dice_chance(&world->dice, 5)) {
        rotate(world);
    }
}

static void run_seed(uint64_t seed) {
    void *fixture = NULL;
    struct err err = ERR_INIT;
    static struct world world;
    world = (struct world){.seed = seed, .dice = {seed}};
    assert_int_equal(fixture_setup(&fixture), 0);
    world.fixture = fixture;
    fleet_check(snapshot_new_empty(&world.mirror, &err), &err);
    pthread_mutex_init(&world.lock, NULL);
    pthread_cond_init(&world.woken, NULL);
    for (; world.step < STEPS; world.step++) {
        run_step(&world);
        if (world.step % RESTART_EVERY == RESTART_EVERY - 1) {
            restart(&world);
        }
    }
    make_anew(&world);
    print_message("seed %" PRIu64 ": %zu groups made, %zu refused\n", seed, world.made, world.refused);
    assert_true(world.made > STEPS / 4);
    pthread_cond_destroy(&world.woken);
    pthread_mutex_destroy(&world.lock);
    snapshot_unref(world.mirror);
    assert_int_equal(fixture_teardown(&fixture), 0);
}

static void properties_hold(void **state) {
    (void)state;
    const char *seed_text = getenv("STATE_PROPERTY_SEED");
    if (seed_text != NULL) {
        run_seed(strtoull(seed_text, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_seed(seed);
    }
    run_seed(random_u64());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_hold),
    };
    return cmocka_run_group_tests_name("state: properties", tests, fixture_libraries, NULL);
}
