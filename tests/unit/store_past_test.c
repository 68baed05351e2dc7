/*
 * The past of a store: which state it knows, also after compaction, a restart, a restore, and of a database
 * of before it had one; the change log read as history; which revision belongs to a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"
#include "store_memory.h"
#include "store_sql.h"

enum { STEPS = 400, OBJECTS = 12 };

/* What each object was at each revision: the revision of its state, 0 = it did not exist. */
struct model {
    uint64_t states[STEPS + 1][OBJECTS];
};

static const char *object_name(unsigned i, char out[24]) {
    (void)snprintf(out, 24, "object-%02u", i);
    return out;
}

static void body_of(uint64_t revision, char out[48]) {
    (void)snprintf(out, 48, "{\"state\":%" PRIu64 "}", revision);
}

/* One change at `revision`, its transaction's first one is the last with a number divisible by three. */
static void step(struct store *const stores[], size_t count, struct model *model, uint64_t revision,
                 uint64_t random) {
    char name[24];
    char body[48];
    unsigned i = (unsigned)(random >> 33) % OBJECTS;
    const uint64_t *before = model->states[revision - 1];
    enum store_op op = before[i] == 0 ? STORE_CREATE : random >> 45 & 3 ? STORE_UPDATE : STORE_DELETE;
    body_of(revision, body);
    struct store_change change = change_of(op, "Node", object_name(i, name), revision, body);
    change.time_ms = 1000 * (int64_t)revision;
    change.txn = revision - revision % 3 > 0 ? revision - revision % 3 : revision;
    change.request = "request";
    change.reason = "reason";
    memcpy(model->states[revision], before, sizeof(model->states[revision]));
    model->states[revision][i] = op == STORE_DELETE ? 0 : revision;
    for (size_t k = 0; k < count; k++) {
        must_commit(stores[k], &(struct store_batch){.changes = &change, .change_count = 1});
    }
}

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed;
}

static struct model *fill(struct store *const stores[], size_t count) {
    struct model *model = calloc(1, sizeof(*model));
    uint64_t seed = 11;
    assert_non_null(model);
    for (uint64_t revision = 1; revision <= STEPS; revision++) {
        step(stores, count, model, revision, next_random(&seed));
    }
    return model;
}

struct putting {
    uint64_t states[OBJECTS];
    bool seen[OBJECTS];
};

static int put_back(void *arg, const char *kind, const char *name, const struct store_change *change,
                    struct err *err) {
    struct putting *putting = arg;
    char body[48];
    unsigned i = (unsigned)strtoul(name + strlen("object-"), NULL, 10);
    (void)err;
    assert_string_equal(kind, "Node");
    assert_true(i < OBJECTS && !putting->seen[i]);
    putting->seen[i] = true;
    putting->states[i] = change != NULL ? change->revision : 0;
    if (change != NULL) {
        body_of(change->revision, body);
        assert_string_equal(change->body, body);
        assert_string_equal(change->name, name);
    }
    return 0;
}

/* From the newest state, and from one in between. */
static void assert_past(struct store *store, const struct model *model, uint64_t revision, uint64_t upto) {
    struct putting putting = {.states = {0}};
    struct err err = ERR_INIT;
    memcpy(putting.states, model->states[upto], sizeof(putting.states));
    if (store_read_past(store, revision, upto, put_back, &putting, &err) != 0) {
        fail_msg("revision %" PRIu64 ": %s", revision, err.text);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (putting.states[i] != model->states[revision][i]) {
            fail_msg("revision %" PRIu64 ": object %u is %" PRIu64 ", was %" PRIu64, revision, i,
                     putting.states[i], model->states[revision][i]);
        }
    }
}

static void assert_all_past(struct store *store, const struct model *model, uint64_t oldest) {
    struct putting putting = {.states = {0}};
    struct err err = ERR_INIT;
    assert_int_equal(status_of(store).past, oldest);
    for (uint64_t revision = oldest; revision <= STEPS; revision++) {
        assert_past(store, model, revision, STEPS);
        assert_past(store, model, revision, revision + (STEPS - revision) / 2);
    }
    if (oldest > 0) {
        char says[32];
        (void)snprintf(says, sizeof(says), " %" PRIu64, oldest);
        assert_int_equal(store_read_past(store, oldest - 1, STEPS, put_back, &putting, &err), -1);
        assert_int_equal(err.code, ERR_EXPIRED);
        assert_non_null(strstr(err.text, says));
    }
}

static void compact(struct store *store, const struct store_keep *keep) {
    bool more = true;
    uint64_t compacted;
    struct err err = ERR_INIT;
    while (more) {
        assert_int_equal(store_compact(store, keep, &more, &compacted, &err), 0);
    }
}

/* Both stores: the states of all revisions, as far as they are kept. */
static void the_past_is_known_to_its_horizon(void **state) {
    struct memory_database database;
    memory_init(&database);
    struct store *stores[2] = {must_open(*state), memory_open(&database)};
    struct model *model = fill(stores, 2);
    for (int i = 0; i < 2; i++) {
        assert_all_past(stores[i], model, 0);
        compact(stores[i], &(struct store_keep){.changes = 1000}); /* the newest stay in any case */
        assert_all_past(stores[i], model, 0);
        compact(stores[i], &(struct store_keep){.changes = 10, .since_ms = 50001, .bytes = UINT64_MAX});
        assert_all_past(stores[i], model, 50); /* what is older than that time */
        compact(stores[i], &(struct store_keep){.changes = 100, .since_ms = 0, .bytes = 0});
        assert_all_past(stores[i], model, 300); /* what is too large, but not the newest hundred */
    }
    store_close(stores[0]);
    stores[0] = must_open(*state);
    assert_all_past(stores[0], model, 300);
    assert_int_equal(status_of(stores[0]).past_ms, 300000);
    store_close(stores[0]);
    store_close(stores[1]);
    memory_done(&database);
    free(model);
}

/* ---- history ---- */

struct found {
    size_t rows;
    uint64_t first, last;
};

static int note_row(void *arg, const struct store_change *change, struct err *err) {
    struct found *found = arg;
    (void)err;
    found->first = found->rows++ == 0 ? change->revision : found->first;
    found->last = change->revision;
    bool first = change->txn == change->revision;
    assert_true(change->txn <= change->revision);
    assert_string_equal(change->request, first ? "request" : "");
    assert_string_equal(change->reason, first ? "reason" : "");
    return 0;
}

static void history_is_read_both_ways(void **state) {
    struct memory_database database;
    memory_init(&database);
    struct store *stores[2] = {must_open(*state), memory_open(&database)};
    struct err err = ERR_INIT;
    free(fill(stores, 2));
    static const struct {
        struct store_history_query query;
        size_t rows;
        uint64_t first, last;
    } cases[] = {
        {{.limit = 0}, STEPS, STEPS, 1},         {{.oldest_first = true}, STEPS, 1, STEPS},
        {{.after = 10, .below = 14}, 3, 13, 11}, {{.after = 10, .limit = 2, .oldest_first = true}, 2, 11, 12},
        {{.below = 10, .limit = 2}, 2, 9, 8},    {{.kind = "Node", .limit = 1}, 1, STEPS, STEPS},
        {{.kind = "BGPPeer"}, 0, 0, 0},
    };
    struct found found, other;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int k = 0; k < 2; k++) {
            found = (struct found){.rows = 0};
            assert_int_equal(store_read_history(stores[k], &cases[i].query, note_row, &found, &err), 0);
            assert_int_equal(found.rows, cases[i].rows);
            assert_int_equal(found.first, cases[i].first);
            assert_int_equal(found.last, cases[i].last);
        }
    }
    const struct store_history_query of_one = {.kind = "Node", .name = "object-03", .below = 300};
    found = other = (struct found){.rows = 0};
    assert_int_equal(store_read_history(stores[0], &of_one, note_row, &found, &err), 0);
    assert_int_equal(store_read_history(stores[1], &of_one, note_row, &other, &err), 0);
    assert_true(found.rows > 5 && found.rows < 100);
    assert_memory_equal(&found, &other, sizeof(found));
    for (int k = 0; k < 2; k++) { /* what is gone is left out, and so is what stands for it */
        compact(stores[k], &(struct store_keep){.changes = 7});
        found = (struct found){.rows = 0};
        assert_int_equal(
            store_read_history(stores[k], &(struct store_history_query){.limit = 0}, note_row, &found, &err),
            0);
        assert_int_equal(found.rows, 7);
        store_close(stores[k]);
    }
    memory_done(&database);
}

/* ---- times ---- */

static void assert_time(struct store *store, int64_t time_ms, uint64_t revision) {
    struct err err = ERR_INIT;
    uint64_t found = 0;
    if (store_find_time(store, time_ms, &found, &err) != 0) {
        fail_msg("%" PRId64 ": %s", time_ms, err.text);
    }
    assert_int_equal(found, revision);
}

static void a_time_names_a_revision(void **state) {
    struct memory_database database;
    memory_init(&database);
    struct store *stores[2] = {must_open(*state), memory_open(&database)};
    free(fill(stores, 2));
    for (int k = 0; k < 2; k++) {
        struct err err = ERR_INIT;
        uint64_t found;
        for (uint64_t revision = 1; revision <= STEPS; revision++) {
            assert_time(stores[k], 1000 * (int64_t)revision - 1, revision - 1);
            assert_time(stores[k], 1000 * (int64_t)revision, revision);
        }
        assert_time(stores[k], INT64_MAX, STEPS);
        assert_time(stores[k], 0, 0);
        compact(stores[k], &(struct store_keep){.changes = 100});
        assert_time(stores[k], 300000, 300);
        assert_int_equal(store_find_time(stores[k], 299999, &found, &err), -1);
        assert_int_equal(err.code, ERR_EXPIRED);
        store_close(stores[k]);
    }
    memory_done(&database);
}

/* ---- backups, and databases of before ---- */

static void a_restore_keeps_what_is_known(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    char kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    uint64_t found;
    struct store *store = must_open(path_in(dir, *state, "data"));
    struct model *model = fill(&store, 1);
    assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
    must_change(store, STORE_CREATE, "Node", "taken-back", STEPS + 1, "{}");
    must_change(store, STORE_DELETE, "Node", "taken-back", STEPS + 2, "{}");
    store_close(store);
    assert_int_equal(store_restore(dir, path, kept, &err), 0);
    store = must_open(dir);
    assert_int_equal(status_of(store).revision, STEPS + 3);
    assert_all_past(store, model, 0);
    for (uint64_t lost = STEPS + 1; lost <= STEPS + 2; lost++) {
        struct putting putting = {.states = {0}};
        err_clear(&err);
        assert_int_equal(store_read_past(store, lost, STEPS + 3, put_back, &putting, &err), -1);
        assert_int_equal(err.code, ERR_EXPIRED);
        assert_non_null(strstr(err.text, "restored"));
    }
    struct putting nothing = {.states = {0}};
    assert_int_equal(store_read_past(store, STEPS + 3, STEPS + 3, put_back, &nothing, &err), 0);
    assert_time(store, 1000 * STEPS - 1, STEPS - 1);
    assert_time(store, INT64_MAX, STEPS + 3);
    assert_int_equal(store_find_time(store, 1000 * STEPS, &found, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    store_close(store);
    free(model);
}

static void copy_old(const char *dir) {
    char to[PATH_TEXT_MAX];
    assert_true(copy_file("tests/fixtures/v4/change-log/bgppeerd.db", path_in(to, dir, "bgppeerd.db")));
    assert_true(copy_file("tests/fixtures/v4/change-log/mark.bin", path_in(to, dir, "high-water")));
}

static int count_object(void *arg, const char *kind, const char *name, const struct store_change *change,
                        struct err *err) {
    (void)kind;
    (void)name;
    (void)err;
    *(int *)arg += change != NULL ? 1 : 100;
    return 0;
}

/* Made by a release of schema 4: 1-3 Nodes, 4 a BGPPeer, 5 n2 changed, 6 n3 deleted, 7 the BGPPeer changed.
 */
static void an_old_database_knows_its_log(void **state) {
    struct err err = ERR_INIT;
    copy_old(*state);
    struct store *store = must_open(*state);
    assert_int_equal(status_of(store).past, 0);
    /* Objects to put back as they were, and 100 for each to take away. */
    static const int back[] = {400, 300, 201, 102, 3, 2, 1, 0};
    for (uint64_t revision = 0; revision <= 7; revision++) {
        int objects = 0;
        assert_int_equal(store_read_past(store, revision, 7, count_object, &objects, &err), 0);
        assert_int_equal(objects, back[revision]);
    }
    store_close(store);
}

/* Its log began behind revision 4; what the BGPPeer was before 7, and n2 before 5, nobody knows. */
static void an_old_database_without_its_oldest_changes(void **state) {
    struct err err = ERR_INIT;
    int objects = 0;
    copy_old(*state);
    run_sql(*state, "DELETE FROM change WHERE revision <= 4; UPDATE meta SET compacted = 4, change_rows = 3",
            false);
    struct store *store = must_open(*state);
    assert_int_equal(status_of(store).compacted, 4);
    assert_int_equal(status_of(store).past, 7);
    assert_int_equal(store_read_past(store, 6, 7, count_object, &objects, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    /* n1 was never in the log; from here on it is known all the same. */
    must_change(store, STORE_UPDATE, "Node", "n1", 8, "{\"new\":1}");
    assert_int_equal(store_read_past(store, 7, 8, count_object, &objects, &err), 0);
    assert_int_equal(objects, 1);
    store_close(store);
}

/* ---- versions of lists ---- */

static int add_given(void *arg, const struct store_given *given, struct err *err) {
    (void)err;
    buf_printf(arg, "%s %" PRIu64 " %s %" PRId64 " %" PRId64 "\n", given->node, given->revision, given->etag,
               given->time_ms, given->node_ms);
    return 0;
}

/* All versions, node by node. */
static char *all_given(struct store *store, const char *only, uint64_t below, size_t limit) {
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    for (unsigned i = 0; i < OBJECTS; i++) {
        char name[24];
        const struct store_given_query query = {
            .node = only != NULL ? only : object_name(i, name), .below = below, .limit = limit};
        if (only == NULL || i == 0) {
            assert_int_equal(store_read_given(store, &query, add_given, &out, &err), 0);
        }
    }
    buf_add_str(&out, "");
    assert_false(buf_failed(&out));
    return buf_steal(&out, NULL);
}

static int count_given(void *arg, const struct store_given *given, struct err *err) {
    (void)given;
    (void)err;
    ++*(size_t *)arg;
    return 0;
}

static size_t newest_given(struct store *store) {
    size_t count = 0;
    struct err err = ERR_INIT;
    const struct store_given_query query = {.node = NULL};
    assert_int_equal(store_read_given(store, &query, count_given, &count, &err), 0);
    return count;
}

static void give(struct store *const stores[], const char *node, uint64_t revision, const char *etag,
                 int64_t node_ms) {
    struct store_given given = {
        .node = node, .revision = revision, .etag = etag, .time_ms = 7, .node_ms = node_ms};
    for (int k = 0; k < 2; k++) {
        must_commit(stores[k], &(struct store_batch){.given = &given, .given_count = 1});
    }
}

static void assert_alike(struct store *const stores[], const char *only, uint64_t below, size_t limit) {
    char *a = all_given(stores[0], only, below, limit), *b = all_given(stores[1], only, below, limit);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void assert_given(struct store *const stores[], const char *node, const char *expected) {
    for (int k = 0; k < 2; k++) {
        char *text = all_given(stores[k], node, 0, 0);
        assert_string_equal(text, expected);
        free(text);
    }
}

/* Of each node, every version behind the horizon and the newest before it; of one that is gone, nothing. */
static void versions_of_lists_are_kept_to_the_horizon(void **state) {
    struct memory_database database;
    memory_init(&database);
    struct store *stores[2] = {must_open(*state), memory_open(&database)};
    uint64_t seed = 3;
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    give(stores, "n", 5, "a", 0);
    give(stores, "n", 5, "a", 70); /* it has it now */
    give(stores, "n", 5, "a", 90); /* the first time counts */
    give(stores, "n", 8, "b", 80);
    give(stores, "n", 8, "c", 0); /* another list in its place */
    assert_given(stores, "n", "n 8 c 7 0\nn 5 a 7 70\n");
    for (uint64_t revision = 1; revision <= STEPS; revision++) {
        char name[24];
        step(stores, 2, model, revision, next_random(&seed));
        for (unsigned i = 0; i < OBJECTS; i++) {
            if (model->states[revision][i] != 0 && next_random(&seed) >> 62 == 0) {
                give(stores, object_name(i, name), revision, next_random(&seed) >> 63 ? "x" : "y",
                     (int64_t)(next_random(&seed) >> 60));
            }
        }
    }
    assert_alike(stores, NULL, 0, 0);
    assert_alike(stores, NULL, 200, 3);
    for (uint64_t keep = STEPS; keep > 0; keep -= 50) {
        for (int k = 0; k < 2; k++) {
            compact(stores[k],
                    &(struct store_keep){.changes = keep, .since_ms = INT64_MAX, .bytes = UINT64_MAX});
        }
        assert_alike(stores, NULL, 0, 0);
        assert_int_equal(newest_given(stores[0]), newest_given(stores[1]));
    }
    size_t nodes = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        nodes += model->states[STEPS][i] != 0;
    }
    /* All together take half of the bytes; the newest of each stays. */
    compact(stores[0], &(struct store_keep){.changes = STEPS, .bytes = 40 * STORE_GIVEN_BYTES});
    char *text = all_given(stores[0], NULL, 0, 0);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    free(text);
    assert_true(lines <= 20 && lines >= nodes);
    size_t newest = newest_given(stores[0]);
    compact(stores[0], &(struct store_keep){.changes = STEPS, .bytes = 0});
    assert_int_equal(newest_given(stores[0]), newest);
    free(model);
    store_close(stores[0]);
    store_close(stores[1]);
    memory_done(&database);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        IN_DIR(the_past_is_known_to_its_horizon),
        IN_DIR(history_is_read_both_ways),
        IN_DIR(a_time_names_a_revision),
        IN_DIR(a_restore_keeps_what_is_known),
        IN_DIR(versions_of_lists_are_kept_to_the_horizon),
        IN_DIR(an_old_database_knows_its_log),
        IN_DIR(an_old_database_without_its_oldest_changes),
    };
    return cmocka_run_group_tests_name("store: the past", tests, NULL, NULL);
}
