/*
 * The high-water mark and what it is for: a database that is older than what was acknowledged, another one,
 * none, or one whose log is damaged is refused, until somebody accepts it or restores a backup; files that go
 * away while the store is open are noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"
#include "store_sql.h"

enum { MARK_SIZE = 64, WAL_HEADER = 32, WAL_FRAME = 24 + 4096 };

static void write_objects(struct store *store, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i <= last; i++) {
        char name[24];
        char body[256];
        (void)snprintf(name, sizeof(name), "node-%03" PRIu64, i);
        (void)snprintf(body, sizeof(body), "{\"n\":%" PRIu64 ",\"padding\":\"%0100d\"}", i, 7);
        must_change(store, STORE_CREATE, "Node", name, i, body);
    }
}

/* Copies the database and its log, not the mark. */
static void copy_files(const char *from, const char *to) {
    static const char *const names[] = {"bgppeerd.db", "bgppeerd.db-wal"};
    char source[PATH_TEXT_MAX];
    char target[PATH_TEXT_MAX];
    for (size_t i = 0; i < 2; i++) {
        (void)unlink(path_in(target, to, names[i]));
        (void)copy_file(path_in(source, from, names[i]), target);
    }
}

/* A directory as a killed process leaves it: versions 1 … `count`, all in the log, with the mark. */
static void crashed(const char *parent, const char *name, uint64_t count, char dir[PATH_TEXT_MAX]) {
    char live[PATH_TEXT_MAX];
    char from[PATH_TEXT_MAX];
    char to[PATH_TEXT_MAX];
    struct store *store = must_open(path_in(live, parent, "live"));
    write_objects(store, 1, count);
    assert_int_equal(mkdir(path_in(dir, parent, name), 0700), 0);
    copy_files(live, dir);
    assert_true(copy_file(path_in(from, live, "high-water"), path_in(to, dir, "high-water")));
    store_close(store);
    remove_tree(live);
}

static int try_open(const char *dir, bool accept, struct store **ret, struct err *err) {
    static const char *const companions[] = {"admin.token", NULL};
    err_clear(err);
    *ret = NULL;
    return store_open(
        &(struct store_options){.dir = dir, .companions = companions, .accept_rollback = accept}, ret, err);
}

/* Refused without a change; then accepted, and it goes on behind `acknowledged`. */
static void refuse_then_accept(const char *dir, const char *says, uint64_t acknowledged) {
    struct err err = ERR_INIT;
    struct store *store = NULL;
    char *before = dir_digest(dir);
    assert_int_equal(try_open(dir, false, &store, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    if (strstr(err.text, says) == NULL || strstr(err.text, "--accept-rollback") == NULL ||
        strstr(err.text, "bgppeerd restore FILE") == NULL) {
        fail_msg("\"%s\" does not say \"%s\" and the ways out", err.text, says);
    }
    char *after = dir_digest(dir);
    assert_string_equal(after, before);
    free(before);
    free(after);
    if (try_open(dir, true, &store, &err) != 0) {
        fail_msg("not accepted: %s", err.text);
    }
    assert_non_null(store_accepted(store));
    struct store_status status = status_of(store);
    assert_true(status.revision > acknowledged);
    assert_int_equal(status.compacted, status.revision);
    char *content = dump(store);
    must_change(store, STORE_CREATE, "Node", "afterwards", status.revision + 1, "{}");
    free(content);
    store_close(store);
    store = must_open(dir);
    assert_null(store_accepted(store));
    store_close(store);
}

static void a_complete_database_is_accepted(void **state) {
    char dir[PATH_TEXT_MAX];
    crashed(*state, "crashed", 20, dir);
    struct store *store = must_open(dir);
    assert_int_equal(status_of(store).revision, 20);
    store_close(store);
    struct err err = ERR_INIT;
    assert_int_equal(try_open(dir, true, &store, &err), 0);
    assert_null(store_accepted(store));
    assert_int_equal(status_of(store).revision, 20);
    store_close(store);
}

static void the_mark_grows_with_each_transaction(void **state) {
    char path[PATH_TEXT_MAX];
    struct store *store = must_open(*state);
    struct store_setting setting = {.name = "s", .value = "v", .value_len = 1};
    char last[MARK_SIZE] = "";
    for (uint64_t i = 1; i <= 6; i++) {
        size_t len = 0;
        if (i % 2 == 0) {
            must_commit(store, &(struct store_batch){.settings = &setting, .setting_count = 1});
        } else {
            write_objects(store, i, i);
        }
        char *mark = read_file(path_in(path, *state, "high-water"), &len);
        assert_int_equal(len, MARK_SIZE);
        assert_memory_not_equal(mark, last, MARK_SIZE);
        memcpy(last, mark, MARK_SIZE);
        free(mark);
    }
    store_close(store);
}

/* Also when all that is missing is one setting, such as a revoked token's deletion. */
static void an_older_copy_is_refused(void **state) {
    char dir[PATH_TEXT_MAX];
    char old[PATH_TEXT_MAX];
    struct store_setting setting = {.name = "token", .value = NULL};
    assert_int_equal(mkdir(path_in(old, *state, "old"), 0700), 0);
    for (int kind = 0; kind < 2; kind++) {
        struct store *store = must_open(path_in(dir, *state, "data"));
        write_objects(store, 1, 5);
        store_close(store);
        copy_files(dir, old);
        store = must_open(dir);
        if (kind == 0) {
            write_objects(store, 6, 6);
        } else {
            must_commit(store, &(struct store_batch){.settings = &setting, .setting_count = 1});
        }
        store_close(store);
        copy_files(old, dir);
        refuse_then_accept(dir, "older copy", kind == 0 ? 6 : 5);
        remove_tree(dir);
    }
}

static void another_database_is_refused(void **state) {
    char dir[PATH_TEXT_MAX];
    char other[PATH_TEXT_MAX];
    struct store *store = must_open(path_in(dir, *state, "data"));
    write_objects(store, 1, 5);
    store_close(store);
    store = must_open(path_in(other, *state, "other"));
    write_objects(store, 1, 50);
    store_close(store);
    copy_files(other, dir);
    refuse_then_accept(dir, "another database", 50);
}

static void a_missing_database_is_refused(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    struct store *store = must_open(path_in(dir, *state, "data"));
    write_objects(store, 1, 5);
    store_close(store);
    assert_int_equal(unlink(path_in(path, dir, "bgppeerd.db")), 0);
    refuse_then_accept(dir, "is missing", 5);
    /* Known without a mark by what else is there. */
    assert_int_equal(unlink(path_in(path, dir, "bgppeerd.db")), 0);
    assert_int_equal(unlink(path_in(path, dir, "high-water")), 0);
    write_file(path_in(path, dir, "admin.token"), "x", 1);
    refuse_then_accept(dir, "admin.token", 0);
}

/* A database of before there was a mark, or a directory that was copied without it. */
static void a_missing_mark_is_made(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    size_t len = 0;
    crashed(*state, "crashed", 9, dir);
    assert_int_equal(unlink(path_in(path, dir, "high-water")), 0);
    struct store *store = must_open(dir);
    assert_int_equal(status_of(store).revision, 9);
    free(read_file(path, &len));
    assert_int_equal(len, MARK_SIZE);
    store_close(store);
}

static void a_damaged_mark_is_refused(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    size_t len = 0;
    struct store *store = NULL;
    struct err err = ERR_INIT;
    crashed(*state, "crashed", 9, dir);
    char *good = read_file(path_in(path, dir, "high-water"), &len);
    for (size_t bit = 0; bit < MARK_SIZE * 8; bit++) {
        char bad[MARK_SIZE];
        memcpy(bad, good, MARK_SIZE);
        bad[bit / 8] = (char)(bad[bit / 8] ^ 1 << bit % 8);
        write_file(path, bad, MARK_SIZE);
        assert_int_equal(try_open(dir, false, &store, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    for (size_t size = 0; size < MARK_SIZE; size += 9) {
        write_file(path, good, size);
        assert_int_equal(try_open(dir, false, &store, &err), -1);
    }
    refuse_then_accept(dir, "high-water is damaged", 9);
    free(good);
}

/* One bit anywhere in the log: refused, or nothing is missing. With the mark, and (for all but the last two
 * transactions, which could be its torn end) without it. */
static void a_bit_in_the_log_is_noticed(void **state) {
    char dir[PATH_TEXT_MAX];
    char work[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    char from[PATH_TEXT_MAX];
    char mark[PATH_TEXT_MAX];
    size_t len = 0;
    unsigned refused = 0;
    crashed(*state, "crashed", 30, dir);
    assert_int_equal(mkdir(path_in(work, *state, "work"), 0700), 0);
    path_in(path, work, "bgppeerd.db-wal");
    path_in(mark, work, "high-water");
    char *good = read_file(path_in(from, dir, "bgppeerd.db-wal"), &len);
    assert_true(len > 60 * WAL_FRAME);
    for (size_t at = 0; at < len; at += at < WAL_HEADER ? 1 : at < WAL_HEADER + WAL_FRAME ? 17 : 1237) {
        for (int with_mark = 0; with_mark < 2; with_mark++) {
            struct store *store = NULL;
            struct err err = ERR_INIT;
            remove_tree(work);
            assert_int_equal(mkdir(work, 0700), 0);
            copy_files(dir, work);
            if (with_mark != 0) {
                assert_true(copy_file(path_in(from, dir, "high-water"), mark));
            }
            good[at] = (char)(good[at] ^ 4);
            write_file(path, good, len);
            good[at] = (char)(good[at] ^ 4);
            if (try_open(work, false, &store, &err) != 0) {
                assert_int_equal(err.code, ERR_CORRUPT);
                refused++;
            } else {
                uint64_t revision = status_of(store).revision;
                if (revision != 30 && (with_mark != 0 || at + (size_t)20 * WAL_FRAME < len)) {
                    fail_msg("with byte %zu of %zu damaged it opens at version %" PRIu64, at, len, revision);
                }
                store_close(store);
            }
        }
    }
    assert_true(refused > 100);
    copy_files(dir, work);
    assert_true(copy_file(path_in(from, dir, "high-water"), mark));
    good[len / 3] = (char)(good[len / 3] ^ 1);
    write_file(path, good, len);
    refuse_then_accept(work, "damaged", 30);
    free(good);
}

/* What a power loss leaves of the transaction that was being written, which nobody was told of. */
static void a_torn_end_is_read_up_to_it(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    char from[PATH_TEXT_MAX];
    size_t len = 0;
    char mark[PATH_TEXT_MAX];
    size_t mark_len = 0;
    char *old_mark = NULL;
    struct store *store = must_open(path_in(dir, *state, "live"));
    write_objects(store, 1, 10);
    old_mark = read_file(path_in(mark, dir, "high-water"), &mark_len);
    struct stat before;
    assert_int_equal(stat(path_in(path, dir, "bgppeerd.db-wal"), &before), 0);
    write_objects(store, 11, 11);
    char *log = read_file(path, &len);
    char crash[PATH_TEXT_MAX];
    assert_int_equal(mkdir(path_in(crash, *state, "crash"), 0700), 0);
    assert_true((size_t)before.st_size < len);
    for (size_t lost = (size_t)before.st_size; lost < len; lost += 512) {
        char saved[512];
        size_t size = len - lost < sizeof(saved) ? len - lost : sizeof(saved);
        remove_tree(crash);
        assert_int_equal(mkdir(crash, 0700), 0);
        assert_true(copy_file(path_in(from, dir, "bgppeerd.db"), path_in(path, crash, "bgppeerd.db")));
        memcpy(saved, log + lost, size);
        memset(log + lost, 0, size);
        write_file(path_in(path, crash, "bgppeerd.db-wal"), log, len);
        memcpy(log + lost, saved, size);
        write_file(path_in(path, crash, "high-water"), old_mark, mark_len);
        struct store *torn = must_open(crash);
        uint64_t revision = status_of(torn).revision;
        assert_true(revision == 10 || revision == 11);
        store_close(torn);
    }
    store_close(store);
    free(log);
    free(old_mark);
}

static void what_was_refused_can_be_restored_over(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    char mark[PATH_TEXT_MAX];
    char kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    for (int kind = 0; kind < 3; kind++) {
        struct store *store = must_open(path_in(dir, *state, "data"));
        write_objects(store, 1, 5);
        assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), 0);
        write_objects(store, 6, 40);
        store_close(store);
        path_in(mark, dir, kind == 2 ? "high-water" : "bgppeerd.db");
        if (kind == 0) {
            assert_int_equal(unlink(mark), 0);
        } else {
            assert_true(kind == 2 || copy_file(path, mark));
            write_file(mark, "junk", kind == 2 ? 4 : 0);
        }
        assert_int_equal(try_open(dir, false, &store, &err), -1);
        if (store_restore(dir, path, kept, &err) != 0) {
            fail_msg("%s", err.text);
        }
        store = must_open(dir);
        assert_true(status_of(store).revision > (kind == 2 ? 5 : 40));
        store_close(store);
        remove_tree(dir);
        assert_int_equal(unlink(path), 0);
    }
}

/* Whatever happens to the files while they are open: no write is acknowledged, reading goes on, and it ends
 * when they are back. */
static void files_that_go_away_are_noticed(void **state) {
    static const char *const names[] = {"bgppeerd.db", "bgppeerd.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        for (int how = 0; how < 2; how++) {
            char dir[PATH_TEXT_MAX];
            char path[PATH_TEXT_MAX];
            char aside[PATH_TEXT_MAX];
            struct err err = ERR_INIT;
            struct store *store = must_open(path_in(dir, *state, "data"));
            write_objects(store, 1, 5);
            char *before = dump(store);
            assert_int_equal(store_check(store, &err), 0);
            assert_int_equal(rename(path_in(path, dir, names[i]), path_in(aside, *state, "aside")), 0);
            if (how == 1) {
                assert_true(copy_file(aside, path));
            }
            assert_int_equal(store_check(store, &err), -1);
            assert_int_equal(err.code, ERR_UNAVAILABLE);
            assert_non_null(strstr(err.text, "moved, deleted or replaced"));
            err_clear(&err);
            assert_int_equal(try_change(store, STORE_CREATE, "Node", "lost", 6, "{}", &err), -1);
            assert_int_equal(err.code, ERR_UNAVAILABLE);
            assert_dump(store, before);
            assert_int_equal(rename(aside, path), 0);
            assert_int_equal(store_check(store, &err), 0);
            write_objects(store, 6, 6);
            store_close(store);
            free(before);
            remove_tree(dir);
        }
    }
}

static void a_log_that_was_cut_is_noticed(void **state) {
    char path[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    struct store *store = must_open(*state);
    write_objects(store, 1, 5);
    assert_int_equal(truncate(path_in(path, *state, "bgppeerd.db-wal"), 4096), 0);
    assert_int_equal(store_check(store, &err), -1);
    assert_non_null(strstr(err.text, "cut short"));
    err_clear(&err);
    assert_int_equal(try_change(store, STORE_CREATE, "Node", "lost", 6, "{}", &err), -1);
    store_close(store);
}

/* What no checksum of SQLite's would notice. */
static void altered_objects_are_refused(void **state) {
    static const char *const alterations[] = {
        "UPDATE object SET body = replace(body, '\"n\":3', '\"n\":4') WHERE name = 'node-003'",
        "UPDATE object SET revision = 1 WHERE name = 'node-003'",
        "UPDATE object SET name = 'node-900' WHERE name = 'node-003'",
        "UPDATE object SET kind = 'BGPPeer' WHERE name = 'node-003'",
        "DELETE FROM object WHERE name = 'node-003'",
        "INSERT INTO object VALUES ('Node', 'node-900', 3, '{}')",
    };
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    for (size_t i = 0; i < sizeof(alterations) / sizeof(alterations[0]); i++) {
        struct err err = ERR_INIT;
        struct buf text = BUF_INIT;
        struct store_reader reader = {.object = dump_object, .arg = &text};
        struct store_status status;
        struct store *store = must_open(path_in(dir, *state, "data"));
        write_objects(store, 1, 5);
        must_change(store, STORE_UPDATE, "Node", "node-003", 6, "{\"n\":3}");
        must_change(store, STORE_DELETE, "Node", "node-004", 7, "{}");
        store_close(store);
        run_sql(dir, alterations[i], false);
        store = must_open(dir);
        assert_int_equal(store_load(store, &reader, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_int_equal(store_backup(store, path_in(path, *state, "backup"), &err), -1);
        store_close(store);
        assert_int_equal(store_inspect(path_in(path, dir, "bgppeerd.db"), &reader, &status, &err), -1);
        assert_int_equal(try_open(dir, true, &store, &err), 0);
        assert_non_null(store_accepted(store));
        assert_int_equal(store_load(store, &reader, &err), 0);
        store_close(store);
        buf_done(&text);
        remove_tree(dir);
    }
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        IN_DIR(a_complete_database_is_accepted), IN_DIR(the_mark_grows_with_each_transaction),
        IN_DIR(an_older_copy_is_refused),        IN_DIR(another_database_is_refused),
        IN_DIR(a_missing_database_is_refused),   IN_DIR(a_missing_mark_is_made),
        IN_DIR(a_damaged_mark_is_refused),       IN_DIR(a_bit_in_the_log_is_noticed),
        IN_DIR(a_torn_end_is_read_up_to_it),     IN_DIR(what_was_refused_can_be_restored_over),
        IN_DIR(files_that_go_away_are_noticed),  IN_DIR(a_log_that_was_cut_is_noticed),
        IN_DIR(altered_objects_are_refused),
    };
    return cmocka_run_group_tests_name("store: history", tests, NULL, NULL);
}
