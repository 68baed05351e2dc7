/*
 * Lists of the past are those that were given then: a random fleet is changed and polled at random, what was
 * answered is remembered, and is found again byte for byte, resourceVersion and etag included; also after a
 * restart, after compaction, and from a backup. HISTORY_CHANGES=10000 in the environment makes it long.
 */
#include "state_sets.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define CHANGES     600
#define POLLS_EVERY 2 /* changes: a poll of one node */
#define KEEP_MOST   1000000

struct memory {
    uint64_t revision;
    char node[64];
    char etag[DIGEST_TEXT_MAX];
    char *json;
};

struct run {
    struct fixture *fixture;
    struct dice dice;
    struct memory *memories;
    size_t count;
};

static uint64_t newest(struct fixture *fixture) {
    struct picture *picture = state_picture(fixture->state);
    uint64_t revision = snapshot_revision(picture->snapshot);
    picture_unref(picture);
    return revision;
}

/* A node that is there, at random; false: there is none. */
static bool some_node(struct run *run, char out[64]) {
    struct picture *picture = state_picture(run->fixture->state);
    size_t count = snapshot_count(picture->snapshot, KIND_NODE);
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, picture->snapshot, KIND_NODE, NULL);
    for (size_t skip = count > 0 ? dice_below(&run->dice, count) : 0; skip > 0; skip--) {
        node = snapshot_step(&cursor);
    }
    if (node != NULL) {
        (void)snprintf(out, 64, "%s", node->key);
    }
    picture_unref(picture);
    return node != NULL;
}

static void poll_some(struct run *run) {
    struct memory *memory = &run->memories[run->count];
    if (!some_node(run, memory->node)) {
        return;
    }
    struct node_list *list = get_list(run->fixture, memory->node);
    memory->revision = newest(run->fixture);
    memory->json = base_strdup(list->json);
    assert_non_null(memory->json);
    memcpy(memory->etag, list->etag, sizeof(memory->etag));
    if (dice_chance(&run->dice, 50)) {
        state_note_fetched(run->fixture->state, list);
    }
    node_list_unref(list);
    run->count++;
}

static void change_one(struct run *run) {
    struct plan plan;
    struct call call;
    plan_one(&run->dice, &plan);
    if (calls_from(&call, &plan, 1)) {
        call_run(run->fixture, &call);
        call_end(&call);
    }
}

static void assert_memory(struct fixture *fixture, const struct memory *memory) {
    struct picture *then;
    struct past_list list;
    struct buf out = BUF_INIT;
    struct arena arena;
    struct err err = ERR_INIT;
    arena_init(&arena, 0);
    fleet_check(state_past(fixture->state, memory->revision, &then, &err), &err);
    fleet_check(state_past_list(fixture->state, then, memory->node, render_format_by_name("json"), &arena,
                                &out, &list, &err),
                &err);
    if (strcmp(out.data, memory->json) != 0 || strcmp(list.etag, memory->etag) != 0) {
        fail_msg("%s at revision %" PRIu64 ":\n%s\nwas\n%s", memory->node, memory->revision, out.data,
                 memory->json);
    }
    picture_unref(then);
    buf_done(&out);
    arena_done(&arena);
}

static void assert_memories(const struct run *run, uint64_t oldest) {
    size_t found = 0;
    for (size_t i = 0; i < run->count; i++) {
        if (run->memories[i].revision >= oldest) {
            assert_memory(run->fixture, &run->memories[i]);
            found++;
        }
    }
    assert_true(found > run->count / 4);
}

static uint64_t compact(struct fixture *fixture, uint64_t changes) {
    struct err err = ERR_INIT;
    uint64_t compacted = 0;
    bool more = true;
    fixture_stop(fixture);
    fleet_check(store_open(&(struct store_options){.dir = fixture->dir}, &fixture->store, &err), &err);
    const struct store_keep keep = {.changes = changes, .bytes = 1 << 30, .since_ms = INT64_MAX};
    while (more) {
        fleet_check(store_compact(fixture->store, &keep, &more, &compacted, &err), &err);
    }
    store_close(fixture->store);
    fixture_start(fixture, KEEP_MOST);
    return compacted;
}

static bool go_on(void *arg) {
    (void)arg;
    return true;
}

static void restore_backup(struct fixture *fixture) {
    char path[FIXTURE_DIR_MAX + 16], kept[STORE_KEPT_MAX];
    char bytes[4096];
    struct err err = ERR_INIT;
    ssize_t len;
    int from;
    (void)snprintf(path, sizeof(path), "%s/copy", fixture->dir);
    fleet_check(state_backup(fixture->state, go_on, NULL, &from, &err), &err);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(to >= 0 && lseek(from, 0, SEEK_SET) == 0);
    while ((len = read(from, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(write(to, bytes, (size_t)len), len);
    }
    close(from);
    close(to);
    fixture_stop(fixture);
    fleet_check(store_restore(fixture->dir, path, kept, &err), &err);
    (void)unlink(path);
    fixture_start(fixture, KEEP_MOST);
}

/* The lists of now: their version does not move over a start. */
static void assert_same_now(struct run *run, void (*between)(struct fixture *)) {
    char node[64];
    if (!some_node(run, node)) {
        return;
    }
    struct node_list *before = get_list(run->fixture, node);
    state_note_fetched(run->fixture->state, before);
    between(run->fixture);
    struct node_list *after = get_list(run->fixture, node);
    assert_string_equal(after->json, before->json);
    node_list_unref(before);
    node_list_unref(after);
}

static void restart(struct fixture *fixture) {
    fixture_restart(fixture, KEEP_MOST);
}

static void follow_seed(uint64_t seed, size_t changes) {
    struct run run = {.dice = {.state = seed}};
    print_message("seed %" PRIu64 ", %zu changes\n", seed, changes);
    assert_int_equal(fixture_setup((void **)&run.fixture), 0);
    run.memories = base_calloc(changes / POLLS_EVERY + 1, sizeof(*run.memories));
    assert_non_null(run.memories);
    for (size_t i = 0; i < changes; i++) {
        change_one(&run);
        if (i % POLLS_EVERY == 0) {
            poll_some(&run);
        }
        if (i == changes / 2) {
            assert_same_now(&run, restart); /* in the middle of its history as well */
        }
    }
    assert_memories(&run, 0);
    restart(run.fixture);
    assert_memories(&run, 0);
    uint64_t oldest = compact(run.fixture, newest(run.fixture) / 2);
    assert_true(oldest > 0);
    assert_memories(&run, oldest);
    assert_same_now(&run, restore_backup);
    assert_memories(&run, oldest);
    for (size_t i = 0; i < run.count; i++) {
        free(run.memories[i].json);
    }
    free(run.memories);
    fixture_teardown((void **)&run.fixture);
}

static void test_lists_are_found_as_they_were_given(void **state) {
    const char *wanted = getenv("HISTORY_CHANGES");
    size_t changes = wanted != NULL ? (size_t)strtoul(wanted, NULL, 10) : CHANGES;
    (void)state;
    follow_seed(1, changes);
    follow_seed((uint64_t)time(NULL), changes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists_are_found_as_they_were_given)};
    return cmocka_run_group_tests(tests, fixture_libraries, NULL);
}
