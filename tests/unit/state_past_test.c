/*
 * The fleet at an earlier revision: a random fleet is remembered at many revisions, and is found again at
 * each of them, object for object and list for list, also after a restart and after compaction. Changes are
 * taken back: every way in which an object may have changed since, and an undo undone. Fixed seeds, and a
 * fresh one that is printed.
 */
#include "state_sets.h"

#include <inttypes.h>
#include <time.h>

#define STEPS     300
#define REMEMBER  60 /* revisions */
#define UNDOS     40
#define KEEP_MOST 1000000

/* All that can be said of a fleet. */
static char *describe(const struct picture *picture) {
    struct buf out = BUF_INIT;
    for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
        struct snapshot_cursor cursor;
        const struct record *record = snapshot_seek(&cursor, picture->snapshot, kind, NULL);
        for (; record != NULL; record = snapshot_step(&cursor)) {
            buf_add(&out, record->json, record->json_len);
            buf_add_char(&out, '\n');
        }
    }
    all_lists(picture, &out);
    assert_false(buf_failed(&out));
    char *text = base_strdup(out.data != NULL ? out.data : "");
    assert_non_null(text);
    buf_done(&out);
    return text;
}

struct memory {
    uint64_t revision;
    char *text;
};

/* The nodes whose lists differ between two pictures, as `all_lists` has them, are among the affected. */
static void assert_affected(const struct picture *later, const struct picture *earlier,
                            const struct node_set *affected) {
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, later->snapshot, KIND_NODE, NULL);
    for (; node != NULL; node = snapshot_step(&cursor)) {
        struct peering_list a, b;
        struct peering_diff diff;
        struct arena arena;
        struct err err = ERR_INIT;
        if (peering_index_slot(earlier->index, node->key) < 0) {
            continue;
        }
        arena_init(&arena, 0);
        fleet_check(peering_compute(later->index, node->key, &arena, &a, &err), &err);
        fleet_check(peering_compute(earlier->index, node->key, &arena, &b, &err), &err);
        peering_compare(&a, &b, NULL, NULL, NULL, &diff);
        assert_true(peering_diff_is_empty(&diff) ||
                    node_set_has(affected, (uint32_t)peering_index_slot(later->index, node->key)));
        arena_done(&arena);
    }
}

static void assert_past(struct fixture *fixture, const struct memory *memories, size_t count) {
    struct picture *now = state_picture(fixture->state);
    for (size_t i = 0; i < count; i++) {
        struct picture *then, *stepped;
        struct node_set *affected;
        struct err err = ERR_INIT;
        /* From the newest, and from one in between. */
        fleet_check(state_past(fixture->state, memories[i].revision, &then, &err), &err);
        char *text = describe(then);
        assert_string_equal(text, memories[i].text);
        assert_int_equal(snapshot_revision(then->snapshot), memories[i].revision);
        free(text);
        if (i > 0) {
            fleet_check(
                state_past_before(fixture->state, then, memories[i - 1].revision, &stepped, &affected, &err),
                &err);
            text = describe(stepped);
            assert_string_equal(text, memories[i - 1].text);
            assert_affected(then, stepped, affected);
            free(text);
            node_set_free(affected);
            picture_unref(stepped);
        }
        picture_unref(then);
    }
    picture_unref(now);
}

static void change_somehow(struct fixture *fixture, struct dice *dice) {
    struct plan plans[GROUP_MAX];
    struct call calls[GROUP_MAX];
    size_t count = 1 + dice_below(dice, GROUP_MAX);
    for (size_t i = 0; i < count; i++) {
        plan_one(dice, &plans[i]);
    }
    if (calls_from(calls, plans, count)) {
        call_run(fixture, calls);
        calls_end(calls, count);
    }
}

static size_t remember(struct fixture *fixture, struct memory *memories, size_t count) {
    struct picture *picture = state_picture(fixture->state);
    uint64_t revision = snapshot_revision(picture->snapshot);
    if (count == 0 || memories[count - 1].revision != revision) {
        memories[count++] = (struct memory){.revision = revision, .text = describe(picture)};
    }
    picture_unref(picture);
    return count;
}

static void assert_refused(struct fixture *fixture, uint64_t revision, enum err_code code) {
    struct picture *picture;
    struct err err = ERR_INIT;
    assert_int_equal(state_past(fixture->state, revision, &picture, &err), -1);
    assert_int_equal(err.code, code);
}

static void follow_seed(uint64_t seed) {
    struct fixture *fixture;
    struct dice dice = {.state = seed};
    struct memory memories[REMEMBER];
    size_t count = 0;
    print_message("seed %" PRIu64 "\n", seed);
    assert_int_equal(fixture_setup((void **)&fixture), 0);
    for (size_t step = 0; step < STEPS; step++) {
        if (step % (STEPS / REMEMBER) == 0) {
            count = remember(fixture, memories, count);
        }
        change_somehow(fixture, &dice);
    }
    assert_past(fixture, memories, count);
    assert_refused(fixture, KEEP_MOST, ERR_BAD_REQUEST);
    fixture_restart(fixture, KEEP_MOST);
    assert_past(fixture, memories, count);

    struct store_keep keep = {.changes = memories[count - 1].revision / 2};
    struct err err = ERR_INIT;
    uint64_t compacted;
    bool more = true;
    fixture_stop(fixture);
    fleet_check(store_open(&(struct store_options){.dir = fixture->dir}, &fixture->store, &err), &err);
    while (more) {
        fleet_check(store_compact(fixture->store, &keep, &more, &compacted, &err), &err);
    }
    store_close(fixture->store);
    fixture_start(fixture, KEEP_MOST);
    size_t gone = 0;
    while (memories[gone].revision < compacted) {
        assert_refused(fixture, memories[gone++].revision, ERR_EXPIRED);
    }
    assert_true(gone > 5 && gone < count - 5);
    assert_past(fixture, memories + gone, count - gone);
    for (size_t i = 0; i < count; i++) {
        free(memories[i].text);
    }
    fixture_teardown((void **)&fixture);
}

static void test_every_revision_is_found_again(void **state) {
    (void)state;
    follow_seed(1);
    follow_seed(2);
    follow_seed((uint64_t)time(NULL));
}

/* ---- taking back ---- */

static const char TOR[] =
    "{\"metadata\":{\"name\":\"tor\"},\"spec\":{\"peerIP\":\"192.0.2.%d\",\"asNumber\":65001}}";

static uint64_t newest(struct fixture *fixture) {
    struct picture *picture = state_picture(fixture->state);
    uint64_t revision = snapshot_revision(picture->snapshot);
    picture_unref(picture);
    return revision;
}

/* What an object is made, by a letter: '-' there is none, otherwise one of several forms. */
static void make(struct fixture *fixture, char form) {
    struct picture *picture = state_picture(fixture->state);
    bool there = snapshot_get(picture->snapshot, KIND_BGPPEER, "tor") != NULL;
    char json[sizeof(TOR) + 4];
    uint64_t unused;
    picture_unref(picture);
    (void)snprintf(json, sizeof(json), TOR, form);
    if (form == '-' && there) {
        assert_int_equal(put(fixture, WRITE_DELETE, KIND_BGPPEER, "tor", NULL, &unused), ERR_NONE);
    } else if (form != '-') {
        assert_int_equal(put(fixture, there ? WRITE_REPLACE : WRITE_CREATE, KIND_BGPPEER,
                             there ? "tor" : NULL, json, &unused),
                         ERR_NONE);
    }
}

/* Take back what was changed between two revisions. */
static void find_undo(struct fixture *fixture, uint64_t before, uint64_t after, struct arena *arena,
                      struct change_set *set, struct causes *conflicts) {
    struct picture *now = state_picture(fixture->state);
    struct picture *old, *new;
    struct err err = ERR_INIT;
    causes_init(conflicts, arena);
    fleet_check(state_past(fixture->state, before, &old, &err), &err);
    fleet_check(state_past(fixture->state, after, &new, &err), &err);
    fleet_check(
        state_changes_undone(old->snapshot, new->snapshot, now->snapshot, NULL, arena, set, conflicts, &err),
        &err);
    picture_unref(now);
    picture_unref(old);
    picture_unref(new);
}

/* Every way: what it was before, what the change made of it, what was made of it since; and what comes of the
 * undo: a letter of what it then is, '=' where nothing is to be done, '!' where it is refused. */
static void test_every_conflict(void **state) {
    static const struct {
        char before, after;
        const char *since; /* in steps */
        char undone;
    } CASES[] = {
        /* created */
        {'-', 'a', "", '-'},
        {'-', 'a', "b", '!'},
        {'-', 'a', "ba", '-'}, /* it is again what it was made */
        {'-', 'a', "-", '='},
        {'-', 'a', "-a", '-'},
        {'-', 'a', "-b", '!'},
        /* updated */
        {'a', 'b', "", 'a'},
        {'a', 'b', "c", '!'},
        {'a', 'b', "cb", 'a'},
        {'a', 'b', "a", '='},
        {'a', 'b', "-", '!'},
        {'a', 'b', "-b", 'a'},
        {'a', 'b', "-a", '='},
        {'a', 'b', "-c", '!'},
        /* deleted */
        {'a', '-', "", 'a'},
        {'a', '-', "a", '='},
        {'a', '-', "b", '!'},
        {'a', '-', "b-", 'a'},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct fixture *fixture;
        struct change_set set;
        struct causes conflicts;
        struct arena arena;
        assert_int_equal(fixture_setup((void **)&fixture), 0);
        arena_init(&arena, 0);
        make(fixture, CASES[i].before);
        uint64_t before = newest(fixture);
        make(fixture, CASES[i].after);
        uint64_t after = newest(fixture);
        for (const char *form = CASES[i].since; *form != '\0'; form++) {
            make(fixture, *form);
        }
        find_undo(fixture, before, after, &arena, &set, &conflicts);
        assert_int_equal(conflicts.count, CASES[i].undone == '!');
        assert_int_equal(set.count, CASES[i].undone != '!' && CASES[i].undone != '=');
        if (conflicts.count > 0) {
            assert_string_equal(conflicts.items[0].field, "BGPPeer \"tor\"");
        }
        apply_set(fixture, &set);
        struct picture *now = state_picture(fixture->state);
        const struct record *record = snapshot_get(now->snapshot, KIND_BGPPEER, "tor");
        if (set.count > 0) {
            char address[16];
            (void)snprintf(address, sizeof(address), "\"192.0.2.%d\"", CASES[i].undone);
            assert_true(CASES[i].undone == '-' ? record == NULL
                                               : record != NULL && strstr(record->json, address) != NULL);
        }
        picture_unref(now);
        arena_done(&arena);
        fixture_teardown((void **)&fixture);
    }
}

static size_t differ(struct fixture *fixture, uint64_t revision, struct arena *arena) {
    struct picture *then, *now = state_picture(fixture->state);
    struct change_set set;
    struct err err = ERR_INIT;
    fleet_check(state_past(fixture->state, revision, &then, &err), &err);
    fleet_check(state_changes_between(now->snapshot, then->snapshot, arena, &set, &err), &err);
    picture_unref(then);
    picture_unref(now);
    return set.count;
}

/* A change, its undo, and the undo of that: all objects say again what they said. */
static void test_undo_of_undo(void **state) {
    struct fixture *fixture = *state;
    struct dice dice = {.state = 5};
    size_t undone = 0;
    for (size_t i = 0; i < UNDOS; i++) {
        struct change_set set;
        struct causes conflicts;
        struct arena arena;
        arena_init(&arena, 0);
        uint64_t first = newest(fixture);
        change_somehow(fixture, &dice);
        uint64_t second = newest(fixture);
        find_undo(fixture, first, second, &arena, &set, &conflicts);
        assert_int_equal(conflicts.count, 0);
        undone += set.count;
        apply_set(fixture, &set);
        uint64_t third = newest(fixture);
        assert_int_equal(differ(fixture, first, &arena), 0);
        find_undo(fixture, second, third, &arena, &set, &conflicts);
        assert_int_equal(conflicts.count, 0);
        apply_set(fixture, &set);
        assert_int_equal(differ(fixture, second, &arena), 0);
        arena_done(&arena);
    }
    assert_true(undone > UNDOS / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_revision_is_found_again),
        cmocka_unit_test(test_every_conflict),
        cmocka_unit_test_setup_teardown(test_undo_of_undo, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, fixture_libraries, NULL);
}
