/*
 * Opening a store: what is created, who is kept out, and every database that must be refused without a
 * byte being changed. The databases are damaged with SQLite itself or by writing into the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "store_fixture.h"
#include "store_sql.h"

static void write_at(const char *dir, long offset, const void *bytes, size_t len) {
    char path[PATH_TEXT_MAX];
    int fd = open(path_in(path, dir, "bgppeerd.db"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

static void resize(const char *dir, long change_by) {
    char path[PATH_TEXT_MAX];
    struct stat status;
    assert_int_equal(stat(path_in(path, dir, "bgppeerd.db"), &status), 0);
    assert_int_equal(truncate(path, change_by < 0 ? status.st_size + change_by : change_by), 0);
}

/* A store with enough in it that its tables have more than one page. */
static void fill(const char *dir) {
    struct store *store = must_open(dir);
    for (uint64_t i = 1; i <= 60; i++) {
        char name[24];
        char body[600];
        (void)snprintf(name, sizeof(name), "node-%02" PRIu64, i);
        (void)snprintf(body, sizeof(body), "{\"padding\":\"%0500d\"}", 7);
        must_change(store, STORE_CREATE, "Node", name, i, body);
    }
    store_close(store);
}

static void make_empty(const char *dir) {
    resize(dir, 0);
}
static void make_short(const char *dir) {
    resize(dir, 50);
}
static void make_header_only(const char *dir) {
    resize(dir, 100);
}
static void cut_a_page(const char *dir) {
    resize(dir, -4096);
}
static void cut_half_a_page(const char *dir) {
    resize(dir, -2048);
}
static void cut_to_one_page(const char *dir) {
    resize(dir, 4096);
}
static void make_garbage(const char *dir) {
    write_at(dir, 0, "garbage!garbage!garbage!", 24);
}
static void make_foreign(const char *dir) {
    run_sql(dir, "PRAGMA application_id = 1", false);
}
static void make_newer(const char *dir) {
    run_sql(dir, "PRAGMA user_version = " SCHEMA_NEWER, false);
}
static void make_newer_in_log(const char *dir) {
    run_sql(dir,
            "INSERT INTO migration VALUES (" SCHEMA_NEWER
            ", 'x', 'y', 0); PRAGMA user_version = " SCHEMA_NEWER,
            true);
}
static void make_newer_record(const char *dir) {
    run_sql(dir, "INSERT INTO migration VALUES (" SCHEMA_NEWER ", 'x', 'y', 0)", false);
}
static void change_checksum(const char *dir) {
    run_sql(dir, "UPDATE migration SET checksum = 'feed' || substr(checksum, 5)", false);
}
static void change_checksum_in_log(const char *dir) {
    run_sql(dir, "UPDATE migration SET checksum = 'feed' || substr(checksum, 5)", true);
}
static void rename_migration(const char *dir) {
    run_sql(dir, "UPDATE migration SET name = 'other'", false);
}
static void forget_migrations(const char *dir) {
    run_sql(dir, "DELETE FROM migration", false);
}
static void misnumber_migration(const char *dir) {
    run_sql(dir, "UPDATE migration SET number = number - 1", false);
}
static void drop_version(const char *dir) {
    run_sql(dir, "PRAGMA user_version = 0", false);
}
static void drop_history(const char *dir) {
    run_sql(dir, "DROP TABLE migration", false);
}
static void drop_table(const char *dir) {
    run_sql(dir, "DROP TABLE change", false);
}
static void drop_column(const char *dir) {
    run_sql(dir, "ALTER TABLE change DROP COLUMN actor", false);
}
static void drop_meta(const char *dir) {
    run_sql(dir, "DELETE FROM meta", false);
}
/* One that is in use: it has bodies. */
static void damage_pages(const char *dir) {
    char junk[4096];
    char path[PATH_TEXT_MAX];
    size_t len = 0;
    memset(junk, 0xa5, sizeof(junk));
    char *bytes = read_file(path_in(path, dir, "bgppeerd.db"), &len);
    const char *body = memmem(bytes, len, "padding", 7);
    assert_non_null(body);
    write_at(dir, (body - bytes) / 4096 * 4096, junk, sizeof(junk));
    free(bytes);
}
static void damage_schema(const char *dir) {
    /* The head of the first page's tree, right behind the file's own header. */
    write_at(dir, 100, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}
static void lose_database(const char *dir) {
    char path[PATH_TEXT_MAX];
    run_sql(dir, "UPDATE meta SET revision = revision + 1", true);
    assert_int_equal(unlink(path_in(path, dir, "bgppeerd.db")), 0);
}

static void a_bad_database_is_refused_untouched(void **state) {
    static const struct {
        const char *name;
        void (*spoil)(const char *dir);
        const char *says;
    } cases[] = {
        {"empty", make_empty, "is empty"},
        {"short", make_short, "something else"},
        {"header only", make_header_only, "damaged"},
        {"garbage", make_garbage, "something else"},
        {"foreign", make_foreign, "another program"},
        {"newer", make_newer, "newer bgppeerd"},
        {"newer, in the log", make_newer_in_log, "newer bgppeerd"},
        {"newer record", make_newer_record, "newer bgppeerd"},
        {"checksum", change_checksum, "different migration"},
        {"checksum, in the log", change_checksum_in_log, "different migration"},
        {"migration's name", rename_migration, "different migration"},
        {"no migration", forget_migrations, "altered by hand or damaged"},
        {"misnumbered", misnumber_migration, "altered by hand or damaged"},
        {"no version", drop_version, "altered by hand or damaged"},
        {"no history", drop_history, "no record of its schema"},
        {"no table", drop_table, "lacks a table"},
        {"no column", drop_column, "lacks a table or column"},
        {"no meta row", drop_meta, "newest revision"},
        {"a page cut", cut_a_page, "damaged"},
        {"half a page cut", cut_half_a_page, "damaged"},
        {"one page left", cut_to_one_page, "damaged"},
        {"a page of junk", damage_pages, "damaged"},
        {"junk in the schema", damage_schema, "damaged"},
        {"log without database", lose_database, "is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dir[PATH_TEXT_MAX];
        path_in(dir, *state, "data");
        fill(dir);
        cases[i].spoil(dir);
        char *before = dir_digest(dir);
        for (int attempt = 0; attempt < 2; attempt++) {
            must_refuse(dir, ERR_CORRUPT, cases[i].says);
            char *after = dir_digest(dir);
            assert_string_equal(after, before);
            free(after);
        }
        free(before);
        remove_tree(dir);
    }
}

/* Whatever single byte of the file goes wrong: opened or refused, but if refused then untouched, and never a
 * crash while loading what was opened. */
static void any_damaged_byte_is_survived(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    fill(path_in(dir, *state, "data"));
    size_t len = 0;
    char *good = read_file(path_in(path, dir, "bgppeerd.db"), &len);
    unsigned refused = 0;
    for (size_t offset = 0; offset < len; offset += offset < 4096 ? 61 : 997) {
        char byte = (char)~good[offset];
        write_at(dir, (long)offset, &byte, 1);
        char *before = dir_digest(dir);
        struct store *store = NULL;
        struct err err = ERR_INIT;
        if (store_open(&(struct store_options){.dir = dir}, &store, &err) < 0) {
            char *after = dir_digest(dir);
            assert_string_equal(after, before);
            assert_int_equal(err.code, ERR_CORRUPT);
            free(after);
            refused++;
        } else {
            struct buf text = BUF_INIT;
            struct store_reader reader = {.object = dump_object, .setting = dump_setting, .arg = &text};
            if (store_load(store, &reader, &err) < 0) {
                assert_int_equal(err.code, ERR_CORRUPT);
            }
            buf_done(&text);
            store_close(store);
        }
        free(before);
        write_file(path, good, len);
    }
    assert_true(refused > 0);
    store_close(must_open(dir));
    free(good);
}

static void files_are_private(void **state) {
    static const char *const names[] = {"bgppeerd.db", "bgppeerd.db-wal", "bgppeerd.db-shm", "lock"};
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    path_in(dir, *state, "data");
    mode_t mask = umask(0);
    struct stat status;
    for (int round = 0; round < 2; round++) {
        struct store *store = must_open(dir);
        must_change(store, round == 0 ? STORE_CREATE : STORE_UPDATE, "Node", "n", (uint64_t)round + 1, "{}");
        assert_int_equal(stat(dir, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0700);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(stat(path_in(path, dir, names[i]), &status), 0);
            assert_int_equal(status.st_mode & 07777, 0600);
        }
        store_close(store);
        assert_int_equal(access(path_in(path, dir, "bgppeerd.db-wal"), F_OK), -1);
        /* As a restore by hand might leave it. */
        assert_int_equal(chmod(path_in(path, dir, "bgppeerd.db"), 0644), 0);
    }
    umask(mask);
}

static void the_database_says_what_it_is(void **state) {
    fill(*state);
    char path[PATH_TEXT_MAX];
    size_t len = 0;
    char *bytes = read_file(path_in(path, *state, "bgppeerd.db"), &len);
    assert_memory_equal(bytes, "SQLite format 3", 16);
    assert_memory_equal(bytes + 68, "BGPP", 4);
    assert_memory_equal(bytes + 60, SCHEMA_BYTES, 4);
    assert_memory_equal(bytes + 18, "\2\2", 2); /* write-ahead log */
    free(bytes);
}

static void a_second_instance_is_kept_out(void **state) {
    struct store *store = must_open(*state);
    must_change(store, STORE_CREATE, "Node", "n", 1, "{}");
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "in use by process %ld;", (long)getpid());
    must_refuse(*state, ERR_CONFLICT, expected);
    must_change(store, STORE_UPDATE, "Node", "n", 2, "{}");
    store_close(store);
    store_close(must_open(*state));
}

static void a_dead_instance_does_not_block(void **state) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store = NULL;
        struct err err = ERR_INIT;
        int failed = store_open(&(struct store_options){.dir = *state}, &store, &err);
        _exit(failed < 0 ? 1 : 0); /* without closing */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(must_open(*state));
}

static void a_crashed_log_is_read(void **state) {
    char live[PATH_TEXT_MAX];
    char copy[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    struct store *store = must_open(path_in(live, *state, "live"));
    for (uint64_t i = 1; i <= 50; i++) {
        must_change(store, i == 1 ? STORE_CREATE : STORE_UPDATE, "Node", "n", i, "{}");
    }
    char *expected = dump(store);
    /* Nothing but these copies is opened: closing another descriptor of a live database drops SQLite's locks,
     * which matters to nobody here. */
    copy_database(live, path_in(copy, *state, "copy"));
    copy_file(path_in(path, live, "bgppeerd.db-shm"), path_in(live, copy, "bgppeerd.db-shm"));
    struct store *crashed = must_open(copy);
    assert_dump(crashed, expected);
    must_change(crashed, STORE_DELETE, "Node", "n", 51, "{}");
    store_close(crashed);
    store_close(store);
    free(expected);
}

static void a_first_start_cut_short_is_begun_again(void **state) {
    char path[PATH_TEXT_MAX];
    write_file(path_in(path, *state, "bgppeerd.db.new"), "half", 4);
    write_file(path_in(path, *state, "bgppeerd.db.new-journal"), "half", 4);
    struct store *store = must_open(*state);
    assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\n");
    store_close(store);
    char *files = dir_digest(*state);
    assert_non_null(strstr(files, "\n2 files\n"));
    free(files);
}

static void an_unusable_directory_is_named(void **state) {
    char path[PATH_TEXT_MAX];
    must_refuse(path_in(path, *state, "missing/data"), ERR_UNAVAILABLE, "create its parent directory");
    write_file(path_in(path, *state, "file"), "", 0);
    must_refuse(path, ERR_UNAVAILABLE, "is not a directory");
    char inner[PATH_TEXT_MAX];
    path_in(path, *state, "data");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(path_in(inner, path, "bgppeerd.db"), 0700), 0);
    must_refuse(path, ERR_UNAVAILABLE, "not a regular file");
}

#define IN_DIR(test)    cmocka_unit_test_setup_teardown(test, setup_dir, teardown_dir)
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        IN_DIR(files_are_private),
        IN_DIR(the_database_says_what_it_is),
        IN_DIR(a_second_instance_is_kept_out),
        IN_DIR(a_dead_instance_does_not_block),
        IN_DIR(a_crashed_log_is_read),
        IN_DIR(a_first_start_cut_short_is_begun_again),
        IN_DIR(an_unusable_directory_is_named),
        IN_MEMORY(a_bad_database_is_refused_untouched),
        IN_MEMORY(any_damaged_byte_is_survived),
    };
    return cmocka_run_group_tests_name("store: open", tests, NULL, NULL);
}
