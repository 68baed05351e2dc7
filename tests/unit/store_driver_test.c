/*
 * Kinds of store: how one is chosen by its address, and that all of them answer alike. Whatever is written to
 * one is written to another as well, and then both must hold the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"
#include "store_memory.h"

static int try_address(const char *address, const struct store_driver *driver, const char *dir,
                       struct store **ret, struct err *err) {
    err_clear(err);
    *ret = NULL;
    return store_open(&(struct store_options){.store = address, .driver = driver, .dir = dir}, ret, err);
}

static void an_address_chooses_the_store(void **state) {
    char dir[PATH_TEXT_MAX];
    char place[PATH_TEXT_MAX];
    char address[PATH_TEXT_MAX + 8];
    char path[PATH_TEXT_MAX];
    struct store *store = NULL;
    struct err err = ERR_INIT;
    path_in(dir, *state, "data");
    (void)snprintf(address, sizeof(address), "sqlite:%s", path_in(place, *state, "fleet"));
    assert_int_equal(try_address(address, NULL, dir, &store, &err), 0);
    must_change(store, STORE_CREATE, "Node", "n", 1, "{}");
    store_close(store);
    assert_int_equal(access(path_in(path, place, "bgppeerd.db"), F_OK), 0);
    assert_int_equal(access(dir, F_OK), 0);
    assert_int_not_equal(access(path_in(path, dir, "bgppeerd.db"), F_OK), 0);
    store = must_open(place); /* a directory alone is SQLite's */
    assert_int_equal(status_of(store).revision, 1);
    store_close(store);
    assert_string_equal(store_place(address, dir), place);
    assert_string_equal(store_place(NULL, dir), dir);
    assert_string_equal(store_place(dir, NULL), dir);
}

static void an_address_of_no_kind_is_refused(void **state) {
    static const char *const bad[] = {"sqlite", "sqlite:", "SQLITE:x", "postgres:x",
                                      ":x",     "",        "./data",   "memory:0"};
    char dir[PATH_TEXT_MAX];
    struct store *store = NULL;
    struct err err = ERR_INIT;
    path_in(dir, *state, "data");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(try_address(bad[i], NULL, dir, &store, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, "sqlite:./data"));
        assert_int_not_equal(access(dir, F_OK), 0);
    }
    char kept[STORE_KEPT_MAX];
    err_clear(&err);
    assert_int_equal(store_restore("postgres:x", "/nonexistent", kept, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
}

static void a_missing_store_is_not_made_for_everybody(void **state) {
    char dir[PATH_TEXT_MAX];
    struct store *store = NULL;
    struct err err = ERR_INIT;
    path_in(dir, *state, "data");
    assert_int_equal(store_open(&(struct store_options){.dir = dir, .must_exist = true}, &store, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_not_equal(access(dir, F_OK), 0);
    store_close(must_open(dir));
    assert_int_equal(store_open(&(struct store_options){.dir = dir, .must_exist = true}, &store, &err), 0);
    store_close(store);
}

/* ---- all kinds alike ---- */

/* Without the first line, which has the schema. */
static char *content_of(struct store *store) {
    char *text = dump(store);
    char *rest = strchr(text, '\n') + 1;
    memmove(text, rest, strlen(rest) + 1);
    return text;
}

static void same_content(struct store *a, struct store *b) {
    char *one = content_of(a);
    char *other = content_of(b);
    assert_string_equal(one, other);
    assert_int_equal(status_of(a).revision, status_of(b).revision);
    assert_int_equal(status_of(a).compacted, status_of(b).compacted);
    free(one);
    free(other);
}

static void commit_both(struct store *const stores[2], const struct store_batch *batch) {
    must_commit(stores[0], batch);
    must_commit(stores[1], batch);
    same_content(stores[0], stores[1]);
}

static void every_kind_answers_alike(void **state) {
    struct memory_database database;
    char address[MEMORY_ADDRESS_MAX];
    struct store *stores[2];
    struct err err = ERR_INIT;
    memory_init(&database);
    memory_address(&database, address);
    stores[0] = must_open(*state);
    assert_int_equal(try_address(address, &MEMORY_DRIVER, *state, &stores[1], &err), 0);
    uint64_t random = 7;
    bool there[8] = {false};
    for (uint64_t revision = 1; revision < 200; revision++) {
        char name[24];
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned which = (unsigned)(random >> 40) % 8;
        enum store_op op = !there[which] ? STORE_CREATE : random >> 50 & 1 ? STORE_UPDATE : STORE_DELETE;
        there[which] = op != STORE_DELETE;
        (void)snprintf(name, sizeof(name), "default/s%u", which);
        struct store_change change = change_of(op, "Secret", name, revision, "{}");
        struct store_sealed sealed = {.object = name,
                                      .item = random >> 55 & 1 ? "a" : "b",
                                      .version = revision,
                                      .key_id = 1,
                                      .nonce = "n",
                                      .nonce_len = 1,
                                      .ciphertext = random >> 58 & 1 ? NULL : "c",
                                      .ciphertext_len = 1};
        struct store_setting setting = {.name = name, .value = random >> 60 & 1 ? NULL : "v", .value_len = 1};
        struct store_audit audit = {.sequence = revision, .time_ms = 5, .entry = "{}", .entry_len = 2};
        commit_both(stores, &(struct store_batch){.changes = &change,
                                                  .change_count = 1,
                                                  .sealed = &sealed,
                                                  .sealed_count = there[which] ? 1 : 0,
                                                  .settings = &setting,
                                                  .setting_count = 1,
                                                  .audit = &audit,
                                                  .audit_count = 1});
        if (revision % 50 == 0) {
            uint64_t compacted[2];
            bool more = false;
            uint64_t dropped[40]; /* the oldest ten of these 50 stay */
            for (size_t i = 0; i < 40; i++) {
                dropped[i] = revision - 39 + i;
            }
            for (int i = 0; i < 2; i++) {
                assert_int_equal(
                    store_compact(stores[i], &(struct store_keep){.changes = 30}, &more, &compacted[i], &err),
                    0);
                assert_int_equal(store_drop_audit(stores[i], dropped, 40, &err), 0);
            }
            assert_int_equal(compacted[0], compacted[1]);
            same_content(stores[0], stores[1]);
        }
    }
    store_close(stores[0]);
    store_close(stores[1]);
    memory_done(&database);
}

static int add_transition(void *arg, const struct store_transition *row, struct err *err) {
    (void)err;
    buf_printf(arg, "%llu %lld %s %s:%u (%s) %s > %s +%u %s\n", (unsigned long long)row->sequence,
               (long long)row->time_ms, row->node, row->peer, row->port, row->remote, row->was, row->became,
               row->folded, row->message);
    return 0;
}

static void same_transitions(struct store *const stores[2], uint64_t below, size_t limit,
                             const char *wanted) {
    for (int i = 0; i < 2; i++) {
        struct buf text = BUF_INIT;
        struct err err = ERR_INIT;
        assert_int_equal(store_read_transitions(stores[i], below, limit, add_transition, &text, &err), 0);
        buf_add_char(&text, '\0');
        assert_string_equal(text.data, wanted);
        buf_done(&text);
    }
}

static void transitions_are_kept_newest_first_and_trimmed(void **state) {
    struct memory_database database;
    char address[MEMORY_ADDRESS_MAX];
    struct store *stores[2];
    struct err err = ERR_INIT;
    memory_init(&database);
    memory_address(&database, address);
    stores[0] = must_open(*state);
    assert_int_equal(try_address(address, &MEMORY_DRIVER, *state, &stores[1], &err), 0);
    same_transitions(stores, 0, 0, "");
    for (uint64_t n = 1; n <= 4; n++) {
        struct store_transition row = {.sequence = n,
                                       .time_ms = (int64_t)(1000 + n),
                                       .node = "a",
                                       .peer = "192.0.2.1",
                                       .port = 179,
                                       .remote = n == 4 ? "b" : "",
                                       .was = "Up",
                                       .became = "Down",
                                       .folded = (uint32_t)n - 1,
                                       .message = n == 4 ? "far side has no such peer" : ""};
        struct store_batch batch = {.transitions = &row, .transition_count = 1};
        must_commit(stores[0], &batch);
        must_commit(stores[1], &batch);
    }
    same_transitions(stores, 0, 2,
                     "4 1004 a 192.0.2.1:179 (b) Up > Down +3 far side has no such peer\n"
                     "3 1003 a 192.0.2.1:179 () Up > Down +2 \n");
    same_transitions(stores, 2, 0, "1 1001 a 192.0.2.1:179 () Up > Down +0 \n");
    bool more[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_trim_transitions(stores[i], 3, 2, &more[i], &err), 0);
        assert_true(more[i]);
        assert_int_equal(store_trim_transitions(stores[i], 3, 2, &more[i], &err), 0);
        assert_false(more[i]);
    }
    same_transitions(stores, 0, 0, "4 1004 a 192.0.2.1:179 (b) Up > Down +3 far side has no such peer\n");
    struct store_transition bad = {.sequence = 0};
    assert_int_equal(
        store_commit(stores[0], &(struct store_batch){.transitions = &bad, .transition_count = 1}, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
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
        IN_DIR(an_address_chooses_the_store),
        IN_DIR(an_address_of_no_kind_is_refused),
        IN_DIR(a_missing_store_is_not_made_for_everybody),
        IN_DIR(every_kind_answers_alike),
        IN_DIR(transitions_are_kept_newest_first_and_trimmed),
    };
    return cmocka_run_group_tests_name("store: drivers", tests, NULL, NULL);
}
